"""The playground in a notebook's cell: the page that a browser opens, in a frame, served by the notebook's kernel."""

import asyncio
import threading
from dataclasses import dataclass
from html import escape
from queue import Queue
from typing import TYPE_CHECKING, Any

from bayesnn.errors import SpecError
from bayesnn.playground.opening import settings_of

if TYPE_CHECKING:
    from pathlib import Path

    from bayesnn.data import Dataset

MOST = 20
"""Frames of one kernel that are open at a time."""
HEIGHT = 900
"""Of a frame, in pixels."""
_lock = threading.Lock()
_address = ""


@dataclass(frozen=True)
class Cell:
    """A page in a notebook's cell.

    Parameters
    ----------
    address : str
        Where the kernel serves it, for a browser on the same machine.
    """

    address: str

    def _repr_html_(self) -> str:
        # A saved notebook shows the line above an empty frame.
        link = escape(self.address)
        return (
            f"<p>Live while the kernel runs, for a browser on its machine; otherwise run the cell again. "
            f'<a href="{link}" target="_blank">Open it in a page of its own</a>.</p>'
            f'<iframe src="{link}" title="bayesnn playground" width="100%" height="{HEIGHT}" '
            f'style="border:1px solid rgba(128,128,128,.5)" allow="clipboard-write"></iframe>'
        )

    def __repr__(self) -> str:
        return f"The playground is at {self.address} while this Python runs."


def explore(data: "str | Path | Dataset | None" = None, **settings: Any) -> Cell:
    """Show MLE, MAP and posterior of a small network under sliders, in a notebook's cell.

    The kernel serves the page to the browser on its own machine; nothing is loaded from elsewhere, and no extension of
    Jupyter is needed, only the extra ``explore``. Where the kernel is on another machine, open a tunnel to the printed
    port, or run ``bayesnn explore --host 0.0.0.0`` there. All cells share the workers.

    Parameters
    ----------
    data : str, Path or Dataset, optional
        A bundled name, a CSV file, or data with one or two inputs.
    **settings
        Of the page: `hidden`, `activation`, `loss`, `noise`, `prior`, `sd`, `n`, `seed` and so on.

    Returns
    -------
    Cell
        Controls and pictures in a frame, which a notebook shows; elsewhere its `address` is printed.

    Raises
    ------
    SpecError
        Panel is missing, or a setting is out of bounds.
    DataError
        Data of which there is no picture.

    Examples
    --------
    >>> bnn.explore("sine_gap", hidden=3)  # doctest: +SKIP
    The playground is at http://localhost:37123/?hidden=3 while this Python runs.
    """
    from bayesnn.playground.serve import have_panel

    have_panel()
    query = settings_of(data, **settings).to_query()
    return Cell(address() + (f"?{query}" if query else ""))


def address() -> str:
    """Give the address of the kernel's server, which is started with the first call.

    Returns
    -------
    str
        With a port of its own.

    Raises
    ------
    SpecError
        Nothing can be served.
    """
    global _address
    with _lock:
        if not _address:
            there: Queue[int | OSError] = Queue()
            threading.Thread(target=_serve, args=(there,), daemon=True).start()
            port = there.get()
            if isinstance(port, OSError):
                raise SpecError(f"Got no port to serve on ({port}). Run bayesnn explore --port 5006 instead.") from port
            _address = f"http://localhost:{port}/"
    return _address


def _serve(there):
    """Serve in a thread: the kernel's own event loop stands still while a cell runs."""
    from bayesnn.playground.serve import make_server
    from bayesnn.playground.work import Workshop

    asyncio.set_event_loop(asyncio.new_event_loop())
    workshop = Workshop()
    try:
        server = make_server(workshop, "", host="localhost", port=0, max_sessions=MOST)
    except OSError as error:
        there.put(error)
        return
    threading.Thread(target=workshop.warm, daemon=True).start()
    server.start()
    there.put(server.port)
    server.io_loop.start()
