"""The estimators: the numbers of the fits they stand for, scikit-learn's models as oracles, its tools around them."""

import pickle
from concurrent.futures import ThreadPoolExecutor

import joblib
import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import stats
from sklearn.base import clone
from sklearn.exceptions import FitFailedWarning, NotFittedError
from sklearn.feature_selection import VarianceThreshold
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import DotProduct
from sklearn.linear_model import LogisticRegression, PoissonRegressor, Ridge
from sklearn.metrics import r2_score
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import bayesnn as bnn
from bayesnn.errors import ConvergenceWarning, DataError, NoMAPError, NoMLEError, SpecError, UnknownNameError
from bayesnn.sklearn import MLPClassifier, MLPRegressor

FREE_BIAS = bnn.Normal(1.0, bias=bnn.Flat())
QUICK = {"restarts": 2, "draws": 30, "tune": 50, "chains": 1, "cores": 1, "random_state": 1}


@pytest.fixture(scope="module")
def plane():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(40, 3))
    return X, X @ [1.0, -0.5, 0.2] + 0.3 + 0.3 * rng.normal(size=40)


@pytest.fixture(scope="module")
def thirds(plane):
    """Three classes that overlap."""
    X, y = plane
    return X, np.digitize(y + np.random.default_rng(1).normal(size=len(y)), [-0.4, 0.9])


@pytest.mark.parametrize(
    ("method", "fit", "options"),
    [
        ("mle", bnn.fit_mle, {"restarts": 2}),
        ("map", bnn.fit_map, {"restarts": 2}),
        ("posterior", bnn.fit_posterior, {"draws": 30, "tune": 50, "chains": 2, "cores": 1}),
    ],
)
@pytest.mark.filterwarnings("ignore::bayesnn.errors.ConvergenceWarning")
def test_the_numbers_are_those_of_the_fit_that_it_stands_for(sine, sine_net, method, fit, options):
    model = MLPRegressor(hidden=(2,), noise=0.2, method=method, random_state=3, **options).fit(sine.X, sine.y)
    direct = fit(sine_net, sine.X, sine.y, scaling="standard", random_seed=3, progressbar=False, **options)
    found = bnn.predict(direct, sine.X_test)
    mean, std = model.predict(sine.X_test, return_std=True)
    assert_allclose(mean, found["mean"][:, 0], rtol=1e-9)
    assert_allclose(std, np.sqrt(found["variance_total"][:, 0]), rtol=1e-9)
    ends = np.transpose(model.predict_interval(sine.X_test))
    assert_allclose(ends, np.column_stack([found["lower"], found["upper"]]), rtol=1e-6)
    lppd = model.predictive_log_density(sine.X_test, sine.y_test).mean()
    assert lppd == pytest.approx(bnn.score(direct, sine.X_test, sine.y_test)["lppd"], rel=1e-9)
    assert bnn.compare(model.fit_, direct).shape[1] == 2


def test_without_hidden_layers_the_map_is_ridge_regression(plane):
    X, y = plane
    model = MLPRegressor(hidden=(), noise=0.5, prior=FREE_BIAS, scaling=None, restarts=2, random_state=1).fit(X, y)
    # Loss / (2 noise**2) + weights**2 / (2 sd**2).
    assert_allclose(model.predict(X), Ridge(alpha=0.25).fit(X, y).predict(X), rtol=1e-7)
    assert not np.allclose(model.predict(X), Ridge(alpha=0.5).fit(X, y).predict(X), rtol=1e-4)
    assert model.score(X, y) == pytest.approx(Ridge(alpha=0.25).fit(X, y).score(X, y))


@pytest.mark.parametrize("classes", [2, 3])
def test_without_hidden_layers_the_map_is_logistic_regression(thirds, classes):
    X, y = thirds[0], np.minimum(thirds[1], classes - 1)
    prior = bnn.Normal(0.7, bias=bnn.Flat())
    model = MLPClassifier(hidden=(), prior=prior, scaling=None, restarts=2, random_state=1).fit(X, y)
    peer = LogisticRegression(C=0.49, tol=1e-10, max_iter=10_000).fit(X, y)
    assert_allclose(model.predict_proba(X), peer.predict_proba(X), atol=1e-6)
    assert not np.allclose(model.predict_proba(X), LogisticRegression(C=1).fit(X, y).predict_proba(X), atol=1e-3)
    assert_array_equal(model.predict(X), peer.predict(X))
    assert model.score(X, y) == peer.score(X, y)
    assert_allclose(model.predictive_log_density(X, y), np.log(peer.predict_proba(X))[range(len(y)), y], atol=1e-5)


def test_the_posterior_of_a_plane_is_that_of_the_process_with_its_kernel(plane):
    X, y = plane
    at = [[0.0, 0.0, 0.0], [4.0, -4.0, 4.0]]
    peer = GaussianProcessRegressor(DotProduct(1.0, "fixed"), alpha=0.09).fit(X, y)
    mean, sd = peer.predict(at, return_std=True)
    model = MLPRegressor(hidden=(), noise=0.3, scaling=None, method="posterior", random_state=1).fit(X, y)
    found, std = model.predict(at, return_std=True)
    assert_allclose(found, mean, atol=0.02)
    # Of a new target: the noise is in it.
    assert_allclose(std, np.sqrt(sd**2 + 0.09), rtol=0.02)
    assert not np.allclose(std, sd, rtol=0.02)
    lower, upper = model.predict_interval(at, 0.95)
    assert_allclose(upper - lower, 2 * 1.959964 * np.sqrt(sd**2 + 0.09), rtol=0.03)


def test_names_of_a_frame_are_those_of_the_fit(plane, tmp_path):
    X, y = plane
    frame, target = pd.DataFrame(X, columns=["age", "bmi", "bp"]), pd.Series(y, name="progression")
    model = MLPRegressor(hidden=(2,), **QUICK).fit(frame, target)
    assert model.fit_["posterior"]["feature"].to_numpy().tolist() == ["age", "bmi", "bp"]
    assert bnn.predict(model.fit_, frame)["output"].to_numpy().tolist() == ["progression"]
    assert_array_equal(model.feature_names_in_, frame.columns)
    again = bnn.load_fit(bnn.save_fit(model.fit_, tmp_path / "fit.nc"))
    # Read back, it takes columns by name.
    assert_allclose(bnn.predict(again, frame[["bp", "age", "bmi"]])["mean"][:, 0], model.predict(frame), rtol=1e-12)
    with pytest.raises(DataError, match=r"feature names should match"):
        model.predict(frame[["bp", "age", "bmi"]])


def test_text_in_a_frame_is_coded_and_the_coding_travels(plane):
    X, y = plane
    kind = np.array(["red", "blue", "green"])[np.arange(len(y)) % 3]
    frame = pd.DataFrame({"size": X[:, 0], "colour": kind, "new": X[:, 1] > 0})
    model = MLPRegressor(hidden=(), noise=0.5, prior=FREE_BIAS, scaling=None, **QUICK).fit(frame, y)
    coded = np.column_stack([X[:, 0], kind == "green", kind == "red", X[:, 1] > 0])
    assert_allclose(model.predict(frame), Ridge(alpha=0.25).fit(coded, y).predict(coded), rtol=1e-7)
    assert model.n_features_in_ == 3
    assert_array_equal(model.feature_names_in_, ["size", "colour", "new"])
    assert_allclose(bnn.predict(model.fit_, frame)["mean"][:, 0], model.predict(frame))
    assert_allclose(pickle.loads(pickle.dumps(model)).predict(frame[:3]), model.predict(frame[:3]))
    with pytest.raises(DataError, match="Got 'pink' in 'colour'"):
        model.predict(frame[:1].assign(colour="pink"))
    with pytest.raises(DataError, match="feature names should match"):
        model.predict(frame[["colour", "size", "new"]])
    with pytest.raises(DataError, match="requires y"):
        model.fit(frame, None)
    # Numbers after text: nothing is left of the coding.
    assert model.fit(X, y).predict(X).shape == y.shape


def test_chains_are_diagnosed(sine):
    model = MLPRegressor(hidden=(), method="posterior", draws=200, tune=300, chains=2, cores=1, random_state=1)
    model.fit(pd.DataFrame(sine.X, columns=["dose"]), sine.y)
    assert "R-hat" in str(bnn.diagnose(model.fit_))
    assert bnn.plot_fits(model.fit_)[0].get_xlabel() == "dose"


@pytest.mark.parametrize("labels", [["x", "z", "a"], [30, 10, 20], [2.0, 4.0, 3.0]])
def test_classes_are_of_the_type_in_which_they_were_given(thirds, labels):
    X, y = thirds
    given = np.array(labels)[y]
    model = MLPClassifier(hidden=(), **QUICK).fit(X, given)
    assert model.classes_.tolist() == sorted(labels)
    assert model.predict(X).dtype == given.dtype
    plain = MLPClassifier(hidden=(), **QUICK).fit(X, y)
    assert_allclose(model.predict_proba(X)[:, np.argsort(np.argsort(labels))], plain.predict_proba(X), atol=1e-6)
    assert bnn.predict(model.fit_, X)["class"].to_numpy().tolist() == [str(k) for k in sorted(labels)]
    assert_allclose(np.exp(model.predict_log_proba(X)), model.predict_proba(X))


def test_two_classes_take_the_binary_loss_unless_another_was_made(thirds):
    X, y = thirds[0], thirds[1] > 0
    losses = {
        "cross_entropy": "binary_cross_entropy",
        "binary_cross_entropy": "binary_cross_entropy",
        bnn.losses.CrossEntropy(): "cross_entropy",
        "ordinal": "ordinal",
    }
    for loss, taken in losses.items():
        model = MLPClassifier(hidden=(), loss=loss, **QUICK).fit(X, y)
        assert bnn.tree.problem_of(model.fit_).net.loss.name == taken
        assert model.predict(X).dtype == bool


def test_several_targets(plane):
    X, y = plane
    Y = pd.DataFrame({"up": y, "down": -2 * y})
    model = MLPRegressor(hidden=(), noise=0.3, **QUICK).fit(X, Y)
    mean, std = model.predict(X, return_std=True)
    assert mean.shape == std.shape == Y.shape
    assert_allclose(mean[:, 1], -2 * mean[:, 0], rtol=1e-6)
    assert_allclose(std[0], 0.3 * Y.std(ddof=0))
    assert bnn.predict(model.fit_)["output"].to_numpy().tolist() == ["up", "down"]
    one = MLPRegressor(hidden=(), noise=0.3, **QUICK).fit(X, y[:, None])
    assert one.predict(X).shape == (40, 1)
    assert_allclose(one.predict(X)[:, 0], mean[:, 0], rtol=1e-6)


def test_counts_have_their_own_spread(plane):
    X = plane[0]
    y = np.random.default_rng(2).poisson(np.exp(1 + 0.5 * X[:, 0]))
    model = MLPRegressor(hidden=(), loss="poisson", **QUICK).fit(X, y)
    mean, std = model.predict(X, return_std=True)
    assert_allclose(std**2, mean)
    lower, upper = model.predict_interval(X)
    assert_allclose(upper, stats.poisson(mean).ppf(0.95))
    assert_allclose(lower, stats.poisson(mean).ppf(0.05))
    with pytest.raises(DataError, match="counts"):
        MLPRegressor(hidden=(), loss="poisson", **QUICK).fit(X, y - 5)


def test_a_weight_is_a_number_of_rows(plane, thirds):
    X, y = plane
    weights = np.random.default_rng(3).integers(0, 4, len(y))
    model = MLPRegressor(hidden=(), noise=0.5, prior=FREE_BIAS, scaling=None, **QUICK).fit(X, y, weights)
    assert_allclose(model.predict(X), Ridge(alpha=0.25).fit(X, y, weights).predict(X), rtol=1e-7)
    assert not np.allclose(model.predict(X), Ridge(alpha=0.25).fit(X, y).predict(X), rtol=1e-3)
    labels = MLPClassifier(hidden=(), prior=FREE_BIAS, scaling=None, **QUICK).fit(*thirds, sample_weight=weights)
    peer = LogisticRegression(tol=1e-10, max_iter=10_000).fit(*thirds, sample_weight=weights)
    assert_allclose(labels.predict_proba(X), peer.predict_proba(X), atol=1e-6)
    drawn = [MLPRegressor(hidden=(), method="posterior", **QUICK) for _ in range(2)]
    drawn[0].fit(X, y, weights)
    drawn[1].fit(np.repeat(X, weights, axis=0), np.repeat(y, weights))
    assert_array_equal(drawn[0].predict(X), drawn[1].predict(X))
    for wrong in (weights / 2, -weights, weights[1:]):
        with pytest.raises(DataError, match=r"^Got sample_weight.* how many rows a row stands for"):
            model.fit(X, y, sample_weight=wrong)


def test_counts_with_their_exposure(plane):
    X = plane[0]
    exposure = np.random.default_rng(4).uniform(0.5, 3.0, len(X))
    y = np.random.default_rng(2).poisson(exposure * np.exp(1 + 0.5 * X[:, 0]))
    target = bnn.target(y, exposure=exposure)
    peer = PoissonRegressor(alpha=1 / exposure.sum(), tol=1e-10).fit(X, y / exposure, exposure)
    model = MLPRegressor(hidden=(), loss="poisson", prior=FREE_BIAS, scaling=None, **QUICK).fit(X, target)
    assert_allclose(model.predict(X), peer.predict(X), rtol=1e-5)
    assert model.score(X, target) == pytest.approx(r2_score(y / exposure, peer.predict(X)), rel=1e-4)
    expected = stats.poisson(exposure * peer.predict(X)).logpmf(y)
    assert_allclose(model.predictive_log_density(X, target), expected, atol=1e-3)
    assert (cross_val_score(model, X, target, cv=2) > 0).all()


def test_a_quantile_is_the_end_of_an_interval(plane):
    X, y = plane
    model = MLPRegressor(hidden=(), loss=bnn.losses.Quantile(0.9), scaling=None, **QUICK).fit(X, y)
    b, W = (model.fit_["posterior"][name].to_numpy()[0, 0] for name in ("b1", "W1"))
    assert_allclose(model.predict_interval(X, 0.8)[1], (X @ W + b)[:, 0], atol=1e-6)


def test_search_and_cross_validation(plane):
    X, y = plane
    frame = pd.DataFrame(X, columns=["a", "b", "c"]).assign(still=1.0)

    def lppd(model, X, y):
        return model[-1].predictive_log_density(model[:-1].transform(X), y).mean()

    pipe = make_pipeline(VarianceThreshold(), StandardScaler(), MLPRegressor(noise=0.3, scaling=None, **QUICK))
    grid = {"mlpregressor__hidden": [(), (2,)], "mlpregressor__prior": [bnn.Normal(1.0), bnn.Normal(0.01)]}
    search = GridSearchCV(pipe, grid, cv=2, scoring=lppd).fit(frame, y)
    assert search.best_params_["mlpregressor__prior"] == bnn.Normal(1.0)
    assert search.best_estimator_.score(frame, y) > 0.5
    assert (cross_val_score(pipe.set_params(mlpregressor__hidden=()), frame, y, cv=3) > 0.3).all()
    with pytest.raises(DataError, match=r"columns 'still' in the 40 rows.*VarianceThreshold\(\)"):
        MLPRegressor(**QUICK).fit(frame, y)


def test_a_fit_that_fails_in_a_search_scores_nothing_and_the_others_go_on(plane):
    X, y = plane[0], (plane[1] > 0.3).astype(int)
    X = np.column_stack([X, y])
    search = GridSearchCV(MLPClassifier(hidden=(), **QUICK), {"method": ["mle", "map"]}, cv=2, error_score=0.0)
    with pytest.warns(FitFailedWarning, match="NoMLEError: No MLE exists"):
        search.fit(X, y)
    assert search.best_params_ == {"method": "map"}


def test_clones_and_copies_are_whole(thirds):
    X, y = thirds
    model = MLPClassifier(hidden=(2,), prior=bnn.Normal(2.0), **QUICK)
    assert clone(model).get_params() == model.get_params()
    model.fit(X, y)
    assert not hasattr(clone(model), "fit_")
    assert_array_equal(pickle.loads(pickle.dumps(model)).predict_proba(X), model.predict_proba(X))


def test_what_is_ones_own_is_cloned_and_pickled(plane):
    softsign = bnn.Activation("softsign", lambda z: z / (1 + abs(z)))
    logcosh = bnn.losses.ResidualLoss("logcosh", lambda u: np.log(np.cosh(u)))
    model = clone(MLPRegressor(hidden=(1,), activation=softsign, loss=logcosh, **QUICK)).fit(*plane)
    assert_array_equal(pickle.loads(pickle.dumps(model)).predict(plane[0]), model.predict(plane[0]))


def test_any_executor_gives_the_same_numbers(plane):
    X, y = plane
    with ThreadPoolExecutor(2) as pool:
        there = MLPRegressor(hidden=(2,), **QUICK).fit(X, y, executor=pool)
    assert_array_equal(there.predict(X), MLPRegressor(hidden=(2,), **QUICK).fit(X, y).predict(X))


def test_a_model_in_a_file_predicts(plane, tmp_path):
    X, y = plane
    model = MLPRegressor(hidden=(2,), method="posterior", **QUICK).fit(X, y)
    joblib.dump(model, tmp_path / "model.joblib")
    again = joblib.load(tmp_path / "model.joblib", mmap_mode="r")
    assert_array_equal(again.predict(X), model.predict(X))


def test_seeds(plane):
    X, y = plane

    def weights(state):
        model = MLPRegressor(hidden=(2,), restarts=1, random_state=state).fit(X, y)
        return model.fit_["optima"]["W1"].to_numpy()

    assert_array_equal(weights(1), weights(1))
    assert_array_equal(weights(np.random.RandomState(5)), weights(np.random.RandomState(5)))
    assert_array_equal(weights(np.random.default_rng(5)), weights(np.random.default_rng(5)))
    state = np.random.RandomState(5)
    assert not np.array_equal(weights(state), weights(state))
    np.random.seed(3)  # noqa: NPY002  (what scikit-learn's None means)
    first = weights(None)
    np.random.seed(3)  # noqa: NPY002
    assert_array_equal(weights(None), first)
    assert not np.array_equal(weights(None), first)
    with pytest.raises(SpecError, match=r"Got random_state=-1; it must be"):
        weights(-1)


def test_no_maximum_is_told_in_terms_of_the_estimator():
    X, y = [[-2.0], [-1.0], [0.5], [1.0], [2.0]], ["a", "a", "b", "b", "b"]
    model = MLPClassifier(hidden=(), method="mle", **QUICK)
    with pytest.raises(NoMLEError, match=r"separated.*MLPClassifier\(method='map'\)") as caught:
        model.fit(X, y)
    assert caught.value.smallest_margin > 0
    with pytest.warns(ConvergenceWarning, match="No MLE exists"):
        model.set_params(nonexistent="flag").fit(X, y)
    assert_allclose(model.predict_proba(X)[:, 1], [0, 0, 1, 1, 1], atol=1e-6)
    through = MLPRegressor(hidden=(), noise=bnn.HalfNormal(1.0), **QUICK)
    with pytest.raises(NoMAPError, match=r"MLPRegressor\(method='posterior'\)"):
        through.set_params(prior=bnn.Normal(1.0, bias=bnn.Flat())).fit([[0.0], [1.0]], [0.0, 1.0])
    # The default noise keeps from zero.
    assert np.isfinite(through.set_params(noise=None).fit([[0.0], [1.0]], [0.0, 1.0]).predict([[0.5]])).all()


GOOD = {"X": [[0.0], [1.0], [2.0]], "y": [0, 1, 1]}


@pytest.mark.parametrize(
    ("kind", "parameters", "data", "error", "match"),
    [
        (MLPRegressor, {"method": "mcmc"}, {}, UnknownNameError, "method 'mcmc'; known are 'mle', 'map'"),
        (MLPRegressor, {"loss": "cross_entropy"}, {}, SpecError, "MLPRegressor is for .*MLPClassifier"),
        (MLPClassifier, {"loss": "huber"}, {}, SpecError, "loss='cross_entropy', or use MLPRegressor"),
        (MLPRegressor, {"loss": "hubr"}, {}, UnknownNameError, "Did you mean 'huber'"),
        (MLPRegressor, {"hidden": (0,)}, {}, SpecError, "hidden"),
        (MLPRegressor, {"restarts": 0}, {}, SpecError, "restarts=0"),
        (MLPRegressor, {"method": "posterior", "draws": 0}, {}, SpecError, "draws=0"),
        (MLPRegressor, {"scaling": "minmax"}, {}, SpecError, "scaling='minmax'"),
        (MLPRegressor, {"noise": -1.0}, {}, SpecError, "noise=-1"),
        (MLPRegressor, {}, {"X": [[0.0], [np.nan], [1.0]]}, DataError, "NaN"),
        (MLPRegressor, {}, {"X": [0.0, 1.0, 2.0]}, DataError, "reshape"),
        (MLPRegressor, {}, {"y": [0.0, 1.0]}, DataError, "inconsistent"),
        (MLPRegressor, {}, {"y": None}, DataError, "requires y"),
        (MLPRegressor, {}, {"y": [1.0, 1.0, 1.0]}, DataError, "target"),
        (MLPRegressor, {"loss": "poisson"}, {"y": [[0, 1], [1, 2], [0, 1]]}, DataError, "1d array"),
        (MLPClassifier, {}, {"y": [1, 1, 1]}, DataError, "one class"),
        (MLPClassifier, {}, {"y": [0.1, 0.7, 0.2]}, DataError, "labels.*continuous"),
        (MLPClassifier, {"loss": "binary_cross_entropy"}, {"y": [0, 1, 2]}, DataError, "loss='cross_entropy'"),
        (MLPClassifier, {"hidden": ()}, {"X": [["a"], ["b"], ["c"]]}, DataError, "convert string.*OneHotEncoder"),
    ],
)
def test_bad_input_has_a_named_error(kind, parameters, data, error, match):
    with pytest.raises(error, match=rf"(?s)^Got .*{match}"):
        kind(**QUICK | parameters).fit(**GOOD | data)


def test_labels_that_were_not_seen_and_models_that_were_not_fitted(thirds):
    X, y = thirds
    model = MLPClassifier(hidden=(), **QUICK)
    for use in (
        model.predict,
        model.predict_proba,
        lambda X: model.predictive_log_density(X, y),
        MLPRegressor().predict,
    ):
        with pytest.raises(NotFittedError):
            use(X)
    model.fit(X, y)
    with pytest.raises(DataError, match=r"Got the labels '7'; the fit knows '0', '1', '2'"):
        model.predictive_log_density(X[:1], [7])
    with pytest.raises(DataError, match="3 features"):
        model.predict(X[:, :2])
    with pytest.raises(SpecError, match=r"Got prob=2"):
        MLPRegressor(hidden=(), **QUICK).fit(X, X[:, 0] ** 2).predict_interval(X, prob=2)
