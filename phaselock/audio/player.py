"""The player: the native engine with a device, a thread that decodes and one that looks after the device.

Threads, and what each alone may do:
  player   the engine's controller and the only producer of its rings (Decks), woken by `follow` or every 50 ms
  device   opens, watches, asks for its latency and reopens the output; everything there may take seconds
Both hold the lock while they command the engine, so that a stream never begins under the other's hands. The network
thread only leaves wishes and reads the status. The audio callback (C) takes no lock.
"""

from __future__ import annotations

import contextlib
import math
import select
import socket
import threading
import time
from collections.abc import Callable
from typing import Protocol

from phaselock import _native
from phaselock.audio.decks import Decks, Source
from phaselock.audio.interface import AudioEvent, AudioStatus, DeviceChanged, Plan
from phaselock.errors import AudioDeviceError
from phaselock.model.timing import Timing

_IDLE_S = 0.05
_LOOK_S = 0.1
_LATENCY_EVERY = 10
_RETRY_S = (0.1, 0.2, 0.3, 0.5, 1.0)
_LATENCY_NOISE_NS = 200_000


class OutputInfo(Protocol):
    """What an opened output says of itself."""

    @property
    def rate_hz(self) -> int: ...


class Output(Protocol):
    """A device that calls the engine back; see audio/device.py."""

    def open(self) -> OutputInfo: ...
    def start(self) -> None: ...
    def is_running(self) -> bool: ...
    def account(self) -> _native.Account | None: ...
    def plays_on(self) -> str: ...
    def timing(self) -> Timing: ...
    def untold_ns(self) -> int | None: ...
    def output_latency_ns(self) -> int | None: ...
    def close(self) -> bool: ...


class Player:
    """Follows plans on an output; an AudioOutput. `new_output` makes the output anew whenever it has to be opened."""

    def __init__(
        self,
        line: _native.ClockMap,
        new_output: Callable[[_native.Engine], Output],
        open_source: Callable[[Plan], Source],
    ) -> None:
        self.engine = _native.Engine(line)
        self._new_output = new_output
        self._decks = Decks(self.engine, open_source)
        self._lock = threading.Lock()
        self._bell, self._ringer = socket.socketpair()
        self._bell.setblocking(False)
        self._ringer.setblocking(False)
        self._closing = self._reopening = False
        self._volume = 1.0
        self._running = False
        self._device_name: str | None = None
        self._device_rate_hz = 0
        self._timing: Timing = "unknown"
        self._account: _native.Account | None = None
        self._untold_ns: int | None = None
        self._platform_latency_ns = 0
        self._correction_ns = 0
        self._latency_lock = threading.Lock()
        self._threads = [
            threading.Thread(target=self._play, name="player", daemon=True),
            threading.Thread(target=self._look_after_device, name="device", daemon=True),
        ]
        self._on_event: Callable[[AudioEvent], None] = lambda _event: None

    def start(self, on_event: Callable[[AudioEvent], None]) -> None:
        """See AudioOutput.start."""
        self._on_event = on_event
        for thread in self._threads:
            thread.start()

    def follow(self, plan: Plan | None, then: Plan | None = None) -> None:
        """See AudioOutput.follow."""
        self._decks.follow(plan, then)
        self._ring_bell()

    def set_volume(self, volume: float) -> None:
        """0 to 1, ramped."""
        self._volume = volume
        self.engine.set_volume(volume)

    def set_correction_ms(self, correction_ms: float) -> None:
        """Positive plays earlier."""
        self._tell_latency(correction_ns=round(correction_ms * 1e6))

    def reopen(self) -> None:
        """Let the output go and open the one that `new_output` gives now."""
        self._reopening = True

    def status(self) -> AudioStatus:
        """A coherent look, never blocking."""
        status = self.engine.status()
        deviation_ns = int(status.dac_uncertainty_ns)
        untold_ns = self._untold_ns
        return AudioStatus(
            device_name=self._device_name,
            device_rate_hz=self._device_rate_hz,
            output_latency_ns=self._lead_ns(status),
            dac_deviation_ns=deviation_ns,
            dac_uncertainty_ns=None if untold_ns is None else round(math.hypot(deviation_ns, untold_ns)),
            timing=self._timing,
            playing=self._running and status.audible,
            phase_error_ns=round(status.phase_error_ns),
            correction_ppm=status.correction_ppm,
            underruns=status.underruns,
            volume=status.volume,
        )

    def close(self) -> None:
        """Stop both threads and the device."""
        self._closing = True
        self._ring_bell()
        for thread in self._threads:
            if thread.ident is not None:  # it was started
                thread.join()
        self._bell.close()
        self._ringer.close()

    def _lead_ns(self, status: _native.EngineStatus) -> int:
        """From a callback to the loudspeaker: as the account of the stream measures it, or as told."""
        told_ns = self._platform_latency_ns + self._correction_ns
        account = self._account
        return (status.lead_ns or told_ns) if account is not None and not account.is_silent else told_ns

    def _tell_latency(self, *, platform_ns: int | None = None, correction_ns: int | None = None) -> None:
        with self._latency_lock:  # the network's and the device's thread: the engine must keep the newest sum
            if platform_ns is not None:
                self._platform_latency_ns = platform_ns
            if correction_ns is not None:
                self._correction_ns = correction_ns
            self.engine.set_output_latency(self._platform_latency_ns + self._correction_ns)

    def _ring_bell(self) -> None:
        with contextlib.suppress(OSError):  # a full bell rings already
            self._ringer.send(b"\0")

    # ---- the player's thread ----

    def _play(self) -> None:
        busy = False
        while not self._closing:
            if not busy and select.select([self._bell], [], [], _IDLE_S)[0]:
                with contextlib.suppress(BlockingIOError):
                    self._bell.recv(4096)
            with self._lock:
                now_ns = _native.now_ns()
                busy, events = self._decks.pump(
                    now_ns, output_latency_ns=self._lead_ns(self.engine.status()), running=self._running
                )
            for event in events:
                self._on_event(event)
        with self._lock:
            self._decks.restart()

    # ---- the device's thread ----

    def _look_after_device(self) -> None:
        failures = 0
        while not self._closing:
            output = self._new_output(self.engine)
            try:
                self._run(output)
                failures = 0
            except AudioDeviceError as error:
                if failures == 0:
                    self._on_event(DeviceChanged("none", None, str(error)))
                failures += 1
            finally:
                self._running = False
                self._device_name = None
                if not output.close():
                    self._leave_engine()
            if self._reopening:
                self._reopening = False
                continue
            if not self._closing and failures == 0:
                self._on_event(DeviceChanged("lost", None, "The audio output is gone."))
                failures = 1
            self._nap(_RETRY_S[min(failures, len(_RETRY_S) - 1)])

    def _leave_engine(self) -> None:
        """A hung sound server may still call the engine: it keeps that one, and we go on with another."""
        engine = _native.Engine(self.engine.line)
        with self._lock:
            engine.set_volume(self._volume)
            self._decks.use(engine)
            self.engine = engine

    def _run(self, output: Output) -> None:
        """From opening to the loss of the output, or to closing."""
        info = output.open()
        self._tell_latency(platform_ns=output.output_latency_ns() or 0)
        account = output.account()
        self._account = account
        with self._lock:
            self.engine.stream(info.rate_hz, account)
            self._decks.restart()
        output.start()
        self._device_name, self._device_rate_hz, self._running = output.plays_on(), info.rate_hz, True
        self._ring_bell()
        told: tuple[str, Timing] | None = None
        looks = 0
        while not self._closing and not self._reopening and output.is_running():
            looks += 1
            now = self._device_name, self._timing = output.plays_on(), output.timing()
            self._untold_ns = output.untold_ns()
            if now != told:
                told = now
                self._on_event(DeviceChanged("open", now[0], "", now[1]))
            if looks % _LATENCY_EVERY == 0 or looks < 3:
                latency_ns = output.output_latency_ns()
                if latency_ns is not None and abs(latency_ns - self._platform_latency_ns) > _LATENCY_NOISE_NS:
                    self._tell_latency(platform_ns=latency_ns)
            self._nap(_LOOK_S)

    def _nap(self, seconds: float) -> None:
        # Plain sleeps: waiting on a condition with a time limit trusts a clock that a preloaded library may bend.
        for _ in range(max(1, round(seconds / 0.05))):
            if self._closing:
                return
            time.sleep(0.05)
