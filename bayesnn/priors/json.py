"""Priors as JSON."""

import dataclasses
from typing import Any

from bayesnn import foreign
from bayesnn.arguments import check_name
from bayesnn.errors import SpecError
from bayesnn.priors.base import PRIORS, Prior, as_prior, is_ours
from bayesnn.priors.noise import NOISE_PRIORS, NoisePrior


def prior_to_json(prior: Prior | NoisePrior) -> dict[str, Any]:
    """Write a prior as a dictionary that JSON can hold.

    Parameters
    ----------
    prior : Prior or NoisePrior
        A prior of weights or of the noise.

    Returns
    -------
    dict
        ``family`` and the parameters.

    Examples
    --------
    >>> import bayesnn as bnn
    >>> bnn.priors.prior_to_json(bnn.HalfNormal(0.5))
    {'family': 'HalfNormal', 'sd': 0.5}
    """
    if not isinstance(prior, NoisePrior):
        as_prior(prior)
    known = is_ours(prior) or type(prior) in NOISE_PRIORS.values()
    written = {} if known else foreign.to_json(prior)
    values = {f.name: getattr(prior, f.name) for f in dataclasses.fields(prior)} if known else written["fields"]
    if values.get("bias") is not None:
        values["bias"] = prior_to_json(values["bias"])
    if not known:
        return {"family": type(prior).__name__, **written}
    if isinstance(prior, Prior):
        values |= prior._to_json()
    return {"family": type(prior).__name__, **values}


def prior_from_json(spec: dict[str, Any]) -> Prior | NoisePrior:
    """Read a prior that `prior_to_json` wrote.

    Parameters
    ----------
    spec : dict
        ``family`` and the parameters.

    Returns
    -------
    Prior or NoisePrior
        Equal to the prior that was written.

    Raises
    ------
    SpecError
        Something else than a dictionary, or parameters that are missing or that the family does not have.
    UnknownNameError
        A family that does not exist.

    Examples
    --------
    >>> import bayesnn as bnn
    >>> bnn.priors.prior_from_json({"family": "HalfNormal", "sd": 0.5})
    HalfNormal(sd=0.5)
    """
    if not isinstance(spec, dict) or "family" not in spec:
        raise SpecError(f"Got {spec!r}; a prior is a dictionary with a family. Write it with prior_to_json.")
    if "class" in spec:
        fields = {k: prior_from_json(v) if k == "bias" and v is not None else v for k, v in spec["fields"].items()}
        return foreign.from_json({**spec, "fields": fields}, Prior | NoisePrior)
    families = PRIORS | NOISE_PRIORS
    check_name("prior family", spec["family"], families)
    cls: Any = families[spec["family"]]
    values = {k: v for k, v in spec.items() if k != "family"}
    known = {f.name for f in dataclasses.fields(cls)}
    if set(values) != known:
        raise SpecError(
            f"Got {spec['family']} with {sorted(values)}; it has exactly {sorted(known)}. Write it with prior_to_json."
        )
    if values.get("bias") is not None:
        values["bias"] = prior_from_json(values["bias"])
    return cls(**(cls._from_json(values) if issubclass(cls, Prior) else values))
