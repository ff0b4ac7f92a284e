"""What a release consists of: one version, a changelog, a citation, the rule by which names are retired."""

import re
import tomllib
from importlib.metadata import metadata
from pathlib import Path

import pytest
import yaml

import bayesnn as bnn

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
VERSION = PROJECT["version"]
CHANGELOG = (ROOT / ".github" / "CHANGELOG.md").read_text(encoding="utf-8")
CITATION = (ROOT / ".github" / "CITATION.cff").read_text(encoding="utf-8")
README = (ROOT / "README.md").read_text(encoding="utf-8")
KINDS = {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}


def written(text):
    """Whether a text writes this version out."""
    return re.search(rf"(?<![\d.]){re.escape(VERSION)}(?![\d.]*\d)", text) is not None


def test_the_version_is_written_in_one_place():
    assert bnn.__version__ == metadata(PROJECT["name"])["Version"] == VERSION, "install the checkout again"
    sources = [*(ROOT / "bayesnn").rglob("*.py*"), *ROOT.glob("notebooks/*.*"), *(ROOT / ".ci").iterdir()]
    read = [path for path in sources if path.suffix in ("", ".py", ".pyi", ".md", ".ipynb")]
    assert len(read) > 150
    # A pair such as -0.1.0 in printed numbers is no version.
    assert [path.name for path in read if written(path.read_text(encoding="utf-8"))] == []
    assert not written(README)
    assert written(f'version = "{VERSION}"')
    assert not written(f"{VERSION}.1 or 1{VERSION}")


def headings(text):
    """Versions of a changelog with their dates, the newest first."""
    return re.findall(r"^## \[(\d+\.\d+\.\d+)\] - (\d{4}-\d\d-\d\d|unreleased)$", text, flags=re.M)


def faults(text, version):
    """What a changelog lacks."""
    found = headings(text)
    numbers = [tuple(map(int, number.split("."))) for number, _ in found]
    if text.count("\n## ") != len(found):
        yield "a heading that is not [version] - date"
    if not found or found[0][0] != version:
        yield f"the newest heading is not {version}"
    if numbers != sorted(numbers, reverse=True):
        yield "versions out of order"
    if any(date == "unreleased" for _, date in found[1:]):
        yield "only the newest is unreleased"
    if not set(re.findall(r"^### (.+)$", text, flags=re.M)) <= KINDS:
        yield "a kind of change that Keep a Changelog does not have"


def test_the_newest_entry_of_the_changelog_is_this_version():
    assert list(faults(CHANGELOG, VERSION)) == []


@pytest.mark.parametrize(
    ("text", "what"),
    [
        (CHANGELOG.replace(f"## [{VERSION}]", "## [0.0.9]"), "newest heading"),
        (CHANGELOG.replace("### Added", "### News"), "a kind of change"),
        (CHANGELOG + "\n## 0.0.9\n", "a heading"),
        (CHANGELOG + "\n## [9.0.0] - 2026-01-01\n", "out of order"),
        (CHANGELOG + "\n## [0.0.1] - unreleased\n", "only the newest"),
    ],
)
def test_a_changelog_that_is_wrong_is_noticed(text, what):
    assert any(what in fault for fault in faults(text, VERSION))


def test_names_in_the_changelog_exist():
    names = set(re.findall(r"`([a-z]\w+|[A-Z]\w+)`", CHANGELOG)) - {"bayesnn"}
    assert len(names) > 20
    assert {name for name in names if not hasattr(bnn, name)} == set()


def uncitable(text):
    """What a citation lacks of what CFF 1.2.0 wants."""
    found = yaml.safe_load(text)
    if missing := {"cff-version", "message", "title", "authors"} - set(found):
        yield f"without {sorted(missing)}"
        return
    if str(found["cff-version"]) != "1.2.0":
        yield "another version of the format"
    if not all("name" in one or {"family-names", "given-names"} & set(one) for one in found["authors"]):
        yield "an author without a name"
    if found.get("type", "software") not in ("software", "dataset"):
        yield "another type"
    if str(found.get("version")) != VERSION:
        yield "another version of the package"
    if found.get("license") != PROJECT["license"]:
        yield "another licence"


def test_the_citation_is_whole_and_of_this_version():
    assert list(uncitable(CITATION)) == []
    title = yaml.safe_load(CITATION)["title"]
    assert f"title = {{{title}}}" in README
    for author in yaml.safe_load(CITATION)["authors"]:
        assert author["name"] in README
        assert author["name"] in {one["name"] for one in PROJECT["authors"]}


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("message:", "words:"),
        ("cff-version: 1.2.0", "cff-version: 1.1"),
        (f"version: {VERSION}\nlicense", "version: 9.9.9\nlicense"),
        ("  - name:", "  - alias:"),
        ("type: software", "type: book"),
        ("Apache-2.0", "MIT"),
    ],
)
def test_a_citation_that_is_wrong_is_noticed(old, new):
    assert old in CITATION
    assert list(uncitable(CITATION.replace(old, new, 1)))
