"""The lines for people about events: sentences, tables, and the progress line."""

from __future__ import annotations

import textwrap
import time
from collections.abc import Iterator, Sequence

from phaselock.console import events as ce
from phaselock.console.columns import Column, fitted, table, width, wrapped
from phaselock.console.qr import qr_lines
from phaselock.language.catalogue import moment_text
from phaselock.language.message import ENGLISH, N_, Figure, Message, Words, joined, translated
from phaselock.model.distance import FAR_AWAY, FAR_SENTENCE
from phaselock.model.queue import ItemStatus
from phaselock.model.role import ROLE_NAMES
from phaselock.model.snapshot import LatencyClass, LevelView, RequestState
from phaselock.model.timing import TIMING_PHRASES
from phaselock.session import events as e
from phaselock.session.hearing_sentences import confirmed_text, louder_text
from phaselock.session.sentences import event_text, song_text, time_text

PLAYING_MARK = "▶"
"""Before the song that plays, in the queue."""


def event_lines(event: e.Event, words: Words = ENGLISH, columns: int = 0) -> list[str]:
    """The lines for users about an event, for a terminal with `columns` (0: no limit); none for an event that
    only changes the progress line."""
    match event:
        case e.StatusReported():
            return _labelled(_status_rows(event, words), columns)
        case e.PeersListed():
            if not event.peers:
                return [words.gettext("Nobody has joined yet.")]
            cells = [_peer_cells(peer, event.session_ns, words) for peer in event.peers]
            far = [part for peer in event.peers if peer.far for part in wrapped(_far_text(peer, words), columns)]
            return [*table(_titled(PEER_COLUMNS, words), cells, columns), *far]
        case e.QueueChanged():
            if not event.asked:
                return []
            if not event.queue:
                return [words.gettext("The queue is empty.")]
            cells = [_track_cells(number, row, words) for number, row in enumerate(event.queue, 1)]
            votes = [part for line in _votes(event, words) for part in wrapped(line, columns)]
            return [*table(_titled(QUEUE_COLUMNS, words), cells, columns), *votes]
        case e.RequestsListed():
            if not event.requests:
                return [words.gettext("There are no requests.")]
            cells = [_request_cells(row, words) for row in event.requests]
            return table(_titled(REQUEST_COLUMNS, words), cells, columns)
        case e.SongsFound():
            if not event.songs:
                return wrapped(words.gettext('No song with "{text}".').format(text=event.text), columns)
            cells = [_found_cells(row) for row in event.songs]
            return table(_titled(FOUND_COLUMNS, words), cells, columns)
        case e.Calibrated():
            lines = wrapped(event_text(event, words), columns)
            if louder := louder_text([(row.name, row.level_db) for row in event.machines], words):
                hint = words.gettext("To trim all to the quietest one, type levels even.")
                lines += wrapped(f"{louder} {hint}", columns)
            return lines
        case e.LevelsListed():
            cells = [_level_cells(one, words) for one in event.machines]
            hint = ""
            if event.can_even:
                hint = words.gettext("To trim all to the quietest one, type levels even.")
            elif all(one.level_db is None for one in event.machines):
                hint = words.gettext("To hear how loud they are, type calibrate.")
            lines = table(_titled(LEVEL_COLUMNS, words), cells, columns)
            return [*lines, *wrapped(hint, columns)] if hint else lines
        case e.GuestPageSet(link=link):
            lines = wrapped(event_text(event, words), columns)
            return [*lines, *qr_lines(link, columns), link] if link else lines
        case e.InvitationChanged(text=line) if line:  # whole, so that a double click takes all of it
            return [
                one
                for part in event_text(event, words).splitlines()
                for one in ([line] if part == line else wrapped(part, columns))
            ]
        case e.HelpTold():
            rows = [(translated(row.form, words), translated(row.meaning, words)) for row in event.commands]
            return _labelled(rows, columns)
        case ce.OutputListed():
            known = words.gettext(TIMING_PHRASES[event.timing])
            link = words.gettext(LINKS[event.link]) if event.link in LINKS else ""
            default = words.gettext("  (default)") if event.default else ""
            return [f"{event.backend:12}{known:20}  {event.name}{link}{default}"]
        case ce.LogShown():
            return [event.path, *(translated(line, words) for line in event.lines)]
        case ce.SessionFound():
            return [_session_line(event, words)]
        case ce.FindingTold(finding=found):
            level, message, fix = words.gettext(LEVELS[found.level]), *_both(found.message, found.fix, words)
            room = max(20, columns - 9) if columns else 0
            first, *others = [
                *wrapped(message, room),
                *(part for line in fix.splitlines() for part in wrapped(line, room)),
            ]
            return [f"{level:9}{first}", *textwrap.indent("\n".join(others), " " * 9).splitlines()]
        case ce.PriorityTold():
            message, fix = _both(event.message, event.fix, words)
            return [part for line in (message, *fix.splitlines()) for part in wrapped(line, columns)]
        case ce.VerdictTold() | ce.SignalWritten():
            return wrapped(translated(event.message, words), columns)
    return [part for line in event_text(event, words).splitlines() for part in wrapped(line, columns)]


def _votes(event: e.QueueChanged, words: Words) -> Iterator[str]:
    """The votes for the songs of the queue; a host also tells whose they are."""
    numbers = {row.id: number for number, row in enumerate(event.queue, 1)}
    for one in event.votes or ():
        if one.file_id in numbers:
            form = words.ngettext("Song {place} has {number} vote", "Song {place} has {number} votes", one.votes)
            text = form.format(place=numbers[one.file_id], number=one.votes)
            yield f"{text}: {joined(one.names, words)}." if one.names else f"{text}."


def progress_line(
    status: e.StatusReported, sync: e.SyncMeasured | None = None, words: Words = ENGLISH, columns: int = 0
) -> str:
    """The song, the position in it and, with `sync`, how well this machine keeps time. On a narrow terminal the name of
    the song is cut."""
    state = words.gettext(STATES[status.state])
    parts = []
    if status.file_name is not None:
        parts.append(_place_text(status, words))
    if status.peers is not None:
        parts.append(words.ngettext("{number} peer", "{number} peers", status.peers).format(number=status.peers))
    if sync is not None:
        parts += _timekeeping(sync, words, hosting=status.peers is not None)
    if not status.connected:
        parts.append(words.gettext("host not heard"))
    song = _song(status)
    if song and columns:
        song = fitted(song, max(8, columns - width("  ".join([f"{state} ", *parts]))))
    return fitted("  ".join([f"{state} {song}".rstrip(), *parts]), columns or 10_000)


def _timekeeping(sync: e.SyncMeasured, words: Words, *, hosting: bool) -> list[str]:
    """How well this machine keeps time. A host plays by its own clock: there is nothing to say about it."""
    if sync.playing and sync.timing == "unknown":
        return [words.gettext(TIMING_PHRASES["unknown"])]
    if hosting:
        return []
    if sync.offset_uncertainty_us is None:
        return [words.gettext("listening to the host's clock")]
    if not sync.playing or sync.dac_uncertainty_us is None:
        return []
    bound_us = abs(sync.phase_error_us) + sync.offset_uncertainty_us + sync.dac_uncertainty_us
    return [words.gettext("in phase within {time}").format(time=time_words(bound_us).translated(words))]


def time_words(time_us: float) -> Message:
    """A short time, given in µs, for people: "12 µs", "1.5 ms"."""
    if time_us < 1000:
        return Message("{figure} µs", figure=max(1, round(time_us)))
    return ms_words(time_us / 1000)


def ms_words(time_ms: float, form: str = ".1f") -> Message:
    """A time in milliseconds in a form of `format`."""
    return Message("{figure} ms", figure=Figure(time_ms, form))


def decibel_words(level_db: float) -> Message:
    """A level or a change of it."""
    return Message("{figure} dB", figure=Figure(level_db, ".1f"))


STATES = {
    "stopped": N_("stopped"),
    "playing": N_("playing"),
    "paused": N_("paused"),
    "waiting": N_("waiting"),
}
LATENCIES = {LatencyClass.GREEN: "", LatencyClass.YELLOW: N_(" (slow)"), LatencyClass.RED: N_(" (too slow)")}
TRACKS = {
    ItemStatus.TRANSFERRING: N_("being sent"),
    ItemStatus.READY: N_("ready"),
    ItemStatus.PLAYING: N_("playing"),
    ItemStatus.PLAYED: N_("played"),
}
REQUESTS = {
    RequestState.OPEN: N_("open"),
    RequestState.ACCEPTED: N_("accepted"),
    RequestState.CONVERTING: N_("converting"),
    RequestState.ADDED: N_("added"),
    RequestState.REJECTED: N_("rejected"),
    RequestState.FAILED: N_("failed"),
}
LEVELS = {"ok": N_("ok"), "hint": N_("hint"), "problem": N_("problem")}
LINKS = {"bluetooth": N_(", by Bluetooth"), "hdmi": N_(", by HDMI")}

QUEUE_COLUMNS = (
    Column("", right=True),
    Column(N_("song"), flexible=True),
    Column(N_("length"), right=True),
    Column(N_("state"), leave_out=1),
    Column(N_("added by"), flexible=True, leave_out=2),
)
REQUEST_COLUMNS = (
    Column("", right=True),
    Column(N_("song"), flexible=True),
    Column(N_("size"), right=True, leave_out=2),
    Column(N_("state")),
    Column(N_("asked by"), flexible=True, leave_out=1),
    Column(N_("why"), flexible=True, leave_out=3),
)
FOUND_COLUMNS = (
    Column("", right=True),
    Column(N_("song"), flexible=True),
    Column(N_("length"), right=True, leave_out=1),
    Column(N_("album"), flexible=True, leave_out=2),
)
PEER_COLUMNS = (
    Column(N_("name"), flexible=True),
    Column(N_("in phase within"), right=True),
    Column(N_("heard by a microphone"), leave_out=4),
    Column(N_("network"), right=True, leave_out=1),
    Column(N_("songs"), right=True, leave_out=2),
    Column(N_("output"), flexible=True, leave_out=3),
)
LEVEL_COLUMNS = (
    Column(N_("name"), flexible=True),
    Column(N_("louder"), right=True),
    Column(N_("trim"), right=True),
    Column(N_("trim to be even"), right=True, leave_out=1),
)


def _titled(columns: Sequence[Column], words: Words) -> list[Column]:
    return [Column(translated(one.title, words), one.right, one.flexible, one.leave_out) for one in columns]


def _labelled(rows: Sequence[tuple[str, str]], columns: int) -> list[str]:
    """Rows of a label and a text. The texts stand below one another, or below their labels on a narrow terminal."""
    indent = max(width(label) for label, _ in rows) + 2
    if columns and columns - indent < 24:
        return [part for label, text in rows for part in (label, *wrapped(f"    {text}", columns))]
    lines = []
    for label, text in rows:
        first, *others = wrapped(text, columns - indent if columns else 0)
        lines += [label + " " * (indent - width(label)) + first, *(" " * indent + other for other in others)]
    return lines


def _both(message: str, fix: str, words: Words) -> tuple[str, str]:
    return translated(message, words), translated(fix, words)


def _song(status: e.StatusReported) -> str:
    return song_text(status.title or "", status.artist or "", status.file_name or "")


def _place_text(status: e.StatusReported, words: Words) -> str:
    return f"{time_text(status.position_s or 0)} / {time_text(status.duration_s or 0)}"


def _status_rows(status: e.StatusReported, words: Words) -> list[tuple[str, str]]:
    hosting = status.peers is not None
    form = words.gettext("{session_name}, hosted by {host_name}")
    rows = [(words.gettext("Jam"), form.format(session_name=status.session_name, host_name=status.host_name))]
    rows.append((words.gettext("You are"), status.display_name))
    if status.address:
        rows.append((words.gettext("Address"), status.address))
    if status.host_words:
        rows.append((words.gettext("Host's key"), status.host_words))
    song = words.gettext(STATES[status.state])
    if status.file_name is not None:
        song = f"{_song(status)}, {song}, {_place_text(status, words)}"
    rows.append((words.gettext("Song"), song))
    known = f" ({words.gettext(TIMING_PHRASES[status.timing])})" if status.timing else ""
    rows.append((words.gettext("Output"), (status.device or words.gettext("none")) + known))
    if status.volume is not None:
        trim = f", {decibel_words(status.trim_db).translated(words)}" if status.trim_db else ""
        rows.append((words.gettext("Volume"), f"{status.volume} %{trim}"))
    if status.role is not None:
        rows.append((words.gettext("Channels"), words.gettext(ROLE_NAMES[status.role])))
    if status.offset_ms is not None:
        rows.append((words.gettext("Offset"), ms_words(status.offset_ms, "g").translated(words)))
    if status.device is not None:
        heard = _confirmed_text(status.confirmed, status.session_ns, words)
        rows.append((words.gettext("Microphone"), heard or words.gettext("has not heard this speaker yet")))
    if status.repeat is not None:
        rows.append((words.gettext("Repeat"), words.gettext("on") if status.repeat else words.gettext("off")))
    if status.shuffle is not None:
        rows.append((words.gettext("Shuffle"), words.gettext("on") if status.shuffle else words.gettext("off")))
    if hosting:
        names = ", ".join(status.peer_names or ()) or words.gettext("nobody yet")
        rows.append((words.gettext("Peers"), names))
    elif not status.connected:
        rows.append((words.gettext("Clock"), words.gettext("the host is not heard")))
    elif status.clock_within_us is None:
        rows.append((words.gettext("Clock"), words.gettext("not known yet")))
    else:
        within = words.gettext("known within {time}").format(time=time_words(status.clock_within_us).translated(words))
        rows.append((words.gettext("Clock"), within))
    return rows


def _confirmed_text(confirmed: e.ConfirmedRow | None, session_ns: int | None, words: Words) -> str:
    """What a microphone has confirmed, and when by the clock of this machine. Empty: nothing."""
    if confirmed is None or session_ns is None:
        return ""
    when = moment_text(time.time() - (session_ns - confirmed.session_ns) / 1e9)
    return confirmed_text(confirmed.within_us, when).translated(words)


def _peer_cells(peer: e.PeerRow, session_ns: int | None, words: Words) -> tuple[str, ...]:
    network = ms_words(peer.latency_ms).translated(words) + translated(LATENCIES[peer.latency_class], words)
    if peer.far:
        network = words.gettext("{distance} away").format(distance=ms_words(peer.away_ms, ".0f").translated(words))
    songs = f"{peer.files_ready}/{peer.files}"
    output = peer.device or words.gettext("no output")
    if peer.role not in ("stereo", None):
        output += f", {words.gettext(ROLE_NAMES[peer.role])}"
    if not peer.waited_for:
        output += f", {words.gettext('not waited for')}"
    heard = _confirmed_text(peer.confirmed, session_ns, words) or words.gettext("not yet")
    return peer.name, _peer_phase(peer, words), heard, network if peer.latency_ms else "-", songs, output


def _level_cells(level: LevelView, words: Words) -> tuple[str, ...]:
    values_db = level.level_db, level.trim_db, level.even_trim_db
    return level.name, *("-" if one is None else decibel_words(one).translated(words) for one in values_db)


def _peer_phase(peer: e.PeerFigures, words: Words) -> str:
    if peer.clock == "none" or peer.offset_uncertainty_us is None:
        return words.gettext("no clock yet")
    if peer.device is None:
        return "-"
    if peer.timing == "unknown" or peer.dac_uncertainty_us is None:
        return words.gettext(TIMING_PHRASES["unknown"])
    if peer.far:
        return words.gettext("far away")
    return time_words(_bound_us(peer)).translated(words)


def _bound_us(peer: e.PeerFigures) -> float:
    """Upper limit of its distance from the timeline, as far as that is known."""
    return abs(peer.phase_error_us) + (peer.offset_uncertainty_us or 0) + (peer.dac_uncertainty_us or 0)


def _far_text(peer: e.PeerFigures, words: Words) -> str:
    """A sentence about a peer that is far."""
    known = peer.clock == "good" and None not in (peer.offset_uncertainty_us, peer.dac_uncertainty_us)
    distance, time = ms_words(peer.away_ms, ".0f"), time_words(_bound_us(peer))
    values = {"name": peer.name, "distance": distance.translated(words), "time": time.translated(words)}
    return words.gettext(FAR_SENTENCE if known else FAR_AWAY).format_map(values)


def _track_cells(number: int, row: e.QueueRow, words: Words) -> tuple[str, ...]:
    mark = f"{PLAYING_MARK} " if row.status is ItemStatus.PLAYING else ""
    song = song_text(row.title, row.artist, row.file_name)
    return f"{mark}{number}", song, time_text(row.duration_secs), words.gettext(TRACKS[row.status]), row.added_by


def _request_cells(row: e.RequestRow, words: Words) -> tuple[str, ...]:
    size = f"{Figure(row.size / 1e6, '.1f').translated(words)} MB"
    state = words.gettext(REQUESTS[row.state])
    song = song_text(row.title, row.artist, row.file_name)
    return str(row.number), song, size, state, row.peer, translated(row.reason, words)


def _found_cells(row: e.FoundSongRow) -> tuple[str, ...]:
    length = time_text(row.duration_s) if row.duration_s else ""
    return str(row.number), song_text(row.title, row.artist, row.file_name), length, row.album


def _session_line(session: ce.SessionFound, words: Words) -> str:
    hosted = words.gettext("hosted by {name}").format(name=session.host_name)
    form = words.ngettext("{peers}/{number} peers", "{peers}/{number} peers", session.max_peers)
    people = form.format(peers=session.peers, number=session.max_peers)
    full = words.gettext("  (full)") if session.full else ""
    code = words.gettext("  (with a code)") if session.needs_code else ""
    return f"{session.session_name} — {hosted} — {people}{full}{code}  {session.address}"
