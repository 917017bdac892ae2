"""Scans of a dataset on disk."""

from __future__ import annotations

import weakref
from contextlib import ExitStack
from os import PathLike
from typing import TYPE_CHECKING

from dlif_core.api.notices import warn
from dlif_core.api.pet_scan import PetScan
from dlif_core.errors import InputError, MissingInputError

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from dlif_core.ingest import IngestedScan, ScanFiles


def open_scan(
    folder: str | PathLike[str],
    scan: str | None = None,
    *,
    curves: str = "*_tacs.tsv",
    accept: Collection[str] = (),
    links: Collection[str | PathLike[str]] = (),
) -> PetScan:
    """Open a scan of a PET-BIDS dataset with its image or region curves and its blood.

    Everything is validated as in a study. The image stays on disk and is read where it is needed; a temporary copy of a
    compressed image is deleted once nothing refers to it any more.

    Parameters
    ----------
    folder
        The dataset, a local folder or any fsspec URL.
    scan
        Name of the scan, such as ``sub-01_ses-baseline``, or of the subject where it has one scan; None for the only
        scan of a dataset.
    curves
        Pattern of tables of region curves below its derivatives.
    accept
        Names of checks whose doubts about the data are accepted, as `accept` in a study file.
    links
        Folders outside of the dataset into which links in it may lead; a scan with other links is refused.

    Raises
    ------
    InputError
        If there is no such scan, or it can't be used; the message says why.

    Examples
    --------
    >>> import dlif_core as dlif
    >>> dlif.open_scan("dataset", "sub-01")
    <PetScan of FDG: 42 frames to 45.5 min, 2 regions, no image, blood recordings: manual>
    """
    from dlif_core.checks import require_doubts
    from dlif_core.ingest import find_scans
    from dlif_core.ingest import open_scan as open_files

    accepted, root = require_doubts(accept), str(folder)
    files = _named(find_scans(root, curves, links=[str(link) for link in links]), scan, root)
    resources = ExitStack()
    with resources:
        ingested = resources.enter_context(open_files(files, accept=accepted))
        kept = resources.pop_all()
    _close_with(ingested, kept)
    found = tuple(finding.told for finding in ingested.findings)
    warn(found)
    return PetScan(ingested.scan, ingested.blood, warnings=found, accepted=accepted)


def _close_with(ingested: IngestedScan, resources: ExitStack) -> None:
    """Free what the image needs once the image is gone."""
    image = ingested.scan.activity
    if image is None:
        resources.close()
    else:
        weakref.finalize(image, resources.close)


def _named(found: Sequence[ScanFiles], name: str | None, root: str) -> ScanFiles:
    if not found:
        from dlif_core.ingest import looked_for

        raise MissingInputError(f"there is no {looked_for()}.", where=root, hint="Correct the path of the dataset.")
    names = [files.scan_id for files in found]
    fitting = [files for files in found if name is None or name in (files.scan_id, files.subject)]
    if len(fitting) == 1:
        return fitting[0]
    listed = ", ".join(names[:8]) + (" …" if len(names) > 8 else "")
    if not fitting:
        raise MissingInputError(f"there is no scan {name!r}.", where=root, hint=f"There are {listed}.")
    raise InputError(f"{len(fitting)} scans are meant.", where=root, hint=f"Name one of {listed}.")
