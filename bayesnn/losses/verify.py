"""Is a loss a likelihood? Checked numerically, for ours and for a user's."""

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import expit, log_expit, logsumexp

from bayesnn.data.checks import as_array
from bayesnn.data.target import joined, known_of, values_of
from bayesnn.errors import SpecError
from bayesnn.losses.base import Loss
from bayesnn.losses.table import as_loss

MOST_LABELS = 1000
"""Labels of which the sum is tried."""
TRIALS = 8
"""Of a loss that needs trials."""
FAR = 800.0
"""Size of a logit whose exponential is no double."""
ROOM = {"distribution function": 1e-5}
"""Errors that a check may leave; 1e-8 for the others."""


@dataclass(frozen=True, repr=False)
class LossCheck:
    """What `verify_loss` found; true in a condition if the loss is a likelihood.

    Attributes
    ----------
    is_likelihood : bool
        Whether exp(-loss), or exp(-(a * loss + b)), has the same integral over y for every f that was tried.
    normaliser : dict
        Network output f (with the noise scale where there is one: ``(f, noise)``) -> integral or sum over y.
    max_error : float
        Largest relative error: of the integrals against 1, of the log density against PyMC's, and of what the loss says
        of its distribution function and noise MLE, for a loss of this package; of the integrals against each other for
        a function.
    message : str
        The finding in words.
    """

    is_likelihood: bool
    normaliser: dict[Any, float]
    max_error: float
    message: str

    def __bool__(self):
        return self.is_likelihood

    def __repr__(self):
        return f"LossCheck({self.is_likelihood}: {self.message})"


def verify_loss(
    loss: str | Loss | Callable,
    *,
    support: str | int = "real",
    f: Sequence[float] | None = None,
    noise: Sequence[float] = (0.3, 1.0, 2.5),
    b: Callable | None = None,
) -> LossCheck:
    r"""Check by integration whether a loss is a negative log-likelihood.

    Parameters
    ----------
    loss : str, Loss or callable
        A loss of this package, or of a class derived from `Loss`: its a, b, PyMC node, distribution function and noise
        MLE are checked, and logits of 800. Or any function ``loss(y, f)`` of one target and
        one network output (for classes: the K outputs as an array): exp(-loss) is integrated over y.
    support : {"real", "binary", "signs", "counts"} or int
        For a function: where y lives. "binary" is {0, 1}, "signs" {-1, 1}, "counts" 0, 1, 2, ..., and an integer K the
        labels 0..K-1.
    f : sequence, optional
        For a function: the network outputs to try, (L,) or for K classes (L, K); more of them than there are labels.
    noise : sequence of float
        For a loss of this package: the scales to try; a tenth of them for numbers between 0 and 1.
    b : callable, optional
        For a function: a term ``b(y)`` in y alone that the loss leaves out, such as log y! of the Poisson.

    Returns
    -------
    LossCheck
        True in a condition if the loss is a likelihood; the integrals and the finding in words.

    Raises
    ------
    UnknownNameError
        If a name is not in `LOSSES`.
    SpecError
        If `support` is not one of those above, or too few outputs `f` are given.

    Notes
    -----
    If :math:`Z(f) = \int \exp(-\mathrm{loss}(y, f))\,dy` is the same number for every f, then exp(-loss) / Z is a
    density, -log p = loss + log Z, and minimising the loss is maximum likelihood. If Z depends on f, the likelihood of
    this shape contains log Z(f) as well, and its maximum lies elsewhere. Labels are also checked for a constant b(y)
    that differs between them. The finding holds, to a relative 1e-6, for the outputs f that were tried.

    Examples
    --------
    >>> import numpy as np
    >>> import bayesnn as bnn
    >>> bnn.losses.verify_loss("squared_error").is_likelihood
    True
    >>> bnn.losses.verify_loss(lambda y, f: np.log(np.cosh(y - f))).is_likelihood
    True
    >>> bool(bnn.losses.verify_loss(lambda y, f: max(0.0, 1 - y * f), support="signs"))
    False
    """
    if isinstance(loss, str | Loss):
        return _verify_own(as_loss(loss), noise)
    if not callable(loss):
        raise SpecError(
            f"Got loss={loss!r}; it must be a name, a loss, or a function loss(y, f). Write 'squared_error', or "
            "lambda y, f: (y - f)**2."
        )
    labels: Any = {"binary": [0, 1], "signs": [-1, 1]}.get(support) if isinstance(support, str) else None
    if isinstance(support, int) and not isinstance(support, bool) and 1 < support <= MOST_LABELS:
        labels = range(support)
    elif labels is None and not (isinstance(support, str) and support in ("real", "counts")):
        raise SpecError(
            f"Got support={support!r}; known are 'real', 'binary', 'signs', 'counts' and a number of labels from 2 to "
            f"{MOST_LABELS}. Write support='real', or leave it out."
        )
    if b is not None and not callable(b):
        raise SpecError(f"Got b={b!r}; it must be a function of y. Write b=lambda y: gammaln(y + 1), or leave it out.")
    outputs = _outputs(support if isinstance(support, int) else 1) if f is None else as_array(f, "f")
    keys = [tuple(row.tolist()) if row.ndim else float(row) for row in outputs]
    if len(set(keys)) <= (2 if labels is None else len(labels)):
        raise SpecError(
            f"Got {len(set(keys))} different outputs f; there must be more of them than labels, and at least 3. "
            "Leave f out, or give more."
        )

    def nll(y, row):
        # Far out in the tails exp or cosh in a loss may overflow; an infinite loss is a density of zero.
        try:
            with np.errstate(over="ignore", invalid="ignore"):
                return float(loss(y, row)) + (0.0 if b is None else float(b(y)))
        except (TypeError, ValueError, IndexError, AttributeError) as error:
            raise SpecError(
                f"Got a function that gives no number at y = {y!r}, f = {row!r} ({error}); it is called with one "
                "target and the output for it. Write lambda y, f: (y - f)**2, say."
            ) from error

    if labels is None:
        log_z = np.array([_log_z(lambda y, row=row: nll(y, row), support, float(row)) for row in outputs])
    else:
        log_mass = -np.array([[nll(y, row) for y in labels] for row in outputs])
        log_z = logsumexp(log_mass, axis=1)
    normaliser = {key: _exp(value) for key, value in zip(keys, log_z, strict=True)}
    verb, noun = ("integrates", "integral") if support == "real" else ("sums", "sum")
    if not np.all(np.isfinite(log_z)):
        where = keys[int(np.argmin(np.isfinite(log_z)))]
        text = f"exp(-loss) has no finite, positive {noun} over y at f = {where}: NOT a negative log-likelihood."
        return LossCheck(False, normaliser, np.inf, text + _hint(support, b))
    low, high = int(np.argmin(log_z)), int(np.argmax(log_z))
    spread = float(-np.expm1(log_z[low] - log_z[high]))
    if spread < 1e-6:
        text = (
            f"exp(-loss) {verb} over y to Z = {_exp(log_z[0]):.6g} for every f tried: a likelihood, -log p = loss + b "
            f"with b = log Z = {_rounded(log_z[0])}."
        )
        return LossCheck(True, normaliser, spread, text)
    if labels is not None:
        mass = np.exp(log_mass - log_z.max())
        weights = np.linalg.lstsq(mass, np.ones(len(mass)), rcond=None)[0]
        error = float(np.abs(mass @ weights - 1).max())
        if error < 1e-6 and np.all(weights > 0):
            constants = log_z.max() - np.log(weights)
            terms = ", ".join(f"b({y}) = {_rounded(value)}" for y, value in zip(labels, constants, strict=True))
            text = f"a likelihood once each label has its own constant: -log p = loss + b(y) with {terms}."
            return LossCheck(True, normaliser, error, text)
    text = (
        f"exp(-loss) {verb} over y to {_exp(log_z[low]):.6g} at f = {keys[low]} but {_exp(log_z[high]):.6g} at f = "
        f"{keys[high]}: NOT a negative log-likelihood, as no constant makes it a density for every f."
    )
    return LossCheck(False, normaliser, spread, text + _hint(support, b))


def _rounded(x):
    """Six digits of x, with rounding errors around zero shown as 0."""
    return f"{round(float(x), 10) + 0.0:.6g}"


def _hint(support, b):
    """Say what may be missing for counts, or what minimising such a loss is."""
    if support == "counts" and b is None:
        return " If the loss leaves out a term in y alone (log y! of the Poisson), pass it as b=."
    return " Minimising it can be sensible, but is not maximum likelihood."


def _outputs(m):
    """Return network outputs to try, (L,) for one output and (L, m) for several."""
    if m == 1:
        return np.array([-2.0, -0.5, 0.0, 1.0, 3.0])
    return np.random.default_rng(1).normal(0, 1.2, (2 * m + 4, m)).round(1)


def _exp(x):
    """Exponential that gives inf, not a warning, for large x."""
    with np.errstate(over="ignore"):
        return float(np.exp(x))


def _log_z(nll, support, centre):
    """Log of the integral of exp(-nll) over the reals or of its sum over counts; inf when it diverges."""
    return _log_sum(nll) if support == "counts" else _log_integral(nll, centre)


def _log_sum(nll, terms=5000):
    """Log of the sum of exp(-nll(y)) over y = 0, 1, 2, ... until the terms vanish; inf when they do not."""
    total, last = -np.inf, -np.inf
    for y in range(terms):
        term = -nll(y)
        total = np.logaddexp(total, term)
        if np.isnan(total) or (term < last and term < total - 40):
            return total
        last = term
    return np.inf


def _log_integral(nll, centre):
    """Log of the integral of exp(-nll(y)) over the reals, in decades around its peak; inf when they do not shrink."""
    from scipy.integrate import quad
    from scipy.optimize import minimize_scalar

    edges = 10.0 ** np.arange(-4, 13)
    grid = np.concatenate([centre - edges[::-1], [centre], centre + edges])
    values = np.array([nll(y) for y in grid])
    if np.isnan(values).any() or np.isinf(values.min()):
        return np.nan if np.isnan(values).any() else -values.min()
    # A peak away from f is found first: quadrature over many decades would step over it.
    best = int(np.argmin(values))
    peak = minimize_scalar(
        lambda y: min(nll(y), values[best] + 1e9),
        bounds=(grid[max(best - 1, 0)], grid[min(best + 1, grid.size - 1)]),
        method="bounded",
        options={"xatol": 1e-10 * (1 + abs(grid[best]))},
    )
    centre, shift = (peak.x, peak.fun) if peak.fun < values[best] else (grid[best], values[best])

    def piece(low, high):
        # full_output keeps quad's warnings in its result; a divergence shows in the decades instead.
        return quad(lambda y: _exp(shift - nll(y)), low, high, full_output=1, limit=200, epsabs=1e-14, epsrel=1e-11)[0]

    total = piece(centre - edges[0], centre + edges[0])
    for sign in (-1, 1):
        pieces = [sign * piece(low, high) for low, high in itertools.pairwise(centre + sign * edges)]
        total += sum(pieces)
        if pieces[-1] > 1e-12 * total:
            # A tail like a power of y shrinks by one ratio from decade to decade: sum the rest of that series.
            ratio = pieces[-1] / pieces[-2]
            if not ratio < 0.95:
                return np.inf
            total += pieces[-1] * ratio / (1 - ratio)
    with np.errstate(divide="ignore"):
        return float(np.log(total) - shift)


def _verify_own(loss, noise):
    """Check a, b, the log density, the PyMC node, the noise MLE and the distribution function of a loss."""
    m = 3 if loss.task == "classes" else loss.n_outputs([0.0, 1.0])
    rows = _outputs(m).reshape(-1, m)
    cutpoints = np.array([-1.0, 0.2, 1.5]) if loss.task == "ordinal" else None
    classes = TRIALS + 1 if "trials" in loss.needed else {"binary": 2, "classes": 3, "ordinal": 4}.get(loss.task)
    support = loss.support
    offsets = np.array([-7.0, -1.1, -0.2, 0.0, 0.4, 3.0])
    normaliser: dict[Any, float] = {}
    errors, node = {"integral": 0.0, "logp": 0.0, "PyMC node": 0.0}, None

    def note(name, error):
        # As a loss that is no number is wrong, NaN must not get lost, as it would in max().
        errors[name] = float(np.maximum(errors.get(name, 0.0), error))

    def of(y):
        return joined({"y": np.asarray(y), **{name: np.full(len(y), float(TRIALS)) for name in loss.needed}})

    def nll(y, f, scale):
        y, (a, _) = of(y), loss.coefficients(noise=scale)
        return a * loss.loss(y, f, noise=scale, cutpoints=cutpoints) + loss.b_of_y(y, noise=scale)

    def places(row):
        if support == "counts":
            return np.arange(classes or 9)
        return row[0] + offsets if support == "real" else expit(row[0] + offsets)

    def integrand(row, scale):
        """As a function of a number, of whose logistic function it is the density where y lies between 0 and 1."""
        if support != "unit":
            return lambda v: float(nll([v], row[None], scale)[0])

        def inside(v):
            y = expit(v)
            return float(nll([y], row[None], scale)[0] - log_expit(v) - log_expit(-v)) if 0 < y < 1 else np.inf

        return inside

    targets = [places(row) for row in rows]
    y, f = np.concatenate(targets), np.repeat(rows, [len(target) for target in targets], axis=0)
    if loss.task in ("binary", "classes", "ordinal"):
        # Where a softmax that is written down plainly overflows.
        far = np.repeat(np.concatenate([FAR * np.eye(m), -FAR * np.eye(m)]), classes, axis=0)
        with np.errstate(all="ignore"):
            beyond = nll(np.tile(np.arange(classes), 2 * m), far, None)
        note("logits of 800", 0.0 if np.isfinite(beyond).all() else np.inf)
    if support == "unit":
        # With a large noise much of the mass is nearer to 1 than doubles are.
        noise = [0.1 * scale for scale in noise]
    for scale in noise if loss.has_noise else (None,):
        for row in rows:
            key = float(row[0]) if m == 1 else tuple(row.tolist())
            key = key if scale is None else (key, float(scale))
            if classes:
                z = float(np.exp(-nll(np.arange(classes), np.tile(row, (classes, 1)), scale)).sum())
            else:
                z = _exp(_log_z(integrand(row, scale), support, row[0]))
            normaliser[key] = z
            note("integral", abs(z - 1))
        node = node or _compile_node(loss, f, of(y), cutpoints)
        value = nll(y, f, scale)
        references = {"logp": loss.logp(of(y), f, noise=scale, cutpoints=cutpoints), "PyMC node": node(scale)}
        for name, reference in references.items():
            with np.errstate(all="ignore"):
                gap = np.abs(value + reference) / np.maximum(1, np.abs(reference))
            note(name, gap.max())
        for name, error in _consequences(loss, value, of(y), f, scale):
            note(name, error)
    failed = [name for name, error in errors.items() if not error < ROOM.get(name, 1e-8)]
    text = f"{loss.name} is the loss of the {loss.likelihood} likelihood, -log p = a * loss + b."
    if failed:
        text = f"{loss.name} does not match its {loss.likelihood} likelihood, -log p = a * loss + b."
    if "integral" in failed:
        worst = max(normaliser, key=lambda key: abs(normaliser[key] - 1))
        text += (
            f" exp(-(a * loss + b)) {'sums' if support == 'counts' else 'integrates'} to {normaliser[worst]:.6g}, not 1"
        )
        text += f", at {'(f, noise)' if loss.has_noise else 'f'} = {worst}."
    text += " Relative errors: " + ", ".join(f"{name} {error:.1e}" for name, error in errors.items()) + "."
    return LossCheck(not failed, normaliser, max(errors.values()), text)


def _consequences(loss, nll, y, f, scale):
    """Errors of what follows from the density of numbers: its distribution function, its best noise."""
    if loss.support == "counts":
        if loss.task == "count":
            y, known = values_of(y), known_of(y)
            mass = loss.cdf(y, f, noise=scale, **known) - loss.cdf(y - 1, f, noise=scale, **known)
            yield "distribution function", np.abs(mass[:, 0] - np.exp(-nll)).max()
    elif loss.scale_is_output:
        return
    else:
        yield from _slopes(loss, nll, y, f, scale)
    if loss.has_noise:
        best = loss.noise_mle(y, f)
        if best:
            at = [loss.logp(y, f, noise=best * by).sum() for by in (1.0, 0.98, 1.02)]
            yield "noise MLE", float(at[0] < max(at[1:]))


def _slopes(loss, nll, y, f, scale):
    """Error of the slope of the distribution function, which is the density."""
    h = 1e-4 * (1.0 if scale is None else scale) * (y * (1.0 - y) if loss.support == "unit" else 1.0)
    with np.errstate(all="ignore"):
        try:
            below = [loss.cdf(y + by * h, f, noise=scale)[:, 0] for by in (1, -1, 2, -2)]
        except SpecError:
            below = None
        if below is not None:
            slope = (8 * (below[0] - below[1]) - (below[2] - below[3])) / (12 * h)
            # Next to a kink of the density the slope is neither side's.
            gap = np.abs(slope - np.exp(-nll)) / np.exp(-nll).max()
            yield "distribution function", np.sort(gap)[: 1 + 3 * len(gap) // 4].max()


def _compile_node(loss, f, y, cutpoints):
    """Return a function of the noise scale that gives the log density of each row from the PyMC node."""
    import pymc as pm
    import pytensor
    import pytensor.tensor as pt

    scale = pt.dscalar("scale")
    with pm.Model(coords={"obs": np.arange(len(y))}) as model:
        loss.observe(
            pt.as_tensor(f),
            np.asarray(values_of(y)),
            noise=scale if loss.has_noise else None,
            cutpoints=None if cutpoints is None else pt.as_tensor(cutpoints),
            dims=("obs",),
            **known_of(y),
        )
    logp = model.logp(vars=model.observed_RVs, jacobian=False, sum=False)[0]
    # The Python linker needs no compiler: a check of few numbers is done before numba would have started.
    mode = pytensor.compile.mode.Mode(linker="py", optimizer="fast_run")
    function = pytensor.function([scale], logp, mode=mode, on_unused_input="ignore")
    return lambda value: function(1.0 if value is None else value)
