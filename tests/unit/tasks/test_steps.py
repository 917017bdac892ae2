"""Where steps run: on a worker that offers what their stage asks for, if there is one."""

import distributed
import pytest

from dlif_core.compute.cluster import StudyClient
from dlif_core.compute.kind import Started
from dlif_core.study.stages import STAGES
from dlif_core.study.stages.explanation import ExplanationStage
from dlif_core.study.step import Step
from tasks.steps import needed_resources

NETWORKS = Step("m01", "input-function", "learned", "p", fingerprint=None)
OTHERS = [Step("m01", "input-function", "image-derived", "p", fingerprint=None), Step("m01", "maps", "", "p", None)]


def worker_name():
    return distributed.get_worker().name


@pytest.fixture(params=[{}, {"GPU": 1}], ids=["without", "with"])
def client(request):
    options = {"plain": {}, "second": {"resources": request.param}}
    workers = {name: {"cls": distributed.Worker, "options": {"nthreads": 1, **more}} for name, more in options.items()}
    scheduler = {"cls": distributed.Scheduler, "options": {"dashboard": False, "port": 0}}
    with distributed.SpecCluster(workers, scheduler) as cluster, StudyClient(Started(cluster)) as client:
        yield client


def test_networks_go_to_a_worker_that_offers_a_gpu(client):
    needed = needed_resources(client, NETWORKS)
    assert needed == ({"GPU": 1.0} if client.offers() else None)
    with client.executor(needed) as executor:
        names = {executor.submit(worker_name).result() for _ in range(6)}
    assert not client.offers() or names == {"second"}


def test_other_steps_need_none(client):
    assert [needed_resources(client, step) for step in OTHERS] == [None, None]


def test_only_what_workers_offer_is_asked_for(client):
    """A stage of another kind may ask for several resources; one that no worker has would never run."""

    class Licensed(ExplanationStage):
        name = "licensed"

        def resources(self, step):
            return {"GPU": 2.0, "LICENCE": 1.0}

    STAGES.register(Licensed())
    try:
        needed = needed_resources(client, Step("m01", "licensed", "", "p", fingerprint=None))
    finally:
        STAGES.unregister("licensed")
    assert needed == ({"GPU": 2.0} if client.offers() else None)
