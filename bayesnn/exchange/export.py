"""A fit's predictions as a module of plain NumPy that anybody can read, and run without this package."""

import json
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

import bayesnn
from bayesnn.arguments import check_arguments
from bayesnn.data.target import known_of
from bayesnn.errors import SpecError
from bayesnn.exchange.pieces import piece_of
from bayesnn.exchange.source import HELPERS, helpers_of, written
from bayesnn.files import written_whole
from bayesnn.prediction import draws_of, some_draws
from bayesnn.tree import Problem, heading, params_of, problem_of

if TYPE_CHECKING:
    import xarray as xr

EMBEDDED = 400
"""Most numbers that are written into the module itself; more go into a file beside it."""


def export_module(fit: "xr.DataTree", path: str | Path, *, draws: int | None = None) -> Path:
    """Write the predictions of a fit as a Python module that needs NumPy alone.

    The module has under 100 lines beside its numbers: scaling, layers, activation and likelihood, each written out.
    Its function ``predict(X, prob=0.9)`` gives what `predict` gives, by the same names, as arrays; run as a program it
    prints predictions for the rows of a CSV file.

    Parameters
    ----------
    fit : xarray.DataTree
        From `fit_mle`, `fit_map`, `fit_posterior` or `from_weights`.
    path : path
        The module to write, such as ``"my_network.py"``.
    draws : int, optional
        Most draws of a posterior that are written, evenly spread over the chains; None writes all. Fewer draws predict
        faster, with a Monte Carlo error of their own.

    Returns
    -------
    pathlib.Path
        The module. Of more than 400 numbers the weights lie beside it, in ``my_network.npz``.

    Raises
    ------
    SpecError
        A path whose name is no module's; a loss of a class from outside, or a formula with an operation that NumPy
        lacks.
    FitError
        Not a bayesnn fit.
    FileError
        Nothing can be written there.

    Examples
    --------
    >>> import runpy, tempfile, bayesnn as bnn
    >>> line = bnn.MLP(hidden=(), noise=0.3)
    >>> mle = bnn.fit_mle(line, [-2, -1, 0, 1, 2], [-1.1, -0.7, 0.1, 0.8, 1.0], restarts=2, random_seed=1,
    ...                   progressbar=False)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     module = runpy.run_path(str(bnn.export_module(mle, folder + "/line.py")))
    >>> module["predict"]([[0.5]])["mean"].round(6) == bnn.predict(mle, [[0.5]])["mean"].values.round(6)
    array([[ True]])
    """
    check_arguments(path=path)
    if draws is not None:
        check_arguments(draws=draws)
    path = Path(path)
    if path.suffix != ".py" or not path.stem.isidentifier():
        raise SpecError(
            f"Got path={str(path)!r}; a module's file has a name that Python can import, and ends in .py. Write "
            "'my_network.py'."
        )
    problem = problem_of(fit)
    at = None if draws is None else some_draws(fit, int(draws))
    params, _ = draws_of(fit, problem, at=at)
    numbers = {name: np.asarray(value, dtype=float) for name, value in params.items() if name[:5] != "scale"}
    linearised = bool(fit.attrs.get("bayesnn_linearised"))
    if linearised:
        centre = params_of(fit, group="centre")
        flat = {k: v.reshape(-1, *v.shape[2:]) for k, v in centre.items()}
        numbers |= {f"centre_{k}": (v if at is None else v[at]) for k, v in flat.items() if k[0] in "Wb"}
    text, numbers = _module(fit, problem, numbers, path.stem, linearised)
    if not _embedded(numbers):
        with written_whole(path.with_suffix(".npz")) as part:
            np.savez(part, **numbers)
        stored = 'WEIGHTS = dict(np.load(Path(__file__).with_suffix(".npz")))'
    else:
        stored = "\n".join(["WEIGHTS = {", *(f'    "{k}": {_array(v)},' for k, v in numbers.items()), "}"])
    with written_whole(path) as part:
        part.write_text(text.replace("#WEIGHTS#", stored), encoding="utf-8")
    return path


def _array(value):
    """Write an array so that every number is read back to the last bit."""
    text = np.array2string(value, separator=", ", threshold=2**31, max_line_width=90, floatmode="unique")
    lines = [
        " ".join(line.replace("[ ", "[").split()).replace(" ,", ",").replace(" ]", "]") for line in text.split("\n")
    ]
    return f"np.array({lines[0]}" + "".join(f"\n        {line}" for line in lines[1:] if line) + ")"


def _embedded(numbers):
    """Say whether the weights stand in the module itself: those of one draw, if they are few."""
    return len(next(iter(numbers.values()))) == 1 and sum(value.size for value in numbers.values()) <= EMBEDDED


def _module(fit, problem: Problem, numbers, stem, linearised):
    net, loss = problem.net, problem.net.loss
    piece = piece_of(loss)
    n = len(next(iter(numbers.values())))
    numbers = numbers | piece.data
    labels = loss.task in ("binary", "classes", "ordinal")
    body: list[str] = []
    if net.hidden:
        body += _function("activation(z)", written(net.phi.formula.stable, f"the activation {net.phi.name!r}"))
    if linearised and net.hidden:
        body += _function("slope(z)", written(net.phi.formula.with_slope, f"the activation {net.phi.name!r}"))
    body += _network(problem, linearised)
    body += [*piece.lines, "", ""]
    if labels:
        body += _LABELS
    else:
        if not any(line.startswith("def quantile") for line in piece.lines):
            heavy = "np.where(np.isfinite(variance), np.sqrt(variance), np.ptp(mean, axis=0) + np.max(NOISE))"
            width = heavy if any("np.inf" in line for line in piece.lines) else "np.sqrt(variance)"
            body += [line.replace("#WIDTH#", width) for line in _QUANTILE]
        body += _numbers(problem)
    body += [line.replace("#HEADS#", _LABEL_HEADS if labels else _HEADS) for line in _MAIN]
    names = helpers_of(body)
    short = [line for name in names if len(HELPERS[name]) == 1 for line in HELPERS[name]]
    long = [line for name in names if len(HELPERS[name]) > 1 for line in [*HELPERS[name], "", ""]]
    noise = ['NOISE = WEIGHTS["noise"][:, None, None]'] if "noise" in numbers else []
    text = (
        _head(fit, problem, stem, labels, n)
        + _constants(problem, labels)
        + ["#WEIGHTS#", *noise, *piece.constants, *short, "", "", *long, *body]
    )
    if not short:
        text.remove("import math")
    if _embedded(numbers):
        text.remove("from pathlib import Path")
    return "\n".join(text).rstrip() + "\n", numbers


def _function(signature, lines):
    return [f"def {signature}:", *(f"    {line}" for line in lines), "", ""]


_UNITS = {"exposure": ", for an exposure of 1", "trials": ", of a single trial", "precision": ", for a precision of 1"}


def _words(text):
    """Text for a docstring, out of which nothing can break."""
    return " ".join(str(text).replace("\\", "/").replace('"', "'").split())


def _head(fit, problem, stem, labels, n):
    what = heading(fit) + (f", {n} draws" if n > 1 else "")
    names = ", ".join(problem.feature_names)
    gives = (
        [f"Classes, in the order of the columns of probability: {', '.join(problem.class_names)}."]
        if labels
        else [f"Predicted: {', '.join(problem.target_names)}{_UNITS.get(next(iter(known_of(problem.y)), ''), '')}."]
    )
    values = "probability" if labels else "mean" if problem.net.loss.has_mean else "median"
    lines = [
        f"Predictions of a network ({what}) in plain NumPy, written by bayesnn {bayesnn.__version__}.",
        "",
        repr(problem.net),
        f"Columns of X, in this order: {names}." if names else "X has no columns.",
        *([f"They are coded: {problem.coding.said}."] if problem.coding is not None else []),
        *gives,
    ]
    words = _wrapped([_words(line) for line in lines])
    words[0] = '"""' + words[0]
    words += ["", f'    predict(X)["{values}"]', f"    python {stem}.py data.csv"]
    imports = ["import csv", "import math", "import sys", "from pathlib import Path", "", "import numpy as np", ""]
    return [*words, '"""', "", *imports]


def _wrapped(lines):
    return [part for line in lines for part in (textwrap.wrap(line, 118, subsequent_indent="    ") or [""])]


def _constants(problem, labels):
    scaling = problem.scaling
    lines = [f"INPUTS = {_tuple(problem.feature_names)}"]
    names = problem.class_names if labels else problem.target_names
    lines.append(f"{'CLASSES' if labels else 'OUTPUTS'} = {_tuple(names)}")
    if scaling is not None:
        lines += [f"X_MEAN = {_array(np.array(scaling.x_mean))}", f"X_SD = {_array(np.array(scaling.x_sd))}"]
        if scaling.y_sd is not None and not labels:
            lines += [f"Y_MEAN = {_array(np.array(scaling.y_mean))}", f"Y_SD = {_array(np.array(scaling.y_sd))}"]
    if problem.net.loss.has_noise and isinstance(problem.net.noise, float):
        lines.append(f"NOISE = {problem.net.noise!r}")
    return lines


def _tuple(names):
    return f"({', '.join(json.dumps(str(name)) for name in names)}{',' * (len(names) == 1)})"


def _network(problem, linearised):
    layers, scaling = problem.net.n_layers, problem.scaling
    head = [
        "def network(X):",
        '    """Outputs of the network at each draw of its weights: (draw, row, output)."""',
        "    X = np.asarray(X, dtype=float)",
        "    if X.ndim != 2 or X.shape[1] != len(INPUTS):",
        '        raise ValueError(f"Got X of shape {X.shape}; its columns are {INPUTS}.")',
        f"    h = {'X' if scaling is None else '(X - X_MEAN) / X_SD'}",
    ]
    if linearised:
        return [
            *head,
            "    change = 0.0  # to first order in the weights, about their centre",
            f"    for layer in range(1, {layers + 1}):",
            '        W, V = WEIGHTS[f"W{layer}"], WEIGHTS[f"centre_W{layer}"]',
            "        h, change = h @ V, h @ (W - V) + (change @ V if layer > 1 else 0.0)",
            '        if f"b{layer}" in WEIGHTS:',
            '            b, c = WEIGHTS[f"b{layer}"], WEIGHTS[f"centre_b{layer}"]',
            "            h, change = h + c[:, None, :], change + (b - c)[:, None, :]",
            f"        if layer < {layers}:",
            "            h, change = activation(h), slope(h)[1] * change",
            "    return h + change",
            "",
            "",
        ]
    return [
        *head,
        f"    for layer in range(1, {layers + 1}):",
        '        h = h @ WEIGHTS[f"W{layer}"]',
        '        if f"b{layer}" in WEIGHTS:',
        '            h = h + WEIGHTS[f"b{layer}"][:, None, :]',
        *([f"        if layer < {layers}:", "            h = activation(h)"] if layers > 1 else []),
        "    return h",
        "",
        "",
    ]


_QUANTILE = [
    "def quantile(p, f, mean, variance):",
    '    """Where the distribution function of the mixture over the draws is p, by bisection."""',
    "    width = #WIDTH#",
    "    low, high = mean.min(axis=0) - width, mean.max(axis=0) + width",
    "    while (cdf(low, f).mean(axis=0) >= p).any():",
    "        low, width = low - width, 2 * width",
    "    while (cdf(high, f).mean(axis=0) < p).any():",
    "        high, width = high + width, 2 * width",
    "    middle = (low + high) / 2",
    "    while ((low < middle) & (middle < high)).any():",
    "        left = cdf(middle, f).mean(axis=0) < p",
    "        low, high = np.where(left, middle, low), np.where(left, high, middle)",
    "        middle = (low + high) / 2",
    "    return middle",
    "",
    "",
]


def _numbers(problem):
    loss, scaled = problem.net.loss, problem.scaling is not None and problem.scaling.y_sd is not None
    centre = "mean" if loss.has_mean else "median"
    best = "mean.mean(axis=0)" if loss.has_mean else "quantile(0.5, f, mean, epistemic + aleatoric)"
    return [
        "def predict(X, prob=0.9):",
        f'    """{centre.capitalize()}, intervals and variances (row, output), in the units of the data."""',
        "    f = network(X)",
        "    mean, variance = moments(f)",
        "    epistemic, aleatoric = mean.var(axis=0), variance.mean(axis=0)",
        f'    out = {{"{centre}": {best}}}',
        "    if prob is not None:",
        "        tails = (1 - prob) / 2, (1 + prob) / 2",
        '        out["lower"], out["upper"] = (quantile(p, f, mean, epistemic + aleatoric) for p in tails)',
        f'        out["{centre}_lower"], out["{centre}_upper"] = np.quantile(mean, tails, axis=0)',
        *(["    out = {name: value * Y_SD + Y_MEAN for name, value in out.items()}"] if scaled else []),
        '    parts = {"total": epistemic + aleatoric, "epistemic": epistemic, "aleatoric": aleatoric}',
        f'    return out | {{f"variance_{{name}}": v{" * Y_SD**2" if scaled else ""} for name, v in parts.items()}}',
        "",
        "",
    ]


_LABELS = [
    "def entropy(p):",
    "    return -np.sum(p * np.log(np.where(p > 0, p, 1.0)), axis=-1)",
    "",
    "",
    "def predict(X):",
    '    """Probability of each class, the most probable one, and the parts of the doubt, in nats."""',
    "    each = probabilities(network(X))",
    "    probability = each.mean(axis=0)",
    "    whole, aleatoric = entropy(probability), entropy(each).mean(axis=0)",
    '    out = {"probability": probability, "label": probability.argmax(axis=1), "entropy": whole}',
    '    return out | {"entropy_aleatoric": aleatoric, "mutual_information": np.maximum(whole - aleatoric, 0.0)}',
    "",
    "",
]
_MAIN = [
    'if __name__ == "__main__":',
    '    with open(sys.argv[1], newline="", encoding="utf-8-sig") as file:',
    "        found = predict([[float(row[name]) for name in INPUTS] for row in csv.DictReader(file)])",
    "    writer = csv.writer(sys.stdout)",
    "    #HEADS#",
    "    writer.writerows(np.column_stack(list(found.values())).tolist())",
]
_HEADS = 'writer.writerow([f"{name}[{k}]" for name in found for k in OUTPUTS])'
_LABEL_HEADS = 'writer.writerow([*(f"probability[{k}]" for k in CLASSES), *list(found)[1:]])'
