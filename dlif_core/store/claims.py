"""Claims: which run works on which part of a store, so that several share one study and none does another's work.

::

    .claims/runs/<run>             who a run is, and a number that grows while it lives
    .claims/parts/<part>           the claim of a part: the run that has it, and a token
    .claims/parts/<part>!<token>   the claim that follows one whose run is dead, named by that one's token

All that this asks of a filesystem is that a file can be written unless one is there (`Folder.create`). A claim is never
changed. The last of a chain is the valid one: who finds its run dead creates the next one, and of several that try, one
succeeds. A part is given back by removing its chain, first claim first; a claim whose forerunners are gone is void.

Nobody compares clocks. A run is dead when its file is gone, when its process is known to be, or when its number stood
still for `PATIENCE_S` under the eyes of another run, which then removes the file. A run that was only asleep finds the
file missing when it wakes, and so knows that it has lost all claims.
"""

from __future__ import annotations

import json
import threading
import time
import uuid
import zlib
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import asdict
from typing import NamedTuple, Self

from dlif_core.errors import StorageError
from dlif_core.store.folder import Folder
from dlif_core.store.owner import Owner

#: How often a run says that it is alive [s], and how long another waits for that before it takes the run for dead [s].
RENEWAL_S = 10.0
PATIENCE_S = 60.0

_FOLDER = ".claims"
_RUNS, _PARTS = f"{_FOLDER}/runs", f"{_FOLDER}/parts"
_NEXT = "!"


#: Who a run is of which nothing can be read.
_STRANGER = Owner(host="a machine that can't be read of", pid=1, started=0.0, since=0.0)


class _Claim(NamedTuple):
    key: str
    run: str
    token: str


class _Watch(NamedTuple):
    """What was seen of a run: its number, since when it stands still, the last look, and whether it ever moved."""

    beat: int
    since: float
    looked: float
    moved: bool


class Claims:
    """The claims of one run, which are given back at the end of a ``with`` block.

    Parameters
    ----------
    folder
        Folder of the store.
    renewal, patience
        See `RENEWAL_S` and `PATIENCE_S`.
    """

    def __init__(self, folder: Folder, *, renewal: float = RENEWAL_S, patience: float = PATIENCE_S) -> None:
        self._folder = folder
        self._renewal, self._patience = renewal, patience
        self._run = ""
        self._owner = Owner.current()
        self._beat = 0
        self._renewed = 0.0
        self._held: dict[str, list[_Claim]] = {}
        self._watched: dict[str, _Watch] = {}
        self._lock = threading.RLock()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._keep_alive, name="claims", daemon=True)

    def __enter__(self) -> Self:
        for run in self._folder.files(_RUNS):
            if not run.startswith("."):  # such a file is being written
                self._owner_alive(run)
        self._sign_in()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()
        for name in list(self._held):
            self.give_back(name)
        self._folder.remove(f"{_RUNS}/{self._run}")

    def take(self, name: str) -> Owner | None:
        """Claim a part of the store; one of a dead run is taken over.

        Parameters
        ----------
        name
            The part, as a path.

        Returns
        -------
        None if it is this run's now, else who has it.
        """
        while True:
            chain = self._chain(name)
            run = chain[-1].run if chain else ""
            if run == self._run:
                return None
            owner = self._owner_alive(run) if run else None
            if owner is not None:
                return owner
            if self._append(name, chain):
                return None

    def give_back(self, name: str) -> None:
        """Let others have a part; nothing happens if it isn't this run's."""
        with self._lock:
            chain = self._held.pop(name, [])
        for claim in chain if chain == self._chain(name) else []:
            self._folder.remove(claim.key)

    def has(self, name: str) -> bool:
        """Whether a part is still this run's: one that slept too long has lost it."""
        if self._overslept:
            self._renew()
        with self._lock:
            return name in self._held

    def owner(self, name: str) -> Owner | None:
        """Who has a part, this run or another that may be alive."""
        chain = self._chain(name)
        return self._owner_alive(chain[-1].run) if chain and chain[-1].run else None

    def taken(self) -> frozenset[str]:
        """Names of all parts that some run, alive or dead, has claimed."""
        names = (key.partition(_NEXT)[0] for key in self._folder.files(_PARTS))
        return frozenset(name for name in names if not name.rpartition("/")[2].startswith("."))

    @classmethod
    def clear_traces(cls, folder: Folder) -> None:
        """Forget runs of a store that are known to be dead, and their claims, where nobody has anything to do."""
        if folder.files(_FOLDER):
            with suppress(StorageError, OSError), cls(folder) as claims:  # what can't be written stays as it is
                claims.clear_dead(claims.taken())

    def clear_dead(self, names: Iterable[str]) -> None:
        """Give back some parts that runs have which are known to be dead; nobody must want them now."""
        for name in self.taken().intersection(names).difference(self._held):
            if self.owner(name) is None and self._chain(name) and self.take(name) is None:
                self.give_back(name)

    def wait_for_signs_of_life(self, names: Iterable[str]) -> None:
        """Wait until it is certain of the runs that have some parts whether they are alive; that takes `patience`."""
        runs = {chain[-1].run for name in names if (chain := self._chain(name))} - {self._run}
        while runs := {run for run in runs if self._owner_alive(run) and not self._is_certain(run)}:
            time.sleep(min(1.0, self._renewal / 4))

    def _chain(self, name: str) -> list[_Claim]:
        """The claims of a part from the first to the valid one; empty if it is free."""
        chain: list[_Claim] = []
        key = f"{_PARTS}/{name}"
        with suppress(FileNotFoundError):
            while True:
                chain.append(self._read_claim(key))
                key = f"{_PARTS}/{name}{_NEXT}{chain[-1].token}"
        return chain

    def _read_claim(self, key: str) -> _Claim:
        """Read a claim. Where files can't be created with their content, a moment passes before it is there."""
        for wait in (0.5, 0.0):
            with suppress(ValueError, TypeError, KeyError):
                found = json.loads(self._folder.read(key))
                return _Claim(key, str(found["run"]), str(found["token"]))
            time.sleep(wait)
        return _Claim(key, "", "unreadable")

    def _append(self, name: str, chain: list[_Claim]) -> bool:
        """Try to become the one who follows in a chain; without forerunners, the first."""
        run, token = self._run, uuid.uuid4().hex
        key = f"{_PARTS}/{name}" + (f"{_NEXT}{chain[-1].token}" if chain else "")
        if not self._folder.create(key, json.dumps({"run": run, "token": token}).encode()):
            return False
        mine = [*chain, _Claim(key, run, token)]
        stands = not chain or self._chain(name) == mine
        with self._lock:
            if stands and run == self._run:
                self._held[name] = mine
                return True
        self._folder.remove(key)
        return False

    def _owner_alive(self, run: str) -> Owner | None:
        """Who a run is, or None if it is dead; then its file is removed, so that all know it."""
        owner, beat = self._read_run(run)
        if owner is None:
            return None
        if owner.is_known_dead or (not owner.is_known_alive and self._stands_still(run, beat)):
            self._folder.remove(f"{_RUNS}/{run}")
            return None
        return owner

    def _stands_still(self, run: str, beat: int) -> bool:
        """Whether a run's number did not change for `patience`; time in which nobody looked does not count."""
        now, before = time.monotonic(), self._watched.get(run)
        if before is None or now - before.looked > 2 * self._renewal:
            self._watched[run] = _Watch(beat, now, now, moved=False)
        elif before.beat != beat:
            self._watched[run] = _Watch(beat, now, now, moved=True)
        else:
            self._watched[run] = before._replace(looked=now)
        return now - self._watched[run].since >= self._patience

    def _is_certain(self, run: str) -> bool:
        """Whether a run that may be alive was seen to live; of one on this machine its process tells."""
        return run not in self._watched or self._watched[run].moved

    def _read_run(self, run: str) -> tuple[Owner | None, int]:
        """Who a run is, and its number; of a file that is none, somebody who may be alive as long as it changes."""
        try:
            data = self._folder.read(f"{_RUNS}/{run}")
        except FileNotFoundError:
            return None, 0
        try:
            found = json.loads(data)
            return Owner.from_record(found["owner"]), int(found["beat"])
        except (ValueError, TypeError, KeyError, OverflowError, RecursionError):
            return _STRANGER, zlib.crc32(data)

    def _sign_in(self) -> None:
        """Begin as a new run, without claims."""
        self._run = uuid.uuid4().hex
        self._held.clear()
        self._write_run()

    def _keep_alive(self) -> None:
        while not self._ended.wait(self._renewal):
            with suppress(Exception):  # the store may come back; if it doesn't, `has` tells
                self._renew()

    @property
    def _overslept(self) -> bool:
        """Whether others may have taken this run for dead."""
        return abs(time.time() - self._renewed) > self._patience / 2

    def _renew(self) -> None:
        with self._lock:
            if self._folder.exists(f"{_RUNS}/{self._run}"):
                self._write_run()
            else:
                self._sign_in()

    def _write_run(self) -> None:
        self._beat += 1
        record = {"owner": asdict(self._owner), "beat": self._beat}
        self._folder.write(f"{_RUNS}/{self._run}", json.dumps(record).encode())
        self._renewed = time.time()
