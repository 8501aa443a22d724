"""`phaselock doctor`: find the problems that may keep this machine from taking part, and say how to fix them.

Each check is a function: it gets its inputs as arguments and returns findings. A check that may hang runs on its own
thread, with a time limit; a thread that hangs is left behind.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import dataclasses
import functools
import importlib.util
import ipaddress
import os
import pathlib
import platform
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from typing import Any, Literal

from phaselock import __version__, _native
from phaselock.audio.device import USER_DATA_OFFSET, Device
from phaselock.audio.priority import NO_ANSWER, Priority
from phaselock.console.events import Finding, FindingTold, Level
from phaselock.console.output import Screen
from phaselock.errors import PhaseLockError
from phaselock.model.address import DEFAULT_PORT
from phaselock.model.timing import TIMING_SENTENCES, Timing
from phaselock.network import discovery, interfaces
from phaselock.network.interfaces import Adapter
from phaselock.network.listener import PortTaken, bind
from phaselock.network.peer import CannotConnect, connect
from phaselock.network.service_record import FoundSession
from phaselock.protocol.messages import PROTOCOL_VERSION
from phaselock.storage import settings
from phaselock.storage.cache import FileCache
from phaselock.storage.paths import cache_dir, log_path, settings_path
from phaselock.sync.trace import Exchange
from phaselock.tools.probe import ClockProbe, Quality, loss_words, quality, time_words

LOCAL_LIMIT_S = 6.0
"""Time limit of each check of this machine, in seconds."""
RESOLVE_LIMIT_S = 2.0
"""Time limit for the addresses of a host name, in seconds."""
CONNECT_LIMIT_S = 3.5
"""Time limit of one connection attempt, in seconds. Linux reports after three seconds that no machine in the local
network has the address."""
MAX_ADDRESSES = 2
LISTEN_S = 3.0
SOUND_S = 0.5
FIRST_SOUND_S = 3.0
FIRST_PONG_S = 2.0
MEASURE_S = 5.0
LOOK_S = 0.05

GOOD_US = 500.0
NEEDED_US = 1000.0
LITTLE_ROOM_BYTES = 200 << 20
LATE_MS = 150.0
SLOW_MS, JITTERY_MS = 100.0, 15.0
SOME_LOSS, MUCH_LOSS = 0.05, 0.3
CARRIERS = ipaddress.ip_network("100.64.0.0/10")
"""RFC 6598: addresses that internet providers and some VPNs assign."""

CHANGE_PORTS = "Close that program, or host on other ports: phaselock host --port 17411 --clock-port 17412"
SAME_NETWORK = "See whether the address is right, that machine is on, and both are in the same network."
ISOLATION = (
    "If both machines are in one Wi-Fi, log in to its router and switch off what it calls AP isolation or client\n"
    "isolation, and leave the guest network; the hotspot of a phone does instead."
)
OUTPUT = {
    "win32": "Open Settings, System, Sound and choose an output. phaselock devices lists what there is.",
    "darwin": "Open System Settings, Sound, Output and choose one. phaselock devices lists what there is.",
    "linux": "Plug a loudspeaker in, and see whether a sound server runs: systemctl --user status pipewire pulseaudio\n"
    "phaselock devices lists what there is.",
}
TK = {
    "win32": 'Run the installer of Python again, choose Modify and tick "tcl/tk and IDLE".',
    "darwin": "With Homebrew: brew install python-tk; otherwise install Python from python.org.",
    "linux": "Debian, Ubuntu, Raspberry Pi: sudo apt install python3-tk; Fedora: sudo dnf install python3-tkinter",
}
WIFI = (
    "Use a cable, or the 5 GHz Wi-Fi instead of 2.4 GHz, near the router; stop downloads; switch power saving off:\n"
    "Windows: Settings, System, Power, Best performance. Mac: plug the charger in.\n"
    "Linux: sudo iw dev wlan0 set power_save off"
)


def firewall_fix(port: int, kind: str) -> str:
    """How to open a port in the firewall of the host's machine. Its system is not known here: all three are named."""
    return (
        f"On the host's machine, let {kind} port {port} through the firewall:\n"
        "Windows: Windows Security, Firewall & network protection, Allow an app: tick Python under Private.\n"
        "Mac: System Settings, Network, Firewall, Options: allow Python.\n"
        f"Linux: sudo ufw allow {port}/{kind.lower()}   or   sudo firewall-cmd --add-port={port}/{kind.lower()}"
    )


def _for(fixes: Mapping[str, str]) -> str:
    """The fix for this platform."""
    return fixes.get(sys.platform, fixes["linux"])


# -- this machine ------------------------------------------------------------------------------------------------------


def check_program() -> list[Finding]:
    """The versions of PhaseLock and Python, and the system."""
    return [
        Finding("program", "ok", f"PhaseLock {__version__} on Python {platform.python_version()}, {platform.system()}.")
    ]


WindowTrouble = Literal["no customtkinter", "no tk", "no screen"]
_NO_TK_STATUS = 3
"""Exit status of the process that tries to open a window, if Python has no Tk."""


def check_window(ask: Callable[[], WindowTrouble | None]) -> list[Finding]:
    """Check the window. `ask` tries to open one and returns the reason of a failure; None after a success."""
    trouble = ask()
    if trouble is None:
        return [Finding("window", "ok", "A window can be opened.")]
    without = "phaselock host and phaselock join do without."
    if trouble == "no customtkinter":
        fix = "Install it: pip install customtkinter"
        return [Finding("window", "hint", f"There can be no window, for customtkinter is missing; {without}", fix)]
    if trouble == "no tk":
        return [Finding("window", "hint", f"There can be no window, for Python lacks Tk; {without}", _for(TK))]
    return [Finding("window", "hint", f"There is no screen for a window; {without}")]


def try_window() -> WindowTrouble | None:
    """Try to open a window. Return the reason of a failure; None after a success. It runs in another process, because
    Tk may hang or end the program. subprocess.TimeoutExpired if it hangs."""
    if importlib.util.find_spec("customtkinter") is None:
        return "no customtkinter"
    code = f"""
import sys
try:
    import tkinter
except ModuleNotFoundError:
    sys.exit({_NO_TK_STATUS})
tkinter.Tk().destroy()
"""
    done = subprocess.run(
        [sys.executable, "-c", code], stdin=subprocess.DEVNULL, capture_output=True, timeout=LOCAL_LIMIT_S
    )
    if done.returncode == _NO_TK_STATUS:
        return "no tk"
    return "no screen" if done.returncode else None


@dataclasses.dataclass(frozen=True, slots=True)
class Heard:
    """What an output did during SOUND_S. `latency_ns` is None or meaningless if the timing is "unknown"."""

    name: str
    backend: str
    rate_hz: int
    callbacks: bool
    latency_ns: int | None
    timing: Timing
    priority: Priority


def check_output(listen: Callable[[], Heard]) -> list[Finding]:
    """Check the audio output. `listen` opens it and lets it run, or raises AudioDeviceError."""
    try:
        heard = listen()
    except PhaseLockError as error:
        return [Finding("output", "problem", str(error), _for(OUTPUT))]
    if heard.backend == "null" or not heard.callbacks:
        return [_latency(heard)]
    return [_latency(heard), check_priority(heard.priority)]


def _latency(heard: Heard) -> Finding:
    if heard.backend == "null":
        return Finding("output", "hint", "There is no output: null plays into the void.")
    what = f"{heard.name} ({heard.backend}, {heard.rate_hz} Hz)"
    if not heard.callbacks:
        return Finding("output", "problem", f"The output {what} opens, but takes no sound.", _for(OUTPUT))
    by_ear = "If this machine is heard late, correct it while it plays: offset MILLISECONDS"
    if heard.latency_ns is None or heard.timing == "unknown":
        message = f"The output {what} works. {TIMING_SENTENCES['unknown']}"
        return Finding("output", "hint", message, by_ear, {"timing": "unknown", "latency_ms": None})
    latency_ms = heard.latency_ns / 1e6
    about = "about " if heard.timing == "told" else ""
    message = f"The output {what} works and is {about}{latency_ms:.0f} ms late, which is allowed for."
    figures = {"timing": heard.timing, "latency_ms": round(latency_ms, 3)}
    if heard.timing == "told":
        return Finding("output", "hint", f"{message} {TIMING_SENTENCES['told']}", by_ear, figures)
    if latency_ms <= LATE_MS:
        return Finding("output", "ok", message, figures=figures)
    fix = "Bluetooth loudspeakers often hide more than they tell. A cable is exact; or by ear: offset MILLISECONDS"
    return Finding("output", "hint", message, fix, figures)


def check_priority(found: Priority) -> Finding:
    """Report the priority of the audio thread, for an output that works."""
    level: Level = "ok" if found.level in ("real-time", "raised") else "hint"
    return Finding("priority", level, found.sentence, found.advice, {"priority": found.level})


def listen_to_output(backend: str, device_name: str | None, *, or_default: bool) -> Heard:
    """Open the output and let it run for SOUND_S, in silence. AudioDeviceError if it cannot be opened or started."""
    _native.Engine.set_user_offset(USER_DATA_OFFSET)
    engine = _native.Engine(_native.ClockMap(identity=True))
    device = Device(
        engine,
        "phaselock-doctor",
        backend,
        device_name,
        or_default=or_default,
    )
    try:
        info = device.open()
        engine.stream(info.rate_hz, device.account())
        device.start()
        until_s = time.monotonic() + FIRST_SOUND_S
        heard, priority = False, None
        while not (heard and priority) and time.monotonic() < until_s:
            time.sleep(LOOK_S)
            heard, priority = engine.status().device_frames >= SOUND_S * info.rate_hz, device.priority()
        priority = priority or Priority("unknown", NO_ANSWER)
        latency_ns = device.output_latency_ns()
        if latency_ns is not None and device.account() is not None:
            latency_ns += engine.status().lead_ns
        return Heard(info.name, info.backend, info.rate_hz, heard, latency_ns, device.timing(), priority)
    finally:
        device.close()


def check_ports(port: int, clock_port: int, occupant: Callable[[int], str], bind_address: str = "") -> list[Finding]:
    """Check that a session can be hosted on these ports. `occupant` returns the name of the session that uses a port of
    this machine; empty if there is none."""
    findings = []
    occupant = functools.cache(occupant)  # it connects, which is slow
    for id_, number, kind in (("port", port, socket.SOCK_STREAM), ("clock_port", clock_port, socket.SOCK_DGRAM)):
        what = f"Port {number} ({'TCP' if kind == socket.SOCK_STREAM else 'UDP'})"
        try:
            bind(bind_address, number, kind).close()
            findings.append(Finding(id_, "ok", f"{what} is free to host on."))
        except PortTaken:
            if session_name := occupant(port):
                findings.append(Finding(id_, "ok", f'{what} is used by the session "{session_name}" on this machine.'))
            else:
                findings.append(Finding(id_, "problem", f"{what} is used by another program.", CHANGE_PORTS))
        except PhaseLockError as error:
            findings.append(Finding(id_, "problem", str(error), CHANGE_PORTS))
    return findings


async def session_at(port: int) -> str:
    """The name of the session on this TCP port of this machine; empty if there is none."""
    with contextlib.suppress(PhaseLockError):
        visitor = ClockProbe(await connect("127.0.0.1", port, CONNECT_LIMIT_S))
        try:
            return (await visitor.greet()).session_name
        finally:
            await visitor.leave()
    return ""


def check_firewall(root: pathlib.Path, port: int, clock_port: int) -> list[Finding]:
    """Look for the Linux firewalls ufw and firewalld, in files below `root` that every user can read. Other firewalls
    are not found."""
    with contextlib.suppress(OSError):
        if "ENABLED=yes" in (root / "etc/ufw/ufw.conf").read_text("utf-8", "replace"):
            return [_firewall("ufw", f"sudo ufw allow {port}/tcp; sudo ufw allow {clock_port}/udp")]
    if (root / "run/firewalld").is_dir():
        return [_firewall("firewalld", f"sudo firewall-cmd --add-port={port}/tcp --add-port={clock_port}/udp")]
    return []


def _firewall(name: str, command: str) -> Finding:
    message = f"The firewall {name} is on; it may keep others out of a session that is hosted here."
    return Finding("firewall", "hint", message, f"To let them in: {command}")


def check_network(found: Sequence[Adapter], default_route: Collection[str]) -> list[Finding]:
    """Check that this machine has an address that other computers can reach. Hint at a VPN and at a provider's
    address."""
    usable = interfaces.rank(found, default_route)
    fix = "Join the Wi-Fi that the others are in, or plug a network cable in."
    if not usable:
        return [Finding("network", "problem", "This machine is in no network.", fix)]
    ips = [ipaddress.ip_address(text) for text in usable]
    if all(ip.is_link_local for ip in ips):
        message = f"No router has given this machine an address; it has only {usable[0]}, which it made up."
        return [Finding("network", "hint", message, f"{fix} Between two machines on one cable this is normal.")]
    findings = [Finding("network", "ok", f"Others reach this machine at {' or '.join(usable)}.")]
    if tunnels := interfaces.tunnels(found):
        fix = "If others cannot be found or reached, switch it off, or allow local network access in its settings."
        findings.append(Finding("vpn", "hint", f"A VPN is on ({', '.join(tunnels)}).", fix))
    elif any(ip.version == 4 and ip in CARRIERS for ip in ips):
        message = "An address of this machine is a provider's own; others in the room may not reach it."
        findings.append(Finding("carrier", "hint", message, fix))
    return findings


def check_discovery(heard_itself: bool, sessions: Sequence[FoundSession]) -> list[Finding]:
    """The findings of a discovery test: `heard_itself` is True if our own announcement was received."""
    if not heard_itself:
        message = "What this machine announces does not come back to it: sessions will not be found by themselves."
        fix = (
            "See whether the Wi-Fi or the cable is connected, and let UDP port 5353 (mDNS) through the firewall.\n"
            "By address it works all the same: phaselock join ADDRESS"
        )
        return [Finding("discovery", "problem", message, fix)]
    findings = [Finding("discovery", "ok", "Announcing and finding sessions works on this machine.")]
    for one in sessions:
        where = one.addresses[0] if one.port == DEFAULT_PORT else f"{one.addresses[0]}, port {one.port}"
        findings.append(Finding("session", "ok", f'Found: "{one.session_name}" by {one.host_name} at {where}.'))
    return findings


async def try_discovery() -> tuple[list[Finding], Sequence[FoundSession]]:
    """Announce a test service and search. Return the findings of check_discovery, and the sessions found."""
    try:
        async with asyncio.timeout(LOCAL_LIMIT_S):
            heard_itself, sessions = await discovery.try_out(LISTEN_S)
    except PhaseLockError as error:
        fix = "Until then, join by address: phaselock join ADDRESS"
        return [Finding("discovery", "problem", str(error), fix)], ()
    except TimeoutError:
        return check_discovery(False, ()), ()
    return check_discovery(heard_itself, sessions), sessions


def check_folders(folders: Mapping[str, pathlib.Path], write: Callable[[pathlib.Path], None]) -> list[Finding]:
    """Check that PhaseLock can write its files. `folders` maps their contents, for the message, to the folder. `write`
    raises OSError if a folder is not writable; for a folder that does not exist its nearest parent is tried."""
    findings = []
    for what, folder in folders.items():
        place = folder
        while not os.path.lexists(place) and place != place.parent:
            place = place.parent
        try:
            write(place)
        except OSError as error:
            message = f"PhaseLock cannot keep {what} in {folder} ({error.strerror or type(error).__name__})."
            fix = f"Make {place} writable for yourself, or set PHASELOCK_HOME to a folder that is."
            findings.append(Finding("folder", "problem", message, fix))
    return findings or [Finding("folder", "ok", f"The folders for {', '.join(folders)} are writable.")]


def try_writing(folder: pathlib.Path) -> None:
    """Create a temporary file in the folder and remove it. OSError if that fails."""
    with tempfile.TemporaryFile(dir=folder) as file:
        file.write(b"x")


def check_room(room_bytes: int) -> list[Finding]:
    """Check the free space for received songs, in bytes."""
    if room_bytes < LITTLE_ROOM_BYTES:
        message = f"The disk has room for {room_bytes / 1e6:.0f} MB of songs only."
        return [Finding("room", "problem", message, "Delete something, or join with --cache DIR on another disk.")]
    return [Finding("room", "ok", f"The disk has room for {room_bytes / 1e9:.1f} GB of songs.")]


def check_settings(warning: str | None) -> list[Finding]:
    """Report the warning of reading the settings; None if there was none."""
    return [Finding("settings", "hint", warning)] if warning else []


# -- the way to a host -------------------------------------------------------------------------------------------------


def resolve(host: str, port: int) -> list[str]:
    """The addresses of a host name, without repetitions. OSError or UnicodeError if there is none. May block."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(one[4][0]) for one in found))


async def check_way(
    host: str,
    port: int,
    sessions: Sequence[FoundSession],
    *,
    measure: bool,
    find: Callable[[str, int], list[str]] = resolve,
) -> AsyncIterator[Finding]:
    """Check the connection to a host step by step, until a step fails. `sessions` are those found by discovery.

    The steps: addresses of the name, TCP connection, session, and with `measure` the clock exchange.
    """
    try:
        places = await _in_time(RESOLVE_LIMIT_S, lambda: find(host, port))
    except (OSError, UnicodeError):  # OSError includes TimeoutError
        fix = "Check the spelling, or use the address that the host shows, such as 192.168.1.42."
        yield Finding("name", "problem", f"Nobody here knows a machine called {host}.", fix)
        return
    connected = await _connect(places[:MAX_ADDRESSES], port)
    if isinstance(connected, OSError):
        yield check_refusal(places[0], port, connected, sessions)
        return
    visitor = ClockProbe(connected)
    try:
        async for finding in _visit(visitor, measure):
            yield finding
    finally:
        await visitor.leave()


async def _connect(places: Sequence[str], port: int) -> socket.socket | OSError:
    """Connect to the first address that answers. If none does, return the error: the refusal if one address refused,
    because it proves that packets arrive; else the last error."""
    problem = OSError()
    for place in places:
        try:
            return await connect(place, port, CONNECT_LIMIT_S)
        except CannotConnect as error:
            if not isinstance(problem, ConnectionRefusedError):
                problem = error.problem
    return problem


def check_refusal(address: str, port: int, problem: OSError, sessions: Sequence[FoundSession]) -> Finding:
    """The finding for a failed connection: its cause, as far as the error and the sessions found by discovery tell."""
    announced = [one for one in sessions if address in one.addresses]
    if isinstance(problem, ConnectionRefusedError):
        message = f"The machine at {address} answers, but no session is open on its port {port}."
        fix = "See whether the host still runs, and which address and port it shows."
        if announced and announced[0].port != port:
            fix = f'Its session "{announced[0].session_name}" is on port {announced[0].port}.'
        return Finding("connect", "problem", message, fix)
    if announced:
        message = f"{address} is found by discovery, but does not answer on port {port}: "
        message += "its firewall is closed, or the Wi-Fi keeps its guests apart."
    elif isinstance(problem, TimeoutError):
        message = f"{address} does not answer on port {port}."
    else:
        # The text of the exception is not used: asyncio replaces the system's text with its own.
        reason = os.strerror(problem.errno).lower() if problem.errno else "unreachable"
        message = f"No machine is reached at {address} ({reason})."
        return Finding("connect", "problem", message, f"{SAME_NETWORK}\n{ISOLATION}")
    fix = f"{firewall_fix(port, 'TCP')}\n{ISOLATION}"
    return Finding("connect", "problem", message, fix if announced else f"{SAME_NETWORK}\n{fix}")


async def _visit(visitor: ClockProbe, measure: bool) -> AsyncIterator[Finding]:
    try:
        info = await visitor.greet()
    except PhaseLockError as error:
        yield Finding("greeting", "problem", str(error), "See which address and port the host shows.")
        return
    session = f'The session "{info.session_name}" by {info.host_name}'
    if info.protocol_version != PROTOCOL_VERSION:
        message = f"{session} runs another version of PhaseLock."
        yield Finding("version", "problem", message, "Install the same version on both machines.")
        return
    places = f"{len(info.peers)} of {info.max_peers} places are taken"
    if len(info.peers) >= info.max_peers:
        fix = "Somebody has to leave first, or the host sends somebody away: drop-peer NAME"
        yield Finding("full", "problem", f"{session} is full: {places}.", fix)
        return
    yield Finding("connect", "ok", f"{session} answers; {places}.")
    if not measure:
        return
    try:
        await visitor.join("doctor")
    except PhaseLockError as error:
        yield Finding("join", "problem", f"The host does not let this machine in: {error}")
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
        return [Finding("measure", "problem", f"The measurement was cut short: {visitor.over}")]
    found = quality(measured, visitor.clock.loss(at_ns), visitor.clock.status(at_ns))
    return check_clock(found, (at_ns - since_ns) / 1e9, visitor.clock_port)


def check_clock(found: Quality, seconds: float, clock_port: int) -> list[Finding]:
    """The findings about the network path and the clock, after measuring for `seconds`."""
    figures = dataclasses.asdict(found)
    if found.rtt_p50_us is None or found.rtt_p95_us is None:
        message = f"The host's clock does not answer: no packet comes back from its UDP port {clock_port}."
        fix = f"{firewall_fix(clock_port, 'UDP')}\nA VPN or a firewall of this machine may do it, too."
        return [Finding("clock", "problem", message, fix, figures)]
    p50_ms, p95_ms = found.rtt_p50_us / 1e3, found.rtt_p95_us / 1e3
    p50, p95 = time_words(found.rtt_p50_us), time_words(found.rtt_p95_us)
    message = f"Half of the packets are back within {p50}, 19 of 20 within {p95}; {loss_words(found.loss)}."
    poor = found.loss > SOME_LOSS or p95_ms > SLOW_MS or p95_ms - p50_ms > JITTERY_MS
    level: Level = "problem" if found.loss > MUCH_LOSS else "hint" if poor else "ok"
    way = Finding("way", level, message, "" if level == "ok" else WIFI, figures)
    us = found.uncertainty_us
    if us is None or us >= NEEDED_US:
        known = "is not known yet" if us is None else f"is known to within {time_words(us)} only"
        message = f"After {seconds:.0f} s the host's clock {known}: not good enough for 1 ms."
        return [way, Finding("clock", "problem", message, WIFI)]
    message = f"After {seconds:.0f} s the host's clock is known to within {time_words(us)}: good enough for 1 ms"
    if us < GOOD_US:
        return [way, Finding("clock", "ok", f"{message} by a factor of {NEEDED_US / max(us, 1.0):.0f}.")]
    return [way, Finding("clock", "hint", f"{message}, but only just.", WIFI)]


# -- all of it ---------------------------------------------------------------------------------------------------------


def run_doctor(address: tuple[str, int] | None, backend: str, device: str | None, screen: Screen) -> int:
    """Check this machine and the connection to the session at `address`. None: to the first session found, without
    measuring. Return the exit status: 0 if there is no problem, else 1."""
    return asyncio.run(_run(address, backend, device, screen))


async def _run(address: tuple[str, int] | None, backend: str, device: str | None, screen: Screen) -> int:
    told: list[str] = []

    def tell(findings: Sequence[Finding]) -> None:
        for one in findings:
            told.append(one.level)
            screen.event(FindingTold(None, one))

    kept, warning = settings.load(settings_path())
    wished = None if device == "default" else device or (kept.device if backend == "auto" else None)
    real = "null" if backend == "virtual" else backend
    folders = {"songs": cache_dir(), "settings": settings_path().parent, "the log": log_path().parent}
    screen.show("Looking at this machine ...")
    searching = asyncio.create_task(try_discovery())
    checks = [
        _checked("window", lambda: check_window(try_window)),
        _checked("output", lambda: check_output(lambda: listen_to_output(real, wished, or_default=device is None))),
        _checked("port", lambda: check_ports(kept.port, kept.clock_port, lambda port: asyncio.run(session_at(port)))),
        _checked("firewall", lambda: check_firewall(pathlib.Path("/"), kept.port, kept.clock_port)),
        _checked("network", lambda: check_network(interfaces.adapters(), interfaces.default_route_addresses())),
        _checked("folder", lambda: check_folders(folders, try_writing)),
        _checked("room", lambda: check_room(FileCache(cache_dir()).room_bytes())),
    ]
    tell([*check_program(), *check_settings(warning)])
    for findings in await asyncio.gather(*checks):
        tell(findings)
    screen.show("Looking for sessions ...")
    findings, sessions = await searching
    tell(findings)
    way = None
    if address:
        screen.show(f"Measuring the way to {address[0]} ...")
        way = check_way(*address, sessions, measure=True)
    elif sessions:
        way = check_way(sessions[0].addresses[0], sessions[0].port, sessions, measure=False)
    if way:
        async for one in way:
            tell([one])
    screen.say(summary(told))
    if not address and sessions and "problem" not in told:
        screen.say(f"To measure the way to a session: phaselock doctor {sessions[0].addresses[0]}")
    return int("problem" in told)


def summary(levels: Sequence[str]) -> str:
    """The last line of the output, from the levels of all findings."""
    problems, hints = levels.count("problem"), levels.count("hint")
    if not problems:
        return "No problem was found." if not hints else "No problem was found; see the hints above."
    return "One problem was found." if problems == 1 else f"{problems} problems were found."


async def _checked(id_: str, check: Callable[[], list[Finding]]) -> list[Finding]:
    """The findings of a check that may hang or raise any exception: both become a finding."""
    try:
        findings: list[Finding] = await _in_time(LOCAL_LIMIT_S, check)
        return findings
    except (TimeoutError, subprocess.TimeoutExpired):
        return [Finding(id_, "problem", f"The check of the {id_} took too long: the system does not answer.")]
    except Exception as error:  # a failed check must not prevent the other checks
        return [Finding(id_, "hint", f"The {id_} could not be checked ({error or type(error).__name__}).")]


async def _in_time(limit_s: float, work: Callable[[], Any]) -> Any:
    """Call `work` on a new daemon thread and return its result or raise its exception. TimeoutError after `limit_s`:
    then the thread goes on."""
    future: concurrent.futures.Future[Any] = concurrent.futures.Future()
    future.set_running_or_notify_cancel()  # a timeout cannot cancel it, so `set_result` does not fail later

    def run() -> None:
        try:
            future.set_result(work())
        except BaseException as error:
            future.set_exception(error)

    threading.Thread(target=run, name="check", daemon=True).start()
    async with asyncio.timeout(limit_s):
        return await asyncio.wrap_future(future)
