"""The second half of the report: the three fits, their optima, modes and chains, evidence and the prior's say."""

import math
from functools import partial

from bayesnn.diagnostics.diagnosis import SPACES
from bayesnn.diagnostics.phrases import big
from bayesnn.errors import BayesnnError
from bayesnn.fitting.evidence import log_evidence
from bayesnn.inspection import marginal_effects, posterior_predictive_check
from bayesnn.plots import (
    plot_evidence,
    plot_fits,
    plot_modes,
    plot_optima,
    plot_partial_dependence,
    plot_ppc,
    plot_sensitivity,
    plot_traces,
)
from bayesnn.prediction import predict
from bayesnn.reporting.parts import Code, Part, Section, Table, Text, counted, number
from bayesnn.reporting.pictures import figure
from bayesnn.reporting.sentences import baseline, called
from bayesnn.reporting.subject import Subject
from bayesnn.symmetry.clusters import share_words
from bayesnn.symmetry.group import written_order
from bayesnn.tree import heading

MOST_OPTIMA = 8
"""Distinct optima that are listed."""
MOST_INPUTS, DEPENDENCE_DRAWS, PLACES = 16, 50, 20
"""Inputs whose partial dependence is drawn; draws and places that a reader can't tell from more."""
CHECKED = 400
"""Data sets that are drawn to check a fit by, and draws for its effects."""
MOST_EFFECTS = 40
"""Rows of the table of effects; a longer one is not read."""
MEANINGS = {
    "log-likelihood": "training rows, in nats; higher fits them better; of a posterior the mean over its draws",
    "log-prior": "of weights and noise; higher is more to the prior’s liking",
    "log evidence standard error": "Monte Carlo error",
    "log evidence": "logarithm of the likelihood averaged over the prior",
    "weight norm": "length of the vector of all weights and biases",
    "noise": "standard deviation, or scale, about the function",
    "RMSE": "root mean square error, in units of the target",
    "accuracy": "share of labels that are right",
    "LPPD standard error": "by which the LPPD varies from one set of rows to another",
    "LPPD": "log predictive density of a row, in nats: higher is better, and being too sure is punished",
    "coverage": "share of rows inside their 90% interval: 0.9 is right",
    "Brier": "squared error of the probabilities: lower is better",
    "calibration": "distance between probabilities and shares: lower is better",
}
SIGNATURES = {
    "minimum": "local maximum",
    "flat": "flat in some direction",
    "saddle": "saddle",
    "kink": "kink",
    "infinity": "on its way to infinity",
}
"""How an end point of a search is called; the search minimises the negative logarithm."""


def fits_section(subject: Subject) -> Section:
    """Compare the fits in a table and in a picture."""
    table = subject.table
    rows = [[str(label), *(number(v) for v in row)] for label, row in zip(table.index, table.to_numpy(), strict=True)]
    meanings = [next((m for k, m in MEANINGS.items() if k in label), "") for label in table.index]
    bare, words = baseline(subject)
    where = "held-out" if subject.held_out is not None else "training"
    what = f"RMSE {number(bare)}" if subject.numbers else f"{number(bare)}% right"
    parts: list[Part] = [
        Text(f"{heading(fit)}: {fit.attrs.get('bayesnn_brief', fit.attrs.get('bayesnn_message', ''))}")
        for fit in subject.points.values()
    ]
    parts += [
        Text(f"To compare with: {words} {what} on the {where} rows."),
        Table("The fits, number by number", ["", *map(str, table.columns)], rows, meanings),
        figure(lambda: plot_fits(subject.three, data=subject.data), _caption_fits(subject)),
    ]
    parts += [Text(words) for words in _doubt(subject)]
    if 1 < subject.problem.X.shape[1] <= MOST_INPUTS:
        caption = (
            "What each input does: the mean prediction as one input varies and the others stay as they were seen. A "
            "flat line is an input that hardly matters."
        )
        data = subject.data if subject.held_out is not None else None
        draw = partial(
            plot_partial_dependence, subject.three, data=data, draws=DEPENDENCE_DRAWS, grid_resolution=PLACES
        )
        parts += [figure(draw, caption), *_effects(subject, data)]
    parts += _check(subject)
    if len(subject.posteriors) > 1:
        parts.append(Text(f"Of the posteriors, “{subject.answer}” is the one that predicts and is drawn."))
    return Section("fits", "The fits side by side" if len(subject.fits) > 1 else "The fit", parts)


def _doubt(subject):
    """Say how sure a prediction is, and what more rows would do for it."""
    if subject.post is None:
        return
    p = predict(subject.post, *(subject.held_out or subject.rows)[:1])
    if not subject.numbers:
        whole, known = float(p["entropy"].mean()), float(p["mutual_information"].mean())
        if whole > 0:
            yield (
                f"The entropy of a label is {number(whole, '.3f')} nats on average; {known / whole:.0%} of it comes of "
                "not knowing the function, which more rows would lessen, and the rest is in the labels themselves."
            )
        return
    width = float((p["upper"] - p["lower"]).mean())
    share = float((p["variance_epistemic"] / p["variance_total"]).mean())
    several = " (mean over the targets)" if p.sizes["output"] > 1 else ""
    if math.isfinite(share) and math.isfinite(width):
        yield (
            f"By the posterior, the 90% interval of a new observation is {number(width)} wide on average{several}. Of "
            f"its variance {share:.0%} is due to not knowing the function, which more rows would lessen, and "
            f"{1 - share:.0%} is noise, which they would not."
        )


def _effects(subject, data):
    """Tabulate what a change of each input does to the mean, on average."""
    found = marginal_effects(subject.three, data=data, contrasts=["sd"], draws=CHECKED)
    table, fits = found.table, list(subject.three)
    keys = list(dict.fromkeys(index[1:] for index in table.index))
    if len(keys) > MOST_EFFECTS:
        return
    rows, meanings = [], []
    for output, name, contrast in keys:
        rows.append([f"{name} on {found.labels[output]}" if len(found.labels) > 1 else name])
        for fit in fits:
            row = table.loc[(fit, output, name, contrast)]
            known = f" ({number(row['lower'])} to {number(row['upper'])})" if row["lower"] == row["lower"] else ""
            rows[-1].append(f"{number(row['effect'])}{known}")
        one = contrast == "sd"
        meanings.append(f"one standard deviation more, {number(row['change'])}" if one else f"from {contrast}")
    what = next(iter(found.labels.values())) if len(found.labels) == 1 else "the mean"
    yield Table(
        f"What a change of each input does to {what}, on average, with 90% intervals", ["", *fits], rows, meanings
    )


def _check(subject):
    """Say whether the data could have come from the fits, in words and as a picture."""
    data = subject.data if subject.held_out is not None else None
    last = list(subject.three.values())[-1]
    try:
        found = posterior_predictive_check(last, data=data, draws=CHECKED, random_seed=1)
    except BayesnnError as error:
        yield Text(f"Not checked: {error}", "note")
        return
    yield Text(f"Could the data have come from the fit? {found.message}")
    caption = (
        "The distribution of the predictive probabilities below what was observed, less that of uniform numbers: "
        "inside the band the intervals are as wide as they should be."
        if subject.problem.net.loss.task == "regression"
        else "How many rows have each value (bars), and how many the fit expects (marks)."
    )
    yield figure(partial(plot_ppc, subject.three, data=data, draws=CHECKED, random_seed=1), caption)


def _caption_fits(subject):
    p = subject.problem.X.shape[1]
    if p == 1 and subject.numbers:
        return "The function (line), what it may be (dark band) and where new observations lie (light band)."
    if p == 1:
        return "The probability of a label along the input."
    if p == 2 and not subject.numbers:
        return "The probability over both inputs, and where it changes sides."
    if subject.numbers:
        return "Predicted against observed: points on the diagonal are right; bars are 90% intervals."
    return "The probability that was given to the label that was true, sorted: high and flat is good."


def optima_section(subject: Subject) -> Section:
    """Say what became of the starts."""
    parts: list[Part] = []
    if not subject.points:
        parts.append(Text("No MLE or MAP was fitted, so that there was no search."))
    for name, fit in subject.points.items():
        kind = called(subject, name).removeprefix("the ")
        modes = subject.modes[name]
        found = modes.dataset
        parts.append(Text(f"{kind}. {fit.attrs['bayesnn_message']}"))
        parts.append(Text(f"{repr(modes)[:1].upper()}{repr(modes)[1:]}."))
        if "minimum" in str(fit.attrs["bayesnn_message"]):
            parts.append(Text("(A search minimises the negative logarithm: what it calls a minimum is a maximum.)"))
        n = found.sizes["optimum"]
        if n:
            rows = []
            for k in range(min(n, MOST_OPTIMA)):
                one = found.isel(optimum=k)
                copies = float(one["copies"])
                rows.append(
                    [
                        str(k + 1),
                        number(float(one["log_density"]), ".6g"),
                        str(int(one["starts"])),
                        number(copies, ".0f") if math.isfinite(copies) else "∞",
                        SIGNATURES.get(one["signature"].item(), one["signature"].item()),
                    ]
                )
            more = f" (the first {MOST_OPTIMA} of {n})" if n > MOST_OPTIMA else ""
            height = "log-likelihood" if kind == "MLE" else "log-likelihood + log-prior"
            head = ["optimum", height, "starts", "symmetric copies", "kind"]
            parts.append(Table(f"Where the starts of the {kind} ended{more}", head, rows))
        caption = (
            "Each dot is the end of one start, the best first; equal heights are mostly mirror images of one optimum."
        )
        parts.append(figure(partial(plot_optima, fit), caption))
    return Section("optima", "Optima, and what happened to the starts", parts)


def modes_section(subject: Subject) -> Section:
    """Count symmetric copies, and modes of the function with their shares."""
    post, group, copies = subject.post, subject.group, subject.group.order
    if copies == 1:
        parts: list[Part] = [Text("No rearrangement of this network keeps likelihood and prior: weights are unique.")]
    else:
        many = "a continuum" if copies == math.inf else f"{copies:,}" if copies < 10**15 else written_order(copies)
        parts = [
            Text(
                f"Hidden units have no names: rearranging them gives {many} sets of weights with the same function, "
                "likelihood and prior. Each optimum and each mode of the posterior comes in that many copies (fewer "
                "where units are equal), and no data can tell them apart."
            )
        ]
    if group.symmetries:
        rows = [
            [str(s.layer), s.words, written_order(s.order), "yes" if s.keeps_prior else "no"] for s in group.symmetries
        ]
        parts.append(
            Table("What may be done to the units", ["hidden layer", "what", "ways", "does the prior keep it?"], rows)
        )
    if post is None:
        parts.append(Text("There is no posterior here whose modes could be counted; those of the searches are above."))
        return Section("modes", "Symmetric copies and modes of the function", parts)
    modes = subject.modes[subject.answer]
    parts.append(Text(f"{modes!r}."))
    frame, tempered = modes.table, modes.dataset.attrs["sampler"] == "tempering"
    chains = [c for c in frame.columns if str(c).startswith("chain")]
    rows = [
        [f"{k + 1}", share_words(row.share, row.se), *(f"{frame.iloc[k][c]:.0%}" for c in chains)]
        for k, row in enumerate(frame.itertuples())
    ]
    label = "share of the posterior" if tempered else "share of the draws"
    names = [str(c).replace("chain", "system") if tempered else str(c) for c in chains]
    parts.append(Table("Modes of the function", ["mode", label, *names], rows))
    verdict = subject.verdict
    if verdict is not None and len(verdict.modes):
        missed, error = verdict.missed
        said = f"{missed:.1%} ± {error:.1%} of the posterior" if missed else "no mode of the function"
        parts.append(Text(f"By the tempered fit, which goes from mode to mode, the chains have missed {said}."))
    elif not tempered and len(frame) == 1:
        parts.append(Text('Chains can’t tell of a mode that none of them has found; sampler="tempering" would.'))
    if len(frame) > 1:
        caption = "What is left to tell apart when symmetry is taken away, and how often it was met."
        parts.append(figure(lambda: plot_modes(post), caption))
    return Section("modes", "Symmetric copies and modes of the function", parts)


def chains_section(subject: Subject) -> Section:
    """Give the verdict on the chains, with the three R-hats and the traces."""
    verdict, post = subject.verdict, subject.post
    if verdict is None or post is None:
        return Section("chains", "Can the chains be trusted?", [Text("There is no posterior, hence no chains.")])
    head, *_ = verdict.brief
    trust = "The predictions may be trusted." if verdict.trustworthy else "Do not trust the predictions."
    parts: list[Part] = [
        Text(f"{head[:1].upper()}{head[1:]}. {trust}", "good" if verdict.trustworthy else "bad"),
        Text(verdict.message),
        Text(f"Remedy: {verdict.remedy}"),
        *(Text(f"Note: {note}", "note") for note in verdict.notes),
    ]
    rows = [
        [
            SPACES[str(space)],
            number(r.rhat, ".3f"),
            r.worst or "–",
            number(r.ess_bulk, ".0f"),
            number(r.ess_tail, ".0f"),
            number(r.mcse, ".3f"),
        ]
        for space, r in verdict.table.iterrows()
    ]
    meanings = [
        "each weight as it was drawn: mirror images make chains disagree, harmlessly",
        "the same, folded onto one mirror image",
        "what the network computes: this decides whether predictions may be trusted",
    ]
    parts.append(
        Table(
            "The three R-hats, at most 1.01 where chains agree, and effective sample sizes, at least 400",
            ["", "largest R-hat", "at", "least ESS, bulk", "least ESS, tail", "largest error / sd"],
            rows,
            meanings,
        )
    )
    run = [
        f"{counted(verdict.chains, 'chain')} of {counted(verdict.draws, 'draw')}",
        f"{sum(verdict.divergences)} divergences",
        f"{verdict.images:,} of {subject_order(verdict.group_order)} mirror images visited",
    ]
    parts.append(Text(f"{'; '.join(run)}. {post.attrs.get('bayesnn_message', '')}"))
    caption = "Weights may keep to mirror images or jump between them; the function must look like one band of noise."
    shown = {name: fit for name, fit in subject.posteriors.items() if fit["posterior"].sizes["draw"] > 3}
    parts.append(figure(lambda: plot_traces(shown), caption))
    return Section("chains", "Can the chains be trusted?", parts)


def subject_order(n: int | float) -> str:
    """Write the order of a group, a huge one in two digits."""
    return "infinitely many" if n == math.inf else big(n)


def evidence_section(subject: Subject) -> Section:
    """Give the evidence and Occam's razor, where they were computed."""
    parts: list[Part] = [
        Text(
            "The evidence is the likelihood averaged over the prior. A larger network can fit more, and so its best "
            "likelihood is no lower; but it spreads its prior over more functions, of which fewer fit. Differences of "
            "log evidences compare networks of the same data: 3 nats are odds of 20 to 1."
        )
    ]
    known = {name: log_evidence(fit) for name, fit in subject.fits.items() if "bayesnn_log_evidence" in fit.attrs}
    for name, found in known.items():
        parts.append(Text(f"Log evidence of this network, by the fit “{name}”: {str(found).replace('-', '−')} nats."))
    table = subject.networks
    if table is not None:
        shown = table.shown()
        rows = [
            [str(name), *(str(v).replace("-", "−") for v in row)]
            for name, row in zip(shown.index, shown.to_numpy(), strict=True)
        ]
        parts += [
            Text(table.message),
            Table("Networks by their evidence", ["network", *map(str, shown.columns)], rows),
            figure(
                lambda: plot_evidence(table),
                "What the evidence prefers (left) and what the likelihood alone would take (right).",
            ),
        ]
    else:
        parts += [
            Text(
                "Other networks were not compared."
                if known
                else 'It was not computed here: it comes with sampler="tempering" and with a comparison of networks.'
            ),
            Code("bayesnn occam --hidden 0,1,2,3 --prior-sd 1,3", "On the command line"),
            Code("bnn.compare_networks([net, other], data)", "In Python; its table is what report(networks=...) takes"),
        ]
    return Section("evidence", "Evidence and Occam’s razor", parts)


def prior_section(subject: Subject) -> Section:
    """Say how far the prior moves the answer."""
    found = subject.sensitivity
    if isinstance(found, str):
        return Section("prior", "How much does the prior decide?", [Text(found)])
    rows = [
        [
            str(name),
            number(r.prior, ".3f"),
            number(r.likelihood, ".3f"),
            "as it should be" if r.diagnosis == "✓" else str(r.diagnosis),
        ]
        for name, r in found.table.iterrows()
    ]
    parts: list[Part] = [
        Text(found.message),
        Text(
            "Prior and likelihood were each raised to powers near 1, and the draws weighed anew. The numbers say how "
            "fast the distribution of a quantity moves; from 0.05 on it counts. f is the network’s output."
        ),
        Table(
            "Sensitivity to prior and likelihood", ["quantity", "to the prior", "to the likelihood", "verdict"], rows
        ),
        figure(
            lambda: plot_sensitivity(found),
            "Quantities to the right of the line depend on the prior.",
        ),
    ]
    return Section("prior", "How much does the prior decide?", parts)


def sections_of(subject: Subject) -> list[Section]:
    """Sections of this half, in their order."""
    makers = (fits_section, optima_section, modes_section, chains_section, evidence_section, prior_section)
    return [make(subject) for make in makers]


__all__ = ["sections_of"]
