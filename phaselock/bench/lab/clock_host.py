"""A process that runs only a host's clock, at another rate than the clock of this machine.

`ClockHost` starts `python -m phaselock.bench.lab.clock_host PEER_IP SKEW_PPM AHEAD_NS`. The process writes its UDP
port, then one pair of clock readings for each line of its standard input. It ends when its standard input ends.
"""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import time
from typing import Self

from phaselock import _native
from phaselock.errors import PhaseLockError
from phaselock.python_process import environment, python_command
from phaselock.sync.clock import HostClock

PEER_ID, CLOCK_KEY = 1, bytes(range(16))
_READINGS = 200
"""The closest of this many pairs of readings is used."""


def compare_ns() -> tuple[int, int]:
    """(this machine's clock, this process's clock) at one instant, to less than a microsecond: the pair read in the
    shortest time."""
    readings = []
    for _ in range(_READINGS):
        before_ns, shown_ns, after_ns = time.perf_counter_ns(), _native.now_ns(), time.perf_counter_ns()
        readings.append((after_ns - before_ns, (before_ns + after_ns) // 2, shown_ns))
    return min(readings)[1:]


class ClockHost:
    """The running process, as a context manager. Raise PhaseLockError if it does not start."""

    def __init__(self, peer_ip: str, skew_ppm: float, ahead_ns: int) -> None:
        self._arguments = [peer_ip, str(skew_ppm), str(ahead_ns)]
        self._process: subprocess.Popen[str] | None = None
        self.port = 0

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            python_command("-P", "-m", "phaselock.bench.lab.clock_host", *self._arguments),
            env=environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            encoding="utf-8",
        )
        try:
            (self.port,) = self._read(1)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process
        with self._process as process:
            process.kill()

    @property
    def pid(self) -> int:
        """The id of the process."""
        assert self._process
        return self._process.pid

    def compare_ns(self) -> tuple[int, int]:
        """(this machine's clock, the host's clock) at one instant. Raise PhaseLockError if the process has ended."""
        assert self._process and self._process.stdin
        try:
            self._process.stdin.write("\n")
            self._process.stdin.flush()
        except OSError:
            raise PhaseLockError("The clock host has ended.") from None
        machine_ns, shown_ns = self._read(2)
        return machine_ns, shown_ns

    def _read(self, count: int) -> list[int]:
        assert self._process and self._process.stdout
        words = self._process.stdout.readline().split()
        if len(words) != count:
            raise PhaseLockError("The clock host did not start.")
        return [int(word) for word in words]


def main() -> None:
    """The body of the process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent ends it
    peer_ip, skew_ppm, ahead_ns = sys.argv[1:]
    _native.set_clock_skew(float(skew_ppm), int(ahead_ns))
    bound = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    bound.bind(("127.0.0.1", 0))
    port = bound.getsockname()[1]
    clock = HostClock(bound)
    clock.allow(PEER_ID, peer_ip, CLOCK_KEY)
    print(port, flush=True)
    for _ in sys.stdin:
        print(*compare_ns(), flush=True)
    clock.close()


if __name__ == "__main__":
    main()
