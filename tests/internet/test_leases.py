"""The ports that a router opens: repeated, renewed, lost and removed. In virtual time."""

from __future__ import annotations

import pytest

from phaselock.internet.leases import LEASE_S, LOOK_INTERVAL_S, REPEAT_S, Leases
from phaselock.internet.pcp import NONCE_BYTES, Dialect, NatPmp, Pcp, Result, Transport
from tests.support.simulated_router import PUBLIC, SimulatedRouter

WANTED = {Transport.TCP: (17404, 17401), Transport.UDP: (17402, 17402)}
OPEN = {(Transport.TCP, 17404): 17401, (Transport.UDP, 17402): 17402}
NONCES = {one: bytes([one]) * NONCE_BYTES for one in Transport}
HUNDREDTH_S = 0.01

dialects = pytest.mark.parametrize("dialect", [Pcp("192.168.1.2", NONCES), NatPmp()], ids=["pcp", "nat-pmp"])


def run(leases: Leases, router: SimulatedRouter, from_s: float, until_s: float) -> float:
    """Let the router answer until that time, each packet after a hundredth of a second. Returns the time."""
    now_s = from_s
    while now_s <= until_s:
        answers = [router.ask(packet, now_s) for packet in leases.due(now_s)]
        for answer in answers:
            if answer is not None:
                leases.receive(answer, now_s + HUNDREDTH_S)
        now_s = max(leases.next_s, now_s + HUNDREDTH_S)
    return until_s


def opened(dialect: Dialect, router: SimulatedRouter, until_s: float = 5.0) -> Leases:
    leases = Leases(dialect, WANTED, 0.0)
    run(leases, router, 0.0, until_s)
    return leases


@dialects
def test_ports_are_open_at_once(dialect: Dialect) -> None:
    router = SimulatedRouter()
    leases = opened(dialect, router, 0.0)
    assert leases.is_complete and leases.address == PUBLIC
    assert (leases.outer(Transport.TCP), leases.outer(Transport.UDP)) == (17401, 17402)
    assert router.open_ports(1.0) == OPEN


@dialects
def test_ports_stay_open_and_are_asked_for_twice_in_a_lease(dialect: Dialect) -> None:
    router = SimulatedRouter()
    leases = Leases(dialect, WANTED, 0.0)
    now_s = 0.0
    for lease in range(1, 40):
        now_s = run(leases, router, now_s, lease * LEASE_S / 4)
        assert router.open_ports(now_s) == OPEN
    mappings = [packet for _, packet in router.requests if len(packet) not in (2, 24)]
    assert len(mappings) == 2 * (1 + int(now_s / (LEASE_S / 2)))


@dialects
def test_lost_packets_are_repeated(dialect: Dialect) -> None:
    router = SimulatedRouter(losses=4)
    assert opened(dialect, router).is_complete


@dialects
def test_a_router_that_does_not_answer_is_given_up(dialect: Dialect) -> None:
    router = SimulatedRouter(losses=1000)
    leases = opened(dialect, router, sum(REPEAT_S))
    assert leases.is_silent and leases.has_failed and not leases.is_complete
    assert leases.next_s == float("inf") and leases.due(99.0) == []


@dialects
def test_lost_renewals_do_not_matter_while_one_of_three_arrives(dialect: Dialect) -> None:
    router = SimulatedRouter()
    leases = opened(dialect, router, LEASE_S / 2 - 1)
    router.losses = 4
    run(leases, router, LEASE_S / 2 - 1, LEASE_S + 1)
    assert router.open_ports(LEASE_S + 1.0) == OPEN and leases.is_complete


def test_an_answer_to_another_program_counts_for_nothing() -> None:
    assert opened(Pcp("192.168.1.2", NONCES), SimulatedRouter(wrong_nonce=True)).is_silent


@dialects
def test_a_router_that_was_restarted_is_asked_again_before_the_lease_is_over(dialect: Dialect) -> None:
    router = SimulatedRouter(started_s=-1000.0)
    leases = opened(dialect, router)
    router.restart(6.0)
    run(leases, router, 6.0, 6.0 + LOOK_INTERVAL_S)
    assert router.open_ports(6.0 + LOOK_INTERVAL_S) == OPEN


@dialects
def test_after_a_sleep_of_this_computer_the_ports_are_asked_for_again(dialect: Dialect) -> None:
    """Its clock stands still meanwhile, and the leases end."""
    router = SimulatedRouter()
    leases = opened(dialect, router)
    router.mappings.clear()
    router.started_s -= 4000.0
    run(leases, router, 5.0, 6.0 + LOOK_INTERVAL_S)
    assert router.open_ports(6.0 + LOOK_INTERVAL_S) == OPEN


@dialects
def test_another_public_port_is_kept_when_it_is_renewed(dialect: Dialect) -> None:
    router = SimulatedRouter(other_outer=40404)
    leases = opened(dialect, router)
    router.other_outer = 0
    run(leases, router, 5.0, LEASE_S)
    assert leases.outer(Transport.TCP) == router.open_ports(LEASE_S)[Transport.TCP, 17404] == 40404


def test_another_public_address_is_learned() -> None:
    router = SimulatedRouter()
    leases = opened(NatPmp(), router)
    router.public = "45.32.1.9"
    run(leases, router, 5.0, 5.0 + LOOK_INTERVAL_S)
    assert leases.address == "45.32.1.9"


@dialects
@pytest.mark.parametrize("lease_s", [1, 7])
def test_short_leases_are_renewed_in_time_but_not_at_any_rate(dialect: Dialect, lease_s: int) -> None:
    router = SimulatedRouter(most_lease_s=lease_s)
    opened(dialect, router, 20.0)
    assert len(router.requests) < 30
    if lease_s == 7:
        assert router.open_ports(20.0) == OPEN


@dialects
def test_a_longer_lease_is_renewed_as_ours(dialect: Dialect) -> None:
    router = SimulatedRouter(least_lease_s=86400)
    opened(dialect, router, LEASE_S + 1.0)
    assert len([packet for _, packet in router.requests if len(packet) not in (2, 24)]) == 6


@dialects
def test_a_refusal_is_told(dialect: Dialect) -> None:
    assert opened(dialect, SimulatedRouter(error=2)).failure == Result.REFUSED


def test_a_router_that_speaks_nat_pmp_only_says_so() -> None:
    router = SimulatedRouter(speaks=frozenset({"nat-pmp"}))
    assert opened(Pcp("192.168.1.2", NONCES), router).failure == Result.OTHER_VERSION


def test_the_address_comes_with_a_failure() -> None:
    leases = opened(Pcp("192.168.1.2", NONCES), SimulatedRouter("10.0.0.7", error=8))
    assert (leases.failure, leases.address) == (Result.NO_PORTS, "10.0.0.7")


@dialects
def test_the_end_removes_the_ports(dialect: Dialect) -> None:
    router = SimulatedRouter()
    leases = opened(dialect, router)
    router.losses = 3
    leases.end(6.0)
    assert not leases.has_ended
    run(leases, router, 6.0, 8.0)
    assert leases.has_ended and router.open_ports(8.0) == {}
    assert leases.next_s == float("inf")


@dialects
def test_the_end_does_not_wait_for_a_router_that_is_gone(dialect: Dialect) -> None:
    router = SimulatedRouter()
    leases = opened(dialect, router)
    router.losses = 1000
    leases.end(6.0)
    run(leases, router, 6.0, 6.0 + sum(REPEAT_S))
    assert leases.has_ended


@dialects
def test_a_port_that_was_asked_for_and_not_answered_is_removed_too(dialect: Dialect) -> None:
    router = SimulatedRouter()
    leases = Leases(dialect, WANTED, 0.0)
    for packet in leases.due(0.0):
        router.ask(packet, 0.0)  # the answers are lost
    leases.end(0.1)
    run(leases, router, 0.1, 1.0)
    assert leases.has_ended and router.open_ports(1.0) == {}


@dialects
def test_answers_about_other_ports_count_for_nothing(dialect: Dialect) -> None:
    leases, other = Leases(dialect, WANTED, 0.0), SimulatedRouter()
    for transport in Transport:
        answer = other.ask(dialect.map(transport, 80, 80, 120), 0.0)
        assert answer is not None
        leases.receive(answer, 0.0)
    assert not leases.is_complete and not leases.has_failed
    assert (leases.outer(Transport.TCP), leases.outer(Transport.UDP)) == (0, 0)
