from __future__ import annotations

from phaselock._native import ClockMap, ClockMapValue
from phaselock.session.effects import Notify
from phaselock.session.peer.session import PeerSession
from phaselock.sync.clock import PeerClocks, clock_status

MINUTE_NS = 60_000_000_000
VALUE = ClockMapValue(1_000, 500, 50e-6, 1_000.0, 1e-9, True)


def test_the_offset_is_that_of_now() -> None:
    status = clock_status(VALUE, 1_000, 200_000, now_ns=1_000 + MINUTE_NS)
    assert (status.usable, status.stale) == (True, True)
    assert status.offset_ns == 500 + 3_000_000


def test_an_event_without_a_host_has_the_session_time_of_the_sound() -> None:
    """A minute after the last measurement at 50 ppm: 3 ms, which the clock map of the engine follows."""
    now_ns = 1_000 + MINUTE_NS
    peer = PeerSession(display_name="Ana")
    peer.clock(clock_status(VALUE, 1_000, 200_000, now_ns=now_ns), now_ns=now_ns)
    effects = peer.device_changed("open", "card", "", "exact", now_ns=now_ns)
    assert [one.event.session_ns for one in effects if isinstance(one, Notify)] == [now_ns + 500 + 3_000_000]


def test_what_was_measured_before_stays_known_until_the_clock_of_the_next_host_is() -> None:
    clock_map = ClockMap()
    clock_map.set(*VALUE[:-1])
    status = PeerClocks("envelope", clock_map).status(1_000 + MINUTE_NS)
    assert (status.usable, status.stale, status.offset_ns) == (True, True, 500 + 3_000_000)
    assert status.uncertainty_ns is not None and status.uncertainty_ns > VALUE.uncertainty_ns


def test_what_is_not_measured_is_not_known() -> None:
    invalid = clock_status(VALUE._replace(valid=False), None, 0, now_ns=5)
    for status in (invalid, PeerClocks("envelope").status(5)):
        assert not status.usable and status.stale and status.local_ns == 5
        assert (status.offset_ns, status.drift_ppm, status.uncertainty_ns, status.rtt_ns) == (None, None, None, None)
