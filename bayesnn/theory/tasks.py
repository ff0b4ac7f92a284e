"""Independent tasks, here or in any executor: the same numbers with any, and nothing that is done is lost."""

import json
import threading
import warnings
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Executor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

from bayesnn.errors import ConvergenceWarning, SpecError
from bayesnn.fitting.progress import bar


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


def run_tasks(
    tasks: Mapping[Any, tuple[Any, ...]],
    executor: Executor | None = None,
    *,
    label: str,
    progressbar: bool,
    path: str | Path | None = None,
    settings: Mapping[str, Any] | None = None,
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
    path : path, optional
        File to which each result is appended as it comes, a line of JSON each, and from which it is read the next
        time instead of being computed. What the functions return is then made of dicts, lists, numbers and strings.
    settings : dict, optional
        What the results depend on, besides their keys; kept in the file.
    ended : callable
        Says of a key and its result whether it was cut short by an interruption that its function has caught.

    Returns
    -------
    Ran
        Results and failures. Interrupted by the keyboard, those there are.

    Raises
    ------
    SpecError
        An executor that is none, or a file of results with other settings.
    """
    check_executor(executor)
    ran = Ran(done=_read(path, tasks, settings) if path is not None else {})
    left = {key: task for key, task in tasks.items() if key not in ran.done}
    futures: dict[Any, Any] = {}

    def finish(key, result):
        try:
            ran.done[key] = result()
        except Exception as error:
            ran.failed[key] = error
            return
        if path is not None:
            with Path(path).open("a") as file:
                file.write(json.dumps([key, ran.done[key]]) + "\n")
        ran.interrupted |= ended(key, ran.done[key])

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
                    futures[executor.submit(function, *arguments, **options)] = key
                for future in as_completed(futures):
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


def _read(path, tasks, settings):
    """Read what a file has of the tasks' results; begin the file if there is none."""
    path, wanted = Path(path), json.loads(json.dumps(dict(settings or {})))
    if not path.exists():
        path.write_text(json.dumps(wanted) + "\n")
        return {}
    text = path.read_text()
    if not text.endswith("\n"):
        # Of a run that was killed while it wrote.
        path.write_text(text := text + "\n")
    head, *lines = text.splitlines()
    known = json.loads(head)
    other = [name for name in {**known, **wanted} if known.get(name) != wanted.get(name)]
    if other:
        name = other[0]
        raise SpecError(
            f"Got path={str(path)!r}, a file of results for {name}={known.get(name)!r}, where {name}="
            f"{wanted.get(name)!r} is asked for; results of other settings can't be mixed. Write another path."
        )
    by_name, done = {json.dumps(key): key for key in tasks}, {}
    for line in lines:
        try:
            key, value = json.loads(line)
        except ValueError:
            continue
        if json.dumps(key) in by_name:
            done[by_name[json.dumps(key)]] = value
    return done
