"""Files, addresses and uploads from strangers: nothing in them is executed, imported or unpacked without a bound."""

import ast
import gzip
import importlib
import io
import json
import pickle
import socket
import sys
import types
import zipfile
from pathlib import Path

import numpy as np
import pytest

import bayesnn as bnn
from bayesnn import foreign
from bayesnn.cli import app, notebooks
from bayesnn.errors import BayesnnError, DataError, FitError, SpecError
from bayesnn.fitting.store import Lines
from bayesnn.fitting.tasks import run_tasks
from bayesnn.formulas import Formula, Program
from bayesnn.formulas.program import NUMPY, inputs_of
from bayesnn.playground.settings import Settings
from bayesnn.playground.upload import LARGEST, read_upload
from bayesnn.tree import problem_of
from tests.conftest import X5, Y5, random_params, tree_of

PACKAGE = Path(bnn.__file__).parent


class Trap:
    """What has been executed, if anything: a folder is made by whoever unpickles, evaluates or imports."""

    def __init__(self, folder):
        self.mark = folder / "executed"
        self.code = f"__import__('os').mkdir({str(self.mark)!r})"

    def __reduce__(self):
        return eval, (self.code,)

    @property
    def sprung(self):
        if there := self.mark.exists():
            self.mark.rmdir()
        return there


@pytest.fixture
def trap(tmp_path):
    trap = Trap(tmp_path)
    pickle.loads(pickle.dumps(trap))
    assert trap.sprung, "unpickled"
    eval(trap.code)
    assert trap.sprung, "evaluated"
    yield trap
    assert not trap.sprung


@pytest.fixture
def module(trap, tmp_path, monkeypatch):
    """Name of a module that could be imported, and would be seen to be."""
    name = "a_module_of_strangers"
    (tmp_path / f"{name}.py").write_text(f"{trap.code}\nThing = type('Thing', (), {{}})\n")
    monkeypatch.syspath_prepend(tmp_path)
    importlib.import_module(name)
    assert trap.sprung, "imported"
    del sys.modules[name]
    yield name
    assert name not in sys.modules


@pytest.fixture(scope="module")
def fit():
    net = bnn.MLP((2,), noise=0.2)
    problem = bnn.tree.prepare(net, X5, Y5, scaling=None)
    return tree_of(net, X5, Y5, random_params(problem, (1, 3), seed=1))


def specification(**parts):
    return json.dumps({**json.loads(bnn.MLP((2,), noise=0.2).to_json()), **parts})


def of_class(name):
    return {"name": "x", "family": "x", "class": name, "fields": {}}


NEVER = [
    "builtins:eval",
    "builtins:exec",
    "builtins:type",
    "os:system",
    "os:mkdir",
    "subprocess:Popen",
    "importlib:import_module",
    "sys:modules.os.system",
    "bayesnn.losses.base:Loss.__class__",
    "bayesnn.errors:SpecError",
    "bayesnn.losses.residual:__builtins__.eval",
    ":",
    "",
]


@pytest.mark.parametrize("part", ["loss", "prior", "noise"])
@pytest.mark.parametrize("name", NEVER)
def test_a_specification_names_classes_of_losses_and_priors_only(part, name):
    with pytest.raises(SpecError, match="has not loaded"):
        bnn.MLP.from_json(specification(**{part: of_class(name)}))


@pytest.mark.parametrize("part", ["loss", "prior", "noise"])
def test_a_file_does_not_import_what_it_names(part, module, fit, tmp_path):
    hostile = fit.copy()
    hostile.attrs["bayesnn_network"] = specification(**{part: of_class(f"{module}:Thing")})
    path = bnn.save_fit(hostile, tmp_path / "fit.nc")
    with pytest.raises(SpecError, match=f"class Thing of the module {module}.*has not loaded"):
        problem_of(bnn.load_fit(path))
    bias = {**json.loads(specification())["prior"], "bias": of_class(f"{module}:Thing")}
    with pytest.raises(SpecError, match="has not loaded"):
        bnn.MLP.from_json(specification(prior=bias))


def test_a_module_that_imports_what_it_is_asked_for_is_not_asked(trap, monkeypatch):
    lazy = types.ModuleType("lazy")
    lazy.__getattr__ = lambda name: eval(trap.code)
    monkeypatch.setitem(sys.modules, "lazy", lazy)
    _ = lazy.Thing
    assert trap.sprung
    with pytest.raises(SpecError, match="has not loaded"):
        foreign.from_json(of_class("lazy:Thing"), bnn.losses.Loss)


@pytest.mark.parametrize("wrong", [{}, {"fields": {"eval": "1"}}, {"fields": None}])
def test_a_class_with_fields_that_it_lacks_is_refused(wrong):
    found = of_class("bayesnn.losses.regression:Huber") | wrong
    found = {k: v for k, v in found.items() if wrong or k != "fields"}
    with pytest.raises(SpecError, match=r"fields that it does not take.*Load the version"):
        foreign.from_json(found, bnn.losses.Loss)


def formula(*nodes, outputs=(1,), arguments=("u",)):
    return {"arguments": list(arguments), "nodes": [list(node) for node in nodes], "outputs": list(outputs)}


HOSTILE = [
    formula(("system", 0)),
    formula(("__class__", 0)),
    formula(("__dict__", 0)),
    formula(("Composite", 0)),
    formula(("pytensor", 0)),
    formula(("upcast", 0)),
    formula(("ScalarOp.impl", 0)),
    formula((["tanh"], 0)),
    formula((None, 0)),
    formula(("tanh", -1)),
    formula(("tanh", True)),
    formula(("tanh", [0])),
    formula(("constant", "__import__('os')")),
    formula(("constant", {"class": "os:system"})),
    formula(("tanh", 0), outputs=(99,)),
    # NumPy writes its output into an input too many.
    formula(("sqr", 0, 0)),
    formula(("pow", 0, 0, 0)),
    formula(("softplus", 0, 0)),
    formula(("round_half_to_even", 0, 0, 0)),
    formula(("switch", 0)),
    formula(("gamma", 0, 0)),
]


@pytest.mark.parametrize("hostile", HOSTILE, ids=lambda f: str(f["nodes"][0])[:40])
def test_a_formula_from_a_file_is_known_operations_or_refused(hostile):
    with pytest.raises(SpecError):
        Program.from_json(hostile)
    activation = {"name": "own", "formula": hostile, "symmetry": []}
    with pytest.raises(SpecError):
        bnn.MLP.from_json(specification(activation=activation))
    with pytest.raises(SpecError):
        bnn.MLP.from_json(specification(loss={"name": "own", "formula": hostile, "parameters": {}}))


def test_no_operation_writes_into_what_it_is_given():
    x = np.full(3, 0.5)
    with pytest.raises(SpecError):
        Program.from_json(formula(("sqr", 0, 0)))
    Program(("u",), (("sqr", 0, 0),), (1,))(x)
    assert x[0] == 0.25, "what the check is for"
    x[:] = 0.5
    for operation in NUMPY:
        count = inputs_of(operation) or 4
        Program.from_json(formula((operation, *[0] * count)))(x)
        assert (x == 0.5).all(), operation


def test_the_names_in_a_formula_are_no_code(trap):
    """PyTensor's names become those of compiled code; the report prints those of parameters as a script."""
    name = f"p=0); {trap.code}#"
    square = formula(("sqr", 0), ("mul", 1, 2), outputs=(3,), arguments=("u", name))
    with pytest.raises(SpecError, match="must be a name"):
        bnn.MLP.from_json(specification(loss={"name": "own", "formula": square, "parameters": {name: 1.0}}))
    argument = Formula(Program.from_json(formula(("sqr", 0), arguments=(trap.code,))))
    assert argument.slope(3.0) == 6.0
    found = bnn.MLP.from_json(specification(activation={"name": trap.code, "formula": square, "symmetry": []}))
    assert found.phi.name == trap.code


def test_only_netcdf_files_are_read_as_fits(fit, trap, tmp_path):
    store = tmp_path / "fit.zarr"
    fit.to_zarr(store, consolidated=False)
    pickled = tmp_path / "fit.nc"
    pickled.write_bytes(pickle.dumps(trap))
    packed = tmp_path / "packed.nc.gz"
    packed.write_bytes(gzip.compress(bnn.save_fit(fit, tmp_path / "good.nc").read_bytes()))
    assert bnn.load_fit(tmp_path / "good.nc").attrs == fit.attrs
    for path in (store, pickled, packed):
        with pytest.raises(FitError, match="can't be read"):
            bnn.load_fit(path)


def test_no_address_is_asked_for_a_fit():
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.2)
        for scheme in ("http", "dap2"):
            with pytest.raises(FitError):
                bnn.load_fit(f"{scheme}://127.0.0.1:{server.getsockname()[1]}/fit.nc")
        with pytest.raises(TimeoutError):
            server.accept()


@pytest.mark.parametrize("name", ["data.csv", "data.pkl"])
def test_data_are_not_unpickled(name, trap, tmp_path):
    path = tmp_path / name
    path.write_bytes(pickle.dumps(trap))
    with pytest.raises(DataError):
        bnn.load_data(path, target="y")


def test_cells_and_headers_of_data_are_text(trap, tmp_path):
    path = tmp_path / "data.csv"
    path.write_text(f'x,y\n1,"{trap.code}"\n2,b\n3,b\n4,"{trap.code}"\n')
    assert trap.code in bnn.load_data(path, target="y", test_size=0).class_names
    path.write_text(f'"{trap.code}",y\n1,2.5\n2,3.5\n4,1.5\n')
    data = bnn.load_data(path, target="y", test_size=0)
    assert data.feature_names == (trap.code,)
    repr(data), data.to_frame()


@pytest.mark.parametrize("name", ["rows.csv", "rows.pkl", "rows.xlsx", "rows"])
def test_an_upload_is_text_or_refused(name, trap):
    assert read_upload(pickle.dumps(trap), name).trouble


def packed(text):
    with zipfile.ZipFile(memory := io.BytesIO(), "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("rows.csv", text)
    return {".gz": gzip.compress(text.encode()), ".zip": memory.getvalue()}


@pytest.mark.parametrize("suffix", [".gz", ".zip"])
def test_an_upload_is_not_unpacked(suffix, monkeypatch):
    """Two hundred kilobytes of zeros are two hundred megabytes of them unpacked."""
    import pandas as pd

    rows = "x,y\n" + "0.5,1.5\n" * 1_000_000
    content = packed(rows)[suffix]
    assert len(content) < LARGEST < len(rows)
    assert len(pd.read_csv(io.BytesIO(content), compression=suffix.strip(".").replace("gz", "gzip"), nrows=5)) == 5
    for name in (f"rows.csv{suffix}", f"rows{suffix}", f"rows.csv{suffix.upper()}", "rows.csv"):
        upload = read_upload(content, name)
        assert upload.trouble
        assert not upload.points
    assert "no text by its name" in read_upload(content, f"rows.csv{suffix}").trouble
    assert not read_upload(b"x,y\n1,2.5\n2,3\n", "rows.csv").trouble


@pytest.mark.parametrize("field", Settings.__dataclass_fields__)
def test_an_address_is_numbers_and_known_names(field, trap):
    for query in ({field: trap.code}, {field: trap.code, "data": "own", "points": "1,2;3,4"}):
        try:
            settings = Settings.from_query(query)
        except SpecError:
            continue
        assert trap.code not in settings.to_python()
    called = [node for node in ast.walk(ast.parse(Settings().to_python())) if isinstance(node, ast.Call)]
    assert {ast.unparse(call.func).split(".")[0] for call in called} <= {"bnn", "print"}


def _square(number):
    return number**2


def test_lines_of_results_are_data(trap, tmp_path):
    path = tmp_path / "results.jsonl"
    hostile = [trap.code, json.dumps(["a", trap.code]), json.dumps([trap.code, 1]), '{"class": "os:system"}']
    path.write_text("\n".join(["{}", *hostile]) + "\n")
    ran = run_tasks(
        {k: (_square, i, {}) for i, k in enumerate("xab")},
        kept=Lines(path, {}),
        label="numbers",
        progressbar=False,
    )
    assert ran.done == {"x": 0, "a": trap.code, "b": 4}


def test_notebooks_are_listed_and_copied_unrun(trap, tmp_path, monkeypatch, capsys):
    import nbformat

    book = nbformat.v4.new_notebook(
        cells=[nbformat.v4.new_markdown_cell("# Why?"), nbformat.v4.new_code_cell(trap.code)]
    )
    folder, target = tmp_path / "from", tmp_path / "to"
    folder.mkdir()
    nbformat.write(book, folder / "01_why.ipynb")
    monkeypatch.setattr(notebooks, "folder", lambda: folder)
    app(["notebooks", "list"], standalone_mode=False)
    app(["notebooks", "copy", str(target)], standalone_mode=False)
    assert "Why?" in capsys.readouterr().out
    assert (target / "01_why.ipynb").read_bytes() == (folder / "01_why.ipynb").read_bytes()


@pytest.mark.parametrize("text", ["[" * 100_000, '{"a":' * 100_000, "1" * 100_000, "\x00", "NaN", '"\\ud800"'])
def test_odd_json_is_refused_in_words(text):
    with pytest.raises(BayesnnError, match="to_json"):
        bnn.MLP.from_json(text)


RUNS = {"eval", "exec", "compile", "__import__"}
"""Builtin functions that run what they are given."""
LOADS = {
    "pickle",
    "cPickle",
    "marshal",
    "shelve",
    "dill",
    "cloudpickle",
    "joblib",
    "yaml",
    "subprocess",
    "runpy",
    "code",
}
"""Modules that run, or can, what they read."""
KNOWN = {
    ("__init__.py", "import_module"): "modules of the package, by the names that stand in it",
    ("playground/page.py", "import_module"): "panels of the playground, by the names that stand in it",
    ("ops/callback.py", "compile_numba_function_src"): "source that stands in the package, with sizes put in",
    ("ops/lowering.py", "compile_numba_function_src"): "source that stands in the package, with sizes put in",
}
"""Places that run what is not literally there, each with the reason why no file can reach it."""


def dangers(source):
    """Name what in a source could run what it reads."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else [node.module or ""]
            yield from LOADS & {name.split(".")[0] for name in names}
        if not isinstance(node, ast.Call):
            continue
        if isinstance(node.func, ast.Name) and node.func.id in RUNS:
            yield node.func.id
        called = getattr(node.func, "attr", getattr(node.func, "id", ""))
        if called == "import_module" and not (node.args and isinstance(node.args[0], ast.Constant)):
            yield called
        if called in ("compile_numba_function_src", "read_pickle", "unsafe_load"):
            yield called
        if called in ("system", "popen") and ast.unparse(node.func).startswith("os."):
            yield called
        for keyword in node.keywords:
            if keyword.arg in ("allow_pickle", "shell") and getattr(keyword.value, "value", True):
                yield keyword.arg


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("eval('1')", "eval"),
        ("exec(text)", "exec"),
        ("__import__(name)", "__import__"),
        ("import pickle as p", "pickle"),
        ("from pickle import loads", "pickle"),
        ("np.load(path, allow_pickle=True)", "allow_pickle"),
        ("np.load(path, allow_pickle=given)", "allow_pickle"),
        ("importlib.import_module(name)", "import_module"),
        ("import_module(f'a.{b}')", "import_module"),
        ("os.system(command)", "system"),
        ("run(command, shell=True)", "shell"),
    ],
)
def test_what_the_source_is_searched_for_is_found(source, found):
    assert found in set(dangers(source))


def test_nothing_in_the_package_runs_what_it_reads():
    found = {
        (path.relative_to(PACKAGE).as_posix(), danger)
        for path in PACKAGE.rglob("*.py")
        for danger in dangers(path.read_text(encoding="utf-8"))
    }
    assert found == set(KNOWN)
    assert not set(dangers("np.load(p, allow_pickle=False); importlib.import_module('json'); model.compile()"))
