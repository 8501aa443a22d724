from __future__ import annotations

import collections
import dataclasses
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from phaselock.model.queue import MAX_ITEMS, ItemStatus, Queue, QueueItem, moved_together, random_place, shuffled
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


def test_an_item_has_the_fields_that_users_see() -> None:
    item = queue_of(2).items()[0]
    assert (item.file_name, item.duration_secs, item.added_by) == ("2.mp3", 2.0, "Hana")


# -- edited ------------------------------------------------------------------------------------------------------------


def numbers(queue: Queue) -> list[int]:
    return [file_id.int for file_id in queue.ids()]


def test_a_row_is_moved_to_its_place() -> None:
    queue = queue_of(1, 2, 3)
    assert numbers(queue.move(UUID(int=3), 0)) == [3, 1, 2]
    assert numbers(queue.move(UUID(int=1), 1)) == [2, 1, 3]
    assert numbers(queue.move(UUID(int=1), 99)) == [2, 3, 1]
    assert numbers(queue.move(UUID(int=3), -4)) == [3, 1, 2]
    assert queue.move(UUID(int=2), 1) is queue and queue.move(UUID(int=9), 0) is queue
    assert queue.move(UUID(int=3), 0).revision == queue.revision + 1


def test_a_removed_row_that_is_kept_is_hidden_and_keeps_its_place() -> None:
    queue = queue_of(1, 2, 3).remove(UUID(int=2), keep=True)
    assert numbers(queue) == [1, 3] == [item.id.int for item in queue.items()] and len(queue) == 2
    assert queue.track(UUID(int=2)) == track(2)
    assert (queue.after(UUID(int=2)), queue.before(UUID(int=2))) == (track(3), track(1))
    assert (queue.after(UUID(int=1)), queue.before(UUID(int=3))) == (track(3), track(1))
    purged = queue.purge(frozenset({UUID(int=2)}))
    assert purged is queue
    purged = queue.purge(frozenset())
    assert purged.track(UUID(int=2)) is None and purged.revision == queue.revision and numbers(purged) == [1, 3]


def test_a_removed_row_that_is_not_kept_is_gone() -> None:
    queue = queue_of(1, 2).remove(UUID(int=1), keep=False)
    assert (numbers(queue), queue.track(UUID(int=1)), queue.revision) == ([2], None, 3)


def test_before_and_after_at_the_ends() -> None:
    queue = queue_of(1, 2)
    assert queue.before(UUID(int=1)) is None and queue.before(UUID(int=9)) is None and queue.before(None) is None
    assert queue.before(UUID(int=2)) == track(1)


CHANGES = st.lists(
    st.tuples(st.sampled_from(["append", "move", "remove", "keep", "purge"]), st.integers(0, 9), st.integers(-1, 6)),
    max_size=25,
)


@given(CHANGES)
def test_the_rows_are_those_of_a_plain_list(changes: list[tuple[str, int, int]]) -> None:
    queue, rows, added = Queue(), [], 0
    for kind, pick, to in changes:
        before = queue
        if kind == "append" or not rows:
            added += 1
            queue, rows = queue.append(track(added), "Hana"), [*rows, added]
        elif kind == "purge":
            queue = queue.purge(frozenset())
            assert queue.revision == before.revision
            continue
        else:
            number = rows[pick % len(rows)]
            rest = [row for row in rows if row != number]
            if kind == "move":
                queue = queue.move(UUID(int=number), to)
                place = max(0, min(to, len(rest)))
                rows = [*rest[:place], number, *rest[place:]]
            else:
                queue, rows = queue.remove(UUID(int=number), keep=kind == "keep"), rest
        assert numbers(queue) == rows and len(queue) == len(rows)
        assert (queue.revision > before.revision) == (queue.items() != before.items())
        for place, number in enumerate(rows):
            after = queue.after(UUID(int=number))
            assert (after and [after.file_id.int]) == (rows[place + 1 : place + 2] or None)
            if after:
                assert queue.before(after.file_id) == queue.track(UUID(int=number))


def test_an_arranged_queue_keeps_unnamed_rows_and_the_playing_track() -> None:
    queue = queue_of(1, 2, 3, 4).remove(UUID(int=2), keep=True)
    arranged = queue.arrange((UUID(int=4), UUID(int=1)))
    assert [one.int for one in arranged.ids()] == [4, 1, 3]
    assert arranged.track(UUID(int=2)) is not None and arranged.revision == queue.revision + 1
    assert arranged.arrange((UUID(int=4),)) is arranged


def test_a_removed_row_comes_back_to_its_place() -> None:
    queue = queue_of(1, 2, 3)
    entry = queue.entry(UUID(int=2))
    assert entry is not None
    for keep in (False, True):
        back = queue.remove(UUID(int=2), keep=keep).restore(entry, 1)
        assert [one.int for one in back.ids()] == [1, 2, 3]
    assert [one.int for one in queue_of(1).restore(entry, 7).ids()] == [1, 2]


def test_the_rows_until_an_entry_count_it_if_it_is_a_row() -> None:
    queue = queue_of(1, 2, 3).remove(UUID(int=2), keep=True)
    assert [queue.rows_until(UUID(int=number)) for number in (1, 2, 3, 4)] == [1, 1, 2, 0]
    assert queue.rows_until(None) == 0


def test_a_random_order_depends_on_the_seed_and_has_no_favourites() -> None:
    ids = [UUID(int=number) for number in range(5)]
    orders = [shuffled(ids, seed) for seed in range(500)]
    assert all(sorted(order) == ids for order in orders) and orders[7] == shuffled(ids, 7)
    for place in range(5):
        counts = collections.Counter(order[place] for order in orders)
        assert all(60 <= counts[one] <= 140 for one in ids)
    places = collections.Counter(random_place(UUID(int=9), seed, 5) for seed in range(500))
    assert sorted(places) == [0, 1, 2, 3, 4] and all(60 <= count <= 140 for count in places.values())


@pytest.mark.parametrize(
    ("chosen", "where", "now", "order"),
    [
        ({4}, "next", 2, (1, 2, 4, 3, 5)),
        ({1, 5}, "next", 3, (2, 3, 1, 5, 4)),
        ({2, 4}, "next", 2, (1, 2, 4, 3, 5)),
        ({4}, "next", None, (4, 1, 2, 3, 5)),
        ({4, 2}, "top", 3, (2, 4, 1, 3, 5)),
        ({1, 3}, "end", 3, (2, 4, 5, 1, 3)),
        (set(), "end", 3, (1, 2, 3, 4, 5)),
    ],
)
def test_songs_are_moved_together(chosen: set[int], where: Any, now: int | None, order: tuple[int, ...]) -> None:
    items = [QueueItem(UUID(int=one), "a.mp3", 1.0, "", ItemStatus.READY, "", "") for one in range(1, 6)]
    ids = frozenset(UUID(int=one) for one in chosen)
    moved = moved_together(items, ids, where, UUID(int=now) if now else None)
    assert tuple(one.int for one in moved) == order
