"""The README's commands are the ones that CI types, and its story runs as printed.

To draw its pictures anew: ``python tests/test_readme.py``.
"""

import re
import textwrap
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import bayesnn as bnn

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()


PICTURES = {
    "three_answers.png": lambda story: bnn.plot_fits(story["mle"], story["map_"], story["post"], data=story["data"]),
    "mirror_images.png": lambda story: bnn.plot_mirrors(story["post"]),
}
"""Of the story, by their files."""


def blocks(language):
    return re.findall(rf"```{language}\n(.*?)```", README, flags=re.DOTALL)


def block_with(words):
    """The only block of Python that holds these words."""
    (found,) = (block for block in blocks("python") if words in block)
    return found


def hold_to_what_is_shown(code, names):
    """Run code, and hold each expression with a comment beside it to that comment; count them."""
    code = textwrap.dedent(code)
    exec(compile(code, "shown", "exec"), names)
    shown = re.findall(r"^(\S.*?) {2,}# (.+)$", code, flags=re.MULTILINE)
    for expression, result in shown:
        assert repr(eval(expression, names)) == result
    return len(shown)


def test_ci_runs_the_command_that_the_readme_gives():
    commands = [line for block in blocks("sh") for line in block.splitlines()]
    tests = next(line for line in commands if "pytest" in line)
    assert tests.removeprefix("pip install uv && ") in (ROOT / ".ci" / "run").read_text()


def test_pictures_have_words_and_are_there():
    shown = re.findall(r"!\[(.*?)\]\((\S+)\)", README, flags=re.DOTALL)
    assert {file for _, file in shown} == {f".github/{name}" for name in PICTURES}
    for words, file in shown:
        assert len(words) > 40
        assert (ROOT / file).read_bytes().startswith(b"\x89PNG")


def test_every_command_of_the_readme_exists():
    from typer.main import get_command

    from bayesnn.cli import app

    used = set(re.findall(r"^bayesnn (\w+)|; bayesnn (\w+)", "\n".join(blocks("sh")), flags=re.MULTILINE))
    known = set(get_command(app).commands)
    assert {a or b for a, b in used} <= known


def test_exact_intervals_have_the_calibration_error_that_the_readme_says():
    levels = np.arange(1, 10) / 10
    distance = np.random.default_rng(0).random((4000, 100, 1))
    error = np.abs((distance <= levels).mean(axis=1) - levels).mean(axis=1)
    claimed = float(re.search(r"even exact\s+intervals have an error of about (\.\d+)", README)[1])
    assert error.mean() == pytest.approx(claimed, abs=0.005)


def test_the_story_runs_and_prints_what_the_readme_shows(capsys):
    code = blocks("python")[0]
    names = {}
    exec(compile(code, "README.md", "exec"), names)
    table = bnn.compare(names["mle"], names["map_"], names["post"], data=names["data"])
    shown, said = blocks("text")
    for line in shown.splitlines()[1:]:
        label, *numbers = re.split(r"\s{2,}", line.replace(" -", "  -").strip())
        got = table.loc[label]
        assert float(numbers[0]) == pytest.approx(got["MLE"], abs=2e-3)
        assert float(numbers[1]) == pytest.approx(got["MAP"], abs=2e-3)
        size = 0.4 if label.endswith("calibration error") else max(1, abs(got["posterior"]))
        assert float(numbers[2]) == pytest.approx(got["posterior"], abs=0.05 * size)
    assert table.loc["held-out calibration error"].idxmax() == "posterior", "the awkward row"
    fresh = [bnn.load_data("sine_gap", random_seed=seed) for seed in range(2, 42)]
    X, y = (np.concatenate([getattr(data, name) for data in fresh]) for name in ("X_test", "y_test"))
    claimed = re.search(r"fresh rows the same fits have (\S+), (\S+) and (\S+?)\.\s", README).groups()
    for name, number in zip(("mle", "map_", "post"), claimed, strict=True):
        # Of 4,000 rows even exact intervals have an error of .005.
        assert bnn.score(names[name], X, y)["calibration_error"] == pytest.approx(float(number), abs=0.015)
    diagnosis = bnn.diagnose(names["post"])
    assert diagnosis.verdict == "harmless_symmetry"
    # Another processor's last digits lead chains elsewhere: the words must be the same, and R-hat alike.
    words, found = " ".join(said.split()), " ".join(str(diagnosis).split())
    assert re.sub(r"\d.*", "", words) in found
    assert words.split(". ")[-1] in found
    shown, got = (float(re.search(r"R-hat (\d\.\d+)", text)[1]) for text in (words, found))
    assert got == pytest.approx(shown, abs=0.2)
    assert isinstance(table, pd.DataFrame)
    assert not capsys.readouterr().out


def test_what_is_ones_own_gives_what_the_readme_shows():
    names = {"bnn": bnn}
    assert hold_to_what_is_shown(block_with("softsign"), names) == 2
    assert float(re.search(r"\d\.\d+", bnn.loss_table(names["logcosh"]).rows[-1][4])[0]) == pytest.approx(
        np.log(np.pi), abs=1e-5
    )
    with pytest.raises(bnn.SpecError, match="NOT a negative log-likelihood"):
        bnn.losses.ResidualLoss("hinge", lambda u: names["pt"].maximum(0.0, 1 - u))


def test_the_theory_lab_gives_what_the_readme_shows():
    assert hold_to_what_is_shown(block_with("textbook_likelihood"), {"bnn": bnn}) == 3
    called = re.findall(r"`(?:bnn\.)?(\w+)`", README.split("| they say |")[1].split("```")[0])
    known = {*bnn.theory.__all__, *dir(bnn)}
    assert len(called) > 20
    assert set(called) - {"validate_sampler"} <= known


def test_the_estimators_give_what_the_readme_shows(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names = {"bnn": bnn}
    assert hold_to_what_is_shown(block_with("bnn.sklearn"), names) == 1
    assert (names["std"] > 40).all()
    assert np.corrcoef(names["mean"], names["data"].y_test)[0, 1] > 0.5
    assert bnn.load_fit("best.nc").attrs["bayesnn_kind"] == "map"


def test_averaging_does_not_always_win():
    data = bnn.load_data("iris", random_seed=0)
    net = bnn.MLP(hidden=(5,), loss="cross_entropy", prior=bnn.Normal(1.0))
    map_ = bnn.fit_map(net, data, restarts=10, random_seed=1, progressbar=False)
    post = bnn.fit_posterior(net, data, draws=300, tune=300, random_seed=1, progressbar=False)
    point, mixture = bnn.score(map_, data), bnn.score(post, data)
    assert point["lppd"] > mixture["lppd"]
    sure = [bnn.predict(fit, data).probability.max("class").mean().item() for fit in (map_, post)]
    assert sure[1] < sure[0], "the posterior is the more cautious"


def main():
    """Draw the pictures of the story."""
    story = {}
    exec(compile(blocks("python")[0], "README.md", "exec"), story)
    for name, draw in PICTURES.items():
        figure = draw(story).figure
        # The README says what is to be seen.
        figure.suptitle("")
        figure.savefig(ROOT / ".github" / name, dpi=110)


if __name__ == "__main__":
    main()
