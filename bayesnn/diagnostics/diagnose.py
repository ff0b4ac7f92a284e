"""What the chains of a posterior say about weights, aligned weights and function."""

import math
from typing import TYPE_CHECKING

import numpy as np

from bayesnn.diagnostics.diagnosis import SPACES, Diagnosis
from bayesnn.diagnostics.numbers import agreement, function_of, images_of, sampler_numbers, weights_of
from bayesnn.diagnostics.reference import check_reference, check_trusted, weigh_modes, weighed
from bayesnn.diagnostics.tempering import tempering_numbers
from bayesnn.diagnostics.verdict import judge
from bayesnn.errors import SpecError
from bayesnn.symmetry import align, element_of, symmetry_group
from bayesnn.tree import Inputs, kind_of, params_of, problem_of

if TYPE_CHECKING:
    import xarray as xr


def diagnose(post: "xr.DataTree", *, grid: Inputs | None = None, reference: "xr.DataTree | None" = None) -> Diagnosis:
    r"""Say whether the chains of a posterior agree: about the weights, the aligned weights, and the function.

    Chains in different mirror images of one network disagree about every weight and agree about the function; that is
    symmetry, and harmless. Chains in different modes of the function disagree about both, and their predictions are
    not to be trusted. The three R-hats side by side tell the two apart. Chains can't tell of a mode that none of them
    has found; `reference` can.

    Parameters
    ----------
    post : xarray.DataTree
        From `fit_posterior`, or aligned by `align`.
    grid : array (n, p), DataFrame or Dataset, optional
        Inputs, in the user's units, at which the function is followed; a Dataset brings its held-out rows. None takes
        about 50 function values: for one feature evenly spaced over the range of the training inputs, otherwise at
        training rows.
    reference : xarray.DataTree, optional
        A fit of the same posterior by tempering. It says which modes of the function the chains have missed, and how
        much of the posterior those hold.

    Returns
    -------
    Diagnosis
        Prints as the verdict in words and the table; ``brief`` is three lines of it; ``verdict``, ``trustworthy``,
        ``message``, ``remedy``, ``rhat_raw``, ``rhat_aligned``, ``rhat_function``, ``to_frame()`` and ``to_dict()``
        have it in parts.

    Raises
    ------
    SpecError
        An MLE or MAP fit; a reference by another sampler than tempering, or of another network, prior, likelihood,
        data or scaling.
    FitError
        Not a bayesnn fit, or a reference that is not to be trusted itself.
    DataError
        A grid that breaks a rule.

    See Also
    --------
    bayesnn.symmetry.align : Fold the mirror images of a posterior onto one.

    Notes
    -----
    R-hat is the larger of the rank-normalised and the folded split R-hat [1]_: draws are replaced by normal scores of
    their ranks, :math:`\hat R = \sqrt{(N - 1)/N + B/(N W)}` with the variance :math:`B/N` of the means of the half
    chains and the mean :math:`W` of their variances. It should be at most 1.01, with an ESS of at least 400. The
    classical R-hat [2]_ grows without bound as modes move apart; ranks do not see how far apart they are, so that four
    chains stuck 2 and 2 in two modes have
    :math:`\sqrt{1 + \tfrac87 \tfrac{2/\pi}{1 - 2/\pi}} = 1.733`, 1 and 3 have 1.528, and four modes 2.838.

    The function is the network's output: for classes its logits less their mean, since a common shift moves no
    probability; for ordered labels the cumulative logits, cutpoints less output; log-likelihood and noise go with it.
    A function that disagrees is put down to modes if at least two groups of chains have settled (an ESS of 10 within
    each) and differ in a mean by more than 5 standard errors and 1 standard deviation, otherwise to slow mixing (fewer
    than 5 effective draws in 100, or an R-hat above 1.05 in spite of the ESS) or to too few draws. E-BFMI below 0.3
    [3]_ is noted, and so are divergences of up to 1 draw in 1,000; compare [4]_. So is one of the `identities
    <bayesnn.theory.identities>` of every posterior that fails, which R-hat can't know of.

    A tempered fit says itself what it did not reach, and is trusted only if that is nothing and its systems agree about
    the function (R-hat at most 1.01 at twenty training inputs, 1.05 for all that is followed).

    Modes of chains and of a `reference` are those of `count_modes` for the draws of both together. Each has its share
    of the tempered draws, with its Monte Carlo error, and of the chains' draws. A mode without tempered draws holds
    less than 3 / (round trips of all systems) of the posterior with 95% confidence: each round trip brings an
    independent state from the prior. Chains that look well are not trusted if they miss more than 1% of the posterior,
    or if the share of a mode is off by more than 1% and 3 standard errors.

    References
    ----------
    .. [1] A. Vehtari, A. Gelman, D. Simpson, B. Carpenter and P.-C. Bürkner, "Rank-normalization, folding, and
       localization: an improved R-hat", Bayesian Analysis 16 (2021).
    .. [2] A. Gelman and D. B. Rubin, "Inference from iterative simulation using multiple sequences", Statistical
       Science 7 (1992).
    .. [3] M. Betancourt, "Diagnosing suboptimal cotangent disintegrations in Hamiltonian Monte Carlo",
       arXiv:1604.00695 (2016).
    .. [4] Stan Development Team, "Runtime warnings and convergence problems", https://mc-stan.org/misc/warnings.

    Examples
    --------
    Four chains about the mode of one hidden unit and about its mirror image, two each:

    >>> import numpy as np, bayesnn as bnn
    >>> from bayesnn.tree import make_tree, prepare, to_dataset
    >>> net = bnn.MLP(hidden=(1,), bias=False, noise=0.3)
    >>> draws = np.random.default_rng(1).normal([0.76, 1.12], 0.1, (4, 1000, 2))
    >>> draws[2:] *= -1
    >>> params = {"W1": draws[..., :1, None], "W2": draws[..., 1:, None]}
    >>> problem = prepare(net, [-2, -1, 0, 1, 2], [-1.1, -0.7, 0.1, 0.8, 1.0])
    >>> batch = {"chain": range(4), "draw": range(1000)}
    >>> found = bnn.diagnostics.diagnose(make_tree("posterior", problem, to_dataset(params, problem, batch)))
    >>> found.verdict, found.trustworthy, round(found.rhat_raw, 1), found.rhat_function < 1.01
    ('harmless_symmetry', True, 1.7, True)
    """
    import pandas as pd

    if kind_of(post) != "posterior":
        raise SpecError(
            f"Got a {kind_of(post)} fit; chains can be compared only where there are some. Use fit_posterior."
        )
    judge_of_modes: Diagnosis | None = None
    if reference is not None:
        check_reference(post, reference)
        judge_of_modes = diagnose(reference, grid=grid)
        check_trusted(judge_of_modes)
    problem = problem_of(post)
    raw = params_of(post, group="posterior_raw" if "posterior_raw" in post else "posterior")
    chains, draws = next(iter(raw.values())).shape[:2]
    with np.errstate(all="ignore"):
        values = {"raw": weights_of(raw, problem), "function": function_of(raw, problem, grid)}
    broken = ~np.isfinite(np.concatenate([v for _, v in values.values()], axis=-1)).all(axis=-1)
    order = symmetry_group(problem.net, len(problem.feature_names), len(problem.output_names)).finite_order
    if broken.any():
        images, occupancy, switch_rate = 0, pd.DataFrame(), ()
    else:
        aligned = post if post.attrs.get("bayesnn_symmetry") == "aligned" else align(post)
        params = params_of(aligned)
        names, numbers = weights_of(params, problem)
        prior = problem.net.log_prior(params)[..., None]
        values["aligned"] = [*names, "log-prior"], np.concatenate([numbers, prior], axis=-1)
        images, occupancy, switch_rate = images_of(element_of(aligned), (chains, draws))
    frames = [agreement(space, *values[space]) for space in SPACES if space in values]
    quantities = pd.concat([f for f in frames if len(f)] or frames[:1], ignore_index=True)
    names, function = values["function"]
    facts = {
        "chains": chains,
        "draws": draws,
        "quantities": quantities,
        "images": images,
        "group_order": order,
        "occupancy": occupancy,
        "switch_rate": switch_rate,
        "chain_log_likelihood": tuple(map(float, function[..., names.index("log-likelihood")].mean(axis=1))),
        "chain_modes": (0,) * chains,
        "tempering": tempering_numbers(post),
        "modes": pd.DataFrame(),
        "missed": (math.nan, math.nan),
        **sampler_numbers(post, chains),
    }
    facts |= judge(facts, raw, function, broken, post)
    if reference is not None and judge_of_modes is not None and not broken.any():
        facts |= weighed(facts, *weigh_modes(post, reference), judge_of_modes.tempering.get("round_trips", 0.0))
    return Diagnosis(**facts)
