"""What every screen has in common."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

from phaselock.ui import theme
from phaselock.ui.backend import BackendEvent, Program, SessionView
from phaselock.ui.theme import ctk
from phaselock.ui.viewmodel import History
from phaselock.ui.widgets.toast import Action, Kind


class WindowApi(Protocol):
    """The window, as its screens see it."""

    program: Program
    history: History
    visualiser: bool
    can_drop: bool
    """Files can be dropped on the window."""
    ask_files: Callable[[], Sequence[str]]
    """Lets the user choose MP3 files and playlists."""
    ask_folder: Callable[[], str]
    ask_song: Callable[[], str]
    ask_save: Callable[[str], str]

    def now_s(self) -> float: ...

    def go_home(self) -> None: ...

    def go_create(self) -> None: ...

    def go_browse(self) -> None: ...

    def leave(self) -> None: ...

    def say(self, text: str, kind: Kind = "info", action: Action | None = None) -> None: ...

    def show_spectrum(self, on: bool) -> None: ...

    def open_sound(self) -> None: ...

    def open_sync(self) -> None: ...


class Screen(ctk.CTkFrame):  # type: ignore[misc]
    """Fills the window. The methods are called by the window; a screen overrides what concerns it."""

    def __init__(self, master: Any, api: WindowApi) -> None:
        super().__init__(master, fg_color=theme.BACKGROUND, corner_radius=0)
        self.api = api

    def on_event(self, event: BackendEvent) -> None:
        """Something arrived."""

    def on_state(self, state: SessionView) -> None:
        """The session has changed."""

    def tick(self, session_ns: int | None) -> None:
        """Time has passed."""

    def uncovered(self) -> None:
        """What lay over it is gone."""

    def key(self, name: str) -> bool:
        """A shortcut ("play_pause", "next", ...); whether it was of use."""
        return False
