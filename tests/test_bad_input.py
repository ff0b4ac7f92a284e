"""Wrong inputs, one a row: each is refused in words, at once, and before anything is fitted."""

import re
import subprocess
import sys
import time
import warnings
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytensor.tensor as pt
import pytest
import xarray as xr

import bayesnn as bnn
from bayesnn import cli, fitting, losses, plots, priors, symmetry, theory, tree
from bayesnn.data import as_array, check_X
from bayesnn.errors import (
    BayesnnError,
    DataError,
    FileError,
    FitError,
    ImproperPriorError,
    SpecError,
    UnknownNameError,
)
from bayesnn.tree import prepare
from tests.conftest import X5, Y5, random_params, tree_of

SECONDS = 3.0
DO = (
    "Add|Build|Call|Change|Check|Choose|Clean|Combine|Convert|Count|Cut|Did|Drop|Encode|Export|Fill|Fit|Follow|Give|"
    "Import|Install|Leave|Load|Make|Mend|Move|Name|Pass|Pick|Pull|Put|Raise|Read|Remove|Rename|Reshape|Run|Save|Say|Select|"
    "Set|Start|Take|Upgrade|Use|Widen|Write"
)
"""How a remedy begins."""


class Reached(BaseException):
    """A fit was begun; no handler of errors takes it for one."""


@pytest.fixture(autouse=True)
def no_fit(monkeypatch):
    def stop(*args, **kwargs):
        raise Reached

    monkeypatch.setattr("bayesnn.fitting.density.FusedDensity.__init__", stop)
    monkeypatch.setattr("bayesnn.fitting.density.ModelDensity.__init__", stop)


def refused(call, error, got):
    """Run what must be refused, and hold the refusal to the rules."""
    began = time.perf_counter()
    with pytest.raises(BayesnnError) as caught:
        call()
    assert time.perf_counter() - began < SECONDS
    assert type(caught.value) is error
    told(str(caught.value), got)


def told(text, got):
    """Hold a message to its form: what was got, the rule, the remedy."""
    text = " ".join(text.split())
    assert "Got " in text
    assert got in text
    sentences = re.split(r"(?<=[.?]) ", text[text.index("Got ") :])
    assert any(re.match(rf"({DO})\b", sentence) for sentence in sentences[1:]), f"no remedy: {text}"


@pytest.mark.parametrize("text", ["Got x=3; it must be 2.", "Got it wrong. That is bad.", "x=3 is bad. Write x=2."])
def test_the_check_of_messages_fires(text):
    with pytest.raises(AssertionError):
        told(text, "x=3")
    told("Got x=3; it must be 2. Write x=2.", "x=3")


def test_the_check_of_fits_fires():
    with pytest.raises(Reached):
        bnn.fit_map(NET, X5, Y5)


NET = bnn.MLP((2,), noise=0.3)
LABELS = bnn.MLP((2,), loss="cross_entropy")
TABLE = pd.DataFrame({"a": list("uvuvuv"), "b": np.arange(6.0), "y": [0.3, 1.1, 0.4, 1.3, 0.2, 1.0]})


def coded():
    """Parameters of a network with the columns of the table, coded."""
    return random_params(prepare(NET, TABLE[["a", "b"]], TABLE["y"]), (1, 1), seed=1)


X3 = np.column_stack([X5, X5**2, np.sin(X5)])


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Fits that nobody sampled, and a folder with files of them."""
    problem, labels = prepare(NET, X5, Y5), prepare(LABELS, X5, [0, 1, 2, 1, 0])
    params = {name: value[0, 0] for name, value in random_params(problem, (1, 1), seed=2).items()}
    frame = pd.DataFrame(X3[:, :2], columns=["age", "size"])
    named = prepare(NET, frame, Y5)
    folder = tmp_path_factory.mktemp("files")
    found = SimpleNamespace(
        post=tree_of(NET, X5, Y5, random_params(problem, (4, 50), seed=1)),
        point=tree_of(NET, X5, Y5, {k: v[None, None] for k, v in params.items()}, kind="map"),
        labels=tree_of(LABELS, X5, [0, 1, 2, 1, 0], random_params(labels, (4, 50), seed=1)),
        named=tree_of(NET, frame, Y5, random_params(named, (4, 50), seed=1)),
        params=params,
        data=bnn.load_data("sine_gap", random_seed=1),
        frame=frame,
        folder=folder,
    )
    bnn.save_fit(found.post, folder / "post.nc")
    bnn.save_fit(found.named, folder / "named.nc")
    found.element = symmetry.random_symmetry(NET, 1)
    return found


def rows(function, *cases):
    """Pair a call with what it must raise and say; keyword arguments may need what the fixture `made` has."""
    return [(function, *case) for case in cases]


SPEC = [
    *rows(
        lambda m, **k: bnn.MLP(**k),
        ({"hidden": 2.5}, SpecError, "hidden=2.5"),
        ({"hidden": (2, -1)}, SpecError, "hidden=(2, -1)"),
        ({"hidden": (0,)}, SpecError, "hidden=(0,)"),
        ({"hidden": (2.5,)}, SpecError, "hidden=(2.5,)"),
        ({"hidden": True}, SpecError, "hidden=True"),
        ({"hidden": "12"}, SpecError, "hidden='12'"),
        ({"hidden": ""}, SpecError, "hidden=''"),
        ({"hidden": b"x"}, SpecError, "hidden=b'x'"),
        ({"hidden": {2, 3}}, SpecError, "hidden={2, 3}"),
        ({"hidden": None}, SpecError, "hidden=None"),
        ({"hidden": 10**9}, SpecError, "hidden=(1000000000,)"),
        ({"hidden": (90_000, 9_000)}, SpecError, "hidden=(90000, 9000)"),
        ({"activation": "tan"}, UnknownNameError, "'tan'"),
        ({"activation": np.tanh}, UnknownNameError, "ufunc 'tanh'"),
        ({"activation": np.array([1, 2])}, UnknownNameError, "array([1, 2])"),
        ({"activation": None}, UnknownNameError, "None"),
        ({"loss": "squared_eror"}, UnknownNameError, "'squared_eror'"),
        ({"loss": 3}, SpecError, "loss=3"),
        ({"loss": losses.Huber}, SpecError, "Huber"),
        ({"noise": 0}, SpecError, "noise=0"),
        ({"noise": float("nan")}, SpecError, "noise=nan"),
        ({"noise": 1e308}, SpecError, "noise=1e+308"),
        ({"noise": 1e-320}, SpecError, "noise=1e-320"),
        ({"noise": "0.3"}, SpecError, "noise='0.3'"),
        ({"noise": bnn.Normal(1.0)}, SpecError, "noise=Normal"),
        ({"noise": 0.3, "loss": "poisson"}, SpecError, "noise=0.3"),
        ({"prior": "normal"}, SpecError, "prior='normal'"),
        ({"prior": bnn.Normal}, SpecError, "Normal"),
        ({"prior": bnn.HalfNormal(1.0)}, SpecError, "prior=HalfNormal"),
        ({"bias": 1}, SpecError, "bias=1"),
    ),
    *rows(
        lambda m, name, **k: getattr(losses, name)(**k),
        ({"name": "Huber", "delta": 0}, SpecError, "delta=0"),
        ({"name": "Huber", "delta": "1"}, SpecError, "delta='1'"),
        ({"name": "Quantile", "q": 1.0}, SpecError, "q=1.0"),
        ({"name": "StudentT", "nu": -1}, SpecError, "nu=-1"),
        ({"name": "StudentT", "nu": float("inf")}, SpecError, "nu=inf"),
    ),
    *rows(
        lambda m, name, rho, **k: losses.ResidualLoss(name, rho, **k),
        ({"name": "", "rho": pt.abs}, SpecError, "name=''"),
        ({"name": "x", "rho": "u**2"}, SpecError, "'u**2'"),
        ({"name": "x", "rho": lambda u: -(u**2)}, SpecError, "'x'"),
        ({"name": "x", "rho": lambda u, p: u**2 + p, "p": 2**200}, SpecError, "p="),
        ({"name": "x", "rho": lambda: 1}, SpecError, "takes 0 positional"),
        ({"name": "x", "rho": lambda u: u.sum()}, SpecError, "Sum"),
    ),
    *rows(
        lambda m, name, **k: getattr(priors, name)(**k),
        ({"name": "Normal", "sd": 0}, SpecError, "sd=0"),
        ({"name": "Normal", "sd": -1.0}, SpecError, "sd=-1.0"),
        ({"name": "Normal", "sd": 1e308}, SpecError, "sd=1e+308"),
        ({"name": "Normal", "sd": 1e-320}, SpecError, "sd=1e-320"),
        ({"name": "Normal", "sd": "1"}, SpecError, "sd='1'"),
        ({"name": "Normal", "fan_in": 1}, SpecError, "fan_in=1"),
        ({"name": "Normal", "bias": 1.0}, SpecError, "1.0 as a prior"),
        ({"name": "Laplace", "scale": float("nan")}, SpecError, "scale=nan"),
        ({"name": "StudentT", "nu": 0}, SpecError, "nu=0"),
        ({"name": "ElasticNet", "l1": 0}, SpecError, "l1=0"),
        ({"name": "ElasticNet", "l2": np.array([1, 2])}, SpecError, "l2=array"),
        ({"name": "Hierarchical", "sd": None}, SpecError, "sd=None"),
        ({"name": "HalfNormal", "sd": True}, SpecError, "sd=True"),
        ({"name": "LogNormal", "mu": 1e308}, SpecError, "mu=1e+308"),
        ({"name": "InverseGamma", "alpha": -1}, SpecError, "alpha=-1"),
    ),
    *rows(
        lambda m, **k: priors.PenaltyPrior(**k),
        ({"name": "x", "formula": 3}, SpecError, "3 as a formula"),
        ({"name": "x", "formula": lambda w: w**2, "scale": 0}, SpecError, "scale=0"),
    ),
    *rows(
        lambda m, **k: bnn.Activation("x", **k),
        ({"function": "tanh"}, SpecError, "'tanh' as a formula"),
        ({"function": lambda z: "x"}, SpecError, "'x'"),
        ({"function": lambda z: z, "symmetry": "mirror"}, UnknownNameError, "'mirror'"),
        ({"function": lambda z: z**2, "symmetry": "odd"}, SpecError, "symmetry='odd'"),
    ),
    *rows(
        lambda m, text: bnn.MLP.from_json(text),
        ({"text": "{}"}, SpecError, "keys []"),
        ({"text": "no json"}, SpecError, "'no json'"),
        ({"text": None}, SpecError, "None"),
    ),
    *rows(
        lambda m, **k: bnn.verify_loss(**k),
        ({"loss": 3}, SpecError, "loss=3"),
        ({"loss": lambda y: y}, SpecError, "positional argument"),
        ({"loss": lambda y, f: (y - f) ** 2, "support": "integers"}, SpecError, "support='integers'"),
        ({"loss": lambda y, f: (y - f) ** 2, "support": [1]}, SpecError, "support=[1]"),
        ({"loss": lambda y, f: (y - f) ** 2, "f": [1.0]}, SpecError, "1 different outputs"),
        ({"loss": lambda y, f: (y - f) ** 2, "f": "x"}, DataError, "'x'"),
        ({"loss": lambda y, f: (y - f) ** 2, "b": 3}, SpecError, "b=3"),
    ),
    *rows(
        lambda m, **k: bnn.penalty_table(**{"net": NET, "n": 10} | k),
        ({"net": 3}, SpecError, "type int"),
        ({"n": 0}, SpecError, "n=0"),
        ({"n_outputs": -1}, SpecError, "n_outputs=-1"),
    ),
    *rows(
        lambda m, **k: bnn.Scaling(**k),
        ({"x_mean": (0.0,), "x_sd": (0.0,)}, DataError, "x_sd=(0.0,)"),
        ({"x_mean": (0.0, 1.0), "x_sd": (1.0,)}, DataError, "x_mean=(0.0, 1.0)"),
        ({"x_mean": "0", "x_sd": (1.0,)}, DataError, "x_mean='0'"),
        ({"x_mean": (0.0,), "x_sd": (1.0,), "y_mean": (1.0,)}, DataError, "y_sd=None"),
    ),
]

DATA = [
    *rows(
        lambda m, X, y=Y5, net=NET: bnn.fit_map(net, X, y),
        ({"X": np.full(5, 1.0)}, DataError, "constant feature columns '0'"),
        ({"X": [1, 2, 3, 4, np.nan]}, DataError, "row 4"),
        ({"X": [1, np.inf, 3, 4, 5]}, DataError, "row 1"),
        ({"X": [1, None, 3, 4, 5]}, DataError, "row 1"),
        ({"X": ["1", "2", "3", "4", "5"]}, DataError, "'1'"),
        ({"X": [[1], [1, 2], [3], [4], [5]]}, DataError, "ragged"),
        ({"X": np.zeros((2, 2, 2))}, DataError, "shape (2, 2, 2)"),
        ({"X": np.zeros((0, 1))}, DataError, "shape (0, 1)"),
        ({"X": np.zeros((5, 0))}, DataError, "shape (5, 0)"),
        ({"X": X5 * 1j}, DataError, "complex X"),
        ({"X": np.array([object()] * 5)}, DataError, "object"),
        ({"X": np.array(["2020-01-01"] * 5, dtype="M8[D]")}, DataError, "datetime64"),
        ({"X": np.array([10**400, 1, 2, 3, 4], dtype=object)}, DataError, "integer that no float holds"),
        ({"X": np.ma.masked_array(X5, [1, 0, 0, 0, 0])}, DataError, "masked"),
        ({"X": pd.DataFrame({"a": X5, "b": list("vwxyz")})}, DataError, "'v'"),
        ({"X": pd.DataFrame(X3[:, :2], columns=["a", "a"])}, DataError, "'a'"),
        ({"X": [1e308, -1e308, 0, 1, 2]}, DataError, "1e+308"),
        ({"X": np.arange(5) * 1e-320}, DataError, "e-320"),
        ({"X": X5[:4]}, DataError, "4 rows and y with 5"),
        ({"X": 3.0}, DataError, "0 dimensions"),
        ({"X": "data.csv"}, DataError, "'data.csv'"),
        ({"X": X5, "y": None}, SpecError, "no y"),
        ({"X": X5, "y": [1, 2, 3, 4, np.nan]}, DataError, "row 4"),
        ({"X": X5, "y": list("abcde")}, DataError, "'a'"),
        ({"X": X5, "y": np.full(5, 1e308)}, DataError, "1e+308"),
        ({"X": X5, "y": [[1], [1, 2], [3], [4], [5]]}, DataError, "ragged"),
        ({"X": X5, "y": Y5, "net": "net"}, SpecError, "type str"),
        ({"X": X5, "y": [0, 1, 2, 3, 4], "net": bnn.MLP((1,), loss="binary_cross_entropy")}, DataError, "2"),
        ({"X": X5, "y": [1, 1, 1, 1, 1], "net": bnn.MLP((1,), loss="binary_cross_entropy")}, DataError, "1"),
        ({"X": X5, "y": [0, 1, 0, 1, 0.5], "net": LABELS}, DataError, "0.5"),
        ({"X": X5, "y": [0, 2, 2, 0, 2], "net": LABELS}, DataError, "labels 0, 2"),
        ({"X": X5, "y": [[1], [1, 2], [3], [4], [5]], "net": LABELS}, DataError, "ragged"),
        ({"X": X5, "y": [1, 2, -1, 0, 1], "net": bnn.MLP((1,), loss="poisson")}, DataError, "-1"),
        ({"X": X5, "y": [0, 1, 2, 3, 1e19], "net": bnn.MLP((1,), loss="poisson")}, DataError, "1e+19"),
    ),
    *rows(lambda m, **k: bnn.fit_map(NET, m.data, **k), ({"y": Y5}, SpecError, "a Dataset and y")),
    *rows(
        lambda m, source, **k: bnn.load_data(source, **k),
        ({"source": 3}, DataError, "int"),
        ({"source": "irsi"}, UnknownNameError, "'irsi'"),
        ({"source": "iris", "target": "y"}, SpecError, "target='y'"),
        ({"source": "iris", "test_size": 1.0}, SpecError, "test_size=1.0"),
        ({"source": "iris", "random_seed": -1}, SpecError, "random_seed=-1"),
        ({"source": "iris", "scale": "no"}, SpecError, "scale='no'"),
        ({"source": "iris", "sep": ";"}, SpecError, "sep=';'"),
        ({"source": "iris", "task": np.array([1, 2])}, UnknownNameError, "array([1, 2])"),
        ({"source": "x" * 5000 + ".csv"}, DataError, "no file"),
        ({"source": pd.DataFrame({"a": X5, "y": Y5})}, DataError, "no target"),
        ({"source": pd.DataFrame({"a": X5, "y": Y5}), "target": "Y"}, DataError, "'Y'"),
        (
            {"source": pd.DataFrame({"a": pd.to_datetime(["2020-01-01"] * 5), "y": Y5}), "target": "y"},
            DataError,
            "2020",
        ),
        ({"source": TABLE, "target": "y", "missing": "mean"}, SpecError, "missing='mean'"),
        ({"source": TABLE, "target": "y", "missing": None}, SpecError, "missing=None"),
        ({"source": TABLE, "target": "y", "categorical": "a"}, SpecError, "categorical='a'"),
        ({"source": TABLE, "target": "y", "categorical": ["z"]}, UnknownNameError, "'z'"),
        ({"source": TABLE, "target": "y", "categorical": 3}, SpecError, "categorical=3"),
        ({"source": TABLE, "target": "y", "exclude": ["y"]}, SpecError, "'y' in exclude"),
        ({"source": TABLE, "target": "y", "exclude": ["a", "b"]}, DataError, "'a', 'b' as no features"),
        ({"source": TABLE, "target": "y", "ordinal": {"a": "uv"}}, SpecError, "'uv'"),
        ({"source": TABLE, "target": "y", "ordinal": {"a": ["u"]}}, SpecError, "'v'"),
        ({"source": TABLE, "target": "y", "ordinal": ["a"]}, SpecError, "ordinal=['a']"),
        ({"source": TABLE, "target": "y", "reference": "u"}, SpecError, "reference='u'"),
        ({"source": TABLE, "target": "y", "reference": {"a": "w"}}, UnknownNameError, "'w'"),
        ({"source": TABLE, "target": "y", "reference": {"b": 1}}, SpecError, "no category"),
        ({"source": TABLE.assign(b=[1, 2, 3, None, 5, 6]), "target": "y"}, DataError, "row 3"),
        ({"source": TABLE.assign(b=list("abcdef")), "target": "y"}, DataError, "6 levels in 6 rows"),
        ({"source": TABLE.assign(b=["1", "2", "?"] * 2), "target": "y"}, DataError, "'?'"),
        ({"source": TABLE.assign(b=pd.Timedelta(1)), "target": "y"}, DataError, "durations in 'b'"),
        ({"source": TABLE.assign(b=[[1]] * 6), "target": "y"}, DataError, "'b' with [1]"),
        ({"source": TABLE.assign(b=1j), "target": "y"}, DataError, "complex 'b'"),
        ({"source": "iris", "missing": "drop"}, SpecError, "missing='drop'"),
        ({"source": "iris", "exclude": ["a"]}, SpecError, "exclude=['a']"),
        ({"source": "iris", "sheet": "a"}, SpecError, "sheet='a'"),
    ),
    *rows(
        lambda m, X: bnn.predict(tree_of(NET, TABLE[["a", "b"]], TABLE["y"], coded(), kind="map"), X),
        ({"X": TABLE.assign(a="w")}, DataError, "'w' in 'a'"),
        ({"X": TABLE.assign(a=None)}, DataError, "missing values in 'a'"),
        ({"X": TABLE.assign(b="w")}, DataError, "'w' in 'b'"),
        ({"X": TABLE[["a"]]}, DataError, "['b']"),
        ({"X": TABLE[["b"]]}, DataError, "['a']"),
        ({"X": np.zeros((2, 3))}, DataError, "(2, 3)"),
        ({"X": TABLE[["a", "b"]].to_numpy()}, DataError, "'u'"),
    ),
    *rows(
        lambda m, text: bnn.Coding.from_json(text),
        ({"text": "{}"}, DataError, "'{}'"),
        ({"text": None}, DataError, "None"),
    ),
    *rows(
        lambda m, **k: bnn.simulate(**{"name": "neal", "n": 5} | k),
        ({"name": ["neal"]}, UnknownNameError, "['neal']"),
        ({"n": 10**12}, SpecError, "n=1000000000000"),
        ({"noise": -0.1}, SpecError, "noise=-0.1"),
    ),
    *rows(lambda m: as_array(np.nan, "y", ndim=(0,)), ({}, DataError, "missing value in y")),
    *rows(lambda m: check_X(X3, n_features=2), ({}, DataError, "(5, 3)")),
]

FITS = [
    *rows(
        lambda m, **k: bnn.fit_map(NET, X5, Y5, **k),
        ({"restarts": 0}, SpecError, "restarts=0"),
        ({"restarts": 2**70}, SpecError, "1,000,000,000 at most"),
        ({"maxiter": 1.5}, SpecError, "maxiter=1.5"),
        ({"random_seed": "one"}, SpecError, "random_seed='one'"),
        ({"scaling": "robust"}, SpecError, "scaling='robust'"),
        ({"nonexistent": "ignore"}, SpecError, "nonexistent='ignore'"),
        ({"progressbar": 1}, SpecError, "progressbar=1"),
    ),
    *rows(
        lambda m, net=NET, **k: bnn.fit_posterior(net, X5, Y5, **k),
        ({"draws": float("nan")}, SpecError, "draws=nan"),
        ({"tune": 0}, SpecError, "tune=0"),
        ({"chains": "4"}, SpecError, "chains='4'"),
        ({"cores": -1}, SpecError, "cores=-1"),
        ({"sampler": "nutpi"}, UnknownNameError, "'nutpi'"),
        ({"sampler": np.array([1, 2])}, UnknownNameError, "array([1, 2])"),
        ({"target_accept": 1.0}, SpecError, "target_accept=1.0"),
        ({"adaptation": "full"}, UnknownNameError, "'full'"),
        ({"rounds": 3}, SpecError, "rounds=3"),
        ({"max_seconds": -1, "sampler": "tempering"}, SpecError, "max_seconds=-1"),
        ({"collapse": 1}, SpecError, "collapse=1"),
        ({"log_likelihood": "yes"}, SpecError, "log_likelihood='yes'"),
        ({"net": bnn.MLP((2,), noise=0.3, prior=bnn.Flat())}, ImproperPriorError, "prior=Flat()"),
        ({"net": bnn.MLP((2,), noise=0.3, prior=priors.PenaltyPrior("p", lambda w: w))}, ImproperPriorError, "'p'"),
    ),
    *rows(
        lambda m, **k: bnn.fit_laplace(NET, X5, Y5, **k),
        ({"copies": "some"}, UnknownNameError, "'some'"),
        ({"linearised": 1}, SpecError, "linearised=1"),
    ),
    *rows(
        lambda m, **k: fitting.fit_advi(NET, X5, Y5, **k),
        ({"method": "vi"}, UnknownNameError, "'vi'"),
        ({"iterations": 0}, SpecError, "iterations=0"),
    ),
    *rows(lambda m, weights: bnn.deep_ensemble(m.point, weights=weights), ({"weights": "w"}, UnknownNameError, "'w'")),
    *rows(
        lambda m, nets, **k: bnn.compare_networks(nets, m.data, **k),
        ({"nets": []}, SpecError, "no networks"),
        ({"nets": [None]}, SpecError, "NoneType"),
        ({"nets": [NET], "method": "bic"}, UnknownNameError, "'bic'"),
        ({"nets": [NET], "executor": 3}, SpecError, "executor=3"),
        ({"nets": [NET], "prior": [0.5, 0.5]}, SpecError, "prior"),
    ),
]

READERS = [
    *rows(
        lambda m, fit: bnn.predict(fit),
        ({"fit": None}, FitError, "NoneType"),
        ({"fit": xr.DataTree()}, FitError, "DataTree"),
    ),
    *rows(lambda m: bnn.predict(m.post["posterior"]), ({}, FitError, "DataTree")),
    *rows(
        lambda m, **k: bnn.predict(m.post, **{"X_new": X5} | k),
        ({"X_new": X3}, DataError, "(5, 3)"),
        ({"X_new": [np.nan]}, DataError, "row 0"),
        ({"X_new": "x"}, DataError, "'x'"),
        ({"X_new": ["2020"]}, DataError, "'2020'"),
        ({"prob": 2}, SpecError, "prob=2"),
        ({"prob": "0.9"}, SpecError, "prob='0.9'"),
        ({"rows": "all"}, SpecError, "rows='all'"),
    ),
    *rows(
        lambda m, columns: bnn.predict(m.named, m.frame.set_axis(columns, axis=1)),
        ({"columns": ["age", "length"]}, DataError, "'size'"),
        ({"columns": ["Age", "Size"]}, DataError, "['age', 'size']"),
        ({"columns": ["age", "age"]}, DataError, "'size'"),
    ),
    *rows(
        lambda m, y: bnn.score(m.labels, X5, y),
        ({"y": [0, 1, 2, 3, 0]}, DataError, "label 3"),
        ({"y": [0, 1, 0.5, 1, 0]}, DataError, "label 0.5"),
        ({"y": [0, 1]}, DataError, "5 rows and y with 2"),
    ),
    *rows(lambda m: bnn.diagnose(m.point), ({}, SpecError, "map fit")),
    *rows(lambda m: bnn.log_evidence(m.post), ({}, FitError, "posterior")),
    *rows(lambda m, **k: bnn.diagnose(m.post, **k), ({"reference": 3}, FitError, "int")),
    *rows(
        lambda m, *fits, **k: bnn.compare(m.post, **k),
        ({"data": 3}, SpecError, "type int"),
        ({"y": Y5}, SpecError, "y without X"),
        ({"rows": "test"}, SpecError, "rows='test'"),
    ),
    *rows(lambda m: bnn.compare(), ({}, SpecError, "no fits")),
    *rows(
        lambda m, **k: bnn.align(m.post, **k),
        ({"iterations": 0}, SpecError, "iterations=0"),
        ({"group": "prior"}, FitError, "'prior'"),
        ({"group": 3}, SpecError, "group=3"),
        ({"reference": {"W1": [[1.0]]}}, SpecError, "W1"),
    ),
    *rows(
        lambda m, params, net=NET: bnn.orbit(params, net),
        ({"params": {}}, SpecError, "no W1"),
        ({"params": {"W1": "x"}}, SpecError, "W1"),
        ({"params": None}, FitError, "NoneType"),
    ),
    *rows(
        lambda m, **k: bnn.orbit({**m.params, **k}, NET),
        ({"W1": np.full((1, 2), np.nan)}, SpecError, "W1"),
        ({"W1": np.ones((1, 3))}, SpecError, "(1, 3)"),
        ({"b1": np.ones(3)}, SpecError, "b1"),
    ),
    *rows(
        lambda m, **k: bnn.orbit(m.params, **{"net": NET} | k),
        ({"net": "net"}, SpecError, "type str"),
        ({"keep": "all"}, SpecError, "keep='all'"),
        ({"X": "x"}, DataError, "'x'"),
        ({"y": Y5}, SpecError, "y without X"),
    ),
    *rows(
        lambda m, **k: bnn.apply_symmetry(**{"params": m.params, "element": m.element, "net": NET} | k),
        ({"element": 3}, SpecError, "int"),
        ({"net": None}, SpecError, "NoneType"),
        ({"params": []}, SpecError, "list"),
        ({"element": symmetry.random_symmetry(bnn.MLP((3,)), 1)}, SpecError, "(3,)"),
    ),
    *rows(
        lambda m, **k: bnn.random_symmetry(**{"net": NET} | k),
        ({"batch": 3}, SpecError, "batch=3"),
        ({"batch": (-1,)}, SpecError, "batch=(-1,)"),
        ({"keep": None}, SpecError, "keep=None"),
    ),
    *rows(
        lambda m, **k: bnn.symmetry_group(**{"net": NET} | k),
        ({"net": 3}, SpecError, "type int"),
        ({"n_features": -1}, SpecError, "n_features=-1"),
        ({"n_outputs": 1.5}, SpecError, "n_outputs=1.5"),
    ),
    *rows(
        lambda m, **k: bnn.check_symmetry(NET, X5, Y5, **k),
        ({"n_points": 0}, SpecError, "n_points=0"),
        ({"claims": "all"}, SpecError, "claims='all'"),
        ({"model": 3}, SpecError, "model=3"),
    ),
    *rows(
        lambda m, permutations, signs: symmetry.GroupElement(permutations, signs),
        ({"permutations": ([0, 0],), "signs": ([1, 1],)}, SpecError, "[0 0]"),
        ({"permutations": ([0, 1],), "signs": ()}, SpecError, "0 signs"),
        ({"permutations": None, "signs": ()}, SpecError, "permutations=None"),
    ),
    *rows(lambda m, **k: bnn.count_modes(m.point, **k), ({"tolerance": -1}, SpecError, "tolerance=-1")),
    *rows(
        lambda m, name, **k: getattr(plots, name)(m.post, **k),
        ({"name": "plot_fits", "prob": 0}, SpecError, "prob=0"),
        ({"name": "plot_fits", "data": 3}, SpecError, "type int"),
        ({"name": "plot_fits", "figsize": [[1], [1, 2]]}, SpecError, "figsize=[[1], [1, 2]]"),
        ({"name": "plot_fits", "ax": 3}, SpecError, "ax"),
        ({"name": "plot_traces", "weights": -1}, SpecError, "weights=-1"),
        ({"name": "plot_traces", "inputs": "two"}, SpecError, "inputs='two'"),
        ({"name": "plot_ppc", "kind": "bars"}, SpecError, "kind='bars'"),
        ({"name": "plot_ppc", "draws": 0}, SpecError, "draws=0"),
        ({"name": "plot_partial_dependence", "features": 1.5}, SpecError, "features=1.5"),
        ({"name": "plot_partial_dependence", "percentiles": (1, 0)}, SpecError, "percentiles=(1, 0)"),
        ({"name": "plot_partial_dependence", "percentiles": None}, SpecError, "percentiles=None"),
        ({"name": "plot_partial_dependence", "kind": "ice"}, SpecError, "kind='ice'"),
        ({"name": "plot_strips", "layer": None}, SpecError, "layer=None"),
        ({"name": "plot_strips", "layer": True}, SpecError, "layer=True"),
        ({"name": "plot_strips", "weight": "middle"}, SpecError, "weight='middle'"),
        ({"name": "plot_strips", "units": 3}, SpecError, "units=3"),
        ({"name": "plot_mirrors", "units": (1, 1)}, SpecError, "units"),
        ({"name": "plot_optima"}, SpecError, "posterior fit without optima"),
    ),
    *rows(
        lambda m, name: getattr(plots, name)([1, 2]),
        *(
            ({"name": f"plot_{name}"}, SpecError, "list")
            for name in (
                *("approximations", "calibration", "consistency", "convexity", "estimates", "evidence", "information"),
                *("likelihood", "prior_functions", "prior_grid", "race", "sensitivity", "singular", "validation"),
            )
        ),
    ),
    *rows(
        lambda m, **k: bnn.plot_prior(NET, X5, **k),
        ({"prob": "x"}, SpecError, "prob='x'"),
        ({"feature": 2}, SpecError, "feature=2"),
        ({"curves": 0}, SpecError, "curves=0"),
    ),
]

THEORY = [
    *rows(
        lambda m, **k: theory.textbook_likelihood(**{"family": "normal", "data": [1.0, 2.0]} | k),
        ({"family": "gamma"}, UnknownNameError, "'gamma'"),
        ({"data": []}, DataError, "shape (0,)"),
        ({"family": "bernoulli", "data": [0, 2]}, DataError, "2"),
        ({"sigma": 0}, SpecError, "sigma=0"),
        ({"trials": 3}, SpecError, "trials=3"),
    ),
    *rows(
        lambda m, **k: theory.compare_estimates(theory.textbook_likelihood("bernoulli", [0, 1]), **k),
        ({"priors": None}, SpecError, "priors=None"),
        ({"priors": [(1, 1)], "copies": (0,)}, SpecError, "copies"),
    ),
    *rows(lambda m: theory.underflow(theory.textbook_likelihood("bernoulli", [0]), "x"), ({}, SpecError, "theta='x'")),
    *rows(lambda m, n: theory.product_evidence(n), ({"n": -1}, DataError, "n=-1"), ({"n": "x"}, DataError, "'x'")),
    *rows(
        lambda m, **k: theory.fisher_information(**{"net": NET, "params": m.params, "X": X5} | k),
        ({"tolerance": None}, SpecError, "tolerance=None"),
        ({"params": None}, SpecError, "without parameters"),
    ),
    *rows(
        lambda m, function, **k: getattr(theory, function)(**{"net": NET, "X": X5, "y": Y5} | k),
        ({"function": "exact_posterior", "quantiles": (2.0,)}, SpecError, "2.0"),
        ({"function": "map_to_mle", "copies": [0]}, SpecError, "copies=[0]"),
        ({"function": "map_to_mle", "net": 3}, SpecError, "type int"),
        ({"function": "race_weights", "prior_sds": 3}, SpecError, "prior_sds=3"),
        ({"function": "race_weights", "steps": 0}, SpecError, "steps=0"),
        ({"function": "prior_grid", "n_values": [[1], [1, 2]]}, DataError, "n_values=[[1], [1, 2]]"),
        ({"function": "prior_grid", "prior_sds": "x"}, SpecError, "prior_sds='x'"),
        ({"function": "information_criteria", "draws": 0}, SpecError, "draws=0"),
    ),
    *rows(
        lambda m, **k: theory.prior_functions(NET, X5, **k),
        ({"widths": []}, SpecError, "widths=[]"),
        ({"priors": 3}, SpecError, "priors=3"),
    ),
    *rows(
        lambda m, **k: theory.singular_study(**{"net": NET, "truth": m.params, "n_values": [10]} | k),
        ({"truth": 3}, SpecError, "truth=3"),
        ({"span": (1, 1)}, SpecError, "span=(1, 1)"),
        ({"span": None}, SpecError, "span=None"),
    ),
    *rows(
        lambda m, **k: theory.consistency_study(**{"net": NET, "truth": m.params, "inputs": X5} | k),
        ({"inputs": lambda: 1}, SpecError, "inputs="),
        ({"n_values": []}, SpecError, "n_values"),
    ),
    *rows(
        lambda m, **k: theory.calibrate(NET, X5, **k),
        ({"quantities": ("weight",)}, UnknownNameError, "'weight'"),
        ({"sampler": "gibbs"}, UnknownNameError, "'gibbs'"),
        ({"path": 3, "random_seed": 1}, SpecError, "path=3"),
    ),
    *rows(
        lambda m, **k: theory.validate_sampler(**k),
        ({"sampler": "gibbs"}, SpecError, "sampler='gibbs'"),
        ({"references": 3}, SpecError, "references=3"),
        ({"references": ["x"]}, UnknownNameError, "'x'"),
    ),
]


@pytest.mark.parametrize(
    ("function", "given", "error", "got"),
    [pytest.param(*row, id=f"{k}-{row[3]}"[:60]) for k, row in enumerate([*SPEC, *DATA, *FITS, *READERS, *THEORY])],
)
def test_what_is_wrong_is_refused_in_words(made, function, given, error, got):
    refused(lambda: function(made, **given), error, got)


INSPECTION = [
    *rows(
        lambda m, **k: bnn.marginal_effects(m.named, **k),
        ({"features": "weight"}, SpecError, "features='weight'"),
        ({"features": 0}, SpecError, "features=0"),
        ({"features": [True]}, SpecError, "features=True"),
        ({"features": []}, SpecError, "features=[]"),
        ({"contrasts": ["slop"]}, UnknownNameError, "'slop'"),
        ({"contrasts": []}, SpecError, "contrasts=[]"),
        ({"contrasts": None}, SpecError, "contrasts=None"),
        ({"prob": 90}, SpecError, "prob=90"),
        ({"draws": -1}, SpecError, "draws=-1"),
        ({"data": [[1.0]]}, DataError, "1"),
        ({"data": [[1.0, np.nan]]}, DataError, "row 0"),
        ({"rows": "test"}, SpecError, "rows='test'"),
    ),
    *rows(lambda m: bnn.marginal_effects(), ({}, SpecError, "no fits")),
    *rows(lambda m: bnn.marginal_effects(m.post["posterior"]), ({}, FitError, "DataTree without")),
    *rows(
        lambda m, **k: bnn.partial_dependence(m.named, **k),
        ({"features": "weight"}, SpecError, "features='weight'"),
        ({"features": None}, SpecError, "features=None"),
        ({"features": ("age", "age")}, SpecError, "features=('age', 'age')"),
        ({"features": ["age", "size", "age"]}, SpecError, "features=['age', 'size', 'age']"),
        ({"features": 1, "grid_resolution": 1}, SpecError, "grid_resolution=1"),
        ({"features": 1, "percentiles": (0.5, 0.5)}, SpecError, "percentiles=(0.5, 0.5)"),
        ({"features": 1, "centred": "x1"}, SpecError, "centred='x1'"),
        ({"features": 1, "prob": None}, SpecError, "prob=None"),
    ),
    *rows(
        lambda m, **k: bnn.posterior_predictive_check(m.post, **k),
        ({"statistics": "mean"}, SpecError, "statistics='mean'"),
        ({"statistics": {"mean": 3}}, SpecError, "statistics={'mean': 3}"),
        ({"statistics": {"all": np.sort}}, SpecError, "'all'"),
        ({"statistics": {"log": lambda y: np.inf}}, SpecError, "'log'"),
        ({"draws": 1.5}, SpecError, "draws=1.5"),
        ({"prob": 1}, SpecError, "prob=1"),
        ({"random_seed": -1}, SpecError, "random_seed=-1"),
        ({"rows": "train"}, SpecError, "rows='train'"),
        ({"data": 3}, SpecError, "type int"),
    ),
    *rows(
        lambda m, **k: plots.plot_partial_dependence(m.named, **k),
        ({"features": [("age", "weight")]}, SpecError, "features='weight'"),
        ({"features": [("age", "size", "age")]}, SpecError, "features=('age', 'size', 'age')"),
        ({"target": [1, 2]}, SpecError, "target=2"),
        ({"target": []}, SpecError, "target=[]"),
        ({"centred": None}, SpecError, "centred=None"),
    ),
]
"""Of what a fit is read by."""


@pytest.mark.parametrize(
    ("function", "given", "error", "got"),
    [pytest.param(*row, id=f"{k}-{row[3]}"[:60]) for k, row in enumerate(INSPECTION)],
)
def test_what_is_no_question_to_a_fit_is_refused_in_words(made, function, given, error, got):
    refused(lambda: function(made, **given), error, got)


@pytest.fixture(scope="module")
def tables(made):
    """Files that are wrong, each in a way of its own."""
    text = {
        "empty": "",
        "blank": "\n\n",
        "header": "a,y\n",
        "headless": "1,2\n3,4\n",
        "ragged": "a,y\n1,2\n1,2,3\n",
        "trailing": "a,y\n1,2,\n3,4,\n",
        "unnamed": ",a,y\n0,1.5,2\n1,2.5,3\n",
        "twice": "a,a,y\n1,2,0.5\n2,5,1.5\n",
        "unclosed": 'a,y\n"1,2\n3,4\n',
        "dates": "a,y\n2020-01-01,1.5\n2020-01-02,2.5\n",
        "german_dates": "a;y\n01.02.2020;1,5\n02.02.2020;2,5\n",
        "missing": "a,y\n1,2.5\n,3.5\n",
        "infinite": "a,y\n1,2.5\ninf,3.5\n",
        "huge": "a,y\n1,2.5\n1e400,3.5\n",
        "words": "a,y\nred,2.5\nblue,3.5\n",
        "thousands": "a;y\n1,234;1\n1,235;2\n",
        "millions": "a;y\n1,000,000;1.5\n",
        "quoted": 'a,y\n"1,234",1.5\n"1,235",2.5\n',
        "both_signs": "a;y\n1,5;2.5\n2,5;3.5\n",
        "both_separators": "a;b,y\n1;2,3\n2;3,4\n",
        "spaces": "a y\n1 2.5\n2 3.5\n",
        "zero_byte": "a,y\n1,2\x00\n3,4\n",
        "long": "a,y\n1," + "2" * 200_000 + "\n",
        "one": "y\n1.5\n2.5\n",
        "late_comma": "a;y\n" + "".join(f"{i};{i}\n" for i in range(400)) + "1,5;1\n",
    }
    raw = {
        "latin": "größe,y\n1,2\n2,3\n".encode("latin-1"),
        "late_latin": ("a,y\n" + "1,2\n" * 100_000 + "ö,3\n").encode("latin-1"),
        "utf16": "a,y\n1,2\n2,3\n".encode("utf-16"),
        "zipped": b"\x1f\x8b\x08aaaa",
        "sheet": b"PK\x03\x04aaaa",
        "netcdf": b"CDF\x01aaaa",
        "false": b"PAR1aaaa",
    }
    folder = made.folder / "tables"
    folder.mkdir()
    for name, content in text.items():
        (folder / f"{name}.csv").write_text(content, encoding="utf-8", newline="")
    for name, content in raw.items():
        (folder / f"{name}.csv").write_bytes(content)
    (folder / "cut.parquet").write_bytes(b"PAR1")
    (folder / "folder.csv").mkdir()
    return folder


TABLES = {
    "empty.csv": "No columns",
    "blank.csv": "No columns",
    "header.csv": "0 rows",
    "headless.csv": "first line '1', '2'",
    "ragged.csv": "line 3",
    "trailing.csv": "line 2",
    "unnamed.csv": "column 0",
    "twice.csv": "'a'",
    "unclosed.csv": "row 1",
    "dates.csv": "'2020-01-01'",
    "german_dates.csv": "'01.02.2020'",
    "missing.csv": "row 1, column 'a'",
    "infinite.csv": "row 1, column 'a'",
    "huge.csv": "row 1, column 'a'",
    "words.csv": "'red'",
    "thousands.csv": "'1,234'",
    "millions.csv": "'1,000,000'",
    "quoted.csv": "'1,234'",
    "both_signs.csv": "'1,5' and with '2.5'",
    "both_separators.csv": "commas and semicolons",
    "spaces.csv": "'a y'",
    "zero_byte.csv": "line 2",
    "long.csv": "field limit",
    "one.csv": "besides the target 'y'",
    "late_comma.csv": "'1,5'",
    "latin.csv": "line 1 holds the byte 0xF6",
    "late_latin.csv": "line 100002 holds the byte 0xF6",
    "utf16.csv": "UTF-16",
    "zipped.csv": "compressed",
    "sheet.csv": "spreadsheet",
    "netcdf.csv": "netCDF",
    "false.csv": "Parquet",
    "cut.parquet": "'cut.parquet'",
    "folder.csv": "no file",
    "none.csv": "no file",
}


@pytest.mark.parametrize("name", TABLES)
def test_a_table_that_is_wrong_is_refused_in_words(tables, name):
    refused(lambda: bnn.load_data(tables / name, target="y", test_size=0), DataError, TABLES[name])


def test_parquet_without_its_library_is_refused(made, monkeypatch):
    pytest.importorskip("pyarrow", reason="pyarrow comes with nutpie")
    made.frame.to_parquet(made.folder / "rows.parquet")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    refused(lambda: bnn.load_data(made.folder / "rows.parquet", target="age"), DataError, "'rows.parquet'")


def changed(folder, name, **attrs):
    """Write the fit anew with other attributes; None takes one away."""
    fit = bnn.load_fit(folder / "post.nc")
    for key, value in attrs.items():
        fit.attrs[key] = value
        if value is None:
            del fit.attrs[key]
    fit.to_netcdf(folder / name)
    return folder / name


def without(folder, name, *parts):
    """Write the fit anew without some groups."""
    fit = bnn.load_fit(folder / "post.nc")
    kept = {path: node for path, node in fit.to_dict().items() if path.strip("/") not in parts}
    found = xr.DataTree.from_dict(kept)
    found.attrs.update(fit.attrs)
    found.to_netcdf(folder / name)
    return folder / name


def of_another_network(folder):
    other = bnn.MLP((3,), noise=0.3).to_json()
    return changed(folder, "another.nc", bayesnn_network=other)


def foreign(folder):
    xr.Dataset({"a": 1.0}).to_netcdf(folder / "foreign.nc")
    return folder / "foreign.nc"


def truncated(folder):
    whole = (folder / "post.nc").read_bytes()
    (folder / "truncated.nc").write_bytes(whole[: len(whole) // 2])
    return folder / "truncated.nc"


def text(folder):
    (folder / "text.nc").write_text("no netCDF")
    return folder / "text.nc"


FILES = {
    "missing": (lambda f: f / "none.nc", "none.nc"),
    "no path": (lambda f: 3, "path=3"),
    "folder": (lambda f: f, "can't be read"),
    "text": (text, "text.nc"),
    "truncated": (truncated, "truncated.nc"),
    "foreign": (foreign, "foreign.nc"),
    "newer": (lambda f: changed(f, "newer.nc", bayesnn_version="97.1.0"), "97.1.0"),
    "next minor": (lambda f: changed(f, "minor.nc", bayesnn_version="0.97.0"), "0.97.0"),
    "without network": (lambda f: changed(f, "net.nc", bayesnn_network=None), "without network"),
    "without names": (lambda f: changed(f, "names.nc", bayesnn_names=None), "without names"),
    "without kind": (lambda f: changed(f, "kind.nc", bayesnn_kind=None), "kind.nc"),
    "names cut": (lambda f: changed(f, "cut.nc", bayesnn_names='{"feature": ["x1"'), "cut.nc"),
    "network of another kind": (lambda f: changed(f, "json.nc", bayesnn_network='{"hidden": [2]}'), "keys ['hidden']"),
    "another network's weights": (of_another_network, "W1"),
    "without weights": (lambda f: without(f, "weights.nc", "posterior"), "without posterior"),
    "without data": (lambda f: without(f, "data.nc", "constant_data"), "constant_data"),
}


@pytest.mark.parametrize("row", FILES)
def test_a_fit_that_cannot_be_read_is_refused_in_words(made, row):
    path, got = FILES[row]
    path = path(made.folder)
    refused(lambda: bnn.load_fit(path), SpecError if row in ("no path", "network of another kind") else FitError, got)


def test_a_fit_of_the_same_minor_version_is_read(made):
    patch = ".".join([*bnn.__version__.split(".")[:2], "97"])
    again = bnn.load_fit(changed(made.folder, "patch.nc", bayesnn_version=patch))
    assert again.attrs["bayesnn_version"] == patch
    assert tree.problem_of(again).net == NET


def test_a_fit_without_a_part_is_no_key_error(made):
    fit = made.post.copy()
    del fit.attrs["bayesnn_scaling"]
    refused(lambda: bnn.predict(fit), FitError, "bayesnn_scaling")


def test_columns_are_found_by_their_names(made):
    usual = bnn.predict(made.named, made.frame)
    turned = bnn.predict(made.named, made.frame[["size", "age"]].assign(colour="red"))
    assert np.array_equal(usual["mean"], turned["mean"])
    assert not np.allclose(usual["mean"], bnn.predict(made.named, made.frame.to_numpy()[:, ::-1])["mean"])


@pytest.mark.parametrize(
    ("path", "got"),
    [
        (lambda f: f / "tables.txt" / "x.nc", "x.nc"),
        (lambda f: "/proc/none/x.nc", "/proc/none/x.nc"),
        (lambda f: f, "folder"),
        (lambda f: "/dev/full", "/dev/full"),
        (lambda f: "a\0b.nc", "a\\x00b.nc"),
    ],
)
def test_what_cannot_be_written_is_refused(made, path, got):
    (made.folder / "tables.txt").touch()
    refused(lambda: bnn.save_fit(made.post, path(made.folder)), FileError, got)


@pytest.mark.parametrize("trouble", [OSError(28, "No space left on device"), RuntimeError("NetCDF: HDF error")])
def test_a_full_disk_leaves_what_was_there(made, tmp_path, monkeypatch, trouble):
    path = tmp_path / "fit.nc"
    path.write_text("what was there")

    def full(self, part, **kwargs):
        part.write_bytes(b"half")
        raise trouble

    monkeypatch.setattr(xr.DataTree, "to_netcdf", full)
    refused(lambda: bnn.save_fit(made.post, path), FileError, "fit.nc")
    assert path.read_text() == "what was there"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(("missing", "sampler"), [("numpyro", "numpyro"), ("jax", "numpyro")])
def test_a_sampler_that_is_not_installed_is_refused(made, monkeypatch, missing, sampler):
    monkeypatch.setitem(sys.modules, missing, None)
    refused(lambda: bnn.fit_posterior(NET, X5, Y5, sampler=sampler, progressbar=False), SpecError, missing)


def test_a_playground_that_is_not_installed_is_refused(run, monkeypatch):
    monkeypatch.setitem(sys.modules, "panel", None)
    code, _, said = run("explore", "--no-browser")
    assert code == 1
    told(said, "panel")


@pytest.fixture
def run(monkeypatch, capsys):
    """Run the command line in this process: exit code, standard output, standard error."""
    monkeypatch.setenv("COLUMNS", "200")

    def call(*words):
        monkeypatch.setattr(sys, "argv", ["bayesnn", *map(str, words)])
        with warnings.catch_warnings(), pytest.raises(SystemExit) as ended:
            cli.main()
        shown = capsys.readouterr()
        return ended.value.code or 0, shown.out, shown.err

    return call


COMMANDS = [
    ("compare --restarts 0", "--restarts 0"),
    ("compare --data none.csv", "'none.csv'"),
    ("compare --data irsi", "'irsi'"),
    ("compare --hidden 2,x", "'2,x'"),
    ("compare --hidden ,", "','"),
    ("compare --draws 99999999999", "--draws 99999999999"),
    ("compare --noise nan", "--noise nan"),
    ("compare --seed -1", "--seed -1"),
    ("compare --sep :", "--sep :"),
    ("compare --decimal x", "--decimal x"),
    ("compare --data iris --sep ;", "sep=';'"),
    ("compare --out {folder}/post.nc", "{folder}/post.nc"),
    ("fit map --data {folder}/tables/words.csv --target y", "'red'"),
    ("fit map --data {folder}/tables/latin.csv --target y", "0xF6"),
    ("fit map --data {folder}/tables/thousands.csv --target y", "--decimal"),
    ("fit map --data {folder}/tables/cut.parquet --target y", "'cut.parquet'"),
    ("fit map --data {folder}/tables/dates.csv --target y --sep ,", "'2020-01-01'"),
    ("fit map --data iris --loss squared_error", "label"),
    ("fit map --data iris --loss hubber", "'hubber'"),
    ("fit map --sampler tempering", "--sampler tempering"),
    ("fit map --data iris --task none", "'none'"),
    ("fit map --data iris --out /dev/full", "/dev/full"),
    ("fit map --data iris --out {folder}", "{folder}"),
    ("predict {folder}/none.nc --data none.csv --out {folder}/p.csv", "none.nc"),
    ("predict {folder}/post.nc --data none.csv --out {folder}/p.csv", "'none.csv'"),
    ("predict {folder}/post.nc --data {folder}/tables/words.csv --out {folder}/p.csv", "['x1']"),
    ("predict {folder}/post.nc --data none.csv --prob 2 --out {folder}/p.csv", "--prob 2.0"),
    ("predict {folder}/post.nc --data none.csv --out /proc/none/p.csv", "/proc/none/p.csv"),
    ("diagnose {folder}/none.nc", "none.nc"),
    ("diagnose {folder}/tables/words.csv", "words.csv"),
    ("effects {folder}/none.nc", "none.nc"),
    ("effects {folder}/post.nc --prob 2", "--prob 2.0"),
    ("effects {folder}/post.nc --data none.csv", "'none.csv'"),
    ("effects {folder}/named.nc --data {folder}/tables/headless.csv", "'1', '2'"),
    ("effects {folder}/post.nc --data {folder}/tables/one.csv", "['x1']"),
    ("effects {folder}/post.nc --out /proc/none/e.csv", "/proc/none/e.csv"),
    ("effects {folder}/post.nc --draw /proc/none.png", "/proc/none.png"),
    ("check {folder}/none.nc", "none.nc"),
    ("check {folder}/post.nc --draws 0", "--draws 0"),
    ("check {folder}/post.nc --seed -1", "--seed -1"),
    ("check {folder}/post.nc --draw /proc/none.png", "/proc/none.png"),
    ("symmetry --hidden 999999999", "hidden=(999999999,)"),
    ("symmetry --inputs 0", "--inputs 0"),
    ("symmetry --activation tan", "'tan'"),
    ("symmetry --draw /proc/none.png", "/proc/none.png"),
    ("occam --prior-sd 0", "--prior-sd 0.0"),
    ("occam --hidden x", "'x'"),
    ("occam --data {folder}/tables/both_separators.csv --target y", "commas and semicolons"),
    ("penalties", "no data and no n"),
    ("penalties --n 0", "n=0"),
    ("penalties --data {folder}/tables/ragged.csv --target y", "line 3"),
    ("data irsi", "'irsi'"),
    ("notebooks copy /proc/none", "/proc/none"),
    ("explore --port 99999", "--port 99999"),
    ("explore --data none", "'none'"),
    ("explore --data {folder}/tables/latin.csv", "0xF6"),
]


@pytest.mark.parametrize(("words", "got"), COMMANDS)
def test_a_command_that_is_wrong_ends_in_one_message(made, tables, run, words, got):
    began = time.perf_counter()
    code, _, said = run(*words.format(folder=made.folder).split())
    assert time.perf_counter() - began < SECONDS
    assert code == 1
    assert "Traceback" not in said
    told(said, got.format(folder=made.folder))
    assert not (made.folder / "p.csv").exists()


@pytest.mark.parametrize(
    ("words", "got"),
    [
        ("frob", "frob"),
        ("compare --frob 3", "--frob"),
        ("compare --restarts few", "--restarts"),
        ("compare --sampler gibbs", "gibbs"),
        ("fit mpa", "mpa"),
        ("fit", "kind"),
        ("predict", "run"),
        ("penalties --n ten", "--n"),
        ("notebooks copy", "DIR"),
    ],
)
def test_words_that_are_no_command_are_told_with_the_way_to_help(run, words, got):
    code, _, said = run(*words.split())
    assert code == 2
    assert "Traceback" not in said
    assert got.lower() in said.lower()
    assert "Usage" in said


@pytest.mark.parametrize(
    ("trouble", "code", "parts"),
    [
        (ZeroDivisionError("division by zero"), 1, ("ZeroDivisionError: division by zero", "report", "--traceback")),
        (KeyError("x"), 1, ("KeyError: 'x'", "report", "--traceback")),
        (MemoryError("Unable to allocate 8 TiB"), 1, ("8 TiB", "fewer rows")),
        (KeyboardInterrupt(), 130, ("Interrupted",)),
    ],
)
def test_what_nobody_expected_is_one_line(run, monkeypatch, trouble, code, parts):
    def fail(*args, **kwargs):
        raise trouble

    monkeypatch.setattr("bayesnn.data.load_data", fail)
    ended, said, told = run("data", "iris")
    assert (ended, said) == (code, "")
    assert told.count("\n") == 1
    for part in parts:
        assert part in told


def test_the_traceback_is_shown_where_it_is_asked_for(monkeypatch):
    def fail(*args, **kwargs):
        raise ZeroDivisionError("division by zero")

    monkeypatch.setattr("bayesnn.data.load_data", fail)
    monkeypatch.setattr(sys, "argv", ["bayesnn", "data", "iris", "--traceback"])
    with pytest.raises(ZeroDivisionError, match="division by zero"):
        cli.main()


def test_a_process_of_its_own_says_the_same(made, tables):
    call = [sys.executable, "-m", "bayesnn.cli", "fit", "map", "--target", "y", "--data", str(tables / "latin.csv")]
    ended = subprocess.run(call, capture_output=True, text=True, cwd=made.folder)
    assert ended.returncode == 1
    told(ended.stderr, "0xF6")
    assert "Traceback" not in ended.stderr
    shown = subprocess.run([*call, "--traceback"], capture_output=True, text=True, cwd=made.folder)
    assert shown.returncode == 1
    assert "Traceback" in shown.stderr
