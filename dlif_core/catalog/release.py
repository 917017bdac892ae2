"""A release of chosen scans: curves, blood and input functions as PET-BIDS, under new names and without dates.

No image is released: a face can be told from one. Of text, a release holds words of lists that dlif keeps, and names of
tracers and regions, which its card lists so that a person can look them over.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dlif_core.catalog.card import write_card
from dlif_core.catalog.filters import CatalogFilter, read_filtered
from dlif_core.catalog.new_names import NameKey
from dlif_core.catalog.released_scan import released_input_function, released_scan, released_volumes
from dlif_core.errors import ConfigurationError
from dlif_core.ingest.bids.writing import write_dataset, write_participants, write_scan, write_table
from dlif_core.storage import is_url
from dlif_core.store import Store, open_store
from dlif_core.study.input_functions import read_input_function
from dlif_core.study.products import source_name
from dlif_core.study.source import read_scan

_WHERE = "dlif catalog release"
#: Columns of a catalog that a release needs: where scans lie, and what the card tells.
_COLUMNS = (
    *("store", "study", "scan", "animal", "status", "fingerprint", "species", "tracer", "manufacturer", "scanner"),
    *("reconstruction", "administration", "regions", "arterial_samples", "has_plasma", "has_parent_fraction"),
    *("input_functions", "assumed", "doubtful", "refused"),
)
_KEPT = {
    "Manufacturer": "manufacturer",
    "ManufacturersModelName": "scanner",
    "ReconMethodName": "reconstruction",
    "ModeOfAdministration": "administration",
}


@dataclass(frozen=True)
class CatalogRelease:
    """Where a release is written.

    Attributes
    ----------
    folder
        New folder of the release.
    key
        File with old and new names; names in it are used again.

    Raises
    ------
    ConfigurationError
        If the folder is there already, or the key would lie in it.
    """

    folder: Path
    key: Path

    def __post_init__(self) -> None:
        folder, key = self.folder.resolve(), self.key.resolve()
        if folder == key or folder in key.parents:
            raise ConfigurationError(
                "the key would lie in the release, which must not lead back to anybody.",
                where=self.key,
                hint="Name a file elsewhere, with --key.",
            )
        if folder.exists():
            raise ConfigurationError("it is there already.", where=self.folder, hint="Name a new folder.")

    def write(self, catalog: str, where: str, told: Callable[[int, int], object] = lambda done, all: None) -> int:
        """Write the release; it is there when it is complete.

        Parameters
        ----------
        catalog
            Path or URL of the catalog.
        where
            Condition on the scans, see `CatalogFilter`. Scans that did not succeed are left out.
        told
            Called with the number of scans that are done, and of all.

        Returns
        -------
        Number of scans.

        Raises
        ------
        ConfigurationError
            If there is no such scan, or what a store holds is newer than the catalog.
        """
        rows = read_filtered(catalog, CatalogFilter(where), _COLUMNS).to_pylist()
        rows = [row for row in rows if row["status"] == "success"]
        if not rows:
            raise ConfigurationError("there is no scan to release.", where=_WHERE, hint="Choose others with --where.")
        _require_once(rows)
        key = NameKey.read(self.key)
        names = [key.name(row["animal"], row["scan"]) for row in rows]
        for place in (self.folder, self.key):
            place.parent.mkdir(parents=True, exist_ok=True)
        partial = Path(tempfile.mkdtemp(prefix=f".{self.folder.name}-", dir=self.folder.parent))
        try:
            _write_scans(partial, rows, names, told)
            write_card(partial, rows, names)
            key.write(self.key)
            partial.chmod(0o755)
            partial.rename(self.folder)
        except BaseException:
            shutil.rmtree(partial, ignore_errors=True)
            raise
        return len(rows)


def _require_once(rows: Sequence[Mapping[str, Any]]) -> None:
    """Refuse a scan that is in several stores: the release would hold one of them."""
    seen: dict[tuple[str, str], str] = {}
    for row in rows:
        other = seen.setdefault((row["animal"], row["scan"]), row["store"])
        if other != row["store"]:
            raise ConfigurationError(
                f"scan {row['scan']} of study {row['study']} is in two stores, {other} and {row['store']}.",
                where=_WHERE,
                hint="Choose one of them with --where, such as: store == '…'.",
            )


def release_at(folder: str, key: str) -> CatalogRelease:
    """A release in a folder of this machine, with its key.

    Raises
    ------
    ConfigurationError
        If one of them is a URL, the folder is there already, or the key would lie in it.
    """
    for place in (folder, key):
        if is_url(place):
            raise ConfigurationError(
                "a release is written on this machine.", where=place, hint="Name a path; copy the folder afterwards."
            )
    return CatalogRelease(Path(folder).expanduser(), Path(key).expanduser())


def _write_scans(
    root: Path, rows: Sequence[Mapping[str, Any]], names: Sequence[str], told: Callable[[int, int], object]
) -> None:
    write_dataset(root, "PET curves and blood, released by dlif")
    stores = {uri: open_store(uri) for uri in {row["store"] for row in rows}}
    subjects = [name.partition("_")[0] for name in names]
    species = {name: {"species": row["species"] or "n/a"} for name, row in zip(subjects, rows, strict=True)}
    write_participants(root, dict(sorted(species.items())))
    for done, (row, name) in enumerate(zip(rows, names, strict=True), start=1):
        _write_one(root, stores[row["store"]], row, name)
        told(done, len(rows))


def _write_one(root: Path, store: Store, row: Mapping[str, Any], name: str) -> None:
    marker = store.marker(source_name(row["scan"]))
    if marker is None or marker.fingerprint != row["fingerprint"]:
        raise ConfigurationError(
            f"scan {row['scan']} was made again since the catalog was built.",
            where=row["store"],
            hint="Build the catalog again.",
        )
    scan, blood = read_scan(store, row["scan"])
    words = {field: row[column] or "" for field, column in _KEPT.items()}
    write_scan(root, name, released_scan(scan, blood, words))
    volumes = released_volumes(scan)
    if volumes is not None:
        write_table(_folder(root, "curves", name) / f"{name}_morph.tsv", volumes)
    for method in row["input_functions"]:
        curve = read_input_function(store, row["scan"], method)
        label = method.replace("-", "")
        path = _folder(root, "inputfunctions", name) / f"{name}_desc-{label}_inputfunction.tsv"
        write_table(path, released_input_function(curve))


def _folder(root: Path, pipeline: str, name: str) -> Path:
    """Folder of a scan in the derivatives of a pipeline; `write_scan` puts curves into ``curves``."""
    folder = root.joinpath("derivatives", pipeline, *name.split("_"), "pet")
    folder.mkdir(parents=True, exist_ok=True)
    return folder
