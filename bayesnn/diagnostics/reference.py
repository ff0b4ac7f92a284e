"""Which modes of the function chains have missed or misweighed, by a posterior whose modes tempering has weighed."""

from typing import TYPE_CHECKING, Any

import numpy as np

from bayesnn.diagnostics.diagnosis import TRUSTED, Diagnosis
from bayesnn.diagnostics.tempering import is_tempered, tempering_call
from bayesnn.errors import FitError, SpecError
from bayesnn.symmetry.clusters import function_modes, share_error, share_words, some_draws
from bayesnn.tree import kind_of, problem_of

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr


SMALL = 0.01
"""Share of the posterior below which a mode is not worth a verdict; our choice."""
APART = 3.0
"""Standard errors between the shares of a mode beyond which chains misweigh it; our choice."""


def check_reference(post: "xr.DataTree", reference: Any) -> None:
    """Refuse a reference that is not tempered, or of another posterior.

    Parameters
    ----------
    post : xarray.DataTree
        The posterior to be judged.
    reference : xarray.DataTree
        What it is to be judged by.

    Raises
    ------
    SpecError
        A point, a fit by another sampler, another network, other data or scaling.
    FitError
        Not a fit.
    """
    if kind_of(reference) != "posterior" or not is_tempered(reference):
        got = reference.attrs.get("bayesnn_sampler", kind_of(reference))
        raise SpecError(
            f"Got a reference by {got!r}; only tempering weighs the modes of a posterior. Take "
            f"reference={tempering_call(post)}."
        )
    mine, other = problem_of(post), problem_of(reference)
    same = {
        "another network": mine.net == other.net,
        "other inputs": np.array_equal(mine.X, other.X),
        "other targets": np.array_equal(mine.y, other.y),
        "another scaling": mine.scaling == other.scaling,
    }
    differ = [name for name, equal in same.items() if not equal]
    if differ:
        nets = "" if same["another network"] else f" ({other.net!r} for {mine.net!r})"
        raise SpecError(
            f"Got a reference with {' and '.join(differ)}{nets}; it must be of the same posterior: network, prior, "
            f"likelihood, data and scaling. Take reference={tempering_call(post)}."
        )


def check_trusted(found: Diagnosis) -> None:
    """Refuse a reference whose own diagnosis is bad.

    Parameters
    ----------
    found : Diagnosis
        Of the reference.

    Raises
    ------
    FitError
        It is not to be trusted itself.
    """
    if not found.trustworthy:
        raise FitError(
            f"Got a reference that is NOT TO BE TRUSTED itself ({found.verdict}: {found.message}); it can't judge "
            f"others. {found.remedy}"
        )


def weigh_modes(post: "xr.DataTree", reference: "xr.DataTree") -> "tuple[pd.DataFrame, tuple[float, float]]":
    """Cluster the functions of both fits together, and weigh the modes by each.

    Parameters
    ----------
    post, reference : xarray.DataTree
        Chains, and a tempered fit of the same posterior.

    Returns
    -------
    table : pandas.DataFrame
        One row for each mode, the most probable first: its ``share`` of the posterior by tempering with its standard
        error ``se``, the share ``chains`` of the chains' draws with its error ``chains_se``, and the mean
        ``log_density`` (likelihood and prior of the weights, for targets in the user's units).
    missed : tuple of float
        Share of the posterior in modes without a single draw of the chains, and its standard error.
    """
    import pandas as pd

    labels = function_modes([post, reference])
    density = np.concatenate([_log_density(fit).ravel() for fit in (post, reference)])
    pooled = np.concatenate([label.ravel() for label in labels])
    chains, tempered = labels
    rows = [
        {
            "share": (tempered == k).mean(),
            "se": share_error(tempered == k),
            "chains": (chains == k).mean(),
            "chains_se": share_error(chains == k),
            "log_density": density[pooled == k].mean(),
        }
        for k in range(pooled.max() + 1)
    ]
    table = pd.DataFrame(rows)
    inside = ~np.isin(tempered, np.unique(chains))
    order = table.sort_values("share", ascending=False, kind="stable")
    return order.set_index(pd.RangeIndex(1, len(table) + 1, name="mode")), (float(inside.mean()), share_error(inside))


def _log_density(fit):
    problem, params = problem_of(fit), some_draws(fit)[0]
    return problem.log_likelihood(params) + problem.net.log_prior(params)


def weighed(judged: dict[str, Any], table: "pd.DataFrame", missed: tuple[float, float], trips: float) -> dict[str, Any]:
    """Say in the words of a diagnosis what the reference knows.

    Parameters
    ----------
    judged : dict
        Verdict, message, remedy and notes without it.
    table, missed
        From `weigh_modes`.
    trips : float
        Round trips of the reference's systems together.

    Returns
    -------
    dict
        Fields of `Diagnosis`.
    """
    found = list(_words(table, missed, trips))
    gap = (table["share"] - table["chains"]).abs()
    error = np.hypot(table["se"].fillna(0.0), table["chains_se"].fillna(0.0))
    wrong = missed[0] > SMALL or ((gap > SMALL) & (gap > APART * error)).any()
    out = judged | {"modes": table, "missed": missed}
    if wrong or judged["verdict"] not in TRUSTED:
        out["remedy"] = "Predict with the tempered fit, whose draws visit the modes by their weights."
    if wrong and judged["verdict"] in TRUSTED:
        message = f"{' '.join(found)} All that chains can tell of themselves looks well: {judged['message']}"
        return out | {"verdict": "modes_misweighed", "message": message}
    return out | {"message": f"{judged['message']} {' '.join(found)}"}


def _words(table, missed, trips):
    lost = table[(table["share"] > 0) & (table["chains"] == 0)]
    if len(lost):
        which = ", ".join(f"mode {k}" for k in lost.index)
        yield (
            f"By the tempered fit the chains missed {len(lost)} of {int((table['share'] > 0).sum())} modes of the "
            f"function: {which}, with {share_words(*missed)} of the posterior."
        )
    else:
        yield f"By the tempered fit the chains missed no mode of the function: there are {(table['share'] > 0).sum()}."
    if len(table) > 1:
        shares = [
            f"mode {k} {share_words(row['share'], row['se'])} (chains {share_words(row['chains'], np.nan)})"
            for k, row in table.iterrows()
        ]
        gap = (table["share"] - table["chains"]).abs().sum() / 2
        yield f"Shares of the posterior: {', '.join(shares)}; {gap:.1%} of the chains' draws are in the wrong mode."
    for k, row in table[table["share"] == 0].iterrows():
        below = table["log_density"].iloc[0] - row["log_density"]
        # No event in n trials: its probability is below 3 / n with 95% confidence.
        bound = f", less than {3 / trips:.1%} with 95% confidence," if trips > 6 else ""
        higher = f"{below:.3g} nats below" if below >= 0 else f"{-below:.3g} nats above"
        yield (
            f"Mode {k}, where {row['chains']:.1%} of the chains' draws are, holds no draw of tempering{bound} and its "
            f"mean log density lies {higher} that of mode 1."
        )
