"""Fits of every version are read, predict what they predicted, and are brought to the form of today."""

import json
import shutil

import pytest
from numpy.testing import assert_allclose

import bayesnn as bnn
from bayesnn.errors import FitError
from bayesnn.tree import problem_of, saved
from tests.tree.write_fits import FITS, forward

KEPT = sorted(FITS.glob("*/*.nc"))


def absent(version):
    """What is to be done where a version left no fits behind."""
    names = [f"{kind}.nc" for kind in ("mle", "map", "posterior")] + ["expected.json"]
    missing = [name for name in names if not (FITS / version / name).is_file()]
    return f"no {', '.join(missing)} of {version}: run uv run python -m tests.tree.write_fits" if missing else ""


def test_this_version_has_left_its_fits():
    assert absent(bnn.__version__) == ""
    assert absent("97.0.0").endswith("of 97.0.0: run uv run python -m tests.tree.write_fits")


@pytest.mark.parametrize("path", KEPT, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_a_fit_of_each_version_is_read_and_predicts_what_it_did(path):
    fit = bnn.load_fit(path)
    assert fit.attrs["bayesnn_kind"] == path.stem
    assert problem_of(fit).feature_names == ("age", "dose")
    expected = json.loads((path.parent / "expected.json").read_text())[path.stem]
    found = bnn.predict(fit, prob=None)
    assert_allclose(found["probability" if "probability" in found else "mean"], expected, rtol=1e-9)
    assert_allclose(forward(path), expected, rtol=1e-12)
    assert path.stat().st_size < 100_000


@pytest.fixture
def older(tmp_path):
    """A fit of this version as one before might have written it: an attribute has another name, a group too."""
    import netCDF4

    path = shutil.copy(FITS / bnn.__version__ / "map.nc", tmp_path / "older.nc")
    with netCDF4.Dataset(path, "a") as file:
        file.renameAttribute("bayesnn_network", "bayesnn_spec")
        file.renameGroup("observed_data", "targets")
        file.bayesnn_version = "0.0.3"
    return path


def rename_network(tree):
    tree.attrs["bayesnn_network"] = tree.attrs.pop("bayesnn_spec")


def rename_targets(tree):
    tree["observed_data"] = tree["targets"]
    del tree["targets"]


PLANTED = (("0.0.2", lambda tree: tree.attrs.pop("never")), ("0.0.4", rename_network), ("0.1.0", rename_targets))


def test_an_older_fit_is_brought_to_the_form_of_today_step_by_step(older, monkeypatch, tmp_path):
    with pytest.raises(FitError, match=r"by bayesnn 0\.0\.3 without observed_data, network"):
        bnn.load_fit(older)
    monkeypatch.setattr(saved, "MIGRATIONS", PLANTED)
    # Two numbers are a form: 0.0.4 changes none.
    with pytest.raises(FitError, match="without network"):
        bnn.load_fit(older)
    minor = (("0.1.0", rename_network), ("0.1.0", rename_targets))
    monkeypatch.setattr(saved, "MIGRATIONS", minor)
    fit = bnn.load_fit(older)
    today = bnn.load_fit(FITS / bnn.__version__ / "map.nc")
    assert bnn.predict(fit).identical(bnn.predict(today))
    assert (fit.attrs["bayesnn_version"], fit.attrs["bayesnn_migrated"]) == ("0.0.3", "0.1.0")
    again = bnn.load_fit(bnn.save_fit(fit, tmp_path / "again.nc"))
    assert bnn.predict(again).identical(bnn.predict(today)), "what was saved again is not changed again"


def test_a_fit_that_cannot_be_migrated_is_refused_in_words(older, monkeypatch):
    def gone(tree):
        tree.attrs.pop("bayesnn_never")

    monkeypatch.setattr(saved, "MIGRATIONS", (("0.1.0", gone),))
    with pytest.raises(FitError, match=r"0\.0\.3 that can't be brought to the form of 0\.1\.0 .*Run it again"):
        bnn.load_fit(older)


def test_migrations_are_in_the_order_of_their_versions():
    versions = [tuple(map(int, version.split("."))) for version, _ in saved.MIGRATIONS]
    assert versions == sorted(versions)
