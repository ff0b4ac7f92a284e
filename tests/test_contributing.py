"""What CONTRIBUTING.md says is so: its files exist, its map is the rooms', its code runs and its diffs apply."""

import ast
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from tests.test_layers import ROOMS, SPEC
from tests.test_readme import hold_to_what_is_shown

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / ".github" / "CONTRIBUTING.md").read_text()


def blocks(language):
    return re.findall(rf"```{language}\n(.*?)```", TEXT, flags=re.DOTALL)


def missing(text):
    """Files and folders of the repository that a text names and that do not exist."""
    named = set(re.findall(r"(?:bayesnn|tests|\.ci|notebooks)/[\w/.-]*\w", text))
    assert len(named) > 20
    made = {new for old, new, _ in changes() if old is None}
    return {name for name in named if not (ROOT / name).exists()} - made


def changes():
    """Files of all diffs in their order: old name or None, new name, and pairs of text before and after."""
    for diff in blocks("diff"):
        for old, new, body in re.findall(r"^--- (\S+)\n\+\+\+ (\S+)\n(.*?)(?=^--- |\Z)", diff, flags=re.M | re.S):
            hunks = []
            for hunk in re.split(r"^@@\n", body, flags=re.M)[1:]:
                lines = [(line[:1] or " ", line[1:]) for line in hunk.splitlines()]
                hunks.append(tuple("".join(f"{t}\n" for s, t in lines if s in kept) for kept in (" -", " +")))
            yield None if old == "/dev/null" else old.removeprefix("a/"), new.removeprefix("b/"), hunks


def patched(text, before, after):
    """Text after a hunk, which must fit in one place, in whole lines."""
    assert (found := f"\n{text}".count(f"\n{before}")) == 1, f"{found} places for\n{before}"
    return f"\n{text}".replace(f"\n{before}", f"\n{after}")[1:]


@pytest.fixture(scope="module")
def scratch(tmp_path_factory):
    """A copy of package and tests to which every diff has been applied."""
    folder = tmp_path_factory.mktemp("scratch")
    for name in ("bayesnn", "tests"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", folder)
    for old, new, hunks in changes():
        path = folder / new
        text = path.read_text() if old else ""
        assert bool(old) == path.exists(), new
        for before, after in hunks:
            text = patched(text, before, after) if old else after
        ast.parse(text)
        path.write_text(text)
    return folder


def in_scratch(folder, *arguments):
    environment = {**os.environ, "PYTHONPATH": str(folder), "MPLBACKEND": "agg"}
    return subprocess.run(
        [sys.executable, *arguments], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )


def test_every_file_that_is_named_exists():
    assert missing(TEXT) == set()
    assert missing(f"{TEXT} bayesnn/losses/regresion.py") == {"bayesnn/losses/regresion.py"}


def test_the_map_is_that_of_the_rooms():
    rows = re.findall(r"^\| `(\w+)` \| (light)? *\|", TEXT, flags=re.M)
    assert tuple(room for room, _ in rows) == ROOMS
    assert {room for room, light in rows if light} == set(SPEC)


def test_the_commands_are_those_of_the_readme_and_of_ci():
    readme = re.findall(r"(?:uv run|pip install uv && uv run) (\S+)", (ROOT / "README.md").read_text())
    for command in ("pytest", "bayesnn"):
        assert command in readme
        assert re.search(rf"uv run {command}\b", blocks("sh")[0])
    for line in (ROOT / ".ci" / "run").read_text().splitlines():
        if line.startswith("uv run"):
            assert line.removesuffix(" ||") in TEXT.replace("\nuv run", "uv run").replace("uv run\n", "uv run ")


def test_what_is_ones_own_runs_and_gives_what_is_shown(monkeypatch):
    # Fits name the module of a class from outside: it must be one that can be found.
    module = ModuleType("ones_own")
    monkeypatch.setitem(sys.modules, "ones_own", module)
    shown = sum(hold_to_what_is_shown(code, module.__dict__) for code in blocks("python"))
    assert shown > 8


def test_diffs_apply_and_the_tests_in_them_pass(scratch):
    new = "logistic or isru or names_and_json or names_of_the_activations or annotated or type_checkers or one_way"
    slow = "loop or draws or pymc or noise_mle"  # what compiles is left to who adds something
    done = in_scratch(
        scratch,
        *("-m", "pytest", "-n", "0", "-q", "-p", "no:cacheprovider", "-k", f"({new}) and not ({slow})"),
        *("tests/losses", "tests/priors", "tests/network", "tests/formulas", "tests/test_layers.py"),
    )
    assert done.returncode == 0, done.stdout
    assert int(re.search(r"(\d+) passed", done.stdout)[1]) > 15
    code = (
        "import bayesnn as bnn; from bayesnn.fitting.posterior import SAMPLERS; from bayesnn.ops.simd import BY_HAND;"
        "print(bnn.__file__, bnn.LOSSES['logistic'].name, bnn.Logistic(2.0), SAMPLERS[-2], *BY_HAND, bnn.plot_norms)"
    )
    done = in_scratch(scratch, "-c", code)
    assert done.stdout.startswith(str(scratch)), done.stderr
    assert re.search(r"logistic Logistic\(scale=2.0\) walk .* isru <function plot_norms", done.stdout)


def test_a_diff_that_no_longer_fits_is_noticed():
    with pytest.raises(AssertionError, match="0 places"):
        patched("a\nb\n", "c\n", "d\n")
    with pytest.raises(AssertionError, match="2 places"):
        patched("a\nb\na\n", "a\n", "d\n")
    assert patched("a\nab\n", "a\n", "d\n") == "d\nab\n"


def test_a_result_that_is_not_the_one_shown_is_noticed():
    with pytest.raises(AssertionError):
        hold_to_what_is_shown("1 + 1   # 3\n", {})
