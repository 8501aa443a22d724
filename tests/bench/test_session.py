"""A running session of the lab waits for what its machines tell."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from phaselock.bench.lab.session import RunningSession
from phaselock.errors import PhaseLockError


def session(*told: dict[str, Any]) -> RunningSession:
    """A session of a host and two peers. The host tells these events only."""
    host, events = SimpleNamespace(name="host"), list(told)
    programs: Any = SimpleNamespace(hear=lambda _deadline_s: (host, events.pop(0)) if events else None)
    parts: Any = (host, [SimpleNamespace(name="a"), SimpleNamespace(name="b")], programs, None)
    return RunningSession(*parts)


def sync_of(name: str, files_ready: int, clock: str = "good") -> dict[str, Any]:
    return {"event": "peer_sync", "name": name, "files_ready": files_ready, "clock": clock}


def test_a_peer_is_ready_when_the_host_says_so() -> None:
    early = [{"event": "file_ready"}, sync_of("Ana", 2), sync_of("Ben", 1), sync_of("Ben", 2, "fair")]
    with pytest.raises(PhaseLockError, match=r"1 of 2 peers were ready in time\."):
        session(*early).wait_until_ready(2, 1.0)
    ready = session(*early, sync_of("Ben", 2), sync_of("Ana", 2))
    ready.wait_until_ready(2, 1.0)
    assert ready.programs.hear(0.0) is not None  # it went on at once
