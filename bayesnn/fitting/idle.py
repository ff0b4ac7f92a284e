"""Cores that nothing else runs on: a thread that has to wait for one makes an evaluation slower, not faster."""

import os
from pathlib import Path


def idle_cores() -> int:
    """Count the cores that are free for threads of one evaluation.

    Returns
    -------
    int
        At least one, which is the caller's own; all of them where the system does not say what it is running.
    """
    from bayesnn.ops.threads import cores

    others = _running() - 1
    return max(1, min(cores(), (os.cpu_count() or 1) - max(others, 0)))


def _running():
    """Threads that run or could run at this moment, the caller included."""
    try:
        return int(Path("/proc/loadavg").read_text().split()[3].partition("/")[0])
    except (OSError, ValueError, IndexError):
        return 1
