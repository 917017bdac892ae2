"""Names of a package that are loaded when they are first used, so that importing the package is quick (PEP 562)."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any


def lazy_attribute(package: str, home: Mapping[str, str], name: str) -> Any:
    """A name of a package, from the module that defines it; the body of the package's ``__getattr__``.

    Parameters
    ----------
    package
        The package's ``__name__``.
    home
        Module below the package by the name that it defines.
    name
        The name that is asked for.

    Raises
    ------
    AttributeError
        If the package has no such name.
    """
    if name not in home:
        raise AttributeError(f"module {package!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{package}.{home[name]}"), name)
