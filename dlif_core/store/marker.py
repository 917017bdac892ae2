"""The commit marker: a product exists if its marker does, and the marker describes it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

from dlif_core.errors import ProductDamagedError, SchemaVersionError, StoreError
from dlif_core.finite import to_json
from dlif_core.store.layout import READ_VERSIONS, REMAKE, SCHEMA_VERSION

Status = Literal["success", "excluded", "unavailable", "failed"]


@dataclass(frozen=True)
class Marker:
    """Record of a committed product.

    Attributes
    ----------
    product
        Name of the product in the store.
    fingerprint
        Digest of everything it was computed from.
    parts
        The parts of that fingerprint.
    content
        sha256 over the names and the bytes of the product's files.
    created
        When it was published, ISO 8601 in UTC.
    seconds
        How long it took [s].
    status
        ``success``; ``excluded``: the scan can't be used; ``unavailable``: this scan has nothing of the kind;
        ``failed``: a record of a step that broke.
    reason, where, hint
        Why there is no result, which file or setting is at fault, and what to do about it.
    warnings
        What a reader of the result must know.
    findings
        What checks of the data found, as plain values; kept for a product without result, too.
    schema_version
        Layout that it was written in.
    """

    product: str
    fingerprint: str
    parts: Mapping[str, str]
    content: str
    created: str
    seconds: float
    status: Status = "success"
    reason: str = ""
    where: str = ""
    hint: str = ""
    warnings: tuple[str, ...] = ()
    findings: tuple[Mapping[str, Any], ...] = ()
    schema_version: int = SCHEMA_VERSION

    def to_json(self) -> bytes:
        """The marker as stored in the file."""
        text = to_json(asdict(self), where=self.product, indent=2, ensure_ascii=False)
        return f"{text}\n".encode("utf-8", "backslashreplace")

    @classmethod
    def from_json(cls, data: bytes, *, where: object) -> Marker:
        """Read a marker.

        Raises
        ------
        SchemaVersionError
            If another schema version wrote it.
        ProductDamagedError
            If it can't be read.
        """
        try:
            fields: dict[str, Any] = json.loads(data)
            require_schema(fields["schema_version"], where=where)
            lists = {name: tuple(fields.get(name, ())) for name in ("warnings", "findings")}
            return cls(**fields | lists)
        except (ValueError, TypeError, KeyError) as error:
            raise ProductDamagedError("the commit marker can't be read.", where=where, hint=REMAKE) from error


def require_schema(version: object, *, where: object) -> None:
    """Refuse what another schema version wrote.

    Raises
    ------
    SchemaVersionError
        If the version isn't one that this program reads.
    """
    if version not in READ_VERSIONS:
        newer = isinstance(version, int) and version > SCHEMA_VERSION
        raise SchemaVersionError(
            f"it has schema version {version}; this program reads versions {' and '.join(map(str, READ_VERSIONS))}.",
            where=where,
            hint="Update dlif." if newer else "Run the study again into a new store.",
        )


def require_status(status: str, reason: str, *, where: object) -> None:
    """Refuse a record that doesn't say why there is no result.

    Raises
    ------
    StoreError
        If the status is unknown, or is not success and has no reason.
    """
    if status not in get_args(Status):
        raise StoreError(f"{status!r} is not a status.", where=where, hint=f"Use one of {', '.join(get_args(Status))}.")
    if status != "success" and not reason:
        raise StoreError(f"a product with status {status!r} needs a reason.", where=where, hint="Say why.")
