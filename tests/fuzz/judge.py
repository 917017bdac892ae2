"""The verdict on a case: right, refused, told, or a fault.

A fault is an error without a type, a hang, too much memory, a refusal without reason or file, another subject that
suffers, a scan that vanishes without a word, and a result that is wrong by more than 5 % without a word.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from tests.fuzz.change import Change
from tests.fuzz.names import MAY_VANISH
from tests.fuzz.outcome import MEMORY, Outcome

TOLERANCE = 0.05
_NAMES_A_FILE = re.compile(r"/sub-|sub-0|participants|\.json|\.tsv|\.nii|study\.yaml|dataset_description")
#: Files of the whole study: a change of them may concern every scan.
_SHARED = ("study.yaml", "participants", "dataset_description")


class Verdict(StrEnum):
    """What a case came to."""

    RIGHT = "right"
    REFUSED = "refused in part or whole, with the file named"
    TOLD = "another result, told"
    UNSEEN = "another result, of which nothing in the data can tell"
    STUDY = "study refused"
    FAULT = "FAULT"


@dataclass(frozen=True)
class Judgement:
    """Verdict and its reasons."""

    verdict: Verdict
    reasons: tuple[str, ...] = ()


def judge(sound: Outcome, outcome: Outcome, changes: Sequence[Change]) -> Judgement:
    """Judge what came of a study after some changes, given what comes of the sound one."""
    faults = [*outcome.broken, *_of_memory(outcome), *_of_study(outcome, changes)]
    if not outcome.refused and not outcome.broken:
        faults += [*_of_others(sound, outcome, changes), *_mute(outcome), *_vanished(sound, outcome, changes)]
    wrong = list(_wrong(sound, outcome))
    silent = [text for scan, text in wrong if not _news(sound, outcome, scan)]
    unseen = next((change.unseen for change in changes if change.unseen), "")
    if silent and not unseen:
        faults += [f"silently wrong: {text}" for text in silent]
    if faults:
        return Judgement(Verdict.FAULT, tuple(faults))
    if outcome.refused:
        return Judgement(Verdict.STUDY, (outcome.refused,))
    if wrong:
        told = tuple(sorted({news for scan, _ in wrong for news in _news(sound, outcome, scan)}))
        texts = tuple(text for _, text in wrong)
        return Judgement(Verdict.UNSEEN, (unseen, *texts)) if silent else Judgement(Verdict.TOLD, (*texts, *told))
    lost = tuple(f"{'/'.join(key)}: {why}" for key, why in outcome.lost.items() if key not in sound.lost)
    return Judgement(Verdict.REFUSED, lost) if lost else Judgement(Verdict.RIGHT)


def _of_memory(outcome: Outcome) -> Iterator[str]:
    if outcome.peak > MEMORY:
        yield f"memory: {outcome.peak / 2**30:.2f} GB"


def _of_study(outcome: Outcome, changes: Sequence[Change]) -> Iterator[str]:
    """A study may be refused for its own file, and for what belongs to all; never for one subject's files."""
    if outcome.refused and not any(name in change.file for change in changes for name in _SHARED):
        yield f"one subject's file stops the study: {outcome.refused}"


def _touched(changes: Sequence[Change]) -> set[str]:
    names = {
        f"sub-0{number}"
        for number in (1, 2)
        for change in changes
        if f"sub-0{number}" in f"{change.file} {change.detail}"
    }
    return {"sub-01", "sub-02"} if any(name in change.file for change in changes for name in _SHARED) else names


def _of_others(sound: Outcome, outcome: Outcome, changes: Sequence[Change]) -> Iterator[str]:
    for scan in {"sub-01", "sub-02"} - _touched(changes):
        for key, value in sound.values.items():
            if key[0] == scan and outcome.values.get(key) != value and not _is_close(outcome.values.get(key), value):
                yield f"another subject suffers: {'/'.join(key)} is {outcome.values.get(key)}, was {value:.4g}"


def _is_close(value: float | None, expected: float) -> bool:
    return value is not None and abs(value - expected) <= TOLERANCE * abs(expected)


def _mute(outcome: Outcome) -> Iterator[str]:
    for key, why in outcome.lost.items():
        told = " ".join((why, *outcome.told.get(key[0], ())))
        if not why.strip():
            yield f"no reason for {'/'.join(key)}"
        elif not key[1] and not _NAMES_A_FILE.search(told):
            yield f"no file is named: {why}"


def _vanished(sound: Outcome, outcome: Outcome, changes: Sequence[Change]) -> Iterator[str]:
    """Scans and results that are neither there nor told to be lost; files that were taken away are no fault."""
    if any(change.kind in MAY_VANISH or "study" in change.file for change in changes):
        return
    yield from (f"{scan} vanished" for scan in sound.scans if scan not in outcome.scans)
    for scan, analysis in dict.fromkeys(key[:2] for key in sound.values):
        there = any(key[:2] == (scan, analysis) and value == value for key, value in outcome.values.items())
        if not there and not {(scan, analysis), (scan, "")} & set(outcome.lost) and not _news(sound, outcome, scan):
            yield f"{scan}/{analysis} has no result and no word"


def _wrong(sound: Outcome, outcome: Outcome) -> Iterator[tuple[str, str]]:
    """Scans with results of regions that are not what they must be; NaN is no result."""
    for (scan, analysis, region), value in outcome.values.items():
        subject = "sub-02" if scan.startswith("sub-02") else "sub-01"
        expected = sound.values.get((subject, analysis, region))
        if expected is not None and value == value and not _is_close(value, expected):
            yield scan, f"{scan}/{analysis}/{region} is {value:.4g}, must be {expected:.4g}"


def _news(sound: Outcome, outcome: Outcome, scan: str) -> set[str]:
    return outcome.told.get(scan, set()) - sound.told.get(scan, set())
