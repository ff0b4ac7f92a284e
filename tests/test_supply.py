"""What is installed, from where, and what is built: bounds, pins, licences, lines to type, wheel and sdist."""

import ast
import importlib.util
import json
import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from importlib.metadata import metadata, packages_distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PACKAGE, EXTRAS = PROJECT["project"]["dependencies"], PROJECT["project"]["optional-dependencies"]
GROUPS = PROJECT["dependency-groups"]
SHIPPED = [*PACKAGE, *(line for lines in EXTRAS.values() for line in lines)]
DIRECT = [*SHIPPED, *(line for lines in GROUPS.values() for line in lines)]
LICENCES = (ROOT / ".github" / "LICENCES.md").read_text(encoding="utf-8")
WRITTEN = ("README.md", "notebooks/README.md", ".github/CONTRIBUTING.md")


def name_of(line):
    return canonicalize_name(Requirement(line).name)


def pins(project):
    return [Requirement(line) for line in project["tool"]["uv"]["constraint-dependencies"]]


def unpinned(project, direct):
    """Direct dependencies without an exact version for each Python that is promised, or with one out of bounds."""
    found = {}
    for pin in pins(project):
        found.setdefault(canonicalize_name(pin.name), []).append(pin)
    for line in direct:
        for python in ("3.12", "3.13", "3.14"):
            here = {"python_version": python, "python_full_version": f"{python}.0"}
            known = [p for p in found.get(name_of(line), []) if p.marker is None or p.marker.evaluate(here)]
            exact = [str(p.specifier).removeprefix("==") for p in known if str(p.specifier).startswith("==")]
            if len(exact) != 1 or not Requirement(line).specifier.contains(exact[0]):
                yield line


def test_every_direct_dependency_is_pinned_for_who_runs_a_checkout():
    assert set(unpinned(PROJECT, DIRECT)) == set()
    assert set(unpinned(PROJECT, ["nothing-of-the-kind", "numpy<1"])) == {"nothing-of-the-kind", "numpy<1"}
    assert {Requirement(line).name for line in PROJECT["tool"]["uv"]["build-constraint-dependencies"]} >= {"hatchling"}


def test_what_runs_is_what_is_pinned():
    """Where uv has installed; pip and other managers are free to take other versions."""
    if Path(sys.prefix) != ROOT / ".venv":
        pytest.skip("this is not the environment that uv keeps for the checkout")
    different = {}
    for pin in pins(PROJECT):
        if pin.marker is None or pin.marker.evaluate():
            try:
                version = metadata(pin.name)["Version"]
            except importlib.metadata.PackageNotFoundError:
                continue
            if not pin.specifier.contains(version):
                different[pin.name] = version
    assert not different


@pytest.mark.parametrize("line", SHIPPED)
def test_every_dependency_of_users_has_a_lower_bound(line):
    assert any(part.operator in (">=", "==", "~=") for part in Requirement(line).specifier), line


def test_the_pythons_that_are_promised_are_those_that_are_tried():
    said = re.findall(r"Python :: (3\.\d+)", " ".join(PROJECT["project"]["classifiers"]))
    assert said == ["3.12", "3.13"]
    assert PROJECT["project"]["requires-python"] == f">={said[0]}"
    assert PROJECT["tool"]["mypy"]["python_version"] == said[0]


@pytest.mark.parametrize("line", sorted(set(DIRECT)))
def test_the_licence_of_every_direct_dependency_is_listed(line):
    row = re.search(rf"^\| \*\*{re.escape(name_of(line))}\*\* \| \S+ \| (.+) \| (.+) \|$", LICENCES, flags=re.M)
    assert row, f"{line}: run .ci/licences"
    assert row[1] not in ("", "UNKNOWN")
    assert row[2] == ("package" if line in PACKAGE else "extras" if line in SHIPPED else row[2])


def test_nothing_under_the_gpl_is_installed_with_the_package():
    rows = re.findall(r"^\| \**([\w-]+)\** \| \S+ \| (.+) \| (\w+) \|$", LICENCES, flags=re.M)
    assert len(rows) > 150
    assert [name for name, _, _ in rows] == sorted(name for name, _, _ in rows)
    assert {who for _, licence, who in rows if "GPL" in licence} <= {"development"}
    assert any("GPL" in licence for _, licence, _ in rows), "the search finds what there is"


def commands():
    """Lines to type of what a newcomer reads."""
    for name in WRITTEN:
        text = (ROOT / name).read_text(encoding="utf-8")
        for block in re.findall(r"```sh\n(.*?)```", text, flags=re.DOTALL):
            for line in block.splitlines():
                for part in re.split(r" && |; ", line.split("  #")[0]):
                    yield part.strip()


def trouble(command):
    """What a line to type asks for and a checkout lacks; None where it is nothing."""
    words = command.split()
    if words[:2] == ["pip", "install"]:
        for what in (word.strip('"') for word in words[2:]):
            if not (
                what == "uv" or (what.partition("[")[0] == "." and set(re.findall(r"\[(.+)\]", what)) <= set(EXTRAS))
            ):
                return what
        return None
    if words[:2] == ["uv", "run"]:
        words = words[2:]
        while words[0] in ("--group", "--extra"):
            if words[1] not in (GROUPS if words[0] == "--group" else EXTRAS):
                return words[1]
            words = words[2:]
        if words[0] == "python":
            module = words[words.index("-m") + 1]
            there = module == "pdoc" or importlib.util.find_spec(module)
        else:
            there = words[0] in ("ruff", "mypy", "pytest", "jupyter", *PROJECT["project"]["scripts"])
        return None if there else words[0]
    if words and words[0].startswith(".ci/"):
        return None if (ROOT / words[0]).stat().st_mode & 0o100 else words[0]
    return None if not words or words[0] in ("bayesnn", "#") or words[0].startswith("#") else words[0]


def test_every_line_to_type_asks_for_what_a_checkout_has():
    found = list(commands())
    assert sum(command.startswith("uv run") for command in found) > 8
    assert sum(command.startswith("pip install") for command in found) > 3
    assert not [command for command in found if trouble(command)]


@pytest.mark.parametrize(
    "wrong",
    [
        "pip install bayesnn-pymc",
        'pip install ".[everything]"',
        "uv run --group plots pytest",
        "uv run --extra nb jupyter lab",
        "uv run python -m tests.benchmarks.nothing",
        "uv run flake8",
        "make test",
    ],
)
def test_a_line_that_does_not_work_is_noticed(wrong):
    assert trouble(wrong)


def lacking(cells):
    """What the code of a notebook imports, and its first cell does not install where the package is not there."""
    line = re.search(r'find_spec\("bayesnn"\) or .+run_line_magic\("pip", "install --quiet (.+)"\)', cells[0])
    here, *others = line[1].split()
    assert here == ".."
    tree = ast.parse(re.sub(r"^( *)[%!].*", r"\1pass", "\n".join(cells), flags=re.M))
    names = {a.name for node in ast.walk(tree) if isinstance(node, ast.Import) for a in node.names}
    names |= {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    tops = {name.split(".")[0] for name in names} - set(sys.stdlib_module_names) - {"bayesnn", "IPython"}
    homes, installed = packages_distributions(), {*map(name_of, PACKAGE), *others}
    return {top for top in tops if not installed & {canonicalize_name(home) for home in homes.get(top, [top])}}


@pytest.mark.parametrize("path", sorted((ROOT / "notebooks").glob("*.ipynb")), ids=lambda path: path.stem)
def test_the_first_cell_of_a_notebook_installs_what_it_imports(path):
    cells = [c["source"] for c in json.loads(path.read_text(encoding="utf-8"))["cells"] if c["cell_type"] == "code"]
    code = ["".join(source) for source in cells]
    assert lacking(code) == set()
    assert lacking([code[0], "from statsmodels.api import GLM\nimport torch.nn"]) >= {"torch"}


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """Wheel and sdist of the checkout, and the wheel that is made of the sdist."""
    pytest.importorskip("hatchling", reason="hatchling is in the dependency group dev")
    folder = tmp_path_factory.mktemp("built")

    def build(source, target, kind):
        words = [sys.executable, "-m", "hatchling", "build", "--target", kind, "--directory", str(folder / target)]
        done = subprocess.run(words, cwd=source, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        (made,) = (folder / target).glob("*.whl" if kind == "wheel" else "*.tar.gz")
        return made

    sdist = build(ROOT, "sdist", "sdist")
    with tarfile.open(sdist) as archive:
        archive.extractall(folder / "source", filter="data")
    (source,) = (folder / "source").iterdir()
    return build(ROOT, "wheel", "wheel"), build(source, "again", "wheel"), source


def contents(wheel):
    with zipfile.ZipFile(wheel) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def test_the_wheel_holds_the_package_and_the_course_and_nothing_else(built):
    found = contents(built[0])
    place = f"bayesnn_pymc-{PROJECT['project']['version']}"
    tops = {name.split("/")[0] for name in found}
    assert tops == {"bayesnn", f"{place}.data", f"{place}.dist-info"}
    skip = shutil.ignore_patterns("__pycache__", ".*")
    source = {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "bayesnn").rglob("*")
        if path.is_file() and not any(skip("", [part]) for part in path.parts[len(ROOT.parts) :])
    }
    assert {name for name in found if name.startswith("bayesnn/")} == source
    assert {"bayesnn/py.typed", "bayesnn/__init__.pyi", "bayesnn/playground/page.html"} <= source
    course = {f"{place}.data/data/share/bayesnn/notebooks/{path.name}" for path in (ROOT / "notebooks").glob("[!.]*.*")}
    assert {name for name in found if name.startswith(f"{place}.data/")} == course
    assert b"bayesnn = bayesnn.cli:main" in found[f"{place}.dist-info/entry_points.txt"]
    assert found[f"{place}.dist-info/licenses/LICENSE"] == (ROOT / "LICENSE").read_bytes()
    assert not [name for name in found if "tests" in name.split("/")]


def test_the_wheel_asks_for_what_the_project_does(built):
    lines = contents(built[0])[f"bayesnn_pymc-{PROJECT['project']['version']}.dist-info/METADATA"].decode().splitlines()
    asked = {line.removeprefix("Requires-Dist: ") for line in lines if line.startswith("Requires-Dist")}
    assert {str(Requirement(line)) for line in asked if "extra ==" not in line} == {
        str(Requirement(p)) for p in PACKAGE
    }
    assert {name for line in lines for name in re.findall(r"^Provides-Extra: (.+)", line)} == set(EXTRAS)


def test_the_sdist_makes_the_same_wheel_and_holds_the_tests(built):
    wheel, again, source = built
    assert contents(wheel) == contents(again)
    assert (source / "tests" / "test_supply.py").is_file()
    assert not (source / ".venv").exists()
    assert not (source / "uv.lock").exists()
