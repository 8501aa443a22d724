"""Commands that change the queue: move, remove, restore, arrange, shuffle."""

from __future__ import annotations

import pytest

from phaselock.model.queue import ItemStatus
from phaselock.protocol import messages as m
from phaselock.session import effects as e
from phaselock.session.commands import (
    Add,
    Arrange,
    HostCommand,
    Move,
    Next,
    Pause,
    Play,
    Remove,
    Restore,
    Resume,
    Seek,
    Shuffle,
    Stop,
)
from tests.support.queue_state import NEVER_NS, agree, armed, playing, plays, rows, song, to_the_end
from tests.support.session_harness import SessionHarness, all_follow_the_same, error, line, ready
from tests.support.simulation import MS, SECOND, a_track

# -- moving ------------------------------------------------------------------------------------------------------------


def test_a_moved_row_is_moved_for_everybody() -> None:
    harness, peers = ready(tracks=4)
    harness.command(Move(song(4), 1))
    harness.run(0.1)
    assert rows(harness.host) == [1, 4, 2, 3] and agree(harness, peers)


@pytest.mark.parametrize(
    ("to", "order"), [(-5, [3, 1, 2]), (0, [3, 1, 2]), (1, [1, 3, 2]), (2, [1, 2, 3]), (99, [1, 2, 3])]
)
def test_a_move_beyond_the_ends_goes_to_the_end(to: int, order: list[int]) -> None:
    harness, _ = ready(tracks=3)
    harness.command(Move(song(3), to))
    assert rows(harness.host) == order


@pytest.mark.parametrize(
    ("number", "to", "then"), [(3, 1, 3), (2, 3, 3), (2, 0, 3), (1, 3, None), (1, 2, 4), (4, 1, 4), (4, 2, 2)]
)
def test_a_move_arms_the_track_that_comes_next(number: int, to: int, then: int | None) -> None:
    harness, peers = playing(4)
    assert armed(harness.host) == 2
    harness.command(Move(song(number), to))
    harness.run(0.1)
    assert plays(harness.host) == 1 and armed(harness.host) == then and agree(harness, peers)
    end_ns = line(harness).session_ns_at(a_track(1).frames)
    to_the_end(harness)
    assert plays(harness.host) == then and agree(harness, peers)
    if then:
        assert line(harness).start_session_ns == end_ns


def test_a_move_that_changes_nothing_is_not_sent() -> None:
    harness, (ana, _) = playing(3)
    count = len(ana.received)
    harness.command(Move(song(2), 1), Move(song(3), 99))
    harness.run(0.1)
    assert {type(message) for message in ana.received[count:]} <= {m.Heartbeat}


def test_a_track_before_the_current_one_is_not_played_by_itself() -> None:
    harness, _ = playing(3, seconds=5, number=2)
    harness.command(Move(song(3), 0))
    harness.run(10)
    assert plays(harness.host) is None
    assert [row.status for row in harness.host.snapshot().queue] == [
        ItemStatus.READY, ItemStatus.READY, ItemStatus.PLAYED,
    ]  # fmt: skip


def test_a_move_while_paused_arms_nothing_until_the_resume() -> None:
    harness, peers = playing(3)
    harness.command(Pause())
    harness.run(1)
    harness.command(Move(song(3), 1))
    harness.run(1)
    assert armed(harness.host) is None and agree(harness, peers)
    harness.command(Resume())
    harness.run(0.1)
    assert armed(harness.host) == 3 and agree(harness, peers)


# -- removing ----------------------------------------------------------------------------------------------------------


def test_a_removed_row_is_gone_for_everybody() -> None:
    harness, peers = ready(tracks=3)
    harness.command(Remove(song(2)))
    harness.run(0.1)
    assert rows(harness.host) == [1, 3] and agree(harness, peers)


def test_removing_the_armed_track_arms_the_one_behind_it() -> None:
    harness, peers = playing(3)
    harness.command(Remove(song(2)))
    harness.run(0.1)
    assert armed(harness.host) == 3 and agree(harness, peers)
    to_the_end(harness)
    assert plays(harness.host) == 3 and agree(harness, peers)


def test_removing_the_last_track_disarms_it() -> None:
    harness, peers = playing(2)
    harness.command(Remove(song(2)))
    harness.run(0.1)
    assert armed(harness.host) is None and agree(harness, peers)
    to_the_end(harness)
    assert plays(harness.host) is None and agree(harness, peers)
    assert len(peers[0].events("track_ended")) == 1


@pytest.mark.parametrize(
    ("change", "after"),
    [(Remove(song(2)), 3), (Move(song(3), 1), None), (Move(song(2), 0), 1)],
    ids=["removed", "another before it", "moved away"],
)
def test_a_change_too_late_for_all_peers_does_not_change_the_seam(change: HostCommand, after: int | None) -> None:
    harness, peers = playing(3, seconds=8)
    end_ns = line(harness).session_ns_at(a_track(1, 8).frames)
    harness.run((end_ns - 60 * MS - harness.now_ns) / SECOND)
    harness.command(change)
    harness.run(0.2)
    assert plays(harness.host) == 2 and line(harness).start_session_ns == end_ns
    assert agree(harness, peers)
    harness.run(1)
    assert armed(harness.host) == after and agree(harness, peers)


def test_a_removed_playing_track_plays_to_its_end() -> None:
    harness, peers = playing(3)
    before = line(harness)
    harness.command(Remove(song(1)))
    harness.run(1)
    assert rows(harness.host) == [2, 3] and line(harness) == before and armed(harness.host) == 2
    assert agree(harness, peers)
    for node in (harness.host, *peers):
        now = node.snapshot().now
        assert now is not None and (now.file_name, now.status) == ("song 1.mp3", ItemStatus.PLAYING)
    assert not any(peer.of(e.CancelFetch) for peer in peers)
    to_the_end(harness)
    assert plays(harness.host) == 2 and rows(harness.host) == [2, 3] and agree(harness, peers)
    assert song(1) not in [entry.track.file_id for entry in harness.host.core._parts.queue.rows.entries]


@pytest.mark.parametrize("number", [1, 2, 3])
def test_a_removed_playing_track_is_followed_by_the_row_behind_it(number: int) -> None:
    harness, peers = playing(3, number=number)
    harness.command(Remove(song(number)))
    to_the_end(harness)
    assert plays(harness.host) == {1: 2, 2: 3, 3: None}[number] and agree(harness, peers)


def test_a_newcomer_gets_the_removed_track_that_plays() -> None:
    harness, peers = playing(2)
    harness.command(Remove(song(1)))
    harness.run(1)
    late = harness.join("Late")
    harness.run(1)
    assert [fetch.track.file_id.int for fetch in late.fetches] == [1, 2]
    assert agree(harness, [*peers, late])
    harness.run(1)
    assert harness.host.snapshot().peers[2].waited_for


def test_a_removed_track_can_be_paused_sought_and_resumed() -> None:
    harness, peers = playing(2)
    harness.command(Remove(song(1)))
    harness.run(1)
    for command in (Pause(), Seek(20), Resume()):
        harness.command(command)
        harness.run(1)
        assert plays(harness.host) == 1 and agree(harness, peers)
    assert armed(harness.host) == 2
    harness.command(Stop())
    harness.run(1)
    assert plays(harness.host) is None and agree(harness, peers)
    harness.command(Play())
    harness.run(1)
    assert plays(harness.host) == 2 and agree(harness, peers)


def test_removing_everything_while_it_plays_ends_with_the_track() -> None:
    harness, peers = playing(2)
    harness.command(Remove(song(1)), Remove(song(2)))
    harness.run(1)
    assert (
        rows(harness.host) == [] and plays(harness.host) == 1 and armed(harness.host) is None and agree(harness, peers)
    )
    to_the_end(harness)
    assert plays(harness.host) is None and agree(harness, peers)
    harness.command(Play())
    assert error(harness.host) == "There is nothing to play."
    harness.command(Add(a_track(9)))
    harness.run(1)
    harness.command(Play())
    assert plays(harness.host) == 9


def test_a_removed_track_that_is_waited_for_gives_way_to_the_next() -> None:
    harness, peers = playing(1)
    peers[0].transfer_ns = NEVER_NS
    harness.command(Add(a_track(2)), Add(a_track(3)), Next())
    harness.run(1)
    assert (waiting := harness.host.snapshot().waiting_for) and waiting.id.int == 2
    harness.command(Remove(song(2)))
    assert (waiting := harness.host.snapshot().waiting_for) and waiting.id.int == 3
    harness.command(Remove(song(3)))
    assert harness.host.snapshot().waiting_for is None
    to_the_end(harness)
    assert plays(harness.host) is None and agree(harness, peers)


def test_a_removed_track_is_never_started() -> None:
    harness, peers = ready(tracks=3)
    harness.command(Remove(song(1)), Play())
    harness.run(1)
    assert plays(harness.host) == 2 and agree(harness, peers)


# -- arranging, shuffling, restoring -----------------------------------------------------------------------------------


def test_arranging_the_queue_arms_the_new_next_track() -> None:
    harness, peers = ready("Ana", "Ben", tracks=3, seconds=10.0)
    harness.command(Play())
    harness.run(3)
    harness.command(Arrange((a_track(1).file_id, a_track(3).file_id, a_track(2).file_id)))
    harness.run(1)
    then = harness.host.snapshot().then
    assert then is not None and then.file_id == a_track(3).file_id
    assert all(peer.snapshot().then == then for peer in peers)


def test_shuffle_changes_what_is_to_come_and_gives_the_order_back() -> None:
    harness, peers = ready("Ana", "Ben", tracks=6, seconds=10.0)
    harness.command(Play())
    harness.run(11)  # the second track plays
    usual = rows(harness.host)
    harness.command(Shuffle(1))
    harness.run(1)
    mixed = rows(harness.host)
    assert mixed != usual and mixed[:2] == usual[:2] and sorted(mixed) == sorted(usual)
    assert harness.host.snapshot().shuffle and agree(harness, peers)
    then = harness.host.snapshot().then
    assert then is not None and then.file_id.int == mixed[2]
    harness.command(Shuffle(2))
    assert rows(harness.host) != mixed
    harness.command(Shuffle(None), Shuffle(None))
    assert rows(harness.host) == usual and not harness.host.snapshot().shuffle


def test_songs_that_are_added_while_shuffled_get_a_random_place_and_return_to_the_end() -> None:
    harness, _ = ready("Ana", tracks=4, seconds=10.0)
    harness.command(Play(), Shuffle(5))
    harness.run(1)
    following = rows(harness.host)[1]
    harness.command(*(Add(a_track(number, 10.0)) for number in range(5, 25)))
    mixed = rows(harness.host)
    assert mixed[:2] == [1, following], "the next song may be armed already"
    assert mixed[-20:] != list(range(5, 25)) and sorted(mixed) == list(range(1, 25))
    harness.command(Remove(a_track(3).file_id), Shuffle(None), Restore(a_track(3).file_id))
    assert [one for one in rows(harness.host) if one != 3] == [1, 2, *range(4, 25)]


def test_a_queue_of_one_song_and_an_empty_one_can_be_shuffled() -> None:
    harness = SessionHarness()
    harness.command(Shuffle(1), Add(a_track(1, 10.0)), Add(a_track(2, 10.0)), Shuffle(None))
    assert rows(harness.host) == [1, 2]


def test_restore_undoes_a_removal_of_the_playing_track_too() -> None:
    harness, peers = ready("Ana", tracks=3, seconds=10.0)
    harness.command(Play())
    harness.run(1)
    for number in (1, 2):
        harness.command(Remove(a_track(number).file_id))
        harness.run(0.5)
        harness.command(Restore(a_track(number).file_id))
        harness.run(0.5)
        assert [item.id.int for item in harness.host.snapshot().queue] == [1, 2, 3]
    harness.command(Restore(a_track(1).file_id))
    assert error(harness.host) == "There is no such track in the queue."
    harness.run(10)
    assert harness.host.snapshot().now.id == a_track(2).file_id
    assert all_follow_the_same(harness, list(peers))
    assert peers[0].snapshot().queue == harness.host.snapshot().queue
