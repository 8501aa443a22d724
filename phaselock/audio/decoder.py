"""Decoding of MP3 files by absolute frame number, exact after every seek.

Our own reader finds the packets and gives miniaudio's decoder one whole packet at each request, and nothing else. So
the decoder never parses a tag or a damaged header, and the number of packets given tells which frames it has just
decoded. Packets that it drops, because data they depend on is missing or damaged, become silence and do not shift the
frames after them.
"""

from __future__ import annotations

import os
import pathlib
from typing import Any

from _miniaudio import ffi, lib

from phaselock._native import Mp3Reader
from phaselock.audio.mp3_file import PACKETS_PER_ENTRY, Mp3Info, unreadable
from phaselock.errors import CHANGED, PhaseLockError

CHANNELS = 2
_FRAME_BYTES = 4 * CHANNELS
_MAX_PACKET_BYTES = 1441
"""Longest packet: 320 kbit/s at 32 kHz, with padding."""
_VERSIONS = ((0xFB, 44100), (0xF3, 22050), (0xE3, 11025))
"""The second byte of headers of MPEG 1, 2 and 2.5 without CRC, and the first of their three rates in Hz."""
_DESCRIPTION_BPS = (64000, 112000)
"""Bit rate with code 8, of MPEG 2 and of MPEG 1."""
_NEVER_FRAME = 1 << 62
"""A frame number behind every track."""


class Mp3Source:
    """An inspected MP3 as interleaved stereo float32 (shape (frames, 2)) at its own rate. For one thread at a time;
    decoding releases the GIL. All methods raise PhaseLockError if the file cannot be read."""

    def __init__(self, path: pathlib.Path, info: Mp3Info) -> None:
        self._info = info
        self._feed = _Feed(path, info)
        self._pcm = ffi.new("float[]", info.packet_frames * CHANNELS)
        self._got = ffi.new("ma_uint64 *")
        config = lib.ma_decoder_config_init(lib.ma_format_f32, CHANNELS, info.rate_hz)
        config.encodingFormat = lib.ma_encoding_format_mp3
        self._config = ffi.new("ma_decoder_config *", config)
        self._decoder: Any = None
        self.seek(0)

    def __enter__(self) -> Mp3Source:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def seek(self, frame: int) -> None:
        """Let the next read begin at `frame`, clamped to [0, frames]."""
        info = self._info
        self._frame = min(max(frame, 0), info.frames)
        packet = (self._frame + info.delay_frames) // info.packet_frames
        self._feed.start(max(0, packet - info.lead_packets) // PACKETS_PER_ENTRY)
        # The decoded frames in `_pcm`: the number of the first one, counted from the file's first packet, and how many.
        self._pcm_at = 0
        self._pcm_frames = 0
        decoder = ffi.new("ma_decoder *")
        opened = lib.ma_decoder_init(
            lib._internal_decoder_read_callback,
            lib._internal_decoder_seek_callback,
            self._feed.handle,
            self._config,
            decoder,
        )
        self._feed.check()
        # Without any decodable packet the decoder does not open: the track is silent.
        self._decoder = ffi.gc(decoder, lib.ma_decoder_uninit) if opened == lib.MA_SUCCESS else None

    def read_into(self, target: Any, frames: int) -> int:
        """Write the next `frames` frames to `target`, an address or a writable buffer. Return how many were written:
        fewer only at the end of the track, 0 after it. ValueError if the buffer is too small."""
        if isinstance(target, int):
            place = ffi.cast("char *", target)
        else:
            place = ffi.from_buffer("char[]", target, require_writable=True)
            if len(place) < frames * _FRAME_BYTES:
                raise ValueError("the buffer is too small")
        frames = min(frames, self._info.frames - self._frame)
        written = 0
        while written < frames:
            at = self._frame + self._info.delay_frames
            if at >= self._pcm_at + self._pcm_frames:
                self._decode()
                continue
            if at < self._pcm_at:
                count = min(frames - written, self._pcm_at - at)
                ffi.buffer(place + written * _FRAME_BYTES, count * _FRAME_BYTES)[:] = bytes(count * _FRAME_BYTES)
            else:
                skip = at - self._pcm_at
                count = min(frames - written, self._pcm_frames - skip)
                ffi.memmove(place + written * _FRAME_BYTES, self._pcm + skip * CHANNELS, count * _FRAME_BYTES)
            written += count
            self._frame += count
        return written

    def close(self) -> None:
        """Close the file."""
        self._decoder = None
        self._feed.close()

    def _decode(self) -> None:
        self._got[0] = 0
        if self._decoder is not None:
            lib.ma_decoder_read_pcm_frames(self._decoder, self._pcm, self._info.packet_frames, self._got)
            self._feed.check()
        if self._got[0] == 0:
            self._pcm_at, self._pcm_frames = _NEVER_FRAME, 0
        else:
            # These frames are those of the last packet: the decoder requests a packet only when it holds no data.
            self._pcm_at = (self._feed.packet - 1) * self._info.packet_frames
            self._pcm_frames = int(self._got[0])
            if self._info.mode_changes and self._feed.mono:
                self._spread()

    def _spread(self) -> None:
        """Copy a mono packet to both channels. The decoder, which was opened in stereo, leaves its samples one after
        the other in the first half of the buffer."""
        samples = memoryview(ffi.buffer(self._pcm)).cast("f")
        mono = memoryview(bytes(samples[: self._pcm_frames])).cast("f")
        for channel in range(CHANNELS):
            samples[channel : CHANNELS * self._pcm_frames : CHANNELS] = mono


class _Feed:
    """The input of the decoder: the packets of the file, from one entry of the index on."""

    def __init__(self, path: pathlib.Path, info: Mp3Info) -> None:
        self._path = path
        self._index = memoryview(info.index).cast("q")
        self._entry = 0
        self._packets, self._size = info.packets, 0
        self._error: OSError | None = None
        self._changed = False
        try:
            self._file = path.open("rb", buffering=0)
        except OSError as error:
            raise unreadable(path, error) from None
        try:
            self._reader = Mp3Reader(self._file.fileno())
            self._size = os.fstat(self._file.fileno()).st_size
        except OSError as error:
            self._file.close()
            raise unreadable(path, error) from None
        self._short = ffi.new("unsigned char[]", _MAX_PACKET_BYTES)
        self._opening = _stereo_description(info.rate_hz) if info.mode_changes else b""
        self._opened = True
        self.packet = 0
        """Number of the packet that the decoder gets next."""
        self.mono = False
        """The last packet has one channel."""
        self.handle = ffi.new_handle(self)

    def start(self, entry: int) -> None:
        """Continue with the packet of this entry of the index."""
        self._entry = entry
        self.rewind()

    def rewind(self) -> None:
        """Go back to the packet of the last `start`."""
        self.packet = self._entry * PACKETS_PER_ENTRY
        self._opened = not self._opening
        self._reader.seek(self._index[self._entry])

    def next_packet(self, place: Any, room: int) -> int:
        """Copy the next packet to `place` and return its size in bytes, 0 at the end. If `room` is smaller, copy its
        beginning: the decoder then only looks for a tag, and rewinds."""
        if not self._opened:
            self._opened = room >= _MAX_PACKET_BYTES
            opening = self._opening[:room]
            ffi.memmove(place, opening, len(opening))
            return len(opening)
        try:
            if room < _MAX_PACKET_BYTES:
                size = min(room, self._reader.read(int(ffi.cast("uintptr_t", self._short)), _MAX_PACKET_BYTES))
                ffi.memmove(place, self._short, size)
            else:
                size = self._reader.read(int(ffi.cast("uintptr_t", place)), room)
                self.mono = size > 3 and _is_mono(ffi.cast("unsigned char *", place)[3])
        except OSError as error:
            self._error = error
            self._changed = os.fstat(self._file.fileno()).st_size < self._size
            return 0
        if self._is_another(size):
            self._changed = True
            return 0
        self.packet += size > 0
        return size

    def check(self) -> None:
        """Raise PhaseLockError if reading failed in one of the decoder's calls."""
        if self._changed:
            raise PhaseLockError(CHANGED, file_name=self._path.name)
        if self._error is not None:
            raise unreadable(self._path, self._error)

    def _is_another(self, size: int) -> bool:
        """Is the packet just read, of `size` bytes (0: the end), not where it was when the file was inspected? Another
        program has written to the file then."""
        if self.packet >= self._packets:
            return False
        entry, rest = divmod(self.packet, PACKETS_PER_ENTRY)
        return size == 0 or (rest == 0 and self._reader.packet_at != self._index[entry])

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def _stereo_description(rate_hz: int) -> bytes:
    """A stereo packet with an Info header instead of sound. The decoder has the number of channels of its first packet,
    and forgets this one."""
    version, base_hz = next((version, base_hz) for version, base_hz in _VERSIONS if rate_hz in _rates(base_hz))
    side_bytes = 32 if base_hz == 44100 else 17
    size = (144 if base_hz == 44100 else 72) * _DESCRIPTION_BPS[base_hz == 44100] // rate_hz
    header = bytes((0xFF, version, 8 << 4 | _rates(base_hz).index(rate_hz) << 2, 0))
    return (header + bytes(side_bytes) + b"Info").ljust(size, b"\0")


def _rates(base_hz: int) -> tuple[int, int, int]:
    """The sampling rates of an MPEG version, in the order of their codes in headers."""
    return base_hz, base_hz * 160 // 147, base_hz * 320 // 441


def _is_mono(mode: int) -> bool:
    """Does this fourth byte of a header say that the packet has one channel?"""
    return mode >> 6 == 3


@ffi.def_extern(name="_internal_decoder_read_callback", error=lib.MA_ERROR)  # type: ignore[untyped-decorator]
def _read(decoder: Any, place: Any, room: int, size: Any) -> int:
    size[0] = ffi.from_handle(decoder.pUserData).next_packet(place, room)
    return int(lib.MA_SUCCESS)


@ffi.def_extern(name="_internal_decoder_seek_callback", error=lib.MA_ERROR)  # type: ignore[untyped-decorator]
def _seek(decoder: Any, offset: int, origin: int) -> int:
    if offset != 0 or origin != lib.ma_seek_origin_start:
        return int(lib.MA_BAD_SEEK)
    ffi.from_handle(decoder.pUserData).rewind()
    return int(lib.MA_SUCCESS)
