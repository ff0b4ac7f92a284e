"""What both estimators share: from scikit-learn's data and parameters to a fit, and back to inputs for it."""

from collections.abc import Sequence
from concurrent.futures import Executor
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_array, check_is_fitted, check_X_y, validate_data

from bayesnn.activations import Activation
from bayesnn.arguments import check_arguments, check_name
from bayesnn.data import Dataset, Scaling
from bayesnn.data.checks import some
from bayesnn.data.coding import Coding, needs_coding
from bayesnn.data.target import check_known
from bayesnn.errors import DataError, NoOptimumError, SpecError
from bayesnn.losses import Loss
from bayesnn.losses.table import LOSS_OF_TASK, as_loss
from bayesnn.network import MLP
from bayesnn.priors import InverseGamma, NoisePrior, Normal, Prior
from bayesnn.tree.problem import numbered

if TYPE_CHECKING:
    import xarray as xr

METHODS = ("mle", "map", "posterior")
_POINT = ("restarts", "maxiter", "nonexistent")
_CHAINS = ("draws", "tune", "chains", "cores", "sampler", "target_accept")


class _DataTypeError(DataError, TypeError):
    """Data of a type that scikit-learn's conventions want a TypeError for."""


class NetworkEstimator(BaseEstimator):
    """Parameters and data of `MLPRegressor` and `MLPClassifier`, where they are documented."""

    _tasks: tuple[str, ...]
    _other: str
    noise: float | NoisePrior | None = None

    def __init__(
        self,
        *,
        hidden: int | Sequence[int],
        activation: str | Activation,
        loss: str | Loss,
        prior: Prior | None,
        bias: bool,
        method: Literal["mle", "map", "posterior"],
        scaling: Scaling | Literal["standard", False] | None,
        restarts: int,
        maxiter: int,
        nonexistent: Literal["raise", "flag"],
        draws: int,
        tune: int | None,
        chains: int,
        cores: int | None,
        sampler: Literal["nutpie", "pymc", "numpyro", "tempering"],
        target_accept: float | None,
        progressbar: bool,
        random_state: int | np.random.RandomState | np.random.Generator | None,
    ) -> None:
        self.hidden = hidden
        self.activation = activation
        self.loss = loss
        self.prior = prior
        self.bias = bias
        self.method = method
        self.scaling = scaling
        self.restarts = restarts
        self.maxiter = maxiter
        self.nonexistent = nonexistent
        self.draws = draws
        self.tune = tune
        self.chains = chains
        self.cores = cores
        self.sampler = sampler
        self.target_accept = target_accept
        self.progressbar = progressbar
        self.random_state = random_state

    def _network(self, loss: str | Loss) -> MLP:
        """Make the network of the parameters; of a wrong one before the data are looked at."""
        check_name("method", self.method, METHODS)
        loss = as_loss(loss)
        if loss.task not in self._tasks:
            usual = LOSS_OF_TASK[self._tasks[0]]
            raise SpecError(
                f"Got loss={loss.name!r}, whose target is {loss.task!r}; {type(self).__name__} is for targets that are "
                f"{' or '.join(self._tasks)}. Write loss={usual!r}, or use {self._other}."
            )
        prior = Normal(1.0) if self.prior is None else self.prior
        noise = InverseGamma(1.0, 0.1) if self.noise is None and loss.has_noise else self.noise
        return MLP(self.hidden, self.activation, loss, noise, prior, self.bias)

    def _validated(self, X: Any, **rules: Any) -> Any:
        """Let scikit-learn check data: its rules, in this package's errors; columns that are no numbers are coded."""
        fitting = "y" in rules
        rules |= {"dtype": np.float64} | ({"ensure_min_samples": 2} if fitting else {})
        if fitting:
            self._coding = self._coding_of(X)
        try:
            if self._coding is None:
                return validate_data(self, X, reset=fitting, **rules)
            # Names and number of the columns are those before the coding.
            validate_data(self, X, rules.get("y", "no_validation"), reset=fitting, skip_check_array=True)
            X = self._coding.transform(X)
            return check_X_y(X, estimator=self, **rules) if fitting else check_array(X, estimator=self, **rules)
        except DataError:
            raise
        except (ValueError, TypeError) as error:
            kind = _DataTypeError if isinstance(error, TypeError) else DataError
            # For all else scikit-learn has the remedy.
            remedy = ""
            if "could not convert string" in str(error):
                remedy = " Pass a DataFrame, whose text is coded, or put sklearn.preprocessing.OneHotEncoder() before."
            raise kind(f"Got data that break a rule of scikit-learn's: {str(error).rstrip('.')}.{remedy}") from error

    @staticmethod
    def _coding_of(X):
        """How the columns of a table become numbers; None where they are numbers."""
        from bayesnn.data.tables import as_frame, is_frame

        frame = as_frame(X) if is_frame(X) else None
        if frame is None or not len(frame) or not needs_coding(frame):
            return None
        coding = Coding.fit(frame)
        return None if coding.is_plain else coding

    def _fit_tree(self, net: MLP, data: Dataset, executor: Executor | None) -> None:
        """Fit the network to data."""
        from bayesnn.fitting import fit_map, fit_mle, fit_posterior

        fit: Any = {"mle": fit_mle, "map": fit_map, "posterior": fit_posterior}[self.method]
        options: dict[str, Any] = {"scaling": self.scaling, "executor": executor, "progressbar": self.progressbar}
        if self.method == "posterior":
            options |= {name: getattr(self, name) for name in _CHAINS}
        else:
            # What compiles PyMC's model would take most of the time of a search over parameters.
            options |= {name: getattr(self, name) for name in _POINT} | {"finish": False}
        try:
            self.fit_: xr.DataTree = fit(net, data, random_seed=self._seed(), **options)
        except NoOptimumError as error:
            there = "map" if self.method == "mle" else "posterior"
            remedy = f"Of this estimator: {type(self).__name__}(method={there!r})."
            raise type(error)(f"{error} {remedy}", **error.numbers) from error

    def _seed(self):
        """Seed of a fit: a number or a Generator as it is, otherwise drawn as scikit-learn's estimators draw."""
        state = self.random_state
        if state is None or isinstance(state, np.random.RandomState):
            return int(check_random_state(state).randint(2**31 - 1))
        check_arguments(lambda _, value: f"random_state={value!r}", random_seed=state)
        return state

    def _repeated(self, sample_weight: Any, *arrays: np.ndarray) -> tuple[np.ndarray, ...]:
        """Repeat rows as often as their weights say, which is what scikit-learn means by a weight."""
        if sample_weight is None:
            return arrays
        try:
            counts = check_known("repeats", np.asarray(sample_weight), len(arrays[0])).astype(np.int64)
        except DataError as error:
            said = str(error).replace("repeats", "sample_weight")
            raise DataError(
                f"{said} To scikit-learn a weight is how many rows a row stands for, and not all may be zero; for a "
                "precision pass bnn.target(y, precision=...) as y."
            ) from error
        return tuple(np.repeat(array, counts, axis=0) for array in arrays)

    def _data(self, X: np.ndarray, y: np.ndarray, task: str, **more: Any) -> Dataset:
        """Name what was checked: the columns as scikit-learn has them, otherwise counted."""
        names = getattr(self, "feature_names_in_", numbered(X.shape[1]))
        features = tuple(map(str, names)) if self._coding is None else self._coding.feature_names
        constant = [name for name, size in zip(features, np.ptp(X, axis=0), strict=True) if size == 0]
        if constant and (self.bias or self.scaling == "standard"):
            raise DataError(
                f"Got constant feature columns {some(constant)} in the {len(X)} rows to fit; a feature must vary, or "
                "it repeats the bias. Drop these columns; in a pipeline, where the rows of a fold decide, put "
                "sklearn.feature_selection.VarianceThreshold() before this estimator."
            )
        return Dataset(X, y, None, None, X, feature_names=features, name="data", task=task, coding=self._coding, **more)

    def _predictions(self, X: Any, prob: float | None = None) -> "xr.Dataset":
        """Predict at new inputs."""
        from bayesnn.prediction import predict

        check_is_fitted(self)
        return predict(self.fit_, self._validated(X), prob=prob)

    def _log_density(self, X: Any, y: Any) -> np.ndarray:
        """Log predictive density of observations whose targets are coded as in the fit."""
        from bayesnn.prediction import predictive_log_density

        return predictive_log_density(self.fit_, self._validated(X), y)
