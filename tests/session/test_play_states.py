"""Every event in every state of the host's playback."""

from __future__ import annotations

from collections.abc import Callable
from uuid import UUID

import pytest

from phaselock.model.notices import Code
from phaselock.model.transitions import PLAIN
from phaselock.protocol import messages as m
from phaselock.session import effects as e
from phaselock.session.events import Failed
from phaselock.session.host.budgets import Budget
from phaselock.session.host.members import Delivery, Member, Members, Reports, Transfer
from phaselock.session.host.play_states import TABLE, Event, PlayState
from phaselock.session.host.queue import HostQueue
from phaselock.session.host.track_facts import HostTrackFacts
from phaselock.session.host.transitions import HostTransitions
from phaselock.session.host.transport import SILENCE_NS, TransportControl
from phaselock.session.outbox import Outbox
from phaselock.session.playback import Playback
from tests.support.raw_member import REPORT
from tests.support.simulation import MS, SECOND, a_track

IDLE, WAITING = PlayState.IDLE, PlayState.WAITING
PLAYING, ARMED, CHANGING, ARMED_CHANGING = (
    PlayState.PLAYING,
    PlayState.ARMED,
    PlayState.CHANGING,
    PlayState.ARMED_CHANGING,
)
PAUSED, PAUSED_CHANGING = PlayState.PAUSED, PlayState.PAUSED_CHANGING

A, B, C, D, E = (UUID(int=number) for number in range(1, 6))
"""The rows of the queue. Unless a test says otherwise the peer has received A, C and E, and not B and D."""


class Host:
    """A host's playback with one peer, whose long lead time is that of an unknown clock."""

    def __init__(self) -> None:
        self.now_ns = 1000 * SECOND
        self.members, self.outbox = Members(), Outbox()
        self.members.own = Reports(0)
        self.peer = Member(1, 1, "Ana", bytes(16), self.now_ns, Reports(self.now_ns), "10.0.0.1", Budget())
        self.members.members[1] = self.peer
        playback = Playback()
        self.queue = HostQueue(self.members, playback, self.outbox)
        transitions = HostTransitions(HostTrackFacts(), PLAIN)
        self.transport = TransportControl(self.members, playback, self.queue, transitions, self.outbox)
        for number in range(1, 6):
            self.do(self.queue.add, a_track(number), "Hana")
        for file_id in (A, C, E):
            self.receive(file_id)
        self.settle()

    def do(self, call: Callable[..., None], *arguments: object) -> None:
        call(*arguments, now_ns=self.now_ns)

    def settle(self) -> None:
        self.transport.settle(now_ns=self.now_ns)
        self.queue.settle(now_ns=self.now_ns)

    def receive(self, file_id: UUID) -> None:
        self.peer.transfers[file_id] = Transfer(1000, Delivery.RECEIVED)

    def wait(self, seconds: float) -> None:
        """Let time pass. Nothing happens at its end."""
        self.now_ns += round(seconds * SECOND)

    def outcome(self) -> tuple[PlayState, Code | None, list[type[m.Message]]]:
        """The state, the refusal and the messages about playback since the last call."""
        effects = self.outbox.drain()
        refusals = [f.event.notice.code for f in effects if isinstance(f, e.Notify) and isinstance(f.event, Failed)]
        messages = [type(effect.message) for effect in effects if isinstance(effect, e.Broadcast)]
        said = [kind for kind in messages if kind not in (m.QueueUpdate, m.QueueChange)]
        return self.transport.play_state, next(iter(refusals), None), said


def in_state(state: PlayState) -> Host:
    """A host in this state. The current track is A, or was A; the armed one is B; the pending one is B, or D."""
    host = Host()
    if state in (ARMED, ARMED_CHANGING):
        host.receive(B)
    if state is not IDLE:
        host.do(host.transport.play, None)
        host.settle()
        host.wait(10)
    match state:
        case PlayState.WAITING:
            end(host)
            host.peer.transfers[B] = Transfer(1000, offered_at_ns=host.now_ns)
        case PlayState.CHANGING:
            host.do(host.transport.next)
        case PlayState.ARMED_CHANGING:
            host.wait(50.1)  # less than the lead time before the end: B cannot be disarmed
            host.do(host.transport.play, D)
        case PlayState.PAUSED | PlayState.PAUSED_CHANGING:
            host.do(host.transport.pause)
            host.wait(10)
            if state is PAUSED_CHANGING:
                host.do(host.transport.play, B)
    host.settle()
    assert host.outcome()[0] is state
    return host


# -- the events --------------------------------------------------------------------------------------------------------


def end(host: Host) -> None:
    """The end of the current track, or some time."""
    host.now_ns = host.transport.end_ns() or host.now_ns + SECOND
    host.do(host.transport.end_tracks)


def received(host: Host) -> None:
    """The peer has received the pending track, if there is one."""
    pending = host.transport.waiting_for()
    if pending is not None:
        host.receive(pending.id)


def next_ready(host: Host) -> None:
    """The peer has received the row after the current one; if that is the pending one, the peer is far."""
    pending = host.transport.waiting_for()
    if pending is None or pending.id != B:
        host.receive(B)
    else:
        host.peer.reports.far = True


def next_missing(host: Host) -> None:
    """The row after the current one is one that the peer does not have. There is time to disarm another one."""
    host.peer.reports.take(REPORT, now_ns=host.now_ns)
    host.do(host.queue.move, D, 1)


def overdue(host: Host) -> None:
    """The pending track has been waited for too long, or as long as the armed one leaves."""
    host.now_ns += SILENCE_NS if host.transport.play_state is not ARMED_CHANGING else 100 * MS
    host.do(host.transport.end_tracks)


EVENTS: dict[Event, Callable[[Host], None]] = {
    Event.PLAY: lambda host: host.do(host.transport.play, None),
    Event.PLAY_ROW: lambda host: host.do(host.transport.play, C),
    Event.PAUSE: lambda host: host.do(host.transport.pause),
    Event.RESUME: lambda host: host.do(host.transport.resume),
    Event.STOP: lambda host: host.do(host.transport.stop),
    Event.SEEK: lambda host: host.do(host.transport.seek, 10),
    Event.NEXT: lambda host: host.do(host.transport.next),
    Event.PREVIOUS: lambda host: host.do(host.transport.previous),
    Event.END: end,
    Event.RECEIVED: received,
    Event.AUTOPLAY: lambda host: host.transport.autoplay(0),
    Event.NEXT_READY: next_ready,
    Event.NEXT_MISSING: next_missing,
    Event.OVERDUE: overdue,
}


# -- the outcomes ------------------------------------------------------------------------------------------------------

PLAY, PAUSE, RESUME = m.PlayCommand, m.PauseCommand, m.ResumeCommand
STOP, SEEK = m.StopCommand, m.SeekCommand

Outcome = tuple[PlayState, list[type[m.Message]]] | Code | None


def to(state: PlayState, *messages: type[m.Message]) -> Outcome:
    """The state afterwards and the messages to the peer."""
    return state, list(messages)


def outcomes(*cells: Outcome) -> dict[Event, Outcome]:
    return dict(zip(Event, cells, strict=True))


# For each event, in order: the state afterwards and the messages; or the refusal; or None if the event cannot occur
# in this state. The state stays as it is after a refusal and for None.
OUTCOMES: dict[PlayState, dict[Event, Outcome]] = {
    IDLE: outcomes(
        to(PLAYING, PLAY),
        to(PLAYING, PLAY),
        Code.NOTHING_PLAYING,
        Code.NOTHING_PAUSED,
        Code.NOTHING_PLAYING,
        Code.NOTHING_PLAYING,
        Code.NOTHING_PLAYING,
        Code.NOTHING_PLAYING,
        None,
        None,
        to(PLAYING, PLAY),
        None,
        None,
        None,
    ),
    WAITING: outcomes(
        Code.WAITING_FOR_PEERS,
        to(PLAYING, PLAY),
        Code.NOTHING_PLAYING,
        Code.NOTHING_PAUSED,
        to(IDLE, STOP),
        Code.NOTHING_PLAYING,
        to(PLAYING, PLAY),
        Code.NOTHING_PLAYING,
        None,
        to(ARMED, PLAY, PLAY),
        to(WAITING),
        None,
        None,
        to(PLAYING, PLAY),
    ),
    PLAYING: outcomes(
        Code.ALREADY_PLAYING,
        to(PLAYING, PLAY),
        to(PAUSED, PAUSE),
        Code.NOTHING_PAUSED,
        to(IDLE, STOP),
        to(PLAYING, SEEK),
        to(CHANGING),
        to(PLAYING, SEEK),
        to(WAITING),
        None,
        to(PLAYING),
        to(ARMED, PLAY),
        to(PLAYING),
        None,
    ),
    ARMED: outcomes(
        Code.ALREADY_PLAYING,
        to(PLAYING, PLAY),
        to(PAUSED, PAUSE),
        Code.NOTHING_PAUSED,
        to(IDLE, STOP),
        to(ARMED, SEEK, PLAY),
        to(ARMED, PLAY, PLAY),
        to(ARMED, SEEK, PLAY),
        to(ARMED, PLAY),
        None,
        to(ARMED),
        to(ARMED),
        to(PLAYING, PLAY),
        None,
    ),
    CHANGING: outcomes(
        Code.ALREADY_PLAYING,
        to(PLAYING, PLAY),
        to(PAUSED, PAUSE),
        Code.NOTHING_PAUSED,
        to(IDLE, STOP),
        to(CHANGING, SEEK),
        to(PLAYING, PLAY),
        to(CHANGING, SEEK),
        to(WAITING),
        to(ARMED, PLAY, PLAY),
        to(CHANGING),
        to(ARMED_CHANGING, PLAY),
        to(CHANGING),
        to(CHANGING),
    ),
    ARMED_CHANGING: outcomes(
        Code.ALREADY_PLAYING,
        to(PLAYING, PLAY),
        to(PAUSED, PAUSE),
        Code.NOTHING_PAUSED,
        to(IDLE, STOP),
        to(CHANGING, SEEK),
        to(PLAYING, PLAY),
        to(CHANGING, SEEK),
        to(CHANGING),
        to(ARMED, PLAY, PLAY),
        to(ARMED_CHANGING),
        to(ARMED_CHANGING),
        to(CHANGING, PLAY),
        to(ARMED_CHANGING),
    ),
    PAUSED: outcomes(
        to(PLAYING, RESUME),
        to(PLAYING, PLAY),
        Code.NOTHING_PLAYING,
        to(PLAYING, RESUME),
        to(IDLE, STOP),
        to(PAUSED, SEEK),
        to(PAUSED_CHANGING),
        to(PAUSED, SEEK),
        None,
        None,
        to(PAUSED),
        None,
        None,
        None,
    ),
    PAUSED_CHANGING: outcomes(
        to(CHANGING, RESUME),
        to(PLAYING, PLAY),
        Code.NOTHING_PLAYING,
        to(CHANGING, RESUME),
        to(IDLE, STOP),
        to(PAUSED_CHANGING, SEEK),
        to(PLAYING, PLAY),
        to(PAUSED_CHANGING, SEEK),
        None,
        to(ARMED, PLAY, PLAY),
        to(PAUSED_CHANGING),
        None,
        None,
        to(PAUSED_CHANGING),
    ),
}


@pytest.mark.parametrize("event", Event)
@pytest.mark.parametrize("state", PlayState)
def test_every_event_in_every_state(state: PlayState, event: Event) -> None:
    host = in_state(state)
    EVENTS[event](host)
    host.settle()
    expected = OUTCOMES[state][event]
    if expected is None:
        assert host.outcome() == (state, None, [])
    elif isinstance(expected, Code):
        assert host.outcome() == (state, expected, [])
    else:
        assert host.outcome() == (expected[0], None, expected[1])


def test_the_table_has_all_cells() -> None:
    cells = {(state, event): cell for state, row in TABLE.items() for event, cell in row.items()}
    assert cells.keys() == {(state, event) for state in PlayState for event in Event}
    impossible = {(state, event) for state in PlayState for event in Event if OUTCOMES[state][event] is None}
    assert {at for at, cell in cells.items() if cell is None} == impossible


def test_a_pending_track_that_is_armed_already_stays_armed() -> None:
    host = in_state(ARMED)
    del host.peer.transfers[B]  # `retry`: the peer must receive it again
    host.do(host.transport.play, B)
    host.settle()
    assert host.outcome() == (ARMED_CHANGING, None, [])
    end(host)
    host.settle()
    assert host.outcome() == (ARMED, None, [PLAY])


def test_a_chosen_track_starts_although_the_armed_one_could_not_be_disarmed() -> None:
    host = in_state(ARMED_CHANGING)
    end(host)
    host.settle()
    assert host.outcome() == (CHANGING, None, [])
    host.receive(D)
    host.settle()
    assert host.outcome()[0] is ARMED  # the track after it, which the peer has
    assert host.transport.playback.current is not None and host.transport.playback.current.file_id == D


def test_too_near_to_the_end_no_track_is_armed() -> None:
    host = in_state(PLAYING)
    host.wait(50.1)
    assert 0 < (host.transport.end_ns() or 0) - host.now_ns < 540 * MS
    host.receive(B)
    host.settle()
    assert host.outcome() == (PLAYING, None, [])
