"""Straight paths from an optimum to its mirror images, and the log density along them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from bayesnn.arguments import is_number_of
from bayesnn.errors import SpecError
from bayesnn.network import MLP, Params
from bayesnn.symmetry.group import GroupElement, apply_symmetry, flips, log_prior
from bayesnn.symmetry.orbit import point_of
from bayesnn.tree import heading, kind_of, problem_of

if TYPE_CHECKING:
    import xarray as xr


@dataclass(frozen=True, eq=False)
class MirrorPaths:
    """An optimum, some of its mirror images, and the density between them; from `mirror_paths`.

    Parameters
    ----------
    net : MLP
        The network.
    X, y : array
        Data in the units the model works in.
    params : dict of str to array
        The optimum.
    names : tuple of str
        What leads to each image, in words.
    images : tuple of dict of str to array
        The images, those of the first two lie in the plane that the third path closes.
    prior : bool
        Whether the density is likelihood times prior, or likelihood alone.
    units_of_y : float
        What is taken off the log density for targets that were scaled.
    """

    net: MLP
    X: np.ndarray
    y: np.ndarray
    params: Params
    names: tuple[str, ...]
    images: tuple[Params, ...]
    prior: bool
    units_of_y: float

    def log_density(self, weights: Params) -> np.ndarray:
        """Log-likelihood, or log-likelihood + log-prior, of a batch of weight vectors."""
        density = self.net.log_likelihood(weights, self.X, self.y).sum(axis=-1) - self.units_of_y
        return density + log_prior(weights, self.net) if self.prior else density

    def at(self, t: ArrayLike, ends: Sequence[Params]) -> Params:
        """Points optimum + sum of t[..., i] (ends[i] - optimum), for a batch of coefficients.

        Parameters
        ----------
        t : array (..., k), or (...) for one end
            Coefficients.
        ends : sequence of dict of str to array
            Weight vectors, k of them.

        Returns
        -------
        dict of str to array
            With the leading dimensions of the coefficients.
        """
        t = np.asarray(t)[..., None] if len(ends) == 1 else np.asarray(t)
        out = {}
        for name, value in self.params.items():
            steps = np.stack([np.asarray(end[name]) - value for end in ends])
            out[name] = value + np.tensordot(t, steps, axes=1)
        return out

    def along(self, k: int, t: ArrayLike) -> np.ndarray:
        """Log density on the straight path to image number k, at the shares t of the way."""
        return self.log_density(self.at(t, [self.images[k]]))


def mirror_paths(fit: "xr.DataTree", *, layer: int = 1, units: tuple[int, int] = (1, 2)) -> MirrorPaths:
    """Take the optimum of a fit and up to three of its mirror images.

    Parameters
    ----------
    fit : xarray.DataTree
        An MLE fit, for the log-likelihood, or a MAP fit, for log-likelihood and log-prior.
    layer : int
        Hidden layer, counted from 1.
    units : tuple of int
        The unit that is flipped and the one that it is exchanged with, counted from 1. Where signs may not flip, the
        second is exchanged with a third one, if there is one.

    Returns
    -------
    MirrorPaths
        The third image is where the group element leads that carries the first image to the second.

    Raises
    ------
    SpecError
        An end point that is no optimum: one that has not converged, or a fit whose maximum lies at infinity. No mirror
        image in this layer, units that are zero or equal, or a layer or unit that the network does not have.
    FitError
        A fit of many draws.
    """
    params, net, X, y = point_of(fit, None)
    check_optimum(fit)
    prior = kind_of(fit) != "mle"
    moves = _moves(net, layer, units, "posterior" if prior else "likelihood")
    images = tuple(apply_symmetry(params, element, net) for _, element in moves)
    for (words, _), image in zip(moves, images, strict=True):
        if all(np.allclose(image[k], params[k], rtol=0, atol=1e-9) for k in params):
            raise SpecError(
                f"Got an optimum that stays where it is under {words!r}: a unit is zero, or two are equal, and "
                "there is no other mode to go to. Choose other units."
            )
    units_of_y = problem_of(fit).log_units
    return MirrorPaths(net, X, y, params, tuple(words for words, _ in moves), images, prior, units_of_y)


def check_optimum(fit: "xr.DataTree") -> None:
    """Refuse an end point that is no optimum: what lies between its images is no barrier between modes."""
    remedy = "Use a MAP fit: bnn.fit_map(net, X, y)."
    if fit.attrs.get("bayesnn_exists", 1) == 0:
        raise SpecError(f"Got a fit that is headed {heading(fit)!r}: its weights are no optimum. {remedy}")
    if "optima" in fit and "best" in fit["optima"].attrs:
        best = fit["optima"].to_dataset().isel(start=int(fit["optima"].attrs["best"]))
        if not bool(best["converged"]):
            slope = float(best["gradient_norm"]) if "gradient_norm" in best else np.nan
            raise SpecError(
                f"Got a fit whose best start has not converged (gradient norm {slope:.2g}): its weights are no "
                f"optimum. Raise maxiter. {remedy}"
            )


def check_units(units: Iterable[int], n: int) -> list[int]:
    """Units as a list, if there are such units."""
    chosen = list(units) if isinstance(units, Iterable) else []
    if not chosen or not all(is_number_of(unit, n) for unit in chosen):
        raise SpecError(f"Got units={units!r}; the layer has units 1 to {n}. Choose among them, such as (1, 2).")
    return [int(unit) for unit in chosen]


def _moves(net, layer, units, keep):
    """Name up to three group elements; the third leads from the first one's image to the second one's."""
    if not is_number_of(layer, len(net.hidden)):
        raise SpecError(
            f"Got layer={layer!r} of a network with {len(net.hidden)} hidden layers; mirror modes come from hidden "
            "units. Choose a layer that exists, or use hidden=(2,)."
        )
    m, signed = net.hidden[layer - 1], flips(net, keep)[layer - 1]
    units = check_units(units[:m] if isinstance(units, Sequence) else units, m)
    order, plus = np.arange(m), np.ones(m, dtype=int)

    def element(order, sign):
        whole = GroupElement.identity(net)
        permutations, signs = list(whole.permutations), list(whole.signs)
        permutations[layer - 1], signs[layer - 1] = order, sign
        return GroupElement(tuple(permutations), tuple(signs))

    def exchange(i, j):
        swapped = order.copy()
        swapped[[i - 1, j - 1]] = j - 1, i - 1
        return f"swap units {i} and {j}", element(swapped, plus)

    flip = f"flip unit {units[0]}", element(order, np.where(order == units[0] - 1, -1, 1))
    if m == 1 and signed:
        return [flip]
    if m == 1:
        raise SpecError(
            f"Got a layer of one {net.phi.name} unit; its {keep} has no mirror image. Use tanh, or a wider layer."
        )
    if len(set(units)) != 2 or len(units) != 2:
        raise SpecError(f"Got units={units}; two different units are exchanged. Choose such as (1, 2).")
    if signed:
        first, second, words = flip, exchange(*units), "both"
    elif m == 2:
        return [exchange(*units)]
    else:
        third = min(set(range(1, m + 1)) - set(units))
        first, second, words = exchange(*units), exchange(units[1], third), "rotate all three"
    return [first, second, (words, first[1].inverse() @ second[1])]
