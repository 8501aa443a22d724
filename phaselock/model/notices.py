"""What the program tells people, as codes and values. The sentences are made in session/sentences.py."""

from __future__ import annotations

import dataclasses
import enum
from uuid import UUID

from phaselock.model.role import Role


class Code(enum.StrEnum):
    """What a notice says. The values are stable: programs that read `--json` may rely on them."""

    OTHER = "other"
    """Anything without a code of its own; `message` is all there is."""

    # The queue and the playback (host).
    NO_SUCH_TRACK = "no_such_track"
    """The track is not in the queue."""
    QUEUE_FULL = "queue_full"
    """The queue holds as many tracks as it may: `number` (absent where a song request is refused for it)."""
    FILE_TOO_LARGE = "file_too_large"
    """`file_name` is larger than a file of a session may be."""
    ALREADY_PLAYING = "already_playing"
    """`play` while a track plays."""
    NOTHING_TO_PLAY = "nothing_to_play"
    """`play` with an empty queue."""
    NOTHING_PLAYING = "nothing_playing"
    """No track plays or is paused."""
    NOTHING_PAUSED = "nothing_paused"
    """`resume` without a paused track."""
    NO_SUCH_POSITION = "no_such_position"
    """The position to seek to is not a number."""
    NO_NEXT_TRACK = "no_next_track"
    """`next` on the last track."""
    NOTHING_TO_RETRY = "nothing_to_retry"
    """`retry` without a transfer that was given up."""
    NO_SUCH_PEER = "no_such_peer"
    """No peer is called `peer`; `choices`, if any, are similar names."""
    WAITING_FOR_PEERS = "waiting_for_peers"
    """`peers` have not received `file_name` yet, so it cannot start."""
    STARTS_WHEN_RECEIVED = "starts_when_received"
    """`file_name` starts as soon as `peers` have received it."""
    PLAYS_LATER = "plays_later"
    """A track behind `file_name` plays first, because `peers` have not received `file_name` yet."""
    GOING_ON_WITHOUT = "going_on_without"
    """Playback no longer waits for `peer`, because its transfer of `file_name` makes no progress, or takes too long."""
    NOT_IN_TIME = "not_in_time"
    """A track starts although the clocks of `peers` are not known well enough yet."""
    CLOCK_NOT_CONVERGING = "clock_not_converging"
    """The clock of `peer` is not known well enough ten seconds after it joined, or is lost again."""
    CLOCK_SILENT_AT_PEER = "clock_silent_at_peer"
    """`peer` does not hear the host's clock, which is on the UDP port `number`, but its connection works."""
    TRANSFER_GIVEN_UP = "transfer_given_up"
    """`peer` could not receive `file_name` in `number` tries."""
    CANNOT_SEND = "cannot_send"
    """The host cannot send `file_name`; `detail` says why."""
    UNPLAYABLE_HERE = "unplayable_here"
    """This machine cannot decode `file_name`; `detail` says why."""
    UNPLAYABLE_AT_PEER = "unplayable_at_peer"
    """`peer` cannot decode `file_name`; `detail` says why."""

    # Song requests.
    REQUEST_OVER = "request_over"
    """The request was decided, withdrawn or completed before."""
    ALREADY_QUEUED = "already_queued"
    """A peer asks for a song that is in the queue: `file_name`."""
    ALREADY_REQUESTED = "already_requested"
    """A peer asks for a song again, before the host has answered or while the song is on its way."""
    NOT_CONNECTED = "not_connected"
    """A peer cannot ask for a song while its host is away."""

    # Why a peer left (`peer_left`).
    PEER_LEFT = "peer_left"
    """It left by itself."""
    PEER_REMOVED = "peer_removed"
    """The host removed it."""
    PEER_RECONNECTED = "peer_reconnected"
    """It connected again; its old connection is over. It joins again in the same moment."""
    PEER_SILENT = "peer_silent"
    """Nothing was received from it for five seconds."""
    PEER_BROKE_PROTOCOL = "peer_broke_protocol"
    """It sent what the protocol forbids; `detail` says what."""
    PEER_CONNECTION_LOST = "peer_connection_lost"
    """Its connection ended; `detail` is the whole sentence and may be absent."""

    # Why a session is over (`session_end`).
    SESSION_ENDED = "session_ended"
    """The host ended the session; `detail`, if present, is its sentence."""
    SESSION_LEFT = "session_left"
    """This machine left the session."""
    HOST_LOST = "host_lost"
    """The host did not come back in time, or its program is gone."""
    HOST_SILENT = "host_silent"
    """The host did not answer while this machine joined."""
    HOST_BROKE_PROTOCOL = "host_broke_protocol"
    """The host sent what the protocol forbids; `detail` says what."""
    HOST_CONNECTION_LOST = "host_connection_lost"
    """The connection ended while this machine joined; `detail` says why."""
    JOIN_REJECTED = "join_rejected"
    """The host did not let this machine in; `detail`, if present, is its sentence."""
    OTHER_VERSION = "other_version"
    """Host and peer speak different versions of the protocol; `detail` says which."""

    # This machine.
    PLAYING_WITHOUT_HOST = "playing_without_host"
    """The host is not heard; the peer plays on and tries to reconnect."""
    LOOKING_FOR_HOST = "looking_for_host"
    """The same while this machine plays nothing."""
    CLOCK_SILENT = "clock_silent"
    """The host's clock does not answer on its UDP port `number`, but the connection to the host works."""
    CLOCK_UNREACHABLE = "clock_unreachable"
    """This machine cannot send to the UDP port `number` of the host's clock; `detail` is the reason of the system."""
    NO_OUTPUT = "no_output"
    """This machine has no audio output."""
    MUTED = "muted"
    """This machine is muted since an earlier session."""
    NOT_ANNOUNCED = "not_announced"
    """The session cannot be found on the network; `detail` says why, `address` is what others join with."""
    NO_SESSION_FOUND = "no_session_found"
    """No session announces itself on this network."""
    SETTINGS_TROUBLE = "settings_trouble"
    """The settings cannot be read or written; `detail` is the sentence."""
    LOG_TROUBLE = "log_trouble"
    """The log cannot be written; `detail` is the sentence."""

    # Files to add.
    INVALID_MP3 = "invalid_mp3"
    """`file_name` is a damaged MP3 file, or unknown bytes."""
    UNPLAYABLE_FILE = "unplayable_file"
    """`file_name` is no MP3 file that can be played; `detail` says why, as a clause."""
    ENDS_EARLY = "ends_early"
    """`file_name` can be played, but its end is missing."""
    NO_FILE = "no_file"
    """There is no file `file_name` (a name, or a path as it was typed)."""
    FILE_UNREADABLE = "file_unreadable"
    """`file_name` cannot be read; `detail` is the reason of the system."""
    PATH_UNREADABLE = "path_unreadable"
    """A folder or playlist cannot be read; `detail` is the reason of the system."""
    CANNOT_ADD = "cannot_add"
    """`file_name` cannot be added; `detail` says why."""
    NOT_A_FILE = "not_a_file"
    """A pipe, a device or another special file."""
    NOT_AN_MP3 = "not_an_mp3"
    """A file of a folder whose name does not end in .mp3; `detail`, if present, says what it is."""
    NESTED_PLAYLIST = "nested_playlist"
    """A playlist inside a playlist of a playlist."""
    PLAYLIST_TOO_LARGE = "playlist_too_large"
    """A playlist of more than 10 MiB."""
    PLAYLIST_TOO_LONG = "playlist_too_long"
    """A playlist of more than `number` entries."""
    ELSEWHERE = "elsewhere"
    """An address in the network, not a file of this machine."""
    TOO_MANY_FILES = "too_many_files"
    """More files than one call may add."""

    # The calibration by a microphone (host).
    CALIBRATION_RUNS = "calibration_runs"
    """`calibrate` while a calibration runs."""
    CALIBRATION_ALONE = "calibration_alone"
    """`calibrate` although no peer has an audio output."""
    CALIBRATION_STOPPED = "calibration_stopped"
    """The user has stopped the calibration, or has begun to play."""
    CALIBRATION_FAILED = "calibration_failed"
    """The microphone of `peer` could not be used; `detail` says why."""
    LISTENER_SILENT = "listener_silent"
    """`peer`, whose microphone listens, does not answer."""

    # Answers to typed commands (`answer`).
    VOLUME = "volume"
    """The volume of this machine is `number` percent."""
    ROLE = "role"
    """This machine plays the channels `role`."""
    OFFSET = "offset"
    """The offset of this machine's output is `detail` milliseconds."""
    HEARD = "heard"
    """A microphone has heard the output of this machine; `detail` says when, and by how much it plays earlier."""
    NO_OFFSET_YET = "no_offset_yet"
    """No output is open whose offset could be shown or set."""
    REPEAT_ON = "repeat_on"
    """After the last track the first one plays again."""
    REPEAT_OFF = "repeat_off"
    """After the last track the music ends."""
    ADDING = "adding"
    """`file_name` (a name, or a path as it was typed) is being read."""
    MOVED = "moved"
    """`file_name` is track `number` of the queue now."""
    REMOVED = "removed"
    """`file_name` was removed from the queue."""
    RESTORED = "restored"
    """`file_name` is in the queue again."""
    QUEUE_SAVED = "queue_saved"
    """The queue was saved as the playlist `file_name`."""
    SHUFFLED = "shuffled"
    """The tracks after the current one have a new order."""
    SHUFFLE_OFF = "shuffle_off"
    """The tracks after the current one have the order of before."""
    SENDING_AGAIN = "sending_again"
    """The transfers that were given up are tried again."""
    PEER_VOLUME = "peer_volume"
    """The volume of `peer` becomes `number` percent."""
    PEER_MUTED = "peer_muted"
    """The output of `peer` becomes silent."""
    PEER_UNMUTED = "peer_unmuted"
    """The output of `peer` is heard again."""
    PEER_ROLE = "peer_role"
    """`peer` plays the channels `role` from now on."""
    NOT_WAITING = "not_waiting"
    """Playback no longer waits for `peer`, because the host's user has said so."""

    # Standard input.
    UNKNOWN_COMMAND = "unknown_command"
    """`detail` is no command; `choices` are."""
    MISTYPED_COMMAND = "mistyped_command"
    """`detail` is no command; `choices` are similar to it."""
    HOST_DECIDES = "host_decides"
    """`detail` is a command that only the host has."""
    ONE_SONG = "one_song"
    """`file_name`, which a peer has requested, is a folder or a playlist."""
    USAGE = "usage"
    """The arguments of a command are wrong; `detail` shows the right form."""
    NOTHING_REMOVED = "nothing_removed"
    """`undo` without a removed track."""
    NO_TRACK_NUMBER = "no_track_number"
    """The queue has no track `number`."""
    NO_REQUEST_NUMBER = "no_request_number"
    """There is no request `number`."""

    # Other commands.
    MEASUREMENT_CUT_SHORT = "measurement_cut_short"
    """`phaselock trace`: the session ended before the recording; `detail` says why."""
    BENCHMARK = "benchmark"
    """`phaselock bench`: something limits what the result says; `detail` is the sentence."""


@dataclasses.dataclass(frozen=True, slots=True)
class Notice:
    """One thing to tell people. Which of the values are there depends on the code."""

    code: Code
    detail: str = ""
    """English, or what another machine or the system said; fit to be shown."""
    file_id: UUID | None = None
    """Of a track of the session."""
    file_name: str | None = None
    """The track or file that it is about, without folders unless a path was typed."""
    peer: str | None = None
    """The display name of the peer that it is about."""
    peer_id: int | None = None
    """The peer's number in the session, from 1."""
    peers: tuple[str, ...] = ()
    """Display names, where it is about several."""
    number: int | None = None
    """A limit or a number that was typed; see the code."""
    address: str | None = None
    """What `phaselock join` takes."""
    choices: tuple[str, ...] = ()
    """What could have been typed instead."""
    role: Role | None = None
    """The channels that a machine plays."""


@dataclasses.dataclass(frozen=True, slots=True)
class LeftOut:
    """Something that was not added."""

    name: str
    """The name of the file, folder or playlist entry, without folders."""
    notice: Notice
    """Why. `--json` prints its English sentence as `reason` and its code as `code`."""
