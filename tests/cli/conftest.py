"""The command line, called in this process."""

import sys
import warnings

import pytest

import bayesnn as bnn
from bayesnn import cli


@pytest.fixture
def run(monkeypatch, capsys):
    """Run the command line in this process: exit code, standard output, standard error."""
    monkeypatch.setenv("COLUMNS", "200")

    def call(*words):
        monkeypatch.setattr(sys, "argv", ["bayesnn", *map(str, words)])
        with warnings.catch_warnings():
            warnings.simplefilter("always", bnn.errors.ConvergenceWarning)
            with pytest.raises(SystemExit) as ended:
                cli.main()
        shown = capsys.readouterr()
        return ended.value.code or 0, shown.out, shown.err

    return call
