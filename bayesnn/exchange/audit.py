"""Is my trained network an MLE? The answer in words and numbers."""

import warnings
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from bayesnn.arguments import Seed
from bayesnn.data.target import known_of
from bayesnn.errors import ConvergenceWarning, SpecError
from bayesnn.exchange.trained import objective_for
from bayesnn.fitting.climb import MANY_PARAMETERS, audit_ends, climb
from bayesnn.fitting.point import fit_problem
from bayesnn.network import Params
from bayesnn.prediction import log_likelihood_of
from bayesnn.symmetry import count_modes
from bayesnn.symmetry.nearest import nearest_copy
from bayesnn.symmetry.optima import TOLERANCE, compared_rows, mean_at, same_function
from bayesnn.symmetry.paths import MirrorPaths
from bayesnn.theory.results import Result
from bayesnn.tree import KINDS, Problem, is_trained, is_unbounded, kind_of, params_of, problem_of

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr


@dataclass(frozen=True, repr=False, eq=False)
class WeightsAudit(Result):
    """How a network that was trained elsewhere lies to the optima of ours, from `audit_weights`.

    Parameters
    ----------
    trained : xarray.DataTree
        What was audited.
    reference : xarray.DataTree
        The fit that it was compared with.
    points : dict of str to dict
        For ``"trained"``, ``"top"`` (where a climb from the trained weights ends), ``"nearest"`` and ``"best"`` (optima
        of the reference): ``log_likelihood``, ``log_prior``, ``gradient_norm``, ``n_negative``, ``n_zero``,
        ``distance`` from the trained weights modulo symmetry. The last two are missing where the reference has no
        optimum.
    lacking : float
        Nats of log-likelihood, or of log posterior, that the trained weights lack to the best that is known.
    beyond : float
        Nats by which they exceed the best optimum of the reference, NaN where it has none.
    to_top : float
        What of `lacking` a climb from them wins.
    nearest : int or None
        Number of the nearest optimum of the reference, from 1, the highest.
    n_optima : int
        Distinct optima of the reference.
    own : int or None
        Number of the optimum that the climb ends at, None if the reference does not have it.
    barrier : float
        Nats by which the log density falls, on the straight path to the nearest optimum, below the lower end.
    path : tuple of array
        Shares of the way and log densities on it.
    n_parameters : int
        Weights, biases and a learned noise.
    """

    trained: "xr.DataTree"
    reference: "xr.DataTree"
    points: dict[str, dict[str, float]]
    lacking: float
    beyond: float
    to_top: float
    nearest: int | None
    n_optima: int
    own: int | None
    barrier: float
    path: tuple[np.ndarray, np.ndarray]
    n_parameters: int

    @property
    def kind(self) -> str:
        """``"mle"`` or ``"map"``: what it was judged as."""
        return kind_of(self.trained)

    @property
    def stationary(self) -> bool:
        """Whether the weights are a local maximum, up to a thousandth of a nat."""
        # At a kink differences make negative curvatures of slopes; there the climb alone can tell.
        smooth = problem_of(self.trained).net.smooth
        return self.to_top <= TOLERANCE and not (smooth and self.points["trained"]["n_negative"])

    @property
    def is_optimum(self) -> bool:
        """Whether they are an MLE (or a MAP): a local maximum, and none that is known is higher."""
        return self.stationary and self.lacking <= TOLERANCE and self.reference.attrs.get("bayesnn_exists", 1) != 0

    @cached_property
    def table(self) -> "pd.DataFrame":
        """Log-likelihood, log-prior and the audit of each point, in columns."""
        import pandas as pd

        heads = {
            "trained": "trained elsewhere",
            "top": "climbed from there",
            "nearest": f"nearest of ours (no. {self.nearest})",
            "best": "best of ours",
        }
        rows = {
            "log_likelihood": "log-likelihood",
            "log_prior": "log-prior",
            "noise": "noise",
            "gradient_norm": "gradient norm",
            "n_negative": "negative directions",
            "n_zero": "flat directions",
            "distance": "distance modulo symmetry",
        }
        columns = {heads[name]: {rows[k]: v for k, v in point.items()} for name, point in self.points.items()}
        table = pd.DataFrame(columns)
        return table.loc[[row for row in rows.values() if row in table.index and table.loc[row].notna().any()]]

    @property
    def message(self) -> str:
        """The answer."""
        return " ".join([f"Is my trained network {_article(self.kind)}?", *self._answer(), *self._where()])

    def _answer(self):
        kind, density = KINDS[self.kind], _density(self.kind)
        attrs = self.reference.attrs
        if attrs.get("bayesnn_exists", 1) == 0:
            said = "the likelihood grows without bound" if is_unbounded(self.reference) else "it is only approached"
            reason = str(attrs.get("bayesnn_existence", "")).partition(";")[0].rstrip(".")
            yield f"No: none exists for this network and these data ({reason or said})."
            if np.isfinite(self.lacking):
                yield f"Training stopped on the way there, {_nats(self.lacking)} of {density} below the limit."
            return
        if self.is_optimum:
            highest = "and none that is known is higher"
            if self.own is not None:
                highest = (
                    f"the highest of {self.n_optima} that our starts found" if self.n_optima > 1 else "the only one"
                )
                highest += "" if self.n_optima > 1 else " that our starts found"
            yield f"Yes: it is a local maximum of the {density}, {highest}."
            return
        if self.stationary:
            yield (
                f"No: it is a local maximum of the {density}, but lies {_nats(self.lacking)} below the highest that is "
                "known."
            )
            return
        negative, size = int(self.points["trained"]["n_negative"]), self.n_parameters
        what = "its slope is not zero"
        if negative:
            least = "at least " if size > MANY_PARAMETERS else ""
            what = f"{least}{negative} negative direction{'s' if negative > 1 else ''} of {size}"
        yield f"No, it is not a maximum: {what} (gradient norm {self.points['trained']['gradient_norm']:.3g})."
        if self.to_top <= TOLERANCE:
            yield "It sits on a saddle or a ridge, from which a climb does not come away."
            return
        rest = f"and {_nats(self.lacking)} below the highest that is known"
        if self.lacking - self.to_top <= TOLERANCE:
            rest = f"and that top is the {kind}, as far as is known"
        yield f"Training stopped {_nats(self.to_top)} of {density} below the top of its own hill, {rest}."

    def _where(self):
        if self.beyond > TOLERANCE:
            yield f"It is {_nats(self.beyond)} higher than the best of ours: take more restarts."
        if self.own is not None and not self.stationary and self.n_optima > 1:
            yield f"Its hill is that of optimum {self.own} of the {self.n_optima} of ours."
        if self.nearest is not None:
            which = f"number {self.nearest} of {self.n_optima} of ours" if self.n_optima > 1 else "the one of ours"
            way = (
                f"behind a barrier of {_nats(self.barrier)}"
                if self.barrier > TOLERANCE
                else "without a barrier between"
            )
            distance = self.points["nearest"]["distance"]
            yield f"Modulo symmetry the nearest optimum is {which}, at a distance of {distance:.3g}, {way}."
        if notes := self.trained.attrs.get("bayesnn_notes"):
            yield f"Note: {notes}."


def _article(kind):
    return "an MLE" if kind == "mle" else "a MAP"


def _density(kind):
    return "log-likelihood" if kind == "mle" else "log posterior"


def _nats(value):
    return f"{value:.3g} nats"


def audit_weights(
    trained: "xr.DataTree",
    reference: "xr.DataTree | None" = None,
    *,
    restarts: int = 20,
    random_seed: Seed = None,
    progressbar: bool = True,
) -> WeightsAudit:
    """Answer whether a network that was trained elsewhere is an MLE (or a MAP), with numbers.

    Parameters
    ----------
    trained : xarray.DataTree
        From `from_weights`.
    reference : xarray.DataTree, optional
        An MLE or MAP fit of the same network, prior and data, to compare with; None makes one.
    restarts, random_seed, progressbar
        Of that fit, as for `fit_mle`.

    Returns
    -------
    WeightsAudit
        Prints the answer and a table: the trained weights, where a climb from them ends, the optimum of ours that is
        nearest modulo symmetry, and the best of ours.

    Raises
    ------
    SpecError
        What is not from `from_weights`, or a reference of another network, kind or data.

    Notes
    -----
    Densities are judged in nats, since a gradient has units: a thousandth of a nat is the tolerance, as elsewhere.
    Where the training stopped before that, `to_top` says by how much. The gradient and the Hessian are those of the
    negative log density, with the logarithm of a learned noise among the parameters; eigenvalues are called zero below
    rounding error. Distances are those of weights and biases; for an MLE units that scale (ReLU) are balanced first.

    Examples
    --------
    >>> import numpy as np, bayesnn as bnn
    >>> X, y = np.linspace(-2, 2, 20)[:, None], np.sin(np.linspace(-2, 2, 20)) + 0.1 * np.cos(np.arange(20))
    >>> net = bnn.MLP((1,), noise=0.2)
    >>> map_ = bnn.fit_map(net, X, y, restarts=5, random_seed=1, progressbar=False)
    >>> flipped = {k: -v[0, 0] if k != "b2" else v[0, 0] for k, v in bnn.tree.params_of(map_).items()}
    >>> audit = bnn.audit_weights(bnn.from_weights(net, X, y, flipped, kind="map"), map_)
    >>> audit.is_optimum, audit.nearest, round(audit.points["nearest"]["distance"], 6)
    (True, 1, 0.0)
    """
    if not is_trained(trained):
        raise SpecError(
            "Got a fit that was not trained elsewhere; its own message says what became of its maximum. Pass what "
            "bnn.from_weights(net, X, y, weights) returns."
        )
    kind, problem = kind_of(trained), problem_of(trained)
    if reference is None:
        with warnings.catch_warnings():
            # What the search has to say of its own ends stands in its message; here the trained weights are judged.
            warnings.simplefilter("ignore", ConvergenceWarning)
            reference = fit_problem(kind, problem, restarts=restarts, random_seed=random_seed, progressbar=progressbar)
    else:
        _check_reference(reference, kind, problem)
    objective = objective_for(kind, problem)
    kinks = objective.kinks(problem.net.flat.prior if kind == "mle" else problem.net.prior)
    start = {k: v[0, 0] for k, v in params_of(trained).items()}
    x = objective.pack(start)
    top = climb(objective, x, kinks=kinks, smooth=problem.net.smooth, maxiter=2000)[0]
    values, audit = audit_ends(objective, [x, top], kinks=kinks)
    # A climb never ends below its start.
    top, values[1] = (top, values[1]) if values[1] <= values[0] else (x, values[0])
    summit = {k: v[0] for k, v in objective.unpack(top[None]).items()}

    view = _View(kind, problem, start)
    points = {"trained": view.numbers(start, audit, 0), "top": view.numbers(summit, audit, 1)}
    known = _optima(reference)
    nearest, own, barrier, path = None, None, np.nan, (np.empty(0), np.empty(0))
    copies = [view.copy(params) for params, _ in known]
    if known:
        nearest = int(np.argmin([distance for *_, distance in copies]))
        for name, k in (("nearest", nearest), ("best", 0)):
            points[name] = view.numbers(known[k][0], known[k][1], None, distance=copies[k][2])
        own = view.equal(summit, [params for params, _ in known])
        path = view.path(copies[nearest][1], copies[nearest][0])
        barrier = max(0.0, min(path[1][0], path[1][-1]) - path[1].min())
    here, ours = view.density(start), [view.density(params) for params, _ in known]
    best = max([*ours, view.density(summit)])
    if reference.attrs.get("bayesnn_exists", 1) == 0:
        best = np.inf if is_unbounded(reference) else max(best, log_likelihood_of(reference))
    return WeightsAudit(
        trained=trained,
        reference=reference,
        points=points,
        lacking=float(max(best - here, 0.0)),
        beyond=float(here - ours[0]) if ours else np.nan,
        to_top=float(values[0] - values[1]),
        nearest=None if nearest is None else nearest + 1,
        n_optima=len(known),
        own=None if own is None else own + 1,
        barrier=float(barrier),
        path=path,
        n_parameters=objective.size,
    )


class _View:
    """A problem seen from the trained weights: densities, functions and distances from there."""

    def __init__(self, kind: str, problem: Problem, start: Params):
        self.kind, self.problem, self.start = kind, problem, start
        self.keep: Any = "likelihood" if kind == "mle" else "posterior"
        self.paths = MirrorPaths(problem.net, problem.X, problem.y, start, (), (), kind == "map", problem.log_units)

    def density(self, params):
        return float(self.paths.log_density(params))

    def copy(self, params):
        return nearest_copy(params, self.start, self.problem.net, keep=self.keep)

    def numbers(self, params, audit, k, *, distance=None):
        net = self.problem.net
        out = {"log_likelihood": float(self.problem.log_likelihood(params))}
        missing = net.prior.has_learned_scale
        out["log_prior"] = np.nan if missing else float(net.log_prior(params))
        out["noise"] = float(params["noise"]) if "noise" in params else np.nan
        for name in ("gradient_norm", "n_negative", "n_zero"):
            out[name] = float(audit[name] if k is None else audit[name][k])
        out["distance"] = self.copy(params)[2] if distance is None else distance
        return out

    def equal(self, params, others):
        """Count which of several optima is the first that is this one: as high, with the same function."""
        X, net = compared_rows(self.problem.X), self.problem.net
        f = np.stack([mean_at(net, other, X) for other in others])
        high = np.abs(np.array([self.density(other) for other in others]) - self.density(params)) <= TOLERANCE
        same = np.flatnonzero(high & same_function(f, mean_at(net, params, X)))
        return int(same[0]) if len(same) else None

    def path(self, start, end):
        t = np.linspace(0.0, 1.0, 201)
        paths = MirrorPaths(
            self.paths.net, self.paths.X, self.paths.y, start, ("to the nearest optimum",), (end,),
            self.paths.prior, self.paths.units_of_y,
        )  # fmt: skip
        return t, paths.along(0, t)


def _optima(reference):
    """Distinct optima of a fit, the highest first, each with the audit of its end point."""
    found = count_modes(reference).dataset
    params = params_of(reference, group="optima", batch=("start",))
    ends = reference["optima"].to_dataset()
    out = []
    for start in found["best_start"].to_numpy():
        at = int(np.flatnonzero(ends["start"].to_numpy() == start)[0])
        audit = {name: ends[name].to_numpy()[at] for name in ("gradient_norm", "n_negative", "n_zero")}
        out.append(({k: v[at] for k, v in params.items()}, audit))
    return out


def _check_reference(reference, kind, problem):
    if kind_of(reference) != kind or "optima" not in reference or is_trained(reference):
        raise SpecError(
            f"Got a {KINDS[kind_of(reference)]} to compare with; weights that are judged as {_article(kind)} are "
            f"compared with the fit of one. Pass bnn.fit_{kind}(net, X, y), or leave it out."
        )
    other = problem_of(reference)
    net, theirs = problem.net, other.net
    same = (net.hidden, net.activation, net.loss, net.bias) == (
        theirs.hidden, theirs.activation, theirs.loss, theirs.bias
    )  # fmt: skip
    likelihood = (net.noise if isinstance(net.noise, float) else None) == (
        theirs.noise if isinstance(theirs.noise, float) else None
    )
    if not (same and likelihood) or (
        kind == "map" and (net.prior, net.noise_prior) != (theirs.prior, theirs.noise_prior)
    ):
        raise SpecError(
            f"Got a fit of {theirs!r} to compare with weights of {net!r}; they must be the same. Fit the "
            "same network, or leave the reference out."
        )
    mine, others = ([p.X, p.values, *known_of(p.y).values()] for p in (problem, other))
    alike = known_of(problem.y).keys() == known_of(other.y).keys()
    alike = alike and all(
        a.shape == b.shape and np.allclose(a, b, atol=1e-9) for a, b in zip(mine, others, strict=True)
    )
    if not alike:
        raise SpecError(
            "Got a fit of other data, or of data that were scaled otherwise, to compare with; the log densities can't "
            "be compared. Fit the X and y of the trained weights with the same scaling=, or leave the reference out."
        )
