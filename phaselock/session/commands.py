"""What people ask of a session. The runner turns lines of standard input and clicks into these."""

from __future__ import annotations

import dataclasses

from phaselock.model.types import Track


@dataclasses.dataclass(frozen=True, slots=True)
class Add:
    """Append a track (inspected and hashed already) to the queue and send it to everybody."""

    track: Track


@dataclasses.dataclass(frozen=True, slots=True)
class Play:
    """Start the track at the cursor from its beginning, or go on with a paused one."""


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
    """Leave the current track for the next one."""


@dataclasses.dataclass(frozen=True, slots=True)
class Autoplay:
    """Play by itself as soon as so many peers have the first file and a settled clock."""

    wait_peers: int


@dataclasses.dataclass(frozen=True, slots=True)
class DropPeer:
    """Send a peer away."""

    name: str


@dataclasses.dataclass(frozen=True, slots=True)
class Quit:
    """End the session for everybody."""


HostCommand = Add | Play | Pause | Resume | Stop | Seek | Next | Autoplay | DropPeer | Quit


@dataclasses.dataclass(frozen=True, slots=True)
class Leave:
    """Leave the session politely."""


PeerCommand = Leave
