"""Cohorts of simulated scans as PET-BIDS data sets, with the truth beside them in ``derivatives/phantom``.

Truth of scan ``sub-m01`` in ``derivatives/phantom/sub-m01/pet``: ``sub-m01_desc-truth_dseg`` (label map),
``sub-m01_desc-truth_inputfunction`` (whole blood and plasma), ``sub-m01_desc-truth_kinetics`` (parameters of every
organ) and ``sub-m01_desc-truth_meas-<parameter>_mimap`` (parametric maps).
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dlif_core.curve import InputFunction
from dlif_core.errors import ConfigurationError, MissingInputError
from dlif_core.finite import to_json
from dlif_core.phantom.mouse import draw_mouse
from dlif_core.phantom.physiology import OrganKinetics
from dlif_core.phantom.place import has_truth, truth_stem
from dlif_core.phantom.population import Draw, Population, draw
from dlif_core.phantom.scanner import CROP, Protocol
from dlif_core.phantom.simulation import SimulatedScan, Truth, simulate, usable_device
from dlif_core.storage import file_system, is_url

Array = NDArray[np.float64]

_BIDS_VERSION = "1.10.0"
_UNITS = {"K1": "mL cm-3 min-1", "Ki": "mL cm-3 min-1", "VT": "mL cm-3", "vB": "1"}
_SPECIES = {"mouse": "mus musculus", "human": "homo sapiens"}
_RATE_UNITS = {"k2": "min-1", "k3": "min-1", "k4": "min-1", "transfer": "mL cm-3 min-1"}


def write_cohort(
    root: str | Path,
    mice: int,
    *,
    seed: int = 0,
    voxel_size: float | None = None,
    irreversible: bool = False,
    population: Population | None = None,
    device: str = "cpu",
    progress: Callable[[], object] | None = None,
) -> list[Path]:
    """Simulate mice and write them as a PET-BIDS data set with their truth.

    Parameters
    ----------
    root
        Local folder, new or empty.
    mice
        Number of mice, one scan each: ``sub-m01`` …
    seed
        The same seed gives the same cohort; a larger cohort begins with the mice of a smaller one.
    voxel_size
        Edge length of cubic voxels [mm]; None for the scanner's own voxels.
    irreversible
        Set k4 = 0 in every organ, so that irreversible models have an exact truth.
    population
        Domain that the scans are drawn from; None for mice of `draw_mouse` in the field of view `scanner.CROP`.
    device
        Torch device that computes.
    progress
        Called after each mouse.

    Returns
    -------
    The dynamic images, in the order of the mice.

    Raises
    ------
    ConfigurationError
        If the folder holds something already, or there is no such device.
    """
    root = Path(root)
    if root.exists() and (not root.is_dir() or any(root.iterdir())):
        raise ConfigurationError("the folder is not empty.", where=root, hint="Name a new folder for the cohort.")
    usable_device(device)  # before anything is written
    root.mkdir(parents=True, exist_ok=True)
    names = [f"sub-m{number:0{max(2, len(str(mice)))}d}" for number in range(1, mice + 1)]
    seeds = [int(np.random.SeedSequence([seed, number]).generate_state(1)[0]) for number in range(mice)]
    domain = "FDG mice" if population is None else f"scans of the {population.name} population"
    _write_descriptions(root, f"Simulated {domain}, seed {seed}")
    rows, images = [], []
    for name, animal_seed in zip(names, seeds, strict=True):
        mouse, grid, protocol = _drawn(animal_seed, population, irreversible)
        grid = grid if voxel_size is None else grid.resampled((voxel_size,) * 3)
        scan = simulate(mouse, grid, protocol, device=device)
        images.append(_write_scan(root, name, scan))
        rows.append({"participant_id": name, "species": _SPECIES[mouse.species], "weight": mouse.body_weight})
        _write_participants(root, rows)
        if progress is not None:
            progress()
    return images


def read_truth(root: str | Path, scan_id: str) -> Truth:
    """Read the truth of one scan of a simulated cohort.

    Parameters
    ----------
    root
        Root of the PET-BIDS data set, a path or URL.
    scan_id
        Name of the scan, for example ``sub-m01``.

    Raises
    ------
    MissingInputError
        If the data set holds no truth for that scan.
    """
    if not has_truth(root, scan_id):
        raise MissingInputError("there is no truth for this scan.", where=scan_id, hint="Is this a simulated cohort?")
    if not is_url(str(root)):
        return _read_truth(truth_stem(root, scan_id))
    with tempfile.TemporaryDirectory() as copy:
        fs, place = file_system(str(root))
        folder = truth_stem("", scan_id).parent.as_posix()
        fs.get(f"{place.rstrip('/')}/{folder}/", f"{copy}/{folder}/", recursive=True)
        return _read_truth(truth_stem(copy, scan_id))


def _read_truth(stem: Path) -> Truth:
    organs = json.loads(_sibling(stem, "kinetics.json").read_text())["organs"]
    maps = {name: _sibling(stem, f"meas-{name}_mimap.nii.gz") for name in _UNITS}
    names = pd.read_csv(_sibling(stem, "dseg.tsv"), sep="\t")
    return Truth(
        input_function=_read_input_function(stem),
        kinetics={organ: OrganKinetics(**values) for organ, values in organs.items()},
        maps={name: _read_image(path).astype(np.float32) for name, path in maps.items() if path.exists()},
        labels=_read_image(_sibling(stem, "dseg.nii.gz")).astype(np.int32),
        label_names=dict(zip(names["index"].tolist(), names["name"].tolist(), strict=True)),
    )


def _drawn(seed: int, population: Population | None, irreversible: bool) -> Draw:
    if population is None:
        return Draw(draw_mouse(seed, irreversible=irreversible), CROP, Protocol())
    return draw(seed, replace(population, irreversible=irreversible or population.irreversible))


def _sibling(stem: Path, suffix: str) -> Path:
    return stem.with_name(f"{stem.name}_{suffix}")


def _write_scan(root: Path, name: str, scan: SimulatedScan) -> Path:
    stem = root / name / "pet" / name
    stem.parent.mkdir(parents=True)
    image = _sibling(stem, "pet.nii.gz")
    _write_image(image, scan.activity, scan.grid.affine)
    _write_json(_sibling(stem, "pet.json"), _sidecar(scan))
    _write_blood(stem, scan)
    _write_truth(truth_stem(root, name), scan)
    return image


def _write_truth(stem: Path, scan: SimulatedScan) -> None:
    truth, affine = scan.truth, scan.grid.affine
    stem.parent.mkdir(parents=True)
    _write_image(_sibling(stem, "dseg.nii.gz"), truth.labels.astype(np.uint8), affine)
    names = pd.DataFrame(truth.label_names.items(), columns=["index", "name"])
    names.to_csv(_sibling(stem, "dseg.tsv"), sep="\t", index=False)
    for name, image in truth.maps.items():
        _write_image(_sibling(stem, f"meas-{name}_mimap.nii.gz"), image, affine)
        _write_json(_sibling(stem, f"meas-{name}_mimap.json"), {"Units": _UNITS[name]})
    organs = {organ: asdict(values) for organ, values in truth.kinetics.items()}
    _write_json(_sibling(stem, "kinetics.json"), {"Units": _UNITS | _RATE_UNITS, "organs": organs})
    _write_input_function(stem, truth.input_function)


def _write_input_function(stem: Path, curve: InputFunction) -> None:
    table = pd.DataFrame({"time": curve.time, "whole_blood": curve.whole_blood, "plasma": curve.plasma})
    table.to_csv(_sibling(stem, "inputfunction.tsv"), sep="\t", index=False)
    units = {"time": {"Units": "s"}, "whole_blood": {"Units": "Bq/mL"}, "plasma": {"Units": "Bq/mL"}}
    _write_json(_sibling(stem, "inputfunction.json"), {**units, "Feng": dict(curve.provenance)})


def _read_input_function(stem: Path) -> InputFunction:
    table = pd.read_csv(_sibling(stem, "inputfunction.tsv"), sep="\t")
    provenance = json.loads(_sibling(stem, "inputfunction.json").read_text())["Feng"]
    time, whole_blood, plasma = (table[name].to_numpy(float) for name in ("time", "whole_blood", "plasma"))
    return InputFunction(time, whole_blood, plasma, "truth", provenance=provenance)


def _write_blood(stem: Path, scan: SimulatedScan) -> None:
    """Write whole blood only, as an autosampler measures it in an artery of a mouse."""
    curve = scan.truth.input_function
    drawn = curve.time <= scan.protocol.blood_end
    table = pd.DataFrame({"time": curve.time[drawn], "whole_blood_radioactivity": curve.whole_blood[drawn]})
    table.to_csv(_sibling(stem, "recording-autosampler_blood.tsv"), sep="\t", index=False)
    fields = {
        "PlasmaAvail": False,
        "WholeBloodAvail": True,
        "MetaboliteAvail": False,
        "DispersionCorrected": True,
        "time": {"Description": "Time from TimeZero", "Units": "s"},
        "whole_blood_radioactivity": {"Description": "Radioactivity in arterial whole blood", "Units": "Bq/mL"},
    }
    _write_json(_sibling(stem, "recording-autosampler_blood.json"), fields)


def _sidecar(scan: SimulatedScan) -> dict[str, Any]:
    timing = scan.protocol.timing
    return {
        "Manufacturer": "dlif",
        "ManufacturersModelName": "phantom",
        "Units": "Bq/mL",
        "TracerName": scan.mouse.tracer.name,
        "TracerRadionuclide": scan.mouse.tracer.radionuclide,
        "RadionuclideHalfLife": scan.protocol.half_life,
        "InjectedRadioactivity": scan.mouse.injected_activity / 1e6,
        "InjectedRadioactivityUnits": "MBq",
        "InjectedMass": "n/a",
        "InjectedMassUnits": "n/a",
        "SpecificRadioactivity": "n/a",
        "SpecificRadioactivityUnits": "n/a",
        "ModeOfAdministration": "bolus",
        "TimeZero": "00:00:00",
        "ScanStart": 0,
        "InjectionStart": 0,
        "FrameTimesStart": timing.start.tolist(),
        "FrameDuration": timing.duration.tolist(),
        "AcquisitionMode": "list mode",
        "ImageDecayCorrected": True,
        "ImageDecayCorrectionTime": 0,
        "AttenuationCorrection": "none",
        "ReconMethodName": "simulated",
        "ReconMethodParameterLabels": ["noise level"],
        "ReconMethodParameterUnits": ["SUV^0.5 s^0.5"],
        "ReconMethodParameterValues": [scan.mouse.noise_level],
        "ReconFilterType": "Gaussian",
        "ReconFilterSize": max(scan.protocol.resolution),
    }


def _write_descriptions(root: Path, title: str) -> None:
    generated = [{"Name": "dlif phantom"}]
    described = {"BIDSVersion": _BIDS_VERSION, "License": "CC0-1.0", "GeneratedBy": generated}
    _write_json(
        root / "dataset_description.json",
        {"Name": title, "DatasetType": "raw", **described},
    )
    (root / "README").write_text(
        f"{title}: dynamic PET with arterial blood, made by dlif.\n"
        "Nobody was scanned. The truth is in derivatives/phantom.\n"
    )
    _write_json(
        root / "participants.json",
        {"species": {"Description": "Simulated species"}, "weight": {"Description": "Body weight", "Units": "kg"}},
    )
    truth = root / "derivatives" / "phantom"
    truth.mkdir(parents=True)
    _write_json(
        truth / "dataset_description.json",
        {"Name": "Truth of the simulated scans", "DatasetType": "derivative", **described},
    )


def _write_participants(root: Path, rows: list[dict[str, object]]) -> None:
    pd.DataFrame(rows).to_csv(root / "participants.tsv", sep="\t", index=False)


def _write_image(path: Path, image: NDArray[Any], affine: Array) -> None:
    """Write (…, z, y, x) as NIfTI (x, y, z, …)."""
    nifti = nib.Nifti1Image(image.T, affine)
    nifti.header.set_xyzt_units("mm", "sec")
    nifti.set_qform(affine, code="scanner")
    nifti.to_filename(path)


def _read_image(path: Path) -> NDArray[Any]:
    return np.asarray(nib.Nifti1Image.from_filename(path).dataobj).T


def _write_json(path: Path, content: Mapping[str, Any]) -> None:
    path.write_text(to_json(content, where=path, indent=2) + "\n")
