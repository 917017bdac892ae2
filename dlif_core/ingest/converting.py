"""Turning scans of any format into a PET-BIDS dataset that stays."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from dlif_core.checks import Finding
from dlif_core.checks.metadata import CONVERTED_BEFORE, findings_of
from dlif_core.errors import ConfigurationError, InputError, MissingInputError
from dlif_core.ingest.bids.writing import write_dataset, write_labels, write_participants
from dlif_core.ingest.conversion import ConvertingReader, left_out_beside, write_described
from dlif_core.ingest.described import DescribedScan
from dlif_core.ingest.label_image import read_label_image
from dlif_core.ingest.label_options import LABEL_NAMES, LABELS, LabelOptions
from dlif_core.ingest.made_of import FIELD, OF_FILES, OF_TABLE, made_of, same_scan, stated_in
from dlif_core.ingest.reader import ScanFiles, ScanSource
from dlif_core.ingest.registry import READERS, find_scans, looked_for, open_scan, reader_at
from dlif_core.ingest.tables import is_given, read_table
from dlif_core.validation import validated

_STAGED = ".dlif-"
#: What a scan is made of, in words.
_PARTS = {OF_FILES: "files", OF_TABLE: "entries of the table of scans"}


@dataclass(frozen=True)
class ConvertedScan:
    """What became of a scan.

    Attributes
    ----------
    scan
        Name of the scan.
    written
        Whether it was written; a scan that was there already, or that is refused, isn't.
    findings
        What the checks found in it; for a scan that was there already, whether it is of the files that are there now.
    """

    scan: str
    written: bool
    findings: tuple[Finding, ...] = ()

    @property
    def is_refused(self) -> bool:
        """Whether it was not written because of what the checks found."""
        return not self.written and any(finding.withholds for finding in self.findings)


def convert_scan(files: ScanFiles, root: Path) -> ConvertedScan:
    """Write one scan into a PET-BIDS dataset, unless it is there.

    The scan is written beside its place, opened and checked as any PET-BIDS scan, and moved into its place only if it
    can be used. So a dataset never holds half a scan, and what was written earlier is left as it is.

    Parameters
    ----------
    files
        A scan that `dlif_core.ingest.find_scans` found.
    root
        Local folder of the dataset, made if it isn't there.

    Raises
    ------
    ConfigurationError
        If the scan is one of a PET-BIDS dataset already.
    """
    reader = READERS.named(files.reader)
    if not isinstance(reader, ConvertingReader):
        raise ConfigurationError(
            f"these are scans of {reader.title} already.", where=files.root, hint="Give the folder of other data."
        )
    try:
        made = made_of(files)
        there, findings = _there_already(root, files, made)
    except InputError as refusal:
        return ConvertedScan(files.scan_id, written=False, findings=findings_of(refusal))
    if there:
        return ConvertedScan(files.scan_id, written=False, findings=(*left_out_beside(files), *findings))
    write_dataset(root, root.resolve().name)
    with tempfile.TemporaryDirectory(prefix=_STAGED, dir=root) as folder:
        staged = Path(folder)
        try:
            findings = _staged(reader, files, staged, made)
        except InputError as refusal:
            return ConvertedScan(files.scan_id, written=False, findings=findings_of(refusal))
        _move(staged, root)
    return ConvertedScan(files.scan_id, written=True, findings=findings)


def _folder(root: Path, files: ScanFiles) -> Path:
    return root.joinpath(files.subject, *filter(None, [files.session]), "pet")


def _there_already(root: Path, files: ScanFiles, made: Mapping[str, str]) -> tuple[bool, tuple[Finding, ...]]:
    """Whether the dataset has a scan, under its name or another, and a doubt if that is not of the same files."""
    sidecar = _folder(root, files) / f"{files.scan_id}_pet.json"
    if sidecar.exists():
        before = stated_in(sidecar)
        changed = [what for part, what in _PARTS.items() if part in before and before[part] != made[part]]
        message = (
            f"the scan {files.scan_id} of the dataset was made of other {' and '.join(changed)} than are there now."
        )
        return True, (CONVERTED_BEFORE.found(message, where=files.path),) if changed else ()
    other = same_scan(root, made[OF_FILES])
    message = f"this scan is in the dataset already, as {other}; it would be there twice, as {files.scan_id} too."
    return bool(other), (CONVERTED_BEFORE.found(message, where=files.path),) if other else ()


def _staged(reader: ConvertingReader, files: ScanFiles, staged: Path, made: Mapping[str, str]) -> tuple[Finding, ...]:
    """Write a scan into a folder of its own and check it; what the checks find."""
    with reader.described(files) as scan:
        recorded = replace(scan, fields={**scan.fields, FIELD: made})
        names = write_described(staged, files, recorded, lasting=True)
        of_labels = _staged_labels(files, scan, staged)
        with names.in_errors():
            (written,) = find_scans(str(staged), format="pet-bids")
            with open_scan(written) as read:
                return (*scan.findings, *of_labels, *map(names.finding, read.findings))


def _staged_labels(files: ScanFiles, scan: DescribedScan, staged: Path) -> tuple[Finding, ...]:
    """Write the label image that the options name, on the grid of the image; what was done to the labels."""
    if not files.role(LABELS) or scan.image is None:
        return ()
    (uri,) = files.role(LABELS)
    resample = isinstance(files.options, LabelOptions) and files.options.resample_labels
    read = read_label_image(uri, files.role(LABEL_NAMES), scan.image, resample=resample)
    write_labels(staged, files.scan_id, read.labels, scan.image.affine, read.names)
    return read.findings


def _move(staged: Path, root: Path) -> None:
    """Move a scan into the dataset, its sidecar last, by which a scan is known to be there."""
    _merge_participants(staged, root)
    files = [path for path in staged.rglob("*") if path.is_file() and path.parent != staged]
    for path in sorted(files, key=lambda path: path.name.endswith("_pet.json")):
        target = root / path.relative_to(staged)
        target.parent.mkdir(parents=True, exist_ok=True)
        os.replace(path, target)


def _merge_participants(staged: Path, root: Path) -> None:
    """Add the row of a scan's subject to the table of participants; what the table states already stays."""
    table = root / "participants.tsv"
    subjects: dict[str, dict[str, object]] = {}
    for path in (table, staged / "participants.tsv"):
        if path.exists():
            columns = read_table(str(path), required=("participant_id",)).columns
            for row in (dict(zip(columns, cells, strict=True)) for cells in zip(*columns.values(), strict=True)):
                known = {name: cell for name, cell in row.items() if is_given(cell)}
                name = str(known.pop("participant_id"))
                subjects[name] = {**known, **subjects.get(name, {})}
    with tempfile.TemporaryDirectory(prefix=_STAGED, dir=root) as folder:
        write_participants(Path(folder), subjects)
        for path in Path(folder).iterdir():
            os.replace(path, root / path.name)


@contextmanager
def sole_writer(root: Path, source: str) -> Iterator[None]:
    """Write into a dataset while nobody else does, after removing what a conversion that was killed left in it.

    Parameters
    ----------
    root
        Local folder of the dataset, made if it isn't there.
    source
        URI of the scans.

    Raises
    ------
    ConfigurationError
        If the folder can't be written, lies in the source, or another conversion writes into it.
    """
    if "://" not in source and Path(source).is_dir() and root.resolve().is_relative_to(Path(source).resolve()):
        raise ConfigurationError(
            "the dataset would lie in the folder of the scans, and be taken for more of them.",
            where=root,
            hint="Give a folder beside that of the scans.",
        )
    try:
        root.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryDirectory(prefix=_STAGED, dir=root).cleanup()
        folder = os.open(root, os.O_RDONLY)
    except OSError as fault:
        raise ConfigurationError(
            f"this is no folder that can be written: {fault.strerror}.", where=root, hint="Give another folder."
        ) from fault
    try:
        _require_alone(folder, root)
        for left in root.glob(f"{_STAGED}*"):
            shutil.rmtree(left, ignore_errors=True)
        yield
    finally:
        os.close(folder)


def _require_alone(folder: int, root: Path) -> None:
    """Lock a folder; filesystems that know no locks are taken to be used by one conversion."""
    try:
        fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as fault:
        raise ConfigurationError(
            "another conversion writes into this dataset.", where=root, hint="Wait until it has ended."
        ) from fault
    except OSError:
        return


def found_for_conversion(uri: str, format: str | None = None, **options: Any) -> list[ScanFiles]:
    """Scans at a URI in the format that is named, or that is recognised.

    Parameters
    ----------
    uri
        A folder or a file.
    format
        Name of the format.
    options
        Options of the format, such as ``table`` and ``labels``; relative paths are relative to the present folder.

    Raises
    ------
    MissingInputError
        If there is nothing at the URI, or no scan in it.
    ConfigurationError
        If several formats are recognised, or it is PET-BIDS.
    """
    reader = READERS.named(format, where="--format") if format else reader_at(uri)
    if reader is None:
        raise _nothing_found(uri)
    if not isinstance(reader, ConvertingReader):
        raise ConfigurationError(
            f"this is {reader.title} already.", where=uri, hint="Nothing needs to be converted; `dlif check` checks it."
        )
    where = f"options of {reader.name}"
    given = validated(reader.options, options, where=where, hint="Correct them.").relative_to("")
    found = reader.find(ScanSource(uri, given))
    if not found:
        raise _nothing_found(uri, reader.name)
    return found


def _nothing_found(uri: str, format: str | None = None) -> MissingInputError:
    return MissingInputError(f"there is no {looked_for(format)}.", where=uri, hint="Give a folder that holds scans.")
