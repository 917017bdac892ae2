"""The source product: a scan as ingested, and its way back into objects."""

from __future__ import annotations

import base64
from collections.abc import Iterable
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from dlif_core.blood_samples.recording import BloodRecording
from dlif_core.finite import to_json
from dlif_core.frames import FrameTiming
from dlif_core.scan import Acquisition, DynamicScan, ImageArray, RegionCurves
from dlif_core.store import Staging, Store, blocks, image_chunking
from dlif_core.store.arrays import write_shard
from dlif_core.store.layout import part_for
from dlif_core.study.products import source_name

if TYPE_CHECKING:
    from dlif_core.ingest import IngestedScan

#: Region curves before partial-volume correction; absent where nothing was corrected.
_MEASURED = "region_activity_uncorrected"
_BLOOD_COLUMNS = {
    "whole_blood": {"long_name": "whole blood", "units": "Bq/mL"},
    "plasma": {"long_name": "total plasma", "units": "Bq/mL"},
    "parent_fraction": {"long_name": "parent fraction", "units": "1"},
}


def write_source(staging: Staging, ingested: IngestedScan) -> None:
    """Write an ingested scan, its image shard by shard.

    Parameters
    ----------
    staging
        Staging area of the product.
    ingested
        The open scan; its image may lie on disk.
    """
    scan = ingested.scan
    staging.write_dataset(_tables(ingested), may_miss=("region_volume",))
    if scan.activity is not None:
        _write_images(staging, scan, scan.activity)
    for recording in ingested.blood:
        staging.write_dataset(
            _blood_dataset(recording), group=_blood_group(recording.name), may_miss=tuple(_BLOOD_COLUMNS)
        )


def _tables(ingested: IngestedScan) -> xr.Dataset:
    scan = ingested.scan
    regions = scan.regions
    attributes: dict[str, Any] = {
        "acquisition": asdict(scan.acquisition),
        "region_source": regions.source,
        "label_names": {str(label): name for label, name in scan.label_names.items()},
        "blood_recordings": [recording.name for recording in ingested.blood],
        "warnings": list(ingested.warnings),
        "provenance": to_json(ingested.provenance, where=scan.regions.source, sort_keys=True, default=str),
        "nifti_header": base64.b64encode(ingested.header).decode(),
    }
    if scan.affine is not None:
        attributes["affine"] = np.asarray(scan.affine).tolist()
    activity = {"long_name": "region mean activity", "units": "Bq/mL", "decay_corrected_to": "injection"}
    measured = (
        {}
        if ingested.uncorrected is None
        else {_MEASURED: (("region", "frame"), ingested.uncorrected.activity, activity)}
    )
    return xr.Dataset(
        {
            "region_activity": (("region", "frame"), regions.activity, activity),
            **measured,
            "region_volume": ("region", regions.volume, {"long_name": "region volume", "units": "mm3"}),
        },
        coords={"region": np.array(regions.names, dtype=str), **timing_coordinates(scan.timing)},
        attrs=attributes,
    )


def timing_coordinates(timing: FrameTiming) -> dict[str, Any]:
    """Frame start and duration as coordinates on dimension ``frame``."""
    return {
        "frame_start": ("frame", timing.start, {"long_name": "frame start", "units": "s"}),
        "frame_duration": ("frame", timing.duration, {"long_name": "frame duration", "units": "s"}),
    }


def _write_images(staging: Staging, scan: DynamicScan, image: ImageArray) -> None:
    activity = {"long_name": "activity concentration", "units": "Bq/mL", "decay_corrected_to": "injection"}
    shape = tuple(image.shape)
    chunks, shards = image_chunking(shape)
    dims = ("frame", "z", "y", "x")
    staging.create_array("activity", shape=shape, chunks=chunks, shards=shards, dims=dims, attrs=activity)
    for block in blocks(shape, shards):
        write_shard(staging.uri, "activity", block, np.asarray(image[block], dtype=np.float32))
    if scan.labels is not None:
        staging.create_array(
            "labels",
            shape=shape[1:],
            chunks=chunks[1:],
            shards=shards[1:],
            dims=dims[1:],
            dtype="i4",
            attrs={"long_name": "region label"},
        )
        for block in blocks(shape[1:], shards[1:]):
            write_shard(staging.uri, "labels", block, np.asarray(scan.labels[block], dtype=np.int32))


def _blood_group(recording: str) -> str:
    return f"blood/{part_for(recording)}"


def _blood_dataset(recording: BloodRecording) -> xr.Dataset:
    columns = {
        name: ("sample", getattr(recording, name), attributes)
        for name, attributes in _BLOOD_COLUMNS.items()
        if getattr(recording, name) is not None
    }
    time = ("sample", recording.time, {"long_name": "time from injection", "units": "s"})
    return xr.Dataset(
        {"time": time, **columns},
        attrs={
            "arterial": int(recording.arterial),
            "source": recording.source,
            "refused": recording.refused,
            "dispersion": recording.dispersion,
        },
    )


def read_scan(store: Store, scan_id: str) -> tuple[DynamicScan, tuple[BloodRecording, ...]]:
    """A committed scan and its blood; the image stays on disk and is read by slicing."""
    name = source_name(scan_id)
    tables = store.open_dataset(name)
    scan = DynamicScan(
        timing=FrameTiming(tables["frame_start"].to_numpy(), tables["frame_duration"].to_numpy(), where=name),
        acquisition=Acquisition(**tables.attrs["acquisition"]),
        regions=RegionCurves(
            names=tuple(str(region) for region in tables["region"].to_numpy()),
            activity=tables["region_activity"].to_numpy(),
            volume=tables["region_volume"].to_numpy(),
            source=tables.attrs["region_source"],
        ),
        activity=store.open_array(name, "activity") if "activity" in tables else None,
        affine=np.array(tables.attrs["affine"]) if "affine" in tables.attrs else None,
        labels=tables["labels"].to_numpy() if "labels" in tables else None,
        label_names={int(label): label_name for label, label_name in tables.attrs["label_names"].items()},
    )
    return scan, read_blood(store, scan_id, tables.attrs["blood_recordings"])


def read_acquisition(store: Store, scan_id: str) -> Acquisition:
    """Metadata of a committed scan."""
    return Acquisition(**store.open_dataset(source_name(scan_id)).attrs["acquisition"])


def read_blood(store: Store, scan_id: str, recordings: Iterable[str]) -> tuple[BloodRecording, ...]:
    """Blood recordings of a committed scan by their names, as its attribute ``blood_recordings`` lists them."""
    return tuple(_read_blood(store, source_name(scan_id), recordings))


def _read_blood(store: Store, name: str, recordings: Iterable[str]) -> Iterable[BloodRecording]:
    for recording in recordings:
        samples = store.open_dataset(name, group=_blood_group(recording))
        columns = {column: samples[column].to_numpy() for column in ("time", *_BLOOD_COLUMNS) if column in samples}
        yield BloodRecording(
            name=recording,
            arterial=bool(samples.attrs["arterial"]),
            source=samples.attrs["source"],
            refused=samples.attrs.get("refused", ""),
            dispersion=samples.attrs.get("dispersion", 0.0),
            **columns,
        )
