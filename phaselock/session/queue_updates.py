"""The queue as a host tells it, after one more change."""

from __future__ import annotations

from phaselock.model.queue_change import applied
from phaselock.protocol.messages import QueueChange, QueueUpdate


def updated(before: QueueUpdate, message: QueueChange) -> QueueUpdate:
    """The state after this change. ValueError if the change does not fit to the state."""
    if message.base != before.revision:
        raise ValueError("a change of another revision of the queue")
    return QueueUpdate(applied(before.queue, message.change), message.revision)
