"""The connections that have not joined, each at the door whose code its machine must know."""

from __future__ import annotations

from phaselock.frozen import frozen
from phaselock.protocol import messages as m
from phaselock.session.effects import AskCode, Close, Send
from phaselock.session.host.admission import Admission
from phaselock.session.host.door import Door
from phaselock.session.outbox import Outbox
from phaselock.session.states import HANDSHAKE_NS


@frozen
class Newcomer:
    """A connection that has not joined."""

    deadline_ns: int
    """For the JoinRequest."""
    ip: str
    door: Door
    """The one whose code it must know."""
    outside: bool
    """It came through the outside port."""


class Entrance:
    """`now_ns` is session time; `conn` is the number of a connection."""

    def __init__(self, door: Door, outside_door: Door, admission: Admission, outbox: Outbox) -> None:
        self._doors = door, outside_door
        self._admission = admission
        self._outbox = outbox
        self._newcomers: dict[int, Newcomer] = {}

    def connected(self, conn: int, ip: str, outside: bool, *, now_ns: int) -> None:
        """A connection from this IP address was accepted."""
        self._newcomers[conn] = Newcomer(now_ns + HANDSHAKE_NS, ip, self._doors[outside], outside)

    def received(self, conn: int, message: m.Message) -> Newcomer | None:
        """A message arrived on a connection, maybe one of those. Return it if it may join now. It is none of these from
        then on."""
        found = self._newcomers.get(conn)
        if found is None:
            return None
        if not isinstance(message, m.JoinRequest):
            del self._newcomers[conn]
            self._outbox.do(Close(conn, f"{type(message).__name__} before JoinRequest"))
        elif self._admission.needs_code(conn, found.door, message):
            self._outbox.do(AskCode(conn))
        else:
            return self._newcomers.pop(conn)
        return None

    def leave(self, conn: int) -> Newcomer | None:
        """This connection is none of those any more. None if it was none."""
        return self._newcomers.pop(conn, None)

    def begin_pairing(self, conn: int, *, now_ns: int) -> str:
        """The peer of a connection wants to prove that it knows the code. Return the code; empty if it may not, and the
        connection is closed."""
        found = self._newcomers.get(conn)
        if found is None or found.door.is_open_for(conn):
            self._outbox.do(Close(conn, "PairingStart was not expected"))
        elif refusal := found.door.begin(conn, found.ip, now_ns=now_ns):
            del self._newcomers[conn]
            self.reject(conn, refusal, "code" if found.door.code else "other")
        else:
            return found.door.code
        return ""

    def paired(self, conn: int, code: str) -> None:
        """The peer has proved that it knows this code."""
        found = self._newcomers.get(conn)
        if found is not None and code == found.door.code:
            found.door.right(conn, found.ip)

    def not_paired(self, conn: int, *, now_ns: int) -> None:
        """The peer does not know the code."""
        if (found := self._newcomers.pop(conn, None)) is not None:
            found.door.wrong(conn, now_ns=now_ns)
            self.reject(conn, found.door.wrong_code, "code")

    def closed(self, conn: int, *, now_ns: int) -> None:
        """A connection is over, maybe that of a member."""
        self._newcomers.pop(conn, None)
        for door in self._doors:
            door.closed(conn, now_ns=now_ns)

    def timer(self, *, now_ns: int) -> None:
        """Close the connections whose deadline has passed."""
        for conn in [conn for conn, one in self._newcomers.items() if now_ns >= one.deadline_ns]:
            del self._newcomers[conn]
            self._outbox.do(Close(conn, "no JoinRequest came"))

    def deadlines_ns(self) -> list[int]:
        """When `timer` must be called."""
        return [one.deadline_ns for one in self._newcomers.values()]

    def end(self, reason: str) -> None:
        """The session ends: send all away."""
        for conn in self._newcomers:
            self.reject(conn, reason)
        self._newcomers.clear()

    def reject(self, conn: int, reason: str, kind: m.RefusalKind = "other") -> None:
        """Tell a machine that it may not join, and close its connection."""
        self._outbox.do(Send(conn, m.JoinRejected(reason, kind)), Close(conn, reason))
