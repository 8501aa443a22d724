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
import concurrent.futures
import contextlib
import dataclasses
import errno
import functools
import math
import pathlib
import secrets
import signal
import socket
import sys
import threading
import uuid
from collections.abc import Callable, Coroutine, Iterator, Mapping
from types import FrameType
from typing import Any, Protocol

from phaselock import _native
from phaselock.audio.device import USER_DATA_OFFSET, Device, list_outputs
from phaselock.audio.mp3 import inspect
from phaselock.audio.player import Player
from phaselock.audio.source import Mp3Source
from phaselock.errors import PhaseLockError
from phaselock.model.names import person_name
from phaselock.model.types import ClockStatus, Track
from phaselock.network.host import HostRunner
from phaselock.network.peer import PeerRunner, connect
from phaselock.network.runner import Runner
from phaselock.protocol.messages import MAX_FILE_BYTES
from phaselock.session import commands as c
from phaselock.session.effects import Ended, Event
from phaselock.session.host import HostMachine
from phaselock.session.peer import PeerMachine
from phaselock.storage.cache import FileCache, hash_file
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


class Terminal(Protocol):
    """Where events go and lines come from."""

    def event(self, name: str, session_ns: int | None, fields: Mapping[str, object]) -> None: ...

    def progress(self, status: Mapping[str, object]) -> None: ...

    def listen(self, on_line: Callable[[str], None]) -> None: ...


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


class Desk:
    """Turns lines of standard input into commands, and answers each with what happened or one clear line."""

    def __init__(self, runner: Runner[Any], terminal: Terminal) -> None:
        self._runner = runner
        self._terminal = terminal
        self._words: dict[str, Callable[[str], None]] = {"queue": self._queue, "status": self._status}

    def line(self, line: str) -> None:
        """One line of input."""
        word, _, rest = line.strip().partition(" ")
        if not word:
            return
        try:
            if word not in self._words:
                raise PhaseLockError(f"Unknown command: {word}. Commands: {', '.join(sorted(self._words))}.")
            self._words[word](rest.strip())
        except PhaseLockError as error:
            self._terminal.event("error", self._runner.session_ns(), {"message": str(error)})

    def tell(self, event: Event) -> None:
        """Pass an event on."""
        self._terminal.event(event.name, event.session_ns, event.fields)
        if event.name == "sync":
            self._terminal.progress({**self._status_fields(), **event.fields})

    def _queue(self, rest: str) -> None:
        _nothing_after("queue", rest)
        rows = [
            {
                "id": str(item.id),
                "file_name": item.file_name,
                "duration_secs": round(item.duration_secs, 3),
                "added_by": item.added_by,
                "status": item.status.value,
            }
            for item in self._runner.snapshot().queue
        ]
        self._terminal.event("queue", self._runner.session_ns(), {"queue": rows, "asked": True})

    def _status(self, rest: str) -> None:
        _nothing_after("status", rest)
        self._terminal.event("status", self._runner.session_ns(), self._status_fields())

    def _status_fields(self) -> dict[str, object]:
        snapshot, session_ns = self._runner.snapshot(), self._runner.session_ns()
        fields: dict[str, object] = {
            "session_name": snapshot.session_name,
            "host_name": snapshot.host_name,
            "display_name": snapshot.display_name,
            "state": "stopped",
        }
        line = snapshot.timeline
        if line is not None:
            fields["state"] = "playing" if line.stop_session_ns is None else "paused"
            for item in snapshot.queue:
                if item.id == line.file_id:
                    fields |= {"file_name": item.file_name, "duration_s": round(item.duration_secs, 3)}
            if session_ns is not None:
                fields["position_s"] = round(line.frame_at(session_ns) / line.rate_hz, 3)
        return fields


class HostDesk(Desk):
    """The host's."""

    def __init__(self, runner: HostRunner, terminal: Terminal) -> None:
        super().__init__(runner, terminal)
        self._host = runner
        self._adding: asyncio.Queue[str] = asyncio.Queue()
        self._adder = asyncio.create_task(self._add_files())
        self._files = concurrent.futures.ThreadPoolExecutor(1, "files")
        self._words |= {
            "add": self._add,
            "play": self._plain(c.Play()),
            "pause": self._plain(c.Pause()),
            "resume": self._plain(c.Resume()),
            "stop": self._plain(c.Stop()),
            "next": self._plain(c.Next()),
            "quit": self._plain(c.Quit()),
            "seek": self._seek,
            "drop-peer": self._drop,
            "peers": self._peers,
        }

    def add(self, file: str) -> None:
        """Append a file to the queue as soon as it is read; one after the other."""
        self._adding.put_nowait(file)

    def quit(self) -> None:
        """End the session."""
        self._host.command(c.Quit())

    def close(self) -> None:
        """Add nothing any more."""
        self._adder.cancel()
        self._files.shutdown(cancel_futures=True)

    async def _add_files(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            path = pathlib.Path(await self._adding.get())
            try:
                track = await loop.run_in_executor(self._files, _track, path)
            except PhaseLockError as error:
                self._terminal.event("error", self._runner.session_ns(), {"message": str(error)})
            else:
                self._host.add(track, path)

    def _plain(self, command: c.HostCommand) -> Callable[[str], None]:
        def run(rest: str) -> None:
            _nothing_after(type(command).__name__.lower(), rest)
            self._host.command(command)

        return run

    def _add(self, rest: str) -> None:
        file = rest[1:-1] if len(rest) > 1 and rest[0] == rest[-1] and rest[0] in "\"'" else rest
        if not file:
            raise PhaseLockError("Usage: add PATH")
        try:
            self.add(str(pathlib.Path(file).expanduser()))
        except RuntimeError:
            raise PhaseLockError(f"There is no file {file}.") from None

    def _seek(self, rest: str) -> None:
        self._host.command(c.Seek(_number(rest, 0, math.inf, "Usage: seek SECONDS")))

    def _drop(self, rest: str) -> None:
        if not rest:
            raise PhaseLockError("Usage: drop-peer NAME")
        self._host.command(c.DropPeer(rest))

    def _peers(self, rest: str) -> None:
        _nothing_after("peers", rest)
        rows = [
            {
                "name": peer.name,
                "ready": peer.ready,
                "clock": "none" if not peer.clock_usable else "stale" if peer.clock_stale else "good",
                "rtt_ms": round(peer.rtt_ns / 1e6, 3),
                "phase_error_us": round(peer.phase_error_ns / 1e3, 1),
                "offset_uncertainty_us": round(peer.offset_uncertainty_ns / 1e3, 1),
                "drift_ppm": round(peer.drift_ppb / 1e3, 3),
                "output_latency_ms": round(peer.output_latency_ns / 1e6, 3),
                "device": peer.device_name,
                "underruns": peer.underruns,
            }
            for peer in self._runner.snapshot().peers
        ]
        self._terminal.event("peers", self._runner.session_ns(), {"peers": rows})

    def _status_fields(self) -> dict[str, object]:
        return super()._status_fields() | {"peers": len(self._runner.snapshot().peers)}


class PeerDesk(Desk):
    """The peer's."""

    def __init__(self, runner: PeerRunner, player: Player, terminal: Terminal) -> None:
        super().__init__(runner, terminal)
        self._peer = runner
        self._player = player
        self._words |= {"volume": self._volume, "offset": self._offset, "leave": self._leave}

    def leave(self) -> None:
        """Leave politely."""
        self._peer.command(c.Leave())

    def _leave(self, rest: str) -> None:
        _nothing_after("leave", rest)
        self.leave()

    def _volume(self, rest: str) -> None:
        self._player.set_volume(_number(rest, 0, 100, "Usage: volume 0..100") / 100)

    def _offset(self, rest: str) -> None:
        self._player.set_correction_ms(_number(rest, -2000, 2000, "Usage: offset MILLISECONDS (-2000 to 2000)"))


def _track(path: pathlib.Path) -> Track:
    """In the thread of files: what everybody has to know of a file."""
    if not path.is_file():  # reading a device or a pipe may never end
        raise PhaseLockError(f"There is no file {path}.")
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise PhaseLockError(f"{path.name} is too large to be shared.")
        sha256, size = hash_file(path)
        info = inspect(path)
    except OSError as error:
        raise PhaseLockError(f"{path.name} cannot be read: {error.strerror}.") from None
    return Track(uuid.uuid4(), path.name, size, sha256, info.rate_hz, info.frames)


def _number(text: str, low: float, high: float, usage: str) -> float:
    try:
        value = float(text)
    except ValueError:
        raise PhaseLockError(usage) from None
    if not (math.isfinite(value) and low <= value <= high):
        raise PhaseLockError(usage)
    return value


def _nothing_after(word: str, rest: str) -> None:
    if rest:
        raise PhaseLockError(f"Usage: {word}")
