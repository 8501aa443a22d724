"""The player: the native engine with an output device, a thread that decodes and a thread that watches the device.

Threads, and what only they may do:
  player   controls the engine and writes its rings (Decks); `follow` wakes it, and a deck in use while it empties
  device   opens, watches and reopens the output and asks for its latency; each of these calls may take seconds
Both hold the lock while they command the engine, so no stream starts during a command. The network thread only adds
pending plans and reads the status. The audio callback (C) takes no lock.
"""

from __future__ import annotations

import contextlib
import math
import select
import socket
import threading
from collections.abc import Callable, Sequence
from typing import Protocol

from phaselock import _native
from phaselock.audio.decks import Decks
from phaselock.audio.formats.base import Source
from phaselock.audio.interface import AudioEvent, DeviceChanged, LevelsChanged, Plan, SweepPlan
from phaselock.errors import AudioDeviceError, InternalError, PhaseLockError, bug_net
from phaselock.language.message import Message
from phaselock.model.role import Role
from phaselock.model.timing import Timing
from phaselock.model.types import AudioStatus
from phaselock.model.volume import gain_of

_AFTER_FAILURE_S = 0.1
"""Pause of the player thread after a round has failed."""
_WATCH_EVERY_S = 0.2
"""How often the device thread looks at the output."""
_WATCH_SILENCE_EVERY_S = 1.0
"""The same while nothing plays and nothing is prepared."""
_REST_AFTER_S = 30.0
"""For how long nothing plays and nothing is prepared before the output rests."""
_TOLD_BEFORE_S = 3.0
"""How long before the rest the player tells that the output will need time to wake. The host plans starts by what it
knows."""
_WAKE_NS = 300_000_000
"""From the plan of a start to the first frames of an output that rested, and until their time is known exactly."""
_LATENCY_EVERY_LOOKS = 5
"""The platform is asked for its latency at every fifth look, and at the first two."""
_RETRY_AFTER_S = (0.1, 0.2, 0.3, 0.5, 1.0)
"""Pause before the output is opened again, by the number of failures before."""
_MIN_LATENCY_CHANGE_NS = 200_000
"""Smaller changes of the platform's latency are noise and are ignored."""
_SETTLED_S = 4.0
"""From this age on, the latency of a stream is what its account says."""


class OutputInfo(Protocol):
    """Properties of an opened output."""

    @property
    def rate_hz(self) -> int: ...


class Output(Protocol):
    """A device that calls the engine's callback; `Device` in audio/device.py documents the methods."""

    def open(self) -> OutputInfo: ...
    def start(self) -> None: ...
    def can_rest(self) -> bool: ...
    def rest(self) -> None: ...
    def is_running(self) -> bool: ...
    def account(self) -> _native.Account | None: ...
    def plays_on(self) -> str: ...
    def timing(self) -> Timing: ...
    def unreported_ns(self) -> int | None: ...
    def output_latency_ns(self) -> int | None: ...
    def close(self) -> bool: ...


class _Bell:
    """Wakes one thread. Not a condition: its timed wait uses a clock that a preloaded library may change."""

    def __init__(self) -> None:
        self._heard, self._rung = socket.socketpair()
        self._heard.setblocking(False)
        self._rung.setblocking(False)

    def ring(self) -> None:
        with contextlib.suppress(OSError):  # the socket is full, so the thread will wake anyway
            self._rung.send(b"\0")

    def wait(self, seconds: float | None) -> None:
        """Wait until the bell rings, at most for this time (None: without a limit)."""
        if select.select([self._heard], [], [], seconds)[0]:
            with contextlib.suppress(BlockingIOError):
                self._heard.recv(4096)

    def close(self) -> None:
        self._heard.close()
        self._rung.close()


class Player:
    """An AudioOutput with a real device. `new_output` creates the output each time it has to be opened."""

    def __init__(
        self,
        clock_map: _native.ClockMap,
        new_output: Callable[[_native.Engine], Output],
        open_source: Callable[[Plan | SweepPlan], Source],
    ) -> None:
        self.engine = _native.Engine(clock_map)
        self._new_output = new_output
        self._decks = Decks(self.engine, open_source)
        self._lock = threading.Lock()
        self._player_bell, self._device_bell = _Bell(), _Bell()
        self._closing = self._reopening = False
        self._volume = 1.0
        self._trim_db = 0.0
        self._role: Role = "stereo"
        self._quiet: tuple[tuple[int, int], ...] = ()
        self._applied_quiet: tuple[tuple[int, int], ...] = ()
        self._running = False
        self._device_name: str | None = None
        self._last_name = ""
        """The output that was opened last."""
        self._lost = ""
        """The output that was lost, until one is open again."""
        self._device_rate_hz = 0
        self._timing: Timing = "unknown"
        self._account: _native.Account | None = None
        self._unreported_ns: int | None = None
        self._silent_since_ns: int | None = None
        self._wake_ns = 0
        """What the output needs to wake, if it rests or soon will."""
        self._platform_latency_ns = 0
        self._correction_ns = 0
        self._latency_lock = threading.Lock()
        self._threads = [
            threading.Thread(target=self._play, name="player", daemon=True),
            threading.Thread(target=self._watch_device, name="device", daemon=True),
        ]
        self._on_event: Callable[[AudioEvent], None] = lambda _event: None

    def start(self, on_event: Callable[[AudioEvent], None]) -> None:
        self._on_event = on_event
        if self._threads[0].ident is None:
            for thread in self._threads:
                thread.start()
        elif (name := self._device_name) is not None:
            on_event(DeviceChanged("open", name, "", self._timing))

    def follow(self, plan: Plan | SweepPlan | None, next_plan: Plan | None = None) -> None:
        self._decks.follow(plan, next_plan)
        self._player_bell.ring()
        self._device_bell.ring()

    def set_volume(self, volume: float) -> None:
        self._volume = volume
        self.engine.set_volume(gain_of(volume, self._trim_db))
        self._on_event(LevelsChanged())

    def set_trim_db(self, trim_db: float) -> None:
        self._trim_db = trim_db
        self.engine.set_volume(gain_of(self._volume, trim_db))
        self._on_event(LevelsChanged())

    def set_role(self, role: Role) -> None:
        self._role = role
        self.engine.set_role(role)
        self._on_event(LevelsChanged())

    def set_quiet(self, spans: Sequence[tuple[int, int]]) -> None:
        self._quiet = tuple(spans)
        self._player_bell.ring()

    def set_correction_ms(self, correction_ms: float) -> None:
        self._set_latency(correction_ns=round(correction_ms * 1e6))
        self._on_event(LevelsChanged())

    def platform_latency_ms(self) -> float:
        """The latency of the open output, without the correction."""
        return max(0.0, (self._lead_ns(self.engine.status()) - self._correction_ns) / 1e6)

    def knows_latency(self) -> bool:
        """Whether `platform_latency_ms` is settled. The account of a young stream counts what its server still holds,
        which may be seconds of silence."""
        account, status = self._account, self.engine.status()
        return account is None or account.is_silent or status.device_frames > _SETTLED_S * self._device_rate_hz

    def reopen(self) -> None:
        """Close the output and open the one that `new_output` creates now."""
        self._reopening = True
        self._device_bell.ring()

    def status(self) -> AudioStatus:
        status = self.engine.status()
        deviation_ns = int(status.dac_uncertainty_ns)
        unreported_ns = self._unreported_ns
        return AudioStatus(
            device_name=self._device_name,
            device_rate_hz=self._device_rate_hz,
            output_latency_ns=self._lead_ns(status) + self._wake_ns,
            dac_deviation_ns=deviation_ns,
            dac_uncertainty_ns=None if unreported_ns is None else round(math.hypot(deviation_ns, unreported_ns)),
            timing=self._timing,
            playing=self._running and status.audible,
            phase_error_ns=round(status.phase_error_ns),
            correction_ppm=status.correction_ppm,
            underruns=status.underruns,
            volume=self._volume,
            role=self._role,
            trim_db=self._trim_db,
            correction_ns=self._correction_ns,
        )

    def close(self) -> None:
        self._closing = True
        self._player_bell.ring()
        self._device_bell.ring()
        for thread in self._threads:
            if thread.ident is not None:  # it was started
                thread.join()
        self._player_bell.close()
        self._device_bell.close()

    def _lead_ns(self, status: _native.EngineStatus) -> int:
        """Time from a callback to the loudspeaker: measured from the account of the stream if there is one, else the
        latency that the platform reports."""
        reported_ns = self._platform_latency_ns + self._correction_ns
        account = self._account
        return (status.lead_ns or reported_ns) if account is not None and not account.is_silent else reported_ns

    def _set_latency(self, *, platform_ns: int | None = None, correction_ns: int | None = None) -> None:
        # Two threads call this, network and device: the lock keeps the order of the sums that the engine gets.
        with self._latency_lock:
            if platform_ns is not None:
                self._platform_latency_ns = platform_ns
            if correction_ns is not None:
                self._correction_ns = correction_ns
            self.engine.set_output_latency(self._platform_latency_ns + self._correction_ns)

    # ---- the player's thread ----

    def _play(self) -> None:
        wait_s: float | None = 0
        while not self._closing:
            self._player_bell.wait(wait_s)
            wait_s = _AFTER_FAILURE_S
            with contextlib.suppress(InternalError), bug_net("a round of the player"):
                with self._lock:
                    now_ns = _native.now_ns()
                    if (quiet := self._quiet) != self._applied_quiet and self.engine.set_quiet(quiet):
                        self._applied_quiet = quiet
                    busy, events = self._decks.pump(
                        now_ns, output_latency_ns=self._lead_ns(self.engine.status()), running=self._running
                    )
                if self._applied_quiet == quiet:
                    wait_s = 0 if busy else self._decks.pause_s()
                for event in events:
                    self._on_event(event)
        with self._lock:
            self._decks.restart()

    # ---- the device's thread ----

    def _watch_device(self) -> None:
        failures = 0
        while not self._closing:
            try:
                with bug_net("the audio output", AudioDeviceError):
                    self._use(self._new_output(self.engine))
                failures = 0
            except PhaseLockError as error:
                if failures == 0:
                    self._tell(DeviceChanged("none", None, error.message))
                failures += 1
            if self._reopening:
                self._reopening, self._lost = False, ""
                continue
            if not self._closing and failures == 0:
                self._lost = self._last_name
                self._tell(DeviceChanged("lost", None, Message("{name} is gone.", name=self._lost)))
                failures = 1
            self._device_bell.wait(_RETRY_AFTER_S[min(failures, len(_RETRY_AFTER_S) - 1)])

    def _tell(self, event: AudioEvent) -> None:
        with contextlib.suppress(InternalError), bug_net("an event of the audio output"):
            self._on_event(event)

    def _use(self, output: Output) -> None:
        """Run the output and close it."""
        try:
            self._run(output)
        finally:
            self._running = False
            self._device_name = None
            self._silent_since_ns, self._wake_ns = None, 0
            if not output.close():
                self._leave_engine()

    def _leave_engine(self) -> None:
        """Continue with a new engine. The sound server hangs and may still call the callback of the old one."""
        engine = _native.Engine(self.engine.clock_map)
        with self._lock:
            engine.set_volume(gain_of(self._volume, self._trim_db))
            engine.set_role(self._role)
            self._applied_quiet = ()
            self._decks.use(engine)
            self.engine = engine

    def _run(self, output: Output) -> None:
        """Open the output and watch it until it is lost, or until `close` or `reopen` is called."""
        info = output.open()
        self._set_latency(platform_ns=output.output_latency_ns() or 0)
        self._device_rate_hz = info.rate_hz
        self._start(output)
        told: tuple[str, Timing] | None = None
        looks = 0
        while not self._closing and not self._reopening and output.is_running():
            looks += 1
            now = self._device_name, self._timing = output.plays_on(), output.timing()
            self._unreported_ns = output.unreported_ns()
            if now != told:
                told = now
                lost, self._lost, self._last_name = self._lost, "", now[0]
                instead = bool(lost) and lost != now[0]
                form = Message("{gone} is gone. Playing on {name}.", gone=lost, name=now[0])
                self._on_event(DeviceChanged("open", now[0], form if instead else "", now[1]))
            if looks % _LATENCY_EVERY_LOOKS == 0 or looks < 3:
                latency_ns = output.output_latency_ns()
                if latency_ns is not None and abs(latency_ns - self._platform_latency_ns) > _MIN_LATENCY_CHANGE_NS:
                    self._set_latency(platform_ns=latency_ns)
            silent = looks > 2 and self._decks.are_idle()
            if output.can_rest():
                self._rest_if_idle(output, _native.now_ns(), silent=silent)
            self._device_bell.wait(_WATCH_SILENCE_EVERY_S if silent else _WATCH_EVERY_S)

    def _start(self, output: Output) -> None:
        """Start the callbacks, with a new stream of the engine."""
        account = output.account()
        self._account = account
        with self._lock:
            self.engine.stream(self._device_rate_hz, account)
            self._applied_quiet = ()  # a command that the last stream has not read is lost
            self._decks.restart()
        output.start()
        self._device_name, self._running = output.plays_on(), True
        self._player_bell.ring()

    def _rest_if_idle(self, output: Output, now_ns: int, *, silent: bool) -> None:
        """Let the output rest after a long silence, and return when a plan has woken it."""
        if not silent or self._silent_since_ns is None:
            self._silent_since_ns = now_ns
        silent_s = (now_ns - self._silent_since_ns) / 1e9
        wake_ns = _WAKE_NS if silent_s > _REST_AFTER_S - _TOLD_BEFORE_S else 0
        if wake_ns != self._wake_ns:
            self._wake_ns = wake_ns
            self._on_event(LevelsChanged())
        if silent_s <= _REST_AFTER_S:
            return
        output.rest()
        self._running = False
        while self._decks.are_idle() and not self._closing and not self._reopening and output.is_running():
            self._device_bell.wait(_WATCH_SILENCE_EVERY_S)
        self._silent_since_ns, self._wake_ns = None, 0
        if not self._decks.are_idle():
            self._start(output)
