"""Commands of users to a session. The runner makes them from lines of standard input and from clicks."""

from __future__ import annotations

import dataclasses
from uuid import UUID

from phaselock.frozen import frozen
from phaselock.language.message import Message
from phaselock.model.invitation import Candidate, Invitation, Nat
from phaselock.model.party import PartyRules
from phaselock.model.role import Role
from phaselock.model.transitions import Transitions
from phaselock.model.types import Track


@frozen
class Add:
    """Append a track to the queue and send it to all peers. The file was inspected and hashed before."""

    track: Track
    fallback: bool = False
    """It is a song of the fallback: it plays after all other songs that wait."""


@frozen
class Move:
    """Move a track to place `to` of the queue (0 is the first)."""

    file_id: UUID
    to: int


@frozen
class Remove:
    """Remove a track from the queue. If it is playing, it plays to its end."""

    file_id: UUID


@frozen
class Restore:
    """Undo the removal of a track."""

    file_id: UUID


@frozen
class Arrange:
    """Sort the queue into this order. Tracks that it does not contain follow at the end."""

    file_ids: tuple[UUID, ...]


@frozen
class Shuffle:
    """Switch on or off: the tracks after the current one play in a random order.

    `seed`, a random number, chooses the order, and the places of tracks that are added later. None: off; the tracks
    after the current one return to the order in which they were before."""

    seed: int | None


@frozen
class Repeat:
    """Switch on or off: after the last track, start again with the first one."""

    on: bool


@frozen
class SetLoudness:
    """Play all songs equally loud, at this loudness; None: each as it is."""

    target_lufs: float | None


@frozen
class ChangeCode:
    """From now on, who wants to join must know this code; empty: everybody may join. Members stay."""

    code: str = dataclasses.field(repr=False)


@frozen
class Invite:
    """Open an invitation for friends elsewhere with this code, which is in its normal form. One that is open is told
    again, with the code that it has."""

    code: str = dataclasses.field(repr=False)


@frozen
class WithdrawInvitation:
    """The code of the invitation is void from now on. Members stay."""


@frozen
class InvitationPlaces:
    """From the program, not from a user: where the outside port can be reached now."""

    candidates: tuple[Candidate, ...]
    """The best first."""
    nat: Nat = Nat.UNKNOWN
    problem: str = ""
    """A code of the mapper: why the router opens no port; empty: it does."""
    reachable: bool = False
    """At least one candidate can be reached from the internet, as far as it is known."""
    port: int = 0
    """The outside port of this machine, TCP."""
    node: str = ""
    """This machine's id in the network of relays; empty: it uses none."""
    relays: Message | None = None
    """Whose relays lead to `node`; None: none do."""
    extra: str = ""
    """The command that installs the extra for ways over relays, where only that is missing; empty: nothing is."""
    overlays: tuple[str, ...] = ()
    """The names of the overlay networks in which a candidate is."""
    given: str = ""
    """The address of which the user says that it leads to this machine; empty: none."""


@frozen
class SetTransitions:
    """Let the songs follow each other like this from now on."""

    transitions: Transitions


@frozen
class Play:
    """Start this track. None: resume the paused track, or start the track at the cursor from its beginning."""

    file_id: UUID | None = None


@frozen
class Pause:
    """Silence all machines at one instant and keep the position."""


@frozen
class Resume:
    """Continue at the position of the pause."""


@frozen
class Stop:
    """Silence all machines at one instant. The next `Play` starts the track from its beginning."""


@frozen
class Seek:
    """Go to a position in the current track, in seconds from its beginning. A paused track stays paused."""

    seconds: float


@frozen
class Next:
    """Change to the next track, as soon as all peers that playback waits for have it."""


@frozen
class Previous:
    """Return to the beginning of the current track; within its first seconds, change to the track before it."""


@frozen
class Autoplay:
    """Start without `Play`, as soon as `wait_peers` peers have the first file and a settled clock."""

    wait_peers: int


@frozen
class DropPeer:
    """Remove a peer from the session. It does not come back until `AllowPeer`."""

    name: str


@frozen
class AllowPeer:
    """Let a peer that was removed join again."""

    name: str


@frozen
class Retry:
    """Offer a peer (None: all peers) again the files whose transfers were given up, and wait for it again."""

    name: str | None


@frozen
class Without:
    """Play tracks that this peer does not have. Its files are still sent."""

    name: str


@frozen
class SetPeerVolume:
    """Set the volume of a peer's output, in percent from 0 to 100, or mute it. None keeps the present value."""

    name: str
    volume_percent: int | None = None
    muted: bool | None = None


@frozen
class Calibrate:
    """Hear all loudspeakers with a microphone and correct their delays. `listener` is the name of the peer whose
    microphone listens; None: the host's. What plays is paused meanwhile. Every other playback command ends it.

    Afterwards all machines are heard together at the microphone. With `distances_m`, they play together at the
    loudspeakers: names of machines, and how far the loudspeaker of each is from the microphone, in metres. With
    `walk`, they play together at the loudspeakers too. The user carries the microphone from one to the next, and says
    `CalibrateNext` at each."""

    listener: str | None = None
    distances_m: tuple[tuple[str, float], ...] | None = None
    walk: bool = False


@frozen
class CalibrateNext:
    """The microphone is now beside the loudspeaker that a calibration waits for: go on."""


@frozen
class Check:
    """Hear with a microphone how far apart the loudspeakers are while music plays. They play in turns meanwhile.
    `listener` is the name of the peer whose microphone listens; None: the host's. Nothing is corrected."""

    listener: str | None = None


@frozen
class StopCheck:
    """End a check that runs."""


@frozen
class StopCalibration:
    """End a calibration that runs. Its corrections are undone."""


@frozen
class EvenLevels:
    """Trim the machines that the last calibration has heard, so that all are heard as loud as the quietest one."""


@frozen
class UndoLevels:
    """Give the machines back the trims that they had before `EvenLevels`."""


@frozen
class ResetLevels:
    """Forget the trims of all machines."""


@frozen
class SetPeerRole:
    """Set which channels a peer plays."""

    name: str
    role: Role


@frozen
class Accept:
    """Accept a request: the peer uploads the song, then the host adds it."""

    request_id: UUID


@frozen
class Reject:
    """Reject a request, also during its upload."""

    request_id: UUID


@frozen
class SetRules:
    """Take and order the songs that people ask for by these rules from now on."""

    rules: PartyRules


@frozen
class RemoveGuest:
    """Remove a guest. It does not come back until `AllowGuest`. Its songs stay."""

    guest_id: bytes


@frozen
class AllowGuest:
    """Let the guests of this name that were removed come in again."""

    name: str


@frozen
class UseFallback:
    """Switch on or off: the session wants a song of the fallback (`WantFallback`) when nothing waits."""

    on: bool


@frozen
class VoteFor:
    """Vote for a song that waits (`wanted`), or take the vote back."""

    file_id: UUID
    wanted: bool


@frozen
class WantSkip:
    """Vote for leaving the song that plays (`wanted`), or take the vote back."""

    file_id: UUID
    wanted: bool


@frozen
class Say:
    """Host and peer: write a message to all. A `chat` event follows, or an `error` event says why it is not told."""

    text: str


@frozen
class HandOver:
    """Make another machine the host: the one of this name, or the first in line (None). An `error` event says why that
    is not possible."""

    name: str | None
    stay: bool = True
    """This machine stays as a peer; otherwise it leaves."""


@frozen
class Leave:
    """Leave the session, and end. At the host: the first in line that answers becomes the host; without one, the
    session ends for all machines."""


@frozen
class Quit:
    """End the session for all machines."""


CommonCommand = VoteFor | WantSkip | Say
"""Commands of the users of hosts and peers."""
PlaybackCommand = Play | Pause | Resume | Stop | Seek | Next | Previous
"""Commands that change what the loudspeakers play. They end a calibration."""
HostCommand = (
    Add
    | Move
    | Remove
    | Restore
    | Arrange
    | Shuffle
    | Repeat
    | SetLoudness
    | ChangeCode
    | Invite
    | WithdrawInvitation
    | InvitationPlaces
    | SetTransitions
    | PlaybackCommand
    | Autoplay
    | DropPeer
    | AllowPeer
    | Retry
    | Without
    | SetPeerVolume
    | Calibrate
    | CalibrateNext
    | StopCalibration
    | EvenLevels
    | UndoLevels
    | ResetLevels
    | Check
    | StopCheck
    | SetPeerRole
    | Accept
    | Reject
    | SetRules
    | RemoveGuest
    | AllowGuest
    | UseFallback
    | CommonCommand
    | HandOver
    | Leave
    | Quit
)


@frozen
class PermitMicrophone:
    """Let the host listen by this machine's microphone until the session ends, or forbid it."""

    permitted: bool


@frozen
class AnswerMicrophone:
    """Answer the host, which has asked whether it may listen once."""

    allowed: bool


@frozen
class Request:
    """Ask the host to add a song that is in this machine's cache.

    `request_id` must not have been used before. `size` is in bytes.
    """

    request_id: UUID
    file_name: str
    size: int
    sha256: bytes
    title: str = ""
    artist: str = ""
    duration_secs: float = 0.0


@frozen
class ReturnBy:
    """Look for the lost host at the places of a newer invitation to the same session."""

    invitation: Invitation


PeerCommand = Request | PermitMicrophone | AnswerMicrophone | CommonCommand | ReturnBy | Leave
