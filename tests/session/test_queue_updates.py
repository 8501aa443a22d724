"""How the queue is sent to the peers, with the statuses of its rows."""

from __future__ import annotations

import dataclasses

import pytest

from phaselock.model.notices import Code
from phaselock.model.queue import ItemStatus
from phaselock.model.queue_change import QueueDifference, RowStatus
from phaselock.protocol import messages as m
from phaselock.session.commands import Add, Move, Remove
from phaselock.session.peer import queue
from tests.support.queue_state import NEVER_NS, agree, playing, queue_updates, rows, song
from tests.support.session_harness import SessionHarness, ready
from tests.support.simulation import SECOND, a_track


def test_every_change_of_the_queue_is_sent_to_all_peers_with_its_revision() -> None:
    """Add, remove, reorder, and the statuses."""
    harness, peers = ready(tracks=3)
    revisions = [[update.revision for update in queue_updates(peer)] for peer in peers]
    assert revisions[0] == revisions[1] == sorted(set(revisions[0]))
    changes = (Add(a_track(4)), [1, 2, 3, 4]), (Move(song(4), 0), [4, 1, 2, 3]), (Remove(song(2)), [4, 1, 3])
    for command, order in changes:
        counts = [len(queue_updates(peer)) for peer in peers]
        harness.command(command)
        harness.run(0.5)
        for peer, count in zip(peers, counts, strict=True):
            updates = queue_updates(peer)
            assert len(updates) > count and updates[-1].revision > updates[count - 1].revision
            assert order == rows(peer)
    assert rows(harness.host) == [4, 1, 3] and agree(harness, peers)
    assert [event.fields["revision"] for event in harness.host.events("queue")] == [
        update.revision for update in queue_updates(peers[0])
    ]


def test_a_change_of_a_long_queue_is_told_without_the_rows_that_stay() -> None:
    harness, (ana, _) = ready(tracks=20)
    before = len(queue_updates(ana))
    harness.command(Add(a_track(21)), Move(song(5), 6), Remove(song(2)))
    harness.run(1)
    told = queue_updates(ana)[before:]
    assert told and all(isinstance(one, m.QueueChange) and len(one.change.rows) <= 3 for one in told)
    assert agree(harness, harness.peers)
    late = harness.join("Late")
    harness.run(0.1)
    harness.command(Remove(song(3)))
    harness.run(1)
    assert rows(late) == rows(harness.host) and isinstance(queue_updates(late)[0], m.QueueChange)


@pytest.mark.parametrize(
    "change",
    [
        m.QueueChange(0, 99, QueueDifference(0, 0, (), ())),
        m.QueueChange(-1, 99, QueueDifference(0, 5, (), ())),
        m.QueueChange(-1, 99, QueueDifference(0, 0, (), (RowStatus(9, ItemStatus.READY),))),
    ],
    ids=["revision", "rows", "place"],
)
def test_a_change_of_another_queue_breaks_the_protocol(change: m.QueueChange) -> None:
    """A base of -1 stands for the right one."""
    _, (ana, _) = ready(tracks=4)
    base = ana.core.told_queue.revision if change.base < 0 else change.base
    ana.call(ana.core.received, dataclasses.replace(change, base=base))
    assert ana.ended is not None and ana.ended.reason.code is Code.HOST_BROKE_PROTOCOL


def test_titles_and_artists_are_sent_with_rows_and_files() -> None:
    harness = SessionHarness()
    ana = harness.join("Ana")
    harness.run(0.1)
    harness.command(Add(a_track(title="Blue\x07 Moon", artist="  The \u202eBand ")))
    harness.run(1)
    row, track = ana.snapshot().queue[0], ana.fetches[0].track
    assert (row.title, row.artist) == ("Blue Moon", "The Band") == (track.title, track.artist)
    assert ana.events("queue")[-1].fields["queue"][0]["title"] == "Blue Moon"  # type: ignore[index]


def test_a_long_queue_is_sent_at_a_limited_rate_and_its_last_state_arrives() -> None:
    harness = SessionHarness()
    harness.command(*(Add(a_track(number)) for number in range(1, 501)))
    ana = harness.join("Ana")
    ana.transfer_ns = NEVER_NS
    harness.run(2)
    count, begun_ns = len(queue_updates(ana)), harness.now_ns
    for number in range(100):
        harness.command(Move(song(500 - number), 0))
        harness.run(0.01)
    told, took_s = len(queue_updates(ana)) - count, (harness.now_ns - begun_ns) / SECOND
    assert told <= took_s / 0.2 + 1  # QUEUE_GAP_NS for each of the 400 rows above SHORT_QUEUE
    harness.run(0.3)
    assert rows(ana) == rows(harness.host) and rows(ana)[0] == 401
    harness.command(Move(song(1), 0))
    harness.run(0.01)
    assert rows(ana)[0] == 1  # a single change is sent at once


def test_only_new_texts_are_reduced_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """A host may send a queue of 2000 rows again and again."""
    reduced: list[str] = []
    monkeypatch.setattr(queue, "file_label", lambda text: reduced.append(text) or text)
    harness, (ana, _) = ready(tracks=4)
    reduced.clear()
    harness.command(Move(song(4), 0), Add(a_track(5)))
    harness.run(1)
    assert set(reduced) == {"song 5.mp3"} and len(reduced) == 2  # at two peers
    assert rows(ana) == rows(harness.host)


def test_a_short_queue_is_sent_at_every_change() -> None:
    harness, (ana, _) = ready(tracks=4)
    count = len(queue_updates(ana))
    for place in (3, 2, 1, 0) * 5:
        harness.command(Move(song(4), place))
    harness.run(0.1)
    assert len(queue_updates(ana)) - count >= 19


@pytest.mark.parametrize("number", [2, 3])
def test_all_nodes_show_the_same_row_statuses(number: int) -> None:
    harness, peers = playing(3, seconds=8)
    harness.run(8.0 * (number - 1))
    statuses = [row.status for row in harness.host.snapshot().queue]
    assert statuses == [ItemStatus.PLAYED] * (number - 1) + [ItemStatus.PLAYING] + [ItemStatus.READY] * (3 - number)
    assert agree(harness, peers)
