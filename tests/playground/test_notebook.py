"""The playground in a notebook's cell: the same pictures and words, without the template."""

import asyncio

import pytest

pytest.importorskip("panel", reason="the playground is made of Panel")

import bayesnn as bnn
from bayesnn.errors import SpecError
from bayesnn.playground import notebook
from bayesnn.playground.answers import first_look

from .inline import Inline


def answer(key):
    return first_look(key[1], key[2]) if key[0] == "look" else SpecError("Got nothing.")


def texts_of(viewable):
    return " ".join(pane.object for pane in viewable.select() if isinstance(getattr(pane, "object", None), str))


def test_a_cell_shows_the_pictures_with_their_words(monkeypatch):
    monkeypatch.setattr(notebook, "workshop", lambda: Inline(answer))

    async def cell():
        shown = bnn.explore("two_weights", hidden=1, bias=False)
        for _ in range(100):
            await asyncio.sleep(0.05)
            if "All fits are done." in texts_of(shown):
                return texts_of(shown)
        raise AssertionError("it is not done")

    said = asyncio.run(cell())
    for title in ("The data and three answers", "Why do the chains disagree?", "The loss is a likelihood"):
        assert title in said
    assert "hidden=(1,)" in said, "the script is there"
    assert "Got nothing." in said, "what failed is said"


def test_what_is_no_setting_is_refused_before_anything_is_started():
    with pytest.raises(SpecError, match="hidden=99"):
        bnn.explore("two_weights", hidden=99)
    with pytest.raises(bnn.DataError, match="iris"):
        bnn.explore("iris")
