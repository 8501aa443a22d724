"""The port at which the host calls a friend elsewhere when it has moved: see network/call_back.py."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from typing import TYPE_CHECKING

from phaselock.app.invitation import NewMapping, PortMapping
from phaselock.errors import PhaseLockError
from phaselock.model.invitation import Nat
from phaselock.network.listener import bind

if TYPE_CHECKING:
    from phaselock.internet.state import RouterState
    from phaselock.network.peer import PeerRunner

CLOSING_S = 1.0
"""How long the end of a session waits for the router to close the port."""

_log = logging.getLogger("phaselock.app.call_back")


class CallBackPort:
    """Opens the port when the session asks for it. For the network thread.

    A friend whose router opens no port is not called: it still looks for the host where it was.
    """

    def __init__(self, runner: PeerRunner, new_mapping: NewMapping) -> None:
        self._runner = runner
        self._new_mapping = new_mapping
        self._listener: socket.socket | None = None
        self._mapping: PortMapping | None = None
        runner.await_call = self._open

    async def close(self) -> None:
        """Close the port here and at the router. The runner does not run any more."""
        self._runner.await_call = None
        mapping, self._mapping = self._mapping, None
        if mapping is not None:
            mapping.close()
            await asyncio.to_thread(mapping.wait, CLOSING_S)
        if self._listener is not None:
            self._listener.close()

    def _open(self) -> None:
        loop = asyncio.get_running_loop()

        def tell(state: RouterState) -> None:
            with contextlib.suppress(RuntimeError):  # the loop is closed already
                loop.call_soon_threadsafe(self._take_state, state)

        try:
            self._listener = bind("", 0, socket.SOCK_STREAM)
            self._mapping = self._new_mapping(tell)
        except (PhaseLockError, OSError) as error:
            _log.warning("the host cannot call this machine: %s", error)
            return
        self._runner.listen_for_call(self._listener)
        self._mapping.map(tcp=(self._port, self._port))

    @property
    def _port(self) -> int:
        return int(self._listener.getsockname()[1]) if self._listener is not None else 0

    def _take_state(self, state: RouterState) -> None:
        if self._mapping is not None and (port := self._port_outside(state)):
            self._runner.call_back_at(port)

    def _port_outside(self, state: RouterState) -> int:
        """The port at the address from which the host sees this machine come; 0: none."""
        for hole in state.pinholes:
            if hole.address == self._runner.own_ip and hole.tcp:
                return hole.tcp
        if ":" in self._runner.own_ip:
            return 0
        return state.tcp or (self._port if state.nat is Nat.PUBLIC else 0)
