"""What is playing and what is armed behind it: the same bookkeeping on the host and on every peer."""

from __future__ import annotations

from phaselock.model.timeline import Timeline


class Playback:
    """Lines only: who may change them and what the files are is known outside."""

    def __init__(self) -> None:
        self.line: Timeline | None = None
        """The current track: sounding or about to, or, with a stop, paused. None when nothing is playing."""
        self.then: Timeline | None = None
        """The next track, armed to start where the current one ends."""
        self.sound: Timeline | None = None
        """What the loudspeaker follows: the line, or after a stop the old one up to the common instant of silence."""

    @property
    def playing(self) -> bool:
        """A line runs (or is about to start)."""
        return self.line is not None and self.line.stop_session_ns is None

    @property
    def paused(self) -> bool:
        """A line stands still and may be resumed."""
        return self.line is not None and self.line.stop_session_ns is not None

    def follow(self, line: Timeline) -> None:
        """From now on this line, and nothing behind it."""
        self.line = self.sound = line
        self.then = None

    def promote(self) -> None:
        """The armed line becomes the current one."""
        self.line = self.sound = self.then
        self.then = None

    def finish(self) -> None:
        """The last frame was played: nothing is left to silence."""
        self.line = self.then = None

    def stop(self, session_ns: int | None) -> None:
        """Nothing is playing; the loudspeaker falls silent at that time (None: at once)."""
        if self.then is not None and session_ns is not None and session_ns >= self.then.start_session_ns:
            self.promote()
        if session_ns is None or self.line is None:
            self.sound = None
        elif self.playing:
            self.sound = self.line.stopped_at(session_ns)
        self.line = self.then = None
