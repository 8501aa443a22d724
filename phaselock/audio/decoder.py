"""Decoding: PCM of an MP3 by absolute frame number, exact after every seek.

miniaudio's decoder is handed whole packets found by our own reader, one at each request, and nothing else. So it never
parses a tag or a damaged header, and the number of packets handed over tells which frames it has just decoded: packets
that it drops (what they lean on is missing or damaged) become silence instead of shifting all that follows.
"""

from __future__ import annotations

import pathlib
from typing import Any

from _miniaudio import ffi, lib

from phaselock._native import Mp3Reader
from phaselock.audio.mp3_file import PACKETS_PER_ENTRY, Mp3Info, unreadable

CHANNELS = 2
_FRAME_BYTES = 4 * CHANNELS
_MAX_PACKET = 1441
_NEVER = 1 << 62


class Mp3Source:
    """An inspected MP3 as interleaved stereo float32 at its own rate. One thread at a time; decoding releases the
    interpreter's lock. Raises PhaseLockError when the file cannot be read."""

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
        """Let the next read begin at `frame`, which is brought into [0, frames]."""
        info = self._info
        self._frame = min(max(frame, 0), info.frames)
        packet = (self._frame + info.delay_frames) // info.packet_frames
        self._feed.start(max(0, packet - info.lead_packets) // PACKETS_PER_ENTRY)
        # Decoded frames in hand, numbered from the file's first packet.
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
        # A decoder that finds no sound at all will not open: silence, then.
        self._decoder = ffi.gc(decoder, lib.ma_decoder_uninit) if opened == lib.MA_SUCCESS else None

    def read_into(self, target: Any, frames: int) -> int:
        """Write the next `frames` frames to `target`, an address or a writable buffer. Returns how many were written:
        fewer only at the end, 0 behind it."""
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
        """Let go of the file."""
        self._decoder = None
        self._feed.close()

    def _decode(self) -> None:
        self._got[0] = 0
        if self._decoder is not None:
            lib.ma_decoder_read_pcm_frames(self._decoder, self._pcm, self._info.packet_frames, self._got)
            self._feed.check()
        if self._got[0] == 0:
            self._pcm_at, self._pcm_frames = _NEVER, 0
        else:
            # What came out is the packet handed over last: the decoder reads one only when it holds nothing.
            self._pcm_at = (self._feed.packet - 1) * self._info.packet_frames
            self._pcm_frames = int(self._got[0])


class _Feed:
    """The stream that the decoder sees."""

    def __init__(self, path: pathlib.Path, info: Mp3Info) -> None:
        self._path = path
        self._index = memoryview(info.index).cast("q")
        self._entry = 0
        self._error: OSError | None = None
        try:
            self._file = path.open("rb", buffering=0)
        except OSError as error:
            raise unreadable(path, error) from None
        try:
            self._reader = Mp3Reader(self._file.fileno())
        except OSError as error:
            self._file.close()
            raise unreadable(path, error) from None
        self._short = ffi.new("char[]", _MAX_PACKET)
        self.packet = 0
        """The number of the packet handed over next."""
        self.handle = ffi.new_handle(self)

    def start(self, entry: int) -> None:
        """Begin with the packet of this entry of the index."""
        self._entry = entry
        self.rewind()

    def rewind(self) -> None:
        self.packet = self._entry * PACKETS_PER_ENTRY
        self._reader.seek(self._index[self._entry])

    def hand_over(self, place: Any, room: int) -> int:
        """The next packet, or its beginning where there is less room: the decoder only does that to look for a tag, and
        rewinds. Its size, 0 at the end."""
        try:
            if room < _MAX_PACKET:
                size = min(room, self._reader.read(int(ffi.cast("uintptr_t", self._short)), _MAX_PACKET))
                ffi.memmove(place, self._short, size)
            else:
                size = self._reader.read(int(ffi.cast("uintptr_t", place)), room)
        except OSError as error:
            self._error = error
            return 0
        self.packet += size > 0
        return size

    def check(self) -> None:
        """Raise what went wrong in the decoder's calls."""
        if self._error is not None:
            raise unreadable(self._path, self._error)

    def close(self) -> None:
        self._file.close()


@ffi.def_extern(name="_internal_decoder_read_callback", error=lib.MA_ERROR)  # type: ignore[untyped-decorator]
def _read(decoder: Any, place: Any, room: int, size: Any) -> int:
    size[0] = ffi.from_handle(decoder.pUserData).hand_over(place, room)
    return int(lib.MA_SUCCESS)


@ffi.def_extern(name="_internal_decoder_seek_callback", error=lib.MA_ERROR)  # type: ignore[untyped-decorator]
def _seek(decoder: Any, offset: int, origin: int) -> int:
    if offset != 0 or origin != lib.ma_seek_origin_start:
        return int(lib.MA_BAD_SEEK)
    ffi.from_handle(decoder.pUserData).rewind()
    return int(lib.MA_SUCCESS)
