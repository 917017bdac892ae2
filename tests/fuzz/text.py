"""Mutations of text files by their bytes: what disks, editors and converters do to them."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

from tests.fuzz.change import Done, Mutation, text_unseen

_TEXT = "*.[jty]*"  # .json, .tsv, .yaml
_ODD = (b"\0", b"\xff\xfe", b"\xef\xbb\xbf", b"\t", b"\n", b"\r", b'"', b",", b"{", b"\\ud800", b"1e999", b"-", b"\xc3")


def flip(rng: random.Random, data: bytes) -> bytes:
    """One to four bits are another."""
    changed = bytearray(data)
    for _ in range(rng.randint(1, 4)):
        changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
    return bytes(changed)


def cut(rng: random.Random, data: bytes) -> bytes:
    """The file ends early."""
    return data[: rng.randrange(len(data))]


def hole(rng: random.Random, data: bytes) -> bytes:
    """A piece is missing."""
    start = rng.randrange(len(data))
    return data[:start] + data[start + rng.randint(1, 40) :]


def double(rng: random.Random, data: bytes) -> bytes:
    """A piece stands twice."""
    start = rng.randrange(len(data))
    end = start + rng.randint(1, 200)
    return data[:end] + data[start:end] + data[end:]


def insert(rng: random.Random, data: bytes) -> bytes:
    """Something odd stands within."""
    at = rng.randrange(len(data) + 1)
    return data[:at] + rng.choice((*_ODD, rng.randbytes(rng.randint(1, 8)))) + data[at:]


def append(rng: random.Random, data: bytes) -> bytes:
    """Something follows."""
    return data + rng.choice((*_ODD, b"\n" * 1000, data, rng.randbytes(50)))


def zeroed(rng: random.Random, data: bytes) -> bytes:
    """A block of the disk was lost."""
    start = rng.randrange(len(data))
    end = min(len(data), start + rng.randint(1, 512))
    return data[:start] + bytes(end - start) + data[end:]


def nothing(rng: random.Random, data: bytes) -> bytes:
    """Nothing is left but, perhaps, a blank."""
    return rng.choice((b"", b"\n", b" \t\r\n", b"\xef\xbb\xbf"))


def encoded(rng: random.Random, data: bytes) -> bytes:
    """Another encoding, or other ends of lines."""
    text = data.decode()
    return rng.choice(
        (
            text.encode("utf-16"),
            text.encode("utf-8-sig"),
            text.encode("utf-32"),
            text.replace("\n", "\r\n").encode(),
            text.replace("\n", "\r").encode(),
            text.replace("u", "ü").encode("latin-1"),
            text.upper().encode(),
        )
    )


BYTES = (flip, flip, cut, hole, double, insert, append, zeroed)


def _of_text(change: Callable[[random.Random, bytes], bytes]) -> Mutation:
    def mutate(rng: random.Random, path: Path) -> Done:
        old = path.read_bytes()
        new = change(rng, old)
        path.write_bytes(new)
        return f"{len(old)} to {len(new)} bytes", text_unseen(path, old, new)

    return Mutation(f"text: {change.__name__}", _TEXT, mutate)


def _rotated_digit(rng: random.Random, path: Path) -> Done:
    """One digit is another."""
    old = path.read_bytes()
    digits = [at for at, byte in enumerate(old) if 48 <= byte < 58]
    new = bytearray(old)
    if digits:
        new[rng.choice(digits)] = rng.randrange(48, 58)
    path.write_bytes(bytes(new))
    return "", text_unseen(path, old, bytes(new))


MUTATIONS = (*map(_of_text, (*BYTES, nothing, encoded)), Mutation("text: digit", _TEXT, _rotated_digit))
