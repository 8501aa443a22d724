"""A consistent copy of the state of a session, for the window and for the commands `peers`, `queue`, `requests` and
`status`."""

from __future__ import annotations

import dataclasses
import enum
from typing import Annotated
from uuid import UUID

from phaselock.frozen import frozen
from phaselock.language.message import Message
from phaselock.model.bounds import ChatText, PersonName, Within
from phaselock.model.calibration import Confirmation
from phaselock.model.invitation import InvitationState, Nat
from phaselock.model.party import I_CHOOSE, PartyRules
from phaselock.model.queue import QueueItem
from phaselock.model.role import Role
from phaselock.model.sweeps import Verdict
from phaselock.model.timeline import Timeline
from phaselock.model.timing import Timing
from phaselock.model.transitions import PLAIN, Transitions

MIN_YELLOW_NS = 10_000_000
"""Smallest one-way latency of a yellow peer; below it the peer is green."""
MAX_YELLOW_NS = 100_000_000
"""Largest one-way latency of a yellow peer; above it the peer is red."""
MAX_CHAT_LINES = 50
"""The newest messages to all that are kept."""


class LatencyClass(enum.StrEnum):
    """Class of a peer by its latency, one way: below 10 ms, up to 100 ms, more (or its clock is not usable)."""

    GREEN = "green"
    YELLOW = "yellow"
    RED = "red"


class FileState(enum.StrEnum):
    """State of a file that was offered to a peer, if the peer cannot play it (yet)."""

    SENDING = "sending"
    FAILED = "failed"
    """Three attempts have failed. The host's user can ask for more."""
    UNPLAYABLE = "unplayable"
    """The peer has it but cannot decode it."""


@frozen
class FileView:
    """A track of the queue in such a state at one peer."""

    file_id: UUID
    state: FileState
    done_bytes: int
    size: int
    """In bytes."""


@frozen
class PeerView:
    """A peer as the host knows it from the peer's reports (zeros before the first one)."""

    peer_id: int
    name: str
    ready: bool
    """It has every file of the queue."""
    have: frozenset[UUID]
    """The tracks that it has."""
    files: tuple[FileView, ...]
    files_total: int
    """Number of tracks in the queue."""
    waited_for: bool
    """Playing waits until it has the file."""
    stuck: frozenset[UUID]
    """Tracks that it does not have, and that start without it."""
    reported: bool
    """At least one report has arrived, so the values below are valid."""
    clock_usable: bool
    clock_stale: bool
    rtt_ns: int
    phase_error_ns: int
    offset_uncertainty_ns: int | None
    """None while its clock is not known."""
    dac_uncertainty_ns: int | None
    timing: Timing
    drift_ppb: int
    output_latency_ns: int
    device_name: str | None
    underruns: int
    volume_percent: int | None
    """Volume of its output, 0 to 100, also while it is muted; None before the first report."""
    muted: bool
    role: Role | None
    """The channels that it plays; None before the first report."""
    confirmed: Confirmation | None = None
    """What a microphone has heard of it, if that is still true."""
    microphone: bool = False
    """The host may listen by its microphone without a question."""
    far: bool = False
    """It is in no room with the host: its least round trip is too long for that."""
    away_ns: int = 0
    """Half of the least round trip of about the last minute; 0: unknown."""

    @property
    def latency_ns(self) -> int:
        """Latency one way: half of the round trip."""
        return self.rtt_ns // 2

    @property
    def latency_class(self) -> LatencyClass:
        """The colour of the peer's dot."""
        if not self.clock_usable or self.latency_ns > MAX_YELLOW_NS:
            return LatencyClass.RED
        return LatencyClass.YELLOW if self.latency_ns >= MIN_YELLOW_NS else LatencyClass.GREEN


class RequestState(enum.StrEnum):
    """The state of a peer's request to add a song."""

    OPEN = "open"
    """The host's user has not decided."""
    ACCEPTED = "accepted"
    """Its upload to the host is going on."""
    CONVERTING = "converting"
    """It has arrived at the host, which converts it to a kind of music that PhaseLock plays."""
    ADDED = "added"
    REJECTED = "rejected"
    FAILED = "failed"


@frozen
class RequestView:
    """A request to add a song. Users refer to it by `number`."""

    request_id: UUID
    number: int
    peer_name: str
    file_name: str
    size: int
    """In bytes."""
    state: RequestState
    done_bytes: int
    reason: str
    """Why it was rejected or failed; otherwise empty."""
    title: str = ""
    artist: str = ""
    duration_secs: float = 0.0
    """0: not known."""
    converted_percent: int | None = None
    """How much of it is converted; None if it needs no conversion or has not arrived."""
    guest_id: bytes = b""
    """Host: the guest who asks; empty: a peer."""


@frozen
class CalibrationWait:
    """The user must put the microphone of the listening machine beside a loudspeaker, and then go on."""

    beside: str
    """The name of the machine whose loudspeaker it is."""
    carried: bool
    """The listening machine plays too: it must be carried as a whole."""
    unheard: str | None
    """The machine that was not heard there; None: it is the first try."""
    verdict: Verdict | None
    """Why."""


@frozen
class CalibrationView:
    """A calibration of all loudspeakers by a microphone, which runs."""

    listener: str
    """The name of the machine whose microphone listens."""
    checking: bool
    """It measures what the correction has left."""
    begin_session_ns: int
    """Begin of the present pass."""
    length_ns: int
    """Of the present pass, to the end of its last sound."""
    turns: tuple[tuple[int, str], ...]
    """When each machine plays, after the begin of the pass, and its name; in order of time."""
    step: int = 1
    """Number of the present place of the microphone, from 1."""
    steps: int = 1
    """Number of places."""
    wait: CalibrationWait | None = None
    """None: nothing is asked of the user."""
    asking: bool = False
    """The listener's user has not allowed the microphone yet. Nothing plays; begin and length are 0."""


@frozen
class MicrophoneView:
    """Peer: the microphone of this machine."""

    permitted: bool
    """The host may listen by it until the session ends."""
    asked: bool
    """The host waits for the user's answer whether it may listen once."""
    listening: bool
    """The host listens by it now."""


@frozen
class LevelView:
    """How loud one machine was heard in the last calibration."""

    name: str
    """Its display name."""
    trim_db: float | None
    """How much louder than its volume says it plays, in dB: -12 to 0; null before its first report."""
    level_db: float | None
    """By how much it is heard louder than the quietest machine, in dB, with the present trims of both; null if the last
    calibration has not heard it."""
    even_trim_db: float | None
    """The trim with which it is heard as loud as the quietest machine, in dB, or -12 if that is not enough; null if the
    last calibration has not heard it."""


@frozen
class LevelsView:
    """How loud the machines were heard in the last calibration."""

    machines: tuple[LevelView, ...]
    """All machines of the session; the first one is the host."""
    can_even: bool
    """New trims would bring the loudest and the quietest machine at least a decibel closer."""
    is_limited: bool
    """The loudest machine would need a larger trim than there is."""
    can_undo: bool
    """The machines have been trimmed after the last calibration."""


@frozen
class CheckView:
    """A check of all loudspeakers by a microphone while music plays, which runs."""

    listener: str
    """The name of the machine whose microphone listens."""
    begin_session_ns: int
    length_ns: int
    """To the end of the last turn."""
    turns: tuple[tuple[int, str], ...]
    """When each machine plays, after the begin of the check, and its name; in order of time. Empty while the listener's
    user is asked for the microphone; then begin and length are 0."""


@frozen
class LoudnessView:
    """How loud a song is, and the gain at which it plays."""

    measured: bool
    """False: by its tags, or not known."""
    integrated_lufs: float | None
    """None: not known, or it is silent or too short."""
    true_peak_dbtp: float | None
    range_lu: float | None
    gain_db: float


@frozen
class GuestView:
    """A person who uses the host's page, for example on a phone."""

    guest_id: bytes
    """16 bytes."""
    name: str
    connected: bool
    """The page is open now."""
    listening: bool
    """The phone plays the music."""
    uncertainty_ns: int | None
    """How far its sound may be off, as far as its page knows; None: unknown."""
    confirmed: Confirmation | None = None
    """A microphone has heard the phone in time with the loudspeakers, since it plays."""


@frozen
class GuestPage:
    """What the session shows to one guest, beside what it shows to all."""

    name: str
    waiting: int
    """The number of its songs that count for `PartyRules.max_waiting`."""
    songs: frozenset[UUID]
    """Those rows of the queue that it has asked for."""
    voted: frozenset[UUID]
    """The rows for which it has voted."""
    wants_skip: bool
    """It has voted for leaving the song that plays."""
    requests: tuple[RequestView, ...]
    """Its requests, the oldest first, and for a minute those that are finished."""


@frozen
class VotesView:
    """The votes for one song that waits."""

    file_id: UUID
    votes: int
    mine: bool
    """This machine's user has voted for it."""
    names: tuple[str, ...] = ()
    """Host: who has voted for it. Empty at a peer."""


@frozen
class SkipView:
    """The votes for leaving the song that plays."""

    votes: int
    needed: int
    """The song is left at this number of votes."""
    mine: bool
    """This machine's user wants it."""
    names: tuple[str, ...] = ()
    """Host: who wants it. Empty at a peer."""


@frozen
class ChatLine:
    """A message to all."""

    number: Annotated[int, Within(1, 2**32 - 1)]
    """From 1, in the order of the host."""
    name: PersonName
    """Who wrote it."""
    text: ChatText
    session_ns: Annotated[int, Within(0, 2**62)]
    """When the host received it."""


@frozen
class InvitationView:
    """The invitation for friends elsewhere."""

    state: InvitationState
    text: str = dataclasses.field(repr=False)
    """The line; empty unless the state is OPEN."""
    reachable: bool
    """A friend elsewhere can reach this machine, as far as it is known."""
    nat: Nat
    sentence: Message
    """What is known of the way to the internet, and what helps; empty: there is nothing to say."""


@frozen
class SessionSnapshot:
    """The session as this computer knows it. On a peer `peers` is empty."""

    session_name: str
    host_name: str
    display_name: str
    """The name of this computer's user."""
    queue: tuple[QueueItem, ...]
    now: QueueItem | None
    """The track of `timeline`; it may have been removed from the queue while it plays."""
    timeline: Timeline | None
    """Timeline of the track that is playing, about to start, or paused (then it has a stop time)."""
    then: Timeline | None
    """Timeline of the next track, if it is armed."""
    waiting_for: QueueItem | None = None
    """Host: the track that starts when all peers have it."""
    upcoming: UUID | None = None
    """Host: the track that `Play` without a track starts if nothing is playing."""
    peers: tuple[PeerView, ...] = ()
    successors: tuple[str, ...] = ()
    """Host: the display names of the machines that can become the host, the first in line first."""
    requests: tuple[RequestView, ...] = ()
    """Host: the unfinished requests of all peers. Peer: its own, and for a minute the finished ones."""
    repeat: bool = False
    """Host: after the last track the first one plays again."""
    shuffle: bool = False
    """Host: the tracks after the current one play in a random order."""
    host_words: str = ""
    """The host's key as four short words: the same at all machines."""
    session_id: bytes = b""
    """16 bytes: invitations tell the first ones of them."""
    code: str = ""
    """Host: what others must type to join; empty: everybody may."""
    removed: tuple[str, ...] = ()
    """Host: the names of the peers that the user has removed and not let in again."""
    calibration: CalibrationView | None = None
    """Host: the calibration that runs."""
    levels: LevelsView | None = None
    """Host: how loud the machines were heard."""
    confirmed: Confirmation | None = None
    """What a microphone has heard of this machine, if that is still true."""
    check: CheckView | None = None
    """Host: the check that runs."""
    loudness_lufs: float | None = None
    """Host: how loud all songs play; None: each as it is."""
    now_loudness: LoudnessView | None = None
    """Host: how loud `now` is; None: there is none."""
    transitions: Transitions = PLAIN
    """Host: how the songs follow each other."""
    connected: bool = True
    """Peer: the connection to the host works; False while the peer looks for it."""
    plays_on: bool = False
    """Peer: it goes on without its host for now. False also while the first attempt to find the host runs: that may
    show that the host's program is gone, which ends the session."""
    invitation_wanted: bool = False
    """Peer: it has not found its host for a while, and a newer invitation may lead there."""
    microphone: MicrophoneView | None = None
    """Peer: the microphone of this machine."""
    rules: PartyRules = I_CHOOSE
    """By which songs are taken and ordered."""
    votes: tuple[VotesView, ...] = ()
    """Of the songs that have any."""
    skip: SkipView | None = None
    """None: nothing plays, or the rules know no such vote."""
    guests: tuple[GuestView, ...] = ()
    """Host: the people who use the host's page, those who have it open first."""
    removed_guests: tuple[str, ...] = ()
    """Host: the names of the guests that the user has removed and not let in again."""
    chat: tuple[ChatLine, ...] = ()
    """The newest messages to all, at most MAX_CHAT_LINES, the oldest first."""
    invitation: InvitationView | None = None
    """Host: None if it is closed."""
