"""Findings in the results of a fit: which parameters are beyond what tissue can have, in which regions."""

import numpy as np

from dlif_core.checks.results import implausible
from dlif_core.kinetics import FitSettings, fit_regions
from dlif_core.kinetics.plausible import limits_of
from tests.unit.kinetics.truth import MOUSE, FilterColumns, many_regions, mouse_input, scan_of

BLOOD = mouse_input()
COLUMNS = FilterColumns(MOUSE, BLOOD)


def findings(*influx: float) -> list[tuple[str, str, str]]:
    """What is found in a Patlak fit of FDG with these Ki."""
    scan = scan_of(many_regions(np.outer(influx, COLUMNS.integral)))
    fit = fit_regions(scan, BLOOD, FitSettings("patlak", t_star=10.0))
    found = implausible(fit, limits_of(scan.acquisition), "regions patlak")
    return [(finding.check, finding.where, finding.message) for finding in found]


def test_region_and_value_are_named() -> None:
    ((check, where, message),) = findings(0.025, 3.68, 0.009)
    assert (check, where) == ("parameter-range", "regions patlak")
    assert message == (
        "Ki is beyond 1 mL/cm³/min, the most that living tissue can have, in 1 of 3 regions: region 1 (3.68)."
    )


def test_of_many_regions_the_first_are_named() -> None:
    ((_, _, message),) = findings(*np.linspace(2, 3, 9))
    assert "in 9 of 9 regions: region 0 (2), region 1 (2.12)" in message
    assert message.endswith("region 4 (2.5) and 4 more.")


def test_a_sound_fit_has_no_finding() -> None:
    assert findings(0.025, 0.009) == []
