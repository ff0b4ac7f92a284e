"""A Dask cluster of several processes: the same numbers, when a worker dies and when all of it does."""

import os
import signal
import subprocess
import sys
import time

import pytest

import bayesnn as bnn
from bayesnn import cli
from bayesnn.errors import WorkerError

distributed = pytest.importorskip("distributed", reason="the extra dask")

CLUSTER = """
from distributed import LocalCluster

if __name__ == "__main__":
    with LocalCluster(n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None) as cluster:
        print(cluster.scheduler_address, flush=True)
        input()
"""


@pytest.fixture(scope="module")
def cluster():
    """Processes of their own: scheduler, nannies and workers."""
    process = subprocess.Popen(
        [sys.executable, "-c", CLUSTER],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    )
    yield process, process.stdout.readline().strip()
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()


def fitted(folder, executor=None, **options):
    net = bnn.MLP(hidden=(2,), activation="tanh", noise=0.2, prior=bnn.Normal(1.0))
    data = bnn.load_data("sine_gap", random_seed=1)
    options = {"draws": 1000, "tune": 1000, "chains": 8, "random_seed": 7, **options}
    return bnn.fit_posterior(net, data, store=folder, executor=executor, progressbar=False, **options)


def wait_for(folder, count, process=None):
    while len(list(folder.glob("[!.]*.npz"))) < count:
        time.sleep(0.01)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    fit = fitted(tmp_path_factory.mktemp("undisturbed"))
    del fit.attrs["sampling_time"]
    return fit


def killing(folder, pids):
    """Kill processes as soon as the first chain is there."""
    import threading

    def kill():
        wait_for(folder, 1)
        for pid in pids:
            os.kill(pid, signal.SIGKILL)

    thread = threading.Thread(target=kill)
    thread.start()
    return thread


def test_a_worker_that_is_killed_changes_no_number(cluster, undisturbed, tmp_path):
    with distributed.Client(cluster[1]) as client:
        workers = client.run(os.getpid)
        killer = killing(tmp_path, list(workers.values())[:1])
        fit = fitted(tmp_path, client.get_executor())
        killer.join()
        client.wait_for_workers(2)
        assert set(client.run(os.getpid).values()) != set(workers.values())
    del fit.attrs["sampling_time"]
    assert fit.identical(undisturbed)


@pytest.mark.filterwarnings("ignore::bayesnn.errors.ConvergenceWarning")
def test_the_command_line_sends_networks_to_a_cluster(cluster, tmp_path, monkeypatch, capsys):
    words = ["occam", "--hidden", "0", "--prior-sd", "1", "--restarts", "2", "--draws", "200", "--out", tmp_path]
    monkeypatch.setattr(sys, "argv", ["bayesnn", *map(str, words), "--cluster", cluster[1]])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert not ended.value.code
    assert "saved" in capsys.readouterr().out
    assert (tmp_path / "evidence.csv").exists()


def test_a_lost_scheduler_is_named_and_costs_nothing_that_is_done(cluster, undisturbed, tmp_path):
    process, address = cluster
    with distributed.Client(address, timeout=2) as client:
        workers = list(client.run(os.getpid).values())
        killer = killing(tmp_path, [process.pid, *workers])
        with pytest.raises(WorkerError, match=r"executor that was shut down or lost its workers.*what was kept is not"):
            fitted(tmp_path, client.get_executor())
        killer.join()
    kept = {path.name: path.stat().st_mtime_ns for path in tmp_path.glob("chain*")}
    assert 1 <= len(kept) < 8
    fit = fitted(tmp_path)
    del fit.attrs["sampling_time"]
    assert fit.identical(undisturbed)
    assert all((tmp_path / name).stat().st_mtime_ns == written for name, written in kept.items())
