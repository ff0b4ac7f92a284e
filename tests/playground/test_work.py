"""Jobs in worker processes: given up when nobody wants them, kept when they are done."""

import os
import time

import pytest

from bayesnn.errors import DataError, FitError
from bayesnn.playground import work
from bayesnn.playground.work import GivenUp, Workshop


def slow(seconds):
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        time.sleep(0.01)
    return os.getpid()


def broken():
    raise DataError("Got nothing.")


def dead():
    os._exit(1)


@pytest.fixture(scope="module")
def shop():
    shop = Workshop(1)
    yield shop
    shop.close()


def test_a_job_runs_elsewhere_and_is_kept(shop):
    seat = shop.seat()
    there = shop.run(seat, "first", slow, 0.0).result(60)
    assert there != os.getpid()
    assert shop.kept("first") == there
    assert shop.run(seat, "first", broken).result(0) == there, "it is not run again"
    with pytest.raises(DataError, match="Got nothing"):
        shop.run(seat, "other", broken).result(60)
    assert shop.kept("other") is None
    shop.leave(seat)


def test_a_seat_that_moves_on_gives_its_job_up(shop):
    seat, other = shop.seat(), shop.seat()
    under_way = shop.run(seat, "long", slow, 60.0)
    waiting = shop.run(seat, "waiting", slow, 60.0)
    time.sleep(0.3)
    began = time.perf_counter()
    shop.move_on(seat)
    for future in (under_way, waiting):
        with pytest.raises(GivenUp):
            future.result(30)
    assert shop.run(other, "after", slow, 0.0).result(30)
    assert time.perf_counter() - began < 20, "not the minute that was asked for"
    assert shop.kept("long") is None
    shop.leave(seat)
    shop.leave(other)


def test_a_fit_is_given_up_too(shop):
    from bayesnn.playground.answers import fit_posterior
    from bayesnn.playground.settings import Settings

    seat = shop.seat()
    under_way = shop.run(
        seat, "fit", fit_posterior, Settings(data="two_moons", loss="binary_cross_entropy", hidden=8, sd=10.0), 600.0, 1
    )
    time.sleep(3.0)
    shop.move_on(seat)
    with pytest.raises(GivenUp):
        under_way.result(60)
    shop.leave(seat)


def test_a_worker_that_dies_is_replaced(shop):
    seat = shop.seat()
    with pytest.raises(Exception, match="terminated abruptly"):
        shop.run(seat, "dead", dead).result(60)
    assert shop.run(seat, "alive", slow, 0.0).result(60)
    shop.leave(seat)


def test_seats_and_results_are_bounded(shop, monkeypatch):
    monkeypatch.setattr(work, "KEEP", 3)
    seat = shop.seat()
    for k in range(5):
        shop.run(seat, ("bounded", k), slow, 0.0).result(60)
    assert shop.kept(("bounded", 4))
    assert shop.kept(("bounded", 0)) is None
    before = shop.sessions
    seats = [shop.seat() for _ in range(work.SEATS - before)]
    with pytest.raises(FitError, match="Got more than 512 sessions"):
        shop.seat()
    assert shop.cores() == 1
    for one in (*seats, seat):
        shop.leave(one)
    assert shop.sessions == before - 1
    shop.leave(seat)
    assert shop.sessions == before - 1, "leaving twice changes nothing"
