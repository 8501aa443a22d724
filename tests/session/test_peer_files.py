"""The files of a peer: fetched, evicted, fetched again."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable

import pytest

from phaselock.model.queue import ItemStatus, QueueItem
from phaselock.protocol import messages as m
from phaselock.session import effects as e
from phaselock.session.outbox import Outbox
from phaselock.session.peer.files import NEXT_STATES, LocalFile, LocalState, PeerFiles
from phaselock.session.peer.pieces import PeerPieces
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
        self.shelf = PeerFiles(self.outbox, lambda now_ns: now_ns, PeerPieces(self.outbox))
        self.shelf.offered(START, 3, TOKEN, now_ns=0)
        self.shelf.ready(TRACK.file_id, connected=True, now_ns=0)
        self.shelf.take_queue((ROW,))
        self.settle(frozenset())
        self.shelf.gone(TRACK.file_id, is_open=True)

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
    peer.shelf.gone(TRACK.file_id, is_open=True)
    assert peer.shelf.has(TRACK.file_id) and peer.settle(LINE) == []


def test_without_a_host_nothing_is_fetched_until_the_file_is_offered_again() -> None:
    peer = Peer()
    peer.shelf.lost_host()
    assert peer.settle(LINE) == []
    peer.shelf.offered(START, 3, TOKEN, now_ns=0)
    assert peer.settle(LINE) == [FETCH]
    peer.shelf.ready(TRACK.file_id, connected=True, now_ns=0)
    assert peer.done() == [e.Send(e.HOST_CONN, m.FileReceived(TRACK.file_id, hash_ok=True))]


# -- the bound of what a host's queue keeps in the cache ---------------------------------------------------------------

GB = 1 << 30


class Announced:
    """A peer to which a host has announced songs of 1 GiB, numbered from 1, with their rows in this order."""

    def __init__(self, count: int) -> None:
        self.outbox = Outbox()
        self.files = PeerFiles(self.outbox, lambda now_ns: now_ns, PeerPieces(self.outbox))
        self.tracks = [dataclasses.replace(a_track(number), size=GB) for number in range(1, count + 1)]
        for t in self.tracks:
            start = m.FileTransferStart(t.file_id, t.file_name, t.size, t.sha256, t.rate_hz, t.frames, "", "")
            assert self.files.offered(start, 3, TOKEN, now_ns=0)
        self.files.take_queue(
            tuple(QueueItem(t.file_id, t.file_name, 1.0, "Hana", ItemStatus.READY, "", "") for t in self.tracks)
        )

    def kept(self, *sounding: int) -> set[int]:
        """The numbers of the songs to keep while these sound."""
        self.files.settle(frozenset(self.tracks[number - 1].file_id for number in sounding))
        (keep,) = (effect for effect in self.outbox.drain() if isinstance(effect, e.Keep))
        return {number for number, t in enumerate(self.tracks, 1) if t.sha256 in keep.hashes}


def test_a_host_keeps_no_more_than_the_bound_in_the_cache_of_a_peer() -> None:
    assert Announced(100).kept() == {1, 2, 3, 4}


def test_the_songs_that_are_needed_first_are_kept() -> None:
    peer = Announced(10)
    assert peer.kept(3) == {3, 4, 5, 6}
    assert peer.kept(9) == {9, 10, 1, 2}


def test_the_current_song_and_the_next_are_kept_on_a_small_disk() -> None:
    peer = Announced(10)
    peer.files.room(0)
    assert peer.kept(3) == {3, 4}
    assert peer.kept(3, 7) == {3, 7}
    peer.files.room(3 * GB)
    assert peer.kept(3, 7) == {3, 7, 8}


def test_an_evicted_song_beyond_the_bound_is_not_fetched_again() -> None:
    peer = Announced(10)
    peer.kept(1)
    for number in (2, 9):
        file_id = peer.tracks[number - 1].file_id
        peer.files.ready(file_id, connected=True, now_ns=0)
        peer.files.gone(file_id, is_open=False)
    peer.outbox.drain()
    peer.files.settle(frozenset({peer.tracks[0].file_id}))
    fetched = [effect.track for effect in peer.outbox.drain() if isinstance(effect, e.Fetch)]
    assert fetched == [peer.tracks[1]]


# -- the states of a file ----------------------------------------------------------------------------------------------

MISSING, FETCHING, RECEIVED = LocalState.MISSING, LocalState.FETCHING, LocalState.RECEIVED
EVICTED, REFETCHING = LocalState.EVICTED, LocalState.REFETCHING

INPUTS: dict[str, Callable[[Peer], object]] = {
    "offered": lambda peer: peer.shelf.offered(START, 3, TOKEN, now_ns=0),
    "ready": lambda peer: peer.shelf.ready(TRACK.file_id, connected=True, now_ns=0),
    "failed": lambda peer: peer.shelf.failed(TRACK.file_id, "It went.", connected=True, now_ns=0),
    "unplayable": lambda peer: peer.shelf.unplayable(TRACK.file_id, "Noise.", connected=True, now_ns=0),
    "gone": lambda peer: peer.shelf.gone(TRACK.file_id, is_open=True),
    "host lost": lambda peer: peer.shelf.lost_host(),
    "needed": lambda peer: peer.shelf.settle(LINE),
}
TO_STATE: dict[LocalState, tuple[str, ...]] = {
    EVICTED: (),
    REFETCHING: ("needed",),
    FETCHING: ("offered",),
    MISSING: ("offered", "failed"),
    RECEIVED: ("offered", "ready"),
}
"""The inputs that lead to a state from the first one of `Peer`."""

# The state after each input, in the order of INPUTS.
STATES = {
    MISSING: (FETCHING, MISSING, MISSING, MISSING, MISSING, MISSING, MISSING),
    FETCHING: (FETCHING, RECEIVED, MISSING, MISSING, FETCHING, MISSING, FETCHING),
    RECEIVED: (RECEIVED, RECEIVED, RECEIVED, MISSING, EVICTED, RECEIVED, RECEIVED),
    EVICTED: (FETCHING, EVICTED, EVICTED, EVICTED, EVICTED, EVICTED, REFETCHING),
    REFETCHING: (FETCHING, RECEIVED, EVICTED, MISSING, REFETCHING, EVICTED, REFETCHING),
}


def state_of(peer: Peer) -> LocalState:
    return peer.shelf._files[TRACK.file_id].state


@pytest.mark.parametrize(("number", "name"), list(enumerate(INPUTS)))
@pytest.mark.parametrize("state", LocalState)
def test_every_input_in_every_state_of_a_file(state: LocalState, number: int, name: str) -> None:
    peer = Peer()
    for before in TO_STATE[state]:
        INPUTS[before](peer)
    assert state_of(peer) is state
    INPUTS[name](peer)
    assert state_of(peer) is STATES[state][number]


def test_the_table_of_transitions_has_those_that_occur_and_no_others() -> None:
    occurring = {state: frozenset(states) - {state} for state, states in STATES.items()}
    assert occurring == NEXT_STATES


@pytest.mark.parametrize(("before", "after"), list(itertools.product(LocalState, LocalState)))
def test_a_transition_that_is_not_in_the_table_is_a_bug(before: LocalState, after: LocalState) -> None:
    file = LocalFile(TRACK, before)
    if after in NEXT_STATES[before]:
        file.become(after)
        assert file.state is after
    else:
        with pytest.raises(AssertionError):
            file.become(after)
