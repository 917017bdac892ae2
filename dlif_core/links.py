"""Links that lead out of a folder: a file there may be any file of the machine, and must not be read for data."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from functools import cache

#: What is wrong with a file that is reached by such a link, and what to do about it.
LEADS_OUT = "this is a link that leads out of the data"
MEND_LINK = (
    "Put what it leads to in its place; or, if that belongs to the data, name its folder in the study file: "
    "`data: {uri: …, links: [FOLDER]}`."
)

#: Where git-annex keeps the content of files.
_ANNEX = "/annex/objects"


class Enclosure:
    """A folder, and others into which links of it may lead.

    The annex of a git repository in which the folder lies is one of them: it holds nothing but the content of files of
    that repository.

    Parameters
    ----------
    root
        The folder.
    links
        The others.
    """

    def __init__(self, root: str, links: Iterable[str] = ()) -> None:
        self._root = root
        places = (os.path.realpath(folder) for folder in (root, *links))
        self._inside = tuple(f"{place.rstrip('/')}/" for place in (*places, *_annex(os.path.realpath(root))))
        self._real_folder = cache(os.path.realpath)  # many files lie in one folder

    def link_out(self, path: str) -> str | None:
        """The first link on the way from the folder to a file that leads out.

        None if the file lies inside, or nowhere: that it is missing is told where it is opened.
        """
        folder, name = os.path.split(path)
        place = os.path.join(self._real_folder(folder), name)
        if self._holds(os.path.realpath(place) if os.path.islink(place) else place) or not os.path.exists(place):
            return None
        return next((part for part in self._way_to(path) if not self._holds(os.path.realpath(part))), path)

    def _way_to(self, path: str) -> Iterator[str]:
        place = self._root
        for part in os.path.relpath(path, self._root).split(os.sep):
            place = os.path.join(place, part)
            yield place

    def _holds(self, place: str) -> bool:
        return f"{place}/".startswith(self._inside)


def _annex(folder: str) -> Iterator[str]:
    """The annex of the repository that holds a folder."""
    while folder != os.path.dirname(folder):
        git = os.path.join(folder, ".git")
        if os.path.lexists(git):
            annex = os.path.realpath(git) + _ANNEX
            if os.path.realpath(annex) == annex:  # one that is a link may be anything
                yield annex
            return
        folder = os.path.dirname(folder)
