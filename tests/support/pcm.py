"""The compass: a sound from which the place in the track can be read, and functions that read it."""

from __future__ import annotations

import ctypes
import functools

import numpy as np
import numpy.typing as npt

TURN_FRAMES = 8820
"""The left and right channels are sine and cosine with this period: together they give the place within it, at any
volume."""


def compass(first_frame: int, frames: int, turn_frames: int = TURN_FRAMES) -> npt.NDArray[np.float32]:
    """Interleaved stereo of a track's frames [first_frame, first_frame + frames)."""
    first = first_frame % turn_frames
    turns = -(-(first + frames) // turn_frames)
    return np.tile(_turn(turn_frames), turns)[2 * first : 2 * (first + frames)]


@functools.cache
def _turn(turn_frames: int) -> npt.NDArray[np.float32]:
    """Interleaved stereo of one turn."""
    angle = 2 * np.pi * np.arange(turn_frames) / turn_frames
    return np.stack([np.sin(angle), np.cos(angle)], axis=1).astype(np.float32).ravel() * np.float32(0.5)


def stereo(output: bytes | bytearray) -> npt.NDArray[np.float64]:
    """The engine's output as (frames, 2)."""
    return np.frombuffer(output, np.float32).reshape(-1, 2).astype(np.float64)


def loudness(sound: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """The loudness of each frame, (frames,); 1 is the compass at full volume."""
    return np.asarray(np.hypot(sound[:, 0], sound[:, 1]) * 2)


def places(sound: npt.NDArray[np.float64], about_frame: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """The track frame, with its fraction, that each output frame plays, (frames,). `about_frame` must be right to
    within half a turn."""
    within = np.arctan2(sound[:, 0], sound[:, 1]) / (2 * np.pi) * TURN_FRAMES
    return np.asarray(within + TURN_FRAMES * np.round((about_frame - within) / TURN_FRAMES))


class CompassSource:
    """A track of the compass; a Source for Decks."""

    def __init__(self, frames: int, turn_frames: int = TURN_FRAMES) -> None:
        self.frames = frames
        self.turn_frames = turn_frames
        self.closed = False
        self._at = 0

    def seek(self, frame: int) -> None:
        self._at = min(max(frame, 0), self.frames)

    def read_into(self, address: int, frames: int) -> int:
        frames = min(frames, self.frames - self._at)
        if frames > 0:
            ctypes.memmove(address, compass(self._at, frames, self.turn_frames).tobytes(), frames * 8)
        self._at += frames
        return frames

    def close(self) -> None:
        self.closed = True
