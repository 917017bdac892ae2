"""The checks of all scans of a study, without computing or writing anything."""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import Executor, as_completed
from dataclasses import dataclass
from os import PathLike
from typing import TYPE_CHECKING

from dlif_core.checks import Finding
from dlif_core.checks.metadata import PLASMA_FILE, UNREADABLE, findings_of
from dlif_core.errors import ConfigurationError, ExitCode, InputError, StorageError
from dlif_core.foreign_faults import clean
from dlif_core.storage import file_system, joined
from dlif_core.study.config import StudyConfig, load_study
from dlif_core.study.stages.input_function import options_of_scan

if TYPE_CHECKING:
    from collections.abc import Iterable

    from dlif_core.ingest import ScanFiles
    from dlif_core.ingest.reader import IngestedScan


@dataclass(frozen=True)
class CheckedScan:
    """What the checks found in one scan, its files named from the folder of the data; nothing for a sound one."""

    scan: str
    findings: tuple[Finding, ...]

    @property
    def is_usable(self) -> bool:
        """Whether nothing of it is refused, or doubtful and not accepted."""
        return not any(finding.withholds for finding in self.findings)


def study_to_check(path: str | PathLike[str]) -> StudyConfig:
    """The study of a study file; of a folder of scans, a study of all of them with all else as by default.

    Raises
    ------
    ConfigurationError
        If there is no such file, or it is no study file.
    """
    fs, place = file_system(os.fspath(path))
    if fs.isdir(place):
        return StudyConfig.model_validate({"name": "check", "data": joined("", os.fspath(path)), "output": "."})
    return load_study(os.fspath(path))


def check_scans(config: StudyConfig, files: Iterable[ScanFiles], executor: Executor) -> Iterator[CheckedScan]:
    """Open scans and check them, as ingest does; each is given when it is done.

    Parameters
    ----------
    config
        The study, for its groups of regions and the doubts that it accepts.
    files
        Scans of the study.
    executor
        Where the scans are opened.
    """
    futures = {executor.submit(check_scan, config, scan): scan for scan in files}
    for future in as_completed(futures):
        broken = future.exception()
        yield _unreadable(futures[future], broken) if broken else future.result()


def check_scan(config: StudyConfig, files: ScanFiles) -> CheckedScan:
    """Open one scan and check it; whatever keeps it from being opened is a finding."""
    from dlif_core.ingest import open_scan

    try:
        with open_scan(files, config.regions.groups, config.accept, config.corrections) as ingested:
            found = (*ingested.findings, *dict.fromkeys(_of_plasma(config, files, ingested)))
    except InputError as refusal:
        found = findings_of(refusal)
    except StorageError:
        raise
    except Exception as fault:
        return _unreadable(files, fault)
    return CheckedScan(files.scan_id, tuple(finding.below(config.data.uri) for finding in found))


def _of_plasma(config: StudyConfig, files: ScanFiles, ingested: IngestedScan) -> Iterator[Finding]:
    """Faults of the files of plasma that methods of the study name, as they would keep the scan from its curves."""
    from dlif_core.input_function.plasma import ImageOptions, image_plasma

    for method in config.input_functions:
        options = options_of_scan(config, files, method)
        if isinstance(options, ImageOptions) and options.plasma is not None:
            try:
                image_plasma(ingested.scan.timing.mid, ingested.scan.acquisition, (), options)
            except (InputError, ConfigurationError) as fault:
                yield PLASMA_FILE.found(fault.message, where=fault.where, remedy=fault.hint)


def _unreadable(files: ScanFiles, fault: BaseException) -> CheckedScan:
    clean(fault)
    message = f"its files can't be read: {type(fault).__name__}: {fault}."
    return CheckedScan(files.scan_id, (UNREADABLE.found(message, where=", ".join(files.inputs())),))


def exit_code(scans: Iterable[CheckedScan]) -> ExitCode:
    """0 if all scans are usable in all parts, 6 if none is, else 5."""
    usable = [scan.is_usable for scan in scans]
    if all(usable):
        return ExitCode.SUCCESS
    return ExitCode.PARTIAL if any(usable) else ExitCode.NOTHING_SUCCEEDED
