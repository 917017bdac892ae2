"""The catalog: an index of scans and products, rebuilt from the markers."""

from __future__ import annotations

import pandas as pd

from dlif_core.store.store import Store

_COLUMNS = ["scan", "product", "status", "reason", "fingerprint", "created"]


def build_catalog(store: Store) -> pd.DataFrame:
    """Index of everything in a store.

    Returns
    -------
    One row a product, sorted by name, with columns scan ("" for a product of the whole cohort), product (its name
    below the scan, or in the store), status, reason, fingerprint and created (UTC).
    """
    rows = [
        (*_scan_and_product(name), marker.status, marker.reason, marker.fingerprint, marker.created)
        for name, marker in store.products().items()
    ]
    catalog = pd.DataFrame(rows, columns=_COLUMNS)
    return catalog.assign(created=pd.to_datetime(catalog["created"], utc=True))


def _scan_and_product(name: str) -> tuple[str, str]:
    room, _, rest = name.partition("/")
    if room == "scans":
        scan, _, product = rest.partition("/")
        return scan.removesuffix(".zarr"), product
    if room == "reports":
        return rest, "report"
    if room == "exports":
        scan, _, form = rest.partition("/")
        return scan, f"export/{form}"
    return "", name
