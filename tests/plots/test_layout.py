"""Every picture says in words what it shows, can be read, takes the user's axes, and looks as it did.

How it looked stands in baselines.json, coarsely: how dark each part is. After a change that is meant, look at the
pictures and write it anew: ``BAYESNN_BASELINES=write python -m pytest -n 0 tests/plots/test_layout.py``.
"""

import json
import os
import re
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes

import bayesnn as bnn
from bayesnn import plots, theory
from bayesnn.errors import SpecError
from bayesnn.plots import Picture
from bayesnn.theory.approximations import Approximations
from bayesnn.theory.prior_grid import PriorGrid
from tests.conftest import X5, X_NODE, Y5, tree_of
from tests.plots.layout import distance, faults, ink
from tests.plots.test_evidence import grid
from tests.plots.test_singular import study
from tests.plots.test_symmetry_plots import MIRRORED, chains, point
from tests.plots.test_validation import validation

BASELINES = Path(__file__).with_name("baselines.json")
APART = 0.35
"""Steps of darkness, of ten, that a picture may be from its baseline on average: other fonts are closer."""
RNG = np.random.default_rng(7)
LINE = bnn.MLP((), noise=0.3, prior=bnn.Normal(1.0))
NODE = bnn.MLP((), loss="binary_cross_entropy", bias=False, prior=bnn.Normal(1.0))
COIN = theory.textbook_likelihood("bernoulli", [0, 0, 0, 1, 0])


def near(fit, kind, *, spread=0.0, draws=(1, 1), net=None):
    """Fits near the mean of another one, so that three answers are had without fitting."""
    params = {str(k): v.to_numpy().mean(axis=(0, 1)) for k, v in fit["posterior"].data_vars.items()}
    rng = np.random.default_rng(3)
    params = {k: v + spread * rng.normal(size=(*draws, *v.shape)) for k, v in params.items()}
    return tree_of(LINE if net is None else net, X5, Y5, params, kind=kind)


def three():
    """MLE, MAP and posterior of a line, made up."""
    centre = {"W1": np.full((1, 1, 1, 1), 0.56), "b1": np.full((1, 1, 1), 0.02)}
    first = tree_of(LINE, X5, Y5, centre, kind="map")
    return near(first, "mle"), first, near(first, "posterior", spread=0.1, draws=(4, 50))


def counted():
    """A fit of counts of two inputs."""
    X = RNG.normal(size=(60, 2))
    net, y = bnn.MLP((), loss="poisson"), np.random.default_rng(1).poisson(np.exp(0.3 * X[:, 0]))
    params = {"W1": 0.3 + 0.1 * RNG.normal(size=(2, 30, 2, 1)), "b1": 0.1 * RNG.normal(size=(2, 30, 1))}
    return tree_of(net, X, y, params)


def mixed():
    """A fit of numbers of three inputs, of which one has two values."""
    rng = np.random.default_rng(5)
    X = np.column_stack([rng.normal(size=(60, 2)), np.arange(60) % 2])
    params = {"W1": 0.5 + 0.1 * rng.normal(size=(2, 30, 3, 2)), "b1": 0.1 * rng.normal(size=(2, 30, 2))}
    params |= {"W2": [[1.0], [-2.0]] + 0.1 * rng.normal(size=(2, 30, 2, 1)), "b2": 0.1 * rng.normal(size=(2, 30, 1))}
    return tree_of(bnn.MLP((2,), noise=0.3), X, X[:, 0], params)


def sorts():
    """A fit of three classes."""
    rng = np.random.default_rng(6)
    params = {"W1": rng.normal(size=(1, 1, 2, 3)) + 0.1 * rng.normal(size=(2, 30, 2, 3)), "b1": np.zeros((2, 30, 3))}
    return tree_of(bnn.MLP((), loss="cross_entropy"), rng.normal(size=(60, 2)), np.arange(60) % 3, params)


def mirrored():
    """Draws in several mirror images, and a point."""
    return chains(MIRRORED), point((2,))


def ranks():
    u = pd.DataFrame(np.random.default_rng(1).random((60, 5)) ** [1, 1, 2, 1, 1], columns=list("abcde"))
    return theory.Calibration(u, u.assign(**dict.fromkeys(u, 50)), 0.95, {}, (), False)


def approximations():
    mle, map_, post = three()
    table = pd.DataFrame({"held-out LPPD": [-0.1, -0.3, -0.2], "distance": [0.0, 0.21, 0.13],
                          "width in the gap": [0.8, 0.0, 0.1]}, index=["exact", "MLE", "MAP"])  # fmt: skip
    return Approximations({"MLE": mle, "MAP": map_, "exact": post}, data(), (-0.5, 0.5), table)


def prior_grid():
    x = np.linspace(-2, 2, 21)
    cells = {
        (sd, n): {"map": 0.5 * x, "mean": 0.52 * x, "lower": 0.5 * x - sd / n, "upper": 0.5 * x + sd / n,
                  "log_likelihood": -1.0, "log_evidence": -2.0}
        for sd in (0.5, 2.0) for n in (1, 5)
    }  # fmt: skip
    mle = {n: {"f": 0.6 * x, "log_likelihood": 0.0, "exists": True} for n in (1, 5)}
    return PriorGrid(x, X5, Y5, 0.9, mle, cells, False, {})


def race():
    held = {"X_new": [[-0.5], [1.0]], "y_new": [1, 1]}
    return theory.race_weights(NODE, X_NODE, [0, 0, 1, 1, 1], steps=300, prior_sds=(1, 10), progressbar=False, **held)


def information():
    truth = {"W1": [[2.0, 1.5]], "b1": [1.5, -2.0], "W2": [[1.0], [0.0]], "b2": [0.2]}
    return theory.fisher_information(bnn.MLP((2,), noise=0.2), truth, np.linspace(-3, 3, 20))


def capacity():
    rows = [
        {"answer": answer, "hidden": str(h), "training RMSE": 0.5 / (1 + h), "held-out RMSE": 0.3 + 0.1 * abs(h - 1),
         "training LPPD": -1.0, "held-out LPPD": -1.0, "heading": "", "sound": h < 2, "seconds": 0.0}
        for answer in ("mle", "map", "posterior") for h in (0, 1, 2)
    ]  # fmt: skip
    return pd.DataFrame(rows)


def consistency():
    truth = {"W1": [[1.0]], "b1": [0.5]}
    from scipy.stats import norm

    return theory.consistency_study(
        bnn.MLP((), noise=0.2), truth, (20, 80), 10, inputs=norm(), restarts=1, random_seed=1, progressbar=False
    )


def prior_functions():
    net = bnn.MLP((1,), activation="erf", prior=bnn.Normal(2.0, fan_in=True))
    return theory.prior_functions(net, np.linspace(-2, 2, 21), widths=[1, 10], draws=80, random_seed=1)


def sensitivity(fixture):
    return theory.power_sensitivity(fixture("line_post"))


def data():
    return bnn.load_data("sine_gap", random_seed=1)


PICTURES = {
    "plot_approximations": lambda get, **o: plots.plot_approximations(approximations(), **o),
    "plot_barrier": lambda get, **o: plots.plot_barrier(point((2,)), **o),
    "plot_calibration": lambda get, **o: plots.plot_calibration(ranks(), **o),
    "plot_capacity": lambda get, **o: plots.plot_capacity(capacity(), **o),
    "plot_consistency": lambda get, **o: plots.plot_consistency(consistency(), **o),
    "plot_convexity": lambda get, **o: plots.plot_convexity(
        theory.convexity(LINE, np.column_stack([X5, 2 * X5]), Y5), **o
    ),
    "plot_estimates": lambda get, **o: plots.plot_estimates(
        theory.compare_estimates(COIN, priors=[(1, 1), (5, 5)], copies=(1, 4, 16)), **o
    ),
    "plot_evidence": lambda get, **o: plots.plot_evidence(grid((1.0, 3.0)), **o),
    "plot_fits": lambda get, **o: plots.plot_fits(*three(), data=data(), **o),
    "plot_information": lambda get, **o: plots.plot_information(information(), **o),
    "plot_likelihood": lambda get, **o: plots.plot_likelihood(COIN, **o),
    "plot_mirrors": lambda get, **o: plots.plot_mirrors(*mirrored(), **o),
    "plot_modes": lambda get, **o: plots.plot_modes(get("sine_map"), **o),
    "plot_optima": lambda get, **o: plots.plot_optima(get("sine_mle"), get("sine_map"), **o),
    "plot_orbit": lambda get, **o: plots.plot_orbit(point((2,)), **o),
    "plot_partial_dependence": lambda get, **o: plots.plot_partial_dependence(counted(), kind="both", **o),
    "plot_ppc": lambda get, **o: plots.plot_ppc(*three(), data=data(), **o),
    "plot_prior": lambda get, **o: plots.plot_prior(LINE, X5, Y5, random_seed=1, **o),
    "plot_prior_functions": lambda get, **o: plots.plot_prior_functions(prior_functions(), **o),
    "plot_prior_grid": lambda get, **o: plots.plot_prior_grid(prior_grid(), **o),
    "plot_race": lambda get, **o: plots.plot_race(race(), **o),
    "plot_rhat": lambda get, **o: plots.plot_rhat(chains(MIRRORED), **o),
    "plot_sensitivity": lambda get, **o: plots.plot_sensitivity(sensitivity(get), **o),
    "plot_singular": lambda get, **o: plots.plot_singular(study(), **o),
    "plot_strips": lambda get, **o: plots.plot_strips(*mirrored(), **o),
    "plot_traces": lambda get, **o: plots.plot_traces(*mirrored(), **o),
    "plot_validation": lambda get, **o: plots.plot_validation(validation([0.5, -1.0, 2.0, 7.0]), **o),
}
MORE = {
    "plot_fits, a surface": lambda get, **o: plots.plot_fits(surface("mle"), surface("map"), **o),
    "plot_fits, many inputs": lambda get, **o: plots.plot_fits(counted(), **o),
    "plot_likelihood, two": lambda get, **o: plots.plot_likelihood(
        theory.textbook_likelihood("normal", [-1, 0, 1]), **o
    ),
    "plot_partial_dependence, pairs": lambda get, **o: plots.plot_partial_dependence(
        mixed(), features=[("x1", "x2"), ("x3", "x1"), "x3"], **o
    ),
    "plot_partial_dependence, classes": lambda get, **o: plots.plot_partial_dependence(
        sorts(), target=["0", "1", "2"], features=["x1", "x2"], centred=True, kind="individual", curves=3, **o
    ),
    "plot_ppc, bars": lambda get, **o: plots.plot_ppc(counted(), random_seed=1, **o),
    "plot_ppc, ordered": lambda get, **o: plots.plot_ppc(*three(), kind="ordered", random_seed=1, **o),
    "plot_modes, a posterior": lambda get, **o: plots.plot_modes(get("flank_tempered"), **o),
}
each_picture = pytest.mark.parametrize("name", [*PICTURES, *MORE])
NUMBER = re.compile(r"\d")


def surface(kind):
    moons = bnn.load_data("two_moons", random_seed=1)
    params = {"W1": np.full((1, 1, 2, 1), 1.0) * [[1.0], [-2.0]], "b1": np.full((1, 1, 1), 0.3)}
    return tree_of(bnn.MLP((), loss="binary_cross_entropy"), moons.X, moons.y, params, kind=kind)


@pytest.fixture(scope="module")
def drawn(request):
    """Each picture, drawn once on first use; it stays open, for what follows looks at it again."""
    done = {}

    def get(name):
        if name not in done:
            done[name] = (PICTURES | MORE)[name](request.getfixturevalue)
        return done[name]

    return get


@pytest.fixture(scope="module")
def written():
    """Baselines to be written, if that is asked for."""
    found: dict = {}
    yield found
    if found:
        BASELINES.write_text(json.dumps(dict(sorted(found.items())), indent=1) + "\n")


def test_no_picture_is_left_out():
    assert set(PICTURES) == {name for name in plots.__all__ if name.startswith("plot_")}


@each_picture
def test_a_picture_says_what_it_shows_and_can_be_read(name, drawn, written):
    picture = drawn(name)
    assert isinstance(picture, Picture)
    assert all(isinstance(ax, Axes) for ax in picture.flat)
    said = picture.alt_text
    assert NUMBER.search(said), "numbers of the picture"
    assert "nan" not in said.split()
    assert said[0].isupper() or said[0].isdigit() or said.startswith("p(")
    assert said.endswith(".")
    assert len(said) < 900
    assert faults(picture.figure) == []
    if os.environ.get("BAYESNN_BASELINES") == "write":
        written[name] = {"panels": list(picture.shape), "ink": ink(picture.figure)}
    known = written[name] if name in written else json.loads(BASELINES.read_text())[name]
    assert list(picture.shape) == known["panels"]
    assert distance(ink(picture.figure), known["ink"]) < APART


@pytest.mark.parametrize("name", ["plot_ppc", "plot_rhat", "plot_prior_grid", "plot_barrier", "plot_estimates"])
def test_a_picture_takes_axes_beside_others_and_a_size(name, drawn, request):
    own = drawn(name)
    figure = plt.figure(figsize=(10, 8), layout="constrained")
    panels = figure.subplots(own.size + 1, 1)
    picture = PICTURES[name](request.getfixturevalue, ax=panels[:-1])
    assert picture.shape == own.shape
    assert set(picture.flat) == set(panels[:-1])
    assert not figure.legends
    assert figure.get_suptitle() == ""
    assert picture.alt_text == own.alt_text
    sized = PICTURES[name](request.getfixturevalue, figsize=(9, 5))
    assert list(sized.figure.get_size_inches()) == [9, 5]
    part = plt.figure(layout="constrained").subfigures(1, 2)[0]
    filled = PICTURES[name](request.getfixturevalue, ax=part.subplots(own.size, 1))
    assert len(part.legends) == len(own.figure.legends), "a picture that fills its subfigure has its legend there"
    assert filled.figure is part


def test_axes_that_do_not_fit_are_refused():
    with pytest.raises(SpecError, match=r"ax with 2 Axes; the picture has 1 x 3 panels. Write ax=plt.subplots\(1, 3"):
        plots.plot_rhat(chains(MIRRORED), ax=plt.subplots(1, 2)[1])
    with pytest.raises(SpecError, match="ax of type str"):
        plots.plot_race(race(), ax=["a", "b"])
    with pytest.raises(SpecError, match="both ax and figsize"):
        plots.plot_race(race(), ax=plt.subplots(1, 2)[1], figsize=(4, 4))
    with pytest.raises(SpecError, match=r"figsize=\(0, 4\); it is a width and a height"):
        plots.plot_race(race(), figsize=(0, 4))


def test_answers_look_the_same_everywhere(drawn):
    """Colour and dash of the line of an answer, wherever it has one."""
    from bayesnn.plots.style import ANSWERS, COLOURS

    looks = {"MLE": "mle", "MAP": "map", "posterior": "posterior", "posterior mean": "posterior", "mean": "posterior"}
    checked = 0
    for name in ("plot_prior_grid", "plot_estimates", "plot_capacity", "plot_strips", "plot_traces"):
        for line in (line for ax in drawn(name).flat for line in ax.get_lines()):
            if line.get_label() in looks:
                kind = looks[line.get_label()]
                assert (line.get_color(), line.get_linestyle()) == (COLOURS[kind], ANSWERS[kind][0]), name
                checked += 1
    for name in ("plot_fits", "plot_ppc"):
        for ax, kind in zip(drawn(name), ("mle", "map", "posterior"), strict=True):
            (line,) = [line for line in ax.get_lines() if line.get_label() in ("mean", "PIT")]
            assert (line.get_color(), line.get_linestyle()) == (COLOURS[kind], ANSWERS[kind][0]), name
    assert checked > 10


# The checks fire.


def frame(**options):
    figure, ax = plt.subplots(layout="constrained", **options)
    ax.set(xlabel="x", ylabel="y")
    return figure, ax


def test_a_sound_picture_has_no_faults():
    assert faults(frame()[0]) == []


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda figure, ax: ax.annotate("far out", (1.5, 0.5), annotation_clip=False, in_layout=False), "cut"),
        (lambda figure, ax: [ax.text(0.5, 0.5, "one thing"), ax.text(0.52, 0.5, "another")], "covers"),
        (lambda figure, ax: ax.set_xlabel("x", fontsize=5), "too small"),
        (lambda figure, ax: ax.set_ylabel(""), "y axis of panel 1 without a name"),
        (lambda figure, ax: figure.set_figwidth(15), "wider than a notebook"),
        (lambda figure, ax: ax.set_xticks([0, 0.01, 1], ["first", "second", "last"]), "covers"),
    ],
)
def test_each_fault_is_found(spoil, words):
    figure, ax = frame()
    spoil(figure, ax)
    assert words in " ".join(faults(figure))


def test_a_picture_that_lost_a_panel_is_far_from_its_baseline(drawn):
    picture = drawn("plot_race")
    before = ink(picture.figure)
    assert distance(before, before) == 0
    picture[1].set_visible(False)
    assert distance(before, ink(picture.figure)) > APART
    picture[1].set_visible(True)


def test_a_picture_is_an_array_that_keeps_its_words(drawn):
    picture = drawn("plot_race")
    left, right = picture
    assert picture[0] is left
    assert picture.reshape(2, 1).alt_text == picture.alt_text
    assert repr(picture).startswith("<2 Axes: Norm of the weights")
    assert picture.figure is right.figure


def test_several_fits_have_a_row_each(drawn, sine_mle, sine_map):
    assert drawn("plot_optima").shape == (2, 2)
    alone = plots.plot_optima(sine_map)
    assert alone.shape == (2,)
    assert alone.alt_text in drawn("plot_optima").alt_text
    named = plots.plot_modes(first=sine_mle, second=sine_map)
    assert [ax.get_title().splitlines()[0] for ax in named[:, 0]] == ["first", "second"]
    with pytest.raises(SpecError, match="without optima"):
        plots.plot_optima(sine_map, chains(MIRRORED))


def test_points_are_marked_among_the_draws():
    post, fit = mirrored()
    raw, aligned = plots.plot_mirrors(post, fit)
    params = {str(k): v.to_numpy()[0, 0] for k, v in fit["posterior"].data_vars.items()}
    (mark,) = [line for line in raw.get_lines() if line.get_label() == "MAP"]
    assert np.ravel(mark.get_data()) == pytest.approx(params["W1"][0])
    (mark,) = [line for line in aligned.get_lines() if line.get_label() == "MAP"]
    assert sorted(np.abs(np.ravel(mark.get_data()))) == pytest.approx(sorted(np.abs(params["W1"][0])))
    (level,) = {
        line.get_ydata()[0] for line in plots.plot_traces(post, fit)[0, 0].get_lines() if line.get_label() == "MAP"
    }
    assert level == pytest.approx(params["W1"][0, 0])
    with pytest.raises(SpecError, match="2 fits with draws"):
        plots.plot_mirrors(post, post)


def test_show_passes_the_words_on(drawn, monkeypatch):
    import IPython.display

    said = []
    monkeypatch.setattr(IPython.display, "display", lambda image, metadata: said.append((image.data[:4], metadata)))
    picture = drawn("plot_race")
    plots.show(picture)
    plots.show(picture, "Other words.")
    assert said == [(b"\x89PNG", {"image/png": {"alt": words}}) for words in (picture.alt_text, "Other words.")]
    with pytest.raises(SpecError, match="without words"):
        plots.show(np.asarray(picture).view(np.ndarray))
