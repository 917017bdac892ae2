"""The row of a scan: what its committed source product holds, and what became of its other products."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from dlif_core.blood_samples.recording import BloodRecording
from dlif_core.catalog.products import SOURCE, Markers, product_columns
from dlif_core.errors import StorageError, StoreError
from dlif_core.scan import Acquisition, voxel_size
from dlif_core.store import Marker, Store
from dlif_core.study.products import SCAN_NAME, source_name
from dlif_core.study.source import read_blood

if TYPE_CHECKING:
    import xarray as xr

_GROUPS = "scans"
_GROUP_ENDING = ".zarr"
#: Records of scans that could not be ingested, see `dlif_core.study.products.failure_name`.
_FAILURES = "failures"
_FAILED_SOURCE = (f"{_GROUPS}.", f"{_GROUP_ENDING}.{SOURCE}")
_FILE = "file "
#: Status of a scan of which a product can't be read.
DAMAGED = "damaged"
#: Files beside an image; they may differ between studies of the same scan.
_TABLES = (".json", ".tsv", ".csv", ".txt")
_DERIVED = "derivatives/"


@dataclass(frozen=True)
class CatalogedStore:
    """A store whose scans get rows.

    Attributes
    ----------
    store
        The store.
    study
        Name of the study.
    site
        Where the scans were made.
    """

    store: Store
    study: str
    site: str

    def rows(self) -> Iterator[dict[str, Any]]:
        """One row a scan, in the order of their names in the store; a column that is not known is absent.

        Raises
        ------
        StorageError
            If the storage can't be reached.
        """
        groups = [name for name in self.store.folder.folders(_GROUPS) if name.endswith(_GROUP_ENDING)]
        for group in groups:
            yield from self._rows_of(group)
        yield from self._failed_rows(set(groups))

    def _rows_of(self, group: str) -> Iterator[dict[str, Any]]:
        """The row of a scan, if it was ingested; one that is damaged has a row that says so."""
        scan, prefix = group.removesuffix(_GROUP_ENDING), f"{_GROUPS}/{group}/"
        try:
            markers = {name.removeprefix(prefix): one for name, one in self.store.products(prefix).items()}
            if SOURCE in markers:
                scan = markers[SOURCE].parts.get(SCAN_NAME, scan)
                yield self._row(scan, markers)
        except StorageError:
            raise
        except StoreError as fault:
            yield {**self._names(scan), "status": DAMAGED, "reason": str(fault)}

    def _row(self, scan: str, markers: Markers) -> dict[str, Any]:
        source = markers[SOURCE]
        with self.store.blaming(marker.product for marker in markers.values()):
            read = _source_columns(self.store, scan) if source.status == "success" else {}
            return {**self._names(scan), **_source_marker(source), **read, **product_columns(self.store, markers)}

    def _failed_rows(self, groups: set[str]) -> Iterator[dict[str, Any]]:
        """Rows of scans of which there is nothing but a record of why they could not be ingested."""
        begin, end = _FAILED_SOURCE
        for name, marker in self.store.products(_FAILURES).items():
            record = name.removeprefix(f"{_FAILURES}/")
            stored = record.removeprefix(begin).removesuffix(end)
            if record == f"{begin}{stored}{end}" and f"{stored}{_GROUP_ENDING}" not in groups:
                yield {**self._names(stored), "status": marker.status, "reason": marker.reason}

    def _names(self, scan: str) -> dict[str, Any]:
        subject, *parts = scan.split("_")
        session = next((part for part in parts if part.startswith("ses-")), None)
        return {
            "site": self.site,
            "study": self.study,
            "store": self.store.uri,
            "scan": scan,
            "subject": subject,
            "session": session,
            "animal": f"{self.study}:{subject}",
        }


def _source_marker(marker: Marker) -> dict[str, Any]:
    return {
        "status": marker.status,
        "reason": marker.reason or None,
        "fingerprint": marker.fingerprint,
        "data_digest": _data_digest(marker.parts),
    }


def _data_digest(parts: Mapping[str, str]) -> str:
    """Digest of a scan's image files, or of all its files where it has tables alone."""
    files = {name.removeprefix(_FILE): digest for name, digest in parts.items() if name.startswith(_FILE)}
    images = [digest for name, digest in files.items() if not name.startswith(_DERIVED) and not name.endswith(_TABLES)]
    return hashlib.sha256("\n".join(sorted(images or files.values())).encode()).hexdigest()


def _source_columns(store: Store, scan: str) -> dict[str, Any]:
    tables = store.open_dataset(source_name(scan))
    about = tables.attrs
    blood = read_blood(store, scan, about["blood_recordings"])
    made = json.loads(about["provenance"]).get("acquisition", {})
    return {
        **_acquisition(Acquisition(**about["acquisition"])),
        "administration": made.get("ModeOfAdministration"),
        "manufacturer": made.get("Manufacturer"),
        "scanner": made.get("ManufacturersModelName"),
        "reconstruction": made.get("ReconMethodName"),
        **_frames_and_voxels(tables),
        "regions": [str(name) for name in tables["region"].to_numpy()],
        **blood_columns(blood),
    }


def _acquisition(acquisition: Acquisition) -> dict[str, Any]:
    return {
        "species": acquisition.species or None,
        "tracer": acquisition.tracer or None,
        "half_life": acquisition.half_life if math.isfinite(acquisition.half_life) else None,
        "injected_activity": acquisition.injected_activity or None,
        "body_weight": acquisition.body_weight or None,
    }


def _frames_and_voxels(tables: xr.Dataset) -> dict[str, Any]:
    start, duration = tables["frame_start"].to_numpy(), tables["frame_duration"].to_numpy()
    affine = tables.attrs.get("affine")
    z, y, x = (None, None, None) if affine is None else voxel_size(affine).tolist()
    return {
        "frames": len(start),
        "first_frame": float(start[0]),
        "scan_end": float(start[-1] + duration[-1]),
        "image": "activity" in tables,
        "voxel_z": z,
        "voxel_y": y,
        "voxel_x": x,
    }


def blood_columns(recordings: Sequence[BloodRecording]) -> dict[str, Any]:
    """Columns on the blood of a scan."""
    arterial = [one for one in recordings if one.arterial and not one.refused]
    times = np.concatenate([np.empty(0), *(one.time[_measured(one)] for one in arterial)])
    return {
        "recordings": [one.name for one in recordings],
        "arterial_samples": len(times),
        "blood_start": float(times.min()) if len(times) else None,
        "blood_end": float(times.max()) if len(times) else None,
        "blood_peak": _peak(arterial),
        "has_plasma": any(_has(one.plasma) for one in arterial),
        "has_parent_fraction": any(_has(one.parent_fraction) for one in arterial),
        "blood_refused": [one.name for one in recordings if one.refused],
    }


def _measured(recording: BloodRecording) -> Any:
    """Which samples have an activity, shape (samples,)."""
    columns = [values for values in (recording.whole_blood, recording.plasma) if values is not None]
    return np.isfinite(columns).any(axis=0) if columns else np.zeros(len(recording.time), bool)


def _peak(recordings: Sequence[BloodRecording]) -> float | None:
    for column in ("whole_blood", "plasma"):
        values = [getattr(one, column) for one in recordings if _has(getattr(one, column))]
        if values:
            return float(max(np.nanmax(one) for one in values))
    return None


def _has(values: Any) -> bool:
    return values is not None and bool(np.isfinite(values).any())
