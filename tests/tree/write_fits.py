"""Write the fits that each version leaves behind for later ones: ``uv run python -m tests.tree.write_fits``.

Into ``tests/tree/fits/VERSION`` go one fit of each kind, and ``expected.json``: what it predicts, computed here by
NumPy from the numbers in the file, without the package.
"""

import json
import sys
import warnings
from pathlib import Path

import netCDF4
import numpy as np

import bayesnn as bnn
from bayesnn.errors import ConvergenceWarning

FITS = Path(__file__).parent / "fits"
X = np.array([[-2.0, 3.0], [-1.0, 1.0], [0.0, 4.0], [1.0, 1.0], [2.0, 5.0], [3.0, 9.0]])
NUMBERS = np.array([12.0, 15.5, 21.0, 26.5, 29.0, 36.5])
FLOWERS = np.array([0, 1, 2, 1, 0, 2])


def write(folder):
    """Fit, save and predict; small enough to be kept for ever."""
    import pandas as pd

    folder.mkdir(parents=True, exist_ok=True)
    frame = pd.DataFrame(X, columns=["age", "dose"])
    flowers = bnn.Dataset(X, FLOWERS, None, None, X, ("age", "dose"), ("kind",), ("a", "b", "c"), "flowers", "classes")
    once = {"random_seed": 1, "progressbar": False}
    with warnings.catch_warnings():
        # So few draws don't agree, and needn't.
        warnings.simplefilter("ignore", ConvergenceWarning)
        fits = {
            "mle": bnn.fit_mle(bnn.MLP((), noise=0.5), frame, NUMBERS, restarts=2, scaling="standard", **once),
            "map": bnn.fit_map(bnn.MLP((2,), "sigmoid", loss="cross_entropy"), flowers, restarts=2, **once),
            "posterior": bnn.fit_posterior(
                bnn.MLP((2,)), frame, NUMBERS, scaling="standard", chains=2, draws=4, tune=50, **once
            ),
        }
    for kind, fit in fits.items():
        bnn.save_fit(fit, folder / f"{kind}.nc")
    expected = {kind: forward(folder / f"{kind}.nc").tolist() for kind in fits}
    (folder / "expected.json").write_text(json.dumps(expected, indent=1) + "\n")


def forward(path):
    """Predict the rows of a fit by NumPy: means in the user's units, or probabilities."""
    with netCDF4.Dataset(path) as file:
        weights = {k: np.array(v[:], dtype=float) for k, v in file["posterior"].variables.items() if k[0] in "Wb"}
        h = np.array(file["constant_data"]["X"][:])[None, None]
        network, scaling = json.loads(file.bayesnn_network), file.bayesnn_scaling
    layers = max(int(k[1:]) for k in weights)
    units = {"tanh": np.tanh, "sigmoid": lambda z: 1 / (1 + np.exp(-z))}[network["activation"]]
    for k in range(1, layers + 1):
        z = h @ weights[f"W{k}"] + weights[f"b{k}"][..., None, :]
        h = units(z) if k < layers else z
    if h.shape[-1] > 1:
        h = np.exp(h) / np.exp(h).sum(axis=-1, keepdims=True)
    elif scaling:
        scaling = json.loads(scaling)
        h = np.array(scaling["y_mean"]) + np.array(scaling["y_sd"]) * h
    return h.mean(axis=(0, 1))


if __name__ == "__main__":
    target = FITS / bnn.__version__
    if target.exists() and "--again" not in sys.argv:
        sys.exit(f"{target} exists; fits of a version that was released stay as they are. Before that: --again.")
    write(target)
    print(*sorted(f"{path}: {path.stat().st_size:,} bytes" for path in target.iterdir()), sep="\n")
