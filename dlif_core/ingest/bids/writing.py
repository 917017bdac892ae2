"""Writing a scan as PET-BIDS: image, sidecar, tables of blood and of region curves, and the subject's row."""

from __future__ import annotations

import gzip
import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dlif_core.finite import to_json
from dlif_core.ingest.described import DescribedScan, DescribedTable, SeriesImage

BIDS_VERSION = "1.10.0"

_COMPRESSION = 3
#: What stands in a field that PET-BIDS requires and nobody stated; numbers have no such value but these.
_NOT_STATED: Mapping[str, object] = {
    **dict.fromkeys(("Manufacturer", "ManufacturersModelName", "TracerName", "TracerRadionuclide"), "n/a"),
    **dict.fromkeys(("InjectedMass", "InjectedMassUnits"), "n/a"),
    **dict.fromkeys(("SpecificRadioactivity", "SpecificRadioactivityUnits"), "n/a"),
    **dict.fromkeys(("ModeOfAdministration", "AcquisitionMode", "ReconMethodName", "AttenuationCorrection"), "n/a"),
    "ReconMethodParameterLabels": ["none"],
    "ReconMethodParameterUnits": ["none"],
    "ReconMethodParameterValues": [0],
    "ReconFilterType": "none",
    "ReconFilterSize": 0,
}
_ABOUT_SUBJECT = ("BodyWeight", "BodyWeightUnits", "Species")


def write_scan(root: Path, scan_id: str, scan: DescribedScan, *, compressed: bool = False) -> dict[Path, str]:
    """Write a scan below the root of a PET-BIDS dataset.

    Parameters
    ----------
    root
        Local folder of the dataset.
    scan_id
        Name of the scan: ``sub-<label>``, then ``ses-<label>`` and ``run-<number>`` where there are any, joined by
        ``_``.
    scan
        The scan.
    compressed
        Whether the image is written as ``.nii.gz``.

    Returns
    -------
    The file that each written file was made of; two written files may be of one file.
    """
    subject, *others = scan_id.split("_")
    session = [part for part in others if part.startswith("ses-")]
    folder = root.joinpath(subject, *session, "pet")
    folder.mkdir(parents=True, exist_ok=True)
    made = {}
    if scan.image is not None:
        made[write_image(folder / f"{scan_id}_pet.nii", scan.image, compressed=compressed)] = scan.source
    sidecar = folder / f"{scan_id}_pet.json"
    _write_json(sidecar, scan.fields)
    made[sidecar] = scan.source
    for recording, blood in scan.blood.items():
        completed = replace(blood, fields=_with_required_of_blood(blood))
        made |= write_table(folder / f"{scan_id}_recording-{recording}_blood.tsv", completed)
    if scan.curves is not None:
        curves = root.joinpath("derivatives", "curves", subject, *session, "pet")
        curves.mkdir(parents=True, exist_ok=True)
        made |= write_table(curves / f"{scan_id}_tacs.tsv", scan.curves)
    return made


def write_image(path: Path, image: SeriesImage, *, compressed: bool = False) -> Path:
    """Write an image as NIfTI, float32, without holding it in memory.

    Returns
    -------
    The file: `path`, which ends in ``.nii``, or that with ``.gz``.
    """
    header = _nifti_header(image)
    offset = int(header["vox_offset"])
    with path.open("wb") as file:
        header.write_to(file)
        file.truncate(offset + 4 * int(np.prod(image.shape)))
    target = np.memmap(path, np.dtype("<f4"), "r+", offset=offset, shape=image.shape)
    image.fill(target)
    target.flush()
    del target
    if not compressed:
        return path
    packed = path.with_name(f"{path.name}.gz")
    with path.open("rb") as plain, gzip.open(packed, "wb", compresslevel=_COMPRESSION) as sink:
        shutil.copyfileobj(plain, sink, 1 << 20)
    path.unlink()
    return packed


def _nifti_header(image: SeriesImage) -> Any:
    import nibabel as nib

    shape = image.shape[::-1]
    kind, offset = (nib.Nifti1Header, 352) if max(shape) < 2**15 else (nib.Nifti2Header, 544)
    header: Any = kind(endianness="<")  # type: ignore[no-untyped-call]
    header.set_data_dtype(np.float32)
    header.set_data_shape(shape)
    header.set_xyzt_units("mm", "sec")
    header.set_qform(image.affine, code="scanner")
    header.set_sform(image.affine, code="scanner")
    header.set_slope_inter(1.0, 0.0)
    header["vox_offset"] = offset
    return header


def write_labels(
    root: Path, scan_id: str, labels: NDArray[np.int32], affine: NDArray[np.float64], names: Mapping[int, str]
) -> None:
    """Write the label image of a scan and the names of its labels below ``derivatives/regions``.

    Parameters
    ----------
    root
        Folder of the dataset.
    scan_id
        Name of the scan.
    labels
        Shape (z, y, x), on the grid of the scan's image.
    affine
        Shape (4, 4), voxel index (x, y, z) to mm.
    names
        Names by label; labels that don't occur are left out.
    """
    import nibabel as nib

    subject, *others = scan_id.split("_")
    session = [part for part in others if part.startswith("ses-")]
    folder = root.joinpath("derivatives", "regions", subject, *session, "pet")
    folder.mkdir(parents=True, exist_ok=True)
    image: Any = nib.Nifti1Image(labels.T, affine)
    image.header.set_xyzt_units("mm")
    nib.save(image, folder / f"{scan_id}_dseg.nii.gz")
    named = {label: names[label] for label in np.unique(labels).tolist() if label in names}
    table = {"index": list(named), "name": list(named.values())}
    described = {"index": {"Description": "Label of the region"}, "name": {"Description": "Name of the region"}}
    write_table(folder / f"{scan_id}_dseg.tsv", DescribedTable(table, described, ""))


def write_dataset(root: Path, name: str) -> None:
    """Write the description of a dataset and a README, unless they are there."""
    description = root / "dataset_description.json"
    if not description.exists():
        root.mkdir(parents=True, exist_ok=True)
        generated = [{"Name": "dlif"}]
        _write_json(
            description,
            {"Name": name, "DatasetType": "raw", "BIDSVersion": BIDS_VERSION, "GeneratedBy": generated},
        )
    if not any(path.name.startswith("README") for path in root.iterdir()):
        (root / "README").write_text(f"{name}: PET scans, converted from files of the scanner by dlif.\n")


def write_participants(root: Path, subjects: Mapping[str, Mapping[str, object]]) -> Path:
    """Write the table of participants.

    Parameters
    ----------
    root
        Folder of the dataset.
    subjects
        What is known of each subject by its name ``sub-<label>``: ``species``, ``weight`` [kg] and more.
    """
    columns: dict[str, list[object]] = {"participant_id": list(subjects)}
    for column in dict.fromkeys(["species", "weight", *(name for row in subjects.values() for name in row)]):
        columns[column] = [subject.get(column, "n/a") for subject in subjects.values()]
    described = {
        "species": {"Description": "Species of the subject"},
        "weight": {"Description": "Body weight", "Units": "kg"},
    }
    written = write_table(root / "participants.tsv", DescribedTable(columns, described, ""))
    return next(iter(written))


def write_table(path: Path, table: DescribedTable) -> dict[Path, str]:
    """Write a table with its sidecar; returns the file that each of them was made of."""
    names = list(table.columns)
    rows = zip(*table.columns.values(), strict=True)
    lines = ["\t".join(names), *("\t".join(map(_cell, row)) for row in rows)]
    path.write_text("\n".join(lines) + "\n")
    sidecar = path.with_suffix(".json")
    _write_json(sidecar, table.fields)
    return {path: table.source, sidecar: table.source}


def _cell(value: object) -> str:
    if isinstance(value, float | np.floating):
        return repr(float(value)) if np.isfinite(value) else "n/a"
    return str(value)


def _write_json(path: Path, content: Mapping[str, Any]) -> None:
    path.write_text(to_json(content, where=path, indent=2) + "\n")


def about_subject(fields: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Fields that belong into the sidecar, and those about the subject, which belong into the table of participants."""
    subject = {name: fields[name] for name in _ABOUT_SUBJECT if name in fields}
    return {name: value for name, value in fields.items() if name not in subject}, subject


def with_required_fields(fields: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a sidecar with those that PET-BIDS requires as text and nobody stated, as not given."""
    stated = {name: value for name, value in fields.items() if value is not None}
    parameters = ("ReconMethodParameterLabels", "ReconMethodParameterUnits", "ReconMethodParameterValues")
    assumed = dict(_NOT_STATED)
    if any(name in stated for name in parameters):
        assumed = {name: value for name, value in assumed.items() if name not in parameters}
    return {**assumed, **stated}


def _with_required_of_blood(blood: DescribedTable) -> dict[str, Any]:
    """Fields of a table of blood with those that PET-BIDS requires: which curves it has, and what was not done."""
    has_parent = "metabolite_parent_fraction" in blood.columns
    methods = {"MetaboliteMethod": "n/a", "MetaboliteRecoveryCorrectionApplied": False} if has_parent else {}
    return {
        "PlasmaAvail": "plasma_radioactivity" in blood.columns,
        "WholeBloodAvail": "whole_blood_radioactivity" in blood.columns,
        "MetaboliteAvail": has_parent,
        "DispersionCorrected": False,
        **methods,
        **blood.fields,
    }
