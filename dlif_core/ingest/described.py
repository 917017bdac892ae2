"""A scan of another format, described in the terms of PET-BIDS.

A format says what its files hold as PET-BIDS would say it: the fields of the sidecar, the image in RAS orientation,
tables of blood and of region curves. Everything else is common to all formats: the checks, the clock, units, decay,
blood and regions of PET-BIDS (`dlif_core.ingest.conversion`), and writing a PET-BIDS dataset.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from dlif_core.checks import Finding
from dlif_core.ingest.label_options import LabelOptions
from dlif_core.ingest.reader import ScanFiles, ScanFormat
from dlif_core.storage import joined

Array = NDArray[np.float64]


class SeriesOptions(LabelOptions):
    """Options of every format other than PET-BIDS.

    Attributes
    ----------
    table
        Table of the scans, see `dlif_core.ingest.scan_table`: names of subjects and what the files don't state.
    blood
        Mapping of tables of blood (YAML), see `dlif_core.ingest.blood_mapping`.
    """

    table: str = ""
    blood: str = ""

    def relative_to(self, folder: str) -> Self:
        """The options with their paths, relative to a folder until now, made absolute."""
        given = {name: joined(folder, path) for name in ("table", "blood") if (path := getattr(self, name))}
        return super().relative_to(folder).model_copy(update=given)


class SeriesImage(Protocol):
    """The dynamic image of a scan, which a format reads from its files once."""

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """(frames, z, y, x)."""

    @property
    def affine(self) -> Array:
        """Shape (4, 4), voxel index (x, y, z) to mm, x to the right, y to the front, z to the head (RAS), as NIfTI."""

    def fill(self, target: NDArray[np.float32], /) -> None:
        """Read all voxels, in the unit that the sidecar states as ``Units``.

        Parameters
        ----------
        target
            Shape of the image; it lies on disk and is filled in any order, so that no more than a volume or a slice
            need be in memory.

        Raises
        ------
        ImageError
            If the files are truncated or damaged.
        """


@dataclass(frozen=True, eq=False)
class DescribedTable:
    """A table as PET-BIDS writes it.

    Attributes
    ----------
    columns
        Cells of each column under the name that PET-BIDS gives it, numbers or text; NaN for a cell without value.
    fields
        Fields of its sidecar: the description of each column with its ``Units``, and facts on the whole table.
    source
        The file that it comes from.
    """

    columns: Mapping[str, Sequence[object]]
    fields: Mapping[str, Any]
    source: str


@dataclass(frozen=True, eq=False)
class DescribedScan:
    """One scan in the terms of PET-BIDS.

    Attributes
    ----------
    fields
        Fields of the sidecar ``*_pet.json``, in the units that PET-BIDS prescribes (times in s). ``BodyWeight`` and
        ``BodyWeightUnits`` may stand among them, and ``Species``. What the files don't state is absent. Nothing in it
        names a person: only fields that are listed by a format get here.
    source
        File or folder that the scan comes from, for messages.
    image
        The image of the scan; None where there are region curves alone.
    blood
        Tables of blood by the name of the recording, such as ``manual``.
    curves
        Table of region curves: ``frame_start``, ``frame_end`` and a column for each region.
    findings
        What the format had to assume or leave out.
    identity
        Identifiers that say to which study results belong, such as DICOM's ``StudyInstanceUID``; they name no person.
    """

    fields: Mapping[str, Any]
    source: str
    image: SeriesImage | None = None
    blood: Mapping[str, DescribedTable] = field(default_factory=dict)
    curves: DescribedTable | None = None
    findings: tuple[Finding, ...] = ()
    identity: Mapping[str, str] = field(default_factory=dict)


class SeriesFormat(ScanFormat, Protocol):
    """A file format other than PET-BIDS; `dlif_core.ingest.conversion.ConvertingReader` makes a reader of it.

    `dlif_core.ingest.series_files` lists and names its scans.
    """

    @property
    def options(self) -> type[SeriesOptions]:
        """Class of the options; `SeriesOptions` itself for none of its own."""

    def describe(self, files: ScanFiles) -> AbstractContextManager[DescribedScan]:
        """Describe a scan; its image can be read until the context ends.

        Raises
        ------
        InputError
            Of the kind that names the fault, with the file and what to do about it.
        """
