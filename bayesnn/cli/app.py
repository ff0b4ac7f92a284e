"""The application that the commands belong to."""

import typer

app = typer.Typer(
    help="One small neural network, three answers: maximum likelihood, maximum a posteriori, the full posterior.",
    epilog="What no command should do, ends in one line; --traceback, with any command, shows where it came from.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
