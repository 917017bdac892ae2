"""Names of scans of formats that name none themselves: from a table of scans, or from the paths of their files."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from dlif_core.errors import InputError
from dlif_core.ingest.scan_table import ScanTable

_NOT_IN_LABELS = re.compile(r"[^A-Za-z0-9]")
_LONGEST_LABEL = 64


def label_of(text: str) -> str:
    """The letters and digits of a text, which are all that a name of BIDS may have."""
    return _NOT_IN_LABELS.sub("", text)


def names_of_scans(paths: Sequence[str], labels: Sequence[str], table: ScanTable) -> list[tuple[str, str]]:
    """Subject and session of each scan, such as ``sub-m1`` and ``ses-one``; the session is "" where there is none.

    Parameters
    ----------
    paths
        Paths of the scans below the data.
    labels
        A label for each, which names the subject where the table doesn't.
    table
        The table of scans.

    Raises
    ------
    InputError
        If the name of a subject or session in the table has no letters and digits, or too many, or if two subjects
        would have one name.
    """
    names, of_subject = [], dict[str, str]()
    for path, label in zip(paths, labels, strict=True):
        row = table.row(path)
        stated = row.get("participant_id", "")
        subject = _stated(row, "participant_id", "sub-", table.uri) or label
        _require_one_subject(of_subject, subject, stated.removeprefix("sub-"), table.uri)
        session = _stated(row, "session_id", "ses-", table.uri)
        names.append((f"sub-{subject}", f"ses-{session}" if session else ""))
    return names


def _stated(row: Mapping[str, str], column: str, prefix: str, where: str) -> str:
    """The label that a row states; "" if it states none."""
    stated = row.get(column, "").removeprefix(prefix)
    label = label_of(stated)
    if stated and not 0 < len(label) <= _LONGEST_LABEL:
        raise InputError(
            f"a name in column {column!r} has {len(label)} letters and digits (a to z, 0 to 9).",
            where=where,
            hint=f"Give names of 1 to {_LONGEST_LABEL} of these; BIDS takes no other characters.",
        )
    return label


def _require_one_subject(of_subject: dict[str, str], subject: str, stated: str, where: str) -> None:
    """Refuse two subjects whose names differ in what is left out of a label, or in who gives them."""
    if of_subject.setdefault(subject.lower(), stated) != stated:
        raise InputError(
            f"two subjects would be called sub-{subject}: by the table, or by the table and by the name of a file.",
            where=where,
            hint="Give them names that differ in letters and digits, and every scan a row with participant_id.",
        )
