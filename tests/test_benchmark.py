"""The benchmark's arithmetic on numbers made by hand, and one tiny run of ours and of a peer."""

import json

import numpy as np
import pytest

from tests.benchmarks import compare_evidence, compare_samplers, evidence_studies, posteriors
from tests.benchmarks.compare_samplers import agrees, plan, ratio, sound, summarise, worth_repeating
from tests.benchmarks.runs import run_one
from tests.benchmarks.samplers import describe

TINY = {"draws": 60, "tune": 60, "chains": 2, "seed": 1}


def run(sampler, repetition=0, *, ess=400.0, seconds=2.0, rhat=1.01, mean=(0.0, 1.0), posterior="sine", **more):
    return {
        "posterior": posterior,
        "sampler": sampler,
        "repetition": repetition,
        "compile_seconds": 1.0,
        "sampling_seconds": seconds,
        "wall_seconds": seconds + 1.0,
        "ess": ess,
        "rhat": rhat,
        "ess_within": ess,
        "rhat_within": 1.0,
        "gradients": 1000,
        "divergences": 0,
        "mean": list(mean),
        "sd": [1.0, 1.0],
        "mcse": [0.01, 0.01],
        **more,
    }


def test_ratio_is_the_median_of_pairs():
    ours = [run("ours", k, seconds=s) for k, s in enumerate((1.0, 2.0, 1.0))]
    peer = [run("pymc", k, seconds=s) for k, s in enumerate((2.0, 20.0, 5.0))]
    assert ratio(ours, peer, "ess_per_second") == pytest.approx(5.0)
    assert ratio(ours, peer[:1], "ess_per_second") == pytest.approx(2.0)
    assert ratio(ours, peer, "ess_per_gradient") == pytest.approx(1.0)


def test_wall_time_leaves_out_the_first_repetition_whose_caches_may_be_cold():
    ours, peer = [run("ours", 0), run("ours", 1)], [run("pymc", 0), run("pymc", 1, seconds=8.0)]
    assert ratio(ours, peer, "ess_per_wall_second") == pytest.approx(3.0)
    assert ratio(ours[:1], peer[:1], "ess_per_wall_second") is None


@pytest.mark.parametrize("wrong", [{"rhat": 1.051}, {"ess": 49.0}, {"rhat": float("nan")}, {"error": "took too long"}])
def test_a_wrong_sampler_gets_no_ratio(wrong):
    fast = run("ours", seconds=1e-3, **wrong)
    assert not sound(fast)
    assert sound(run("pymc"))
    assert ratio([fast], [run("pymc")], "ess_per_second") is None
    assert ratio([run("ours")], [fast], "ess_per_second") is None


def test_a_peer_that_is_wrong_is_not_the_best():
    runs = [run("ours"), run("nutpie", seconds=4.0), run("pymc", seconds=1e-3, rhat=2.0)]
    ours, nutpie, pymc = summarise(runs)
    assert ours["ratio"]["ess_per_second"] == 1.0
    assert nutpie["ratio"]["ess_per_second"] == pytest.approx(2.0)
    assert nutpie["best_peer"]["ess_per_second"]
    assert not pymc["best_peer"]["ess_per_second"]
    assert pymc["ratio"]["ess_per_second"] is None
    assert pymc["note"] == "R-hat > 1.05"


def test_within_chains_stands_in_where_no_chains_agree():
    runs = [run("ours", rhat=2.0), run("nutpie", rhat=2.0, seconds=6.0)]
    ratios = summarise(runs)[1]["ratio"]
    assert ratios["ess_per_second"] is None
    assert ratios["within_per_second"] == pytest.approx(3.0)
    runs[1]["rhat_within"] = 1.2
    assert summarise(runs)[1]["ratio"]["within_per_second"] is None


def test_agreement_is_within_five_standard_errors():
    ours, peer = [run("ours")], [run("pymc", mean=(0.06, 1.0))]
    assert agrees(ours, peer) is True
    assert agrees(ours, [run("pymc", mean=(0.08, 1.0))]) is False
    assert agrees(ours, [run("pymc", rhat=1.2)]) is None


def test_an_error_is_a_note():
    row = summarise([run("ours"), {"posterior": "sine", "sampler": "pymc", "repetition": 0, "error": "no luck"}])[1]
    assert row["note"] == "no luck"
    compare_samplers.show([row])


def test_slow_peers_are_not_repeated():
    runs = [run("ours", seconds=9.0), run("nutpie"), run("pymc", seconds=7.0), run("blackjax", seconds=5.0)]
    assert [worth_repeating(runs, "sine", s) for s in ("ours", "nutpie", "pymc", "blackjax")] == [
        True,
        True,
        False,
        True,
    ]


def test_samplers_take_turns():
    runs = list(plan(["sine", "iris"], ["ours", "ours_fused", "pymc"], 2))
    assert runs[:3] == [("sine", s, 0) for s in ("ours", "ours_fused", "pymc")]
    assert runs[3:5] == [("iris", s, 0) for s in ("ours", "pymc")]
    assert runs[5:8] == [("sine", s, 1) for s in ("ours_fused", "pymc", "ours")]


def test_describe_fires_on_stuck_chains():
    f = np.random.default_rng(1).normal(size=(4, 200, 2))
    good, stuck = describe(f), describe(f + 5.0 * np.arange(4)[:, None, None])
    assert good["rhat"] < 1.05 < stuck["rhat"]
    assert stuck["ess"] < 50 < good["ess"]
    assert stuck["rhat_within"] == pytest.approx(good["rhat_within"])
    assert stuck["ess_within"] == pytest.approx(good["ess_within"])
    assert good["mcse"][0] == pytest.approx(1 / np.sqrt(800), rel=0.3)


@pytest.mark.parametrize("name", posteriors.NAMES)
def test_posteriors_have_their_rows(name):
    try:
        target = posteriors.posterior(name)
    except posteriors.MissingData:
        pytest.skip("the published data are not here")
    assert target.rows.shape == (21, target.problem.X.shape[1])
    params = {k: np.zeros((2, 3, *s)) for k, s in target.problem.shapes.items()}
    assert target.function(params).shape == (2, 3, 21 * (3 if name == "iris" else 1))


def test_a_tiny_run_of_ours_and_of_a_peer(tmp_path):
    peer = next(s for s in ("numpyro_native", "nutpie") if compare_samplers.installed(s))
    for _ in range(2):
        options = [
            "--quick",
            "--resume",
            "--posteriors",
            "sine_gap",
            "--samplers",
            f"ours,{peer}",
            "--out",
            str(tmp_path),
        ]
        compare_samplers.main(options)
    written = json.loads((tmp_path / "results.json").read_text())
    assert {"processor", "cores", "python", "date", "pymc"} <= set(written["machine"])
    assert [r["sampler"] for r in written["runs"]] == ["ours", peer]
    for r in written["runs"]:
        assert "error" not in r
        assert set(run("ours")) | {"import_seconds", "options"} == set(r)
        assert len(r["mean"]) == len(r["sd"]) == len(r["mcse"]) == 21
        assert 0 < r["sampling_seconds"] < r["wall_seconds"]
        assert r["gradients"] > 800
    assert [row["sampler"] for row in written["summary"]] == ["ours", peer]
    assert (tmp_path / "ratios.png").stat().st_size > 10_000


def test_a_run_that_fails_or_takes_too_long_says_so():
    assert "Error" in run_one("no_such_posterior", "ours", limit=60, **TINY)["error"]
    assert run_one("sine_gap", "ours", limit=0.1, **TINY)["error"] == "took more than 0.1 s"


def test_unknown_names_are_refused(capsys):
    with pytest.raises(SystemExit):
        compare_samplers.main(["--posteriors", "nothing"])
    assert "known:" in capsys.readouterr().err


def evidence(sampler, repetition, value, *, seconds=2.0, posterior="sine", **more):
    found = {"log_evidence": value, "sampling_seconds": seconds, "compile_seconds": 1.0}
    return {"posterior": posterior, "sampler": sampler, "repetition": repetition, **found, **more}


def of_both(peer, **more):
    """Long runs at 5.0, runs of ours at 5.0 +- 0.1, and a peer's."""
    runs = [evidence("ours_long", k, 5.0, se=0.01, seconds=20.0) for k in range(2)]
    runs += [evidence("ours", k, v, se=0.1) for k, v in enumerate((4.9, 5.1))]
    return runs + [evidence("blackjax", k, v, **more) for k, v in enumerate(peer)]


def test_bias_is_paid_for():
    known = compare_evidence.errors([4.0, 6.0], 3.0)
    assert known["bias"] == pytest.approx(2.0)
    assert known["variance"] == pytest.approx(2.0)
    assert known["mse"] == pytest.approx(5.0)
    assert compare_evidence.errors([4.0], 3.0)["variance"] is None


def test_ratio_is_of_time_times_mean_squared_error():
    ours, peer = compare_evidence.summarise(of_both((4.8, 5.2), seconds=3.0))[1:]
    assert ours["time_x_mse"] == pytest.approx(2.0 * 0.01)
    assert ours["time_x_variance"] == pytest.approx(2.0 * 0.02)
    assert ours["ratio"] == 1.0
    assert "interval" not in ours
    assert peer["ratio"] == pytest.approx(4.0 * 3.0 / 2.0)
    assert peer["interval"][0] < peer["ratio"] < peer["interval"][1]
    assert peer["agrees"]
    biased = compare_evidence.summarise(of_both((3.9, 4.1)))[-1]
    assert biased["ratio"] == pytest.approx(1.01 / 0.01)
    assert biased["time_x_variance"] == pytest.approx(ours["time_x_variance"])
    assert biased["agrees"] is False


def test_more_of_the_same_time_changes_no_ratio():
    one, four = (
        compare_evidence.summarise(of_both((5.0 - e, 5.0 + e), seconds=s))[-1] for e, s in ((0.4, 1), (0.2, 4))
    )
    assert one["ratio"] == pytest.approx(four["ratio"])


def test_interval_narrows_with_repetitions():
    few, many = compare_evidence.interval(2.0, 3, 3), compare_evidence.interval(2.0, 300, 300)
    assert few[0] < many[0] < 2.0 < many[1] < few[1]
    assert many[0] > 1.6


def test_the_reference_is_of_long_runs_and_otherwise_of_ours():
    runs = of_both((5.0,))
    assert compare_evidence.references(runs)["sine"] == pytest.approx((5.0, 0.01 / np.sqrt(2)))
    assert compare_evidence.references(runs[2:])["sine"] == pytest.approx((5.0, 0.1 / np.sqrt(2)))
    assert compare_evidence.references(runs[4:]) == {}


def test_evidence_rows_are_shown_and_drawn(tmp_path):
    lost = {"posterior": "sine", "sampler": "pymc_smc", "repetition": 0, "error": "took more than 180 s"}
    pilots = {"posterior": "sine", "sampler": "blackjax_pilots", "repetition": 0, "tuning_seconds": 9.0}
    rows = compare_evidence.summarise([*of_both((4.8, 5.2)), pilots, lost])
    assert [row["sampler"] for row in rows] == ["ours_long", "ours", "blackjax", "pymc_smc"]
    assert rows[2]["tuning_seconds"] == 9.0
    assert rows[3]["note"] == "took more than 180 s"
    compare_evidence.show(rows)
    compare_evidence.draw(rows, tmp_path / "evidence.png")
    assert (tmp_path / "evidence.png").stat().st_size > 10_000


def test_nested_samplers_take_part_where_dimensions_are_few():
    runs = list(compare_evidence.plan(["sine_gap", "sine"], ["ours", "dynesty", "pymc_smc"], 2))
    assert runs[:3] == [("sine_gap", s, 0) for s in ("ours", "dynesty", "pymc_smc")]
    assert runs[3:5] == [("sine", s, 0) for s in ("ours", "pymc_smc")]
    assert runs[5:8] == [("sine_gap", s, 1) for s in ("dynesty", "pymc_smc", "ours")]


def test_the_peak_is_of_one_data_set():
    rows = [{"n": 40, "seed": s, "width": w, "log_evidence": -abs(w - s), "lppd": w} for s in (1, 2) for w in range(4)]
    assert [evidence_studies.peak(rows, 40, s) for s in (1, 2)] == [1, 2]
    assert evidence_studies.peak(rows, 40, 1, "lppd") == 3
    assert evidence_studies.elbow(rows, 40, 2) == 0
    steep = [row | {"log_evidence": 4 * row["log_evidence"]} for row in rows]
    assert [evidence_studies.elbow(steep, 40, s) for s in (1, 2)] == [1, 2]
