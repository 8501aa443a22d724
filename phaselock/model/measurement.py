"""What the host has measured in the sound of a whole track."""

from __future__ import annotations

from phaselock.frozen import frozen
from phaselock.model.loudness import Loudness


@frozen
class Measurement:
    """The result of one decoding of the track, see `audio.waveform`."""

    loudness: Loudness
    range_lu: float | None
    """The loudness range by EBU Tech 3342; None: it is silent, or shorter than 3 s."""
    sound_begin_frame: int
    """The first frame that is not silent (pl_sound_range.h); 0 if all are silent."""
    sound_end_frame: int
    """The frame behind the last one that is not silent; the length of the track if all are silent."""
