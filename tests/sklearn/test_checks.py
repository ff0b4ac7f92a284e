"""Scikit-learn's own checks of what an estimator is."""

import pytest
from sklearn.utils.estimator_checks import parametrize_with_checks

from bayesnn.sklearn import MLPClassifier, MLPRegressor

TINY = {
    # The data of the checks are so few that a network passes through them, or are of classes that a line separates:
    # "flag" predicts as the limit does. How limits are sought takes seconds where there are hidden units.
    "mle": {"hidden": (), "restarts": 2, "nonexistent": "flag"},
    "map": {"hidden": (2,), "restarts": 2},
    "posterior": {"hidden": (2,), "draws": 20, "tune": 50, "chains": 1, "cores": 1},
}


ORDER = "check_sample_weight_equivalence_on_dense_data"
"""Compares a fit to 15 rows with 30 columns with one to the same rows in another order, to seven digits."""


def inapplicable(estimator):
    """Checks that presuppose what is not so, and why."""
    if estimator.method == "posterior":
        return {ORDER: "draws are those of the posterior of the same rows, but others: rounding leads chains elsewhere"}
    if estimator.method == "mle" and isinstance(estimator, MLPRegressor):
        return {ORDER: "31 weights are not determined by 15 rows: there is no one MLE that both could be"}
    return {}


@parametrize_with_checks(
    [kind(method=method, **options) for kind in (MLPRegressor, MLPClassifier) for method, options in TINY.items()],
    expected_failed_checks=inapplicable,
    xfail_strict=True,
)
@pytest.mark.filterwarnings("ignore::bayesnn.errors.ConvergenceWarning")
def test_scikit_learns_checks_pass(estimator, check):
    check(estimator)
