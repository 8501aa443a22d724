"""The priority of the audio thread: without one, a busy machine keeps it waiting until there is nothing left to play.

The sound system may have given it one already: JACK, WASAPI and CoreAudio do, where they can, and newer versions of
PipeWire. Otherwise Linux gives it to programs that may take it, and through RealtimeKit. It is asked for, never needed,
and nothing waits for it.
"""

from __future__ import annotations

import dataclasses
import sys
import threading
import time
from collections.abc import Callable
from typing import Literal

from phaselock import _native
from phaselock.audio import realtimekit
from phaselock.audio.realtimekit import Refused

Level = Literal["unknown", "normal", "raised", "real-time"]

LEVEL = 10
"""Of 1 to 99. Above PulseAudio (5); below JACK, PipeWire (88) and what serves the cards' interrupts (50)."""

NO_ANSWER = "The system does not answer."

_ADVICE = (
    "Install RealtimeKit (Debian, Ubuntu, Raspberry Pi: sudo apt install rtkit), or allow it yourself: write the line\n"
    "@audio - rtprio 20\n"
    "to /etc/security/limits.d/audio.conf, join the group (sudo usermod -aG audio NAME), and log in again."
)

_SENTENCES = {
    "real-time": "The audio thread gets real-time priority.",
    "raised": "The audio thread gets raised priority.",
    "normal": "The audio thread gets normal priority: while this machine is busy, the sound may break up.",
    "unknown": "Which priority the audio thread gets is not known.",
}

_CALLBACK_LIMIT_S = 5.0
_TRIAL_LIMIT_S = 5.0
_LOOK_S = 0.05


@dataclasses.dataclass(frozen=True, slots=True)
class Priority:
    """What an audio thread has; `reason` says why it is not real-time, where that is known."""

    level: Level
    reason: str = ""

    @property
    def sentence(self) -> str:
        """For people."""
        return f"{_SENTENCES[self.level]} {self.reason}".strip()

    @property
    def advice(self) -> str:
        """What to do about it; nothing where it is well, or no setting is known that would help."""
        return _ADVICE if self.level == "normal" and sys.platform == "linux" else ""


def raise_thread(
    thread: int,
    *,
    look: Callable[[int], Level] = _native.thread_priority,
    take: Callable[[int, int], None] = _native.make_thread_real_time,
    ask: Callable[[int, int], None] = realtimekit.make_real_time,
) -> Priority:
    """Have the thread of this number made real-time, if it is not. May take seconds."""
    if sys.platform != "linux" or look(thread) in ("real-time", "unknown"):
        return Priority(look(thread))
    reason = ""
    try:
        take(thread, LEVEL)
    except OSError:
        try:
            ask(thread, LEVEL)
        except (Refused, OSError, ValueError) as error:
            reason = f"PhaseLock may not raise it itself. {error}"
    level = look(thread)
    return Priority(level, "" if level == "real-time" else reason)


def try_out(raise_: Callable[[int], Priority] = raise_thread, limit_s: float = _TRIAL_LIMIT_S) -> Priority | None:
    """What a thread of this process is given, within this time; None where only the sound system raises threads."""
    if sys.platform != "linux":
        return None
    found: list[Priority] = []
    trial = threading.Thread(
        target=lambda: found.append(raise_(threading.get_native_id())), name="priority trial", daemon=True
    )
    trial.start()
    trial.join(limit_s)
    return found[0] if found else Priority("unknown", NO_ANSWER)


class Raiser:
    """Raises the thread of one stream as soon as it has called back. `thread` gives its number, 0 before that."""

    def __init__(self, thread: Callable[[], int], raise_: Callable[[int], Priority] = raise_thread) -> None:
        self._thread_of_stream = thread
        self._raise = raise_
        self._lock = threading.Lock()
        self._ended = False
        self._priority: Priority | None = None
        self._thread = threading.Thread(target=self._run, name="audio priority", daemon=True)
        self._thread.start()

    def priority(self) -> Priority | None:
        """None while it is not known."""
        return self._priority

    def end(self) -> None:
        """Before the stream ends: its thread is not asked for after this."""
        with self._lock:
            self._ended = True

    def _run(self) -> None:
        until_s = time.monotonic() + _CALLBACK_LIMIT_S
        while not (thread := self._number()) and not self._ended and time.monotonic() < until_s:
            time.sleep(_LOOK_S)
        if thread:
            self._priority = self._raise(thread)

    def _number(self) -> int:
        with self._lock:
            return 0 if self._ended else self._thread_of_stream()
