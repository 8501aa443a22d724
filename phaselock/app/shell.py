"""The interactive commands of a running session on standard input, and their answers.

For the network thread.
"""

from __future__ import annotations

import math
import pathlib
import random
from collections.abc import Callable
from typing import Any, Literal, Protocol
from uuid import UUID

from phaselock.app.importer import Importer
from phaselock.audio.interface import AudioOutput
from phaselock.errors import PhaseLockError, bug_net
from phaselock.language.message import Message
from phaselock.model.notices import Code, Notice
from phaselock.model.queue import upcoming_shuffled
from phaselock.model.snapshot import PeerView
from phaselock.network.host import HostRunner
from phaselock.network.peer import PeerRunner
from phaselock.network.runner import Runner
from phaselock.session import commands as c
from phaselock.session import events as e
from phaselock.session.sentences import NoticeError, notice_of
from phaselock.storage.settings import SettingsStore


class Terminal(Protocol):
    """Shows events and reads lines of input."""

    def event(self, event: e.Event) -> None: ...

    def progress(self, status: e.StatusReported, sync: e.SyncMeasured) -> None: ...

    def listen(self, on_line: Callable[[str], None]) -> None: ...


class Shell:
    """Parses lines of standard input and executes them as commands. The answer is an event: the result or an error."""

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
        """Execute one line of input. An error is reported as an `error` event."""
        word, _, rest = line.strip().partition(" ")
        if not word:
            return
        try:
            if word not in self._words:
                typed = Message.joined("", (word,))  # a typed word is no message id, even if it equals one
                raise NoticeError(Notice(Code.UNKNOWN_COMMAND, typed, choices=tuple(sorted(self._words))))
            with bug_net("a typed command", PhaseLockError):
                self._words[word](rest.strip())
        except PhaseLockError as error:
            self._terminal.event(e.Failed(self._runner.session_ns(), notice_of(error)))

    def tell(self, event: e.Event) -> None:
        """Show an event of the session; with a `sync` event also the progress line."""
        self._terminal.event(event)
        if isinstance(event, e.SyncMeasured):
            self._terminal.progress(self._status_told(), event)

    def _help(self, rest: str) -> None:
        self._terminal.event(e.HelpTold(self._runner.session_ns(), tuple(sorted(self._words))))

    def _queue(self, rest: str) -> None:
        _nothing_after("queue", rest)
        rows = tuple(map(e.queue_row, self._runner.snapshot().queue))
        self._terminal.event(e.QueueChanged(self._runner.session_ns(), queue=rows, asked=True))

    def _requests(self, rest: str) -> None:
        _nothing_after("requests", rest)
        rows = tuple(map(e.request_row, self._runner.snapshot().requests))
        self._terminal.event(e.RequestsListed(self._runner.session_ns(), rows))

    def _status(self, rest: str) -> None:
        _nothing_after("status", rest)
        self._terminal.event(self._status_told())

    def _volume(self, rest: str) -> None:
        volume = _number(rest, 0, 100, "volume 0..100") / 100
        self._output.set_volume(volume)
        self._store.update(volume=volume, muted=False)

    def _offset(self, rest: str) -> None:
        correction_ms = _number(rest, -2000, 2000, Message("offset MILLISECONDS (-2000 to 2000)"))
        self._output.set_correction_ms(correction_ms)
        device = self._output.status().device_name
        if device:
            self._store.update(corrections_ms={device: correction_ms})

    def _status_told(self) -> e.StatusReported:
        snapshot, session_ns = self._runner.snapshot(), self._runner.session_ns()
        line, item = snapshot.timeline, snapshot.now or snapshot.waiting_for
        state: Literal["stopped", "playing", "paused", "waiting"] = "stopped"
        if line is not None:
            state = "playing" if line.stop_session_ns is None else "paused"
        elif snapshot.waiting_for is not None:
            state = "waiting"
        position_s = None
        if line is not None and session_ns is not None:
            position_s = round(line.frame_at(session_ns) / line.rate_hz, 3)
        return e.StatusReported(
            session_ns,
            session_name=snapshot.session_name,
            host_name=snapshot.host_name,
            display_name=snapshot.display_name,
            state=state,
            connected=snapshot.connected,
            position_s=position_s,
            file_name=item.file_name if item else None,
            title=item.title if item else None,
            artist=item.artist if item else None,
            duration_s=round(item.duration_secs, 3) if item else None,
            peers=self._peer_count(),
        )

    def _peer_count(self) -> int | None:
        """Number of peers in the session; None if it is not known."""
        return None


class HostShell(Shell):
    """The commands of a host."""

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
            "accept": lambda rest: self._host.command(c.Accept(self._request(rest, Message("accept NUMBER")))),
            "reject": lambda rest: self._host.command(c.Reject(self._request(rest, Message("reject NUMBER")))),
            "drop-peer": lambda rest: self._host.command(c.DropPeer(_name(rest, Message("drop-peer NAME")))),
            "without": lambda rest: self._host.command(c.Without(_name(rest, Message("without NAME")))),
            "retry": lambda rest: self._host.command(c.Retry(rest or None)),
            "peers": self._peers,
        }

    def quit(self) -> None:
        """End the session."""
        self._host.command(c.Quit())

    def tell(self, event: e.Event) -> None:
        """Show an event of the session; with the host's own `sync` event also the figures of each peer."""
        super().tell(event)
        if isinstance(event, e.SyncMeasured):
            for peer in self._runner.snapshot().peers:
                figures = e.PeerFigures(**_peer_figures(peer))
                self._terminal.event(e.PeerSyncMeasured(event.session_ns, figures))

    def _plain(self, command: c.HostCommand) -> Callable[[str], None]:
        def run(rest: str) -> None:
            _nothing_after(type(command).__name__.lower(), rest)
            self._host.command(command)

        return run

    def _add(self, rest: str) -> None:
        self._intake.take([str(_path(rest, Message("add PATH")))])

    def _play(self, rest: str) -> None:
        self._host.command(c.Play(self._row(rest, Message("play [NUMBER]")) if rest else None))

    def _seek(self, rest: str) -> None:
        self._host.command(c.Seek(_number(rest, 0, math.inf, Message("seek SECONDS"))))

    def _move(self, rest: str) -> None:
        usage = Message("move FROM TO (numbers of the queue)")
        here, _, there = rest.partition(" ")
        rows = len(self._runner.snapshot().queue)
        self._host.command(c.Move(self._row(here, usage), int(_number(there, 1, max(1, rows), usage)) - 1))

    def _remove(self, rest: str) -> None:
        self._last_removed = self._row(rest, Message("remove NUMBER"))
        self._host.command(c.Remove(self._last_removed))

    def _undo(self, rest: str) -> None:
        _nothing_after("undo", rest)
        if self._last_removed is None:
            raise NoticeError(Notice(Code.NOTHING_REMOVED))
        self._host.command(c.Restore(self._last_removed))
        self._last_removed = None

    def _shuffle(self, rest: str) -> None:
        _nothing_after("shuffle", rest)
        snapshot = self._runner.snapshot()
        now = snapshot.now.id if snapshot.now else None
        self._host.command(c.Arrange(upcoming_shuffled(snapshot.queue, now, random.shuffle)))

    def _repeat(self, rest: str) -> None:
        if rest not in ("on", "off"):
            raise _usage_error(Message("repeat on|off"))
        self._host.command(c.Repeat(rest == "on"))

    def _row(self, text: str, usage: str) -> UUID:
        """The id of the track with this number in the queue, from 1."""
        number, queue = int(_number(text, 1, 1e6, usage)), self._runner.snapshot().queue
        if number > len(queue):
            raise NoticeError(Notice(Code.NO_TRACK_NUMBER, number=number))
        return queue[number - 1].id

    def _request(self, text: str, usage: str) -> UUID:
        number = int(_number(text, 1, 1e9, usage))
        for request in self._runner.snapshot().requests:
            if request.number == number:
                return request.request_id
        raise NoticeError(Notice(Code.NO_REQUEST_NUMBER, number=number))

    def _peers(self, rest: str) -> None:
        _nothing_after("peers", rest)
        snapshot = self._runner.snapshot()
        rows = [
            e.PeerRow(
                **_peer_figures(peer), missing=tuple(item.id for item in snapshot.queue if item.id not in peer.have)
            )
            for peer in snapshot.peers
        ]
        self._terminal.event(e.PeersListed(self._runner.session_ns(), tuple(rows)))

    def _peer_count(self) -> int | None:
        return len(self._runner.snapshot().peers)


class PeerShell(Shell):
    """The commands of a peer."""

    def __init__(self, runner: PeerRunner, output: AudioOutput, store: SettingsStore, terminal: Terminal) -> None:
        super().__init__(runner, output, store, terminal)
        self._peer = runner
        self._words |= {"request": self._ask, "leave": self._leave}

    def leave(self) -> None:
        """Tell the host, and end."""
        self._peer.command(c.Leave())

    def _leave(self, rest: str) -> None:
        _nothing_after("leave", rest)
        self.leave()

    def _ask(self, rest: str) -> None:
        self._peer.request(_path(rest, Message("request PATH")))


def _peer_figures(peer: PeerView) -> dict[str, Any]:
    """The arguments of PeerFigures."""
    return {
        "name": peer.name,
        "ready": peer.ready,
        "files_ready": len(peer.have),
        "files": peer.files_total,
        "waited_for": peer.waited_for,
        "transfers": tuple(e.PeerTransfer(file.file_id, file.state, file.done_bytes) for file in peer.files),
        "clock": "none" if not peer.clock_usable else "stale" if peer.clock_stale else "good",
        "latency_ms": round(peer.latency_ns / 1e6, 3),
        "latency_class": peer.latency_class,
        "rtt_ms": round(peer.rtt_ns / 1e6, 3),
        "phase_error_us": round(peer.phase_error_ns / 1e3, 1),
        "offset_uncertainty_us": e.known_us(peer.offset_uncertainty_ns),
        "dac_uncertainty_us": e.known_us(peer.dac_uncertainty_ns),
        "drift_ppm": round(peer.drift_ppb / 1e3, 3),
        "output_latency_ms": round(peer.output_latency_ns / 1e6, 3),
        "device": peer.device_name,
        "timing": peer.timing,
        "underruns": peer.underruns,
    }


def _usage_error(usage: str) -> NoticeError:
    """The error for arguments that do not have the form `usage`."""
    return NoticeError(Notice(Code.USAGE, usage))


def _path(text: str, usage: str) -> pathlib.Path:
    """A path as users type it: with or without quotes, `~` is expanded."""
    file = text[1:-1] if len(text) > 1 and text[0] == text[-1] and text[0] in "\"'" else text
    if not file:
        raise _usage_error(usage)
    try:
        return pathlib.Path(file).expanduser()
    except RuntimeError:
        raise NoticeError(Notice(Code.NO_FILE, file_name=file)) from None


def _name(text: str, usage: str) -> str:
    if not text:
        raise _usage_error(usage)
    return text


def _number(text: str, low: float, high: float, usage: str) -> float:
    try:
        value = float(text)
    except ValueError:
        raise _usage_error(usage) from None
    if not (math.isfinite(value) and low <= value <= high):
        raise _usage_error(usage)
    return value


def _nothing_after(word: str, rest: str) -> None:
    if rest:
        raise _usage_error(word)
