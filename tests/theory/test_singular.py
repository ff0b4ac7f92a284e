"""Singular models: closed forms, quadrature and exact leave-one-out against what tempering says."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.integrate import quad
from scipy.special import k0, k1
from scipy.stats import norm

import bayesnn as bnn
from bayesnn.errors import DataError, FitError, ImproperPriorError, SpecError
from bayesnn.theory import information_criteria, product_evidence, singular, singular_study, waic
from bayesnn.theory.criteria import Criteria
from bayesnn.theory.singular import true_network
from tests.conftest import X5, Y5

QUIET = {"progressbar": False, "random_seed": 1}
A = np.column_stack([np.ones(5), X5])
ZERO = {"W1": [[0.0]], "W2": [[0.0]]}


@pytest.fixture(scope="module")
def product():
    """f = v w x, with 100 rows whose targets are zero."""
    return bnn.MLP((1,), activation="identity", bias=False, noise=1.0, prior=bnn.Normal(1.0))


@pytest.fixture(scope="module")
def tanh_net():
    return bnn.MLP((2,), bias=False, noise=1.0, prior=bnn.Normal(1.0))


def study_of(net, **options):
    few = {"replicates": 2, "restarts": 1, "draws": 100, "chains": 2, "max_rounds": 1}
    return singular_study(net, ZERO, [10, 20], **few, **QUIET, **options)


def test_the_evidence_of_a_product_is_exact():
    assert_allclose(product_evidence([100, 10_000]), [0.2442601821, 0.0427380245], rtol=0, atol=5e-11)
    for n in (0.5, 100.0, 1e6):
        inner = lambda w, n=n: norm.pdf(w) / np.sqrt(1 + n * w**2)  # noqa: E731
        by_rule = 2 * quad(inner, 0, 12, points=np.geomspace(1e-4, 1, 9), limit=200)[0]
        assert product_evidence(n) == pytest.approx(by_rule, rel=1e-10)
    # Larger than any number of rows: log n / sqrt(2 pi n) is what is left.
    n = 1e300
    assert product_evidence(n) == pytest.approx(
        (np.log(8 * n) - 2 * np.euler_gamma + np.euler_gamma) / np.sqrt(2 * np.pi * n), rel=1e-12
    )
    with pytest.raises(DataError, match="numbers of rows are positive"):
        product_evidence([10, 0])


@pytest.mark.parametrize(("n", "truth"), [(100, 0.2442601821), (10_000, 0.0427380245)])
def test_tempering_finds_the_evidence_of_a_product(product, n, truth):
    X = np.full((4, 1), np.sqrt(n / 4))
    post = bnn.fit_posterior(product, X, np.zeros(4), sampler="tempering", draws=2000, **QUIET)
    found = bnn.log_evidence(post)
    log_ratio = found.value + 2 * np.log(2 * np.pi)
    assert found.se < 0.05
    assert abs(log_ratio - np.log(truth)) < 3 * found.se
    assert abs(log_ratio - np.log(truth) - 0.2) > 3 * found.se


def test_criteria_of_a_product_are_those_of_its_closed_form(product):
    n = 100
    found = information_criteria(product, np.ones((n, 1)), np.zeros(n), restarts=3, draws=4000, max_rounds=1, **QUIET)
    constant = n / 2 * np.log(2 * np.pi)

    def loss(beta):
        """Minus the derivative of log Z(n beta) after beta."""
        z = 1 / (4 * n * beta)
        return (0.5 + z * (1 - k1(z) / k0(z))) / beta

    beta = 1 / np.log(n)
    step = 1e-5
    slope = (np.log(product_evidence(n * (beta + step))) - np.log(product_evidence(n * (beta - step)))) / (2 * step)
    assert loss(beta) == pytest.approx(-slope, rel=1e-7)
    coefficient = (loss(beta) - loss(1.5 * beta)) / (np.log(n) / 3)
    assert abs(found.wbic - constant - loss(beta)) < 4 * found.wbic_se < 0.3
    assert abs(found.learning_coefficient - coefficient) < 4 * found.learning_coefficient_se
    assert found.learning_coefficient + 5 * found.learning_coefficient_se < 1 == found.parameters / 2
    assert abs(found.log_evidence + constant - np.log(0.2442601821)) < 4 * found.log_evidence_se
    # Its MLE is any point of the cross: the likelihood of zero.
    assert found.bic == pytest.approx(constant + np.log(n), abs=1e-8)
    assert "d/2 is 1" in found.message


def test_criteria_of_a_linear_model_are_exact():
    line = bnn.MLP((), noise=0.3, prior=bnn.Normal(1.0))
    found = information_criteria(line, X5, Y5, restarts=3, draws=8000, max_rounds=1, **QUIET)
    # One row left out of a normal vector.
    inverse = np.linalg.inv(0.09 * np.eye(5) + A @ A.T)
    sd = 1 / np.sqrt(np.diag(inverse))
    assert found.loo == pytest.approx(norm.logpdf(Y5, Y5 - inverse @ Y5 * sd**2, sd).sum(), abs=0.1)
    assert abs(found.log_evidence + 3.66338304) < 4 * found.log_evidence_se
    best = A @ np.linalg.lstsq(A, Y5)[0]
    assert found.bic == pytest.approx(np.log(5) - norm.logpdf(Y5, best, 0.3).sum(), abs=1e-8)

    def loss(beta):
        covariance = np.linalg.inv(beta * A.T @ A / 0.09 + np.eye(2))
        mean = beta * covariance @ A.T @ Y5 / 0.09
        spread = np.trace(A.T @ A @ covariance) / 0.18
        return spread - norm.logpdf(Y5, A @ mean, 0.3).sum()

    beta = 1 / np.log(5)
    assert abs(found.wbic - loss(beta)) < 4 * found.wbic_se < 0.2
    coefficient = 3 * (loss(beta) - loss(1.5 * beta)) / np.log(5)
    assert abs(found.learning_coefficient - coefficient) < 4 * found.learning_coefficient_se
    assert found.table.loc["-LOO elpd", "value"] == -found.loo


def test_waic_of_a_linear_model_is_that_of_its_normal_posterior():
    line = bnn.MLP((), noise=0.3, prior=bnn.Normal(1.0))
    post = bnn.fit_posterior(line, X5, Y5, sampler="tempering", draws=50_000, chains=1, **QUIET)
    found = waic(post)
    covariance = np.linalg.inv(A.T @ A / 0.09 + np.eye(2))
    residual = Y5 - A @ covariance @ A.T @ Y5 / 0.09
    v = np.einsum("ij,jk,ik->i", A, covariance, A)
    p = (v**2 / 2 + v * residual**2) / 0.09**2
    elpd = norm.logpdf(residual, 0, np.sqrt(0.09 + v)) - p
    assert_allclose(found.pointwise, np.stack([elpd, p], axis=1), atol=0.02)
    assert found.elpd == pytest.approx(elpd.sum(), abs=0.02)
    assert found.p == pytest.approx(p.sum(), abs=0.02)
    assert found.se == pytest.approx(np.sqrt(5) * elpd.std(ddof=1), abs=0.02)
    assert found.message.endswith("0.84 effective parameters.")
    assert np.array_equal(found.table["p"], found.pointwise[:, 1])
    # Rows whose log-likelihood varies much are told of: the third stands out by ten deviations of the noise.
    apart = bnn.fit_posterior(line, X5, Y5 + 3 * (X5 == 0), sampler="tempering", **QUIET)
    assert "The log-likelihood of 5 of 5 rows has a variance above 0.4" in waic(apart).message
    with pytest.raises(FitError, match=r"Got 'mle', of one draw.*fit_posterior"):
        waic(bnn.fit_mle(line, X5, Y5, restarts=2, **QUIET))


def test_waic_is_in_the_users_units():
    data = bnn.load_data("sine_gap", random_seed=1)
    line = bnn.MLP((), noise=0.5, prior=bnn.Normal(1.0))
    post = bnn.fit_posterior(line, data, scaling="standard", sampler="tempering", draws=100_000, chains=1, **QUIET)
    mean, sd = data.y.mean(), data.y.std()
    B = np.column_stack([np.ones(len(data.y)), (data.X[:, 0] - data.X.mean()) / data.X.std()])
    covariance = np.linalg.inv(B.T @ B / 0.25 + np.eye(2))
    at = B @ covariance @ B.T @ ((data.y - mean) / sd) / 0.25
    log_p = norm.logpdf((data.y - mean) / sd, at, np.sqrt(0.25 + np.einsum("ij,jk,ik->i", B, covariance, B)))
    found = waic(post)
    assert found.elpd + found.p == pytest.approx((log_p - np.log(sd)).sum(), abs=0.03)


@pytest.fixture(scope="module")
def kept(tanh_net, tmp_path_factory):
    """A study, and the file that it was kept in."""
    path = tmp_path_factory.mktemp("study") / "study.jsonl"
    return study_of(tanh_net, path=path), path


def test_the_study_is_the_same_with_any_executor_and_is_resumed(tanh_net, kept, monkeypatch):
    here, path = kept
    with ThreadPoolExecutor(2) as pool:
        there = study_of(tanh_net, executor=pool)
    assert here.records == there.records
    assert list(here.table.index) == [10, 20]

    def broken(*args, **options):
        raise AssertionError

    monkeypatch.setattr(singular, "information_criteria", broken)
    again = study_of(tanh_net, path=path)
    assert again.records == here.records
    assert "d/2 is 2" in again.message
    with pytest.raises(AssertionError):
        study_of(tanh_net)


def test_the_study_is_relative_to_the_truth(kept):
    found = kept[0]
    rows, table = found.relative, found.table
    for record in found.records:
        assert record["truth"] > 0
    # Of a zero truth with noise 1 the rows' squares are half the loss.
    first = next(r for r in found.records if r["n"] == 20)
    assert 0.3 < (first["truth"] - 10 * np.log(2 * np.pi)) / 10 < 2
    assert table.loc[20, "WBIC"] == pytest.approx(rows.loc[rows["n"] == 20, "WBIC"].mean())
    spread = rows.loc[rows["n"] == 20, "WBIC"].std(ddof=1)
    assert table.loc[20, "WBIC se"] == pytest.approx(spread / np.sqrt(2))
    assert (table["BIC/2"] > table["WBIC"]).all()


def test_a_failure_is_told_and_an_interruption_keeps_what_is_done(tanh_net, kept, monkeypatch):
    names = Criteria.__dataclass_fields__

    def sometimes(net, X, y, **options):
        if len(X) == 20:
            raise error
        return Criteria(**{name: kept[0].records[0][name] for name in names})

    monkeypatch.setattr(singular, "information_criteria", sometimes)
    error = FitError("no")
    found = study_of(tanh_net)
    assert len(found.failed) == 2
    assert "2 fits failed" in found.message
    error = KeyboardInterrupt()
    found = study_of(tanh_net)
    assert len(found.records) == 1
    assert found.interrupted
    assert found.message.endswith("Interrupted.")


def test_what_is_no_study_is_refused_before_it_begins(tanh_net):
    with pytest.raises(SpecError, match=r"Got a truth with \['W1'\]; the network has \['W1', 'W2'\]"):
        singular_study(tanh_net, {"W1": [[0.0]]}, [20], **QUIET)
    with pytest.raises(SpecError, match="as many rows as W1 has columns"):
        singular_study(tanh_net, {"W1": [[0.0]], "W2": [[0.0], [1.0]]}, [20], **QUIET)
    with pytest.raises(DataError, match=r"Got n_values=\[3\]"):
        singular_study(tanh_net, ZERO, [3], **QUIET)
    with pytest.raises(DataError, match=r"Got n_values=\[20\.5\]"):
        singular_study(tanh_net, ZERO, [20.5], **QUIET)
    with pytest.raises(SpecError, match="span"):
        singular_study(tanh_net, ZERO, [20], span=(1, 1), **QUIET)
    with pytest.raises(SpecError, match="replicates=0"):
        singular_study(tanh_net, ZERO, [20], replicates=0, **QUIET)
    with pytest.raises(ImproperPriorError):
        singular_study(bnn.MLP((1,), bias=False, prior=bnn.Flat()), ZERO, [20], **QUIET)
    with pytest.raises(DataError, match="Got 4 rows"):
        information_criteria(tanh_net, X5[:4], Y5[:4], **QUIET)
    assert true_network(tanh_net, {"W1": np.zeros((2, 1)), "W2": np.zeros((1, 3))})[0].hidden == (1,)
