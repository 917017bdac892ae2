"""Opening one scan of a PET-BIDS dataset: metadata, blood, region curves and a view of its image."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from dlif_core.errors import FrameTimingError, MissingInputError
from dlif_core.ingest.bids.blood import read_blood
from dlif_core.ingest.bids.curves import label_names, read_curves, the_only
from dlif_core.ingest.bids.metadata import Metadata, read_metadata
from dlif_core.ingest.nifti import NiftiImage, open_image, read_labels
from dlif_core.ingest.reader import IngestedScan, ScanFiles
from dlif_core.ingest.regions import WHOLE_IMAGE, label_means, region_curves
from dlif_core.scan import DynamicScan, RegionCurves


@dataclass(frozen=True, eq=False)
class _Regions:
    """Region curves with how they were made; `labels` only where they come from a label image."""

    curves: RegionCurves
    made_from: str
    warnings: tuple[str, ...] = ()
    labels: Any = None
    names: Mapping[int, str] = field(default_factory=dict)


@contextmanager
def open_scan(files: ScanFiles) -> Iterator[IngestedScan]:
    """Read and validate one scan of a PET-BIDS dataset.

    The image is read once from end to end, in slabs, for its region means and to make sure that every value
    is finite. Region curves come from the label image if the scan has an image and labels, else from the
    table of region curves, else from the whole image.

    Yields
    ------
    The scan; its image can be sliced until the context ends.

    Raises
    ------
    InputError
        Of the kind that names the fault, with the file and what to do about it.
    """
    metadata = read_metadata(files)
    blood = read_blood(files, metadata)
    with _image(files, metadata) as image:
        regions = _regions(files, metadata, image)
        yield IngestedScan(
            scan=DynamicScan(
                timing=metadata.timing,
                acquisition=metadata.acquisition,
                regions=regions.curves,
                activity=image,
                affine=None if image is None else image.affine,
                labels=regions.labels,
                label_names=regions.names,
            ),
            blood=blood,
            warnings=(*metadata.warnings, *(() if image is None else image.warnings), *regions.warnings),
            header=b"" if image is None else image.header,
            provenance=_provenance(files, metadata, image, regions),
        )


@contextmanager
def _image(files: ScanFiles, metadata: Metadata) -> Iterator[NiftiImage | None]:
    uris = files.role("image")
    if not uris and not files.role("curves"):
        raise MissingInputError(
            "the scan has neither an image nor region curves.",
            where=metadata.where,
            hint=f"Add {files.scan_id}_pet.nii.gz beside it, or a table that the setting `curves` matches "
            "below derivatives.",
        )
    hint = "Keep one of them, the .nii.gz for instance."
    source = open_image(the_only(uris, "images", hint), metadata.image_factor) if uris else nullcontext(None)
    with source as image:
        if image is not None:
            _require_same_frames(image, uris[0], metadata)
        yield image


def _require_same_frames(image: NiftiImage, uri: str, metadata: Metadata) -> None:
    if image.shape[0] != len(metadata.timing):
        raise FrameTimingError(
            f"the image has {image.shape[0]} frames, {metadata.where} gives times for {len(metadata.timing)}.",
            where=uri,
            hint="Correct FrameTimesStart and FrameDuration, or convert the image again with all its frames.",
        )


def _regions(files: ScanFiles, metadata: Metadata, image: NiftiImage | None) -> _Regions:
    if image is None:
        curves, warnings = read_curves(files, metadata)
        return _Regions(curves, "table of region curves", warnings)
    if files.role("labels"):
        return _labelled_regions(files, image)
    everywhere = np.broadcast_to(np.int32(1), image.shape[1:])
    whole = label_means(image, everywhere, files.role("image")[0])
    if files.role("curves"):
        curves, warnings = read_curves(files, metadata)
        return _Regions(curves, "table of region curves", warnings)
    curves, _ = region_curves(whole, {1: WHOLE_IMAGE}, _voxel_volume(image), files.role("image")[0])
    return _Regions(curves, WHOLE_IMAGE)


def _labelled_regions(files: ScanFiles, image: NiftiImage) -> _Regions:
    uri = the_only(files.role("labels"), "label images", "Keep one *_dseg.nii.gz for each scan below derivatives.")
    labels, names = read_labels(uri, image), label_names(files.role("labels_dseg"))
    means = label_means(image, labels, files.role("image")[0])
    curves, warnings = region_curves(means, names, _voxel_volume(image), uri)
    if files.role("curves"):
        warnings = (*warnings, "The scan has a label image, so its table of region curves is not used.")
    return _Regions(curves, "label image", warnings, labels, names)


def _voxel_volume(image: NiftiImage) -> float:
    return float(abs(np.linalg.det(image.affine[:3, :3])))


def _provenance(files: ScanFiles, metadata: Metadata, image: NiftiImage | None, regions: _Regions) -> dict[str, Any]:
    return {
        "reader": "PET-BIDS",
        "files": {role: list(uris) for role, uris in files.files.items()},
        "acquisition": dict(metadata.kept),
        "unit": metadata.unit,
        "injection_start": metadata.injection_start,
        "decay": "image and blood to injection; blood taken as corrected to TimeZero, as PET-BIDS asks for",
        "image_factor": metadata.image_factor,
        "blood_decay_factor": metadata.blood_decay,
        "image_type": "" if image is None else image.stored_type,
        "regions": {"made_from": regions.made_from, "source": regions.curves.source},
    }
