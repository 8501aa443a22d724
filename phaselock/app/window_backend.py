"""The network thread behind the window: at most one session at a time, and what the window asks of it.

network   asyncio: everything in this file but `ask`
look      reads artwork, and decodes whole tracks for their waveform, one after the other
"""

from __future__ import annotations

import asyncio
import collections
import concurrent.futures
import contextlib
import logging
import pathlib
import threading
from collections.abc import Sequence
from typing import Any
from uuid import UUID

from phaselock.app.event_queue import EventQueue
from phaselock.app.session import (
    HostOptions,
    JoinOptions,
    OpenHostSession,
    OpenPeerSession,
    address_of,
    open_host_session,
    open_peer_session,
)
from phaselock.audio.device import list_outputs
from phaselock.audio.mp3_file import inspect
from phaselock.audio.waveform import analyse
from phaselock.errors import PhaseLockError
from phaselock.model.address import parse_address
from phaselock.model.notices import Code, Notice
from phaselock.network import discovery
from phaselock.network.service_record import FoundSession
from phaselock.session import commands as c
from phaselock.session.effects import Ended
from phaselock.session.events import Event, Joined, QueueChanged, SyncMeasured, Warned
from phaselock.session.sentences import notice_text
from phaselock.storage import log as journal
from phaselock.storage.paths import log_path
from phaselock.storage.settings import SettingsStore
from phaselock.storage.tags import read_artwork
from phaselock.ui.backend import (
    ArtworkRead,
    Closed,
    Found,
    FoundSessions,
    LocalStatus,
    Opened,
    Outputs,
    SessionEvent,
    SessionView,
    WaveformRead,
)

STATE_EVERY_S = 0.2
AT_ONCE_S = 0.02
"""After something happened; several things at once make one state."""
OWN_EVERY_S = 1.0
"""So often this machine's own figures are told: faster they could not be read."""
LOG_PATIENCE_S = 0.5

log = logging.getLogger("phaselock.app.window_backend")


class WindowBackend:
    """`run` is the network thread; `ask` may be called from any."""

    def __init__(self, store: SettingsStore, mailbox: EventQueue, backend: str, device: str | None) -> None:
        self._store = store
        self._mailbox = mailbox
        self._backend, self._device = backend, device
        self._lock = threading.Lock()
        self._asked: collections.deque[tuple[str, tuple[Any, ...]]] = collections.deque()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stage: OpenHostSession | OpenPeerSession | None = None
        self._session: asyncio.Task[None] | None = None
        self._browsing: asyncio.Task[None] | None = None
        self._state_due: asyncio.TimerHandle | None = None
        self._own_state: LocalStatus | None = None
        self._own_at_s = 0.0
        self._over = asyncio.Event()
        self._looking = concurrent.futures.ThreadPoolExecutor(1, "look")
        self._tasks: set[asyncio.Task[None]] = set()

    def ask(self, what: str, *arguments: Any) -> None:
        """Have the method `_what` called on the network thread, in the order of asking."""
        with self._lock:
            self._asked.append((what, arguments))
            if self._loop is not None:
                with contextlib.suppress(RuntimeError):  # the loop is closed: too late
                    self._loop.call_soon_threadsafe(self._answer)

    def run(self) -> None:
        """The network thread, to the end."""
        log_file = journal.start(log_path(), None)
        if log_file.settled(LOG_PATIENCE_S) and log_file.problem:
            self._mailbox.put(SessionEvent(Warned(None, Notice(Code.LOG_TROUBLE, log_file.problem))))
        try:
            asyncio.run(self._run())
        finally:
            log_file.close()

    async def _run(self) -> None:
        with self._lock:
            self._loop = asyncio.get_running_loop()
        self._answer()
        try:
            await self._over.wait()
        finally:
            self._leave()
            self._browse(False)
            waiting = [task for task in (self._session, *self._tasks) if task is not None]
            if waiting:
                await asyncio.wait(waiting)
            self._looking.shutdown(cancel_futures=True)

    def _answer(self) -> None:
        while self._asked:
            what, arguments = self._asked.popleft()
            getattr(self, f"_{what}")(*arguments)

    # -- sessions ----------------------------------------------------------------------------------------------------

    def _host(self, session_name: str, display_name: str, port: int, clock_port: int, bind: str) -> None:
        where = bind, port, clock_port
        wish = HostOptions(session_name, display_name, *where, backend=self._backend, device=self._device)
        self._open(self._play_host(wish))

    def _join(self, address: str, display_name: str) -> None:
        try:
            where = parse_address(address)
        except ValueError as error:
            self._mailbox.put(Closed(str(error), failed=True))
            return
        wish = JoinOptions(where, display_name=display_name, backend=self._backend, device=self._device)
        self._open(self._play_peer(wish))

    def _open(self, session: Any) -> None:
        if self._session is not None and not self._session.done():
            session.close()
            self._mailbox.put(Closed("There is a session already.", failed=True))
            return
        self._session = asyncio.create_task(self._play(session))

    async def _play(self, session: Any) -> None:
        closed = Closed("", failed=False)
        try:
            ended: Ended = await session
            closed = Closed(notice_text(ended.reason), ended.failed)
        except PhaseLockError as error:
            log.error("%s", error)
            closed = Closed(str(error), failed=True)
        except asyncio.CancelledError:
            pass
        except Exception:
            log.exception("the session failed")
            closed = Closed("Something went wrong inside PhaseLock. The log tells more: phaselock log", failed=True)
        finally:
            self._stage = self._own_state = None
            if self._state_due:
                self._state_due.cancel()
                self._state_due = None
            self._mailbox.state = None
            self._mailbox.session_ns = lambda: None
            self._mailbox.put(closed)

    async def _play_host(self, wish: HostOptions) -> Ended:
        async with open_host_session(wish, self._store, self._heard) as stage:
            return await self._run_stage(stage)

    async def _play_peer(self, wish: JoinOptions) -> Ended:
        async with open_peer_session(wish, self._store, self._heard) as stage:
            return await self._run_stage(stage)

    async def _run_stage(self, stage: OpenHostSession | OpenPeerSession) -> Ended:
        self._stage = stage
        stage.runner.on_change = self._changed
        self._mailbox.session_ns = stage.runner.session_ns
        if isinstance(stage, OpenHostSession):
            self._tell_state()
            self._mailbox.put(Opened())
        return await stage.run()

    def _heard(self, event: Event) -> None:
        if isinstance(event, Joined) and not event.again:
            self._tell_state()
            self._mailbox.put(Opened())
        if not isinstance(event, SyncMeasured | QueueChanged):  # those are seen in the state
            self._mailbox.put(SessionEvent(event))
        self._changed(at_once=True)

    def _leave(self) -> None:
        stage = self._stage
        if isinstance(stage, OpenHostSession):
            stage.runner.command(c.Quit())
        elif stage is not None:
            stage.runner.command(c.Leave())
        elif self._session is not None:
            self._session.cancel()

    def _close(self) -> None:
        self._over.set()

    # -- the state ---------------------------------------------------------------------------------------------------

    def _changed(self, *, at_once: bool = False) -> None:
        if self._stage is None or (self._state_due is not None and not at_once):
            return
        loop = asyncio.get_running_loop()
        if self._state_due is not None:
            self._state_due.cancel()
        self._state_due = loop.call_later(AT_ONCE_S if at_once else STATE_EVERY_S, self._tell_state)

    def _tell_state(self) -> None:
        self._state_due = None
        if self._stage is not None:
            stage = self._stage
            hosting = isinstance(stage, OpenHostSession)
            now_s = asyncio.get_running_loop().time()
            status = stage.player.status()
            before = self._own_state
            if before is None or (before.playing, before.device_name, before.timing) != (
                status.playing,
                status.device_name,
                status.timing,
            ):
                self._own_at_s = 0.0
            if now_s >= self._own_at_s:
                self._own_at_s = now_s + OWN_EVERY_S
                self._own_state = self._own(stage)
            self._mailbox.state = SessionView(hosting, stage.address, stage.runner.snapshot(), self._own_state)

    def _own(self, stage: OpenHostSession | OpenPeerSession) -> LocalStatus:
        status, clock = stage.player.status(), stage.runner.clock_status()
        return LocalStatus(
            playing=status.playing,
            phase_error_ns=status.phase_error_ns,
            clock_uncertainty_ns=clock.uncertainty_ns,
            dac_uncertainty_ns=status.dac_uncertainty_ns,
            timing=status.timing,
            drift_ppm=clock.drift_ppm,
            correction_ppm=status.correction_ppm,
            rtt_ns=clock.rtt_ns,
            underruns=status.underruns,
            device_name=status.device_name,
            output_latency_ns=status.output_latency_ns,
            correction_ms=self._store.settings.corrections_ms.get(status.device_name or "", 0.0),
        )

    # -- in a session ------------------------------------------------------------------------------------------------

    def _command(self, command: c.HostCommand) -> None:
        if isinstance(self._stage, OpenHostSession):
            self._stage.runner.command(command)

    def _add(self, paths: Sequence[str]) -> None:
        if isinstance(self._stage, OpenHostSession):
            self._stage.intake.take(paths)

    def _request(self, path: str) -> None:
        if isinstance(self._stage, OpenPeerSession):
            self._stage.runner.request(pathlib.Path(path))

    def _set_volume(self, volume: float) -> None:
        if self._stage is not None:
            self._stage.player.set_volume(volume)

    def _set_correction_ms(self, correction_ms: float) -> None:
        if self._stage is not None:
            self._stage.player.set_correction_ms(correction_ms)
            device = self._stage.player.status().device_name
            if device:
                self._store.update(corrections_ms={device: correction_ms})
            self._own_state = None
            self._changed(at_once=True)

    def _reopen(self) -> None:
        if self._stage is not None:
            self._stage.player.reopen()

    # -- what takes a moment -----------------------------------------------------------------------------------------

    def _list_outputs(self) -> None:
        self._spawn(self._tell_outputs())

    async def _tell_outputs(self) -> None:
        outputs = await asyncio.to_thread(list_outputs)
        self._mailbox.put(Outputs(tuple(dict.fromkeys(one.name for one in outputs))))

    def _picture(self, file_id: UUID) -> None:
        path = self._stage.runner.path(file_id) if self._stage else None
        if path is not None:
            self._spawn(self._tell_picture(file_id, path))

    async def _tell_picture(self, file_id: UUID, path: pathlib.Path) -> None:
        artwork = await asyncio.get_running_loop().run_in_executor(None, read_artwork, path)
        self._mailbox.put(ArtworkRead(file_id, artwork.data if artwork else None))

    def _shape(self, file_id: UUID) -> None:
        path = self._stage.runner.path(file_id) if self._stage else None
        if path is not None:
            self._spawn(self._tell_shape(file_id, path))

    async def _tell_shape(self, file_id: UUID, path: pathlib.Path) -> None:
        shape = await asyncio.get_running_loop().run_in_executor(self._looking, self._look, file_id, path)
        if shape is not None:
            self._mailbox.put(shape)

    def _look(self, file_id: UUID, path: pathlib.Path) -> WaveformRead | None:
        """In a thread of its own."""
        try:
            found = analyse(path, inspect(path), cancelled=self._over.is_set)
        except PhaseLockError:
            return WaveformRead(file_id, None, b"", 1, 1)
        return (
            None if found is None else WaveformRead(file_id, found.peaks, found.bands, found.hop_frames, found.rate_hz)
        )

    def _browse(self, on: bool) -> None:
        if self._browsing is not None:
            self._browsing.cancel()
            self._browsing = None
        if on:
            self._browsing = self._spawn(self._tell_sessions())

    async def _tell_sessions(self) -> None:
        def tell(sessions: tuple[FoundSession, ...]) -> None:
            found = [
                Found(one.session_name, one.host_name, one.peers, one.max_peers, address_of(one), one.session_id)
                for one in sessions
                if one.addresses
            ]
            self._mailbox.put(FoundSessions(tuple(found)))

        browser = discovery.Browser()
        try:
            await browser.start(tell)
            await asyncio.Event().wait()
        except PhaseLockError as error:
            self._mailbox.put(FoundSessions((), str(error)))
        finally:
            await browser.close()

    def _spawn(self, work: Any) -> asyncio.Task[None]:
        task: asyncio.Task[None] = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task
