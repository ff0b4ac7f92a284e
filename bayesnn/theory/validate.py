"""Samplers against posteriors that are known: every moment and the evidence in standard errors."""

import math
import warnings
from collections.abc import Callable, Iterable
from concurrent.futures import Executor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from bayesnn.arguments import Seed, as_list, check_arguments, check_name, rng_of
from bayesnn.errors import FitError, SpecError
from bayesnn.fitting import fit_posterior
from bayesnn.fitting.tasks import check_executor, complete, run_tasks
from bayesnn.theory.references import Reference, functions, reference_posteriors
from bayesnn.theory.results import Result
from bayesnn.tree import kind_of, params_of

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

CHANCE = 0.001
"""Probability that a sampler that is right is called wrong, over all numbers together."""
LEAST_ESS = 100
"""Effective draws below which a standard error is not believed."""
DEGREES = 50
"""Degrees of freedom of a Monte Carlo standard error; our choice: it is estimated itself."""

type Sampler = Literal["nuts", "tempering"] | Callable[..., xr.DataTree]


@dataclass(frozen=True, repr=False, eq=False)
class Validation(Result):
    """What `validate_sampler` returns.

    Parameters
    ----------
    sampler : str
        Its name.
    numbers : pandas.DataFrame
        A row for each number of each reference: ``exact``, ``estimate``, ``se``, ``z`` and ``ess``.
    limit : float
        The largest ``z`` that chance leaves.
    failed : dict of str to str
        References that the sampler did not finish, with the error.
    interrupted : bool
        Whether references are left out because somebody pressed Ctrl-C.
    """

    sampler: str
    numbers: "pd.DataFrame"
    limit: float
    failed: dict[str, str] = field(default_factory=dict)
    interrupted: bool = False

    @property
    def wrong(self) -> "pd.DataFrame":
        """Rows that chance does not explain."""
        return self.numbers[self.numbers["z"].abs() > self.limit]

    @property
    def unsure(self) -> list[str]:
        """References of which there are too few effective draws to tell."""
        few = self.numbers["ess"] < LEAST_ESS
        return list(dict.fromkeys(self.numbers[few].index.get_level_values("reference")))

    @property
    def valid(self) -> bool:
        """Whether everything agrees, and there were draws enough to tell."""
        return not (len(self.wrong) or self.unsure or self.failed or self.interrupted)

    @property
    def table(self) -> "pd.DataFrame":
        """The numbers."""
        return self.numbers

    @property
    def message(self) -> str:
        """The verdict."""
        count = len(self.numbers.index.unique("reference"))
        z = self.numbers["z"].to_numpy()
        said = f"{self.sampler}: "
        if self.valid:
            said += "agrees with the exact posteriors."
        elif len(self.wrong):
            references = list(dict.fromkeys(self.wrong.index.get_level_values("reference")))
            (name, number), row = max(self.wrong.iterrows(), key=lambda item: abs(item[1]["z"]))
            said += (
                f"WRONG in {len(references)} of {count} references ({', '.join(references)}): {len(self.wrong)} "
                f"numbers are more than {self.limit:.1f} standard errors off, the worst {number} of {name}, "
                f"{row['estimate']:.4g} ± {row['se']:.2g} for {row['exact']:.4g}."
            )
        else:
            said += "not decided."
        if self.unsure:
            said += f" Fewer than {LEAST_ESS} effective draws, so that nothing is known, of: {', '.join(self.unsure)}."
        if self.failed:
            said += f" Not finished: {', '.join(f'{k} ({v})' for k, v in self.failed.items())}."
        if self.interrupted:
            said += " Interrupted: other references are not among these."
        if len(z):
            said += (
                f" {len(z)} numbers of {count} references: root mean square of z "
                f"{math.sqrt(np.mean(z[np.isfinite(z)] ** 2)):.2f} (1 is right), largest {np.nanmax(np.abs(z)):.1f}."
            )
        return said


def validate_sampler(
    *,
    sampler: Sampler = "nuts",
    references: Iterable[str] | None = None,
    executor: Executor | None = None,
    random_seed: Seed = None,
    progressbar: bool = True,
) -> Validation:
    r"""Hold a sampler against posteriors that are known exactly.

    Parameters
    ----------
    sampler : {"nuts", "tempering"} or callable
        Of `fit_posterior`; or any function of ``(net, X, y, random_seed)`` that gives a posterior tree. For processes
        it is one of a module.
    references : iterable of str, optional
        Names of `reference_posteriors`; None takes all of them.
    executor : concurrent.futures.Executor, optional
        Where the references are sampled: the same numbers with any.
    random_seed : int or numpy.random.Generator, optional
        Seed of the seeds, one for each reference.
    progressbar : bool
        Show progress.

    Returns
    -------
    Validation
        With ``valid``, the verdict in words as ``message``, ``table``, ``wrong``, ``unsure``; interrupted, of what was
        sampled.

    Raises
    ------
    SpecError
        A sampler, executor or seed that is none.
    UnknownNameError
        A reference that does not exist.

    Notes
    -----
    Held against are the moments of `Reference.values`, which no symmetry of the network changes, by
    :math:`z = (\hat m - m) / \mathrm{MCSE}`, the error by ArviZ over all chains; and the log evidence where a tree has
    one, by its own error. A sampler is wrong if any :math:`|z|` is beyond what 1 in 1,000 of right samplers show, by
    Bonferroni over all numbers with Student's t of 50 degrees of freedom. A standard deviation is held against as the
    mean square about the exact mean. Where a tree has fewer than 100 effective draws of a number, its error is not
    believed and nothing is decided.

    References
    ----------
    A. Gelman et al., "Bayesian Data Analysis", 3rd edition, chapter 11.

    Examples
    --------
    >>> import bayesnn as bnn
    >>> check = bnn.theory.validate_sampler(sampler="tempering", references=["line"], random_seed=1, progressbar=False)
    >>> check.valid
    True
    """
    import pandas as pd
    from scipy.stats import t

    name, draw = _named(sampler)
    check_executor(executor)
    check_arguments(progressbar=progressbar)
    rng, known = rng_of(random_seed), reference_posteriors()
    seeds = dict(zip(known, rng.integers(2**31, size=len(known)).tolist(), strict=True))
    wanted = list(known) if references is None else as_list("references", references, list(known)[:1])
    for one in wanted:
        check_name("reference", one, known)
    tasks: dict[Any, tuple[Any, ...]] = {one: (hold, known[one], draw, seeds[one], {}) for one in wanted}
    ran = run_tasks(tasks, executor, label=f"Validating {name}", progressbar=progressbar)
    rows = {(one, number): row for one, found in ran.done.items() for number, row in found.items()}
    index = pd.MultiIndex.from_tuples(list(rows), names=["reference", "number"])
    columns = ["exact", "estimate", "se", "z", "ess"]
    table = pd.DataFrame(
        [[row[c] for c in columns] for row in rows.values()], index=index, columns=columns, dtype=float
    )
    limit = float(t.isf(CHANCE / 2 / max(1, len(table)), DEGREES))
    failed = {one: f"{type(error).__name__}: {error}" for one, error in ran.failed.items()}
    return Validation(name, table, limit, failed, ran.interrupted)


def _named(sampler):
    if callable(sampler):
        return getattr(sampler, "__name__", type(sampler).__name__), sampler
    if not isinstance(sampler, str) or sampler not in ("nuts", "tempering"):
        raise SpecError(
            f"Got sampler={sampler!r}; it must be 'nuts', 'tempering' or a function of (net, X, y, random_seed) that "
            "gives a posterior tree. Write sampler='tempering'."
        )
    return sampler, {"nuts": _nuts, "tempering": _tempering}[sampler]


def _nuts(net, X, y, random_seed):
    return fit_posterior(net, X, y, cores=1, random_seed=random_seed, progressbar=False)


def _tempering(net, X, y, random_seed):
    return fit_posterior(net, X, y, sampler="tempering", cores=1, random_seed=random_seed, progressbar=False)


def hold(reference: Reference, sampler: Callable[..., Any], seed: int) -> dict[str, dict[str, float]]:
    """Sample a reference and hold its moments and evidence against the exact ones.

    Parameters
    ----------
    reference : Reference
        What is known.
    sampler : callable
        Of ``(net, X, y, random_seed)``.
    seed : int
        Of the sampler.

    Returns
    -------
    dict of str to dict
        For each number ``exact``, ``estimate``, ``se``, ``z`` and ``ess``.

    Raises
    ------
    FitError
        The sampler gave no posterior.
    KeyboardInterrupt
        Somebody interrupted the sampler.
    """
    import arviz as az

    with warnings.catch_warnings():
        # What a sampler says of itself is not what it is judged by.
        warnings.simplefilter("ignore")
        post = complete(sampler(reference.net, reference.X, reference.y, random_seed=seed))
    if kind_of(post) != "posterior":
        raise FitError(f"Got a fit of kind {kind_of(post)!r}; a sampler gives a posterior. Use bayesnn.tree.make_tree.")
    out = {}
    for name, (exact, draws, shown) in _draws(reference, params_of(post)):
        estimate, se = float(draws.mean()), float(az.mcse(draws))
        z = (estimate - exact) / se if se > 0 else math.inf * np.sign(estimate - exact) if estimate != exact else 0.0
        out[name] = {"exact": shown(exact), "estimate": shown(estimate), "se": se, "z": z, "ess": float(az.ess(draws))}
        if shown is not float:
            out[name]["se"] = se / (2 * max(shown(estimate), 1e-300))
    if "bayesnn_log_evidence" in post.attrs:
        value, se = (float(post.attrs[f"bayesnn_log_evidence{tail}"]) for tail in ("", "_se"))
        exact, error = reference.values["log evidence"]
        # An evidence that is exact differs by rounding, and by the error of the constant.
        z = (value - exact) / math.hypot(se, error, 1e-9)
        out["log evidence"] = {"exact": exact, "estimate": value, "se": se, "z": z, "ess": math.inf}
    return out


def _draws(reference, params):
    """For each number what is exact, draws of which it is the mean, and how to show both."""
    net, values = reference.net, reference.values
    f = net.loss.mean(net.forward(params, reference.X_new), **net.likelihood_args(params))
    for i, k, name in functions(net, f.shape[-1], reference.X_new):
        centre, sd = values[f"E {name}"][0], values[f"sd {name}"][0]
        yield f"E {name}", (centre, f[..., i, k], float)
        yield f"sd {name}", (sd**2, (f[..., i, k] - centre) ** 2, math.sqrt)
    for name, draws in params.items():
        if name == "noise":
            yield "E noise", (values["E noise"][0], draws, float)
        else:
            squares = (draws**2).reshape(*draws.shape[:2], -1).sum(axis=2)
            yield f"E |{name}|^2", (values[f"E |{name}|^2"][0], squares, float)
