"""Sidecars of a BIDS derivative: what a number means, how it was made and of what."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from dlif_core.export.bids_names import model_label
from dlif_core.export.products import ExportedScan, ExportedStudy, found_by, settings_of, weights_digest

if TYPE_CHECKING:
    import xarray as xr

    from dlif_core.curve import InputFunction

#: How tissue and blood make up what is measured.
CONVENTION = "C_PET = (1 − vB)·C_T + vB·C_WB"
#: What was corrected of a scan as it was read, by field.
_CORRECTIONS = {"MotionCorrection": "motion", "PartialVolumeCorrection": "partial volume"}


def software(study: ExportedStudy) -> dict[str, str]:
    """The program that made the results."""
    return {"SoftwareName": "dlif", "SoftwareVersion": study.version}


def scan_facts(study: ExportedStudy, scan: ExportedScan) -> dict[str, Any]:
    """Facts that hold for all results of a scan."""
    about = scan.scan.acquisition
    return {
        "TracerName": about.tracer,
        "RadionuclideHalfLife": about.half_life,
        "DecayCorrectedTo": "injection",
        "InjectionStart": injection_start(scan),
        "InputDigests": scan.input_digests,
        **{field: scan.provenance[name] for field, name in _CORRECTIONS.items() if name in scan.provenance},
        **software(study),
    }


def injection_start(scan: ExportedScan) -> float:
    """Time of injection on the time axis of the scan's files [s]."""
    return scan.scan.acquisition.injection_start or 0.0


def fit_facts(study: ExportedStudy, scan: ExportedScan, analysis: str, fit: xr.Dataset) -> dict[str, Any]:
    """Model, input function, convention and settings of a kinetic analysis, of regions or of voxels."""
    method = str(fit.attrs.get("input_function", ""))
    curve = scan.input_functions.get(method)
    facts: dict[str, Any] = {
        "ModelName": model_label(str(fit.attrs["model"])),
        "Analysis": analysis,
        "Model": str(fit.attrs["model"]),
        "Convention": CONVENTION,
        "BloodVolume": _blood_volume(fit),
        "Settings": settings_of(fit),
        "Found": found_by(fit),
        "Fingerprint": str(fit.attrs["fingerprint"]),
    }
    facts |= {"InputFunction": method} if method else {}
    facts |= _weights(curve) if curve else {}
    return facts | scan_facts(study, scan)


def _blood_volume(fit: xr.Dataset) -> str:
    """How the blood in a region or voxel was allowed for, in words."""
    given = settings_of(fit).get("blood_volume")
    if given is not None:
        return f"vB is fixed at {given:g}"
    return "vB is fitted" if "vB" in fit else "vB is taken as 0"


def _weights(curve: InputFunction) -> dict[str, str]:
    digest = weights_digest(curve)
    return {"NetworkWeightsDigest": digest} if digest else {}


def curve_facts(study: ExportedStudy, scan: ExportedScan, method: str) -> dict[str, Any]:
    """Method, provenance and warnings of an input function."""
    curve = scan.input_functions[method]
    about = {
        "Method": method,
        "Provenance": study.below_data(dict(curve.provenance)),
        "Warnings": study.below_data(list(curve.warnings)),
    }
    return about | _weights(curve) | scan_facts(study, scan)


def column(description: str, unit: str = "", levels: Mapping[str, str] | None = None) -> dict[str, Any]:
    """Description of a column of a table."""
    about: dict[str, Any] = {"Description": description}
    about |= {"Units": unit} if unit else {}
    return about | ({"Levels": dict(levels)} if levels else {})
