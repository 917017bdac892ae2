"""The recipes of CONTRIBUTING.md run word by word: each part is registered and used."""

from __future__ import annotations

import importlib.util
import os
import re
import sys
import textwrap
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from dlif_core.curve import InputFunction
from dlif_core.errors import BloodError
from dlif_core.frames import FrameTiming
from dlif_core.phantom import write_cohort
from dlif_core.registry import Registry
from dlif_core.scan import Acquisition, DynamicScan, RegionCurves
from dlif_core.store import open_store
from dlif_core.study.config import StudyConfig

GUIDE = Path(__file__).parents[2] / "CONTRIBUTING.md"
TIMING = FrameTiming(np.arange(0.0, 1200.0, 60.0), np.full(20, 60.0))


@pytest.fixture
def recipe(tmp_path: Path) -> Iterator[Callable[[str], ModuleType]]:
    """Import the module of a recipe under the name that its file would have."""
    made: list[str] = []

    def load(path: str) -> ModuleType:
        block = re.search(rf"```python\n( *)# {re.escape(path)}\n(.*?)```", GUIDE.read_text(), re.DOTALL)
        assert block is not None
        file = tmp_path / Path(path).name
        file.write_text(textwrap.dedent(block[1] + "# recipe\n" + block[2].rstrip(" ")))
        name = path.removesuffix(".py").replace("/", ".")
        spec = importlib.util.spec_from_file_location(name, file)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        made.append(name)
        spec.loader.exec_module(module)
        return module

    yield load
    for name in made:
        del sys.modules[name]


@contextmanager
def registered(registry: Registry[Any], part: Any) -> Iterator[None]:
    registry.register(part)
    try:
        yield
    finally:
        registry.unregister(part.name)


def test_model(recipe: Callable[[str], ModuleType]) -> None:
    """The frame average of b·∫C_p for constant plasma, b·C_p·t, has a closed form."""
    from dlif_core.kinetics import MODELS, FitSettings, fit_regions

    model = recipe("dlif_core/kinetics/models/microspheres.py").MODEL
    blood = InputFunction(np.array([0.0, 1200.0]), np.full(2, 5e3), np.full(2, 6e3), "constant")
    influx, vb = np.array([[0.2], [0.5]]), 0.04
    curves = (1 - vb) * influx * 6e3 * TIMING.mid / 60 + vb * 5e3
    scan = DynamicScan(TIMING, Acquisition("NH3", 597.9), RegionCurves(("a", "b"), curves, np.ones(2)))
    with registered(MODELS, model):
        found = fit_regions(scan, blood, FitSettings("microspheres"))
    np.testing.assert_allclose(found["K1"], influx[:, 0], rtol=1e-6)
    np.testing.assert_allclose(found["vB"], vb, rtol=1e-5)


def test_input_function_method(recipe: Callable[[str], ModuleType]) -> None:
    from dlif_core.blood_samples import BloodRecording
    from dlif_core.input_function import METHODS, estimate

    method = recipe("dlif_core/input_function/arterialised.py").METHOD
    scan = DynamicScan(TIMING, Acquisition("FDG", 6586.2), RegionCurves(("a",), np.ones((1, 20)), np.ones(1)))
    samples = BloodRecording("vein", False, np.array([30.0, 90.0, 300.0]), whole_blood=np.array([5.0, 9.0, 3.0]))
    with registered(METHODS, method):
        found = estimate("arterialised", scan, (samples,), method.parse({"plasma_ratio": 1.1}))
        with pytest.raises(BloodError, match="no venous samples"):
            estimate("arterialised", scan, ())
    np.testing.assert_allclose(np.interp(samples.time, found.time, found.whole_blood), [5.0, 9.0, 3.0])
    np.testing.assert_allclose(found.plasma, 1.1 * found.whole_blood)
    assert found.time[[0, -1]].tolist() == [0.0, 1200.0]


def test_check(recipe: Callable[[str], ModuleType]) -> None:
    """A brain of 1.4 L in a subject of 70 kg passes; in one whose grams were taken for kilograms it does not."""
    from dlif_core.checks import CHECKS, ScanFacts, examine

    (check,) = recipe("dlif_core/checks/volume.py").CHECKS

    def found(weight: float | None, volume: float) -> list[str]:
        curves = np.linspace(1e3, 2e3, 20)[None]
        facts = ScanFacts(
            TIMING,
            Acquisition("FDG", 6586.2, body_weight=weight),
            RegionCurves(("brain",), curves, np.array([volume])),
            places={"regions": "labels.nii"},
        )
        return [str(finding) for finding in examine(facts) if finding.check == "region-volume"]

    with registered(CHECKS, check):
        assert found(70.0, 1.4e6) == found(None, 1.4e6) == found(0.07, float("nan")) == []
        (message,) = found(0.07, 1.4e6)
    assert message.startswith("labels.nii: region brain has 1.4 L, more than a body of 0.07 kg.")
    assert "accept: [region-volume]" in message


def test_kind_of_cluster(recipe: Callable[[str], ModuleType], tmp_path: Path) -> None:
    from dlif_core.compute.cluster import open_client
    from dlif_core.compute.kinds import KINDS

    kind = recipe("dlif_core/compute/threads.py").THREADS
    profile = tmp_path / "debug.yaml"
    profile.write_text("{kind: threads, workers: 2}")
    with registered(KINDS, kind), open_client(str(profile)) as client:
        assert client.executor().submit(os.getpid).result(30) == os.getpid()
        assert len(client.scheduler_info()["workers"]) == 2


def test_exporter(recipe: Callable[[str], ModuleType], tmp_path: Path) -> None:
    from dlif_core.export import EXPORTERS
    from tests.unit.export.products import exported_study

    exporter = recipe("dlif_core/export/peaks.py").PEAKS
    with registered(EXPORTERS, exporter):
        EXPORTERS["peaks"].export(exported_study(), tmp_path)
    lines = (tmp_path / "peaks" / "peaks.tsv").read_text().splitlines()
    assert lines == ["scan_id\tregion\tpeak [Bq/mL]", "sub-m01\tbrain\t7000.0", "sub-m01\tleft ventricle\t90000.0"]


@pytest.mark.slow
def test_stage(recipe: Callable[[str], ModuleType], tmp_path: Path, run_study: Callable[..., StudyConfig]) -> None:
    from dlif_core.study.source import read_scan
    from dlif_core.study.stages import STAGES

    stage = recipe("dlif_core/study/stages/mean_image.py").MEAN_IMAGE
    write_cohort(tmp_path / "bids", 1, voxel_size=3.0)
    with registered(STAGES, stage):
        config = run_study(tmp_path, data=str(tmp_path / "bids"), input_functions={"arterial": {}}, kinetics=[])
    store = open_store(config.output)
    scan, _ = read_scan(store, "sub-m01")
    assert scan.activity is not None
    expected = np.average(scan.activity[:], axis=0, weights=scan.timing.duration)
    found = store.open_dataset("scans/sub-m01.zarr/mean_image")["activity"]
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-2)
