"""What the host plays: the queue, the cursor in it, the line of the current track and the one armed behind it.

Every start, pause, seek and stop is one session time on all machines, far enough ahead for the slowest of them, and the
slowest is told first.
"""

from __future__ import annotations

import dataclasses
import math
from uuid import UUID

from phaselock.model.names import file_label
from phaselock.model.queue import MAX_ITEMS, ItemStatus, Queue
from phaselock.model.timeline import Timeline
from phaselock.model.types import Track
from phaselock.protocol import messages as m
from phaselock.session.effects import Send
from phaselock.session.members import Crew
from phaselock.session.outbox import Outbox
from phaselock.session.playback import Playback

WAITING = "Waiting for all peers to receive the file."
NOTHING = "Nothing is playing."


class Transport:
    """The play, pause and stop of the host's machine. Call `settle` at the end of every call of the machine."""

    def __init__(self, crew: Crew, outbox: Outbox) -> None:
        self.queue = Queue()
        self.playback = Playback()
        self._crew = crew
        self._outbox = outbox
        self._queue_stale = False
        self._told_revision = 0
        self._played: set[UUID] = set()
        self._cursor: UUID | None = None
        """What `play` starts while nothing is playing; None: the first track that was not played."""
        self._advancing = False
        """The track before the cursor has ended; the cursor's starts by itself once everybody has it."""
        self._autoplay: int | None = None

    # -- the queue ---------------------------------------------------------------------------------------------------

    def add(self, track: Track, added_by: str, *, now_ns: int) -> Track | None:
        """Append a track; None, and an error to the people, when that cannot be."""
        track = dataclasses.replace(track, file_name=file_label(track.file_name))
        if not 0 < track.size <= m.MAX_FILE_BYTES:
            self._outbox.error(f"{track.file_name} is too large to be shared.", now_ns)
        elif len(self.queue) >= MAX_ITEMS:
            self._outbox.error(f"The queue is full: it holds {MAX_ITEMS} tracks.", now_ns)
        else:
            self.queue = self.queue.append(track, added_by)
            self._queue_stale = True
            return track
        return None

    def known(self, file_id: UUID) -> Track:
        """A track that is in the queue for certain."""
        track = self.queue.track(file_id)
        assert track is not None, "lines and transfers speak of queued tracks only"
        return track

    def in_order_of_need(self) -> list[Track]:
        """From the cursor on, then those before it."""
        tracks = [entry.track for entry in self.queue.entries]
        ids = [track.file_id for track in tracks]
        here = ids.index(self._cursor) if self._cursor in ids else 0
        return tracks[here:] + tracks[:here]

    def state(self) -> m.SessionState:
        """What a newcomer is told."""
        line = self.playback.line
        return m.SessionState(
            queue=self.queue.items(),
            revision=self.queue.revision,
            line=None
            if line is None
            else m.LineState(
                line.file_id, line.rate_hz, line.anchor_frame, line.start_session_ns, line.stop_session_ns
            ),
        )

    def crew_changed(self) -> None:
        """Somebody came, left, got a file or was given up: the statuses of the queue may have changed."""
        self._queue_stale = True

    # -- what people ask for -----------------------------------------------------------------------------------------

    def play(self, *, now_ns: int) -> None:
        """Start the track at the cursor, or go on with a paused one."""
        track = self._upcoming()
        if self.playback.paused:
            self.resume(now_ns=now_ns)
        elif self.playback.playing:
            self._outbox.error("It is playing already.", now_ns)
        elif track is None:
            self._outbox.error("There is nothing to play.", now_ns)
        elif self._crew.lack(track.file_id):
            self._outbox.error(WAITING, now_ns, file_id=str(track.file_id))
        else:
            self._start(track, now_ns)

    def autoplay(self, wait_peers: int) -> None:
        """Play as soon as so many peers are ready."""
        self._autoplay = wait_peers

    def pause(self, *, now_ns: int) -> None:
        """Silence on all machines at one instant."""
        at_ns = self._instant(now_ns)
        self._end_tracks_before(at_ns)
        line = self.playback.line
        if line is None or not self.playback.playing:
            self._outbox.error(NOTHING, now_ns)
            return
        self.playback.follow(line.stopped_at(at_ns))
        self._tell_everybody(m.PauseCommand(line.frame_at(at_ns), at_ns, line.file_id))
        self._outbox.note_playback("paused", self.known(line.file_id), line, at_ns)

    def resume(self, *, now_ns: int) -> None:
        """Go on where the pause was."""
        line = self.playback.line
        if line is None or line.stop_session_ns is None:
            self._outbox.error("Nothing is paused.", now_ns)
            return
        at_ns = self._instant(now_ns)
        track = self.known(line.file_id)
        frame = min(line.frame_at(line.stop_session_ns), track.frames)
        line = Timeline(line.file_id, line.rate_hz, frame, at_ns)
        self.playback.follow(line)
        self._tell_everybody(m.ResumeCommand(frame, at_ns, line.file_id))
        self._outbox.note_playback("resumed", track, line, at_ns)

    def stop(self, *, now_ns: int) -> None:
        """Silence on all machines at one instant, and nothing to resume."""
        at_ns = self._instant(now_ns)
        self._end_tracks_before(at_ns)
        if self.playback.line is None and not self._advancing:
            self._outbox.error(NOTHING, now_ns)
            return
        self._advancing = False
        self._queue_stale = True
        self.playback.stop(at_ns)
        self._tell_everybody(m.StopCommand(at_ns))
        self._outbox.note("stopped", at_ns)

    def seek(self, seconds: float, *, now_ns: int) -> None:
        """Go to a place in the current track; a paused one stays paused there."""
        line = self.playback.line
        if line is None:
            self._outbox.error(NOTHING, now_ns)
            return
        if not math.isfinite(seconds):
            self._outbox.error("There is no such place in the track.", now_ns)
            return
        track = self.known(line.file_id)
        frame = round(min(max(seconds * track.rate_hz, 0), max(0, track.frames - 1)))
        at_ns = self._instant(now_ns)
        line = Timeline(line.file_id, line.rate_hz, frame, at_ns, at_ns if self.playback.paused else None)
        self.playback.follow(line)
        self._tell_everybody(m.SeekCommand(frame, at_ns, line.file_id))
        self._outbox.note_playback("seeked", track, line, at_ns)

    def next(self, *, now_ns: int) -> None:
        """Leave the current track for the next one."""
        line, then = self.playback.line, self.playback.then
        if line is None:
            self._outbox.error(WAITING if self._advancing else NOTHING, now_ns)
            return
        track = self.queue.after(line.file_id)
        if track is None:
            self._outbox.error("There is no next track.", now_ns)
        elif self._crew.lack(track.file_id):
            self._outbox.error(WAITING, now_ns, file_id=str(track.file_id))
        elif then is None or then.start_session_ns > self._instant(now_ns):
            self._played.add(line.file_id)
            self._start(track, now_ns)

    # -- time --------------------------------------------------------------------------------------------------------

    def end_ns(self) -> int | None:
        """When the last frame of the current track leaves the loudspeakers."""
        line = self.playback.line
        if line is None or line.stop_session_ns is not None:
            return None
        return line.session_ns_at(self.known(line.file_id).frames)

    def end_tracks(self, *, now_ns: int) -> None:
        """Take leave of what has ended."""
        while (end_ns := self.end_ns()) is not None and now_ns >= end_ns:
            self._end_track(end_ns)

    def settle(self, *, now_ns: int) -> None:
        """Start or arm by itself what can be, and bring everybody's queue up to date."""
        self._go_on(now_ns)
        self._arm(now_ns)
        if self._queue_stale:
            self._queue_stale = False
            self._refresh_queue(now_ns)

    # -- inside ------------------------------------------------------------------------------------------------------

    def _instant(self, now_ns: int) -> int:
        """The next session time at which all machines can do something new; never before a pause that was announced."""
        stop_ns = self.playback.line.stop_session_ns if self.playback.line else None
        return max(now_ns + self._crew.lead_ns(), stop_ns or 0)

    def _tell_everybody(self, message: m.Message) -> None:
        self._outbox.do(*(Send(member.conn, message) for member in self._crew.slowest_first()))

    def _start(self, track: Track, now_ns: int) -> None:
        unsettled = [
            member.name
            for member in self._crew
            if not member.reports.clock_good
            or (self._autoplay is not None and not member.reports.settled(now_ns=now_ns))
        ]
        if unsettled:
            self._outbox.note("warning", now_ns, message=f"Not yet in time with the host: {', '.join(unsettled)}.")
        at_ns = self._instant(now_ns)
        line = Timeline(track.file_id, track.rate_hz, 0, at_ns)
        self.playback.follow(line)
        self._began(line)
        self._tell_everybody(m.PlayCommand(track.file_id, 0, at_ns))

    def _began(self, line: Timeline) -> None:
        self._cursor = line.file_id
        self._played.discard(line.file_id)
        self._autoplay = None
        self._advancing = False
        self._queue_stale = True
        self._outbox.note_playback("playing", self.known(line.file_id), line, line.start_session_ns)

    def _arm(self, now_ns: int) -> None:
        """Put the next track behind the current one, while there is still time to tell everybody."""
        line, end_ns = self.playback.line, self.end_ns()
        if line is None or end_ns is None or self.playback.then is not None or end_ns < self._instant(now_ns):
            return
        track = self.queue.after(line.file_id)
        if track is not None and not self._crew.lack(track.file_id):
            self.playback.then = Timeline(track.file_id, track.rate_hz, 0, end_ns)
            self._tell_everybody(m.PlayCommand(track.file_id, 0, end_ns))

    def _end_tracks_before(self, session_ns: int) -> None:
        """What is armed to start by then counts as current."""
        while self.playback.then is not None and session_ns >= self.playback.then.start_session_ns:
            self._end_track(self.playback.then.start_session_ns)

    def _end_track(self, end_ns: int) -> None:
        line, then = self.playback.line, self.playback.then
        assert line is not None
        self._played.add(line.file_id)
        self._queue_stale = True
        self._outbox.note_playback("track_ended", self.known(line.file_id), line, end_ns)
        if then is not None:
            self.playback.promote()
            self._began(then)
        else:
            after = self.queue.after(line.file_id)
            self.playback.finish()
            self._cursor = after.file_id if after else None
            self._advancing = after is not None

    def _upcoming(self) -> Track | None:
        """What `play` would start."""
        tracks = [entry.track for entry in self.queue.entries]
        fresh = [track for track in tracks if track.file_id not in self._played]
        return self.queue.track(self._cursor) or next(iter(fresh or tracks), None)

    def _go_on(self, now_ns: int) -> None:
        """Start by itself what was waiting for the peers."""
        if self.playback.line is not None or not (self._advancing or self._autoplay is not None):
            return
        track = self._upcoming()
        if track is None or self._crew.lack(track.file_id):
            return
        if self._advancing or self._crew.ready_to_begin(track.file_id, self._autoplay or 0, now_ns=now_ns):
            self._start(track, now_ns)

    def _refresh_queue(self, now_ns: int) -> None:
        before, line = self.queue, self.playback.line
        statuses: dict[UUID, ItemStatus] = {}
        for entry in before.entries:
            file_id = entry.track.file_id
            if line is not None and line.file_id == file_id:
                statuses[file_id] = ItemStatus.PLAYING
            elif file_id in self._played:
                statuses[file_id] = ItemStatus.PLAYED
            else:
                statuses[file_id] = ItemStatus.TRANSFERRING if self._crew.lack(file_id) else ItemStatus.READY
            if entry.status is ItemStatus.TRANSFERRING and statuses[file_id] is not ItemStatus.TRANSFERRING:
                self._outbox.note("file_ready", now_ns, file_id=str(file_id), file_name=entry.track.file_name)
        self.queue = before.with_statuses(statuses)
        if self.queue.revision != self._told_revision:
            self._told_revision = self.queue.revision
            self._tell_everybody(m.QueueUpdate(self.queue.items(), self.queue.revision))
            self._outbox.note_queue(self.queue.items(), self.queue.revision, now_ns)
