"""Tables of a scan in the current folder."""

from pathlib import Path

import pytest

from tests.unit.api.tables import write_tables


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with ``tacs.tsv`` and ``blood.tsv`` of known truth."""
    write_tables(tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path
