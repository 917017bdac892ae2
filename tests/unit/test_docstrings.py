"""Docstrings are sentences or noun phrases that can be read alone, not fragments such as "Of the model."."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

#: Rooms whose docstrings are held to the rule; each path is a folder or a module.
ROOMS = ("dlif_core", "flows", "tasks")

#: Words with which a fragment begins: prepositions and pronouns that point at something said elsewhere.
_FRAGMENT = re.compile(
    r"(Of|As|With|Without|Beside|Below|Above|By|In|On|At|For|To|Into|Through|Along|Around|Under|Over|After|Before|"
    r"Between|Within|Like|Than|And|Or|But|Those|That|Them|Its)\b"
)
#: "From a recipe to a model" stands for itself, "From `paint`." does not.
_FROM = re.compile(r"From\b(?!.* to )")
#: Headings of the sections whose entries are described.
_SECTIONS = ("Parameters", "Attributes", "Other Parameters", "Yields")


def is_fragment(text: str) -> bool:
    """Whether a text begins as a fragment does."""
    return bool(_FRAGMENT.match(text) or _FROM.match(text))


def descriptions(docstring: str) -> Iterator[str]:
    """The summary, and the descriptions of all parameters and attributes."""
    paragraphs = docstring.split("\n\n")
    yield paragraphs[0].replace("\n", " ")
    for heading, body in re.findall(r"^(\w[\w ]*)\n-+\n((?:.*\n?)*?)(?=^\w[\w ]*\n-+$|\Z)", docstring, re.MULTILINE):
        if heading in _SECTIONS:
            yield from re.findall(r"^\S.*\n    (\S.*(?:\n    .*)*)", body, re.MULTILINE)


def fragments(path: Path) -> Iterator[str]:
    """The fragments in a module's docstrings, each with its place."""
    for node in ast.walk(ast.parse(path.read_text())):
        if not isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        for text in descriptions(ast.get_docstring(node) or "."):
            if is_fragment(text):
                where = f"{path.relative_to(ROOT).as_posix()}:{getattr(node, 'lineno', 1)}"
                yield f"{where} {getattr(node, 'name', 'module')}: {text.splitlines()[0]}"


@pytest.mark.parametrize(
    ("text", "fragment"),
    [
        ("Of the model.", True),
        ("As of `run`.", True),
        ("From `paint`.", True),
        ("Those of the result.", True),
        ("From a recipe to a model.", False),
        ("Offset of the frame [s].", False),
        ("Number of frames.", False),
    ],
)
def test_fragments_are_told_from_sentences(text: str, *, fragment: bool) -> None:
    assert is_fragment(text) is fragment


def test_summary_and_entries_are_read() -> None:
    docstring = (
        "Fit it.\n\nMore.\n\nParameters\n----------\nscan\n    Of a mouse,\n    or not.\na, b : int\n    Numbers.\n\n"
        "Raises\n------\nValueError\n    If not.\n\nNotes\n-----\nOf old.\n"
    )
    assert list(descriptions(docstring)) == ["Fit it.", "Of a mouse,\n    or not.", "Numbers."]


@pytest.mark.parametrize("room", ROOMS)
def test_no_docstring_is_a_fragment(room: str) -> None:
    paths = [ROOT / room] if room.endswith(".py") else sorted((ROOT / room).rglob("*.py"))
    assert paths
    assert [fragment for path in paths for fragment in fragments(path)] == []
