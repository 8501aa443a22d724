"""Which messages belong to which state of a connection. Everything that is not listed is a breach of protocol: the
connection is closed with a reason, and nobody else notices.

    host's side                                         peer's side
    STRANGER --JoinRequest--> MEMBER                    GREETING --SessionInfo--> JOINING --JoinAccepted--> JOINED

A connection of the host leaves its state by LeaveSession, by a breach or by silence, and then is unknown to the
machine. A peer that was JOINED and loses its host without a word is AWAY: it plays on by itself and goes through
GREETING and JOINING again and again until it is JOINED once more, as the same peer, or gives up. Every other end of a
peer's connection, and a host that nobody answers for, is OVER: its machine answers nothing any more.
"""

from __future__ import annotations

import enum

from phaselock.model.notices import Code, Notice
from phaselock.protocol import messages as m
from phaselock.protocol.messages import Message

HEARTBEAT_NS = 2_000_000_000
DEAD_NS = 5_000_000_000
"""So long a silence ends a connection."""
HOLD_NS = 60_000_000_000
"""So long at least a peer plays on and looks for its host again; to the end of the track if that is later."""
HANDSHAKE_NS = 5_000_000_000
"""So long may a stranger take to ask to join."""
ASLEEP_NS = 3_000_000_000
"""A machine that was not called for so long was itself asleep and may blame nobody for silence (heartbeats call it)."""
UNKNOWN_UNCERTAINTY_NS = 3_600_000_000_000
"""An hour: how a `PeerStatus` says that a clock is not known. Everything above it is told as this."""


class HostSide(enum.Enum):
    """A connection as the host sees it."""

    STRANGER = "stranger"
    MEMBER = "member"


class PeerSide(enum.Enum):
    """A peer's one connection."""

    OFFLINE = "offline"
    GREETING = "greeting"
    JOINING = "joining"
    JOINED = "joined"
    AWAY = "away"
    OVER = "over"


HOST_ACCEPTS: dict[HostSide, frozenset[type[Message]]] = {
    HostSide.STRANGER: frozenset({m.JoinRequest}),
    HostSide.MEMBER: frozenset(
        {
            m.Heartbeat,
            m.LeaveSession,
            m.FileReceived,
            m.FileUnplayable,
            m.PeerStatus,
            m.SongRequest,
            m.SongRequestWithdrawn,
        }
    ),
}

PEER_ACCEPTS: dict[PeerSide, frozenset[type[Message]]] = {
    PeerSide.OFFLINE: frozenset(),
    PeerSide.GREETING: frozenset({m.SessionInfo}),
    PeerSide.JOINING: frozenset({m.JoinAccepted, m.JoinRejected}),
    PeerSide.JOINED: frozenset(
        {
            m.Heartbeat,
            m.SessionEnd,
            m.FileTransferStart,
            m.PlayCommand,
            m.PauseCommand,
            m.ResumeCommand,
            m.StopCommand,
            m.SeekCommand,
            m.QueueUpdate,
            m.SongRequestAccepted,
            m.SongRequestRejected,
            m.SongRequestAdded,
        }
    ),
    PeerSide.AWAY: frozenset(),
    PeerSide.OVER: frozenset(),
}


def other_version(host_version: int, peer_version: int) -> Notice:
    """Why a peer of another protocol version cannot join, as the peer is told."""
    return Notice(Code.OTHER_VERSION, f"The host speaks {host_version}, this machine {peer_version}.")


def wire_uncertainty_ns(uncertainty_ns: int | None) -> int:
    """An uncertainty as a `PeerStatus` carries it."""
    return UNKNOWN_UNCERTAINTY_NS if uncertainty_ns is None else max(0, min(uncertainty_ns, UNKNOWN_UNCERTAINTY_NS))


def uncertainty_from_wire_ns(uncertainty_ns: int | None) -> int | None:
    """The same read from a `PeerStatus`; None: not known."""
    return None if uncertainty_ns is None or uncertainty_ns >= UNKNOWN_UNCERTAINTY_NS else uncertainty_ns
