"""The report in a real browser: phone, laptop and paper, in the dark, by keyboard, and for who can not see it."""

import re

import pandas as pd
import pytest

import bayesnn as bnn
from tests.conftest import X5, Y5
from tests.reporting.handmade import draws

WIDTHS = {"phone": 360, "laptop": 1280}
pytestmark = [pytest.mark.xdist_group("browser"), pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def url(tmp_path_factory):
    """Write a report with every kind of part, long formulas and a long name."""
    net = bnn.MLP((2,), loss="huber", noise=0.3)
    frame = pd.DataFrame({"a column whose name is longer than a telephone is wide": X5, "x2": X5**2})
    lines = {"any line": bnn.MLP((), noise=0.3), "through 0": bnn.MLP((), noise=0.3, bias=False)}
    networks = bnn.compare_networks(lines, X5, Y5, restarts=2, draws=50, random_seed=1, progressbar=False)
    path = tmp_path_factory.mktemp("report") / "report.html"
    bnn.report(draws(net, frame, Y5), networks=networks, path=path, command="bayesnn compare")
    return path.as_uri()


@pytest.fixture
def visit(browser, url):
    said, asked, contexts = [], [], []

    def call(**options):
        contexts.append(browser.new_context(**options))
        page = contexts[-1].new_page()
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on("request", lambda request: asked.append(request.url))
        page.goto(url)
        return page

    yield call
    assert not said
    assert {address for address in asked if not address.startswith("data:")} == {url}
    for context in contexts:
        context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", WIDTHS)
def test_the_page_fits_and_axe_finds_nothing(visit, size, scheme, tmp_path):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="the group browser has axe")
    page = visit(viewport={"width": WIDTHS[size], "height": 800}, color_scheme=scheme)
    assert page.evaluate("() => document.documentElement.scrollWidth") <= WIDTHS[size]
    assert page.evaluate("() => [...document.images].every(i => i.complete && i.naturalWidth > 100)")
    page.screenshot(path=tmp_path / f"{size}-{scheme}.png", full_page=True)
    red, green, blue = map(
        int, re.findall(r"\d+", page.evaluate("() => getComputedStyle(document.body).backgroundColor"))[:3]
    )
    assert (red + green + blue > 384) == (scheme == "light")
    found = axe.Axe().run(page)
    assert found.violations_count == 0, found.generate_report()


def test_it_needs_no_script(visit):
    page = visit(java_script_enabled=False)
    assert page.locator("h1").inner_text() == "the target: one answer"


def test_the_keyboard_reaches_the_contents_and_what_is_wider_than_the_screen(visit):
    page = visit(viewport={"width": 360, "height": 800})
    page.keyboard.press("Tab")
    assert page.evaluate("() => document.activeElement.textContent") == "Skip to the answer"
    page.keyboard.press("Enter")
    assert page.evaluate("() => document.activeElement.id") == "main"
    reached = set()
    for _ in range(60):
        page.keyboard.press("Tab")
        reached.add(page.evaluate("() => document.activeElement.getAttribute('aria-label') || ''"))
    wide = page.evaluate(
        "() => [...document.querySelectorAll('.wide, pre')].filter(e => e.scrollWidth > e.clientWidth)"
        ".map(e => e.getAttribute('aria-label'))"
    )
    assert wide
    assert set(wide) <= reached


def test_paper_holds_all_of_it(visit, tmp_path):
    page = visit()
    content = page.pdf(path=tmp_path / "report.pdf", prefer_css_page_size=True)
    assert content.startswith(b"%PDF")
    assert 4 <= len(re.findall(rb"/Type\s*/Page\b", content)) <= 20
    # What a screen moves sideways must not be cut off on paper.
    page.emulate_media(media="print")
    page.set_viewport_size({"width": 690, "height": 1000})
    wide = "() => [...document.querySelectorAll('.wide')].filter(e => e.scrollWidth > e.clientWidth + 1).length"
    assert page.evaluate(wide) == 0
