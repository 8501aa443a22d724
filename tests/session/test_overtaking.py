"""A track that is not ready while a later one is: after some silence the later one plays first."""

from __future__ import annotations

from phaselock.session.commands import Add, Arrange, Pause, Play, Remove, Repeat, Retry, Without
from tests.support.session_harness import HarnessPeer, SessionHarness, all_follow_the_same, line
from tests.support.simulation import SECOND, a_track


def overtaken(peers: int = 1, songs: int = 4) -> tuple[SessionHarness, list[HarnessPeer]]:
    """Song 1 has just ended. All peers have it and song 3, and none has another."""
    harness = SessionHarness()
    joined = [harness.join(name) for name in ("Ana", "Ben", "Cleo")[:peers]]
    harness.run(1)
    for peer in joined:
        peer.transfer_ns = 10**15
    harness.command(*(Add(a_track(number, 10.0)) for number in range(1, songs + 1)))
    harness.run(0.2)
    for peer in joined:
        bring(harness, peer, 1, 3)
    harness.command(Play())
    harness.run(0.5)
    harness.run((line(harness).session_ns_at(a_track(1, 10.0).frames) - harness.now_ns) / SECOND + 0.01)
    assert harness.host.snapshot().timeline is None
    return harness, joined


def bring(harness: SessionHarness, peer: HarnessPeer, *songs: int) -> None:
    """The peer receives these songs now."""
    for number in songs:
        peer.call(peer.core.file_ready, a_track(number).file_id)
        harness.run(0.05)


def rows(harness: SessionHarness) -> list[int]:
    return [item.id.int for item in harness.host.snapshot().queue]


def test_after_three_seconds_of_silence_the_next_ready_track_plays_and_the_late_one_is_behind_it() -> None:
    harness, (ana,) = overtaken()
    harness.run(2.8)
    assert harness.host.snapshot().timeline is None and rows(harness) == [1, 2, 3, 4]
    harness.run(0.5)
    assert line(harness).file_id.int == 3 and rows(harness) == [1, 3, 2, 4]
    assert all_follow_the_same(harness, [ana])
    assert harness.host.events("warning")[-1].fields["message"] == ("song 2.mp3 plays later. Still waiting for Ana.")
    bring(harness, ana, 2)
    harness.run(11)
    assert line(harness).file_id.int == 2  # without a gap: it was armed


def test_a_track_that_comes_within_the_three_seconds_keeps_its_place() -> None:
    harness, (ana,) = overtaken()
    harness.run(1)
    bring(harness, ana, 2)
    harness.run(1)
    assert line(harness).file_id.int == 2 and rows(harness) == [1, 2, 3, 4]


def test_a_track_is_only_overtaken_by_one_that_all_peers_have() -> None:
    harness, (ana, ben) = overtaken(peers=2)
    harness.command(Remove(a_track(3).file_id))
    harness.run(4)
    bring(harness, ana, 4)
    harness.run(1)
    assert harness.host.snapshot().timeline is None  # Ben lacks it
    bring(harness, ben, 4)
    harness.run(0.5)
    assert line(harness).file_id.int == 4 and rows(harness) == [1, 4, 2]  # at once: the silence has lasted


def test_a_peer_that_is_not_waited_for_does_not_count() -> None:
    harness, (ana, ben) = overtaken(peers=2)
    harness.command(Remove(a_track(3).file_id))
    bring(harness, ana, 4)
    harness.command(Without("Ben"))
    harness.run(3.5)
    assert line(harness).file_id.int == 4 and rows(harness) == [1, 4, 2]


def test_without_a_ready_track_the_queue_waits_and_then_goes_on_without_the_peer() -> None:
    harness, (ana,) = overtaken()
    harness.command(Remove(a_track(3).file_id))
    harness.run(19)
    assert harness.host.snapshot().timeline is None and rows(harness) == [1, 2, 4]
    harness.run(2)
    assert line(harness).file_id.int == 2 and rows(harness) == [1, 2, 4]


def test_earlier_tracks_overtake_only_if_the_queue_repeats() -> None:
    harness, (ana,) = overtaken(songs=2)
    harness.run(5)
    assert harness.host.snapshot().timeline is None
    harness.command(Repeat(True))
    harness.run(0.5)
    assert line(harness).file_id.int == 1 and rows(harness) == [1, 2]
    harness.run(10)  # song 2 is late again, and song 1 is the only ready one
    assert harness.host.snapshot().timeline is None
    bring(harness, ana, 2)
    harness.run(0.5)
    assert line(harness).file_id.int == 2


def test_a_shuffled_queue_keeps_its_order_behind_the_track_that_overtakes() -> None:
    harness, (ana,) = overtaken(songs=5)
    harness.command(Arrange(tuple(a_track(number).file_id for number in (1, 2, 5, 4, 3))))
    harness.run(3.5)
    assert line(harness).file_id.int == 3 and rows(harness) == [1, 3, 2, 5, 4]


def test_a_single_track_is_never_overtaken_by_itself() -> None:
    harness = SessionHarness()
    harness.join("Ana").transfer_ns = 6 * SECOND
    harness.run(0.5)
    harness.command(Add(a_track(1, 10.0)), Repeat(True), Without("Ana"), Play())
    harness.run(1)
    harness.command(Retry("Ana"))
    harness.run(30)
    assert rows(harness) == [1] and line(harness).file_id.int == 1


def test_nothing_overtakes_while_the_current_track_plays_on_or_is_paused() -> None:
    harness, (ana,) = overtaken()
    harness.run(3.5)
    harness.command(Play(a_track(4).file_id))
    harness.run(4)
    assert line(harness).file_id.int == 3 and harness.host.snapshot().waiting_for is not None
    harness.command(Pause())
    harness.run(0.5)
    harness.command(Play(a_track(4).file_id))
    harness.run(10)
    assert line(harness).file_id.int == 3 and rows(harness) == [1, 3, 2, 4]
