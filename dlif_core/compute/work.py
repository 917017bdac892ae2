"""Work on a cluster: every piece ends with a result or an error that a person understands, whatever its workers do."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Mapping
from concurrent.futures import Executor, Future, InvalidStateError, ThreadPoolExecutor
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypeVar, cast

from distributed import KilledWorker
from distributed.client import FutureCancelledError

from dlif_core.compute.deaths import explained
from dlif_core.compute.kind import Demand
from dlif_core.errors import ClusterError

if TYPE_CHECKING:
    import distributed
    from tornado.ioloop import IOLoop

Result = TypeVar("Result")


class Piece:
    """A piece of work, which may be given to workers more than once.

    Attributes
    ----------
    call
        The function, then its arguments.
    keywords
        Further arguments by name.
    resources
        What it asks of a worker.
    future
        Where its result, or its error, will be.
    killed
        How many workers died while they had it.
    """

    def __init__(self, call: tuple[Any, ...], keywords: Mapping[str, Any], resources: Mapping[str, float]) -> None:
        self.call = call
        self.keywords = keywords
        self.resources = resources
        self.future: Future[Any] = Future()
        self.killed = 0


class Work:
    """All that is being done on a cluster.

    Dask blames the death of a worker on every piece that the worker had, also on those that only waited there, and ends
    a piece that was blamed too often. Here such a piece is tried again while no other suspect runs: only one that is
    blamed again then has its worker on its conscience.

    Parameters
    ----------
    client
        Client of the cluster.
    """

    def __init__(self, client: distributed.Client) -> None:
        self._client = client
        self._lock = threading.RLock()
        self._pieces: dict[Piece, distributed.Future[Any] | None] = {}
        self._suspects: deque[Piece] = deque()
        self._on_trial: Piece | None = None
        self._blamed = 0
        self._blamed_before = 0
        self._end: ClusterError | None = None
        # Dask tells results in the thread of its event loop, which must not wait for anything.
        self._settling = ThreadPoolExecutor(1, "work on the cluster")

    def begin(self, piece: Piece) -> None:
        """Give a piece of work to the cluster.

        Raises
        ------
        ClusterError
            If the cluster is lost.
        """
        with self._lock:
            self.require_cluster()
            self._pieces[piece] = None
        function, *arguments = piece.call
        given = self._client.submit(
            function, *arguments, pure=False, resources=dict(piece.resources) or None, **piece.keywords
        )
        with self._lock:
            if piece in self._pieces:
                self._pieces[piece] = given
        piece.future.add_done_callback(lambda own: given.cancel() if own.cancelled() else None)
        loop = cast("IOLoop", self._client.loop)
        loop.add_callback(self._follow, piece, given)

    def demand(self) -> Demand:
        """Pieces of work that wait or run, by the resource that they ask for."""
        with self._lock:
            pieces = [*self._pieces, *self._suspects]
        return Demand(name for piece in pieces for name in (piece.resources or ("",)))

    def end(self, fault: ClusterError) -> None:
        """End all work with an error, and refuse more."""
        with self._lock:
            self._end = self._end or fault
            left, self._pieces = dict(self._pieces), {}
            waiting = [*left, *self._suspects]
            self._suspects.clear()
        for piece in waiting:
            _fail(piece, fault)
        for given in filter(None, left.values()):
            given.cancel()

    def require_cluster(self) -> None:
        """Raise what `end` was told, if it was.

        Raises
        ------
        ClusterError
            If the cluster is lost.
        """
        if self._end is not None:
            raise self._end

    def close(self) -> None:
        """Take no more results; what is not done ends with an error."""
        self.end(ClusterError("it was closed.", where="cluster"))
        self._settling.shutdown()

    async def _follow(self, piece: Piece, given: distributed.Future[Any]) -> None:
        """Wait for a result and fetch it. One that was lost with its worker before that is waited for again."""
        done: Future[Any] = Future()
        try:
            done.set_result(await given._result())
        except FutureCancelledError:
            done.cancel()
        except Exception as fault:
            done.set_exception(fault)
        if piece in self._pieces:  # unless it was ended meanwhile
            self._settling.submit(self._settle, piece, done)

    def _settle(self, piece: Piece, done: Future[Any]) -> None:
        """What becomes of a piece of work that a worker has done, or will not do."""
        with self._lock:
            if piece not in self._pieces:
                return  # ended already
            del self._pieces[piece]
        if piece.future.cancelled():
            self._acquit(piece)
        elif done.cancelled():
            self._end = self._end or _lost()
            _fail(piece, self._end)
        elif isinstance(fault := done.exception(), KilledWorker):
            self._blame(piece, fault)
        else:
            self._acquit(piece)
            _hand_over(piece, done)
        self._next_trial()

    def _blame(self, piece: Piece, fault: KilledWorker) -> None:
        piece.killed += fault.allowed_failures + 1
        with self._lock:
            self._blamed += 1
            convicted = piece is self._on_trial and self._blamed == self._blamed_before + 1
            self._acquit(piece)
            if not convicted:
                self._suspects.append(piece)
        if convicted:
            _fail(piece, explained(self._client, fault, piece.killed))

    def _acquit(self, piece: Piece) -> None:
        with self._lock:
            if piece is self._on_trial:
                self._on_trial = None

    def _next_trial(self) -> None:
        with self._lock:
            if self._end is not None or self._on_trial is not None or not self._suspects:
                return
            piece = self._on_trial = self._suspects.popleft()
            self._blamed_before = self._blamed
        try:
            self.begin(piece)
        except Exception as fault:  # the cluster is lost or closed
            _fail(piece, fault)


class ClusterExecutor(Executor):
    """The cluster as `concurrent.futures` knows executors.

    Parameters
    ----------
    work
        All that is being done there.
    resources
        What the work asks of a worker.
    """

    def __init__(self, work: Work, resources: Mapping[str, float]) -> None:
        self._work = work
        self._resources = resources

    def submit(self, function: Callable[..., Result], /, *arguments: Any, **keywords: Any) -> Future[Result]:
        """Have a worker call the function.

        Raises
        ------
        ClusterError
            If the cluster is lost.
        """
        piece = Piece((function, *arguments), keywords, self._resources)
        self._work.begin(piece)
        return piece.future


def _hand_over(piece: Piece, done: Future[Any]) -> None:
    fault = done.exception()
    if fault is not None:
        _fail(piece, fault)
        return
    with suppress(InvalidStateError):  # nobody waits for it any more
        piece.future.set_result(done.result())


def _fail(piece: Piece, fault: BaseException) -> None:
    with suppress(InvalidStateError):
        piece.future.set_exception(fault)


def _lost() -> ClusterError:
    return ClusterError(
        "the connection to its scheduler is lost.",
        where="cluster",
        hint="Finished steps are kept; start the cluster again, and `dlif run` resumes.",
    )
