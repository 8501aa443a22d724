"""`phaselock doctor`: find the problems that may keep this machine from taking part, and say how to fix them.

Each check is a function: it gets its inputs as arguments and returns findings. A check that may hang runs on its own
thread, with a time limit; a thread that hangs is left behind.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import importlib.util
import ipaddress
import itertools
import os
import pathlib
import platform
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Literal

from phaselock import __version__, _native
from phaselock.audio.device import USER_DATA_OFFSET, Device
from phaselock.audio.priority import NO_ANSWER, Priority
from phaselock.console.events import Finding, FindingTold, Level
from phaselock.console.output import Screen
from phaselock.errors import PhaseLockError, message_of
from phaselock.frozen import frozen
from phaselock.language.message import N_, Figure, Message
from phaselock.model.address import DEFAULT_OUTSIDE_PORT, DEFAULT_PORT
from phaselock.model.timing import TIMING_SENTENCES, Timing
from phaselock.network import discovery, interfaces
from phaselock.network.interfaces import Adapter
from phaselock.network.listener import PortTaken, bind
from phaselock.network.reach import connect
from phaselock.network.service_record import FoundSession
from phaselock.os_packages import tk_advice
from phaselock.python_process import python_command
from phaselock.storage import settings
from phaselock.storage.cache import FileCache
from phaselock.storage.paths import cache_dir, log_path, settings_path
from phaselock.tools import advice, outside, way
from phaselock.tools.in_time import in_time
from phaselock.tools.probe import ClockProbe

LOCAL_LIMIT_S = 6.0
"""Time limit of each check of this machine, in seconds."""
TIMEOUT_WINDOW_S = 5.0
"""How long the window may take to open: it ends before the check is given up."""
LISTEN_S = 3.0
SOUND_S = 0.5
FIRST_SOUND_S = 3.0
LOOK_S = 0.05

LITTLE_ROOM_BYTES = 200 << 20
LATE_MS = 150.0


# -- this machine ------------------------------------------------------------------------------------------------------


def check_program() -> list[Finding]:
    """The versions of PhaseLock and Python, and the system."""
    values = {"version": __version__, "python": platform.python_version(), "system": platform.system()}
    return [Finding("program", "ok", Message("PhaseLock {version} on Python {python}, {system}.", **values))]


WindowTrouble = Literal["no customtkinter", "no tk", "no screen", "no answer"]
_NO_TK_STATUS = 3
"""Exit status of the process that tries to open a window, if Python has no Tk."""
_OPEN_A_WINDOW = f"""
import sys
try:
    import tkinter
except ModuleNotFoundError:
    sys.exit({_NO_TK_STATUS})
tkinter.Tk().destroy()
"""


def check_window(ask: Callable[[], WindowTrouble | None]) -> list[Finding]:
    """Check the window. `ask` tries to open one and returns the reason of a failure; None after a success."""
    trouble = ask()
    if trouble is None:
        return [Finding("window", "ok", Message("A window can be opened."))]
    fix = Message("")
    if trouble == "no customtkinter":
        message = Message(
            "There can be no window, for customtkinter is missing; phaselock host and phaselock join do without."
        )
        fix = Message("Install it: pip install customtkinter")
    elif trouble == "no tk":
        message = Message("There can be no window, for Python lacks Tk; phaselock host and phaselock join do without.")
        fix = tk_advice()
    elif trouble == "no answer":
        message = Message(
            "A window does not open in time: the system does not answer; phaselock host and phaselock join do without."
        )
    else:
        message = Message("There is no screen for a window; phaselock host and phaselock join do without.")
    return [Finding("window", "hint", message, fix)]


def try_window(code: str = _OPEN_A_WINDOW, timeout_s: float = TIMEOUT_WINDOW_S) -> WindowTrouble | None:
    """Try to open a window. Return the reason of a failure; None after a success. `code` runs in another process,
    because Tk may hang or end the program. PhaseLockError if no process can be started."""
    if importlib.util.find_spec("customtkinter") is None:
        return "no customtkinter"
    # No pipes: on Windows, `run` would wait without a limit for other processes that have inherited them.
    quiet = subprocess.DEVNULL
    try:
        done = subprocess.run(python_command("-c", code), stdin=quiet, stdout=quiet, stderr=quiet, timeout=timeout_s)
    except subprocess.TimeoutExpired:
        return "no answer"
    if done.returncode == _NO_TK_STATUS:
        return "no tk"
    return "no screen" if done.returncode else None


@frozen
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
        return [Finding("output", "problem", error.message, advice.for_platform(advice.OUTPUT))]
    if heard.backend == "null" or not heard.callbacks:
        return [_latency(heard)]
    return [_latency(heard), check_priority(heard.priority)]


def _latency(heard: Heard) -> Finding:
    if heard.backend == "null":
        return Finding("output", "hint", Message("There is no output: null plays into the void."))
    values = {"output": f"{heard.name} ({heard.backend}, {heard.rate_hz} Hz)"}
    if not heard.callbacks:
        message = Message("The output {output} opens, but takes no sound.", **values)
        return Finding("output", "problem", message, advice.for_platform(advice.OUTPUT))
    by_ear = Message("If this machine is heard late, correct it while it plays: offset MILLISECONDS")
    if heard.latency_ns is None or heard.timing == "unknown":
        message = Message("The output {output} works.", **values)
        message = Message.joined(" ", (message, Message(TIMING_SENTENCES["unknown"])))
        return Finding("output", "hint", message, by_ear, {"timing": "unknown", "latency_ms": None})
    latency_ms = heard.latency_ns / 1e6
    values["latency"] = Figure(latency_ms, ".0f")
    figures = {"timing": heard.timing, "latency_ms": round(latency_ms, 3)}
    if heard.timing == "told":
        message = Message("The output {output} works and is about {latency} ms late, which is allowed for.", **values)
        message = Message.joined(" ", (message, Message(TIMING_SENTENCES["told"])))
        return Finding("output", "hint", message, by_ear, figures)
    message = Message("The output {output} works and is {latency} ms late, which is allowed for.", **values)
    if latency_ms <= LATE_MS:
        return Finding("output", "ok", message, figures=figures)
    fix = Message(
        "Bluetooth loudspeakers often hide more than they tell. A cable is exact; or by ear: offset MILLISECONDS"
    )
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
        values = {"port": number, "protocol": "TCP" if kind == socket.SOCK_STREAM else "UDP"}
        try:
            bind(bind_address, number, kind).close()
            message = Message("Port {port} ({protocol}) is free to host on.", **values)
            findings.append(Finding(id_, "ok", message))
        except PortTaken:
            if session_name := occupant(port):
                message = Message(
                    'Port {port} ({protocol}) is used by the jam "{session_name}" on this machine.',
                    **values,
                    session_name=session_name,
                )
                findings.append(Finding(id_, "ok", message))
            else:
                message = Message("Port {port} ({protocol}) is used by another program.", **values)
                findings.append(Finding(id_, "problem", message, advice.CHANGE_PORTS))
        except PhaseLockError as error:
            findings.append(Finding(id_, "problem", error.message, advice.CHANGE_PORTS))
    return findings


async def session_at(port: int) -> str:
    """The name of the session on this TCP port of this machine; empty if there is none."""
    with contextlib.suppress(PhaseLockError):
        visitor = ClockProbe(await connect("127.0.0.1", port, way.CONNECT_LIMIT_S))
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
    message = Message("The firewall {name} is on; it may keep others out of a jam that is hosted here.", name=name)
    return Finding("firewall", "hint", message, Message("To let them in: {command}", command=command))


def check_network(found: Sequence[Adapter], default_route: Collection[str]) -> list[Finding]:
    """Check that this machine has an address that other computers can reach. Tell its overlay networks. Hint at a VPN
    and at a provider's address."""
    usable = interfaces.rank(found, default_route)
    if not usable:
        return [Finding("network", "problem", Message("This machine is in no network."), advice.JOIN_NETWORK)]
    ips = [ipaddress.ip_address(text) for text in usable]
    if all(ip.is_link_local for ip in ips):
        message = Message(
            "No router has given this machine an address; it has only {address}, which it made up.", address=usable[0]
        )
        normal = Message("Between two machines on one cable this is normal.")
        return [Finding("network", "hint", message, Message.joined(" ", (advice.JOIN_NETWORK, normal)))]
    addresses = functools.reduce(lambda some, one: Message("{some} or {one}", some=some, one=one), usable)
    findings = [Finding("network", "ok", Message("Others reach this machine at {addresses}.", addresses=addresses))]
    for overlay, ours in itertools.groupby(interfaces.overlay_addresses(found, default_route), lambda one: one.overlay):
        values = {"overlay": overlay, "address": next(ours).address}
        message = Message(
            "{overlay} is on: friends in the same {overlay} network reach this machine at {address}.", **values
        )
        findings.append(Finding("overlay", "ok", message))
    if tunnels := interfaces.tunnels(found, default_route):
        message = Message("A VPN is on ({names}).", names=", ".join(tunnels))
        fix = Message(
            "If others cannot be found or reached, switch it off, or allow local network access in its settings."
        )
        findings.append(Finding("vpn", "hint", message, fix))
    elif interfaces.in_carrier_network(found):
        message = Message("An address of this machine is a provider's own; others in the room may not reach it.")
        findings.append(Finding("carrier", "hint", message, advice.JOIN_NETWORK))
    return findings


def check_discovery(heard_itself: bool, sessions: Sequence[FoundSession]) -> list[Finding]:
    """The findings of a discovery test: `heard_itself` is True if our own announcement was received."""
    if not heard_itself:
        message = Message("What this machine announces does not come back to it: jams will not be found by themselves.")
        fix = Message(
            "See whether the Wi-Fi or the cable is connected, and let UDP port 5353 (mDNS) through the firewall.\n"
            "By address it works all the same: phaselock join ADDRESS"
        )
        return [Finding("discovery", "problem", message, fix)]
    findings = [Finding("discovery", "ok", Message("Announcing and finding jams works on this machine."))]
    for one in sessions:
        where: str = one.addresses[0]
        if one.port != DEFAULT_PORT:
            where = Message("{address}, port {port}", address=where, port=one.port)
        values = {"session_name": one.session_name, "host_name": one.host_name, "address": where}
        message = Message('Found: "{session_name}" by {host_name} at {address}.', **values)
        findings.append(Finding("session", "ok", message))
    return findings


async def try_discovery() -> tuple[list[Finding], Sequence[FoundSession]]:
    """Announce a test service and search. Return the findings of check_discovery, and the sessions found."""
    try:
        async with asyncio.timeout(LOCAL_LIMIT_S):
            heard_itself, sessions = await discovery.try_out(LISTEN_S)
    except PhaseLockError as error:
        fix = Message("Until then, join by address: phaselock join ADDRESS")
        return [Finding("discovery", "problem", error.message, fix)], ()
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
            values = {"content": what, "folder": folder, "reason": message_of(error)}
            message = Message("PhaseLock cannot keep {content} in {folder} ({reason}).", **values)
            fix = Message(
                "Make {folder} writable for yourself, or set PHASELOCK_HOME to a folder that is.", folder=place
            )
            findings.append(Finding("folder", "problem", message, fix))
    contents = Message.joined(", ", folders)
    return findings or [Finding("folder", "ok", Message("The folders for {contents} are writable.", contents=contents))]


def try_writing(folder: pathlib.Path) -> None:
    """Create a temporary file in the folder and remove it. OSError if that fails."""
    with tempfile.TemporaryFile(dir=folder) as file:
        file.write(b"x")


def check_room(room_bytes: int) -> list[Finding]:
    """Check the free space for received songs, in bytes."""
    if room_bytes < LITTLE_ROOM_BYTES:
        message = Message(
            "The disk has room for {megabytes} MB of songs only.", megabytes=Figure(room_bytes / 1e6, ".0f")
        )
        fix = Message("Delete something, or join with --cache DIR on another disk.")
        return [Finding("room", "problem", message, fix)]
    message = Message("The disk has room for {gigabytes} GB of songs.", gigabytes=Figure(room_bytes / 1e9, ".1f"))
    return [Finding("room", "ok", message)]


def check_settings(warning: str | None) -> list[Finding]:
    """Report the warning of reading the settings; None if there was none."""
    return [Finding("settings", "hint", warning)] if warning else []


# -- all of it ---------------------------------------------------------------------------------------------------------


def run_doctor(
    address: tuple[str, int] | None,
    backend: str,
    device: str | None,
    screen: Screen,
    code: str = "",
    *,
    asks_router: bool = True,
) -> int:
    """Check this machine and the connection to the session at `address`. None: to the first session found, without
    measuring. `code` is that of the session. `asks_router`: let the router open two ports for a moment. Return the exit
    status: 0 if there is no problem, else 1."""
    return asyncio.run(_run(address, backend, device, screen, code, asks_router))


async def _run(
    address: tuple[str, int] | None,
    backend: str,
    device: str | None,
    screen: Screen,
    code: str,
    asks_router: bool,
) -> int:
    told: list[str] = []

    def tell(findings: Sequence[Finding]) -> None:
        for one in findings:
            told.append(one.level)
            screen.event(FindingTold(None, one))

    kept, warning = settings.load(settings_path())
    wished = None if device == "default" else device or (kept.device if backend == "auto" else None)
    real = "null" if backend == "virtual" else backend
    folders: dict[str, pathlib.Path] = {
        Message("songs"): cache_dir(),
        Message("settings"): settings_path().parent,
        Message("the log"): log_path().parent,
    }
    screen.show(Message("Looking at this machine ..."))
    searching = asyncio.create_task(try_discovery())
    checks = [
        _checked(N_("window"), lambda: check_window(try_window)),
        _checked(N_("output"), lambda: check_output(lambda: listen_to_output(real, wished, or_default=device is None))),
        _checked(
            N_("port"), lambda: check_ports(kept.port, kept.clock_port, lambda port: asyncio.run(session_at(port)))
        ),
        _checked(N_("firewall"), lambda: check_firewall(pathlib.Path("/"), kept.port, kept.clock_port)),
        _checked(N_("network"), lambda: check_network(interfaces.adapters(), interfaces.default_route_addresses())),
        _checked(N_("folder"), lambda: check_folders(folders, try_writing)),
        _checked(N_("room"), lambda: check_room(FileCache(cache_dir()).room_bytes())),
    ]
    if asks_router:
        checks.append(_checked(N_("router"), lambda: _check_router(kept.clock_port), outside.LIMIT_S))
    tell([*check_program(), *check_settings(warning)])
    for findings in await asyncio.gather(*checks):
        tell(findings)
    screen.show(Message("Looking for jams ..."))
    findings, sessions = await searching
    tell(findings)
    to_host = None
    if address:
        screen.show(Message("Measuring the way to {address} ...", address=address[0]))
        to_host = way.check_way([address[0]], address[1], sessions, measure=True, code=code)
    elif sessions:
        to_host = way.check_way(sessions[0].addresses, sessions[0].port, sessions, measure=False)
    if to_host:
        async for one in to_host:
            tell([one])
    screen.say(summary(told))
    if not address and sessions and "problem" not in told:
        where = sessions[0].addresses[0]
        screen.say(Message("To measure the way to a jam: phaselock doctor {address}", address=where))
    return int("problem" in told)


def summary(levels: Sequence[str]) -> Message:
    """The last line of the output, from the levels of all findings."""
    problems, hints = levels.count("problem"), levels.count("hint")
    if not problems:
        return Message("No problem was found; see the hints above.") if hints else Message("No problem was found.")
    return Message.plural("One problem was found.", "{number} problems were found.", problems)


def _check_router(clock_port: int) -> list[Finding]:
    overlays = interfaces.overlay_addresses(interfaces.adapters(), interfaces.default_route_addresses())
    return outside.check_outside(outside.ask_router(), overlays, DEFAULT_OUTSIDE_PORT, clock_port)


async def _checked(id_: str, check: Callable[[], list[Finding]], limit_s: float | None = None) -> list[Finding]:
    """The findings of a check that may hang or raise any exception: both become a finding. `id_` is a message id, too:
    the name of the check for users. It may take LOCAL_LIMIT_S if there is no `limit_s`."""
    try:
        findings: list[Finding] = await in_time(limit_s or LOCAL_LIMIT_S, check)
        return findings
    except TimeoutError:
        message = Message("The check of the {check} took too long: the system does not answer.", check=Message(id_))
        return [Finding(id_, "problem", message)]
    except Exception as error:  # a failed check must not prevent the other checks
        values = {"check": Message(id_), "reason": message_of(error)}
        return [Finding(id_, "hint", Message("The {check} could not be checked ({reason}).", **values))]
