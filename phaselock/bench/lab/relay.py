"""An impaired network in user space: a relay between a host and its peers that delays, jitters, limits and
loses.

It needs no root. The host listens on 127.0.0.1. Peer k joins at 127.0.0.(2+k) and the same ports, where the relay
listens. The relay passes its packets on from that address, so that each peer looks like a separate machine to the host.
The model of the network is links.py. The process is relay_process.py; this module starts and ends it.
"""

from __future__ import annotations

import dataclasses
import ipaddress
import json
from collections.abc import Sequence
from typing import Any, Self

from phaselock.bench.lab.json_process import JsonProcess
from phaselock.bench.lab.links import Link
from phaselock.errors import PhaseLockError
from phaselock.frozen import frozen
from phaselock.model.group import MAX_PEERS


def peer_ip(k: int) -> str:
    """The address at which peer k, counted from 0, finds the host."""
    return f"127.0.0.{2 + k}"


@frozen
class RelayConfig:
    """The configuration of a relay. Raise PhaseLockError for values that are out of range."""

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
                raise PhaseLockError(f"{port!r} is not a port.")

    def to_json(self) -> str:
        """The configuration as one line of JSON."""
        return json.dumps(dataclasses.asdict(self))

    @classmethod
    def from_json(cls, line: bytes) -> RelayConfig:
        """Read the result of `to_json`. Raise PhaseLockError for anything else."""
        try:
            fields = json.loads(line)
            links = tuple(Link(**link) for link in fields.pop("peer_links"))
            return cls(host_link=Link(**fields.pop("host_link")), peer_links=links, **fields)
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
            raise PhaseLockError("This is not the configuration of a relay.") from None


class Relay:
    """A running relay, as a context manager. Raise PhaseLockError if it cannot start."""

    def __init__(
        self, host_ip: str, port: int, clock_port: int, host_link: Link, peer_links: Sequence[Link], seed: int
    ) -> None:
        self.summary: dict[str, Any] = {}
        """After its end: the number of datagrams that were `passed` on and that are `lost`, and percentiles `late_us`
        of how much later than the model datagrams left."""
        self._config = RelayConfig(host_ip, port, clock_port, host_link, tuple(peer_links), seed)
        self._process: JsonProcess | None = None

    def address(self, k: int) -> str:
        """The address and port at which peer k, counted from 0, joins."""
        if not 0 <= k < len(self._config.peer_links):
            raise IndexError(k)
        return f"{peer_ip(k)}:{self._config.port}"

    @property
    def host_place(self) -> tuple[str, int, int]:
        """Where the host listens: address, TCP port and UDP port of its clock."""
        return self._config.host_ip, self._config.port, self._config.clock_port

    @property
    def pid(self) -> int:
        """The id of the process."""
        assert self._process
        return self._process.pid

    def __enter__(self) -> Self:
        self._process = JsonProcess("phaselock.bench.lab.relay_process")
        try:
            self._process.tell(self._config.to_json())
            answer = self._process.answer()
            if "ready" not in answer:
                raise PhaseLockError(str(answer.get("error", "The relay did not start.")))
        except BaseException:
            self._process.end()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process
        self.summary = self._process.end()
