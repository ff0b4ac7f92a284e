"""One file a picture. Each returns its matplotlib Axes and never shows them."""

from bayesnn.plots.approximations import plot_approximations
from bayesnn.plots.barrier import plot_barrier
from bayesnn.plots.capacity import capacity_table, plot_capacity
from bayesnn.plots.evidence import plot_evidence
from bayesnn.plots.fits import plot_fits
from bayesnn.plots.mirrors import plot_mirrors
from bayesnn.plots.modes import plot_modes
from bayesnn.plots.optima import plot_optima
from bayesnn.plots.orbit import plot_orbit
from bayesnn.plots.prior import plot_prior
from bayesnn.plots.rhat import plot_rhat
from bayesnn.plots.strips import plot_strips
from bayesnn.plots.traces import plot_traces

__all__ = [
    "capacity_table",
    "plot_approximations",
    "plot_barrier",
    "plot_capacity",
    "plot_evidence",
    "plot_fits",
    "plot_mirrors",
    "plot_modes",
    "plot_optima",
    "plot_orbit",
    "plot_prior",
    "plot_rhat",
    "plot_strips",
    "plot_traces",
]
