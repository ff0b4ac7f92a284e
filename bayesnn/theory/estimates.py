"""MLE, MAP and mean side by side, as the data grow and the prior varies."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from bayesnn.arguments import as_list
from bayesnn.errors import SpecError
from bayesnn.theory.conjugate import ConjugatePosterior, conjugate_posterior
from bayesnn.theory.results import Result
from bayesnn.theory.textbook import TextbookLikelihood

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, repr=False, eq=False)
class EstimateComparison(Result):
    """Estimates as n and the prior vary, from `compare_estimates`.

    Parameters
    ----------
    posteriors : tuple of ConjugatePosterior
        Prior by prior, each with growing n.
    """

    posteriors: tuple[ConjugatePosterior, ...]

    @cached_property
    def table(self) -> "pd.DataFrame":
        """A row for each prior and n: estimates, the sd, MAP and mean by way of the other scale, n (MAP - MLE)."""
        import pandas as pd

        rows = {}
        for one in self.posteriors:
            own, _, by_way = one.estimates().to_numpy().T
            n = one.likelihood.n
            row = dict(zip(("MLE", "MAP", "mean", "median", "lower", "upper"), own, strict=True))
            row |= {"sd": float(one.law.std()), f"MAP by {one.link}": by_way[1], f"mean by {one.link}": by_way[2]}
            rows["{}({:g}, {:g})".format(one.family, *one.prior), n] = row | {"n (MAP - MLE)": n * (own[1] - own[0])}
        return pd.DataFrame(rows.values(), index=pd.MultiIndex.from_tuples(rows, names=["prior", "n"]))

    @property
    def message(self) -> str:
        """How far the estimates are apart at the smallest and the largest n."""
        at = self.table.index.get_level_values("n")
        gaps = [self.table[["MLE", "MAP", "mean"]][at == n] for n in (at.min(), at.max())]
        first, last = ((g.max(axis=1) - g.min(axis=1)).max() for g in gaps)
        return (
            f"MLE, MAP and mean differ by up to {first:.3g} at n = {at.min()} and by up to {last:.3g} at n = "
            f"{at.max()}: what a prior adds is divided by n."
        )


def compare_estimates(
    likelihood: TextbookLikelihood,
    *,
    priors: Sequence[tuple[float, float]],
    copies: Sequence[int] = (1, 2, 4, 8, 16, 32),
) -> EstimateComparison:
    """Put MLE, MAP and mean side by side as n and the prior vary.

    Parameters
    ----------
    likelihood : TextbookLikelihood
        As for `conjugate_posterior`.
    priors : sequence of tuple of float
        Priors, as for `conjugate_posterior`.
    copies : sequence of int
        How often the data are repeated, so that n grows and the MLE stays where it is.

    Returns
    -------
    EstimateComparison
        With a ``table``; `bayesnn.plots.plot_estimates` draws it.

    Raises
    ------
    SpecError
        As `conjugate_posterior`; no priors; copies that are no positive integers.

    Examples
    --------
    >>> from bayesnn.theory import compare_estimates, textbook_likelihood
    >>> coin = textbook_likelihood("bernoulli", [0, 0, 0, 1, 0])
    >>> compare_estimates(coin, priors=[(1, 1), (5, 5)], copies=(1, 20)).table[["MLE", "MAP", "mean"]].round(3)
                    MLE    MAP   mean
    prior      n
    Beta(1, 1) 5    0.2  0.200  0.286
               100  0.2  0.200  0.206
    Beta(5, 5) 5    0.2  0.385  0.400
               100  0.2  0.222  0.227
    """
    priors, copies = as_list("priors", priors, [(1, 1)]), as_list("copies", copies, (1, 2, 4))
    wrong = [c for c in copies if isinstance(c, bool) or not isinstance(c, int | np.integer) or c < 1]
    if wrong:
        raise SpecError(f"Got copies={copies!r}; they must be positive integers. Write copies=(1, 2, 4).")
    sizes = sorted({int(c) for c in copies})
    conjugate_posterior(likelihood, prior=priors[0])
    found = [
        conjugate_posterior(replace(likelihood, data=np.tile(likelihood.data, c)), prior=prior)
        for prior in priors
        for c in sizes
    ]
    return EstimateComparison(tuple(found))
