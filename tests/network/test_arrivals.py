"""How often machines may connect to the outside port."""

from __future__ import annotations

from phaselock.network.arrivals import AT_ONCE, EVERY_S, MAX_GROUPS, Arrivals


def test_one_machine_is_refused_that_connects_too_often_and_others_are_taken() -> None:
    arrivals = Arrivals([])
    flood = [arrivals.take("45.32.1.1", 100.0) for _ in range(1000)]
    assert flood.count(True) == AT_ONCE and arrivals.take("45.40.1.1", 100.0)
    assert not arrivals.take("45.32.1.1", 100.0 + EVERY_S / 2)
    assert arrivals.take("45.32.1.1", 100.0 + EVERY_S)


def test_an_ipv6_machine_has_one_limit() -> None:
    arrivals = Arrivals([])
    assert [arrivals.take(f"2a02:8106::{number:x}", 0.0) for number in range(1000)].count(True) == AT_ONCE


def test_members_are_not_counted() -> None:
    arrivals = Arrivals(["45.32.1.1"])
    assert all(arrivals.take("45.32.1.1", 0.0) for _ in range(1000))


def test_a_crowd_is_forgotten() -> None:
    arrivals = Arrivals([])
    for number in range(MAX_GROUPS * 2):
        assert arrivals.take(f"45.{number >> 8}.{number & 255}.1", 0.0)
    assert len(arrivals._free_at_s) == MAX_GROUPS
