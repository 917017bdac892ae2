"""``dlif check``: what the checks find in the data, before anything is computed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from flows.cli.options import AsJson
from flows.cli.output import print_json, print_rich

if TYPE_CHECKING:
    from concurrent.futures import Executor

    from dlif_core.study.checking import CheckedScan
    from dlif_core.study.config import StudyConfig


def check(
    study: Annotated[
        str, typer.Argument(help="Study file, or a folder of scans; a path or URL.", metavar="STUDY.YAML")
    ],
    as_json: AsJson = False,
    workers: Annotated[
        int | None,
        typer.Option(min=1, help="Worker processes; if left out, one for each core.", metavar="COUNT"),
    ] = None,
) -> None:
    """Check the data of every scan, what is most suspicious first. Nothing is computed or written.

    Exit code 0: nothing is refused or doubtful; 5: something of some scans is; 6: of all.
    """
    from dlif_core.study.checking import exit_code, study_to_check

    config = study_to_check(study)
    scans = _checked(config, workers)
    if as_json:
        print_json([_record(scan) for scan in scans])
    else:
        from flows.cli.findings import findings_summary, findings_table

        print_rich(*findings_table(scans, config.data.uri), *findings_summary(scans))
    raise typer.Exit(exit_code(scans))


def _checked(config: StudyConfig, workers: int | None) -> list[CheckedScan]:
    """Check all scans, with a progress bar, in the order of their names."""
    from dlif_core.study.checking import check_scans
    from dlif_core.study.scans import included_scans
    from flows.progress import progress_bars

    files = included_scans(config)
    with _executor(workers, len(files)) as executor, progress_bars() as bars:
        bars.update("check", 0, len(files))
        done = {}
        for scan in check_scans(config, files.values(), executor):
            done[scan.scan] = scan
            bars.advance("check")
    return [done[name] for name in files]


@contextmanager
def _executor(workers: int | None, scans: int) -> Iterator[Executor]:
    """Worker processes, no more than there are scans; one worker is a thread of this process."""
    from concurrent.futures import ThreadPoolExecutor

    from dask.system import CPU_COUNT

    count = min(workers or CPU_COUNT, scans)
    if count == 1:
        with ThreadPoolExecutor(1) as thread:
            yield thread
        return
    from dlif_core.compute.pool import open_pool

    with open_pool(count) as pool:
        yield pool


def _record(scan: CheckedScan) -> dict[str, object]:
    from dlif_core.checks import LOST

    findings = [
        {**finding.as_record(), "remedy": finding.advice, "lost": LOST[finding.part] if finding.withholds else ""}
        for finding in scan.findings
    ]
    return {"scan": scan.scan, "usable": scan.is_usable, "findings": findings}
