"""Faults that people's files have, kind by kind: the number is right, or what is lost is told with the reason.

The study is that of `tests.fuzz.sound`, whose Ki and SUV are known from an ODE solver; each case changes one thing.
"""

import csv
import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest

from tests.fuzz.outcome import Outcome, outcome_of
from tests.fuzz.sound import DOSE, END, KI, START, WEIGHT, frame_means, put, write_sound

pytestmark = pytest.mark.slow

PET = "sub-01/pet/sub-01_pet"
BLOOD = "sub-01/pet/sub-01_recording-manual_blood"
F18 = 6586.2
#: Analyses by what their input function rests on.
OF_BLOOD, OF_DOSE, OTHERS = ("arterial",), ("population", "uptake"), ("image-derived", "from-file")


def edit(path: Path, **fields: Any) -> None:
    """Set fields of a JSON file; None removes one."""
    content = json.loads(path.read_text()) | fields
    put(path, {name: value for name, value in content.items() if value is not None})


def sidecar(bids: Path, **fields: Any) -> None:
    edit(bids / f"{PET}.json", **fields)


def rows_of(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(path.read_text().splitlines(), delimiter="\t"))


def write_rows(path: Path, rows: list[dict[str, Any]]) -> None:
    lines = ["\t".join(rows[0]), *("\t".join(map(str, row.values())) for row in rows)]
    put(path, "\n".join(lines) + "\n")


def column(path: Path, name: str, change: Callable[[float], object]) -> None:
    """Change a column of numbers; cells without a value stay."""
    rows = rows_of(path)
    write_rows(path, [row | {name: row[name] if row[name] == "n/a" else change(float(row[name]))} for row in rows])


def voxels(bids: Path, change: Callable[[np.ndarray], np.ndarray]) -> None:
    path = bids / f"{PET}.nii.gz"
    image = nibabel.load(path)
    values = change(np.asarray(image.dataobj, dtype=np.float32))
    shown = nibabel.Nifti1Image(values.astype(np.float32), image.affine)
    shown.header.set_xyzt_units("mm", "sec")
    nibabel.save(shown, path)


def without_last(values: np.ndarray) -> np.ndarray:
    values[..., -1] = 0
    return values


def participants(bids: Path, text: str, **fields: Any) -> None:
    put(bids / "participants.tsv", text)
    edit(bids / "participants.json", **fields)


def half_lives(bids: Path) -> None:
    sidecar(bids, TracerRadionuclide="^18^Fluorine", RadionuclideHalfLife=109.77)


def late_decay(bids: Path) -> None:
    middle = START + np.diff([*START, END]) / 2
    sidecar(bids, DecayCorrectionFactor=(2 ** ((middle + 3000) / F18)).tolist())


def kilobecquerel_tables(bids: Path) -> None:
    stem = bids / "derivatives/extract/sub-02/pet/sub-02_desc-seg_tacs"
    for name in KI:
        column(stem.with_suffix(".tsv"), name, lambda value: value / 1e3)
    put(stem.with_suffix(".json"), {name: {"Units": "kBq/mL"} for name in KI})


def renamed_autosampler(bids: Path) -> None:
    for path in (bids / "sub-02/pet").glob("*autosampler*"):
        path.rename(path.with_name(path.name.replace("autosampler", "automatic")))


def quoted_remarks(bids: Path) -> None:
    path = bids / f"{BLOOD}.tsv"
    remarks = {3: '"clot', 9: 'flushed "twice"', 14: 'late"'}
    write_rows(path, [row | {"comment": remarks.get(i, "n/a")} for i, row in enumerate(rows_of(path))])


def metabolites(bids: Path) -> None:
    path = bids / "sub-02/pet/sub-02_recording-manual_blood.tsv"
    column(path, "metabolite_parent_fraction", lambda fraction: 1 - fraction)


def labels_of_an_atlas(bids: Path) -> None:
    folder = bids / "derivatives/seg/sub-01/pet"
    image = nibabel.load(folder / "sub-01_dseg.nii.gz")
    ids = np.array([0, 614454277, 312782546], np.int32)[np.asarray(image.dataobj)]
    nibabel.save(nibabel.Nifti1Image(ids, image.affine, dtype=np.int32), folder / "sub-01_dseg.nii.gz")
    put(folder / "sub-01_dseg.tsv", "index\tname\n614454277\tleft\n312782546\tright\n")


def intercept(bids: Path) -> None:
    import gzip

    path = bids / f"{PET}.nii.gz"
    content = bytearray(gzip.decompress(path.read_bytes()))
    content[116:120] = np.float32(np.nan).tobytes()
    path.write_bytes(gzip.compress(bytes(content)))


def dangling(bids: Path) -> None:
    path = bids / f"{PET}.nii.gz"
    path.unlink()
    path.symlink_to("../../.git/annex/objects/aa/bb/image.nii.gz")


def hidden_copies(bids: Path) -> None:
    for path in [each for each in bids.rglob("sub-01*") if each.is_file()]:
        path.with_name(f"._{path.name}").write_bytes(b"\x00\x05\x16\x07")


def of_time(bids: Path) -> None:
    fields = json.loads((bids / f"{BLOOD}.json").read_text())
    put(bids / f"{BLOOD}.json", {"Time": fields.pop("time"), **fields})


SUV_OF = 1e3 * WEIGHT / DOSE


@dataclass(frozen=True)
class Kind:
    """One kind of fault and what must come of it.

    Attributes
    ----------
    change
        Makes the fault in the data set.
    scan
        The scan that has it.
    lost
        Analyses that must not have a value; all of the scan for ("",).
    words
        What must be told, of the loss or in a finding; "" for nothing.
    tolerance
        Of Ki by arterial blood, where that is not lost.
    suv
        Factor from the true SUV, where that is not lost.
    """

    change: Callable[[Path], object]
    lost: tuple[str, ...] = ()
    words: str = ""
    scan: str = "sub-01"
    tolerance: float = 0.02
    suv: float = 1.0
    right: tuple[str, ...] = field(default=("arterial",))


ALL = ("",)
KINDS: dict[str, Kind] = {
    "frame times in minutes": Kind(
        lambda bids: sidecar(
            bids,
            FrameTimesStart=(START / 60).tolist(),
            FrameDuration=(np.diff([*START, END]) / 60).tolist(),
        ),
        ALL,
        "in seconds, not in minutes",
    ),
    "frame times in milliseconds": Kind(
        lambda bids: sidecar(
            bids,
            FrameTimesStart=(START * 1e3).tolist(),
            FrameDuration=(np.diff([*START, END]) * 1e3).tolist(),
        ),
        ALL,
        "milliseconds",
    ),
    "frames that count from a late scan": Kind(lambda bids: sidecar(bids, ScanStart=1800), ALL, "before the scan"),
    "decay correction of a later frame": Kind(late_decay, ALL, "was corrected for decay by"),
    "no decay correction, as a text": Kind(
        lambda bids: sidecar(bids, ImageDecayCorrected="false"), ALL, "not decay-corrected"
    ),
    "decay correction as a number": Kind(lambda bids: sidecar(bids, ImageDecayCorrected=1)),
    "decay correction that is neither": Kind(
        lambda bids: sidecar(bids, ImageDecayCorrected="perhaps"), ALL, "ImageDecayCorrected"
    ),
    "half-life in minutes": Kind(half_lives, ALL, "6586.2 s"),
    "nuclide as DICOM calls it": Kind(lambda bids: sidecar(bids, TracerRadionuclide="^18^Fluorine")),
    "injection as a clock time": Kind(lambda bids: sidecar(bids, InjectionStart="09:30:00"), words="clock time"),
    "injection as a word": Kind(lambda bids: sidecar(bids, InjectionStart="soon"), ALL, "InjectionStart"),
    "dose in Bq called MBq": Kind(lambda bids: sidecar(bids, InjectedRadioactivity=DOSE), OF_DOSE, "no dose for"),
    "dose in MBq called kBq": Kind(
        lambda bids: sidecar(bids, InjectedRadioactivityUnits="kBq"), OF_DOSE, "no dose for"
    ),
    "dose with a decimal comma": Kind(
        lambda bids: sidecar(bids, InjectedRadioactivity="185,0"), OF_DOSE, "InjectedRadioactivity"
    ),
    "unit of the dose as in the specification's example": Kind(
        lambda bids: sidecar(bids, InjectedRadioactivityUnits=None, InjectedRadioActivityUnits="MBq")
    ),
    "weight as body_weight": Kind(
        lambda bids: participants(
            bids, f"participant_id\tspecies\tbody_weight\nsub-01\thomo sapiens\t{WEIGHT}\n", body_weight={"Units": "kg"}
        )
    ),
    "weight in kilograms, in words": Kind(lambda bids: edit(bids / "participants.json", weight={"Units": "Kilograms"})),
    "weight in an unknown unit": Kind(
        lambda bids: edit(bids / "participants.json", weight={"Units": "stone"}), OF_DOSE, "stone"
    ),
    "weight with a decimal comma": Kind(
        lambda bids: participants(bids, "participant_id\tspecies\tweight\nsub-01\thomo sapiens\t68,5\n"),
        OF_DOSE,
        "68,5",
    ),
    "weight of a mouse, without unit": Kind(
        lambda bids: participants(bids, "participant_id\tspecies\tweight\nsub-01\tmus musculus\t25\n", weight=None),
        OF_DOSE,
        "mouse of 25 kg",
    ),
    "participants without prefix": Kind(
        lambda bids: participants(bids, f"participant_id\tspecies\tweight\n01\thomo sapiens\t{WEIGHT}\n"),
        words="is taken as 'sub-01'",
    ),
    "a participant twice, with two weights": Kind(
        lambda bids: participants(
            bids, "participant_id\tspecies\tweight\nsub-01\thomo sapiens\t60\nsub-01\thomo sapiens\t80\n"
        ),
        OF_DOSE,
        "participants.tsv",
    ),
    "an image in kBq called Bq": Kind(
        lambda bids: voxels(bids, lambda values: values / 1e3),
        (*OF_BLOOD, *OF_DOSE, "from-file"),
        "times that of blood",
    ),
    "an image in Bq called kBq": Kind(
        lambda bids: sidecar(bids, Units="kBq/mL"),
        (*OF_BLOOD, *OF_DOSE, "from-file"),
        "times that of blood",
    ),
    "an empty image": Kind(lambda bids: voxels(bids, np.zeros_like), ALL, "no frame has any activity"),
    "an empty last frame": Kind(
        lambda bids: voxels(bids, without_last), words="are left out: 12", tolerance=0.05, suv=0
    ),
    "a header with half a scale": Kind(intercept, ALL, "scl_inter"),
    "labels of an atlas": Kind(labels_of_an_atlas),
    "region curves with units of their own": Kind(kilobecquerel_tables, scan="sub-02"),
    "an autosampler by another name": Kind(renamed_autosampler, scan="sub-02"),
    "quotation marks in a blood table": Kind(quoted_remarks),
    "the time of blood under another key": Kind(of_time),
    "plasma in kBq called Bq": Kind(
        lambda bids: column(bids / f"{BLOOD}.tsv", "plasma_radioactivity", lambda value: value / 1e3),
        OF_BLOOD,
        "times whole blood",
        right=OTHERS,
    ),
    "blood that lacks a unit": Kind(
        lambda bids: edit(bids / f"{BLOOD}.json", plasma_radioactivity=None), OF_BLOOD, "no unit", right=OTHERS
    ),
    "the metabolites' share": Kind(metabolites, OF_BLOOD, "metabolites' share", scan="sub-02", right=("from-file",)),
    "blood that begins late": Kind(
        lambda bids: write_rows(
            bids / f"{BLOOD}.tsv", [row for row in rows_of(bids / f"{BLOOD}.tsv") if float(row["time"]) >= 300]
        ),
        OF_BLOOD,
        "peak was not sampled",
        right=OTHERS,
    ),
    "an image that was not fetched": Kind(dangling, ALL, "leads nowhere"),
    "copies from a Mac": Kind(hidden_copies),
}


@pytest.fixture(scope="module")
def sound_files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sound")
    write_sound(folder)
    return folder


@pytest.fixture(scope="module")
def sound(sound_files: Path, tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    return _run(sound_files, tmp_path_factory.mktemp("as-it-is") / "study", lambda _: None)


def _run(sound_files: Path, folder: Path, change: Callable[[Path], object]) -> Outcome:
    shutil.copytree(sound_files, folder, symlinks=True)
    change(folder / "bids")
    return outcome_of(folder / "study.yaml")


def _ki(outcome: Outcome, scan: str, analysis: str) -> list[float]:
    return [outcome.values[scan, analysis, region] for region in KI]


def test_the_sound_study_is_right(sound: Outcome) -> None:
    assert sound.broken == []
    for scan in ("sub-01", "sub-02"):
        for analysis in ("arterial", "from-file", "first"):
            assert _ki(sound, scan, analysis) == pytest.approx(list(KI.values()), rel=0.02)
    assert {finding for told in sound.told.values() for finding in told if "whole image" in finding} == set()


@pytest.mark.parametrize("name", KINDS)
def test_a_kind_of_fault(name: str, sound: Outcome, sound_files: Path, tmp_path: Path) -> None:
    kind = KINDS[name]
    outcome = _run(sound_files, tmp_path / "study", kind.change)
    assert outcome.broken == []
    assert outcome.refused == ""
    _assert_others_complete(kind, sound, outcome)
    lost = {analysis: why for (scan, analysis), why in outcome.lost.items() if scan == kind.scan}
    if kind.lost == ALL:
        assert kind.words in lost[""]
        return
    for analysis in kind.lost:
        assert (kind.scan, analysis, "left") not in outcome.values
    told = " ".join([*lost.values(), *outcome.told[kind.scan]])
    assert kind.words in told
    _assert_right(kind, outcome)


def _assert_others_complete(kind: Kind, sound: Outcome, outcome: Outcome) -> None:
    for (scan, analysis, region), value in sound.values.items():
        if scan != kind.scan and analysis in ("arterial", "from-file"):
            assert outcome.values[scan, analysis, region] == pytest.approx(value, rel=1e-6)


def _assert_right(kind: Kind, outcome: Outcome) -> None:
    """What is not lost is right, whatever input function it rests on."""
    for analysis in kind.right:
        if analysis not in kind.lost:
            rel = kind.tolerance if analysis != "image-derived" else 0.3
            assert _ki(outcome, kind.scan, analysis) == pytest.approx(list(KI.values()), rel=rel)
    if (
        "uptake" not in kind.lost
        and kind.suv
        and kind.scan == "sub-01"
        and (kind.scan, "uptake", "left") in outcome.values
    ):
        frames = (START >= 1800) & (START < 3600)
        length = np.diff([*START, END])[frames]
        for region, means in _FDG_MEANS.items():
            mean = np.average(means[frames], weights=length)
            assert outcome.values[kind.scan, "uptake", region] == pytest.approx(kind.suv * SUV_OF * mean, rel=0.01)


def _means() -> dict[str, np.ndarray]:
    from tests.fuzz.sound import FDG, RATES

    return {name: frame_means(rates, FDG) for name, rates in RATES.items()}


_FDG_MEANS = _means()
