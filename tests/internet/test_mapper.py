"""Which way the router is asked, and what is told about it. In virtual time."""

from __future__ import annotations

import dataclasses

import pytest

from phaselock.internet.leases import LEASE_S, LOOK_INTERVAL_S, Wanted
from phaselock.internet.mapper import MAX_END_S, MAX_PAUSE_S, PATIENT_S, TRY_AGAIN_S, Gateway, Mapper
from phaselock.internet.pcp import Transport
from phaselock.internet.state import Pinhole, Problem, RouterState, Way
from phaselock.internet.upnp_job import UpnpAct, UpnpAnswer, UpnpJob
from phaselock.model.invitation import Nat
from tests.support.simulated_router import PUBLIC, SimulatedRouter

WANTED = {Transport.TCP: (17404, 17401), Transport.UDP: (17402, 17402)}
INSTEAD = {Transport.TCP: (17404, 20001), Transport.UDP: (17402, 20001)}
USUAL, OWN = frozenset({17401, 17402}), frozenset({20001})
OPEN = {(Transport.TCP, 17404): 17401, (Transport.UDP, 17402): 17402}
HOME, HOME6 = Gateway("192.168.1.1", "192.168.1.2"), Gateway("fe80::1%eth0", "2a02:c207:1::2")
SILENT = SimulatedRouter(speaks=frozenset(), losses=10**9)
STEP_S = 0.01
NO_UPNP = UpnpAnswer(Problem.NO_ANSWER)
UPNP = UpnpAnswer(Problem.NONE, PUBLIC, {Transport.TCP: 17401, Transport.UDP: 17402})


class Home:
    """A mapper, its routers, and UPnP that gives the answer `upnp` to each job after `upnp_s`."""

    def __init__(
        self,
        router: SimulatedRouter,
        *,
        upnp: UpnpAnswer = NO_UPNP,
        router6: SimulatedRouter | None = None,
        instead: Wanted | None = None,
    ) -> None:
        self.mapper = Mapper(bytes)
        self.routers = {HOME: router, HOME6: router6 or SILENT}
        self.upnp = upnp
        self.upnp_s = 0.5
        self.refuses = False
        """There is no PCP port: the packets come back."""
        self.jobs: list[UpnpJob] = []
        self.states: list[RouterState] = []
        self.now_s = 0.0
        self._job: tuple[float, UpnpJob] | None = None
        self.mapper.set_network(HOME, HOME6 if router6 else None, 0.0)
        self.mapper.want(WANTED, 0.0, instead)

    def run(self, until_s: float) -> Home:
        while self.now_s <= until_s and not self.mapper.has_ended:
            self.mapper.wake(self.now_s)
            self._act()
            if not self.states or self.states[-1] != self.mapper.state:
                self.states.append(self.mapper.state)
            next_s = min(self.mapper.next_s, self._job[0] if self._job else until_s + 1)
            self.now_s = max(next_s, self.now_s + STEP_S)
        self.now_s = min(self.now_s, until_s)
        return self

    def _act(self) -> None:
        """As the process does after each call."""
        if self._job is not None and self.now_s >= self._job[0]:
            job, self._job = self._job[1], None
            self.mapper.upnp_answered(job, self.upnp, self.now_s)
        while packets := self.mapper.take_packets():
            for gateway, packet in packets:
                if self.refuses:
                    self.mapper.unreachable(gateway, self.now_s)
                elif (answer := self.routers[gateway].ask(packet, self.now_s)) is not None:
                    self.mapper.receive(gateway, answer, self.now_s)
        if (started := self.mapper.take_job()) is not None:
            self.jobs.append(started)
            self._job = self.now_s + self.upnp_s, started


def mapped(way: Way, router: str = HOME.router) -> RouterState:
    return RouterState(way, Nat.OPEN, router, PUBLIC, 17401, 17402)


def test_pcp_is_the_first_way() -> None:
    home = Home(SimulatedRouter()).run(1.0)
    assert home.mapper.state == mapped(Way.PCP)
    assert home.jobs == []


def test_a_nonce_that_is_given_is_used() -> None:
    """A process that is started again renews the ports of the one before."""
    router = SimulatedRouter()
    home = Home(router)
    home.mapper.set_nonce(b"a nonce: 12!")
    home.mapper.want({}, 0.0)
    home.mapper.want(WANTED, 0.0)
    assert home.run(1.0).mapper.state == mapped(Way.PCP)
    asked = [packet[24:36] for _, packet in router.requests if packet[1] == 1]
    assert asked[-2:] == [b"a nonce: 12!"] * 2
    with pytest.raises(ValueError, match="nonce"):
        home.mapper.set_nonce(b"short")


def test_then_nat_pmp() -> None:
    home = Home(SimulatedRouter(speaks=frozenset({"nat-pmp"}))).run(1.0)
    assert home.mapper.state == mapped(Way.NAT_PMP)


@pytest.mark.parametrize("refuses", [True, False])
def test_then_upnp(refuses: bool) -> None:
    home = Home(SILENT, upnp=UPNP)
    home.refuses = refuses
    home.run(1.0 if refuses else 5.0)
    assert home.mapper.state == mapped(Way.UPNP)
    assert home.jobs == [UpnpJob(UpnpAct.OPEN, HOME.router, WANTED)]


def test_nothing_is_told_twice_and_nothing_in_between() -> None:
    home = Home(SimulatedRouter(started_s=-500.0)).run(300.0)
    assert home.states == [mapped(Way.PCP)]


def test_upnp_is_renewed_and_looked_at() -> None:
    home = Home(SILENT, upnp=UPNP).run(4.5 + LEASE_S)
    acts = [job.act for job in home.jobs]
    assert acts.count(UpnpAct.OPEN) == 3
    assert len(acts) == 1 + int(LEASE_S / LOOK_INTERVAL_S)


def test_without_any_way_it_is_told_and_tried_again_ever_more_seldom() -> None:
    home = Home(SILENT).run(600.0)
    state = RouterState(Way.NONE, Nat.HOME, HOME.router, problem=Problem.NO_ANSWER)
    assert home.states == [RouterState(), state]
    assert 600.0 / (MAX_PAUSE_S + 5.0) < len(home.jobs) < 16


def test_a_way_that_works_later_is_found() -> None:
    router = SimulatedRouter(losses=10**9)
    home = Home(router).run(30.0)
    router.losses = 0
    home.run(100.0)
    assert home.mapper.state == mapped(Way.PCP)


@pytest.mark.parametrize(("error", "problem"), [(2, Problem.REFUSED), (8, Problem.NO_PORTS), (3, Problem.FAILED)])
def test_what_the_router_says_counts_more_than_its_silence(error: int, problem: Problem) -> None:
    home = Home(SimulatedRouter(speaks=frozenset({"pcp"}), error=error)).run(5.0)
    assert home.mapper.state == RouterState(Way.NONE, Nat.HOME, HOME.router, PUBLIC, problem=problem)


def test_upnp_without_a_library_is_told_when_it_was_the_last_way() -> None:
    assert Home(SILENT, upnp=UpnpAnswer(Problem.NO_UPNP_LIBRARY)).run(5.0).mapper.state.problem == (
        Problem.NO_UPNP_LIBRARY
    )


@pytest.mark.parametrize(("public", "kind"), [("10.0.0.7", Nat.DOUBLE), ("100.64.0.7", Nat.CARRIER)])
@pytest.mark.parametrize("error", [0, 7])
def test_a_router_without_a_public_address(public: str, kind: Nat, error: int) -> None:
    home = Home(SimulatedRouter(public, error=error)).run(5.0)
    state = home.mapper.state
    assert (state.nat, state.public, state.tcp, state.udp) == (kind, public, 0, 0)
    assert state.problem == Problem.NO_PUBLIC_ADDRESS


def test_the_second_router_is_looked_for_once_if_the_first_one_says_nothing() -> None:
    home = Home(SILENT).run(1.0)
    assert home.mapper.take_second() is None
    home.run(10.0)
    assert home.mapper.take_second() == HOME
    home.mapper.set_second(HOME, "100.64.0.1", home.now_s)
    assert home.mapper.state.nat == Nat.CARRIER
    home.run(100.0)
    assert home.mapper.take_second() is None and home.mapper.state.nat == Nat.CARRIER
    home.mapper.set_second(Gateway("192.168.8.1", "192.168.8.2"), "", home.now_s)
    assert home.mapper.state.nat == Nat.CARRIER


@pytest.mark.parametrize("router", [SimulatedRouter(), SimulatedRouter(error=2)])
def test_the_second_router_is_not_looked_for_if_the_first_one_tells_its_address(router: SimulatedRouter) -> None:
    assert Home(router).run(10.0).mapper.take_second() is None


def test_a_friend_has_come_by_another_address() -> None:
    home = Home(SimulatedRouter()).run(1.0)
    home.mapper.set_seen("45.32.9.9", home.now_s)
    assert home.mapper.state == dataclasses.replace(mapped(Way.PCP), nat=Nat.DOUBLE)


def test_where_a_friend_came_in_says_nothing_about_the_next_public_address() -> None:
    router = SimulatedRouter()
    home = Home(router).run(1.0)
    home.mapper.set_seen(PUBLIC, home.now_s)
    router.public = "45.32.1.9"
    home.run(1.0 + LEASE_S)
    assert home.mapper.state == dataclasses.replace(mapped(Way.PCP), public="45.32.1.9")


def test_a_computer_with_a_public_address_asks_no_router() -> None:
    home = Home(SimulatedRouter())
    home.mapper.set_network(Gateway("45.32.0.1", "45.32.0.9"), None, 0.0)
    home.mapper.take_packets()
    home.run(60.0)
    assert home.mapper.state == RouterState(Way.NONE, Nat.PUBLIC, "45.32.0.1", "45.32.0.9", 17404, 17402)
    assert home.routers[HOME].requests == [] and home.jobs == []


def test_without_a_network() -> None:
    home = Home(SimulatedRouter()).run(1.0)
    home.mapper.set_network(None, None, home.now_s)
    home.run(60.0)
    assert home.mapper.state == RouterState(problem=Problem.NO_ROUTER)
    home.mapper.set_network(HOME, None, home.now_s)
    home.run(61.0)
    assert home.mapper.state == mapped(Way.PCP)


def test_in_another_network_the_other_router_is_asked() -> None:
    home = Home(SimulatedRouter()).run(1.0)
    other = Gateway("192.168.8.1", "192.168.8.2")
    home.routers[other] = SimulatedRouter("45.32.8.1")
    home.mapper.set_network(other, None, home.now_s)
    home.run(2.0)
    assert (home.mapper.state.router, home.mapper.state.public) == ("192.168.8.1", "45.32.8.1")


def test_packets_of_a_router_of_the_last_network_count_for_nothing() -> None:
    home = Home(SimulatedRouter()).run(1.0)
    home.mapper.set_network(Gateway("192.168.8.1", "192.168.8.2"), None, home.now_s)
    for packet in (bytes(2), b"\x02\x81"):
        home.mapper.receive(HOME, packet, home.now_s)
    assert home.mapper.state == RouterState()


def test_ipv6_pinholes_beside_ipv4_mappings() -> None:
    router6 = SimulatedRouter("2a02:c207:1::2", speaks=frozenset({"pcp"}))
    home = Home(SimulatedRouter(), router6=router6).run(1.0)
    pinhole = Pinhole("2a02:c207:1::2", 17401, 17402)
    assert home.mapper.state == dataclasses.replace(mapped(Way.PCP), pinholes=(pinhole,))
    home.run(500.0)
    assert router6.open_ports(500.0) == OPEN


def test_an_ipv6_router_that_says_nothing_changes_nothing() -> None:
    home = Home(SimulatedRouter(), router6=SimulatedRouter(losses=10**9)).run(300.0)
    assert home.states == [mapped(Way.PCP)]


def test_an_ipv6_router_that_answers_later_is_found() -> None:
    router6 = SimulatedRouter("2a02:c207:1::2", losses=10**9)
    home = Home(SimulatedRouter(), router6=router6).run(30.0)
    router6.losses = 0
    home.run(50.0)
    assert home.mapper.state.pinholes == (Pinhole("2a02:c207:1::2", 17401, 17402),)


def test_the_public_address_changes() -> None:
    router = SimulatedRouter()
    home = Home(router).run(5.0)
    router.public = "45.32.1.9"
    router.restart(6.0)  # RFC 6887: then the epoch begins again
    home.run(6.0 + LOOK_INTERVAL_S)
    assert home.mapper.state == dataclasses.replace(mapped(Way.PCP), public="45.32.1.9")


def test_the_router_is_off_for_a_minute_and_comes_back() -> None:
    router = SimulatedRouter()
    home = Home(router).run(5.0)
    router.losses = 10**9
    home.run(65.0)
    assert home.states == [mapped(Way.PCP), RouterState(Way.NONE, Nat.HOME, HOME.router, problem=Problem.NO_ANSWER)]
    router.losses = 0
    router.restart(65.0)
    home.run(65.0 + MAX_PAUSE_S)
    assert home.mapper.state == mapped(Way.PCP) and router.open_ports(home.now_s) == OPEN


def test_upnp_fails_after_it_worked() -> None:
    home = Home(SILENT, upnp=UPNP).run(10.0)
    home.upnp = UpnpAnswer(Problem.NO_ANSWER)
    home.run(30.0)
    assert home.mapper.state == RouterState(Way.NONE, Nat.HOME, HOME.router, problem=Problem.NO_ANSWER)


def test_a_router_that_lets_upnp_wait_is_taken_for_one_without_it() -> None:
    home = Home(SILENT, upnp=UPNP)
    home.upnp_s = float("inf")
    home.run(200.0)
    assert home.states[-1] == RouterState(Way.NONE, Nat.HOME, HOME.router, problem=Problem.NO_ANSWER)
    assert len(home.jobs) == 1  # the thread still waits
    home.routers[HOME] = SimulatedRouter()
    home.run(300.0)
    assert home.mapper.state == mapped(Way.PCP)


def test_an_ipv6_router_that_gives_a_private_address_opens_nothing() -> None:
    router6 = SimulatedRouter("fd00::2", speaks=frozenset({"pcp"}))
    assert Home(SimulatedRouter(), router6=router6).run(1.0).mapper.state == mapped(Way.PCP)


# -- the end -----------------------------------------------------------------------------------------------------------


def test_the_end_removes_all_ports() -> None:
    router6 = SimulatedRouter("2a02:c207:1::2", speaks=frozenset({"pcp"}))
    home = Home(SimulatedRouter(), router6=router6).run(5.0)
    home.mapper.end(home.now_s)
    assert not home.mapper.has_ended
    home.run(6.0)
    assert home.mapper.has_ended
    assert home.routers[HOME].open_ports(home.now_s) == router6.open_ports(home.now_s) == {}


def test_the_end_removes_ports_of_upnp_after_the_job_that_runs() -> None:
    home = Home(SILENT, upnp=UPNP).run(3.6)
    assert [job.act for job in home.jobs] == [UpnpAct.OPEN]
    home.mapper.end(home.now_s)
    home.run(10.0)
    assert home.mapper.has_ended and [job.act for job in home.jobs] == [UpnpAct.OPEN, UpnpAct.REMOVE]


def test_the_end_does_not_wait_longer_than_its_limit() -> None:
    home = Home(SILENT, upnp=UPNP)
    home.run(5.0)
    home.upnp_s = 1000.0
    home.mapper.end(home.now_s)
    home.run(5.0 + MAX_END_S - 0.1)
    assert not home.mapper.has_ended
    home.run(5.0 + MAX_END_S + 0.1)
    assert home.mapper.has_ended


def test_the_end_before_anything_was_open() -> None:
    mapper = Mapper(bytes)
    mapper.end(0.0)
    assert mapper.has_ended and mapper.take_packets() == []


def test_other_ports_are_opened_after_the_first_ones_are_removed() -> None:
    home = Home(SimulatedRouter()).run(5.0)
    home.mapper.want({Transport.TCP: (17404, 17409)}, home.now_s)
    home.run(6.0)
    assert home.routers[HOME].open_ports(6.0) == {(Transport.TCP, 17404): 17409}
    assert (home.mapper.state.tcp, home.mapper.state.udp) == (17409, 0)
    home.mapper.want({}, home.now_s)
    home.run(7.0)
    assert home.routers[HOME].open_ports(7.0) == {}
    assert home.mapper.state == RouterState()


def test_the_same_ports_again_change_nothing() -> None:
    home = Home(SimulatedRouter()).run(5.0)
    home.mapper.want(dict(WANTED), home.now_s)
    home.run(6.0)
    assert len(home.routers[HOME].requests) == 2


@pytest.mark.parametrize("speaks", ["pcp", "nat-pmp"])
def test_public_ports_that_another_computer_gives_back_are_waited_for(speaks: str) -> None:
    router = SimulatedRouter(speaks=frozenset({speaks}), taken=USUAL)
    home = Home(router, instead=INSTEAD).run(2.0)
    assert home.states == [RouterState()]
    router.taken = frozenset()
    home.run(2.0 + LEASE_S)
    assert [(one.tcp, one.udp) for one in home.states] == [(0, 0), (17401, 17402)]


@pytest.mark.parametrize("taken", [USUAL, {17401}, {17402}])
@pytest.mark.parametrize("speaks", ["pcp", "nat-pmp"])
def test_public_ports_that_another_computer_keeps_are_replaced_by_own_ones(speaks: str, taken: frozenset[int]) -> None:
    router = SimulatedRouter(speaks=frozenset({speaks}), taken=taken)
    home = Home(router, instead=INSTEAD).run(PATIENT_S + 3 * TRY_AGAIN_S)
    assert [(one.tcp, one.udp) for one in home.states] == [(0, 0), (20001, 20001)]
    assert set(router.open_ports(home.now_s).values()) == {20001}


def test_if_those_are_taken_too_any_are_good() -> None:
    home = Home(SimulatedRouter(taken=USUAL | OWN), instead=INSTEAD).run(PATIENT_S + 3 * TRY_AGAIN_S)
    assert [(one.tcp, one.udp) for one in home.states] == [(0, 0), (50001, 50001)]


def test_upnp_replaces_taken_ports_by_own_ones() -> None:
    home = Home(SILENT, upnp=UpnpAnswer(Problem.NONE, PUBLIC, {Transport.TCP: 33333, Transport.UDP: 17402}))
    home.mapper.want({}, 0.0)
    home.mapper.want(WANTED, 0.0, INSTEAD)
    home.run(4.5)
    assert home.states == [RouterState()]
    home.upnp = UpnpAnswer(Problem.NONE, PUBLIC, {Transport.TCP: 20001, Transport.UDP: 20001})
    home.run(18.0)
    expected = (UpnpAct.OPEN, WANTED), (UpnpAct.REMOVE, WANTED), (UpnpAct.OPEN, INSTEAD)
    assert tuple((job.act, job.wanted) for job in home.jobs)[:3] == expected
    assert (home.mapper.state.tcp, home.mapper.state.udp) == (20001, 20001)


def test_a_router_that_does_not_answer_the_removal_keeps_nothing_busy() -> None:
    router = SimulatedRouter(taken=USUAL)
    home = Home(router, instead=INSTEAD).run(0.0)
    router.losses = 10**9
    home.run(TRY_AGAIN_S + 0.1)
    home.mapper.wake(home.now_s)
    assert home.mapper.next_s > home.now_s


def test_the_end_does_not_wait_for_a_port_of_another_computer() -> None:
    home = Home(SimulatedRouter(taken=USUAL), instead=INSTEAD).run(0.2)
    home.mapper.end(home.now_s)
    home.run(0.2 + TRY_AGAIN_S / 2)
    assert home.mapper.has_ended and not home.routers[HOME].open_ports(home.now_s)
