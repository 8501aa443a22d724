"""Files whose decoder counts frames by itself, seeks to each of them exactly, and gives each frame as it was recorded.

Their channels are mixed down to two. Samples that are no numbers become silence.
"""

from __future__ import annotations

import abc
import dataclasses
import os
import pathlib
from collections.abc import Callable
from typing import Any, ClassVar

from _miniaudio import ffi

from phaselock import _native
from phaselock.audio.formats.base import (
    FRAME_BYTES,
    MAX_HOURS,
    MAX_RATE_HZ,
    MIN_RATE_HZ,
    REFUSED_PERCENT,
    Music,
    Source,
    mostly_missing,
    unreadable,
)
from phaselock.errors import CHANGED, PhaseLockError
from phaselock.language.message import N_, Message
from phaselock.model.file_kinds import UnplayableFileError

_BLOCK_FRAMES = 16_384
_MAX_CHANNELS = _native.MAX_MIXED_CHANNELS


class Decoder(abc.ABC):
    """One of miniaudio's decoders, with the open file that is its `handle`."""

    leaves_out: ClassVar[bool]
    """It leaves out what is damaged. Then later frames would be too early."""

    def __init__(self, handle: Any) -> None:
        self.handle = handle
        self.rate_hz = int(handle.sampleRate)
        self.channels = int(handle.channels)
        self.claimed_frames = int(handle.totalPCMFrameCount)
        """Length by the file's header; 0: unknown."""

    def set_length(self, frames: int) -> None:
        """Correct the length of a header that tells another one, or none: seeks go by it. Only at the beginning."""
        self.handle.totalPCMFrameCount = frames

    @abc.abstractmethod
    def read(self, place: Any, frames: int) -> int:
        """Write at most `frames` frames of all channels to a float array; return their number, 0 at the end."""

    @abc.abstractmethod
    def seek(self, frame: int) -> bool:
        """The next frame read is `frame`. False if there is none."""

    @abc.abstractmethod
    def close(self) -> None:
        """Close the file."""


OpenDecoder = Callable[[pathlib.Path], Decoder | None]
"""None: the file is not of this kind, or damaged in its header. UnplayableFileError: it has no sound that is played."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class PcmInfo(Music):
    """An intact file."""

    opens: OpenDecoder

    def open(self, path: pathlib.Path) -> Source:
        return PcmSource(path, self)


def inspect(path: pathlib.Path, opens: OpenDecoder) -> PcmInfo:
    """Decode the whole file and describe it. UnplayableFileError if it is damaged, or a large part of it is missing;
    PhaseLockError if it cannot be read."""
    try:
        size = path.stat().st_size
        with path.open("rb"):  # the decoders do not say why they cannot open a file
            pass
    except OSError as error:
        raise unreadable(path, error) from None
    decoder = opens(path)
    if decoder is None:
        raise UnplayableFileError(path.name, Message(N_("it is damaged at its beginning")))
    try:
        rate_hz, channels, claimed = decoder.rate_hz, decoder.channels, decoder.claimed_frames
        if not MIN_RATE_HZ <= rate_hz <= MAX_RATE_HZ:
            raise UnplayableFileError(path.name, Message(N_("its sample rate is {rate} Hz"), rate=rate_hz))
        if not 1 <= channels <= _MAX_CHANNELS:
            raise UnplayableFileError(path.name, Message(N_("it has {number} channels"), number=channels))
        block = ffi.new("float[]", _BLOCK_FRAMES * channels)
        frames = 0
        while got := decoder.read(block, _BLOCK_FRAMES):
            frames += got
            if max(frames, claimed) > MAX_HOURS * 3600 * rate_hz:
                raise UnplayableFileError(path.name, Message(N_("it is longer than {hours} hours"), hours=MAX_HOURS))
        missing = max(0, claimed - frames)
        if missing and decoder.leaves_out and decoder.seek(claimed - 1) and decoder.read(block, 1):
            raise UnplayableFileError(path.name, Message(N_("a part of it is damaged")))
    finally:
        decoder.close()
    percent = missing * 100 // (frames + missing) if missing else 0
    if percent >= REFUSED_PERCENT:
        raise UnplayableFileError(path.name, mostly_missing(percent))
    if not frames:
        raise UnplayableFileError(path.name, Message(N_("it has no sound")))
    return PcmInfo(
        rate_hz=rate_hz,
        channels=channels,
        frames=frames,
        bitrate_bps=size * 8 * rate_hz // frames,
        ends_early=missing > 0,
        opens=opens,
    )


class PcmSource:
    """An inspected file; see Source."""

    def __init__(self, path: pathlib.Path, info: PcmInfo) -> None:
        self._path = path
        self._info = info
        self._frame = 0
        self._block = ffi.new("float[]", _BLOCK_FRAMES * info.channels)
        try:
            with path.open("rb"):
                pass
        except OSError as error:
            raise unreadable(path, error) from None
        decoder = info.opens(path)
        if decoder is None or (decoder.rate_hz, decoder.channels) != (info.rate_hz, info.channels):
            if decoder is not None:
                decoder.close()
            raise PhaseLockError(CHANGED, file_name=path.name)
        decoder.set_length(info.frames)
        self._decoder: Decoder | None = decoder

    def __enter__(self) -> PcmSource:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def seek(self, frame: int) -> None:
        """See Source."""
        self._frame = min(max(frame, 0), self._info.frames)
        if self._frame < self._info.frames and not (self._decoder and self._decoder.seek(self._frame)):
            self._decode_to(self._frame)

    def _decode_to(self, frame: int) -> None:
        """What a seek needs is damaged, in an Ogg file for example; `inspect` has decoded the file to its end."""
        self.close()
        self._decoder = self._info.opens(self._path)
        if self._decoder:
            self._decoder.set_length(self._info.frames)
        while frame and self._decoder:
            got = self._decoder.read(self._block, min(frame, _BLOCK_FRAMES))
            if not got:
                self.close()
            frame -= got
        if not self._decoder:
            raise PhaseLockError(CHANGED, file_name=self._path.name)

    def read_into(self, target: Any, frames: int) -> int:
        """See Source."""
        if isinstance(target, int):
            address = target
        else:
            place = ffi.from_buffer("char[]", target, require_writable=True)
            if len(place) < frames * FRAME_BYTES:
                raise ValueError("the buffer is too small")
            address = int(ffi.cast("uintptr_t", place))
        frames = min(frames, self._info.frames - self._frame)
        block = int(ffi.cast("uintptr_t", self._block))
        written = 0
        while written < frames:
            got = self._decoder.read(self._block, min(frames - written, _BLOCK_FRAMES)) if self._decoder else 0
            if not got:
                raise PhaseLockError(CHANGED, file_name=self._path.name)
            _native.mix_down(block, self._info.channels, got, address + written * FRAME_BYTES)
            written += got
            self._frame += got
        return written

    def close(self) -> None:
        """Close the file."""
        if self._decoder is not None:
            self._decoder.close()
            self._decoder = None


def file_name(path: pathlib.Path) -> tuple[Any, bool]:
    """The path for a decoder, and whether it is one of wide characters."""
    if os.name == "nt":
        return ffi.new("wchar_t[]", str(path)), True
    return ffi.new("char[]", os.fsencode(path)), False
