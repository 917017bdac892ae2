"""The rule that nothing is written with a NaN that is not meant: who writes says which values may be missing.

A missing value is null in JSON (`nulled`), ``n/a`` in tables, and NaN in a variable of a dataset that is named in
`require_finite`. Every other number that is not finite is refused.
"""

from __future__ import annotations

import fnmatch
import json
import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from dlif_core.errors import NotFiniteError

if TYPE_CHECKING:
    import xarray as xr

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


def require_finite(dataset: xr.Dataset, may_miss: Sequence[str] = (), *, where: object) -> None:
    """Refuse a dataset with a number that is not finite, in variables, coordinates or attributes.

    Parameters
    ----------
    dataset
        What is to be written.
    may_miss
        Names of variables whose values may be missing, with ``*`` and ``?`` as in file names.
    where
        Product that it is for.

    Raises
    ------
    NotFiniteError
        If there is such a number; the message names the variable.
    """
    for name, variable in dataset.variables.items():
        to_json(dict(variable.attrs), where=f"{where}, attributes of {name}", default=str)
        if variable.dtype.kind != "f" or any(fnmatch.fnmatchcase(str(name), pattern) for pattern in may_miss):
            continue
        missing = int(np.count_nonzero(~np.isfinite(variable.to_numpy())))
        if missing:
            raise NotFiniteError(
                f"{missing} of {variable.size} values of {name} are not finite; nothing was written.",
                where=where,
                hint=_HINT,
            )
    to_json(dict(dataset.attrs), where=where, default=str)


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
