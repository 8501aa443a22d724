"""What a successor knows of its host, so that the session can go on with another host.

The host tells every member who its successors are. It tells the successors its heritage, in small updates.

    line        the successors of a host, in the order in which they take over
    heir        a machine that is or was in a line; only heirs and hosts know the secret of the heirs
    heritage    all that a successor needs to be the host. Estate, at the host, tells it row by row, and PeerEstate, at
                the successor, keeps the rows
    term        the time of one host, by its number: the founder has term 0
    chain       the host keys of all terms so far, the newest last
    lineage     what the heritage tells of the earlier hosts
    claim       by which right a machine is the host; when two hosts of one session meet, their claims are compared
    membership  the tokens by which a machine proves to another host that it is a member
    reunion     two parts of a session, each with a host of its own, come together again
    bequest     the songs that a machine of one part brings into the other one
"""

from __future__ import annotations

import dataclasses
import enum
from typing import Annotated, TypeAlias
from uuid import UUID

from phaselock.frozen import frozen
from phaselock.model.address import DEFAULT_GUEST_PORT
from phaselock.model.bounds import FileName, PersonName, Size, Title, Within
from phaselock.model.party import I_CHOOSE, PartyRules
from phaselock.model.snapshot import ChatLine
from phaselock.model.timeline import Timeline
from phaselock.model.types import Track

MAX_SUCCESSORS = 3
"""Most machines in the line of succession. Each of them receives every change of the heritage."""
MAX_TERMS = 32
"""Most hosts of a session whose keys are remembered; the oldest are forgotten."""
MAX_ELECTIONS = 4
"""Most elections of a session whose votes are remembered; the oldest are forgotten."""
MAX_VOTERS = 200
"""Most voters for one song in a heritage."""
MAX_ADDRESSES = 8
"""Most addresses of one machine."""
MAX_GUESTS = 1000
"""Most guests in a heritage, with removed ones."""
MAX_MEMBERS = 128
"""Most members in a heritage, with lost ones that may return."""

_Key: TypeAlias = Annotated[bytes, Size(32, 32)]
_Secret: TypeAlias = Annotated[bytes, Size(16, 16)]
_Number: TypeAlias = Annotated[int, Within(0, 2**32 - 1)]
_Port: TypeAlias = Annotated[int, Within(1, 65535)]
_Address: TypeAlias = Annotated[str, Size(0, 45)]
_PersonKey: TypeAlias = Annotated[str, Size(0, 64)]
_Ns: TypeAlias = Annotated[int, Within(0, 2**62)]


class Cause(enum.StrEnum):
    """Why a session has another host."""

    HANDED_OVER = "handed_over"
    """The host's user has handed it over."""
    HOST_LOST = "host_lost"
    """The host was lost."""
    REUNION = "reunion"
    """Two parts of a session have met again."""


@frozen
class HostContact:
    """A machine that is the host of a session, or stands by to become it. `addresses` are the ones at which it may be
    reached, the best first. `control_port` is TCP, `clock_port` UDP. `host_key`: SHA-256 of the certificate with which
    it answers."""

    peer_id: _Number
    """Its number as a member of the session."""
    name: PersonName
    addresses: Annotated[tuple[_Address, ...], Size(1, MAX_ADDRESSES)]
    control_port: _Port
    clock_port: _Port
    host_key: _Key


@frozen
class VoteProof:
    """Proves a vote to one machine: see protocol/proof.py. `witness_key`: the host key of this machine."""

    witness_key: _Key
    proof: _Key


@frozen
class LossVote:
    """A member has lost its host and wants the candidate to take over. A proof for each machine that may check it."""

    peer_id: _Number
    proofs: Annotated[tuple[VoteProof, ...], Size(1, MAX_SUCCESSORS + 1)]


@frozen
class Election:
    """The host of `term` took over because the host before it was lost, by these votes. `electors`: number of peers
    that might have voted."""

    term: _Number
    electors: _Number
    votes: Annotated[tuple[LossVote, ...], Size(0, MAX_MEMBERS)]


@frozen
class Claim:
    """By which right a machine is the host. Of two hosts of one session, the claims decide who stays it."""

    term: _Number
    """Number of successions since the session was founded."""
    chain: Annotated[tuple[_Key, ...], Size(1, MAX_TERMS)]
    """The keys of the hosts so far, the newest last."""
    took_over_session_ns: Annotated[tuple[_Ns, ...], Size(1, MAX_TERMS)]
    """When each host of the chain has taken over; the founder: 0."""
    has_members: bool
    elections: Annotated[tuple[Election, ...], Size(0, MAX_ELECTIONS)] = ()
    """The newest ones of the chain. A HostSeek tells none."""

    @property
    def key(self) -> bytes:
        """Of the host."""
        return self.chain[-1]


@frozen
class Hosting:
    """What the host's program does beside its session, and the next host goes on with."""

    page_secret: _Secret | None = dataclasses.field(default=None, repr=False)
    """Of the page for guests; None: it is off."""
    page_port: _Port = DEFAULT_GUEST_PORT
    """TCP, of this page."""
    unlisted: bool = False
    """The session is not announced on the network."""
    bridge_key: _Key | None = dataclasses.field(default=None, repr=False)
    """Of this end of the bridge by which friends elsewhere come in; None: there is none."""
    relay: Annotated[str, Size(0, 160)] = ""
    """Of this bridge: see model/relay.py."""


@frozen
class HeirInvitation:
    """The invitation for friends elsewhere, which holds at the next host, too. `port` (TCP) and `clock_port` (UDP): of
    the router's public address, where it lets friends in; 0: it does not."""

    code: Annotated[str, Size(0, 64)] = dataclasses.field(repr=False)
    """Empty: it is withdrawn, and holds only for those who have come in by it."""
    guesses: Annotated[int, Within(0, 2**32 - 1)] = 0
    """How many machines have tried a wrong code."""
    port: Annotated[int, Within(0, 65535)] = 0
    clock_port: Annotated[int, Within(0, 65535)] = 0


@frozen
class Lineage:
    """What each host tells its successors of the hosts so far. `secret`: known to all hosts and successors, and to no
    other machine. For the rest see Claim."""

    secret: _Secret = dataclasses.field(repr=False)
    took_over_session_ns: Annotated[tuple[_Ns, ...], Size(1, MAX_TERMS)]
    elections: Annotated[tuple[Election, ...], Size(0, MAX_ELECTIONS)] = ()


@frozen
class HeirSettings:
    """What a successor knows of the session as a whole. `host_peer_id` and `host_token`: the membership with which this
    host returns when another machine is the host."""

    session_name: PersonName
    host_name: PersonName
    max_peers: Annotated[int, Within(0, 63)]
    host_peer_id: _Number
    host_token: _Secret = dataclasses.field(repr=False)
    last_peer_id: _Number
    last_number: _Number
    """The age of the newest song."""
    code: Annotated[str, Size(0, 64)] = dataclasses.field(default="", repr=False)
    loudness_lufs: Annotated[float, Within(-70, 0)] | None = None
    crossfade_s: Annotated[float, Within(0, 12)] = 0.0
    skip_silence: bool = False
    repeat: bool = False
    rules: PartyRules = I_CHOOSE
    present_round: _Number = 1
    fallback: bool = False
    """Songs play when nothing else waits."""
    hosting: Hosting = Hosting()
    invitation: HeirInvitation | None = None
    """None: there is none."""


@frozen
class HeirLevel:
    """A loudness: see Loudness."""

    integrated_lufs: Annotated[float, Within(-200, 200)] | None
    true_peak: Annotated[float, Within(0, 1e6)]


@frozen
class HeirSound:
    """What is known of the sound of a track: see Tagged and Measurement. `range_lu` and what follows are from the
    measurement; without `measured` there was none."""

    album: Annotated[str, Size(0, 4000)] = ""
    disc: _Number | None = None
    number: _Number | None = None
    tagged: HeirLevel | None = None
    album_tagged: HeirLevel | None = None
    measured: HeirLevel | None = None
    range_lu: Annotated[float, Within(0, 200)] | None = None
    begin_frame: Annotated[int, Within(0, 2**40)] = 0
    end_frame: Annotated[int, Within(0, 2**40)] = 0


@frozen
class HeirSong:
    """A row of the queue. `asker` and `number`: see QueueEntry. `begun`: it has begun to play once. `pinned`: the host
    has moved it by hand. `removed_at`: it is not shown, but plays to its end, at this place (None: it is shown)."""

    file_id: UUID
    file_name: FileName
    size: Annotated[int, Within(1, 2 << 30)]
    sha256: _Key
    rate_hz: Annotated[int, Within(8000, 192000)]
    frames: Annotated[int, Within(0, 2**40)]
    title: Title
    artist: Title
    added_by: PersonName
    asker: _PersonKey
    number: _Number
    played: bool
    begun: bool
    pinned: bool
    removed_at: _Number | None = None
    sound: HeirSound | None = None


@frozen
class HeirRound:
    """The round of the last song of a person that has begun: see session/host/fair_order.py."""

    key: _PersonKey
    round: _Number


@frozen
class HeirVotes:
    """Who has voted for a song that waits, by key."""

    file_id: UUID
    voters: Annotated[tuple[_PersonKey, ...], Size(0, MAX_VOTERS)]


@frozen
class HeirMember:
    """A member, or a lost one that may return. `token` is derived for one successor and useless at any other host.
    `outside`: it has come in from elsewhere. Then the next host may call it at `ip` and `call_back_port`; 0: it may
    not, and `ip` is empty."""

    peer_id: _Number
    name: PersonName
    asked_name: PersonName
    token: _Secret = dataclasses.field(repr=False)
    ip: _Address
    outside: bool = False
    call_back_port: Annotated[int, Within(0, 65535)] = 0


@frozen
class HeirBar:
    """A machine that the host's user has removed."""

    name: PersonName
    asked_name: PersonName
    token: _Secret = dataclasses.field(repr=False)
    ip: _Address
    host_key: Annotated[bytes, Size(0, 32)] = b""
    """With which it was a host, or could become one; empty: not known."""


@frozen
class HeirGuest:
    """A person who uses the page for guests. `key`: see session/person_keys.py."""

    guest_id: _Secret
    key: _PersonKey
    name: PersonName
    asked_name: PersonName
    removed: bool
    """The host's user has removed it."""


@frozen
class Membership:
    """How a machine proves to later hosts that it is a member. `tokens` are those of the terms in which it was a
    member: term, key of the host, token; the newest last."""

    peer_id: int
    tokens: tuple[tuple[int, bytes, bytes], ...] = dataclasses.field(repr=False)


@frozen
class BequestSong:
    """A song of one part of a session, for another part."""

    track: Track
    added_by: str
    asker_id: int | None
    """The number of the member that has asked for it; None: who brings the song."""


@frozen
class Bequest:
    """What a machine that was the host of a part of the session, or in its line, brings into another part."""

    songs: tuple[BequestSong, ...]
    """They have not begun to play, and their files are on this machine and must stay."""
    claim: Claim
    """Of the host of that part."""
    secret: bytes = dataclasses.field(repr=False)
    """Of the heirs."""


@frozen
class Heritage:
    """All that a successor needs to be the host."""

    session_id: bytes
    term: int
    """Of the new host."""
    chain: tuple[bytes, ...]
    """The keys of the hosts so far, that of the new host last."""
    me: HostContact
    """The new host."""
    previous: HostContact | None
    """Where the previous host may be found again; None: unknown."""
    line: tuple[HostContact, ...]
    """The line of succession as it was told last."""
    known_keys: tuple[bytes, ...]
    """Of all machines that the new host knows as hosts, or as successors, of this session."""
    settings: HeirSettings
    songs: tuple[HeirSong, ...]
    """In the order of the queue."""
    gone: frozenset[UUID]
    """Songs that are not in the queue any more, as far as they are known."""
    votes: tuple[HeirVotes, ...]
    members: tuple[HeirMember, ...]
    """Without the new host, with the previous one."""
    bars: tuple[HeirBar, ...]
    guests: tuple[HeirGuest, ...]
    rounds: tuple[HeirRound, ...]
    membership: Membership
    """Of the new host, at the hosts before it."""
    lineage: Lineage
    """Of the host before this one, with the election of this one."""
    voters: int
    """Number of peers that the line of succession was told with."""
    accepted: frozenset[UUID]
    """Requests of peers that the host's user has accepted."""
    current: Timeline | None
    armed: Timeline | None
    gains: tuple[tuple[UUID, float], ...]
    chat: tuple[ChatLine, ...]
    here: frozenset[UUID]
    """The songs whose files are on this machine."""
