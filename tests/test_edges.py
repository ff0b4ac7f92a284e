"""Edges of numbers: right by an oracle of more digits or another form, or refused by a named error."""

import mpmath as mp
import numpy as np
import pandas as pd
import pytensor
import pytest
from numpy.testing import assert_allclose
from scipy import special, stats

import bayesnn as bnn
from bayesnn.errors import ConvergenceWarning, DataError, NoMLEError
from bayesnn.fitting.climb import extreme_curvatures
from bayesnn.fitting.density import log_density
from bayesnn.fitting.objective import Objective
from bayesnn.model import model_of
from bayesnn.tree import prepare
from tests.conftest import X5, tree_of

QUIET = {"random_seed": 1, "progressbar": False}
LINE = bnn.MLP((), noise=0.3, prior=bnn.Normal(1.0))
FREE = bnn.MLP((), noise=None)
rng = np.random.default_rng(7)
X20 = np.linspace(-2.0, 2.0, 20)
Y20 = 0.5 * X20 - 0.2 + 0.1 * rng.normal(size=20)


def fitted(fit, net, X, y, **options):
    tree = fit(net, X, y, **{"restarts": 2} | QUIET | options)
    return {name: value.to_numpy()[0, 0] for name, value in tree["posterior"].data_vars.items()}


def line_by_long_doubles(x, y):
    """Slope, intercept and residual scale of a line, with 19 digits."""
    x, y = np.asarray(x, dtype=np.longdouble), np.asarray(y, dtype=np.longdouble)
    dx, dy = x - x.mean(), y - y.mean()
    slope = (dx * dy).sum() / (dx**2).sum()
    return slope, y.mean() - slope * x.mean(), np.sqrt(((dy - slope * dx) ** 2).mean())


# --- logits

LOGITS = np.array([[1.0], [-1.0], [0.5], [0.0]])


def of_binary(y, f, _):
    return sum(-mp.log(1 + mp.exp(-v if k else v)) for k, (v,) in zip(y, f, strict=True))


def of_classes(y, f, _):
    return sum(row[k] - mp.log(sum(mp.exp(v) for v in row)) for k, row in zip(y, f, strict=True))


def of_order(y, f, cuts):
    edges = [-mp.inf, *cuts, mp.inf]

    def below(z):
        return 1 / (1 + mp.exp(-z))

    return sum(mp.log(below(edges[k + 1] - v) - below(edges[k] - v)) for k, (v,) in zip(y, f, strict=True))


LABELS = {
    "binary_cross_entropy": ([0, 1, 1, 0], 1, of_binary),
    "cross_entropy": ([0, 1, 2, 0], 3, of_classes),
    "ordinal": ([0, 1, 2, 0], 1, of_order),
}


@pytest.mark.parametrize("size", [800.0, -800.0])
@pytest.mark.parametrize("name", LABELS)
def test_logits_of_800_have_their_log_probability_and_its_gradient(name, size):
    y, m, exact = LABELS[name]
    net = bnn.MLP((), loss=name, prior=bnn.Flat(), bias=False)
    problem = prepare(net, LOGITS, y)
    density = log_density(problem, jacobian=False)
    x = np.zeros(density.size)
    x[0] = size

    def by_mp(x):
        params = density.unpack(np.array([float(v) for v in x]))
        weights = [mp.mpf(v) for v in x[:m]]
        f = [[mp.mpf(row[0]) * w for w in weights] for row in LOGITS.tolist()]
        return exact(y, f, [mp.mpf(float(c)) for c in params.get("cutpoints", ())])

    value, gradient = density(x)
    with mp.workdps(800):
        wanted = by_mp([mp.mpf(float(v)) for v in x])
        slopes = []
        for k in range(m):
            h = mp.mpf(10) ** -60
            at = [[mp.mpf(float(v)) + (h * s if i == k else 0) for i, v in enumerate(x)] for s in (1, -1)]
            slopes.append(float((by_mp(at[0]) - by_mp(at[1])) / (2 * h)))
        wanted = float(wanted)
    assert value == pytest.approx(wanted, rel=1e-12)
    assert_allclose(gradient[:m], slopes, rtol=1e-10, atol=1e-12)
    params = density.unpack(x)
    numpy = net.loss.logp(problem.y, net.forward(params, LOGITS), **net.likelihood_args(params))
    assert numpy.sum() == pytest.approx(wanted, rel=1e-12)
    # Predictions and scores.
    tree = tree_of(net, LOGITS, y, {k: np.asarray(v)[None, None] for k, v in params.items()}, kind="map")
    predicted = bnn.predict(tree, LOGITS)["probability"].to_numpy()
    assert np.isfinite(predicted).all()
    assert_allclose(predicted.sum(axis=-1), 1.0, rtol=1e-12)
    assert bnn.score(tree, LOGITS, y)["lppd"] * len(y) == pytest.approx(wanted, rel=1e-12)
    # A wrong form of the same would not do: probabilities first, logarithms then.
    with np.errstate(all="ignore"):
        naive = np.log(net.loss.mean(net.forward(params, LOGITS), cutpoints=params.get("cutpoints")))
    assert np.isinf(naive).any()


@pytest.mark.parametrize("name", ["binary_cross_entropy", "cross_entropy", "poisson", "gaussian_nll"])
def test_the_pymc_model_and_its_gradient_agree_far_out(name):
    targets = {"cross_entropy": [0, 1, 2, 0], "poisson": [0, 3, 10**6, 1], "gaussian_nll": [0.3, -1.0, 2.0, 0.0]}
    problem = prepare(bnn.MLP((), loss=name), LOGITS, targets.get(name, [0, 1, 1, 0]))
    ours, model = log_density(problem, jacobian=True), model_of(problem, fused=False)
    logp = model.logp()
    outputs = [logp, *pytensor.grad(logp, model.value_vars)]
    # The Python linker needs no compiler.
    mode = pytensor.compile.mode.Mode(linker="py", optimizer="fast_run")
    function = pytensor.function(model.value_vars, outputs, mode=mode)
    # A Categorical of PyMC has a gradient as long as its softmax has not underflown, see `CrossEntropy`.
    for size in (30.0, -30.0, *([300.0] if name in ("binary_cross_entropy", "gaussian_nll") else [])):
        x = np.full(ours.size, 0.1)
        x[0] = size
        params = ours.unpack(x)
        wanted, *slopes = function(*(params[v.name] for v in model.value_vars))
        value, gradient = ours(x)
        assert value == pytest.approx(float(wanted), rel=1e-11)
        slopes = np.concatenate([slope.ravel() for slope in slopes])
        # Ours is exact, see above; that of a Categorical is off by some 1e-9.
        atol = 2e-8 if name == "cross_entropy" else 1e-11 * max(1, np.abs(slopes).max())
        assert_allclose(gradient, slopes, rtol=1e-9, atol=atol)


# --- counts and scales that are outputs


def test_a_rate_that_overflows():
    loss = bnn.LOSSES["poisson"]
    far = np.array([[800.0]])
    assert loss.logp([1], far) == -np.inf
    assert (loss.mean(far), loss.variance(far)) == (np.inf, np.inf)
    assert loss.cdf([10**6], far) == 0.0
    with pytest.raises(DataError, match="log-rate of 800"):
        loss.sample(far, np.random.default_rng(1))
    assert loss.logp([0], -far) == 0.0
    net = bnn.MLP((), loss="poisson")
    density = log_density(prepare(net, LOGITS, [3, 0, 1, 2]), jacobian=False)
    assert density(np.array([800.0, 0.0]))[0] == -np.inf
    k, f = 10**6, np.array([[13.0]])
    with mp.workdps(40):
        exact = float(k * mp.mpf(13) - mp.exp(13) - mp.loggamma(k + 1))
    assert loss.logp([k], f)[0] == pytest.approx(exact, rel=1e-12)
    with pytest.raises(DataError, match="lost in rounding"):
        bnn.fit_map(net, X5, [1, 2, 3, 4, 10**11], **QUIET)


def test_counts_of_a_million_have_their_map():
    counts = np.round(1e6 * np.exp(0.1 * X20)).astype(int)
    net = bnn.MLP((), loss="poisson", prior=bnn.Normal(100.0))
    found = fitted(bnn.fit_map, net, X20, counts)
    mu = np.exp(found["W1"][0, 0] * X20 + found["b1"][0])
    # At the peak the slopes of likelihood and prior cancel.
    slopes = np.array([(counts - mu) @ X20, (counts - mu).sum()]) - [found["W1"][0, 0] / 1e4, found["b1"][0] / 1e4]
    assert np.abs(slopes).max() < 1e-9 * counts.sum()
    assert np.abs(slopes + 1e-6 * counts.sum()).max() > 1e-9 * counts.sum()


def test_a_scale_that_is_an_output_and_overflows():
    loss = bnn.LOSSES["gaussian_nll"]
    wide, narrow, exact = np.array([[0.0, 800.0]]), np.array([[0.0, -800.0]]), np.array([[1.0, -800.0]])
    half = np.log(2 * np.pi) / 2
    assert loss.logp([1.0], wide) == -800 - half
    assert (loss.variance(wide), loss.cdf([1.0], wide)) == (np.inf, 0.5)
    assert loss.logp([1.0], narrow) == -np.inf
    assert (loss.variance(narrow), loss.cdf([1.0], narrow)) == (0.0, 1.0)
    # On the mean itself the density grows without bound, and is no 0 / 0.
    assert loss.logp([1.0], exact) == 800 - half
    assert np.isinf(loss.sample(wide, np.random.default_rng(1))).all()


# --- noise and units


@pytest.mark.parametrize("noise", [1e-8, 1e8])
def test_noise_of_any_size(noise):
    net = bnn.MLP((), noise=noise)
    found = fitted(bnn.fit_map, net, X20, Y20)
    A = np.stack([X20, np.ones(20)], axis=1).astype(np.longdouble)
    with mp.workdps(60):
        gram = mp.matrix((A.T @ A).astype(float).tolist()) / mp.mpf(noise) ** 2 + mp.eye(2)
        exact = mp.lu_solve(
            gram,
            mp.matrix(
                [[mp.fsum(a * b for a, b in zip(col, Y20.tolist(), strict=True))] for col in A.T.astype(float).tolist()]
            )
            / mp.mpf(noise) ** 2,
        )
        slope, intercept = (float(v) for v in exact)
    assert_allclose([found["W1"][0, 0], found["b1"][0]], [slope, intercept], rtol=1e-7, atol=1e-14)
    problem = prepare(net, X20, Y20)
    density = log_density(problem, jacobian=True, collapse=True)
    with mp.workdps(60):
        n, s2 = 20, mp.mpf(noise) ** 2
        cov = mp.matrix(
            [
                [mp.mpf(a) * mp.mpf(b) + 1 + (s2 if i == j else 0) for j, b in enumerate(X20.tolist())]
                for i, a in enumerate(X20.tolist())
            ]
        )
        target = mp.matrix(Y20.tolist())
        quad = (target.T * mp.lu_solve(cov, target))[0]
        evidence = float(-(quad + mp.log(mp.det(cov)) + n * mp.log(2 * mp.pi)) / 2)
    assert density(np.empty(0))[0] == pytest.approx(evidence, rel=1e-9)


@pytest.mark.parametrize(
    ("x", "y"),
    [(1.0, 1e12), (1e-12, 1.0), (1e100, 1e-100), (1e12, 1e12)],
    ids=["targets of 1e12", "inputs of 1e-12", "both", "both large"],
)
def test_units_are_taken_out_by_scaling(x, y):
    tree = bnn.fit_mle(FREE, x * X20, y * Y20, scaling="standard", restarts=2, **QUIET)
    slope, intercept, scale = line_by_long_doubles(X20, Y20)
    got = bnn.predict(tree, x * np.array([0.0, 1.0]))
    assert_allclose(got["mean"].to_numpy()[:, 0] / y, [intercept, intercept + slope], rtol=1e-12)
    assert_allclose(np.sqrt(got["variance_total"].to_numpy()[:, 0]) / y, scale, rtol=1e-9)


def test_units_without_scaling_are_not_silently_wrong():
    for X, y in ((X20, 1e12 * Y20), (1e-12 * X20, Y20)):
        with pytest.warns(ConvergenceWarning, match=r"Scale the data \(scaling='standard'\)"):
            bnn.fit_mle(FREE, X, y, restarts=2, **QUIET)
    # The prior of such a slope is what decides: it is zero.
    found = fitted(bnn.fit_map, LINE, 1e-12 * X20, Y20)
    assert abs(found["W1"][0, 0]) < 1e-9
    assert found["b1"][0] == pytest.approx(Y20.sum() / (20 + 0.09), rel=1e-12)


@pytest.mark.parametrize(
    ("X", "y", "says"),
    [
        (np.stack([X20, 1e300 * X20], axis=1), Y20, "X with values up to 2e\\+300 in size in the column 'x2'"),
        (1e-310 * X20, Y20, "X with values up to 2e-310"),
        (X20, 1e300 * Y20, "y with values up to"),
        (X20, 5e-324 * np.arange(20.0), "y with values up to"),
    ],
    ids=["a feature of 1e300", "subnormal inputs", "targets of 1e300", "subnormal targets"],
)
def test_numbers_whose_squares_are_none_are_refused(X, y, says):
    for fit in (bnn.fit_map, bnn.fit_mle, bnn.fit_posterior):
        with pytest.raises(DataError, match=says):
            fit(LINE, X, y, **QUIET)
    with pytest.raises(DataError, match="standard deviation"):
        bnn.fit_map(LINE, X, y, scaling="standard", **QUIET)


def test_a_subnormal_among_numbers_is_zero():
    with_tiny, with_zero = (fitted(bnn.fit_map, LINE, np.r_[X20, tiny], np.r_[Y20, 0.1]) for tiny in (5e-324, 0.0))
    assert_allclose(with_tiny["W1"], with_zero["W1"], rtol=1e-14)


# --- how many


def test_one_row():
    found = fitted(bnn.fit_map, LINE, [2.0], [1.0])
    exact = np.linalg.solve(np.array([[4.0, 2.0], [2.0, 1.0]]) / 0.09 + np.eye(2), np.array([2.0, 1.0]) / 0.09)
    assert_allclose([found["W1"][0, 0], found["b1"][0]], exact, rtol=1e-12)
    post = bnn.fit_posterior(LINE, [2.0], [1.0], sampler="tempering", **QUIET)
    assert bnn.log_evidence(post).value == pytest.approx(stats.norm.logpdf(1.0, 0, np.sqrt(0.09 + 5.0)), rel=1e-12)
    with pytest.raises(DataError, match="standard deviation 0"):
        bnn.fit_map(LINE, [2.0], [1.0], scaling="standard", **QUIET)


def test_more_parameters_than_rows():
    wide, few = rng.normal(size=(5, 20)), rng.normal(size=5)
    net = bnn.MLP((), noise=0.3, bias=False)
    exact = np.linalg.solve(wide.T @ wide / 0.09 + np.eye(20), wide.T @ few / 0.09)
    assert_allclose(fitted(bnn.fit_map, net, wide, few)["W1"][:, 0], exact, atol=1e-12)
    mle = bnn.fit_mle(net, wide, few, restarts=2, **QUIET)
    assert set(mle["optima"]["signature"].values) == {"flat"}
    assert_allclose(wide @ mle["posterior"]["W1"].to_numpy()[0, 0, :, 0], few, atol=1e-9)
    with pytest.raises(NoMLEError, match="fits every target exactly"):
        bnn.fit_mle(bnn.MLP((), bias=False), wide, few, restarts=2, **QUIET)


def test_a_hundred_classes():
    X, y = rng.normal(size=(200, 1)), np.arange(200) % 100
    found = fitted(bnn.fit_map, bnn.MLP((), loss="cross_entropy", bias=False), X, y, restarts=1)
    residual = np.eye(100)[y] - special.softmax(X @ found["W1"], axis=1)
    # The slopes of the likelihood are those of the penalty, by NumPy's arithmetic.
    assert_allclose(X.T @ residual, found["W1"], atol=1e-9)


def test_a_constant_target():
    found = fitted(bnn.fit_map, LINE, X20, np.full(20, 3.0))
    assert_allclose([found["W1"][0, 0], found["b1"][0]], [0.0, 60 / (20 + 0.09)], atol=1e-12)
    with pytest.raises(NoMLEError, match="fits every target exactly"):
        bnn.fit_mle(FREE, X20, np.full(20, 3.0), **QUIET)
    with pytest.raises(DataError, match="standard deviation 0"):
        bnn.fit_map(LINE, X20, np.full(20, 3.0), scaling="standard", **QUIET)


def test_a_class_without_rows_is_refused():
    for loss in ("cross_entropy", "ordinal"):
        with pytest.raises(DataError, match=r"classes 0\.\.2 must all occur"):
            bnn.fit_map(bnn.MLP((), loss=loss), X5, [0, 2, 0, 2, 2], **QUIET)
    for loss in ("binary_cross_entropy", "cross_entropy"):
        with pytest.raises(DataError, match="at least two classes"):
            bnn.fit_map(bnn.MLP((), loss=loss), X5, [1, 1, 1, 1, 1], **QUIET)


def test_rows_given_twice_count_twice():
    once, twice = (log_density(prepare(LINE, np.tile(X20, k), np.tile(Y20, k)), jacobian=True) for k in (1, 2))
    x = np.array([0.4, -0.3])
    prior = float(LINE.log_prior(once.unpack(x)))
    assert twice(x)[0] - prior == pytest.approx(2 * (once(x)[0] - prior), rel=1e-13)
    assert_allclose(
        fitted(bnn.fit_mle, LINE, np.tile(X20, 2), np.tile(Y20, 2))["W1"],
        fitted(bnn.fit_mle, LINE, X20, Y20)["W1"],
        rtol=1e-12,
    )


# --- containers

WHOLE = rng.integers(0, 255, size=(12, 2))
SUM = WHOLE @ [0.01, -0.02] + 0.1 * rng.normal(size=12)


def spread(a):
    """The same numbers in every second row and column of a larger array."""
    big = np.full((2 * len(a), 5), np.nan)
    big[::2, 1:4:2] = a
    return big[::2, 1:4:2]


def read_only(a):
    a = a.astype(float)
    a.setflags(write=False)
    return a


CONTAINERS = {
    **{dtype: lambda a, dtype=dtype: a.astype(dtype) for dtype in ("uint8", "uint64", "int64", "float32", "float16")},
    "Fortran order": lambda a: np.asfortranarray(a.astype(float)),
    "not contiguous": spread,
    "read only": read_only,
    **{d: lambda a, d=d: pd.DataFrame(a, columns=["x1", "x2"]).astype(d) for d in ("Int64", "UInt8", "Float32")},
    "list": lambda a: a.tolist(),
}


@pytest.fixture(scope="module")
def plain():
    problem = prepare(LINE, WHOLE.astype(float), SUM)
    tree = tree_of(
        LINE, problem.X, problem.y, {"W1": np.array([[[[0.3], [-0.2]]]]), "b1": np.ones((1, 1, 1))}, kind="map"
    )
    return problem, tree


@pytest.mark.parametrize("container", CONTAINERS)
def test_whatever_holds_the_numbers(container, plain):
    problem, tree = plain
    held = CONTAINERS[container](WHOLE)
    again = prepare(LINE, held, SUM)
    assert again.X.dtype == np.float64
    assert (again.X == problem.X).all()
    x = np.array([0.1, -0.2, 0.3])
    assert log_density(again, jacobian=True)(x)[0] == log_density(problem, jacobian=True)(x)[0]
    # Differences of unsigned numbers would wrap around.
    assert_allclose(bnn.predict(tree, held)["mean"], bnn.predict(tree, WHOLE.astype(float))["mean"], rtol=0)
    scaled = prepare(LINE, held, SUM, scaling="standard")
    assert_allclose(scaled.X.std(axis=0), 1.0, rtol=1e-12)


def test_targets_of_any_type():
    for loss, y, dtypes in (
        ("binary_cross_entropy", X20 > 0.1, (bool, "uint8", "int64", "float32", "boolean", "Int64")),
        ("poisson", np.arange(20) * 13, ("uint8", "int64", "float16", "UInt8")),
        ("squared_error", np.arange(20) * 13, ("uint8", "int64", "float32", "Float64")),
    ):
        net = bnn.MLP((), loss=loss, noise=0.3 if loss == "squared_error" else None)
        x, wanted = np.array([0.3, 0.2]), None
        for dtype in dtypes:
            target = pd.Series(y, dtype=dtype) if str(dtype)[0] in "bUIF" and dtype is not bool else y.astype(dtype)
            value = log_density(prepare(net, X20, target), jacobian=True)(x)[0]
            wanted = value if wanted is None else wanted
            assert value == wanted
    with pytest.raises(DataError, match="missing value in y at row 1"):
        prepare(
            bnn.MLP((), loss="binary_cross_entropy"), X5, pd.Series([True, None, False, True, True], dtype="boolean")
        )


def test_data_are_left_as_they_were():
    X, y = X20[:, None].copy(), Y20.copy()
    bnn.fit_map(LINE, X, y, scaling="standard", restarts=1, **QUIET)
    assert (X[:, 0] == X20).all()
    assert (y == Y20).all()


def test_a_network_of_64_by_64_units_has_its_map():
    # What it maximises bends most in a few directions, and those Lanczos' method finds.
    small = prepare(bnn.MLP((5, 5), noise=0.3), X20, Y20)
    objective = Objective(log_density(small, jacobian=False))
    for x in (0.3 * np.random.default_rng(3).normal(size=objective.size), np.zeros(objective.size)):
        size = np.maximum(1.0, np.abs(x))
        exact = np.linalg.eigvalsh(objective.hessian(x) * size * size[:, None])
        found = extreme_curvatures(objective, x, np.ones(x.size, dtype=bool))
        assert_allclose(found, exact[[0, -1]], atol=1e-5 * exact[-1])
    net = bnn.MLP((64, 64), noise=0.3, prior=bnn.Normal(1.0, fan_in=True))
    tree = bnn.fit_map(net, X20, Y20, restarts=1, **QUIET)
    assert tree["optima"]["converged"].all()
    assert tree["optima"]["signature"].item() == "minimum"
    assert np.isnan(tree["standard_error"]["W2"]).all()
    # The slopes of NumPy's log density vanish in every direction that is tried.
    problem, rng = prepare(net, X20, Y20), np.random.default_rng(4)
    best = {k: v.to_numpy()[0, 0] for k, v in tree["posterior"].data_vars.items()}
    for _ in range(5):
        along = {k: rng.normal(size=v.shape) for k, v in best.items()}
        up, here, down = (
            problem.net.log_likelihood(at, problem.X, problem.y).sum() + problem.net.log_prior(at)
            for at in ({k: v + h * along[k] for k, v in best.items()} for h in (1e-4, 0.0, -1e-4))
        )
        assert abs(up - down) / 2e-4 < 1e-3
        assert up < here > down
