"""The two ways into nutpie: where the private one is not there, the public one gives the same draws, and says so."""

import numpy as np
import nutpie
import nutpie.compiled_pyfunc
import pytensor.tensor as pt
import pytest
from numpy.testing import assert_array_equal

import bayesnn as bnn
from bayesnn.errors import FitError
from bayesnn.fitting import native, nuts, progress
from tests.conftest import X5, Y5

NETS = {
    "kernels": bnn.MLP((1,), noise=bnn.HalfNormal(1.0), prior=bnn.Normal(1.0)),
    # Without a form in vector registers: the density is the PyMC model's own, whose function has one place for inputs.
    "PyMC": bnn.MLP((), noise=0.3, prior=bnn.priors.PenaltyPrior("own", lambda w: w**2 + pt.j0(w))),
}


@pytest.fixture
def looks_again(monkeypatch):
    """What nutpie was found to have is looked for again, before the test and after it."""
    nuts._unknown.cache_clear()
    progress._once.cache_clear()
    yield monkeypatch
    monkeypatch.undo()
    nuts._unknown.cache_clear()


@pytest.fixture
def newer(looks_again):
    looks_again.setattr(nuts, "_version", lambda: "0.17.2")
    return looks_again


def sample(name, **options):
    given = {"draws": 60, "tune": 100, "chains": 3, "random_seed": 4, "target_accept": 0.9, "progressbar": False}
    return bnn.fit_posterior(NETS[name], X5, Y5, **(given | options))


@pytest.mark.parametrize("name", NETS)
@pytest.mark.filterwarnings("ignore::bayesnn.errors.ConvergenceWarning")
def test_the_public_interface_gives_the_same_draws(name, newer):
    public = sample(name)
    newer.undo()
    nuts._unknown.cache_clear()
    assert not nuts.unknown()
    private = sample(name)
    for variable, values in private.posterior.data_vars.items():
        assert_array_equal(public.posterior[variable], values)
    assert_array_equal(public.sample_stats["n_steps"], private.sample_stats["n_steps"])
    other = sample(name, random_seed=5)
    assert not np.array_equal(other.posterior["W1"], private.posterior["W1"])


@pytest.mark.filterwarnings("ignore::bayesnn.errors.ConvergenceWarning")
def test_it_is_said_once_that_this_is_slower(newer, capsys):
    for _ in range(2):
        sample("kernels", progressbar=True)
    said = " ".join(capsys.readouterr().err.split())
    assert said.count("nutpie 0.17.2 is newer than this version of bayesnn knows") == 1
    assert "its public interface is used, which takes about ten times as long. nutpie 0.16 is faster." in said


@pytest.mark.parametrize("version", ["0.17.0", "0.17.0.dev3", "1.0rc1", "2.1"])
def test_a_newer_version_is_not_tried(version, looks_again):
    looks_again.setattr(nuts, "_version", lambda: version)
    looks_again.setattr(nuts, "_compile_public", lambda density: "public")
    assert f"nutpie {version} is newer" in nuts.unknown()
    assert nuts.compile_flat(None) == "public"


@pytest.mark.parametrize("name", native.SIGNATURES)
def test_what_has_gone_or_changed_is_missed(name, looks_again):
    assert nuts.unknown() == ""
    owner, _, last = name.rpartition(".")
    looks_again.setattr(native, "_lib", _with(nutpie._lib, owner, last, lambda one, more: None))
    assert native.changed() == [name]
    nuts._unknown.cache_clear()
    assert f"has changed what this version of bayesnn calls ({name})" in nuts.unknown()
    looks_again.setattr(native, "_lib", object())
    assert native.changed() == list(native.SIGNATURES)


def _with(library, owner, name, value):
    """A library like another, with one thing replaced."""
    if owner:
        inner = getattr(library, owner)
        return _with(library, "", owner, type("Changed", (), {name: value, **_public(inner, but=name)}))
    return type("Changed", (), {name: value, **_public(library, but=name)})


def _public(thing, *, but):
    return {k: getattr(thing, k) for k in dir(thing) if not k.startswith("_") and k != but}


def test_a_module_that_has_gone_is_missed(looks_again):
    import sys

    looks_again.delitem(sys.modules, "bayesnn.fitting.native")
    looks_again.delattr(bnn.fitting, "native")
    looks_again.setitem(sys.modules, "nutpie.sample", None)
    assert "lacks what this version of bayesnn calls" in nuts.unknown()


def test_without_either_way_there_is_a_remedy(newer):
    newer.delattr(nutpie.compiled_pyfunc, "from_pyfunc")
    with pytest.raises(FitError, match=r"nutpie 0\.17\.2.*up to 0\.16 it can\. Install that one.*sampler='pymc'"):
        sample("kernels")


def test_where_the_density_is_not_finite_a_step_diverges_and_the_chain_goes_on():
    class Half:
        """The right half of a standard normal density."""

        size = 1

        def __call__(self, x):
            value = -0.5 * x[0] ** 2 if x[0] > 0 else -np.inf
            return value, -x

        def prior_draw(self, seed):
            return np.ones(1)

    found = nutpie.sample(nuts._compile_public(Half()), draws=400, tune=300, chains=2, seed=1, progress_bar=False)
    theta = found["posterior"]["theta"].to_numpy()
    assert theta.min() > 0
    assert found["sample_stats"]["diverging"].to_numpy().any()
    assert theta.mean() == pytest.approx(np.sqrt(2 / np.pi), abs=0.25)
