"""The command line: what is typed becomes options and commands, what happens becomes lines.

A thread of its own writes standard output, so that a stuck terminal holds nobody up; another reads standard input.
"""

from __future__ import annotations

import _thread
import argparse
import collections
import io
import json
import os
import queue
import shutil
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from phaselock import __version__
from phaselock.errors import PhaseLockError

BACKENDS = ("auto", "jack", "pulseaudio", "alsa", "wasapi", "coreaudio", "null")
CONTROL_PORT = 17401
CLOCK_PORT = 17402
MOST_LINES_WAITING = 10_000
MOST_CHARACTERS_WAITING = 16 << 20
LONGEST_LINE = 65536
FLUSH_S = 2.0

NO_WINDOW = (
    "The window is not built yet. Commands: phaselock host, join, devices, demo (phaselock COMMAND --help tells more)."
)


def main(argv: Sequence[str]) -> int:
    """Run one command; the exit status."""
    options = _parser().parse_args(argv)
    if options.command is None:
        print(NO_WINDOW, file=sys.stderr)
        return 2
    terminal = Terminal(as_json=options.json, quiet=options.quiet)
    try:
        status: int = options.run(options, terminal)
    except PhaseLockError as error:
        terminal.event("error", None, {"message": str(error)}, to_people=False)
        status = _fail(terminal, str(error))
    except KeyboardInterrupt:
        status = _fail(terminal, "Interrupted.")
    terminal.close()
    return status


def _fail(terminal: Terminal, reason: str) -> int:
    terminal.clear_progress()
    print(reason, file=sys.stderr, flush=True)
    return 1


# -- what is typed -----------------------------------------------------------------------------------------------------


def split_address(text: str, default_port: int = CONTROL_PORT) -> tuple[str, int]:
    """Host and port of `host`, `host:port`, `v6` and `[v6]:port`; ValueError for anything else."""
    if text.startswith("["):
        host, closed, rest = text[1:].partition("]")
        if not closed or (rest and not rest.startswith(":")):
            raise ValueError("a bracket is not closed")
        port = rest[1:] if rest else str(default_port)
    elif text.count(":") == 1:
        host, _, port = text.partition(":")
    else:
        host, port = text, str(default_port)
    if not host or not port.isascii() or not port.isdigit() or not 1 <= int(port) <= 65535:
        raise ValueError("no host and port")
    return host, int(port)


def _address(text: str) -> tuple[str, int]:
    try:
        return split_address(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not HOST, HOST:PORT or [IPV6]:PORT") from None


def _number(low: float, high: float, kind: type[int] | type[float] = int) -> Callable[[str], float]:
    def read(text: str) -> float:
        try:
            value = kind(text)
        except ValueError:
            value = kind(low - 1)
        if not low <= value <= high:
            raise argparse.ArgumentTypeError(f"{text!r} is not a number from {low} to {high}")
        return value

    return read


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("phaselock", description="Synchronized music playback for groups.")
    parser.add_argument("--version", action="version", version=f"phaselock {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    port = _number(0, 65535)

    lines = argparse.ArgumentParser(add_help=False)
    lines.add_argument("--json", action="store_true", help="print one JSON object a line for everything that happens")
    lines.add_argument("--quiet", action="store_true", help="print warnings and errors only")
    sound = argparse.ArgumentParser(add_help=False)
    sound.add_argument("--backend", choices=BACKENDS, default="auto", help="how to reach the sound card")
    sound.add_argument("--device", metavar="NAME", help="the output to play on (see phaselock devices)")
    name = argparse.ArgumentParser(add_help=False)
    name.add_argument("--as", dest="display_name", metavar="NAME", help="your name in the session")

    host = commands.add_parser(
        "host",
        parents=[name, sound, lines],
        help="host a session",
        description="Host a session and play MP3 files in it.",
        epilog="Commands on standard input, one a line: add PATH, play, pause, resume, stop, seek SECONDS, next, "
        "drop-peer NAME, peers, queue, status, quit.",
    )
    host.add_argument("files", nargs="*", metavar="FILE", help="MP3 files to play, in this order")
    host.add_argument("--session", metavar="NAME", help="name of the session")
    host.add_argument("--bind", metavar="ADDRESS", default="", help="listen on this address only")
    host.add_argument("--port", type=port, default=CONTROL_PORT, help="TCP port (default %(default)s)")
    host.add_argument("--clock-port", type=port, default=CLOCK_PORT, help="UDP port (default %(default)s)")
    host.add_argument("--wait-peers", type=_number(0, 5), metavar="N", help="with --play: wait for so many peers")
    host.add_argument("--play", action="store_true", help="start to play by itself")
    host.set_defaults(run=_host)

    join = commands.add_parser(
        "join",
        parents=[name, sound, lines],
        help="take part in a session",
        description="Take part in the session that is hosted at ADDRESS.",
        epilog="Commands on standard input, one a line: volume 0..100, offset MILLISECONDS, queue, status, leave.",
    )
    join.add_argument("address", type=_address, metavar="ADDRESS[:PORT]", help="where the session is hosted")
    join.add_argument("--cache", metavar="DIR", help="keep received files here")
    join.add_argument(
        "--clock-filter", choices=("envelope", "median", "kalman"), default="envelope", help=argparse.SUPPRESS
    )
    join.add_argument("--clock-skew-ppm", type=_number(-500, 500, float), default=0.0, help=argparse.SUPPRESS)
    join.set_defaults(run=_join)

    devices = commands.add_parser(
        "devices", parents=[lines], help="list audio outputs", description="List audio outputs."
    )
    devices.set_defaults(run=_devices)

    demo = commands.add_parser(
        "demo",
        parents=[lines],
        help="hear and see it on this machine alone",
        description="Play a short tune with a host and peers on this machine, and show how well they keep time.",
    )
    demo.add_argument(
        "--peers", type=_number(1, 5), default=2, metavar="N", help="how many peers (default %(default)s)"
    )
    demo.add_argument("--seconds", type=_number(1, 600), default=20, help="how long to play (default %(default)s)")
    demo.add_argument(
        "--skew-ppm", type=_number(-500, 500, float), default=0.0, help="let the peers' clocks go wrong by so much"
    )
    demo.set_defaults(run=_demo)
    return parser


def _host(options: argparse.Namespace, terminal: Terminal) -> int:
    from phaselock import app

    return app.run_host(
        app.HostOptions(
            files=tuple(options.files),
            session_name=options.session,
            display_name=options.display_name,
            bind=options.bind,
            port=options.port,
            clock_port=options.clock_port,
            autoplay=(options.wait_peers or 0) if options.play else None,
            backend=options.backend,
            device=options.device,
        ),
        terminal,
    )


def _join(options: argparse.Namespace, terminal: Terminal) -> int:
    from phaselock import app

    host, port = options.address
    return app.run_join(
        app.JoinOptions(
            host=host,
            port=port,
            display_name=options.display_name,
            cache=options.cache,
            backend=options.backend,
            device=options.device,
            clock_filter=options.clock_filter,
            clock_skew_ppm=options.clock_skew_ppm,
        ),
        terminal,
    )


def _devices(options: argparse.Namespace, terminal: Terminal) -> int:
    from phaselock import app

    return app.run_devices(terminal)


def _demo(options: argparse.Namespace, terminal: Terminal) -> int:
    from phaselock import demo

    return demo.run(options.peers, options.seconds, options.skew_ppm, terminal)


# -- what is printed ---------------------------------------------------------------------------------------------------


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
        self._lines: queue.Queue[str | None] = queue.Queue(MOST_LINES_WAITING)
        self._put_characters = self._taken_characters = 0
        self._writer: threading.Thread | None = None
        self._closing = False

    def event(self, name: str, session_ns: int | None, fields: Mapping[str, object], *, to_people: bool = True) -> None:
        """Tell that something happened."""
        if self._as_json:
            times = {} if session_ns is None else {"session_ns": session_ns}
            self._put(json.dumps({"event": name, **times, **fields}) + "\n")
        elif to_people and (not self._quiet or name in ("warning", "error")):
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
        if text is not None and self._put_characters - self._taken_characters > MOST_CHARACTERS_WAITING:
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
            pending = pending[:LONGEST_LINE]
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
            rows = enumerate(fields["queue"], 1)
            return [
                f"{n:3}  {row['file_name']}  {_clock(row['duration_secs'])}  {row['status']}" for n, row in rows
            ] or ["The queue is empty."]
        case "transfer":
            sentence = TRANSFER_SENTENCES.get(fields["state"], "")
        case "device":
            sentence = DEVICE_SENTENCES.get(fields["state"], "") if not fields.get("peer") else ""
        case _:
            sentence = SENTENCES.get(name, "")
    times = {"position": _clock(fields.get("position_s", 0))}
    return [sentence.format_map(collections.defaultdict(str, {**fields, **times}))] if sentence else []


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
            parts.append(f"phase {round(status['phase_error_us']):+} us")
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
    "output": "{backend:12}{name}",
}
TRANSFER_SENTENCES = {
    "done": "{peer} has received {file_name}.",
    "retry": "{file_name} did not reach {peer}; trying again.",
    "failed": "{file_name} did not reach {peer}.",
}
DEVICE_SENTENCES = {"open": "The output is {name}.", "lost": "{detail}", "none": "{detail}"}


def _peer_line(peer: Mapping[str, Any]) -> str:
    files = "has all files" if peer["ready"] else "receives files"
    trip = f"round trip {peer['rtt_ms']:.1f} ms"
    return f"{peer['name']}  {files}  clock {peer['clock']}  {trip}  {peer['device'] or 'no output'}"


def _clock(seconds: float) -> str:
    return f"{int(seconds) // 60}:{int(seconds) % 60:02}"
