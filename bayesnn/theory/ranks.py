"""Ranks of a truth among draws: the bands that they stay in if the draws are right, and what leaving them means."""

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from bayesnn.theory.results import Result

if TYPE_CHECKING:
    import pandas as pd


LEAST = 20
"""Fewest replicates whose ranks say anything; our choice."""


@dataclass(frozen=True, repr=False, eq=False)
class Calibration(Result):
    """What `calibrate` returns.

    Parameters
    ----------
    ranks : pandas.DataFrame
        Share of the draws that lie below the truth, in (0, 1), ties broken at random: one row a replicate, one column
        a quantity. Uniform if the draws are right.
    draws : pandas.DataFrame
        Number of about independent draws that each rank was taken among.
    prob : float
        Probability that the ranks of all quantities stay within their bands if the draws are right.
    failed : dict of int to str
        Replicates without ranks, and the errors that they ended with.
    disagreed : tuple of int
        Replicates in which the chains disagreed about the function.
    interrupted : bool
        Whether somebody pressed Ctrl-C before all replicates were done.
    """

    ranks: "pd.DataFrame"
    draws: "pd.DataFrame"
    prob: float
    failed: dict[int, str]
    disagreed: tuple[int, ...]
    interrupted: bool

    @property
    def level(self) -> float:
        """Probability that the ranks of one quantity stay within its band; the rest is shared out by Bonferroni."""
        return 1 - (1 - self.prob) / max(1, self.ranks.shape[1])

    @property
    def band(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Points from 0 to 1, and between which shares of the ranks are to be below each."""
        return band(len(self.ranks), self.level)

    @property
    def calibrated(self) -> bool | None:
        """Whether the ranks of all quantities stay within their bands; None with too few replicates to say."""
        return None if len(self.ranks) < LEAST else not self.outside

    @property
    def outside(self) -> tuple[str, ...]:
        """Names of the quantities whose ranks leave their band, the worst first."""
        if len(self.ranks) < LEAST:
            return ()
        p = self.table["p"]
        return tuple(p[p < 1 - self.level].sort_values(kind="stable").index)

    @property
    def table(self) -> "pd.DataFrame":
        """One row a quantity: mean ``rank`` (1/2), ``spread`` (1), ``p``, median ``draws``, and what the draws are.

        The spread is the mean squared distance of the ranks from 1/2 in units of 1/12, above 1 where the truth is at
        the ends of the draws; `p` is that of the band that would just hold the ranks, for the quantity by itself.
        """
        import pandas as pd

        rows = {}
        for name, u in self.ranks.items():
            u = u.to_numpy()
            p = p_value(u) if len(u) >= LEAST else np.nan
            rows[name] = {
                "rank": u.mean() if len(u) else np.nan,
                "spread": 12 * np.mean(np.square(u - 0.5)) if len(u) else np.nan,
                "p": p,
                "draws": self.draws[name].median(),
                "verdict": how(u) if p < 1 - self.level else "",
            }
        return pd.DataFrame.from_dict(rows, orient="index")

    @property
    def message(self) -> str:
        """The verdict in words, what would have been seen, and which replicates are missing."""
        n, quantities = self.ranks.shape
        if n < LEAST:
            words = f"No verdict: ranks of {n} replicates say nothing, it takes {LEAST}."
        elif self.outside:
            shown = ", ".join(f"{name} ({how(self.ranks[name].to_numpy())})" for name in self.outside[:4])
            more = f" and {len(self.outside) - 4} more" if len(self.outside) > 4 else ""
            words = (
                f"Not calibrated: over {n} replicates the ranks of {len(self.outside)} of {quantities} quantities "
                f"leave their bands ({self.prob:.0%} of right models stay inside): {shown}{more}."
            )
        else:
            _, lower, upper = self.band
            half = np.max(upper - lower) / 2
            words = (
                f"Calibrated, as far as {n} replicates can tell: the ranks of all {quantities} quantities stay within "
                f"their bands ({self.prob:.0%} of right models do). These are up to {half:.2f} wide to either side: "
                "smaller errors take more replicates to see."
            )
        if self.failed:
            first, error = next(iter(self.failed.items()))
            words += f" {len(self.failed)} of {n + len(self.failed)} replicates failed, the first ({first}): {error}"
        if self.disagreed:
            words += f" In {len(self.disagreed)} of them the chains disagreed about the function."
        return words + (" Interrupted: these are the replicates so far." if self.interrupted else "")


def how(u: np.ndarray) -> str:
    """Say what draws are like whose ranks are not uniform, by the moment of the ranks that is off most."""
    shift = (u.mean() - 0.5) * np.sqrt(12 * len(u))
    spread = (np.square(u - 0.5).mean() - 1 / 12) * np.sqrt(180 * len(u))
    if abs(shift) >= abs(spread):
        return "draws too low" if shift > 0 else "draws too high"
    return "draws too narrow" if spread > 0 else "draws too wide"


def band(n: int, level: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Bands that the distribution function of n uniform numbers stays in everywhere.

    Parameters
    ----------
    n : int
        How many.
    level : float
        Probability of staying inside: exact, but for the steps that counts make.

    Returns
    -------
    points, lower, upper : array (n + 1,)
        From 0 to 1, with both ends.
    """
    points, (lower, upper) = np.arange(n + 1) / n, _counts(n, _tail(n, level))
    ends = [[0], lower, [n]], [[0], upper, [n]]
    return points, np.concatenate(ends[0]) / n, np.concatenate(ends[1]) / n


def p_value(u: np.ndarray) -> float:
    """Probability that as many uniform numbers leave the band that just holds these."""
    from scipy.stats import binom

    n = len(u)
    points = np.arange(1, n) / n
    count = np.searchsorted(np.sort(u), points, side="right")
    tail = float(np.minimum(binom.cdf(count, n, points), binom.sf(count - 1, n, points)).min())
    # Bounds at this very tail are outside.
    return min(1.0, max(0.0, 1 - stays(n, *_counts(n, tail * (1 + 1e-9)))))


def stays(n: int, lower: np.ndarray, upper: np.ndarray) -> float:
    """Probability that the counts of n uniform numbers below 1/n, 2/n, ... lie within bounds, all of them.

    Parameters
    ----------
    n : int
        How many.
    lower, upper : array (n - 1,) of int
        Bounds, which do not decrease and belong to the inside.

    Returns
    -------
    float
        Exact to rounding.

    Notes
    -----
    Uniform numbers are the events of a Poisson process of which there happen to be n, and its increments are
    independent: each step convolves the probabilities of the counts with the same Poisson distribution.
    """
    from scipy.stats import poisson

    step = poisson.pmf(np.arange(min(n, 170) + 1), 1.0)
    inside, first = np.ones(1), 0
    for low, high in zip(lower, upper, strict=True):
        reached = np.convolve(inside, step)
        begin = max(int(low), first)
        inside, first = reached[begin - first : int(high) - first + 1], begin
        if not inside.size:
            return 0.0
    left = n - first - np.arange(len(inside))
    return float(inside @ poisson.pmf(left, 1.0) / poisson.pmf(n, n))


def _counts(n, tail):
    """Bounds of counts below 1/n, 2/n, ..., each left on either side with at most this probability."""
    from scipy.stats import binom

    points = np.arange(1, n) / n
    return binom.ppf(tail, n, points).astype(int), binom.isf(tail, n, points).astype(int)


@lru_cache(maxsize=64)
def _tail(n, level):
    """Find the tail probability of each count with which all counts together stay inside at a level."""
    low, high = np.log((1 - level) / (4 * n)), np.log((1 - level) / 2)
    for _ in range(40):
        middle = (low + high) / 2
        low, high = (middle, high) if stays(n, *_counts(n, np.exp(middle))) >= level else (low, middle)
    return float(np.exp(low))
