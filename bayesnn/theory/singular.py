r"""Networks with units to spare, whose posteriors are singular: what the evidence does as rows are added.

The parameters that give the true function are then no point but a set with corners, the log evidence falls by
:math:`\lambda \log n` and not by :math:`\tfrac d2 \log n`, and the learning coefficient :math:`\lambda` depends on the
truth.
"""

from collections.abc import Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import asdict, dataclass, replace
from numbers import Real
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from bayesnn.arguments import Seed, as_list, check_arguments, rng_of
from bayesnn.data import as_array
from bayesnn.errors import DataError, SpecError
from bayesnn.fitting.posterior import check_proper
from bayesnn.fitting.store import lines_of
from bayesnn.fitting.tasks import check_executor, quiet, run_tasks
from bayesnn.network import MLP, check_net
from bayesnn.theory.criteria import FEWEST, information_criteria
from bayesnn.theory.results import Result

if TYPE_CHECKING:
    import pandas as pd

_COLUMNS = ["-log evidence", "WBIC", "BIC/2", "-WAIC elpd", "-LOO elpd", "learning coefficient"]


def product_evidence(n: ArrayLike) -> np.ndarray:
    r"""Evidence of the smallest singular network, :math:`f(x) = v w x` with a truth of zero, exactly.

    Parameters
    ----------
    n : array
        Number of rows: their noise is 1 and their squares :math:`x^2` sum to n. A prior sd s and a noise of sd
        :math:`\sigma` take the place of n by :math:`s^4 \sum x^2 / \sigma^2`, and an inverse temperature multiplies it.

    Returns
    -------
    array
        :math:`Z(n)`, the evidence over the likelihood of the truth where the targets are zero.

    Raises
    ------
    DataError
        A number that is not positive.

    Notes
    -----
    .. math::
        Z(n) = \iint e^{-n (v w)^2 / 2}\, \varphi(v)\, \varphi(w)\, dv\, dw
             = \frac{e^{1/(4n)} K_0(1/(4n))}{\sqrt{2 \pi n}} .

    For large n that is :math:`\log n / \sqrt{2 \pi n}` and more: the learning coefficient is 1/2, of multiplicity 2,
    where :math:`d/2 = 1`.

    References
    ----------
    S. Watanabe, "Algebraic Geometry and Statistical Learning Theory", Cambridge University Press (2009).

    Examples
    --------
    >>> from bayesnn.theory import product_evidence
    >>> product_evidence([100, 10_000]).round(10)
    array([0.24426018, 0.04273802])
    """
    from scipy.special import kve

    n = as_array(n, "n", ndim=(0, 1, 2))
    if not (n > 0).all():
        raise DataError(f"Got n={n}; numbers of rows are positive. Write n=[100, 10_000].")
    return kve(0, 1 / (4 * n)) / np.sqrt(2 * np.pi * n)


@dataclass(frozen=True, repr=False, eq=False)
class SingularStudy(Result):
    """What `singular_study` returns.

    Parameters
    ----------
    records : tuple of dict
        Of each replicate and number of rows: ``replicate``, the fields of `Criteria`, and ``truth``, the negative
        log-likelihood of the parameters that the data were drawn from.
    interrupted : bool
        Whether that is not all because somebody pressed Ctrl-C.
    failed : dict
        From (replicate, n) to what went wrong there.
    """

    records: tuple[dict[str, Any], ...]
    interrupted: bool
    failed: dict[Any, Exception]

    @property
    def message(self) -> str:
        """How the criteria stand at the largest number of rows, and how many parameters the data see."""
        last, size = self.table.iloc[-1], self.records[0]["parameters"]
        n = int(last.name)
        said = (
            f"At {n} rows the evidence pays {last['-log evidence']:.1f} nats for the {size} parameters, where BIC "
            f"says {last['BIC/2']:.1f} and WBIC {last['WBIC']:.1f} ± {last['WBIC se']:.1f}. The learning coefficient "
            f"is {last['learning coefficient']:.2f} ± {last['learning coefficient se']:.2f}; d/2 is {size / 2:g}."
        )
        short = sum(not record["converged"] for record in self.records)
        said += f" Tempering has not reached its marks for {short} of {len(self.records)} fits." if short else ""
        said += f" {len(self.failed)} fits failed." if self.failed else ""
        return f"{said} Interrupted." if self.interrupted else said

    @property
    def table(self) -> "pd.DataFrame":
        """Means over the replicates for each number of rows, in nats above the negative log-likelihood of the truth.

        Errors (``se``) are those of the means over replicates; of one replicate, Monte Carlo's.
        """
        errors = {"-log evidence": "log_evidence_se", "WBIC": "wbic_se"}
        errors["learning coefficient"] = "learning_coefficient_se"
        rows = self.relative
        groups = rows.groupby("n")
        table = groups.mean()[_COLUMNS]
        for name, own in errors.items():
            se = groups[name].sem().where(groups.size() > 1, groups[own].first())
            table.insert(table.columns.get_loc(name) + 1, f"{name} se", se)
        return table

    @property
    def relative(self) -> "pd.DataFrame":
        """The same for each replicate, beside its record."""
        import pandas as pd

        rows = pd.DataFrame(list(self.records))
        signs = {"-log evidence": -rows["log_evidence"], "WBIC": rows["wbic"], "BIC/2": rows["bic"]}
        signs |= {"-WAIC elpd": -rows["waic"], "-LOO elpd": -rows["loo"]}
        above = {name: values - rows["truth"] for name, values in signs.items()}
        return rows.assign(**above, **{"learning coefficient": rows["learning_coefficient"]})


def singular_study(
    net: MLP,
    truth: Mapping[str, ArrayLike],
    n_values: Sequence[int],
    *,
    replicates: int = 1,
    span: tuple[float, float] = (-3.0, 3.0),
    restarts: int = 20,
    draws: int = 1000,
    chains: int = 4,
    cores: int | None = None,
    max_rounds: int | None = None,
    max_seconds: float | None = None,
    executor: Executor | None = None,
    path: str | Path | None = None,
    random_seed: Seed = None,
    progressbar: bool = True,
) -> SingularStudy:
    r"""Compare BIC, WBIC, WAIC and leave-one-out with the evidence as rows are added.

    Parameters
    ----------
    net : MLP
        The network, with proper priors.
    truth : dict of str to array
        ``W1``, ``b1``, ... of the network that the data are drawn from, which is `net` with as many hidden units as
        these have: with fewer, units of `net` are redundant. A learned noise has its ``noise`` here.
    n_values : sequence of int
        Numbers of rows, five at least; each takes the first rows of the same data.
    replicates : int
        Data sets.
    span : tuple of float
        Inputs are uniform between these.
    restarts, draws, chains, cores, max_rounds, max_seconds
        As for `information_criteria`.
    executor : concurrent.futures.Executor, optional
        Where the fits are run; with ``cores=1`` they do not compete. The numbers are the same with any and with none.
    path : path, optional
        File in which results are kept as they come, and from which a run is resumed.
    random_seed : int or numpy.random.Generator, optional
        Seed of data and fits.
    progressbar : bool
        Show progress on standard error.

    Returns
    -------
    SingularStudy
        With ``.table``, ``.message`` and ``.records``; interrupted by the keyboard, those done so far.

    Raises
    ------
    SpecError
        A truth of other layers, or an argument that breaks its rule.
    DataError
        Numbers of rows below five.
    ImproperPriorError
        A flat prior.

    See Also
    --------
    bayesnn.plots.plot_singular : The picture.
    bayesnn.theory.information_criteria : For data of your own.

    Notes
    -----
    With :math:`L_n` the negative log-likelihood of the truth,
    :math:`-\log p(y) = L_n + \lambda \log n - (m - 1) \log \log n + O_p(1)`; WBIC has the same two first terms, and
    BIC has d/2 for :math:`\lambda`, which is right for regular models only.

    References
    ----------
    S. Watanabe, "A widely applicable Bayesian information criterion", Journal of Machine Learning Research 14 (2013).

    S. Watanabe, "Algebraic Geometry and Statistical Learning Theory", Cambridge University Press (2009).

    Examples
    --------
    >>> import bayesnn as bnn
    >>> from bayesnn.theory import singular_study
    >>> net = bnn.MLP(hidden=(2,), bias=False, noise=1.0, prior=bnn.Normal(1.0))
    >>> truth = {"W1": [[0.0]], "W2": [[0.0]]}
    >>> study = singular_study(net, truth, [50], draws=300, max_rounds=1, restarts=3, random_seed=1, progressbar=False)
    >>> row = study.table.loc[50]
    >>> bool(row["WBIC"] < row["BIC/2"])
    True
    """
    check_arguments(
        replicates=replicates,
        restarts=restarts,
        draws=draws,
        chains=chains,
        cores=cores,
        max_rounds=max_rounds,
        max_seconds=max_seconds,
        progressbar=progressbar,
    )
    check_executor(executor)
    if path is not None:
        check_arguments(path=path)
    check_proper(check_net(net))
    true_net, weights = true_network(net, truth)
    sizes = _check_sizes(n_values)
    ends = as_list("span", span, (-3, 3))
    low, high = ends if len(ends) == 2 and all(isinstance(end, Real) for end in ends) else (0, 0)
    if not -np.inf < low < high < np.inf:
        raise SpecError(f"Got span={span!r}; inputs lie between two numbers that ascend. Write span=(-3, 3).")
    seed = int(rng_of(random_seed).integers(2**31))
    options = {
        "restarts": restarts,
        "draws": draws,
        "chains": chains,
        "max_rounds": max_rounds,
        "max_seconds": max_seconds,
    }
    tasks = {}
    for replicate, stream in enumerate(np.random.SeedSequence(seed).spawn(replicates)):
        rng = np.random.default_rng(stream)
        X = rng.uniform(low, high, size=(max(sizes), weights["W1"].shape[0]))
        y = true_net.loss.sample(true_net.forward(weights, X), rng, **true_net.likelihood_args(weights))
        of_truth = np.cumsum(true_net.log_likelihood(weights, X, y))
        seeds = rng.integers(2**31, size=len(sizes)).tolist()
        for n, own in zip(sizes, seeds, strict=True):
            rest = {"truth": -float(of_truth[n - 1]), "replicate": replicate}
            tasks[replicate, n] = (_record, net, X[:n], y[:n], rest, options | {"random_seed": own, "cores": cores})
    settings = options | {
        "net": net.to_json(),
        "truth": {name: value.tolist() for name, value in weights.items()},
        "span": [float(low), float(high)],
        "n_values": sizes,
        "seed": seed,
    }
    with quiet():
        ran = run_tasks(
            tasks,
            executor,
            label="fits",
            progressbar=progressbar,
            kept=lines_of(path, settings),
        )
    if not ran.done:
        ran.give_up()
    return SingularStudy(tuple(ran.done.values()), ran.interrupted, ran.failed)


def true_network(net: MLP, truth: Mapping[str, ArrayLike]) -> tuple[MLP, dict[str, np.ndarray]]:
    """Find the network that a truth is of: another in its hidden units only.

    Parameters
    ----------
    net : MLP
        The network that is to be fitted.
    truth : dict of str to array
        Weights and biases, and where it is learned the noise.

    Returns
    -------
    MLP, dict of str to array
        The network, and the truth as arrays.

    Raises
    ------
    SpecError
        Names or shapes that do not fit together.
    """
    if not isinstance(truth, Mapping):
        raise SpecError(f"Got truth={truth!r}; it must be a dict of arrays. Give one for each of {[*net.dims()]}.")
    weights = {name: as_array(value, f"the truth's {name}", ndim=(0, 1, 2)) for name, value in truth.items()}
    needed = [*net.dims(), *(["noise"] if net.noise_prior is not None else [])]
    if set(weights) != set(needed):
        raise SpecError(f"Got a truth with {sorted(weights)}; the network has {needed}. Give an array for each.")
    kernels = [weights[f"W{layer}"] for layer in range(1, net.n_layers + 1)]
    if all(kernel.ndim == 2 for kernel in kernels):
        true_net = replace(net, hidden=tuple(kernel.shape[1] for kernel in kernels[:-1]))
        shapes = true_net.shapes(kernels[0].shape[0], kernels[-1].shape[1])
        if all(weights[name].shape == shape for name, shape in shapes.items()):
            return true_net, weights
    shapes = {name: value.shape for name, value in weights.items()}
    raise SpecError(f"Got a truth of shapes {shapes}; W2 has as many rows as W1 has columns, and so on. Reshape them.")


def _check_sizes(n_values):
    """Give the numbers of rows in ascending order."""
    values = as_list("n_values", n_values, [20, 80])
    sizes = np.unique(values) if all(isinstance(n, int | np.integer) for n in values) else np.zeros(0)
    if sizes.dtype.kind not in "iu" or not len(sizes) or sizes[0] < FEWEST:
        raise DataError(f"Got n_values={n_values!r}; criteria for large n need {FEWEST} rows. Write n_values=[20, 80].")
    return sizes.tolist()


def _record(net, X, y, rest, **options):
    """Criteria of one data set, as numbers that a file can hold."""
    return {**rest, **asdict(information_criteria(net, X, y, progressbar=False, **options))}
