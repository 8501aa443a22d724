"""Announce sessions by multicast DNS, and find them."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import itertools
import logging
import os
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from phaselock.errors import InternalError, PhaseLockError, bug_net
from phaselock.model.group import DEFAULT_PEERS
from phaselock.network.greeting import answers_as
from phaselock.network.interfaces import (
    Address,
    Network,
    adapters,
    default_route_addresses,
    networks,
    rank,
    usable_addresses,
)
from phaselock.network.multicast import Blocked, close_multicast, open_multicast, reason_of
from phaselock.network.service_record import (
    ID_DIGITS,
    SERVICE_TYPE,
    FoundSession,
    instance_name,
    txt_record,
)
from phaselock.network.service_table import PTR, ServiceTable
from phaselock.protocol.messages import PROTOCOL_VERSION

if TYPE_CHECKING:
    from zeroconf import ServiceInfo
    from zeroconf.asyncio import AsyncZeroconf

__all__ = ["Announcer", "Browser", "FoundSession", "find_sessions", "usable_addresses"]

RECHECK_EVERY_S = 10.0
"""How often the addresses of this computer are checked."""
QUERY_EVERY_S = 10.0
"""How often all hosts are queried: two answers in a row may be lost before the records of a session expire."""
FIRST_QUERIES_S = (0.3, 1.0, 2.0, 4.0)
"""The intervals of the first queries (RFC 6762, section 5.2). The second one follows soon: the answers to the first one
come to this machine alone, and the system may give them to another program that listens at this port."""
ASK_AGAIN_S = 0.5
"""All hosts are queried when a session is said to have ended, but at most once in this time."""
TTL_S = 30
"""Lifetime of our records. A crashed host disappears from lists after this; a lost change is found sooner."""
MAX_CHECKS = 8
"""Most sessions that are asked at a time whether they are what was announced."""
MIN_UPDATE_INTERVAL_S = 1.0
"""Between two announcements (RFC 6762, section 8.3)."""
POLL_TABLE_S = 0.5
"""How often the list is made if no packet comes."""
MIN_POLL_INTERVAL_S = 0.05
OUR_NAMES = b"phaselock"
"""In every packet of our hosts: in the name of the service, and in that of the host."""
_CLASS_IN = 1
_QUERY = 0

log = logging.getLogger("phaselock.discovery")


class Announcer:
    """Announces one session and keeps the announcement up to date. For the event loop that it is started on."""

    def __init__(
        self,
        session_name: str,
        host_name: str,
        session_id: bytes,
        port: int,
        addresses: Sequence[str],
        max_peers: int = DEFAULT_PEERS,
        *,
        version: int = PROTOCOL_VERSION,
        needs_code: bool = False,
        host_key: str = "",
        interfaces: Sequence[str] | None = None,
        refresh: Callable[[], tuple[str, ...]] | None = None,
    ) -> None:
        """`addresses` are announced. `needs_code` and `host_key`: see FoundSession. `refresh`, called in a worker
        thread every RECHECK_EVERY_S, returns the addresses to announce from then on. `interfaces` are the addresses of
        the interfaces to send on; None: `addresses`."""
        self._names = session_name, host_name
        self._session_id = session_id
        self._port = port
        self._addresses = tuple(addresses)
        self._max_peers = max_peers
        self._version = version
        self._needs_code, self._host_key = needs_code, host_key
        self._interfaces = interfaces
        self._refresh = refresh
        self._peers = 0
        self._changed = asyncio.Event()
        self._zeroconf: AsyncZeroconf | None = None
        self._used_interfaces: list[str] = []
        self._announcing: asyncio.Future[Any] | None = None
        """zeroconf repeats an announcement three times within half a second."""
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Announce the session now, or when this computer gets a usable address. PhaseLockError if that is
        impossible."""
        if self._addresses:
            await self._announce()
        if self._addresses or self._refresh:
            self._tasks.append(asyncio.create_task(self._announce_changes()))
        if self._refresh:
            self._tasks.append(asyncio.create_task(self._watch(self._refresh)))

    def set_peers(self, peers: int) -> None:
        """Announce the number of peers. Call this on the loop; frequent calls are merged into one announcement."""
        if peers != self._peers:
            self._peers = peers
            self._changed.set()

    def set_needs_code(self, needs_code: bool) -> None:
        """Announce whether a code is needed, like `set_peers`."""
        if needs_code != self._needs_code:
            self._needs_code = needs_code
            self._changed.set()

    async def close(self) -> None:
        """Withdraw the announcement, in about a second at most."""
        try:
            await _stop(self._tasks)
        finally:
            await self._withdraw()

    async def _announce(self) -> None:
        interfaces = self._wanted_interfaces()
        try:
            self._zeroconf = await open_multicast(interfaces)
            # No probing for another service with this name: it takes two seconds, and our names end with random digits.
            told = await self._zeroconf.async_register_service(self._service(), cooperating_responders=True)
            self._announcing = asyncio.ensure_future(told)
        except Exception as error:  # many types, as in `multicast._open_on`
            await self._withdraw()
            raise PhaseLockError(
                "The jam cannot be announced on this network ({reason}).", reason=reason_of(error)
            ) from None
        self._used_interfaces = interfaces

    async def _withdraw(self) -> None:
        if self._announcing:
            self._announcing.cancel()
            self._announcing = None
        if self._zeroconf:
            zeroconf, self._zeroconf = self._zeroconf, None
            await close_multicast(zeroconf)

    async def _watch(self, refresh: Callable[[], tuple[str, ...]]) -> None:
        while True:
            await asyncio.sleep(RECHECK_EVERY_S)
            try:
                with bug_net("looking at the addresses", OSError):
                    found = await asyncio.to_thread(refresh)
            except (OSError, InternalError) as error:
                log.warning("looking at the addresses: %s", error)
                continue
            if found != self._addresses or (found and not self._zeroconf):
                log.info("addresses are now: %s", ", ".join(found) or "none")
                self._addresses = found
                self._changed.set()

    async def _announce_changes(self) -> None:
        while True:
            await self._changed.wait()
            self._changed.clear()
            try:
                await self._announce_change()
            except Exception as error:  # the session goes on, and the next change is announced again
                log.warning("announcing again: %s", error or type(error).__name__)
            await asyncio.sleep(MIN_UPDATE_INTERVAL_S)

    async def _announce_change(self) -> None:
        if not self._addresses:
            await self._withdraw()
        elif not self._zeroconf:
            await self._announce()
        else:
            if self._announcing:
                await asyncio.wait([self._announcing])
            self._announcing = asyncio.ensure_future(await self._zeroconf.async_update_service(self._service()))
            interfaces = self._wanted_interfaces()
            if interfaces != self._used_interfaces:
                await self._zeroconf.async_update_interfaces(interfaces)
                self._used_interfaces = interfaces

    def _wanted_interfaces(self) -> list[str]:
        return list(self._addresses if self._interfaces is None else self._interfaces)

    def _service(self) -> ServiceInfo:
        from zeroconf import ServiceInfo

        return ServiceInfo(
            SERVICE_TYPE,
            instance_name(self._names[0], self._session_id),
            self._port,
            properties=txt_record(
                *self._names,
                self._peers,
                self._max_peers,
                self._session_id,
                self._version,
                needs_code=self._needs_code,
                host_key=self._host_key,
            ),
            # Our own host name: another program may announce this computer's name with other addresses.
            server=f"phaselock-{self._session_id.hex()[:16]}.local.",
            host_ttl=TTL_S,
            other_ttl=TTL_S,
            # A scope is only valid on this computer.
            parsed_addresses=[address.partition("%")[0] for address in self._addresses],
        )


class Browser:
    """Keeps a list of the sessions on this network. For the event loop that it is started on.

    zeroconf opens the sockets and sends the queries. Its cache is not used: it does not know which machine has said
    what, see service_table.py.
    """

    def __init__(self, interfaces: Sequence[str] | None = None) -> None:
        """`interfaces` are the addresses of the interfaces to send on; None: all usable ones."""
        self._interfaces = interfaces
        self._on_change: Callable[[tuple[FoundSession, ...]], None] = lambda sessions: None
        self._zeroconf: AsyncZeroconf | None = None
        self._networks: tuple[Network, ...] = ()
        self._own: frozenset[Address] = frozenset()
        """The addresses of this computer."""
        self._event = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._table = ServiceTable()
        self._checking: dict[FoundSession, asyncio.Task[None]] = {}
        self._asked_at_s = 0.0
        self._shown: tuple[FoundSession, ...] = ()

    async def start(self, on_change: Callable[[tuple[FoundSession, ...]], None]) -> None:
        """Call `on_change` on the loop with the whole list whenever it changes. PhaseLockError if searching is
        impossible; then `start` may be called again."""
        interfaces = await self._find_interfaces()
        try:
            self._zeroconf = await open_multicast(interfaces)
        except Blocked as error:
            raise PhaseLockError(
                "Jams cannot be searched for on this network ({reason}). "
                "Joining by address still works: phaselock join ADDRESS",
                reason=error.message,
            ) from None
        self._on_change = on_change
        self._listen()
        self._tasks = [
            asyncio.create_task(work) for work in (self._poll_table(), self._watch(interfaces), self._query_all())
        ]

    async def close(self) -> None:
        """Stop searching, within about a second. `on_change` is not called afterwards."""
        try:
            await _stop([*self._tasks, *self._checking.values()])
        finally:
            if self._zeroconf:
                await close_multicast(self._zeroconf)
            self._zeroconf = None

    def announcements(self, session_id: str) -> list[FoundSession]:
        """Everything that is announced as the session with this id now: a session that was cut in two has two hosts."""
        return self._table.announcements(session_id, self._networks, asyncio.get_running_loop().time())

    def service_names(self) -> frozenset[str]:
        """Names of all services of our type that are announced now, sessions or not."""
        return self._table.names(asyncio.get_running_loop().time())

    async def _find_interfaces(self) -> list[str]:
        """The addresses of the interfaces to send on now."""
        found = await asyncio.to_thread(adapters)
        self._networks = networks(found)
        self._own = frozenset(one.ip for adapter in found for one in adapter.addresses)
        if self._interfaces is not None:
            return list(self._interfaces)
        return list(rank(found, default_route_addresses()))

    async def _watch(self, used: list[str]) -> None:
        while self._zeroconf:
            await asyncio.sleep(RECHECK_EVERY_S)
            try:
                interfaces = await self._find_interfaces()
                if interfaces and interfaces != used:
                    await self._zeroconf.async_update_interfaces(interfaces)
                    used = interfaces
                    self._listen()
                    self._query(at_once=True)
            except Exception as error:  # the next round tries again
                log.warning("searching again: %s", error or type(error).__name__)

    def _listen(self) -> None:
        """Take the place of zeroconf's listeners: they do not pass on who has sent a packet."""
        assert self._zeroconf
        for reader in self._zeroconf.zeroconf.engine.readers:
            reader.transport.set_protocol(_Listener(self._take))

    def _take(self, data: bytes, address: tuple[Any, ...]) -> None:
        from zeroconf import DNSIncoming  # type: ignore[attr-defined]  # missing in its __all__

        if OUR_NAMES not in data.lower():
            return
        source = _source(address[0])
        packet = DNSIncoming(data, address[:2], address[3] if len(address) == 4 else None)
        if not packet.valid or not packet.is_response():
            return
        now_s = asyncio.get_running_loop().time()
        is_own = source.is_loopback or source in self._own
        if self._table.take(source, packet.answers(), now_s, is_own=is_own) and now_s >= self._asked_at_s + ASK_AGAIN_S:
            self._query(at_once=True)
        self._event.set()

    async def _query_all(self) -> None:
        """Query all hosts: often in the beginning, then in intervals."""
        for number, interval_s in enumerate(itertools.chain(FIRST_QUERIES_S, itertools.repeat(QUERY_EVERY_S))):
            try:
                with bug_net("searching for sessions", OSError):
                    self._query(at_once=number == 0)
            except (OSError, InternalError) as error:
                log.warning("searching: %s", error)
            await asyncio.sleep(interval_s)

    def _query(self, *, at_once: bool) -> None:
        """Query all hosts. `at_once`: they answer this machine alone (RFC 6762, section 5.4), because a host does not
        repeat within a second what it has told to all."""
        from zeroconf import DNSOutgoing, DNSQuestion  # type: ignore[attr-defined]  # missing in its __all__

        assert self._zeroconf
        self._asked_at_s = asyncio.get_running_loop().time()
        query = DNSOutgoing(_QUERY)
        question = DNSQuestion(SERVICE_TYPE, PTR, _CLASS_IN)
        question.unicast = at_once
        query.add_question(question)
        self._zeroconf.zeroconf.async_send(query)

    async def _poll_table(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            # A record that expires makes no event.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(POLL_TABLE_S):
                    await self._event.wait()
            self._event.clear()
            with contextlib.suppress(InternalError), bug_net("the list of sessions"):
                self._update_list(loop.time())
            await asyncio.sleep(MIN_POLL_INTERVAL_S)

    def _update_list(self, now_s: float) -> None:
        for session in self._table.doubtful(self._networks, now_s):
            if session not in self._checking and len(self._checking) < MAX_CHECKS:
                self._checking[session] = asyncio.create_task(self._check(session))
        shown = self._table.sessions(self._networks, now_s)
        if shown != self._shown:
            self._shown = shown
            self._on_change(shown)

    async def _check(self, session: FoundSession) -> None:
        answers = False
        try:
            with contextlib.suppress(InternalError), bug_net("a check of a session"):
                answers = await answers_as(session)
        finally:
            del self._checking[session]
        self._table.checked(session, answers, asyncio.get_running_loop().time())
        self._event.set()


class _Listener(asyncio.DatagramProtocol):
    """Receives what arrives on one socket."""

    def __init__(self, take: Callable[[bytes, tuple[Any, ...]], None]) -> None:
        self._take = take

    def datagram_received(self, data: bytes, addr: tuple[Any, ...]) -> None:
        with contextlib.suppress(InternalError), bug_net("a packet of multicast DNS"):
            self._take(data, addr)

    def error_received(self, exc: Exception) -> None:
        log.debug("a socket of multicast DNS: %s", exc)


async def find_sessions(
    timeout_s: float,
    until: Callable[[tuple[FoundSession, ...]], bool] | None = None,
    interfaces: Sequence[str] | None = None,
) -> tuple[FoundSession, ...]:
    """Search for `timeout_s`, or until `until` returns True for the sessions found, and return them. PhaseLockError if
    searching is impossible."""
    found: tuple[FoundSession, ...] = ()
    enough = asyncio.Event()

    def on_change(sessions: tuple[FoundSession, ...]) -> None:
        nonlocal found
        found = sessions
        if until and until(sessions):
            enough.set()

    browser = Browser(interfaces)
    try:
        await browser.start(on_change)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                await enough.wait()
    finally:
        await browser.close()
    return found


async def try_out(timeout_s: float, interfaces: Sequence[str] | None = None) -> tuple[bool, tuple[FoundSession, ...]]:
    """Announce a test service and search for `timeout_s`. Return (whether our own announcement was received, the
    sessions found). PhaseLockError if announcing or searching is impossible.

    The id of the test service is too short to be valid, so it appears in no list.
    """
    found: tuple[FoundSession, ...] = ()

    def on_change(sessions: tuple[FoundSession, ...]) -> None:
        nonlocal found
        found = sessions

    identity = os.urandom(ID_DIGITS.start // 2 - 1)
    own = await asyncio.to_thread(usable_addresses)
    announcer = Announcer("doctor", "", identity, 9, own or interfaces or (), interfaces=interfaces)
    browser = Browser(interfaces)
    try:
        await browser.start(on_change)
        await announcer.start()
        await asyncio.sleep(timeout_s)
        return instance_name("doctor", identity) in browser.service_names(), found
    finally:
        await browser.close()
        await announcer.close()


async def _stop(tasks: Sequence[asyncio.Future[Any]]) -> None:
    for task in tasks:
        task.cancel()
    if tasks:
        await asyncio.wait(tasks)


def _source(host: str) -> Address:
    """The sender of a packet."""
    address = ipaddress.ip_address(host.partition("%")[0])
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address
