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
import subprocess
import sys
import threading

from phaselock.language.message import N_, Message
from phaselock.model.file_kinds import OtherSoundError, UnplayableFileError
from phaselock.protocol.messages import MAX_FILE_BYTES
from phaselock.python_process import environment, python_command
from phaselock.storage.cache import FileCache
from phaselock.storage.files import replace_file

SILENCE_S = 60.0
"""A process that says nothing for this long is ended."""
_CODE = "from phaselock.audio.conversion import main; main()"
_MAX_KNOWN = 10_000
_REASONS = {
    "no_sound": N_("it has no sound"),
    "damaged": N_("it is damaged or protected"),
    "too_long": N_("it is longer than 12 hours"),
}

_log = logging.getLogger("phaselock.app.converter")


class Converter:
    """For worker threads; one file at a time."""

    def __init__(self, cache: FileCache) -> None:
        self._cache = cache
        self._list = cache.folder / "conversions.json"
        self._lock = threading.Lock()

    def __call__(self, path: pathlib.Path, name: str, sha256: bytes, kind: Message) -> tuple[bytes, int, pathlib.Path]:
        """The hash, the size in bytes and the path of the FLAC file made of the file at `path`, whose hash is `sha256`.
        OtherSoundError if PyAV is missing, UnplayableFileError if the file is damaged."""
        with self._lock:
            known = self._known()
            if (made := known.get(sha256.hex())) and (found := self._cache.find(bytes.fromhex(made))):
                return bytes.fromhex(made), found.stat().st_size, found
            if importlib.util.find_spec("av") is None:
                raise OtherSoundError(name, kind)
            with self._cache.scratch() as target:
                self._run(path, name, target)
                converted = self._cache.adopt(target, MAX_FILE_BYTES)
            known[sha256.hex()] = converted[0].hex()
            with contextlib.suppress(OSError):  # it is converted again then
                kept = dict(list(known.items())[-_MAX_KNOWN:])
                replace_file(self._list, json.dumps(kept).encode())
            return converted

    def _run(self, path: pathlib.Path, name: str, target: pathlib.Path) -> None:
        flags = 0
        if sys.platform == "win32":
            flags = subprocess.CREATE_NO_WINDOW | subprocess.BELOW_NORMAL_PRIORITY_CLASS
        command = python_command("-P", "-c", _CODE, str(path), str(target))
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment(), creationflags=flags
        )
        result = {"failed": "damaged"}
        with process:
            assert process.stdout
            watch = _Watch(process)
            for line in process.stdout:
                watch.restart()
                with contextlib.suppress(ValueError):
                    result = json.loads(line)
            watch.end()
        if "ended" not in result:
            _log.warning("%s was not converted: %r, exit status %s", name, result, process.returncode)
            reason = _REASONS.get(str(result.get("failed")), _REASONS["damaged"])
            raise UnplayableFileError(name, Message(reason))

    def _known(self) -> dict[str, str]:
        try:
            found = json.loads(self._list.read_bytes())
        except (OSError, ValueError):
            return {}
        items = found.items() if isinstance(found, dict) else ()
        return {key: value for key, value in items if isinstance(value, str) and re.fullmatch("[0-9a-f]{64}", value)}


class _Watch:
    """Ends a process that says nothing for SILENCE_S."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process
        self._timer = threading.Timer(0, process.kill)
        self.restart()

    def restart(self) -> None:
        self.end()
        self._timer = threading.Timer(SILENCE_S, self._process.kill)
        self._timer.daemon = True
        self._timer.start()

    def end(self) -> None:
        self._timer.cancel()
