"""Five guided lessons: each sets the page up, asks a question, waits for a move, and answers with the number."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from bayesnn.playground.found import Found
from bayesnn.playground.settings import OWN, Settings

_FLANKS = tuple(
    zip(
        (-3.0, -2.5, -2.0, -0.8, -0.48, -0.16, 0.16, 0.48, 0.8, 2.0, 2.5, 3.0),
        (0.0,) * 3 + (1.0,) * 6 + (0.016,) * 3,
        strict=True,
    )
)
"""Points of the reference "two functions, 80 to 20": a single unit may follow the left flank or the right one."""


@dataclass(frozen=True)
class Lesson:
    """One lesson.

    Parameters
    ----------
    title, question, task : str
        What it is called, what it asks, and what is to be done for an answer.
    start : Settings
        How the page is set up.
    measure : callable
        From `Found` to the number that the lesson is about; None while it is not there yet.
    moved : callable
        Whether settings are a move that the lesson has waited for.
    answer : callable
        From the settings, the number before and the number after to words.
    """

    title: str
    question: str
    task: str
    start: Settings
    measure: Callable[[Found], float | None]
    moved: Callable[[Settings], bool]
    answer: Callable[[Settings, float, float], str]


@dataclass
class Course:
    """A lesson that is being taken: it remembers the number from before the move.

    Parameters
    ----------
    lesson : Lesson
        Which.
    """

    lesson: Lesson
    before: float | None = None

    def look(self, found: Found) -> str:
        """Say what a lesson has to say now.

        Parameters
        ----------
        found : Found
            What is known of the page's state.

        Returns
        -------
        str
            The task, or the answer with its numbers.
        """
        number = self.lesson.measure(found)
        if self.lesson.moved(found.settings):
            if number is None:
                return "Wait for the fits."
            if self.before is None:
                return "The number from before the move is missing: choose the lesson again, and wait for its fits."
            return self.lesson.answer(found.settings, self.before, number)
        if number is None:
            return f"Wait for the fits, then: {self.lesson.task}"
        self.before = number
        return self.lesson.task


def apart(found: Found) -> float | None:
    """Measure how far MLE and MAP are from each other: root mean square of the difference of their functions.

    Parameters
    ----------
    found : Found
        What is known.

    Returns
    -------
    float or None
        In units of the target; None while one of them is missing.
    """
    if found.mle is None or found.map is None:
        return None
    return float(np.sqrt(np.mean((found.mle.mean - found.map.mean) ** 2)))


def steepest(found: Found) -> float | None:
    """Measure how rough the MAP is: the largest step between two neighbouring points of its curve.

    Parameters
    ----------
    found : Found
        What is known.

    Returns
    -------
    float or None
        In units of the target over the whole width of the picture.
    """
    if found.map is None:
        return None
    return float(np.abs(np.diff(found.map.mean)).max() * (len(found.map.mean) - 1))


def norm(found: Found) -> float | None:
    """Measure the MAP's weights: the root of the sum of their squares.

    Parameters
    ----------
    found : Found
        What is known.

    Returns
    -------
    float or None
        The norm.
    """
    return None if found.map is None else _norm(found.map.weights)


def mirrors(found: Found) -> float | None:
    """Count the mirror images of the MAP: by the group of the network's hidden layers, from the plane.

    Parameters
    ----------
    found : Found
        What is known.

    Returns
    -------
    float or None
        Their number.
    """
    return None if found.plane is None else float(found.plane.copies)


def first_share(found: Found) -> float | None:
    """Measure the share of the posterior in the larger mode of the function.

    Parameters
    ----------
    found : Found
        What is known.

    Returns
    -------
    float or None
        Between 0 and 1.
    """
    return None if found.posterior is None else max(share for share, _ in found.posterior.shares)


def _norm(weights):
    return float(np.sqrt(sum(np.sum(np.square(v)) for name, v in weights.items() if name[0] in "Wb")))


def _rows(settings, before, after):
    verdict = "the prior has lost its say" if after < before / 2 else "the prior still has its say"
    return (
        f"At {settings.size} rows the MAP is {after:.2g} from the MLE; at {FEW} it was {before:.2g}: {verdict}. The "
        "log-likelihood has one term for each row, the log-prior stays as it is."
    )


def _rough(settings, before, after):
    verdict = "it follows the noise" if after > before else "it stays calm"
    return (
        f"With a prior sd of {settings.sd:.3g} the steepest part of the MAP rises {after:.3g} over the width of the "
        f"picture; with {START_SD:g} it was {before:.3g}: {verdict}. The posterior averages over all such curves, and "
        "its band says so where there are no data."
    )


def _away(settings, before, after):
    return (
        f"With a prior sd of {settings.sd:.3g} the MAP has a norm of {after:.3g}; with {START_SD:g} it was "
        f"{before:.3g}. Nothing but the prior holds it: the classes are separated, so the likelihood rises without end "
        "and there is no MLE."
    )


def _images(settings, before, after):
    kind = (
        "permutations and sign flips" if settings.activation in ("tanh", "erf", "sin", "identity") else "permutations"
    )
    return (
        f"{settings.hidden} units with {settings.activation} have {after:g} mirror images, by {kind} of the hidden "
        f"units; before it was {before:g}. Each is as good as the others: one function, {after:g} places."
    )


def _second(settings, before, after):
    middle, right = settings.points[5][1], settings.points[-1][1]
    return (
        f"With the right flank at {right:.3g} the larger mode holds {after:.0%} of the posterior; before it was "
        f"{before:.0%}. No mirror image turns one into the other (the middle is at {middle:g} in both), so the "
        "shares are a matter of likelihood and prior."
    )


_TWO = Settings(data=OWN, points=_FLANKS, hidden=1, noise=0.15, sd=2.0)
FEW = 5
START_SD = 1.0
LESSONS: tuple[Lesson, ...] = (
    Lesson(
        "Likelihood against prior",
        f"With {FEW} rows MLE and MAP disagree. Which of the two moves when rows are added?",
        "Show 40 rows or more.",
        Settings(n=FEW, hidden=1),
        apart,
        lambda s: s.size >= 40,
        _rows,
    ),
    Lesson(
        "Overfitting without a prior",
        "Four units on twelve rows: what holds the curve back?",
        "Move the prior sd to 10 or more, which is nearly no prior.",
        Settings(n=12, hidden=4),
        steepest,
        lambda s: s.sd >= 10,
        _rough,
    ),
    Lesson(
        "The MLE that runs away",
        "These two classes can be separated. Where does the MLE end, and what holds the MAP?",
        "Move the prior sd to 10 or more.",
        Settings(data="one_node_separated", loss="binary_cross_entropy", hidden=0, bias=False),
        norm,
        lambda s: s.sd >= 10,
        _away,
    ),
    Lesson(
        "Mirror images",
        "Two tanh units have 2! times 2 squared, that is 8, places for one function. How many have three?",
        "Take 3 hidden units, or another activation.",
        Settings(hidden=2),
        mirrors,
        lambda s: (s.hidden, s.activation) != (2, "tanh") and s.hidden > 0,
        _images,
    ),
    Lesson(
        "A second functional mode",
        "One unit can follow the left flank or the right one. How much of the posterior does each hold?",
        "Drag a point of the right flank, or choose another noise or prior sd.",
        _TWO,
        first_share,
        lambda s: len(s.points) > 5 and s != _TWO,
        _second,
    ),
)


def lesson_of(text: str) -> int | None:
    """Read the number of a lesson in an address.

    Parameters
    ----------
    text : str
        As it stands there.

    Returns
    -------
    int or None
        From 1; None for what is no lesson.
    """
    return int(text) if text.isascii() and text.isdigit() and len(text) < 3 and 1 <= int(text) <= len(LESSONS) else None
