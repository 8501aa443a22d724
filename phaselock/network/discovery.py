"""Announce sessions by multicast DNS, and find them."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import logging
import os
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from phaselock.errors import InternalError, PhaseLockError, bug_net
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
    found_session,
    instance_name,
    txt_record,
)
from phaselock.protocol.messages import MAX_PEERS, PROTOCOL_VERSION

if TYPE_CHECKING:
    from zeroconf import ServiceInfo
    from zeroconf.asyncio import AsyncServiceBrowser, AsyncZeroconf

__all__ = ["MAX_SESSIONS", "Announcer", "Browser", "FoundSession", "find_sessions", "usable_addresses"]

MAX_SESSIONS = 32
"""Most sessions in the list: limits the effect of a program that floods the network with announcements."""
RECHECK_EVERY_S = 10.0
"""How often the addresses of this computer are checked."""
QUERY_EVERY_S = 60.0
"""How often all hosts are queried: all announcements of a session may have been lost."""
TTL_S = 30
"""Lifetime of our records. A crashed host disappears from lists after this and TIMEOUT_QUERY_MS; a lost change is found
at the same time."""
TIMEOUT_QUERY_MS = 3000
IGNORE_S = 30.0
"""How long a service is ignored that is not a session or does not answer."""
MIN_UPDATE_INTERVAL_S = 1.0
"""Between two announcements (RFC 6762, section 8.3)."""
POLL_CACHE_S = 1.0
"""How often the browser reads zeroconf's cache if no event comes."""
MIN_POLL_INTERVAL_S = 0.05
_CLASS_IN = 1
_A, _PTR, _TXT, _AAAA, _SRV = 1, 12, 16, 28, 33

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
        max_peers: int = MAX_PEERS,
        *,
        version: int = PROTOCOL_VERSION,
        needs_code: bool = False,
        host_key: str = "",
        interfaces: Sequence[str] | None = None,
        refresh: Callable[[], tuple[str, ...]] | None = None,
    ) -> None:
        """`addresses` are announced. `needs_code` and `host_key`: see FoundSession. `refresh`, called in a worker thread every RECHECK_EVERY_S, returns the addresses
        to announce from then on. `interfaces` are the addresses of the interfaces to send on; None: `addresses`."""
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

    The list is made from zeroconf's cache. zeroconf's events are only used as a signal to read the cache again.
    """

    def __init__(self, interfaces: Sequence[str] | None = None) -> None:
        """`interfaces` are the addresses of the interfaces to send on; None: all usable ones."""
        self._interfaces = interfaces
        self._on_change: Callable[[tuple[FoundSession, ...]], None] = lambda sessions: None
        self._zeroconf: AsyncZeroconf | None = None
        self._querier: AsyncServiceBrowser | None = None
        self._networks: tuple[Network, ...] = ()
        self._event = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._found: dict[str, FoundSession | None] = {}
        """By service name; None while its records are not complete."""
        self._querying: dict[str, asyncio.Task[None]] = {}
        self._ignored: dict[str, float] = {}
        """Services that are not sessions: the loop time in seconds until which each is ignored."""
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
        await self._query_all()
        self._tasks = [asyncio.create_task(self._poll_cache()), asyncio.create_task(self._watch(interfaces))]

    async def close(self) -> None:
        """Stop searching, within about a second. `on_change` is not called afterwards."""
        try:
            await _stop([*self._tasks, *self._querying.values()])
            if self._querier:
                await self._querier.async_cancel()
        finally:
            if self._zeroconf:
                await close_multicast(self._zeroconf)
            self._zeroconf = self._querier = None

    async def _find_interfaces(self) -> list[str]:
        """The addresses of the interfaces to send on now."""
        found = await asyncio.to_thread(adapters)
        self._networks = networks(found)
        if self._interfaces is not None:
            return list(self._interfaces)
        return list(rank(found, default_route_addresses()))

    async def _watch(self, used: list[str]) -> None:
        loop = asyncio.get_running_loop()
        query_at = loop.time() + QUERY_EVERY_S
        while self._zeroconf:
            await asyncio.sleep(RECHECK_EVERY_S)
            try:
                interfaces = await self._find_interfaces()
                if interfaces and interfaces != used:
                    await self._zeroconf.async_update_interfaces(interfaces)
                    used, query_at = interfaces, loop.time()
                if loop.time() >= query_at:
                    await self._query_all()
                    query_at = loop.time() + QUERY_EVERY_S
            except Exception as error:  # the next round tries again
                log.warning("searching again: %s", error or type(error).__name__)

    async def _query_all(self) -> None:
        from zeroconf.asyncio import AsyncServiceBrowser

        assert self._zeroconf
        if self._querier:
            await self._querier.async_cancel()
        self._querier = AsyncServiceBrowser(self._zeroconf.zeroconf, SERVICE_TYPE, handlers=[self._on_event])

    def _on_event(self, name: str, **event: object) -> None:
        self._ignored.pop(name, None)
        self._event.set()

    async def _poll_cache(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            # Some changes of the cache make no event: a record expires, or an old one returns.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(POLL_CACHE_S):
                    await self._event.wait()
            self._event.clear()
            with contextlib.suppress(InternalError), bug_net("the list of sessions"):
                self._update_list(loop.time())
            await asyncio.sleep(MIN_POLL_INTERVAL_S)

    def _update_list(self, now_s: float) -> None:
        names = self.service_names()
        self._ignored = {name: until_s for name, until_s in self._ignored.items() if name in names and until_s > now_s}
        for name in self._found.keys() - names.keys():
            del self._found[name]
        for name in names:
            if name not in self._ignored and (name in self._found or len(self._found) < MAX_SESSIONS):
                self._update_service(name, now_s)
        # If a session has two services, the first one found counts.
        sessions = {one.session_id: one for one in reversed(self._found.values()) if one}
        shown = tuple(sorted(sessions.values(), key=lambda one: (one.session_name.casefold(), one.session_id)))
        if shown != self._shown:
            self._shown = shown
            self._on_change(shown)

    def _update_service(self, name: str, now_s: float) -> None:
        records = self._records(name)
        if records:
            session = found_session(*records, self._networks)
            if session:
                self._found[name] = session
            else:
                self._forget(name, now_s)
        elif name not in self._querying and len(self._querying) < MAX_SESSIONS:
            self._found.setdefault(name, None)  # a known session stays in the list while its host is queried
            self._querying[name] = asyncio.create_task(self._query(name))

    async def _query(self, name: str) -> None:
        from zeroconf.asyncio import AsyncServiceInfo

        assert self._zeroconf
        try:
            await AsyncServiceInfo(SERVICE_TYPE, name).async_request(self._zeroconf.zeroconf, TIMEOUT_QUERY_MS)
        except Exception as error:  # the name comes from the network and may be invalid
            log.debug("asking for %r: %s", name, error)
        finally:
            del self._querying[name]
        if not self._records(name):
            self._forget(name, asyncio.get_running_loop().time())
        self._event.set()

    def _forget(self, name: str, now_s: float) -> None:
        self._found.pop(name, None)
        self._ignored[name] = now_s + IGNORE_S

    def service_names(self) -> dict[str, None]:
        """Names of all services of our type in the cache, in the order in which they were found, sessions or not."""
        aliases = [record.alias for record in self._cached(SERVICE_TYPE, _PTR)]
        return dict.fromkeys(alias for alias in aliases if alias.lower().endswith(f".{SERVICE_TYPE}"))

    def _records(self, name: str) -> tuple[int, bytes, list[Address]] | None:
        """Port, TXT record and addresses of a service; None if one of them is missing."""
        # A record that returns to the cache takes its old place: only its time shows which record is the newest.
        service = max(self._cached(name, _SRV), key=lambda record: record.created, default=None)
        text = max(self._cached(name, _TXT), key=lambda record: record.created, default=None)
        if not service or not text:
            return None
        spoken = [_address(record) for kind in (_A, _AAAA) for record in self._cached(service.server, kind)]
        return (service.port, text.text, spoken) if spoken else None

    def _cached(self, name: str, kind: int) -> list[Any]:
        """The valid records of that type. Their class is private to zeroconf."""
        from zeroconf import current_time_millis

        assert self._zeroconf
        now_ms = current_time_millis()
        records = self._zeroconf.zeroconf.cache.get_all_by_details(name, kind, _CLASS_IN)
        return [record for record in records if not record.is_expired(now_ms)]


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


def _address(record: Any) -> Address:
    """The address of a record; a link-local one with its scope, the interface on which it was received."""
    address = ipaddress.ip_address(record.address)
    if isinstance(address, ipaddress.IPv6Address) and address.is_link_local and record.scope_id:
        return ipaddress.IPv6Address(f"{address}%{record.scope_id}")
    return address
