"""DICOM: parametric maps with 32-bit numbers and units, and the label image as a segmentation.

Nothing of a person is written: the patient's identifier is the name of the scan. A study that the scan's provenance
names (``StudyInstanceUID``) is kept, so that the maps stand beside their images; all other identifiers follow from
fingerprints, so that the same result has the same ones whenever it is exported.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid5

from dlif_core.export.dicom_geometry import as_volume
from dlif_core.export.files import new_file
from dlif_core.export.products import ExportedScan, ExportedStudy
from dlif_core.store.layout import part_for

if TYPE_CHECKING:
    import xarray as xr
    from pydicom.dataset import Dataset

_NAMESPACE = UUID("a0d1f7a2-6f0e-5a0b-9d1c-64c1f0b2e9d3")
_PET_IMAGE = "1.2.840.10008.5.1.4.1.1.128"
#: A code of SNOMED for what a region is made of; names of regions are free, so nothing finer is known.
_TISSUE = ("85756007", "SCT", "Tissue")
_NOT_IN_TEXT = re.compile(r"[\\\x00-\x1f\x7f]")
_AS_GIVEN = ("123109", "DCM", "Manual Processing")


def uid(*parts: object) -> str:
    """A DICOM identifier that follows from some texts."""
    return f"2.25.{uuid5(_NAMESPACE, '/'.join(map(str, parts))).int}"


class DicomExporter:
    """One file for each map and one for the labels, in a folder for each scan."""

    name = "dicom"
    title = "DICOM: parametric maps (float, UCUM units) and segmentation of the regions"
    version = 1
    describes_others = False

    def export(self, study: ExportedStudy, folder: Path) -> None:
        """Write the files into the folder ``dicom``."""
        for scan in study.scans():
            root = folder / self.name / part_for(scan.scan_id)
            frame = _Instances(study, scan, root)
            if scan.scan.labels is not None:
                _write_segmentation(frame)
            number = 2
            for analysis, maps in scan.maps.items():
                for variable in _variables(maps):
                    _write_map(frame, analysis, variable, maps, number)
                    number += 1


DICOM = DicomExporter()


@dataclass(frozen=True)
class _Instances:
    """What all files of a scan share."""

    study: ExportedStudy
    scan: ExportedScan
    folder: Path

    @property
    def study_uid(self) -> str:
        return _identity(self.scan.provenance, "StudyInstanceUID") or uid("study", self.scan.source.fingerprint)

    @property
    def reference_uid(self) -> str:
        found = _identity(self.scan.provenance, "FrameOfReferenceUID")
        return found or uid("frame of reference", self.scan.source.fingerprint)

    def of_instance(self, *what: object) -> dict[str, Any]:
        """Arguments that every object of highdicom takes, for one that some texts tell from all others."""
        return {
            "series_instance_uid": uid("series", DicomExporter.version, *what),
            "sop_instance_uid": uid("instance", DicomExporter.version, *what),
            "instance_number": 1,
            "manufacturer": "dlif",
            "manufacturer_model_name": "dlif",
            "software_versions": self.study.version,
            "device_serial_number": "n/a",
        }

    def template(self) -> Dataset:
        """What highdicom asks of a source image: study, subject and frame of reference."""
        from pydicom.dataset import Dataset, FileMetaDataset
        from pydicom.uid import ExplicitVRLittleEndian

        found = Dataset()
        found.file_meta = FileMetaDataset()
        found.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        found.SOPClassUID = _PET_IMAGE
        found.SOPInstanceUID = uid("template", self.scan.source.fingerprint)
        found.SeriesInstanceUID = uid("template series", self.scan.source.fingerprint)
        found.StudyInstanceUID = self.study_uid
        found.FrameOfReferenceUID = self.reference_uid
        found.PositionReferenceIndicator = found.StudyID = found.AccessionNumber = found.StudyDate = ""
        found.StudyTime = found.ReferringPhysicianName = found.PatientName = found.PatientBirthDate = ""
        found.PatientSex, found.PatientID = "", self.scan.scan_id[:64]
        found.Modality, found.Rows, found.Columns = "PT", 1, 1
        found.ImagePositionPatient, found.ImageOrientationPatient = [0, 0, 0], [1, 0, 0, 0, 1, 0]
        found.PixelSpacing, found.SliceThickness = [1, 1], 1
        return found

    def save(self, made: Dataset, name: str, series: str, created: str) -> None:
        """Take out what the template alone stood for, and write the file."""
        _own(made, created)
        made.SeriesDescription = series[:64]
        made.save_as(new_file(self.folder / f"{name}.dcm"), enforce_file_format=True)


def _identity(provenance: Any, key: str) -> str:
    """The first value of a key anywhere in a provenance; "" if there is none."""
    if isinstance(provenance, Mapping):
        if isinstance(provenance.get(key), str):
            return str(provenance[key])
        provenance = list(provenance.values())
    found = (_identity(one, key) for one in provenance) if isinstance(provenance, list) else ()
    return next(filter(None, found), "")


def _own(made: Dataset, created: str) -> None:
    """Leave out references to the template, and date all by the result instead of by its export."""
    for keyword in ("ReferencedSeriesSequence", "SourceImageSequence"):
        made.pop(keyword, None)
    for frame in made.PerFrameFunctionalGroupsSequence:
        frame.pop("DerivationImageSequence", None)
    digits = re.sub(r"\D", "", created[:19])
    made.InstanceCreationDate = made.ContentDate = digits[:8]
    made.InstanceCreationTime = made.ContentTime = digits[8:]
    for one in made.get("ContributingEquipmentSequence", ()):
        one.ContributionDateTime = digits
    organisation = uid("dimensions", made.SOPInstanceUID)
    for item in (*made.DimensionOrganizationSequence, *made.DimensionIndexSequence):
        item.DimensionOrganizationUID = organisation


def _variables(maps: xr.Dataset) -> Iterator[str]:
    """The map of every parameter and of its standard error."""
    from dlif_core.statistics.tables import error_name, parameter_names

    for name in parameter_names(maps):
        yield from (name, error_name(maps, name))


def _write_map(frame: _Instances, analysis: str, variable: str, maps: xr.Dataset, number: int) -> None:
    import highdicom as hd
    import numpy as np

    values = maps[variable].to_numpy().astype(np.float32)
    finite = values[np.isfinite(values)]
    lowest, highest = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 0.0)
    window = hd.VOILUTTransformation(
        window_center=round((lowest + highest) / 2, 8),
        window_width=max(round(highest - lowest, 8), 1e-8),
        voi_lut_function=hd.VOILUTFunctionValues.LINEAR_EXACT,
    )
    made = hd.pm.ParametricMap(
        [frame.template()],
        as_volume(values, frame.scan, frame.reference_uid),
        series_number=number,
        contains_recognizable_visual_features=False,
        real_world_value_mappings=[_mapping(variable, maps[variable].attrs, (lowest, highest))],
        voi_lut_transformations=[window],
        content_label=content_label(variable),
        content_description=str(maps[variable].attrs["long_name"])[:64],
        **frame.of_instance(maps.attrs["fingerprint"], variable),
    )
    made.Laterality = ""  # asked for where nothing says which part of the body it is
    name = f"{part_for(analysis)}_{part_for(variable)}"
    frame.save(made, name, f"{analysis} {variable}", frame.scan.created[analysis])


def _mapping(variable: str, about: Mapping[str, Any], limits: tuple[float, float]) -> Any:
    """What the numbers of a map are; the units of dlif with dots between their parts are UCUM."""
    import highdicom as hd
    from pydicom.sr.coding import Code

    unit = str(about["units"])
    coded = Code(unit.replace(" ", "."), "UCUM", unit if unit != "1" else "no units")
    name = str(about["long_name"])[:64]
    return hd.pm.RealWorldValueMapping(variable[:16], name, coded, limits, slope=1.0, intercept=0.0)


def content_label(variable: str) -> str:
    """The name of a map as a code string of DICOM: 16 capitals, digits and underscores, none of these at the ends."""
    return re.sub(r"[^A-Z0-9]+", "_", variable.upper()).strip("_")[:16].rstrip("_")


def _segment_names(names: Mapping[int, str]) -> list[str]:
    """Names of segments, each one value of DICOM of 64 characters; those that are cut alike end with their label."""
    plain = {label: " ".join(_NOT_IN_TEXT.sub(" ", name).split()) for label, name in names.items()}
    times = Counter(name[:64] for name in plain.values())
    return [name[:64] if times[name[:64]] == 1 else f"{name[:50]} [{label}]" for label, name in plain.items()]


def _write_segmentation(frame: _Instances) -> None:
    """Write the label image; segments are numbered in the order of the labels, which may have gaps."""
    import highdicom as hd
    import numpy as np
    from pydicom.sr.coding import Code

    labels = frame.scan.scan.labels
    assert labels is not None, "only a scan with labels has a segmentation"
    present = [label for label in sorted(frame.scan.scan.label_names) if label and (labels == label).any()]
    if not present:
        return
    segments = np.zeros(labels.shape, np.uint16)
    for segment, label in enumerate(present, start=1):
        segments[labels == label] = segment
    names = _segment_names({label: frame.scan.scan.label_names[label] for label in present})
    tissue, as_given = Code(*_TISSUE), Code(*_AS_GIVEN)
    way = hd.AlgorithmIdentificationSequence("labels of the data set", as_given, frame.study.version)
    descriptions = [
        hd.seg.SegmentDescription(
            segment,
            names[segment - 1],
            tissue,
            tissue,
            hd.seg.SegmentAlgorithmTypeValues.SEMIAUTOMATIC,
            way,
            tracking_uid=uid("segment", frame.scan.source.fingerprint, label),
            tracking_id=f"label {label}",
        )
        for segment, label in enumerate(present, start=1)
    ]
    made = hd.seg.Segmentation(
        [frame.template()],
        as_volume(segments, frame.scan, frame.reference_uid),
        hd.seg.SegmentationTypeValues.BINARY,
        descriptions,
        series_number=1,
        content_label="REGIONS",
        content_description="labels of the regions as the data set has them",
        **frame.of_instance(frame.scan.source.fingerprint, "labels"),
    )
    frame.save(made, "segmentation", "regions", frame.scan.source.created)
