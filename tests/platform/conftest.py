"""Real services for tests: each is started by the fixture that gives it, on 127.0.0.1, and stopped by its own pid."""

import os
import shutil
import sys
from pathlib import Path

import pytest

from tests.platform.containers import image  # noqa: F401  the CPU image
from tests.platform.postgres import postgres  # noqa: F401  a PostgreSQL server
from tests.platform.s3 import s3_folder, s3_server  # noqa: F401  fixtures of S3
from tests.platform.slurm import slurm, slurm_service  # noqa: F401  fixtures of Slurm

_HERE = Path(__file__).parent

#: Where programs are looked for: some are installed beside Python, which need not be activated.
PROGRAMS = os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"], "/usr/sbin", "/sbin"))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Whatever lies in this folder needs services of the system."""
    for item in items:
        if _HERE in item.path.parents:
            item.add_marker(pytest.mark.platform)


def require_programs(*names: str) -> None:
    """Skip a test whose programs are not installed; where services are required, fail."""
    missing = [name for name in names if shutil.which(name, path=PROGRAMS) is None]
    if missing and os.environ.get("DLIF_SERVICES") == "required":
        pytest.fail(f"not installed: {', '.join(missing)}; see tests/platform/install.sh")
    if missing:
        pytest.skip(f"not installed: {', '.join(missing)}")
