"""Answers made by hand, whose numbers are known."""

import numpy as np

from bayesnn.playground.answers import PointAnswer, PosteriorAnswer, grid_of
from bayesnn.playground.settings import Settings

LINE = Settings(
    data="own", points=((0, 0.0), (1, 1.0), (2, 2.0), (3, 3.0), (10, 9.0)), hidden=0, noise=0.5, loss="squared_error"
)
"""Five rows of a line, with a gap from 3 to 10."""
MOONS = Settings().with_(data="two_moons", hidden=2)


def point(settings, kind, log_likelihood, log_prior=-3.0, **fields):
    """MLE or MAP with a mean that is its first input."""
    given = {
        "kind": kind,
        "heading": kind.upper(),
        "message": "all starts converged.",
        "log_likelihood": log_likelihood,
        "log_prior": log_prior,
        "mean": grid_of(settings)[:, 0],
        "restarts": 4,
        "modes": "one",
    }
    return PointAnswer(**given | fields)


def posterior(settings, **fields):
    """A posterior whose band is widest at x = 6, or at the last point of a surface within the data."""
    grid = grid_of(settings)
    mean = grid[:, 0]
    width = 0.1 + np.exp(-((mean - 6.0) ** 2)) if grid.shape[1] == 1 else 0.1
    given = {
        "kind": "posterior",
        "heading": "posterior",
        "message": "ran",
        "log_likelihood": -5.0,
        "log_prior": -4.0,
        "mean": mean,
        "lower": mean - width - 0.5,
        "upper": mean + width + 0.5,
        "f_lower": mean - width,
        "f_upper": mean + width,
        "functions": np.stack([mean, mean + 0.1]),
        "evidence": -12.5,
        "evidence_se": 0.25,
        "unmet": "",
        "rhat": 1.0,
        "trusted": True,
        "shares": ((1.0, np.nan),),
        "mode_means": mean[None],
        "samples": {},
        "traces": {},
        "seconds": 0.5,
    }
    return PosteriorAnswer(**given | fields)
