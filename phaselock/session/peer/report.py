"""The report of a peer about its clock and its output."""

from __future__ import annotations

from phaselock.model.names import sentence
from phaselock.model.types import AudioStatus, ClockStatus
from phaselock.protocol import messages as m
from phaselock.session.states import UNKNOWN_UNCERTAINTY_NS, wire_uncertainty_ns

DEVICE_CHARS = 60
"""Longest name of an output in a PeerStatus; longer names are cut."""


def peer_status(
    status: AudioStatus, clock: ClockStatus, *, room_bytes: int, volume_percent: int, muted: bool
) -> m.PeerStatus:
    """The message for the host, with all numbers inside their bounds. `room_bytes`: see `PeerSession.room`."""
    uncertainty_ns = status.dac_uncertainty_ns
    return m.PeerStatus(
        phase_error_ns=_within(-UNKNOWN_UNCERTAINTY_NS, status.phase_error_ns, UNKNOWN_UNCERTAINTY_NS),
        offset_uncertainty_ns=wire_uncertainty_ns(clock.uncertainty_ns),
        dac_deviation_ns=wire_uncertainty_ns(status.dac_deviation_ns),
        dac_uncertainty_ns=None if uncertainty_ns is None else wire_uncertainty_ns(uncertainty_ns),
        timing=status.timing,
        drift_ppb=_within(-(10**9), round((clock.drift_ppm or 0.0) * 1000), 10**9),
        rtt_ns=_within(0, clock.rtt_ns or 0, m.MAX_DURATION_NS),
        output_latency_ns=_within(0, status.output_latency_ns, m.MAX_DURATION_NS),
        device_name=None if status.device_name is None else sentence(status.device_name)[:DEVICE_CHARS],
        underruns=status.underruns,
        clock_usable=clock.usable,
        clock_stale=clock.stale,
        room_bytes=room_bytes,
        volume_percent=volume_percent,
        muted=muted,
    )


def _within(low: int, value: int, high: int) -> int:
    return max(low, min(value, high))
