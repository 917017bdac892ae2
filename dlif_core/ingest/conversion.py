"""Readers of formats other than PET-BIDS: a scan is described in the terms of PET-BIDS and read as such.

The description is written as a PET-BIDS scan into a temporary folder (of TMPDIR), which is opened like any other. So a
scan means the same whatever its format, and every check applies to all. Messages name the files that the scan came
from. `dlif_core.ingest.converting` writes the same into a folder that stays.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from dlif_core.checks import Finding, RefusedScanError
from dlif_core.checks.metadata import BLOOD_FILE, ROWS_LEFT_OUT
from dlif_core.errors import DlifError, InputError
from dlif_core.ingest.bids.writing import about_subject, with_required_fields, write_participants, write_scan
from dlif_core.ingest.blood_mapping import read_blood_mapping
from dlif_core.ingest.described import DescribedScan, SeriesFormat, SeriesOptions
from dlif_core.ingest.label_options import LABEL_NAMES, LABELS, with_labels
from dlif_core.ingest.reader import ImageGeometry, IngestedScan, ScanFiles, ScanSource
from dlif_core.ingest.scan_table import read_scan_table
from dlif_core.ingest.supplement import supplemented
from dlif_core.units import factor


class ConvertingReader:
    """The reader of a format that is read by way of PET-BIDS.

    Parameters
    ----------
    series
        The format.
    """

    def __init__(self, series: SeriesFormat) -> None:
        self.series = series

    @property
    def name(self) -> str:
        """Name of the format in study files."""
        return self.series.name

    @property
    def title(self) -> str:
        """Name of the format for people."""
        return self.series.title

    @property
    def version(self) -> int:
        """Version of the format's description."""
        return self.series.version

    @property
    def looks_for(self) -> str:
        """Files by which the format tells a scan."""
        return self.series.looks_for

    @property
    def options(self) -> type[SeriesOptions]:
        """Class of the format's options."""
        return self.series.options

    def recognises(self, uri: str) -> bool:
        """Tell whether data of the format lie at a URI; what lies in a PET-BIDS dataset is left to its reader."""
        from dlif_core.ingest.bids.dataset import has_subjects

        return not has_subjects(uri) and self.series.recognises(uri)

    def find(self, source: ScanSource) -> list[ScanFiles]:
        """List the scans at a source."""
        return [with_labels(files) for files in self.series.find(source)]

    def geometry(self, files: ScanFiles) -> ImageGeometry | None:
        """Read the grid of a scan's image."""
        return self.series.geometry(files)

    @contextmanager
    def described(self, files: ScanFiles) -> Iterator[DescribedScan]:
        """Describe a scan with what the table of scans states of it, and with the blood that a mapping names."""
        table = read_scan_table(ScanSource(files.root, files.options))
        with self.series.describe(files) as scan:
            told = replace(scan, findings=(*left_out_beside(files), *scan.findings))
            yield with_mapped_blood(supplemented(told, table.fields(files.path), table.uri), files)

    @contextmanager
    def open(self, files: ScanFiles) -> Iterator[IngestedScan]:
        """Read and validate one scan; see `dlif_core.ingest.bids.scan.open_scan`."""
        from dlif_core.ingest.bids.find import find_scans
        from dlif_core.ingest.bids.scan import open_scan

        with tempfile.TemporaryDirectory(prefix="dlif-") as folder, self.described(files) as scan, ExitStack() as stack:
            names = write_described(Path(folder), files, scan)
            with names.in_errors():
                (written,) = find_scans(ScanSource(folder), self.name)
                read = stack.enter_context(open_scan(_with_labels_of(files, written)))
            yield _of_the_source(read, scan, names, self.title)


def left_out_beside(files: ScanFiles) -> tuple[Finding, ...]:
    """What was found as the scans were listed, and is of none of them."""
    return tuple(ROWS_LEFT_OUT.found(one.message, where=one.where, remedy=one.hint) for one in files.left_out)


def with_mapped_blood(scan: DescribedScan, files: ScanFiles) -> DescribedScan:
    """The scan with the blood that the mapping of its options names; a fault of that costs the blood alone."""
    options = files.options
    mapping = read_blood_mapping(options.blood if isinstance(options, SeriesOptions) else "")
    try:
        return replace(scan, blood={**scan.blood, **mapping.tables(files.path, scan.fields)})
    except InputError as fault:
        finding = BLOOD_FILE.found(fault.message, where=fault.where, remedy=fault.hint)
        return replace(scan, blood={}, findings=(*scan.findings, finding))


def _with_labels_of(files: ScanFiles, written: ScanFiles) -> ScanFiles:
    """A scan as it was written, with the label image that the options of the source name."""
    labels = {role: files.role(role) for role in (LABELS, LABEL_NAMES) if files.role(role)}
    return replace(written, files={**written.files, **labels}, options=files.options)


def subject_row(about: Mapping[str, Any], where: str) -> dict[str, object]:
    """Row of the table of participants from the fields about the subject; weight in kg.

    Raises
    ------
    UnitError
        If the unit of the body weight is not known.
    """
    row: dict[str, object] = {"species": about["Species"]} if about.get("Species") else {}
    if about.get("BodyWeight") is not None:
        unit = factor(str(about.get("BodyWeightUnits", "kg")), "mass", where=f"{where}, field BodyWeightUnits")
        row["weight"] = float(about["BodyWeight"]) * unit
    return row


@dataclass(frozen=True)
class SourceNames:
    """What every file that was written is called in messages: the file that it was made of.

    Attributes
    ----------
    sources
        The file that each written file was made of.
    """

    sources: Mapping[str, str]

    def told(self, text: str) -> str:
        """A text with the names of the sources in it, not those of temporary files."""
        for path in sorted(self.sources, key=len, reverse=True):
            text = text.replace(path, self.sources[path])
        return text

    def finding(self, finding: Finding) -> Finding:
        """A finding that names the sources."""
        return replace(finding, message=self.told(finding.message), where=self.told(finding.where))

    @contextmanager
    def in_errors(self) -> Iterator[None]:
        """Errors that are raised meanwhile name the sources."""
        try:
            yield
        except RefusedScanError as error:
            raise RefusedScanError(tuple(map(self.finding, error.findings))) from error
        except DlifError as error:
            message, where, hint = map(self.told, (error.message, error.where, error.hint))
            raise type(error)(message, where=where, hint=hint) from error

    def plain(self, value: Any) -> Any:
        """Plain values with the names of the sources."""
        if isinstance(value, str):
            return self.told(value)
        if isinstance(value, Mapping):
            return {key: self.plain(one) for key, one in value.items()}
        return [self.plain(one) for one in value] if isinstance(value, list | tuple) else value


def _of_the_source(read: IngestedScan, scan: DescribedScan, names: SourceNames, title: str) -> IngestedScan:
    regions = replace(read.scan.regions, source=names.told(read.scan.regions.source))
    identity = {"identity": dict(scan.identity)} if scan.identity else {}
    provenance = names.plain(read.provenance) | {"reader": title, "files": {"scan": [scan.source]}} | identity
    return replace(
        read,
        scan=replace(read.scan, regions=regions),
        blood=tuple(replace(one, source=names.told(one.source), refused=names.told(one.refused)) for one in read.blood),
        findings=(*scan.findings, *map(names.finding, read.findings)),
        header=b"",
        provenance=provenance,
        places=names.plain(read.places),
    )


def write_described(root: Path, files: ScanFiles, scan: DescribedScan, *, lasting: bool = False) -> SourceNames:
    """Write a described scan, with its subject's row, as a PET-BIDS dataset of its own.

    Parameters
    ----------
    root
        Empty local folder.
    files
        The scan as it was found, for its names.
    scan
        The scan.
    lasting
        Whether the dataset is to be kept: the image is compressed, and fields that PET-BIDS requires and nobody stated
        are there as not given.
    """
    fields, about = about_subject(scan.fields)
    if lasting:  # the body weight of every session stands with its scan
        weight = {name: value for name, value in about.items() if name.startswith("BodyWeight")}
        fields = with_required_fields({**fields, **weight})
    made = write_scan(root, files.scan_id, replace(scan, fields=fields), compressed=lasting)
    made[write_participants(root, {files.subject: subject_row(about, scan.source)})] = scan.source
    return SourceNames({str(path.absolute()): source for path, source in made.items()})
