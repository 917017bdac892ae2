"""Several runs of one study: each claims the scans that it works on, and leaves those of others alone.

A run that does the whole study claims all scans that it has to do; the tasks of a job array draw one after the other.
The cohort's product is made by the run that ends last.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace

from dlif_core.errors import StoreBusyError
from dlif_core.store import Claims, Store
from dlif_core.store.owner import Owner
from dlif_core.study.products import claim_name
from dlif_core.study.step import Plan, State

#: Claims that are made at once.
_THREADS = 8

Tell = Callable[[str], None]


class OwnPart:
    """The part of a plan that is this run's; made by `claimed_part`.

    Attributes
    ----------
    plan
        The plan without the steps of scans that other runs work on.
    """

    def __init__(self, claims: Claims, plan: Plan, idle: Iterable[str], tell: Tell) -> None:
        self._claims = claims
        self._tell = tell
        self._scans = list(plan.files)
        self._idle = idle  # scans with nothing to do, whoever does it
        self.plan = plan

    def has(self, scan: str) -> bool:
        """Whether a scan is still this run's; a run that was asleep may have lost it to another."""
        return self._claims.has(claim_name(scan))

    def give_back(self, scan: str) -> None:
        """Let others have a scan that is done."""
        self._claims.give_back(claim_name(scan))

    @contextmanager
    def cohort(self) -> Iterator[bool]:
        """Give all scans back; the block is told whether it is to make the cohort's product.

        It is not if other runs still work on scans, or are making it.
        """
        for scan in self._scans:
            self.give_back(scan)
        self._claims.clear_dead(map(claim_name, self._idle))
        name = claim_name("")
        owner = _first_owner(self._claims, self._scans) or self._claims.take(name)
        if owner:
            self._tell(f"The cohort is left to {owner}.")
        try:
            yield owner is None
        finally:
            self._claims.give_back(name)


@contextmanager
def claimed_part(plan: Plan, store: Store, tell: Tell) -> Iterator[OwnPart]:
    """Claim all scans of which a plan has steps to run, and give them back at the end.

    Parameters
    ----------
    plan, store
        The plan of a study, or the part of it that is wanted, and the study's store.
    tell
        Called with a line for people: which scans are left to whom.

    Raises
    ------
    StoreBusyError
        If other runs work on all of them.
    """
    wanted = _wanted(plan)
    with Claims(store.folder) as claims:
        others = _claim_all(claims, wanted, tell) if plan.to_run else {}
        if others and len(others) == len(wanted):
            raise _busy(store, others)
        for owner in dict.fromkeys(map(str, others.values())):
            scans = [scan for scan in others if str(others[scan]) == owner]
            tell(f"{', '.join(scans)}: left to {owner}.")
        steps = tuple(one for one in plan.steps if one.state is not State.RUN or one.step.scan not in others)
        yield OwnPart(claims, replace(plan, steps=steps), set(plan.files).difference(wanted), tell)


def require_work(plan: Plan, store: Store) -> None:
    """Refuse a run that would find nothing to do, before anything is started for it: no more than a quick look.

    Raises
    ------
    StoreBusyError
        If living processes of this machine work on all scans of which the plan has steps to run.
    """
    claims = Claims(store.folder)
    taken = claims.taken()
    others: dict[str, Owner] = {}
    for scan in _wanted(plan):
        owner = claims.owner(claim_name(scan)) if claim_name(scan) in taken else None
        if owner is None or not owner.is_known_alive:
            return
        others[scan] = owner
    raise _busy(store, others)


def _wanted(plan: Plan) -> tuple[str, ...]:
    """Scans of which a plan has steps to run; where there are none, the cohort, which has no name."""
    return tuple(dict.fromkeys(step.scan for step in plan.to_run if step.scan)) or ("",)


@contextmanager
def claimed_cohort(store: Store) -> Iterator[None]:
    """Claim the cohort's product alone, whatever other runs do with scans.

    Raises
    ------
    StoreBusyError
        If another run is making it.
    """
    with Claims(store.folder) as claims:
        if owner := claims.take(claim_name("")):
            raise _busy(store, {"": owner})
        yield


def _claim_all(claims: Claims, scans: Sequence[str], tell: Tell) -> dict[str, Owner]:
    """Claim scans; those that others have, and who has each."""
    others = _claim_each(claims, scans)
    if any(not owner.is_known_alive for owner in others.values()):
        owner = next(owner for owner in others.values() if not owner.is_known_alive)
        tell(f"Waiting for a sign of life of {owner}, a minute at most.")
        claims.wait_for_signs_of_life(map(claim_name, others))
        others = _claim_each(claims, list(others))
    return others


def _claim_each(claims: Claims, scans: Sequence[str]) -> dict[str, Owner]:
    with ThreadPoolExecutor(_THREADS) as pool:
        found = pool.map(claims.take, map(claim_name, scans))
        return {scan: owner for scan, owner in zip(scans, found, strict=True) if owner}


def _busy(store: Store, others: dict[str, Owner]) -> StoreBusyError:
    names = "; ".join(dict.fromkeys(map(str, others.values())))
    what = "the cohort" if "" in others else f"all scans that are left to do ({len(others)})"
    return StoreBusyError(
        f"another run has {what}: {names}.",
        where=store.uri,
        hint="Wait until it is done, or stop it; nothing was begun here.",
    )


def _first_owner(claims: Claims, scans: Iterable[str]) -> Owner | None:
    """Who works on any of some scans."""
    taken = claims.taken()
    return next(
        (owner for scan in scans if claim_name(scan) in taken and (owner := claims.owner(claim_name(scan)))), None
    )


def drawn(claims: Claims, scans: Sequence[str], tell: Tell) -> Iterator[str]:
    """Scans that no other run works on, one after the other, each this run's until the next is drawn.

    Parameters
    ----------
    claims
        Claims of this run.
    scans
        The scans to draw from; runs that draw at the same time had better begin at different ones.
    tell
        Called with a line for people: which scans are left to whom.

    Yields
    ------
    Names of scans. Those of runs that died are among the last.
    """
    taken = claims.taken()
    left = sorted(scans, key=lambda scan: claim_name(scan) in taken)  # stable: the free ones first, in their order
    for last in (False, True):
        others: dict[str, Owner] = {}
        for scan in left:
            owner = claims.take(claim_name(scan))
            if owner:
                others[scan] = owner
                continue
            yield scan
            claims.give_back(claim_name(scan))
        left = list(others)
        if last:
            for scan, owner in others.items():
                tell(f"{scan}: left to {owner}.")
        elif left:
            claims.wait_for_signs_of_life(map(claim_name, left))
