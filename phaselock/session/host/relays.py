"""Decides which members pass pieces of files on, and which others may ask them. It uses the measured paths.

On a switch every machine helps, because each has a port of its own. On Wi-Fi all machines share the air, and a piece
that one passes on takes it a second time. So a member in the host's network passes pieces on only if its clock measures
a round trip that Wi-Fi never has. The members of one house elsewhere share the line from the host, which is slower than
any network inside of the house: there everybody passes on.

A relay that a member cannot reach, or that is slow, is not asked by it for a while. A relay that passes on a
wrong piece is not asked again by this member. If another member says so, too, no member asks it again.
"""

from __future__ import annotations

import dataclasses
import functools
import ipaddress
from collections.abc import Callable
from uuid import UUID

from phaselock.model.address import address_group, is_loopback, parse_ip
from phaselock.model.notices import Code, Notice
from phaselock.protocol import messages as m
from phaselock.protocol.proof import piece_access
from phaselock.session.effects import Send
from phaselock.session.host.members import Member, Members
from phaselock.session.host.swarm import Sources
from phaselock.session.outbox import Outbox

WIRED_RTT_NS = 700_000
"""Longest least round trip of a cable: Wi-Fi has a longer one, and Ethernet through some switches 100 to 500 us."""
PAUSE_NS = 5_000_000_000
"""A member does not ask a relay for this time after a first failure; each further one doubles it."""
MAX_DOUBLINGS = 6
MAX_ACCUSED = 2
"""A member that says of more relays that they pass on wrong pieces is wrong itself: it asks the host only."""
MAX_ABSENT = 64
"""Most relays that have left and are remembered, the newest ones."""
HERE = "here"
"""The group of the members on the host's own computer."""
ROOM = "room"
"""The group of the members in the host's network."""


@dataclasses.dataclass(slots=True)
class _Relay:
    told: m.PiecesAt
    key: bytes = dataclasses.field(repr=False)
    accusers: set[int] = dataclasses.field(default_factory=set)
    """The members that got wrong pieces from it."""
    left_out: bool = False
    """No member asks it any more."""


@dataclasses.dataclass(slots=True)
class _Trouble:
    """Between one member and one relay."""

    failures: int = 0
    until_ns: int = 0
    """Until then the member does not ask the relay."""


class Relays:
    """The relays of a session. Times are session time in nanoseconds."""

    def __init__(self, members: Members, token_factory: Callable[[], bytes], outbox: Outbox) -> None:
        self._members = members
        self._token_factory = token_factory
        self._outbox = outbox
        self._relays: dict[int, _Relay] = {}
        self._troubles: dict[tuple[int, int], _Trouble] = {}
        """By member and relay."""

    def take(self, member: Member, told: m.PiecesAt) -> None:
        """A member is willing to pass pieces on."""
        accusers = self._relays[member.peer_id].accusers if member.peer_id in self._relays else set[int]()
        relay = self._relays[member.peer_id] = _Relay(told, self._token_factory(), accusers)
        relay.left_out = self._is_to_be_left_out(relay)
        self._outbox.do(Send(member.conn, m.PiecesKey(relay.key)))

    def describe(self, source: int, member: Member, file_id: UUID) -> m.PieceSource:
        """Where the member `source` passes pieces of this file on to this member. It must be one of `sources`."""
        relay, by = self._relays[source], self._members.numbered(source)
        assert by is not None
        access = piece_access(relay.key, member.peer_id, file_id)
        return m.PieceSource(file_id, source, _address(by, relay.told), relay.told.port, relay.told.host_key, access)

    def sources(self, member: Member, *, now_ns: int) -> Sources:
        """The relays that this member may ask."""
        group = _group(member)
        if group is None or self._is_unbelievable(member.peer_id):
            return Sources(())
        relays = tuple(
            other.peer_id
            for other in self._members
            if other.peer_id in self._relays
            and other is not member
            and _group(other) == group
            and self._passes_on(other, member, now_ns)
        )
        return Sources(relays, spare_host=group not in (HERE, ROOM))

    def lost(self, member: Member, source: int, *, now_ns: int) -> None:
        """The member did not get a piece from the relay, or not in time."""
        trouble = self._troubles.setdefault((member.peer_id, source), _Trouble())
        if now_ns >= trouble.until_ns:
            trouble.until_ns = now_ns + (PAUSE_NS << min(trouble.failures, MAX_DOUBLINGS))
            trouble.failures += 1

    def delivered(self, member: Member, source: int) -> None:
        """The member got a piece from the relay."""
        self._troubles.pop((member.peer_id, source), None)

    def wrong(self, member: Member, source: int, *, now_ns: int) -> None:
        """What the relay passed on to the member is not the piece."""
        relay, by = self._relays.get(source), self._members.numbered(source)
        if relay is None:
            return
        relay.accusers.add(member.peer_id)
        if not relay.left_out and self._is_to_be_left_out(relay):
            relay.left_out = True
            if by is not None and by.may_report(now_ns):
                self._outbox.warn(Notice(Code.RELAY_LEFT_OUT, peer=by.name, peer_id=source), now_ns)

    def left(self, peer_id: int) -> None:
        """A member has left. Its accusers are kept, because it may come back. What it has said of others does not
        count any more: it may come back as another one."""
        for pair in [pair for pair in self._troubles if peer_id in pair]:
            del self._troubles[pair]
        for relay in self._relays.values():
            relay.accusers.discard(peer_id)
        absent = [one for one in self._relays if self._members.numbered(one) is None]
        for one in absent:
            if not self._relays[one].accusers or one in absent[:-MAX_ABSENT]:
                del self._relays[one]

    def _passes_on(self, other: Member, member: Member, now_ns: int) -> bool:
        relay = self._relays[other.peer_id]
        if relay.left_out or member.peer_id in relay.accusers or other.absent:
            return False
        trouble = self._troubles.get((member.peer_id, other.peer_id))
        if trouble is not None and now_ns < trouble.until_ns:
            return False
        return _helps(other, relay.told)

    def _is_to_be_left_out(self, relay: _Relay) -> bool:
        believed = sum(not self._is_unbelievable(peer_id) for peer_id in relay.accusers)
        return 0 < believed >= min(2, len(self._members) - 1)

    def _is_unbelievable(self, peer_id: int) -> bool:
        return sum(peer_id in relay.accusers for relay in self._relays.values()) > MAX_ACCUSED


def _group(member: Member) -> str | None:
    """Members of one group reach each other. None: it reaches the host only."""
    group = _address_group(member.ip, member.outside)
    return None if group == ROOM and member.far else group


@functools.lru_cache(maxsize=256)
def _address_group(ip: str, outside: bool) -> str | None:
    if "%" in ip:  # a link-local address, whose scope is another one at each machine
        return None
    if is_loopback(ip):  # also the end of a bridge to a friend elsewhere
        return None if outside else HERE
    return address_group(ip) if outside else ROOM


def _helps(member: Member, told: m.PiecesAt) -> bool:
    """What it passes on takes no capacity away from the host."""
    if _group(member) not in (HERE, ROOM):
        return bool(_address(member, told))
    least_rtt_ns = member.reports.latest.least_rtt_ns if member.reports.latest else 0
    return not told.wireless and 0 < least_rtt_ns <= WIRED_RTT_NS


def _address(member: Member, told: m.PiecesAt) -> str:
    """Where the others of its group reach it; empty: nowhere."""
    if not member.outside or parse_ip(member.ip).version == 6:
        return member.ip
    try:  # behind its router it has another address, which must be one of a house
        inside = ipaddress.IPv4Address(told.address)
    except ValueError:
        return ""
    inner = inside.is_private and not (inside.is_loopback or inside.is_multicast or inside.is_unspecified)
    return told.address if inner else ""
