"""New names of animals and scans in a release, and the key that leads back from them.

New names are random, so that nothing of the old ones can be found out from them. Only the key file knows both; it never
lies in a release.
"""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dlif_core.errors import ConfigurationError
from dlif_core.finite import to_json

_LETTERS = "abcdefghjkmnpqrstuvwxyz23456789"
_LENGTH = 8


class NameKey:
    """The key of a release: names that were given, and those that are still to be.

    Parameters
    ----------
    animals
        New subject of each animal, ``sub-<random>``.
    scans
        New name of each scan by its study and name, ``sub-<random>_ses-<number>``.
    """

    def __init__(self, animals: Mapping[str, str], scans: Mapping[str, str]) -> None:
        self.animals = dict(animals)
        self.scans = dict(scans)

    @classmethod
    def read(cls, path: Path) -> NameKey:
        """The key in a file, or an empty one if there is no file.

        Raises
        ------
        ConfigurationError
            If the file is no key.
        """
        if not path.exists():
            return cls({}, {})
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            animals, scans = _names(content["animals"]), _names(content["scans"])
        except (ValueError, KeyError, TypeError) as fault:
            raise ConfigurationError(
                "it is no key of a release.", where=path, hint="Name the key of an earlier release, or a new file."
            ) from fault
        return cls(animals, scans)

    def write(self, path: Path) -> None:
        """Write the key so that nobody else may read it; a reader sees the old file or the new one."""
        text = to_json({"animals": self.animals, "scans": self.scans}, where=path, indent=1, ensure_ascii=False)
        partial = path.with_name(f"{path.name}.partial")
        partial.unlink(missing_ok=True)
        with os.fdopen(os.open(partial, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "w", encoding="utf-8") as file:
            file.write(f"{text}\n")
        partial.replace(path)

    def name(self, animal: str, scan: str) -> str:
        """New name of a scan; the same in every release with this key.

        Parameters
        ----------
        animal
            Name of the animal, ``study:subject``.
        scan
            Name of the scan in its study. Scans of an animal are numbered in the order in which they are first named.
        """
        study = animal.rpartition(":")[0]
        known = f"{study}:{scan}"
        if known not in self.scans:
            subject = self._subject(animal)
            number = 1 + sum(name.startswith(f"{subject}_") for name in self.scans.values())
            self.scans[known] = f"{subject}_ses-{number:02d}"
        return self.scans[known]

    def _subject(self, animal: str) -> str:
        if animal not in self.animals:
            taken = set(self.animals.values())
            self.animals[animal] = next(name for name in iter(_random_subject, None) if name not in taken)
        return self.animals[animal]


def _random_subject() -> str:
    return "sub-" + "".join(secrets.choice(_LETTERS) for _ in range(_LENGTH))


def _names(content: Any) -> dict[str, str]:
    if not isinstance(content, dict) or not all(isinstance(name, str) for name in content.values()):
        raise TypeError("names are text")
    return content
