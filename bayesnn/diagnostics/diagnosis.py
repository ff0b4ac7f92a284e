"""What a diagnosis is: a verdict with its reasons and numbers, and how it is shown."""

import html
import textwrap
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from bayesnn.diagnostics.phrases import big, number, plural, trips_words

if TYPE_CHECKING:
    import pandas as pd


RHAT_MAX = 1.01
"""Largest rank-normalised split R-hat of chains that agree (Vehtari et al. 2021)."""
TRUSTED = ("one_mode", "harmless_symmetry", "mixed_symmetry", "weights_ridge")
"""Verdicts under which predictions may be trusted."""

_HEADS = {
    "one_mode": "all chains agree, about the weights and about the function",
    "harmless_symmetry": "weights disagree, function agrees: symmetry, harmless",
    "mixed_symmetry": "all chains agree, and move freely between mirror images",
    "weights_ridge": "aligned weights disagree, function agrees: other equivalent weights",
    "function_modes": "the chains are in different modes of the function",
    "modes_misweighed": "the chains have missed modes of the function, or misweighed them",
    "tempering_unfinished": "tempering has not reached what it was to reach",
    "slow_mixing": "the chains have not mixed well enough",
    "too_few_draws": "too few draws",
    "one_chain": "one chain can't be checked against another",
    "stuck": "chains are stuck",
    "divergences": "draws diverged",
    "approximation": "independent draws of an approximation, of which chains can tell nothing",
    "not_finite": "draws that are not finite numbers",
}
SPACES = {"raw": "raw weights", "aligned": "aligned weights", "function": "function"}


@dataclass(frozen=True, eq=False)
class Diagnosis:
    """What `diagnose` returns: a verdict, its reasons and its numbers.

    Parameters
    ----------
    verdict : str
        ``one_mode``, ``harmless_symmetry``, ``mixed_symmetry``, ``weights_ridge`` (predictions may be trusted);
        ``function_modes``, ``modes_misweighed`` (by a reference), ``tempering_unfinished``, ``slow_mixing``,
        ``too_few_draws``, ``one_chain``, ``stuck``, ``divergences``, ``approximation``, ``not_finite`` (they may not).
    message, remedy : str
        Why, with the numbers, and what to do.
    notes : tuple of str
        What else deserves a look.
    chains, draws : int
        Number of chains, and of draws in each.
    quantities : pandas.DataFrame
        One row for each quantity that varies, with its ``space`` (raw, aligned, function), ``mean``, ``sd``,
        ``rhat``, ``ess_bulk``, ``ess_tail`` and ``mcse`` (standard error of the mean). The function goes with
        log-likelihood and noise, all in the user's units; the log-prior, which differs along ridges, with the aligned
        weights, which like the raw ones are in the units the model works in.
    divergences : tuple of int
        Divergent draws of each chain.
    e_bfmi : tuple of float
        Energy fraction of missing information of each chain; empty if the energies were not kept.
    max_tree_depth, max_tree_depth_share : float
        Largest tree depth, and share of draws at which the sampler's limit was reached; NaN if they were not kept.
    images : int
        Mirror images visited, of ``group_order``.
    group_order : int
        Number of permutations and sign flips, the most mirror images that there can be.
    occupancy : pandas.DataFrame
        Share of each chain's draws (rows) in each of the eight most common mirror images (columns), and in others. An
        image is named by the signed order of units that brings its draws to the reference of `align`.
    switch_rate : tuple of float
        Share of each chain's steps that change the mirror image.
    chain_modes : tuple of int
        Mode of the function that each chain is in; -1 if it has not settled in one. All 0 if the chains agree.
    chain_log_likelihood : tuple of float
        Mean log-likelihood of each chain, for densities in the user's units.
    tempering : dict of str to float
        Of a tempered fit: log evidence with its error, forward and backward, barrier, round trips; empty for others.
    modes : pandas.DataFrame
        One row for each mode of the function, the most probable first: its ``share`` of the posterior by the reference
        with its standard error ``se``, the share ``chains`` of the chains' draws with its error ``chains_se``, and the
        mean ``log_density``. Empty without a reference.
    missed : tuple of float
        Share of the posterior, by the reference, in modes without a draw of the chains, and its standard error.
    """

    verdict: str
    message: str
    remedy: str
    notes: tuple[str, ...]
    chains: int
    draws: int
    quantities: "pd.DataFrame"
    divergences: tuple[int, ...]
    e_bfmi: tuple[float, ...]
    max_tree_depth: float
    max_tree_depth_share: float
    images: int
    group_order: int
    occupancy: "pd.DataFrame"
    switch_rate: tuple[float, ...]
    chain_modes: tuple[int, ...]
    chain_log_likelihood: tuple[float, ...]
    tempering: dict[str, float]
    modes: "pd.DataFrame"
    missed: tuple[float, float]

    @property
    def trustworthy(self) -> bool:
        """Whether the predictions may be trusted, as far as chains can tell."""
        return self.verdict in TRUSTED

    @property
    def table(self) -> "pd.DataFrame":
        """Worst R-hat, smallest ESS and largest Monte Carlo error (in standard deviations), raw, aligned, function."""
        return worst_of(self.quantities)

    @property
    def rhat_raw(self) -> float:
        """Largest R-hat of the weights as sampled."""
        return float(self.table.loc["raw", "rhat"])

    @property
    def rhat_aligned(self) -> float:
        """Largest R-hat of the aligned weights."""
        return float(self.table.loc["aligned", "rhat"])

    @property
    def rhat_function(self) -> float:
        """Largest R-hat of the function."""
        return float(self.table.loc["function", "rhat"])

    @property
    def ess_function(self) -> float:
        """Smallest effective sample size of the function, bulk or tail."""
        return float(self.table.loc["function", ["ess_bulk", "ess_tail"]].min())

    def to_frame(self) -> "pd.DataFrame":
        """Copy the numbers of every quantity.

        Returns
        -------
        pandas.DataFrame
            As ``quantities``.
        """
        return self.quantities.copy()

    def to_dict(self) -> dict[str, Any]:
        """Collect verdict, words and numbers for a machine.

        Returns
        -------
        dict
            Of strings, numbers, lists and dicts that `json.dumps` accepts; None where there is no finite number.
        """
        out = {"verdict": self.verdict, "trustworthy": self.trustworthy}
        out |= {k: getattr(self, k) for k in self.__dataclass_fields__ if k not in ("quantities", "occupancy", "modes")}
        out["table"] = self.table.to_dict("index")
        out |= {k: getattr(self, k).to_dict("index") for k in ("occupancy", "modes")}
        return _plain(out)

    @property
    def brief(self) -> tuple[str, str, str]:
        """Head, reason and remedy, a short line each."""
        trust = "Predictions may be trusted" if self.trustworthy else "Do not trust the predictions"
        rhat = " / ".join(number(r, ".3f") for r in (self.rhat_raw, self.rhat_aligned, self.rhat_function))
        ess = number(self.ess_function, ".0f")
        return (
            _HEADS[self.verdict],
            f"R-hat raw / aligned / function {rhat}; ESS {ess}; {self._run}.",
            f"{trust}. Remedy: {self.remedy.split('. ')[0].rstrip('.')}.",
        )

    @property
    def _head(self):
        trust = "the predictions may be trusted" if self.trustworthy else "do not trust the predictions"
        return f"{self.verdict}: {_HEADS[self.verdict]}; {trust}"

    @property
    def _run(self):
        if self.tempering:
            return "exact draws" if self.tempering["exact"] else trips_words(self.tempering)
        return f"{sum(self.divergences)} divergences"

    @property
    def _tail(self):
        parts = [f"{self.chains} {plural(self.chains, 'chain')} of {self.draws} draws", self._run]
        if self.e_bfmi:
            parts.append(f"E-BFMI at least {min(self.e_bfmi):.2f}")
        if np.isfinite(self.max_tree_depth):
            parts.append(f"tree depth at most {self.max_tree_depth:.0f}")
        if self.switch_rate:
            visited = f"{self.images:,} of {big(self.group_order)} mirror images visited"
            parts.append(f"{visited}, changed at {np.mean(self.switch_rate):.1%} of the steps")
        return "; ".join(parts)

    def _cells(self):
        """Write the table as text: a header and a row for each space."""
        table = self.table
        yield ["", "R-hat", "at", "ESS bulk", "ESS tail", "at", "MCSE/sd"]
        for space, row in table.iterrows():
            yield [
                SPACES[space],
                number(row.rhat, ".3f"),
                row.worst,
                number(row.ess_bulk, ".0f"),
                number(row.ess_tail, ".0f"),
                row.fewest,
                number(row.mcse, ".3f"),
            ]

    def __repr__(self):
        """Tell the verdict, its reasons, the remedy, and show the table."""
        words = [self._head, self.message, f"Remedy: {self.remedy}", *(f"Note: {note}" for note in self.notes)]
        lines = [textwrap.fill(text, 100, break_on_hyphens=False) for text in words]
        rows = list(self._cells())
        widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
        left = (0, 2, 5)
        lines.append("")
        for row in rows:
            cells = [t.ljust(w) if i in left else t.rjust(w) for i, (t, w) in enumerate(zip(row, widths, strict=True))]
            lines.append("  ".join(cells).rstrip())
        lines += ["", textwrap.fill(self._tail, 100, break_on_hyphens=False)]
        if 1 < self.images <= 8:
            lines += ["share of draws in each mirror image:", self.occupancy.round(2).to_string()]
        if len(self.modes):
            lines += ["modes of the function, by tempering and by the chains:", self.modes.round(3).to_string()]
        return "\n".join(lines)

    def __rich__(self):
        """Show the same with colours and rules in a terminal."""
        from rich.console import Group
        from rich.table import Table
        from rich.text import Text

        header, *rows = self._cells()
        table = Table()
        for i, name in enumerate(header):
            table.add_column(name, justify="left" if i in (0, 2, 5) else "right")
        for row, rhat in zip(rows, self.table["rhat"], strict=True):
            table.add_row(*map(Text, row), style="" if not rhat > RHAT_MAX else "yellow")
        notes = [Text(f"Note: {note}", style="yellow") for note in self.notes]
        head = Text(self._head, style="bold green" if self.trustworthy else "bold red")
        return Group(head, Text(self.message), Text(f"Remedy: {self.remedy}"), *notes, table, Text(self._tail))

    def _repr_html_(self):
        """Show the same in Jupyter."""
        words = [self.message, f"Remedy: {self.remedy}", *(f"Note: {note}" for note in self.notes)]
        header, *rows = [[html.escape(cell) for cell in row] for row in self._cells()]
        head = "".join(f"<th>{cell}</th>" for cell in header)
        body = "".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>" for row in rows)
        cells = self.occupancy.round(2).to_html() if 1 < self.images <= 8 else ""
        cells += self.modes.round(3).to_html() if len(self.modes) else ""
        return (
            f"<p><b>{html.escape(self._head)}</b></p>{''.join(f'<p>{html.escape(text)}</p>' for text in words)}"
            f"<table><tr>{head}</tr>{body}</table><p>{html.escape(self._tail)}</p>{cells}"
        )


def worst_of(quantities: "pd.DataFrame") -> "pd.DataFrame":
    """Worst R-hat, smallest ESS and largest Monte Carlo error in each space."""
    import pandas as pd

    rows = {}
    for space in SPACES:
        some = quantities[quantities["space"] == space]
        least = some[["ess_bulk", "ess_tail"]].min(axis=1)
        rows[space] = {
            "rhat": some["rhat"].max(),
            "worst": some["quantity"][some["rhat"].idxmax()] if some["rhat"].notna().any() else "",
            "ess_bulk": some["ess_bulk"].min(),
            "ess_tail": some["ess_tail"].min(),
            "fewest": some["quantity"][least.idxmin()] if least.notna().any() else "",
            "mcse": (some["mcse"] / some["sd"]).max(),
        }
    return pd.DataFrame.from_dict(rows, orient="index")


def _plain(x):
    """Numbers, lists and dicts of Python's own, without NaN and infinity."""
    if isinstance(x, dict):
        return {str(k): _plain(v) for k, v in x.items()}
    if isinstance(x, tuple | list):
        return [_plain(v) for v in x]
    if isinstance(x, float | np.floating):
        return float(x) if np.isfinite(x) else None
    return x
