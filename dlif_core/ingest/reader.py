"""What a reader of a file format is, and the values that it works with; nothing here knows a format.

A reader finds the scans at a URI, opens one, and says what its image's grid is. The rest of dlif works with the
`ScanFiles`, `ImageGeometry` and `IngestedScan` that it gives, whatever the format.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, NamedTuple, Protocol, Self

from dlif_core.blood_samples.recording import BloodRecording
from dlif_core.checks import Finding, ImageSummary, Timeline
from dlif_core.scan import DynamicScan, RegionCurves
from dlif_core.validation import Section

#: File names of region-curve tables, as PET-BIDS derivatives call them.
DEFAULT_CURVES = "*_tacs.tsv"


class ReaderOptions(Section):
    """What ``data:`` in a study file may hold beside ``uri``, ``format``, ``links`` and ``motion_correction``.

    A reader's own options derive from it.
    Every option that is not at its default becomes part of what decides the ingested scan, so options are plain values.
    """

    @classmethod
    def valid_keys(cls) -> tuple[str, ...]:
        """Keys that a study file may give in ``data:`` with the reader's format."""
        return ("uri", "format", "links", "motion_correction", *cls.model_fields)

    def relative_to(self, folder: str) -> Self:
        """The options with their paths, relative to a folder until now, made absolute; these have none."""
        return self


NO_OPTIONS = ReaderOptions()


@dataclass(frozen=True)
class ScanSource:
    """Where a reader looks for scans, and for what.

    Attributes
    ----------
    uri
        A local path or any fsspec URL.
    options
        Options of the reader, an instance of its `Reader.options`.
    curves
        Pattern for the names of region-curve tables, for formats that keep them in files of their own.
    """

    uri: str
    options: ReaderOptions = NO_OPTIONS
    curves: str = DEFAULT_CURVES


class ListingFault(NamedTuple):
    """What is wrong with a scan already as its files are listed; in words, as a `DlifError` has them.

    Attributes
    ----------
    message
        What is wrong.
    where
        URI of the file or folder.
    hint
        What to do about it.
    """

    message: str
    where: str
    hint: str


@dataclass(frozen=True)
class ScanFiles:
    """The files of one scan; plain values only, so that it travels between processes.

    Attributes
    ----------
    scan_id
        Name of the scan, unique at its source.
    root
        URI of the source.
    reader
        Name of the reader that found the scan and can open it.
    files
        URIs by role. The roles mean something to the reader only; the files are all that decide the scan.
    subject, session
        Names of the subject and of the session; "" where the format has none.
    has_image
        Whether the scan has an image file. It is known from the names of files: the image may yet be unreadable.
    options
        Options with which the reader found the scan and opens it.
    path
        Path of the scan below `root` for formats that name scans by their place, see `dlif_core.ingest.scan_table`.
    faults
        What is wrong with the files as they were listed, for example that a folder can't be. A scan with a fault is
        listed and planned like any other, and is refused with the fault when it is opened; `files` may lack some.
    left_out
        What was found as the scans were listed and is of none of them; it is told with every scan.
    """

    scan_id: str
    root: str
    reader: str
    files: Mapping[str, tuple[str, ...]]
    subject: str = ""
    session: str = ""
    has_image: bool = False
    options: ReaderOptions = NO_OPTIONS
    path: str = ""
    faults: tuple[ListingFault, ...] = ()
    left_out: tuple[ListingFault, ...] = ()

    def role(self, name: str) -> tuple[str, ...]:
        """Return the URIs in a role, empty if there are none; only the reader knows what the role means."""
        return self.files.get(name, ())

    def inputs(self) -> dict[str, str]:
        """Return the URI of every file of the scan by its path below `root`, in a stable order."""
        uris = sorted({uri for role in self.files.values() for uri in role})
        return {uri.removeprefix(self.root).lstrip("/"): uri for uri in uris}


class ImageGeometry(NamedTuple):
    """Grid of a dynamic image.

    Attributes
    ----------
    shape
        (frames, z, y, x).
    voxel_size
        Edge lengths of a voxel along z, y, x [mm].
    """

    shape: tuple[int, ...]
    voxel_size: tuple[float, ...]


@dataclass(frozen=True, eq=False)
class IngestedScan:
    """A scan as read from its files, valid while it is open.

    Attributes
    ----------
    scan
        Timing, acquisition, regions; `activity` is read from the file when it is sliced.
    blood
        Blood recordings as recorded, arterial and venous.
    findings
        What had to be repaired, assumed or left out; the checks of plausibility add theirs, see `dlif_core.checks`.
    header
        Raw NIfTI header of the image without its free text; empty for other formats and without image.
    provenance
        Where everything came from; plain values that JSON can hold.
    image
        Summary of the image, if the reader has one; else it is made when the scan is checked.
    timeline
        Times that the files state beside the frames.
    places
        File, and field where it helps, for findings; keys as in `dlif_core.checks.ScanFacts`.
    uncorrected
        Region curves as measured, of the same regions, where those of the scan are corrected for partial volume.
    """

    scan: DynamicScan
    blood: tuple[BloodRecording, ...]
    findings: tuple[Finding, ...] = ()
    header: bytes = b""
    provenance: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    image: ImageSummary | None = None
    timeline: Timeline = Timeline()
    places: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    uncorrected: RegionCurves | None = None

    @property
    def warnings(self) -> tuple[str, ...]:
        """What a user of the scan must know, in words."""
        return tuple(finding.message for finding in self.findings)


class ScanFormat(Protocol):
    """A file format that scans come in: where they are, and the grid of their images.

    Formats hold no state: any process makes the same of the same files. They never write below the URI that they read.
    """

    @property
    def name(self) -> str:
        """Name in study files (``format``), for example ``pet-bids``."""

    @property
    def title(self) -> str:
        """Name of the format for people, for example ``PET-BIDS``."""

    @property
    def version(self) -> int:
        """Number to raise whenever the same files give other numbers: ingested scans are made again."""

    @property
    def looks_for(self) -> str:
        """Files by which the format tells a scan, for the message when there is none."""

    @property
    def options(self) -> type[ReaderOptions]:
        """Class of the options that a study file may set; `ReaderOptions` itself for none."""

    def recognises(self, uri: str) -> bool:
        """Tell whether data of the format lie at a URI; it looks at names only and raises nothing for other data."""

    def find(self, source: ScanSource) -> list[ScanFiles]:
        """List the scans at a source in the order of their ids.

        Only names of files are looked at. What a scan needs is checked when it is opened, so that one bad scan doesn't
        hide the others. What can't be listed, or is misplaced, is among the `ScanFiles.faults` of its scan.

        Raises
        ------
        MissingInputError
            If there is nothing at the source.
        """

    def geometry(self, files: ScanFiles) -> ImageGeometry | None:
        """Read the grid of a scan's image from its header; None for a scan without image.

        Raises
        ------
        InputError
            If the header can't be read.
        """


class Reader(ScanFormat, Protocol):
    """A reader of one file format."""

    def open(self, files: ScanFiles) -> AbstractContextManager[IngestedScan]:
        """Read and validate one scan; its image can be sliced until the context ends.

        Raises
        ------
        InputError
            Of the kind that names the fault, with the file and what to do about it.
        """
