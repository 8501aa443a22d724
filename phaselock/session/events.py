"""What a session tells people and programs: one class an event. `--json` prints exactly these fields.

EVENTS.md in this folder is made from this file (python -m phaselock.tools.event_reference).
"""

from __future__ import annotations

import dataclasses
import enum
from typing import Any, ClassVar, Literal
from uuid import UUID

from phaselock.frozen import frozen
from phaselock.model.calibration import Confirmation, Place
from phaselock.model.heritage import Cause
from phaselock.model.invitation import InvitationState, Nat
from phaselock.model.notices import LeftOut, Notice
from phaselock.model.party import PartyRules
from phaselock.model.queue import ItemStatus, QueueItem
from phaselock.model.role import Role
from phaselock.model.snapshot import (
    CalibrationWait,
    FileState,
    GuestView,
    LatencyClass,
    LevelView,
    RequestState,
    RequestView,
    VotesView,
)
from phaselock.model.sweeps import Verdict
from phaselock.model.timing import DeviceState, Timing

ABSENT = {"absent": True}
"""Metadata of a field that `--json` leaves out where it is None."""
INLINE = {"inline": True}
"""Metadata of a field whose own fields `--json` prints in its place."""


def absent_if_none() -> Any:
    """A field that `--json` leaves out where it is None; all others are printed as null."""
    return dataclasses.field(default=None, metadata=ABSENT)


@frozen
class Event:
    """Something that happened in a session or a command."""

    event_name: ClassVar[str]
    """The stable code of the event: `event` in `--json`."""

    session_ns: int | None
    """Session time in nanoseconds at which it happened or will be heard; absent in `--json` while it is not known."""


@frozen
class NoticeEvent(Event):
    """An event whose sentence is a notice. `--json` prints the notice's code, its English sentence and its values."""

    notice: Notice


# -- this session ------------------------------------------------------------------------------------------------------


@frozen
class SessionOpened(Event):
    """Host: the session is open."""

    event_name: ClassVar[str] = "session"

    session_name: str
    """As others see it."""
    host_name: str
    """The display name of this machine."""
    port: int
    """TCP, 1 to 65535."""
    clock_port: int
    """UDP, 1 to 65535."""
    address: str
    """What others join with: an address, or address:port where the port is not the usual one."""
    addresses: tuple[str, ...]
    """All IP addresses at which this machine may be reached, best first."""
    host_words: str
    """This machine's key as four short words (model/key_words.py). They are the same at every peer."""
    code: str
    """The code that the program has made; otherwise empty."""
    needs_code: bool
    """Who joins must know a code: this one, or one that the user has chosen."""


@frozen
class Joined(Event):
    """Peer: the host has let this machine in."""

    event_name: ClassVar[str] = "joined"

    peer_id: int
    """This machine's number in the session, from 1; the same after each return."""
    session_name: str
    """As the host called it."""
    host_name: str
    """The host's display name."""
    name: str
    """This machine's display name; the host may have added a number."""
    again: bool
    """The peer had lost its host and is back."""
    host_words: str
    """The host's key as four short words. They are the same at the host."""
    moved: bool = False
    """Another machine is the host than before: `host_changed` has told which."""


@frozen
class HostChanged(Event):
    """Another machine is the host of this session."""

    event_name: ClassVar[str] = "host_changed"

    name: str
    """Its display name."""
    you: bool
    """It is this machine."""
    cause: Cause
    """`handed_over`, `host_lost`, or `reunion`: two parts of the session have met again."""


@frozen
class SuccessorsChanged(Event):
    """The machines that become the host if it is lost are others now, or have another order."""

    event_name: ClassVar[str] = "successors"

    names: tuple[str, ...]
    """Their display names, the first in line first."""


@frozen
class PeerJoined(Event):
    """Host: a peer has joined."""

    event_name: ClassVar[str] = "peer_joined"

    peer_id: int
    """Its number in the session, from 1; the same after each return."""
    name: str
    """Its display name; no two peers have the same."""
    again: bool
    """It had been lost and is back."""


@frozen
class PeerLeft(Event):
    """Host: a peer is gone."""

    event_name: ClassVar[str] = "peer_left"

    peer_id: int
    """Its number in the session."""
    name: str
    """Its display name."""
    reason: Notice
    """Why. `--json` prints its English sentence as `reason` and its code as `code`."""


@frozen
class SessionEnded(Event):
    """The session is over for this machine: the last event."""

    event_name: ClassVar[str] = "session_end"

    reason: Notice
    """Why. `--json` prints its English sentence as `reason` and its code as `code`."""
    failed: bool | None = absent_if_none()
    """Peer: the user of this machine did not ask for it. Absent at the host."""


@frozen
class Warned(NoticeEvent):
    """Something is not as it should be; the session goes on."""

    event_name: ClassVar[str] = "warning"


@frozen
class Failed(NoticeEvent):
    """What was asked for cannot be done, or a file cannot be used."""

    event_name: ClassVar[str] = "error"


# -- files and requests ------------------------------------------------------------------------------------------------


@frozen
class FileReady(Event):
    """Host: every peer that playback waits for has the file, and none reports that it cannot play it. Peer: the file is
    on this machine and can be played."""

    event_name: ClassVar[str] = "file_ready"

    file_id: UUID
    """The track."""
    file_name: str
    """Its file name, without folders."""


class TransferState(enum.StrEnum):
    """How far a transfer is."""

    STARTED = "started"
    """It was offered to the peer (host), or the peer begins to fetch it (peer)."""
    SENDING = "sending"
    """Host: another tenth of it was sent."""
    DONE = "done"
    """Host: the peer has the file."""
    RETRY = "retry"
    """Host: a try failed and another follows."""
    FAILED = "failed"
    """Host: it was given up. Peer: a try failed."""


@frozen
class TransferChanged(Event):
    """A file on its way to a peer."""

    event_name: ClassVar[str] = "transfer"

    file_id: UUID
    """The track."""
    file_name: str
    """Its file name, without folders."""
    size: int
    """Bytes of the whole file."""
    state: TransferState
    """How far it is."""
    peer: str | None = absent_if_none()
    """Host: the display name of the peer. Absent at a peer."""
    done_bytes: int | None = absent_if_none()
    """Host: bytes sent so far, 0 to `size`. Absent at a peer."""
    reason: str | None = absent_if_none()
    """Peer: why the try failed. Otherwise absent."""


class ConversionState(enum.StrEnum):
    """How far a conversion is."""

    STARTED = "started"
    """It has begun, or waits for another one."""
    CONVERTING = "converting"
    """Another tenth of the file is converted."""
    DONE = "done"
    """The song follows in the queue."""
    FAILED = "failed"
    """An `error` or `added` says why."""
    CANCELLED = "cancelled"
    """The user has cancelled it. The file is left out."""


@frozen
class ConversionChanged(Event):
    """Host: a file whose kind PhaseLock does not play is converted, before it is added. `request` tells the same of a
    requested song."""

    event_name: ClassVar[str] = "conversion"

    file_name: str
    """The name of the file, without folders."""
    state: ConversionState
    """How far it is."""
    done_percent: int
    """0 to 100."""


@frozen
class RequestRow:
    """A peer's request for a song."""

    request_id: UUID
    """The request."""
    number: int
    """What `accept` and `reject` take, from 1."""
    peer: str
    """The display name of the peer that asked. Empty in `request` at that peer itself."""
    file_name: str
    """The song's file name, without folders."""
    size: int
    """Bytes of the song."""
    state: RequestState
    """How far it is."""
    done_bytes: int
    """Bytes that have reached the host, 0 to `size`."""
    reason: str
    """Why it was rejected or failed, a sentence; otherwise empty."""
    title: str = ""
    """From the song's tags; may be empty."""
    artist: str = ""
    """From the song's tags; may be empty."""
    converted_percent: int | None = absent_if_none()
    """How much of it is converted, 0 to 100. Absent unless it needs that and has arrived."""


@frozen
class RequestChanged(Event):
    """A request for a song was made, or has come further."""

    event_name: ClassVar[str] = "request"

    request: RequestRow = dataclasses.field(metadata=INLINE)
    """The request as it is now; `--json` prints these fields in the event itself."""


@frozen
class GuestJoined(Event):
    """Host: a guest has opened the host's page."""

    event_name: ClassVar[str] = "guest_joined"

    guest_id: str
    """16 bytes in hex digits; the same after each return."""
    name: str
    """Its display name; no two people of a session have the same."""


@frozen
class GuestLeft(Event):
    """Host: a guest was removed, or its page has been closed for a minute."""

    event_name: ClassVar[str] = "guest_left"

    guest_id: str
    """16 bytes in hex digits."""
    name: str
    """Its display name."""
    removed: bool
    """The host's user has removed it."""


@frozen
class GuestRow:
    """A guest."""

    guest_id: str
    """16 bytes in hex digits."""
    name: str
    """Its display name."""
    connected: bool
    """Its page is open."""
    listening: bool
    """Its phone plays the music."""
    uncertainty_ms: float | None
    """How far the sound of its phone may be off, as far as its page knows; null: not known."""


@frozen
class GuestsListed(Event):
    """Host: the answer to `guests`."""

    event_name: ClassVar[str] = "guests"

    guests: tuple[GuestRow, ...]
    """The guests, those who have the page open first."""
    removed: tuple[str, ...]
    """The names of the guests that were removed and not let in again."""


@frozen
class RulesChanged(Event):
    """The rules by which songs that people ask for are taken and ordered have changed."""

    event_name: ClassVar[str] = "rules"

    rules: PartyRules = dataclasses.field(metadata=INLINE)
    """The rules as they are now; `--json` prints these fields in the event itself."""


@frozen
class VotesRow:
    """The votes for one song that waits."""

    file_id: UUID
    """The track."""
    votes: int
    """How many people want it, from 1."""
    names: tuple[str, ...] = ()
    """Host: their display names. Empty at a peer."""


@frozen
class VotesChanged(Event):
    """The votes for the songs that wait have changed."""

    event_name: ClassVar[str] = "votes"

    votes: tuple[VotesRow, ...]
    """Of all songs that have any, in the order of the queue."""


@frozen
class SkipVoted(Event):
    """The votes for leaving the song that plays have changed."""

    event_name: ClassVar[str] = "skip_votes"

    file_id: UUID
    """The track."""
    file_name: str
    """Its file name, without folders."""
    votes: int
    """How many people want it."""
    needed: int
    """The song is left at this number."""
    names: tuple[str, ...] = ()
    """Host: the display names of those who want it. Empty at a peer."""


@frozen
class FilesAdded(Event):
    """Host: folders, playlists or several files were added. A single file that cannot be added is an `error`."""

    event_name: ClassVar[str] = "added"

    added: int
    """Tracks that are in the queue now."""
    left_out: tuple[LeftOut, ...]
    """What was not added."""


class LibraryState(enum.StrEnum):
    """What is known of the music folder."""

    OFF = "off"
    """There is none."""
    READING = "reading"
    """New and changed files are read. What was read before can be found."""
    READY = "ready"
    """All of it can be found."""
    AWAY = "away"
    """It cannot be reached, such as a drive that is not connected. What was found there last can still be found."""
    FAILED = "failed"
    """The index cannot be written."""


@frozen
class LibraryChanged(Event):
    """Host: the folder whose songs can be searched was chosen, read, or its songs have changed."""

    event_name: ClassVar[str] = "library"

    folder: str
    """Its path; empty: there is none."""
    state: LibraryState
    """What is known of it."""
    songs: int
    """Songs that can be found now."""
    left_out: int = 0
    """Music files that cannot be read."""
    done_percent: int | None = absent_if_none()
    """How many of the new and changed files are read, 0 to 100. Only in "reading"."""
    reason: str | None = absent_if_none()
    """Why it cannot be reached or indexed, a sentence of the system. Absent if that is not known."""


# -- the queue ---------------------------------------------------------------------------------------------------------


@frozen
class QueueRow:
    """A row of the queue."""

    id: UUID
    """The track."""
    file_name: str
    """Its file name, without folders."""
    title: str
    """From the file's tags; empty where there is none."""
    artist: str
    """From the file's tags; empty where there is none."""
    duration_secs: float
    """Seconds, to the millisecond."""
    added_by: str
    """The display name of who added it."""
    status: ItemStatus
    """How far it is."""


@frozen
class QueueChanged(Event):
    """The queue as it is now: after each change, and as the answer to `queue`."""

    event_name: ClassVar[str] = "queue"

    revision: int | None = absent_if_none()
    """Grows with each change. Absent in an answer."""
    queue: tuple[QueueRow, ...] = ()
    """All rows in their order."""
    asked: bool | None = absent_if_none()
    """True: the answer to `queue`. Otherwise absent."""
    votes: tuple[VotesRow, ...] | None = absent_if_none()
    """Of all songs that have any, in the order of the queue. Only in an answer."""


# -- the chat ----------------------------------------------------------------------------------------------------------


@frozen
class ChatSaid(Event):
    """A person has written a message to all; also told to who wrote it."""

    event_name: ClassVar[str] = "chat"

    number: int
    """Of the message, from 1, the same at all machines."""
    name: str
    """The display name of who wrote it."""
    text: str
    """One line of at most 500 characters."""


# -- playback ----------------------------------------------------------------------------------------------------------


@frozen
class PlaybackEvent(Event):
    """What the loudspeakers do at `session_ns`."""

    file_id: UUID
    """The track."""
    file_name: str
    """Its file name, without folders."""
    position_s: float
    """Position in the track at `session_ns`, in seconds."""


@frozen
class Playing(PlaybackEvent):
    """A track starts."""

    event_name: ClassVar[str] = "playing"


@frozen
class Paused(PlaybackEvent):
    """The track pauses."""

    event_name: ClassVar[str] = "paused"


@frozen
class Resumed(PlaybackEvent):
    """The paused track goes on."""

    event_name: ClassVar[str] = "resumed"


@frozen
class Seeked(PlaybackEvent):
    """The track jumps to `position_s`."""

    event_name: ClassVar[str] = "seeked"


@frozen
class TrackEnded(PlaybackEvent):
    """The last frame of the track has been played."""

    event_name: ClassVar[str] = "track_ended"


@frozen
class Stopped(Event):
    """All machines fall silent at `session_ns`."""

    event_name: ClassVar[str] = "stopped"


# -- how well machines play --------------------------------------------------------------------------------------------


@frozen
class DeviceChanged(Event):
    """An audio output opened, was lost, or does not exist."""

    event_name: ClassVar[str] = "device"

    state: DeviceState
    """"open", "lost" (will be tried again) or "none" (there is no output)."""
    name: str | None
    """The name of the output; null where none is open."""
    detail: str
    """What the sound system said, a sentence; otherwise empty."""
    timing: Timing | None
    """How well the delay of the output is known: "exact", "told" or "unknown"; null where none is open."""
    peer: str | None = absent_if_none()
    """Host: the display name of the peer whose output it is. Absent for this machine's own."""


@frozen
class VolumeSet(Event):
    """Peer: the host has set the volume of this machine's output."""

    event_name: ClassVar[str] = "volume_set"

    volume_percent: int
    """0 to 100. A muted output keeps it."""
    muted: bool
    """The output is silent."""


@frozen
class CalibrationBegan(Event):
    """Host: a calibration has begun. All machines play sweeps, and one microphone hears them."""

    event_name: ClassVar[str] = "calibration_began"

    listener: str
    """The display name of the machine whose microphone listens."""
    machines: tuple[str, ...]
    """The display names of the machines that take part; the first one is the host."""
    walk: bool = False
    """The microphone is carried from one loudspeaker to the next: `calibration_waits` says when."""
    left_out: tuple[str, ...] = ()
    """The names of the guests whose phones play the music and do not take part: the pass would be too long, or only
    loudspeakers can be calibrated in this way."""


@frozen
class CalibrationWaits(Event):
    """Host: the microphone must be put beside a loudspeaker. Then `calibrate next` goes on."""

    event_name: ClassVar[str] = "calibration_waits"

    listener: str
    """The display name of the machine whose microphone listens."""
    step: int
    """Number of this place, from 1."""
    steps: int
    """Number of places."""
    wait: CalibrationWait = dataclasses.field(metadata=INLINE)
    """Where to put it; `--json` prints these fields in the event itself."""


@frozen
class CalibratedRow:
    """What a calibration has found about one machine."""

    name: str
    """Its display name."""
    verdict: Verdict
    """Whether it was heard, or why not."""
    before_ms: float | None
    """How much later than the earliest loudspeaker it was heard, in milliseconds; null if it was not measured. Only a
    phone can be earlier."""
    after_ms: float | None
    """The same after the correction; null if it was not measured again."""
    corrected_ms: float
    """By how much its correction was changed, in milliseconds. A positive value plays earlier."""
    level_db: float | None
    """By how much it was heard louder than the quietest machine, in dB, with its volume and its trim; null if it was
    not heard, or no other machine was, and for phones."""
    phone: bool = False
    """It is the phone of a guest."""


@frozen
class Calibrated(Event):
    """Host: a calibration has ended."""

    event_name: ClassVar[str] = "calibrated"

    listener: str
    """The display name of the machine whose microphone listened."""
    machines: tuple[CalibratedRow, ...]
    """All machines that took part; the first one is the host."""
    place: Place = "spot"
    """As in `output_calibrated`: where the figures of the machines are true."""
    microphone_ppm: float | None = None
    """How much faster the microphone's clock runs than the session's, in parts per million; null if unknown. It is
    taken into account."""


@frozen
class MicrophoneAsked(Event):
    """Peer: the host wants to listen by this machine's microphone, and waits for the user's answer."""

    event_name: ClassVar[str] = "microphone_asked"

    host: str
    """The display name of the host's user."""


@frozen
class MicrophoneUsed(Event):
    """Peer: the host begins or stops to listen by this machine's microphone."""

    event_name: ClassVar[str] = "microphone_used"

    listening: bool
    """It listens now."""


@frozen
class OutputCalibrated(Event):
    """A microphone has heard the output of this machine. Its correction has changed, and is kept for this output."""

    event_name: ClassVar[str] = "output_calibrated"

    late_ns: int
    """By how much earlier it plays now, in nanoseconds."""
    spread_ns: int
    """By how much the repeats of the measurement differed, in nanoseconds."""
    listener: str
    """The display name of the machine whose microphone has heard it."""
    place: Place
    """"spot": all machines are heard together at the microphone. "speakers": they play together."""


@frozen
class TrimRow:
    """The new trim of a machine."""

    name: str
    """Its display name."""
    trim_db: float
    """How much louder than its volume says it plays, in dB: -12 to 0."""


@frozen
class PeersTrimmed(Event):
    """Host: the peers have got new trims, by `levels even`, `levels undo` or `levels reset`. `trim_set` has that of
    the host."""

    event_name: ClassVar[str] = "trimmed"

    peers: tuple[TrimRow, ...]
    """Those whose trims change."""


@frozen
class TrimSet(Event):
    """The host's user has evened out the volumes of the machines: this machine's output plays quieter than its volume
    says, or no longer. That is kept for this output."""

    event_name: ClassVar[str] = "trim_set"

    trim_db: float
    """How much louder than its volume says it plays, in dB: -12 to 0."""


@frozen
class OutputConfirmed(Event):
    """A microphone has heard the output of this machine again, after a calibration: it plays together with others."""

    event_name: ClassVar[str] = "output_confirmed"

    within_ns: int
    """How far from the others it was heard at most, in nanoseconds."""
    listener: str
    """The display name of the machine whose microphone has heard it."""
    place: Place
    """As in `output_calibrated`."""


@frozen
class CheckBegan(Event):
    """Host: a check has begun. The machines play the song in turns, and one microphone hears them."""

    event_name: ClassVar[str] = "check_began"

    listener: str
    """The display name of the machine whose microphone listens."""
    machines: tuple[str, ...]
    """The display names of the machines that take part; the first one is the host."""
    left_out: tuple[str, ...] = ()
    """The names of the guests whose phones play the music. They do not take part, and are silent meanwhile."""


@frozen
class CheckedRow:
    """What a check has found about one machine."""

    name: str
    """Its display name."""
    verdict: Verdict
    """Whether it was heard, or why not."""
    offset_ms: float | None
    """How much later than the first machine that was heard, in milliseconds; null if it was not heard."""


@frozen
class Checked(Event):
    """Host: a check has ended."""

    event_name: ClassVar[str] = "checked"

    listener: str
    """The display name of the machine whose microphone listened."""
    machines: tuple[CheckedRow, ...]
    """All machines that took part; the first one is the host."""


@frozen
class RoleSet(Event):
    """Peer: the host has set which channels this machine plays."""

    event_name: ClassVar[str] = "role_set"

    role: Role
    """With "left", "right" and "mono" both outputs play the same."""


@frozen
class LoudnessSet(Event):
    """Host: the loudness of the songs was set. All machines follow within seconds."""

    event_name: ClassVar[str] = "loudness_set"

    target_lufs: float | None
    """All songs play at this loudness. `null`: each as it is."""


@frozen
class TransitionsSet(Event):
    """Host: how the songs follow each other was set."""

    event_name: ClassVar[str] = "transitions_set"

    crossfade_s: float
    """Length of the crossfade in seconds; 0 for none."""
    skip_silence: bool
    """The silence at the beginning and the end of songs is skipped."""


@frozen
class CodeSet(Event):
    """Host: the session has another code now, or none."""

    event_name: ClassVar[str] = "code_set"

    code: str = dataclasses.field(repr=False)
    """Empty: everybody on the network may join."""


@frozen
class InvitationChanged(Event):
    """Host: the invitation for friends elsewhere was opened, withdrawn or closed, or its places have changed."""

    event_name: ClassVar[str] = "invitation"

    state: InvitationState
    """"opening": the router is being asked. "withdrawn": the code is void, and the outside port stays open for the
    members that came in by it. "closed": the outside port is closed."""
    text: str = dataclasses.field(repr=False)
    """The line that a friend opens, pastes or gives to `phaselock join`; empty unless the state is "open"."""
    reachable: bool
    """A friend elsewhere can reach this machine, as far as it is known."""
    nat: Nat
    """What is between this machine and the internet."""
    sentence: str
    """The same for people, and what helps; empty: there is nothing to say."""


@frozen
class GuestPageSet(Event):
    """Host: the page for guests was switched on or off, or has a new secret."""

    event_name: ClassVar[str] = "guest_page"

    address: str
    """As people type it, such as "http://192.168.1.20:17403"; empty: the page is off."""
    link: str = dataclasses.field(repr=False)
    """For a camera: the address with the page's secret; empty: the page is off."""


@frozen
class SyncMeasured(Event):
    """Once a second: how well this machine keeps time."""

    event_name: ClassVar[str] = "sync"

    playing: bool
    """Sound of a track leaves this machine now."""
    phase_error_us: float
    """How much too early (positive) or too late (negative) the sound is, in microseconds."""
    offset_uncertainty_us: float | None
    """The session clock is known to within plus or minus this, in microseconds; null while it is not known."""
    drift_ppm: float | None
    """How much faster session time runs than this machine's, in parts per million; null while it is not known."""
    correction_ppm: float
    """How much faster than nominal the track is played now, in parts per million."""
    rtt_ms: float | None
    """Recent worst round trip to the host, in milliseconds; null while it is not known."""
    underruns: int
    """Interruptions of the sound since the start."""
    timing: Timing
    """How well the delay of the output is known: "exact", "told" or "unknown"."""
    dac_uncertainty_us: float | None
    """The moment at which a frame leaves the loudspeaker is known to within this, in microseconds; null: not known."""
    output_latency_ms: float
    """From the program to the loudspeaker, in milliseconds, the user's correction included. While an output without a
    sound server rests, this contains the time to wake."""


@frozen
class PeerTransfer:
    """A file of the queue that a peer does not have, or cannot play."""

    file_id: UUID
    """The track."""
    state: FileState
    """What it does."""
    done_bytes: int
    """Bytes sent so far."""


@frozen
class ConfirmedRow:
    """A microphone has heard a machine after a calibration. Its output and its correction have not changed since."""

    session_ns: int
    """Session time at which it was heard, in nanoseconds."""
    within_us: float
    """How far from the others it was heard at most, in microseconds."""
    place: Place
    """As in `output_calibrated`: where that is true."""


@frozen
class PeerFigures:
    """How a peer does, by its own reports."""

    name: str
    """Its display name."""
    ready: bool
    """It has every file of the queue."""
    files_ready: int
    """Files of the queue that it has."""
    files: int
    """Files of the queue."""
    waited_for: bool
    """Playback waits until it has the file."""
    transfers: tuple[PeerTransfer, ...]
    """Files that it is receiving, could not receive or cannot play."""
    clock: Literal["none", "stale", "good"]
    """"none": not usable. "stale": no measurement in the last two seconds. "good"."""
    latency_ms: float
    """Half of the round trip, in milliseconds; 0 before the first report."""
    latency_class: LatencyClass
    """Below 10 ms, up to 100 ms, more."""
    rtt_ms: float
    """Recent worst round trip, in milliseconds; 0 before the first report."""
    far: bool
    """It is in no room with the host: it is not one of the loudspeakers that are in phase."""
    away_ms: float
    """Half of the least round trip of about the last minute, in milliseconds; 0: not known."""
    phase_error_us: float
    """How much too early (positive) or too late (negative) its sound is, in microseconds."""
    offset_uncertainty_us: float | None
    """Its clock is known to within plus or minus this, in microseconds; null while it is not known."""
    dac_uncertainty_us: float | None
    """As in `sync`."""
    drift_ppm: float
    """As in `sync`; 0 before the first report."""
    output_latency_ms: float
    """From its program to its loudspeaker, in milliseconds."""
    device: str | None
    """Its output; null where none is open."""
    timing: Timing
    """How well the delay of its output is known."""
    underruns: int
    """Interruptions of its sound since the start."""
    volume_percent: int | None
    """Volume of its output, 0 to 100, also while it is muted; null before the first report."""
    muted: bool
    """Its output is muted."""
    role: Role | None
    """The channels that it plays; null before the first report."""
    confirmed: ConfirmedRow | None
    """What a microphone has confirmed; null: nothing."""


@frozen
class PeerRow(PeerFigures):
    """A row of `peers`."""

    missing: tuple[UUID, ...]
    """The tracks of the queue that it does not have."""


@frozen
class PeerSyncMeasured(Event):
    """Host: once a second for each peer, with the host's own `sync`."""

    event_name: ClassVar[str] = "peer_sync"

    figures: PeerFigures = dataclasses.field(metadata=INLINE)
    """How it does; `--json` prints these fields in the event itself."""


# -- answers to commands -----------------------------------------------------------------------------------------------


@frozen
class Answered(NoticeEvent):
    """A typed command was executed, or asked for a value. Commands whose result is another event have no `answer`."""

    event_name: ClassVar[str] = "answer"


@frozen
class PeersListed(Event):
    """Host: the answer to `peers`."""

    event_name: ClassVar[str] = "peers"

    peers: tuple[PeerRow, ...]
    """In the order of joining."""


@frozen
class RequestsListed(Event):
    """The answer to `requests`."""

    event_name: ClassVar[str] = "requests"

    requests: tuple[RequestRow, ...]
    """Host: those that are not over, oldest first. Peer: its own, of which the newest may be over."""


@frozen
class FoundSongRow:
    """A song of the music folder."""

    number: int
    """What `add-found` takes, from 1."""
    title: str
    """From the file's tags; may be empty."""
    artist: str
    """From the file's tags; may be empty."""
    album: str
    """From the file's tags; may be empty."""
    duration_s: float
    """Seconds, as the header of the file tells it; 0: it does not."""
    file_name: str
    """Its file name, without folders."""


@frozen
class SongsFound(Event):
    """Host: the answer to `search`."""

    event_name: ClassVar[str] = "songs_found"

    text: str
    """What was searched for."""
    songs: tuple[FoundSongRow, ...]
    """The songs that contain all of its words, the best match first."""


@frozen
class StatusReported(Event):
    """The answer to `status`."""

    event_name: ClassVar[str] = "status"

    session_name: str
    """The session."""
    host_name: str
    """Its host."""
    display_name: str
    """This machine."""
    state: Literal["stopped", "playing", "paused", "waiting"]
    """"waiting": a track starts as soon as every peer has it."""
    connected: bool
    """Peer: the host is heard. Always true at the host."""
    position_s: float | None = absent_if_none()
    """Position in the track, in seconds. Absent without a track, or while session time is not known."""
    file_name: str | None = absent_if_none()
    """The track that plays, is paused or is waited for; absent without one, as are the next three."""
    title: str | None = absent_if_none()
    """From its tags, may be empty."""
    artist: str | None = absent_if_none()
    """From its tags, may be empty."""
    duration_s: float | None = absent_if_none()
    """Its length in seconds."""
    peers: int | None = absent_if_none()
    """Host: how many peers are here. Absent at a peer."""
    peer_names: tuple[str, ...] | None = absent_if_none()
    """Host: their display names, in the order of joining. Absent at a peer."""
    address: str | None = absent_if_none()
    """What others join with: an address, or address:port where the port is not the usual one."""
    device: str | None = absent_if_none()
    """The output of this machine. Absent where none is open."""
    timing: Timing | None = absent_if_none()
    """How well the delay of the output is known: "exact", "told" or "unknown". Absent where none is open."""
    volume: int | None = absent_if_none()
    """The volume of this machine in percent."""
    trim_db: float | None = absent_if_none()
    """How much louder than its volume says the output plays, in dB: -12 to 0. Absent where none is open."""
    host_words: str | None = absent_if_none()
    """The host's key as four short words. They are the same at all machines of the session."""
    role: Role | None = absent_if_none()
    """The channels that this machine plays."""
    offset_ms: float | None = absent_if_none()
    """The user's correction of the output, in milliseconds; positive plays earlier."""
    confirmed: ConfirmedRow | None = absent_if_none()
    """What a microphone has confirmed of this machine. Absent: nothing."""
    repeat: bool | None = absent_if_none()
    """Host: the queue begins again after its last track. Absent at a peer."""
    shuffle: bool | None = absent_if_none()
    """Host: the tracks after the current one play in a random order. Absent at a peer."""
    clock_within_us: float | None = absent_if_none()
    """Peer: the host's clock is known to within this, in microseconds. Absent while it is not known, and at the
    host."""


@frozen
class LevelsListed(Event):
    """Host: the answer to `levels`. After a calibration, a machine keeps its level until a machine leaves or plays on
    another output."""

    event_name: ClassVar[str] = "levels"

    machines: tuple[LevelView, ...]
    """All machines; the first one is the host."""
    can_even: bool
    """`levels even` would bring the loudest and the quietest machine at least a decibel closer."""


@frozen
class SongLoudness(Event):
    """Host: the answer to `loudness` while a song plays or is paused, after `loudness_set`."""

    event_name: ClassVar[str] = "song_loudness"

    file_id: UUID
    """The track."""
    song: str
    """Its title and artist, or the name of its file."""
    measured: bool
    """By EBU R 128. False: by the tags of the file, or not known."""
    integrated_lufs: float | None
    """How loud it is; null: not known, or it is silent or too short to be measured."""
    true_peak_dbtp: float | None
    """Null: not measured."""
    range_lu: float | None
    """Loudness range by EBU Tech 3342; null: not measured, or it is silent or shorter than 3 s."""
    gain_db: float
    """How much louder than it is all machines play it."""


@frozen
class HelpRow:
    """A command that may be typed."""

    command: str
    """Its first word."""
    form: str
    """The whole command: words in capital letters stand for a value, square brackets for what may be left out."""
    meaning: str
    """What it does."""


@frozen
class HelpTold(Event):
    """The answer to `help`."""

    event_name: ClassVar[str] = "help"

    commands: tuple[HelpRow, ...]
    """What may be typed."""


def queue_row(item: QueueItem) -> QueueRow:
    """A row of the queue as it is told."""
    return QueueRow(
        item.id, item.file_name, item.title, item.artist, round(item.duration_secs, 3), item.added_by, item.status
    )


def votes_row(votes: VotesView) -> VotesRow:
    """The votes for a song as they are told."""
    return VotesRow(votes.file_id, votes.votes, votes.names)


def request_row(request: RequestView) -> RequestRow:
    """A request as it is told."""
    return RequestRow(
        request.request_id,
        request.number,
        request.peer_name,
        request.file_name,
        request.size,
        request.state,
        request.done_bytes,
        request.reason,
        request.title,
        request.artist,
        request.converted_percent,
    )


def guest_row(guest: GuestView) -> GuestRow:
    """A guest as it is told."""
    uncertainty_ms = None if guest.uncertainty_ns is None else round(guest.uncertainty_ns / 1e6, 1)
    return GuestRow(guest.guest_id.hex(), guest.name, guest.connected, guest.listening, uncertainty_ms)


def confirmed_row(confirmed: Confirmation | None) -> ConfirmedRow | None:
    """What a microphone has confirmed, as it is told."""
    if confirmed is None:
        return None
    return ConfirmedRow(confirmed.heard_session_ns, round(confirmed.within_ns / 1e3, 1), confirmed.place)


def known_us(uncertainty_ns: int | None) -> float | None:
    """An uncertainty in µs, rounded for display; None if it is not known."""
    return None if uncertainty_ns is None else round(uncertainty_ns / 1e3, 1)
