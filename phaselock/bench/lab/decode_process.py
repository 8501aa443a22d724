"""Measures how a song is inspected, decoded, searched and analysed, with the calls of the player.

`python -m phaselock.bench.lab.decode_process SONG SEEKS SEED` writes a DecodeResult as JSON. It is a process of its
own, so that its memory is that of the decoder.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import pathlib
import random
import sys
import time
import zlib
from collections.abc import Iterable, Mapping

from phaselock.audio.formats.base import FRAME_BYTES, Music, Source
from phaselock.audio.music import inspect
from phaselock.audio.waveform import analyse
from phaselock.frozen import frozen

_READ_FRAMES = 8192
"""The player reads this many frames at a time."""
_COMPARED_FRAMES = 64
"""After a seek, at most."""

Check = tuple[int, int]
"""A number of bytes of sound, and their check sum."""


@frozen
class DecodeResult:
    """The result of one repeat."""

    realtime_factor: float
    inspect_ms: float
    """For a minute of the song, like `analysis_ms`."""
    analysis_ms: float
    playing_mb: float | None
    """How much the resident memory grew at most while the song was inspected, decoded and searched; None if the system
    does not tell."""
    analysis_mb: float | None
    seeks_ms: tuple[float, ...]
    inexact_seeks: int
    """Those after which the sound differs from what is decoded there without a seek."""


def measure(path: pathlib.Path, seeks: int, seed: int) -> DecodeResult:
    """Measure one repeat; `seed` chooses the positions of the seeks."""
    pcm = bytearray(b"\1" * FRAME_BYTES * _READ_FRAMES)
    before = _begin_peak()
    began_s = time.perf_counter()
    info = inspect(path)
    inspected_s = time.perf_counter() - began_s
    minutes = info.frames / info.rate_hz / 60
    frames = seek_frames(info, seeks, seed)
    with contextlib.closing(info.open(path)) as source:
        began_s = time.perf_counter()
        checks = _decode(source, pcm, frames)
        decoded_s = time.perf_counter() - began_s
        found = [_seek(source, frame, pcm, checks[frame]) for frame in frames]
    playing_mb = _grown_mb(before)
    before = _begin_peak()
    began_s = time.perf_counter()
    analyse(path, info)
    analysed_s = time.perf_counter() - began_s
    return DecodeResult(
        realtime_factor=60 * minutes / decoded_s,
        inspect_ms=1e3 * inspected_s / minutes,
        analysis_ms=1e3 * analysed_s / minutes,
        playing_mb=playing_mb,
        analysis_mb=_grown_mb(before),
        seeks_ms=tuple(ms for ms, _ in found),
        inexact_seeks=sum(not exact for _, exact in found),
    )


def seek_frames(info: Music, seeks: int, seed: int) -> list[int]:
    """Random frames to seek to."""
    source = random.Random(seed)
    return [source.randrange(info.frames) for _ in range(seeks)]


def _decode(source: Source, pcm: bytearray, frames: Iterable[int]) -> Mapping[int, Check]:
    """Decode the song from its begin to its end; return the check of each of these frames and those behind it."""
    checks: dict[int, Check] = {}
    waiting = sorted(frames, reverse=True)
    at = 0
    while got := source.read_into(pcm, _READ_FRAMES):
        while waiting and waiting[-1] < at + got:
            frame = waiting.pop()
            begin, end = frame - at, min(frame - at + _COMPARED_FRAMES, got)
            sound = memoryview(pcm)[FRAME_BYTES * begin : FRAME_BYTES * end]
            checks[frame] = len(sound), zlib.crc32(sound)
        at += got
    return checks


def _seek(source: Source, frame: int, pcm: bytearray, check: Check) -> tuple[float, bool]:
    """The time until the first frame after the seek is decoded, in ms, and whether the sound is right."""
    began_s = time.perf_counter()
    source.seek(frame)
    source.read_into(pcm, 1)
    ended_s = time.perf_counter()
    size, checksum = check
    place = memoryview(pcm)
    source.read_into(place[FRAME_BYTES:], size // FRAME_BYTES - 1)
    return 1e3 * (ended_s - began_s), zlib.crc32(place[:size]) == checksum


def _begin_peak() -> int | None:
    """Reset the peak of the resident memory to what is resident; return it, in kB. None unless on Linux."""
    if sys.platform != "linux":
        return None
    pathlib.Path("/proc/self/clear_refs").write_text("5", "ascii")
    return _peak_kb()


def _peak_kb() -> int:
    status = pathlib.Path("/proc/self/status").read_text("ascii", "replace")
    return int(status.partition("VmHWM:")[2].split()[0])


def _grown_mb(before_kb: int | None) -> float | None:
    return None if before_kb is None else (_peak_kb() - before_kb) * 1024 / 1e6


if __name__ == "__main__":
    song, seeks, seed = sys.argv[1:]
    print(json.dumps(dataclasses.asdict(measure(pathlib.Path(song), int(seeks), int(seed)))))
