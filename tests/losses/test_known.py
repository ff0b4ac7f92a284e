"""What is known of rows, and the likelihoods of counts and proportions, against SciPy, statsmodels and mpmath."""

from dataclasses import replace

import mpmath as mp
import numpy as np
import pytest
import scipy.stats as st
import statsmodels.api as sm
from numpy.testing import assert_allclose
from scipy.special import expit
from statsmodels.othermod.betareg import BetaModel

import bayesnn as bnn
from bayesnn.losses.counts import log_rising
from bayesnn.prediction import log_likelihood_of
from bayesnn.tree import heading, prepare, problem_of
from tests.conftest import random_params

QUIET = {"restarts": 4, "random_seed": 1, "progressbar": False}
RNG = np.random.default_rng(5)
N = 120
X = RNG.normal(size=(N, 2))
ETA = 0.5 + 0.6 * X[:, 0] - 0.4 * X[:, 1]
A = sm.add_constant(X)
EXPOSURE = RNG.uniform(0.3, 4.0, size=N)
TRIALS = RNG.integers(1, 12, size=N)
PRECISION = RNG.uniform(0.2, 5.0, size=N)
COUNTS = RNG.poisson(EXPOSURE * np.exp(ETA))
WILD = RNG.poisson(EXPOSURE * np.exp(ETA) * RNG.gamma(2.0, 0.5, size=N))
SUCCESSES = RNG.binomial(TRIALS, expit(ETA))
SHARES = RNG.beta(9 * expit(ETA), 9 * expit(-ETA))
NUMBERS = ETA + 0.5 / np.sqrt(PRECISION) * RNG.normal(size=N)


def line(loss="squared_error", **settings):
    return bnn.MLP((), loss=loss, **settings)


def coefficients(fit):
    return np.array([fit.posterior["b1"].item(), *fit.posterior["W1"].values.ravel()])


# ---------------------------------------------------------------------------------------------------- densities
@pytest.mark.parametrize("a", [1e-9, 1e-4, 0.3, 7.0, 1e4])
def test_the_rising_sum_keeps_its_digits(a):
    y = np.array([0, 1, 5, 31, 32, 33, 40, 1000, 10**7])
    with mp.workdps(60):
        r = 1 / mp.mpf(a)
        exact = [float(mp.loggamma(int(k) + r) - mp.loggamma(r) + int(k) * mp.log(mp.mpf(a))) for k in y]
    assert_allclose(log_rising(y, a), exact, rtol=1e-13, atol=1e-12)


def test_densities_masses_and_distribution_functions_are_those_of_scipy():
    f, s, rng = RNG.normal(1.0, 1.0, size=(3, N, 1)), np.array([0.2, 0.7, 2.0]), np.random.default_rng(1)
    mean = EXPOSURE * np.exp(f[..., 0])
    nb = st.nbinom(1 / s[:, None] ** 2, 1 / (1 + s[:, None] ** 2 * mean))
    a, b = expit(f[..., 0]) / s[:, None] ** 2, expit(-f[..., 0]) / s[:, None] ** 2
    wide = st.norm(f[..., 0], s[:, None] / np.sqrt(PRECISION))
    known = {"exposure": EXPOSURE}
    cases = [
        ("poisson", bnn.target(COUNTS, **known), st.poisson(mean), {}, known),
        ("negative_binomial", bnn.target(WILD, **known), nb, {"noise": s}, known),
        (
            "binomial",
            bnn.target(SUCCESSES, trials=TRIALS),
            st.binom(TRIALS, expit(f[..., 0])),
            {},
            {"trials": TRIALS},
        ),
        ("squared_error", bnn.target(NUMBERS, precision=PRECISION), wide, {"noise": s}, {"precision": PRECISION}),
        ("beta", SHARES, st.beta(a, b), {"noise": s}, {}),
    ]
    for name, y, law, noise, given in cases:
        loss, values = bnn.LOSSES[name], y["y"] if y.dtype.names else y
        log_law = law.logpdf if name in ("beta", "squared_error") else law.logpmf
        assert_allclose(loss.logp(y, f, **noise), log_law(values), rtol=1e-11, atol=1e-11, err_msg=name)
        assert_allclose(loss.mean(f, **noise, **given)[..., 0] + 0 * law.mean(), law.mean(), rtol=1e-12)
        assert_allclose(loss.variance(f, **noise, **given)[..., 0] + 0 * law.var(), law.var(), rtol=1e-12)
        cdf = loss.cdf(values, f, **noise, **given)[..., 0]
        assert_allclose(cdf, law.cdf(values), rtol=1e-9, atol=1e-13, err_msg=name)
        draws = np.stack([loss.sample(f, rng, **noise, **given) for _ in range(400)])
        z = (draws.mean(axis=0) - law.mean()) / np.maximum(law.std() / 20, 1e-9)
        assert abs(np.mean(z)) < 0.3, name
        assert 0.8 < np.std(z) < 1.25, name


def test_a_beta_density_is_finite_where_its_mean_rounds_to_an_end():
    f = np.array([[-800.0], [800.0]])
    logp = bnn.losses.Beta().logp(np.array([0.3, 0.4]), f, noise=0.5)
    # Of Beta(a, b) with a to zero: log a, less what is left of the rest.
    with mp.workdps(400):
        a, b = (1 / (1 + mp.exp(800))) * 4, 4
        exact = [
            float(mp.log(mp.mpf(y) ** (a - 1) * (1 - mp.mpf(y)) ** (b - a - 1) / mp.beta(a, b - a))) for y in (0.3, 0.6)
        ]
    assert_allclose(logp, exact, rtol=1e-12)


@pytest.mark.parametrize("name", ["negative_binomial", "binomial", "beta", "poisson"])
def test_they_are_likelihoods(name):
    assert bnn.verify_loss(name)


def test_a_wrong_distribution_function_of_counts_is_found_out():
    class Shifted(bnn.losses.Poisson):
        name = "shifted"

        def cdf(self, y, f, **known):
            return super().cdf(np.asarray(y) + 1, f, **known)

    assert not bnn.verify_loss(Shifted())


# --------------------------------------------------------------------------------------------------------- fits
def test_mles_are_those_of_statsmodels():
    binomial = sm.GLM(np.column_stack([SUCCESSES, TRIALS - SUCCESSES]), A, family=sm.families.Binomial())
    cases = [
        ("poisson", bnn.target(COUNTS, exposure=EXPOSURE), sm.GLM(COUNTS, A, sm.families.Poisson(), exposure=EXPOSURE)),
        ("binomial", bnn.target(SUCCESSES, trials=TRIALS), binomial),
        ("squared_error", bnn.target(NUMBERS, precision=PRECISION), sm.WLS(NUMBERS, A, weights=PRECISION)),
        ("negative_binomial", bnn.target(WILD, exposure=EXPOSURE), sm.NegativeBinomial(WILD, A, exposure=EXPOSURE)),
        ("beta", SHARES, BetaModel(SHARES, A)),
    ]
    for name, y, model in cases:
        theirs = model.fit(disp=0) if name in ("negative_binomial", "beta") else model.fit()
        ours = bnn.fit_mle(line(name), X, y, **QUIET)
        # Theirs stops within a millionth where it searches numerically, ours is no lower.
        search = name in ("negative_binomial", "beta")
        assert_allclose(coefficients(ours), theirs.params[:3], atol=1e-4 if search else 1e-7, err_msg=name)
        assert log_likelihood_of(ours) == pytest.approx(theirs.llf, abs=1e-6 if search else 1e-9)
        assert log_likelihood_of(ours) >= theirs.llf - 1e-9
        error = np.array([ours["standard_error"]["b1"].item(), *ours["standard_error"]["W1"].values.ravel()])
        # Those of least squares divide by the degrees of freedom.
        bse = theirs.bse[:3] * (np.sqrt((N - 3) / N) if name == "squared_error" else 1.0)
        assert_allclose(error, bse, rtol=2e-3 if search else 1e-5, err_msg=name)
    assert ours.posterior["noise"].item() ** -2 == pytest.approx(np.exp(theirs.params[3]), rel=1e-4)


def test_the_meanings_of_a_weight_are_different_likelihoods():
    times = RNG.integers(0, 4, size=N)
    rows = np.repeat(np.arange(N), times)
    repeated = bnn.fit_mle(line(), X, bnn.target(NUMBERS, repeats=times), **QUIET)
    plain = bnn.fit_mle(line(), X[rows], NUMBERS[rows], **QUIET)
    assert repeated.posterior.identical(plain.posterior)
    assert_allclose(repeated["standard_error"]["W1"], plain["standard_error"]["W1"])
    some = times > 0
    precise = bnn.fit_mle(line(), X[some], bnn.target(NUMBERS[some], precision=times[some]), **QUIET)
    # The same function, since weighted squares are the same; another noise and other errors, since n is another.
    assert_allclose(coefficients(precise), coefficients(repeated), atol=1e-7)
    ratio = precise.posterior["noise"].item() / repeated.posterior["noise"].item()
    assert ratio == pytest.approx(np.sqrt(times.sum() / some.sum()), rel=1e-6)
    with pytest.raises(bnn.SpecError, match="is no likelihood"):
        bnn.target(NUMBERS, weights=times)


def test_an_exposure_of_one_and_a_single_trial_change_nothing():
    y = COUNTS[:40]
    net = bnn.MLP((2,), loss="poisson")
    one, plain = prepare(net, X[:40], bnn.target(y, exposure=1.0)), prepare(net, X[:40], y)
    params = random_params(plain, (), seed=1)
    assert one.log_likelihood(params) == plain.log_likelihood(params)
    labels = (ETA[:40] + RNG.logistic(size=40) > 0).astype(int)
    one = bnn.fit_map(line("binomial"), X[:40], bnn.target(labels, trials=1), **QUIET)
    two = bnn.fit_map(line("binary_cross_entropy"), X[:40], labels, **QUIET)
    assert_allclose(coefficients(one), coefficients(two), atol=1e-9)
    assert log_likelihood_of(one) == pytest.approx(log_likelihood_of(two), abs=1e-10)


def test_scaling_leaves_proportions_alone_and_precisions_too():
    beta = bnn.fit_mle(line("beta"), X, SHARES, scaling="standard", **QUIET)
    assert_allclose(problem_of(beta).y, SHARES)
    plain = bnn.fit_mle(line("beta"), X, SHARES, **QUIET)
    assert_allclose(bnn.predict(beta, X[:5])["mean"], bnn.predict(plain, X[:5])["mean"], rtol=1e-6)
    y = bnn.target(100.0 + 50.0 * NUMBERS, precision=PRECISION)
    scaled, free = (bnn.fit_mle(line(), X, y, scaling=scaling, **QUIET) for scaling in ("standard", None))
    assert log_likelihood_of(scaled) == pytest.approx(log_likelihood_of(free), abs=1e-7)
    assert bnn.score(scaled)["lppd"] == pytest.approx(log_likelihood_of(free) / N, abs=1e-9)


# ------------------------------------------------------------------------------------------- predictions and files
def test_what_is_known_travels_with_the_fit_and_into_predictions(tmp_path):
    y = bnn.target(COUNTS, exposure=EXPOSURE)
    fit = bnn.load_fit(bnn.save_fit(bnn.fit_mle(line("poisson"), X, y, **QUIET), tmp_path / "fit.nc"))
    rate = np.exp(A @ coefficients(fit))
    assert_allclose(bnn.predict(fit)["mean"][:, 0], EXPOSURE * rate)
    assert_allclose(bnn.predict(fit, X)["mean"][:, 0], rate)
    p = bnn.predict(fit, X, exposure=EXPOSURE)
    assert_allclose(p["upper"][:, 0], st.poisson(EXPOSURE * rate).ppf(0.95))
    assert_allclose(bnn.predict(fit, X, exposure=3.0)["variance_aleatoric"][:, 0], 3 * rate)
    assert bnn.score(fit, X, y) == bnn.score(fit)
    assert bnn.score(fit)["lppd"] == pytest.approx(st.poisson(EXPOSURE * rate).logpmf(COUNTS).mean())
    assert bnn.score(fit)["rmse"] == pytest.approx(np.sqrt(np.mean((COUNTS - EXPOSURE * rate) ** 2)))
    for wrong in (COUNTS, bnn.target(COUNTS, exposure=1.0)["y"]):
        with pytest.raises(bnn.SpecError, match=r"exposure=\.\.\."):
            bnn.score(fit, X, wrong)
    with pytest.raises(bnn.SpecError, match="different data"):
        bnn.compare(fit, other=bnn.fit_mle(line("poisson"), X, bnn.target(COUNTS, exposure=2 * EXPOSURE), **QUIET))
    share = bnn.fit_mle(line("binomial"), X, bnn.target(SUCCESSES, trials=TRIALS), **QUIET)
    assert_allclose(bnn.predict(share, X)["mean"][:, 0], expit(A @ coefficients(share)))
    lower = bnn.predict(share)["lower"][:, 0]
    assert_allclose(lower, st.binom(TRIALS, expit(A @ coefficients(share))).ppf(0.05))
    noise = bnn.fit_mle(line(), X, bnn.target(NUMBERS, precision=PRECISION), **QUIET)
    s = noise.posterior["noise"].item()
    assert_allclose(bnn.predict(noise)["variance_aleatoric"][:, 0], s**2 / PRECISION)
    assert_allclose(bnn.predict(noise, X)["variance_aleatoric"], s**2)


@pytest.mark.parametrize(
    ("loss", "y"),
    [
        ("negative_binomial", bnn.target(WILD, exposure=EXPOSURE)),
        ("binomial", bnn.target(SUCCESSES, trials=TRIALS)),
        ("beta", SHARES),
        ("student_t", bnn.target(NUMBERS, precision=PRECISION)),
    ],
)
def test_a_posterior_agrees_with_its_own_laplace_approximation(loss, y):
    net = bnn.MLP((), loss=loss, prior=bnn.Normal(2.0))
    post = bnn.fit_posterior(net, X, y, chains=2, draws=500, tune=300, random_seed=1, progressbar=False)
    near = bnn.fit_laplace(net, X, y, random_seed=1, progressbar=False)
    for name in ("W1", "b1"):
        mean, sd = (getattr(post.posterior[name], of)(("chain", "draw")) for of in ("mean", "std"))
        theirs = near.posterior[name].mean(("chain", "draw")), near.posterior[name].std(("chain", "draw"))
        assert_allclose(mean, theirs[0], atol=0.35 * float(sd.max()))
        assert_allclose(sd, theirs[1], rtol=0.25)
    assert 0.8 < bnn.score(post)["coverage_90"] <= 1.0


def test_tempering_knows_exposures():
    y = bnn.target([0, 2, 1, 4], exposure=[0.5, 1.0, 1.0, 2.0])
    net = bnn.MLP((), loss="poisson", prior=bnn.Normal(1.0), bias=False)
    post = bnn.fit_posterior(
        net, [0.0, 0.5, 1.0, 1.5], y, sampler="tempering", chains=2, draws=500, random_seed=1, progressbar=False
    )
    w = np.linspace(-12, 12, 40_001)
    mean = y["exposure"] * np.exp(w[:, None] * [0.0, 0.5, 1.0, 1.5])
    joint = np.exp(st.poisson.logpmf(y["y"], mean).sum(axis=1) + st.norm.logpdf(w))
    exact = np.log(np.trapezoid(joint, w))
    found = bnn.log_evidence(post)
    assert abs(found.value - exact) < 5 * found.se + 1e-3


# --------------------------------------------------------------------------------------------------- no maximum
def test_counts_that_vary_no_more_than_poissons_have_no_noise():
    y = np.round(np.exp(ETA)).astype(int)
    assert bnn.mle_exists(line("negative_binomial"), X, y).exists is None
    with pytest.raises(bnn.NoMLEError, match="loss='poisson'"):
        bnn.fit_mle(line("negative_binomial"), X, y, **QUIET)
    with pytest.raises(bnn.NoMAPError, match="InverseGamma"):
        bnn.fit_map(line("negative_binomial"), X, y, **QUIET)
    with pytest.warns(bnn.ConvergenceWarning, match="vary no more"):
        limit = bnn.fit_mle(line("negative_binomial"), X, y, nonexistent="flag", **QUIET)
    assert heading(limit) == "MLE: at infinity"
    poisson = sm.GLM(y, A, family=sm.families.Poisson()).fit()
    assert log_likelihood_of(limit) == pytest.approx(poisson.llf, abs=1e-6)
    held = line("negative_binomial", noise=bnn.InverseGamma(3.0, 1.0))
    assert bnn.fit_map(held, X, y, **QUIET).attrs["bayesnn_exists"] == 1


def test_proportions_that_are_fitted_exactly_have_no_noise():
    y = expit(A @ [0.2, 0.5, -0.3])
    found = bnn.mle_exists(line("beta"), X, y)
    assert found.exists is False
    assert "without bound" in found.reason
    assert bnn.mle_exists(line("beta"), X, SHARES).exists is True
    assert bnn.mle_exists(line("beta", noise=0.3), X, y).exists is True


def test_successes_that_are_separated_have_no_mle():
    x, trials = [-2.0, -1.0, 1.0, 2.0], [3, 4, 2, 5]
    parted = bnn.mle_exists(line("binomial"), x, bnn.target([0, 0, 2, 5], trials=trials))
    assert parted.exists is False
    assert parted.numbers["supremum"] == pytest.approx(0.0, abs=1e-9)
    assert bnn.mle_exists(line("binomial"), x, bnn.target([0, 1, 1, 5], trials=trials)).exists is True
    # A row in the middle holds the slope, all the others let it grow.
    half = bnn.mle_exists(line("binomial"), [-1.0, 0.0, 1.0], bnn.target([0, 1, 3], trials=[2, 2, 3]))
    assert half.exists is False
    assert half.numbers["supremum"] == pytest.approx(np.log(0.5))
    zeros = bnn.mle_exists(line("negative_binomial", noise=0.5), x, [0, 0, 0, 0])
    assert zeros.exists is False


# ---------------------------------------------------------------------------------------------------- bad input
@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: bnn.target(COUNTS), "something must be known"),
        (lambda: bnn.target(COUNTS, exposure=EXPOSURE[:5]), "exposure of 5 rows"),
        (lambda: bnn.target(COUNTS, exposure=-1.0), "exposure -1 at row 0"),
        (lambda: bnn.target(SUCCESSES, trials=0), "trials 0 at row 0"),
        (lambda: bnn.target(SUCCESSES, trials=TRIALS + 0.5), "integers"),
        (lambda: bnn.target(NUMBERS, precision=[0.0] * N), "precision 0"),
        (lambda: bnn.target(NUMBERS, precision=["a"] * N), "precision"),
        (lambda: bnn.target(NUMBERS, repeats=-1), "repeats -1"),
        (lambda: bnn.target(NUMBERS, repeats=0.5), "known variance"),
        (lambda: bnn.target(NUMBERS, repeats=0), "there must be a row"),
        (lambda: bnn.target(NUMBERS, repeats=10**7), "at most"),
        (lambda: bnn.fit_mle(line(), X, bnn.target(NUMBERS, exposure=1.0)), "takes precision"),
        (lambda: bnn.fit_mle(line("poisson"), X, bnn.target(COUNTS, precision=1.0)), "takes exposure"),
        (lambda: bnn.fit_mle(line("beta"), X, bnn.target(SHARES, precision=1.0)), "none of these"),
        (lambda: bnn.fit_mle(line("binomial"), X, SUCCESSES), "needs it"),
        (lambda: bnn.fit_mle(line("binomial"), X, bnn.target(TRIALS + 1, trials=TRIALS)), "there can't be more"),
        (lambda: bnn.fit_mle(line("beta"), X, SHARES * 0), "the proportion 0"),
        (lambda: bnn.fit_mle(line("beta"), X, SHARES + 1), "drawn in"),
        (lambda: bnn.fit_mle(line("negative_binomial"), X, COUNTS - 0.5), "must be the integers"),
        (lambda: bnn.data.as_array(bnn.target(COUNTS, exposure=1.0), "y"), r"y\['y'\]"),
        (lambda: bnn.fit_map(bnn.MLP((2,)), X, bnn.target(NUMBERS, precision=1.0)[:5]), "must|rows|target"),
    ],
)
def test_bad_input_is_named(call, words):
    with pytest.raises(bnn.BayesnnError, match=words):
        call()


def test_predictions_refuse_what_the_loss_has_no_use_for():
    fit = bnn.fit_mle(line(), X, NUMBERS, **QUIET)
    with pytest.raises(bnn.SpecError, match="exposure"):
        bnn.predict(fit, X, exposure=2.0)
    with pytest.raises(bnn.DataError, match="precision of 3 rows"):
        bnn.predict(fit, X, precision=[1.0, 2.0, 3.0])
    assert_allclose(
        bnn.predict(fit, X, precision=4.0)["variance_aleatoric"], bnn.predict(fit, X)["variance_aleatoric"] / 4
    )
    with pytest.raises(bnn.SpecError, match="y alone"):
        bnn.score(fit, X, bnn.target(NUMBERS, precision=1.0))


def test_a_store_tells_exposures_apart():
    from bayesnn.fitting.store import fingerprint

    one = prepare(line("poisson"), X, bnn.target(COUNTS, exposure=EXPOSURE))
    other = replace(one, y=bnn.target(COUNTS, exposure=2 * EXPOSURE))
    assert fingerprint(one) != fingerprint(other)
