"""What exporters get of a study, from its committed products."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any

from dlif_core.export import ExportedScan, ExportedStudy
from dlif_core.store import Store
from dlif_core.study.config import StudyConfig
from dlif_core.study.products import fit_name, input_function_name, source_name

if TYPE_CHECKING:
    import xarray as xr

    from dlif_core.ingest import ScanFiles


def exported_study(
    config: StudyConfig, scans: Iterable[str], open_scan: Callable[[str], ExportedScan]
) -> ExportedStudy:
    """A study as exporters see it.

    Parameters
    ----------
    config
        The study.
    scans
        Names of the scans to be exported.
    open_scan
        Opens a scan by its name.
    """
    from importlib.metadata import version

    return ExportedStudy(config.name, version("dlif"), config.data.uri, tuple(scans), open_scan)


def read_exported(config: StudyConfig, store: Store, files: ScanFiles, sound: frozenset[str]) -> ExportedScan:
    """What is exported of a scan, from its committed products.

    Parameters
    ----------
    config, store
        The study and its store.
    files
        Name, subject and session of the scan; the files themselves are not read.
    sound
        Products to be exported; that of the scan itself is among them.
    """
    from dlif_core.study.input_functions import read_input_function
    from dlif_core.study.source import read_scan

    scan = files.scan_id
    source = store.marker(source_name(scan))
    assert source is not None, "what is exported is committed"
    methods = [method for method in config.input_functions if input_function_name(scan, method) in sound]
    maps = dict(_fits(config, store, scan, "maps", sound))
    markers = {title: store.marker(fit_name(scan, title, "maps")) for title in maps}
    return ExportedScan(
        scan_id=scan,
        subject=files.subject,
        session=files.session,
        scan=read_scan(store, scan)[0],
        source=source,
        provenance=_provenance(store, scan),
        input_functions={method: read_input_function(store, scan, method) for method in methods},
        regions=dict(_fits(config, store, scan, "regions", sound)),
        maps=maps,
        created={title: marker.created for title, marker in markers.items() if marker},
    )


def _provenance(store: Store, scan: str) -> dict[str, Any]:
    return dict(json.loads(store.open_dataset(source_name(scan)).attrs["provenance"]))


def _fits(
    config: StudyConfig, store: Store, scan: str, kind: str, sound: frozenset[str]
) -> Iterator[tuple[str, xr.Dataset]]:
    for fit in config.kinetics:
        name = fit_name(scan, fit.title, kind)
        if name in sound:
            yield fit.title, store.open_dataset(name)
