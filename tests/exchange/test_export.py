"""A fit's predictions as a module of plain NumPy: the numbers of `predict`, without this package."""

import csv
import io
import runpy
import subprocess
import sys

import numpy as np
import pandas as pd
import pytensor.tensor as pt
import pytest
from numpy.testing import assert_allclose

import bayesnn as bnn
from bayesnn.errors import SpecError
from bayesnn.exchange.pieces import PIECES
from tests.conftest import random_params, tree_of

RNG = np.random.default_rng(1)
X = RNG.normal(size=(9, 2))
NEW = RNG.normal(size=(4, 2))
NUMBERS = X[:, 0] + 0.3 * RNG.normal(size=9)
TARGETS = {
    "regression": NUMBERS,
    "binary": (NUMBERS > 0).astype(int),
    "classes": np.arange(9) % 3,
    "ordinal": np.arange(9) % 3,
    "count": np.arange(9),
}
OWN = {
    "loss": lambda: {"loss": bnn.losses.ResidualLoss("logcosh", lambda u: pt.log(pt.cosh(u)))},
    "skewed": lambda: {"loss": bnn.losses.ResidualLoss("skew", lambda u, a: pt.sqrt(1 + u**2) + a * u, a=0.4)},
    "activation": lambda: {"activation": bnn.Activation("bump", lambda z: pt.exp(-pt.sqr(z)) + 0.1 * pt.tanh(z))},
    "fractional": lambda: {"loss": bnn.losses.StudentT(1.5)},
    "without_mean": lambda: {"loss": bnn.losses.StudentT(0.8)},
    "known_noise": lambda: {"noise": 0.3},
    "no_biases": lambda: {"bias": False},
    "no_units": lambda: {"hidden": ()},
}
ALONE = """
import sys
for name in ("bayesnn", "scipy", "pandas", "xarray", "pytensor"):
    sys.modules[name] = None  # an import of it fails
import runpy
import numpy as np
new = np.array(eval(sys.argv[1]))
for path in sys.argv[2:]:
    found = runpy.run_path(path)["predict"](new)
    np.savez(path[:-3] + "-found.npz", **found)
"""


NAMES = [
    *(f"loss_{name}_{draws}" for name in bnn.LOSSES for draws in (1, 5)),
    *(f"phi_{name}_5" for name in bnn.ACTIVATIONS),
    *(f"own_{name}_1" for name in OWN),
    "two_targets_5",
]
"""Each loss, each activation, formulas of one's own and settings, with points and with draws."""


def tree_called(name):
    """Make the fit that a name stands for, with weights at random."""
    group, _, rest = name.partition("_")
    rest, _, draws = rest.rpartition("_")
    given = {"loss": {"loss": rest}, "phi": {"activation": rest}, "own": {}, "two": {"noise": 0.4}}[group]
    net = bnn.MLP(**{"hidden": (3, 2)} | given | (OWN[rest]() if group == "own" else {}))
    y = np.stack([NUMBERS, 3 * NUMBERS[::-1]], axis=1) if group == "two" else TARGETS[net.loss.task]
    y = {"binomial": bnn.target(TARGETS["count"], trials=9), "beta": np.linspace(0.1, 0.9, 9)}.get(net.loss.name, y)
    scaling = "standard" if draws == "5" and net.loss.task in ("regression", "classes") else None
    params = random_params(bnn.tree.prepare(net, X, y), (1, int(draws)), seed=2)
    return tree_of(net, X, y, params, scaling=scaling, kind="posterior" if draws == "5" else "map")


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    folder = tmp_path_factory.mktemp("modules")
    trees = {name: tree_called(name) for name in NAMES}
    paths = {name: bnn.export_module(tree, folder / f"{name}.py") for name, tree in trees.items()}
    given = [sys.executable, "-c", ALONE, repr(NEW.tolist()), *map(str, paths.values())]
    subprocess.run(given, check=True, cwd=folder)
    return trees, paths


def numbers_of(text):
    """Lines of a module that hold weights."""
    start = text.find("WEIGHTS = {")
    return text[start : text.index("\n}", start)].count("\n") if start >= 0 else 0


@pytest.mark.parametrize("name", NAMES)
def test_a_module_predicts_what_the_package_does(written, name):
    trees, paths = written
    found, wanted = np.load(paths[name].with_name(f"{name}-found.npz")), bnn.predict(trees[name], NEW)
    assert set(found.files) == set(wanted.data_vars)
    for key in found.files:
        assert_allclose(found[key], wanted[key].to_numpy(), rtol=1e-12, atol=1e-12, err_msg=key)
    text = paths[name].read_text()
    assert len(text.splitlines()) - numbers_of(text) < 100
    assert max(map(len, text.splitlines())) <= 120


def test_every_built_in_loss_has_its_lines():
    assert set(PIECES) == set(bnn.LOSSES)


def test_modules_are_clean_python(written):
    _, paths = written
    found = subprocess.run(
        [sys.executable, "-m", "ruff", "check", "--isolated", "--select", "E,F,I,UP,B", "--line-length", "120",
         *map(str, paths.values())], capture_output=True, text=True,
    )  # fmt: skip
    assert found.returncode == 0, found.stdout


def test_a_module_is_a_program_for_a_csv_file(written, tmp_path):
    trees, paths = written
    data = tmp_path / "data.csv"
    data.write_text("x2,more,x1\n" + "\n".join(f"{float(b)!r},u,{float(a)!r}" for a, b in NEW))
    ran = subprocess.run(
        [sys.executable, str(paths["loss_cross_entropy_5"]), str(data)], check=True, capture_output=True, text=True
    )
    rows = list(csv.DictReader(io.StringIO(ran.stdout)))
    wanted = bnn.predict(trees["loss_cross_entropy_5"], NEW)
    for k, name in enumerate(("0", "1", "2")):
        got = [float(row[f"probability[{name}]"]) for row in rows]
        assert_allclose(got, wanted["probability"][:, k], rtol=1e-12)
    assert_allclose([float(row["entropy"]) for row in rows], wanted["entropy"], rtol=1e-12)


def test_fewer_draws_are_written_on_demand(sine_post, tmp_path):
    path = bnn.export_module(sine_post, tmp_path / "few.py", draws=50)
    weights = np.load(path.with_suffix(".npz"))
    assert weights["W1"].shape == (50, 1, 2)
    assert "(posterior, 50 draws)" in path.read_text().splitlines()[0]


def test_linearised_draws_are_written_as_they_predict(tmp_path):
    tree = tree_called("phi_softplus_5")
    problem = bnn.tree.problem_of(tree)
    centre = {k: v for k, v in random_params(problem, (1, 5), seed=9).items() if k != "noise"}
    tree.attrs["bayesnn_linearised"] = 1
    tree["centre"] = bnn.tree.to_dataset(centre, problem, {"chain": [0], "draw": np.arange(5)})
    module = runpy.run_path(str(bnn.export_module(tree, tmp_path / "laplace.py")))
    wanted = bnn.predict(tree, NEW)
    assert not np.allclose(wanted["mean"], bnn.predict(tree_called("phi_softplus_5"), NEW)["mean"])
    for name, value in module["predict"](NEW).items():
        assert_allclose(value, wanted[name], rtol=1e-11, atol=1e-11, err_msg=name)


def test_names_do_not_break_out_of_the_module(tmp_path):
    evil = pd.DataFrame({'a"""\nraise SystemExit(3)\n"""': X[:, 0], "b'\\": X[:, 1]})
    net = bnn.MLP((1,), noise=0.3)
    tree = tree_of(net, evil, NUMBERS, random_params(bnn.tree.prepare(net, evil, NUMBERS), (1, 1), seed=1), kind="map")
    module = runpy.run_path(str(bnn.export_module(tree, tmp_path / "evil.py")))
    assert module["INPUTS"] == tuple(evil.columns)
    with pytest.raises(ValueError, match=r"Got X of shape \(4, 3\)"):
        module["predict"](np.ones((4, 3)))


class Outside(bnn.losses.SquaredError):
    name = "outside"


@pytest.mark.parametrize(
    ("net", "path", "said"),
    [
        (bnn.MLP((1,), noise=0.3), "fit.nc", "ends in .py"),
        (bnn.MLP((1,), noise=0.3), "my-fit.py", "Python can import"),
        (bnn.MLP((1,), loss=Outside(), noise=0.3), "fit.py", "the loss 'outside', which has no lines"),
        (bnn.MLP((1,), bnn.Activation("psi", lambda z: pt.psi(1 + z**2)), noise=0.3), "fit.py", "operation 'psi'"),
    ],
)
def test_what_can_not_be_written_is_refused_by_name(net, path, said, tmp_path):
    tree = tree_of(net, X, NUMBERS, random_params(bnn.tree.prepare(net, X, NUMBERS), (1, 1), seed=1), kind="map")
    with pytest.raises(SpecError, match=said):
        bnn.export_module(tree, tmp_path / path)
    assert not list(tmp_path.iterdir())
