"""What to do where a maximum does not exist, in words that work as they stand."""

import numpy as np

from bayesnn.fitting.existence import Existence
from bayesnn.tree import Problem


def remedy_of(kind: str, problem: Problem, existence: Existence) -> str:
    """Name what gives the density a maximum.

    Parameters
    ----------
    kind : {"mle", "map"}
        What was to be fitted.
    problem : Problem
        With the network as the user wrote it.
    existence : Existence
        Why there is no maximum: a scale that shrinks to zero (its numbers have a relative noise, or the largest
        residual), or weights that grow.

    Returns
    -------
    str
        A sentence with the arguments of a network, ``noise=...`` and ``prior=...``, with which `fit_map` succeeds.
    """
    net = problem.net
    if "overdispersion" in existence.numbers:
        return "Take loss='poisson', or give fit_map a noise that stays from zero, noise=bnn.InverseGamma(3.0, 1.0)."
    if not {"relative_noise", "largest_residual"} & set(existence.numbers):
        if kind == "mle":
            return "Give the weights a proper prior (fit_map), such as prior=bnn.Normal(1.0)."
        return "Give weights and biases alike a proper prior, such as prior=bnn.Normal(1.0)."
    weights = "" if net.prior.proper else ", with prior=bnn.Normal(1.0)"
    known, learned = noises(problem)
    if not net.loss.has_noise:
        return f"Use fit_map with one noise for all inputs, loss='squared_error' with {known} or {learned}{weights}."
    if kind == "mle":
        return f"Use fit_map{weights} and {known}, or {learned}, which keeps the noise from zero."
    return (
        f"The noise's prior {net.noise_prior!r} does not keep it from zero: give it a known value, {known}, or "
        f"{learned}{weights}."
    )


def noises(problem: Problem) -> tuple[str, str]:
    """Write two noises that can't shrink to zero: a known one, and the prior of a learned one.

    Parameters
    ----------
    problem : Problem
        What is to be fitted; both are about a tenth of the targets' standard deviation.

    Returns
    -------
    known, learned : str
        Arguments of a network.
    """
    size = 0.1 * float(np.std(problem.values)) if problem.net.loss.support == "real" else 0.1
    size = size or 0.1
    return f"noise={size:.1g}", f"noise=bnn.InverseGamma(3.0, {3 * size:.1g})"
