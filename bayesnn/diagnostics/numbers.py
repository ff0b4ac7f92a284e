"""What the draws of a posterior say in numbers: R-hat, effective sample size, mirror images."""

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from bayesnn.network import Params
from bayesnn.symmetry import GroupElement
from bayesnn.symmetry.optima import function_at
from bayesnn.tree import Inputs, Problem, new_inputs

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr


INPUTS = 50
"""Most function values that are followed when no grid is given."""
_STATISTICS = ("diverging", "energy", "tree_depth", "reached_max_treedepth")


def weights_of(params: Params, problem: Problem) -> tuple[list[str], np.ndarray]:
    """Names and values (chain, draw, quantity) of the weights, biases and whatever scales belong to them."""
    names, values = [], []
    for name, value in params.items():
        if name == "noise":
            continue
        names += problem.elements(name, value.shape[2:])
        values.append(value.reshape(*value.shape[:2], -1))
    return names, np.concatenate(values, axis=-1)


def function_of(params: Params, problem: Problem, grid: Inputs | None) -> tuple[list[str], np.ndarray]:
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
    return sum(values) - problem.log_units


def agreement(space: str, names: list[str], values: np.ndarray) -> "pd.DataFrame":
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


def images_of(element: GroupElement, batch: tuple[int, int]) -> tuple[int, "pd.DataFrame", tuple[float, ...]]:
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


def sampler_numbers(post: "xr.DataTree", chains: int) -> dict[str, Any]:
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
