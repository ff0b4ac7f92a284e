"""Where the page's fits run: processes that are kept, jobs that are given up when nobody wants them, results kept."""

import multiprocessing
import os
import signal
import sys
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import BrokenExecutor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import suppress
from typing import Any

from bayesnn.errors import FitError

SEATS = 512
"""Sessions that can be told apart at a time."""
KEEP = 400
"""Results that are kept."""
LOOK = 0.02
"""Seconds between two looks of a worker at whether its job is still wanted."""

_wanted: Any = None
"""In a worker: for each seat the number of the state that is wanted."""
LOOKS, POSTERIOR, LATER = range(3)
"""How soon a job is wanted: a first look, a first posterior, all else."""
NICE = {LOOKS: 0, POSTERIOR: 5, LATER: 10}
"""By how much workers stand back, for the page too, which would wait for its turn on a machine of few cores."""


class GivenUp(Exception):
    """A job that nobody wants any more."""


class Workshop:
    """Worker processes that several sessions share.

    Each session has a seat, which asks for a job or two at a time, so that sessions take turns. A seat that moves on to
    another state gives up its jobs at once. First looks and first posteriors have workers of their own; all else is
    done by workers that the system lets run when the others leave it time, so that nobody's audit or chains keep
    somebody else waiting.

    Parameters
    ----------
    workers : int, optional
        Processes; one for each core if left out.
    """

    def __init__(self, workers: int | None = None):
        self.workers = workers or os.cpu_count() or 1
        context = _context()
        self._numbers = context.Array("q", SEATS)
        self._free = list(range(SEATS))[::-1]
        self._taken: set[int] = set()
        self._kept: OrderedDict[Any, Any] = OrderedDict()
        self._lock = threading.Lock()
        self._context = context
        self._pools = {rank: self._open(rank) for rank in (LOOKS, POSTERIOR, LATER)}
        self._under_way, self._last = 0, time.monotonic()
        self.background: int | None = None
        """The seat of what is done while nobody asks for anything, and given up when somebody does."""
        # Starting a process waits until it can be had, which the thread of a page must not.
        self._desk = ThreadPoolExecutor(1, thread_name_prefix="bayesnn-desk")

    def _open(self, rank):
        return ProcessPoolExecutor(
            self._size(rank), mp_context=self._context, initializer=_prepare, initargs=(self._numbers, NICE[rank])
        )

    def _size(self, rank):
        # A first look takes hundredths of a second.
        return min(2, self.workers) if rank == LOOKS else self.workers

    def warm(self) -> None:
        """Start all workers, which takes them some seconds, before there is anything to do."""
        for rank in self._pools:
            for _ in range(self._size(rank)):
                self._desk.submit(self._submit, rank, _load)

    def _submit(self, rank, function, *arguments):
        try:
            return self._pools[rank].submit(function, *arguments)
        except BrokenExecutor:
            # A worker has died, of memory for one.
            self._pools[rank] = self._open(rank)
            return self._pools[rank].submit(function, *arguments)

    def seat(self) -> int:
        """Take a seat.

        Returns
        -------
        int
            Its number; `leave` gives it back.
        """
        with self._lock:
            if not self._free:
                raise FitError(f"Got more than {SEATS} sessions; this is what one server holds. Try again later.")
            seat = self._free.pop()
            self._taken.add(seat)
            return seat

    def leave(self, seat: int) -> None:
        """Give a seat back, and give up its job."""
        self.move_on(seat)
        with self._lock:
            if seat in self._taken:
                self._taken.remove(seat)
                self._free.append(seat)

    @property
    def sessions(self) -> int:
        """Number of seats that visitors have taken."""
        return len(self._taken - {self.background})

    def move_on(self, seat: int) -> int:
        """Give up what a seat has under way.

        Returns
        -------
        int
            Number of the state that is wanted from now on.
        """
        with self._numbers.get_lock():
            self._numbers[seat] += 1
            return self._numbers[seat]

    def wanted(self, seat: int) -> int:
        """Tell the number of the state that a seat wants."""
        return self._numbers[seat]

    def cores(self) -> int:
        """Threads that a job may have: all of them, where one session is alone."""
        return max(1, self.workers // max(1, self.sessions))

    @property
    def idle(self) -> float:
        """Seconds since a job was under way."""
        return 0.0 if self._under_way else time.monotonic() - self._last

    def kept(self, key: Any) -> Any:
        """Look for a result that is there already; None if it is not."""
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
            return self._kept.get(key)

    def run(
        self, seat: int, key: Any, function: Callable[..., Any], *arguments: Any, rank: int = LATER
    ) -> "Future[Any]":
        """Run a function of a module in a worker.

        Parameters
        ----------
        seat : int
            Who asks.
        key : hashable
            What the result is kept under.
        function, *arguments
            What is called; they travel to another process.
        rank : int
            How soon it is wanted: `LOOKS`, `POSTERIOR` or `LATER`.

        Returns
        -------
        concurrent.futures.Future
            Of the result; it raises `GivenUp` if the seat has moved on, and what the function raises.
        """
        future: Future[Any] = Future()
        if (known := self.kept(key)) is not None:
            future.set_result(known)
            return future
        if self.background not in (None, seat):
            self.move_on(self.background)
        with self._lock:
            self._under_way += 1
        future.add_done_callback(self._ended)
        handed_in = self._desk.submit(self._submit, rank, _guarded, seat, self.wanted(seat), function, arguments)

        def submitted(handed_in):
            if handed_in.cancelled():
                future.set_exception(GivenUp())
            elif (error := handed_in.exception()) is not None:
                future.set_exception(error)
            else:
                handed_in.result().add_done_callback(done)

        def done(inner):
            if inner.cancelled():
                future.set_exception(GivenUp())
                return
            error = inner.exception()
            if error is not None:
                future.set_exception(error)
                return
            with self._lock:
                self._kept[key] = inner.result()
                while len(self._kept) > KEEP:
                    self._kept.popitem(last=False)
            future.set_result(inner.result())

        handed_in.add_done_callback(submitted)
        return future

    def _ended(self, future):
        with self._lock:
            self._under_way -= 1
            self._last = time.monotonic()

    def close(self) -> None:
        """End the workers."""
        for seat in list(self._taken):
            self.leave(seat)
        self._desk.shutdown(wait=False, cancel_futures=True)
        for pool in self._pools.values():
            pool.shutdown(wait=False, cancel_futures=True)


def _context():
    """Choose processes that are forked from a clean one that has all libraries, where there is such a thing."""
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["bayesnn.playground.loaded"])
    return context


def _prepare(wanted, nice):
    """Set a worker up: Ctrl-C is the server's affair."""
    global _wanted
    _wanted = wanted
    if hasattr(os, "nice"):
        os.nice(nice)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    said = sys.unraisablehook

    def hook(unraisable):
        if not isinstance(unraisable.exc_value, KeyboardInterrupt):
            said(unraisable)

    sys.unraisablehook = hook


def _end_with_parent():
    """End this worker when the server has died: it would wait for jobs for ever."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _load():
    """Load what all jobs need, where processes are not forked from one that has it."""
    import bayesnn.playground.loaded  # noqa: F401

    return os.getpid()


def _guarded(seat, number, function, arguments):
    """Run a job as long as it is wanted."""
    if _wanted[seat] != number:
        raise GivenUp
    over, main = threading.Event(), threading.main_thread().ident

    def look():
        while not over.wait(LOOK):
            # Again and again: an interruption that falls into a callback of a library is lost.
            if _wanted[seat] != number:
                _interrupt(main)

    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    watch = threading.Thread(target=look, daemon=True)
    watch.start()
    try:
        return function(*arguments)
    except KeyboardInterrupt:
        raise GivenUp from None
    except Exception:
        if _wanted[seat] != number:
            # What a library makes of an interruption.
            raise GivenUp from None
        raise
    finally:
        with suppress(KeyboardInterrupt):
            over.set()
            watch.join()
            # One that came while the watch ended.
            time.sleep(0)
        signal.signal(signal.SIGINT, before)


def _interrupt(thread):
    """Interrupt the main thread of this process, wherever it waits."""
    if hasattr(signal, "pthread_kill"):
        signal.pthread_kill(thread, signal.SIGINT)
    else:
        import _thread

        _thread.interrupt_main()
