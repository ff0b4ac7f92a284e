"""The marginal likelihood (evidence): what tempering estimates it by, and how it is read from a fit."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from bayesnn.errors import FitError
from bayesnn.tree import Problem, kind_of

if TYPE_CHECKING:
    import xarray as xr


@dataclass(frozen=True)
class Evidence:
    r"""Log evidence of a network, :math:`\log p(y) = \log \int p(y \mid \theta)\, p(\theta)\, d\theta`.

    Parameters
    ----------
    value : float
        Natural logarithm of the marginal likelihood, of densities in the user's units.
    se : float
        Its Monte Carlo standard error; zero where the integral is known exactly, NaN where it is an approximation
        whose error is not known.
    """

    value: float
    se: float

    def __str__(self):
        if np.isnan(self.se):
            return f"{self.value:.2f} (approximate)"
        return f"{self.value:.2f} ± {self.se:.2f}" if self.se else f"{self.value:.4f} (exact)"


def log_evidence(fit: "xr.DataTree") -> Evidence:
    """Read the log evidence (log marginal likelihood) of a posterior by tempering, or of its Laplace approximation.

    Parameters
    ----------
    fit : xarray.DataTree
        From `fit_posterior` with ``sampler="tempering"``, or from `fit_laplace`.

    Returns
    -------
    Evidence
        With ``.value`` and ``.se``, in the user's units: the evidences of two networks may be compared if they are of
        the same targets.

    Raises
    ------
    FitError
        A fit without evidence.

    Examples
    --------
    >>> import bayesnn as bnn
    >>> line = bnn.MLP(hidden=(), noise=0.3, prior=bnn.Normal(1.0))
    >>> X, y = [-2, -1, 0, 1, 2], [-1.1, -0.7, 0.1, 0.8, 1.0]
    >>> post = bnn.fit_posterior(line, X, y, sampler="tempering", random_seed=1, progressbar=False)
    >>> bnn.log_evidence(post)
    Evidence(value=-3.663383..., se=0.0)
    """
    kind = kind_of(fit)
    if "bayesnn_log_evidence" not in fit.attrs:
        got = fit.attrs.get("bayesnn_sampler", kind)
        raise FitError(
            f"Got a fit by {got!r}, which does not estimate the evidence. Take "
            "bnn.fit_posterior(net, X, y, sampler='tempering'), or bnn.fit_laplace(net, X, y)."
        )
    return Evidence(float(fit.attrs["bayesnn_log_evidence"]), float(fit.attrs["bayesnn_log_evidence_se"]))


def evidence_shift(problem: Problem) -> float:
    """Give what the log integral of the model's density lacks of the log evidence in the user's units.

    Parameters
    ----------
    problem : Problem
        What was fitted.

    Returns
    -------
    float
        The units of the targets; and of k ordered cutpoints log k!, since their prior is written without their order.
    """
    cuts = int(problem.y.max()) if problem.net.loss.task == "ordinal" else 0
    return float(np.log(np.arange(1, cuts + 1)).sum()) - problem.log_units


@dataclass(frozen=True)
class Bridge:
    """Log ratio of the normalising constants at both ends of a ladder of temperatures, from one system's run.

    Parameters
    ----------
    forward, backward : float
        By stepping stones from the hot end, and from the cold end.
    combined : float
        By Bennett's acceptance ratio at each step, which weighs both optimally.
    series : array (n,)
        The share that each iteration has in `combined`, added to it: their mean is `combined`, and their
        autocorrelation gives its error.
    gap : array (n,)
        The same for forward less backward.
    """

    forward: float
    backward: float
    combined: float
    series: np.ndarray
    gap: np.ndarray


def bridge(logs: np.ndarray, betas: np.ndarray) -> Bridge:
    """Estimate the log evidence from the log-likelihoods along a ladder.

    Parameters
    ----------
    logs : array (n, k)
        Log-likelihoods of n iterations at k temperatures.
    betas : array (k,)
        Inverse temperatures, from 0 to 1.

    Returns
    -------
    Bridge
        The estimates, and how each iteration moves them.

    References
    ----------
    C. H. Bennett, "Efficient estimation of free energy differences from Monte Carlo data", Journal of Computational
    Physics 22 (1976).
    """
    from scipy.special import expit

    n, steps = len(logs), np.diff(betas)
    logs = np.where(np.isnan(logs), -np.inf, logs)
    up, down = steps * logs[:, :-1], steps * logs[:, 1:]
    forward = np.logaddexp.reduce(up, axis=0) - np.log(n)
    backward = np.log(n) - np.logaddexp.reduce(-down, axis=0)
    # The root of a decreasing function, bracketed: Newton's steps, halved brackets where they lead out.
    ratio, low, high = (forward + backward) / 2, np.full(len(steps), -np.inf), np.full(len(steps), np.inf)
    for _ in range(100):
        a, b = expit(up - ratio), expit(ratio - down)
        excess, slope = (a - b).sum(axis=0), (a * (1 - a) + b * (1 - b)).sum(axis=0)
        low, high = np.where(excess > 0, ratio, low), np.where(excess > 0, high, ratio)
        step = excess / np.maximum(slope, 1e-300)
        new = ratio + np.clip(step, -10.0, 10.0)
        new = np.where((new >= low) & (new <= high), new, (low + high) / 2)
        moved, ratio = np.abs(new - ratio).max(), new
        if moved < 1e-9:
            break
    a, b = expit(up - ratio), expit(ratio - down)
    slope = (a * (1 - a) + b * (1 - b)).mean(axis=0)
    series = ratio.sum() + ((a - b) / np.maximum(slope, 1e-300)).sum(axis=1)
    gap = (np.exp(up - forward) + np.exp(backward - down) - 2.0).sum(axis=1) + (forward - backward).sum()
    return Bridge(float(forward.sum()), float(backward.sum()), float(ratio.sum()), series, gap)
