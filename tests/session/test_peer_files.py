"""The files of a peer: fetched, evicted, fetched again."""

from __future__ import annotations

import dataclasses

import pytest

from phaselock.model.queue import ItemStatus, QueueItem
from phaselock.protocol import messages as m
from phaselock.session import effects as e
from phaselock.session.outbox import Outbox
from phaselock.session.peer.files import PeerFiles
from tests.support.simulation import a_track

TRACK = a_track(1)
START = m.FileTransferStart(
    TRACK.file_id, TRACK.file_name, TRACK.size, TRACK.sha256, TRACK.rate_hz, TRACK.frames, TRACK.title, TRACK.artist
)
ROW = QueueItem(TRACK.file_id, TRACK.file_name, 1.0, "Hana", ItemStatus.PLAYED, "", "")
TOKEN = bytes(16)
FETCH = e.Fetch(TRACK, 3, TOKEN)
LINE = frozenset({TRACK.file_id})


class Peer:
    """A peer whose only file was received, played and evicted."""

    def __init__(self) -> None:
        self.outbox = Outbox()
        self.shelf = PeerFiles(self.outbox, lambda now_ns: now_ns)
        self.shelf.offered(START, 3, TOKEN, now_ns=0)
        self.shelf.ready(TRACK.file_id, connected=True, now_ns=0)
        self.shelf.take_queue((ROW,))
        self.settle(frozenset())
        self.shelf.gone(TRACK.file_id)

    def settle(self, lines: frozenset = frozenset()) -> list[e.Effect]:
        """The effects for these timelines."""
        self.shelf.settle(lines)
        return self.done()

    def done(self) -> list[e.Effect]:
        return [effect for effect in self.outbox.drain() if not isinstance(effect, (e.Keep, e.Notify))]


def test_an_evicted_file_is_fetched_again_only_once_it_is_needed() -> None:
    peer = Peer()
    assert not peer.shelf.has(TRACK.file_id)
    assert peer.settle() == []
    assert peer.settle(LINE) == [FETCH]
    assert peer.settle() == peer.settle(LINE) == []
    assert peer.shelf.ready(TRACK.file_id, connected=True, now_ns=0) == TRACK
    assert peer.done() == [] and peer.shelf.has(TRACK.file_id)  # the host was not told of the eviction


@pytest.mark.parametrize("status", [ItemStatus.READY, ItemStatus.PLAYING])
def test_a_row_that_is_not_played_yet_needs_its_file(status: ItemStatus) -> None:
    peer = Peer()
    peer.shelf.take_queue((dataclasses.replace(ROW, status=status),))
    assert peer.settle() == [FETCH]


def test_a_failed_fetch_is_tried_again_at_the_next_change() -> None:
    peer = Peer()
    peer.settle(LINE)
    peer.shelf.failed(TRACK.file_id, "It went.", connected=True, now_ns=0)
    assert peer.settle(LINE) == []
    assert peer.settle() == []
    assert peer.settle(LINE) == [FETCH]


def test_the_file_of_the_current_track_is_not_evicted() -> None:
    peer = Peer()
    peer.settle(LINE)
    peer.shelf.ready(TRACK.file_id, connected=True, now_ns=0)
    peer.shelf.gone(TRACK.file_id)
    assert peer.shelf.has(TRACK.file_id) and peer.settle(LINE) == []


def test_without_a_host_nothing_is_fetched_until_the_file_is_offered_again() -> None:
    peer = Peer()
    peer.shelf.lost_host()
    assert peer.settle(LINE) == []
    peer.shelf.offered(START, 3, TOKEN, now_ns=0)
    assert peer.settle(LINE) == [FETCH]
    peer.shelf.ready(TRACK.file_id, connected=True, now_ns=0)
    assert peer.done() == [e.Send(e.HOST_CONN, m.FileReceived(TRACK.file_id, hash_ok=True))]
