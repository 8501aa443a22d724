"""Queue commands: move, remove, play a row, next, previous; and how the queue is sent to the peers."""

from __future__ import annotations

from uuid import UUID

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
    Previous,
    Remove,
    Repeat,
    Restore,
    Resume,
    Seek,
    Shuffle,
    Stop,
    Without,
)
from tests.support.session_harness import HarnessPeer, SessionHarness, all_follow_the_same, error, line, ready
from tests.support.simulation import MS, SECOND, SimulatedNode, a_track

NEVER_NS = 10**15
LONG_S = 60.0


def song(number: int) -> UUID:
    return a_track(number).file_id


def rows(node: SimulatedNode) -> list[int]:
    return [row.id.int for row in node.snapshot().queue]


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
    assert song(1) not in [entry.track.file_id for entry in harness.host.core._queue.rows.entries]


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


# -- playing a row -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [1, 2, 3])
@pytest.mark.parametrize(
    "before", [(), (Play(),), (Play(), Pause()), (Play(), Stop())], ids=["fresh", "playing", "paused", "stopped"]
)
def test_any_row_can_be_played_at_any_time(number: int, before: tuple[HostCommand, ...]) -> None:
    harness, peers = ready(tracks=3)
    for command in before:
        harness.command(command)
        harness.run(1)
    harness.command(Play(song(number)))
    harness.run(0.1)
    assert plays(harness.host) == number and line(harness).anchor_frame == 0
    assert line(harness).start_session_ns > harness.now_ns - 100 * MS and line(harness).stop_session_ns is None
    assert armed(harness.host) == (number + 1 if number < 3 else None) and agree(harness, peers)


def test_playing_another_row_marks_the_old_one_as_played() -> None:
    harness, _ = playing(3)
    harness.command(Play(song(3)))
    harness.run(0.1)
    statuses = [ItemStatus.PLAYED, ItemStatus.READY, ItemStatus.PLAYING]
    assert [row.status for row in harness.host.snapshot().queue] == statuses
    harness.command(Play(song(1)))
    harness.run(0.1)
    statuses = [ItemStatus.PLAYING, ItemStatus.READY, ItemStatus.PLAYED]
    assert [row.status for row in harness.host.snapshot().queue] == statuses


def test_a_row_that_is_not_ready_is_waited_for_while_the_current_one_plays_on() -> None:
    harness, peers = playing(2)
    peers[0].transfer_ns = 5 * SECOND
    harness.command(Add(a_track(3)))
    harness.run(0.1)
    before = line(harness)
    harness.command(Play(song(3)))
    harness.run(1)
    assert line(harness) == before
    assert harness.host.events("warning")[-1].fields["peers"] == ["Ana"]
    harness.run(5)
    assert plays(harness.host) == 3 and agree(harness, peers)


def test_a_row_that_is_not_ready_is_refused_while_nothing_plays() -> None:
    harness, peers = ready(tracks=1)
    peers[0].transfer_ns = NEVER_NS
    harness.command(Add(a_track(2)))
    harness.run(0.1)
    harness.command(Play(song(2)))
    assert error(harness.host) == "Waiting for all peers to receive the file." and plays(harness.host) is None
    harness.command(Play(song(1)))
    assert plays(harness.host) == 1


def test_another_row_replaces_the_one_that_is_waited_for() -> None:
    harness, peers = playing(3)
    peers[0].transfer_ns = NEVER_NS
    harness.command(Add(a_track(4)))
    harness.run(0.1)
    harness.command(Play(song(4)))
    harness.command(Play(song(2)))
    harness.run(0.1)
    assert plays(harness.host) == 2 and harness.host.snapshot().waiting_for is None and agree(harness, peers)


def test_without_starts_the_track_that_is_waited_for() -> None:
    harness, peers = playing(1)
    peers[0].transfer_ns = NEVER_NS
    harness.command(Add(a_track(2)), Next())
    harness.run(1)
    assert plays(harness.host) == 1
    harness.command(Without("Ana"))
    harness.run(0.1)
    assert plays(harness.host) == 2 and peers[1].following == harness.host.following


@pytest.mark.parametrize("command", [Play(song(9)), Move(song(9), 0), Remove(song(9))], ids=["play", "move", "remove"])
def test_commands_for_unknown_rows_are_refused(command: HostCommand) -> None:
    harness, peers = playing(2)
    before = harness.host.snapshot()
    harness.command(command)
    assert error(harness.host) == "There is no such track in the queue."
    assert harness.host.snapshot() == before
    harness.command(Remove(song(1)), command, type(command)(song(1), *([0] if isinstance(command, Move) else [])))
    assert error(harness.host) == "There is no such track in the queue."


# -- next and previous -------------------------------------------------------------------------------------------------


def test_next_goes_through_the_queue_to_its_end() -> None:
    harness, peers = playing(3)
    for number in (2, 3):
        harness.command(Next())
        harness.run(1)
        assert plays(harness.host) == number and agree(harness, peers)
    harness.command(Next())
    assert error(harness.host) == "There is no next track." and plays(harness.host) == 3


def test_next_in_a_pause_plays() -> None:
    harness, peers = playing(2)
    harness.command(Pause())
    harness.run(1)
    harness.command(Next())
    harness.run(1)
    assert plays(harness.host) == 2 and line(harness).stop_session_ns is None and agree(harness, peers)


def test_next_after_a_removed_playing_track_plays_the_row_behind_it() -> None:
    harness, peers = playing(3, number=2)
    harness.command(Remove(song(2)), Next())
    harness.run(1)
    assert plays(harness.host) == 3 and rows(harness.host) == [1, 3] and agree(harness, peers)


def test_next_twice_skips_one_that_is_waited_for() -> None:
    harness, peers = playing(1)
    peers[0].transfer_ns = NEVER_NS
    harness.command(Add(a_track(2)), Add(a_track(3)))
    harness.run(0.1)
    peers[0].call(peers[0].core.file_ready, song(3))
    harness.run(0.1)
    harness.command(Next())
    assert plays(harness.host) == 1
    harness.command(Next())
    harness.run(0.1)
    assert plays(harness.host) == 3 and agree(harness, peers)


@pytest.mark.parametrize(("played_s", "expected"), [(0.5, 1), (2.5, 1), (3.5, 2), (30, 2)])
def test_previous_goes_to_the_start_or_early_in_a_track_to_the_track_before(played_s: float, expected: int) -> None:
    harness, peers = ready(tracks=3)
    harness.command(Play(song(2)))
    harness.run(0.15 + played_s)
    harness.command(Previous())
    harness.run(0.1)
    assert plays(harness.host) == expected and line(harness).anchor_frame == 0 and agree(harness, peers)
    assert armed(harness.host) == expected + 1


def test_previous_in_the_first_track_goes_to_its_start() -> None:
    harness, peers = playing(2)
    harness.command(Previous())
    harness.run(0.1)
    assert (
        plays(harness.host) == 1
        and line(harness).start_session_ns > harness.now_ns - 100 * MS
        and agree(harness, peers)
    )


def test_previous_of_a_paused_track_stays_paused() -> None:
    harness, peers = playing(3, number=2)
    harness.run(10)
    harness.command(Pause())
    harness.run(1)
    harness.command(Previous())
    harness.run(1)
    paused = line(harness)
    assert plays(harness.host) == 2 and paused.stop_session_ns == paused.start_session_ns and paused.anchor_frame == 0
    assert agree(harness, peers)


@pytest.mark.parametrize("command", [Next(), Previous()], ids=["next", "previous"])
def test_next_and_previous_are_refused_while_nothing_plays(command: HostCommand) -> None:
    harness, _ = ready(tracks=2)
    harness.command(command)
    assert error(harness.host) == "Nothing is playing."


# -- sending the queue -------------------------------------------------------------------------------------------------


def test_every_change_of_the_queue_is_sent_to_all_peers_with_its_revision() -> None:
    """Add, remove, reorder, and the statuses."""
    harness, peers = ready(tracks=3)
    revisions = [[update.revision for update in peer.told(m.QueueUpdate)] for peer in peers]
    assert revisions[0] == revisions[1] == sorted(set(revisions[0]))
    changes = (Add(a_track(4)), [1, 2, 3, 4]), (Move(song(4), 0), [4, 1, 2, 3]), (Remove(song(2)), [4, 1, 3])
    for command, order in changes:
        counts = [len(peer.told(m.QueueUpdate)) for peer in peers]
        harness.command(command)
        harness.run(0.5)
        for peer, count in zip(peers, counts, strict=True):
            updates = peer.told(m.QueueUpdate)
            assert len(updates) > count and updates[-1].revision > updates[count - 1].revision
            assert [row.id.int for row in updates[-1].queue] == order == rows(peer)
    assert rows(harness.host) == [4, 1, 3] and agree(harness, peers)
    assert [event.fields["revision"] for event in harness.host.events("queue")] == [
        update.revision for update in peers[0].told(m.QueueUpdate)
    ]


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
    count, begun_ns = len(ana.told(m.QueueUpdate)), harness.now_ns
    for number in range(100):
        harness.command(Move(song(500 - number), 0))
        harness.run(0.01)
    told, took_s = len(ana.told(m.QueueUpdate)) - count, (harness.now_ns - begun_ns) / SECOND
    assert told <= took_s / 0.2 + 1  # QUEUE_GAP_NS for each of the 400 rows above SHORT_QUEUE
    harness.run(0.3)
    assert rows(ana) == rows(harness.host) and rows(ana)[0] == 401
    harness.command(Move(song(1), 0))
    harness.run(0.01)
    assert rows(ana)[0] == 1  # a single change is sent at once


def test_a_short_queue_is_sent_at_every_change() -> None:
    harness, (ana, _) = ready(tracks=4)
    count = len(ana.told(m.QueueUpdate))
    for place in (3, 2, 1, 0) * 5:
        harness.command(Move(song(4), place))
    harness.run(0.1)
    assert len(ana.told(m.QueueUpdate)) - count >= 19


@pytest.mark.parametrize("number", [2, 3])
def test_all_nodes_show_the_same_row_statuses(number: int) -> None:
    harness, peers = playing(3, seconds=8)
    harness.run(8.0 * (number - 1))
    statuses = [row.status for row in harness.host.snapshot().queue]
    assert statuses == [ItemStatus.PLAYED] * (number - 1) + [ItemStatus.PLAYING] + [ItemStatus.READY] * (3 - number)
    assert agree(harness, peers)


# -- shuffling, repeating, restoring ----------------------------------------------------------------------------------


def test_repeat_arms_the_first_track_after_the_last_one() -> None:
    harness, peers = ready("Ana", "Ben", tracks=2, seconds=10.0)
    harness.command(Repeat(True), Play())
    harness.run(16)
    then = harness.host.snapshot().then
    assert then is not None and then.file_id == a_track(1).file_id  # armed behind the last one, without a gap
    harness.run(6)
    assert all_follow_the_same(harness, list(peers))
    assert [event.fields["file_name"] for event in harness.host.events("playing")] == [
        "song 1.mp3", "song 2.mp3", "song 1.mp3",
    ]  # fmt: skip
    harness.command(Repeat(False))
    harness.run(30)
    assert harness.host.snapshot().timeline is None


def test_repeat_starts_a_single_track_again() -> None:
    harness, peers = ready("Ana", tracks=1, seconds=5.0)
    harness.command(Repeat(True), Play())
    harness.run(12)
    assert len(harness.host.events("playing")) >= 2
    assert all_follow_the_same(harness, list(peers))


def test_arranging_the_queue_arms_the_new_next_track() -> None:
    harness, peers = ready("Ana", "Ben", tracks=3, seconds=10.0)
    harness.command(Play())
    harness.run(3)
    harness.command(Arrange((a_track(1).file_id, a_track(3).file_id, a_track(2).file_id)))
    harness.run(1)
    then = harness.host.snapshot().then
    assert then is not None and then.file_id == a_track(3).file_id
    assert all(peer.snapshot().then == then for peer in peers)


def order(harness: SessionHarness) -> list[int]:
    return [row.id.int for row in harness.host.snapshot().queue]


def test_shuffle_changes_what_is_to_come_and_gives_the_order_back() -> None:
    harness, peers = ready("Ana", "Ben", tracks=6, seconds=10.0)
    harness.command(Play())
    harness.run(11)  # the second track plays
    usual = order(harness)
    harness.command(Shuffle(1))
    harness.run(1)
    mixed = order(harness)
    assert mixed != usual and mixed[:2] == usual[:2] and sorted(mixed) == sorted(usual)
    assert harness.host.snapshot().shuffle and agree(harness, peers)
    then = harness.host.snapshot().then
    assert then is not None and then.file_id.int == mixed[2]
    harness.command(Shuffle(2))
    assert order(harness) != mixed
    harness.command(Shuffle(None), Shuffle(None))
    assert order(harness) == usual and not harness.host.snapshot().shuffle


def test_songs_that_are_added_while_shuffled_get_a_random_place_and_return_to_the_end() -> None:
    harness, _ = ready("Ana", tracks=4, seconds=10.0)
    harness.command(Play(), Shuffle(5))
    harness.run(1)
    following = order(harness)[1]
    harness.command(*(Add(a_track(number, 10.0)) for number in range(5, 25)))
    mixed = order(harness)
    assert mixed[:2] == [1, following], "the next song may be armed already"
    assert mixed[-20:] != list(range(5, 25)) and sorted(mixed) == list(range(1, 25))
    harness.command(Remove(a_track(3).file_id), Shuffle(None), Restore(a_track(3).file_id))
    assert [one for one in order(harness) if one != 3] == [1, 2, *range(4, 25)]


def test_a_queue_of_one_song_and_an_empty_one_can_be_shuffled() -> None:
    harness = SessionHarness()
    harness.command(Shuffle(1), Add(a_track(1, 10.0)), Add(a_track(2, 10.0)), Shuffle(None))
    assert order(harness) == [1, 2]


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
