"""Nothing that people write into DICOM reaches a converted data set, the store, reports, exports, messages or Prefect.

Every element of text of every file holds a mark, private elements and those in sequences included. The series is
checked, converted, run (with a Prefect server and without) and exported; then all that came of it is searched.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from dlif_core.errors import ExitCode
from tests.integration.marks import marks_below
from tests.integration.test_privacy import PREFECT, ROOT, WIDE
from tests.unit.ingest.dicom import test_privacy
from tests.unit.ingest.dicom.series import write_series

pytestmark = [pytest.mark.slow, pytest.mark.service]

MARK = "Zq9999x"


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("privacy-dicom")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(test_privacy, "MARK", MARK)
        write_series(folder / "scanner" / "mouse", lambda dataset, frame, z: test_privacy.planted(dataset))
    work = folder / "work"
    work.mkdir()
    (work / "scans.tsv").write_text("source\tparticipant_id\tTracerName\nmouse\tm01\tFDG\n")
    data = {"uri": str(folder / "scanner"), "format": "dicom", "table": "scans.tsv"}
    content = {"name": "study", "data": data, "output": "out", "kinetics": [{"model": "suv", "window": [3, 33]}]}
    (work / "study.yaml").write_text(yaml.safe_dump(content))
    (work / "shard.yaml").write_text(yaml.safe_dump(content | {"name": "shard", "output": "out-shard"}))
    source = str(folder / "scanner")
    dlif(work, "ingest", source, "--check", "--json")
    dlif(work, "ingest", source, "--to", "bids", "bids", "--table", "scans.tsv")
    dlif(work, "check", "study.yaml")
    dlif(work, "run", "study.yaml", "--workers", "1")
    dlif(work, "run", "shard.yaml", "--shard", "1/1")
    formats = [part for name in ("bids", "tables", "dicom", "pmod", "ro-crate") for part in ("--format", name)]
    dlif(work, "export", "study.yaml", "--to", "export", *formats)
    return work


def dlif(work: Path, *arguments: str) -> None:
    """Run a command, and keep all that it shows and logs."""
    environment = os.environ | WIDE | PREFECT | {"PREFECT_HOME": str(work / "prefect"), "PYTHONPATH": str(ROOT)}
    with (work / f"{'-'.join(arguments[:1])}-{len(list(work.glob('*.log')))}.log").open("wb") as log:
        command = [sys.executable, "-m", "flows.cli", *arguments]
        done = subprocess.run(command, cwd=work, env=environment, stdout=log, stderr=log, timeout=300)
    assert done.returncode in (ExitCode.SUCCESS, ExitCode.PARTIAL), Path(log.name).read_text()


def test_no_mark_of_dicom_is_in_any_output(work: Path) -> None:
    assert marks_below(work) == {}


def test_the_series_was_converted_run_and_exported(work: Path) -> None:
    assert (work / "bids" / "sub-m01" / "pet" / "sub-m01_pet.nii.gz").exists()
    assert (work / "out" / "cohort" / "report.html").exists()
    assert (work / "out-shard" / "cohort" / "report.html").exists()
    assert list((work / "export" / "dicom").rglob("*.dcm"))
    assert (work / "prefect" / "prefect.db").stat().st_size > 100_000


def test_every_file_holds_marks(work: Path) -> None:
    files = list((work.parent / "scanner" / "mouse").iterdir())
    assert files
    assert all(path.read_bytes().count(MARK.encode()) > 50 for path in files)
