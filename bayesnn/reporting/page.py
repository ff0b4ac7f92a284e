"""The report: one page that holds question, answer, data, network, fits, pictures, verdict and how to repeat it all."""

import html
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bayesnn.data import Dataset
from bayesnn.diagnostics import Diagnosis, NetworkComparison
from bayesnn.files import written_whole
from bayesnn.reporting.subject import Subject, subject_of
from bayesnn.tree import Fits

if TYPE_CHECKING:
    import xarray as xr

FOLDER = Path(__file__).parent


@dataclass(frozen=True, repr=False)
class Report:
    """What `report` returns: the page, and the answer in words.

    Parameters
    ----------
    title : str
        Title of the page.
    question : str
        What was asked.
    answer : tuple of str
        The answer in three sentences.
    steps : tuple of (str, str)
        What to do next, and why.
    html : str
        The page, which holds its pictures and loads nothing.
    """

    title: str
    question: str
    answer: tuple[str, ...]
    steps: tuple[tuple[str, str], ...]
    html: str

    def save(self, path: str | Path) -> Path:
        """Write the page to a file.

        Parameters
        ----------
        path : path
            The file; its folder is made where it is missing.

        Returns
        -------
        pathlib.Path
            The file.

        Raises
        ------
        FileError
            A file that can't be written.
        """
        file = Path(path)
        with written_whole(file) as part:
            part.write_text(self.html, encoding="utf-8")
        return file

    def __repr__(self):
        """Give the answer in words."""
        return "\n".join([self.title, *self.answer, f"({len(self.html) // 1000:,} kB of HTML; .save(path) writes it)"])

    def _repr_html_(self):
        """Show the page in Jupyter, in a frame that keeps its styles to itself."""
        page = html.escape(self.html, quote=True)
        look = "width:100%;height:80vh;border:0"
        return f'<iframe srcdoc="{page}" title="{html.escape(self.title)}" style="{look}"></iframe>'


def report(
    *fits: Fits,
    data: Dataset | None = None,
    networks: NetworkComparison | None = None,
    verdict: Diagnosis | None = None,
    command: str = "",
    path: str | Path | None = None,
    **named: "xr.DataTree",
) -> Report:
    """Write one page that holds an analysis, to read, print and hand out.

    It says what was asked and what the answer is, in sentences made of the numbers; shows data, network, the loss as a
    likelihood and the penalty as a prior; the fits in a table and in pictures; what became of the starts, the symmetric
    copies, the modes of the function and their shares; the verdict on the chains; the evidence, where it was computed;
    how much the prior decides; what to do next; and how to repeat it. The page is one file without scripts that loads
    nothing, for screens of any width, dark ones too, for paper and for screen readers.

    Parameters
    ----------
    *fits : xarray.DataTree
        From `fit_mle`, `fit_map`, `fit_posterior`, of one network and the same data: any of them, or a list of them, or
        a dict from names to fits. Of MLE and MAP at most one each; of posteriors several, such as chains of NUTS and a
        tempered fit, which then judges them.
    data : Dataset, optional
        What was fitted: it brings names, a description and held-out rows.
    networks : NetworkComparison, optional
        From `compare_networks`: Occam's razor.
    verdict : Diagnosis, optional
        From `diagnose`, of the posterior; None finds it.
    command : str
        What was typed on a command line, for who wants to repeat it.
    path : path, optional
        Where to write the page; None does not.
    **named : xarray.DataTree
        Fits with their names.

    Returns
    -------
    Report
        With ``.html``, ``.answer``, ``.steps`` and ``.save(path)``; a notebook shows the page.

    Raises
    ------
    SpecError
        No fits, two MLEs or MAPs, fits of different networks or data, or a path that can't be written.
    FitError
        Something else than a fit.
    DataError
        A Dataset with other rows than those of the fits.

    See Also
    --------
    compare : The table alone.
    diagnose : The verdict alone.

    Examples
    --------
    >>> import bayesnn as bnn
    >>> line = bnn.MLP(hidden=(), noise=0.3)
    >>> X, y = [-2, -1, 0, 1, 2], [-1.1, -0.7, 0.1, 0.8, 1.0]
    >>> mle = bnn.fit_mle(line, X, y, restarts=2, random_seed=1, progressbar=False)
    >>> map_ = bnn.fit_map(line, X, y, restarts=2, random_seed=1, progressbar=False)
    >>> page = bnn.report(mle, map_)
    >>> page.answer[1]
    'The prior makes the MAP give up 0.00 nats of log-likelihood and shrinks the weights from length 0.5704 to 0.5653.'
    """
    subject = subject_of(fits, named, data=data, networks=networks, verdict=verdict, command=command)
    page = _page(subject)
    if path is not None:
        page.save(path)
    return page


def _page(subject: Subject) -> Report:
    """Fill the template."""
    import jinja2
    from markupsafe import Markup

    import bayesnn
    from bayesnn.reporting.answers import sections_of
    from bayesnn.reporting.closing import next_section, repeat_section, words_section
    from bayesnn.reporting.question import data_section, likelihood_section, network_section
    from bayesnn.reporting.sentences import next_steps, question, three_sentences

    name = subject.data.name if subject.data is not None else subject.target
    count = {1: "one answer", 2: "two answers"}.get(len(subject.three), "three answers")
    said: dict[str, Any] = {
        "title": f"{name}: {count}",
        "question": question(subject),
        "answer": three_sentences(subject),
        "trusted": subject.verdict is None or subject.verdict.trustworthy,
    }
    sections = [
        *(make(subject) for make in (data_section, network_section, likelihood_section)),
        *sections_of(subject),
        *(make(subject) for make in (next_section, repeat_section, words_section)),
    ]
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(FOLDER),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["markup"] = Markup
    text = environment.get_template("page.html").render(
        **said,
        sections=sections,
        css=Markup((FOLDER / "page.css").read_text(encoding="utf-8")),
        version=bayesnn.__version__,
        written=f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
    )
    return Report(said["title"], said["question"], tuple(said["answer"]), tuple(next_steps(subject)), text)
