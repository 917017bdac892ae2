"""Filters: conditions on columns of a catalog, such as ``species == "mouse" and arterial_samples >= 10``.

A filter is written as a Python expression, but never evaluated as one. `ast` takes it apart, and only comparisons of a
column with values, joined by ``and``, ``or`` and ``not``, are translated, each into a function of pyarrow on whole
columns. There are no calls, attributes, subscripts or arithmetic, so that a filter can read no file, run nothing and
take no more time than a few passes over its columns. (`pandas.DataFrame.query` and `eval` would run what they are
given.)
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import reduce
from typing import TYPE_CHECKING, Any

from dlif_core.catalog.columns import BY_NAME, CatalogColumn
from dlif_core.catalog.file import known_column, read_catalog
from dlif_core.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pyarrow as pa

_WHERE = "filter"
#: More than a condition that a person writes; deeper nesting would exhaust the parser.
_LONGEST = 2000
_DEEPEST = 50

_COMPARISONS: Mapping[type[ast.cmpop], str] = {
    ast.Eq: "equal",
    ast.NotEq: "not_equal",
    ast.Lt: "less",
    ast.LtE: "less_equal",
    ast.Gt: "greater",
    ast.GtE: "greater_equal",
}
_MIRRORED: Mapping[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.Gt,
    ast.LtE: ast.GtE,
    ast.Gt: ast.Lt,
    ast.GtE: ast.LtE,
}
_LISTS = ("texts",)
#: Python types of the values that a column is compared with, and what they are called.
_VALUES: Mapping[str, tuple[tuple[type, ...], str]] = {
    "text": ((str,), "text in quotes"),
    "texts": ((str,), "text in quotes"),
    "number": ((int, float), "a number"),
    "count": ((int, float), "a number"),
    "yes or no": ((bool,), "True or False"),
}

#: A condition: rows of a table → a column of true, false and null, where null means that it can't be told.
Condition = Callable[["pa.Table"], Any]


@dataclass(frozen=True)
class CatalogFilter:
    """A condition on rows; a row of which it can't be told, because a value is missing, is left out.

    Attributes
    ----------
    text
        The condition as it was written; "" lets every row pass.

    Raises
    ------
    ConfigurationError
        If it is no condition, names an unknown column or compares a column with a value of another kind.

    Examples
    --------
    >>> sorted(CatalogFilter("species == 'mouse' and not body_weight > 0.03").columns)
    ['body_weight', 'species']
    """

    text: str = ""

    def __post_init__(self) -> None:
        self._condition()

    @property
    def columns(self) -> frozenset[str]:
        """Columns that the condition reads."""
        tree = _parsed(self.text) if self.text else ast.Constant(value=True)
        return frozenset(node.id for node in ast.walk(tree) if isinstance(node, ast.Name))

    def of(self, table: pa.Table) -> pa.Table:
        """The rows of a table that pass; it must have the columns of the condition."""
        condition = self._condition()
        return table if condition is None else table.filter(condition(table))

    def _condition(self) -> Condition | None:
        return _translated(_parsed(self.text)) if self.text else None


def read_filtered(uri: str, where: CatalogFilter, columns: Sequence[str]) -> pa.Table:
    """Rows of a catalog that pass a filter, with some of its columns; others are not read."""
    wanted = [known_column(name) for name in columns]
    table = read_catalog(uri, list(dict.fromkeys([*wanted, *sorted(where.columns)])))
    return where.of(table).select(wanted)


def _parsed(text: str) -> ast.expr:
    if len(text) > _LONGEST:
        raise _refused(f"it has {len(text)} characters; {_LONGEST} are possible.")
    try:
        tree = ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as fault:
        raise _refused("it can't be read.") from fault
    _require_shallow(tree)
    return tree


def _require_shallow(tree: ast.expr) -> None:
    """Refuse conditions within conditions that would exhaust the stack."""
    level: list[ast.AST] = [tree]
    for _ in range(_DEEPEST):
        level = [inner for node in level for inner in ast.iter_child_nodes(node)]
    if level:
        raise _refused(f"conditions are nested more than {_DEEPEST} deep.")


def _refused(message: str) -> ConfigurationError:
    return ConfigurationError(
        message,
        where=_WHERE,
        hint="Compare columns with values, such as: species == 'mouse' and 'arterial' in input_functions.",
    )


def _translated(node: ast.expr) -> Condition:
    """The condition of a part of the expression."""
    if isinstance(node, ast.BoolOp):
        name = "and_kleene" if isinstance(node.op, ast.And) else "or_kleene"
        return _joined(name, [_translated(value) for value in node.values])
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        return _negated(_translated(node.operand))
    if isinstance(node, ast.Compare):
        sides = [node.left, *node.comparators]
        pairs = zip(sides[:-1], node.ops, sides[1:], strict=True)
        return _joined("and_kleene", [_compared(*pair) for pair in pairs])
    if isinstance(node, ast.Name):
        column = _column(node)
        if column.kind != "yes or no":
            raise _refused(f"column {column.name!r} holds {column.kind}, and stands alone.")
        return lambda table: table[column.name]
    raise _refused(f"{ast.unparse(node)[:60]!r} is no comparison of a column.")


def _joined(name: str, conditions: Sequence[Condition]) -> Condition:
    def join(table: pa.Table) -> Any:
        return reduce(lambda first, second: _compute(name)(first, second), (one(table) for one in conditions))

    return join


def _negated(condition: Condition) -> Condition:
    return lambda table: _compute("invert")(condition(table))


def _compared(left: ast.expr, operator: ast.cmpop, right: ast.expr) -> Condition:
    if isinstance(operator, ast.In | ast.NotIn):
        found = _membership(left, right)
        return _negated(found) if isinstance(operator, ast.NotIn) else found
    if not isinstance(left, ast.Name):
        left, right = right, left
        operator = _MIRRORED.get(type(operator), type(operator))()
    if not isinstance(left, ast.Name):
        raise _refused(f"{ast.unparse(left)[:60]!r} is compared, and is no column.")
    column = _column(left)
    if isinstance(operator, ast.Is | ast.IsNot):
        return _missing(column, right, isinstance(operator, ast.IsNot))
    if column.kind in _LISTS:
        raise _refused(f"column {column.name!r} holds a list; write 'name' in {column.name}.")
    return _comparison(_COMPARISONS[type(operator)], column, _value(right, column))


def _comparison(name: str, column: CatalogColumn, value: Any) -> Condition:
    return lambda table: _compute(name)(table[column.name], value)


def _missing(column: CatalogColumn, value: ast.expr, is_given: bool) -> Condition:
    if not isinstance(value, ast.Constant) or value.value is not None:
        raise _refused("`is` stands before None alone.")
    name = "is_valid" if is_given else "is_null"
    return lambda table: _compute(name)(table[column.name])


def _membership(left: ast.expr, right: ast.expr) -> Condition:
    """``column in [values]``, or ``value in column`` for a column of lists."""
    if isinstance(left, ast.Name) and isinstance(right, ast.List | ast.Tuple | ast.Set):
        column = _column(left)
        if column.kind not in _LISTS:
            return _one_of(column, [_value(one, column) for one in right.elts])
    if isinstance(right, ast.Name):
        column = _column(right)
        if column.kind in _LISTS:
            return _contains(column, _value(left, column))
    raise _refused("`in` stands between a column and a list of values, or a value and a column that holds a list.")


def _one_of(column: CatalogColumn, values: Sequence[Any]) -> Condition:
    return _joined("or_kleene", [_comparison("equal", column, value) for value in values] or [_nowhere(column)])


def _nowhere(column: CatalogColumn) -> Condition:
    """False in every row."""
    return lambda table: _compute("and")(_compute("is_null")(table[column.name]), False)


def _contains(column: CatalogColumn, value: str) -> Condition:
    def contains(table: pa.Table) -> Any:
        import numpy as np
        import pyarrow as pa

        lists = table[column.name].combine_chunks()
        lists = lists.chunk(0) if isinstance(lists, pa.ChunkedArray) and lists.num_chunks else lists
        found = np.zeros(len(table), bool)
        if len(table):
            rows, values = _compute("list_parent_indices")(lists), _compute("list_flatten")(lists)
            found[rows.filter(_compute("equal")(values, value)).to_numpy()] = True
        return pa.chunked_array([pa.array(found)])

    return contains


def _column(node: ast.Name) -> CatalogColumn:
    column = BY_NAME[known_column(node.id)]
    if column.kind not in _VALUES:
        raise _refused(f"column {column.name!r} can't be compared.")
    return column


def _value(node: ast.expr, column: CatalogColumn) -> Any:
    """The value that a column is compared with.

    Raises
    ------
    ConfigurationError
        If it is of another kind than the column.
    """
    kinds, called = _VALUES[column.kind]
    try:
        value = ast.literal_eval(node)
    except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError):
        value = None
    try:
        if isinstance(value, kinds) and (bool in kinds or not isinstance(value, bool)):
            return _plain(value)
    except (OverflowError, UnicodeEncodeError):
        pass
    raise _refused(f"column {column.name!r} is compared with {ast.unparse(node)[:60]!r}, which is not {called}.")


def _plain(value: Any) -> Any:
    """The value as Arrow can hold it."""
    if isinstance(value, str):
        value.encode()
    return float(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _compute(name: str) -> Callable[..., Any]:
    import pyarrow.compute as compute

    found: Callable[..., Any] = getattr(compute, f"{name}_" if name in ("and", "or") else name)
    return found
