"""A product of densities against the sum of their logarithms: where floating-point numbers end."""

from dataclasses import dataclass, replace
from numbers import Real
from typing import TYPE_CHECKING

import numpy as np

from bayesnn.errors import SpecError
from bayesnn.theory.results import Result
from bayesnn.theory.textbook import TextbookLikelihood

if TYPE_CHECKING:
    import pandas as pd


MOST = 10_000_000
"""Most factors that are multiplied."""


@dataclass(frozen=True, repr=False, eq=False)
class Underflow(Result):
    """Where the product of densities leaves float64; from `underflow`.

    Parameters
    ----------
    theta : tuple of float
        The parameters.
    n : int or None
        Fewest observations whose product is 0, or infinite where densities exceed one. None if it never is.
    n_inexact : int or None
        Fewest observations whose product is below 2^-1022, so that its digits get lost; None if it never is.
    product : float
        The product of the first `n`, or the value at which it stays.
    log_likelihood : float
        Sum of the logarithms of these `n`, exact to rounding; of the last factor that was looked at where there is no
        `n`.
    """

    theta: tuple[float, ...]
    n: int | None
    n_inexact: int | None
    product: float
    log_likelihood: float

    @property
    def message(self) -> str:
        """What becomes of the product."""
        lost = f" It loses digits from n = {self.n_inexact} on." if self.n_inexact else ""
        if self.n is None:
            return (
                f"The product of the densities never becomes 0: it stays at {self.product:.4g}.{lost} The "
                "log-likelihood is exact for every n."
            )
        return (
            f"The product of the densities is {self.product:g} from n = {self.n} on.{lost} There the log-likelihood is "
            f"{self.log_likelihood:.8g}, as exact as before."
        )

    @property
    def table(self) -> "pd.DataFrame":
        """One row."""
        import pandas as pd

        row = {
            "n": self.n,
            "digits lost from n": self.n_inexact,
            "product": self.product,
            "log-likelihood": self.log_likelihood,
            "log10 of the true product": self.log_likelihood / np.log(10),
        }
        return pd.DataFrame([row], index=["product"])


def underflow(likelihood: TextbookLikelihood, *theta: float) -> Underflow:
    r"""Find the smallest n at which the product of n densities is no longer a float64, while the log-likelihood is.

    The data are repeated as often as needed, and multiplied from left to right. A product below
    :math:`2^{-1022} \approx 2.2 \cdot 10^{-308}` has fewer digits than a float64 should have; it becomes 0 near
    :math:`2^{-1075}`, or, with factors above one half only, stays for ever at a small number, by rounding.

    Parameters
    ----------
    likelihood : TextbookLikelihood
        From `textbook_likelihood`.
    *theta : float
        The parameters; left out, the MLE.

    Returns
    -------
    Underflow
        With attributes ``n``, ``n_inexact``, ``product`` and ``log_likelihood``.

    Raises
    ------
    SpecError
        Parameters at which an observation is impossible, so that the product is 0 and rightly so; or a product that
        is still a float64 after ten million factors.

    References
    ----------
    D. Goldberg, "What every computer scientist should know about floating-point arithmetic", ACM Computing Surveys 23
    (1991).

    Examples
    --------
    >>> from bayesnn.theory import textbook_likelihood, underflow
    >>> found = underflow(textbook_likelihood("bernoulli", [0, 1]))
    >>> found.n, found.product, round(found.log_likelihood, 6)
    (1075, 0.0, -745.133219)
    """
    if not isinstance(likelihood, TextbookLikelihood):
        raise SpecError(
            f"Got {type(likelihood).__name__}; it must come from bnn.theory.textbook_likelihood. Pass what that "
            "returns."
        )
    if wrong := [t for t in theta if not isinstance(t, Real)]:
        raise SpecError(f"Got theta={wrong[0]!r}; parameters must be numbers. Write underflow(likelihood, 0.5), say.")
    at = tuple(float(t) for t in theta) or tuple(likelihood.mle.values())
    if not np.isfinite(likelihood.log_likelihood(*at)):
        raise SpecError(
            f"Got theta={at}, at which the likelihood is {float(likelihood.likelihood(*at)):g} itself. Choose "
            "parameters under which the data are possible."
        )
    factors = likelihood.density(likelihood.data, *at)
    block = np.tile(factors, -(-100_000 // len(factors)))
    product, done, inexact, n = 1.0, 0, None, None
    while n is None:
        with np.errstate(over="ignore", under="ignore"):
            running = np.cumprod(np.append(product, block))[1:]
        small, ended = (running < np.finfo(float).tiny), (running == 0) | np.isinf(running)
        if inexact is None and small.any():
            inexact = done + int(np.argmax(small)) + 1
        if ended.any():
            n = done + int(np.argmax(ended)) + 1
            product = float(running[np.argmax(ended)])
            break
        done += len(block)
        if running[-1] == product:
            # The same again with every block to come.
            break
        product = float(running[-1])
        if done >= MOST:
            raise SpecError(
                f"Got densities whose product is still {product:.3g} after {done:,} factors. Choose parameters that "
                "are further from certainty."
            )
    every, rest = divmod(n or done, likelihood.n)
    total = every * float(likelihood.log_likelihood(*at))
    if rest:
        total += float(replace(likelihood, data=likelihood.data[:rest]).log_likelihood(*at))
    return Underflow(at, n, inexact, product, total)
