"""The checks of data, of all scans of a study or a folder."""

from __future__ import annotations

from os import PathLike
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd


def check(study: str | PathLike[str]) -> pd.DataFrame:
    """Check the data of every scan, as a study does before it uses one; nothing is computed or written.

    Parameters
    ----------
    study
        A study file, or a folder of scans.

    Returns
    -------
    One row for everything that was found, what weighs most first: scan, check, level (``refused``, ``doubtful``,
    ``assumed``, ``repaired``), part of the scan, where, message, remedy, and whether the study accepts the doubt. No
    rows for sound data. What each check asks is in ``docs/checks.md``.

    Raises
    ------
    ConfigurationError
        If there is no such study, or it has no scans. What is wrong with a scan is a row.

    Examples
    --------
    >>> import dlif_core as dlif
    >>> found = dlif.check("dataset")
    >>> found.loc[0, ["scan", "check", "level"]].tolist()
    ['sub-01', 'blood-dispersed', 'assumed']
    """
    import pandas as pd

    from dlif_core.checks.suspicion import COLUMNS, as_records
    from dlif_core.study.checking import check_scan, study_to_check
    from dlif_core.study.scans import included_scans

    config = study_to_check(study)
    checked = [check_scan(config, files) for files in included_scans(config).values()]
    return pd.DataFrame(as_records({scan.scan: scan.findings for scan in checked}), columns=list(COLUMNS))
