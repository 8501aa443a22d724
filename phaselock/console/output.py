"""Standard output and input: prints events as JSON objects or sentences, and reads lines.

One thread writes standard output, so that a terminal that hangs blocks no other thread. Another thread reads standard
input: line by line, or on a terminal with the keys of `InputLine`.
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
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol
from uuid import UUID

from phaselock.console import events as ce
from phaselock.console.columns import fitted, wrapped
from phaselock.console.input_help import Typing
from phaselock.console.lines import event_lines, progress_line
from phaselock.errors import InternalError, bug_net
from phaselock.language.message import ENGLISH, Words, translated
from phaselock.session import events as e
from phaselock.session.event_json import event_object
from phaselock.session.sentences import with_songs

if TYPE_CHECKING:
    from phaselock.console.input_line import InputLine

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

    @property
    def columns(self) -> int:
        """The width of the terminal in columns; 0 if the output is no terminal."""
        ...

    def event(self, event: e.Event, *, to_people: bool = True) -> None: ...

    def say(self, text: str) -> None: ...

    def show(self, text: str) -> None: ...


def replace_unprintable() -> None:
    """Print a question mark for each character that standard output cannot encode. Call this before any output."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")


def has_terminal() -> bool:
    """True if standard input and output are a terminal. On Windows the null device is one, too, for `isatty`; but it
    has no size."""
    if sys.stdin is None or sys.stdout is None:
        return False
    try:
        os.get_terminal_size(sys.stdout.fileno())
    except (OSError, ValueError):
        return False
    return sys.stdin.isatty() and sys.stdout.isatty()


class Terminal:
    """Standard output and input. Events are printed as JSON objects, or as sentences with a progress line below.

    No method waits for the output, except `close`.
    """

    def __init__(self, *, as_json: bool, quiet: bool, words: Words = ENGLISH) -> None:
        self.words = words
        self._as_json = as_json
        self._quiet = quiet
        self._is_terminal = sys.stdout is not None and sys.stdout.isatty()
        self._in_place = not as_json and not quiet and self._is_terminal and os.environ.get("TERM") != "dumb"
        if self._in_place and sys.platform == "win32":
            os.system("")  # makes older consoles interpret escape sequences
        self._shown = 0
        """Number of progress lines on the screen now."""
        self._lines: queue.Queue[str | None] = queue.Queue(MAX_LINES_WAITING)
        self._put_characters = self._taken_characters = 0
        self._writer: threading.Thread | None = None
        self._closing = False
        self._reader_is_gone = False
        self._input: InputLine | None = None

    @property
    def reader_is_gone(self) -> bool:
        """True if the reader of the output has closed it. The program then ends as after Ctrl-C."""
        return self._reader_is_gone

    @property
    def columns(self) -> int:
        """The width of the terminal in columns; 0 if the output is no terminal."""
        return shutil.get_terminal_size().columns if self._is_terminal else 0

    @property
    def for_people(self) -> bool:
        """False if the output is JSON."""
        return not self._as_json

    @property
    def in_place(self) -> bool:
        """True if the output is a terminal on which lines can be replaced."""
        return self._in_place

    def event(
        self, event: e.Event, *, to_people: bool = True, name_of: Callable[[UUID], str | None] | None = None
    ) -> None:
        """Print an event. With `to_people` False it is printed only as JSON. `name_of` gives the names of songs for
        people: see `with_songs`."""
        if self._as_json:
            self._put(json.dumps(event_object(event)) + "\n")
        elif to_people and (not self._quiet or _is_trouble(event)):
            shown = with_songs(event, name_of) if name_of else event
            for line in event_lines(shown, self.words, self.columns):
                self._put(self._wipe() + line + "\n")

    def say(self, text: str) -> None:
        """Print text for users; nothing with `--json` or `--quiet`."""
        if not self._as_json and not self._quiet:
            for line in translated(text, self.words).splitlines() or [""]:
                self._put(self._wipe() + "\n".join(wrapped(line, self.columns)) + "\n")

    def progress(self, status: Callable[[], e.StatusReported], sync: e.SyncMeasured) -> None:
        """Show the status in the progress line. It is asked for only where there is one."""
        if self._in_place:
            self.show(progress_line(status(), sync, self.words, self.columns - 1))

    def show(self, text: str) -> None:
        """Show these lines in place of the progress line. The next output replaces them."""
        if self._input:
            self._input.show(translated(text, self.words))
        elif self._in_place:
            lines = [fitted(line, self.columns - 1) for line in translated(text, self.words).splitlines()]
            self._put(self._wipe() + "\n".join(lines))
            self._shown = len(lines)

    def clear_progress(self) -> None:
        """Remove the progress line."""
        if self._shown:
            self._put(self._wipe())

    def listen(self, on_line: Callable[[str], None], typing: Typing | None = None) -> None:
        """Call `on_line` on another thread for each line of standard input. The end of the input has no effect.

        On a terminal the user has the keys of an InputLine if there is `typing`.
        """
        if typing and self._in_place and has_terminal():
            from phaselock.console.input_line import InputLine  # takes 5 MiB: imported only for people who type

            self.say(typing.start_hint)
            self.clear_progress()
            self._input = InputLine(on_line, typing)
        else:
            threading.Thread(target=_read_lines, args=(on_line,), name="stdin", daemon=True).start()

    def close(self) -> None:
        """Write the rest of the output. If that takes longer than FLUSH_S, end the process."""
        self.clear_progress()
        self._closing = True
        if self._writer:
            self._put(None)
            self._writer.join(FLUSH_S)
        if self._input:
            self._input.close(FLUSH_S)
        if self._writer and self._writer.is_alive():
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
                    if self._input:
                        self._input.print(text)
                        continue
                    sys.stdout.write(text)
                    if self._lines.empty():
                        sys.stdout.flush()
            sys.stdout.flush()
        except OSError:  # the reader has closed the output: end the program as Ctrl-C does
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            self._reader_is_gone = True
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
