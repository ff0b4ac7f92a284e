"""The command that opens the playground."""

from typing import Annotated

import typer

from bayesnn.cli.app import app


@app.command()
def explore(
    data: Annotated[
        str | None,
        typer.Option(help="Bundled name with one or two inputs, or a CSV file whose last column is predicted."),
    ] = None,
    host: Annotated[str, typer.Option(help="Where to listen: localhost for this machine, 0.0.0.0 for a class.")] = (
        "localhost"
    ),
    port: Annotated[int, typer.Option(help="Port; 0 finds a free one.")] = 5006,
    max_sessions: Annotated[int, typer.Option(help="Pages at a time.")] = 30,
    no_browser: Annotated[bool, typer.Option("--no-browser", help="Open no browser.")] = False,
) -> None:
    """Open the playground: MLE, MAP and posterior of a small network, live under sliders."""
    from bayesnn.cli.options import as_option
    from bayesnn.errors import SpecError

    bounds = {"port": (port, 0, 65535), "max_sessions": (max_sessions, 1, 500)}
    for name, (value, least, most) in bounds.items():
        if not least <= value <= most:
            raise SpecError(f"Got {as_option(name, value)}; it must be a whole number from {least} to {most}.")

    from bayesnn.playground.opening import settings_of
    from bayesnn.playground.serve import serve

    first = settings_of(data).to_query() if data else ""
    serve(first, host=host, port=port, max_sessions=max_sessions, show=not no_browser)
