"""What the header of a microPET or Inveon image says, as fields of PET-BIDS.

Read are times, decay, units, nuclide, tracer, dose and weight; names, remarks and identifiers never. The codes of
units, types and positions are those that the comments in such headers list.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from dlif_core.checks import Finding
from dlif_core.checks.metadata import IMAGE_HEADER, NOT_GIVEN, TIME_AXIS, UNCALIBRATED
from dlif_core.errors import ImageError
from dlif_core.ingest.inveon.header import InveonHeader
from dlif_core.ingest.stored_volumes import SCANNER_AXES
from dlif_core.shown import counted

_UNITS = {1: "nCi/cc", 2: "Bq/cc"}
_DOSES = {1: "mCi", 2: "MBq"}
#: Unit that PET-BIDS knows, and number of it in the unit of the code: grams, ounces, kilograms, pounds.
_WEIGHTS = {1: ("g", 1.0), 2: ("g", 28.349523125), 3: ("kg", 1.0), 4: ("lb", 1.0)}
_TYPES = {1: "u1", 2: "<i2", 3: "<i4", 4: "<f4", 5: ">f4", 6: ">i2", 7: ">i4"}
_MODELS = {2000: "microPET", 2001: "microPET", 2002: "microPET", 2500: "microPET Focus", 2501: "microPET Focus"}
_MODELS |= {5000: "Inveon", 5001: "Inveon"}
_IMAGE, _CT, _SPECT, _GATED = 5, 1, 2, 4
#: An injection further from the start of the scan [s] is a slip of the header.
_NEAR = 86400.0
#: Positions by their codes; the others are on a side, or unknown. The workstation exports scans feet first and supine
#: to DICOM with columns that rise to the right, rows to the back and planes to the head, as `SCANNER_AXES` has them.
_POSITIONS = {1: "FFP", 2: "HFP", 3: "FFS", 4: "HFS"}
_EXPORT = "Export an emission image of one bed position, frame by frame."


def require_image(header: InveonHeader) -> None:
    """Refuse data other than one emission image for each frame.

    Raises
    ------
    ImageError
        For sinograms, CT, SPECT, gated images, several beds, and headers that describe other frames than they announce.
    """
    where = header.where
    if header.value("file_type") not in (None, _IMAGE) or header.code("modality") in (_CT, _SPECT):
        raise ImageError("this is no PET image (file_type, modality).", where=where, hint=_EXPORT)
    for name in ("gate", "bed"):
        positions = {header.value(name, entries) or 0.0 for entries in header.frames}
        if len(positions) > 1 or (name == "gate" and header.code("acquisition_mode") == _GATED):
            raise ImageError(f"the file holds {counted(len(positions), name)}s.", where=where, hint=_EXPORT)
    if (header.value("w_dimension") or 1) > 1:
        raise ImageError("the voxels have several values each (w_dimension).", where=where, hint=_EXPORT)
    announced = header.value("total_frames")
    if announced is not None and announced != len(header.frames):
        raise ImageError(
            f"the header announces {announced:g} frames and describes {len(header.frames)}.",
            where=where,
            hint="Fetch or export it again.",
        )


def type_of(header: InveonHeader) -> np.dtype[Any]:
    """Type of the numbers.

    Raises
    ------
    ImageError
        If the code of the type is unknown.
    """
    code = header.whole("data_type")
    if code not in _TYPES:
        raise ImageError(f"data_type is {code}, which is unknown.", where=header.where, hint=_EXPORT)
    return np.dtype(_TYPES[code])


def voxel_size_of(header: InveonHeader) -> tuple[float, float, float]:
    """Edge lengths along x, y, z [mm]; older headers state those in the plane in cm, and the pitch of two planes.

    Raises
    ------
    ImageError
        If they are not stated.
    """
    in_plane = [header.value(f"pixel_size_{axis}") or 10 * header.require("pixel_size") for axis in "xy"]
    planes = header.value("pixel_size_z") or 10 * (header.value("axial_plane_size") or 0.0)
    return in_plane[0], in_plane[1], planes or 5 * header.require("axial_crystal_pitch")


def scales_of(header: InveonHeader, findings: list[Finding]) -> list[float]:
    """Factor of each frame to the unit: its scale times the calibration, over the branching fraction.

    Raises
    ------
    ImageError
        If a scale is not above zero.
    """
    calibration, branching = (
        header.value(name) or 0.0 for name in ("calibration_factor", "isotope_branching_fraction")
    )
    quotient = calibration / branching if calibration > 0 and branching > 0 else max(calibration, 0.0) or 1.0
    where = f"{header.where}, entry calibration_factor"
    if calibration <= 0:
        message = "the calibration factor is not above zero; neither it nor the branching fraction is applied."
        findings.append(UNCALIBRATED.found(message, where=where))
    elif branching <= 0:
        findings.append(NOT_GIVEN.found("The branching fraction is not above zero and is taken as one.", where=where))
    scales = [header.require("scale_factor", entries) * quotient for entries in header.frames]
    if not all(np.isfinite(scale) and scale > 0 for scale in scales):
        raise ImageError(
            "the scale of a frame is not a number above zero.",
            where=f"{header.where}, entry scale_factor",
            hint="Export the image again.",
        )
    return scales


def signs_of(header: InveonHeader, findings: list[Finding]) -> tuple[int, int, int]:
    """Directions of the axes by the position of the subject."""
    position = _POSITIONS.get(header.code("subject_orientation"), "")
    message = (
        "Left, right, head and feet are as the Inveon workstation exports them; look at a scan whose sides you know."
    )
    if not position:
        message = f"The position is not stated, or on a side; it is taken as head first, supine. {message}"
    findings.append(IMAGE_HEADER.found(message, where=f"{header.where}, entry subject_orientation"))
    return SCANNER_AXES[position or "HFS"]


def fields_of(header: InveonHeader, findings: list[Finding]) -> dict[str, Any]:
    """Fields of the sidecar.

    Raises
    ------
    ImageError
        If a frame has no times.
    """
    fields: dict[str, Any] = {
        "FrameTimesStart": [header.require("frame_start", entries) for entries in header.frames],
        "FrameDuration": [header.require("frame_duration", entries) for entries in header.frames],
        "TracerName": header.text("injected_compound"),
        "TracerRadionuclide": header.text("isotope"),
        "RadionuclideHalfLife": header.value("isotope_half_life"),
        "Units": _UNITS.get(header.code("calibration_units"), ""),
        "ImageDecayCorrectionTime": 0.0,
        "Manufacturer": "Siemens" if header.code("model") in _MODELS else "",
        "ManufacturersModelName": _MODELS.get(header.code("model"), ""),
    }
    fields |= _injection(header, findings) | _decay(header) | _dose(header) | _weight(header)
    return {name: value for name, value in fields.items() if value not in ("", None)}


def _injection(header: InveonHeader, findings: list[Finding]) -> dict[str, Any]:
    """Clock at the start of the scan, from which frames count, and the injection on it."""
    scan, injection = header.time("scan_time"), header.time("injection_time")
    fields: dict[str, Any] = {} if scan is None else {"TimeZero": scan.strftime("%H:%M:%S")}
    if scan is None or injection is None:
        return fields
    seconds = (injection - scan).total_seconds()
    if abs(seconds) > _NEAR:
        message = f"The injection is {seconds:g} s from the start of the scan by the header, and is taken as not given."
        findings.append(TIME_AXIS.found(message, where=f"{header.where}, entry injection_time"))
        return fields
    return fields | {"InjectionStart": seconds}


def _decay(header: InveonHeader) -> dict[str, Any]:
    applied = header.value("decay_correction_applied")
    factors = [header.value("decay_correction", entries) or 0.0 for entries in header.frames]
    fields: dict[str, Any] = {} if applied is None else {"ImageDecayCorrected": applied != 0}
    return fields | ({"DecayCorrectionFactor": factors} if min(factors) > 0 and max(factors) > 1 else {})


def _dose(header: InveonHeader) -> dict[str, Any]:
    dose = header.value("dose")
    if not dose:
        return {}
    return {"InjectedRadioactivity": dose, "InjectedRadioactivityUnits": _DOSES.get(header.code("dose_units"), "")}


def _weight(header: InveonHeader) -> dict[str, Any]:
    weight, code = header.value("subject_weight"), header.code("subject_weight_units")
    if not weight or code not in _WEIGHTS:
        return {}
    unit, grams = _WEIGHTS[code]
    return {"BodyWeight": weight * grams, "BodyWeightUnits": unit}
