"""The report of the host about its own output, in the form of those of the peers."""

from __future__ import annotations

from phaselock.model.types import AudioStatus
from phaselock.protocol.messages import PeerStatus


def own_report(status: AudioStatus) -> PeerStatus:
    """The report for this state of the host's output. Session time is the host's own time, so its clock is exact."""
    return PeerStatus(
        phase_error_ns=status.phase_error_ns,
        offset_uncertainty_ns=0,
        dac_deviation_ns=status.dac_deviation_ns,
        dac_uncertainty_ns=status.dac_uncertainty_ns,
        timing=status.timing,
        drift_ppb=0,
        rtt_ns=0,
        output_latency_ns=max(0, status.output_latency_ns),
        device_name=status.device_name,
        underruns=status.underruns,
        clock_usable=True,
        clock_stale=False,
        room_bytes=0,
        role=status.role,
        trim_db=status.trim_db,
        correction_ns=status.correction_ns,
    )
