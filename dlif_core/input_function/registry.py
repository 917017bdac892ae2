"""The registry of methods and their one call signature."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dlif_core.blood.recording import BloodRecording
from dlif_core.curve import InputFunction
from dlif_core.errors import ConfigurationError
from dlif_core.input_function import (
    arterial,
    factor_analysis,
    gaussian_process,
    image_derived,
    learned,
    population,
    simultaneous,
)
from dlif_core.input_function.options import Options, parse_options
from dlif_core.scan import DynamicScan


@dataclass(frozen=True)
class Method:
    """A way to an input function.

    Attributes
    ----------
    name
        Name in study files and products.
    title
        What reports call it.
    options
        Class of its options.
    facts
        What beside options and scan decides the curve, by name: a model that the method uses.
    """

    name: str
    title: str
    options: type[Options]
    function: Callable[[DynamicScan, Sequence[BloodRecording], Any], InputFunction]
    facts: Callable[[Any], Mapping[str, str]] = lambda _options: {}


#: All methods by name.
METHODS: dict[str, Method] = {
    method.name: method
    for method in (
        Method("arterial", "Arterial blood", arterial.ArterialOptions, arterial.estimate),
        Method("learned", "Learned", learned.LearnedOptions, learned.estimate, learned.facts),
        Method("image-derived", "Image-derived", image_derived.ImageDerivedOptions, image_derived.estimate),
        Method(
            "gaussian-process",
            "Gaussian process",
            gaussian_process.GaussianProcessOptions,
            gaussian_process.estimate,
        ),
        Method("factor-analysis", "Factor analysis", factor_analysis.FactorAnalysisOptions, factor_analysis.estimate),
        Method("simultaneous", "Simultaneous estimation", simultaneous.SimultaneousOptions, simultaneous.estimate),
        Method("population", "Population", population.PopulationOptions, population.estimate),
    )
}


def check_options(method: str, options: Mapping[str, Any]) -> Options:
    """The validated options of a method.

    Raises
    ------
    ConfigurationError
        If the method or an option is unknown, or a value is not allowed.
    """
    return parse_options(_method(method).options, method, options)


def deciding_facts(method: str, options: Mapping[str, Any]) -> dict[str, str]:
    """What beside options and scan decides a method's curve: a product made with other facts is stale.

    Raises
    ------
    ConfigurationError
        If the method or an option is unknown, or there is no such model.
    """
    return dict(_method(method).facts(check_options(method, options)))


def estimate(
    method: str, scan: DynamicScan, blood: Sequence[BloodRecording], options: Mapping[str, Any]
) -> InputFunction:
    """Input function of a scan by a method.

    Parameters
    ----------
    method
        Key of `METHODS`.
    scan
        The scan; only the image-derived method needs its image.
    blood
        All blood recordings of the scan, in any order.
    options
        Options of the method as in a study file; what is missing takes its default.

    Returns
    -------
    The curve from 0 s to the end of the scan [Bq/mL], with warnings and provenance.

    Raises
    ------
    ConfigurationError
        If the method or an option is unknown.
    InputError
        If the method can't serve this scan; the message is the reason.
    """
    return _method(method).function(scan, tuple(blood), check_options(method, options))


def _method(name: str) -> Method:
    if name not in METHODS:
        raise ConfigurationError(
            f"input function method {name!r} is unknown.", where="input_functions", hint=f"Known: {', '.join(METHODS)}."
        )
    return METHODS[name]
