"""The rooms of the package: a module imports only from those above it, and heavy libraries only when used."""

import ast
import subprocess
import sys
from pathlib import Path

import bayesnn

PACKAGE = Path(bayesnn.__file__).parent
TESTS = Path(__file__).parent
ROOMS = (
    "errors",
    "arguments",
    "foreign",
    "formulas",
    "data",
    "losses",
    "priors",
    "activations",
    "network",
    "tree",
    "ops",
    "model",
    "symmetry",
    "fitting",
    "prediction",
    "diagnostics",
    "theory",
    "plots",
    "report",
    "cli",
)
SPEC = ("errors", "arguments", "foreign", "formulas", "data", "losses", "priors", "activations", "network", "tree")
HEAVY = {"pymc", "pytensor", "arviz", "nutpie", "sklearn", "matplotlib", "pandas", "xarray"}


def room_of(path):
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports(tree):
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def violations(room, tree):
    for name in imports(tree):
        head, _, rest = name.partition(".")
        target = rest.split(".")[0]
        if head == "bayesnn" and target in ROOMS and ROOMS.index(target) > ROOMS.index(room):
            yield name


def sources():
    return [p for p in PACKAGE.rglob("*.py") if p != PACKAGE / "__init__.py"]


def test_every_module_has_a_room():
    assert {room_of(p) for p in sources()} <= set(ROOMS)
    assert not list(PACKAGE.rglob("utils.py"))


def test_tests_lie_with_the_room_that_they_test():
    folders = {p.parent.relative_to(TESTS).as_posix() for p in TESTS.rglob("test_*.py")}
    assert folders <= {".", *ROOMS}
    assert folders > {"losses", "priors", "fitting", "plots"}


def test_imports_point_one_way():
    found = {str(p): list(violations(room_of(p), ast.parse(p.read_text()))) for p in sources()}
    assert not {p: names for p, names in found.items() if names}


def test_the_check_fires_on_an_import_that_points_back():
    assert list(violations("losses", ast.parse("def f():\n    from bayesnn.model import build_model")))


def test_the_specification_knows_no_heavy_library():
    for path in sources():
        if room_of(path) in SPEC:
            body = ast.parse(path.read_text()).body
            top = {
                name.split(".")[0]
                for node in body
                for name in imports(ast.Module([node], []))
                if isinstance(node, ast.Import | ast.ImportFrom)
            }
            assert not top & HEAVY, path


def test_importing_the_package_loads_no_heavy_library():
    code = "import sys, bayesnn; bayesnn.MLP(hidden=(2,)); print(*sorted(sys.modules))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not set(loaded) & {"pymc", "pytensor", "arviz", "nutpie", "sklearn", "matplotlib"}
