"""Weights that race to infinity on separable data, and the prior that holds them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from bayesnn.arguments import Seed, as_list, check_arguments, is_scale, rng_of
from bayesnn.errors import SpecError
from bayesnn.fitting.climb import climb, newton
from bayesnn.fitting.density import log_density
from bayesnn.fitting.existence import existence_of
from bayesnn.fitting.objective import Objective
from bayesnn.fitting.progress import bar
from bayesnn.network import MLP
from bayesnn.priors import Flat, Normal
from bayesnn.theory.results import Result
from bayesnn.tree import Inputs, ScalingChoice, dataset_rows, new_inputs, new_targets, prepare

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, repr=False, eq=False)
class WeightRace(Result):
    """Paths of gradient descent without and with priors, from `race_weights`.

    Parameters
    ----------
    names : tuple of str
        Priors of the paths, the flat one first.
    steps : array (T,)
        Numbers of steps that are kept, from 0.
    norm, train, held_out : array (k, T)
        Along each path the norm of all weights and biases, and the NLL per observation.
    optimum : array (k,)
        Norm of the optimum that the path leads to: infinite where there is none, NaN where that is not known.
    reason : str
        Why there is an MLE, or none.
    """

    names: tuple[str, ...]
    steps: np.ndarray
    norm: np.ndarray
    train: np.ndarray
    held_out: np.ndarray
    optimum: np.ndarray
    reason: str

    @property
    def pace(self) -> np.ndarray:
        """Growth (k,) of the norm as the steps are multiplied by e, over their last tenfold."""
        late = self.steps >= max(1.0, self.steps[-1] / 10)
        rise = np.log(self.steps[-1] / self.steps[late][0])
        return (self.norm[:, -1] - self.norm[:, late][:, 0]) / rise

    @cached_property
    def table(self) -> "pd.DataFrame":
        """A row for each prior: the norm after the last step, its pace, that of the optimum, and the NLL."""
        import pandas as pd

        return pd.DataFrame(
            {
                "norm": self.norm[:, -1],
                "norm per e-fold of steps": self.pace,
                "norm of the optimum": self.optimum,
                "training NLL": self.train[:, -1],
                "held-out NLL": self.held_out[:, -1],
                "lowest held-out NLL": self.held_out.min(axis=1),
            },
            index=list(self.names),
        )

    @property
    def message(self) -> str:
        """What the flat prior lets happen, and what the others do."""
        flat, held = self.norm[0, -1], ", ".join(f"{v:.6g}" for v in self.optimum[1:])
        if np.isinf(self.optimum[0]):
            end = f"has no end ({self.reason}): after {self.steps[-1]} steps it is {flat:.4g}, and grows like log t"
        else:
            end = f"is {flat:.4g} after {self.steps[-1]} steps ({self.reason})"
        rise = self.held_out[0, -1] - self.held_out[0].min()
        late = f", while the held-out NLL has risen by {rise:.3g} from its lowest" if rise > 1e-3 else ""
        return f"Without a prior the norm of the weights {end}{late}. The priors hold it at {held}."


def race_weights(
    net: MLP,
    X: Inputs,
    y: ArrayLike | None = None,
    *,
    X_new: Inputs | None = None,
    y_new: ArrayLike | None = None,
    prior_sds: Sequence[float] = (1.0, 10.0, 100.0),
    steps: int = 10_000,
    learning_rate: float | None = None,
    random_seed: Seed = None,
    scaling: ScalingChoice = None,
    progressbar: bool = True,
) -> WeightRace:
    r"""Follow gradient descent without a prior and under Gaussian ones, from one start.

    On separable data the likelihood has no maximum: the weights grow for ever, like :math:`\log t / m` along the
    direction of the largest margin m, and the training NLL falls like 1/t, while a held-out observation on the wrong
    side costs ever more. Under a Gaussian prior there is a MAP for every standard deviation, further out for larger
    ones.

    Parameters
    ----------
    net : MLP
        The network; its own prior takes no part.
    X : array (n, p), DataFrame or Dataset
        Inputs. A Dataset brings its training and held-out rows.
    y : array (n,) or (n, K), optional
        Targets; left out when `X` is a Dataset.
    X_new, y_new : array (m, p) and array (m,) or (m, K), optional
        Held-out rows; left out when `X` is a Dataset that has some.
    prior_sds : sequence of float
        Standard deviations of the Gaussian priors, of all weights and biases.
    steps : int
        Steps of gradient descent.
    learning_rate : float, optional
        Length of a step, in units of the gradient of the summed loss. None takes the inverse of the largest curvature
        at the start, of all paths. Where a step would raise the loss, it and those after it are halved.
    random_seed : int or numpy.random.Generator, optional
        Of the start, a draw of Normal(1) weights. Without hidden layers the start is zero.
    scaling : None, "standard", False or Scaling
        As for `bnn.fit_mle`.
    progressbar : bool
        Show progress on standard error.

    Returns
    -------
    WeightRace
        With ``steps``, ``norm``, ``train``, ``held_out``, and ``optimum``, found from each path's end by Newton's
        method; `bayesnn.plots.plot_race` draws it.

    Raises
    ------
    SpecError
        Arguments that break a rule; no held-out rows; a noise or cutpoints that are learned.
    DataError
        Data that break a rule.

    References
    ----------
    D. Soudry, E. Hoffer, M. S. Nacson, S. Gunasekar and N. Srebro, "The implicit bias of gradient descent on separable
    data", Journal of Machine Learning Research 19 (2018).

    Examples
    --------
    >>> import bayesnn as bnn
    >>> data = bnn.load_data("one_node_separated")
    >>> node = bnn.MLP(hidden=(), loss="binary_cross_entropy", bias=False)
    >>> race = bnn.theory.race_weights(
    ...     node, data.X, data.y, X_new=[[-0.5], [1.0]], y_new=[1, 1], steps=100, progressbar=False
    ... )
    >>> race.optimum.round(6)
    array([      inf,  1.091383,  5.036677, 12.067665])
    """
    check_arguments(progressbar=progressbar, random_seed=random_seed)
    _check(prior_sds, steps, learning_rate)
    if X_new is None:
        held = dataset_rows(X)  # type: ignore[arg-type]  # refuses what is no Dataset
        X_new, y_new = held
    problem = prepare(net, X, y, scaling=scaling)
    inputs, targets = new_inputs(problem, X_new), new_targets(problem, y_new)
    priors = [Flat(), *(Normal(float(sd)) for sd in prior_sds)]
    problems = [replace(problem, net=replace(net, prior=prior)) for prior in priors]
    objectives = [Objective(log_density(one, jacobian=False)) for one in problems]
    if more := sorted(set(objectives[0].names) - set(problem.shapes)):
        raise SpecError(
            f"Got a network that learns {', '.join(more)} besides its weights; the race is of weights alone. "
            "Write noise=1.0, or loss='binary_cross_entropy'."
        )
    start = np.zeros(objectives[0].size)
    if net.hidden:
        start = objectives[1].density.prior_draws(rng_of(random_seed), 1)[0] / float(prior_sds[0])
    if learning_rate is None:
        learning_rate = 1 / max(float(np.linalg.eigvalsh(o.hessian(start))[-1]) for o in objectives)
    kept = np.unique(np.r_[0, np.round(np.geomspace(1, steps, 200))]).astype(int)
    exists = existence_of(problems[0])
    smooth = net.smooth
    paths, ends = [], []
    with bar("gradient descent", len(objectives), show=progressbar) as step:
        for one in objectives:
            paths.append(_descend(one, start, float(learning_rate), kept))
            end, _, _ = climb(one, paths[-1][-1], kinks=np.zeros(one.size), smooth=smooth, maxiter=2000)
            ends.append(newton(one, end, np.zeros(one.size)) if smooth else end)
            step()
    norms = [np.linalg.norm(end) for end in ends]
    norms[0] = {True: norms[0], False: np.inf, None: np.nan}[exists.exists]
    params = objectives[0].unpack(np.array(paths))
    shift = problem.log_y_sd
    return WeightRace(
        ("Flat()", *(f"Normal({float(sd):g})" for sd in prior_sds)),
        kept,
        np.linalg.norm(np.array(paths), axis=-1),
        shift - net.log_likelihood(params, problem.X, problem.y).mean(axis=-1),
        shift - net.log_likelihood(params, inputs, targets).mean(axis=-1),
        np.array(norms),
        exists.reason,
    )


def _check(prior_sds, steps, learning_rate):
    if not all(map(is_scale, as_list("prior_sds", prior_sds, (1, 10, 100)))):
        raise SpecError(f"Got prior_sds={prior_sds!r}; they must be positive numbers. Write prior_sds=(1, 10, 100).")
    if isinstance(steps, bool) or not isinstance(steps, int | np.integer) or steps < 1:
        raise SpecError(f"Got steps={steps!r}; it must be a positive integer. Write steps=10_000, or leave it out.")
    if learning_rate is not None and not is_scale(learning_rate):
        raise SpecError(
            f"Got learning_rate={learning_rate!r}; it must be a positive number. Write learning_rate=0.1, or leave it "
            "out."
        )


def _descend(objective, x, rate, kept):
    """Points of gradient descent at the numbers of steps that are kept."""
    out, at = np.empty((len(kept), x.size)), 0
    value, gradient = objective(x)
    for i in range(kept[-1] + 1):
        if i == kept[at]:
            out[at], at = x, at + 1
        # Less than rounding is no rise.
        for _ in range(60):
            new = x - rate * gradient
            new_value, new_gradient = objective(new)
            if new_value <= value + 1e-13 * max(1.0, abs(value)):
                x, value, gradient = new, new_value, new_gradient
                break
            rate /= 2
    return out
