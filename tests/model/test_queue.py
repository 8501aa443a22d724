from __future__ import annotations

import dataclasses
from uuid import UUID

import pytest

from phaselock.model.queue import MAX_ITEMS, ItemStatus, Queue
from phaselock.model.types import Track


def track(number: int) -> Track:
    return Track(UUID(int=number), f"{number}.mp3", 10, bytes(32), 44100, 44100 * number)


def queue_of(*numbers: int) -> Queue:
    queue = Queue()
    for number in numbers:
        queue = queue.append(track(number), "Hana")
    return queue


def test_tracks_keep_their_order_and_every_change_its_number() -> None:
    queue = queue_of(3, 1, 2)
    assert [item.id.int for item in queue.items()] == [3, 1, 2]
    assert (len(queue), queue.revision) == (3, 3)


def test_a_change_leaves_the_old_queue_as_it_was() -> None:
    before = queue_of(1)
    before.append(track(2), "Hana")
    assert len(before) == 1
    with pytest.raises(dataclasses.FrozenInstanceError):
        before.revision = 9  # type: ignore[misc]


def test_finding_tracks() -> None:
    queue = queue_of(1, 2)
    assert queue.track(UUID(int=2)) == track(2)
    assert queue.track(UUID(int=9)) is None
    assert queue.track(None) is None
    assert queue.after(UUID(int=1)) == track(2)
    assert queue.after(UUID(int=2)) is None
    assert queue.after(UUID(int=9)) is None
    assert Queue().after(UUID(int=1)) is None


def test_a_track_is_queued_once_and_the_queue_has_an_end() -> None:
    with pytest.raises(ValueError, match="already"):
        queue_of(1, 1)
    full = queue_of(*range(1, MAX_ITEMS + 1))
    with pytest.raises(ValueError, match="full"):
        full.append(track(MAX_ITEMS + 1), "Hana")


def test_statuses_change_the_revision_only_when_they_change() -> None:
    queue = queue_of(1, 2)
    changed = queue.with_statuses({UUID(int=2): ItemStatus.READY})
    assert [item.status for item in changed.items()] == [ItemStatus.TRANSFERRING, ItemStatus.READY]
    assert changed.revision == queue.revision + 1
    assert changed.with_statuses({UUID(int=2): ItemStatus.READY}) is changed


def test_an_item_says_what_people_want_to_know() -> None:
    item = queue_of(2).items()[0]
    assert (item.file_name, item.duration_secs, item.added_by) == ("2.mp3", 2.0, "Hana")
