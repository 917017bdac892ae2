"""Building a catalog from the stores of studies."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from dlif_core.catalog.file import write_catalog
from dlif_core.catalog.rows import CatalogedStore
from dlif_core.errors import ConfigurationError
from dlif_core.store import Store, open_store
from dlif_core.study.config import load_study
from dlif_core.study.products import COHORT

#: A site before a store: it has no slash, colon or backslash, so that no path or URL is taken for one.
_WITH_SITE = re.compile(r"(?P<site>[^/\\:=]+)=(?P<place>.+)")
#: Part of the cohort's fingerprint that holds the name of the study.
_NAME = "name"
_STUDY_FILES = (".yaml", ".yml")
#: Rows that are written at once.
_BATCH = 1000


@dataclass(frozen=True)
class CatalogPlace:
    """A store or a study, as it was named.

    Attributes
    ----------
    uri
        Path or URL of a store or of a study file.
    site
        Where the scans were made; "" for the study's name.
    """

    uri: str
    site: str = ""

    @classmethod
    def parsed(cls, text: str) -> CatalogPlace:
        """The place that an argument ``STORE`` or ``SITE=STORE`` names."""
        match = _WITH_SITE.fullmatch(text)
        return cls(match["place"], match["site"]) if match else cls(text)

    def opened(self) -> CatalogedStore:
        """The store with the names of study and site.

        Raises
        ------
        ConfigurationError
            If the study file has a fault, or a store does not say of which study it is.
        StoreError
            If there is no store.
        """
        if self.uri.endswith(_STUDY_FILES):
            config = load_study(self.uri)
            return CatalogedStore(open_store(config.output), config.name, self.site or config.name)
        store = open_store(self.uri)
        study = _study_of(store)
        return CatalogedStore(store, study, self.site or study)


def _study_of(store: Store) -> str:
    """Name of the study that a store belongs to, as its cohort says."""
    marker = store.marker(COHORT)
    if marker is None or not marker.parts.get(_NAME):
        raise ConfigurationError(
            "the store does not say of which study it is, because the cohort was not made yet.",
            where=store.uri,
            hint="Give the study file in its place, or run the study to its end.",
        )
    return marker.parts[_NAME]


def build(
    places: Sequence[CatalogPlace], target: str, told: Callable[[int], object] = lambda rows: None
) -> Counter[str]:
    """Write a catalog of all scans of some stores, each read once.

    Parameters
    ----------
    places
        Stores and studies.
    target
        Path or URL of the Parquet file; one that is there is replaced when the new one is complete.
    told
        Called with the number of rows so far.

    Returns
    -------
    Number of rows of each status.

    Raises
    ------
    ConfigurationError
        If a place can't be used, or one is named twice.
    StoreError
        If there is no store, or the storage can't be reached.
    """
    stores = [place.opened() for place in places]
    _require_different(stores)
    counts: Counter[str] = Counter()
    rows = _counted((row for store in stores for row in store.rows()), counts)
    write_catalog(target, _batches(rows), told)
    return counts


def _require_different(stores: Iterable[CatalogedStore]) -> None:
    seen: set[str] = set()
    for one in stores:
        if one.store.uri in seen:
            raise ConfigurationError(
                "the store is named twice.", where=one.store.uri, hint="Name each store, or its study file, once."
            )
        seen.add(one.store.uri)


def _counted(rows: Iterator[dict[str, Any]], counts: Counter[str]) -> Iterator[dict[str, Any]]:
    for row in rows:
        counts[row["status"]] += 1
        yield row


def _batches(rows: Iterator[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    while batch := list(islice(rows, _BATCH)):
        yield batch
