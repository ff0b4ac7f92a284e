"""One run of one estimator of the log evidence in a process of its own: python -m tests.benchmarks.evidence OUT JSON.

Every peer has both cores: those that use one alone run once on each, with seeds of their own, and the estimates are
averaged. Compilation, imports and the turning of draws into trees are left out of the seconds of sampling.

- "ours" is `bnn.fit_posterior(..., sampler="tempering")` with its defaults, in the second call of the process.
- "blackjax" is adaptive tempered SMC with an HMC kernel in JAX, float64, the whole run compiled into one loop. Pilot
  runs ("blackjax_pilots", once a posterior, not counted) tune the step size for each temperature, to an acceptance
  of 0.75. The particles' variances as a mass matrix, which its `inner_kernel_tuning` offers, made it worse: directions
  that are narrow everywhere then hardly move, and the log evidence of "sine" came out 7 too low.
- "pymc_smc" is `pm.sample_smc` as it is, on the model with our fused likelihood, which is faster than the plain one.
- "dynesty" and "ultranest" are nested samplers on our compiled log-likelihood, in 15 dimensions and fewer: the first
  one point at a time, the second in batches. nautilus, tried too, took minutes on seven dimensions.
"""

import os
import time
import warnings

from tests.benchmarks.samplers import _replaced, _watched

NESTED_MOST = 15
"""Dimensions up to which nested samplers take part."""
TARGET = 0.75
PILOTS, PILOT_PARTICLES, PILOT_STEPS, NEAR = 12, 200, 5, 0.1
PARTICLES, MOVES, BATCH, STAGES = 1000, 10, 100, 300
"""Particles of an SMC by BlackJAX, HMC moves at each temperature, particles that are moved at a time (which keeps
their arrays in the cache: half as fast again as all at once), and the most temperatures."""
LEAPFROGS = {"sine": 32}
"""Steps of each HMC move; 16 where nothing is said. With 8 "sine" came out 0.7 too low, with 16 and 32 about 0.2."""
KNOTS = [-16.0 + 0.5 * k for k in range(33)]
"""Logarithms of the inverse temperatures at which the step size is tuned."""
REFERENCE_ROUNDS = 8
"""Each round is twice as long as the one before; tempering takes at most 5 by itself."""


def ours(posterior, o, **choices):
    """Tempering; a first, short call compiles, or reads what was compiled."""
    import bayesnn as bnn

    p = posterior.problem
    settings = {"sampler": "tempering", "chains": o["chains"], "cores": o["cores"], "progressbar": False}
    began = time.perf_counter()
    bnn.fit_posterior(p.net, p.X, p.y, draws=4, tune=10, rounds=1, random_seed=0, **settings)
    middle = time.perf_counter()
    with warnings.catch_warnings():
        # What a run did not reach is kept below.
        warnings.simplefilter("ignore", bnn.errors.ConvergenceWarning)
        choices |= {"random_seed": o["seed"], "max_seconds": o.get("max_seconds")}
        tree = bnn.fit_posterior(p.net, p.X, p.y, **settings, **choices)
    seconds = time.perf_counter() - middle
    found, attrs = bnn.log_evidence(tree), tree.attrs
    return {
        **_found([found.value], seconds, middle - began),
        "se": found.se,
        "evaluations": int(attrs["bayesnn_gradients"]),
        "rounds": int(attrs["bayesnn_rounds"]),
        "unmet": attrs["bayesnn_unmet"],
    }


def blackjax(posterior, o):
    """Adaptive tempered SMC, one on each core; the mean of the evidences, which are unbiased."""
    import jax

    jax.config.update("jax_enable_x64", True)
    from jax import numpy as jnp

    began = time.perf_counter()
    particles, moves = o.get("particles", PARTICLES), o.get("moves", MOVES)
    run = _tempered_smc(posterior.problem, particles, moves, o["leapfrogs"])
    keys = jax.random.split(jax.random.PRNGKey(o["seed"]), o["cores"])
    schedule = jnp.asarray(o["log_steps"])
    run = jax.pmap(run, in_axes=(0, None), devices=jax.devices()[: o["cores"]]).lower(keys, schedule).compile()
    middle = time.perf_counter()
    values, reached, stages, _, acceptances = jax.block_until_ready(run(keys, schedule))
    seconds = time.perf_counter() - middle
    if float(reached.min()) < 1.0:
        raise RuntimeError(f"SMC did not reach the posterior in {STAGES} temperatures")
    known = [float(rate) for i, n in enumerate(stages) for rate in acceptances[i, : int(n)]]
    return {
        **_found(values, seconds, middle - began, unbiased=True),
        "evaluations": int(stages.sum()) * particles * moves * o["leapfrogs"],
        "acceptance": [min(known), max(known)],
    }


def blackjax_pilots(posterior, o):
    """Tune the step size at each temperature, in short SMCs with fewer particles and moves."""
    import jax
    import numpy as np

    jax.config.update("jax_enable_x64", True)
    began = time.perf_counter()
    leapfrogs = o.get("leapfrogs") or LEAPFROGS.get(o["name"], 16)
    run = jax.jit(_tempered_smc(posterior.problem, PILOT_PARTICLES, PILOT_STEPS, leapfrogs))
    log_steps = np.linspace(0.0, -3.0, len(KNOTS))
    for pilot in range(PILOTS):
        _, _, stages, at, acceptances = map(np.asarray, run(jax.random.PRNGKey(o["seed"] + pilot), log_steps))
        away = acceptances[:stages] - TARGET
        worst = float(np.abs(away).max())
        if worst < NEAR:
            break
        log_steps = log_steps + np.interp(KNOTS, at[:stages], 2.0 * away)
    return {
        "log_steps": log_steps.tolist(),
        "leapfrogs": leapfrogs,
        "tuning_seconds": time.perf_counter() - began,
        "pilots": pilot + 1,
        "worst": worst,
    }


def _tempered_smc(problem, particles, moves, leapfrogs):
    """Whole SMC as one function of a key and of the logarithms of the step sizes at the knots."""
    import jax
    from blackjax import hmc
    from blackjax.smc import adaptive_tempered, resampling
    from jax import numpy as jnp

    log_prior, log_likelihood, draw = _in_jax(problem)
    move, knots = hmc.build_kernel(), jnp.asarray(KNOTS)

    def step(key, state, logdensity, step_size):
        # Trajectories of one length would come back to where they began on what is nearly normal.
        key, sub = jax.random.split(key)
        step_size = step_size * jax.random.uniform(sub, minval=0.8, maxval=1.2)
        return move(key, state, logdensity, step_size, jnp.ones(state.position.shape), leapfrogs)

    kernel = adaptive_tempered.build_kernel(
        log_prior, log_likelihood, step, hmc.init, resampling.systematic, 0.5, batch_size=BATCH
    )

    def run(key, log_steps):
        def advance(carry):
            key, state, value, stage, at, acceptances = carry
            key, sub = jax.random.split(key)
            # Moves are made at the temperature that the state has, and weights for the next.
            here = jnp.maximum(jnp.log(state.tempering_param), knots[0])
            step_size = jnp.exp(jnp.interp(here, knots, log_steps))
            state, info = kernel(sub, state, moves, {"step_size": step_size[None]})
            at, rate = at.at[stage].set(here), info.update_info.acceptance_rate.mean()
            return key, state, value + info.log_likelihood_increment, stage + 1, at, acceptances.at[stage].set(rate)

        key, first = jax.random.split(key)
        state = adaptive_tempered.init(draw(first, particles))._replace(tempering_param=jnp.asarray(0.0))
        start = (key, state, jnp.asarray(0.0), 0, jnp.zeros(STAGES), jnp.zeros(STAGES))
        end = jax.lax.while_loop(lambda c: (c[1].tempering_param < 1.0) & (c[3] < STAGES), advance, start)
        return end[2], end[1].tempering_param, *end[3:]

    return run


def _in_jax(problem):
    """Log prior, log likelihood and draws of the prior, of flat vectors that end with the logarithm of the noise."""
    import jax
    import numpy as np
    from jax import numpy as jnp

    net, X, y = problem.net, jnp.asarray(problem.X), jnp.asarray(problem.y)
    learned, log_2pi = net.loss.has_noise and net.noise_prior is not None, np.log(2.0 * np.pi)
    ends = np.cumsum([int(np.prod(s)) for s in problem.shapes.values()])
    size = int(ends[-1])

    def log_prior(theta):
        value = -0.5 * jnp.sum(theta[:size] ** 2) - 0.5 * size * log_2pi
        if learned:
            value += 0.5 * np.log(2.0 / np.pi) - 0.5 * jnp.exp(2.0 * theta[size]) + theta[size]
        return value

    def log_likelihood(theta):
        pieces = jnp.split(theta[:size], ends[:-1])
        w = {k: piece.reshape(s) for piece, (k, s) in zip(pieces, problem.shapes.items(), strict=True)}
        h = X
        for layer in range(1, net.n_layers + 1):
            h = h @ w[f"W{layer}"] + w[f"b{layer}"]
            h = jnp.tanh(h) if layer < net.n_layers else h
        if net.loss.name == "cross_entropy":
            return jnp.take_along_axis(jax.nn.log_softmax(h), y[:, None], axis=1).sum()
        if net.loss.name == "binary_cross_entropy":
            return jnp.sum(y * h[:, 0] - jnp.logaddexp(0.0, h[:, 0]))
        noise = jnp.exp(theta[size]) if learned else net.noise
        return -0.5 * jnp.sum(((y - h[:, 0]) / noise) ** 2) - len(y) * (jnp.log(noise) + 0.5 * log_2pi)

    def draw(key, count):
        theta = jax.random.normal(key, (count, size + learned))
        return theta.at[:, size].set(jnp.log(jnp.abs(theta[:, size]))) if learned else theta

    return log_prior, log_likelihood, draw


def pymc_smc(posterior, o):
    """PyMC's SMC with its independent Metropolis-Hastings kernel; the mean of the evidences of its chains."""
    import pymc as pm
    from pymc.smc import sampling

    from bayesnn.model import model_of

    def kernel(**settings):
        began = time.perf_counter()
        built = pm.smc.IMH(**settings)
        compiling.append(time.perf_counter() - began)
        return built

    compiling, model = [], model_of(posterior.problem)
    with (
        _watched(sampling, "_build_trace_from_kernel_state") as tracing,
        _replaced(sampling, "_save_sample_stats", lambda settings, stats, *rest: (None, stats)),
    ):
        began = time.perf_counter()
        stats = pm.sample_smc(
            draws=o.get("draws", 2000),
            kernel=kernel,
            model=model,
            chains=o["chains"],
            cores=o["cores"],
            random_seed=o["seed"],
            compute_convergence_checks=False,
            progressbar=False,
        )
        seconds = time.perf_counter() - began - sum(compiling) - sum(tracing)
    values = [float(chain["log_marginal_likelihood"][-1]) for chain in stats]
    return _found(values, seconds, sum(compiling), unbiased=True)


def dynesty(posterior, o):
    """Static nested sampling by slices in random directions, with the package's defaults.

    Its random walks are twice as fast, and were 0.8 too low on "sine_gap" in one of two pairs of runs."""
    import dynesty
    import numpy as np

    log_likelihood, transform, size = _in_the_cube(posterior.problem)

    def run(seed):
        rng = np.random.default_rng(seed)
        sampler = dynesty.NestedSampler(
            lambda theta: log_likelihood(theta[None])[0], transform, size, sample="rslice", rstate=rng
        )
        sampler.run_nested(print_progress=False)
        found = sampler.results
        return float(found.logz[-1]), float(found.logzerr[-1]), int(np.sum(found.ncall))

    return _nested(run, o)


def ultranest(posterior, o):
    """UltraNest with slices of a whole population at once, so that our likelihood gets batches."""
    import logging

    import numpy as np
    from ultranest import ReactiveNestedSampler
    from ultranest.popstepsampler import PopulationSimpleSliceSampler, generate_mixture_random_direction

    log_likelihood, transform, size = _in_the_cube(posterior.problem)
    names = [f"x{k}" for k in range(size)]
    logging.getLogger("ultranest").setLevel(logging.ERROR)

    def run(seed):
        # The package draws from NumPy's global generator alone.
        np.random.seed(seed)  # noqa: NPY002
        sampler = ReactiveNestedSampler(names, log_likelihood, transform, vectorized=True, draw_multiple=True)
        sampler.stepsampler = PopulationSimpleSliceSampler(
            popsize=100, nsteps=20, generate_direction=generate_mixture_random_direction
        )
        found = sampler.run(min_num_live_points=400, max_num_improvement_loops=0, show_status=False, viz_callback=False)
        return float(found["logz"]), float(found["logzerr"]), int(found["ncall"])

    return _nested(run, o)


def _in_the_cube(problem):
    """Log likelihoods of flat vectors (s, size), the vectors of points of the unit cube, and their size."""
    import numpy as np
    from scipy.special import ndtri

    from bayesnn.fitting.density import log_density

    density = log_density(problem, jacobian=True, split=True)
    noisy = "noise" in density.names
    if density.size > NESTED_MOST:
        raise ValueError(f"{density.size} dimensions are too many for nested sampling here")

    def transform(cube):
        theta = ndtri(cube)
        if noisy:
            theta[..., -1] = np.log(ndtri(0.5 + 0.5 * cube[..., -1]))
        return theta

    def log_likelihood(theta):
        return density.many(np.ascontiguousarray(theta))[0][:, 0]

    log_likelihood(np.zeros((1, density.size)))
    return log_likelihood, transform, density.size


def _nested(run, o):
    """Run once on each core, with seeds of their own; the mean of the logarithms, whose errors are symmetric."""
    from multiprocessing import get_context

    import numpy as np

    context, began = get_context("fork"), time.perf_counter()
    pipes, workers = [], []
    for k in range(o["cores"]):
        here, there = context.Pipe(duplex=False)
        workers.append(
            context.Process(target=lambda pipe, seed: pipe.send(run(seed)), args=(there, o["seed"] + 1000 * k))
        )
        pipes.append(here)
        workers[-1].start()
        there.close()
    values, errors, calls = zip(*(pipe.recv() for pipe in pipes), strict=True)
    for worker in workers:
        worker.join()
    seconds = time.perf_counter() - began
    se = float(np.sqrt(np.sum(np.square(errors))) / len(errors))
    return {**_found(values, seconds, 0.0), "se": se, "evaluations": sum(calls)}


def _found(values, sampling, compiling, *, unbiased=False):
    """What a run gives: the mean of its estimates, or of their exponentials where those are unbiased."""
    import numpy as np

    from bayesnn.prediction import log_mean_exp

    values = np.asarray(values, dtype=float)
    return {
        "log_evidence": float(log_mean_exp(values) if unbiased else values.mean()),
        "parts": values.tolist(),
        "sampling_seconds": sampling,
        "compile_seconds": compiling,
    }


SAMPLERS = {
    "ours": ours,
    "ours_long": lambda posterior, o: ours(posterior, o, rounds=REFERENCE_ROUNDS),
    "blackjax": blackjax,
    "blackjax_pilots": blackjax_pilots,
    "pymc_smc": pymc_smc,
    "dynesty": dynesty,
    "ultranest": ultranest,
}
NEEDS = {"blackjax": ("jax", "blackjax"), "dynesty": ("dynesty",), "ultranest": ("ultranest",)}


def measure(name, sampler, *, chains, seed, **more):
    """Run an estimator; see `compare_evidence` for what is made of it."""
    from tests.benchmarks.posteriors import posterior

    o = {"chains": chains, "cores": min(2, os.cpu_count()), "seed": seed, "name": name, **more}
    return SAMPLERS[sampler](posterior(name), o)


if __name__ == "__main__":
    from tests.benchmarks.runs import serve

    serve(measure)
