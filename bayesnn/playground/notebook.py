"""The playground in a notebook's cell."""

from html import escape
from typing import TYPE_CHECKING, Any

from bayesnn.playground.opening import settings_of
from bayesnn.playground.work import Workshop

if TYPE_CHECKING:
    from pathlib import Path

    import panel as pn

    from bayesnn.data import Dataset

_shop: Workshop | None = None


def workshop() -> Workshop:
    """Give the workshop that all cells of a notebook share.

    Returns
    -------
    Workshop
        Its workers are started with the first call.
    """
    global _shop
    if _shop is None:
        _shop = Workshop()
        _shop.warm()
    return _shop


def explore(data: "str | Path | Dataset | None" = None, **settings: Any) -> "pn.Column":
    """Show MLE, MAP and posterior of a small network under sliders, in a notebook's cell.

    Parameters
    ----------
    data : str, Path or Dataset, optional
        A bundled name, a CSV file, or data with one or two inputs.
    **settings
        Of the page: `hidden`, `activation`, `loss`, `noise`, `prior`, `sd`, `n`, `seed` and so on.

    Returns
    -------
    panel.Column
        Controls and pictures, which a notebook shows.

    Raises
    ------
    SpecError
        Panel is missing, or a setting is out of bounds.
    DataError
        Data of which there is no picture.

    Examples
    --------
    >>> page = bnn.explore("sine_gap", hidden=3)  # doctest: +SKIP
    """
    from bayesnn.playground.serve import have_panel

    have_panel()
    first = settings_of(data, **settings)

    import panel as pn
    from tornado.ioloop import IOLoop, PeriodicCallback

    from bayesnn.playground.page import TICK, Page

    pn.extension()
    texts: dict[str, Any] = {}

    def write(said):
        for name, text in said.items():
            if name in texts:
                texts[name].object = _said(name, text)

    page = Page(workshop(), write, IOLoop.current().add_callback)
    for name in ("notice", "status", "lesson-title", "lesson-question", "lesson-answer", "upload", "script"):
        texts[name] = pn.pane.HTML("", margin=(2, 0), sizing_mode="stretch_width")
    pictures = []
    for panel in page.panels:
        said = texts[f"say-{panel.key}"] = pn.pane.HTML("", margin=(2, 0), sizing_mode="stretch_width")
        heading = pn.pane.HTML(f"<h2>{escape(panel.title)}</h2>", margin=0)
        why = pn.pane.HTML(_why(panel), margin=(2, 0), sizing_mode="stretch_width")
        width = 900 if panel.key == "fits" else 430
        styles = {"flex": f"1 1 {width}px"}
        pictures.append(pn.Column(heading, said, panel.view, why, min_width=300, styles=styles, margin=10))
    lesson = [texts[f"lesson-{part}"] for part in ("title", "question", "answer")]
    groups = [
        pn.Column(pn.pane.HTML(f"<h3>{name}</h3>", margin=0), group, width=230, margin=5)
        for name, group in page.controls.groups.items()
    ]
    groups[0].append(texts["upload"])
    PeriodicCallback(page.tick, TICK).start()
    page.move(first)
    return pn.Column(
        pn.Row(page.lesson, texts["status"]),
        texts["notice"],
        *lesson,
        pn.FlexBox(*groups),
        pn.FlexBox(*pictures),
        pn.Column(pn.pane.HTML("<h2>The script of this page</h2>", margin=0), texts["script"]),
        sizing_mode="stretch_width",
    )


def _said(name, text):
    """Write a text as HTML."""
    if name == "script":
        return f'<pre tabindex="0">{escape(text)}</pre>'
    tag = "h2" if name == "lesson-title" else "p"
    return f'<{tag} aria-live="polite">{escape(text)}</{tag}>' if text else ""


def _why(panel):
    words, notebook = escape(panel.why), escape(panel.notebook)
    return f"<details><summary>Why?</summary><p>{words}</p><p>It goes on in <code>{notebook}</code>.</p></details>"
