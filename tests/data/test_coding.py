"""Columns of text, booleans and gaps: coded as pandas and scikit-learn code them, kept by a fit, refused in words."""

import dataclasses
import datetime
import decimal
import io
import sys
import zipfile

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.impute import SimpleImputer
from sklearn.preprocessing import OneHotEncoder

import bayesnn as bnn
from bayesnn.data import Coding, read_table
from bayesnn.data.tables import as_frame, is_frame
from bayesnn.errors import DataError, DataWarning, SpecError, UnknownNameError
from bayesnn.fitting.store import fingerprint
from bayesnn.tree import new_inputs, prepare
from tests.conftest import random_params, tree_of


def birds(n=60, seed=0):
    rng = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "kind": rng.choice(["owl", "rook", "kite"], n),
            "wing": rng.normal(50, 9, n),
            "tagged": rng.random(n) < 0.4,
            "size": rng.choice(["S", "M", "L"], n),
            "mass": rng.normal(3, 1, n),
        }
    )


def gaps(frame, **rows):
    frame = frame.copy()
    for name, at in rows.items():
        frame[name] = frame[name].astype(object).where(~np.isin(np.arange(len(frame)), at), None)
    return frame.infer_objects()


# Coding, against pandas and scikit-learn


def test_categories_and_booleans_are_those_of_pandas_and_sklearn():
    table = birds()[["kind", "wing", "tagged", "size"]]
    coding = Coding.fit(table)
    dummies = pd.get_dummies(table, columns=["kind", "size"], drop_first=True, prefix_sep="[", dtype=float)
    names = [name + "]" * ("[" in name) for name in dummies.columns]
    assert set(coding.feature_names) == set(names)
    expected = dummies.set_axis(names, axis=1)[list(coding.feature_names)].astype(float)
    assert_array_equal(coding.transform(table), expected)
    encoder = OneHotEncoder(drop="first", sparse_output=False).fit(table[["kind"]])
    new = birds(seed=3)
    assert_array_equal(coding.transform(new)[:, :2], encoder.transform(new[["kind"]]))
    assert coding.said == "'kind' against 'kite'; 'tagged' is 1 where True; 'size' against 'L'"
    assert not np.array_equal(Coding.fit(table, reference={"kind": "owl"}).transform(table), expected)


def test_gaps_are_imputed_and_indicated_as_sklearn_does():
    table = gaps(birds()[["wing", "kind", "tagged"]], wing=[0, 3, 11], kind=[2, 3], tagged=[5])
    coding = Coding.fit(table, missing="indicator")
    found = pd.DataFrame(coding.transform(table), columns=coding.feature_names)
    wing = SimpleImputer(add_indicator=True).fit(table[["wing"]])
    assert_allclose(found[["wing", "wing[missing]"]], wing.transform(table[["wing"]]))
    kinds = pd.get_dummies(table["kind"].fillna("missing"), dtype=float)
    assert_array_equal(found[["kind[owl]", "kind[rook]", "kind[missing]"]], kinds[["owl", "rook", "missing"]])
    assert found["tagged"][5] == pytest.approx(table["tagged"].dropna().astype(float).mean())
    assert found["tagged[missing]"].sum() == 1
    new = birds(4, seed=9)[["kind", "tagged"]].assign(wing=[1.0, np.nan, 3.0, np.nan])
    assert_allclose(coding.transform(new)[:, :2], wing.transform(new[["wing"]]))
    assert "'wing[missing]' is 1 where 'wing' is missing, which then is" in coding.said


def test_means_are_of_training_rows_alone():
    table = gaps(birds(), wing=range(0, 60, 5))
    data = bnn.load_data(table, target="mass", missing="indicator", random_seed=1)
    back = data.to_frame()
    train = back.loc["train"]["wing"]
    assert train.isna().any()
    column = next(c for c in data.coding.columns if c.name == "wing")
    assert column.fill == pytest.approx(train.mean())
    assert column.fill != pytest.approx(table["wing"].mean(), rel=1e-6)
    assert_allclose(data.X[:, 2], train.fillna(train.mean()))
    assert len(data.X_test) > 0


def test_rows_with_gaps_are_dropped_and_counted():
    table = gaps(birds(), wing=[0, 3], kind=[3, 7], mass=[9])
    data = bnn.load_data(table, target="mass", missing="drop", test_size=0)
    assert len(data.X) == 56
    assert data.coding.dropped == 4
    assert "4 rows with missing values dropped" in repr(data)
    assert_array_equal(data.y, table.dropna()["mass"].astype(float))
    # A target can't be imputed: rows without one are never used, and counted.
    indicated = bnn.load_data(table, target="mass", missing="indicator", test_size=0)
    assert (len(indicated.X), indicated.coding.dropped) == (59, 1)
    plain = bnn.load_data(table[["wing", "mass"]], target="mass", missing="drop", test_size=0)
    assert plain.coding.dropped == 3
    assert plain.feature_names == ("wing",)
    with pytest.raises(
        DataError, match=r"missing values in 'kind', 'wing', 'mass': row 0, column 'wing'.*missing='drop'"
    ):
        bnn.load_data(table, target="mass")


def test_a_reference_an_order_and_numbers_that_are_names_are_chosen():
    table = birds().assign(zip=np.random.default_rng(1).choice([10115, 20095, 80331], 60))
    options = {"reference": {"kind": "rook", "zip": 80331}, "ordinal": {"size": ["S", "M", "L"]}}
    data = bnn.load_data(table, target="mass", categorical=["zip"], exclude=["tagged"], test_size=0, **options)
    assert data.feature_names == ("kind[kite]", "kind[owl]", "wing", "size", "zip[10115]", "zip[20095]")
    assert_array_equal(data.X[:, 3], table["size"].map({"S": 0, "M": 1, "L": 2}))
    assert_array_equal(data.X[:, 4], table["zip"] == 10115)
    assert "'size' counts 'S' < 'M' < 'L'" in repr(data)
    ordered = table.assign(size=pd.Categorical(table["size"], ["L", "M", "S"], ordered=True))
    own = bnn.load_data(ordered, target="mass", ordinal=["size"], test_size=0)
    assert_array_equal(own.X[:, own.feature_names.index("size")], table["size"].map({"S": 2, "M": 1, "L": 0}))
    # A categorical has a first level of its own, and one that no row has is none.
    first = pd.Categorical(table["kind"], ["rook", "emu", "owl", "kite"])
    assert Coding.fit(table[["kind"]].assign(kind=first)).feature_names == ("kind[owl]", "kind[kite]")


def test_a_postcode_keeps_its_zeros(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text("zip,x,y\n" + "".join(f"0{1000 + i % 3},{i},{i / 7}\n" for i in range(12)))
    assert bnn.load_data(path, target="y", categorical=["zip"], test_size=0).feature_names[0] == "zip[01001]"
    assert bnn.load_data(path, target="y", test_size=0).feature_names[0] == "zip"
    frame, _ = read_table(path, text_columns=["zip"])
    assert frame["zip"][0] == "01000"


def test_zeros_and_ones_are_centred_and_not_divided():
    data = bnn.load_data(birds(), target="mass", ordinal={"size": ["S", "M", "L"]}, test_size=0)
    scaled = pd.DataFrame(data.scaling.transform_X(data.X), columns=data.feature_names)
    assert_allclose(scaled.mean(), 0.0, atol=1e-12)
    assert_allclose(scaled[["wing", "size"]].std(ddof=0), 1.0)
    for name in ("kind[owl]", "kind[rook]", "tagged"):
        assert np.ptp(scaled[name]) == pytest.approx(1.0)
    net = bnn.MLP((2,), noise=0.3)
    frame, y = birds()[["kind", "wing", "tagged"]], birds()["mass"]
    assert prepare(net, frame, y, scaling="standard").scaling.x_sd[0] == 1.0


def test_levels_of_held_out_rows_alone_are_kept_for_training_and_said():
    table = birds(50)
    plain = bnn.load_data(table, target="mass", random_seed=2)
    held_out = np.flatnonzero(np.isin(table["mass"], plain.y_test))
    table.loc[held_out[:2], "kind"] = "emu"
    with pytest.warns(DataWarning, match="of 'kind' in held-out rows alone, .* their rows .2. were kept for training"):
        data = bnn.load_data(table, target="mass", random_seed=2)
    assert data.X[:, data.feature_names.index("kind[kite]")].any()
    assert (len(data.X), len(data.X_test)) == (len(plain.X) + 2, len(plain.X_test) - 2)
    assert (data.to_frame().loc["train"]["kind"] == "emu").sum() == 2


def test_what_may_be_an_oversight_is_warned_of():
    table = birds()
    table.loc[3, "kind"] = "emu"
    with pytest.warns(DataWarning, match="'kind' with levels of a single row: 'emu'"):
        Coding.fit(table)
    table = birds()
    table.loc[[3, 4], "kind"] = " Owl"
    with pytest.warns(DataWarning, match="differ in capitals or spaces alone: ' Owl', 'owl'"):
        Coding.fit(table)


def test_json_and_inverse_lose_nothing():
    table = gaps(birds()[["kind", "wing", "tagged", "size"]], wing=[0, 3], kind=[3], tagged=[4], size=[5])
    coding = Coding.fit(table, missing="indicator", ordinal={"size": ["S", "M", "L"]})
    assert Coding.from_json(coding.to_json()) == coding
    back = coding.inverse(coding.transform(table))
    for name in table:
        assert (
            back[name].astype(object).where(back[name].notna(), None).tolist()
            == table[name].astype(object).where(table[name].notna(), None).tolist()
        )
    for text in ("{}", "[1]", "no json", None, '{"columns": [{"name": 1, "kind": "x"}], "dropped": 0}'):
        with pytest.raises(DataError, match="not the JSON text of a coding"):
            Coding.from_json(text)


# Fits


def least_squares(net, data):
    return bnn.fit_mle(net, data, restarts=2, random_seed=1, progressbar=False)


def test_a_line_on_coded_data_is_the_one_of_statsmodels():
    formula = pytest.importorskip("statsmodels.formula.api")
    table = birds()
    table["mass"] += (table["kind"] == "owl") * 2.0 + 0.05 * table["wing"]
    ols = formula.ols("mass ~ C(kind, Treatment('rook')) + tagged + wing", table).fit()
    options = {"reference": {"kind": "rook"}, "exclude": ["size"], "test_size": 0}
    data = bnn.load_data(table, target="mass", **options)
    fit = least_squares(bnn.MLP((), noise=0.5), data)
    scaling = data.scaling
    slopes = fit.posterior["W1"].to_numpy()[0, 0, :, 0] * scaling.y_sd[0] / np.array(scaling.x_sd)
    found = dict(zip(data.feature_names, slopes, strict=True))
    assert list(found) == list(fit.posterior["feature"].to_numpy())
    for name, ours in {
        "C(kind, Treatment('rook'))[T.kite]": "kind[kite]",
        "C(kind, Treatment('rook'))[T.owl]": "kind[owl]",
        "tagged[T.True]": "tagged",
        "wing": "wing",
    }.items():
        assert found[ours] == pytest.approx(ols.params[name], rel=1e-5)
    new = birds(5, seed=8)
    assert_allclose(bnn.predict(fit, new)["mean"].to_numpy()[:, 0], ols.predict(new), rtol=1e-6)


@pytest.fixture(scope="module")
def fitted(tmp_path_factory):
    """A fit that nobody made, saved and read back, and its data."""
    data = bnn.load_data(birds(), target="mass", random_seed=1, ordinal={"size": ["S", "M", "L"]})
    net = bnn.MLP((2,), noise=0.3)
    fit = tree_of(net, data, None, random_params(prepare(net, data), (1, 3), seed=1))
    return bnn.load_fit(bnn.save_fit(fit, tmp_path_factory.mktemp("fit") / "fit.nc")), data


def test_the_coding_travels_with_a_fit(fitted):
    fit, data = fitted
    problem = bnn.tree.problem_of(fit)
    assert problem.coding == data.coding
    table = birds(7, seed=5).drop(columns="mass")
    expected = data.scaling.transform_X(data.coding.transform(table))
    for X in (table, table[table.columns[::-1]].assign(more="x"), data.coding.transform(table)):
        assert_allclose(new_inputs(problem, X), expected)
    # Columns that are coded already, by their names.
    coded = pd.DataFrame(data.coding.transform(table), columns=data.feature_names)
    named = coded.drop(columns=["size", "tagged"]).assign(size=table["size"], tagged=table["tagged"])
    assert_allclose(new_inputs(problem, coded[[*data.feature_names]].to_numpy()), expected)
    with pytest.raises(DataError, match=r"needs \['kind'\] as well"):
        new_inputs(problem, named.drop(columns=["kind[owl]"]))
    assert_allclose(bnn.predict(fit, data)["mean"], bnn.predict(fit, data.X_test)["mean"])
    assert bnn.score(fit, data) == bnn.score(fit, data.to_frame().loc["test"], data.y_test)


def test_data_that_were_coded_otherwise_are_coded_as_the_fit_is(fitted):
    fit, data = fitted
    options = {"random_seed": 1, "reference": {"kind": "owl"}, "ordinal": {"size": ["L", "S", "M"]}}
    other = bnn.load_data(birds(), target="mass", **options)
    assert not np.array_equal(other.X_test, data.X_test)
    assert_allclose(bnn.predict(fit, other)["mean"], bnn.predict(fit, data)["mean"])


def test_a_fit_without_a_coding_is_read():
    net = bnn.MLP((2,), noise=0.3)
    numbers = tree_of(
        net, birds()[["wing"]], birds()["mass"], random_params(prepare(net, [1, 2], [1, 2]), (1, 3), seed=1)
    )
    assert "bayesnn_coding" not in numbers.attrs
    assert bnn.tree.problem_of(numbers).coding is None


def test_stores_tell_codings_apart():
    net = bnn.MLP((2,), noise=0.3)
    table = birds()
    data = [
        bnn.load_data(table, target="mass", ordinal={"size": order}) for order in (["S", "M", "L"], ["L", "M", "S"])
    ]
    problems = [prepare(net, one) for one in (*data, dataclasses.replace(data[0], coding=None))]
    assert len({fingerprint(problem) for problem in problems}) == 3
    same = [dataclasses.replace(problem, X=problems[0].X) for problem in problems]
    assert len({fingerprint(problem) for problem in same}) == 3


def test_frames_are_coded_where_a_fit_is_given_them():
    table, net = birds(), bnn.MLP((2,), noise=0.3)
    problem = prepare(net, table.drop(columns="mass"), table["mass"])
    assert problem.feature_names == ("kind[owl]", "kind[rook]", "wing", "tagged", "size[M]", "size[S]")
    assert_array_equal(problem.X, problem.coding.transform(table))
    # Objects that are numbers need none, and keep their names.
    numbers = pd.DataFrame({"a": pd.array([1, 2, 3], dtype="Int64"), "b": [decimal.Decimal("0.5"), 1, 2]})
    plain = prepare(net, numbers, [1.0, 2.0, 3.0])
    assert (plain.coding, plain.feature_names) == (None, ("a", "b"))
    assert_array_equal(plain.X, [[1, 0.5], [2, 1], [3, 2]])
    with pytest.raises(DataError, match=r"missing values in 'kind': row 3; .*load_data"):
        prepare(net, gaps(table, kind=[3]), table["mass"])


# What can't be coded


def column(*values):
    # Old pandas looks for a float in a column of Python's integers, however large.
    objects = {"dtype": object} if any(isinstance(v, int) and abs(v) > 2**64 for v in values) else {}
    return pd.DataFrame({"a": pd.Series(list(values) * 4, **objects), "y": np.arange(4.0 * len(values))})


NOT_CODED = [
    (column("x", "7"), {}, DataError, "both numbers and text, such as 'x'; .*to_numeric.*categorical=\\['a'\\]"),
    (column("8", "7"), {}, DataError, "numbers kept as text, such as '8'"),
    (column("x", 7), {}, DataError, "both numbers and text"),
    (column("2020-01-01", "2020-02-01"), {}, DataError, "dates or times in 'a', such as '2020-01-01'; .*to_datetime"),
    (column("12:30", "12:45"), {}, DataError, "dates or times"),
    (column("unknown", "01.02.2020"), {}, DataError, "dates or times in 'a', such as '01.02.2020'; .*categorical"),
    (column(datetime.date(2020, 1, 1), None), {"missing": "indicator"}, DataError, "dates or times"),
    (column(pd.Period("2020-01"), pd.Period("2020-02")), {}, DataError, "dates or times"),
    (column(pd.Timedelta(1), pd.Timedelta(2)), {}, DataError, "durations in 'a', .*total_seconds.*--exclude a"),
    (column([1, 2], [3]), {}, DataError, r"'a' with \[1, 2\]; a cell must hold one"),
    (column({"b": 1}, {"b": 2}), {}, DataError, "a cell must hold one"),
    (column(b"x", b"y"), {}, DataError, "a cell must hold one"),
    (column(1j, "x"), {}, DataError, "complex 'a'"),
    (column("x", "z").assign(b=np.inf), {}, DataError, "infinite value in X at row 0, column 'b'"),
    (column("x", "x"), {}, DataError, "constant feature columns 'a'"),
    (column(None, None), {"missing": "indicator"}, DataError, "'a' without any value"),
    (column("x", "missing", None), {"missing": "indicator"}, DataError, "level 'missing' and with missing values"),
    (column("x", None), {}, DataError, "missing values in 'a': row 1, column 'a'"),
    (column(10**400, True, "x"), {"categorical": []}, DataError, "both numbers and text"),
    (column("x", "z").assign(a=list("stuvwxyz")), {}, DataError, "'a' with 8 levels in 8 rows, such as 's'; .*exclude"),
    (
        pd.DataFrame({"a": [f"n{i // 2 if i < 4 else i}" for i in range(40)], "y": range(40)}),
        {},
        DataError,
        "38 levels",
    ),
    (column("x", "z").assign(**{"a[z]": range(8)}), {}, DataError, r"more than one column that is called 'a\[z\]'"),
    (column("x", "z"), {"categorical": ["b"]}, UnknownNameError, "column 'b'; known are 'a', 'y'"),
    (column("x", "z"), {"categorical": "a"}, SpecError, "categorical='a'; it must be a list"),
    (column("x", "z"), {"categorical": ["y"]}, SpecError, "'y' in categorical, which is the target"),
    (column("x", "z"), {"exclude": 3}, SpecError, "exclude=3"),
    (column("x", "z"), {"exclude": ["a"]}, DataError, "which leaves none"),
    (column("x", "z").assign(b=range(8)), {"exclude": ["a"], "reference": {"a": "x"}}, SpecError, "and in exclude"),
    (column("x", "z"), {"reference": {"a": "w"}}, UnknownNameError, "reference of 'a' 'w'; known are 'x', 'z'"),
    (column(1, 2), {"reference": {"a": 1}}, SpecError, "a column that is no category"),
    (column("x", "z"), {"reference": ["a"]}, SpecError, "it must be a dict of columns to levels"),
    (column("x", "z"), {"ordinal": ["a"]}, SpecError, "whose levels have no order"),
    (column("x", "z"), {"ordinal": {"a": ["x", "w"]}}, SpecError, "without 'z', which the column has"),
    (column("x", "z"), {"ordinal": {"a": ["x", "z", "x"]}}, SpecError, "or one twice"),
    (column("x", "z"), {"ordinal": {"a": "xz"}}, SpecError, "levels in order"),
    (column("x", "z"), {"ordinal": 3}, SpecError, "ordinal=3"),
    (
        column("x", "z"),
        {"ordinal": {"a": ["x", "z"]}, "categorical": ["a"]},
        SpecError,
        "as categorical and as ordinal",
    ),
    (column("x", "z"), {"missing": "mean"}, SpecError, "missing='mean'"),
    (column(None, 1).assign(y=[1.0, None] * 4), {"missing": "drop"}, DataError, "in every one of the 8 rows"),
    (column("x", "z"), {"sheet": "one"}, SpecError, "sheet='one' without an Excel file"),
]


@pytest.mark.parametrize(("table", "options", "error", "message"), NOT_CODED)
def test_a_column_that_cannot_be_coded_is_refused(table, options, error, message):
    with pytest.raises(error, match=message):
        bnn.load_data(table, target="y", task="regression", test_size=0, **options)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"kind": "emu"},
            "'emu' in 'kind' at row 0, a level that was not fitted; known are 'kite', 'owl', 'rook'. Check",
        ),
        ({"kind": None}, "missing values in 'kind' at row 0; row 1; .*missing='indicator'"),
        ({"wing": np.nan}, "missing values in 'wing'"),
        ({"wing": "broad"}, "'broad' in 'wing', which was fitted as a number"),
        ({"wing": np.inf}, "infinite value in X at row 0, column 'wing'"),
        ({"tagged": 2}, "Got 2 in 'tagged', which was fitted as a boolean"),
        ({"tagged": "yes"}, "'yes' in 'tagged', which was fitted as a boolean"),
        ({"size": "XL"}, "'XL' in 'size' at row 0.*known are 'S', 'M', 'L'"),
    ],
)
def test_new_rows_that_were_not_learnt_of_are_refused(fitted, changes, message):
    fit, _ = fitted
    table = birds(5, seed=5).assign(**changes)
    with pytest.raises(DataError, match=message):
        bnn.predict(fit, table)
    with pytest.raises(DataError, match=message):
        bnn.score(fit, table, table["mass"])


def test_choices_are_refused_for_bundled_data():
    with pytest.raises(SpecError, match="missing='drop' with the bundled data 'iris'"):
        bnn.load_data("iris", missing="drop")


# Other tables


def tables_of(library):
    module = pytest.importorskip(library)
    table = gaps(birds(), wing=range(0, 60, 7), kind=range(0, 60, 8))
    if library == "polars":
        columns = table.astype(object).where(table.notna(), None)
        return module, module.DataFrame(columns.to_dict("list"))
    return module, module.Table.from_pandas(table)


@pytest.mark.parametrize("library", ["pyarrow", "polars"])
def test_frames_of_other_libraries_are_those_of_pandas(library, fitted):
    module, table = tables_of(library)
    assert is_frame(table)
    expected = bnn.load_data(
        gaps(birds(), wing=range(0, 60, 7), kind=range(0, 60, 8)), target="mass", missing="indicator"
    )
    found = bnn.load_data(table, target="mass", missing="indicator")
    assert found.coding == expected.coding
    assert_array_equal(found.X, expected.X)
    assert_array_equal(found.y_test, expected.y_test)
    assert library in found.description
    fit, _ = fitted
    new = birds(6, seed=4)
    theirs = module.table(new.to_dict("list")) if library == "pyarrow" else module.DataFrame(new.to_dict("list"))
    assert_array_equal(bnn.predict(fit, theirs)["mean"], bnn.predict(fit, new)["mean"])
    if library == "polars":
        with pytest.raises(DataError, match=r"lazy frame .*collect"):
            bnn.load_data(table.lazy(), target="mass")
        enum = module.DataFrame({"a": ["lo", "hi"]}, schema={"a": module.Enum(["lo", "hi"])})
        assert as_frame(enum)["a"].cat.categories.tolist() == ["lo", "hi"]


def test_what_is_no_frame_is_none():
    for value in ([1], np.zeros(2), "x", pd.Series([1]), {"a": [1]}, 3, None, bnn.load_data("coin"), io.StringIO()):
        assert not is_frame(value)
    with pytest.raises(DataError, match="as a table; it must be a data frame"):
        as_frame(pd.Series([1]))


def test_a_workbook_is_read_and_its_sheet_said(tmp_path):
    pytest.importorskip("openpyxl")
    path = tmp_path / "birds.xlsx"
    with pd.ExcelWriter(path) as book:
        birds().to_excel(book, sheet_name="first", index=False)
        birds(seed=7).to_excel(book, sheet_name="second", index=False)
    for sheet, seed in ((None, 0), ("second", 7)):
        data, expected = bnn.load_data(path, target="mass", sheet=sheet), bnn.load_data(birds(seed=seed), target="mass")
        assert data.coding == expected.coding
        assert_allclose(data.X, expected.X)
        assert data.description == f"Read from birds.xlsx, sheet {sheet or 'first'!r} of 'first', 'second'."
    with pytest.raises(UnknownNameError, match="sheet 'third'; known are 'first', 'second'"):
        bnn.load_data(path, target="mass", sheet="third")
    with pytest.raises(SpecError, match=r"sep=';' for 'birds.xlsx'; Excel is no text"):
        bnn.load_data(path, target="mass", sep=";")
    path.write_bytes(b"PK\x03\x04")
    with pytest.raises(DataError, match="does not read as an Excel workbook"):
        bnn.load_data(path, target="mass")


def test_a_workbook_without_its_reader_is_refused(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "openpyxl", None)
    path = tmp_path / "birds.xlsx"
    with zipfile.ZipFile(path, "w") as book:
        book.writestr("xl/workbook.xml", "")
    with pytest.raises(
        DataError, match=r"to read Excel, openpyxl must be installed. Install it \(pip install openpyxl\)"
    ):
        bnn.load_data(path, target="mass")
