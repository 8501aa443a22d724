"""Opens the connection to a host: all of its addresses side by side, and then the best path of those that answer."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import logging
import math
import socket
from collections.abc import Callable, Coroutine, Iterable, Sequence
from typing import Any

from phaselock.errors import PhaseLockError, system_text
from phaselock.frozen import frozen
from phaselock.language.message import N_, Message
from phaselock.model.address import for_resolver
from phaselock.network.interfaces import Distance, adapters, distance_of
from phaselock.network.multicast import is_local_name, resolve_local

Place = tuple[str, int]
"""A host name or an address as text, which contains the scope of a link-local one (fe80::1%eth0), and a port."""

CONNECT_S = 5.0
"""How long one attempt to connect may take, in seconds."""
STAGGER_S = 0.25
"""The next address is tried after this time without an answer (Connection Attempt Delay of RFC 8305, section 5)."""
COMPARE_S = 0.25
"""After the first answer, how long the other addresses may take to answer and to be measured, in seconds."""
ROUND_TRIPS = 3
"""Connections that measure an address; the fastest counts. The first connection to an address is no measurement: it
includes the time in which the system finds the machine in the network."""
MAX_COMPARED = 4
"""Most addresses that are measured. The host limits the connections of one machine that have not joined."""
MUCH_FASTER = 0.75
"""The first address that answered is used unless the round trip of another one is below this part of its own, or the
other one is nearer: in the room and not behind a router, and not in a tunnel."""
SEGMENT_BYTES = 1200
"""Largest TCP segment. Some VPNs and routers lose larger packets without notice (RFC 2923). Every path of today carries
packets of 1280 bytes; QUIC has the same limit (RFC 9000, section 14)."""

log = logging.getLogger("phaselock.reach")


class CannotConnect(PhaseLockError):
    """No connection was established. `problem` is the error of one address: a refusal, if one was refused. People read
    `session_name`, if it is known, else the place."""

    def __init__(self, place: Place, problem: OSError, session_name: str = "") -> None:
        self.problem = problem
        self.refused = isinstance(problem, ConnectionRefusedError)
        """The machine answers, but no program listens on the port."""
        host, port = place
        if isinstance(problem, TimeoutError):
            reason = Message("it does not answer")
        elif self.refused:
            reason = Message("no jam is open there")
        elif problem.errno:
            reason = Message(system_text(problem))
        elif is_local_name(host):
            reason = Message("no machine of this network has this name. Use the address that the host shows")
        else:
            reason = Message("no address was found")
        self.reason = reason
        """A clause."""
        if session_name:
            super().__init__(N_("Cannot reach {session_name}: {reason}."), session_name=session_name, reason=reason)
        else:
            super().__init__(N_("Cannot reach {host} on port {port}: {reason}."), host=host, port=port, reason=reason)


@frozen
class Target:
    """An address to connect to. `sockaddr` contains the port and the scope."""

    family: int
    sockaddr: tuple[Any, ...]
    distance: Distance = Distance.ROOM


Dial = Callable[[Target], Coroutine[Any, Any, socket.socket]]
"""Connects to a target. OSError if it cannot be reached."""


async def connect(host: str, port: int, limit_s: float = CONNECT_S) -> socket.socket:
    """Connect to a host by its name or address: see `connect_any`."""
    return await connect_any([(host, port)], limit_s)


async def connect_any(places: Sequence[Place], limit_s: float = CONNECT_S, session_name: str = "") -> socket.socket:
    """Connect to one of the places, which all lead to the same host, the nearest ones first. CannotConnect, with a
    sentence for users about the session or the first place, if none answers within `limit_s`. The socket is
    non-blocking."""
    targets = await resolve(places)
    if len(targets) > 1:
        targets = await asyncio.to_thread(_nearest_first, targets)

    async def dial(target: Target) -> socket.socket:
        async with asyncio.timeout(limit_s):
            return await _dial(target)

    try:
        return await best_connection(targets, dial)
    except OSError as error:
        raise CannotConnect(places[0], error, session_name) from None


async def best_connection(targets: Sequence[Target], dial: Dial) -> socket.socket:
    """Try the targets in their order, the next one after STAGGER_S or after a failure (RFC 8305, section 5). From the
    first answer on, the others have COMPARE_S to show that they are nearer, or as near and much faster; the fastest of
    the nearest ones is used. OSError if none answers: a refusal, if one was refused, else the error of the first
    target."""
    waiting = list(targets)
    running: dict[asyncio.Task[socket.socket], Target] = {}
    problems: list[OSError] = []
    try:
        while waiting or running:
            if waiting:
                target = waiting.pop(0)
                running[asyncio.create_task(dial(target))] = target
            done, _ = await asyncio.wait(
                running, timeout=STAGGER_S if waiting else None, return_when=asyncio.FIRST_COMPLETED
            )
            for task in done:
                target = running.pop(task)
                if error := task.exception():
                    assert isinstance(error, OSError)
                    problems.append(error)
                    continue
                first = task.result()
                others = [one for one in (*running.values(), *waiting) if one.distance <= target.distance]
                return await _better(target, others, dial, first) if others else first
    finally:
        for task in running:
            task.cancel()
            task.add_done_callback(_close)  # without a wait, in which a cancellation could be lost
    refusals = [error for error in problems if isinstance(error, ConnectionRefusedError)]
    raise [*refusals, *problems, OSError()][0]


async def resolve(places: Iterable[Place]) -> list[Target]:
    """The targets of all places, in this order and without repetitions. A name that ends in ".local" and is unknown to
    the system is asked for by multicast DNS: not every system does that itself."""
    targets: list[Target] = []
    for host, port in places:
        with contextlib.suppress(OSError, UnicodeError):
            try:
                targets += await _targets(host, port)
            except (OSError, UnicodeError):
                if not is_local_name(host):
                    raise
                for address in await resolve_local(host):
                    targets += await _targets(address, port)
    return list(dict.fromkeys(targets))


def place_of(sockaddr: tuple[Any, ...]) -> Place:
    """The place in the address of a socket. A link-local address keeps its scope, without which it leads nowhere:
    `getpeername` has it in a number of its own."""
    host, _ = socket.getnameinfo(sockaddr, socket.NI_NUMERICHOST | socket.NI_NUMERICSERV)
    return host, sockaddr[1]


def use_small_segments(sock: socket.socket) -> None:
    """Never send or ask for a TCP segment of more than SEGMENT_BYTES. For a listening socket this is true for its
    connections, too. Without an effect on Windows, which finds out by itself that large packets are lost."""
    with contextlib.suppress(OSError, AttributeError):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, SEGMENT_BYTES)


def _nearest_first(targets: Sequence[Target]) -> list[Target]:
    """In the same order for one distance. May block for some milliseconds."""
    ours = adapters()
    found = [dataclasses.replace(one, distance=distance_of(one.family, one.sockaddr, ours)) for one in targets]
    return sorted(found, key=lambda one: one.distance)


async def _targets(host: str, port: int) -> list[Target]:
    found = await asyncio.get_running_loop().getaddrinfo(for_resolver(host), port, type=socket.SOCK_STREAM)
    return [Target(family, sockaddr) for family, _, _, _, sockaddr in found]


async def _dial(target: Target) -> socket.socket:
    sock = socket.socket(target.family, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        use_small_segments(sock)
        await asyncio.get_running_loop().sock_connect(sock, target.sockaddr)
    except BaseException:
        sock.close()
        raise
    return sock


async def _better(used: Target, others: Sequence[Target], dial: Dial, connected: socket.socket) -> socket.socket:
    """`connected`, which leads to `used`, or a connection to one of the others if it is nearer or much faster. No other
    one is farther."""
    compared = [used, *sorted(others, key=lambda one: one.distance)[: MAX_COMPARED - 1]]
    try:
        took_s = await asyncio.gather(*(_round_trip_s(dial, target) for target in compared))
        log.debug("round trips: %s", dict(zip((one.sockaddr[0] for one in compared), took_s, strict=True)))
        answered = [place for place, round_trip_s in enumerate(took_s) if round_trip_s < math.inf]
        best = min(answered, key=lambda place: (compared[place].distance, took_s[place]), default=0)
        if compared[best].distance < used.distance or took_s[best] < MUCH_FASTER * took_s[0]:
            with contextlib.suppress(OSError):
                chosen = await dial(compared[best])
                connected.close()
                return chosen
    except BaseException:
        connected.close()
        raise
    return connected


async def _round_trip_s(dial: Dial, target: Target) -> float:
    """The round trip time to a target in seconds; infinite if it does not answer within COMPARE_S."""
    now_s = asyncio.get_running_loop().time
    took_s = []
    with contextlib.suppress(OSError):
        async with asyncio.timeout(COMPARE_S):
            for _ in range(1 + ROUND_TRIPS):
                began_s = now_s()
                sock = await dial(target)
                took_s.append(now_s() - began_s)
                sock.close()
    return min(took_s[1:], default=math.inf)


def _close(attempt: asyncio.Task[socket.socket]) -> None:
    """Close the connection of an attempt that has succeeded although it was cancelled."""
    if not attempt.cancelled() and attempt.exception() is None:
        attempt.result().close()
