"""Files of a store that only remember what can be read again: any of them may be lost, or be deleted, at any time."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from dlif_core.finite import to_json
from dlif_core.store.folder import Folder


def recall(folder: Folder, key: str) -> dict[str, Any]:
    """What a cache file remembers, by name; nothing if it is not there or can't be read."""
    try:
        found = json.loads(folder.read(key))
    except (FileNotFoundError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def remember(folder: Folder, key: str, content: Mapping[str, Any]) -> None:
    """Write a cache file at once. Of two processes that do so the last wins, and what is lost is read again."""
    folder.write(key, to_json(content, where=key, separators=(",", ":")).encode())
