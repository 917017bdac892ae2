"""Dynamic PET series below a folder, told apart by a few elements of their headers."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from posixpath import basename, commonpath, dirname

from dlif_core.errors import DlifError
from dlif_core.ingest.dicom.headers import DicomHeader, listed_header, number, numbers, text, texts
from dlif_core.ingest.dicom.names import counts, may_be_dicom
from dlif_core.ingest.reader import ScanFiles, ScanSource
from dlif_core.ingest.series_files import files_below, named_scans, root_of
from dlif_core.ingest.uris import file_system_of

#: Secondary captures, raw data and reports, which no scan is made of.
_NO_IMAGES = ("1.2.840.10008.5.1.4.1.1.7", "1.2.840.10008.5.1.4.1.1.66", "1.2.840.10008.5.1.4.1.1.88")


@dataclass
class _Listed:
    """Files of a series as they are listed: with its first header, and what tells whether it is dynamic."""

    first: DicomHeader
    files: dict[str, str] = field(default_factory=dict)
    places: Counter[tuple[float, ...]] = field(default_factory=Counter)
    dynamic: bool = False

    def add(self, path: str, header: DicomHeader) -> None:
        """Take a file of the series, by its path."""
        facts = header.facts
        self.files[path] = header.uri
        self.places[numbers(facts, "ImagePositionPatient") or ()] += 1
        several = max(number(facts, name) or 1 for name in ("NumberOfTimeSlices", "NumberOfTimeSlots")) > 1
        images = (number(facts, "NumberOfFrames") or 1) > 1
        stated = bool({"DYNAMIC", "GATED"} & set(texts(facts, "SeriesType")))
        self.dynamic = self.dynamic or several or images or stated or max(self.places.values()) > 1

    @property
    def order(self) -> tuple[float, str]:
        """Number and UID of the series, by which those of one folder are counted."""
        return number(self.first.facts, "SeriesNumber") or 0.0, text(self.first.facts, "SeriesInstanceUID")


def listed(source: ScanSource, reader: str) -> list[ScanFiles]:
    """List the series of PET below a folder.

    Those with one frame are listed only where there are no others, so that opening them says why they don't serve.

    Raises
    ------
    MissingInputError
        If there is nothing at the source.
    """
    paths = {path: uri for path, uri in files_below(source.uri, may_be_dicom).items() if counts(path, uri)}
    series, damaged = _series(paths)
    chosen = [one for one in series if one.dynamic] or series
    found = _by_path(chosen, source.uri)
    _add_damaged(found, damaged, source.uri)
    return named_scans(source, reader, {path: {"image": tuple(uris)} for path, uris in found.items()})


def _series(paths: Mapping[str, str]) -> tuple[list[_Listed], dict[str, str]]:
    """Series of PET, and files that can't be read."""
    found: dict[str, _Listed] = {}
    damaged: dict[str, str] = {}
    for path, uri in paths.items():
        try:
            header = listed_header(uri)
        except (DlifError, OSError):
            damaged[path] = uri
            continue
        if _is_pet_image(header):
            found.setdefault(text(header.facts, "SeriesInstanceUID"), _Listed(header)).add(path, header)
    return list(found.values()), damaged


def _is_pet_image(header: DicomHeader) -> bool:
    facts = header.facts
    images = "Rows" in facts and not text(facts, "SOPClassUID").startswith(_NO_IMAGES)
    return images and text(facts, "Modality") == "PT" and "REPROJECTION" not in texts(facts, "SeriesType")


def _by_path(series: Sequence[_Listed], uri: str) -> dict[str, list[str]]:
    """Files of each series by its path: its folder, with a number where the folder has several."""
    folders: dict[str, list[_Listed]] = defaultdict(list)
    for one in series:
        folders[_folder(one.files, uri)].append(one)
    found = {}
    for folder, several in folders.items():
        for count, one in enumerate(sorted(several, key=lambda one: one.order), 1):
            found[folder if len(several) == 1 else f"{folder}#{count}"] = list(one.files.values())
    return found


def _folder(paths: Iterable[str], uri: str) -> str:
    """The folder that holds all files of a series; for the root itself its name, and for a single file that of it."""
    folder = commonpath([dirname(path) for path in paths])
    file_system, path = file_system_of(uri)
    if file_system.isfile(path):
        return basename(path)
    return folder or basename(root_of(uri)) or "scan"


def _add_damaged(found: dict[str, list[str]], damaged: Mapping[str, str], uri: str) -> None:
    """Add files that can't be read to the scans of their folder, or as a scan of their own, so that they are named."""
    for path, file in damaged.items():
        folder = _folder([path], uri)
        scans = [name for name in found if name.partition("#")[0] == folder] or [folder]
        for name in scans:
            found.setdefault(name, []).append(file)
