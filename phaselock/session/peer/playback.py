"""The playback at a peer: it checks the host's commands, and follows their timelines.

What this machine plays also depends on its files and on its clock.
"""

from __future__ import annotations

from collections.abc import Callable
from uuid import UUID

from phaselock.model.sweeps import RATE_HZ, SWEEP_ID
from phaselock.model.timeline import Timeline
from phaselock.model.types import ClockStatus
from phaselock.protocol import messages as m
from phaselock.session import events as e
from phaselock.session.effects import Effect, Follow, UseSounds
from phaselock.session.outbox import Outbox
from phaselock.session.peer.breach import Breach
from phaselock.session.peer.files import PeerFiles
from phaselock.session.peer.gains import PeerGains
from phaselock.session.playback import Playback


class PeerPlayback:
    """The playback of a peer's session. `now_ns` is the peer's local time.

    Commands of the host raise Breach if they contradict earlier messages.
    """

    def __init__(self, files: PeerFiles, gains: PeerGains, clock: Callable[[], ClockStatus], outbox: Outbox) -> None:
        self._files = files
        self._gains = gains
        self._clock = clock
        """Returns the newest state of the session clock."""
        self._outbox = outbox
        self._playback = Playback()
        self._sweeps: Timeline | None = None
        """The sweeps of a calibration, in place of the playback."""
        self._followed = Follow(None)

    # -- from the host -----------------------------------------------------------------------------------------------

    def join(self, state: m.SessionState) -> None:
        """Follow the timelines that the host has when it accepts this peer."""
        self._sweeps = None
        timeline, armed = _timeline(state.line), _timeline(state.then)
        if timeline is None:
            self._playback.stop(None)
        elif timeline != self._playback.current:
            self._playback.follow(timeline)
        self._playback.armed = armed if timeline is not None else None

    def go_on(self, current: Timeline | None, armed: Timeline | None) -> None:
        """This machine was the host, and plays these timelines."""
        self._playback.current = self._playback.sound = current
        self._playback.armed = armed

    def check_rate(self, file_id: UUID, rate_hz: int) -> None:
        """Check the rate of an offered track. Breach if a timeline of this track has another one."""
        for timeline in self._timelines():
            if timeline.file_id == file_id and timeline.rate_hz != rate_hz:
                raise Breach("a line at another rate than its track")

    def play(self, command: m.PlayCommand) -> None:
        """Start a track, or arm it behind the current one. Only a track behind another one has a crossfade.

        A track that the host has not offered yet has an unknown end. Every other track is armed behind it: this machine
        cannot play the current one, and the armed one starts in time in any case.
        """
        at_ns, track = command.target_time_ns, self._files.track(command.file_id)
        new = Timeline(
            command.file_id, command.rate_hz, command.position_samples, at_ns, crossfade_ns=command.crossfade_ns
        )
        if track is not None and track.rate_hz != command.rate_hz:
            raise Breach("a line at another rate than its track")
        armed = self._playback.armed
        if armed is not None and self._is_behind(new, armed):
            # The host has changed to the armed track just before the end of the current one, and arms the next one.
            self._playback.promote()
            self._note_playback(e.Playing, armed, armed.start_session_ns)
        timeline, end_ns = self._playback.current, self._track_end_ns()
        is_other = self._playback.playing and timeline is not None and timeline.file_id != new.file_id
        if new == timeline:
            self._playback.armed = None
        elif is_other and (new.crossfade_ns or end_ns is None or at_ns >= end_ns):
            self._playback.armed = new
        else:
            self._playback.follow(new)
            self._note_playback(e.Playing, new, at_ns)

    def pause(self, command: m.PauseCommand, *, now_ns: int) -> None:
        """Pause at one instant."""
        (file_id, rate_hz), at_ns = self._meant(command), command.target_time_ns
        running = next((timeline for timeline in self._timelines() if timeline.file_id == file_id), None)
        if running is not None and at_ns is not None:
            timeline = running.stopped_at(at_ns)
        else:
            at_ns = at_ns or self._session_ns(now_ns) or 0
            timeline = Timeline(file_id, rate_hz, command.position_samples, at_ns, at_ns)
        self._playback.follow(timeline)
        self._note_playback(e.Paused, timeline, at_ns)

    def resume(self, command: m.ResumeCommand) -> None:
        """Continue at the position of the pause."""
        self._follow(e.Resumed, *self._meant(command), command.position_samples, command.target_time_ns)

    def seek(self, command: m.SeekCommand) -> None:
        """Go to another position. A paused track stays paused."""
        at_ns = command.target_time_ns
        stop_ns = at_ns if self._playback.paused else None
        self._follow(e.Seeked, *self._meant(command), command.position_samples, at_ns, stop_ns)

    def stop(self, command: m.StopCommand, *, now_ns: int) -> None:
        """Stop at one instant."""
        at_ns = command.target_time_ns
        self._playback.stop(at_ns)
        self._outbox.note(e.Stopped(self._session_ns(now_ns) if at_ns is None else at_ns))

    def sweep(self, command: m.SweepCommand) -> None:
        """Play the sweeps of a calibration, until `end_sweeps`."""
        self._outbox.do(UseSounds(command.sounds))
        self._sweeps = Timeline(SWEEP_ID, RATE_HZ, 0, command.target_time_ns)

    def end_sweeps(self) -> None:
        """Follow the playback again."""
        self._sweeps = None

    # -- state and time ----------------------------------------------------------------------------------------------

    @property
    def timeline(self) -> Timeline | None:
        """The current timeline."""
        return self._playback.current

    @property
    def armed(self) -> Timeline | None:
        """The armed timeline."""
        return self._playback.armed

    def file_ids(self) -> frozenset[UUID]:
        """The tracks of all timelines."""
        return self._playback.file_ids()

    def sounds(self) -> bool:
        """A track plays on this machine: it has the file, and knows the session time."""
        timeline, known = self._playback.current, self._clock().offset_ns is not None
        return timeline is not None and self._playback.playing and self._files.has(timeline.file_id) and known

    def end_ns(self) -> int | None:
        """Session time at which the current track ends, or the crossfade into the armed one begins. If its length is
        unknown: at which the armed one starts, else None. None also if no track is playing."""
        if not self._playback.playing:
            return None
        armed, end_ns = self._playback.armed, self._track_end_ns()
        if armed is not None and (armed.crossfade_ns or end_ns is None):
            return armed.start_session_ns
        return end_ns

    def note_current(self) -> None:
        """Report the track that plays already: its file, or the session time, was missing until now."""
        timeline = self._playback.current
        if timeline is not None and self._playback.playing:
            self._note_playback(e.Playing, timeline, timeline.start_session_ns)

    def end_tracks(self, *, now_ns: int) -> None:
        """End the tracks whose last frame was played, and start the armed ones."""
        session_ns, known_end_ns, armed = self._session_ns(now_ns), self._track_end_ns(), self._playback.armed
        is_early = armed is not None and known_end_ns is not None and armed.start_session_ns < known_end_ns
        if armed is not None and is_early and not armed.crossfade_ns:
            # It was armed behind a track of unknown length. The host did not mean the end of that track.
            self._playback.follow(armed)
            self._note_playback(e.Playing, armed, armed.start_session_ns)
        while session_ns is not None and (end_ns := self.end_ns()) is not None and session_ns >= end_ns:
            timeline, armed = self._playback.current, self._playback.armed
            assert timeline is not None
            self._note_playback(e.TrackEnded, timeline, end_ns)
            if armed is None:
                self._playback.finish()
                continue
            self._playback.promote()
            self._note_playback(e.Playing, armed, armed.start_session_ns)

    def end(self) -> None:
        """The session is over: stop at once."""
        self._sweeps = None
        self._playback.stop(None)

    def follow(self) -> list[Effect]:
        """The effect that brings the audio output up to date, if it is not."""
        if self._followed == (wanted := self._gains.follow(*self._wanted())):
            return []
        self._followed = wanted
        return [wanted]

    # -- inside ------------------------------------------------------------------------------------------------------

    def _track_end_ns(self) -> int | None:
        """Session time of the last frame of the current track; None if none is playing or its length is unknown."""
        return self._end_of_ns(self._playback.current)

    def _is_behind(self, new: Timeline, armed: Timeline) -> bool:
        """Whether `new` follows the armed track, and does not replace it behind the current one. Its place tells: it
        begins at the end of one of the two, except for silence that is skipped."""
        armed_end_ns = self._end_of_ns(armed)
        current_end_ns = armed.start_session_ns + armed.crossfade_ns
        return armed_end_ns is not None and (
            new.start_session_ns + new.crossfade_ns > (current_end_ns + armed_end_ns) // 2
        )

    def _end_of_ns(self, timeline: Timeline | None) -> int | None:
        track = self._files.track(timeline.file_id) if timeline is not None else None
        if timeline is None or timeline.stop_session_ns is not None or track is None:
            return None
        return timeline.session_ns_at(track.frames)

    def _timelines(self) -> list[Timeline]:
        return [timeline for timeline in (self._playback.current, self._playback.armed) if timeline is not None]

    def _meant(self, command: m.PauseCommand | m.ResumeCommand | m.SeekCommand) -> tuple[UUID, int]:
        """The track of a command and its rate. Without a track the command is for the current one.

        Breach if there is none, or if the rate is wrong.
        """
        file_id, rate_hz = command.file_id, command.rate_hz
        if file_id is None and self._playback.current is not None:
            file_id = self._playback.current.file_id
        track = self._files.track(file_id)
        rates = [timeline.rate_hz for timeline in self._timelines() if timeline.file_id == file_id]
        known = track.rate_hz if track else rates[0] if rates else rate_hz
        if file_id is None or known is None:
            raise Breach("a command for a track that was never named")
        if rate_hz is not None and rate_hz != known:
            raise Breach("a line at another rate than its track")
        return file_id, known

    def _follow(
        self,
        event: type[e.PlaybackEvent],
        file_id: UUID,
        rate_hz: int,
        frame: int,
        at_ns: int,
        stop_ns: int | None = None,
    ) -> None:
        timeline = Timeline(file_id, rate_hz, frame, at_ns, stop_ns)
        self._playback.follow(timeline)
        self._note_playback(event, timeline, at_ns)

    def _note_playback(self, event: type[e.PlaybackEvent], timeline: Timeline, session_ns: int) -> None:
        """Report a change of playback, if this machine plays it: it has the file, and knows the session time."""
        track = self._files.track(timeline.file_id)
        if track is not None and self._files.has(timeline.file_id) and self._clock().offset_ns is not None:
            self._outbox.note_playback(event, track, timeline, session_ns)

    def _session_ns(self, now_ns: int) -> int | None:
        return self._clock().session_from_local(now_ns)

    def _wanted(self) -> tuple[Timeline | None, Timeline | None]:
        """The current and the next timeline for the audio output.

        A timeline whose file is not here is left out. If both are left out, the old one stops when the new one starts.
        """
        if self._sweeps is not None:
            return self._sweeps, None
        sound, armed = self._playback.lines()
        playable = [one for one in (sound, armed) if one is not None and self._files.has(one.file_id)]
        if not playable and sound is not None:
            # This machine does not have the new track yet. The old one stops when the others start the new one.
            old = self._followed.timeline
            ends = old is None or old.stop_session_ns is not None or old.fade_out is not None
            return (old if old is None or ends else old.stopped_at(sound.start_session_ns)), None
        timeline, next_timeline = [*playable, None, None][:2]
        return timeline, next_timeline


def _timeline(state: m.LineState | None) -> Timeline | None:
    """The timeline in the state that a new peer receives."""
    if state is None:
        return None
    return Timeline(
        state.file_id,
        state.rate_hz,
        state.position_samples,
        state.target_time_ns,
        state.stop_time_ns,
        state.crossfade_ns,
    )
