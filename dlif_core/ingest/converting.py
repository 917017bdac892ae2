"""Turning scans of any format into a PET-BIDS dataset that stays."""

from __future__ import annotations

import os
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dlif_core.checks import Finding
from dlif_core.checks.metadata import findings_of
from dlif_core.errors import ConfigurationError, InputError
from dlif_core.ingest.bids.writing import write_dataset, write_labels, write_participants
from dlif_core.ingest.conversion import ConvertingReader, write_described
from dlif_core.ingest.described import DescribedScan
from dlif_core.ingest.label_image import read_label_image
from dlif_core.ingest.label_options import LABEL_NAMES, LABELS, LabelOptions
from dlif_core.ingest.reader import ScanFiles, ScanSource
from dlif_core.ingest.registry import READERS, find_scans, open_scan
from dlif_core.ingest.tables import is_given, read_table
from dlif_core.validation import validated

_STAGED = ".dlif-"


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
        What the checks found in it; nothing for a scan that was there already.
    """

    scan: str
    written: bool
    findings: tuple[Finding, ...] = ()

    @property
    def is_refused(self) -> bool:
        """Whether it was not written because of what the checks found."""
        return not self.written and bool(self.findings)


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
    if (_folder(root, files) / f"{files.scan_id}_pet.json").exists():
        return ConvertedScan(files.scan_id, written=False)
    write_dataset(root, root.resolve().name)
    with tempfile.TemporaryDirectory(prefix=_STAGED, dir=root) as folder:
        staged = Path(folder)
        try:
            findings = _staged(reader, files, staged)
        except InputError as refusal:
            return ConvertedScan(files.scan_id, written=False, findings=findings_of(refusal))
        _move(staged, root)
    return ConvertedScan(files.scan_id, written=True, findings=findings)


def _folder(root: Path, files: ScanFiles) -> Path:
    return root.joinpath(files.subject, *filter(None, [files.session]), "pet")


def _staged(reader: ConvertingReader, files: ScanFiles, staged: Path) -> tuple[Finding, ...]:
    """Write a scan into a folder of its own and check it; what the checks find."""
    with reader.described(files) as scan:
        names = write_described(staged, files, scan, lasting=True)
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


def remove_staged(root: Path) -> None:
    """Remove what a conversion that was killed left beside the scans of a dataset."""
    for folder in root.glob(f"{_STAGED}*"):
        shutil.rmtree(folder, ignore_errors=True)


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
        If there is nothing at the URI.
    ConfigurationError
        If no format is recognised, or several are, or it is PET-BIDS.
    """
    name = format or recognised(uri)
    reader = READERS.named(name, where="--format")
    if not isinstance(reader, ConvertingReader):
        raise ConfigurationError(
            f"this is {reader.title} already.", where=uri, hint="Nothing needs to be converted; `dlif check` checks it."
        )
    given = validated(reader.options, options, where=f"options of {name}", hint="Correct them.").relative_to("")
    return reader.find(ScanSource(uri, given))


def recognised(uri: str) -> str:
    """Name of the format of what lies at a URI.

    Raises
    ------
    ConfigurationError
        If no format is recognised, or several are.
    """
    from dlif_core.ingest.registry import looked_for, reader_at

    reader = reader_at(uri)
    if reader is None:
        raise ConfigurationError(f"there is no {looked_for()}.", where=uri, hint="Give a folder that holds scans.")
    return reader.name
