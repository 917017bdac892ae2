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
        (b"a: " + 100_000 * b"{a: ", "it is nested too deeply"),
        ("name: a\n".encode("utf-16"), "this is not UTF-8 text"),
        ("name: a\n".encode("utf-16-le"), "this is not YAML"),
        (b"a: 1\nb: " + 5000 * b"9", "a number of 5000 digits, in line 2"),
        (b"a: 1" + 2000 * b":1", "a number of 4001 digits, in line 1"),
        (b'a: "x\\0y"', r"character '\\x00', in line 1, can't be part of a text"),
        (b'a: "\\ud800"', r"character '\\ud800', in line 1"),
        (b'a: "\\e[31m"', r"character '\\x1b', in line 1"),
        (b"#" * 1_000_001, "it has more than 1000000 bytes"),
    ],
)
def test_what_can_not_be_is_refused(path: Path, content: bytes, word: str) -> None:
    path.write_bytes(content)
    with pytest.raises(ConfigurationError, match=rf"^\S+settings\.yaml: ({word})") as fault:
        read_yaml(path)
    assert fault.value.hint


@pytest.mark.parametrize(("first", "further"), [("[x, x]", "[*{0}, *{0}]"), ("{{x: 1}}", "{{<<: [*{0}, *{0}]}}")])
def test_aliases_that_stand_for_millions_of_values_are_refused(path: Path, first: str, further: str) -> None:
    lines = [f"a0: &a0 {first.format()}", *(f"a{n}: &a{n} {further.format(f'a{n - 1}')}" for n in range(1, 40))]
    path.write_text("\n".join(lines))
    with pytest.raises(ConfigurationError, match="with its aliases it holds more than"):
        read_yaml(path)


def test_a_list_that_holds_itself_is_read(path: Path) -> None:
    path.write_text("a: &a [*a]\n")
    found = read_yaml(path)["a"]
    assert found[0] is found
