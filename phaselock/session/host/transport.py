"""The host's playback: the cursor, and the current, the armed and the pending track.

play_states.py lists the states of the playback, and the action for each event in each state. This module finds out
which event occurs, and executes the action.

Every start, pause, seek and stop happens at one session time on all machines. That time is far enough ahead for the
slowest machine in the room, and commands are sent to the slowest machine first. A far machine that hears of a command
after that time follows it late and in phase (members.py).
"""

from __future__ import annotations

import math
from uuid import UUID

from phaselock.model.notices import Code, Notice
from phaselock.model.queue import QueueItem
from phaselock.model.timeline import Timeline
from phaselock.model.transitions import SHORTEST_NS, Transition
from phaselock.model.types import Track
from phaselock.protocol import messages as m
from phaselock.session import commands as c
from phaselock.session import events as e
from phaselock.session.commands import PlaybackCommand
from phaselock.session.host.members import Member, Members, Transfer
from phaselock.session.host.play_states import TABLE, Action, Current, Event, PlayState
from phaselock.session.host.queue import NO_SUCH_TRACK, HostQueue
from phaselock.session.host.transitions import HostTransitions
from phaselock.session.outbox import Outbox
from phaselock.session.playback import Playback

BEGINNING_S = 3
"""Up to this position, in seconds, `previous` goes to the track before the current one."""
TIMEOUT_NS = 20_000_000_000
"""How long playback waits for a peer whose transfer makes no progress. It counts only while no track plays."""
SILENCE_NS = 3_000_000_000
"""How long the pending track waits for far peers. If nothing plays for this time because of near ones, a ready track
behind the pending one is played first."""


class TransportControl:
    """The playback of a host session. The session calls `settle` at the end of each of its calls.

    Commands that cannot be done are reported by an `error` event. `now_ns` is session time.
    """

    def __init__(
        self, members: Members, playback: Playback, queue: HostQueue, transitions: HostTransitions, outbox: Outbox
    ) -> None:
        self.playback = playback
        self._members = members
        self._queue = queue
        self._transitions = transitions
        self._outbox = outbox
        self._cursor: UUID | None = None
        """The track that `play` starts if nothing is playing; None: the first track that was not played."""
        self._pending: UUID | None = None
        """The pending track, see play_states.py."""
        self._pending_since_ns = 0
        self._silent_since_ns: int | None = None
        """Since when nothing plays because peers lack the pending track; what is charged to their budgets does not
        count. None: playback does not wait."""
        self._awaited: list[Member] = []
        """The peers that lacked it then."""
        self._armed_by: Transition | None = None
        """The transition to the armed track. It may begin later and be shorter, if it was armed late."""
        self.repeat = False
        """The first track follows the last one."""
        self._autoplay: int | None = None
        """Number of peers that must be ready before playback starts by itself; None: it does not."""

    def in_order_of_need(self) -> list[Track]:
        """The current track, the armed or pending one, the tracks after them, then the tracks before them."""
        timeline = self.playback.current
        here = timeline.file_id if timeline else self._cursor
        tracks = [one.track for one in self._queue.rows.entries if not one.removed or one.track.file_id == here]
        at = next((place for place, track in enumerate(tracks) if track.file_id == here), 0)
        urgent = [here, self.playback.armed.file_id if self.playback.armed else None, self._pending]
        first = [track for file_id in urgent for track in tracks if track.file_id == file_id]
        return list(dict.fromkeys(first + tracks[at:] + tracks[:at]))

    def inherit(self, current: Timeline | None, armed: Timeline | None, *, repeat: bool) -> None:
        """The playback as it was at the host before this one."""
        self.playback.current = self.playback.sound = current
        self.playback.armed, self.repeat = armed if current is not None else None, repeat
        self._cursor = current.file_id if current is not None else None
        if current is not None and armed is not None:
            self._armed_by = self._transitions.between(
                self._queue.known(current.file_id), self._queue.known(armed.file_id)
            )

    def state(self) -> m.SessionState:
        """The state that a new peer receives."""
        timeline, armed = self.playback.current, self.playback.armed
        return m.SessionState(*self._queue.told, _line_state(timeline), _line_state(armed))

    def now(self) -> QueueItem | None:
        """The row of the current track, even if it was removed from the queue; None if nothing is playing."""
        entry = self._queue.rows.entry(self.playback.current.file_id) if self.playback.current else None
        return entry.item() if entry else None

    def waiting_for(self) -> QueueItem | None:
        """The row of the pending track, which starts when the peers have it; None if there is none."""
        entry = self._queue.rows.entry(self._pending)
        return entry.item() if entry else None

    def upcoming(self) -> UUID | None:
        """The track that `play` without a track starts if nothing is playing; None if the queue is empty."""
        track = self._upcoming()
        return track.file_id if track else None

    @property
    def play_state(self) -> PlayState:
        """The row of TABLE that is valid now."""
        paused, playing = self.playback.paused, self.playback.playing
        current = Current.PAUSED if paused else Current.PLAYING if playing else Current.NONE
        return PlayState((current, self.playback.armed is not None, self._pending is not None))

    @property
    def busy(self) -> bool:
        """A track is playing, paused or about to start."""
        return self.play_state is not PlayState.IDLE

    def fixed(self) -> frozenset[UUID]:
        """The current track, or else the one at the cursor, and the next one if it is armed or waited for."""
        current, armed = self.playback.current, self.playback.armed
        ids = (current.file_id if current else self._cursor, armed.file_id if armed else None, self._pending)
        return frozenset(file_id for file_id in ids if file_id is not None)

    def is_dry(self) -> bool:
        """No track follows the current one; or there is none, and all have played."""
        if self.playback.current is not None:
            return self._following(self.playback.current) is None
        ids = self._queue.rows.ids()
        return self._pending is None and all(one in self._queue.played for one in ids) and not (self.repeat and ids)

    def leave_song(self, *, now_ns: int) -> None:
        """Leave the current track for the next one. If there is none, stop."""
        if self._following(self._current()) is None:
            self.stop(now_ns=now_ns)
        elif self._pending is None:  # otherwise it is left as soon as the peers have the next one
            self.next(now_ns=now_ns)

    # -- commands of the user ----------------------------------------------------------------------------------------

    def command(self, command: PlaybackCommand, *, now_ns: int) -> None:
        """Execute a command of the host's user."""
        match command:
            case c.Play(file_id=file_id):
                self.play(file_id, now_ns=now_ns)
            case c.Pause():
                self.pause(now_ns=now_ns)
            case c.Resume():
                self.resume(now_ns=now_ns)
            case c.Stop():
                self.stop(now_ns=now_ns)
            case c.Seek(seconds=seconds):
                self.seek(seconds, now_ns=now_ns)
            case c.Next():
                self.next(now_ns=now_ns)
            case c.Previous():
                self.previous(now_ns=now_ns)

    def play(self, file_id: UUID | None, *, now_ns: int) -> None:
        """Start this track. None: resume the paused track, or start the track at the cursor."""
        if file_id is not None and file_id not in self._queue.rows.ids():
            self._outbox.error(NO_SUCH_TRACK, now_ns)
            return
        track = self._upcoming() if file_id is None else self._queue.known(file_id)
        action = self._action(Event.PLAY if file_id is None else Event.PLAY_ROW, now_ns)
        if action is Action.RESUME:
            self.resume(now_ns=now_ns)
        elif action is Action.START and track is None:
            self._outbox.error(Notice(Code.NOTHING_TO_PLAY), now_ns)
        elif action is Action.CHANGE and track is not None:
            self._go_to(track, now_ns)
        elif action is Action.START and track is not None:
            without = self._members.without(track.file_id)
            coming = [peer for peer in without if not peer.stuck(track.file_id, now_ns)]
            if not all(peer.far for peer in coming):
                names = tuple(peer.name for peer in without)
                self._outbox.error(_about(track, Code.WAITING_FOR_PEERS, peers=names), now_ns)
                return
            is_second_click = self._pending == track.file_id
            self._leave_behind([peer for peer in without if peer not in coming or is_second_click], track, now_ns)
            self._cursor = track.file_id
            self._go_to(track, now_ns)

    def autoplay(self, wait_peers: int) -> None:
        """Start as soon as `wait_peers` peers are ready."""
        self._autoplay = wait_peers

    def pause(self, *, now_ns: int) -> None:
        """Silence all machines at one instant and keep the position."""
        if self._action(Event.PAUSE, now_ns) is not Action.PAUSE:
            return
        at_ns = self._instant(now_ns)
        self._end_tracks_before(at_ns)
        timeline = self._current()
        self._pending = None
        self.playback.follow(timeline.stopped_at(at_ns))
        self._broadcast(m.PauseCommand(timeline.frame_at(at_ns), at_ns, timeline.file_id, timeline.rate_hz))
        self._outbox.note_playback(e.Paused, self._queue.known(timeline.file_id), timeline, at_ns)

    def resume(self, *, now_ns: int) -> None:
        """Continue at the position of the pause."""
        if self._action(Event.RESUME, now_ns) is not Action.RESUME:
            return
        at_ns, timeline = self._instant(now_ns), self._current()
        assert timeline.stop_session_ns is not None
        track = self._queue.known(timeline.file_id)
        frame = min(timeline.frame_at(timeline.stop_session_ns), track.frames)
        timeline = Timeline(timeline.file_id, timeline.rate_hz, frame, at_ns)
        self.playback.follow(timeline)
        self._broadcast(m.ResumeCommand(frame, at_ns, timeline.file_id, timeline.rate_hz))
        self._outbox.note_playback(e.Resumed, track, timeline, at_ns)

    def stop(self, *, now_ns: int) -> None:
        """Silence all machines at one instant; `resume` is not possible afterwards."""
        if self._action(Event.STOP, now_ns) is not Action.STOP:
            return
        at_ns = self._instant(now_ns)
        self._end_tracks_before(at_ns)
        self._pending = None
        self._queue.mark_stale()
        self.playback.stop(at_ns)
        self._broadcast(m.StopCommand(at_ns))
        self._outbox.note(e.Stopped(at_ns))

    def seek(self, seconds: float, *, now_ns: int) -> None:
        """Go to a position in the current track, limited to its length. A paused track stays paused."""
        if self._action(Event.SEEK, now_ns) is not Action.SEEK:
            return
        if not math.isfinite(seconds):
            self._outbox.error(Notice(Code.NO_SUCH_POSITION), now_ns)
            return
        timeline = self._current()
        track = self._queue.known(timeline.file_id)
        frame = round(min(max(seconds * track.rate_hz, 0), max(0, track.frames - 1)))
        at_ns = self._instant(now_ns)
        timeline = Timeline(timeline.file_id, timeline.rate_hz, frame, at_ns, at_ns if self.playback.paused else None)
        self.playback.follow(timeline)
        self._broadcast(m.SeekCommand(frame, at_ns, timeline.file_id, timeline.rate_hz))
        self._outbox.note_playback(e.Seeked, track, timeline, at_ns)

    def next(self, *, now_ns: int) -> None:
        """Change to the track after the pending one, or else after the current one."""
        if self._action(Event.NEXT, now_ns) is not Action.CHANGE:
            return
        timeline, armed = self.playback.current, self.playback.armed
        here = self._pending or (timeline.file_id if timeline else None)
        track = self._queue.rows.after(here) or self._first_again()
        if track is None:
            self._outbox.error(Notice(Code.NO_NEXT_TRACK), now_ns)
        elif armed is None or armed.file_id != track.file_id or armed.start_session_ns > self._instant(now_ns):
            self._go_to(track, now_ns)
        # Otherwise the armed track is that track, and it starts by itself before any command could take effect.

    def previous(self, *, now_ns: int) -> None:
        """Return to the beginning of the current track; within BEGINNING_S, change to the track before it."""
        if self._action(Event.PREVIOUS, now_ns) is not Action.BACK:
            return
        timeline = self._current()
        track = self._queue.rows.before(timeline.file_id)
        begin_s = self._transitions.first_frame(self._queue.known(timeline.file_id)) / timeline.rate_hz
        if track is None or timeline.frame_at(now_ns) > (begin_s + BEGINNING_S) * timeline.rate_hz:
            self.seek(begin_s, now_ns=now_ns)
        else:
            self._go_to(track, now_ns)

    def remove(self, file_id: UUID, *, now_ns: int) -> None:
        """Remove a track from the queue. If it is playing, it plays to its end."""
        if file_id not in self._queue.rows.ids():
            self._outbox.error(NO_SUCH_TRACK, now_ns)
            return
        after = self._queue.rows.after(file_id)
        if self._pending == file_id:
            self._pending = after.file_id if after else None
        timelines = (self.playback.current, self.playback.armed)
        in_use = any(timeline is not None and timeline.file_id == file_id for timeline in timelines)
        if self._cursor == file_id and not in_use:
            self._cursor = after.file_id if after else None
        self._queue.remove(file_id, keep=in_use)

    # -- time --------------------------------------------------------------------------------------------------------

    def end_ns(self) -> int | None:
        """Session time at which the last frame of the current track leaves the loudspeakers, or its crossfade into the
        armed one begins; None if no track is playing."""
        timeline, armed = self.playback.current, self.playback.armed
        if timeline is None or timeline.stop_session_ns is not None:
            return None
        if armed is not None:
            return armed.start_session_ns
        return timeline.session_ns_at(self._queue.known(timeline.file_id).frames)

    def end_tracks(self, *, now_ns: int) -> None:
        """End the tracks whose last frame was played or which fade out, and start the armed ones."""
        while (end_ns := self.end_ns()) is not None and now_ns >= end_ns:
            self._end_track(end_ns)

    def wait_ends_ns(self) -> int | None:
        """Earliest session time at which playback stops waiting for a peer; None if it does not wait."""
        return min((ends_ns for ends_ns, _ in self._waits()), default=None)

    def overdue_at_ns(self) -> int | None:
        """Session time at which a ready track overtakes the pending one; None if no track does."""
        if self.play_state is not PlayState.WAITING or self._ready_behind_pending() is None:
            return None
        return self._pending_since_ns + SILENCE_NS

    def leave_behind(self, *, now_ns: int) -> None:
        """Stop waiting for peers whose timeout has ended. Playback waits for them again when they have caught up."""
        ends_ns = self.wait_ends_ns()
        if ends_ns is None or now_ns < ends_ns:
            return
        track = self._queue.rows.track(self._pending)
        if track is not None:
            self._leave_behind([peer for ends_ns, peer in self._waits() if now_ns >= ends_ns], track, now_ns)

    def settle(self, *, now_ns: int) -> None:
        """Start or arm the tracks that are ready."""
        self._charge_silence(now_ns)
        self._wait_for_newcomers()
        self._go_on(now_ns)
        self._arm(now_ns)

    # -- inside ------------------------------------------------------------------------------------------------------

    def _action(self, event: Event, now_ns: int) -> Action | None:
        """The action of TABLE for an event that occurs now. If the table refuses it, report that and return None."""
        cell = TABLE[self.play_state][event]
        assert cell is not None, f"{event} in {self.play_state}"
        if isinstance(cell, Code):
            self._outbox.error(Notice(cell), now_ns)
            return None
        return cell

    def _current(self) -> Timeline:
        """The current timeline. AssertionError if there is none: the state must be checked before."""
        assert self.playback.current is not None
        return self.playback.current

    def _waited_for_now(self) -> list[Member]:
        pending = self._pending
        return [peer for peer in self._members if pending is not None and peer.waited_for and peer.lacks(pending)]

    def _waits(self) -> list[tuple[int, Member]]:
        """The peers that the pending track waits for, and until when. It waits for those that are near without a limit
        while another track plays."""
        peers = [peer for peer in self._waited_for_now() if peer.far or not self.playback.playing]
        return [(self._wait_for_peer_ends_ns(peer), peer) for peer in peers]

    def _wait_for_peer_ends_ns(self, peer: Member) -> int:
        transfer = peer.transfers.get(self._pending) if self._pending is not None else None
        moved_at_ns = max(self._pending_since_ns, transfer.moved_at_ns if transfer else 0)
        if peer.far:
            ends_ns = self._pending_since_ns + SILENCE_NS
            if self._is_obviously_late(peer, transfer, ends_ns):
                return self._pending_since_ns
        else:
            ends_ns = moved_at_ns + TIMEOUT_NS
        since_ns = self._pending_since_ns if self._silent_since_ns is None else self._silent_since_ns
        return min(ends_ns, since_ns + peer.budget.remaining_silence_ns(since_ns))

    def _is_obviously_late(self, peer: Member, transfer: Transfer | None, until_ns: int) -> bool:
        """The rest of the pending track obviously does not reach a peer by then."""
        track = self._queue.rows.track(self._pending)
        if track is None:
            return False
        rest = track.size - (transfer.done_bytes if transfer else 0)
        return peer.send_rate.is_too_slow(rest, self._pending_since_ns, until_ns)

    def _charge_silence(self, now_ns: int) -> None:
        """Charge the time in which nothing played to the budgets of the peers that lack the pending track. A peer that
        lets each song come late so has no time left."""
        silent = self._pending is not None and self.playback.current is None
        waited_for = self._waited_for_now() if silent else []
        if self._silent_since_ns is not None:
            for budget in {id(peer.budget): peer.budget for peer in self._awaited}.values():
                budget.silence(self._silent_since_ns, now_ns)
        self._awaited = waited_for
        self._silent_since_ns = now_ns if waited_for else None

    def _leave_behind(self, peers: list[Member], track: Track, now_ns: int) -> None:
        for peer in peers:
            peer.leave_behind()
            self._queue.mark_stale()
            code = Code.JOINS_LATER if peer.far and peer.lacks(track.file_id) else Code.GOING_ON_WITHOUT
            self._outbox.warn(_about(track, code, peer=peer.name), now_ns)

    def _instant(self, now_ns: int) -> int:
        """The target time of a command of now: the earliest one that all machines can meet, or all but far ones. It is
        not before an announced pause."""
        stop_ns = self.playback.current.stop_session_ns if self.playback.current else None
        return max(now_ns + self._members.prompt_lead_ns(), stop_ns or 0)

    def _broadcast(self, message: m.Message) -> None:
        self._outbox.do(*self._members.broadcast(message))

    def _go_to(self, track: Track, now_ns: int) -> None:
        """Change to another track. If peers still lack it, the current track plays on until they have it."""
        if self._members.is_missing(track.file_id):
            self._wait_for(track, now_ns)
        else:
            if self.playback.current is not None:
                self._queue.played.add(self.playback.current.file_id)
            self._start(track, now_ns)

    def _wait_for(self, track: Track, now_ns: int) -> None:
        self._pending, self._pending_since_ns = track.file_id, now_ns
        self._members.request_offers()
        names = [peer.name for peer in self._members if peer.waited_for and peer.lacks(track.file_id)]
        if names:
            self._outbox.warn(_about(track, Code.STARTS_WHEN_RECEIVED, peers=tuple(names)), now_ns)

    def _start(self, track: Track, now_ns: int) -> None:
        unsettled = [
            member.name
            for member in self._members
            if not member.reports.clock_good
            or (self._autoplay is not None and not member.reports.settled(now_ns=now_ns))
        ]
        if unsettled:
            self._outbox.warn(Notice(Code.NOT_IN_TIME, peers=tuple(unsettled)), now_ns)
        at_ns = self._instant(now_ns)
        timeline = Timeline(track.file_id, track.rate_hz, self._transitions.first_frame(track), at_ns)
        self.playback.follow(timeline)
        self._pending = None
        self._began(timeline, now_ns)
        self._broadcast(_play_command(timeline))

    def _began(self, timeline: Timeline, now_ns: int) -> None:
        track = self._queue.known(timeline.file_id)
        late = [peer for peer in self._members if peer.far and peer.waited_for and peer.lacks(track.file_id)]
        self._leave_behind(late, track, now_ns)
        self._cursor = timeline.file_id
        self._queue.played.discard(timeline.file_id)
        self._autoplay = None
        if self._pending == timeline.file_id:
            self._pending = None
        self._queue.mark_stale()
        self._members.request_offers()
        self._outbox.note_playback(e.Playing, track, timeline, timeline.start_session_ns)

    def _following(self, timeline: Timeline) -> Track | None:
        """The track that follows this timeline, or None."""
        return self._queue.rows.track(self._pending) or self._queue.rows.after(timeline.file_id) or self._first_again()

    def _first_again(self) -> Track | None:
        first = next(iter(self._queue.rows.ids()), None) if self.repeat else None
        return self._queue.rows.track(first)

    def _arm(self, now_ns: int) -> None:
        """Arm the next track, or disarm a wrong one, if all peers can still receive the command in time."""
        timeline, armed, end_ns = self.playback.current, self.playback.armed, self.end_ns()
        if timeline is None or end_ns is None:
            return
        soonest_ns = now_ns + self._members.lead_ns()
        if end_ns < soonest_ns:
            return
        track = self._following(timeline)
        if track is not None and track.file_id == timeline.file_id:
            track = None  # a track is not armed after itself: it starts again when it has ended
        is_armed = armed is not None and track is not None and armed.file_id == track.file_id
        is_ready = is_armed or track is not None and not self._members.is_missing(track.file_id, near=True)
        action = self._action(Event.NEXT_READY if is_ready else Event.NEXT_MISSING, now_ns)
        if action is Action.ARM and track is not None:
            by = self._transitions.between(self._queue.known(timeline.file_id), track)
            if not is_armed or by != self._armed_by:
                self._armed_by = by
                self.playback.armed = _behind(timeline, track, by, soonest_ns)
                self._broadcast(_play_command(self.playback.armed))
        elif action is Action.DISARM:  # the current timeline again: it clears the armed one
            self.playback.armed = None
            self._broadcast(_play_command(timeline))

    def _end_tracks_before(self, session_ns: int) -> None:
        """Make the armed track current if it starts at `session_ns` or earlier."""
        while self.playback.armed is not None and session_ns >= self.playback.armed.start_session_ns:
            self._end_track(self.playback.armed.start_session_ns)

    def _end_track(self, end_ns: int) -> None:
        timeline, armed, action = self._current(), self.playback.armed, self._action(Event.END, end_ns)
        self._queue.played.add(timeline.file_id)
        self._queue.mark_stale()
        self._outbox.note_playback(e.TrackEnded, self._queue.known(timeline.file_id), timeline, end_ns)
        if action is Action.PROMOTE and armed is not None:
            self.playback.promote()
            self._began(armed, end_ns)
        elif action is Action.FINISH:
            after = self._following(timeline)
            self.playback.finish()
            self._cursor = after.file_id if after else None
            self._pending = None
            if after is not None:
                self._wait_for(after, end_ns)

    def _upcoming(self) -> Track | None:
        """The track that `play` starts if nothing is playing: at the cursor, else the first one not played."""
        tracks = [entry.track for entry in self._queue.rows.entries if not entry.removed]
        fresh = [track for track in tracks if track.file_id not in self._queue.played]
        cursor = self._queue.rows.track(self._cursor)
        return cursor if cursor in tracks else next(iter(fresh or tracks), None)

    def _wait_for_newcomers(self) -> None:
        """From now on wait for peers that have caught up.

        They have the current track and the next one, or nothing is playing.
        """
        timeline = self.playback.current
        following = self._following(timeline) if timeline else None
        needed = [timeline.file_id, *([following.file_id] if following else [])] if timeline else []
        for peer in self._members:
            if peer.catching_up and (not self.busy or timeline and all(peer.has(file_id) for file_id in needed)):
                peer.caught_up()
                self._queue.mark_stale()

    def _go_on(self, now_ns: int) -> None:
        """Start the pending track, or the first one for autoplay, if the peers are ready."""
        pending = self._queue.rows.track(self._pending)
        if pending is not None:
            if not self._members.is_missing(pending.file_id):
                if self._action(Event.RECEIVED, now_ns) is Action.CHANGE:
                    self._go_to(pending, now_ns)
            elif now_ns >= self._pending_since_ns + SILENCE_NS and (ready := self._ready_behind_pending()) is not None:
                if self._action(Event.OVERDUE, now_ns) is Action.OVERTAKE:
                    self._overtake(pending, ready, now_ns)
        elif self._autoplay is not None and self._action(Event.AUTOPLAY, now_ns) is Action.START:
            track = self._upcoming()
            if track is not None and self._members.ready_to_begin(track.file_id, self._autoplay, now_ns=now_ns):
                without = [peer for peer in self._members.without(track.file_id) if peer.lacks(track.file_id)]
                if all(peer.far or peer.stuck(track.file_id, now_ns) for peer in without):
                    self._leave_behind(without, track, now_ns)
                    self._start(track, now_ns)

    def _ready_behind_pending(self) -> Track | None:
        """The first track behind the pending one that no near peer lacks; with `repeat` the rows before it follow the
        last one. None if there is none."""
        ids = self._queue.rows.ids()
        at = ids.index(self._pending) if self._pending in ids else len(ids)
        behind = [*ids[at + 1 :], *(ids[:at] if self.repeat else [])]
        ready = (one for one in behind if not self._members.is_missing(one, near=True))
        return self._queue.rows.track(next(ready, None))

    def _overtake(self, pending: Track, ready: Track, now_ns: int) -> None:
        others = [file_id for file_id in self._queue.rows.ids() if file_id != ready.file_id]
        self._queue.move(ready.file_id, others.index(pending.file_id), now_ns=now_ns)
        names = tuple(peer.name for peer in self._waited_for_now())
        self._outbox.warn(_about(pending, Code.PLAYS_LATER, peers=names), now_ns)
        self._start(ready, now_ns)


def _about(track: Track, code: Code, *, peer: str | None = None, peers: tuple[str, ...] = ()) -> Notice:
    """A notice about this track."""
    return Notice(code, file_id=track.file_id, file_name=track.file_name, peer=peer, peers=peers)


def _behind(timeline: Timeline, track: Track, by: Transition, soonest_ns: int) -> Timeline:
    """The timeline of a track that follows `timeline`. It starts at `soonest_ns` or later: a crossfade that is armed
    late is shorter."""
    end_ns = timeline.session_ns_at(by.end_frame)
    start_ns = max(end_ns - by.crossfade_ns, soonest_ns)
    crossfade_ns = max(end_ns - start_ns, SHORTEST_NS) if by.crossfade_ns else 0
    return Timeline(track.file_id, track.rate_hz, by.begin_frame, start_ns, crossfade_ns=crossfade_ns)


def _play_command(timeline: Timeline) -> m.PlayCommand:
    """The message that makes peers follow this timeline."""
    return m.PlayCommand(
        timeline.file_id,
        timeline.rate_hz,
        timeline.anchor_frame,
        timeline.start_session_ns,
        timeline.crossfade_ns,
    )


def _line_state(timeline: Timeline | None) -> m.LineState | None:
    """This timeline in the state for a new peer."""
    if timeline is None:
        return None
    return m.LineState(
        timeline.file_id,
        timeline.rate_hz,
        timeline.anchor_frame,
        timeline.start_session_ns,
        timeline.stop_session_ns,
        timeline.crossfade_ns,
    )
