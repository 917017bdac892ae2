"""Splits of the animals of a catalog for training, validation, calibration and test.

The use of an animal follows from its site, its name and the seed alone (a hash), so it stays the same when scans are
added, and all scans of an animal have one use. Shares are therefore met on average only.
"""

from __future__ import annotations

import hashlib
import math
from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from itertools import accumulate
from typing import TYPE_CHECKING

from dlif_core.catalog.file import write_text
from dlif_core.catalog.filters import CatalogFilter, read_filtered
from dlif_core.errors import ConfigurationError
from dlif_core.finite import to_json
from dlif_core.networks.training.splits import SplitManifest
from dlif_core.registry import suggestion

if TYPE_CHECKING:
    import pyarrow as pa

_WHERE = "splits"
#: Columns that a split needs.
SPLIT_COLUMNS = ("site", "study", "scan", "subject", "animal", "status", "data_digest")
#: Use of all animals of a site that is held out.
HELD_OUT = "held-out sites"


@dataclass(frozen=True)
class CatalogSplit:
    """How animals are divided.

    Attributes
    ----------
    seed
        Another seed gives another division.
    shares
        Part of the animals for each use; the parts add up to 1.
    held_out
        Sites of which no animal is in one of these uses.

    Raises
    ------
    ConfigurationError
        If the shares don't add up to 1.
    """

    seed: int
    shares: Mapping[str, float]
    held_out: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if any(not 0 <= share <= 1 for share in self.shares.values()) or not _is_one(sum(self.shares.values())):
            listed = ", ".join(f"{use} {share:g}" for use, share in self.shares.items())
            raise ConfigurationError(
                f"the shares are {listed}.", where=_WHERE, hint="Give parts of 0 to 1 that add up to 1."
            )

    def of(self, table: pa.Table) -> SplitManifest:
        """Divide the animals of all scans that succeeded.

        Parameters
        ----------
        table
            Rows of a catalog, with the columns `SPLIT_COLUMNS`.

        Returns
        -------
        Animals by their use, sorted. Subjects of the same name at the same site have the same use, in whatever study,
        because they may be one animal.

        Raises
        ------
        ConfigurationError
            If there is no such scan or no such site, or a scan is there under the names of two subjects.
        """
        rows = [row for row in table.select(SPLIT_COLUMNS).to_pylist() if row["status"] == "success"]
        _require_sites(self.held_out, {row["site"] for row in rows})
        _require_told_apart(rows)
        uses: dict[str, set[str]] = {use: set() for use in (*self.shares, *([HELD_OUT] if self.held_out else []))}
        for row in rows:
            uses[self._use(row["site"], row["subject"])].add(row["animal"])
        if not any(uses.values()):
            raise ConfigurationError("there is no scan to divide.", where=_WHERE, hint="Choose others with --where.")
        return SplitManifest({use: tuple(sorted(animals)) for use, animals in uses.items()})

    def _use(self, site: str, subject: str) -> str:
        if site in self.held_out:
            return HELD_OUT
        place = _place(self.seed, site, subject)
        ends = accumulate(self.shares.values())
        last = [use for use, share in self.shares.items() if share > 0][-1]
        return next((use for use, end in zip(self.shares, ends, strict=True) if place < end), last)


def _is_one(total: float) -> bool:
    return math.isclose(total, 1.0, abs_tol=1e-9)


def _place(seed: int, site: str, subject: str) -> float:
    """A number of 0 to 1 that is as good as random, and always the same for a subject."""
    digest = hashlib.sha256("\0".join((str(seed), site, subject)).encode("utf-8", "surrogatepass")).digest()
    return int.from_bytes(digest[:8], "big") / 2.0**64


def _require_sites(sites: Collection[str], known: Collection[str]) -> None:
    for site in sites:
        if site not in known:
            raise ConfigurationError(
                f"no scan that succeeded is of site {site!r}.{suggestion(site, known)}",
                where=_WHERE,
                hint=f"Sites are {', '.join(sorted(known)[:20])}.",
            )


def _require_told_apart(rows: list[Mapping[str, str]]) -> None:
    """Refuse a scan that would be in two splits, because two studies call it differently."""
    for first, second in _doubles(rows):
        raise ConfigurationError(
            f"{first['scan']} of study {first['study']} and {second['scan']} of study {second['study']} are the same "
            "files, but not the same subject of one site.",
            where=_WHERE,
            hint="Build the catalog with one site for both, or leave one study out with --where.",
        )


def _doubles(rows: list[Mapping[str, str]]) -> Iterator[tuple[Mapping[str, str], Mapping[str, str]]]:
    same: dict[str, list[Mapping[str, str]]] = defaultdict(list)
    for row in rows:
        same[row["data_digest"]].append(row)
    for first, *others in same.values():
        for other in others:
            if (other["site"], other["subject"]) != (first["site"], first["subject"]):
                yield first, other


def parsed_shares(text: str) -> dict[str, float]:
    """Shares that a text such as ``training=0.8, test=0.2`` gives.

    Raises
    ------
    ConfigurationError
        If it is no such text.
    """
    shares: dict[str, float] = {}
    for part in text.split(","):
        use, _, share = (piece.strip() for piece in part.partition("="))
        try:
            value = float(share)
        except ValueError:
            value = math.nan
        if not use or use in shares or math.isnan(value):
            raise ConfigurationError(
                f"{part.strip()!r} gives no share.",
                where="--shares",
                hint="Write each use once, with its share: training=0.8, test=0.2.",
            )
        shares[use] = value
    return shares


def split_catalog(uri: str, divided: CatalogSplit, where: str, target: str) -> dict[str, tuple[int, int]]:
    """Divide the animals of a catalog, and write the splits as JSON, as the splits of a trained model are written.

    Parameters
    ----------
    uri
        Path or URL of the catalog.
    divided
        How animals are divided.
    where
        Condition on the scans whose animals are divided, see `CatalogFilter`.
    target
        Path or URL of the JSON file.

    Returns
    -------
    Numbers of animals and of scans by use.
    """
    table = read_filtered(uri, CatalogFilter(where), SPLIT_COLUMNS)
    manifest = divided.of(table)
    text = to_json(manifest.to_dict(), where=target, indent=2, ensure_ascii=False)
    write_text(target, f"{text}\n")
    pairs = zip(table["animal"].to_pylist(), table["status"].to_pylist(), strict=True)
    scans = Counter(animal for animal, status in pairs if status == "success")
    return {use: (len(animals), sum(scans[animal] for animal in animals)) for use, animals in manifest.splits.items()}
