"""What the screens show. Equal states give equal views, so that a screen leaves alone what has not changed."""

from __future__ import annotations

import dataclasses
from typing import Literal
from uuid import UUID

Kind = Literal["good", "warning", "error", "neutral"]
ToastKind = Literal["info", "warning", "error"]


@dataclasses.dataclass(frozen=True, slots=True)
class Chip:
    """A few words and what they mean."""

    text: str
    kind: Kind


@dataclasses.dataclass(frozen=True, slots=True)
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
    """How far its files are."""
    trouble: str
    """"No audio output", "Clock not in time", "Not waited for" or nothing."""
    progress: float | None
    """0 to 1 of the file that it is receiving."""
    can_retry: bool
    """Something was given up and may be sent once more."""
    tooltip: str
    """Several lines."""


@dataclasses.dataclass(frozen=True, slots=True)
class NowPlaying:
    """The track of the moment."""

    file_id: UUID | None
    """None when nothing plays, is paused or is waited for."""
    title: str
    artist: str
    file_name: str
    initial: str
    state: str
    """"stopped", "waiting", "playing" or "paused"."""
    duration_s: float
    note: str


@dataclasses.dataclass(frozen=True, slots=True)
class QueueRow:
    """A track of the queue."""

    id: UUID
    number: int
    """From 1."""
    title: str
    subtitle: str
    duration_text: str
    status: str
    """"transferring", "ready", "playing" or "played"."""
    status_text: str
    playing: bool
    """It is the track of the moment, paused or not."""
    played: bool
    progress: float | None
    """0 to 1, the mean over those who are receiving it."""
    initial: str


@dataclasses.dataclass(frozen=True, slots=True)
class RequestRow:
    """Somebody's wish for a song."""

    request_id: UUID
    number: int
    text: str
    size_text: str
    state: str
    """"open", "accepted", "added", "rejected" or "failed"."""
    progress: float | None
    """0 to 1 while it is on its way."""
    decidable: bool
    """The host may accept or reject it."""


@dataclasses.dataclass(frozen=True, slots=True)
class TransportView:
    """The buttons."""

    playing: bool
    can: frozenset[str]
    """Of "play_pause", "stop", "next", "previous" and "seek"."""
    play_tooltip: str
    """What the main button does, or why it cannot; several lines."""


@dataclasses.dataclass(frozen=True, slots=True)
class SyncReadout:
    """How one machine keeps time, in words; "–" for what is not known."""

    name: str
    error_text: str
    uncertainty_text: str
    drift_text: str
    correction_text: str
    underruns: int


@dataclasses.dataclass(frozen=True, slots=True)
class SyncView:
    """How well all play together."""

    sentence: str
    kind: Kind
    machines: tuple[SyncReadout, ...]


@dataclasses.dataclass(frozen=True, slots=True)
class HostView:
    """The host's screen."""

    title: str
    subtitle: str
    address: str
    peers: tuple[PeerRow, ...]
    now: NowPlaying
    queue: tuple[QueueRow, ...]
    queue_note: str
    requests: tuple[RequestRow, ...]
    more_requests: int
    """So many are not among `requests`."""
    sync: SyncView
    transport: TransportView


@dataclasses.dataclass(frozen=True, slots=True)
class PeerScreenView:
    """The screen of somebody who takes part."""

    title: str
    connection: str
    connection_kind: Kind
    chip_text: str
    chip_kind: Kind
    now: NowPlaying
    queue: tuple[QueueRow, ...]
    queue_note: str
    requests: tuple[RequestRow, ...]
    """The own ones, latest first; `text` says what has become of them."""
    sync: SyncView


@dataclasses.dataclass(frozen=True, slots=True)
class FoundRow:
    """A session to join."""

    address: str
    title: str
    subtitle: str
    full: bool
    session_id: str


@dataclasses.dataclass(frozen=True, slots=True)
class BrowserView:
    """The sessions of this network."""

    rows: tuple[FoundRow, ...]
    note: str
    """What to do when there are none; nothing otherwise."""
    searching: bool


@dataclasses.dataclass(frozen=True, slots=True)
class Toast:
    """A sentence that comes and goes."""

    text: str
    kind: ToastKind
    action: Literal["retry"] | None = None
    """"retry": send `peer` once more what was given up."""
    peer: str = ""
