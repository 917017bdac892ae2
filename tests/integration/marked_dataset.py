"""A PET-BIDS data set with marks in the place of everything that people write: one sound scan and many with a fault."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from dlif_core.phantom import write_cohort
from tests.integration.marks import Marks, described, mark_image, with_columns, with_marks
from tests.unit.ingest.bids.dataset import BLOOD, BLOOD_TABLE, SIDECAR, curve_table, voxels, write, write_image

SOUND = "sub-m01"
REGION = "A region's name is shown: results are told by it."
TRACER = "The tracer's name is shown: results are those of a tracer."
PATH = "Files of a scan are named by their path."

#: Fields whose text decides numbers.
DECIDING = ("TracerName", "TracerRadionuclide", "Units", "InjectedRadioactivityUnits", "TimeZero")
INPUT_FUNCTION = "derivatives/curves/{subject}/{subject}_inputfunction.tsv"


class FaultyScan:
    """The files of a small scan, to be spoilt.

    Attributes
    ----------
    mark
        What is put into the place that is spoilt.
    row
        Subject, species and weight in the table of participants.
    """

    def __init__(self, root: Path, subject: str) -> None:
        self.root, self.subject, self.mark = root, subject, ""
        self.pet = root / subject / "pet"
        self.row = [subject, "mus musculus", "0.022"]
        write(self.file("pet.json"), SIDECAR)
        write_image(self.file("pet.nii.gz"), voxels(), slope=0.5)
        write(self.file("recording-manual_blood.tsv"), BLOOD_TABLE)
        write(self.file("recording-manual_blood.json"), BLOOD)

    def file(self, name: str) -> Path:
        return self.pet / f"{self.subject}_{name}"

    def fields(self, name: str = "pet.json", **fields: Any) -> None:
        path = self.file(name)
        write(path, json.loads(path.read_text()) | fields)

    def blood(self, old: str, new: str) -> None:
        path = self.file("recording-manual_blood.tsv")
        path.write_text(path.read_text().replace(old, new, 1))

    def derivative(self, name: str, content: str | dict[str, Any]) -> Path:
        return write(self.root / "derivatives" / "curves" / self.subject / f"{self.subject}_{name}", content)


def field(name: str, value: Callable[[str], Any] = str) -> Callable[[FaultyScan], None]:
    """Spoil a field of the image's sidecar."""
    return lambda scan: scan.fields(**{name: value(scan.mark)})


def blood_field(name: str, recording: str = "manual") -> Callable[[FaultyScan], None]:
    """Spoil a field of the sidecar of blood."""

    def spoil(scan: FaultyScan) -> None:
        for kind in ("tsv", "json"):
            scan.file(f"recording-manual_blood.{kind}").rename(scan.file(f"recording-{recording}_blood.{kind}"))
        scan.fields(f"recording-{recording}_blood.json", **{"DispersionCorrected": False, name: scan.mark})

    return spoil


def weight(scan: FaultyScan) -> None:
    scan.row[2] = scan.mark


def species(scan: FaultyScan) -> None:
    scan.row[1] = scan.mark


def sessions_weight(scan: FaultyScan) -> None:
    shutil.move(scan.pet, scan.pet.parent / "ses-1" / "pet")
    for path in (scan.pet.parent / "ses-1" / "pet").iterdir():
        path.rename(path.with_name(path.name.replace(scan.subject, f"{scan.subject}_ses-1")))
    table = f"session_id\tacq_time\tweight\nses-1\t{scan.mark}\t{scan.mark}\n"
    write(scan.root / scan.subject / f"{scan.subject}_sessions.tsv", table)


def field_twice(scan: FaultyScan) -> None:
    path = scan.file("pet.json")
    path.write_text(
        path.read_text().replace("{", f'{{"{scan.mark}": "{scan.mark}a", "{scan.mark}": "{scan.mark}b", ', 1)
    )


def broken_json(scan: FaultyScan) -> None:
    scan.file("pet.json").write_text(f'{{"PatientName": "{scan.mark}" "{scan.mark}"}}')


def blood_cell(scan: FaultyScan) -> None:
    scan.blood("\n30\t2.5", f"\n30\t{scan.mark}")


def blood_column_twice(scan: FaultyScan) -> None:
    scan.blood("plasma_radioactivity\tmetabolite_parent_fraction", f"{scan.mark}\t{scan.mark}")


def blood_without_header(scan: FaultyScan) -> None:
    scan.blood(BLOOD_TABLE.split("\n")[0], f"{scan.mark}\t{scan.mark}a\t{scan.mark}b\t{scan.mark}c")


def blood_wide_row(scan: FaultyScan) -> None:
    scan.blood("\n30\t2.5", f"\n30\t{scan.mark}\t{scan.mark}\t2.5")


def blood_unit(scan: FaultyScan) -> None:
    scan.fields("recording-manual_blood.json", plasma_radioactivity={"Units": scan.mark, "Description": scan.mark})


def curve_cell(scan: FaultyScan) -> None:
    scan.file("pet.nii.gz").unlink()
    scan.derivative("tacs.tsv", curve_table(brain=[1.0, 2.0, 3.0, scan.mark]))  # type: ignore[list-item]


def curves_without_header(scan: FaultyScan) -> None:
    scan.file("pet.nii.gz").unlink()
    scan.derivative("tacs.tsv", curve_table(brain=[1.0] * 4).replace("frame_start", scan.mark))


def curves_in_a_marked_file(scan: FaultyScan) -> None:
    scan.file("pet.nii.gz").unlink()
    scan.derivative(f"desc-{scan.mark}_tacs.tsv", curve_table(brain=[0.0, 9.0, 7.0, 5.0]))


def label_index(scan: FaultyScan) -> None:
    write_image(scan.derivative("dseg.nii.gz", ""), voxels((3, 4, 5, 1)) % 3)
    scan.derivative("dseg.tsv", f"index\tname\tcomment\n1\tbrain\t{scan.mark}\n{scan.mark}\tliver\t{scan.mark}\n")


def text_for_an_image(scan: FaultyScan) -> None:
    scan.file("pet.nii.gz").write_text(f"{scan.mark} {scan.mark}")


def dangling_link(scan: FaultyScan) -> None:
    scan.file("pet.nii.gz").unlink()
    scan.file("pet.nii.gz").symlink_to(f"/nowhere/{scan.mark}/scan.nii.gz")


def input_function_cell(scan: FaultyScan) -> None:
    content = f"# {scan.mark}\ntime\tAIF\t{scan.mark}\n0\t0\t{scan.mark}\n60\t{scan.mark}\t{scan.mark}\n"
    scan.derivative("inputfunction.tsv", content)
    scan.derivative("inputfunction.json", {"AIF": {"Units": "Bq", "Description": scan.mark}, "time": {"Units": "s"}})


def participant_with_another_name(scan: FaultyScan) -> None:
    scan.row[0] = f"{scan.mark} {scan.subject}"


#: Each puts a mark where it leads to a message; with the reason why the message may show it.
FAULTS: dict[str, tuple[Callable[[FaultyScan], None], str]] = {
    "weight": (weight, ""),
    "species": (species, ""),
    "sessions": (sessions_weight, ""),
    "participant": (participant_with_another_name, ""),
    "BodyWeight": (field("BodyWeight"), ""),
    "dose": (field("InjectedRadioactivity"), ""),
    "dose as an object": (field("InjectedRadioactivity", lambda mark: {mark: mark}), ""),
    "frames": (field("FrameTimesStart", lambda mark: [0, 10, mark, 60]), ""),
    "durations": (field("FrameDuration", lambda mark: [{"value": mark}] * 4), ""),
    "decay corrected": (field("ImageDecayCorrected"), ""),
    "injection": (field("InjectionStart"), ""),
    "half-life": (field("RadionuclideHalfLife"), ""),
    "time zero": (field("TimeZero"), ""),
    "tracer as a list": (field("TracerName", lambda mark: [mark]), ""),
    "nuclide": (field("TracerRadionuclide"), ""),
    "unit of the image": (field("Units"), ""),
    "unit of the dose": (field("InjectedRadioactivityUnits"), ""),
    "unit of blood": (blood_unit, ""),
    "time zero of blood": (blood_field("TimeZero"), ""),
    "haematocrit": (blood_field("Haematocrit"), ""),
    "plasma measured": (blood_field("PlasmaAvail"), ""),
    "dispersion": (blood_field("DispersionConstant", "autosampler"), ""),
    "blood cell": (blood_cell, ""),
    "blood column": (blood_column_twice, ""),
    "blood header": (blood_without_header, ""),
    "blood row": (blood_wide_row, ""),
    "field twice": (field_twice, ""),
    "broken JSON": (broken_json, ""),
    "curve cell": (curve_cell, ""),
    "curve header": (curves_without_header, ""),
    "curve file": (curves_in_a_marked_file, PATH),
    "label index": (label_index, ""),
    "no image": (text_for_an_image, ""),
    "link": (dangling_link, ""),
    "input function": (input_function_cell, ""),
}

#: Faults of which a message says that there is text where there should be none.
UNREADABLE = frozenset(
    {
        *("weight", "sessions", "BodyWeight", "dose", "dose as an object", "frames", "durations", "decay corrected"),
        *("injection", "half-life", "time zero", "tracer as a list", "time zero of blood", "haematocrit"),
        *("dispersion", "blood cell", "curve cell", "label index"),
    }
)

#: Faults that stand beside each other in one scan, as each costs another part of it; a scan of its own has any other.
_TOGETHER = (
    ("weight", "dose", "haematocrit", "plasma measured"),
    ("species", "unit of the dose", "blood cell"),
    ("dose as an object", "unit of blood", "sessions"),
    ("participant", "blood column", "input function"),
    ("BodyWeight", "time zero", "blood header"),
    ("curve file", "blood row"),
)
_ALONE = [(name,) for name in FAULTS if not any(name in names for names in _TOGETHER)]
#: Faults of each faulty scan.
SCANS = {f"sub-f{number:02d}": names for number, names in enumerate((*_TOGETHER, *_ALONE))}


def write_marked(root: Path, marks: Marks) -> Path:
    """Write the data set; returns its root."""
    write_cohort(root, 1, seed=2, voxel_size=2.0)
    _mark_sound_scan(root, marks)
    rows = [["participant_id", "species", "weight"], [SOUND, "mus musculus", "0.0209"]]
    for subject, names in SCANS.items():
        scan = FaultyScan(root, subject)
        for name in names:
            spoil, reason = FAULTS[name]
            scan.mark = marks.at(f"fault: {name}", reason)
            spoil(scan)
        rows.append(scan.row)
    table = "\n".join("\t".join(row) for row in rows) + "\n"
    write(root / "participants.tsv", with_columns(table, marks, "participants"))
    columns = described({"weight": {"Units": "kg"}, "species": {}, "name": {}}, marks, "participants")
    write(root / "participants.json", with_marks(columns, marks, "participants", ()))
    _add_files_of_others(root, marks)
    return root


def _mark_sound_scan(root: Path, marks: Marks) -> None:
    pet, derived = root / SOUND / "pet", root / "derivatives" / "phantom" / SOUND / "pet"
    sidecar = pet / f"{SOUND}_pet.json"
    fields = with_marks(json.loads(sidecar.read_text()), marks, "pet", DECIDING)
    deciding = {"TracerName": f"FDG {marks.at('tracer', TRACER)}", "TimeZero": f"{marks.date('time zero')}T10:00:00"}
    described_as = {"Species": marks.at("species in the sidecar"), "InjectionStart": f"{marks.date('start')}T10:00:00"}
    write(sidecar, fields | deciding | described_as)
    blood = pet / f"{SOUND}_recording-autosampler_blood"
    content = json.loads(blood.with_suffix(".json").read_text())
    told = {key: value for key, value in content.items() if not isinstance(value, dict)}
    of_columns = {key: value for key, value in content.items() if isinstance(value, dict)}
    write(blood.with_suffix(".json"), with_marks(told, marks, "blood", ()) | described(of_columns, marks, "blood"))
    write(blood.with_suffix(".tsv"), with_columns(blood.with_suffix(".tsv").read_text(), marks, "blood"))
    names = derived / f"{SOUND}_desc-truth_dseg.tsv"
    labels = with_columns(names.read_text(), marks, "dseg").replace(
        "\tliver", f"\tliver {marks.at('region', REGION)}", 1
    )
    write(names, f"{labels}99\t{marks.at('absent region')}\t\t\t\t\n")
    write(names.with_suffix(".json"), with_marks({"index": "a"}, marks, "dseg", ()))
    curve = derived / f"{SOUND}_desc-truth_inputfunction.tsv"
    named = curve.read_text().replace("whole_blood\tplasma", "whole_blood_radioactivity\tAIF")
    table = with_columns(named, marks, "input function")
    write(root / INPUT_FUNCTION.format(subject=SOUND), f"# {marks.at('comment line')}\n{table}")
    columns = {"time": {"Units": "s"}, "AIF": {"Units": "Bq"}, "whole_blood_radioactivity": {"Units": "Bq"}}
    units = described(columns, marks, "input function")
    write(root / INPUT_FUNCTION.format(subject=SOUND).replace(".tsv", ".json"), units)
    for image in (pet / f"{SOUND}_pet.nii.gz", derived / f"{SOUND}_desc-truth_dseg.nii.gz"):
        mark_image(image, marks)


def _add_files_of_others(root: Path, marks: Marks) -> None:
    """Files and folders that are no part of any scan, with marks in their names and contents."""
    write(root / "dataset_description.json", {"Name": marks.at("data set"), "Authors": [marks.at("author")]})
    pet, derived = root / SOUND / "pet", root / "derivatives"
    for path in (
        root / "README",
        root / "CHANGES",
        pet / f"Copy of {marks.at('copy')}.tsv",
        pet / f"{SOUND}_desc-{marks.at('event')}_events.tsv",
        pet / f"{SOUND}_events.json",
        pet / f".{marks.at('hidden')}.json",
        root / SOUND / f"{SOUND}_scans.tsv",
        root / SOUND / marks.at("session folder") / "notes.txt",
        root / "phenotype" / f"{marks.at('phenotype')}.tsv",
        root / "sourcedata" / marks.at("source") / f"{marks.at('dicom')}.dcm",
        derived / marks.at("derivative folder") / "anat" / f"{marks.at('derivative')}.json",
        derived / marks.at("other folder") / SOUND / f"{SOUND}_{marks.at('entity')}_notes.tsv",
    ):
        write(path, f"{marks.at(f'content of {path.name}')}\n")
