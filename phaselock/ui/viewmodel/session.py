"""Makes the contents of the two session screens from a state."""

from __future__ import annotations

from uuid import UUID

from phaselock.model.notices import Code, Notice
from phaselock.model.queue import QueueItem
from phaselock.model.snapshot import FileState, FileView, LatencyClass, PeerView, RequestState, RequestView
from phaselock.model.timing import TIMING_PHRASES, TIMING_SENTENCES, Timing
from phaselock.session.sentences import notice_text
from phaselock.ui.backend import SessionView
from phaselock.ui.viewmodel.rows import QueueRows, item_of, song
from phaselock.ui.viewmodel.sync import chip, machines, own_machine, sounding, sync_view
from phaselock.ui.viewmodel.toasts import NO_OUTPUT
from phaselock.ui.viewmodel.values import (
    HostView,
    NowPlaying,
    PeerRow,
    PeerScreenView,
    RequestRow,
    TransportView,
)
from phaselock.ui.viewmodel.words import (
    NNBSP,
    initial,
    latency_text,
    listed,
    ms_text,
    percent_text,
    size_text,
    within_text,
)

WAITING = notice_text(Notice(Code.WAITING_FOR_PEERS))
ADD_FIRST = "Add songs first."
MAX_REQUESTS = 3
_OWN_REQUEST = {
    RequestState.OPEN: 'The host was asked for "{}"',
    RequestState.ACCEPTED: 'The host wants "{}"; it is on its way',
    RequestState.ADDED: '"{}" is in the queue',
    RequestState.REJECTED: '"{}" is not added: {}',
    RequestState.FAILED: '"{}" is not added: {}',
}


def host_view(state: SessionView, queue_rows: QueueRows | None = None) -> HostView:
    """The host's screen. Pass the same `queue_rows` in each call: unchanged rows are reused."""
    s = state.snapshot
    now, rows = _now(state), (queue_rows or QueueRows()).rows(s.queue, s.peers)
    ordered = sorted(s.requests, key=lambda one: (one.state is not RequestState.OPEN, one.number))
    return HostView(
        title=s.session_name,
        subtitle=_count(len(s.peers), "peer") + " connected" if s.peers else "Nobody has joined yet",
        address=state.address,
        peers=_peer_rows(state),
        now=now,
        queue=rows.rows,
        queue_note=rows.note,
        requests=tuple(map(_request_row, ordered[:MAX_REQUESTS])),
        more_requests=max(0, len(ordered) - MAX_REQUESTS),
        sync=sync_view(state),
        transport=_transport(state),
    )


def peer_view(state: SessionView, queue_rows: QueueRows | None = None) -> PeerScreenView:
    """The peer's screen. Pass the same `queue_rows` in each call: unchanged rows are reused."""
    s = state.snapshot
    now, rows, own_chip = _now(state), (queue_rows or QueueRows()).rows(s.queue, ()), chip(own_machine(state))
    return PeerScreenView(
        title=s.session_name,
        connection=_connection(state),
        connection_kind="good" if s.connected else "warning",
        chip_text=own_chip.text,
        chip_kind=own_chip.kind,
        now=now,
        queue=rows.rows,
        queue_note=rows.note,
        requests=tuple(map(_own_request_row, s.requests[: -MAX_REQUESTS - 1 : -1])),
        sync=sync_view(state),
    )


def position_s(state: SessionView, session_ns: int | None) -> float:
    """Position in the current track in seconds, from 0 to its duration. While session time is not known (None), the
    position where it started or was paused."""
    line, now = state.snapshot.timeline, state.snapshot.now
    if line is None or now is None:
        return 0.0
    at_ns = line.stop_session_ns if session_ns is None else session_ns
    frame = line.anchor_frame if at_ns is None else line.frame_at(at_ns)
    return min(max(0.0, frame / line.rate_hz), now.duration_secs)


# -- now playing -------------------------------------------------------------------------------------------------------


def _now(state: SessionView) -> NowPlaying:
    s = state.snapshot
    waiting = s.waiting_for
    if s.timeline is not None and s.now is not None:
        note = _waiting_note(state, waiting) if waiting else ""
        return _track(s.now, "playing" if sounding(s) else "paused", note or _output_note(state))
    if s.timeline is None and waiting is not None:
        return _track(waiting, "waiting", _waiting_note(state, waiting))
    if s.timeline is not None:  # the host's song is not known here yet
        return NowPlaying(s.timeline.file_id, "", "", "", "", "playing" if sounding(s) else "paused", 0.0, "")
    return NowPlaying(None, "Nothing is playing", "", "", "", "stopped", 0.0, _stopped_note(state))


def _track(item: QueueItem, what: str, note: str) -> NowPlaying:
    title = song(item)
    return NowPlaying(item.id, title, item.artist, item.file_name, initial(title), what, item.duration_secs, note)


def _waiting_note(state: SessionView, waiting: QueueItem) -> str:
    names = [peer.name for peer in state.snapshot.peers if peer.waited_for and waiting.id not in peer.have]
    whom = (
        f"Waiting for {listed(names)} to receive {song(waiting)}." if names else f"{song(waiting)} is about to start."
    )
    return whom


def output_text(state: SessionView) -> str:
    """The output of this machine, its latency, and how accurately the latency is known."""
    own = state.own
    if own is None or own.device_name is None:
        return NO_OUTPUT
    delay = "" if own.timing == "unknown" else f", {_delay_text(own.timing, own.output_latency_ns)}"
    return "\n".join(filter(None, (f"Playing on {own.device_name}{delay}.", TIMING_SENTENCES[own.timing])))


def _delay_text(timing: Timing, latency_ns: int) -> str:
    """The latency of an output, from the program to the sound."""
    if timing == "unknown":
        return TIMING_PHRASES["unknown"]
    return f"{'about ' if timing == 'told' else ''}{ms_text(latency_ns)} from card to ear"


def _output_note(state: SessionView) -> str:
    return NO_OUTPUT if state.own is not None and state.own.device_name is None else ""


def _stopped_note(state: SessionView) -> str:
    s = state.snapshot
    if _output_note(state):
        return NO_OUTPUT
    if not state.hosting:
        return "Waiting for the host to play." if s.queue else "The host has not added any songs yet."
    upcoming = item_of(s.queue, s.upcoming)
    return f"Up next: {song(upcoming)}" if upcoming else "Add songs to begin."


def window_title(state: SessionView) -> str:
    """The title of the window: the song, or the session."""
    now = _now(state)
    parts = (now.title, now.artist) if now.file_id is not None else (state.snapshot.session_name,)
    return " · ".join(filter(None, (" – ".join(filter(None, parts)), "PhaseLock")))


def _connection(state: SessionView) -> str:
    s, own = state.snapshot, state.own
    if not s.connected:
        return "Looking for the host — playing on" if sounding(s) else "Looking for the host"
    if own is None or own.clock_uncertainty_ns is None or own.rtt_ns is None:
        return "Connected"
    return f"Connected — latency {latency_text(own.rtt_ns // 2)}"


# -- the transport -----------------------------------------------------------------------------------------------------


def _transport(state: SessionView) -> TransportView:
    s = state.snapshot
    line, playing = s.timeline, sounding(s)
    reached = s.waiting_for.id if s.waiting_for else line.file_id if line else None
    can = set()
    if line is not None:
        can |= {"previous", "seek"}
    if reached is not None:
        can.add("stop")
        # A track that was removed while it plays is not in the queue, but keeps its place: a next track may follow it.
        if s.queue and (s.queue[-1].id != reached):
            can.add("next")
    if line is not None:
        can.add("play_pause")
        return TransportView(playing, frozenset(can), "Pause" if playing else "Resume")
    tooltip = _obstacle(state)
    if not tooltip:
        can.add("play_pause")
        late = [p.name for p in s.peers if p.reported and (not p.clock_usable or p.clock_stale)]
        tooltip = f"Play\nNot yet in time with the host: {listed(late)}." if late else "Play"
    return TransportView(False, frozenset(can), tooltip)


def _obstacle(state: SessionView) -> str:
    """Why playback cannot start: there is no track, or a peer that the host waits for does not have it. Empty if it can
    start."""
    s = state.snapshot
    item = item_of(s.queue, s.upcoming)
    if item is None:
        return ADD_FIRST
    missing = [
        f"{peer.name}: {song(item)} ({_how_far(peer, item.id)})"
        for peer in s.peers
        if peer.waited_for and item.id not in peer.have
    ]
    return "\n".join([WAITING, *missing]) if missing else ""


def _how_far(peer: PeerView, file_id: UUID) -> str:
    file = next((file for file in peer.files if file.file_id == file_id), None)
    if file is None:
        return "not begun"
    return "could not be sent" if file.state is FileState.FAILED else percent_text(_part(file))


# -- peers -------------------------------------------------------------------------------------------------------------


def _peer_rows(state: SessionView) -> tuple[PeerRow, ...]:
    s = state.snapshot
    rows = []
    for peer, machine in zip(s.peers, machines(state)[1:], strict=True):
        figure = chip(machine)
        sending = _sending(peer)
        rows.append(
            PeerRow(
                peer_id=peer.peer_id,
                name=peer.name,
                initial=initial(peer.name),
                latency_class=(peer.latency_class if peer.reported else LatencyClass.YELLOW).value,
                latency_text=latency_text(peer.latency_ns) if peer.reported else "–",
                chip_text=figure.text,
                chip_kind=figure.kind,
                detail=_detail(peer, sending, s.queue),
                trouble=_trouble(peer),
                progress=_part(sending) if sending else None,
                can_retry=any(file.state is FileState.FAILED for file in peer.files),
                tooltip=_peer_tooltip(peer),
            )
        )
    return tuple(rows)


def _sending(peer: PeerView) -> FileView | None:
    """The file that the peer is receiving; of several the one with the most progress."""
    sending = [file for file in peer.files if file.state is FileState.SENDING]
    return max(sending, key=_part, default=None)


def _part(file: FileView) -> float:
    return min(1.0, file.done_bytes / file.size) if file.size else 0.0


def _detail(peer: PeerView, sending: FileView | None, queue: tuple[QueueItem, ...]) -> str:
    for state, words in ((FileState.FAILED, "could not receive"), (FileState.UNPLAYABLE, "cannot play")):
        file = next((file for file in peer.files if file.state is state), None)
        if file is not None:
            return f"{words} {_title(queue, file)}"
    if sending is not None:
        return f"receiving {_title(queue, sending)} – {percent_text(_part(sending))}"
    if not peer.ready:
        return f"{len(peer.have)} of {peer.files_total} ready"
    return "has all files" if peer.files_total else "ready"


def _title(queue: tuple[QueueItem, ...], file: FileView) -> str:
    item = item_of(queue, file.file_id)
    return song(item) if item else "a song"


def _trouble(peer: PeerView) -> str:
    if peer.reported and peer.device_name is None:
        return "No audio output"
    if peer.reported and (not peer.clock_usable or peer.clock_stale):
        return "Clock not in time"
    return "" if peer.waited_for else "Not waited for"


def _peer_tooltip(peer: PeerView) -> str:
    if not peer.reported:
        return f"{peer.name}\nNothing is known of it yet."
    clock = "not in time"
    if peer.clock_usable and peer.offset_uncertainty_ns is not None:
        clock = f"within {within_text(peer.offset_uncertainty_ns)}, drift {peer.drift_ppb / 1e3:+.1f}{NNBSP}ppm"
    output = "none"
    if peer.device_name is not None:
        output = f"{peer.device_name}, {_delay_text(peer.timing, peer.output_latency_ns)}"
    lines = [peer.name, f"Output: {output}", f"Round trip: {ms_text(peer.rtt_ns)}", f"Clock: {clock}"]
    return "\n".join(lines + ([f"Interruptions: {peer.underruns}"] if peer.underruns else []))


# -- requests ----------------------------------------------------------------------------------------------------------


def _request_row(one: RequestView) -> RequestRow:
    text = f'{one.peer_name} wants to add "{one.file_name}"'
    if one.state is not RequestState.OPEN:
        text = f'"{one.file_name}" is on its way from {one.peer_name}'
    return _row(one, text, one.state is RequestState.OPEN)


def _own_request_row(one: RequestView) -> RequestRow:
    return _row(one, _OWN_REQUEST[one.state].format(one.file_name, one.reason), False)


def _row(one: RequestView, text: str, decidable: bool) -> RequestRow:
    under_way = one.state is RequestState.ACCEPTED and one.size
    progress = min(1.0, one.done_bytes / one.size) if under_way else None
    size = size_text(one.size)
    return RequestRow(one.request_id, one.number, text, size, one.state.value, progress, decidable)


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"
