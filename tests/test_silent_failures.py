"""What would go wrong without a word: each fault is planted, and a detector that users run must name it.

| fault | detector |
|---|---|
| gradient: sign of an element, a factor of 1.01 on one or on all | every fit, `DensityError` |
| scale of the prior times 1.3, variance for standard deviation | every fit, `DensityError` |
| the same in every form of the prior alike | `validate_sampler` |
| a prior of one's own that tells PyMC another density than NumPy | every fit, `DensityError` |
| scale of the likelihood, units of the noise | every fit, `DensityError`; of draws `identities` (in `diagnose` too) |
| Jacobian of the logarithm of the noise left out | every fit, `DensityError`; of draws `identities` |
| a stale binary, the binary of another activation | every fit, `DensityError`; no key without the stamp of the source |
| the optimiser left at a saddle, or stopped on the way | audit of `optima`, `ConvergenceWarning` |
| noise that collapses | `NoMLEError`; of draws `identities` |
| a stuck chain, one chain counted twice, draws that are no numbers | `diagnose` |
| a mode of the function that no chain is in | `diagnose(reference=)`: R-hat and the identities can't know |
| logits that overflow | `verify_loss`; a formula is refused when it is made |
| a loss that inherits what is not its own | `verify_loss` |
| a property by name: odd, gaussian, even, shift of logits | the formula decides |
| a fit by a newer version, without one of its parts, with the weights of another network | `load_fit` |
| permuted columns | put right by their names, refused where names are missing |

Nothing can know: columns permuted in an array without names; a mode that neither chains nor tempering have found.
"""

import warnings
from dataclasses import dataclass, replace

import numpy as np
import pymc as pm
import pytensor.tensor as pt
import pytest
import xarray as xr
from scipy import stats
from scipy.special import softmax

import bayesnn as bnn
from bayesnn.errors import ConvergenceWarning, DataError, DensityError, NoMLEError, SpecError
from bayesnn.fitting import climb, density, point
from bayesnn.fitting.density import Layout, has_kernels, log_density
from bayesnn.losses import CrossEntropy, ResidualLoss, SquaredError
from bayesnn.ops import callback, forms
from bayesnn.ops.density import NOISE, Density
from bayesnn.priors import PenaltyPrior
from bayesnn.theory import identities, validate_sampler
from bayesnn.tree import params_of, prepare, problem_of
from tests.conftest import X5, Y5, tree_of

ONE = bnn.MLP((1,), noise=0.3, prior=bnn.Normal(2.0))
QUIET = {"random_seed": 1, "progressbar": False}


# --- what is compiled, and what is told to PyMC


def of_gradient(change):
    def plant(patch):
        run = Density._run

        def wrong(self, thetas, table):
            values, slopes = run(self, thetas, table)
            return values, change(slopes)

        patch.setattr(Density, "_run", wrong)

    return plant


def of_rates(change):
    def plant(patch):
        rates = Layout.rates
        patch.setattr(Layout, "rates", lambda self, prior: change(rates(self, prior)))

    return plant


def twice_the_noise(patch):
    init = Density.__init__

    def wrong(self, *args, **kwargs):
        init(self, *args, **kwargs)
        self.numbers[NOISE] *= 2

    patch.setattr(Density, "__init__", wrong)


def no_jacobian(patch):
    init = density.FusedDensity.__init__

    def wrong(self, problem, *, jacobian, **kwargs):
        init(self, problem, jacobian=False, **kwargs)

    patch.setattr(density.FusedDensity, "__init__", wrong)


def another_binary(patch):
    """What a cache without the right key would hand out: the binary of another formula."""
    erf = bnn.activations.ACTIVATIONS["erf"]
    patch.setattr("bayesnn.ops.density.activation_of", lambda phi: forms.activation_of(erf))


def fits(net=ONE):
    """Complaint of a fit: of any, as all of them take their density from one place."""
    try:
        log_density(prepare(net, X5, Y5), jacobian=True)
    except DensityError as error:
        return str(error)
    return ""


@pytest.mark.parametrize(
    ("plant", "says"),
    [
        (of_gradient(lambda g: g * [1, -1, *[1] * (g.shape[1] - 2)]), "compiled gradient of the log-likelihood"),
        (of_gradient(lambda g: g * [1.01, *[1] * (g.shape[1] - 1)]), "compiled gradient"),
        (of_gradient(lambda g: g * 1.01), "compiled gradient"),
        (of_rates(lambda rates: rates / 1.3**2), "compiled log-prior"),
        (of_rates(lambda rates: 2 * rates**2), "compiled log-prior"),
        (twice_the_noise, "compiled log-likelihood"),
        (another_binary, "compiled log-likelihood"),
    ],
    ids=["sign", "factor of one", "factor of all", "prior scale", "variance for sd", "noise", "another binary"],
)
def test_a_density_that_is_not_numpys_is_not_fitted(plant, says, monkeypatch):
    assert fits() == ""
    plant(monkeypatch)
    assert says in fits()
    assert "Delete" in fits()
    with pytest.raises(DensityError, match="they must be one number"):
        bnn.fit_map(ONE, X5, Y5, restarts=1, **QUIET)


@pytest.mark.parametrize(
    ("net", "says"),
    [
        (bnn.MLP((1,), prior=bnn.Normal(2.0)), "compiled log-prior"),
        (bnn.MLP((1,), prior=bnn.Hierarchical(1.0)), "compiled log-prior"),
    ],
    ids=["noise", "scales"],
)
def test_a_jacobian_left_out_is_refused(net, says, monkeypatch):
    assert fits(net) == ""
    no_jacobian(monkeypatch)
    assert says in fits(net)


@pytest.mark.parametrize("plant", [of_gradient(lambda g: g * 1.01), twice_the_noise], ids=["gradient", "noise"])
@pytest.mark.parametrize("targets", [1, 2])
def test_an_output_layer_that_is_integrated_out_is_looked_at_too(plant, targets, monkeypatch):
    net = ONE if targets == 1 else replace(ONE, bias=False)
    problem = prepare(net, X5, Y5 if targets == 1 else np.stack([Y5, -X5], axis=1))
    log_density(problem, jacobian=True, collapse=True)
    plant(monkeypatch)
    with pytest.raises(DensityError, match="log-likelihood"):
        log_density(problem, jacobian=True, collapse=True)


def test_many_rows_are_looked_at_by_some_of_them(monkeypatch):
    X, y = np.linspace(-1, 1, 20_000)[:, None], np.r_[np.zeros(19_999), 1].astype(int)
    problem = prepare(bnn.MLP((2,), loss="ordinal"), X, y)
    assert log_density(problem, jacobian=False).density.inputs.size > 20_000
    # Where NumPy has no number there is nothing to compare, and fits say so themselves.
    loud = prepare(bnn.MLP((), loss="squared_error", noise=1e-50), X, 1e140 * np.stack([y, -y], axis=1))
    assert log_density(loud, jacobian=False)(np.ones(4))[0] == -np.inf
    twice_the_noise(monkeypatch)
    with pytest.raises(DensityError):
        log_density(prepare(ONE, X, y), jacobian=False)


@dataclass(frozen=True, repr=False)
class Scaled(bnn.priors.Prior):
    """A normal prior from outside, with what it tells PyMC for a standard deviation."""

    sd: float = 1.3
    power: int = 1

    def _log_density(self, z):
        return stats.norm.logpdf(z, scale=self.sd)

    def _rv(self, name, factor, dims):
        return pm.Normal(name, 0.0, np.float64(self.sd**self.power * factor), dims=dims)


def test_a_prior_that_tells_pymc_a_variance_is_refused():
    net = bnn.MLP((), noise=0.3, prior=Scaled())
    assert fits(net) == ""
    said = fits(replace(net, prior=Scaled(power=2)))
    assert "compiled log density" in said
    assert "Scaled(sd=1.3, power=2) tells PyMC (_rv, observe) and NumPy (_log_density, loss)" in said


# A function of a module, as a sampler is a function of four arguments.
def tempering(net, X, y, random_seed):
    return bnn.fit_posterior(net, X, y, sampler="tempering", cores=1, random_seed=random_seed, progressbar=False)


def test_a_prior_that_is_wrong_everywhere_alike_is_found_by_what_is_exact(monkeypatch):
    check = {"sampler": tempering, "references": ["line"], **QUIET}
    assert validate_sampler(**check).valid
    energy, density_of, rv = bnn.Normal._energy, bnn.Normal._log_density, bnn.Normal._rv
    monkeypatch.setattr(bnn.Normal, "_energy", property(lambda self: tuple(np.array(energy.fget(self)) / 1.3**2)))
    monkeypatch.setattr(bnn.Normal, "_log_density", lambda self, z: density_of(self, z / 1.3) - np.log(1.3))
    monkeypatch.setattr(bnn.Normal, "_rv", lambda self, name, factor, dims: rv(self, name, 1.3 * factor, dims))
    monkeypatch.setattr("bayesnn.model.output_scales", lambda problem: np.full(2, 1.3))
    monkeypatch.setattr("bayesnn.fitting.density.output_scales", lambda problem: np.full(2, 1.3))
    assert fits(bnn.MLP((), noise=0.3)) == ""
    assert "WRONG in 1 of 1 references (line)" in validate_sampler(**check).message


def test_no_compiled_function_is_kept_without_the_stamp_of_the_source(monkeypatch):
    keys = []
    monkeypatch.setattr(forms, "c_function", lambda source, name, arguments, names, key: keys.append(key))
    for make in (forms._by_hand, forms._pull, forms._elementwise, forms.penalty_of, forms.activation_of):
        monkeypatch.setattr(forms, make.__name__, make.__wrapped__)
    formulas = [bnn.Activation("mine", f) for f in (lambda z: z / (1 + abs(z)), lambda z: z / (1 + 2 * abs(z)))]
    for phi in formulas:
        forms.activation_of(phi)
    forms._by_hand("cross_entropy")
    losses = [ResidualLoss("mine", lambda u: u**2), ResidualLoss("mine", lambda u: 2 * u**2)]
    priors = [PenaltyPrior("mine", lambda w: w**2), PenaltyPrior("mine", lambda w: 2 * w**2)]
    for thing in losses:
        forms.likelihood_of(thing)
    for thing in priors:
        forms.penalty_of(thing.formula)
    assert all(key.endswith(callback.VERSION) for key in keys)
    mine = [key for key in keys if key.startswith(("activation", "likelihood", "penalty"))]
    assert len(set(mine)) == len(mine) == 7


def test_a_changed_formula_of_the_same_name_gives_other_numbers():
    def at_one(unit):
        net = bnn.MLP((1,), bnn.Activation("mine", unit), noise=0.3)
        found = log_density(prepare(net, X5, Y5), jacobian=False)
        x = np.full(found.size, 0.7)
        params = found.unpack(x)
        return found(x)[0], float(net.log_likelihood(params, X5[:, None], Y5).sum() + net.log_prior(params))

    (old, exact), (new, other) = at_one(lambda z: z / (1 + abs(z))), at_one(lambda z: z / (1 + 2 * abs(z)))
    assert old == pytest.approx(exact, rel=1e-12)
    assert new == pytest.approx(other, rel=1e-12)
    assert abs(old - new) > 0.1


def test_the_key_is_what_keeps_a_stale_binary_out():
    source = "def twice(a0):\n    return kernel(a0)\n"
    old, new = (_times(by) for by in (2, 3))
    arguments = (callback.types.int64,)

    def value(function, key):
        return callback.c_function(source, "twice", arguments, {"kernel": function}, key).ctypes(5)

    assert value(old, f"silent-{callback.VERSION}-2") == 10
    assert value(new, f"silent-{callback.VERSION}-2") == 10, "the fault: one key for two functions"
    assert value(new, f"silent-{callback.VERSION}-3") == 15


def _times(by):
    import numba

    return numba.njit(lambda x: by * x)


def test_edited_source_has_another_version(tmp_path):
    file = tmp_path / "simd.py"
    file.write_text("tanh = 1\n")
    before = callback.version_of([file])
    assert callback.version_of([file]) == before
    file.write_text("tanh = 2\n")
    assert callback.version_of([file]) != before


# --- the audit of optima


def told(call):
    """Result of a call, and what it warned of convergence."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", ConvergenceWarning)
        result = call()
    return result, " ".join(str(w.message) for w in caught)


def test_an_optimiser_left_at_the_saddle_is_audited(two_weights, monkeypatch):
    def fit():
        return bnn.fit_map(two_weights, X5, Y5, restarts=4, **QUIET)

    right, said = told(fit)
    assert said == ""
    assert set(right["optima"]["signature"].values) == {"minimum"}
    # Zero weights, where pm.find_MAP starts: the gradient vanishes, and no optimiser moves.
    monkeypatch.setattr(point, "starts", lambda problem, objective, n, rng: np.zeros((n, objective.size)))
    wrong, said = told(fit)
    assert set(wrong["optima"]["signature"].values) == {"saddle"}
    assert not wrong["optima"]["converged"].any()
    assert float(wrong["optima"]["gradient_norm"].max()) < 1e-8, "the gradient alone would not tell"
    assert "has not converged" in said


def test_an_optimiser_that_stops_on_the_way_is_audited(two_weights, monkeypatch):
    monkeypatch.setattr(climb, "newton", lambda objective, x, kinks, **_: x)
    for module in (point, climb):
        monkeypatch.setattr(module, "settle", lambda objective, x, kinks: x)
    monkeypatch.setattr(point, "newton", lambda objective, x, kinks, **_: x)
    monkeypatch.setattr(point, "_finish", lambda problem, objective, best, kinks: (best, {}))
    fit, said = told(lambda: bnn.fit_map(two_weights, X5, Y5, restarts=2, maxiter=2, **QUIET))
    assert "has not converged (gradient norm" in said
    assert not fit["optima"]["converged"].any()


def test_a_noise_that_collapses_has_no_mle():
    net = bnn.MLP((), noise=None)
    with pytest.raises(NoMLEError, match="No MLE exists"):
        bnn.fit_mle(net, X5, 2 * X5, restarts=2, **QUIET)
    assert bnn.fit_mle(net, X5, Y5, restarts=2, **QUIET).attrs["bayesnn_exists"] == 1


# --- draws


@pytest.fixture(scope="module")
def right():
    """Draws of a line and its noise, whose posterior is normal and gamma without a prior to speak of: 4 chains."""
    rng = np.random.default_rng(5)
    n, k = 40, 2
    x = np.linspace(-2, 2, n)
    y = 0.5 * x + 0.3 * rng.normal(size=n)
    A = np.stack([x, np.ones(n)], axis=1)
    gram = np.linalg.inv(A.T @ A)
    best = gram @ A.T @ y
    # p(s) = 1 / s: the posterior of the precision is a gamma density.
    precision = rng.gamma((n - k) / 2, 2 / ((y - A @ best) @ (y - A @ best)), size=(4, 1000))
    noise = precision**-0.5
    w = best + noise[..., None] * (rng.normal(size=(4, 1000, k)) @ np.linalg.cholesky(gram).T)
    net = bnn.MLP((), noise=bnn.priors.LogNormal(0.0, 50.0), prior=bnn.Normal(1e3))
    return net, x, y, {"W1": w[..., :1, None], "b1": w[..., 1:], "noise": noise}


def diagnosis(right, **changes):
    net, x, y, params = right
    return bnn.diagnose(tree_of(net, x, y, params | changes))


def test_right_draws_are_trusted(right):
    found = diagnosis(right)
    assert found.trustworthy
    assert found.notes == ()
    assert identities(tree_of(*right)).failed == ()


def test_a_stuck_chain_and_a_chain_counted_twice(right):
    params = right[3]
    stuck = {k: np.concatenate([v[:3], np.broadcast_to(v[3:, :1], v[3:].shape)]) for k, v in params.items()}
    found = diagnosis(right, **stuck)
    assert (found.verdict, found.trustworthy) == ("stuck", False)
    assert "Chain 3 never moves" in found.message
    once = {k: np.concatenate([v[:3], np.repeat(v[3:, [0, 999]], 500, axis=1)]) for k, v in params.items()}
    assert "Chain 3 moves at only 0.1% of its steps" in diagnosis(right, **once).message
    tree = tree_of(*right)
    rates = np.full((4, 1000), 0.8)
    tree["sample_stats"] = xr.Dataset({"acceptance_rate": (("chain", "draw"), rates)})
    assert bnn.diagnose(tree).trustworthy
    rates[2] = 0.001
    assert "Chain 2 accepts only 0.1% of its proposals" in bnn.diagnose(tree).message
    twice = {k: v[[0, 1, 2, 1]] for k, v in params.items()}
    found = diagnosis(right, **twice)
    assert (found.verdict, found.trustworthy) == ("stuck", False)
    assert "Chains 1 and 3 hold the same draws" in found.message


def test_draws_that_are_no_numbers(right):
    broken = right[3]["b1"].copy()
    broken[2, 7] = np.inf
    found = diagnosis(right, b1=broken)
    assert (found.verdict, found.trustworthy) == ("not_finite", False)


@pytest.mark.parametrize("fault", ["collapsed", "units", "no Jacobian"])
def test_draws_of_another_density_break_an_identity(right, fault):
    net, x, y, params = right
    noise = params["noise"]
    if fault == "no Jacobian":
        # Draws of s from the density of log(s), which lacks a factor of s.
        rng = np.random.default_rng(6)
        kept = [np.sort(rng.choice(1000, 1000, p=row / row.sum())) for row in noise**-4]
        params = {k: np.stack([v[c, kept[c]] for c in range(4)]) for k, v in params.items()}
    else:
        params = params | {"noise": noise * (0.5 if fault == "collapsed" else 1.3)}
    tree = tree_of(net, x, y, params)
    assert identities(tree).failed == ("E[theta . grad log posterior]",)
    assert any("every posterior obeys fails" in note for note in bnn.diagnose(tree).notes)


def test_a_mode_that_no_chain_is_in_is_known_to_tempering_alone(flank_tempered):
    problem, params = problem_of(flank_tempered), params_of(flank_tempered)
    high = problem.net.forward(params, [[2.5]])[..., 0, 0] > 0.3
    fewest = high.sum(axis=1).min()
    one = {k: np.stack([v[c, np.flatnonzero(high[c])[:fewest]] for c in range(len(v))]) for k, v in params.items()}
    post = tree_of(problem.net, problem.X, problem.y, one)
    alone = bnn.diagnose(post)
    assert alone.rhat_function < 1.01
    assert not any("identity" in note for note in alone.notes), "chains can't know"
    found = bnn.diagnose(post, reference=flank_tempered)
    assert (found.verdict, found.trustworthy) == ("modes_misweighed", False)
    assert bnn.diagnose(flank_tempered).trustworthy


# --- losses


class Overflowing(CrossEntropy):
    """Log of a softmax, written down plainly."""

    def _log_probs(self, f, cutpoints):
        with np.errstate(all="ignore"):
            return np.log(np.exp(f) / np.exp(f).sum(axis=-1, keepdims=True))


class Unfinished(SquaredError):
    """Half the variance, in the density and in PyMC's node, but not in what it inherits."""

    def coefficients(self, *, noise=None):
        a, b = super().coefficients(noise=noise)
        return 2 * a, b - 0.5 * np.log(2)

    def _node(self, mu, noise, **kwargs):
        return pm.Normal("y", mu=mu, sigma=noise / 2**0.5, **kwargs)


class NoNumber(SquaredError):
    def logp(self, y, f, *, noise=None, cutpoints=None):
        return super().logp(y, f, noise=noise) * np.nan


@pytest.mark.parametrize(
    ("loss", "says"),
    [
        (Overflowing(), "logits of 800 inf"),
        (Unfinished(), "distribution function 2"),
        (Unfinished(), "noise MLE 1.0"),
        (NoNumber(), "logp nan"),
    ],
    ids=["overflow", "distribution function", "noise MLE", "NaN"],
)
def test_a_loss_that_is_half_right_is_found_out(loss, says):
    assert bnn.verify_loss(loss.name)
    found = bnn.verify_loss(loss)
    assert not found
    assert says in found.message


def test_formulas_that_overflow_are_refused():
    with pytest.raises(SpecError, match="does not overflow"):
        ResidualLoss("naive", lambda u: pt.exp(u**2))
    # What can be written so that it does not, is.
    plain = ResidualLoss("plain", lambda u: pt.log(pt.exp(u**2) + 1))
    assert np.isfinite(plain.logp(np.zeros(1), np.full((1, 1), 800.0), noise=1.0)).all()


# --- names


class Weighted(CrossEntropy):
    """Keeps the name, and sees a common shift of the logits."""

    def _log_probs(self, f, cutpoints):
        return np.log(softmax(np.concatenate([f, np.zeros((*f.shape[:-1], 1))], axis=-1), axis=-1))[..., :-1]


@dataclass(frozen=True, repr=False)
class Lopsided(bnn.Normal):
    """Called normal by its family; its density is not."""

    def _log_density(self, z):
        return stats.skewnorm.logpdf(z, 3.0, scale=self.sd)

    def _rv(self, name, factor, dims):
        return pm.SkewNormal(name, 0.0, sigma=np.float64(self.sd * factor), alpha=np.float64(3.0), dims=dims)


def rows_of(net):
    return [symmetry.kind for symmetry in bnn.symmetry_group(net, 1, 3).symmetries]


def test_a_loss_is_asked_and_not_its_name():
    assert "shift of logits (weights)" in rows_of(bnn.MLP((2,), loss="cross_entropy"))
    assert "shift of logits (weights)" not in rows_of(bnn.MLP((2,), loss=Weighted()))
    assert not has_kernels(bnn.MLP((2,), loss=Weighted()))
    params = {"W1": np.ones((2, 50, 1, 3)) + np.arange(50)[:, None, None] / 50, "b1": np.ones((2, 50, 3))}
    labels = np.array([0, 1, 2, 0, 1])
    for loss, held in (("cross_entropy", True), (Weighted(), False)):
        tree = tree_of(bnn.MLP((), loss=loss), X5, labels, params)
        quoted = [name for name in bnn.theory.identities(tree).table.index if "class mean" in name] if held else []
        assert bool(quoted) == held
    # One called by the name of another: Cauchy's tails, for which there is no mean.
    cauchy = ResidualLoss("gaussian", lambda u: pt.log1p(u**2))
    assert not cauchy.has_mean
    assert bnn.mle_exists(bnn.MLP((), loss=cauchy), X5, Y5).exists is None
    with pytest.raises(SpecError, match="method information"):
        bnn.theory.fisher_information(
            bnn.MLP((), loss=Unfinished(), noise=0.3), {"W1": [[1.0]], "b1": [0.0]}, X5[:, None]
        )


def test_a_prior_is_asked_and_not_its_family():
    assert bnn.symmetry_group(bnn.MLP((2,), prior=bnn.Normal(1.0))).order == 8
    lopsided = bnn.MLP((2,), noise=0.3, prior=Lopsided(1.0))
    assert (lopsided.prior.even, lopsided.prior.gaussian, lopsided.prior.has_rates) == (False, False, False)
    assert bnn.symmetry_group(lopsided).order == 2
    with pytest.raises(SpecError):
        lopsided.prior.rates("weight", 1)
    with pytest.raises(SpecError, match="nothing to draw from"):
        lopsided.prior.sample(np.random.default_rng(1), (3,), kind="weight", fan_in=1)
    named = PenaltyPrior("Normal", lambda w: abs(w) + w / 2)
    assert (named.even, named.gaussian) == (False, False)
    assert not PenaltyPrior("Normal", lambda w: pt.log1p(abs(w)) / 2).proper
    # A family that says nothing new keeps what it inherits.
    assert type("Mine", (bnn.Normal,), {})(2.0).gaussian


def test_an_activation_is_asked_and_not_its_name():
    with pytest.raises(SpecError, match="built-in activation"):
        bnn.Activation("tanh", pt.exp)
    bump = bnn.Activation("tanh2", lambda z: pt.exp(-(z**2)))
    assert bump.symmetry == ("even",)
    with pytest.raises(SpecError, match="the two sides are"):
        bnn.Activation("tanh2", lambda z: pt.exp(-(z**2)), "odd")
    spec = bump.to_json()
    assert bnn.activations.as_activation(spec).symmetry == ("even",)
    with pytest.raises(SpecError, match="which its formula does not have"):
        bnn.activations.as_activation(spec | {"symmetry": ["odd"]})


def test_columns_are_asked_by_name():
    pd = pytest.importorskip("pandas")
    net = bnn.MLP((), noise=0.3)
    X = pd.DataFrame({"age": X5, "size": X5**2})
    params = {"W1": np.array([[[[1.0], [10.0]]]]), "b1": np.zeros((1, 1, 1))}
    tree = tree_of(net, X, Y5, params, kind="map")
    expected = (X5 + 10 * X5**2)[:, None]
    for frame in (X, X[["size", "age"]], X.assign(other=1.0)):
        np.testing.assert_allclose(bnn.predict(tree, frame)["mean"].to_numpy(), expected)
    with pytest.raises(DataError, match=r"needs \['age'\] as well"):
        bnn.predict(tree, X.rename(columns={"age": "years"}))


# --- files


def newer(tree):
    tree.attrs["bayesnn_version"] = "99.0"


def without_data(tree):
    del tree["observed_data"]


def without_network(tree):
    del tree.attrs["bayesnn_network"]


def of_another_network(tree):
    tree.attrs["bayesnn_network"] = bnn.MLP((3,), noise=0.3).to_json()


def with_a_claim(tree):
    spec = bnn.MLP((1,), bnn.Activation("bump", lambda z: pt.exp(-(z**2))), noise=0.3).to_json()
    tree.attrs["bayesnn_network"] = spec.replace('"symmetry": ["even"]', '"symmetry": ["odd"]')


@pytest.mark.parametrize(
    ("doctor", "says"),
    [
        (newer, r"written by bayesnn 99\.0; this is"),
        (without_data, "without observed_data"),
        (without_network, "without network"),
        (of_another_network, "not the fit of this network"),
        (with_a_claim, "which its formula does not have"),
    ],
)
def test_a_file_that_is_not_what_it_says(doctor, says, tmp_path):
    params = {
        "W1": np.ones((1, 1, 1, 1)),
        "b1": np.ones((1, 1, 1)),
        "W2": np.ones((1, 1, 1, 1)),
        "b2": np.ones((1, 1, 1)),
    }
    tree = tree_of(ONE, X5, Y5, params, kind="map")
    assert bnn.load_fit(bnn.save_fit(tree, tmp_path / "right.nc")).identical(tree)
    tree.attrs["bayesnn_version"] = "0.0.1"
    bnn.load_fit(bnn.save_fit(tree, tmp_path / "older.nc"))
    doctor(tree)
    with pytest.raises(bnn.BayesnnError, match=says):
        bnn.load_fit(bnn.save_fit(tree, tmp_path / "wrong.nc"))
