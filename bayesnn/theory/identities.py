"""Identities that every posterior obeys, whatever the data: a check of draws that needs no second run."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.stats import norm

from bayesnn.errors import SpecError
from bayesnn.fitting.density import has_kernels, log_density
from bayesnn.network import Params
from bayesnn.theory.results import Result
from bayesnn.tree import Problem, kind_of, params_of, problem_of

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr


ESS_MIN = 400
"""Effective draws from which the standard error of a mean can be relied on (Vehtari et al. 2021)."""
FALSE_ALARM = 1e-4
"""Chance that any identity of a right run is said to fail; our choice."""


@dataclass(frozen=True, repr=False, eq=False)
class Identities(Result):
    """What `identities` returns.

    Parameters
    ----------
    rows : pandas.DataFrame
        One row an identity: its ``value``, a mean over the draws, with the Monte Carlo error ``mcse`` and the effective
        number of draws ``ess``; the ``expectation`` under the posterior; and ``z``, their difference in units of
        ``mcse``, NaN where there are too few effective draws to say.
    """

    rows: "pd.DataFrame"

    @property
    def table(self) -> "pd.DataFrame":
        """The rows."""
        return self.rows

    @property
    def limit(self) -> float:
        """Size of z from which an identity fails: the larger, the more identities there are."""
        return float(norm.isf(FALSE_ALARM / 2 / max(1, self.rows["z"].notna().sum())))

    @property
    def failed(self) -> tuple[str, ...]:
        """Names of the identities that fail, the worst first."""
        size = self.rows["z"].abs()
        return tuple(size[size > self.limit].sort_values(ascending=False).index)

    @property
    def message(self) -> str:
        """Which identities fail, or that none does, and what could not be judged."""
        judged, total = int(self.rows["z"].notna().sum()), len(self.rows)
        few = "" if judged == total else f" {total - judged} of {total} have an ESS below {ESS_MIN}: no verdict."
        if not self.rows["ess"].notna().any():
            return "No verdict: no identity has an ESS; the draws are too few, stuck or not finite."
        if not judged:
            return f"No verdict: the identities need an ESS of {ESS_MIN}, and the most is {self.rows['ess'].max():.0f}."
        if self.failed:
            return f"{self.failed_words} These are not draws from this posterior.{few}"
        size = self.rows["z"].abs()
        return (
            f"{judged} {'identity holds' if judged == 1 else 'identities hold'}: largest |z| {size.max():.1f}, "
            f"{size.idxmax()}.{few}"
        )

    @property
    def failed_words(self) -> str:
        """The worst failure in a sentence; empty where there is none."""
        if not self.failed:
            return ""
        row = self.rows.loc[self.failed[0]]
        others = f", and {len(self.failed) - 1} more" if len(self.failed) > 1 else ""
        return (
            f"An identity that every posterior obeys fails: {self.failed[0]} is {row.value:.4g} ± {row.mcse:.2g} and "
            f"must be {row.expectation:.4g} (z {row.z:+.1f}){others}."
        )


def identities(post: "xr.DataTree") -> Identities:
    r"""Hold draws against means that are known without knowing the posterior.

    Where a flow :math:`\dot\theta = \xi(\theta)` moves mass about without changing its amount, the mean of
    :math:`\xi \cdot \nabla \log p(\theta \mid y)` is minus the mean divergence of :math:`\xi`. Stretching all
    parameters is such a flow for any network. Flows that leave the likelihood as it is leave only the prior in the
    mean, which is then free of the data.

    Parameters
    ----------
    post : xarray.DataTree
        From `fit_posterior`; of an aligned one the draws as they were sampled.

    Returns
    -------
    Identities
        Prints as a verdict and a table; ``failed`` names what fails.

    Raises
    ------
    SpecError
        An MLE or MAP fit.
    FitError
        Not a bayesnn fit.

    Notes
    -----
    With `d` inputs, `K` outputs of a layer's units, prior standard deviations `s` and weights in our shapes, units in
    the columns of :math:`W_1` and the rows of :math:`W_2`:

    - any network: :math:`E[\theta \cdot \nabla \log p(\theta \mid y)] = -\dim \theta`, for parameters without bounds
      (logarithms of scales, with the Jacobian);
    - relu, each hidden unit: :math:`E[(|w|^2 + b^2) / s_w^2 - |v|^2 / s_v^2] = (d + 1) - K`, because
      :math:`(c w, c b, v / c)` is the same function; without biases `d - K`;
    - linear hidden units: :math:`E[(W_1^T W_1 + b b^T) / s_1^2 - W_2 W_2^T / s_2^2] = (d + 1 - K) I`, entry by entry,
      because :math:`(W_1 A, b A, A^{-1} W_2)` is the same function;
    - softmax: the mean over the classes of the weights (or biases) of an output row has variance :math:`s^2 / K`: the
      likelihood does not see it, and its posterior is its prior.

    All but the first take squares of weights, whose variance may be infinite under heavier tails: they are left out
    unless the prior is normal (for `Hierarchical` priors `s` is the draw's own). In the first, a weight meets the slope
    of its log-prior, and the product is bounded by :math:`\nu + 1` even for Student's t.

    An identity is said to fail if |z| exceeds what chance explains in 1 of 10,000 right runs. It sees draws from
    another density: of another prior, with a Jacobian left out, from chains that have not reached the typical set. It
    doesn't see modes that no chain has found: each identity also holds within a mode that is well apart from others.

    References
    ----------
    C. Stein, "A bound for the error in the normal approximation to the distribution of a sum of dependent random
    variables", Proceedings of the Sixth Berkeley Symposium 2 (1972).

    J. Gorham and L. Mackey, "Measuring sample quality with Stein's method", NIPS (2015).

    A. Vehtari, A. Gelman, D. Simpson, B. Carpenter and P.-C. Bürkner, "Rank-normalization, folding, and localization:
    an improved R-hat", Bayesian Analysis 16 (2021).

    Examples
    --------
    >>> import bayesnn as bnn
    >>> net = bnn.MLP(hidden=(1,), activation="identity", noise=0.3)
    >>> x, y = [-2, -1, 0, 1, 2], [-1.1, -0.7, 0.1, 0.8, 1.0]
    >>> post = bnn.fit_posterior(net, x, y, target_accept=0.95, random_seed=1, progressbar=False)
    >>> found = bnn.theory.identities(post)
    >>> found.table["expectation"].to_dict()
    {'E[theta . grad log posterior]': -4.0, 'balance of linear unit 1 of layer 1': 1.0}
    >>> found.failed
    ()
    """
    if kind_of(post) != "posterior":
        raise SpecError(f"Got a {kind_of(post)} fit; the identities are of a posterior. Use fit_posterior.")
    return _identities(post, compile_model=True)


def quick_identities(post: "xr.DataTree") -> Identities:
    """Identities of a posterior, without that whose gradient would have to be compiled first."""
    return _identities(post, compile_model=False)


def _identities(post, *, compile_model):
    import arviz as az
    import pandas as pd

    problem = problem_of(post)
    # Which unit an aligned draw calls its first depends on the draw: the flow of one unit leaves the folded region.
    params = params_of(post, group="posterior_raw" if "posterior_raw" in post else "posterior")
    known = list(_balances(problem, params))
    if compile_model or has_kernels(problem.net):
        known.insert(0, _stretch(problem, params))
    names, values, expectation = zip(*known, strict=True) if known else ((), (), ())
    rows = pd.DataFrame(index=list(names), columns=["value", "expectation", "mcse", "ess", "z"], dtype=float)
    if not known:
        return Identities(rows)
    stacked = np.stack(values, axis=-1)
    rows["expectation"] = expectation
    usable = np.isfinite(stacked).all(axis=(0, 1)) & (stacked.shape[1] >= 4)
    rows.loc[usable, "value"] = stacked[..., usable].mean(axis=(0, 1))
    # A chain that never moves has no variance, and then there is no ESS.
    with np.errstate(all="ignore"):
        if usable.any():
            rows.loc[usable, "ess"] = az.ess(stacked[..., usable], method="mean")
            rows.loc[usable, "mcse"] = az.mcse(stacked[..., usable], method="mean")
        z = (rows["value"] - rows["expectation"]) / rows["mcse"]
    return Identities(rows.assign(z=z.where(rows["ess"] >= ESS_MIN)))


def _stretch(problem: Problem, params: Params) -> tuple[str, np.ndarray, float]:
    """Move all parameters away from zero at once: the flow of any network."""
    density = log_density(problem, jacobian=True)
    theta = density.pack(params)
    with np.errstate(all="ignore"):
        gradient = density.many(theta.reshape(-1, density.size))[1].reshape(theta.shape)
    return "E[theta . grad log posterior]", (theta * gradient).sum(axis=-1), -float(density.size)


def _balances(problem: Problem, params: Params) -> Iterator[tuple[str, np.ndarray, float]]:
    """Names, values (chain, draw) and expectations of what the symmetries of the likelihood say of the prior."""
    net = problem.net
    for layer in range(1, net.n_layers) if net.phi.scales or net.phi.linear else ():
        W, V = params[f"W{layer}"], params[f"W{layer + 1}"]
        parts = [_precision(problem, params, f"W{layer}"), _precision(problem, params, f"W{layer + 1}")]
        b = params[f"b{layer}"] if net.has_bias(layer) else np.zeros((*W.shape[:2], W.shape[-1]))
        parts.append(_precision(problem, params, f"b{layer}") if net.has_bias(layer) else np.zeros(()))
        if any(part is None for part in parts):
            continue
        inward, outward, biased = (part[..., None, None] for part in parts if part is not None)
        surplus = float(W.shape[-2] + net.has_bias(layer) - V.shape[-1])
        gram = inward * (W.mT @ W) - outward * (V @ V.mT) + biased * (b[..., :, None] * b[..., None, :])
        for i in range(W.shape[-1]):
            if net.phi.scales:
                yield f"balance of relu unit {i + 1} of layer {layer}", gram[..., i, i], surplus
                continue
            for j in range(i, W.shape[-1]):
                of = f"unit {i + 1}" if i == j else f"units {i + 1} and {j + 1}"
                yield f"balance of linear {of} of layer {layer}", gram[..., i, j], surplus * (i == j)
    if net.loss.ignores_shift(len(problem.output_names)):
        last = net.n_layers
        for name in [f"W{last}", f"b{last}"]:
            precision = _precision(problem, params, name) if name in params else None
            if precision is None:
                continue
            square = np.square(params[name].mean(axis=-1))
            rows = square.reshape(*square.shape[:2], -1) * precision[..., None]
            for i in range(rows.shape[-1]):
                row = f"{name}[{i + 1}]" if name[0] == "W" else name
                yield f"class mean of {row}, squared, over s²", rows[..., i], 1.0 / params[name].shape[-1]


def _precision(problem: Problem, params: Params, name: str) -> np.ndarray | None:
    """One over the prior variance of an element of a weight matrix or bias vector; None if it is not normal."""
    prior, layer = problem.net.prior, name[1:]
    kind = "weight" if name[0] == "W" else "bias"
    if not ((prior.bias or prior) if kind == "bias" else prior).gaussian:
        return None
    fan_in = problem.shapes[name][0]
    unscaled = prior.unscaled(kind, fan_in)  # type: ignore[arg-type]  # one of the two
    if unscaled is not None:
        return 2 * unscaled / np.square(params[f"scale{layer}"])
    return np.array(2 * prior.rates(kind, fan_in)[1])  # type: ignore[arg-type]
