"""The exact posterior of a network with few parameters: evidence, moments, predictions, modes, each with its error."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from bayesnn.errors import SpecError
from bayesnn.fitting.blas import single_threaded
from bayesnn.fitting.density import ModelDensity, collapses, log_density
from bayesnn.fitting.evidence import evidence_shift
from bayesnn.fitting.posterior import check_proper
from bayesnn.network import MLP
from bayesnn.theory.basins import climb, distinct, find_peaks
from bayesnn.theory.cubature import ORDER, Cubature, Nodes, integrate
from bayesnn.theory.moments import LEAST, Moments, function_of, moments
from bayesnn.theory.results import Result
from bayesnn.tree import Inputs, Problem, ScalingChoice, new_inputs, prepare

if TYPE_CHECKING:
    import pandas as pd


MOST = len(ORDER) - 1
"""Most parameters that are left to integrate over."""
EVALUATIONS = 6_000_000, 200_000
"""About the most evaluations on a mesh, by our own kernels and by a PyMC model, which is slower."""
STARTS = 32
"""Draws from the prior from which peaks are climbed to."""
SMALLEST = 1e-6
"""Smallest share of the posterior that is called a mode."""
ROUNDING = 1e-13
"""Relative error of sums of many floats, which a difference of two rules does not show."""


@dataclass(frozen=True, repr=False, eq=False)
class ExactPosterior(Result):
    """What `exact_posterior` returns; every array has one of the same shape with its errors.

    Parameters
    ----------
    net : MLP
        The network.
    log_evidence, log_evidence_error : float
        Log of the integral of likelihood times prior, in the user's units and with all constants.
    mean, mean_error, sd, sd_error : array (n, K)
        Posterior mean and standard deviation, at n inputs, of what the network expects of K targets, or of the
        probabilities of K classes: the exact ``mean`` and root of ``variance_epistemic`` of `predict`.
    predictive : pandas.DataFrame
        Of a new observation, in the user's units, a row for each input and target: ``mean``, ``sd`` and quantiles,
        each with its error. Of labels, the probability of each class.
    weights : pandas.DataFrame
        Mean and standard deviation of each weight and bias, noise and other parameter, in the units that the model
        works in, each with its error.
    modes : pandas.DataFrame
        A row for each mode in function space, the largest first: its ``share`` of the posterior, with ``error``, how
        many ``peaks`` have this function (mirror images), and the mean of each target there.
    dimensions : int
        Parameters that were left to the cubature.
    collapsed : bool
        Whether the output layer was integrated out in closed form.
    evaluations : int
        Of the log density.
    complete : bool
        Whether the cubature refined as far as it wanted to.
    """

    net: MLP
    log_evidence: float
    log_evidence_error: float
    mean: np.ndarray
    mean_error: np.ndarray
    sd: np.ndarray
    sd_error: np.ndarray
    predictive: "pd.DataFrame"
    weights: "pd.DataFrame"
    modes: "pd.DataFrame"
    dimensions: int
    collapsed: bool
    evaluations: int
    complete: bool

    @property
    def message(self) -> str:
        """What was integrated, the evidence, and the modes."""
        by = []
        if self.collapsed:
            by.append("the output layer in closed form")
        if self.dimensions:
            by.append(f"{self.dimensions} parameter{'s' if self.dimensions > 1 else ''} by cubature")
        shares = ", ".join(f"{100 * share:.6g}%" for share in self.modes["share"])
        count = len(self.modes)
        found = f"{count} modes in function space ({shares})" if count > 1 else "1 mode in function space"
        least = "" if self.complete else " The cubature ended before its tolerance: look at the errors."
        return (
            f"Exact posterior, {' and '.join(by)}: log evidence {self.log_evidence:.10g} "
            f"± {self.log_evidence_error:.1g}; {found}.{least}"
        )

    @property
    def table(self) -> "pd.DataFrame":
        """Evidence, and mean and standard deviation of the function at each input, with their errors."""
        import pandas as pd

        rows = {"log evidence": (self.log_evidence, self.log_evidence_error)}
        for (i, target), mean, mean_error, sd, sd_error in zip(
            self.predictive.index,
            *(a.ravel() for a in (self.mean, self.mean_error, self.sd, self.sd_error)),
            strict=True,
        ):
            name = f"x[{i}], {target}" if self.mean.shape[1] > 1 else f"x[{i}]"
            rows[f"mean at {name}"], rows[f"sd at {name}"] = (mean, mean_error), (sd, sd_error)
        return pd.DataFrame(rows, index=["value", "error"]).T


def exact_posterior(
    net: MLP,
    X: Inputs,
    y: ArrayLike | None = None,
    *,
    X_new: Inputs | None = None,
    quantiles: tuple[float, ...] = (0.05, 0.5, 0.95),
    scaling: ScalingChoice = None,
    tolerance: float | None = None,
) -> ExactPosterior:
    r"""Integrate a small network's posterior, with an error estimate for each number.

    The output layer is integrated out in closed form where that is exact (squared error, normal priors of fixed
    scale), and up to four parameters that are left by adaptive cubature: of :math:`\log \sigma` where the noise is
    learned. A linear model of known noise needs no cubature; a linear or logistic one, a deep linear one, and any loss
    and prior do if they have few parameters.

    Parameters
    ----------
    net : MLP
        The network, with a proper prior.
    X : array (n, p), DataFrame or Dataset
        Inputs. A Dataset brings its training targets, names and scaling.
    y : array (n,) or (n, K), optional
        Targets; left out when `X` is a Dataset.
    X_new : array (n, p), DataFrame or Dataset, optional
        Where the function is predicted, in the user's units; None takes the inputs of the fit.
    quantiles : tuple of float
        Probabilities of the quantiles of a new observation.
    scaling : None, "standard", False or Scaling
        As for `fit_mle`.
    tolerance : float, optional
        Share of the density that may be missed by the polynomials of the cubature; integrals miss about its square.
        None takes 1e-7, 1e-4, 1e-2 and 0.3 for one to four parameters, which gives about 13, 11, 6 and 4 digits of a
        smooth density, in up to a minute.

    Returns
    -------
    ExactPosterior
        With ``log_evidence``, ``mean``, ``sd``, ``predictive``, ``weights``, ``modes``.

    Raises
    ------
    SpecError
        More than four parameters left to integrate over; quantiles or a tolerance that are none.
    ImproperPriorError
        A flat prior.
    DataError
        Data that break a rule.

    Notes
    -----
    An error is the difference to the same integral on another mesh of boxes, which is refined less (see
    `bayesnn.theory.cubature.integrate`). Modes are basins of the density of what is integrated numerically, joined
    where their peaks have the same function; what lies on the border between two, a share of the posterior that is
    negligible where modes are apart, falls to either.

    References
    ----------
    P. J. Davis and P. Rabinowitz, "Methods of Numerical Integration", 2nd edition, Academic Press (1984).

    Examples
    --------
    >>> import bayesnn as bnn
    >>> net = bnn.MLP((1,), bias=False, noise=0.3)
    >>> X, y = [-2, -1, 0, 1, 2], [-1.1, -0.7, 0.1, 0.8, 1.0]
    >>> exact = bnn.theory.exact_posterior(net, X, y, X_new=[1.5])
    >>> round(exact.log_evidence, 8), exact.mean.round(8).item(), exact.sd.round(8).item()
    (-1.43811849, 0.89373583, 0.15533993)
    """
    problem = prepare(net, X, y, scaling=scaling)
    check_proper(net)
    inputs = problem.X if X_new is None else new_inputs(problem, X_new)
    _check(quantiles, tolerance)
    collapse = collapses(problem)
    _check_size(problem, collapse)
    density: Any = log_density(problem, jacobian=True, collapse=collapse)
    with single_threaded():
        found = _integrated(density, tolerance)
        fine, coarse = (
            moments(problem, density, nodes, inputs, quantiles, collapse=collapse)
            for nodes in (found.fine, found.coarse)
        )
        return _result(problem, fine, coarse, found, quantiles, density=density, collapse=collapse)


def _check(quantiles, tolerance):
    if tolerance is not None and not (isinstance(tolerance, float) and 0 < tolerance <= 1):
        raise SpecError(
            f"Got tolerance={tolerance!r}; it must be a number between 0 and 1. Write tolerance=1e-3, or leave it out."
        )
    if not isinstance(quantiles, tuple | list) or not all(isinstance(p, float) and 0 < p < 1 for p in quantiles):
        raise SpecError(
            f"Got quantiles={quantiles!r}; they must be probabilities between 0 and 1. Write quantiles=(0.05, 0.95)."
        )


def _check_size(problem, collapse):
    """Refuse what has too many parameters, before anything is compiled."""
    net = problem.net
    sizes = {name: int(np.prod(shape)) for name, shape in problem.shapes.items()}
    if net.noise_prior is not None:
        sizes["noise"] = 1
    if net.loss.task == "ordinal":
        sizes["cutpoints"] = int(problem.y.max())
    if net.prior.has_learned_scale:
        sizes |= {f"scale{layer}": 1 for layer in range(1, net.n_layers + 1)}
    left = sum(k for name, k in sizes.items() if not (collapse and name in (f"W{net.n_layers}", f"b{net.n_layers}")))
    if left > MOST:
        beside = " beside the output layer, which has a closed form" if collapse else ""
        raise SpecError(
            f"Got a network with {left} parameters{beside}; cubature takes at most {MOST}. Take "
            "bnn.fit_posterior(net, X, y, sampler='tempering'), which estimates moments, shares of modes and evidence "
            "with their errors; or fewer units, bias=False, or a known noise."
        )


def _integrated(density, tolerance):
    """Cubature of a log density over all its parameters."""
    if not density.size:
        here = Nodes(np.empty((1, 0)), np.ones(1), np.zeros(1), float(density.many(np.empty((1, 0)))[0].sum()))
        return Cubature(here, here, 1, True)
    draws = density.prior_draws(np.random.default_rng(0), 2000)
    below, middle, above = np.quantile(draws, [0.16, 0.5, 0.84], axis=0)
    scales = (above - below) / 2
    # Priors of weights are symmetric, and kinks are at zero.
    centre = np.where(np.abs(middle) < 0.2 * scales, 0.0, middle)
    peaks, widths = find_peaks(density, draws[:STARTS], scales)
    with np.errstate(over="ignore", invalid="ignore"):
        return integrate(
            lambda x: density.many(x)[0],
            centre,
            scales,
            peaks=peaks,
            widths=widths,
            tolerance=tolerance,
            most=EVALUATIONS[isinstance(density, ModelDensity)],
        )


def _result(problem: Problem, fine: Moments, coarse: Moments, found: Cubature, quantiles, *, density, collapse):
    """Put numbers and their errors into the user's units and into tables."""
    import pandas as pd

    def error(a, b):
        # A likelihood without a variance leaves infinities, and their difference is unknown.
        with np.errstate(invalid="ignore"):
            return np.abs(a - b) + ROUNDING * (1 + np.abs(a))

    net, scaling = problem.net, problem.scaling
    numbers = net.loss.task in ("regression", "count")
    sd = problem.y_sd if net.loss.task == "regression" else 1.0

    def centred(values):
        scaled = scaling is not None and scaling.y_sd is not None and net.loss.task == "regression"
        return scaling.inverse_y(values) if scaled else values

    columns: dict[str, Any] = {"mean": (centred(fine.mean), sd * error(fine.mean, coarse.mean))}
    if numbers:
        columns["sd"] = (sd * fine.predictive_sd, sd * error(fine.predictive_sd, coarse.predictive_sd))
        for p, a, b in zip(quantiles, fine.quantiles, coarse.quantiles, strict=True):
            columns[f"quantile {p:g}"] = (centred(a), sd * error(a, b))
    names = problem.target_names if numbers else problem.class_names
    index = pd.MultiIndex.from_product([range(len(fine.mean)), names], names=["input", "target"])
    predictive = pd.DataFrame(
        {
            f"{name}{tag}": v.ravel()
            for name, both in columns.items()
            for tag, v in zip(("", " error"), both, strict=True)
        },
        index=index,
    )
    weights = {}
    for name, mean in fine.weight_mean.items():
        for element, at in zip(problem.elements(name, mean.shape), np.ndindex(mean.shape), strict=True):
            spread, others = fine.weight_sd[name][at], (coarse.weight_mean[name][at], coarse.weight_sd[name][at])
            row = (mean[at], error(mean[at], others[0]), spread, error(spread, others[1]))
            weights[element] = row
    return ExactPosterior(
        net=net,
        log_evidence=found.fine.log_z + evidence_shift(problem),
        log_evidence_error=float(error(found.fine.log_z, found.coarse.log_z)),
        mean=centred(fine.mean),
        mean_error=sd * error(fine.mean, coarse.mean),
        sd=sd * fine.sd,
        sd_error=sd * error(fine.sd, coarse.sd),
        predictive=predictive,
        weights=pd.DataFrame(weights, index=["mean", "mean error", "sd", "sd error"]).T,
        modes=_modes(problem, fine, coarse, centred, error, density, collapse),
        dimensions=density.size,
        collapsed=collapse,
        evaluations=found.evaluations,
        complete=found.complete,
    )


def _modes(problem, fine, coarse, centred, error, density, collapse):
    """Join the basins whose peaks have the same function, in either rule, and compare their shares."""
    import pandas as pd

    from bayesnn.symmetry.optima import function_labels, same_function

    def joined(these):
        ends = np.array([climb(density, peak) for peak in these.peaks])
        f = function_of(problem, density, ends, problem.X, collapse=collapse).mean
        labels = function_labels(f)
        groups = [np.flatnonzero(labels == k) for k in range(1 + labels.max(initial=-1))]
        groups.sort(key=lambda g: -these.shares[g].sum())
        return [(g, f[g[0]], distinct(ends[g])) for g in groups if these.shares[g].sum() > SMALLEST]

    others = joined(coarse)
    rows = []
    for group, f, peaks in joined(fine):
        share = float(fine.shares[group].sum())
        other = sum(float(coarse.shares[g].sum()) for g, h, _ in others if same_function(h[None], f)[0])
        border = LEAST if share < 1 - LEAST else 0.0
        mean = centred(np.tensordot(fine.shares[group] / share, fine.mode_means[group], axes=1))
        rows.append(
            {"share": share, "error": float(error(share, other)) + border, "peaks": peaks, "mean": mean.ravel()}
        )
    names = [f"mean[{i}]" for i in range(fine.mean.size)]
    table = pd.DataFrame([{k: row[k] for k in ("share", "error", "peaks")} for row in rows])
    return table.join(pd.DataFrame([row["mean"] for row in rows], columns=names))
