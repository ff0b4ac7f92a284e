"""The Laplace approximation, held to closed forms and quadrature; and that it says where it is wrong."""

import warnings

import numpy as np
import pytest
from scipy import integrate, linalg, optimize, stats

import bayesnn as bnn
from bayesnn.errors import ConvergenceWarning, FitError, ImproperPriorError, SpecError
from bayesnn.prediction import linearised
from tests.conftest import X5, Y5, random_params, tree_of

EXACT, ONE_MODE, BOTH = -1.43811849, -2.19685943730797, -1.50371225674803
"""Log evidence of two weights by quadrature; its Laplace approximation at one mode and at both by mpmath."""


def laplace(net, X=X5, y=Y5, **kwargs):
    return bnn.fit_laplace(net, X, y, **{"restarts": 6, "random_seed": 1, "progressbar": False, **kwargs})


@pytest.fixture(scope="module")
def of_two(two_weights):
    return laplace(two_weights)


@pytest.fixture(scope="module")
def of_line():
    return laplace(bnn.MLP(hidden=(), noise=0.3, prior=bnn.Normal(1.0)), draws=4000)


@pytest.fixture(scope="module")
def twins():
    with pytest.warns(ConvergenceWarning) as said:
        fit = laplace(bnn.MLP((2,), noise=0.3, prior=bnn.Normal(1.0)))
    return fit, str(said[-1].message)


def test_both_modes_of_two_weights_are_counted(of_two):
    assert bnn.log_evidence(of_two).value == pytest.approx(BOTH, abs=1e-9)
    modes = of_two["laplace"]
    assert modes["copies"].values == [2]
    assert modes["log_evidence"].item() - np.log(2) == pytest.approx(ONE_MODE, abs=1e-9)


def test_its_error_is_said_to_be_unknown(of_two):
    found = bnn.log_evidence(of_two)
    assert np.isnan(found.se)
    assert str(found) == "-1.50 (approximate)"
    assert "an approximation" in of_two.attrs["bayesnn_message"]


def test_importance_weights_tell_how_far_it_is_off(of_two):
    value, se = (of_two.attrs[f"bayesnn_log_evidence_weighted{k}"] for k in ("", "_se"))
    assert of_two.attrs["bayesnn_pareto_k"] < 0.7
    assert 0 < se < 0.03
    assert abs(value - EXACT) < 4 * se
    assert abs(value - BOTH) > 2 * se


def test_draws_of_both_copies_are_gaussian_about_the_mode(of_two):
    w = np.stack([of_two.posterior[k].to_numpy().ravel() for k in ("W1", "W2")])
    above = w[0] * 0.75938992 + w[1] * 1.11990633 > 0
    assert 0.45 < above.mean() < 0.55
    w = np.where(above, w, -w)

    def minus(t):
        r = Y5 - t[1] * np.tanh(t[0] * X5)
        return (r @ r) / 0.18 + (t @ t) / 2

    step, eye = 1e-4, np.eye(2)
    at = np.array([0.75938992, 1.11990633])
    hessian = np.array(
        [
            [
                sum(a * b * minus(at + step * (a * i + b * j)) for a in (1, -1) for b in (1, -1)) / (4 * step**2)
                for i in eye
            ]
            for j in eye
        ]
    )
    eigenvalues = np.sort(np.linalg.eigvalsh(hessian))
    assert of_two["laplace"]["eigenvalue"].to_numpy()[0] == pytest.approx(eigenvalues, rel=1e-5)
    squares = np.einsum("is,ij,js->s", w - at[:, None], hessian, w - at[:, None])
    assert stats.kstest(squares, stats.chi2(2).cdf).pvalue > 1e-3
    assert stats.kstest(squares, stats.chi2(2, scale=1.2).cdf).pvalue < 1e-3


def test_one_copy_keeps_the_draws_on_one_side(two_weights, of_two):
    one = laplace(two_weights, copies="one")
    assert len(np.unique(np.sign(one.posterior["W2"]))) == 1 or (one.posterior["W2"] > 0).mean() > 0.99
    assert bnn.log_evidence(one).value == bnn.log_evidence(of_two).value


def test_evidence_and_draws_of_a_line_are_exact(of_line):
    assert repr(bnn.log_evidence(of_line)) == f"Evidence(value={bnn.log_evidence(of_line).value!r}, se=0.0)"
    assert bnn.log_evidence(of_line).value == pytest.approx(-3.66338304, abs=1e-8)
    truth = {"b1": (0.01964637, 0.01768173), "W1": (0.56491576, 0.00891972)}
    for name, (mean, variance) in truth.items():
        draws = of_line.posterior[name].to_numpy().ravel()
        assert stats.kstest(draws, stats.norm(mean, np.sqrt(variance)).cdf).pvalue > 1e-3
    assert "exact" in of_line.attrs["bayesnn_message"]


def test_evidence_is_in_the_users_units():
    x, y = 3.0 * X5 + 1, 10.0 * Y5 - 4
    fit = laplace(bnn.MLP((), noise=0.3, prior=bnn.Normal(1.0)), x, y, scaling="standard")
    z, t = (x - x.mean()) / x.std(), (y - y.mean()) / y.std()
    covariance = 0.09 * np.eye(5) + 1 + np.outer(z, z)
    exact = stats.multivariate_normal(np.zeros(5), covariance).logpdf(t) - 5 * np.log(y.std())
    assert bnn.log_evidence(fit).value == pytest.approx(exact, abs=1e-9)
    assert fit.attrs["bayesnn_log_evidence_weighted"] == pytest.approx(exact, abs=1e-9)


def test_a_learned_noise_is_integrated_in_its_logarithm():
    net = bnn.MLP((), bias=False, prior=bnn.Normal(1.0), noise=bnn.HalfNormal(1.0))
    fit = laplace(net)

    def minus(t):
        w, s = t[0], np.exp(t[1])
        joint = stats.norm(w * X5, s).logpdf(Y5).sum() + stats.norm.logpdf(w) + stats.halfnorm.logpdf(s)
        return -(joint + t[1])

    best = optimize.minimize(minus, [0.5, -1.5], tol=1e-12)
    assert fit["laplace"]["noise"].item() == pytest.approx(np.exp(best.x[1]), rel=1e-5)
    map_ = bnn.fit_map(net, X5, Y5, restarts=3, random_seed=1, progressbar=False)
    assert abs(fit["laplace"]["noise"].item() - map_.posterior["noise"].item()) > 1e-3
    h, eye = 1e-3, np.eye(2)

    def second(i, j):
        corners = [(a, b, minus(best.x + h * (a * eye[i] + b * eye[j]))) for a in (1, -1) for b in (1, -1)]
        return sum(a * b * v for a, b, v in corners) / (4 * h**2)

    hessian = np.array([[second(i, j) for i in range(2)] for j in range(2)])
    value = -best.fun + np.log(2 * np.pi) - np.log(linalg.det(hessian)) / 2
    assert bnn.log_evidence(fit).value == pytest.approx(value, abs=1e-4)

    def of_noise(s):
        covariance = s**2 * np.eye(5) + np.outer(X5, X5)
        return stats.multivariate_normal(np.zeros(5), covariance).pdf(Y5) * stats.halfnorm.pdf(s)

    exact = np.log(integrate.quad(of_noise, 1e-3, 8, epsabs=1e-12)[0])
    off = fit.attrs["bayesnn_log_evidence_weighted"] - exact
    assert abs(off) < 4 * fit.attrs["bayesnn_log_evidence_weighted_se"]


def test_the_evidence_of_ordered_labels_counts_one_order():
    net = bnn.MLP((), loss="ordinal", prior=bnn.Normal(1.0), bias=False)
    X, y = [[-1.0], [0.0], [0.5], [1.0]], [0, 1, 1, 2]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        fit = laplace(net, X, y)
    exact = bnn.theory.exact_posterior(net, X, y, tolerance=1e-2)
    weighted, se = (fit.attrs[f"bayesnn_log_evidence_weighted{tag}"] for tag in ("", "_se"))
    assert weighted == pytest.approx(exact.log_evidence, abs=4 * se + 1e-3)
    assert se < 0.1


def test_twins_have_fewer_copies_and_are_warned_of(twins):
    fit, said = twins
    assert fit["laplace"]["copies"].values[0] == 4
    assert "twins" in said
    assert "eigenvalues 0.22 to" in said
    assert "tempering" in said


def test_no_gaussian_without_a_second_derivative():
    X = np.linspace(-1, 1, 9)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        with pytest.raises(FitError, match=r"definite Hessian.*kink"):
            laplace(bnn.MLP((), loss="absolute_error", noise=0.2, prior=bnn.Normal(1.0)), X, np.sin(3 * X), restarts=2)


@pytest.mark.parametrize(
    ("error", "words", "more"),
    [
        (SpecError, "copies", {"copies": "some"}),
        (SpecError, "linearised=1", {"linearised": 1}),
        (SpecError, "draws=0", {"draws": 0}),
        (ImproperPriorError, "flat", {"net": bnn.MLP((), noise=0.3, prior=bnn.Flat())}),
    ],
)
def test_what_makes_no_sense_is_refused(error, words, more):
    net = more.pop("net", None) or bnn.MLP((), noise=0.3, prior=bnn.Normal(1.0))
    with pytest.raises(error, match=words):
        laplace(net, **more)


def test_the_linear_expansion_is_that_of_the_network():
    net = bnn.MLP((3, 2), noise=0.3)
    problem = bnn.tree.prepare(net, X5, Y5)
    centre, step = (random_params(problem, (4,), seed=s) for s in (1, 2))
    size = 1e-5
    there, back = ({k: centre[k] + a * size * step[k] for k in centre} for a in (1, -1))
    X = X5[:, None]
    slope = (net.forward(there, X) - net.forward(back, X)) / (2 * size)
    far = {k: centre[k] + step[k] for k in centre}
    assert linearised(net, far, centre, X) == pytest.approx(net.forward(centre, X) + slope, abs=1e-7)
    assert np.abs(net.forward(far, X) - linearised(net, far, centre, X)).max() > 0.1


def test_a_linearised_fit_predicts_so_wherever_it_goes(two_weights, of_two, tmp_path):
    fit = laplace(two_weights, linearised=True, draws=4000)
    at = np.array([1.5])
    w, v = 0.75938992, 1.11990633
    # Output and its gradient by hand; the Hessian's inverse is the covariance.
    gradient = np.array([v * 1.5 / np.cosh(1.5 * w) ** 2, np.tanh(1.5 * w)])
    u, r = np.tanh(w * X5), Y5 - v * np.tanh(w * X5)
    slope = X5 * (1 - u**2)
    ww = ((v * slope) ** 2 + r * 2 * v * X5 * u * slope).sum() / 0.09 + 1
    wv = (v * slope * u - r * slope).sum() / 0.09
    hessian = np.array([[ww, wv], [wv, (u**2).sum() / 0.09 + 1]])
    variance = gradient @ np.linalg.solve(hessian, gradient)
    found = bnn.predict(fit, at)
    assert found["mean"].item() == pytest.approx(v * np.tanh(1.5 * w), abs=4 * np.sqrt(variance / 16000))
    assert found["variance_epistemic"].item() == pytest.approx(variance, rel=0.06)
    for other in (bnn.load_fit(bnn.save_fit(fit, tmp_path / "fit.nc")), bnn.align(fit)):
        assert bnn.predict(other, at).equals(found)
    assert not np.isclose(bnn.predict(of_two, at)["mean"].item(), found["mean"].item(), atol=1e-3)


def test_tables_and_pictures_call_it_by_its_name(of_two, two_weights_post):
    assert list(bnn.compare(of_two, two_weights_post)) == ["Laplace approximation", "posterior"]
    (left,) = bnn.plot_fits(of_two)
    assert left.get_title() == "Laplace approximation"


def test_chains_do_not_vouch_for_it(of_two):
    found = bnn.diagnose(of_two)
    assert (found.verdict, found.trustworthy) == ("approximation", False)
    assert "Laplace" in found.message
    draws = {k: v.to_numpy() for k, v in of_two.posterior.data_vars.items()}
    sampled = tree_of(bnn.MLP((1,), bias=False, noise=0.3), X5, Y5, draws)
    assert bnn.diagnose(sampled).verdict != "approximation"


def test_the_same_seed_gives_the_same_draws(two_weights, of_two):
    again = laplace(two_weights, log_likelihood=True, log_prior=True)
    assert again.posterior.equals(of_two.posterior)
    assert again["log_likelihood"]["y"].shape == (4, 1000, 5)
    assert "log_prior" in again
