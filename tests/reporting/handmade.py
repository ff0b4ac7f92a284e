"""Posteriors of which no number matters."""

from tests.conftest import prepare, random_params, tree_of


def draws(net, X, y, *, chains=2, n=60, seed=0, scale=0.3):
    """Make a posterior up."""
    return tree_of(net, X, y, random_params(prepare(net, X, y), (chains, n), seed=seed, scale=scale))
