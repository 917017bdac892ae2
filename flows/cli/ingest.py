"""``dlif ingest``: scans of any format into a PET-BIDS dataset, or checked without writing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from flows.cli.options import AsJson
from flows.cli.output import print_json, print_rich

if TYPE_CHECKING:
    from dlif_core.ingest import ScanFiles
    from dlif_core.ingest.converting import ConvertedScan
    from dlif_core.study.checking import CheckedScan

_BIDS = "bids"


def ingest(
    source: Annotated[str, typer.Argument(help="Folder or file with scans; a path or URL.", metavar="SOURCE")],
    to: Annotated[
        tuple[str, str] | None,
        typer.Option(help="Write the scans as PET-BIDS into this folder: `--to bids FOLDER`.", metavar="bids FOLDER"),
    ] = None,
    check: Annotated[bool, typer.Option("--check", help="List what the checks find, and write nothing.")] = False,
    table: Annotated[
        str,
        typer.Option(
            help="Table of the scans: names of subjects, and what the files don't state (docs/formats.md).",
            metavar="SCANS.TSV",
        ),
    ] = "",
    blood: Annotated[
        str,
        typer.Option(help="Mapping of tables of blood (docs/formats/tables.md).", metavar="BLOOD.YAML"),
    ] = "",
    labels: Annotated[
        str,
        typer.Option(
            help="Label image of each scan, with {scan}, {subject} or {session} in its path (docs/regions.md).",
            metavar="PATH",
        ),
    ] = "",
    label_names: Annotated[str, typer.Option(help="Table of the names of the labels.", metavar="PATH")] = "",
    resample_labels: Annotated[
        bool, typer.Option("--resample-labels", help="Resample labels on another grid, by nearest neighbour.")
    ] = False,
    format: Annotated[
        str | None,
        typer.Option(help="Name of the format; left out, it is recognised.", metavar="FORMAT"),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Turn scans of any format into PET-BIDS, or check them.

    A scan that is there already is left as it is, so that the same command adds the scans of another day.

    Exit code 0: all scans are there and sound; 5: some are refused; 6: all are.
    """
    from dlif_core.errors import ConfigurationError
    from dlif_core.ingest.converting import found_for_conversion
    from dlif_core.study.checking import exit_code

    if (to is None) == (not check) or (to is not None and to[0] != _BIDS):
        raise ConfigurationError(
            "say what to do with the scans.", where="dlif ingest", hint="Give --to bids FOLDER, or --check."
        )
    options = {"table": table, "blood": blood, "labels": labels, "label_names": label_names}
    files = found_for_conversion(source, format, **options, resample_labels=resample_labels)
    done = [_checked(scan) for scan in files] if to is None else _converted(files, source, to[1])
    if as_json:
        print_json([_record(scan) for scan in done])
    else:
        from flows.cli.findings import findings_summary, findings_table

        print_rich(*findings_table(done, source), *findings_summary(done))
    raise typer.Exit(exit_code(done))


def _checked(files: ScanFiles) -> CheckedScan:
    from dlif_core.study.checking import check_scan
    from dlif_core.study.config import StudyConfig

    data = {"uri": files.root, "format": files.reader}
    return check_scan(StudyConfig.model_validate({"name": "check", "data": data, "output": "."}), files)


def _converted(files: list[ScanFiles], source: str, folder: str) -> list[CheckedScan]:
    """Write all scans, with a progress bar."""
    from pathlib import Path

    from dlif_core.ingest.converting import convert_scan, sole_writer
    from dlif_core.study.checking import CheckedScan
    from flows.progress import progress_bars

    root = Path(folder)
    done: list[ConvertedScan] = []
    with sole_writer(root, source), progress_bars() as bars:
        bars.update("ingest", 0, len(files))
        for scan in files:
            done.append(convert_scan(scan, root))
            bars.advance("ingest")
    written, there = sum(one.written for one in done), sum(not (one.written or one.is_refused) for one in done)
    typer.echo(f"{written} of {len(done)} scans written to {folder}; {there} were there already.", err=True)
    return [CheckedScan(one.scan, tuple(finding.below(files[0].root) for finding in one.findings)) for one in done]


def _record(scan: CheckedScan) -> dict[str, object]:
    findings = [{**finding.as_record(), "remedy": finding.advice} for finding in scan.findings]
    return {"scan": scan.scan, "usable": scan.is_usable, "findings": findings}
