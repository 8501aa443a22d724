"""Attacks on a session, from a process of their own (attack_process.py): this module starts it, directs it and ends it.

The attackers come from addresses of their own, 127.66.0.x, which every program of a Linux machine may use.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import subprocess
import types
from collections.abc import Mapping
from typing import Any, Self

from phaselock.errors import PhaseLockError
from phaselock.python_process import environment, python_command

TIMEOUT_S = 5.0
"""Limit for the process to end."""
MALICIOUS_HOST = "host"
ATTACKS: Mapping[str, str] = {
    "silent": "500 silent connections",
    "joins": "1,000 joins a second",
    "slow": "slow readers",
    "requests": "request floods of a member",
    "pings": "100,000 forged pings a second",
    MALICIOUS_HOST: "a malicious host at a peer",
}
"""What each kind of attack is."""


@dataclasses.dataclass(frozen=True, slots=True)
class Target:
    """The host that is attacked, and a member of it in whose name clock pings are forged, at the member's address."""

    ip: str
    port: int
    clock_port: int
    member_ip: str
    member_id: int


class Attack:
    """A process that is ready to attack, as a context manager. Raise PhaseLockError if it does not start."""

    def __init__(self, kind: str, target: Target) -> None:
        self._config = {"kind": kind, "target": dataclasses.asdict(target)}
        self._process: subprocess.Popen[str] | None = None
        self.port = 0
        """Where a malicious host listens."""

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            python_command("-P", "-m", "phaselock.bench.lab.attack_process"),
            env=environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            encoding="utf-8",
        )
        try:
            self._tell(json.dumps(self._config))
            self.port = int(self._read()["port"])
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
        finally:
            process.kill()
            process.wait()
            process.stdout.close()

    def begin(self) -> None:
        """Attack from now on."""
        self._tell("begin")

    def end(self) -> dict[str, float]:
        """End the attack. Return how often each thing was done, and `seconds`, the time that the attack took."""
        self._tell("end")
        return {name: float(count) for name, count in self._read().items()}

    def _tell(self, line: str) -> None:
        assert self._process and self._process.stdin
        with contextlib.suppress(OSError):  # `_read` reports that the process has ended
            self._process.stdin.write(line + "\n")
            self._process.stdin.flush()

    def _read(self) -> dict[str, Any]:
        assert self._process and self._process.stdout
        line = self._process.stdout.readline()
        if not line:
            raise PhaseLockError("The attacking process has ended too soon.")
        found: dict[str, Any] = json.loads(line)
        return found
