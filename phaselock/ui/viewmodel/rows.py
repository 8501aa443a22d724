"""The rows of the queue. There may be two thousand: only changed rows are made again."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple
from uuid import UUID

from phaselock.frozen import frozen
from phaselock.language.catalogue import tr, tr_plural
from phaselock.model.file_kinds import without_ending
from phaselock.model.party import Order
from phaselock.model.queue import ItemStatus, QueueItem
from phaselock.model.snapshot import FileState, PeerView, SessionSnapshot, VotesView
from phaselock.session.sentences import time_text
from phaselock.ui.viewmodel.values import QueueRow
from phaselock.ui.viewmodel.words import initial, span_text


class Mark(NamedTuple):
    """The fields of a row that change while its item stays the same."""

    status_text: str = ""
    progress: float | None = None
    votes: int = 0
    voted: bool = False
    can_vote: bool = False
    voters: tuple[str, ...] = ()


PLAIN, VOTABLE = Mark(), Mark(can_vote=True)
_WAITING = frozenset({ItemStatus.READY, ItemStatus.TRANSFERRING})


@frozen
class Rows:
    """All rows, and the line of text above them."""

    rows: tuple[QueueRow, ...]
    note: str


def song(item: QueueItem) -> str:
    """The title of a track for users, or its file name."""
    return item.title or without_ending(item.file_name)


def item_of(queue: tuple[QueueItem, ...], file_id: UUID | None) -> QueueItem | None:
    """The item with this id; None if it is not in the queue."""
    if file_id is None:
        return None
    number = file_id.int  # comparing integers: UUID.__eq__ takes three times as long
    return next((item for item in queue if item.id.int == number), None)


def can_vote(snapshot: SessionSnapshot, item: QueueItem) -> bool:
    """Whether votes can move this song."""
    return snapshot.rules.order is Order.FAIR and item.status in _WAITING


def ready_text(number: int, total: int) -> str:
    """How many peers have a file, or how many files a peer has."""
    return tr("{number} of {total} ready").format(number=number, total=total)


class QueueRows:
    """Makes the rows of a queue. A screen keeps one object, which reuses the rows that have not changed."""

    def __init__(self) -> None:
        self._queue: tuple[QueueItem, ...] = ()
        self._places: dict[UUID, int] = {}
        self._haves: tuple[frozenset[UUID], ...] = ()
        self._counts: list[int] = []
        self._marks: list[Mark] = []
        self._rows = Rows((), "")

    def rows(
        self,
        queue: tuple[QueueItem, ...],
        peers: Sequence[PeerView],
        host_name: str,
        votes: Sequence[VotesView] = (),
        order: Order = Order.HAND,
    ) -> Rows:
        """The rows, with the progress of these peers, the votes, and the names of those who have added songs and are
        not the host. Returns the same object while nothing has changed."""
        before, marks_before, rows_before = self._queue, self._marks, self._rows.rows
        haves = tuple(peer.have for peer in peers)
        changed = queue is not before and queue != before
        if changed:
            self._places = {item.id: place for place, item in enumerate(queue)}
        if changed or haves != self._haves:
            travelling = ItemStatus.TRANSFERRING
            self._counts = [
                sum(item.id in have for have in haves) if item.status is travelling else -1 for item in queue
            ]
        self._queue, self._haves = queue, haves
        self._marks = self._marked(peers)
        self._count_votes(votes, order)
        if not changed and self._marks == marks_before:
            return self._rows
        same = [*map(_same, before, queue, marks_before, self._marks)]
        same += [False] * (len(queue) - len(same))
        rows = tuple(
            rows_before[place] if same[place] else _row(place + 1, item, mark, host_name)
            for place, (item, mark) in enumerate(zip(queue, self._marks, strict=True))
        )
        self._rows = Rows(rows, _note(queue) if changed else self._rows.note)
        return self._rows

    def _marked(self, peers: Sequence[PeerView]) -> list[Mark]:
        texts: list[Mark] = [*(Mark(ready_text(count, len(peers))) for count in range(len(peers) + 1)), PLAIN]
        marks = [texts[count] for count in self._counts] if peers else [PLAIN] * len(self._counts)
        parts: dict[int, list[float]] = {}
        for peer in peers:
            for file in peer.files:
                place = self._places.get(file.file_id)
                if place is None:
                    continue
                if file.state is FileState.SENDING:
                    parts.setdefault(place, []).append(file.done_bytes / file.size if file.size else 0.0)
                else:
                    failed = file.state is FileState.FAILED
                    form = tr("{name} has not got it") if failed else tr("{name} cannot play it")
                    marks[place] = Mark(form.format(name=peer.name))
        for place, of_peers in parts.items():
            marks[place] = Mark(marks[place].status_text, min(1.0, sum(of_peers) / len(of_peers)))
        return marks

    def _count_votes(self, votes: Sequence[VotesView], order: Order) -> None:
        if order is Order.FAIR:
            for place, item in enumerate(self._queue):
                if item.status in _WAITING:
                    mark = self._marks[place]
                    self._marks[place] = VOTABLE if mark is PLAIN else mark._replace(can_vote=True)
        for one in votes:
            place_of_it = self._places.get(one.file_id)
            if place_of_it is not None and self._queue[place_of_it].status in _WAITING:
                mark = self._marks[place_of_it]
                self._marks[place_of_it] = mark._replace(votes=one.votes, voted=one.mine, voters=one.names)


def _same(before: QueueItem, item: QueueItem, mark_before: Mark, mark: Mark) -> bool:
    return mark_before == mark and (before is item or before == item)


def _row(number: int, item: QueueItem, mark: Mark, host_name: str) -> QueueRow:
    title = song(item)
    of_host = item.added_by in ("", host_name)
    added_by = "" if of_host else tr("added by {name}").format(name=item.added_by)
    return QueueRow(
        item.id,
        number,
        title,
        " · ".join(filter(None, (item.artist, added_by))),
        time_text(item.duration_secs),
        item.status.value,
        mark.status_text,
        item.status is ItemStatus.PLAYING,
        item.status is ItemStatus.PLAYED,
        mark.progress,
        initial(title),
        mark.votes,
        mark.voted,
        mark.can_vote,
        mark.voters,
    )


def _note(queue: tuple[QueueItem, ...]) -> str:
    if not queue:
        return ""
    form = tr_plural("{number} track, {duration}", "{number} tracks, {duration}", len(queue))
    return form.format(number=len(queue), duration=span_text(sum(item.duration_secs for item in queue)))
