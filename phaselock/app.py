"""The composition root: who starts, who stops, which thread owns what.

    main      asyncio: the runner and its machine, all control sockets; the others report here with call_soon_threadsafe
    stdin     reads lines (daemon; ends with the process)
    stdout    writes lines (cli.Terminal)
    files     hashes and inspects one added file after the other (host)
    bulk      file transfers, blocking
    clock     C, no interpreter lock: answers (host) or measures (peer)
    player, device, audio callback: see audio/player.py

They are stopped in the reverse order: the session says goodbye, then the sound ends, then the clock.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import errno
import functools
import pathlib
import secrets
import signal
import socket
import sys
import threading
from collections.abc import Callable, Coroutine, Iterator
from types import FrameType
from typing import Any

from phaselock import _native
from phaselock.audio.device import USER_DATA_OFFSET, Device, list_outputs
from phaselock.audio.mp3 import inspect
from phaselock.audio.player import Player
from phaselock.audio.source import Mp3Source
from phaselock.desk import HostDesk, PeerDesk, Terminal
from phaselock.errors import PhaseLockError
from phaselock.model.names import person_name
from phaselock.model.types import ClockStatus
from phaselock.network.host import HostRunner
from phaselock.network.peer import PeerRunner, connect
from phaselock.session import commands as c
from phaselock.session.effects import Ended
from phaselock.session.host import HostMachine
from phaselock.session.peer import PeerMachine
from phaselock.storage.cache import FileCache
from phaselock.storage.paths import cache_dir
from phaselock.sync.clock import HostClock, PeerClock

BACKLOG = 16
DEFAULT_PORT = 17401


@dataclasses.dataclass(frozen=True, slots=True)
class HostOptions:
    """What `phaselock host` was asked for. `autoplay` is the number of peers to wait for, None: do not play."""

    files: tuple[str, ...]
    session_name: str | None
    display_name: str | None
    bind: str
    port: int
    clock_port: int
    autoplay: int | None
    backend: str
    device: str | None


@dataclasses.dataclass(frozen=True, slots=True)
class JoinOptions:
    """What `phaselock join` was asked for."""

    host: str
    port: int
    display_name: str | None
    cache: str | None
    backend: str
    device: str | None
    clock_filter: str
    clock_skew_ppm: float


def run_host(options: HostOptions, terminal: Terminal) -> int:
    """Host a session until it ends; the exit status, or PhaseLockError."""
    return _run(_host(options, terminal))


def run_join(options: JoinOptions, terminal: Terminal) -> int:
    """Take part in a session until it ends; the exit status, or PhaseLockError."""
    return _run(_join(options, terminal))


def run_devices(terminal: Terminal) -> int:
    """List the outputs of this machine."""
    outputs = list_outputs()
    for backend, name, is_default in outputs:
        terminal.event("output", None, {"backend": backend, "name": name, "default": is_default})
    if not outputs:
        terminal.event("warning", None, {"message": "No audio output detected."})
    return 0


def _run(session: Coroutine[Any, Any, Ended]) -> int:
    try:
        ended = asyncio.run(session)
    except asyncio.CancelledError:  # left before there was a session
        return 0
    if ended.failed:
        raise PhaseLockError(ended.reason)
    return 0


async def _host(options: HostOptions, terminal: Terminal) -> Ended:
    name = _display_name(options.display_name)
    session_name = person_name(options.session_name or "") or f"{name}'s jam"
    for file in options.files:
        if not pathlib.Path(file).is_file():
            raise PhaseLockError(f"There is no file {file}.")
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(_bind(options.bind, options.port, socket.SOCK_STREAM))
        clock_socket = _bind(options.bind, options.clock_port, socket.SOCK_DGRAM)
        clock_port = clock_socket.getsockname()[1]
        clock = HostClock(clock_socket)
        stack.callback(clock.close)
        player = _player(clock.line, name, options.backend, options.device)
        stack.callback(player.close)
        machine = HostMachine(
            session_name=session_name,
            host_name=name,
            clock_port=clock_port,
            token_factory=functools.partial(secrets.token_bytes, 16),
        )
        runner = HostRunner(machine, player, clock, now_ns=_native.now_ns, on_event=lambda event: desk.tell(event))
        desk = HostDesk(runner, terminal)
        stack.enter_context(_polite_interrupts(desk.quit))
        port = listener.getsockname()[1]
        fields = {"session_name": session_name, "host_name": name, "port": port, "clock_port": clock_port}
        fields["address"] = (options.bind or _own_address()) + (f":{port}" if port != DEFAULT_PORT else "")
        terminal.event("session", _native.now_ns(), fields)
        terminal.listen(_on_loop(desk.line))
        if options.autoplay is not None:
            runner.command(c.Autoplay(options.autoplay))
        for file in options.files:
            desk.add(file)
        try:
            return await runner.run([listener])
        finally:
            desk.close()


async def _join(options: JoinOptions, terminal: Terminal) -> Ended:
    name = _display_name(options.display_name)
    if options.clock_skew_ppm:
        _native.set_clock_skew(options.clock_skew_ppm)
    this_task = asyncio.current_task()
    assert this_task is not None
    with _polite_interrupts(this_task.cancel):
        control = await connect(options.host, options.port)
    with contextlib.ExitStack() as stack:
        stack.enter_context(control)
        clock = PeerClocks(options.clock_filter)
        stack.callback(clock.stop)
        player = _player(clock.line, name, options.backend, options.device)
        stack.callback(player.close)
        cache = FileCache(pathlib.Path(options.cache) if options.cache else cache_dir())
        runner = PeerRunner(
            PeerMachine(display_name=name),
            player,
            clock,
            cache,
            inspect=inspect,
            now_ns=_native.now_ns,
            on_event=lambda event: desk.tell(event),
        )
        desk = PeerDesk(runner, player, terminal)
        stack.enter_context(_polite_interrupts(desk.leave))
        terminal.listen(_on_loop(desk.line))
        return await runner.run(control)


# -- parts -------------------------------------------------------------------------------------------------------------


class PeerClocks:
    """The peer's clock: one line for the player, and the thread that keeps it while there is a host to ask."""

    def __init__(self, filter_kind: str) -> None:
        self.line = _native.ClockLine()
        self._filter_kind = filter_kind
        self._clock: PeerClock | None = None

    def start(self, host_ip: str, port: int, peer_id: int) -> None:
        self.stop()
        self._clock = PeerClock(host_ip, port, peer_id, self._filter_kind, self.line)

    def stop(self) -> None:
        if self._clock:
            self._clock.close()
            self._clock = None

    def status(self, now_ns: int) -> ClockStatus | None:
        return self._clock.status(now_ns) if self._clock else None

    def session_from_local(self, local_ns: int) -> int:
        return self.line.session_from_local(local_ns)


def _player(line: _native.ClockLine, name: str, backend: str, device: str | None) -> Player:
    def new_output(engine: _native.Engine) -> Device:
        return Device(
            engine.callback_address,
            engine.address,
            f"phaselock-{name}",
            backend,
            device,
            owner=engine,
            asked=lambda: engine.status()[:2],
        )

    _native.Engine.set_user_offset(USER_DATA_OFFSET)
    return Player(line, new_output, lambda plan: Mp3Source(plan.path, inspect(plan.path)))


def _bind(address: str, port: int, kind: socket.SocketKind) -> socket.socket:
    """A bound socket, listening if it is of TCP; for no address in particular it serves IPv4 and IPv6."""
    where = f"{address}, port {port}" if address else f"port {port}"
    try:
        families = socket.getaddrinfo(address or "0.0.0.0", port, type=kind, flags=socket.AI_PASSIVE)
    except (socket.gaierror, UnicodeError):
        raise PhaseLockError(f"{address} is no address of this machine.") from None
    family, target = families[0][0], families[0][4]
    if not address and socket.has_dualstack_ipv6():
        with contextlib.suppress(_NoSuchAddress):
            return _bind_to(socket.AF_INET6, ("::", port), kind, where)
    try:
        return _bind_to(family, target, kind, where)
    except _NoSuchAddress:
        raise PhaseLockError(f"{address} is no address of this machine.") from None


class _NoSuchAddress(Exception):
    """This machine has no such address."""


def _bind_to(family: int, target: tuple[Any, ...], kind: socket.SocketKind, where: str) -> socket.socket:
    sock = socket.socket(family, kind)
    try:
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, int(target[0] != "::"))
        if kind == socket.SOCK_STREAM:
            if hasattr(socket, "SO_EXCLUSIVEADDRUSE"):
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_EXCLUSIVEADDRUSE, 1)
            else:  # elsewhere this only allows a port whose last connections are still closing
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(target)
        if kind == socket.SOCK_STREAM:
            sock.listen(BACKLOG)
            sock.setblocking(False)
        return sock
    except OSError as error:
        sock.close()
        # Windows denies access to a port that somebody else has for himself.
        if error.errno == errno.EADDRINUSE or (sys.platform == "win32" and error.errno == errno.EACCES):
            message = f"Port {target[1]} is in use. Please close the other application or change the port."
            raise PhaseLockError(message) from None
        if error.errno in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT):
            raise _NoSuchAddress from None
        raise PhaseLockError(f"Cannot listen on {where}: {error.strerror}.") from None


def _own_address() -> str:
    """The address of this machine that others most likely reach."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        try:
            sock.connect(("192.0.2.1", 9))  # sends nothing; only asks which way a packet would leave (RFC 5737)
        except OSError:
            return socket.gethostname()
        return str(sock.getsockname()[0])


def _display_name(wish: str | None) -> str:
    name = person_name(socket.gethostname().partition(".")[0] if wish is None else wish)
    if not name:
        raise PhaseLockError("Please choose a display name.")
    return name


def _on_loop(on_line: Callable[[str], None]) -> Callable[[str], None]:
    """The same function, to be called from any other thread, which then waits: lines do not pile up."""
    loop = asyncio.get_running_loop()

    def call(line: str) -> None:
        taken = threading.Event()

        def take() -> None:
            try:
                on_line(line)
            finally:
                taken.set()

        with contextlib.suppress(RuntimeError):  # the loop is closed: too late
            loop.call_soon_threadsafe(take)
            taken.wait()

    return call


@contextlib.contextmanager
def _polite_interrupts(leave: Callable[[], object]) -> Iterator[None]:
    """The first Ctrl-C or SIGTERM calls `leave` on the loop; a second one is not polite."""
    loop = asyncio.get_running_loop()
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def restore() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)

    def on_signal(number: int, frame: FrameType | None) -> None:
        restore()
        loop.call_soon_threadsafe(leave)

    for number in before:
        signal.signal(number, on_signal)
    try:
        yield
    finally:
        restore()


# -- what people ask for -----------------------------------------------------------------------------------------------
