"""Layout of a store: names of its files and folders, and the schema version.

::

    dlif-store.json                      format and schema version
    scans/<scan>.zarr/                   one Zarr v3 group per scan; its products are subgroups
        zarr.json
        source/                          a product: Zarr arrays, plain files, or nothing but its marker
            zarr.json  activity/ …
            commit.json                  the marker: without it the product is not there
    reports/<scan>/  cohort/…            products of plain files, or Zarr groups of their own
    .staging/<product>/                  products that are being written; never read
    .cache/                              files that can be deleted at any time
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from dlif_core.errors import StoreError

#: Version of the layout; a store of another version is refused.
SCHEMA_VERSION = 1

FORMAT = "dlif-store"
ROOT_FILE = "dlif-store.json"
MARKER_FILE = "commit.json"
GROUP_FILE = "zarr.json"
STAGING = ".staging"
DIGEST_CACHE = ".cache/digests.json"

# Characters that mean the same in a local path, an S3 key and a shell; "!" is left for staging names.
_PATH = re.compile(r"[A-Za-z0-9_+-][A-Za-z0-9._+-]*(/[A-Za-z0-9_+-][A-Za-z0-9._+-]*)*")


@dataclass(frozen=True)
class Area:
    """Folder in which a product is written before it is published; its name depends on the product only.

    Attributes
    ----------
    name
        Name of the product.
    """

    name: str

    @property
    def root(self) -> str:
        """The whole area."""
        return f"{STAGING}/{self.name.replace('/', '!')}"

    @property
    def product(self) -> str:
        """The product as it will be published."""
        return f"{self.root}/product"

    @property
    def replaced(self) -> str:
        """The product that is being replaced, on its way out."""
        return f"{self.root}/replaced"

    @property
    def owner(self) -> str:
        """File that says which process writes here."""
        return f"{self.root}/owner.json"

    @property
    def group(self) -> str:
        """Metadata of a parent group on their way into place."""
        return f"{self.root}/{GROUP_FILE}"

    @classmethod
    def from_folder(cls, folder: str) -> Area:
        """The area that has this folder name below the staging folder."""
        return cls(folder.replace("!", "/"))


def require_path(path: str, *, where: object = "") -> str:
    """Return the path if it may name a product or a file in one.

    Raises
    ------
    StoreError
        If it is empty, absolute, hidden, climbs upwards or has characters that some filesystem can't store.
    """
    if not _PATH.fullmatch(path) or MARKER_FILE in path.split("/"):
        raise StoreError(
            f"{path!r} can't be a name in the store.",
            where=where,
            hint="Use letters, digits and . _ + - in parts that are joined by /.",
        )
    return path


def ancestors(name: str) -> tuple[str, ...]:
    """Folders above a product, outermost first, the store itself left out."""
    parts = name.split("/")
    return tuple("/".join(parts[:count]) for count in range(1, len(parts)))


def parent_groups(name: str) -> tuple[str, ...]:
    """Folders above a product that are Zarr groups: the scan's ``.zarr`` and those below it."""
    return tuple(folder for folder in ancestors(name) if any(part.endswith(".zarr") for part in folder.split("/")))


def is_in_zarr(name: str) -> bool:
    """Whether the product is in a Zarr hierarchy and so must be a Zarr group itself."""
    return any(part.endswith(".zarr") for part in name.split("/"))
