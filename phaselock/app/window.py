"""The window's program: the GUI thread's half of it, and `run_window`.

`WindowProgram` implements `ui.backend.Program` on the GUI thread. Its other half, `WindowBackend`, runs on the network
thread. The network thread starts with the first request, so the window is on the screen before anything of the network
or the sound is imported. No method waits for what the network thread does, except `close`.

The two halves share three things:

requests   GUI thread -> network thread: a callback on the asyncio loop of the network thread, in the order of the calls
events     network thread (and its workers) -> GUI thread: a deque, whose `append` and `popleft` are atomic. The thread
           "inbox" (app/receiver.py) uses it too
the view   network thread -> GUI thread: one attribute that always holds the newest immutable `SessionView`
"""

from __future__ import annotations

import collections
import contextlib
import itertools
import os
import sys
import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, TypeVarTuple
from uuid import UUID

from phaselock import _native
from phaselock.app import memory
from phaselock.app.person import suggested_name
from phaselock.app.receiver import Receiver
from phaselock.desktop.appearance import read_appearance
from phaselock.errors import PhaseLockError
from phaselock.language.message import Message
from phaselock.model.file_kinds import counted
from phaselock.model.invitation import is_invitation, parse_invitation
from phaselock.model.notices import Code, Notice
from phaselock.model.role import Role
from phaselock.os_packages import tk_advice
from phaselock.session.commands import AnswerMicrophone, HostCommand, PermitMicrophone, ReturnBy, VoteFor, WantSkip
from phaselock.session.events import Warned
from phaselock.storage.inbox import Inbox, hand_over, opened
from phaselock.storage.paths import inbox_dir, settings_path
from phaselock.storage.settings import SettingsStore
from phaselock.ui.backend import (
    AppearanceRead,
    Asked,
    BackendEvent,
    FilesGiven,
    InvitationGiven,
    Preferences,
    SessionEvent,
    SessionView,
)

if TYPE_CHECKING:
    import asyncio

    from phaselock.app.window_backend import WindowBackend

TIMEOUT_CLOSE_S = 2.0
"""How long `close` waits for the network thread. A hung sound system or disk must not keep the process alive."""
TIMEOUT_HAND_OVER_S = 10.0
"""How much longer it waits while other machines are asked to be the host: three seconds each, at most three."""
TIMEOUT_START_S = 5.0
"""How long the first request waits for the event loop of the network thread, which takes about a millisecond."""
MAX_UNREAD_EVENTS = 2000
"""Limit of unread events; the oldest are dropped. The GUI thread reads them up to 25 times a second."""

Ts = TypeVarTuple("Ts")


class WindowProgram:
    """Implements `Program`. `backend` is the sound backend ("auto", "null", ...), `device` the name of the output.
    `given` are files for the window, as absolute paths, and invitations; `inbox` is the one that has not handed them
    over.

    All attributes are written on the GUI thread, with two exceptions: the network thread writes `_view`, and threads
    of both sides append to `_events`.
    """

    def __init__(
        self,
        backend: str = "auto",
        device: str | None = None,
        *,
        given: Sequence[str] = (),
        inbox: Inbox | None = None,
        now_ns: Callable[[], int] = _native.now_ns,
    ) -> None:
        memory.limit()
        self._sound = backend, device
        self._now_ns = now_ns
        self._events: collections.deque[BackendEvent] = collections.deque(maxlen=MAX_UNREAD_EVENTS)
        self._store = SettingsStore(settings_path(), self._settings_trouble)
        self._receiver = Receiver(
            inbox or Inbox(inbox_dir()),
            given,
            lambda paths: self._events.append(FilesGiven(paths)),
            lambda invitation: self._events.append(InvitationGiven(invitation)),
            lambda: self._events.append(Asked("raise")),
            lambda why: self._events.append(SessionEvent(Warned(None, Notice(Code.OTHER, why)))),
        )
        self._view: SessionView | None = None
        self._presence = True, 0
        self._started: WindowBackend | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self.bind = ""
        """The address to host on; empty: all addresses of this machine."""
        if self._store.warning:
            self._settings_trouble(self._store.warning)

    # -- settings ----------------------------------------------------------------------------------------------------

    def preferences(self) -> Preferences:
        s = self._store.settings
        return Preferences(
            s.display_name or suggested_name(),
            s.session_name,
            s.port,
            s.clock_port,
            s.max_peers,
            s.with_code,
            s.own_code,
            s.volume,
            s.muted,
            s.role,
            s.loudness_lufs,
            s.device,
            s.microphone,
            s.may_host,
            s.ui,
        )

    def remember(self, **ui: object) -> None:
        self._store.update(ui={**self._store.settings.ui, **ui})

    def remember_code(self, with_code: bool, own_code: str) -> None:
        self._store.update(with_code=with_code, own_code=own_code)

    def _settings_trouble(self, problem: Message) -> None:
        """Show that the settings cannot be read or written. For any thread."""
        self._events.append(SessionEvent(Warned(None, Notice(Code.SETTINGS_TROUBLE, problem))))

    # -- from the other threads -------------------------------------------------------------------------------------

    def show_presence(self, focused: bool, handle: int) -> None:
        self._presence = focused, handle

    def receive(self) -> None:
        self._receiver.start()

    def read_appearance(self) -> None:
        def read() -> None:
            found = read_appearance()
            self._events.append(AppearanceRead(found.high_contrast, found.reduced_motion))

        threading.Thread(target=read, name="appearance", daemon=True).start()

    def state(self) -> SessionView | None:
        return self._view

    def events(self, max_count: int) -> list[BackendEvent]:
        return [self._events.popleft() for _ in range(min(max_count, len(self._events)))]

    def session_ns(self) -> int | None:
        clock = self._view.clock if self._view is not None else None
        return clock.session_ns(self._now_ns()) if clock is not None else None

    # -- to the network thread ---------------------------------------------------------------------------------------

    def host(
        self,
        session_name: str,
        display_name: str,
        port: int,
        clock_port: int,
        code: str = "",
        max_peers: int | None = None,
    ) -> None:
        self._post(self._network.host, session_name, display_name, port, clock_port, max_peers, self.bind, code)

    def join(self, address: str, display_name: str, code: str | None = None) -> None:
        self._post(self._network.join, address, display_name, code)

    def return_by(self, invitation: str) -> None:
        self._post(self._network.peer_command, ReturnBy(parse_invitation(invitation)))

    def leave(self) -> None:
        self._post(self._network.leave)

    def browse(self, on: bool) -> None:
        self._post(self._network.browse, on)

    def command(self, command: HostCommand) -> None:
        self._post(self._network.command, command)

    def say(self, text: str) -> None:
        self._post(self._network.say, text)

    def vote(self, file_id: UUID, wanted: bool) -> None:
        self._post(self._network.party_command, VoteFor(file_id, wanted))

    def want_skip(self, file_id: UUID, wanted: bool) -> None:
        self._post(self._network.party_command, WantSkip(file_id, wanted))

    def use_outside_address(self, address: str) -> None:
        self._post(self._network.use_outside_address, address)

    def show_guest_page(self, on: bool) -> None:
        self._post(self._network.show_guest_page, on)

    def renew_guest_page(self) -> None:
        self._post(self._network.renew_guest_page)

    def set_fallback(self, path: str) -> None:
        self._post(self._network.set_fallback, path)

    def add(self, paths: Sequence[str]) -> None:
        self._post(self._network.add, tuple(paths))

    def cancel_conversion(self) -> None:
        self._post(self._network.cancel_conversion)

    def read_last_queue(self) -> None:
        self._post(self._network.read_last_queue)

    def read_library(self) -> None:
        self._post(self._network.read_library)

    def choose_library(self, path: str) -> None:
        self._store.update(music_folder=path)
        self._post(self._network.use_library)

    def search_library(self, text: str) -> None:
        self._post(self._network.search_library, text)

    def add_from_library(self, song_id: int) -> None:
        self._post(self._network.add_from_library, song_id)

    def save_queue(self, path: str) -> None:
        self._post(self._network.save_queue, path)

    def show_in_folder(self, file_id: UUID) -> None:
        self._post(self._network.show_in_folder, file_id)

    def request(self, path: str) -> None:
        self._post(self._network.request, path)

    def set_volume(self, volume: float, muted: bool = False) -> None:
        self._store.update(volume=volume, muted=muted)
        self._post(self._network.set_volume, self._store.settings.audible_volume)

    def set_role(self, role: Role) -> None:
        self._store.update(role=role)
        self._post(self._network.set_role, role)

    def set_correction_ms(self, correction_ms: float) -> None:
        self._post(self._network.set_correction_ms, correction_ms)

    def forget_calibration(self) -> None:
        self._post(self._network.forget_calibration)

    def forget_trim(self) -> None:
        self._post(self._network.forget_trim)

    def use_calibration(self) -> None:
        self._post(self._network.use_calibration)

    def choose_output(self, name: str | None) -> None:
        self._store.update(device=name)
        self._post(self._network.reopen_output)

    def list_outputs(self) -> None:
        self._post(self._network.list_outputs)

    def choose_microphone(self, name: str | None) -> None:
        self._store.update(microphone=name)

    def set_may_host(self, may_host: bool) -> None:
        self._store.update(may_host=may_host)

    def list_inputs(self) -> None:
        self._post(self._network.list_inputs)

    def permit_microphone(self, permitted: bool) -> None:
        self._post(self._network.peer_command, PermitMicrophone(permitted))

    def answer_microphone(self, allowed: bool) -> None:
        self._post(self._network.peer_command, AnswerMicrophone(allowed))

    def read_artwork(self, file_id: UUID, size: int, crop: bool) -> None:
        self._post(self._network.read_artwork, file_id, size, crop)

    def read_waveform(self, file_id: UUID) -> None:
        self._post(self._network.read_waveform, file_id)

    def free_memory(self) -> None:
        memory.give_back()

    def close(self) -> None:
        self._receiver.close()
        if self._thread is not None:
            self._post(self._network.close)
            self._thread.join(TIMEOUT_CLOSE_S)
            if self._network.leaves_others:
                self._thread.join(TIMEOUT_HAND_OVER_S)
        self._store.close()
        if self._thread is not None and self._thread.is_alive():
            self._network.write_log()
            os._exit(1)

    @property
    def _network(self) -> WindowBackend:
        """The half on the network thread; its methods are called with `_post` only. Starts the thread if needed."""
        if self._started is None:
            from phaselock.app.window_backend import WindowBackend

            self._started = WindowBackend(
                self._store,
                *self._sound,
                emit=self._events.append,
                show=self._show,
                presence=lambda: self._presence,
            )
            self._thread = threading.Thread(target=self._started.run, name="network", daemon=True)
            self._thread.start()
            self._loop = self._started.loop.result(TIMEOUT_START_S)
        return self._started

    def _post(self, method: Callable[[*Ts], None], *arguments: *Ts) -> None:
        """Call `method` on the network thread, after all that was posted before."""
        assert self._loop is not None
        with contextlib.suppress(RuntimeError):  # the loop is closed: the thread has ended
            self._loop.call_soon_threadsafe(method, *arguments)

    def _show(self, view: SessionView | None) -> None:
        """On the network thread: publish the newest view."""
        self._view = view


def run_window(backend: str, device: str | None, texts: Sequence[str], say: Callable[[str], None]) -> int:
    """Give paths and invitations to the window that is open, or bring it to the front, and `say` so. If no window is
    open, show a new one until it is closed. The exit status. PhaseLockError if Tk, a module or a display is missing."""
    given, inbox = list(map(opened, texts)), Inbox(inbox_dir())
    _allow_others_to_come_to_the_front()
    if hand_over(inbox, given):
        say(_handed_over(given))
        return 0
    try:
        import tkinter

        from phaselock.ui import theme  # noqa: F401  (it imports customtkinter, without Pillow)
    except ImportError as error:
        no_tk = str(error.name).partition(".")[0] in ("tkinter", "_tkinter")
        needs = Message(
            "The window needs {module}. Without a window: phaselock host and phaselock join.",
            module="Tk" if no_tk else error.name,
        )
        raise PhaseLockError(Message.joined(" ", (needs, tk_advice())) if no_tk else needs) from None
    from phaselock.ui.window import Window

    program = WindowProgram(backend, device, given=given, inbox=inbox)
    try:
        window = Window(program)
    except tkinter.TclError as error:
        program.close()
        raise PhaseLockError(
            "There is no screen for the window ({reason}). Without a window: phaselock host and phaselock join.",
            reason=str(error),
        ) from None
    window.run()
    return 0


def _handed_over(given: Sequence[str]) -> Message:
    """The sentence that says what the window that is open has received."""
    files = list(itertools.filterfalse(is_invitation, given))
    if files:
        return Message("The window that is open has received {files}.", files=counted(files))
    if given:
        return Message("The window that is open has received the invitation.")
    return Message("PhaseLock is open already. Its window comes to the front.")


def _allow_others_to_come_to_the_front() -> None:
    """Windows lets only the process come to the front that the user has started, unless it permits others to."""
    if sys.platform == "win32":
        import ctypes

        with contextlib.suppress(AttributeError, OSError):
            ctypes.windll.user32.AllowSetForegroundWindow(-1)  # ASFW_ANY: the receiver's process is not known
