"""Whole evenings in any order: whatever happens, the machines agree when it is quiet again, and none is stuck."""

from __future__ import annotations

import itertools

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from phaselock.protocol import messages as m
from phaselock.session.commands import Add, DropPeer, Next, Pause, Play, Resume, Seek, Stop
from tests.support.party import MS, SECOND, Guest, Output, Party, a_track
from tests.support.wire import MESSAGES

TRACK_S = 12.0


class Evening(RuleBasedStateMachine):
    """One host, up to five peers who come and go, and somebody at the controls."""

    @initialize()
    def begin(self) -> None:
        self.party = Party()
        self.numbers = itertools.count(1)

    def present(self) -> list[Guest]:
        names = {peer.name for peer in self.party.machine.snapshot().peers}
        guests = self.party.guests.values()
        return [g for g in guests if g.ended is None and not g.cut and g.machine.snapshot().display_name in names]

    @precondition(lambda self: len(self.party.guests) < 12)
    @rule(
        delay_ms=st.sampled_from([0.1, 2, 40]),
        fetch_ms=st.sampled_from([10, 900, 6000]),
        failures=st.integers(0, 4),
        latency_ms=st.integers(0, 900),
    )
    def come(self, delay_ms: float, fetch_ms: int, failures: int, latency_ms: int) -> None:
        output = Output(latency_ns=latency_ms * MS)
        guest = self.party.invite(f"guest {next(self.numbers)}", delay_ns=round(delay_ms * MS), output=output)
        guest.fetch_ns = fetch_ms * MS
        guest.fetch_results = itertools.chain([False] * failures, itertools.repeat(True))

    @precondition(lambda self: self.present())
    @rule(data=st.data(), how=st.sampled_from(["leave", "crash", "cut", "drop", "breach"]))
    def go(self, data: st.DataObject, how: str) -> None:
        guest = data.draw(st.sampled_from(self.present()))
        match how:
            case "leave":
                self.party.leave(guest)
            case "crash":
                self.party.crash(guest)
            case "cut":
                guest.cut = True
            case "drop":
                self.party.say(DropPeer(guest.machine.snapshot().display_name))
            case "breach":
                self.party.receive(guest.conn, data.draw(MESSAGES))

    @precondition(lambda self: len(self.party.machine.snapshot().queue) < 8)
    @rule()
    def add(self) -> None:
        self.party.say(Add(a_track(len(self.party.machine.snapshot().queue) + 1, TRACK_S)))

    @rule(command=st.sampled_from([Play(), Pause(), Resume(), Stop(), Next(), Seek(2), Seek(TRACK_S - 0.05), Seek(99)]))
    def ask(self, command: Play | Pause | Resume | Stop | Next | Seek) -> None:
        self.party.say(command)

    @rule(seconds=st.sampled_from([0.0, 0.01, 0.1, 0.5, 3, 11.9, 30]))
    def wait(self, seconds: float) -> None:
        self.party.run(seconds)

    @rule()
    def quiet(self) -> None:
        """Nothing happens for so long that every file has come or been given up; then all agree."""
        self.party.say(Pause())
        self.party.run(60)
        snapshot = self.party.machine.snapshot()
        for guest in self.present():
            mine = guest.machine.snapshot()
            assert mine.queue == snapshot.queue
            assert mine.timeline == snapshot.timeline
            assert mine.then == snapshot.then

    @invariant()
    def no_machine_is_stuck(self) -> None:
        deadline = self.party.machine.next_deadline_ns()
        assert deadline is None or deadline >= self.party.now_ns - SECOND
        for guest in self.party.guests.values():
            deadline = guest.machine.next_deadline_ns()
            assert deadline is None or deadline - guest.ahead_ns >= self.party.now_ns - SECOND

    @invariant()
    def at_most_five(self) -> None:
        assert len(self.party.machine.snapshot().peers) <= m.MAX_PEERS


TestEvenings = Evening.TestCase
TestEvenings.settings = settings(
    max_examples=25, stateful_step_count=25, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
