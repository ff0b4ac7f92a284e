"""The report: one page that holds an analysis, to hand out. The room is not called report: that is the function."""

from bayesnn.reporting.page import Report, report

__all__ = ["Report", "report"]
