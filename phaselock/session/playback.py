"""The current timeline and the armed one. Host and peers use the same class."""

from __future__ import annotations

from phaselock.model.timeline import Timeline


class Playback:
    """Holds only timelines. Permissions and files are handled by the caller."""

    def __init__(self) -> None:
        self.line: Timeline | None = None
        """Timeline of the current track; paused if it has a stop time. None: nothing is playing or about to start."""
        self.then: Timeline | None = None
        """Timeline of the next track, armed to start at the end of the current one; None: no track is armed."""
        self.sound: Timeline | None = None
        """The timeline that the audio output plays: `line`, or after `stop` the old one up to the common stop time."""

    @property
    def playing(self) -> bool:
        """A track is playing or about to start."""
        return self.line is not None and self.line.stop_session_ns is None

    @property
    def paused(self) -> bool:
        """A track is paused and can be resumed."""
        return self.line is not None and self.line.stop_session_ns is not None

    def follow(self, line: Timeline) -> None:
        """Make `line` the current timeline and disarm the next track."""
        self.line = self.sound = line
        self.then = None

    def promote(self) -> None:
        """Make the armed timeline the current one."""
        self.line = self.sound = self.then
        self.then = None

    def finish(self) -> None:
        """The last frame was played. `sound` stays: it is silent after its end, so no stop time is needed."""
        self.line = self.then = None

    def stop(self, session_ns: int | None) -> None:
        """Stop playing. The audio output becomes silent at that session time (None: at once)."""
        if self.then is not None and session_ns is not None and session_ns >= self.then.start_session_ns:
            self.promote()
        if session_ns is None or self.line is None:
            self.sound = None
        elif self.playing:
            self.sound = self.line.stopped_at(session_ns)
        self.line = self.then = None
