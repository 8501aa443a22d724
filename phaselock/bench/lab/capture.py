"""Record a sound input for numpy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from phaselock.audio import microphone
from phaselock.bench.lab.wav import Capture


def record(
    seconds: float,
    channels: int,
    input_name: str | None = None,
    on_progress: Callable[[float], None] = lambda _seconds: None,
    on_block: Callable[[Any, int], None] = lambda _device, _frames: None,
) -> Capture:
    """Record as `microphone.record` does, which documents the arguments."""
    found = microphone.record(seconds, channels, input_name, on_progress, on_block)
    return Capture(found.rate_hz, np.frombuffer(found.frames, np.float32).reshape(-1, channels))
