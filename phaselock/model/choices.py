"""Names of sound systems and clock filters, for the command line, the sound output and the clock."""

from __future__ import annotations

BACKENDS = ("auto", "pipewire", "jack", "pulseaudio", "alsa", "wasapi", "coreaudio", "null")
"""Sound systems of audio/device.py. "auto" tries those of the platform in order."""

FILTERS = ("envelope", "median", "kalman")
"""Filters of the clock measurements, in ext/pl_filter.c. The first one is the default."""
