"""The sockets that a host listens on."""

from __future__ import annotations

import contextlib
import errno
import socket
import sys
from typing import Any

from phaselock.errors import PhaseLockError, message_of
from phaselock.model.address import for_resolver
from phaselock.network.reach import use_small_segments

BACKLOG = 128
"""Connections that may wait to be accepted: two of each machine of a large session."""


class PortTaken(PhaseLockError):
    """Another socket uses the port. The text is a sentence for users."""

    def __init__(self, port: int, kind: socket.SocketKind) -> None:
        super().__init__("Port {port} is in use. Please close the other application or change the port.", port=port)
        self.kind = kind
        self.port = port


class Listener(socket.socket):
    """A TCP socket that listens and is non-blocking. It knows the last connection that it has accepted: asyncio loses a
    connection if the task of `sock_accept` is cancelled at that moment, and then the other side hears nothing. Windows
    accepts without `accept`: there such a connection ends when Python frees it."""

    _last: socket.socket | None = None

    @classmethod
    def open(cls, address: str, port: int) -> Listener:
        """Bind it, and listen: see `bind`."""
        found = cls(fileno=bind(address, port, socket.SOCK_STREAM).detach())
        found.setblocking(False)
        return found

    def accept(self) -> tuple[socket.socket, Any]:
        self._last, address = super().accept()
        return self._last, address

    def close_last(self) -> None:
        """Close the last connection, if it is open."""
        if self._last is not None:
            self._last.close()


def bind(address: str, port: int, kind: socket.SocketKind) -> socket.socket:
    """A bound socket; a TCP socket also listens and is non-blocking. Without an address it serves IPv4 and IPv6.

    PortTaken if the port is in use, PhaseLockError for every other failure.
    """
    try:
        families = socket.getaddrinfo(for_resolver(address or "0.0.0.0"), port, type=kind, flags=socket.AI_PASSIVE)
    except (socket.gaierror, UnicodeError):
        raise _no_address(address) from None
    family, target = families[0][0], families[0][4]
    if not address and socket.has_dualstack_ipv6():
        with contextlib.suppress(_NoSuchAddress):
            return _bind_to(socket.AF_INET6, ("::", port), kind)
    try:
        return _bind_to(family, target, kind, address)
    except _NoSuchAddress:
        raise _no_address(address) from None


def _no_address(address: str) -> PhaseLockError:
    return PhaseLockError("{address} is no address of this machine.", address=address)


class _NoSuchAddress(Exception):
    """This machine has no such address."""


def _bind_to(family: int, target: tuple[Any, ...], kind: socket.SocketKind, address: str = "") -> socket.socket:
    sock = socket.socket(family, kind)
    try:
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, int(target[0] != "::"))
        if kind == socket.SOCK_STREAM:
            if hasattr(socket, "SO_EXCLUSIVEADDRUSE"):
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_EXCLUSIVEADDRUSE, 1)
            else:  # on other systems this only permits a port whose last connections are still closing
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(target)
        if kind == socket.SOCK_STREAM:
            use_small_segments(sock)
            sock.listen(BACKLOG)
            sock.setblocking(False)
        return sock
    except OSError as error:
        sock.close()
        # Windows reports EACCES for a port that another program uses exclusively.
        if error.errno == errno.EADDRINUSE or (sys.platform == "win32" and error.errno == errno.EACCES):
            raise PortTaken(target[1], kind) from None
        if error.errno in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT):
            raise _NoSuchAddress from None
        values = {"address": address, "port": target[1], "reason": message_of(error)}
        if address:
            raise PhaseLockError("Cannot listen on {address}, port {port}: {reason}.", **values) from None
        raise PhaseLockError("Cannot listen on port {port}: {reason}.", **values) from None
