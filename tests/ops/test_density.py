"""The compiled log density against NumPy's, PyMC's, finite differences, and itself in other shapes."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import mpmath as mp
import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.stats import halfnorm, norm

import bayesnn as bnn
from bayesnn.activations import ACTIVATIONS
from bayesnn.data.columns import columns_under
from bayesnn.data.target import values_of
from bayesnn.fitting.density import FusedDensity, ModelDensity, has_kernels, log_density
from bayesnn.model import model_of
from bayesnn.ops.density import CREATE, PARTS, Density
from bayesnn.ops.threads import cores, threads_of
from bayesnn.tree import prepare
from tests.conftest import X5, Y5, random_params

LOSSES = tuple(bnn.LOSSES)
PRIORS = (
    bnn.Flat(),
    bnn.Normal(0.7, fan_in=True),
    bnn.Laplace(1.5, bias=bnn.Flat()),
    bnn.ElasticNet(0.3, 0.4, fan_in=True, bias=bnn.Normal(3.0)),
    bnn.StudentT(3.0, 0.5, fan_in=True),
    bnn.Hierarchical(0.7, fan_in=True),
)
NOISES = (bnn.HalfNormal(0.6), bnn.HalfFlat(), bnn.LogNormal(-1.3, 0.6), bnn.InverseGamma(3.5, 0.7))
VARIANTS = {
    "huber": [bnn.losses.Huber(0.6)],
    "quantile": [bnn.losses.Quantile(0.8)],
    "student_t": [bnn.losses.StudentT(2.5)],
}


def targets(loss, n, rng):
    if loss == "binary_cross_entropy":
        return np.arange(n) % 2
    if loss in ("cross_entropy", "ordinal"):
        return np.arange(n) % 4
    if loss in ("poisson", "negative_binomial"):
        counts = rng.poisson(2.0, size=n)
        counts[0] = 75
        return counts
    if loss == "binomial":
        return bnn.target(rng.integers(0, 4, size=n), trials=rng.integers(3, 9, size=n))
    return rng.uniform(0.01, 0.99, size=n) if loss == "beta" else rng.normal(size=n)


def problem(net, n, p=2, K=None, seed=0):
    rng = np.random.default_rng(seed)
    y = targets(net.loss.name, n, rng) if K is None else rng.normal(size=(n, K))
    return prepare(net, rng.normal(size=(n, p)), y)


def check(what, seed=0, size=1.0):
    """Hold value and gradient against NumPy's density."""
    density = log_density(what, jacobian=False)
    assert isinstance(density, FusedDensity)
    params = {k: size * v for k, v in random_params(what, (), seed=seed).items()}
    x = density.pack(params)

    def reference(x):
        params = density.unpack(x)
        return what.net.log_likelihood(params, what.X, what.y).sum() + what.net.log_prior(params)

    value, gradient = density(x)
    assert value == pytest.approx(reference(x), rel=1e-12, abs=1e-11)
    rng = np.random.default_rng(seed)
    for j in {*rng.permutation(len(x))[:10], len(x) - 1}:
        step = 1e-5 * np.eye(len(x))[j]
        slope = 8 * (reference(x + step) - reference(x - step)) - reference(x + 2 * step) + reference(x - 2 * step)
        assert gradient[j] == pytest.approx(slope / 12e-5, rel=1e-6, abs=1e-6 * max(1.0, abs(value)))


@pytest.mark.parametrize("prior", PRIORS, ids=lambda prior: type(prior).__name__)
@pytest.mark.parametrize("loss", LOSSES)
def test_value_and_gradient_for_every_loss_and_prior(loss, prior):
    for form in (loss, *VARIANTS.get(loss, [])):
        check(problem(bnn.MLP((3,), loss=form, prior=prior), 23))
        check(problem(bnn.MLP((4, 2), loss=form, prior=prior, bias=False), 9), seed=1)
        check(problem(bnn.MLP((), loss=form, prior=prior), 17), seed=2)
    if bnn.LOSSES[loss].has_noise:
        check(problem(bnn.MLP((3,), loss=loss, prior=prior, noise=0.4), 23))
        for noise in NOISES:
            check(problem(bnn.MLP((3,), loss=loss, prior=prior, noise=noise), 23))


@pytest.mark.parametrize("loss", [loss for loss in LOSSES if bnn.LOSSES[loss].given])
@pytest.mark.parametrize("n", [5, 70])
def test_value_and_gradient_with_what_is_known_of_rows(loss, n):
    rng = np.random.default_rng(3)
    (known,) = bnn.LOSSES[loss].given
    values = {known: rng.integers(4, 9, size=n) if known == "trials" else rng.uniform(0.3, 4.0, size=n)}
    y = targets(loss, n, rng)
    one = prepare(bnn.MLP((3,), loss=loss), rng.normal(size=(n, 2)), bnn.target(values_of(y), **values))
    check(one)
    if known == "precision":
        y = bnn.target(rng.normal(size=(n, 2)), **values)
        check(prepare(bnn.MLP((3,), loss=loss), one.X, y))
    # A kernel that leaves it out is another density.
    flat = bnn.target(values_of(one.y), **{known: np.full(n, 9.0)})
    x = np.full(log_density(one, jacobian=False).size, 0.3)
    assert log_density(one, jacobian=False)(x)[0] != log_density(replace(one, y=flat), jacobian=False)(x)[0]


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_value_and_gradient_for_every_activation(activation):
    check(problem(bnn.MLP((3, 4, 2), activation), 31))


@pytest.mark.parametrize("n", [1, 7, 8, 9, 505, 1300])
@pytest.mark.parametrize("K", [1, 3])
def test_any_number_of_rows_and_targets(n, K):
    check(problem(bnn.MLP((3,)), n, p=5, K=K), size=0.3)
    check(problem(bnn.MLP((40, 9)), n, p=1, K=K), size=0.3)


@pytest.mark.parametrize("jacobian", [True, False])
@pytest.mark.parametrize("form", [*NOISES, "cross_entropy"], ids=repr)
def test_it_is_the_density_of_the_pymc_model(form, jacobian):
    likelihood = {"loss": form} if isinstance(form, str) else {"noise": form}
    what = problem(bnn.MLP((3,), prior=PRIORS[1], **likelihood), 23)
    plain = ModelDensity(model_of(what), jacobian=jacobian)
    fused = log_density(what, jacobian=jacobian)
    assert (plain.names, plain.shapes) == (fused.names, fused.shapes)
    x = np.random.default_rng(1).normal(size=plain.size)
    for a, b in zip(plain(x), fused(x), strict=True):
        assert_allclose(a, b, rtol=1e-11, atol=1e-11)


SPLIT = [
    bnn.MLP((3,), prior=bnn.Normal(0.7, bias=bnn.Laplace(2.0)), noise=bnn.LogNormal(0.1, 0.5)),
    bnn.MLP((3,), prior=bnn.StudentT(4.0), loss="cross_entropy"),
    bnn.MLP((3, 2), prior=bnn.Hierarchical(), noise=0.4),
    bnn.MLP((2,), loss="ordinal"),
]


@pytest.mark.parametrize("net", SPLIT, ids=lambda net: f"{net.loss.name}-{type(net.prior).__name__}")
def test_likelihood_and_prior_apart_are_those_of_the_model(net):
    what = problem(net, 23)
    fused = log_density(what, jacobian=True, split=True)
    plain = ModelDensity(model_of(what), jacobian=True, split=True)
    whole = log_density(what, jacobian=True)
    x = np.random.default_rng(1).normal(size=plain.size)
    # The model may have the parameters in another order.
    order = [plain.names.index(name) for name in fused.names]
    places = np.concatenate([np.arange(*plain.offsets[i : i + 2]) for i in order])
    values, gradients = fused(x)
    there = np.empty_like(x)
    there[places] = x
    theirs, slopes = plain(there)
    assert_allclose(values, theirs, rtol=1e-10, atol=1e-10)
    assert_allclose(gradients.reshape(2, -1), slopes.reshape(2, -1)[:, places], rtol=1e-10, atol=1e-10)
    assert values.sum() == pytest.approx(whole(x)[0], rel=1e-14)
    assert_allclose(gradients.reshape(2, -1).sum(axis=0), whole(x)[1], rtol=1e-12, atol=1e-12)


def test_likelihood_and_prior_apart_with_the_output_layer_integrated_out():
    what = problem(bnn.MLP((3,)), 23)
    fused, whole = (log_density(what, jacobian=True, collapse=True, split=split) for split in (True, False))
    x = np.random.default_rng(1).normal(size=fused.size)
    hidden = sum(norm.logpdf(x[:-1])) + halfnorm.logpdf(np.exp(x[-1])) + x[-1]
    values, gradients = fused(x)
    assert values[1] == pytest.approx(hidden, rel=1e-12)
    assert values.sum() == pytest.approx(whole(x)[0], rel=1e-12)
    assert_allclose(gradients.reshape(2, -1).sum(axis=0), whole(x)[1], rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("noise", NOISES[2:], ids=repr)
@pytest.mark.parametrize("log_noise", [-12.0, -1.0, 9.0])
def test_the_noise_keeps_its_digits_far_from_its_prior(noise, log_noise):
    what = prepare(bnn.MLP((), noise=noise, bias=False), X5, Y5)
    value, gradient = log_density(what, jacobian=True)([0.5, log_noise])
    with mp.workdps(60):

        def exact(u):
            residuals = [mp.mpf(y) - mp.mpf(0.5) * mp.mpf(x) for x, y in zip(X5, Y5, strict=True)]
            s = mp.exp(u)
            likelihood = -sum((r / s) ** 2 for r in residuals) / 2 - 5 * (mp.log(2 * mp.pi) / 2 + u)
            if isinstance(noise, bnn.LogNormal):
                mu, sigma = mp.mpf(noise.mu), mp.mpf(noise.sigma)
                prior = -u - mp.log(sigma * mp.sqrt(2 * mp.pi)) - ((u - mu) / sigma) ** 2 / 2
            else:
                alpha, beta = mp.mpf(noise.alpha), mp.mpf(noise.beta)
                prior = alpha * mp.log(beta) - mp.loggamma(alpha) - (alpha + 1) * u - beta / s
            return likelihood + prior + u - mp.mpf(0.5) ** 2 / 2 - mp.log(2 * mp.pi) / 2

        expected, slope = float(exact(mp.mpf(log_noise))), float(mp.diff(exact, log_noise))
    assert value == pytest.approx(expected, rel=1e-13)
    assert gradient[-1] == pytest.approx(slope, rel=1e-12)


def test_far_outputs_keep_their_digits():
    for loss, y in (("binary_cross_entropy", [0, 1, 0, 1, 1]), ("cross_entropy", [0, 1, 0, 2, 1])):
        what = prepare(bnn.MLP((), loss=loss, bias=False), X5, y)
        density = log_density(what, jacobian=False)
        for size in (40.0, 300.0, 700.0):
            x = size * np.linspace(-1.0, 1.0, density.size + 1)[1:]
            reference = what.net.log_likelihood(density.unpack(x), what.X, what.y).sum()
            value, gradient = density(x)
            assert value == pytest.approx(reference + what.net.log_prior(density.unpack(x)), rel=1e-13)
            assert np.isfinite(gradient).all()
    # The slope of a point that is classified rightly is its small probability of the other class, to all digits.
    what = prepare(bnn.MLP((), loss="binary_cross_entropy", bias=False, prior=bnn.Flat()), [[1.0], [-1.0]], [1, 0])
    for f in (20.0, 50.0, 300.0):
        assert log_density(what, jacobian=False)([f])[1][0] == pytest.approx(2 * np.exp(-f), rel=1e-8)


def test_what_is_not_finite_is_reported_to_the_sampler():
    density = log_density(problem(bnn.MLP((3,)), 9), jacobian=True).density
    x = np.zeros(density.size)
    pointers = [a.ctypes.data for a in (x, np.empty_like(x), np.empty(1))]
    assert density._call(density.size, *pointers, density.table.ctypes.data) == 0
    for bad in (np.nan, -800.0):
        x[-1] = bad
        assert density._call(density.size, *pointers, density.table.ctypes.data) in (3, 4)


def test_one_compilation_serves_every_size_prior_and_noise():
    first = log_density(problem(bnn.MLP((3,)), 9), jacobian=True)
    for net, n in ((bnn.MLP((5, 4), prior=bnn.Laplace(2.0), bias=False), 30), (bnn.MLP((), noise=0.2), 4)):
        assert log_density(problem(net, n), jacobian=False).density.callback is first.density.callback
    for noise in NOISES:
        other = log_density(problem(bnn.MLP((3,), noise=noise), 9), jacobian=True)
        assert other.density.callback is first.density.callback
    collapsed = log_density(problem(bnn.MLP((7,)), 9), jacobian=True, collapse=True)
    assert collapsed.density.callback is first.density.callback
    other = log_density(problem(bnn.MLP((3,), "erf", loss="huber"), 9), jacobian=True)
    assert other.density.callback is first.density.callback
    assert (other.density.forms[:3] != first.density.forms[:3]).all()


class Foreign(bnn.Normal):
    """A family of priors from outside."""


def test_what_the_kernels_do_not_know_comes_from_the_model():
    net = bnn.MLP((2,), prior=Foreign(1.0))
    assert not has_kernels(net)
    assert isinstance(log_density(prepare(net, X5, Y5), jacobian=True), ModelDensity)


@pytest.mark.parametrize("jacobian", [True, False])
@pytest.mark.parametrize(
    ("net", "classes"),
    [
        (bnn.MLP((3,), prior=bnn.Hierarchical(0.7, bias=bnn.Laplace(2.0)), noise=0.3), None),
        (bnn.MLP((), loss="ordinal", prior=bnn.Hierarchical(2.0)), 5),
        (bnn.MLP((3,), loss="ordinal", prior=bnn.Flat()), 2),
    ],
    ids=["scales", "scales and cutpoints", "one cutpoint"],
)
def test_cutpoints_and_learned_scales_are_those_of_the_pymc_model(net, classes, jacobian):
    rng = np.random.default_rng(0)
    what = prepare(net, rng.normal(size=(23, 2)), rng.normal(size=23) if classes is None else np.arange(23) % classes)
    ours, plain = FusedDensity(what, jacobian=jacobian), ModelDensity(model_of(what), jacobian=jacobian)
    assert sorted(ours.names) == sorted(plain.names)
    x = rng.normal(size=ours.size)
    (value, gradient), (expected, slopes) = ours(x), plain(plain.pack(ours.unpack(x)))
    assert value == pytest.approx(expected, rel=1e-12)
    at = [plain.names.index(name) for name in ours.names]
    slopes = np.concatenate([slopes[plain.offsets[i] : plain.offsets[i + 1]] for i in at])
    assert_allclose(gradient, slopes, rtol=1e-10, atol=1e-12)
    if net.proper:
        assert np.isfinite(ours(ours.prior_draw(1))[0])


def test_many_points_in_one_call():
    density = log_density(problem(bnn.MLP((3,)), 40), jacobian=True)
    points = np.random.default_rng(3).normal(size=(5, density.size))
    values, gradients = density.many(points)
    for point, value, gradient in zip(points, values, gradients, strict=True):
        assert (density(point)[0], *density(point)[1]) == (value, *gradient)


def test_chains_may_share_the_table():
    density = log_density(problem(bnn.MLP((3,)), 40), jacobian=True)
    assert isinstance(density.density, Density)
    before = [a.copy() for a in (density.density.inputs, density.density.numbers, density.density.rates)]
    density(np.ones(density.size))
    for a, b in zip(before, (density.density.inputs, density.density.numbers, density.density.rates), strict=True):
        np.testing.assert_array_equal(a, b)


MANY = 120_000
"""Rows that are divided into several parts."""


def many_rows(net, n=MANY, p=3):
    what = problem(net, n, p=p)
    x = 0.3 * np.random.default_rng(1).normal(size=log_density(what, jacobian=True).size)
    return what, x


@pytest.mark.parametrize(
    ("loss", "hidden", "collapse"),
    [
        ("squared_error", (4,), False),
        ("squared_error", (4,), True),
        # So many hidden units that they are computed again for the second pass.
        ("squared_error", (37,), True),
        ("ordinal", (4,), False),
        ("cross_entropy", (3, 4), False),
    ],
)
def test_no_number_depends_on_how_many_threads_there_are(loss, hidden, collapse):
    what, _ = many_rows(bnn.MLP(hidden, loss=loss))
    densities = [FusedDensity(what, jacobian=True, collapse=collapse, threads=k) for k in (1, 2, 3, 7)]
    assert densities[0].density.sizes[PARTS] >= 7
    x = 0.3 * np.random.default_rng(1).normal(size=densities[0].size)
    value, gradient = densities[0](x)
    for density in densities[1:]:
        again = density(x)
        assert again[0] == value
        np.testing.assert_array_equal(again[1], gradient)
    # Where the system has no more threads to give, the caller does it all.
    densities[3].density.forms[CREATE] = 0
    assert densities[3].density.many(x[None])[0][0] == value
    # The parts together are the whole: of the rows in two halves, with the prior of one.
    halves = [slice(0, MANY // 2), slice(MANY // 2, MANY)]
    if not collapse:
        pieces = [replace(what, X=what.X[rows], y=what.y[rows]) for rows in halves]
        split = [FusedDensity(piece, jacobian=True, split=True, threads=2)(x) for piece in pieces]
        whole = FusedDensity(what, jacobian=True, split=True, threads=2)(x)
        assert_allclose(split[0][0][0] + split[1][0][0], whole[0][0], rtol=1e-12)
        assert_allclose(split[0][1][: len(x)] + split[1][1][: len(x)], whole[1][: len(x)], rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("collapse", [False, True])
def test_many_rows_have_the_density_of_the_model(collapse):
    what, _ = many_rows(bnn.MLP((4,), noise=0.7))
    ours, plain = (
        FusedDensity(what, jacobian=True, collapse=collapse),
        ModelDensity(model_of(what, collapse=collapse), jacobian=True),
    )
    x = 0.3 * np.random.default_rng(1).normal(size=ours.size)
    assert_allclose(ours(x)[0], plain(x)[0], rtol=1e-11)
    assert_allclose(ours(x)[1], plain(x)[1], rtol=1e-8, atol=1e-7)


def test_several_threads_may_ask_for_helpers_at_once():
    what, x = many_rows(bnn.MLP((4,)))
    density = log_density(what, jacobian=True, threads=2)
    points = x + 0.1 * np.arange(12)[:, None]
    alone = [density(point) for point in points]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(density, points))
    for (value, gradient), (again, same) in zip(alone, together, strict=True):
        assert value == again
        np.testing.assert_array_equal(gradient, same)


def test_large_inputs_are_read_where_they_are():
    rng = np.random.default_rng(1)
    X, y = rng.normal(size=(120_000, 9)), rng.normal(size=120_000)
    what = prepare(bnn.MLP((4,)), X, y)
    ours = log_density(what, jacobian=True)
    assert np.shares_memory(ours.density.inputs, what.X)
    blocks = log_density(replace(what, X=X), jacobian=True)
    assert not np.shares_memory(blocks.density.inputs, X)
    x = rng.normal(size=ours.size)
    value, gradient = ours(x)
    assert value == blocks(x)[0]
    np.testing.assert_array_equal(gradient, blocks(x)[1])
    # A view of some of them, or of others, is not taken for the whole.
    for part in (what.X[1:], what.X[:-1], what.X[:, 1:], what.X[::2], X, np.asfortranarray(X)):
        found = columns_under(part)
        assert found is None or np.array_equal(found[:-1, : len(part)].T, part)
    deep = log_density(replace(what, net=bnn.MLP(())), jacobian=True, collapse=True)
    plain = log_density(replace(what, net=bnn.MLP(()), X=X), jacobian=True, collapse=True)
    assert deep(np.array([0.3]))[0] == plain(np.array([0.3]))[0]


def test_cores_are_shared_out_among_chains(monkeypatch):
    monkeypatch.setattr("os.sched_getaffinity", lambda pid: set(range(8)), raising=False)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    assert [threads_of(chains) for chains in (1, 2, 3, 4, 9)] == [8, 4, 2, 2, 1]
    assert threads_of(1, at_most=2) == 2
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    assert cores() == threads_of(1) == 1
