"""The study file: everything a cohort run depends on, validated once."""

from __future__ import annotations

import math
import os
import unicodedata
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    Field,
    SerializeAsAny,
    SerializerFunctionWrapHandler,
    field_validator,
    model_serializer,
    model_validator,
)

from dlif_core.checks import require_doubts
from dlif_core.credentials import require_no_credentials
from dlif_core.errors import ConfigurationError, DlifError
from dlif_core.export import EXPORTERS
from dlif_core.ingest import READERS, Corrections, MotionCorrection, PartialVolume, ReaderOptions
from dlif_core.input_function import METHODS, Options
from dlif_core.input_function.learned import LearnedOptions, trusted_model
from dlif_core.kinetics import FitSettings, Model
from dlif_core.kinetics.settings import RECORD_KEYS
from dlif_core.registry import named
from dlif_core.storage import is_file, joined, unreachable
from dlif_core.store.layout import LETTERS, is_part
from dlif_core.validation import Section, unknown_key, validated, validated_each
from dlif_core.yaml_files import read_yaml

_SETTINGS = tuple(field.name for field in fields(FitSettings))
_FIELDS = {RECORD_KEYS.get(name, name): name for name in _SETTINGS}


class DataSource(Section):
    """Where the scans are and how they are stored; a path or URL alone gives the `uri`.

    Attributes
    ----------
    uri
        Folder, file or URL. A relative path is relative to the study file.
    format
        Name of a reader, one of `dlif_core.ingest.READERS`; left out, the one that recognises what lies there.
    options
        Options of the reader. In a study file they are keys of their own beside the others.
    links
        Folders outside of the data into which links among them may lead; other links are refused.
    motion_correction
        Motion correction between the frames of every scan; left out, images are taken as they are.
    """

    uri: str
    format: str | None = None
    links: tuple[str, ...] = ()
    options: ReaderOptions | None = None
    motion_correction: MotionCorrection | None = None

    @model_validator(mode="before")
    @classmethod
    def _from_study_file(cls, value: Any) -> Any:
        if isinstance(value, DataSource):
            return value
        if isinstance(value, str):
            return {"uri": value}
        if not isinstance(value, dict):
            raise ValueError("give a path, a URL, or a section with `uri`")
        source = {key: value[key] for key in ("uri", "format", "links", "motion_correction") if key in value}
        options = {key: setting for key, setting in value.items() if key not in source}
        if source.get("format"):
            kind = READERS.named(source["format"]).options
            return source | {"options": kind.model_validate(options)}
        if options:
            raise ValueError(f"{', '.join(map(repr, options))}: options need a `format` beside them")
        return source

    @model_serializer
    def _as_in_study_file(self) -> dict[str, Any]:
        options = self.options.model_dump(mode="json") if self.options else {}
        links = {"links": list(self.links)} if self.links else {}
        corrected = self.motion_correction
        motion = {} if corrected is None else {"motion_correction": corrected.model_dump(mode="json")}
        return {"uri": self.uri, "format": self.format, **links, **motion, **options}


class Regions(Section):
    """Which region curves to use.

    Attributes
    ----------
    curves
        File-name pattern of region-curve tables below ``derivatives/``.
    groups
        Further regions made of others: name → patterns of region names; curves are averaged by volume.
    partial_volume
        Partial-volume correction of the regions of a label image; left out, they are as measured.
    """

    curves: str = "*_tacs.tsv"
    groups: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    partial_volume: PartialVolume | None = None


#: Longest name of an analysis; with the scan's name it makes the names of products.
_LONGEST_NAME = 64
_LONGEST_TITLE = 1000


def _part_of_a_path(name: str) -> str:
    """A name that products carry in their paths."""
    if name and not is_part(name, _LONGEST_NAME):
        raise ValueError(
            f"a name has {LETTERS} only, does not begin with a dot and has at most {_LONGEST_NAME} letters"
        )
    return name


def _writable(name: str) -> str:
    """A name that reports, terminals and file formats can show."""
    if any(unicodedata.category(letter) in ("Cc", "Cs") for letter in name) or len(name) > _LONGEST_TITLE:
        raise ValueError(f"a name has no control characters, and at most {_LONGEST_TITLE} letters")
    return name


class Kinetics(Section):
    """One kinetic analysis.

    A study file gives the settings of the fit beside the other keys.

    Attributes
    ----------
    settings
        Model, delay, weights and all else that the fit depends on.
    name
        Name of the result; the model's name if left out.
    input_function
        Method that gives the input function; left out, the first of the study's list that the scan has.
    maps
        Whether to make parametric maps of scans with an image.
    denoise
        Maps are made of the image denoised by HYPR-LR with a Gaussian of this full width at half maximum [mm]; left
        out, of the image as it is.
    """

    settings: FitSettings
    name: Annotated[str, AfterValidator(_part_of_a_path)] = ""
    input_function: str | None = None
    maps: bool = True
    denoise: Annotated[float, Field(gt=0)] | None = None

    @property
    def title(self) -> str:
        """Name under which the result is stored."""
        return self.name or self.settings.model

    @property
    def kinetic_model(self) -> Model:
        """The model that the settings name."""
        return self.settings.kinetic_model

    def deciding_settings(self, *, maps: bool) -> dict[str, Any]:
        """Settings that decide the maps, or the results of the regions, as plain values by name."""
        dumped = self.model_dump(mode="json", exclude={"name", "maps"} if maps else {"name", "maps", "denoise"})
        return {f"kinetics.{self.title}.{name}": value for name, value in dumped.items()}

    @classmethod
    def valid_keys(cls) -> tuple[str, ...]:
        """Keys that a study file may give: the settings of the fit and the other keys."""
        return (*_FIELDS, *(name for name in cls.model_fields if name != "settings"))

    @model_validator(mode="before")
    @classmethod
    def _gather_settings(cls, values: Any) -> Any:
        if not isinstance(values, Mapping) or isinstance(values.get("settings"), FitSettings):
            return values
        if "settings" in values:
            raise unknown_key("settings", cls.valid_keys())
        known = {*_FIELDS, *_SETTINGS}
        settings = {_FIELDS.get(key, key): value for key, value in values.items() if key in known}
        return {**{key: value for key, value in values.items() if key not in known}, "settings": settings}

    @model_serializer(mode="wrap")
    def _as_in_the_file(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        dumped = handler(self)
        settings = dumped.pop("settings")
        return {**{RECORD_KEYS.get(name, name): value for name, value in settings.items()}, **dumped}

    @model_validator(mode="after")
    def _input_is_needed(self) -> Kinetics:
        if self.input_function and not self.kinetic_model.needs_input:
            raise ConfigurationError(f"{self.settings.model} needs none.", where="input_function", hint="Leave it out.")
        return self


class ModelSelection(Section):
    """A choice among analyses of the same curves.

    Attributes
    ----------
    of
        Names of compartment analyses, at least two, with the same weights.
    criterion
        ``aic``, ``aicc`` or ``bic``; the model with the smallest is the best.
    """

    of: Annotated[tuple[str, ...], Field(min_length=2)]
    criterion: Literal["aic", "aicc", "bic"] = "aicc"


class SessionComparison(Section):
    """A comparison of two sessions of the same subjects.

    Attributes
    ----------
    kind
        ``ratio`` (numerator / denominator) or ``test-retest``.
    sessions
        The two session labels; for a ratio the numerator first.
    """

    kind: Literal["ratio", "test-retest"]
    sessions: tuple[str, str]


def _default_input_functions() -> dict[str, SerializeAsAny[Options]]:
    return {name: METHODS[name].options() for name in ("arterial", "learned", "image-derived", "population")}


def _default_kinetics() -> tuple[Kinetics, ...]:
    return (Kinetics(settings=FitSettings("2tcm-irreversible")),)


class StudyConfig(Section):
    """A study as ``study.yaml`` describes it.

    Attributes
    ----------
    name
        Short name; stands in reports and in the Prefect UI.
    data
        Where the scans are: a path or URL, or a section with ``uri``, ``format`` and options of its reader.
    output
        Folder or URL for everything that is made.
    cluster
        Where the work is done, unless a run is told otherwise: name or file of a profile, or address of a scheduler. It
        decides no product.
    scans
        Patterns of scan names to include.
    accept
        Names of checks whose doubts about the data are accepted: scans are used in spite of them.
    regions, input_functions, kinetics, select, compare
        See the sections. `input_functions` maps methods to their options, in order of preference; a study file may
        leave out the options of a method.
    export
        Formats in which the results of every scan are kept beside them, names of `dlif_core.export.EXPORTERS`.
    """

    name: Annotated[str, AfterValidator(_writable)]
    data: DataSource
    output: str
    cluster: str = "local"
    scans: tuple[str, ...] = ("*",)
    accept: tuple[str, ...] = ()
    regions: Regions = Regions()
    input_functions: dict[str, SerializeAsAny[Options]] = Field(default_factory=_default_input_functions)
    kinetics: tuple[Kinetics, ...] = Field(default_factory=_default_kinetics)
    select: ModelSelection | None = None
    compare: tuple[SessionComparison, ...] = ()
    export: tuple[str, ...] = ()

    @field_validator("input_functions", mode="before")
    @classmethod
    def _parse_options(cls, methods: Any) -> Any:
        return validated_each(methods, _options, "input_functions") if isinstance(methods, Mapping) else methods

    @field_validator("accept")
    @classmethod
    def _are_doubts(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        return require_doubts(names)

    @field_validator("export")
    @classmethod
    def _are_formats(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        for name in names:
            if EXPORTERS.named(name, where="export").describes_others:
                raise ValueError(f"{name} describes a whole export; `dlif export --format {name}` writes it")
        return tuple(dict.fromkeys(names))

    @model_validator(mode="after")
    def _names_fit_together(self) -> StudyConfig:
        titles = [fit.title for fit in self.kinetics]
        double = {title for title in titles if titles.count(title) > 1}
        if double:
            raise ValueError(f"two kinetic analyses are called {sorted(double)[0]!r}; give each a `name`")
        for fit in self.kinetics:
            where = f"kinetics, input_function of {fit.title!r}"
            for method in self.methods_for(fit):
                named(method, self.input_functions, "input function of the study", where=where)
        if self.select:
            _require_comparable(self.select.of, {fit.title: fit for fit in self.kinetics})
        return self

    @property
    def corrections(self) -> Corrections:
        """What is corrected of every scan as it is ingested."""
        return Corrections(self.regions.partial_volume, self.data.motion_correction)

    def methods_for(self, fit: Kinetics) -> tuple[str, ...]:
        """Input-function methods that the analysis may use, best first; none for a model that needs none."""
        if not fit.kinetic_model.needs_input:
            return ()
        return (fit.input_function,) if fit.input_function else tuple(self.input_functions)


def _options(method: str, values: Any) -> Options:
    """Options of a method from an object or plain values; None stands for the defaults."""
    kind: type[Options] = METHODS.named(method).options
    return kind.model_validate({} if values is None else values)


def learned_model(config: StudyConfig) -> Path | None:
    """Folder of the model that the study sets for its learned input function; None for the one in use.

    Raises
    ------
    ConfigurationError
        If there is no such model, or it is not the one that is pinned, or not signed as it must be.
    """
    options = config.input_functions.get("learned")
    return trusted_model(options) if isinstance(options, LearnedOptions) else None


def load_study(path: str | Path) -> StudyConfig:
    """Read and validate a study file.

    Parameters
    ----------
    path
        Path or URL of a YAML file.

    Raises
    ------
    ConfigurationError
        If the file is missing, is not YAML, or has an unknown key or a wrong value; all faults are named at once,
        an unknown key with the nearest valid one.
    """
    require_no_credentials(str(path))
    if not _is_there(path):
        raise ConfigurationError("there is no such study file.", where=path, hint="`dlif init` writes one.")
    content = read_yaml(path)
    if not isinstance(content, dict):
        raise ConfigurationError("a study file holds keys and values.", where=path, hint="`dlif init` writes one.")
    return parse_study(content, where=path)


def _is_there(path: str | Path) -> bool:
    try:
        return is_file(path)
    except DlifError:
        raise
    except Exception as fault:  # each kind of filesystem has errors of its own
        raise unreachable(path, "the address of the study file", fault) from fault


def parse_study(content: Mapping[str, Any], *, where: str | Path) -> StudyConfig:
    """Validate the content of a study file; relative paths in it are relative to the file `where`."""
    config = validated(StudyConfig, content, where=where, hint="Correct the study file.")
    folder = os.path.dirname(where)
    links = tuple(joined(folder, link) for link in config.data.links)
    options = config.data.options and config.data.options.relative_to(folder)
    data = config.data.model_copy(update={"uri": joined(folder, config.data.uri), "links": links, "options": options})
    methods = {name: options.relative_to(folder) for name, options in config.input_functions.items()}
    output = joined(folder, config.output)
    cluster = joined(folder, config.cluster) if config.cluster.endswith(".yaml") else config.cluster
    update = {"data": data, "output": output, "cluster": cluster, "input_functions": methods}
    return config.model_copy(update=update)


def _require_comparable(names: tuple[str, ...], fits: Mapping[str, Kinetics]) -> None:
    chosen = [named(name, fits, "kinetic analysis", where="select, of") for name in names]
    for fit in chosen:
        if math.isnan(fit.kinetic_model.fitted_numbers):
            raise ConfigurationError(
                f"{fit.title!r} has no information criterion: its residuals are not those of the curves.",
                where="select, of",
                hint="Name compartment analyses.",
            )
    if len({(fit.settings.weights, fit.settings.weight_limits) for fit in chosen}) > 1:
        raise ConfigurationError(
            "the analyses have different weights, so their residuals can't be compared.",
            where="select, of",
            hint="Give them the same weights and weight_limits.",
        )
