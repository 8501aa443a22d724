"""Decodes covers in another process (storage/covers.py).

Pictures are untrusted: one that crashes its decoder, or never ends, costs only itself. The process ends when it has
been idle, and its memory with it.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import logging
import pathlib
import re
import struct
import subprocess
import sys

from phaselock.errors import PhaseLockError
from phaselock.python_process import environment, python_command
from phaselock.storage.covers import MAX_PPM_BYTES, REPLY, REQUEST, scaled
from phaselock.storage.tags import read_artwork

IDLE_S = 5.0
"""The process ends after this time without a picture."""
_CODE = "from phaselock.storage.covers import main; main()"
_PPM = re.compile(rb"P6 ([1-9]\d{0,3}) ([1-9]\d{0,3}) 255\n")

_log = logging.getLogger("phaselock.app.cover_decoder")


class CoverDecoder:
    """For the thread of one event loop. The worker "covers" reads the files and waits for the process."""

    def __init__(self, idle_s: float = IDLE_S) -> None:
        self._idle_s = idle_s
        self._worker = concurrent.futures.ThreadPoolExecutor(1, "covers")
        self._process: subprocess.Popen[bytes] | None = None
        """Written by the worker."""
        self._idle: asyncio.TimerHandle | None = None
        self._closed = False

    async def read(self, path: pathlib.Path, size: int, *, crop: bool) -> bytes | None:
        """The cover of a music file as `storage.covers.scaled` returns it; None if it has none, or one that cannot be
        shown."""
        loop = asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(self._worker, self._read, path, size, crop)
        finally:
            if self._idle is not None:
                self._idle.cancel()
            if not self._closed:
                self._idle = loop.call_later(self._idle_s, self._worker.submit, self._end)

    def close(self) -> None:
        """End the process. The reads that have not finished return None soon; there must be no later ones."""
        self._closed = True
        if self._idle is not None:
            self._idle.cancel()
        if (process := self._process) is not None:
            process.kill()
        self._worker.submit(self._end)
        self._worker.shutdown(wait=False)

    # -- on the worker -----------------------------------------------------------------------------------------------

    def _read(self, path: pathlib.Path, size: int, crop: bool) -> bytes | None:
        artwork = None if self._closed else read_artwork(path)
        if artwork is None:
            return None
        try:
            return self._decode(artwork.data, size, crop)
        except (OSError, ValueError, struct.error) as error:
            _log.warning("the cover of %s was not decoded: %r", path.name, error)
            self._end()
            return None

    def _decode(self, picture: bytes, size: int, crop: bool) -> bytes | None:
        """OSError, ValueError or struct.error if the process does not answer as it should."""
        try:
            process = self._process or self._start()
        except PhaseLockError:  # the starter of a bundle is no Python
            return scaled(picture, size, crop=crop)
        assert process.stdin and process.stdout
        process.stdin.write(REQUEST.pack(len(picture), size, crop))
        process.stdin.write(picture)
        process.stdin.flush()
        (length,) = REPLY.unpack(process.stdout.read(REPLY.size))
        return _checked(process.stdout.read(min(length, MAX_PPM_BYTES)), size) if length else None

    def _start(self) -> subprocess.Popen[bytes]:
        flags = 0
        if sys.platform == "win32":
            flags = subprocess.CREATE_NO_WINDOW | subprocess.BELOW_NORMAL_PRIORITY_CLASS
        self._process = process = subprocess.Popen(
            python_command("-P", "-c", _CODE),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environment(),
            creationflags=flags,
        )
        if self._closed:  # `close` may not have seen it
            process.kill()
        return process

    def _end(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            with contextlib.suppress(OSError), process:  # closes the pipes, and waits
                pass


def _checked(ppm: bytes, size: int) -> bytes:
    """The picture. ValueError unless it is one of at most `size` by `size` pixels: its decoder is not trusted."""
    header = _PPM.match(ppm)
    if header is None:
        raise ValueError("not a PPM file")
    width, height = int(header[1]), int(header[2])
    if max(width, height) > size or len(ppm) != header.end() + 3 * width * height:
        raise ValueError("not a picture of this size")
    return ppm
