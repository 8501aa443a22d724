"""A machine in a simulated session that sends what a test says, and nothing else."""

from __future__ import annotations

import dataclasses
from typing import Any

from phaselock.protocol import messages as m
from phaselock.session import effects as e
from tests.support.session_harness import SessionHarness
from tests.support.simulation import returning

REPORT = m.PeerStatus(
    phase_error_ns=0,
    offset_uncertainty_ns=0,
    dac_deviation_ns=0,
    dac_uncertainty_ns=0,
    timing="exact",
    drift_ppb=0,
    rtt_ns=0,
    output_latency_ns=0,
    device_name="card",
    underruns=0,
    clock_usable=True,
    clock_stale=False,
    room_bytes=1 << 30,
)


class RawMember:
    """It has asked to join; `rejected` says why it may not. `before`: it proves that it was this member."""

    def __init__(self, harness: SessionHarness, name: str, ip: str, before: m.JoinAccepted | None = None) -> None:
        self._harness = harness
        self.conn = harness.open_connection(ip)
        if before is None:
            self.say(m.JoinRequest(name, m.PROTOCOL_VERSION))
        else:
            self.say(returning(name, before.peer_id, before.token))

    def say(self, message: m.Message) -> None:
        self._harness.host.receive(self.conn, message)

    def report(self, **changes: Any) -> None:
        self.say(dataclasses.replace(REPORT, **changes))

    def told(self, kind: type) -> list:
        """The messages of that kind that the host has sent to it."""
        sent = (one for one in self._harness.host.of(e.Send) if one.conn == self.conn)
        return [one.message for one in sent if isinstance(one.message, kind)]

    @property
    def accepted(self) -> m.JoinAccepted | None:
        return next(iter(self.told(m.JoinAccepted)), None)

    @property
    def rejected(self) -> str | None:
        return next((message.reason for message in self.told(m.JoinRejected)), None)

    @property
    def is_closed(self) -> bool:
        """The host has closed its connection."""
        return any(one.conn == self.conn for one in self._harness.host.of(e.Close))

    def leave(self) -> None:
        if self.accepted is not None:
            self.say(m.LeaveSession(self.accepted.peer_id))
