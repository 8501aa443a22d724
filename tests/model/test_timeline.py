from __future__ import annotations

from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from phaselock.model.timeline import Timeline

LINES = st.builds(
    Timeline,
    file_id=st.just(UUID(int=1)),
    rate_hz=st.sampled_from([8000, 11025, 22050, 32000, 44100, 48000]),
    anchor_frame=st.integers(0, 2**32),
    start_session_ns=st.integers(0, 2**62),
)


@given(LINES, st.integers(0, 2**32))
def test_a_frame_is_due_when_its_time_has_come_and_not_before(line: Timeline, ahead: int) -> None:
    frame = line.anchor_frame + ahead
    at_ns = line.session_ns_at(frame)
    assert line.frame_at(at_ns) == frame
    assert ahead == 0 or line.frame_at(at_ns - 1) == frame - 1


@given(LINES, st.integers(-(10**12), 10**12))
def test_before_the_start_it_is_the_anchor(line: Timeline, after_ns: int) -> None:
    frame = line.frame_at(line.start_session_ns + after_ns)
    assert frame >= line.anchor_frame
    assert after_ns > 0 or frame == line.anchor_frame


@given(LINES, st.integers(0, 10**12), st.integers(0, 10**12))
def test_after_a_stop_it_stands_still(line: Timeline, stop_after_ns: int, later_ns: int) -> None:
    stop_ns = line.start_session_ns + stop_after_ns
    assert line.stopped_at(stop_ns).frame_at(stop_ns + later_ns) == line.frame_at(stop_ns)


def test_an_hour_is_exact() -> None:
    line = Timeline(UUID(int=1), 44100, 0, 5)
    assert line.frame_at(5 + 3600 * 10**9) == 3600 * 44100
    assert line.session_ns_at(3600 * 44100) == 5 + 3600 * 10**9
