"""Effects: the actions that a session requests. They are values; the runner executes them in the order of the list."""

from __future__ import annotations

import dataclasses
from uuid import UUID

from phaselock.frozen import frozen
from phaselock.model.heritage import Bequest, Cause, Heritage, HostContact, Membership
from phaselock.model.invitation import Candidate
from phaselock.model.notices import Notice
from phaselock.model.role import Role
from phaselock.model.sweeps import Sounds
from phaselock.model.timeline import Timeline
from phaselock.model.types import Track
from phaselock.protocol.messages import HostPlaces, HostSeek, Message, PieceSource, SuccessionLine
from phaselock.session.commands import Request
from phaselock.session.events import Event

HOST_CONN = 0
"""`conn` of a peer's only control connection, in its `Send` and `Close`."""


@frozen
class Send:
    """Send a message on a control connection."""

    conn: int
    message: Message


@frozen
class Broadcast:
    """Host: send one message on several control connections, in this order. The message is encoded once."""

    conns: tuple[int, ...]
    message: Message


@frozen
class AskCode:
    """Host: send CodeNeeded. The connection waits again for the first message of its user."""

    conn: int


@frozen
class Pair:
    """Peer: prove to the host that this machine knows the code. Then call `paired`, or `not_paired` if the host does
    not know it."""

    code: str = dataclasses.field(repr=False)


@frozen
class Close:
    """Close a control connection when all messages are sent, but after one second at the latest.

    The session has already removed the connection from its state. `reason` is for the log.
    """

    conn: int
    reason: str


@frozen
class Follow:
    """Play this timeline from now on (None: silence), then `then`. The files of both are on this machine."""

    timeline: Timeline | None
    then: Timeline | None = None
    gain_db: float = 0.0
    """The gain of the track of `timeline`."""
    then_gain_db: float = 0.0


@frozen
class UseSounds:
    """From now on a timeline of SWEEP_ID plays these sounds."""

    sounds: Sounds


@frozen
class Listen:
    """Record the pass that begins at `begin_session_ns` with this machine's microphone, and find the sounds of all
    machines in it. Then call `heard` with this `number`."""

    number: int
    begin_session_ns: int
    machines: tuple[Sounds, ...]


@frozen
class SetQuiet:
    """Let the audio output be silent in these spans of session time and in no others."""

    spans: tuple[tuple[int, int], ...]


@frozen
class ListenToSong:
    """Record the check that begins at `begin_session_ns` with this machine's microphone, and find when the song of
    this timeline arrives from each machine; `roles` are the channels that they play. Then call `heard` with this
    `number`."""

    number: int
    begin_session_ns: int
    timeline: Timeline
    roles: tuple[Role, ...]


@frozen
class StopListening:
    """Stop the recording of `Listen` or `ListenToSong`, if it runs. `heard` is not called."""


@frozen
class AllowClock:
    """Host: the peer on this connection has joined. Answer clock pings from its address under this key; accept frames
    of full size."""

    peer_id: int
    conn: int
    key: bytes = dataclasses.field(repr=False)


@frozen
class ForbidClock:
    """Host: the peer has left. Stop answering its clock pings and close its file connections."""

    peer_id: int


@frozen
class Connect:
    """Peer: abort the old control connection, open a new one, then call `connected` or `connect_failed`."""


@frozen
class StartClock:
    """Peer: measure the host's clock on this UDP port, with this peer number and key.

    A measurement with the same number and port continues, also under another key.
    """

    peer_id: int
    clock_port: int
    key: bytes = dataclasses.field(repr=False)


@frozen
class StopClock:
    """Peer: stop measuring the host's clock."""


@frozen
class Fetch:
    """Peer: get this file from the cache, or over a bulk connection with these credentials. With the `root` of its hash
    tree it arrives in pieces: see `FetchPieces`. It replaces an earlier one for the same file.

    Then call `file_ready` or `file_failed`.
    """

    track: Track
    peer_id: int
    token: bytes = dataclasses.field(repr=False)
    root: bytes = b""


@frozen
class FetchPieces:
    """Peer: fetch these pieces of a file of `Fetch` from a source; None: from the host. The credentials are those of
    the membership. Then call `piece_ended` for each. A piece that is fetched from another source is fetched from this
    one instead."""

    file_id: UUID
    source: PieceSource | None
    pieces: tuple[int, ...]
    peer_id: int
    token: bytes = dataclasses.field(repr=False)


@frozen
class OpenPieces:
    """Peer: open a port at which other peers can fetch pieces from this machine, if it is willing. Then call
    `pieces_at`."""


@frozen
class LetFetch:
    """Peer: let those fetch pieces who have an access under this key: see protocol/proof.py. It replaces an earlier
    key."""

    key: bytes = dataclasses.field(repr=False)


@frozen
class HashPieces:
    """Host: make the hash tree of this track. Then call `pieces_hashed`."""

    track: Track


@frozen
class CancelFetch:
    """Peer: stop fetching this file."""

    file_id: UUID


@frozen
class Upload:
    """Peer: send this song from the cache to the host, over a bulk connection with these credentials.

    Then call `upload_ended`. `size` is in bytes.
    """

    request_id: UUID
    sha256: bytes
    size: int
    peer_id: int
    token: bytes = dataclasses.field(repr=False)


@frozen
class CancelUpload:
    """Peer: stop uploading the song of this request."""

    request_id: UUID


@frozen
class Keep:
    """Peer: the SHA-256 hashes of the files that are needed. The cache may delete other files to free space."""

    hashes: frozenset[bytes]


@frozen
class TellGuest:
    """Host: show this sentence to a guest, in its language. `request_id`: the request that it is about."""

    guest_id: bytes
    text: str
    request_id: UUID | None = None


@frozen
class GuestRemoved:
    """Host: the host's user has removed this guest. Close its connections."""

    guest_id: bytes


@frozen
class GuestSweep:
    """Host: let the phone of a guest play these sounds in the pass that begins at `begin_session_ns`, and play them
    earlier by `late_ns` than its page would play music."""

    guest_id: bytes
    begin_session_ns: int
    sounds: Sounds
    late_ns: int


@frozen
class GuestSweepEnd:
    """Host: the phone of a guest plays no more sounds of a pass."""

    guest_id: bytes


@frozen
class GuestCalibrated:
    """Host: a microphone has heard the phone of a guest. From now on it plays earlier by `late_ns`, which may be 0."""

    guest_id: bytes
    late_ns: int


@frozen
class FetchFromLibrary:
    """Host: get this song of the library for a request. Then call `uploaded` or `upload_refused`."""

    request_id: UUID
    song_id: int


@frozen
class WantFallback:
    """Host: nothing waits in the queue. Add one song of the fallback."""


@frozen
class OpenOutside:
    """Host: open the outside port, and ask the router to open it to the internet. Then give the command
    `InvitationPlaces`, and again whenever the places change."""


@frozen
class CloseOutside:
    """Host: close the outside port here and at the router."""


@frozen
class ReachedAt:
    """Host: a friend elsewhere says that it has reached this machine at this public IPv4 address."""

    address: str


@frozen
class CallBack:
    """Host: connect to a lost friend, which waits at this address and TCP port, and send it this message. It replaces
    an earlier one for the same friend."""

    peer_id: int
    ip: str
    port: int
    message: HostPlaces


@frozen
class AwaitCall:
    """Peer: open a port at which the host can reach this machine, if the network permits. Then call `call_back_at`, and
    again when the port changes. The port is closed at the end of the session."""


@frozen
class UsePlaces:
    """Peer: the host can be reached at these places from now on. Use them for the next `Connect`. `heirs`: where other
    machines may be the host when it is lost."""

    candidates: tuple[Candidate, ...]
    heirs: tuple[Candidate, ...] = ()


@frozen
class OpenForSuccession:
    """Peer: open the ports of a host, for control connections and for the clock, and load or make this machine's host
    certificate. Then call `stands_by`. If the ports are open already, call it at once.

    At the control port, greet every connection with `standby_info`, take one HostSeek, answer it with the result of
    `sought`, and close. The ports become those of the host at `TakeOver`.
    """


@frozen
class CloseForSuccession:
    """Peer: close these ports."""


MAX_ASKED_AT_ONCE = 32
"""With this number of questions without an answer, a machine that is only announced waits: any program of the network
can announce it, and each question costs a connection."""


@frozen
class AskHost:
    """Ask this machine for the host of the session: connect to its control port, at all its addresses, check that it
    answers with the certificate of its `host_key`, of which only the beginning may be known, wait for its SessionInfo,
    send this message, and wait for a HostTold; all within two seconds. Then call `told` with this `number`. Later calls
    for the same machine may run beside an earlier one."""

    number: int
    contact: HostContact
    message: HostSeek


@frozen
class TakeOver:
    """Peer: this machine is the host from now on; this is the last effect of the peer's session, which has told it to
    its user. Build `HostSession.from_heritage`, and call its `took_over`. The output plays on, by the present clock
    map. `wishes`: the requests of this machine's user that were not answered; add their songs, which are in the
    cache."""

    heritage: Heritage
    cause: Cause
    wishes: tuple[Request, ...] = ()


@frozen
class FollowHost:
    """Another machine is the host from now on.

    Peer: look for the host only there, for the next `Connect`, which follows. The output plays on by the present clock
    map until `StartClock` has measured the new host's clock as well.

    Host: this is the last effect; the machine becomes a peer. Build `PeerSession.of_former_host` with this effect, and
    call its `resume`. The output plays on.
    """

    host: HostContact
    session_id: bytes
    membership: Membership
    cause: Cause
    term: int
    chain: tuple[bytes, ...]
    """Of the new host: see Claim."""
    # The rest is what a former host brings along.
    display_name: str = ""
    """Its name in the session."""
    line: SuccessionLine | None = None
    """Its last one."""
    known_keys: tuple[bytes, ...] = ()
    """Of the machines that it knows as hosts, or as successors, of the session."""
    playing: Timeline | None = None
    then: Timeline | None = None
    tracks: tuple[Track, ...] = ()
    """The songs of the queue whose files it has."""
    gains: tuple[tuple[UUID, float], ...] = ()
    bequest: Bequest | None = None
    """None: the new host knows all."""


@frozen
class Notify:
    """Report an event to the user of this machine."""

    event: Event


@frozen
class Ended:
    """The session is over for this process; this is the last effect.

    `failed`: the program prints the sentence of `reason` on standard error and exits with status 1.
    """

    reason: Notice
    failed: bool


ForGuest = TellGuest | GuestRemoved | GuestSweep | GuestSweepEnd | GuestCalibrated
"""What the page's server does."""

Effect = (
    Send
    | Broadcast
    | AskCode
    | Pair
    | Close
    | Follow
    | UseSounds
    | Listen
    | SetQuiet
    | ListenToSong
    | StopListening
    | AllowClock
    | ForbidClock
    | Connect
    | StartClock
    | StopClock
    | Fetch
    | FetchPieces
    | OpenPieces
    | LetFetch
    | HashPieces
    | CancelFetch
    | Upload
    | CancelUpload
    | Keep
    | ForGuest
    | FetchFromLibrary
    | WantFallback
    | OpenOutside
    | CloseOutside
    | ReachedAt
    | CallBack
    | AwaitCall
    | UsePlaces
    | OpenForSuccession
    | CloseForSuccession
    | AskHost
    | TakeOver
    | FollowHost
    | Notify
    | Ended
)
