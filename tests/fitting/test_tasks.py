"""Tasks: the same results from any executor, failures apart, nothing lost and nothing mixed."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from distributed import Client, LocalCluster

from bayesnn.errors import SpecError
from bayesnn.fitting.store import Lines
from bayesnn.fitting.tasks import run_tasks

QUIET = {"label": "numbers", "progressbar": False}


def square(number, *, fails=()):
    if number in fails:
        raise ValueError(number)
    return {"square": number**2}


def tasks(**options):
    return {("n", i): (square, i, options) for i in range(4)}


def test_the_order_is_that_of_the_tasks_whoever_runs_them():
    here = run_tasks(tasks(), **QUIET)
    with ThreadPoolExecutor(2) as pool:
        there = run_tasks(tasks(), pool, **QUIET)
    assert here.done == there.done == {("n", i): {"square": i**2} for i in range(4)}
    assert list(here.done) == list(there.done)


def test_a_cluster_gives_the_same_numbers():
    two = {"n_workers": 2, "threads_per_worker": 1, "processes": False, "dashboard_address": None}
    with LocalCluster(**two) as cluster, Client(cluster) as client:
        assert run_tasks(tasks(), client.get_executor(), **QUIET).done == run_tasks(tasks(), **QUIET).done


def test_a_failure_costs_only_its_own_task():
    ran = run_tasks(tasks(fails=(2,)), **QUIET)
    assert len(ran.done) == 3
    assert isinstance(ran.failed["n", 2], ValueError)


def test_what_is_in_the_file_is_not_computed_again(tmp_path):
    path, seen = tmp_path / "numbers.jsonl", []

    def noted(number, stop):
        if number == stop:
            raise KeyboardInterrupt
        seen.append(number)
        return number

    def run(stop):
        these = {i: (noted, i, {"stop": stop}) for i in range(4)}
        return run_tasks(these, kept=Lines(path, {"seed": 1}), **QUIET)

    first = run(2)
    assert first.interrupted
    assert first.done == {0: 0, 1: 1}
    # A line that was cut short is computed again.
    path.write_text(path.read_text() + "[2, ")
    assert run(None).done == {0: 0, 1: 1, 2: 2, 3: 3}
    assert run(0).done == {0: 0, 1: 1, 2: 2, 3: 3}
    assert seen == [0, 1, 2, 3]


def test_results_of_other_settings_are_not_mixed(tmp_path):
    path = tmp_path / "numbers.jsonl"
    run_tasks(tasks(), kept=Lines(path, {"seed": 1}), **QUIET)
    with pytest.raises(SpecError, match=r"seed=1, where seed=2 is asked for.*another path"):
        run_tasks(tasks(), kept=Lines(path, {"seed": 2}), **QUIET)


def test_an_executor_that_is_none_is_refused():
    with pytest.raises(SpecError, match="ProcessPoolExecutor"):
        run_tasks(tasks(), 2, **QUIET)
