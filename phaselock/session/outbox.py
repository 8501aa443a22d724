"""The effects of one call of a session, put into their order: sent, then followed, then told."""

from __future__ import annotations

from phaselock.model.notices import Notice
from phaselock.model.queue import QueueItem
from phaselock.model.snapshot import RequestView
from phaselock.model.timeline import Timeline
from phaselock.model.types import Track
from phaselock.session import events as e
from phaselock.session.effects import Effect, Notify


class Outbox:
    """Sending comes first, because others wait for it; people can wait longest."""

    def __init__(self) -> None:
        self._acts: list[Effect] = []
        self._notes: list[Effect] = []

    def do(self, *effects: Effect) -> None:
        """Have these done, in this order."""
        self._acts += effects

    def note(self, event: e.Event) -> None:
        """Tell people of an event."""
        self._notes.append(Notify(event))

    def error(self, notice: Notice, session_ns: int | None) -> None:
        """Tell people what cannot be done or went wrong."""
        self.note(e.Failed(session_ns, notice))

    def warn(self, notice: Notice, session_ns: int | None) -> None:
        """Tell people what is not as it should be."""
        self.note(e.Warned(session_ns, notice))

    def note_playback(self, kind: type[e.PlaybackEvent], track: Track, line: Timeline, session_ns: int) -> None:
        """Tell people what the loudspeakers do at `session_ns`, where `line` is then."""
        frame = min(line.frame_at(session_ns), track.frames)
        self.note(kind(session_ns, track.file_id, track.file_name, round(frame / track.rate_hz, 6)))

    def note_transfer(
        self,
        state: e.TransferState,
        track: Track,
        session_ns: int | None,
        *,
        peer: str | None = None,
        done_bytes: int | None = None,
        reason: str | None = None,
    ) -> None:
        """Tell people how far a file is."""
        about = session_ns, track.file_id, track.file_name, track.size
        self.note(e.TransferChanged(*about, state, peer, done_bytes, reason))

    def note_request(self, request: RequestView, session_ns: int | None) -> None:
        """Tell people what has become of a request for a song."""
        self.note(e.RequestChanged(session_ns, e.request_row(request)))

    def note_queue(self, items: tuple[QueueItem, ...], revision: int, session_ns: int | None) -> None:
        """Tell people of the queue as it is now."""
        self.note(e.QueueChanged(session_ns, revision, tuple(map(e.queue_row, items))))

    def drain(self, *follow: Effect) -> list[Effect]:
        """Everything since the last time."""
        effects = [*self._acts, *follow, *self._notes]
        self._acts, self._notes = [], []
        return effects
