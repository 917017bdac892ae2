"""Shared fixtures. Measured data lie outside the project: in DLIF_TEST_DATA or ../shared/data."""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from dlif_core.networks.training.examples import Example, make_example
from dlif_core.phantom import TRAINING
from dlif_core.study.config import StudyConfig, load_study
from flows.serial import run_shard

DATA = Path(os.environ.get("DLIF_TEST_DATA", Path(__file__).parents[2] / "shared" / "data"))


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Folder of measured data; the test is skipped where it is absent."""
    if not DATA.is_dir():
        pytest.skip(f"measured data are not at {DATA}; set DLIF_TEST_DATA to their folder")
    return DATA


@pytest.fixture(scope="session")
def run_study() -> Callable[..., StudyConfig]:
    """Write a study file, run the study in this process, return its configuration."""

    def run(folder: Path, **content: object) -> StudyConfig:
        path = folder / "study.yaml"
        path.write_text(yaml.safe_dump({"name": "test", "output": "out"} | content))
        config = load_study(path)
        with ThreadPoolExecutor(1) as executor:
            run_shard(config, executor)
        return config

    return run


@pytest.fixture(scope="session")
def examples() -> list[Example]:
    """Simulated scans for networks, the chest alone to be quick; nothing may be written into them."""
    planes = slice(14, 34)
    whole = [make_example(seed, TRAINING) for seed in range(4)]
    return [
        replace(one, scan=one.scan.with_activity(one.scan.activity[:, planes]), tissues=one.tissues[:, planes])
        for one in whole
    ]
