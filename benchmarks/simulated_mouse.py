"""One mouse at the scanner's own voxels (96 x 48 x 48 x 42) from simulation to maps: time of each stage, errors of Ki.

Times are processor seconds of this process, with one thread. The limit for the simulation is 10 s.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import torch
import yaml

from dlif_core.phantom import draw_mouse, simulate, write_cohort
from dlif_core.study.config import StudyConfig, load_study
from dlif_core.study.plan import make_plan, open_study_store
from dlif_core.study.running import run_step, scan_jobs
from dlif_core.study.status import results
from dlif_core.study.truth import compare_with_truth, summarise_truth

SIMULATION_LIMIT = 10.0
MODELS = ("2tcm-irreversible", "patlak")


@contextmanager
def processor_time(what: str, limit: float | None = None) -> Iterator[None]:
    started = time.process_time()
    yield
    seconds = time.process_time() - started
    share = f"   {seconds / limit:.2f} of the limit" if limit else ""
    print(f"{what:40} {seconds:8.2f} s{share}", flush=True)


def study(folder: Path) -> StudyConfig:
    fits = [{"model": model, **({"t_star": 15} if model == "patlak" else {})} for model in MODELS]
    content = {"name": "whole scan", "data": "bids", "output": "out", "input_functions": {"arterial": {}}}
    path = folder / "study.yaml"
    path.write_text(yaml.safe_dump(content | {"kinetics": fits}))
    return load_study(path)


def run(config: StudyConfig, executor: Executor) -> None:
    plan = make_plan(config, open_study_store(config))
    for job in scan_jobs(config, plan):
        with processor_time(job.step.title):
            outcome = run_step(job, executor)
        assert outcome.status == "success", outcome


def main() -> None:
    torch.set_num_threads(1)
    mouse = draw_mouse(1, irreversible=True)
    simulate(mouse)  # warm up
    with processor_time("simulation, 96 x 48 x 48 x 42", SIMULATION_LIMIT):
        simulate(mouse)
    with tempfile.TemporaryDirectory() as name, ThreadPoolExecutor(1) as executor:
        folder = Path(name)
        write_cohort(folder / "bids", 1, seed=1, irreversible=True)
        config = study(folder)
        run(config, executor)
        store = open_study_store(config)
        plan = make_plan(config, store)
        comparison = compare_with_truth(config, store, plan.files, results(plan, store))
    assert comparison is not None
    print(summarise_truth(comparison).to_string(index=False, float_format="{:.4f}".format))


if __name__ == "__main__":
    main()
