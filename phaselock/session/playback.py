"""The current timeline and the armed one. Host and peers use the same class."""

from __future__ import annotations

from uuid import UUID

from phaselock.model.timeline import Timeline


class Playback:
    """Holds only timelines. Permissions and files are handled by the caller."""

    def __init__(self) -> None:
        self.current: Timeline | None = None
        """Timeline of the current track; paused if it has a stop time. None: nothing is playing or about to start."""
        self.armed: Timeline | None = None
        """Timeline of the next track. It starts at the end of the current one, or earlier with a crossfade. None: no
        track is armed."""
        self.sound: Timeline | None = None
        """The timeline that the audio output plays: `current`, or after `stop` the old one up to the common stop
        time."""

    @property
    def playing(self) -> bool:
        """A track is playing or about to start."""
        return self.current is not None and self.current.stop_session_ns is None

    @property
    def paused(self) -> bool:
        """A track is paused and can be resumed."""
        return self.current is not None and self.current.stop_session_ns is not None

    def file_ids(self) -> frozenset[UUID]:
        """The tracks of all timelines."""
        timelines = (self.current, self.armed, self.sound)
        return frozenset(timeline.file_id for timeline in timelines if timeline is not None)

    def lines(self) -> tuple[Timeline | None, Timeline | None]:
        """The timelines for the audio output: what it plays, and what follows."""
        return self.sound.into(self.armed) if self.sound is not None else None, self.armed

    def follow(self, timeline: Timeline) -> None:
        """Make `timeline` the current one and disarm the next track."""
        self.current = self.sound = timeline
        self.armed = None

    def promote(self) -> None:
        """Make the armed timeline the current one."""
        self.current = self.sound = self.armed
        self.armed = None

    def finish(self) -> None:
        """The last frame was played. `sound` stays: it is silent after its end, so no stop time is needed."""
        self.current = self.armed = None

    def stop(self, session_ns: int | None) -> None:
        """Stop playing. The audio output becomes silent at that session time (None: at once)."""
        if self.armed is not None and session_ns is not None and session_ns >= self.armed.start_session_ns:
            self.promote()
        if session_ns is None or self.current is None:
            self.sound = None
        elif self.playing:
            self.sound = self.current.stopped_at(session_ns)
        self.current = self.armed = None
