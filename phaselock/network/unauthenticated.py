"""Limits on the connections to a host that are not authenticated.

A connection sends a message, and then becomes that of a member, starts a transfer, or is refused. A refused one stays
open for up to a second, so that its last message arrives. If a limit is reached, a new connection takes the place of a
refused one, or else of one that has sent nothing, of the address that has the most. So no address keeps the others out.

The connections at the outside port are counted apart from the others: no crowd of the internet keeps the house out.

Addresses are counted by group: one IPv6 machine has all addresses of a /64. The limit for all groups does not apply to
those of members, because the files of a member come over connections that are not authenticated at first.
"""

from __future__ import annotations

import collections
import dataclasses
import enum
import logging
from collections.abc import Callable, Iterable

from phaselock.model.address import address_group
from phaselock.model.group import DEFAULT_PEERS

MAX_UNAUTHENTICATED = 16
"""Most connections from all groups without a member. In a session of many places more are allowed, and more from one
group: when a host begins, all machines of a room may join at once, also from one IPv6 network."""
MAX_OUTSIDE = 64
"""The same at the outside port. If a crowd connects there as fast as it is let, each connection still stays for more
than a second: a friend far away has sent its first message by then."""
MAX_OF_GROUP = 8
"""Most connections from one group of addresses."""


LOG_INTERVAL_S = 60.0
"""Smallest interval in seconds between two lines of the log about refused connections: anyone can make any number."""

log = logging.getLogger("phaselock.session")


class _State(enum.IntEnum):
    """The least is closed first."""

    CLOSING = 0
    SILENT = 1
    SPOKEN = 2


_Group = tuple[bool, str]
"""Whether it is at the outside port, and its addresses."""


@dataclasses.dataclass(slots=True)
class _Connection:
    group: _Group
    abort: Callable[[str], None]
    state: _State = _State.SILENT


class UnauthenticatedConnections:
    """By number. For the network thread."""

    def __init__(self, member_ips: Iterable[str], places: int = DEFAULT_PEERS) -> None:
        """`member_ips` are the addresses of the members at any time; `places`: the most members."""
        self._member_ips = member_ips
        self._most_of_group = max(MAX_OF_GROUP, 2 * (places - 1))
        self._most = {False: max(MAX_UNAUTHENTICATED, 3 * places), True: max(MAX_OUTSIDE, 3 * places)}
        """By whether it is at the outside port."""
        self._connections: dict[int, _Connection] = {}
        """The oldest first."""

    def __contains__(self, conn: int) -> bool:
        return conn in self._connections

    def make_room(self, ip: str, outside: bool = False) -> bool:
        """Make room for a new connection from `ip`, `outside`: at the outside port; abort another one for it if that is
        needed. False: there is none, because all others are in the middle of a conversation."""
        group = outside, address_group(ip)
        members = {address_group(one) for one in self._member_ips}
        crowd = collections.Counter(one.group for one in self._connections.values())
        if crowd[group] >= self._most_of_group:
            return self._evict(group)
        others = collections.Counter(
            {one: count for one, count in crowd.items() if one[0] is outside and one[1] not in members}
        )
        if group[1] in members or others.total() < self._most[outside]:
            return True
        return any(self._evict(one) for one, _ in others.most_common())

    def add(self, conn: int, ip: str, abort: Callable[[str], None], outside: bool = False) -> None:
        """A connection has come. `abort(reason)` closes it at once."""
        self._connections[conn] = _Connection((outside, address_group(ip)), abort)

    def has_spoken(self, conn: int) -> None:
        """A connection has sent a message."""
        if conn in self._connections:
            self._connections[conn].state = _State.SPOKEN

    def is_waiting(self, conn: int) -> None:
        """A connection was asked for something, and has sent nothing since."""
        if conn in self._connections:
            self._connections[conn].state = _State.SILENT

    def is_closing(self, conn: int, ip: str, abort: Callable[[str], None], outside: bool = False) -> None:
        """A connection is being closed: it was refused, or is that of a former member."""
        if conn not in self._connections:
            self.make_room(ip, outside)
            self.add(conn, ip, abort, outside)
        self._connections[conn].state = _State.CLOSING

    def remove(self, conn: int) -> None:
        """A connection is now that of a member, carries a file, or is closed."""
        self._connections.pop(conn, None)

    def _evict(self, group: _Group) -> bool:
        there = [(one.state, conn) for conn, one in self._connections.items() if one.group == group]
        state, conn = min(there)  # numbers grow, so the oldest of those in the same state
        if state is _State.SPOKEN:
            return False
        self._connections.pop(conn).abort("others are waiting")
        return True


class RefusalLog:
    """Logs connections that are refused, at most one in LOG_INTERVAL_S."""

    def __init__(self) -> None:
        self._refused = 0
        """Since the last line."""
        self._due_s = 0.0

    def note(self, ip: str, reason: str, now_s: float) -> None:
        """A connection from this address was refused."""
        self._refused += 1
        if now_s >= self._due_s:
            log.info("%s was refused: %s; %d since the last such line", ip, reason, self._refused)
            self._refused, self._due_s = 0, now_s + LOG_INTERVAL_S
