"""The playground in a notebook's cell: the kernel serves the page, in a frame."""

import re
import subprocess
import sys
from urllib.parse import parse_qs, urlsplit

import pytest

pytest.importorskip("panel", reason="the playground is made of Panel")

import bayesnn as bnn
from bayesnn.errors import SpecError
from bayesnn.playground import notebook
from bayesnn.playground.settings import Settings

SCRIPT = """
from urllib.request import urlopen
import bayesnn as bnn
cell, other = bnn.explore("two_weights", hidden=1, bias=False), bnn.explore("neal")
print(cell._repr_html_())
assert cell.address.split("?")[0] == other.address.split("?")[0], "one server for all cells"
page = urlopen(cell.address, timeout=60).read().decode()
for title in ("The data and three answers", "Why do the chains disagree?", "The loss is a likelihood"):
    assert title in page
assert "cdn." not in page
"""


def test_a_cell_shows_the_page_that_its_kernel_serves():
    ran = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, timeout=120)
    assert ran.returncode == 0, ran.stderr
    source = re.search('<iframe src="([^"]+)"', ran.stdout)[1].replace("&amp;", "&")
    assert source.startswith("http://localhost:")
    query = {name: values[0] for name, values in parse_qs(urlsplit(source).query).items()}
    assert Settings.from_query(query) == Settings().with_(data="two_weights", hidden=1, bias=False)
    assert "run the cell again" in ran.stdout, "a notebook that was saved says what to do"


def test_an_address_is_escaped_and_printed_where_there_is_no_notebook():
    cell = notebook.Cell('http://localhost:1/?a=1&b="><script>')
    assert "<script>" not in cell._repr_html_()
    assert "&amp;b=" in cell._repr_html_()
    assert (
        repr(notebook.Cell("http://localhost:1/")) == "The playground is at http://localhost:1/ while this Python runs."
    )


def test_what_is_no_setting_is_refused_before_anything_is_started():
    with pytest.raises(SpecError, match="hidden=99"):
        bnn.explore("two_weights", hidden=99)
    with pytest.raises(bnn.DataError, match="iris"):
        bnn.explore("iris")
    assert not notebook._address
