"""Any messages from one side: a hostile member or connection at the host, and a hostile host at a peer.

No message causes an exception, every answer can be encoded (tests/conftest.py checks each one that is sent), honest
members stay, and only the host's user changes the queue.
"""

from __future__ import annotations

import dataclasses
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from phaselock.model.group import DEFAULT_PEERS
from phaselock.model.heritage import Claim
from phaselock.protocol import messages as m
from phaselock.protocol.messages import Message
from phaselock.session import effects as e
from phaselock.session.commands import Autoplay, HostCommand, Next, Pause, Play, Reject, Resume, Seek, Stop
from phaselock.session.states import HOST_ACCEPTS, PEER_ACCEPTS, PeerSide
from tests.support.message_strategies import MESSAGES, of_type
from tests.support.session_harness import ready
from tests.support.simulation import SECOND

TRACKS = 3
HONEST = ("Ana", "Ben")
MAX_HOSTILE = 3
MAX_CONNECTIONS = 6
SOME_TIMES_S = [0.0, 0.05, 1, 4, 7, 25]
COMMANDS: list[HostCommand] = [Play(), Pause(), Resume(), Stop(), Next(), Seek(3), Autoplay(2)]


def of_kinds(kinds: frozenset[type[Message]]) -> st.SearchStrategy[Message]:
    return st.one_of([of_type(kind) for kind in sorted(kinds, key=lambda kind: kind.__name__)])


FROM_MEMBER = of_kinds(HOST_ACCEPTS - {m.LeaveSession})
FROM_HOST = of_kinds(PEER_ACCEPTS[PeerSide.JOINED] - {m.SessionEnd})
RARELY = st.sampled_from([False] * 4 + [True])
REPEATS = st.sampled_from([1, 1, 1, 2, 60])


def aimed(data: st.DataObject, message: Message, known: dict[str, list[Any]]) -> Message:
    """Often the message, with names of things that exist: a file, a request, a peer."""
    for name, values in known.items():
        if values and hasattr(message, name) and data.draw(st.integers(0, 3)):
            message = dataclasses.replace(message, **{name: data.draw(st.sampled_from(values))})
    return message


class HostileMembers(RuleBasedStateMachine):
    """Two honest members play; the rest of the seats, and connections without one, are hostile."""

    @initialize(playing=st.booleans(), members=st.integers(1, MAX_HOSTILE))
    def begin(self, playing: bool, members: int) -> None:
        self.harness, self.honest = ready(*HONEST, tracks=TRACKS, seconds=12)
        self.host = self.harness.host
        self.queue = [row.id for row in self.host.snapshot().queue]
        self.connections: list[int] = []
        """Hostile ones, joined or not."""
        for _ in range(members):
            self.join()
        if playing:
            self.harness.command(Play())
            self.harness.run(1)

    def known(self) -> dict[str, list[Any]]:
        host = self.host.snapshot()
        requests = [one.request_id for one in host.requests]
        numbers = [effect.number for effect in self.host.of(e.Listen)]
        return {"file_id": self.queue, "request_id": requests, "peer_id": [1, 2, 3], "number": numbers}

    def send(self, data: st.DataObject, conn: int, message: Message) -> None:
        """As if a hostile connection had sent it; nothing if the host has closed that."""
        message = aimed(data, message, self.known())
        for _ in range(data.draw(REPEATS)):
            if conn not in {close.conn for close in self.host.of(e.Close)}:
                self.host.receive(conn, message)

    @precondition(lambda self: len(self.connections) < MAX_CONNECTIONS)
    @rule()
    def connect(self) -> None:
        self.connections.append(self.harness.open_connection())

    @precondition(lambda self: len(self.connections) < MAX_CONNECTIONS)
    @rule()
    def join(self) -> None:
        self.connect()
        self.host.receive(self.connections[-1], m.JoinRequest("Eve", m.PROTOCOL_VERSION))

    @precondition(lambda self: self.connections)
    @rule(data=st.data(), request=of_type(m.JoinRequest))
    def ask_to_join(self, data: st.DataObject, request: m.JoinRequest) -> None:
        """In any way, also as an honest member, but without its token."""
        self.send(data, data.draw(st.sampled_from(self.connections)), request)

    @precondition(lambda self: self.connections)
    @rule(data=st.data(), messages=st.lists(FROM_MEMBER, min_size=1, max_size=5))
    def say_what_a_member_may_say(self, data: st.DataObject, messages: list[Message]) -> None:
        for message in messages:
            self.send(data, data.draw(st.sampled_from(self.connections)), message)

    @precondition(lambda self: self.connections)
    @rule(data=st.data(), message=MESSAGES, rarely=RARELY)
    def say_anything(self, data: st.DataObject, message: Message, rarely: bool) -> None:
        if rarely and not isinstance(message, m.JoinRequest):
            self.send(data, data.draw(st.sampled_from(self.connections)), message)

    @precondition(lambda self: self.connections)
    @rule(data=st.data())
    def disconnect(self, data: st.DataObject) -> None:
        conn = data.draw(st.sampled_from(self.connections))
        self.connections.remove(conn)
        self.host.connection_lost(conn, "closed")

    @rule(command=st.sampled_from(COMMANDS))
    def command(self, command: HostCommand) -> None:
        self.harness.command(command)

    @precondition(lambda self: self.host.snapshot().requests)
    @rule(data=st.data())
    def reject(self, data: st.DataObject) -> None:
        self.harness.command(Reject(data.draw(st.sampled_from(self.host.snapshot().requests)).request_id))

    @rule(seconds=st.sampled_from(SOME_TIMES_S))
    def wait(self, seconds: float) -> None:
        self.harness.run(seconds)

    @invariant()
    def honest_members_stay(self) -> None:
        members = {peer.name for peer in self.host.snapshot().peers}
        for peer in self.honest:
            assert peer.ended is None and peer.snapshot().connected and peer.snapshot().display_name in members

    @invariant()
    def the_queue_is_the_hosts(self) -> None:
        """A track that not all peers have may be overtaken, if the user asks for that."""
        queue = [row.id for row in self.host.snapshot().queue]
        overtaken = any(event.fields.get("code") == "plays_later" for event in self.host.events("warning"))
        assert queue == self.queue or overtaken and sorted(queue) == sorted(self.queue)

    @invariant()
    def the_host_is_not_stuck(self) -> None:
        deadline_ns = self.host.core.next_deadline_ns()
        assert deadline_ns is None or deadline_ns >= self.harness.now_ns - SECOND
        assert len(self.host.snapshot().peers) <= DEFAULT_PEERS


class HostileHost(RuleBasedStateMachine):
    """A peer has joined and has a queue; then its host says anything."""

    @initialize()
    def begin(self) -> None:
        self.join()

    def join(self) -> None:
        self.harness, (self.peer,) = ready("Ana", tracks=TRACKS, seconds=12)
        self.harness.command(Play())
        self.harness.run(1)
        self.queue = [row.id for row in self.peer.snapshot().queue]
        self.offered = {start.file_id for start in self.peer.told(m.FileTransferStart)}
        self.peer.conn, self.peer._to_host = 0, None  # the real host is not heard any more, and hears nothing

    def known(self) -> dict[str, list[Any]]:
        numbers = [effect.number for effect in self.peer.of(e.Listen)]
        requests = [effect.request_id for effect in self.peer.of(e.Upload)]
        return {"file_id": self.queue, "request_id": requests, "number": numbers}

    def hear(self, message: Message) -> None:
        if isinstance(message, m.FileTransferStart):
            self.offered.add(message.file_id)
        self.peer.call(self.peer.core.received, message)

    @rule(data=st.data(), messages=st.lists(FROM_HOST, min_size=1, max_size=5))
    def hear_what_a_host_may_say(self, data: st.DataObject, messages: list[Message]) -> None:
        for message in messages:
            aim = aimed(data, message, self.known())
            for _ in range(data.draw(REPEATS)):
                self.hear(aim)

    @rule(data=st.data(), message=MESSAGES, rarely=RARELY)
    def hear_anything(self, data: st.DataObject, message: Message, rarely: bool) -> None:
        if rarely:
            self.hear(aimed(data, message, self.known()))

    @rule(seconds=st.sampled_from(SOME_TIMES_S), alive=st.booleans())
    def wait(self, seconds: float, alive: bool) -> None:
        """With or without heartbeats."""
        while seconds > 0 and alive:
            self.hear(m.Heartbeat())
            self.harness.run(min(seconds, 1))
            seconds -= 1
        self.harness.run(max(seconds, 0))

    @precondition(lambda self: self.peer.ended is not None)
    @rule()
    def join_again(self) -> None:
        self.join()

    @invariant()
    def the_peer_is_not_stuck(self) -> None:
        self.peer.snapshot()
        if self.peer.ended is None:
            deadline_ns = self.peer.core.next_deadline_ns()
            assert deadline_ns is not None and deadline_ns >= self.peer.now_ns - SECOND

    @invariant()
    def only_what_was_offered_is_fetched(self) -> None:
        assert {fetch.track.file_id for fetch in self.peer.fetches} <= self.offered


def _settings(examples: int, steps: int) -> settings:
    return settings(
        max_examples=examples, stateful_step_count=steps, deadline=None, suppress_health_check=list(HealthCheck)
    )


TestHostileMembers = HostileMembers.TestCase
TestHostileMembers.settings = _settings(4, 25)
TestHostileHost = HostileHost.TestCase
TestHostileHost.settings = _settings(4, 25)


@pytest.mark.slow
class TestManyHostileMembers(HostileMembers.TestCase):
    settings = _settings(50, 50)


@pytest.mark.slow
class TestManyHostileHosts(HostileHost.TestCase):
    settings = _settings(50, 50)


@pytest.mark.parametrize(
    "message",
    [m.OtherPart(Claim(0, (bytes(32),), (0,), has_members=True), bytes(32)), m.SongsFound((UUID(int=1),))],
    ids=lambda message: type(message).__name__,
)
def test_long_messages_come_once(message: Message) -> None:
    harness, (ana, ben) = ready(*HONEST)
    harness.host.receive(ana.conn, message)
    harness.host.receive(ben.conn, message)
    assert [peer.name for peer in harness.host.snapshot().peers] == ["Ana", "Ben"]
    harness.host.receive(ana.conn, message)
    assert [peer.name for peer in harness.host.snapshot().peers] == ["Ben"]
