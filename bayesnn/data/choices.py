"""What a user says about the columns of a table."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from bayesnn.arguments import check_arguments
from bayesnn.data.checks import some
from bayesnn.errors import DataError, SpecError, UnknownNameError


@dataclass(frozen=True)
class Choices:
    """What a user says about the columns of a table; as for `load_data`.

    Parameters
    ----------
    categorical, ordinal, reference, missing, exclude
        As for `load_data`.
    beside : dict of str to str
        What is known of each row, as an argument of `bnn.target` -> the column that holds it.

    Raises
    ------
    SpecError
        What is no such choice.
    """

    categorical: Collection[str] = ()
    ordinal: Mapping[str, Sequence[Any]] | Collection[str] = ()
    reference: Mapping[str, Any] = field(default_factory=dict)
    missing: str = "error"
    exclude: Collection[str] = ()
    beside: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self):
        check_arguments(missing=self.missing)
        for argument, name in self.beside.items():
            if not isinstance(name, str):
                raise SpecError(
                    f"Got {argument}={name!r}; it must be the name of a column. Write {argument}='hours', say, or "
                    "leave it out."
                )
        for argument in ("categorical", "exclude"):
            if not _is_list(value := getattr(self, argument)):
                raise SpecError(
                    f"Got {argument}={value!r}; it must be a list of columns. Write {argument}=['zip'], or leave "
                    "it out."
                )
        orders = self.ordinal.values() if isinstance(self.ordinal, Mapping) else [self.ordinal]
        if not all(map(_is_list, orders)):
            raise SpecError(
                f"Got ordinal={self.ordinal!r}; it must be a dict of columns to their levels in order, or a list of "
                "columns that have an order. Write ordinal={'size': ['S', 'M', 'L']}, or leave it out."
            )
        if not isinstance(self.reference, Mapping):
            raise SpecError(
                f"Got reference={self.reference!r}; it must be a dict of columns to levels. Write "
                "reference={'species': 'Gentoo'}, or leave it out."
            )

    @property
    def given(self) -> dict[str, Any]:
        """Those about features that are not as they are when left out."""
        given = {name: value for name, value in vars(self).items() if name != "beside"}
        return {name: value for name, value in given.items() if value != "error" and len(value) > 0}

    @property
    def orders(self) -> dict[str, tuple[Any, ...] | None]:
        """Levels of each ordinal column; None where it is to be in its own order."""
        if isinstance(self.ordinal, Mapping):
            return {str(name): tuple(levels) for name, levels in self.ordinal.items()}
        return dict.fromkeys(map(str, self.ordinal))

    @property
    def references(self) -> dict[str, Any]:
        """The reference of each category for which one was chosen."""
        return {str(name): level for name, level in self.reference.items()}

    @property
    def text_columns(self) -> list[str]:
        """Columns that a file holds as text, whatever they look like."""
        return [*map(str, self.categorical), *(name for name, order in self.orders.items() if order is not None)]

    def features(self, columns: Sequence[str], targets: Sequence[str] = ()) -> list[str]:
        """Names of the features, after a look at whether every choice is about one.

        Parameters
        ----------
        columns : sequence of str
            All columns of the table.
        targets : sequence of str
            Those to predict.

        Returns
        -------
        list of str
            In their order.

        Raises
        ------
        SpecError
            A choice about a column that is not there, is predicted, excluded, or has another choice.
        DataError
            No feature is left.
        """
        categorical, exclude = list(map(str, self.categorical)), list(map(str, self.exclude))
        for argument, names in (
            ("categorical", categorical),
            ("ordinal", self.orders),
            ("reference", self.references),
            ("exclude", exclude),
            *((argument, [name]) for argument, name in self.beside.items()),
        ):
            for name in names:
                if name not in columns:
                    raise UnknownNameError("column", name, columns)
                if name in targets:
                    raise SpecError(
                        f"Got {name!r} in {argument}, which is the target. Leave it out there, and say by task= what "
                        "the target is."
                    )
                if argument not in self.beside and name in self.beside.values():
                    raise SpecError(
                        f"Got {name!r} in {argument}, which says what is known of each row, and is no feature. Leave "
                        "it out there."
                    )
                if argument != "exclude" and name in exclude:
                    raise SpecError(f"Got {name!r} in {argument} and in exclude. Leave it out of one of them.")
        if both := [name for name in categorical if name in self.orders]:
            raise SpecError(
                f"Got {some(both)} as categorical and as ordinal; a column is one of them. Leave it out of one list."
            )
        others = {*targets, *exclude, *self.beside.values()}
        kept = [name for name in columns if name not in others]
        if (exclude or self.beside) and not kept:
            raise DataError(
                f"Got {some([*exclude, *self.beside.values()])} as no features, which leaves none; at least one is "
                "needed. Leave a column in."
            )
        return kept


def _is_list(value):
    return isinstance(value, Collection | np.ndarray) and not isinstance(value, str | bytes)
