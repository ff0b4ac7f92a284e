"""One file a picture. Each returns its Axes, with words for them; only `show` shows them, in a notebook.

All `plot_*` take `ax` or `figsize` as pictures of Matplotlib do. There is no `backend`, which ArviZ's have: nothing but
Matplotlib draws them.
"""

from bayesnn.plots.approximations import plot_approximations
from bayesnn.plots.barrier import plot_barrier
from bayesnn.plots.calibration import plot_calibration
from bayesnn.plots.capacity import capacity_table, plot_capacity
from bayesnn.plots.consistency import plot_consistency
from bayesnn.plots.convexity import plot_convexity
from bayesnn.plots.estimates import plot_estimates
from bayesnn.plots.evidence import plot_evidence
from bayesnn.plots.fits import plot_fits
from bayesnn.plots.information import plot_information
from bayesnn.plots.likelihood import plot_likelihood
from bayesnn.plots.mirrors import plot_mirrors
from bayesnn.plots.modes import plot_modes
from bayesnn.plots.optima import plot_optima
from bayesnn.plots.orbit import plot_orbit
from bayesnn.plots.partial_dependence import plot_partial_dependence
from bayesnn.plots.picture import Picture
from bayesnn.plots.ppc import plot_ppc
from bayesnn.plots.prior import plot_prior
from bayesnn.plots.prior_functions import plot_prior_functions
from bayesnn.plots.prior_grid import plot_prior_grid
from bayesnn.plots.race import plot_race
from bayesnn.plots.rhat import plot_rhat
from bayesnn.plots.sensitivity import plot_sensitivity
from bayesnn.plots.show import show
from bayesnn.plots.singular import plot_singular
from bayesnn.plots.strips import plot_strips
from bayesnn.plots.traces import plot_traces
from bayesnn.plots.validation import plot_validation

__all__ = [
    "Picture",
    "capacity_table",
    "plot_approximations",
    "plot_barrier",
    "plot_calibration",
    "plot_capacity",
    "plot_consistency",
    "plot_convexity",
    "plot_estimates",
    "plot_evidence",
    "plot_fits",
    "plot_information",
    "plot_likelihood",
    "plot_mirrors",
    "plot_modes",
    "plot_optima",
    "plot_orbit",
    "plot_partial_dependence",
    "plot_ppc",
    "plot_prior",
    "plot_prior_functions",
    "plot_prior_grid",
    "plot_race",
    "plot_rhat",
    "plot_sensitivity",
    "plot_singular",
    "plot_strips",
    "plot_traces",
    "plot_validation",
    "show",
]
