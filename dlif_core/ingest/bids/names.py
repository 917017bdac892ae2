"""Names of scans, and what is wrong with the names of files and folders."""

from __future__ import annotations

import re
from collections.abc import Iterator

from dlif_core.ingest.bids.dataset import BidsFile
from dlif_core.ingest.reader import ListingFault

#: Letters that a label can't have. BIDS itself allows letters and digits only; . + and - do no harm.
_ODD = re.compile(r"[^A-Za-z0-9._+-]")


def scan_name(head: BidsFile) -> str:
    """Name of a scan from its image or sidecar; one that lies in the wrong folder is told from the one that doesn't."""
    if head.entities.get("sub") == head.subject.removeprefix("sub-") and not head.is_misplaced:
        return head.stem
    return f"{head.stem}_in-{'-'.join(filter(None, (head.subject, head.session)))}"


def misplacement(file: BidsFile) -> ListingFault:
    """The fault of a file whose name is not that of the folder's subject and session."""
    folders = [part for part in file.folder.split("/") if part.startswith(("sub-", "ses-"))]
    return ListingFault(
        f"the name of this file does not fit the folder {'/'.join(folders)}, in which it lies.",
        file.uri,
        f"A name begins with {'_'.join(folders)}_ there. Rename the file, or move it to the folder of its subject and "
        "session.",
    )


def label_faults(head: BidsFile, root: str) -> Iterator[ListingFault]:
    """Faults of the names of a scan's folders and of its file: letters that no label may have.

    The name of a misplaced file is told with its place.
    """
    told: set[str] = set()
    folder = f"{root}/{head.subject}"
    own_name = head.stem if scan_name(head) == head.stem else ""
    for name, where in (
        (head.subject, folder),
        (head.session, f"{folder}/{head.session}"),
        (own_name, head.uri),
    ):
        odd = sorted({*_ODD.findall(name)} - told)
        told.update(odd)
        if odd:
            yield ListingFault(
                f"the name {name!r} has {', '.join(map(repr, odd))}, which no label may have.",
                where,
                "A label has the letters a to z and A to Z and digits only. Rename the folder and the files in it.",
            )
