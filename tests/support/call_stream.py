"""A call: a constant stream of 1 Mbit/s between two machines, and how late and how complete it arrives.

`python -m tests.support.call_stream hear PORT` prints "ready", and at the end of the stream each packet as JSON:
[number, sent, delay], in ns of the monotonic clock, which all simulated machines share.
`python -m tests.support.call_stream speak ADDRESS PORT SECONDS` sends the stream.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import pathlib
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Sequence
from typing import Self

ROOT = pathlib.Path(__file__).parent.parent.parent
PACKET = struct.Struct("<Iq")
BYTES, EVERY_NS = 1222, 10_000_000
"""With the headers of UDP and IP 1250 bytes: 1 Mbit/s."""
SILENCE_S = 3.0
"""The stream has ended when nothing comes for this time."""


@dataclasses.dataclass(frozen=True, slots=True)
class Heard:
    """A part of the call."""

    sent: int
    delays_ns: Sequence[int]
    """Of the packets that arrived, in ascending order."""

    @property
    def lost(self) -> int:
        return self.sent - len(self.delays_ns)

    def delay_ms(self, part: float) -> float:
        """The quantile of the delays: `part` of the packets were not later."""
        return self.delays_ns[int(part * (len(self.delays_ns) - 1))] / 1e6


class Call:
    """A call of `seconds`, as a context manager. `speaker` and `hearer` are commands that run on the machines."""

    def __init__(self, speaker: Sequence[str], hearer: Sequence[str], address: str, port: int, seconds: float) -> None:
        module = [sys.executable, "-m", "tests.support.call_stream"]
        self._hear = [*hearer, *module, "hear", str(port)]
        self._speak = [*speaker, *module, "speak", address, str(port), str(seconds)]
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> Self:
        self._hearing = subprocess.Popen(self._hear, cwd=ROOT, stdout=subprocess.PIPE, text=True)
        self._stack.callback(self._hearing.kill)
        assert self._hearing.stdout and self._hearing.stdout.readline() == "ready\n"
        speaking = subprocess.Popen(self._speak, cwd=ROOT)
        self._stack.callback(speaking.wait)
        self._stack.callback(speaking.kill)
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()
        self._hearing.communicate()

    def end(self) -> list[tuple[int, int, int]]:
        """Wait for the end of the call and return (number, time of sending, delay) of all packets that arrived."""
        text, _ = self._hearing.communicate(timeout=120)
        return [(number, sent_ns, delay_ns) for number, sent_ns, delay_ns in json.loads(text)]


def part(packets: Sequence[tuple[int, int, int]], from_ns: int, until_ns: int) -> Heard:
    """What was sent in this time."""
    first_ns = min(sent_ns - number * EVERY_NS for number, sent_ns, _ in packets)
    numbers = range(-(-(from_ns - first_ns) // EVERY_NS), (until_ns - first_ns) // EVERY_NS)
    return Heard(len(numbers), sorted(delay_ns for number, _, delay_ns in packets if number in numbers))


def hear(port: int) -> None:
    packets = []
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("0.0.0.0", port))
        print("ready", flush=True)
        with contextlib.suppress(TimeoutError):
            while True:
                data = sock.recv(2048)
                now_ns = time.monotonic_ns()
                sock.settimeout(SILENCE_S)
                number, sent_ns = PACKET.unpack_from(data)
                packets.append((number, sent_ns, now_ns - sent_ns))
    print(json.dumps(packets))


def speak(address: str, port: int, seconds: float) -> None:
    begin_ns = time.monotonic_ns()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        for number in range(round(seconds * 1e9 / EVERY_NS)):
            time.sleep(max(0, begin_ns + number * EVERY_NS - time.monotonic_ns()) / 1e9)
            sock.sendto(PACKET.pack(number, time.monotonic_ns()).ljust(BYTES), (address, port))


if __name__ == "__main__":
    with contextlib.suppress(OSError):
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))  # so that a busy machine does not seem a busy link
    if sys.argv[1] == "hear":
        hear(int(sys.argv[2]))
    else:
        speak(sys.argv[2], int(sys.argv[3]), float(sys.argv[4]))
