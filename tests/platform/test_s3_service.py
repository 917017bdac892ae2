"""The S3 server of the tests: it holds files, knows credentials, and comes back after a crash."""

import fsspec
import pytest

from tests.platform.s3 import READER, S3Server


def test_it_keeps_files_through_a_crash(s3_server: S3Server, s3_folder: str) -> None:
    fs, path = fsspec.url_to_fs(s3_folder)
    fs.pipe_file(f"{path}/file", b"content")
    s3_server.restart()
    assert fs.cat_file(f"{path}/file") == b"content"


def test_a_reader_may_not_write(s3_server: S3Server, s3_folder: str) -> None:
    fs, path = fsspec.url_to_fs(s3_folder, key=READER[0], secret=READER[1])
    with pytest.raises(PermissionError):
        fs.pipe_file(f"{path}/file", b"content")


def test_a_file_is_created_once(s3_server: S3Server, s3_folder: str) -> None:
    fs, path = fsspec.url_to_fs(s3_folder)
    fs.pipe_file(f"{path}/file", b"first", mode="create")
    with pytest.raises(OSError, match="pre-conditions"):
        fs.pipe_file(f"{path}/file", b"second", mode="create")
    assert fs.cat_file(f"{path}/file") == b"first"
