"""Products that the tests of the store write, and the files that they leave."""

from __future__ import annotations

import fsspec
import numpy as np
import xarray as xr
from numpy.typing import NDArray

from dlif_core.store import Fingerprint, Store, blocks
from dlif_core.store.arrays import write_shard

SOURCE = "scans/sub-01.zarr/source"
MAPS = "scans/sub-01.zarr/kinetics/patlak/maps"
OLD, NEW = Fingerprint({"version": "1"}), Fingerprint({"version": "2"})
SHAPE, SHARDS, CHUNKS = (3, 40, 20, 20), (3, 32, 32, 32), (3, 16, 16, 16)


def files(uri: str) -> dict[str, bytes]:
    fs, path = fsspec.url_to_fs(uri, use_listings_cache=False)
    return {name[len(path) + 1 :]: fs.cat_file(name) for name in fs.find(path)}


def overwrite(uri: str, data: bytes) -> None:
    fs, path = fsspec.url_to_fs(uri)
    fs.makedirs(fs._parent(path), exist_ok=True)
    fs.pipe_file(path, data)


def curve(values: list[float]) -> xr.Dataset:
    return xr.Dataset(
        {"plasma": ("time", values, {"units": "Bq/mL"})}, coords={"time": ("time", np.arange(len(values)))}
    )


def publish_curve(store: Store, values: list[float], fingerprint: Fingerprint = OLD, name: str = SOURCE) -> None:
    staging = store.stage(name)
    staging.write_dataset(curve(values))
    staging.publish(fingerprint)


def publish_image(store: Store, name: str = SOURCE) -> NDArray[np.float32]:
    image = np.random.default_rng(1).normal(size=SHAPE).astype("float32")
    staging = store.stage(name)
    staging.create_array(
        "activity", shape=SHAPE, shards=SHARDS, chunks=CHUNKS, dims=("frame", "z", "y", "x"), attrs={"units": "Bq/mL"}
    )
    staging.write_dataset(xr.Dataset(coords={"frame_start": ("frame", [0.0, 5.0, 9.0], {"units": "s"})}))
    for region in blocks(SHAPE, SHARDS):
        write_shard(staging.uri, "activity", region, image[region])
    staging.publish(OLD)
    return image
