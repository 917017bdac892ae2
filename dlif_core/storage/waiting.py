"""How long this process waits for a storage that doesn't answer."""

from __future__ import annotations

import logging
import multiprocessing
import os
import random
import time
from dataclasses import dataclass, field

from dlif_core.errors import ConfigurationError

_LOG = logging.getLogger(__name__)

#: Environment variable: how long a storage that has stopped answering is waited for [s].
WAIT = "DLIF_STORAGE_WAIT"
_WAIT_SECONDS = 300.0

#: Wait before the next try [s]: grows from the first to the second.
_SHORTEST, _LONGEST = 0.2, 5.0

#: A storage that has never answered this process is tried for this long [s]: its address is probably wrong.
_FIRST_CONTACT = 2.0

#: Silence is told once it has lasted for the first time, and again after each of the second [s].
_TOLD_AFTER, _TOLD_EVERY = 5.0, 60.0


def longest_wait() -> float:
    """How long a storage is waited for [s].

    Raises
    ------
    ConfigurationError
        If the environment variable is no number of seconds.
    """
    text = os.environ.get(WAIT, "")
    try:
        seconds = float(text or _WAIT_SECONDS)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds < float("inf"):
        raise ConfigurationError(f"{text!r} is no number of seconds.", where=WAIT, hint="Give 300, for instance.")
    return seconds


class AnswerLostError(FileExistsError):
    """A file that should be created is there; it may be this process's own, of a request whose answer was lost."""


@dataclass
class Silence:
    """State of a storage that does not answer; all threads of this process wait together.

    A process that was started for work waits from its first request; one that a person started wants to be told of a
    wrong address at once.
    """

    answered: bool = field(default_factory=lambda: multiprocessing.parent_process() is not None)
    _since: dict[str, float] = field(default_factory=dict)
    _told: float | None = None

    def end(self, kind: str) -> None:
        """The storage answered a request of this kind."""
        if not self.answered:
            self.answered = True
            self._since.clear()
        since = self._since.pop(kind, None)
        if since is not None and self._told is not None and not self._since:
            _LOG.warning("The storage answers again, after %.0f s.", time.monotonic() - since)
            self._told = None

    def next_try(self, kind: str, place: str, attempts: int) -> float | None:
        """Seconds to wait before the next try of a request that was not answered; None if it is given up."""
        now = time.monotonic()
        kind = kind if self.answered else ""
        silent = now - self._since.setdefault(kind, now)
        limit = longest_wait() if self.answered else min(_FIRST_CONTACT, longest_wait())
        if silent >= limit:
            return None
        if silent >= _TOLD_AFTER and (self._told is None or now - self._told >= _TOLD_EVERY):
            self._told = now
            _LOG.warning(
                "The storage does not answer (%s); waiting, for %.0f s at most (silent for %.0f s).",
                place,
                limit,
                silent,
            )
        return min(_LONGEST, _SHORTEST * 2.0 ** min(attempts - 1, 10)) * random.uniform(0.8, 1.2)
