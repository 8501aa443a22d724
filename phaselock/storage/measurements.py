"""What was measured in songs, by the hash of the file: a song is measured once, and not in each session.

Each song is one line of a file. New lines come at the end, so that several programs can write. A line that is not valid
counts as none: the song is measured again, and its new line counts. Everything here blocks.
"""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
from typing import Any

from phaselock.model.loudness import Loudness
from phaselock.model.measurement import Measurement
from phaselock.storage.files import open_regular, replace_file

MAX_FILE_BYTES = 2 << 20
"""About 15,000 songs. If the file becomes larger, its older half is removed."""
_RULES = 1
"""Increase it when songs are measured by other rules: then all lines of the old ones are not valid."""
_MAX_LU = 120.0
"""Of the loudness range. Blocks have -70 to about 30 LUFS."""
_MAX_PEAK = 1000.0
_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_APPEND | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0)


class KeptMeasurements:
    """The measurements in this file. If it cannot be read or written, songs are measured again."""

    def __init__(self, path: pathlib.Path) -> None:
        self._path = path

    def find(self, sha256: bytes, frames: int) -> Measurement | None:
        """What was measured in the song with this hash, which has this length; None if that is not known."""
        content, begin = self._read(), _begin_of_line(sha256)
        place = content.rfind(begin)  # the newest
        if place < 0:
            return None
        line = content[place + len(begin) :].partition(b"\n")[0]
        try:
            return _checked(json.loads(line), frames)
        except (ValueError, RecursionError):
            return None

    def keep(self, sha256: bytes, measurement: Measurement) -> None:
        """Keep what was measured in the song with this hash."""
        loudness = measurement.loudness
        values = json.dumps(
            [
                loudness.integrated_lufs,
                loudness.true_peak,
                measurement.range_lu,
                measurement.sound_begin_frame,
                measurement.sound_end_frame,
            ]
        )
        with contextlib.suppress(OSError):
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with open(os.open(self._path, _FLAGS, 0o600), "wb") as file:
                file.write(_begin_of_line(sha256) + values.encode())
            if self._path.stat().st_size > MAX_FILE_BYTES:
                newer = self._read()[-MAX_FILE_BYTES // 2 :]
                replace_file(self._path, newer[max(0, newer.find(b"\n")) :])

    def _read(self) -> bytes:
        """The end of the file, which is the whole file unless another program has written to it."""
        with contextlib.suppress(OSError), open_regular(self._path) as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - MAX_FILE_BYTES))
            return file.read(MAX_FILE_BYTES)
        return b""


def _begin_of_line(sha256: bytes) -> bytes:
    """A line begins with the end of the last one, which may be cut off."""
    return f"\n{_RULES} {sha256.hex()} ".encode()


def _checked(values: Any, frames: int) -> Measurement:
    """ValueError if the values are not those of a song of this length."""
    if not isinstance(values, list) or len(values) != 5:
        raise ValueError("five values are expected")
    lufs, peak, range_lu, begin, end = values
    for value, least, most in ((lufs, -80.0, 40.0), (range_lu, 0.0, _MAX_LU), (peak, 0.0, _MAX_PEAK)):
        if (value is not None or value is peak) and not (type(value) in (int, float) and least <= value <= most):
            raise ValueError("a level is out of range")
    if type(begin) is not int or type(end) is not int or not 0 <= begin <= end <= frames:
        raise ValueError("the sound is out of range")
    return Measurement(Loudness(lufs, peak), range_lu, begin, end)
