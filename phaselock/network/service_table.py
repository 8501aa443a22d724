"""What was heard of the sessions on this network, by the machine that said it.

Everybody on the network can announce anything, under any name, and withdraw what others announce. So what one machine
says never changes what another one has said, and no machine fills the table. No input or output, and no clock.
"""

from __future__ import annotations

import dataclasses
import functools
import ipaddress
import itertools
from collections.abc import Iterable
from typing import Any

from phaselock.network.interfaces import MAX_ADDRESSES, Address, Network
from phaselock.network.reach import Place
from phaselock.network.service_record import SERVICE_TYPE, FoundSession, found_session

MAX_SESSIONS = 32
"""Most sessions in the list."""
MAX_PER_SOURCE = 2
"""Most services of one source address. It is the whole address: all machines of a network share the first 64 bits of
their IPv6 addresses. A router that repeats the packets of another network is one source, too."""
MAX_SERVICES = 256
"""Most services of all source addresses, which can be forged."""
MAX_TTL_S = 120
"""Records that claim to be valid for longer are forgotten after this time."""
GOODBYE_S = 1.5
"""A session whose end was announced stays in the list for this time: its host may answer that it is still there."""
CHECK_AGAIN_S = 30.0
"""A session that did not answer is asked again after this time, if it matters."""
A, PTR, TXT, AAAA, SRV = 1, 12, 16, 28, 33
_SUFFIX = f".{SERVICE_TYPE}"

Claim = tuple[str, str, tuple[Place, ...]]
"""Session id, host key and places: what tells one announcement of a session from a false one."""


@dataclasses.dataclass(slots=True)
class _Service:
    """A service as one machine announces it."""

    name: str
    until_s: float
    port: int = 0
    server: str = ""
    text: bytes = b""
    addresses: dict[int, tuple[Address, ...]] = dataclasses.field(default_factory=dict)
    """By the type of their record."""


class ServiceTable:
    """The services of all machines. All times are those of one clock, in seconds."""

    def __init__(self) -> None:
        self._services: dict[tuple[Address, str], _Service] = {}
        """By source address and name in lower case, the first heard first."""
        self._answers: dict[Claim, tuple[bool, float]] = {}
        """Whether a machine answers to it as this session, and when that was known."""

    def take(self, source: Address, records: Iterable[Any], now_s: float, *, is_own: bool = False) -> bool:
        """Take the records of one packet (DNSRecord of zeroconf). True if it announces the end of a service that is
        known: ask whether that is still there. `is_own`: the source is this computer, which may announce any number of
        services."""
        self._expire(now_s)
        ends = False
        for record in sorted(records, key=lambda record: record.type != PTR):
            if record.type not in (PTR, SRV, TXT):
                continue
            if record.type == PTR and record.name.lower() != SERVICE_TYPE:
                continue
            name = record.alias if record.type == PTR else record.name
            service = self._services.get((source, name.lower()))
            if record.ttl <= 0:
                if service is not None:
                    service.until_s = min(service.until_s, now_s + GOODBYE_S)
                    ends = True
                continue
            if service is None:
                if not name.lower().endswith(_SUFFIX) or not (is_own or self._has_place(source)):
                    continue
                if len(self._services) >= MAX_SERVICES and not self._make_place():
                    continue
                service = self._services[source, name.lower()] = _Service(name, 0.0)
            service.until_s = now_s + min(record.ttl, MAX_TTL_S)
            if record.type == SRV:
                service.port, service.server = record.port, record.server.lower()
            elif record.type == TXT:
                service.text = record.text
        self._take_addresses(source, records)
        return ends

    def names(self, now_s: float) -> frozenset[str]:
        """Names of all services that are announced now, sessions or not."""
        self._expire(now_s)
        return frozenset(service.name for service in self._services.values())

    def sessions(self, networks: tuple[Network, ...], now_s: float) -> tuple[FoundSession, ...]:
        """The list of sessions; `networks` are those of this computer. Of several announcements of one session the one
        that answers counts, then the first."""
        groups = self._groups(networks, now_s)
        standing = [min(group, key=self._doubt) for group in groups]
        order = sorted(range(len(groups)), key=lambda at: self._doubt(standing[at]))[:MAX_SESSIONS]
        found = [
            dataclasses.replace(
                standing[at],
                rivals=tuple(
                    _places(one)[0]
                    for one in groups[at]
                    if _contradict(one, standing[at]) and self._doubt(one) <= self._doubt(standing[at])
                ),
            )
            for at in order
        ]
        return tuple(sorted(found, key=lambda one: (one.session_name.casefold(), one.session_id)))

    def announcements(self, session_id: str, networks: tuple[Network, ...], now_s: float) -> list[FoundSession]:
        """All different announcements of the session with this id, except those that nothing answers to."""
        groups = self._groups(networks, now_s)
        return [one for group in groups for one in group if one.session_id == session_id and self._doubt(one) < 2]

    def doubtful(self, networks: tuple[Network, ...], now_s: float) -> list[FoundSession]:
        """The announcements to check, the newest first: those of one session that contradict each other, and all that
        were not checked if there are more sessions than the list shows."""
        groups = self._groups(networks, now_s)
        wanted = [
            one
            for group in groups
            for one in group
            if len(groups) > MAX_SESSIONS or any(_contradict(one, other) for other in group)
        ]
        known = self._answers
        return [
            one
            for one in reversed(wanted)
            if (answer := known.get(_claim(one))) is None or (not answer[0] and answer[1] < now_s - CHECK_AGAIN_S)
        ]

    def checked(self, session: FoundSession, answers: bool, now_s: float) -> None:
        """Whether the machine that is announced answers as this session."""
        self._answers[_claim(session)] = answers, now_s

    def _take_addresses(self, source: Address, records: Iterable[Any]) -> None:
        """The addresses of a server in one packet replace those that the same machine said before."""
        said: dict[tuple[str, int], list[Address]] = {}
        for record in records:
            if record.type in (A, AAAA) and record.ttl > 0:
                said.setdefault((record.name.lower(), record.type), []).append(_address(record))
        for service in self._of(source):
            for kind in (A, AAAA):
                if addresses := said.get((service.server, kind)):
                    service.addresses[kind] = tuple(addresses[:MAX_ADDRESSES])

    def _of(self, source: Address) -> list[_Service]:
        return [service for (one, _), service in self._services.items() if one == source]

    def _has_place(self, source: Address) -> bool:
        return len(self._of(source)) < MAX_PER_SOURCE

    def _make_place(self) -> bool:
        """Remove the oldest service that was not found to answer. Of the versions of IP, the one with more services
        loses one: a flood of either leaves place for the other."""
        versions = [int(source.version) for source, _ in self._services]
        crowded = max(versions, key=versions.count)
        for key, service in self._services.items():
            session = _session(service, ())
            if key[0].version == crowded and not (session and self._answers.get(_claim(session), (False, 0))[0]):
                del self._services[key]
                return True
        return False

    def _expire(self, now_s: float) -> None:
        over = [key for key, service in self._services.items() if service.until_s <= now_s]
        for key in over:
            del self._services[key]

    def _groups(self, networks: tuple[Network, ...], now_s: float) -> list[list[FoundSession]]:
        """The different announcements of each session, the first ones first."""
        self._expire(now_s)
        claims: dict[Claim, FoundSession] = {}
        for service in self._services.values():
            if session := _session(service, networks):
                claims.setdefault(_claim(session), session)
        self._answers = {claim: answer for claim, answer in self._answers.items() if claim in claims}
        groups: dict[str, list[FoundSession]] = {}
        for session in claims.values():
            groups.setdefault(session.session_id, []).append(session)
        return list(groups.values())

    def _doubt(self, session: FoundSession) -> int:
        """0: a machine answers as this session; 1: not known; 2: none does."""
        answer = self._answers.get(_claim(session))
        return 1 if answer is None else 0 if answer[0] else 2


def _session(service: _Service, networks: tuple[Network, ...]) -> FoundSession | None:
    addresses = tuple(itertools.chain.from_iterable(service.addresses.values()))
    return _found_session(service.port, service.text, addresses, networks)


_found_session = functools.lru_cache(2 * MAX_SERVICES)(found_session)
"""The list is made again for every packet, and reducing names is slow."""


def _places(session: FoundSession) -> tuple[Place, ...]:
    return tuple((address, session.port) for address in session.addresses)


def _claim(session: FoundSession) -> Claim:
    return session.session_id, session.host_key, tuple(sorted(_places(session)))


def _contradict(one: FoundSession, other: FoundSession) -> bool:
    """They cannot both be true: they name different hosts. One host may announce a part of its addresses on each of its
    interfaces."""
    other_key = bool(one.host_key and other.host_key and one.host_key != other.host_key)
    return other_key or not set(_places(one)) & set(_places(other))


def _address(record: Any) -> Address:
    """The address of a record; a link-local one with its scope, the interface on which it was received."""
    address = ipaddress.ip_address(record.address)
    if isinstance(address, ipaddress.IPv6Address) and address.is_link_local and record.scope_id:
        return ipaddress.IPv6Address(f"{address}%{record.scope_id}")
    return address
