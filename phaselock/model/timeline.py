"""The timeline that all computers follow: which frame of a track leaves the loudspeaker at which session time."""

from __future__ import annotations

import dataclasses
from uuid import UUID

from phaselock.frozen import frozen


@frozen
class FadeOut:
    """A track fades out from `begin_session_ns` on, for `length_ns`, and ends."""

    begin_session_ns: int
    length_ns: int


@frozen
class Timeline:
    """track frame = anchor_frame + (session time - start_session_ns) * rate_hz / 1e9

    The track sounds from `start_session_ns` on. If `stop_session_ns` is set, it is silent from there on (a pause).
    """

    file_id: UUID
    rate_hz: int
    anchor_frame: int
    start_session_ns: int
    stop_session_ns: int | None = None
    crossfade_ns: int = 0
    """For this long from its start, the track fades in and the one before it fades out, at equal power. 0: the one
    before ends where this one starts."""
    fade_out: FadeOut | None = None
    """The fade-out into the next track. None: the track plays to its end."""

    def frame_at(self, session_ns: int) -> int:
        """The track frame at `session_ns`, rounded down, in integer arithmetic: all computers get the same frame.

        Before the start it is the anchor frame; after the stop it is the frame at the stop.
        """
        if self.stop_session_ns is not None:
            session_ns = min(session_ns, self.stop_session_ns)
        elapsed_ns = max(0, session_ns - self.start_session_ns)
        return self.anchor_frame + elapsed_ns * self.rate_hz // 1_000_000_000

    def session_ns_at(self, frame: int) -> int:
        """The session time at which `frame` leaves the loudspeaker, rounded up to a whole nanosecond."""
        return self.start_session_ns - (self.anchor_frame - frame) * 1_000_000_000 // self.rate_hz

    def stopped_at(self, session_ns: int) -> Timeline:
        """The same timeline, silent from `session_ns` on."""
        return dataclasses.replace(self, stop_session_ns=session_ns)

    def into(self, following: Timeline | None) -> Timeline:
        """The same timeline, which fades out where `following` fades in."""
        if following is None or not following.crossfade_ns:
            return dataclasses.replace(self, fade_out=None)
        return dataclasses.replace(self, fade_out=FadeOut(following.start_session_ns, following.crossfade_ns))
