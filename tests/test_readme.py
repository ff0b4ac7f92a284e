"""The README's commands are the ones that CI types, and its story runs as printed."""

import re
from pathlib import Path

import pandas as pd
import pytest

import bayesnn as bnn

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()


def blocks(language):
    return re.findall(rf"```{language}\n(.*?)```", README, flags=re.DOTALL)


def test_ci_runs_the_command_that_the_readme_gives():
    commands = [line for block in blocks("sh") for line in block.splitlines()]
    tests = next(line for line in commands if "pytest" in line)
    assert tests.removeprefix("pip install uv && ") in (ROOT / ".ci" / "run").read_text()


def test_every_command_of_the_readme_exists():
    from typer.main import get_command

    from bayesnn.cli import app

    used = set(re.findall(r"^bayesnn (\w+)|; bayesnn (\w+)", "\n".join(blocks("sh")), flags=re.MULTILINE))
    known = set(get_command(app).commands)
    assert {a or b for a, b in used} <= known


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
        assert float(numbers[2]) == pytest.approx(got["posterior"], abs=0.05 * max(1, abs(got["posterior"])))
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
