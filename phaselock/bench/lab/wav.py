"""Read WAV files of 16, 24 or 32 bits or of floats, as sound editors and recorders write them."""

from __future__ import annotations

import io
import os
import pathlib
import struct
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from phaselock.errors import PhaseLockError
from phaselock.frozen import frozen
from phaselock.storage.files import open_regular

MAX_FILE_BYTES = 500_000_000
MAX_LEVEL = 1e6
"""A larger sample is not sound; full scale is 1."""

_PCM, _FLOAT, _EXTENSIBLE = 1, 3, 0xFFFE
_SCALES = {(_PCM, 16): 2.0**15, (_PCM, 24): 2.0**31, (_PCM, 32): 2.0**31, (_FLOAT, 32): 1.0, (_FLOAT, 64): 1.0}
_BLOCK_FRAMES = 1 << 16


@frozen
class Capture:
    """Captured sound: `frames` has the shape (frames, channels), float32, full scale 1."""

    rate_hz: int
    frames: NDArray[np.float32]


def read_wav(path: pathlib.Path, channels: int = 2) -> Capture:
    """Read at most the first `channels` channels. A file that ends early gives the frames it contains. Raise
    PhaseLockError if the file is no WAV file of a known kind, or is larger than MAX_FILE_BYTES."""
    try:
        with io.BufferedReader(open_regular(path)) as file:
            size = os.fstat(file.fileno()).st_size
            if size > MAX_FILE_BYTES:
                raise ValueError(f"it is larger than {MAX_FILE_BYTES // 10**6} MB")
            return _read(file, size, channels)
    except OSError as error:
        raise PhaseLockError(f"{path} cannot be read: {error.strerror}.") from None
    except (ValueError, struct.error) as error:
        reason = "it ends too early" if isinstance(error, struct.error) else str(error)
        raise PhaseLockError(f"{path} is not a WAV file that can be measured: {reason}.") from None


def _read(file: BinaryIO, file_bytes: int, wanted: int) -> Capture:
    riff, _, wave = struct.unpack("<4sI4s", file.read(12))
    if (riff, wave) != (b"RIFF", b"WAVE"):
        raise ValueError("it is another kind of file")
    kind: tuple[int, int] | None = None
    channels = rate_hz = 0
    while True:
        name, size = struct.unpack("<4sI", file.read(8))
        if name == b"data":
            break
        if name == b"fmt ":
            header = file.read(min(size, 64))
            code, channels, rate_hz, _, _, bits = struct.unpack_from("<HHIIHH", header)
            if code == _EXTENSIBLE and len(header) >= 26:
                (code,) = struct.unpack_from("<H", header, 24)
            kind = (code, bits)
            file.seek(size - len(header) + size % 2, 1)
        else:
            file.seek(size + size % 2, 1)
    if kind is None:
        raise ValueError("it has no format before the sound")
    if kind not in _SCALES:
        raise ValueError("its format is neither integers of 16, 24 or 32 bits nor floats")
    if not 1 <= channels <= 32 or not 8000 <= rate_hz <= 384_000:
        raise ValueError(f"{channels} channels at {rate_hz} Hz are out of range")
    frame_bytes = channels * kind[1] // 8
    present = max(0, min(size, file_bytes - file.tell())) // frame_bytes  # the header may claim more
    return Capture(rate_hz, _frames(file, present, kind, channels, wanted))


def _frames(file: BinaryIO, count: int, kind: tuple[int, int], channels: int, wanted: int) -> NDArray[np.float32]:
    """Read up to `count` frames, (frames, at most `wanted` channels). In blocks: at once, a file of floats would be in
    memory three times."""
    frame_bytes = channels * kind[1] // 8
    frames = np.zeros((count, min(channels, wanted)), np.float32)
    done = 0
    while done < count:
        raw = file.read(min(_BLOCK_FRAMES, count - done) * frame_bytes)
        block = _numbers(raw[: len(raw) // frame_bytes * frame_bytes], kind).reshape(-1, channels)[:, :wanted]
        if not len(block):  # the file became shorter in the meantime
            break
        if not np.isfinite(block).all() or np.abs(block).max() > MAX_LEVEL:
            raise ValueError("it contains samples that are not sound")
        frames[done : done + len(block)] = block
        done += len(block)
    return frames[:done]


def _numbers(raw: bytes, kind: tuple[int, int]) -> NDArray[np.float32]:
    code, bits = kind
    if code == _FLOAT:
        with np.errstate(
            over="ignore", invalid="ignore"
        ):  # what does not fit in float32 becomes infinite, and is refused
            return np.frombuffer(raw, f"<f{bits // 8}").astype(np.float32)
    if bits == 24:  # the upper three bytes of 32
        whole = np.zeros((len(raw) // 3, 4), np.uint8)
        whole[:, 1:] = np.frombuffer(raw, np.uint8).reshape(-1, 3)
        numbers: NDArray[Any] = whole.view("<i4")[:, 0]
    else:
        numbers = np.frombuffer(raw, f"<i{bits // 8}")
    return (numbers / _SCALES[kind]).astype(np.float32)
