"""The state of the session as the page sees it, in JSON.

The largest part is the same for all guests and is made once. Rows of the queue are kept as JSON, because few of them
change at a time.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Sequence
from typing import Any
from uuid import UUID

from phaselock.frozen import frozen
from phaselock.language.message import Words, translated
from phaselock.model.file_kinds import MUSIC_ENDINGS
from phaselock.model.queue import QueueItem
from phaselock.model.snapshot import ChatLine, GuestPage, RequestView, SessionSnapshot
from phaselock.model.sweeps import FADE_NS, HIGH_HZ, LEVEL, LOW_HZ, RATE_HZ, SWEEP_NS
from phaselock.model.timeline import Timeline
from phaselock.model.types import Track
from phaselock.session.effects import Follow, GuestCalibrated, GuestSweep, GuestSweepEnd

MAX_ROWS = 300
"""Rows of the queue that the page receives."""
MAX_CHAT_LINES = 50
"""Lines that a page receives when it connects."""
MAX_FETCHED = 3
"""Songs that a phone with a loudspeaker fetches ahead: the one that plays, the next one, and one more."""
_NS_PER_S = 1_000_000_000


def dumps(value: Any) -> str:
    """JSON as short as it can be."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


@frozen
class Shared:
    """The part of the state that is the same for all guests, as JSON without the braces around it."""

    head: str
    now: str | None
    """The song that plays, without its closing brace and without `skip`."""
    skip: tuple[int, int] | None
    """The votes for leaving it, and how many are needed."""
    max_waiting: int | None
    rows: tuple[str, ...]
    """Each row for a guest that has not asked for it and not voted for it."""
    ids: tuple[UUID, ...]
    """Of the rows."""


class States:
    """Makes the state for each guest."""

    def __init__(self) -> None:
        self._rows: dict[UUID, tuple[tuple[Any, ...], str]] = {}
        """What each row was made of, and the row."""

    def shared(self, snapshot: SessionSnapshot, session_ns: int, *, has_library: bool, has_art: bool) -> Shared:
        """The common part of the state at this session time."""
        queue = snapshot.queue[:MAX_ROWS]
        head = {
            "type": "state",
            "session_name": snapshot.session_name,
            "host_name": snapshot.host_name,
            "rules": _rules(snapshot),
            "people": 1 + len(snapshot.peers) + sum(guest.connected for guest in snapshot.guests),
            "can_upload": True,
            "library": has_library,
            "upload_kinds": MUSIC_ENDINGS,
            "rows": len(snapshot.queue),
        }
        now = _now(snapshot, session_ns, has_art)
        return Shared(
            dumps(head)[1:-1],
            None if now is None else dumps(now)[:-1],
            None if snapshot.skip is None else (snapshot.skip.votes, snapshot.skip.needed),
            snapshot.rules.max_waiting,
            self._queue_rows(snapshot, queue),
            tuple(item.id for item in queue),
        )

    def _queue_rows(self, snapshot: SessionSnapshot, queue: Sequence[QueueItem]) -> tuple[str, ...]:
        votes = {one.file_id: one.votes for one in snapshot.votes}
        speakers = 1 + len(snapshot.peers)
        rows: dict[UUID, tuple[tuple[Any, ...], str]] = {}
        for item in queue:
            ready = 1 + sum(item.id in peer.have for peer in snapshot.peers)
            made_of = item, _asker(item, snapshot.host_name), votes.get(item.id, 0), ready, speakers
            kept = self._rows.get(item.id)
            rows[item.id] = kept if kept is not None and kept[0] == made_of else (made_of, _row(*made_of))
        self._rows = rows
        return tuple(text for _, text in rows.values())


def state_text(shared: Shared, guest_id: bytes, own: GuestPage, words: Words) -> str:
    """The whole state for one guest, in JSON."""
    me = {"id": guest_id.hex(), "name": own.name, "waiting": own.waiting, "max_waiting": shared.max_waiting}
    rows = list(shared.rows)
    if own.songs or own.voted:
        for at, file_id in enumerate(shared.ids):
            mine, voted = file_id in own.songs, file_id in own.voted
            if mine or voted:
                rows[at] = rows[at].removesuffix(_NOT_MINE) + _mark(mine, voted)
    skip = None if shared.skip is None else {"votes": shared.skip[0], "needed": shared.skip[1], "mine": own.wants_skip}
    now = "null" if shared.now is None else f'{shared.now},"skip":{dumps(skip)}}}'
    requests = [_request(one, words) for one in own.requests]
    return f'{{{shared.head},"me":{dumps(me)},"now":{now},"queue":[{",".join(rows)}],"requests":{dumps(requests)}}}'


def chat_text(lines: Sequence[ChatLine], after: int, name: str) -> str | None:
    """The lines with a larger number than `after`, for the guest with this name; None if there are none."""
    new = [line for line in lines if line.number > after][-MAX_CHAT_LINES:]
    if not new:
        return None
    shown = [{"number": line.number, "name": line.name, "text": line.text, "mine": line.name == name} for line in new]
    return dumps({"type": "chat", "lines": shown, "from": new[0].number})


def sweep_message(effect: GuestSweep | GuestSweepEnd | GuestCalibrated) -> dict[str, Any]:
    """What a phone with a loudspeaker plays in a calibration (model/sweeps.py), that this is over, or the result."""
    match effect:
        case GuestSweep(begin_session_ns=begin_session_ns, sounds=sounds, late_ns=late_ns):
            return {
                "type": "sweep",
                "begin_session_ns": str(begin_session_ns),
                "starts_ns": sounds.starts_ns,
                "upward": sounds.upward,
                "low_hz": LOW_HZ,
                "high_hz": HIGH_HZ,
                "rate_hz": RATE_HZ,
                "length_ns": SWEEP_NS,
                "fade_ns": FADE_NS,
                "level": LEVEL,
                "late_ns": late_ns,
            }
        case GuestSweepEnd():
            return {"type": "sweep_end"}
        case GuestCalibrated(late_ns=late_ns):
            return {"type": "calibrated", "late_ns": late_ns}


def timeline_text(
    follow: Follow, queue: Sequence[QueueItem], track: Callable[[UUID], Track | None], *, silent: bool = False
) -> str:
    """What a phone with a loudspeaker plays, and which songs it fetches. `silent`: it only keeps the songs."""
    lines = [line for line in (follow.timeline, follow.then) if line is not None and track(line.file_id) is not None]
    ids = [line.file_id for line in lines]
    at = next((number for number, item in enumerate(queue) if ids and item.id == ids[-1]), -1)
    ids += [item.id for item in queue[at + 1 : at + 1 + MAX_FETCHED]]
    songs = [
        {
            "id": str(found.file_id),
            "url": f"/song/{found.file_id}",
            "size": found.size,
            "rate_hz": found.rate_hz,
            "frames": found.frames,
            "skip_frames": 0,
        }
        for found in map(track, dict.fromkeys(ids[:MAX_FETCHED]))
        if found is not None
    ]
    current = _line(follow.timeline, follow.gain_db) if follow.timeline in lines else None
    then = _line(follow.then, follow.then_gain_db) if follow.then in lines else None
    if silent:
        current = then = None
    return dumps({"type": "timeline", "songs": songs, "current": current, "then": then})


def _line(line: Timeline | None, gain_db: float) -> dict[str, Any] | None:
    if line is None:
        return None
    fade_out = line.fade_out
    return {
        "id": str(line.file_id),
        "start_session_ns": str(line.start_session_ns),
        "start_frame": line.anchor_frame,
        "stop_session_ns": None if line.stop_session_ns is None else str(line.stop_session_ns),
        "gain_db": round(gain_db, 2),
        "crossfade_ns": str(line.crossfade_ns),
        "fade_out": None
        if fade_out is None
        else {"begin_session_ns": str(fade_out.begin_session_ns), "length_ns": str(fade_out.length_ns)},
    }


def _rules(snapshot: SessionSnapshot) -> dict[str, Any]:
    return dataclasses.asdict(snapshot.rules)


def _now(snapshot: SessionSnapshot, session_ns: int, has_art: bool) -> dict[str, Any] | None:
    item, line = snapshot.now, snapshot.timeline
    if item is None or line is None:
        return None
    stopped = line.stop_session_ns is not None and session_ns >= line.stop_session_ns
    # The page goes on by itself from this position, so the state does not change while the song plays.
    at_ns = line.stop_session_ns if stopped and line.stop_session_ns is not None else line.start_session_ns
    return {
        "id": str(item.id),
        "title": item.title,
        "artist": item.artist,
        "file_name": item.file_name,
        "duration_s": round(item.duration_secs, 3),
        "added_by": _asker(item, snapshot.host_name),
        "art": has_art,
        "playing": session_ns >= line.start_session_ns and not stopped,
        "position_s": round(line.frame_at(at_ns) / line.rate_hz, 3),
        "at_ms": round(at_ns / 1e6, 3),
    }


_NOT_MINE = ',"mine":false,"voted":false}'


def _mark(mine: bool, voted: bool) -> str:
    return f',"mine":{dumps(mine)},"voted":{dumps(voted)}}}'


def _asker(item: QueueItem, host_name: str) -> str:
    """Who has asked for a song; empty: the host has added it."""
    return "" if item.added_by == host_name else item.added_by


def _row(item: QueueItem, asker: str, votes: int, ready: int, speakers: int) -> str:
    row = {
        "id": str(item.id),
        "title": item.title,
        "artist": item.artist,
        "file_name": item.file_name,
        "duration_s": round(item.duration_secs, 1),
        "added_by": asker,
        "votes": votes,
        "status": item.status,
        "ready": ready,
        "speakers": speakers,
    }
    return dumps(row)[:-1] + _NOT_MINE


def _request(request: RequestView, words: Words) -> dict[str, Any]:
    return {
        "id": str(request.request_id),
        "title": request.title,
        "artist": request.artist,
        "file_name": request.file_name,
        "state": request.state,
        "done_bytes": request.done_bytes,
        "size": request.size,
        "reason": translated(request.reason, words),
    }
