"""The study file: everything a cohort run depends on, validated once."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from dlif_core.errors import ConfigurationError


class Section(BaseModel):
    """A part of the study file; keys that it does not know are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


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
        ``patlak``, ``logan``, ``1tcm``, ``2tcm-irreversible`` or ``2tcm-reversible``.
    name
        Name of the result; the model's name if left out.
    input_function
        Method that gives the input function; left out, the first of the study's list that the scan has.
    blood_volume
        vB: left out, it is fitted; a number fixes it.
    delay
        ``none``, ``image`` (one delay for the whole scan) or ``region`` (one for each region; voxels use the image's).
    t_star
        Start of the linear part of a graphical method [min].
    weights
        ``uniform``, ``duration`` or ``duration-decay``.
    maps
        Whether to make parametric maps of scans with an image.
    """

    model: str
    name: str = ""
    input_function: str | None = None
    blood_volume: Annotated[float, Field(ge=0, lt=1)] | None = None
    delay: Literal["none", "image", "region"] = "none"
    t_star: Annotated[float, Field(ge=0)] | None = None
    weights: Literal["uniform", "duration", "duration-decay"] = "duration-decay"
    maps: bool = True

    @property
    def title(self) -> str:
        """Name under which the result is stored."""
        return self.name or self.model


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
    return {"arterial": {}, "image-derived": {}, "population": {}}


def _default_kinetics() -> tuple[Kinetics, ...]:
    return (Kinetics(model="2tcm-irreversible"),)


class StudyConfig(Section):
    """A study as ``study.yaml`` describes it.

    Attributes
    ----------
    name
        Short name; stands in reports and in the Prefect UI.
    data
        Folder or URL of the PET-BIDS data set. A relative path is relative to the study file.
    output
        Folder or URL for everything that is made.
    scans
        Patterns of scan names to include.
    regions, input_functions, kinetics, compare
        See the sections. `input_functions` maps methods to their options, in order of preference.
    """

    name: str
    data: str
    output: str
    scans: tuple[str, ...] = ("*",)
    regions: Regions = Regions()
    input_functions: dict[str, dict[str, Any]] = Field(default_factory=_default_input_functions)
    kinetics: tuple[Kinetics, ...] = Field(default_factory=_default_kinetics)
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
        """Input-function methods that the analysis may use, best first."""
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
        raise ConfigurationError(_explain(faults), where=where, hint="Correct the study file.") from faults
    _check_names(config, where)
    return config.model_copy(
        update={"data": _absolute(config.data, where.parent), "output": _absolute(config.output, where.parent)}
    )


def _absolute(uri: str, folder: Path) -> str:
    return uri if "://" in uri else str((folder / uri).resolve())


def _check_names(config: StudyConfig, where: Path) -> None:
    """Methods and models exist, their options are valid."""
    from dlif_core.input_function import METHODS, check_options
    from dlif_core.kinetics import MODELS

    for fit in config.kinetics:
        _require_known(fit.model, MODELS, f"kinetics, model of {fit.title!r}", where)
        fit_settings(fit)
        for method in config.methods_for(fit):
            _require_known(method, config.input_functions, f"kinetics, input_function of {fit.title!r}", where)
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


def fit_settings(fit: Kinetics) -> Any:
    """The kinetics room's settings of one analysis."""
    from dlif_core.kinetics import FitSettings

    return FitSettings(
        model=fit.model,
        blood_volume=fit.blood_volume,
        delay=fit.delay,
        t_star=fit.t_star,
        weights=fit.weights,
    )


def _explain(faults: ValidationError) -> str:
    return " ".join(f"{_place(fault['loc'])}: {_reason(fault)}." for fault in faults.errors())


def _place(location: tuple[int | str, ...]) -> str:
    return ".".join(str(part) for part in location) or "study"


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
    sections: dict[str, type[Section]] = {"regions": Regions, "kinetics": Kinetics, "compare": SessionComparison}
    section = sections.get(str(location[0]), StudyConfig) if location else StudyConfig
    return list(section.model_fields)
