"""Named errors: each says what was got, the rule it breaks, and the remedy."""

import difflib


class BayesnnError(ValueError):
    """Base class of every error that bayesnn raises on purpose."""


class DataError(BayesnnError):
    """The data break a rule: shape, type, NaN, labels out of range, a constant column."""


class SpecError(BayesnnError):
    """The network, loss, prior or an option is not one that exists or makes sense."""


class UnknownNameError(SpecError):
    """A name that is not in its table; the message gives the nearest known one.

    Parameters
    ----------
    kind : str
        What the name stands for, such as ``"activation"``.
    got : object
        The name as it was given.
    known : iterable of str
        The names that exist.
    """

    def __init__(self, kind, got, known):
        self.kind, self.got, self.known = kind, got, tuple(known)
        longer = [name for name in self.known if str(got) and name.startswith(str(got))]
        near = longer or difflib.get_close_matches(str(got), self.known, n=1)
        hint = f"Did you mean {near[0]!r}?" if near else "Write one of these."
        super().__init__(f"Got {kind} {got!r}; known are {', '.join(map(repr, self.known))}. {hint}")

    def __reduce__(self):
        return type(self), (self.kind, self.got, self.known)


class ImproperPriorError(SpecError):
    """A flat prior where a posterior is asked for: the integral over it need not be finite."""


class NoOptimumError(BayesnnError):
    """The function to be maximised has no maximum; its numbers are attributes.

    Parameters
    ----------
    message : str
        What was found, the rule, and the remedy.
    **numbers
        The evidence (a margin, a direction, a norm), kept as attributes.
    """

    def __init__(self, message, **numbers):
        super().__init__(message)
        self.numbers = numbers
        self.__dict__.update(numbers)


class NoMLEError(NoOptimumError):
    """The maximum likelihood estimate does not exist: separated classes, or a perfect fit with a free noise."""


class NoMAPError(NoOptimumError):
    """The posterior density has no maximum (a hierarchical scale that collapses to zero)."""


class FitError(BayesnnError):
    """A fit failed, or a tree that is not a bayesnn fit was given."""


class DensityError(FitError):
    """Compiled code and NumPy disagree about the density of a fit, which is not started."""


class FileError(BayesnnError):
    """A file can't be written, or holds something else than it should."""


class WorkerError(FitError):
    """An executor, or a worker of it, was lost; what was finished before is kept."""


class ConvergenceWarning(UserWarning):
    """A fit returned, but its numbers are not to be trusted as they are; the message says which and why."""


class FormulaWarning(UserWarning):
    """A formula is no finite number far out; the message says where."""


class DataWarning(UserWarning):
    """Data that can be used, and may not be what was meant; the message says where."""
