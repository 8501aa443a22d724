"""The interface between the window and the rest of the program.

The window calls `Program` on the GUI thread; every call returns at once. Results arrive as events, which the pump
(ui/pump.py) reads on the GUI thread, and in the newest `SessionView`. All types here are immutable values.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, Protocol, TypeAlias
from uuid import UUID

from phaselock.frozen import frozen
from phaselock.model.calibration import OutputCalibration
from phaselock.model.notices import Code
from phaselock.model.role import Role
from phaselock.model.snapshot import SessionSnapshot
from phaselock.model.timing import Timing
from phaselock.session.commands import HostCommand
from phaselock.session.events import Event


@frozen
class Preferences:
    """The settings that the window shows."""

    display_name: str
    """The one used last, or a suggestion; never empty."""
    session_name: str
    """Empty: never set."""
    port: int
    clock_port: int
    max_peers: int
    """How many peers a jam of this user lets in."""
    with_code: bool
    """The last jam had a code."""
    own_code: str
    """The code that the user has chosen, as it was typed; empty: the program makes them."""
    volume: float
    """0 to 1; kept while muted."""
    muted: bool
    role: Role
    """The channels that this machine plays."""
    loudness_lufs: float
    """How loud a host plays all songs, also while that is switched off."""
    device: str | None
    """None: the default output of the system."""
    microphone: str | None
    """None: the default input of the system."""
    may_host: bool
    """This machine may become the host of a jam that it joins."""
    ui: Mapping[str, object]
    """The window's own settings: position and size, whether the visualiser is on."""


@frozen
class LocalStatus:
    """How this machine plays, read once a second (see the `sync` event). None: unknown."""

    playing: bool
    phase_error_ns: int
    clock_uncertainty_ns: int | None
    dac_uncertainty_ns: int | None
    timing: Timing
    drift_ppm: float | None
    correction_ppm: float
    rtt_ns: int | None
    """Recent worst round trip."""
    underruns: int
    device_name: str | None
    output_latency_ns: int
    correction_ms: float
    """The user's correction of this output; positive plays earlier."""
    calibration: OutputCalibration = OutputCalibration()
    """What a microphone has heard of it."""
    trim_db: float = 0.0
    """How much louder than the volume says it plays, because the host has evened out the volumes; 0 or less."""
    least_rtt_ns: int | None = None
    """Least round trip of about the last minute."""


@frozen
class SessionClock:
    """The map from local to session time, as measured at one moment; good for any local time near it.

    session time = local time + offset_ns + drift * (local time - anchor_local_ns)
    """

    anchor_local_ns: int
    offset_ns: int
    """Session time minus local time at the anchor."""
    drift: float
    """Change of the offset, as a fraction of local time (1e-6 = 1 ppm)."""

    def session_ns(self, local_ns: int) -> int:
        """Session time at a local time, as ext/pl_clock.h computes it."""
        return local_ns + self.offset_ns + int(self.drift * (local_ns - self.anchor_local_ns))


@frozen
class ServedPage:
    """The page that the host serves to phones."""

    link: str = ""
    """For a camera: the address with the page's secret; empty: the page is off."""
    address: str = ""
    """As people type it."""
    problem: str = ""
    """Why it cannot be switched on, as a sentence in the language of the process."""


@frozen
class SessionView:
    """The whole session at one moment; a new one at least five times a second."""

    hosting: bool
    address: str
    """The host's address, as `Program.join` takes it."""
    snapshot: SessionSnapshot
    own: LocalStatus | None
    """None until it has been read once."""
    clock: SessionClock | None = None
    """None: session time is unknown."""
    host_words: str = ""
    """The host's key as four short words, the same at all machines."""
    guest_page: ServedPage = ServedPage()
    """Host only."""
    fallback: str = ""
    """Host: the file or folder whose songs play when no one asks for any; empty: there is none."""


@frozen
class Found:
    """A session on this network."""

    session_name: str
    host_name: str
    peers: int
    max_peers: int
    address: str
    """As `Program.join` takes it."""
    session_id: str
    needs_code: bool = False
    """It has a code."""
    problem: str = ""
    """Why it is not known which machine is its host, as a sentence in the language of the process."""
    code_known: bool = False
    """This window has joined it by a code, which `Program.join` tries."""


@frozen
class FoundSessions:
    """All sessions on the network now; `problem`: why the search does not work, as a sentence
    in the language of the process."""

    sessions: tuple[Found, ...]
    problem: str = ""


@frozen
class Outputs:
    """The sound outputs of this machine, by name."""

    names: tuple[str, ...]


@frozen
class Inputs:
    """The names of the sound inputs of this machine."""

    names: tuple[str, ...]


@frozen
class SessionEvent:
    """An event of the session."""

    event: Event


@frozen
class Opened:
    """The requested session is open, and `Program.state` returns its first view."""


@frozen
class Closed:
    """The session has ended or could not be opened; `reason` is a sentence in the language of
    the process. `failed`: not by the user."""

    reason: str
    failed: bool
    taken_port: int | None = None
    """The port that another program uses, if that is the reason."""
    why: Code | None = None
    """The kind of the reason, if it has one."""


@frozen
class ArtworkRead:
    """The artwork of a track, as `Program.read_artwork` was asked for it; None: the track has none."""

    file_id: UUID
    size: int
    crop: bool
    ppm: bytes | None
    """A picture of the format PPM. The longer side has `size` pixels; `crop`: both sides have."""


@frozen
class WaveformRead:
    """Waveform and spectrum of a track; `peaks` is None if the file cannot be decoded."""

    file_id: UUID
    peaks: bytes | None
    """PEAKS values of 0 to 255 over the whole track: the loudest sample of each part."""
    bands: bytes
    """BANDS values of 0 to 255 (-60 dB to full scale, low to high) for every `hop_frames` frames."""
    hop_frames: int
    rate_hz: int


@frozen
class FilesGiven:
    """The user has opened these files, folders and playlists with PhaseLock; absolute paths in their order."""

    paths: tuple[str, ...]


@frozen
class InvitationGiven:
    """The user has opened an invitation with PhaseLock, for example in a browser. It may be invalid."""

    text: str


@frozen
class LastQueue:
    """The songs of the last queue that this machine has hosted, as absolute paths. Files may be missing."""

    paths: tuple[str, ...]


@frozen
class FoundSong:
    """A song of the music folder. The texts are safe to show; empty if the file has no such tag."""

    song_id: int
    title: str
    artist: str
    album: str
    duration_secs: float
    """0: not known."""
    file_name: str


@frozen
class FoundSongs:
    """The songs of the music folder with all words of `text`, the best match first."""

    text: str
    songs: tuple[FoundSong, ...]


@frozen
class QueueSaved:
    """The queue was saved as a playlist, or could not be: then `problem` says why, as a sentence in the
    language of the process."""

    file_name: str
    songs: int
    problem: str


@frozen
class Asked:
    """The user asks for this in a panel of the desktop: the window in the front, or the end of the program."""

    what: Literal["raise", "quit"]


@frozen
class AppearanceRead:
    """What the user has set for all programs of this machine."""

    high_contrast: bool
    reduced_motion: bool


PEAKS = 600
BANDS = 24

BackendEvent: TypeAlias = (
    FoundSessions
    | Outputs
    | Inputs
    | SessionEvent
    | Opened
    | Closed
    | ArtworkRead
    | WaveformRead
    | FilesGiven
    | InvitationGiven
    | Asked
    | AppearanceRead
    | LastQueue
    | FoundSongs
    | QueueSaved
)


class Program(Protocol):
    """The program behind the window. Call it on the GUI thread only; all methods but `close` return at once."""

    def preferences(self) -> Preferences:
        """The stored settings."""

    def remember(self, **ui: object) -> None:
        """Store settings of the window; values must be JSON."""

    def show_presence(self, focused: bool, handle: int) -> None:
        """Tell whether the window has the keyboard, and its native handle."""

    def read_appearance(self) -> None:
        """AppearanceRead follows."""

    def receive(self) -> None:
        """Start to receive what the user opens with PhaseLock; FilesGiven or InvitationGiven follows at each time."""

    def state(self) -> SessionView | None:
        """The newest view; None while no session is open."""

    def events(self, max_count: int) -> list[BackendEvent]:
        """Remove and return up to `max_count` events, oldest first."""

    def session_ns(self) -> int | None:
        """Session time now, from the clock of the newest view; None: unknown."""

    def remember_code(self, with_code: bool, own_code: str) -> None:
        """Store whether a jam has a code, and the one of the user, as it was typed; empty: the program makes them."""

    def host(
        self,
        session_name: str,
        display_name: str,
        port: int,
        clock_port: int,
        code: str = "",
        max_peers: int | None = None,
    ) -> None:
        """Open a session; Opened or Closed follows. `code` is in its normal form; empty: everybody may join.
        `max_peers` may join; None: as many as the settings say."""

    def join(self, address: str, display_name: str, code: str | None = None) -> None:
        """Join the session at `host`, `host:port`, `[v6]:port` or an invitation; Opened or Closed follows. `code` is in
        its normal form; empty: none; None: that of the invitation, or with which this session was joined before."""

    def return_by(self, invitation: str) -> None:
        """Peer: look for the lost host at the places of a newer invitation to the same session; an `error` event
        follows if there is nothing to look for."""

    def leave(self) -> None:
        """End the session if hosting, else leave it; Closed follows."""

    def browse(self, on: bool) -> None:
        """Start or stop searching for sessions; FoundSessions follows at each change."""

    def command(self, command: HostCommand) -> None:
        """Pass a command to the host's session."""

    def say(self, text: str) -> None:
        """Write a message to all; a `chat` or `error` event follows."""

    def vote(self, file_id: UUID, wanted: bool) -> None:
        """Vote for a song that waits, or take the vote back."""

    def want_skip(self, file_id: UUID, wanted: bool) -> None:
        """Vote for leaving the song that plays, or take the vote back."""

    def use_outside_address(self, address: str) -> None:
        """Host: let invitations name this address, which `parse_candidate` takes. The user has opened the router."""

    def show_guest_page(self, on: bool) -> None:
        """Host: serve the page for phones, or stop that. The next view has its address, or why it cannot be served."""

    def renew_guest_page(self) -> None:
        """Host: give the page a new secret. Those who came in by the old one must come in again."""

    def set_fallback(self, path: str) -> None:
        """Host: play songs of this file, folder or playlist when no one asks for any; empty: play none."""

    def add(self, paths: Sequence[str]) -> None:
        """Append files, folders and playlists to the queue; an `added` or `error` event follows."""

    def cancel_conversion(self) -> None:
        """Leave out the file that is being converted; a `conversion` event follows if there is one."""

    def read_last_queue(self) -> None:
        """LastQueue follows."""

    def read_library(self) -> None:
        """Host: a `library` event follows, which tells what is known of the music folder."""

    def choose_library(self, path: str) -> None:
        """Host: search in this folder from now on, and store it; empty: in none. `library` events follow."""

    def search_library(self, text: str) -> None:
        """Host: FoundSongs follows."""

    def add_from_library(self, song_id: int) -> None:
        """Host: append a song of the music folder to the queue; an `error` event follows if that fails."""

    def save_queue(self, path: str) -> None:
        """Save the host's queue as a playlist; QueueSaved follows."""

    def show_in_folder(self, file_id: UUID) -> None:
        """Show the file of a track in the file manager, if this machine has it."""

    def request(self, path: str) -> None:
        """Ask the host to add a song; `request` events follow."""

    def set_volume(self, volume: float, muted: bool = False) -> None:
        """Set the volume of this machine, 0 to 1, and whether it is muted."""

    def set_role(self, role: Role) -> None:
        """Set which channels this machine plays."""

    def set_correction_ms(self, correction_ms: float) -> None:
        """Set the correction of this machine's output; positive plays earlier."""

    def forget_calibration(self) -> None:
        """Forget what a microphone has heard of this machine's output."""

    def forget_trim(self) -> None:
        """Play as loud as the volume says on this machine's output."""

    def use_calibration(self) -> None:
        """Apply what was set aside, because the output tells another latency than when it was heard."""

    def choose_output(self, name: str | None) -> None:
        """Play on this output from now on; None: the default output of the system."""

    def list_outputs(self) -> None:
        """Outputs follows."""

    def choose_microphone(self, name: str | None) -> None:
        """Listen by this sound input from now on; None: the default input of the system."""

    def set_may_host(self, may_host: bool) -> None:
        """Store whether this machine may become the host. It holds from the next jam on."""

    def list_inputs(self) -> None:
        """Inputs follows."""

    def permit_microphone(self, permitted: bool) -> None:
        """Peer: let the host listen by this machine's microphone until the session ends, or forbid it."""

    def answer_microphone(self, allowed: bool) -> None:
        """Peer: answer the host, which has asked whether it may listen once."""

    def read_artwork(self, file_id: UUID, size: int, crop: bool) -> None:
        """ArtworkRead follows if this machine has the file. `size` in pixels; `crop`: the middle, as a square."""

    def read_waveform(self, file_id: UUID) -> None:
        """WaveformRead follows if this machine has the file; decoding takes seconds."""

    def free_memory(self) -> None:
        """Return memory that a session has used to the system. Takes some milliseconds."""

    def close(self) -> None:
        """Stop everything. Takes at most two seconds, then ends the process."""
