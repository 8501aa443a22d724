"""Whole evenings in any order: whatever happens, the machines agree when it is quiet again, and none is stuck."""

from __future__ import annotations

import itertools
from uuid import UUID

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from phaselock.model.queue import ItemStatus
from phaselock.model.timeline import Timeline
from phaselock.protocol import messages as m
from phaselock.session import effects as e
from phaselock.session.commands import (
    Accept,
    Add,
    Autoplay,
    DropPeer,
    HostCommand,
    Move,
    Next,
    Pause,
    Play,
    Previous,
    Quit,
    Reject,
    Remove,
    Repeat,
    Request,
    Resume,
    Retry,
    Seek,
    Stop,
    Without,
)
from tests.support.party import MS, SECOND, Guest, Output, Party, a_track
from tests.support.told import reason
from tests.support.wire import MESSAGES

TRACK_S = 12.0
MAX_TRACKS = 8
MAX_GUESTS = 10
HOST_LOST = "Host disconnected — session ended."
COMMANDS: list[HostCommand] = [
    Play(),
    Pause(),
    Resume(),
    Stop(),
    Next(),
    Previous(),
    Seek(2),
    Seek(TRACK_S - 0.05),
    Seek(99),
    Retry(None),
    Autoplay(1),
    Repeat(True),
    Repeat(False),
]


def place(line: Timeline | None) -> object:
    """What a line says. One that stands still may have been told of by where it stands only: to a peer that had played
    the track to its end when it heard of the pause."""
    if line is None or line.stop_session_ns is None:
        return line
    return line.file_id, line.stop_session_ns, line.frame_at(line.stop_session_ns)


class Evening(RuleBasedStateMachine):
    """One host, up to five peers who come and go and lose their networks, and somebody at the controls."""

    @initialize(guests=st.integers(0, 3), tracks=st.integers(0, 3), playing=st.booleans())
    def begin(self, guests: int, tracks: int, playing: bool) -> None:
        self.party = Party()
        self.host = self.party.machine
        self.numbers = itertools.count(1)
        self.rows: list[UUID] = []
        """What the queue has to be."""
        self.guests: list[Guest] = []
        self.accepted: set[UUID] = set()
        self.reasons: dict[Guest, set[str]] = {}
        """With which words it may have ended."""
        self.cut_at_ns: dict[Guest, int] = {}
        self.forged: set[Guest] = set()
        """In whose names nonsense was sent: the host knows strange things of them."""
        for _ in range(guests):
            self.come(0.2, 10, 0, 10)
        for _ in range(tracks):
            self.add()
        if playing:
            self.party.run(1)
            self.party.say(Play())

    # -- who is here -------------------------------------------------------------------------------------------------

    def alive(self) -> list[Guest]:
        return [guest for guest in self.guests if guest.ended is None and not guest.dead]

    def connected(self) -> list[Guest]:
        return [guest for guest in self.alive() if guest.machine.snapshot().connected and not guest.cut]

    def name(self, guest: Guest) -> str:
        return guest.machine.snapshot().display_name

    @precondition(lambda self: len(self.guests) < MAX_GUESTS and len(self.alive()) < 6)
    @rule(
        delay_ms=st.sampled_from([0.1, 2, 40]),
        fetch_ms=st.sampled_from([10, 900, 4000]),
        failures=st.integers(0, 4),
        latency_ms=st.integers(0, 900),
    )
    def come(self, delay_ms: float, fetch_ms: int, failures: int, latency_ms: int) -> None:
        output = Output(latency_ns=latency_ms * MS)
        guest = self.party.invite(f"guest {next(self.numbers)}", delay_ns=round(delay_ms * MS), output=output)
        guest.fetch_ns = fetch_ms * MS
        guest.fetch_results = itertools.chain([False] * failures, itertools.repeat(True))
        self.guests.append(guest)
        self.reasons[guest] = {"Session is full."}

    @precondition(lambda self: len(self.alive()) > 1)
    @rule(data=st.data(), how=st.sampled_from(["leave", "crash", "drop", "breach"]))
    def go(self, data: st.DataObject, how: str) -> None:
        guest = data.draw(st.sampled_from(self.alive()))
        match how:
            case "leave":
                self.reasons[guest].add("You left the session.")
                self.party.leave(guest)
            case "crash":
                self.party.crash(guest)
            case "drop":
                self.reasons[guest].add("The host has removed you from the session.")
                self.party.say(DropPeer(self.name(guest)))
            case "breach" if guest.conn:
                self.forged.add(guest)
                self.party.receive(guest.conn, data.draw(MESSAGES))

    @precondition(lambda self: self.connected())
    @rule(data=st.data())
    def cut(self, data: st.DataObject) -> None:
        self.cut_one(data.draw(st.sampled_from(self.connected())))

    def cut_one(self, guest: Guest) -> None:
        if not guest.machine.snapshot().session_name:
            self.reasons[guest] |= {"The host does not answer.", "The connection to the host was lost: closed."}
        self.cut_at_ns[guest] = self.party.now_ns
        self.party.cut(guest)

    @precondition(lambda self: self.connected())
    @rule(data=st.data(), seconds=st.sampled_from([2, 7, 7, 20, 70]))
    def lose_the_network_for(self, data: st.DataObject, seconds: float) -> None:
        guest = data.draw(st.sampled_from(self.connected()))
        self.cut_one(guest)
        self.party.run(seconds)
        self.mend_one(guest)
        self.party.run(data.draw(st.sampled_from([0, 1, 4])))

    @precondition(lambda self: any(guest.cut for guest in self.alive()))
    @rule(data=st.data())
    def mend(self, data: st.DataObject) -> None:
        self.mend_one(data.draw(st.sampled_from([guest for guest in self.alive() if guest.cut])))

    def mend_one(self, guest: Guest) -> None:
        if self.party.now_ns - self.cut_at_ns[guest] > 55 * SECOND:
            self.reasons[guest].add(HOST_LOST)
        self.party.mend(guest)

    # -- somebody at the controls ------------------------------------------------------------------------------------

    @precondition(lambda self: len(self.rows) < MAX_TRACKS)
    @rule()
    def add(self) -> None:
        track = a_track(next(self.numbers), TRACK_S)
        self.rows.append(track.file_id)
        self.party.say(Add(track))

    @precondition(lambda self: self.rows)
    @rule(data=st.data(), to=st.integers(0, MAX_TRACKS))
    def move(self, data: st.DataObject, to: int) -> None:
        file_id = data.draw(st.sampled_from(self.rows))
        self.rows.remove(file_id)
        self.rows.insert(to, file_id)
        self.party.say(Move(file_id, to))

    @precondition(lambda self: self.rows)
    @rule(data=st.data())
    def remove(self, data: st.DataObject) -> None:
        file_id = data.draw(st.sampled_from(self.rows))
        self.rows.remove(file_id)
        self.party.say(Remove(file_id))

    @precondition(lambda self: self.rows)
    @rule(data=st.data())
    def play_row(self, data: st.DataObject) -> None:
        self.party.say(Play(data.draw(st.sampled_from(self.rows))))

    @rule(command=st.sampled_from(COMMANDS))
    def ask(self, command: HostCommand) -> None:
        self.party.say(command)

    @precondition(lambda self: self.alive())
    @rule(data=st.data(), command=st.sampled_from([Retry, Without]))
    def decide_on_a_peer(self, data: st.DataObject, command: type[Retry] | type[Without]) -> None:
        self.party.say(command(self.name(data.draw(st.sampled_from(self.alive())))))

    @precondition(lambda self: self.host.snapshot().requests)
    @rule(data=st.data(), yes=st.sampled_from([True, True, True, False]))
    def decide_on_a_request(self, data: st.DataObject, yes: bool) -> None:
        request_id = data.draw(st.sampled_from(self.host.snapshot().requests)).request_id
        self.accepted |= {request_id} if yes else set()
        self.party.say(Accept(request_id) if yes else Reject(request_id))

    # -- at the peers ------------------------------------------------------------------------------------------------

    @precondition(lambda self: self.connected() and len(self.rows) < MAX_TRACKS)
    @rule(
        data=st.data(),
        accept=st.sampled_from([True, True, False]),
        results=st.lists(st.sampled_from([True, False, "It is no song."]), max_size=4),
    )
    def wish(self, data: st.DataObject, accept: bool, results: list[bool | str]) -> None:
        guest = data.draw(st.sampled_from(self.connected()))
        guest.upload_results = itertools.chain(results, itertools.repeat(True))
        request = Request(UUID(int=next(self.numbers) << 64), "wish.mp3", 700, bytes(32))
        self.party.on_guest(guest, guest.machine.command, request)
        if accept:
            self.party.run(0.2)
            if request.request_id in {other.request_id for other in self.host.snapshot().requests}:
                self.accepted.add(request.request_id)
                self.party.say(Accept(request.request_id))

    @precondition(lambda self: self.alive())
    @rule(data=st.data(), failures=st.integers(0, 4), room_bytes=st.sampled_from([0, 1500, 3000, 1 << 30]))
    def change_its_luck(self, data: st.DataObject, failures: int, room_bytes: int) -> None:
        guest = data.draw(st.sampled_from(self.alive()))
        guest.fetch_results = itertools.chain([False] * failures, itertools.repeat(True))
        self.party.on_guest(guest, guest.machine.room, room_bytes)

    @precondition(lambda self: self.connected())
    @rule(data=st.data(), number=st.integers(0, 30), shift=st.sampled_from([0, 64]))
    def bring_what_nobody_wants(self, data: st.DataObject, number: int, shift: int) -> None:
        """Whatever is not under way is no answer to anything: an upload at the host, a file at a peer."""
        guest, unasked = data.draw(st.sampled_from(self.connected())), UUID(int=number << shift)
        wanted = {request.request_id for request in self.host.snapshot().requests} & self.accepted
        fetches = guest.of(e.Fetch)
        for fetch in fetches[-1:]:
            assert self.host.authorise_fetch(fetch.peer_id, b"?" * 16, fetch.track.file_id) is None
            assert self.host.authorise_upload(fetch.peer_id, b"?" * 16, unasked) is None
        before, mine = self.host.snapshot(), guest.machine.snapshot()
        if unasked not in wanted:
            self.party.on_host(self.host.uploaded, unasked, a_track(999))
            self.party.on_host(self.host.upload_progress, unasked, 5)
        if unasked not in guest.under_way:
            self.party.on_guest(guest, guest.machine.file_ready, unasked)
            self.party.on_guest(guest, guest.machine.file_failed, unasked, "what?")
        assert (self.host.snapshot().queue, self.host.snapshot().requests) == (before.queue, before.requests)
        assert guest.machine.snapshot().queue == mine.queue

    # -- time --------------------------------------------------------------------------------------------------------

    @rule(seconds=st.sampled_from([0.0, 0.01, 0.1, 0.5, 3, 7, 11.9, 30]))
    def wait(self, seconds: float) -> None:
        self.party.run(seconds)

    @rule(pause=st.booleans(), seconds=st.sampled_from([6, 15, 30]))
    def quiet(self, pause: bool, seconds: float) -> None:
        """Every network is mended, nobody does anything for a while, and then all agree."""
        if pause:
            self.party.say(Pause())
        for guest in self.alive():
            if guest.cut:
                self.mend_one(guest)
        self.party.run(seconds)
        said = None
        while said != (said := self.what_is_said()):  # what was said just now is still on its way
            self.party.run(0.2)
        host = self.host.snapshot()
        assert {peer.name for peer in host.peers} == {self.name(guest) for guest in self.alive()}
        for guest in self.alive():
            mine = guest.machine.snapshot()
            assert mine.connected
            assert mine.queue == host.queue
            assert place(mine.timeline) == place(host.timeline)
            assert mine.then == host.then
            assert (mine.now and mine.now.id) == (host.now and host.now.id)
            peer = next(peer for peer in host.peers if peer.name == mine.display_name)
            needed = {line.file_id for line in (host.timeline, host.then) if line is not None}
            if guest not in self.forged and needed and needed <= peer.have:
                here, there = guest.following, self.party.host.following
                assert here is not None and there is not None
                assert (place(here.timeline), here.then) == (place(there.timeline), there.then)

    def what_is_said(self) -> object:
        """What every peer should know a moment later."""
        host = self.host.snapshot()
        return host.timeline, host.then, host.queue

    def note_uploads(self) -> None:
        """Rows that came by themselves are accepted wishes, at the end."""
        shown = [row.id for row in self.host.snapshot().queue]
        came = shown[len(self.rows) :]
        assert all(file_id.int >= 1000 for file_id in came)
        assert len(came) <= len(self.accepted)
        self.rows += came

    # -- always ------------------------------------------------------------------------------------------------------

    @invariant()
    def no_machine_is_stuck(self) -> None:
        deadline = self.host.next_deadline_ns()
        assert deadline is None or deadline >= self.party.now_ns - SECOND
        for guest in self.alive():
            deadline = guest.machine.next_deadline_ns()
            assert deadline is not None and deadline - guest.ahead_ns >= self.party.now_ns - SECOND

    @invariant()
    def what_everybody_has_does_not_wait(self) -> None:
        host = self.host.snapshot()
        waiting_for = host.waiting_for
        if waiting_for is not None:
            having = [waiting_for.id in peer.have for peer in host.peers if peer.waited_for]
            assert not all(having)

    @invariant()
    def at_most_five(self) -> None:
        assert len(self.host.snapshot().peers) <= m.MAX_PEERS

    @invariant()
    def the_queue_is_what_people_made_of_it(self) -> None:
        self.note_uploads()
        assert [row.id for row in self.host.snapshot().queue] == self.rows

    @invariant()
    def one_row_plays(self) -> None:
        self.note_uploads()
        host = self.host.snapshot()
        playing = [row.id for row in host.queue if row.status is ItemStatus.PLAYING]
        line = host.timeline
        assert playing == ([line.file_id] if line is not None and line.file_id in self.rows else [])
        assert (host.now and host.now.id) == (line and line.file_id)
        for guest in self.alive():
            rows = [row for row in guest.machine.snapshot().queue if row.status is ItemStatus.PLAYING]
            assert len(rows) <= 1

    @invariant()
    def nobody_ends_without_a_reason(self) -> None:
        for guest in self.guests:
            if guest.ended is not None and guest not in self.forged:
                why = reason(guest.ended)
                far = guest.cut and self.party.now_ns - self.cut_at_ns[guest] > 55 * SECOND
                assert why in self.reasons[guest] or far and why == HOST_LOST, why

    @invariant()
    def only_what_was_offered_is_fetched(self) -> None:
        for guest in self.guests:
            offered = {start.file_id for start in guest.told(m.FileTransferStart)}
            assert {fetch.track.file_id for fetch in guest.fetches} <= offered

    def teardown(self) -> None:
        """Every evening ends, with or without a goodbye, and it ends for everybody."""
        if not hasattr(self, "party"):
            return
        for guest in self.alive():
            if guest.cut:
                self.mend_one(guest)
        if next(self.numbers) % 2:
            self.party.say(Quit())
        else:
            self.party.crash_host()
        self.party.run(12)
        assert not self.alive()


TestEvenings = Evening.TestCase
TestEvenings.settings = settings(
    max_examples=30, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck)
)


@pytest.mark.slow
class TestManyEvenings(Evening.TestCase):
    settings = settings(
        max_examples=300, stateful_step_count=50, deadline=None, suppress_health_check=list(HealthCheck)
    )
