"""The states of a session that a window shows, for tests of the window and its view models."""

from __future__ import annotations

import dataclasses
from typing import Any
from uuid import UUID

from phaselock.model.queue import ItemStatus, QueueItem
from phaselock.model.snapshot import FileState, FileView, PeerView, RequestState, RequestView, SessionSnapshot
from phaselock.model.timeline import Timeline
from phaselock.ui.backend import LocalStatus, SessionView
from phaselock.ui.viewmodel.words import NNBSP

MS = 1_000_000
RATE = 1000
CARD = LocalStatus(
    playing=True,
    phase_error_ns=-4_000,
    clock_uncertainty_ns=0,
    dac_uncertainty_ns=5_000,
    timing="exact",
    drift_ppm=0.0,
    correction_ppm=12.34,
    rtt_ns=0,
    underruns=0,
    device_name="Card",
    output_latency_ns=10 * MS,
    correction_ms=0.0,
)

WISH = RequestView(UUID(int=77), 1, "Ben", "new.mp3", 4_200_000, RequestState.OPEN, 0, "")


def item(number: int, status: ItemStatus = ItemStatus.READY, **changes: Any) -> QueueItem:
    row = QueueItem(UUID(int=number), f"{number}.mp3", 154.7, "Ana", status, f"Song {number}", "Band")
    return dataclasses.replace(row, **changes)


QUEUE = (item(1), item(2), item(3))
ALL = frozenset(row.id for row in QUEUE)


def peer(name: str = "Ben", peer_id: int = 1, **changes: Any) -> PeerView:
    """A peer that has every file and a good clock."""
    fine = PeerView(
        peer_id=peer_id,
        name=name,
        ready=True,
        have=ALL,
        files=(),
        files_total=3,
        waited_for=True,
        stuck=frozenset(),
        reported=True,
        clock_usable=True,
        clock_stale=False,
        rtt_ns=4_200_000,
        phase_error_ns=3_000,
        offset_uncertainty_ns=6_000,
        dac_uncertainty_ns=4_000,
        timing="exact",
        drift_ppb=3_100,
        output_latency_ns=12 * MS,
        device_name="Speakers",
        underruns=0,
        volume_percent=80,
        muted=False,
        role="stereo",
    )
    return dataclasses.replace(fine, **changes)


def file(number: int, state: FileState, done_bytes: int = 0) -> FileView:
    return FileView(UUID(int=number), state, done_bytes, 1000)


def line(number: int = 1, *, start_ns: int = 0, stop_ns: int | None = None, frame: int = 0) -> Timeline:
    return Timeline(UUID(int=number), RATE, frame, start_ns, stop_ns)


def host(*peers: PeerView, own: LocalStatus | None = CARD, **changes: Any) -> SessionView:
    """The host's state with these peers: nothing plays, and every file is there."""
    snapshot = SessionSnapshot("Friday", "Hana", "Hana", QUEUE, None, None, None, None, QUEUE[0].id, peers)
    return SessionView(True, "192.168.1.42", dataclasses.replace(snapshot, **changes), own)


def playing(*peers: PeerView, own: LocalStatus | None = CARD, **changes: Any) -> SessionView:
    return host(*peers, own=own, **{"now": QUEUE[0], "timeline": line()} | changes)


def more(count: int, **changes: Any) -> SessionView:
    """The host's state with `count` songs; the first one plays."""
    queue = tuple(item(number) for number in range(1, count + 1))
    return playing(queue=queue, now=queue[0], **changes)


def guest(own: LocalStatus | None = CARD, **changes: Any) -> SessionView:
    snapshot = SessionSnapshot("Friday", "Hana", "Ben", QUEUE, None, None, None)
    own = own and dataclasses.replace(own, clock_uncertainty_ns=own.clock_uncertainty_ns and 6_000, rtt_ns=6_200_000)
    return SessionView(False, "192.168.1.42", dataclasses.replace(snapshot, **changes), own)


def off(**changes: Any) -> LocalStatus:
    return dataclasses.replace(CARD, **changes)


def plain(text: str) -> str:
    """The text with usual spaces before its units."""
    return text.replace(NNBSP, " ")


def request(number: int, state: RequestState = RequestState.OPEN, **changes: Any) -> RequestView:
    wish = RequestView(UUID(int=number), number, "Sam", f"New {number}.mp3", 4_200_000, state, 0, "")
    return dataclasses.replace(wish, **changes)
