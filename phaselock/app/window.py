"""The program behind the window, as the GUI thread sees it (ui/port.py).

Nothing here waits, and nothing of the network or the sound is imported before it is needed: the window stands first.
What is asked goes to the network thread, which starts with the first question; what comes back lies in a mailbox.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any
from uuid import UUID

from phaselock.app.event_queue import EventQueue
from phaselock.errors import PhaseLockError
from phaselock.model.notices import Code, Notice
from phaselock.session.commands import HostCommand
from phaselock.session.events import Warned
from phaselock.storage.paths import settings_path
from phaselock.storage.settings import SettingsStore
from phaselock.ui.backend import BackendEvent, Preferences, SessionEvent, SessionView

if TYPE_CHECKING:
    from phaselock.app.window_backend import WindowBackend

CLOSE_S = 2.0
WITHOUT_WINDOW = "Without a window: phaselock host and phaselock join."


class WindowProgram:
    """Implements `Program`; used on the GUI thread alone. `backend` is how to reach the sound card."""

    def __init__(self, backend: str = "auto", device: str | None = None) -> None:
        self._store = SettingsStore(settings_path())
        self._mailbox = EventQueue()
        self._backend, self._device = backend, device
        self.bind = ""
        """The address to host on; empty: all of them."""
        self._backstage: WindowBackend | None = None
        self._thread: threading.Thread | None = None
        self._ready = threading.Event()
        if self._store.warning:
            self._mailbox.put(SessionEvent(Warned(None, Notice(Code.SETTINGS_TROUBLE, self._store.warning))))

    # -- what is remembered ------------------------------------------------------------------------------------------

    def preferences(self) -> Preferences:
        """See Program."""
        s = self._store.settings
        return Preferences(s.display_name, s.session_name, s.port, s.clock_port, s.volume, s.device, s.ui)

    def remember(self, **ui: object) -> None:
        """See Program."""
        self._store.update(ui={**self._store.settings.ui, **ui})

    # -- what there is to see ----------------------------------------------------------------------------------------

    def state(self) -> SessionView | None:
        """See Program."""
        return self._mailbox.state

    def mail(self, most: int) -> list[BackendEvent]:
        """See Program."""
        return self._mailbox.take(most)

    def session_ns(self) -> int | None:
        """See Program."""
        return self._mailbox.session_ns()

    # -- what people ask for -----------------------------------------------------------------------------------------

    def host(self, session_name: str, display_name: str, port: int, clock_port: int) -> None:
        """See Program."""
        self._ask("host", session_name, display_name, port, clock_port, self.bind)

    def join(self, address: str, display_name: str) -> None:
        """See Program."""
        self._ask("join", address, display_name)

    def leave(self) -> None:
        """See Program."""
        self._ask("leave")

    def browse(self, on: bool) -> None:
        """See Program."""
        self._ask("browse", on)

    def command(self, command: HostCommand) -> None:
        """See Program."""
        self._ask("command", command)

    def add(self, paths: Sequence[str]) -> None:
        """See Program."""
        self._ask("add", tuple(paths))

    def request(self, path: str) -> None:
        """See Program."""
        self._ask("request", path)

    def set_volume(self, volume: float) -> None:
        """See Program."""
        self._store.update(volume=volume)
        self._ask("set_volume", volume)

    def set_correction_ms(self, correction_ms: float) -> None:
        """See Program."""
        self._ask("set_correction_ms", correction_ms)

    def choose_output(self, name: str | None) -> None:
        """See Program."""
        self._store.update(device=name)
        self._ask("reopen")

    def list_outputs(self) -> None:
        """See Program."""
        self._ask("list_outputs")

    def picture(self, file_id: UUID) -> None:
        """See Program."""
        self._ask("picture", file_id)

    def shape(self, file_id: UUID) -> None:
        """See Program."""
        self._ask("shape", file_id)

    def close(self) -> None:
        """See Program."""
        if self._thread is not None:
            self._ask("close")
            self._thread.join(CLOSE_S)
        self._store.close()
        if self._thread is not None and self._thread.is_alive():
            os._exit(1)  # a hung sound system or disk shall not keep a closed window's process alive

    # -- inside ------------------------------------------------------------------------------------------------------

    def _ask(self, what: str, *arguments: Any) -> None:
        """Have the network thread do something, in the order in which it was asked."""
        if self._thread is None:
            from phaselock.app.window_backend import WindowBackend

            self._backstage = WindowBackend(self._store, self._mailbox, self._backend, self._device)
            self._thread = threading.Thread(target=self._backstage.run, name="network", daemon=True)
            self._thread.start()
        assert self._backstage is not None
        self._backstage.ask(what, *arguments)


def run_window(backend: str = "auto", device: str | None = None) -> int:
    """Show the window until it is closed; the exit status. PhaseLockError where there can be no window."""
    from phaselock import _native  # noqa: F401  (a window would stand without it, but could do nothing)

    try:
        import tkinter

        import customtkinter  # noqa: F401  (to be told apart from a missing module of our own)
    except ImportError as error:
        tk = str(error.name).partition(".")[0] in ("tkinter", "_tkinter")
        what = "Tk (on Debian: apt-get install python3-tk)" if tk else str(error.name)
        raise PhaseLockError(f"The window needs {what}. {WITHOUT_WINDOW}") from None
    from phaselock.ui.window import Window

    desktop = WindowProgram(backend, device)
    try:
        window = Window(desktop)
    except tkinter.TclError as error:
        desktop.close()
        raise PhaseLockError(f"There is no screen for the window ({error}). {WITHOUT_WINDOW}") from None
    window.run()
    return 0
