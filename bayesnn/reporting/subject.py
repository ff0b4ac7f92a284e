"""What a report is about: fits of one network to the same data, checked, and the numbers that several sections use."""

import re
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from bayesnn.data import Dataset
from bayesnn.data.target import rates_of
from bayesnn.diagnostics import Diagnosis, NetworkComparison, compare
from bayesnn.diagnostics.answer import answer_of
from bayesnn.errors import DataError, FitError, SpecError
from bayesnn.plots.functions import original
from bayesnn.prediction import log_likelihood_of, predictive_log_density, score
from bayesnn.reporting.parts import counted
from bayesnn.symmetry import Modes, SymmetryGroup, count_modes, symmetry_group
from bayesnn.theory.sensitivity import PLACES
from bayesnn.tree import KINDS, Problem, is_unbounded, kind_of, named_fits, problem_of

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

    from bayesnn.theory.sensitivity import PowerSensitivity

LARGEST = 20_000_000
"""Draws times rows beyond which the sensitivity to the prior would take too long."""


@dataclass(frozen=True, eq=False)
class Subject:
    """Fits by name, and what is known of them.

    Parameters
    ----------
    fits : dict of str to xarray.DataTree
        All, in the order given.
    data : Dataset or None
        Where the rows come from.
    networks : NetworkComparison or None
        Evidence of several networks.
    answer : str
        Name of the posterior that predicts; empty without one.
    verdict : Diagnosis or None
        What is to be said of it.
    command : str
        What was typed.
    """

    fits: "dict[str, xr.DataTree]"
    data: Dataset | None
    networks: NetworkComparison | None
    answer: str
    verdict: Diagnosis | None
    command: str

    @property
    def problem(self) -> Problem:
        """Network, data and names, which all fits share."""
        return problem_of(next(iter(self.fits.values())))

    def point(self, kind: str) -> "xr.DataTree | None":
        """Fit of a kind, "mle" or "map"; None without one."""
        return next((fit for fit in self.fits.values() if kind_of(fit) == kind), None)

    @property
    def points(self) -> "dict[str, xr.DataTree]":
        """MLE and MAP, by name."""
        return {name: fit for name, fit in self.fits.items() if kind_of(fit) != "posterior"}

    @property
    def posteriors(self) -> "dict[str, xr.DataTree]":
        """Posteriors, by name."""
        return {name: fit for name, fit in self.fits.items() if kind_of(fit) == "posterior"}

    @property
    def post(self) -> "xr.DataTree | None":
        """The posterior that predicts; None without one."""
        return self.fits[self.answer] if self.answer else None

    @property
    def three(self) -> "dict[str, xr.DataTree]":
        """MLE, MAP and the posterior that predicts: those that there are."""
        return self.points | ({self.answer: self.fits[self.answer]} if self.answer else {})

    @property
    def numbers(self) -> bool:
        """Whether numbers are predicted, and not labels."""
        return self.problem.net.loss.task in ("regression", "count")

    @cached_property
    def rows(self) -> tuple[np.ndarray, np.ndarray]:
        """Training inputs and targets in the user's units."""
        return original(self.problem)

    @property
    def held_out(self) -> tuple[np.ndarray, np.ndarray] | None:
        """Held-out inputs and targets; None without any."""
        if self.data is None or self.data.X_test is None or self.data.y_test is None:
            return None
        return self.data.X_test, self.data.y_test

    @property
    def target(self) -> str:
        """What is predicted, in words."""
        if self.data is None and not self.numbers:
            return "the label"
        names = self.data.target_names if self.data is not None else self.problem.target_names
        return "the target" if names == ("target",) else ", ".join(names)

    @property
    def features(self) -> tuple[str, ...]:
        """Names of the inputs."""
        return self.data.feature_names if self.data is not None else self.problem.feature_names

    @cached_property
    def table(self) -> "pd.DataFrame":
        """What `compare` says of all fits."""
        return compare(self.fits, data=self.data if self.held_out is not None else None)

    @cached_property
    def scores(self) -> dict[str, dict[str, float]]:
        """Scores of the three on held-out rows, or on the training rows without any."""
        return {name: score(fit, *(self.held_out or ())) for name, fit in self.three.items()}

    @cached_property
    def likelihoods(self) -> dict[str, float]:
        """Log-likelihood of the training rows."""
        return {name: log_likelihood_of(fit) for name, fit in self.three.items()}

    @cached_property
    def densities(self) -> dict[str, np.ndarray]:
        """Log predictive density of each held-out row, by the three; without those that are unbounded."""
        if self.held_out is None:
            return {}
        bounded = {name: fit for name, fit in self.three.items() if not is_unbounded(fit)}
        return {name: predictive_log_density(fit, *self.held_out) for name, fit in bounded.items()}

    @cached_property
    def modes(self) -> dict[str, Modes]:
        """Optima of the points and modes of the posterior, modulo symmetry, by name."""
        return {name: count_modes(fit) for name, fit in self.three.items()}

    @cached_property
    def group(self) -> SymmetryGroup:
        """Rearrangements that keep likelihood and prior."""
        problem = self.problem
        return symmetry_group(problem.net, problem.X.shape[1], len(problem.output_names))

    @cached_property
    def sensitivity(self) -> "PowerSensitivity | str":
        """How much the prior moves the posterior, or why that is not known."""
        if self.post is None or self.verdict is None:
            return "There is no posterior, and a point has no distribution that a prior could move."
        if self.verdict.verdict == "approximation":
            return "The draws are those of an approximation, which cannot be reweighted to another prior."
        sizes = self.post["posterior"].sizes
        if sizes["chain"] * sizes["draw"] * len(self.problem.X) > LARGEST:
            return (
                f"Left out: {counted(sizes['chain'] * sizes['draw'], 'draw')} of "
                f"{counted(len(self.problem.X), 'row')} would take long. Take bnn.theory.power_sensitivity(post)."
            )
        from bayesnn.theory import power_sensitivity

        try:
            # A quantity that no power moves has no distance to be divided by.
            with np.errstate(invalid="ignore", divide="ignore"):
                found = power_sensitivity(self.post)
        except FitError as error:
            return f"Not computed: {error}"
        return replace(found, summary=found.summary.rename(index=self._place))

    def _place(self, name):
        """Name a function value by its input, which ArviZ counts from 0."""
        (X, _), inside = self.rows, re.fullmatch(r"f\[(\d+)(?:, (.*))?\]", str(name))
        if inside is None:
            return name
        row = np.unique(np.linspace(0, len(X) - 1, PLACES).round().astype(int))[int(inside[1])]
        at = f"{self.features[0]} = {X[row, 0]:.3g}" if X.shape[1] == 1 else f"row {row + 1}"
        output = f", {self.problem.output_names[int(inside[2])]}" if inside[2] else ""
        return f"f at {at}{output}"


def subject_of(
    fits: Any,
    named: "dict[str, xr.DataTree]",
    *,
    data: Dataset | None,
    networks: NetworkComparison | None,
    verdict: Diagnosis | None,
    command: str,
) -> Subject:
    """Check what a report is to be about.

    Parameters
    ----------
    fits, named, data, networks, verdict, command
        As for `report`.

    Returns
    -------
    Subject
        With the posterior that predicts, and its verdict.

    Raises
    ------
    SpecError
        No fits, two of a kind, fits of different networks or data, or an argument that is none of those.
    FitError
        Something else than a fit, or draws that are not finite.
    DataError
        A Dataset with other rows than those of the fits.
    """
    known = named_fits(fits, named)
    for kind in ("mle", "map"):
        several = [name for name, fit in known.items() if kind_of(fit) == kind]
        if len(several) > 1:
            raise SpecError(
                f"Got {len(several)} fits of the kind {KINDS[kind]} ({', '.join(map(repr, several))}); a report is of "
                "one network, with one of each. Leave out the others, or compare networks with bnn.compare_networks."
            )
    (first, fit), *others = known.items()
    problem = problem_of(fit)
    for name, other in others:
        _check_same(problem, problem_of(other), first, name)
    if data is not None:
        _check_data(problem, data)
    if networks is not None and not isinstance(networks, NetworkComparison):
        raise SpecError(
            f"Got networks of type {type(networks).__name__}; it is the table of bnn.compare_networks. Leave it out, "
            "or pass that."
        )
    if verdict is not None and not isinstance(verdict, Diagnosis):
        raise SpecError(
            f"Got verdict of type {type(verdict).__name__}; it is what bnn.diagnose returns. Leave it out, or pass "
            "that."
        )
    posteriors = {name: fit for name, fit in known.items() if kind_of(fit) == "posterior"}
    answer = ""
    if posteriors:
        answer, verdict = answer_of(posteriors, verdict)
        if verdict.verdict == "not_finite":
            raise FitError(f"Got the posterior {answer!r}, of which {verdict.message} {verdict.remedy}")
    elif verdict is not None:
        raise SpecError("Got a verdict without a posterior, of which it could be. Pass the posterior, or leave it out.")
    return Subject(known, data, networks, answer, verdict, str(command))


def _check_same(one, other, first, name):
    """Refuse fits of different networks or data."""
    same = {
        "networks": one.net == other.net,
        "data": np.array_equal(one.X, other.X) and np.array_equal(one.y, other.y),
        "scalings": one.scaling == other.scaling,
    }
    differ = [what for what, equal in same.items() if not equal]
    if differ:
        raise SpecError(
            f"Got fits of different {' and '.join(differ)} ({first!r} and {name!r}); a report is of one network and "
            "one data set. Write a report of each; bnn.compare_networks compares networks."
        )


def _check_data(problem, data):
    """Refuse a Dataset that the fits do not come from."""
    if not isinstance(data, Dataset):
        raise SpecError(
            f"Got data of type {type(data).__name__}; it must be a bnn.Dataset. Leave it out to report on the "
            "training rows alone."
        )
    X, y = original(problem)
    given = rates_of(data.y)
    alike = X.shape == data.X.shape and y.shape == given.shape
    if not (alike and np.allclose(X, data.X, rtol=1e-9, atol=1e-9) and np.allclose(y, given, rtol=1e-9, atol=1e-9)):
        raise DataError(
            f"Got the Dataset {data.name!r}, whose {len(data.X)} training rows are not the {len(X)} of the fits. Pass "
            "the data that were fitted, with the same random_seed, or leave data out."
        )
