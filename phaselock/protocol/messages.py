"""Every message of PhaseLock's TCP connections: this file is the protocol document.

A frame is `[length: u32 little endian][type: u8][msgpack map of the fields]`, the length counting type and payload.
Names are those of the specification's section 16; what goes beyond it is marked "ours". A field that has a default may
be left out on the wire; an unknown field, a missing one, another type or a value out of bounds is a breach of protocol,
and the connection is closed.

Connection (port 17401). The host speaks first:

    host  SessionInfo
    peer  JoinRequest
    host  JoinAccepted | JoinRejected
    both  everything else, and Heartbeat every 2 s; 5 s of silence end the connection

or, behind SessionInfo, on a connection of its own for one file, so that no command waits behind its bytes:

    peer  FileRequest                   |  peer  SongUploadStart
    host  FileChunk ... | FileRefused   |  host  SongUploadFrom | FileRefused
    peer  BulkProgress ...              |  peer  SongUploadChunk ... SongUploadComplete
                                        |  host  BulkProgress ...

Every file gets a FileTransferStart on the control connection, in the order in which it is needed, and is answered there
with one FileReceived. A SongRequest is answered with SongRequestAccepted or SongRequestRejected; after the upload comes
SongRequestAdded, or SongRequestRejected once more.

Whoever lost the connection comes back with the token of its last JoinAccepted and is the same peer again.

Times are session time (the host's monotonic clock) in nanoseconds, positions are frames of the track's own rate. A
PlayCommand for another track that starts no sooner than the current one ends is armed behind it, in the place of what
was armed before; one that says the current line again leaves nothing armed; every other command takes the place of
what was said before. UUIDs are 16 bytes. Strings are UTF-8 and bounded in bytes; whoever receives
one reduces it to what can be shown (model/names.py). SessionInfo and JoinRequest never change, so that two versions can
tell each other that they differ.
"""

from __future__ import annotations

import dataclasses
from typing import Annotated, TypeAlias
from uuid import UUID

from phaselock.model.bounds import FileName, PersonName, Size, Title, Within
from phaselock.model.names import FILE_BYTES, SENTENCE_BYTES
from phaselock.model.queue import MAX_ITEMS, QueueItem
from phaselock.model.timing import Timing

PROTOCOL_VERSION = 2
CHUNK_BYTES = 64 * 1024
MAX_PEERS = 5
MAX_FILE_BYTES = 2 << 30
MAX_DURATION_NS = 60_000_000_000


U32: TypeAlias = Annotated[int, Within(0, 2**32 - 1)]
TimeNs: TypeAlias = Annotated[int, Within(0, 2**62)]
Count: TypeAlias = Annotated[int, Within(0, 2**62)]
DurationNs: TypeAlias = Annotated[int, Within(0, MAX_DURATION_NS)]
SignedNs: TypeAlias = Annotated[int, Within(-(2**62), 2**62)]
Frames: TypeAlias = Annotated[int, Within(0, 2**40)]
RateHz: TypeAlias = Annotated[int, Within(8000, 48000)]
FileBytes: TypeAlias = Annotated[int, Within(1, MAX_FILE_BYTES)]
Offset: TypeAlias = Annotated[int, Within(0, MAX_FILE_BYTES)]
Sha256: TypeAlias = Annotated[bytes, Size(32, 32)]
Token: TypeAlias = Annotated[bytes, Size(16, 16)]
Chunk: TypeAlias = Annotated[bytes, Size(1, CHUNK_BYTES)]
Sentence: TypeAlias = Annotated[str, Size(0, SENTENCE_BYTES)]
DeviceName: TypeAlias = Annotated[str, Size(0, FILE_BYTES)]


@dataclasses.dataclass(frozen=True, slots=True)
class LineState:
    """Ours: the timeline of the current track. With `stop_time_ns` it is paused."""

    file_id: UUID
    rate_hz: RateHz
    position_samples: Frames
    target_time_ns: TimeNs
    stop_time_ns: TimeNs | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class SessionState:
    """What a newcomer must know: the queue, and what is playing or paused (None: nothing). Ours: `then`, what is armed
    behind it."""

    queue: Annotated[tuple[QueueItem, ...], Size(0, MAX_ITEMS)]
    revision: U32
    line: LineState | None = None
    then: LineState | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class SessionInfo:
    """Host to everybody who connects. Ours: `session_id` tells whether it is still the same session."""

    protocol_version: U32
    session_id: Token
    session_name: PersonName
    host_name: PersonName
    peers: Annotated[tuple[PersonName, ...], Size(0, MAX_PEERS)]
    max_peers: Annotated[int, Within(0, MAX_PEERS)]


@dataclasses.dataclass(frozen=True, slots=True)
class JoinRequest:
    """Peer to host, once. Ours: `token` is that of a membership in this session, whose place is taken again."""

    display_name: PersonName
    protocol_version: U32
    token: Token | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class JoinAccepted:
    """Host to peer. Ours: `display_name` is the name the peer goes by here, `token` opens bulk connections."""

    peer_id: U32
    session_state: SessionState
    token: Token
    clock_port: Annotated[int, Within(1, 65535)]
    display_name: PersonName


@dataclasses.dataclass(frozen=True, slots=True)
class JoinRejected:
    """Host to peer; the connection is closed behind it."""

    reason: Sentence


@dataclasses.dataclass(frozen=True, slots=True)
class LeaveSession:
    """Peer to host; the connection is closed behind it."""

    peer_id: U32


@dataclasses.dataclass(frozen=True, slots=True)
class SessionEnd:
    """Host to all. Ours: a reason, when only this peer is sent away."""

    reason: Sentence = ""


@dataclasses.dataclass(frozen=True, slots=True)
class Heartbeat:
    """Both ways, every two seconds."""


@dataclasses.dataclass(frozen=True, slots=True)
class FileTransferStart:
    """Host to peer: this file belongs to the session; get it. Said again, it asks for another try."""

    file_id: UUID
    file_name: FileName
    file_size: FileBytes
    sha256: Sha256
    rate_hz: RateHz
    frames: Frames
    title: Title = ""
    artist: Title = ""


@dataclasses.dataclass(frozen=True, slots=True)
class FileChunk:
    """Host to peer on a bulk connection: bytes of the file, in order, without gaps."""

    file_id: UUID
    offset: Offset
    data: Chunk


@dataclasses.dataclass(frozen=True, slots=True)
class FileReceived:
    """Peer to host: one try is over. `hash_ok` is False for a wrong hash and for a lost connection alike."""

    file_id: UUID
    hash_ok: bool


@dataclasses.dataclass(frozen=True, slots=True)
class FileUnplayable:
    """Ours, peer to host: a received file cannot be decoded here."""

    file_id: UUID
    reason: Sentence


@dataclasses.dataclass(frozen=True, slots=True)
class FileRequest:
    """Ours, peer to host: the first and only message of a peer's bulk connection: send the file from `offset` on."""

    peer_id: U32
    token: Token
    file_id: UUID
    offset: Offset


@dataclasses.dataclass(frozen=True, slots=True)
class FileRefused:
    """Ours, host to peer on a bulk connection: there will be no such file, or it is not wanted (any more)."""

    reason: Sentence


@dataclasses.dataclass(frozen=True, slots=True)
class BulkProgress:
    """Ours, the receiver of a file to its sender: so many bytes of this connection, frames and all, have arrived behind
    SessionInfo. The sender paces itself by it."""

    received_bytes: Count


@dataclasses.dataclass(frozen=True, slots=True)
class SongRequest:
    """Peer to host: may I add this? Ours: the peer chooses the `request_id`."""

    request_id: UUID
    file_name: FileName
    file_size: FileBytes


@dataclasses.dataclass(frozen=True, slots=True)
class SongRequestAccepted:
    """Host to peer: upload it."""

    request_id: UUID


@dataclasses.dataclass(frozen=True, slots=True)
class SongRequestRejected:
    """Host to peer: no, or no longer. Ours: the reason in words; empty when somebody has declined."""

    request_id: UUID
    reason: Sentence = ""


@dataclasses.dataclass(frozen=True, slots=True)
class SongRequestWithdrawn:
    """Ours, peer to host: never mind; the song cannot be uploaded, or is not wanted any more."""

    request_id: UUID
    reason: Sentence = ""


@dataclasses.dataclass(frozen=True, slots=True)
class SongRequestAdded:
    """Ours, host to peer: the uploaded song is in the queue."""

    request_id: UUID


@dataclasses.dataclass(frozen=True, slots=True)
class SongUploadStart:
    """Ours, peer to host: the first message of a bulk connection: here comes an accepted song."""

    peer_id: U32
    token: Token
    request_id: UUID
    sha256: Sha256


@dataclasses.dataclass(frozen=True, slots=True)
class SongUploadFrom:
    """Ours, host to peer on a bulk connection: send the song from `offset` on (what came before is here already)."""

    offset: Offset


@dataclasses.dataclass(frozen=True, slots=True)
class SongUploadChunk:
    """Peer to host: bytes of an accepted song, in order, without gaps."""

    request_id: UUID
    offset: Offset
    data: Chunk


@dataclasses.dataclass(frozen=True, slots=True)
class SongUploadComplete:
    """Peer to host: that was all of it."""

    request_id: UUID
    sha256: Sha256


@dataclasses.dataclass(frozen=True, slots=True)
class PlayCommand:
    """Host to peer: this frame of this track leaves the loudspeaker at `target_time_ns`. Ours: `rate_hz`, since the
    track may be offered later to a peer that nobody waits for."""

    file_id: UUID
    rate_hz: RateHz
    position_samples: Frames
    target_time_ns: TimeNs


@dataclasses.dataclass(frozen=True, slots=True)
class PauseCommand:
    """Host to peer: silence from `target_time_ns` on (ours; at once without it), where `position_samples` is due.

    Ours: `file_id` and `rate_hz`, here and below, say which track is meant, for a command that crosses the end of one
    or comes to somebody to whom it was not offered yet."""

    position_samples: Frames
    target_time_ns: TimeNs | None = None
    file_id: UUID | None = None
    rate_hz: RateHz | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class ResumeCommand:
    """Host to peer: go on from this frame at this time."""

    position_samples: Frames
    target_time_ns: TimeNs
    file_id: UUID | None = None
    rate_hz: RateHz | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class StopCommand:
    """Host to peer: silence from `target_time_ns` on (ours; at once without it), and nothing is playing any more."""

    target_time_ns: TimeNs | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class SeekCommand:
    """Host to peer: this frame of the current track at this time; a paused track stays paused there."""

    position_samples: Frames
    target_time_ns: TimeNs
    file_id: UUID | None = None
    rate_hz: RateHz | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class QueueUpdate:
    """Host to all: the whole queue, after every change of it."""

    queue: Annotated[tuple[QueueItem, ...], Size(0, MAX_ITEMS)]
    revision: U32


@dataclasses.dataclass(frozen=True, slots=True)
class PeerStatus:
    """Ours, peer to host: how well it keeps time; every second, more often at first, at once when its output changes.

    Without an open output device `device_name` is None. `timing` is what the output knows of its delay,
    `dac_deviation_ns` how far its output clock has settled, and `dac_uncertainty_ns` the uncertainty of the moment at
    which a frame leaves the loudspeaker (None: not known). `rtt_ns` is the recent worst round trip; `room_bytes` is how
    many bytes of tracks it can keep."""

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


Message: TypeAlias = (
    SessionInfo
    | JoinRequest
    | JoinAccepted
    | JoinRejected
    | LeaveSession
    | SessionEnd
    | Heartbeat
    | FileTransferStart
    | FileChunk
    | FileReceived
    | FileUnplayable
    | FileRequest
    | FileRefused
    | BulkProgress
    | SongRequest
    | SongRequestAccepted
    | SongRequestRejected
    | SongRequestWithdrawn
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
    | QueueUpdate
    | PeerStatus
)

TYPE_OF: dict[type[Message], int] = {
    SessionInfo: 1,
    JoinRequest: 2,
    JoinAccepted: 3,
    JoinRejected: 4,
    LeaveSession: 5,
    SessionEnd: 6,
    Heartbeat: 7,
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
    PlayCommand: 48,
    PauseCommand: 49,
    ResumeCommand: 50,
    StopCommand: 51,
    SeekCommand: 52,
    QueueUpdate: 53,
    PeerStatus: 64,
}
"""The type byte of each message. A number is never given to another message."""
