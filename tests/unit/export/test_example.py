"""The example for R reads an export with base R alone."""

import shutil
import subprocess
from pathlib import Path

import pytest

from dlif_core.export.bids import BIDS
from tests.unit.export.products import exported_study, regions

SCRIPT = Path(__file__).parents[3] / "examples" / "export.R"


@pytest.mark.skipif(shutil.which("Rscript") is None, reason="R is not installed: there is no Rscript")
def test_r_prints_the_parameters_and_draws_the_curves(tmp_path: Path) -> None:
    BIDS.export(exported_study(), tmp_path)
    figure = tmp_path / "curves.pdf"
    command = ["Rscript", str(SCRIPT), str(tmp_path / "bids"), "sub-m01", str(figure)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    header, *rows = (line.strip().rsplit(maxsplit=2) for line in done.stdout.splitlines())
    assert header == ["region", "Ki", "VB"]
    assert {name: float(ki) for name, ki, _ in rows} == dict(
        zip(regions()["region"].to_numpy(), regions()["Ki"].to_numpy(), strict=True)
    )
    assert figure.read_bytes().startswith(b"%PDF")


@pytest.mark.skipif(shutil.which("Rscript") is None, reason="R is not installed: there is no Rscript")
def test_r_says_what_is_missing(tmp_path: Path) -> None:
    command = ["Rscript", str(SCRIPT), str(tmp_path), "sub-m01", str(tmp_path / "curves.pdf")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode != 0
    assert "there is no file sub-m01_seg-.*_tacs" in done.stderr
