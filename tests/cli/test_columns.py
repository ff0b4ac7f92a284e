"""A table with categories, booleans and gaps, from a CSV file to the report and to predictions."""

import numpy as np
import pandas as pd
import pytest

import bayesnn as bnn


@pytest.fixture(scope="module")
def penguins(tmp_path_factory):
    """A CSV file of birds whose mass depends on species and sex."""
    folder, rng, n = tmp_path_factory.mktemp("penguins"), np.random.default_rng(2), 40
    species, sex = rng.choice(["Adelie", "Chinstrap", "Gentoo"], n), rng.choice(["female", "male"], n)
    zips, flipper, tagged = rng.choice(["01099", "80331"], n), rng.normal(200, 10, n).round(1), rng.random(n) < 0.5
    mass = 3500 + 1300 * (species == "Gentoo") + 600 * (sex == "male") + rng.normal(0, 100, n)
    table = pd.DataFrame({"species": species, "sex": sex, "zip": zips, "flipper": flipper, "tagged": tagged})
    table["id"] = [f"N{i}" for i in range(n)]
    table["mass"] = mass.round(0)
    table.loc[[3, 8, 20], "sex"] = None
    table.to_csv(folder / "penguins.csv", index=False)
    return folder


OPTIONS = ("--target", "mass", "--categorical", "zip", "--exclude", "id", "--reference", "species=Gentoo")


def test_a_table_goes_from_csv_to_report_and_predictions(penguins, run):
    file, out = penguins / "penguins.csv", penguins / "run"
    words = ("--hidden", "0", "--noise", "0.3", "--restarts", "2", "--draws", "100", "--tune", "100", "--chains", "2")
    code, said, said_err = run(
        "compare", "--data", file, *OPTIONS, "--missing", "indicator", *words, "--sampler", "nuts", "--out", out
    )
    assert code == 0, said_err
    assert "features: 'species[Adelie]', 'species[Chinstrap]', 'sex[male]', 'sex[missing]', 'zip[80331]' and 2" in said
    assert "coding:   'species' against 'Gentoo'; 'sex' against 'female'; 'sex[missing]' is 1 where" in said
    page = (out / "report.html").read_text()
    assert "species is a category: “Adelie” and “Chinstrap” are compared to “Gentoo”, the reference." in page
    assert "sex[missing] is 1 where sex is missing." in page
    assert "species[Chinstrap]" in page
    post = bnn.load_fit(out / "posterior.nc")
    data = bnn.load_data(
        file, target="mass", missing="indicator", categorical=["zip"], exclude=["id"], reference={"species": "Gentoo"}
    )
    slopes = dict(zip(data.feature_names, post.posterior["W1"].mean(["chain", "draw"]).to_numpy()[:, 0], strict=True))
    # A step from one level to the reference is one unit, in which the mass has its standard deviation.
    assert slopes["species[Adelie]"] * data.scaling.y_sd[0] == pytest.approx(-1300, abs=100)
    assert slopes["sex[male]"] * data.scaling.y_sd[0] == pytest.approx(600, abs=100)

    table = pd.read_csv(file, dtype={"zip": str}).head(5)
    table.drop(columns=["id", "mass"]).to_csv(penguins / "new.csv", index=False)
    assert run("predict", out / "posterior.nc", "--data", penguins / "new.csv", "--out", penguins / "p.csv")[0] == 0
    expected = bnn.predict(post, table)["mean"].to_numpy()[:, 0]
    assert np.allclose(pd.read_csv(penguins / "p.csv")["mean"], expected)
    table.assign(species="Emperor").to_csv(penguins / "new.csv", index=False)
    code, _, said_err = run(
        "predict", out / "posterior.nc", "--data", penguins / "new.csv", "--out", penguins / "p.csv"
    )
    assert code == 1
    assert "DataError: Got 'Emperor' in 'species' at row 0, a level that was" in " ".join(said_err.split())
    assert run("symmetry", out / "map.nc")[0] == 0


def test_rows_with_gaps_are_dropped_and_counted(penguins, run):
    words = ("--hidden", "0", "--restarts", "1", "--ordinal", "zip=01099,80331", "--out", penguins / "map.nc")
    options = [word for word in OPTIONS if word not in ("--categorical", "zip")]
    code, said, said_err = run("fit", "map", "--data", penguins / "penguins.csv", *options, "--missing", "drop", *words)
    assert code == 0, said_err
    assert "3 rows with missing values dropped" in said
    assert "'zip' counts '01099' < '80331'" in " ".join(said.split())


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((), "DataError: Got missing values in 'sex': row 3, column 'sex'; row 8"),
        (("--missing", "drop"), "DataError: Got 'id' with 37 levels in 37 rows, such as 'N0'"),
        (("--missing", "mean"), "SpecError: Got --missing mean; it must be 'error', 'drop' or 'indicator'. Write"),
        (
            ("--reference", "sex"),
            "SpecError: Got --reference sex; it must be a column and its level. Write --reference",
        ),
        (("--ordinal", "sex=a,b", "--ordinal", "zip"), "SpecError: Got --ordinal zip beside --ordinal sex=a,b;"),
        (("--exclude", "idd"), "UnknownNameError: Got column 'idd'; known are 'species', 'sex', 'zip', 'flipper'"),
        (("--sheet", "one"), "SpecError: Got sheet='one' for 'penguins.csv'; CSV has no sheets. Leave sheet out."),
    ],
)
def test_choices_that_are_wrong_are_refused_in_words(penguins, run, words, message):
    code, _, said = run("fit", "map", "--data", penguins / "penguins.csv", "--target", "mass", *words)
    assert code == 1
    assert message in " ".join(said.split())


def test_all_commands_that_read_tables_have_the_options(run):
    for command in ("compare", "fit", "occam", "penalties"):
        said = run(command, "--help")[1]
        for option in ("--categorical", "--ordinal", "--reference", "--missing", "--exclude", "--sheet"):
            assert option in said, (command, option)


def test_successes_and_trials_go_from_csv_to_a_binomial_fit(tmp_path, run):
    rng = np.random.default_rng(1)
    table = pd.DataFrame({"dose": rng.normal(size=30), "asked": rng.integers(3, 20, 30)})
    table["yes"] = rng.binomial(table["asked"], 1 / (1 + np.exp(-table["dose"])))
    table.to_csv(tmp_path / "votes.csv", index=False)
    words = ("--target", "yes", "--trials", "asked", "--hidden", "0", "--restarts", "2", "--out", tmp_path / "fit.nc")
    code, _, said_err = run("fit", "map", "--data", tmp_path / "votes.csv", *words)
    assert code == 0, said_err
    fit = bnn.load_fit(tmp_path / "fit.nc")
    assert bnn.diagnostics.compare(fit).loc["log-likelihood"].item() < 0
    data = bnn.load_data(tmp_path / "votes.csv", target="yes", trials="asked", random_seed=0)
    assert np.array_equal(fit.constant_data["trials"], data.y["trials"])
    words_of = ("predict", tmp_path / "fit.nc", "--data", tmp_path / "votes.csv", "--out", tmp_path / "p.csv")
    assert run(*words_of)[0] == 0
    share = pd.read_csv(tmp_path / "p.csv")["mean"]
    assert run(*words_of, "--trials", "asked")[0] == 0
    assert np.allclose(pd.read_csv(tmp_path / "p.csv")["mean"], share * table["asked"])
    code, _, said_err = run("fit", "map", "--data", tmp_path / "votes.csv", *words[:3], "doses", *words[4:])
    assert code != 0
    assert "doses" in said_err
