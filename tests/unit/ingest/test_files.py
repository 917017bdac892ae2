"""Files as people have them: what is not a file of text is told, within limits of time and memory."""

import os
from pathlib import Path

import pytest

from dlif_core.errors import InputError, MissingInputError
from dlif_core.ingest.uris import exists, fit_text, local_path, opened, read_text

LIMIT = 1000


def fault(path: Path, *words: str, kind: type[InputError] = InputError) -> None:
    with pytest.raises(kind) as caught:
        read_text(str(path), LIMIT)
    assert type(caught.value) is kind
    assert caught.value.where == str(path)
    assert caught.value.hint
    for word in words:
        assert word in str(caught.value)


class TestPlaces:
    @pytest.mark.parametrize("name", ["sub-Jörg 1.tsv", "a::b.json", "x*[1]?.json", "#a%20b.json", "n" * 250])
    def test_a_name_is_only_a_name(self, tmp_path: Path, name: str) -> None:
        path = tmp_path / name
        path.write_text("text")
        assert read_text(str(path), LIMIT) == "text"
        assert exists(str(path))
        assert local_path(str(path)) == path

    def test_a_relative_path_is_below_the_working_folder(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (tmp_path / "a.txt").write_text("text")
        monkeypatch.chdir(tmp_path)
        assert read_text("a.txt", LIMIT) == "text"
        assert local_path("a.txt") == tmp_path / "a.txt"

    def test_a_link_is_followed(self, tmp_path: Path) -> None:
        (tmp_path / "a.txt").write_text("text")
        (tmp_path / "b.txt").symlink_to(tmp_path / "a.txt")
        assert read_text(str(tmp_path / "b.txt"), LIMIT) == "text"


class TestNoFile:
    def test_missing(self, tmp_path: Path) -> None:
        fault(tmp_path / "a.json", "not there", kind=MissingInputError)
        (tmp_path / "b").write_text("text")
        fault(tmp_path / "b" / "a.json", "not there", kind=MissingInputError)

    def test_dangling_link(self, tmp_path: Path) -> None:
        path = tmp_path / "a.json"
        path.symlink_to("gone.json")
        fault(path, "a link that leads nowhere.", "Restore", kind=MissingInputError)

    def test_link_into_an_annex(self, tmp_path: Path) -> None:
        path = tmp_path / "a.json"
        path.symlink_to("../.git/annex/objects/x/y")
        fault(path, "leads nowhere", "git annex get", kind=MissingInputError)

    def test_circle_of_links(self, tmp_path: Path) -> None:
        path = tmp_path / "a.json"
        path.symlink_to(path)
        fault(path, "can't be read", "links")

    def test_folder(self, tmp_path: Path) -> None:
        fault(tmp_path, "folder")

    def test_pipe_and_device(self, tmp_path: Path) -> None:
        os.mkfifo(tmp_path / "pipe.json")
        fault(tmp_path / "pipe.json", "device or a pipe")
        (tmp_path / "zero.json").symlink_to("/dev/zero")
        fault(tmp_path / "zero.json", "device or a pipe")

    def test_name_that_no_file_can_have(self, tmp_path: Path) -> None:
        fault(tmp_path / ("n" * 300), "can't be read")

    def test_permission(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        def refuse(*_: object, **__: object) -> None:
            raise PermissionError(13, "Permission denied")

        (tmp_path / "a.json").write_text("text")
        monkeypatch.setattr("fsspec.implementations.local.LocalFileSystem.open", refuse)  # root may read everything
        fault(tmp_path / "a.json", "may not be read", "permission")

    def test_a_disk_that_fails_may_come_back(self, tmp_path: Path) -> None:
        path = tmp_path / "a.json"
        path.write_text("text")
        with pytest.raises(OSError, match=r"Input/output error: .*a\.json") as caught, opened(str(path)):
            raise OSError(5, "Input/output error")
        assert type(caught.value) is OSError


class TestContent:
    @pytest.mark.parametrize(
        ("content", "words"),
        [
            (b"x" * (LIMIT + 1), ("larger than 0.001 MB",)),
            ("weight\tJörg".encode("utf-16"), ("UTF-16",)),
            ("weight".encode("utf-16-le"), ("NUL byte in line 1",)),
            (b"a\nb\0", ("NUL byte in line 2",)),
            ("a\nJörg".encode("latin-1"), ("byte 0xF6 in line 2", "Latin-1")),
            (b"\x1f\x8b\x08\0", ("gzip",)),
        ],
    )
    def test_that_is_no_text(self, tmp_path: Path, content: bytes, words: tuple[str, ...]) -> None:
        (tmp_path / "a.tsv").write_bytes(content)
        fault(tmp_path / "a.tsv", *words)

    @pytest.mark.parametrize(
        ("content", "words"),
        [
            ("/annex/objects/MD5E-s12--0.json\n", ("git-annex", "git annex get")),
            ("../../.git/annex/objects/x/y", ("git-annex", "datalad get")),
            ("version https://git-lfs.github.com/spec/v1\noid sha256:0\n", ("git-lfs", "git lfs pull")),
        ],
    )
    def test_that_was_not_fetched(self, tmp_path: Path, content: str, words: tuple[str, ...]) -> None:
        (tmp_path / "a.tsv").write_text(content)
        fault(tmp_path / "a.tsv", *words, kind=MissingInputError)

    def test_a_byte_order_mark_is_no_text(self, tmp_path: Path) -> None:
        (tmp_path / "a.tsv").write_bytes("\ufefftime µ".encode())
        assert read_text(str(tmp_path / "a.tsv"), LIMIT) == "time µ"

    def test_characters_that_no_text_needs_are_replaced(self) -> None:
        assert fit_text("a\x01b\x85\ud800\tc\r\n µ😀") == "a\ufffdb\ufffd\ufffd\tc\r\n µ😀"
