"""Units, dose, tracer and subject: what is read, and what is refused with what to do."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom.dataset import Dataset

from dlif_core.errors import ImageError, InputError, UnitError
from dlif_core.ingest import open_scan
from tests.unit.ingest.dicom.reading import described, found
from tests.unit.ingest.dicom.series import (
    ACTIVITY,
    HALF_LIFE,
    SLOPES,
    START,
    STORED,
    Edit,
    clock,
    code,
    enhanced,
    pmod,
    write_series,
)

DOSE, WEIGHT = 10e6, 0.025


def philips(element: int, value: str, creator: str = "Philips PET Private Group", block: int = 0x10) -> Edit:
    """Files with a private factor."""

    def edit(dataset: Dataset, frame: int, z: int) -> None:
        dataset.Units = "CNTS"
        dataset.add_new((0x7053, block), "LO", creator)
        dataset.add_new((0x7053, (block << 8) + element), "DS", value)

    return edit


def test_slope_and_intercept_hold_for_each_slice(tmp_path: Path) -> None:
    def edit(dataset: Dataset, frame: int, z: int) -> None:
        dataset.RescaleIntercept = 10 * z

    write_series(tmp_path, edit)
    intercept = 10.0 * np.arange(STORED.shape[1])[:, None, None]
    np.testing.assert_allclose(described(tmp_path).image, STORED * SLOPES[:, :, None, None] + intercept)


@pytest.mark.parametrize("block", [0x10, 0x12])
def test_counts_of_philips_with_its_factor_to_activity(tmp_path: Path, block: int) -> None:
    write_series(tmp_path, philips(0x09, "2.5", block=block))
    read = described(tmp_path)
    np.testing.assert_allclose(read.image, 2.5 * ACTIVITY)
    assert (read.fields["Units"], read.checks) == ("Bq/mL", [])


def test_counts_of_philips_with_its_factor_to_suv(tmp_path: Path) -> None:
    write_series(tmp_path, philips(0x00, "0.001"))
    read = described(tmp_path)
    np.testing.assert_allclose(read.image, 0.001 * ACTIVITY * DOSE / (1000 * WEIGHT), rtol=1e-6)
    assert read.checks == ["suv-image"]


@pytest.mark.parametrize("began", [0.0, -1800.0])
@pytest.mark.parametrize("unit", ["GML", "g/ml", "SUV"])
def test_suv_becomes_activity(tmp_path: Path, unit: str, began: float) -> None:
    """SUV is activity over dose and weight, of which the dose decayed as the activity did."""

    def edit(dataset: Dataset, frame: int, z: int) -> None:
        dataset.Units = unit
        item = dataset.RadiopharmaceuticalInformationSequence[0]
        item.RadiopharmaceuticalStartTime = clock(began)["time"]

    import pydicom

    with pydicom.config.disable_value_validation():
        write_series(tmp_path, edit)
    (files,) = found(tmp_path)
    with open_scan(files) as read:
        assert read.scan.activity is not None
        at_injection = ACTIVITY * DOSE / (1000 * WEIGHT)
        np.testing.assert_allclose(read.scan.activity[...], at_injection, rtol=1e-5)


def test_suv_takes_dose_and_weight_of_the_table(tmp_path: Path) -> None:
    def edit(dataset: Dataset, frame: int, z: int) -> None:
        dataset.Units, dataset.PatientWeight = "GML", 0

    write_series(tmp_path / "data" / "pet", edit)
    with pytest.raises(UnitError, match="SUV, and BodyWeight is not known") as fault:
        described(tmp_path / "data")
    assert "table of scans" in fault.value.hint
    table = tmp_path / "scans.tsv"
    table.write_text(
        "source\tInjectedRadioactivity\tInjectedRadioactivityUnits\tBodyWeight\tBodyWeightUnits\npet\t5\tMBq\t20\tg\n"
    )
    read = described(tmp_path / "data", str(table))
    np.testing.assert_allclose(read.image, ACTIVITY * 5e6 / 20, rtol=1e-6)


def test_enhanced_takes_the_slope_that_goes_with_its_unit(tmp_path: Path) -> None:
    def edit(dataset: Dataset) -> None:
        for group in dataset.PerFrameFunctionalGroupsSequence:
            mapping = group.RealWorldValueMappingSequence[0]
            mapping.MeasurementUnitsCodeSequence = [code("g/ml{SUVbw}", "UCUM", "SUV")]
            transformation = Dataset()
            transformation.RescaleSlope, transformation.RescaleIntercept = 7, 0
            transformation.RescaleType = "US"
            group.PixelValueTransformationSequence = [transformation]

    enhanced(tmp_path, edit)
    np.testing.assert_allclose(described(tmp_path).image, ACTIVITY * DOSE / (1000 * WEIGHT), rtol=1e-6)


REFUSED: dict[str, tuple[Edit, type[Exception], str]] = {
    "counts": (lambda d, f, z: setattr(d, "Units", "CNTS"), UnitError, r"counts.*\(7053,xx09\)"),
    "counts of another maker": (philips(0x09, "2.5", "SIEMENS MED"), UnitError, "counts"),
    "counts without a number": (philips(0x09, "0"), UnitError, "counts"),
    "per second": (lambda d, f, z: setattr(d, "Units", "CPS"), UnitError, "'CPS', no concentration"),
    "lean body mass": (lambda d, f, z: d.update({"Units": "GML", "SUVType": "LBM"}), UnitError, "'LBM'"),
    "a flow": (lambda d, f, z: setattr(d, "Units", "MLMING"), UnitError, "no concentration"),
    "none": (lambda d, f, z: setattr(d, "Units", ""), UnitError, r"Units \(0054,1001\) is missing"),
    "no slope": (lambda d, f, z: d.pop("RescaleSlope"), ImageError, "RescaleSlope.*missing"),
    "slope of zero": (lambda d, f, z: setattr(d, "RescaleSlope", 0), ImageError, "RescaleSlope.*zero"),
    "colours": (lambda d, f, z: setattr(d, "SamplesPerPixel", 3), ImageError, "colours"),
}


@pytest.mark.parametrize(("edit", "kind", "message"), REFUSED.values(), ids=REFUSED)
def test_values_that_are_no_activity_are_refused(
    tmp_path: Path, edit: Edit, kind: type[Exception], message: str
) -> None:
    def update(dataset: Dataset, frame: int, z: int) -> None:
        edit(dataset, frame, z)

    write_series(tmp_path, update)
    with pytest.raises(kind, match=message) as fault:
        described(tmp_path)
    assert str(tmp_path) in str(fault.value)
    assert getattr(fault.value, "hint", "")


def test_private_elements_count_only_with_their_creator(tmp_path: Path) -> None:
    def edit(dataset: Dataset) -> None:
        dataset[0x0055, 0x0010].value = "OTHER"

    pmod(tmp_path, edit)
    with pytest.raises(ImageError, match="12 images and doesn't say where"):
        described(tmp_path)


@pytest.mark.parametrize("starts", [START.tolist(), (START + 20).tolist()])
def test_pmod_without_clock_leaves_the_injection_to_the_table(tmp_path: Path, starts: list[float]) -> None:
    def edit(dataset: Dataset) -> None:
        del dataset.AcquisitionTime, dataset.AcquisitionDate, dataset.SeriesTime, dataset.SeriesDate
        dataset.Units = "GML"
        dataset.private_block(0x0055, "PMOD_1")[0x01].value = starts

    pmod(tmp_path / "data" / "pet", edit)
    with pytest.raises(UnitError, match="time of injection is not known"):
        described(tmp_path / "data")
    table = tmp_path / "scans.tsv"
    table.write_text("source\tInjectionStart\npet\t0\n")
    read = described(tmp_path / "data", str(table))
    assert read.fields["FrameTimesStart"] == START.tolist()
    assert "TimeZero" not in read.fields
    np.testing.assert_allclose(read.image, STORED * SLOPES[:, 0, None, None, None] * DOSE / 25, rtol=1e-6)


@pytest.mark.parametrize("correction", ["ADMIN", ""])
def test_suv_corrected_to_the_injection_needs_no_time(tmp_path: Path, correction: str) -> None:
    def edit(dataset: Dataset, frame: int, z: int) -> None:
        dataset.Units, dataset.DecayCorrection, dataset.DecayFactor = "GML", correction, None
        del dataset.RadiopharmaceuticalInformationSequence[0].RadiopharmaceuticalStartTime

    write_series(tmp_path, edit)
    np.testing.assert_allclose(described(tmp_path).image, ACTIVITY * DOSE / (1000 * WEIGHT), rtol=1e-6)


def test_of_several_units_of_the_real_world_activity_is_taken(tmp_path: Path) -> None:
    def edit(dataset: Dataset) -> None:
        for group in dataset.PerFrameFunctionalGroupsSequence:
            other = Dataset()
            other.RealWorldValueSlope, other.RealWorldValueIntercept = 5.0, 0.0
            other.MeasurementUnitsCodeSequence = [code("g/ml{SUVbw}", "UCUM", "SUV")]
            group.RealWorldValueMappingSequence.insert(0, other)

    enhanced(tmp_path, edit)
    np.testing.assert_allclose(described(tmp_path).image, ACTIVITY)


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda block: block[0x04].value.pop(), "vector of PMOD has 2 numbers for 3 frames"),
        (lambda block: setattr(block[0x01], "value", [0.0] * 5), "12 images, and times of 5 frames"),
    ],
)
def test_vectors_of_pmod_that_do_not_fit_are_refused(tmp_path: Path, edit: Any, message: str) -> None:
    pmod(tmp_path, lambda dataset: edit(dataset.private_block(0x0055, "PMOD_1")))
    with pytest.raises(ImageError, match=message):
        described(tmp_path)


@pytest.mark.parametrize("gap", [3.0, -3.0])
def test_pmod_without_places_counts_slices_along_the_normal(tmp_path: Path, gap: float) -> None:
    def edit(dataset: Dataset) -> None:
        block = dataset.private_block(0x0055, "PMOD_1")
        del dataset[block.get_tag(0x02)]
        dataset.SpacingBetweenSlices = gap

    pmod(tmp_path, edit)
    read = described(tmp_path)
    expected = STORED * SLOPES[:, 0, None, None, None]
    np.testing.assert_array_equal(read.image, (expected if gap > 0 else expected[:, ::-1]).astype(np.float32))
    assert read.affine[2, 2] == 3.0
    assert read.checks == ["image-header"]


def test_pmod_in_bytes_of_unknown_type(tmp_path: Path) -> None:
    """A file with implicit types, or one that passed through an archive that doesn't know the elements."""

    def edit(dataset: Dataset) -> None:
        block = dataset.private_block(0x0055, "PMOD_1")
        stored = np.array(block[0x01].value).tobytes()
        del dataset[block.get_tag(0x01)]
        block.add_new(0x01, "UN", stored)

    pmod(tmp_path, edit)
    assert described(tmp_path).fields["FrameTimesStart"] == START.tolist()


INJECTIONS: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({}, {"TracerName": "FDG", "TracerRadionuclide": "F18", "RadionuclideHalfLife": HALF_LIFE}),
    ({"Radiopharmaceutical": "[18F]-Fluorodeoxyglucose"}, {"TracerName": "FDG"}),
    ({"Radiopharmaceutical": "C11 Raclopride"}, {"TracerName": "raclopride"}),
    ({"Radiopharmaceutical": "Ligand of Jane Doe"}, {"TracerName": None}),
    ({"RadiopharmaceuticalCodeSequence": [code("35321007", "SCT", "Jane Doe")]}, {"TracerName": "FDG"}),
    ({"RadiopharmaceuticalCodeSequence": [code("C-B1031", "SRT", "Jane Doe")]}, {"TracerName": "FDG"}),
    (
        {"RadiopharmaceuticalCodeSequence": [code("126765", "DCM", "?")], "RadionuclideCodeSequence": []},
        {"TracerName": "DPA-713 ^11^C", "TracerRadionuclide": "C11"},
    ),
    ({"RadionuclideCodeSequence": [code("77004003", "SCT", "?")]}, {"TracerRadionuclide": "F18"}),
    (
        {"RadionuclideCodeSequence": [], "Radiopharmaceutical": "", "RadionuclideHalfLife": 1223.4},
        {"TracerRadionuclide": "C11", "TracerName": None},
    ),
    ({"RadionuclideTotalDose": ""}, {"InjectedRadioactivity": None}),
    ({"RadionuclideTotalDose": 0}, {"InjectedRadioactivity": None}),
]


@pytest.mark.parametrize(("stated", "expected"), INJECTIONS)
def test_tracer_and_dose(tmp_path: Path, stated: dict[str, Any], expected: dict[str, Any]) -> None:
    def edit(dataset: Dataset, frame: int, z: int) -> None:
        for keyword, value in stated.items():
            setattr(dataset.RadiopharmaceuticalInformationSequence[0], keyword, value)

    write_series(tmp_path, edit)
    fields = described(tmp_path).fields
    assert {name: fields.get(name) for name in expected} == expected


def test_a_dose_in_megabecquerel_is_doubted(tmp_path: Path) -> None:
    def edit(dataset: Dataset, frame: int, z: int) -> None:
        dataset.RadiopharmaceuticalInformationSequence[0].RadionuclideTotalDose = 10.0

    write_series(tmp_path, edit)
    (files,) = found(tmp_path)
    with open_scan(files) as read:
        assert {one.part.value for one in read.findings if one.level == "doubtful"} == {"dose"}


@pytest.mark.parametrize(
    ("stated", "expected"),
    [
        ({"PatientWeight": 0}, {"BodyWeight": None}),
        ({"PatientWeight": None}, {"BodyWeight": None}),
        ({"PatientWeight": 24}, {"BodyWeight": 24.0, "BodyWeightUnits": "kg"}),
        ({"PatientSpeciesDescription": "Mus musculus"}, {"Species": "mouse"}),
        ({"PatientSpeciesDescription": "mouse of Jane Doe"}, {"Species": None}),
        ({"PatientSpeciesCodeSequence": [code("447612001", "SCT", "Jane Doe")]}, {"Species": "mouse"}),
        ({"Manufacturer": "GE MEDICAL SYSTEMS"}, {"Manufacturer": "GE"}),
        ({"ManufacturerModelName": "Discovery MI of Jane Doe"}, {"ManufacturersModelName": "Discovery"}),
        ({"ReconstructionMethod": "3D-OSEM 4i8s"}, {"ReconMethodName": "3D OSEM"}),
    ],
)
def test_subject_and_scanner(tmp_path: Path, stated: dict[str, Any], expected: dict[str, Any]) -> None:
    write_series(tmp_path, **stated)
    fields = described(tmp_path).fields
    assert {name: fields.get(name) for name in expected} == expected


def test_two_injections_are_told(tmp_path: Path) -> None:
    def edit(dataset: Dataset, frame: int, z: int) -> None:
        dataset.RadiopharmaceuticalInformationSequence.append(Dataset())

    write_series(tmp_path, edit)
    assert described(tmp_path).checks == ["files-left-out"]


@pytest.mark.parametrize(("corrections", "checks"), [(["DECY", "SCAT"], ["corrections"]), ("", []), (["ATTN"], [])])
def test_missing_attenuation_correction_is_told(tmp_path: Path, corrections: Any, checks: list[str]) -> None:
    write_series(tmp_path, CorrectedImage=corrections)
    assert described(tmp_path).checks == checks


@pytest.mark.parametrize(("factor", "checks"), [(True, []), (False, ["decay-corrected"])])
def test_elements_that_contradict_each_other_on_decay_are_told(tmp_path: Path, factor: bool, checks: list[str]) -> None:
    def edit(dataset: Dataset, frame: int, z: int) -> None:
        if not factor:
            del dataset.DecayFactor

    write_series(tmp_path, edit, CorrectedImage=["ATTN"])
    assert described(tmp_path).checks == checks


@pytest.mark.parametrize("name", ["PatientWeight", "RadionuclideHalfLife", "RadiopharmaceuticalStartTime"])
def test_files_of_two_subjects_or_injections_are_refused(tmp_path: Path, name: str) -> None:
    def edit(dataset: Dataset, frame: int, z: int) -> None:
        of = dataset if name in dataset else dataset.RadiopharmaceuticalInformationSequence[0]
        if (frame, z) == (1, 2):
            setattr(of, name, "110000" if name.endswith("Time") else 33)

    write_series(tmp_path, edit)
    with pytest.raises(InputError, match=f"{name} differs"):
        described(tmp_path)
