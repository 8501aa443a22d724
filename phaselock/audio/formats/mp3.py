"""MP3 files: inspected by reading all of their packets, and decoded by absolute frame number, exact after every seek.

An MPEG audio frame is called a packet here. A frame is one sample of every channel. The numbers in a file's header are
only compared with what was found.

Our own reader finds the packets and gives miniaudio's decoder one whole packet at each request, and nothing else. So
the decoder never parses a tag or a damaged header, and the number of packets given tells which frames it has just
decoded. Packets that it drops, because data they depend on is missing or damaged, become silence and do not shift the
frames after them.
"""

from __future__ import annotations

import dataclasses
import io
import os
import pathlib
import stat
from typing import Any

from _miniaudio import ffi, lib

from phaselock._native import Mp3Reader
from phaselock.audio.formats.base import (
    CHANNELS,
    FRAME_BYTES,
    REFUSED_PERCENT,
    Music,
    Source,
    mostly_missing,
    unreadable,
)
from phaselock.errors import CHANGED, PhaseLockError
from phaselock.language.message import N_, Message
from phaselock.model.file_kinds import UnplayableFileError, no_music

PACKETS_PER_ENTRY = 32
"""Distance of two entries of the index in packets (PL_MP3_INDEX_EVERY)."""

_DECODER_DELAY_FRAMES = 529
"""Delay of every layer III decoder. The delay in the file is only the encoder's; the reader has to add this."""

_MIN_PACKETS = 3
"""Files with fewer packets are refused."""

_BEGINNING_BYTES = 4096
"""The part of a file that is read to find out what it is, if it is not an MP3."""
_MAX_PACKET_BYTES = 1441
"""Longest packet: 320 kbit/s at 32 kHz, with padding."""
_VERSIONS = ((0xFB, 44100), (0xF3, 22050), (0xE3, 11025))
"""The second byte of headers of MPEG 1, 2 and 2.5 without CRC, and the first of their three rates in Hz."""
_DESCRIPTION_BPS = (64000, 112000)
"""Bit rate with code 8, of MPEG 2 and of MPEG 1."""
_NEVER_FRAME = 1 << 62
"""A frame number behind every track."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Mp3Info(Music):
    """An intact MP3. Frame 0 is the first frame that the encoder was given. `ends_early` is also set if its header
    claims more packets than there are."""

    delay_frames: int
    """Decoded frames before frame 0."""
    padding_frames: int
    """Decoded frames after the last one."""
    packet_frames: int
    packets: int
    lead_packets: int
    """Packets that a decoder needs before its output is exact."""
    index: bytes
    """Offsets in bytes of every PACKETS_PER_ENTRY-th packet, as native int64."""
    mode_changes: bool = False
    """Some packets are mono, and some are stereo."""

    def open(self, path: pathlib.Path) -> Source:
        return Mp3Source(path, self)


def inspect(path: pathlib.Path) -> Mp3Info:
    """Read the whole file and describe it. UnplayableFileError if it is not an MP3, if a large part of it is missing,
    or if its rate changes; PhaseLockError if it cannot be read."""
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise UnplayableFileError(path.name)
        with path.open("rb", buffering=0) as file:
            summary, index = Mp3Reader(file.fileno()).scan()
            beginning = b"" if summary.packets >= _MIN_PACKETS else _beginning(file)
    except OSError as error:
        raise unreadable(path, error) from None
    if summary.packets < _MIN_PACKETS:
        raise no_music(path.name, beginning)
    if summary.packets_before_change >= 0:
        seconds = summary.packets_before_change * summary.packet_frames // summary.rate_hz
        time = f"{seconds // 60}:{seconds % 60:02}"
        raise UnplayableFileError(path.name, Message(N_("its sample rate changes at {time}"), time=time))
    delay = padding = 0
    if summary.encoder_delay >= 0:
        delay = summary.encoder_delay + _DECODER_DELAY_FRAMES
    if summary.encoder_padding >= 0:
        padding = max(0, summary.encoder_padding - _DECODER_DELAY_FRAMES)
    ends_early = summary.cut and summary.claimed_packets < 0
    if summary.claimed_packets >= 0:
        missing = summary.claimed_packets - (summary.packets - summary.packets_before_claim)
        tolerated = max(2, summary.claimed_packets // 100)
        ends_early = missing > tolerated or (summary.cut and missing > 0)
        # A file that ends inside a packet was cut off. Behind a whole packet the header is wrong: it is that of a
        # longer file from which this one was taken.
        percent = missing * 100 // (summary.packets + missing)
        if summary.cut and missing > tolerated and percent >= REFUSED_PERCENT:
            raise UnplayableFileError(path.name, mostly_missing(percent))
        if ends_early or -missing > tolerated:  # the padding is missing too; or another file follows it
            padding = 0
    frames = summary.packets * summary.packet_frames - delay - padding
    if frames <= 0:
        raise UnplayableFileError(path.name)
    channels = 1 if summary.mono_packets == summary.packets else 2
    return Mp3Info(
        rate_hz=summary.rate_hz,
        channels=channels,
        frames=frames,
        delay_frames=delay,
        padding_frames=padding,
        packet_frames=summary.packet_frames,
        packets=summary.packets,
        lead_packets=_lead_packets(summary.packet_frames, channels, summary.smallest_packet),
        bitrate_bps=summary.packet_bytes * 8 * summary.rate_hz // (summary.packets * summary.packet_frames),
        index=index,
        mode_changes=0 < summary.mono_packets < summary.packets,
        ends_early=ends_early,
    )


class Mp3Source:
    """An inspected MP3; see Source."""

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
            if len(place) < frames * FRAME_BYTES:
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
                ffi.buffer(place + written * FRAME_BYTES, count * FRAME_BYTES)[:] = bytes(count * FRAME_BYTES)
            else:
                skip = at - self._pcm_at
                count = min(frames - written, self._pcm_frames - skip)
                ffi.memmove(place + written * FRAME_BYTES, self._pcm + skip * CHANNELS, count * FRAME_BYTES)
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


def _beginning(file: io.FileIO) -> bytes:
    file.seek(0)
    return file.read(_BEGINNING_BYTES) or b""


def _lead_packets(packet_frames: int, channels: int, smallest_packet: int) -> int:
    """Packets before a packet that its decoding depends on: up to 511 (MPEG 2: 255) bytes of its data are in earlier
    packets, and the overlap and the memory of the filter bank need the two packets before it."""
    mpeg1 = packet_frames == 1152
    overhead = 6 + ((17, 32) if mpeg1 else (9, 17))[channels - 1]
    return -(-(511 if mpeg1 else 255) // max(1, smallest_packet - overhead)) + 3


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


@ffi.def_extern(name="_internal_decoder_read_callback", error=lib.MA_ERROR)  # type: ignore[untyped-decorator]  # cffi has no types
def _read(decoder: Any, place: Any, room: int, size: Any) -> int:
    size[0] = ffi.from_handle(decoder.pUserData).next_packet(place, room)
    return int(lib.MA_SUCCESS)


@ffi.def_extern(name="_internal_decoder_seek_callback", error=lib.MA_ERROR)  # type: ignore[untyped-decorator]  # cffi has no types
def _seek(decoder: Any, offset: int, origin: int) -> int:
    if offset != 0 or origin != lib.ma_seek_origin_start:
        return int(lib.MA_BAD_SEEK)
    ffi.from_handle(decoder.pUserData).rewind()
    return int(lib.MA_SUCCESS)
