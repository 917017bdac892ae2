"""Profiles: which cluster a name, a file or an address means."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from dlif_core.compute.kind import ClusterKind, Profile
from dlif_core.compute.kinds import KINDS
from dlif_core.errors import ConfigurationError
from dlif_core.registry import suggestion
from dlif_core.validation import validated
from dlif_core.yaml_files import read_yaml

_SCHEMES = ("tls", "tcp")
_ENDINGS = (".yaml", ".yml")
_HINT = "Correct the profile of the cluster; docs/clusters.md explains its keys."


@dataclass(frozen=True)
class Chosen:
    """A cluster as it was chosen.

    Attributes
    ----------
    kind
        What it is.
    profile
        Settings of the cluster.
    where
        File, name or address that chose it, for messages.
    """

    kind: ClusterKind
    profile: Profile
    where: str

    def with_workers(self, workers: int | None) -> Chosen:
        """The same with another number of workers; None leaves it as it is.

        Raises
        ------
        ConfigurationError
            If the number is no setting of the cluster.
        """
        if workers is None:
            return self
        if "workers" not in self.kind.options.model_fields:
            raise ConfigurationError(
                f"the number of workers of {self.where} is not given here.",
                where="--workers",
                hint="Leave it out; the profile or the owner of the cluster sets it.",
            )
        return Chosen(self.kind, self.profile.model_copy(update={"workers": workers}), self.where)


def chosen_cluster(text: str) -> Chosen:
    """The cluster that a name, a file or an address means.

    Parameters
    ----------
    text
        Name of a profile or kind, path of a profile (``.yaml``), or address of a scheduler.

    Raises
    ------
    ConfigurationError
        If there is none, or its profile has a fault.
    """
    if text.partition("://")[0] in _SCHEMES:
        return _checked("address", {"address": text}, text)
    path = Path(text).expanduser() if text.endswith(_ENDINGS) else _file_of(text)
    if path is not None:
        return _from_file(path)
    if text in KINDS:
        return _checked(text, {}, text)
    known = [*_names(), *(name for name in KINDS if name != "address")]
    raise ConfigurationError(
        f"there is no cluster {text!r}.{suggestion(text, known)}",
        where="--cluster",
        hint=f"Known: {', '.join(known)}. Or give the path of a profile (.yaml), or an address such as tls://host:8786.",
    )


def profile_folders() -> tuple[Path, ...]:
    """Folders in which profiles are found by name: your own, then those of the machine."""
    home = Path(os.environ.get("XDG_CONFIG_HOME") or "~/.config").expanduser()
    return home / "dlif" / "clusters", Path("/etc/dlif/clusters")


def _file_of(name: str) -> Path | None:
    return next((path for path in _files() if path.stem == name), None)


def _names() -> list[str]:
    return list(dict.fromkeys(path.stem for path in _files()))


def _files() -> Iterator[Path]:
    for folder in profile_folders():
        yield from sorted(path for ending in _ENDINGS for path in folder.glob(f"*{ending}"))


def _from_file(path: Path) -> Chosen:
    if not path.is_file():
        raise ConfigurationError("there is no such profile of a cluster.", where=path, hint="Correct the path.")
    content = read_yaml(path)
    if not isinstance(content, dict) or not isinstance(content.get("kind"), str):
        raise ConfigurationError(f"a profile says its `kind`, one of: {', '.join(KINDS)}.", where=path, hint=_HINT)
    return _checked(content.pop("kind"), content, str(path))


def _checked(kind: str, content: dict[str, object], where: str) -> Chosen:
    found = KINDS.named(kind, where=where)
    return Chosen(found, validated(found.options, content, where=where, hint=_HINT), where)
