"""One small neural network, three answers: maximum likelihood, maximum a posteriori, and the full posterior.

Names are loaded when they are first used, so that importing the package is quick.
"""

import importlib
from importlib import metadata

__version__ = metadata.version("bayesnn-pymc")

_HOMES = {
    "errors": (
        "BayesnnError",
        "ConvergenceWarning",
        "DataError",
        "DataWarning",
        "DensityError",
        "FileError",
        "FitError",
        "FormulaWarning",
        "ImproperPriorError",
        "NoMAPError",
        "NoMLEError",
        "NoOptimumError",
        "SpecError",
        "UnknownNameError",
        "WorkerError",
    ),
    "data": ("Coding", "Dataset", "Scaling", "load_data", "simulate", "target"),
    "losses": ("LOSSES", "Loss", "loss_table", "verify_loss"),
    "priors": (
        "ElasticNet",
        "Flat",
        "HalfFlat",
        "HalfNormal",
        "Hierarchical",
        "InverseGamma",
        "Laplace",
        "LogNormal",
        "Normal",
        "Prior",
        "StudentT",
        "penalty_table",
    ),
    "activations": ("ACTIVATIONS", "Activation"),
    "network": ("MLP",),
    "tree": ("load_fit", "save_fit"),
    "model": ("build_model",),
    "fitting": (
        "deep_ensemble",
        "fit_laplace",
        "fit_map",
        "fit_mle",
        "fit_posterior",
        "log_evidence",
        "mle_exists",
    ),
    "prediction": ("predict", "score"),
    "symmetry": (
        "align",
        "apply_symmetry",
        "canonicalize",
        "check_symmetry",
        "count_modes",
        "orbit",
        "random_symmetry",
        "symmetrize",
        "symmetry_group",
    ),
    "diagnostics": ("compare", "compare_networks", "diagnose"),
    "inspection": ("marginal_effects", "partial_dependence", "posterior_predictive_check"),
    "exchange": ("audit_weights", "export_module", "from_weights", "read_keras", "read_sklearn", "read_torch"),
    "playground": ("explore",),
    "reporting": ("report",),
    "plots": (
        "plot_barrier",
        "plot_capacity",
        "plot_evidence",
        "plot_fits",
        "plot_mirrors",
        "plot_modes",
        "plot_optima",
        "plot_orbit",
        "plot_partial_dependence",
        "plot_ppc",
        "plot_prior",
        "plot_rhat",
        "plot_strips",
        "plot_traces",
    ),
}
_MODULES = (
    "activations",
    "data",
    "diagnostics",
    "errors",
    "exchange",
    "fitting",
    "formulas",
    "inspection",
    "losses",
    "model",
    "network",
    "plots",
    "priors",
    "sklearn",
    "symmetry",
    "theory",
    "tree",
)
_HOME_OF = {name: module for module, names in _HOMES.items() for name in names}

__all__ = ["__version__", *sorted(_HOME_OF)]


def __getattr__(name):
    if name in _HOME_OF:
        value = getattr(importlib.import_module(f"bayesnn.{_HOME_OF[name]}"), name)
        globals()[name] = value
        return value
    if name in _MODULES:
        return importlib.import_module(f"bayesnn.{name}")
    raise AttributeError(f"module 'bayesnn' has no attribute {name!r}")


def __dir__():
    return sorted({*__all__, *_MODULES})
