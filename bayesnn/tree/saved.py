"""Fits in files."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import bayesnn
from bayesnn.arguments import check_arguments
from bayesnn.errors import FitError
from bayesnn.files import written_whole
from bayesnn.tree.fit import kind_of, problem_of

if TYPE_CHECKING:
    import xarray as xr

MIGRATIONS: "tuple[tuple[str, Callable[[xr.DataTree], None]], ...]" = ()
"""What to change in the tree of an older fit, in place: the version that brought the change, and the change, oldest
first. A patch release changes nothing; a rename would be ``("0.2.0", rename)``."""


def save_fit(fit: "xr.DataTree", path: str | Path) -> Path:
    """Write a fit to a netCDF file, from which `load_fit` reads it back.

    Parameters
    ----------
    fit : xarray.DataTree
        From `fit_mle`, `fit_map` or `fit_posterior`.
    path : path
        File to write; its folder is made where it is missing.

    Returns
    -------
    pathlib.Path
        The file.

    Raises
    ------
    FitError
        Not a bayesnn fit.
    FileError
        Nothing can be written there. What the file held before is unchanged, whenever the writing stops.

    Examples
    --------
    >>> import tempfile, bayesnn as bnn
    >>> line = bnn.MLP(hidden=(), noise=0.3)
    >>> mle = bnn.fit_mle(line, [-2, -1, 0, 1, 2], [-1.1, -0.7, 0.1, 0.8, 1.0], restarts=2, random_seed=1,
    ...                   progressbar=False)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     again = bnn.load_fit(bnn.save_fit(mle, folder + "/mle.nc"))
    >>> again.identical(mle)
    True
    """
    kind_of(fit)
    check_arguments(path=path)
    path = Path(path)
    with written_whole(path) as part:
        try:
            fit.to_netcdf(part)
        except RuntimeError as error:
            # What netCDF says of a full disk.
            raise OSError(str(error)) from error
    return path


def load_fit(path: str | Path) -> "xr.DataTree":
    """Read a fit that `save_fit` or the command line wrote.

    Parameters
    ----------
    path : path
        A netCDF file.

    Returns
    -------
    xarray.DataTree
        The fit, in memory.

    Raises
    ------
    FitError
        No such file, or not a fit; one that a newer version wrote, or of which a part is missing.

    Notes
    -----
    A fit that an older version wrote is brought to the form of this one. ``bayesnn_version`` still says which version
    fitted it, and ``bayesnn_migrated`` which form it has.
    """
    import xarray as xr

    check_arguments(path=path)
    try:
        # By netCDF alone and from a file: what else xarray opens by its name fetches addresses, or runs what a zarr
        # store says its objects are pickled with.
        with xr.open_datatree(Path(path).resolve(strict=True), engine="netcdf4") as tree:
            tree.load()
    except (OSError, ValueError) as error:
        raise FitError(
            f"Got {path}, which can't be read as netCDF ({error}). Write one with bnn.save_fit or `bayesnn fit`."
        ) from error
    try:
        _migrate(tree, path)
        kind_of(tree)
        _check_whole(tree, path)
    except FitError as error:
        if str(error).startswith(f"Got {path},"):
            raise
        raise FitError(f"Got {path}, which holds no fit that can be read. {error}") from error
    return tree


def _migrate(tree, path):
    """Bring the tree of an older version to the form of this one; refuse that of a newer version."""
    attrs, here = tree.attrs, bayesnn.__version__
    if "bayesnn_version" not in attrs:
        return
    written = max((str(attrs[k]) for k in ("bayesnn_version", "bayesnn_migrated") if k in attrs), key=_release)
    if _release(written) > _release(here):
        raise FitError(
            f"Got {path}, written by bayesnn {written}; this is {here}, which can't know what has changed. Upgrade it: "
            "pip install -U bayesnn-pymc."
        )
    for version, change in MIGRATIONS:
        if _release(written) < _release(version):
            try:
                change(tree)
            except (KeyError, TypeError, ValueError) as error:
                raise FitError(
                    f"Got {path}, a fit by bayesnn {attrs['bayesnn_version']} that can't be brought to the form of "
                    f"{version} ({type(error).__name__}: {error}); a part of it is missing. Run it again."
                ) from error
            attrs["bayesnn_migrated"] = version


def _check_whole(tree, path):
    """Refuse a fit without its parts, and weights that are not those of its network."""
    written = tree.attrs.get("bayesnn_version", "0")
    missing = [name for name in ("posterior", "observed_data", "constant_data") if name not in tree]
    missing += [name for name in ("network", "names", "scaling") if f"bayesnn_{name}" not in tree.attrs]
    if missing:
        raise FitError(
            f"Got {path}, a fit by bayesnn {written} without {', '.join(missing)}; all of a fit is needed to read it. "
            "Save it again with bnn.save_fit, or run it again."
        )
    wanted = problem_of(tree).shapes
    # An output layer that was integrated out is there all the same.
    held = {name: tree["posterior"][name].sizes for name in wanted if name in tree["posterior"]}
    got = {k: tuple(n for dim, n in sizes.items() if dim not in ("chain", "draw")) for k, sizes in held.items()}
    if got != wanted:
        raise FitError(
            f"Got {path}, with weights of the shapes {got} for a network whose weights are {wanted}; they must be the "
            "same. Run it again: it is not the fit of this network."
        )


def _release(version):
    """First two numbers of a version."""
    return tuple(int(number) for number in re.findall(r"\d+", version)[:2])
