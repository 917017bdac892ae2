"""A study of one scan as exporters get it: an oblique image with one voxel that stands out, curves, parameters."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import xarray as xr

from dlif_core.curve import InputFunction
from dlif_core.export import ExportedScan, ExportedStudy
from dlif_core.frames import FrameTiming
from dlif_core.scan import Acquisition, DynamicScan, RegionCurves
from dlif_core.store import Marker

#: Voxels along z, y, x, no two alike.
SHAPE = (3, 4, 5)
#: Place (z, y, x) of the voxel with the highest Ki.
HOT = (2, 1, 3)
MEANINGS = {
    "units": "1",
    "long_name": "status of the fit",
    "flag_values": [0, 1, 2, 3, 4, 5, 6],
    "flag_meanings": "converged at_bound degenerate not_converged not_finite masked implausible",
}
_SETTINGS = {"model": "patlak", "t_star": 15.0, "blood_volume": None, "weights": "duration-decay"}


def affine() -> np.ndarray:
    """Voxels of 2 × 2.5 × 3 mm, turned about two axes, with x running to the left, shape (4, 4)."""
    turn, tilt = np.deg2rad(20.0), np.deg2rad(-10.0)
    about_z = np.array([[np.cos(turn), -np.sin(turn), 0], [np.sin(turn), np.cos(turn), 0], [0, 0, 1]])
    about_x = np.array([[1, 0, 0], [0, np.cos(tilt), -np.sin(tilt)], [0, np.sin(tilt), np.cos(tilt)]])
    found = np.eye(4)
    found[:3, :3] = about_z @ about_x @ np.diag([-2.0, 2.5, 3.0])
    found[:3, 3] = [11.0, -7.0, 28.0]
    return found


def maps() -> xr.Dataset:
    """Maps of a Patlak analysis; one voxel has no value."""
    values = np.random.default_rng(4).uniform(0.01, 0.02, SHAPE).astype(np.float32)
    values[HOT] = 0.09
    values[0, 0, 0] = np.nan
    status = np.zeros(SHAPE, np.uint8)
    status[0, 0, 0] = 5
    dims = ("z", "y", "x")
    ki = {"units": "mL cm-3 min-1", "long_name": "Ki, net influx rate"}
    error = {"units": "mL cm-3 min-1", "long_name": "standard error of Ki from noise"}
    variables = {"Ki": (dims, values, ki), "Ki_se": (dims, values / 10, error), "status": (dims, status, MEANINGS)}
    return xr.Dataset(variables, attrs=_attributes() | {"delay": 0.0})


def regions() -> xr.Dataset:
    """Parameters of two regions; that of the second is without error."""
    ki = {"units": "mL cm-3 min-1", "long_name": "Ki, net influx rate"}
    variables: dict[str, Any] = {
        "Ki": ("region", [0.031, 0.012], ki),
        "Ki_se": ("region", [0.002, np.nan], ki),
        "Ki_lower": ("region", [0.028, np.nan], ki),
        "Ki_upper": ("region", [0.035, np.nan], ki),
        "vB": ("region", [0.05, 0.03], {"units": "1", "long_name": "vB, fractional blood volume"}),
        "vB_se": ("region", [0.01, 0.02], {"units": "1"}),
        "status": ("region", np.array([0, 1], np.uint8), MEANINGS),
    }
    return xr.Dataset(variables, coords={"region": ["brain", "left ventricle"]}, attrs=_attributes())


def _attributes() -> dict[str, Any]:
    return {
        "model": "patlak",
        "settings": json.dumps(_SETTINGS),
        "found": "{}",
        "t_star": 15.0,
        "input_function": "learned",
        "fingerprint": "ab" * 32,
    }


def labels() -> np.ndarray:
    """Label 3 in the hot voxel and one beside it, label 7 in one corner."""
    found = np.zeros(SHAPE, np.int32)
    found[HOT] = found[2, 1, 2] = 3
    found[0, 3, 0] = 7
    return found


def curve() -> InputFunction:
    """A learned input function with a band."""
    whole_blood = np.array([0.0, 9e4, 4e4, 5e3])
    return InputFunction(
        np.array([0.0, 20.0, 40.0, 3600.0]),
        whole_blood,
        1.1 * whole_blood,
        "learned",
        lower=0.9 * whole_blood,
        upper=1.2 * whole_blood,
        provenance={"model": {"name": "mouse", "digest": "cd" * 32}, "source": "/data/mice/sub-m01/pet/blood.tsv"},
        warnings=("read from /data/mice/sub-m01/pet/blood.tsv",),
    )


def exported_scan(**changes: Any) -> ExportedScan:
    """The scan; keyword arguments replace its fields."""
    names = ("brain", "left ventricle")
    scan = DynamicScan(
        timing=FrameTiming([0.0, 60.0, 300.0], [60.0, 240.0, 3300.0]),
        acquisition=Acquisition("FDG", 6586.2, injected_activity=9e6, body_weight=0.022, species="mouse"),
        regions=RegionCurves(names, np.array([[1e3, 5e3, 7e3], [9e4, 4e4, 5e3]]), np.array([30.0, 15.0])),
        affine=affine(),
        labels=labels(),
        label_names={3: "brain", 7: "left ventricle"},
    )
    source = Marker(
        product="scans/sub-m01.zarr/source",
        fingerprint="ef" * 32,
        parts={"file sub-m01/pet/sub-m01_pet.nii.gz": "12" * 32, "ingest algorithm": "2"},
        content="",
        created="2026-11-30T10:00:00+00:00",
        seconds=1.0,
    )
    fields: dict[str, Any] = {
        "scan_id": "sub-m01",
        "subject": "m01",
        "session": "",
        "scan": scan,
        "source": source,
        "provenance": {},
        "input_functions": {"learned": curve()},
        "regions": {"patlak": regions()},
        "maps": {"patlak": maps()},
        "created": {"patlak": "2026-11-30T11:22:33+00:00"},
    }
    return ExportedScan(**(fields | changes))


def exported_study(*scans: ExportedScan) -> ExportedStudy:
    """A study of some scans."""
    found = {scan.scan_id: scan for scan in scans or (exported_scan(),)}
    return ExportedStudy("mice", "0.1.0", "/data/mice", tuple(found), found.__getitem__)
