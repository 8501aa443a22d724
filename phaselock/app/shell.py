"""What people type at a running session, and what they are told: the desk between standard input and the runner.

Used on the network thread.
"""

from __future__ import annotations

import math
import pathlib
import random
from collections.abc import Callable, Mapping
from typing import Any, Protocol
from uuid import UUID

from phaselock.app.importer import Importer
from phaselock.audio.interface import AudioOutput
from phaselock.errors import PhaseLockError
from phaselock.model.queue import upcoming_shuffled
from phaselock.model.snapshot import PeerView
from phaselock.network.host import HostRunner
from phaselock.network.peer import PeerRunner
from phaselock.network.runner import Runner, known_us
from phaselock.session import commands as c
from phaselock.session.effects import Event
from phaselock.session.outbox import item_fields, request_fields
from phaselock.storage.settings import SettingsStore


class Terminal(Protocol):
    """Where events go and lines come from."""

    def event(self, name: str, session_ns: int | None, fields: Mapping[str, object]) -> None: ...

    def progress(self, status: Mapping[str, object]) -> None: ...

    def listen(self, on_line: Callable[[str], None]) -> None: ...


class Shell:
    """Turns lines of standard input into commands, and answers each with what happened or one clear line."""

    def __init__(self, runner: Runner[Any], output: AudioOutput, store: SettingsStore, terminal: Terminal) -> None:
        self._runner = runner
        self._output = output
        self._store = store
        self._terminal = terminal
        self._words: dict[str, Callable[[str], None]] = {
            "queue": self._queue,
            "requests": self._requests,
            "status": self._status,
            "volume": self._volume,
            "offset": self._offset,
            "help": self._help,
        }

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
            self._answer("error", {"message": str(error)})

    def tell(self, event: Event) -> None:
        """Pass an event on."""
        self._terminal.event(event.name, event.session_ns, event.fields)
        if event.name == "sync":
            self._terminal.progress({**self._status_fields(), **event.fields})

    def _help(self, rest: str) -> None:
        self._answer("help", {"message": f"Commands: {', '.join(sorted(self._words))}."})

    def _answer(self, name: str, fields: Mapping[str, object]) -> None:
        self._terminal.event(name, self._runner.session_ns(), fields)

    def _queue(self, rest: str) -> None:
        _nothing_after("queue", rest)
        rows = [item_fields(item) for item in self._runner.snapshot().queue]
        self._answer("queue", {"queue": rows, "asked": True})

    def _requests(self, rest: str) -> None:
        _nothing_after("requests", rest)
        self._answer("requests", {"requests": [request_fields(one) for one in self._runner.snapshot().requests]})

    def _status(self, rest: str) -> None:
        _nothing_after("status", rest)
        self._answer("status", self._status_fields())

    def _volume(self, rest: str) -> None:
        volume = _number(rest, 0, 100, "Usage: volume 0..100") / 100
        self._output.set_volume(volume)
        self._store.update(volume=volume)

    def _offset(self, rest: str) -> None:
        correction_ms = _number(rest, -2000, 2000, "Usage: offset MILLISECONDS (-2000 to 2000)")
        self._output.set_correction_ms(correction_ms)
        device = self._output.status().device_name
        if device:
            self._store.update(corrections_ms={device: correction_ms})

    def _status_fields(self) -> dict[str, object]:
        snapshot, session_ns = self._runner.snapshot(), self._runner.session_ns()
        fields: dict[str, object] = {
            "session_name": snapshot.session_name,
            "host_name": snapshot.host_name,
            "display_name": snapshot.display_name,
            "state": "stopped",
            "connected": snapshot.connected,
        }
        line = snapshot.timeline
        if line is not None:
            fields["state"] = "playing" if line.stop_session_ns is None else "paused"
            if session_ns is not None:
                fields["position_s"] = round(line.frame_at(session_ns) / line.rate_hz, 3)
        elif snapshot.waiting_for is not None:
            fields["state"] = "waiting"
        item = snapshot.now or snapshot.waiting_for
        if item is not None:
            fields |= {"file_name": item.file_name, "title": item.title, "artist": item.artist}
            fields["duration_s"] = round(item.duration_secs, 3)
        return fields


class HostShell(Shell):
    """The host's."""

    def __init__(
        self, runner: HostRunner, intake: Importer, output: AudioOutput, store: SettingsStore, terminal: Terminal
    ) -> None:
        super().__init__(runner, output, store, terminal)
        self._host = runner
        self._intake = intake
        self._last_removed: UUID | None = None
        self._words |= {
            "add": self._add,
            "play": self._play,
            "pause": self._plain(c.Pause()),
            "resume": self._plain(c.Resume()),
            "stop": self._plain(c.Stop()),
            "next": self._plain(c.Next()),
            "previous": self._plain(c.Previous()),
            "quit": self._plain(c.Quit()),
            "seek": self._seek,
            "move": self._move,
            "remove": self._remove,
            "undo": self._undo,
            "shuffle": self._shuffle,
            "repeat": self._repeat,
            "accept": lambda rest: self._host.command(c.Accept(self._request(rest, "Usage: accept NUMBER"))),
            "reject": lambda rest: self._host.command(c.Reject(self._request(rest, "Usage: reject NUMBER"))),
            "drop-peer": lambda rest: self._host.command(c.DropPeer(_name(rest, "Usage: drop-peer NAME"))),
            "without": lambda rest: self._host.command(c.Without(_name(rest, "Usage: without NAME"))),
            "retry": lambda rest: self._host.command(c.Retry(rest or None)),
            "peers": self._peers,
        }

    def quit(self) -> None:
        """End the session."""
        self._host.command(c.Quit())

    def tell(self, event: Event) -> None:
        """Pass an event on; with its own `sync`, how each peer does."""
        super().tell(event)
        if event.name == "sync":
            for peer in self._runner.snapshot().peers:
                self._terminal.event("peer_sync", event.session_ns, _peer_fields(peer))

    def _plain(self, command: c.HostCommand) -> Callable[[str], None]:
        def run(rest: str) -> None:
            _nothing_after(type(command).__name__.lower(), rest)
            self._host.command(command)

        return run

    def _add(self, rest: str) -> None:
        self._intake.take([str(_path(rest, "Usage: add PATH"))])

    def _play(self, rest: str) -> None:
        self._host.command(c.Play(self._row(rest, "Usage: play [NUMBER]") if rest else None))

    def _seek(self, rest: str) -> None:
        self._host.command(c.Seek(_number(rest, 0, math.inf, "Usage: seek SECONDS")))

    def _move(self, rest: str) -> None:
        usage = "Usage: move FROM TO (numbers of the queue)"
        here, _, there = rest.partition(" ")
        rows = len(self._runner.snapshot().queue)
        self._host.command(c.Move(self._row(here, usage), int(_number(there, 1, max(1, rows), usage)) - 1))

    def _remove(self, rest: str) -> None:
        self._last_removed = self._row(rest, "Usage: remove NUMBER")
        self._host.command(c.Remove(self._last_removed))

    def _undo(self, rest: str) -> None:
        _nothing_after("undo", rest)
        if self._last_removed is None:
            raise PhaseLockError("Nothing was removed.")
        self._host.command(c.Restore(self._last_removed))
        self._last_removed = None

    def _shuffle(self, rest: str) -> None:
        _nothing_after("shuffle", rest)
        snapshot = self._runner.snapshot()
        now = snapshot.now.id if snapshot.now else None
        self._host.command(c.Arrange(upcoming_shuffled(snapshot.queue, now, random.shuffle)))

    def _repeat(self, rest: str) -> None:
        if rest not in ("on", "off"):
            raise PhaseLockError("Usage: repeat on|off")
        self._host.command(c.Repeat(rest == "on"))

    def _row(self, text: str, usage: str) -> UUID:
        """The track of a number of the queue."""
        number, queue = int(_number(text, 1, 1e6, usage)), self._runner.snapshot().queue
        if number > len(queue):
            raise PhaseLockError(f"There is no track {number} in the queue.")
        return queue[number - 1].id

    def _request(self, text: str, usage: str) -> UUID:
        number = int(_number(text, 1, 1e9, usage))
        for request in self._runner.snapshot().requests:
            if request.number == number:
                return request.request_id
        raise PhaseLockError(f"There is no request {number}.")

    def _peers(self, rest: str) -> None:
        _nothing_after("peers", rest)
        snapshot = self._runner.snapshot()
        rows = [
            {**_peer_fields(peer), "missing": [str(item.id) for item in snapshot.queue if item.id not in peer.have]}
            for peer in snapshot.peers
        ]
        self._answer("peers", {"peers": rows})

    def _status_fields(self) -> dict[str, object]:
        return super()._status_fields() | {"peers": len(self._runner.snapshot().peers)}


class PeerShell(Shell):
    """The peer's."""

    def __init__(self, runner: PeerRunner, output: AudioOutput, store: SettingsStore, terminal: Terminal) -> None:
        super().__init__(runner, output, store, terminal)
        self._peer = runner
        self._words |= {"request": self._ask, "leave": self._leave}

    def leave(self) -> None:
        """Leave politely."""
        self._peer.command(c.Leave())

    def _leave(self, rest: str) -> None:
        _nothing_after("leave", rest)
        self.leave()

    def _ask(self, rest: str) -> None:
        self._peer.request(_path(rest, "Usage: request PATH"))


def _peer_fields(peer: PeerView) -> dict[str, object]:
    """A peer in an event."""
    return {
        "name": peer.name,
        "ready": peer.ready,
        "files_ready": len(peer.have),
        "files": peer.files_total,
        "waited_for": peer.waited_for,
        "transfers": [
            {"file_id": str(file.file_id), "state": file.state.value, "done_bytes": file.done_bytes}
            for file in peer.files
        ],
        "clock": "none" if not peer.clock_usable else "stale" if peer.clock_stale else "good",
        "latency_ms": round(peer.latency_ns / 1e6, 3),
        "latency_class": peer.latency_class.value,
        "rtt_ms": round(peer.rtt_ns / 1e6, 3),
        "phase_error_us": round(peer.phase_error_ns / 1e3, 1),
        "offset_uncertainty_us": known_us(peer.offset_uncertainty_ns),
        "dac_uncertainty_us": known_us(peer.dac_uncertainty_ns),
        "drift_ppm": round(peer.drift_ppb / 1e3, 3),
        "output_latency_ms": round(peer.output_latency_ns / 1e6, 3),
        "device": peer.device_name,
        "timing": peer.timing,
        "underruns": peer.underruns,
    }


def _path(text: str, usage: str) -> pathlib.Path:
    """A path as people type it, perhaps in quotes."""
    file = text[1:-1] if len(text) > 1 and text[0] == text[-1] and text[0] in "\"'" else text
    if not file:
        raise PhaseLockError(usage)
    try:
        return pathlib.Path(file).expanduser()
    except RuntimeError:
        raise PhaseLockError(f"There is no file {file}.") from None


def _name(text: str, usage: str) -> str:
    if not text:
        raise PhaseLockError(usage)
    return text


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
