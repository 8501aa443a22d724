"""The order of the songs that wait. It is a function of the queue, the votes and what has played.

With `Order.FAIR` every song has a round. The n-th song of a person that waits is n - 1 rounds after the first one. The
first one is in the round after that of the last song of this person that has played, but not before the present round:
a person who comes late is not ahead of all others for hours. So in each round there is at most one song of a person,
and each song plays after a limited number of others.

In every order the songs of the fallback play last.

Some rows stay at their places behind the current track: the next track that is armed or waited for, and what the host
has moved by hand.
"""

from __future__ import annotations

import bisect
from collections.abc import Collection, Iterable, Mapping, Sequence
from uuid import UUID

from phaselock.model.party import Order
from phaselock.model.queue import QueueEntry
from phaselock.session.person_keys import FALLBACK_KEY


class Rounds:
    """What has played, as far as the rounds need it."""

    def __init__(self) -> None:
        self.last: dict[str, int] = {}
        """The round of the last song that has begun, by the key of the person."""
        self.present = 1
        """The largest round of a song that has begun."""

    def of(self, waiting: Iterable[QueueEntry]) -> dict[UUID, int]:
        """The round of each of these songs."""
        found: dict[UUID, int] = {}
        following: dict[str, int] = {}
        for entry in sorted(waiting, key=lambda one: one.number):
            first = max(self.last.get(entry.asker, 0) + 1, self.present)
            found[entry.track.file_id] = following.get(entry.asker, first)
            following[entry.asker] = found[entry.track.file_id] + 1
        return found

    def began(self, entry: QueueEntry, waiting: Iterable[QueueEntry]) -> None:
        """This song begins to play; `waiting` are the songs that waited, with it."""
        if entry.asker != FALLBACK_KEY:
            self.last[entry.asker] = self.of(waiting)[entry.track.file_id]
            self.present = max(self.present, self.last[entry.asker])


def in_order(
    rows: Sequence[QueueEntry],
    order: Order,
    *,
    played: int,
    waiting: Collection[UUID],
    fixed: Collection[UUID],
    rounds: Mapping[UUID, int],
    votes: Mapping[UUID, int],
) -> list[UUID]:
    """The ids of these rows in their order. `played`: the number of rows up to the current track, with it; or
    up to the last one that has played. `waiting`: the rows that have not played. `fixed`: the rows that stay where they
    are."""

    def place(entry: QueueEntry) -> tuple[int, ...]:
        file_id = entry.track.file_id
        if file_id in waiting and entry.asker == FALLBACK_KEY:
            return (1,)
        if order is not Order.FAIR:
            return (0,)
        if file_id not in waiting:  # the queue plays it again
            return (2,)
        return 0, rounds[file_id], -votes.get(file_id, 0), entry.number

    ids = [entry.track.file_id for entry in rows]
    early = rows[:played]
    if order is Order.FAIR:  # what waits before the current track would never play
        early = [one for one in early if one.track.file_id not in waiting or one.track.file_id in fixed]
    stay = {one.track.file_id for one in early} | {file_id for file_id in ids[played:] if file_id in fixed}
    movable = sorted((one for one in rows if one.track.file_id not in stay), key=place)
    coming = [one.track.file_id for one in movable]
    for at, file_id in enumerate(ids[played:]):
        if file_id in fixed:
            coming.insert(at, file_id)
    return [one.track.file_id for one in early] + coming


def moved(before: Sequence[UUID], after: Sequence[UUID]) -> set[UUID]:
    """The smallest set of ids that have changed their places: the others are in the same order as before."""
    was = {file_id: at for at, file_id in enumerate(before)}
    common = [file_id for file_id in after if file_id in was]
    tails: list[int] = []
    """The smallest last place of an increasing sequence of each length."""
    lengths = []
    for file_id in common:
        at = bisect.bisect_left(tails, was[file_id])
        tails[at : at + 1] = [was[file_id]]
        lengths.append(at + 1)
    wanted, kept = len(tails), set()
    for file_id, length in zip(reversed(common), reversed(lengths), strict=True):
        if length == wanted:
            kept.add(file_id)
            wanted -= 1
    return set(common) - kept
