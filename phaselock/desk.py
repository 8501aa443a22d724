"""What people type at a running session, and what they are told: the desk between standard input and the runner.

Used on the network thread; files are hashed and inspected on a thread of their own.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import math
import pathlib
import uuid
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from phaselock.audio.interface import AudioOutput
from phaselock.audio.mp3 import inspect
from phaselock.errors import PhaseLockError
from phaselock.model.types import Track
from phaselock.network.host import HostRunner
from phaselock.network.peer import PeerRunner
from phaselock.network.runner import Runner
from phaselock.protocol.messages import MAX_FILE_BYTES
from phaselock.session import commands as c
from phaselock.session.effects import Event
from phaselock.storage.cache import hash_file


class Terminal(Protocol):
    """Where events go and lines come from."""

    def event(self, name: str, session_ns: int | None, fields: Mapping[str, object]) -> None: ...

    def progress(self, status: Mapping[str, object]) -> None: ...

    def listen(self, on_line: Callable[[str], None]) -> None: ...


class Desk:
    """Turns lines of standard input into commands, and answers each with what happened or one clear line."""

    def __init__(self, runner: Runner[Any], terminal: Terminal) -> None:
        self._runner = runner
        self._terminal = terminal
        self._words: dict[str, Callable[[str], None]] = {"queue": self._queue, "status": self._status}

    def line(self, line: str) -> None:
        """One line of input."""
        word, _, rest = line.strip().partition(" ")
        if not word:
            return
        try:
            if word not in self._words:
                raise PhaseLockError(f"Unknown command: {word}. Commands: {', '.join(sorted(self._words))}.")
            self._words[word](rest.strip())
        except PhaseLockError as error:
            self._terminal.event("error", self._runner.session_ns(), {"message": str(error)})

    def tell(self, event: Event) -> None:
        """Pass an event on."""
        self._terminal.event(event.name, event.session_ns, event.fields)
        if event.name == "sync":
            self._terminal.progress({**self._status_fields(), **event.fields})

    def _queue(self, rest: str) -> None:
        _nothing_after("queue", rest)
        rows = [
            {
                "id": str(item.id),
                "file_name": item.file_name,
                "duration_secs": round(item.duration_secs, 3),
                "added_by": item.added_by,
                "status": item.status.value,
            }
            for item in self._runner.snapshot().queue
        ]
        self._terminal.event("queue", self._runner.session_ns(), {"queue": rows, "asked": True})

    def _status(self, rest: str) -> None:
        _nothing_after("status", rest)
        self._terminal.event("status", self._runner.session_ns(), self._status_fields())

    def _status_fields(self) -> dict[str, object]:
        snapshot, session_ns = self._runner.snapshot(), self._runner.session_ns()
        fields: dict[str, object] = {
            "session_name": snapshot.session_name,
            "host_name": snapshot.host_name,
            "display_name": snapshot.display_name,
            "state": "stopped",
        }
        line = snapshot.timeline
        if line is not None:
            fields["state"] = "playing" if line.stop_session_ns is None else "paused"
            for item in snapshot.queue:
                if item.id == line.file_id:
                    fields |= {"file_name": item.file_name, "duration_s": round(item.duration_secs, 3)}
            if session_ns is not None:
                fields["position_s"] = round(line.frame_at(session_ns) / line.rate_hz, 3)
        return fields


class HostDesk(Desk):
    """The host's."""

    def __init__(self, runner: HostRunner, terminal: Terminal) -> None:
        super().__init__(runner, terminal)
        self._host = runner
        self._adding: asyncio.Queue[str] = asyncio.Queue()
        self._adder = asyncio.create_task(self._add_files())
        self._files = concurrent.futures.ThreadPoolExecutor(1, "files")
        self._words |= {
            "add": self._add,
            "play": self._plain(c.Play()),
            "pause": self._plain(c.Pause()),
            "resume": self._plain(c.Resume()),
            "stop": self._plain(c.Stop()),
            "next": self._plain(c.Next()),
            "quit": self._plain(c.Quit()),
            "seek": self._seek,
            "drop-peer": self._drop,
            "peers": self._peers,
        }

    def add(self, file: str) -> None:
        """Append a file to the queue as soon as it is read; one after the other."""
        self._adding.put_nowait(file)

    def quit(self) -> None:
        """End the session."""
        self._host.command(c.Quit())

    def close(self) -> None:
        """Add nothing any more."""
        self._adder.cancel()
        self._files.shutdown(cancel_futures=True)

    async def _add_files(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            path = pathlib.Path(await self._adding.get())
            try:
                track = await loop.run_in_executor(self._files, _track, path)
            except PhaseLockError as error:
                self._terminal.event("error", self._runner.session_ns(), {"message": str(error)})
            else:
                self._host.add(track, path)

    def _plain(self, command: c.HostCommand) -> Callable[[str], None]:
        def run(rest: str) -> None:
            _nothing_after(type(command).__name__.lower(), rest)
            self._host.command(command)

        return run

    def _add(self, rest: str) -> None:
        file = rest[1:-1] if len(rest) > 1 and rest[0] == rest[-1] and rest[0] in "\"'" else rest
        if not file:
            raise PhaseLockError("Usage: add PATH")
        try:
            self.add(str(pathlib.Path(file).expanduser()))
        except RuntimeError:
            raise PhaseLockError(f"There is no file {file}.") from None

    def _seek(self, rest: str) -> None:
        self._host.command(c.Seek(_number(rest, 0, math.inf, "Usage: seek SECONDS")))

    def _drop(self, rest: str) -> None:
        if not rest:
            raise PhaseLockError("Usage: drop-peer NAME")
        self._host.command(c.DropPeer(rest))

    def _peers(self, rest: str) -> None:
        _nothing_after("peers", rest)
        rows = [
            {
                "name": peer.name,
                "ready": peer.ready,
                "clock": "none" if not peer.clock_usable else "stale" if peer.clock_stale else "good",
                "rtt_ms": round(peer.rtt_ns / 1e6, 3),
                "phase_error_us": round(peer.phase_error_ns / 1e3, 1),
                "offset_uncertainty_us": round(peer.offset_uncertainty_ns / 1e3, 1),
                "drift_ppm": round(peer.drift_ppb / 1e3, 3),
                "output_latency_ms": round(peer.output_latency_ns / 1e6, 3),
                "device": peer.device_name,
                "underruns": peer.underruns,
            }
            for peer in self._runner.snapshot().peers
        ]
        self._terminal.event("peers", self._runner.session_ns(), {"peers": rows})

    def _status_fields(self) -> dict[str, object]:
        return super()._status_fields() | {"peers": len(self._runner.snapshot().peers)}


class PeerDesk(Desk):
    """The peer's."""

    def __init__(self, runner: PeerRunner, output: AudioOutput, terminal: Terminal) -> None:
        super().__init__(runner, terminal)
        self._peer = runner
        self._output = output
        self._words |= {"volume": self._volume, "offset": self._offset, "leave": self._leave}

    def leave(self) -> None:
        """Leave politely."""
        self._peer.command(c.Leave())

    def _leave(self, rest: str) -> None:
        _nothing_after("leave", rest)
        self.leave()

    def _volume(self, rest: str) -> None:
        self._output.set_volume(_number(rest, 0, 100, "Usage: volume 0..100") / 100)

    def _offset(self, rest: str) -> None:
        self._output.set_correction_ms(_number(rest, -2000, 2000, "Usage: offset MILLISECONDS (-2000 to 2000)"))


def _track(path: pathlib.Path) -> Track:
    """In the thread of files: what everybody has to know of a file."""
    if not path.is_file():  # reading a device or a pipe may never end
        raise PhaseLockError(f"There is no file {path}.")
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise PhaseLockError(f"{path.name} is too large to be shared.")
        sha256, size = hash_file(path)
        info = inspect(path)
    except OSError as error:
        raise PhaseLockError(f"{path.name} cannot be read: {error.strerror}.") from None
    return Track(uuid.uuid4(), path.name, size, sha256, info.rate_hz, info.frames)


def _number(text: str, low: float, high: float, usage: str) -> float:
    try:
        value = float(text)
    except ValueError:
        raise PhaseLockError(usage) from None
    if not (math.isfinite(value) and low <= value <= high):
        raise PhaseLockError(usage)
    return value


def _nothing_after(word: str, rest: str) -> None:
    if rest:
        raise PhaseLockError(f"Usage: {word}")
