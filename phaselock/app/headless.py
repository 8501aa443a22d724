"""The commands that run without a window: host, join, sessions, devices and log.

The threads of a session:

    main      the asyncio loop: runner, session and all control sockets. Other threads report with call_soon_threadsafe
    stdin     reads lines, or on a terminal draws the line of input; a daemon thread that ends with the process
    stdout    writes lines (console.output.Terminal)
    media keys answers the desktop (desktop/controls.py); only where there is one
    files     host: finds, hashes and inspects the added files, one after the other
    library   host: searches in the music folder (app/library.py); "music folder" waits for the process that reads it
    look      host: decodes the songs of the queue, one after the other, for their loudness (app/analyser.py)
    router mapping reads what the process says that talks to the router (app/invitation.py, app/call_back.py)
    bridge    reads what the process says that leads over relays (app/bridge.py)
    bulk      file transfers, which block
    upload    peer: uploads of requested songs, which block
    settings writer, log: write the settings and the log file
    clock     in C, without the interpreter lock: answers pings (host) or measures (peer)
    player, device, audio callback: see audio/player.py

At the end the session says goodbye first, then the clock stops, then the sound.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import logging
import pathlib
import signal
import socket
import threading
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from types import FrameType
from typing import Any

from phaselock import _native
from phaselock.app import memory
from phaselock.app.finding import address_of, rivals_text
from phaselock.app.host_shell import HostShell
from phaselock.app.media_controls import Actions, MediaControls
from phaselock.app.options import HostOptions, JoinOptions
from phaselock.app.peer_shell import PeerShell
from phaselock.app.session import OpenHostSession, OpenPeerSession, Stage
from phaselock.app.succession import take_part
from phaselock.app.typed import Completed
from phaselock.audio import priority
from phaselock.audio.device import list_outputs
from phaselock.console import events as ce
from phaselock.console.input_help import Typing
from phaselock.console.interrupts import handling
from phaselock.console.output import Terminal
from phaselock.console.secret import ask_code, can_ask
from phaselock.errors import PhaseLockError, message_of
from phaselock.frozen import frozen
from phaselock.language.catalogue import tr
from phaselock.language.message import N_, Message
from phaselock.model.address import DEFAULT_GUEST_PORT
from phaselock.model.code import CODE_RULE, normal_code
from phaselock.model.notices import Code, Notice
from phaselock.network import discovery
from phaselock.network.listener import PortTaken
from phaselock.session import commands as c
from phaselock.session import events as e
from phaselock.session.effects import Ended
from phaselock.session.sentences import QUIT_HINT, NoticeError, notice_text
from phaselock.storage import log
from phaselock.storage.paths import log_path, settings_path, typed_lines_path
from phaselock.storage.settings import SettingsStore
from phaselock.storage.typed_lines import TypedLines

LOG_PATIENCE_S = 0.5
"""How long the start waits for the log file, in seconds, to report that it cannot be written."""

_log = logging.getLogger("phaselock.app.headless")


@frozen
class LocalClock:
    """An artificial error of this process's clock, for several programs on one computer that simulate several."""

    skew_ppm: float
    ahead_ns: int

    def set(self) -> None:
        """Apply the error. Call this before any code reads the clock."""
        _native.set_clock_skew(self.skew_ppm, self.ahead_ns)


@frozen
class HeadlessHostOptions:
    """Options of `phaselock host`. `autoplay` is the number of peers to wait for before playing; None: do not play."""

    wish: HostOptions
    files: tuple[str, ...]
    autoplay: int | None
    clock: LocalClock
    desktop: bool = True
    """Whether media keys control the session, and requests are notified."""
    guests: bool = False
    """Whether the page for guests is on from the beginning."""
    fallback: str | None = None
    """The folder or playlist that plays when nothing else waits; None: as last time, empty: none."""
    shows_code: bool = False
    """Whether the code is told when the session opens: the program has made it."""
    invites: bool = False
    """Whether an invitation for friends elsewhere is opened at the beginning."""


@frozen
class HeadlessJoinOptions:
    """Options of `phaselock join`."""

    wish: JoinOptions
    clock: LocalClock
    desktop: bool = True


def run_host(options: HeadlessHostOptions, terminal: Terminal) -> int:
    """Host a session until it ends. Return the exit status. PhaseLockError if the session cannot start or fails."""
    options.clock.set()
    return _run(_host(options, terminal), terminal)


def run_join(options: HeadlessJoinOptions, terminal: Terminal) -> int:
    """Take part in a session until it ends. Return the exit status. PhaseLockError if joining or the session fails."""
    options.clock.set()
    while True:
        try:
            return _run(_join(options, terminal), terminal)
        except NoticeError as error:
            if error.notice.code not in (Code.CODE_NEEDED, Code.CODE_WRONG) or not (terminal.for_people and can_ask()):
                raise
            terminal.say(Message(notice_text(error.notice)))
            if not (code := _typed_code(terminal)):
                raise
            options = dataclasses.replace(options, wish=dataclasses.replace(options.wish, code=code))


def _typed_code(terminal: Terminal) -> str:
    """The code that the user types; empty if there is no terminal, or the user gives up."""
    while text := ask_code(tr("Code: ")):
        if code := normal_code(text):
            return code
        terminal.say(Message(CODE_RULE))
    return ""


def run_sessions(timeout_s: float, terminal: Terminal) -> int:
    """Search this network for `timeout_s` and list the sessions found. Return the exit status. PhaseLockError if
    searching is impossible."""
    terminal.show(Message("Looking for jams on this network…"))
    found = asyncio.run(discovery.find_sessions(timeout_s))
    for session in found:
        fields = {field.name: getattr(session, field.name) for field in dataclasses.fields(session)}
        del fields["rivals"]
        terminal.event(ce.SessionFound(None, **fields, full=session.full, address=address_of(session)))
        if conflict := rivals_text(session):
            terminal.event(e.Warned(None, Notice(Code.RIVAL_HOSTS, conflict)))
    if not found:
        terminal.event(e.Warned(None, Notice(Code.NO_SESSION_FOUND)))
    return 0


def run_devices(terminal: Terminal) -> int:
    """List the audio outputs of this machine, and the priority that the system grants to our audio thread. Return the
    exit status."""
    outputs = list_outputs()
    for one in outputs:
        terminal.event(ce.OutputListed(None, one.backend, one.name, one.is_default, one.timing, one.link))
    if not outputs:
        terminal.event(e.Warned(None, Notice(Code.NO_OUTPUT)))
    elif found := priority.try_out():
        terminal.event(ce.PriorityTold(None, found.level, found.sentence, found.advice))
    return 0


def run_log(lines: int, terminal: Terminal) -> int:
    """Show the path of the log file and its last `lines` lines. Return the exit status. PhaseLockError if it cannot be
    read."""
    path = log_path()
    try:
        found = log.tail(path, lines)
    except FileNotFoundError:
        found = [Message("Nothing has been logged yet.")] if lines else []
    except OSError as error:
        raise PhaseLockError("The log {path} cannot be read: {reason}.", path=path, reason=message_of(error)) from None
    terminal.event(ce.LogShown(None, str(path), tuple(found)))
    return 0


def _run(session: Coroutine[Any, Any, Ended], terminal: Terminal) -> int:
    memory.limit()
    journal = log.start(log_path(), None)
    if journal.wait_flushed(LOG_PATIENCE_S) and journal.problem:
        terminal.event(e.Warned(None, Notice(Code.LOG_TROUBLE, journal.problem)))
    try:
        ended = asyncio.run(session)
    except asyncio.CancelledError as error:  # interrupted before the session was open
        return 128 + signal.SIGINT if error.args == (signal.SIGINT,) else 0
    except PhaseLockError as error:
        _log.error("%s", error)
        raise
    finally:
        journal.close()
    if ended.failed:
        raise NoticeError(ended.reason)
    return 0


class _Part:
    """One machine's part in a session, on a terminal. `begin` is called with the shell of a host that opens one."""

    def __init__(
        self,
        wish: HostOptions | JoinOptions,
        store: SettingsStore,
        terminal: Terminal,
        *,
        desktop: bool,
        begin: Callable[[HostShell, OpenHostSession], Awaitable[None]] | None = None,
    ) -> None:
        self._wish = wish
        self._store = store
        self._terminal = terminal
        self._desktop = desktop
        self._begin = begin
        self._desk: HostShell | PeerShell | None = None
        self._controls: MediaControls | None = None
        self._listening = False

    async def play(self, give_up: Callable[[int], object]) -> Ended:
        """Take part until the session ends here. Until it is open, an interrupt calls `give_up`."""
        self._interrupts = contextlib.ExitStack()
        with self._interrupts:
            self._interrupts.enter_context(_polite_interrupts(give_up))
            try:
                return await take_part(self._wish, self._store, self._tell, self._present)
            finally:
                if self._controls is not None:
                    await self._controls.aclose()

    def _tell(self, event: e.Event) -> None:
        if self._desk is None or self._controls is None:  # about the way to the host
            self._terminal.event(event)
            return
        self._desk.tell(event)
        self._controls.tell(event)
        if isinstance(event, e.Joined):  # before, the terminal may be needed to ask for the code
            self._listen()

    async def _present(self, stage: Stage) -> None:
        before, self._desk = self._desk, self._shell(stage)
        if before is not None:
            self._desk.follow(before)
        if self._controls is None:
            actions = Actions(self._end, notifies=lambda: self._hosts and self._terminal.for_people)
            self._controls = MediaControls(stage, self._store, actions, on=self._desktop)
            self._interrupts.close()
            self._interrupts.enter_context(_polite_interrupts(lambda _: self._end()))
        else:
            self._controls.use(stage)
        if before is None and self._begin is not None and isinstance(stage, OpenHostSession):
            assert isinstance(self._desk, HostShell)
            await self._begin(self._desk, stage)
            self._listen()

    def _shell(self, stage: Stage) -> HostShell | PeerShell:
        def address() -> str:
            return stage.address

        if isinstance(stage, OpenPeerSession):
            return PeerShell(stage.runner, stage.player, stage.correction, self._store, self._terminal, address)
        desk = HostShell(
            stage.runner,
            stage.intake,
            stage.player,
            stage.correction,
            self._store,
            self._terminal,
            address,
            stage.music,
        )
        desk.guest_page, desk.fallback, desk.outside = stage.guest_page, stage.fallback, stage.outside
        return desk

    @property
    def _hosts(self) -> bool:
        return isinstance(self._desk, HostShell)

    def _end(self) -> None:
        if self._desk is not None:
            self._desk.leave()

    def _listen(self) -> None:
        """Take lines from now on."""
        if self._listening:
            return
        self._listening = True
        start = (
            N_("Type play to begin, or help for all commands. Tab completes what you type.")
            if self._hosts
            else N_("Type help for all commands. Tab completes what you type.")
        )
        typing = Typing(TypedLines(typed_lines_path()), self._completions, tr(start), self._end_hint)
        self._terminal.listen(_on_loop(self._line), typing)

    def _line(self, line: str) -> None:
        if self._desk is not None:
            self._desk.line(line)

    def _completions(self, before: str) -> list[Completed]:
        return self._desk.completions(before) if self._desk is not None else []

    def _end_hint(self) -> str:
        return tr(QUIT_HINT if self._hosts else N_("To leave the jam, type leave."))


async def _host(options: HeadlessHostOptions, terminal: Terminal) -> Ended:
    for file in (*options.files, *filter(None, (options.fallback,))):
        if not pathlib.Path(file).exists():
            raise NoticeError(Notice(Code.NO_FILE, file_name=file))

    async def begin(desk: HostShell, stage: OpenHostSession) -> None:
        names, ports = (stage.session_name, stage.host_name), (stage.port, stage.clock_port)
        shown, needs_code = options.wish.code if options.shows_code else "", bool(options.wish.code)
        where = stage.address, stage.addresses
        terminal.event(
            e.SessionOpened(stage.runner.session_ns(), *names, *ports, *where, stage.host_words, shown, needs_code)
        )
        if options.guests:
            await stage.guest_page.switch_on()
        if options.invites:
            desk.line("invite")
        if options.autoplay is not None:
            stage.runner.command(c.Autoplay(options.autoplay))
        if options.fallback == "":
            store.update(fallback="")
        elif fallback := options.fallback or store.settings.fallback:
            stage.fallback.use([fallback])
        for file in options.files:
            stage.intake.take([file])

    with _settings(terminal) as store, _naming_the_option(options.wish):
        places = options.wish.max_peers or store.settings.max_peers
        if options.autoplay is not None and options.autoplay > places:
            raise PhaseLockError(
                "The jam has {places} places, so it cannot wait for {number} peers. More places: {option} {number}",
                places=places,
                number=options.autoplay,
                option="--max-peers",
            )
        part = _Part(options.wish, store, terminal, desktop=options.desktop, begin=begin)
        return await part.play(_cancel_this_task())


async def _join(options: HeadlessJoinOptions, terminal: Terminal) -> Ended:
    if not options.wish.places:
        name = options.wish.session_name
        named = Message('Looking for the jam "{session_name}" on this network…', session_name=name)
        terminal.say(named if name else Message("Looking for a jam on this network…"))
    with _settings(terminal) as store:
        part = _Part(options.wish, store, terminal, desktop=options.desktop)
        return await part.play(_cancel_this_task())


def _cancel_this_task() -> Callable[[int], object]:
    this_task = asyncio.current_task()
    assert this_task is not None
    return this_task.cancel


@contextlib.contextmanager
def _naming_the_option(wish: HostOptions) -> Iterator[None]:
    """Add the option for another port to the error about a port in use. If the user has chosen no port, both are
    advised: a second session on this machine needs two."""
    try:
        yield
    except PortTaken as error:
        option = "--port" if error.kind == socket.SOCK_STREAM else "--clock-port"
        if error.port == (wish.guest_port or DEFAULT_GUEST_PORT):
            option = "--guest-port"
        advice = Message("Any free port: {option} 0", option=option)
        if option != "--guest-port" and wish.port is None and wish.clock_port is None:
            advice = Message("Any free ports: {options}", options="--port 0 --clock-port 0")
        raise PhaseLockError(Message.joined(" ", (error.message, advice))) from None


@contextlib.contextmanager
def _settings(terminal: Terminal) -> Iterator[SettingsStore]:
    """The settings, on the running loop. Trouble with them is told."""
    loop = asyncio.get_running_loop()

    def tell(problem: Message) -> None:
        _log.warning("%s", problem)
        terminal.event(e.Warned(None, Notice(Code.SETTINGS_TROUBLE, problem)))

    store = SettingsStore(settings_path(), lambda problem: loop.call_soon_threadsafe(tell, problem))
    if store.warning:
        tell(store.warning)
    if store.settings.audible_volume == 0:
        terminal.event(e.Warned(None, Notice(Code.MUTED)))
    try:
        yield store
    finally:
        store.close()


def _on_loop(on_line: Callable[[str], None]) -> Callable[[str], None]:
    """A function for another thread: it calls `on_line` on this loop and waits until the call returns. Waiting limits
    the queue to one line."""
    loop = asyncio.get_running_loop()

    def call(line: str) -> None:
        taken = threading.Event()

        def take() -> None:
            try:
                on_line(line)
            finally:
                taken.set()

        with contextlib.suppress(RuntimeError):  # the loop is closed already
            loop.call_soon_threadsafe(take)
            taken.wait()

    return call


@contextlib.contextmanager
def _polite_interrupts(leave: Callable[[int], object]) -> Iterator[contextlib.ExitStack]:
    """Within the block, the first signal that asks the program to end calls `leave` on the loop with its number; a
    second one has its usual effect. Closing the returned stack restores the usual effect before the block ends."""
    loop = asyncio.get_running_loop()

    def on_signal(number: int, frame: FrameType | None) -> None:
        stack.close()
        loop.call_soon_threadsafe(leave, number)

    with contextlib.ExitStack() as stack:
        stack.enter_context(handling(on_signal))
        yield stack
