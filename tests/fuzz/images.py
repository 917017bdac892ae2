"""Mutations of NIfTI images: the gz stream, the header field by field and bit by bit, voxels and frames."""

from __future__ import annotations

import gzip
import io
import random
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from nibabel.nifti1 import Nifti1Header
from numpy.typing import NDArray

from tests.fuzz.change import Done, Mutation, NotPossibleError, numbers_unseen
from tests.fuzz.text import BYTES

_PATTERN = "*.nii*"
_HEADER, _FIRST = 348, 352
_ODD_NUMBERS = (
    0,
    1,
    -1,
    2,
    7,
    127,
    -32768,
    32767,
    2**31 - 1,
    float("nan"),
    float("inf"),
    -1e30,
    1e30,
    1e-30,
    0.5,
    1e3,
    1e6,
)


def _read(path: Path) -> bytes:
    data = path.read_bytes()
    if data[:2] != b"\x1f\x8b":
        return data
    try:
        return gzip.decompress(data)
    except (OSError, EOFError, ValueError) as fault:
        raise NotPossibleError from fault
    except Exception as fault:  # zlib.error of a stream that an earlier change spoilt
        raise NotPossibleError from fault


def _write(path: Path, content: bytes) -> None:
    path.write_bytes(gzip.compress(content, 1, mtime=0) if path.suffix == ".gz" else content)


def _sound_header(content: bytes) -> Nifti1Header:
    try:
        header = Nifti1Header(content[:_HEADER], check=False)
    except Exception as fault:  # any way in which an earlier change spoilt it
        raise NotPossibleError from fault
    if header["sizeof_hdr"] != _HEADER or not header["magic"].item().startswith(b"n+1"):
        raise NotPossibleError
    return header


def _scale_unseen(old: Nifti1Header, new: Nifti1Header) -> str:
    """Another scale of about the same size is one that the scanner might have written."""
    slopes = float(old["scl_slope"]), float(new["scl_slope"])
    if slopes[0] != slopes[1] and slopes[0] > 0:
        return numbers_unseen(*slopes)
    shift = abs(float(new["scl_inter"]) - float(old["scl_inter"]))
    return "an offset within the range of the image" if 0 < shift <= 65536 * abs(slopes[0]) else ""


def _stream(change: Callable[[random.Random, bytes], bytes]) -> Mutation:
    def mutate(rng: random.Random, path: Path) -> Done:
        path.write_bytes(change(rng, path.read_bytes()))
        return f"{path.stat().st_size} bytes", "" if path.suffix == ".gz" else "voxels within the range of the image"

    return Mutation(f"stream: {change.__name__}", _PATTERN, mutate)


def _gz_spelled(rng: random.Random, path: Path) -> Done:
    """The same content in other gz streams, or in none; or more content than the header says."""
    content = _read(path)
    half = len(content) // 2
    ways: dict[str, Callable[[], bytes]] = {
        "two members": lambda: gzip.compress(content[:half]) + gzip.compress(content[half:]),
        "zeros behind": lambda: gzip.compress(content) + bytes(512),
        "twice": lambda: gzip.compress(gzip.compress(content)),
        "not compressed": lambda: content,
        "with a name": lambda: _with_name(content),
        "much more than its header says": lambda: gzip.compress(content + bytes(200 * 2**20), 1),
        "another image behind": lambda: gzip.compress(content) * 2,
    }
    way = rng.choice(list(ways))
    path.write_bytes(ways[way]())
    return way, ""


def _with_name(content: bytes) -> bytes:
    stream = io.BytesIO()
    with gzip.GzipFile("a name ü.nii", "wb", fileobj=stream, mtime=1) as file:
        file.write(content)
    return stream.getvalue()


def _header_bit(rng: random.Random, path: Path) -> Done:
    content = bytearray(_read(path))
    old = _sound_header(bytes(content))
    at = rng.randrange(_FIRST)
    content[at] ^= 1 << rng.randrange(8)
    _write(path, bytes(content))
    new = Nifti1Header(bytes(content[:_HEADER]), check=False)
    return f"byte {at}", _scale_unseen(old, new)


def _header_field(rng: random.Random, path: Path) -> Done:
    content = _read(path)
    old = _sound_header(content)
    new = old.copy()
    name = rng.choice([name for name in new.template_dtype.names if np.issubdtype(new[name].dtype, np.number)])
    field: NDArray[Any] = np.atleast_1d(np.array(new[name]))
    value = rng.choice((*_ODD_NUMBERS, 10 * float(field.flat[0]), -float(field.flat[0])))
    with np.errstate(all="ignore"):
        field.flat[rng.randrange(field.size)] = np.array([value]).astype(field.dtype)[0]
    new[name] = field.reshape(np.shape(old[name]))
    _write(path, new.binaryblock + content[_HEADER:])
    return f"{name} = {new[name]}", _scale_unseen(old, new)


def _swapped_bytes(rng: random.Random, path: Path) -> Done:
    """The whole image in the other byte order, or its header alone."""
    content = _read(path)
    header = _sound_header(content)
    voxels = content[_FIRST:]
    size = header.get_data_dtype().itemsize
    whole = rng.random() < 0.5 and size > 1 and len(voxels) % size == 0
    swapped = np.frombuffer(voxels, f"V{size}").view(f"i{size}").byteswap().tobytes() if whole else voxels
    _write(path, header.as_byteswapped().binaryblock + content[_HEADER:_FIRST] + swapped)
    return "whole" if whole else "header", ""


def _extension(rng: random.Random, path: Path) -> Done:
    """Blanks between the header and the voxels, with the right offset or a wrong one."""
    content = _read(path)
    header = _sound_header(content).copy()
    size, said = rng.choice((16, 1024, 10**6)), rng.choice((True, True, False))
    header["vox_offset"] = _FIRST + (size if said else 0)
    block = b"\1\0\0\0" + struct.pack("<ii", size, 4) + bytes(size - 8)
    _write(path, header.binaryblock + block + content[_FIRST:])
    return f"{size} bytes, {'said' if said else 'not said'}", "" if said else "voxels within the range of the image"


def _values(path: Path) -> tuple[Nifti1Header, NDArray[Any]]:
    content = _read(path)
    header = _sound_header(content)
    try:
        kind, shape = header.get_data_dtype(), header.get_data_shape()
        return header, np.frombuffer(content[_FIRST:], kind).reshape(shape, order="F").copy()
    except Exception as fault:  # a header that an earlier change spoilt
        raise NotPossibleError from fault


def _store(path: Path, header: Nifti1Header, values: NDArray[Any]) -> None:
    new = header.copy()
    new.set_data_dtype(values.dtype)
    new.set_data_shape(values.shape)
    slope, intercept = header["scl_slope"], header["scl_inter"]
    new["scl_slope"], new["scl_inter"], new["vox_offset"] = slope, intercept, _FIRST
    _write(path, new.binaryblock + bytes(_FIRST - _HEADER) + values.tobytes(order="F"))


_TYPES = (np.float32, np.float64, np.int32, np.uint16, np.int64, np.uint8, np.int8, np.complex64, np.float16)


def _retyped(rng: random.Random, path: Path) -> Done:
    """Numbers of another type, which may not hold them."""
    header, values = _values(path)
    kind = rng.choice(_TYPES)
    with np.errstate(all="ignore"):
        changed = values.astype(kind)
    try:
        _store(path, header, changed)
    except Exception as fault:  # NIfTI has no such type
        raise NotPossibleError from fault
    return np.dtype(kind).name, ""


def _voxels(rng: random.Random, path: Path) -> Done:
    """Some voxels are not numbers, or some that the image might hold."""
    header, values = _values(path)
    values = values.astype(np.float32)
    value = rng.choice((float("nan"), float("inf"), -1e30, 1e30, 0.0, float(values.max())))
    for _ in range(rng.choice((1, 20, values.size))):
        values.flat[rng.randrange(values.size)] = value
    _store(path, header, values)
    within = 0 <= value <= float(np.nanmax(values)) < 1e6
    return f"{value}", "voxels within the range of the image" if within else ""


def _frames(rng: random.Random, path: Path) -> Done:
    """Frames are lost, doubled, exchanged, wrapped, or in another unit than the others."""
    header, values = _values(path)
    if values.ndim != 4 or values.shape[3] < 4:
        raise NotPossibleError
    way = rng.choice(
        ("dropped", "doubled", "zeroed", "scaled", "down", "nan", "exchanged", "wrapped", "negative", "half")
    )
    at, values = rng.randrange(values.shape[3]), values.astype(np.float32)
    other, unseen = rng.randrange(values.shape[3]), ""
    if way == "dropped":
        values = np.delete(values, at, axis=3)
    elif way == "doubled":
        values = np.insert(values, at, values[..., at], axis=3)
    elif way == "exchanged":
        values[..., [at, other]] = values[..., [other, at]]
        unseen = _order_unseen(values, at, other)
    elif way == "wrapped":
        values[..., at] = np.where(
            values[..., at] > values[..., at].max() / 2, values[..., at] - 65536, values[..., at]
        )
    else:
        by = {"zeroed": 0.0, "scaled": 1000.0, "down": 1e-3, "nan": float("nan"), "negative": -1.0, "half": 0.5}[way]
        values[..., at] *= by
        unseen = "a number of the same size" if way == "half" else ""
    _store(path, header, values)
    return f"frame {at + 1} {way}", unseen


#: Frames of the first three minutes may differ by any factor from their neighbours; later ones by less than this.
_EARLY, _JUMP = 6, 2.5


def _order_unseen(values: NDArray[Any], first: int, second: int) -> str:
    means = [float(values[..., at].mean()) + 1e-9 for at in (first, second)]
    if min(first, second) <= _EARLY or 1 / _JUMP < means[0] / means[1] < _JUMP:
        return "frames that might have been measured in this order"
    return ""


def _laid_out(rng: random.Random, path: Path) -> Done:
    """Axes are exchanged or reversed, the image is cut in space, or scaled as a whole."""
    header, values = _values(path)
    way = rng.choice(("exchanged", "reversed", "cut", "scaled", "down", "negative", "empty", "3D", "5D"))
    unseen = ""
    if way == "exchanged":
        values = np.moveaxis(values, *rng.sample(range(values.ndim), 2))
        unseen = "axes of the same length"
    elif way == "reversed":
        values, unseen = np.flip(values, axis=rng.randrange(3)), "another side of the body"
    elif way == "cut":
        values = values[:-1]
    elif way in ("scaled", "down", "negative", "empty"):
        values = values.astype(np.float32) * {"scaled": 1e3, "down": 1e-3, "negative": -1.0, "empty": 0.0}[way]
    elif values.ndim == 4:
        values = values[..., 0] if way == "3D" else values[:, :, :, None, :]
    _store(path, header, values)
    return way, unseen


MUTATIONS = (
    *map(_stream, BYTES),
    Mutation("image: gz", _PATTERN, _gz_spelled),
    *3 * (Mutation("image: header bit", _PATTERN, _header_bit),),
    *3 * (Mutation("image: header field", _PATTERN, _header_field),),
    Mutation("image: byte order", _PATTERN, _swapped_bytes),
    Mutation("image: extension", _PATTERN, _extension),
    Mutation("image: type", _PATTERN, _retyped),
    Mutation("image: voxels", _PATTERN, _voxels),
    *2 * (Mutation("image: frames", _PATTERN, _frames),),
    *2 * (Mutation("image: layout", _PATTERN, _laid_out),),
)
