"""The seat of this machine in a session: what it knows of its membership and of its host."""

from __future__ import annotations

import dataclasses

from phaselock.model.heritage import Cause
from phaselock.session.states import PeerSide


@dataclasses.dataclass(slots=True)
class Seat:
    """What several parts of the session know of it. Times are local ones."""

    display_name: str
    session_id: bytes
    """Of the host's session; before it is known: the beginning of it, or empty."""
    announced_key: bytes
    """The beginning of the key that was announced for the host; empty: any key."""
    side: PeerSide = PeerSide.OFFLINE
    session_name: str = ""
    host_name: str = ""
    host_key: bytes = b""
    """SHA-256 of the host's certificate; empty before the first connection."""
    peer_id: int = 0
    token: bytes = dataclasses.field(default=b"", repr=False)
    """From the last JoinAccepted; empty before the first one."""
    moved: Cause | None = None
    """The host is another one since the last JoinAccepted, for this reason."""
    joined_at_ns: int = 0
    heard_at_ns: int = 0
    """When the last message of the host arrived."""
    heartbeat_at_ns: int = 0
    """When the next message must be sent to the host."""

    @property
    def alive(self) -> bool:
        """The session has begun, and is not over."""
        return self.side not in (PeerSide.OFFLINE, PeerSide.OVER)

    @property
    def connected(self) -> bool:
        """The host has accepted this machine, and is not lost."""
        return self.side is PeerSide.JOINED

    @property
    def access(self) -> tuple[int, bytes]:
        """The number and the token of this machine."""
        return self.peer_id, self.token
