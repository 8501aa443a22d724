"""Rates, and the places for connections."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from phaselock.guests import limits
from phaselock.guests.limits import Bucket, Pace, Place, to_close
from phaselock.model.address import address_group


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
    for _ in range(400):
        pace.spend("192.168.1.7", 0.0)
    assert pace.spend("192.168.1.8", 0.0) == 0.0


def test_addresses_are_forgotten() -> None:
    pace = Pace()
    for number in range(5000):
        pace.spend(f"10.0.{number // 256}.{number % 256}", number / 10)
    assert len(pace._of) <= 1024


def places(count: int, ip: str, idle: tuple[int, ...] | None = None) -> list[Place]:
    """`ip` has {} where the number is. `idle` None: all wait for a request."""
    made = [(n, ip.format(n)) for n in range(1, count + 1)]
    return [Place(n, one, address_group(one), idle is None or n in idle) for n, one in made]


@pytest.mark.parametrize(
    ("there", "ip", "costs"),
    [
        ([], "10.0.0.1", 0),
        (places(limits.MAX_OF_ADDRESS, "10.0.0.1", ()), "10.0.0.1", None),
        (places(limits.MAX_OF_ADDRESS, "10.0.0.1", (5, 7)), "10.0.0.1", 5),
        (places(limits.MAX_OF_ADDRESS, "10.0.0.1", ()), "10.0.0.2", 0),
        (places(limits.MAX_CONNECTIONS, "fd00:{}::1", ()), "10.0.0.2", None),
        (places(limits.MAX_CONNECTIONS, "fd00:{}::1", (9, 200)), "10.0.0.2", 9),
        # One machine has all addresses of a /64: its oldest connection is closed, and not an older one of others.
        ([*places(3, "10.0.0.{}"), *places(limits.MAX_CONNECTIONS, "fd00::{}")[3:]], "10.0.0.9", 4),
    ],
)
def test_places(there: list[Place], ip: str, costs: int | None) -> None:
    assert to_close(there, ip) == costs
