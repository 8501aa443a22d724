"""What the window and the rest of the program say to each other.

The window calls `Program` on the GUI thread; every call returns at once. What comes of it arrives in the mailbox, which
the pump empties on the GUI thread; of the state only the newest `SessionView` counts. Everything here is a value.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Protocol, TypeAlias
from uuid import UUID

from phaselock.model.snapshot import SessionSnapshot
from phaselock.model.timing import Timing
from phaselock.session.commands import HostCommand
from phaselock.session.events import Event


@dataclasses.dataclass(frozen=True, slots=True)
class Preferences:
    """What is remembered between runs, as far as the window shows it."""

    display_name: str
    session_name: str
    port: int
    clock_port: int
    volume: float
    """0 to 1."""
    device: str | None
    """None: the system's choice."""
    ui: Mapping[str, object]
    """The window's own: place, size, whether the visualiser is on."""


@dataclasses.dataclass(frozen=True, slots=True)
class LocalStatus:
    """How this machine itself plays, as told once a second (see the `sync` event); None where it is not known."""

    playing: bool
    phase_error_ns: int
    clock_uncertainty_ns: int | None
    dac_uncertainty_ns: int | None
    timing: Timing
    drift_ppm: float | None
    correction_ppm: float
    rtt_ns: int | None
    underruns: int
    device_name: str | None
    output_latency_ns: int
    correction_ms: float
    """The user's own correction of this output."""


@dataclasses.dataclass(frozen=True, slots=True)
class SessionView:
    """The whole session at one moment."""

    hosting: bool
    address: str
    """Hosting: what others join with; taking part: where the host is."""
    snapshot: SessionSnapshot
    own: LocalStatus | None


@dataclasses.dataclass(frozen=True, slots=True)
class Found:
    """A session on this network."""

    session_name: str
    host_name: str
    peers: int
    max_peers: int
    address: str
    """What `Program.join` takes."""
    session_id: str


@dataclasses.dataclass(frozen=True, slots=True)
class FoundSessions:
    """All that are on the network now; `problem` in words when they cannot be searched for."""

    sessions: tuple[Found, ...]
    problem: str = ""


@dataclasses.dataclass(frozen=True, slots=True)
class Outputs:
    """The sound outputs of this machine, by name."""

    names: tuple[str, ...]


@dataclasses.dataclass(frozen=True, slots=True)
class SessionEvent:
    """An event of the session."""

    event: Event


@dataclasses.dataclass(frozen=True, slots=True)
class Opened:
    """The session that was asked for stands; the first `SessionView` is there."""


@dataclasses.dataclass(frozen=True, slots=True)
class Closed:
    """The session is over, or did not come about; `reason` is for people. `failed`: nobody here wished it."""

    reason: str
    failed: bool


@dataclasses.dataclass(frozen=True, slots=True)
class ArtworkRead:
    """The artwork of a track, JPEG or PNG; None: it has none."""

    file_id: UUID
    data: bytes | None


@dataclasses.dataclass(frozen=True, slots=True)
class WaveformRead:
    """How a track sounds, for the eye. None in `peaks`: it cannot be told."""

    file_id: UUID
    peaks: bytes | None
    """PEAKS values of 0 to 255 over the whole track: the loudest sample of each part."""
    bands: bytes
    """BANDS values of 0 to 255 (-60 dB to full scale, low to high) for every `hop_frames` frames."""
    hop_frames: int
    rate_hz: int


PEAKS = 600
BANDS = 24

BackendEvent: TypeAlias = FoundSessions | Outputs | SessionEvent | Opened | Closed | ArtworkRead | WaveformRead


class Program(Protocol):
    """The program behind the window. All methods return at once."""

    def preferences(self) -> Preferences:
        """What is remembered."""

    def remember(self, **ui: object) -> None:
        """Keep values of JSON for the window's next start."""

    def state(self) -> SessionView | None:
        """The newest; None while there is no session."""

    def mail(self, most: int) -> list[BackendEvent]:
        """Up to so many messages, oldest first; they are gone then."""

    def session_ns(self) -> int | None:
        """Session time now; None while it is not known."""

    def host(self, session_name: str, display_name: str, port: int, clock_port: int) -> None:
        """Open a session; Opened or Closed follows."""

    def join(self, address: str, display_name: str) -> None:
        """Take part in one, at `host`, `host:port` or `[v6]:port`; Opened or Closed follows."""

    def leave(self) -> None:
        """End the own session or leave another's; Closed follows."""

    def browse(self, on: bool) -> None:
        """Look for sessions (FoundSessions whenever they change), or stop looking."""

    def command(self, command: HostCommand) -> None:
        """Have the host's session do something."""

    def add(self, paths: Sequence[str]) -> None:
        """Append files, folders and playlists to the queue; the `added` or `error` event tells what came of it."""

    def request(self, path: str) -> None:
        """Ask the host for a song; `request` events tell what comes of it."""

    def set_volume(self, volume: float) -> None:
        """Of this machine, 0 to 1."""

    def set_correction_ms(self, correction_ms: float) -> None:
        """Of this machine's output: positive plays earlier."""

    def choose_output(self, name: str | None) -> None:
        """Play on this output from now on; None: the system's choice."""

    def list_outputs(self) -> None:
        """Outputs follows."""

    def picture(self, file_id: UUID) -> None:
        """ArtworkRead follows, if the file is here."""

    def shape(self, file_id: UUID) -> None:
        """WaveformRead follows, if the file is here; it takes a while."""

    def close(self) -> None:
        """Stop everything; two seconds at most."""
