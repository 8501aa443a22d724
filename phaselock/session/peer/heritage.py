"""What a peer makes of the session when it becomes the host."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from phaselock.model.heritage import MAX_ELECTIONS, Election, Heritage
from phaselock.model.queue import QueueItem
from phaselock.model.snapshot import ChatLine
from phaselock.session.claims import extended
from phaselock.session.peer.files import PeerFiles
from phaselock.session.peer.gains import PeerGains
from phaselock.session.peer.playback import PeerPlayback
from phaselock.session.peer.succession import PeerSuccession


def heritage_of(
    succession: PeerSuccession,
    files: PeerFiles,
    playback: PeerPlayback,
    gains: PeerGains,
    queue: Sequence[QueueItem],
    chat: tuple[ChatLine, ...],
    *,
    session_id: bytes,
    peer_id: int,
    name: str,
    lost: bool,
    now_ns: int,
) -> Heritage:
    """The heritage of a host that is `lost`, or has handed over. AssertionError if this machine is not in the line."""
    line, estate, me = succession.line, succession.estate, succession.me
    lineage = estate.lineage
    assert line is not None and me is not None and estate.settings is not None and lineage is not None
    tracks = files.tracks()
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
        songs=estate.rows(queue, tracks),
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
        here=frozenset(file_id for file_id in tracks if files.has(file_id)),
    )
