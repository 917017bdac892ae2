"""Opening one scan of a PET-BIDS dataset: metadata, blood, region curves and a view of its image."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from dlif_core.checks import Finding, ImageSummary
from dlif_core.checks.metadata import FILES_LEFT_OUT, IMAGE_HEADER, REGIONS_LEFT_OUT, WHOLE_IMAGE_ONLY
from dlif_core.errors import FrameTimingError, MissingInputError
from dlif_core.ingest.bids.blood import read_blood
from dlif_core.ingest.bids.curves import read_curves, the_only
from dlif_core.ingest.bids.masks import masked_regions
from dlif_core.ingest.bids.metadata import Metadata, read_metadata
from dlif_core.ingest.label_image import read_label_image
from dlif_core.ingest.label_options import LabelOptions
from dlif_core.ingest.nifti import NiftiImage, open_image
from dlif_core.ingest.reader import IngestedScan, ScanFiles
from dlif_core.ingest.regions import WHOLE_IMAGE, LabelMeans, label_means, region_curves
from dlif_core.scan import DynamicScan, RegionCurves


@dataclass(frozen=True, eq=False)
class _Regions:
    """Region curves with how they were made; `labels` only where they come from a label image or from masks apart."""

    curves: RegionCurves
    made_from: str
    findings: tuple[Finding, ...] = ()
    labels: Any = None
    names: Mapping[int, str] = field(default_factory=dict)
    image: ImageSummary | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)


@contextmanager
def open_scan(files: ScanFiles) -> Iterator[IngestedScan]:
    """Read and validate one scan of a PET-BIDS dataset.

    The image is read once from end to end, in slabs, for its region means and to make sure that every value
    is finite. Region curves come from the label image if the scan has an image and labels, else from the
    table of region curves, else from masks, else from the whole image.

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
            blood=tuple(blood.recordings),
            findings=(*metadata.findings, *blood.findings, *_image_findings(image, files), *regions.findings),
            header=b"" if image is None else image.header,
            provenance=_provenance(files, metadata, image, regions) | {"blood": blood.provenance},
            image=regions.image,
            timeline=metadata.timeline,
            places=_places(files, metadata, regions),
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
        curves, findings = read_curves(files, metadata)
        return _Regions(curves, "table of region curves", findings)
    if files.role("labels"):
        return _labelled_regions(files, image)
    if not files.role("curves"):
        return _masked_regions(files, image)
    curves, findings = read_curves(files, metadata)
    whole = _whole_image(files, image)
    return _Regions(curves, "table of region curves", (*findings, *_unused_masks(files)), image=whole.image)


def _whole_image(files: ScanFiles, image: NiftiImage) -> LabelMeans:
    everywhere = np.broadcast_to(np.int32(1), image.shape[1:])
    return label_means(image, everywhere, _voxel_volume(image), files.role("image")[0])


def _masked_regions(files: ScanFiles, image: NiftiImage) -> _Regions:
    """Regions from masks; without one that serves, the whole image."""
    masked, findings = masked_regions(files, image, _voxel_volume(image))
    if masked is not None:
        return _Regions(masked.curves, "masks", tuple(findings), masked.labels, masked.names, masked.image)
    uri, whole = files.role("image")[0], _whole_image(files, image)
    curves, _ = region_curves(whole, {1: WHOLE_IMAGE}, _voxel_volume(image), uri)
    message = "The scan has no regions; its only curve is the mean of the whole image, air included."
    findings.append(WHOLE_IMAGE_ONLY.found(message, where=uri))
    return _Regions(curves, WHOLE_IMAGE, tuple(findings), image=whole.image)


def _unused_masks(files: ScanFiles) -> list[Finding]:
    masks = [uris[0] for role, uris in files.files.items() if role.startswith("mask/")]
    message = "The scan has other regions, so its masks are not used."
    return [FILES_LEFT_OUT.found(message, where=masks[0])] if masks else []


def _labelled_regions(files: ScanFiles, image: NiftiImage) -> _Regions:
    uri = the_only(files.role("labels"), "label images", "Keep one *_dseg.nii.gz for each scan below derivatives.")
    resample = isinstance(files.options, LabelOptions) and files.options.resample_labels
    read = read_label_image(uri, files.role("labels_dseg"), image, resample=resample)
    means = label_means(image, read.labels, _voxel_volume(image), files.role("image")[0])
    names = {label: read.names[label] for label in means.labels.tolist() if label in read.names}
    curves, warnings = region_curves(means, names, _voxel_volume(image), uri)
    findings = [*read.findings, *(REGIONS_LEFT_OUT.found(warning, where=uri) for warning in warnings)]
    if files.role("curves"):
        message = "The scan has a label image, so its table of region curves is not used."
        findings.append(FILES_LEFT_OUT.found(message, where=files.role("curves")[0]))
    findings += _unused_masks(files)
    return _Regions(curves, "label image", tuple(findings), read.labels, names, means.image, read.provenance)


def _voxel_volume(image: NiftiImage) -> float:
    return float(abs(np.linalg.det(image.affine[:3, :3])))


def _image_findings(image: NiftiImage | None, files: ScanFiles) -> tuple[Finding, ...]:
    warnings = () if image is None else image.warnings
    return tuple(IMAGE_HEADER.found(warning, where=files.role("image")[0]) for warning in warnings)


def _places(files: ScanFiles, metadata: Metadata, regions: _Regions) -> dict[str, str]:
    """Files and fields that findings name."""
    blood = [uris[0] for role, uris in files.files.items() if role.startswith("blood/")]
    return {
        "frames": f"{metadata.where}, fields FrameTimesStart and FrameDuration",
        "dose": f"{metadata.where}, field InjectedRadioactivity",
        "weight": files.role("participants")[0] if files.role("participants") else metadata.where,
        "image": files.role("image")[0] if files.has_image else regions.curves.source,
        "regions": regions.curves.source,
        "blood": ", ".join(blood),
        "decay": f"{metadata.where}, decay correction",
    }


def _provenance(files: ScanFiles, metadata: Metadata, image: NiftiImage | None, regions: _Regions) -> dict[str, Any]:
    return {
        "reader": "PET-BIDS",
        "files": {role: list(uris) for role, uris in files.files.items()},
        "acquisition": dict(metadata.kept),
        "unit": metadata.unit,
        "injection_start": metadata.injection_start,
        "decay": "image and blood to injection; blood taken as corrected to TimeZero, as PET-BIDS asks for",
        "image_factor": metadata.image_factor,
        "image_type": "" if image is None else image.stored_type,
        "regions": {"made_from": regions.made_from, "source": regions.curves.source, **regions.facts},
    }
