"""What a host tells instead of the whole queue."""

from __future__ import annotations

import dataclasses
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from phaselock.model.queue import MAX_ITEMS, ItemStatus, QueueItem
from phaselock.model.queue_change import QueueDifference, RowStatus, applied, difference


def row(number: int, status: ItemStatus = ItemStatus.READY) -> QueueItem:
    return QueueItem(UUID(int=number), f"{number}.mp3", 60.0, "Hana", status)


queues = st.lists(
    st.tuples(st.integers(0, 12), st.sampled_from(ItemStatus)), max_size=12, unique_by=lambda one: one[0]
).map(lambda rows: tuple(row(*one) for one in rows))


@given(queues, queues)
def test_the_difference_leads_from_any_queue_to_any_other(
    old: tuple[QueueItem, ...], new: tuple[QueueItem, ...]
) -> None:
    assert applied(old, difference(old, new)) == new


def test_only_what_has_changed_is_told() -> None:
    queue = tuple(map(row, range(100)))
    assert difference(queue, queue) == QueueDifference(100, 0, (), ())
    assert difference(queue, (*queue, row(100))) == QueueDifference(100, 0, (row(100),), ())
    assert difference(queue, (*queue[:40], *queue[41:])) == QueueDifference(40, 1, (), ())
    assert difference(queue, (*queue[:5], row(200), *queue[5:])) == QueueDifference(5, 0, (row(200),), ())
    swapped = difference(queue, (*queue[:7], queue[8], queue[7], *queue[9:]))
    assert (swapped.at, swapped.removed, len(swapped.rows)) == (7, 2, 2)
    plays = (*queue[:3], dataclasses.replace(queue[3], status=ItemStatus.PLAYING), *queue[4:])
    assert difference(queue, plays) == QueueDifference(100, 0, (), (RowStatus(3, ItemStatus.PLAYING),))
    assert difference(queue, plays[1:]) == QueueDifference(0, 1, (), (RowStatus(2, ItemStatus.PLAYING),))


@pytest.mark.parametrize(
    "change",
    [
        QueueDifference(5, 0, (), ()),
        QueueDifference(2, 3, (), ()),
        QueueDifference(0, 0, (), (RowStatus(4, ItemStatus.READY),)),
        QueueDifference(4, 0, tuple(map(row, range(10, MAX_ITEMS + 7))), ()),
    ],
)
def test_a_change_that_does_not_fit_is_refused(change: QueueDifference) -> None:
    with pytest.raises(ValueError):
        applied(tuple(map(row, range(4))), change)
