"""Makes the contents of the two session screens from a state."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from phaselock.language.catalogue import current, tr, tr_plural
from phaselock.language.message import MAX_JOINED, N_, joined, translated
from phaselock.model.code import shown_code
from phaselock.model.file_kinds import without_ending
from phaselock.model.notices import Code
from phaselock.model.queue import QueueItem
from phaselock.model.role import ROLE_NAMES
from phaselock.model.snapshot import (
    FileState,
    FileView,
    LatencyClass,
    PeerView,
    RequestState,
    RequestView,
    SessionSnapshot,
)
from phaselock.model.timing import TIMING_PHRASES, TIMING_SENTENCES, Timing
from phaselock.session.sentences import NOTICES, time_text
from phaselock.ui.backend import SessionView
from phaselock.ui.viewmodel.guests import guest_rows, guests_here, guests_note, skip_vote
from phaselock.ui.viewmodel.rows import QueueRows, Rows, item_of, ready_text, song
from phaselock.ui.viewmodel.rules import rules_text
from phaselock.ui.viewmodel.sync import chip, far_text, machines, own_machine, sounding, sync_view
from phaselock.ui.viewmodel.values import (
    HostView,
    NowPlaying,
    PeerRow,
    PeerScreenView,
    RequestRow,
    TransportView,
)
from phaselock.ui.viewmodel.words import (
    code_text,
    initial,
    latency_text,
    ms_text,
    percent_text,
    ppm_text,
    size_text,
    within_text,
)

MAX_REQUESTS = 3
_DELAYS: dict[Timing, str] = {
    "exact": N_("delay {time}"),
    "told": N_("delay about {time}"),
    "unknown": TIMING_PHRASES["unknown"],
}
"""The latency of an output, from the program to the sound."""
_OWN_STATES: dict[RequestState, str] = {
    RequestState.OPEN: N_("the host was asked"),
    RequestState.ACCEPTED: N_("on its way to the host"),
    RequestState.CONVERTING: N_("being converted, {number} %"),
    RequestState.ADDED: N_("in the queue"),
    RequestState.REJECTED: N_("not added"),
    RequestState.FAILED: N_("not added"),
}
"""How far this machine's own request is."""


def host_view(state: SessionView, queue_rows: QueueRows | None = None) -> HostView:
    """The host's screen. Pass the same `queue_rows` in each call: unchanged rows are reused."""
    s = state.snapshot
    now, rows = _now(state), _queue_rows(s, s.peers, queue_rows)
    ordered = sorted(s.requests, key=lambda one: (one.state is not RequestState.OPEN, one.number))
    return HostView(
        title=s.session_name,
        subtitle=_connected_text(s),
        address=state.address,
        code=shown_code(s.code),
        removed=tuple({name.casefold(): name for name in s.removed}.values()),
        removed_guests=tuple({name.casefold(): name for name in s.removed_guests}.values()),
        peers=_peer_rows(state),
        guests=guest_rows(s.guests),
        guests_note=guests_note(s.guests),
        now=now,
        queue=rows.rows,
        queue_note=rows.note,
        requests=tuple(map(_request_row, sorted(ordered[:MAX_REQUESTS], key=lambda one: one.number, reverse=True))),
        more_requests=max(0, len(ordered) - MAX_REQUESTS),
        sync=sync_view(state),
        transport=_transport(state),
        skip=skip_vote(s),
    )


def peer_view(state: SessionView, queue_rows: QueueRows | None = None) -> PeerScreenView:
    """The peer's screen. Pass the same `queue_rows` in each call: unchanged rows are reused."""
    s = state.snapshot
    now, rows = _now(state), _queue_rows(s, (), queue_rows)
    own_chip = chip(own_machine(state))
    return PeerScreenView(
        title=s.session_name,
        connection=_connection(state),
        connection_kind="warning" if not s.connected or _is_listened_by(state) else "good",
        chip_text=own_chip.text,
        chip_kind=own_chip.kind,
        now=now,
        queue=rows.rows,
        queue_note=rows.note,
        requests=tuple(map(_own_request_row, s.requests[: -MAX_REQUESTS - 1 : -1])),
        sync=sync_view(state),
        rules_note=rules_text(s.rules),
        skip=skip_vote(s),
    )


def _queue_rows(s: SessionSnapshot, peers: Sequence[PeerView], queue_rows: QueueRows | None) -> Rows:
    return (queue_rows or QueueRows()).rows(s.queue, peers, s.host_name, s.votes, s.rules.order)


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
        return _track(s.now, "playing" if sounding(s) else "paused", note)
    if s.timeline is None and waiting is not None:
        return _track(waiting, "waiting", _waiting_note(state, waiting))
    if s.timeline is not None:  # the host's song is not known here yet
        return NowPlaying(s.timeline.file_id, "", "", "", "", "playing" if sounding(s) else "paused", 0.0, "")
    return NowPlaying(None, tr("Nothing is playing"), "", "", "", "stopped", 0.0, _stopped_note(state))


def _track(item: QueueItem, what: str, note: str) -> NowPlaying:
    title = song(item)
    return NowPlaying(item.id, title, item.artist, item.file_name, initial(title), what, item.duration_secs, note)


def _waiting_note(state: SessionView, waiting: QueueItem) -> str:
    names = [peer.name for peer in state.snapshot.peers if peer.waited_for and waiting.id not in peer.have]
    if not names:
        return tr("{song} is about to start.").format(song=song(waiting))
    form = tr("Waiting for {peers} to receive {song}.")
    return form.format(peers=joined(names, current()), song=song(waiting))


def output_text(state: SessionView) -> str:
    """The output of this machine, its latency, and how accurately the latency is known."""
    own = state.own
    if own is None or own.device_name is None:
        return code_text(Code.NO_OUTPUT)
    form = tr("Playing on {device}.") if own.timing == "unknown" else tr("Playing on {device}, {delay}.")
    playing = form.format(device=own.device_name, delay=_delay_text(own.timing, own.output_latency_ns))
    return "\n".join(filter(None, (playing, translated(TIMING_SENTENCES[own.timing], current()))))


def _delay_text(timing: Timing, latency_ns: int) -> str:
    return tr(_DELAYS[timing]).format(time=ms_text(latency_ns))


def _stopped_note(state: SessionView) -> str:
    s = state.snapshot
    if state.own is not None and state.own.device_name is None:
        return code_text(Code.NO_OUTPUT)
    if not state.hosting:
        return tr("Waiting for the host to play.") if s.queue else tr("The host has not added any songs yet.")
    upcoming = item_of(s.queue, s.upcoming)
    return tr("Up next: {song}").format(song=song(upcoming)) if upcoming else tr("Add songs to begin.")


def window_title(state: SessionView) -> str:
    """The title of the window: the song, or the session."""
    now = _now(state)
    parts = (now.title, now.artist) if now.file_id is not None else (state.snapshot.session_name,)
    return " · ".join(filter(None, (" – ".join(filter(None, parts)), "PhaseLock")))


def _is_listened_by(state: SessionView) -> bool:
    """The host listens by this machine's microphone now."""
    microphone = state.snapshot.microphone
    return microphone is not None and microphone.listening


def _connection(state: SessionView) -> str:
    s, own = state.snapshot, state.own
    if _is_listened_by(state):
        return tr("The host listens by this microphone.")
    if not s.connected:
        on = s.plays_on and sounding(s)
        if s.invitation_wanted:
            return tr("Host not found — ask it for its newest invitation, and paste it here")
        return tr("Looking for the host — playing on") if on else tr("Looking for the host")
    if own is None or own.clock_uncertainty_ns is None or own.rtt_ns is None:
        return tr("Connected")
    return tr("Connected — latency {latency}").format(latency=latency_text(own.rtt_ns // 2))


def _connected_text(s: SessionSnapshot) -> str:
    number = len(s.peers)
    peers = tr_plural("{number} peer connected", "{number} peers connected", number).format(number=number)
    shown = filter(None, (peers if s.peers else "", guests_here(s.guests)))
    return " · ".join(shown) or tr("Nobody has joined yet")


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
        return TransportView(playing, frozenset(can), tr("Pause") if playing else tr("Resume"), s.shuffle, s.repeat)
    tooltip = _obstacle(state)
    if not tooltip:
        can.add("play_pause")
        late = [p.name for p in s.peers if p.reported and (not p.clock_usable or p.clock_stale)]
        warning = tr(NOTICES[Code.NOT_IN_TIME]).format(peers=joined(late, current())) if late else ""
        tooltip = "\n".join(filter(None, (tr("Play"), warning)))
    return TransportView(False, frozenset(can), tooltip, s.shuffle, s.repeat)


def _obstacle(state: SessionView) -> str:
    """Why playback cannot start: there is no track, or a peer that the host waits for does not have it. Empty if it can
    start."""
    s = state.snapshot
    item = item_of(s.queue, s.upcoming)
    if item is None:
        return tr("Add songs first.")
    missing = [
        f"{peer.name}: {song(item)} ({_how_far(peer, item.id)})"
        for peer in s.peers
        if peer.waited_for and item.id not in peer.have
    ]
    if all(item.id in peer.have | peer.stuck for peer in s.peers if peer.waited_for):
        return ""
    if len(missing) > MAX_JOINED + 1:
        missing[MAX_JOINED:] = [tr("{number} more").format(number=len(missing) - MAX_JOINED)]
    return "\n".join([code_text(Code.WAITING_FOR_PEERS), *missing]) if missing else ""


def _how_far(peer: PeerView, file_id: UUID) -> str:
    file = next((file for file in peer.files if file.file_id == file_id), None)
    if file is None:
        return tr("not begun")
    return tr("could not be sent") if file.state is FileState.FAILED else percent_text(_part(file))


# -- peers -------------------------------------------------------------------------------------------------------------


def _peer_rows(state: SessionView) -> tuple[PeerRow, ...]:
    s = state.snapshot
    rows = []
    for peer, machine in zip(s.peers, machines(state)[1:], strict=True):
        figure = chip(machine)
        sending = _sending(peer)
        detail, has_all_files = _detail(peer, sending, s.queue)
        rows.append(
            PeerRow(
                peer_id=peer.peer_id,
                name=peer.name,
                initial=initial(peer.name),
                latency_class=(peer.latency_class if peer.reported else LatencyClass.YELLOW).value,
                latency_text=_network_text(peer),
                chip_text=figure.text,
                chip_kind=figure.kind,
                detail=detail,
                has_all_files=has_all_files,
                trouble=_trouble(peer),
                progress=_part(sending) if sending else None,
                can_retry=any(file.state is FileState.FAILED for file in peer.files),
                tooltip=_peer_tooltip(peer, far_text(machine)),
                volume_percent=peer.volume_percent,
                muted=peer.muted,
                mute_text=_mute_text(peer),
                channels_text=_channels_text(peer),
            )
        )
    return tuple(rows)


def _sending(peer: PeerView) -> FileView | None:
    """The file that the peer is receiving; of several the one with the most progress."""
    sending = [file for file in peer.files if file.state is FileState.SENDING]
    return max(sending, key=_part, default=None)


def _part(file: FileView) -> float:
    return min(1.0, file.done_bytes / file.size) if file.size else 0.0


def _detail(peer: PeerView, sending: FileView | None, queue: tuple[QueueItem, ...]) -> tuple[str, bool]:
    """The progress of its files, and whether it has them all."""
    for state, form in (
        (FileState.FAILED, tr("could not receive {song}")),
        (FileState.UNPLAYABLE, tr("cannot play {song}")),
    ):
        file = next((file for file in peer.files if file.state is state), None)
        if file is not None:
            return form.format(song=_title(queue, file)), False
    if sending is not None:
        form = tr("receiving {song} – {percent}")
        return form.format(song=_title(queue, sending), percent=percent_text(_part(sending))), False
    if not peer.ready:
        return ready_text(len(peer.have), peer.files_total), False
    return (tr("has all files"), True) if peer.files_total else (tr("ready"), False)


def _title(queue: tuple[QueueItem, ...], file: FileView) -> str:
    item = item_of(queue, file.file_id)
    return song(item) if item else tr("a song")


def _trouble(peer: PeerView) -> str:
    if peer.reported and peer.device_name is None:
        return tr("No audio output")
    if peer.reported and (not peer.clock_usable or peer.clock_stale):
        return tr("Clock not in time")
    return "" if peer.waited_for else tr("Not waited for")


def _mute_text(peer: PeerView) -> str:
    if peer.muted:
        return tr("Unmute {name}").format(name=peer.name)
    return tr("Mute {name} ({number} %)").format(name=peer.name, number=peer.volume_percent or 0)


def _channels_text(peer: PeerView) -> str:
    if peer.role is None:
        return ""
    return tr("Channels of {name}: {role}").format(name=peer.name, role=tr(ROLE_NAMES[peer.role]))


def _network_text(peer: PeerView) -> str:
    """The latency, behind the channels of a peer that does not play both."""
    latency = latency_text(peer.latency_ns) if peer.reported else "–"
    if peer.far:
        latency = tr("{distance} away").format(distance=latency_text(peer.away_ns))
    if peer.role not in ("stereo", None):
        return f"{tr(ROLE_NAMES[peer.role])} · {latency}"
    if peer.far:
        return latency
    return tr("Network: {latency}").format(latency=latency)


def _peer_tooltip(peer: PeerView, far: str) -> str:
    if not peer.reported:
        return tr("Nothing is known of it yet.")
    output, clock = tr("Output: none"), tr("Clock: not in time")
    if peer.device_name is not None:
        delay = _delay_text(peer.timing, peer.output_latency_ns)
        output = tr("Output: {device}, {delay}").format(device=peer.device_name, delay=delay)
    if peer.clock_usable and peer.offset_uncertainty_ns is not None:
        clock = tr("Clock: within {time}, drift {drift}").format(
            time=within_text(peer.offset_uncertainty_ns), drift=ppm_text(peer.drift_ppb / 1e3)
        )
    lines = [output, tr("Round trip: {time}").format(time=ms_text(peer.rtt_ns)), clock]
    if peer.underruns:
        lines.append(tr("Interruptions: {number}").format(number=peer.underruns))
    if far:
        lines.append(far)
    return "\n".join(lines)


# -- requests ----------------------------------------------------------------------------------------------------------


def _request_row(one: RequestView) -> RequestRow:
    is_open = one.state is RequestState.OPEN
    asked = tr("asked by {name}") if is_open else tr("on its way from {name}")
    if one.state is RequestState.CONVERTING:
        asked = tr(_OWN_STATES[one.state])
    return _row(one, asked.format(name=one.peer_name, number=one.converted_percent or 0), is_open)


def _own_request_row(one: RequestView) -> RequestRow:
    text = tr(_OWN_STATES[one.state]).format(number=one.converted_percent or 0)
    return _row(one, " – ".join(filter(None, (text, translated(one.reason, current())))), False)


def _row(one: RequestView, state_text: str, decidable: bool) -> RequestRow:
    progress = None
    if one.state is RequestState.CONVERTING:
        progress = (one.converted_percent or 0) / 100
    elif one.state is RequestState.ACCEPTED and one.size:
        progress = min(1.0, one.done_bytes / one.size)
    return RequestRow(
        one.request_id,
        one.number,
        one.title or without_ending(one.file_name),
        " · ".join(filter(None, (state_text, one.artist, size_text(one.size) if decidable and one.size else ""))),
        time_text(one.duration_secs) if one.duration_secs else "",
        one.state.value,
        progress,
        decidable,
    )
