"""The format of region curves and blood in tables of PMOD, without image."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import ClassVar

from dlif_core.checks import Finding
from dlif_core.checks.metadata import BLOOD_FILE
from dlif_core.errors import InputError
from dlif_core.ingest.described import DescribedScan, DescribedTable, SeriesOptions
from dlif_core.ingest.reader import ScanFiles, ScanSource
from dlif_core.ingest.series_files import any_below, files_below, named_scans

_CURVES, _STATISTICS = ".tac", ".voistat"
_BLOOD = (".bld", ".crv")


class PmodTables:
    """Region curves ``.tac`` or ``.voistat`` with blood ``.bld`` and ``.crv`` beside them."""

    name: ClassVar = "pmod-curves"
    title: ClassVar = "PMOD"
    version: ClassVar = 1
    looks_for: ClassVar = "*.tac, *.voistat"
    options: ClassVar = SeriesOptions

    def recognises(self, uri: str) -> bool:
        """Tell whether there are files ``.tac`` or ``.voistat``."""
        return any_below(uri, lambda name: name.endswith((_CURVES, _STATISTICS)))

    def find(self, source: ScanSource) -> list[ScanFiles]:
        """List the scans below a URI, each a table of curves; ``.voistat`` counts in folders without ``.tac``."""
        found = files_below(source.uri, lambda name: name.endswith((_CURVES, _STATISTICS, *_BLOOD, ".json")))
        scans = {}
        for path in found:
            beside = [other for other in found if other.rpartition("/")[0] == path.rpartition("/")[0]]
            if path in _curves_of(beside):
                scans[path] = {"curves": (found[path],), **_others(path, beside, found)}
        return named_scans(source, self.name, scans)

    @contextmanager
    def describe(self, files: ScanFiles) -> Iterator[DescribedScan]:
        """Describe a scan; blood that can't be read costs the blood alone."""
        from dlif_core.ingest.beside import fields_beside
        from dlif_core.ingest.pmod.curves import read_pmod_curves

        findings: list[Finding] = []
        (uri,) = files.role("curves")
        curves = read_pmod_curves(uri, findings)
        fields = curves.fields() | fields_beside(files.role("sidecar"))
        blood = _blood(files.role("blood"), findings)
        yield DescribedScan(fields, uri, blood=blood, curves=curves.table(), findings=tuple(findings))

    def geometry(self, files: ScanFiles) -> None:
        """There is no image."""


def _curves_of(paths: Sequence[str]) -> list[str]:
    curves = [path for path in paths if path.lower().endswith(_CURVES)]
    return curves or [path for path in paths if path.lower().endswith(_STATISTICS)]


def _others(path: str, beside: Sequence[str], found: Mapping[str, str]) -> dict[str, tuple[str, ...]]:
    """Blood of a table of curves, all of its folder or what is named after it; and the JSON file of its name."""
    stem = path.rpartition(".")[0].lower()
    alone = len(_curves_of(beside)) == 1
    blood = tuple(
        found[other] for other in beside if other.lower().endswith(_BLOOD) and (alone or other.lower().startswith(stem))
    )
    sidecar = tuple(found[other] for other in beside if other.lower() == f"{stem}.json")
    return {role: uris for role, uris in (("blood", blood), ("sidecar", sidecar)) if uris}


def _blood(uris: Sequence[str], findings: list[Finding]) -> dict[str, DescribedTable]:
    from dlif_core.ingest.pmod.blood import read_pmod_blood

    try:
        return read_pmod_blood(uris, findings)
    except InputError as fault:
        findings.append(BLOOD_FILE.found(fault.message, where=fault.where, remedy=fault.hint))
        return {}
