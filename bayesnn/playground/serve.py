"""The server: one page for each visitor, workers that all share, nothing from elsewhere, and bounds on everything."""

import faulthandler
import logging
import signal
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any

from bayesnn.errors import FitError, SpecError
from bayesnn.playground.work import GivenUp, Workshop

if TYPE_CHECKING:
    import panel as pn

MOST_MESSAGE = 2_000_000
"""Bytes of a message from a browser: a file of 200 kB, as text, and room."""
ALL, HERE = ("0.0.0.0", "::"), ("localhost", "127.0.0.1", "::1")
"""Where everybody may come from, and this machine alone."""
QUIET = 3.0
"""Seconds without a job after which something is compiled ahead."""
UNUSED, LOOK = 60_000, 5_000
"""Milliseconds after which a page that was left gives its seat back, and between two looks."""
FULL = """<!DOCTYPE html><html lang="en"><meta charset="utf-8"><title>bayesnn: full</title>
<meta name="viewport" content="width=device-width, initial-scale=1"><meta name="color-scheme" content="light dark">
<main style="font:1.1rem/1.5 system-ui,sans-serif;max-width:34rem;margin:15vh auto;padding:0 1rem">
<h1>All seats are taken</h1><p>Pages that this server holds at a time: {most}. One is free again half a minute after
somebody has closed theirs: load this page again then.</p></main></html>"""


def have_panel() -> None:
    """Say what to install where Panel is missing.

    Raises
    ------
    SpecError
        It is.
    """
    from importlib.util import find_spec

    missing = [name for name in ("panel", "panel_material_ui") if find_spec(name) is None]
    if missing:
        raise SpecError(
            f"Got no {' and no '.join(missing)}; the playground is made of them. Install them: "
            "pip install panel panel-material-ui."
        )


def address_of(arguments: dict[str, list[bytes]]) -> dict[str, str]:
    """Read the names and values of a request's query.

    Parameters
    ----------
    arguments : dict of str to list of bytes
        As Tornado has them.

    Returns
    -------
    dict of str to str
        The last value of each name.
    """
    return {name: values[-1].decode("utf-8", "replace") for name, values in list(arguments.items())[:40] if values}


def serve(
    first: str = "",
    *,
    host: str = "localhost",
    port: int = 5006,
    max_sessions: int = 30,
    show: bool = True,
    workshop: Workshop | None = None,
) -> None:
    """Serve the playground until it is interrupted.

    Parameters
    ----------
    first : str
        Query of the first page; an address with a query of its own goes before.
    host : str
        Name or address to listen on: localhost for this machine alone, 0.0.0.0 for all.
    port : int
        Port; 0 for any that is free.
    max_sessions : int
        Pages at a time.
    show : bool
        Whether to open a browser.
    workshop : Workshop, optional
        Where fits run; one of its own if left out.
    """
    have_panel()
    workshop = workshop or Workshop()
    # The workers load their libraries while this process loads Panel.
    starter = threading.Thread(target=workshop.warm, daemon=True)
    starter.start()
    try:
        server = make_server(workshop, first, host=host, port=port, max_sessions=max_sessions)
        url = f"http://{'localhost' if host in ALL else _bracketed(host)}:{server.port}/"
        print(f"The playground is at {url} (Ctrl-C ends it).", flush=True)
        if show:
            server.io_loop.add_callback(server.show, "/")
        ended = _told_to_end(server)
        server.start()
        server.io_loop.start()
        if not ended:
            raise FitError("The server has ended, and nobody asked it to. Start it again, and report what was done.")
        print(f"The playground was ended by {ended[0]}.", flush=True)
    except OSError as error:
        raise SpecError(
            f"Got --host {host} --port {port}, where nothing can be served ({error.strerror or error}). Take another "
            "port: --port 0 finds a free one."
        ) from error
    except KeyboardInterrupt:
        print("The playground was ended by SIGINT before it was served.", flush=True)
    finally:
        workshop.close()


def _of_who_is_there(record):
    """Say whether an error that is logged is of somebody who has not left meanwhile."""
    from tornado.iostream import StreamClosedError
    from tornado.websocket import WebSocketClosedError

    return not (record.exc_info and isinstance(record.exc_info[1], WebSocketClosedError | StreamClosedError))


def _told_to_end(server):
    """End the loop, and so the workers, when the process is told to; give a list of what told it."""
    ended: list[str] = []

    def end(number, frame):
        ended.append(signal.Signals(number).name)
        server.io_loop.add_callback_from_signal(server.io_loop.stop)

    for name in ("SIGINT", "SIGTERM", "SIGHUP"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), end)
    # A crash of compiled code would say nothing.
    faulthandler.enable()
    return ended


def make_server(workshop: Workshop, first: str, *, host: str, port: int, max_sessions: int) -> Any:
    """Make the server, without starting it.

    Parameters
    ----------
    workshop : Workshop
        Where fits run.
    first : str
        Query of the first page.
    host, port, max_sessions
        As `serve` has them.

    Returns
    -------
    panel.io.server.Server
        Its `port` is known.
    """
    import panel as pn
    from bokeh.settings import settings

    from bayesnn.playground.page import served

    # Whoever closes a page while something is on its way to it does not need to be told.
    logging.getLogger("bokeh.server.views.ws").setLevel(logging.ERROR)
    for name in ("asyncio", "bokeh.server.protocol_handler"):
        logging.getLogger(name).addFilter(_of_who_is_there)
    # Everything comes from this server: no CDN.
    settings.resources = "server"
    compiling, visitors = threading.Event(), set[object]()

    def page():
        if len(visitors) >= max_sessions:
            return full(max_sessions)
        visitor = object()
        visitors.add(visitor)
        arguments = address_of(pn.state.session_args)
        try:
            template = served(workshop, arguments or dict(_pairs(first)), lambda: visitors.discard(visitor))
        except BaseException:
            visitors.discard(visitor)
            raise
        if not compiling.is_set():
            compiling.set()
            pn.state.curdoc.add_timeout_callback(lambda: Compiler(workshop).begin(), 15_000)
        return template

    server = pn.io.server.get_server(
        {"/": page},
        port=port,
        address=None if host == "localhost" else host,
        location=False,
        title="bayesnn playground",
        websocket_max_message_size=MOST_MESSAGE,
        unused_session_lifetime_milliseconds=UNUSED,
        check_unused_sessions_milliseconds=LOOK,
        keep_alive_milliseconds=10_000,
        start=False,
        show=False,
    )
    # Known only now, where any port that is free was asked for.
    allowed = server._tornado.websocket_origins
    allowed.clear()
    allowed.update(origins(host, server.port or port))
    return server


def origins(host: str, port: int) -> set[str]:
    """List the addresses of pages that may talk to the server; what other sites try is refused.

    Parameters
    ----------
    host : str
        Where it listens.
    port : int
        Its port.

    Returns
    -------
    set of str
        Hosts with ports. Who listens everywhere may be called by any name, but at this port.
    """
    hosts = (
        {"*"} if host in ALL else {"localhost", "127.0.0.1", "[::1]"} if host in HERE else {_bracketed(host).lower()}
    )
    return {f"{one}:{port}" for one in hosts}


def _bracketed(host):
    return f"[{host}]" if ":" in host else host


def full(most: int) -> "pn.template.base.BaseTemplate":
    """Make the page for who comes when all seats are taken.

    Parameters
    ----------
    most : int
        Number of seats.

    Returns
    -------
    panel template
        Without anything that moves.
    """
    import panel as pn

    return pn.Template(FULL.format(most=most))


def _pairs(query):
    from urllib.parse import parse_qsl

    return parse_qsl(query, max_num_fields=40)


class Compiler:
    """Compiles the likely pairs of activation and loss, one after the other, while the workers have nothing to do.

    Parameters
    ----------
    workshop : Workshop
        Where it is done, from a seat of its own.
    """

    def __init__(self, workshop: Workshop):
        self.workshop = workshop
        self._pairs = list(likely())

    def begin(self) -> None:
        """Compile what is left, a pair at a time, whenever nobody has asked for anything for a while."""
        if self.workshop.background is None:
            self.workshop.background = self.workshop.seat()
        if not self._pairs:
            return
        if self.workshop.idle < QUIET:
            self._later()
            return
        from bayesnn.playground.answers import compile_pair

        pair = self._pairs[0]
        future = self.workshop.run(self.workshop.background, ("compiled", *pair), compile_pair, *pair)

        def done(future: Future) -> None:
            if not isinstance(future.exception(), GivenUp):
                self._pairs.remove(pair)
            self._later()

        future.add_done_callback(done)

    def _later(self):
        timer = threading.Timer(QUIET, self.begin)
        timer.daemon = True
        timer.start()


def likely() -> Iterator[tuple[str, str]]:
    """Give pairs of activation and loss, the likely ones first.

    Yields
    ------
    tuple of str
        Names of an activation and a loss.
    """
    from bayesnn.playground.settings import LOSSES

    usual = ("tanh", "relu", "sigmoid")
    for loss in ("squared_error", "binary_cross_entropy"):
        yield from ((activation, loss) for activation in usual)
    rest = [
        loss for losses in LOSSES.values() for loss in losses if loss not in ("squared_error", "binary_cross_entropy")
    ]
    yield from (("tanh", loss) for loss in rest)
