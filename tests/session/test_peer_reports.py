"""When a peer reports its state to its host."""

from __future__ import annotations

import dataclasses

from phaselock.model.types import AudioStatus, ClockStatus
from phaselock.protocol import messages as m
from phaselock.session.effects import HOST_CONN, Send
from phaselock.session.outbox import Outbox
from phaselock.session.peer.reports import EARLY_NS, SLACK_NS, STATUS_NS, StatusReports
from tests.support.session_harness import SessionHarness
from tests.support.simulation import SECOND

AUDIO = AudioStatus("card", 48000, 10_000_000, 5_000, 6_000, "exact", False, 100, 0.0, 0, 1.0)
CLOCK = ClockStatus(0, True, False, 0, 0.0, 5_000, 400_000, 400_000)


class Reporter:
    """The reports of a peer that joined long ago and reported just now."""

    def __init__(self) -> None:
        self.outbox = Outbox()
        self.reports = StatusReports(self.outbox, lambda now_ns: now_ns)
        self.reports.joined(now_ns=-EARLY_NS)
        assert len(self.sent(0, AUDIO)) == 1

    def sent(self, now_ns: int, audio: AudioStatus | None = None) -> list[Send]:
        """What is sent at this time; `audio`: the state of the output that is told then."""
        if audio is not None:
            self.reports.take(audio, CLOCK)
        told = self.reports.settle(now_ns=now_ns)
        sent = [effect for effect in self.outbox.drain() if isinstance(effect, Send)]
        assert told == bool(sent) and all(effect.conn == HOST_CONN for effect in sent)
        return sent


def test_the_second_of_a_report_waits_for_the_newest_state() -> None:
    """The runner tells a state each second, some time after the last report is a second old."""
    reporter = Reporter()
    assert not reporter.sent(STATUS_NS)
    assert list(reporter.reports.deadlines_ns()) == [STATUS_NS + SLACK_NS]
    newest = dataclasses.replace(AUDIO, phase_error_ns=7)
    (sent,) = reporter.sent(STATUS_NS + 1_000_000, newest)
    assert isinstance(sent.message, m.PeerStatus) and sent.message.phase_error_ns == 7


def test_an_old_state_is_sent_if_there_is_no_newer_one() -> None:
    assert len(Reporter().sent(STATUS_NS + SLACK_NS)) == 1


def test_a_change_that_the_host_must_know_is_sent_at_once() -> None:
    assert not Reporter().sent(1_000_000, AUDIO)
    assert len(Reporter().sent(1_000_000, dataclasses.replace(AUDIO, device_name="another"))) == 1


def test_reports_are_signs_of_life() -> None:
    """A peer that reports sends no heartbeats besides, and the host keeps it."""
    harness = SessionHarness()
    ana = harness.join("Ana")
    harness.run(10)
    sent: list[object] = []
    send = ana.execute

    def execute(effect: object) -> None:
        if isinstance(effect, Send):
            sent.append(type(effect.message))
        send(effect)  # type: ignore[arg-type]

    ana.execute = execute  # type: ignore[method-assign,assignment]
    harness.run(20)
    assert set(sent) == {m.PeerStatus} and 15 <= len(sent) <= 20
    assert [one.name for one in harness.host.snapshot().peers] == ["Ana"]
    assert harness.now_ns >= 30 * SECOND
