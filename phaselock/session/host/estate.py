"""What a host tells its successors of the session, as rows, and which rows each of them knows already.

A change costs one row, not the whole session: a successor is told the rows that differ from those it was told before.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable
from typing import Any, TypeAlias
from uuid import UUID

from phaselock.model.heritage import (
    MAX_MEMBERS,
    MAX_VOTERS,
    HeirBar,
    HeirLevel,
    HeirMember,
    HeirRound,
    HeirSettings,
    HeirSong,
    HeirSound,
    HeirVotes,
    Lineage,
)
from phaselock.model.loudness import Loudness, Tagged
from phaselock.model.measurement import Measurement
from phaselock.model.queue import QueueEntry
from phaselock.protocol import messages as m
from phaselock.protocol.proof import heir_token
from phaselock.session.effects import Send
from phaselock.session.host.admission import Admission
from phaselock.session.host.members import Members
from phaselock.session.host.party import Party
from phaselock.session.host.queue import HostQueue
from phaselock.session.host.requests import IncomingRequests
from phaselock.session.host.track_facts import HostTrackFacts, TrackFacts
from phaselock.session.outbox import Outbox

CHECK_EVERY_NS = 500_000_000
"""Smallest time between two comparisons of what a successor knows, while the queue is the same."""
BATCHES = 4
"""Most messages to one successor at once; the rest follows at the next call."""

_Key: TypeAlias = tuple[str, object]
"""The field of HeritageUpdate that tells the row, and the id of the row."""
_GONE = {
    "songs": "gone_songs",
    "votes": "gone_votes",
    "members": "gone_members",
    "bars": "gone_bars",
    "guests": "gone_guests",
    "rounds": "gone_rounds",
}
"""The fields that tell which rows are gone."""


@dataclasses.dataclass(slots=True)
class HeirsKnowledge:
    """What one successor was told."""

    host_key: bytes
    """Of the successor."""
    rows: dict[_Key, object] = dataclasses.field(default_factory=dict)
    tokens: dict[bytes, bytes] = dataclasses.field(default_factory=dict)
    """The derived tokens, by the tokens of the members."""
    checked_for: object = None
    """The rows of songs at the last comparison."""
    check_at_ns: int = 0
    is_complete: bool = False
    """It was told everything once."""

    def token(self, token: bytes) -> bytes:
        """The token of a member at this successor."""
        if token not in self.tokens:
            self.tokens[token] = heir_token(token, self.host_key)
        return self.tokens[token]


class Estate:
    """The heritage of a host session. `settings` returns its row about the session as a whole, with the token of this
    host, and `lineage` that about the hosts so far."""

    def __init__(
        self,
        members: Members,
        admission: Admission,
        queue: HostQueue,
        facts: HostTrackFacts,
        party: Party,
        requests: IncomingRequests,
        outbox: Outbox,
        *,
        settings: Callable[[], HeirSettings],
        lineage: Callable[[], Lineage],
    ) -> None:
        self._members = members
        self._admission = admission
        self._queue = queue
        self._facts = facts
        self._party = party
        self._requests = requests
        self._outbox = outbox
        self._settings = settings
        self._lineage = lineage
        self._songs: dict[_Key, HeirSong] = {}
        self._songs_for: tuple[object, int, int, int] = (None, 0, 0, 0)
        """What `_songs` were made of."""
        self._made: dict[UUID, tuple[QueueEntry, TrackFacts, tuple[object, ...], HeirSong]] = {}
        """The row of each song, and what it was made of."""

    def tell(self, conn: int, heir: HeirsKnowledge, peer_id: int, *, now_ns: int, at_once: bool = False) -> None:
        """Bring the successor on this connection, the member `peer_id`, up to date. `at_once`: completely, and now."""
        songs = self._song_rows()
        if heir.checked_for is songs and now_ns < heir.check_at_ns and not at_once:
            return
        rows = songs | self._other_rows(heir, peer_id)
        changed = [key for key, row in rows.items() if heir.rows.get(key) != row]
        gone = [key for key in heir.rows if key not in rows]
        batches = [changed[at : at + m.MAX_HEIR_ROWS] for at in range(0, len(changed), m.MAX_HEIR_ROWS)]
        batches = batches or [[]] * bool(gone or not heir.is_complete)
        sent = batches if at_once else batches[:BATCHES]
        for at, batch in enumerate(sent):
            is_last = at == len(batches) - 1
            self._outbox.do(Send(conn, _update(batch, rows, gone if at == 0 else (), is_last)))
            heir.is_complete |= is_last
            heir.rows |= {key: rows[key] for key in batch}
        for key in gone if sent else ():
            del heir.rows[key]
        if len(sent) == len(batches):
            heir.checked_for, heir.check_at_ns = songs, now_ns + CHECK_EVERY_NS

    # -- inside ------------------------------------------------------------------------------------------------------

    def _song_rows(self) -> dict[_Key, HeirSong]:
        rows, party = self._queue.rows, self._party
        # What has played, and what the host has moved, changes with the statuses or the order of the rows.
        made_of = self._facts.revision, len(party.begun), len(party.pinned)
        if self._songs_for[0] is rows.entries and self._songs_for[1:] == made_of:
            return self._songs
        self._songs_for = (rows.entries, *made_of)
        made, self._made = self._made, {}
        for place, entry in enumerate(rows.entries):
            file_id = entry.track.file_id
            facts = self._facts.of(file_id)
            states = (
                file_id in self._queue.played,
                file_id in party.begun,
                file_id in party.pinned,
                place if entry.removed else None,
            )
            known = made.get(file_id)
            if known is None or known[0] is not entry or known[1] is not facts or known[2] != states:
                known = entry, facts, states, _song(entry, facts, *states)
            self._made[file_id] = known
        self._songs = {("songs", file_id): known[3] for file_id, known in self._made.items()}
        return self._songs

    def _other_rows(self, heir: HeirsKnowledge, peer_id: int) -> dict[_Key, Any]:
        settings = self._settings()
        settings = dataclasses.replace(settings, host_token=heir.token(settings.host_token))
        rows: dict[_Key, Any] = {("settings", 0): settings, ("lineage", 0): self._lineage()}
        rows["accepted", 0] = self._requests.accepted_ids()
        for file_id, voters in self._party.voters_for_songs().items():
            rows["votes", file_id] = HeirVotes(file_id, tuple(sorted(voters))[:MAX_VOTERS])
        for key, last in self._party.rounds.last.items():
            rows["rounds", key] = HeirRound(key, last)
        departed = [*self._admission.departed][len(self._members) - MAX_MEMBERS :]  # without room, those lost last
        for one in [*self._members, *departed]:
            if one.peer_id != peer_id:
                ip = "" if one.outside and not one.call_back_port else one.ip
                about = one.name, one.asked_name, heir.token(one.token), ip, one.outside, one.call_back_port
                row = HeirMember(one.peer_id, *about)
                rows["members", one.peer_id] = row
        for bar in self._admission.bars:
            token = heir.token(bar.token)
            rows["bars", token] = HeirBar(bar.name, bar.asked_name, token, bar.ip, bar.host_key)
        rows.update(self._party.guests.rows())
        return rows


def _update(batch: Iterable[_Key], rows: dict[_Key, Any], gone: Iterable[_Key], is_last: bool) -> m.HeritageUpdate:
    """The message that tells these rows, and which are gone."""
    fields: dict[str, Any] = {}
    for kind, key in batch:
        row = rows[kind, key]
        if kind in ("settings", "lineage"):
            fields[kind] = row
        elif kind == "accepted":
            fields[kind] = tuple(row)
        else:
            fields[kind] = (*fields.get(kind, ()), row)
    for kind, key in gone:
        fields[_GONE[kind]] = (*fields.get(_GONE[kind], ()), key)
    return m.HeritageUpdate(**fields, complete=is_last)


def _song(
    entry: QueueEntry, facts: TrackFacts, played: bool, begun: bool, pinned: bool, removed_at: int | None
) -> HeirSong:
    t = entry.track
    return HeirSong(
        t.file_id,
        t.file_name,
        t.size,
        t.sha256,
        t.rate_hz,
        t.frames,
        t.title,
        t.artist,
        entry.added_by,
        entry.asker,
        entry.number,
        played,
        begun,
        pinned,
        removed_at,
        _sound(facts),
    )


def _sound(facts: TrackFacts) -> HeirSound | None:
    if facts == TrackFacts():
        return None
    tagged, found = facts.tagged, facts.measurement
    disc, number = tagged.place or (None, None)
    return HeirSound(
        tagged.album,
        _number(disc),
        _number(number),
        _level(tagged.loudness),
        _level(tagged.album_loudness),
        _level(facts.measured),
        found.range_lu if found is not None else None,
        found.sound_begin_frame if found is not None else 0,
        found.sound_end_frame if found is not None else 0,
    )


def _number(number: int | None) -> int | None:
    """The number of a disc or a track, as it fits into a message: files have any."""
    return None if number is None else min(max(number, 0), 2**32 - 1)


def _level(loudness: Loudness | None) -> HeirLevel | None:
    return None if loudness is None else HeirLevel(loudness.integrated_lufs, loudness.true_peak)


def facts_of(sound: HeirSound) -> TrackFacts:
    """What a successor knows of the sound of a track."""
    place = (sound.disc, sound.number) if sound.disc is not None and sound.number is not None else None
    tagged = Tagged(sound.album, place, _loudness(sound.tagged), _loudness(sound.album_tagged))
    measured = _loudness(sound.measured)
    if measured is None:
        return TrackFacts(tagged)
    return TrackFacts(tagged, Measurement(measured, sound.range_lu, sound.begin_frame, sound.end_frame))


def _loudness(level: HeirLevel | None) -> Loudness | None:
    return None if level is None else Loudness(level.integrated_lufs, level.true_peak)
