"""One file a picture. Each returns its matplotlib Axes and never shows them."""

from bayesnn.plots.fits import plot_fits
from bayesnn.plots.optima import plot_optima
from bayesnn.plots.traces import plot_traces

__all__ = ["plot_fits", "plot_optima", "plot_traces"]
