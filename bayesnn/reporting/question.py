"""The first half of the report: the data, the network, and the loss and penalty that are likelihood and prior."""

import math
from dataclasses import replace

import numpy as np

from bayesnn.data.target import known_of
from bayesnn.errors import SpecError
from bayesnn.losses import loss_table
from bayesnn.network import MLP
from bayesnn.priors import Prior, penalty_table
from bayesnn.reporting.graph import graph_of
from bayesnn.reporting.mathml import mathml
from bayesnn.reporting.parts import Drawing, Items, Maths, Part, Section, Table, Text, counted, listed, number
from bayesnn.reporting.subject import Subject
from bayesnn.tree import params_of

MOST_COLUMNS = 30
"""Columns of the data that are listed."""


def data_section(subject: Subject) -> Section:
    """Say what was fitted: rows, columns, units."""
    data, (X, y), problem = subject.data, subject.rows, subject.problem
    n_test = 0 if subject.held_out is None else len(subject.held_out[0])
    name = f"“{data.name}”: " if data is not None else ""
    parts: list[Part] = [
        Text(
            f"{name}{counted(len(X), 'training row')}, which were fitted, and {counted(n_test, 'held-out row')}, which "
            f"only judge. {counted(X.shape[1], 'input')}; the target is {subject.target} ({problem.net.loss.task})."
        )
    ]
    if data is not None and data.description:
        parts.append(Text(data.description))
    if problem.coding is not None:
        parts.append(Text(_coded(problem.coding)))
    parts += [Text(KNOWN_ROWS[name]) for name in known_of(problem.y)]
    if data is not None and data.noise is not None:
        parts.append(Text(f"The noise of these data has standard deviation {number(data.noise)}."))
    columns = dict(zip(subject.features, X.T, strict=True))
    head = ["training rows", "least", "mean", "largest", "standard deviation"]
    if subject.numbers:
        targets = y.reshape(len(y), -1).T
        names = [subject.target] if len(targets) == 1 else list(problem.target_names)
        shown = [
            *list(columns.items())[:MOST_COLUMNS],
            *((f"{n} (target)", t) for n, t in zip(names, targets, strict=True)),
        ]
    else:
        shown = list(columns.items())[:MOST_COLUMNS]
    rows = [[n, *(number(f(v)) for f in (np.min, np.mean, np.max, np.std))] for n, v in shown]
    more = len(columns) - MOST_COLUMNS
    caption = "The columns, in your units" + (f" (the first {MOST_COLUMNS} of {len(columns)})" if more > 0 else "")
    if rows:
        parts.append(Table(caption, head, rows))
    if not subject.numbers:
        counts = np.bincount(y.astype(int), minlength=len(problem.class_names))
        held = None if subject.held_out is None else np.bincount(subject.held_out[1].astype(int), minlength=len(counts))
        head = ["label", "training rows", *(["held-out rows"] * (held is not None))]
        cells = [
            [str(n), str(c), *([str(held[k])] if held is not None else [])]
            for k, (n, c) in enumerate(zip(problem.class_names, counts, strict=True))
        ]
        parts.append(Table("Rows of each label", head, cells))
    scaled = (
        "The fits standardise inputs (and numbers that are predicted) by mean and standard deviation of the training "
        "rows; weights, and what is called “scaled”, are in those units, all else is in yours."
        if problem.scaling is not None
        else "The fits take the numbers as they are: all is in your units."
    )
    if problem.scaling is not None and problem.coding is not None and problem.coding.has_flags:
        scaled += " Columns of zeros and ones are centred and keep their unit."
    parts.append(Text(scaled))
    return Section("data", "The data", parts)


KNOWN_ROWS = {
    "exposure": "Each count has an exposure of its own, such as a time or an area, which its mean is multiplied by; "
    "what is predicted for new inputs is for an exposure of 1.",
    "trials": "Each count is of successes in a known number of trials; what is predicted for new inputs is for one.",
    "precision": "Each row has a known precision: the variance of its noise is divided by it.",
}
"""What is known of each row -> what it does, in words."""


def _coded(coding):
    """Say what columns of zeros and ones stand for, and what became of missing values."""
    said = []
    for column in coding.columns:
        *others, last = [f"“{level}”" for level in column.levels[1:]] or [""]
        if column.kind == "category":
            levels = f"{', '.join(others)} and {last} are" if others else f"{last} is"
            said.append(f"{column.name} is a category: {levels} compared to “{column.levels[0]}”, the reference.")
        elif column.kind == "ordinal":
            said.append(
                f"{column.name} counts its levels from 0: {', '.join(f'“{level}”' for level in column.levels)}."
            )
        elif column.kind == "boolean":
            said.append(f"{column.name} is 1 where it is true.")
        if column.missing:
            fill = "" if column.fill is None else f"; the mean of the others, {number(column.fill)}, stands there"
            said.append(f"{column.name}[missing] is 1 where {column.name} is missing{fill}.")
    if coding.dropped:
        rows = counted(coding.dropped, "row")
        said.append(f"{rows} with missing values {'was' if coding.dropped == 1 else 'were'} left out.")
    return " ".join(said)


def network_section(subject: Subject) -> Section:
    """Draw the network, and write the function that it is."""
    problem = subject.problem
    net = problem.net
    map_, mle = subject.point("map"), subject.point("mle")
    fit, whose = (map_, "MAP") if map_ is not None else (mle, "MLE")
    fits = fit is not None and fit.attrs.get("bayesnn_exists", 1) != 0
    params = {k: v[0, 0] for k, v in params_of(fit).items()} if fits and fit is not None else None
    graph = graph_of(problem, params)
    size = sum(int(np.prod(shape)) for shape in problem.shapes.values())
    more = [counted(size, "weight or bias", "weights and biases")]
    if net.noise_prior is not None:
        more.append("a noise scale that is learned")
    elif net.loss.has_noise:
        more.append(f"a noise scale that is known, {net.noise}")
    units = [counted(h, f"{net.phi.name} unit") for h in net.hidden]
    layers = (
        f"{listed(units)} in {counted(len(units), 'hidden layer')}"
        if net.hidden
        else "No hidden units: the outputs are linear in the inputs"
    )
    parts: list[Part] = [Text(f"{layers}; {listed(more)}."), Maths(mathml(_function(net), block=True), _says(net))]
    caption = "Inputs on the left, outputs on the right; biases are not drawn."
    if graph.weighted:
        caption += (
            f" The lines are the weights of the {whose}: the thicker, the larger; solid ones are positive, dashed "
            "ones negative. Any of its mirror images would do as well: only the function has a meaning."
        )
    elif fit is None and net.hidden:
        caption += " A posterior has no one set of weights to draw: their means mix mirror images."
    parts.append(Drawing(graph, caption))
    return Section("network", "The network", parts)


def _function(net: MLP) -> str:
    """Write the function as a formula: f(x) = tanh(x W_1 + b_1) W_2 + b_2."""
    said = "x"
    for layer in range(1, net.n_layers + 1):
        said = f"{said} W_{layer}" + (f" + b_{layer}" if net.has_bias(layer) else "")
        said = f"{net.phi.name}({said})" if layer < net.n_layers else said
    return f"f(x) = {said}"


def _says(net):
    mean = {
        "regression": "f is the expectation of the target.",
        "binary": "f is the logit of the second label: its probability is 1 / (1 + exp(−f)).",
        "classes": "f holds a logit for each label: their probabilities are exp(f), divided by their sum.",
        "count": "f is the logarithm of the expected count.",
        "ordinal": "f is a position on a scale which cutpoints divide into the ordered labels.",
    }
    task = net.loss.task
    if task == "regression" and net.loss.scale_is_output:
        return "The first output is the expectation of the target, the second the logarithm of its standard deviation."
    if net.loss.support == "unit" or "trials" in net.loss.needed:
        return "f is the logit of the expected proportion, which is 1 / (1 + exp(−f))."
    if task == "regression" and not (net.loss.has_mean and net.loss.name in ("squared_error", "huber", "student_t")):
        return "f is the location of the target’s distribution."
    return mean[task]


def likelihood_section(subject: Subject) -> Section:
    """Show the loss as a likelihood and the penalty as a prior."""
    problem = subject.problem
    net = problem.net
    name, formula, likelihood, a, b, noise = loss_table(net.loss).rows[-1]
    parts: list[Part] = [
        Text(
            f"A loss is a likelihood. The loss {name} of one row is, but for a factor a and a term b, the negative "
            f"logarithm of a {likelihood} density, so that the smallest sum of losses and the largest likelihood are "
            "at the same weights:"
        ),
        Maths(mathml("-log p(y ∣ f) = a loss + b", block=True)),
        Maths(mathml(f"loss = {formula}", block=True)),
        Maths(mathml(f"a = {a}", block=True)),
        Maths(mathml(f"b = {b}", block=True)),
    ]
    if net.loss.has_noise:
        known = (
            f"The scale s is learned, with the prior {net.noise_prior!r}; for the MLE, without it, s is"
            if net.noise_prior is not None
            else f"The scale s is known: {net.noise}. Where it is learned, its MLE is"
        )
        parts.append(Maths(mathml(noise), known))
    if net.loss.parameters:
        parts.append(Text(f"The loss has parameters of its own: {net.loss!r}."))
    parts.append(
        Text(
            f"A penalty is a prior. Each weight and bias has the prior {net.prior!r}; its negative logarithm is the "
            "penalty that is added to the sum of the losses:"
        )
    )
    parts += _penalty(net.prior)
    parts.append(
        Items(
            [
                ("MLE", "maximises the likelihood alone: the smallest sum of losses."),
                ("MAP", "maximises likelihood times prior: the smallest sum of losses with the penalty."),
                ("Posterior", "is likelihood times prior itself, divided by its integral, which is the evidence."),
            ]
        )
    )
    parts.append(Maths(mathml("p(w ∣ y) = (p(y ∣ w) p(w))/p(y)", block=True)))
    parts += _libraries(subject)
    return Section("likelihood", "Loss as likelihood, penalty as prior", parts)


def _penalty(prior: Prior) -> list[Part]:
    """Formulas of the penalty of a weight, and of a bias where it has another."""
    shown = [("each weight and bias" if prior.bias is None else "each weight", "w", prior)]
    if prior.bias is not None:
        shown.append(("each bias", "b", prior.bias))
    parts: list[Part] = []
    for what, letter, one in shown:
        parts.append(Maths(mathml(f"-log p({letter}) = {_energy(one, letter)}", block=True), f"For {what}."))
    if prior.fan_in:
        parts.append(
            Text("The scale of a layer’s weights is divided by the square root of the number of their inputs.")
        )
    return parts


def _energy(prior, letter):
    if prior.has_learned_scale:
        return f"{letter}²/(2s²) + log(s) + const, s ~ HalfNormal({prior.sd:g})"
    if prior.flat:
        return "const"
    if prior.formula is not None:
        return f"{prior.formula.text()} + const"
    if not prior.has_rates:
        return "const - log density"
    l1, l2, a, s = (float(v) for v in replace(prior, fan_in=False).rates("weight", 1))
    terms = []
    if l1:
        terms.append(f"{l1:.4g} |{letter}|")
    if l2:
        terms.append(f"{l2:.4g} {letter}²")
    if a:
        terms.append(f"{a:.4g} log(1 + {s:.4g} {letter}²)")
    return " + ".join([*terms, "const"])


def _libraries(subject):
    """Translate the MAP to other libraries."""
    problem, map_ = subject.problem, subject.point("map")
    net, at = problem.net, ""
    if net.noise_prior is not None and map_ is not None and map_.attrs.get("bayesnn_exists", 1) == 1:
        noise = float(params_of(map_)["noise"][0, 0])
        net, at = replace(net, noise=noise), f" With the noise held at the MAP’s, {number(noise)}."
    outputs = problem.values.shape[1] if problem.values.ndim == 2 else 1
    try:
        table = penalty_table(net, n=len(problem.X), n_outputs=outputs)
    except SpecError as error:
        return [Text(f"Other libraries have no penalty of this kind. {error}")]
    rows = [
        [f"{r.library}{f', {r.reduction}' if r.reduction else ''}", r.parameter, number(r.value), r.formula, r.note]
        for r in table.itertuples()
    ]
    if not rows:
        return []
    unknown = " The values depend on the noise, which is learned." if math.isnan(table["value"].iloc[0]) else ""
    return [
        Text(f"In other libraries the same MAP is the minimum under these penalties.{at}{unknown}"),
        Table("The prior as a penalty of other libraries", ["library", "parameter", "value", "formula", "note"], rows),
    ]
