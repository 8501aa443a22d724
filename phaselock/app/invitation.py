"""The outside port of a session, at which friends elsewhere arrive while an invitation is open, and the places that
lead to it. See session/host/invitation.py."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import ipaddress
import logging
import socket
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Protocol

from phaselock.errors import PhaseLockError, bug_net
from phaselock.model.address import (
    DEFAULT_CLOCK_PORT,
    DEFAULT_OUTSIDE_PORT,
    DEFAULT_PORT,
    is_public,
    own_outside_port,
)
from phaselock.model.heritage import HeirInvitation
from phaselock.model.invitation import MAX_CANDIDATES, Candidate, Nat, parse_candidate
from phaselock.model.notices import Code
from phaselock.model.relay import DEFAULT_RELAY, OFF, parse_relay
from phaselock.network.interfaces import OverlayAddress, usable_addresses, usable_overlays
from phaselock.network.listener import PortTaken, bind
from phaselock.network.runner import log_failure
from phaselock.session.commands import InvitationPlaces, WithdrawInvitation
from phaselock.session.events import Event, Failed, Warned
from phaselock.session.sentences import notice_of

if TYPE_CHECKING:
    from phaselock.app.bridge import HostBridgeProcess
    from phaselock.internet.state import RouterState
    from phaselock.network.host import HostRunner

BRIDGE_S = 5.0
"""After this time without a bridge the line is told without it."""
ROUTER_S = 6.0
"""After this time without an answer of the router the line is told without it."""
CLOSING_S = 3.0
"""How long the end of a session waits for the router to close its ports."""
MAX_OWN = 4
"""Most candidates of this machine's own addresses (IPv4)."""
MAX_V6 = 2
"""Most candidates of IPv6 addresses that no router has opened."""
LOOK_AGAIN_S = 5.0
"""Interval at which this machine's own addresses are read."""

_log = logging.getLogger("phaselock.app.invitation")


class PortMapping(Protocol):
    """Opens ports at the router: see internet/router_mapping.py."""

    def map(
        self,
        *,
        tcp: tuple[int, int] | None = None,
        udp: tuple[int, int] | None = None,
        instead: tuple[int, int] | None = None,
    ) -> None: ...

    def seen(self, address: str) -> None: ...

    def close(self) -> None: ...

    def wait(self, timeout_s: float) -> None: ...


NewMapping = Callable[[Callable[["RouterState"], object]], PortMapping]
"""Makes one that calls the function with each state, on another thread. PhaseLockError or OSError."""


def router_mapping(on_state: Callable[[RouterState], object]) -> PortMapping:
    """The mapping at the router of this network."""
    from phaselock.internet.router_mapping import RouterMapping  # late: only an invitation needs it

    return RouterMapping(on_state)


class OutsidePort:
    """Opens and closes the outside port when the session says so. For the network thread."""

    def __init__(
        self,
        runner: HostRunner,
        clock_port: int,
        on_event: Callable[[Event], None],
        *,
        bind_to: str = "",
        port: int | None = None,
        new_mapping: NewMapping | None = None,
        relay: str = OFF,
        inherited: HeirInvitation | None = None,
    ) -> None:
        """`clock_port`: UDP, of this machine. `port` None: DEFAULT_OUTSIDE_PORT, or another one if it is in use; 0:
        any. `new_mapping` None: the router is not asked. `relay`: see model/relay.py; empty: the default one, if the
        extra is installed. `inherited`: the invitation of the host before this one."""
        self._runner = runner
        self._clock_port = clock_port
        self._on_event = on_event
        self._bind_to = bind_to
        self._wanted_port = port
        self._new_mapping = new_mapping
        self._relay = relay
        self._inherited = inherited
        self._bridge: HostBridgeProcess | None = None
        """Started when the router lets no friend in, or when the user has chosen a relay."""
        self._node = ""
        self._extra = ""
        """The command that installs what the bridge needs, if it is not there."""
        self._node_known = asyncio.Event()
        self._listener: socket.socket | None = None
        self._mapping: PortMapping | None = None
        self._router: RouterState | None = None
        """None: it has not answered, or is not asked."""
        self._addresses: tuple[str, ...] = ()
        self._overlays: tuple[OverlayAddress, ...] = ()
        self._given: tuple[Candidate, ...] = ()
        """Where the user says that this machine can be reached."""
        self._serving: asyncio.Task[None] | None = None
        """Keeps the port open; or the last one that did so."""
        self._one = asyncio.Lock()
        """One after the other: at the router, the end of one would close the port that another one has opened."""
        self._answered = asyncio.Event()
        """The router has answered, or is no longer waited for."""
        runner.open_outside = self._open
        runner.close_outside = self._close
        runner.reached_at = self._seen

    async def close(self) -> None:
        """Close the port here and at the router. The runner does not serve any more."""
        self._runner.open_outside = self._runner.close_outside = self._runner.reached_at = None
        self._close()
        if self._serving is not None:
            await asyncio.wait([self._serving])
        async with self._one:  # an earlier one may still be closing
            pass

    def use(self, text: str) -> None:
        """The user has opened the router by hand: it leads from this address to the outside port. ValueError, whose
        text is a message id for users."""
        self._given = (parse_candidate(text, self._port or self._wanted_port or DEFAULT_OUTSIDE_PORT),)
        if self._answered.is_set():
            self._tell()

    def _open(self) -> None:
        self._serving = asyncio.get_running_loop().create_task(self._serve())
        self._serving.add_done_callback(log_failure)

    def _close(self) -> None:
        if self._serving is not None and not self._serving.cancelling():
            self._serving.cancel()

    async def _serve(self) -> None:
        """Keep the port open, and tell the places that lead to it, until this task is cancelled."""
        async with self._one:
            try:
                with bug_net("opening the outside port", PhaseLockError):
                    self._listener = self._bind()
            except PhaseLockError as error:
                self._on_event(Failed(self._runner.session_ns(), notice_of(error)))
                self._runner.command(WithdrawInvitation())
                return
            try:
                self._runner.listen_outside(self._listener)
                self._mapping = self._map()
                await self._keep_telling()
            finally:
                await self._shut(self._listener)

    async def _shut(self, listener: socket.socket) -> None:
        await self._runner.stop_outside(listener)
        listener.close()
        self._answered.clear()
        mapping, self._listener, self._mapping, self._router = self._mapping, None, None, None
        self._addresses = ()
        bridge, self._bridge, self._node, self._extra = self._bridge, None, "", ""
        self._node_known.clear()
        if mapping is not None:
            mapping.close()
        if bridge is not None:
            self._runner.hosts_with(dataclasses.replace(self._runner.hosting, bridge_key=None, relay=""))
            await bridge.close()
        if mapping is not None:
            await asyncio.to_thread(mapping.wait, CLOSING_S)

    def _map(self) -> PortMapping | None:
        """Let the router open its ports. None: it is not asked."""
        loop = asyncio.get_running_loop()
        if self._new_mapping is None or _is_loopback(self._bind_to):
            return None

        def tell(state: RouterState) -> None:
            with contextlib.suppress(RuntimeError):  # the loop is closed already
                loop.call_soon_threadsafe(self._take_state, mapping, state)

        try:
            mapping = self._new_mapping(tell)
        except (PhaseLockError, OSError) as error:
            _log.warning("the router cannot be asked: %s", error)
            return None
        tcp, udp, instead = DEFAULT_PORT, DEFAULT_CLOCK_PORT, None
        if self._inherited is not None:
            tcp, udp = self._inherited.port or tcp, self._inherited.clock_port or udp
            instead = (own_outside_port(self._runner.host_key),) * 2
        mapping.map(tcp=(self._port, tcp), udp=(self._clock_port, udp), instead=instead)
        return mapping

    def _bind(self) -> socket.socket:
        wanted = DEFAULT_OUTSIDE_PORT if self._wanted_port is None else self._wanted_port
        try:
            return bind(self._bind_to, wanted, socket.SOCK_STREAM)
        except PortTaken:
            if self._wanted_port is not None:
                raise
            return bind(self._bind_to, 0, socket.SOCK_STREAM)

    @property
    def _port(self) -> int:
        return int(self._listener.getsockname()[1]) if self._listener is not None else 0

    def _seen(self, address: str) -> None:
        if self._mapping is not None:
            self._mapping.seen(address)

    def _take_state(self, mapping: PortMapping, state: RouterState) -> None:
        if mapping is not self._mapping:
            return
        self._router = state
        if state.tcp or state.pinholes or state.problem or state.nat is not Nat.UNKNOWN:
            self._answered.set()
        if self._answered.is_set() and self._addresses:
            self._tell()

    async def _keep_telling(self) -> None:
        """Tell the places when the router has answered, and again when this machine has other addresses."""
        if self._mapping is not None:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(ROUTER_S):  # `wait_for` of Python 3.11 may lose the cancellation
                    await self._answered.wait()
        self._answered.set()
        while True:
            self._overlays = await asyncio.to_thread(usable_overlays, self._bind_to)
            self._addresses = await asyncio.to_thread(usable_addresses, self._bind_to)
            await self._open_bridge()
            self._tell()
            await asyncio.sleep(LOOK_AGAIN_S)

    async def _open_bridge(self) -> None:
        """Open the bridge over iroh if it is needed, and wait a moment for what the line says of it. The next host goes
        on with it."""
        hosting = self._runner.hosting
        is_needed = self._relay or hosting.bridge_key or not (self._places().reachable or _is_loopback(self._bind_to))
        if self._bridge or self._relay == OFF or not is_needed:
            return
        from phaselock.app.bridge import HostBridgeProcess  # late: few need it

        relay = self._relay or _checked(hosting.relay) or DEFAULT_RELAY
        self._bridge = HostBridgeProcess(relay, self._on_event, self._take_node, hosting.bridge_key)
        try:
            self._bridge.open(self._bind_to or "127.0.0.1", self._port, self._clock_port)
        except PhaseLockError as error:
            notice = notice_of(error)
            self._on_event(Warned(self._runner.session_ns(), notice))
            if notice.code is Code.INTERNET_EXTRA_MISSING:
                self._extra = str(notice.detail)
            return
        self._runner.hosts_with(dataclasses.replace(hosting, bridge_key=self._bridge.key, relay=relay))
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(BRIDGE_S):
                await self._node_known.wait()

    def _take_node(self, node: str) -> None:
        self._node = node
        self._node_known.set()
        if self._answered.is_set():
            self._tell()

    def _places(self) -> InvitationPlaces:
        own = self._addresses or ((self._bind_to,) if self._bind_to else ())
        found = places(own, self._port, self._clock_port, self._router, self._given, self._overlays)
        relays = self._bridge.relays if self._bridge is not None and self._node else None
        return dataclasses.replace(found, node=self._node, relays=relays, extra=self._extra)

    def _tell(self) -> None:
        self._runner.command(self._places())


def places(
    own: Sequence[str],
    port: int,
    clock_port: int,
    router: RouterState | None,
    given: Sequence[Candidate] = (),
    overlays: Sequence[OverlayAddress] = (),
) -> InvitationPlaces:
    """Where this machine can be reached. `own` are its addresses, best first; `port` and `clock_port` are its own;
    `given` are places that its user knows. The addresses in `overlays` come last: they are only used if no other one
    answers."""
    pinholes = router.pinholes if router is not None else ()
    holed = {one.address for one in pinholes}
    over = [Candidate(one.address, port) for one in overlays]
    own = [address for address in own if not any(address == one.host for one in over)]
    v4 = [address for address in own if ":" not in address]
    v6 = [one for one in own if ":" in one and "%" not in one and one not in holed and (not v4 or is_public(one))]
    inside = [Candidate(address, port) for address in v4]
    outside = []
    if router is not None and is_public(router.public) and router.tcp and router.udp:
        outside.append(_candidate(router.public, router.tcp, router.udp, clock_port))
    outside += [_candidate(one.address, one.tcp, one.udp, clock_port) for one in pinholes if one.tcp and one.udp]
    nat = router.nat if router is not None else Nat.UNKNOWN
    if nat is Nat.UNKNOWN and any(map(is_public, v4)):
        nat = Nat.PUBLIC
    found = [*inside[:MAX_OWN], *given, *outside, *(Candidate(address, port) for address in v6[:MAX_V6]), *over]
    return InvitationPlaces(
        tuple(dict.fromkeys(found))[:MAX_CANDIDATES],
        nat,
        router.problem if router is not None else "",
        bool(outside) or nat is Nat.PUBLIC,
        port,
        overlays=tuple(dict.fromkeys(one.overlay for one in overlays)),
        given=given[0].host if given else "",
    )


def _candidate(host: str, port: int, udp: int, clock_port: int) -> Candidate:
    """`udp`: the port that leads to `clock_port`, which members are told anyway."""
    return Candidate(host, port, 0 if udp == clock_port else udp)


def _checked(relay: str) -> str:
    """The relay that the host before this one has told; empty if it is none."""
    try:
        return parse_relay(relay)
    except ValueError:
        return ""


def _is_loopback(bind_to: str) -> bool:
    try:
        return ipaddress.ip_address(bind_to).is_loopback
    except ValueError:
        return bind_to == "localhost"
