"""What the machines want done. The runner executes effects in the order of the list; they are values and do nothing
themselves."""

from __future__ import annotations

import dataclasses
from uuid import UUID

from phaselock.model.notices import Notice
from phaselock.model.timeline import Timeline
from phaselock.model.types import Track
from phaselock.protocol.messages import Message
from phaselock.session.events import Event

HOST_CONN = 0
"""The peer machine's one connection, in its `Send` and `Close`."""


@dataclasses.dataclass(frozen=True, slots=True)
class Send:
    """Send a message on a control connection."""

    conn: int
    message: Message


@dataclasses.dataclass(frozen=True, slots=True)
class Broadcast:
    """Host: send one message on several control connections, in this order. It is encoded once."""

    conns: tuple[int, ...]
    message: Message


@dataclasses.dataclass(frozen=True, slots=True)
class Close:
    """Close a control connection after what was sent on it has left (or a second at most). The machine has forgotten it
    already; `reason` is for the log."""

    conn: int
    reason: str


@dataclasses.dataclass(frozen=True, slots=True)
class Follow:
    """Follow this line from now on (None: silence); `then` is armed behind it. Files of both are on this machine."""

    timeline: Timeline | None
    then: Timeline | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class AllowClock:
    """Host: the peer on this connection has joined: answer clock pings from its address, and allow it whole frames."""

    peer_id: int
    conn: int


@dataclasses.dataclass(frozen=True, slots=True)
class ForbidClock:
    """Host: the peer is gone: answer no more pings of it, and stop serving it files."""

    peer_id: int


@dataclasses.dataclass(frozen=True, slots=True)
class Connect:
    """Peer: open a new control connection to the host, giving up whatever there was of an old one, then call
    `connected` or `connect_failed`."""


@dataclasses.dataclass(frozen=True, slots=True)
class StartClock:
    """Peer: measure the host's clock on this UDP port, as this peer; what is measured so already goes on."""

    peer_id: int
    clock_port: int


@dataclasses.dataclass(frozen=True, slots=True)
class StopClock:
    """Peer: stop measuring."""


@dataclasses.dataclass(frozen=True, slots=True)
class Fetch:
    """Peer: get this file, from the cache or over a bulk connection opened with these credentials, then call
    `file_ready` or `file_failed`."""

    track: Track
    peer_id: int
    token: bytes


@dataclasses.dataclass(frozen=True, slots=True)
class CancelFetch:
    """Peer: the file is wanted no more."""

    file_id: UUID


@dataclasses.dataclass(frozen=True, slots=True)
class Upload:
    """Peer: send this song from the cache to the host over a bulk connection opened with these credentials, then call
    `upload_ended`."""

    request_id: UUID
    sha256: bytes
    size: int
    peer_id: int
    token: bytes


@dataclasses.dataclass(frozen=True, slots=True)
class CancelUpload:
    """Peer: the song is wanted no more."""

    request_id: UUID


@dataclasses.dataclass(frozen=True, slots=True)
class Keep:
    """Peer: the files that are needed now or soon, by content; others may make room for new ones."""

    hashes: frozenset[bytes]


@dataclasses.dataclass(frozen=True, slots=True)
class Notify:
    """Tell the people at this machine."""

    event: Event


@dataclasses.dataclass(frozen=True, slots=True)
class Ended:
    """The session is over for this process: always the last effect. `failed`: exit status 1 with the sentence of
    `reason` on standard error."""

    reason: Notice
    failed: bool


Effect = (
    Send
    | Broadcast
    | Close
    | Follow
    | AllowClock
    | ForbidClock
    | Connect
    | StartClock
    | StopClock
    | Fetch
    | CancelFetch
    | Upload
    | CancelUpload
    | Keep
    | Notify
    | Ended
)
