"""The two ends of a bridge over iroh (phaselock/internet/iroh_bridge.py), each in a child process of its own."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import importlib.util
import logging
import os
from collections.abc import Callable, Sequence
from typing import Any

from phaselock.errors import PhaseLockError, system_text
from phaselock.internet.line_process import LineProcess
from phaselock.language.message import Message
from phaselock.model.notices import Code, Notice
from phaselock.model.relay import DEFAULT_RELAY, DIRECT, EXTRA_COMMAND, node_text, relay_of
from phaselock.network.reach import Place, place_of, resolve
from phaselock.session.events import Event, Warned
from phaselock.session.sentences import NoticeError, notice_text

REACH_S = 20.0
"""How long a friend waits for the host, in seconds."""
MAX_FAILURES = 2
"""After this number of attempts a friend waits no longer."""
END_S = 3.0
"""How long the process may take to end by itself, in seconds."""
KEY_BYTES = 32
_CODE = "from phaselock.internet.iroh_process import main; main()"

_log = logging.getLogger("phaselock.app.bridge")


def is_installed() -> bool:
    """Whether the extra is there."""
    return importlib.util.find_spec("iroh") is not None


def missing_notice() -> Notice:
    """Says how the extra is installed."""
    return Notice(Code.INTERNET_EXTRA_MISSING, EXTRA_COMMAND)


def relays_notice(relay: str) -> Notice:
    """Says whose relays are used."""
    return Notice(Code.RELAYS_USED, whose_relays(relay))


def whose_relays(relay: str) -> Message:
    """For people. `relay`: DEFAULT_RELAY, or the URL of one."""
    if relay == DEFAULT_RELAY:
        return Message("the relays of n0.computer")
    return Message("the relay {address}", address=relay)


class _End:
    """One end, which runs from `_start` to `close`."""

    def __init__(self, relay: str, on_event: Callable[[Event], None]) -> None:
        """`on_event` is told whose relays are used, before the first packet leaves."""
        self._relay = relay
        self._on_event = on_event
        self._process: LineProcess | None = None

    @property
    def relays(self) -> Message | None:
        """Whose relays are used; None: none are."""
        return None if self._relay == DIRECT else whose_relays(self._relay)

    async def close(self) -> None:
        """No effect if it does not run."""
        process, self._process = self._process, None
        if process:
            await asyncio.to_thread(process.end, END_S)

    def _start(self, order: dict[str, Any]) -> None:
        """PhaseLockError if it does not start."""
        if not is_installed():
            raise NoticeError(missing_notice())
        if self._relay != DIRECT:
            notice = relays_notice(self._relay)
            _log.info("%s", notice_text(notice))
            self._on_event(Warned(None, notice))
        loop = asyncio.get_running_loop()

        def call(what: Callable[[], None]) -> None:
            if self._process is process:  # else `close` was called
                what()

        def call_soon(what: Callable[[], None]) -> None:
            with contextlib.suppress(RuntimeError):  # the loop is closed already
                loop.call_soon_threadsafe(call, what)

        try:
            process = LineProcess(
                _CODE,
                "bridge",
                lambda line: call_soon(functools.partial(self._told, line)),
                lambda: call_soon(self._ended),
            )
        except OSError as error:
            raise PhaseLockError(system_text(error)) from None
        self._process = process
        process.say(order)

    def _told(self, line: dict[str, Any]) -> None:
        _log.info("bridge: %s", line)

    def _ended(self) -> None:
        _log.warning("the bridge has ended")
        self._process = None


class HostBridgeProcess(_End):
    """Lets friends in by the ports of the host at `ip`."""

    def __init__(
        self,
        relay: str,
        on_event: Callable[[Event], None],
        on_node: Callable[[str], None],
        key: bytes | None = None,
    ) -> None:
        """`on_node` is called with what an invitation names: see `node_text`. Empty: the bridge has ended. `key`: that
        of the host before this one, whose friends then come to this bridge; None: a new one."""
        super().__init__(relay, on_event)
        self._on_node = on_node
        self.key = key or os.urandom(KEY_BYTES)
        """A new one for each session, so nothing leads from one evening to the next."""

    def open(self, ip: str, tcp_port: int, udp_port: int) -> None:
        """Start it. It listens on the UDP port with the number of `tcp_port`, so friends try the addresses of the
        invitation without any help first. PhaseLockError if it does not start."""
        order = {"ip": ip, "tcp": tcp_port, "udp": udp_port, "port": tcp_port}
        self._start({"serve": {**order, "relay": self._relay, "key": self.key.hex()}})

    def _told(self, line: dict[str, Any]) -> None:
        super()._told(line)
        if node := line.get("node"):
            self._on_node(node_text(node, self._relay))

    def _ended(self) -> None:
        super()._ended()
        self._on_node("")


class FriendBridgeProcess(_End):
    """Leads to the host that an invitation names. `reach` starts it. It then stays until `close`, so that a lost host
    is found again. See `network.peer.Bridge`."""

    def __init__(
        self,
        node: str,
        relay: str,
        places: Sequence[Place],
        on_event: Callable[[Event], None],
        on_path: Callable[[], None],
    ) -> None:
        """`node` and `places` are those of the invitation. `relay`: the friend's own choice; empty: what `node` says.
        `on_path` is called when the connection has another path, and after each further connection to the host."""
        super().__init__(relay_of(node, relay), on_event)
        self._node = node.partition("@")[0]
        self._places = places
        self._on_path = on_path
        self.place: Place | None = None
        self.clock_port = 0
        self._reached: asyncio.Future[Place] = asyncio.get_running_loop().create_future()
        self._failures = 0
        self._has_path = False
        """Whether the path of this connection was told."""

    async def reach(self) -> Place:
        """The place on this machine that leads to the host, as soon as the host answers. PhaseLockError if it does
        not."""
        if not self._process:
            addresses = await _numeric(self._places)
            self._start({"reach": {"relay": self._relay, "node": self._node, "addresses": addresses}})
        self._failures = 0
        try:
            async with asyncio.timeout(REACH_S):
                return await asyncio.shield(self._reached)
        except (TimeoutError, ConnectionError):
            raise NoticeError(Notice(Code.NO_WAY)) from None

    def _told(self, line: dict[str, Any]) -> None:
        super()._told(line)
        match line:
            case {"place": {"tcp": int(tcp), "udp": int(udp)}} if not self._reached.done():
                is_next_connection = self.place is not None
                self.place, self.clock_port = ("127.0.0.1", tcp), udp
                self._has_path = False
                self._reached.set_result(self.place)
                if is_next_connection:
                    self._on_path()
            case {"lost": True}:
                self._reached = asyncio.get_running_loop().create_future()
            case {"problem": "unreachable"}:
                self._failures += 1
                if self._failures == MAX_FAILURES:
                    self._fail()
            case {"path": _}:
                if self._has_path:
                    self._on_path()
                self._has_path = True

    def _ended(self) -> None:
        super()._ended()
        self._fail()

    def _fail(self) -> None:
        """Nothing leads to the host now: tell those who wait."""
        if not self._reached.done():
            self._reached.set_exception(ConnectionError())
            self._reached.exception()  # asyncio complains of an exception that nothing has read
        self._reached = asyncio.get_running_loop().create_future()


async def _numeric(places: Sequence[Place]) -> list[str]:
    """These places as addresses with ports. An address with a scope is left out: iroh does not take it."""
    found = [place_of(target.sockaddr) for target in await resolve(places)]
    return [f"[{ip}]:{port}" if ":" in ip else f"{ip}:{port}" for ip, port in found if "%" not in ip]
