"""Networks compared by their evidence: exact where that is known by hand, and nothing lost that took long."""

import pickle
import warnings
from concurrent.futures import Executor, Future, ThreadPoolExecutor

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from scipy.special import softmax

import bayesnn as bnn
from bayesnn.diagnostics import networks
from bayesnn.errors import ConvergenceWarning, DataError, ImproperPriorError, SpecError
from tests.conftest import X5, X_NODE, Y5, Y_NODE

NOISE = 0.3
LINES = {
    "line": bnn.MLP(hidden=(), noise=NOISE, prior=bnn.Normal(1.0)),
    "through zero": bnn.MLP(hidden=(), noise=NOISE, prior=bnn.Normal(1.0), bias=False),
    "wide": bnn.MLP(hidden=(), noise=NOISE, prior=bnn.Normal(5.0)),
}
SHORT = {"restarts": 2, "draws": 100, "random_seed": 1, "progressbar": False}


def exact(net, X, y):
    """Evidence and greatest posterior density of a linear network: y is normal with a known covariance."""
    D = np.column_stack([X, np.ones(len(X))]) if net.bias else X[:, None]
    prior = net.prior.sd**2 * np.eye(D.shape[1])
    log_evidence = stats.multivariate_normal(cov=D @ prior @ D.T + NOISE**2 * np.eye(len(X))).logpdf(y)
    w = np.linalg.solve(D.T @ D + NOISE**2 * np.linalg.inv(prior), D.T @ y)
    return log_evidence, stats.norm(D @ w, NOISE).logpdf(y).sum(), D


def test_linear_networks_have_the_evidence_of_linear_algebra():
    table = bnn.compare_networks(LINES, X5, Y5, mle=True, **SHORT)
    by_hand = {name: exact(net, X5, Y5) for name, net in LINES.items()}
    assert list(table.index) == list(LINES)
    for name, (log_evidence, peak, D) in by_hand.items():
        row = table.loc[name]
        assert row["log evidence"] == pytest.approx(log_evidence, abs=1e-8)
        assert row["log evidence se"] == 0.0
        assert row["MAP log-likelihood"] == pytest.approx(peak, abs=1e-6)
        fitted = D @ np.linalg.lstsq(D, Y5, rcond=None)[0]
        assert row["MLE log-likelihood"] == pytest.approx(stats.norm(fitted, NOISE).logpdf(Y5).sum(), abs=1e-6)
        assert row["parameters"] == D.shape[1]
        assert row["converged"]
    assert table["probability"].to_numpy() == pytest.approx(softmax([e for e, *_ in by_hand.values()]), abs=1e-8)
    assert (table["probability se"] == 0).all()
    assert "held-out LPPD" not in table


@pytest.mark.parametrize("given", [[1, 2, 5], {"wide": 5, "line": 1, "through zero": 2}])
def test_the_prior_of_networks_multiplies_their_evidence(given):
    table = bnn.compare_networks(LINES, X5, Y5, prior=given, **SHORT)
    weight = np.exp([exact(net, X5, Y5)[0] for net in LINES.values()]) * [1, 2, 5]
    assert table["probability"].to_numpy() == pytest.approx(weight / weight.sum(), abs=1e-8)


def test_evidences_are_in_the_users_units_and_rows_that_were_held_out_are_scored():
    data = bnn.load_data("sine_gap", random_seed=1)
    net = bnn.MLP(hidden=(), noise=NOISE)
    table = bnn.compare_networks([net], data, scaling="standard", **SHORT)
    a, b, c, d = data.X.mean(), data.X.std(), data.y.mean(), data.y.std()
    scaled = exact(net, (data.X[:, 0] - a) / b, (data.y - c) / d)[0]
    (row,) = table.to_dict("records")
    assert row["log evidence"] == pytest.approx(scaled - len(data.y) * np.log(d), abs=1e-7)
    (fit,) = table.fits.values()
    assert row["held-out LPPD"] == bnn.score(fit, data.X_test, data.y_test)["lppd"]


def test_the_error_of_the_probabilities_is_that_of_simulated_evidences():
    logs, errors = np.array([-3.0, -3.5, -5.0]), np.array([0.05, 0.1, 0.08])
    rows = {
        k: {"log evidence": v, "log evidence se": s, "MAP log-likelihood": 0.0, "parameters": 1, "converged": True}
        for k, v, s in zip("abc", logs, errors, strict=True)
    }
    table = networks._table(rows, dict.fromkeys(rows, 0.0))
    repeated = softmax(logs + errors * np.random.default_rng(1).normal(size=(100_000, 3)), axis=1)
    assert table["probability se"].to_numpy() == pytest.approx(repeated.std(axis=0), rel=0.03)


class Sent(Executor):
    """What a pool of processes does to a task and to its result, without the seconds that a new process takes."""

    def submit(self, function, *args, **kwargs):
        future = Future()
        function, args, kwargs = pickle.loads(pickle.dumps((function, args, kwargs)))
        future.set_result(pickle.loads(pickle.dumps(function(*args, **kwargs))))
        return future


def test_the_numbers_do_not_depend_on_the_executor():
    nets = [bnn.MLP(hidden=h, noise=NOISE) for h in ((1,), ())]
    table = bnn.compare_networks(nets, X5, Y5, **SHORT)
    assert (table["log evidence se"] > 0).tolist() == [True, False]
    with ThreadPoolExecutor(2) as pool:
        threads = bnn.compare_networks(nets, X5, Y5, executor=pool, cores=1, **SHORT)
    sent = bnn.compare_networks(nets, X5, Y5, executor=Sent(), **SHORT)
    for other in (threads, sent):
        pd.testing.assert_frame_equal(pd.DataFrame(other), pd.DataFrame(table), check_exact=True)
        for name, fit in table.fits.items():
            assert fit.posterior.identical(other.fits[name].posterior)


def test_an_interruption_keeps_the_networks_that_are_done(monkeypatch):
    def interrupted(net, *args, **kwargs):
        if net.bias is False:
            raise KeyboardInterrupt
        return bnn.fit_map(net, *args, **kwargs)

    monkeypatch.setattr(networks, "fit_map", interrupted)
    with pytest.warns(ConvergenceWarning, match="Interrupted: 1 of 3 networks are in the table"):
        table = bnn.compare_networks(LINES, X5, Y5, **SHORT)
    assert list(table.index) == ["line"]
    assert table["probability"].item() == 1.0
    with pytest.raises(KeyboardInterrupt):
        bnn.compare_networks({"none is done": LINES["through zero"]}, X5, Y5, **SHORT)


def test_an_interrupted_sampler_ends_it_and_its_network_is_flagged(monkeypatch):
    def interrupted(net, *args, **kwargs):
        fit = bnn.fit_posterior(net, *args, **kwargs)
        fit.attrs["bayesnn_ended"] = "met" if net.bias else "interrupted"
        return fit

    monkeypatch.setattr(networks, "fit_posterior", interrupted)
    with pytest.warns(ConvergenceWarning, match="Interrupted: 2 of 3"):
        table = bnn.compare_networks(LINES, X5, Y5, **SHORT)
    assert table["converged"].to_dict() == {"line": True, "through zero": False}
    assert "converged" in repr(table)
    assert "Tempering has not reached its marks for 'through zero'" in table.message


class Waiting:
    """An executor whose user does not wait for the second network."""

    def __init__(self):
        self.submitted = 0

    def submit(self, function, *args, **kwargs):
        future = Future()
        self.submitted += 1
        if self.submitted == 1:
            future.set_result(function(*args, **kwargs))
        elif self.submitted == 2:
            future.set_exception(KeyboardInterrupt())
        return future


def test_an_interrupted_executor_leaves_what_is_done():
    with pytest.warns(ConvergenceWarning, match="Interrupted: 1 of 3"):
        table = bnn.compare_networks(LINES, X5, Y5, executor=Waiting(), **SHORT)
    assert list(table.index) == ["line"]


def test_a_network_that_fails_costs_no_other(monkeypatch):
    def failing(net, *args, **kwargs):
        if not net.bias:
            raise bnn.FitError("Got nothing.")
        return bnn.fit_posterior(net, *args, **kwargs)

    monkeypatch.setattr(networks, "fit_posterior", failing)
    with pytest.warns(ConvergenceWarning, match="'through zero' failed and is left out: FitError: Got nothing"):
        table = bnn.compare_networks(LINES, X5, Y5, **SHORT)
    assert list(table.index) == ["line", "wide"]
    with pytest.raises(bnn.FitError, match="Got nothing"):
        bnn.compare_networks([LINES["through zero"]], X5, Y5, **SHORT)


def test_tempering_that_misses_its_marks_is_flagged_once():
    wide = bnn.MLP(hidden=(2,), noise=0.01, prior=bnn.Normal(3.0))
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        table = bnn.compare_networks([wide], X5, Y5, max_rounds=1, **SHORT | {"draws": 8, "tune": 8, "chains": 2})
    (one,) = [w for w in said if issubclass(w.category, ConvergenceWarning)]
    assert "Raise max_rounds" in str(one.message)
    assert not table["converged"].any()


REFUSED = [
    ({"a": LINES["line"], "flat": bnn.MLP((), prior=bnn.Flat())}, {}, ImproperPriorError, "'flat' has no evidence"),
    ([bnn.MLP((), noise=bnn.HalfFlat())], {}, ImproperPriorError, r"HalfFlat.*noise=bnn.HalfNormal"),
    ([], {}, SpecError, "no networks"),
    ({"a": "tanh"}, {}, SpecError, "a network of type str"),
    (3, {}, SpecError, "a network of type int"),
    ({1: LINES["line"], "1": LINES["wide"]}, {}, SpecError, "the name '1' twice"),
    (LINES, {"prior": [1, 2]}, SpecError, r"each of the 3 networks \('line', 'through zero', 'wide'\)"),
    (LINES, {"prior": [1, -1, 1]}, SpecError, "none negative"),
    (LINES, {"prior": [0, 0, 0]}, SpecError, "one at least above zero"),
    (LINES, {"prior": {"line": 1, "narrow": 1, "wide": 1}}, SpecError, "Write a dict by their names"),
    (LINES, {"executor": 2}, SpecError, "Got executor=2; it must be a concurrent.futures.Executor"),
    (LINES, {"draws": 0}, SpecError, "Got draws=0"),
    (LINES, {"max_seconds": -1}, SpecError, "Got max_seconds=-1"),
    (LINES, {"mle": "yes"}, SpecError, "Got mle='yes'; it must be True or False"),
    (LINES, {"scaling": "log"}, SpecError, "Got scaling='log'"),
    ({"numbers": LINES["line"], "labels": bnn.MLP((), loss="binary_cross_entropy")}, {}, SpecError, "different units"),
]


@pytest.mark.parametrize(("nets", "options", "error", "words"), REFUSED)
def test_what_breaks_a_rule_is_refused_before_anything_is_fitted(monkeypatch, nets, options, error, words):
    for name in ("fit_map", "fit_posterior", "fit_mle"):
        monkeypatch.setattr(networks, name, lambda *args, **kwargs: pytest.fail("a fit was started"))
    with pytest.raises(error, match=words):
        bnn.compare_networks(nets, X_NODE, Y_NODE, **SHORT | options)


def test_losses_that_take_y_for_something_else_are_refused():
    class Mirrored(bnn.losses.SquaredError):
        def check_target(self, y, *, classes=None):
            return -super().check_target(y, classes=classes)

    nets = {"as it is": LINES["line"], "mirrored": bnn.MLP((), noise=NOISE, loss=Mirrored())}
    with pytest.raises(SpecError, match=r"'as it is' .* and 'mirrored' .*recodes it"):
        bnn.compare_networks(nets, X5, Y5, **SHORT)
    with pytest.raises(DataError):
        bnn.compare_networks(LINES, X5, Y5[:3], **SHORT)


def test_losses_of_the_same_numbers_and_of_the_same_labels_are_compared():
    regression = [bnn.MLP((), loss=loss) for loss in ("squared_error", "absolute_error", "student_t")]
    labels = [bnn.MLP((), loss=loss) for loss in ("binary_cross_entropy", "cross_entropy")]
    for nets, y in ((regression, Y5), (labels, Y_NODE)):
        problems = {str(i): bnn.tree.prepare(net, X_NODE, y) for i, net in enumerate(nets)}
        networks._check_same_targets(problems)


def test_networks_are_named_by_what_tells_them_apart():
    one, two = bnn.MLP((1,), noise=0.2), bnn.MLP((2,), noise=0.2)
    assert networks.names_of([one, two]) == ["1 tanh unit, Normal(1.0)", "2 tanh units, Normal(1.0)"]
    assert networks.names_of([one, one])[1] == "1 tanh unit, Normal(1.0) (2)"
    deep = bnn.MLP((8, 4), "relu", prior=bnn.ElasticNet(1.0, 0.5), loss=bnn.losses.Quantile(q=0.9))
    assert networks.names_of([bnn.MLP(()), deep]) == [
        "no hidden units, Normal(1.0), squared_error",
        "8-4 relu units, ElasticNet(l1=1.0, l2=0.5), Quantile(0.9)",
    ]
    assert networks.names_of([one, bnn.MLP((1,))])[0] == "1 tanh unit, Normal(1.0), noise 0.2"


def table_of(**columns):
    frame = networks.NetworkComparison(columns, index=["small", "large"])
    return frame.assign(**{"log evidence se": 0.1, "probability": 0.5, "probability se": 0.01, "converged": True})


@pytest.mark.parametrize(
    ("evidence", "likelihood", "words"),
    [
        ([-1, -3], [1, 2], ["prefers 'small', 2.00 ± 0.14 nats above 'large';", "would take 'large': 2.00, against 1"]),
        ([-3, -1], [1, 2], ["prefers 'large', 2.00", "So does the likelihood alone, by its value at the MAP."]),
        ([-1, -1.1], [1, 2], ["0.10 ± 0.14 nats above 'large' (a tie within its error)"]),
        ([-1, -3], [np.nan, np.nan], ["prefers 'small'"]),
    ],
)
def test_the_message_says_what_the_numbers_say(evidence, likelihood, words):
    message = table_of(**{"log evidence": evidence, "MAP log-likelihood": likelihood}).message
    assert all(w in message for w in words)
    assert ("likelihood alone" in message) == np.isfinite(likelihood[0])


def test_rows_and_columns_keep_what_the_table_knows():
    table = bnn.compare_networks(LINES, X5, Y5, **SHORT)
    some = table.iloc[:2]
    assert some.networks is table.networks
    assert some.fits["line"].attrs["bayesnn_kind"] == "posterior"
    assert "-3.6634 (exact)" in repr(some)
    assert "converged" not in repr(some)
    assert "<table" in some._repr_html_()
    assert "No evidence" in table[["parameters"]].message


def test_a_prior_without_map_has_an_evidence():
    net = bnn.MLP((1,), noise=NOISE, prior=bnn.Hierarchical())
    table = bnn.compare_networks([net], X5, Y5, **SHORT)
    assert np.isnan(table["MAP log-likelihood"].item())
    assert np.isfinite(table["log evidence"].item())
    assert table["parameters"].item() == 4 + 2, "two weights, two biases, and the scales of two layers"


def test_laplace_gives_the_same_table_quickly():
    nets = {
        "line": bnn.MLP((), noise=0.3, prior=bnn.Normal(1.0)),
        "unit": bnn.MLP((1,), bias=False, noise=0.3, prior=bnn.Normal(1.0)),
    }
    options = {"method": "laplace", "restarts": 4, "random_seed": 1, "progressbar": False}
    table = bnn.compare_networks(nets, X5, Y5, **options)
    assert table["log evidence"].to_numpy() == pytest.approx([-3.66338304, -1.50371226], abs=1e-7)
    assert table["log evidence se"].tolist()[0] == 0
    assert np.isnan(table["log evidence se"].iloc[1])
    odds = np.exp(-3.66338304 + 1.50371226)
    assert table["probability"].iloc[0] == pytest.approx(odds / (1 + odds), abs=1e-6)
    assert "nan" not in repr(table) + table.message
    assert "-1.50 (approximate)" in repr(table)
    assert table["converged"].all()
    with pytest.raises(bnn.UnknownNameError, match="method"):
        bnn.compare_networks(nets, X5, Y5, method="bic")


def test_laplace_that_is_wrong_is_not_trusted():
    nets = {"twins": bnn.MLP((2,), noise=0.3, prior=bnn.Normal(1.0))}
    with pytest.warns(bnn.ConvergenceWarning, match="Do not trust the Laplace approximation.*twins"):
        table = bnn.compare_networks(nets, X5, Y5, method="laplace", restarts=4, random_seed=1, progressbar=False)
    assert not table["converged"].any()
    assert "Laplace's approximation is not to be trusted for 'twins'" in table.message
