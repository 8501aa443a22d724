"""The effects of one call of a machine, put into their order: sent, then followed, then told."""

from __future__ import annotations

from phaselock.model.queue import QueueItem
from phaselock.model.snapshot import RequestView
from phaselock.model.timeline import Timeline
from phaselock.model.types import Track
from phaselock.session.effects import Effect, Event, Notify


class Outbox:
    """Sending comes first, because others wait for it; people can wait longest."""

    def __init__(self) -> None:
        self._acts: list[Effect] = []
        self._notes: list[Effect] = []

    def do(self, *effects: Effect) -> None:
        """Have these done, in this order."""
        self._acts += effects

    def note(self, name: str, session_ns: int | None, /, **fields: object) -> None:
        """Tell people of an event."""
        self._notes.append(Notify(Event(name, session_ns, fields)))

    def error(self, message: str, session_ns: int | None, /, **fields: object) -> None:
        """Tell people, in a plain sentence, what cannot be done or went wrong."""
        self.note("error", session_ns, message=message, **fields)

    def note_playback(self, name: str, track: Track, line: Timeline, session_ns: int) -> None:
        """Tell people what the loudspeakers do at `session_ns`, where `line` is then."""
        frame = min(line.frame_at(session_ns), track.frames)
        position_s = round(frame / track.rate_hz, 6)
        self.note(name, session_ns, file_id=str(track.file_id), file_name=track.file_name, position_s=position_s)

    def note_transfer(self, state: str, track: Track, session_ns: int | None, **fields: object) -> None:
        """Tell people how far a file is."""
        fields = {"file_id": str(track.file_id), "file_name": track.file_name, "size": track.size} | fields
        self.note("transfer", session_ns, state=state, **fields)

    def note_request(self, request: RequestView, session_ns: int | None) -> None:
        """Tell people what has become of a wish for a song."""
        self.note("request", session_ns, **request_fields(request))

    def note_queue(self, items: tuple[QueueItem, ...], revision: int, session_ns: int | None) -> None:
        """Tell people of the queue as it is now."""
        self.note("queue", session_ns, revision=revision, queue=[item_fields(item) for item in items])

    def drain(self, *follow: Effect) -> list[Effect]:
        """Everything since the last time."""
        effects = [*self._acts, *follow, *self._notes]
        self._acts, self._notes = [], []
        return effects


def item_fields(item: QueueItem) -> dict[str, object]:
    """A row of the queue in an event."""
    return {
        "id": str(item.id),
        "file_name": item.file_name,
        "title": item.title,
        "artist": item.artist,
        "duration_secs": round(item.duration_secs, 3),
        "added_by": item.added_by,
        "status": item.status.value,
    }


def request_fields(request: RequestView) -> dict[str, object]:
    """A wish for a song in an event."""
    return {
        "request_id": str(request.request_id),
        "number": request.number,
        "peer": request.peer_name,
        "file_name": request.file_name,
        "size": request.size,
        "state": request.state.value,
        "done_bytes": request.done_bytes,
        "reason": request.reason,
    }
