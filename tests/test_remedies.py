"""What an error advises is done to the letter, and the fit then succeeds."""

import dataclasses
import re

import numpy as np
import pytest
from scipy import stats
from scipy.optimize import minimize_scalar

import bayesnn as bnn
from bayesnn.errors import (
    ConvergenceWarning,
    FitError,
    ImproperPriorError,
    NoMAPError,
    NoMLEError,
    SpecError,
    UnknownNameError,
)
from bayesnn.tree import params_of, problem_of
from tests.conftest import X5, X_NODE, Y5

# One divergence in thousands is rare, and stays one warning.
pytestmark = pytest.mark.filterwarnings("ignore:.*So few make no repetition")
SEPARATED = [0, 0, 1, 1, 1]
FIT_MAP, FIT_MLE, FIT_POSTERIOR = bnn.fit_map, bnn.fit_mle, bnn.fit_posterior
FUNCTIONS = {"fit_map": FIT_MAP, "fit_posterior": FIT_POSTERIOR}
POINT = (FIT_MAP, FIT_MLE)
TEN = np.arange(10.0)
BENT = np.where(TEN == 3, 5.0, 0.0) + 2 * TEN + 1
LINE = bnn.MLP(hidden=(), noise=0.3)
TWO = bnn.MLP(hidden=(1,), bias=False, noise=0.3)


def logit(hidden=(), **spec):
    return bnn.MLP(hidden=hidden, loss="binary_cross_entropy", **spec)


def fit(function, net, X, y, **options):
    """Fit with few restarts and a seed."""
    usual = {"random_seed": 1, "progressbar": False} | ({"restarts": 6} if function in POINT else {})
    return function(net, X, y, **usual | options)


def names(said, remedy):
    """Say whether a message has every piece of a remedy, or the words that stand for it."""
    return all(piece.split(" => ")[0] in said for piece in remedy.split("; "))


def follow(remedy, function, net, X, y, options):
    """Do what the words say: "fit_map; noise=0.1" fits a MAP with that noise, "Leave sampler out" does so."""
    options = dict(options)
    for piece in remedy.split("; "):
        piece = piece.split(" => ")[-1]
        if piece in FUNCTIONS:
            function = FUNCTIONS[piece]
        elif left := re.fullmatch(r"[Ll]eave (\w+) out", piece):
            # "It" is the option that the message is about.
            del options[left[1] if left[1] in options else next(iter(options))]
        elif meant := re.fullmatch(r"Did you mean '(\w+)'", piece):
            options[next(iter(options))] = meant[1]
        else:
            changes = eval(f"dict({piece})")
            fields = {f.name for f in dataclasses.fields(bnn.MLP)} & set(changes)
            net = dataclasses.replace(net, **{name: changes.pop(name) for name in fields})
            options |= changes
    return fit(function, net, X, y, **options)


def check(tree):
    """Hold a fit to what makes it one: a maximum that exists and was reached, or a posterior without complaints."""
    if tree.attrs["bayesnn_kind"] == "posterior":
        assert tree.attrs["bayesnn_divergences"] <= 1e-3 * tree.posterior.sizes["draw"] * tree.posterior.sizes["chain"]
        assert tree.attrs.get("bayesnn_function_rhat", 1.0) < 1.05
    else:
        assert tree.attrs["bayesnn_exists"] == 1
        assert tree.optima.converged.to_numpy()[tree.optima.attrs["best"]]
    assert np.isfinite(bnn.score(tree)["lppd"])


# Where there is no maximum: function, network, inputs, targets, words of the reason, remedies
PRIOR = "prior=bnn.Normal(1.0)"
NO_MAXIMUM = {
    "separated labels": (FIT_MLE, logit(bias=False), X_NODE, SEPARATED, "completely separated", [f"fit_map; {PRIOR}"]),
    "quasi-separated labels": (
        FIT_MLE,
        logit(),
        [-2, -1, 0, 0, 1, 2],
        [0, 0, 0, 1, 1, 1],
        "quasi-completely",
        [f"fit_map; {PRIOR}"],
    ),
    "separated classes": (
        FIT_MLE,
        bnn.MLP(hidden=(), loss="cross_entropy"),
        [-2, -1, 0, 1, 2, 3],
        [0, 0, 1, 1, 2, 2],
        "separated",
        [f"fit_map; {PRIOR}"],
    ),
    "separated grades": (
        FIT_MLE,
        bnn.MLP(hidden=(), loss="ordinal"),
        [-2, -1, 0, 1, 2, 3],
        [0, 0, 1, 1, 2, 2],
        "separated",
        [f"fit_map; {PRIOR}"],
    ),
    "counts of zero": (
        FIT_MLE,
        bnn.MLP(hidden=(), loss="poisson"),
        [0, 0, 1, 1],
        [1, 1, 0, 0],
        "zeros",
        [f"fit_map; {PRIOR}"],
    ),
    "labels that a hidden layer separates": (
        FIT_MLE,
        logit((2,)),
        X_NODE,
        SEPARATED,
        "separates the classes strictly",
        [f"fit_map; {PRIOR}"],
    ),
    "classes that a hidden layer separates": (
        FIT_MLE,
        bnn.MLP(hidden=(2,), loss="cross_entropy"),
        X_NODE,
        [0, 0, 1, 1, 2],
        "strictly",
        [f"fit_map; {PRIOR}"],
    ),
    "grades that a hidden layer separates": (
        FIT_MLE,
        bnn.MLP(hidden=(2,), loss="ordinal"),
        X_NODE,
        [0, 0, 1, 1, 2],
        "strictly",
        [f"fit_map; {PRIOR}"],
    ),
    "separated labels, hierarchical prior": (
        FIT_MLE,
        logit(prior=bnn.Hierarchical()),
        X_NODE,
        SEPARATED,
        "completely separated",
        [f"fit_map; {PRIOR}"],
    ),
    "a line through all points": (
        FIT_MLE,
        bnn.MLP(hidden=()),
        X5,
        2 * X5 + 1,
        "fits every target exactly",
        ["fit_map; noise=0.3", "fit_map; noise=bnn.InverseGamma(3.0, 0.8)"],
    ),
    "a line through all points, flat prior": (
        FIT_MLE,
        bnn.MLP(hidden=(), prior=bnn.Flat()),
        X5,
        2 * X5 + 1,
        "fits every target exactly",
        [f"fit_map; {PRIOR}; noise=0.3", f"fit_map; {PRIOR}; noise=bnn.InverseGamma(3.0, 0.8)"],
    ),
    "five points, three units": (
        FIT_MLE,
        bnn.MLP(hidden=(3,)),
        X5,
        Y5,
        "passes through the data",
        ["fit_map; noise=0.08", "fit_map; noise=bnn.InverseGamma(3.0, 0.2)"],
    ),
    "two targets, one noise": (
        FIT_MLE,
        bnn.MLP(hidden=(8,)),
        X5,
        np.column_stack([Y5, Y5**2]),
        "passes through the data",
        ["fit_map; noise=0.07", "fit_map; noise=bnn.InverseGamma(3.0, 0.2)"],
    ),
    "a heavy-tailed noise on nine of ten rows": (
        FIT_MLE,
        bnn.MLP(hidden=(), loss=bnn.losses.StudentT(nu=2.0)),
        TEN,
        BENT,
        "passes through the data",
        ["fit_map; noise=0.6", "fit_map; noise=bnn.InverseGamma(3.0, 2)"],
    ),
    "a noise that depends on the inputs": (
        FIT_MLE,
        bnn.MLP(hidden=(3,), loss="gaussian_nll"),
        X5,
        Y5,
        "passes through the data",
        [
            "fit_map; loss='squared_error'; noise=0.08",
            "fit_map; loss='squared_error'; noise=bnn.InverseGamma(3.0, 0.2)",
        ],
    ),
    "MAP, five points, three units": (
        FIT_MAP,
        bnn.MLP(hidden=(3,)),
        X5,
        Y5,
        "passes through the data",
        ["noise=0.08", "noise=bnn.InverseGamma(3.0, 0.2)"],
    ),
    "MAP, flat noise": (
        FIT_MAP,
        bnn.MLP(hidden=(3,), noise=bnn.HalfFlat(), prior=bnn.Normal(3.0)),
        X5,
        Y5,
        "passes through the data",
        ["noise=0.08", "noise=bnn.InverseGamma(3.0, 0.2)"],
    ),
    "MAP, flat weights, free noise": (
        FIT_MAP,
        bnn.MLP(hidden=(), prior=bnn.Flat()),
        X5,
        2 * X5 + 1,
        "fits every target exactly",
        [f"{PRIOR}; noise=0.3", f"{PRIOR}; noise=bnn.InverseGamma(3.0, 0.8)"],
    ),
    "MAP, flat weights, separated labels": (
        FIT_MAP,
        logit(bias=False, prior=bnn.Flat()),
        X_NODE,
        SEPARATED,
        "completely separated",
        [PRIOR],
    ),
    "MAP, flat biases, counts of zero": (
        FIT_MAP,
        bnn.MLP(hidden=(), loss="poisson", prior=bnn.Normal(1.0, bias=bnn.Flat())),
        X5,
        [0, 0, 0, 0, 0],
        "zeros",
        [PRIOR],
    ),
    "MAP, a noise that depends on the inputs": (
        FIT_MAP,
        bnn.MLP(hidden=(3,), loss="gaussian_nll", prior=bnn.StudentT(3.0)),
        X5,
        Y5,
        "passes through the data",
        ["loss='squared_error'; noise=0.08", "loss='squared_error'; noise=bnn.InverseGamma(3.0, 0.2)"],
    ),
}


@pytest.mark.parametrize("row", NO_MAXIMUM)
def test_what_is_advised_where_there_is_no_maximum_gives_one(row):
    function, net, X, y, reason, remedies = NO_MAXIMUM[row]
    with pytest.raises(NoMLEError if function is FIT_MLE else NoMAPError, match=reason) as caught:
        fit(function, net, X, y)
    said = str(caught.value)
    for remedy in remedies:
        assert names(said, remedy)
        check(follow(remedy, function, net, X, y, {}))
    assert "nonexistent='flag'" in said
    # The noise of a last iterate may have underflowed.
    with pytest.warns(ConvergenceWarning, match=reason), np.errstate(all="ignore"):
        tree = fit(function, net, X, y, nonexistent="flag")
    assert tree.attrs["bayesnn_exists"] == 0


def test_a_scale_that_is_learned_for_a_layer_has_no_map_but_what_is_advised():
    net = bnn.MLP(hidden=(1,), noise=0.3, prior=bnn.Hierarchical())
    with pytest.raises(NoMAPError, match=r"no peak. Use fit_posterior.*or a fixed scale, prior=bnn.Normal\(1.0\)"):
        fit(FIT_MAP, net, X5, Y5)
    check(follow(PRIOR, FIT_MAP, net, X5, Y5, {}))
    check(follow("fit_posterior; target_accept=0.99", FIT_MAP, net, X5, Y5, {}))


# Arguments and priors that are refused: function, network, targets, options, error, remedies
REFUSED = {
    "no finite density": (
        FIT_MLE,
        bnn.MLP(hidden=(), noise=1e-10),
        [1e149, -1e149, 1e149, 2e149, -1e149],
        {},
        FitError,
        ["scaling='standard'"],
    ),
    "nonexistent": (
        FIT_MAP,
        LINE,
        Y5,
        {"nonexistent": "ignore"},
        SpecError,
        ["'raise' => nonexistent='raise'", "'flag' => nonexistent='flag'"],
    ),
    "restarts": (FIT_MAP, LINE, Y5, {"restarts": 0}, SpecError, ["restarts=20"]),
    "sampler": (FIT_POSTERIOR, LINE, Y5, {"sampler": "nutpi"}, UnknownNameError, ["Did you mean 'nutpie'"]),
    "adaptation": (FIT_POSTERIOR, TWO, Y5, {"adaptation": "low_rnk"}, UnknownNameError, ["Did you mean 'low_rank'"]),
    "low rank": (
        FIT_POSTERIOR,
        TWO,
        Y5,
        {"adaptation": "low_rank", "sampler": "pymc"},
        SpecError,
        ["Leave sampler out"],
    ),
    "draws": (FIT_POSTERIOR, TWO, Y5, {"draws": 0}, SpecError, ["draws=1000", "leave it out"]),
    "tune": (FIT_POSTERIOR, TWO, Y5, {"tune": 10.5}, SpecError, ["tune=1000", "leave it out"]),
    "chains": (FIT_POSTERIOR, TWO, Y5, {"chains": True}, SpecError, ["chains=4", "leave it out"]),
    "cores": (FIT_POSTERIOR, TWO, Y5, {"cores": 0}, SpecError, ["cores=2", "leave it out"]),
    "target": (FIT_POSTERIOR, TWO, Y5, {"target_accept": 1.5}, SpecError, ["target_accept=0.95", "leave it out"]),
    "collapse": (
        FIT_POSTERIOR,
        bnn.MLP(hidden=(1,), bias=False, noise=0.3, prior=bnn.Laplace(1.0)),
        Y5,
        {"collapse": True},
        SpecError,
        ["Leave collapse out"],
    ),
    "flat weights": (
        FIT_POSTERIOR,
        bnn.MLP(hidden=(), noise=0.3, prior=bnn.Flat()),
        Y5,
        {},
        ImproperPriorError,
        [PRIOR, "fit_map"],
    ),
    "flat biases": (
        FIT_POSTERIOR,
        bnn.MLP(hidden=(), noise=0.3, prior=bnn.Normal(2.0, bias=bnn.Flat())),
        Y5,
        {},
        ImproperPriorError,
        [PRIOR, "fit_map"],
    ),
    "flat noise": (
        FIT_POSTERIOR,
        bnn.MLP(hidden=(), noise=bnn.HalfFlat()),
        Y5,
        {},
        ImproperPriorError,
        ["noise=bnn.HalfNormal(1.0)", "fit_map"],
    ),
    "flat weights and noise": (
        FIT_POSTERIOR,
        bnn.MLP(hidden=(), noise=bnn.HalfFlat(), prior=bnn.Flat()),
        Y5,
        {},
        ImproperPriorError,
        [f"{PRIOR}; noise=bnn.HalfNormal(1.0)", "fit_map"],
    ),
}


@pytest.mark.parametrize("row", REFUSED)
def test_what_is_advised_where_a_fit_is_refused_is_accepted(row):
    function, net, y, options, error, remedies = REFUSED[row]
    with pytest.raises(error) as caught:
        fit(function, net, X5, y, **options)
    said = str(caught.value)
    for remedy in remedies:
        assert names(said, remedy)
        # A run of two weights diverges now and then where its target is not chosen by itself.
        calm = {"target_accept": 0.95} if function is FIT_POSTERIOR and "target_accept" not in options else {}
        check(follow(remedy, function, net, X5, y, {**options, **(calm if "fit_map" not in remedy else {})}))


# Posteriors that complain: network, options, words of the complaint, remedies
COMPLAINTS = {
    "divergences": (TWO, {"target_accept": 0.8}, "draws diverged", ["target_accept=0.95", "leave it out"]),
    "divergences at a high target": (
        bnn.MLP(hidden=(3,), noise=0.007, prior=bnn.Normal(1.5)),
        {"target_accept": 0.9},
        "draws diverged",
        ["target_accept=0.95", "leave it out"],
    ),
    "divergences of a noise near zero": (
        bnn.MLP(hidden=(3,)),
        {},
        "at 0.99",
        ["noise=0.08", "noise=bnn.InverseGamma(3.0, 0.2)"],
    ),
    "divergences of a learned scale": (
        bnn.MLP(hidden=(3,), prior=bnn.Hierarchical()),
        {},
        "at 0.99",
        [f"noise=0.08; {PRIOR}", f"noise=bnn.InverseGamma(3.0, 0.2); {PRIOR}"],
    ),
    "chains that are too short": (
        bnn.MLP(hidden=(2,), noise=0.3),
        {"draws": 20, "tune": 20},
        "disagree about the function",
        ["draws=1000; tune=1000"],
    ),
}


# What is advised may leave as few divergences as `check` allows.
@pytest.mark.filterwarnings("ignore:[1-4] of 4000 draws diverged")
@pytest.mark.parametrize("row", COMPLAINTS)
def test_what_is_advised_where_a_posterior_complains_calms_it(row):
    net, options, complaint, remedies = COMPLAINTS[row]
    with pytest.warns(ConvergenceWarning, match=complaint) as told:
        fit(FIT_POSTERIOR, net, X5, Y5, **options)
    said = " ".join(str(w.message) for w in told)
    for remedy in remedies:
        assert names(said, remedy)
        check(follow(remedy, FIT_POSTERIOR, net, X5, Y5, options))


def test_a_narrower_prior_calms_a_posterior_of_a_known_noise():
    net = bnn.MLP(hidden=(3,), noise=0.01, prior=bnn.Normal(10.0))
    with pytest.warns(ConvergenceWarning, match="at 0.99.*Use a narrower prior"):
        fit(FIT_POSTERIOR, net, X5, Y5)
    check(fit(FIT_POSTERIOR, dataclasses.replace(net, prior=bnn.Normal(1.0)), X5, Y5))


def test_more_iterations_are_what_a_search_that_ended_early_needs(sine, sine_net):
    with pytest.warns(ConvergenceWarning, match="Raise maxiter"):
        fit(FIT_MAP, sine_net, sine.X, sine.y, maxiter=1)
    check(fit(FIT_MAP, sine_net, sine.X, sine.y, maxiter=2000))


def test_an_answer_that_is_not_known_is_asked_for_as_advised():
    unknown = bnn.mle_exists(bnn.MLP(hidden=(1,)), X5, Y5)
    with pytest.raises(TypeError, match=r"`\.exists is None`"):
        bool(unknown)
    assert unknown.exists is None


def test_a_noise_that_is_kept_from_zero_is_not_taken_for_one_that_vanishes():
    # Without residuals the MAP of the noise is exp(mu - (n + 1) sigma^2): small, and a maximum all the same.
    net = bnn.MLP(hidden=(), noise=bnn.LogNormal(-1.0, 1.2), prior=bnn.Flat())
    x = np.linspace(-2.0, 2.0, 9)
    tree = fit(FIT_MAP, net, x, 2 * x + 1)
    check(tree)
    assert tree.posterior.noise.item() == pytest.approx(np.exp(-1 - 10 * 1.2**2), rel=1e-6)
    assert tree.posterior.noise.item() < 1e-5 * np.std(2 * x + 1)


@pytest.mark.parametrize("noise", [bnn.LogNormal(-1.5, 0.5), bnn.InverseGamma(3.0, 0.3)], ids=repr)
def test_a_noise_prior_that_vanishes_at_zero_leaves_every_answer(noise, tmp_path):
    net = bnn.MLP(hidden=(3,), noise=noise)
    map_ = fit(bnn.fit_map, net, X5, Y5, restarts=6)
    assert map_.attrs["bayesnn_exists"] == 1
    assert "6 of 6 starts converged;" in map_.attrs["bayesnn_message"]
    assert "(6 minimum)" in map_.attrs["bayesnn_message"]
    # Given the residuals, the best noise solves one equation in one unknown.
    r = Y5 - net.forward(params_of(map_), X5[:, None])[0, 0, :, 0]
    oracle = (
        stats.lognorm(0.5, scale=np.exp(-1.5)) if isinstance(noise, bnn.LogNormal) else stats.invgamma(3, scale=0.3)
    )
    u = minimize_scalar(
        lambda u: -(stats.norm(0, np.exp(u)).logpdf(r).sum() + oracle.logpdf(np.exp(u))),
        bounds=(-6, 1),
        options={"xatol": 1e-10},
    ).x
    assert map_.posterior.noise.item() == pytest.approx(np.exp(u), rel=1e-6)
    post = bnn.fit_posterior(net, X5, Y5, draws=300, tune=500, target_accept=0.97, random_seed=1, progressbar=False)
    assert post.posterior.noise.to_numpy().min() > 0.01
    table = bnn.compare(map_, post)
    assert np.isfinite(table.loc[["log-likelihood", "log-prior", "noise"]].to_numpy()).all()
    for tree in (map_, post):
        back = bnn.load_fit(bnn.save_fit(tree, tmp_path / "fit.nc"))
        assert problem_of(back).net == net
        assert bnn.score(back) == bnn.score(tree)
