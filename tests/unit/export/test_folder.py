"""The folder of an export: new or an earlier export, replaced as a whole, outside of data and store."""

import os
from pathlib import Path

import pytest

from dlif_core.errors import ConfigurationError
from dlif_core.export import folder as folders
from dlif_core.export.folder import RECORD, new_export, require_export_folder


def write(folder: Path, name: str) -> None:
    with new_export(folder, {"study": "mice"}) as draft:
        (draft / name).write_text("x")


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


@pytest.mark.parametrize("in_one_step", [True, False])
def test_an_earlier_export_is_replaced_as_a_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, in_one_step: bool
) -> None:
    if not in_one_step:
        monkeypatch.setattr(folders, "_exchanged", lambda *_: False)
    write(tmp_path / "export", "first")
    write(tmp_path / "export", "second")
    assert names(tmp_path / "export") == {"second", RECORD}
    assert names(tmp_path) == {"export"}


def test_a_failed_export_leaves_the_earlier_one_and_nothing_else(tmp_path: Path) -> None:
    write(tmp_path / "export", "first")
    with pytest.raises(FileNotFoundError), new_export(tmp_path / "export", {}) as draft:
        (draft / "no such folder" / "half").write_text("x")
    assert names(tmp_path / "export") == {"first", RECORD}
    assert names(tmp_path) == {"export"}


def test_the_folder_is_readable_as_any_other(tmp_path: Path) -> None:
    write(tmp_path / "export", "first")
    (tmp_path / "other").mkdir()
    assert os.stat(tmp_path / "export").st_mode == os.stat(tmp_path / "other").st_mode


@pytest.mark.parametrize("place", ["store", "store/deep", "data", "data/sub-01", "data/derivatives/dlif", "."])
def test_no_export_lies_in_the_store_or_among_the_data_or_holds_them(tmp_path: Path, place: str) -> None:
    with pytest.raises(ConfigurationError, match="would lie inside"):
        require_export_folder(tmp_path / place, str(tmp_path / "store"), str(tmp_path / "data"))


def test_a_folder_with_something_else_stays(tmp_path: Path) -> None:
    (tmp_path / "thesis").mkdir()
    require_export_folder(tmp_path / "thesis", "s3://b/store", "s3://b/data")
    (tmp_path / "thesis" / "chapter").write_text("x")
    with pytest.raises(ConfigurationError, match="something other than an export"):
        require_export_folder(tmp_path / "thesis", "s3://b/store", "s3://b/data")


def test_a_bucket_is_no_folder() -> None:
    with pytest.raises(ConfigurationError, match="folder of this machine"):
        require_export_folder(Path("s3://bucket/export"), "store", "data")
