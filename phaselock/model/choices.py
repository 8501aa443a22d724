"""The values that the command line, the sound output and the clock share."""

from __future__ import annotations

BACKENDS = ("auto", "pipewire", "jack", "pulseaudio", "alsa", "wasapi", "coreaudio", "null")
"""Backends of audio/device.py. "auto" tries those of the platform."""

FILTERS = ("envelope", "median", "kalman")
"""Filters of the clock measurements, in ext/pl_filter.c. The first one is the default."""
