"""Opens ports at the router by PCP, else by NAT-PMP, else by UPnP, and at an IPv6 router by PCP. No input or output.

All times are seconds of one monotonic clock. After each call: send `take_packets`, start `take_job`, tell `state` if it
has changed, and call `wake` at `next_s`.
"""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Callable, Mapping

from phaselock.frozen import frozen
from phaselock.internet import nat
from phaselock.internet.leases import LEASE_S, LOOK_INTERVAL_S, Leases, Wanted
from phaselock.internet.pcp import NONCE_BYTES, NatPmp, Pcp, Result, Transport
from phaselock.internet.state import Pinhole, Problem, RouterState, Way
from phaselock.internet.upnp_job import UpnpAct, UpnpAnswer, UpnpJob
from phaselock.model.address import is_public
from phaselock.model.invitation import Nat

MIN_PAUSE_S, MAX_PAUSE_S = 5.0, 60.0
"""Until everything is tried again after all ways have failed; doubled each time."""
MAX_JOB_S = 30.0
"""A router that lets UPnP wait longer than this is taken for one without UPnP."""
TRY_AGAIN_S = 1.0
"""Until a public port is asked for again that another computer has."""
PATIENT_S = 3.0
"""For this time it is asked for again: the other computer may be giving it back."""
MAX_END_S = 5.0
"""The removal of the ports is given up after this time."""

_PROBLEMS = {
    Result.REFUSED: Problem.REFUSED,
    Result.NO_PUBLIC_ADDRESS: Problem.NO_PUBLIC_ADDRESS,
    Result.NO_PORTS: Problem.NO_PORTS,
    Result.BEHIND_NAT: Problem.NO_PUBLIC_ADDRESS,
    Result.FAILED: Problem.FAILED,
}
# What one way tells of the router counts, if the others tell less.
_TELLING = (
    Problem.NONE,
    Problem.NO_ANSWER,
    Problem.NO_UPNP_LIBRARY,
    Problem.FAILED,
    Problem.NO_PORTS,
    Problem.REFUSED,
    Problem.NO_PUBLIC_ADDRESS,
)


@frozen
class Gateway:
    """`router`: the default router's address, with a scope if it is a link-local one. `own`: our address there."""

    router: str
    own: str


class _Stage(enum.Enum):
    IDLE = enum.auto()
    """No ports are wanted, or there is no router to ask."""
    PCP = enum.auto()
    NAT_PMP = enum.auto()
    UPNP = enum.auto()
    PAUSE = enum.auto()
    """All ways have failed."""


class Mapper:
    """The ports of this computer at its routers."""

    def __init__(self, random: Callable[[int], bytes]) -> None:
        """`random` gives a number of random bytes."""
        self._nonces = {one: random(NONCE_BYTES) for one in Transport}
        self._wanted: Wanted = {}
        self._gateway: Gateway | None = None
        self._gateway6: Gateway | None = None
        self._knows_network = False
        self._seen = self._seen_at = ""
        """An address at which a friend reached this computer, and the public one that the router told then."""
        self._second = ""
        self._asked_second = False
        self._stage = _Stage.IDLE
        self._leases: Leases | None = None
        self._leases6: Leases | None = None
        self._job: UpnpJob | None = None
        self._job_runs = False
        self._job_end_s = float("inf")
        """The wait limit of the job that runs. It may run on: a thread cannot be ended."""
        self._upnp_look_s = self._upnp_renew_s = float("inf")
        self._upnp_open = False
        """Whether there may be something to remove."""
        self._ports: Mapping[Transport, int] = {}
        """The public ports that UPnP has opened."""
        self._pause_s = self._pause6_s = MIN_PAUSE_S
        self._again_s = self._again6_s = float("inf")
        self._problem = Problem.NONE
        """What the ways told that were tried since the ports were open."""
        self._public = ""
        """The router's address outside, of a way that opens no ports."""
        self._failed = False
        """All ways have failed since the ports were open."""
        self._instead: Wanted | None = None
        """Wanted if the router gives other public ports than `_wanted`. None: these are good, too."""
        self._patient_until_s = 0.0
        self._next: Wanted | None = None
        """Wanted as soon as the present ports are removed, and `_begin_s` has come."""
        self._begin_s: float | None = None
        """None: it has come."""
        self._end_s = float("inf")
        self._is_last = False
        self._packets: list[tuple[Gateway, bytes]] = []
        self.state = RouterState()

    @property
    def has_ended(self) -> bool:
        """After `end`: whether all ports are removed, or cannot be."""
        return self._is_last and self._next is None

    @property
    def next_s(self) -> float:
        """When `wake` must be called."""
        times = [self._again_s, self._again6_s, self._end_s]
        times += [self._begin_s] if self._begin_s is not None else []
        times += [one.next_s for one in (self._leases, self._leases6) if one is not None]
        if self._stage == _Stage.UPNP:
            times += [self._job_end_s] if self._job_runs else [self._upnp_look_s, self._upnp_renew_s]
        return min(times)

    def take_packets(self) -> list[tuple[Gateway, bytes]]:
        """The packets to send to the PCP port of routers."""
        packets, self._packets = self._packets, []
        return packets

    def take_job(self) -> UpnpJob | None:
        """What must be asked by UPnP now. `upnp_answered` must follow before there is another one."""
        job, self._job = self._job, None
        return job

    def take_second(self) -> Gateway | None:
        """The router after which the second one must be looked for now. `set_second` may follow."""
        if not self._failed or self._public or self._asked_second:
            return None
        self._asked_second = True
        return self._gateway

    # -- input ---------------------------------------------------------------------------------------------------------

    def want(self, wanted: Wanted, now_s: float, instead: Wanted | None = None) -> None:
        """Open these ports, and close all others. `instead`: if the router gives other public ports than these, which
        another computer has, open those."""
        if wanted != (self._wanted if self._next is None else self._next) and not self._is_last:
            self._instead, self._patient_until_s = instead, now_s + PATIENT_S
            self._replace(wanted, now_s)

    def end(self, now_s: float) -> None:
        """Remove the ports for good."""
        if not self._is_last:
            self._is_last = True
            self._replace({}, now_s)

    def set_nonce(self, nonce: bytes) -> None:
        """These NONCE_BYTES show the router that we are the program that has opened the ports before. To be called
        before any are wanted. ValueError for another number of bytes."""
        if len(nonce) != NONCE_BYTES:
            raise ValueError("not a nonce")
        self._nonces = dict.fromkeys(Transport, nonce)

    def set_network(self, gateway: Gateway | None, gateway6: Gateway | None, now_s: float) -> None:
        """The default routers of this computer are these now: IPv4 and IPv6."""
        if gateway != self._gateway or not self._knows_network:
            self._knows_network = True
            self._gateway = gateway
            if self._next is None:
                self._begin_first(now_s)
        if gateway6 != self._gateway6:
            self._gateway6 = gateway6
            if self._next is None:
                self._begin6(now_s)
        self._settle(now_s)

    def set_seen(self, address: str, now_s: float) -> None:
        """A friend has reached this computer at this address."""
        self._seen, self._seen_at = address, self.state.public
        self._settle(now_s)

    def set_second(self, gateway: Gateway, second: str, now_s: float) -> None:
        """The address of the next router after this one; empty: not known."""
        if gateway == self._gateway:
            self._second = second
            self._settle(now_s)

    def receive(self, gateway: Gateway, packet: bytes, now_s: float) -> None:
        """A packet from the PCP port of this router."""
        for leases, of in ((self._leases, self._gateway), (self._leases6, self._gateway6)):
            if leases is not None and gateway == of:
                leases.receive(packet, now_s)
        self._settle(now_s)

    def unreachable(self, gateway: Gateway, now_s: float) -> None:
        """This router has no PCP port."""
        for leases, of in ((self._leases, self._gateway), (self._leases6, self._gateway6)):
            if leases is not None and gateway == of:
                leases.give_up()
        self._settle(now_s)

    def upnp_answered(self, job: UpnpJob, answer: UpnpAnswer, now_s: float) -> None:
        """The job is done."""
        self._job_runs = False
        if job.act == UpnpAct.REMOVE:
            self._upnp_open = False
        elif self._stage == _Stage.UPNP and self._gateway is not None and job.router == self._gateway.router:
            self._learn_upnp(answer, now_s)
        self._settle(now_s)

    def wake(self, now_s: float) -> None:
        """Some time has passed."""
        self._settle(now_s)

    # -- what follows --------------------------------------------------------------------------------------------------

    def _replace(self, wanted: Wanted, now_s: float, wait_s: float = 0.0) -> None:
        self._next, self._begin_s = wanted, now_s + wait_s if wait_s else None
        self._end_s = now_s + MAX_END_S
        for leases in (self._leases, self._leases6):
            if leases is not None:
                leases.end(now_s)
        self._settle(now_s)

    def _settle(self, now_s: float) -> None:
        """Go on as far as it goes now."""
        if self._next is not None:
            self._remove(now_s)
        self._ask(now_s)
        if self._next is None:
            while self._go_on(now_s):
                self._ask(now_s)
            self._insist(now_s)
        self.state = self._state()

    def _insist(self, now_s: float) -> None:
        """If the router has given other public ports than those that are wanted, try it again, or want others."""
        given = self._given()
        if self._instead is None or not given or given == {one: outer for one, (_, outer) in self._wanted.items()}:
            return
        if now_s < self._patient_until_s:
            self._replace(self._wanted, now_s, wait_s=TRY_AGAIN_S)
        else:
            wanted, self._instead = self._instead, None
            self._replace(wanted, now_s)

    def _given(self) -> Mapping[Transport, int]:
        """The public ports of the IPv4 router that are open; empty without any, or without all."""
        if self._stage == _Stage.UPNP:
            return self._ports
        if self._leases is None or not self._leases.is_complete:
            return {}
        return {one: self._leases.outer(one) for one in self._wanted}

    def _ask(self, now_s: float) -> None:
        for leases, gateway in ((self._leases, self._gateway), (self._leases6, self._gateway6)):
            if leases is not None and gateway is not None:
                self._packets += [(gateway, packet) for packet in leases.due(now_s)]

    def _remove(self, now_s: float) -> None:
        """Remove what is open. When that is done, or takes too long, begin with what is wanted next."""
        if self._upnp_open and not self._job_runs and self._gateway is not None:
            self._start(UpnpJob(UpnpAct.REMOVE, self._gateway.router, self._wanted), now_s)
        waits = self._upnp_open or self._job_runs
        waits |= any(one is not None and not one.has_ended for one in (self._leases, self._leases6))
        if self._begin_s is not None and now_s >= self._begin_s:
            self._begin_s = None
        if (waits and now_s < self._end_s) or self._begin_s is not None:
            return
        assert self._next is not None
        self._wanted, self._next = self._next, None
        self._end_s = float("inf")
        self._upnp_open = False
        self._begin_first(now_s)
        self._begin6(now_s)

    def _begin_first(self, now_s: float) -> None:
        """Ask a router of which nothing is known. What is open at another one ends with its lease."""
        self.state = RouterState()
        self._upnp_open = self._failed = self._asked_second = False
        self._second = ""
        self._pause_s = MIN_PAUSE_S
        self._begin(now_s)

    def _begin(self, now_s: float) -> None:
        """Ask the IPv4 router in all ways."""
        self._leases = None
        self._again_s = self._upnp_look_s = self._upnp_renew_s = float("inf")
        self._problem = Problem.NONE
        self._public = ""
        self._ports = {}
        self._stage = _Stage.IDLE
        if self._gateway is None:
            self._problem = Problem.NO_ROUTER if self._knows_network and self._wanted else Problem.NONE
        elif self._wanted and not is_public(self._gateway.own):
            self._stage = _Stage.PCP
            self._leases = Leases(Pcp(self._gateway.own, self._nonces), self._wanted, now_s)

    def _begin6(self, now_s: float) -> None:
        self._leases6 = None
        self._again6_s = float("inf")
        if self._gateway6 is not None and self._wanted:
            self._leases6 = Leases(Pcp(self._gateway6.own, self._nonces), self._wanted, now_s)

    def _go_on(self, now_s: float) -> bool:
        """Whether another way begins, and packets are due."""
        before = self._leases, self._leases6
        if self._stage == _Stage.PAUSE and now_s >= self._again_s:
            self._begin(now_s)
        if self._leases is not None and self._leases.has_failed:
            self._fail(self._leases, now_s)
        if self._leases is not None and self._leases.is_complete:
            self._succeed()
        if self._stage == _Stage.UPNP:
            self._go_on_with_upnp(now_s)
        if now_s >= self._again6_s:
            self._begin6(now_s)
        if self._leases6 is not None and self._leases6.has_failed:
            self._leases6 = None
            self._again6_s = now_s + self._pause6_s
            self._pause6_s = min(2 * self._pause6_s, MAX_PAUSE_S)
        elif self._leases6 is not None and self._leases6.is_complete:
            self._pause6_s = MIN_PAUSE_S
        return before != (self._leases, self._leases6)

    def _go_on_with_upnp(self, now_s: float) -> None:
        if self._job_runs:
            if now_s >= self._job_end_s:
                self._learn_upnp(UpnpAnswer(Problem.NO_ANSWER), now_s)
            return
        renews = now_s >= self._upnp_renew_s
        if self._gateway is not None and (renews or now_s >= self._upnp_look_s):
            self._upnp_look_s = now_s + LOOK_INTERVAL_S
            if renews:
                self._upnp_renew_s = now_s + LEASE_S / 2
            self._start(UpnpJob(UpnpAct.OPEN if renews else UpnpAct.LOOK, self._gateway.router, self._wanted), now_s)

    def _fail(self, leases: Leases, now_s: float) -> None:
        """The next way."""
        if leases.failure in _PROBLEMS:
            self._note(_PROBLEMS[leases.failure])
            self._public = leases.address or self._public
        if self._stage == _Stage.PCP:
            self._stage = _Stage.NAT_PMP
            self._leases = Leases(NatPmp(), self._wanted, now_s)
        else:
            self._stage = _Stage.UPNP
            self._leases = None
            self._upnp_renew_s = now_s

    def _learn_upnp(self, answer: UpnpAnswer, now_s: float) -> None:
        self._public = answer.public or self._public
        # It may have opened one of two ports.
        self._upnp_open |= answer.problem not in (Problem.NO_ANSWER, Problem.NO_UPNP_LIBRARY)
        if answer.problem == Problem.NONE:
            self._ports = answer.ports
            self._succeed()
            return
        self._note(answer.problem)
        self._failed = True
        self._ports = {}
        self._stage = _Stage.PAUSE
        self._upnp_look_s = self._upnp_renew_s = float("inf")
        self._again_s = now_s + self._pause_s
        self._pause_s = min(2 * self._pause_s, MAX_PAUSE_S)

    def _succeed(self) -> None:
        self._problem = Problem.NONE
        self._failed = False
        self._pause_s = MIN_PAUSE_S

    def _note(self, problem: Problem) -> None:
        self._problem = max(self._problem, problem, key=_TELLING.index)

    def _start(self, job: UpnpJob, now_s: float) -> None:
        self._job, self._job_runs = job, True
        self._job_end_s = now_s + MAX_JOB_S

    def _state(self) -> RouterState:
        """What is told: while a router is asked again, what was known before."""
        if self._next is not None:
            return self.state
        state = dataclasses.replace(self._ipv4_state(), pinholes=self._pinholes())
        if self._gateway is None or not self._wanted:
            return state
        mapped = state.way != Way.NONE
        own, second = self._gateway.own, self._second
        seen = self._seen if self._seen_at == state.public else ""
        kind = nat.verdict(own, state.public, mapped, self._failed, state.problem, seen=seen, second=second)
        return dataclasses.replace(state, nat=kind)

    def _ipv4_state(self) -> RouterState:
        if self._stage == _Stage.IDLE:
            if self._gateway is None or not self._wanted:
                return RouterState(problem=self._problem)
            return self._told(Way.NONE, self._gateway.own, {one: inner for one, (inner, _) in self._wanted.items()})
        if self._stage == _Stage.PAUSE:
            return self._told(Way.NONE, self._public, {})
        if self._stage == _Stage.UPNP and self._ports:
            return self._told(Way.UPNP, self._public, self._ports)
        if self._leases is not None and self._leases.is_complete:
            way = Way.PCP if self._stage == _Stage.PCP else Way.NAT_PMP
            return self._told(way, self._leases.address, self._given())
        return self.state

    def _told(self, way: Way, public: str, ports: Mapping[Transport, int]) -> RouterState:
        router = self._gateway.router if self._gateway is not None else ""
        problem = self._problem
        if ports and not is_public(public):
            # Another router or a provider's NAT is outside of this one.
            ports, problem = {}, Problem.NO_PUBLIC_ADDRESS
        tcp, udp = ports.get(Transport.TCP, 0), ports.get(Transport.UDP, 0)
        return RouterState(way, Nat.UNKNOWN, router, public, tcp, udp, problem=problem)

    def _pinholes(self) -> tuple[Pinhole, ...]:
        leases = self._leases6
        if leases is None or not leases.is_complete or not is_public(leases.address):
            return ()
        return (Pinhole(leases.address, leases.outer(Transport.TCP), leases.outer(Transport.UDP)),)
