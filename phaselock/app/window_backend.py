"""The network thread's half of the window's program: at most one session at a time, and the window's requests.

network   runs the asyncio loop and every method here, except `run` before the loop
look      decodes whole tracks, one after the other (app/analyser.py)
covers    one worker; reads artwork, which another process decodes (app/cover_decoder.py)
library   one worker; searches in the music folder (app/library.py). "music folder" waits for the process that reads it
default   the loop's workers; list the sound outputs and inputs
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import dataclasses
import logging
import pathlib
from collections.abc import Callable, Coroutine, Sequence
from typing import TYPE_CHECKING, Any
from uuid import UUID

from phaselock.app.analyser import Analyser
from phaselock.app.cover_decoder import CoverDecoder
from phaselock.app.finding import address_of, rivals_text
from phaselock.app.library import MusicFolder
from phaselock.app.media_controls import Actions, MediaControls
from phaselock.app.options import HostOptions, JoinOptions
from phaselock.app.output_correction import OutputCorrection
from phaselock.app.queue_files import QueueKeeper, save_queue
from phaselock.app.session import OpenHostSession, OpenPeerSession, Stage
from phaselock.app.show_file import show_file
from phaselock.app.succession import take_part
from phaselock.app.window_guests import GuestPageSwitch, host_view
from phaselock.app.window_joins import Joins
from phaselock.audio import device
from phaselock.errors import InternalError, PhaseLockError, bug_net
from phaselock.language.catalogue import current, tr
from phaselock.model.key_words import key_words
from phaselock.model.notices import Code, Notice
from phaselock.model.role import Role
from phaselock.network import discovery
from phaselock.network.listener import PortTaken
from phaselock.network.runner import log_failure
from phaselock.network.service_record import FoundSession
from phaselock.session import commands as c
from phaselock.session.events import Event, Joined, QueueChanged, SyncMeasured, VolumeSet, Warned
from phaselock.storage import log as log_storage
from phaselock.storage.last_queue import load_last_queue
from phaselock.storage.paths import last_queue_path, log_path
from phaselock.storage.settings import SettingsStore
from phaselock.ui.backend import (
    ArtworkRead,
    Asked,
    BackendEvent,
    Closed,
    Found,
    FoundSessions,
    FoundSong,
    FoundSongs,
    Inputs,
    LastQueue,
    LocalStatus,
    Opened,
    Outputs,
    QueueSaved,
    SessionClock,
    SessionEvent,
    SessionView,
    WaveformRead,
)

if TYPE_CHECKING:
    from phaselock.network.host import HostRunner

VIEW_INTERVAL_S = 0.18
"""Time between two views; below 0.2 s, because the window must get its clock map at least five times a second."""
VIEW_AFTER_EVENT_S = 0.02
"""Time from an event to the next view; events that follow each other quickly share one view."""
LOCAL_STATUS_INTERVAL_S = 1.0
"""Time between two readings of `LocalStatus`: its numbers must stay long enough to be read."""
TIMEOUT_LOG_S = 0.5
"""How long the start waits for the log file, to report that it cannot be written."""

log = logging.getLogger("phaselock.app.window_backend")


class WindowBackend:
    """`run` is the network thread; all other public methods are called on its loop.

    The constructor runs on the GUI thread. After it only the network thread reads and writes the attributes, with two
    exceptions: the GUI thread waits for `loop`, and a worker reads `_over` (`Event.is_set`). `emit` and `show` deliver
    to the GUI thread and may be called on any thread. `presence`: whether the window has the keyboard, and its native
    handle.
    """

    def __init__(
        self,
        store: SettingsStore,
        backend: str,
        device_name: str | None,
        *,
        emit: Callable[[BackendEvent], None],
        show: Callable[[SessionView | None], None],
        presence: Callable[[], tuple[bool, int]] = lambda: (True, 0),
    ) -> None:
        self._store = store
        self._backend, self._device_name = backend, device_name
        self._emit, self._show = emit, show
        self._presence = presence
        self._controls: MediaControls | None = None
        self.loop: concurrent.futures.Future[asyncio.AbstractEventLoop] = concurrent.futures.Future()
        self._open: OpenHostSession | OpenPeerSession | None = None
        self._keeper: QueueKeeper | None = None
        self._session: asyncio.Task[None] | None = None
        self._browsing: asyncio.Task[None] | None = None
        self._found: dict[str, FoundSession] = {}
        """The sessions that discovery shows, by the address that the window shows."""
        self._joins = Joins()
        self._shown: Stage | None = None
        """The one that the window shows. A machine that was the host shows its last view until it has joined the next
        one."""
        self._view_due: asyncio.TimerHandle | None = None
        self._page = GuestPageSwitch()
        self._local_status: LocalStatus | None = None
        self._local_status_due_s = 0.0
        self._over = asyncio.Event()
        self.leaves_others = False
        """The window is closed, and the machines of the session are asked in turn to be the host. For any thread."""
        self._log_file: log_storage.Log | None = None
        self._covers = CoverDecoder()
        self._tasks: set[asyncio.Task[None]] = set()

    def run(self) -> None:
        """Run the network thread until `close` is called."""
        log_file = self._log_file = log_storage.start(log_path(), None)
        try:
            with asyncio.Runner() as runner:
                self.loop.set_result(runner.get_loop())
                if log_file.wait_flushed(TIMEOUT_LOG_S) and log_file.problem:
                    self._emit(SessionEvent(Warned(None, Notice(Code.LOG_TROUBLE, log_file.problem))))
                runner.run(self._run())
        finally:
            log_file.close()

    def write_log(self) -> None:
        """Write the log to its end. For the GUI thread, before it ends the process although this thread hangs."""
        if self._log_file is not None:
            self._log_file.close()

    async def _run(self) -> None:
        try:
            await self._over.wait()
        finally:
            if isinstance(self._open, OpenHostSession):
                self.leaves_others = True
                self._open.runner.command(c.Leave())
            else:
                self.leave()
            self.browse(False)
            self._covers.close()
            waiting = [task for task in (self._session, *self._tasks) if task is not None]
            if waiting:
                await asyncio.wait(waiting)

    # -- requests of the window: see `ui.backend.Program` ------------------------------------------------------------

    def host(
        self,
        session_name: str,
        display_name: str,
        port: int,
        clock_port: int,
        max_peers: int | None,
        bind: str,
        code: str,
    ) -> None:
        options = HostOptions(
            session_name,
            display_name,
            bind,
            port,
            clock_port,
            max_peers,
            backend=self._backend,
            device=self._device_name,
            code=code,
        )
        self._start_session(options)

    def join(self, address: str, display_name: str, code: str | None) -> None:
        try:
            options = self._joins.attempt(
                address, self._found.get(address), display_name, code, self._backend, self._device_name
            )
        except ValueError as error:
            self._emit(Closed(tr(str(error)), failed=True))
        else:
            self._start_session(options)

    def leave(self) -> None:
        if isinstance(self._open, OpenHostSession):
            self._open.runner.command(c.Quit())
        elif self._open is not None:
            self._open.runner.command(c.Leave())
        elif self._session is not None:
            self._session.cancel()

    def browse(self, on: bool) -> None:
        if self._browsing is not None:
            self._browsing.cancel()
            self._browsing = None
        if on:
            self._browsing = self._spawn(self._browse())

    def command(self, command: c.HostCommand) -> None:
        if isinstance(self._open, OpenHostSession):
            self._open.runner.command(command)

    def peer_command(self, command: c.PeerCommand) -> None:
        if isinstance(self._open, OpenPeerSession):
            self._open.runner.command(command)
            self._show_soon()

    def say(self, text: str) -> None:
        if self._open is not None:
            self._open.runner.command(c.Say(text))
            self._show_soon()

    def party_command(self, command: c.VoteFor | c.WantSkip) -> None:
        if self._open is not None:
            self._open.runner.command(command)
            self._show_soon()

    def use_outside_address(self, address: str) -> None:
        if isinstance(self._open, OpenHostSession):
            self._open.outside.use(address)

    def show_guest_page(self, on: bool) -> None:
        if isinstance(self._open, OpenHostSession):
            page = self._open.guest_page
            self._spawn(self._page.change(page.switch_on if on else page.switch_off))

    def renew_guest_page(self) -> None:
        if isinstance(self._open, OpenHostSession):
            self._spawn(self._page.change(self._open.guest_page.new_secret))

    def set_fallback(self, path: str) -> None:
        if isinstance(self._open, OpenHostSession):
            if path:
                self._open.fallback.use([path])
            else:
                self._open.fallback.end()
            self._show_soon()

    def add(self, paths: Sequence[str]) -> None:
        if isinstance(self._open, OpenHostSession):
            self._open.intake.take(paths)

    def cancel_conversion(self) -> None:
        if isinstance(self._open, OpenHostSession):
            self._open.intake.cancel_conversion()

    def read_last_queue(self) -> None:
        self._spawn(self._read_last_queue())

    def read_library(self) -> None:
        if isinstance(self._open, OpenHostSession):
            self._emit(SessionEvent(self._open.music.status))

    def use_library(self) -> None:
        """Search in the music folder of the settings, which have changed."""
        if isinstance(self._open, OpenHostSession):
            folder = self._store.settings.music_folder
            self._open.music.use(pathlib.Path(folder) if folder else None)

    def search_library(self, text: str) -> None:
        if isinstance(self._open, OpenHostSession):
            self._spawn(self._search_library(self._open.music, text))

    def add_from_library(self, song_id: int) -> None:
        if isinstance(self._open, OpenHostSession):
            self._spawn(self._add_from_library(self._open, song_id))

    def save_queue(self, path: str) -> None:
        if isinstance(self._open, OpenHostSession):
            self._spawn(self._save_queue(self._open.runner, path))

    def show_in_folder(self, file_id: UUID) -> None:
        if isinstance(self._open, OpenHostSession):
            path = self._open.runner.origin(file_id)
        else:
            path = self._open.runner.path(file_id) if self._open else None
        if path is not None:
            show_file(path)

    def request(self, path: str) -> None:
        if isinstance(self._open, OpenPeerSession):
            self._open.runner.request(pathlib.Path(path))

    def set_volume(self, volume: float) -> None:
        if self._open is not None:
            self._open.player.set_volume(volume)

    def set_role(self, role: Role) -> None:
        if self._open is not None:
            self._open.player.set_role(role)

    def set_correction_ms(self, correction_ms: float) -> None:
        self._correct(lambda correction: correction.set_ms(correction_ms))

    def forget_calibration(self) -> None:
        self._correct(lambda correction: correction.forget())

    def use_calibration(self) -> None:
        self._correct(lambda correction: correction.use_anyway())

    def _correct(self, change: Callable[[OutputCorrection], None]) -> None:
        """Change the correction of the open output, and show it."""
        if self._open is not None:
            change(self._open.correction)
            self._local_status = None
            self._show_soon()

    def forget_trim(self) -> None:
        device = self._open.player.status().device_name if self._open is not None else None
        if self._open is not None and device:
            self._store.update(trims_db={device: 0.0})
            self._open.player.set_trim_db(0.0)
            self._local_status = None
            self._show_soon()

    def reopen_output(self) -> None:
        """Play on the output of the settings, which have changed."""
        if self._open is not None:
            self._open.player.reopen()

    def list_outputs(self) -> None:
        self._spawn(self._list_outputs())

    def list_inputs(self) -> None:
        self._spawn(self._list_inputs())

    def read_artwork(self, file_id: UUID, size: int, crop: bool) -> None:
        path = self._open.runner.path(file_id) if self._open else None
        if path is not None:
            self._spawn(self._read_artwork(file_id, path, size, crop))

    def read_waveform(self, file_id: UUID) -> None:
        path = self._open.runner.path(file_id) if self._open else None
        if self._open is not None and path is not None:
            self._spawn(self._read_waveform(file_id, path, self._open.analyser))

    def close(self) -> None:
        self._over.set()

    # -- the session -------------------------------------------------------------------------------------------------

    def _start_session(self, wish: HostOptions | JoinOptions) -> None:
        if self._session is not None and not self._session.done():
            self._emit(Closed(tr("There is a jam already."), failed=True))
        else:
            self._session = asyncio.create_task(self._run_session(wish))

    async def _run_session(self, wish: HostOptions | JoinOptions) -> None:
        closed = Closed("", failed=False)
        try:
            with bug_net("the session", PhaseLockError):
                try:
                    ended = await take_part(wish, self._store, self._on_event, self._present)
                finally:
                    if self._controls is not None:
                        await self._controls.aclose()
                    if self._keeper is not None:
                        await self._keeper.close()
                if isinstance(self._open, OpenPeerSession):
                    self._joins.left(self._open.address, self._open.runner.told_places)
                reason, why = self._joins.reason(ended)
                closed = Closed(reason, ended.failed, why=why)
        except PhaseLockError as error:
            log.error("%s", error)
            port = error.port if isinstance(error, PortTaken) else None
            closed = Closed(error.text(current()), failed=True, taken_port=port)
        except asyncio.CancelledError:
            pass
        finally:
            self.leaves_others = False
            self._open = self._shown = self._local_status = self._keeper = self._controls = None
            self._page = GuestPageSwitch()
            if self._view_due:
                self._view_due.cancel()
                self._view_due = None
            self._show(None)
            self._emit(closed)

    async def _present(self, stage: Stage) -> None:
        """The session is open, or this machine has another role in it from now on."""
        begins, self._open = self._open is None, stage
        self._page = GuestPageSwitch()
        if self._controls is None:
            self._controls = self._media_controls(stage)
        else:
            self._controls.use(stage)
        if self._keeper is not None:
            await self._keeper.close()
            self._keeper = None
        if isinstance(stage, OpenHostSession):
            self._show_stage()
            if begins:  # a host that has taken over does not keep the songs of others
                self._keeper = QueueKeeper(stage.runner, last_queue_path())
                if self._store.settings.fallback:
                    stage.fallback.use([self._store.settings.fallback])

    def _show_stage(self) -> None:
        """Let the window show the screen of this stage."""
        self._shown = self._open
        self._show_view()
        self._emit(Opened())

    def _media_controls(self, session: OpenHostSession | OpenPeerSession) -> MediaControls:
        actions = Actions(
            end=lambda: self._emit(Asked("quit")),
            notifies=lambda: not self._presence()[0],
            come_to_front=lambda: self._emit(Asked("raise")),
            volume_changed=lambda volume: self._emit(SessionEvent(VolumeSet(None, round(100 * volume), False))),
        )
        return MediaControls(session, self._store, actions, window=self._presence()[1])

    def _on_event(self, event: Event) -> None:
        if isinstance(event, Joined) and not event.again and isinstance(self._open, OpenPeerSession):
            self._joins.joined(self._open.address, event.session_name)
        if isinstance(event, Joined) and self._shown is not self._open:
            self._show_stage()
        if isinstance(event, QueueChanged) and self._keeper is not None:
            self._keeper.changed()
        if not isinstance(event, SyncMeasured | QueueChanged):  # the view contains their data
            self._emit(SessionEvent(event))
        if self._controls is not None:
            self._controls.tell(event)
        self._show_soon()

    # -- the view ----------------------------------------------------------------------------------------------------

    def _show_soon(self) -> None:
        if self._open is not None:
            self._show_in(VIEW_AFTER_EVENT_S)

    def _show_in(self, delay_s: float) -> None:
        """Show a view after `delay_s`, or at the time that is set already if that is earlier."""
        loop = asyncio.get_running_loop()
        if self._view_due is not None:
            if self._view_due.when() <= loop.time() + delay_s:
                return
            self._view_due.cancel()
        self._view_due = loop.call_later(delay_s, self._show_view)

    def _show_view(self) -> None:
        if self._view_due is not None:
            self._view_due.cancel()
            self._view_due = None
        if self._open is not None and self._shown in (None, self._open):
            self._show_in(VIEW_INTERVAL_S)
            status = self._read_local_status(self._open)
            snapshot, clock = self._open.runner.snapshot(), _session_clock(self._open)
            view = SessionView(False, self._open.address, snapshot, status, clock)
            if isinstance(self._open, OpenHostSession):
                view = host_view(view, self._open, self._page.problem)
            else:
                view = dataclasses.replace(view, host_words=key_words(self._open.runner.host_key))
            self._show(view)

    def _read_local_status(self, session: OpenHostSession | OpenPeerSession) -> LocalStatus:
        """A new one every LOCAL_STATUS_INTERVAL_S, and when the output or `playing` has changed."""
        now_s, before = asyncio.get_running_loop().time(), self._local_status
        status = session.player.status()
        if before is not None and now_s < self._local_status_due_s:
            shown = before.playing, before.device_name, before.timing
            if shown == (status.playing, status.device_name, status.timing):
                return before
        clock = session.runner.clock_status()
        self._local_status_due_s = now_s + LOCAL_STATUS_INTERVAL_S
        self._local_status = LocalStatus(
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
            correction_ms=self._store.settings.correction_ms(status.device_name),
            calibration=session.correction.view(),
            trim_db=status.trim_db,
            least_rtt_ns=clock.least_rtt_ns,
        )
        return self._local_status

    # -- slow work ---------------------------------------------------------------------------------------------------

    async def _list_outputs(self) -> None:
        outputs: Sequence[device.ListedOutput] = ()
        with contextlib.suppress(InternalError), bug_net("listing the outputs"):
            outputs = await asyncio.to_thread(device.list_outputs)
        self._emit(Outputs(tuple(dict.fromkeys(one.name for one in outputs))))

    async def _list_inputs(self) -> None:
        from phaselock.audio.microphone import list_inputs  # late: most sessions need no microphone

        names: Sequence[str] = ()
        with contextlib.suppress(PhaseLockError), bug_net("listing the inputs", PhaseLockError):
            names = await asyncio.to_thread(list_inputs)
        self._emit(Inputs(tuple(names)))

    async def _read_last_queue(self) -> None:
        self._emit(LastQueue(await asyncio.to_thread(load_last_queue, last_queue_path())))

    async def _search_library(self, music: MusicFolder, text: str) -> None:
        with contextlib.suppress(InternalError), bug_net("a search in the music folder"):
            found = await music.search(text)
            rows = [
                FoundSong(one.song_id, one.title, one.artist, one.album, one.duration_secs, one.file_name)
                for one in found
            ]
            self._emit(FoundSongs(text, tuple(rows)))

    async def _add_from_library(self, session: OpenHostSession, song_id: int) -> None:
        with contextlib.suppress(InternalError), bug_net("adding a song of the music folder"):
            if (song := await session.music.song(song_id)) is not None:
                session.intake.take([str(song.path)])

    async def _save_queue(self, runner: HostRunner, path: str) -> None:
        target = pathlib.Path(path)
        try:
            self._emit(QueueSaved(*await save_queue(runner, target, may_replace=target), ""))
        except FileExistsError as there:  # the dialog has asked about the name without the ending
            form = tr("There is a file {file_name} already. To replace it, choose it by its whole name.")
            self._emit(QueueSaved(target.name, 0, form.format(file_name=there)))
        except PhaseLockError as error:
            self._emit(QueueSaved(target.name, 0, error.text(current())))

    async def _read_artwork(self, file_id: UUID, path: pathlib.Path, size: int, crop: bool) -> None:
        ppm = None
        with contextlib.suppress(InternalError), bug_net("reading artwork"):
            ppm = await self._covers.read(path, size, crop=crop)
        self._emit(ArtworkRead(file_id, size, crop, ppm))

    async def _read_waveform(self, file_id: UUID, path: pathlib.Path, analyser: Analyser) -> None:
        try:
            found = await analyser.analysis(path)
        except PhaseLockError:
            self._emit(WaveformRead(file_id, None, b"", 1, 1))
            return
        if found is not None:
            self._emit(WaveformRead(file_id, found.peaks, found.bands, found.hop_frames, found.rate_hz))

    async def _browse(self) -> None:
        def on_change(sessions: tuple[FoundSession, ...]) -> None:
            self._found = {}
            for one in sessions:
                # Two sessions cannot be at one address: which of them is, only the answer shows.
                twin = address_of(one) in self._found
                self._found[address_of(one)] = dataclasses.replace(one, session_id="") if twin else one
            found = [
                Found(
                    one.session_name,
                    one.host_name,
                    one.peers,
                    one.max_peers,
                    address_of(one),
                    one.session_id,
                    one.needs_code,
                    conflict.translated(current()) if (conflict := rivals_text(one)) else "",
                    bool(self._joins.codes.get(address_of(one))),
                )
                for one in sessions
                if one.addresses
            ]
            self._emit(FoundSessions(tuple(found)))

        browser = discovery.Browser()
        try:
            with bug_net("the search for sessions", PhaseLockError):
                await browser.start(on_change)
                await asyncio.Event().wait()
        except PhaseLockError as error:
            self._emit(FoundSessions((), error.text(current())))
        finally:
            await browser.close()

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        task.add_done_callback(log_failure)
        return task


def _session_clock(session: OpenHostSession | OpenPeerSession) -> SessionClock | None:
    if session.runner.session_ns() is None:
        return None
    clock_map = session.clock_map.value()
    return SessionClock(clock_map.local_ns, clock_map.offset_ns, clock_map.drift)
