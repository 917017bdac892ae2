"""Files for PMOD, read by the reader of PMOD's blood files and by a plain parse of the documented header."""

from pathlib import Path

import numpy as np
import pytest

from dlif_core.export.pmod import PMOD
from dlif_core.input_function import METHODS
from dlif_core.input_function.from_file.quantities import file_curves
from dlif_core.input_function.from_file.tables import read_curve_table, split_header
from dlif_core.units import factor
from tests.unit.export.products import curve, exported_scan, exported_study


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("export")
    PMOD.export(exported_study(), folder)
    return folder / "pmod"


def test_files_are_three_for_a_scan_with_one_input_function(root: Path) -> None:
    names = {"sub-m01.tac", "sub-m01_learned_whole-blood.bld", "sub-m01_learned_parent-plasma.bld"}
    assert {path.name for path in root.iterdir()} == names


@pytest.mark.parametrize("what", ["whole-blood", "parent-plasma"])
def test_blood_is_read_back_as_pmod_writes_it(root: Path, what: str) -> None:
    path = str(root / f"sub-m01_learned_{what}.bld")
    options = METHODS["from-file"].parse({"path": path, "format": "pmod", "decay_corrected_to": "injection"})
    found = file_curves([read_curve_table(path)], exported_scan().scan.acquisition, options)
    series = found.series[what.removeprefix("parent-").replace("-", "_")]
    np.testing.assert_allclose(series.time, curve().time, rtol=1e-12)
    np.testing.assert_allclose(
        series.value, getattr(curve(), what.removeprefix("parent-").replace("-", "_")), rtol=1e-12
    )


def test_tissue_has_start_end_and_a_column_for_each_region(root: Path) -> None:
    header, *lines = (root / "sub-m01.tac").read_text().splitlines()
    titles = header.split("\t")
    assert titles == ["start[seconds]", "end[kBq/cc]", "brain", "left ventricle"]
    time, activity = (split_header(title)[1] for title in titles[:2])
    values = np.array([line.split("\t") for line in lines], float)
    regions, timing = exported_scan().scan.regions, exported_scan().scan.timing
    np.testing.assert_allclose(values[:, 0] * factor(time, "time"), timing.start)
    np.testing.assert_allclose(values[:, 1] * factor(time, "time"), timing.end)
    np.testing.assert_allclose(values[:, 2:].T * factor(activity, "concentration"), regions.activity, rtol=1e-12)
