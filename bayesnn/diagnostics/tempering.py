"""What a tempered fit says of itself, and how one is asked for."""

from typing import TYPE_CHECKING

import numpy as np

from bayesnn.diagnostics.chains import CHANCE_MAX
from bayesnn.diagnostics.diagnosis import RHAT_MAX
from bayesnn.diagnostics.phrases import plural, trips_words
from bayesnn.fitting.density import collapses
from bayesnn.tree import problem_of

if TYPE_CHECKING:
    import xarray as xr


_SIZES = (("draws", "draw", 1000), ("chains", "chain", 4))
"""Arguments that the sizes of a fit tell, with their defaults."""


def is_tempered(post: "xr.DataTree") -> bool:
    """Whether a fit was made by tempering."""
    return post.attrs.get("bayesnn_sampler") == "tempering"


def tempering_numbers(post: "xr.DataTree") -> dict[str, float]:
    """Collect what the last round of tempering says, in the user's units; nothing for another sampler.

    Parameters
    ----------
    post : xarray.DataTree
        A posterior.

    Returns
    -------
    dict of str to float
        ``log_evidence`` and ``log_evidence_se``; ``exact``, and where that is 0 ``systems``, ``temperatures``,
        ``rounds``, mean ``barrier``, ``least_round_trips``, ``most_round_trips``, ``round_trips`` of all systems, mean
        ``forward`` and ``backward`` log evidence and the largest ``gap`` between them in one system.
    """
    if not is_tempered(post):
        return {}
    found = {k: float(post.attrs[f"bayesnn_{k}"]) for k in ("log_evidence", "log_evidence_se")}
    if "tempering" not in post or "barrier" not in post["tempering"]:
        return found | {"exact": 1.0}
    last = post["tempering"].isel(round=-1)
    trips = last["round_trips"].to_numpy()
    forward, backward = (last[f"log_evidence_{way}"].to_numpy() for way in ("forward", "backward"))
    return found | {
        "exact": 0.0,
        "systems": float(trips.size),
        "temperatures": float(last["inverse_temperature"].notnull().sum("temperature").max()),
        "rounds": float(post["tempering"].sizes["round"]),
        "barrier": float(last["barrier"].mean()),
        "least_round_trips": float(trips.min()),
        "most_round_trips": float(trips.max()),
        "round_trips": float(trips.sum()),
        "forward": float(forward.mean()),
        "backward": float(backward.mean()),
        "gap": float(np.abs(forward - backward).max()),
    }


def tempering_words(found: dict[str, float]) -> str:
    """Write the numbers of `tempering_numbers` in words."""
    evidence = f"log evidence {found['log_evidence']:.2f} ± {found['log_evidence_se']:.2f}"
    if found["exact"]:
        return f"Nothing was left to sample: draws and log evidence, {found['log_evidence']:.4f}, are exact."
    systems = int(found["systems"])
    each = " each" if systems > 1 else ""
    return (
        f"Tempering: {systems} {plural(systems, 'system')} of up to {found['temperatures']:.0f} temperatures, "
        f"barrier {found['barrier']:.1f}, {trips_words(found)}{each} between prior and posterior; {evidence}, forward "
        f"{found['forward']:.2f}, backward {found['backward']:.2f}, at most {found['gap']:.2f} apart in one system."
    )


def unfinished(post: "xr.DataTree", rhat: float, said: str) -> list[str]:
    """List why a tempered fit is not to be trusted: what it did not reach, and systems that disagree.

    Parameters
    ----------
    post : xarray.DataTree
        A tempered fit.
    rhat : float
        Largest R-hat of the function, log-likelihood and noise.
    said : str
        The same in words, with the place.

    Returns
    -------
    list of str
        Empty where all is well.
    """
    left = [post.attrs["bayesnn_unmet"]] if post.attrs.get("bayesnn_unmet") else []
    # Among fifty values of the function the largest R-hat is a little above the mark by chance.
    if rhat > CHANCE_MAX or post.attrs.get("bayesnn_function_rhat", 1.0) > RHAT_MAX:
        left.append(f"the systems disagree about the function ({said})")
    return left


def tempering_call(post: "xr.DataTree", *, more: bool = False) -> str:
    """Write the line that fits the same posterior by tempering, with the arguments of a fit as far as they are known.

    Parameters
    ----------
    post : xarray.DataTree
        A posterior.
    more : bool
        Allow more rounds than a tempered fit has had.

    Returns
    -------
    str
        A call of `bnn.fit_posterior`.
    """
    problem, sizes = problem_of(post), post["posterior"].sizes
    options = [f"{name}={sizes[dim]}" for name, dim, usual in _SIZES if sizes[dim] != usual and not sizes[dim] < 4]
    if problem.scaling is not None:
        standard = np.allclose(problem.X.mean(axis=0), 0) and np.allclose(problem.X.std(axis=0), 1)
        options.append('scaling="standard"' if standard else "scaling=scaling")
    if not post.attrs.get("bayesnn_collapsed", 1) and collapses(problem):
        options.append("collapse=False")
    if more:
        longer = float(post["tempering"]["iterations"].to_numpy()[-1]) / sizes["draw"]
        options.append(f"max_rounds={round(np.log2(longer)) + 3}")
    return f"bnn.fit_posterior({', '.join(['net, X, y', 'sampler="tempering"', *options])})"
