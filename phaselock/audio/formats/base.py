"""What all kinds of music files have in common."""

from __future__ import annotations

import abc
import dataclasses
import pathlib
from typing import Any, Protocol

from phaselock.errors import PhaseLockError, message_of
from phaselock.language.message import N_, Message

CHANNELS = 2
"""Of every source."""
FRAME_BYTES = 4 * CHANNELS
MIN_RATE_HZ, MAX_RATE_HZ = 8_000, 192_000
MAX_HOURS = 12
"""Longer files are refused: a few bytes of a FLAC file can stand for hours of silence."""
REFUSED_PERCENT = 5
"""A file that is cut off is refused if this share of it is missing."""


class Source(Protocol):
    """A track being decoded to interleaved stereo float32 (shape (frames, 2)) at its own rate. For one thread at a
    time; decoding releases the GIL. Its methods may raise PhaseLockError."""

    def seek(self, frame: int) -> None:
        """Let the next read begin at `frame`, clamped to the track."""

    def read_into(self, target: Any, frames: int) -> int:
        """Write the next `frames` frames to `target`, an address or a writable buffer. Return how many were written:
        fewer only at the end of the track, 0 after it. ValueError if the buffer is too small."""

    def close(self) -> None:
        """Close the file."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Music(abc.ABC):
    """A file that can be played."""

    rate_hz: int
    channels: int
    frames: int
    bitrate_bps: int
    ends_early: bool = False
    """The end of the file is missing."""

    @abc.abstractmethod
    def open(self, path: pathlib.Path) -> Source:
        """Decode the file, which is at `path`, from frame 0 on. PhaseLockError if it cannot be read."""


def mostly_missing(percent: int) -> Message:
    """Why a file that is cut off cannot be played."""
    return Message(N_("{percent} % of it is missing at its end"), percent=percent)


def unreadable(path: pathlib.Path, error: OSError) -> PhaseLockError:
    """The error to raise when the system cannot read `path`."""
    return PhaseLockError("Cannot read {file_name}: {reason}", file_name=path.name, reason=message_of(error))
