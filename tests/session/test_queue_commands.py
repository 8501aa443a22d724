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
    party, guests = ready(tracks=tracks, seconds=seconds)
    party.command(Play(song(number)))
    party.run(1)
    return party, guests


def agree(party: SessionHarness, guests: list[HarnessPeer]) -> bool:
    """All peers know and follow what the host knows and follows."""
    mine = party.host.snapshot()
    for guest in guests:
        theirs = guest.snapshot()
        assert (theirs.queue, theirs.timeline, theirs.then) == (mine.queue, mine.timeline, mine.then)
        assert plays(guest) == plays(party.host)
    return all_follow_the_same(party, guests)


def to_the_end(party: SessionHarness, seconds: float = LONG_S) -> None:
    """Run until the current song has ended."""
    end_ns = line(party).session_ns_at(round(seconds * line(party).rate_hz))
    party.run((end_ns - party.now_ns) / SECOND + 0.5)


# -- moving ------------------------------------------------------------------------------------------------------------


def test_a_moved_row_is_moved_for_everybody() -> None:
    party, guests = ready(tracks=4)
    party.command(Move(song(4), 1))
    party.run(0.1)
    assert rows(party.host) == [1, 4, 2, 3] and agree(party, guests)


@pytest.mark.parametrize(
    ("to", "order"), [(-5, [3, 1, 2]), (0, [3, 1, 2]), (1, [1, 3, 2]), (2, [1, 2, 3]), (99, [1, 2, 3])]
)
def test_a_move_beyond_the_ends_goes_to_the_end(to: int, order: list[int]) -> None:
    party, _ = ready(tracks=3)
    party.command(Move(song(3), to))
    assert rows(party.host) == order


@pytest.mark.parametrize(
    ("number", "to", "then"), [(3, 1, 3), (2, 3, 3), (2, 0, 3), (1, 3, None), (1, 2, 4), (4, 1, 4), (4, 2, 2)]
)
def test_a_move_arms_the_track_that_comes_next(number: int, to: int, then: int | None) -> None:
    party, guests = playing(4)
    assert armed(party.host) == 2
    party.command(Move(song(number), to))
    party.run(0.1)
    assert plays(party.host) == 1 and armed(party.host) == then and agree(party, guests)
    end_ns = line(party).session_ns_at(a_track(1).frames)
    to_the_end(party)
    assert plays(party.host) == then and agree(party, guests)
    if then:
        assert line(party).start_session_ns == end_ns


def test_a_move_that_changes_nothing_is_not_sent() -> None:
    party, (ana, _) = playing(3)
    count = len(ana.received)
    party.command(Move(song(2), 1), Move(song(3), 99))
    party.run(0.1)
    assert {type(message) for message in ana.received[count:]} <= {m.Heartbeat}


def test_a_track_before_the_current_one_is_not_played_by_itself() -> None:
    party, _ = playing(3, seconds=5, number=2)
    party.command(Move(song(3), 0))
    party.run(10)
    assert plays(party.host) is None
    assert [row.status for row in party.host.snapshot().queue] == [
        ItemStatus.READY, ItemStatus.READY, ItemStatus.PLAYED,
    ]  # fmt: skip


def test_a_move_while_paused_arms_nothing_until_the_resume() -> None:
    party, guests = playing(3)
    party.command(Pause())
    party.run(1)
    party.command(Move(song(3), 1))
    party.run(1)
    assert armed(party.host) is None and agree(party, guests)
    party.command(Resume())
    party.run(0.1)
    assert armed(party.host) == 3 and agree(party, guests)


# -- removing ----------------------------------------------------------------------------------------------------------


def test_a_removed_row_is_gone_for_everybody() -> None:
    party, guests = ready(tracks=3)
    party.command(Remove(song(2)))
    party.run(0.1)
    assert rows(party.host) == [1, 3] and agree(party, guests)


def test_removing_the_armed_track_arms_the_one_behind_it() -> None:
    party, guests = playing(3)
    party.command(Remove(song(2)))
    party.run(0.1)
    assert armed(party.host) == 3 and agree(party, guests)
    to_the_end(party)
    assert plays(party.host) == 3 and agree(party, guests)


def test_removing_the_last_track_disarms_it() -> None:
    party, guests = playing(2)
    party.command(Remove(song(2)))
    party.run(0.1)
    assert armed(party.host) is None and agree(party, guests)
    to_the_end(party)
    assert plays(party.host) is None and agree(party, guests)
    assert len(guests[0].events("track_ended")) == 1


@pytest.mark.parametrize(
    ("change", "after"),
    [(Remove(song(2)), 3), (Move(song(3), 1), None), (Move(song(2), 0), 1)],
    ids=["removed", "another before it", "moved away"],
)
def test_a_change_too_late_for_all_peers_does_not_change_the_seam(change: HostCommand, after: int | None) -> None:
    party, guests = playing(3, seconds=8)
    end_ns = line(party).session_ns_at(a_track(1, 8).frames)
    party.run((end_ns - 60 * MS - party.now_ns) / SECOND)
    party.command(change)
    party.run(0.2)
    assert plays(party.host) == 2 and line(party).start_session_ns == end_ns
    assert agree(party, guests)
    party.run(1)
    assert armed(party.host) == after and agree(party, guests)


def test_a_removed_playing_track_plays_to_its_end() -> None:
    party, guests = playing(3)
    before = line(party)
    party.command(Remove(song(1)))
    party.run(1)
    assert rows(party.host) == [2, 3] and line(party) == before and armed(party.host) == 2
    assert agree(party, guests)
    for node in (party.host, *guests):
        now = node.snapshot().now
        assert now is not None and (now.file_name, now.status) == ("song 1.mp3", ItemStatus.PLAYING)
    assert not any(guest.of(e.CancelFetch) for guest in guests)
    to_the_end(party)
    assert plays(party.host) == 2 and rows(party.host) == [2, 3] and agree(party, guests)
    assert song(1) not in [entry.track.file_id for entry in party.host.core._transport.queue.entries]


@pytest.mark.parametrize("number", [1, 2, 3])
def test_a_removed_playing_track_is_followed_by_the_row_behind_it(number: int) -> None:
    party, guests = playing(3, number=number)
    party.command(Remove(song(number)))
    to_the_end(party)
    assert plays(party.host) == {1: 2, 2: 3, 3: None}[number] and agree(party, guests)


def test_a_newcomer_gets_the_removed_track_that_plays() -> None:
    party, guests = playing(2)
    party.command(Remove(song(1)))
    party.run(1)
    late = party.join("Late")
    party.run(1)
    assert [fetch.track.file_id.int for fetch in late.fetches] == [1, 2]
    assert agree(party, [*guests, late])
    party.run(1)
    assert party.host.snapshot().peers[2].waited_for


def test_a_removed_track_can_be_paused_sought_and_resumed() -> None:
    party, guests = playing(2)
    party.command(Remove(song(1)))
    party.run(1)
    for command in (Pause(), Seek(20), Resume()):
        party.command(command)
        party.run(1)
        assert plays(party.host) == 1 and agree(party, guests)
    assert armed(party.host) == 2
    party.command(Stop())
    party.run(1)
    assert plays(party.host) is None and agree(party, guests)
    party.command(Play())
    party.run(1)
    assert plays(party.host) == 2 and agree(party, guests)


def test_removing_everything_while_it_plays_ends_with_the_track() -> None:
    party, guests = playing(2)
    party.command(Remove(song(1)), Remove(song(2)))
    party.run(1)
    assert rows(party.host) == [] and plays(party.host) == 1 and armed(party.host) is None and agree(party, guests)
    to_the_end(party)
    assert plays(party.host) is None and agree(party, guests)
    party.command(Play())
    assert error(party.host) == "There is nothing to play."
    party.command(Add(a_track(9)))
    party.run(1)
    party.command(Play())
    assert plays(party.host) == 9


def test_a_removed_track_that_is_waited_for_gives_way_to_the_next() -> None:
    party, guests = playing(1)
    guests[0].transfer_ns = NEVER_NS
    party.command(Add(a_track(2)), Add(a_track(3)), Next())
    party.run(1)
    assert (waiting := party.host.snapshot().waiting_for) and waiting.id.int == 2
    party.command(Remove(song(2)))
    assert (waiting := party.host.snapshot().waiting_for) and waiting.id.int == 3
    party.command(Remove(song(3)))
    assert party.host.snapshot().waiting_for is None
    to_the_end(party)
    assert plays(party.host) is None and agree(party, guests)


def test_a_removed_track_is_never_started() -> None:
    party, guests = ready(tracks=3)
    party.command(Remove(song(1)), Play())
    party.run(1)
    assert plays(party.host) == 2 and agree(party, guests)


# -- playing a row -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [1, 2, 3])
@pytest.mark.parametrize(
    "before", [(), (Play(),), (Play(), Pause()), (Play(), Stop())], ids=["fresh", "playing", "paused", "stopped"]
)
def test_any_row_can_be_played_at_any_time(number: int, before: tuple[HostCommand, ...]) -> None:
    party, guests = ready(tracks=3)
    for command in before:
        party.command(command)
        party.run(1)
    party.command(Play(song(number)))
    party.run(0.1)
    assert plays(party.host) == number and line(party).anchor_frame == 0
    assert line(party).start_session_ns > party.now_ns - 100 * MS and line(party).stop_session_ns is None
    assert armed(party.host) == (number + 1 if number < 3 else None) and agree(party, guests)


def test_playing_another_row_marks_the_old_one_as_played() -> None:
    party, _ = playing(3)
    party.command(Play(song(3)))
    party.run(0.1)
    statuses = [ItemStatus.PLAYED, ItemStatus.READY, ItemStatus.PLAYING]
    assert [row.status for row in party.host.snapshot().queue] == statuses
    party.command(Play(song(1)))
    party.run(0.1)
    statuses = [ItemStatus.PLAYING, ItemStatus.READY, ItemStatus.PLAYED]
    assert [row.status for row in party.host.snapshot().queue] == statuses


def test_a_row_that_is_not_ready_is_waited_for_while_the_current_one_plays_on() -> None:
    party, guests = playing(2)
    guests[0].transfer_ns = 5 * SECOND
    party.command(Add(a_track(3)))
    party.run(0.1)
    before = line(party)
    party.command(Play(song(3)))
    party.run(1)
    assert line(party) == before
    assert party.host.events("warning")[-1].fields["peers"] == ["Ana"]
    party.run(5)
    assert plays(party.host) == 3 and agree(party, guests)


def test_a_row_that_is_not_ready_is_refused_while_nothing_plays() -> None:
    party, guests = ready(tracks=1)
    guests[0].transfer_ns = NEVER_NS
    party.command(Add(a_track(2)))
    party.run(0.1)
    party.command(Play(song(2)))
    assert error(party.host) == "Waiting for all peers to receive the file." and plays(party.host) is None
    party.command(Play(song(1)))
    assert plays(party.host) == 1


def test_another_row_replaces_the_one_that_is_waited_for() -> None:
    party, guests = playing(3)
    guests[0].transfer_ns = NEVER_NS
    party.command(Add(a_track(4)))
    party.run(0.1)
    party.command(Play(song(4)))
    party.command(Play(song(2)))
    party.run(0.1)
    assert plays(party.host) == 2 and party.host.snapshot().waiting_for is None and agree(party, guests)


def test_without_starts_the_track_that_is_waited_for() -> None:
    party, guests = playing(1)
    guests[0].transfer_ns = NEVER_NS
    party.command(Add(a_track(2)), Next())
    party.run(1)
    assert plays(party.host) == 1
    party.command(Without("Ana"))
    party.run(0.1)
    assert plays(party.host) == 2 and guests[1].following == party.host.following


@pytest.mark.parametrize("command", [Play(song(9)), Move(song(9), 0), Remove(song(9))], ids=["play", "move", "remove"])
def test_commands_for_unknown_rows_are_refused(command: HostCommand) -> None:
    party, guests = playing(2)
    before = party.host.snapshot()
    party.command(command)
    assert error(party.host) == "There is no such track in the queue."
    assert party.host.snapshot() == before
    party.command(Remove(song(1)), command, type(command)(song(1), *([0] if isinstance(command, Move) else [])))
    assert error(party.host) == "There is no such track in the queue."


# -- next and previous -------------------------------------------------------------------------------------------------


def test_next_goes_through_the_queue_to_its_end() -> None:
    party, guests = playing(3)
    for number in (2, 3):
        party.command(Next())
        party.run(1)
        assert plays(party.host) == number and agree(party, guests)
    party.command(Next())
    assert error(party.host) == "There is no next track." and plays(party.host) == 3


def test_next_in_a_pause_plays() -> None:
    party, guests = playing(2)
    party.command(Pause())
    party.run(1)
    party.command(Next())
    party.run(1)
    assert plays(party.host) == 2 and line(party).stop_session_ns is None and agree(party, guests)


def test_next_after_a_removed_playing_track_plays_the_row_behind_it() -> None:
    party, guests = playing(3, number=2)
    party.command(Remove(song(2)), Next())
    party.run(1)
    assert plays(party.host) == 3 and rows(party.host) == [1, 3] and agree(party, guests)


def test_next_twice_skips_one_that_is_waited_for() -> None:
    party, guests = playing(1)
    guests[0].transfer_ns = NEVER_NS
    party.command(Add(a_track(2)), Add(a_track(3)))
    party.run(0.1)
    guests[0].call(guests[0].core.file_ready, song(3))
    party.run(0.1)
    party.command(Next())
    assert plays(party.host) == 1
    party.command(Next())
    party.run(0.1)
    assert plays(party.host) == 3 and agree(party, guests)


@pytest.mark.parametrize(("played_s", "expected"), [(0.5, 1), (2.5, 1), (3.5, 2), (30, 2)])
def test_previous_goes_to_the_start_or_early_in_a_track_to_the_track_before(played_s: float, expected: int) -> None:
    party, guests = ready(tracks=3)
    party.command(Play(song(2)))
    party.run(0.15 + played_s)
    party.command(Previous())
    party.run(0.1)
    assert plays(party.host) == expected and line(party).anchor_frame == 0 and agree(party, guests)
    assert armed(party.host) == expected + 1


def test_previous_in_the_first_track_goes_to_its_start() -> None:
    party, guests = playing(2)
    party.command(Previous())
    party.run(0.1)
    assert plays(party.host) == 1 and line(party).start_session_ns > party.now_ns - 100 * MS and agree(party, guests)


def test_previous_of_a_paused_track_stays_paused() -> None:
    party, guests = playing(3, number=2)
    party.run(10)
    party.command(Pause())
    party.run(1)
    party.command(Previous())
    party.run(1)
    paused = line(party)
    assert plays(party.host) == 2 and paused.stop_session_ns == paused.start_session_ns and paused.anchor_frame == 0
    assert agree(party, guests)


@pytest.mark.parametrize("command", [Next(), Previous()], ids=["next", "previous"])
def test_next_and_previous_are_refused_while_nothing_plays(command: HostCommand) -> None:
    party, _ = ready(tracks=2)
    party.command(command)
    assert error(party.host) == "Nothing is playing."


# -- telling everybody -------------------------------------------------------------------------------------------------


def test_every_change_of_the_queue_is_sent_to_all_peers_with_its_revision() -> None:
    """Section 17.2, "Queue operations": add, remove, reorder, and the statuses."""
    party, guests = ready(tracks=3)
    revisions = [[update.revision for update in guest.told(m.QueueUpdate)] for guest in guests]
    assert revisions[0] == revisions[1] == sorted(set(revisions[0]))
    changes = (Add(a_track(4)), [1, 2, 3, 4]), (Move(song(4), 0), [4, 1, 2, 3]), (Remove(song(2)), [4, 1, 3])
    for command, order in changes:
        counts = [len(guest.told(m.QueueUpdate)) for guest in guests]
        party.command(command)
        party.run(0.5)
        for guest, count in zip(guests, counts, strict=True):
            updates = guest.told(m.QueueUpdate)
            assert len(updates) > count and updates[-1].revision > updates[count - 1].revision
            assert [row.id.int for row in updates[-1].queue] == order == rows(guest)
    assert rows(party.host) == [4, 1, 3] and agree(party, guests)
    assert [event.fields["revision"] for event in party.host.events("queue")] == [
        update.revision for update in guests[0].told(m.QueueUpdate)
    ]


def test_titles_and_artists_are_sent_with_rows_and_files() -> None:
    party = SessionHarness()
    ana = party.join("Ana")
    party.run(0.1)
    party.command(Add(a_track(title="Blue\x07 Moon", artist="  The \u202eBand ")))
    party.run(1)
    row, track = ana.snapshot().queue[0], ana.fetches[0].track
    assert (row.title, row.artist) == ("Blue Moon", "The Band") == (track.title, track.artist)
    assert ana.events("queue")[-1].fields["queue"][0]["title"] == "Blue Moon"  # type: ignore[index]


def test_a_long_queue_is_sent_at_a_limited_rate_and_its_last_state_arrives() -> None:
    party = SessionHarness()
    party.command(*(Add(a_track(number)) for number in range(1, 501)))
    ana = party.join("Ana")
    ana.transfer_ns = NEVER_NS
    party.run(2)
    count, begun_ns = len(ana.told(m.QueueUpdate)), party.now_ns
    for number in range(100):
        party.command(Move(song(500 - number), 0))
        party.run(0.01)
    told, took_s = len(ana.told(m.QueueUpdate)) - count, (party.now_ns - begun_ns) / SECOND
    assert told <= took_s / 0.2 + 1  # QUEUE_GAP_NS for each of the 400 rows above SHORT_QUEUE
    party.run(0.3)
    assert rows(ana) == rows(party.host) and rows(ana)[0] == 401
    party.command(Move(song(1), 0))
    party.run(0.01)
    assert rows(ana)[0] == 1  # a single change is sent at once


def test_a_short_queue_is_sent_at_every_change() -> None:
    party, (ana, _) = ready(tracks=4)
    count = len(ana.told(m.QueueUpdate))
    for place in (3, 2, 1, 0) * 5:
        party.command(Move(song(4), place))
    party.run(0.1)
    assert len(ana.told(m.QueueUpdate)) - count >= 19


@pytest.mark.parametrize("number", [2, 3])
def test_all_nodes_show_the_same_row_statuses(number: int) -> None:
    party, guests = playing(3, seconds=8)
    party.run(8.0 * (number - 1))
    statuses = [row.status for row in party.host.snapshot().queue]
    assert statuses == [ItemStatus.PLAYED] * (number - 1) + [ItemStatus.PLAYING] + [ItemStatus.READY] * (3 - number)
    assert agree(party, guests)


# -- shuffled, repeated, brought back --------------------------------------------------------------------------------


def test_repeat_arms_the_first_track_after_the_last_one() -> None:
    party, guests = ready("Ana", "Ben", tracks=2, seconds=10.0)
    party.command(Repeat(True), Play())
    party.run(16)
    then = party.host.snapshot().then
    assert then is not None and then.file_id == a_track(1).file_id  # armed behind the last one, without a gap
    party.run(6)
    assert all_follow_the_same(party, list(guests))
    assert [event.fields["file_name"] for event in party.host.events("playing")] == [
        "song 1.mp3", "song 2.mp3", "song 1.mp3",
    ]  # fmt: skip
    party.command(Repeat(False))
    party.run(30)
    assert party.host.snapshot().timeline is None


def test_repeat_starts_a_single_track_again() -> None:
    party, guests = ready("Ana", tracks=1, seconds=5.0)
    party.command(Repeat(True), Play())
    party.run(12)
    assert len(party.host.events("playing")) >= 2
    assert all_follow_the_same(party, list(guests))


def test_arranging_the_queue_arms_the_new_next_track() -> None:
    party, guests = ready("Ana", "Ben", tracks=3, seconds=10.0)
    party.command(Play())
    party.run(3)
    party.command(Arrange((a_track(1).file_id, a_track(3).file_id, a_track(2).file_id)))
    party.run(1)
    then = party.host.snapshot().then
    assert then is not None and then.file_id == a_track(3).file_id
    assert all(guest.snapshot().then == then for guest in guests)


def test_restore_undoes_a_removal_of_the_playing_track_too() -> None:
    party, guests = ready("Ana", tracks=3, seconds=10.0)
    party.command(Play())
    party.run(1)
    for number in (1, 2):
        party.command(Remove(a_track(number).file_id))
        party.run(0.5)
        party.command(Restore(a_track(number).file_id))
        party.run(0.5)
        assert [item.id.int for item in party.host.snapshot().queue] == [1, 2, 3]
    party.command(Restore(a_track(1).file_id))
    assert error(party.host) == "There is no such track in the queue."
    party.run(10)
    assert party.host.snapshot().now.id == a_track(2).file_id
    assert all_follow_the_same(party, list(guests))
    assert guests[0].snapshot().queue == party.host.snapshot().queue
