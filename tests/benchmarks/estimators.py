"""The estimators beside scikit-learn's, on the bundled data: how near, how sure, how honest, how long.

``python -m tests.benchmarks.estimators`` fits each model to the training rows of several splits of each data set (of
simulated data: several draws) and scores the held-out rows: root mean square error in standard deviations of the target
at the training rows, or share of right labels; mean log predictive density (LPPD, in nats, of the target in that unit);
share of rows inside 90% intervals, or expected calibration error; seconds of fit and prediction, compiling left out.
What is shown is the median over the splits.

A peer that gives no density gets a normal one about its prediction, with the standard deviation of its residuals at the
training rows (of a forest out of the bag, as its trees have seen most of the rows). A forest's vote of nought is taken
as half a vote. Where an MLE is only approached at infinity, a probability of which no digit is left is taken as zero.
"""

import argparse
import json
import time
import warnings
from pathlib import Path

import numpy as np
from rich.table import Table
from scipy import stats
from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor
from sklearn.exceptions import ConvergenceWarning
from sklearn.gaussian_process import GaussianProcessClassifier, GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF, ConstantKernel, WhiteKernel
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import bayesnn as bnn
from tests.benchmarks.runs import console, machine, write

DATA = {
    "sine_gap": "regression",
    "neal": "regression",
    "diabetes": "regression",
    "two_moons": "labels",
    "iris": "labels",
    "wine": "labels",
    "breast_cancer": "labels",
}
HIDDEN, TREES, SEED = (4,), 100, 1
LEFT = 1e-8
"""To so much is the function of a limit known."""
METHODS = ("mle", "map", "posterior")
PEERS = ("sklearn MLP", "linear", "GP", "forest")
COLUMNS = {
    "regression": {"error": "RMSE / sd", "lppd": "LPPD", "calibration": "in 90% interval", "seconds": "seconds"},
    "labels": {"error": "accuracy", "lppd": "LPPD", "calibration": "calibration error", "seconds": "seconds"},
}


def ours(method, task, *, quick):
    """Make an estimator of this package."""
    kind = bnn.sklearn.MLPRegressor if task == "regression" else bnn.sklearn.MLPClassifier
    options = {"draws": 100, "tune": 200, "restarts": 2} if quick else {"restarts": 10}
    # Labels are mostly separated: the MLE is then the limit that it tends to.
    return kind(hidden=HIDDEN, method=method, nonexistent="flag", random_state=SEED, **options)


def peer(name, task):
    """Make scikit-learn's model: its defaults, inputs standardised, enough iterations."""
    rbf = ConstantKernel() * RBF()
    if task == "regression":
        model = {
            "sklearn MLP": MLPRegressor(max_iter=5000, random_state=SEED),
            "linear": Ridge(),
            "GP": GaussianProcessRegressor(rbf + WhiteKernel(), random_state=SEED),
            "forest": RandomForestRegressor(TREES, oob_score=True, random_state=SEED),
        }[name]
        return make_pipeline(StandardScaler(), model)
    model = {
        "sklearn MLP": MLPClassifier(max_iter=5000, random_state=SEED),
        "linear": LogisticRegression(max_iter=5000),
        "GP": GaussianProcessClassifier(rbf, random_state=SEED),
        "forest": RandomForestClassifier(TREES, random_state=SEED),
    }[name]
    return make_pipeline(StandardScaler(), model)


def normal_of(model, X, y, at):
    """Mean and standard deviation of a new target by a model of scikit-learn."""
    last = model[-1]
    if isinstance(last, GaussianProcessRegressor):
        return model.predict(at, return_std=True)
    fitted = last.oob_prediction_ if isinstance(last, RandomForestRegressor) else model.predict(X)
    return model.predict(at), np.full(len(at), np.sqrt(np.mean((fitted - y) ** 2)))


def numbers(model, X, y, at, truth):
    """Fit and score a model of numbers, which are standardised."""
    began = time.perf_counter()
    model.fit(X, y)
    if isinstance(model, bnn.sklearn.MLPRegressor):
        mean, (lower, upper) = model.predict(at), model.predict_interval(at)
        seconds, log_density = time.perf_counter() - began, model.predictive_log_density(at, truth)
    else:
        mean, sd = normal_of(model, X, y, at)
        seconds, log_density = time.perf_counter() - began, stats.norm(mean, sd).logpdf(truth)
        lower, upper = stats.norm(mean, sd).interval(0.9)
    return {
        "error": float(np.sqrt(np.mean((mean - truth) ** 2))),
        "lppd": float(log_density.mean()),
        "calibration": float(np.mean((lower <= truth) & (truth <= upper))),
        "seconds": seconds,
    }


def labels(model, X, y, at, truth):
    """Fit and score a model of labels."""
    began = time.perf_counter()
    probability = model.fit(X, y).predict_proba(at)
    seconds = time.perf_counter() - began
    if not isinstance(model, bnn.sklearn.MLPClassifier) and isinstance(model[-1], RandomForestClassifier):
        probability = np.maximum(probability, 0.5 / TREES)
        probability /= probability.sum(axis=1, keepdims=True)
    own = probability[np.arange(len(truth)), truth]
    if getattr(model, "method", "") == "mle" and model.fit_.attrs["bayesnn_exists"] != 1:
        own = np.where(own < LEFT, 0.0, own)
    return {
        "error": float(np.mean(probability.argmax(axis=1) == truth)),
        "lppd": float(np.log(own).mean()) if own.all() else -np.inf,
        "calibration": calibration_error(probability, truth),
        "seconds": seconds,
    }


def calibration_error(probability, truth, bins=10):
    """Mean distance between how sure a model is and how often it is right, over bins of the former."""
    sure, right = probability.max(axis=1), probability.argmax(axis=1) == truth
    at = np.minimum((sure * bins).astype(int), bins - 1)
    return float(sum(abs(right[at == k].sum() - sure[at == k].sum()) for k in range(bins)) / len(truth))


def measure(data, model, split, *, quick=False):
    """Score one model on one split of a data set."""
    task = DATA[data]
    rows = bnn.load_data(data, random_seed=split)
    y, truth = rows.y, rows.y_test
    if task == "regression":
        y, truth = ((values - rows.y.mean()) / rows.y.std() for values in (y, truth))
    made = ours(model, task, quick=quick) if model in METHODS else peer(model, task)
    with warnings.catch_warnings():
        # Bounds of a kernel that the data do not reach; maxima that do not exist.
        warnings.simplefilter("ignore", ConvergenceWarning)
        warnings.simplefilter("ignore", bnn.ConvergenceWarning)
        return (numbers if task == "regression" else labels)(made, rows.X, y, rows.X_test, truth)


def summarise(runs):
    """Medians over the splits: of a data set, then a model, then each column."""
    found = {}
    for run in runs:
        found.setdefault(run["data"], {}).setdefault(run["model"], []).append(
            [run[c] for c in COLUMNS[DATA[run["data"]]]]
        )
    return {
        data: {
            model: dict(zip(COLUMNS[DATA[data]], np.median(rows, axis=0).tolist(), strict=True))
            for model, rows in models.items()
        }
        for data, models in found.items()
    }


def show(found):
    """Print a table for each data set."""
    for data, models in found.items():
        table, columns = Table(title=data), COLUMNS[DATA[data]]
        for heading in ("model", *columns.values()):
            table.add_column(heading, justify="left" if heading == "model" else "right")
        for model, row in models.items():
            table.add_row(
                model, *(f"{row[column]:.2g}" if column == "seconds" else f"{row[column]:.3f}" for column in columns)
            )
        console.print(table)


def markdown(found):
    """One table: models by data sets, and what a model takes."""
    models = list(dict.fromkeys(model for rows in found.values() for model in rows))
    lines = [f"| | {' | '.join(found)} | seconds |", "|---" * (len(found) + 2) + "|"]
    for model in models:
        rows = [rows.get(model) for rows in found.values()]
        cells = [" ".join(_short(row[c]) for c in ("error", "lppd", "calibration")) if row else "" for row in rows]
        seconds = [row["seconds"] for row in rows if row]
        lines.append(f"| {model} | {' | '.join(cells)} | {min(seconds):.2g} to {max(seconds):.2g} |")
    return "\n".join(lines)


def _short(value):
    """Write a number with two decimals, or what is large without any."""
    if np.isinf(value):
        return "−∞"
    return (
        (f"{value:.2f}" if abs(value) < 10 else f"{value:,.0f}")
        .replace("-0.", "-.")
        .replace("-", "−")
        .removeprefix("0")
    )


def main(argv=None):
    """Measure what is not known yet, and print the tables; see the module."""
    split = lambda text: text.split(",")  # noqa: E731
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="two splits, few draws and starts")
    parser.add_argument("--splits", type=int, default=5, help="how many of each data set")
    parser.add_argument("--data", type=split, default=list(DATA), help="of " + ",".join(DATA))
    parser.add_argument("--models", type=split, default=[*METHODS, *PEERS], help="of " + ",".join((*METHODS, *PEERS)))
    parser.add_argument("--out", type=Path, default=Path("benchmark-results"), help="folder for what is written")
    parser.add_argument("--resume", action="store_true", help="keep the runs that estimators.json has")
    args = parser.parse_args(argv)
    args.out.mkdir(parents=True, exist_ok=True)
    path = args.out / "estimators.json"
    runs = json.loads(path.read_text())["runs"] if args.resume and path.exists() else []
    known = {(run["data"], run["model"], run["split"]) for run in runs}
    for data in args.data:
        for model in args.models:
            wanted = [k for k in range(2 if args.quick else args.splits) if (data, model, k) not in known]
            if wanted and model in METHODS:
                # Compiles what the fits below need.
                measure(data, model, wanted[0], quick=True)
            for k in wanted:
                runs.append({"data": data, "model": model, "split": k, **measure(data, model, k, quick=args.quick)})
                write(path, {"machine": machine(), "runs": runs, "summary": summarise(runs)})
    show(summarise(runs))
    print(markdown(summarise(runs)))
    console.print(machine())


if __name__ == "__main__":
    main()
