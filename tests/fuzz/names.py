"""Mutations of names and of what lies under them: files renamed, moved, doubled, linked, gone, or no files at all."""

from __future__ import annotations

import os
import random
import shutil
from collections.abc import Callable
from pathlib import Path

from tests.fuzz.change import Done, Mutation, NotPossibleError, choices

_DATA = "*"
_JUNK = choices(".DS_Store|Thumbs.db|._{}|~${}|.{}.swp|{}~|{}.bak|Copy of {}|{} (1)|#{}#|{}.tmp")
#: Another name of a file of a scan: what is replaced in its name, and by what.
_REPLACED = (
    *(("_", "-"), ("sub-0", "sub-"), ("sub-0", "sub-é"), ("01", "02"), ("02", "01"), ("recording-", "")),
    *(("_pet", "_PET"), ("_blood", "_blood_v2"), (".", " ."), (".json", ".JSON"), (".tsv", ".tsv.txt"), (".gz", "")),
    *(("sub-01_", "sub-01_run-2_"), ("sub-01_", "sub-01_trc-x_"), ("sub-01_", "sub-01_ses-b_"), ("sub", "Sub")),
)
_NAMES = ("Copy of {}", "-{}", "a\n{}", "x" * 200 + "{}", "{}.txt")


def renamed(rng: random.Random, path: Path) -> str:
    new = rng.choice((*(path.name.replace(*pair) for pair in _REPLACED), *(name.format(path.name) for name in _NAMES)))
    target = path.with_name(new)
    if target == path or target.exists():
        raise NotPossibleError
    path.rename(target)
    return f"→ {new!r:.60}"


def moved(rng: random.Random, path: Path) -> str:
    root = _root(path)
    folders = (root, root / "sub-01", root / "sub-02/pet", root / "new", path.parent / "pet")
    folder = rng.choice([one for one in folders if one != path.parent])
    folder.mkdir(parents=True, exist_ok=True)
    if (folder / path.name).exists():
        raise NotPossibleError
    path.rename(folder / path.name)
    return f"→ {folder.relative_to(root)}"


def copied(rng: random.Random, path: Path) -> str:
    pairs = (("_", "_run-2_"), ("manual", "hand"), (".gz", ""), ("sub-0", "xsub-0"))
    new = rng.choice((*(path.name.replace(*pair) for pair in pairs), *(name.format(path.name) for name in _JUNK)))
    target = path.with_name(new)
    if target.exists():
        raise NotPossibleError
    shutil.copy2(path, target)
    return f"→ {new!r}"


def deleted(rng: random.Random, path: Path) -> str:
    path.unlink()
    return ""


def linked(rng: random.Random, path: Path) -> str:
    """A link in place of a file: to itself, to nothing, to a folder, to a device, or to the file, elsewhere."""
    aim = rng.choice(("itself", "nothing", "folder", "device", "elsewhere"))
    if aim == "elsewhere":
        kept = _root(path).parent / f"annex-{rng.randrange(10**9)}{path.suffix}"
        path.rename(kept)
    else:
        path.unlink()
        kept = {
            "itself": path,
            "nothing": Path("../.git/annex/xx"),
            "folder": path.parent,
            "device": Path("/dev/zero"),
        }[aim]
    path.symlink_to(kept)
    return aim


def no_file(rng: random.Random, path: Path) -> str:
    """A folder, a pipe or an enormous hole in place of a file."""
    path.unlink()
    way = rng.choice(("folder", "pipe", "hole"))
    if way == "folder":
        path.mkdir()
    elif way == "pipe":
        os.mkfifo(path)
    else:
        with path.open("wb") as file:
            file.truncate(3 * 2**30)
    return way


def folder_changed(rng: random.Random, path: Path) -> str:
    """Something of the folder of a file: renamed, gone, linked into itself, or with another's name."""
    folder, way = path.parent, rng.choice(("renamed", "gone", "loop", "link", "junk", "deep"))
    if folder == _root(path) or not folder.is_dir():
        raise NotPossibleError
    if way == "renamed":
        target = folder.with_name(rng.choice(("PET", "sub-09", "pet ", "pét", "pet\n", "ses-1", "x" * 250)))
        if target.exists():
            raise NotPossibleError
        folder.rename(target)
    elif way == "gone":
        shutil.rmtree(folder)
    elif way == "link":
        kept = _root(path).parent / f"kept-{rng.randrange(10**9)}"
        folder.rename(kept)
        folder.symlink_to(kept)
    elif way == "deep":
        (folder / "/".join("d" * 60)).mkdir(parents=True)
    else:
        target = folder / ("loop" if way == "loop" else ".git")
        if target.exists():
            raise NotPossibleError
        target.symlink_to(folder)
    return way


def _root(path: Path) -> Path:
    return next(parent for parent in path.parents if parent.name == "bids")


def _of_name(change: Callable[[random.Random, Path], str]) -> Mutation:
    def mutate(rng: random.Random, path: Path) -> Done:
        if not path.is_file() or path.is_symlink() or path.name == "study.yaml":
            raise NotPossibleError
        return change(rng, path), ""

    return Mutation(f"name: {change.__name__}", _DATA, mutate)


MUTATIONS = tuple(map(_of_name, (renamed, renamed, moved, deleted, folder_changed, copied, linked, no_file)))
#: Who takes a file away, or gives it another name, has said what belongs to a scan: its absence is no fault.
MAY_VANISH = frozenset(f"name: {change.__name__}" for change in (renamed, moved, deleted, folder_changed))
