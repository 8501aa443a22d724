"""Random sessions: after any sequence of events all nodes agree when it is quiet again, and none is stuck."""

from __future__ import annotations

import itertools
from uuid import UUID

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from phaselock.model.group import DEFAULT_PEERS
from phaselock.model.queue import ItemStatus
from phaselock.model.timeline import Timeline
from phaselock.protocol import messages as m
from phaselock.session import effects as e
from phaselock.session.commands import (
    Accept,
    Add,
    Autoplay,
    Calibrate,
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
    StopCalibration,
    Without,
)
from tests.support.message_strategies import MESSAGES
from tests.support.session_harness import HarnessPeer, ReportedOutput, SessionHarness
from tests.support.simulation import MS, SECOND, a_track
from tests.support.told import reason

TRACK_S = 12.0
MAX_TRACKS = 8
MAX_JOINS = 10
HOST_LOST = "Host disconnected — session ended."
COMMANDS: list[HostCommand] = [
    Calibrate(),
    StopCalibration(),
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
    """The place that a timeline gives. Of a paused one only the place of the pause counts: a peer that had played the
    track to its end when it received the pause knows nothing else."""
    if line is None or line.stop_session_ns is None:
        return line
    return line.file_id, line.stop_session_ns, line.frame_at(line.stop_session_ns)


class SessionStateMachine(RuleBasedStateMachine):
    """One host with its user, and up to five peers that join, leave and lose their networks."""

    @initialize(peers=st.integers(0, 3), tracks=st.integers(0, 3), playing=st.booleans())
    def begin(self, peers: int, tracks: int, playing: bool) -> None:
        self.harness = SessionHarness()
        self.host = self.harness.host
        self.numbers = itertools.count(1)
        self.rows: list[UUID] = []
        """The expected queue."""
        self.noted = 0
        """Warnings and starts of the host whose effect on the queue is known."""
        self.peers: list[HarnessPeer] = []
        self.accepted: set[UUID] = set()
        self.reasons: dict[HarnessPeer, set[str]] = {}
        """The reasons for which a peer may have ended."""
        self.cut_at_ns: dict[HarnessPeer, int] = {}
        self.forged: set[HarnessPeer] = set()
        """Peers on whose connections random messages were sent: the host has wrong knowledge of them."""
        for _ in range(peers):
            self.come(0.2, 10, 0, 10)
        for _ in range(tracks):
            self.add()
        if playing:
            self.harness.run(1)
            self.harness.command(Play())

    # -- joining and leaving -----------------------------------------------------------------------------------------

    def alive(self) -> list[HarnessPeer]:
        return [peer for peer in self.peers if peer.ended is None and not peer.gone]

    def connected(self) -> list[HarnessPeer]:
        return [peer for peer in self.alive() if peer.snapshot().connected and not peer.is_cut]

    def name(self, peer: HarnessPeer) -> str:
        return peer.snapshot().display_name

    @precondition(lambda self: len(self.peers) < MAX_JOINS and len(self.alive()) < 6)
    @rule(
        delay_ms=st.sampled_from([0.1, 2, 40]),
        fetch_ms=st.sampled_from([10, 900, 4000]),
        failures=st.integers(0, 4),
        latency_ms=st.integers(0, 900),
    )
    def come(self, delay_ms: float, fetch_ms: int, failures: int, latency_ms: int) -> None:
        output = ReportedOutput(latency_ns=latency_ms * MS)
        peer = self.harness.join(f"peer {next(self.numbers)}", delay_ns=round(delay_ms * MS), output=output)
        peer.transfer_ns = fetch_ms * MS
        peer.fetch_results = itertools.chain([False] * failures, itertools.repeat(True))
        self.peers.append(peer)
        self.reasons[peer] = {"Session is full."}

    @precondition(lambda self: len(self.alive()) > 1)
    @rule(data=st.data(), how=st.sampled_from(["leave", "crash", "drop", "breach"]))
    def go(self, data: st.DataObject, how: str) -> None:
        peer = data.draw(st.sampled_from(self.alive()))
        match how:
            case "leave":
                self.reasons[peer].add("You left the jam.")
                peer.leave()
            case "crash":
                peer.crash()
            case "drop":
                self.reasons[peer] |= {
                    "The host has removed you from the jam.",
                    "The host has removed this machine from the jam. Ask the host to let you in again.",  # it was away
                }
                self.harness.command(DropPeer(self.name(peer)))
            case "breach" if peer.conn:
                self.forged.add(peer)
                self.harness.host.receive(peer.conn, data.draw(MESSAGES))

    @precondition(lambda self: self.connected())
    @rule(data=st.data())
    def cut(self, data: st.DataObject) -> None:
        self.cut_one(data.draw(st.sampled_from(self.connected())))

    def cut_one(self, peer: HarnessPeer) -> None:
        if not peer.snapshot().session_name:
            self.reasons[peer] |= {"The host does not answer.", "The connection to the host was lost: closed."}
        self.cut_at_ns[peer] = self.harness.now_ns
        peer.cut()

    @precondition(lambda self: self.connected())
    @rule(data=st.data(), seconds=st.sampled_from([2, 7, 7, 20, 70]))
    def lose_the_network_for(self, data: st.DataObject, seconds: float) -> None:
        peer = data.draw(st.sampled_from(self.connected()))
        self.cut_one(peer)
        self.harness.run(seconds)
        self.mend_one(peer)
        self.harness.run(data.draw(st.sampled_from([0, 1, 4])))

    @precondition(lambda self: any(peer.is_cut for peer in self.alive()))
    @rule(data=st.data())
    def mend(self, data: st.DataObject) -> None:
        self.mend_one(data.draw(st.sampled_from([peer for peer in self.alive() if peer.is_cut])))

    def mend_one(self, peer: HarnessPeer) -> None:
        if self.harness.now_ns - self.cut_at_ns[peer] > 55 * SECOND:
            self.reasons[peer].add(HOST_LOST)
        peer.repair()

    # -- commands at the host ----------------------------------------------------------------------------------------

    @precondition(lambda self: len(self.rows) < MAX_TRACKS)
    @rule()
    def add(self) -> None:
        track = a_track(next(self.numbers), TRACK_S)
        self.rows.append(track.file_id)
        self.harness.command(Add(track))

    @precondition(lambda self: self.rows)
    @rule(data=st.data(), to=st.integers(0, MAX_TRACKS))
    def move(self, data: st.DataObject, to: int) -> None:
        file_id = data.draw(st.sampled_from(self.rows))
        self.rows.remove(file_id)
        self.rows.insert(to, file_id)
        self.harness.command(Move(file_id, to))

    @precondition(lambda self: self.rows)
    @rule(data=st.data())
    def remove(self, data: st.DataObject) -> None:
        file_id = data.draw(st.sampled_from(self.rows))
        self.rows.remove(file_id)
        self.harness.command(Remove(file_id))

    @precondition(lambda self: self.rows)
    @rule(data=st.data())
    def play_row(self, data: st.DataObject) -> None:
        self.harness.command(Play(data.draw(st.sampled_from(self.rows))))

    @rule(command=st.sampled_from(COMMANDS))
    def ask(self, command: HostCommand) -> None:
        self.harness.command(command)

    @precondition(lambda self: self.alive())
    @rule(data=st.data(), command=st.sampled_from([Retry, Without]))
    def decide_on_a_peer(self, data: st.DataObject, command: type[Retry] | type[Without]) -> None:
        self.harness.command(command(self.name(data.draw(st.sampled_from(self.alive())))))

    @precondition(lambda self: self.host.snapshot().requests)
    @rule(data=st.data(), yes=st.sampled_from([True, True, True, False]))
    def decide_on_a_request(self, data: st.DataObject, yes: bool) -> None:
        request_id = data.draw(st.sampled_from(self.host.snapshot().requests)).request_id
        self.accepted |= {request_id} if yes else set()
        self.harness.command(Accept(request_id) if yes else Reject(request_id))

    # -- at the peers ------------------------------------------------------------------------------------------------

    @precondition(lambda self: self.connected() and len(self.rows) < MAX_TRACKS)
    @rule(
        data=st.data(),
        accept=st.sampled_from([True, True, False]),
        results=st.lists(st.sampled_from([True, False, "It is no song."]), max_size=4),
    )
    def wish(self, data: st.DataObject, accept: bool, results: list[bool | str]) -> None:
        peer = data.draw(st.sampled_from(self.connected()))
        peer.upload_results = itertools.chain(results, itertools.repeat(True))
        request = Request(UUID(int=next(self.numbers) << 64), "wish.mp3", 700, bytes(32))
        peer.call(peer.core.command, request)
        if accept:
            self.harness.run(0.2)
            if request.request_id in {other.request_id for other in self.host.snapshot().requests}:
                self.accepted.add(request.request_id)
                self.harness.command(Accept(request.request_id))

    @precondition(lambda self: self.alive())
    @rule(data=st.data(), failures=st.integers(0, 4), room_bytes=st.sampled_from([0, 1500, 3000, 1 << 30]))
    def change_its_luck(self, data: st.DataObject, failures: int, room_bytes: int) -> None:
        peer = data.draw(st.sampled_from(self.alive()))
        peer.fetch_results = itertools.chain([False] * failures, itertools.repeat(True))
        peer.call(peer.core.room, room_bytes)

    @precondition(lambda self: self.connected())
    @rule(data=st.data(), number=st.integers(0, 30), shift=st.sampled_from([0, 64]))
    def bring_what_nobody_wants(self, data: st.DataObject, number: int, shift: int) -> None:
        """Results of transfers that are not running change nothing: an upload at the host, a file at a peer."""
        peer, unasked = data.draw(st.sampled_from(self.connected())), UUID(int=number << shift)
        wanted = {request.request_id for request in self.host.snapshot().requests} & self.accepted
        fetches = peer.of(e.Fetch)
        for fetch in fetches[-1:]:
            assert self.host.core.authorise_fetch(fetch.peer_id, b"?" * 16, fetch.track.file_id) is None
            assert self.host.core.authorise_upload(fetch.peer_id, b"?" * 16, unasked, b"?" * 32) is None
        before, mine = self.host.snapshot(), peer.snapshot()
        if unasked not in wanted:
            self.host.call(self.host.core.uploaded, unasked, a_track(999))
            self.host.call(self.host.core.upload_progress, unasked, 5)
        if unasked not in peer.transfers:
            peer.call(peer.core.file_ready, unasked)
            peer.call(peer.core.file_failed, unasked, "what?")
        assert (self.host.snapshot().queue, self.host.snapshot().requests) == (before.queue, before.requests)
        assert peer.snapshot().queue == mine.queue

    # -- time --------------------------------------------------------------------------------------------------------

    @rule(seconds=st.sampled_from([0.0, 0.01, 0.1, 0.5, 3, 7, 11.9, 30]))
    def wait(self, seconds: float) -> None:
        self.harness.run(seconds)

    @rule(pause=st.booleans(), seconds=st.sampled_from([6, 15, 30]))
    def quiet(self, pause: bool, seconds: float) -> None:
        """Repair every network and do nothing for a while: then all nodes agree."""
        if pause:
            self.harness.command(Pause())
        for peer in self.alive():
            if peer.is_cut:
                self.mend_one(peer)
        self.harness.run(seconds)
        said = None
        while said != (said := self.what_is_said()):  # the last messages are still on their way
            self.harness.run(0.2)
        host = self.host.snapshot()
        assert {peer.name for peer in host.peers} == {self.name(peer) for peer in self.alive()}
        for peer in self.alive():
            mine = peer.snapshot()
            assert mine.connected
            assert mine.queue == host.queue
            assert place(mine.timeline) == place(host.timeline)
            assert mine.then == host.then
            assert (mine.now and mine.now.id) == (host.now and host.now.id)
            view = next(view for view in host.peers if view.name == mine.display_name)
            needed = {line.file_id for line in (host.timeline, host.then) if line is not None}
            # A peer that came during a calibration is not in it.
            if peer not in self.forged and needed and needed <= view.have and host.calibration is None:
                here, there = peer.following, self.host.following
                assert here is not None and there is not None
                assert (place(here.timeline), here.then) == (place(there.timeline), there.then)

    def what_is_said(self) -> object:
        """A moment later every peer knows the queue and the timelines of the host."""
        host = self.host.snapshot()
        return host.timeline, host.then, host.queue

    def note_uploads(self) -> None:
        """Rows that no command added are accepted requests, at the end of the queue."""
        shown = [row.id for row in self.host.snapshot().queue]
        came = shown[len(self.rows) :]
        assert all(file_id.int >= 1000 for file_id in came)
        assert len(came) <= len(self.accepted)
        self.rows += came

    def note_overtaking(self) -> None:
        """A track that started because an earlier one was not ready was moved directly before that one."""
        told = self.host.events("warning", "playing")
        for event, start in itertools.pairwise(told[self.noted :]):
            if event.fields.get("code") == "plays_later":
                self.rows.remove(UUID(start.fields["file_id"]))
                self.rows.insert(self.rows.index(UUID(event.fields["file_id"])), UUID(start.fields["file_id"]))
        self.noted = len(told)

    # -- always ------------------------------------------------------------------------------------------------------

    @invariant()
    def no_machine_is_stuck(self) -> None:
        deadline = self.host.core.next_deadline_ns()
        assert deadline is None or deadline >= self.harness.now_ns - SECOND
        for peer in self.alive():
            deadline = peer.core.next_deadline_ns()
            assert deadline is not None and deadline >= peer.now_ns - SECOND

    @invariant()
    def what_everybody_has_does_not_wait(self) -> None:
        host = self.host.snapshot()
        waiting_for = host.waiting_for
        if waiting_for is not None:
            having = [waiting_for.id in peer.have for peer in host.peers if peer.waited_for]
            assert not all(having)

    @invariant()
    def at_most_five(self) -> None:
        assert len(self.host.snapshot().peers) <= DEFAULT_PEERS

    @invariant()
    def the_queue_is_what_people_made_of_it(self) -> None:
        self.note_uploads()
        self.note_overtaking()
        assert [row.id for row in self.host.snapshot().queue] == self.rows

    @invariant()
    def one_row_plays(self) -> None:
        self.note_uploads()
        host = self.host.snapshot()
        playing = [row.id for row in host.queue if row.status is ItemStatus.PLAYING]
        line = host.timeline
        assert playing == ([line.file_id] if line is not None and line.file_id in self.rows else [])
        assert (host.now and host.now.id) == (line and line.file_id)
        for peer in self.alive():
            rows = [row for row in peer.snapshot().queue if row.status is ItemStatus.PLAYING]
            assert len(rows) <= 1

    @invariant()
    def nobody_ends_without_a_reason(self) -> None:
        for peer in self.peers:
            if peer.ended is not None and peer not in self.forged:
                why = reason(peer.ended)
                far = peer.is_cut and self.harness.now_ns - self.cut_at_ns[peer] > 55 * SECOND
                assert why in self.reasons[peer] or far and why == HOST_LOST, why

    @invariant()
    def only_what_was_offered_is_fetched(self) -> None:
        for peer in self.peers:
            offered = {start.file_id for start in peer.told(m.FileTransferStart)}
            assert {fetch.track.file_id for fetch in peer.fetches} <= offered

    def teardown(self) -> None:
        """Every session ends for all peers, by `Quit` or by a crash of the host."""
        if not hasattr(self, "harness"):
            return
        for peer in self.alive():
            if peer.is_cut:
                self.mend_one(peer)
        if next(self.numbers) % 2:
            self.harness.command(Quit())
        else:
            self.harness.host.crash()
        self.harness.run(12)
        assert not self.alive()


TestRandomSessions = SessionStateMachine.TestCase
TestRandomSessions.settings = settings(
    max_examples=6, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck)
)


@pytest.mark.slow
class TestManyRandomSessions(SessionStateMachine.TestCase):
    settings = settings(max_examples=50, stateful_step_count=50, deadline=None, suppress_health_check=list(HealthCheck))
