"""What is kept of metadata: words of vocabularies, names that results need, no remarks of people."""

from pathlib import Path

import nibabel
import numpy as np
import pytest

from dlif_core.errors import ImageError, InputError, MissingInputError
from dlif_core.ingest.bids.vocabulary import KEPT_FIELDS, kept_words
from dlif_core.ingest.nifti_header import parse_header
from tests.unit.ingest.bids.dataset import (
    AFFINE,
    BLOOD_TABLE,
    curve_table,
    make_dataset,
    voxels,
    write,
    write_curves,
    write_image,
)
from tests.unit.ingest.bids.opening import fault, ingest


def test_words_of_scanners_and_reconstructions_are_kept_and_nothing_else() -> None:
    fields = {
        "Manufacturer": "SIEMENS Healthineers, Dr Doe",
        "ManufacturersModelName": "Biograph64_mCT of Jane",
        "ModeOfAdministration": "bolus-infusion by Jane Doe",
        "AcquisitionMode": "list mode",
        "ReconMethodName": "PSF+TOF 3i21s for Jane Doe",
        "InstitutionName": "Siemens",
    }
    assert kept_words(fields) == {
        "Manufacturer": "SIEMENS",
        "ModeOfAdministration": "bolus-infusion",
        "AcquisitionMode": "list mode",
        "ReconMethodName": "PSF TOF",
    }
    assert kept_words(dict.fromkeys(KEPT_FIELDS, "Jane Doe 1970-01-01")) == {}
    assert kept_words({name: {"Jane": ["Doe"]} for name in KEPT_FIELDS}) == {}


def test_a_species_that_is_not_known_is_told_and_not_kept(tmp_path: Path) -> None:
    make_dataset(tmp_path)
    write(tmp_path / "participants.tsv", "participant_id\tspecies\tweight\nsub-01\tJane Doe\t22\n")
    ingested = ingest(tmp_path)
    assert ingested.scan.acquisition.species == ""
    assert [finding.message for finding in ingested.findings if "species" in finding.message] == [
        "The species is unknown: the table names none that dlif knows."
    ]


@pytest.mark.parametrize("kind", [nibabel.Nifti1Header, nibabel.Nifti2Header])
@pytest.mark.parametrize("order", "<>")
def test_no_field_of_a_header_holds_text(kind: type, order: str) -> None:
    image = {nibabel.Nifti1Header: nibabel.Nifti1Image, nibabel.Nifti2Header: nibabel.Nifti2Image}[kind]
    header = image(voxels(), AFFINE, dtype=np.int16).header.as_byteswapped(order)
    header.set_xyzt_units("mm", "sec")
    header["vox_offset"], header["magic"] = 1000, {348: b"n+1", 540: b"n+2"}[len(header.binaryblock)]
    for name in ("descrip", "aux_file", "db_name", "intent_name", "data_type", "unused_str", "regular"):
        if name in header:
            header[name] = b"Jane Doe" * 10
    for name in ("extents", "session_error", "glmax", "glmin", "intent_code"):
        if name in header:
            header[name] = np.frombuffer(b"JaneDoe!", header[name].dtype.newbyteorder("="))[0]
    kept = kind(parse_header(bytes(header.binaryblock), "scan.nii").raw, endianness=order)
    assert b"Jane" not in bytes(kept.binaryblock)
    assert b"enaJ" not in bytes(kept.binaryblock)
    for name in ("dim", "pixdim", "datatype", "bitpix", "xyzt_units", "sform_code", "srow_x", "srow_y", "srow_z"):
        np.testing.assert_array_equal(kept[name], header[name])


class TestMessages:
    """Of what people may have written, messages tell the place."""

    def test_a_table_of_participants_without_header(self, tmp_path: Path) -> None:
        make_dataset(tmp_path)
        write(tmp_path / "participants.tsv", "sub-01\tJane Doe\t1970-01-31\nsub-02\tJohn Roe\t1971-01-31\n")
        (finding,) = [found for found in ingest(tmp_path).findings if found.check == "weight-unreadable"]
        assert finding.message.endswith("column 'participant_id' is missing; the file has 3 columns.")

    def test_columns_that_slipped(self, tmp_path: Path) -> None:
        make_dataset(tmp_path)
        write(tmp_path / "participants.tsv", "participant_id\tweight\nsub-01\tJane Doe\n")
        (finding,) = [found for found in ingest(tmp_path).findings if found.check == "weight-unreadable"]
        assert finding.message.endswith("text of 8 characters is not a number.")

    def test_participants_of_other_names(self, tmp_path: Path) -> None:
        make_dataset(tmp_path)
        names = ["Sub-1", "sub-01_ses-2", "01 Jane Doe", "sub-011", "Jane Doe sub-01"]
        rows = "".join(f"{name}\t22\n" for name in names)
        write(tmp_path / "participants.tsv", f"participant_id\tweight\n{rows}")
        (finding,) = [found for found in ingest(tmp_path).findings if found.check == "weight-not-given"]
        assert finding.message.endswith("no row 'sub-01'; there is 'Sub-1', 'sub-01_ses-2'.")

    def test_blood_without_header(self, tmp_path: Path) -> None:
        pet = make_dataset(tmp_path)
        rows = BLOOD_TABLE.split("\n", 2)[2].replace("n/a", "Jane Doe", 1)
        write(pet / "sub-01_recording-manual_blood.tsv", rows)
        (recording,) = ingest(tmp_path).blood
        assert "column 'time' is missing; the file has 4 columns." in recording.refused

    def test_a_column_of_remarks_among_region_curves(self, tmp_path: Path) -> None:
        pet = make_dataset(tmp_path)
        (pet / "sub-01_pet.nii.gz").unlink()
        remarks: list[object] = [0, 0, "Jane moved", 0]
        write_curves(tmp_path, curve_table(brain=[1.0, 2, 3, 4], remarks=remarks))  # type: ignore[arg-type]
        error = fault(tmp_path, InputError, "text of 10 characters in column 'remarks', data row 3, is not a number")
        assert "Jane" not in str(error)

    def test_dates_of_clock_times(self, tmp_path: Path) -> None:
        make_dataset(tmp_path, {"TimeZero": "2019-03-07T10:00:00", "InjectionStart": "2019-03-07 10:00:05"})
        said = " ".join(finding.message for finding in ingest(tmp_path).findings)
        assert "InjectionStart is the clock time 10:00:05; it is taken as 5 s from TimeZero (10:00:00)." in said
        assert "2019" not in said

    def test_fields_that_stand_twice(self, tmp_path: Path) -> None:
        pet = make_dataset(tmp_path)
        write(pet / "sub-01_pet.json", '{\n"Jane": "Doe",\n"a": 1,\n"Jane": "Roe"\n}')
        assert "stands twice, with different values (line 2 and 4)" in str(fault(tmp_path, InputError, "a field"))

    @pytest.mark.parametrize("content", [b"Jane Doe, born 1970-01-31" * 9, b"\x00Jane Doe" * 60])
    @pytest.mark.parametrize("name", ["sub-01_pet.nii.gz", "sub-01_pet.nii"])
    def test_other_files_for_an_image(self, tmp_path: Path, content: bytes, name: str) -> None:
        pet = make_dataset(tmp_path)
        (pet / "sub-01_pet.nii.gz").unlink()
        (pet / name).write_bytes(content)
        assert "Jane D" not in str(fault(tmp_path, ImageError, "it begins with the bytes"))

    def test_targets_of_links(self, tmp_path: Path) -> None:
        pet = make_dataset(tmp_path)
        (pet / "sub-01_pet.json").unlink()
        (pet / "sub-01_pet.json").symlink_to("/raw/doe_jane/scan.json")
        assert "doe_jane" not in str(fault(tmp_path, MissingInputError, "leads nowhere"))


def test_names_of_regions_are_those_of_labels_in_the_image_cut_to_a_name(tmp_path: Path) -> None:
    make_dataset(tmp_path)
    folder = tmp_path / "derivatives" / "seg" / "sub-01"
    labels = np.zeros((3, 4, 5), np.int16)
    labels[0], labels[1] = 1, 2
    write_image(folder / "sub-01_dseg.nii.gz", labels)
    write(folder / "sub-01_dseg.tsv", f"index\tname\tremark\n1\t{'x' * 300}\tJane\n2\tliver\tDoe\n9\tJane Doe\tDoe\n")
    scan = ingest(tmp_path).scan
    assert scan.regions.names == ("x" * 100, "liver")
    assert dict(scan.label_names) == {1: "x" * 100, 2: "liver"}
