"""Receives what the user opens in other processes: files (Explorer starts one process for each), an invitation, or
PhaseLock again."""

from __future__ import annotations

import contextlib
import itertools
import threading
from collections.abc import Callable, Sequence

from phaselock.errors import InternalError, bug_net, message_of
from phaselock.language.message import Message
from phaselock.model.invitation import is_invitation
from phaselock.storage.collect import natural_key
from phaselock.storage.inbox import Inbox

POLL_S = 0.2
IDLE_POLL_S = 0.5
"""Between two looks while no message waits."""
QUIET_POLLS = 3
"""Messages of processes that were started together are sorted together: all until there is none for this time."""
MAX_POLLS = 25
"""Messages are passed on after this time, even if more of them arrive."""
TIMEOUT_CLOSE_S = 1.0
"""How long `close` waits for a disk that hangs."""


class Receiver:
    """The thread "inbox" of a window, from `start` to `close`. A window that is not the receiver becomes it when the
    other window ends.

    `give` gets absolute paths, `invite` an invitation, `come_to_front` is called if PhaseLock was opened without
    either, and `warn` gets one sentence if the folder cannot be used; all are called on that thread.
    `given` is what was opened in this process, which is passed on like that of the others.
    """

    def __init__(
        self,
        inbox: Inbox,
        given: Sequence[str],
        give: Callable[[tuple[str, ...]], None],
        invite: Callable[[str], object],
        come_to_front: Callable[[], object],
        warn: Callable[[Message], None],
    ) -> None:
        self._inbox = inbox
        self._give, self._invite, self._come_to_front, self._warn = give, invite, come_to_front, warn
        files = _files(given)
        self._messages = [files] if files else []
        self._invitations = list(filter(is_invitation, given))
        self._polls = self._quiet_polls = 0
        self._warned = False
        self._over = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Start the thread."""
        self._thread = threading.Thread(target=self._run, name="inbox", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End the thread, within TIMEOUT_CLOSE_S. A second call has no effect."""
        self._over.set()
        if self._thread is None:
            self._inbox.close()
        else:
            self._thread.join(TIMEOUT_CLOSE_S)

    def poll(self) -> None:
        """Look into the inbox once, on the thread."""
        taken = self._take()
        if () in taken:
            self._come_to_front()
        invitations, self._invitations = [*self._invitations, *itertools.chain.from_iterable(taken)], []
        for invitation in filter(is_invitation, invitations):
            self._invite(invitation)
        new = [files for message in taken if (files := _files(message))]
        self._messages += new
        self._quiet_polls = 0 if new else self._quiet_polls + 1
        self._polls = self._polls + 1 if self._messages else 0
        if self._messages and (self._quiet_polls >= QUIET_POLLS or self._polls >= MAX_POLLS):
            messages = sorted(self._messages, key=lambda paths: natural_key(paths[0]))
            self._messages, self._polls = [], 0
            self._give(tuple(path for paths in messages for path in paths))

    def _run(self) -> None:
        try:
            while not self._over.is_set():
                with contextlib.suppress(InternalError), bug_net("the inbox"):
                    self.poll()
                self._over.wait(POLL_S if self._messages else IDLE_POLL_S)
        finally:
            self._inbox.close()

    def _take(self) -> list[tuple[str, ...]]:
        try:
            return self._inbox.take() if self._inbox.receive() else []
        except OSError as error:
            self._inbox.close()  # the next poll opens the folder again
            if not self._warned:
                self._warned = True
                self._warn(
                    Message(
                        "This window cannot receive files from the file manager: {reason}.", reason=message_of(error)
                    )
                )
            return []


def _files(opened: Sequence[str]) -> tuple[str, ...]:
    return tuple(itertools.filterfalse(is_invitation, opened))
