"""The commands that hand out the course."""

from pathlib import Path
from typing import Annotated

import typer

from bayesnn.cli.app import app
from bayesnn.errors import DataError, SpecError

course = typer.Typer(help="The course: list its notebooks, or copy them to a folder.", no_args_is_help=True)
app.add_typer(course, name="notebooks")


@course.command("list")
def list_notebooks() -> None:
    """List the notebooks with their questions."""
    import json

    from rich.table import Table

    from bayesnn.cli.console import console_of

    table = Table(box=None)
    for column in ("notebook", "question"):
        table.add_column(column)
    for path in sorted(folder().glob("*.ipynb")):
        title = json.loads(path.read_text(encoding="utf-8"))["cells"][0]["source"]
        table.add_row(path.stem, "".join(title).splitlines()[0].removeprefix("# "))
    console_of().print(table)


@course.command()
def copy(
    target: Annotated[Path, typer.Argument(metavar="DIR", help="Folder to copy to; it is made where there is none.")],
    force: Annotated[bool, typer.Option("--force", help="Replace notebooks that you have changed.")] = False,
) -> None:
    """Copy the notebooks, to be run and changed."""
    import shutil

    from bayesnn.cli.console import console_of, tell_saved
    from bayesnn.cli.options import check_writable

    files = sorted(path for path in folder().iterdir() if path.suffix in (".ipynb", ".md"))
    changed = [f.name for f in files if (there := target / f.name).exists() and there.read_bytes() != f.read_bytes()]
    if changed and not force:
        raise SpecError(
            f"Got {target}, which has other files of these names: {', '.join(changed)}. Name another folder, or write "
            "--force to lose them."
        )
    for file in files:
        check_writable(target / file.name, target, option="DIR")
    target.mkdir(parents=True, exist_ok=True)
    for file in files:
        shutil.copyfile(file, target / file.name)
        tell_saved(target / file.name, console_of())


def folder() -> Path:
    """Find the notebooks: in the checkout, or where they were installed.

    Returns
    -------
    Path
        A folder.

    Raises
    ------
    DataError
        They were left out.
    """
    from importlib.metadata import PackageNotFoundError, files

    checkout = Path(__file__).parents[2] / "notebooks"
    if any(checkout.glob("*.ipynb")):
        return checkout
    try:
        installed = [path for path in files("bayesnn-pymc") or [] if path.suffix == ".ipynb"]
    except PackageNotFoundError:
        installed = []
    for path in installed:
        place = Path(str(path.locate()))
        if place.exists():
            return place.resolve().parent
    raise DataError("Got an installation without notebooks. Install bayesnn-pymc again, or take them from its source.")
