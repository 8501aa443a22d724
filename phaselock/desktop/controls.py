"""The "now playing" of the system and its media keys: one interface for Linux, Windows and macOS."""

from __future__ import annotations

import contextlib
import enum
import os
import select
import socket
import sys
import threading
from collections.abc import Callable
from typing import Literal

from phaselock.errors import InternalError, bug_net
from phaselock.frozen import frozen

TIMEOUT_CLOSE_S = 1.0
"""How long `close` waits for a system that does not answer."""
MIN_NOTES_S = 5.0
"""Least time between two notifications; of those that come earlier, the newest is shown then."""


class Action(enum.Enum):
    """What the user wants, by a media key or in a panel of the desktop. Some have a value."""

    PLAY = enum.auto()
    PAUSE = enum.auto()
    PLAY_PAUSE = enum.auto()
    STOP = enum.auto()
    NEXT = enum.auto()
    PREVIOUS = enum.auto()
    SEEK = enum.auto()
    """To this position in seconds."""
    VOLUME = enum.auto()
    """0 to 1."""
    REPEAT = enum.auto()
    """1: on, 0: off."""
    SHUFFLE = enum.auto()
    """1: on, 0: off."""
    RAISE = enum.auto()
    QUIT = enum.auto()


Do = Callable[[Action, float], None]
"""Called on the thread of the controls."""


@frozen
class NowPlaying:
    """What the system shows. `at_s` is the monotonic time, in seconds, at which the position is `position_s`."""

    status: Literal["Playing", "Paused", "Stopped"]
    volume: float
    track: str = ""
    """Hexadecimal digits that identify the track; empty: none."""
    title: str = ""
    artist: str = ""
    album: str = ""
    art_url: str = ""
    duration_s: float = 0.0
    position_s: float = 0.0
    at_s: float = 0.0
    repeat: bool = False
    shuffle: bool = False
    can_control: bool = False
    """This machine decides what plays. Otherwise only its volume can be changed."""
    can_play: bool = False
    can_raise: bool = False

    def position_at(self, now_s: float) -> float:
        """The position in seconds at a monotonic time."""
        elapsed_s = now_s - self.at_s if self.status == "Playing" else 0.0
        return min(max(0.0, self.position_s + elapsed_s), self.duration_s)


class Mail:
    """What the thread of the controls has to show. Any thread may write; `wait` is for that thread."""

    def __init__(self) -> None:
        self.now: NowPlaying | None = None
        self.note: tuple[str, str] | None = None
        """Summary and text of a notification."""
        self.closed = False
        self._bell, self._ringer = socket.socketpair()
        self._bell.setblocking(False)
        self._ringer.setblocking(False)

    def ring(self) -> None:
        """Wake the thread."""
        with contextlib.suppress(OSError):  # it is awake already, or has ended
            self._ringer.send(b"\0")

    def wait(self, timeout_s: float | None = None, other: int | None = None) -> None:
        """Wait for `ring`, for data on the socket `other`, or for this time."""
        sockets: list[int | socket.socket] = [self._bell] if other is None else [self._bell, other]
        select.select(sockets, [], [], timeout_s)
        with contextlib.suppress(BlockingIOError):
            self._bell.recv(4096)

    def end(self) -> None:
        """Release the sockets."""
        self._bell.close()
        self._ringer.close()


class Controls:
    """The thread "media keys". It does not run if the system has no such service; `active` tells.

    `window` is the native handle of the window (Windows), 0 without one. No method waits, except `close`.
    """

    def __init__(self, do: Do, window: int = 0, *, on: bool = True) -> None:
        self._mail: Mail | None = None
        serve = _service(window) if on else None
        if serve is not None:
            self._mail = mail = Mail()
            self._thread = threading.Thread(target=_run, args=(serve, mail, do), name="media keys", daemon=True)
            self._thread.start()

    @property
    def active(self) -> bool:
        """Whether it makes sense to call `show` and `notify`."""
        return self._mail is not None

    def show(self, now: NowPlaying) -> None:
        """Show this from now on."""
        if self._mail is not None and self._mail.now != now:
            self._mail.now = now
            self._mail.ring()

    def notify(self, summary: str, text: str) -> None:
        """Show a notification, at most one in MIN_NOTES_S."""
        if self._mail is not None:
            self._mail.note = summary, text
            self._mail.ring()

    def close(self) -> None:
        """Withdraw everything, and end the thread within TIMEOUT_CLOSE_S."""
        if self._mail is not None:
            self._mail.closed = True
            self._mail.ring()
            self._thread.join(TIMEOUT_CLOSE_S)


def _run(serve: Callable[[Mail, Do], None], mail: Mail, do: Do) -> None:
    try:
        with contextlib.suppress(InternalError), bug_net("the media keys"):
            serve(mail, do)
    finally:
        mail.end()


def _service(window: int) -> Callable[[Mail, Do], None] | None:
    """The function that serves on this system until the mail is closed; None: there is no service."""
    if sys.platform == "win32" and window:
        return lambda mail, do: _windows(mail, do, window)
    if sys.platform == "darwin" and window:
        return _macos
    if sys.platform.startswith("linux") and _has_bus():
        return _linux
    return None


def _has_bus() -> bool:
    """Whether there may be a session bus, without an import of the library."""
    runtime = os.environ.get("XDG_RUNTIME_DIR", "")
    return bool(os.environ.get("DBUS_SESSION_BUS_ADDRESS")) or bool(runtime) and os.path.exists(f"{runtime}/bus")


# Each service is imported on its thread, when it starts.


def _linux(mail: Mail, do: Do) -> None:
    from phaselock.desktop.mpris import serve

    serve(mail, do)


def _windows(mail: Mail, do: Do, window: int) -> None:
    from phaselock.desktop.smtc import serve

    serve(mail, do, window)


def _macos(mail: Mail, do: Do) -> None:
    from phaselock.desktop.now_playing_center import serve

    serve(mail, do)
