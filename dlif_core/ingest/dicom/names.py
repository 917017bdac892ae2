"""Files that are taken for DICOM: by their names, or where those name no format by the mark in the file."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from posixpath import basename, dirname

from dlif_core.errors import DlifError
from dlif_core.ingest.segmentation import has_dicom_mark

ENDINGS = (".dcm", ".ima", ".dicom")
#: What names no format, so that the mark in the file counts: DICOM files are often named by figures and dots.
_LONGEST_ENDING = 5
_MAGIC, _MAGIC_AT = b"DICM", 128
#: Files of a folder, and folders, that are opened to find out whether DICOM is there.
_OF_FOLDER, _FOLDERS = 3, 100


def may_be_dicom(name: str) -> bool:
    """Whether a file, by its name in small letters, is DICOM or may be it."""
    ending = name.rpartition(".")[2]
    return name.endswith(ENDINGS) or "." not in name or ending.isdigit() or len(ending) > _LONGEST_ENDING


def counts(path: str, uri: str) -> bool:
    """Whether a file is taken for DICOM: by its ending, or where that names no format by the mark in the file."""
    return basename(path).lower() != "dicomdir" and (path.lower().endswith(ENDINGS) or is_dicom(uri))


def any_marked(paths: Mapping[str, str]) -> bool:
    """Whether one of some files has the mark of DICOM; a few of each folder are opened, as other data are many files.

    Parameters
    ----------
    paths
        URIs by path.
    """
    seen: Counter[str] = Counter()
    for path, uri in paths.items():
        seen[dirname(path)] += 1
        if seen[dirname(path)] <= _OF_FOLDER and len(seen) <= _FOLDERS and counts(path, uri):
            return True
    return False


def is_dicom(uri: str) -> bool:
    """Whether a file has the mark of DICOM after its first 128 bytes; no for one that can't be read."""
    try:
        return has_dicom_mark(uri)
    except (DlifError, OSError):
        return False
