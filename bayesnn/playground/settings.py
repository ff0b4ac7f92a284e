"""What the page is set to: checked and bounded, written into the page's address, and written as a script."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import Any, Literal, Self
from urllib.parse import parse_qs, urlencode

import numpy as np

from bayesnn.activations import ACTIVATIONS
from bayesnn.data import Dataset, load_data
from bayesnn.data.dataset import make_dataset
from bayesnn.errors import SpecError
from bayesnn.network import MLP
from bayesnn.priors import HalfNormal, Laplace, Normal, Prior, StudentT

BUNDLED = ("sine_gap", "neal", "two_weights", "one_node", "one_node_separated", "separable_line", "two_moons")
"""Bundled data with one input or two, of which a picture can be drawn."""
OWN = "own"
"""Name of the data that are points of one's own."""
PRIORS: dict[str, Callable[[float], Prior]] = {
    "normal": Normal,
    "laplace": Laplace,
    "student_t": lambda scale: StudentT(scale=scale),
}
LOSSES = {
    "regression": ("squared_error", "absolute_error", "huber", "student_t"),
    "binary": ("binary_cross_entropy",),
    "count": ("poisson",),
}
"""Losses of each task that the page knows pictures of."""
WIDEST, WIDEST_SECOND, MOST_ROWS = 8, 4, 200
NOISE, SD = (0.01, 10.0), (0.05, 20.0)
"""Bounds of what a slider, an address or a crafted request may ask for."""
LEARNED = 0.0
"""Noise that stands for a learned one."""
FAR = 1e6
"""Largest number in points of one's own."""
DIGITS = 5
"""Significant digits of the points in an address, and so of those that are fitted."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """One state of the page.

    Parameters
    ----------
    data : str
        One of `BUNDLED`, or ``"own"``.
    points : tuple of tuple of float
        Rows of one's own: one or two inputs and the target.
    task : str
        Of points of one's own: regression, binary or count.
    n : int
        Rows that are shown, the first of all; 0 is all.
    loss, activation : str
        Names of a loss that fits the task, and of an activation.
    hidden, second : int
        Units of the first and of the second hidden layer; 0 leaves the layer out.
    bias : bool
        Whether the layers have biases.
    noise : float
        Scale of the likelihood, where the loss has one; 0 learns it.
    prior : str
        Family, a key of `PRIORS`.
    sd : float
        Standard deviation (or scale) of the prior.
    scaled : bool
        Whether fits standardise inputs and a regression target, for data in units of their own.
    seed : int
        Of data, starts and draws.

    Raises
    ------
    SpecError
        A value that is out of bounds, with the bounds.
    """

    data: str = "sine_gap"
    points: tuple[tuple[float, ...], ...] = ()
    task: str = "regression"
    n: int = 0
    loss: str = "squared_error"
    activation: str = "tanh"
    hidden: int = 2
    second: int = 0
    bias: bool = True
    noise: float = 0.2
    prior: str = "normal"
    sd: float = 1.0
    scaled: bool = False
    seed: int = 1

    def __post_init__(self):
        _one_of("data", self.data, (*BUNDLED, OWN))
        _one_of("activation", self.activation, tuple(ACTIVATIONS))
        _one_of("prior", self.prior, tuple(PRIORS))
        _one_of("task", self.task, tuple(LOSSES))
        for name, most in (("hidden", WIDEST), ("second", WIDEST_SECOND), ("n", MOST_ROWS), ("seed", 2**31 - 1)):
            _between(name, getattr(self, name), 0, most, whole=True)
        if self.second and not self.hidden:
            raise SpecError("Got second=2 with hidden=0; the second layer follows the first. Write hidden=2.")
        _between("sd", self.sd, *SD)
        if self.noise != LEARNED:
            _between("noise", self.noise, *NOISE)
        self._check_points()
        if self.data != OWN:
            # What points of one's own were does not belong to bundled data.
            object.__setattr__(self, "points", ())
            object.__setattr__(self, "task", self.dataset.task)
        _one_of(f"loss of a {self.task} target", self.loss, LOSSES[self.task])

    def _check_points(self):
        if self.data != OWN:
            return
        rows = self.points
        if not 1 <= len(rows) <= MOST_ROWS:
            raise SpecError(f"Got {len(rows)} points; the page takes 1 to {MOST_ROWS}. Take fewer rows.")
        if len({len(row) for row in rows}) != 1 or len(rows[0]) not in (2, 3):
            raise SpecError("Got points of different lengths; each is x, y or x1, x2, y. Write 0.5, 1.2 on each line.")
        values = np.array(rows, dtype=float)
        if not np.isfinite(values).all() or np.abs(values).max() > FAR:
            raise SpecError(f"Got a number that is not finite, or beyond {FAR:g}. Leave it out, or change the unit.")
        y = values[:, -1]
        if self.task == "binary" and not np.isin(y, (0, 1)).all():
            raise SpecError(
                "Got a label that is not 0 or 1; labels are 0 and 1. Choose the task regression, or recode."
            )
        if self.task == "count" and not ((y >= 0) & (y == np.round(y)) & (y <= 1000)).all():
            raise SpecError("Got a target that is not a count from 0 to 1000. Choose the task regression.")
        shown = tuple(tuple(float(f"{value:.{DIGITS}g}") for value in row) for row in rows)
        object.__setattr__(self, "points", shown)

    @cached_property
    def dataset(self) -> Dataset:
        """All rows, of which `rows` are shown."""
        if self.data != OWN:
            return load_data(self.data, random_seed=self.seed)
        values = np.array(self.points)
        y = values[:, -1] if self.task == "regression" else values[:, -1].astype(int)
        names = ("x",) if values.shape[1] == 2 else ("x1", "x2")
        labels = ("0", "1") if self.task == "binary" else None
        options: dict[str, Any] = {"task": self.task, "feature_names": names, "class_names": labels}
        return make_dataset(values[:, :-1], y, None, None, name="points of your own", **options)

    @property
    def size(self) -> int:
        """Number of rows that are shown."""
        return min(self.n or MOST_ROWS, len(self.dataset.X))

    @property
    def X(self) -> np.ndarray:
        """Inputs that are shown."""
        return self.dataset.X[: self.size]

    @property
    def y(self) -> np.ndarray:
        """Targets that are shown."""
        return self.dataset.y[: self.size]

    @cached_property
    def net(self) -> MLP:
        """The network."""
        return MLP(
            hidden=tuple(width for width in (self.hidden, self.second) if width),
            activation=self.activation,
            loss=self.loss,
            noise=self._noise,
            prior=PRIORS[self.prior](self.sd),
            bias=self.bias,
        )

    @property
    def scaling(self) -> Literal["standard", False]:
        """As the fits take it."""
        return "standard" if self.scaled else False

    @property
    def _noise(self):
        if self.task != "regression":
            return None
        return HalfNormal(1.0) if self.noise == LEARNED else self.noise

    def with_(self, **changes: Any) -> Self:
        """Change something, and what no longer fits with it: the loss with the task of the data, and the noise."""
        data = changes.get("data", self.data)
        if data != self.data and data != OWN:
            changes = {**_usual(data), "scaled": False, **changes}
        task = load_data(data).task if data != OWN else changes.get("task", self.task)
        if changes.get("loss", self.loss) not in LOSSES[task]:
            changes["loss"] = LOSSES[task][0]
        if not changes.get("hidden", self.hidden):
            changes["second"] = 0
        return replace(self, **changes)

    def to_query(self) -> str:
        """Write what differs from the first page into the query of an address."""
        first, found = Settings(), dict[str, Any]()
        for field in fields(self):
            value = getattr(self, field.name)
            if field.name == "points":
                if value:
                    found["points"] = ";".join(
                        ",".join(f"{v:g}" if v == float(f"{v:g}") else repr(v) for v in row) for row in value
                    )
            elif value != getattr(first, field.name):
                found[field.name] = int(value) if isinstance(value, bool) else value
        if self.data != OWN:
            found.pop("task", None)
        return urlencode(found, safe=",;.")

    @classmethod
    def from_query(cls, query: str | Mapping[str, str]) -> Self:
        """Read an address; what is left out is as on the first page.

        Parameters
        ----------
        query : str or dict
            What `to_query` has written, or somebody else.

        Returns
        -------
        Settings
            The state.

        Raises
        ------
        SpecError
            Something that is no setting, or out of bounds.
        """
        if isinstance(query, str):
            query = {name: values[-1] for name, values in parse_qs(query.lstrip("?"), max_num_fields=40).items()}
        known = {field.name: field.type for field in fields(cls)}
        given: dict[str, Any] = {}
        for name, text in query.items():
            if name not in known:
                continue
            given[name] = _read(name, text, known[name])
        return cls(**given)

    def to_python(self) -> str:
        """Write the script that fits what the page shows, with its numbers."""
        lines = ["import bayesnn as bnn", ""]
        if self.data == OWN:
            values = np.array(self.points)
            lines += [f"X = {values[:, :-1].tolist()}"]
            y = values[:, -1] if self.task == "regression" else values[:, -1].astype(int)
            lines += [f"y = {y.tolist()}"]
        else:
            rows = f"[:{self.n}]" if self.n else ""
            lines += [f'data = bnn.load_data("{self.data}", random_seed={self.seed})']
            lines += [f"X, y = data.X{rows}, data.y{rows}"]
        net = self.net
        written = f"hidden={net.hidden}, activation={self.activation!r}, loss={self.loss!r}"
        if net.loss.has_noise:
            written += f", noise={'bnn.HalfNormal(1.0)' if self.noise == LEARNED else repr(self.noise)}"
        family = type(net.prior).__name__
        scale = f"scale={self.sd!r}" if self.prior == "student_t" else repr(self.sd)
        written += f", prior=bnn.{family}({scale})" + ("" if self.bias else ", bias=False")
        seed = f"random_seed={self.seed}" + (', scaling="standard"' if self.scaled else "")
        lines += [
            f"net = bnn.MLP({written})",
            "",
            f'mle = bnn.fit_mle(net, X, y, {seed}, nonexistent="flag")',
            f'map_ = bnn.fit_map(net, X, y, {seed}, nonexistent="flag")',
            f'post = bnn.fit_posterior(net, X, y, sampler="tempering", {seed})',
            "",
            "print(bnn.compare(mle, map_, post))",
            "print(bnn.log_evidence(post))",
            "bnn.plot_fits(mle, map_, post)[0].figure.savefig('fits.png')",
        ]
        return "\n".join(lines) + "\n"


def _usual(data):
    """Give what the page starts with for bundled data."""
    found = load_data(data)
    changes: dict[str, Any] = {"n": 0}
    if found.task == "regression" and found.noise:
        changes["noise"] = float(found.noise)
    return changes


def _one_of(name, value, known):
    if value not in known:
        raise SpecError(f"Got {name} {value!r}; it must be one of {', '.join(known)}. Write {known[0]!r}.")


def _between(name, value, least, most, *, whole=False):
    kind = "a whole number" if whole else "a number"
    if isinstance(value, bool) or not isinstance(value, int if whole else int | float) or not least <= value <= most:
        raise SpecError(f"Got {name}={value!r}; it must be {kind} from {least:g} to {most:g}.")


def _read(name, text, kind):
    """Read one value of an address."""
    if name == "points":
        if len(text) > 40 * MOST_ROWS:
            raise SpecError(f"Got {len(text)} characters of points; the page takes {MOST_ROWS} points. Take fewer.")
        try:
            return tuple(tuple(float(v) for v in row.split(",")) for row in text.split(";") if row)
        except ValueError:
            raise SpecError("Got points that are no numbers. Write points=0,1;0.5,1.2.") from None
    if kind in (str, "str"):
        return text[:40]
    try:
        value = float(text)
        if kind in (float, "float"):
            return value
        if value != int(value):
            raise ValueError
    except (ValueError, OverflowError):
        raise SpecError(f"Got {name}={text[:40]!r}; it must be a number. Leave it out of the address.") from None
    return bool(value) if kind in (bool, "bool") else int(value)
