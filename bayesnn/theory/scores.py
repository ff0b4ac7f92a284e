"""What one observation says about the outputs of a network: Jacobian, scores, and expected information."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import erf, expit, polygamma

from bayesnn.errors import SpecError
from bayesnn.formulas.quadrature import density_of
from bayesnn.losses import Loss, is_ours
from bayesnn.losses.beta import Beta
from bayesnn.losses.counts import Binomial, NegativeBinomial, Poisson
from bayesnn.losses.regression import (
    AbsoluteError,
    GaussianNLL,
    Huber,
    Location,
    Quantile,
    SquaredError,
    StudentT,
)
from bayesnn.network import MLP, Params, affine


def output_jacobian(net: MLP, params: Params, X: np.ndarray) -> np.ndarray:
    """Differentiate the outputs by the weights and biases.

    Parameters
    ----------
    net : MLP
        The network.
    params : dict of str to array
        One weight vector.
    X : array (n, p)
        Inputs in the units the model works in.

    Returns
    -------
    array (n, m, d)
        By backward differentiation; the parameters in the order of ``net.shapes``, each raveled.
    """
    inputs, slopes, h = [X], [], X
    for layer in range(1, net.n_layers):
        z = affine(h, params[f"W{layer}"], params.get(f"b{layer}"))
        h = net.phi(z)
        inputs.append(h)
        slopes.append(net.phi.formula.slope(z))
    n, m = len(X), params[f"W{net.n_layers}"].shape[1]
    back, pieces = np.broadcast_to(np.eye(m), (n, m, m)), []
    for layer in range(net.n_layers, 0, -1):
        if net.has_bias(layer):
            pieces.append(back)
        pieces.append((inputs[layer - 1][:, None, :, None] * back[:, :, None, :]).reshape(n, m, -1))
        if layer > 1:
            back = (back @ params[f"W{layer}"].T) * slopes[layer - 2][:, None, :]
    return np.concatenate(pieces[::-1], axis=-1)


def output_scores(
    loss: Loss, y: ArrayLike, f: np.ndarray, *, noise: float | None = None, cutpoints: np.ndarray | None = None
) -> np.ndarray:
    """Differentiate each observation's log density by the outputs, then by the noise and the cutpoints.

    Parameters
    ----------
    loss : Loss
        Any, from outside too.
    y : array (n,) or (n, K)
        Targets.
    f : array (n, m)
        Outputs.
    noise : float, optional
        Scale of the likelihood.
    cutpoints : array (K - 1,), optional
        Of ordered labels.

    Returns
    -------
    array (n, m + e)
        By central differences of the exact log density, to about 1e-11 of their size, except within a thousandth of the
        noise from a kink, where slopes on both sides are averaged; e is 1 with a noise, the number of cutpoints with
        cutpoints, else 0.
    """
    n, m = f.shape
    more = np.array([noise]) if noise is not None else np.empty(0) if cutpoints is None else np.asarray(cutpoints)
    # Steps are in units of the noise, in which the density changes, and must not take cutpoints past each other.
    step = 1e-3 * (noise if noise is not None else min(1.0, *np.diff(more)) if len(more) > 1 else 1.0)
    out = np.empty((n, m + len(more)))
    for k in range(m + len(more)):
        values = []
        for sign in (1, -1, 2, -2):
            g, extra = f, more
            if k < m:
                g = f.copy()
                g[:, k] += sign * step
            else:
                extra = more.copy()
                extra[k - m] += sign * step
            beyond: dict[str, Any] = {"noise": extra[0]} if noise is not None else {}
            beyond |= {"cutpoints": extra} if cutpoints is not None else {}
            values.append(loss.logp(y, g, **beyond))
        out[:, k] = (8 * (values[0] - values[1]) - (values[2] - values[3])) / (12 * step)
    return out


def information_root(
    loss: Loss, f: np.ndarray, *, noise: float | None = None, cutpoints: np.ndarray | None = None
) -> np.ndarray:
    r"""Matrices R with R'R = the expected information of one observation about outputs, noise and cutpoints.

    Parameters
    ----------
    loss : Loss
        The loss. One from outside has a method ``information(f, noise=, cutpoints=)`` that returns the matrices
        (n, m + e, m + e), unless it is a formula of a residual.
    f : array (n, m)
        Outputs.
    noise : float, optional
        Scale of the likelihood.
    cutpoints : array (K - 1,), optional
        Of ordered labels.

    Returns
    -------
    array (n, r, m + e)
        Outputs first, then the noise or the cutpoints. A root and not the matrix itself: singular values of it have
        twice the digits. Of counts for one unit of exposure, or one trial.

    Raises
    ------
    SpecError
        A loss from outside without that method.

    Notes
    -----
    Labels: a row :math:`\nabla P_k / \sqrt{P_k}` for each. Residuals :math:`u = (y - f) / s` with
    :math:`\psi = \rho'`: the information is :math:`E \psi^2 / s^2` about f, :math:`E u \psi^2 / s^2` between f and
    s, and :math:`(E u^2 \psi^2 - 1) / s^2` about s. Scores are squared, and not the density differentiated twice, so
    that kinks do no harm.
    """
    n, m = f.shape
    if is_ours(loss) and isinstance(loss, Location):
        assert noise is not None
        ff, fs, ss = unit_information(loss)
        root = np.linalg.cholesky([[ff, fs], [fs, ss]]).T / noise
        out = np.zeros((2 * m, m + 1))
        for k in range(m):
            out[2 * k : 2 * k + 2, [k, m]] = root
        return np.broadcast_to(out, (n, *out.shape))
    if not is_ours(loss):
        if not hasattr(loss, "information"):
            raise SpecError(
                f"Got loss={loss!r} of a class from outside, of whose expected information nothing is known. Give the "
                "class a method information(f, *, noise=None, cutpoints=None) that returns the matrices (n, m, m)."
            )
        values, vectors = np.linalg.eigh(loss.information(f, noise=noise, cutpoints=cutpoints))
        return np.sqrt(np.maximum(values, 0.0))[:, :, None] * np.swapaxes(vectors, -1, -2)
    if isinstance(loss, GaussianNLL):
        out = np.zeros((n, 2, 2))
        out[:, 0, 0], out[:, 1, 1] = np.exp(-f[:, 1]), np.sqrt(2.0)
        return out
    if isinstance(loss, Poisson):
        return np.exp(f / 2)[:, :, None]
    if isinstance(loss, NegativeBinomial):
        return _overdispersed_root(loss, f, noise)
    if isinstance(loss, Beta):
        return _beta_root(f, noise)
    if loss.task == "binary" or isinstance(loss, Binomial):
        return np.sqrt(expit(f) * expit(-f))[:, :, None]
    if loss.task == "classes":
        p = loss.mean(f)
        return np.sqrt(p)[:, :, None] * (np.eye(m) - p[:, None, :])
    if loss.task == "ordinal":
        assert cutpoints is not None
        z = cutpoints - f
        slope = expit(z) * expit(-z)
        by = np.zeros((n, len(cutpoints) + 1, 1 + len(cutpoints)))
        for j in range(len(cutpoints)):
            by[:, j, [0, 1 + j]] += slope[:, [j]] * [-1, 1]
            by[:, j + 1, [0, 1 + j]] -= slope[:, [j]] * [-1, 1]
        return by / np.sqrt(np.maximum(loss.mean(f, cutpoints=cutpoints), 1e-300))[:, :, None]
    raise AssertionError(f"no information is written for {loss!r}")


def _overdispersed_root(loss, f, noise):
    """Root for the negative binomial likelihood, whose mean and dispersion are orthogonal; squared scores are summed.

    The score about s adds up over rows of counts until nothing is left of their mass.
    """
    mean, out = np.exp(f[:, 0]), np.zeros((len(f), 2, 2))
    out[:, 0, 0] = np.sqrt(mean / (1.0 + noise**2 * mean))
    for i, row in enumerate(f):
        # The tail falls by the factor m a / (1 + m a) from one count to the next.
        most = mean[i] + 60.0 * (1.0 + noise**2 * mean[i]) + 10.0 * np.sqrt(mean[i])
        if most > 10_000_000:
            raise SpecError(
                f"Got a log-mean of {row[0]:.3g} with noise {noise:.3g}; the information about the noise is a sum over "
                "more than ten million counts. Count in larger units."
            )
        y = np.arange(int(most))
        at = np.broadcast_to(row, (len(y), 1))
        mass, slope = np.exp(loss.logp(y, at, noise=noise)), output_scores(loss, y, at, noise=noise)[:, 1]
        out[i, 1, 1] = np.sqrt(mass @ slope**2)
    return out


def _beta_root(f, noise):
    """Root for the beta likelihood: its parameters are a = mu / s^2 and b = (1 - mu) / s^2."""
    mean, rest, size = expit(f[:, 0]), expit(-f[:, 0]), noise**-2.0
    both = polygamma(1, size)
    information = np.empty((len(f), 2, 2))
    information[:, 0, 0], information[:, 1, 1] = (polygamma(1, share * size) - both for share in (mean, rest))
    information[:, 0, 1] = information[:, 1, 0] = -both
    by = np.empty((len(f), 2, 2))
    by[:, 0, 0], by[:, 1, 0] = mean * rest * size, -mean * rest * size
    by[:, 0, 1], by[:, 1, 1] = -2.0 * mean * size / noise, -2.0 * rest * size / noise
    return np.swapaxes(np.linalg.cholesky(information), 1, 2) @ by


def unit_information(loss: Location) -> tuple[float, float, float]:
    """Information about location, about both, and about the scale, of a residual at scale one.

    Parameters
    ----------
    loss : Location
        Closed forms of the built-in ones; others by quadrature, to about 1e-12, or 1e-9 where the slope has a bend.

    Returns
    -------
    tuple of float
        In squared units of the noise.
    """
    known = type(loss)
    if known is SquaredError:
        return 1.0, 0.0, 2.0
    if known is AbsoluteError:
        return 1.0, 0.0, 1.0
    if known is Quantile:
        return loss.q * (1 - loss.q), 0.0, 1.0  # type: ignore[attr-defined]
    if known is StudentT:
        nu = loss.nu  # type: ignore[attr-defined]
        return (nu + 1) / (nu + 3), 0.0, 2 * nu / (nu + 3)
    if known is Huber:
        d = loss.delta  # type: ignore[attr-defined]
        centre, tail = np.sqrt(2 * np.pi) * erf(d / np.sqrt(2)), 2 * np.exp(-(d**2) / 2)
        total = centre + tail / d
        return centre / total, 0.0, 1 + (centre - d * tail) / total
    density = density_of(loss.formula, loss.parameters)

    def moment(power):
        return density.expect(lambda u: u**power * loss.formula.slope(u, *loss.parameters) ** 2)

    return moment(0), moment(1), moment(2) - 1.0
