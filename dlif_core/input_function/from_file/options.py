"""Options of input functions from files, and what becomes of them for one scan."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from string import Formatter
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, field_validator, model_validator

from dlif_core.input_function.method import Options, ScanPlace
from dlif_core.storage import is_url, joined
from dlif_core.units import Dimension, factor

#: What a column of a file holds.
Quantity = Literal["time", "whole_blood", "plasma", "parent", "parent_fraction", "plasma_fraction"]
#: Kinds of files.
FileFormat = Literal["bloodstream", "pmod", "table"]

#: Quantities of which a file needs one: without, it holds no activity.
ACTIVITIES: tuple[Quantity, ...] = ("whole_blood", "plasma", "parent")
#: Entities of a BIDS name that tell blood of one scan from that of another; reconstructions share their blood.
_ENTITIES = ("sub", "ses", "task", "trc", "run")
_PLACEHOLDERS = ("data", "scan", "subject", "session", "task", "trc", "run")
_BY_NAME: tuple[tuple[str, FileFormat], ...] = (
    ("_inputfunction.tsv", "bloodstream"),
    (".crv", "pmod"),
    (".bld", "pmod"),
)


class FromFileOptions(Options):
    """Options of input functions from files.

    Attributes
    ----------
    path
        The file of a scan, or several that hold its quantities, as a path or pattern (``*``, ``**``) of which each
        matches one file. In a study, ``{scan}``, ``{subject}`` (``sub-01``), ``{session}``, ``{task}``, ``{trc}`` and
        ``{run}`` stand for the scan's own and ``{data}`` for the folder of the data; a relative path is relative to the
        study file.
    format
        ``bloodstream``, ``pmod`` or ``table``; left out, told by the name (``*_inputfunction.tsv``, ``*.crv``,
        ``*.bld``), or a table where `columns` are given.
    columns
        Names of the columns by what they hold: ``time``, ``whole_blood``, ``plasma`` (total plasma), ``parent`` (parent
        plasma), ``parent_fraction``, ``plasma_fraction`` (plasma over whole blood). A table needs them; for the other
        formats they replace the names that are known.
    units, time_unit
        Units of activities and times that the files don't state.
    decay_corrected_to
        What the activities are decay-corrected to: ``injection``, ``time-zero`` (time 0 of the file), or ``none`` for
        activities as they were at their times. Needed but for bloodstream, which keeps PET-BIDS' time zero.
    injection_s
        Time of injection in the file [s]. Left out, files of bloodstream count from the scan's time zero and others
        from injection.
    max_extrapolation
        Largest share of the scan that may lie after the last sample.
    """

    #: Quantities of which the file needs one.
    needed: ClassVar[tuple[Quantity, ...]] = ACTIVITIES
    #: Where a study file has these options.
    setting: ClassVar[str] = "from-file"

    path: tuple[str, ...]
    format: FileFormat | None = None
    columns: dict[Quantity, str] = Field(default_factory=dict)
    units: str | None = None
    time_unit: str | None = None
    decay_corrected_to: Literal["injection", "time-zero", "none"] | None = None
    injection_s: float | None = None
    max_extrapolation: Annotated[float, Field(ge=0, lt=1)] = 0.2

    @property
    def kind(self) -> FileFormat:
        """Format of the files."""
        named = {kind for path in self.path for ending, kind in _BY_NAME if path.lower().endswith(ending)}
        if self.format:
            return self.format
        if len(named) == 1:
            return named.pop()
        return "table"

    def relative_to(self, folder: str) -> FromFileOptions:
        """The same with paths that count from a folder."""
        free = re.compile(r"\{data\}|[\w+]+://")
        place = folder if is_url(folder) else os.path.realpath(folder)
        literal = _escape(place).replace("{", "{{").replace("}", "}}")
        paths = tuple(path if free.match(path) else _below(literal, path) for path in self.path)
        return self.model_copy(update={"path": paths})

    def of_scan(self, place: ScanPlace) -> FilesOfScan:
        """The same for one scan: placeholders are filled, and labels known that the files must not contradict."""
        return FilesOfScan(**self.values_of_scan(place))

    def values_of_scan(self, place: ScanPlace, *, shared: bool = False) -> dict[str, Any]:
        """Values of the options of one scan; if the file is `shared` by all scans, its path need not name this one."""
        labels = _labels(place)
        identity = [label for name, label in labels.items() if name != "task"] or [place.scan]
        values = {name: labels.get(name, "") for name in ("task", "trc", "run")}
        values |= {"scan": place.scan, "subject": place.subject, "session": place.session}
        own = " ".join(_filled(path, values | {"data": ""}) for path in self.path)
        return {
            **self.model_dump(exclude={"path"}),
            "path": tuple(
                _filled(path, {**_escaped(values), "data": _escape(place.data.rstrip("/"))}) for path in self.path
            ),
            "labels": labels,
            "unnamed": () if shared else tuple(label for label in identity if label not in own),
            "folders": tuple(place.data if path.startswith("{data}") else _literal_folder(path) for path in self.path),
            "links": (place.data, *place.links),
        }

    def deciding_settings(self) -> dict[str, Any]:
        """Settings that decide the curve; of the files, their content does and not their path."""
        return self.model_dump(mode="json", exclude={"path", "folders", "links"})

    @field_validator("path", mode="before")
    @classmethod
    def _several(cls, value: Any) -> Any:
        several = value if isinstance(value, list | tuple) else (value,)
        return tuple(os.fspath(path) if isinstance(path, os.PathLike) else path for path in several)

    @field_validator("path")
    @classmethod
    def _known_placeholders(cls, paths: tuple[str, ...]) -> tuple[str, ...]:
        if not paths or not all(path.strip() for path in paths):
            raise ValueError("give the file, or a pattern of its name")
        for path in paths:
            for _, name, _, _ in Formatter().parse(path):
                if name is not None and name not in _PLACEHOLDERS:
                    known = ", ".join(f"{{{known}}}" for known in _PLACEHOLDERS)
                    raise ValueError(f"{{{name}}} stands for nothing; known are {known}")
        return paths

    @field_validator("units", "time_unit")
    @classmethod
    def _known_unit(cls, unit: str | None, info: Any) -> str | None:
        if unit is not None:
            dimension: Dimension = "time" if info.field_name == "time_unit" else "concentration"
            factor(unit, dimension, where=info.field_name, typed=True)
        return unit

    @model_validator(mode="after")
    def _says_what_is_needed(self) -> FromFileOptions:
        if self.kind == "table" and not self.columns:
            raise ValueError(
                "state the `format` (bloodstream, pmod), or for a table its `columns`, such as {time: t, parent: cp}"
            )
        if self.kind == "table" and ("time" not in self.columns or not set(self.needed) & set(self.columns)):
            listed = f"{', '.join(self.needed[:-1])} and {self.needed[-1]}"
            raise ValueError(f"`columns` of a table need `time` and one of {listed}")
        if self.needed == ACTIVITIES and self.kind != "bloodstream" and self.decay_corrected_to is None:
            raise ValueError("state `decay_corrected_to` (injection, time-zero or none): the files don't say it")
        return self


class FilesOfScan(FromFileOptions):
    """Options for one scan of a study.

    Attributes
    ----------
    labels
        Labels in the scan's name by BIDS entity: ``{"sub": "sub-01"}``; `path` has no placeholder any more.
    unnamed
        Labels of the scan that nothing in the path says, so that the file might be another scan's.
    folders
        Folder that each path names, and in which its file must lie.
    links
        Other folders into which links of them may lead.
    """

    labels: dict[str, str]
    unnamed: tuple[str, ...]
    folders: tuple[str, ...]
    links: tuple[str, ...]

    @field_validator("path")
    @classmethod
    def _known_placeholders(cls, paths: tuple[str, ...]) -> tuple[str, ...]:
        return paths  # they are filled: a brace that is left belongs to the name of a folder


def entities(name: str) -> dict[str, str]:
    """Labels in a BIDS name by entity, with their prefix: ``run`` is ``run-1``."""
    pairs = (part for part in name.split(".")[0].split("_") if "-" in part)
    return {key: pair for pair in pairs if (key := pair.partition("-")[0]) in _ENTITIES}


def _labels(place: ScanPlace) -> dict[str, str]:
    known = {"sub": place.subject, "ses": place.session}
    return entities(place.scan) | {name: label for name, label in known.items() if label}


def _filled(path: str, values: Mapping[str, str]) -> str:
    """The path with its placeholders filled; one that is empty goes with the ``/`` or ``_`` before it."""
    for name, value in values.items():
        if not value:
            path = re.sub(rf"[/_]?\{{{name}\}}", "", path)
    return path.format_map(values)


def _literal_folder(path: str) -> str:
    """The folder of a path up to its first placeholder or pattern."""
    return re.split(r"[{*?[]", path, maxsplit=1)[0].rpartition("/")[0] or "/"


def _below(folder: str, path: str) -> str:
    return joined(folder, path) if is_url(folder) else os.path.normpath(os.path.join(folder, path))


def _escape(text: str) -> str:
    """Text in which nothing is a pattern."""
    return re.sub(r"([*?[])", r"[\1]", text)


def _escaped(values: Mapping[str, str]) -> dict[str, str]:
    return {name: _escape(value) for name, value in values.items()}
