"""What one can move: widgets that follow the settings, and settings that follow the widgets."""

from collections.abc import Callable
from typing import Any

import panel as pn
from panel import ui

from bayesnn.activations import ACTIVATIONS
from bayesnn.errors import BayesnnError, SpecError
from bayesnn.playground.settings import (
    BUNDLED,
    LEARNED,
    LOSSES,
    MOST_ROWS,
    OWN,
    PRIORS,
    WIDEST,
    WIDEST_SECOND,
    Settings,
)
from bayesnn.playground.upload import Upload

SDS = (0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 1.0, 1.5, 2.0, 3.0, 5.0, 7.0, 10.0, 15.0, 20.0)
"""Stops of the prior's scale, evenly on a log scale as far as round numbers allow."""
NAMES = {
    "sine_gap": "sine with a gap (1 input)",
    "neal": "Neal's curve (1 input)",
    "two_weights": "five points (1 input)",
    "one_node": "five labels (1 input)",
    "one_node_separated": "five labels, separated (1 input)",
    "separable_line": "two classes, separated (2 inputs)",
    "two_moons": "two moons (2 inputs)",
    OWN: "points of your own",
}
_PLAIN: dict[str, Any] = {"sizing_mode": "stretch_width", "margin": (6, 0)}


class Controls:
    """The widgets of one page.

    Parameters
    ----------
    change : callable
        Is given the `Settings` that a visitor has asked for.
    refuse : callable
        Is given words where that can't be.
    """

    def __init__(self, change: Callable[[Settings], None], refuse: Callable[[str], None]):
        self._change, self._refuse = change, refuse
        self.settings = Settings()
        self._quiet = False
        self.data = ui.Select(label="Data", options={NAMES[k]: k for k in BUNDLED}, **_PLAIN)
        self.n = ui.IntSlider(label="Rows shown", start=2, end=40, value=40, **_PLAIN)
        self.noise_known = ui.Checkbox(label="Noise is known", value=True, **_PLAIN)
        self.noise = ui.TextInput(label="Noise", **_PLAIN)
        self.loss = ui.Select(label="Loss", options=list(LOSSES["regression"]), **_PLAIN)
        self.activation = ui.Select(label="Activation", options=list(ACTIVATIONS), **_PLAIN)
        self.hidden = ui.IntSlider(label="Hidden units", start=0, end=WIDEST, **_PLAIN)
        self.second = ui.IntSlider(label="Second hidden layer", start=0, end=WIDEST_SECOND, **_PLAIN)
        self.bias = ui.Checkbox(label="Biases", **_PLAIN)
        self.prior = ui.Select(label="Prior", options={k.replace("_", "-"): k for k in PRIORS}, **_PLAIN)
        self.sd = ui.DiscreteSlider(label="Prior sd", options=list(SDS), value=1.0, **_PLAIN)
        self.seed = ui.TextInput(label="Seed", **_PLAIN)
        self.file = ui.FileInput(label="Your own CSV file", accept=".csv", multiple=False, variant="outlined", **_PLAIN)
        self.target = ui.Select(label="Target", options=[], visible=False, **_PLAIN)
        self.inputs = [ui.Select(label=f"Input {k}", options=[], visible=False, **_PLAIN) for k in (1, 2)]
        for name in ("data", "n", "noise_known", "noise", "loss", "activation", "hidden", "second", "bias", "prior",
                     "sd", "seed"):  # fmt: skip
            getattr(self, name).param.watch(lambda event, name=name: self._moved(name, event.new), "value")

    @property
    def groups(self) -> dict[str, pn.viewable.Viewable]:
        """The widgets, in groups with headings."""
        return {
            "Data": pn.Column(self.data, self.n, self.file, self.target, *self.inputs, **_PLAIN),
            "Likelihood": pn.Column(self.loss, self.noise_known, self.noise, **_PLAIN),
            "Network": pn.Column(self.hidden, self.second, self.activation, self.bias, **_PLAIN),
            "Prior": pn.Column(self.prior, self.sd, **_PLAIN),
            "Chance": pn.Column(self.seed, **_PLAIN),
        }

    def show(self, settings: Settings) -> None:
        """Set the widgets to settings, without asking for anything.

        Parameters
        ----------
        settings : Settings
            State of the page.
        """
        self.settings, self._quiet = settings, True
        try:
            self._show(settings)
        finally:
            self._quiet = False

    def _show(self, s):
        known = (*BUNDLED, *([OWN] if s.data == OWN else []))
        self.data.param.update(options={NAMES[k]: k for k in known}, value=s.data)
        rows = min(MOST_ROWS, len(s.dataset.X))
        self.n.param.update(end=max(rows, 3), start=min(2, rows), value=s.size, disabled=rows < 3)
        losses = LOSSES[s.task]
        self.loss.param.update(options=list(losses), value=s.loss, disabled=len(losses) < 2)
        self.loss.label = "Loss" if len(losses) > 1 else f"Loss (the only one of a {s.task} target)"
        scale, known_noise = s.net.loss.has_noise, s.noise != LEARNED
        why = "" if scale else f" (a {s.task} target has none)"
        self.noise_known.param.update(value=known_noise and scale, disabled=not scale, label=f"Noise is known{why}")
        self.noise.disabled = not (scale and known_noise)
        self.noise.label = "Noise" if scale and known_noise else "Noise (learned)" if scale else "Noise (none)"
        if known_noise:
            self.noise.value = f"{s.noise:g}"
        self.hidden.value, self.bias.value = s.hidden, s.bias
        self.second.param.update(
            value=s.second,
            disabled=not s.hidden,
            label="Second hidden layer" if s.hidden else "Second hidden layer (needs a first)",
        )
        self.activation.param.update(
            value=s.activation,
            disabled=not s.hidden,
            label="Activation" if s.hidden else "Activation (no hidden units)",
        )
        self.prior.value, self.seed.value = s.prior, str(s.seed)
        self.sd.param.update(options=sorted({*SDS, s.sd}), value=s.sd)
        self.sd.label = "Prior sd" if s.prior == "normal" else "Prior scale"

    def offer(self, upload: Upload) -> None:
        """Let the columns of a file be chosen.

        Parameters
        ----------
        upload : Upload
            What was read.
        """
        self._quiet = True
        try:
            many = len(upload.columns) > 2
            if upload.columns:
                target = upload.target or upload.columns[-1]
                self.target.param.update(options=list(upload.columns), value=target, visible=many)
                for k, select in enumerate(self.inputs):
                    options = ([] if k == 0 else ["none"]) + [c for c in upload.columns if c != target]
                    chosen = upload.inputs[k] if k < len(upload.inputs) else options[0]
                    select.param.update(options=options, value=chosen, visible=many)
            else:
                for select in (self.target, *self.inputs):
                    select.visible = False
        finally:
            self._quiet = False

    @property
    def quiet(self) -> bool:
        """Whether widgets are being set by the page itself."""
        return self._quiet

    def _moved(self, name, value):
        if self._quiet or value is None:
            return
        try:
            self._change(self._asked(name, value))
        except BayesnnError as error:
            self._refuse(str(error))
            self.show(self.settings)

    def _asked(self, name, value):
        """Give the settings that a widget asks for."""
        s = self.settings
        if name == "n":
            return s.with_(n=0 if value >= len(s.dataset.X) else int(value))
        if name == "noise_known":
            return s.with_(noise=_number("noise", self.noise.value or "0.2") if value else LEARNED)
        if name in ("noise", "seed"):
            return s.with_(**{name: _number(name, value)})
        return s.with_(**{name: value})


def in_words(settings: Settings) -> str:
    """Say what a page is set to, for who does not see its controls.

    Parameters
    ----------
    settings : Settings
        State of the page.

    Returns
    -------
    str
        A sentence.

    Examples
    --------
    >>> from bayesnn.playground.controls import in_words
    >>> in_words(Settings(n=20, hidden=3, sd=2.0))  # doctest: +NORMALIZE_WHITESPACE
    'Data: sine with a gap (1 input), 20 of 40 rows. Loss: squared_error, noise 0.2. Network: hidden units 3, tanh.
    Prior: normal, sd 2. Seed 1.'
    """
    s, rows = settings, len(settings.dataset.X)
    noise = "" if not s.net.loss.has_noise else ", noise learned" if s.noise == LEARNED else f", noise {s.noise:g}"
    units = " and ".join(str(width) for width in s.net.hidden)
    network = f"hidden units {units}, {s.activation}" if units else "no hidden units"
    return (
        f"Data: {NAMES[s.data]}, {f'{s.size} of ' if s.size < rows else ''}{rows} rows. Loss: {s.loss}{noise}. "
        f"Network: {network}{'' if s.bias else ', no biases'}. "
        f"Prior: {s.prior.replace('_', '-')}, {'sd' if s.prior == 'normal' else 'scale'} {s.sd:g}. Seed {s.seed}."
    )


def _number(name, text):
    """Read a number that was typed; a whole one for the seed."""
    try:
        return int(text) if name == "seed" else float(text)
    except ValueError:
        raise SpecError(
            f"Got {name} {text[:20]!r}; it must be a number. Write {'1' if name == 'seed' else '0.2'}."
        ) from None
