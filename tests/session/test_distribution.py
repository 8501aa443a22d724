"""Which files are sent to which peer, in which order, and what happens when a transfer fails."""

from __future__ import annotations

import dataclasses
import itertools

import pytest

from phaselock.model.queue import ItemStatus
from phaselock.model.snapshot import FileState
from phaselock.protocol import messages as m
from phaselock.session import effects as e
from phaselock.session.commands import Add, Autoplay, Move, Next, Play, Remove, Retry, Stop, Without
from phaselock.session.host.distribution import MAX_OPEN_OFFERS
from tests.support.session_harness import (
    HarnessPeer,
    ReportedOutput,
    SessionHarness,
    all_follow_the_same,
    error,
    line,
    ready,
)
from tests.support.simulation import MS, SECOND, a_track, fetch_proof

NEVER_NS = 10**15
KB = 1000
"""The size of a song in these tests."""


def offers(peer: HarnessPeer) -> list[int]:
    """The numbers of the songs that the peer was offered, in order."""
    return [start.file_id.int for start in peer.told(m.FileTransferStart)]


def give(harness: SessionHarness, peer: HarnessPeer, number: int) -> None:
    """The fetch of that song is complete."""
    peer.call(peer.core.file_ready, a_track(number).file_id)
    harness.run(0.02)


def slow(harness: SessionHarness, name: str) -> HarnessPeer:
    """A peer whose fetches are complete when the test calls `give`."""
    peer = harness.join(name)
    peer.transfer_ns = NEVER_NS
    harness.run(0.3)
    return peer


def without_ana(*, tracks: int = 1) -> tuple[SessionHarness, HarnessPeer, HarnessPeer]:
    """The first song could not be sent to Ana."""
    harness = SessionHarness()
    ana, ben = harness.join("Ana"), harness.join("Ben")
    ana.fetch_results = itertools.chain([False] * 3, itertools.repeat(True))
    harness.run(0.1)
    harness.command(Add(a_track(1)))
    harness.run(5)
    harness.command(*(Add(a_track(number + 1)) for number in range(1, tracks)))
    harness.run(5)
    assert len(harness.host.events("error")) == 1
    return harness, ana, ben


# -- the order of need -------------------------------------------------------------------------------------------------


def test_files_are_offered_a_few_at_a_time_in_the_order_of_the_queue() -> None:
    harness = SessionHarness()
    ana = slow(harness, "Ana")
    harness.command(*(Add(a_track(number)) for number in range(1, 7)))
    harness.run(1)
    assert offers(ana) == [1, 2, 3] and MAX_OPEN_OFFERS == 3
    give(harness, ana, 1)
    assert offers(ana) == [1, 2, 3, 4]
    give(harness, ana, 3)
    assert offers(ana) == [1, 2, 3, 4, 5]


def test_a_newcomer_is_offered_the_current_then_the_next_then_the_earlier_tracks() -> None:
    harness = SessionHarness()
    harness.command(*(Add(a_track(number)) for number in range(1, 7)), Play(a_track(4).file_id))
    ana = slow(harness, "Ana")
    for number in (4, 5, 6, 1, 2, 3):
        give(harness, ana, number)
    assert offers(ana) == [4, 5, 6, 1, 2, 3]


def test_a_track_that_is_waited_for_is_offered_first() -> None:
    harness = SessionHarness()
    harness.command(*(Add(a_track(number)) for number in range(1, 9)), Play())
    ana = slow(harness, "Ana")
    for number in (1, 2):
        give(harness, ana, number)
    harness.run(1)
    assert offers(ana) == [1, 2, 3, 4, 5]
    harness.command(Play(a_track(8).file_id))
    give(harness, ana, 3)
    assert offers(ana) == [1, 2, 3, 4, 5, 8]


def test_a_reorder_changes_what_is_offered_next() -> None:
    harness = SessionHarness()
    ana = slow(harness, "Ana")
    harness.command(*(Add(a_track(number)) for number in range(1, 8)))
    harness.command(Move(a_track(7).file_id, 1))
    harness.run(0.1)
    give(harness, ana, 1)
    give(harness, ana, 2)
    assert offers(ana) == [1, 2, 3, 7, 4]


def test_a_removed_track_makes_room_for_another_offer() -> None:
    harness = SessionHarness()
    ana = slow(harness, "Ana")
    harness.command(*(Add(a_track(number)) for number in range(1, 6)))
    harness.run(0.1)
    harness.command(Remove(a_track(2).file_id))
    harness.run(0.1)
    assert offers(ana) == [1, 2, 3, 4]
    assert ana.of(e.CancelFetch) == [e.CancelFetch(a_track(2).file_id)]
    allowed = harness.host.core.authorise_fetch
    assert allowed(ana.fetches[0].peer_id, fetch_proof(ana.fetches[0].token), a_track(2).file_id) is None


def test_a_file_that_is_offered_before_its_queue_row_is_kept() -> None:
    """A queue of more than 100 rows is sent at a limited rate: the file may be offered before its row is sent."""
    harness = SessionHarness()
    ana = harness.join("Ana")
    ana.transfer_ns = 10 * MS
    harness.run(0.1)
    harness.command(*(Add(a_track(number)) for number in range(1, 161)))
    harness.run(60)
    assert harness.host.snapshot().peers[0].ready
    harness.command(Add(a_track(161)), Add(a_track(162)))
    harness.run(5)
    assert offers(ana)[-2:] == [161, 162] and not ana.of(e.CancelFetch)
    assert harness.host.snapshot().peers[0].ready
    assert len(ana.of(e.Keep)[-1].hashes) == 162


# -- room --------------------------------------------------------------------------------------------------------------


def test_a_peer_is_offered_as_much_as_its_free_space_holds() -> None:
    harness = SessionHarness()
    ana, ben = harness.join("Ana"), harness.join("Ben")
    ana.call(ana.core.room, 4 * KB + 999)
    harness.run(0.5)
    harness.command(*(Add(a_track(number)) for number in range(1, 9)))
    harness.run(5)
    harness.command(Play())
    assert offers(ana) == [1, 2, 3, 4] and offers(ben) == [1, 2, 3, 4, 5, 6, 7, 8]
    harness.command(Next())
    harness.run(5)
    assert offers(ana) == [1, 2, 3, 4, 5]
    ana.call(ana.core.room, 6 * KB)
    harness.run(2)
    assert offers(ana) == [1, 2, 3, 4, 5, 6, 7]


@pytest.mark.parametrize("room", [0, -1, KB])
def test_the_current_and_the_next_track_are_offered_without_free_space(room: int) -> None:
    harness = SessionHarness()
    ana = harness.join("Ana")
    ana.call(ana.core.room, room)
    harness.run(0.5)
    harness.command(*(Add(a_track(number)) for number in range(1, 6)), Play())
    harness.run(1)
    assert offers(ana) == [1, 2]
    harness.command(Play(), Next())
    harness.run(1)
    assert offers(ana) == [1, 2, 3] and line(harness).file_id.int == 2
    assert all_follow_the_same(harness, [ana])


def test_a_track_beyond_the_free_space_is_offered_before_it_is_played() -> None:
    harness = SessionHarness()
    ana = harness.join("Ana")
    ana.call(ana.core.room, 2 * KB)
    harness.run(0.5)
    harness.command(*(Add(a_track(number)) for number in range(1, 9)))
    harness.run(1)
    harness.command(Play())
    harness.run(1)
    harness.command(Play(a_track(7).file_id))
    harness.run(1)
    assert offers(ana)[:3] == [1, 2, 7] and line(harness).file_id.int == 7
    assert all_follow_the_same(harness, [ana])


# -- files that cannot be sent -----------------------------------------------------------------------------------------


def test_play_is_refused_until_the_host_retries_or_goes_on_without() -> None:
    harness, ana, _ = without_ana()
    harness.command(Play())
    told = harness.host.events("error")[-1].fields
    assert told["message"] == "Waiting for all peers to receive the file." and told["peers"] == ["Ana"]
    assert harness.host.snapshot().timeline is None
    (view, _) = harness.host.snapshot().peers
    assert [(file.file_id.int, file.state) for file in view.files] == [(1, FileState.FAILED)]
    assert view.waited_for and not view.ready and view.have == frozenset()


def test_retry_sends_it_once_more_and_waits_for_it() -> None:
    harness, ana, ben = without_ana()
    ana.transfer_ns = 2 * SECOND
    harness.command(Retry("ana"))
    harness.run(1)
    assert [item.status for item in harness.host.snapshot().queue] == [ItemStatus.TRANSFERRING]
    harness.command(Play())
    assert error(harness.host) == "Waiting for all peers to receive the file."
    harness.run(2)
    assert len(ana.fetches) == 4 and len(ben.fetches) == 1
    harness.command(Play())
    harness.run(0.1)
    assert all_follow_the_same(harness, [ana, ben])


def test_a_retry_has_three_attempts_again() -> None:
    harness, ana, _ = without_ana()
    ana.fetch_results = itertools.repeat(False)
    harness.command(Retry(None))
    harness.run(10)
    assert len(ana.fetches) == 6
    assert [event.fields["peer"] for event in harness.host.events("error")] == ["Ana", "Ana"]


def test_without_skips_the_peer_until_a_retry() -> None:
    harness, ana, ben = without_ana(tracks=2)
    harness.command(Without("Ana"), Play())
    harness.run(1)
    assert ben.following == harness.host.following is not None and line(harness).file_id.int == 1
    assert ana.following == e.Follow(harness.host.snapshot().then)
    assert not harness.host.snapshot().peers[0].waited_for
    harness.command(Next())
    harness.run(1)
    assert all_follow_the_same(harness, [ana, ben])  # its files are still sent
    harness.command(Retry("Ana"))
    assert harness.host.snapshot().peers[0].waited_for


def test_a_retry_undoes_without_if_no_file_was_given_up() -> None:
    harness, _ = ready()
    harness.command(Without("Ana"))
    assert not harness.host.snapshot().peers[0].waited_for
    harness.command(Retry("Ana"))
    assert harness.host.snapshot().peers[0].waited_for
    assert not harness.host.events("error")


@pytest.mark.parametrize(
    ("command", "answer"),
    [
        (Retry("Zoe"), "There is no peer called Zoe."),
        (Without("Zoe"), "There is no peer called Zoe."),
        (Retry("Ben"), "There is nothing to try again."),
    ],
)
def test_retry_and_without_of_unknown_peers_are_refused(command: Retry | Without, answer: str) -> None:
    harness, _, _ = without_ana()
    harness.command(command)
    assert error(harness.host) == answer


def test_retry_of_all_is_refused_if_nothing_failed() -> None:
    harness, _ = ready()
    harness.command(Retry(None))
    assert error(harness.host) == "There is nothing to try again."
    lonely = SessionHarness()
    lonely.command(Retry(None))
    assert [event.fields["message"] for event in lonely.host.events("error")] == ["There is nothing to try again."]


def test_auto_advance_skips_a_peer_that_could_not_get_the_file() -> None:
    harness, (ana, ben) = ready(seconds=8)
    ana.fetch_results = itertools.repeat(False)
    harness.command(Play(), Add(a_track(2, 8)))
    harness.run(9)
    assert line(harness).file_id.int == 2
    assert ben.following == harness.host.following
    assert ana.following is not None and ana.following.timeline is not None
    assert ana.following.timeline.file_id.int == 1
    assert ana.ended is None


def test_autoplay_skips_a_peer_that_could_not_get_the_file() -> None:
    harness = SessionHarness()
    ana, ben = harness.join("Ana"), harness.join("Ben")
    ana.fetch_results = itertools.repeat(False)
    harness.command(Add(a_track()), Autoplay(1))
    harness.run(5)
    assert ben.following == harness.host.following is not None


def test_autoplay_counts_only_peers_that_have_the_file() -> None:
    harness = SessionHarness()
    ana = harness.join("Ana")
    ana.fetch_results = itertools.chain([False] * 3, itertools.repeat(True))
    harness.join("Ben")
    harness.command(Add(a_track()), Autoplay(2))
    harness.run(10)
    assert harness.host.snapshot().timeline is None
    harness.command(Retry("Ana"))
    harness.run(2)
    assert harness.host.snapshot().timeline is not None


def test_a_retry_while_playing_keeps_the_armed_track() -> None:
    harness, (ana, ben) = ready()
    ana.fetch_results = itertools.chain([False] * 3, itertools.repeat(True))
    harness.command(Play(), Add(a_track(2)))
    harness.run(8)
    assert harness.host.snapshot().then is not None
    ana.transfer_ns = 3 * SECOND
    harness.command(Retry("Ana"))
    harness.run(1)
    assert ben.following == harness.host.following is not None and ana.following != harness.host.following
    harness.run(3)
    assert all_follow_the_same(harness, [ana, ben])


# -- newcomers and the slow --------------------------------------------------------------------------------------------


def test_a_newcomer_is_not_waited_for_until_it_has_caught_up() -> None:
    harness, peers = ready(tracks=4)
    harness.command(Play())
    harness.run(1)
    late = slow(harness, "Late")
    assert not harness.host.snapshot().peers[2].waited_for
    harness.command(Next())
    harness.run(1)
    assert line(harness).file_id.int == 2 and all_follow_the_same(harness, peers)
    assert [item.status for item in harness.host.snapshot().queue][2:] == [ItemStatus.READY] * 2
    give(harness, late, 2) if 2 in offers(late) else None
    assert not harness.host.snapshot().peers[2].waited_for
    give(harness, late, 3)
    assert harness.host.snapshot().peers[2].waited_for
    assert [item.status for item in harness.host.snapshot().queue][3] is ItemStatus.TRANSFERRING
    harness.command(Next())
    harness.run(1)
    assert line(harness).file_id.int == 3 and all_follow_the_same(harness, [*peers, late])
    harness.command(Next())
    assert "Waiting for Late." in str(harness.host.events("warning")[-1].fields["message"])


def test_a_peer_that_joined_while_nothing_played_is_waited_for() -> None:
    harness, _ = ready()
    slow(harness, "Late")
    harness.command(Play())
    assert harness.host.events("error")[-1].fields["peers"] == ["Late"]


def test_a_newcomer_is_waited_for_once_the_music_has_stopped() -> None:
    harness, _ = ready()
    harness.command(Play())
    harness.run(1)
    slow(harness, "Late")
    harness.command(Stop())
    harness.run(1)
    harness.command(Play())
    assert harness.host.events("error")[-1].fields["peers"] == ["Late"]


def test_one_slow_peer_delays_only_itself() -> None:
    harness = SessionHarness()
    peers = [harness.join(name) for name in ("Ana", "Ben", "Cleo")]
    peers[1].transfer_ns = 20 * SECOND
    harness.run(0.1)
    harness.command(*(Add(a_track(number)) for number in range(1, 9)))
    harness.run(1)
    views = harness.host.snapshot().peers
    assert [len(view.have) for view in views] == [8, 0, 8]
    assert [file.state for file in views[1].files] == [FileState.SENDING] * 3
    harness.command(Without("Ben"), Play())
    harness.run(30)
    assert all_follow_the_same(harness, peers)  # it has received the first song and plays it


def test_a_track_waits_for_the_slowest_and_starts_when_it_has_it() -> None:
    harness = SessionHarness()
    peers = [harness.join(name, output=ReportedOutput(latency_ns=100 * MS)) for name in ("Ana", "Ben")]
    peers[1].transfer_ns = 5 * SECOND
    harness.run(0.1)
    harness.command(Add(a_track(1, 8)), Add(a_track(2, 8)))
    harness.run(6)
    harness.command(Play())
    harness.run(1)
    peers[1].transfer_ns = 20 * SECOND
    harness.command(Add(a_track(3, 8)))
    harness.run(16)  # both tracks have ended
    assert harness.host.snapshot().timeline is None
    waiting_for = harness.host.snapshot().waiting_for
    assert waiting_for is not None and waiting_for.id.int == 3
    harness.run(4.5)
    assert line(harness).file_id.int == 3 and all_follow_the_same(harness, peers)


# -- peers that delay the others -------------------------------------------------------------------------------------


def test_playback_goes_on_without_a_peer_whose_transfer_makes_no_progress() -> None:
    harness = SessionHarness()
    ana, stall = harness.join("Ana"), harness.join("Stall")
    harness.run(1)
    harness.command(Add(a_track(1, 10.0)), Add(a_track(2, 60.0)))
    stall.transfer_ns = 10**15
    harness.run(0.2)
    stall.call(stall.core.file_ready, a_track(1).file_id)
    harness.run(1)
    harness.command(Play())
    harness.run(14)
    assert harness.host.snapshot().waiting_for is not None  # the second track waits for it
    harness.run(18)
    assert [event.fields["message"] for event in harness.host.events("warning")][-1] == (
        "Going on without Stall: it does not receive song 2.mp3 in time."
    )
    line = harness.host.snapshot().timeline
    assert line is not None and line.file_id == a_track(2).file_id and ana.following.timeline == line
    assert not harness.host.snapshot().peers[1].waited_for
    stall.call(stall.core.file_ready, a_track(2).file_id)
    harness.run(1)
    assert harness.host.snapshot().peers[1].waited_for and stall.following.timeline == line


def test_a_slow_peer_is_waited_for_but_not_longer_than_two_minutes() -> None:
    harness = SessionHarness()
    harness.join("Ana")
    slow = harness.join("Slow")
    harness.run(1)
    harness.command(Add(a_track(1, 10.0)), Add(dataclasses.replace(a_track(2, 60.0), size=100_000_000)))
    slow.transfer_ns = 10**15
    harness.run(0.2)
    slow.call(slow.core.file_ready, a_track(1).file_id)
    harness.run(1)
    harness.command(Play())

    def receive_slowly(seconds: range) -> None:
        for second in seconds:
            harness.run(1)
            harness.host.call(harness.host.core.fetch_progress, 2, a_track(2).file_id, 100_000 * (second + 1))

    receive_slowly(range(125))
    assert harness.host.snapshot().waiting_for is not None
    assert not [e for e in harness.host.events("warning") if "Going on without" in e.fields["message"]]
    receive_slowly(range(125, 135))
    assert line(harness).file_id.int == 2 and not harness.host.snapshot().peers[1].waited_for
    slow.call(slow.core.file_ready, a_track(2).file_id)
    harness.run(1)
    assert harness.host.snapshot().peers[1].waited_for


def test_changes_of_the_free_space_trigger_offers_once_a_second() -> None:
    harness = SessionHarness()
    ana = harness.join("Ana")
    ana.call(ana.core.room, 0)
    harness.command(*(Add(a_track(number)) for number in range(1, 7)))
    harness.run(3)
    ana.stall(3)  # from here on the test reports for it
    (*_, status) = [send.message for send in ana.of(e.Send) if isinstance(send.message, m.PeerStatus)]

    def offered(free_bytes: int) -> list[int]:
        harness.host.receive(ana.conn, dataclasses.replace(status, room_bytes=free_bytes))
        return [s.message.file_id.int for s in harness.host.of(e.Send) if isinstance(s.message, m.FileTransferStart)]

    assert offered(3 * KB) == [1, 2, 3]
    assert offered(4 * KB) == offered(5 * KB) == [1, 2, 3]
    harness.run(1)
    assert offered(4 * KB) == [1, 2, 3, 4]


def test_no_peer_can_delay_a_command_for_long() -> None:
    harness = SessionHarness()
    far = harness.join("Far", output=ReportedOutput(latency_ns=60 * SECOND), delay_ns=200 * MS)
    harness.run(8)
    harness.command(Add(a_track(1)))
    harness.run(3)
    harness.command(Play())
    assert far.ended is None
    (event,) = harness.host.events("playing")
    assert event.session_ns - harness.now_ns <= 3.6 * SECOND


def test_clearing_a_long_queue_row_by_row_keeps_to_the_protocol() -> None:
    """Each removal allows another offer; the queue itself is sent later."""
    harness = SessionHarness()
    ana = slow(harness, "Ana")
    harness.command(*(Add(a_track(number)) for number in range(1, 301)))
    harness.run(5)
    harness.command(*(Remove(a_track(number).file_id) for number in range(1, 201)))
    harness.run(5)
    assert len(offers(ana)) == 203 and ana.ended is None
    assert len(ana.of(e.CancelFetch)) == 200
