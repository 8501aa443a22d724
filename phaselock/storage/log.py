"""The log file: a handler of `logging`, a bounded queue in memory, and one thread that writes the file.

Logging only appends to the queue. The writer thread writes after 50 entries or FLUSH_S, at once after an error, and at
the end.
Programs may share the file: each writes whole lines under the lock of `<file>.lock`.
"""

from __future__ import annotations

import collections
import contextlib
import datetime
import io
import logging
import os
import pathlib
import shutil
import threading
import traceback

from phaselock.errors import log_bug, message_of
from phaselock.language.message import Message
from phaselock.storage.files import locked, open_regular, rename

LEVEL_VARIABLE = "PHASELOCK_LOG"
TRACE = 5
MAX_FILE_BYTES = 20_000_000
FLUSH_ENTRIES = 50
"""The writer writes as soon as this many entries are new."""
FLUSH_S = 3.0
"""The writer writes an entry at most this long after it was made, in seconds."""
MAX_WAITING_ENTRIES = 10_000
"""Most entries in memory while the disk accepts nothing; the oldest are dropped."""
MAX_ENTRY_CHARS = 4000
TIMEOUT_CLOSE_S = 5.0
"""How long `close` waits for a disk that hangs."""

_CUT_PARTS = 4
"""The oldest 1/4 of a full file is removed."""
_MAX_BATCH_ENTRIES = 500
"""Most entries in one write."""
_LEVELS = {
    "ERROR": logging.ERROR,
    "WARN": logging.WARNING,
    "WARNING": logging.WARNING,
    "INFO": logging.INFO,
    "DEBUG": logging.DEBUG,
    "TRACE": TRACE,
}
_FLAGS = os.O_RDWR | os.O_CREAT | os.O_APPEND | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)
_logger = logging.getLogger("phaselock.storage.log")


class Log(logging.Handler):
    """A running log; any thread may log to it."""

    def __init__(self, path: pathlib.Path, logger: logging.Logger) -> None:
        super().__init__()
        self.problem: Message | None = None
        """Why the newest write failed, as a sentence for users; None if it worked. Set by the writer thread, read by
        any."""
        self._path = path
        self._logger, self._previous = logger, (logger.level, logger.propagate)
        self._pid = os.getpid()
        # The condition guards everything below. The writer never holds it while it uses the disk.
        self._changed = threading.Condition()
        self._waiting: collections.deque[str] = collections.deque()
        self._fresh = 0
        self._lost = 0
        self._urgent = False
        self._busy = True
        self._closing = False
        self._writer = threading.Thread(target=self._write_on, name="log writer", daemon=True)
        self._writer.start()
        # Exceptions that end a callback of asyncio or a thread are logged, too.
        logging.getLogger("asyncio").addHandler(self)
        self._previous_hook, threading.excepthook = threading.excepthook, _log_end_of_thread

    def emit(self, record: logging.LogRecord) -> None:
        """Add an entry; never waits for the disk."""
        if record.process not in (None, self._pid):
            return  # a forked child has no writer
        line = entry_line(record)
        with self._changed:
            if self._closing:
                return
            self._waiting.append(line)
            self._fresh += 1
            self._drop_surplus()
            self._urgent |= record.levelno >= logging.ERROR
            if self._due() or self._fresh == 1:
                self._changed.notify_all()

    def wait_flushed(self, timeout_s: float) -> bool:
        """Wait until the entries that are due are written, or their write has failed. False after `timeout_s`."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._busy and not self._due(), timeout_s)

    def close(self) -> None:
        """Write the rest and end the thread, within TIMEOUT_CLOSE_S. A second call has no effect."""
        with self._changed:
            first, self._closing = not self._closing, True
            self._changed.notify_all()
        if first:
            threading.excepthook = self._previous_hook
            logging.getLogger("asyncio").removeHandler(self)
            self._logger.removeHandler(self)
            self._logger.setLevel(self._previous[0])
            self._logger.propagate = self._previous[1]
            self._writer.join(TIMEOUT_CLOSE_S)
            super().close()

    def _due(self) -> bool:
        return self._urgent or self._fresh >= FLUSH_ENTRIES

    def _drop_surplus(self) -> None:
        while len(self._waiting) > MAX_WAITING_ENTRIES:
            self._waiting.popleft()
            self._lost += 1

    def _write_on(self) -> None:
        self._written([])  # open the file at once, so that a problem shows early
        ending = False
        while not ending:
            with self._changed:
                self._busy = False
                self._changed.notify_all()
                self._changed.wait_for(lambda: self._fresh or self._closing)
                self._changed.wait_for(lambda: self._due() or self._closing, FLUSH_S)
                self._busy, self._urgent, self._fresh = True, False, 0
                ending, rest = self._closing, len(self._waiting)
            while rest > 0 and (written := self._write_some(min(rest, _MAX_BATCH_ENTRIES))):
                rest -= written
        with self._changed:
            self._busy = False
            self._changed.notify_all()

    def _write_some(self, max_entries: int) -> int:
        """Write at most `max_entries` of the oldest lines; return how many. After a failure they return to the head of
        the queue."""
        with self._changed:
            lines = [self._waiting.popleft() for _ in range(min(max_entries, len(self._waiting)))]
            lost, self._lost = self._lost, 0
        if self._written([_lost_line(lost), *lines] if lost else lines):
            return len(lines)
        with self._changed:
            self._waiting.extendleft(reversed(lines))
            self._lost += lost
            self._drop_surplus()
        return 0

    def _written(self, lines: list[str]) -> bool:
        try:
            append_lines(self._path, lines)
        except Exception as error:  # no bug_net: it writes to this log
            reason = message_of(error)
            self.problem = Message("The log {path} cannot be written: {reason}.", path=self._path, reason=reason)
            return False
        self.problem = None
        return True


def start(path: pathlib.Path, level_name: str | None) -> Log:
    """Write the entries of the logger "phaselock" and its children to `path`. The level is `level_name`, else that of
    the environment variable PHASELOCK_LOG, else INFO. Never raises and never blocks: see `Log.problem`."""
    logging.addLevelName(TRACE, "TRACE")
    logging.addLevelName(logging.WARNING, "WARN")
    asked = (os.environ.get(LEVEL_VARIABLE, "") if level_name is None else level_name).strip()
    logger = logging.getLogger("phaselock")
    log = Log(path, logger)
    logger.setLevel(_LEVELS.get(asked.upper(), logging.INFO))
    logger.propagate = False
    logger.addHandler(log)
    if asked and asked.upper() not in _LEVELS:
        _logger.warning("%s is no log level (ERROR, WARN, INFO, DEBUG, TRACE): logging at INFO.", asked)
    return log


def tail(path: pathlib.Path, lines: int) -> list[str]:
    """The last `lines` lines, oldest first. Reads only the end of the file. OSError if it cannot be read."""
    with open_regular(path) as file:
        place = file.seek(0, os.SEEK_END)
        data = b""
        while place and data.count(b"\n") <= lines:
            step = min(place, 1 << 16)
            place = file.seek(place - step)
            data = file.read(step) + data
    found = data.decode("utf-8", "replace").split("\n")
    if not found[-1]:
        found.pop()
    return found[-lines:] if lines > 0 else []


def entry_line(record: logging.LogRecord) -> str:
    """The line of the file for this record, without its line end."""
    try:
        message = record.getMessage()
    except Exception:  # a wrong logging call must not end the program
        message = f"(not to be formatted: {record.pathname}:{record.lineno})"
    if record.exc_info and record.exc_info[1]:
        message += "\n" + "".join(traceback.format_exception(record.exc_info[1])).rstrip()
    if record.stack_info:
        message += "\n" + record.stack_info
    time = datetime.datetime.fromtimestamp(record.created).astimezone().isoformat(timespec="milliseconds")
    shown = _shortened(_escaped(_shortened(message)))
    return f"{time} {_level_name(record.levelno):5} {_escaped(record.name[:200])} {record.process} {shown}"


def append_lines(path: pathlib.Path, lines: list[str]) -> None:
    """Append all lines or none. If the file would become too large, first remove old lines. OSError if that fails."""
    path.parent.mkdir(parents=True, exist_ok=True)
    data = "".join(line + "\n" for line in lines).encode("utf-8", "backslashreplace")
    with locked(path.with_name(path.name + ".lock")):
        descriptor = os.open(path, _FLAGS, 0o600)
        with io.FileIO(descriptor, "r+") as file:
            size = file.seek(0, os.SEEK_END)
            if size:
                file.seek(size - 1)
                if file.read(1) != b"\n":
                    data = b"\n" + data  # a program ended while it was writing
            if not lines or not size or size + len(data) <= MAX_FILE_BYTES:
                _append(file, size, data if lines else b"")
                return
            rest = _cut(path, file, size, len(data))
        rename(rest, path)
        with open(path, "ab", buffering=0) as cut:
            size = cut.seek(0, os.SEEK_END)
            _append(cut, size, data if size else data.lstrip())


def _log_end_of_thread(ended: threading.ExceptHookArgs) -> None:
    if ended.exc_value is not None and not isinstance(ended.exc_value, SystemExit):
        log_bug(f"the thread {ended.thread.name if ended.thread else ''}", ended.exc_value)


def _append(file: io.FileIO, size: int, data: bytes) -> None:
    view = memoryview(data)
    try:
        while view:
            view = view[file.write(view) :]
    except OSError:
        file.truncate(size)  # the disk is full: remove the incomplete line
        raise


def _cut(path: pathlib.Path, file: io.FileIO, size: int, more: int) -> pathlib.Path:
    """Write a new file beside `path` without the oldest lines of `file`, so that `more` bytes fit. Return its path."""
    rest = path.with_name(path.name + ".new")
    file.seek(max(1, min(size, max(size // _CUT_PARTS, size + more - MAX_FILE_BYTES))) - 1)
    with io.BufferedReader(file, 1 << 16) as reader:
        while (piece := reader.readline(1 << 16)) and not piece.endswith(b"\n"):
            pass
        try:
            descriptor = os.open(rest, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | getattr(os, "O_BINARY", 0), 0o600)
            with open(descriptor, "wb") as writer:
                shutil.copyfileobj(reader, writer, 1 << 20)
        except OSError:
            with contextlib.suppress(OSError):
                rest.unlink()
            raise
    return rest


def _level_name(level: int) -> str:
    named = [("ERROR", logging.ERROR), ("WARN", logging.WARNING), ("INFO", logging.INFO), ("DEBUG", logging.DEBUG)]
    return next((name for name, least in named if level >= least), "TRACE")


def _escaped(text: str) -> str:
    """The text with escapes for characters that end a line, are invisible or change how others are shown."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def _shortened(text: str) -> str:
    if len(text) <= MAX_ENTRY_CHARS:
        return text
    tail_chars = 3 * MAX_ENTRY_CHARS // 4  # the end of a traceback is the most useful part
    return f"{text[: MAX_ENTRY_CHARS - tail_chars]} [...] {text[-tail_chars:]}"


def _lost_line(lost: int) -> str:
    return entry_line(
        logging.makeLogRecord(
            {"name": _logger.name, "levelno": logging.WARNING, "msg": f"{lost} older entries were lost here."}
        )
    )
