r"""The loss <-> likelihood table: every loss here is a negative log-likelihood up to a factor and a constant.

For one observation and one target, with network output `f` and noise scale `s`,

.. math:: -\log p(y \mid f, s) = a \cdot \mathrm{loss}(y, f) + b .

Squared error is a Normal likelihood because the logarithm of the Normal density is a square; cross-entropy is a
Bernoulli or categorical one because it *is* the negative logarithm of the probability given to the observed label.
The factor `a` is what a noise scale does to the weight of the data against a prior, and the constant `b` is what is
missing when a loss is read as a density. `loss_table` shows the table, `verify_loss` checks it by integration.

Each loss is a frozen dataclass that knows its NumPy side (`loss`, `logp`, `mean`, `variance`, `sample`) and the one
PyMC node that matches it (`observe`).
"""

from bayesnn.losses.base import Loss
from bayesnn.losses.beta import Beta
from bayesnn.losses.counts import Binomial, NegativeBinomial, Poisson
from bayesnn.losses.labels import BinaryCrossEntropy, CrossEntropy, Ordinal
from bayesnn.losses.regression import AbsoluteError, GaussianNLL, Huber, Quantile, SquaredError, StudentT
from bayesnn.losses.residual import ResidualLoss
from bayesnn.losses.table import LOSSES, LossTable, as_loss, is_ours, loss_from_json, loss_table, loss_to_json
from bayesnn.losses.verify import LossCheck, verify_loss

__all__ = [
    "LOSSES",
    "AbsoluteError",
    "Beta",
    "BinaryCrossEntropy",
    "Binomial",
    "CrossEntropy",
    "GaussianNLL",
    "Huber",
    "Loss",
    "LossCheck",
    "LossTable",
    "NegativeBinomial",
    "Ordinal",
    "Poisson",
    "Quantile",
    "ResidualLoss",
    "SquaredError",
    "StudentT",
    "as_loss",
    "is_ours",
    "loss_from_json",
    "loss_table",
    "loss_to_json",
    "verify_loss",
]
