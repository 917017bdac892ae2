"""The unit of a series, and what turns it into Bq/mL."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from dlif_core.checks import Finding
from dlif_core.checks.metadata import SUV_IMAGE
from dlif_core.errors import UnitError
from dlif_core.ingest.dicom.headers import Facts, number, text
from dlif_core.ingest.tables import number as number_of
from dlif_core.shown import UNIT_WORDS, shown
from dlif_core.units import factor

_SUV = frozenset({"GML", "G/ML", "SUV", "SUVBW", "SUV_BW", "SUV-BW", "G/ML{SUVBW}"})
_BECQUEREL = "Export the series with the unit BQML, as activity per volume."


@dataclass(frozen=True)
class DoseAtReference:
    """What turns SUV into activity.

    Attributes
    ----------
    dose
        Injected activity [Bq]; None where it isn't known.
    weight
        Body weight [kg]; None where it isn't known.
    decay
        Share of the activity that is left at the time to which the image is corrected for decay; None where the time
        of the injection or the half-life isn't known.
    """

    dose: float | None
    weight: float | None
    decay: float | None


@dataclass(frozen=True)
class UnitOfSeries:
    """The factor from the values of a series to Bq/mL, and what was found on the way."""

    factor: float
    findings: tuple[Finding, ...] = ()


def unit_of(facts: Facts, known: DoseAtReference, where: str) -> UnitOfSeries:
    """The factor from the values of a series, as its slopes give them, to Bq/mL.

    Parameters
    ----------
    facts
        Elements of the series.
    known
        Dose and weight, for an image of SUV.
    where
        The series, for messages.

    Raises
    ------
    UnitError
        If the unit is missing, no concentration of activity, or SUV without dose, weight or time of injection.
    """
    stated = _stated(facts)
    if stated.upper() == "CNTS":
        return _counts(facts, known, where)
    if stated.upper() in _SUV:
        return _suv(facts, known, where)
    if not stated:
        raise UnitError("Units (0054,1001) is missing.", where=where, hint=_BECQUEREL)
    return UnitOfSeries(_concentration(stated, where))


def _stated(facts: Facts) -> str:
    """The unit as it is written; that of the real world goes with the slope of the real world."""
    named = text(facts, "MeasurementUnitsCodeSequence") if "RealWorldValueSlope" in facts else ""
    return named or text(facts, "Units") or text(facts, "RescaleType")


def _concentration(stated: str, where: str) -> float:
    try:
        return factor(stated, "concentration", where=where)
    except UnitError:
        words = UNIT_WORDS | {"cnts", "propcnts", "propcps", "mlming", "umolml", "mlg", "gml", "us"}
        raise UnitError(
            f"the unit of the image is {shown(stated, words)}, no concentration of activity.",
            where=where,
            hint=_BECQUEREL,
        ) from None


def _counts(facts: Facts, known: DoseAtReference, where: str) -> UnitOfSeries:
    """Counts that Philips calibrates by elements of its own; the one to activity is part of the slopes by now."""
    if number(facts, "PhilipsActivityFactor"):
        return UnitOfSeries(1.0)
    suv = number(facts, "PhilipsSuvFactor")
    if not suv:
        raise UnitError(
            "the image holds counts, and the factors of Philips (7053,xx09) and (7053,xx00) are missing.",
            where=where,
            hint=_BECQUEREL,
        )
    return _times(suv, _suv(facts, known, where))


def _times(scale: float, unit: UnitOfSeries) -> UnitOfSeries:
    return UnitOfSeries(scale * unit.factor, unit.findings)


def _suv(facts: Facts, known: DoseAtReference, where: str) -> UnitOfSeries:
    kind = text(facts, "SUVType").upper() or "BW"
    if kind != "BW":
        raise UnitError(
            f"the image holds SUV by {shown(kind, ('bw', 'lbm', 'bsa', 'ibw', 'lbmjames', 'lbmjanma'))}, not by body "
            "weight.",
            where=where,
            hint=_BECQUEREL,
        )
    missing = [
        name
        for name, value in (
            ("InjectedRadioactivity", known.dose),
            ("BodyWeight", known.weight),
            ("the time of injection", known.decay),
        )
        if not value
    ]
    if missing or not known.dose or not known.weight or not known.decay:
        raise UnitError(
            f"the image holds SUV, and {' and '.join(missing)} is not known.",
            where=where,
            hint="State it in the table of scans, or export the series with the unit BQML.",
        )
    message = (
        f"The image holds SUV; it is turned into Bq/mL with a dose of {known.dose / 1e6:.4g} MBq and a weight of "
        f"{known.weight:.4g} kg."
    )
    return UnitOfSeries(known.dose * known.decay / (1000.0 * known.weight), (SUV_IMAGE.found(message, where=where),))


def stated_dose(fields: Mapping[str, Any], where: str) -> float | None:
    """Injected activity [Bq] that fields of a sidecar state; None if they state none."""
    value = number_of(fields.get("InjectedRadioactivity"))
    unit = fields.get("InjectedRadioactivityUnits")
    return None if value is None else value * factor(unit, "activity", where=f"{where}, InjectedRadioactivityUnits")


def stated_weight(fields: Mapping[str, Any], where: str) -> float | None:
    """Body weight [kg] that fields of a sidecar state; None if they state none."""
    value = number_of(fields.get("BodyWeight"))
    unit = str(fields.get("BodyWeightUnits", "kg"))
    return None if value is None else value * factor(unit, "mass", where=f"{where}, BodyWeightUnits")
