"""What a window remembers of the chat of its session: the draft, and how many messages were not read."""

from __future__ import annotations

from collections.abc import Callable

from phaselock.language.catalogue import tr
from phaselock.model.notices import Code
from phaselock.session import events as e
from phaselock.ui.direction import isolated

MAX_TOASTS = 3
"""Messages that are shown one after the other as toasts, until the user opens the chat or writes."""
MAX_TOAST_CHARS = 120
_NOT_TOLD = frozenset({Code.CHAT_OFF, Code.CHAT_TOO_FAST, Code.CHAT_BUSY, Code.NOT_CONNECTED})


class WindowChat:
    """The chat of the open session. `show_toast` shows a text and returns what removes it."""

    def __init__(self, show_toast: Callable[[str], Callable[[], None]]) -> None:
        self._show_toast = show_toast
        self._on_change: Callable[[], object] = lambda: None
        self.clear()

    def clear(self) -> None:
        """Another session begins."""
        self.draft = ""
        """What the user has typed and not sent."""
        self.unread = 0
        self.is_open = False
        """The messages are visible."""
        self._sent = ""
        """What was sent last, until it is told to all."""
        self._toasts = 0
        self._forget_toast: Callable[[], None] = lambda: None

    def watch(self, on_change: Callable[[], object]) -> None:
        """Call `on_change` when `unread` or `is_open` has changed."""
        self._on_change = on_change

    def unwatch(self, on_change: Callable[[], object]) -> None:
        """Do not call it any more."""
        if self._on_change == on_change:
            self._on_change = lambda: None

    def set_open(self, is_open: bool) -> None:
        """The messages are visible from now on, or no longer."""
        self.is_open = is_open
        if is_open:
            self.unread = self._toasts = 0
            self._forget_toast()
        self._on_change()

    def sent(self, text: str) -> None:
        """The user has sent a message. Its draft is gone, unless an error comes."""
        self._sent, self.draft, self._toasts = text, "", 0

    def on_event(self, event: e.Event, own_name: str) -> None:
        """A message was told to all, or the user's own could not be."""
        match event:
            case e.ChatSaid(name=name) if name == own_name:
                self._sent = ""
            case e.ChatSaid() if not self.is_open:
                self.unread += 1
                self._on_change()
                if self._toasts < MAX_TOASTS:
                    self._toasts += 1
                    self._forget_toast()
                    self._forget_toast = self._show_toast(_toast_text(event))
            case e.Failed(notice=notice) if notice.code in _NOT_TOLD and self._sent:
                self.draft, self._sent = self.draft or self._sent, ""


def _toast_text(event: e.ChatSaid) -> str:
    text = event.text
    if len(text) > MAX_TOAST_CHARS:
        text = text[:MAX_TOAST_CHARS].rstrip() + "…"
    return tr("{name}: {text}").format(name=isolated(event.name), text=isolated(text))
