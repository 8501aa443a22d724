"""What a new host makes of its heritage."""

from __future__ import annotations

from collections.abc import Iterator

from phaselock.model.heritage import HeirMember, HeirSong, Heritage
from phaselock.model.names import file_label, person_name, title
from phaselock.model.queue import QueueEntry
from phaselock.model.types import Track
from phaselock.session.host.admission import Admission
from phaselock.session.host.chat import HostChat
from phaselock.session.host.estate import facts_of
from phaselock.session.host.gains import HostGains
from phaselock.session.host.invitation import HostInvitation
from phaselock.session.host.lost_files import LostFiles
from phaselock.session.host.party import Party
from phaselock.session.host.queue import HostQueue
from phaselock.session.host.requests import IncomingRequests
from phaselock.session.host.track_facts import HostTrackFacts
from phaselock.session.host.transport import TransportControl
from phaselock.session.person_keys import HOST_KEY, peer_key


class Inheritance:
    """Names and keys are changed: this machine is the host now, and the host before it is a peer."""

    def __init__(self, heritage: Heritage) -> None:
        self._heritage = heritage
        settings, me = heritage.settings, heritage.me
        self._keys = {HOST_KEY: peer_key(settings.host_peer_id), peer_key(me.peer_id): HOST_KEY}

    def give(
        self,
        admission: Admission,
        queue: HostQueue,
        lost_files: LostFiles,
        facts: HostTrackFacts,
        gains: HostGains,
        transport: TransportControl,
        party: Party,
        requests: IncomingRequests,
        chat: HostChat,
        invitation: HostInvitation,
        *,
        now_ns: int,
    ) -> None:
        """Give each part of the new host's session what belongs to it."""
        heritage, songs = self._heritage, self._heritage.songs
        settings = heritage.settings
        admission.inherit(self._members(), heritage.bars, settings.last_peer_id, now_ns=now_ns)
        played = {one.file_id for one in songs if one.played}
        queue.inherit(self._entries(), played, heritage.gone, settings.last_number)
        lost_files.inherit(_track(one) for one in songs if one.file_id not in heritage.here)
        for one in songs:
            if one.sound is not None:
                facts.inherit(one.file_id, facts_of(one.sound))
        gains.inherit(heritage.gains)
        lines = (one if queue.has(one) else None for one in (heritage.current, heritage.armed))
        transport.inherit(*lines, repeat=settings.repeat)
        votes = {one.file_id: {self._key(voter) for voter in one.voters} for one in heritage.votes}
        begun, pinned = {one.file_id for one in songs if one.begun}, {one.file_id for one in songs if one.pinned}
        party.inherit(votes, begun, pinned)
        party.guests.inherit(heritage.guests, now_ns=now_ns)
        party.rounds.last = {self._key(one.key): one.round for one in heritage.rounds}
        party.rounds.present = settings.present_round
        requests.inherit(heritage.accepted)
        chat.inherit(heritage.chat)
        if settings.invitation is not None:
            awaited = any(one.outside for one in heritage.members)
            invitation.inherit(settings.invitation, awaited=awaited, now_ns=now_ns)

    def _key(self, key: str) -> str:
        """The key of a person (person_keys.py)."""
        return self._keys.get(key, key)

    def _entries(self) -> tuple[QueueEntry, ...]:
        """The rows of the queue."""
        return tuple(
            QueueEntry(
                _track(song),
                person_name(song.added_by),
                asker=self._key(song.asker),
                number=song.number,
                removed=song.removed_at is not None,
            )
            for song in self._heritage.songs
        )

    def _members(self) -> Iterator[HeirMember]:
        """All who may return, with the host before this one."""
        settings, me = self._heritage.settings, self._heritage.me
        name, previous = person_name(settings.host_name), self._heritage.previous
        ip = previous.addresses[0] if previous is not None else ""
        yield HeirMember(settings.host_peer_id, name, name, settings.host_token, ip)
        for one in self._heritage.members:
            if one.peer_id not in (me.peer_id, settings.host_peer_id):
                yield one


def _track(song: HeirSong) -> Track:
    names = file_label(song.file_name), title(song.title), title(song.artist)
    return Track(song.file_id, names[0], song.size, song.sha256, song.rate_hz, song.frames, *names[1:])
