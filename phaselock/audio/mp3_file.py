"""Inspect an MP3 file by reading all of its packets. The numbers in its header are only compared with the result.

An MPEG audio frame is called a packet here. A frame is one sample of every channel.
"""

from __future__ import annotations

import collections
import dataclasses
import io
import pathlib
import stat
import threading

from phaselock._native import Mp3Reader
from phaselock.errors import CHANGED, InvalidMp3Error, PhaseLockError, message_of
from phaselock.language.message import N_, Message
from phaselock.model.file_kinds import why_no_mp3
from phaselock.storage.hashing import hash_file

PACKETS_PER_ENTRY = 32
"""Distance of two entries of the index in packets (PL_MP3_INDEX_EVERY)."""

_DECODER_DELAY_FRAMES = 529
"""Delay of every layer III decoder. The delay in the file is only the encoder's; the reader has to add this."""

_MIN_PACKETS = 3
"""Files with fewer packets are refused."""

_REFUSED_PERCENT = 5
"""A file that is cut off is refused if this share of it is missing."""

_BEGINNING_BYTES = 4096
"""The part of a file that is read to find out what it is, if it is not an MP3."""

_MAX_REMEMBERED = 512
"""Files that an Inspector remembers. An hour of music takes 35 kB, most of it the index."""


@dataclasses.dataclass(frozen=True, slots=True)
class Mp3Info:
    """An intact MP3. Frame 0 is the first frame that the encoder was given; `frames` is their number."""

    rate_hz: int
    channels: int
    """1 if all packets are mono, else 2."""
    frames: int
    delay_frames: int
    """Decoded frames before frame 0."""
    padding_frames: int
    """Decoded frames after the last one."""
    packet_frames: int
    packets: int
    lead_packets: int
    """Packets that a decoder needs before its output is exact."""
    bitrate_bps: int
    index: bytes
    """Offsets in bytes of every PACKETS_PER_ENTRY-th packet, as native int64."""
    mode_changes: bool = False
    """Some packets are mono, and some are stereo."""
    ends_early: bool = False
    """The end of the file is missing, or its header claims more packets than there are."""


def inspect(path: pathlib.Path) -> Mp3Info:
    """Read the whole file and describe it. InvalidMp3Error if it is not an MP3, if a large part of it is missing, or if
    its rate changes; PhaseLockError if it cannot be read."""
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise InvalidMp3Error(path.name)
        with path.open("rb", buffering=0) as file:
            summary, index = Mp3Reader(file.fileno()).scan()
            beginning = b"" if summary.packets >= _MIN_PACKETS else _beginning(file)
    except OSError as error:
        raise unreadable(path, error) from None
    if summary.packets < _MIN_PACKETS:
        raise InvalidMp3Error(path.name, why_no_mp3(path.name, beginning))
    if summary.packets_before_change >= 0:
        seconds = summary.packets_before_change * summary.packet_frames // summary.rate_hz
        time = f"{seconds // 60}:{seconds % 60:02}"
        raise InvalidMp3Error(path.name, Message(N_("its sample rate changes at {time}"), time=time))
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
        if summary.cut and missing > tolerated and percent >= _REFUSED_PERCENT:
            raise InvalidMp3Error(path.name, Message(N_("{percent} % of it is missing at its end"), percent=percent))
        if ends_early or -missing > tolerated:  # the padding is missing too; or another file follows it
            padding = 0
    frames = summary.packets * summary.packet_frames - delay - padding
    if frames <= 0:
        raise InvalidMp3Error(path.name)
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


class Inspector:
    """`inspect` that reads a file only once: it returns the earlier result as long as the file has not changed.

    Reading an hour of music takes longer than the lead time of a start leaves (MARGIN_NS), so a file is inspected when
    it is added or received, not when it starts. For any thread.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: collections.OrderedDict[tuple[int, ...], Mp3Info] = collections.OrderedDict()
        self._hashes: dict[tuple[int, ...], bytes] = {}

    def __call__(self, path: pathlib.Path, sha256: bytes | None = None) -> Mp3Info:
        """The description of this file. `sha256`: its hash, if the caller knows it. Raises the errors of `inspect`."""
        version = self._version(path)
        with self._lock:
            info = self._known.get(version)
        if info is None:
            info = inspect(path)
        with self._lock:
            self._known[version] = info
            self._known.move_to_end(version)
            if sha256 is not None:
                self._hashes[version] = sha256
            if len(self._known) > _MAX_REMEMBERED:
                self._hashes.pop(self._known.popitem(last=False)[0], None)
        return info

    def still(self, path: pathlib.Path, file_name: str, sha256: bytes) -> Mp3Info:
        """The description of this file, whose hash must be `sha256`. The file is read only if it has changed or was
        forgotten. Raises the errors of `inspect`, and PhaseLockError if it is another file now; they name
        `file_name`."""
        with self._lock:
            known = self._hashes.get(self._version(path))
        if known is None:
            try:
                known, _ = hash_file(path)
            except OSError as error:
                raise unreadable(path, error) from None
        if known != sha256:
            raise PhaseLockError(CHANGED, file_name=file_name)
        try:
            return self(path, sha256)
        except InvalidMp3Error as error:
            raise error.named(file_name) from None

    def _version(self, path: pathlib.Path) -> tuple[int, ...]:
        try:
            found = path.stat()
        except OSError as error:
            raise unreadable(path, error) from None
        return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns


def _beginning(file: io.FileIO) -> bytes:
    file.seek(0)
    return file.read(_BEGINNING_BYTES) or b""


def unreadable(path: pathlib.Path, error: OSError) -> PhaseLockError:
    """The error to raise when the system cannot read `path`."""
    return PhaseLockError("Cannot read {file_name}: {reason}", file_name=path.name, reason=message_of(error))


def _lead_packets(packet_frames: int, channels: int, smallest_packet: int) -> int:
    """Packets before a packet that its decoding depends on: up to 511 (MPEG 2: 255) bytes of its data are in earlier
    packets, and the overlap and the memory of the filter bank need the two packets before it."""
    mpeg1 = packet_frames == 1152
    overhead = 6 + ((17, 32) if mpeg1 else (9, 17))[channels - 1]
    return -(-(511 if mpeg1 else 255) // max(1, smallest_packet - overhead)) + 3
