"""Standard output and input: what happens becomes JSON objects or sentences, what is typed becomes lines.

A thread of its own writes standard output, so that a stuck terminal holds nobody up; another reads standard input.
"""

from __future__ import annotations

import _thread
import collections
import io
import json
import os
import queue
import shutil
import sys
import textwrap
import threading
from collections.abc import Callable, Mapping
from typing import Any

from phaselock.model.timing import TIMING_PHRASES, TIMING_SENTENCES

MAX_LINES_WAITING = 10_000
MAX_CHARACTERS_WAITING = 16 << 20
MAX_LINE = 65536
FLUSH_S = 2.0


class Terminal:
    """Standard output and input. Events become JSON objects or sentences; people also get a progress line."""

    def __init__(self, *, as_json: bool, quiet: bool) -> None:
        if isinstance(sys.stdout, io.TextIOWrapper):
            sys.stdout.reconfigure(errors="replace")
        self._as_json = as_json
        self._quiet = quiet
        self._in_place = not as_json and not quiet and sys.stdout is not None and sys.stdout.isatty()
        if self._in_place and sys.platform == "win32":
            os.system("")  # makes older consoles understand escape sequences
        self._shown = 0
        """Lines of the progress that stand on the screen."""
        self._lines: queue.Queue[str | None] = queue.Queue(MAX_LINES_WAITING)
        self._put_characters = self._taken_characters = 0
        self._writer: threading.Thread | None = None
        self._closing = False

    @property
    def in_place(self) -> bool:
        """Whether somebody watches a screen on which lines can be replaced."""
        return self._in_place

    def event(self, name: str, session_ns: int | None, fields: Mapping[str, object], *, to_people: bool = True) -> None:
        """Tell that something happened."""
        if self._as_json:
            times = {} if session_ns is None else {"session_ns": session_ns}
            self._put(json.dumps({"event": name, **times, **fields}) + "\n")
        elif to_people and (not self._quiet or name in ("warning", "error") or fields.get("level") == "problem"):
            for line in sentences(name, fields):
                self._put(self._wipe() + line + "\n")

    def say(self, text: str) -> None:
        """Lines for people only."""
        if not self._as_json and not self._quiet:
            self._put(self._wipe() + text + "\n")

    def progress(self, status: Mapping[str, Any]) -> None:
        """Show how it goes in the progress line."""
        self.show(progress_line(status))

    def show(self, text: str) -> None:
        """Show these lines in place of the progress; every later line replaces them."""
        if self._in_place:
            width = shutil.get_terminal_size().columns - 1
            lines = [line[:width] for line in text.splitlines()]
            self._put(self._wipe() + "\n".join(lines))
            self._shown = len(lines)

    def clear_progress(self) -> None:
        """Take the progress line away."""
        if self._shown:
            self._put(self._wipe())

    def listen(self, on_line: Callable[[str], None]) -> None:
        """Call `on_line`, on another thread, for every line of standard input. Its end means nothing."""
        threading.Thread(target=_read_lines, args=(on_line,), name="stdin", daemon=True).start()

    def close(self) -> None:
        """Write what is left; give a stuck reader up."""
        self.clear_progress()
        self._closing = True
        if self._writer:
            self._put(None)
            self._writer.join(FLUSH_S)
            if self._writer.is_alive():
                os._exit(1)  # the interpreter could not end: it would wait for the lock of standard output

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
        except queue.Full:  # nobody has read for hours
            pass

    def _write(self) -> None:
        try:
            while (text := self._lines.get()) is not None:
                self._taken_characters += len(text)
                sys.stdout.write(text)
                if self._lines.empty():
                    sys.stdout.flush()
            sys.stdout.flush()
        except OSError:  # the reader is gone: nobody hears us, so leave politely
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            if not self._closing:
                _thread.interrupt_main()


def _read_lines(on_line: Callable[[str], None]) -> None:
    # Not sys.stdin: the interpreter cannot end while a thread waits inside a buffered file.
    pending = b""
    try:
        while data := os.read(0, 65536):
            *lines, pending = (pending + data).split(b"\n")
            for line in lines:
                on_line(line.decode(errors="replace").strip())
            pending = pending[:MAX_LINE]
    except OSError:
        return
    if pending:
        on_line(pending.decode(errors="replace").strip())


def sentences(name: str, fields: Mapping[str, Any]) -> list[str]:
    """What a person reads about an event; nothing for what the progress line shows."""
    match name:
        case "status":
            return [progress_line(fields)]
        case "peers":
            return [_peer_line(peer) for peer in fields["peers"]] or ["Nobody has joined yet."]
        case "queue" if fields.get("asked"):
            return [_track_line(n, row) for n, row in enumerate(fields["queue"], 1)] or ["The queue is empty."]
        case "requests":
            return [_request_line(row) for row in fields["requests"]] or ["There are no requests."]
        case "transfer":
            sentence = TRANSFER_SENTENCES.get(fields["state"], "") if fields.get("peer") else ""
        case "session_end" if fields.get("failed"):
            sentence = ""  # it comes once more, as the program's last words
        case "request":
            if not fields["done_bytes"] or fields["state"] != "accepted":  # progress is no news
                sentence = (REQUEST_SENTENCES if fields["peer"] else OWN_REQUEST_SENTENCES).get(fields["state"], "")
            else:
                sentence = ""
        case "output":
            known = TIMING_PHRASES[fields["timing"]]
            return [f"{fields['backend']:12}{known:22}{fields['name']}{LINK_WORDS.get(fields['link'], '')}"]
        case "device":
            return _device_lines(fields)
        case "log":
            return [fields["path"], *fields["lines"]]
        case "found":
            return [_session_line(fields)]
        case "finding":
            return [f"{fields['level']:9}{fields['message']}", *textwrap.indent(fields["fix"], " " * 9).splitlines()]
        case "priority":
            return [fields["message"], *fields["fix"].splitlines()]
        case "joined" if fields.get("again"):
            sentence = "The host is heard again."
        case _:
            sentence = SENTENCES.get(name, "")
    more = {"position": _clock(fields.get("position_s", 0)), "megabytes": f"{fields.get('size', 0) / 1e6:.1f} MB"}
    return [sentence.format_map(collections.defaultdict(str, {**fields, **more})).strip()] if sentence else []


def progress_line(status: Mapping[str, Any]) -> str:
    """Where the track is and how well this machine keeps time."""
    parts = [status["state"]]
    if "file_name" in status:
        parts = [f"{status['state']} {status['file_name']}"]
        parts.append(f"{_clock(status.get('position_s', 0))} / {_clock(status['duration_s'])}")
    if "peers" in status:
        parts.append("1 peer" if status["peers"] == 1 else f"{status['peers']} peers")
    if "offset_uncertainty_us" in status:
        known = status["offset_uncertainty_us"]
        parts.append("clock unknown" if known is None else f"clock within {known:.0f} us")
        if status["playing"]:
            untold = status["timing"] == "unknown"
            parts.append(TIMING_PHRASES["unknown"] if untold else f"phase {round(status['phase_error_us']):+} us")
    return "  ".join(parts)


SENTENCES = {
    "session": 'The session "{session_name}" is open. Others join with: phaselock join {address}',
    "joined": 'You are in "{session_name}", hosted by {host_name}, as {name}.',
    "peer_joined": "{name} has joined.",
    "peer_left": "{name} has left. {reason}",
    "file_ready": "{file_name} is ready.",
    "playing": "Playing {file_name}.",
    "paused": "Paused at {position}.",
    "resumed": "Going on at {position}.",
    "seeked": "Going to {position}.",
    "stopped": "Stopped.",
    "track_ended": "{file_name} has ended.",
    "warning": "Warning: {message}",
    "error": "{message}",
    "session_end": "{reason}",
    "verdict": "{message}",
    "added": "{message}",
    "help": "{message}",
}
LINK_WORDS = {"bluetooth": ", by Bluetooth", "hdmi": ", by HDMI"}
TRANSFER_SENTENCES = {
    "done": "{peer} has received {file_name}.",
    "retry": "{file_name} did not reach {peer}; trying again.",
    "failed": "{file_name} did not reach {peer}.",
}
REQUEST_SENTENCES = {
    "open": '{peer} wants to add "{file_name}" ({megabytes}): accept {number} or reject {number}.',
    "accepted": '"{file_name}" is on its way from {peer}.',
    "added": '"{file_name}", which {peer} asked for, is in the queue.',
    "rejected": '"{file_name}" was declined.',
    "failed": '"{file_name}", which {peer} asked for, does not come: {reason}',
}
OWN_REQUEST_SENTENCES = {
    "open": 'The host was asked for "{file_name}".',
    "accepted": 'The host wants "{file_name}"; it is on its way.',
    "added": '"{file_name}" is in the queue.',
    "rejected": '"{file_name}" is not added: {reason}',
    "failed": '"{file_name}" is not added: {reason}',
}


def _device_lines(device: Mapping[str, Any]) -> list[str]:
    match device["state"], device.get("peer"):
        case "open", None:
            return [f"The output is {device['name']}. {TIMING_SENTENCES[device['timing']]}".rstrip()]
        case _, None:
            return [device["detail"]]
        case "open", peer if device["timing"] != "exact":
            return [f"{peer} plays on {device['name']}: {TIMING_PHRASES[device['timing']]}."]
        case "none", peer:
            return [f"{peer} has no audio output."]
        case _:
            return []


def _peer_line(peer: Mapping[str, Any]) -> str:
    files = "has all files" if peer["ready"] else f"has {peer['files_ready']} of {peer['files']} files"
    parts = [peer["name"], f"{peer['latency_ms']:.1f} ms ({peer['latency_class']})", f"clock {peer['clock']}"]
    if peer["device"] is None:
        parts += ["no output", files]
    elif peer["timing"] == "unknown":
        parts += [peer["device"], TIMING_PHRASES["unknown"], files]
    else:
        parts += [peer["device"], TIMING_PHRASES[peer["timing"]], f"phase {peer['phase_error_us']:+.0f} us", files]
    return "  ".join(parts + ([] if peer["waited_for"] else ["not waited for"]))


def _track_line(number: int, row: Mapping[str, Any]) -> str:
    song = " - ".join(filter(None, (row["title"], row["artist"]))) or row["file_name"]
    return f"{number:3}  {song}  {_clock(row['duration_secs'])}  {row['status']}  {row['added_by']}"


def _request_line(row: Mapping[str, Any]) -> str:
    who = f"{row['peer']}: " if row["peer"] else ""
    size = f"{row['size'] / 1e6:.1f} MB"
    return f"{row['number']:3}  {who}{row['file_name']}  {size}  {row['state']}  {row['reason']}".rstrip()


def _session_line(session: Mapping[str, Any]) -> str:
    full = "  (full)" if session["full"] else ""
    people = f"{session['peers']}/{session['max_peers']} peers{full}"
    return f"{session['session_name']} — hosted by {session['host_name']} — {people}  {session['address']}"


def _clock(seconds: float) -> str:
    return f"{int(seconds) // 60}:{int(seconds) % 60:02}"
