"""Sound that tells where in the track it is, and the ear that reads it."""

from __future__ import annotations

import ctypes

import numpy as np
import numpy.typing as npt

TURN_FRAMES = 8820
"""The left and right channels are sine and cosine of a turn of so many frames: together they name the place within it,
whatever the volume."""


def compass(first_frame: int, frames: int, turn_frames: int = TURN_FRAMES) -> npt.NDArray[np.float32]:
    """Interleaved stereo of a track's frames [first_frame, first_frame + frames)."""
    angle = 2 * np.pi * ((first_frame + np.arange(frames)) % turn_frames) / turn_frames
    return np.stack([np.sin(angle), np.cos(angle)], axis=1).astype(np.float32).ravel() * np.float32(0.5)


def stereo(output: bytes | bytearray) -> npt.NDArray[np.float64]:
    """What the engine filled, as (frames, 2)."""
    return np.frombuffer(output, np.float32).reshape(-1, 2).astype(np.float64)


def loudness(sound: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """1 where the compass sounds at full volume."""
    return np.asarray(np.hypot(sound[:, 0], sound[:, 1]) * 2)


def places(sound: npt.NDArray[np.float64], about_frame: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """The track frame, with its fraction, that each output frame plays; `about_frame` to within half a turn."""
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
