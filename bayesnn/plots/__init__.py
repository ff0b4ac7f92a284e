"""One file a picture. Each returns its matplotlib Axes and never shows them."""

from bayesnn.plots.barrier import plot_barrier
from bayesnn.plots.capacity import capacity_table, plot_capacity
from bayesnn.plots.evidence import plot_evidence
from bayesnn.plots.fits import plot_fits
from bayesnn.plots.mirrors import plot_mirrors
from bayesnn.plots.modes import plot_modes
from bayesnn.plots.optima import plot_optima
from bayesnn.plots.orbit import plot_orbit
from bayesnn.plots.prior import plot_prior
from bayesnn.plots.prior_functions import plot_prior_functions
from bayesnn.plots.prior_grid import plot_prior_grid
from bayesnn.plots.rhat import plot_rhat
from bayesnn.plots.singular import plot_singular
from bayesnn.plots.strips import plot_strips
from bayesnn.plots.traces import plot_traces

__all__ = [
    "capacity_table",
    "plot_barrier",
    "plot_capacity",
    "plot_evidence",
    "plot_fits",
    "plot_mirrors",
    "plot_modes",
    "plot_optima",
    "plot_orbit",
    "plot_prior",
    "plot_prior_functions",
    "plot_prior_grid",
    "plot_rhat",
    "plot_singular",
    "plot_strips",
    "plot_traces",
]
