"""The study file: everything a cohort run depends on, validated once."""

from __future__ import annotations

import difflib
import math
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_serializer, model_validator

from dlif_core.errors import ConfigurationError
from dlif_core.ingest import ReaderOptions, reader_options
from dlif_core.kinetics import MODELS, FitSettings, Model
from dlif_core.kinetics.settings import Delay, Find, Pair, Weighting


class Section(BaseModel):
    """A part of the study file; keys that it does not know are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


class DataSource(Section):
    """Where the scans are and how they are stored; a path or URL alone gives the `uri`.

    Attributes
    ----------
    uri
        Folder, file or URL. A relative path is relative to the study file.
    format
        Name of a reader, one of `dlif_core.ingest.READERS`; left out, the one that recognises what lies there.
    options
        Options of the reader. In a study file they are keys of their own beside `uri` and `format`.
    """

    uri: str
    format: str | None = None
    options: ReaderOptions | None = None

    @model_validator(mode="before")
    @classmethod
    def _from_study_file(cls, value: Any) -> Any:
        if isinstance(value, DataSource):
            return value
        if isinstance(value, str):
            return {"uri": value}
        if not isinstance(value, dict):
            raise ValueError("give a path, a URL, or a section with `uri`")
        source = {key: value[key] for key in ("uri", "format") if key in value}
        options = {key: setting for key, setting in value.items() if key not in source}
        return source | {"options": _reader_options(source.get("format"), options)}

    @model_serializer
    def _as_in_study_file(self) -> dict[str, Any]:
        options = self.options.model_dump(mode="json") if self.options else {}
        return {"uri": self.uri, "format": self.format, **options}


def _reader_options(format: object, options: Mapping[str, Any]) -> ReaderOptions | None:
    if format is None:
        if options:
            raise ValueError(f"{', '.join(map(repr, options))}: options need a `format` beside them")
        return None
    try:
        return reader_options(str(format), options)
    except ConfigurationError as fault:
        raise ValueError(f"{fault.message} {fault.hint}".removesuffix(".")) from fault


class Regions(Section):
    """Which region curves to use.

    Attributes
    ----------
    curves
        File-name pattern of region-curve tables below ``derivatives/``.
    groups
        Further regions made of others: name → patterns of region names; curves are averaged by volume.
    """

    curves: str = "*_tacs.tsv"
    groups: dict[str, tuple[str, ...]] = Field(default_factory=dict)


class Kinetics(Section):
    """One kinetic analysis.

    Attributes
    ----------
    model
        One of `dlif_core.kinetics.MODELS`; ``dlif models`` lists them with the settings that each takes.
    name
        Name of the result; the model's name if left out.
    input_function
        Method that gives the input function; left out, the first of the study's list that the scan has.
    blood_volume, delay, t_star, reference, k2_prime, rates, window, leading_region, weights, weight_limits, intervals
        See `dlif_core.kinetics.FitSettings`. With a delay of ``region``, voxels use the image's.
    maps
        Whether to make parametric maps of scans with an image.
    denoise
        Maps are made of the image denoised by HYPR-LR with a Gaussian of this full width at half maximum [mm]; left
        out, of the image as it is.
    """

    model: str
    name: str = ""
    input_function: str | None = None
    blood_volume: float | None = None
    delay: Delay = "none"
    t_star: float | Find | None = None
    reference: str | None = None
    k2_prime: float | Find | None = None
    rates: Pair | Find | None = None
    window: Pair | None = None
    leading_region: str | None = None
    weights: Weighting | tuple[float, ...] = "duration-decay"
    weight_limits: Pair = (0.01, 100.0)
    intervals: bool = False
    maps: bool = True
    denoise: Annotated[float, Field(gt=0)] | None = None

    @property
    def title(self) -> str:
        """Name under which the result is stored."""
        return self.name or self.model

    @property
    def kinetic_model(self) -> Model:
        """The model that `model` names."""
        return MODELS[self.model]


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


def _default_input_functions() -> dict[str, dict[str, Any]]:
    return {"learned": {}, "arterial": {}, "image-derived": {}, "population": {}}


def _default_kinetics() -> tuple[Kinetics, ...]:
    return (Kinetics(model="2tcm-irreversible"),)


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
    scans
        Patterns of scan names to include.
    regions, input_functions, kinetics, select, compare
        See the sections. `input_functions` maps methods to their options, in order of preference.
    """

    name: str
    data: DataSource
    output: str
    scans: tuple[str, ...] = ("*",)
    regions: Regions = Regions()
    input_functions: dict[str, dict[str, Any]] = Field(default_factory=_default_input_functions)
    kinetics: tuple[Kinetics, ...] = Field(default_factory=_default_kinetics)
    select: ModelSelection | None = None
    compare: tuple[SessionComparison, ...] = ()

    @model_validator(mode="before")
    @classmethod
    def _options_may_be_empty(cls, values: Any) -> Any:
        """``arterial:`` without options is ``arterial: {}``."""
        if isinstance(values, dict) and isinstance(values.get("input_functions"), dict):
            methods = {key: options or {} for key, options in values["input_functions"].items()}
            values = {**values, "input_functions": methods}
        return values

    @model_validator(mode="after")
    def _names_are_unique(self) -> StudyConfig:
        titles = [fit.title for fit in self.kinetics]
        double = {title for title in titles if titles.count(title) > 1}
        if double:
            raise ValueError(f"two kinetic analyses are called {sorted(double)[0]!r}; give each a `name`")
        return self

    def methods_for(self, fit: Kinetics) -> tuple[str, ...]:
        """Input-function methods that the analysis may use, best first; none for a model that needs none."""
        if not fit.kinetic_model.needs_input:
            return ()
        return (fit.input_function,) if fit.input_function else tuple(self.input_functions)


def load_study(path: str | Path) -> StudyConfig:
    """Read and validate a study file.

    Parameters
    ----------
    path
        A local YAML file.

    Raises
    ------
    ConfigurationError
        If the file is missing, is not YAML, or has an unknown key or a wrong value; all faults are named at once,
        an unknown key with the nearest valid one.
    """
    import yaml

    path = Path(path)
    if not path.is_file():
        raise ConfigurationError("there is no such study file.", where=path, hint="`dlif init` writes one.")
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except yaml.YAMLError as fault:
        raise ConfigurationError(f"this is not YAML: {fault}", where=path, hint="Correct the line named.") from fault
    if not isinstance(content, dict):
        raise ConfigurationError("a study file holds keys and values.", where=path, hint="`dlif init` writes one.")
    return parse_study(content, where=path)


def parse_study(content: Mapping[str, Any], *, where: Path) -> StudyConfig:
    """Validate the content of a study file; relative paths in it are relative to the file `where`."""
    try:
        config = StudyConfig.model_validate(dict(content))
    except ValidationError as faults:
        raise ConfigurationError(_explain(faults, content), where=where, hint="Correct the study file.") from faults
    _check_names(config, where)
    data = config.data.model_copy(update={"uri": _absolute(config.data.uri, where.parent)})
    return config.model_copy(update={"data": data, "output": _absolute(config.output, where.parent)})


def _absolute(uri: str, folder: Path) -> str:
    return uri if "://" in uri else str((folder / uri).resolve())


def _check_names(config: StudyConfig, where: Path) -> None:
    """Methods and models exist, their options are valid."""
    from dlif_core.input_function import METHODS, check_options

    for fit in config.kinetics:
        _require_known(fit.model, MODELS, f"kinetics, model of {fit.title!r}", where)
        fit_settings(fit)
        if fit.input_function and not fit.kinetic_model.needs_input:
            raise ConfigurationError(
                f"kinetics, input_function of {fit.title!r}: {fit.model} needs none.", where=where, hint="Leave it out."
            )
        for method in config.methods_for(fit):
            _require_known(method, config.input_functions, f"kinetics, input_function of {fit.title!r}", where)
    if config.select:
        _require_comparable(config.select.of, {fit.title: fit for fit in config.kinetics}, where)
    for method, options in config.input_functions.items():
        _require_known(method, METHODS, "input_functions", where)
        check_options(method, options)


def _require_known(name: str, known: Mapping[str, Any], setting: str, where: Path) -> None:
    if name not in known:
        raise ConfigurationError(
            f"{setting}: {name!r} is unknown.{_nearest(name, list(known))}",
            where=where,
            hint=f"Known: {', '.join(known)}.",
        )


def _require_comparable(names: tuple[str, ...], fits: Mapping[str, Kinetics], where: Path) -> None:
    for name in names:
        _require_known(name, fits, "select, of", where)
        if math.isnan(fits[name].kinetic_model.fitted_numbers):
            raise ConfigurationError(
                f"select, of: {name!r} has no information criterion: its residuals are not those of the curves.",
                where=where,
                hint="Name compartment analyses.",
            )
    if len({(fits[name].weights, fits[name].weight_limits) for name in names}) > 1:
        raise ConfigurationError(
            "select, of: the analyses have different weights, so their residuals can't be compared.",
            where=where,
            hint="Give them the same weights and weight_limits.",
        )


def fit_settings(fit: Kinetics) -> FitSettings:
    """The kinetics room's settings of one analysis."""
    return FitSettings(**{field.name: getattr(fit, field.name) for field in fields(FitSettings)})


def _explain(faults: ValidationError, content: Any) -> str:
    """Every faulty place of a study file with what is wrong there."""
    reasons: dict[str, list[str]] = {}
    for fault in faults.errors():
        reasons.setdefault(_place(fault["loc"], content), []).append(_reason(fault))
    return " ".join(f"{place}: {', or: '.join(texts)}." for place, texts in reasons.items())


def _place(location: tuple[int | str, ...], content: Any) -> str:
    """The place as far as the file has it; where a value may be of several kinds, pydantic adds the kind."""
    place: list[str] = []
    for part in location:
        inner = dict(enumerate(content)) if isinstance(content, list) else content
        if not isinstance(inner, dict):
            break
        place.append(str(part))
        content = inner.get(part)
    return ".".join(place) or "study"


def _reason(fault: Any) -> str:
    if fault["type"] != "extra_forbidden":
        return str(fault["msg"]).removeprefix("Value error, ")
    key = str(fault["loc"][-1])
    return f"unknown key {key!r}.{_nearest(key, _keys_at(fault['loc'][:-1]))}".removesuffix(".")


def _nearest(name: str, known: list[str]) -> str:
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    return f" Did you mean {close[0]!r}?" if close else f" Valid are: {', '.join(known)}."


def _keys_at(location: tuple[int | str, ...]) -> list[str]:
    """Valid keys of the section at a place of the study file."""
    sections: dict[str, type[Section]] = {
        "regions": Regions,
        "kinetics": Kinetics,
        "select": ModelSelection,
        "compare": SessionComparison,
    }
    section = sections.get(str(location[0]), StudyConfig) if location else StudyConfig
    return list(section.model_fields)
