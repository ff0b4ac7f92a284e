"""Prior against likelihood: how far the prior moves the answers, and how fast that ends as rows are added."""

import contextlib
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from bayesnn.arguments import Seed, as_list
from bayesnn.errors import FitError, SpecError
from bayesnn.fitting import fit_mle
from bayesnn.fitting.climb import climb
from bayesnn.fitting.density import log_density
from bayesnn.fitting.objective import Objective
from bayesnn.network import MLP, check_net
from bayesnn.prediction import pointwise_log_likelihood
from bayesnn.theory.results import Result
from bayesnn.tree import Inputs, ScalingChoice, kind_of, new_inputs, params_of, prepare, problem_of

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

FLAT = 1e-8
"""Smallest eigenvalue of the Hessian, in units of the largest, of a maximum that is a point."""
PLACES = 8
"""Rows at which the function's sensitivity is looked at, at most."""
SENSITIVE = 0.05
"""Sensitivity from which ArviZ speaks of a potential conflict."""


@dataclass(frozen=True, repr=False, eq=False)
class MapToMle(Result):
    """What `map_to_mle` returns.

    Parameters
    ----------
    names : tuple of str
        Of the parameters' elements.
    n : array (k,)
        Numbers of rows.
    mle : array (size,)
        The MLE.
    map : array (k, size)
        The MAP with as many rows.
    limit : array (size,)
        What n (MAP - MLE) tends to.
    """

    names: tuple[str, ...]
    n: np.ndarray
    mle: np.ndarray
    map: np.ndarray
    limit: np.ndarray

    @property
    def scaled(self) -> np.ndarray:
        """Array (k, size) of n (MAP - MLE)."""
        return self.n[:, None] * (self.map - self.mle)

    @property
    def message(self) -> str:
        """The limit of the distance times n, and how near it the last is."""
        far, near = np.linalg.norm(self.limit), np.linalg.norm(self.scaled[-1] - self.limit)
        return (
            f"n |MAP - MLE| tends to {far:.6g}: the MAP goes to the MLE as 1/n. At n = {self.n[-1]} it is "
            f"{np.linalg.norm(self.scaled[-1]):.6g}, {near:.2g} from the limit."
        )

    @property
    def table(self) -> "pd.DataFrame":
        """A row for each element: n (MAP - MLE) for each number of rows, and its limit."""
        import pandas as pd

        columns = {f"n = {n}": row for n, row in zip(self.n, self.scaled, strict=True)}
        return pd.DataFrame({"MLE": self.mle, **columns, "limit": self.limit}, index=list(self.names))


def map_to_mle(
    net: MLP,
    X: Inputs,
    y: ArrayLike | None = None,
    *,
    copies: Sequence[int] = (1, 4, 16, 64, 256),
    restarts: int = 20,
    scaling: ScalingChoice = None,
    random_seed: Seed = None,
    progressbar: bool = True,
) -> MapToMle:
    r"""Follow the MAP to the MLE as the data are repeated: their distance is that of a prior to a likelihood, 1/n.

    Parameters
    ----------
    net : MLP
        The network, with a smooth prior.
    X : array (n, p), DataFrame or Dataset
        Inputs.
    y : array (n,) or (n, K), optional
        Targets; left out when `X` is a Dataset.
    copies : sequence of int
        How often the data are repeated, which changes n and leaves the MLE where it is.
    restarts : int
        Random starts of the MLE.
    scaling : None, "standard", False or Scaling
        As for `fit_mle`.
    random_seed : int or numpy.random.Generator, optional
        Seed of the starts.
    progressbar : bool
        Show progress on standard error.

    Returns
    -------
    MapToMle
        With ``.scaled``, ``.limit``, ``.table`` and ``.message``. Of a network's many symmetric copies of the MAP it is
        the one to which a search from the MLE leads.

    Raises
    ------
    NoMLEError
        No MLE exists, to which a MAP could go.
    FitError
        The MLE is no isolated point: along a flat direction the prior alone decides, with any number of rows.
    SpecError
        A loss or units with kinks, or an argument that breaks its rule.

    Notes
    -----
    With n rows, of which each adds :math:`J = H / n` to the Hessian :math:`H` of the negative log-likelihood,

    .. math:: n (\hat\theta_{MAP} - \hat\theta_{MLE}) \to J^{-1} \nabla \log p(\hat\theta_{MLE}) .

    References
    ----------
    A. Gelman, J. Carlin, H. Stern, D. Dunson, A. Vehtari and D. Rubin, "Bayesian Data Analysis", 3rd edition, chapter
    4, CRC Press (2013).

    Examples
    --------
    >>> import bayesnn as bnn
    >>> from bayesnn.theory import map_to_mle
    >>> node = bnn.MLP(hidden=(), loss="binary_cross_entropy", bias=False, prior=bnn.Normal(1.0))
    >>> found = map_to_mle(node, [-2, -1, 0.5, 1, 2], [0, 1, 0, 1, 1], copies=[1, 1000], restarts=3, random_seed=1,
    ...                    progressbar=False)
    >>> found.scaled.ravel().round(4), found.limit.round(4)   # 5 rows: -5 (.7872)^2 .7954
    (array([-1.3966, -2.4627]), array([-2.4648]))
    """
    check_net(net)
    numbers = [copies] if isinstance(copies, int) else as_list("copies", copies, [1, 4, 16])
    many: Any = np.array(numbers) if all(isinstance(c, int | np.integer) for c in numbers) else np.zeros(0)
    if many.dtype.kind not in "iu" or many.ndim != 1 or not len(many) or (many < 1).any():
        raise SpecError(f"Got copies={copies!r}; they are positive integers. Write copies=[1, 4, 16].")
    if net.prior.has_learned_scale or not net.prior.proper:
        raise SpecError(f"Got prior={net.prior!r}; the MAP needs a prior of fixed scale. Write prior=bnn.Normal(1.0).")
    if not net.smooth:
        raise SpecError(
            f"Got loss {net.loss.name!r} and {net.activation!r} units; the limit needs a Hessian, and one "
            "of them has kinks. Write loss='squared_error', activation='tanh'."
        )
    mle = fit_mle(net, X, y, restarts=restarts, random_seed=random_seed, scaling=scaling, progressbar=progressbar)
    problem = prepare(net, X, y, scaling=scaling)
    objective = Objective(log_density(replace(problem, net=net.flat), jacobian=False))
    x = objective.pack({name: value[0, 0] for name, value in params_of(mle).items()})
    hessian = objective.hessian(x)
    eigenvalues = np.linalg.eigvalsh(hessian)
    if eigenvalues[0] <= FLAT * eigenvalues[-1]:
        raise FitError(
            f"Got an MLE that is no point: eigenvalues of the Hessian from {eigenvalues[0]:.3g} to "
            f"{eigenvalues[-1]:.3g}. Along flat directions the prior alone decides, with any number of rows. Take "
            "fewer hidden units."
        )
    slope = log_density(problem, jacobian=False, split=True)(x)[1][objective.size :]
    own = objective.slopes(x)
    limit = len(problem.X) * own @ np.linalg.solve(hessian, slope)
    ends = []
    for count in many:
        rows = np.tile(np.arange(len(problem.X)), count)
        repeated = Objective(log_density(replace(problem, X=problem.X[rows], y=problem.y[rows]), jacobian=False))
        end = climb(repeated, x, kinks=repeated.kinks(net.prior), smooth=True, maxiter=2000)[0]
        ends.append(_ravel(objective, end))
    names = tuple(
        name + "".join(f"[{i}]" for i in place)
        for name, shape in zip(objective.names, objective.shapes, strict=True)
        for place in np.ndindex(*shape)
    )
    return MapToMle(names, many * len(problem.X), _ravel(objective, x), np.array(ends), limit)


def _ravel(layout, x):
    """Elements of the parameters in their own units."""
    return np.concatenate([np.ravel(value) for value in layout.unpack(x).values()])


@dataclass(frozen=True, repr=False, eq=False)
class PowerSensitivity(Result):
    """What `power_sensitivity` returns.

    Parameters
    ----------
    summary : DataFrame
        What ArviZ found: ``prior``, ``likelihood`` and ``diagnosis`` of each quantity.
    """

    summary: "pd.DataFrame"

    @property
    def message(self) -> str:
        """Which quantities the prior moves, and whether the likelihood has a say in them."""
        prior, likelihood = (self.summary[name].to_numpy() >= SENSITIVE for name in ("prior", "likelihood"))
        total = len(self.summary)
        said = []
        if (conflict := int((prior & likelihood).sum())) > 0:
            said.append(
                f"{conflict} of {total} quantities depend on the prior and on the likelihood: they may be in conflict, "
                "or the data few. Look where the prior predictive lies, and try a wider prior."
            )
        if (strong := int((prior & ~likelihood).sum())) > 0:
            said.append(
                f"{strong} of {total} quantities depend on the prior and hardly on the likelihood: the prior is "
                "strong, or the data say little. Defend the prior, or collect data there."
            )
        if not said:
            return f"None of {total} quantities depends on the prior much: the likelihood decides."
        return " ".join(said)

    @property
    def table(self) -> "pd.DataFrame":
        """Sensitivity to the power of the prior and of the likelihood, with ArviZ's diagnosis."""
        return self.summary


def power_sensitivity(fit: "xr.DataTree", *, X: Inputs | None = None) -> PowerSensitivity:
    r"""Say how much a posterior would change if the prior, or the likelihood, counted a little more or less.

    The quantities are the function at some inputs and the noise where it is learned: unlike weights, these are the same
    in all mirror images of the posterior.

    Parameters
    ----------
    fit : xarray.DataTree
        A posterior from `fit_posterior`. Its groups ``log_likelihood`` and ``log_prior`` need not have been kept.
    X : array (n, p) or DataFrame, optional
        Where the function is looked at, in the user's units; None takes up to eight rows of the fit, spread over them.

    Returns
    -------
    PowerSensitivity
        With ``.table`` and, in words, ``.message``.

    Raises
    ------
    FitError
        A fit of a single draw.

    See Also
    --------
    bayesnn.plots.plot_sensitivity : The picture.

    Notes
    -----
    The prior, or the likelihood, is raised to powers near 1, and the draws are reweighted by Pareto smoothed importance
    sampling; sensitivity is the derivative of the distance (of cumulative distributions, Jensen and Shannon's) after
    the logarithm of the power. From 0.05 on it counts.

    References
    ----------
    N. Kallioinen, T. Paananen, P.-C. Bürkner and A. Vehtari, "Detecting and diagnosing prior and likelihood sensitivity
    with power-scaling", Statistics and Computing 34 (2024).

    Examples
    --------
    >>> import bayesnn as bnn
    >>> from bayesnn.theory import power_sensitivity
    >>> line = bnn.MLP(hidden=(), noise=0.3, prior=bnn.Normal(1.0))
    >>> X, y = [-2, -1, 0, 1, 2], [-1.1, -0.7, 0.1, 0.8, 1.0]
    >>> post = bnn.fit_posterior(line, X, y, sampler="tempering", random_seed=1, progressbar=False)
    >>> power_sensitivity(post).message
    'None of 5 quantities depends on the prior much: the likelihood decides.'
    """
    import arviz as az

    problem, params = problem_of(fit), params_of(fit)
    values = pointwise_log_likelihood(fit)
    if values.shape[0] * values.shape[1] < 2:
        raise FitError(
            f"Got {kind_of(fit)!r}, of one draw; sensitivity is that of a posterior. Take bnn.fit_posterior(net, X, y)."
        )
    if X is None:
        rows = np.unique(np.linspace(0, len(problem.X) - 1, PLACES).round().astype(int))
        inputs = problem.X[rows]
    else:
        inputs = new_inputs(problem, X)
    f = problem.net.forward(params, inputs)
    quantities: dict[str, Any] = {"f": f[..., 0] if f.shape[-1] == 1 else f}
    if "noise" in params:
        quantities["noise"] = params["noise"]
    groups = {
        "posterior": quantities,
        "log_likelihood": {"y": values},
        "log_prior": {"parameters": problem.net.log_prior(params)},
    }
    with _silent("arviz_stats.psense"):
        return PowerSensitivity(az.psense_summary(az.from_dict(groups), threshold=SENSITIVE, round_to=6))


@contextlib.contextmanager
def _silent(name: str) -> Iterator[None]:
    """Silence a logger: what ArviZ says on standard error is in the message of the result."""
    logger = logging.getLogger(name)
    before, logger.disabled = logger.disabled, True
    try:
        yield
    finally:
        logger.disabled = before
