"""Converts music of other kinds than PhaseLock plays to FLAC, once, in another process (audio/conversion.py).

The results are in the cache, under their own hashes. Which file became which is in `conversions.json` there.
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import logging
import pathlib
import re
import threading
from collections.abc import Callable, Iterator
from typing import Any

from phaselock.app.json_process import JsonProcess
from phaselock.errors import PhaseLockError
from phaselock.language.message import N_, Message
from phaselock.model.file_kinds import OtherSoundError, UnplayableFileError
from phaselock.protocol.messages import MAX_FILE_BYTES
from phaselock.storage.cache import FileCache
from phaselock.storage.files import replace_file

WAITING_EVERY_S = 1.0
"""How often a conversion reports that it waits for another one."""
_CODE = "from phaselock.audio.conversion import main; main()"
_MAX_KNOWN = 10_000
_REASONS = {
    "no_sound": N_("it has no sound"),
    "damaged": N_("it is damaged or protected"),
    "too_long": N_("it is longer than 12 hours"),
}

_log = logging.getLogger("phaselock.app.converter")


class ConversionCancelledError(PhaseLockError):
    """The user does not want the file any more."""

    def __init__(self, name: str) -> None:
        super().__init__(N_("The conversion of {file_name} was cancelled."), file_name=name)


class Converter:
    """For worker threads; one file at a time."""

    def __init__(self, cache: FileCache) -> None:
        self._cache = cache
        self._list = cache.folder / "conversions.json"
        self._lock = threading.Lock()
        self._process: JsonProcess | None = None
        """Written by the thread that converts."""
        self._closed = False

    def close(self) -> None:
        """End a conversion that runs, because its session is over. Any thread may call this."""
        self._closed = True
        if (process := self._process) is not None:
            process.kill()

    def __call__(
        self, path: pathlib.Path, name: str, sha256: bytes, kind: Message, report: Callable[[float], bool]
    ) -> tuple[bytes, int, pathlib.Path]:
        """The hash, the size in bytes and the path of the FLAC file made of the file at `path`, whose hash is `sha256`.

        `report` is called again and again with the share that is converted, 0 to 1; it returns whether to go on.
        ConversionCancelledError if not, OtherSoundError if PyAV is missing, UnplayableFileError if the file is damaged.
        """
        with self._turn(name, report):
            known = self._known()
            if (made := known.get(sha256.hex())) and (found := self._cache.find(bytes.fromhex(made))):
                return bytes.fromhex(made), found.stat().st_size, found
            if importlib.util.find_spec("av") is None:
                raise OtherSoundError(name, kind)
            with self._cache.scratch() as target:
                self._run(path, name, target, report)
                converted = self._cache.adopt(target, MAX_FILE_BYTES)
            known[sha256.hex()] = converted[0].hex()
            with contextlib.suppress(OSError):  # it is converted again then
                kept = dict(list(known.items())[-_MAX_KNOWN:])
                replace_file(self._list, json.dumps(kept).encode())
            return converted

    @contextlib.contextmanager
    def _turn(self, name: str, report: Callable[[float], bool]) -> Iterator[None]:
        """Wait until no other file is being converted."""
        while not self._lock.acquire(timeout=WAITING_EVERY_S):
            if not report(0.0):
                raise ConversionCancelledError(name)
        try:
            yield
        finally:
            self._lock.release()

    def _run(self, path: pathlib.Path, name: str, target: pathlib.Path, report: Callable[[float], bool]) -> None:
        self._process = process = JsonProcess(_CODE, str(path), str(target))
        if self._closed:  # `close` may not have seen it
            process.kill()
        wanted, result = True, {"failed": "damaged"}
        for result in process.lines():
            if wanted and not (wanted := report(_share(result))):
                process.kill()
        self._process = None
        if not wanted:
            raise ConversionCancelledError(name)
        if "ended" not in result:
            _log.warning("%s was not converted: %r, exit status %s", name, result, process.exit_status)
            reason = _REASONS.get(str(result.get("failed")), _REASONS["damaged"])
            raise UnplayableFileError(name, Message(reason))

    def _known(self) -> dict[str, str]:
        try:
            found = json.loads(self._list.read_bytes())
        except (OSError, ValueError):
            return {}
        items = found.items() if isinstance(found, dict) else ()
        return {key: value for key, value in items if isinstance(value, str) and re.fullmatch("[0-9a-f]{64}", value)}


def _share(result: dict[str, Any]) -> float:
    """How much is converted, 0 to 1."""
    done = 1.0 if "ended" in result else result.get("done")
    return float(done) if isinstance(done, int | float) and 0 <= done <= 1 else 0.0
