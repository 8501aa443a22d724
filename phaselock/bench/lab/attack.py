"""Attacks on a session, from a process of their own (attack_process.py): this module starts it, directs it and ends it.

The attackers come from addresses of their own.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from typing import Any, Self

from phaselock.bench.lab.json_process import JsonProcess
from phaselock.errors import PhaseLockError
from phaselock.frozen import frozen

MALICIOUS_HOST = "host"
LOOPBACK_ATTACKERS = tuple(f"127.66.0.{number}" for number in range(1, 9))
"""Addresses that every program of a Linux machine may use."""
ATTACKS: Mapping[str, str] = {
    "silent": "500 silent connections",
    "joins": "1,000 joins a second",
    "slow": "slow readers",
    "requests": "request floods of a member",
    "pings": "100,000 forged pings a second",
    MALICIOUS_HOST: "a malicious host at a peer",
}
"""What each kind of attack is."""


@frozen
class Target:
    """The host that is attacked, and a member of it in whose name clock pings are forged, at the member's address.
    `attackers` are the addresses of the attackers."""

    ip: str
    port: int
    clock_port: int
    member_ip: str
    member_id: int
    attackers: Sequence[str] = LOOPBACK_ATTACKERS


class Attack:
    """A process that is ready to attack, as a context manager. Raise PhaseLockError if it does not start."""

    def __init__(self, kind: str, target: Target) -> None:
        self._config = {"kind": kind, "target": dataclasses.asdict(target)}
        self._process: JsonProcess | None = None
        self.port = 0
        """Where a malicious host listens."""

    def __enter__(self) -> Self:
        self._process = JsonProcess("phaselock.bench.lab.attack_process")
        try:
            self._process.tell(json.dumps(self._config))
            self.port = int(self._answer()["port"])
        except BaseException:
            self._process.end()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process
        self._process.end()

    def begin(self) -> None:
        """Attack from now on."""
        assert self._process
        self._process.tell("begin")

    def end(self) -> dict[str, float]:
        """End the attack. Return how often each thing was done, and `seconds`, the time that the attack took."""
        assert self._process
        self._process.tell("end")
        return {name: float(count) for name, count in self._answer().items()}

    def _answer(self) -> dict[str, Any]:
        assert self._process
        if not (answer := self._process.answer()):
            raise PhaseLockError("The attacking process has ended too soon.")
        return answer
