"""What is computed for a state of the page: plain arrays, which travel from worker processes to the page."""

import math
import warnings
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from bayesnn.network import Params
from bayesnn.playground.settings import LOSSES, OWN, Settings

if TYPE_CHECKING:
    import xarray as xr

    from bayesnn.tree import Problem

GRID, SURFACE = 160, 36
"""Points of a curve, and of each side of a surface."""
MARGIN = 0.25
"""How far pictures reach beyond the data, relative to their range."""
PROB = 0.9
"""Probability of bands."""
FUNCTIONS, KEPT, TRACE = 25, 800, 400
"""Draws that are shown as functions, as points over two weights, and of each chain in a trace."""
MIXED = 300
"""Draws whose mixture gives the interval of a new target."""
DRAWS, CHAINS = 1000, 4
NUTS_DRAWS = 400
LOOKED = 200
"""Iterations of L-BFGS at first look."""
MOST_COPIES = 400
"""Symmetric copies that a picture shows at most."""


@dataclass(frozen=True, kw_only=True)
class Answer:
    """One of the three answers, as pictures need it.

    Parameters
    ----------
    kind : str
        mle, map or posterior.
    heading, message : str
        How it is titled ("MLE: at infinity") and what there is to say of it.
    exists : bool
        Whether there is such a maximum.
    weights : dict of str to array
        Of a point; empty for a posterior.
    log_likelihood, log_prior : float
        Of a posterior, their means over the draws.
    mean : array (m,)
        Expected target, or probability of the label 1, at `grid_of` the settings.
    lower, upper : array (m,) or None
        90% interval of a new target; None for labels.
    f_lower, f_upper : array (m,) or None
        90% interval of the function (of the probability); None for points.
    functions : array (k, m) or None
        Of some draws.
    epistemic : array (m,) or None
        Mutual information of label and weights, in nats, over two inputs.
    """

    kind: str
    heading: str
    message: str
    exists: bool = True
    weights: Params = field(default_factory=dict)
    log_likelihood: float
    log_prior: float
    mean: np.ndarray
    lower: np.ndarray | None = None
    upper: np.ndarray | None = None
    f_lower: np.ndarray | None = None
    f_upper: np.ndarray | None = None
    functions: np.ndarray | None = None
    epistemic: np.ndarray | None = None


@dataclass(frozen=True, kw_only=True)
class PointAnswer(Answer):
    """MLE or MAP.

    Parameters
    ----------
    restarts : int
        Random starts.
    modes : str
        Distinct optima and their symmetric copies, in words; empty at first look.
    """

    restarts: int
    modes: str


@dataclass(frozen=True, kw_only=True)
class PosteriorAnswer(Answer):
    """The tempered posterior.

    Parameters
    ----------
    evidence, evidence_se : float
        Log evidence and its standard error.
    unmet : str
        What the run did not reach; empty if nothing.
    rhat : float
        R-hat of the function, between systems of temperatures.
    trusted : bool
        Whether the run has reached its marks.
    shares : tuple of (float, float)
        Share of each mode of the function, and its standard error.
    mode_means : array (modes, m)
        Mean of the target in each mode, on the grid.
    samples : dict of str to array (k,)
        Some draws of each weight, each in a mirror image drawn at random.
    traces : dict of str to array (chain, draw)
        Of some quantities: a weight as sampled, the function at a point.
    seconds : float
        What it took.
    """

    evidence: float
    evidence_se: float
    unmet: str
    rhat: float
    trusted: bool
    shares: tuple[tuple[float, float], ...]
    mode_means: np.ndarray
    samples: dict[str, np.ndarray]
    traces: dict[str, np.ndarray]
    seconds: float


@dataclass(frozen=True, kw_only=True)
class ChainsAnswer:
    """Chains of NUTS.

    Parameters
    ----------
    raw, aligned, function : array (chain, draw)
        A weight as sampled and after alignment, and the function at a point.
    name, place : str
        Which weight, and which point.
    rhats : dict of str to float
        Worst R-hat of raw weights, of aligned weights, of the function.
    verdict, message : str
        What `diagnose` says: its verdict's name and its reasons.
    trusted : bool
        Whether the predictions may be trusted.
    seconds : float
        What it took.
    """

    raw: np.ndarray
    aligned: np.ndarray
    function: np.ndarray
    name: str
    place: str
    rhats: dict[str, float]
    verdict: str
    message: str
    trusted: bool
    seconds: float


@dataclass(frozen=True, kw_only=True)
class Plane:
    """Likelihood, prior and posterior over two weights, all others at the MAP.

    Parameters
    ----------
    names : tuple of str
        The two weights.
    x, y : array (g,)
        Their values.
    log_likelihood, log_prior : array (g, g)
        At y (rows) and x (columns).
    mle, map : array (k, 2) or None
        The maximum and its symmetric copies; None where there is none.
    copies : int or float
        How many symmetric copies there are; infinite for a continuum.
    """

    names: tuple[str, str]
    x: np.ndarray
    y: np.ndarray
    log_likelihood: np.ndarray
    log_prior: np.ndarray
    mle: np.ndarray | None
    map: np.ndarray | None
    copies: float


def grid_of(settings: Settings) -> np.ndarray:
    """Lay the inputs at which pictures are drawn: along a line, or over a square row by row.

    Parameters
    ----------
    settings : Settings
        State of the page.

    Returns
    -------
    array (m, p)
        In the user's units; the range is that of all rows, so that it stays while rows are added.
    """
    X = settings.dataset.X
    low, high = X.min(axis=0), X.max(axis=0)
    margin = MARGIN * np.where(high > low, high - low, 1.0)
    if X.shape[1] == 1:
        return np.linspace(low - margin, high + margin, GRID)
    sides = [np.linspace(a, b, SURFACE) for a, b in zip(low - margin, high + margin, strict=True)]
    return np.stack(np.meshgrid(*sides), axis=-1).reshape(-1, 2)


def first_look(settings: Settings, kind: str, restarts: int = 4) -> PointAnswer:
    """Find a maximum from a few starts, in hundredths of a second, without asking whether it is one.

    Parameters
    ----------
    settings : Settings
        State of the page.
    kind : {"mle", "map"}
        Which.
    restarts : int
        Random starts.

    Returns
    -------
    PointAnswer
        The best end point; `fit_point` tells whether it is a maximum, and how many there are.
    """
    from bayesnn.fitting.climb import climb
    from bayesnn.fitting.density import log_density
    from bayesnn.fitting.objective import Objective
    from bayesnn.fitting.point import starts
    from bayesnn.tree import make_tree, prepare, to_dataset

    problem = prepare(settings.net, settings.X, settings.y, scaling=settings.scaling)
    free = replace(problem, net=problem.net.flat) if kind == "mle" else problem
    objective = Objective(log_density(free, jacobian=False))
    kinks, smooth = objective.kinks(free.net.prior), free.net.smooth
    ends = [
        climb(objective, start, kinks=kinks, smooth=smooth, maxiter=LOOKED)[0]
        for start in starts(free, objective, restarts, np.random.default_rng(settings.seed))
    ]
    params = objective.unpack(min(ends, key=lambda end: objective(end)[0]))
    point = to_dataset({k: v[None, None] for k, v in params.items()}, problem, {"chain": [0], "draw": [0]})
    fit = make_tree(kind, problem, point, attrs={"bayesnn_exists": -1})
    return PointAnswer(
        kind=kind,
        heading=kind.upper(),
        message=f"The best of {restarts} starts, at first look.",
        weights=params,
        restarts=restarts,
        modes="",
        **_levels(fit),
        **_picture(settings, fit),
    )


def fit_point(settings: Settings, kind: str, restarts: int) -> PointAnswer:
    """Fit the MLE or the MAP.

    Parameters
    ----------
    settings : Settings
        State of the page.
    kind : {"mle", "map"}
        Which.
    restarts : int
        Random starts.

    Returns
    -------
    PointAnswer
        Where no maximum exists, of the limit.
    """
    from bayesnn.fitting import fit_map, fit_mle
    from bayesnn.symmetry import count_modes
    from bayesnn.tree import heading, params_of

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        options: dict[str, Any] = {"scaling": settings.scaling, "random_seed": settings.seed, "progressbar": False}
        fit = (fit_mle if kind == "mle" else fit_map)(
            settings.net, settings.X, settings.y, restarts=restarts, nonexistent="flag", **options
        )
        modes = repr(count_modes(fit))
    return PointAnswer(
        kind=kind,
        heading=heading(fit),
        message=fit.attrs["bayesnn_brief"],
        exists=bool(fit.attrs["bayesnn_exists"]),
        weights={name: value[0, 0] for name, value in params_of(fit).items()},
        restarts=restarts,
        modes=modes,
        **_levels(fit),
        **_picture(settings, fit),
    )


def fit_posterior(settings: Settings, seconds: float, cores: int) -> PosteriorAnswer:
    """Sample the posterior by tempering.

    Parameters
    ----------
    settings : Settings
        State of the page.
    seconds : float
        After which no further round is begun.
    cores : int
        Threads.

    Returns
    -------
    PosteriorAnswer
        What was reached in that time.
    """
    import time

    from bayesnn.fitting import fit_posterior, log_evidence
    from bayesnn.fitting.tasks import complete
    from bayesnn.symmetry import symmetrize
    from bayesnn.symmetry.clusters import function_modes, share_error, some_draws
    from bayesnn.tree import params_of, problem_of

    began = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fit = fit_posterior(
            settings.net,
            settings.X,
            settings.y,
            sampler="tempering",
            draws=DRAWS,
            chains=CHAINS,
            cores=cores,
            max_seconds=seconds,
            scaling=settings.scaling,
            random_seed=settings.seed,
            progressbar=False,
        )
        label = function_modes([complete(fit)])[0]
        mirrored = symmetrize(fit, random_seed=settings.seed)
    problem = problem_of(fit)
    evidence = log_evidence(fit)
    picture = _picture(settings, fit)
    inside = label == np.arange(label.max() + 1)[:, None, None]
    f = _functions(settings, fit, grid_of(settings), some_draws(fit)[0])
    means = np.stack([f[own.ravel()].mean(axis=0) for own in inside])
    samples: dict[str, np.ndarray] = {}
    for name, value in params_of(mirrored).items():
        flat = value.reshape(-1, *value.shape[2:])[:: max(1, value.shape[0] * value.shape[1] // KEPT)]
        columns = flat.reshape(len(flat), -1).T
        samples |= dict(zip(problem.elements(name, value.shape[2:]), columns, strict=True))
    raw, place, followed = _followed(settings, fit)
    unmet, rhat = fit.attrs["bayesnn_unmet"], fit.attrs.get("bayesnn_function_rhat", 1.0)
    return PosteriorAnswer(
        kind="posterior",
        heading="posterior",
        message=fit.attrs["bayesnn_message"],
        evidence=evidence.value,
        evidence_se=evidence.se,
        unmet=unmet,
        rhat=float(rhat),
        trusted=not unmet,
        shares=tuple((float(own.mean()), share_error(own) if len(inside) > 1 else 0.0) for own in inside),
        mode_means=means,
        samples=samples,
        traces={raw[0]: _thin(raw[1]), place: _thin(followed)},
        seconds=time.perf_counter() - began,
        **_levels(fit),
        **picture,
    )


def fit_chains(settings: Settings, cores: int) -> ChainsAnswer:
    """Sample the posterior by four chains of NUTS, and align them.

    Parameters
    ----------
    settings : Settings
        State of the page.
    cores : int
        Threads.

    Returns
    -------
    ChainsAnswer
        Traces and what there is to say of them.
    """
    import time

    from bayesnn.diagnostics import diagnose
    from bayesnn.fitting import fit_posterior
    from bayesnn.fitting.tasks import complete
    from bayesnn.symmetry import align

    began = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fit = fit_posterior(
            settings.net,
            settings.X,
            settings.y,
            draws=NUTS_DRAWS,
            tune=NUTS_DRAWS,
            chains=CHAINS,
            cores=cores,
            scaling=settings.scaling,
            random_seed=settings.seed,
            progressbar=False,
        )
        said, aligned = diagnose(complete(fit)), align(fit)
    (name, raw), place, f = _followed(settings, fit)
    worst = said.table["rhat"]
    return ChainsAnswer(
        raw=_thin(raw),
        aligned=_thin(_followed(settings, aligned)[0][1]),
        function=_thin(f),
        name=name,
        place=place,
        rhats={str(space): float(value) for space, value in worst.items()},
        verdict=said.verdict,
        message=said.message,
        trusted=said.trustworthy,
        seconds=time.perf_counter() - began,
    )


def plane(settings: Settings, names: tuple[str, str], mle: PointAnswer, map_: PointAnswer, size: int = 61) -> Plane:
    """Look at likelihood and prior over two weights, all others where the MAP has them.

    Parameters
    ----------
    settings : Settings
        State of the page.
    names : tuple of str
        Two weights, as `weight_names` calls them.
    mle, map_ : PointAnswer
        Maxima.
    size : int
        Points of each side.

    Returns
    -------
    Plane
        Values, with the symmetric copies of both maxima.
    """
    from bayesnn.symmetry import apply_symmetry, symmetry_group
    from bayesnn.symmetry.group import layer_orders, numbered_elements

    problem, places = places_of(settings)
    (first, i), (second, j) = places[names[0]], places[names[1]]
    order = symmetry_group(problem.net, *_sizes(problem)).order
    finite = math.prod(layer_orders(problem.net))
    some = range(finite) if finite <= MOST_COPIES else np.random.default_rng(1).integers(finite, size=MOST_COPIES)
    elements = numbered_elements(problem.net, np.asarray(some))

    def copies(answer):
        moved = apply_symmetry(answer.weights, elements, problem.net)
        return np.unique(np.stack([moved[first][(..., *i)], moved[second][(..., *j)]], axis=-1).reshape(-1, 2), axis=0)

    ends = [copies(map_), *([copies(mle)] if mle.exists else [])]
    # A maximum that is far out would leave nothing to be seen near the prior.
    near = np.abs(np.concatenate(ends)) <= 6 * max(settings.sd, 0.5)
    reach = [
        1.3 * max(np.abs(np.concatenate(ends)[near[:, k], k]).max(initial=0.0), 2.0 * min(settings.sd, 3.0))
        for k in (0, 1)
    ]
    x, y = np.linspace(-reach[0], reach[0], size), np.linspace(-reach[1], reach[1], size)
    batch = {name: np.broadcast_to(v, (size, size, *v.shape)).copy() for name, v in map_.weights.items()}
    batch[first][(..., *i)] = x[None, :]
    batch[second][(..., *j)] = y[:, None]
    return Plane(
        names=names,
        x=x,
        y=y,
        log_likelihood=np.asarray(problem.log_likelihood(batch)),
        log_prior=np.asarray(problem.net.log_prior(batch)),
        mle=ends[1] if len(ends) > 1 else None,
        map=ends[0],
        copies=order,
    )


def places_of(settings: Settings) -> tuple["Problem", dict[str, tuple[str, Any]]]:
    """Tell where each weight and bias stands.

    Parameters
    ----------
    settings : Settings
        State of the page.

    Returns
    -------
    Problem
        Network and data.
    dict of str to (str, tuple of int)
        From names, as pictures call them, to the parameter and the place in it.
    """
    from bayesnn.tree import prepare

    problem = prepare(settings.net, settings.X, settings.y, scaling=settings.scaling)
    return problem, {
        element: (name, at)
        for name, shape in problem.shapes.items()
        for at, element in zip(np.ndindex(shape), problem.elements(name, shape), strict=True)
    }


def weight_names(settings: Settings) -> list[str]:
    """Names of all weights and biases, as pictures call them.

    Parameters
    ----------
    settings : Settings
        State of the page.

    Returns
    -------
    list of str
        Such as ``"W1[x1, 2]"``.
    """
    return list(places_of(settings)[1])


def _sizes(problem):
    return problem.shapes["W1"][0], problem.shapes[f"W{problem.net.n_layers}"][1]


def _levels(fit):
    from bayesnn.prediction import log_likelihood_of
    from bayesnn.tree import params_of, problem_of

    log_prior = np.asarray(problem_of(fit).net.log_prior(params_of(fit)))
    return {"log_likelihood": float(log_likelihood_of(fit)), "log_prior": float(log_prior.mean())}


def _picture(settings: Settings, fit: "xr.DataTree") -> dict[str, Any]:
    """Predict on the grid."""
    from bayesnn.prediction import centre_of, predict

    grid, posterior = grid_of(settings), fit.attrs["bayesnn_kind"] == "posterior"
    if settings.task == "binary" and grid.shape[1] == 2:
        found = predict(fit, grid, prob=None)
        out = {"mean": found["probability"].to_numpy()[:, 1]}
        return out | ({"epistemic": found["mutual_information"].to_numpy()} if posterior else {})
    f = _functions(settings, fit, grid)
    out = {"mean": f.mean(axis=0)}
    if settings.task != "binary":
        # The interval of a new target takes long, and hardly changes with the number of draws.
        found = predict(_some_of(fit), grid, prob=PROB)
        out |= {end: found[end].to_numpy()[:, 0] for end in ("lower", "upper")}
        if (centre := centre_of(found)) != "mean":
            out["mean"] = found[centre].to_numpy()[:, 0]
    if posterior:
        out["f_lower"], out["f_upper"] = np.quantile(f, [(1 - PROB) / 2, (1 + PROB) / 2], axis=0)
        out["functions"] = f[:: max(1, len(f) // FUNCTIONS)][:FUNCTIONS]
    return out


def _some_of(fit):
    """Take evenly spaced draws of a fit."""
    from bayesnn.tree import make_tree, problem_of

    every = max(1, fit["posterior"].sizes["draw"] * fit["posterior"].sizes["chain"] // MIXED)
    thin = fit["posterior"].to_dataset().isel(draw=slice(None, None, every))
    return make_tree(fit.attrs["bayesnn_kind"], problem_of(fit), thin, attrs={"bayesnn_exists": -1})


def _functions(settings, fit, grid, draws=None):
    """Compute the expected target (draws, m) of each draw, in the user's units."""
    from bayesnn.tree import params_of, problem_of

    params = {k: v.reshape(-1, *v.shape[2:]) for k, v in (draws or params_of(fit)).items()}
    return function_at(problem_of(fit), params, grid)


def function_at(problem: "Problem", params: Params, X: np.ndarray) -> np.ndarray:
    """Evaluate what pictures show of the network's function.

    Parameters
    ----------
    problem : Problem
        Network and data.
    params : dict of str to array
        Weights, with leading dimensions.
    X : array (m, p)
        Inputs in the user's units.

    Returns
    -------
    array (..., m)
        Expected target in the user's units, or probability of the label 1.
    """
    from bayesnn.tree import new_inputs

    net = problem.net
    mean = net.loss.mean(net.forward(params, new_inputs(problem, X)), **net.likelihood_args(params))[..., -1]
    return mean if problem.scaling is None else problem.scaling.inverse_y(mean)


def _followed(settings, fit):
    """Follow the first weight and the function at one of the rows, of each chain."""
    from bayesnn.tree import params_of, problem_of

    problem, params = problem_of(fit), params_of(fit)
    name = "W1"
    element = problem.elements(name, params[name].shape[2:])[0]
    raw = params[name].reshape(*params[name].shape[:2], -1)[..., 0]
    # Not in the middle, where an odd function is zero whatever its weights.
    x = settings.X[np.argmin(np.abs(settings.X - np.quantile(settings.X, 0.75, axis=0)).sum(axis=1))]
    f = _functions(settings, fit, x[None]).reshape(raw.shape)
    place = "f(" + ", ".join(f"{v:.3g}" for v in x) + ")"
    return (element, raw), place, f


def _thin(values):
    return values[:, :: max(1, values.shape[1] // TRACE)]


def compile_pair(activation: str, loss: str, *, nuts: bool = True) -> bool:
    """Compile what fits of an activation and a loss need, so that the first one who asks for it does not wait.

    Parameters
    ----------
    activation, loss : str
        Their names.
    nuts : bool
        Whether NUTS is run too, which leaves threads behind.

    Returns
    -------
    bool
        True.
    """
    from bayesnn.fitting import fit_posterior

    task = next(task for task, losses in LOSSES.items() if loss in losses)
    points = ((-1.0, 0.0), (0.0, 1.0), (1.0, 0.0), (2.0, 1.0))
    settings = Settings(data=OWN, points=points, task=task, loss=loss, activation=activation, hidden=1)
    for kind in ("mle", "map"):
        first_look(settings, kind, 1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        options: dict[str, Any] = {"draws": 10, "tune": 10, "chains": 1, "progressbar": False, "random_seed": 1}
        tempering: dict[str, Any] = {"sampler": "tempering", "rounds": 1, "cores": 1}
        fit_posterior(settings.net, settings.X, settings.y, **tempering, **options)
        if nuts:
            fit_posterior(settings.net, settings.X, settings.y, **options)
    return True
