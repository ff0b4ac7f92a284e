"""Data that come with the package: simulated, textbook samples, and real ones from scikit-learn."""

from dataclasses import replace

import numpy as np

from bayesnn.data.dataset import Dataset, make_dataset
from bayesnn.data.frames import from_frame
from bayesnn.data.scaling import Scaling
from bayesnn.data.simulation import PROCESSES, draw_rows

_TEXTBOOK = {
    "coin": (
        None,
        (0, 0, 0, 1, 0),
        "binary",
        None,
        "Five tosses of a coin, no features: the bias of MLP(hidden=()) is the log odds; the MLE of p is 1/5.",
    ),
    "three_points": (
        None,
        (-1.0, 0.0, 1.0),
        "regression",
        None,
        "Three points of a normal sample, no features: the bias of MLP(hidden=()) is the mean; the MLE is mu = 0, "
        "sigma = sqrt(2/3).",
    ),
    "one_node": (
        (-2.0, -1.0, 0.5, 1.0, 2.0),
        (0, 1, 0, 1, 1),
        "binary",
        None,
        "Five labels for one sigmoid node without bias; the MLE of its weight is 0.7954.",
    ),
    "one_node_separated": (
        (-2.0, -1.0, 0.5, 1.0, 2.0),
        (0, 0, 1, 1, 1),
        "binary",
        None,
        "The inputs of one_node with labels that a cut at 0 separates: the MLE does not exist, the MAP does.",
    ),
    "two_weights": (
        (-2.0, -1.0, 0.0, 1.0, 2.0),
        (-1.1, -0.7, 0.1, 0.8, 1.0),
        "regression",
        0.3,
        "Five points for f(x) = v tanh(w x) with known noise 0.3; the MLE is w = 0.7834, v = 1.1456, or both negative.",
    ),
}

_REAL = {
    "diabetes": (
        "regression",
        "disease progression",
        "442 patients, ten baseline measurements, progression after a year.",
    ),
    "breast_cancer": ("binary", "diagnosis", "569 tumours, thirty measurements of cell nuclei, malignant or benign."),
    "iris": ("classes", "species", "150 flowers, four measurements in cm, three species."),
    "wine": ("classes", "cultivar", "178 wines of three cultivars, thirteen chemical measurements."),
}

NAMES = (*PROCESSES, *_TEXTBOOK, *_REAL)
"""Names of the bundled data sets."""


def load_bundled(
    name: str, *, test_size: float, random_seed: int | np.random.Generator | None, scale: bool | None
) -> Dataset:
    """One of `NAMES`; real data are scaled unless `scale` is false, all others only where it is true."""
    if name in _REAL:
        return _load_real(name, test_size=test_size, random_seed=random_seed, scale=scale is None or bool(scale))
    if name in PROCESSES:
        process = PROCESSES[name]
        data = draw_rows(name, *process.sizes, process.noise, random_seed)
    else:
        data = _load_textbook(name)
    return replace(data, scaling=Scaling.fit(data.X, data.y, data.task == "regression")) if scale else data


def _load_textbook(name):
    """One of the samples that are small enough to compute with by hand."""
    x, y, task, noise, description = _TEXTBOOK[name]
    X = np.zeros((len(y), 0)) if x is None else np.array(x)[:, None]
    return make_dataset(
        X,
        np.array(y),
        None,
        None,
        name=name,
        task=task,
        feature_names=() if x is None else ("x",),
        noise=noise,
        description=description,
    )


def _load_real(name, **split):
    """One of scikit-learn's data sets, with its own names and coding of labels."""
    import pandas as pd
    from sklearn import datasets

    task, target, description = _REAL[name]
    options = {"scaled": False} if name == "diabetes" else {}
    bunch = getattr(datasets, f"load_{name}")(as_frame=True, **options)
    labels = bunch.target if task == "regression" else pd.Categorical.from_codes(bunch.target, bunch.target_names)
    frame = bunch.data.assign(**{target: labels})
    return from_frame(frame, target, task, name=name, description=f"{description} From scikit-learn.", **split)
