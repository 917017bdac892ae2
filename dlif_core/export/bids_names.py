"""Names of files in a BIDS derivative of PET, after the draft of extension proposal 23 (PET derivatives)."""

from __future__ import annotations

import re
from pathlib import Path

from dlif_core.export.products import ExportedScan

#: Abbreviations that the proposal recommends, by the model's name in dlif; others keep their letters and digits.
MODELS = {
    "1tcm": "1TCM",
    "2tcm-irreversible": "2TCM3k",
    "2tcm-reversible": "2TCM",
    "frtm": "FRTM",
    "fur": "FUR",
    "logan": "Logan",
    "ma1": "MA1",
    "ma2": "MA2",
    "mrtm": "MRTM1",
    "mrtm2": "MRTM2",
    "patlak": "Patlak",
    "reference-logan": "LoganRef",
    "reference-patlak": "PatlakRef",
    "srtm": "SRTM",
    "srtm2": "SRTM2",
    "suv": "SUV",
    "suvr": "SUVR",
}
#: Parameters that the proposal spells otherwise.
PARAMETERS = {"vB": "VB"}

_NOT_A_LABEL = re.compile(r"[^A-Za-z0-9]+")
_SCAN = re.compile(r"sub-[A-Za-z0-9]+(_[a-z]+-[A-Za-z0-9]+)*")


def label(*words: str) -> str:
    """One label of letters and digits from some words: the first as it is, each other with a capital.

    Examples
    --------
    >>> label("patlak-late", "se")
    'patlakLateSe'
    """
    parts = [part for word in words for part in _NOT_A_LABEL.split(word) if part]
    return "".join(part if place == 0 else part[0].upper() + part[1:] for place, part in enumerate(parts))


def model_label(model: str) -> str:
    """Label of a model's name in dlif."""
    return MODELS.get(model, label(model))


def parameter_label(parameter: str) -> str:
    """Label of a parameter's name in dlif."""
    return PARAMETERS.get(parameter, label(parameter))


def scan_stem(scan: ExportedScan) -> str:
    """First part of the names of all files of a scan: its own name, if that is as in BIDS."""
    return scan.scan_id if _SCAN.fullmatch(scan.scan_id) else f"sub-{label(scan.scan_id)}"


def scan_folder(root: Path, scan: ExportedScan) -> Path:
    """Folder of a scan's files, by its subject and session."""
    entities = [part for part in scan_stem(scan).split("_") if part.startswith(("sub-", "ses-"))]
    return root.joinpath(*entities, "pet")


def file_name(stem: str, suffix: str, extension: str, **entities: str) -> str:
    """Name of a file.

    Parameters
    ----------
    stem
        First part, from `scan_stem`.
    suffix, extension
        Last part, such as ``mimap`` and ``.nii.gz``.
    **entities
        Labels by entity in the order of the name; empty ones are left out.
    """
    parts = [f"{name}-{text}" for name, text in entities.items() if text]
    return f"{'_'.join([stem, *parts, suffix])}{extension}"
