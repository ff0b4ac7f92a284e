"""Whatever a network is made of: its text gives it back, and equal ones are equal in every way."""

import json
from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

import bayesnn as bnn
from bayesnn import losses, priors
from bayesnn.activations import ACTIVATIONS

SCALES = st.floats(1e-50, 1e50)
SHARES = st.floats(0.0, 1.0, exclude_min=True, exclude_max=True)
FAMILIES = st.sampled_from((priors.Normal, priors.Laplace, priors.StudentT, priors.ElasticNet, priors.Hierarchical))


def sized(families, count):
    """Draw one of the families with numbers for its scales."""
    return st.builds(lambda family, numbers: family(*numbers[: count(family)]), families, st.tuples(SCALES, SCALES))


def numbers_of(family):
    return 2 if family in (priors.StudentT, priors.ElasticNet) else 1


PLAIN = st.one_of(st.just(bnn.Flat()), sized(FAMILIES, numbers_of))
PRIORS = st.builds(
    lambda prior, fan_in, bias: replace(prior, fan_in=fan_in, bias=bias),
    PLAIN,
    st.booleans(),
    st.one_of(st.none(), PLAIN.filter(lambda prior: not prior.has_learned_scale)),
)
NOISES = st.one_of(
    st.none(),
    SCALES,
    st.just(bnn.HalfFlat()),
    st.builds(bnn.HalfNormal, SCALES),
    st.builds(bnn.LogNormal, st.floats(-100, 100), SCALES),
    st.builds(bnn.InverseGamma, SCALES, SCALES),
)
LOSSES = st.one_of(
    st.sampled_from(tuple(losses.LOSSES.values())),
    st.builds(losses.Huber, SCALES),
    st.builds(losses.Quantile, SHARES),
    st.builds(losses.StudentT, SCALES),
)


@st.composite
def networks(draw):
    loss = draw(LOSSES)
    return bnn.MLP(
        hidden=tuple(draw(st.lists(st.integers(1, 50), max_size=3))),
        activation=draw(st.sampled_from(tuple(ACTIVATIONS))),
        loss=loss,
        noise=draw(NOISES) if loss.has_noise else None,
        prior=draw(PRIORS),
        bias=draw(st.booleans()),
    )


@given(networks())
@settings(max_examples=150, deadline=None, derandomize=True)
def test_text_gives_a_network_back(net):
    text = net.to_json()
    again = bnn.MLP.from_json(text)
    assert again == net
    assert hash(again) == hash(net)
    assert again.to_json() == text
    # As another program would write it.
    assert bnn.MLP.from_json(json.dumps(json.loads(text), indent=2, sort_keys=True)) == net
    assert again.shapes(2, 3) == net.shapes(2, 3)


@given(networks())
@settings(max_examples=150, deadline=None, derandomize=True)
def test_what_is_shown_makes_the_network_again(net):
    names = vars(losses) | vars(priors) | {"MLP": bnn.MLP}
    if isinstance(net.loss, losses.StudentT):
        # A loss and a prior have the same name.
        names["StudentT"] = lambda *args, **given: (
            priors.StudentT(*args, **given) if "scale" in given else losses.StudentT(*args, **given)
        )
    assert eval(repr(net), names) == net


@given(networks(), networks())
@settings(max_examples=100, deadline=None, derandomize=True)
def test_networks_are_equal_where_their_texts_are(one, other):
    assert (one == other) == (one.to_json() == other.to_json())
    changed = replace(one, bias=not one.bias)
    assert changed != one
    assert changed.to_json() != one.to_json()
