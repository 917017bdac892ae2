"""A study with an input-function method that another package registers: one module, no other line."""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from dlif_core.ingest import READERS
from dlif_core.input_function import METHODS
from dlif_core.store import open_store
from dlif_core.study.config import StudyConfig
from dlif_core.study.plan import make_plan
from tests.contract.toy_method import FACTS, METHOD, RampOptions
from tests.contract.toy_reader import ToyReader
from tests.integration.test_study_reader import ANALYSES, RATES, SLOPE, write_scan


@pytest.fixture(autouse=True)
def registered() -> Iterator[None]:
    READERS.register(ToyReader())
    METHODS.register(METHOD)
    yield
    METHODS.unregister(METHOD.name)
    READERS.unregister(ToyReader.name)


def test_a_study_runs_with_it(
    tmp_path: Path, run_study: Callable[..., StudyConfig], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Twice the plasma gives half the net influx."""
    write_scan(tmp_path / "mice")
    config = run_study(tmp_path, data="mice", input_functions={"ramp": {"slope": 2 * SLOPE}}, kinetics=ANALYSES)
    store = open_store(config.output)
    regions = store.open_dataset("scans/mouse-1.zarr/kinetics/patlak/regions")
    np.testing.assert_allclose(regions["Ki"].sel(region=list(RATES)), np.array(list(RATES.values())) / 2, rtol=1e-3)
    assert not make_plan(config, store).to_run
    changed = config.model_copy(update={"input_functions": {"ramp": RampOptions(slope=SLOPE)}})
    reasons = {planned.step.stage: planned.reasons for planned in make_plan(changed, store).steps}
    assert reasons["ingest"] == ()
    assert reasons["input-function"] == ("input_functions.ramp.slope: 100.0 → 50.0",)
    monkeypatch.setitem(FACTS, "version of the ramp", "2")
    reasons = {planned.step.stage: planned.reasons for planned in make_plan(config, store).steps}
    assert reasons["input-function"] == ("ramp, version of the ramp: 1 → 2",)
