"""What the network thread leaves for the window."""

from __future__ import annotations

import collections
from collections.abc import Callable

from phaselock.ui.backend import BackendEvent, SessionView

MAX_UNREAD_EVENTS = 2000
"""Events that nobody reads any more are the oldest."""


class EventQueue:
    """From the network thread to the GUI thread. Of the state only the newest counts."""

    def __init__(self) -> None:
        self.state: SessionView | None = None
        self.session_ns: Callable[[], int | None] = lambda: None
        self._mail: collections.deque[BackendEvent] = collections.deque(maxlen=MAX_UNREAD_EVENTS)

    def put(self, mail: BackendEvent) -> None:
        """From any thread."""
        self._mail.append(mail)

    def take(self, most: int) -> list[BackendEvent]:
        """On the GUI thread."""
        taken: list[BackendEvent] = []
        while len(taken) < most and self._mail:
            taken.append(self._mail.popleft())
        return taken
