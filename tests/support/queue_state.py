"""A session with songs in its queue, and what its machines show of it."""

from __future__ import annotations

from uuid import UUID

from phaselock.protocol import messages as m
from phaselock.session.commands import Play
from tests.support.session_harness import HarnessPeer, SessionHarness, all_follow_the_same, line, ready
from tests.support.simulation import SECOND, SimulatedNode, a_track

NEVER_NS = 10**15
LONG_S = 60.0


def song(number: int) -> UUID:
    return a_track(number).file_id


def rows(node: SimulatedNode) -> list[int]:
    return [row.id.int for row in node.snapshot().queue]


def queue_updates(peer: HarnessPeer) -> list[m.QueueUpdate | m.QueueChange]:
    """All that the host has told of the queue so far, after JoinAccepted."""
    return [message for message in peer.received if isinstance(message, m.QueueUpdate | m.QueueChange)]


def plays(node: SimulatedNode) -> int | None:
    """The number of the current song."""
    now, timeline = node.snapshot().now, node.snapshot().timeline
    assert (now and now.id) == (timeline and timeline.file_id)
    return now.id.int if now else None


def armed(node: SimulatedNode) -> int | None:
    then = node.snapshot().then
    return then.file_id.int if then else None


def playing(tracks: int, *, seconds: float = LONG_S, number: int = 1) -> tuple[SessionHarness, list[HarnessPeer]]:
    """Every peer has every file, and that song plays."""
    harness, peers = ready(tracks=tracks, seconds=seconds)
    harness.command(Play(song(number)))
    harness.run(1)
    return harness, peers


def agree(harness: SessionHarness, peers: list[HarnessPeer]) -> bool:
    """All peers know and follow what the host knows and follows."""
    mine = harness.host.snapshot()
    for peer in peers:
        theirs = peer.snapshot()
        assert (theirs.queue, theirs.timeline, theirs.then) == (mine.queue, mine.timeline, mine.then)
        assert plays(peer) == plays(harness.host)
    return all_follow_the_same(harness, peers)


def to_the_end(harness: SessionHarness, seconds: float = LONG_S) -> None:
    """Run until the current song has ended."""
    end_ns = line(harness).session_ns_at(round(seconds * line(harness).rate_hz))
    harness.run((end_ns - harness.now_ns) / SECOND + 0.5)
