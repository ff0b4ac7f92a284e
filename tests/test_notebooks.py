"""Every notebook runs in a fresh kernel, and what is committed keeps the house rules.

A notebook's own `assert` lines are its claims: running it tests them, and so does running the answers to its
exercises, which are folded into its text. Tests give it a smaller budget of draws. To write fresh outputs into the
notebooks, all or some: ``python tests/test_notebooks.py [notebooks/03_losses.ipynb ...]``.
"""

import re
import sys
import tempfile
from pathlib import Path

import nbformat
import pytest
from jupyter_client import AsyncKernelManager
from jupyter_client.kernelspec import KernelSpecManager
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from traitlets import default

NOTEBOOKS = sorted((Path(__file__).parents[1] / "notebooks").glob("*.ipynb"))
PLAN = (Path(__file__).parents[1] / "notebooks" / "README.md").read_text(encoding="utf-8")
LARGEST = 1_000_000  # bytes
BUDGET = {"BAYESNN_DRAWS": "400"}
"""What the notebooks read how much to draw from."""
ANNOUNCED = "Compiling; the first time on a machine this takes up to a minute."
ANSWER = re.compile(r"<details>.*?</details>", re.DOTALL)
CODE = re.compile(r"^```python\n(.*?)^```", re.DOTALL | re.MULTILINE)
PYTHON3 = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}
A_PATH = re.compile(r"(?<![\w/<.:])/(?:[\w.@-]+/)+[\w.@-]+|\b[A-Za-z]:\\\w|~/\w")

each_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


class OwnKernel(AsyncKernelManager):
    """A kernel of this very interpreter, whatever kernels are installed for the user."""

    @default("kernel_spec_manager")
    def _no_installed_kernels(self):
        return KernelSpecManager(kernel_dirs=[])


def answers(text):
    """Code of the answers that are folded into a text."""
    return [code for answer in ANSWER.findall(text) for code in CODE.findall(answer)]


def run(notebook, folder):
    """Execute a copy of the notebook in `folder`, the answers last; an error in a cell raises."""
    fresh = nbformat.from_dict(notebook)
    own = len(fresh.cells)
    folded = [code for cell in fresh.cells if cell.cell_type == "markdown" for code in answers(cell.source)]
    fresh.cells += [new_code_cell(code) for code in folded]
    client = NotebookClient(
        fresh,
        kernel_manager_class=OwnKernel,
        kernel_name="python3",
        timeout=900,
        record_timing=False,
        resources={"metadata": {"path": str(folder)}},
    )
    client.execute()
    del fresh.cells[own:]
    for cell in fresh.cells:
        cell.metadata.clear()
        if cell.cell_type == "code":
            # What is said once on a machine, by whichever cell compiles first.
            cell.outputs = [output for output in cell.outputs if not any(map(is_announced, texts(output)))]
    fresh.metadata = nbformat.from_dict({"kernelspec": PYTHON3, "language_info": {"name": "python"}})
    return fresh


def is_announced(text):
    """Whether an output says in its colours that something is compiled, and nothing else."""
    return " ".join(re.sub(r"\x1b\[\d*m", "", text).split()) == ANNOUNCED


def texts(output):
    """All that an output says in words."""
    if output.output_type == "stream":
        return [output.text]
    return [text for kind, text in output.get("data", {}).items() if kind.startswith("text/")]


def outputs_of(notebook):
    return [(cell, output) for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]


def broken_rules(notebook):
    """What a committed notebook must not be, each in one line."""
    cells = notebook.cells
    code = [cell for cell in cells if cell.cell_type == "code"]
    found = []
    if not (cells and cells[0].cell_type == "markdown" and cells[0].source.startswith("# ")):
        found.append("the first cell is no title")
    if notebook.metadata.get("kernelspec", {}).get("name") != "python3":
        found.append("the kernel is not python3")
    for before, cell in zip([None, *cells], cells, strict=False):
        if cell.cell_type == "code" and cell.outputs and (before is None or before.cell_type != "markdown"):
            found.append(f"no text announces {cell.id}")
        if cell.metadata.get("execution"):
            found.append(f"{cell.id} has timestamps")
    if [cell.execution_count for cell in code] != list(range(1, len(code) + 1)):
        found.append("the cells were not run once, in order")
    if code and not outputs_of(notebook):
        found.append("no outputs are stored")
    for cell, output in outputs_of(notebook):
        if output.output_type == "error":
            found.append(f"{cell.id} ends in an error")
        if output.get("name") == "stderr":
            found.append(f"{cell.id} warns")
        if "image/png" in output.get("data", {}) and not output.metadata.get("image/png", {}).get("alt"):
            found.append(f"{cell.id} shows a picture without words")
        found += [f"{cell.id} shows the path {hit}" for text in texts(output) for hit in A_PATH.findall(text)]
    return found


@pytest.fixture(scope="session")
def executed(tmp_path_factory):
    """Each notebook as a fresh kernel leaves it; run once, on first use."""
    done = {}

    def get(path):
        if path not in done:
            with pytest.MonkeyPatch.context() as patch:
                for name, value in BUDGET.items():
                    patch.setenv(name, value)
                done[path] = run(nbformat.read(path, as_version=4), tmp_path_factory.mktemp(path.stem))
        return done[path]

    return get


def test_there_are_notebooks():
    assert NOTEBOOKS


@each_notebook
def test_a_committed_notebook_keeps_the_rules(path):
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    assert broken_rules(notebook) == []
    number = path.name[:2]
    assert [cell.id for cell in notebook.cells] == [f"{number}-{i:02d}" for i, _ in enumerate(notebook.cells, start=1)]
    assert path.stat().st_size < LARGEST


@each_notebook
def test_the_plan_of_the_course_says_how_long_a_notebook_takes(path):
    title = nbformat.read(path, as_version=4).cells[0].source
    row = re.search(rf"^\| \[{path.name[:2]}\]\({path.name}\) .*$", PLAN, flags=re.MULTILINE)[0]
    assert f"| {re.search(r'Minutes:.. (\d+)', title)[1]} |" in row


@each_notebook
@pytest.mark.timeout(1200)
def test_a_notebook_runs_without_warnings(path, executed):
    assert broken_rules(executed(path)) == []


@each_notebook
@pytest.mark.timeout(1200)
def test_the_committed_outputs_are_those_of_the_code(path, executed):
    def kinds(notebook):
        return [(cell.id, o.output_type, sorted(o.get("data", {}))) for cell, o in outputs_of(notebook)]

    assert kinds(nbformat.read(path, as_version=4)) == kinds(executed(path))


def small(*cells, **metadata):
    return new_notebook(cells=list(cells), metadata={"kernelspec": PYTHON3, **metadata})


def test_the_kernel_is_this_interpreter_whatever_is_installed(tmp_path, monkeypatch):
    installed = tmp_path / "kernels" / "python3"
    installed.mkdir(parents=True)
    (installed / "kernel.json").write_text('{"argv": ["false"], "display_name": "installed", "language": "python"}')
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path))
    assert KernelSpecManager().get_kernel_spec("python3").argv == ["false"]
    cell = new_code_cell("import os, sys\nprint(sys.executable, os.getcwd(), sep='\\n')")
    shown = run(small(cell), tmp_path).cells[0].outputs[0].text.splitlines()
    assert shown == [sys.executable, str(tmp_path.resolve())]


def test_the_runner_fires_on_a_failing_cell(tmp_path):
    path = tmp_path / "bad.ipynb"
    nbformat.write(small(new_markdown_cell("# Bad"), new_code_cell("assert 1 + 1 == 3, 'arithmetic'")), path)
    with pytest.raises(CellExecutionError, match="arithmetic"):
        run(nbformat.read(path, as_version=4), tmp_path)


def test_what_is_said_while_a_machine_compiles_is_no_output(tmp_path):
    said = "from bayesnn.fitting.progress import announce\nannounce('{}')"
    compiles, warns = (new_code_cell(said.format(text)) for text in (ANNOUNCED, f"{ANNOUNCED} Careful."))
    first, second = run(small(compiles, warns), tmp_path).cells
    assert first.outputs == []
    assert len(second.outputs) == 1


def test_a_warning_in_a_run_breaks_a_rule(tmp_path):
    cells = new_markdown_cell("# Warning"), new_code_cell("import warnings\nwarnings.warn('careful')", id="99-02")
    assert "99-02 warns" in broken_rules(run(small(*cells), tmp_path))


TITLE, TEXT = new_markdown_cell("# Title"), new_markdown_cell("Now look.")


def shown(*outputs, count=1, id="99-01", **fields):
    return new_code_cell("look()", outputs=list(outputs), execution_count=count, id=id, **fields)


def says(text, name="stdout"):
    return new_output("stream", text=text, name=name)


def table(html):
    return new_output("execute_result", data={"text/html": html, "text/plain": ""}, execution_count=1)


def picture(**metadata):
    return new_output("display_data", data={"image/png": "", "text/plain": ""}, metadata=metadata)


@pytest.mark.parametrize(
    ("notebook", "rule"),
    [
        (small(TEXT, shown(says("1"))), "the first cell is no title"),
        (small(TITLE, shown(says("1")), kernelspec={**PYTHON3, "name": "my-venv"}), "the kernel is not python3"),
        (small(TITLE, shown(says("1")), shown(says("2"), count=2, id="99-02")), "no text announces 99-02"),
        (small(TITLE, shown(says("1"), metadata={"execution": {"iopub.status.busy": "now"}})), "99-01 has timestamps"),
        (small(TITLE, shown(says("1"), count=None)), "the cells were not run once, in order"),
        (small(TITLE, shown(says("1"), count=7)), "the cells were not run once, in order"),
        (small(TITLE, shown()), "no outputs are stored"),
        (small(TITLE, shown(new_output("error", ename="E", evalue="", traceback=[]))), "99-01 ends in an error"),
        (small(TITLE, shown(says("careful", name="stderr"))), "99-01 warns"),
        (small(TITLE, shown(says("in /srv/me/lib.py:3"))), "99-01 shows the path /srv/me/lib.py"),
        (small(TITLE, shown(says("in C:\\Users"))), "99-01 shows the path C:\\U"),
        (small(TITLE, shown(table("<td>/opt/x/y</td>"))), "99-01 shows the path /opt/x/y"),
        (small(TITLE, shown(picture())), "99-01 shows a picture without words"),
    ],
)
def test_each_rule_fires(notebook, rule):
    assert broken_rules(notebook) == [rule]


@pytest.mark.parametrize("text", ["1/(2s²)", "u²/2/3", "<b>1</b><i>2</i>", "https://example.org/a/b", "a / (2 * n)"])
def test_arithmetic_tags_and_addresses_are_no_paths(text):
    assert broken_rules(small(TITLE, shown(says(text)))) == []


def test_answers_are_run(tmp_path):
    text = "1. Why?\n<details><summary>Answer</summary>\n\n```python\nassert x == 2, 'folded'\n```\n</details>"
    notebook = small(TITLE, new_code_cell("x = 1"), new_markdown_cell(text))
    with pytest.raises(CellExecutionError, match="folded"):
        run(notebook, tmp_path)
    notebook.cells[1].source = "x = 2"
    assert len(run(notebook, tmp_path).cells) == 3


def main():
    """Run notebooks and store their fresh outputs."""
    for path in map(Path, sys.argv[1:]) if sys.argv[1:] else NOTEBOOKS:
        with tempfile.TemporaryDirectory() as folder:
            nbformat.write(run(nbformat.read(path, as_version=4), folder), path)


if __name__ == "__main__":
    main()
