"""What a host's session is called, and how it introduces itself to machines that have not joined."""

from __future__ import annotations

from phaselock.frozen import frozen
from phaselock.protocol import messages as m


@frozen
class About:
    """A session, from its begin to its end."""

    session_id: bytes
    """16 random bytes that identify this session among sessions of the same name."""
    session_name: str
    host_name: str
    max_peers: int
    """How many peers may join."""
    clock_port: int
    """UDP, at which the host answers questions for its clock."""
    host_key: bytes
    """SHA-256 of the certificate with which the host encrypts."""

    def greeting(self, names: tuple[str, ...]) -> m.SessionInfo:
        """With the names of the session, the host and these members."""
        about = self.session_name, self.host_name, names, self.max_peers
        return m.SessionInfo(m.PROTOCOL_VERSION, self.session_id, *about)

    def nameless_greeting(self) -> m.SessionInfo:
        """Without names, for unknown machines."""
        return m.SessionInfo(m.PROTOCOL_VERSION, self.session_id, "", "", (), self.max_peers)
