"""What the page is set to: bounds, addresses, scripts."""

import contextlib
import json
import subprocess
import sys
from urllib.parse import urlencode

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bayesnn.activations import ACTIVATIONS
from bayesnn.errors import BayesnnError, SpecError
from bayesnn.playground.settings import BUNDLED, LOSSES, OWN, PRIORS, Settings

OWNED = Settings(data=OWN, points=((0.1, 1.0), (2.0, -3.5)), hidden=3)


@st.composite
def any_settings(draw):
    number = st.floats(0.05, 9.0)
    own = draw(st.booleans())
    rows = tuple(tuple(row) for row in draw(st.lists(st.tuples(number, number), min_size=2, max_size=5)))
    settings = Settings(data=OWN, points=rows, scaled=draw(st.booleans())) if own else Settings()
    settings = settings if own else settings.with_(data=draw(st.sampled_from(BUNDLED)))
    return settings.with_(
        loss=draw(st.sampled_from(LOSSES[settings.task])),
        activation=draw(st.sampled_from(list(ACTIVATIONS))),
        prior=draw(st.sampled_from(list(PRIORS))),
        hidden=draw(st.integers(1, 8)),
        second=draw(st.integers(0, 4)),
        bias=draw(st.booleans()),
        noise=draw(st.one_of(st.just(0.0), number)),
        sd=draw(number),
        n=draw(st.integers(0, 200)),
        seed=draw(st.integers(0, 1000)),
    )


@given(any_settings())
def test_an_address_holds_all(settings):
    query = settings.to_query()
    assert Settings.from_query(query) == settings
    assert Settings.from_query("?" + query).net == settings.net


def test_the_first_page_has_an_empty_address():
    assert Settings().to_query() == ""
    assert Settings.from_query("utm=1&lesson=2") == Settings(), "what is no setting is somebody else's"


@pytest.mark.parametrize(
    "query",
    [
        "hidden=1000000",
        "hidden=2.5",
        "second=9",
        "hidden=0&second=2",
        "n=-1",
        "seed=1e400",
        "sd=nan",
        "sd=inf",
        "noise=1e-30",
        "data=../../etc/passwd",
        "data=own",
        "loss=poisson",
        "prior=__import__",
        "activation=exec",
        "data=own&points=" + ";".join(["1,2"] * 201),
        "data=own&points=1,2;3",
        "data=own&points=a,b",
        "data=own&points=1,nan",
        "data=own&points=1,1e300",
        "data=own&task=binary&loss=binary_cross_entropy&points=1,2",
        "data=own&task=count&loss=poisson&points=1,-2",
        "data=own&points=" + "1," * 10_000,
    ],
)
def test_a_crafted_request_is_refused_in_words(query):
    with pytest.raises(SpecError, match=r"^Got .*\. \w|^Got .*it must be"):
        Settings.from_query(query)


@given(st.dictionaries(st.sampled_from(["data", "n", "hidden", "sd", "points", "noise", "seed", "bias"]), st.text()))
def test_any_address_is_read_or_refused(query):
    with contextlib.suppress(BayesnnError):
        Settings.from_query(urlencode(query))


def test_what_no_longer_fits_is_changed_too():
    moons = Settings(noise=0.7).with_(data="two_moons")
    assert moons.loss == "binary_cross_entropy"
    assert moons.net.noise is None
    assert moons.with_(data="neal").loss == "squared_error"
    assert moons.with_(data="neal").noise == 0.1, "the noise that is known of the data"
    assert OWNED.with_(second=2).with_(hidden=0).second == 0


def test_rows_that_are_shown_are_the_first_of_all():
    five = Settings(n=5)
    assert np.array_equal(five.X, Settings().X[:5])
    assert Settings(n=200).size == 40


SCRIPT = """
{script}
import json
print("RESULT", json.dumps([bnn.score(mle)["lppd"] * len(X), bnn.log_evidence(post).value]))
"""


@pytest.mark.parametrize("settings", [Settings(n=20), OWNED.with_(hidden=1, scaled=True)], ids=["bundled", "own"])
def test_the_script_gives_the_numbers_of_the_page(settings, tmp_path):
    from bayesnn.playground.answers import fit_point, fit_posterior

    script = SCRIPT.format(script=settings.to_python())
    ran = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        check=True,
        cwd=tmp_path,
        env={**__import__("os").environ, "MPLBACKEND": "agg"},
    )
    likelihood, evidence = json.loads(ran.stdout.split("RESULT ")[1])
    assert fit_point(settings, "mle", 20).log_likelihood == pytest.approx(likelihood, rel=1e-9)
    assert fit_posterior(settings, 60.0, 1).evidence == evidence
    assert (tmp_path / "fits.png").stat().st_size > 1000
