"""Weights that another library has trained, in this package's orientation, with what is known of their training."""

from collections.abc import Sequence
from dataclasses import dataclass
from numbers import Real
from typing import Any

import numpy as np

from bayesnn.data import Scaling
from bayesnn.errors import SpecError
from bayesnn.losses import Loss
from bayesnn.network import MLP, Params
from bayesnn.priors import ElasticNet, Laplace, Normal, Prior


@dataclass(frozen=True)
class Decay:
    """The penalty that a library added to its loss.

    Parameters
    ----------
    library : str
        As `Prior.from_penalty` calls it, such as ``"sklearn.MLPRegressor"``.
    parameters : dict of str to float
        The library's numbers by name, such as ``{"alpha": 1e-4}``; all zero: there was no penalty.
    reduction : str or None
        How torch and keras added up the losses of a batch.
    batch : int or None
        Rows in a batch of scikit-learn's, which divides alpha by them; None: all rows.
    """

    library: str
    parameters: dict[str, float]
    reduction: str | None = None
    batch: int | None = None

    def __bool__(self):
        """Whether there was a penalty."""
        return any(self.parameters.values())

    def prior(self, loss: Loss, *, n: int, noise: float | None, n_outputs: int) -> Prior:
        """Read the penalty as a prior.

        Parameters
        ----------
        loss : Loss
            That was minimised.
        n : int
            Rows that it was trained on.
        noise : float or None
            Scale of the likelihood, where it has one.
        n_outputs : int
            Target columns.

        Returns
        -------
        Prior
            Normal, Laplace or ElasticNet; flat for the biases where the library leaves these alone.

        Raises
        ------
        SpecError
            A loss that the library does not have.
        """
        values = {name: value for name, value in self.parameters.items() if value}
        if self.batch is not None:
            values = {name: value * n / min(self.batch, n) for name, value in values.items()}
        family = ElasticNet if len(values) > 1 else Laplace if "l1" in values else Normal
        # MLPRegressor follows the gradient of the sum over the outputs.
        several = 1 if self.library.startswith("sklearn") or loss.task != "regression" else n_outputs
        return family.from_penalty(
            library=self.library,
            value=values if family is ElasticNet else next(iter(values.values())),
            loss=loss,
            noise=noise if loss.has_noise else None,
            n=n,
            reduction=self.reduction,
            n_outputs=several,
        )


@dataclass(frozen=True, eq=False)
class TrainedWeights:
    """Weights of a network that was trained elsewhere; made by `read_sklearn`, `read_torch` and `read_keras`.

    Parameters
    ----------
    params : dict of str to array
        ``W1`` (p, h1), ``b1`` (h1,), ...: inputs in rows, as this package has them.
    source : str
        Which library they come from.
    hidden : tuple of int
        Widths of the hidden layers.
    bias : bool
        Whether there are biases.
    net : MLP or None
        The network, where the library says what its activation and its loss are.
    decay : Decay or None
        The penalty that was used; None where that is not known.
    scaling : Scaling or None
        How the data were scaled before they came to the network, where that is known.
    classes : array or None
        Labels in the order of the outputs.
    notes : tuple of str
        What a reader had to assume.
    """

    params: Params
    source: str
    hidden: tuple[int, ...]
    bias: bool
    net: MLP | None = None
    decay: Decay | None = None
    scaling: Scaling | None = None
    classes: np.ndarray | None = None
    notes: tuple[str, ...] = ()

    def __repr__(self):
        """Show where they come from and what they are."""
        shapes = ", ".join(f"{name} {value.shape}" for name, value in self.params.items())
        decay = "" if self.decay is None else f"; penalty {self.decay.parameters if self.decay else 'none'}"
        return f"TrainedWeights from {self.source}: {shapes}{decay}"


def layered(layers: Sequence[tuple[Any, Any]], names: Sequence[str], source: str, **known: Any) -> TrainedWeights:
    """Put pairs of weights (inputs, outputs) and biases (or None) into a dictionary, after looking at their shapes.

    Parameters
    ----------
    layers : sequence of (array, array or None)
        In the order in which the network applies them.
    names : sequence of str
        What the library calls each layer, for messages.
    source : str
        The library.
    **known
        Further fields of `TrainedWeights`.

    Returns
    -------
    TrainedWeights
        Its biases are there if any layer has some; a layer without any then has zeros, and a note says so.

    Raises
    ------
    SpecError
        No layers, matrices that do not follow on each other, biases of another length, or what is not finite.
    """
    if not layers:
        raise SpecError(
            f"Got no layers from {source}; a network has at least one matrix of weights. Pass all of its weights."
        )
    params: dict[str, np.ndarray] = {}
    notes = list(known.pop("notes", ()))
    bias, before = any(b is not None for _, b in layers), None
    for layer, ((W, b), name) in enumerate(zip(layers, names, strict=True), start=1):
        W = finite(W, f"the weights of {name}")
        if before is not None and W.shape[0] != before:
            raise SpecError(
                f"Got weights of {name} for {W.shape[0]} inputs after a layer of {before} units; each layer takes what "
                f"the one before gives. Pass all layers, dense ones only, in the order of the network."
            )
        before = W.shape[1]
        params[f"W{layer}"] = W
        if b is not None:
            b = finite(b, f"the biases of {name}")
            if b.shape != (before,):
                raise SpecError(
                    f"Got biases of {name} of shape {b.shape} for {before} units; there is one for each unit, "
                    f"({before},). Pass the layer as the library has it."
                )
            params[f"b{layer}"] = b
        elif bias:
            params[f"b{layer}"] = np.zeros(before)
            notes.append(f"{name} has no biases: b{layer} is zero, and was not free to be anything else")
    hidden = tuple(W.shape[1] for W, _ in layers[:-1])
    return TrainedWeights(params, source, hidden, bias, notes=tuple(notes), **known)


def finite(value: Any, what: str) -> np.ndarray:
    """Read an array or a tensor as finite numbers in double precision.

    Parameters
    ----------
    value : array or tensor
        Anything that NumPy reads, or that has PyTorch's ``detach``, ``cpu`` and ``numpy``.
    what : str
        What it is called in messages.

    Returns
    -------
    array
        A copy.

    Raises
    ------
    SpecError
        No array of numbers, or numbers that are not finite.
    """
    for step in ("detach", "cpu"):
        value = getattr(value, step)() if hasattr(value, step) else value
    try:
        if hasattr(value, "float") and "bfloat16" in str(getattr(value, "dtype", "")):
            # NumPy has no such numbers.
            value = value.float()
        value = value.numpy() if callable(getattr(value, "numpy", None)) else value
        out = np.array(value, dtype=float)
    except (TypeError, ValueError, RuntimeError) as error:
        raise SpecError(f"Got {what} that are no array of numbers ({error}). Pass arrays or tensors.") from error
    if not np.isfinite(out).all():
        raise SpecError(
            f"Got {what} with {int((~np.isfinite(out)).sum())} numbers that are not finite; such a network predicts "
            "nothing. Take weights from before its training broke down, or train it with a smaller step."
        )
    return out


def not_negative(name: str, value: Any) -> float:
    """Refuse a penalty that is none."""
    if not isinstance(value, Real) or isinstance(value, bool) or not 0 <= value < float("inf"):  # type: ignore[operator]
        raise SpecError(
            f"Got {name}={value!r}; a penalty is a finite number that is not negative. Write the one that the network "
            f"was trained with, such as {name}=1e-4, or leave it out for none."
        )
    return float(value)
