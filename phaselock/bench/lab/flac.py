"""Write FLAC files after RFC 9639, with numpy alone.

All blocks of a file have one linear predictor and one Rice parameter: the noise of `signals` is the same throughout.
Blocks do not depend on each other, so a long file can repeat those of a short sound, in any order.
"""

from __future__ import annotations

import pathlib
import struct
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from scipy.linalg import solve_toeplitz

from phaselock.frozen import frozen

BLOCK_FRAMES = 4096
ORDER = 8
"""Of the predictor: that of `flac`, the encoder of the format's authors, by default."""
SEEK_POINT_S = 10
"""Distance of two seek points, as `flac` writes them."""
_FACTOR_BITS = 14
_CRC8, _CRC16 = 0x107, 0x18005
"""Polynomials."""


@frozen
class Blocks:
    """A sound in encoded blocks of BLOCK_FRAMES frames, without their headers and check sums."""

    rate_hz: int
    channels: int
    bits: int
    bodies: Sequence[bytes]


def encode(sound: npt.NDArray[np.float32], rate_hz: int, bits: int) -> Blocks:
    """Encode the whole blocks of a sound, (frames, channels), full scale 1, in `bits` (16 or 24) a sample."""
    count, channels = len(sound) // BLOCK_FRAMES, sound.shape[1]
    top = 1 << (bits - 1)
    samples = np.clip(np.rint(sound[: count * BLOCK_FRAMES].astype(float) * top), -top, top - 1).astype(np.int64)
    factors, shift = _predictor(samples[: 16 * BLOCK_FRAMES, 0])
    blocks = samples.reshape(count, BLOCK_FRAMES, channels).transpose(0, 2, 1)
    rice_bits = int(np.log2(_folded_residuals(blocks[:16], factors, shift).mean() + 1))
    about = np.array([15 - 1, shift, *factors, 1, 0, rice_bits])  # Rice parameters of 5 bits; one partition
    about_bits = np.array([4, 5, *[15] * ORDER, 2, 4, 5])
    bodies = []
    for block in blocks:
        rests = _folded_residuals(block, factors, shift)
        bodies.append(
            np.packbits(
                np.concatenate(
                    [
                        _bits(
                            np.concatenate([[0x40 | (ORDER - 1) << 1], channel[:ORDER], about, _rice(rest, rice_bits)]),
                            np.concatenate([[8], [bits] * ORDER, about_bits, (rest >> rice_bits) + 1 + rice_bits]),
                        )
                        for channel, rest in zip(block, rests, strict=True)
                    ]
                )
            ).tobytes()
        )
    return Blocks(rate_hz, channels, bits, bodies)


def write(path: pathlib.Path, blocks: Blocks, order: Sequence[int], *, seek_table: bool = True) -> None:
    """Write a file of these blocks. `order` names them by their index; it may repeat and leave out some."""
    body_sums, shifts = _sums16(blocks.bodies), [_power(8 * len(body)) for body in blocks.bodies]
    every = SEEK_POINT_S * blocks.rate_hz // BLOCK_FRAMES
    points = []
    with path.open("wb") as file:
        packed = blocks.rate_hz << 44 | (blocks.channels - 1) << 41 | (blocks.bits - 1) << 36
        packed |= len(order) * BLOCK_FRAMES
        information = struct.pack(">HH6x", BLOCK_FRAMES, BLOCK_FRAMES) + packed.to_bytes(8, "big") + bytes(16)
        file.write(b"fLaC" + _metadata(0, information, last=not seek_table))
        table_at = file.tell()
        if seek_table:
            file.write(_metadata(3, bytes(18 * len(range(0, len(order), every))), last=True))
        first_at = file.tell()
        for number, index in enumerate(order):
            if number % every == 0:
                points.append(struct.pack(">QQH", number * BLOCK_FRAMES, file.tell() - first_at, BLOCK_FRAMES))
            header = _header(number, blocks.channels)
            total = _times(_remainder(header, _CRC16), shifts[index]) ^ body_sums[index]
            file.write(header + blocks.bodies[index] + total.to_bytes(2, "big"))
        if seek_table:
            file.seek(table_at)
            file.write(_metadata(3, b"".join(points), last=True))


# -- the sound ---------------------------------------------------------------------------------------------------------


def _predictor(samples: npt.NDArray[np.int64]) -> tuple[list[int], int]:
    """The factors of the last ORDER samples, the latest first, as integers of 15 bits, and how far to shift their
    sum."""
    spectrum = np.fft.rfft(samples.astype(float), 2 * len(samples))
    likeness = np.fft.irfft(np.abs(spectrum) ** 2)[: ORDER + 1]
    likeness[0] = 1 + likeness[0] * (1 + 1e-9)  # else silence, and nearly a narrow band, have no solution
    exact = solve_toeplitz(likeness[:ORDER], likeness[1:])
    shift = int(min(_FACTOR_BITS, _FACTOR_BITS - np.ceil(np.log2(np.abs(exact).max() + 1e-9))))
    top = 1 << _FACTOR_BITS
    return [int(one) for one in np.clip(np.rint(exact * (1 << shift)), -top, top - 1)], shift


def _folded_residuals(blocks: npt.NDArray[np.int64], factors: Sequence[int], shift: int) -> npt.NDArray[np.int64]:
    """What the prediction misses, from sample ORDER of each row on, with the sign in the lowest bit."""
    frames = blocks.shape[-1]
    predicted = np.zeros((*blocks.shape[:-1], frames - ORDER), np.int64)
    for back, factor in enumerate(factors, 1):
        predicted += factor * blocks[..., ORDER - back : frames - back]
    missed = blocks[..., ORDER:] - (predicted >> shift)
    return (missed << 1) ^ (missed >> 63)


def _rice(folded: npt.NDArray[np.int64], rice_bits: int) -> npt.NDArray[np.int64]:
    """The code of each number: as many zeros as its upper bits say, a one, and its lower bits."""
    return 1 << rice_bits | folded & ((1 << rice_bits) - 1)


def _bits(values: npt.NDArray[np.int64], widths: npt.NDArray[np.int64]) -> npt.NDArray[np.uint8]:
    """The values one after the other, in as many bits as `widths` says, one byte a bit."""
    ends = np.cumsum(widths)
    place = np.repeat(ends, widths) - 1 - np.arange(ends[-1])
    return ((np.repeat(values, widths) >> np.minimum(place, 63)) & 1).astype(np.uint8)


# -- the file ----------------------------------------------------------------------------------------------------------


def _metadata(kind: int, content: bytes, *, last: bool) -> bytes:
    return bytes((last << 7 | kind,)) + len(content).to_bytes(3, "big") + content


def _header(number: int, channels: int) -> bytes:
    """The header of a block of BLOCK_FRAMES frames; its rate and its bits are those of the file."""
    header = bytes((0xFF, 0xF8, 0xC0, channels - 1 << 4)) + chr(number).encode("utf-8", "surrogatepass")
    return header + bytes((_remainder(header, _CRC8),))


def _remainder(data: bytes, polynomial: int) -> int:
    """A check sum, slowly."""
    width = polynomial.bit_length() - 1
    value = int.from_bytes(data, "big") << width
    while (more := value.bit_length() - width) > 0:
        value ^= polynomial << more - 1
    return value


def _times(one: int, other: int) -> int:
    """The product of two remainders by _CRC16. With `_power(n)` it is the remainder with n zero bits behind."""
    product = 0
    while other:
        product ^= one if other & 1 else 0
        one = one << 1 ^ (_CRC16 if one & 0x8000 else 0)
        other >>= 1
    return product


def _power(exponent: int) -> int:
    """The remainder of a one with `exponent` zero bits behind."""
    found, square = 1, 2
    while exponent:
        found = _times(found, square) if exponent & 1 else found
        square = _times(square, square)
        exponent >>= 1
    return found


def _sums16(bodies: Sequence[bytes]) -> list[int]:
    """The remainder of each body by _CRC16, of all at once: zeros in front do not change it."""
    longest = max(map(len, bodies))
    columns = np.frombuffer(b"".join(body.rjust(longest, b"\0") for body in bodies), np.uint8).reshape(-1, longest).T
    table = np.array([_remainder(bytes((byte,)), _CRC16) for byte in range(256)], np.uint16)
    sums = np.zeros(len(bodies), np.uint16)
    for column in np.ascontiguousarray(columns):
        sums = sums << 8 ^ table[sums >> 8 ^ column]
    return [int(one) for one in sums]
