"""Sessions announce themselves by multicast DNS and are found by it. zeroconf, some 5 MB, is loaded only when that
really happens."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import importlib
import ipaddress
import logging
import secrets
from collections.abc import Callable, Coroutine, Sequence
from typing import TYPE_CHECKING, Any

from phaselock.errors import PhaseLockError
from phaselock.network import interfaces as addresses
from phaselock.network.interfaces import Address, Network, usable_addresses
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
"""More are not shown, so that nobody can flood the list."""
RECHECK_S = 10.0
"""How often this machine's addresses are looked at."""
ASK_AGAIN_S = 60.0
"""How often everybody is asked: the announcements of a session may all have been lost."""
TTL_S = 30
"""A host that crashed is forgotten after so long, and ASK_MS more; a change that was lost on the way is seen then."""
ASK_MS = 3000
IGNORE_S = 30.0
UPDATE_S = 1.0
"""Announcements are at least a second apart (RFC 6762, section 8.3)."""
LOOK_S = 1.0
PAUSE_S = 0.05
GOODBYE_S = 0.6
CLOSE_S = 0.5
_CLASS_IN = 1
_A, _PTR, _TXT, _AAAA, _SRV = 1, 12, 16, 28, 33

log = logging.getLogger("phaselock.discovery")


class Announcer:
    """Announces one session, and keeps that true. Belongs to the loop that it is started on."""

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
        interfaces: Sequence[str] | None = None,
        refresh: Callable[[], tuple[str, ...]] | None = None,
    ) -> None:
        """`addresses` are announced, and again what `refresh`, called in a worker thread every ten seconds, gives.
        `interfaces` are the addresses to speak from if not those."""
        self._names = session_name, host_name
        self._session_id = session_id
        self._port = port
        self._addresses = tuple(addresses)
        self._max_peers = max_peers
        self._version = version
        self._interfaces = interfaces
        self._refresh = refresh
        self._peers = 0
        self._changed = asyncio.Event()
        self._zeroconf: AsyncZeroconf | None = None
        self._spoken_from: list[str] = []
        self._telling: asyncio.Future[Any] | None = None
        """zeroconf announces thrice, half a second long."""
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Announce the session as soon as this machine has a usable address; PhaseLockError if it cannot be done."""
        if self._addresses:
            await self._appear()
        if self._addresses or self._refresh:
            self._tasks.append(asyncio.create_task(self._tell_changes()))
        if self._refresh:
            self._tasks.append(asyncio.create_task(self._watch(self._refresh)))

    def set_peers(self, peers: int) -> None:
        """Announce soon how many take part. To be called on the loop, as often as you like."""
        if peers != self._peers:
            self._peers = peers
            self._changed.set()

    async def close(self) -> None:
        """Say goodbye, a second at most; nothing is announced any more."""
        try:
            await _stop(self._tasks)
        finally:
            await self._vanish()

    async def _appear(self) -> None:
        speak_from = self._speak_from()
        try:
            self._zeroconf = await _open(speak_from)
            # No probing for another service of this name, which takes two seconds: ours ends with a random number.
            told = await self._zeroconf.async_register_service(self._service(), cooperating_responders=True)
            self._telling = asyncio.ensure_future(told)
        except Exception as error:  # of many kinds, as in `_open_on`
            await self._vanish()
            raise PhaseLockError(f"The session cannot be announced on this network ({_reason(error)}).") from None
        self._spoken_from = speak_from

    async def _vanish(self) -> None:
        if self._telling:
            self._telling.cancel()
            self._telling = None
        if self._zeroconf:
            zeroconf, self._zeroconf = self._zeroconf, None
            await _close(zeroconf)

    async def _watch(self, refresh: Callable[[], tuple[str, ...]]) -> None:
        while True:
            await asyncio.sleep(RECHECK_S)
            try:
                found = await asyncio.to_thread(refresh)
            except OSError as error:
                log.warning("looking at the addresses: %s", error)
                continue
            if found != self._addresses or (found and not self._zeroconf):
                log.info("addresses are now: %s", ", ".join(found) or "none")
                self._addresses = found
                self._changed.set()

    async def _tell_changes(self) -> None:
        while True:
            await self._changed.wait()
            self._changed.clear()
            try:
                await self._tell_change()
            except Exception as error:  # whatever it is, the session goes on, and the next change is another try
                log.warning("announcing again: %s", error or type(error).__name__)
            await asyncio.sleep(UPDATE_S)

    async def _tell_change(self) -> None:
        if not self._addresses:
            await self._vanish()
        elif not self._zeroconf:
            await self._appear()
        else:
            if self._telling:
                await asyncio.wait([self._telling])
            self._telling = asyncio.ensure_future(await self._zeroconf.async_update_service(self._service()))
            speak_from = self._speak_from()
            if speak_from != self._spoken_from:
                await self._zeroconf.async_update_interfaces(speak_from)
                self._spoken_from = speak_from

    def _speak_from(self) -> list[str]:
        return list(self._addresses if self._interfaces is None else self._interfaces)

    def _service(self) -> ServiceInfo:
        from zeroconf import ServiceInfo

        return ServiceInfo(
            SERVICE_TYPE,
            instance_name(self._names[0], self._session_id),
            self._port,
            properties=txt_record(*self._names, self._peers, self._max_peers, self._session_id, self._version),
            # Of our own: another program on this machine may announce the machine's name with other addresses.
            server=f"phaselock-{self._session_id.hex()[:16]}.local.",
            host_ttl=TTL_S,
            other_ttl=TTL_S,
            # A scope means something to this machine alone.
            parsed_addresses=[address.partition("%")[0] for address in self._addresses],
        )


class Browser:
    """Keeps the list of the sessions on this network. Belongs to the loop that it is started on.

    What zeroconf has in its cache is the truth; its events only say that it is time to look at it."""

    def __init__(self, interfaces: Sequence[str] | None = None) -> None:
        """`interfaces` are the addresses to speak from, if not all that are usable."""
        self._interfaces = interfaces
        self._on_change: Callable[[tuple[FoundSession, ...]], None] = lambda sessions: None
        self._zeroconf: AsyncZeroconf | None = None
        self._asker: AsyncServiceBrowser | None = None
        self._networks: tuple[Network, ...] = ()
        self._noticed = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._found: dict[str, FoundSession | None] = {}
        """By service name; None while it is not known what is there."""
        self._asking: dict[str, asyncio.Task[None]] = {}
        self._ignored: dict[str, float] = {}
        """Services that were nothing, and until when (loop time) they are not looked at."""
        self._shown: tuple[FoundSession, ...] = ()

    async def start(self, on_change: Callable[[tuple[FoundSession, ...]], None]) -> None:
        """Call `on_change`, on the loop, with all sessions whenever they are others. PhaseLockError if searching is
        impossible; it may be tried again."""
        speak_from = await self._look_around()
        try:
            self._zeroconf = await _open(speak_from)
        except _Blocked as error:
            raise PhaseLockError(
                f"Sessions cannot be searched for on this network ({error}). "
                "Joining by address still works: phaselock join ADDRESS"
            ) from None
        self._on_change = on_change
        await self._ask_all()
        self._tasks = [asyncio.create_task(self._keep_looking()), asyncio.create_task(self._watch(speak_from))]

    async def close(self) -> None:
        """Stop searching, within about a second; `on_change` is not called any more."""
        try:
            await _stop([*self._tasks, *self._asking.values()])
            if self._asker:
                await self._asker.async_cancel()
        finally:
            if self._zeroconf:
                await _close(self._zeroconf)
            self._zeroconf = self._asker = None

    async def _look_around(self) -> list[str]:
        """Which addresses to speak from."""
        around = await asyncio.to_thread(addresses.adapters)
        self._networks = addresses.networks(around)
        if self._interfaces is not None:
            return list(self._interfaces)
        return list(addresses.rank(around, addresses.default_route_addresses()))

    async def _watch(self, spoken_from: list[str]) -> None:
        loop = asyncio.get_running_loop()
        ask_at = loop.time() + ASK_AGAIN_S
        while self._zeroconf:
            await asyncio.sleep(RECHECK_S)
            try:
                speak_from = await self._look_around()
                if speak_from and speak_from != spoken_from:
                    await self._zeroconf.async_update_interfaces(speak_from)
                    spoken_from, ask_at = speak_from, loop.time()
                if loop.time() >= ask_at:
                    await self._ask_all()
                    ask_at = loop.time() + ASK_AGAIN_S
            except Exception as error:  # whatever it is, the next round is another try
                log.warning("searching again: %s", error or type(error).__name__)

    async def _ask_all(self) -> None:
        from zeroconf.asyncio import AsyncServiceBrowser

        assert self._zeroconf
        if self._asker:
            await self._asker.async_cancel()
        self._asker = AsyncServiceBrowser(self._zeroconf.zeroconf, SERVICE_TYPE, handlers=[self._notice])

    def _notice(self, name: str, **event: object) -> None:
        self._ignored.pop(name, None)
        self._noticed.set()

    async def _keep_looking(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            # Not all that happens to a cache is an event: records run out, a former one comes back.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LOOK_S):
                    await self._noticed.wait()
            self._noticed.clear()
            try:
                self._look(loop.time())
            except Exception as error:
                loop.call_exception_handler({"message": "looking for sessions failed", "exception": error})
            await asyncio.sleep(PAUSE_S)

    def _look(self, now_s: float) -> None:
        names = self._names()
        self._ignored = {name: until_s for name, until_s in self._ignored.items() if name in names and until_s > now_s}
        for name in self._found.keys() - names.keys():
            del self._found[name]
        for name in names:
            if name not in self._ignored and (name in self._found or len(self._found) < MAX_SESSIONS):
                self._look_at(name, now_s)
        sessions = {one.session_id: one for one in reversed(self._found.values()) if one}  # the first one found counts
        shown = tuple(sorted(sessions.values(), key=lambda one: (one.session_name.casefold(), one.session_id)))
        if shown != self._shown:
            self._shown = shown
            self._on_change(shown)

    def _look_at(self, name: str, now_s: float) -> None:
        records = self._records(name)
        if records:
            session = found_session(*records, self._networks)
            if session:
                self._found[name] = session
            else:
                self._forget(name, now_s)
        elif name not in self._asking and len(self._asking) < MAX_SESSIONS:
            self._found.setdefault(name, None)  # a session that is known stays while its host is asked
            self._asking[name] = asyncio.create_task(self._ask(name))

    async def _ask(self, name: str) -> None:
        from zeroconf.asyncio import AsyncServiceInfo

        assert self._zeroconf
        try:
            await AsyncServiceInfo(SERVICE_TYPE, name).async_request(self._zeroconf.zeroconf, ASK_MS)
        except Exception as error:  # a name can be anything
            log.debug("asking for %r: %s", name, error)
        finally:
            del self._asking[name]
        if not self._records(name):
            self._forget(name, asyncio.get_running_loop().time())
        self._noticed.set()

    def _forget(self, name: str, now_s: float) -> None:
        self._found.pop(name, None)
        self._ignored[name] = now_s + IGNORE_S

    def _names(self) -> dict[str, None]:
        """Of all services of our kind, in the order in which they were found."""
        aliases = [record.alias for record in self._cached(SERVICE_TYPE, _PTR)]
        return dict.fromkeys(alias for alias in aliases if alias.lower().endswith(f".{SERVICE_TYPE}"))

    def _records(self, name: str) -> tuple[int, bytes, list[Address]] | None:
        """Port, TXT record and addresses of a service; None as long as not all of them are known."""
        # A record that returns to the cache takes its former place there: only its time tells which one is true.
        service = max(self._cached(name, _SRV), key=lambda record: record.created, default=None)
        text = max(self._cached(name, _TXT), key=lambda record: record.created, default=None)
        if not service or not text:
            return None
        spoken = [_address(record) for kind in (_A, _AAAA) for record in self._cached(service.server, kind)]
        return (service.port, text.text, spoken) if spoken else None

    def _cached(self, name: str, kind: int) -> list[Any]:
        """The records of that kind, of a class of zeroconf's that it does not export."""
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
    """The sessions found within that time, or sooner when `until` is content with them; PhaseLockError if searching is
    impossible."""
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
    """Whether what this machine announces comes back to it, and the sessions found within that time; PhaseLockError if
    announcing or searching is impossible. What is announced has an identity too short to be shown to anybody."""
    found: tuple[FoundSession, ...] = ()

    def on_change(sessions: tuple[FoundSession, ...]) -> None:
        nonlocal found
        found = sessions

    identity = secrets.token_bytes(ID_DIGITS.start // 2 - 1)
    own = await asyncio.to_thread(usable_addresses)
    announcer = Announcer("doctor", "", identity, 9, own or interfaces or (), interfaces=interfaces)
    browser = Browser(interfaces)
    try:
        await browser.start(on_change)
        await announcer.start()
        await asyncio.sleep(timeout_s)
        return instance_name("doctor", identity) in browser._names(), found
    finally:
        await browser.close()
        await announcer.close()


# -- zeroconf ----------------------------------------------------------------------------------------------------------


class _Blocked(Exception):
    """Multicast DNS is impossible here; the text says why, without a full stop."""


async def _open(speak_from: list[str]) -> AsyncZeroconf:
    """Take part in multicast DNS; _Blocked if that is impossible."""
    if not speak_from:
        raise _Blocked("this machine is in no network")
    await asyncio.to_thread(importlib.import_module, "zeroconf.asyncio")
    only_ipv4 = [address for address in speak_from if ":" not in address]
    try:
        return await _open_on(speak_from)
    except _Blocked:
        if not only_ipv4 or only_ipv4 == speak_from:
            raise
        return await _open_on(only_ipv4)


async def _open_on(speak_from: list[str]) -> AsyncZeroconf:
    from zeroconf.asyncio import AsyncZeroconf

    try:
        zeroconf = AsyncZeroconf(interfaces=speak_from)
    except Exception as error:  # of many kinds, as many things can be wrong with a network
        raise _Blocked(_reason(error)) from None
    # Shielded: if this were cancelled, so would be what zeroconf waits for when it is closed.
    starting = asyncio.ensure_future(zeroconf.zeroconf.async_wait_for_start())
    try:
        await asyncio.shield(starting)
        if not zeroconf.zeroconf.engine.senders:
            raise _Blocked("no network interface takes part in multicast")
    except BaseException as error:
        await _close(zeroconf)
        if isinstance(error, Exception):
            raise _Blocked(_reason(error)) from None
        raise
    return zeroconf


async def _close(zeroconf: AsyncZeroconf) -> None:
    """Say goodbye for what is announced and close the sockets, in about a second."""
    try:
        await _within(GOODBYE_S, zeroconf.async_unregister_all_services())
    finally:
        await _within(CLOSE_S, zeroconf.async_close())


async def _within(timeout_s: float, work: Coroutine[Any, Any, None]) -> None:
    try:
        async with asyncio.timeout(timeout_s):
            await work
    except Exception as error:
        log.debug("leaving multicast DNS: %s", error or type(error).__name__)


async def _stop(tasks: Sequence[asyncio.Future[Any]]) -> None:
    for task in tasks:
        task.cancel()
    if tasks:
        await asyncio.wait(tasks)


def _reason(error: Exception) -> str:
    number = error.errno if isinstance(error, OSError) else None
    if number == errno.EADDRINUSE:
        return "another program keeps port 5353 for itself"
    if number in (errno.EACCES, errno.EPERM):
        return "it is not permitted on this machine"
    if isinstance(error, OSError):
        return error.strerror or type(error).__name__
    return str(error) or type(error).__name__


def _address(record: Any) -> Address:
    """With its scope if it is link-local: the interface on which it was told."""
    address = ipaddress.ip_address(record.address)
    if isinstance(address, ipaddress.IPv6Address) and address.is_link_local and record.scope_id:
        return ipaddress.IPv6Address(f"{address}%{record.scope_id}")
    return address
