"""Settings as validated objects: every fault is named at once, with its place and value, and what is valid there."""

from __future__ import annotations

import reprlib
from collections.abc import Callable, Iterable, Mapping
from datetime import date, datetime
from typing import Any, Self, TypeVar

from pydantic import BaseModel, ConfigDict, ModelWrapValidatorHandler, TypeAdapter, ValidationError, model_validator
from pydantic_core import ErrorDetails, InitErrorDetails, PydanticCustomError

from dlif_core.credentials import require_no_credentials
from dlif_core.errors import ConfigurationError
from dlif_core.registry import suggestion

Kind = TypeVar("Kind")
Result = TypeVar("Result")

_UNKNOWN_KEY = "unknown_key"
# pydantic's words for these faults speak of Python
_PLAIN_WORDS = {
    "missing": "it is needed",
    "dict_type": "keys and values belong here",
    "model_type": "keys and values belong here",
    "dataclass_type": "keys and values belong here",
    "tuple_type": "a list belongs here",
    "list_type": "a list belongs here",
    "invalid_key": "keys are texts here",
}
# faults whose message says all that there is to say
_WITHOUT_VALUE = ("missing", "invalid_key", "value_error", _UNKNOWN_KEY)


class Section(BaseModel):
    """Settings that belong together: a part of a file, or the options of a method.

    They don't change once they are made. A key that the section does not know is refused, with the nearest valid one.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    @classmethod
    def valid_keys(cls) -> tuple[str, ...]:
        """Keys that a file may give in this section."""
        return tuple(cls.model_fields)

    @model_validator(mode="wrap")
    @classmethod
    def _unknown_keys_get_a_suggestion(cls, values: Any, handler: ModelWrapValidatorHandler[Self]) -> Self:
        try:
            return handler(values)
        except ValidationError as faults:
            details = [_with_suggestion(fault, cls.valid_keys()) for fault in faults.errors(include_url=False)]
            raise ValidationError.from_exception_data(cls.__name__, details) from None


def _with_suggestion(fault: ErrorDetails, keys: tuple[str, ...]) -> InitErrorDetails:
    """A fault as it was; that of an unknown key of this section with the nearest valid one."""
    if fault["type"] == "extra_forbidden" and len(fault["loc"]) == 1:
        return _raised_again(fault) | {"type": unknown_key(str(fault["loc"][0]), keys)}
    return _raised_again(fault)


def _raised_again(fault: ErrorDetails) -> InitErrorDetails:
    """A fault in the form in which it can be raised."""
    kind, context = fault["type"], fault.get("ctx", {})
    custom = PydanticCustomError(_UNKNOWN_KEY, "{reason}", context) if kind == _UNKNOWN_KEY else None
    return InitErrorDetails(type=custom or kind, loc=fault["loc"], input=fault["input"], ctx=context)


def unknown_key(key: str, valid: Iterable[str]) -> PydanticCustomError:
    """The fault of a key that is not among the valid ones, for a validator to raise."""
    valid = tuple(valid)
    advice = suggestion(key, valid) or f" Valid are: {', '.join(valid) or 'none'}."
    return PydanticCustomError(_UNKNOWN_KEY, "{reason}", {"reason": f"unknown key {key!r}.{advice}"})


def validated_each(values: Mapping[str, Any], validate: Callable[[str, Any], Result], title: str) -> dict[str, Result]:
    """Every value validated by a function of its key and itself, for a validator to use: all faults at once.

    Parameters
    ----------
    values
        Values by key.
    validate
        Gives the validated value, or raises pydantic's ValidationError or a ValueError.
    title
        What is validated.

    Raises
    ------
    ValidationError
        With the faults of all values, each at its key.
    """
    sound, faulty = {}, []
    for key, value in values.items():
        try:
            sound[key] = validate(key, value)
        except ValidationError as faults:
            again = (_raised_again(fault) for fault in faults.errors(include_url=False))
            faulty += [fault | {"loc": (key, *fault["loc"])} for fault in again]
        except ValueError as error:
            faulty.append(InitErrorDetails(type="value_error", loc=(key,), input=value, ctx={"error": error}))
    if faulty:
        raise ValidationError.from_exception_data(title, faulty)
    return sound


def validated(kind: type[Kind], content: Any, *, where: object, hint: str) -> Kind:
    """Plain values, as a file gives them, as an object.

    Parameters
    ----------
    kind
        A `Section` or a dataclass.
    content
        The values.
    where
        File or setting that holds them, for the message.
    hint
        What to do about a fault, for the message.

    Raises
    ------
    ConfigurationError
        If a key is unknown or missing, or a value is not allowed; all faults are named at once. If an address among
        the values holds credentials.
    """
    require_no_credentials(content, where)
    try:
        return TypeAdapter(kind).validate_python(content)
    except ValidationError as faults:
        raise ConfigurationError(_explanation(faults, content), where=where, hint=hint) from faults


def _explanation(faults: ValidationError, content: Any) -> str:
    """Every faulty place with what is wrong there; a value may be of several kinds and fail to be any of them."""
    places: dict[str, list[ErrorDetails]] = {}
    for fault in faults.errors(include_url=False):
        places.setdefault(_place(fault, content), []).append(fault)
    return " ".join(_sentence(place, found) for place, found in places.items())


def _place(fault: ErrorDetails, content: Any) -> str:
    """The place as far as the file has it: pydantic also names the kinds of value that it tried."""
    place: list[str] = []
    for part in fault["loc"]:
        inner = dict(enumerate(content)) if isinstance(content, list | tuple) else content
        if isinstance(inner, Mapping) and part in inner:
            content = inner[part]
            place.append(str(part))
    if fault["type"] == "missing":
        place.append(str(fault["loc"][-1]))
    return ".".join(place)


def _sentence(place: str, faults: list[ErrorDetails]) -> str:
    reasons = ", or: ".join(dict.fromkeys(_reason(fault) for fault in faults))
    shown = [fault["input"] for fault in faults if fault["type"] not in _WITHOUT_VALUE]
    value = f" (got {reprlib.repr(shown[0])})" if shown else ""
    end = "" if reasons.endswith("?") else "."
    return f"{place}: {reasons}{value}{end}".removeprefix(": ")


def _reason(fault: ErrorDetails) -> str:
    context = fault.get("ctx", {})
    if fault["type"] == "string_type":
        return _no_text(fault["input"])
    if fault["type"] == "too_short":
        return f"at least {context['min_length']} belong here"
    if fault["type"] == "too_long":
        return f"at most {context['max_length']} belong here"
    return _PLAIN_WORDS.get(fault["type"], fault["msg"].removeprefix("Value error, ").removesuffix("."))


def _no_text(value: Any) -> str:
    """What is to be done about a value that YAML did not read as a text."""
    kinds = {bool: "yes or no", int: "a number", float: "a number", date: "a date", datetime: "a date"}
    read = kinds.get(type(value))
    return "a text belongs here" + (f": put it in quotes, or YAML reads it as {read}" if read else "")
