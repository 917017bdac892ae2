"""The input function of a scan: estimated, chosen for a fit, and compared with the tissue."""

from __future__ import annotations

import warnings
from typing import Any

from dlif_core.api.notices import warn
from dlif_core.api.pet_scan import PetScan
from dlif_core.api.scan_argument import as_scan
from dlif_core.curve import InputFunction
from dlif_core.errors import ConfigurationError, CurveError, DlifWarning, InputError
from dlif_core.input_function.plausibility import require_plausible
from dlif_core.kinetics import Model
from dlif_core.scan import DynamicScan

#: A curve that begins after injection with more than this share of its peak has lost its rise.
_MOST_AT_START = 0.05


def estimate_input_function(scan: PetScan | DynamicScan, method: str = "arterial", **options: Any) -> InputFunction:
    """Input function of a scan by one of the methods of `METHODS`.

    Parameters
    ----------
    scan
        Scan made by `read_curves`, `from_arrays` or `open_scan`; most methods beside ``arterial`` and ``population``
        need its image.
    method
        ``arterial``, ``learned``, ``image-derived``, ``population`` …
    **options
        Options of the method, as in a study file.

    Returns
    -------
    The curve from injection to the end of the scan [Bq/mL]. Its warnings are also given as `DlifWarning`.

    Raises
    ------
    ConfigurationError
        If the method or an option is unknown.
    InputError
        If the method can't serve this scan; the message is the reason.

    Examples
    --------
    >>> import dlif_core as dlif
    >>> scan = dlif.read_curves("tacs.tsv", blood="blood.tsv")
    >>> aif = dlif.estimate_input_function(scan, "arterial")
    >>> aif.method, float(aif.time[-1])
    ('arterial', 2730.0)
    """
    from dlif_core.input_function.registry import METHODS, estimate

    given = as_scan(scan)
    if not isinstance(method, str):
        raise ConfigurationError(f"{method!r} is no method.", where="method", hint="Give a name in dlif.METHODS.")
    curve = estimate(method, given.dynamic, given.blood, METHODS.named(method).parse(options), given.accepted)
    warn(curve.warnings)
    return curve


def input_of_fit(scan: PetScan, model: Model, given: InputFunction | str | None) -> InputFunction | None:
    """The input function for a fit: the one that is given, else the scan's own, else from its arterial blood.

    Raises
    ------
    InputError
        If the model needs one and there is none, or it does not serve the scan.
    """
    if not model.needs_input:
        return None
    curve = _chosen(scan, model, given)
    require_rise(curve)
    require_plausible(scan.dynamic, curve, scan.accepted)
    return curve


def _chosen(scan: PetScan, model: Model, given: InputFunction | str | None) -> InputFunction:
    if isinstance(given, InputFunction):
        return given
    if isinstance(given, str):
        return estimate_quietly(scan, given)
    if given is not None:
        raise ConfigurationError(
            f"this is no input function but a {type(given).__name__}.",
            where="input_function",
            hint="Give one from dlif.blood or dlif.estimate_input_function, or the name of a method.",
        )
    if scan.input_function is not None:
        return scan.input_function
    if not scan.blood:
        raise InputError(
            "there is no input function, and the scan has no blood.",
            where=f"model {model.name}",
            hint="Give blood= when the scan is read, or input_function= here: a curve from dlif.blood, or the name of "
            "a method such as 'image-derived'.",
        )
    return estimate_quietly(scan, "arterial")


def estimate_quietly(scan: PetScan, method: str) -> InputFunction:
    """An estimate whose warnings the fit gives later, once."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DlifWarning)
        return estimate_input_function(scan, method)


def require_rise(curve: InputFunction) -> None:
    """Refuse an input function that begins late with a step: it is taken as zero before.

    That holds for a scan that begins late, too: its tissue remembers all blood since injection.

    Raises
    ------
    CurveError
        If the curve begins after injection with a notable share of its peak.
    """
    shares = [float(values[0] / values.max()) for values in (curve.whole_blood, curve.plasma) if values.max() > 0]
    first = float(curve.time[0])
    if first > 0 and max(shares, default=0.0) > _MOST_AT_START:
        raise CurveError(
            f"it begins at {first:g} s with {max(shares):.0%} of its peak: the rise before is missing.",
            where=f"input function {curve.method}",
            hint="Make it with dlif.blood, which starts at zero at injection, or add the samples of the rise.",
        )
