"""Commands that choose the track: play a row, next, previous, repeat."""

from __future__ import annotations

import pytest

from phaselock.model.queue import ItemStatus
from phaselock.session.commands import (
    Add,
    HostCommand,
    Move,
    Next,
    Pause,
    Play,
    Previous,
    Remove,
    Repeat,
    Stop,
    Without,
)
from tests.support.queue_state import NEVER_NS, agree, armed, playing, plays, rows, song
from tests.support.session_harness import all_follow_the_same, error, line, ready
from tests.support.simulation import MS, SECOND, a_track

# -- playing a row -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("before_end_ns", [300 * MS, 150 * MS, 100 * MS, 20 * MS, 1 * MS])
@pytest.mark.parametrize("number", [2, 3])
def test_a_row_can_be_played_just_before_the_end_of_another(number: int, before_end_ns: int) -> None:
    """Its start is then behind the end of the current track, as if it were armed, and the one after it is armed."""
    harness, peers = playing(4, seconds=12.0)
    harness.run((line(harness).start_session_ns + 12 * SECOND - before_end_ns - harness.now_ns) / SECOND)
    harness.command(Play(song(number)))
    harness.run(2)
    assert {plays(node) for node in (harness.host, *peers)} == {number} and all_follow_the_same(harness, peers)


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


# -- repeating --------------------------------------------------------------------------------------------------------


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
