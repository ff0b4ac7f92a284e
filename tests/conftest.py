"""Fits that many tests look at, made once a session: compiling and sampling is what costs."""

import os
import shutil
import warnings

import matplotlib as mpl
import numpy as np
import pytest

import bayesnn as bnn
from bayesnn.errors import ConvergenceWarning
from bayesnn.tree import make_tree, prepare, to_dataset

mpl.use("agg")
# Loads what only processes of its own need.
collect_ignore = ["fitting/preloaded.py"]

X5 = np.array([-2.0, -1.0, 0.0, 1.0, 2.0])
Y5 = np.array([-1.1, -0.7, 0.1, 0.8, 1.0])
X_NODE = np.array([-2.0, -1.0, 0.5, 1.0, 2.0])
Y_NODE = np.array([0, 1, 0, 1, 1])


def random_params(problem, batch, *, seed, scale=0.8):
    """Parameters of every kind that a network has, with leading dimensions `batch`."""
    rng = np.random.default_rng(seed)
    net = problem.net
    params = {k: scale * rng.normal(size=(*batch, *s)) for k, s in problem.shapes.items()}
    if net.noise_prior is not None:
        params["noise"] = rng.uniform(0.3, 1.2, size=batch)
    if net.loss.task == "ordinal":
        params["cutpoints"] = np.sort(2 * rng.normal(size=(*batch, int(problem.y.max()))), axis=-1)
    if isinstance(net.prior, bnn.Hierarchical):
        params |= {f"scale{k}": rng.uniform(0.4, 1.5, size=batch) for k in range(1, net.n_layers + 1)}
    return params


def tree_of(net, X, y, params, *, scaling=None, kind="posterior"):
    """A fit whose draws (chain, draw, ...) are given and not sampled."""
    problem = prepare(net, X, y, scaling=scaling)
    chains, draws = next(iter(params.values())).shape[:2]
    batch = {"chain": np.arange(chains), "draw": np.arange(draws)}
    return make_tree(kind, problem, to_dataset(params, problem, batch))


@pytest.fixture(autouse=True)
def _close_figures():
    yield
    import matplotlib.pyplot as plt

    plt.close("all")


@pytest.fixture(scope="session")
def browser():
    """Chromium, by Playwright; who asks for it where there is none is skipped."""
    playwright = pytest.importorskip("playwright.sync_api", reason="Playwright is in the dependency group browser")
    with playwright.sync_playwright() as driver:
        path = shutil.which("chromium") or shutil.which("google-chrome")
        own = os.path.exists(driver.chromium.executable_path)
        if not own and path is None:
            pytest.skip("there is no Chromium: playwright install chromium, or apt-get install chromium")
        chromium = driver.chromium.launch(executable_path=None if own else path, args=["--no-sandbox"])
        yield chromium
        chromium.close()


@pytest.fixture(scope="session")
def sine():
    return bnn.load_data("sine_gap", random_seed=1)


@pytest.fixture(scope="session")
def sine_net():
    return bnn.MLP(hidden=(2,), activation="tanh", loss="squared_error", noise=0.2, prior=bnn.Normal(1.0))


@pytest.fixture(scope="session")
def sine_mle(sine, sine_net):
    return bnn.fit_mle(sine_net, sine.X, sine.y, restarts=20, random_seed=1, progressbar=False)


@pytest.fixture(scope="session")
def sine_map(sine, sine_net):
    return bnn.fit_map(sine_net, sine.X, sine.y, restarts=20, random_seed=1, progressbar=False)


@pytest.fixture(scope="session")
def sine_post(sine, sine_net):
    return bnn.fit_posterior(sine_net, sine.X, sine.y, chains=4, random_seed=1, target_accept=0.95, progressbar=False)


@pytest.fixture(scope="session")
def node():
    return bnn.MLP(hidden=(), loss="binary_cross_entropy", bias=False, prior=bnn.Normal(1.0))


@pytest.fixture(scope="session")
def node_post(node):
    return bnn.fit_posterior(node, X_NODE, Y_NODE, draws=2000, random_seed=1, progressbar=False)


@pytest.fixture(scope="session")
def two_weights():
    return bnn.MLP(hidden=(1,), bias=False, noise=0.3, prior=bnn.Normal(1.0))


@pytest.fixture(scope="session")
def two_weights_post(two_weights):
    return bnn.fit_posterior(two_weights, X5, Y5, draws=4000, target_accept=0.97, random_seed=1, progressbar=False)


@pytest.fixture(scope="session")
def line_post():
    line = bnn.MLP(hidden=(), noise=0.3, prior=bnn.Normal(1.0))
    return bnn.fit_posterior(line, X5, Y5, draws=2000, random_seed=1, progressbar=False)


# Two groups of zeros about ones: one unit climbs on the left or falls on the right, and the height on the right says
# how probable the first is.
X_FLANKS = np.concatenate([np.linspace(-3, -2, 3), np.linspace(-0.8, 0.8, 6), np.linspace(2, 3, 3)])


def y_flanks(right):
    return np.concatenate([np.zeros(3), np.ones(6), np.full(3, right)])


EIGHTY, NINETY_SEVEN = y_flanks(0.016), y_flanks(0.041)


@pytest.fixture(scope="session")
def flank_net():
    return bnn.MLP(hidden=(1,), noise=0.15, prior=bnn.Normal(2.0))


@pytest.fixture(scope="session")
def flank_tempered(flank_net):
    return bnn.fit_posterior(flank_net, X_FLANKS, EIGHTY, sampler="tempering", random_seed=2, progressbar=False)


@pytest.fixture(scope="session")
def flank_chains(flank_net):
    """Two fits by NUTS: the first whose chains all keep to one and the same mode, and the first whose chains do not."""
    found = {}
    for seed in range(40):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            post = bnn.fit_posterior(flank_net, X_FLANKS, EIGHTY, random_seed=seed, progressbar=False)
        on_the_left = post["posterior"]["b1"].to_numpy()[..., 0] * post["posterior"]["W1"].to_numpy()[..., 0, 0] > 0
        apart = post.attrs["bayesnn_function_rhat"] > 1.5
        found.setdefault("agree" if on_the_left.mean() in (0, 1) else "disagree" if apart else "between", post)
        if {"agree", "disagree"} <= set(found):
            return found["agree"], found["disagree"]
    raise AssertionError("no chains that agree, or none that disagree")
