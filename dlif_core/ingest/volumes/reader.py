"""The format of plain images: NIfTI without the names of PET-BIDS, Analyze, MINC."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from dlif_core.checks import Finding
from dlif_core.errors import ImageError, MissingInputError
from dlif_core.ingest.described import DescribedScan, SeriesImage, SeriesOptions
from dlif_core.ingest.reader import ImageGeometry, ScanFiles, ScanSource
from dlif_core.ingest.series_files import files_below, named_scans, walked

_NIFTI, _MINC, _PAIR = (".nii", ".nii.gz"), (".mnc", ".mnc.gz"), (".hdr",)
_VOXELS = (".img", ".img.gz")
_FRAMES = ("_frames.tsv", "_frames.csv", "_frames.txt", "_frames.xlsx", ".sif")
#: Header of another format, whose voxels are called like those of a pair.
_OTHER_HEADER = ".img.hdr"


class PlainImages:
    """Dynamic images ``.nii``, ``.hdr`` with ``.img``, and ``.mnc``, with frame times from tables."""

    name: ClassVar = "nifti"
    title: ClassVar = "NIfTI"
    version: ClassVar = 1
    looks_for: ClassVar = "*.nii, *.nii.gz, *.hdr with *.img, *.mnc"
    options: ClassVar = SeriesOptions

    def recognises(self, uri: str) -> bool:
        """Tell whether there are images outside of folders ``sub-*``, in which PET-BIDS has its own."""
        images = _images(walked(uri, _counts))
        return any(not any(part.startswith("sub-") for part in path.split("/")[:-1]) for path in images)

    def find(self, source: ScanSource) -> list[ScanFiles]:
        """List the scans below a URI, each an image with its tables of frames."""
        found = files_below(source.uri, _counts)
        return named_scans(source, self.name, {path: _roles(path, found) for path in _images(found)})

    @contextmanager
    def describe(self, files: ScanFiles) -> Iterator[DescribedScan]:
        """Describe a scan; its image can be read until the context ends."""
        from dlif_core.ingest.beside import fields_beside
        from dlif_core.ingest.volumes.frame_tables import read_frame_table, require_one_timing

        findings: list[Finding] = []
        stated = {uri: fields_beside((uri,)) for uri in files.role("sidecar")}
        stated |= {uri: read_frame_table(uri, findings) for uri in files.role("frames")}
        with _opened(files, findings) as (image, times):
            require_one_timing({_source(files): times, **stated})
            fields = dict(times)
            for more in stated.values():
                fields |= more
            yield DescribedScan(fields, _source(files), image, findings=tuple(findings))

    def geometry(self, files: ScanFiles) -> ImageGeometry:
        """Read the grid of a scan's image from its header."""
        from dlif_core.ingest.nifti import image_geometry
        from dlif_core.ingest.volumes.pairs import read_pair_header

        uri = _source(files)
        if uri.lower().endswith(_NIFTI):
            return image_geometry(uri)
        if files.role("header"):
            header, _ = read_pair_header(files.role("header")[0])
            return ImageGeometry(header.shape[::-1], header.voxel_size[::-1])
        with _opened(files, []) as (image, _):
            edges = np.linalg.norm(image.affine[:3, :3], axis=0)
            return ImageGeometry(image.shape, tuple(float(edge) for edge in edges[::-1]))


def _counts(name: str) -> bool:
    return name.endswith((*_NIFTI, *_MINC, *_PAIR, *_VOXELS, *_FRAMES, ".json"))


def _images(found: Mapping[str, str]) -> list[str]:
    """Paths of the images: files of their own, and headers of pairs."""
    from dlif_core.ingest.volumes.pairs import is_pair_header

    return [
        path
        for path, uri in found.items()
        if path.lower().endswith((*_NIFTI, *_MINC))
        or (path.lower().endswith(_PAIR) and not path.lower().endswith(_OTHER_HEADER) and is_pair_header(uri))
    ]


def _stem(path: str) -> str:
    return next(
        path[: -len(end)] for end in (".nii.gz", ".mnc.gz", ".nii", ".mnc", ".hdr") if path.lower().endswith(end)
    )


def _roles(path: str, found: Mapping[str, str]) -> dict[str, tuple[str, ...]]:
    stem = _stem(path)
    frames = tuple(found[stem + end] for end in _FRAMES if stem + end in found)
    sidecar = tuple(found[f"{stem}.json"] for _ in (0,) if f"{stem}.json" in found)
    voxels = tuple(found[stem + end] for end in _VOXELS if stem + end in found)[:1]
    roles: dict[str, tuple[str, ...]]
    if not path.lower().endswith(_PAIR):
        roles = {"image": (found[path],)}
    else:
        roles = {"header": (found[path],)} | ({"image": voxels} if voxels else {})
    return roles | {role: uris for role, uris in (("frames", frames), ("sidecar", sidecar)) if uris}


def _source(files: ScanFiles) -> str:
    if not files.role("image"):
        header = files.role("header")[0]
        raise MissingInputError(
            "the voxels of this header are not there.", where=header, hint=f"Put {_stem(header)}.img beside it."
        )
    return files.role("image")[0]


@contextmanager
def _opened(files: ScanFiles, findings: list[Finding]) -> Iterator[tuple[SeriesImage, dict[str, Any]]]:
    """The image of a scan, and the frame times that it states."""
    from dlif_core.ingest.volumes.minc import open_minc
    from dlif_core.ingest.volumes.pairs import open_pair

    uri = _source(files)
    if uri.lower().endswith(_MINC):
        with open_minc(uri) as minc:
            yield minc, dict(minc.times)
    elif files.role("header"):
        with open_pair(files.role("header")[0], uri, findings) as pair:
            yield pair, {}
    else:
        with _nifti(uri, findings) as nifti:
            yield nifti, {}


@contextmanager
def _nifti(uri: str, findings: list[Finding]) -> Iterator[SeriesImage]:
    from dlif_core.checks.metadata import IMAGE_HEADER
    from dlif_core.ingest.nifti import open_image

    with open_image(uri) as image:
        findings += [IMAGE_HEADER.found(warning, where=uri) for warning in image.warnings]
        frames, depth, height, width = image.shape
        yield _NiftiSeries((frames, depth, height, width), image.affine, uri, image)


@dataclass(frozen=True, eq=False)
class _NiftiSeries:
    """A NIfTI image as an image of a format."""

    shape: tuple[int, int, int, int]
    affine: NDArray[np.float64]
    where: str
    stored: Any

    def fill(self, target: NDArray[np.float32]) -> None:
        """Read all voxels, a frame at a time."""
        for frame in range(self.shape[0]):
            target[frame] = self.stored[frame]
            if not np.isfinite(target[frame]).all():
                raise ImageError(
                    "the image holds values that are not finite (NaN or infinite).",
                    where=self.where,
                    hint="Write 0 outside of the body, or convert the image again.",
                )
