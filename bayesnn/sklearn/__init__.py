"""The three answers as scikit-learn estimators: for pipelines, searches and cross-validation."""

from bayesnn.sklearn.classifier import MLPClassifier
from bayesnn.sklearn.regressor import MLPRegressor

__all__ = ["MLPClassifier", "MLPRegressor"]
