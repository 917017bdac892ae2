"""Export of a study: what is up to date of its scans, handed to the exporters."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from dlif_core.errors import ConfigurationError, ExitCode
from dlif_core.export import EXPORTERS, ExportedScan, Exporter
from dlif_core.export.folder import new_export, require_export_folder
from dlif_core.registry import suggestion
from dlif_core.store import Store
from dlif_core.study.config import StudyConfig
from dlif_core.study.exported import exported_study, read_exported
from dlif_core.study.plan import make_plan
from dlif_core.study.products import input_function_name, source_name
from dlif_core.study.status import results

if TYPE_CHECKING:
    from dlif_core.ingest import ScanFiles
    from dlif_core.study.step import Plan


@dataclass(frozen=True)
class ScanExport:
    """What of one scan is exported.

    Attributes
    ----------
    scan
        Name of the scan.
    products
        Products that are up to date and hold a result; empty for a scan of which nothing is exported.
    missing
        Results that the study asks for and that are not up to date or could not be made.
    """

    scan: str
    products: tuple[str, ...]
    missing: tuple[str, ...]


@dataclass(frozen=True)
class StudyExport:
    """An export that was made.

    Attributes
    ----------
    folder
        Where it lies.
    files
        Number of files that each format has written, by its name.
    scans
        What of each scan was exported.
    """

    folder: Path
    files: Mapping[str, int]
    scans: tuple[ScanExport, ...]

    @property
    def exit_code(self) -> ExitCode:
        """0 if all results of all scans were exported, 6 if none were, else 5."""
        if not any(scan.products for scan in self.scans):
            return ExitCode.NOTHING_SUCCEEDED
        return ExitCode.PARTIAL if any(scan.missing for scan in self.scans) else ExitCode.SUCCESS


def export_study(
    config: StudyConfig,
    store: Store,
    folder: Path,
    formats: Sequence[str],
    scans: Collection[str] = (),
    tell: Callable[[str, str], None] = lambda _format, _scan: None,
) -> StudyExport:
    """Write the results of a study that are up to date in some formats; an earlier export is replaced as a whole.

    Parameters
    ----------
    config, store
        The study and its store, which is only read.
    folder
        Where the export is to lie.
    formats
        Names of exporters.
    scans
        Names of the scans to export; empty for all.
    tell
        Called with the format and the scan, whenever an exporter opens a scan.

    Raises
    ------
    ConfigurationError
        If a format or a scan is unknown, the folder can't be an export's, or two results have one name in a format.
    InputError
        If a format can't hold the results of a scan.
    StoreError
        If a product is damaged.
    """
    from importlib.metadata import version

    exporters = [EXPORTERS.named(name, where="--format") for name in dict.fromkeys(formats)]
    exporters.sort(key=lambda exporter: exporter.describes_others)
    require_export_folder(folder, store.uri, config.data.uri)
    plan = make_plan(config, store)
    wanted = _wanted(plan, scans)
    listed = tuple(_scan_export(config, plan, scan, results(plan)) for scan in wanted)
    names = [exporter.name for exporter in exporters]
    if not any(scan.products for scan in listed):
        return StudyExport(folder, dict.fromkeys(names, 0), listed)
    record = {"study": config.name, "dlif": version("dlif"), "formats": names, "scans": [scan.scan for scan in listed]}
    with new_export(folder, record) as draft:
        files = _write(config, store, plan, listed, exporters, draft, tell)
    return StudyExport(folder, files, listed)


def _wanted(plan: Plan, scans: Collection[str]) -> list[str]:
    for scan in scans:
        if scan not in plan.files:
            raise ConfigurationError(
                f"the study has no scan {scan!r}.{suggestion(scan, plan.files)}",
                where="--scan",
                hint="`dlif status` lists the scans.",
            )
    return [scan for scan in plan.files if not scans or scan in scans]


def _scan_export(config: StudyConfig, plan: Plan, scan: str, sound: frozenset[str]) -> ScanExport:
    """What of a scan is up to date. An input function that can't be had is not missed if there is another."""
    asked = [one.step for one in plan.of_scan(scan) if one.step.stage in ("ingest", "regions", "maps")]
    missing = tuple(f"{step.stage} {step.variant}".strip() for step in asked if step.product not in sound)
    if source_name(scan) not in sound:
        return ScanExport(scan, (), missing)
    curves = [input_function_name(scan, method) for method in config.input_functions]
    products = (*(step.product for step in asked), *curves)
    return ScanExport(scan, tuple(name for name in products if name in sound), missing)


def _write(
    config: StudyConfig,
    store: Store,
    plan: Plan,
    listed: Sequence[ScanExport],
    exporters: Sequence[Exporter],
    draft: Path,
    tell: Callable[[str, str], None],
) -> dict[str, int]:
    """Run the exporters one after the other; number of files that each has written."""
    found = {scan.scan: scan for scan in listed if scan.products}
    counts: dict[str, int] = {}
    for exporter in exporters:
        before = _files_below(draft)
        opened = partial(_opened, config, store, plan.files, found, partial(tell, exporter.name))
        exporter.export(exported_study(config, found, opened), draft)
        counts[exporter.name] = _files_below(draft) - before
    return counts


def _files_below(folder: Path) -> int:
    return sum(path.is_file() for path in folder.rglob("*"))


def _opened(
    config: StudyConfig,
    store: Store,
    files: Mapping[str, ScanFiles],
    found: Mapping[str, ScanExport],
    tell: Callable[[str], None],
    scan: str,
) -> ExportedScan:
    tell(scan)
    products = found[scan].products
    for product in products:
        store.require_whole(product)
    return read_exported(config, store, files[scan], frozenset(products))
