"""Every message of PhaseLock's TCP connections: this file is the protocol document.

A frame is `[length: u32 little endian][type: u8][msgpack map of the fields]`; the length counts type and payload.
Messages and fields that are marked "extension" were added after the first draft of the protocol. A
field with a default may be absent on the wire. An unknown field, a missing field, a wrong type or a value out of bounds
breaks the protocol, and the receiver closes the connection.

A control connection (TCP, port 17401). The host sends first:

    host  SessionInfo
    peer  JoinRequest
    host  JoinAccepted | JoinRejected | CodeNeeded
    both  all other messages, and Heartbeat every 2 s; 5 s without a message end the connection

After CodeNeeded:

    peer  PairingStart
    host  PairingReply
    peer  PairingProof
    host  PairingProof | JoinRejected
    peer  JoinRequest, as before

At the port that a host opens for friends elsewhere, the first SessionInfo has no names, and the code of the invitation
is always asked for. SessionInfo with the names comes before JoinAccepted.

A file has a connection of its own, so that no command waits behind its bytes. After SessionInfo:

    peer  FileRequest                   |  peer  SongUploadStart
    host  FileChunk ... | FileRefused   |  host  SongUploadFrom | FileRefused
    peer  BulkProgress ...              |  peer  SongUploadChunk ... SongUploadComplete
                                        |  host  BulkProgress ...

The host sends a FileTransferStart for each file on the control connection, in the order in which the files are needed.
The peer answers each one there with one FileReceived. The host answers a SongRequest with SongRequestAccepted or
SongRequestRejected, and after the upload with SongRequestAdded or SongRequestRejected. Before these it may tell the
progress of a conversion with SongRequestConverting.

A FileTransferStart with a `root` names a file that arrives in pieces (model/pieces.py), from the host and from other
peers. The host says which piece a peer fetches from which source:

    peer  PiecesAt          at this port it passes pieces on, if the host wants that
    host  PiecesKey         who proves this key may fetch from it
    host  PieceSource       where to fetch pieces of this file, and the proof for that
    host  PieceTasks        fetch these pieces
    peer  PiecesEnded       these have arrived or not

Pieces come over a connection of their own, to the host or to a peer. After SessionInfo, which a peer sends without
names:

    peer    PieceRequest ...            for one piece after the other, without waiting
    source  PieceStart FileChunk ...    for each of them | FileRefused
    peer    BulkProgress ...

A peer writes to all with ChatSay. The host sends a ChatSaid to all peers, also to the one that wrote, or a ChatRefused
to that one. After JoinAccepted the host sends the newest messages as a ChatHistory, if there are any.

The host sends QueueUpdate or QueueChange when the queue changes.

The host sends RulesUpdate when the rules change, and VotesUpdate when the votes do; each of them also after
JoinAccepted, unless it would say what a new peer supposes: rules without limits, and no votes. A peer votes with
SongVote and SkipVote. The next VotesUpdate counts its vote, and YourVotes confirms it. A vote that comes too late has
no answer.

Every connection is encrypted by TLS 1.3 (network/secure.py). The peer is the client. A host sends SessionInfo without
encryption to a connection that does not begin with TLS, so that an older version can say that it is too old.

The host sends HostPlaces to a peer that came in from elsewhere, after JoinAccepted and when they change. Such a peer
answers with CallBackAt if it can be reached from outside, too. When the peer is lost, the host connects there, or the
machine of its line that has become the host. On this connection the host is still the server of TLS. It sends one
HostPlaces, and the peer closes:

    host  HostPlaces

Such a peer that has lost its host looks for it at all of these places. A machine that answers there with the key of one
of the line is the new host.

A peer that has lost the connection proves the token of its last JoinAccepted and is the same peer again.

The host asks peers with StandBy whether they can become the host; StandingBy is the answer. The host tells all peers
its successors in a SuccessionLine, and these a HeritageUpdate whenever something changes. To hand the session over, the
host sends HostMoved to the first of them, and after its TookOver to the others. At the ports of a machine that stands
by, and of every host, a peer or a host that looks for the session's host asks after SessionInfo:

    asker    HostSeek
    machine  HostTold

A machine that was the host of another part of the session, or in its line, says so with OtherPart, and offers the songs
of that part with SongBequest. A new host seeks files that it does not have with SongsSought; a peer that has one
answers with SongsFound.

The clock's ClockPing and ClockPong are UDP datagrams of their own format, each with a MAC: see ext/pl_udp.h.

Times are session time (the host's monotonic clock) in nanoseconds. Positions are frames at the track's own rate. A peer
follows one timeline, the current one, and may have one more armed. A playback command changes them:

    PlayCommand, another track that starts at the end of the current one or later,
    or with a crossfade                                                             replaces the armed timeline
    PlayCommand, the current timeline again                                         clears the armed timeline
    every other playback command                                                    replaces both

UUIDs are 16 bytes. Strings are UTF-8 and bounded in bytes; the receiver removes from them what is not safe to show
(model/names.py). SessionInfo and JoinRequest never change, so that different versions can tell each other that they
differ.
"""

from __future__ import annotations

import dataclasses
from typing import Annotated, Literal, TypeAlias
from uuid import UUID

from phaselock.frozen import frozen
from phaselock.model.address import DEFAULT_GUEST_PORT
from phaselock.model.bounds import ChatText, FileName, PersonName, Size, Title, Within
from phaselock.model.calibration import Place
from phaselock.model.group import MAX_CALIBRATED, MAX_PEERS
from phaselock.model.heritage import (
    MAX_ADDRESSES,
    MAX_GUESTS,
    MAX_MEMBERS,
    MAX_SUCCESSORS,
    MAX_TERMS,
    Claim,
    HeirBar,
    HeirGuest,
    HeirMember,
    HeirRound,
    HeirSettings,
    HeirSong,
    HeirVotes,
    HostContact,
    Lineage,
    LossVote,
)
from phaselock.model.loudness import MAX_GAIN_DB, MIN_GAIN_DB
from phaselock.model.microphone import MAX_CLOCK_PPM, MicrophoneFault
from phaselock.model.names import FILE_BYTES, SENTENCE_BYTES
from phaselock.model.party import PartyRules
from phaselock.model.pieces import MAX_PIECES, MAX_PROOF
from phaselock.model.queue import MAX_ITEMS, QueueItem
from phaselock.model.queue_change import QueueDifference
from phaselock.model.role import Role
from phaselock.model.snapshot import MAX_CHAT_LINES, ChatLine
from phaselock.model.sweeps import MAX_CORRECTION_NS, Arrival, Sounds
from phaselock.model.timing import Timing
from phaselock.model.transitions import CrossfadeNs
from phaselock.model.turns import MAX_MACHINES as MAX_CHECKED
from phaselock.model.turns import Span
from phaselock.model.volume import TrimDb

PROTOCOL_VERSION = 8
CHUNK_BYTES = 64 * 1024
"""Most bytes of a file in one message."""
MAX_FILE_BYTES = 2 << 30
MAX_DURATION_NS = 60_000_000_000
"""Longest round trip or output latency in a message."""
MAX_HEIR_ROWS = 64
"""Most rows of one kind in a HeritageUpdate."""
MAX_HOST_PLACES = 8
"""Most places in HostPlaces."""
MAX_TASKS_AT_ONCE = 64
"""Most pieces in PieceTasks and in PiecesEnded."""

U32: TypeAlias = Annotated[int, Within(0, 2**32 - 1)]
TimeNs: TypeAlias = Annotated[int, Within(0, 2**62)]
Count: TypeAlias = Annotated[int, Within(0, 2**62)]
DurationNs: TypeAlias = Annotated[int, Within(0, MAX_DURATION_NS)]
SignedNs: TypeAlias = Annotated[int, Within(-(2**62), 2**62)]
Frames: TypeAlias = Annotated[int, Within(0, 2**40)]
RateHz: TypeAlias = Annotated[int, Within(8000, 192000)]
Port: TypeAlias = Annotated[int, Within(1, 65535)]
AddressText: TypeAlias = Annotated[str, Size(0, 45)]
"""An IP address without a scope."""
FileBytes: TypeAlias = Annotated[int, Within(1, MAX_FILE_BYTES)]
PieceNumber: TypeAlias = Annotated[int, Within(0, MAX_PIECES - 1)]
PieceResult: TypeAlias = Literal["right", "wrong", "lost"]
Percent: TypeAlias = Annotated[int, Within(0, 100)]
RefusalKind: TypeAlias = Literal["other", "code", "removed"]
HostSight: TypeAlias = Literal["present", "lost", "host"]
ChatRefusal: TypeAlias = Literal["off", "too_fast", "busy"]
Offset: TypeAlias = Annotated[int, Within(0, MAX_FILE_BYTES)]
Sha256: TypeAlias = Annotated[bytes, Size(32, 32)]
Token: TypeAlias = Annotated[bytes, Size(16, 16)]
Share: TypeAlias = Annotated[bytes, Size(33, 33)]
ClockKey: TypeAlias = Annotated[bytes, Size(16, 16)]
Chunk: TypeAlias = Annotated[bytes, Size(1, CHUNK_BYTES)]
Sentence: TypeAlias = Annotated[str, Size(0, SENTENCE_BYTES)]
PersonKey: TypeAlias = Annotated[str, Size(0, 64)]
DeviceName: TypeAlias = Annotated[str, Size(0, FILE_BYTES)]


@frozen
class LineState:
    """Extension: a timeline. With `stop_time_ns` it is paused."""

    file_id: UUID
    rate_hz: RateHz
    position_samples: Frames
    target_time_ns: TimeNs
    stop_time_ns: TimeNs | None = None
    crossfade_ns: CrossfadeNs = 0


@frozen
class SessionState:
    """The state for a new peer: the queue, and the timeline that is playing or paused (None: nothing). Extension:
    `then`, the armed timeline."""

    queue: Annotated[tuple[QueueItem, ...], Size(0, MAX_ITEMS)]
    revision: U32
    line: LineState | None = None
    then: LineState | None = None


@frozen
class SessionInfo:
    """Host to peer, the first message. A name in `peers` is "?" if the host does not tell it: in a session with a code,
    or with many peers. Extension: `session_id` shows whether it is still the same session."""

    protocol_version: U32
    session_id: Token
    session_name: PersonName
    host_name: PersonName
    peers: Annotated[tuple[PersonName, ...], Size(0, MAX_PEERS)]
    max_peers: Annotated[int, Within(0, MAX_PEERS)]


@frozen
class JoinRequest:
    """Peer to host, once. Extensions: the version; without it the host refuses. To join again as the same peer: the
    `peer_id` of the last JoinAccepted, and the proof of its token for "join" (protocol/proof.py). `reached`, from
    elsewhere: the address at which the peer has reached the host."""

    display_name: PersonName
    protocol_version: U32 = 0
    peer_id: U32 | None = None
    proof: Sha256 | None = None
    reached: AddressText = ""


@frozen
class JoinAccepted:
    """Host to peer. Extension: `display_name` is the peer's name in this session; `token` is the key of the
    membership, with which the peer proves itself later; `clock_key` authenticates the clock's datagrams, and is new
    each time a peer joins."""

    peer_id: U32
    session_state: SessionState
    token: Token = dataclasses.field(repr=False)
    clock_port: Port
    display_name: PersonName
    clock_key: ClockKey = dataclasses.field(repr=False)


@frozen
class JoinRejected:
    """Host to peer; the host closes the connection afterwards. Extension: `kind`, what the peer's program can do about
    it. "code": ask its user for the code again; "removed": nothing, until the host lets the machine in again."""

    reason: Sentence
    kind: RefusalKind = "other"


@frozen
class CodeNeeded:
    """Extension, host to peer: the session has a code. The peer proves that it knows the code, and sends JoinRequest
    again."""


@frozen
class PairingStart:
    """Extension, peer to host: the peer's share of SPAKE2 (network/pairing.py)."""

    share: Share


@frozen
class PairingReply:
    """Extension, host to peer: the host's share."""

    share: Share


@frozen
class PairingProof:
    """Extension, the peer first: the sender knows the code. The host answers a wrong proof with JoinRejected."""

    proof: Sha256


@frozen
class LeaveSession:
    """Peer to host; the peer closes the connection afterwards."""

    peer_id: U32


@frozen
class SessionEnd:
    """Host to peer: the session has ended. Extension: a reason, if the host removes only this peer."""

    reason: Sentence = ""


@frozen
class HostPlace:
    """Extension: where a host may be reached. `clock_port`, UDP, if it is not the one of JoinAccepted; else 0."""

    address: AddressText
    port: Port
    clock_port: Annotated[int, Within(0, 65535)] = 0


@frozen
class HostPlaces:
    """Extension, host to a peer that came in from elsewhere: where the host may be reached from now on. `heirs`: where
    a machine of its line may be reached when it is the host."""

    places: Annotated[tuple[HostPlace, ...], Size(1, MAX_HOST_PLACES)]
    heirs: Annotated[tuple[HostPlace, ...], Size(0, MAX_HOST_PLACES)] = ()


@frozen
class CallBackAt:
    """Extension, peer to host: the TCP port at which the peer can be reached, at the address from which the host sees
    it come. Well-known ports are none: they may belong to another program there."""

    port: Annotated[int, Within(1024, 65535)]


@frozen
class Heartbeat:
    """Both ways, every two seconds."""


@frozen
class FileTransferStart:
    """Host to peer: fetch this file of the session. Sent again, it asks for another attempt. Extension: `root`, the
    root of its hash tree. With it the file arrives in pieces, and PieceTasks follow."""

    file_id: UUID
    file_name: FileName
    size: FileBytes
    sha256: Sha256
    rate_hz: RateHz
    frames: Frames
    title: Title = ""
    artist: Title = ""
    root: Sha256 | None = None


@frozen
class FileChunk:
    """Sent by the host on a file connection, and by a source of pieces: bytes of the file, in order, without gaps."""

    file_id: UUID
    offset: Offset
    data: Chunk


@frozen
class FileReceived:
    """Peer to host: an attempt has ended. `hash_ok` is False for a wrong hash and also for a lost connection."""

    file_id: UUID
    hash_ok: bool


@frozen
class FileUnplayable:
    """Extension, peer to host: the peer cannot decode a file that it received."""

    file_id: UUID
    reason: Sentence


@frozen
class FileRequest:
    """Extension, peer to host, the first message of a file connection: send the file from `offset` on."""

    peer_id: U32
    proof: Sha256
    file_id: UUID
    offset: Offset


@frozen
class FileRefused:
    """Extension, on a file connection: the host does not send this file, or does not want this song (any more)."""

    reason: Sentence


@frozen
class BulkProgress:
    """Extension, receiver of a file to its sender: how many bytes, with frame headers, have arrived on this connection
    after SessionInfo. The sender's congestion control uses it."""

    received_bytes: Count


@frozen
class PiecesAt:
    """Extension, peer to host, after JoinAccepted: the peer passes pieces on at this TCP port, with the certificate of
    this SHA-256. `address` is its own one on the connection to the host; other machines of its house reach it there.
    `wireless`: its network is known to be a radio."""

    address: AddressText
    port: Annotated[int, Within(1024, 65535)]
    host_key: Sha256
    wireless: bool


@frozen
class PiecesKey:
    """Extension, host to peer: a machine that proves that it knows an access under this key (protocol/proof.py) may
    fetch pieces from the peer. It replaces an earlier key."""

    key: Token = dataclasses.field(repr=False)


@frozen
class PieceSource:
    """Extension, host to peer: where the member with the number `source` passes on pieces of this file. `access` is the
    key that proves there that the peer may fetch them."""

    file_id: UUID
    source: Annotated[int, Within(1, 2**32 - 1)]
    address: AddressText
    port: Annotated[int, Within(1024, 65535)]
    host_key: Sha256
    access: Sha256 = dataclasses.field(repr=False)


@frozen
class PieceTask:
    """Extension: a piece, and the number of the member to fetch it from; 0: the host."""

    piece: PieceNumber
    source: U32


@frozen
class PieceTasks:
    """Extension, host to peer: fetch these pieces of a file that was offered with a root. A piece that the peer fetches
    from another source already is fetched from this one instead."""

    file_id: UUID
    tasks: Annotated[tuple[PieceTask, ...], Size(1, MAX_TASKS_AT_ONCE)]


@frozen
class PieceEnd:
    """Extension: how a task has ended. "right": the piece is here; "wrong": what came is not this piece; "lost": it did
    not come."""

    piece: PieceNumber
    source: U32
    result: PieceResult


@frozen
class PiecesEnded:
    """Extension, peer to host: these tasks have ended."""

    file_id: UUID
    ended: Annotated[tuple[PieceEnd, ...], Size(1, MAX_TASKS_AT_ONCE)]


@frozen
class PieceRequest:
    """Extension, peer to the host or to another peer on a connection for pieces, first and for each piece: send this
    piece. `proof`: at the host that of the membership for "fetch", elsewhere that of the access in PieceSource."""

    peer_id: U32
    proof: Sha256
    file_id: UUID
    piece: PieceNumber


@frozen
class PieceStart:
    """Extension, the answer to a PieceRequest: FileChunks with the bytes of this piece follow. `path`: the hashes that
    lead from the piece to the root of the file."""

    file_id: UUID
    piece: PieceNumber
    path: Annotated[tuple[Sha256, ...], Size(0, MAX_PROOF)]


@frozen
class SongRequest:
    """Peer to host: asks to add a song. Extension: the peer chooses the `request_id`, and tells what the song is; empty
    or 0: not known."""

    request_id: UUID
    file_name: FileName
    file_size: FileBytes
    title: Title = ""
    artist: Title = ""
    duration_secs: Annotated[float, Within(0, 1e9)] = 0.0


@frozen
class SongRequestAccepted:
    """Host to peer: upload the song."""

    request_id: UUID


@frozen
class SongRequestRejected:
    """Host to peer: the host does not accept the song, or no longer. Extension: the reason; empty if the host's user
    has declined."""

    request_id: UUID
    reason: Sentence = ""


@frozen
class SongRequestWithdrawn:
    """Extension, peer to host: the request is over, because the upload failed or was cancelled."""

    request_id: UUID
    reason: Sentence = ""


@frozen
class SongRequestConverting:
    """Extension, host to peer: how far the uploaded song is converted to a kind of music that can be played."""

    request_id: UUID
    done_percent: Percent


@frozen
class SongRequestAdded:
    """Extension, host to peer: the uploaded song is in the queue."""

    request_id: UUID


@frozen
class SongUploadStart:
    """Extension, peer to host, the first message of a file connection: starts the upload of an accepted song."""

    peer_id: U32
    proof: Sha256
    request_id: UUID
    sha256: Sha256


@frozen
class SongUploadFrom:
    """Extension, host to peer on a file connection: send the song from `offset` on; the host has the bytes before
    it."""

    offset: Offset


@frozen
class SongUploadChunk:
    """Peer to host: bytes of an accepted song, in order, without gaps."""

    request_id: UUID
    offset: Offset
    data: Chunk


@frozen
class SongUploadComplete:
    """Peer to host: all bytes of the song have been sent."""

    request_id: UUID
    sha256: Sha256


@frozen
class PlayCommand:
    """Host to peer: this frame of this track leaves the loudspeaker at `target_time_ns`.

    Extensions: `rate_hz`, because a peer for which playback does not wait may get the FileTransferStart of the track
    later; `crossfade_ns`: for this long the track fades in, by the sine of a quarter turn, and the one before fades
    out, by the cosine, and ends.
    """

    file_id: UUID
    rate_hz: RateHz
    position_samples: Frames
    target_time_ns: TimeNs
    crossfade_ns: CrossfadeNs = 0


@frozen
class PauseCommand:
    """Host to peer: silence from `target_time_ns` on, the time of `position_samples`.

    Extensions: `target_time_ns` (if it is absent: at once); `file_id` and `rate_hz`, here and below, which name the
    track, in case the command arrives after the track's end or before its FileTransferStart.
    """

    position_samples: Frames
    target_time_ns: TimeNs | None = None
    file_id: UUID | None = None
    rate_hz: RateHz | None = None


@frozen
class ResumeCommand:
    """Host to peer: continue with this frame at this time."""

    position_samples: Frames
    target_time_ns: TimeNs
    file_id: UUID | None = None
    rate_hz: RateHz | None = None


@frozen
class StopCommand:
    """Host to peer: silence from `target_time_ns` on (extension; if it is absent: at once). Then nothing is playing."""

    target_time_ns: TimeNs | None = None


@frozen
class SeekCommand:
    """Host to peer: play this frame of the current track at this time. A paused track stays paused, at this frame."""

    position_samples: Frames
    target_time_ns: TimeNs
    file_id: UUID | None = None
    rate_hz: RateHz | None = None


@frozen
class VolumeCommand:
    """Extension, host to peer: set the volume of the peer's output, or mute it; None keeps the present value. A muted
    output keeps its volume."""

    volume_percent: Percent | None
    muted: bool | None


@frozen
class SweepCommand:
    """Extension, host to peer: play sweeps, which a microphone hears. `target_time_ns` is the begin of the pass. The
    timelines of the session stay as they are; SweepEnd ends the sweeps."""

    target_time_ns: TimeNs
    sounds: Sounds


@frozen
class SweepEnd:
    """Extension, host to peer: play no more sweeps, and record nothing. `more_follow`: the calibration goes on, and so
    does a permission to listen."""

    more_follow: bool = False


@frozen
class ListenCommand:
    """Extension, host to peer: record the pass that begins at `target_time_ns`, and find the sweeps of all `machines`
    in it. The peer answers with one HeardReport of the same `number`."""

    number: U32
    target_time_ns: TimeNs
    machines: Annotated[tuple[Sounds, ...], Size(2, MAX_CALIBRATED)]


@frozen
class HeardReport:
    """Extension, peer to host: the arrivals of the machines of a ListenCommand, in its order. With a `fault` there are
    none: the peer cannot record, or does not allow it. `microphone_ppm` is how much faster the microphone's clock runs
    than session time (None: unknown)."""

    number: U32
    arrivals: Annotated[tuple[Arrival, ...], Size(0, MAX_CALIBRATED)] = ()
    fault: MicrophoneFault | None = None
    microphone_ppm: Annotated[float, Within(-MAX_CLOCK_PPM, MAX_CLOCK_PPM)] | None = None


@frozen
class MicrophoneRequest:
    """Extension, host to peer: may the host listen by the peer's microphone, until the next SweepEnd? The peer answers
    with one MicrophoneAnswer of the same `number`, perhaps after it has asked its user. SweepEnd withdraws the
    request."""

    number: U32


@frozen
class MicrophoneAnswer:
    """Extension, peer to host: whether the host may listen."""

    number: U32
    allowed: bool


@frozen
class CalibrationCommand:
    """Extension, host to peer: a microphone has heard this peer later than the earliest machine by `late_ns`, with its
    present correction. The peer plays earlier by `late_ns`, and keeps that for this output. The repeats of the
    measurement differed by `spread_ns`. It was the microphone of `listener`; `place` says where all machines are
    together."""

    late_ns: Annotated[int, Within(-MAX_CORRECTION_NS, MAX_CORRECTION_NS)]
    spread_ns: DurationNs
    listener: PersonName
    place: Place


@frozen
class TrimCommand:
    """Extension, host to peer: play louder than the volume says by `trim_db`, and keep that for this output."""

    trim_db: TrimDb


@frozen
class CalibrationConfirmed:
    """Extension, host to peer: at `heard_time_ns` the microphone of `listener` has heard this peer within `within_ns`
    of the other machines. That is true until the output of the peer or its correction changes."""

    heard_time_ns: TimeNs
    within_ns: DurationNs
    listener: PersonName
    place: Place


@frozen
class QuietCommand:
    """Extension, host to peer: be silent in these spans after `target_time_ns` and in no others, while the song plays
    on. An empty list also ends the recording of a ListenToSongCommand."""

    target_time_ns: TimeNs
    spans: Annotated[tuple[Span, ...], Size(0, 2)]


@frozen
class ListenToSongCommand:
    """Extension, host to peer: record the check that begins at `target_time_ns`, and find when the song that plays
    arrives from each machine; `roles` are the channels that they play. The peer answers with one HeardReport of the
    same `number`."""

    number: U32
    target_time_ns: TimeNs
    roles: Annotated[tuple[Role, ...], Size(2, MAX_CHECKED)]


@frozen
class RoleCommand:
    """Extension, host to peer: play these channels from now on."""

    role: Role


@frozen
class TrackGain:
    """Extension: the gain at which all machines play a track, so that all tracks are equally loud."""

    file_id: UUID
    gain_db: Annotated[float, Within(MIN_GAIN_DB, MAX_GAIN_DB)]


@frozen
class TrackGains:
    """Extension, host to peer: play these tracks at these gains from now on. The gain of every other track stays: it is
    0 dB at first."""

    gains: Annotated[tuple[TrackGain, ...], Size(1, 2 * MAX_ITEMS)]


@frozen
class ChatSay:
    """Extension, peer to host: the peer's user writes this to all."""

    text: ChatText


@frozen
class ChatSaid:
    """Extension, host to all peers: a message to all. The numbers of the lines grow."""

    line: ChatLine


@frozen
class ChatHistory:
    """Extension, host to peer, after JoinAccepted: the newest messages, the oldest first. A peer that has joined again
    knows some of them."""

    lines: Annotated[tuple[ChatLine, ...], Size(1, MAX_CHAT_LINES)]


@frozen
class ChatRefused:
    """Extension, host to peer: its message is not told. "off": the rules of the session forbid it; "too_fast": the peer
    writes too many; "busy": all people together do."""

    why: ChatRefusal


@frozen
class RulesUpdate:
    """Extension, host to peer: the rules by which songs that people ask for are taken and ordered from now on. A peer
    that joins supposes the rules without limits until this message."""

    rules: PartyRules


@frozen
class VotesForSong:
    """Extension: the votes for a song that waits. 0: it does not wait any more, or all votes were taken back."""

    file_id: UUID
    votes: U32


@frozen
class SkipState:
    """Extension: the votes for leaving the song that plays, which is left at `needed` votes."""

    votes: U32
    needed: U32


@frozen
class VotesUpdate:
    """Extension, host to all peers: the songs whose votes have changed since the last VotesUpdate. A peer that joins
    supposes no votes; the first one tells it all of them. `skip` is None if nothing plays, or if the rules know no such
    vote."""

    songs: Annotated[tuple[VotesForSong, ...], Size(0, 2 * MAX_ITEMS)]
    skip: SkipState | None = None


@frozen
class YourVotes:
    """Extension, host to peer, when it changes: the songs for which the peer's user has voted, and whether it wants to
    leave the song that plays. A peer that joins supposes neither."""

    songs: Annotated[tuple[UUID, ...], Size(0, MAX_ITEMS)]
    skip: bool


@frozen
class SongVote:
    """Extension, peer to host: the peer's user votes for a song that waits (`wanted`), or takes the vote back."""

    file_id: UUID
    wanted: bool


@frozen
class SkipVote:
    """Extension, peer to host: the peer's user votes for leaving the song that plays (`wanted`), or takes the vote
    back."""

    file_id: UUID
    wanted: bool


@frozen
class QueueUpdate:
    """Host to all peers: the whole queue, after a change."""

    queue: Annotated[tuple[QueueItem, ...], Size(0, MAX_ITEMS)]
    revision: U32


@frozen
class QueueChange:
    """Extension, host to all peers, instead of QueueUpdate where most rows stay: what has changed since the revision
    `base`, which is the one that the peer has."""

    base: U32
    revision: U32
    change: QueueDifference


@frozen
class PeerStatus:
    """Extension, peer to host: the state of its clock and its output. Sent every second, more often at first, and at
    once when its output changes.

    `device_name` is None if no output is open. `timing` says how exactly the output's delay is known.
    `dac_deviation_ns` is the standard deviation of the output clock. `dac_uncertainty_ns` is the uncertainty of the
    time at which a frame leaves the loudspeaker (None: unknown). `rtt_ns` is the recent worst round trip.
    `least_rtt_ns` is the least one of about the last minute (0: unknown). `room_bytes` is how many bytes of tracks the
    peer can store. `volume_percent` is the volume of its output, which a muted output keeps (None: unknown). `role`
    says which channels the peer plays (None: unknown). `trim_db` is how much louder than its volume says it plays.
    `correction_ns` says by how much its output plays earlier than it would without the user's correction and without a
    calibration. `microphone`: the host may listen by the peer's microphone without a question.
    """

    phase_error_ns: SignedNs
    offset_uncertainty_ns: TimeNs
    dac_deviation_ns: TimeNs
    dac_uncertainty_ns: TimeNs | None
    timing: Timing
    drift_ppb: Annotated[int, Within(-(10**9), 10**9)]
    rtt_ns: DurationNs
    output_latency_ns: DurationNs
    device_name: DeviceName | None
    underruns: Count
    clock_usable: bool
    clock_stale: bool
    room_bytes: Count
    volume_percent: Percent | None = None
    muted: bool = False
    role: Role | None = None
    trim_db: TrimDb = 0.0
    correction_ns: SignedNs = 0
    microphone: bool = False
    least_rtt_ns: DurationNs = 0


@frozen
class StandBy:
    """Extension, host to peer: may this machine become the host? A peer that is willing opens the ports of a host and
    answers with StandingBy. A peer that is not does not answer."""


@frozen
class StandingBy:
    """Extension, peer to host: the peer can become the host, at these ports and with this certificate. `addresses`:
    its own, the best first. `wired`: its network is a cable (None: unknown). `page_port`: TCP, of the page for guests
    that it would serve."""

    control_port: Port
    clock_port: Port
    host_key: Sha256
    addresses: Annotated[tuple[AddressText, ...], Size(0, MAX_ADDRESSES)] = ()
    wired: bool | None = None
    page_port: Port = DEFAULT_GUEST_PORT


@frozen
class SuccessionLine:
    """Extension, host to all peers, after JoinAccepted and after each change: who becomes the host if this one is lost,
    the first in line first. `chain`: see Claim; `term` and `host` are those of this host. `voters` is the number of
    peers of which more than half must have lost the host before one of them takes over at once."""

    term: U32
    chain: Annotated[tuple[Sha256, ...], Size(1, MAX_TERMS)]
    host: HostContact
    successors: Annotated[tuple[HostContact, ...], Size(0, MAX_SUCCESSORS)]
    voters: U32


@frozen
class HeritageUpdate:
    """Extension, host to a successor: rows of the heritage that are new or have changed, and those that are gone.
    `accepted`: all requests that the host's user has accepted. None: as before. `complete`: the
    successor now knows all."""

    settings: HeirSettings | None = None
    songs: Annotated[tuple[HeirSong, ...], Size(0, MAX_HEIR_ROWS)] = ()
    gone_songs: Annotated[tuple[UUID, ...], Size(0, MAX_ITEMS)] = ()
    votes: Annotated[tuple[HeirVotes, ...], Size(0, MAX_HEIR_ROWS)] = ()
    gone_votes: Annotated[tuple[UUID, ...], Size(0, MAX_ITEMS)] = ()
    members: Annotated[tuple[HeirMember, ...], Size(0, MAX_HEIR_ROWS)] = ()
    gone_members: Annotated[tuple[U32, ...], Size(0, MAX_MEMBERS)] = ()
    bars: Annotated[tuple[HeirBar, ...], Size(0, MAX_HEIR_ROWS)] = ()
    gone_bars: Annotated[tuple[Token, ...], Size(0, MAX_ITEMS)] = ()
    guests: Annotated[tuple[HeirGuest, ...], Size(0, MAX_HEIR_ROWS)] = ()
    gone_guests: Annotated[tuple[Token, ...], Size(0, MAX_GUESTS)] = ()
    rounds: Annotated[tuple[HeirRound, ...], Size(0, MAX_HEIR_ROWS)] = ()
    gone_rounds: Annotated[tuple[PersonKey, ...], Size(0, MAX_ITEMS)] = ()
    lineage: Lineage | None = None
    accepted: Annotated[tuple[UUID, ...], Size(0, MAX_ITEMS)] | None = None
    complete: bool = False


@frozen
class HostMoved:
    """Extension, host to peer: this machine is the host from now on. To the new host itself it is the request to take
    over; it answers with TookOver. The others leave this host and join the new one. `chain` and `term`: of the new
    host."""

    host: HostContact
    term: U32
    chain: Annotated[tuple[Sha256, ...], Size(1, MAX_TERMS)]


@frozen
class TookOver:
    """Extension, peer to host: this peer is the host now. The peer closes the connection afterwards."""


@frozen
class HostSeek:
    """Extension, at the ports of a machine that stands by or is the host, after its SessionInfo: where is the host?

    A member that has lost its host tells its number, and may vote for the machine that it asks. Another host of the
    session tells its claim, without votes, and where it is. The answer is one HostTold; then the connection is closed.
    """

    session_id: Token
    peer_id: U32
    vote: LossVote | None = None
    claim: Claim | None = None
    contact: HostContact | None = None


@frozen
class HostTold:
    """Extension, the answer to a HostSeek.

    "present": the machine is connected to its host. "lost": it has lost its host, too; it has counted `votes` of the
    `voters` of its line. "host": it is the host itself. `host` and `claim` describe the host of the first and the last.
    `gives_way`: this host will join the one that asks; None: it does not know yet, and asks it. `proof`: of a host,
    that it knows the secret of the heirs. `member_proof`: of a host, that it knows the token of the member that asks.
    """

    sight: HostSight
    votes: U32 = 0
    voters: U32 = 0
    host: HostContact | None = None
    claim: Claim | None = None
    gives_way: bool | None = None
    proof: Sha256 | None = None
    member_proof: Sha256 | None = None


@frozen
class OtherPart:
    """Extension, peer to host: this peer was the host of another part of the session, or in the line of that host. The
    songs of that part follow as SongBequest. `claim`: of that host. `proof`: that this peer knows the secret of the
    heirs, for this host."""

    claim: Claim
    proof: Sha256


@frozen
class SongBequest:
    """Extension, peer to host: a song of another part of the session, which this host does not have. Several peers may
    bring it, with the same `request_id`. Answered like a SongRequest, but not while another peer sends the song. The
    song belongs to the member `asker_id`, or to this peer (None)."""

    request_id: UUID
    file_name: FileName
    file_size: FileBytes
    title: Title
    artist: Title
    duration_secs: Annotated[float, Within(0, 1e9)]
    sha256: Sha256
    added_by: PersonName
    asker_id: U32 | None = None


@frozen
class SongsSought:
    """Extension, host to peers: the host has no file of these songs of the queue. A peer that has one of them sends it
    as it sends a song that was accepted; `request_id` is then the `file_id`."""

    file_ids: Annotated[tuple[UUID, ...], Size(1, MAX_ITEMS)]


@frozen
class SongsFound:
    """Extension, peer to host: the peer has the files of these songs, which the host seeks. The host answers with
    SongRequestAccepted for those that the peer must send."""

    file_ids: Annotated[tuple[UUID, ...], Size(1, MAX_ITEMS)]


Message: TypeAlias = (
    SessionInfo
    | JoinRequest
    | JoinAccepted
    | JoinRejected
    | CodeNeeded
    | PairingStart
    | PairingReply
    | PairingProof
    | LeaveSession
    | SessionEnd
    | HostPlaces
    | CallBackAt
    | Heartbeat
    | FileTransferStart
    | FileChunk
    | FileReceived
    | FileUnplayable
    | FileRequest
    | FileRefused
    | BulkProgress
    | PiecesAt
    | PiecesKey
    | PieceSource
    | PieceTasks
    | PiecesEnded
    | PieceRequest
    | PieceStart
    | SongRequest
    | SongRequestAccepted
    | SongRequestRejected
    | SongRequestWithdrawn
    | SongRequestConverting
    | SongRequestAdded
    | SongUploadStart
    | SongUploadFrom
    | SongUploadChunk
    | SongUploadComplete
    | PlayCommand
    | PauseCommand
    | ResumeCommand
    | StopCommand
    | SeekCommand
    | VolumeCommand
    | SweepCommand
    | SweepEnd
    | ListenCommand
    | HeardReport
    | MicrophoneRequest
    | MicrophoneAnswer
    | CalibrationCommand
    | TrimCommand
    | CalibrationConfirmed
    | RoleCommand
    | QuietCommand
    | ListenToSongCommand
    | TrackGains
    | ChatSay
    | ChatSaid
    | ChatHistory
    | ChatRefused
    | RulesUpdate
    | VotesUpdate
    | YourVotes
    | SongVote
    | SkipVote
    | QueueUpdate
    | QueueChange
    | PeerStatus
    | StandBy
    | StandingBy
    | SuccessionLine
    | HeritageUpdate
    | HostMoved
    | TookOver
    | HostSeek
    | HostTold
    | OtherPart
    | SongBequest
    | SongsSought
    | SongsFound
)

TYPE_OF: dict[type[Message], int] = {
    SessionInfo: 1,
    JoinRequest: 2,
    JoinAccepted: 3,
    JoinRejected: 4,
    LeaveSession: 5,
    SessionEnd: 6,
    Heartbeat: 7,
    CodeNeeded: 8,
    PairingStart: 9,
    PairingReply: 10,
    PairingProof: 11,
    FileTransferStart: 16,
    FileChunk: 17,
    FileReceived: 18,
    FileUnplayable: 19,
    FileRequest: 20,
    FileRefused: 21,
    BulkProgress: 22,
    SongRequest: 32,
    SongRequestAccepted: 33,
    SongRequestRejected: 34,
    SongUploadChunk: 35,
    SongUploadComplete: 36,
    SongRequestWithdrawn: 37,
    SongRequestAdded: 38,
    SongUploadStart: 39,
    SongUploadFrom: 40,
    SongRequestConverting: 41,
    PlayCommand: 48,
    PauseCommand: 49,
    ResumeCommand: 50,
    StopCommand: 51,
    SeekCommand: 52,
    QueueUpdate: 53,
    VolumeCommand: 54,
    SweepCommand: 80,
    SweepEnd: 81,
    ListenCommand: 82,
    HeardReport: 83,
    CalibrationCommand: 84,
    TrimCommand: 85,
    CalibrationConfirmed: 86,
    QuietCommand: 90,
    ListenToSongCommand: 91,
    MicrophoneRequest: 95,
    MicrophoneAnswer: 96,
    RoleCommand: 55,
    PeerStatus: 64,
    TrackGains: 100,
    ChatSay: 116,
    ChatSaid: 117,
    ChatHistory: 118,
    ChatRefused: 119,
    RulesUpdate: 110,
    VotesUpdate: 111,
    SongVote: 112,
    SkipVote: 113,
    HostPlaces: 120,
    CallBackAt: 121,
    StandBy: 124,
    StandingBy: 125,
    SuccessionLine: 126,
    HeritageUpdate: 127,
    HostMoved: 128,
    TookOver: 129,
    HostSeek: 130,
    HostTold: 131,
    OtherPart: 132,
    SongBequest: 133,
    SongsSought: 134,
    SongsFound: 135,
    PiecesAt: 140,
    PiecesKey: 141,
    PieceSource: 142,
    PieceTasks: 143,
    PiecesEnded: 144,
    PieceRequest: 145,
    PieceStart: 146,
    QueueChange: 150,
    YourVotes: 151,
}
"""The type byte of each message. A number is never reused for another message."""
