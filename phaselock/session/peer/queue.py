"""The queue of the session, as the host has told it last."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

from phaselock.model.names import file_label, person_name, title
from phaselock.model.queue import ItemStatus, QueueItem
from phaselock.protocol import messages as m
from phaselock.session.outbox import Outbox
from phaselock.session.peer.breach import Breach
from phaselock.session.peer.files import PeerFiles
from phaselock.session.peer.gains import PeerGains
from phaselock.session.peer.playback import PeerPlayback
from phaselock.session.queue_updates import updated


class PeerQueue:
    """`now_ns` is the peer's local time."""

    def __init__(
        self,
        files: PeerFiles,
        gains: PeerGains,
        playback: PeerPlayback,
        outbox: Outbox,
        session_ns: Callable[[int], int | None],
    ) -> None:
        self._files = files
        self._gains = gains
        self._playback = playback
        self._outbox = outbox
        self._session_ns = session_ns
        self.told = m.QueueUpdate((), 0)
        """With texts that are safe to show."""
        self._safe: dict[tuple[str, ...], QueueItem] = {}
        """Rows of the last queue with texts that are safe to show, by the texts that the host sent. Reducing texts is
        slow."""

    def take(self, queue: tuple[QueueItem, ...], revision: int, *, now_ns: int) -> None:
        """`queue` may be the rows that are known, changed."""
        known, self._safe = self._safe, {}  # most rows were in the last queue, too
        rows = []
        for item in queue:
            texts = item.file_name, item.added_by, item.title, item.artist
            safe = known.get(texts) or self._safe.get(texts) or _safe(item)
            self._safe[texts] = safe
            rows.append(dataclasses.replace(safe, id=item.id, duration_secs=item.duration_secs, status=item.status))
        self.told = m.QueueUpdate(tuple(rows), revision)
        self._files.take_queue(self.told.queue)
        self._gains.take_queue({item.id for item in self.told.queue} | self._playback.file_ids())
        self._outbox.note_queue(self.told.queue, revision, self._session_ns(now_ns))

    def change(self, message: m.QueueChange, *, now_ns: int) -> None:
        """The host tells what has changed. Breach if that contradicts the queue."""
        try:
            update = updated(self.told, message)
        except ValueError as error:
            raise Breach(str(error)) from None
        self.take(update.queue, update.revision, now_ns=now_ns)

    def now(self) -> QueueItem | None:
        """The row of the current track, even if it was removed from the queue; None if there is none."""
        timeline = self._playback.timeline
        if timeline is None:
            return None
        row = next((item for item in self.told.queue if item.id == timeline.file_id), None)
        t = self._files.track(timeline.file_id)
        if row is not None or t is None:
            return row
        return QueueItem(t.file_id, t.file_name, t.duration_s, "", ItemStatus.PLAYING, t.title, t.artist)

    def waiting(self, sha256: bytes) -> QueueItem | None:
        """The row of this song that has not been played yet."""
        for item in self.told.queue:
            track = self._files.track(item.id)
            if track is not None and track.sha256 == sha256 and item.status is not ItemStatus.PLAYED:
                return item
        return None


def _safe(item: QueueItem) -> QueueItem:
    """The row with texts that are safe to show."""
    return dataclasses.replace(
        item,
        file_name=file_label(item.file_name),
        added_by=person_name(item.added_by),
        title=title(item.title),
        artist=title(item.artist),
    )
