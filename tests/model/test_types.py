from __future__ import annotations

import pytest

from phaselock.model.types import HOST_CLOCK, UNKNOWN_CLOCK, ClockStatus


def test_session_time_follows_the_drift_since_the_moment_of_the_status() -> None:
    clock = ClockStatus(1_000, True, False, 500, 50.0, 100, 0)
    assert clock.session_from_local(1_000) == 1_500
    assert clock.session_from_local(60_000_001_000) == 60_000_001_500 + 3_000_000


@pytest.mark.parametrize("drift_ppm", [-500.0, 0.0, 73.5])
@pytest.mark.parametrize("local_ns", [0, 12_345_678_901, 10**15])
def test_local_time_is_the_inverse_of_session_time(drift_ppm: float, local_ns: int) -> None:
    clock = ClockStatus(7_000_000_000, True, False, -123_456_789, drift_ppm, 100, 0)
    session_ns = clock.session_from_local(local_ns)
    assert session_ns is not None
    back_ns = clock.local_from_session(session_ns)
    assert back_ns is not None and abs(back_ns - local_ns) <= 1
    again_ns = clock.session_from_local(back_ns)
    assert again_ns is not None and again_ns >= session_ns  # a timer set to it is not too early


def test_an_unknown_clock_tells_no_time_and_the_hosts_is_local_time() -> None:
    assert UNKNOWN_CLOCK.session_from_local(5) is None and UNKNOWN_CLOCK.local_from_session(5) is None
    assert HOST_CLOCK.session_from_local(5) == HOST_CLOCK.local_from_session(5) == 5
