"""Networks without hidden layers are the regressions of statsmodels and sklearn: estimates and standard errors."""

import numpy as np
import pytest
import statsmodels.api as sm
from numpy.testing import assert_allclose
from scipy.optimize import linprog, minimize
from sklearn.linear_model import ElasticNet, Lasso, LogisticRegression, PoissonRegressor, Ridge
from statsmodels.miscmodels.ordinal_model import OrderedModel

import bayesnn as bnn

N, P = 60, 3


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(7)
    X = rng.normal(size=(N, P))
    eta = X @ [0.8, -0.5, 0.0] + 0.3
    logits = np.column_stack([np.zeros(N), eta, -0.7 * eta])
    return {
        "X": X,
        "design": np.column_stack([X, np.ones(N)]),
        "number": eta + 0.5 * rng.standard_t(4, size=N),
        "label": (rng.random(N) < 1 / (1 + np.exp(-eta))).astype(int),
        "class": np.argmax(logits + rng.gumbel(size=(N, 3)), axis=1),
        "count": rng.poisson(np.exp(eta)),
        "grade": np.digitize(eta + rng.logistic(size=N), [-1.0, 0.5, 1.5]),
    }


def linear(loss="squared_error", **spec):
    return bnn.MLP(hidden=(), loss=loss, **spec)


def fit(function, net, X, y):
    return function(net, X, y, restarts=3, random_seed=1, progressbar=False)


def coefficients(tree, group="posterior"):
    """Slopes, then the intercept."""
    values = tree[group]
    return np.concatenate([np.ravel(values["W1"].to_numpy()), np.ravel(values["b1"].to_numpy())])


def test_squared_error_is_least_squares(data):
    mle = fit(bnn.fit_mle, linear(), data["X"], data["number"])
    ols = sm.OLS(data["number"], data["design"]).fit()
    assert_allclose(coefficients(mle), ols.params, atol=1e-8)
    sigma = np.sqrt(ols.ssr / N)
    assert mle.posterior.noise.item() == pytest.approx(sigma, rel=1e-8)
    # statsmodels divides the residual sum of squares by n - p - 1, maximum likelihood by n.
    assert_allclose(coefficients(mle, "standard_error"), ols.bse * np.sqrt((N - P - 1) / N), rtol=1e-6)
    assert mle.optima.log_likelihood.max().item() == pytest.approx(ols.llf, abs=1e-8)
    known = fit(bnn.fit_mle, linear(noise=sigma), data["X"], data["number"])
    assert_allclose(coefficients(known, "standard_error"), coefficients(mle, "standard_error"), rtol=1e-6)


def test_a_normal_prior_is_ridge(data):
    noise, sd = 0.7, 0.25
    net = linear(noise=noise, prior=bnn.Normal(sd, bias=bnn.Flat()))
    oracle = Ridge(alpha=noise**2 / sd**2, tol=1e-12).fit(data["X"], data["number"])
    found = coefficients(fit(bnn.fit_map, net, data["X"], data["number"]))
    assert_allclose(found, [*oracle.coef_, oracle.intercept_], atol=1e-8)
    assert abs(found[0] - sm.OLS(data["number"], data["design"]).fit().params[0]) > 1e-3, "the prior pulls"


def test_a_laplace_prior_is_the_lasso_with_its_exact_zeros(data):
    noise, scale = 0.7, 0.035
    net = linear(noise=noise, prior=bnn.Laplace(scale, bias=bnn.Flat()))
    oracle = Lasso(alpha=noise**2 / (N * scale), tol=1e-12, max_iter=100_000).fit(data["X"], data["number"])
    found = coefficients(fit(bnn.fit_map, net, data["X"], data["number"]))
    assert_allclose(found, [*oracle.coef_, oracle.intercept_], atol=1e-7)
    assert ((found[:P] == 0) == (oracle.coef_ == 0)).all()
    assert 0 < (found[:P] == 0).sum() < P


def test_both_penalties_are_the_elastic_net(data):
    noise, l1, l2 = 0.7, 20.0, 10.0
    net = linear(noise=noise, prior=bnn.ElasticNet(l1, l2, bias=bnn.Flat()))
    # sklearn: RSS / (2 n) + alpha r |w| + alpha (1 - r) w^2 / 2; ours: RSS / (2 s^2) + l1 |w| + l2 w^2.
    a, b = l1 * noise**2 / N, 2 * l2 * noise**2 / N
    oracle = ElasticNet(alpha=a + b, l1_ratio=a / (a + b), tol=1e-12, max_iter=100_000)
    oracle.fit(data["X"], data["number"])
    found = coefficients(fit(bnn.fit_map, net, data["X"], data["number"]))
    assert_allclose(found, [*oracle.coef_, oracle.intercept_], atol=1e-7)


def test_binary_cross_entropy_is_logistic_regression(data):
    mle = fit(bnn.fit_mle, linear("binary_cross_entropy"), data["X"], data["label"])
    logit = sm.Logit(data["label"], data["design"]).fit(disp=0, tol=1e-12)
    assert_allclose(coefficients(mle), logit.params, atol=1e-7)
    assert_allclose(coefficients(mle, "standard_error"), logit.bse, rtol=1e-6)
    assert mle.optima.log_likelihood.max().item() == pytest.approx(logit.llf, abs=1e-8)
    net = linear("binary_cross_entropy", prior=bnn.Normal(0.5, bias=bnn.Flat()))
    oracle = LogisticRegression(C=0.25, tol=1e-10, max_iter=1000).fit(data["X"], data["label"])
    found = coefficients(fit(bnn.fit_map, net, data["X"], data["label"]))
    assert_allclose(found, [*oracle.coef_[0], *oracle.intercept_], atol=1e-6)


def test_cross_entropy_is_multinomial_regression(data):
    net = linear("cross_entropy", prior=bnn.Normal(0.5, bias=bnn.Flat()))
    tree = fit(bnn.fit_map, net, data["X"], data["class"])
    oracle = LogisticRegression(C=0.25, tol=1e-10, max_iter=1000).fit(data["X"], data["class"])
    assert_allclose(tree.posterior.W1.to_numpy()[0, 0].T, oracle.coef_, atol=1e-5)
    assert_allclose(bnn.predict(tree).probability, oracle.predict_proba(data["X"]), atol=1e-6)
    mle = fit(bnn.fit_mle, linear("cross_entropy"), data["X"], data["class"])
    free = sm.MNLogit(data["class"], data["design"]).fit(disp=0, tol=1e-12, maxiter=200)
    W, b = mle.posterior.W1.to_numpy()[0, 0], mle.posterior.b1.to_numpy()[0, 0]
    assert_allclose(np.vstack([W, b])[:, 1:] - np.vstack([W, b])[:, :1], free.params, atol=1e-6)


def test_poisson_loss_is_poisson_regression(data):
    mle = fit(bnn.fit_mle, linear("poisson"), data["X"], data["count"])
    oracle = sm.GLM(data["count"], data["design"], family=sm.families.Poisson()).fit(tol=1e-12)
    assert_allclose(coefficients(mle), oracle.params, atol=1e-7)
    assert_allclose(coefficients(mle, "standard_error"), oracle.bse, rtol=1e-5)
    assert mle.optima.log_likelihood.max().item() == pytest.approx(oracle.llf, abs=1e-7)
    net = linear("poisson", prior=bnn.Normal(0.4, bias=bnn.Flat()))
    penalised = PoissonRegressor(alpha=1 / (0.4**2 * N), tol=1e-10, max_iter=1000).fit(data["X"], data["count"])
    found = coefficients(fit(bnn.fit_map, net, data["X"], data["count"]))
    assert_allclose(found, [*penalised.coef_, penalised.intercept_], atol=1e-5)


@pytest.mark.parametrize("q", [0.5, 0.8])
def test_pinball_loss_is_quantile_regression(data, q):
    losses = [bnn.losses.Quantile(q), "absolute_error"] if q == 0.5 else [bnn.losses.Quantile(q)]
    oracle = sm.QuantReg(data["number"], data["design"]).fit(q=q, p_tol=1e-10, max_iter=5000)
    for loss in losses:
        tree = fit(bnn.fit_mle, linear(loss, noise=0.5), data["X"], data["number"])
        assert_allclose(coefficients(tree), oracle.params, atol=1e-4)
        assert bool(tree.optima.converged.to_numpy()[tree.optima.attrs["best"]])
    below = np.mean(data["number"] < data["design"] @ coefficients(tree) - 1e-6)
    assert below <= q <= below + (P + 1) / N + 1e-12, "as many points below as the quantile asks for"


def test_learned_scale_of_the_median_is_the_mean_absolute_residual(data):
    tree = fit(bnn.fit_mle, linear("absolute_error"), data["X"], data["number"])
    oracle = sm.QuantReg(data["number"], data["design"]).fit(q=0.5, p_tol=1e-10, max_iter=5000)
    assert_allclose(coefficients(tree), oracle.params, atol=1e-4)
    assert tree.posterior.noise.item() == pytest.approx(np.abs(oracle.resid).mean(), rel=1e-5)


def test_absolute_error_under_a_laplace_prior_is_a_linear_programme(data):
    noise, scale = 0.5, 0.1
    net = linear("absolute_error", noise=noise, prior=bnn.Laplace(scale))
    tree = fit(bnn.fit_map, net, data["X"], data["number"])
    # Weights and residuals as differences of positive parts.
    A, k = data["design"], P + 1
    above = np.hstack([np.vstack([A, -A]), np.vstack([-A, A]), -np.vstack([np.eye(N)] * 2)])
    costs = np.r_[np.full(2 * k, 1 / scale), np.full(N, 1 / noise)]
    exact = linprog(costs, A_ub=above, b_ub=np.r_[data["number"], -data["number"]])
    assert_allclose(coefficients(tree), exact.x[:k] - exact.x[k : 2 * k], atol=1e-5)
    assert ((coefficients(tree) == 0) == (np.abs(exact.x[:k] - exact.x[k : 2 * k]) < 1e-9)).all()


def huber(u, delta):
    return np.where(np.abs(u) <= delta, 0.5 * u**2, delta * (np.abs(u) - 0.5 * delta))


@pytest.mark.parametrize("known", [True, False])
def test_huber_is_what_scipy_minimises(data, known):
    delta, scale = 1.345, 0.4
    tree = fit(bnn.fit_mle, linear(bnn.losses.Huber(delta), noise=scale if known else None), data["X"], data["number"])

    def objective(theta):
        s = scale if known else np.exp(theta[-1])
        return np.sum(huber((data["number"] - data["design"] @ theta[:4]) / s, delta)) + N * np.log(s)

    # The density's constant does not depend on the scale, so log s alone belongs to it.
    start = np.r_[np.linalg.lstsq(data["design"], data["number"])[0], [] if known else [np.log(scale)]]
    oracle = minimize(objective, start, method="BFGS", options={"gtol": 1e-8})
    assert_allclose(coefficients(tree), oracle.x[:4], atol=1e-5)
    if not known:
        assert tree.posterior.noise.item() == pytest.approx(np.exp(oracle.x[-1]), rel=1e-5)
        ols = sm.OLS(data["number"], data["design"]).fit()
        assert np.abs(coefficients(tree) - ols.params).max() > 1e-3, "the tails count less"


def test_student_t_loss_is_what_statsmodels_maximises(data):
    from scipy import stats

    tree = fit(bnn.fit_mle, linear(bnn.losses.StudentT(4.0)), data["X"], data["number"])

    def objective(theta):
        return -stats.t(4, data["design"] @ theta[:4], np.exp(theta[-1])).logpdf(data["number"]).sum()

    start = np.r_[np.linalg.lstsq(data["design"], data["number"])[0], np.log(0.5)]
    oracle = minimize(objective, start, method="BFGS", options={"gtol": 1e-7})
    assert_allclose([*coefficients(tree), np.log(tree.posterior.noise.item())], oracle.x, atol=1e-5)


def test_ordinal_loss_is_the_proportional_odds_model(data):
    mle = fit(bnn.fit_mle, linear("ordinal"), data["X"], data["grade"])
    model = OrderedModel(data["grade"], data["X"], distr="logit")
    oracle = model.fit(method="bfgs", disp=0, gtol=1e-8)
    assert_allclose(mle.posterior.W1.to_numpy().ravel(), oracle.params[:P], atol=1e-5)
    cutpoints = model.transform_threshold_params(oracle.params)[1:-1]
    assert_allclose(mle.posterior.cutpoints.to_numpy().ravel(), cutpoints, atol=1e-5)
    assert mle.optima.log_likelihood.max().item() == pytest.approx(oracle.llf, abs=1e-7)
    assert_allclose(mle.standard_error.W1.to_numpy().ravel(), oracle.bse[:P], rtol=1e-4)
    assert_allclose(bnn.predict(mle).probability, oracle.predict(data["X"]), atol=1e-6)


def test_two_heads_are_weighted_least_squares_of_their_own_scales(data):
    mle = fit(bnn.fit_mle, linear("gaussian_nll"), data["X"], data["number"])
    W, b = mle.posterior.W1.to_numpy()[0, 0], mle.posterior.b1.to_numpy()[0, 0]
    scale = np.exp(data["X"] @ W[:, 1] + b[1])
    oracle = sm.WLS(data["number"], data["design"], weights=1 / scale**2).fit()
    assert_allclose([*W[:, 0], b[0]], oracle.params, atol=1e-6)
    # The scale's own equations: the squared standardised residuals are balanced against every regressor.
    standardised = oracle.resid / scale
    assert_allclose(data["design"].T @ (standardised**2 - 1), 0, atol=1e-5)


def test_the_wrong_loss_is_another_regression(data):
    squared = coefficients(fit(bnn.fit_mle, linear(noise=0.5), data["X"], data["number"]))
    oracle = sm.QuantReg(data["number"], data["design"]).fit(q=0.5)
    assert np.abs(squared - oracle.params).max() > 1e-2
