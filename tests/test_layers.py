"""The rooms of the package: a module imports only from those above it, and heavy libraries only when used."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import bayesnn

PACKAGE = Path(bayesnn.__file__).parent
TESTS = Path(__file__).parent
ROOMS = (
    "errors",
    "arguments",
    "files",
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
    "sklearn",
    "theory",
    "diagnostics",
    "inspection",
    "exchange",
    "plots",
    "reporting",
    "playground",
    "cli",
)
SPEC = (*ROOMS[: ROOMS.index("ops")],)
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


def is_compiled(function):
    return any(ast.unparse(d).startswith(("numba_njit", "kernel", "intrinsic")) for d in function.decorator_list)


def unannotated(tree, owner=""):
    """Public functions and methods that leave an argument or what they return without a type."""
    for node in tree.body:
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            yield from unannotated(node, f"{node.name}.")
        elif isinstance(node, ast.FunctionDef) and not node.name.startswith("_") and not is_compiled(node):
            given = node.args
            arguments = [*given.posonlyargs, *given.args, given.vararg, *given.kwonlyargs, given.kwarg]
            static = "staticmethod" in map(ast.unparse, node.decorator_list)
            arguments = arguments[1:] if owner and not static else arguments
            if node.returns is None or any(a is not None and a.annotation is None for a in arguments):
                yield owner + node.name


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


def test_the_estimators_load_scikit_learn_alone():
    for path in (PACKAGE / "sklearn").glob("*.py"):
        top = [node for node in ast.parse(path.read_text()).body if isinstance(node, ast.Import | ast.ImportFrom)]
        names = set(imports(ast.Module(top, [])))
        assert not {name.split(".")[0] for name in names} & (HEAVY - {"sklearn"})
        assert {name.split(".")[1] for name in names if name.startswith("bayesnn.")} <= {*SPEC, "sklearn"}


def test_importing_the_package_loads_no_heavy_library():
    code = "import sys, bayesnn; bayesnn.MLP(hidden=(2,)); print(*sorted(sys.modules))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not set(loaded) & {"pymc", "pytensor", "arviz", "nutpie", "sklearn", "matplotlib"}


def test_public_signatures_are_annotated():
    found = {str(p): list(unannotated(ast.parse(p.read_text()))) for p in PACKAGE.rglob("*.py")}
    assert not {p: names for p, names in found.items() if names}


@pytest.mark.parametrize(
    "signature",
    ["x: int)", "x: int, /, y) -> int", "x) -> int", "*x) -> int", "**x) -> int", "*, x) -> int"],
)
@pytest.mark.parametrize("owner", ["", "A."])
def test_the_check_fires_on_a_missing_annotation(owner, signature):
    function = f"def f({'self, ' if owner else ''}{signature}: ..."
    assert list(unannotated(ast.parse(f"class A:\n    {function}" if owner else function))) == [f"{owner}f"]


def test_the_check_leaves_out_what_is_private_or_compiled():
    assert not list(unannotated(ast.parse("def _f(x): ...\n@kernel\ndef f(x): ...\nclass _A:\n    def f(x): ...")))


def test_the_types_are_told_to_type_checkers():
    assert (PACKAGE / "py.typed").is_file()
    stub = set(imports(ast.parse((PACKAGE / "__init__.pyi").read_text())))
    homes = {f"bayesnn.{home}.{name}" for home, names in bayesnn._HOMES.items() for name in names}
    assert stub == homes | {f"bayesnn.{module}" for module in bayesnn._MODULES}
