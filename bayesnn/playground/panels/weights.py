"""Likelihood, prior and their product over two weights, with the mirror copies of both maxima."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from bayesnn.network import Params
from bayesnn.playground.answers import Plane, places_of, weight_names
from bayesnn.playground.found import Found
from bayesnn.playground.panels.base import PagePanel
from bayesnn.playground.panels.look import LOOKS, PAINTS, band_key, legend, mark_key, new_figure, paint, pane_of
from bayesnn.playground.settings import Settings

STEPS = (0.5, 2.0, 8.0, 32.0, 128.0, 512.0)
"""Nats below the maximum at which contours are drawn: of a normal density at 1, 2, 4, 8, ... standard deviations."""
FLOOR = 1e6
"""Nats below the maximum under which all is one."""
LEVELS = (-2 * FLOOR, *(-step for step in STEPS[::-1]), 1.0)
PALETTE = ("#00224E", "#2A3F6D", "#575D6D", "#7D7C78", "#A59C74", "#D2C060", "#FEE838")
"""Cividis (Nunez et al. 2018), from far below the maximum to the maximum: light and dark tell it as well as colour."""
FIGURES = {"likelihood": "likelihood", "prior": "prior", "product": "likelihood × prior"}
MANY = 32
"""Copies from which on marks are small, and no longer counted."""
LIES = 1e-6
"""Nats by which the density at a copy may miss that at the MAP if it lies in the plane."""


class WeightsPanel(PagePanel):
    """Three contour plots over two weights that one chooses."""

    key = "weights"
    title = "Likelihood, prior and posterior over two weights"
    why = (
        "The likelihood says which weights explain the data and often has long ridges that it cannot tell apart; the "
        "prior prefers small weights; their product, which is the posterior but for a constant, has its peak, the MAP, "
        "where the two are in balance. Each picture is a cut: all other weights are held at the MAP, so a mirror copy "
        "whose other weights differ too is drawn hollow, as a shadow on this plane without a peak of its own. The "
        "draws are the whole posterior seen from above, whatever their other weights, and so they lie around all the "
        "copies."
    )
    notebook = "06_prior_against_likelihood"

    on_weights: Callable[[tuple[str, str]], None] | None = None
    """Called with the names of two weights when others have been chosen."""

    def __init__(self, dark: bool = False):
        import panel as pn
        from bokeh.models import ColumnDataSource, Range1d

        super().__init__(dark)
        self.sources = {name: ColumnDataSource({"x": [], "y": []}) for name in ("mle", "map", "map_shadow", "draws")}
        self.ranges = Range1d(start=-1, end=1), Range1d(start=-1, end=1)
        self.contours: dict[str, Any] = {}
        self.marks: dict[str, list[Any]] = {"mle": [], "map_shadow": [], "map": []}
        self.figures = {name: self._new_figure(name, title) for name, title in FIGURES.items()}
        # The browser's own: that of panel.ui opens by mouse only.
        self.selects = [
            pn.widgets.Select(label=label, options=[], disabled=True, margin=4, width=158)
            for label in ("Across", "Upwards")
        ]
        self._quiet = False
        self._for: Any = None
        for select in self.selects:
            select.param.watch(self._chosen, "value")
        self.keys = pn.pane.HTML(margin=4, sizing_mode="stretch_width")
        wide = {"sizing_mode": "stretch_width", "margin": 0}
        side = {"min_width": 250, "styles": {"flex": "1 1 250px"}, **wide}
        panes = [pn.Column(pane_of(figure), **side) for figure in self.figures.values()]
        self.view = pn.Column(pn.FlexBox(*self.selects, **wide), pn.FlexBox(*panes, **wide), self.keys, **wide)
        self._plane: Plane | None = None
        self._found: Found | None = None
        self._paint()

    def _new_figure(self, name, title):
        x, y = self.ranges
        figure = new_figure("", "", title=title, dark=self.dark, height=280, x_range=x, y_range=y)
        flat = np.zeros((2, 2))
        self.contours[name] = figure.contour(
            [0, 1],
            [0, 1],
            flat,
            LEVELS,
            fill_color=list(PALETTE),
            line_color="#FFFFFF",
            line_alpha=0.35,
            line_width=0.6,
        )
        self.contours[name].set_data(_empty())
        if name == "product":
            draws = LOOKS["posterior"]
            figure.scatter(
                "x",
                "y",
                marker=draws.marker,
                size=3.5,
                fill_color=draws.colour,
                line_color="#FFFFFF",
                line_width=0.4,
                fill_alpha=0.8,
                line_alpha=0.8,
                source=self.sources["draws"],
            )
        for source, size in (("mle", 12), ("map_shadow", 8), ("map", 10)):
            look = LOOKS[source[:3]]
            common = {"marker": look.marker, "size": size, "source": self.sources[source]}
            # White behind the mark's own colour stands out from all colours of the palette.
            behind = figure.scatter("x", "y", fill_color=None, line_color="#FFFFFF", line_width=4.5, **common)
            fill = look.colour if source == "map" else None
            before = figure.scatter("x", "y", fill_color=fill, line_color=look.colour, line_width=2, **common)
            self.marks[source] += [(behind, before)]
        return figure

    @property
    def pair(self) -> tuple[str, str] | None:
        """The two weights that are chosen; None where there are not two."""
        first, second = (select.value for select in self.selects)
        return (first, second) if first and second and first != second else None

    def offer(self, settings: Settings) -> tuple[str, str] | None:
        """Offer the weights of a network, and keep the two that are chosen where it has them.

        Parameters
        ----------
        settings : Settings
            State of the page.

        Returns
        -------
        tuple of str or None
            What is chosen now: at first what enters the first unit and what leaves it.
        """
        shape = (settings.net, settings.X.shape[1])
        if self._for != shape:
            self._for = shape
            names = weight_names(settings)
            kept = [select.value for select in self.selects]
            pair = kept if set(kept) <= set(names) and len(set(kept)) == 2 else usual_pair(names)
            self._quiet = True
            for select, name in zip(self.selects, pair, strict=True):
                select.param.update(options=names, value=name, disabled=len(names) < 2)
            self._quiet = False
        return self.pair

    def _chosen(self, event):
        """Tell of another choice; the same weight twice means that the two change places."""
        if self._quiet:
            return
        first, second = self.selects
        if first.value == second.value:
            self._quiet = True
            (second if event.obj is first else first).value = event.old
            self._quiet = False
        if self.pair is not None and self.on_weights is not None:
            self.on_weights(self.pair)

    def show(self, found: Found) -> None:
        """Draw the plane with the copies of the maxima, and the draws."""
        self.offer(found.settings)
        if found.plane is not self._plane:
            self._plane = found.plane
            self._draw_plane(found.plane)
        self._found = found
        self._draw_marks(found)
        self._write_keys()

    def _draw_plane(self, plane):
        from bokeh.plotting.contour import contour_data

        if plane is None:
            for contour in self.contours.values():
                contour.set_data(_empty())
            return
        for name, level in _levels(plane).items():
            z = np.clip(level - level.max(), -FLOOR, 0.0)
            self.contours[name].set_data(contour_data(plane.x, plane.y, z, LEVELS))
        for axis, side in zip(self.ranges, (plane.x, plane.y), strict=True):
            axis.update(start=float(side[0]), end=float(side[-1]))
        for figure in self.figures.values():
            figure.xaxis.axis_label, figure.yaxis.axis_label = plane.names

    def _draw_marks(self, found):
        plane, points = found.plane, {name: np.empty((0, 2)) for name in self.sources}
        if plane is not None:
            if plane.mle is not None:
                points["mle"] = plane.mle
            points["map"], points["map_shadow"] = self._copies(found)
            if found.posterior is not None and set(plane.names) <= set(found.posterior.samples):
                points["draws"] = np.stack([found.posterior.samples[name] for name in plane.names], axis=-1)
        for name, values in points.items():
            self.sources[name].data = {"x": values[:, 0], "y": values[:, 1]}
        for name, pairs in self.marks.items():
            many = name != "map" and len(points[name]) > MANY
            for behind, before in pairs:
                behind.visible = not many
                before.glyph.update(size=3 if many else behind.glyph.size, line_width=1 if many else 2)

    def _copies(self, found):
        """Tell copies of the MAP in the plane, itself among them, from shadows of others."""
        if found.map is None or found.plane is None or found.plane.map is None:
            return np.empty((0, 2)), np.empty((0, 2))
        at = _point(found.settings, found.plane.names, found.map.weights)
        copies = np.unique(np.concatenate([found.plane.map, at[None]]), axis=0)
        here = copies_in_plane(found.settings, found.plane.names, copies, found.map.weights)
        return copies[here], copies[~here]

    def _write_keys(self):
        steps = [0.0, *STEPS]
        names = [f"{low:g}–{high:g}" for low, high in zip(steps, STEPS, strict=False)] + [f"over {STEPS[-1]:g}"]
        bands = [band_key(name, colour, 1.0) for name, colour in zip(names, PALETTE[::-1], strict=True)]
        looks, ink = LOOKS, PAINTS[self.dark].ink
        plane = None if self._found is None else self._found.plane
        shadows = "" if self._found is not None and _is_whole(self._found.settings) else ", as shadows"
        marks = [mark_key("MAP and its copies in this plane", looks["map"].marker, looks["map"].colour, ink)]
        if shadows:
            marks.append(
                mark_key("its copies off this plane, as shadows", looks["map"].marker, "none", looks["map"].colour)
            )
        if plane is None or plane.mle is not None:
            marks.append(mark_key(f"MLE and its copies{shadows}", looks["mle"].marker, "none", looks["mle"].colour))
        marks.append(mark_key("draws of the posterior", looks["posterior"].marker, looks["posterior"].colour))
        first = "<p style='font-size:.9rem;margin:.2em 0'>Nats (units of log density) below the highest value:</p>"
        self.keys.object = first + legend(bands) + "<div style='height:.3em'></div>" + legend(marks)

    def sentence(self, found: Found) -> str:
        """Say where both maxima lie, how the prior pulls, and how many copies are seen."""
        plane = found.plane
        if plane is None or found.map is None:
            if len(weight_names(found.settings)) < 2:
                return "This network has one weight; a plane needs two, so add an input, a bias or a hidden unit."
            waits = "MLE and MAP" if found.map is None else "likelihood and prior over this plane"
            return found.troubles.get("plane", found.troubles.get("map", f"Waiting for {waits}."))
        at = _point(found.settings, plane.names, found.map.weights)
        peak = f"{plane.names[0]} = {at[0]:.2f}, {plane.names[1]} = {at[1]:.2f}"
        copies = self._copies_words(found)
        if plane.mle is None:
            return f"{self._runaway(plane)}; likelihood × prior has its peak, the MAP, at {peak}. {copies}"
        mle = plane.mle[np.abs(plane.mle - at).sum(axis=1).argmin()]
        pulled = int(np.abs(mle - at).argmax())
        return (
            f"The prior pulls {plane.names[pulled]} from {mle[pulled]:.2f} (the MLE's nearest copy) to "
            f"{at[pulled]:.2f} (MAP). {copies}"
        )

    def _runaway(self, plane):
        """Say that there is no MLE, and whether this plane shows it."""
        level = plane.log_likelihood
        i, j = np.unravel_index(level.argmax(), level.shape)
        names, place = plane.names, f"{plane.names[0]} = {plane.x[j]:.2f}, {plane.names[1]} = {plane.y[i]:.2f}"
        if i in (0, len(plane.y) - 1) or j in (0, len(plane.x) - 1):
            side = names[0] if j in (0, len(plane.x) - 1) else names[1]
            return f"The likelihood has no maximum: it still rises at the edge of this picture, along {side}"
        return (
            f"The likelihood has no maximum, which shows in other directions: in this plane it is highest near {place}"
        )

    def _copies_words(self, found):
        here, shadows = map(len, self._copies(found))
        whole = _is_whole(found.settings)
        held = "which holds all weights" if whole else "in which all other weights are held at the MAP"
        copies = found.plane.copies
        if copies == 1:
            return f"The MAP has no mirror copy in this plane, {held}."
        if math.isinf(copies) or here + shadows > MANY:
            how = "a continuum of" if math.isinf(copies) else f"{copies:,}"
            return f"The MAP has {how} copies, of which some are drawn, and {here} of them in this plane, {held}."
        if not shadows:
            return f"All {here} mirror copies of the MAP lie in this plane, {held}."
        lie = "lies" if here == 1 else "lie"
        return (
            f"Of the {copies:,} mirror copies of the MAP {here + shadows} are distinct here and {here} {lie} in this "
            f"plane, {held}."
        )

    def words(self, found: Found) -> str:
        """Tell the ranges, the maxima and how far the levels fall."""
        plane = found.plane
        if plane is None or found.map is None:
            return self.sentence(found)
        parts = []
        for name, level in _levels(plane).items():
            i, j = np.unravel_index(level.argmax(), level.shape)
            inside = np.mean(level > level.max() - 2.0)
            parts.append(
                f"The {FIGURES[name]} is highest near ({plane.x[j]:.2f}, {plane.y[i]:.2f}) and within 2 nats of that "
                f"on {inside:.1%} of the picture"
            )
        ends = ", ".join(
            f"{name} from {side[0]:.2f} to {side[-1]:.2f}"
            for name, side in zip(plane.names, (plane.x, plane.y), strict=True)
        )
        drawn = len(self.sources["draws"].data["x"])
        more = f" {drawn} draws of the posterior are shown." if drawn else ""
        return f"Contours over {ends}. {'. '.join(parts)}.{more} {self.sentence(found)}"

    def repaint(self, dark: bool) -> None:
        """Change the colours to those of a dark or a light page."""
        super().repaint(dark)
        self._paint()

    def _paint(self):
        for figure in self.figures.values():
            paint(figure, self.dark)
            figure.grid.grid_line_color = None
        self._write_keys()


def usual_pair(names: list[str]) -> tuple[str, str]:
    """Choose two weights to begin with: what enters the first unit, and what leaves it.

    Parameters
    ----------
    names : list of str
        As `weight_names` gives them.

    Returns
    -------
    tuple of str
        Twice the same where there is one weight only.

    Examples
    --------
    >>> from bayesnn.playground.panels.weights import usual_pair
    >>> usual_pair(["W1[x1, 1]", "W1[x1, 2]", "b1[1]", "b1[2]", "W2[1, target]", "W2[2, target]", "b2[target]"])
    ('W1[x1, 1]', 'W2[1, target]')
    """
    first, *rest = names
    if not rest:
        return first, first
    return first, next((name for name in rest if name.startswith("W2[1,")), rest[0])


def copies_in_plane(settings: Settings, names: tuple[str, str], copies: np.ndarray, weights: Params) -> np.ndarray:
    """Say of each copy of the MAP whether it lies in the plane in which all other weights are at the MAP.

    Parameters
    ----------
    settings : Settings
        State of the page.
    names : tuple of str
        The two weights.
    copies : array (k, 2)
        Their values in each copy.
    weights : dict of str to array
        The MAP.

    Returns
    -------
    array (k,) of bool
        Whether likelihood times prior there is what it is at the MAP.
    """
    problem, places = places_of(settings)
    batch = {name: np.broadcast_to(value, (len(copies), *np.shape(value))).copy() for name, value in weights.items()}
    for name, column in zip(names, copies.T, strict=True):
        variable, at = places[name]
        batch[variable][(..., *at)] = column

    def density(params):
        return problem.log_likelihood(params) + problem.net.log_prior(params)

    top = float(density(weights))
    return np.abs(density(batch) - top) <= LIES * max(1.0, abs(top))


def _is_whole(settings):
    """Whether the network has no other weights than two."""
    return len(weight_names(settings)) <= 2


def _point(settings: Settings, names: tuple[str, str], weights: Params) -> np.ndarray:
    """Where weights lie in the plane."""
    _, places = places_of(settings)
    return np.array([weights[places[name][0]][places[name][1]] for name in names])


def _levels(plane: Plane) -> dict[str, np.ndarray]:
    """Log densities that the three figures show, finite everywhere."""
    likelihood, prior = (
        np.nan_to_num(level, nan=-FLOOR, neginf=-FLOOR) for level in (plane.log_likelihood, plane.log_prior)
    )
    return {"likelihood": likelihood, "prior": prior, "product": likelihood + prior}


def _empty() -> Any:
    """Contours of nothing."""
    from bokeh.plotting.contour import contour_data

    return contour_data([0, 1], [0, 1], np.full((2, 2), 2.0), LEVELS)
