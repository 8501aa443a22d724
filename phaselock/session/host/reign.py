"""By which right this machine is the host, and what it does so that the session can have another host."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator

from phaselock.model.heritage import (
    Bequest,
    BequestSong,
    Cause,
    Claim,
    HeirSettings,
    Heritage,
    HostContact,
    Lineage,
    Membership,
)
from phaselock.protocol import messages as m
from phaselock.protocol.proof import heirs_secret
from phaselock.session.claims import Standing
from phaselock.session.effects import FollowHost
from phaselock.session.host.admission import Admission
from phaselock.session.host.estate import Estate
from phaselock.session.host.gains import HostGains
from phaselock.session.host.members import Member, Members
from phaselock.session.host.party import Party
from phaselock.session.host.queue import HostQueue
from phaselock.session.host.requests import IncomingRequests
from phaselock.session.host.reunion import Reunion
from phaselock.session.host.succession import HostSuccession
from phaselock.session.host.track_facts import HostTrackFacts
from phaselock.session.host.transport import TransportControl
from phaselock.session.outbox import Outbox
from phaselock.session.person_keys import FALLBACK_KEY, HOST_KEY, peer_id_of, peer_key
from phaselock.session.states import HOLD_NS

FOUNDER_ID = 0
"""The number of the founder as a member, after it was the host. Those of peers begin with 1."""


class Reign:
    """One machine as the host, from its taking over to its end. `now_ns` is session time."""

    def __init__(
        self,
        members: Members,
        admission: Admission,
        queue: HostQueue,
        facts: HostTrackFacts,
        party: Party,
        requests: IncomingRequests,
        transport: TransportControl,
        gains: HostGains,
        outbox: Outbox,
        *,
        session_id: bytes,
        host_name: str,
        host_key: bytes,
        token: bytes,
        settings: Callable[[bytes], HeirSettings],
        is_on: bool,
    ) -> None:
        """`token`: random, the secret with which this machine returns when another one is the host. `settings` returns
        the row of the heritage about the session as a whole, with the `host_token` that it is given. `is_on`: another
        machine may become the host."""
        self._members = members
        self._admission = admission
        self._queue = queue
        self._transport = transport
        self._gains = gains
        self._session_id = session_id
        self._host_name = host_name
        self._host_key = host_key
        self._token = token
        self.peer_id = FOUNDER_ID
        """The number of this machine as a member of the session."""
        self._term = 0
        self._chain: tuple[bytes, ...] = (host_key,)
        self._inherited_keys: tuple[bytes, ...] = ()
        """Of the machines that this one knew before it was the host."""
        self._lineage = Lineage(heirs_secret(token), (0,))
        self._earlier: Membership | None = None
        """Of this machine, at the hosts before it."""
        self._electors = 0
        self._voters = frozenset[int]()
        self._rivals: frozenset[bytes] = frozenset()
        """See Standing."""
        self._has_slept = False
        self._woke_at_ns = -1
        """When this computer woke last, in session time. Members that were not heard since then may be lost."""
        estate = Estate(
            members,
            admission,
            queue,
            facts,
            party,
            requests,
            outbox,
            settings=lambda: settings(token),
            lineage=lambda: self._lineage,
        )
        self.succession = HostSuccession(members, queue, estate, outbox, is_on=is_on)
        self.reunion = Reunion(
            session_id, lambda: self.peer_id, self._standing, self._token_of, self._is_removed, outbox
        )

    # -- this host ---------------------------------------------------------------------------------------------------

    def took_over(self, heritage: Heritage, *, now_ns: int) -> None:
        """This machine has taken over from another host."""
        self._term, self._chain = heritage.term, heritage.chain
        known_ns = [*(0,) * len(self._chain), *heritage.lineage.took_over_session_ns, now_ns]
        took_over_ns = tuple(known_ns[-len(self._chain) :])
        self._lineage = dataclasses.replace(heritage.lineage, took_over_session_ns=took_over_ns)
        self.peer_id, self._earlier = heritage.me.peer_id, heritage.membership
        self._inherited_keys = heritage.known_keys
        self._electors = heritage.voters
        others = [one for one in heritage.line if one.host_key != self._host_key]
        self._rivals = frozenset(one.host_key for one in others)
        previous = [heritage.previous] if heritage.previous is not None else []
        self.succession.keys = {one.peer_id: one.host_key for one in [*previous, *others]}
        self.reunion.seek([*previous, *others], now_ns=now_ns)

    def reachable_at(self, addresses: tuple[str, ...], control_port: int, clock_port: int) -> None:
        """Where this host listens."""
        about = control_port, clock_port, self._host_key
        me = HostContact(self.peer_id, self._host_name, addresses, *about) if addresses else None
        self.reunion.contact = me
        if me is not None:
            self.succession.reachable_at(me)

    def met(self, address: str, control_port: int, announced_key: bytes) -> None:
        """Another host of this session, whose key begins with `announced_key`, is announced there."""
        if not announced_key or self._host_key.startswith(announced_key):
            return
        known = next((key for key in self._known_keys() if key.startswith(announced_key)), None)
        contact = HostContact(0, "", (address,), control_port, control_port, known or announced_key)
        if known is not None and not self.reunion.is_busy:
            self.reunion.ask(contact)
        else:
            self.reunion.heard_of(contact)

    def claim(self) -> Claim:
        """By which right this machine is the host."""
        has_members = any(member.heard_at_ns > self._woke_at_ns for member in self._members)
        lineage = self._lineage
        return Claim(self._term, self._chain, lineage.took_over_session_ns, has_members, lineage.elections)

    def farewell(self, host: HostContact, term: int, chain: tuple[bytes, ...], cause: Cause) -> FollowHost:
        """The effect by which this machine joins another host, with all that it brings along."""
        playback, lost = self._transport.playback, self._members.lost_files
        here = [one.track for one in self._queue.rows.entries if one.track.file_id not in lost]
        return FollowHost(
            host,
            self._session_id,
            self._membership(),
            cause,
            term,
            chain,
            display_name=self._host_name,
            line=self.succession.farewell(self.claim()),
            known_keys=tuple(dict.fromkeys(self._known_keys())),
            playing=playback.current,
            then=playback.armed,
            tracks=tuple(here),
            gains=tuple((track.file_id, self._gains.of(track.file_id)) for track in here),
            bequest=self._bequest() if cause is Cause.REUNION else None,
        )

    # -- the members -------------------------------------------------------------------------------------------------

    def joined(self, member: Member) -> None:
        """A member has joined, maybe again."""
        self._has_slept = False
        self._count_voters()
        self.reunion.found(member.peer_id)

    def lost(self, member: Member, *, now_ns: int) -> None:
        """A member is lost, and still a member. If it is in the line, it may be a host soon."""
        line = self.succession.line()
        self.reunion.seek([one for one in line if one.peer_id == member.peer_id], now_ns=now_ns)

    def asker_of(self, member: Member, song: m.SongBequest) -> str:
        """The key of the person who has asked for a song that this member brings."""
        if song.asker_id is None:
            return member.key
        return HOST_KEY if song.asker_id == self.peer_id else peer_key(song.asker_id)

    def left(self) -> None:
        """A member has left, or was removed."""
        self._count_voters()

    def woke(self, slept_ns: int, *, now_ns: int) -> None:
        """This computer was suspended."""
        self._woke_at_ns = now_ns
        self._has_slept |= slept_ns >= HOLD_NS

    # -- time --------------------------------------------------------------------------------------------------------

    def settle(self, *, now_ns: int) -> None:
        """At the end of each call."""
        self.succession.settle(self.claim(), now_ns=now_ns)

    def timer(self, *, now_ns: int) -> bool:
        """Handle all deadlines that have passed. True: this machine leaves, and the session must end."""
        must_end = self.succession.timer(self.claim(), now_ns=now_ns)
        self.reunion.timer(now_ns=now_ns)
        return must_end

    def deadlines_ns(self) -> Iterator[int]:
        """When `timer` must be called."""
        yield from self.succession.deadlines_ns()
        yield from self.reunion.deadlines_ns()

    # -- inside ------------------------------------------------------------------------------------------------------

    def _membership(self) -> Membership:
        """How this machine proves to another host that it is a member."""
        earlier = self._earlier.tokens if self._earlier is not None else ()
        return Membership(self.peer_id, (*earlier, (self._term, self._host_key, self._token)))

    def _count_voters(self) -> None:
        self._voters = frozenset(member.peer_id for member in self._members)

    def _standing(self) -> Standing:
        about = self.claim(), self._lineage.secret, self._electors, self._voters, self._rivals
        return Standing(*about, has_slept=self._has_slept)

    def _token_of(self, peer_id: int) -> bytes | None:
        return next((one.token for one in (*self._members, *self._admission.departed) if one.peer_id == peer_id), None)

    def _is_removed(self, host_key: bytes) -> bool:
        return any(bar.host_key == host_key for bar in self._admission.bars)

    def _bequest(self) -> Bequest:
        """What this machine brings into another part of the session."""
        songs = (
            BequestSong(entry.track, entry.added_by, peer_id_of(entry.asker, self.peer_id))
            for entry in self._queue.waiting()
            if entry.track.file_id not in self._members.lost_files and entry.asker != FALLBACK_KEY
        )
        return Bequest(tuple(songs), self.claim(), self._lineage.secret)

    def _known_keys(self) -> Iterator[bytes]:
        yield from self._inherited_keys
        yield from self._chain
        yield from self.succession.keys.values()
        yield from self.reunion.sought_keys
