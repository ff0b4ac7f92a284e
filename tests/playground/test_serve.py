"""The server's page, without a browser: its HTML, its address, its bounds."""

import subprocess
import sys

import pytest

from bayesnn.errors import DataError, SpecError
from bayesnn.playground.opening import settings_of
from bayesnn.playground.serve import address_of, have_panel, likely
from bayesnn.playground.settings import LOSSES, OWN, Settings


def test_an_address_has_one_value_of_each_name_and_not_too_many():
    assert address_of({"n": [b"5", b"7"], "data": [b"neal"], "odd": [b"\xff"], "none": []}) == {
        "n": "7",
        "data": "neal",
        "odd": "�",
    }
    assert len(address_of({f"x{i}": [b"1"] for i in range(1000)})) == 40


def test_where_panel_is_missing_the_extra_is_named(monkeypatch):
    have_panel()
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(SpecError, match=r'pip install "bayesnn-pymc\[explore\]"'):
        have_panel()


def test_the_likely_pairs_are_compiled_first_and_every_loss_once():
    pairs = list(likely())
    assert pairs[0] == ("tanh", "squared_error")
    assert len(set(pairs)) == len(pairs)
    assert {loss for _, loss in pairs} == {loss for losses in LOSSES.values() for loss in losses}


def test_a_page_begins_with_bundled_data_a_file_or_a_dataset(tmp_path):
    import bayesnn as bnn

    assert settings_of() == Settings()
    assert settings_of("neal", hidden=3).hidden == 3
    file = tmp_path / "rows.csv"
    file.write_text("x,y\n1,2.5\n2,3.5\n3,1.0\n")
    first = settings_of(file)
    assert (first.data, first.points[0], first.scaled) == (OWN, (1.0, 2.5), True)
    moons = settings_of(bnn.load_data("two_moons"), hidden=1)
    assert (moons.task, moons.loss, moons.hidden) == ("binary", "binary_cross_entropy", 1)
    assert settings_of(str(file), noise=0.5).noise == 0.5


@pytest.mark.parametrize(
    ("data", "settings", "error", "said"),
    [
        ("nothing", {}, DataError, "the page shows sine_gap"),
        ("nothing.csv", {}, DataError, "can't be read"),
        ("iris", {}, DataError, "the page shows"),
        ("neal", {"hidden": 10**6}, SpecError, "from 0 to 8"),
        ("neal", {"units": 1}, SpecError, "no setting of the page"),
    ],
)
def test_what_can_not_be_shown_is_refused_by_name(data, settings, error, said):
    with pytest.raises(error, match=said):
        settings_of(data, **settings)


def test_data_with_many_inputs_have_no_picture():
    import bayesnn as bnn

    with pytest.raises(DataError, match="one or two inputs"):
        settings_of(bnn.load_data("iris"))


def test_the_process_of_the_page_loads_no_heavy_library():
    code = "import sys, bayesnn.playground.page; print(*sorted(sys.modules))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert "panel" in loaded
    assert not set(loaded) & {"pymc", "pytensor", "arviz", "nutpie", "sklearn", "matplotlib"}
