"""Marks in the metadata of a PET-BIDS data set, in the place of names, dates and remarks of people, and a search."""

import base64
import binascii
import gzip
import json
import re
import sqlite3
import zipfile
from collections.abc import Iterable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import zarr
from zarr.storage import ZipStore

_MARK = re.compile(rb"zq\d{4}x|1961-0\d-[0-2]\d", re.IGNORECASE)
_BASE64 = re.compile(rb"[A-Za-z0-9+/]{12,}")


class Marks:
    """Marks by their place; those that outputs may hold have a reason."""

    def __init__(self) -> None:
        self.places: dict[str, str] = {}
        self.reasons: dict[str, str] = {}

    def at(self, place: str, reason: str = "") -> str:
        """A new mark for a place."""
        mark = f"Zq{len(self.places):04d}x"
        return self._planted(mark, place, reason)

    def date(self, place: str) -> str:
        """A new date for a place."""
        number = len(self.places) % 180
        return self._planted(f"1961-0{1 + number // 20}-{number % 20:02d}", place, "")

    def _planted(self, mark: str, place: str, reason: str) -> str:
        assert mark not in self.places
        self.places[mark] = place
        if reason:
            self.reasons[mark] = reason
        return mark

    def leaked(self, found: Iterable[str]) -> dict[str, str]:
        """Marks that were found and have no reason, with their places."""
        return {mark: place for mark, place in self.places.items() if mark in set(found) - self.reasons.keys()}


def marks_in(content: bytes) -> set[str]:
    """Marks in some bytes: as text of 8, 16 or 32 bits a character in either case, and the same in base64."""
    texts = [content, content.replace(b"\0", b"")]
    texts += [_decoded(run[start:]) for run in _BASE64.findall(content) for start in range(4)]
    found = {mark.decode() for text in texts for mark in _MARK.findall(text + b"\n" + text.replace(b"\0", b""))}
    return {mark.capitalize() for mark in found}


def _decoded(text: bytes) -> bytes:
    return binascii.a2b_base64(text[: len(text) // 4 * 4])


def marks_below(*folders: Path) -> dict[str, set[str]]:
    """Marks in names and contents of all files below some folders, by the file: databases and arrays are read."""
    found: dict[str, set[str]] = {}
    for path in (path for folder in folders for path in folder.rglob("*")):
        hits = marks_in(path.name.encode())
        if path.is_file():
            hits |= {mark for content in contents(path) for mark in marks_in(content)}
        if hits:
            found[str(path)] = hits
    return found


def contents(path: Path) -> Iterator[bytes]:
    """The bytes of a file, and what is packed in it or described by it."""
    content = path.read_bytes()
    yield content
    if content.startswith(b"\x1f\x8b"):
        yield gzip.decompress(content)
    if content.startswith(b"SQLite format 3"):
        yield from _cells(path)
    if path.name == "zarr.json" and json.loads(content)["node_type"] == "array":
        yield from _texts(zarr.open_array(path.parent, mode="r"))
    if path.name.endswith(".zarr.zip"):
        with zipfile.ZipFile(path) as pack:
            yield from (pack.read(name) for name in pack.namelist())
        for _, array in zarr.open_group(ZipStore(path, mode="r"), mode="r").members(max_depth=None):
            if isinstance(array, zarr.Array):
                yield from _texts(array)


def _texts(array: zarr.Array[Any]) -> Iterator[bytes]:
    """Values of an array of texts."""
    values = np.asarray(array[...])
    if values.dtype.kind not in "biuf":
        yield "\n".join(map(str, values.ravel())).encode()


def _cells(path: Path) -> Iterator[bytes]:
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as database:
        tables = [name for (name,) in database.execute("select name from sqlite_master where type = 'table'")]
        for table in tables:
            for row in database.execute(f'select * from "{table}"'):
                yield "\n".join(str(cell) for cell in row).encode()


def with_marks(fields: dict[str, Any], marks: Marks, place: str, kept: Iterable[str]) -> dict[str, Any]:
    """Fields of a sidecar whose every text, but those kept, is a mark, with further fields and descriptions."""
    told = {
        key: value if key in kept or not isinstance(value, str) else marks.at(f"{place} {key}")
        for key, value in fields.items()
    }
    for key in ("PatientName", "InstitutionName", "Comments", marks.at(f"{place} key"), "ScanDate"):
        told[key] = marks.at(f"{place} {key}")
    told["PatientBirthDate"] = marks.date(f"{place} birth date")
    told["Nested"] = {marks.at(f"{place} nested key"): [marks.at(f"{place} nested"), {"a": marks.at(f"{place} deep")}]}
    return told


def described(columns: dict[str, Any], marks: Marks, place: str) -> dict[str, Any]:
    """Descriptions of columns with marks in every text but their units."""
    return {
        name: {
            **fields,
            "Description": marks.at(f"{place} description of {name}"),
            "LongName": marks.at(f"{place} long name of {name}"),
            "Levels": {marks.at(f"{place} level of {name}"): marks.at(f"{place} text of a level of {name}")},
        }
        for name, fields in columns.items()
    }


def with_columns(table: str, marks: Marks, place: str) -> str:
    """A table with further columns, of remarks and of dates, with marks in their headers and first cells."""
    header, *rows = table.rstrip("\n").split("\n")
    names = ["comment", "family_name", marks.at(f"{place} header"), "date"]
    lines = ["\t".join([header, *names])]
    for number, row in enumerate(rows):
        cells = [marks.at(f"{place} {name} row {number}") for name in names[:-1]] if number < 40 else ["n/a"] * 3
        lines.append("\t".join([row, *cells, marks.date(f"{place} date row {number}") if number < 2 else "n/a"]))
    return "\n".join(lines) + "\n"


def mark_image(path: Path, marks: Marks) -> None:
    """Put marks into every text of an image: fields of its header, an extension, the header of gzip."""
    place = path.name
    image = nib.load(path)
    for name in ("descrip", "aux_file", "db_name", "intent_name", "data_type"):
        image.header[name] = marks.at(f"{place} header {name}").encode()[: image.header[name].dtype.itemsize or 9]
    comment = nib.nifti1.Nifti1Extension("comment", marks.at(f"{place} extension").encode())
    image.header.extensions.append(comment)
    raw = image.to_bytes()
    with path.open("wb") as sink:
        name = marks.at(f"{place} gzip name")
        with gzip.GzipFile(filename=name, fileobj=sink, mode="wb", compresslevel=1) as stream:
            stream.write(raw)


def in_all_forms(mark: str) -> list[bytes]:
    """A mark as outputs might hold it."""
    encoded = [mark.encode(), mark.lower().encode(), mark.encode("utf-16"), mark.encode("utf-32-be")]
    return encoded + [base64.b64encode(b"x" * start + mark.encode() + b"yz") for start in range(3)]
