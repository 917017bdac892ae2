"""Registries: the built-in parts of one kind by name, and those that other packages add."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from difflib import get_close_matches
from functools import cached_property
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

from dlif_core.errors import ConfigurationError

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint
_NAME = re.compile(r"[A-Za-z0-9][\w.-]*")


class Named(Protocol):
    """A part that a registry can hold: it has a name."""

    @property
    def name(self) -> str:
        """Name in study files, in products and on the command line."""


Part = TypeVar("Part", bound=Named)
Value = TypeVar("Value")


class Registry(Mapping[str, Part], Generic[Part]):
    """Parts of one kind by name, in the order in which they were entered.

    Other packages add parts by an entry point of the registry's group, which names an object of that kind. They are
    loaded when the registry is first read, in every process, so that workers know them too.

    Parameters
    ----------
    kind
        What the parts are, in words for messages: ``kinetic model``.
    group
        Entry-point group of other packages' parts, for example ``dlif.models``; empty for none.
    parts
        The built-in parts.

    Raises
    ------
    ConfigurationError
        If a name is taken or can't name a part of a product; for parts of other packages, which may fail to load too,
        on first reading.
    """

    def __init__(self, kind: str, group: str, parts: Iterable[Part]) -> None:
        self.kind = kind
        self.group = group
        self._own: dict[str, Part] = {}
        for part in parts:
            self.register(part)

    def register(self, part: Part) -> Part:
        """Add a part in this process only; an entry point adds it in all processes.

        Raises
        ------
        ConfigurationError
            If its name is taken, or can't name a part of a product.
        """
        _require_name(part, self.kind)
        _require_free(part.name, self._own, self.kind)
        self._own[part.name] = part
        self.__dict__.pop("_parts", None)
        return part

    def unregister(self, name: str) -> None:
        """Remove a part that `register` added."""
        del self._own[name]
        self.__dict__.pop("_parts", None)

    def named(self, name: str, *, where: object = "") -> Part:
        """The part of this name.

        Parameters
        ----------
        name
            A name, as a study file gives it.
        where
            Setting that gives it, for the message.

        Raises
        ------
        ConfigurationError
            If there is none; the message gives the nearest name and the hint all names.
        """
        return named(name, self, self.kind, where=where)

    @cached_property
    def _parts(self) -> dict[str, Part]:
        from importlib.metadata import entry_points  # takes longer to import than all else here

        parts = dict(self._own)
        for point in entry_points(group=self.group) if self.group else ():
            part: Part = _load(point)
            _require_name(part, f"{self.kind} ({point.value})")
            _require_free(part.name, parts, f"{self.kind} ({point.value})")
            parts[part.name] = part
        return parts

    def __getitem__(self, name: str) -> Part:
        return self._parts[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._parts)

    def __len__(self) -> int:
        return len(self._parts)


def named(name: str, parts: Mapping[str, Value], kind: str, *, where: object = "") -> Value:
    """The part of this name in a mapping.

    Parameters
    ----------
    name
        A name, as a study file gives it.
    parts
        All parts by name.
    kind
        What they are, in words for the message.
    where
        Setting that gives the name, for the message.

    Raises
    ------
    ConfigurationError
        If there is none; the message gives the nearest name and the hint all names.
    """
    if name in parts:
        return parts[name]
    raise ConfigurationError(
        f"there is no {kind} {name!r}.{suggestion(name, parts)}", where=where, hint=f"Known: {', '.join(parts)}."
    )


def suggestion(name: object, known: Iterable[str]) -> str:
    """Question whether the nearest of the known names was meant, to end a message; empty if none is near."""
    near = get_close_matches(str(name), list(known), n=1, cutoff=0.5)
    return f" Did you mean {near[0]!r}?" if near else ""


def _require_name(part: object, kind: str) -> None:
    """Refuse what has no name, or one that could not be part of a path: products carry it."""
    name = getattr(part, "name", None)
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise ConfigurationError(
            f"{part!r} has no name." if name is None else f"the name {name!r} is not possible.",
            where=kind,
            hint="Give it a name of letters, digits, - . and _ that begins with a letter or digit.",
        )


def _require_free(name: str, parts: Mapping[str, object], kind: str) -> None:
    if name in parts:
        raise ConfigurationError(f"the name {name!r} is taken.", where=kind, hint="Give it another name.")


def _load(point: EntryPoint) -> Any:
    try:
        return point.load()
    except Exception as fault:
        package = f"package {point.dist.name}, " if point.dist else ""
        raise ConfigurationError(
            f"it can't be loaded: {type(fault).__name__}: {fault}.",
            where=f"{package}entry point {point.group}, {point.name} = {point.value}",
            hint="Update or uninstall the package.",
        ) from fault
