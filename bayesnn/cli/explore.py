"""The command that opens the playground."""

from typing import Annotated

import typer

from bayesnn.cli.app import app
from bayesnn.cli.options import Decimal, Sep, as_option


@app.command()
def explore(
    data: Annotated[
        str | None,
        typer.Option(help="Bundled name with one or two inputs, or a CSV file whose last column is predicted."),
    ] = None,
    sep: Sep = None,
    decimal: Decimal = None,
    host: Annotated[str, typer.Option(help="Where to listen: localhost for this machine, 0.0.0.0 for a class.")] = (
        "localhost"
    ),
    port: Annotated[int, typer.Option(help="Port; 0 finds a free one.")] = 5006,
    max_sessions: Annotated[int, typer.Option(help="Pages at a time.")] = 30,
    no_browser: Annotated[bool, typer.Option("--no-browser", help="Open no browser.")] = False,
) -> None:
    """Open the playground: MLE, MAP and posterior of a small network, live under sliders."""
    from bayesnn.arguments import check_arguments
    from bayesnn.errors import SpecError

    check_arguments(as_option, sep=sep, decimal=decimal)
    bounds = {"port": (port, 0, 65535), "max_sessions": (max_sessions, 1, 500)}
    for name, (value, least, most) in bounds.items():
        if not least <= value <= most:
            raise SpecError(
                f"Got {as_option(name, value)}; it must be a whole number from {least} to {most}. "
                f"Write {as_option(name, max(least, min(most, 5006 if name == 'port' else 30)))}, or leave it out."
            )

    from bayesnn.playground.opening import settings_of
    from bayesnn.playground.serve import serve

    first = settings_of(data, sep=sep, decimal=decimal).to_query() if data else ""
    serve(first, host=host, port=port, max_sessions=max_sessions, show=not no_browser)
