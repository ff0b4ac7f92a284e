"""The report: its sentences against numbers found by hand, what it says of odd fits, and names that are no markup."""

from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest
from scipy.special import logsumexp
from scipy.stats import norm

import bayesnn as bnn
from bayesnn.errors import DataError, FileError, FitError, SpecError
from bayesnn.tree import params_of
from tests.conftest import X5, X_NODE, Y5, tree_of
from tests.reporting.handmade import draws


class Page(HTMLParser):
    """Tags with their attributes, and the text of the body."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.words, self.inside = [], [], []
        self.feed(text)
        self.text = " ".join(" ".join(self.words).split())

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        self.inside.append(tag)

    def handle_endtag(self, tag):
        self.inside = self.inside[: len(self.inside) - 1 - self.inside[::-1].index(tag)]

    def handle_data(self, data):
        if "style" not in self.inside[-1:]:
            self.words.append(data)

    def all(self, tag):
        return [attrs for name, attrs in self.tags if name == tag]


@pytest.fixture(scope="module")
def made(sine, sine_mle, sine_map, sine_post):
    return bnn.report(sine_mle, sine_map, sine_post, data=sine)


@pytest.fixture(scope="module")
def page(made):
    return Page(made.html)


def test_the_page_is_whole_and_loads_nothing(page, made):
    assert made.html.startswith("<!DOCTYPE html>")
    assert not page.all("script")
    assert not [a for _, a in page.tags if any(name.startswith("on") for name in a)]
    assert {a["src"].partition(",")[0] for a in page.all("img")} == {"data:image/png;base64"}
    assert "http" not in made.html
    assert "url(" not in made.html
    assert "@import" not in made.html


def test_pictures_tables_and_sections_have_names(page):
    assert len(page.all("img")) >= 5
    assert min(len(a["alt"]) for a in page.all("img")) > 30
    assert len(page.all("h1")) == len(page.all("main")) == 1
    assert len(page.all("caption")) == len(page.all("table")) > 5
    ids = [a["id"] for _, a in page.tags if "id" in a]
    assert len(set(ids)) == len(ids)
    targets = {a["href"][1:] for a in page.all("a")}
    assert targets <= set(ids)
    assert targets >= {a["id"] for a in page.all("section")}
    assert all(a["aria-labelledby"] in ids for a in page.all("section"))


def test_the_first_sentence_compares_row_by_row(made, sine, sine_mle, sine_map, sine_post):
    def densities(fit):
        f = sine_net_forward(fit, sine.X_test).reshape(-1, len(sine.y_test))
        return logsumexp(norm.logpdf(sine.y_test, f, 0.2), axis=0) - np.log(len(f))

    mle, map_, post = map(densities, (sine_mle, sine_map, sine_post))
    assert post.mean() > map_.mean() > mle.mean()
    said = made.answer[0]
    assert said.startswith("On 100 held-out rows the posterior predicts best: its log density is ")
    for number in (post.mean(), (post - mle).mean(), (post - map_).mean()):
        assert f"{number:.3f} ".replace("-", "−") in said
    gap = post - map_
    error = gap.std(ddof=1) / 10
    assert f"{gap.mean():.3f} ± {error:.3f} above the MAP" in said
    assert ("MAP (which may be chance)" in said) == (gap.mean() <= 2 * error)
    rmse = np.sqrt(np.mean((sine_net_forward(sine_post, sine.X_test).mean(axis=(0, 1)) - sine.y_test) ** 2))
    bare = np.sqrt(np.mean((sine.y.mean() - sine.y_test) ** 2))
    assert f"error of {rmse:.4g} (always predicting the training mean has {bare:.4g})" in said


def sine_net_forward(fit, X):
    params = params_of(fit)
    h = np.tanh(X @ params["W1"] + params["b1"][:, :, None])
    return (h @ params["W2"] + params["b2"][:, :, None])[..., 0]


def test_the_other_sentences_have_their_numbers(made, sine, sine_mle, sine_map, sine_post):
    height = [
        norm.logpdf(sine.y, sine_net_forward(f, sine.X), 0.2).sum(axis=-1).mean()
        for f in (sine_mle, sine_map, sine_post)
    ]
    assert f"give up {height[0] - height[1]:.2f} nats" in made.answer[1]
    assert f"{height[1] - height[2]:.2f} nats below the MAP" in made.answer[1]
    verdict = bnn.diagnose(sine_post)
    assert f"R-hat {verdict.rhat_function:.3f}" in made.answer[2]
    assert "since 8 sets of weights give each function" in made.answer[2]


def test_it_says_what_was_found(page, sine_post, sine_map):
    for words in (
        bnn.diagnose(sine_post).message,
        sine_map.attrs["bayesnn_message"],
        bnn.theory.power_sensitivity(sine_post).message,
        "How does y depend on the 1 input x,",
        "40 training rows, which were fitted, and 100 held-out rows",
        "map_ = bnn.fit_map(net, X, y, random_seed=1)",
        "bnn.fit_posterior(net, X, y, target_accept=0.95, random_seed=1)",
        "2 tanh units in 1 hidden layer; 7 weights and biases",
    ):
        assert " ".join(words.split()) in page.text, words


@pytest.mark.parametrize("kinds", [("mle",), ("map",), ("post",), ("map", "post")])
def test_any_of_the_fits_will_do(sine, sine_mle, sine_map, sine_post, kinds):
    given = {"mle": sine_mle, "map": sine_map, "post": sine_post}
    found = bnn.report([given[k] for k in kinds], data=sine if "post" in kinds else None)
    assert len(found.answer) == 3
    missing = {"mle": "the MLE", "map": "the MAP", "post": "the posterior"}
    steps = [head for head, _ in found.steps]
    for kind, name in missing.items():
        assert (f"Fit {name} too" in steps) == (kind not in kinds)
    assert ("Hold rows out" in steps) == ("post" not in kinds)


def binary():
    return bnn.MLP((2,), loss="binary_cross_entropy"), np.c_[X_NODE, X_NODE**2], [0, 1, 0, 1, 1]


CASES = {
    "binary": binary,
    "classes": lambda: (bnn.MLP((), loss="cross_entropy"), np.c_[X5, X5**2, X5**3], [0, 1, 2, 1, 0]),
    "count": lambda: (bnn.MLP((1,), loss="poisson", activation="relu"), X5, [0, 1, 3, 2, 7]),
    "ordinal": lambda: (bnn.MLP((1,), loss="ordinal"), X5, [0, 0, 1, 2, 2]),
    "two layers": lambda: (bnn.MLP((2, 2), noise=0.3, prior=bnn.Laplace(1.0, bias=bnn.Normal(2.0))), X5, Y5),
    "hierarchical": lambda: (bnn.MLP((2,), prior=bnn.Hierarchical(1.0), loss="student_t"), X5, Y5),
    "two targets": lambda: (bnn.MLP((2,), noise=0.3), X5, np.c_[Y5, 2 - Y5]),
}


@pytest.mark.parametrize("name", CASES)
def test_every_kind_of_target_and_prior(name):
    net, X, y = CASES[name]()
    found = bnn.report(draws(net, X, y))
    text = Page(found.html).text
    assert "Not drawn" not in text
    assert "nan" not in text.lower().split()
    formula = {"binary": "1 / (1 + exp(−f))", "count": "logarithm of the expected count", "ordinal": "cutpoints"}
    assert formula.get(name, "f") in text
    assert ("No hidden units" in text) == (not net.hidden)


def test_effects_and_the_check_are_told_with_their_numbers():
    X = np.column_stack([X5, np.arange(5) % 2])
    rng = np.random.default_rng(3)
    params = {"W1": [[0.5], [-0.25]] + 0.05 * rng.normal(size=(2, 60, 2, 1)), "b1": 0.05 * rng.normal(size=(2, 60, 1))}
    fit = tree_of(bnn.MLP((), noise=0.3), pd.DataFrame(X, columns=["dose", "sex"]), Y5, params)
    page = Page(bnn.report(fit).html)
    table = page.text.split("What a change of each input does to mean of target")[1]
    for name, by, said in (("dose", X5.std(), "one standard deviation more, 1.414"), ("sex", 1.0, "from 0 to 1")):
        effect = by * params["W1"][..., "ds".index(name[0]), 0].ravel()
        low, high = np.quantile(effect, [0.05, 0.95])
        cell = f"{effect.mean():.4g} ({low:.4g} to {high:.4g})".replace("-", "−")
        assert f"{name} {said} {cell}" in table
    assert "Could the data have come from the fit? Nothing tells the data from those of the fit: 6 of 6" in page.text
    # Two pictures more than without: along the inputs, and of the check.
    assert sum("PIT of 5 rows of the fit" in a["alt"] for a in page.all("img")) == 1
    assert sum("Partial dependence" in a["alt"] for a in page.all("img")) == 1


def test_a_maximum_at_infinity_is_not_called_an_mle(node):
    mle, map_ = (
        fit(node, X_NODE, [0, 0, 1, 1, 1], restarts=3, random_seed=1, nonexistent="flag", progressbar=False)
        for fit in (quiet(bnn.fit_mle), bnn.fit_map)
    )
    found = bnn.report(mle, map_)
    assert "There is no MLE" in found.answer[1]
    assert found.steps[0][0] == "Do not report an MLE"
    assert "MLE: at infinity" in found.html


def test_an_unbounded_density_has_no_numbers():
    net = bnn.MLP((), noise=None)
    mle = quiet(bnn.fit_mle)(net, X5, 2 * X5 + 1, restarts=2, random_seed=1, nonexistent="flag", progressbar=False)
    found = bnn.report(mle)
    assert found.answer[1].startswith("There is no MLE: ")
    assert "MLE: unbounded" in found.html


def quiet(fit):
    def call(*args, **kwargs):
        with pytest.warns(bnn.errors.ConvergenceWarning):
            return fit(*args, **kwargs)

    return call


def test_chains_in_different_modes_are_not_trusted(two_weights):
    rng = np.random.default_rng(1)
    level = np.array([0.8, 0.8, 1.6, 1.6])[:, None] + 0.02 * rng.normal(size=(4, 400))
    post = tree_of(two_weights, X5, Y5, {"W1": level[..., None, None], "W2": level[..., None, None]})
    found = bnn.report(post)
    assert found.answer[2].startswith("The posterior's predictions are not to be trusted")
    assert found.steps[0] == ("Repair the posterior before using it", bnn.diagnose(post).remedy)
    assert 'class="answer bad"' in found.html


def test_a_tempered_fit_judges_the_chains_and_gives_the_evidence(flank_chains, flank_tempered):
    found = bnn.report({"chains": flank_chains[0], "tempered": flank_tempered})
    assert "not to be trusted" in found.answer[2]
    text = Page(found.html).text
    assert "Of the posteriors, “tempered” is the one that predicts" in text
    assert f"Log evidence of this network, by the fit “tempered”: {bnn.log_evidence(flank_tempered)}" in text.replace(
        "−", "-"
    )


SCRIPT, IMAGE = "<script>alert(1)</script>", '"><img src=x onerror=alert(1)>'


def test_names_from_the_data_are_no_markup(line_post):
    frame = pd.DataFrame({SCRIPT: X5, IMAGE: X5**2})
    net = bnn.MLP((2,), loss="cross_entropy")
    post = draws(net, frame, [0, 1, 2, 1, 0])
    found = bnn.report({f"fit {SCRIPT}": post}, command=f"bayesnn compare --target {SCRIPT}")
    page = Page(found.html)
    assert not page.all("script")
    assert not [a for _, a in page.tags if "onerror" in a]
    assert not [a for a in page.all("img") if not a["src"].startswith("data:")]
    assert found.html.count("alert(1)") >= 4
    assert SCRIPT in page.text
    shown = found._repr_html_()
    assert [tag for tag, _ in Page(shown).tags] == ["iframe"]
    # The check fires on a page that is not escaped.
    assert Page(SCRIPT).all("script")


@pytest.mark.parametrize(
    "net",
    [
        bnn.MLP((2,), loss=bnn.losses.Huber(delta=2.0), noise=0.4, prior=bnn.StudentT(3.0, 1.0)),
        bnn.MLP((), loss="poisson", bias=False),
        bnn.MLP((2, 1), activation="relu", prior=bnn.Normal(2.0, fan_in=True, bias=bnn.Laplace(1.0))),
    ],
)
def test_the_script_makes_the_same_network(net):
    from bayesnn.reporting.closing import _script
    from bayesnn.reporting.subject import Subject

    post = draws(net, X5, [0, 1, 3, 2, 7])
    script = _script(Subject({"posterior": post}, None, None, "posterior", None, ""))
    (line,) = [line for line in script.splitlines() if line.startswith("net = ")]
    told = {"bnn": bnn}
    exec(line, told)
    assert told["net"] == net


def test_networks_bring_occams_razor(line_post, line_nets):
    found = bnn.report(line_post, networks=line_nets)
    text = Page(found.html).text
    assert line_nets.message.replace("-", "−") in text.replace("-", "−")
    assert "Ask whether the network has the right size" not in [head for head, _ in found.steps]


@pytest.fixture(scope="module")
def line_nets():
    nets = [bnn.MLP((), noise=0.3, bias=bias) for bias in (True, False)]
    return bnn.compare_networks(nets, X5, Y5, restarts=2, draws=50, random_seed=1, progressbar=False)


def test_it_is_written_and_shown(made, tmp_path, sine_map):
    path = tmp_path / "new" / "report.html"
    assert made.save(path) == path
    assert path.read_text(encoding="utf-8") == made.html
    assert repr(made).splitlines()[1] == made.answer[0]
    (tmp_path / "file").write_text("")
    with pytest.raises(FileError, match="can't be written"):
        made.save(tmp_path / "file" / "report.html")


def test_no_picture_stays_open(sine_map):
    import matplotlib.pyplot as plt

    before = plt.get_fignums()
    bnn.report(sine_map)
    assert plt.get_fignums() == before


def test_what_can_not_be_reported_is_refused(sine, sine_map, sine_post, node_post):
    other = bnn.load_data("sine_gap", random_seed=2)
    for error, words, fits, options in (
        (SpecError, "Got no fits", [], {}),
        (SpecError, "Got 2 fits of the kind MAP", [sine_map, sine_map], {}),
        (SpecError, "fits of different networks and data", [sine_map, node_post], {}),
        (FitError, "Got int", [3], {}),
        (SpecError, "Got data of type ndarray", [sine_map], {"data": sine.X}),
        (DataError, "training rows are not the 40", [sine_map], {"data": other}),
        (SpecError, "Got networks of type int", [sine_map], {"networks": 3}),
        (SpecError, "Got verdict of type str", [sine_post], {"verdict": "good"}),
        (SpecError, "Got a verdict without a posterior", [sine_map], {"verdict": bnn.diagnose(sine_post)}),
    ):
        with pytest.raises(error, match=words):
            bnn.report(*fits, **options)
