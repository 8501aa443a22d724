"""Files of the kinds that are converted, made by PyAV."""

from __future__ import annotations

import pathlib
from collections.abc import Mapping
from fractions import Fraction

import pytest

av = pytest.importorskip("av")
RATE_HZ = 44_100
FRAMES = 3 * RATE_HZ + 123


def make(path: pathlib.Path, container: str, codec: str, tags: Mapping[str, str] = {}, rate_hz: int = RATE_HZ) -> None:
    """A file with three seconds of a loud tone and these tags."""
    with av.open(str(path), "w", format=container) as result:
        stream = result.add_stream(codec, rate=rate_hz, layout="stereo")
        stream.bit_rate = 128_000
        result.metadata.update(tags)
        resampler = av.AudioResampler(
            format=stream.format, layout="stereo", rate=rate_hz, frame_size=stream.codec_context.frame_size or 1024
        )
        frame = av.AudioFrame("s16", "stereo", FRAMES)
        frame.sample_rate = RATE_HZ
        frame.planes[0].update(bytes((0, 0, 0, 0, 0, 48, 0, 48)) * (FRAMES // 2) + bytes(4 * (FRAMES % 2)))
        done = 0
        for part in [*resampler.resample(frame), *resampler.resample(None)]:
            part.pts, part.time_base = done, Fraction(1, rate_hz)
            done += part.samples
            result.mux(stream.encode(part))
        result.mux(stream.encode(None))
