"""Simulation-based calibration: draws of a fit held against truths that were drawn from the prior."""

import inspect
import re
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bayesnn.arguments import Seed, check_arguments, check_name, rng_of
from bayesnn.data import Dataset, check_X
from bayesnn.errors import DataError, SpecError
from bayesnn.fitting.density import log_density
from bayesnn.fitting.posterior import SAMPLERS, check_proper, fit_posterior
from bayesnn.fitting.store import digest_of, lines_of
from bayesnn.fitting.tasks import complete, quiet, run_tasks
from bayesnn.network import MLP
from bayesnn.symmetry.align import spread
from bayesnn.theory.quantities import Quantity, check_quantities, measure, rank
from bayesnn.theory.ranks import LEAST, Calibration
from bayesnn.tree import Inputs, Problem, params_of, prepare

if TYPE_CHECKING:
    import xarray as xr

POINTS = 5
"""Inputs at which the function is followed when none are given."""
RHAT_MAX = 1.05
"""R-hat of the function above which `fit_posterior` warns that chains disagree."""
TRIES = 1000
"""Data sets that are drawn at most until one has every class."""
_OPTIONS = tuple(
    name
    for name, given in inspect.signature(fit_posterior).parameters.items()
    if given.kind is given.KEYWORD_ONLY
    and name not in ("scaling", "random_seed", "log_likelihood", "log_prior", "progressbar")
)


def calibrate(
    net: MLP,
    X: Inputs,
    *,
    quantities: Sequence[Quantity] | None = None,
    replicates: int = 200,
    grid: Inputs | None = None,
    outputs: int | None = None,
    posterior: "Callable[..., xr.DataTree] | None" = None,
    prob: float = 0.99,
    executor: Executor | None = None,
    path: str | Path | None = None,
    random_seed: Seed = None,
    progressbar: bool = True,
    **options: Any,
) -> Calibration:
    r"""Test whether a sampler draws from the posterior, where the truth is known because it was drawn from the prior.

    Each replicate draws parameters :math:`\tilde\theta` from the prior and targets from the likelihood at `X`, and
    fits the posterior to them. Then :math:`\tilde\theta` is one more draw from that posterior, and the rank of any
    quantity of it among the draws is uniform. A model, density or sampler that is wrong gives other ranks.

    Parameters
    ----------
    net : MLP
        The network, with proper priors.
    X : array (n, p), DataFrame or Dataset
        Inputs, in the units the model works in; of a Dataset the training inputs, scaled as it says.
    quantities : sequence of str and callable, optional
        ``"function"`` at some inputs, ``"log_likelihood"``, a learned ``"noise"``, ``"sum_of_squares"`` of all weights
        and biases, and ``"canonical"``: all parameters but the noise after `canonicalize`. Or functions of parameters,
        `X` and y that return an array (chain, draw), called by their names. None takes all names that apply.
    replicates : int
        Number of data sets, at least 20.
    grid : array (m, p), DataFrame or Dataset, optional
        Inputs at which the function is followed, as `X`. None takes five: for one feature evenly spaced over its
        range, otherwise rows of `X`.
    outputs : int, optional
        Number of classes, or of targets. Classes need it.
    posterior : callable, optional
        What is tested in place of `fit_posterior`: called as ``posterior(net, X, y, random_seed=seed)``, it returns
        a tree of draws. For processes it is a function of a module.
    prob : float
        Probability that a right model's ranks stay within the bands of all quantities: at 0.99 one right model in a
        hundred is said not to be calibrated, so try another seed before looking for the error.
    executor : concurrent.futures.Executor, optional
        Where replicates run, such as ``ProcessPoolExecutor(2)``. The numbers are the same with any.
    path : path, optional
        File to which each replicate is appended as it comes, and from which the same calibration is resumed, with the
        same or more replicates.
    random_seed : int or numpy.random.Generator, optional
        Seed of truths, data and draws; a file needs one.
    progressbar : bool
        Show progress.
    **options
        Passed on to `fit_posterior`: ``sampler``, ``draws``, ``tune``, ``chains``, ``cores`` (1 if left out with an
        executor), ``target_accept``, ``collapse`` and so on.

    Returns
    -------
    Calibration
        Prints as a verdict and a table; ``calibrated``, ``outside``, ``ranks`` and ``band`` have it in parts.
        Interrupted by the keyboard, it has the replicates so far.

    Raises
    ------
    SpecError
        An argument that breaks its rule.
    ImproperPriorError
        A flat prior, from which no truth can be drawn.
    DataError
        Inputs that break a rule, or too few rows to have every class.
    FitError
        No replicate could be fitted: then the first error itself is raised, whichever it is.

    See Also
    --------
    bayesnn.plots.plot_calibration : The ranks with their bands.

    Notes
    -----
    Draws are thinned to their effective number for each quantity (the smaller of bulk and tail ESS), evenly. Of `L`
    draws left, of which `l` are below the truth and `e` equal to it, the rank is kept as :math:`(l + U (e + 1)) / (L +
    1)` with a uniform `U`: uniform for any `L`.

    The distribution function of the ranks is held within a simultaneous band [2]_, exact, at a level that is shared out
    among the quantities by Bonferroni, so that a right model fails with probability 1 - `prob` at most.

    Quantities see different errors. Draws from the posterior of half of the data, or from the prior, have uniform ranks
    for every function of the parameters alone: only quantities that use the data, such as the log-likelihood, tell
    [3]_. Modes that a symmetry connects are one to every quantity here. A mode of the function that is lost is seen
    where the functions differ, which may be between the rows of `X`: see `grid`.

    Data without some class can't be fitted, and are drawn again with a new truth: ranks are uniform given the data, and
    so also among the data that are kept.

    References
    ----------
    .. [1] S. Talts, M. Betancourt, D. Simpson, A. Vehtari and A. Gelman, "Validating Bayesian inference algorithms with
       simulation-based calibration", arXiv:1804.06788 (2018).
    .. [2] T. Säilynoja, P.-C. Bürkner and A. Vehtari, "Graphical test for discrete uniformity and its applications in
       goodness-of-fit evaluation and multiple sample comparison", Statistics and Computing 32 (2022).
    .. [3] M. Modrák, A. H. Moon, S. Kim, P.-C. Bürkner, N. Huurre, K. Faltejsková, A. Gelman and A. Vehtari,
       "Simulation-based calibration checking for Bayesian computation: the choice of test quantities shapes
       sensitivity", Bayesian Analysis 20 (2025).

    Examples
    --------
    >>> import bayesnn as bnn
    >>> line = bnn.MLP(hidden=(), noise=0.3)
    >>> found = bnn.theory.calibrate(line, [[-1.0], [0.0], [2.0]], replicates=40, draws=100, random_seed=1,
    ...                              quantities=("function", "log_likelihood"), progressbar=False)
    >>> found.calibrated
    True
    """
    check_arguments(random_seed=random_seed, progressbar=progressbar)
    if not isinstance(net, MLP):
        raise SpecError(
            f"Got a network of type {type(net).__name__}; it must be a bnn.MLP. Write bnn.MLP(hidden=(3,))."
        )
    check_proper(net)
    if not isinstance(replicates, int | np.integer) or isinstance(replicates, bool) or replicates < LEAST:
        raise SpecError(f"Got replicates={replicates!r}; it must be an integer from {LEAST} on. Write replicates=200.")
    check_arguments(prob=prob)
    if path is not None:
        check_arguments(path=path)
    if path is not None and random_seed is None:
        raise SpecError(
            f"Got path={str(path)!r} without a seed; only the same replicates can be resumed. Add random_seed=1."
        )
    _check_options(options, posterior)
    problem = _template(net, _inputs(net, X), outputs)
    at = _inputs(net, grid, problem.X.shape[1]) if grid is not None else _points(problem.X)
    rng = rng_of(random_seed)
    wanted = check_quantities(net, quantities)
    truth, y = _truth(problem, np.random.default_rng(0))
    labels = [label for label, _ in measure(problem, truth, y, at, wanted)]
    if executor is not None and posterior is None:
        options = {"cores": 1, **options}
    seeds = [int(seed) for seed in rng.integers(2**31, size=int(replicates))]
    settings = {
        "net": net.to_json(),
        "X": digest_of(problem.X),
        "grid": digest_of(at),
        "quantities": labels,
        "posterior": re.sub(" at 0x[0-9a-f]+", "", repr(posterior or fit_posterior)),
        "outputs": outputs,
        "options": {name: value for name, value in options.items() if name != "cores"},
        "random_seed": seeds[0],
    }
    with quiet():
        ran = run_tasks(
            {i: (replicate, problem, at, wanted, posterior, options, {"seed": seed}) for i, seed in enumerate(seeds)},
            executor,
            label="calibrating",
            progressbar=progressbar,
            kept=lines_of(path, settings),
        )
    if not ran.done:
        raise next(iter(ran.failed.values()), KeyboardInterrupt())
    return _gather(ran, labels, float(prob))


def _gather(ran, labels, prob):
    import pandas as pd

    def table(key):
        rows = [[found[key][label] for label in labels] for found in ran.done.values()]
        return pd.DataFrame(rows, index=pd.Index(list(ran.done), name="replicate"), columns=labels, dtype=float)

    return Calibration(
        ranks=table("rank"),
        draws=table("draws"),
        prob=prob,
        failed={i: f"{type(error).__name__}: {error}" for i, error in sorted(ran.failed.items())},
        disagreed=tuple(i for i, found in ran.done.items() if found["disagreed"]),
        interrupted=ran.interrupted,
    )


def replicate(
    problem: Problem,
    grid: np.ndarray,
    wanted: Sequence[Quantity],
    posterior: "Callable[..., xr.DataTree] | None",
    options: dict[str, Any],
    *,
    seed: int,
) -> dict[str, Any]:
    """Draw a truth and its data, fit, and rank the truth among the draws.

    Parameters
    ----------
    problem : Problem
        Network and inputs; the targets only tell the number of outputs.
    grid : array (m, p)
        Inputs at which the function is followed.
    wanted, posterior, options
        As for `calibrate`.
    seed : int
        Of everything random.

    Returns
    -------
    dict
        ``rank`` and ``draws`` by quantity, and whether the chains ``disagreed`` about the function.
    """
    rng = np.random.default_rng(seed)
    truth, y = _truth(problem, rng)
    fit = partial(fit_posterior, progressbar=False, **options) if posterior is None else posterior
    with quiet():
        tree = complete(fit(problem.net, problem.X, y, random_seed=int(rng.integers(2**31))))
    labels, drawn = zip(*measure(problem, params_of(tree), y, grid, wanted), strict=True)
    true = [value.item() for _, value in measure(problem, truth, y, grid, wanted)]
    shares, draws = rank(np.array(true), np.stack(drawn, axis=-1), rng)
    return {
        "rank": dict(zip(labels, shares, strict=True)),
        "draws": dict(zip(labels, draws, strict=True)),
        "disagreed": bool(tree.attrs.get("bayesnn_function_rhat", 1.0) > RHAT_MAX),
    }


def _truth(problem, rng):
    """Draw parameters with the batch (1, 1) from the prior, and targets that can be fitted."""
    net, density = problem.net, log_density(problem, jacobian=True)
    for _ in range(TRIES):
        params = density.unpack(density.prior_draws(rng, 1)[None])
        y = net.loss.sample(net.forward(params, problem.X), rng, **net.likelihood_args(params))[0, 0]
        if not problem.class_names or len(np.unique(y)) == len(problem.class_names):
            return params, y
    raise DataError(
        f"Got {len(problem.X)} rows; of {TRIES} data sets from the prior none had all {len(problem.class_names)} "
        "classes. Give more rows."
    )


def _check_options(options, posterior):
    """Refuse options before the first fit does."""
    if posterior is not None and (options or not callable(posterior)):
        got = f"{', '.join(options)} beside posterior=" if options else f"posterior={posterior!r}"
        raise SpecError(f"Got {got}; it is called with net, X, y and random_seed alone. Put options into the function.")
    for name in options:
        check_name("option of fit_posterior", name, _OPTIONS)
    check_name("sampler", options.get("sampler", SAMPLERS[0]), SAMPLERS)
    check_arguments(**{name: value for name, value in options.items() if name not in ("sampler", "adaptation")})


def _inputs(net, X, n_features=None):
    """Check inputs, in the units the model works in."""
    if isinstance(X, Dataset):
        return X.scaling.transform_X(X.X) if X.scaling is not None else X.X
    return check_X(X, n_features=n_features, allow_empty_features=not net.hidden)


def _points(X):
    if X.shape[1] == 1:
        return np.linspace(X.min(), X.max(), POINTS)[:, None]
    return X[spread(len(X), POINTS)]


def _template(net, X, outputs):
    """Network and inputs with targets that only tell how many outputs there are."""
    check_arguments(outputs=1 if outputs is None else outputs)
    task, n = net.loss.task, len(X)
    if task in ("classes", "ordinal") and (outputs is None or not 2 <= outputs <= n):
        raise SpecError(
            f"Got outputs={outputs!r} with {n} rows and the loss {net.loss.name!r}; it must be the number of classes, "
            "from 2 to the number of rows. Write outputs=3."
        )
    if task in ("binary", "count") and outputs is not None:
        raise SpecError(f"Got outputs={outputs} with the loss {net.loss.name!r}, which has one target. Leave it out.")
    if task == "regression":
        y = np.arange(n * (outputs or 1), dtype=float).reshape(n, -1)
    else:
        y = np.arange(n) % (outputs or 2)
    return prepare(net, X, y, scaling=False)
