"""What was asked, the answer in three sentences, and what to do next: words made of the numbers of these fits."""

import math

import numpy as np

from bayesnn.data.target import known_of, values_of
from bayesnn.reporting.parts import counted, listed, number
from bayesnn.reporting.subject import Subject
from bayesnn.tree import approximation_of, is_unbounded, kind_of

CLEAR = 2.0
"""Standard errors from which a difference is called clear."""
COVERAGE = 0.9
"""Probability of the intervals whose coverage is looked at."""
KINDS = {"mle": "the MLE", "map": "the MAP", "posterior": "the posterior"}


def called(subject: Subject, name: str) -> str:
    """Call a fit in a sentence: "the MLE", "the posterior"."""
    fit = subject.fits[name]
    return f"the {approximation_of(fit)}" if approximation_of(fit) else KINDS[kind_of(fit)]


def question(subject: Subject) -> str:
    """Say what was asked."""
    p, task = len(subject.features), subject.problem.net.loss.task
    inputs = f"the {counted(p, 'input')} {listed(subject.features)}" if p else "no inputs"
    kinds = {kind_of(fit) for fit in subject.fits.values()}
    words = {
        "mle": "the weights under which the data are most likely (MLE)",
        "map": "the most probable weights under a prior (MAP)",
        "posterior": "all weights, each by its probability (posterior)",
    }
    asked = [text for kind, text in words.items() if kind in kinds]
    what = {
        "regression": f"How does {subject.target} depend on",
        "count": f"How does the count {subject.target} depend on",
    }.get(task, f"How probable is each label{'' if subject.data is None else f' of {subject.target}'}, given")
    if len(asked) == 1:
        return f"{what} {inputs}, as a small neural network answers with {asked[0]}?"
    return (
        f"{what} {inputs}, and what difference does it make whether a small neural network answers with "
        f"{', with '.join(asked[:-1])} or with {asked[-1]}?"
    )


def three_sentences(subject: Subject) -> list[str]:
    """Answer in three sentences: which predicts best, why they differ, what may be trusted."""
    return [_predicts(subject), _differs(subject), _trusted(subject)]


def _capital(text):
    return text[:1].upper() + text[1:]


def _predicts(subject):
    """Which fit gives new rows the highest density, and whether the difference is more than chance."""
    if subject.held_out is None:
        name = next(reversed(subject.three))
        return (
            f"No rows were held out, so that nothing here says how well new rows are predicted; {_level(subject, name)}"
            " on the rows that were fitted."
        )
    densities = {name: d for name, d in subject.densities.items() if np.isfinite(d).all()}
    n = counted(len(subject.held_out[0]), "held-out row")
    if not densities:
        return f"No fit gives a finite density to each of {n}."
    order = sorted(densities, key=lambda name: -densities[name].mean())
    best, *others = order
    said = f"{number(densities[best].mean(), '.3f')} nats a row"
    if not others:
        return f"On {n}, {_level(subject, best)}, and the log density is {said}."
    gaps = []
    for name in others:
        gap = densities[best] - densities[name]
        error = gap.std(ddof=1) / math.sqrt(len(gap)) if len(gap) > 1 else math.nan
        clear = gap.mean() > CLEAR * error
        chance = "" if clear else " (which may be chance)"
        gaps.append(f"{number(gap.mean(), '.3f')} ± {number(error, '.3f')} above {called(subject, name)}{chance}")
    return (
        f"On {n} {called(subject, best)} predicts best: its log density is {said}, {' and '.join(gaps)}; "
        f"{_level(subject, best, short=True)}."
    )


def _level(subject, name, *, short=False):
    """How good predictions are in units that a reader knows, beside those that know nothing of the inputs."""
    found, (bare, words) = subject.scores[name], baseline(subject)
    if "rmse" in found:
        what = f"a root mean square error of {number(found['rmse'])}"
    else:
        what = f"{number(100 * found['accuracy'], '.1f')}% of the labels right"
    who = "it has" if short else f"{called(subject, name)} has"
    return f"{who} {what} ({words} {number(bare)}{'' if 'rmse' in found else '%'})"


def baseline(subject: Subject) -> tuple[float, str]:
    """Score of a prediction that ignores the inputs: the training mean, or the most common label.

    Parameters
    ----------
    subject : Subject
        The fits.

    Returns
    -------
    score : float
        Root mean square error, or percentage right, on the rows of `Subject.scores`.
    words : str
        What it is.
    """
    (_, y), rows = subject.rows, subject.held_out
    target = y if rows is None else rows[1]
    if subject.numbers and not {"exposure", "trials"} & set(known_of(subject.problem.y)):
        left = values_of(target) - np.mean(y, axis=0)
        return float(np.sqrt(np.mean(left**2))), "always predicting the training mean has"
    if subject.numbers:
        trained, tried = subject.problem.y, subject.problem.y if rows is None else rows[1]
        name = "exposure" if "exposure" in known_of(trained) else "trials"
        rate = trained["y"].sum() / trained[name].sum()
        left = tried["y"] - rate * tried[name]
        return float(np.sqrt(np.mean(left**2))), "always predicting the training rate has"
    common = np.bincount(y.astype(int)).argmax()
    return 100 * float(np.mean(target == common)), "always naming the most common label has"


def _differs(subject):
    """Why the three differ: what the prior takes, what averaging takes."""
    heights, table = subject.likelihoods, subject.table
    norm = next(row for row in table.index if row.startswith("weight norm"))
    of = {kind: next((n for n, f in subject.three.items() if kind_of(f) == kind), None) for kind in KINDS}
    mle, map_, post = of["mle"], of["map"], of["posterior"]
    missing = ""
    if mle is not None and (fit := subject.fits[mle]).attrs.get("bayesnn_exists", 1) == 0:
        # What is there in its place.
        if is_unbounded(fit):
            missing = f"There is no MLE: {_reason(fit)}"
        else:
            missing = (
                f"There is no MLE: the log-likelihood rises towards {number(heights[mle])} as weights grow without "
                "bound"
            )
    parts = []
    if mle and map_ and math.isfinite(heights[mle]):
        given = f"the prior makes the MAP give up {number(heights[mle] - heights[map_], '.2f')} nats of log-likelihood"
        shorter = f"shrinks the weights from length {number(table.loc[norm, mle])} to {number(table.loc[norm, map_])}"
        parts.append(f"{given} and {shorter}" if not missing else f"{given} for weights of finite length")
    elif map_:
        parts.append(
            f"the MAP has log-likelihood {number(heights[map_])} at weights of length {number(table.loc[norm, map_])}"
        )
    elif mle and not missing:
        parts.append(
            f"the MLE has log-likelihood {number(heights[mle])} at weights of length {number(table.loc[norm, mle])}"
        )
    if post:
        lower = map_ or mle
        if lower and math.isfinite(heights[lower]):
            gap = heights[lower] - heights[post]
            lost = f"{number(abs(gap), '.2f')} nats {'below' if gap >= 0 else 'above'} {called(subject, lower)}"
            parts.append(f"{called(subject, post)} is {lost} on average, since it takes in all that is probable")
        else:
            parts.append(f"{called(subject, post)} has log-likelihood {number(heights[post])} on average")
    said = _capital("; ".join([missing] * bool(missing) + parts))
    return f"{said}{_coverage(subject, post)}."


def _reason(fit):
    return str(fit.attrs.get("bayesnn_existence", "the density grows without bound")).partition(";")[0].rstrip(".")


def _coverage(subject, post):
    """How many held-out rows the intervals hold."""
    shares = {
        name: found["coverage_90"]
        for name, found in subject.scores.items()
        if math.isfinite(found.get("coverage_90", math.nan))
    }
    if subject.held_out is None or not shares:
        return ""
    order = [post] * (post in shares) + [name for name in shares if name != post]
    words = [f"{100 * shares[name]:.0f}% ({called(subject, name).removeprefix('the ')})" for name in order]
    return (
        f", and its 90% intervals hold {words[0]} of the held-out rows"
        if len(words) == 1
        else (f"; of the held-out rows the 90% intervals hold {listed(words)}")
    )


def _trusted(subject):
    """Say what may be trusted."""
    verdict, copies = subject.verdict, subject.group.order
    if verdict is None:
        (name, fit), *_ = list(subject.points.items())[::-1]
        brief = str(fit.attrs.get("bayesnn_brief", fit.attrs.get("bayesnn_message", ""))).rstrip(".")
        return f"Of {called(subject, name)}'s search: {brief}; how sure the function is, only a posterior tells."
    rhat, ess = number(verdict.rhat_function, ".3f"), number(verdict.ess_function, ",.0f")
    if not verdict.trustworthy:
        head, _, remedy = verdict.brief
        repair = _lower(remedy.partition("Remedy: ")[2])
        return f"The posterior's predictions are not to be trusted: {_lower(head)}; {repair}"
    said = (
        f"The chains agree about the function (R-hat {rhat}, effective sample size {ess}), so that its predictions may "
        "be trusted"
    )
    if copies == 1:
        return f"{said}, and so may single weights, since no rearrangement gives the same function."
    many = "endlessly many" if math.isinf(copies) else f"{int(copies):,}"
    return f"{said}; single weights may not be read, since {many} sets of weights give each function."


def _lower(text):
    return text[:1].lower() + text[1:]


def next_steps(subject: Subject) -> list[tuple[str, str]]:
    """List what to do next, the most urgent first, each with its reason."""
    steps = [*_of_chains(subject), *_of_points(subject), *_of_rows(subject), *_of_prior(subject), *_missing(subject)]
    verdict = subject.verdict
    if verdict is not None and verdict.trustworthy:
        steps.append(("Predict new rows", "bnn.predict(post, X_new): mean, interval and the parts of the variance."))
    return steps


def _of_chains(subject):
    verdict = subject.verdict
    if verdict is None:
        return
    if not verdict.trustworthy:
        yield "Repair the posterior before using it", verdict.remedy
    elif more := verdict.remedy.removeprefix("None is needed for predictions.").removeprefix("None is needed.").strip():
        yield "Read weights with care", more
    for note in verdict.notes:
        yield "Note on the chains", note


def _of_points(subject):
    for name, fit in subject.points.items():
        exists, kind = fit.attrs.get("bayesnn_exists", 1), called(subject, name).removeprefix("the ")
        if exists == 0:
            other = "Report MAP or posterior in its place" if kind == "MLE" else "Give noise or weights another prior"
            yield f"Do not report an {kind}", f"It does not exist: {_reason(fit)}. {other}."
            continue
        if exists != 1:
            yield f"Find out whether the {kind} exists", f"{_reason(fit)}. More restarts may tell."
        found = subject.modes[name].dataset
        n = found.sizes["start"]
        best = int(found["starts"].to_numpy()[0]) if found.sizes["optimum"] else 0
        if best * 2 < n:
            yield (
                f"Search longer for the {kind}",
                f"{best} of {counted(n, 'start')} reached the best optimum; take restarts={5 * n} and see whether a "
                "better one is found.",
            )


def _of_rows(subject):
    if subject.held_out is None:
        yield "Hold rows out", "bnn.load_data keeps a fifth of a table back; without such rows overfitting is not seen."
        return
    found, n = subject.scores.get(subject.answer, {}), len(subject.held_out[0])
    share, chance = found.get("coverage_90", math.nan), math.sqrt(COVERAGE * (1 - COVERAGE) / n)
    if abs(share - COVERAGE) > CLEAR * chance:
        narrow = share < COVERAGE
        yield (
            f"{'Widen' if narrow else 'Narrow'} the intervals",
            f"They hold {share:.0%} of {n} held-out rows where 90% ± {chance:.0%} were due: the "
            f"{'likelihood has too light tails, or the network misses something' if narrow else 'noise is too large'}; "
            "try another loss, or learn the noise.",
        )


def _of_prior(subject):
    found = subject.sensitivity
    if not isinstance(found, str) and not found.message.startswith("None of"):
        yield "Look at the prior", found.message


def _missing(subject):
    kinds = {kind_of(fit) for fit in subject.fits.values()}
    calls = {"mle": "bnn.fit_mle", "map": "bnn.fit_map", "posterior": "bnn.fit_posterior"}
    why = {
        "mle": "what the likelihood says without a prior",
        "map": "what the prior changes",
        "posterior": "how sure the function is",
    }
    for kind, call in calls.items():
        if kind not in kinds and not (kind == "map" and subject.problem.net.prior.has_learned_scale):
            yield f"Fit {KINDS[kind]} too", f"{call}(net, X, y) shows {why[kind]}."
    if subject.networks is None and subject.problem.net.proper:
        yield (
            "Ask whether the network has the right size",
            "bnn.compare_networks, or bayesnn occam, weighs widths and priors by their evidence.",
        )
