"""Which of several posteriors of one network is the answer: the tempered one where chains fail it."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from bayesnn.diagnostics.diagnose import diagnose
from bayesnn.diagnostics.diagnosis import Diagnosis
from bayesnn.diagnostics.tempering import is_tempered
from bayesnn.errors import FitError, SpecError
from bayesnn.tree import approximation_of

if TYPE_CHECKING:
    import xarray as xr


def answer_of(posteriors: "Mapping[str, xr.DataTree]", verdict: Diagnosis | None = None) -> tuple[str, Diagnosis]:
    """Choose the posterior to predict with, and say what is to be said of it.

    Parameters
    ----------
    posteriors : dict of str to xarray.DataTree
        Fits of one network to the same data, by name: chains of NUTS, a tempered fit, approximations.
    verdict : Diagnosis, optional
        What this function has said of them before; None finds it.

    Returns
    -------
    name : str
        The chains where they are to be trusted by the tempered fit, or where there is none that is; otherwise the
        tempered fit; an approximation only where there is nothing else.
    verdict : Diagnosis
        Of the chains, with the tempered fit as the reference where both are there.

    Raises
    ------
    SpecError
        No posterior.
    """
    if not posteriors:
        raise SpecError("Got no posterior; at least one is needed. Take bnn.fit_posterior(net, X, y).")
    exact = [name for name, fit in posteriors.items() if not approximation_of(fit)]
    tempered = next((name for name in exact if is_tempered(posteriors[name])), None)
    chains = next((name for name in exact if not is_tempered(posteriors[name])), None)
    if chains is None or tempered is None:
        name = chains or tempered or next(iter(posteriors))
        return name, verdict or diagnose(posteriors[name])
    if verdict is None:
        try:
            verdict = diagnose(posteriors[chains], reference=posteriors[tempered])
        except FitError:
            # The tempered fit is not to be trusted itself.
            verdict = diagnose(posteriors[chains])
    # Only a verdict with a reference has weighed the modes.
    return chains if verdict.trustworthy or not len(verdict.modes) else tempered, verdict
