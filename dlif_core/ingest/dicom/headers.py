"""Headers of DICOM files as plain values: only elements of the table are taken, and no fault of pydicom gets out."""

from __future__ import annotations

import logging
import warnings
from collections import ChainMap
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import pydicom
from pydicom.dataset import Dataset
from pydicom.errors import InvalidDicomError

from dlif_core.errors import DlifError, ImageError
from dlif_core.ingest.dicom.tags import (
    BLOCKS,
    ELEMENTS,
    FOR_LISTING,
    INJECTION,
    OF_FRAMES,
    PRIVATE,
    SHARED,
    Kind,
)
from dlif_core.ingest.uris import opened, require_fetched

Facts = Mapping[str, Any]

_LONGEST_TEXT = 100
#: Numbers that no element of PET reaches.
_LARGEST = 1e15
#: More slices than any scan has in one file.
_MOST_FRAMES = 10**5
_FETCH_AGAIN = "Fetch or export the file again, or remove it if it is no file of the scan."


@dataclass(frozen=True, eq=False)
class DicomHeader:
    """What is taken of the header of a file.

    Attributes
    ----------
    uri
        The file.
    facts
        Values of its elements by keyword: numbers as a tuple, text, or the value of a code.
    frames
        The same for each image in the file: what functional groups say of it, then what holds for the whole file.
    """

    uri: str
    facts: Facts
    frames: tuple[Facts, ...]


def numbers(facts: Facts, keyword: str, count: int | None = None) -> tuple[float, ...] | None:
    """Numbers of an element; None if it is absent, or has another count of them than asked for."""
    found: tuple[float, ...] | None = facts.get(keyword)
    return found if found is not None and count in (None, len(found)) else None


def number(facts: Facts, keyword: str) -> float | None:
    """The first number of an element; None if it is absent."""
    found = numbers(facts, keyword)
    return found[0] if found else None


def text(facts: Facts, keyword: str) -> str:
    """Text of an element, "" if it is absent."""
    return str(facts.get(keyword, ""))


def texts(facts: Facts, keyword: str) -> tuple[str, ...]:
    """Texts of an element in capitals; nothing if it is absent."""
    return tuple(facts.get(keyword, ()))


@contextmanager
def without_pydicom_faults(uri: str, doing: str) -> Iterator[None]:
    """Turn every fault of pydicom into an `ImageError`, and keep its warnings and log, which may quote the file.

    Parameters
    ----------
    uri
        The file, for the message.
    doing
        What can't be done with it, for the message.
    """
    log = logging.getLogger("pydicom")
    was = log.disabled
    log.disabled = True
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except DlifError:
        raise
    except MemoryError as error:
        raise ImageError(f"{doing}: it states a size that no memory has.", where=uri, hint=_FETCH_AGAIN) from error
    except Exception as error:
        if isinstance(error, OSError) and (error.errno is not None or type(error) is not OSError):
            raise  # a fault of the disk or network; pydicom's own have no number
        raise ImageError(f"{doing}: {_kind_of(error)}.", where=uri, hint=_FETCH_AGAIN) from None
    finally:
        log.disabled = was


def _kind_of(error: Exception) -> str:
    """What pydicom's fault amounts to; its own words may quote the file."""
    if isinstance(error, InvalidDicomError):
        return "it is no DICOM file"
    return "it ends too early" if isinstance(error, EOFError) else "its content is damaged"


def listed_header(uri: str) -> DicomHeader:
    """Read the few elements by which series are told apart.

    Raises
    ------
    ImageError
        If the file is no DICOM file or damaged.
    """
    with opened(uri) as stream:
        return _read(stream, uri, _tags_for_listing())


def full_header(stream: Any, uri: str) -> DicomHeader:
    """Read all elements that count, from an open file.

    Raises
    ------
    ImageError
        If the file is no DICOM file or damaged.
    """
    return _read(stream, uri, _tags())


def _read(stream: Any, uri: str, tags: list[Any]) -> DicomHeader:
    require_fetched(bytes(stream.read(1024)), uri)
    stream.seek(0)
    with without_pydicom_faults(uri, "the file can't be read"):
        dataset = pydicom.dcmread(stream, stop_before_pixels=True, force=True, specific_tags=tags)
        facts = _facts(dataset) | _injection(dataset) | _private(dataset)
        if not text(facts, "SOPClassUID") or not text(facts, "SeriesInstanceUID"):
            raise InvalidDicomError
        facts["TransferSyntaxUID"] = str(getattr(dataset, "file_meta", {}).get("TransferSyntaxUID", ""))
        return DicomHeader(uri, facts, _frames(dataset, facts, uri))


@cache
def _tags_for_listing() -> list[Any]:
    return [pydicom.datadict.tag_for_keyword(keyword) for keyword in FOR_LISTING]


@cache
def _tags() -> list[Any]:
    public = [pydicom.datadict.tag_for_keyword(keyword) for keyword in (*ELEMENTS, INJECTION, SHARED, OF_FRAMES)]
    groups = {one.group for one in PRIVATE.values()}
    creators = [(group << 16) + block for group in groups for block in BLOCKS]
    elements = [(one.group << 16) + (block << 8) + one.element for one in set(PRIVATE.values()) for block in BLOCKS]
    return [*public, *creators, *elements]


@cache
def _keywords() -> dict[int, str]:
    return {int(pydicom.datadict.tag_for_keyword(keyword) or 0): keyword for keyword in ELEMENTS}


def _facts(dataset: Dataset) -> dict[str, Any]:
    known, found = _keywords(), {}
    for tag in list(dataset.keys()):
        keyword = known.get(int(tag))
        value = None if keyword is None else _value(dataset, tag, ELEMENTS[keyword])
        if keyword is not None and value is not None:
            found[keyword] = value
    return found


def _value(dataset: Dataset, key: Any, kind: Kind) -> Any:
    """Value of an element; None for one that is empty or can't be read as what it should be."""
    try:
        value = dataset[key].value
        return _code(value) if kind is Kind.CODE else _plain(value, kind)
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError, NotImplementedError):
        return None


def _plain(value: Any, kind: Kind) -> Any:
    if value is None or isinstance(value, Dataset | pydicom.Sequence):
        return None
    if isinstance(value, bytes):
        value = _of_unknown_type(value, kind)
    parts = value if isinstance(value, list | tuple | pydicom.multival.MultiValue) else [value]
    if kind is Kind.NUMBERS:
        found = tuple(float(part) for part in parts)
        return found if found and all(abs(value) < _LARGEST for value in found) else None
    words = tuple(str(part).strip().strip("\0")[:_LONGEST_TEXT] for part in parts if part is not None)
    if kind is Kind.TEXTS:
        return tuple(word.upper() for word in words if word) or None
    return words[0] if words and words[0] else None


def _of_unknown_type(value: bytes, kind: Kind) -> Any:
    """Value of a private element of unknown type: text, or numbers as text or as float64."""
    plain = value.rstrip(b"\0 ")
    if kind is not Kind.NUMBERS or all(byte in b"0123456789+-.eE\\ " for byte in plain):
        return plain.decode("ascii", "replace").split("\\")
    return np.frombuffer(value, "<f8").tolist()


def _code(sequence: Any) -> str | None:
    if not sequence:
        return None
    names = ("CodeValue", "LongCodeValue", "URNCodeValue")
    return next((str(sequence[0][name].value).strip() for name in names if name in sequence[0]), None)


def _injection(dataset: Dataset) -> dict[str, Any]:
    """Elements of the first injection, and how many injections there are."""
    items = dataset[INJECTION].value if INJECTION in dataset else None
    if not items:
        return {}
    return _facts(items[0]) | {"injections": len(items)}


def _private(dataset: Dataset) -> dict[str, Any]:
    groups = {one.group for one in PRIVATE.values()}
    reserved = {
        (tag.group, tag.element, _value(dataset, tag, Kind.TEXT))
        for tag in list(dataset.keys())
        if tag.group in groups and tag.element in BLOCKS
    }
    found = {
        name: _value(dataset, (group << 16) + (block << 8) + one.element, one.kind)
        for name, one in PRIVATE.items()
        for group, block, creator in reserved
        if (group, creator) == (one.group, one.creator)
    }
    return {name: value for name, value in found.items() if value is not None}


def _frames(dataset: Dataset, facts: dict[str, Any], uri: str) -> tuple[Facts, ...]:
    count = int(number(facts, "NumberOfFrames") or 1)
    if not 0 < count < _MOST_FRAMES:
        raise ImageError(f"the file states {count} frames.", where=uri, hint=_FETCH_AGAIN)
    if OF_FRAMES not in dataset:
        return (facts,) * count
    items = dataset[OF_FRAMES].value or []
    if len(items) != count:
        raise ImageError(f"the file states {count} frames and describes {len(items)}.", where=uri, hint=_FETCH_AGAIN)
    shared = _of_groups(dataset[SHARED].value[0]) if SHARED in dataset and dataset[SHARED].value else {}
    return tuple(ChainMap(_of_groups(item), shared, facts) for item in items)


def _of_groups(item: Dataset) -> dict[str, Any]:
    """Elements of all functional groups of an image."""
    found: dict[str, Any] = {}
    for element in item:
        if element.VR == "SQ" and element.value:
            group = _of_activity(element.value)
            found |= _facts(group) | _injection(group)
    return found


def _of_activity(items: Any) -> Dataset:
    """The item of a functional group whose unit is that of activity per volume, if there is one; else the first."""
    units = "MeasurementUnitsCodeSequence"
    chosen: Dataset = next(
        (item for item in items if units in item and _value(item, units, Kind.CODE) == "Bq/ml"), items[0]
    )
    return chosen
