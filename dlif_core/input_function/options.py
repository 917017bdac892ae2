"""Options of the methods: validated once, unknown names refused."""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from dlif_core.errors import ConfigurationError


class Options(BaseModel):
    """Base of all options objects."""

    model_config = ConfigDict(frozen=True, extra="forbid")


Kind = TypeVar("Kind", bound=Options)


def parse_options(kind: type[Kind], method: str, options: Mapping[str, Any]) -> Kind:
    """Options of a method from plain values.

    Raises
    ------
    ConfigurationError
        If a name is unknown, with the nearest valid one as hint, or a value is not allowed; all faults at once.
    """
    try:
        return kind.model_validate(dict(options))
    except ValidationError as error:
        faults = [_fault(dict(fault), kind) for fault in error.errors()]
        raise ConfigurationError(
            " ".join(faults),
            where=f"input_functions, {method}",
            hint=f"Options of this method: {', '.join(kind.model_fields) or 'none'}.",
        ) from None


def _fault(fault: dict[str, Any], kind: type[Options]) -> str:
    name = ".".join(str(part) for part in fault["loc"])
    if fault["type"] != "extra_forbidden":
        return f"{name} = {fault['input']!r}: {fault['msg']}."
    near = get_close_matches(name, kind.model_fields, n=1)
    return f"option {name!r} is unknown.{f' Did you mean {near[0]!r}?' if near else ''}"
