"""Studies of the MLE: against chi-squared limits, closed forms, other optimisers, and what must not change them."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy import integrate, special, stats

import bayesnn as bnn
from bayesnn.errors import DataError, FitError, SpecError
from bayesnn.symmetry import apply_symmetry, orbit, random_symmetry
from bayesnn.theory import consistency, consistency_study
from bayesnn.theory.replicate import nearest
from bayesnn.theory.truth import make_truth

# The truth and the inputs of the known answer.
TRUTH = {"W1": [[2.0, 1.5]], "b1": [1.5, -2.0], "W2": [[1.0], [-1.5]], "b2": [0.2]}
TWO, EVEN = bnn.MLP((2,), noise=0.2), stats.uniform(-3, 6)
LINE, ON_LINE = bnn.MLP((), noise=0.2), {"W1": [[1.0]], "b1": [0.5]}
WIDE, WIDE_TRUTH = bnn.MLP((8,), "sigmoid", noise=0.2), {"W1": [[1.0]], "b1": [0.5], "W2": [[1.0]], "b2": [0.0]}
QUIET = {"random_seed": 1, "progressbar": False}


def parabola(X):
    return X[:, 0] ** 2


@pytest.fixture(scope="module")
def regular():
    return consistency_study(TWO, TRUTH, (100, 400), 24, inputs=EVEN, restarts=2, **QUIET)


@pytest.fixture(scope="module")
def misspecified():
    return consistency_study(LINE, parabola, (50, 800), 60, inputs=EVEN, restarts=1, **QUIET)


@pytest.fixture(scope="module")
def singular():
    one = {"W1": [[2.0]], "b1": [0.5], "W2": [[1.0]], "b2": [0.2]}
    return consistency_study(TWO, one, (100, 1600), 12, inputs=EVEN, restarts=2, **QUIET)


def within(values, distribution):
    """Whether a sum, whose distribution is known in the limit, is one that chance gives in all but 1 of 1,000 cases."""
    return distribution.ppf(5e-4) < np.sum(values) < distribution.ppf(1 - 5e-4)


def test_errors_and_likelihood_ratios_have_their_limits(regular):
    assert regular.information.rank == 7
    assert regular.expected == pytest.approx(np.sqrt(7), rel=1e-9)
    found = regular.replicates.xs(400, level="n")
    limit = stats.chi2(7 * len(found))
    for column, power in (("scaled error", 2), ("likelihood ratio", 1), ("squared distance", 1)):
        assert within(found[column] ** power, limit), column
        assert not within(1.6 * found[column] ** power, limit), "a ratio that is 60% too large is seen"
    # As if the parameters of a data set were inside or outside together.
    least = stats.binom(24, 0.95).ppf(5e-4) / 24
    assert found["Wald"].mean() > least
    assert found["sandwich"].mean() > least
    assert regular.replicates["minimum"].all()
    assert regular.replicates["starts"].mean() > 0.7


def test_the_aligned_distance_falls_and_the_raw_one_is_that_of_a_mirror_image(regular):
    table = regular.table
    # Of a normal error with the covariance of the Cramér-Rao bound, medians .434 and .217.
    assert 0.5 * 0.434 < table["aligned"][100] < 2 * 0.434
    assert 0.5 * 0.217 < table["aligned"][400] < 2 * 0.217
    copies = orbit({k: np.asarray(v) for k, v in TRUTH.items()}, TWO)
    apart = [np.sqrt(sum(((p.params[k] - v) ** 2).sum() for k, v in TRUTH.items())) for p in copies]
    found = regular.replicates.xs(400, level="n")
    off = np.abs(found["raw"].to_numpy()[:, None] - apart).min(axis=1)
    assert (off <= found["aligned"] + 1e-9).all()
    assert table["raw"][400] > 4
    assert regular.slopes["function error"] < -0.2
    assert "goes to the truth modulo symmetry; the raw weights do not" in regular.message


def test_the_optimum_is_that_of_many_more_starts(regular):
    seed = int(np.random.default_rng(1).integers(2**32))
    truth = make_truth(TWO, TRUTH, EVEN, None, seed)
    X, y = truth.draw(np.random.default_rng([seed, 100, 0]), 100)
    mle = bnn.fit_mle(TWO, X, y, restarts=8, random_seed=5, progressbar=False)
    at_truth = TWO.log_likelihood(truth.point, X, y).sum()
    ratio = 2 * (float(mle.optima.log_likelihood.max()) - at_truth)
    assert regular.replicates["likelihood ratio"][100, 0] == pytest.approx(ratio, abs=1e-6)


def test_who_runs_it_and_what_is_in_a_file_change_nothing(tmp_path, monkeypatch):
    def run(sizes, count, **more):
        return consistency_study(LINE, ON_LINE, sizes, count, inputs=EVEN, restarts=1, **QUIET, **more).replicates

    path = tmp_path / "study.jsonl"
    part = run((20, 40), 2, path=path)
    with ThreadPoolExecutor(2) as pool:
        there = run((20, 40, 80), 3, executor=pool, path=path)
    here = run((20, 40, 80), 3)
    assert here.equals(there)
    assert here.loc[part.index].equals(part)
    monkeypatch.setattr(consistency, "fit_one", None)
    assert run((20, 40, 80), 3, path=path).equals(here)
    with pytest.raises(SpecError, match="another path"):
        consistency_study(LINE, ON_LINE, (20,), 1, inputs=stats.norm(), path=path, restarts=1, **QUIET)


def test_what_is_done_when_interrupted_is_kept():
    asked = iter(range(10))

    def inputs(rng, n):
        if n == 30 and next(asked) == 2:
            raise KeyboardInterrupt
        return rng.normal(size=n)

    found = consistency_study(LINE, ON_LINE, (30,), 5, inputs=inputs, restarts=1, **QUIET)
    assert found.interrupted
    assert len(found.replicates) == 2
    assert "interrupted" in found.message


def test_under_a_wrong_model_the_sandwich_is_right_and_wald_is_wrong(misspecified):
    # The line nearest to a parabola on [-3, 3] is its mean; the residual is the noise plus a variance of 36/5.
    assert misspecified.point["W1"].item() == pytest.approx(0, abs=1e-9)
    assert misspecified.point["b1"].item() == pytest.approx(3, rel=1e-6)
    table = misspecified.table
    assert stats.binom(60, 0.95).cdf(60 * table["sandwich"][800]) > 1e-3
    assert stats.binom(120, 0.95).cdf(120 * table["Wald"][800]) < 1e-9
    rows = misspecified.replicates.xs(800, level="n")
    residual = integrate.quad(lambda x: (x**2 - 3) ** 2 / 6, -3, 3)[0] + 0.2**2
    slope = integrate.quad(lambda x: (x**2 - 3) ** 2 * x**2 / 6, -3, 3)[0] / 3 + 0.2**2
    # The ratio is a sum of squares with these variances, in units of that of the noise.
    mean = (residual + slope) / 0.2**2
    sd = np.sqrt(2 * (residual**2 + slope**2)) / 0.2**2
    assert abs(rows["likelihood ratio"].mean() - mean) < 4 * sd / np.sqrt(len(rows))
    assert "pseudo-true" in misspecified.message
    assert np.isnan(table["efficiency"]).all()


def test_pseudo_true_numbers_have_their_noise_and_their_probabilities():
    learned = consistency_study(bnn.MLP(()), parabola, (50,), 1, inputs=EVEN, noise=0.2, restarts=1, **QUIET)
    assert learned.point["noise"] == pytest.approx(np.sqrt(36 / 5 + 0.04), rel=1e-5)

    def slope(x, f, w, mean):
        return x * (mean(f) - mean(w * x))

    for loss, mean in (("binary_cross_entropy", special.expit), ("poisson", np.exp)):
        net = bnn.MLP((), loss=loss, bias=False)
        found = consistency_study(net, lambda X: np.sign(X[:, 0]), (50,), 1, inputs=EVEN, restarts=1, **QUIET)
        w = found.point["W1"].item()
        sides = [integrate.quad(slope, *ends, args=(sign, w, mean))[0] for sign, ends in ((-1, (-3, 0)), (1, (0, 3)))]
        assert sum(sides) == pytest.approx(0, abs=1e-4)


def test_with_too_many_units_the_function_is_found_and_the_weights_are_not(singular):
    assert singular.information.rank == 4
    assert singular.slopes["function error"] == pytest.approx(-0.5, abs=0.25)
    assert singular.slopes["aligned"] > -0.2
    assert singular.table["Wald"][1600] < 0.9
    assert not within(singular.replicates["likelihood ratio"], stats.chi2(7 * 24))
    assert "singular (rank 4 of 7): the function is found, the weights are not" in singular.message


@pytest.mark.parametrize("activation", ["tanh", "sigmoid"])
def test_the_nearest_copy_is_found_from_any_other(activation):
    net = bnn.MLP((3,), activation, noise=0.2)
    rng = np.random.default_rng(2)
    at = {k: rng.normal(size=s) for k, s in net.shapes(2, 1).items()}
    for seed in range(5):
        moved = apply_symmetry(at, random_symmetry(net, seed, keep="likelihood"), net)
        back = nearest(moved, at, net)
        for name in at:
            assert_allclose(back[name], at[name], atol=1e-12)


def test_counts_and_ordered_labels_are_studied_too():
    for loss, more in (("poisson", {"b1": [0.5]}), ("ordinal", {"cutpoints": [-1.0, 1.0]})):
        found = consistency_study(
            bnn.MLP((), loss=loss), {"W1": [[0.4]], **more}, (200,), 15, inputs=EVEN, restarts=1, **QUIET
        )
        d = found.information.size
        assert within(found.replicates["likelihood ratio"], stats.chi2(15 * d))
        assert within(found.replicates["squared distance"], stats.chi2(15 * d))


def test_a_loss_with_kinks_has_intervals_of_the_expected_information():
    net = bnn.MLP((), loss="absolute_error", noise=0.2)
    found = consistency_study(net, ON_LINE, (400,), 12, inputs=EVEN, restarts=1, **QUIET)
    assert within(found.replicates["likelihood ratio"], stats.chi2(24))
    assert found.table["Wald"][400] >= stats.binom(12, 0.95).ppf(5e-4) / 12
    assert np.isnan(found.table["sandwich"][400])


def test_where_no_parameter_can_be_told_there_are_no_intervals():
    classes = {"W1": [[0.7, 0.1, -0.5]], "b1": [0.3, 0.0, 0.1]}
    found = consistency_study(bnn.MLP((), loss="cross_entropy"), classes, (200,), 2, inputs=EVEN, restarts=1, **QUIET)
    assert "singular (rank 4 of 6)" in found.message
    assert "no data set has a proper minimum" in found.message


def test_bad_arguments_are_refused():
    for changed, error, words in (
        ({"net": "MLP"}, SpecError, "must be a bnn.MLP"),
        ({"n_values": (100, 100)}, SpecError, "different sizes"),
        ({"n_values": 100}, SpecError, r"Write n_values=\(100, 400, 1600\)"),
        ({"replicates": 0}, SpecError, "replicates=60"),
        ({"inputs": 3}, SpecError, "frozen distribution"),
        ({"inputs": lambda rng, n: rng.normal(size=3)}, DataError, r"must be \(n, p\)"),
        ({"truth": {"W1": [[1.0]]}}, SpecError, "Got no b1"),
        ({"truth": {}}, SpecError, "without W1"),
        ({"truth": 3}, SpecError, "a dictionary of weights, or a function"),
        ({"noise": 0.3}, SpecError, "which have their own"),
        ({"truth": parabola, "net": bnn.MLP(())}, SpecError, "no noise to draw data with"),
        ({"truth": parabola, "net": bnn.MLP((), loss="huber")}, SpecError, "are found for 'squared_error'"),
        ({"truth": lambda X: X[:2, 0], "n_values": (50,)}, DataError, r"for 2000 rows|for 2 rows|\(n,\) or"),
        ({"executor": 2}, SpecError, "ProcessPoolExecutor"),
        ({"net": WIDE, "truth": WIDE_TRUTH}, SpecError, "symmetric copies, all of which are tried"),
    ):
        given = {"net": LINE, "truth": ON_LINE, "n_values": (20,), "replicates": 1, "inputs": EVEN} | changed
        net, truth, sizes, count = (given.pop(k) for k in ("net", "truth", "n_values", "replicates"))
        with pytest.raises(error, match=words):
            consistency_study(net, truth, sizes, count, **given, **QUIET)


def test_where_every_data_set_fails_it_is_said():
    rare = {"W1": [[0.1]], "b1": [-9.0]}
    with pytest.raises(FitError, match="All 2 data sets failed"):
        consistency_study(bnn.MLP((), loss="binary_cross_entropy"), rare, (5,), 2, inputs=EVEN, restarts=1, **QUIET)


def test_a_study_without_data_sets_says_so():
    def inputs(rng, n):
        if n == 30:
            raise KeyboardInterrupt
        return rng.normal(size=n)

    found = consistency_study(LINE, ON_LINE, (30,), 2, inputs=inputs, restarts=1, **QUIET)
    assert "No data set was fitted" in repr(found)
