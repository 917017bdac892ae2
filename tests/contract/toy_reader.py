"""A reader of a format of its own, as small as a reader can be: what another package would register.

A scan is a file ``<scan>.npz`` with ``start`` and ``duration`` of the frames [s], ``names`` and ``curves`` of regions
[Bq/mL], ``half_life`` [s] and ``plasma`` (times [s] and activities [Bq/mL]); beside it there may be an image
``<scan>.image.npy``, shape (frames, z, y, x), in voxels of 2 mm.
"""

import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import fsspec
import numpy as np

from dlif_core.blood_samples import BloodRecording
from dlif_core.errors import ImageError, InputError, MissingInputError
from dlif_core.frames import FrameTiming
from dlif_core.ingest import ImageGeometry, IngestedScan, ReaderOptions, ScanFiles, ScanSource
from dlif_core.scan import Acquisition, DynamicScan, RegionCurves

VOXEL_SIZE = 2.0


class ToyOptions(ReaderOptions):
    """`scale` is the factor from the numbers in the files to Bq/mL."""

    scale: float = 1.0


class ToyReader:
    """Finds, opens and measures scans of the toy format."""

    name = "toy"
    title = "toy"
    version = 3
    looks_for = "*.npz"
    options = ToyOptions

    def recognises(self, uri: str) -> bool:
        file_system, root = fsspec.url_to_fs(uri)
        return file_system.isdir(root) and bool(file_system.glob(f"{root.rstrip('/')}/*.npz"))

    def find(self, source: ScanSource) -> list[ScanFiles]:
        file_system, root = fsspec.url_to_fs(source.uri)
        if not file_system.isdir(root):
            raise MissingInputError("there is no such folder.", where=source.uri, hint="Give a folder of .npz files.")
        there = {path.rsplit("/", 1)[-1] for path in file_system.find(root, maxdepth=1)}
        return [_files(source, name.removesuffix(".npz"), there) for name in sorted(there) if name.endswith(".npz")]

    @contextmanager
    def open(self, files: ScanFiles) -> Iterator[IngestedScan]:
        (uri,) = files.role("tables")
        tables = _load(uri)
        scale = _scale(files)
        image = np.float32(scale) * _image(files) if files.has_image else None
        time, plasma = tables["plasma"]
        yield IngestedScan(
            scan=DynamicScan(
                timing=FrameTiming(tables["start"], tables["duration"], where=uri),
                acquisition=Acquisition("FDG", float(tables["half_life"])),
                regions=RegionCurves(
                    names=tuple(str(name) for name in tables["names"]),
                    activity=scale * tables["curves"],
                    volume=np.full(len(tables["names"]), np.nan),
                    source=uri,
                ),
                activity=image,
                affine=None if image is None else np.diag([VOXEL_SIZE, VOXEL_SIZE, VOXEL_SIZE, 1.0]),
            ),
            blood=(BloodRecording("plasma", True, time, plasma=scale * plasma, source=uri),),
            provenance={"reader": self.title, "files": dict(files.inputs())},
        )

    def geometry(self, files: ScanFiles) -> ImageGeometry | None:
        if not files.has_image:
            return None
        with _opened(files.role("image")[0]) as stream:
            np.lib.format.read_magic(stream)
            shape = np.lib.format.read_array_header_1_0(stream)[0]
        return ImageGeometry(shape, (VOXEL_SIZE,) * 3)


def _scale(files: ScanFiles) -> float:
    assert isinstance(files.options, ToyOptions)
    return files.options.scale


def _files(source: ScanSource, scan: str, there: set[str]) -> ScanFiles:
    root = source.uri.rstrip("/")
    image = f"{scan}.image.npy"
    images = {"image": (f"{root}/{image}",)} if image in there else {}
    return ScanFiles(
        scan_id=scan,
        root=root,
        reader=ToyReader.name,
        files={"tables": (f"{root}/{scan}.npz",)} | images,
        has_image=bool(images),
        options=source.options,
    )


@contextmanager
def _opened(uri: str) -> Iterator[Any]:
    try:
        with fsspec.open(uri, "rb") as stream:
            yield stream
    except FileNotFoundError as error:
        raise MissingInputError("the file is not there.", where=uri, hint="Restore it.") from error
    except (ValueError, zipfile.BadZipFile) as error:
        raise InputError("this is no NumPy file.", where=uri, hint="Write it again.") from error


def _load(uri: str) -> dict[str, np.ndarray]:
    with _opened(uri) as stream, np.load(stream) as arrays:
        return dict(arrays)


def _image(files: ScanFiles) -> np.ndarray:
    (uri,) = files.role("image")
    with _opened(uri) as stream:
        image: np.ndarray = np.load(stream).astype(np.float32)
    if not np.isfinite(image).all():
        raise ImageError("voxels are not finite.", where=uri, hint="Write the image again.")
    return image
