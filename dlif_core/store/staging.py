"""Writing a product: a staging area, and the protocol that makes its content a product.

A product is written in its staging area, checked, sealed there with its marker, and only then put in place. As soon
as the staged product has its marker, any process can finish the publication (`recover`). On a local filesystem the old
product is renamed away and the new one renamed into its place. On other filesystems the old one is removed marker
first, and the new one copied marker last, from a staged product that stays complete until the copy is.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any, Self

from dlif_core.errors import StoreError
from dlif_core.finite import require_finite
from dlif_core.store.fingerprint import Fingerprint
from dlif_core.store.folder import Folder
from dlif_core.store.layout import (
    GROUP_FILE,
    MARKER_FILE,
    PACK_FILE,
    SCHEMA_VERSION,
    Area,
    is_in_zarr,
    parent_groups,
    require_path,
)
from dlif_core.store.marker import Marker, Status, require_status
from dlif_core.store.owner import Owner

if TYPE_CHECKING:
    import xarray as xr
    from numpy.typing import DTypeLike

    from dlif_core.store.pack import Content

#: Largest dataset that goes into a pack [bytes in memory]: a pack is read as a whole.
_SMALL = 16_000_000

_EMPTY_GROUP = b'{\n  "attributes": {},\n  "zarr_format": 3,\n  "node_type": "group"\n}\n'


class Staging:
    """A product that is being written; made by `Store.stage`.

    Parameters
    ----------
    folder
        The store's folder.
    name
        Name of the product.
    shared
        Whether other machines write to it, too.
    """

    def __init__(self, folder: Folder, name: str, shared: bool = True) -> None:
        self._folder = folder
        self._draft = folder if shared else folder.draft()
        self._area = Area(name)
        self._began = time.time()
        self._has_group = False
        self._pack: Content = {}
        self._before = self._committed() if shared else None
        self._owner = Owner.current().to_json()
        folder.write(self._area.owner, self._owner)

    def __enter__(self) -> Self:
        """Write in a block: where it ends by an exception, the staging area is free for the next try at once."""
        return self

    def __exit__(self, kind: type[BaseException] | None, fault: object, trace: object) -> None:
        if kind is not None:
            discard(self._folder, self._area)

    @property
    def name(self) -> str:
        """Name of the product."""
        return self._area.name

    @property
    def uri(self) -> str:
        """URI that workers write to with `write_shard`."""
        return self._draft.uri(self._area.product)

    def _require_group(self) -> None:
        from dlif_core.store import arrays

        if not self._has_group:
            arrays.create_group(self.uri)
        self._has_group = True

    def write_dataset(self, dataset: xr.Dataset, group: str = "", may_miss: Sequence[str] = ()) -> None:
        """Write a dataset. A small one of a scan is kept until the product is published, and goes into its pack.

        Parameters
        ----------
        dataset
            Attributes may be text, numbers and lists of them. Encodings are dropped.
        group
            Group below the product, or "" for the product itself.
        may_miss
            Names of variables whose values may be NaN, which means missing; with ``*`` and ``?``.

        Raises
        ------
        NotFiniteError
            If a value of another variable is not finite.
        """
        from dlif_core.store import arrays

        require_finite(dataset, may_miss, where=self._area.name)
        is_packed = is_in_zarr(self.name) and dataset.nbytes <= _SMALL
        if not is_packed:
            self._require_group()
        target = self._pack if is_packed else self.uri
        arrays.write_dataset(target, dataset, require_path(group, where=self.uri) if group else "")

    def describe(self, attributes: Mapping[str, Any]) -> None:
        """Give attributes to the arrays that `create_array` makes."""
        from dlif_core.store import arrays

        self._require_group()
        arrays.set_attributes(self.uri, attributes)

    def create_array(
        self,
        name: str,
        *,
        shape: Sequence[int],
        shards: Sequence[int],
        chunks: Sequence[int],
        dims: Sequence[str],
        dtype: DTypeLike = "float32",
        attrs: Mapping[str, Any] | None = None,
        fill_value: float | None = None,
    ) -> None:
        """Make a sharded array that `write_shard` fills; each of its shards must be written.

        Parameters
        ----------
        name
            Name of the array, or its path below the product.
        shape, shards, chunks
            One number a dimension; for images from `image_chunking`.
        dims
            Name of each dimension.
        dtype
            Type of the values.
        attrs
            ``units``, ``long_name`` …
        fill_value
            Zarr fill value; None is zero. Nothing is left at it: a shard that isn't written stops the publication.
        """
        from dlif_core.store import arrays

        self._require_group()
        arrays.create_array(
            self.uri,
            require_path(name, where=self.uri),
            shape=shape,
            shards=shards,
            chunks=chunks,
            dims=dims,
            dtype=dtype,
            attrs=attrs or {},
            fill_value=fill_value,
        )

    def write_text(self, file: str, text: str) -> None:
        """Write a file of text, such as a report, in UTF-8."""
        self._draft.write(f"{self._area.product}/{require_path(file, where=self.uri)}", text.encode())

    def write_bytes(self, file: str, content: bytes) -> None:
        """Write a file of another format; ``/`` in its name stands for folders."""
        self._draft.write(f"{self._area.product}/{require_path(file, where=self.uri)}", content)

    def write_part(self, number: int, datasets: Mapping[str, xr.Dataset]) -> None:
        """Leave a part of what the product will be made of; it is gone with the staging area.

        Parameters
        ----------
        number
            Place among the parts.
        datasets
            The datasets of the part by the name of their group.
        """
        from dlif_core.store import arrays
        from dlif_core.store.pack import packed

        content: Content = {}
        for group, dataset in datasets.items():
            arrays.write_dataset(content, dataset, group)
        arrays.seal(content, {})
        self._folder.write(f"{self._area.parts}/{number:06}.zarr.zip", packed(content))

    def parts(self) -> Iterator[Callable[[str], xr.Dataset]]:
        """Read what was left: of every part, in order, a function that gives the dataset of a group."""
        from dlif_core.store import arrays

        for name in self._folder.files(self._area.parts):
            key = f"{self._area.parts}/{name}"
            yield partial(arrays.open_part, self._folder.read(key), self._folder.uri(key))

    def publish(
        self,
        fingerprint: Fingerprint,
        *,
        status: Status = "success",
        reason: str = "",
        where: str = "",
        hint: str = "",
        warnings: Sequence[str] = (),
        findings: Sequence[Mapping[str, Any]] = (),
        seconds: float | None = None,
        read_back: bool = True,
    ) -> Marker:
        """Check what was written and make it the product.

        Parameters
        ----------
        fingerprint
            Everything the product was computed from.
        status, reason, where, hint
            Given if there is no result; see `Marker`.
        warnings
            Warnings that a user of the result must know.
        findings
            What checks of the data found, as plain values.
        seconds
            How long it took [s]; by default since `Store.stage`.
        read_back
            False where the writers of shards have read them back.

        Raises
        ------
        StoreError
            If a shard was not written or can't be read back, or another process, on whatever machine, has begun to
            write the product meanwhile; the old product stays.
        """
        require_status(status, reason, where=self.name)
        self._draft.clear_partial(self._area.product)
        self._seal(fingerprint, read_back)
        marker = Marker(
            product=self.name,
            fingerprint=fingerprint.digest,
            parts=fingerprint.parts,
            content=self._draft.digest(self._area.product),
            created=datetime.now(UTC).isoformat(timespec="seconds"),
            seconds=round(time.time() - self._began if seconds is None else seconds, 3),
            status=status,
            reason=reason,
            where=where,
            hint=hint,
            warnings=tuple(warnings),
            findings=tuple(findings),
        )
        self._draft.flush(self._area.product)
        self._require_own()
        self._draft.write(f"{self._area.product}/{MARKER_FILE}", marker.to_json())
        self._send() if self._draft is not self._folder else _put_in_place(self._folder, self._area)
        return marker

    def alone(self) -> Staging:
        """The same staging area for one process that writes all of the product.

        What it writes stays on its machine until the product is complete, where every file that is written elsewhere
        costs several requests. It is this object if others have written to the product.
        """
        if self._folder.files(self._area.product):
            return self
        mine = copy.copy(self)
        mine._draft = self._folder.draft()
        return mine

    def was_published(self, fingerprint: Fingerprint) -> bool:
        """Whether a worker that was killed before it could say so has published the product from here.

        What it had sealed and not yet put in place is put there now.
        """
        if self._folder.exists(f"{self._area.product}/{MARKER_FILE}"):
            _put_in_place(self._folder, self._area)
            return True
        now = self._committed()
        if now is None or now == self._before:
            return False
        discard(self._folder, self._area)
        return Marker.from_json(now, where=self._folder.uri(self.name)).fingerprint == fingerprint.digest

    def _committed(self) -> bytes | None:
        """The marker in the place of the product."""
        key = f"{self._area.name}/{MARKER_FILE}"
        return self._folder.read_all([key]).get(key)

    def _require_own(self) -> None:
        """Refuse to publish from an area that another process has taken over, because it took this one for dead."""
        if self._folder.read_all([self._area.owner]).get(self._area.owner) != self._owner:
            raise StoreError(
                "another process has begun to write this product.",
                where=self._folder.uri(self.name),
                hint="Let one run at a time work on a study; run it again to see how it stands.",
            )

    def _send(self) -> None:
        """Send a draft to its place at once where that is free, so that nothing can be lost; else to staging."""
        folder, area = self._folder, self._area
        if folder.exists(f"{area.name}/{MARKER_FILE}"):
            folder.receive(self._draft, area.product, area.product)
            _put_in_place(folder, area)
        else:
            _make_parents(folder, area, self._draft)
            folder.remove(area.name)
            folder.receive(self._draft, area.product, area.name)
            discard(folder, area)

    def _seal(self, fingerprint: Fingerprint, read_back: bool) -> None:
        attributes = {"fingerprint": fingerprint.digest, "schema_version": SCHEMA_VERSION}
        # another process may have made the arrays
        has_group = self._has_group or self._draft.exists(f"{self._area.product}/{GROUP_FILE}")
        if not has_group and not self._pack:
            return
        from dlif_core.store import arrays
        from dlif_core.store.pack import packed

        both = has_group and bool(self._pack)
        if has_group:
            arrays.seal(self.uri, attributes, beside=both)
        if self._pack:
            arrays.seal(self._pack, attributes, beside=both)
            self._draft.write(f"{self._area.product}/{PACK_FILE}", packed(self._pack))
        arrays.require_complete(self.uri, read_back=read_back)


def _make_parents(folder: Folder, area: Area, written: Folder) -> None:
    """Make the groups above a product that is itself a group; a pack needs none."""
    has_group = written.exists(f"{area.product}/{GROUP_FILE}")
    for group in parent_groups(area.name) if has_group else ():
        if not folder.exists(f"{group}/{GROUP_FILE}"):
            folder.create(f"{group}/{GROUP_FILE}", _EMPTY_GROUP)


def _put_in_place(folder: Folder, area: Area) -> None:
    _make_parents(folder, area, folder)
    folder.withdraw(area.name, area.replaced)
    folder.place(area.product, area.name)
    discard(folder, area)


def recover(folder: Folder, area: Area) -> None:
    """Finish what a killed process left: publish a complete product, delete anything else."""
    if folder.exists(f"{area.product}/{MARKER_FILE}"):
        _put_in_place(folder, area)
    else:
        discard(folder, area)


def discard(folder: Folder, area: Area) -> None:
    """Empty a staging area, marker first, so that a half-removed product is never published."""
    folder.remove(area.root, first=f"{area.product}/{MARKER_FILE}")


def owner_of(folder: Folder, area: Area) -> Owner | None:
    """The process that writes in a staging area, or None."""
    try:
        return Owner.from_json(folder.read(area.owner))
    except FileNotFoundError:
        return None


def require_free(folder: Folder, area: Area) -> None:
    """Refuse a staging area in which another process of this machine writes.

    Raises
    ------
    StoreError
        If that process is alive.
    """
    owner = owner_of(folder, area)
    if owner and owner.is_known_alive and not owner.is_this_process:
        raise StoreError(
            f"process {owner.pid} is writing this product.",
            where=folder.uri(area.name),
            hint="Wait until it is done, or stop it.",
        )
