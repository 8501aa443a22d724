"""Standard output and input: prints events as JSON objects or sentences, and reads lines.

One thread writes standard output, so that a terminal that hangs blocks no other thread. Another thread reads standard
input.
"""

from __future__ import annotations

import _thread
import contextlib
import io
import json
import os
import queue
import shutil
import sys
import textwrap
import threading
from collections.abc import Callable
from typing import Protocol

from phaselock.console import events as ce
from phaselock.errors import InternalError, bug_net
from phaselock.language.message import ENGLISH, N_, Figure, Words, translated
from phaselock.model.queue import ItemStatus
from phaselock.model.snapshot import LatencyClass, RequestState
from phaselock.model.timing import TIMING_PHRASES
from phaselock.session import events as e
from phaselock.session.event_json import event_object
from phaselock.session.sentences import event_text, time_text

MAX_LINES_WAITING = 10_000
"""Limit of printed texts that the writer thread has not taken yet; further ones are dropped."""
MAX_CHARACTERS_WAITING = 16 << 20
"""The same limit in characters."""
MAX_LINE = 65536
"""Limit of an incomplete line of input, in bytes; the rest of the line is dropped."""
FLUSH_S = 2.0
"""How long `close` waits for the output to be written, in seconds."""


class Screen(Protocol):
    """The output of a command: a Terminal, or its replacement in tests."""

    words: Words
    """The language of the user, for tables; `event`, `say` and `show` translate every Message themselves."""

    def event(self, event: e.Event, *, to_people: bool = True) -> None: ...

    def say(self, text: str) -> None: ...

    def show(self, text: str) -> None: ...


def replace_unprintable() -> None:
    """Print a question mark for each character that standard output cannot encode. Call this before any output."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")


class Terminal:
    """Standard output and input. Events are printed as JSON objects, or as sentences with a progress line below.

    No method waits for the output, except `close`.
    """

    def __init__(self, *, as_json: bool, quiet: bool, words: Words = ENGLISH) -> None:
        self.words = words
        self._as_json = as_json
        self._quiet = quiet
        self._in_place = not as_json and not quiet and sys.stdout is not None and sys.stdout.isatty()
        if self._in_place and sys.platform == "win32":
            os.system("")  # makes older consoles interpret escape sequences
        self._shown = 0
        """Number of progress lines on the screen now."""
        self._lines: queue.Queue[str | None] = queue.Queue(MAX_LINES_WAITING)
        self._put_characters = self._taken_characters = 0
        self._writer: threading.Thread | None = None
        self._closing = False

    @property
    def in_place(self) -> bool:
        """True if the output is a terminal on which lines can be replaced."""
        return self._in_place

    def event(self, event: e.Event, *, to_people: bool = True) -> None:
        """Print an event. With `to_people` False it is printed only as JSON."""
        if self._as_json:
            self._put(json.dumps(event_object(event)) + "\n")
        elif to_people and (not self._quiet or _is_trouble(event)):
            for line in event_lines(event, self.words):
                self._put(self._wipe() + line + "\n")

    def say(self, text: str) -> None:
        """Print text for users; nothing with `--json` or `--quiet`."""
        if not self._as_json and not self._quiet:
            self._put(self._wipe() + translated(text, self.words) + "\n")

    def progress(self, status: e.StatusReported, sync: e.SyncMeasured) -> None:
        """Show the status in the progress line."""
        self.show(progress_line(status, sync, self.words))

    def show(self, text: str) -> None:
        """Show these lines in place of the progress line. The next output replaces them."""
        if self._in_place:
            width = shutil.get_terminal_size().columns - 1
            lines = [line[:width] for line in translated(text, self.words).splitlines()]
            self._put(self._wipe() + "\n".join(lines))
            self._shown = len(lines)

    def clear_progress(self) -> None:
        """Remove the progress line."""
        if self._shown:
            self._put(self._wipe())

    def listen(self, on_line: Callable[[str], None]) -> None:
        """Call `on_line` on another thread for each line of standard input. The end of the input has no effect."""
        threading.Thread(target=_read_lines, args=(on_line,), name="stdin", daemon=True).start()

    def close(self) -> None:
        """Write the rest of the output. If that takes longer than FLUSH_S, end the process."""
        self.clear_progress()
        self._closing = True
        if self._writer:
            self._put(None)
            self._writer.join(FLUSH_S)
            if self._writer.is_alive():
                os._exit(1)  # a normal exit would wait for the lock of standard output

    def _wipe(self) -> str:
        lines, self._shown = self._shown, 0
        up = f"\x1b[{lines - 1}A" if lines > 1 else ""
        return f"{up}\r\x1b[J" if lines else ""

    def _put(self, text: str | None) -> None:
        if not self._writer:
            self._writer = threading.Thread(target=self._write, name="stdout", daemon=True)
            self._writer.start()
        if text is not None and self._put_characters - self._taken_characters > MAX_CHARACTERS_WAITING:
            return
        try:
            self._lines.put_nowait(text)
            self._put_characters += len(text or "")
        except queue.Full:  # the reader of the output is stuck: drop the text
            pass

    def _write(self) -> None:
        try:
            while (text := self._lines.get()) is not None:
                self._taken_characters += len(text)
                with contextlib.suppress(InternalError), bug_net("writing the output", OSError):
                    sys.stdout.write(text)
                    if self._lines.empty():
                        sys.stdout.flush()
            sys.stdout.flush()
        except OSError:  # the reader has closed the output: end the program as Ctrl-C does
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            if not self._closing:
                _thread.interrupt_main()


def _read_lines(on_line: Callable[[str], None]) -> None:
    pending = b""
    try:
        # Unbuffered: the interpreter cannot end while a thread waits inside a buffered file. `open` reads a console of
        # Windows by its wide API and returns UTF-8; os.read returns the code page of the console.
        with open(0, "rb", buffering=0, closefd=False) as source:
            while data := source.read(65536):
                *lines, pending = (pending + data).split(b"\n")
                for line in lines:
                    _pass_on(line, on_line)
                pending = pending[:MAX_LINE]
    except OSError:
        return
    if pending:
        _pass_on(pending, on_line)


def _pass_on(line: bytes, on_line: Callable[[str], None]) -> None:
    with contextlib.suppress(InternalError), bug_net("a line of input"):
        on_line(line.decode(errors="replace").strip())


def _is_trouble(event: e.Event) -> bool:
    """True if the event is printed with `--quiet` too."""
    if isinstance(event, ce.FindingTold):
        return event.finding.level == "problem"
    return isinstance(event, e.Warned | e.Failed)


def event_lines(event: e.Event, words: Words = ENGLISH) -> list[str]:
    """The lines for users about an event; none for an event that only changes the progress line."""
    match event:
        case e.StatusReported():
            return [progress_line(event, None, words)]
        case e.PeersListed():
            return [_peer_line(peer, words) for peer in event.peers] or [words.gettext("Nobody has joined yet.")]
        case e.QueueChanged():
            rows = [_track_line(number, row, words) for number, row in enumerate(event.queue, 1)]
            return (rows or [words.gettext("The queue is empty.")]) if event.asked else []
        case e.RequestsListed():
            return [_request_line(row, words) for row in event.requests] or [words.gettext("There are no requests.")]
        case ce.OutputListed():
            known = words.gettext(TIMING_PHRASES[event.timing])
            link = words.gettext(LINKS[event.link]) if event.link in LINKS else ""
            return [f"{event.backend:12}{known:20}  {event.name}{link}"]
        case ce.LogShown():
            return [event.path, *(translated(line, words) for line in event.lines)]
        case ce.SessionFound():
            return [_session_line(event, words)]
        case ce.FindingTold(finding=found):
            level, message, fix = words.gettext(LEVELS[found.level]), *_both(found.message, found.fix, words)
            return [f"{level:9}{message}", *textwrap.indent(fix, " " * 9).splitlines()]
        case ce.PriorityTold():
            message, fix = _both(event.message, event.fix, words)
            return [message, *fix.splitlines()]
        case ce.VerdictTold() | ce.SignalWritten():
            return [translated(event.message, words)]
    sentence = event_text(event, words)
    return [sentence] if sentence else []


def progress_line(status: e.StatusReported, sync: e.SyncMeasured | None = None, words: Words = ENGLISH) -> str:
    """The position in the track and, with `sync`, how well this machine keeps time."""
    parts = [words.gettext(STATES[status.state])]
    if status.file_name is not None:
        parts[0] += f" {status.file_name}"
        parts.append(f"{time_text(status.position_s or 0)} / {time_text(status.duration_s or 0)}")
    if status.peers is not None:
        parts.append(words.ngettext("{number} peer", "{number} peers", status.peers).format(number=status.peers))
    if sync is not None:
        known = sync.offset_uncertainty_us
        if known is None:
            parts.append(words.gettext("clock unknown"))
        else:
            parts.append(words.gettext("clock within {figure} us").format(figure=f"{known:.0f}"))
        if sync.playing and sync.timing == "unknown":
            parts.append(words.gettext(TIMING_PHRASES["unknown"]))
        elif sync.playing:
            parts.append(words.gettext("phase {figure} us").format(figure=f"{round(sync.phase_error_us):+}"))
    return "  ".join(parts)


STATES = {
    "stopped": N_("stopped"),
    "playing": N_("playing"),
    "paused": N_("paused"),
    "waiting": N_("waiting"),
}
CLOCKS = {"none": N_("none"), "stale": N_("stale"), "good": N_("good")}
LATENCIES = {LatencyClass.GREEN: N_("green"), LatencyClass.YELLOW: N_("yellow"), LatencyClass.RED: N_("red")}
TRACKS = {
    ItemStatus.TRANSFERRING: N_("transferring"),
    ItemStatus.READY: N_("ready"),
    ItemStatus.PLAYING: N_("playing"),
    ItemStatus.PLAYED: N_("played"),
}
REQUESTS = {
    RequestState.OPEN: N_("open"),
    RequestState.ACCEPTED: N_("accepted"),
    RequestState.ADDED: N_("added"),
    RequestState.REJECTED: N_("rejected"),
    RequestState.FAILED: N_("failed"),
}
LEVELS = {"ok": N_("ok"), "hint": N_("hint"), "problem": N_("problem")}
LINKS = {"bluetooth": N_(", by Bluetooth"), "hdmi": N_(", by HDMI")}


def _both(message: str, fix: str, words: Words) -> tuple[str, str]:
    return translated(message, words), translated(fix, words)


def _peer_line(peer: e.PeerRow, words: Words) -> str:
    if peer.ready:
        files = words.gettext("has all files")
    else:
        files = words.ngettext("has {ready} of {number} files", "has {ready} of {number} files", peer.files)
        files = files.format(ready=peer.files_ready, number=peer.files)
    clock = words.gettext("clock {state}").format(state=words.gettext(CLOCKS[peer.clock]))
    latency = words.gettext("{figure} ms ({state})").format(
        figure=Figure(peer.latency_ms, ".1f").translated(words), state=words.gettext(LATENCIES[peer.latency_class])
    )
    parts = [peer.name, latency, clock]
    if peer.device is None:
        parts += [words.gettext("no output"), files]
    elif peer.timing == "unknown":
        parts += [peer.device, words.gettext(TIMING_PHRASES["unknown"]), files]
    else:
        phase = words.gettext("phase {figure} us").format(figure=f"{peer.phase_error_us:+.0f}")
        parts += [peer.device, words.gettext(TIMING_PHRASES[peer.timing]), phase, files]
    return "  ".join(parts + ([] if peer.waited_for else [words.gettext("not waited for")]))


def _track_line(number: int, row: e.QueueRow, words: Words) -> str:
    song = " - ".join(filter(None, (row.title, row.artist))) or row.file_name
    return f"{number:3}  {song}  {time_text(row.duration_secs)}  {words.gettext(TRACKS[row.status])}  {row.added_by}"


def _request_line(row: e.RequestRow, words: Words) -> str:
    who = f"{row.peer}: " if row.peer else ""
    size = f"{Figure(row.size / 1e6, '.1f').translated(words)} MB"
    state = words.gettext(REQUESTS[row.state])
    reason = translated(row.reason, words)
    return f"{row.number:3}  {who}{row.file_name}  {size}  {state}  {reason}".rstrip()


def _session_line(session: ce.SessionFound, words: Words) -> str:
    hosted = words.gettext("hosted by {name}").format(name=session.host_name)
    form = words.ngettext("{peers}/{number} peers", "{peers}/{number} peers", session.max_peers)
    people = form.format(peers=session.peers, number=session.max_peers)
    full = words.gettext("  (full)") if session.full else ""
    return f"{session.session_name} — {hosted} — {people}{full}  {session.address}"
