"""The end of the report: what to do next, how to repeat it, and the words that it uses."""

import platform
from importlib.metadata import PackageNotFoundError, version

import bayesnn
from bayesnn.data import NAMES
from bayesnn.reporting.parts import Code, Items, Part, Section, Table, Text
from bayesnn.reporting.sentences import next_steps
from bayesnn.reporting.subject import Subject

LIBRARIES = ("pymc", "pytensor", "numba", "nutpie", "arviz", "numpy", "scipy", "xarray", "scikit-learn", "matplotlib")
WORDS = (
    ("Likelihood", "How probable the data are, as a function of the weights. It is no distribution of the weights."),
    ("Prior, penalty", "What is held of the weights before the data; its negative logarithm is a penalty."),
    ("MLE, MAP, posterior", "The weights of largest likelihood; of largest likelihood times prior; all weights by it."),
    ("Nat", "Unit of logarithms to the base e. A difference of 3 nats is a factor of 20."),
    ("LPPD", "Log pointwise predictive density: the logarithm of the density given to what was observed, row by row."),
    ("Mirror image", "The same network with its hidden units rearranged or their signs flipped."),
    ("Mode", "A hill of the posterior. Modes of the function differ in what they predict, mirror images do not."),
    ("R-hat", "Spread of all chains, divided by the spread within each: 1 where they agree, above 1.01 where not."),
    ("ESS", "Effective sample size: how many independent draws the draws are worth."),
    ("Divergence", "A draw at which the sampler met a region too narrow for its steps."),
    ("Evidence", "The likelihood averaged over the prior; by it the data judge a network as a whole."),
)


def next_section(subject: Subject) -> Section:
    """Say what to do next."""
    steps = next_steps(subject)
    parts: list[Part] = [Items(steps, ordered=True)] if steps else [Text("Nothing is left to do.")]
    return Section("next", "What to do next", parts)


def repeat_section(subject: Subject) -> Section:
    """Say how to repeat the analysis: calls with seeds, and versions."""
    data = subject.data
    parts: list[Part] = []
    if subject.command:
        parts.append(Code(subject.command, "What was typed"))
    parts.append(Code(_script(subject), "The same in Python"))
    if data is None:
        parts.append(Text("X and y are the training rows above; where they come from is not known to this page."))
    versions = {"Python": platform.python_version(), "bayesnn": bayesnn.__version__}
    for name in LIBRARIES:
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            continue
    fitted = {str(fit.attrs["bayesnn_version"]) for fit in subject.fits.values()}
    if fitted != {bayesnn.__version__}:
        parts.append(Text(f"The fits were made by bayesnn {', '.join(sorted(fitted))}.", "note"))
    parts.append(Table("Versions", ["", "version"], [[name, value] for name, value in versions.items()]))
    seconds = [
        [name, f"{float(fit.attrs['sampling_time']):.1f}"]
        for name, fit in subject.fits.items()
        if "sampling_time" in fit.attrs
    ]
    if seconds:
        parts.append(Table("Seconds that the fits took", ["fit", "seconds"], seconds))
    parts.append(
        Text(f"Written on {platform.system()}, {platform.machine()}. Other machines may differ in the last digits.")
    )
    return Section("repeat", "How to reproduce this", parts)


def _script(subject):
    """Write the calls that made the fits, with their seeds."""
    net = subject.problem.net
    lines = ["import bayesnn as bnn", ""]
    if subject.data is not None:
        # Which file or name they came from, and by which seed they were split, a Dataset does not keep.
        known = subject.data.name in NAMES
        source = f"bnn.load_data({subject.data.name!r}, random_seed=...)" if known else "..."
        lines.append(f"data = {source}  # {'with the seed of the split' if known else repr(subject.data.name)}")
    if any("(net, X, y" in str(fit.attrs.get("bayesnn_call", "X, y")) for fit in subject.fits.values()):
        lines.append("X, y = data.X, data.y" if subject.data is not None else "X, y = ...")
    spec = [f"hidden={net.hidden!r}", f"activation={_named(net.activation)}", f"loss={_loss(net.loss)}"]
    spec += [f"noise={_ours(repr(net.noise))}"] * net.loss.has_noise + [f"prior={_ours(repr(net.prior))}"]
    lines.append(f"net = bnn.MLP({', '.join(spec + ['bias=False'] * (not net.bias))})")
    names = {"mle": "mle", "map": "map_", "posterior": "post"}
    used: list[str] = []
    for name, fit in subject.fits.items():
        kind = str(fit.attrs["bayesnn_kind"])
        variable = names[kind] if names[kind] not in used else _identifier(name, len(used))
        used.append(variable)
        call = fit.attrs.get("bayesnn_call")
        lines.append(f"{variable} = {call}" if call else f"{variable} = ...  # the call is not in the file of this fit")
    given = ", ".join([*used, *(["data=data"] if subject.data is not None else [])])
    lines.append(f'bnn.report({given}, path="report.html")')
    return "\n".join(lines)


def _identifier(name, k):
    return name if name.isidentifier() else f"fit_{k + 1}"


def _named(activation):
    return repr(activation) if isinstance(activation, str) else repr(getattr(activation, "name", str(activation)))


def _loss(loss):
    from bayesnn.losses import LOSSES

    return repr(loss.name) if LOSSES.get(loss.name) == loss else f"bnn.losses.{loss!r}"


def _ours(text):
    """Write the priors in a specification as a script names them."""
    import re

    return re.sub(r"\b([A-Z]\w*\()", r"bnn.\1", text)


def words_section(subject: Subject) -> Section:
    """Explain the words of the page."""
    return Section("words", "Words", [Items(WORDS)])
