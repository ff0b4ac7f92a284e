"""Networks compared by their evidence: which of them the data make probable, and which the likelihood would take."""

import re
import shutil
import warnings
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from bayesnn.arguments import Seed, check_arguments, check_name, rng_of
from bayesnn.data import Dataset
from bayesnn.diagnostics.compare import Comparison
from bayesnn.errors import ConvergenceWarning, ImproperPriorError, NoMAPError, SpecError
from bayesnn.fitting import fit_laplace, fit_map, fit_mle, fit_posterior, log_evidence
from bayesnn.fitting.evidence import Evidence
from bayesnn.fitting.posterior import check_proper
from bayesnn.fitting.store import FitStore, digest_of, fingerprint, seed_of
from bayesnn.fitting.tasks import check_executor, quiet, run_tasks
from bayesnn.network import MLP
from bayesnn.prediction import log_likelihood_of, score
from bayesnn.tree import Inputs, Problem, ScalingChoice, params_of, prepare

if TYPE_CHECKING:
    import xarray as xr


METHODS = ("tempering", "laplace")
_LIKELIHOODS = ("MLE log-likelihood", "MAP log-likelihood")
"""Columns by which the likelihood alone would choose, the better one first."""


class NetworkComparison(Comparison):
    """What `compare_networks` returns: a DataFrame that prints each number with its error.

    ``networks`` and ``fits`` are dicts from the names of the rows to the networks and to their posteriors.
    """

    _metadata: ClassVar[list[str]] = ["networks", "fits"]
    networks: "Mapping[str, MLP] | None" = None
    fits: "Mapping[str, xr.DataTree] | None" = None

    @property
    def _constructor(self):
        return NetworkComparison

    def shown(self) -> pd.DataFrame:
        """Write the table as it is printed.

        Returns
        -------
        pandas.DataFrame
            Of text: a number and its standard error are one entry; ``converged`` is left out where all have.
        """
        out = pd.DataFrame(index=self.index.rename(None))
        for name in [c for c in self.columns if not str(c).endswith(" se")]:
            if name == "converged" and self[name].all():
                continue
            values, errors = self[name], self.get(f"{name} se")
            if name == "log evidence" and errors is not None:
                out[name] = [str(Evidence(v, e)) for v, e in zip(values, errors, strict=True)]
            elif errors is not None:
                out[name] = [_with_error(v, e, ".3f") for v, e in zip(values, errors, strict=True)]
            else:
                out[name] = [f"{v:.2f}" if isinstance(v, float) else str(v) for v in values]
        return out

    def __repr__(self):
        """Show the table as text."""
        return self.shown().to_string(line_width=max(shutil.get_terminal_size((80, 24)).columns, 60))

    def _repr_html_(self):
        """Show the table in Jupyter."""
        return self.shown().to_html()

    @property
    def message(self) -> str:
        """Which network the evidence prefers, by how much, and which one the likelihood alone would take."""
        if "log evidence" not in self or self["log evidence"].isna().all():
            return "No evidence is known."
        order = self["log evidence"].sort_values(ascending=False).index
        best = self.loc[order[0]]
        said = f"The evidence prefers {order[0]!r}"
        if len(order) > 1:
            second = self.loc[order[1]]
            gap = best["log evidence"] - second["log evidence"]
            error = float(np.hypot(best["log evidence se"], second["log evidence se"]))
            said += (
                f", {_with_error(gap, error, '.2f')} nats above {order[1]!r}"
                f"{' (a tie within its error)' if gap < 2 * error else ''}; its probability among the {len(order)} is "
                f"{_with_error(best['probability'], best['probability se'], '.3f')}"
            )
        said += "."
        known = next((c for c in _LIKELIHOODS if c in self and self[c].notna().any()), None)
        if known is not None and len(order) > 1:
            chosen = self[known].idxmax()
            # Networks that differ in their priors only have the same MLE.
            said += (
                f" So does the likelihood alone, by its value at the {known[:3]}."
                if best[known] >= self[known][chosen]
                else f" The likelihood alone, by its value at the {known[:3]}, would take {chosen!r}: "
                f"{self[known][chosen]:.2f}, against {best[known]:.2f}."
            )
        if not self["converged"].all():
            short = ", ".join(map(repr, self.index[~self["converged"]]))
            approximate = self["log evidence se"].isna().any()
            verdict = (
                "Laplace's approximation is not to be trusted" if approximate else "Tempering has not reached its marks"
            )
            said += f" {verdict} for {short}."
        return said


def compare_networks(
    nets: Mapping[str, MLP] | Sequence[MLP],
    X: Inputs,
    y: ArrayLike | None = None,
    *,
    prior: Mapping[str, float] | Sequence[float] | None = None,
    mle: bool = False,
    method: Literal["tempering", "laplace"] = "tempering",
    restarts: int = 20,
    draws: int = 1000,
    tune: int | None = None,
    chains: int = 4,
    cores: int | None = None,
    max_rounds: int | None = None,
    max_seconds: float | None = None,
    scaling: ScalingChoice = None,
    random_seed: Seed = None,
    store: str | Path | None = None,
    executor: Executor | None = None,
    progressbar: bool = True,
) -> NetworkComparison:
    r"""Compare networks of the same data by their evidence, beside their likelihood and their predictions.

    The evidence of a network is its likelihood, averaged over its prior,
    :math:`p(y \mid M) = \int p(y \mid \theta, M)\, p(\theta \mid M)\, d\theta`, and by Bayes' rule

    .. math:: p(M_i \mid y) = \frac{p(y \mid M_i)\, p(M_i)}{\sum_j p(y \mid M_j)\, p(M_j)} .

    A larger network can fit more, so its greatest likelihood is no lower; but it spreads its prior over more
    functions, of which fewer fit. The evidence weighs both, which is called Occam's razor. It
    depends on the prior: compare several.

    Parameters
    ----------
    nets : dict of str to MLP, or sequence of MLP
        The networks, with proper priors. In a sequence each is named by its specification.
    X : array (n, p), DataFrame or Dataset
        Inputs. A Dataset brings its training targets, names, scaling, and held-out rows to score.
    y : array (n,) or (n, K), optional
        Targets, plain or from `bnn.target`; left out when `X` is a Dataset.
    prior : dict of str to float, or sequence of float, optional
        Probability of each network before the data, up to a common factor. None takes all to be equally probable.
    mle : bool
        Maximise the likelihood too, once for networks that differ only in their priors. Following the likelihood of a
        wide network outward, to where it has no maximum, can take longer than all the rest.
    method : {"tempering", "laplace"}
        How the evidence is found: by `fit_posterior`, or approximated by `fit_laplace`, quickly, with an error that is
        unknown unless it is zero (NaN in the columns of errors), and without rounds.
    restarts : int
        Random starts of MAP and MLE.
    draws, tune, chains, cores, max_rounds, max_seconds
        As for `fit_posterior` with ``sampler="tempering"``, for each network; `fit_laplace` takes `draws` and `chains`.
    scaling : None, "standard", False or Scaling
        As for `fit_mle`.
    random_seed : int or numpy.random.Generator, optional
        Seed of every fit; the networks have their own random numbers.
    store : path, optional
        Folder in which each finished network is kept at once; called again, only those that are missing are run.
    executor : concurrent.futures.Executor, optional
        Where the networks are run, side by side; with ``cores=1`` they do not compete. The numbers are the same with
        any executor and with none.
    progressbar : bool
        Show progress on standard error.

    Returns
    -------
    NetworkComparison
        A DataFrame with a row for each network, in the order given:

        - ``log evidence`` and its Monte Carlo standard error ``log evidence se``: of densities in the user's units, in
          nats; the error is zero where the integral is known exactly;
        - ``probability`` of the network among these, and ``probability se``, to which the errors of all evidences lead;
        - ``MAP log-likelihood``: the log-likelihood at the best of the MAP's end points (NaN without a MAP), and with
          `mle` ``MLE log-likelihood``: its limit where the MLE lies at infinity, infinite where it is unbounded;
        - ``held-out LPPD`` of the posterior, for each row, in nats, where there are held-out rows, see `score`;
        - ``parameters``: their number;
        - ``converged``: whether tempering has reached its marks, or nothing is known against the Laplace approximation.

        Its attributes are ``networks`` and ``fits`` (dicts, by name) and ``message``, which says in words which network
        is preferred. Interrupted by the keyboard, the table of the networks done so far.

    Raises
    ------
    ImproperPriorError
        Networks with flat priors, by name: the evidence is not defined.
    SpecError
        Losses whose likelihoods are of different things (densities of numbers, probabilities of labels or counts) or
        that recode the targets: their evidences can't be compared. Or an argument that breaks a rule, or a store of
        other networks, data or arguments.
    DataError
        Data that break a rule.

    Warns
    -----
    ConvergenceWarning
        An interruption, a network that failed and is left out, or tempering that has not reached its marks.

    See Also
    --------
    log_evidence : The evidence of one fit.
    plot_evidence : The table's picture.

    Notes
    -----
    With evidences :math:`\hat l_j` of standard errors :math:`s_j` and probabilities :math:`p_j`, the error of
    :math:`p_i` is :math:`p_i \sqrt{(1 - p_i)^2 s_i^2 + \sum_{j \ne i} p_j^2 s_j^2}` to first order.

    References
    ----------
    D. J. C. MacKay, "Bayesian interpolation", Neural Computation 4 (1992).

    C. E. Rasmussen and Z. Ghahramani, "Occam's razor", Advances in Neural Information Processing Systems 13 (2001).

    Examples
    --------
    Does this line pass through zero? The evidences of linear networks are exact.

    >>> import bayesnn as bnn
    >>> nets = {"any line": bnn.MLP(hidden=(), noise=0.3), "through 0": bnn.MLP(hidden=(), noise=0.3, bias=False)}
    >>> X, y = [-2, -1, 0, 1, 2], [-1.1, -0.7, 0.1, 0.8, 1.0]
    >>> table = bnn.compare_networks(nets, X, y, restarts=2, random_seed=1, progressbar=False)
    >>> table
                  log evidence    probability MAP log-likelihood parameters
    any line  -3.6634 (exact)  0.119 ± 0.000               0.87          2
    through 0  -1.6567 (exact)  0.881 ± 0.000               0.86          1
    """
    check_name("method", method, METHODS)
    networks = _named(nets)
    check_arguments(
        mle=mle,
        restarts=restarts,
        draws=draws,
        tune=tune,
        chains=chains,
        cores=cores,
        max_rounds=max_rounds,
        max_seconds=max_seconds,
        store=store,
        progressbar=progressbar,
    )
    check_executor(executor)
    log_prior = _log_prior(prior, networks)
    problems = {}
    for name, net in networks.items():
        problems[name] = prepare(net, X, y, scaling=scaling)
        try:
            check_proper(net)
        except ImproperPriorError as error:
            raise ImproperPriorError(f"The network {name!r} has no evidence. {error}") from None
    _check_same_targets(problems)

    # The curve that data were simulated from may be a lambda, which no process could be sent.
    data = (replace(X, truth=None) if isinstance(X, Dataset) else X, y)
    shared = {"scaling": scaling, "restarts": restarts}
    sampling = {
        "draws": draws,
        "tune": tune,
        "chains": chains,
        "cores": cores,
        "max_rounds": max_rounds,
        "max_seconds": max_seconds,
    }
    kept = None
    if store is not None:
        held_out = [X.X_test, X.y_test] if isinstance(X, Dataset) and X.X_test is not None else []
        settings = {
            "networks": {name: fingerprint(problem) for name, problem in problems.items()},
            "held_out": digest_of(*held_out),  # type: ignore[arg-type]
            **{name: value for name, value in sampling.items() if name != "cores"},
            "restarts": restarts,
            "method": method,
            "random_seed": seed_of(random_seed),
        }
        kept = FitStore(store, settings)
        random_seed = kept.settings["random_seed"]
    seeds = rng_of(random_seed).integers(2**31, size=len(networks)).tolist()
    # A likelihood does not depend on the prior, and comes last: what an interruption costs is then the least.
    flat: list[MLP] = []
    tasks: dict[tuple[str, Any], tuple[Any, ...]] = {}
    for seed, (name, net) in zip(seeds, networks.items(), strict=True):
        tasks["evidence", name] = (_evidence_row, net, data, seed, {**shared, "sampling": sampling, "method": method})
    for seed, net in zip(seeds, networks.values() if mle else (), strict=False):
        if net.flat not in flat:
            flat.append(net.flat)
            tasks["mle", len(flat) - 1] = (_mle_log_likelihood, net, data, seed, shared)
    with quiet():
        # What each fit would say is in its row. Threads share the filters of this one.
        ran = run_tasks(tasks, executor, label="networks", progressbar=progressbar, kept=kept, ended=_cut_short)
    done = ran.done

    here = [name for name in networks if ("evidence", name) in done]
    if not here:
        ran.give_up()
    rows = {name: done["evidence", name][0] for name in here}
    for name in here if mle else ():
        rows[name]["MLE log-likelihood"] = done.get(("mle", flat.index(networks[name].flat)), np.nan)
    table = _table(rows, {name: log_prior[name] for name in here})
    table.networks = {name: networks[name] for name in here}
    table.fits = {name: done["evidence", name][1] for name in here}
    _warn(table, tasks, ran.failed, ran.interrupted)
    return table


def _with_error(value, error, form):
    """Write a number with its standard error, where that is known."""
    return f"{value:{form}}" if np.isnan(error) else f"{value:{form}} ± {error:{form}}"


def _named(nets):
    """Check the networks, and name those that have no name."""
    given = nets.values() if isinstance(nets, Mapping) else nets
    given = [nets] if isinstance(nets, MLP) or not np.iterable(given) else list(given)
    bad = [type(net).__name__ for net in given if not isinstance(net, MLP)]
    if bad or not given:
        raise SpecError(
            f"Got {f'a network of type {bad[0]}' if bad else 'no networks'}; networks are a dict "
            "from names to bnn.MLP, or a list of them. Write {'two units': bnn.MLP(hidden=(2,)), ...}."
        )
    names = list(map(str, nets)) if isinstance(nets, Mapping) else names_of(given)
    if len(set(names)) < len(names):
        twice = next(name for name, count in Counter(names).items() if count > 1)
        raise SpecError(f"Got the name {twice!r} twice; every network needs its own. Name them in a dict.")
    return dict(zip(names, given, strict=True))


def names_of(nets: Sequence[MLP], *, layers: bool = True) -> list[str]:
    """Name networks by what their specifications say and by what tells them apart.

    Parameters
    ----------
    nets : sequence of MLP
        The networks.
    layers : bool
        Whether to name the hidden units. Without them only what differs is named, and names may be equal.

    Returns
    -------
    list of str
        Such as ``"2 tanh units, Normal(1.0)"``; loss, noise and biases only where they differ. Equal networks are
        numbered.
    """
    parts = {
        "prior": lambda net: _brief(net.prior),
        "loss": lambda net: _brief(net.loss) if net.loss != type(net.loss)() else net.loss.name,
        "noise": lambda net: f"noise {_brief(net.noise_prior or net.noise)}",
        "bias": lambda net: "biases" if net.bias else "no biases",
    }
    if not layers:
        parts["activation"] = lambda net: str(getattr(net.activation, "name", net.activation))
    told = [k for k in parts if len({repr(getattr(net, k)) for net in nets}) > 1 or (k == "prior" and layers)]
    names = []
    for net in nets:
        words = [parts[k](net) for k in told]
        names.append(", ".join([_units(net), *words] if layers else words))
    total, seen = Counter(names), Counter[str]()
    for i, name in enumerate(names if layers else ()):
        seen[name] += 1
        names[i] = f"{name} ({seen[name]})" if total[name] > 1 else name
    return names


def _units(net):
    if not net.hidden:
        return "no hidden units"
    activation = getattr(net.activation, "name", net.activation)
    return f"{'-'.join(map(str, net.hidden))} {activation} unit{'s' if net.hidden != (1,) else ''}"


def _brief(value):
    """Write what has a single parameter without its name."""
    return re.sub(r"\((\w+)=([^,()]*)\)", r"(\2)", repr(value))


def _log_prior(prior, networks):
    """Logarithms of the prior probabilities of the networks, up to a constant."""
    if prior is None:
        return dict.fromkeys(networks, 0.0)
    names, given = (prior.keys(), prior.values()) if isinstance(prior, Mapping) else (networks, prior)
    try:
        found = dict(zip(map(str, names), map(float, given), strict=True))
        valid = found.keys() == networks.keys() and sum(found.values()) > 0
        valid = valid and all(0 <= p < np.inf for p in found.values())
    except (TypeError, ValueError):
        valid = False
    if not valid:
        raise SpecError(
            f"Got prior={prior!r}; it must be a probability for each of the {len(networks)} networks "
            f"({', '.join(map(repr, networks))}), none negative and one at least above zero. Write a dict by their "
            "names, or leave it out to take all to be equally probable."
        )
    with np.errstate(divide="ignore"):
        return {name: float(np.log(p)) for name, p in found.items()}


def _check_same_targets(problems: Mapping[str, Problem]) -> None:
    """Refuse likelihoods that are not of the same targets in the same units."""
    (first, one), *others = problems.items()
    for name, other in others:
        losses = f"{first!r} with the loss {one.net.loss.name!r} and {name!r} with the loss {other.net.loss.name!r}"
        tasks = [p.net.loss.task for p in (one, other)]
        if (tasks[0] == "regression") != (tasks[1] == "regression"):
            kinds = [
                "a density of numbers" if t == "regression" else "a probability of labels or counts" for t in tasks
            ]
            raise SpecError(
                f"Got {losses}: the likelihood of the one is {kinds[0]}, of the other {kinds[1]}, and their evidences "
                "have different units. Compare networks whose losses are of one kind."
            )
        if not np.array_equal(np.ravel(one.y), np.ravel(other.y)):
            raise SpecError(
                f"Got {losses}, which take the same y for different targets (one of them recodes it): their evidences "
                "are of different data. Recode y beforehand, alike for all."
            )


def _evidence_row(net, data, seed, *, sampling, method, **search):
    """Figures of one network, and its posterior. Peak first: it is quick, and an interruption ends the other."""
    with quiet():
        try:
            map_ = fit_map(net, *data, random_seed=seed, nonexistent="flag", progressbar=False, **search)
            peak = log_likelihood_of(map_)
        except NoMAPError:
            peak = np.nan
        if method == "laplace":
            size = {name: sampling[name] for name in ("draws", "chains")}
            fit = fit_laplace(net, *data, random_seed=seed, progressbar=False, **size, **search)
        else:
            fit = fit_posterior(
                net,
                *data,
                sampler="tempering",
                random_seed=seed,
                scaling=search["scaling"],
                progressbar=False,
                **sampling,
            )
    found = log_evidence(fit)
    row = {"log evidence": found.value, "log evidence se": found.se, "MAP log-likelihood": peak}
    if isinstance(data[0], Dataset) and data[0].X_test is not None:
        row["held-out LPPD"] = score(fit, data[0])["lppd"]
    row["parameters"] = sum(values[0, 0].size for values in params_of(fit).values())
    row["converged"] = not fit.attrs["bayesnn_unmet"] and fit.attrs.get("bayesnn_ended") != "interrupted"
    return row, fit


def _mle_log_likelihood(net, data, seed, **search):
    """Greatest log-likelihood of a network, or its limit."""
    with quiet():
        mle = fit_mle(net, *data, random_seed=seed, nonexistent="flag", progressbar=False, **search)
    return log_likelihood_of(mle)


def _cut_short(key, value):
    """Say whether a fit was interrupted: the sampler ends in order, with what it has, and does not pass that on."""
    return key[0] == "evidence" and value[1].attrs.get("bayesnn_ended") == "interrupted"


def _table(rows, log_prior):
    """Make the table of the networks' rows, with the probability of each."""
    table = NetworkComparison.from_dict(rows, orient="index")
    se = table["log evidence se"].to_numpy()
    weight = table["log evidence"].to_numpy() + np.array(list(log_prior.values()))
    p = np.exp(weight - np.logaddexp.reduce(weight))
    variance = (1 - 2 * p) * se**2 + np.sum(p**2 * se**2)
    table.insert(2, "probability", p)
    table.insert(3, "probability se", p * np.sqrt(np.maximum(variance, 0.0)))
    if _LIKELIHOODS[0] in table:
        table.insert(table.columns.get_loc(_LIKELIHOODS[1]) + 1, _LIKELIHOODS[0], table.pop(_LIKELIHOODS[0]))
    table.index.name = "network"
    return table


def _warn(table, tasks, troubles, interrupted):
    if interrupted:
        total = sum(key[0] == "evidence" for key in tasks)
        warnings.warn(
            f"Interrupted: {len(table)} of {total} networks are in the table, and the probabilities are among these.",
            ConvergenceWarning,
            stacklevel=3,
        )
    for (kind, key), error in troubles.items():
        what = f"The network {key!r} failed and is left out" if kind == "evidence" else "A maximum likelihood failed"
        warnings.warn(f"{what}: {type(error).__name__}: {error}", ConvergenceWarning, stacklevel=3)
    laplace = any(fit.attrs["bayesnn_sampler"] == "laplace" for fit in table.fits.values())
    short = [name for name in table.index[~table["converged"]] if table.fits[name].attrs["bayesnn_unmet"]]
    if short:
        said = "; ".join(f"{name!r}: {table.fits[name].attrs['bayesnn_unmet']}" for name in short)
        warnings.warn(
            f"{'Do not trust the Laplace approximation' if laplace else 'Tempering ended before its marks'} for "
            f"{len(short)} of {len(table)} networks ({said}). "
            f"{'Leave method out, for tempering' if laplace else 'Raise max_rounds or max_seconds'}.",
            ConvergenceWarning,
            stacklevel=3,
        )
