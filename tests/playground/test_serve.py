"""The server's page, without a browser: its HTML, its address, its bounds."""

import asyncio
import re
import signal
import subprocess
import sys

import pytest

from bayesnn.errors import DataError, SpecError
from bayesnn.playground.opening import settings_of
from bayesnn.playground.serve import MOST_MESSAGE, address_of, have_panel, likely, origins
from bayesnn.playground.settings import LOSSES, OWN, Settings


def test_an_address_has_one_value_of_each_name_and_not_too_many():
    assert address_of({"n": [b"5", b"7"], "data": [b"neal"], "odd": [b"\xff"], "none": []}) == {
        "n": "7",
        "data": "neal",
        "odd": "�",
    }
    assert len(address_of({f"x{i}": [b"1"] for i in range(1000)})) == 40


def test_where_panel_is_missing_the_extra_is_named(monkeypatch):
    have_panel()
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(SpecError, match=r"pip install panel panel-material-ui"):
        have_panel()


def test_the_likely_pairs_are_compiled_first_and_every_loss_once():
    pairs = list(likely())
    assert pairs[0] == ("tanh", "squared_error")
    assert len(set(pairs)) == len(pairs)
    assert {loss for _, loss in pairs} == {loss for losses in LOSSES.values() for loss in losses}


def test_a_page_begins_with_bundled_data_a_file_or_a_dataset(tmp_path):
    import bayesnn as bnn

    assert settings_of() == Settings()
    assert settings_of("neal", hidden=3).hidden == 3
    file = tmp_path / "rows.csv"
    file.write_text("x,y\n1,2.5\n2,3.5\n3,1.0\n")
    first = settings_of(file)
    assert (first.data, first.points[0], first.scaled) == (OWN, (1.0, 2.5), True)
    moons = settings_of(bnn.load_data("two_moons"), hidden=1)
    assert (moons.task, moons.loss, moons.hidden) == ("binary", "binary_cross_entropy", 1)
    assert settings_of(str(file), noise=0.5).noise == 0.5


@pytest.mark.parametrize(
    ("data", "settings", "error", "said"),
    [
        ("nothing", {}, DataError, "the page shows sine_gap"),
        ("nothing.csv", {}, DataError, "can't be read"),
        ("iris", {}, DataError, "the page shows"),
        ("neal", {"hidden": 10**6}, SpecError, "from 0 to 8"),
        ("neal", {"units": 1}, SpecError, "no setting of the page"),
    ],
)
def test_what_can_not_be_shown_is_refused_by_name(data, settings, error, said):
    with pytest.raises(error, match=said):
        settings_of(data, **settings)


def test_data_with_many_inputs_have_no_picture():
    import bayesnn as bnn

    with pytest.raises(DataError, match="one or two inputs"):
        settings_of(bnn.load_data("iris"))


def test_the_process_of_the_page_loads_no_heavy_library():
    code = "import sys, bayesnn.playground.page; print(*sorted(sys.modules))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert "panel" in loaded
    assert not set(loaded) & {"pymc", "pytensor", "arviz", "nutpie", "sklearn", "matplotlib"}


COMMAND = [sys.executable, "-c", "from bayesnn.cli import main; main()", "explore", "--port", "0", "--no-browser"]


def test_a_page_of_another_site_is_none_of_the_servers():
    from bokeh.server.util import check_allowlist

    def taken(origin, host):
        return check_allowlist(origin, list(origins(host, 5006)))

    for host in ("localhost", "127.0.0.1"):
        assert taken("localhost:5006", host)
        assert taken("127.0.0.1:5006", host)
        assert not taken("evil.example:5006", host)
    assert taken("192.168.1.7:5006", "0.0.0.0")
    assert not taken("evil.example", "0.0.0.0")
    assert taken("class.example:5006", "Class.example")
    assert not taken("evil.example:5006", "class.example")
    assert taken("[fe80::1]:5006", "fe80::1")


@pytest.mark.timeout(120)
def test_a_visitor_is_served_another_site_is_refused_and_the_end_is_told():
    """Also a crafted query, one that is too long, and a message that is too large: each ends with its sender."""
    from tornado.httpclient import HTTPClientError
    from tornado.websocket import WebSocketClosedError

    from tests.playground.visitor import Visitor

    with subprocess.Popen(
        [*COMMAND, "--host", "127.0.0.1"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as server:
        url = re.search(r"http://127\.0\.0\.1:\d+/", server.stdout.readline())[0]

        async def visits():
            async with Visitor(url, "?hidden=1000000") as visitor:
                await visitor.until(lambda texts: texts.get("notice"))
                assert "hidden" in visitor.texts["notice"]
                await visitor.socket.write_message("x" * (MOST_MESSAGE + 1))
                with pytest.raises((ConnectionError, WebSocketClosedError)):
                    await visitor.until(lambda texts: False, 20)
            with pytest.raises(HTTPClientError, match="403"):
                async with Visitor(url, origin="http://evil.example"):
                    pass
            with pytest.raises(HTTPClientError, match=r"Stream closed|400|431"):
                async with Visitor(url, "?points=" + "1," * 50_000):
                    pass

        try:
            asyncio.run(visits())
        finally:
            server.send_signal(signal.SIGTERM)
        assert "ended by SIGTERM" in server.stdout.read()
        assert server.wait(20) == 0
