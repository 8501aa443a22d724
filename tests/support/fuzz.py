"""Damages music files at random, and inspects and plays them. `python -m tests.support.fuzz SEED COUNT FOLDER`

Prints a line of JSON. A crash or a hang ends the process with another status; FOLDER/input is the file that did it.
"""

from __future__ import annotations

import array
import contextlib
import faulthandler
import json
import pathlib
import random
import re
import resource
import struct
import sys
from collections.abc import Sequence

from phaselock.audio.formats.base import CHANNELS, FRAME_BYTES, Music
from phaselock.audio.music import inspect
from phaselock.errors import PhaseLockError
from phaselock.storage.tags import read_artwork, read_tags
from tests.support.flac import aiff, flac, wav
from tests.support.mp3 import encode

SEEDS = pathlib.Path(__file__).parent.parent / "audio" / "seeds"
"""Files of the program `flac`: the encoder of the tests writes uncompressed blocks only."""
HANG_S = 60.0
READ_FRAMES = 256
MAX_COMPARED = 8192
LOUDEST = 16.0
REFUSALS = re.compile(r"input cannot be played: .+\.$|Invalid or corrupted MP3 file: input$", re.DOTALL)


def seeds() -> list[bytes]:
    """An intact file of every kind that is played as it is."""
    chance = random.Random(1)
    noise = [chance.randrange(-9000, 9000) for _ in range(6 * 700)]
    plain = struct.pack(f"<{len(noise)}h", *noise)
    guid = b"\xf3\xac\xd3\x11\x8c\xd1\x00\xc0\x4f\x8e\xdb\x8a"
    form = struct.pack("<HHIIHH", 1, 2, 44_100, 176_400, 4, 16)
    wave64 = b"riff\x2e\x91\xcf\x11\xa5\xd6\x28\xdb\x04\xc1\x00\x00" + struct.pack("<Q", 10_000) + b"wave" + guid
    wave64 += b"fmt " + guid + struct.pack("<Q", 24 + len(form)) + form
    wave64 += b"data" + guid + struct.pack("<Q", 24 + len(plain)) + plain
    riff = wav(plain, 2, 44_100, 16)
    long_sizes = struct.pack("<4sIQQQI", b"ds64", 28, len(riff), len(plain), len(plain) // 4, 0)
    rf64 = b"RF64\xff\xff\xff\xffWAVE" + long_sizes + riff[12:]
    picture = struct.pack(">II9sIIIIII", 3, 9, b"image/png", 0, 1, 1, 24, 0, 12) + b"\x89PNG\r\n\x1a\n1234"
    return [
        flac(noise, 2, 44_100, tags=b"\x86" + len(picture).to_bytes(3, "big") + picture),
        flac(noise, 6, 96_000, 24),
        flac(noise, 1, 8_000, frames=0),
        riff,
        wav(struct.pack("<1000f", *(value / 9000 for value in noise[:1000])), 1, 48_000, 32, coding=3),
        wav(plain, 6, 48_000, 24),
        wav(plain[:2000], 1, 8_000, 8, coding=6),
        rf64,
        wave64,
        aiff(plain, 2, 16),
        b"ID3\4\0\0\0\0\0\x17TIT2\0\0\0\6\0\0\0Title" + bytes(7) + encode(frames=12_000, kbps=64),
        *(path.read_bytes() for path in sorted(SEEDS.iterdir())),
    ]


def damaged(chance: random.Random, known: Sequence[bytes]) -> bytes:
    """A seed with up to 30 changes, most of them near its beginning."""
    data = bytearray(chance.choice(known))
    for _ in range(chance.choice((1, 2, 4, 8, 30))):
        near = min(int(chance.expovariate(1 / 200)), len(data) - 1)
        at = near if chance.random() < 0.7 else chance.randrange(len(data))
        match chance.randrange(7):
            case 0:
                data[at] = chance.randrange(256)
            case 1:
                data[at] ^= 1 << chance.randrange(8)
            case 2:
                extremes = (b"\xff\xff\xff\xff", b"\0\0\0\0", b"\x7f\xff\xff\xff", b"\xff\xff\xff\x7f", b"\0\0\0\x80")
                data[at : at + 4] = chance.choice(extremes)
            case 3:
                del data[at : at + chance.randrange(1, 50)]
            case 4:
                data[at:at] = chance.randbytes(chance.randrange(1, 20))
            case 5:
                other = chance.choice(known)
                begin = chance.randrange(len(other))
                data[at : at + 20] = other[begin : begin + 20]
            case _:
                del data[max(at, len(data) // 2) :]
        data = data or bytearray(1)
    return bytes(data)


def read(path: pathlib.Path, info: Music, frame: int, frames: int) -> array.array[float]:
    """The samples from a frame on."""
    room = array.array("f", bytes(FRAME_BYTES * frames))
    with contextlib.closing(info.open(path)) as source:
        source.seek(frame)
        return room[: source.read_into(room, frames) * CHANNELS]


def play(path: pathlib.Path) -> bool:
    """Play the beginning and three places of the file. False if it is refused."""
    read_tags(path)
    read_artwork(path)
    try:
        info = inspect(path)
        assert 0 < info.frames <= 12 * 3600 * info.rate_hz
        whole = read(path, info, 0, MAX_COMPARED)
        assert len(whole) == min(MAX_COMPARED, info.frames) * CHANNELS
        assert all(abs(sample) <= LOUDEST for sample in whole)
        for frame in (info.frames // 3, info.frames // 2, info.frames - 1):
            part = read(path, info, frame, READ_FRAMES)
            assert len(part) == min(READ_FRAMES, info.frames - frame) * CHANNELS
            if frame + READ_FRAMES <= MAX_COMPARED:
                assert part == whole[frame * CHANNELS :][: len(part)], f"a seek to {frame} leads elsewhere"
    except PhaseLockError as error:
        assert REFUSALS.match(str(error)), error
        return False
    return True


def main() -> None:
    chance, path = random.Random(int(sys.argv[1])), pathlib.Path(sys.argv[3]) / "input"
    known = seeds()
    for seed in known:
        path.write_bytes(seed)
        assert play(path), "an intact file is refused"
    before_kb, played = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, 0
    count = int(sys.argv[2])
    for _ in range(count):
        path.write_bytes(damaged(chance, known))
        faulthandler.dump_traceback_later(HANG_S, exit=True)
        played += play(path)
    faulthandler.cancel_dump_traceback_later()
    grown_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before_kb
    print(json.dumps({"count": count, "played": played, "grown_mb": grown_kb / 1024}))


if __name__ == "__main__":
    main()
