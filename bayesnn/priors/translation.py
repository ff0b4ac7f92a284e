"""A prior as the penalty of a library, and back."""

import math
from dataclasses import dataclass
from typing import Self

from bayesnn.errors import SpecError
from bayesnn.losses import Loss
from bayesnn.priors.element import Element
from bayesnn.priors.libraries import Target


@dataclass(frozen=True)
class Penalty:
    r"""The penalty of a library that has the same minimum as a prior has its MAP; made by `Prior.to_penalty`.

    Parameters
    ----------
    library : str
        Such as ``"sklearn.Ridge"``.
    loss : str
        Name of the loss that the library minimises.
    reduction : str or None
        ``"mean"`` or ``"sum"`` where the library lets one choose.
    parameters : dict of str to float
        The library's arguments.
    formulas : dict of str to str
        How each number follows from the prior, such as ``"noise**2 / sd**2"``.
    objective : str
        What the library minimises; ``loss`` is the loss of one observation, without a factor 1/2.
    penalises_biases : bool
        Whether the penalty acts on the biases too.
    note : str
        What is left to do for the biases; empty when the library already treats them as the prior does.
    """

    library: str
    loss: str
    reduction: str | None
    parameters: dict[str, float]
    formulas: dict[str, str]
    objective: str
    penalises_biases: bool
    note: str = ""


class Translated(Element):
    """The part of a prior that translates it."""

    def to_penalty(
        self,
        *,
        library: str,
        loss: str | Loss | None = None,
        noise: float | None = None,
        n: int | None = None,
        reduction: str | None = None,
        n_outputs: int = 1,
    ) -> Penalty:
        r"""Translate the prior into the penalty of a library, so that its fit is the MAP.

        Parameters
        ----------
        library : str
            ``"torch"``, ``"keras"``, or one of ``sklearn.Ridge, sklearn.Lasso, sklearn.ElasticNet,
            sklearn.LogisticRegression, sklearn.PoissonRegressor, sklearn.MLPRegressor, sklearn.MLPClassifier``.
        loss : str or Loss, optional
            The loss that is minimised. May be left out for sklearn, where the estimator has one (``squared_error``
            for ``MLPRegressor``).
        noise : float, optional
            Known scale of the likelihood: needed for ``squared_error`` (the standard deviation) and
            ``absolute_error`` (the scale of the Laplace density).
        n : int, optional
            Number of observations: needed where the objective is a mean.
        reduction : {"mean", "sum"}, optional
            How torch and keras add up the losses; None means ``"mean"``, their default. Not for sklearn.
        n_outputs : int
            Number of target columns; 1 for classes.

        Returns
        -------
        Penalty
            The library's arguments, how they follow from the prior, and what is left to do for the biases.

        Raises
        ------
        SpecError
            A prior that is not such a penalty, a loss that the library does not minimise, a number that is missing.
        UnknownNameError
            A library or loss that does not exist; the message has the nearest known name.

        Notes
        -----
        With :math:`-\log p(y_i | w) = a \, \mathrm{loss}_i + b` and
        :math:`-\log p(w) = \lambda_1 |w|_1 + \lambda_2 |w|^2 + \mathrm{const}`, a library that minimises
        :math:`c \sum_i \mathrm{loss}_i + P(w)` finds the MAP if

        .. math:: P(w) = \frac{c}{a} \left( \lambda_1 |w|_1 + \lambda_2 |w|^2 \right).

        ``squared_error`` is :math:`(y - f)^2` with :math:`a = 1 / (2 \sigma^2)`, ``absolute_error`` is
        :math:`|y - f|` with :math:`a = 1 / \sigma`; for the other losses :math:`a = 1`. ``Normal(sd)`` has
        :math:`\lambda_2 = 1 / (2 sd^2)`, ``Laplace(scale)`` has :math:`\lambda_1 = 1 / scale`.

        - scikit-learn never penalises intercepts (``liblinear`` does: take another solver). ``LogisticRegression``
          takes ``l1_ratio`` instead of a named penalty from version 1.8 on; with two classes it is the
          ``binary_cross_entropy`` with one output. ``MLP*`` divides ``alpha`` by the size of the mini-batch: the
          number here is for ``solver="lbfgs"``; with batches of size B use ``alpha * B / n``.
        - torch: ``weight_decay`` of SGD or Adam adds ``weight_decay / 2 |w|^2`` for all parameters handed to the
          optimiser. The decoupled decay of AdamW is not the gradient of a penalty, hence no prior; ``LBFGS`` has no
          ``weight_decay``: add the term to the loss. ``MSELoss``, ``L1Loss`` and ``PoissonNLLLoss`` average over
          the n * n_outputs elements.
        - keras: ``L1``, ``L2`` or ``L1L2`` as ``kernel_regularizer`` of every layer; its losses average over outputs
          before they are summed over observations. Its ``AdamW`` is no prior either.
        - ``"sum"`` in torch and keras is meant over all the data, not over mini-batches.

        References
        ----------
        .. [1] Hastie, Tibshirani and Friedman, The Elements of Statistical Learning, 2nd ed., section 3.4.
        .. [2] Loshchilov and Hutter, Decoupled weight decay regularization, ICLR 2019.

        Examples
        --------
        >>> import bayesnn as bnn
        >>> ridge = bnn.Normal(2.0, bias=bnn.Flat()).to_penalty(library="sklearn.Ridge", noise=0.2)
        >>> round(ridge.parameters["alpha"], 12), ridge.formulas["alpha"], ridge.note
        (0.01, 'noise**2 / sd**2', '')
        >>> decay = bnn.Normal(2.0).to_penalty(library="torch", loss="cross_entropy", n=100)
        >>> decay.parameters, decay.formulas
        ({'weight_decay': 0.0025}, {'weight_decay': '1 / (n * sd**2)'})
        """
        target = Target(library, loss, noise, n, reduction, n_outputs)
        formulas, parameters = target.parameters_of(self)
        return Penalty(
            library=library,
            loss=target.loss,
            reduction=target.reduction,
            parameters=parameters,
            formulas=formulas,
            objective=target.objective,
            penalises_biases=target.spec.penalises_biases,
            note=target.note_on_biases(self),
        )

    @classmethod
    def from_penalty(
        cls,
        *,
        library: str,
        value: float | dict[str, float],
        loss: str | Loss | None = None,
        noise: float | None = None,
        n: int | None = None,
        reduction: str | None = None,
        n_outputs: int = 1,
    ) -> Self:
        r"""Read the penalty of a library as a prior: the inverse of `to_penalty`.

        Parameters
        ----------
        library : str
            As for `to_penalty`.
        value : float or dict of str to float
            The library's number (``alpha``, ``C``, ``weight_decay``, ``l1`` or ``l2``), or its numbers by name.
            `ElasticNet` needs two: ``{"alpha": 0.1, "l1_ratio": 0.5}`` or, for keras, ``{"l1": 0.1, "l2": 0.2}``.
        loss, noise, n, reduction, n_outputs : optional
            As for `to_penalty`.

        Returns
        -------
        Prior
            Of this class, with ``bias=Flat()`` where the library does not penalise the biases.

        Raises
        ------
        SpecError
            A value that is not positive, or a penalty that is not of this class.

        Examples
        --------
        >>> import bayesnn as bnn
        >>> bnn.Normal.from_penalty(library="sklearn.LogisticRegression", value=4.0)
        Normal(sd=2.0, bias=Flat())
        >>> bnn.Normal.from_penalty(library="torch", value=0.01, loss="binary_cross_entropy", n=25)
        Normal(sd=2.0)
        """
        target = Target(library, loss, noise, n, reduction, n_outputs)
        rates = target.rates_of(value, cls._penalty_kind, cls.__name__)
        return cls._from_rates(*rates, free_biases=not target.spec.penalises_biases)


def require_rates(cls: type[Element], valid: bool, l1: float, l2: float) -> None:
    """Refuse rates that belong to another prior."""
    if not valid or not math.isfinite(l1 + l2):
        right = "ElasticNet" if l1 and l2 else "Laplace" if l1 else "Normal" if l2 else "Flat()"
        raise SpecError(
            f"Got a penalty with rates l1={l1:g}, l2={l2:g} for {cls.__name__}; that penalty is the prior {right}. "
            f"Use {right}{'.from_penalty' if l1 or l2 else ', which is no penalty'}."
        )
