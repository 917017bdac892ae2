"""Shared fixtures. Measured data lie outside the project: in DLIF_TEST_DATA or ../shared/data."""

import os
from pathlib import Path

import pytest

DATA = Path(os.environ.get("DLIF_TEST_DATA", Path(__file__).parents[2] / "shared" / "data"))


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Folder of measured data; the test is skipped where it is absent."""
    if not DATA.is_dir():
        pytest.skip(f"measured data are not at {DATA}; set DLIF_TEST_DATA to their folder")
    return DATA
