"""``dlif export``: the results of a study in the formats of other programs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from flows.cli.options import StudyFile
from flows.cli.output import print_rich

if TYPE_CHECKING:
    from dlif_core.study.exporting import StudyExport


def export(
    study: StudyFile,
    to: Annotated[
        Path | None,
        typer.Option(
            "--to",
            help="Folder that is new or holds an earlier export, which is replaced; export-STUDY if left out.",
            metavar="DIR",
            show_default=False,
        ),
    ] = None,
    formats: Annotated[
        list[str] | None,
        typer.Option(
            "--format",
            help="bids, tables, dicom, pmod or ro-crate; bids and tables if left out. May be repeated.",
            metavar="NAME",
            show_default=False,
        ),
    ] = None,
    scans: Annotated[
        list[str] | None,
        typer.Option(
            "--scan",
            help="Name of a scan, as `dlif status` shows it; all scans if left out. May be repeated.",
            metavar="SCAN",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Write the results that are up to date as files for other programs: NIfTI, tables, DICOM and others.

    Exit code 0: all results of all scans were written; 5: some scans lack results; 6: there is nothing to write.
    """
    from dlif_core.export.registry import DEFAULT_FORMATS
    from dlif_core.store.layout import part_for
    from dlif_core.study.config import load_study
    from dlif_core.study.exporting import export_study
    from dlif_core.study.plan import open_study_store
    from flows.progress import progress_bars

    config = load_study(study)
    folder = to or Path(f"export-{part_for(config.name)}")
    with progress_bars() as bars:
        done = export_study(
            config,
            open_study_store(config),
            folder,
            formats or DEFAULT_FORMATS,
            scans or (),
            tell=lambda name, scan: bars.write(f"{name}: {scan}"),
        )
    _print_export(done)
    raise typer.Exit(done.exit_code)


def _print_export(done: StudyExport) -> None:
    """Print what was written of each scan, and where it lies."""
    from flows.cli.tables import export_table

    print_rich(export_table(done))
    if any(done.files.values()):
        written = ", ".join(f"{name} ({count} files)" for name, count in done.files.items())
        typer.echo(f"Written: {written}, in {done.folder}")
