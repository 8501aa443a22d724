"""Collects the effects of one call of a session and sorts them: messages, then playback, then reports to users."""

from __future__ import annotations

from phaselock.model.notices import Notice
from phaselock.model.queue import QueueItem
from phaselock.model.snapshot import RequestView
from phaselock.model.timeline import Timeline
from phaselock.model.types import Track
from phaselock.session import events as e
from phaselock.session.effects import Effect, Notify


class Outbox:
    """Messages come first, because other machines wait for them. Reports come last: their delay matters least.

    `session_ns` is the session time of a report in nanoseconds; None while session time is unknown.
    """

    def __init__(self) -> None:
        self._acts: list[Effect] = []
        self._notes: list[Effect] = []

    def do(self, *effects: Effect) -> None:
        """Append effects, in this order, before all reports."""
        self._acts += effects

    def note(self, event: e.Event) -> None:
        """Report an event to the user."""
        self._notes.append(Notify(event))

    def error(self, notice: Notice, session_ns: int | None) -> None:
        """Report that a command cannot be done or that something failed."""
        self.note(e.Failed(session_ns, notice))

    def warn(self, notice: Notice, session_ns: int | None) -> None:
        """Report a problem with which the session continues."""
        self.note(e.Warned(session_ns, notice))

    def note_playback(self, kind: type[e.PlaybackEvent], track: Track, timeline: Timeline, session_ns: int) -> None:
        """Report what the loudspeakers do at `session_ns`, with the position of `timeline` at that time."""
        frame = min(timeline.frame_at(session_ns), track.frames)
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
        """Report the state of a file transfer."""
        about = session_ns, track.file_id, track.file_name, track.size
        self.note(e.TransferChanged(*about, state, peer, done_bytes, reason))

    def note_request(self, request: RequestView, session_ns: int | None) -> None:
        """Report the state of a song request."""
        self.note(e.RequestChanged(session_ns, e.request_row(request)))

    def note_queue(self, items: tuple[QueueItem, ...], revision: int, session_ns: int | None) -> None:
        """Report the whole queue."""
        self.note(e.QueueChanged(session_ns, revision, tuple(map(e.queue_row, items))))

    def drain(self, *follow: Effect) -> list[Effect]:
        """Return and clear all effects collected since the last call, with `follow` between messages and reports."""
        effects = [*self._acts, *follow, *self._notes]
        self._acts, self._notes = [], []
        return effects
