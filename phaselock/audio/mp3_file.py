"""What an MP3 file really holds, found by reading all of its packets; what it says of itself is only compared.

An MPEG audio frame is called a packet: a frame is one sample of every channel.
"""

from __future__ import annotations

import dataclasses
import pathlib
import stat

from phaselock._native import Mp3Reader
from phaselock.errors import InvalidMp3Error, PhaseLockError

PACKETS_PER_ENTRY = 32
"""Packets from one entry of the index to the next (PL_MP3_INDEX_EVERY)."""

_DECODER_DELAY = 529
"""Frames by which every layer III decoder is late, which encoders leave for the reader to add."""

_MIN_PACKETS = 3


@dataclasses.dataclass(frozen=True, slots=True)
class Mp3Info:
    """A sound MP3. Frame 0 is the first one that the encoder was given, `frames` how many those were."""

    rate_hz: int
    channels: int
    frames: int
    delay_frames: int
    """Decoded frames before frame 0."""
    padding_frames: int
    """Decoded frames after the last one."""
    packet_frames: int
    packets: int
    lead_packets: int
    """Packets that a decoder must have seen before its sound is right."""
    bitrate_bps: int
    index: bytes
    """Offsets of every PACKETS_PER_ENTRY-th packet, native int64."""


def inspect(path: pathlib.Path) -> Mp3Info:
    """Read the whole file and say what it holds. InvalidMp3Error if that is no MP3, or less or more than it claims;
    PhaseLockError if it cannot be read."""
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise InvalidMp3Error(path.name)
        with path.open("rb", buffering=0) as file:
            summary, index = Mp3Reader(file.fileno()).scan()
    except OSError as error:
        raise unreadable(path, error) from None
    packets, claimed = summary.packets, summary.claimed_packets
    if packets < _MIN_PACKETS:
        raise InvalidMp3Error(path.name)
    # Without a claim, a packet that the file ends in is all there is to tell that something is missing.
    if summary.cut if claimed < 0 else abs(packets - claimed) > max(2, claimed // 100):
        raise InvalidMp3Error(path.name)
    delay = padding = 0
    if summary.encoder_delay >= 0:
        delay = summary.encoder_delay + _DECODER_DELAY
        padding = max(0, summary.encoder_padding - _DECODER_DELAY)
    frames = packets * summary.packet_frames - delay - padding
    if frames <= 0:
        raise InvalidMp3Error(path.name)
    return Mp3Info(
        rate_hz=summary.rate_hz,
        channels=summary.channels,
        frames=frames,
        delay_frames=delay,
        padding_frames=padding,
        packet_frames=summary.packet_frames,
        packets=packets,
        lead_packets=_lead_packets(summary.packet_frames, summary.channels, summary.smallest_packet),
        bitrate_bps=summary.packet_bytes * 8 * summary.rate_hz // (packets * summary.packet_frames),
        index=index,
    )


def unreadable(path: pathlib.Path, error: OSError) -> PhaseLockError:
    """The error to raise when the system cannot read `path`."""
    return PhaseLockError(f"Cannot read {path.name}: {error.strerror or error}")


def _lead_packets(packet_frames: int, channels: int, smallest_packet: int) -> int:
    """A packet leans on up to 511 (MPEG 2: 255) bytes in earlier packets, and on the two before it for the overlap and
    the memory of the filter bank."""
    mpeg1 = packet_frames == 1152
    overhead = 6 + ((17, 32) if mpeg1 else (9, 17))[channels - 1]
    return -(-(511 if mpeg1 else 255) // max(1, smallest_packet - overhead)) + 3
