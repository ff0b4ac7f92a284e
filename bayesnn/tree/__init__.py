"""What every fit returns: an xarray DataTree that carries its network, scaling and names, and how to read one back."""

from bayesnn.tree.fit import KINDS, kind_of, make_tree, params_of, problem_of, to_dataset
from bayesnn.tree.headings import APPROXIMATIONS, Fits, approximation_of, heading, is_trained, is_unbounded, named_fits
from bayesnn.tree.inputs import Rows, check_dataset, dataset_rows, new_inputs, new_targets, observed_rows
from bayesnn.tree.problem import Inputs, Problem, ScalingChoice, checked_target, prepare
from bayesnn.tree.saved import load_fit, save_fit

__all__ = [
    "APPROXIMATIONS",
    "KINDS",
    "Fits",
    "Inputs",
    "Problem",
    "Rows",
    "ScalingChoice",
    "approximation_of",
    "check_dataset",
    "checked_target",
    "dataset_rows",
    "heading",
    "is_trained",
    "is_unbounded",
    "kind_of",
    "load_fit",
    "make_tree",
    "named_fits",
    "new_inputs",
    "new_targets",
    "observed_rows",
    "params_of",
    "prepare",
    "problem_of",
    "save_fit",
    "to_dataset",
]
