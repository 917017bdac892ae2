"""A small sample of data for each reader, with known values, for the suite that every reader must pass."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from dlif_core.ingest import Reader
from dlif_core.ingest.arrays.reader import ArrayGroups
from dlif_core.ingest.bids.reader import PetBids
from dlif_core.ingest.conversion import ConvertingReader
from dlif_core.ingest.dicom.series_format import DicomFormat
from dlif_core.ingest.ecat.reader import Ecat
from dlif_core.ingest.interfile.reader import Interfile
from dlif_core.ingest.inveon.reader import Inveon
from dlif_core.ingest.pmod.reader import PmodTables
from dlif_core.ingest.volumes.reader import PlainImages
from tests.contract.toy_reader import VOXEL_SIZE, ToyReader
from tests.unit.ingest.arrays.groups import write_group
from tests.unit.ingest.bids.dataset import (
    DURATION,
    SIDECAR,
    START,
    curve_table,
    make_dataset,
    voxels,
    write,
    write_image,
)
from tests.unit.ingest.dicom.series import ACTIVITY as DICOM_ACTIVITY
from tests.unit.ingest.dicom.series import GAP, SPACING, enhanced, write_series
from tests.unit.ingest.ecat.images import write_ecat
from tests.unit.ingest.interfile.images import write_interfile
from tests.unit.ingest.inveon.images import write_inveon
from tests.unit.ingest.phantom import ACTIVITY
from tests.unit.ingest.phantom import VOXEL_SIZE as PHANTOM_VOXELS
from tests.unit.ingest.pmod.tables import write_pmod
from tests.unit.ingest.volumes.images import write_analyze, write_nifti


@dataclass(frozen=True, eq=False)
class Sample:
    """Data of one format.

    Attributes
    ----------
    reader
        The reader to test.
    make
        Writes the scans below an empty folder. Every file that is found for a scan must be needed to open it.
    scans
        Ids of the scans, in order; the first has an image, and there is one without if the format knows such scans. A
        format without images has none.
    image
        The image of the first scan [Bq/mL], shape (frames, z, y, x); None for a format without images.
    voxel_size
        Its edge lengths along z, y, x [mm].
    tables
        File whose damage makes the last scan unreadable, below the root.
    """

    reader: Reader
    make: Callable[[Path], object]
    scans: tuple[str, ...]
    image: np.ndarray | None
    voxel_size: tuple[float, float, float]
    tables: str


def _make_pet_bids(root: Path) -> None:
    make_dataset(root)
    labels = np.zeros((3, 4, 5), dtype=np.int16)
    labels[0], labels[1, :2] = 4, 9
    segmentation = root / "derivatives" / "seg" / "sub-01"
    write_image(segmentation / "sub-01_dseg.nii.gz", labels)
    write(segmentation / "sub-01_dseg.tsv", "index\tname\n4\tliver\n9\tbrain\n")
    write(root / "sub-02" / "ses-a" / "pet" / "sub-02_ses-a_pet.json", SIDECAR)
    write_image(root / "sub-02" / "ses-a" / "pet" / "sub-02_ses-a_pet.nii", voxels())
    write(root / "sub-02" / "ses-b" / "pet" / "sub-02_ses-b_pet.json", SIDECAR)
    write(root / "participants.tsv", "participant_id\tweight\nsub-01\t22\nsub-02\t25\n")
    stem = root / "derivatives" / "extract" / "sub-02" / "ses-b" / "sub-02_ses-b_desc-seg"
    write(
        stem.with_name(f"{stem.name}_tacs.tsv"), curve_table(**{"4": [1.0, 2.0, 3.0, 4.0], "9": [4.0, 3.0, 2.0, 1.0]})
    )
    write(stem.with_name(f"{stem.name}_tacs.json"), {"Units": "kBq/mL"})
    write(stem.with_name(f"{stem.name}_morph.tsv"), "name\tvolume-mm3\nliver\t30\nbrain\t10\n")
    write(stem.with_name(f"{stem.name}_dseg.tsv"), "index\tname\n4\tliver\n9\tbrain\n")


_TOY_IMAGE = np.arange(4 * 5 * 4 * 3, dtype=np.float32).reshape(4, 5, 4, 3)


def _make_toy(root: Path) -> None:
    root.mkdir(parents=True, exist_ok=True)
    tables: dict[str, Any] = {
        "start": START,
        "duration": DURATION,
        "names": ["liver", "brain"],
        "curves": np.arange(8.0).reshape(2, 4),
        "half_life": 6586.2,
        "plasma": [[0.0, 30.0, 180.0], [0.0, 900.0, 300.0]],
    }
    for scan in ("mouse-a", "mouse-b"):
        np.savez(root / f"{scan}.npz", **tables)
    np.save(root / "mouse-a.image.npy", _TOY_IMAGE)


def _make_dicom(root: Path) -> None:
    write_series(root / "mouse-a" / "pet")
    enhanced(root / "mouse-b" / "day1")


def _make_ecat(root: Path) -> None:
    write_ecat(root / "mouse1.v", dosage=0.0)
    write_ecat(root / "mouse2.v", dosage=0.0)


def _make_inveon(root: Path) -> None:
    write_inveon(root / "mouse1.img", (-1, -1, -1), subject_orientation=4)
    write_inveon(root / "mouse2.img", (-1, -1, -1), subject_orientation=4)


def _make_interfile(root: Path) -> None:
    write_interfile(root / "mouse1.hv")
    write_interfile(root / "mouse2.hv")


def _make_pmod(root: Path) -> None:
    write_pmod(root / "m1")
    write_pmod(root / "m2", "mouse2")


def _make_plain(root: Path) -> None:
    write_nifti(root / "mouse1.nii.gz", (-1, -1, -1))
    write_analyze(root / "mouse2.hdr")


def _make_arrays(root: Path) -> None:
    write_group(root / "mouse1.zarr")
    write_group(root / "mouse2.zarr")


#: The phantom with its axes to the left, the back and the feet.
_TURNED = ACTIVITY[:, ::-1, ::-1, ::-1]

SAMPLES = (
    Sample(
        reader=PetBids(),
        make=_make_pet_bids,
        scans=("sub-01", "sub-02_ses-a", "sub-02_ses-b"),
        image=voxels().T * 0.5 * 1000.0,
        voxel_size=(4.0, 3.0, 2.0),
        tables="sub-02/ses-b/pet/sub-02_ses-b_pet.json",
    ),
    Sample(
        reader=ConvertingReader(DicomFormat()),
        make=_make_dicom,
        scans=("sub-day1", "sub-pet"),
        image=DICOM_ACTIVITY,
        voxel_size=(GAP, *SPACING),
        tables="mouse-a/pet/1_0003.dcm",
    ),
    Sample(
        reader=ToyReader(),
        make=_make_toy,
        scans=("mouse-a", "mouse-b"),
        image=_TOY_IMAGE,
        voxel_size=(VOXEL_SIZE,) * 3,
        tables="mouse-b.npz",
    ),
    Sample(
        reader=ConvertingReader(Ecat()),
        make=_make_ecat,
        scans=("sub-mouse1", "sub-mouse2"),
        image=_TURNED,
        voxel_size=PHANTOM_VOXELS[::-1],
        tables="mouse2.v",
    ),
    Sample(
        reader=ConvertingReader(Inveon()),
        make=_make_inveon,
        scans=("sub-mouse1", "sub-mouse2"),
        image=np.stack([frame / np.float32(n) * np.float64(n) for n, frame in enumerate(_TURNED, start=1)]),
        voxel_size=PHANTOM_VOXELS[::-1],
        tables="mouse2.img.hdr",
    ),
    Sample(
        reader=ConvertingReader(Interfile()),
        make=_make_interfile,
        scans=("sub-mouse1", "sub-mouse2"),
        image=np.stack([frame / np.float32(n) * np.float64(n) for n, frame in enumerate(_TURNED, start=1)]),
        voxel_size=PHANTOM_VOXELS[::-1],
        tables="mouse2.hv",
    ),
    Sample(
        reader=ConvertingReader(PmodTables()),
        make=_make_pmod,
        scans=("sub-mouse", "sub-mouse2"),
        image=None,
        voxel_size=(0.0, 0.0, 0.0),
        tables="m2/mouse2.tac",
    ),
    Sample(
        reader=ConvertingReader(PlainImages()),
        make=_make_plain,
        scans=("sub-mouse1", "sub-mouse2"),
        image=_TURNED,
        voxel_size=PHANTOM_VOXELS[::-1],
        tables="mouse2_frames.tsv",
    ),
    Sample(
        reader=ConvertingReader(ArrayGroups()),
        make=_make_arrays,
        scans=("sub-mouse1", "sub-mouse2"),
        image=ACTIVITY,
        voxel_size=PHANTOM_VOXELS[::-1],
        tables="mouse2.zarr/zarr.json",
    ),
)
