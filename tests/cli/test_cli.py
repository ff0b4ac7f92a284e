"""The command line: once as a user runs it, then each command and each message of an error."""

import os
import re
import runpy
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

import bayesnn as bnn
from bayesnn import cli
from bayesnn.cli.options import Kind, check_writable
from bayesnn.diagnostics.answer import answer_of
from bayesnn.errors import FitError, SpecError

PNG = b"\x89PNG"


def frame(n=30, seed=0):
    rng = np.random.default_rng(seed)
    size, age = rng.normal(100, 30, n), rng.uniform(0, 50, n)
    return pd.DataFrame({"size": size, "age": age, "price": 2 * size - 3 * age + rng.normal(0, 10, n)})


@pytest.fixture(scope="module")
def houses(tmp_path_factory):
    """A CSV file, and what `bayesnn compare` writes and says about it."""
    folder = tmp_path_factory.mktemp("houses")
    frame().to_csv(folder / "houses.csv", index=False)
    words = "compare --data houses.csv --target price --hidden 2 --noise 0.3 --restarts 2 --draws 200 --tune 200"
    ran = subprocess.run(
        [sys.executable, "-m", "bayesnn.cli", *words.split(), "--chains", "2", "--out", "run"],
        cwd=folder,
        env=os.environ | {"COLUMNS": "200", "NO_COLOR": "1"},
        capture_output=True,
        text=True,
    )
    return folder, ran


def test_compare_writes_fits_table_and_pictures(houses):
    folder, ran = houses
    assert ran.returncode == 0, ran.stderr
    assert "Traceback" not in ran.stderr
    assert ran.stdout.startswith("Dataset 'houses' (regression): 24 training rows, 6 test rows")
    assert ran.stderr.count("Compiling") <= 1
    assert "\n\n" not in ran.stderr
    for words in ("price", "MLE: ", "MAP: 2 of 2 starts converged", "held-out LPPD", "90% coverage"):
        assert words in ran.stdout
    for name in ("fits.png", "traces.png", "optima-mle.png", "optima-map.png"):
        assert (folder / "run" / name).read_bytes()[:4] == PNG
    for name in ("comparison.csv", "diagnosis.txt"):
        assert f"saved run/{name}" in ran.stdout
    assert "wrote run/report.html" in ran.stdout
    page = (folder / "run" / "report.html").read_text()
    assert "bayesnn compare --data houses.csv --target price --hidden 2" in page
    assert "Log evidence of this network, by the fit “tempered”" in page
    for kind in ("mle", "map"):
        assert f"drew run/optima-{kind}.png: where the starts of the {kind.upper()} ended" in ran.stdout
    table = pd.read_csv(folder / "run" / "comparison.csv", index_col=0)
    # Two starts may both stop on a ridge: the heading says what is known of the maximum.
    assert table.columns[0] in ("MLE", "MLE: undecided", "MLE: at infinity")
    assert list(table.columns[1:]) == ["MAP", "posterior", "tempered"]
    assert np.isfinite(table.loc["log evidence"]).tolist() == [False, False, False, True]
    table.columns = ["MLE", "MAP", "posterior", "tempered"]
    assert table.loc["log-likelihood", "MLE"] > table.loc["log-likelihood", "MAP"]
    log_prior = table.loc["log-prior (scaled units)"]
    assert log_prior["MAP"] > log_prior["MLE"]


def test_saved_fits_are_those_of_the_table(houses):
    folder, _ = houses
    fits = [bnn.load_fit(folder / "run" / f"{kind}.nc") for kind in Kind]
    data = bnn.load_data(folder / "houses.csv", target="price", random_seed=0)
    table = pd.read_csv(folder / "run" / "comparison.csv", index_col=0)
    again = bnn.compare(*fits, bnn.load_fit(folder / "run" / "tempered.nc"), data=data)
    assert np.allclose(again.to_numpy(), table.to_numpy(), rtol=1e-9, equal_nan=True)
    assert fits[2].posterior.sizes["draw"] == 200


def test_the_verdict_is_three_lines_and_the_whole_of_it_is_saved(houses):
    folder, ran = houses
    fits = [bnn.load_fit(folder / "run" / f"{kind}.nc") for kind in Kind]
    posteriors = {"posterior": fits[2], "tempered": bnn.load_fit(folder / "run" / "tempered.nc")}
    (_, verdict), saved = answer_of(posteriors), (folder / "run" / "diagnosis.txt").read_text()
    head, *rest = verdict.brief
    assert "\n".join([f"posterior: {head}", *rest]) in ran.stdout
    assert verdict.message not in ran.stdout
    assert saved.endswith(f"\n\n{verdict!r}\n")
    for fit in fits:
        assert fit.attrs["bayesnn_message"] in " ".join(saved.split())
    # One message for each maximum, and none of Python's warnings beside it.
    for fit in fits[:2]:
        assert ran.stdout.count(fit.attrs["bayesnn_brief"]) == 1
        assert fit.attrs["bayesnn_brief"] not in ran.stderr


def test_predict_fills_a_csv_file(houses, run):
    folder, _ = houses
    new = frame(5, seed=1)
    new[["age", "size"]].assign(colour="red").to_csv(folder / "new.csv", index=False)
    out = folder / "deep" / "predictions.csv"
    code, said, _ = run(
        "predict", folder / "run" / "map.nc", "--data", folder / "new.csv", "--out", out, "--prob", "0.8"
    )
    assert code == 0
    assert "wrote 5 predictions" in said
    found = pd.read_csv(out)
    expected = bnn.predict(bnn.load_fit(folder / "run" / "map.nc"), new[["size", "age"]], prob=0.8)
    for name in ("mean", "lower", "upper", "variance_total"):
        assert np.allclose(found[name], expected[name].to_numpy()[:, 0])


def test_export_writes_a_module_that_predicts(houses, run):
    folder, _ = houses
    code, said, _ = run("export", folder / "run" / "posterior.nc", "--out", folder / "houses_net.py", "--draws", "20")
    assert code == 0
    assert f"weights in {folder / 'houses_net.npz'}" in said
    new = frame(5, seed=1)[["size", "age"]].to_numpy()
    found = runpy.run_path(str(folder / "houses_net.py"))["predict"](new, prob=None)
    every = bnn.predict(bnn.load_fit(folder / "run" / "posterior.nc"), new, prob=None)
    assert np.abs(found["mean"] - every["mean"].to_numpy()).max() < 2 * np.sqrt(every["variance_epistemic"].max())
    code, _, said = run("export", folder / "run" / "map.nc", "--out", folder / "my-net.py")
    assert code == 1
    assert "Python can import" in said


def test_diagnose_speaks(houses, run):
    folder, _ = houses
    code, said, _ = run("diagnose", folder / "run" / "posterior.nc")
    assert code == 0
    assert "R-hat" in said


def test_effects_are_tabulated_and_drawn(houses, run, tmp_path):
    folder, _ = houses
    path = folder / "run" / "posterior.nc"
    code, said, _ = run("effects", path, "--out", tmp_path / "effects.csv", "--draw", tmp_path / "along.png")
    assert code == 0
    assert "posterior: largest, size by +" in said
    table = pd.read_csv(tmp_path / "effects.csv", index_col=[0, 1, 2, 3])
    assert np.allclose(table, bnn.marginal_effects(bnn.load_fit(path)).table, equal_nan=True)
    slope = table.loc[("posterior", "price", "size", "slope")]
    assert slope["lower"] < 2 < slope["upper"]
    assert (tmp_path / "along.png").read_bytes()[:4] == PNG
    frame(5, seed=1).drop(columns="price").to_csv(tmp_path / "new.csv", index=False)
    code, said, _ = run("effects", folder / "run" / "map.nc", "--data", tmp_path / "new.csv")
    assert code == 0
    assert "over 5 rows" in said
    assert "lower" not in said, "a point has no interval"


def test_check_says_whether_the_data_could_have_come_from_the_fit(houses, run, tmp_path):
    folder, _ = houses
    path = folder / "run" / "map.nc"
    code, said, _ = run("check", path, "--draw", tmp_path / "check.png", "--seed", 3)
    assert code == 0
    verdict = bnn.posterior_predictive_check(bnn.load_fit(path), random_seed=3).message
    assert verdict in " ".join(said.split())
    assert "residual kurtosis" in said
    assert (tmp_path / "check.png").read_bytes()[:4] == PNG


def test_fit_and_predict_labels(tmp_path, run):
    code, said, _ = run(
        "fit", "map", "--data", "iris", "--hidden", "0", "--restarts", "2", "--out", tmp_path / "a" / "iris.nc"
    )
    assert code == 0
    assert "in-sample: n 120, accuracy" in said
    assert "held-out: n 30, accuracy" in said
    tree = bnn.load_fit(tmp_path / "a" / "iris.nc")
    assert tree.attrs["bayesnn_kind"] == "map"
    data = bnn.load_data("iris")
    pd.DataFrame(data.X_test, columns=data.feature_names).to_csv(tmp_path / "new.csv", index=False)
    out = tmp_path / "labels.csv"
    assert run("predict", tmp_path / "a" / "iris.nc", "--data", tmp_path / "new.csv", "--out", out)[0] == 0
    found = pd.read_csv(out)
    assert {"label", "probability_setosa", "entropy", "mutual_information"} <= set(found.columns)
    assert (found.label == np.array(data.class_names)[data.y_test]).mean() > 0.85
    probable = found[[f"probability_{name}" for name in data.class_names]].idxmax(axis=1)
    assert (probable == "probability_" + found.label).all()


def test_a_missing_maximum_is_said_once_and_is_not_a_number(tmp_path, run):
    code, said, said_err = run(
        "fit", "mle", "--data", "one_node_separated", "--hidden", "0", "--restarts", "1", "--out", tmp_path / "x.nc"
    )
    assert code == 0
    assert "MLE: at infinity: the classes are completely separated" in " ".join(said.split())
    assert "separated" not in said_err
    assert "No MLE exists: the classes" in bnn.load_fit(tmp_path / "x.nc").attrs["bayesnn_message"]
    assert bnn.load_fit(tmp_path / "x.nc").attrs["bayesnn_exists"] == 0
    assert "saved" in said


def test_what_warnings_advise_is_an_option(tmp_path, run):
    out = tmp_path / "fit.nc"
    words = ("--data", "sine_gap", "--hidden", "6", "--noise", "0.05", "--out", out)
    _, said, _ = run("fit", "map", *words, "--restarts", "3", "--maxiter", "1")
    assert "(3 hit the limit of 1 iterations). Raise maxiter." in " ".join(said.split())
    _, said, _ = run("fit", "map", *words, "--restarts", "3", "--maxiter", "3000")
    assert "Raise maxiter" not in said
    assert bnn.load_fit(out).optima.iterations.max() > 1
    words = ("--data", "two_weights", "--hidden", "1", "--noise", "0.3", "--out", out)
    short = ("--draws", "50", "--tune", "300", "--chains", "2")
    assert run("fit", "posterior", *words, *short, "--target-accept", "0.97")[0] == 0
    assert bnn.load_fit(out).attrs["bayesnn_target_accept"] == 0.97


@pytest.mark.parametrize(
    ("words", "error", "parts"),
    [
        (("--data", "nope.csv"), "DataError", ("nope.csv", "Check its spelling")),
        (("--data", "irsi"), "UnknownNameError", ("'irsi'", "known are", "Did you mean 'iris'?")),
        (("--data", "{folder}/houses.csv"), "Error", ("target", "'price'")),
        (("--data", "{folder}/houses.csv", "--target", "prize"), "Error", ("'prize'", "'price'")),
        (("--data", "{folder}/bad.csv", "--target", "y"), "DataError", ("does not read as CSV", "header line")),
        (("--data", "{folder}/text.csv", "--target", "y"), "DataError", ("'x'", "to_numeric", "--categorical x")),
        (("--loss", "squared_eror"), "UnknownNameError", ("'squared_eror'", "Did you mean 'squared_error'?")),
        (("--activation", "tan"), "UnknownNameError", ("'tan'", "Did you mean 'tanh'?")),
        (("--data", "iris", "--loss", "squared_error", "--task", "binary"), "SpecError", ("task",)),
        (("--data", "iris", "--loss", "squared_error"), "SpecError", ("label (setosa", "loss='cross_entropy'")),
    ],
)
def test_errors_are_one_message_with_rule_and_remedy(houses, run, words, error, parts):
    folder, _ = houses
    (folder / "bad.csv").write_text("x,y\n1,2\n3,4,5\n")
    (folder / "text.csv").write_text("x,y\n7,2.5\nblue,4.5\n7,1.25\n8,3.5\n")
    code, said, said_err = run("fit", "map", *(w.format(folder=folder) for w in words))
    said_err = " ".join(said_err.split())
    assert code == 1
    assert error in said_err.split(":")[0]
    for part in parts:
        assert part in said_err
    assert "Traceback" not in said_err
    assert "saved" not in said


BAD = [
    (("--restarts", "0"), "Got --restarts 0; it must be a positive integer. Write --restarts 20, or leave it out"),
    (("--maxiter", "0"), "Got --maxiter 0; it must be a positive integer. Write --maxiter 2000"),
    (("--draws", "0"), "Got --draws 0; it must be a positive integer. Write --draws 1000"),
    (("--chains", "0"), "Got --chains 0; it must be a positive integer. Write --chains 4"),
    (("--tune", "0"), "Got --tune 0; it must be a positive integer, since without warm-up the sampler has no step"),
    (("--seed", "-1"), "Got --seed -1; it must be an integer from 0 on. Write --seed 1"),
    (("--prior-sd", "1e-300"), "Got --prior-sd 1e-300; it must be a positive finite number, from 1e-50 to 1e50."),
    (("--prior-sd", "1e300"), "Got --prior-sd 1e+300; it must be a positive finite number, from 1e-50 to 1e50."),
    (("--prior-sd", "0"), "Got --prior-sd 0.0; it must be a positive finite number"),
    (("--noise", "-1"), "Got --noise -1.0; it must be a positive finite number, from 1e-50 to 1e50. Write --noise 0.2"),
    (("--noise", "1e-300"), "Got --noise 1e-300; it must be a positive finite number"),
    (("--target-accept", "1.5"), "Got --target-accept 1.5; it must be a number between 0 and 1."),
    (("--hidden", "3,x"), "Got --hidden '3,x'; it must be positive integers separated by commas. Write --hidden 16,16"),
    (("--hidden", "-3"), "Got --hidden '-3'; it must be positive integers separated by commas."),
    (("--out", "{folder}/taken/run"), "Got --out {folder}/taken/run; {folder}/taken/run"),
    (("--out", "/proc/no/such"), "Got --out /proc/no/such; /proc/no/such"),
]


@pytest.mark.parametrize("command", [("compare",), ("fit", "map"), ("fit", "posterior")])
@pytest.mark.parametrize(("words", "message"), BAD)
def test_bad_options_are_refused_before_data_are_loaded(tmp_path, run, monkeypatch, command, words, message):
    def reached(*args, **kwargs):
        pytest.fail("what takes long was started")

    monkeypatch.setattr("bayesnn.data.load_data", reached)
    (tmp_path / "taken").write_text("what was there")
    out = ("--out", tmp_path / "new" / "run") if "--out" not in words else ()
    words = [word.format(folder=tmp_path) for word in words]
    code, said, said_err = run(*command, *words, *out)
    assert code == 1
    assert f"SpecError: {message.format(folder=tmp_path)}" in " ".join(said_err.split())
    assert said == ""
    assert [path.name for path in tmp_path.iterdir()] == ["taken"]
    assert (tmp_path / "taken").read_text() == "what was there"


@pytest.mark.parametrize(
    "words",
    [
        ("compare", "--out", "{folder}/taken"),
        ("compare", "--out", "{folder}/full"),
        ("fit", "map", "--out", "{folder}"),
        ("predict", "no.nc", "--data", "no.csv", "--out", "{folder}"),
        ("symmetry", "no.nc", "--draw", "{folder}"),
    ],
)
def test_what_cannot_be_written_is_found_before_anything_is_read(tmp_path, run, monkeypatch, words):
    monkeypatch.setattr("bayesnn.data.load_data", lambda *args, **kwargs: pytest.fail("data were loaded"))
    (tmp_path / "taken").touch()
    (tmp_path / "full" / "traces.png").mkdir(parents=True)
    code, _, said_err = run(*(word.format(folder=tmp_path) for word in words))
    said_err = " ".join(said_err.split())
    assert code == 1
    assert f"SpecError: Got {words[-2]} {words[-1].format(folder=tmp_path)}; {tmp_path}" in said_err
    assert "can't be written" in said_err
    assert f"Name a {'folder' if words[0] == 'compare' else 'file in a folder'} that is there" in said_err
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["full", "taken", "traces.png"]


def test_data_that_do_not_suit_the_network_are_found_before_the_first_fit(tmp_path, run, monkeypatch):
    for name in ("fit_mle", "fit_map", "fit_posterior"):
        monkeypatch.setattr(f"bayesnn.fitting.{name}", lambda *args, **kwargs: pytest.fail("a fit was started"))
    words = ("compare", "--data", "iris", "--out", tmp_path / "new")
    for more in (("--loss", "squared_error"), ("--activation", "tan"), ("--loss", "cross_entropy", "--noise", "1")):
        code, _, said_err = run(*words, *more)
        assert code == 1
        assert more[1] in said_err
    assert not list(tmp_path.iterdir())


def test_a_file_that_is_there_is_not_touched_by_a_look_at_it(tmp_path):
    path = tmp_path / "old.csv"
    path.write_text("old")
    check_writable(path, path)
    assert path.read_text() == "old"
    too_long = tmp_path / (300 * "x")
    with pytest.raises(SpecError, match="too long"):
        check_writable(too_long, too_long)


@pytest.mark.parametrize(
    ("file", "words"),
    [
        ("missing.nc", "can't be read"),
        ("houses.csv", "can't be read"),
        ("other.nc", "without bayesnn's attributes"),
    ],
)
def test_only_fits_are_opened(houses, run, file, words):
    import xarray as xr

    folder, _ = houses
    xr.Dataset({"a": 1.0}).to_netcdf(folder / "other.nc")
    code, _, said_err = run("predict", folder / file, "--data", folder / "houses.csv", "--out", folder / "p.csv")
    assert code == 1
    assert words in " ".join(said_err.split())
    assert not (folder / "p.csv").exists()
    with pytest.raises(FitError):
        bnn.load_fit(folder / file)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (None, "no file"),
        ("", "does not read as CSV"),
        ("size,price\n1,2\n", "['age']"),
        ("size,age\n1,old\n", "'old'"),
        ("size,age\n1,\n", "missing value"),
    ],
)
def test_predict_refuses_rows_that_it_cannot_use(houses, run, text, words):
    folder, _ = houses
    path = folder / "rows.csv"
    path.unlink(missing_ok=True)
    if text is not None:
        path.write_text(text)
    code, _, said_err = run("predict", folder / "run" / "map.nc", "--data", path, "--out", folder / "p.csv")
    assert code == 1
    assert words in " ".join(said_err.split())


def test_data_lists_and_describes(run):
    code, said, _ = run("data")
    assert code == 0
    for name in bnn.data.NAMES:
        assert f"Dataset {name!r}" in said
    code, said, _ = run("data", "sine_gap")
    assert said.startswith("Dataset 'sine_gap' (regression): 40 training rows, 100 test rows")
    assert "Dataset 'iris'" not in said
    code, _, said_err = run("data", "sine")
    assert code == 1
    assert "Did you mean 'sine_gap'" in said_err


def test_losses_shows_and_verifies_every_row(run):
    code, said, _ = run("losses")
    assert code == 0
    for name, loss in bnn.LOSSES.items():
        assert name in said
        assert loss.likelihood in said
    _, verified, _ = run("losses", "--verify")
    assert len(verified) > len(said)


def test_symmetry_counts(run):
    code, said, _ = run("symmetry", "--hidden", "3", "--activation", "tanh")
    assert code == 0
    assert "48" in said, "3! permutations times 2**3 sign flips"
    assert "48" not in run("symmetry", "--hidden", "2")[1]


@pytest.mark.parametrize(
    ("words", "picture"),
    [
        (("--hidden", "2"), "all 8 copies of weights drawn at random"),
        (("--hidden", "8", "--inputs", "3"), "100 of 10321920 copies of weights drawn at random"),
        (("run/map.nc",), "all 8 copies of the optimum"),
        (("run/posterior.nc",), "two units' weights, as sampled and aligned"),
    ],
)
def test_symmetry_is_drawn(houses, run, monkeypatch, tmp_path, words, picture):
    monkeypatch.chdir(houses[0])
    out = tmp_path / "new" / "orbit.png"
    code, said, said_err = run("symmetry", *words, "--draw", out)
    assert code == 0, said_err
    assert picture in said
    assert out.read_bytes()[:4] == PNG
    if words[0].endswith(".nc"):
        assert "of 9 weights" in said, "two inputs and two units, as the fit has them, and not the options' three"


def test_symmetry_that_cannot_be_drawn_is_one_message(run, tmp_path):
    for words, message in (
        (("--hidden", "0", "--draw", tmp_path / "x.png"), "without hidden units"),
        (("--hidden", "2", "--draw", tmp_path / "x.foo"), "can't be drawn"),
        ((tmp_path / "no.nc",), "can't be read"),
        (("--inputs", "0"), "Got --inputs 0; it must be a positive integer"),
        (("--outputs", "-1"), "Got --outputs -1; it must be a positive integer"),
    ):
        code, _, said_err = run("symmetry", *words)
        assert code == 1
        assert message in " ".join(said_err.split())
    assert not list(tmp_path.iterdir())


def test_penalties_are_those_of_the_table(houses, run):
    code, said, _ = run("penalties", "--n", "100", "--hidden", "0", "--noise", "0.5", "--prior-sd", "2")
    assert code == 0
    table = bnn.penalty_table(bnn.MLP((), noise=0.5, prior=bnn.Normal(2.0)), n=100)
    cells = [[c.strip() for c in line.split("│")[1:5]] for line in said.splitlines() if line.count("│") == 6]
    for row in table.to_dict("records"):
        assert [row["library"], row["reduction"], row["parameter"], f"{row['value']:.6g}"] in cells
    folder, _ = houses
    code, said, _ = run("penalties", "--data", folder / "houses.csv", "--target", "price", "--noise", "0.5")
    assert code == 0
    assert "24 training rows" in said
    assert "standardised" in said
    assert "LogisticRegression" in run("penalties", "--data", "iris", "--hidden", "0")[1]
    for words in ((), ("--n", "5", "--data", "iris")):
        code, _, said_err = run("penalties", *words)
        assert code == 1
        assert "Write --n 100" in said_err
    assert "'huber'" in run("penalties", "--n", "5", "--loss", "huber")[2]
    for name, value in (("seed", "-1"), ("outputs", "0"), ("prior-sd", "1e-300"), ("noise", "0.0")):
        assert f"Got --{name} {value}; it must be" in run("penalties", "--n", "5", f"--{name}", value)[2]


def test_occam_weighs_widths_and_priors(run, tmp_path):
    words = ("--hidden", "0,1", "--prior-sd", "1,3", "--noise", "0.3", "--restarts", "2", "--draws", "100")
    code, said, said_err = run("occam", "--data", "two_weights", *words, "--chains", "2", "--out", tmp_path / "new")
    assert code == 0, said_err
    data = bnn.load_data("two_weights", random_seed=0)
    lines = [bnn.MLP((), noise=0.3, prior=bnn.Normal(sd)) for sd in (1, 3)]
    exact = bnn.compare_networks(lines, data, restarts=1, progressbar=False)
    saved = pd.read_csv(tmp_path / "new" / "evidence.csv", index_col=0)
    assert list(saved.index) == [f"{h}, Normal({sd})" for sd in (1.0, 3.0) for h in ("no hidden units", "1 tanh unit")]
    assert np.allclose(saved.loc[exact.index, "log evidence"], exact["log evidence"], rtol=1e-12)
    assert saved["probability"].sum() == pytest.approx(1)
    best = saved["log evidence"].idxmax()
    assert f"The evidence prefers {best!r}" in said
    assert f"{saved['log evidence'][best]:.2f}" in said
    assert (tmp_path / "new" / "evidence.png").read_bytes()[:4] == PNG


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--prior-sd", "1,x"), "Got --prior-sd '1,x'; it must be numbers separated by commas. Write --prior-sd 0.3,1"),
        (("--prior-sd", "1,-2"), "Got --prior-sd -2.0; it must be a positive finite number"),
        (("--prior-sd", ","), "Got --prior-sd ','; it must be numbers"),
        (("--hidden", ","), "Got --hidden ','; it must be numbers separated by commas. Write --hidden 0,1,2,3."),
        (("--hidden", "2,x"), "Got --hidden '2,x'; it must be positive integers separated by commas"),
        (("--restarts", "0"), "Got --restarts 0"),
        (("--draws", "0"), "Got --draws 0"),
        (("--chains", "0"), "Got --chains 0"),
        (("--max-seconds", "0"), "Got --max-seconds 0.0; it must be a positive number of seconds"),
        (("--noise", "-1"), "Got --noise -1.0"),
        (("--seed", "-1"), "Got --seed -1"),
        (("--activation", "tan"), "Did you mean 'tanh'?"),
        (("--out", "{folder}/taken"), "Got --out {folder}/taken; {folder}/taken"),
    ],
)
def test_occam_refuses_bad_options_before_data_are_loaded(run, tmp_path, monkeypatch, words, message):
    monkeypatch.setattr("bayesnn.data.load_data", lambda *args, **kwargs: pytest.fail("data were loaded"))
    (tmp_path / "taken").touch()
    words = [word.format(folder=tmp_path) for word in words]
    code, said, said_err = run("occam", *words, *(() if "--out" in words else ("--out", tmp_path / "new")))
    assert code == 1
    assert message.format(folder=tmp_path) in " ".join(said_err.split())
    assert said == ""
    assert [path.name for path in tmp_path.iterdir()] == ["taken"]


def test_help_names_every_command():
    shown = CliRunner().invoke(cli.app, ["--help"], env={"COLUMNS": "120"})
    assert shown.exit_code == 0
    for command in (
        "compare",
        "fit",
        "predict",
        "effects",
        "check",
        "diagnose",
        "symmetry",
        "penalties",
        "data",
        "losses",
        "occam",
        "explore",
        "notebooks",
    ):
        assert command in shown.stdout
    assert CliRunner().invoke(cli.app, ["fit", "sgd"]).exit_code == 2


def test_notebooks_are_listed_and_copied_and_what_was_changed_is_kept(run, tmp_path):
    code, out, _ = run("notebooks", "list")
    assert code == 0
    assert re.search(r"01_three_answers +One network, three answers", out)
    assert run("notebooks", "copy", tmp_path / "course")[0] == 0
    mine = tmp_path / "course" / "01_three_answers.ipynb"
    given = mine.read_bytes()
    assert given == (Path(bnn.__file__).parents[1] / "notebooks" / mine.name).read_bytes()
    assert (tmp_path / "course" / "README.md").exists()
    mine.write_bytes(b"mine")
    code, _, err = run("notebooks", "copy", tmp_path / "course")
    assert code == 1
    assert "--force" in err
    assert mine.read_bytes() == b"mine"
    assert run("notebooks", "copy", tmp_path / "course", "--force")[0] == 0
    assert mine.read_bytes() == given


def test_a_fit_is_by_one_sampler(run, tmp_path):
    for words in (("fit", "map", "--sampler", "tempering"), ("fit", "posterior", "--sampler", "both")):
        code, _, err = run(*words, "--data", "coin", "--out", tmp_path / "fit.nc")
        assert code == 1
        assert "one fit is by one sampler" in err
    code, out, _ = run("fit", "posterior", "--sampler", "tempering", "--data", "coin", "--hidden", 0, "--draws", 100,
                       "--out", tmp_path / "fit.nc")  # fmt: skip
    assert code == 0
    assert "log evidence" in out
    assert bnn.log_evidence(bnn.load_fit(tmp_path / "fit.nc")).se < 0.2


def test_explore_says_what_it_can_not_serve(run, tmp_path):
    for words, said in (
        (("--port", 70000), "Got --port 70000; it must be a whole number from 0 to 65535."),
        (("--max-sessions", 0), "Got --max-sessions 0; it must be a whole number from 1 to 500."),
        (("--data", "iris"), "the page shows sine_gap"),
        (("--data", tmp_path / "no.csv"), "can't be read"),
    ):
        code, out, err = run("explore", "--no-browser", *words)
        assert code == 1
        assert said in " ".join(err.split())
        assert out == ""


def test_explore_hands_its_options_to_the_server(run, monkeypatch):
    import bayesnn.playground.serve as server

    given = {}
    monkeypatch.setattr(server, "serve", lambda first, **options: given.update(first=first, **options))
    assert run("explore", "--data", "neal", "--port", 0, "--no-browser")[0] == 0
    assert given["first"].startswith("data=neal")
    assert (given["host"], given["port"], given["max_sessions"], given["show"]) == ("localhost", 0, 30, False)
