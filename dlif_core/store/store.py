"""A store of products over any filesystem."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NoReturn

from dlif_core.errors import (
    ConfigurationError,
    InputError,
    ProductDamagedError,
    ProductMissingError,
    SchemaVersionError,
    StorageError,
    StoreError,
)
from dlif_core.finite import to_json
from dlif_core.store.folder import Folder
from dlif_core.store.folders import open_folder
from dlif_core.store.index import Brief, read_briefs
from dlif_core.store.layout import (
    FORMAT,
    GROUP_FILE,
    MARKER_FILE,
    PACK_FILE,
    REMAKE,
    ROOT_FILE,
    SCHEMA_VERSION,
    STAGING,
    Area,
    ancestors,
    require_path,
)
from dlif_core.store.marker import Marker, require_schema
from dlif_core.store.staging import Staging, discard, owner_of, recover, require_free

if TYPE_CHECKING:
    import xarray as xr
    import zarr


class Store:
    """Products by name; made by `open_store` or `create_store`. It can be pickled.

    Parameters
    ----------
    folder
        Root folder of the store.
    """

    def __init__(self, folder: Folder) -> None:
        self.folder = folder
        self._seen: dict[str, Marker] = {}

    def __reduce__(self) -> tuple[Any, ...]:
        return _from_uri, (self.uri,)

    @property
    def uri(self) -> str:
        """URI that opens this store again."""
        return self.folder.uri()

    def uri_of(self, name: str) -> str:
        """URI of a product; its marker says whether it is there."""
        return self.folder.uri(require_path(name, where=self.uri))

    def marker(self, name: str) -> Marker | None:
        """Marker of a product, or None if it isn't committed.

        Raises
        ------
        ProductDamagedError
            If the marker can't be read.
        """
        try:
            data = self.folder.read(f"{require_path(name, where=self.uri)}/{MARKER_FILE}")
        except FileNotFoundError:
            self._seen.pop(name, None)
            return None
        self._seen[name] = Marker.from_json(data, where=self.uri_of(name))
        return self._seen[name]

    def products(self, prefix: str = "") -> dict[str, Marker]:
        """Markers of all committed products at or below a path, by name."""
        names = self.folder.products(prefix.rstrip("/"))
        found = self.folder.read_all(f"{name}/{MARKER_FILE}" for name in names)
        markers = {key.removesuffix(f"/{MARKER_FILE}"): data for key, data in found.items()}
        return {name: Marker.from_json(markers[name], where=self.uri_of(name)) for name in sorted(markers)}

    def briefs(self, names: Iterable[str]) -> dict[str, Brief]:
        """What the markers of many products say, by name; those that aren't committed are left out.

        Raises
        ------
        ProductDamagedError
            If a marker can't be read.
        """
        return read_briefs(self.folder, names)

    def stage(self, name: str, *, shared: bool = True) -> Staging:
        """Begin to write a product, in a fresh staging area.

        Parameters
        ----------
        name
            Name of the product.
        shared
            Whether other machines write to it, too; otherwise it is sent to an object store only when it is complete.

        Raises
        ------
        StoreError
            If the name is impossible, another product is above or below it, or another live process of this machine
            writes the same product.
        """
        area = Area(require_path(name, where=self.uri))
        self._require_alone(name)
        require_free(self.folder, area)
        recover(self.folder, area)
        return Staging(self.folder, name, shared)

    def _require_alone(self, name: str) -> None:
        found = self.folder.read_all(f"{folder}/{MARKER_FILE}" for folder in ancestors(name))
        outer = [key.removesuffix(f"/{MARKER_FILE}") for key in found]
        inner = [found for found in self.folder.products(name) if found != name]
        if outer or inner:
            raise StoreError(
                f"product {(outer + inner)[0]} is in the way; a product can't contain another.",
                where=self.uri_of(name),
                hint="Choose another name.",
            )

    def delete(self, name: str) -> None:
        """Remove a product; nothing happens if it isn't there.

        Raises
        ------
        StoreError
            If another live process of this machine writes it.
        """
        area = Area(require_path(name, where=self.uri))
        require_free(self.folder, area)
        self.folder.withdraw(name, area.replaced)
        discard(self.folder, area)

    def sweep(self) -> tuple[str, ...]:
        """Publish or delete what killed processes left in staging.

        Returns
        -------
        Names of the products whose staging areas were cleared. Those of live processes are left alone, and so are
        those that a process on another machine began less than a day ago; `stage` clears these.
        """
        areas = [Area.from_folder(folder) for folder in self.folder.folders(STAGING)]
        owners = {area: owner_of(self.folder, area) for area in areas}
        dead = [area for area, owner in owners.items() if owner is None or not owner.may_be_alive]
        for area in dead:
            recover(self.folder, area)
        return tuple(area.name for area in dead)

    def verify(self, name: str) -> None:
        """Read a product's bytes and compare them with what was committed.

        Raises
        ------
        ProductMissingError
            If it isn't committed.
        ProductDamagedError
            If a file changed, vanished or was added.
        """
        marker = self.marker(name)
        if marker is None:
            raise _never_committed(self.uri_of(name))
        if self.folder.digest(name) != marker.content:
            part = self._unreadable_part(name)
            raise ProductDamagedError(
                "its files differ from those that were committed" + (f"; {part}" if part else "."),
                where=self.uri_of(name),
                hint=REMAKE,
            )

    def _unreadable_part(self, name: str) -> str:
        from dlif_core.store import arrays

        has_data = any(self.folder.exists(f"{name}/{file}") for file in (PACK_FILE, GROUP_FILE))
        return arrays.unreadable_part(self.uri_of(name)) if has_data else ""

    @contextmanager
    def blaming(self, names: Iterable[str]) -> Iterator[None]:
        """Read products in a block: a fault that comes of a damaged one of them is told as such.

        Parameters
        ----------
        names
            The products that are read; those that aren't committed are left out.

        Raises
        ------
        ProductDamagedError
            In place of any fault in the block but one of the input data or the settings, if one of the products is not
            as it was committed.
        """
        try:
            yield
        except (ConfigurationError, InputError, ProductDamagedError, StorageError):
            raise
        except Exception:
            for name in names:
                if self.marker(name) is not None:
                    self.verify(name)
            raise

    def require_whole(self, name: str) -> None:
        """Refuse a product of which a shard has vanished; without this, Zarr would read it as fill value.

        Quick: shards are counted, not read; a changed byte is noticed when it is read. Only products from before
        arrays had checksums are read and compared, as `verify` does.

        Raises
        ------
        ProductMissingError
            If it isn't committed.
        ProductDamagedError
            If a shard or its metadata is missing.
        """
        from dlif_core.store import arrays

        self._require(name)
        try:
            sealed = arrays.require_written(self.uri_of(name))
        except StorageError:
            raise
        except Exception as error:  # whatever changed bytes may lead to
            part = self._unreadable_part(name) or f"its metadata can't be read ({error})."
            raise ProductDamagedError(f"it is damaged: {part}", where=self.uri_of(name), hint=REMAKE) from error
        if not sealed:
            self.verify(name)

    def open_dataset(self, name: str, group: str = "") -> xr.Dataset:
        """A product's dataset; values are read when they are used.

        Raises
        ------
        ProductMissingError
            If the product isn't committed or has no such group.
        """
        from dlif_core.store import arrays

        marker = self._require(name)
        try:
            return arrays.open_dataset(self.uri_of(name), group)
        except (FileNotFoundError, KeyError) as error:
            self._lacks(marker, f"group {group!r}" if group else "dataset", error)

    def open_array(self, name: str, array: str) -> zarr.Array[Any]:
        """A product's array, to be read by slices.

        Raises
        ------
        ProductMissingError
            If the product isn't committed or has no such array.
        """
        from dlif_core.store import arrays

        marker = self._require(name)
        try:
            return arrays.open_array(self.uri_of(name), array)
        except (FileNotFoundError, KeyError) as error:
            self._lacks(marker, f"array {array!r}", error)

    def read_text(self, name: str, file: str) -> str:
        """Text of a product's file.

        Raises
        ------
        ProductMissingError
            If the product isn't committed or has no such file.
        """
        marker = self._require(name)
        try:
            return self.folder.read(f"{name}/{require_path(file, where=self.uri)}").decode()
        except FileNotFoundError as error:
            self._lacks(marker, f"file {file!r}", error)

    def _require(self, name: str) -> Marker:
        """Marker of a product that was committed when this store last looked."""
        marker = self._seen.get(name) or self.marker(name)
        if marker is None:
            raise _never_committed(self.uri_of(name))
        return marker

    def _lacks(self, marker: Marker, part: str, error: Exception) -> NoReturn:
        why = f"it is {marker.status}: {marker.reason}" if marker.reason else "it was committed without"
        raise ProductMissingError(
            f"it has no {part}; {why}", where=self.uri_of(marker.product), hint=marker.hint
        ) from error


def _never_committed(uri: str) -> ProductMissingError:
    return ProductMissingError("it was never committed.", where=uri, hint="Run the study.")


def _from_uri(uri: str) -> Store:
    return Store(open_folder(uri))


def open_store(uri: str) -> Store:
    """Open a store that exists.

    Parameters
    ----------
    uri
        Local path or any fsspec URL, such as ``s3://bucket/study``. Credentials and endpoint come from fsspec's
        configuration, for example the environment variable ``FSSPEC_S3_ENDPOINT_URL``.

    Raises
    ------
    StoreError
        If there is no store.
    SchemaVersionError
        If another schema version wrote it.

    Examples
    --------
    >>> import dlif_core as dlif
    >>> store = dlif.open_store("results")
    >>> list(store.products())
    ['scans/sub-01.zarr/kinetics/patlak/regions']
    >>> store.open_dataset("scans/sub-01.zarr/kinetics/patlak/regions")["Ki"].values.tolist()
    [0.029, 0.022]
    """
    folder = open_folder(uri)
    try:
        about = json.loads(folder.read(ROOT_FILE))
    except FileNotFoundError as error:
        raise StoreError("there is no dlif store.", where=uri, hint="`dlif run` creates one.") from error
    except ValueError:
        about = None
    if not isinstance(about, dict) or about.get("format") != FORMAT:
        raise SchemaVersionError(
            f"{ROOT_FILE} can't be read.", where=uri, hint="Restore it, or run the study again into a new store."
        )
    require_schema(about.get("schema_version"), where=uri)
    return Store(folder)


def create_store(uri: str) -> Store:
    """Open a store, and make it first if there is none.

    Parameters
    ----------
    uri
        Local path or fsspec URL, see `open_store`.

    Raises
    ------
    SchemaVersionError
        If another schema version wrote the store that is there.
    """
    folder = open_folder(uri)
    if not folder.exists(ROOT_FILE):
        about = {"format": FORMAT, "schema_version": SCHEMA_VERSION}
        folder.write(ROOT_FILE, (to_json(about, where=ROOT_FILE, indent=2) + "\n").encode())
    return open_store(uri)
