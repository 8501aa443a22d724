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
from phaselock.session.host.distribution import AHEAD
from tests.support.session_harness import (
    HarnessPeer,
    ReportedOutput,
    SessionHarness,
    all_follow_the_same,
    error,
    line,
    ready,
)
from tests.support.simulation import MS, SECOND, a_track

NEVER_NS = 10**15
KB = 1000
"""The size of a song in these tests."""


def offers(guest: HarnessPeer) -> list[int]:
    """The numbers of the songs that the peer was offered, in order."""
    return [start.file_id.int for start in guest.told(m.FileTransferStart)]


def give(party: SessionHarness, guest: HarnessPeer, number: int) -> None:
    """The fetch of that song is complete."""
    guest.call(guest.core.file_ready, a_track(number).file_id)
    party.run(0.02)


def slow(party: SessionHarness, name: str) -> HarnessPeer:
    """A peer whose fetches are complete when the test calls `give`."""
    guest = party.join(name)
    guest.transfer_ns = NEVER_NS
    party.run(0.3)
    return guest


def without_ana(*, tracks: int = 1) -> tuple[SessionHarness, HarnessPeer, HarnessPeer]:
    """The first song could not be sent to Ana."""
    party = SessionHarness()
    ana, ben = party.join("Ana"), party.join("Ben")
    ana.fetch_results = itertools.chain([False] * 3, itertools.repeat(True))
    party.run(0.1)
    party.command(Add(a_track(1)))
    party.run(5)
    party.command(*(Add(a_track(number + 1)) for number in range(1, tracks)))
    party.run(5)
    assert len(party.host.events("error")) == 1
    return party, ana, ben


# -- the order of need -------------------------------------------------------------------------------------------------


def test_files_are_offered_a_few_at_a_time_in_the_order_of_the_queue() -> None:
    party = SessionHarness()
    ana = slow(party, "Ana")
    party.command(*(Add(a_track(number)) for number in range(1, 7)))
    party.run(1)
    assert offers(ana) == [1, 2, 3] and AHEAD == 3
    give(party, ana, 1)
    assert offers(ana) == [1, 2, 3, 4]
    give(party, ana, 3)
    assert offers(ana) == [1, 2, 3, 4, 5]


def test_a_newcomer_is_offered_the_current_then_the_next_then_the_earlier_tracks() -> None:
    party = SessionHarness()
    party.command(*(Add(a_track(number)) for number in range(1, 7)), Play(a_track(4).file_id))
    ana = slow(party, "Ana")
    for number in (4, 5, 6, 1, 2, 3):
        give(party, ana, number)
    assert offers(ana) == [4, 5, 6, 1, 2, 3]


def test_a_track_that_is_waited_for_is_offered_first() -> None:
    party = SessionHarness()
    party.command(*(Add(a_track(number)) for number in range(1, 9)), Play())
    ana = slow(party, "Ana")
    for number in (1, 2):
        give(party, ana, number)
    party.run(1)
    assert offers(ana) == [1, 2, 3, 4, 5]
    party.command(Play(a_track(8).file_id))
    give(party, ana, 3)
    assert offers(ana) == [1, 2, 3, 4, 5, 8]


def test_a_reorder_changes_what_is_offered_next() -> None:
    party = SessionHarness()
    ana = slow(party, "Ana")
    party.command(*(Add(a_track(number)) for number in range(1, 8)))
    party.command(Move(a_track(7).file_id, 1))
    party.run(0.1)
    give(party, ana, 1)
    give(party, ana, 2)
    assert offers(ana) == [1, 2, 3, 7, 4]


def test_a_removed_track_makes_room_for_another_offer() -> None:
    party = SessionHarness()
    ana = slow(party, "Ana")
    party.command(*(Add(a_track(number)) for number in range(1, 6)))
    party.run(0.1)
    party.command(Remove(a_track(2).file_id))
    party.run(0.1)
    assert offers(ana) == [1, 2, 3, 4]
    assert ana.of(e.CancelFetch) == [e.CancelFetch(a_track(2).file_id)]
    allowed = party.host.core.authorise_fetch
    assert allowed(ana.fetches[0].peer_id, ana.fetches[0].token, a_track(2).file_id) is None


def test_a_file_that_is_offered_before_its_queue_row_is_kept() -> None:
    """A queue of more than 100 rows is sent at a limited rate: the file may be offered before its row is sent."""
    party = SessionHarness()
    ana = party.join("Ana")
    ana.transfer_ns = 10 * MS
    party.run(0.1)
    party.command(*(Add(a_track(number)) for number in range(1, 161)))
    party.run(60)
    assert party.host.snapshot().peers[0].ready
    party.command(Add(a_track(161)), Add(a_track(162)))
    party.run(5)
    assert offers(ana)[-2:] == [161, 162] and not ana.of(e.CancelFetch)
    assert party.host.snapshot().peers[0].ready
    assert len(ana.of(e.Keep)[-1].hashes) == 162


# -- room --------------------------------------------------------------------------------------------------------------


def test_a_peer_is_offered_as_much_as_its_free_space_holds() -> None:
    party = SessionHarness()
    ana, ben = party.join("Ana"), party.join("Ben")
    ana.call(ana.core.room, 4 * KB + 999)
    party.run(0.5)
    party.command(*(Add(a_track(number)) for number in range(1, 9)))
    party.run(5)
    party.command(Play())
    assert offers(ana) == [1, 2, 3, 4] and offers(ben) == [1, 2, 3, 4, 5, 6, 7, 8]
    party.command(Next())
    party.run(5)
    assert offers(ana) == [1, 2, 3, 4, 5]
    ana.call(ana.core.room, 6 * KB)
    party.run(2)
    assert offers(ana) == [1, 2, 3, 4, 5, 6, 7]


@pytest.mark.parametrize("room", [0, -1, KB])
def test_the_current_and_the_next_track_are_offered_without_free_space(room: int) -> None:
    party = SessionHarness()
    ana = party.join("Ana")
    ana.call(ana.core.room, room)
    party.run(0.5)
    party.command(*(Add(a_track(number)) for number in range(1, 6)), Play())
    party.run(1)
    assert offers(ana) == [1, 2]
    party.command(Play(), Next())
    party.run(1)
    assert offers(ana) == [1, 2, 3] and line(party).file_id.int == 2
    assert all_follow_the_same(party, [ana])


def test_a_track_beyond_the_free_space_is_offered_before_it_is_played() -> None:
    party = SessionHarness()
    ana = party.join("Ana")
    ana.call(ana.core.room, 2 * KB)
    party.run(0.5)
    party.command(*(Add(a_track(number)) for number in range(1, 9)))
    party.run(1)
    party.command(Play())
    party.run(1)
    party.command(Play(a_track(7).file_id))
    party.run(1)
    assert offers(ana)[:3] == [1, 2, 7] and line(party).file_id.int == 7
    assert all_follow_the_same(party, [ana])


# -- what cannot be sent -----------------------------------------------------------------------------------------------


def test_play_is_refused_until_the_host_retries_or_goes_on_without() -> None:
    party, ana, _ = without_ana()
    party.command(Play())
    told = party.host.events("error")[-1].fields
    assert told["message"] == "Waiting for all peers to receive the file." and told["peers"] == ["Ana"]
    assert party.host.snapshot().timeline is None
    (view, _) = party.host.snapshot().peers
    assert [(file.file_id.int, file.state) for file in view.files] == [(1, FileState.FAILED)]
    assert view.waited_for and not view.ready and view.have == frozenset()


def test_retry_sends_it_once_more_and_waits_for_it() -> None:
    party, ana, ben = without_ana()
    ana.transfer_ns = 2 * SECOND
    party.command(Retry("ana"))
    party.run(1)
    assert [item.status for item in party.host.snapshot().queue] == [ItemStatus.TRANSFERRING]
    party.command(Play())
    assert error(party.host) == "Waiting for all peers to receive the file."
    party.run(2)
    assert len(ana.fetches) == 4 and len(ben.fetches) == 1
    party.command(Play())
    party.run(0.1)
    assert all_follow_the_same(party, [ana, ben])


def test_a_retry_has_three_attempts_again() -> None:
    party, ana, _ = without_ana()
    ana.fetch_results = itertools.repeat(False)
    party.command(Retry(None))
    party.run(10)
    assert len(ana.fetches) == 6
    assert [event.fields["peer"] for event in party.host.events("error")] == ["Ana", "Ana"]


def test_without_skips_the_peer_for_this_track_only() -> None:
    party, ana, ben = without_ana(tracks=2)
    party.command(Without("Ana"), Play())
    party.run(1)
    assert ben.following == party.host.following is not None and line(party).file_id.int == 1
    assert ana.following == e.Follow(party.host.snapshot().then)
    assert not party.host.snapshot().peers[0].waited_for
    party.command(Next())
    party.run(1)
    assert all_follow_the_same(party, [ana, ben])  # its files are still sent
    party.command(Retry("Ana"))
    assert party.host.snapshot().peers[0].waited_for


@pytest.mark.parametrize(
    ("command", "answer"),
    [
        (Retry("Zoe"), "There is no peer called Zoe."),
        (Without("Zoe"), "There is no peer called Zoe."),
        (Retry("Ben"), "There is nothing to try again."),
    ],
)
def test_retry_and_without_of_unknown_peers_are_refused(command: Retry | Without, answer: str) -> None:
    party, _, _ = without_ana()
    party.command(command)
    assert error(party.host) == answer


def test_retry_of_all_is_refused_if_nothing_failed() -> None:
    party, _ = ready()
    party.command(Retry(None))
    assert error(party.host) == "There is nothing to try again."
    lonely = SessionHarness()
    lonely.command(Retry(None))
    assert [event.fields["message"] for event in lonely.host.events("error")] == ["There is nothing to try again."]


def test_auto_advance_skips_a_peer_that_could_not_get_the_file() -> None:
    party, (ana, ben) = ready(seconds=8)
    ana.fetch_results = itertools.repeat(False)
    party.command(Play(), Add(a_track(2, 8)))
    party.run(9)
    assert line(party).file_id.int == 2
    assert ben.following == party.host.following
    assert ana.following is not None and ana.following.timeline is not None
    assert ana.following.timeline.file_id.int == 1
    assert ana.ended is None


def test_autoplay_skips_a_peer_that_could_not_get_the_file() -> None:
    party = SessionHarness()
    ana, ben = party.join("Ana"), party.join("Ben")
    ana.fetch_results = itertools.repeat(False)
    party.command(Add(a_track()), Autoplay(1))
    party.run(5)
    assert ben.following == party.host.following is not None


def test_autoplay_counts_only_peers_that_have_the_file() -> None:
    party = SessionHarness()
    ana = party.join("Ana")
    ana.fetch_results = itertools.chain([False] * 3, itertools.repeat(True))
    party.join("Ben")
    party.command(Add(a_track()), Autoplay(2))
    party.run(10)
    assert party.host.snapshot().timeline is None
    party.command(Retry("Ana"))
    party.run(2)
    assert party.host.snapshot().timeline is not None


def test_a_retry_while_playing_keeps_the_armed_track() -> None:
    party, (ana, ben) = ready()
    ana.fetch_results = itertools.chain([False] * 3, itertools.repeat(True))
    party.command(Play(), Add(a_track(2)))
    party.run(8)
    assert party.host.snapshot().then is not None
    ana.transfer_ns = 3 * SECOND
    party.command(Retry("Ana"))
    party.run(1)
    assert ben.following == party.host.following is not None and ana.following != party.host.following
    party.run(3)
    assert all_follow_the_same(party, [ana, ben])


# -- newcomers and the slow --------------------------------------------------------------------------------------------


def test_a_newcomer_is_not_waited_for_until_it_has_caught_up() -> None:
    party, guests = ready(tracks=4)
    party.command(Play())
    party.run(1)
    late = slow(party, "Late")
    assert not party.host.snapshot().peers[2].waited_for
    party.command(Next())
    party.run(1)
    assert line(party).file_id.int == 2 and all_follow_the_same(party, guests)
    assert [item.status for item in party.host.snapshot().queue][2:] == [ItemStatus.READY] * 2
    give(party, late, 2) if 2 in offers(late) else None
    assert not party.host.snapshot().peers[2].waited_for
    give(party, late, 3)
    assert party.host.snapshot().peers[2].waited_for
    assert [item.status for item in party.host.snapshot().queue][3] is ItemStatus.TRANSFERRING
    party.command(Next())
    party.run(1)
    assert line(party).file_id.int == 3 and all_follow_the_same(party, [*guests, late])
    party.command(Next())
    assert "Waiting for Late." in str(party.host.events("warning")[-1].fields["message"])


def test_a_peer_that_joined_while_nothing_played_is_waited_for() -> None:
    party, _ = ready()
    slow(party, "Late")
    party.command(Play())
    assert party.host.events("error")[-1].fields["peers"] == ["Late"]


def test_a_newcomer_is_waited_for_once_the_music_has_stopped() -> None:
    party, _ = ready()
    party.command(Play())
    party.run(1)
    slow(party, "Late")
    party.command(Stop())
    party.run(1)
    party.command(Play())
    assert party.host.events("error")[-1].fields["peers"] == ["Late"]


def test_one_slow_peer_delays_only_itself() -> None:
    party = SessionHarness()
    guests = [party.join(name) for name in ("Ana", "Ben", "Cleo")]
    guests[1].transfer_ns = 20 * SECOND
    party.run(0.1)
    party.command(*(Add(a_track(number)) for number in range(1, 9)))
    party.run(1)
    views = party.host.snapshot().peers
    assert [len(view.have) for view in views] == [8, 0, 8]
    assert [file.state for file in views[1].files] == [FileState.SENDING] * 3
    party.command(Without("Ben"), Play())
    party.run(30)
    assert all_follow_the_same(party, guests)  # it has the first song by now, and plays it


def test_a_track_waits_for_the_slowest_and_starts_when_it_has_it() -> None:
    party = SessionHarness()
    guests = [party.join(name, output=ReportedOutput(latency_ns=100 * MS)) for name in ("Ana", "Ben")]
    guests[1].transfer_ns = 5 * SECOND
    party.run(0.1)
    party.command(Add(a_track(1, 8)), Add(a_track(2, 8)))
    party.run(6)
    party.command(Play())
    party.run(1)
    guests[1].transfer_ns = 20 * SECOND
    party.command(Add(a_track(3, 8)))
    party.run(16)  # both tracks have ended
    assert party.host.snapshot().timeline is None
    waiting_for = party.host.snapshot().waiting_for
    assert waiting_for is not None and waiting_for.id.int == 3
    party.run(4.5)
    assert line(party).file_id.int == 3 and all_follow_the_same(party, guests)


# -- who holds everybody up ------------------------------------------------------------------------------------------


def test_playback_goes_on_without_a_peer_whose_transfer_makes_no_progress() -> None:
    party = SessionHarness()
    ana, stall = party.join("Ana"), party.join("Stall")
    party.run(1)
    party.command(Add(a_track(1, 10.0)), Add(a_track(2, 60.0)))
    stall.transfer_ns = 10**15
    party.run(0.2)
    stall.call(stall.core.file_ready, a_track(1).file_id)
    party.run(1)
    party.command(Play())
    party.run(14)
    assert party.host.snapshot().waiting_for is not None  # the second track waits for it
    party.run(18)
    assert [event.fields["message"] for event in party.host.events("warning")][-1] == (
        "Going on without Stall: nothing of song 2.mp3 comes through to it."
    )
    line = party.host.snapshot().timeline
    assert line is not None and line.file_id == a_track(2).file_id and ana.following.timeline == line
    assert not party.host.snapshot().peers[1].waited_for
    stall.call(stall.core.file_ready, a_track(2).file_id)
    party.run(1)
    assert party.host.snapshot().peers[1].waited_for and stall.following.timeline == line


def test_a_slow_peer_is_waited_for_as_long_as_something_comes() -> None:
    party = SessionHarness()
    party.join("Ana")
    slow = party.join("Slow")
    party.run(1)
    party.command(Add(a_track(1, 10.0)), Add(dataclasses.replace(a_track(2, 60.0), size=100_000_000)))
    slow.transfer_ns = 10**15
    party.run(0.2)
    slow.call(slow.core.file_ready, a_track(1).file_id)
    party.run(1)
    party.command(Play())
    for second in range(40):
        party.run(1)
        party.host.call(party.host.core.fetch_progress, 2, a_track(2).file_id, 100_000 * (second + 1))
    assert party.host.snapshot().waiting_for is not None
    assert not [e for e in party.host.events("warning") if "Going on without" in e.fields["message"]]


def test_changes_of_the_free_space_trigger_offers_once_a_second() -> None:
    party = SessionHarness()
    ana = party.join("Ana")
    ana.call(ana.core.room, 0)
    party.command(*(Add(a_track(number)) for number in range(1, 7)))
    party.run(3)
    ana.stall(3)  # from here on the test reports for it
    (*_, status) = [send.message for send in ana.of(e.Send) if isinstance(send.message, m.PeerStatus)]

    def offered(free_bytes: int) -> list[int]:
        party.host.receive(ana.conn, dataclasses.replace(status, room_bytes=free_bytes))
        return [s.message.file_id.int for s in party.host.of(e.Send) if isinstance(s.message, m.FileTransferStart)]

    assert offered(3 * KB) == [1, 2, 3]
    assert offered(4 * KB) == offered(5 * KB) == [1, 2, 3]
    party.run(1)
    assert offered(4 * KB) == [1, 2, 3, 4]


def test_no_peer_can_delay_a_command_for_long() -> None:
    party = SessionHarness()
    far = party.join("Far", output=ReportedOutput(latency_ns=60 * SECOND), delay_ns=200 * MS)
    party.run(8)
    party.command(Add(a_track(1)))
    party.run(3)
    party.command(Play())
    assert far.ended is None
    (event,) = party.host.events("playing")
    assert event.session_ns - party.now_ns <= 3.6 * SECOND


def test_clearing_a_long_queue_row_by_row_keeps_to_the_protocol() -> None:
    """Each removal allows another offer; the queue itself is sent later."""
    party = SessionHarness()
    ana = slow(party, "Ana")
    party.command(*(Add(a_track(number)) for number in range(1, 301)))
    party.run(5)
    party.command(*(Remove(a_track(number).file_id) for number in range(1, 201)))
    party.run(5)
    assert len(offers(ana)) == 203 and ana.ended is None
    assert len(ana.of(e.CancelFetch)) == 200
