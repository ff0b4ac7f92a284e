"""Arrays with names, scaling fitted on the training rows, bundled and simulated data."""

from bayesnn.data.bundled import NAMES
from bayesnn.data.checks import as_array, check_rows, check_size, check_X
from bayesnn.data.coding import Coding
from bayesnn.data.dataset import TASKS, Dataset
from bayesnn.data.files import read_table
from bayesnn.data.loading import load_data
from bayesnn.data.scaling import Scaling
from bayesnn.data.simulation import simulate
from bayesnn.data.target import target

__all__ = [
    "NAMES",
    "TASKS",
    "Coding",
    "Dataset",
    "Scaling",
    "as_array",
    "check_X",
    "check_rows",
    "check_size",
    "load_data",
    "read_table",
    "simulate",
    "target",
]
