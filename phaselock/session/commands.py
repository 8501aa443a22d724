"""What people ask of a session. The runner turns lines of standard input and clicks into these."""

from __future__ import annotations

import dataclasses
from uuid import UUID

from phaselock.model.types import Track


@dataclasses.dataclass(frozen=True, slots=True)
class Add:
    """Append a track (inspected and hashed already) to the queue and send it to everybody."""

    track: Track


@dataclasses.dataclass(frozen=True, slots=True)
class Move:
    """Put a track at another place of the queue (0 is the first)."""

    file_id: UUID
    to: int


@dataclasses.dataclass(frozen=True, slots=True)
class Remove:
    """Take a track out of the queue; the one that plays goes on to its end."""

    file_id: UUID


@dataclasses.dataclass(frozen=True, slots=True)
class Restore:
    """Undo the removal of a track."""

    file_id: UUID


@dataclasses.dataclass(frozen=True, slots=True)
class Arrange:
    """Put the tracks in this order; those that are not named follow behind."""

    file_ids: tuple[UUID, ...]


@dataclasses.dataclass(frozen=True, slots=True)
class Repeat:
    """Begin again with the first track after the last one, or no longer."""

    on: bool


@dataclasses.dataclass(frozen=True, slots=True)
class Play:
    """Start this track; without one, go on with a paused one or start the track at the cursor from its beginning."""

    file_id: UUID | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class Pause:
    """Stop all machines at one instant, and remember where."""


@dataclasses.dataclass(frozen=True, slots=True)
class Resume:
    """Go on where the pause was."""


@dataclasses.dataclass(frozen=True, slots=True)
class Stop:
    """Stop all machines at one instant; the next `Play` starts the track from its beginning."""


@dataclasses.dataclass(frozen=True, slots=True)
class Seek:
    """Go to a place in the current track, counted from its beginning; a paused track stays paused there."""

    seconds: float


@dataclasses.dataclass(frozen=True, slots=True)
class Next:
    """Leave the current track for the next one, as soon as everybody has it."""


@dataclasses.dataclass(frozen=True, slots=True)
class Previous:
    """Back to the beginning of the current track or, within its first seconds, to the track before it."""


@dataclasses.dataclass(frozen=True, slots=True)
class Autoplay:
    """Play by itself as soon as so many peers have the first file and a settled clock."""

    wait_peers: int


@dataclasses.dataclass(frozen=True, slots=True)
class DropPeer:
    """Send a peer away."""

    name: str


@dataclasses.dataclass(frozen=True, slots=True)
class Retry:
    """Send a peer (None: everybody) once more what was given up, and wait for it."""

    name: str | None


@dataclasses.dataclass(frozen=True, slots=True)
class Without:
    """Go on without a peer: play what it has not got. It still gets its files."""

    name: str


@dataclasses.dataclass(frozen=True, slots=True)
class Accept:
    """Have a requested song uploaded and added."""

    request_id: UUID


@dataclasses.dataclass(frozen=True, slots=True)
class Reject:
    """Decline a request."""

    request_id: UUID


@dataclasses.dataclass(frozen=True, slots=True)
class Quit:
    """End the session for everybody."""


HostCommand = (
    Add
    | Move
    | Remove
    | Restore
    | Arrange
    | Repeat
    | Play
    | Pause
    | Resume
    | Stop
    | Seek
    | Next
    | Previous
    | Autoplay
    | DropPeer
    | Retry
    | Without
    | Accept
    | Reject
    | Quit
)


@dataclasses.dataclass(frozen=True, slots=True)
class Request:
    """Ask the host to add a song that is in this machine's cache. `request_id` is new."""

    request_id: UUID
    file_name: str
    size: int
    sha256: bytes


@dataclasses.dataclass(frozen=True, slots=True)
class Leave:
    """Leave the session politely."""


PeerCommand = Request | Leave
