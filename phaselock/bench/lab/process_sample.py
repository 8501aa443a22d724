"""What Linux's /proc says about a process: memory, processor time, threads and open files."""

from __future__ import annotations

import collections
import contextlib
import os
import pathlib
import sys
import time

from phaselock.errors import PhaseLockError
from phaselock.frozen import frozen


@frozen
class ProcessSample:
    """What the system reports of a process at one moment."""

    at_s: float
    cpu_s: float
    """Processor time since the process started."""
    threads: int
    rss_bytes: int
    pss_bytes: int
    """Resident memory, with the part of it that is shared divided by the number of those who share it."""
    uss_bytes: int
    """Private memory: it would be free without this process."""
    descriptors: int
    """Open files and sockets."""
    wakes: int = 0
    """How often its present threads have waited for something and then run again: voluntary context switches."""


def is_measurable() -> bool:
    """True if this system can sample processes."""
    return sys.platform == "linux"


def sample_process(pid: int) -> ProcessSample:
    """Sample a process of this user. Linux only. Raise PhaseLockError if the process has ended."""
    try:
        stat = pathlib.Path(f"/proc/{pid}/stat").read_text("ascii", "replace")
        rollup = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text("ascii")
        descriptors = len(os.listdir(f"/proc/{pid}/fd"))
        wakes = sum(_wakes(path) for path in pathlib.Path(f"/proc/{pid}/task").glob("*/status"))
    except OSError as error:
        raise PhaseLockError(f"A measured program cannot be sampled: {error.strerror}.") from None
    fields = stat.rpartition(")")[2].split()  # from the third field on: the second is a name with any character
    memory = collections.defaultdict[str, int](int)
    for line in rollup.splitlines()[1:]:
        name, _, size = line.partition(":")
        memory[name] += int(size.split()[0]) * 1024
    cpu_s = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    private = memory["Private_Clean"] + memory["Private_Dirty"]
    return ProcessSample(
        time.monotonic(), cpu_s, int(fields[17]), memory["Rss"], memory["Pss"], private, descriptors, wakes
    )


def _wakes(status: pathlib.Path) -> int:
    """Of one thread; 0 if it has ended."""
    with contextlib.suppress(OSError):
        for line in status.read_text("ascii", "replace").splitlines():
            if line.startswith("voluntary_ctxt_switches:"):
                return int(line.split()[1])
    return 0
