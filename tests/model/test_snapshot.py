from __future__ import annotations

import pytest

from phaselock.model.snapshot import LatencyClass
from phaselock.protocol import messages as m
from tests.support.session_harness import ReportedOutput, SessionHarness
from tests.support.simulation import MS


@pytest.mark.parametrize(
    ("one_way_ms", "latency_class"),
    [
        (0.1, LatencyClass.GREEN),
        (9.9, LatencyClass.GREEN),
        (10, LatencyClass.YELLOW),
        (100, LatencyClass.YELLOW),
        (101, LatencyClass.RED),
    ],
)
def test_the_latency_class_of_a_peer_follows_its_latency(one_way_ms: float, latency_class: LatencyClass) -> None:
    harness = SessionHarness()
    harness.join("Ana", delay_ns=round(one_way_ms * MS))
    harness.run(2)
    assert harness.host.snapshot().peers[0].latency_class is latency_class


def test_a_peer_without_a_clock_or_without_a_report_is_red() -> None:
    harness = SessionHarness()
    harness.join("Ana", output=ReportedOutput(clock_usable=False))
    harness.run(2)
    view = harness.host.snapshot().peers[0]
    assert view.reported and view.latency_class is LatencyClass.RED
    silent = SessionHarness()
    conn = silent.open_connection()
    silent.host.receive(conn, m.JoinRequest("Ben", m.PROTOCOL_VERSION))
    view = silent.host.snapshot().peers[0]
    assert not view.reported and view.latency_class is LatencyClass.RED
