"""Connections to storages: one for each process and account."""

import pytest

from dlif_core.storage import file_system


def test_who_changes_the_account_in_a_notebook_gets_another_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    first, _ = file_system("s3://bucket/data")
    assert file_system("s3://bucket/other")[0] is first
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "another")
    second, path = file_system("s3://bucket/data")
    assert second is not first
    assert path == "bucket/data"
