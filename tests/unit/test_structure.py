"""The shape of the code: no import cycle, small functions, short modules, class names that tell classes apart."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path

import grimp
import numpy as np
import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("dlif_core", "tasks", "flows")
FOLDERS = (*PACKAGES, "tests", "benchmarks")

MODULE_LINES = 400
MEDIAN_LINES = 8
NINE_IN_TEN_LINES = 20
LONGEST_LINES = 60


def modules(*folders: str) -> Iterator[Path]:
    for folder in folders:
        yield from sorted(path for path in (ROOT / folder).rglob("*.py") if ".peers" not in path.parts)


def place(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def cycles(imports: Mapping[str, set[str]]) -> list[list[str]]:
    """Strongly connected groups of more than one module (Tarjan's algorithm)."""
    found: list[list[str]] = []
    number: dict[str, int] = {}
    lowest: dict[str, int] = {}
    path: list[str] = []
    open_modules: set[str] = set()

    def visit(module: str) -> None:
        number[module] = lowest[module] = len(number)
        path.append(module)
        open_modules.add(module)
        for imported in imports[module]:
            if imported not in number:
                visit(imported)
            if imported in open_modules:
                lowest[module] = min(lowest[module], lowest[imported])
        if lowest[module] == number[module]:
            group = path[path.index(module) :]
            del path[path.index(module) :]
            open_modules.difference_update(group)
            if len(group) > 1:
                found.append(sorted(group))

    for module in sorted(imports):
        if module not in number:
            visit(module)
    return found


def body_lines(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Lines from the first statement after the docstring to the end; 0 for a function that only has a docstring."""
    body = function.body[1:] if ast.get_docstring(function, clean=False) is not None else function.body
    return (function.end_lineno or 0) - body[0].lineno + 1 if body else 0


@pytest.fixture(scope="module")
def lengths() -> dict[str, int]:
    """Body lines of every function that has a body, by place."""
    functions = {
        f"{place(path)}:{node.lineno} {node.name}": body_lines(node)
        for path in modules(*PACKAGES)
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }
    return {where: lines for where, lines in functions.items() if lines}


class TestImports:
    def test_cycles_are_found(self) -> None:
        imports = {"a": {"b"}, "b": {"c", "e"}, "c": {"b", "d"}, "d": set(), "e": {"f"}, "f": {"e"}, "g": {"a", "g"}}
        assert sorted(cycles(imports)) == [["b", "c"], ["e", "f"]]

    def test_no_module_imports_itself_through_others_even_for_types(self) -> None:
        graph = grimp.build_graph(*PACKAGES, cache_dir=None)
        assert cycles({module: graph.find_modules_directly_imported_by(module) for module in graph.modules}) == []


class TestSize:
    def test_body_is_counted_without_docstring(self) -> None:
        source = 'def f():\n    """One.\n\n    Two.\n    """\n    a = 1\n\n    return a\n'
        assert body_lines(ast.parse(source).body[0]) == 3  # type: ignore[arg-type]

    def test_no_function_is_long(self, lengths: dict[str, int]) -> None:
        assert {where: lines for where, lines in lengths.items() if lines > LONGEST_LINES} == {}

    def test_most_functions_are_short(self, lengths: dict[str, int]) -> None:
        values = list(lengths.values())
        assert np.median(values) <= MEDIAN_LINES
        assert np.quantile(values, 0.9) <= NINE_IN_TEN_LINES

    def test_no_module_is_long(self) -> None:
        lines = {place(path): len(path.read_text().splitlines()) for path in modules(*FOLDERS)}
        assert {path: count for path, count in lines.items() if count > MODULE_LINES} == {}


def test_no_two_public_classes_have_the_same_name() -> None:
    places = defaultdict(list)
    for path in modules("dlif_core"):
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                places[node.name].append(place(path))
    assert {name: where for name, where in places.items() if len(where) > 1} == {}
