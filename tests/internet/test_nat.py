"""What kind of NAT there is."""

from __future__ import annotations

import pytest

from phaselock.internet.nat import verdict
from phaselock.internet.state import Problem
from phaselock.model.address import is_public
from phaselock.model.invitation import Nat

HOME, PUBLIC = "192.168.1.2", "45.32.1.1"


@pytest.mark.parametrize(
    ("own", "public", "mapped", "failed", "problem", "seen", "kind"),
    [
        (HOME, "", False, False, Problem.NONE, "", Nat.UNKNOWN),
        (HOME, PUBLIC, True, False, Problem.NONE, "", Nat.OPEN),
        (HOME, PUBLIC, True, False, Problem.NONE, PUBLIC, Nat.OPEN),
        (HOME, PUBLIC, True, False, Problem.NONE, "45.32.9.9", Nat.DOUBLE),
        (HOME, PUBLIC, True, False, Problem.NONE, HOME, Nat.OPEN),  # a friend in the same house
        (HOME, PUBLIC, False, True, Problem.REFUSED, "", Nat.HOME),
        (HOME, "", False, True, Problem.NO_ANSWER, "", Nat.HOME),
        (HOME, "10.0.0.7", True, False, Problem.NONE, "", Nat.DOUBLE),
        (HOME, "", False, True, Problem.NO_PUBLIC_ADDRESS, "", Nat.DOUBLE),
        (HOME, "100.64.3.4", False, True, Problem.NO_PUBLIC_ADDRESS, "", Nat.CARRIER),
        (HOME, "192.0.0.2", True, False, Problem.NONE, "", Nat.CARRIER),
        (PUBLIC, "", False, False, Problem.NONE, "", Nat.PUBLIC),
        (HOME, "0.0.0.0", False, True, Problem.NO_ANSWER, "", Nat.HOME),
        (HOME, "no address", False, True, Problem.FAILED, "no address", Nat.DOUBLE),
    ],
)
def test_verdict(own: str, public: str, mapped: bool, failed: bool, problem: Problem, seen: str, kind: Nat) -> None:
    assert verdict(own, public, mapped, failed, problem, seen=seen) == kind


@pytest.mark.parametrize(
    ("second", "kind"),
    [
        ("100.64.1.1", Nat.CARRIER),
        ("192.168.0.1", Nat.DOUBLE),
        ("10.0.0.1", Nat.HOME),  # also a provider's router without a NAT
        ("45.32.0.1", Nat.HOME),
        ("", Nat.HOME),
    ],
)
def test_the_second_router_tells_what_the_first_one_does_not(second: str, kind: Nat) -> None:
    assert verdict(HOME, "", False, True, Problem.NO_ANSWER, second=second) == kind
    assert verdict(HOME, PUBLIC, True, False, Problem.NONE, second=second) == Nat.OPEN


@pytest.mark.parametrize("address", ["", "x", "0.0.0.0", "10.0.0.1", "100.64.0.1", "224.0.0.1", "fe80::1%eth0"])
def test_addresses_that_are_not_of_the_internet(address: str) -> None:
    assert not is_public(address)
