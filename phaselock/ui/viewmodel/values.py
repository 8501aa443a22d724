"""The values that the screens show. Equal states give equal views, so a screen redraws only changed values."""

from __future__ import annotations

from typing import Literal
from uuid import UUID

from phaselock.frozen import frozen
from phaselock.model.calibration import Confirmation

Kind = Literal["good", "warning", "error", "neutral"]
ToastKind = Literal["info", "warning", "error"]


@frozen
class Chip:
    """A short text with a colour: `kind` selects it."""

    text: str
    kind: Kind


@frozen
class PeerRow:
    """A peer in the host's list."""

    peer_id: int
    name: str
    initial: str
    latency_class: str
    """"green", "yellow" or "red"; yellow before the first report."""
    latency_text: str
    chip_text: str
    chip_kind: Kind
    detail: str
    """The progress of its files."""
    has_all_files: bool
    """True if `detail` says that it has all files of the queue."""
    trouble: str
    """Why it may not play in time with the others; empty if it does."""
    progress: float | None
    """Progress of the file that it is receiving, 0 to 1; None if there is none."""
    can_retry: bool
    """True if a file could not be sent; the host may send it again."""
    tooltip: str
    """Text of several lines."""
    volume_percent: int | None
    """Volume of its speaker, 0 to 100, also while it is muted; None: not known."""
    muted: bool
    mute_text: str
    """What a click on its loudspeaker sign does."""
    channels_text: str
    """The channels that it plays; empty: not known."""


@frozen
class NowPlaying:
    """The current track."""

    file_id: UUID | None
    """None if no track plays, is paused or is waited for."""
    title: str
    artist: str
    file_name: str
    initial: str
    state: str
    """"stopped", "waiting", "playing" or "paused"."""
    duration_s: float
    note: str


@frozen
class QueueRow:
    """A track of the queue."""

    id: UUID
    number: int
    """Position in the queue, from 1."""
    title: str
    subtitle: str
    duration_text: str
    status: str
    """"transferring", "ready", "playing" or "played"."""
    status_text: str
    playing: bool
    """True if it is the current track, also while it is paused."""
    played: bool
    progress: float | None
    """Progress of the transfer, 0 to 1: the mean of the peers that are receiving it; None if there are none."""
    initial: str
    votes: int = 0
    voted: bool = False
    """The user of this machine has voted for it."""
    can_vote: bool = False
    """It waits, and votes move it."""
    voters: tuple[str, ...] = ()
    """Host: the names of those who have voted for it."""


@frozen
class GuestRow:
    """A person with the host's page open, for example on a phone."""

    guest_id: str
    name: str
    detail: str
    """Whether the phone plays, and how exactly; empty: it does not."""
    connected: bool
    """The page is open now."""


@frozen
class SkipVote:
    """The votes for leaving the song that plays."""

    text: str
    """Empty: no one wants that."""
    can_vote: bool
    wanted: bool
    """The user of this machine wants it."""
    short: str = ""
    """The text without names."""


@frozen
class RequestRow:
    """A peer's request for a song."""

    request_id: UUID
    number: int
    title: str
    """The title of the song, or its file name."""
    subtitle: str
    """Artist, who asks for it or how far it is, and its size."""
    duration_text: str
    """Empty: not known."""
    state: str
    """"open", "accepted", "converting", "added", "rejected" or "failed"."""
    progress: float | None
    """Progress of the upload or the conversion, 0 to 1; None if there is none."""
    decidable: bool
    """True if the host can accept or reject it now."""


@frozen
class TransportView:
    """The transport buttons. `can` names the enabled ones."""

    playing: bool
    can: frozenset[str]
    """A subset of "play_pause", "stop", "next", "previous" and "seek"."""
    play_tooltip: str
    """What the main button does, or why it is disabled; text of several lines."""
    shuffle: bool
    """The coming songs are shuffled."""
    repeat: bool
    """The queue begins again after its last song."""


@frozen
class SyncReadout:
    """The numbers of one machine as text; "–" if a number is not known."""

    key: int
    """0: this machine; else the peer's id."""
    name: str
    error_text: str
    uncertainty_text: str
    drift_text: str
    correction_text: str
    underruns: int
    confirmed: Confirmation | None
    """What a microphone has heard of it."""


@frozen
class SyncView:
    """How accurately the machines play together."""

    sentence: str
    kind: Kind
    machines: tuple[SyncReadout, ...]
    short: str
    """The figure of the sentence, for a narrow place; empty: the sentence has none."""
    far: str = ""
    """A sentence about the machines that are far, which the others do not tell of."""


@frozen
class HostView:
    """The host's screen."""

    title: str
    subtitle: str
    address: str
    code: str
    """As people read it; empty: everybody may join."""
    removed: tuple[str, ...]
    """The names of the peers that may not come back, each once."""
    removed_guests: tuple[str, ...]
    """The names of the guests that may not come back, each once."""
    peers: tuple[PeerRow, ...]
    guests: tuple[GuestRow, ...]
    guests_note: str
    """How many guests have the page open; empty: there are no guests."""
    now: NowPlaying
    queue: tuple[QueueRow, ...]
    queue_note: str
    requests: tuple[RequestRow, ...]
    """The newest first."""
    more_requests: int
    """Number of requests that are not in `requests`."""
    sync: SyncView
    transport: TransportView
    skip: SkipVote


@frozen
class PeerScreenView:
    """The peer's screen."""

    title: str
    connection: str
    connection_kind: Kind
    chip_text: str
    chip_kind: Kind
    now: NowPlaying
    queue: tuple[QueueRow, ...]
    queue_note: str
    requests: tuple[RequestRow, ...]
    """This peer's requests, latest first; `text` includes the state."""
    sync: SyncView
    rules_note: str
    """The rules for songs that people ask for; empty: the host decides."""
    skip: SkipVote


@frozen
class FoundRow:
    """A session that the user can join."""

    address: str
    title: str
    subtitle: str
    full: bool
    session_id: str
    gone: bool = False
    """It is no longer announced, and keeps its place only while the pointer is over the list."""
    asks: bool = False
    """The user has to type the code of the jam to join it."""
    problem: str = ""
    """A sentence: why it cannot be joined by a click."""


@frozen
class BrowserView:
    """The screen with the sessions on this network."""

    rows: tuple[FoundRow, ...]
    note: str
    """What the user can do if no session is found; empty otherwise."""
    searching: bool


@frozen
class Toast:
    """A sentence that is shown for a short time."""

    text: str
    kind: ToastKind
    action: Literal["retry", "allow"] | None = None
    """"retry": a button that sends `peer` the failed files again; "allow": one that lets `peer` in again, which was
    removed; None: no button."""
    peer: str = ""
