"""The states of a connection, and the messages that each state accepts.

Any other message breaks the protocol: the receiver closes the connection with a reason. Other peers are not affected.

    host's side                                         peer's side
    unauthenticated --JoinRequest--> MEMBER             GREETING --SessionInfo--> JOINING --JoinAccepted--> JOINED

The host forgets a connection after LeaveSession, after a breach of the protocol, or if it is silent for too long.

A peer is AWAY if it was JOINED and has lost its host without a SessionEnd. It continues to play and tries to reconnect.
A new connection passes through GREETING and JOINING again. The peer is then JOINED as the same peer; see
peer/absence.py.

A peer is OVER if its session has ended in any other way, or if it has given up its host. It then ignores all input.
"""

from __future__ import annotations

import enum

from phaselock.language import message as text
from phaselock.model.notices import Code, Notice
from phaselock.protocol import messages as m
from phaselock.protocol.messages import Message

HEARTBEAT_NS = 2_000_000_000
"""Interval between two heartbeats."""
DEAD_NS = 5_000_000_000
"""A connection without messages for this time is closed: two heartbeats may be lost or late."""
CLOCK_SILENT_NS = 3_500_000_000
"""If the host's clock is not heard for this time while the connection works, the users of both machines are told."""
MAX_LEAD_NS = 1_500_000_000
"""Longest time between a command and its effect that one peer may demand, for its network and its output together."""
HOLD_NS = 60_000_000_000
"""Minimum time that a peer without a host plays on and tries to reconnect. It continues to the end of the track if
that is later. The host reserves the place of a silent peer for the same time."""
HOLD_OUTSIDE_NS = 300_000_000_000
"""The same for a peer that came in from elsewhere: a router takes minutes to restart."""
HANDSHAKE_NS = 5_000_000_000
"""Time limit for the JoinRequest of a new connection."""
ASLEEP_NS = 3_000_000_000
"""If a session was not called for this time, its computer was suspended: heartbeats call it every 2 s. It then restarts
its timeouts, because it could not receive messages."""
UNKNOWN_UNCERTAINTY_NS = 3_600_000_000_000
"""One hour: the value in a `PeerStatus` for an unknown uncertainty. Larger values are sent as this one."""


class PeerSide(enum.Enum):
    """State of a peer and its control connection."""

    OFFLINE = "offline"
    GREETING = "greeting"
    JOINING = "joining"
    JOINED = "joined"
    AWAY = "away"
    OVER = "over"


HOST_ACCEPTS: frozenset[type[Message]] = frozenset(
    {
        m.Heartbeat,
        m.LeaveSession,
        m.FileReceived,
        m.FileUnplayable,
        m.HeardReport,
        m.MicrophoneAnswer,
        m.PeerStatus,
        m.SongRequest,
        m.SongRequestWithdrawn,
        m.ChatSay,
        m.SongVote,
        m.SkipVote,
        m.CallBackAt,
        m.PiecesAt,
        m.PiecesEnded,
        m.StandingBy,
        m.TookOver,
        m.OtherPart,
        m.SongBequest,
        m.SongsFound,
    }
)
"""The messages that the host accepts from a MEMBER. From an unauthenticated connection it accepts JoinRequest and
HostSeek only."""

PEER_ACCEPTS: dict[PeerSide, frozenset[type[Message]]] = {
    PeerSide.OFFLINE: frozenset(),
    PeerSide.GREETING: frozenset({m.SessionInfo}),
    PeerSide.JOINING: frozenset({m.SessionInfo, m.JoinAccepted, m.JoinRejected, m.CodeNeeded}),
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
            m.VolumeCommand,
            m.SweepCommand,
            m.SweepEnd,
            m.ListenCommand,
            m.MicrophoneRequest,
            m.CalibrationCommand,
            m.TrimCommand,
            m.CalibrationConfirmed,
            m.QuietCommand,
            m.ListenToSongCommand,
            m.RoleCommand,
            m.TrackGains,
            m.QueueUpdate,
            m.QueueChange,
            m.RulesUpdate,
            m.VotesUpdate,
            m.YourVotes,
            m.SongRequestAccepted,
            m.SongRequestRejected,
            m.SongRequestConverting,
            m.SongRequestAdded,
            m.ChatSaid,
            m.ChatHistory,
            m.ChatRefused,
            m.HostPlaces,
            m.PiecesKey,
            m.PieceSource,
            m.PieceTasks,
            m.StandBy,
            m.SuccessionLine,
            m.HeritageUpdate,
            m.HostMoved,
            m.SongsSought,
        }
    ),
    PeerSide.AWAY: frozenset(),
    PeerSide.OVER: frozenset(),
}


def other_version(host_version: int, peer_version: int) -> Notice:
    """The reason for the peer's user if host and peer have different protocol versions. A peer that does not tell its
    version has the version 0."""
    if not peer_version:
        return Notice(Code.OTHER_VERSION)
    versions = text.Message("The host speaks {host}, this machine {peer}.", host=host_version, peer=peer_version)
    return Notice(Code.OTHER_VERSION, versions)


def wire_uncertainty_ns(uncertainty_ns: int | None) -> int:
    """Convert an uncertainty (None: unknown) to its value in a `PeerStatus`."""
    return UNKNOWN_UNCERTAINTY_NS if uncertainty_ns is None else max(0, min(uncertainty_ns, UNKNOWN_UNCERTAINTY_NS))


def uncertainty_from_wire_ns(uncertainty_ns: int | None) -> int | None:
    """Convert the value in a `PeerStatus` to an uncertainty. None: unknown."""
    return None if uncertainty_ns is None or uncertainty_ns >= UNKNOWN_UNCERTAINTY_NS else uncertainty_ns


def needs_too_long(output_latency_ns: int, rtt_ns: int) -> bool:
    """A machine with these values cannot execute a command within MAX_LEAD_NS. The others do not wait for it."""
    return output_latency_ns + rtt_ns > MAX_LEAD_NS
