"""A JSON file beside a scan that states, in the terms of PET-BIDS, what the files of its format don't."""

from __future__ import annotations

from typing import Any

from dlif_core.ingest.bids.fields import canonical
from dlif_core.ingest.bids.sidecar import SIDECAR_FIELDS
from dlif_core.ingest.tables import read_json


def fields_beside(uris: tuple[str, ...]) -> dict[str, Any]:
    """Fields of PET-BIDS in the JSON file, if there is one; no others.

    Raises
    ------
    MissingInputError
        If it is not there.
    InputError
        If it can't be read.
    """
    fields: dict[str, Any] = {}
    for uri in uris:
        fields |= canonical(read_json(uri), SIDECAR_FIELDS)[0]
    return {name: value for name, value in fields.items() if name in SIDECAR_FIELDS}
