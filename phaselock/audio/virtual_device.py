"""A simulated sound card inside the program, exact to the nanosecond, with a large buffer and a recorder. It is for
benchmarks.

Frame n leaves its loudspeaker at exactly first_ns + n / (rate_hz * (1 + ppm * 1e-6)) on the true clock, which all
processes of a computer share, even if this process uses another one. Each block is requested one latency before its
first frame leaves, or later if the operating system wakes the card late. The card either reports the time at which it
should have requested the block, as JACK does, or it reports nothing, as most cards do; then the times have a one-sided
jitter. If a block is not ready when it should leave, that is an underrun: silence leaves, and the card goes on. With a
latency near one second this does not happen on a busy computer.

On request the card records everything that leaves: NAME.f32 (interleaved little-endian float32) and NAME.json:
    first_ns          true time at which frame 0 left
    rate_hz, true_rate_hz, channels, period_frames, latency_frames
    underruns         the first frame of each block that came too late
    late_wakes        [first frame, milliseconds] of each block that was requested more than 50 ms late
"""

from __future__ import annotations

import contextlib
import json
import logging
import pathlib
import threading
import time
from typing import Any, BinaryIO

from phaselock import _native
from phaselock.errors import AudioDeviceError, InternalError, PhaseLockError, bug_net, message_of
from phaselock.frozen import frozen
from phaselock.language.message import Message
from phaselock.model.timing import Timing
from phaselock.storage.files import rename

_CHANNELS = 2
_MIN_LATE_NS = 50_000_000
"""Later requests are listed in `late_wakes`."""
_START_NS = 2_000_000
"""Time from the start of the thread to the first request."""
_NOTE_EVERY_BLOCKS = 100
_READINGS = 3
"""Readings of both clocks, of which the fastest one counts."""

_log = logging.getLogger(__name__)


@frozen
class VirtualCard:
    """Properties of the card. `ppm` is its rate error. `tells_times`: it reports the time of each block. `record` is
    the folder for recordings, None for no recording."""

    rate_hz: int = 48000
    ppm: float = 0.0
    latency_ms: float = 800.0
    period_frames: int = 512
    tells_times: bool = True
    record: str | None = None

    @staticmethod
    def from_json(text: str) -> VirtualCard:
        """Make a card from a JSON object with these fields. PhaseLockError if the text is not valid."""
        try:
            card = VirtualCard(**json.loads(text))
            fits = (
                8000 <= card.rate_hz <= 384_000
                and isinstance(card.rate_hz, int)
                and abs(card.ppm) <= 500
                and 1 <= card.latency_ms <= 10_000
                and 16 <= card.period_frames <= 16384
                and isinstance(card.period_frames, int)
                and isinstance(card.tells_times, bool)
                and isinstance(card.record, str | None)
            )
        except (TypeError, ValueError, RecursionError):
            fits = False
        if not fits:
            raise PhaseLockError("{text} describes no virtual sound card.", text=text)
        return card


class VirtualOutput:
    """An Output (audio/player.py) that plays on a virtual card."""

    def __init__(self, engine: _native.Engine, card: VirtualCard, name: str) -> None:
        self._name = f"virtual ({name})"
        self.rate_hz = card.rate_hz
        self._engine = engine
        self._card = card
        self._latency_frames = round(card.latency_ms * card.rate_hz / 1000)
        self._true_rate_hz = card.rate_hz * (1 + card.ppm * 1e-6)
        self._record_name = name
        self._first_ns = 0
        self._underruns: list[int] = []
        self._late_wakes: list[tuple[int, float]] = []
        """Both are noted in a recording only: they grow as long as the card plays."""
        self._thread: threading.Thread | None = None
        self._closing = False

    def open(self) -> VirtualOutput:
        return self

    def start(self) -> None:
        """Start requesting blocks. AudioDeviceError if they cannot be recorded."""
        try:
            record = self._new_record()
        except (OSError, ValueError) as error:
            reason = message_of(error) if isinstance(error, OSError) else Message("no such folder")
            raise AudioDeviceError("The virtual sound card cannot record: {reason}.", reason=reason) from None
        self._thread = threading.Thread(target=self._run, args=(record,), name="virtual card", daemon=True)
        self._thread.start()

    def is_running(self) -> bool:
        return self._thread is not None and self._thread.is_alive()

    def can_rest(self) -> bool:
        """No: a recording has no gaps."""
        return False

    def rest(self) -> None:
        """Nothing: `can_rest` is False."""

    def output_latency_ns(self) -> int:
        """Time from the request of a block until its first frame leaves."""
        return round(self._latency_frames * 1e9 / self.rate_hz)

    def account(self) -> None:
        """None: the times come with the blocks."""

    def plays_on(self) -> str:
        return self._name

    def timing(self) -> Timing:
        """ "told" if the card reports no times: then only its latency is known."""
        return "exact" if self._card.tells_times else "told"

    def unreported_ns(self) -> int:
        """0: the latency is exact."""
        return 0

    def close(self) -> bool:
        """Stop, and write the rest of the recording."""
        self._closing = True
        if self._thread:
            self._thread.join()
        return True

    # ---- the card's thread ----

    def _run(self, record: tuple[BinaryIO, pathlib.Path] | None) -> None:
        """Play until `close`. If recording fails, stop: a recording with a gap would give wrong measurements."""
        try:
            with bug_net("the virtual sound card", OSError):
                self._play(record)
        except OSError as error:
            _log.warning("the virtual sound card cannot record any more: %s", message_of(error))
        except InternalError:
            pass  # the device thread sees that this thread has ended
        if record:
            with contextlib.suppress(OSError):
                record[0].close()

    def _play(self, record: tuple[BinaryIO, pathlib.Path] | None) -> None:
        _wake_as_an_interrupt()
        period, block = self._card.period_frames, 0
        latency_ns = self.output_latency_ns()
        silence = bytes(period * _CHANNELS * 4)
        self._first_ns = _true_ns() + latency_ns + _START_NS
        while not self._closing:
            frame = block * period
            leaves_ns = self._first_ns + round(frame * 1e9 / self._true_rate_hz)
            _sleep_until(leaves_ns - latency_ns)
            local_ns, true_ns = _clocks_ns()
            late_ns = true_ns - (leaves_ns - latency_ns)
            if record and late_ns > _MIN_LATE_NS:
                self._late_wakes.append((frame, late_ns / 1e6))
            asked_ns = local_ns - (late_ns if self._card.tells_times else 0)
            # A block that is requested after it should have left is not played.
            played = self._engine.process(period, asked_ns) if late_ns <= latency_ns else silence
            is_underrun = _true_ns() > leaves_ns
            if is_underrun:
                played = silence
            if record:
                if is_underrun:
                    self._underruns.append(frame)
                record[0].write(played)
                if block % _NOTE_EVERY_BLOCKS == 0:
                    self._note(record)
            block += 1
        if record:
            self._note(record)

    def _new_record(self) -> tuple[BinaryIO, pathlib.Path] | None:
        if self._card.record is None:
            return None
        folder = pathlib.Path(self._card.record)
        folder.mkdir(parents=True, exist_ok=True)
        name = "".join(one if one.isalnum() or one in "-_" else "_" for one in self._record_name)
        number = 0
        while (path := folder / f"{name}-{number}.f32").exists():
            number += 1
        return path.open("wb", buffering=0), path.with_suffix(".json")

    def _note(self, record: tuple[BinaryIO, pathlib.Path]) -> None:
        """Write NAME.json. This is done regularly, so that it exists even if the process is killed."""
        notes: dict[str, Any] = {
            "first_ns": self._first_ns,
            "rate_hz": self.rate_hz,
            "true_rate_hz": self._true_rate_hz,
            "channels": _CHANNELS,
            "period_frames": self._card.period_frames,
            "latency_frames": self._latency_frames,
            "underruns": self._underruns,
            "late_wakes": self._late_wakes,
        }
        sound, path = record
        sound.flush()
        unfinished = path.with_suffix(".part")
        unfinished.write_text(json.dumps(notes), "utf-8")
        rename(unfinished, path)


def _true_ns() -> int:
    """The clock that all processes of this computer share. On Windows time.monotonic is too coarse."""
    return time.perf_counter_ns()


def _clocks_ns() -> tuple[int, int]:
    """(clock of this process, true clock) at the same moment: the fastest of several readings, so that an interruption
    between two clock calls does not become an error of the card's times."""
    readings = []
    for _ in range(_READINGS):
        before_ns, local_ns, after_ns = _true_ns(), _native.now_ns(), _true_ns()
        readings.append((after_ns - before_ns, local_ns, (before_ns + after_ns) // 2))
    _, local_ns, true_ns = min(readings)
    return local_ns, true_ns


def _sleep_until(true_ns: int) -> None:
    while (left_ns := true_ns - _true_ns()) > 0:
        time.sleep(left_ns / 1e9)


def _wake_as_an_interrupt() -> None:
    """Let timers wake this thread without slack. A real card wakes the program by an interrupt; Linux may delay a timer
    by up to 50 us, and the smallest delay would differ by chance between computers."""
    with contextlib.suppress(OSError):
        pathlib.Path(f"/proc/{threading.get_native_id()}/timerslack_ns").write_text("1")
