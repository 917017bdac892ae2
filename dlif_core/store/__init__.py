"""The store: layout, commit protocol, fingerprints, catalog.

`open_store` and `create_store` give a `Store` over a local path or any fsspec URL. Only what touches arrays imports
Zarr and xarray, so that markers can be read quickly.
"""

from dlif_core.store.chunking import Region, blocks, image_chunking
from dlif_core.store.claims import Claims
from dlif_core.store.digests import InputDigests
from dlif_core.store.fingerprint import Fingerprint
from dlif_core.store.index import Brief
from dlif_core.store.layout import CONTENT_VERSION, SCHEMA_VERSION
from dlif_core.store.marker import Marker, Status
from dlif_core.store.staging import Staging
from dlif_core.store.store import Store, create_store, open_store

__all__ = [
    "CONTENT_VERSION",
    "SCHEMA_VERSION",
    "Brief",
    "Claims",
    "Fingerprint",
    "InputDigests",
    "Marker",
    "Region",
    "Staging",
    "Status",
    "Store",
    "blocks",
    "create_store",
    "image_chunking",
    "open_store",
]
