"""One run of one sampler in a process of its own: python -m tests.benchmarks.samplers OUT JSON.

Every sampler targets an acceptance of 0.8, has a diagonal mass matrix and trees of at most depth 10, and otherwise
keeps its own defaults; only "ours_low_rank" shows what our other mass matrix gives, at an acceptance of 0.97, and
"ours_repeated" what runs cost that are repeated at a higher acceptance where too many draws diverge.
What front ends add is left out of the seconds of sampling: progress bars, recording the network's output at every
training row, turning draws into trees.
"""

import contextlib
import os
import sys
import time

BEGAN = time.perf_counter()
TARGET = 0.8


def ours(posterior, o, **choices):
    """`bnn.fit_posterior`, watched from outside for the seconds of its parts and for its warm-up."""
    import nutpie

    import bayesnn as bnn
    from bayesnn.fitting import chains as home
    from bayesnn.fitting import nuts
    from bayesnn.tree import params_of

    def sample(*args, run=nutpie.sample, **kwargs):
        found.append(run(*args, **{**kwargs, "save_warmup": True}))
        return found[0]

    p, found, began = posterior.problem, [], time.perf_counter()
    with contextlib.ExitStack() as stack:
        building = stack.enter_context(_watched(home, "log_density"))
        compiling = stack.enter_context(_watched(nuts, "compile_flat"))
        completing = stack.enter_context(_watched(home, "draw_output_layer"))
        converting = stack.enter_context(_watched(sys.modules["nutpie.sample"], "_arrow_to_arviz"))
        stack.enter_context(_replaced(nutpie, "sample", sample))
        sampling = stack.enter_context(_watched(nutpie, "sample"))
        settings = {"random_seed": o.pop("seed"), "target_accept": TARGET, **o, **choices}
        tree = bnn.fit_posterior(p.net, p.X, p.y, progressbar=False, **settings)
    wall = time.perf_counter() - began
    seconds = sum(sampling) - sum(converting) + sum(completing)
    diverging = int(tree["sample_stats"]["diverging"].sum())
    return params_of(tree), sum(map(_steps, found)), diverging, sum(building) + sum(compiling), seconds, wall


def nutpie(posterior, o):
    """Sample the plain model with nutpie, compiled by nutpie itself."""
    import nutpie

    began = time.perf_counter()
    model = _plain(posterior)
    compiled = nutpie.compile_pymc_model(model, var_names=[rv.name for rv in model.free_RVs])
    middle = time.perf_counter()
    with _watched(sys.modules["nutpie.sample"], "_arrow_to_arviz") as converting:
        found = nutpie.sample(compiled, target_accept=TARGET, save_warmup=True, progress_bar=False, **o)
    end = time.perf_counter()
    diverging = int(found["sample_stats"]["diverging"].sum())
    return _arrays(found), _steps(found), diverging, middle - began, end - middle - sum(converting), end - began


def pymc(posterior, o):
    """Sample the plain model with PyMC's own NUTS."""
    import pymc as pm

    began = time.perf_counter()
    model = _plain(posterior)
    found = pm.sample(
        model=model,
        nuts_sampler="pymc",
        nuts={"target_accept": TARGET},
        var_names=[rv.name for rv in model.free_RVs],
        random_seed=o.pop("seed"),
        discard_tuned_samples=False,
        compute_convergence_checks=False,
        progressbar=False,
        quiet=True,
        **o,
    )
    sampling = float(found["posterior"].attrs["sampling_time"])
    compiling = time.perf_counter() - began - sampling
    return _arrays(found), _steps(found), int(found["sample_stats"]["diverging"].sum()), compiling, sampling


def numpyro(posterior, o):
    """NumPyro's kernel on PyMC's density in JAX, as pm.sample(nuts_sampler="numpyro") runs it."""
    from numpyro.infer import NUTS
    from pymc.sampling.jax import get_jaxified_logp

    began = time.perf_counter()
    model = _plain(posterior)
    logp = get_jaxified_logp(model, negative_logp=False)
    kernel = NUTS(potential_fn=lambda z: logp([z[v.name] for v in model.value_vars]), target_accept_prob=TARGET)
    return _jax_chains(_numpyro_chain(kernel, o), _jittered(model, o), o, began)


def numpyro_native(posterior, o, float64=True):
    """Sample a model written for NumPyro by hand."""
    import jax
    import numpyro
    import numpyro.distributions as dist
    from jax import numpy as jnp
    from numpyro.infer import NUTS

    jax.config.update("jax_enable_x64", float64)
    began = time.perf_counter()
    p = posterior.problem
    X, y, net = jnp.asarray(p.X), jnp.asarray(p.y), p.net
    normal = {k: dist.Normal(0.0, 1.0).expand(s).to_event(len(s)) for k, s in p.shapes.items()}

    def model():
        w, h = {k: numpyro.sample(k, d) for k, d in normal.items()}, X
        for layer in range(1, net.n_layers + 1):
            h = h @ w[f"W{layer}"] + w[f"b{layer}"]
            h = jnp.tanh(h) if layer < net.n_layers else h
        if net.loss.name == "cross_entropy":
            numpyro.sample("y", dist.Categorical(logits=h), obs=y)
        elif net.loss.name == "binary_cross_entropy":
            numpyro.sample("y", dist.Bernoulli(logits=h[:, 0]), obs=y)
        else:
            noise = net.noise if net.noise_prior is None else numpyro.sample("noise", dist.HalfNormal(1.0))
            numpyro.sample("y", dist.Normal(h[:, 0], noise), obs=y)

    chain = _numpyro_chain(NUTS(model, target_accept_prob=TARGET), o)
    return _jax_chains(chain, None, o, began)


def blackjax(posterior, o):
    """BlackJAX's window adaptation and NUTS on PyMC's density in JAX; pm.sample's own call of it fails in 1.7."""
    import blackjax
    import jax
    from pymc.sampling.jax import get_jaxified_logp

    began = time.perf_counter()
    model = _plain(posterior)
    negative = get_jaxified_logp(model, negative_logp=False)

    def logp(z):
        return -negative([z[v.name] for v in model.value_vars])

    def chain(key, start):
        key, warm = jax.random.split(key)
        adaptation = blackjax.window_adaptation(blackjax.nuts, logp, target_acceptance_rate=TARGET)
        (state, tuned), trace = adaptation.run(warm, start, num_steps=o["tune"])
        kernel = blackjax.nuts(logp, **tuned)

        def step(state, key):
            state, info = kernel.step(key, state)
            return state, (state.position, info.num_integration_steps, info.is_divergent)

        _, (z, steps, diverging) = jax.lax.scan(step, state, jax.random.split(key, o["draws"]))
        return z, steps.sum() + trace.info.num_integration_steps.sum(), diverging.sum()

    return _jax_chains(chain, _jittered(model, o), o, began)


SAMPLERS = {
    "ours": ours,
    "ours_fused": lambda posterior, o: ours(posterior, o, collapse=False),
    "ours_low_rank": lambda posterior, o: ours(posterior, o, adaptation="low_rank", target_accept=0.97),
    "ours_repeated": lambda posterior, o: ours(posterior, o, target_accept=None),
    "nutpie": nutpie,
    "pymc": pymc,
    "numpyro": numpyro,
    "numpyro_native": numpyro_native,
    "numpyro_native_32": lambda posterior, o: numpyro_native(posterior, o, float64=False),
    "blackjax": blackjax,
}
JAX = ("numpyro", "numpyro_native", "numpyro_native_32", "blackjax")


@contextlib.contextmanager
def _replaced(module, name, new):
    """Put another function in a module's place for a while."""
    old = getattr(module, name)
    setattr(module, name, new)
    try:
        yield
    finally:
        setattr(module, name, old)


@contextlib.contextmanager
def _watched(module, name):
    """Collect the seconds of each call of a module's function."""
    seconds, function = [], getattr(module, name)

    def call(*args, **kwargs):
        began = time.perf_counter()
        result = function(*args, **kwargs)
        seconds.append(time.perf_counter() - began)
        return result

    with _replaced(module, name, call):
        yield seconds


def _plain(posterior):
    from bayesnn.model import model_of

    return model_of(posterior.problem, fused=False)


def _arrays(found):
    draws = found["posterior"].to_dataset()
    return {str(k): v.transpose("chain", "draw", ...).to_numpy() for k, v in draws.data_vars.items()}


def _steps(found):
    """Gradients that nutpie or PyMC took, warm-up included."""
    return int(sum(found[group]["n_steps"].sum() for group in ("sample_stats", "warmup_sample_stats")))


def _jittered(model, o):
    """Start as pm.sample does: the prior's centre and a uniform jitter."""
    from pymc.sampling.jax import _get_batched_jittered_initial_points

    points = _get_batched_jittered_initial_points(model, o["chains"], None, o["seed"])
    return {v.name: p for v, p in zip(model.value_vars, points, strict=True)}


def _numpyro_chain(kernel, o):
    import jax

    def chain(key, start):
        state = kernel.init(key, o["tune"], start, (), {})

        def step(state, _):
            state = kernel.sample(state, (), {})
            return state, (state.z, state.num_steps, state.diverging)

        _, (z, steps, diverging) = jax.lax.scan(step, state, None, length=o["tune"] + o["draws"])
        return {k: v[o["tune"] :] for k, v in z.items()}, steps.sum(), diverging[o["tune"] :].sum()

    return chain


def _jax_chains(chain, starts, o, began):
    """Compile for all chains ahead of time, then run: on one device each where there are enough, else in lockstep."""
    import jax
    import numpy as np

    keys = jax.random.split(jax.random.PRNGKey(o["seed"]), o["chains"])
    parallel = len(jax.devices()) >= o["chains"]
    run = (jax.pmap if parallel else lambda f: jax.jit(jax.vmap(f)))(chain)
    run = run.lower(keys, starts).compile()
    middle = time.perf_counter()
    z, steps, diverging = jax.block_until_ready(run(keys, starts))
    sampling = time.perf_counter() - middle
    params = {k.removesuffix("_log__"): np.asarray(v, dtype=float) for k, v in z.items()}
    if "noise" in params:
        params["noise"] = np.exp(params["noise"])
    return params, int(steps.sum()), int(diverging.sum()), middle - began, sampling


def measure(name, sampler, *, draws, tune, chains, seed):
    """Run a sampler and describe what it found; see `compare_samplers` for what is made of it."""
    from tests.benchmarks.posteriors import posterior

    posterior = posterior(name)
    _import(sampler)
    imported = time.perf_counter() - BEGAN
    o = {"draws": draws, "tune": tune, "chains": chains, "seed": seed}
    if sampler not in JAX:
        o["cores"] = min(chains, os.cpu_count())
    params, gradients, divergences, compiling, sampling, *wall = SAMPLERS[sampler](posterior, o)
    f = posterior.function(params)
    return {
        "import_seconds": imported,
        "compile_seconds": compiling,
        "sampling_seconds": sampling,
        "wall_seconds": wall[0] if wall else compiling + sampling,
        "gradients": gradients,
        "divergences": divergences,
        **describe(f),
    }


def describe(f):
    """Describe a function's values (chain, draw, value): ESS and R-hat of all chains and within each, and moments."""
    import arviz as az
    import numpy as np

    def each(statistic, f):
        return np.array([float(statistic(f[:, :, k])) for k in range(f.shape[2])])

    halves = [np.array_split(chain[: len(chain) // 2 * 2], 2) for chain in f]
    return {
        "ess": each(az.ess, f).min(),
        "rhat": each(az.rhat, f).max(),
        "ess_within": sum(each(az.ess, chain[None]).min() for chain in f),
        "rhat_within": max(each(az.rhat, np.stack(pair)).max() for pair in halves),
        "mean": f.mean(axis=(0, 1)).tolist(),
        "sd": f.std(axis=(0, 1)).tolist(),
        "mcse": each(lambda x: az.mcse(x, method="mean"), f).tolist(),
    }


def _import(sampler):
    """Import what a sampler needs, so that this is not counted as compiling."""
    import importlib

    needed = {"ours": ("nutpie", "pymc"), "nutpie": ("nutpie", "pymc"), "pymc": ("pymc",)}
    needed |= {"numpyro": ("pymc.sampling.jax", "numpyro.infer"), "blackjax": ("pymc.sampling.jax", "blackjax")}
    for module in needed.get(sampler.removesuffix("_fused").removesuffix("_low_rank"), ("numpyro.infer",)):
        importlib.import_module(module)


if __name__ == "__main__":
    from tests.benchmarks.runs import serve

    serve(measure)
