"""What the chains of a posterior say about weights, aligned weights and function, and the verdict in words."""

import html
import math
import textwrap
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from bayesnn.errors import SpecError
from bayesnn.fitting.chains import DIVERGENT_MAX, TARGETS
from bayesnn.symmetry import align, element_of, symmetry_group
from bayesnn.symmetry.optima import function_at
from bayesnn.tree import Inputs, kind_of, new_inputs, params_of, problem_of

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr


RHAT_MAX = 1.01
"""Largest rank-normalised split R-hat of chains that agree (Vehtari et al. 2021)."""
ESS_MIN = 400
"""Smallest effective sample size, bulk and tail, at which R-hat and errors can be relied on (Vehtari et al. 2021)."""
ESS_MIN_PER_CHAIN = 100
"""The same for each chain, where there are more than four (Stan and ArviZ)."""
BFMI_MIN = 0.3
"""Energy fraction of missing information below which tails are explored badly (Betancourt 2016; Stan)."""
SLOW = 0.05
"""Effective draws for each draw below which chains are slow rather than short; our choice."""
SETTLED = 10
"""Effective draws within a chain from which its mean and error are worth comparing; our choice."""
APART = 5.0
"""Standard errors between the means of two settled chains beyond which they are in different modes; our choice."""
IDLE = 0.01
"""Share of steps that move, or of proposals accepted, below which a chain counts as stuck; our choice."""
CHANCE_MAX = 1.05
"""Largest R-hat that chance explains: of the halves of a chain, or of chains a little short of draws; our choice."""
ONE_IMAGE = 0.95
"""Share of all draws in one mirror image from which the posterior as sampled has one mode; our choice."""
INPUTS = 50
"""Most function values that are followed when no grid is given."""

TRUSTED = ("one_mode", "harmless_symmetry", "mixed_symmetry", "weights_ridge")
"""Verdicts under which predictions may be trusted."""

_HEADS = {
    "one_mode": "all chains agree, about the weights and about the function",
    "harmless_symmetry": "weights disagree, function agrees: symmetry, harmless",
    "mixed_symmetry": "all chains agree, and move freely between mirror images",
    "weights_ridge": "aligned weights disagree, function agrees: other equivalent weights",
    "function_modes": "the chains are in different modes of the function",
    "slow_mixing": "the chains have not mixed well enough",
    "too_few_draws": "too few draws",
    "one_chain": "one chain can't be checked against another",
    "stuck": "chains are stuck",
    "divergences": "draws diverged",
    "not_finite": "draws that are not finite numbers",
}
_STATISTICS = ("diverging", "energy", "tree_depth", "reached_max_treedepth")
_ROWS = {"raw": "raw weights", "aligned": "aligned weights", "function": "function"}


@dataclass(frozen=True, eq=False)
class Diagnosis:
    """What `diagnose` returns: a verdict, its reasons and its numbers.

    Parameters
    ----------
    verdict : str
        ``one_mode``, ``harmless_symmetry``, ``mixed_symmetry``, ``weights_ridge`` (predictions may be trusted);
        ``function_modes``, ``slow_mixing``, ``too_few_draws``, ``one_chain``, ``stuck``, ``divergences``,
        ``not_finite`` (they may not).
    message, remedy : str
        Why, with the numbers, and what to do.
    notes : tuple of str
        What else deserves a look.
    chains, draws : int
        Number of chains, and of draws in each.
    quantities : pandas.DataFrame
        One row for each quantity that varies, with its ``space`` (raw, aligned, function), ``mean``, ``sd``,
        ``rhat``, ``ess_bulk``, ``ess_tail`` and ``mcse`` (standard error of the mean). The function goes with
        log-likelihood and noise, all in the user's units; the log-prior, which differs along ridges, with the aligned
        weights, which like the raw ones are in the units the model works in.
    divergences : tuple of int
        Divergent draws of each chain.
    e_bfmi : tuple of float
        Energy fraction of missing information of each chain; empty if the energies were not kept.
    max_tree_depth, max_tree_depth_share : float
        Largest tree depth, and share of draws at which the sampler's limit was reached; NaN if they were not kept.
    images : int
        Mirror images visited, of ``group_order``.
    group_order : int
        Number of permutations and sign flips, the most mirror images that there can be.
    occupancy : pandas.DataFrame
        Share of each chain's draws (rows) in each of the eight most common mirror images (columns), and in others. An
        image is named by the signed order of units that brings its draws to the reference of `align`.
    switch_rate : tuple of float
        Share of each chain's steps that change the mirror image.
    chain_modes : tuple of int
        Mode of the function that each chain is in; -1 if it has not settled in one. All 0 if the chains agree.
    chain_log_likelihood : tuple of float
        Mean log-likelihood of each chain, for densities in the user's units.
    """

    verdict: str
    message: str
    remedy: str
    notes: tuple[str, ...]
    chains: int
    draws: int
    quantities: "pd.DataFrame"
    divergences: tuple[int, ...]
    e_bfmi: tuple[float, ...]
    max_tree_depth: float
    max_tree_depth_share: float
    images: int
    group_order: int
    occupancy: "pd.DataFrame"
    switch_rate: tuple[float, ...]
    chain_modes: tuple[int, ...]
    chain_log_likelihood: tuple[float, ...]

    @property
    def trustworthy(self) -> bool:
        """Whether the predictions may be trusted, as far as chains can tell."""
        return self.verdict in TRUSTED

    @property
    def table(self) -> "pd.DataFrame":
        """Worst R-hat, smallest ESS and largest Monte Carlo error (in standard deviations), raw, aligned, function."""
        return _table(self.quantities)

    @property
    def rhat_raw(self) -> float:
        """Largest R-hat of the weights as sampled."""
        return float(self.table.loc["raw", "rhat"])

    @property
    def rhat_aligned(self) -> float:
        """Largest R-hat of the aligned weights."""
        return float(self.table.loc["aligned", "rhat"])

    @property
    def rhat_function(self) -> float:
        """Largest R-hat of the function."""
        return float(self.table.loc["function", "rhat"])

    @property
    def ess_function(self) -> float:
        """Smallest effective sample size of the function, bulk or tail."""
        return float(self.table.loc["function", ["ess_bulk", "ess_tail"]].min())

    def to_frame(self) -> "pd.DataFrame":
        """Copy the numbers of every quantity.

        Returns
        -------
        pandas.DataFrame
            As ``quantities``.
        """
        return self.quantities.copy()

    def to_dict(self) -> dict[str, Any]:
        """Collect verdict, words and numbers for a machine.

        Returns
        -------
        dict
            Of strings, numbers, lists and dicts that `json.dumps` accepts; None where there is no finite number.
        """
        out = {"verdict": self.verdict, "trustworthy": self.trustworthy}
        out |= {k: getattr(self, k) for k in self.__dataclass_fields__ if k not in ("quantities", "occupancy")}
        out["table"] = self.table.to_dict("index")
        out["occupancy"] = self.occupancy.to_dict("index")
        return _plain(out)

    @property
    def brief(self) -> tuple[str, str, str]:
        """Head, reason and remedy, a short line each."""
        trust = "Predictions may be trusted" if self.trustworthy else "Do not trust the predictions"
        rhat = " / ".join(_number(r, ".3f") for r in (self.rhat_raw, self.rhat_aligned, self.rhat_function))
        ess = _number(self.ess_function, ".0f")
        return (
            _HEADS[self.verdict],
            f"R-hat raw / aligned / function {rhat}; ESS {ess}; {sum(self.divergences)} divergences.",
            f"{trust}. Remedy: {self.remedy.split('. ')[0].rstrip('.')}.",
        )

    @property
    def _head(self):
        trust = "the predictions may be trusted" if self.trustworthy else "do not trust the predictions"
        return f"{self.verdict}: {_HEADS[self.verdict]}; {trust}"

    @property
    def _tail(self):
        parts = [
            f"{self.chains} {_s(self.chains, 'chain')} of {self.draws} draws",
            f"{sum(self.divergences)} divergences",
        ]
        if self.e_bfmi:
            parts.append(f"E-BFMI at least {min(self.e_bfmi):.2f}")
        if np.isfinite(self.max_tree_depth):
            parts.append(f"tree depth at most {self.max_tree_depth:.0f}")
        if self.switch_rate:
            visited = f"{self.images:,} of {_big(self.group_order)} mirror images visited"
            parts.append(f"{visited}, changed at {np.mean(self.switch_rate):.1%} of the steps")
        return "; ".join(parts)

    def _cells(self):
        """Write the table as text: a header and a row for each space."""
        table = self.table
        yield ["", "R-hat", "at", "ESS bulk", "ESS tail", "at", "MCSE/sd"]
        for space, row in table.iterrows():
            yield [
                _ROWS[space],
                _number(row.rhat, ".3f"),
                row.worst,
                _number(row.ess_bulk, ".0f"),
                _number(row.ess_tail, ".0f"),
                row.fewest,
                _number(row.mcse, ".3f"),
            ]

    def __repr__(self):
        """Tell the verdict, its reasons, the remedy, and show the table."""
        words = [self._head, self.message, f"Remedy: {self.remedy}", *(f"Note: {note}" for note in self.notes)]
        lines = [textwrap.fill(text, 100, break_on_hyphens=False) for text in words]
        rows = list(self._cells())
        widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
        left = (0, 2, 5)
        lines.append("")
        for row in rows:
            cells = [t.ljust(w) if i in left else t.rjust(w) for i, (t, w) in enumerate(zip(row, widths, strict=True))]
            lines.append("  ".join(cells).rstrip())
        lines += ["", textwrap.fill(self._tail, 100, break_on_hyphens=False)]
        if 1 < self.images <= 8:
            lines += ["share of draws in each mirror image:", self.occupancy.round(2).to_string()]
        return "\n".join(lines)

    def __rich__(self):
        """Show the same with colours and rules in a terminal."""
        from rich.console import Group
        from rich.table import Table
        from rich.text import Text

        header, *rows = self._cells()
        table = Table()
        for i, name in enumerate(header):
            table.add_column(name, justify="left" if i in (0, 2, 5) else "right")
        for row, rhat in zip(rows, self.table["rhat"], strict=True):
            table.add_row(*map(Text, row), style="" if not rhat > RHAT_MAX else "yellow")
        notes = [Text(f"Note: {note}", style="yellow") for note in self.notes]
        head = Text(self._head, style="bold green" if self.trustworthy else "bold red")
        return Group(head, Text(self.message), Text(f"Remedy: {self.remedy}"), *notes, table, Text(self._tail))

    def _repr_html_(self):
        """Show the same in Jupyter."""
        words = [self.message, f"Remedy: {self.remedy}", *(f"Note: {note}" for note in self.notes)]
        header, *rows = [[html.escape(cell) for cell in row] for row in self._cells()]
        head = "".join(f"<th>{cell}</th>" for cell in header)
        body = "".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>" for row in rows)
        cells = self.occupancy.round(2).to_html() if 1 < self.images <= 8 else ""
        return (
            f"<p><b>{html.escape(self._head)}</b></p>{''.join(f'<p>{html.escape(text)}</p>' for text in words)}"
            f"<table><tr>{head}</tr>{body}</table><p>{html.escape(self._tail)}</p>{cells}"
        )


def diagnose(post: "xr.DataTree", *, grid: Inputs | None = None) -> Diagnosis:
    r"""Say whether the chains of a posterior agree: about the weights, the aligned weights, and the function.

    Chains in different mirror images of one network disagree about every weight and agree about the function; that is
    symmetry, and harmless. Chains in different modes of the function disagree about both, and their predictions are
    not to be trusted. The three R-hats side by side tell the two apart.

    Parameters
    ----------
    post : xarray.DataTree
        From `fit_posterior`, or aligned by `align`.
    grid : array (n, p), DataFrame or Dataset, optional
        Inputs, in the user's units, at which the function is followed; a Dataset brings its held-out rows. None takes
        about 50 function values: for one feature evenly spaced over the range of the training inputs, otherwise at
        training rows.

    Returns
    -------
    Diagnosis
        Prints as the verdict in words and the table; ``brief`` is three lines of it; ``verdict``, ``trustworthy``,
        ``message``, ``remedy``, ``rhat_raw``, ``rhat_aligned``, ``rhat_function``, ``to_frame()`` and ``to_dict()``
        have it in parts.

    Raises
    ------
    SpecError
        An MLE or MAP fit.
    FitError
        Not a bayesnn fit.
    DataError
        A grid that breaks a rule.

    See Also
    --------
    bayesnn.symmetry.align : Fold the mirror images of a posterior onto one.

    Notes
    -----
    R-hat is the larger of the rank-normalised and the folded split R-hat [1]_: draws are replaced by normal scores of
    their ranks, :math:`\hat R = \sqrt{(N - 1)/N + B/(N W)}` with the variance :math:`B/N` of the means of the half
    chains and the mean :math:`W` of their variances. It should be at most 1.01, with an ESS of at least 400. The
    classical R-hat [2]_ grows without bound as modes move apart; ranks do not see how far apart they are, so that four
    chains stuck 2 and 2 in two modes have
    :math:`\sqrt{1 + \tfrac87 \tfrac{2/\pi}{1 - 2/\pi}} = 1.733`, 1 and 3 have 1.528, and four modes 2.838.

    The function is the network's output: for classes its logits less their mean, since a common shift moves no
    probability; for ordered labels the cumulative logits, cutpoints less output; log-likelihood and noise go with it.
    A function that disagrees is put down to modes if at least two groups of chains have settled (an ESS of 10 within
    each) and differ in a mean by more than 5 standard errors and 1 standard deviation, otherwise to slow mixing (fewer
    than 5 effective draws in 100, or an R-hat above 1.05 in spite of the ESS) or to too few draws. E-BFMI below 0.3
    [3]_ is noted, and so are divergences of up to 1 draw in 1,000; compare [4]_. Chains can't tell of a mode that none
    of them has found.

    References
    ----------
    .. [1] A. Vehtari, A. Gelman, D. Simpson, B. Carpenter and P.-C. Bürkner, "Rank-normalization, folding, and
       localization: an improved R-hat", Bayesian Analysis 16 (2021).
    .. [2] A. Gelman and D. B. Rubin, "Inference from iterative simulation using multiple sequences", Statistical
       Science 7 (1992).
    .. [3] M. Betancourt, "Diagnosing suboptimal cotangent disintegrations in Hamiltonian Monte Carlo",
       arXiv:1604.00695 (2016).
    .. [4] Stan Development Team, "Runtime warnings and convergence problems", https://mc-stan.org/misc/warnings.

    Examples
    --------
    Four chains about the mode of one hidden unit and about its mirror image, two each:

    >>> import numpy as np, bayesnn as bnn
    >>> from bayesnn.tree import make_tree, prepare, to_dataset
    >>> net = bnn.MLP(hidden=(1,), bias=False, noise=0.3)
    >>> draws = np.random.default_rng(1).normal([0.76, 1.12], 0.1, (4, 1000, 2))
    >>> draws[2:] *= -1
    >>> params = {"W1": draws[..., :1, None], "W2": draws[..., 1:, None]}
    >>> problem = prepare(net, [-2, -1, 0, 1, 2], [-1.1, -0.7, 0.1, 0.8, 1.0])
    >>> batch = {"chain": range(4), "draw": range(1000)}
    >>> found = bnn.diagnostics.diagnose(make_tree("posterior", problem, to_dataset(params, problem, batch)))
    >>> found.verdict, found.trustworthy, round(found.rhat_raw, 1), found.rhat_function < 1.01
    ('harmless_symmetry', True, 1.7, True)
    """
    import pandas as pd

    if kind_of(post) != "posterior":
        raise SpecError(
            f"Got a {kind_of(post)} fit; chains can be compared only where there are some. Use fit_posterior."
        )
    problem = problem_of(post)
    raw = params_of(post, group="posterior_raw" if "posterior_raw" in post else "posterior")
    chains, draws = next(iter(raw.values())).shape[:2]
    with np.errstate(all="ignore"):
        values = {"raw": _weights(raw, problem), "function": _function(raw, problem, grid)}
    broken = sum(~np.isfinite(v).all(axis=-1) for _, v in values.values()) > 0
    order = symmetry_group(problem.net, len(problem.feature_names), len(problem.output_names)).finite_order
    if broken.any():
        images, occupancy, switch_rate = 0, pd.DataFrame(), ()
    else:
        aligned = post if post.attrs.get("bayesnn_symmetry") == "aligned" else align(post)
        params = params_of(aligned)
        names, numbers = _weights(params, problem)
        prior = problem.net.log_prior(params)[..., None]
        values["aligned"] = [*names, "log-prior"], np.concatenate([numbers, prior], axis=-1)
        images, occupancy, switch_rate = _images(element_of(aligned), (chains, draws))
    frames = [_numbers(space, *values[space]) for space in _ROWS if space in values]
    quantities = pd.concat([f for f in frames if len(f)] or frames[:1], ignore_index=True)
    names, function = values["function"]
    facts = {
        "chains": chains,
        "draws": draws,
        "quantities": quantities,
        "images": images,
        "group_order": order,
        "occupancy": occupancy,
        "switch_rate": switch_rate,
        "chain_log_likelihood": tuple(map(float, function[..., names.index("log-likelihood")].mean(axis=1))),
        "chain_modes": (0,) * chains,
        **_sampler(post, chains),
    }
    return Diagnosis(**facts | _judge(facts, raw, function, broken, post))


def _weights(params, problem):
    """Names and values (chain, draw, quantity) of the weights, biases and whatever scales belong to them."""
    dims, coords = problem.net.dims(), problem.coords
    names, values = [], []
    for name, value in params.items():
        if name == "noise":
            continue
        labels = [coords[d] for d in dims[name]] if name in dims else [range(1, k + 1) for k in value.shape[2:]]
        for index in np.ndindex(value.shape[2:]):
            at = ", ".join(str(axis[i]) for axis, i in zip(labels, index, strict=True))
            names.append(f"{name}[{at}]" if at else name)
        values.append(value.reshape(*value.shape[:2], -1))
    return names, np.concatenate(values, axis=-1)


def _function(params, problem, grid):
    """Names and values (chain, draw, quantity) of what the likelihood sees: function, noise, log-likelihood."""
    net = problem.net
    X, at = _inputs(problem, grid, len(problem.output_names))
    f, kind, outputs = function_at(net, params, X), "f", list(problem.output_names)
    if net.loss.task == "classes":
        kind = "logit"
    elif net.loss.task == "ordinal":
        kind = "cumulative logit"
        outputs = list(problem.class_names[: f.shape[-1]])
    elif problem.scaling is not None and problem.scaling.y_sd is not None:
        targets = len(problem.target_names)
        log_scale = np.log(problem.y_sd[0]) if net.loss.scale_is_output else 0.0
        f = np.concatenate([problem.scaling.inverse_y(f[..., :targets]), f[..., targets:] + log_scale], axis=-1)
    names = [f"{kind}[{i}]" if len(outputs) == 1 else f"{kind}[{i}, {o}]" for i in at for o in outputs]
    values = [f.reshape(*f.shape[:2], -1), _log_likelihood(params, problem)[..., None]]
    names.append("log-likelihood")
    if "noise" in params:
        # Targets of several units share one noise, which has the unit of none of them.
        sd = problem.y_sd
        names.append("noise (scaled units)" if np.ptp(sd) > 0 else "noise")
        values.append(params["noise"][..., None] * (1.0 if np.ptp(sd) > 0 else sd[0]))
    return names, np.concatenate(values, axis=-1)


def _inputs(problem, grid, n_outputs):
    """Choose inputs, in the units the model works in, and names for them."""
    most = max(10, INPUTS // n_outputs)
    if grid is not None:
        X, at = new_inputs(problem, grid), None
    elif problem.X.shape[1] == 1:
        X, at = np.linspace(problem.X.min(), problem.X.max(), most)[:, None], None
    else:
        rows = np.unique(np.linspace(0, len(problem.X) - 1, most).astype(int))
        X, at = problem.X[rows], [f"row {i}" for i in rows]
    if X.shape[1] == 1:
        scaling = problem.scaling
        shown = X[:, 0] if scaling is None else X[:, 0] * scaling.x_sd[0] + scaling.x_mean[0]
        at = [f"{problem.feature_names[0]}={x:.3g}" for x in shown]
    return X, at or [f"input {i}" for i in range(len(X))]


def _log_likelihood(params, problem):
    """Log-likelihood of each draw, in the user's units; in blocks of rows that fit into memory."""
    n = len(problem.X)
    rows = max(1, 4_000_000 // max(v.size for v in params.values()))
    blocks = [slice(i, i + rows) for i in range(0, n, rows)]
    values = [problem.net.log_likelihood(params, problem.X[b], problem.y[b]).sum(axis=-1) for b in blocks]
    return sum(values) - n * problem.log_y_sd


def _numbers(space, names, values):
    """R-hat, ESS and Monte Carlo error of each quantity that is not constant; NaN where they can't be had."""
    import arviz as az
    import pandas as pd

    chains, draws = values.shape[:2]
    finite = np.isfinite(values).all(axis=(0, 1))
    clean = np.where(finite, values, 0.0)
    size = 1e-12 * (1 + np.abs(clean).max(axis=(0, 1)))
    kept = ~finite | (np.ptp(clean, axis=(0, 1)) > size)
    out = pd.DataFrame({"space": space, "quantity": np.array(names, dtype=object)[kept]})
    values, usable = values[..., kept], finite[kept]
    found = dict.fromkeys(("mean", "sd", "rhat", "ess_bulk", "ess_tail", "mcse"), None)
    found = {k: np.full(len(usable), np.nan) for k in found}
    # A chain that never moves has no variance; R-hat is then infinite, and rightly so.
    with np.errstate(all="ignore"):
        good = values[..., usable]
        found["mean"][usable] = good.mean(axis=(0, 1))
        found["sd"][usable] = good.std(axis=(0, 1), ddof=1) if chains * draws > 1 else np.nan
        if draws >= 4 and usable.any():
            found["ess_bulk"][usable] = az.ess(good, method="bulk")
            found["ess_tail"][usable] = az.ess(good, method="tail", prob=(0.05, 0.95))
            found["mcse"][usable] = az.mcse(good, method="mean")
            if chains > 1:
                found["rhat"][usable] = az.rhat(good)
    return out.assign(**found)


def _table(quantities):
    import pandas as pd

    rows = {}
    for space in _ROWS:
        some = quantities[quantities["space"] == space]
        least = some[["ess_bulk", "ess_tail"]].min(axis=1)
        rows[space] = {
            "rhat": some["rhat"].max(),
            "worst": some["quantity"][some["rhat"].idxmax()] if some["rhat"].notna().any() else "",
            "ess_bulk": some["ess_bulk"].min(),
            "ess_tail": some["ess_tail"].min(),
            "fewest": some["quantity"][least.idxmin()] if least.notna().any() else "",
            "mcse": (some["mcse"] / some["sd"]).max(),
        }
    return pd.DataFrame.from_dict(rows, orient="index")


def _images(element, batch):
    """Count mirror images, their share of each chain, and how often each chain changes its own."""
    import pandas as pd

    chains, draws = batch
    units = [s * (p + 1) for p, s in zip(element.permutations, element.signs, strict=True)]
    cells = np.concatenate([np.zeros((chains, draws, 1), int), *units], axis=-1).reshape(chains * draws, -1)
    _, first, label, count = np.unique(cells, axis=0, return_index=True, return_inverse=True, return_counts=True)
    rank = np.argsort(np.argsort(-count, kind="stable"))
    label = rank[label.reshape(batch)]
    first = first[np.argsort(rank)]
    share = {}
    for k, i in enumerate(first[:8]):
        image = " | ".join(" ".join(f"{u:+d}" for u in layer.reshape(chains * draws, -1)[i]) for layer in units)
        share[image or "only one"] = (label == k).mean(axis=1)
    if len(first) > 8:
        share["others"] = (label >= 8).mean(axis=1)
    switches = tuple(map(float, (np.diff(label, axis=1) != 0).mean(axis=1))) if draws > 1 else (0.0,) * chains
    return len(first), pd.DataFrame(share, index=pd.RangeIndex(chains, name="chain")), switches


def _sampler(post, chains):
    """Collect what the sampler itself reports, where it was kept."""
    stats = post["sample_stats"].to_dataset() if "sample_stats" in post else {}
    found = {k: stats[k].transpose("chain", "draw").to_numpy() for k in _STATISTICS if k in stats}
    e_bfmi = ()
    if "energy" in found and found["energy"].shape[1] > 1:
        energy = found["energy"].astype(float)
        with np.errstate(all="ignore"):
            e_bfmi = np.square(np.diff(energy, axis=1)).mean(axis=1) / energy.var(axis=1, ddof=1)
    limit = found.get("reached_max_treedepth")
    return {
        "divergences": tuple(map(int, found["diverging"].sum(axis=1))) if "diverging" in found else (0,) * chains,
        "e_bfmi": tuple(map(float, e_bfmi)),
        "max_tree_depth": float(found["tree_depth"].max()) if "tree_depth" in found else math.nan,
        "max_tree_depth_share": float(limit.mean()) if limit is not None else math.nan,
    }


def _judge(facts, raw, function, broken, post):
    """Find verdict, message, remedy and notes, the worst trouble first."""
    chains, draws = facts["chains"], facts["draws"]
    table, total = _table(facts["quantities"]), chains * draws
    rhat, ess = table["rhat"], float(table.loc["function", ["ess_bulk", "ess_tail"]].min())
    need = max(ESS_MIN, ESS_MIN_PER_CHAIN * chains)
    said = {space: f"R-hat {_number(row.rhat, '.3f')} at {row.worst}" for space, row in table.iterrows()}
    counted = f"ESS {_number(ess, '.0f')} at {table.loc['function', 'fewest']}"
    diverged = sum(facts["divergences"])
    idle = list(_idle(raw, post))
    out = {}
    if broken.any():
        verdict, message, remedy = _words_not_finite(broken)
    elif idle:
        verdict, message = "stuck", " ".join(idle)
        remedy = (
            "Run again with another random_seed, a longer tune and target_accept=0.95; standardise the data "
            "(scaling='standard'). Chains that agree with each other do not vouch for one that is stuck."
        )
    elif draws < 4:
        verdict = "too_few_draws"
        message = f"Got {chains} {_s(chains, 'chain')} of {draws} {_s(draws, 'draw')}; R-hat and ESS take at least 4."
        remedy = "Draw 1,000 a chain: fit_posterior(..., draws=1000)."
    elif chains == 1:
        verdict, message, remedy = _words_one_chain(function, counted)
    elif not (rhat["function"] <= RHAT_MAX and ess >= need):
        out["chain_modes"] = _modes(function)
        if len(set(out["chain_modes"]) - {-1}) > 1:
            verdict, message, remedy = _words_modes(facts, out["chain_modes"], said)
        elif ess >= SLOW * total and not (ess >= need and rhat["function"] > CHANCE_MAX):
            verdict, out["chain_modes"] = "too_few_draws", (0,) * chains
            message = (
                f"The function has {said['function']}, and {counted}, of {total} draws. R-hat and Monte Carlo errors "
                f"can be relied on from ESS {need} on, and R-hat should then be at most {RHAT_MAX}."
            )
            remedy = f"Draw longer chains: fit_posterior(..., draws={_longer(draws, ess, need)})."
        else:
            verdict, message, remedy = _words_slow(function, said, counted, draws, ess, need)
    elif diverged > DIVERGENT_MAX * total:
        verdict = "divergences"
        message = (
            f"{diverged} of {total} draws diverged: the sampler missed a narrow region, and all chains may have missed "
            f"the same one. What they drew agrees about the function ({said['function']}; {counted}); raw weights have "
            f"{said['raw']}, aligned weights {said['aligned']}."
        )
        last = "take a narrower prior or fewer hidden units."
        higher = _higher(post)
        remedy = (
            f"Raise target_accept to {', then '.join(higher)}. If some stay, {last}" if higher else last.capitalize()
        )
    else:
        verdict, message, remedy = _words_agree(facts, rhat, said, counted)
    notes = _notes(facts, table, verdict, diverged, need, _higher(post))
    return out | {"verdict": verdict, "message": message, "remedy": remedy, "notes": tuple(notes)}


def _idle(raw, post):
    """Say of each chain that hardly moves, or accepts hardly anything."""
    flat = np.concatenate([v.reshape(*v.shape[:2], -1) for v in raw.values()], axis=-1)
    if flat.shape[1] < 2:
        return
    accepted = np.ones(len(flat))
    if "sample_stats" in post and "acceptance_rate" in post["sample_stats"]:
        accepted = post["sample_stats"]["acceptance_rate"].transpose("chain", "draw").to_numpy().mean(axis=1)
    moves = (np.diff(flat, axis=1) != 0).any(axis=-1).mean(axis=1)
    for chain, (moved, accepting) in enumerate(zip(moves, accepted, strict=True)):
        if moved == 0:
            yield f"Chain {chain} never moves: its {flat.shape[1]} draws are all the same."
        elif moved < IDLE:
            yield f"Chain {chain} moves at only {moved:.1%} of its steps."
        elif accepting < IDLE:
            yield f"Chain {chain} accepts only {accepting:.1%} of its proposals."


def _modes(function):
    """Group settled chains by their functions; -1 for chains that have not settled."""
    import arviz as az
    from scipy.sparse.csgraph import connected_components

    function = function[..., np.ptp(function, axis=(0, 1)) > 0]
    mean, sd = function.mean(axis=1), function.std(axis=1, ddof=1)
    with np.errstate(all="ignore"):
        ess = np.stack([az.ess(chain[None], method="mean") for chain in function])
        error = sd / np.sqrt(ess)
        settled = np.flatnonzero(np.median(ess, axis=1) >= SETTLED)
        a, b = settled[:, None], settled[None, :]
        gap = np.abs(mean[a] - mean[b])
        far = (gap > APART * np.hypot(error[a], error[b])) & (gap > np.maximum(sd[a], sd[b]))
        far &= np.minimum(ess[a], ess[b]) >= SETTLED
    out = np.full(len(function), -1)
    if len(settled):
        out[settled] = connected_components(~far.any(axis=-1), directed=False)[1]
    return tuple(map(int, out))


def _halves(function):
    """Largest R-hat between the first and the second half of each chain."""
    import arviz as az

    half = function.shape[1] // 2
    if half < 4:
        return np.full(len(function), np.nan)
    function = function[..., (np.ptp(function, axis=1) > 0).all(axis=0)]
    with np.errstate(all="ignore"):
        return np.array([np.max(az.rhat(np.stack([c[:half], c[-half:]])), initial=1.0) for c in function])


def _words_not_finite(broken):
    where = [f"chain {c}: {row.sum()}, the first at draw {row.argmax()}" for c, row in enumerate(broken) if row.any()]
    message = (
        f"{broken.sum()} of {broken.size} draws have weights, a function or a log-likelihood that is not a finite "
        f"number ({'; '.join(where)}). Nothing can be said of a posterior with such draws."
    )
    remedy = (
        "Find out where they come from before leaving them out: a prior so wide that the function overflows, a noise "
        "near zero, data in odd units. Standardise the data (scaling='standard') and take a narrower prior."
    )
    return "not_finite", message, remedy


def _words_one_chain(function, counted):
    halves = _halves(function)[0]
    within = "agree" if halves <= CHANCE_MAX else "disagree" if halves > CHANCE_MAX else "are too short to compare"
    message = (
        "R-hat compares chains, and there is one: whether another would find the same function can't be known. Its "
        f"two halves {within} (R-hat {_number(halves, '.3f')} between them), with {counted}; neither tells of modes "
        "that the chain never visited."
    )
    return "one_chain", message, "Run four: fit_posterior(..., chains=4)."


def _words_modes(facts, modes, said):
    levels = facts["chain_log_likelihood"]
    groups = []
    for mode in sorted(set(modes) - {-1}):
        members = [c for c, m in enumerate(modes) if m == mode]
        groups.append(f"{_chains(members)} (log-likelihood {np.mean([levels[c] for c in members]):.4g})")
    loose = [c for c, m in enumerate(modes) if m == -1]
    message = (
        f"The chains have settled in {len(groups)} different modes of the function: {', '.join(groups)}"
        f"{f'; {_chains(loose)} in none' if loose else ''}. The function has {said['function']}. That is real "
        "multimodality, not symmetry. How many chains are in a mode depends on where they started, not on how probable "
        "it is."
    )
    remedy = (
        "Do not average these chains. Run more of them (chains=8) to see how many modes there are; a narrower prior, "
        "fewer hidden units or more data leave fewer. Longer chains seldom help."
    )
    return "function_modes", message, remedy


def _words_slow(function, said, counted, draws, ess, need):
    halves = _halves(function)
    drifting = [c for c, r in enumerate(halves) if r > CHANCE_MAX]
    within = (
        f"In {_chains(drifting)} the first and the second half disagree already (R-hat up to {np.nanmax(halves):.2f} "
        "between them): drift, or a rare jump to another mode."
        if drifting
        else "Within each chain the two halves agree: the difference is between chains, and small."
    )
    message = f"The function has {said['function']}, and {counted}, of {function.shape[0] * draws} draws. {within}"
    longer = min(_longer(draws, ess, need), 10 * draws)
    remedy = (
        f"Draw longer chains (draws={longer}, tune={longer} to begin with), standardise the data (scaling='standard'), "
        "raise target_accept to 0.95. If chains that have settled still disagree, they are in different modes."
    )
    return "slow_mixing", message, remedy


def _words_agree(facts, rhat, said, counted):
    order, images, switch = facts["group_order"], facts["images"], float(np.mean(facts["switch_rate"]))
    visited = f"{images:,} of {_big(order)} mirror images were visited, and {switch:.1%} of the steps change the image"
    function = f"({said['function']}; {counted})"
    if not rhat["aligned"] <= RHAT_MAX:
        folded = "Even folded onto one mirror image, the" if order > 1 else "The"
        message = (
            f"{folded} weights disagree ({said['aligned']}; as sampled {said['raw']}), while the function agrees "
            f"{function}. Other weights give the same function: a ridge, twin or idle units; or the weights need more "
            "draws than the function."
        )
        remedy = (
            "None is needed for predictions. Do not interpret single weights; fewer hidden units or a narrower prior "
            "take the freedom away."
        )
        return "weights_ridge", message, remedy
    remedy = "None is needed for predictions. Look at single weights only in bnn.align(post)."
    if not rhat["raw"] <= RHAT_MAX:
        where = "visit the mirror images of one network in different shares"
        if switch < IDLE:
            where = "are in different mirror images of one network"
        message = (
            f"The weights as sampled disagree ({said['raw']}) because the chains {where}: {visited}. Folded onto one "
            f"image they agree ({said['aligned']}), and so does the function {function}. That is symmetry: harmless."
        )
        return "harmless_symmetry", message, remedy
    if images > 1 and facts["occupancy"].iloc[:, 0].mean() < ONE_IMAGE:
        message = (
            f"Function {function}, aligned weights ({said['aligned']}) and even the weights as sampled ({said['raw']}) "
            f"agree: {visited}. A single weight as sampled averages over the images and means nothing by itself."
        )
        return "mixed_symmetry", message, remedy
    where = "all in one mirror image" if order > 1 else "and the network has no mirror images"
    message = f"The chains agree about the weights ({said['raw']}), {where}, and about the function {function}."
    return "one_mode", message, "None is needed."


def _higher(post):
    """List the acceptance probabilities above the one that the run was tuned to."""
    return [f"{target:g}" for target in TARGETS[1:] if target > post.attrs.get("bayesnn_target_accept", TARGETS[0])]


def _notes(facts, table, verdict, diverged, need, higher):
    total = facts["chains"] * facts["draws"]
    if diverged and verdict != "divergences":
        few = ", fewer than 1 in 1,000" if diverged <= DIVERGENT_MAX * total else ""
        more = f"; raise target_accept to {higher[0]} to see if they go" if higher else ""
        yield f"{diverged} of {total} draws diverged{few}{more}."
    low = [c for c, e in enumerate(facts["e_bfmi"]) if e < BFMI_MIN]
    if low:
        least = min(facts["e_bfmi"])
        yield f"E-BFMI is below {BFMI_MIN} in {_chains(low)} (least {least:.2f}): tails are explored slowly; draw more."
    if facts["max_tree_depth_share"] > 0:
        share, depth = facts["max_tree_depth_share"], facts["max_tree_depth"]
        yield f"{share:.1%} of the draws reached the largest tree depth, {depth:.0f}: slow, not wrong."
    if 1 < facts["chains"] < 4:
        yield f"{facts['chains']} chains find fewer modes than the usual 4."
    ess = table.loc["aligned", ["ess_bulk", "ess_tail"]].min()
    if verdict in TRUSTED and ess < need:
        yield f"The aligned weights have ESS {ess:.0f} at {table.loc['aligned', 'fewest']}; they need {need}."


def _longer(draws, ess, need):
    """Draws for an ESS with some to spare, at least twice as many, rounded up to two digits."""
    target = draws * max(2.0, 1.2 * need / max(ess, 1.0))
    unit = 10 ** max(0, math.floor(math.log10(target)) - 1)
    return math.ceil(target / unit) * unit


def _chains(members):
    names = [str(c) for c in members]
    return f"chain {names[0]}" if len(names) == 1 else f"chains {', '.join(names[:-1])} and {names[-1]}"


def _s(n, noun):
    return noun if n == 1 else f"{noun}s"


def _big(n):
    return f"{n:,}" if n < 10**7 else f"{n:.2g}"


def _number(x, form):
    return "-" if math.isnan(x) else format(x, form)


def _plain(x):
    """Numbers, lists and dicts of Python's own, without NaN and infinity."""
    if isinstance(x, dict):
        return {str(k): _plain(v) for k, v in x.items()}
    if isinstance(x, tuple | list):
        return [_plain(v) for v in x]
    if isinstance(x, float | np.floating):
        return float(x) if np.isfinite(x) else None
    return x
