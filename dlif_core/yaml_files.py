"""Settings in YAML files, read so that nothing which a file says is lost, and that no file can exhaust the machine."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dlif_core.errors import ConfigurationError
from dlif_core.storage import file_system

if TYPE_CHECKING:
    import yaml

#: More than any settings need: size of a file [bytes], values in it, and characters of a number.
_LARGEST = 1_000_000
_MOST_VALUES = 100_000
_LONGEST_NUMBER = 1000

_NUMBERS = ("tag:yaml.org,2002:int", "tag:yaml.org,2002:float")


def read_yaml(path: str | Path) -> Any:
    """Content of a YAML file, given by path or URL.

    YAML itself takes the last of several equal keys; here they are refused, since one of them would go unheeded.

    Raises
    ------
    ConfigurationError
        If it can't be read as text, is not YAML, a key is there twice, or it holds more, longer or other values than
        settings can be.
    """
    import yaml

    try:
        loader = yaml.SafeLoader(_text(path))
        root = loader.get_single_node()
        _require_sound(root, path)
        return None if root is None else loader.construct_document(root)
    except UnicodeDecodeError as fault:
        raise ConfigurationError(f"this is not UTF-8 text: {fault}.", where=path, hint="Save it as UTF-8.") from fault
    except OSError as fault:
        raise ConfigurationError(
            f"it can't be read: {fault.strerror or fault}.", where=path, hint="Check the file."
        ) from fault
    except RecursionError as fault:
        raise ConfigurationError("it is nested too deeply.", where=path, hint="Write it flatter.") from fault
    except ConfigurationError:
        raise
    except (yaml.YAMLError, ValueError, OverflowError) as fault:  # dates such as 2020-13-01 are ValueErrors
        raise ConfigurationError(
            f"this is not YAML: {_said(fault)}", where=path, hint="Correct the line named."
        ) from None


def _said(fault: Exception) -> str:
    """What YAML says of a fault, without the text of the line."""
    mark = getattr(fault, "problem_mark", None)
    if mark is None:
        return f"{fault}."
    return f"{getattr(fault, 'problem', '')}, line {mark.line + 1}, column {mark.column + 1}."


def _text(path: str | Path) -> str:
    fs, place = file_system(str(path))
    with fs.open(place, "rb") as file:
        content: bytes = file.read(_LARGEST + 1)
    if len(content) > _LARGEST:
        raise ConfigurationError(f"it has more than {_LARGEST} bytes.", where=path, hint="Is this a file of settings?")
    return content.decode("utf-8-sig")


def _require_sound(root: yaml.Node | None, path: str | Path) -> None:
    nodes = list(_distinct_nodes(root))
    for node in nodes:
        _require_sound_value(node, path)
    if root is not None and _count(root, {}) > _MOST_VALUES:
        raise ConfigurationError(
            f"with its aliases it holds more than {_MOST_VALUES} values.", where=path, hint="Leave out aliases (*name)."
        )


def _distinct_nodes(root: yaml.Node | None) -> Iterator[Any]:
    waiting: list[Any] = [root]
    seen: set[int] = set()  # a node may hold itself
    while waiting:
        node = waiting.pop()
        if node is None or id(node) in seen:
            continue
        seen.add(id(node))
        yield node
        waiting += _children(node)


def _children(node: Any) -> list[Any]:
    if isinstance(node.value, str):
        return []
    return [each for entry in node.value for each in (entry if isinstance(entry, tuple) else (entry,))]


def _count(node: yaml.Node, counted: dict[int, int]) -> int:
    """Values below a node, with everything that an alias stands for; a node in itself counts once."""
    if id(node) not in counted:
        counted[id(node)] = 1
        counted[id(node)] = 1 + sum(_count(child, counted) for child in _children(node))
    return counted[id(node)]


def _require_sound_value(node: Any, path: str | Path) -> None:
    """Refuse a text or number that nothing can be called or measured, and a key that is there twice."""
    if not isinstance(node.value, str):
        _require_distinct([entry[0] for entry in node.value if isinstance(entry, tuple)], path)
        return
    where = f"in line {node.start_mark.line + 1}"
    if node.tag in _NUMBERS and len(node.value) > _LONGEST_NUMBER:
        digits = len(node.value)
        raise ConfigurationError(f"a number of {digits} digits, {where}.", where=path, hint="Correct the number.")
    odd = [letter for letter in node.value if unicodedata.category(letter) in ("Cc", "Cs") and letter not in "\t\n\r"]
    if odd:
        raise ConfigurationError(
            f"character {odd[0]!r}, {where}, can't be part of a text.", where=path, hint="Delete it."
        )


def _require_distinct(keys: list[yaml.Node], path: str | Path) -> None:
    seen: set[tuple[str, str]] = set()
    for key in keys:
        if not isinstance(key.value, str) or key.tag == "tag:yaml.org,2002:merge":
            continue
        if (key.tag, key.value) in seen:
            raise ConfigurationError(
                f"key {key.value!r} is a duplicate, in line {key.start_mark.line + 1}.",
                where=path,
                hint="Keep one of them.",
            )
        seen.add((key.tag, key.value))
