"""A peer's playback where it does not know the current track yet: the host names it in its next messages."""

from __future__ import annotations

import pytest

from phaselock.protocol import messages as m
from tests.support.session_harness import HarnessPeer, SessionHarness
from tests.support.simulation import MS, SECOND, a_track

FIRST, SECOND_TRACK = a_track(1, seconds=10.0), a_track(2, seconds=10.0)


def told_of_unknown_tracks(second_starts_ns: int) -> tuple[SessionHarness, HarnessPeer, int]:
    """A peer that was told to play FIRST now and SECOND_TRACK after that time, before it was offered either of them.
    Returned with the start of FIRST."""
    harness = SessionHarness()
    ana = harness.join("Ana")
    harness.run(1)
    start_ns = harness.now_ns + 100 * MS
    for track, at_ns in ((FIRST, start_ns), (SECOND_TRACK, start_ns + second_starts_ns)):
        ana.call(ana.core.received, m.PlayCommand(track.file_id, track.rate_hz, 0, at_ns))
    return harness, ana, start_ns


def offer(ana: HarnessPeer) -> None:
    for track in (FIRST, SECOND_TRACK):
        message = m.FileTransferStart(
            track.file_id, track.file_name, track.size, track.sha256, track.rate_hz, track.frames
        )
        ana.call(ana.core.received, message)


def current_and_next(ana: HarnessPeer) -> list[int | None]:
    shown = ana.snapshot()
    return [timeline and timeline.file_id.int for timeline in (shown.timeline, shown.then)]


@pytest.mark.parametrize("offered", [True, False])
def test_the_next_track_waits_for_the_end_of_one_that_was_not_offered_yet(offered: bool) -> None:
    harness, ana, _ = told_of_unknown_tracks(10 * SECOND)
    if offered:
        offer(ana)
    harness.run(9)
    assert current_and_next(ana) == [1, 2]
    harness.run(2)
    assert current_and_next(ana) == [2, None]
    assert ana.ended is None


def test_a_track_that_replaces_one_that_was_not_offered_yet_starts_in_time() -> None:
    harness, ana, start_ns = told_of_unknown_tracks(3 * SECOND)
    harness.run(2)
    offer(ana)
    assert current_and_next(ana) == [2, None]
    harness.run(2)
    timeline = ana.snapshot().timeline
    assert timeline is not None and timeline.start_session_ns == start_ns + 3 * SECOND
    assert current_and_next(ana) == [2, None]
