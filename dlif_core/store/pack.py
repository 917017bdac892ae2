"""The pack: small datasets of a product in one file, a Zarr hierarchy in a ZIP archive.

A file for each array and its metadata would make a hundred files of some bytes for every scan. Any Zarr library opens
a pack by itself (`zarr.storage.ZipStore`). Arrays that workers write shard by shard stay beside it.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping

from zarr.core.buffer import Buffer
from zarr.core.buffer.cpu import Buffer as CpuBuffer
from zarr.storage import MemoryStore

from dlif_core.errors import ProductDamagedError
from dlif_core.store.layout import REMAKE

#: Bytes of a Zarr hierarchy, by key.
Content = dict[str, Buffer]


class PackStore(MemoryStore):
    """The hierarchy of a pack, in memory."""

    @property
    def files(self) -> list[str]:
        """Names of its files."""
        return sorted(self._store_dict)


_TIME = (1980, 1, 1, 0, 0, 0)  # the same content has the same bytes


def packed(content: Mapping[str, Buffer]) -> bytes:
    """The file that holds a hierarchy; arrays are compressed already."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for key in sorted(content):
            archive.writestr(zipfile.ZipInfo(key, _TIME), content[key].to_bytes())
    return file.getvalue()


def unpacked(data: bytes, *, where: str) -> PackStore:
    """The hierarchy that a file holds.

    Raises
    ------
    ProductDamagedError
        If its bytes have changed.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            content: Content = {key: CpuBuffer.from_bytes(archive.read(key)) for key in archive.namelist()}
    except Exception as fault:  # whatever changed bytes may lead to
        raise ProductDamagedError(f"its data can't be read ({fault}).", where=where, hint=REMAKE) from fault
    return PackStore(content, read_only=True)
