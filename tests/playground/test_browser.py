"""The playground in a real browser: controls, lessons, files, links, the script; and who can not see or click."""

import json
import os
import re
import subprocess
import sys
import time

import pytest

READY = "() => window.Bokeh && Bokeh.documents.length && Bokeh.documents[0].is_idle"
DONE = "() => document.getElementById('status').textContent === 'All fits are done.'"
FIGURE = "[...Bokeh.index.query((view) => view.model.type === 'Figure' && view.is_displayed)][0]"
SIZES = {"phone": (320, 640), "laptop": (1280, 900), "projector": (1920, 1080)}
pytestmark = [pytest.mark.xdist_group("browser"), pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def url(tmp_path_factory):
    """Serve the playground in a process of its own, as the command does."""
    command = [sys.executable, "-c", "from bayesnn.cli import main; main()", "explore", "--port", "0", "--no-browser"]
    log = tmp_path_factory.mktemp("server") / "log.txt"
    with log.open("w") as out, subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT) as server:
        end = time.monotonic() + 60
        while not (found := re.search(r"http://\S+/", log.read_text())):
            assert server.poll() is None, log.read_text()
            assert time.monotonic() < end
            time.sleep(0.05)
        yield found[0]
        server.terminate()
        assert server.wait(20) == 0
    assert "Traceback" not in log.read_text(), log.read_text()


class Visit:
    """A page that is open, and what its console says."""

    def __init__(self, browser, url, query="", **options):
        self.context = browser.new_context(**{"viewport": {"width": 1280, "height": 900}} | options)
        self.page, self.url, self.said, self.asked = self.context.new_page(), url, [], []
        self.page.on("console", lambda message: message.type == "error" and self.said.append(message.text))
        self.page.on("pageerror", lambda error: self.said.append(str(error)))
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.go(query)

    def go(self, query):
        self.page.goto(self.url + query)
        self.page.wait_for_function(READY)
        self.page.wait_for_function("() => document.getElementById('script').textContent !== ''")

    def wait(self, test, seconds=60):
        self.page.wait_for_function(test, timeout=1000 * seconds)

    def text(self, name):
        return self.page.text_content(f"#{name}")

    def address(self, *parts):
        """Wait until the address has these parts."""
        end = time.monotonic() + 60
        while time.monotonic() < end:
            query = self.page.url.partition("?")[2]
            if all(part in query.split("&") for part in parts):
                return query
            self.page.wait_for_timeout(50)
        raise AssertionError(f"{parts} not in {self.page.url}")

    def choose(self, label, option):
        self.page.get_by_role("combobox", name=re.compile(f"^{label}")).first.click()
        self.page.get_by_role("menuitem", name=option, exact=True).click()

    def slide(self, label, key, times=1):
        self.page.get_by_role("slider", name=re.compile(label)).first.focus()
        for _ in range(times):
            self.page.keyboard.press(key)

    def upload(self, content, name="rows.csv"):
        self.page.set_input_files("input[type=file]", files=[{"name": name, "mimeType": "text/csv", "buffer": content}])


@pytest.fixture
def visit(browser, url):
    opened = []

    def call(query="", **options):
        opened.append(Visit(browser, url, query, **options))
        return opened[-1]

    yield call
    for one in opened:
        assert not one.said
        assert not [asked for asked in one.asked if not asked.startswith((url, "data:", "blob:"))], (
            "nothing from elsewhere"
        )
        one.context.close()


def test_the_first_page_is_filled_by_itself(visit):
    one = visit()
    one.wait(DONE, 120)
    for key in ("fits", "weights", "numbers", "graph", "traces", "loss"):
        assert len(one.text(f"say-{key}")) > 20
        assert len(one.text(f"words-{key}")) > 20


def test_every_control_moves_the_address(visit):
    one = visit()
    one.choose("Data", "Neal's curve (1 input)")
    one.address("data=neal")
    one.choose("Data", "sine with a gap (1 input)")
    one.slide("Rows shown", "Home")
    one.address("n=2")
    one.slide("Hidden units", "ArrowRight")
    one.address("hidden=3")
    one.slide("Second hidden layer", "ArrowRight")
    one.address("hidden=3", "second=1")
    one.slide("Prior sd", "End")
    one.address("sd=20.0")
    for label, option, part in (
        ("Loss", "huber", "loss=huber"),
        ("Activation", "relu", "activation=relu"),
        ("Prior", "laplace", "prior=laplace"),
    ):
        one.choose(label, option)
        one.address(part)
    one.page.get_by_label("Biases").uncheck()
    one.address("bias=0")
    one.page.get_by_role("textbox", name="Seed").fill("7")
    one.page.get_by_role("textbox", name="Seed").press("Enter")
    one.address("seed=7")
    one.page.get_by_role("textbox", name="Noise").fill("0.5")
    one.page.get_by_role("textbox", name="Noise").press("Enter")
    one.address("noise=0.5")
    one.page.get_by_label("Noise is known").uncheck()
    one.address("noise=0.0")


def test_a_link_shows_the_same_page(visit):
    query = "data=neal&n=30&activation=relu&hidden=3&prior=laplace&sd=2.0&seed=5"
    one = visit("?" + query)
    script = one.text("script")
    assert set(one.address().split("&")) == set(query.split("&"))
    one.go("?" + one.address())
    assert one.text("script") == script


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("?hidden=1000000", "from 0 to 8"),
        ("?data=%3Cimg%20src=x%20onerror=alert(1)%3E", "must be one of"),
        ("?data=own&points=a,b", "points that are no numbers"),
        ("?sd=nan", "from 0.05 to 20"),
    ],
)
def test_a_bad_address_is_told_and_the_first_page_is_shown(visit, query, said):
    one = visit(query)
    one.wait("() => document.getElementById('notice').textContent !== ''")
    assert said in one.text("notice")
    assert one.page.is_visible("#notice")
    assert 'load_data("sine_gap"' in one.text("script")


def test_a_file_is_shown_and_bad_ones_are_told(visit):
    one = visit()
    one.upload(b"u,v,w\n1,2,3.5\n2,2.5,1.5\n3,1,2.25\n4,0,1\n", "<b>rows</b>.csv")
    one.address("data=own", "points=1,2,3.5;2,2.5,1.5;3,1,2.25;4,0,1")
    one.wait("() => document.getElementById('upload').textContent.includes('all 4 rows, w from u and v')")
    assert one.page.locator("#upload b").count() == 0
    one.choose("Input 2", "none")
    one.address("points=1,3.5;2,1.5;3,2.25;4,1")
    for content, said in ((b"1,2\n3,4\n", "names of the columns"), (b"x,y\n1,2.2\n,3.3\n", "missing values")):
        one.upload(content)
        one.wait(f"() => document.getElementById('notice').textContent.includes('{said}')")
    one.address("points=1,3.5;2,1.5;3,2.25;4,1")


MOVES = {
    1: lambda one: one.slide("Rows shown", "End"),
    2: lambda one: one.slide("Prior sd", "End"),
    3: lambda one: one.slide("Prior sd", "End"),
    4: lambda one: one.slide("Hidden units", "ArrowRight"),
    5: lambda one: one.slide("Prior sd", "ArrowLeft", 3),
}


@pytest.mark.parametrize("number", MOVES)
def test_every_lesson_asks_waits_and_answers(visit, number):
    from bayesnn.playground.lessons import LESSONS

    lesson = LESSONS[number - 1]
    one = visit(f"?lesson={number}")
    assert one.text("lesson-question") == lesson.question
    one.wait(f"() => document.getElementById('lesson-answer').textContent === {json.dumps(lesson.task)}", 120)
    MOVES[number](one)
    one.address(f"lesson={number}")
    one.wait("() => /\\d.*before|at 5 it was|it was/.test(document.getElementById('lesson-answer').textContent)")


def test_the_script_is_that_of_the_page_and_gives_its_numbers(visit, tmp_path):
    one = visit("?data=two_weights&hidden=1&bias=0&noise=0.3")
    one.page.click("#open-python")
    assert one.page.is_visible("#script")
    one.page.click("#close")
    one.wait(DONE, 120)
    (tmp_path / "script.py").write_text(one.text("script"))
    ran = subprocess.run(
        [sys.executable, "script.py"],
        cwd=tmp_path,
        env=os.environ | {"MPLBACKEND": "agg"},
        capture_output=True,
        text=True,
    )
    assert ran.returncode == 0, ran.stderr
    assert (tmp_path / "fits.png").stat().st_size > 0
    # The log-likelihood of MLE and MAP, as the page's table and the script print them.
    shown = re.findall(r"log-likelihood\s+(-?[\d.]+)\s+(-?[\d.]+)", ran.stdout)[0]
    table = one.page.locator(".picture.numbers").get_by_role("row").filter(has_text="log-likelihood").first.inner_text()
    printed = [float(v.replace("−", "-")) for v in re.findall(r"[−-]?\d+\.\d+", table)]
    assert printed[:2] == pytest.approx([float(v) for v in shown], abs=0.006)


def test_the_keyboard_reaches_everything(visit):
    one = visit()
    seen = set()
    for _ in range(60):
        one.page.keyboard.press("Tab")
        seen.add(
            one.page.evaluate(
                "() => { let e = document.activeElement; while (e.shadowRoot && e.shadowRoot.activeElement) "
                "e = e.shadowRoot.activeElement; return e.id || e.getAttribute('aria-label') || e.tagName }"
            )
        )
    assert {"dark", "open-python", "address"} <= seen
    assert len(seen) > 15


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_fits_and_axe_finds_nothing(visit, scheme, tmp_path):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="the group browser has axe")
    one = visit(color_scheme=scheme)
    one.wait(DONE, 120)
    for size, (width, height) in SIZES.items():
        one.page.set_viewport_size({"width": width, "height": height})
        one.page.wait_for_timeout(300)
        assert one.page.evaluate("() => document.documentElement.scrollWidth") <= width
        one.page.screenshot(path=tmp_path / f"{size}.png", full_page=True)
        found = axe.Axe().run(one.page)
        assert found.violations_count == 0, (size, found.generate_report())


def test_a_finger_moves_a_slider_and_adds_a_point(visit):
    one = visit(has_touch=True, is_mobile=True, viewport={"width": 320, "height": 640})
    assert one.page.evaluate("() => innerWidth") == 320, "nothing reaches beyond the screen"
    # It is closed, so that the picture comes first.
    one.page.locator("#settings > summary").tap()
    slider = one.page.get_by_role("slider", name="Hidden units").first
    slider.scroll_into_view_if_needed()
    one.page.wait_for_timeout(300)
    left, top, width, height = slider.evaluate(
        "(e) => { const r = e.closest('.MuiSlider-root').getBoundingClientRect(); "
        "return [r.left, r.top, r.width, r.height] }"
    )
    # Half of 0 to 8.
    one.page.touchscreen.tap(left + width / 2, top + height / 2)
    one.address("hidden=4")
    one.page.get_by_role("checkbox", name="Edit the points").tap()
    one.wait(f"() => {FIGURE}.model.toolbar.tools[0].active")
    one.page.evaluate(f"() => {FIGURE}.el.scrollIntoView({{ block: 'center' }})")
    one.page.wait_for_timeout(300)
    left, top = one.page.evaluate(
        f"() => {{ const r = {FIGURE}.el.getBoundingClientRect(); return [r.left + r.width * 0.6, r.top + 50] }}"
    )
    one.page.touchscreen.tap(left, top)
    one.address("data=own")
    # A row more than the data that there were.
    assert one.page.url.count(";") == 40
    one.page.locator(".picture.fits summary").tap()
    assert one.page.is_visible(".picture.fits details p")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [320, 1920])
def test_a_sheet_of_paper_holds_what_matters(visit, scheme, width):
    one = visit("?hidden=3", color_scheme=scheme, viewport={"width": width, "height": 900})
    # Of the pictures, which are drawn one after the other.
    said = "[...document.querySelectorAll('.now')].every((said) => said.textContent)"
    one.wait(f"() => document.getElementById('found').textContent.includes('posterior plane') && {said}", 120)
    one.page.wait_for_selector("text=Permute two units")
    before = one.page.evaluate(f"() => {FIGURE}.bbox.width")
    one.page.emulate_media(media="print")
    one.wait("() => document.documentElement.classList.contains('paper')")
    assert one.text("printed").endswith("?hidden=3")
    assert "hidden units 3, tanh" in one.page.inner_text("#sheet")
    for key in ("fits", "weights", "numbers", "graph", "traces", "loss"):
        assert one.page.is_visible(f"#say-{key}")
    for hidden in ("aside", "nav", "#progress", "text=Edit the points", "text=Permute two units", "text=Why?"):
        assert not one.page.locator(hidden).first.is_visible(), hidden
    # 186 mm, which a sheet of A4 has room for, at 96 dots an inch.
    widths = one.page.evaluate(
        "() => [...Bokeh.index.query((v) => v.model.type === 'Figure' && v.is_displayed)].map((v) => v.bbox.width)"
    )
    assert len(widths) >= 8
    assert all(150 < w <= 704 for w in widths), widths
    # Ink on white: no label of an axis is light any more.
    darkest = one.page.evaluate(
        f"() => {{ const {{ canvas, ctx }} = {FIGURE}.canvas_view.primary; let most = 0; "
        "const at = ctx.getImageData(0, 0, 60, canvas.height).data; "
        "for (let i = 0; i < at.length; i += 4) if (at[i + 3] === 255) most = Math.max(most, at[i]); return most }"
    )
    assert darkest < 128
    assert one.page.evaluate("() => getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    sheets = one.page.pdf(format="A4")
    assert sheets.count(b"/Type /Page\n") <= 6
    one.page.emulate_media(media="screen")
    one.wait("() => !document.documentElement.classList.contains('paper')")
    assert one.page.evaluate(f"() => {FIGURE}.bbox.width") == before
    assert one.page.is_visible("#dark")


def test_the_dark_switch_is_kept(visit):
    one = visit()
    one.page.click("#dark")
    assert one.page.evaluate("() => document.documentElement.dataset.theme") == "dark"
    one.go("")
    assert one.page.get_attribute("#dark", "aria-pressed") == "true"
