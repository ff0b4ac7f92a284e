"""Independent tasks, here or in any executor: the same numbers with any, and nothing that is done is lost."""

import os
import threading
import warnings
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import BrokenExecutor, CancelledError, Executor, as_completed
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, NoReturn

from bayesnn.errors import ConvergenceWarning, SpecError, WorkerError
from bayesnn.fitting.progress import bar
from bayesnn.fitting.store import Kept

LOOK = 0.1
"""Seconds between two looks at whether somebody pressed Ctrl-C."""


@dataclass
class Ran:
    """What `run_tasks` did.

    Parameters
    ----------
    done, failed : dict
        From the keys of the tasks to what they returned, and to what they raised; in the order of the tasks.
    interrupted : bool
        Whether that is not all because somebody pressed Ctrl-C.
    """

    done: dict[Any, Any] = field(default_factory=dict)
    failed: dict[Any, Exception] = field(default_factory=dict)
    interrupted: bool = False

    def give_up(self) -> NoReturn:
        """Raise what explains that there is no result: the interruption, or the first failure."""
        if self.interrupted:
            raise KeyboardInterrupt
        raise next(iter(self.failed.values()))


def check_executor(executor: Any) -> None:
    """Refuse what can't run tasks.

    Parameters
    ----------
    executor : concurrent.futures.Executor or None
        From a user.

    Raises
    ------
    SpecError
        Anything else.
    """
    if executor is not None and not callable(getattr(executor, "submit", None)):
        raise SpecError(
            f"Got executor={executor!r}; it must be a concurrent.futures.Executor. Write "
            "executor=ProcessPoolExecutor(2), or leave it out."
        )


@contextmanager
def quiet() -> Iterator[None]:
    """Silence what fits warn of, where this may be done: a process has its own filters, threads share those of one."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        # ArviZ, of the shapes of tails, which are in its results.
        warnings.filterwarnings("ignore", "Estimated shape parameter", UserWarning)
        yield


def complete(fit: Any) -> Any:
    """Pass on the interruption that a sampler has caught, whose numbers would be those of a shorter run.

    Parameters
    ----------
    fit : xarray.DataTree
        From a sampler.

    Returns
    -------
    xarray.DataTree
        The same.

    Raises
    ------
    KeyboardInterrupt
        Somebody pressed Ctrl-C.
    """
    if getattr(fit, "attrs", {}).get("bayesnn_ended") == "interrupted":
        raise KeyboardInterrupt
    return fit


def at_once(count: int, cores: int | None) -> int:
    """Count the tasks that run at a time in this process: no more than cores that were asked for, or are there."""
    return min(count, cores or os.cpu_count() or 1)


def run_tasks(
    tasks: Mapping[Any, tuple[Any, ...]],
    executor: Executor | None = None,
    *,
    label: str,
    progressbar: bool,
    kept: Kept | None = None,
    ended: Callable[[Any, Any], bool] = lambda key, value: False,
) -> Ran:
    """Run tasks that do not need each other, here one after the other or in an executor.

    Parameters
    ----------
    tasks : dict
        From keys to ``(function, *arguments, options)``, the last a dict of keyword arguments. For processes and
        clusters the function is one of a module. Each task has its own seed among its arguments, so that the numbers
        do not depend on who runs it.
    executor : concurrent.futures.Executor, optional
        Where they run.
    label : str
        Of the progress bar.
    progressbar : bool
        Show it on standard error.
    kept : Kept, optional
        Keeps each result as it comes; what it has already is not computed again.
    ended : callable
        Says of a key and its result whether it was cut short by an interruption that its function has caught.

    Returns
    -------
    Ran
        Results and failures; tasks whose executor was lost have failed with a `WorkerError`. Interrupted by the
        keyboard, those there are.

    Raises
    ------
    SpecError
        An executor that is none.
    """
    check_executor(executor)
    ran = Ran(done=kept.read(tasks) if kept is not None else {})
    left = {key: task for key, task in tasks.items() if key not in ran.done}
    futures: dict[Any, Any] = {}

    def finish(key, result):
        try:
            ran.done[key] = result()
        except (Exception, CancelledError) as error:
            ran.failed[key] = _named(error, len(ran.done), len(tasks)) if executor is not None else error
            return
        cut = ended(key, ran.done[key])
        if kept is not None and not cut:
            kept.keep(key, ran.done[key])
        ran.interrupted |= cut

    with bar(label, len(tasks), show=progressbar) as step:
        for _ in ran.done:
            step()
        try:
            if executor is None:
                for key, (function, *arguments, options) in left.items():
                    finish(key, lambda f=function, a=arguments, o=options: f(*a, **o))
                    step()
                    if ran.interrupted:
                        break
            else:
                for key, (function, *arguments, options) in left.items():
                    try:
                        futures[executor.submit(function, *arguments, **options)] = key
                    except RuntimeError as error:
                        # It is lost, or was shut down, before it had all of them.
                        ran.failed[key] = _named(error, len(ran.done), len(tasks))
                for future in _as_completed(futures):
                    finish(futures[future], future.result)
                    step()
        except KeyboardInterrupt:
            ran.interrupted = True
            for future, key in futures.items():
                # One that passed the interruption on has nothing to give.
                if key in ran.done or key in ran.failed or future.cancel() or not future.done():
                    continue
                if isinstance(future.exception(), Exception | None):
                    finish(key, future.result)
    ran.done = {key: ran.done[key] for key in tasks if key in ran.done}
    return ran


def _as_completed(futures):
    """Wait for futures, and look up in between: not every platform lets Ctrl-C end a wait."""
    pending = set(futures)
    while pending:
        with suppress(TimeoutError):
            for future in as_completed(pending, timeout=LOOK):
                pending = pending - {future}
                yield future


def _named(error, done, total):
    """Name the loss of an executor, which each library calls otherwise; leave the errors of tasks as they are."""
    shut = type(error) is RuntimeError and "shutdown" in str(error)
    of_cluster = type(error).__module__.startswith("distributed")
    if not (shut or of_cluster or isinstance(error, BrokenExecutor | CancelledError)):
        return error
    why = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    return WorkerError(
        f"Got an executor that was shut down or lost its workers ({why}) when {done} of {total} tasks were done; a "
        "task needs one that is there until it ends. Start it anew, and call again: what was kept is not computed "
        "twice."
    )
