"""Answers that are made by hand, for panels to show."""

import numpy as np

from bayesnn.playground.answers import ChainsAnswer, Plane, PointAnswer, PosteriorAnswer, function_at, grid_of
from bayesnn.playground.found import Found
from bayesnn.playground.settings import Settings
from bayesnn.tree import prepare


def weights_of(settings, seed=0):
    """Random weights of a network, some of each sign."""
    problem = prepare(settings.net, settings.X, settings.y, scaling=settings.scaling)
    rng = np.random.default_rng(seed)
    weights = {name: rng.normal(size=shape) for name, shape in problem.shapes.items()}
    return weights | ({"noise": np.array(0.3)} if settings.net.noise_prior else {})


def point(settings, kind="map", weights=None, exists=True):
    weights = weights_of(settings) if weights is None else weights
    problem = prepare(settings.net, settings.X, settings.y, scaling=settings.scaling)
    return PointAnswer(
        kind=kind,
        heading=kind.upper(),
        message="",
        exists=exists,
        weights=weights,
        log_likelihood=float(problem.log_likelihood(weights)),
        log_prior=float(settings.net.log_prior(weights)),
        mean=function_at(problem, weights, grid_of(settings)),
        restarts=1,
        modes="",
    )


def posterior(settings, shares=((1.0, 0.0),), samples=None, traces=None):
    rng = np.random.default_rng(1)
    return PosteriorAnswer(
        kind="posterior",
        heading="posterior",
        message="",
        log_likelihood=0.0,
        log_prior=0.0,
        mean=np.zeros(len(grid_of(settings))),
        evidence=0.0,
        evidence_se=0.1,
        unmet="",
        rhat=1.0,
        trusted=True,
        shares=shares,
        mode_means=np.zeros((len(shares), len(grid_of(settings)))),
        samples=samples or {},
        traces={"W1[x1, 1]": rng.normal(size=(4, 30)), "f(1)": 9.0 + rng.normal(size=(4, 30))}
        if traces is None
        else traces,
        seconds=0.1,
    )


def chains(verdict="harmless_symmetry", rhats=(1.8, 1.002, 1.003), message="Nothing. More."):
    rng = np.random.default_rng(2)
    return ChainsAnswer(
        raw=rng.normal(size=(4, 50)) + np.array([[2.0], [-2.0], [2.0], [-2.0]]),
        aligned=2.0 + rng.normal(size=(4, 50)),
        function=9.0 + rng.normal(size=(4, 50)),
        name="W1[x1, 1]",
        place="f(1)",
        rhats=dict(zip(("raw", "aligned", "function"), rhats, strict=True)),
        verdict=verdict,
        message=message,
        trusted=True,
        seconds=1.0,
    )


def plane(names=("W1[x1, 1]", "W2[1, target]"), mle=((2.0, 1.5),), map=((1.0, 1.0),), copies=8, peak=(1.0, 1.0)):
    """A round hill for the likelihood, and a round prior around zero."""
    x = np.linspace(-3, 3, 25)
    x1, x2 = np.meshgrid(x, x)
    return Plane(
        names=names,
        x=x,
        y=x,
        log_likelihood=-3.0 * ((x1 - peak[0]) ** 2 + (x2 - peak[1]) ** 2),
        log_prior=-0.5 * (x1**2 + x2**2),
        mle=None if mle is None else np.array(mle),
        map=np.array(map),
        copies=copies,
    )


def found(settings=None, **parts):
    settings = Settings() if settings is None else settings
    return Found(settings, **parts)
