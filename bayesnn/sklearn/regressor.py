"""Numbers and counts as a scikit-learn regressor."""

from collections.abc import Sequence
from concurrent.futures import Executor
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import RegressorMixin
from sklearn.utils.validation import check_is_fitted

from bayesnn.activations import Activation
from bayesnn.arguments import check_arguments
from bayesnn.data import Scaling
from bayesnn.data.target import joined, known_of, rates_of, values_of
from bayesnn.losses import LOSSES, Loss
from bayesnn.losses.regression import Location
from bayesnn.priors import NoisePrior, Prior
from bayesnn.sklearn.base import NetworkEstimator


class MLPRegressor(RegressorMixin, NetworkEstimator):
    r"""A network for numbers and counts, as a scikit-learn regressor.

    It is `bnn.fit_mle`, `bnn.fit_map` or `bnn.fit_posterior` on a `bnn.MLP`, as scikit-learn has it: in pipelines, in
    `GridSearchCV` and `cross_val_score`, cloned and pickled, with the column names of a DataFrame.

    Parameters
    ----------
    hidden : tuple of int
        Units in each hidden layer; ``()`` has none: with squared error ridge regression.
    activation : str or Activation
        As for `bnn.MLP`.
    loss : str or Loss
        Any loss of numbers or counts in ``bnn.LOSSES``, or one of yours.
    noise : float, NoisePrior or None
        Scale of the likelihood, in the units that the network works in. None learns it under
        ``bnn.InverseGamma(1.0, 0.1)``, which keeps it from zero, so that there is a MAP also where the network can pass
        through all targets. (A `bnn.MLP` without a noise has ``HalfNormal(1.0)``, which does not.)
    prior : Prior, optional
        Prior of the weights and biases; None is ``bnn.Normal(1.0)``. With ``method="mle"`` it takes no part.
    bias : bool
        Whether the layers have biases.
    method : {"map", "mle", "posterior"}
        Which of the three answers. "map" is the default because it is there for any data: an MLE may not exist
        (separated classes, a function that passes through the targets), and a posterior takes longer.
    scaling : "standard", None, False or bnn.Scaling
        ``"standard"`` standardises features and targets (not counts) by the training rows, and predictions come back in
        the units that were given; priors and noise are meant in the units that the network works in. None and False
        work in the units that were given.
    restarts, maxiter : int
        Random starts of "mle" and "map", and iterations of L-BFGS for each.
    nonexistent : {"raise", "flag"}
        What "mle" and "map" do where there is no maximum: raise `NoMLEError` or `NoMAPError`, or warn and predict as
        the limit that weights without bound tend to (without a limit, as the point at which the search ended).
    draws, tune, chains, cores, sampler, target_accept
        Of "posterior", as for `bnn.fit_posterior`. Those of other methods are not looked at, so that a search may have
        `method` among its parameters.
    progressbar : bool
        Show progress on standard error.
    random_state : int, numpy.random.Generator, numpy.random.RandomState or None
        What `bnn.fit_map` calls `random_seed`: a number or a Generator gives the very numbers that it gives there. Of a
        RandomState, or of NumPy's global one for None, a seed is drawn, as scikit-learn's own estimators do.

    Attributes
    ----------
    fit_ : xarray.DataTree
        The fit, for `bnn.diagnose`, `bnn.compare`, `bnn.plot_fits`, `bnn.save_fit` and all else that takes one.
    n_features_in_ : int
        Columns of `X`.
    feature_names_in_ : array of str
        Their names, where `X` was a DataFrame.

    See Also
    --------
    MLPClassifier : The same for labels.

    Notes
    -----
    Sparse matrices, missing values and several targets for a loss of one are refused. `score` is R², as for every
    regressor of scikit-learn; `predictive_log_density` also tells which of two fits knows better how sure it can be.

    Examples
    --------
    >>> import bayesnn as bnn
    >>> data = bnn.load_data("sine_gap", random_seed=1)
    >>> model = bnn.sklearn.MLPRegressor(hidden=(2,), noise=0.2, scaling=None, random_state=1).fit(data.X, data.y)
    >>> mean, std = model.predict([[0.0], [2.0]], return_std=True)
    >>> std.round(3)
    array([0.2, 0.2])
    >>> round(model.score(data.X, data.y), 2)
    0.93
    """

    _tasks = ("regression", "count")
    _other = "MLPClassifier"

    def __init__(
        self,
        *,
        hidden: int | Sequence[int] = (3,),
        activation: str | Activation = "tanh",
        loss: str | Loss = "squared_error",
        noise: float | NoisePrior | None = None,
        prior: Prior | None = None,
        bias: bool = True,
        method: Literal["mle", "map", "posterior"] = "map",
        scaling: Scaling | Literal["standard", False] | None = "standard",
        restarts: int = 20,
        maxiter: int = 2000,
        nonexistent: Literal["raise", "flag"] = "raise",
        draws: int = 1000,
        tune: int | None = None,
        chains: int = 4,
        cores: int | None = None,
        sampler: Literal["nutpie", "pymc", "numpyro", "tempering"] = "nutpie",
        target_accept: float | None = None,
        progressbar: bool = False,
        random_state: int | np.random.RandomState | np.random.Generator | None = None,
    ) -> None:
        super().__init__(
            hidden=hidden,
            activation=activation,
            loss=loss,
            prior=prior,
            bias=bias,
            method=method,
            scaling=scaling,
            restarts=restarts,
            maxiter=maxiter,
            nonexistent=nonexistent,
            draws=draws,
            tune=tune,
            chains=chains,
            cores=cores,
            sampler=sampler,
            target_accept=target_accept,
            progressbar=progressbar,
            random_state=random_state,
        )
        self.noise = noise

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = self._takes_several
        return tags

    @property
    def _takes_several(self):
        """Whether the loss is of several targets; a name that is none is told of by `fit`."""
        loss = LOSSES.get(self.loss) if isinstance(self.loss, str) else self.loss
        return isinstance(loss, Location)

    def fit(self, X: Any, y: Any, sample_weight: ArrayLike | None = None, *, executor: Executor | None = None) -> Self:
        """Fit the network.

        Parameters
        ----------
        X : array (n, p) or DataFrame
            Inputs. Text, categories and booleans of a DataFrame are coded, and the coding is kept in the fit; a level
            that no row has here is refused later on.
        y : array (n,) or (n, K)
            Targets: several, where the loss is a function of the residual. From `bnn.target` with what is known of the
            rows: exposure, trials or precision.
        sample_weight : array (n,) of int, optional
            How many rows each row stands for, all alike: whole numbers, for weights of other meanings are other
            likelihoods (see `bnn.target`).
        executor : concurrent.futures.Executor, optional
            Where starts or chains run, as for `bnn.fit_map`; the numbers are the same with any.

        Returns
        -------
        self
            The estimator, fitted.

        Raises
        ------
        DataError
            Data that break a rule; a constant column, which repeats the bias.
        SpecError
            A parameter that breaks one.
        NoMLEError, NoMAPError
            There is no maximum, and `nonexistent` is "raise".

        Warns
        -----
        ConvergenceWarning
            Numbers that are not to be trusted as they are.
        """
        net = self._network(self.loss)
        names, known, y = _target_names(y), known_of(y), values_of(y)
        X, y = self._validated(X, y=y, multi_output=self._takes_several, y_numeric=True)
        self._column = y.ndim == 1
        names = names if len(names) == y[:1].size else tuple(f"y{k + 1}" for k in range(y.shape[1]))
        X, y = self._repeated(sample_weight, X, joined({"y": y, **known}))
        data = self._data(X, y, net.loss.task, target_names=names, class_names=None)
        self._fit_tree(net, data, executor)
        return self

    def predict(self, X: Any, return_std: bool = False) -> np.ndarray | tuple[np.ndarray, np.ndarray]:
        """Predict the mean of a new target (the median, where the likelihood has no mean).

        Parameters
        ----------
        X : array (n, p) or DataFrame
            Inputs. What may be known of a row (exposure, trials, precision) is taken to be 1.
        return_std : bool
            Whether to give the standard deviation too.

        Returns
        -------
        mean : array (n,) or (n, K)
            In the units and the shape of `y`.
        std : array (n,) or (n, K)
            Of a new target, with `return_std`: the noise and, of a posterior, the spread of the function over the
            draws. `bnn.predict(model.fit_, X)` gives the two apart. Infinite where the likelihood has no variance.

        Raises
        ------
        DataError
            Data that break a rule.
        sklearn.exceptions.NotFittedError
            Nothing was fitted yet.
        """
        from bayesnn.prediction import centre_of

        found = self._predictions(X)
        centre = self._shaped(found[centre_of(found)])
        return (centre, self._shaped(np.sqrt(found["variance_total"]))) if return_std else centre

    def predict_interval(self, X: Any, prob: float = 0.9) -> tuple[np.ndarray, np.ndarray]:
        """Predict intervals that hold a new target with a given probability, with equal tails.

        Parameters
        ----------
        X : array (n, p) or DataFrame
            Inputs.
        prob : float
            The probability.

        Returns
        -------
        lower, upper : array (n,) or (n, K)
            In the units of `y`. With a loss for the quantile q the upper end at prob = 2q - 1 (or the lower end at
            1 - 2q) is that quantile.

        Raises
        ------
        DataError, SpecError
            Data, or a probability, that break a rule.
        sklearn.exceptions.NotFittedError
            Nothing was fitted yet.

        Examples
        --------
        >>> import bayesnn as bnn
        >>> model = bnn.sklearn.MLPRegressor(hidden=(), noise=0.3, scaling=None, random_state=1)
        >>> lower, upper = model.fit([[-1.0], [0.0], [1.0]], [-0.7, 0.1, 0.8]).predict_interval([[0.0]], prob=0.95)
        >>> round(float(upper[0] - lower[0]), 3)  # 2 * 1.96 * 0.3
        1.176
        """
        check_arguments(prob=prob)
        found = self._predictions(X, prob)
        return self._shaped(found["lower"]), self._shaped(found["upper"])

    def score(self, X: Any, y: Any, sample_weight: ArrayLike | None = None) -> float:
        """Share of the targets' variance that the prediction takes away, R².

        Parameters
        ----------
        X : array (n, p) or DataFrame
            Inputs.
        y : array (n,) or (n, K)
            Targets; counts from `bnn.target` are divided by their exposure or trials.
        sample_weight : array (n,), optional
            Weights of the rows.

        Returns
        -------
        float
            1 at best, 0 for the mean of `y`.

        Raises
        ------
        DataError
            Data that break a rule.
        sklearn.exceptions.NotFittedError
            Nothing was fitted yet.
        """
        return super().score(X, rates_of(y), sample_weight)

    def predictive_log_density(self, X: Any, y: ArrayLike) -> np.ndarray:
        """Log density of observations under the predictive distribution; its mean is the LPPD.

        Parameters
        ----------
        X : array (n, p) or DataFrame
            Inputs.
        y : array (n,) or (n, K)
            Targets, from `bnn.target` where those of the fit were.

        Returns
        -------
        array (n,)
            Natural logarithms, of densities in the units of `y`.

        Raises
        ------
        DataError
            Data that break a rule.
        sklearn.exceptions.NotFittedError
            Nothing was fitted yet.

        Examples
        --------
        What a search is to maximise where the spread matters, not the mean alone:

        >>> def lppd(model, X, y):
        ...     return model.predictive_log_density(X, y).mean()

        as in ``GridSearchCV(model, {"hidden": [(2,), (8,)]}, scoring=lppd)``.
        """
        check_is_fitted(self)
        return self._log_density(X, y)

    def _shaped(self, values):
        """Numbers (n,) or (n, K), as the targets of the fit."""
        values = values.to_numpy()
        return values[:, 0] if self._column else values


def _target_names(y):
    """Names of a Series or of a frame's columns; of an array the usual one."""
    if hasattr(y, "columns"):
        return tuple(map(str, y.columns))
    name = getattr(y, "name", None)
    return ("y" if name is None else str(name),)
