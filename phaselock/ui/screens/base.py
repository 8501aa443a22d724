"""The base class of all screens, and the window as they see it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar, Protocol

from phaselock.model.notices import Code
from phaselock.ui import theme
from phaselock.ui.backend import BackendEvent, Closed, Program, SessionView
from phaselock.ui.chat import WindowChat
from phaselock.ui.theme import ctk
from phaselock.ui.viewmodel import History
from phaselock.ui.widgets.covers import Covers
from phaselock.ui.widgets.toast import Action, Kind

CODE_QUESTIONS = frozenset({Code.CODE_NEEDED, Code.CODE_WRONG, Code.CODE_NOT_ASKED})
"""Why a session was not joined, where the user can try again with another code."""


class WindowApi(Protocol):
    """What screens use of the window."""

    program: Program
    history: History
    covers: Covers
    chat: WindowChat
    visualiser: bool
    waiting: Sequence[str]
    """Files that are added to the next session."""
    can_drop: bool
    """Whether files can be dropped on the window."""
    ask_files: Callable[[], Sequence[str]]
    """File dialogs, for tests to replace: music files and playlists, a folder, one music file, a file to save under the
    given name. Empty: cancelled."""
    ask_folder: Callable[[], str]
    ask_song: Callable[[], str]
    ask_save: Callable[..., str]

    def now_s(self) -> float: ...

    def go_home(self) -> None: ...

    def go_create(self) -> None: ...

    def go_browse(self) -> None: ...

    def leave(self, at: Any = None) -> None: ...

    def ask(
        self, text: str, word: str, act: Callable[[], object], at: Any = None, lower_y: int | None = None
    ) -> None: ...

    def ask_code(
        self, jam: str, closed: Closed | None, join: Callable[[str], object], give_up: Callable[[], object]
    ) -> None: ...

    def close_question(self) -> None: ...

    def show_toast(self, text: str, kind: Kind = "info", action: Action | None = None) -> Callable[[], None]: ...

    def forget_waiting(self) -> None: ...

    def show_spectrum(self, on: bool) -> None: ...

    def open_sound(self) -> None: ...

    def open_sync(self) -> None: ...

    def open_display(self) -> None: ...

    def open_songs(self) -> None: ...

    def open_music(self) -> None: ...

    def open_share(self, tab: int | None = None) -> None: ...

    def open_chat(self) -> None: ...

    def open_rules(self) -> None: ...


class Screen(ctk.CTkFrame):  # type: ignore[misc]  # customtkinter has no types
    """Fills the window. The window calls the methods; a screen overrides those it needs."""

    in_session: ClassVar[bool] = False
    """True for a `SessionScreen`."""

    def __init__(self, master: Any, api: WindowApi) -> None:
        super().__init__(master, fg_color=theme.BACKGROUND, corner_radius=0)
        self.api = api

    def on_event(self, event: BackendEvent) -> None:
        """An event arrived."""

    def on_state(self, state: SessionView) -> None:
        """There is a new view of the session."""

    def tick(self, session_ns: int | None) -> None:
        """Called up to 25 times a second while a session is open; `session_ns` None: unknown."""

    def uncovered(self) -> None:
        """The overlay was closed."""

    def again(self) -> Screen:
        """The same screen, made again with another look."""
        return type(self)(self.master, self.api)

    def key(self, name: str) -> bool:
        """Execute a shortcut ("play_pause", "next", ...); False: the screen has no such shortcut."""
        return False
