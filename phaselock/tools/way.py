"""Checks the way to a session: name, connection, session, and how well its clock is heard. For `phaselock doctor`."""

from __future__ import annotations

import asyncio
import dataclasses
import functools
import socket
from collections.abc import AsyncIterator, Callable, Sequence

from phaselock import _native
from phaselock.console.events import Finding, Level
from phaselock.console.lines import time_words
from phaselock.errors import PhaseLockError, system_text
from phaselock.language.message import N_, Message
from phaselock.network.multicast import is_local_name
from phaselock.network.reach import CannotConnect, connect_any
from phaselock.network.service_record import FoundSession
from phaselock.protocol.messages import PROTOCOL_VERSION
from phaselock.sync.trace import Exchange
from phaselock.tools import advice
from phaselock.tools.in_time import in_time
from phaselock.tools.probe import ClockProbe, Quality, loss_words, quality

RESOLVE_LIMIT_S = 2.0
"""Time limit for the addresses of a host name, in seconds."""
CONNECT_LIMIT_S = 3.5
"""Time limit of one connection attempt, in seconds. Linux reports after three seconds that no machine in the local
network has the address."""
FIRST_PONG_S = 2.0
MEASURE_S = 5.0
LOOK_S = 0.05

GOOD_US = 500.0
NEEDED_US = 1000.0
SLOW_MS, JITTERY_MS = 100.0, 15.0
SOME_LOSS, MUCH_LOSS = 0.05, 0.3


def resolve(host: str, port: int) -> list[str]:
    """The addresses of a host name, without repetitions. OSError or UnicodeError if there is none. May block."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(one[4][0]) for one in found))


async def check_way(
    hosts: Sequence[str],
    port: int,
    sessions: Sequence[FoundSession],
    *,
    measure: bool,
    code: str = "",
    find: Callable[[str, int], list[str]] = resolve,
) -> AsyncIterator[Finding]:
    """Check the connection to a host step by step, until a step fails. `hosts` are its names or addresses, `sessions`
    those found by discovery.

    The steps: addresses of the names, TCP connection, session, and with `measure` the clock exchange, for which a
    session may need its `code`.
    """
    places: list[str] = []
    for host in hosts:
        try:
            places += await in_time(RESOLVE_LIMIT_S, functools.partial(find, host, port))
        except (OSError, UnicodeError):  # OSError includes TimeoutError
            if not is_local_name(host):
                yield _unknown_name(host)
                return
            places.append(host)  # `connect_any` asks for it by multicast DNS
    try:
        connected = await connect_any([(place, port) for place in dict.fromkeys(places)], CONNECT_LIMIT_S)
    except CannotConnect as error:
        if is_local_name(places[0]) and not error.problem.args:  # no address was found
            yield _unknown_name(places[0])
        else:
            yield check_refusal(places[0], port, error.problem, sessions)
        return
    visitor = ClockProbe(connected)
    try:
        async for finding in _visit(visitor, measure, code):
            yield finding
    finally:
        await visitor.leave()


def _unknown_name(host: str) -> Finding:
    message = Message("Nobody here knows a machine called {name}.", name=host)
    fix = Message("Check the spelling, or use the address that the host shows, such as 192.168.1.42.")
    return Finding("name", "problem", message, fix)


def check_refusal(address: str, port: int, problem: OSError, sessions: Sequence[FoundSession]) -> Finding:
    """The finding for a failed connection: its cause, as far as the error and the sessions found by discovery tell."""
    announced = [one for one in sessions if address in one.addresses]
    values = {"address": address, "port": port}
    if isinstance(problem, ConnectionRefusedError):
        message = Message("The machine at {address} answers, but no jam is open on its port {port}.", **values)
        fix = Message("See whether the host still runs, and which address and port it shows.")
        if announced and announced[0].port != port:
            name, other_port = announced[0].session_name, announced[0].port
            fix = Message('Its jam "{session_name}" is on port {port}.', session_name=name, port=other_port)
        return Finding("connect", "problem", message, fix)
    fixes = [advice.open_firewall(port, "TCP"), advice.ISOLATION]
    if announced:
        message = Message(
            "{address} is found by discovery, but does not answer on port {port}: its firewall is closed, or the Wi-Fi "
            "keeps its guests apart.",
            **values,
        )
    elif isinstance(problem, TimeoutError):
        message = Message("{address} does not answer on port {port}.", **values)
        fixes = [advice.SAME_NETWORK, *fixes]
    else:
        reason = Message(system_text(problem) if problem.errno else N_("unreachable"))
        message = Message("No machine is reached at {address} ({reason}).", address=address, reason=reason)
        fixes = [advice.SAME_NETWORK, advice.ISOLATION]
    return Finding("connect", "problem", message, Message.joined("\n", fixes))


async def _visit(visitor: ClockProbe, measure: bool, code: str) -> AsyncIterator[Finding]:
    try:
        info = await visitor.greet()
    except PhaseLockError as error:
        yield Finding("greeting", "problem", error.message, Message("See which address and port the host shows."))
        return
    values = {
        "session_name": info.session_name,
        "host_name": info.host_name,
        "taken": len(info.peers),
        "number": info.max_peers,
    }
    if info.protocol_version != PROTOCOL_VERSION:
        message = Message('The jam "{session_name}" by {host_name} runs another version of PhaseLock.', **values)
        yield Finding("version", "problem", message, Message("Install the same version on both machines."))
        return
    if len(info.peers) >= info.max_peers:
        message = Message(
            'The jam "{session_name}" by {host_name} is full: {taken} of {number} places are taken.', **values
        )
        fix = Message("Somebody has to leave first, or the host sends somebody away: drop-peer NAME")
        yield Finding("full", "problem", message, fix)
        return
    message = Message(
        'The jam "{session_name}" by {host_name} answers; {taken} of {number} places are taken.', **values
    )
    yield Finding("connect", "ok", message)
    if not measure:
        return
    try:
        await visitor.join("doctor", code)
    except PhaseLockError as error:
        message = Message("The host does not let this machine in: {reason}", reason=error.message)
        yield Finding("join", "problem", message)
        return
    for finding in await _measure(visitor):
        yield finding


async def _measure(visitor: ClockProbe) -> list[Finding]:
    assert visitor.clock
    since_ns = at_ns = _native.now_ns()
    measured: list[Exchange] = []
    while not visitor.over and at_ns - since_ns < (MEASURE_S if measured else FIRST_PONG_S) * 1e9:
        await asyncio.sleep(LOOK_S)
        measured += visitor.clock.exchanges(measured[-1] if measured else None)
        at_ns = _native.now_ns()
    if visitor.over:
        message = Message("The measurement was cut short: {reason}", reason=visitor.over)
        return [Finding("measure", "problem", message)]
    found = quality(measured, visitor.clock.loss(), visitor.clock.status(at_ns))
    return check_clock(found, (at_ns - since_ns) / 1e9, visitor.clock_port)


def check_clock(found: Quality, seconds: float, clock_port: int) -> list[Finding]:
    """The findings about the network path and the clock, after measuring for `seconds`."""
    figures = dataclasses.asdict(found)
    if found.rtt_p50_us is None or found.rtt_p95_us is None:
        message = Message(
            "The host's clock does not answer: no packet comes back from its UDP port {port}.", port=clock_port
        )
        here_too = Message("A VPN or a firewall of this machine may do it, too.")
        fix = Message.joined("\n", (advice.open_firewall(clock_port, "UDP"), here_too))
        return [Finding("clock", "problem", message, fix, figures)]
    p50_ms, p95_ms = found.rtt_p50_us / 1e3, found.rtt_p95_us / 1e3
    message = Message(
        "Half of the packets are back within {median}, 19 of 20 within {slowest}; {loss}.",
        median=time_words(found.rtt_p50_us),
        slowest=time_words(found.rtt_p95_us),
        loss=loss_words(found.loss),
    )
    poor = found.loss > SOME_LOSS or p95_ms > SLOW_MS or p95_ms - p50_ms > JITTERY_MS
    level: Level = "problem" if found.loss > MUCH_LOSS else "hint" if poor else "ok"
    way = Finding("way", level, message, "" if level == "ok" else advice.WIFI, figures)
    return [way, _uncertainty(found.uncertainty_us, f"{seconds:.0f}")]


def _uncertainty(us: float | None, seconds: str) -> Finding:
    """Whether the host's clock is known well enough, to within `us` microseconds (None: not known)."""
    if us is None:
        message = Message(
            "After {seconds} s the host's clock is not known yet: not good enough for 1 ms.", seconds=seconds
        )
        return Finding("clock", "problem", message, advice.WIFI)
    values = {"seconds": seconds, "time": time_words(us), "factor": f"{NEEDED_US / max(us, 1.0):.0f}"}
    if us >= NEEDED_US:
        message = Message(
            "After {seconds} s the host's clock is known to within {time} only: not good enough for 1 ms.", **values
        )
        return Finding("clock", "problem", message, advice.WIFI)
    if us < GOOD_US:
        message = Message(
            "After {seconds} s the host's clock is known to within {time}: good enough for 1 ms by a factor of "
            "{factor}.",
            **values,
        )
        return Finding("clock", "ok", message)
    message = Message(
        "After {seconds} s the host's clock is known to within {time}: good enough for 1 ms, but only just.", **values
    )
    return Finding("clock", "hint", message, advice.WIFI)
