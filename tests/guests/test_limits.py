"""Rates, and the places for connections."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from phaselock.guests import limits
from phaselock.guests.limits import Bucket, Pace, to_close


@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0, 5)), max_size=50))
def test_a_bucket_keeps_its_rate(steps: list[tuple[float, float]]) -> None:
    bucket, now_s, taken = Bucket(10.0, 20.0), 0.0, 0.0
    for pause_s, amount in steps:
        now_s += pause_s
        taken += amount * bucket.take(amount, now_s)
        assert taken <= 20.0 + 10.0 * now_s + 1e-6


def test_a_connection_that_is_too_fast_waits() -> None:
    pace = Pace()
    waits_s = [pace.spend("192.168.1.7", 0.0) for _ in range(400)]
    assert waits_s[0] == 0.0 and waits_s[-1] > 1.0
    assert pace.spend("192.168.1.7", 1000.0) == 0.0


def test_a_fast_address_does_not_delay_another_one_by_its_own_limit() -> None:
    pace = Pace()
    for _ in range(int(limits.REQUESTS_BURST) - 1):
        pace.spend("192.168.1.7", 0.0)
    assert pace.spend("192.168.1.8", 0.0) == 0.0


def test_addresses_are_forgotten() -> None:
    pace = Pace()
    for number in range(5000):
        pace.spend(f"10.0.{number // 256}.{number % 256}", number / 10)
    assert len(pace._of) <= 1024


@pytest.mark.parametrize(
    ("there", "ip", "costs"),
    [
        ([], "10.0.0.1", 0),
        ([(n, "10.0.0.1", False) for n in range(1, limits.MAX_OF_ADDRESS + 1)], "10.0.0.1", None),
        ([(n, "10.0.0.1", n == 5) for n in range(1, limits.MAX_OF_ADDRESS + 1)], "10.0.0.1", 5),
        ([(n, "10.0.0.1", False) for n in range(1, limits.MAX_OF_ADDRESS + 1)], "10.0.0.2", 0),
        ([(n, f"10.{n // 200}.{n % 200}.1", False) for n in range(1, limits.MAX_CONNECTIONS + 1)], "10.0.0.2", None),
        ([(n, f"10.0.{n % 9}.1", True) for n in range(1, limits.MAX_CONNECTIONS + 1)], "10.1.0.2", 1),
        # One machine has all addresses of a /64: its oldest waiting connection is closed.
        (
            [(n, f"10.0.{n}.1", True) for n in range(1, 60)]
            + [(n, f"fd00::{n:x}", True) for n in range(60, limits.MAX_CONNECTIONS + 1)],
            "10.1.0.2",
            60,
        ),
    ],
)
def test_places(there: list[tuple[int, str, bool]], ip: str, costs: int | None) -> None:
    assert to_close(there, ip) == costs
