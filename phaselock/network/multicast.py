"""Takes part in multicast DNS, and asks it for names that end in ".local". zeroconf takes about 5 MB, so it is loaded
only when it is used."""

from __future__ import annotations

import asyncio
import errno
import importlib
import logging
import sys
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any

from phaselock.errors import PhaseLockError, message_of
from phaselock.language.message import Message
from phaselock.network.interfaces import adapters, default_route_addresses, rank

if TYPE_CHECKING:
    from zeroconf.asyncio import AsyncZeroconf

TIMEOUT_GOODBYE_S = 0.6
TIMEOUT_CLOSE_S = 0.5
TIMEOUT_NAME_MS = 2500
"""How long machines have to answer to a name."""

log = logging.getLogger("phaselock.discovery")


class Blocked(PhaseLockError):
    """Multicast DNS is impossible here. The text is the reason, without a full stop."""


async def open_multicast(interfaces: list[str]) -> AsyncZeroconf:
    """Join multicast DNS on these interfaces, or only on the IPv4 ones if that fails; Blocked if both fail."""
    if not interfaces:
        raise Blocked("this machine is in no network")
    await asyncio.to_thread(importlib.import_module, "zeroconf.asyncio")
    only_ipv4 = [address for address in interfaces if ":" not in address]
    try:
        return await _open_on(interfaces)
    except Blocked:
        if not only_ipv4 or only_ipv4 == interfaces:
            raise
        return await _open_on(only_ipv4)


async def _open_on(interfaces: list[str]) -> AsyncZeroconf:
    from zeroconf.asyncio import AsyncZeroconf

    try:
        zeroconf = AsyncZeroconf(interfaces=interfaces)
    except Exception as error:  # zeroconf raises many types for the many faults of a network
        raise Blocked(reason_of(error)) from None
    # Shielded: cancelling it would also cancel the future that zeroconf awaits when it is closed.
    starting = asyncio.ensure_future(zeroconf.zeroconf.async_wait_for_start())
    try:
        await asyncio.shield(starting)
        if not zeroconf.zeroconf.engine.senders:
            raise Blocked("no network interface takes part in multicast")
    except BaseException as error:
        await close_multicast(zeroconf)
        if isinstance(error, Exception):
            raise Blocked(reason_of(error)) from None
        raise
    return zeroconf


async def close_multicast(zeroconf: AsyncZeroconf) -> None:
    """Withdraw all announcements and close the sockets, in about a second."""
    try:
        await _within(TIMEOUT_GOODBYE_S, zeroconf.async_unregister_all_services())
    finally:
        await _within(TIMEOUT_CLOSE_S, zeroconf.async_close())


async def _within(timeout_s: float, work: Coroutine[Any, Any, None]) -> None:
    try:
        async with asyncio.timeout(timeout_s):
            await work
    except Exception as error:
        log.debug("leaving multicast DNS: %s", error or type(error).__name__)


def reason_of(error: Exception) -> Message:
    number = error.errno if isinstance(error, OSError) else None
    # Windows reports EACCES for a port that another program uses exclusively.
    if number == errno.EADDRINUSE or (sys.platform == "win32" and number == errno.EACCES):
        return Message("another program keeps port 5353 for itself")
    if number in (errno.EACCES, errno.EPERM):
        return Message("it is not permitted on this machine")
    return message_of(error)


def is_local_name(host: str) -> bool:
    """Is this a name of multicast DNS (RFC 6762)?"""
    return host.rstrip(".").lower().endswith(".local")


async def resolve_local(host: str) -> tuple[str, ...]:
    """The addresses of the machine that answers to this name on the local network, IPv4 first; empty if none does or if
    multicast DNS is impossible. A link-local address contains its scope."""
    found = await asyncio.to_thread(adapters)
    try:
        zeroconf = await open_multicast(list(rank(found, default_route_addresses())))
    except Blocked as error:
        log.info("the name %s cannot be asked for: %s", host, error)
        return ()
    try:
        from zeroconf import AddressResolver, IPVersion  # type: ignore[attr-defined]  # missing in its __all__

        query = AddressResolver(f"{host.rstrip('.')}.")
        await query.async_request(zeroconf.zeroconf, TIMEOUT_NAME_MS)
        return tuple(query.parsed_scoped_addresses(IPVersion.All))
    except Exception as error:  # the name comes from the user and may be invalid for multicast DNS
        log.info("asking for %s: %s", host, error)
        return ()
    finally:
        await close_multicast(zeroconf)
