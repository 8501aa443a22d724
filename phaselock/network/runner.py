"""The common part of the runners of host and peer.

A runner calls its session (HostSession or PeerSession) on the network thread, and executes the returned effects in
their order. No other code may call the session.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import pathlib
import threading
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Generic, Protocol, TypeAlias, TypeVar
from uuid import UUID

from phaselock.audio.interface import (
    AudioEvent,
    AudioOutput,
    DecodeFailed,
    DeviceChanged,
    LevelsChanged,
    Plan,
    SweepPlan,
)
from phaselock.errors import InternalError, PhaseLockError, bug_net, log_bug
from phaselock.model.microphone import HeardPass, MicrophoneFault
from phaselock.model.role import Role
from phaselock.model.snapshot import SessionSnapshot
from phaselock.model.sweeps import SWEEP_ID, Sounds
from phaselock.model.timeline import Timeline
from phaselock.model.timing import DeviceState, Timing
from phaselock.model.types import AudioStatus, ClockStatus, Track
from phaselock.network.seek import ask_host
from phaselock.protocol.messages import HostTold
from phaselock.session import events as e
from phaselock.session.commands import CommonCommand
from phaselock.session.effects import (
    AskHost,
    Effect,
    Ended,
    Follow,
    FollowHost,
    Listen,
    ListenToSong,
    Notify,
    SetQuiet,
    StopListening,
    TakeOver,
    UseSounds,
)
from phaselock.session.event_json import event_fields
from phaselock.session.sentences import notice_text

STATUS_EVERY_S = 1.0
"""Interval of the audio and clock reports to the session, in seconds."""
EARLY_STATUS_EVERY_S = 0.2
"""The same while output or clock settle: the host may wait for that."""
SETTLING_S = 5.0
"""An output settles for this time, in seconds, after it is opened, and a clock after it is usable."""
SYNC_EVERY_S = 0.9
"""Least interval of `sync` events for users, in seconds: one follows each report, while nothing settles."""

log = logging.getLogger("phaselock.session")
_LEVELS: dict[type[e.Event], int] = {
    e.Failed: logging.ERROR,
    e.Warned: logging.WARNING,
    e.SyncMeasured: logging.DEBUG,
    e.QueueChanged: logging.DEBUG,
}
_TROUBLE = (e.TransferState.RETRY, e.TransferState.FAILED)
"""States of a transfer that are logged as errors: the hash is wrong, or the file did not arrive."""


class SessionCore(Protocol):
    """The methods that HostSession and PeerSession have in common."""

    def command(self, command: CommonCommand, *, now_ns: int) -> list[Effect]: ...

    def timer(self, *, now_ns: int) -> list[Effect]: ...

    def next_deadline_ns(self) -> int | None: ...

    def audio(self, status: AudioStatus, *, now_ns: int) -> list[Effect]: ...

    def decode_failed(self, file_id: UUID, reason: str, *, now_ns: int) -> list[Effect]: ...

    def device_changed(
        self, state: DeviceState, device_name: str | None, detail: str, timing: Timing | None, *, now_ns: int
    ) -> list[Effect]: ...

    def heard(self, number: int, heard: HeardPass, *, now_ns: int) -> list[Effect]: ...

    def told(self, number: int, answer: HostTold | None, *, refused: bool = False, now_ns: int) -> list[Effect]: ...

    def snapshot(self) -> SessionSnapshot: ...


Outcome: TypeAlias = Ended | TakeOver | FollowHost
"""How a runner ends: the session is over for this machine, or the machine has another role in it from now on."""
Hear: TypeAlias = Callable[[int, Sequence[Sounds], threading.Event], HeardPass]
"""Records the pass that begins at this session time, until the event is set, and finds the sounds of all machines. May
raise PhaseLockError. Called on a thread of its own."""
HearSong: TypeAlias = Callable[[int, Plan, Sequence[Role], threading.Event], HeardPass]
"""The same for a check that begins at this session time, in which machines with these roles play the song of the plan
in turns."""
M = TypeVar("M", bound=SessionCore)


class Runner(Generic[M]):
    """Timer, audio output and events of one session. Subclasses add the sockets.

    Create it on its event loop. Only the network thread may use it. `on_event` is called on the network thread.
    """

    def __init__(
        self,
        session: M,
        output: AudioOutput,
        *,
        now_ns: Callable[[], int],
        on_event: Callable[[e.Event], None],
        hear: Hear | None = None,
        hear_song: HearSong | None = None,
        files: Mapping[UUID, tuple[Track, pathlib.Path]] = MappingProxyType({}),
    ) -> None:
        """`files`: those that are on this machine already, because it had another role in the session before."""
        self._loop = asyncio.get_running_loop()
        self._session = session
        self._output = output
        self._now_ns = now_ns
        self._on_event = on_event
        self._files = dict(files)
        self._sounds = Sounds((0,), upward=True)
        """The sounds of a timeline of SWEEP_ID."""
        self._hear = hear
        self._hear_song = hear_song
        self._stop_hearing = threading.Event()
        """Set: the newest recording ends."""
        self._followed = Follow(None)
        self._timer: asyncio.TimerHandle | None = None
        self._next_report: asyncio.TimerHandle | None = None
        self._reported_at_s = self._settled_at_s = 0.0
        """Times of the loop: of the newest report, and from which on output and clock count as settled."""
        self._sync_due_s = 0.0
        self._tasks: set[asyncio.Task[None]] = set()
        self._asking: set[asyncio.Task[None]] = set()
        """Questions of `AskHost`."""
        self._ended: asyncio.Future[Outcome] = self._loop.create_future()
        output.start(self._pass_on)

    def snapshot(self) -> SessionSnapshot:
        """The present state of the session, for display."""
        return self._session.snapshot()

    def command(self, command: CommonCommand) -> None:
        """Execute a command of this machine's user."""
        self._do(self._session.command(command, now_ns=self._now_ns()))

    async def outcome(self) -> Outcome:
        """How the session ends here. `run` returns later, when all its connections and transfers have ended."""
        return await asyncio.shield(self._ended)

    @property
    def files(self) -> Mapping[UUID, tuple[Track, pathlib.Path]]:
        """The tracks whose files are on this machine."""
        return self._files

    def path(self, file_id: UUID) -> pathlib.Path | None:
        """The path of a track's file; None if the file is not on this machine."""
        found = self._files.get(file_id)
        return found[1] if found else None

    def track(self, file_id: UUID) -> Track | None:
        """The description of a track whose file is on this machine, else None."""
        found = self._files.get(file_id)
        return found[0] if found else None

    @property
    def followed(self) -> Follow:
        """What the audio output plays."""
        return self._followed

    def clock_status(self) -> ClockStatus:
        """The state of the clock measurement now."""
        raise NotImplementedError

    def session_ns(self) -> int | None:
        """Session time now, in ns; None while it is not known."""
        raise NotImplementedError

    def _report_clock(self, status: ClockStatus) -> None:
        """Report the clock to the session, if the session needs it."""

    def _do(self, effects: Iterable[Effect]) -> None:
        """Execute effects that the session returned, and set the timer to the session's next deadline."""
        for effect in effects:
            if self._ended.done():
                break
            with contextlib.suppress(InternalError), bug_net("an effect of the session"):
                match effect:
                    case Follow(timeline, then, gain_db, then_gain_db):
                        self._followed = effect
                        if timeline is not None and timeline.file_id == SWEEP_ID:
                            self._output.follow(SweepPlan(timeline, self._sounds))
                        else:
                            self._output.follow(self._plan(timeline, gain_db), self._plan(then, then_gain_db))
                    case UseSounds(sounds):
                        self._sounds = sounds
                    case SetQuiet(spans):
                        self._output.set_quiet(spans)
                    case Listen() | ListenToSong():
                        self._stop_hearing.set()
                        self._stop_hearing = threading.Event()
                        self._spawn(self._hear_machines(effect, self._stop_hearing))
                    case StopListening():
                        self._stop_hearing.set()
                    case Notify(event):
                        self._publish(event)
                    case AskHost():
                        asking = self._spawn(self._ask_host(effect))
                        self._asking.add(asking)
                        asking.add_done_callback(self._asking.discard)
                    case Ended():
                        self._ended.set_result(effect)
                        log.log(
                            logging.ERROR if effect.failed else logging.INFO, "over: %s", notice_text(effect.reason)
                        )
                    case _:
                        self._execute(effect)
        if self._timer:
            self._timer.cancel()
            self._timer = None
        deadline_ns = self._session.next_deadline_ns()
        if deadline_ns is not None and not self._ended.done():
            self._timer = self._loop.call_later(max(0, deadline_ns - self._now_ns()) / 1e9, self._on_timer)

    def _tell(self, call: Callable[..., list[Effect]], *args: object, **options: object) -> None:
        """Call a method of the session with these arguments and the time, and execute the effects. Nothing happens when
        the session is over."""
        if not self._ended.done():
            self._do(call(*args, **options, now_ns=self._now_ns()))

    def _execute(self, effect: Effect) -> None:
        """Execute an effect that needs the sockets. AssertionError if it is not for this runner."""
        raise NotImplementedError

    def _publish(self, event: e.Event) -> None:
        """Pass an event to `on_event`, and write it to the log."""
        level = _LEVELS.get(type(event), logging.INFO)
        if isinstance(event, e.TransferChanged) and event.state in _TROUBLE:
            level = logging.ERROR
        if log.isEnabledFor(level):
            fields = event_fields(event)
            if isinstance(event, e.CodeSet):  # a log is shown to others
                fields["code"] = "set" if event.code else "off"
            elif isinstance(event, e.InvitationChanged):
                fields["text"] = "set" if event.text else ""
            elif isinstance(event, e.ChatSaid):
                del fields["text"]
            shown = {name: len(value) if isinstance(value, list) else value for name, value in fields.items()}
            words = " ".join(f"{name}={value!r}" for name, value in shown.items() if value not in (None, ""))
            log.log(level, "%s session_ns=%s %s", event.event_name, event.session_ns, words)
        self._on_event(event)

    async def _hear_machines(self, task: Listen | ListenToSong, stop: threading.Event) -> None:
        """Hear one pass or check on a thread of its own: a microphone may take seconds to open."""
        heard = HeardPass(fault=MicrophoneFault.NONE)
        try:
            with bug_net("hearing the loudspeakers", PhaseLockError):
                if isinstance(task, Listen) and self._hear is not None:
                    heard = await asyncio.to_thread(self._hear, task.begin_session_ns, task.machines, stop)
                elif isinstance(task, ListenToSong) and self._hear_song is not None:
                    plan = Plan(task.timeline, *self._files[task.timeline.file_id])
                    heard = await asyncio.to_thread(self._hear_song, task.begin_session_ns, plan, task.roles, stop)
        except PhaseLockError as error:
            log.error("the microphone: %s", error)
            heard = HeardPass(fault=MicrophoneFault.FAILED)
        if not stop.is_set() and not self._ended.done():
            self._do(self._session.heard(task.number, heard, now_ns=self._now_ns()))

    async def _ask_host(self, effect: AskHost) -> None:
        answer, refused = await ask_host(effect.contact, effect.message)
        if not self._ended.done():
            self._do(self._session.told(effect.number, answer, refused=refused, now_ns=self._now_ns()))

    def _plan(self, line: Timeline | None, gain_db: float) -> Plan | None:
        return None if line is None else Plan(line, *self._files[line.file_id], gain_db)

    def _on_timer(self) -> None:
        self._timer = None
        try:
            with bug_net("a deadline of the session"):
                effects = self._session.timer(now_ns=self._now_ns())
        except InternalError:  # the deadline may still be in the past
            self._timer = self._loop.call_later(STATUS_EVERY_S, self._on_timer)
        else:
            self._do(effects)

    def _pass_on(self, event: AudioEvent) -> None:
        """Called on a thread of the audio output."""
        self._loop.call_soon_threadsafe(self._audio_event, event)

    def _audio_event(self, event: AudioEvent) -> None:
        if self._ended.done():
            return
        match event:
            case DecodeFailed(plan, reason):
                self._do(self._session.decode_failed(plan.track.file_id, reason, now_ns=self._now_ns()))
            case DeviceChanged(state, name, detail, timing):
                self._begin_settling()
                self._do(self._session.device_changed(state, name, detail, timing, now_ns=self._now_ns()))
                self._report_status()
                self._report_soon()
            case LevelsChanged():
                self._report_soon()

    def _report_status(self) -> tuple[AudioStatus, ClockStatus]:
        clock = self.clock_status()
        self._report_clock(clock)
        audio = self._output.status()
        self._do(self._session.audio(audio, now_ns=self._now_ns()))
        if clock.stale or not clock.usable:
            self._begin_settling()
        return audio, clock

    def _report_regularly(self) -> None:
        """Report the status to the session now and from now on, and to users about each second."""
        self._begin_settling()
        self._sync_due_s = self._loop.time() + SYNC_EVERY_S
        self._report()

    def _begin_settling(self) -> None:
        """The output or the clock is a new one, or the clock is not measured."""
        self._settled_at_s = self._loop.time() + SETTLING_S

    def _report(self) -> None:
        self._reported_at_s = self._loop.time()
        with contextlib.suppress(InternalError), bug_net("a report of the status"):
            status = self._report_status()
            if self._reported_at_s >= self._sync_due_s:
                self._sync_due_s = self._reported_at_s + SYNC_EVERY_S
                self._publish(sync_event(self.session_ns(), *status))
        if not self._ended.done():
            self._report_in(EARLY_STATUS_EVERY_S if self._reported_at_s < self._settled_at_s else STATUS_EVERY_S)

    def _report_in(self, seconds: float) -> None:
        """Make the next report after this time."""
        if self._next_report is not None:
            self._next_report.cancel()
        self._next_report = self._loop.call_later(seconds, self._report)

    def _report_soon(self) -> None:
        """Make the next report as soon as those may follow each other."""
        if self._next_report is not None:
            self._report_in(max(0.0, self._reported_at_s + EARLY_STATUS_EVERY_S - self._loop.time()))

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Start a task. `_finish` waits for it. An exception in it is a bug, which is logged."""
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        task.add_done_callback(log_failure)
        return task

    async def _finish(self) -> None:
        """Stop the timers, the recording and the questions, and wait for the tasks. The caller has cancelled those that
        do not end by themselves."""
        self._stop_hearing.set()
        for asking in self._asking:
            asking.cancel()
        if not self._ended.done():
            self._ended.cancel()
        for timer in filter(None, (self._timer, self._next_report)):
            timer.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)


def log_failure(task: asyncio.Task[None]) -> None:
    """Log the exception of a task that has ended. For tasks with an unknown result: nothing awaits it."""
    if not task.cancelled() and (error := task.exception()):
        log_bug(f"the task {getattr(task.get_coro(), '__qualname__', '')}", error)


def sync_event(session_ns: int | None, status: AudioStatus, clock: ClockStatus) -> e.SyncMeasured:
    """The `sync` event of this machine, in units for users: µs, ms and ppm."""
    return e.SyncMeasured(
        session_ns,
        playing=status.playing,
        phase_error_us=round(status.phase_error_ns / 1e3, 1),
        offset_uncertainty_us=e.known_us(clock.uncertainty_ns),
        drift_ppm=None if clock.drift_ppm is None else round(clock.drift_ppm, 3),
        correction_ppm=round(status.correction_ppm, 3),
        rtt_ms=None if clock.rtt_ns is None else round(clock.rtt_ns / 1e6, 3),
        underruns=status.underruns,
        timing=status.timing,
        dac_uncertainty_us=e.known_us(status.dac_uncertainty_ns),
        output_latency_ms=round(status.output_latency_ns / 1e6, 3),
    )
