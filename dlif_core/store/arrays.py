"""Zarr v3 arrays and xarray datasets at a URI, staged or published."""

from __future__ import annotations

import atexit
import functools
import warnings
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import xarray as xr
import zarr
from numpy.typing import ArrayLike, DTypeLike
from zarr.abc.codec import BytesBytesCodec
from zarr.abc.store import Store
from zarr.codecs import BloscCodec, Crc32cCodec, ZstdCodec
from zarr.core.array_spec import ArrayConfigParams
from zarr.core.sync import sync
from zarr.errors import UnstableSpecificationWarning, ZarrUserWarning
from zarr.storage import FsspecStore, LocalStore

from dlif_core.errors import StoreError
from dlif_core.storage import OPTIONS, async_s3
from dlif_core.store.chunking import Region, blocks, is_aligned
from dlif_core.store.folder import LocalFolder
from dlif_core.store.folders import open_folder
from dlif_core.store.layout import PACK_FILE
from dlif_core.store.pack import Content, PackStore, unpacked

# Chunks of fill value are written too, so that a missing shard always means that it was never computed.
_WRITE_EMPTY: ArrayConfigParams = {"write_empty_chunks": True}

#: Attribute of a pack that has arrays beside it, and of these.
_BESIDE = "in_two_parts"


def _compressors(*, text: bool = False) -> tuple[BytesBytesCodec, ...]:
    """Compression, and a checksum: a changed byte of what is compressed is otherwise read as another number."""
    packed = ZstdCodec() if text else BloscCodec(cname="zstd", clevel=3, shuffle="shuffle")
    return packed, Crc32cCodec()


def _zarr_store(uri: str) -> LocalStore | FsspecStore:
    folder = open_folder(uri)
    if isinstance(folder, LocalFolder):
        return LocalStore(folder.path)
    found = async_s3(uri)
    if found is None:
        return FsspecStore.from_url(uri, storage_options=OPTIONS)
    _close_at_exit(found[0])
    return FsspecStore(found[0], path=found[1])


@functools.cache
def _close_at_exit(fs: Any) -> None:
    """Close a connection that Zarr uses before its event loop ends."""

    async def close() -> None:
        if fs._s3 is not None:
            await fs._s3.close()

    atexit.register(lambda: sync(close()))


@contextmanager
def _known_warnings_silenced() -> Iterator[None]:
    """Silence Zarr's warnings about consolidated metadata, types not specified in v3, and plain files in a store."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Consolidated metadata", category=ZarrUserWarning)
        warnings.filterwarnings("ignore", "Object at .* is not recognized", category=ZarrUserWarning)
        warnings.simplefilter("ignore", UnstableSpecificationWarning)
        yield


def create_group(uri: str) -> None:
    """Make the root group of a product, unless it is there."""
    zarr.open_group(_zarr_store(uri), mode="a", zarr_format=3)


def write_dataset(target: str | Content, dataset: xr.Dataset, group: str) -> None:
    """Write a dataset into a group, in addition to its other arrays; text becomes UTF-8 of any length.

    Parameters
    ----------
    target
        URI of a staged product, or content of its pack.
    """
    plain = dataset.drop_encoding()
    fixed_text = [name for name, variable in plain.variables.items() if variable.dtype.kind == "U"]
    plain = plain.assign_coords({name: plain[name].astype(object) for name in fixed_text if name in plain.coords})
    plain = plain.assign({name: plain[name].astype(object) for name in fixed_text if name not in plain.coords})
    packed = {
        name: {"compressors": _compressors(text=variable.dtype.kind == "O")}
        for name, variable in plain.variables.items()
    }
    store = _zarr_store(target) if isinstance(target, str) else PackStore(target)
    with _known_warnings_silenced():
        if isinstance(target, str):
            _remove(store, group, plain.variables)
        plain.to_zarr(
            store,
            group=group or None,
            mode="a",
            encoding=packed,
            zarr_format=3,
            consolidated=False,
            write_empty_chunks=True,
        )


def _remove(store: Store, group: str, names: Iterable[Hashable]) -> None:
    """Remove arrays of a group that a killed worker has left."""
    inside = zarr.open_group(store, path=group, mode="a", zarr_format=3)
    for left in {str(name) for name in names}.intersection(inside.array_keys()):
        del inside[left]


def create_array(
    uri: str,
    name: str,
    *,
    shape: Sequence[int],
    shards: Sequence[int],
    chunks: Sequence[int],
    dims: Sequence[str],
    dtype: DTypeLike,
    attrs: Mapping[str, Any],
    fill_value: float | None,
) -> None:
    """Make a sharded array without values, in place of one that a killed worker has left."""
    zarr.create_array(
        _zarr_store(uri),
        name=name,
        shape=tuple(shape),
        shards=tuple(shards),
        chunks=tuple(chunks),
        dtype=np.dtype(dtype),
        dimension_names=tuple(dims),
        attributes=dict(attrs),
        fill_value=fill_value,
        compressors=_compressors(),
        zarr_format=3,
        overwrite=True,
    )


def write_shard(uri: str, array: str, region: Region, data: ArrayLike) -> None:
    """Write whole shards of a staged array; any process may, as long as no two write the same shard.

    Parameters
    ----------
    uri
        `Staging.uri`.
    array
        Name given to `Staging.create_array`.
    region
        One slice a dimension, from `blocks`.
    data
        Values of the region's shape.

    Raises
    ------
    StoreError
        If the region cuts a shard, or the values don't fit the region or the array's type.
    """
    target = zarr.open_array(_zarr_store(uri), path=array, mode="r+", zarr_format=3).with_config(_WRITE_EMPTY)
    values = np.asarray(data)
    where = f"{uri}/{array}"
    unit = _write_unit(target)
    if not is_aligned(region, target.shape, unit):
        raise StoreError(
            f"region {_text(region)} doesn't cover whole shards of {unit} in an array of {target.shape}.",
            where=where,
            hint="Write the regions that blocks() gives; a part of a shard would destroy what others write to it.",
        )
    if values.shape != tuple(part.stop - part.start for part in region):
        raise StoreError(f"values of shape {values.shape} don't fill region {_text(region)}.", where=where)
    if not np.can_cast(values.dtype, target.dtype, "same_kind"):
        raise StoreError(f"values of type {values.dtype} don't fit into {target.dtype}.", where=where)
    target[region] = values.astype(target.dtype, copy=False)


def _write_unit(array: zarr.Array[Any]) -> tuple[int, ...]:
    return array.shards or array.chunks


def _text(region: Region) -> str:
    return "[" + ", ".join(f"{part.start}:{part.stop}" for part in region) + "]"


def set_attributes(uri: str, attributes: Mapping[str, Any]) -> None:
    """Add attributes to the root group of a staged product."""
    zarr.open_group(_zarr_store(uri), mode="r+", use_consolidated=False).attrs.update(dict(attributes))


def seal(target: str | Content, attributes: Mapping[str, Any], *, beside: bool = False) -> None:
    """Add attributes to the root group, and consolidate the metadata of everything below it.

    Parameters
    ----------
    target
        URI of a staged product, or content of its pack.
    attributes
        What is added.
    beside
        Whether the product has both a pack and arrays.
    """
    store = _zarr_store(target) if isinstance(target, str) else PackStore(target)
    with _known_warnings_silenced():
        group = zarr.open_group(store, mode="a", zarr_format=3, use_consolidated=False)
        group.attrs.update({**attributes, **({_BESIDE: True} if beside else {})})
        zarr.consolidate_metadata(store)


def require_complete(uri: str, *, read_back: bool = True) -> None:
    """Reopen a sealed product, and see that all of it is there.

    Parameters
    ----------
    uri
        URI of the product.
    read_back
        Whether to read every shard, too.

    Raises
    ------
    StoreError
        If a shard was never written or can't be read.
    """
    for name, array, files in _arrays(uri):
        _require_written(array, name, files, f"{uri}/{name}")
        if read_back:
            _read_back(array, _regions(array), f"{uri}/{name}")


def read_back(uri: str, array: str, region: Region) -> None:
    """Read a shard that was written.

    Raises
    ------
    StoreError
        If it can't be read.
    """
    _read_back(open_array(uri, array), [region], f"{uri}/{array}")


def _read_back(array: zarr.Array[Any], regions: Iterable[Region], where: str) -> None:
    try:
        for region in regions:
            array[region]
    except (ValueError, RuntimeError, OSError) as error:
        raise StoreError(f"a shard can't be read back: {error}", where=where, hint="Check the disk.") from error


def require_written(uri: str) -> bool:
    """Count the shards of every array, which is cheap; Zarr reads one that isn't there as fill value.

    Returns
    -------
    Whether every array notices by itself, when it is read, that its bytes have changed; earlier ones don't.

    Raises
    ------
    StoreError
        If a shard is missing.
    """
    has_checksums = True
    for name, array, files in _arrays(uri):
        _require_written(array, name, files, f"{uri}/{name}")
        has_checksums &= any(isinstance(codec, Crc32cCodec) for codec in array.compressors)
    return has_checksums


def unreadable_part(uri: str) -> str:
    """What of a product can't be read, in words; empty if all of it can."""
    try:
        arrays = list(_arrays(uri))
    except Exception as fault:  # whatever changed bytes may lead to
        return f"its metadata can't be read ({fault})."
    for name, array, files in arrays:
        try:
            _require_written(array, name, files, name)
        except StoreError as fault:
            return f"array {name!r}: {fault.message}"
        try:
            _read_back(array, _regions(array), name)
        except StoreError:
            return f"array {name!r} can't be read."
    return ""


def _stores(uri: str) -> Iterator[LocalStore | FsspecStore | PackStore]:
    """What a product consists of: its pack, and the arrays beside it. Each says whether there is the other.

    Raises
    ------
    FileNotFoundError
        If there is neither, or one is lost.
    """
    data = open_folder(uri).read_all([PACK_FILE]).get(PACK_FILE)
    pack = None if data is None else unpacked(data, where=uri)
    if pack is not None:
        yield pack
    if pack is None or zarr.open_group(pack, mode="r", zarr_format=3).attrs.get(_BESIDE):
        beside = _zarr_store(uri)
        if zarr.open_group(beside, mode="r", zarr_format=3).attrs.get(_BESIDE) and pack is None:
            raise FileNotFoundError(f"{PACK_FILE} is missing")
        yield beside


def _arrays(uri: str) -> Iterator[tuple[str, zarr.Array[Any], Sequence[str]]]:
    """All arrays of a product, each with its name and the files that it may lie in."""
    with _known_warnings_silenced():
        for store in _stores(uri):
            files = store.files if isinstance(store, PackStore) else open_folder(uri).files("")
            for name, member in zarr.open_group(store, mode="r", zarr_format=3).members(max_depth=None):
                if isinstance(member, zarr.Array):
                    yield name, member, files


def _regions(array: zarr.Array[Any]) -> tuple[Region, ...]:
    return blocks(array.shape, _write_unit(array))


def _require_written(array: zarr.Array[Any], name: str, files: Sequence[str], where: str) -> None:
    """Refuse an array of which a shard is not among the files of its product: each is a file of its own."""
    shards = len(_regions(array))
    written = sum(file == f"{name}/c" or file.startswith(f"{name}/c/") for file in files)
    if written != shards:
        raise StoreError(f"{written} of {shards} shards are written.", where=where, hint="Write all of them.")


def open_array(uri: str, array: str) -> zarr.Array[Any]:
    """An array for reading by slices; KeyError or FileNotFoundError if it isn't there."""
    try:
        return zarr.open_array(_zarr_store(uri), path=array, mode="r", zarr_format=3)
    except (FileNotFoundError, KeyError):
        return zarr.open_array(next(iter(_stores(uri))), path=array, mode="r", zarr_format=3)


def open_dataset(uri: str, group: str) -> xr.Dataset:
    """A dataset whose values are read when they are used; KeyError or FileNotFoundError if it isn't there."""
    found: list[xr.Dataset] = []
    fault: Exception = FileNotFoundError(group)
    for store in _stores(uri):
        try:
            found.append(_opened(store, group))
        except (FileNotFoundError, KeyError) as error:
            fault = error
    if not found:
        raise fault
    dataset, *beside = found
    for other in beside:
        dataset = dataset.assign_coords(other.coords).assign(other.data_vars)
    return dataset


def open_part(data: bytes, where: str, group: str) -> xr.Dataset:
    """A dataset of a part, see `Staging.write_part`; KeyError or FileNotFoundError if it isn't there."""
    return _opened(unpacked(data, where=where), group)


def _opened(store: LocalStore | FsspecStore | PackStore, group: str) -> xr.Dataset:
    with _known_warnings_silenced():
        dataset: xr.Dataset = xr.open_zarr(
            store, group=group or None, chunks=None, consolidated=True, decode_timedelta=False, zarr_format=3
        )
    return dataset
