"""The registry of input-function methods. A method is one module with a `METHOD`; it is entered here."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from dlif_core.blood_samples.recording import BloodRecording
from dlif_core.curve import InputFunction
from dlif_core.errors import ConfigurationError
from dlif_core.input_function import (
    arterial,
    factor_analysis,
    gaussian_process,
    hybrid,
    image_derived,
    learned,
    population,
    simultaneous,
)
from dlif_core.input_function.from_file import method as from_file
from dlif_core.input_function.method import Method, Options
from dlif_core.input_function.plasma import plasma_facts
from dlif_core.input_function.plausibility import require_plausible
from dlif_core.registry import Registry
from dlif_core.scan import DynamicScan

_MODULES = (
    arterial,
    learned,
    image_derived,
    gaussian_process,
    factor_analysis,
    simultaneous,
    hybrid,
    population,
    from_file,
)

#: Every input-function method by name; other packages add theirs by entry points of the group.
METHODS: Registry[Method[Any]] = Registry(
    "input-function method", "dlif.input_functions", [module.METHOD for module in _MODULES]
)


def deciding_facts(method: str, options: Options) -> dict[str, str]:
    """What beside options and scan decides a method's curve: a product made with other facts is stale.

    Raises
    ------
    ConfigurationError
        If the method is unknown, the options are those of another, or there is no such model.
    """
    return {**_with_options(method, options).facts(options), **plasma_facts(options)}


def estimate(
    method: str,
    scan: DynamicScan,
    recordings: Sequence[BloodRecording],
    options: Options | None = None,
    accept: Collection[str] = (),
) -> InputFunction:
    """Input function of a scan by a method.

    Parameters
    ----------
    method
        Key of `METHODS`.
    scan
        The scan; methods that read the image need it to have one.
    recordings
        All blood recordings of the scan, in any order.
    options
        An object of the class ``METHODS[method].options``; None for the defaults. ``METHODS[method].parse`` makes it
        from plain values.
    accept
        Names of checks whose doubts are accepted.

    Returns
    -------
    The curve from 0 s to the end of the scan [Bq/mL], with warnings and provenance.

    Raises
    ------
    ConfigurationError
        If the method is unknown, needs options, or the options are those of another.
    InputError
        If the method can't serve this scan, or its curve can't be that of this tissue; the message is the reason.
    """
    options = METHODS.named(method).parse({}) if options is None else options
    curve = _with_options(method, options).function(scan, tuple(recordings), options)
    require_plausible(scan, curve, accept)
    return curve


def _with_options(name: str, options: Options) -> Method[Any]:
    """The method of this name, once the options are known to be its own."""
    method = METHODS.named(name)
    if not isinstance(options, method.options):
        raise ConfigurationError(
            f"the options are {type(options).__name__}, not {method.options.__name__}.",
            where=f"input function {name}",
            hint=f"`METHODS[{name!r}].parse` makes them from plain values.",
        )
    return method
