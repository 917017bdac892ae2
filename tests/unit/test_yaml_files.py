"""YAML files are read whole: what can't be read, or would be overridden in silence, is refused."""

from pathlib import Path

import pytest

from dlif_core.errors import ConfigurationError
from dlif_core.yaml_files import read_yaml


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "settings.yaml"


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", None),
        (b"\xef\xbb\xbfname: a\n", {"name": "a"}),
        ("name: Prüfung\n".encode(), {"name": "Prüfung"}),
        (
            b"one: {a: 1}\ntwo: {a: 2}\nlist: [{a: 1}, {a: 2}]\n",
            {"one": {"a": 1}, "two": {"a": 2}, "list": [{"a": 1}, {"a": 2}]},
        ),
        (b"base: &b {a: 1}\nmore: {<<: *b, a: 2}\n", {"base": {"a": 1}, "more": {"a": 2}}),
    ],
)
def test_content_is_what_the_file_says(path: Path, content: bytes, expected: object) -> None:
    path.write_bytes(content)
    assert read_yaml(path) == expected


@pytest.mark.parametrize(
    ("content", "word"),
    [
        (b"a: 1\nb: 2\na: 3\n", "key 'a' is a duplicate, in line 3"),
        (b"x:\n  - {k: 1, k: 2}\n", "key 'k' is a duplicate, in line 2"),
        (b"name: \xff\xfe\n", "this is not UTF-8 text"),
        (b"name: [", "this is not YAML"),
        (b"a: 2020-13-45\n", "this is not YAML"),
        (b"a: " + 5000 * b"[", "it is nested too deeply|this is not YAML"),
    ],
)
def test_what_can_not_be_is_refused(path: Path, content: bytes, word: str) -> None:
    path.write_bytes(content)
    with pytest.raises(ConfigurationError, match=rf"^\S+settings\.yaml: ({word})") as fault:
        read_yaml(path)
    assert fault.value.hint


def test_a_list_that_holds_itself_is_read(path: Path) -> None:
    path.write_text("a: &a [*a]\n")
    found = read_yaml(path)["a"]
    assert found[0] is found
