"""What the network thread leaves for the window."""

from __future__ import annotations

import collections
from collections.abc import Callable

from phaselock.ui.backend import Mail, State

MOST_MAIL = 2000
"""Events that nobody reads any more are the oldest."""


class Mailbox:
    """From the network thread to the GUI thread. Of the state only the newest counts."""

    def __init__(self) -> None:
        self.state: State | None = None
        self.session_ns: Callable[[], int | None] = lambda: None
        self._mail: collections.deque[Mail] = collections.deque(maxlen=MOST_MAIL)

    def put(self, mail: Mail) -> None:
        """From any thread."""
        self._mail.append(mail)

    def take(self, most: int) -> list[Mail]:
        """On the GUI thread."""
        taken: list[Mail] = []
        while len(taken) < most and self._mail:
            taken.append(self._mail.popleft())
        return taken
