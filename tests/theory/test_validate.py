"""Samplers against truth: right ones agree, broken ones are found out, and who does not know is not believed."""

from dataclasses import replace

import numpy as np
import pytest

import bayesnn as bnn
from bayesnn.errors import SpecError, UnknownNameError
from bayesnn.theory import reference_posteriors, validate_sampler
from bayesnn.theory.validate import CHANCE
from bayesnn.tree import make_tree, params_of, problem_of, to_dataset

QUIET = {"random_seed": 1, "progressbar": False}


def temper(net, X, y, random_seed):
    return bnn.fit_posterior(net, X, y, sampler="tempering", cores=1, random_seed=random_seed, progressbar=False)


def with_draws(post, kept):
    """A tree of some draws of another: kept is (chain, new draw) of int, or of bool with as many in each chain."""
    params, problem = params_of(post), problem_of(post)
    params = {k: np.stack([v[c, kept[c]] for c in range(len(v))]) for k, v in params.items()}
    sizes = params["W1"].shape[:2]
    batch = {"chain": np.arange(sizes[0]), "draw": np.arange(sizes[1])}
    return make_tree("posterior", problem, to_dataset(params, problem, batch))


def wide_prior(net, X, y, random_seed):
    return temper(replace(net, prior=bnn.Normal(1.2 * net.prior.sd)), X, y, random_seed)


def half_the_data(net, X, y, random_seed):
    return temper(net, X[::2], y[::2], random_seed)


def no_jacobian(net, X, y, random_seed):
    """Draws of the noise as if those of its logarithm had no Jacobian."""
    post = temper(net, X, y, random_seed)
    weights, rng = 1 / params_of(post)["noise"], np.random.default_rng(random_seed)
    draws = weights.shape[1]
    kept = [np.sort(rng.choice(draws, draws // 2, p=w / w.sum())) for w in weights]
    return with_draws(post, kept)


@pytest.fixture(scope="module")
def right():
    return validate_sampler(sampler="tempering", references=["line", "learned noise", "sigmoid node"], **QUIET)


def test_a_sampler_that_is_right_agrees(right):
    assert right.valid
    assert not len(right.wrong)
    assert "agrees with the exact posteriors" in right.message
    assert right.table.loc[("line", "log evidence"), "z"] == pytest.approx(0, abs=1e-3)
    assert right.table["ess"].min() > 400


def test_the_limit_is_what_chance_leaves(right):
    from scipy.stats import t

    assert len(right.table) * 2 * t.sf(right.limit, 50) == pytest.approx(CHANCE)


@pytest.mark.parametrize("sampler", [wide_prior, half_the_data])
@pytest.mark.parametrize("reference", ["ridge of a deep line", "sigmoid node"])
def test_another_model_is_found_out(sampler, reference):
    check = validate_sampler(sampler=sampler, references=[reference], **QUIET)
    assert not check.valid
    assert check.message.startswith(f"{sampler.__name__}: WRONG in 1 of 1 references ({reference})")
    assert (reference, "log evidence") in check.wrong.index
    moments = check.wrong.drop("log evidence", level="number")
    assert len(moments), "the moments alone tell"


def test_a_jacobian_left_out_is_found_out():
    check = validate_sampler(sampler=no_jacobian, references=["learned noise"], **QUIET)
    assert ("learned noise", "E noise") in check.wrong.index


def test_a_mode_lost_is_found_out(flank_tempered):
    f = bnn.MLP.forward(problem_of(flank_tempered).net, params_of(flank_tempered), [[2.5]])[..., 0, 0]
    fewest = (f > 0.3).sum(axis=1).min()

    def one_mode(net, X, y, random_seed):
        return with_draws(flank_tempered, [np.flatnonzero(row > 0.3)[:fewest] for row in f])

    def both(net, X, y, random_seed):
        return flank_tempered

    name = "two functions, 80 to 20"
    check = validate_sampler(sampler=one_mode, references=[name], **QUIET)
    assert (name, "E f(2.5)") in check.wrong.index
    assert validate_sampler(sampler=both, references=[name], **QUIET).valid


def test_chains_that_disagree_are_not_believed(flank_chains):
    def stuck(net, X, y, random_seed):
        return flank_chains[1]

    check = validate_sampler(sampler=stuck, references=["two functions, 80 to 20"], **QUIET)
    assert not check.valid
    assert check.unsure == ["two functions, 80 to 20"]
    assert "Fewer than 100 effective draws, so that nothing is known" in check.message


def test_a_failure_is_told():
    def fails(net, X, y, random_seed):
        if net.hidden:
            raise RuntimeError("no hidden layers")
        return temper(net, X, y, random_seed)

    check = validate_sampler(sampler=fails, references=["line", "mirror images"], **QUIET)
    assert check.failed == {"mirror images": "RuntimeError: no hidden layers"}
    assert not check.valid
    assert "Not finished: mirror images (RuntimeError: no hidden layers)" in check.message

    def point(net, X, y, random_seed):
        post = temper(net, X, y, random_seed)
        post.attrs["bayesnn_kind"] = "map"
        return post

    assert "FitError" in validate_sampler(sampler=point, references=["line"], **QUIET).failed["line"]


@pytest.mark.parametrize("caught", [False, True])
def test_an_interruption_keeps_what_is_done(caught):
    def interrupted(net, X, y, random_seed):
        if net.hidden and not caught:
            raise KeyboardInterrupt
        post = temper(net, X, y, random_seed)
        if net.hidden:
            post.attrs["bayesnn_ended"] = "interrupted"
        return post

    check = validate_sampler(sampler=interrupted, references=["line", "mirror images"], **QUIET)
    assert check.interrupted
    assert list(check.table.index.unique("reference")) == ["line"]
    assert "Interrupted" in check.message


def test_the_numbers_are_those_of_the_seed_whatever_is_asked_for(right):
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(1) as pool:
        again = validate_sampler(sampler="tempering", references=["sigmoid node"], executor=pool, **QUIET)
    assert again.table["estimate"].equals(right.table.loc[["sigmoid node"], "estimate"])
    other = validate_sampler(sampler="tempering", references=["sigmoid node"], random_seed=2, progressbar=False)
    assert not other.table["estimate"].equals(again.table["estimate"])


def test_a_reference_can_be_sent_to_a_process():
    import pickle

    for name, reference in reference_posteriors().items():
        sent = pickle.loads(pickle.dumps(reference))
        assert sent.net == reference.net, name
        assert sent.values == reference.values


def test_what_is_refused():
    with pytest.raises(SpecError, match=r"sampler='gibbs'.*'nuts', 'tempering' or a function"):
        validate_sampler(sampler="gibbs")
    with pytest.raises(UnknownNameError, match="line"):
        validate_sampler(references=["lines"])
    with pytest.raises(SpecError, match="executor"):
        validate_sampler(executor=3)
