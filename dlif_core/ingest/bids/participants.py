"""Body weight and species of a subject, from its sidecar and the tables of sessions and participants.

The most specific place counts: the scan's own sidecar, the session's row in the table of sessions, the session's row in
the table of participants, the subject's row there. A fault in one of these costs the weight, nothing else.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

from dlif_core.checks import Finding
from dlif_core.checks.metadata import NOT_GIVEN, SUBJECT_ROW, UNIT_NOT_GIVEN, WEIGHT_NOT_GIVEN, WEIGHT_UNREADABLE
from dlif_core.errors import DlifError, InputError
from dlif_core.ingest.bids.sidecar import Sidecar, positive, read_sidecar
from dlif_core.ingest.columns import UnitColumns, spelling
from dlif_core.ingest.reader import ScanFiles
from dlif_core.ingest.tables import is_given, read_number, read_table
from dlif_core.shown import shortened
from dlif_core.species import species_of
from dlif_core.units import factor

_WEIGHT = re.compile(r"(?:body_?)?weight(?:_(?P<unit>kg|g|lb))?")
_SESSION = ("session_id", "session", "ses")


@dataclass(frozen=True)
class _Rows:
    """Some rows of a table.

    Attributes
    ----------
    columns
        The whole table.
    rows
        Numbers of the rows.
    remark
        What must be said if a weight is taken from them.
    """

    columns: UnitColumns
    rows: tuple[int, ...]
    remark: str = ""

    @property
    def where(self) -> str:
        """The file."""
        return self.columns.table.where

    def cells(self, label: str) -> list[str]:
        """Cells of a column that hold a value."""
        return [cell for row in self.rows if is_given(cell := self.columns.table.columns[label][row])]


def read_subject(files: ScanFiles, sidecar: Sidecar) -> tuple[float | None, str]:
    """Return body weight [kg], None with a finding where it isn't known, and species, "" where it isn't."""
    participants: _Rows | None = None
    fault: DlifError | None = None
    try:
        participants = _participants(files, sidecar)
    except DlifError as error:
        fault = error
    try:
        weight = _weight(files, sidecar, participants, fault)
    except DlifError as error:
        message = f"The body weight is unknown: {error.message}"
        sidecar.findings.append(WEIGHT_UNREADABLE.found(message, where=error.where, remedy=error.hint))
        return None, _species(participants, sidecar)
    if weight is None:
        sidecar.findings.append(_unknown(files, participants))
    elif fault is not None:
        message = f"The species is unknown: {fault.message}"
        sidecar.findings.append(NOT_GIVEN.found(message, where=fault.where, remedy=fault.hint))
    return weight, _species(participants, sidecar)


def _weight(files: ScanFiles, sidecar: Sidecar, participants: _Rows | None, fault: DlifError | None) -> float | None:
    weight = sidecar.body_weight()
    if weight is None:
        weight = _first_weight(_of_session(files), sidecar)
    if weight is None and fault is not None:
        raise fault
    if weight is None and participants is not None:
        weight = _first_weight(_by_session(participants, files.session), sidecar)
    return weight


def _unknown(files: ScanFiles, participants: _Rows | None) -> Finding:
    if participants is None or participants.rows:
        where = "" if participants is None else participants.where
        return WEIGHT_NOT_GIVEN.found("The body weight is unknown; SUV is unavailable.", where=where)
    alike = [name for name in participants.columns.table.columns["participant_id"] if _is_like(name, files.subject)]
    beside = f"; there is {', '.join(map(shortened, alike[:3]))}" if alike else ""
    message = f"The body weight is unknown: the table has no row {files.subject!r}{beside}."
    return WEIGHT_NOT_GIVEN.found(message, where=participants.where, remedy="Add the row, or correct its name.")


def _is_like(name: str, subject: str) -> bool:
    """Whether a name differs from a subject's in case, zeros, blanks and signs only, or goes on with other entities."""
    plain, wanted = (re.sub(r"^sub[-_ ]?|(?<!\d)0+(?=\d)|[^a-z0-9]", "", text.lower()) for text in (name, subject))
    return plain == wanted or name.lower().startswith(f"{subject.lower()}_ses-")


def _species(participants: _Rows | None, sidecar: Sidecar) -> str:
    label = None if participants is None else participants.columns.find("species")
    cells = participants.cells(label) if participants is not None and label is not None else []
    species = species_of(cells[0]) if cells else ""
    if participants is not None and cells and not species:
        message = "The species is unknown: the table names none that dlif knows."
        remedy = "Write it in English or Latin without additions, such as mouse, Mus musculus or C57BL/6 mouse."
        sidecar.findings.append(NOT_GIVEN.found(message, where=participants.where, remedy=remedy))
    return species


def _participants(files: ScanFiles, sidecar: Sidecar) -> _Rows | None:
    """The subject's rows in the table of participants; a name without ``sub-`` counts, with a finding."""
    if not files.role("participants"):
        return None
    columns = _table(files, "participants", "participant_id")
    names = columns.table.columns["participant_id"]
    rows = tuple(row for row, name in enumerate(names) if name == files.subject)
    if not rows:
        rows = tuple(row for row, name in enumerate(names) if name == _label(files.subject))
        if rows:
            message = f"participant_id is {_label(files.subject)!r}; it is taken as {files.subject!r}."
            sidecar.findings.append(SUBJECT_ROW.found(message, where=columns.table.where))
    return _Rows(columns, rows)


def _table(files: ScanFiles, role: str, key: str) -> UnitColumns:
    uri, sidecars = files.role(role)[0], files.role(f"{role}_sidecar")
    return UnitColumns(read_table(uri, required=(key,)), read_sidecar(sidecars), sidecars[-1] if sidecars else "")


def _of_session(files: ScanFiles) -> Iterator[_Rows]:
    """The session's row in the subject's table of sessions."""
    if files.role("sessions") and files.session:
        columns = _table(files, "sessions", "session_id")
        names = columns.table.columns["session_id"]
        yield _Rows(columns, tuple(i for i, name in enumerate(names) if _label(name) == _label(files.session)))


def _by_session(participant: _Rows, session: str) -> Iterator[_Rows]:
    """The subject's rows: those of the session, those of none, those of others."""
    label = participant.columns.find(*_SESSION)
    if label is None or not session:
        yield participant
        return
    names = {row: participant.columns.table.columns[label][row] for row in participant.rows}
    yield replace(participant, rows=tuple(row for row, name in names.items() if _label(name) == _label(session)))
    yield replace(participant, rows=tuple(row for row, name in names.items() if not is_given(name)))
    others = tuple(row for row, name in names.items() if is_given(name))
    remark = f"The table has no body weight of {session}; that of another session is taken."
    yield replace(participant, rows=others, remark=remark)


def _label(name: str) -> str:
    """Label without its key: ``01`` of ``sub-01`` and of ``01``."""
    return re.sub(r"^(sub|ses)-", "", name.strip())


def _first_weight(groups: Iterator[_Rows], sidecar: Sidecar) -> float | None:
    for group in groups:
        weight = _weight_in(group, sidecar)
        if weight is not None:
            if group.remark:
                remedy = "Add the weight of this session, if the subject was weighed again."
                sidecar.findings.append(SUBJECT_ROW.found(group.remark, where=group.where, remedy=remedy))
            return weight
    return None


def _weight_in(group: _Rows, sidecar: Sidecar) -> float | None:
    """The one body weight [kg] that some rows state, or None.

    Raises
    ------
    InputError
        If a cell is no positive number, a unit is not known, or the rows state several weights.
    """
    stated: dict[str, float] = {}
    for label in group.columns.labels:
        named = _WEIGHT.fullmatch(spelling(group.columns.name(label)))
        cells = group.cells(label) if named else []
        if named and cells:
            unit = group.columns.unit(label, "mass") or named["unit"] or _assumed_unit(group, label, sidecar)
            stated |= {f"{cell} {unit}": _kilograms(cell, unit, label, group.where) for cell in cells}
    weights = sorted(stated.values())
    if weights and weights[-1] > weights[0] * (1 + 1e-6):
        raise InputError(
            f"the table states several body weights: {', '.join(stated)}.",
            where=group.where,
            hint="Name the session of each in a column session_id, or write them into the subject's sessions.tsv.",
        )
    return weights[0] if weights else None


def _assumed_unit(group: _Rows, label: str, sidecar: Sidecar) -> str:
    message = f"No sidecar states the unit of {group.columns.name(label)}; kg is assumed, as BIDS recommends."
    sidecar.findings.append(UNIT_NOT_GIVEN.found(message, where=group.where))
    return "kg"


def _kilograms(cell: str, unit: str, label: str, where: str) -> float:
    value = read_number({label: cell}, label, where)
    assert value is not None, "cells without a value are left out before"
    return positive(value, label, where) * factor(unit, "mass")
