"""The ports of a host: those of a session that is opened, and those that a peer keeps ready to become the host."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from collections.abc import Awaitable, Callable

from phaselock.errors import PhaseLockError, bug_net
from phaselock.frozen import frozen
from phaselock.model.address import DEFAULT_GUEST_PORT
from phaselock.network.listener import Listener, PortTaken, bind
from phaselock.network.secure import HostIdentity
from phaselock.network.seek import StandByDoor
from phaselock.protocol.messages import HostSeek, HostTold, SessionInfo

log = logging.getLogger("phaselock.session")


@frozen
class HostPorts:
    """Two bound sockets, and the certificate with which this machine answers there."""

    identity: HostIdentity
    listener: Listener
    clock_socket: socket.socket
    """UDP."""

    @classmethod
    def open(cls, identity: HostIdentity, address: str, port: int, clock_port: int) -> HostPorts:
        """Bind both. PortTaken if a port is in use, PhaseLockError for every other failure."""
        with contextlib.ExitStack() as stack:
            listener = stack.enter_context(Listener.open(address, port))
            clock_socket = stack.enter_context(bind(address, clock_port, socket.SOCK_DGRAM))
            stack.pop_all()
        return cls(identity, listener, clock_socket)

    @classmethod
    def open_any(cls, identity: HostIdentity, port: int, clock_port: int) -> HostPorts:
        """Bind these ports, which a firewall may know, or others if they are in use. PhaseLockError if that is
        impossible."""
        try:
            return cls.open(identity, "", port, clock_port)
        except PortTaken:
            return cls.open(identity, "", 0, 0)

    @property
    def control_port(self) -> int:
        return int(self.listener.getsockname()[1])

    @property
    def clock_port(self) -> int:
        return int(self.clock_socket.getsockname()[1])

    def close(self) -> None:
        self.listener.close()
        self.clock_socket.close()


@frozen
class StandByPorts:
    """The ports of a peer that can become the host, and where it can be reached."""

    ports: HostPorts
    addresses: tuple[str, ...]
    """The best first."""
    wired: bool | None
    """Its network is a cable. None: unknown."""
    page_port: int = DEFAULT_GUEST_PORT
    """TCP port of the page for guests that it would serve."""


class StandBy:
    """The ports of one peer, as its session wishes. For the network thread.

    `open_ports` may raise PhaseLockError; None: this machine never becomes the host. `info` and `sought`: see
    StandByDoor. `opened` is told the open ports.
    """

    def __init__(
        self,
        open_ports: Callable[[], Awaitable[StandByPorts]] | None,
        info: Callable[[], SessionInfo],
        sought: Callable[[HostSeek], HostTold],
        opened: Callable[[StandByPorts], None],
    ) -> None:
        self._open_ports = open_ports
        self._info, self._sought, self._opened = info, sought, opened
        self._ports: StandByPorts | None = None
        self._door: StandByDoor | None = None
        self._opening: asyncio.Task[None] | None = None

    def open(self) -> None:
        """Open the ports. If they are open already, only tell them again."""
        if self._ports is not None:
            self._opened(self._ports)
        elif self._opening is None and self._open_ports is not None:
            self._opening = asyncio.create_task(self._open(self._open_ports))

    async def close(self) -> None:
        """Close the ports."""
        if self._opening is not None:
            self._opening.cancel()
            await asyncio.wait([self._opening])
        if self._ports is not None:
            (await self.take()).close()

    async def take(self) -> HostPorts:
        """Answer no more questions at the open ports, and give them away. The caller closes them."""
        assert self._ports is not None and self._door is not None
        (ports, door), self._ports, self._door = (self._ports.ports, self._door), None, None
        await door.close()
        return ports

    async def _open(self, open_ports: Callable[[], Awaitable[StandByPorts]]) -> None:
        try:
            with bug_net("standing by", PhaseLockError):
                self._ports = await open_ports()
        except PhaseLockError as error:
            log.warning("this machine cannot become the host: %s", error)
        else:
            ports = self._ports.ports
            self._door = StandByDoor(ports.listener, ports.identity, self._info, self._sought)
            self._opened(self._ports)
        finally:
            self._opening = None
