"""Labels as a scikit-learn classifier."""

from collections.abc import Sequence
from concurrent.futures import Executor
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import ClassifierMixin
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted

from bayesnn.activations import Activation
from bayesnn.data import Scaling
from bayesnn.data.checks import some
from bayesnn.errors import DataError
from bayesnn.losses import Loss
from bayesnn.priors import Prior
from bayesnn.sklearn.base import NetworkEstimator


class MLPClassifier(ClassifierMixin, NetworkEstimator):
    r"""A network for labels, as a scikit-learn classifier.

    It is `bnn.fit_mle`, `bnn.fit_map` or `bnn.fit_posterior` on a `bnn.MLP`, as scikit-learn has it: in pipelines, in
    `GridSearchCV` and `cross_val_score`, cloned and pickled, with the column names of a DataFrame.

    Parameters
    ----------
    hidden : tuple of int
        Units in each hidden layer; ``()`` has none: logistic regression.
    activation : str or Activation
        As for `bnn.MLP`.
    loss : str or Loss
        A loss of labels. ``"cross_entropy"`` is the binary one where there are two classes; for a softmax of two
        outputs pass ``bnn.losses.CrossEntropy()``. ``"ordinal"`` takes the classes in sorted order as ranks.
    prior : Prior, optional
        Prior of the weights and biases; None is ``bnn.Normal(1.0)``. With ``method="mle"`` it takes no part.
    bias : bool
        Whether the layers have biases.
    method : {"map", "mle", "posterior"}
        Which of the three answers. "map" is the default because it is there for any data: an MLE may not exist
        (separated classes, a function that passes through the targets), and a posterior takes longer.
    scaling : "standard", None, False or bnn.Scaling
        ``"standard"`` standardises features by the training rows; priors are meant in the units that the network works
        in. None and False work in the units that were given.
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
    classes_ : array
        The labels, sorted, of the type in which they were given.
    n_features_in_ : int
        Columns of `X`.
    feature_names_in_ : array of str
        Their names, where `X` was a DataFrame.

    See Also
    --------
    MLPRegressor : The same for numbers.

    Examples
    --------
    >>> import bayesnn as bnn
    >>> X, y = [[-2.0], [-1.0], [0.5], [1.0], [2.0]], ["no", "yes", "no", "yes", "yes"]
    >>> model = bnn.sklearn.MLPClassifier(hidden=(), random_state=1).fit(X, y)
    >>> model.predict([[-3.0], [3.0]]).tolist()
    ['no', 'yes']
    >>> model.predict_proba([[3.0]]).round(2)
    array([[0.21, 0.79]])

    Labels that a line separates have no maximum likelihood:

    >>> model.set_params(method="mle").fit(X, ["no", "no", "yes", "yes", "yes"])
    Traceback (most recent call last):
        ...
    bayesnn.errors.NoMLEError: No MLE exists: the classes are completely separated: ...
    """

    _tasks = ("classes", "binary", "ordinal")
    _other = "MLPRegressor"

    def __init__(
        self,
        *,
        hidden: int | Sequence[int] = (3,),
        activation: str | Activation = "tanh",
        loss: str | Loss = "cross_entropy",
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

    def fit(self, X: Any, y: Any, sample_weight: ArrayLike | None = None, *, executor: Executor | None = None) -> Self:
        """Fit the network.

        Parameters
        ----------
        X : array (n, p) or DataFrame
            Inputs. Text, categories and booleans of a DataFrame are coded, and the coding is kept in the fit; a level
            that no row has here is refused later on.
        y : array (n,)
            Labels of any type: numbers, strings, booleans.
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
            Data that break a rule; a single class; a constant column, which repeats the bias.
        SpecError
            A parameter that breaks one.
        NoMLEError, NoMAPError
            There is no maximum, and `nonexistent` is "raise".

        Warns
        -----
        ConvergenceWarning
            Numbers that are not to be trusted as they are.
        """
        self._network(self.loss)
        name = getattr(y, "name", None)
        X, y = self._validated(X, y=y)
        try:
            check_classification_targets(y)
        except ValueError as error:
            raise DataError(f"Got y of numbers that are no labels: {error}") from error
        X, y = self._repeated(sample_weight, X, y)
        self.classes_, labels = np.unique(y, return_inverse=True)
        if len(self.classes_) < 2:
            raise DataError(
                f"Got y with one class, {self.classes_[0]!r}; a classifier needs two or more. Check how the rows were "
                "selected: cross-validation keeps the classes together with StratifiedKFold."
            )
        # An instance is taken at its word, as everywhere.
        binary = isinstance(self.loss, str) and self.loss == "cross_entropy" and len(self.classes_) == 2
        net = self._network("binary_cross_entropy" if binary else self.loss)
        data = self._data(
            X,
            labels,
            net.loss.task,
            target_names=("y" if name is None else str(name),),
            class_names=tuple(map(str, self.classes_)),
        )
        self._fit_tree(net, data, executor)
        return self

    def predict(self, X: Any) -> np.ndarray:
        """Predict the most probable label.

        Parameters
        ----------
        X : array (n, p) or DataFrame
            Inputs.

        Returns
        -------
        array (n,)
            Of `classes_`.

        Raises
        ------
        DataError
            Data that break a rule.
        sklearn.exceptions.NotFittedError
            Nothing was fitted yet.
        """
        labels = self._predictions(X)["label"].to_numpy()
        return self.classes_[labels]

    def predict_proba(self, X: Any) -> np.ndarray:
        """Predict the probability of each class: of a posterior the mean over its draws.

        Parameters
        ----------
        X : array (n, p) or DataFrame
            Inputs.

        Returns
        -------
        array (n, K)
            In the order of `classes_`.

        Raises
        ------
        DataError
            Data that break a rule.
        sklearn.exceptions.NotFittedError
            Nothing was fitted yet.
        """
        return self._predictions(X)["probability"].to_numpy()

    def predict_log_proba(self, X: Any) -> np.ndarray:
        """Predict the logarithm of each class' probability.

        Parameters
        ----------
        X : array (n, p) or DataFrame
            Inputs.

        Returns
        -------
        array (n, K)
            Natural logarithms, in the order of `classes_`.

        Raises
        ------
        DataError
            Data that break a rule.
        sklearn.exceptions.NotFittedError
            Nothing was fitted yet.
        """
        with np.errstate(divide="ignore"):
            return np.log(self.predict_proba(X))

    def predictive_log_density(self, X: Any, y: ArrayLike) -> np.ndarray:
        """Log probability of labels under the predictive distribution; its mean is the LPPD.

        Parameters
        ----------
        X : array (n, p) or DataFrame
            Inputs.
        y : array (n,)
            Labels that the fit has seen.

        Returns
        -------
        array (n,)
            Natural logarithms.

        Raises
        ------
        DataError
            Data that break a rule, or a label that is not in `classes_`.
        sklearn.exceptions.NotFittedError
            Nothing was fitted yet.
        """
        check_is_fitted(self)
        y = np.asarray(y)
        unseen = y[~np.isin(y, self.classes_)]
        if len(unseen):
            raise DataError(f"Got the labels {some(np.unique(unseen))}; the fit knows {some(self.classes_)}.")
        return self._log_density(X, np.searchsorted(self.classes_, y))
