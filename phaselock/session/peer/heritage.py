"""What a peer makes of the session when it becomes the host, and what it brings to another host."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Sequence

from phaselock.model.heritage import MAX_ELECTIONS, Bequest, BequestSong, Claim, Election, HeirSong, Heritage
from phaselock.model.queue import MAX_ITEMS, ItemStatus, QueueItem
from phaselock.model.snapshot import ChatLine
from phaselock.session.claims import extended
from phaselock.session.peer.files import PeerFiles
from phaselock.session.peer.gains import PeerGains
from phaselock.session.peer.playback import PeerPlayback
from phaselock.session.peer.succession import PeerSuccession
from phaselock.session.person_keys import FALLBACK_KEY, peer_id_of, peer_key


def heritage_of(
    succession: PeerSuccession,
    files: PeerFiles,
    playback: PeerPlayback,
    gains: PeerGains,
    queue: Sequence[QueueItem],
    bequeathed: Collection[BequestSong],
    chat: tuple[ChatLine, ...],
    *,
    session_id: bytes,
    peer_id: int,
    name: str,
    lost: bool,
    now_ns: int,
) -> Heritage:
    """The heritage of a host that is `lost`, or has handed over. `bequeathed`: what this machine would have brought to
    that host. AssertionError if this machine is not in the line."""
    line, estate, me = succession.line, succession.estate, succession.me
    lineage = estate.lineage
    assert line is not None and me is not None and estate.settings is not None and lineage is not None
    tracks = files.tracks()
    rows = estate.rows(queue, tracks)
    known = {row.sha256 for row in rows}
    brought = [one for one in bequeathed if one.track.sha256 not in known][: max(0, MAX_ITEMS - len(rows))]
    if lost:
        election = Election(line.term + 1, line.voters, succession.votes(peer_id, now_ns=now_ns))
        lineage = dataclasses.replace(lineage, elections=(*lineage.elections, election)[-MAX_ELECTIONS:])
    return Heritage(
        session_id=session_id,
        term=line.term + 1,
        chain=extended(line.chain, me.host_key),
        me=dataclasses.replace(me, peer_id=peer_id, name=name),
        previous=line.host,
        line=line.successors,
        known_keys=succession.known_keys,
        settings=estate.settings,
        songs=(*rows, *(_row(one, peer_id, estate.settings.last_number) for one in brought)),
        gone=frozenset(estate.gone),
        votes=tuple(estate.votes.values()),
        members=tuple(estate.members.values()),
        bars=tuple(estate.bars.values()),
        guests=tuple(estate.guests.values()),
        rounds=tuple(estate.rounds.values()),
        membership=succession.membership(peer_id),
        lineage=lineage,
        voters=line.voters,
        accepted=estate.accepted,
        current=playback.timeline,
        armed=playback.armed,
        gains=gains.all(),
        chat=chat,
        here=frozenset([file_id for file_id in tracks if files.has(file_id)] + [one.track.file_id for one in brought]),
    )


def bequest_of(
    succession: PeerSuccession, files: PeerFiles, playback: PeerPlayback, queue: Sequence[QueueItem]
) -> Bequest | None:
    """What this machine brings to another host, which may be that of another part of the session. None if it was never
    in the line."""
    line, estate, tracks = succession.line, succession.estate, files.tracks()
    if line is None or not estate.is_complete or estate.settings is None or estate.lineage is None:
        return None
    armed = playback.armed
    begun = playback.file_ids() - ({armed.file_id} if armed is not None else set())
    waits = ItemStatus.TRANSFERRING, ItemStatus.READY
    waiting = {item.id for item in queue if item.status in waits and files.has(item.id)} - begun
    songs = [
        BequestSong(tracks[one.file_id], one.added_by, peer_id_of(one.asker, estate.settings.host_peer_id))
        for one in estate.rows(queue, tracks)
        if one.file_id in waiting and one.asker != FALLBACK_KEY
    ]
    claim = Claim(line.term, line.chain, (0,) * len(line.chain), has_members=True, elections=estate.lineage.elections)
    return Bequest(tuple(songs), claim, estate.lineage.secret)


def _row(song: BequestSong, own_peer_id: int, number: int) -> HeirSong:
    """The row of a song of another part of the session, behind the others."""
    t, asker_id = song.track, own_peer_id if song.asker_id is None else song.asker_id
    names = t.title, t.artist, song.added_by, peer_key(asker_id)
    about = t.file_id, t.file_name, t.size, t.sha256, t.rate_hz, t.frames
    return HeirSong(*about, *names, number, played=False, begun=False, pinned=False)
