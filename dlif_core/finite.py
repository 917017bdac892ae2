"""The rule that nothing is written with a NaN that is not meant: a value that may be missing says so, others are refused.

In JSON a value that is missing is null, see `nulled`; in a dataset its variable has the attribute ``missing``, see
`may_miss`.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

from dlif_core.errors import NotFiniteError

#: Attribute of a variable whose values may be NaN; it says in words what that means.
MISSING = "missing"

_HINT = "This is a fault of dlif or of the data that were read; please report it with the name of the value."


def to_json(content: object, *, where: object, **form: Any) -> str:
    """Write a value as JSON, in which every number is finite.

    Parameters
    ----------
    content
        Plain values.
    where
        File or product that it is for.
    **form
        Options of `json.dumps`, such as ``indent`` and ``sort_keys``.

    Raises
    ------
    NotFiniteError
        If a number is NaN or infinite; the message names it.

    Examples
    --------
    >>> from dlif_core.finite import nulled, to_json
    >>> to_json({"Ki": float("nan")}, where="table")
    Traceback (most recent call last):
    dlif_core.errors.NotFiniteError: table: 'Ki' is nan; nothing was written. ...
    >>> to_json(nulled({"Ki": float("nan")}), where="table")
    '{"Ki": null}'
    """
    try:
        return json.dumps(content, allow_nan=False, **form)
    except ValueError:
        name, value = _first_not_finite(content) or ("a value", "not finite")
        raise NotFiniteError(f"{name} is {value}; nothing was written.", where=where, hint=_HINT) from None


def nulled(content: Any) -> Any:
    """Plain values in which every NaN or infinite number is None: for output in which such a number means missing."""
    if isinstance(content, Mapping):
        return {key: nulled(value) for key, value in content.items()}
    if isinstance(content, list | tuple):
        return [nulled(value) for value in content]
    return None if isinstance(content, float) and not math.isfinite(content) else content


def _first_not_finite(content: object, name: str = "") -> tuple[str, object] | None:
    """Name and value of the first number that is not finite."""
    if isinstance(content, float):
        return None if math.isfinite(content) else (repr(name or "the value"), content)
    if isinstance(content, Mapping):
        parts: Sequence[tuple[object, object]] = list(content.items())
    else:
        parts = list(enumerate(content)) if isinstance(content, list | tuple) else []
    found = (_first_not_finite(value, f"{name}.{key}".lstrip(".")) for key, value in parts)
    return next((one for one in found if one), None)
