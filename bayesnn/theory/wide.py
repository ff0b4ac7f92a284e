"""Functions from the prior, and the Gaussian process that they tend to as layers widen."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from bayesnn.arguments import Seed, as_list, check_arguments, rng_of
from bayesnn.data import check_X
from bayesnn.errors import ImproperPriorError, SpecError, UnknownNameError
from bayesnn.fitting.prior import prior_draws_of
from bayesnn.network import MLP, check_net
from bayesnn.priors import Normal, Prior, as_prior
from bayesnn.theory.results import Result

if TYPE_CHECKING:
    import pandas as pd

    from bayesnn.tree import Inputs

CHUNK = 2_000_000
"""Hidden values that are held at a time."""


def _arcsine(variance, covariance):
    """Of error functions, 2 / pi arcsin(...) (Williams 1997)."""
    root = np.sqrt(1 + 2 * variance)
    return 2 / np.pi * np.arcsin(np.clip(2 * covariance / (root[:, None] * root), -1, 1))


def _arccosine(variance, covariance):
    """Of rectified units, the arc-cosine kernel of order 1 (Cho and Saul 2009)."""
    root = np.sqrt(variance)[:, None] * np.sqrt(variance)
    cosine = np.clip(np.divide(covariance, root, out=np.ones_like(root), where=root > 0), -1, 1)
    angle = np.arccos(cosine)
    return root / (2 * np.pi) * (np.sin(angle) + (np.pi - angle) * cosine)


def _sine(variance, covariance):
    """Of sines: the real part of a characteristic function."""
    mean = (variance[:, None] + variance) / 2
    return (np.exp(covariance - mean) - np.exp(-covariance - mean)) / 2


MOMENTS: dict[str, Callable[[np.ndarray, np.ndarray], np.ndarray]] = {
    "erf": _arcsine,
    "identity": lambda variance, covariance: covariance,
    "relu": _arccosine,
    "sin": _sine,
}
"""E phi(u) phi(v) of centred normal u and v, from their variances and their covariance."""


def wide_limit(net: MLP, X: "Inputs") -> np.ndarray:
    r"""Covariance of the Gaussian process that a prior's functions tend to as the hidden layers widen.

    Parameters
    ----------
    net : MLP
        With normal priors of fixed scale, and units of type erf, relu, sin or identity. Only with ``fan_in=True`` is
        there a limit: otherwise the covariance is that of these widths, and grows with them.
    X : array (n, p) or DataFrame
        Inputs, in the units the model works in.

    Returns
    -------
    array (n, n)
        Of any one output, before the noise: outputs are independent of each other in the limit.

    Raises
    ------
    SpecError
        Other priors.
    UnknownNameError
        Units for which no closed form is known here.

    See Also
    --------
    bayesnn.theory.prior_functions : Draws beside this limit.

    Notes
    -----
    With :math:`K_1(x, x') = s_b^2 + s_1^2 x \cdot x'` and, over normal :math:`(u, v)` of covariance :math:`K_l`,

    .. math:: K_{l+1}(x, x') = s_b^2 + s_{l+1}^2 H_l \mathrm{E}\, \phi(u) \phi(v),

    where :math:`s_{l+1}^2` is the variance of one weight, and so divided by the number :math:`H_l` of units with
    ``fan_in=True``. Of one hidden layer this is the covariance at any width; what the width changes is how far the
    functions are from normal.

    References
    ----------
    R. M. Neal, "Bayesian Learning for Neural Networks", chapter 2, Springer (1996).

    C. K. I. Williams, "Computing with infinite networks", Advances in Neural Information Processing Systems 9 (1997).

    Y. Cho and L. K. Saul, "Kernel methods for deep learning", Advances in Neural Information Processing Systems 22
    (2009).

    Examples
    --------
    >>> import bayesnn as bnn
    >>> from bayesnn.theory import wide_limit
    >>> net = bnn.MLP(hidden=(50,), activation="relu", prior=bnn.Normal(1.0, fan_in=True))
    >>> wide_limit(net, [[-1.0], [1.0]]).round(4)
    array([[2.    , 1.3183],
           [1.3183, 2.    ]])
    """
    if check_net(net).hidden and not (net.phi.builtin and net.phi.name in MOMENTS):
        raise UnknownNameError("activation with a known limit", net.phi.name, MOMENTS)
    if not _is_normal(net):
        raise SpecError(
            f"Got prior={net.prior!r}; the closed forms are of normal priors with fixed scales. Write "
            "prior=bnn.Normal(1.0, fan_in=True)."
        )
    rows = check_X(X)  # type: ignore[arg-type]
    inner: np.ndarray = rows @ rows.T
    for layer, width in enumerate((rows.shape[1], *net.hidden), start=1):
        weight, bias = (_variance(net.prior, kind, width) for kind in ("weight", "bias"))
        if layer > 1:
            inner = width * MOMENTS[net.phi.name](np.diag(inner), inner)
        inner = weight * inner + (bias if net.has_bias(layer) else 0.0)
    return inner


def _is_normal(net):
    return all(
        prior.gaussian and prior.proper and not prior.has_learned_scale
        for prior in (net.prior, net.prior.bias or net.prior)
    )


def _variance(prior, kind, fan_in):
    return 0.5 / prior.rates(kind, max(fan_in, 1))[1]


@dataclass(frozen=True, repr=False, eq=False)
class PriorFunctions(Result):
    """What `prior_functions` returns.

    Parameters
    ----------
    X : array (n, p)
        Inputs.
    prob : float
        Probability of the bands.
    cells : tuple of dict
        One for each prior and width: ``prior``, ``width``, ``curves`` (m, n), ``lower``, ``upper`` and ``sd`` (n,) of
        the draws, ``kurtosis`` (n,) in excess of a normal's, and ``limit_sd`` (n,) where it is known, else None.
    """

    X: np.ndarray
    prob: float
    cells: tuple[dict[str, Any], ...]

    @property
    def message(self) -> str:
        """How the spread of the functions depends on the width."""
        said = []
        for prior in dict.fromkeys(cell["prior"] for cell in self.cells):
            rows = self.table.loc[repr(prior)]
            first, last = rows.iloc[0], rows.iloc[-1]
            said.append(
                f"{prior!r}: the functions' standard deviation is {first['sd']:.3g} at width {rows.index[0]} and "
                f"{last['sd']:.3g} at {rows.index[-1]}, their excess kurtosis {first['excess kurtosis']:.2f} and "
                f"{last['excess kurtosis']:.2f}."
            )
        return " ".join(said)

    @property
    def table(self) -> "pd.DataFrame":
        """A row for each prior and width: root mean square over the inputs, of draws and in the wide limit."""
        import pandas as pd

        rows = [
            {
                "prior": repr(cell["prior"]),
                "width": cell["width"],
                "sd": np.sqrt(np.mean(cell["sd"] ** 2)),
                "sd in the wide limit": np.nan if (limit := cell["limit_sd"]) is None else np.sqrt(np.mean(limit**2)),
                "excess kurtosis": np.mean(cell["kurtosis"]),
            }
            for cell in self.cells
        ]
        return pd.DataFrame(rows).set_index(["prior", "width"])


def prior_functions(
    net: MLP,
    X: "Inputs",
    *,
    priors: Sequence[Prior] | None = None,
    widths: Sequence[int] | None = None,
    draws: int = 1000,
    curves: int = 20,
    prob: float = 0.9,
    random_seed: Seed = None,
) -> PriorFunctions:
    r"""Draw functions from priors at several widths, beside the Gaussian process of the wide limit.

    Parameters
    ----------
    net : MLP
        The network; all that is varied is below.
    X : array (n, p) or DataFrame
        Inputs, in the units the model works in.
    priors : sequence of Prior, optional
        Proper priors; None takes that of the network.
    widths : sequence of int, optional
        Units of every hidden layer; None takes those of the network.
    draws : int
        Functions for each prior and width.
    curves : int
        Of which so many are kept.
    prob : float
        Probability of the bands.
    random_seed : int or numpy.random.Generator, optional
        Seed of the draws.

    Returns
    -------
    PriorFunctions
        With ``.table``, ``.message`` and ``.cells``: of the first output, before the noise.

    Raises
    ------
    ImproperPriorError
        A flat prior.
    SpecError
        A network without hidden layers, or an argument that breaks its rule.

    See Also
    --------
    bayesnn.plots.plot_prior_functions : The picture.
    plot_prior : The prior of one network in the units of data.

    Notes
    -----
    One hidden layer of H units has an excess kurtosis of exactly
    :math:`3 s^4 \mathrm{Var}(\phi^2) / (H\, \mathrm{Var}(f)^2)` under a normal prior with ``fan_in=True``, where
    :math:`s^2 / H` is the variance of an output weight: functions are normal in the limit only.

    References
    ----------
    R. M. Neal, "Bayesian Learning for Neural Networks", chapter 2, Springer (1996).

    Examples
    --------
    >>> import bayesnn as bnn
    >>> from bayesnn.theory import prior_functions
    >>> net = bnn.MLP(hidden=(1,), activation="erf", prior=bnn.Normal(1.0, fan_in=True))
    >>> found = prior_functions(net, [[-1.0], [0.0], [1.0]], widths=[1, 100], random_seed=1)
    >>> found.table["sd in the wide limit"].round(3).tolist()
    [1.244, 1.244]
    """
    from scipy.stats import kurtosis

    check_arguments(draws=draws, curves=curves, prob=prob)
    if not check_net(net).hidden:
        raise SpecError("Got a network without hidden layers; there is nothing to widen. Write hidden=(10,).")
    rng, rows = rng_of(random_seed), check_X(X)  # type: ignore[arg-type]
    cells = []
    asked = [net.prior] if priors is None else as_list("priors", priors, [Normal(1.0)])
    for prior in map(as_prior, asked):
        if not prior.proper:
            raise ImproperPriorError(f"Got {prior!r}; nothing can be drawn from a flat prior. Use bnn.Normal(1.0).")
        for width in [None] if widths is None else as_list("widths", widths, [3, 30, 300]):
            hidden = net.hidden if width is None else (width,) * len(net.hidden)
            one = replace(net, hidden=hidden, prior=prior)
            f = _functions(one, rows, int(draws), rng)
            known = one.phi.builtin and one.phi.name in MOMENTS and _is_normal(one)
            lower, upper = np.quantile(f, [(1 - prob) / 2, (1 + prob) / 2], axis=0)
            cells.append(
                {
                    "prior": prior,
                    "width": one.hidden[0] if len(set(one.hidden)) == 1 else one.hidden,
                    "curves": f[: int(curves)],
                    "lower": lower,
                    "upper": upper,
                    "sd": f.std(axis=0),
                    "kurtosis": kurtosis(f, axis=0),
                    "limit_sd": np.sqrt(np.diag(wide_limit(one, rows))) if known else None,
                }
            )
    return PriorFunctions(rows, float(prob), tuple(cells))


def _functions(net, X, draws, rng):
    """First output (draws, n) of networks from the prior; a few at a time, as wide ones need memory."""
    shapes = net.shapes(X.shape[1], 1)
    if net.prior.has_learned_scale:
        shapes = {f"scale{layer}": () for layer in range(1, net.n_layers + 1)} | shapes
    at_a_time = max(1, CHUNK // (max(net.hidden) * max(len(X), *net.hidden)))
    parts = [min(at_a_time, draws - begin) for begin in range(0, draws, at_a_time)]
    return np.concatenate([net.forward(prior_draws_of(net, shapes, n, rng), X)[..., 0] for n in parts])
