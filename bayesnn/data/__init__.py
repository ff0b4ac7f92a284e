"""Arrays with names, scaling fitted on the training rows, bundled and simulated data."""

from bayesnn.data.checks import as_array, check_rows, check_X
from bayesnn.data.loading import NAMES, TASKS, Dataset, Scaling, load_data, read_csv, simulate

__all__ = [
    "NAMES",
    "TASKS",
    "Dataset",
    "Scaling",
    "as_array",
    "check_X",
    "check_rows",
    "load_data",
    "read_csv",
    "simulate",
]
