"""The page of one session: controls, pictures with their sentences, lessons, and the address that says it all."""

import importlib
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import panel as pn
from panel import ui

from bayesnn.errors import BayesnnError
from bayesnn.playground.controls import Controls, in_words
from bayesnn.playground.found import Found
from bayesnn.playground.lessons import LESSONS, Course, lesson_of
from bayesnn.playground.panels.base import PagePanel
from bayesnn.playground.session import Session
from bayesnn.playground.settings import OWN, Settings
from bayesnn.playground.upload import LARGEST, Upload, read_upload
from bayesnn.playground.work import Workshop

PANELS = {
    "fits": "FitsPanel",
    "weights": "WeightsPanel",
    "numbers": "NumbersPanel",
    "loss": "LossPanel",
    "graph": "GraphPanel",
    "traces": "TracesPanel",
}
"""Modules of the pictures and their classes, in the order of the page."""
SHOWS = {
    "fits": {"mle", "map", "posterior"},
    "weights": {"plane"},
    "numbers": {"mle", "map", "posterior", "widths"},
    "loss": {"mle", "map"},
    "graph": {"mle", "map"},
    "traces": {"posterior", "chains"},
}
"""Which parts of `Found` each picture waits for."""
HERE = Path(__file__).parent
SLOW = 1.5
"""Seconds after which a stage is said to be slow."""
HELD = 0.8
"""Seconds for which pictures of other settings stay, if nothing comes in their place: so they do not flicker."""
TICK = 500
"""Milliseconds between two looks at a bar."""


def panels(dark: bool = False) -> list[PagePanel]:
    """Make the pictures of a page.

    Parameters
    ----------
    dark : bool
        Whether the page is dark.

    Returns
    -------
    list of PagePanel
        In the order of the page.
    """
    modules = {name: importlib.import_module(f"bayesnn.playground.panels.{name}") for name in PANELS}
    return [getattr(modules[name], PANELS[name])(dark) for name in PANELS]


class Page:
    """What all doors show: the session's settings in widgets, and what it has found in pictures and words.

    Parameters
    ----------
    workshop : Workshop
        Where fits run.
    write : callable
        Is given texts by the id of the element that they belong to.
    schedule : callable
        Runs a function on the page's thread.
    """

    def __init__(
        self,
        workshop: Workshop,
        write: Callable[[dict[str, str]], None],
        schedule: Callable[[Callable[[], None]], Any],
    ):
        self._write, self._schedule = write, schedule
        self.session = Session(workshop, self._heard, schedule=schedule)
        self.controls = Controls(self.move, self.refuse)
        self.panels = panels()
        for panel in self.panels:
            panel.on_change = lambda panel=panel: self._say(panel)
            if hasattr(panel, "on_points"):
                panel.on_points = self.take_points
            if hasattr(panel, "on_weights"):
                panel.on_weights = self.session.look_at
        self.course: Course | None = None
        self.lesson = ui.Select(
            label="Lesson",
            options={"None: a free page": 0} | {f"{k}. {x.title}": k for k, x in enumerate(LESSONS, 1)},
            value=0,
            sizing_mode="stretch_width",
            margin=0,
        )
        self.lesson.param.watch(lambda event: self._choose(event.new), "value")
        self.controls.file.param.watch(lambda event: self._uploaded(event.new), "value")
        for select in (self.controls.target, *self.controls.inputs):
            select.param.watch(lambda event: self._columns_chosen(), "value")
        self.follow: Callable[[str], None] = lambda query: None
        """Is given the query of the page's address."""
        self._content = b""
        self._new: set[str] = set()
        self._stale: set[str] = set()
        self._old: set[str] = set()
        self._since = 0.0
        self._waiting = False
        self._setting_lesson = False

    @property
    def query(self) -> str:
        """What the page's address says."""
        query = self.session.settings.to_query()
        if self.lesson.value:
            query = "&".join(filter(None, (query, urlencode({"lesson": self.lesson.value}))))
        return query

    def open(self, address: Mapping[str, str]) -> None:
        """Set the page to an address; what can't be read is said, and the first page is shown.

        Parameters
        ----------
        address : dict of str to str
            Names and values of the query.
        """
        number = lesson_of(address.get("lesson", ""))
        rest = {name: value for name, value in address.items() if name != "lesson"}
        if number:
            self._take_lesson(number)
        try:
            # A lesson alone sets the page up; more in the address says how far somebody has come.
            self.move(Settings.from_query(rest) if rest or not number else LESSONS[number - 1].start)
        except BayesnnError as error:
            self.move(Settings())
            self.refuse(f"The address can't be shown. {error} This is the first page.")

    def move(self, settings: Settings) -> None:
        """Show other settings.

        Parameters
        ----------
        settings : Settings
            The new state.
        """
        self._write({"notice": ""})
        self.controls.show(settings)
        self.session.set(settings)
        self._write({"script": settings.to_python(), "set": in_words(settings)})
        self.follow(self.query)

    def refuse(self, message: str) -> None:
        """Say why something can't be done.

        Parameters
        ----------
        message : str
            In words.
        """
        self._write({"notice": message})

    def take_points(self, rows: tuple[tuple[float, ...], ...], **changes: Any) -> None:
        """Show points that were moved, added or deleted.

        Parameters
        ----------
        rows : tuple of tuple of float
            Inputs and target.
        **changes
            Of other settings.
        """
        before = self.session.settings
        try:
            own = {"data": OWN, "task": before.task, "points": tuple(rows), "n": 0, **changes}
            self.move(before.with_(**own))
        except BayesnnError as error:
            self.refuse(str(error))
            self.session.set(before)

    def repaint(self, dark: bool) -> None:
        """Change to a dark or a light page.

        Parameters
        ----------
        dark : bool
            Which.
        """
        for panel in self.panels:
            panel.repaint(dark)
        shown = [*self.controls.groups.values(), self.lesson, *(panel.view for panel in self.panels)]
        # Widgets follow the browser by themselves, but now and then one that is late does not.
        for widget in (found for view in shown for found in view.select()):
            if hasattr(widget, "dark_theme"):
                widget.dark_theme = dark

    def tick(self) -> None:
        """Bring the line about what is under way up to date."""
        if self._old and not self._waiting and self.session.clock() - self._since > HELD:
            self._stale |= self._old
            self._draw()
        progress = self.session.progress
        if progress is None:
            return
        gone = self.session.clock() - progress.since
        if gone < SLOW:
            return
        if self.session.found.mle is None and self.session.found.map is None:
            # Four starts take hundredths of a second; what takes longer is the compiler.
            said = "This activation with this loss is new here: its code is compiled first, which takes some seconds"
            share = "?"
        else:
            usual = f"usually {progress.expected:.0f} s" if progress.expected >= 1 else "usually quicker"
            said = f"Slow settings: {progress.stage} since {gone:.0f} s ({usual}); everything can be moved meanwhile"
            share = f"{min(gone / max(progress.expected, 1.0), 1.0):.2f}" if gone < progress.expected else "?"
        self._write({"status": said + ".", "progress": share})

    def close(self) -> None:
        """Leave the workshop."""
        self.session.close()

    def _heard(self, changed):
        if changed == {"progress"}:
            progress = self.session.progress
            said = "All fits are done." if progress is None else f"Under way: {progress.stage}."
            self._write({"status": said, "progress": "" if progress is None else "?"})
            return
        if changed == {"settings"}:
            self._new, self._stale = set(), set()
            self._old, self._since = {panel.key for panel in self.panels}, self.session.clock()
            return
        # What comes in one turn of the event loop is drawn once.
        self._new |= changed
        if not self._waiting:
            self._waiting = True
            self._schedule(self._draw)

    def _draw(self):
        """Draw the next picture that is not up to date: one a turn, so that the first does not wait for the last."""
        found, new, self._new = self.session.found, self._new, set()
        self._stale |= {panel.key for panel in self.panels if new & SHOWS[panel.key]}
        panel = next((panel for panel in self.panels if panel.key in self._stale), None)
        self._waiting = panel is not None
        if panel is None:
            return
        self._stale.remove(panel.key)
        self._old.discard(panel.key)
        self._show(panel, found)
        self._schedule(self._draw)
        if not new:
            return
        self._teach(found)
        # For whoever measures how long a move takes.
        there = [name for name in ("mle", "map", "posterior", "plane", "chains") if getattr(found, name) is not None]
        self._write({"found": " ".join([found.settings.to_query(), *there])})

    def _show(self, panel, found):
        try:
            panel.show(found)
            self._say(panel)
        except Exception as error:
            self._write({f"say-{panel.key}": f"This picture can't be drawn ({type(error).__name__}: {error})."})

    def _say(self, panel):
        found: Found = self.session.found
        self._write({f"say-{panel.key}": panel.sentence(found), f"words-{panel.key}": panel.words(found)})

    def _teach(self, found):
        if self.course is not None:
            self._write({"lesson-answer": self.course.look(found)})

    def _choose(self, number):
        if not self._setting_lesson:
            self._take_lesson(number)
            if number:
                self.move(LESSONS[number - 1].start)
            else:
                self.follow(self.query)

    def _take_lesson(self, number):
        self._setting_lesson = True
        self.lesson.value = number
        self._setting_lesson = False
        lesson = LESSONS[number - 1] if number else None
        self.course = Course(lesson) if lesson else None
        texts = (f"Lesson {number}: {lesson.title}", lesson.question, lesson.task) if lesson else ("", "", "")
        self._write(dict(zip(("lesson-title", "lesson-question", "lesson-answer"), texts, strict=True)))

    def _uploaded(self, content):
        if not content:
            return
        self._content = content if len(content) <= LARGEST else content[: LARGEST + 1]
        self._read(None, None)

    def _columns_chosen(self):
        if self.controls.quiet or not self._content:
            return
        inputs = tuple(select.value for select in self.controls.inputs if select.value not in (None, "none"))
        self._read(tuple(dict.fromkeys(inputs)), self.controls.target.value)

    def _read(self, inputs, target):
        self._write({"upload": "The file is read."})
        name = self.controls.file.filename or "file.csv"
        # What is under way belongs to data that are on their way out; a seat of its own is not given up by a slider.
        self.session.pause()
        workshop = self.session.workshop
        key, seat = ("upload", self._content, name, inputs, target), workshop.seat()
        future = workshop.run(seat, key, read_upload, self._content, name, inputs, target)

        def done(future):
            workshop.leave(seat)
            self._schedule(lambda: self._took_file(future))

        future.add_done_callback(done)

    def _took_file(self, future):
        try:
            upload: Upload = future.result()
        except Exception as error:
            upload = Upload(name="", trouble=f"The file can't be read ({type(error).__name__}). Choose another one.")
        self.controls.offer(upload)
        self._write({"upload": upload.said})
        if upload.trouble:
            self.session.set(self.session.settings)
            self.refuse(upload.trouble)
        else:
            noise = {"noise": 0.3} if upload.task == "regression" else {}
            self.take_points(upload.points, task=upload.task, scaled=upload.task == "regression", **noise)


class _Template(pn.Template):
    """A template whose pictures enter the document at once: one after the other, each would go through all before."""

    def __repr__(self) -> str:
        # Panel writes all widgets out after each that is added.
        return type(self).__name__

    def server_doc(self, doc=None, *args, **kwargs):
        """Fill the document."""
        doc = pn.state.curdoc if doc is None else doc
        with doc.models.freeze():
            return super().server_doc(doc, *args, **kwargs)


def served(workshop: Workshop, address: Mapping[str, str], left: Callable[[], None]) -> pn.template.base.BaseTemplate:
    """Make the page that a browser opens.

    Parameters
    ----------
    workshop : Workshop
        Where fits run.
    address : dict of str to str
        Names and values of the query.
    left : callable
        Is called when the visitor has gone.

    Returns
    -------
    panel template
        To be served.
    """
    from bayesnn.playground.bridge import Bridge

    document, bridge, gone = pn.state.curdoc, Bridge(), threading.Event()
    waiting: dict[str, str] = {}

    def write(texts):
        # One message for all that is said in one turn of the event loop.
        first = not waiting
        waiting.update(texts)
        if first:
            schedule(flush)

    def flush():
        texts = dict(waiting)
        waiting.clear()
        # All of them until the browser is there, then what is new.
        bridge.texts = texts if bridge.ready else {**bridge.texts, **texts}

    def schedule(function):
        if not gone.is_set():
            # Between this look and the call the visitor may leave.
            with suppress(AttributeError):
                document.add_next_tick_callback(function)

    def leave(context):
        gone.set()
        page.close()
        left()

    page = Page(workshop, write, schedule)
    bridge.param.watch(lambda event: page.repaint(event.new), "dark")
    page.follow = lambda query: setattr(bridge, "query", query)
    groups = page.controls.groups
    style, paper = ((HERE / name).read_text(encoding="utf-8") for name in ("page.css", "paper.js"))
    template = _Template((HERE / "page.html").read_text(encoding="utf-8"))
    variables = {"style": style, "paper": paper, "groups": list(groups), "panels": page.panels}
    for name, value in variables.items():
        template.add_variable(name, value)
    for number, group in enumerate(groups.values(), 1):
        template.add_panel(f"set_{number}", group)
    # What one can move and the first picture come at once, the others when the browser has these.
    first, *later = page.panels
    slots = {panel.key: pn.Column(sizing_mode="stretch_width", margin=0) for panel in later}
    template.add_panel(f"view_{first.key}", first.view)
    for key, slot in slots.items():
        template.add_panel(f"view_{key}", slot)

    def fill():
        if later:
            panel = later.pop(0)
            slots[panel.key].append(panel.view)
            schedule(fill)

    bridge.param.watch(lambda event: fill(), "ready")
    template.add_panel("lessons", page.lesson)
    template.add_panel("bridge", bridge)
    pn.state.on_session_destroyed(leave)
    pn.state.add_periodic_callback(page.tick, period=TICK)
    page.open(address)
    return template
