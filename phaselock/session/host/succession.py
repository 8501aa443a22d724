"""The line of succession at the host, and handing over.

The host asks each near peer whether it may become the host. Of those that are willing it chooses MAX_SUCCESSORS: those
on a cable first, then those that have all files, then those with the better clock. It tells each of them the heritage
(estate.py), and puts it into the line as soon as it knows all.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator

from phaselock.model.address import is_loopback, is_public, parse_ip
from phaselock.model.heritage import MAX_ADDRESSES, MAX_SUCCESSORS, Claim, HostContact
from phaselock.model.notices import Code, Notice
from phaselock.protocol import messages as m
from phaselock.session import commands as c
from phaselock.session import events as e
from phaselock.session.claims import extended
from phaselock.session.effects import Send
from phaselock.session.host.estate import Estate, HeirsKnowledge
from phaselock.session.host.members import Member, Members
from phaselock.session.host.queue import HostQueue
from phaselock.session.outbox import Outbox

ASK_AFTER_NS = 2_000_000_000
"""A peer is asked this time after it has joined: its clock and its files come first."""
CHOOSE_EVERY_NS = 10_000_000_000
"""Smallest time between two changes of the order of the line while all of its machines are here."""
HAND_OVER_NS = 3_000_000_000
"""The new host must answer within this time."""
PAGE_ADDRESSES = 2
"""Most addresses of a machine at which phones look for its page."""
FINE_CLOCK_NS = 100_000
"""Uncertainties of a clock that differ by less than this make no difference for the line."""
MAX_KNOWN = 256
"""Most members whose keys are remembered: a machine may join any number of times."""
_WIRED = {True: 0, None: 1, False: 2}


@dataclasses.dataclass(slots=True)
class _HandingOver:
    """One attempt to hand over."""

    conn: int
    contact: HostContact
    stay: bool
    until_ns: int
    or_end: bool = False
    """If the member does not answer, the next in line is asked; without one, the session ends."""


class HostSuccession:
    """`now_ns` is session time. Nothing happens before `reachable_at`."""

    def __init__(self, members: Members, queue: HostQueue, estate: Estate, outbox: Outbox, *, is_on: bool) -> None:
        self._members = members
        self._queue = queue
        self._estate = estate
        self._outbox = outbox
        self._is_on = is_on
        self.me: HostContact | None = None
        """Where this host is; None: not known yet."""
        self._asked: set[int] = set()
        """Connections of members that were asked."""
        self._standing: dict[int, tuple[m.StandingBy, HostContact]] = {}
        """The members that can become the host, by connection, and where they are."""
        self._newest: dict[int, tuple[m.StandingBy, HostContact]] = {}
        """The same as they have told it last. All members are told each change: it waits for the next choice."""
        self.keys: dict[int, bytes] = {}
        """The keys of the members that were the host or could become it so far, by number. The first one counts: a
        member that is removed cannot have told another one."""
        self._heirs: dict[int, HeirsKnowledge] = {}
        """The ones that are told the heritage, in their order."""
        self._choose_at_ns = 0
        self._line: m.SuccessionLine | None = None
        """The newest one."""
        self._last_heirs: m.SuccessionLine | None = None
        """The newest one with successors."""
        self._told: dict[int, m.SuccessionLine] = {}
        """What each member was told, by connection."""
        self._names: tuple[str, ...] = ()
        self._handing_over: _HandingOver | None = None

    # -- the line ----------------------------------------------------------------------------------------------------

    def reachable_at(self, me: HostContact) -> None:
        """Where this host is, from now on."""
        self.me = me

    def stands_by(self, member: Member, standing: m.StandingBy) -> bool:
        """A member is ready to become the host. False if it was not asked."""
        if member.conn not in self._asked:
            return False
        self._newest[member.conn] = standing, _contact(member, standing)
        if len(self.keys) < MAX_KNOWN:
            self.keys.setdefault(member.peer_id, standing.host_key)
        if member.conn not in self._standing:
            self._standing[member.conn] = self._newest[member.conn]
            self._choose_at_ns = 0
        return True

    def settle(self, claim: Claim, *, now_ns: int) -> None:
        """Bring the line, and what the successors know, up to date."""
        if not self._is_on or self.me is None:
            return
        here = self._members.members
        for conn in [conn for conn in self._told if conn not in here]:
            for known in (self._standing, self._newest, self._heirs, self._told):
                known.pop(conn, None)
            self._asked.discard(conn)
        for member in here.values():
            since_ns = member.reports.since_ns
            if member.conn not in self._asked and _may_be_heir(member) and now_ns >= since_ns + ASK_AFTER_NS:
                self._asked.add(member.conn)
                self._outbox.do(Send(member.conn, m.StandBy()))
        self._choose(here, now_ns)
        for conn, heir in self._heirs.items():
            self._estate.tell(conn, heir, here[conn].peer_id, now_ns=now_ns)
        self._tell(claim, now_ns)

    def line(self) -> tuple[HostContact, ...]:
        """The line of succession."""
        return tuple(contact for _, contact in self._ready())

    def standing(self) -> tuple[m.StandingBy, ...]:
        """What the machines of the line have told of themselves, in their order."""
        return tuple(standing for standing, _ in self._ready())

    def pages(self) -> tuple[tuple[str, int], ...]:
        """Where the machines of the line would serve the page for guests, in their order: addresses and ports. Those at
        the first addresses come first: the host reaches the machines there."""
        places = [
            (place, contact.addresses[place], standing.page_port)
            for standing, contact in self._ready()
            for place in range(min(PAGE_ADDRESSES, len(contact.addresses)))
        ]
        return tuple((address, port) for _, address, port in sorted(places, key=lambda one: one[0]))

    def told(self, claim: Claim) -> m.SuccessionLine | None:
        """The line as a member is told it now; None: this session has none."""
        if not self._is_on or self.me is None:
            return None
        voters = sum(not member.outside for member in self._members)
        line, known = m.SuccessionLine(claim.term, claim.chain, self.me, self.line(), voters), self._line
        self._line = known if known == line else line
        if self._line.successors:
            self._last_heirs = self._line
        return self._line

    def farewell(self, claim: Claim) -> m.SuccessionLine | None:
        """The line by which this machine, which is no host any more, looks for another host if it loses the next one.
        Its successors may be lost: then they are the machines that know the other host."""
        line = self.told(claim)
        return line if line is None or line.successors else self._last_heirs or line

    # -- handing over ------------------------------------------------------------------------------------------------

    @property
    def is_handing_over(self) -> bool:
        """A member was asked to take over, and has not answered. Until then nothing else may change the session."""
        return self._handing_over is not None

    def hand_over(self, command: c.HandOver, claim: Claim, *, now_ns: int) -> None:
        """Ask a member to take over. An `error` event says why that is not possible."""
        member = self._chosen(command.name, now_ns)
        if member is None:
            return
        contact = self._standing[member.conn][1]
        heir = self._heirs.pop(member.conn, None) or HeirsKnowledge(contact.host_key)
        others = list(self._heirs.items())[: MAX_SUCCESSORS - 1]
        self._heirs = {member.conn: heir, **dict(others)}
        self._estate.tell(member.conn, heir, member.peer_id, now_ns=now_ns, at_once=True)
        self._tell(claim, now_ns)
        chain = extended(claim.chain, contact.host_key)
        self._outbox.do(Send(member.conn, m.HostMoved(contact, claim.term + 1, chain)))
        self._handing_over = _HandingOver(member.conn, contact, command.stay, now_ns + HAND_OVER_NS)

    def leave(self, claim: Claim, *, now_ns: int) -> bool:
        """Hand over to the first in line, or as was asked already, and leave. False: no member is in line."""
        if self._handing_over is None and self.line():
            self.hand_over(c.HandOver(None), claim, now_ns=now_ns)
        if self._handing_over is None:
            return False
        self._handing_over.stay, self._handing_over.or_end = False, True
        return True

    def took_over(self, member: Member) -> tuple[HostContact, bool] | None:
        """A member is the host now. Return it, and whether this machine stays; None: it was not asked."""
        handing = self._handing_over
        if handing is None or handing.conn != member.conn:
            return None
        self._handing_over = None
        return handing.contact, handing.stay

    def timer(self, claim: Claim, *, now_ns: int) -> bool:
        """If the member that was asked does not answer, or is gone: go on as the host, or ask the next in line if this
        machine leaves. True: it leaves, no member is left to ask, and the session must end."""
        handing = self._handing_over
        if handing is None or (now_ns < handing.until_ns and handing.conn in self._members.members):
            return False
        self._handing_over = None
        if not handing.or_end:
            self._outbox.error(Notice(Code.HAND_OVER_FAILED, peer=handing.contact.name), now_ns)
            return False
        for known in (self._standing, self._newest, self._heirs):
            known.pop(handing.conn, None)
        return not self.leave(claim, now_ns=now_ns)

    def deadlines_ns(self) -> Iterator[int]:
        """When `timer` or `settle` must be called."""
        if self._handing_over is not None:
            yield self._handing_over.until_ns
        if self._is_on and self.me is not None:
            for member in self._members:
                if member.conn not in self._asked and _may_be_heir(member):
                    yield member.reports.since_ns + ASK_AFTER_NS

    # -- inside ------------------------------------------------------------------------------------------------------

    def _ready(self) -> Iterator[tuple[m.StandingBy, HostContact]]:
        """The machines of the line: the successors that know all, in their order."""
        return (self._standing[conn] for conn, heir in self._heirs.items() if heir.is_complete)

    def _chosen(self, name: str | None, now_ns: int) -> Member | None:
        """The member with this name, or else the first of the line. None: it cannot take over, and the user was told
        why."""
        if not self._is_on:
            self._outbox.error(Notice(Code.NO_SUCCESSION), now_ns)
            return None
        if self.is_handing_over:
            self._outbox.error(Notice(Code.HANDING_OVER), now_ns)
            return None
        if name is None:
            conn = next((conn for conn, heir in self._heirs.items() if heir.is_complete), None)
            member = self._members.members.get(conn) if conn is not None else None
            if member is None:
                self._outbox.error(Notice(Code.NO_SUCCESSOR), now_ns)
            return member
        member = next((one for one in self._members if one.name.casefold() == name.casefold()), None)
        if member is None:
            self._outbox.error(Notice(Code.NO_SUCH_PEER, peer=name), now_ns)
        elif member.conn not in self._standing:
            self._outbox.error(Notice(Code.CANNOT_HOST, peer=member.name), now_ns)
            return None
        return member

    def _choose(self, here: dict[int, Member], now_ns: int) -> None:
        """Choose the successors, and bring them into their order."""
        willing = self._willing(here)
        wanted = min(MAX_SUCCESSORS, len(willing))
        if now_ns < self._choose_at_ns and len([conn for conn in self._heirs if conn in willing]) >= wanted:
            return
        self._choose_at_ns = now_ns + CHOOSE_EVERY_NS
        self._standing = dict(self._newest)
        willing = self._willing(here)
        chosen = sorted(willing, key=lambda conn: self._rank(here[conn], self._standing[conn][0]))[:MAX_SUCCESSORS]
        before = self._heirs
        self._heirs = {conn: before.get(conn) or HeirsKnowledge(self._standing[conn][1].host_key) for conn in chosen}

    def _willing(self, here: dict[int, Member]) -> list[int]:
        return self._distinct(conn for conn in self._standing if _may_be_heir(here[conn]) and not here[conn].absent)

    def _distinct(self, conns: Iterable[int]) -> list[int]:
        """Only the first connection for each key, and none for the host's own: programs of one user of a computer have
        the same key, and a key names a machine."""
        assert self.me is not None
        by_key = {self.me.host_key: -1}
        for conn in conns:
            by_key.setdefault(self._standing[conn][1].host_key, conn)
        return [conn for conn in by_key.values() if conn != -1]

    def _rank(self, member: Member, standing: m.StandingBy) -> tuple[int, ...]:
        """The smaller one is earlier in the line."""
        missing = sum(not member.has(entry.track.file_id) for entry in self._queue.waiting())
        status = member.reports.latest
        assert status is not None  # see _may_be_heir
        clock = status.offset_uncertainty_ns // FINE_CLOCK_NS
        return _WIRED[standing.wired], missing, clock, member.peer_id

    def _tell(self, claim: Claim, now_ns: int) -> None:
        line = self.told(claim)
        assert line is not None
        for conn in self._members.members:
            if self._told.get(conn) is not line:
                self._told[conn] = line
                self._outbox.do(Send(conn, line))
        names = tuple(one.name for one in line.successors)
        if names != self._names:
            self._names = names
            self._outbox.note(e.SuccessorsChanged(now_ns, names))


def _may_be_heir(member: Member) -> bool:
    """It is in the host's network, and has reported its state."""
    return not (member.outside or member.far) and member.reports.latest is not None


def _contact(member: Member, standing: m.StandingBy) -> HostContact:
    """Where this member can be reached: at the address from which it comes, or at another one of this house that it
    has told."""
    told = [one for one in standing.addresses if one != member.ip and _is_usable(one)]
    if is_loopback(member.ip):  # on the host's own computer
        addresses = [*told, member.ip]
    else:
        addresses = [member.ip, *told]
    about = standing.control_port, standing.clock_port, standing.host_key
    return HostContact(member.peer_id, member.name, tuple(addresses[:MAX_ADDRESSES]), *about)


def _is_usable(address: str) -> bool:
    try:
        found = parse_ip(address)
    except ValueError:
        return False
    return not (found.is_loopback or found.is_unspecified or found.is_multicast or is_public(address))
