"""Classes of losses and priors from outside, in files: named, never carried."""

import dataclasses
import sys
from typing import Any

from bayesnn.errors import SpecError


def to_json(thing: object) -> dict[str, Any]:
    """Name the class of a thing and its fields.

    Parameters
    ----------
    thing : object
        An instance of a class from outside, with fields that JSON can hold if it is a dataclass.

    Returns
    -------
    dict
        For `from_json`.
    """
    names = [f.name for f in dataclasses.fields(thing)] if dataclasses.is_dataclass(thing) else []
    fields = {name: getattr(thing, name) for name in names}
    return {"class": f"{type(thing).__module__}:{type(thing).__qualname__}", "fields": fields}


def from_json(d: dict[str, Any], base: Any) -> Any:
    """Make the thing again, if its class is loaded; nothing is imported on the word of a file.

    Parameters
    ----------
    d : dict
        What `to_json` wrote.
    base : type or union of types
        What its class must derive from.

    Returns
    -------
    object
        Equal to the one that was written.

    Raises
    ------
    SpecError
        A class that this process does not know, or fields that it does not have.
    """
    module, _, path = str(d["class"]).partition(":")
    found: Any = sys.modules.get(module)
    for part in path.split("."):
        # What is there, and not what would be there for the asking: a module may import what it is asked for.
        found = getattr(found, "__dict__", {}).get(part)
    if not (isinstance(found, type) and issubclass(found, base)):
        raise SpecError(
            f"Got a fit with the class {path} of the module {module}, which a file does not carry and this process has "
            "not loaded. Import or define it first; a formula (ResidualLoss, PenaltyPrior) travels by itself."
        )
    try:
        return found(**d["fields"])
    except (KeyError, TypeError) as error:
        raise SpecError(
            f"Got a fit with the class {path} and fields that it does not take ({error}). Load the version of the "
            f"module {module} that wrote the file."
        ) from error
