"""What the host tells of a peer in its events."""

from __future__ import annotations

from typing import Any

from phaselock.model.snapshot import PeerView
from phaselock.session import events as e


def peer_figures(peer: PeerView) -> dict[str, Any]:
    """The arguments of PeerFigures, rounded to a microsecond or less."""
    return {
        "name": peer.name,
        "ready": peer.ready,
        "files_ready": len(peer.have),
        "files": peer.files_total,
        "waited_for": peer.waited_for,
        "transfers": tuple(e.PeerTransfer(file.file_id, file.state, file.done_bytes) for file in peer.files),
        "clock": "none" if not peer.clock_usable else "stale" if peer.clock_stale else "good",
        "latency_ms": round(peer.latency_ns / 1e6, 3),
        "latency_class": peer.latency_class,
        "rtt_ms": round(peer.rtt_ns / 1e6, 3),
        "far": peer.far,
        "away_ms": round(peer.away_ns / 1e6, 3),
        "phase_error_us": round(peer.phase_error_ns / 1e3, 1),
        "offset_uncertainty_us": e.known_us(peer.offset_uncertainty_ns),
        "dac_uncertainty_us": e.known_us(peer.dac_uncertainty_ns),
        "drift_ppm": round(peer.drift_ppb / 1e3, 3),
        "output_latency_ms": round(peer.output_latency_ns / 1e6, 3),
        "device": peer.device_name,
        "timing": peer.timing,
        "underruns": peer.underruns,
        "volume_percent": peer.volume_percent,
        "muted": peer.muted,
        "role": peer.role,
        "confirmed": e.confirmed_row(peer.confirmed),
    }
