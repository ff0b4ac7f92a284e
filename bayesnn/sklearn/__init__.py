"""The three answers as scikit-learn estimators: for pipelines, searches and cross-validation.

``fit_`` is the fit, so that all else of the package takes it: ``bnn.diagnose(model.fit_)``. A small fit takes some
hundredths of a second, while each process loads compiled code first: leave `n_jobs` of a search out unless its fits are
long.
"""

from bayesnn.sklearn.classifier import MLPClassifier
from bayesnn.sklearn.regressor import MLPRegressor

__all__ = ["MLPClassifier", "MLPRegressor"]
