"""The data and the three answers in one picture, where the points can be edited."""

from collections.abc import Callable
from typing import ClassVar, override

import numpy as np

from bayesnn.playground.answers import PROB, Answer, grid_of
from bayesnn.playground.found import Found
from bayesnn.playground.panels.base import PagePanel
from bayesnn.playground.panels.curves import Curves, label_of, truth_of
from bayesnn.playground.panels.look import legend, locked, pane_of
from bayesnn.playground.panels.points import Points, Rows
from bayesnn.playground.panels.surfaces import LN2, Surfaces, spread_of

SAME = 0.05
"""Nats below which two log-likelihoods are called the same."""
GAP = 4.0
"""How many times as wide as the median step between inputs a gap is."""


class FitsPanel(PagePanel):
    """Data, MLE, MAP and posterior."""

    key: ClassVar[str] = "fits"
    title: ClassVar[str] = "The data and three answers"
    why: ClassVar[str] = (
        "The MLE is the network that makes the data most probable, the MAP weighs that against the prior, and both "
        "are a single network. The posterior is all networks, each as plausible as likelihood times prior say: their "
        "average is the green line, and the band shows how far they differ. Where there are no data the likelihood "
        "says nothing, so the band opens there, which no single network can show."
    )
    notebook: ClassVar[str] = "01_three_answers"

    def __init__(self, dark: bool = False):
        import panel as pn
        import panel.ui as pu

        super().__init__(dark)
        self._found: Found | None = None
        self.points = Points(dark)
        self.curves, self.surfaces = Curves(self.points, dark), Surfaces(self.points, dark)
        self.choice = pu.Select(
            label="Surface of", options={"posterior": "posterior", "MAP": "map", "MLE": "mle"}, value="posterior"
        )
        self.choice.param.watch(lambda event: locked(self._refresh), "value")
        self._curve = pane_of(self.curves.figure)
        both = [
            pn.Column(pane_of(f), min_width=260, margin=0, styles={"flex": "1 1 260px"}) for f in self.surfaces.figures
        ]
        self._surface = pn.Column(
            self.choice, pn.FlexBox(*both, sizing_mode="stretch_width"), visible=False, sizing_mode="stretch_width"
        )
        self._legend = pn.pane.HTML("", sizing_mode="stretch_width")
        self.view = pn.Column(
            self._curve, self._surface, self._legend, self.points.view, sizing_mode="stretch_width", margin=0
        )

    @property
    def on_points(self) -> Callable[[Rows], None] | None:
        """Called with all rows when the user has changed the points."""
        return self.points.on_points

    @on_points.setter
    def on_points(self, callback: Callable[[Rows], None] | None) -> None:
        self.points.on_points = callback

    @override
    def show(self, found: Found) -> None:
        changed = self._found is None or self._found.settings != found.settings
        self._found = found
        one = found.settings.X.shape[1] == 1
        self._curve.visible, self._surface.visible = one, not one
        if changed:
            self.points.show(found.settings)
        self._refresh()

    def _refresh(self):
        found = self._found
        if found is None:
            return
        if found.settings.X.shape[1] == 1:
            self.curves.show(found)
            keys = self.curves.keys(found)
        else:
            self.surfaces.show(found, self._chosen(found))
            keys = self.surfaces.keys(found)
        self._legend.object = legend(keys)

    def _chosen(self, found) -> Answer | None:
        """Take the answer whose surface was asked for, or one that is there already."""
        known = {"mle": found.mle, "map": found.map, "posterior": found.posterior}
        return known[self.choice.value] or found.posterior or found.map or found.mle

    @override
    def repaint(self, dark: bool) -> None:
        super().repaint(dark)
        for part in (self.points, self.curves, self.surfaces):
            part.repaint(dark)

    @override
    def sentence(self, found: Found) -> str:
        parts = [_of_maxima(found), _of_posterior(found)]
        said = "; ".join(part for part in parts if part) or "The three answers are being computed"
        return said[0].upper() + said[1:] + "."

    @override
    def words(self, found: Found) -> str:
        settings = found.settings
        X, grid = settings.X, grid_of(settings)
        names = settings.dataset.feature_names
        spans = ", ".join(f"{n} from {a:.3g} to {b:.3g}" for n, a, b in zip(names, X.min(0), X.max(0), strict=True))
        said = [f"{len(X)} points, {spans}, targets from {settings.y.min():.3g} to {settings.y.max():.3g}."]
        places = [0, len(grid) // 2, len(grid) - 1]
        what = f"probability of {label_of(found, 1)}" if settings.task == "binary" else "mean"
        for answer in (found.mle, found.map, found.posterior):
            if answer is not None:
                values = ", ".join(f"{answer.mean[i]:.3g} at {_place(names, grid[i])}" for i in places)
                said.append(f"{answer.heading}: {what} {values}.")
        spread = spread_of(found)
        if spread is not None and found.posterior is not None:
            values = ", ".join(f"{spread[i]:.3g} at {_place(names, grid[i])}" for i in places)
            what = (
                "mutual information in nats"
                if found.posterior.epistemic is not None
                else f"width of the {PROB:.0%} band"
            )
            said.append(f"Posterior: {what} {values}.")
        return " ".join(said)


def _of_maxima(found):
    """Compare MLE and MAP."""
    mle, map_ = found.mle, found.map
    if mle is None:
        return f"the MLE can't be had: {found.troubles['mle'].rstrip('.')}" if "mle" in found.troubles else ""
    if not mle.exists:
        said = f"no MLE exists: {mle.message.rstrip('.')}"
        return said + (f" (the MAP stays at a log-likelihood of {map_.log_likelihood:.1f})" if map_ else "")
    if map_ is None:
        return f"the MLE reaches a log-likelihood of {mle.log_likelihood:.1f}"
    gain = mle.log_likelihood - map_.log_likelihood
    if gain < -SAME:
        return f"the MLE is not found yet: the MAP's log-likelihood is {-gain:.1f} nats above that of its best start"
    if gain < SAME:
        return f"MLE and MAP are the same to {SAME:g} nats: the data outweigh the prior"
    said = f"the MLE fits the rows that it has seen {gain:.1f} nats better than the MAP"
    truth = truth_of(found)
    if truth is None:
        return said
    # Inputs between the data only: beyond them no answer is held to anything.
    inside = _inside(found)
    far, near = (float(np.sqrt(np.mean((answer.mean - truth)[inside] ** 2))) for answer in (mle, map_))
    if far > 1.05 * near:
        return f"{said}, but is farther from the truth ({far:.2g} against {near:.2g}): it overfits"
    return (
        f"{said} and is {'nearer to' if near > 1.05 * far else 'as near to'} the truth ({far:.2g} against {near:.2g})"
    )


def _of_posterior(found):
    """Say where the posterior knows least."""
    post = found.posterior
    if post is None:
        return (
            f"the posterior can't be had: {found.troubles['posterior'].rstrip('.')}"
            if "posterior" in found.troubles
            else ""
        )
    if not post.trusted:
        return f"the posterior is not to be trusted yet: {post.unmet.rstrip('.')}"
    spread = spread_of(found)
    if spread is None:
        return ""
    grid, inside = grid_of(found.settings), _inside(found)
    names = found.settings.dataset.feature_names
    i = int(np.argmax(np.where(inside, spread, -np.inf)))
    if post.epistemic is not None:
        return (
            f"between the data the posterior knows least at {_place(names, grid[i])}, where the label and the weights "
            f"share {spread[i]:.2f} of at most {LN2:.2f} nats"
        )
    typical = float(np.median(_at(found, spread)))
    where = _place(names, grid[i])
    gap = _gap(found)
    if gap is not None and gap[0] <= grid[i, 0] <= gap[1]:
        where += f", in the gap from {gap[0]:.2g} to {gap[1]:.2g}"
    times = f", {spread[i] / typical:.1f} times its median at the data" if typical > 0 else ""
    return f"between the data the posterior's band is widest at {where}: {spread[i]:.2g}{times}"


def _inside(found):
    """Say which points of the grid lie in the range of the data."""
    X, grid = found.settings.X, grid_of(found.settings)
    inside = ((grid >= X.min(axis=0)) & (grid <= X.max(axis=0))).all(axis=1)
    return inside if inside.any() else np.ones(len(grid), dtype=bool)


def _at(found, values):
    """Values of a function on the grid at the rows."""
    X, grid = found.settings.X, grid_of(found.settings)
    nearest = [int(np.argmin(((grid - row) ** 2).sum(axis=1))) for row in X]
    return values[nearest]


def _gap(found):
    """Find the ends of a gap between the inputs; None where there is none."""
    if found.settings.X.shape[1] != 1:
        return None
    x = np.unique(found.settings.X[:, 0])
    steps = np.diff(x)
    if len(steps) < 3 or steps.max() < GAP * np.median(steps):
        return None
    i = int(np.argmax(steps))
    return float(x[i]), float(x[i + 1])


def _place(names, row):
    return ", ".join(f"{name} = {value:.2g}" for name, value in zip(names, row, strict=True))
