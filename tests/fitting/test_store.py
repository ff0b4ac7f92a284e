"""What is kept of a fit: nothing that was stored is lost, whenever a process is killed, and nothing is mixed."""

import multiprocessing
import os
import signal
import threading
import time
from concurrent.futures import ProcessPoolExecutor

import numpy as np
import pytest

import bayesnn as bnn
from bayesnn.errors import FileError, SpecError
from bayesnn.files import written_whole
from bayesnn.fitting.store import Store

QUICK = {
    "nutpie": {"draws": 150, "tune": 150, "chains": 16, "cores": 1},
    "tempering": {"draws": 100, "tune": 50, "chains": 3, "rounds": 4, "cores": 1},
}
KILLS = 20


def fitted(folder, sampler, **options):
    net = bnn.MLP(hidden=(2,), activation="tanh", noise=0.2, prior=bnn.Normal(1.0))
    data = bnn.load_data("sine_gap", random_seed=1)
    options = {"random_seed": 7, "progressbar": False, **QUICK[sampler], **options}
    return bnn.fit_posterior(net, data, sampler=sampler, store=folder, **options)


def same(one, other):
    one, other = one.copy(), other.copy()
    for tree in (one, other):
        del tree.attrs["sampling_time"]
    return one.identical(other)


@pytest.fixture(scope="module")
def forked():
    """Make processes that have loaded everything before they begin, so that a kill falls into the work itself."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.fitting.preloaded"])
    return context


@pytest.mark.filterwarnings("ignore::bayesnn.errors.ConvergenceWarning")
@pytest.mark.parametrize("sampler", QUICK)
def test_a_fit_that_is_killed_again_and_again_is_that_which_nothing_disturbed(sampler, tmp_path, forked):
    undisturbed, rng = fitted(tmp_path / "undisturbed", sampler), np.random.default_rng(1)
    kills, stored, folder, again = 0, {}, tmp_path / "killed", 0
    while kills < KILLS // 2:
        process = forked.Process(target=fitted, args=(folder, sampler))
        process.start()
        # Not before it has begun to work: what is of interest is where it breaks off then.
        before = len(stored)
        while process.is_alive() and (not folder.exists() or len(list(folder.glob("*.npz"))) <= before):
            time.sleep(0.002)
        process.join(rng.exponential(0.05))
        if process.is_alive():
            process.kill()
            process.join()
            kills += 1
        else:
            assert process.exitcode == 0
        now = {path.name: path.read_bytes() for path in folder.glob("*.npz") if not path.name.startswith(".")}
        assert all(now[name] == content for name, content in stored.items())
        for path in folder.glob("[!.]*.npz"):
            with np.load(path, allow_pickle=False) as arrays:
                assert all(arrays[name].size >= 0 for name in arrays.files)
        stored = now
        if (folder / "fit.nc").exists():
            assert same(bnn.load_fit(folder / "fit.nc"), undisturbed)
            again += 1
            folder, stored = tmp_path / f"killed{again}", {}
    assert same(fitted(folder, sampler), undisturbed)


@pytest.mark.filterwarnings("ignore::bayesnn.errors.ConvergenceWarning")
@pytest.mark.parametrize("sampler", QUICK)
def test_the_numbers_do_not_depend_on_who_computes_them(sampler, tmp_path, forked):
    few = {"chains": 2, "draws": 100, "rounds": 1 if sampler == "tempering" else None}
    here = fitted(tmp_path / "here", sampler, **few)
    with ProcessPoolExecutor(2, mp_context=forked) as pool:
        assert same(fitted(None, sampler, **few, executor=pool), here)
    assert same(bnn.load_fit(tmp_path / "here" / "fit.nc"), here)


def press_when(there, thread):
    while not there():
        time.sleep(0.005)
    os.kill(os.getpid(), signal.SIGINT)


@pytest.mark.parametrize("sampler", QUICK)
def test_ctrl_c_keeps_what_is_finished(sampler, tmp_path):
    def some():
        return len(list(tmp_path.glob("round-4*" if sampler == "tempering" else "chain*"))) >= 2

    presser = threading.Thread(target=press_when, args=(some, None))
    presser.start()
    with pytest.warns(bnn.ConvergenceWarning, match=r"interrupted: (\d of 16 chains are|its last whole round is) kept"):
        short = fitted(tmp_path, sampler, draws=2000 if sampler == "nutpie" else 300)
    presser.join()
    assert short.attrs["bayesnn_ended"] == "interrupted"
    assert not (tmp_path / "fit.nc").exists()
    assert list(tmp_path.glob("[!.]*.npz"))


def test_other_data_another_network_and_other_draws_are_refused(tmp_path):
    few = {"chains": 1, "draws": 20, "tune": 20}
    fitted(tmp_path, "nutpie", **few)
    with pytest.raises(SpecError, match=r"results for draws=20, where draws=30 is asked for.*another folder"):
        fitted(tmp_path, "nutpie", **{**few, "draws": 30})
    with pytest.raises(SpecError, match="results for random_seed=7, where random_seed=8"):
        fitted(tmp_path, "nutpie", **few, random_seed=8)
    data = bnn.load_data("sine_gap", random_seed=1)
    for net, X in ((bnn.MLP((3,), noise=0.2), data.X), (bnn.MLP((2,), noise=0.2), data.X + 1e-12)):
        with pytest.raises(SpecError, match="results for problem="):
            bnn.fit_posterior(net, X, data.y, **few, random_seed=7, store=tmp_path)
    # Without a seed the store's own is taken.
    assert same(fitted(tmp_path, "nutpie", **few, random_seed=None), fitted(tmp_path, "nutpie", **few))


def test_a_folder_of_something_else_is_refused(tmp_path):
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(FileError, match="a folder of something else"):
        Store(tmp_path, {})
    with pytest.raises(FileError, match="which is a file"):
        Store(tmp_path / "thesis.tex", {})
    with pytest.raises(SpecError, match="store=3; it must be the path of a folder"):
        fitted(3, "nutpie")


def test_a_damaged_result_is_named(tmp_path):
    Store(tmp_path / "store", {"a": 1}).keep(("chain", 0), {"theta": np.arange(3.0)})
    assert Store(tmp_path / "store", {"a": 1}).get(("chain", 0))["theta"].tolist() == [0, 1, 2]
    file = tmp_path / "store" / "chain-0.npz"
    file.write_bytes(file.read_bytes()[:50])
    with pytest.raises(FileError, match=r"chain-0\.npz can't be read.*Remove that file"):
        Store(tmp_path / "store", {"a": 1}).get(("chain", 0))
    np.savez(file, theta=np.array([{"run": "me"}], dtype=object))
    with pytest.raises(FileError, match="can't be read"):
        Store(tmp_path / "store", {"a": 1}).get(("chain", 0))


def test_a_file_is_whole_or_as_it_was(tmp_path, monkeypatch):
    path = tmp_path / "numbers.txt"
    path.write_text("before")
    with pytest.raises(ZeroDivisionError), written_whole(path) as part:
        part.write_text(f"a half {1 / 0}")
    assert path.read_text() == "before"

    def full(handle):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(FileError, match=r"No space left on device.*is unchanged"), written_whole(path) as part:
        part.write_text("all of it")
    assert path.read_text() == "before"
    assert [p.name for p in tmp_path.iterdir()] == ["numbers.txt"]


def test_networks_are_kept_one_by_one(tmp_path, monkeypatch):
    from bayesnn.diagnostics import networks

    X, y = [-2, -1, 0, 1, 2], [-1.1, -0.7, 0.1, 0.8, 1.0]
    nets = {f"noise {noise}": bnn.MLP((), noise=noise) for noise in (0.3, 0.4)}
    options = {"restarts": 2, "draws": 50, "random_seed": 1, "store": tmp_path, "progressbar": False}
    row, seen = networks._evidence_row, []

    def noted(net, *args, **given):
        seen.append(net.noise)
        if len(seen) == 2:
            raise KeyboardInterrupt
        return row(net, *args, **given)

    monkeypatch.setattr(networks, "_evidence_row", noted)
    with pytest.warns(bnn.ConvergenceWarning, match="1 of 2 networks"):
        bnn.compare_networks(nets, X, y, **options)
    table = bnn.compare_networks(nets, X, y, **options)
    assert seen == [0.3, 0.4, 0.4]
    again = bnn.compare_networks(nets, X, y, **{**options, "store": None})
    assert table.drop(columns="converged").equals(again.drop(columns="converged"))
    assert same(table.fits["noise 0.3"], again.fits["noise 0.3"])
