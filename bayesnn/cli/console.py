"""What commands print and write: tables, lines about fits, warnings, pictures."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from bayesnn.errors import FileError, SpecError
from bayesnn.files import written_whole

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    import xarray as xr
    from rich.console import Console


def console_of(**kwargs: Any) -> "Console":
    """Make a console."""
    from rich.console import Console

    return Console(**kwargs)


def show_warning(
    message: Warning | str, category: type[Warning], filename: str, lineno: int, file: Any = None, line: Any = None
) -> None:
    """Show a warning as a line on standard error, without where it was raised."""
    console = console_of(stderr=True)
    console.print(f"[bold yellow]{category.__name__}[/bold yellow]: ", end="")
    console.print(str(message), markup=False, highlight=False)


def save_picture(axes: "np.ndarray", what: str, *, path: Path, console: "Console") -> None:
    """Write the picture that axes belong to, and say what it shows."""
    try:
        with written_whole(path) as part:
            axes.flat[0].figure.savefig(part, dpi=150)
    except FileError:
        raise
    except ValueError as error:
        raise SpecError(f"Got {path}, which can't be drawn ({error}). Write a file such as orbit.png.") from error
    console.print(f"  drew {path}: {what}", highlight=False)


def print_frame(frame: "pd.DataFrame", console: "Console", title: str) -> None:
    """Print a table; what is not known is left empty."""
    from rich.table import Table

    table = Table(title=title, title_justify="left")
    table.add_column("")
    for name in frame.columns:
        table.add_column(str(name), justify="right")
    for label, row in frame.iterrows():
        table.add_row(str(label), *("" if v != v else f"{v:.4g}" if isinstance(v, float) else str(v) for v in row))
    console.print(table)


def tell_saved(path: Path, console: "Console") -> None:
    """Say where something was written."""
    console.print(f"  saved {path}", markup=False, highlight=False)


def tell_fit(fit: "xr.DataTree", console: "Console", *, name: str | None = None) -> None:
    """Say in a line how a fit went."""
    from bayesnn.tree import heading

    said = fit.attrs.get("bayesnn_brief", fit.attrs["bayesnn_message"])
    console.print(f"{name or heading(fit)}: {said}", markup=False, highlight=False)
