"""The composition root: who starts, who stops, which thread owns what.

    main      asyncio: the runner and its machine, all control sockets; the others report here with call_soon_threadsafe
    stdin     reads lines (daemon; ends with the process)
    stdout    writes lines (cli.Terminal)
    files     finds, hashes and inspects one added file after the other (host)
    bulk      file transfers, blocking; upload: those of requested songs (peer)
    settings writer, log: what is kept between runs
    clock     C, no interpreter lock: answers (host) or measures (peer)
    player, device, audio callback: see audio/player.py

They are stopped in the reverse order: the session says goodbye, then the sound ends, then the clock.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import functools
import logging
import pathlib
import secrets
import signal
import socket
import threading
from collections.abc import Callable, Coroutine, Iterator, Sequence
from types import FrameType
from typing import Any

from phaselock import _native
from phaselock.audio.device import USER_DATA_OFFSET, Device, list_outputs
from phaselock.audio.mp3 import inspect
from phaselock.audio.player import Player
from phaselock.audio.source import Mp3Source
from phaselock.desk import HostDesk, PeerDesk, Terminal
from phaselock.errors import PhaseLockError
from phaselock.intake import take_in
from phaselock.model.names import person_name
from phaselock.network import discovery
from phaselock.network.addresses import usable_addresses
from phaselock.network.advert import FoundSession
from phaselock.network.host import HostRunner
from phaselock.network.listen import bind
from phaselock.network.peer import CannotConnect, PeerRunner, connect
from phaselock.session import commands as c
from phaselock.session.effects import Ended, Event
from phaselock.session.host import HostMachine
from phaselock.session.peer import PeerMachine
from phaselock.storage import log
from phaselock.storage.cache import FileCache
from phaselock.storage.paths import cache_dir, log_path, settings_path
from phaselock.storage.settings import SettingsStore
from phaselock.sync.clock import HostClock, PeerClocks

DEFAULT_PORT = 17401
DEFAULT_DEVICE = "default"
SEARCH_S = 5.0
NOTHING_FOUND = "No session was found on this network. Joining by address works all the same: phaselock join ADDRESS"

_log = logging.getLogger("phaselock.app")


@dataclasses.dataclass(frozen=True, slots=True)
class HostOptions:
    """What `phaselock host` was asked for; None where the settings decide. `autoplay` is the number of peers to wait
    for, None: do not play."""

    files: tuple[str, ...]
    session_name: str | None
    display_name: str | None
    bind: str
    port: int | None
    clock_port: int | None
    unlisted: bool
    autoplay: int | None
    backend: str
    device: str | None


@dataclasses.dataclass(frozen=True, slots=True)
class JoinOptions:
    """What `phaselock join` was asked for; without an address the session is searched for on the network."""

    address: tuple[str, int] | None
    session_name: str | None
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


def run_sessions(timeout_s: float, terminal: Terminal) -> int:
    """List the sessions that are found on this network."""
    found = asyncio.run(discovery.find_sessions(timeout_s))
    for session in found:
        terminal.event("found", None, _found_fields(session))
    if not found:
        terminal.event("warning", None, {"message": NOTHING_FOUND})
    return 0


def run_devices(terminal: Terminal) -> int:
    """List the outputs of this machine."""
    outputs = list_outputs()
    for backend, name, is_default in outputs:
        terminal.event("output", None, {"backend": backend, "name": name, "default": is_default})
    if not outputs:
        terminal.event("warning", None, {"message": "No audio output detected."})
    return 0


def run_log(lines: int, terminal: Terminal) -> int:
    """Show where the log is, and its end."""
    path = log_path()
    found = log.tail(path, lines)
    terminal.event("log", None, {"path": str(path), "lines": found})
    return 0


def _run(session: Coroutine[Any, Any, Ended]) -> int:
    journal = log.start(log_path(), None)
    try:
        ended = asyncio.run(session)
    except asyncio.CancelledError:  # left before there was a session
        return 0
    except PhaseLockError as error:
        _log.error("%s", error)
        raise
    finally:
        journal.close()
    if ended.failed:
        raise PhaseLockError(ended.reason)
    return 0


async def _host(options: HostOptions, terminal: Terminal) -> Ended:
    for file in options.files:
        if not pathlib.Path(file).exists():
            raise PhaseLockError(f"There is no file {file}.")
    with contextlib.ExitStack() as stack:
        store = _settings(stack, terminal)
        name = _display_name(options.display_name, store)
        asked = person_name(options.session_name or "") or store.settings.session_name
        session_name = asked or f"{name}'s jam"
        wanted_port = store.settings.port if options.port is None else options.port
        wanted_clock_port = store.settings.clock_port if options.clock_port is None else options.clock_port
        listener = stack.enter_context(bind(options.bind, wanted_port, socket.SOCK_STREAM))
        clock_socket = bind(options.bind, wanted_clock_port, socket.SOCK_DGRAM)
        port, clock_port = listener.getsockname()[1], clock_socket.getsockname()[1]
        clock = HostClock(clock_socket)
        stack.callback(clock.close)
        player = _player(clock.line, name, options.backend, options.device, store)
        stack.callback(player.close)
        machine = HostMachine(
            session_name=session_name,
            host_name=name,
            clock_port=clock_port,
            token_factory=functools.partial(secrets.token_bytes, 16),
        )

        def tell(event: Event) -> None:
            desk.tell(event)
            if event.name in ("peer_joined", "peer_left"):
                announcement.set_peers(len(runner.snapshot().peers))

        runner = HostRunner(
            machine,
            player,
            clock,
            FileCache(cache_dir()),
            describe=take_in,
            now_ns=_native.now_ns,
            on_event=tell,
        )
        desk = HostDesk(runner, player, store, terminal)
        stack.enter_context(_polite_interrupts(desk.quit))
        addresses = usable_addresses(options.bind)
        address = options.bind or (addresses[0] if addresses else socket.gethostname())
        if port != DEFAULT_PORT:
            address = f"[{address}]:{port}" if ":" in address else f"{address}:{port}"
        fields = {"session_name": session_name, "host_name": name, "port": port, "clock_port": clock_port}
        terminal.event("session", _native.now_ns(), {**fields, "address": address, "addresses": list(addresses)})
        given = {"session_name": asked, "port": options.port or None, "clock_port": options.clock_port or None}
        store.update(**{setting: value for setting, value in given.items() if value})
        announcement = discovery.Announcer(
            session_name,
            name,
            runner.session_id,
            port,
            clock_port,
            () if options.unlisted else addresses,
            refresh=None if options.unlisted else functools.partial(usable_addresses, options.bind),
        )
        announcing = asyncio.create_task(_announce(announcement, address, terminal))
        terminal.listen(_on_loop(desk.line))
        if options.autoplay is not None:
            runner.command(c.Autoplay(options.autoplay))
        for file in options.files:
            desk.add(file)
        try:
            return await runner.run([listener])
        finally:
            desk.close()
            announcing.cancel()
            await asyncio.wait([announcing])
            await announcement.close()


async def _announce(announcement: discovery.Announcer, address: str, terminal: Terminal) -> None:
    try:
        await announcement.start()
    except PhaseLockError as error:
        text = f"{error} Others cannot find this session by itself; tell them: phaselock join {address}"
        _log.warning("%s", text)
        terminal.event("warning", _native.now_ns(), {"message": text})


async def _join(options: JoinOptions, terminal: Terminal) -> Ended:
    if options.clock_skew_ppm:
        _native.set_clock_skew(options.clock_skew_ppm)
    this_task = asyncio.current_task()
    assert this_task is not None
    with contextlib.ExitStack() as stack:
        store = _settings(stack, terminal)
        name = _display_name(options.display_name, store)
        with _polite_interrupts(this_task.cancel):
            control = stack.enter_context(await _reach(options))
        clock = PeerClocks(options.clock_filter)
        stack.callback(clock.stop)
        player = _player(clock.line, name, options.backend, options.device, store)
        stack.callback(player.close)
        runner = PeerRunner(
            PeerMachine(display_name=name),
            player,
            clock,
            FileCache(pathlib.Path(options.cache) if options.cache else cache_dir()),
            inspect=inspect,
            now_ns=_native.now_ns,
            on_event=lambda event: desk.tell(event),
        )
        desk = PeerDesk(runner, player, store, terminal)
        stack.enter_context(_polite_interrupts(desk.leave))
        terminal.listen(_on_loop(desk.line))
        return await runner.run(control)


async def _reach(options: JoinOptions) -> socket.socket:
    """A connection to the host at the address, or to the one that is found."""
    if options.address is not None:
        return await connect(*options.address)
    wanted = options.session_name and person_name(options.session_name).casefold()

    def fitting(sessions: Sequence[FoundSession]) -> list[FoundSession]:
        return [one for one in sessions if not wanted or one.session_name.casefold() == wanted]

    # A name is looked for until it appears; without one, all that are there shall have spoken.
    found = fitting(await discovery.find_sessions(SEARCH_S, until=lambda all_: bool(wanted and fitting(all_))))
    if len(found) > 1:
        hosts = ", ".join(f'"{one.session_name}" by {one.host_name} at {_address_of(one)}' for one in found)
        raise PhaseLockError(f"There are several sessions: {hosts}. Choose: phaselock join ADDRESS")
    if not found:
        what = f'No session called "{options.session_name}" was found.' if wanted else "No session was found."
        raise PhaseLockError(f"{what} Ask the host for its address, then: phaselock join ADDRESS")
    problem: PhaseLockError | None = None
    for address in found[0].addresses:
        try:
            return await connect(address, found[0].port)
        except CannotConnect as error:
            problem = problem or error
    raise problem or PhaseLockError("The session told no address.")


# -- parts -------------------------------------------------------------------------------------------------------------


def _settings(stack: contextlib.ExitStack, terminal: Terminal) -> SettingsStore:
    store = SettingsStore(settings_path())
    stack.callback(store.close)
    if store.warning:
        _log.warning("%s", store.warning)
        terminal.event("warning", None, {"message": store.warning})
    return store


def _player(
    line: _native.ClockLine, name: str, backend: str, device: str | None, store: SettingsStore
) -> Player:
    """The player on the output that was asked for (and nowhere else), or on the one of the settings if it is there."""
    if device is not None:
        store.update(device=None if device == DEFAULT_DEVICE else device)
    chosen = store.settings.device if device is not None or backend == "auto" else None

    def new_output(engine: _native.Engine) -> Device:
        return Device(
            engine.callback_address,
            engine.address,
            f"phaselock-{name}",
            backend,
            chosen,
            or_default=device is None,
            owner=engine,
            asked=lambda: engine.status()[:2],
        )

    _native.Engine.set_user_offset(USER_DATA_OFFSET)
    player = Player(line, new_output, lambda plan: Mp3Source(plan.path, inspect(plan.path)))
    player.set_volume(store.settings.volume)
    return player


def _display_name(wish: str | None, store: SettingsStore) -> str:
    """The name that was asked for, the last one, or the machine's."""
    if wish is None:
        return store.settings.display_name or person_name(socket.gethostname().partition(".")[0]) or "PhaseLock"
    name = person_name(wish)
    if not name:
        raise PhaseLockError("Please choose a display name.")
    store.update(display_name=name)
    return name


def _address_of(session: FoundSession) -> str:
    """What `phaselock join` takes."""
    address = session.addresses[0] if session.addresses else "?"
    if session.port == DEFAULT_PORT:
        return address
    return f"[{address}]:{session.port}" if ":" in address else f"{address}:{session.port}"


def _found_fields(session: FoundSession) -> dict[str, object]:
    return {**dataclasses.asdict(session), "full": session.full, "address": _address_of(session)}


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
