"""A study of data in a format that dlif doesn't bring: a registered reader is all that it takes."""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from dlif_core.ingest import READERS
from dlif_core.store import open_store
from dlif_core.study.config import StudyConfig
from dlif_core.study.plan import make_plan
from dlif_core.study.source import read_scan
from dlif_core.study.step import State
from tests.contract.toy_reader import ToyReader

START = np.arange(0.0, 3600.0, 300.0)
END = START + 300.0
SLOPE = 50.0  # of the plasma's activity, which rises from zero [Bq/mL/s]
RATES = {"brain": 0.03, "muscle": 0.01}  # net influx [mL/cm³/min]
VOLUME = 0.4  # distribution volume of the rest [mL/cm³]
ANALYSES = ({"model": "patlak", "t_star": 0},)


@pytest.fixture(autouse=True)
def registered() -> Iterator[None]:
    READERS.register(ToyReader())
    yield
    READERS.unregister(ToyReader.name)


def tissue(rate: float) -> np.ndarray:
    """Frame averages of rate·∫Cp + VOLUME·Cp for plasma that rises in proportion to time."""
    trapped = rate / 60 * SLOPE * (END**3 - START**3) / (6 * (END - START))
    return trapped + VOLUME * SLOPE * (START + END) / 2


def write_scan(folder: Path, scale: float = 1.0) -> None:
    """One scan whose numbers are Bq/mL divided by `scale`; its image has one region in each half."""
    folder.mkdir()
    curves = np.array([tissue(rate) for rate in RATES.values()]) / scale
    time = np.arange(0.0, 3601.0, 60.0)
    np.savez(
        folder / "mouse-1.npz",
        start=START,
        duration=END - START,
        names=list(RATES),
        curves=curves,
        half_life=6586.2,
        plasma=[time, SLOPE * time / scale],
    )
    image = np.repeat(curves, 4, axis=0).T.reshape(len(START), 2, 2, 2)
    np.save(folder / "mouse-1.image.npy", image.astype(np.float32))


def test_a_study_runs_from_files_to_fits_and_maps(tmp_path: Path, run_study: Callable[..., StudyConfig]) -> None:
    write_scan(tmp_path / "mice", scale=1000.0)
    data = {"uri": "mice", "format": "toy", "scale": 1000.0}
    config = run_study(tmp_path, data=data, input_functions={"arterial": {}}, kinetics=ANALYSES)
    store = open_store(config.output)
    scan, blood = read_scan(store, "mouse-1")
    np.testing.assert_allclose(scan.regions.activity, [tissue(rate) for rate in RATES.values()], rtol=1e-6)
    assert [recording.name for recording in blood] == ["plasma"]
    regions = store.open_dataset("scans/mouse-1.zarr/kinetics/patlak/regions")
    np.testing.assert_allclose(regions["Ki"].sel(region=list(RATES)), list(RATES.values()), rtol=1e-3)
    maps = store.open_dataset("scans/mouse-1.zarr/kinetics/patlak/maps")
    np.testing.assert_allclose(maps["Ki"][0], RATES["brain"], rtol=1e-3)
    np.testing.assert_allclose(maps["Ki"][1], RATES["muscle"], rtol=1e-3)
    plan = make_plan(config, store)
    assert {planned.state for planned in plan.steps} == {State.CURRENT}


def test_options_and_version_of_the_reader_decide_the_scan(
    tmp_path: Path, run_study: Callable[..., StudyConfig], monkeypatch: pytest.MonkeyPatch
) -> None:
    write_scan(tmp_path / "mice")
    config = run_study(tmp_path, data="mice", input_functions={"arterial": {}}, kinetics=ANALYSES)
    store = open_store(config.output)
    assert not make_plan(config, store).to_run
    named = StudyConfig.model_validate(config.model_dump() | {"data": {"uri": config.data.uri, "format": "toy"}})
    assert not make_plan(named, store).to_run
    scaled = config.model_dump() | {"data": {"uri": config.data.uri, "format": "toy", "scale": 2.0}}
    assert "data.scale" in str(make_plan(StudyConfig.model_validate(scaled), store).steps[0].reasons)
    monkeypatch.setattr(ToyReader, "version", 4)
    assert make_plan(config, store).steps[0].reasons == ("reader: toy 3 → toy 4",)
