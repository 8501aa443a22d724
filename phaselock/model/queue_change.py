"""The difference between two states of the queue: what a host tells instead of the whole queue."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Annotated, TypeAlias

from phaselock.frozen import frozen
from phaselock.model.bounds import Size, Within
from phaselock.model.queue import MAX_ITEMS, ItemStatus, QueueItem

Place: TypeAlias = Annotated[int, Within(0, MAX_ITEMS)]


@frozen
class RowStatus:
    """The new status of the row at this place (0 is the first)."""

    place: Place
    status: ItemStatus


@frozen
class QueueDifference:
    """`rows` take the place of the `removed` rows at place `at`. Then `statuses` hold, by the new places."""

    at: Place
    removed: Place
    rows: Annotated[tuple[QueueItem, ...], Size(0, MAX_ITEMS)]
    statuses: Annotated[tuple[RowStatus, ...], Size(0, MAX_ITEMS)]


def difference(old: Sequence[QueueItem], new: Sequence[QueueItem]) -> QueueDifference:
    """What leads from one state to the other. A row that has only changed its status is not replaced."""
    shorter = min(len(old), len(new))
    at = next((place for place in range(shorter) if not _same(old[place], new[place])), shorter)
    behind = next(
        (number for number in range(shorter - at) if not _same(old[-1 - number], new[-1 - number])), shorter - at
    )
    kept = [*range(at), *range(len(new) - behind, len(new))]
    moved = len(new) - len(old)
    statuses = tuple(
        RowStatus(place, new[place].status)
        for place in kept
        if new[place].status is not old[place if place < at else place - moved].status
    )
    return QueueDifference(at, len(old) - behind - at, tuple(new[at : len(new) - behind]), statuses)


def applied(queue: tuple[QueueItem, ...], change: QueueDifference) -> tuple[QueueItem, ...]:
    """The queue after a change. ValueError if the change does not fit to it, or makes it too long."""
    end = change.at + change.removed
    if end > len(queue):
        raise ValueError("a change of rows that are not in the queue")
    rows = [*queue[: change.at], *change.rows, *queue[end:]]
    if len(rows) > MAX_ITEMS:
        raise ValueError("the queue is too long")
    for one in change.statuses:
        if one.place >= len(rows):
            raise ValueError("the status of a row that is not in the queue")
        rows[one.place] = dataclasses.replace(rows[one.place], status=one.status)
    return tuple(rows)


def _same(one: QueueItem, other: QueueItem) -> bool:
    """Both are the same row, perhaps with another status. The texts of a row never change."""
    return one.id == other.id
