"""Convert a music file of any other kind to FLAC, in a process of its own: a file may be
hostile, and one that makes its decoder crash or hang costs only itself.

The process is started by `app.converter`, and writes lines of JSON to standard output: how far it is, and its end.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import pathlib
import sys
import time
from collections.abc import Iterator, Mapping
from typing import Any

import av
from av.stream import Disposition

from phaselock.audio.formats.base import MAX_HOURS, MAX_RATE_HZ, MIN_RATE_HZ
from phaselock.storage import ogg

DEMUXERS = (
    "mov,mp4,m4a,3gp,3g2,mj2",
    *("aac", "ac3", "amr", "ape", "asf", "avi", "caf", "dsf", "eac3", "flv", "matroska,webm", "mp3", "mpc", "mpc8"),
    *("mpeg", "mpegts", "ogg", "tta", "wv"),
)
"""FFmpeg's readers that open no other file and no address: playlists do."""
_LOSSLESS = frozenset({"alac", "ape", "flac", "tta", "wavpack"})
_MAX_CHANNELS = 8
_MAX_BAD_SHARE = 0.05
"""A file with more damaged packets is refused."""
_TAGS = ("title", "artist", "album", "track", "disc")
REPORT_EVERY_S = 0.5
"""Smallest time between two lines about the progress."""
_MAX_MEMORY_BYTES = 2 << 30
_MAX_FILE_BYTES = 2 << 30


class ConversionError(Exception):
    """The file cannot be converted. The text is one of REASONS."""


REASONS = frozenset({"no_sound", "damaged", "too_long"})


def convert(source: pathlib.Path, target: pathlib.Path) -> Iterator[float]:
    """Write the first sound of `source` to the FLAC file `target`, with its tags and its picture. Yields the share
    of the source that is read, 0 to 1. ConversionError, OSError or an error of FFmpeg if that fails."""
    options = {"format_whitelist": ",".join(DEMUXERS), "protocol_whitelist": "none"}
    size = source.stat().st_size
    with source.open("rb") as file, contextlib.ExitStack() as stack:
        result = stack.enter_context(av.open(os.fspath(target), "w", format="flac"))
        frames: _Frames | None = None
        begins = ogg.part_begins(file)  # FFmpeg reads the parts of a chained file only if they are alike
        for begin, end in zip(begins, [*begins[1:], size], strict=True):
            music: Any = av.open(_Part(file, begin, end), options=options, metadata_errors="replace")
            stack.callback(music.close)
            sound = next(iter(music.streams.audio), None)
            if sound is None or not sound.rate:
                raise ConversionError("no_sound")
            picture = cover = None
            if frames is None:
                picture = next((one for one in music.streams.video if _is_cover(one)), None)
                rate_hz = min(max(sound.rate, MIN_RATE_HZ), MAX_RATE_HZ)
                layout = sound.layout.name if sound.layout.nb_channels <= _MAX_CHANNELS else "stereo"
                depth = "s32" if sound.codec_context.name in _LOSSLESS and sound.format.bytes > 2 else "s16"
                encoder = result.add_stream("flac", rate=rate_hz, layout=layout, format=depth)
                frames = _Frames(music, sound, rate_hz, layout, depth)
                result.metadata.update(_tags(music.metadata, sound.metadata))
            if picture is not None:
                cover = result.add_stream_from_template(picture)
                cover.disposition = Disposition.attached_pic
            for packet in music.demux([one for one in (sound, picture) if one is not None]):
                if packet.stream is picture:
                    if packet.size:
                        packet.stream = cover
                        result.mux(packet)
                    continue
                for frame in frames.of(packet):
                    result.mux(encoder.encode(frame))
                yield min(1.0, file.tell() / size)
        assert frames is not None
        for frame in frames.rest():
            result.mux(encoder.encode(frame))
        result.mux(encoder.encode(None))
    frames.check()


class _Part:
    """A part of a file, as a file."""

    def __init__(self, file: io.BufferedReader, begin: int, end: int) -> None:
        self._file, self._begin, self._end = file, begin, end
        file.seek(begin)

    def read(self, count: int) -> bytes:
        return self._file.read(max(0, min(count, self._end - self._file.tell())))

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: self._begin, io.SEEK_CUR: self._file.tell(), io.SEEK_END: self._end}[whence]
        return self._file.seek(max(self._begin, base + offset)) - self._begin

    def tell(self) -> int:
        return self._file.tell() - self._begin


def _is_cover(video: Any) -> bool:
    """Can this stream be copied as the picture of a FLAC file?"""
    return bool(video.disposition & Disposition.attached_pic and video.codec_context.width)


class _Frames:
    """The decoded sound in the form of the result: without the padding of the encoder."""

    def __init__(self, music: Any, sound: Any, rate_hz: int, layout: str, depth: str) -> None:
        self._form: dict[str, Any] = {"rate": rate_hz, "layout": layout, "format": depth}
        self._converter: Any = None
        self._source: tuple[Any, ...] = ()
        self._packets = self._bad = 0
        self._limit = MAX_HOURS * 3600 * rate_hz
        # The length of an MP4 file excludes the padding; FFmpeg trims that of the others itself.
        self._end: int | None = None
        if "mp4" in music.format.name and sound.duration and sound.time_base:
            self._end = round(sound.duration * sound.time_base * rate_hz)
        self._longest_packet = 0
        self.written = 0

    def of(self, packet: Any) -> Iterator[Any]:
        """The frames of a packet."""
        self._packets += 1
        self._read_end(packet)
        try:
            decoded = packet.decode()
        except av.error.FFmpegError:
            self._bad += 1
            return
        for frame in decoded:
            source = frame.format.name, frame.layout.name, frame.sample_rate
            if source != self._source:  # the parts of a chained file may differ
                yield from self.rest()
                self._source, self._converter = source, av.AudioResampler(**self._form)
            yield from self._trimmed(self._converter.resample(frame))

    def rest(self) -> Iterator[Any]:
        """The frames that the resampler still holds."""
        if self._converter is not None:
            yield from self._trimmed(self._converter.resample(None))

    def check(self) -> None:
        """ConversionError unless there was enough intact sound."""
        if not self.written or self._bad > _MAX_BAD_SHARE * self._packets:
            raise ConversionError("damaged")

    def _read_end(self, packet: Any) -> None:
        """Some programs round the length of an MP4 file to milliseconds. Their last packet tells it exactly: it is
        shorter than the others."""
        duration = packet.duration or 0
        if self._end is not None and packet.pts is not None and 0 < duration < self._longest_packet:
            end = round((packet.pts + duration) * packet.time_base * self._form["rate"])
            if abs(end - self._end) <= self._form["rate"] / 1000:
                self._end = end
        self._longest_packet = max(self._longest_packet, duration)

    def _trimmed(self, frames: list[Any]) -> Iterator[Any]:
        for frame in frames:
            frame.pts = None
            if self._end is not None and self.written + frame.samples > self._end:
                if self._end == self.written:
                    return
                frame = _first(frame, self._end - self.written)
            self.written += frame.samples
            if self.written > self._limit:
                raise ConversionError("too_long")
            yield frame


def _first(frame: Any, samples: int) -> Any:
    """The first samples of a packed frame."""
    cut = av.AudioFrame(frame.format.name, frame.layout.name, samples)
    cut.sample_rate = frame.sample_rate
    place = cut.planes[0]
    place.update(bytes(frame.planes[0])[: place.buffer_size].ljust(place.buffer_size, b"\0"))
    return cut


def _tags(*sources: Mapping[str, str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for source in sources:
        for name, text in source.items():
            if name.lower() in _TAGS or name.lower().startswith(("replaygain_", "r128_")):
                found.setdefault(name.lower(), text)
    return found


def main() -> None:
    """Convert the file of the first argument to that of the second one."""
    with contextlib.suppress(ImportError, AttributeError, OSError, ValueError):
        import resource  # not on Windows

        os.nice(10)
        resource.setrlimit(resource.RLIMIT_AS, (_MAX_MEMORY_BYTES, _MAX_MEMORY_BYTES))
        resource.setrlimit(resource.RLIMIT_FSIZE, (_MAX_FILE_BYTES, _MAX_FILE_BYTES))
    due_s = 0.0
    try:
        for done in convert(pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])):
            if time.monotonic() >= due_s:
                due_s = time.monotonic() + REPORT_EVERY_S
                print(json.dumps({"done": round(done, 4)}), flush=True)
    except ConversionError as error:
        print(json.dumps({"failed": str(error)}), flush=True)
    except (av.error.FFmpegError, OSError, ValueError, MemoryError) as error:
        print(json.dumps({"failed": "damaged", "detail": repr(error)}), flush=True)
    else:
        print(json.dumps({"ended": True}), flush=True)
