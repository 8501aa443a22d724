"""A bad network in user space: a relay between a host and up to five peers that delays, jitters, limits and loses.

It needs no root. The host listens on the loopback; peer k joins at 127.0.0.(2+k) instead, the same ports, where the
relay listens, and what the relay passes on comes from that very address, so that to the host each peer is a machine of
its own. The law is that of links.py, the process that keeps it is relaying.py; here is who starts and ends it.
"""

from __future__ import annotations

import contextlib
import dataclasses
import ipaddress
import json
import subprocess
import sys
import types
from collections.abc import Sequence
from typing import Any, Self

from phaselock.bench.lab.links import Link
from phaselock.errors import PhaseLockError
from phaselock.tools.processes import environment

MAX_PEERS = 5
TIMEOUT_S = 5.0


def peer_ip(k: int) -> str:
    """Where peer k (from 0) finds the host."""
    return f"127.0.0.{2 + k}"


@dataclasses.dataclass(frozen=True, slots=True)
class Plan:
    """What a relay is told. PhaseLockError for nonsense."""

    host_ip: str
    port: int
    clock_port: int
    host_link: Link
    peer_links: tuple[Link, ...]
    seed: int

    def __post_init__(self) -> None:
        if not 1 <= len(self.peer_links) <= MAX_PEERS:
            raise PhaseLockError(f"The relay serves 1 to {MAX_PEERS} peers, not {len(self.peer_links)}.")
        try:
            address = ipaddress.IPv4Address(self.host_ip)
        except ValueError:
            address = ipaddress.IPv4Address(0)
        taken = [peer_ip(k) for k in range(len(self.peer_links))]
        if not address.is_loopback or self.host_ip in taken:
            raise PhaseLockError(f"The relay reaches a host on 127.0.0.1, not on {self.host_ip}.")
        for port in (self.port, self.clock_port):
            if not isinstance(port, int) or not 0 < port < 65536:
                raise PhaseLockError(f"{port!r} is no port.")

    def line(self) -> str:
        """As one line of JSON."""
        return json.dumps(dataclasses.asdict(self))

    @classmethod
    def read(cls, line: bytes) -> Plan:
        """The plan of such a line."""
        try:
            fields = json.loads(line)
            links = tuple(Link(**link) for link in fields.pop("peer_links"))
            return cls(host_link=Link(**fields.pop("host_link")), peer_links=links, **fields)
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
            raise PhaseLockError("This is no plan of a relay.") from None


class Relay:
    """A running relay, as a context manager. PhaseLockError when it cannot be."""

    def __init__(
        self, host_ip: str, port: int, clock_port: int, host_link: Link, peer_links: Sequence[Link], seed: int
    ) -> None:
        self.summary: dict[str, Any] = {}
        """After its end: how many datagrams it `passed` and how many are `lost`, and how much later than the law says
        it passed them on: percentiles `late_us`."""
        self._plan = Plan(host_ip, port, clock_port, host_link, tuple(peer_links), seed)
        self._process: subprocess.Popen[str] | None = None

    def address(self, k: int) -> str:
        """Where peer k, from 0, joins: address:port."""
        if not 0 <= k < len(self._plan.peer_links):
            raise IndexError(k)
        return f"{peer_ip(k)}:{self._plan.port}"

    @property
    def pid(self) -> int:
        """Of the process."""
        assert self._process
        return self._process.pid

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "phaselock.bench.lab.relay_process"],
            env=environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            encoding="utf-8",
        )
        try:
            assert self._process.stdin
            with contextlib.suppress(BrokenPipeError):
                self._process.stdin.write(self._plan.line() + "\n")
                self._process.stdin.flush()
            said = self._hear()
            if "ready" not in said:
                raise PhaseLockError(str(said.get("error", "The relay did not start.")))
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: types.TracebackType | None
    ) -> None:
        process, self._process = self._process, None
        assert process and process.stdin and process.stdout
        with contextlib.suppress(OSError):
            process.stdin.close()
        try:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(TIMEOUT_S)
                self.summary = _object(process.stdout.readline())
        finally:
            process.kill()
            process.wait()
            process.stdout.close()

    def _hear(self) -> dict[str, Any]:
        assert self._process and self._process.stdout
        return _object(self._process.stdout.readline())


def _object(line: str) -> dict[str, Any]:
    try:
        value = json.loads(line)
    except ValueError:
        value = None
    return value if isinstance(value, dict) else {}
