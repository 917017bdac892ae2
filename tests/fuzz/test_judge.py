"""The fuzz program finds what it is there to find: each kind of fault is told, and nothing else is."""

from dataclasses import replace
from pathlib import Path

import pytest

from tests.fuzz.bench import Bench
from tests.fuzz.change import Change, json_unseen, table_unseen
from tests.fuzz.judge import Verdict, judge
from tests.fuzz.outcome import Outcome, outcome_of

KEYS = ("sub-01", "arterial", "left"), ("sub-02", "arterial", "left")
SOUND = Outcome(values=dict.fromkeys(KEYS, 0.027), told={"sub-01": set(), "sub-02": set()}, scans=("sub-01", "sub-02"))
CHANGE = Change("json: unit", "bids/sub-01/pet/sub-01_pet.json", "Units = kBq/mL")
WRONG = SOUND.values | {KEYS[0]: 27.0}
ONE = {KEYS[1]: 0.027}
LOST = {("sub-01", ""): "bids/sub-01/pet/sub-01_pet.json: the unit is not known. Correct it."}


@pytest.mark.parametrize(
    ("outcome", "words"),
    [
        (replace(SOUND, values=WRONG), "silently wrong: sub-01/arterial/left is 27"),
        (replace(SOUND, broken=["KeyError: 'a'"]), "KeyError"),
        (replace(SOUND, peak=3 * 2**30), "3.00 GB"),
        (replace(SOUND, refused="InputError: x"), "one subject's file stops the study"),
        (replace(SOUND, values={KEYS[0]: 0.027}), "another subject suffers"),
        (replace(SOUND, values=ONE), "sub-01/arterial has no result and no word"),
        (replace(SOUND, values=ONE, scans=("sub-02",)), "sub-01 vanished"),
        (replace(SOUND, values=ONE, lost={("sub-01", ""): " "}), "no reason"),
        (replace(SOUND, values=ONE, lost={("sub-01", ""): "it is bad"}), "no file is named"),
    ],
)
def test_a_fault_is_found(outcome: Outcome, words: str) -> None:
    judgement = judge(SOUND, outcome, [CHANGE])
    assert judgement.verdict is Verdict.FAULT
    assert any(words in reason for reason in judgement.reasons), judgement.reasons


@pytest.mark.parametrize(
    ("outcome", "change", "verdict"),
    [
        (SOUND, CHANGE, Verdict.RIGHT),
        (replace(SOUND, values=ONE, lost=LOST), CHANGE, Verdict.REFUSED),
        (replace(SOUND, values=WRONG, told={"sub-01": {"kBq/mL is assumed."}}), CHANGE, Verdict.TOLD),
        (replace(SOUND, values=WRONG), replace(CHANGE, unseen="a number of the same size"), Verdict.UNSEEN),
        (replace(SOUND, refused="ConfigurationError: y"), replace(CHANGE, file="study.yaml"), Verdict.STUDY),
    ],
)
def test_what_is_no_fault(outcome: Outcome, change: Change, verdict: Verdict) -> None:
    assert judge(SOUND, outcome, [change]).verdict is verdict


@pytest.mark.parametrize(
    ("new", "unseen"),
    [
        (b'{"dose": 200, "unit": "MBq"}', True),
        (b'{"dose": 185000, "unit": "MBq"}', False),
        (b'{"dose": -185, "unit": "MBq"}', False),
        (b'{"dose": 185, "unit": "kBq"}', False),
        (b'{"dose": 185}', False),
        (b'{"dose": 185', False),
    ],
)
def test_what_can_be_told_of_json(new: bytes, unseen: bool) -> None:
    assert bool(json_unseen(b'{"dose": 185, "unit": "MBq"}', new)) is unseen


@pytest.mark.parametrize(
    ("rows", "unseen"),
    [
        ("0\t1\n9\t5\n", True),
        ("0\t1\n9\t5000\n", False),
        ("0\t1\n", True),
        ("9\t4\n0\t1\n", False),
        ("0\t1\n9\t4,5\n", False),
        ("0\t1\n9\t\n", True),
    ],
)
def test_what_can_be_told_of_a_table(rows: str, unseen: bool) -> None:
    assert bool(table_unseen(b"time\tblood\n0\t1\n9\t4\n", f"time\tblood\n{rows}".encode())) is unseen


@pytest.mark.slow
def test_cases_are_the_same_for_the_same_seed_and_none_is_a_fault(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    first, again = (bench.spoil(7, 3) for _ in range(2))
    assert first.changes == again.changes
    assert first.judgement.verdict is again.judgement.verdict is not Verdict.FAULT


@pytest.mark.slow
def test_a_case_that_takes_too_long_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def endless(path: Path) -> None:
        while True:
            pass

    monkeypatch.setattr("tests.fuzz.outcome.load_study", endless)
    (broken,) = outcome_of(tmp_path / "study.yaml", processor=0.2).broken
    assert "hang" in broken
