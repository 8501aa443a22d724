"""Takes the newest of several queue updates.

Showing a long queue costs a good part of a second. A host that sends many of them, because of
many changes or on purpose, would leave no time for the user's commands.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from phaselock.protocol.codec import ProtocolError
from phaselock.protocol.messages import QueueChange, QueueUpdate
from phaselock.session.queue_updates import updated

REST = 4.0
"""After an update the next one waits for this multiple of the time that it took."""
MAX_REST_S = 1.0


class QueueUpdates:
    """Passes updates to `take`, which must not raise. For the network thread."""

    def __init__(self, take: Callable[[QueueUpdate | QueueChange], None], told: Callable[[], QueueUpdate]) -> None:
        """`told` returns the queue as it was taken last."""
        self._take = take
        self._told = told
        self._loop = asyncio.get_running_loop()
        self._newest: QueueUpdate | QueueChange | None = None
        self._due: asyncio.TimerHandle | None = None
        self._next_at_s = 0.0

    def add(self, update: QueueUpdate | QueueChange) -> None:
        """Take the update now, or later if the last one took long. It replaces one that waits, or is joined with it.
        ProtocolError for a change that does not fit to what waits."""
        waiting = self._newest
        if isinstance(update, QueueChange) and waiting is not None:
            try:
                whole = updated(self._told(), waiting) if isinstance(waiting, QueueChange) else waiting
                update = updated(whole, update)
            except ValueError as error:
                raise ProtocolError(str(error)) from None
        self._newest = update
        if self._loop.time() >= self._next_at_s:
            self.flush()
        elif self._due is None:
            self._due = self._loop.call_at(self._next_at_s, self.flush)

    def flush(self) -> None:
        """Take the update that waits now. Call it before any message that depends on the queue."""
        update = self._newest
        self.drop()
        if update is not None:
            began_s = self._loop.time()
            self._take(update)
            ended_s = self._loop.time()
            self._next_at_s = ended_s + min(MAX_REST_S, REST * (ended_s - began_s))

    def drop(self) -> None:
        """Forget the update that waits."""
        self._newest = None
        if self._due is not None:
            self._due.cancel()
            self._due = None
