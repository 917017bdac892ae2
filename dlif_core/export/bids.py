"""BIDS derivative: maps as NIfTI, curves and parameters as tables, each with a sidecar.

Names follow the draft of BIDS extension proposal 23 (PET derivatives): ``mimap`` for maps, ``kinpar`` for parameters of
regions, ``tacs`` for region curves. The proposal has no name yet for an input function as it is used by a model;
``inputfunction`` is what bloodstream writes and petfit reads.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dlif_core.export.bids_facts import column, curve_facts, fit_facts, injection_start, scan_facts, software
from dlif_core.export.bids_names import file_name, label, model_label, parameter_label, scan_folder, scan_stem
from dlif_core.export.files import new_file, unlike_names, write_record, write_table
from dlif_core.export.products import ExportedScan, ExportedStudy

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr
    from numpy.typing import NDArray

#: Version of BIDS that the dataset follows, as far as BIDS knows such files.
_BIDS_VERSION = "1.10.0"
#: Suffixes that BIDS itself does not have yet.
_PROPOSED = ("mimap", "kinpar", "tacs", "inputfunction", "morph", "dseg")
_README = """Results of dlif, version {version}, for the study {name}.

Every file has a sidecar (.json) that says what its numbers are, with which settings they were made, and of which input
files. Names follow the draft of BIDS extension proposal 23 (PET derivatives). For research use only.
"""
#: What the parts of names say that BIDS calls descriptions.
_DESCRIPTIONS = {
    "se": "standard error of the map of the same name without this description",
    "long": "the same parameters as the table without this description, one row a value",
}


class BidsExporter:
    """A dataset of derivatives with one folder for each subject."""

    name = "bids"
    title = "BIDS derivative: maps (NIfTI), input functions, region curves, kinetic parameters (TSV, JSON)"
    version = 1
    describes_others = False

    def export(self, study: ExportedStudy, folder: Path) -> None:
        """Write the dataset into the folder ``bids``."""
        root = folder / self.name
        descriptions: dict[str, str] = {}
        inputs: dict[str, str] = {}
        for scan in study.scans():
            inputs |= scan.input_digests
            files = _ScanFiles(study, scan, scan_folder(root, scan), scan_stem(scan), descriptions)
            _write_regions(files)
            for method in scan.input_functions:
                _write_input_function(files, method)
            for analysis, fit in scan.regions.items():
                _write_parameters(files, analysis, fit)
            for analysis, maps in scan.maps.items():
                _write_maps(files, analysis, maps)
        _write_dataset(study, root, inputs, descriptions)


BIDS = BidsExporter()


@dataclass(frozen=True)
class _ScanFiles:
    """The files of one scan, and the descriptions that their names have used so far."""

    study: ExportedStudy
    scan: ExportedScan
    folder: Path
    stem: str
    descriptions: dict[str, str] = field(default_factory=dict)

    def path(self, suffix: str, extension: str, **entities: str) -> Path:
        return self.folder / file_name(self.stem, suffix, extension, **entities)

    def table(self, suffix: str, table: pd.DataFrame, facts: dict[str, Any], **entities: str) -> None:
        """Write a table and its sidecar."""
        write_table(self.path(suffix, ".tsv", **entities), table)
        write_record(self.path(suffix, ".json", **entities), facts)

    def image(self, suffix: str, values: NDArray[Any], facts: dict[str, Any], **entities: str) -> None:
        """Write a volume of shape (z, y, x) and its sidecar."""
        _save_volume(new_file(self.path(suffix, ".nii.gz", **entities)), values, self.scan.scan.affine)
        write_record(self.path(suffix, ".json", **entities), facts)

    def described(self, text: str, *words: str) -> str:
        """The label of a description; what it says is kept."""
        found = label(*(word for word in words if word))
        if found:
            self.descriptions.setdefault(found, text)
        return found


def _save_volume(path: Path, values: NDArray[Any], affine: NDArray[Any] | None) -> None:
    """Write a volume as NIfTI, whose axes are x, y, z."""
    import nibabel as nib
    import numpy as np

    image = nib.Nifti1Image(np.ascontiguousarray(values.transpose(2, 1, 0)), affine)
    image.header.set_xyzt_units("mm")
    image.set_sform(affine, code="scanner")
    image.set_qform(affine, code="scanner", strip_shears=True)
    nib.save(image, path)


def _write_dataset(study: ExportedStudy, root: Path, inputs: dict[str, str], descriptions: dict[str, str]) -> None:
    """Write the files that describe the dataset as a whole."""
    import pandas as pd

    about = {
        "Name": f"{study.name}: results of dlif",
        "BIDSVersion": _BIDS_VERSION,
        "DatasetType": "derivative",
        "GeneratedBy": [{"Name": "dlif", "Version": study.version, "Description": "kinetic analysis of dynamic PET"}],
        "SourceDatasets": [_source(study, inputs)],
    }
    write_record(root / "dataset_description.json", about)
    new_file(root / "README.md").write_text(_README.format(**vars(study)), encoding="utf-8")
    ignored = [f"*_{suffix}.*" for suffix in _PROPOSED]
    new_file(root / ".bidsignore").write_text("\n".join([*ignored, ""]), encoding="utf-8")
    if descriptions:
        rows = [(f"desc-{name}", text) for name, text in descriptions.items()]
        write_table(root / "descriptions.tsv", pd.DataFrame(rows, columns=["desc_id", "description"]))


def _source(study: ExportedStudy, inputs: dict[str, str]) -> dict[str, str]:
    """Where the data lie, if that means anything elsewhere, and the version of their files as one digest."""
    import hashlib

    text = "".join(f"{name} {digest}\n" for name, digest in sorted(inputs.items()))
    version = f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"
    return {"URL": study.data, "Version": version} if "://" in study.data else {"Version": version}


def _write_regions(files: _ScanFiles) -> None:
    """Write the region curves, with volumes and label image where the scan has them."""
    import numpy as np
    import pandas as pd

    scan, timing = files.scan.scan, files.scan.scan.timing
    start = timing.start + injection_start(files.scan)
    times = {"frame_start": start, "frame_end": start + timing.duration}
    curves = dict(zip(unlike_names(scan.regions.names, [*times]), scan.regions.activity, strict=True))
    table = pd.DataFrame(times | curves)
    facts = {
        "Description": "Mean activity of each region.",
        "Units": "Bq/mL",
        "frame_start": column("start of the frame", "s"),
        "frame_end": column("end of the frame", "s"),
        **{name: column(f"activity of the region {name}", "Bq/mL") for name in curves},
    }
    files.table("tacs", table, facts | scan_facts(files.study, files.scan), seg="regions")
    if np.isfinite(scan.regions.volume).any():
        volumes = pd.DataFrame({"name": scan.regions.names, "volume-mm3": scan.regions.volume})
        meaning = {"name": column("region"), "volume-mm3": column("volume of the region", "mm^3")}
        files.table("morph", volumes, meaning | software(files.study), seg="regions")
    if scan.labels is not None:
        names = pd.DataFrame(sorted(scan.label_names.items()), columns=["index", "name"])
        about = {"Description": "Labels of the regions.", **software(files.study)}
        files.image("dseg", scan.labels.astype("int32"), about, seg="regions")
        write_table(files.path("dseg", ".tsv", seg="regions"), names)


def _write_input_function(files: _ScanFiles, method: str) -> None:
    """Write an input function on its own time points, with its band where the method has one."""
    import pandas as pd

    curve = files.scan.input_functions[method]
    columns = {
        "time": (curve.time + injection_start(files.scan), column("time; injection is at InjectionStart", "s")),
        "whole_blood_radioactivity": (curve.whole_blood, column("activity in arterial whole blood", "Bq/mL")),
        "AIF": (curve.plasma, column("activity of unchanged tracer in arterial plasma", "Bq/mL")),
    }
    if curve.lower is not None and curve.upper is not None:
        columns["whole_blood_lower"] = (curve.lower, column("lower end of the method's band of whole blood", "Bq/mL"))
        columns["whole_blood_upper"] = (curve.upper, column("upper end of the method's band of whole blood", "Bq/mL"))
    desc = files.described(f"input function by the method {method}", method)
    table = pd.DataFrame({name: values for name, (values, _) in columns.items()})
    facts = {name: about for name, (_, about) in columns.items()}
    files.table("inputfunction", table, facts | curve_facts(files.study, files.scan, method), desc=desc)


def _own_name(analysis: str, fit: xr.Dataset) -> str:
    """The name of an analysis, if the study gave it one."""
    return "" if analysis == fit.attrs["model"] else analysis


def _write_parameters(files: _ScanFiles, analysis: str, fit: xr.Dataset) -> None:
    """Write the parameters of regions: one row a region, and one row a value."""
    from dlif_core.export.parameters import long_table
    from dlif_core.statistics.tables import status_meanings

    table = long_table(fit)
    table["parameter"] = table["parameter"].map(parameter_label)
    facts = fit_facts(files.study, files.scan, analysis, fit)
    status = column(
        "how the fit ended", levels={word: word.replace("_", " ") for word in status_meanings(fit).values()}
    )
    model, own = model_label(str(fit.attrs["model"])), _own_name(analysis, fit)
    wide, meaning = _wide(table, fit)
    named = files.described(f"analysis {analysis}", own)
    files.table("kinpar", wide, {**meaning, "status": status, **facts}, model=model, desc=named)
    meaning = {name: column(text) for name, text in _LONG_COLUMNS.items()}
    desc = files.described(_DESCRIPTIONS["long"], own, "long")
    files.table("kinpar", table, {**meaning, "status": status, **facts}, model=model, desc=desc)


_LONG_COLUMNS = {
    "region": "region",
    "parameter": "kinetic parameter",
    "value": "estimate, in the unit of the row",
    "standard_error": "standard error of the estimate, in the unit of the row",
    "interval_lower": "lower end of the 95 % profile-likelihood interval, in the unit of the row",
    "interval_upper": "upper end of the 95 % profile-likelihood interval, in the unit of the row",
    "unit": "unit of the row",
}


def _wide(table: pd.DataFrame, fit: xr.Dataset) -> tuple[pd.DataFrame, dict[str, Any]]:
    """The parameters with a row for each region, and the meaning of the columns; errors end in ``-se``."""
    import pandas as pd

    from dlif_core.export.parameters import region_names

    parts = {"": "value", "-se": "standard_error", "-lower": "interval_lower", "-upper": "interval_upper"}
    columns: dict[str, Any] = {"region": region_names(fit)}
    meaning = {"region": column("region")}
    for name, rows in table.groupby("parameter", sort=False):
        for end, part in parts.items():
            if end in ("", "-se") or rows[part].notna().any():
                columns[f"{name}{end}"] = rows[part].to_numpy()
                meaning[f"{name}{end}"] = column(f"{name}, {part.replace('_', ' ')}", rows["unit"].iloc[0])
    columns["status"] = table["status"].to_numpy()[: fit.sizes["region"]]
    return pd.DataFrame(columns), meaning


def _write_maps(files: _ScanFiles, analysis: str, maps: xr.Dataset) -> None:
    """Write the map of every parameter, of its standard error, and of the status of the fit."""
    facts = fit_facts(files.study, files.scan, analysis, maps)
    model, own = model_label(str(maps.attrs["model"])), _own_name(analysis, maps)
    for meas, end, variable in _variables(maps):
        text = _DESCRIPTIONS[end] if end else f"analysis {analysis}"
        about = {
            "Description": str(maps[variable].attrs["long_name"]),
            "Measure": meas,
            "Units": str(maps[variable].attrs["units"]),
        }
        if variable == "status":
            about["Levels"] = _levels(maps)
        desc = files.described(text, own, end)
        values = maps[variable].to_numpy()
        files.image("mimap", values, about | facts, model=model, meas=meas, desc=desc)


def _variables(maps: xr.Dataset) -> Iterator[tuple[str, str, str]]:
    """Measure, description and variable of every map that is written."""
    from dlif_core.statistics.tables import error_name, parameter_names

    for name in parameter_names(maps):
        yield parameter_label(name), "", name
        yield parameter_label(name), "se", error_name(maps, name)
    yield "status", "", "status"


def _levels(maps: xr.Dataset) -> Any:
    from dlif_core.statistics.tables import status_meanings

    return {str(code): word.replace("_", " ") for code, word in status_meanings(maps).items()}
