"""The specification, its shapes, and its forward pass against loops; its densities against PyMC's own."""

import dataclasses
import json
import math
import re
from itertools import pairwise, product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from scipy import special

import bayesnn as bnn
from bayesnn.errors import SpecError, UnknownNameError
from bayesnn.losses import Huber, Quantile, SquaredError, StudentT
from bayesnn.model import model_of
from bayesnn.tree import prepare
from tests.conftest import random_params

ACTIVATION_NAMES = ("tanh", "sigmoid", "relu", "identity", "gelu", "silu", "softplus", "erf", "sin")

positive = st.floats(0.01, 100.0)
biases = st.one_of(st.none(), st.just(bnn.Flat()), st.builds(bnn.Normal, positive), st.builds(bnn.Laplace, positive))
extra = {"fan_in": st.booleans(), "bias": biases}
priors = st.one_of(
    st.builds(bnn.Flat, bias=biases),
    st.builds(bnn.Normal, positive, **extra),
    st.builds(bnn.Laplace, positive, **extra),
    st.builds(bnn.ElasticNet, positive, positive, **extra),
    st.builds(bnn.StudentT, positive, positive, **extra),
    st.builds(bnn.Hierarchical, positive, **extra),
)
losses = st.one_of(
    st.sampled_from(sorted(bnn.LOSSES)),
    st.builds(Huber, positive),
    st.builds(Quantile, st.floats(0.01, 0.99)),
    st.builds(StudentT, positive),
)
noises = st.one_of(
    st.none(),
    positive,
    st.just(bnn.HalfFlat()),
    st.builds(bnn.HalfNormal, positive),
    st.builds(bnn.LogNormal, st.floats(-5, 5), positive),
    st.builds(bnn.InverseGamma, positive, positive),
)
widths = st.lists(st.integers(1, 6), max_size=3).map(tuple)


@st.composite
def nets(draw):
    loss = bnn.losses.as_loss(draw(losses))
    return bnn.MLP(
        hidden=draw(widths),
        activation=draw(st.sampled_from(ACTIVATION_NAMES)),
        loss=loss,
        noise=draw(noises) if loss.has_noise else None,
        prior=draw(priors),
        bias=draw(st.booleans()),
    )


@pytest.mark.parametrize(
    ("spec", "error", "words"),
    [
        *(
            ({"hidden": bad}, SpecError, ("hidden=", "positive integers", "hidden=(8,)"))
            for bad in (0, -1, (3, 0), (2.5,), "3", ("3",), (True,), None, 2.5, (math.nan,), (math.inf,))
        ),
        ({"activation": "tan"}, UnknownNameError, ("'tan'", "Did you mean 'tanh'?")),
        ({"activation": "sigmod"}, UnknownNameError, ("Did you mean 'sigmoid'?",)),
        ({"activation": "qqq"}, UnknownNameError, ("'qqq'", "'softplus'")),
        ({"activation": ["tanh"]}, UnknownNameError, ("['tanh']", "'tanh'")),
        ({"loss": "squared_eror"}, UnknownNameError, ("Did you mean 'squared_error'?",)),
        ({"loss": 3}, SpecError, ("3",)),
        *(
            ({"noise": bad}, SpecError, (f"noise={bad!r}", "positive finite", "noise=0.2"))
            for bad in (0, 0.0, -0.3, math.nan, math.inf, "0.2", True, bnn.Normal(1.0), 1e-300, 1e300)
        ),
        ({"loss": "poisson", "noise": 0.2}, SpecError, ("noise=0.2", "Poisson", "Leave noise out")),
        ({"loss": "gaussian_nll", "noise": bnn.HalfNormal()}, SpecError, ("gaussian_nll", "Leave noise out")),
        *(
            ({"prior": bad}, SpecError, ("prior=", "bnn.Normal(1.0)"))
            for bad in ("normal", 1.0, None, bnn.Normal, bnn.HalfNormal())
        ),
        *(({"bias": bad}, SpecError, ("bias=", "True or False")) for bad in (1, "yes", None, bnn.Normal())),
    ],
)
def test_a_wrong_specification_is_refused_with_rule_and_remedy(spec, error, words):
    with pytest.raises(error) as caught:
        bnn.MLP(**spec)
    assert isinstance(caught.value, SpecError)
    for word in words:
        assert word in str(caught.value)


def test_a_specification_is_normalised_and_frozen():
    net = bnn.MLP(hidden=np.int64(3), loss="huber", noise=2)
    assert net == bnn.MLP(hidden=[3], loss=Huber(), noise=2.0)
    assert type(net.hidden[0]) is int
    assert type(net.noise) is float
    assert hash(net) == hash(bnn.MLP(hidden=(3,), loss=Huber(), noise=2.0))
    assert net != bnn.MLP(hidden=(3,), loss=Huber(delta=1.0), noise=2.0)
    with pytest.raises(dataclasses.FrozenInstanceError):
        net.hidden = (4,)


def test_noise_is_known_learned_or_absent():
    assert bnn.MLP(noise=0.2).noise_prior is None
    assert bnn.MLP().noise_prior == bnn.HalfNormal(1.0)
    assert bnn.MLP(noise=bnn.HalfFlat()).noise_prior == bnn.HalfFlat()
    assert bnn.MLP(loss="poisson").noise_prior is None


def test_proper_and_flat():
    assert bnn.MLP().proper
    assert not bnn.MLP(prior=bnn.Flat()).proper
    assert not bnn.MLP(prior=bnn.Normal(1.0, bias=bnn.Flat())).proper
    assert not bnn.MLP(noise=bnn.HalfFlat()).proper
    assert bnn.MLP(noise=bnn.LogNormal()).proper
    assert bnn.MLP(noise=0.2, prior=bnn.Hierarchical()).flat == bnn.MLP(noise=0.2, prior=bnn.Flat())
    assert bnn.MLP().flat == bnn.MLP(prior=bnn.Flat(), noise=bnn.HalfFlat())
    assert bnn.MLP(loss="poisson").flat == bnn.MLP(loss="poisson", prior=bnn.Flat())


@given(nets())
@settings(max_examples=200, deadline=None)
def test_json_round_trip(net):
    text = net.to_json()
    assert bnn.MLP.from_json(text) == net
    assert bnn.MLP.from_json(text).to_json() == text
    json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))


@given(nets(), nets())
@settings(max_examples=50, deadline=None)
def test_different_networks_have_different_json(a, b):
    assert (a == b) == (a.to_json() == b.to_json())


@pytest.mark.parametrize(
    "text", ["", "not json", "[]", "3", "null", "{}", '{"hidden": [3]}', None, bnn.MLP().to_json()[:-1] + ', "x": 1}']
)
def test_other_text_is_not_a_network(text):
    with pytest.raises(SpecError, match="to_json"):
        bnn.MLP.from_json(text)


def test_unknown_names_in_json_are_refused():
    spec = json.loads(bnn.MLP().to_json())
    for key, value in (("activation", "tan"), ("loss", {"name": "sq"}), ("prior", {"family": "Norml", "sd": 1.0})):
        with pytest.raises(UnknownNameError):
            bnn.MLP.from_json(json.dumps({**spec, key: value}))
    for key, value in (("hidden", 2.5), ("noise", -1.0), ("bias", "no")):
        with pytest.raises(SpecError, match=key):
            bnn.MLP.from_json(json.dumps({**spec, key: value}))


@given(nets(), st.integers(0, 5), st.integers(1, 4))
@settings(max_examples=100, deadline=None)
def test_shapes_and_dims(net, p, m):
    p = max(p, 1) if net.hidden else p
    shapes, dims = net.shapes(p, m), net.dims()
    assert list(shapes) == list(dims)
    widths = [p, *net.hidden, m]
    assert net.sizes(p, m) == tuple(widths)
    names = ["feature", *(f"hidden_{k + 1}" for k in range(len(net.hidden))), "output"]
    size = dict(zip(names, widths, strict=True))
    for name, shape in shapes.items():
        assert tuple(size[d] for d in dims[name]) == shape
    last = f"b{len(net.hidden) + 1}"
    assert (last in shapes) == (net.bias and net.loss.name != "ordinal")
    n_biases = sum(widths[1:]) if net.bias else 0
    expected = sum(a * b for a, b in pairwise(widths)) + n_biases - (m if net.bias and last not in shapes else 0)
    assert sum(math.prod(s) for s in shapes.values()) == expected


FUNCTIONS = {
    "tanh": math.tanh,
    "sigmoid": lambda x: 1 / (1 + math.exp(-x)),
    "relu": lambda x: x if x > 0 else 0.0,
    "identity": lambda x: x,
    "gelu": lambda x: x * 0.5 * (1 + math.erf(x / math.sqrt(2))),
    "silu": lambda x: x / (1 + math.exp(-x)),
    "softplus": lambda x: math.log(1 + math.exp(x)),
    "erf": math.erf,
    "sin": math.sin,
}


def loop(net, params, x):
    """One row through the network, number by number."""
    h = list(x)
    n_layers = len(net.hidden) + 1
    for layer in range(1, n_layers + 1):
        W, b = params[f"W{layer}"], params.get(f"b{layer}")
        out = []
        for j in range(W.shape[1]):
            total = sum(h[i] * W[i, j] for i in range(W.shape[0])) + (b[j] if b is not None else 0.0)
            out.append(FUNCTIONS[net.activation](total) if layer < n_layers else total)
        h = out
    return h


@pytest.mark.parametrize("activation", ACTIVATION_NAMES)
@pytest.mark.parametrize("hidden", [(), (3,), (3, 2)])
@pytest.mark.parametrize("bias", [True, False])
def test_forward_is_the_loop_for_every_member_of_a_batch(activation, hidden, bias):
    net = bnn.MLP(hidden=hidden, activation=activation, bias=bias)
    rng = np.random.default_rng(1)
    X = rng.normal(size=(5, 2))
    shapes = net.shapes(2, 2)
    params = {k: rng.normal(size=(2, 3, *s)) for k, s in shapes.items()}
    f = net.forward(params, X)
    assert f.shape == (2, 3, 5, 2)
    for c, s in product(range(2), range(3)):
        one = {k: v[c, s] for k, v in params.items()}
        assert_allclose(f[c, s], [loop(net, one, x) for x in X], rtol=1e-12, atol=1e-14)
        assert_allclose(net.forward(one, X), f[c, s], rtol=1e-14, atol=1e-15)
    assert net.forward({k: v[0, 0] for k, v in params.items()}, X).shape == (5, 2)


def test_the_names_of_the_activations_are_those_of_the_table():
    assert tuple(bnn.ACTIVATIONS) == ACTIVATION_NAMES
    assert all(name == a.name for name, a in bnn.ACTIVATIONS.items())


@pytest.mark.parametrize("name", ACTIVATION_NAMES)
def test_each_activation_has_its_symmetry_and_no_other(name):
    a, x = bnn.ACTIVATIONS[name], np.linspace(-3, 3, 13)
    phi = a
    holds = {
        "odd": np.allclose(phi(-x), -phi(x), atol=1e-15),
        "sigmoid": np.allclose(phi(-x), 1 - phi(x), atol=1e-15),
        "relu": np.allclose(phi(2.5 * x), 2.5 * phi(x), atol=1e-14),
    }
    expected = ("odd", "relu") if a.linear else a.symmetry
    assert tuple(k for k, v in holds.items() if v) == expected


@pytest.mark.parametrize("name", ACTIVATION_NAMES)
def test_activations_stay_finite_far_out(name):
    value = bnn.ACTIVATIONS[name](np.array([-1e4, -40.0, 0.0, 40.0, 1e4]))
    assert np.isfinite(value).all()


TARGETS = {
    "regression": np.array([0.3, -1.2, 0.8, 2.0, -0.4, 0.1]),
    "binary": np.array([0, 1, 1, 0, 1, 0]),
    "classes": np.array([0, 2, 1, 0, 1, 2]),
    "count": np.array([0, 3, 1, 0, 7, 2]),
    "ordinal": np.array([0, 2, 1, 3, 1, 2]),
}
X6 = np.array([[-1.5, 0.2], [-0.4, -1.0], [0.1, 0.7], [0.6, -0.3], [1.1, 1.9], [2.2, -0.8]])

MODELS = [
    (bnn.MLP((3,), "tanh", "squared_error", 0.2, bnn.Normal(1.0)), 1),
    (bnn.MLP((2, 3), "sigmoid", "squared_error", bnn.HalfNormal(0.7), bnn.Laplace(0.5, fan_in=True)), 2),
    (bnn.MLP((), "tanh", "squared_error", bnn.HalfFlat(), bnn.Flat()), 3),
    (bnn.MLP((2,), "tanh", "squared_error", bnn.LogNormal(-1.0, 0.5)), 2),
    (bnn.MLP((2,), "tanh", "absolute_error", bnn.InverseGamma(3.0, 0.4)), 1),
    (bnn.MLP((3,), "relu", "absolute_error", None, bnn.ElasticNet(0.7, 0.4, bias=bnn.Flat())), 1),
    (bnn.MLP((2,), "gelu", Huber(0.9), 0.5, bnn.StudentT(3.0, 0.8, fan_in=True)), 1),
    (bnn.MLP((2,), "silu", Quantile(0.9), None, bnn.Normal(2.0, bias=bnn.Laplace(0.3)), bias=False), 1),
    (bnn.MLP((3, 2), "softplus", StudentT(2.5), None, bnn.Hierarchical(0.9)), 1),
    (bnn.MLP((3,), "erf", "gaussian_nll", None, bnn.Hierarchical(1.1, fan_in=True, bias=bnn.Normal(0.4))), 1),
    (bnn.MLP((2, 2), "sin", "binary_cross_entropy", None, bnn.Normal(0.6, fan_in=True)), 1),
    (bnn.MLP((3,), "identity", "cross_entropy", None, bnn.Laplace(1.5)), 1),
    (bnn.MLP((), "tanh", "poisson", None, bnn.Normal(1.0), bias=False), 1),
    (bnn.MLP((2,), "tanh", "ordinal", None, bnn.Normal(1.3)), 1),
    (bnn.MLP((2,), "tanh", "ordinal", None, bnn.Flat(), bias=False), 1),
]


def value_of(var, params):
    """Unconstrained value of a PyMC value variable, by the textbook transforms."""
    name, _, transform = var.name.partition("_")
    x = params[name]
    if transform == "log__":
        return np.log(x)
    if transform == "ordered__":
        return np.concatenate([x[:1], np.log(np.diff(x))])
    assert not transform
    return x


@pytest.mark.parametrize("fused", [True, False])
@pytest.mark.parametrize(("net", "targets"), MODELS, ids=lambda v: getattr(getattr(v, "loss", None), "name", ""))
def test_log_densities_are_those_of_the_compiled_model(net, targets, fused):
    rng = np.random.default_rng(3)
    y = TARGETS[net.loss.task] if targets == 1 else rng.normal(size=(6, targets))
    problem = prepare(net, X6, y)
    model = model_of(problem, fused=fused)
    parts = [model.logp(vars=v, jacobian=False) for v in (model.observed_RVs, model.free_RVs)]
    compiled = model.compile_fn(parts, inputs=model.value_vars)
    params = random_params(problem, (4,), seed=5)
    likelihood = net.log_likelihood(params, problem.X, problem.y)
    prior = net.log_prior(params)
    assert likelihood.shape == (4, 6)
    assert prior.shape in ((4,), ())
    for s in range(4):
        one = {k: v[s] for k, v in params.items()}
        expected = compiled({v.name: value_of(v, one) for v in model.value_vars})
        assert_allclose(likelihood[s].sum(), expected[0], rtol=1e-10, atol=1e-10)
        assert abs(likelihood[s - 1].sum() - expected[0]) > 1e-6, "other parameters have another density"
        assert_allclose(np.broadcast_to(prior, 4)[s], expected[1], rtol=1e-10, atol=1e-10)
    assert {rv.name for rv in model.free_RVs} == set(params)


def test_log_densities_of_a_batch_are_those_of_its_members():
    for net in (MODELS[1][0], MODELS[6][0], MODELS[11][0]):
        y = TARGETS[net.loss.task] if net is not MODELS[1][0] else np.column_stack([TARGETS["regression"]] * 2)
        problem = prepare(net, X6, y)
        params = random_params(problem, (2, 3), seed=1)
        likelihood, prior = net.log_likelihood(params, X6, y), net.log_prior(params)
        assert likelihood.shape == (2, 3, 6)
        assert prior.shape == (2, 3)
        for c, s in product(range(2), range(3)):
            one = {k: v[c, s] for k, v in params.items()}
            assert_allclose(net.log_likelihood(one, X6, y), likelihood[c, s], rtol=1e-13)
            assert_allclose(net.log_prior(one), prior[c, s], rtol=1e-13)


def test_the_prior_counts_every_parameter_once():
    net = bnn.MLP((2,), "tanh", "squared_error", None, bnn.Normal(1.0))
    params = random_params(prepare(net, X6, TARGETS["regression"]), (), seed=2)
    before = net.log_prior(params)
    for name, value in params.items():
        changed = {**params, name: value + 0.5}
        terms = 0.5 * (np.sum(np.square(value)) - np.sum(np.square(value + 0.5)))
        assert net.log_prior(changed) - before == pytest.approx(terms, abs=1e-12)
        assert abs(terms) > 1e-3


def test_a_linear_network_is_the_textbook_normal_density():
    net = bnn.MLP((), noise=0.5, prior=bnn.Normal(2.0))
    params = {"W1": np.array([[1.5]]), "b1": np.array([-0.25])}
    residuals = np.array([0.1, 0.2]) - (1.5 * np.array([0.0, 1.0]) - 0.25)
    expected = -0.5 * (residuals / 0.5) ** 2 - math.log(0.5 * math.sqrt(2 * math.pi))
    assert_allclose(net.log_likelihood(params, [[0.0], [1.0]], [0.1, 0.2]), expected, rtol=1e-14)
    expected = -(1.5**2 + 0.25**2) / 8 - 2 * math.log(2 * math.sqrt(2 * math.pi))
    assert net.log_prior(params) == pytest.approx(expected, rel=1e-14)


NODE = re.compile(r'    (l\d+_(?:\d+|more))\(\("([^"]*)"\)\)')
EDGE = re.compile(r"  (l\d+_(?:\d+|more)) --> (l\d+_(?:\d+|more))")
OPEN = re.compile(r'  subgraph (inputs|(?:hidden_\d+|outputs)\["[^"]*"\])')


def graph(text):
    """Subgraphs, nodes with their labels, and edges; any other line is an error."""
    first, *lines = text.split("\n")
    assert first == "graph LR"
    groups, nodes, edges, inside = [], {}, [], False
    for line in lines:
        if match := OPEN.fullmatch(line):
            assert not inside
            groups.append([])
            inside = True
        elif match := NODE.fullmatch(line):
            assert inside
            groups[-1].append(match[1])
            nodes[match[1]] = match[2]
        elif line == "  end":
            assert inside
            inside = False
        else:
            match = EDGE.fullmatch(line)
            assert match, line
            edges.append(match.groups())
    assert not inside
    return groups, nodes, edges


@given(nets(), st.integers(1, 12), st.integers(1, 4))
@settings(max_examples=60, deadline=None)
def test_mermaid_joins_each_layer_to_the_next(net, p, m):
    groups, nodes, edges = graph(net.to_mermaid(p, m))
    assert [len(g) for g in groups] == [min(w, 8) for w in (p, *net.hidden, m)]
    assert sorted(edges) == sorted(e for a, b in pairwise(groups) for e in product(a, b))
    assert len(nodes) == sum(map(len, groups))


def test_mermaid_shortens_wide_layers():
    groups, nodes, _ = graph(bnn.MLP(hidden=(20,)).to_mermaid(max_units=5))
    assert [nodes[k] for k in groups[1]] == ["h1", "h2", "h3", "... 16 more", "h20"]
    groups, nodes, _ = graph(bnn.MLP(hidden=(5,)).to_mermaid(max_units=5))
    assert [nodes[k] for k in groups[1]] == ["h1", "h2", "h3", "h4", "h5"]
    with pytest.raises(SpecError, match="max_units"):
        bnn.MLP(hidden=(20,)).to_mermaid(max_units=1)


def test_mermaid_takes_any_names():
    names = ['size "net"', "line\nbreak", "<b>", "x-->y"]
    groups, nodes, _ = graph(bnn.MLP().to_mermaid(feature_names=names, output_names=["price"]))
    assert [nodes[k] for k in groups[0]] == ["size 'net'", "line break", "<b>", "x-->y"]
    assert [nodes[k] for k in groups[-1]] == ["price"]
    with pytest.raises(AssertionError):
        graph('graph LR\n  subgraph inputs\n    l0_1(("a "quoted" name"))\n  end')


class Marked(SquaredError):
    """A loss whose text looks like a tag."""

    def __repr__(self):
        return "<script>alert('&')</script>"


def test_html_escapes_and_shows_every_part():
    shown = bnn.MLP(hidden=(4, 2), loss=Marked(), prior=bnn.Laplace(0.3))._repr_html_()
    assert "<script>" not in shown
    assert "&lt;script&gt;alert(&#x27;&amp;&#x27;)&lt;/script&gt;" in shown
    for words in ("4 tanh", "2 tanh", "Laplace(scale=0.3)", "learned, prior HalfNormal(sd=1.0)", "Normal"):
        assert words in shown
    assert "known, 0.2" in bnn.MLP(noise=0.2)._repr_html_()
    assert "no biases" in bnn.MLP(bias=False)._repr_html_()
    assert "none in this likelihood" in bnn.MLP(loss="poisson")._repr_html_()


def test_gelu_is_the_exact_one():
    x = np.linspace(-6, 6, 25)
    assert_allclose(bnn.ACTIVATIONS["gelu"](x), x * special.ndtr(x), rtol=1e-15)
    tanh_form = 0.5 * x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3)))
    assert np.abs(bnn.ACTIVATIONS["gelu"](x) - tanh_form).max() > 1e-4
