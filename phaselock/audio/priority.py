"""Real-time priority for the audio thread. Without it, a busy computer may run the thread too late and the sound stops.

JACK, WASAPI, CoreAudio and newer versions of PipeWire raise the thread themselves if they can. Otherwise the program
sets the priority, if Linux permits that, or asks RealtimeKit. PhaseLock works without it, and never waits for it.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable
from typing import Literal

from phaselock import _native
from phaselock.audio import realtimekit
from phaselock.audio.realtimekit import Refused
from phaselock.errors import message_of
from phaselock.frozen import frozen
from phaselock.language.message import N_, Message
from phaselock.os_packages import RTKIT, install_command

Level = Literal["unknown", "normal", "raised", "real-time"]

LEVEL = 10
"""Real-time level, 1 to 99: above PulseAudio (5), below JACK, PipeWire (88) and the interrupt threads (50)."""

NO_ANSWER = Message("The system does not answer.")

_ADVICE = N_(
    "Install RealtimeKit ({how}), or allow it yourself: write the line\n"
    "@audio - rtprio 20\n"
    "to /etc/security/limits.d/audio.conf, join the group (sudo usermod -aG audio NAME), and log in again."
)

_SENTENCES = {
    "real-time": N_("The audio thread gets real-time priority."),
    "raised": N_("The audio thread gets raised priority."),
    "normal": N_("The audio thread gets normal priority: while this machine is busy, the sound may break up."),
    "unknown": N_("Which priority the audio thread gets is not known."),
}

_TIMEOUT_CALLBACK_S = 5.0
"""How long `Raiser` waits for the first callback of a stream."""
_TIMEOUT_TRIAL_S = 5.0
_POLL_S = 0.05


@frozen
class Priority:
    """The priority of an audio thread. `reason` is a sentence that says why it is not real-time, or empty."""

    level: Level
    reason: str = ""

    @property
    def sentence(self) -> Message:
        """The level and the reason, for users."""
        level = Message(_SENTENCES[self.level])
        return Message("{sentence} {more}", sentence=level, more=self.reason) if self.reason else level

    @property
    def advice(self) -> Message:
        """What the user can do; empty if the level is good, or if no setting would help."""
        if self.level != "normal" or sys.platform != "linux":
            return Message("")
        return Message(_ADVICE, how=install_command(RTKIT) or Message("the package rtkit"))


def raise_thread(
    thread: int,
    *,
    look: Callable[[int], Level] = _native.thread_priority,
    take: Callable[[int, int], None] = _native.make_thread_real_time,
    ask: Callable[[int, int], None] = realtimekit.make_real_time,
) -> Priority:
    """Give the thread with this system number real-time priority if it has none. May take seconds.

    `look` returns the level of a thread, `take` sets it, `ask` requests it from RealtimeKit; tests replace them.
    """
    if sys.platform != "linux" or look(thread) in ("real-time", "unknown"):
        return Priority(look(thread))
    reason = ""
    try:
        take(thread, LEVEL)
    except OSError:
        try:
            ask(thread, LEVEL)
        except (Refused, OSError, ValueError) as error:
            reason = Message("PhaseLock may not raise it itself. {reason}", reason=message_of(error))
    level = look(thread)
    return Priority(level, "" if level == "real-time" else reason)


def try_out(raise_: Callable[[int], Priority] = raise_thread, limit_s: float = _TIMEOUT_TRIAL_S) -> Priority | None:
    """The priority that a new thread of this process gets within `limit_s`; None on systems where only the sound system
    raises threads."""
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
    """Raises the audio thread of one stream after its first callback. `thread` returns the system's number of the
    thread, 0 before the first callback."""

    def __init__(self, thread: Callable[[], int], raise_: Callable[[int], Priority] = raise_thread) -> None:
        self._thread_of_stream = thread
        self._raise = raise_
        self._lock = threading.Lock()
        self._ended = False
        self._priority: Priority | None = None
        self._thread = threading.Thread(target=self._run, name="audio priority", daemon=True)
        self._thread.start()

    def priority(self) -> Priority | None:
        """The priority of the thread; None until it is known."""
        return self._priority

    def end(self) -> None:
        """Call this before the stream ends: `thread` is not called afterwards."""
        with self._lock:
            self._ended = True

    def _run(self) -> None:
        until_s = time.monotonic() + _TIMEOUT_CALLBACK_S
        while not (thread := self._number()) and not self._ended and time.monotonic() < until_s:
            time.sleep(_POLL_S)
        if thread:
            self._priority = self._raise(thread)

    def _number(self) -> int:
        with self._lock:
            return 0 if self._ended else self._thread_of_stream()
