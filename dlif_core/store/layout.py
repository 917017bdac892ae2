"""Layout of a store: names of its files and folders, and the schema version.

::

    dlif-store.json                      format and schema version
    scans/<scan>.zarr/                   one Zarr v3 group per scan; products with large arrays are subgroups
        zarr.json
        source/                          a product: arrays, a pack, plain files, or nothing but its marker
            zarr.json  activity/ …       arrays of which workers write shards
            data.zarr.zip                the pack: a Zarr hierarchy of all small datasets
            commit.json                  the marker: without it the product is not there
    reports/<scan>/  cohort/…            products of plain files, or Zarr groups of their own
    exports/<scan>/<format>/             products of files in the formats of other programs
    .staging/<product>/                  products that are being written; never read
    .claims/                             which run works on which part, see `dlif_core.store.claims`
    .cache/                              files that can be deleted at any time
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass

from dlif_core.errors import StoreError

#: Version of the layout that is written; version 1, without packs, is read too. Any other is refused.
SCHEMA_VERSION = 2
READ_VERSIONS = (1, 2)

#: Version of what products hold, whatever files they lie in; a part of every fingerprint.
CONTENT_VERSION = 1

FORMAT = "dlif-store"
ROOT_FILE = "dlif-store.json"
MARKER_FILE = "commit.json"
GROUP_FILE = "zarr.json"
PACK_FILE = "data.zarr.zip"
STAGING = ".staging"
DIGEST_CACHE = ".cache/digests.json"
MARKER_CACHE = ".cache/markers.json"

#: What to do about a product that is not as it was committed.
REMAKE = "Delete this folder and run the study again."

#: Letters of names, in words for messages.
LETTERS = "the letters a to z and A to Z, digits and . _ + -"

#: Longest part of a name. With what the store adds to it, it stays below the 255 bytes of a file system.
LONGEST_PART = 128

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
    def parts(self) -> str:
        """What workers leave for the one that writes the product."""
        return f"{self.root}/parts"

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
            hint=f"Use {LETTERS}, in parts that are joined by /.",
        )
    return path


def is_part(text: str, longest: int = LONGEST_PART) -> bool:
    """Whether a text can be one part of a product's name."""
    return len(text) <= longest and "/" not in text and _PATH.fullmatch(text) is not None and text != MARKER_FILE


def part_for(text: str) -> str:
    """Part of a product's name for any text: the text itself where it can be one, else what can be read of it.

    A shortened or changed text ends with a digest of the whole, so that no two texts have the same part.

    Examples
    --------
    >>> part_for("sub-01_ses-baseline")
    'sub-01_ses-baseline'
    >>> part_for("Maus ä")
    'Maus_-ea1a86bf4ac8'
    """
    if is_part(text):
        return text
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:12]
    readable = re.sub(r"[^A-Za-z0-9._+-]+", "_", text).lstrip(".")
    return f"{readable[: LONGEST_PART - 13]}-{digest}"


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
