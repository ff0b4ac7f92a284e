"""Expected information: against quadrature, Monte Carlo and closed forms, and the words for what is not known."""

import itertools
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytensor.tensor as pt
import pytest
from numpy.testing import assert_allclose
from scipy import integrate, special

import bayesnn as bnn
from bayesnn.errors import BayesnnError, SpecError
from bayesnn.fitting.density import log_density
from bayesnn.fitting.objective import Objective
from bayesnn.theory import fisher_information
from bayesnn.theory.scores import information_root, output_jacobian, output_scores, unit_information
from bayesnn.tree import prepare
from tests.conftest import X_NODE, tree_of

X = np.linspace(-3, 3, 40)[:, None]
TRUTH = {"W1": [[2.0, 1.5]], "b1": [1.5, -2.0], "W2": [[1.0], [-1.5]], "b2": [0.2]}
TWO = bnn.MLP((2,), noise=0.2)
LOG_COSH = bnn.losses.ResidualLoss("logcosh", lambda u: pt.log(pt.cosh(u)))
SKEWED = bnn.losses.ResidualLoss("hyperbolic", lambda u: pt.sqrt(1.0 + u**2) - 0.5 * u)
LOSSES = [*bnn.LOSSES.values(), bnn.losses.Quantile(0.8), bnn.losses.StudentT(2.5), LOG_COSH, SKEWED]


def likelihood_of(loss):
    """Outputs of one row and what else the likelihood needs."""
    m = {"gaussian_nll": 2, "cross_entropy": 3}.get(loss.name, 1)
    f = np.array([[0.4, -0.6, 0.9]])[:, :m]
    extra = {"noise": 0.7} if loss.has_noise else {}
    return f, extra | ({"cutpoints": np.array([-0.8, 0.5, 1.9])} if loss.task == "ordinal" else {})


def split(loss, eta, m):
    f, more = eta[None, :m], eta[m:]
    return f, {"noise": more[0]} if loss.has_noise else {"cutpoints": more} if len(more) else {}


def expected_log_density(loss, eta, truth, m):
    """Of other outputs than the true ones, under the true ones: smooth, even where the density has kinks."""

    def log_density(y, at):
        f, args = split(loss, at, m)
        y = bnn.target(y, trials=1) if loss.name == "binomial" else y
        return loss.logp(y, np.repeat(f, len(y), axis=0), **args)

    if loss.name == "beta":
        nodes, weights = np.polynomial.legendre.leggauss(400)
        # The logistic function makes both ends smooth.
        y = special.expit(30 * nodes)
        density = np.exp(log_density(y, truth)) * y * special.expit(-30 * nodes)
        assert 30 * weights @ density == pytest.approx(1, abs=1e-10)
        return 30 * weights @ (density * log_density(y, eta))
    if loss.task == "regression":
        steps = np.array([0.0, *np.geomspace(0.3, 1e4, 40)])
        # Panels end at the kinks of both densities.
        kinks = [0.0, *bnn.losses.Huber().parameters] if m == 1 else [0.0]
        ends = [at[0] + sign * k * at[1] for at in (truth, eta) for k in kinks for sign in (-1, 1)]
        edges = np.unique([*ends, *(truth[0] + steps), *(truth[0] - steps)])
        nodes, weights = np.polynomial.legendre.leggauss(20)
        half = np.diff(edges)[:, None] / 2
        y = (edges[:-1, None] + half * (1 + nodes)).ravel()
        density = np.exp(log_density(y, truth))
        inside = density > 0
        return (half * weights).ravel()[inside] @ (density[inside] * log_density(y[inside], eta))
    y = np.arange({"negative_binomial": 400, "poisson": 60}.get(loss.name) or max(2, len(truth)))
    mass = np.exp(log_density(y, truth))
    assert mass.sum() == pytest.approx(1, abs=1e-12)
    return mass @ log_density(y, eta)


@pytest.mark.parametrize("loss", LOSSES, ids=repr)
def test_the_information_is_the_expected_hessian(loss):
    f, args = likelihood_of(loss)
    m, truth = f.shape[1], np.concatenate([f[0], np.ravel(list(args.values()))])
    root = information_root(loss, f, **args)[0]
    ours = root.T @ root
    q = len(truth)

    def hessian(i, j, h):
        signs = [(1, 1), (1, -1), (-1, 1), (-1, -1)]
        at = [truth + h * (a * np.eye(q)[i] + b * np.eye(q)[j]) for a, b in signs]
        pp, pm, mp, mm = (expected_log_density(loss, eta, truth, m) for eta in at)
        return -(pp - pm - mp + mm) / (4 * h**2)

    for i in range(q):
        for j in range(i, q):
            # Where the density has a kink the error of a difference is linear in the step.
            second = 2 * hessian(i, j, 0.002) - hessian(i, j, 0.004)
            assert second == pytest.approx(ours[i, j], abs=1e-3 * max(1.0, ours.max())), (i, j)
    assert ours[0, 0] > 0.02, "a matrix of zeros would not pass"


@pytest.mark.parametrize(
    ("loss", "psi"),
    [
        (bnn.losses.Huber(), lambda u: np.clip(u, -1.345, 1.345)),
        (bnn.losses.Quantile(0.8), lambda u: 0.8 if u > 0 else -0.2),
        (bnn.losses.StudentT(2.5), lambda u: 3.5 * u / (2.5 + u**2)),
        (LOG_COSH, np.tanh),
        (SKEWED, lambda u: u / np.sqrt(1 + u**2) - 0.5),
    ],
    ids=lambda value: repr(value) if isinstance(value, bnn.losses.Loss) else "",
)
def test_the_information_of_a_residual_is_that_of_adaptive_quadrature(loss, psi):
    def moment(k):
        def inside(u):
            return np.exp(loss.logp(np.array([u]), np.zeros((1, 1)), noise=1.0)[0]) * u**k * psi(u) ** 2

        ends = [-np.inf, -40, -1.345, 0, 1.345, 40, np.inf]
        return sum(integrate.quad(inside, *pair, epsabs=1e-13)[0] for pair in itertools.pairwise(ends))

    assert_allclose(unit_information(loss), [moment(0), moment(1), moment(2) - 1], atol=1e-10)


def net_of(loss):
    """A network with its parameters, whatever the loss needs."""
    m = {"gaussian_nll": 2, "cross_entropy": 3}.get(loss.name, 1)
    net = bnn.MLP((2,), loss=loss)
    params = {
        "W1": np.array([[1.2, -0.7]]),
        "b1": np.array([0.3, 0.6]),
        "W2": np.array([[0.9, -0.4, 0.2], [0.5, 0.8, -1]]),
    }
    params = params | {"W2": params["W2"][:, :m], "b2": np.array([0.1, -0.3, 0.2])[:m]}
    if loss.has_noise:
        params["noise"] = np.array(0.7)
    if loss.task == "ordinal":
        del params["b2"]
        params["cutpoints"] = np.array([-0.8, 0.5, 1.9])
    return net, params


@pytest.mark.parametrize("loss", LOSSES, ids=repr)
def test_scores_are_the_gradient_and_their_covariance_is_the_information(loss):
    net, params = net_of(loss)
    information = fisher_information(net, params, X)
    args, f = net.likelihood_args(params), net.forward(params, X)
    jacobian, rng = output_jacobian(net, params, X), np.random.default_rng(1)
    m, total = f.shape[1], []
    for _ in range(200):
        y = loss.sample(f, rng, **args)
        y = bnn.target(y, trials=1) if loss.name == "binomial" else y
        by_output = output_scores(loss, y, f, **args)
        scores = np.einsum("nm,nmd->nd", by_output[:, :m], jacobian)
        total.append(np.concatenate([scores.sum(axis=0), by_output[:, m:].sum(axis=0)]))
    outer = np.array([np.outer(s, s) for s in total])
    error = outer.std(axis=0) / np.sqrt(len(outer))
    z = (outer.mean(axis=0) - information.matrix) / np.maximum(error, 1e-9)
    assert np.abs(z).max() < 5
    wrong = (outer.mean(axis=0) - 2 * information.matrix) / np.maximum(error, 1e-9)
    assert np.abs(wrong).max() > 5
    objective = Objective(log_density(prepare(net.flat, X, y), jacobian=False))
    x = objective.pack(params)
    # The objective's gradient is by the logarithms of the noise and of gaps between cutpoints. A residual that is a
    # thousandth of the noise from where Huber's loss bends has the mean of two slopes.
    assert_allclose(
        objective.slopes(x).T @ total[-1], -objective(x)[1], rtol=1e-6, atol=1e-4 if loss.name == "huber" else 1e-6
    )


def test_the_jacobian_of_deep_networks_is_that_of_differences():
    rng = np.random.default_rng(3)
    for net, m in ((bnn.MLP((3, 2), noise=1.0), 2), (bnn.MLP((2, 2, 2), "softplus", bias=False, noise=1.0), 1)):
        params = {k: rng.normal(size=s) for k, s in net.shapes(2, m).items()}
        inputs, columns = rng.normal(size=(5, 2)), []
        for name, value in params.items():
            for index in np.ndindex(value.shape):
                step = np.zeros_like(value)
                step[index] = 1e-5
                up, down = (net.forward(params | {name: value + s * step}, inputs) for s in (1, -1))
                columns.append((up - down) / 2e-5)
        assert_allclose(output_jacobian(net, params, inputs), np.stack(columns, axis=-1), atol=1e-8)


def test_linear_and_logistic_regression_have_their_textbook_covariance():
    design = np.column_stack([X[:, 0], np.ones(len(X))])
    line = fisher_information(bnn.MLP((), noise=0.3), {"W1": [[0.5]], "b1": [0.1]}, X)
    assert_allclose(line.bound, 0.3**2 * np.linalg.inv(design.T @ design), rtol=1e-12, atol=1e-15)
    assert line.condition == pytest.approx(np.linalg.cond(design) ** 2)
    learned = fisher_information(bnn.MLP(()), {"W1": [[0.5]], "b1": [0.1], "noise": 0.3}, X)
    assert learned.matrix[2, 2] == pytest.approx(2 * len(X) / 0.3**2)
    assert "is constant" in learned.message
    # At the MLE of DESIGN's node the observed information is the expected one.
    node = fisher_information(bnn.MLP((), loss="binary_cross_entropy", bias=False), {"W1": [[0.7954240126]]}, X_NODE)
    assert np.sqrt(node.bound[0, 0]) == pytest.approx(0.7872388020, abs=1e-9)


@pytest.mark.parametrize(
    ("changed", "rank", "words"),
    [
        ({}, 7, "Rank 7 of 7"),
        ({"W2": [[1.0], [0.0]]}, 5, "what leaves hidden unit 2 is zero (2 directions)"),
        ({"W1": [[2.0, 2.0]], "b1": [1.5, 1.5]}, 4, "hidden units 1 and 2 are twins (3 directions)"),
        ({"W1": [[2.0, -2.0]], "b1": [1.5, -1.5]}, 4, "hidden units 1 and 2 are twins (3 directions)"),
        ({"W1": [[2.0, 0.0]], "b1": [1.5, 0.0], "W2": [[1.0], [0.0]]}, 4, "hidden unit 2 is dead (all its weights"),
        ({"W1": [[2.0, 0.0]]}, 5, "hidden unit 2 is constant, as the bias after it is (1 direction)"),
    ],
)
def test_what_is_not_known_is_named(changed, rank, words):
    found = fisher_information(TWO, TRUTH | changed, X)
    assert found.rank == rank
    assert words in found.message
    assert sum(k for _, k in found.reasons) == 7 - rank
    assert np.linalg.matrix_rank(found.matrix, rtol=1e-10) == rank
    assert (found.eigenvalues == 0).sum() == 7 - rank
    assert np.abs(found.matrix @ found.directions[:, rank:]).max(initial=0) < 1e-9 * found.eigenvalues[0]
    singular = rank < 7
    assert (found.log_jeffreys == -np.inf) == singular == np.isinf(found.condition) == ("is zero here" in found.message)


def test_other_networks_have_other_directions_without_information():
    relu = fisher_information(bnn.MLP((2,), "relu", noise=0.2), TRUTH, X)
    assert relu.rank == 5
    assert "what enters hidden unit 1 can be exchanged for what leaves it (1 direction)" in relu.message
    classes = TRUTH | {"W2": [[1.0, 2.0, 0.0], [1.0, -1.0, 0.5]], "b2": [1.0, 0.0, 0.0]}
    softmax = fisher_information(bnn.MLP((2,), loss="cross_entropy"), classes, X)
    assert softmax.reasons == (("a number can be added to the outputs of all classes", 3),)
    assert "few" in fisher_information(TWO, TRUTH, X[:4]).message
    deep = {"W1": np.array([[1.0, -0.5]]), "b1": np.array([0.2, 0.4]), "W2": np.array([[1.0, 1.0], [2.0, 2.0]])}
    deep |= {"b2": np.array([0.3, 0.3]), "W3": np.array([[1.0], [-2.0]]), "b3": np.array([0.0])}
    assert fisher_information(bnn.MLP((2, 2), noise=0.2), deep, X).reasons == (
        ("hidden units 1 and 2 of layer 2 are twins", 4),
    )


def test_jeffreys_prior_grows_with_outgoing_weights_without_bound():
    at = [fisher_information(TWO, TRUTH | {"W2": [[1.0], [v]]}, X).log_jeffreys for v in (-1.5, -15.0)]
    assert at[1] - at[0] == pytest.approx(2 * np.log(10))
    assert "power 2" in fisher_information(TWO, TRUTH, X).message


def test_a_fit_brings_its_parameters_and_rows():
    draws = {k: np.asarray(v)[None, None] for k, v in TRUTH.items()}
    found = fisher_information(tree_of(TWO, X, X[:, 0], draws, kind="mle"))
    assert (found.size, found.n) == (7, 40)
    assert "least sd" in repr(found)
    with pytest.raises(SpecError, match="brings its own"):
        fisher_information(tree_of(TWO, X, X[:, 0], draws, kind="mle"), TRUTH, X)
    assert found.table["least sd"].iloc[-1] == pytest.approx(found.eigenvalues[-1] ** -0.5)


@dataclass(frozen=True)
class Exponential(bnn.losses.Loss):
    name: ClassVar[str] = "exponential"
    task: ClassVar[str] = "regression"

    def loss(self, y, f, *, noise=None, cutpoints=None):
        return f[..., 0] + y * np.exp(-f[..., 0])


@dataclass(frozen=True)
class Informed(Exponential):
    def information(self, f, *, noise=None, cutpoints=None):
        return np.ones((len(f), 1, 1))


def test_a_loss_from_outside_brings_its_information():
    params = {"W1": [[0.5]], "b1": [0.1]}
    with pytest.raises(SpecError, match=r"class a method information"):
        fisher_information(bnn.MLP((), loss=Exponential()), params, X)
    design = np.column_stack([X[:, 0], np.ones(len(X))])
    assert_allclose(fisher_information(bnn.MLP((), loss=Informed()), params, X).matrix, design.T @ design)


def test_bad_arguments_are_refused():
    for params, words in (
        ({k: v for k, v in TRUTH.items() if k != "b1"}, r"Got no b1.*has b1 of shape \(2\)"),
        (TRUTH | {"W1": [[1.0, 2.0], [1.0, 2.0]]}, r"X of shape \(40, 1\); the network has 2 features"),
        (TRUTH | {"W1": np.ones((3, 1, 2))}, "batch of parameters"),
    ):
        with pytest.raises(BayesnnError, match=words):
            fisher_information(TWO, params, X)
    with pytest.raises(SpecError, match="Got no noise"):
        fisher_information(bnn.MLP((2,)), TRUTH, X)
    with pytest.raises(SpecError, match="without parameters or inputs"):
        fisher_information(TWO, TRUTH)
    with pytest.raises(SpecError, match="tolerance=2"):
        fisher_information(TWO, TRUTH, X, tolerance=2)
