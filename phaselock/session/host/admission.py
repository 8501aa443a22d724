"""Decides whether a machine may join the session: code, removed machines, versions, free places, display names.

A lost member, which has not sent LeaveSession, may return if it proves its token: it keeps its number and its name. If
it was lost by a timeout, its place is reserved for HOLD_NS.
"""

from __future__ import annotations

import collections
import dataclasses
from collections.abc import Callable, Collection, Iterable

from phaselock.frozen import frozen
from phaselock.language.message import N_
from phaselock.model.group import MAX_PEERS
from phaselock.model.heritage import HeirBar, HeirMember
from phaselock.model.names import distinct, person_name, skeleton
from phaselock.model.notices import Code, Notice
from phaselock.protocol import messages as m
from phaselock.protocol.proof import JOIN, is_membership_proof
from phaselock.session.host.bars import Bar, Bars
from phaselock.session.host.budgets import Budget, Budgets
from phaselock.session.host.door import Door
from phaselock.session.host.members import Member, Members, Reports
from phaselock.session.outbox import Outbox
from phaselock.session.sentences import notice_text
from phaselock.session.states import HOLD_NS, other_version

MAX_DEPARTED = 2 * MAX_PEERS
"""Largest number of lost members that are remembered; the oldest ones are forgotten."""
REMOVED = N_("The host has removed this machine from the jam.")
TOO_MANY_JOINS = N_("This machine has joined too often. Please try again in a minute.")


@frozen
class Admitted:
    """A machine that may join, and the number, token and name that it gets."""

    peer_id: int
    token: bytes = dataclasses.field(repr=False)
    name: str
    asked_name: str
    """The name that it asked for."""
    budget: Budget
    """Of the group of its address."""
    again: bool
    """It is a lost member that returns."""


@frozen
class Refused:
    """A machine that may not join, and what it is told. Without a reason it is told nothing, and tries again."""

    reason: str = ""
    kind: m.RefusalKind = "other"


class Admission:
    """The places of one session. `now_ns` is session time."""

    def __init__(
        self,
        members: Members,
        door: Door,
        outbox: Outbox,
        *,
        host_name: str,
        max_peers: int,
        token_factory: Callable[[], bytes],
        host_key: bytes,
    ) -> None:
        self._members = members
        self._door = door
        self._outbox = outbox
        self._host_key = host_key
        self._host_name = host_name
        self._max_peers = max_peers
        self._token_factory = token_factory
        self._budgets = Budgets(max_peers)
        self._bars = Bars()
        self._departed: collections.OrderedDict[int, Member] = collections.OrderedDict()
        """Members that were lost without LeaveSession, by number, oldest first. They may reconnect."""
        self._last_peer_id = 0

    @property
    def removed_names(self) -> tuple[str, ...]:
        """The names of the machines that were removed."""
        return self._bars.names

    @property
    def bars(self) -> Collection[Bar]:
        """The machines that were removed."""
        return self._bars.all

    @property
    def last_peer_id(self) -> int:
        """The largest number of a member so far."""
        return self._last_peer_id

    def inherit(
        self, members: Iterable[HeirMember], bars: Iterable[HeirBar], last_peer_id: int, *, now_ns: int
    ) -> None:
        """The members of the host before this one may return, and who was removed there may not. Their places are
        reserved for HOLD_NS."""
        for one in members:
            budget = self._budgets.of(one.ip, now_ns=now_ns)
            name = person_name(one.name)
            member = Member(0, one.peer_id, name, one.token, now_ns, Reports(now_ns), one.ip, budget)
            member.asked_name, member.held_until_ns = person_name(one.asked_name), now_ns + HOLD_NS
            member.outside, member.call_back_port = one.outside, one.call_back_port
            self._departed[one.peer_id] = member
        for bar in bars:
            self._bars.take(Bar(person_name(bar.name), person_name(bar.asked_name), bar.token, bar.ip, bar.host_key))
        self._last_peer_id = last_peer_id

    def remove(self, member: Member, host_key: bytes) -> None:
        """The user has removed this member: keep it out. It may have had several memberships by an invitation: none of
        its address returns by its token any more. `host_key`: see Bar."""
        self._bars.add(member, host_key)
        if member.outside:
            self._forget({member.ip})

    def allow(self, name: str) -> bool:
        """Let the removed machines with this name join again. False if there is none."""
        return self._bars.lift(name)

    def change_code(self, code: str) -> None:
        """The session has another code, or none. A removed machine may have had several memberships: none of its
        address returns by its token any more."""
        self._door.change(code)
        self._forget(self._bars.ips)

    @property
    def departed(self) -> Collection[Member]:
        """Members that were lost without LeaveSession and may return, oldest first."""
        return self._departed.values()

    def lost(self, member: Member) -> None:
        """This member is lost, and may return."""
        if member.reports.latest is not None:  # a member that sent no report is not remembered
            self._departed[member.peer_id] = member
        while len(self._departed) > MAX_DEPARTED:
            self._departed.popitem(last=False)

    def member(self, peer_id: int | None, proof: bytes | None, purpose: bytes) -> Member | None:
        """The member that proves its membership for this purpose, or None."""
        member = self._members.numbered(peer_id) if peer_id is not None else None
        return self._prover(member, proof, purpose)

    def needs_code(self, conn: int, door: Door, request: m.JoinRequest) -> bool:
        """This machine, which has come to this door, must prove the code first: it has not, and it proves no
        membership. Another version is refused without it."""
        return (
            not door.is_open_for(conn)
            and request.protocol_version == m.PROTOCOL_VERSION
            and self.member(request.peer_id, request.proof, JOIN) is None
            and self._returning(request) is None
        )

    def decide(self, request: m.JoinRequest, ip: str, *, now_ns: int) -> Admitted | Refused:
        """Whether the machine at this address may join. It has proved what `needs_code` asks for, and its old
        connection is closed. A machine of another version has proved nothing: it is told nothing of the session."""
        if request.protocol_version != m.PROTOCOL_VERSION:
            return Refused(notice_text(other_version(m.PROTOCOL_VERSION, request.protocol_version)))
        name, before = person_name(request.display_name), self._returning(request)
        budget = self._budgets.of(ip, now_ns=now_ns)
        if before is None and self._is_barred(request, name, ip, budget, now_ns):
            return Refused(REMOVED, "removed")
        if not budget.joins.fits(now_ns):
            return Refused("" if before is not None else TOO_MANY_JOINS)
        if not name:
            return Refused(N_("Please choose a display name."))
        held = [] if before is not None else self._held(name, now_ns)
        if len(self._members) + len(held) >= self._max_peers:
            return Refused(N_("Session is full."))
        budget.joins.take(now_ns)
        taken = [self._host_name, *(member.name for member in [*self._members, *held])]
        if before is not None:
            del self._departed[before.peer_id]
            name = distinct(before.name, taken)
            return Admitted(before.peer_id, before.token, name, before.asked_name, budget, again=True)
        self._last_peer_id += 1
        return Admitted(self._last_peer_id, self._token_factory(), distinct(name, taken), name, budget, again=False)

    def _forget(self, ips: Collection[str]) -> None:
        """The lost members of these addresses do not return."""
        for peer_id in [peer_id for peer_id, member in self._departed.items() if member.ip in ips]:
            del self._departed[peer_id]

    def _prover(self, member: Member | None, proof: bytes | None, purpose: bytes) -> Member | None:
        """This member if the proof is its own, or None."""
        if member is None or not is_membership_proof(proof, member.token, purpose, self._host_key):
            return None
        return member

    def _returning(self, request: m.JoinRequest) -> Member | None:
        """The lost member that proves its membership."""
        before = self._departed.get(request.peer_id) if request.peer_id is not None else None
        return self._prover(before, request.proof, JOIN)

    def _is_barred(self, request: m.JoinRequest, name: str, ip: str, budget: Budget, now_ns: int) -> bool:
        """Whether this machine was removed. The first time that one comes back, tell the user."""

        def proves(token: bytes) -> bool:
            return is_membership_proof(request.proof, token, JOIN, self._host_key)

        bar = self._bars.against(name, proves, ip, {member.ip for member in self._members})
        if bar is not None and not bar.told and budget.reports.take(now_ns):
            bar.told = True
            self._outbox.warn(Notice(Code.PEER_BARRED, peer=name, choices=(bar.name,)), now_ns)
        return bar is not None

    def _held(self, name: str, now_ns: int) -> list[Member]:
        """Members lost by a timeout, whose places are reserved: they play on and may reconnect.

        A member that looks like `name` is left out: it may be the new peer itself, without its token.
        """
        departed = self._departed.values()
        return [one for one in departed if now_ns < one.held_until_ns and skeleton(one.name) != skeleton(name)]
