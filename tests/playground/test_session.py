"""What a session asks for, in which order, and what it makes of the answers."""

from types import SimpleNamespace

import pytest

from bayesnn.errors import DataError, SpecError
from bayesnn.playground.session import QUICK, SECONDS, SHORT, WIDTHS, Session, plane
from bayesnn.playground.settings import Settings

from .inline import Inline


def answer(key):
    if key[0] == "look":
        return SimpleNamespace(kind=key[2], modes="")
    if key[0] in ("mle", "map"):
        return SimpleNamespace(kind=key[0], modes="1 optimum", log_likelihood=-3.0 - key[1].hidden)
    if key[0] == "posterior":
        return SimpleNamespace(evidence=-10.0 - key[1].hidden, evidence_se=0.1, trusted=True)
    return SimpleNamespace(kind=key[0])


def session_of(shop, **kwargs):
    heard = []
    return Session(shop, heard.append, **kwargs), heard


def test_the_first_picture_comes_first_and_the_posterior_next():
    shop = Inline(answer)
    session, heard = session_of(shop)
    session.set(Settings())
    names = [key[0] for key in shop.ran]
    assert names[:3] == ["look", "look", "posterior"]
    assert names[3:8] == ["mle", "plane", "map", "plane", "chains"]
    assert session.found.mle.modes == "1 optimum"
    assert heard[0] == {"settings"}
    assert {"mle"} in heard
    assert heard[-1] == {"progress"}
    assert session.progress is None


def test_the_evidence_of_all_widths_is_found_with_the_same_keys():
    shop = Inline(answer)
    session, _ = session_of(shop)
    session.set(Settings(hidden=2))
    assert session.found.widths == {w: (-10.0 - w, 0.1, -3.0 - w) for w in WIDTHS}
    assert len(shop.ran) == len(set(shop.ran)), "nothing is computed twice"
    before = len(shop.ran)
    session.set(Settings(hidden=3))
    again = {key[0] for key in shop.ran[before:]}
    assert "posterior" not in again, "the width of 3 is known already"


def test_a_slider_that_is_dragged_costs_no_more_than_where_it_ends():
    shop = Inline(answer, wait=True)
    session, heard = session_of(shop)
    for n in range(5, 40):
        session.set(Settings(n=n))
    while shop.queue:
        shop.work()
    assert {key[1].n for key in shop.ran} == {39}
    assert session.found.settings.n == 39
    assert session.found.mle is not None
    assert session.found.troubles == {}
    assert heard.count({"settings"}) == 35


def test_answers_to_old_settings_are_not_shown():
    shop = Inline(answer, wait=True)
    later = []
    session, _ = session_of(shop, schedule=later.append)
    session.set(Settings(n=5))
    shop.work()
    # The answers are there and wait for the page's thread, when the slider moves.
    session.set(Settings(n=6))
    for function in later:
        function()
    assert session.found.mle is None


@pytest.mark.parametrize(
    ("error", "said"), [(DataError("Got no rows. Add some."), "Got no rows"), (ZeroDivisionError("x"), "ZeroDivision")]
)
def test_a_stage_that_fails_says_so_and_the_others_go_on(error, said):
    shop = Inline(lambda key: error if key[0] == "posterior" else answer(key))
    session, heard = session_of(shop)
    session.set(Settings())
    assert said in session.found.troubles["posterior"]
    assert session.found.posterior is None
    assert session.found.chains is not None
    assert session.found.widths == {}
    assert {"posterior"} in heard


def test_a_workshop_that_refuses_is_a_trouble_and_no_crash():
    shop = Inline(answer)
    session, _ = session_of(shop)
    shop.run = lambda *given: 1 / 0
    session.set(Settings())
    assert {"mle", "map", "posterior", "chains"} <= set(session.found.troubles)


def test_progress_names_the_stage_and_how_long_it_took_last_time():
    shop, now = Inline(answer, wait=True), [0.0]
    session, _ = session_of(shop, clock=lambda: now[0])
    session.set(Settings())
    assert session.progress.stage == "first look"
    now[0] = 3.0
    shop.work()
    assert session.progress.stage == "posterior"
    assert session.progress.since == 3.0
    session.set(Settings(n=5))
    assert session.progress.expected == 3.0


def test_other_weights_may_be_looked_at_until_the_network_changes():
    shop = Inline(answer)
    session, _ = session_of(shop)
    session.set(Settings())
    session.look_at(("b1[1]", "b2[target]"))
    assert shop.ran[-1][:3] == ("plane", Settings(), ("b1[1]", "b2[target]"))
    session.set(Settings(sd=2.0))
    assert session.weights == ("b1[1]", "b2[target]")
    session.set(Settings(hidden=1))
    assert session.weights is None


def test_a_plane_needs_two_weights():
    one = Settings(data="one_node", loss="binary_cross_entropy", hidden=0, bias=False)
    with pytest.raises(SpecError, match="single weight"):
        plane(one, None, None, None)


def test_a_closed_session_has_left_and_asks_for_nothing():
    shop = Inline(answer)
    session, heard = session_of(shop)
    session.close()
    session.close()
    session.set(Settings())
    assert shop.left == [7]
    assert not shop.ran
    assert not heard


def test_a_posterior_that_has_not_reached_its_marks_goes_on_after_the_rest():
    def slow(key):
        found = answer(key)
        if key[0] == "posterior":
            found.trusted, found.seconds = key[2] > QUICK, key[2]
        return found

    shop = Inline(slow)
    session, _ = session_of(shop)
    session.set(Settings(hidden=2))
    budgets = [key[2] for key in shop.ran if key[0] == "posterior" and key[1].hidden == 2]
    assert budgets == [QUICK, SECONDS]
    assert session.found.posterior.seconds == SECONDS
    assert [key[2] for key in shop.ran if key[0] == "posterior" and key[1].hidden == 5] == [SHORT]
