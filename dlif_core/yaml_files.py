"""Settings in YAML files, read so that nothing which a file says is lost."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from dlif_core.errors import ConfigurationError

if TYPE_CHECKING:
    import yaml


def read_yaml(path: Path) -> Any:
    """Content of a YAML file.

    YAML itself takes the last of several equal keys; here they are refused, since one of them would go unheeded.

    Raises
    ------
    ConfigurationError
        If it can't be read as text, is not YAML, or a key is there twice.
    """
    import yaml

    try:
        text = path.read_text(encoding="utf-8-sig")
        nodes, content = yaml.compose(text, Loader=yaml.SafeLoader), yaml.safe_load(text)
    except UnicodeDecodeError as fault:
        raise ConfigurationError(f"this is not UTF-8 text: {fault}.", where=path, hint="Save it as UTF-8.") from fault
    except OSError as fault:
        raise ConfigurationError(f"it can't be read: {fault.strerror}.", where=path, hint="Check the file.") from fault
    except (yaml.YAMLError, ValueError) as fault:  # dates such as 2020-13-01 are ValueErrors
        raise ConfigurationError(f"this is not YAML: {fault}", where=path, hint="Correct the line named.") from fault
    except RecursionError as fault:
        raise ConfigurationError("it is nested too deeply.", where=path, hint="Write it flatter.") from fault
    _require_distinct_keys(nodes, path)
    return content


def _require_distinct_keys(root: yaml.Node | None, path: Path) -> None:
    waiting: list[Any] = [root]
    seen: set[int] = set()  # a node may hold itself
    while waiting:
        node = waiting.pop()
        if id(node) in seen or node is None or isinstance(node.value, str):
            continue
        seen.add(id(node))
        pairs = [entry for entry in node.value if isinstance(entry, tuple)]
        _require_distinct([key for key, _ in pairs], path)
        waiting += [each for pair in pairs for each in pair] if pairs else node.value


def _require_distinct(keys: list[yaml.Node], path: Path) -> None:
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
