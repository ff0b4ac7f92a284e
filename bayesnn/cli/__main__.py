"""``python -m bayesnn.cli``."""

from bayesnn.cli import main

main()
