"""What a converted scan was made of, so that a scan of other files, or the same under another name, is told apart."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import IO, Any

from dlif_core.errors import InputError
from dlif_core.finite import to_json
from dlif_core.ingest.reader import ScanFiles, ScanSource
from dlif_core.ingest.scan_table import read_scan_table
from dlif_core.ingest.series_files import NAMED_ROLES
from dlif_core.ingest.tables import read_json
from dlif_core.ingest.uris import opened

#: Field of the sidecar, and its parts: digests of the files of the scan, and of what the table of scans states of it.
FIELD, OF_FILES, OF_TABLE = "MadeOf", "Files", "Table"
#: Pieces of a file that are read, evenly spread from its beginning to its end, and their length [bytes].
_PIECES, _LENGTH = 16, 1 << 16


def made_of(files: ScanFiles) -> dict[str, str]:
    """What a scan is made of now, as the sidecar of a converted scan holds it.

    Of a large file, pieces from its beginning to its end stand for all of it. Names of folders count as little as
    times: a copy elsewhere is the same scan.

    Raises
    ------
    InputError
        If a file is missing or can't be read.
    """
    uris = sorted(uri for role, several in files.files.items() if role not in NAMED_ROLES for uri in several)
    content = hashlib.sha256()
    for uri in uris:
        with opened(uri) as stream:
            content.update(f"{uri.rsplit('/', 1)[-1]}\n{_pieces(stream)}\n".encode("utf-8", "surrogatepass"))
    stated = read_scan_table(ScanSource(files.root, files.options)).fields(files.path)
    text = to_json(stated, where=FIELD, sort_keys=True)
    return {OF_FILES: content.hexdigest(), OF_TABLE: hashlib.sha256(text.encode()).hexdigest()}


def _pieces(stream: IO[bytes]) -> str:
    """Digest of the length of a file and of pieces of it."""
    size = stream.seek(0, 2)
    found = hashlib.sha256(str(size).encode())
    if size <= _PIECES * _LENGTH:
        stream.seek(0)
        found.update(stream.read())
        return found.hexdigest()
    for piece in range(_PIECES):
        stream.seek(piece * (size - _LENGTH) // (_PIECES - 1))
        found.update(stream.read(_LENGTH))
    return found.hexdigest()


def stated_in(sidecar: Path) -> dict[str, Any]:
    """What the sidecar of a scan states that it was made of; nothing if it doesn't say."""
    try:
        found = read_json(str(sidecar)).get(FIELD)
    except InputError:
        return {}
    return found if isinstance(found, dict) else {}


def same_scan(root: Path, files: str) -> str:
    """Name of a scan of a dataset that was made of some files, by their digest; "" if there is none."""
    sidecars = (*root.glob("sub-*/pet/*_pet.json"), *root.glob("sub-*/ses-*/pet/*_pet.json"))
    found = (path for path in sorted(sidecars) if stated_in(path).get(OF_FILES) == files)
    return next((path.name.removesuffix("_pet.json") for path in found), "")
