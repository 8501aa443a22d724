"""What a successor knows of the session, as the host has told it row by row."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TypeVar
from uuid import UUID

from phaselock.model.heritage import (
    MAX_GUESTS,
    MAX_MEMBERS,
    HeirBar,
    HeirGuest,
    HeirMember,
    HeirRound,
    HeirSettings,
    HeirSong,
    HeirVotes,
    Lineage,
)
from phaselock.model.queue import MAX_ITEMS, ItemStatus, QueueItem
from phaselock.model.types import Track
from phaselock.protocol import messages as m
from phaselock.session.peer.breach import Breach

_Key = TypeVar("_Key")
_Row = TypeVar("_Row")

MAX_ROWS = 2 * MAX_ITEMS
"""Most rows of one kind that a host may tell."""


class PeerEstate:
    """The rows of the heritage that one host has told."""

    def __init__(self) -> None:
        self.settings: HeirSettings | None = None
        self.songs: dict[UUID, HeirSong] = {}
        self.gone: dict[UUID, None] = {}
        """Songs that are not in the queue any more, the newest last."""
        self.votes: dict[UUID, HeirVotes] = {}
        self.members: dict[int, HeirMember] = {}
        self.bars: dict[bytes, HeirBar] = {}
        self.guests: dict[bytes, HeirGuest] = {}
        self.rounds: dict[str, HeirRound] = {}
        self.accepted: frozenset[UUID] = frozenset()
        self.lineage: Lineage | None = None
        self.is_complete = False
        """All rows have arrived once."""

    def take(self, update: m.HeritageUpdate) -> None:
        """The host tells rows. Breach if there are too many."""
        self.settings = update.settings or self.settings
        _change(self.songs, ((one.file_id, one) for one in update.songs), update.gone_songs)
        self.gone |= dict.fromkeys(update.gone_songs)
        for file_id in list(self.gone)[:-MAX_ITEMS]:
            del self.gone[file_id]
        _change(self.votes, ((one.file_id, one) for one in update.votes), update.gone_votes)
        _change(self.members, ((one.peer_id, one) for one in update.members), update.gone_members, MAX_MEMBERS)
        _change(self.bars, ((one.token, one) for one in update.bars), update.gone_bars)
        _change(self.guests, ((one.guest_id, one) for one in update.guests), update.gone_guests, MAX_GUESTS)
        _change(self.rounds, ((one.key, one) for one in update.rounds), update.gone_rounds)
        if update.accepted is not None:
            self.accepted = frozenset(update.accepted)
        self.lineage = update.lineage or self.lineage
        is_usable = self.settings is not None and self.lineage is not None
        self.is_complete = is_usable and (self.is_complete or update.complete)

    def rows(self, queue: Sequence[QueueItem], tracks: Mapping[UUID, Track]) -> tuple[HeirSong, ...]:
        """The rows of the queue in their order. A row that the host has not told as heritage is made of what is known
        of its track; without that it is left out."""
        found = [self.songs.get(item.id) or _made(item, tracks.get(item.id)) for item in queue]
        rows = [row for row in found if row is not None]
        for row in sorted(self.songs.values(), key=lambda one: one.removed_at or 0):
            if row.removed_at is not None and row not in rows:
                rows.insert(row.removed_at, row)
        return tuple(rows)

    def token_of(self, peer_id: int) -> bytes | None:
        """The token that this member would have here; None: it is no member."""
        member = self.members.get(peer_id)
        return member.token if member is not None else None


def _made(item: QueueItem, track: Track | None) -> HeirSong | None:
    """The row of a song of which only the queue and the offered file are known."""
    if track is None:
        return None
    played = item.status is ItemStatus.PLAYED
    begun = played or item.status is ItemStatus.PLAYING
    return HeirSong(
        track.file_id,
        track.file_name,
        track.size,
        track.sha256,
        track.rate_hz,
        track.frames,
        track.title,
        track.artist,
        item.added_by,
        "",
        0,
        played,
        begun,
        pinned=False,
    )


def _change(
    known: dict[_Key, _Row], told: Iterable[tuple[_Key, _Row]], gone: Iterable[_Key], limit: int = MAX_ROWS
) -> None:
    for key in gone:
        known.pop(key, None)
    known.update(told)
    if len(known) > limit:
        raise Breach("a heritage with too many rows")
