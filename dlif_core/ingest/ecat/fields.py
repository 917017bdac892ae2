"""What the headers of an ECAT 7 file say, as fields of PET-BIDS.

Read are times, decay, units, nuclide, tracer, weight and the number of the dose; names, dates and remarks never.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from dlif_core.checks import Finding
from dlif_core.checks.metadata import IMAGE_HEADER, TIME_AXIS, UNCALIBRATED
from dlif_core.errors import ImageError
from dlif_core.ingest.ecat.headers import EcatHeaders
from dlif_core.ingest.stored_volumes import SCANNER_AXES
from dlif_core.ingest.uris import fit_text

#: Bit of `corrections_applied` for decay.
_DECAY = 512
#: An injection further from the start of the scan [s] is a slip of the header.
_NEAR = 86400.0
#: Positions of the patient by their codes; the others are on a side, or unknown.
_POSITIONS = {0: "FFP", 1: "HFP", 2: "FFS", 3: "HFS"}


def fields_of(headers: EcatHeaders, where: str) -> tuple[dict[str, Any], list[Finding]]:
    """Fields of the sidecar, and what had to be left out."""
    main, frames = headers.main, headers.frames
    findings: list[Finding] = []
    fields: dict[str, Any] = {
        "FrameTimesStart": [int(frame["frame_start_time"]) / 1000.0 for frame in frames],
        "FrameDuration": [int(frame["frame_duration"]) / 1000.0 for frame in frames],
        "TracerName": _tracer(main),
        "TracerRadionuclide": _text(main, "isotope_name"),
        "Units": _text(main, "data_units"),
        "ImageDecayCorrectionTime": 0.0,
    }
    fields |= _positive(main, RadionuclideHalfLife="isotope_halflife", InjectedRadioactivity="dosage")
    fields |= _positive(main, BodyWeight="patient_weight")
    if "BodyWeight" in fields:
        fields["BodyWeightUnits"] = "kg"
    fields |= _injection(main, where, findings) | _decay(frames)
    if int(main["num_frames"]) != len(frames):
        message = f"The main header announces {int(main['num_frames'])} frames, the file holds {len(frames)}."
        findings.append(IMAGE_HEADER.found(message, where=where))
    return {name: value for name, value in fields.items() if value != ""}, findings


def _text(main: Any, name: str) -> str:
    return fit_text(bytes(main[name]).split(b"\0")[0].decode("latin-1")).strip()


def _tracer(main: Any) -> str:
    name = _text(main, "radiopharmaceutical")
    return "" if name.lower() in ("unknown", "none") else name


def _positive(main: Any, **names: str) -> dict[str, float]:
    values = {field: float(main[name]) for field, name in names.items()}
    return {field: value for field, value in values.items() if np.isfinite(value) and value > 0}


def _injection(main: Any, where: str, findings: list[Finding]) -> dict[str, float]:
    """Start of the injection from the start of the scan, from which frames count [s]."""
    injected, started = int(main["dose_start_time"]), int(main["scan_start_time"])
    if not injected or not started:
        return {}
    seconds = float(injected - started)
    if abs(seconds) > _NEAR:
        message = f"The injection is {seconds:g} s from the start of the scan by the header, and is taken as not given."
        findings.append(TIME_AXIS.found(message, where=f"{where}, field dose_start_time"))
        return {}
    return {"InjectionStart": seconds}


def _decay(frames: tuple[Any, ...]) -> dict[str, Any]:
    """Decay correction is to the start of the scan; factors above one are of scans with it, whatever the flag says."""
    factors = [float(frame["decay_corr_fctr"]) for frame in frames]
    sound = all(np.isfinite(factor) and factor > 0 for factor in factors)
    flagged = all(int(frame["corrections_applied"]) & _DECAY for frame in frames)
    fields: dict[str, Any] = {"ImageDecayCorrected": flagged or (sound and max(factors) > 1.0)}
    return fields | ({"DecayCorrectionFactor": factors} if sound and max(factors) > 1.0 else {})


def scales_of(headers: EcatHeaders, where: str, findings: list[Finding]) -> list[float]:
    """Factor of each frame to the unit of the image: that of the frame times that of the calibration.

    Raises
    ------
    ImageError
        If a factor is not finite or the scale of a frame not above zero.
    """
    calibration = float(headers.main["ecat_calibration_factor"])
    if calibration == 0:
        message = "the calibration factor is zero; it is taken as one."
        findings.append(UNCALIBRATED.found(message, where=f"{where}, field ecat_calibration_factor"))
    scales = [float(frame["scale_factor"]) * (calibration or 1.0) for frame in headers.frames]
    if not all(np.isfinite(scale) and scale > 0 for scale in scales):
        raise ImageError(
            "the scale of a frame is not a number above zero.",
            where=f"{where}, fields scale_factor and ecat_calibration_factor",
            hint="Export the image again.",
        )
    return scales


def signs_of(main: Any, where: str, findings: list[Finding]) -> tuple[int, int, int]:
    """Directions of the axes from the position of the patient."""
    position = _POSITIONS.get(int(main["patient_orientation"]), "")
    if position == "HFS":
        return SCANNER_AXES[position]
    message = "The patient lay feet first or prone; the axes are turned from those of the scanner accordingly."
    if not position:
        message = "The patient lay on a side, or it is not said how; the axes are those of a scan head first, supine."
    findings.append(IMAGE_HEADER.found(message, where=f"{where}, field patient_orientation"))
    return SCANNER_AXES[position or "HFS"]
