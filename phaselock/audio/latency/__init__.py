"""What the platform says of the way from a callback to the loudspeaker, asked beside the stream, never on its thread.

A latency runs from the entry of a callback to the moment at which its first frame leaves the loudspeaker: the
platform's own figure and, as miniaudio fills its fixed-size buffer one period ahead of the device, one callback period.

JACK and PulseAudio (its own and PipeWire's) were tried with real servers. ALSA, CoreAudio and WASAPI are untested.
"""

from __future__ import annotations

from phaselock.audio.latency.probe import Asked, LatencyProbe, PeriodProbe

__all__ = ["Asked", "LatencyProbe", "open_probe"]


def open_probe(
    backend: str,
    client_name: str,
    device_id: bytes | None,
    rate_hz: int,
    period_frames: int,
    asked: Asked | None,
) -> LatencyProbe:
    """The probe of an output just opened with callbacks of `period_frames` (0: the platform knows). `device_id` is
    miniaudio's, None for the default output. Raises AudioDeviceError."""
    if backend == "jack":
        from phaselock.audio.latency.jack import JackProbe

        return JackProbe()
    if backend == "pulseaudio" and asked is not None:
        from phaselock.audio.latency.pulse import PulseProbe

        return PulseProbe(client_name, rate_hz, period_frames, asked)
    if backend == "alsa" and asked is not None:
        from phaselock.audio.latency.alsa import AlsaProbe

        return AlsaProbe(rate_hz, period_frames, asked)
    if backend == "coreaudio":
        from phaselock.audio.latency.coreaudio import CoreAudioProbe

        return CoreAudioProbe(device_id, rate_hz, period_frames)
    if backend == "wasapi":
        from phaselock.audio.latency.wasapi import WasapiProbe

        return WasapiProbe(device_id, rate_hz, period_frames)
    return PeriodProbe(rate_hz, period_frames)
