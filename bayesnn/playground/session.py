"""What one session does: it has settings, asks the workshop for what they need, stage by stage, and says what came."""

import time
from collections.abc import Callable
from concurrent.futures import CancelledError, Future
from dataclasses import dataclass
from typing import Any

from bayesnn.errors import BayesnnError, SpecError
from bayesnn.playground import answers
from bayesnn.playground.found import Found
from bayesnn.playground.settings import Settings
from bayesnn.playground.work import LATER, LOOKS, POSTERIOR, GivenUp, Workshop

RESTARTS = 20
"""Random starts of the maxima that are audited."""
QUICK, SHORT, SECONDS = 0.5, 5.0, 20.0
"""After which a posterior begins no further round: at first, at other widths, and where the first was not enough."""
WIDTHS = range(7)
"""Hidden units whose evidence is compared."""
USUAL = {
    "first look": 0.1,
    "posterior": 1.0,
    "MAP": 0.7,
    "longer posterior": 10.0,
    "MLE": 3.0,
    "weights": 0.2,
    "chains": 3.0,
    "evidence": 2.0,
}
"""Seconds that each stage takes where nothing is known yet."""


@dataclass(frozen=True)
class Job:
    """One piece of work.

    Parameters
    ----------
    name : str
        Of the field of `Found` that it fills.
    key : tuple
        What its result is kept under.
    function : callable
        Of a module, so that a worker finds it.
    arguments : tuple
        Its arguments.
    rank : int
        How soon it is wanted, as the workshop ranks jobs.
    """

    name: str
    key: tuple
    function: Callable[..., Any]
    arguments: tuple
    rank: int = LATER


@dataclass(frozen=True)
class Progress:
    """What is under way.

    Parameters
    ----------
    stage : str
        In words.
    since : float
        When it began, on the clock of the session.
    expected : float
        Seconds that it took last time.
    """

    stage: str
    since: float
    expected: float


class Session:
    """Keep `Found` up to date with `Settings`.

    Stages run one after the other, jobs of one stage side by side: so sessions take turns, and what matters most comes
    first. Only the audit of the MLE goes on beside them. New settings give up all that is under way.

    Parameters
    ----------
    workshop : Workshop
        Where jobs run.
    listen : callable
        Is told the names of the fields of `Found` that have changed; ``"progress"`` if only that has.
    schedule : callable, optional
        Runs a function on the thread of the page. Answers arrive on other threads.
    clock : callable, optional
        Seconds.
    """

    def __init__(
        self,
        workshop: Workshop,
        listen: Callable[[set[str]], None],
        *,
        schedule: Callable[[Callable[[], None]], Any] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ):
        self.workshop, self.clock = workshop, clock
        self._listen, self._schedule = listen, schedule or (lambda function: function())
        self.seat = workshop.seat()
        self.found = Found(Settings())
        self.progress: Progress | None = None
        self.weights: tuple[str, str] | None = None
        self._took = dict(USUAL)
        self._turn = self._strands = 0
        self._open = True

    @property
    def settings(self) -> Settings:
        """What the page is set to."""
        return self.found.settings

    def set(self, settings: Settings) -> None:
        """Give up what is under way, and find what belongs to other settings.

        Parameters
        ----------
        settings : Settings
            The new state.
        """
        if not self._open:
            return
        self._turn += 1
        self.workshop.move_on(self.seat)
        if _weights_of(settings) != _weights_of(self.settings):
            self.weights = None
        self.found, self.progress = Found(settings), None
        self._listen({"settings"})
        self._strands = 0
        self._begin(self._turn, self._stages(settings))

    def look_at(self, weights: tuple[str, str]) -> None:
        """Show likelihood and prior over two other weights.

        Parameters
        ----------
        weights : tuple of str
            As `answers.weight_names` calls them.
        """
        self.weights = weights
        turn, jobs = self._turn, self._plane()
        for job in jobs:
            self._run(job, lambda job, future: self._took_in(turn, job, future))

    def pause(self) -> None:
        """Give up what is under way until settings are set again."""
        self._turn += 1
        self.workshop.move_on(self.seat)
        self._say(None)

    def close(self) -> None:
        """Give up everything, and the seat."""
        if self._open:
            self._open, self._turn = False, self._turn + 1
            self.workshop.leave(self.seat)

    def _stages(self, settings):
        """List what is to be done, most wanted first; what a stage needs of earlier ones is looked up as it begins."""
        looks = [
            Job(kind, ("look", settings, kind), answers.first_look, (settings, kind), LOOKS) for kind in ("mle", "map")
        ]
        yield "first look", lambda: looks
        yield "posterior", lambda: [self._posterior("posterior", settings, QUICK)]
        yield "weights", self._plane
        yield "MAP", lambda: [self._point("map", settings, "map")]
        yield "weights", self._plane
        yield (
            "chains",
            lambda: [Job("chains", ("chains", settings), answers.fit_chains, (settings, self.workshop.cores()))],
        )
        if not self._enough():
            yield "longer posterior", lambda: [self._posterior("posterior", settings, SECONDS)]
            yield "weights", self._plane
        for width in WIDTHS:
            yield "evidence", lambda width=width: self._width(settings, width)

    def _audit(self, settings):
        """List what goes on beside: whether an MLE exists may take many seconds to tell."""
        yield "MLE", lambda: [self._point("mle", settings, "mle")]
        yield "weights", self._plane

    def _point(self, name, settings, kind):
        return Job(name, (kind, settings), answers.fit_point, (settings, kind, RESTARTS))

    def _posterior(self, name, settings, seconds):
        # What has reached its marks is the same whatever time it was given.
        known = self._known(settings)
        seconds = next((t for t, one in known.items() if one.trusted or t >= seconds), seconds)
        arguments = (settings, seconds, self.workshop.cores())
        rank = POSTERIOR if name == "posterior" and seconds == QUICK else LATER
        return Job(name, ("posterior", settings, seconds), answers.fit_posterior, arguments, rank)

    def _known(self, settings):
        """Posteriors that are there already, by the seconds that they were given."""
        kept = {t: self.workshop.kept(("posterior", settings, t)) for t in (QUICK, SHORT, SECONDS)}
        return {t: one for t, one in kept.items() if one is not None}

    def _enough(self):
        posterior = self.found.posterior
        return posterior is None or posterior.trusted

    def _plane(self):
        found = self.found
        if found.mle is None or found.map is None:
            return []
        # The audited maxima have a count of modes, the first ones have none.
        key = ("plane", found.settings, self.weights, bool(found.mle.modes), bool(found.map.modes))
        return [Job("plane", key, plane, (found.settings, self.weights, found.mle, found.map), LOOKS)]

    def _width(self, settings, width):
        other = settings if width == settings.hidden else settings.with_(hidden=width)
        return [self._posterior(f"width {width}", other, SHORT), self._point(f"width {width}", other, "map")]

    def _begin(self, turn, stages):
        self._strands += 1
        self._next(turn, iter(stages))

    def _next(self, turn, stages):
        """Begin the next stage that has something to do."""
        if turn != self._turn:
            return
        stage, jobs = next(((stage, jobs) for stage, jobs_of in stages if (jobs := jobs_of())), (None, []))
        if stage is None:
            self._strands -= 1
            if not self._strands:
                self._say(None)
            return
        began, left = self.clock(), len(jobs)
        self._say(Progress(stage, began, self._took[stage]))

        def done(job, future):
            nonlocal left
            if turn != self._turn:
                return
            left -= 1
            self._took_in(turn, job, future)
            if not left:
                self._took[stage] = self.clock() - began
                if stage == "posterior":
                    self._begin(turn, self._audit(self.settings))
                self._next(turn, stages)

        for job in jobs:
            self._run(job, done)

    def _run(self, job, done):
        try:
            future = self.workshop.run(self.seat, job.key, job.function, *job.arguments, rank=job.rank)
        except Exception as error:
            future = Future()
            future.set_exception(error)
        future.add_done_callback(lambda future: self._schedule(lambda: done(job, future)))

    def _took_in(self, turn, job, future):
        """Keep an answer, or why there is none."""
        if turn != self._turn:
            return
        found, name = self.found, job.name.partition(" ")[0]
        try:
            value = future.result()
        except (GivenUp, CancelledError):
            return
        except BayesnnError as error:
            found.troubles[job.name] = str(error)
        except Exception as error:
            found.troubles[job.name] = f"It failed ({type(error).__name__}: {error}). Move something, or load the page."
        else:
            if name != "width":
                setattr(found, name, value)
            else:
                name = self._keep_width(job, value)
        self._listen({"widths" if name == "width" else name})

    def _keep_width(self, job, value):
        """Enter a width when its posterior and its MAP are both there."""
        width, settings = int(job.name.partition(" ")[2]), job.key[1]
        known = self._known(settings)
        posterior = value if job.key[0] == "posterior" else known[max(known)] if known else None
        map_ = value if job.key[0] == "map" else self.workshop.kept(("map", settings))
        if posterior is not None and map_ is not None:
            self.found.widths[width] = (posterior.evidence, posterior.evidence_se, map_.log_likelihood)
        return "widths"

    def _say(self, progress):
        self.progress = progress
        self._listen({"progress"})


def plane(
    settings: Settings, weights: tuple[str, str] | None, mle: answers.PointAnswer, map_: answers.PointAnswer
) -> answers.Plane:
    """Look at likelihood and prior over two weights: if none are chosen, into and out of the first hidden unit.

    Parameters
    ----------
    settings : Settings
        State of the page.
    weights : tuple of str or None
        Two weights.
    mle, map_ : PointAnswer
        Maxima.

    Returns
    -------
    Plane
        As `answers.plane` gives it.

    Raises
    ------
    SpecError
        A network with one weight, over which there is no plane.
    """
    if weights is None:
        names = answers.weight_names(settings)
        if len(names) < 2:
            raise SpecError("Got a network with a single weight; a plane needs two. Take a hidden unit, or biases.")
        outgoing = [name for name in names if name.startswith("W2")]
        weights = (names[0], outgoing[0] if outgoing else names[1])
    return answers.plane(settings, weights, mle, map_)


def _weights_of(settings):
    return settings.hidden, settings.second, settings.bias, settings.dataset.X.shape[1]
