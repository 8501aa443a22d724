"""What the keys of the window do: those of shortcuts.py, Tab and Escape."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from phaselock.ui.shortcuts import bind_shortcuts

if TYPE_CHECKING:
    from phaselock.ui.widgets.question import Dialog


class WindowKeyboard:
    """Of one window, on the GUI thread."""

    def __init__(
        self,
        window: Any,
        question: Callable[[], Dialog | None],
        is_covered: Callable[[], bool],
        paste: Callable[[], object],
    ) -> None:
        """`question` returns the one that is asked. `is_covered`: an overlay hides the screen. `paste` joins by the
        invitation in the clipboard."""
        self._window = window
        self._question = question
        self._is_covered = is_covered
        self._paste = paste

    def bind(self) -> None:
        """From now on the window hears the keys."""
        window = self._window
        own: dict[str, Callable[[], object]] = {
            "escape": self._escape,
            "paste": self._paste,
            "quit": window.close,
            "shortcuts": window.open_shortcuts,
            "display": window.open_display,
            "larger": lambda: self._change_text_size(1),
            "smaller": lambda: self._change_text_size(-1),
            "usual_size": lambda: window.look.change_text_size(0),
            "full_screen": lambda: window.attributes("-fullscreen", not window.attributes("-fullscreen")),
        }
        bind_shortcuts(window, own, self._to_screen)
        window.bind("<Tab>", lambda _event: self._walk(1))
        window.bind("<<PrevWindow>>", lambda _event: self._walk(-1))

    def _change_text_size(self, steps: int) -> None:
        if reason := self._window.look.obstacle(steps):
            self._window.show_toast(reason)
        self._window.look.change_text_size(steps)

    def _walk(self, step: int) -> str | None:
        """The keyboard stays inside a question until it is answered."""
        question = self._question()
        return question.walk(step) if question is not None else None

    def _to_screen(self, command: str) -> bool:
        """Let the screen execute the command; False: there is none, or it is covered."""
        if self._window.screen is None or self._is_covered():
            return False
        self._window.screen.key(command)
        return True

    def _escape(self) -> None:
        window, question = self._window, self._question()
        if question is not None:
            question.cancel.invoke()
        elif window.overlay is not None:
            window.close_overlay()
        elif window.attributes("-fullscreen"):
            window.attributes("-fullscreen", False)
        elif window.screen is not None:
            window.screen.key("escape")
