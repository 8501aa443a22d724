"""Connects an open session with the media keys and the "now playing" of the system (desktop/controls.py)."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import os
import pathlib
import random
import time
from collections.abc import Callable
from uuid import UUID

from phaselock.app.session import OpenHostSession, OpenPeerSession
from phaselock.desktop.controls import Action, Controls, NowPlaying
from phaselock.errors import InternalError, bug_net
from phaselock.frozen import frozen
from phaselock.language.catalogue import tr
from phaselock.model.snapshot import RequestState
from phaselock.session import commands as c
from phaselock.session.events import Event, RequestChanged
from phaselock.session.sentences import song_text
from phaselock.storage.paths import cover_dir
from phaselock.storage.settings import SettingsStore
from phaselock.storage.tags import read_artwork, read_tags

UPDATE_AFTER_S = 0.05
"""Time from an event to an update; events that follow each other quickly share one update."""


@frozen
class Actions:
    """What the program does for the system: end, bring its window to the front (None: it has none), and show a volume
    of 0 to 1 that was set. `notifies` tells whether the user needs a notification of a request."""

    end: Callable[[], object]
    notifies: Callable[[], bool]
    come_to_front: Callable[[], object] | None = None
    volume_changed: Callable[[float], object] = lambda volume: None


class MediaControls:
    """For the network thread. `window` is the native handle of the window, 0 without one. With `on` False it does
    nothing."""

    def __init__(
        self,
        session: OpenHostSession | OpenPeerSession,
        store: SettingsStore,
        actions: Actions,
        *,
        window: int = 0,
        on: bool = True,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._session = session
        self._store = store
        self._actions = actions
        self._track: UUID | None = None
        self._details = "", ""
        """Album and address of the cover of the track."""
        self._update_due: asyncio.TimerHandle | None = None
        self._closed = False
        self._reading: asyncio.Task[None] | None = None
        self._controls = Controls(self._post, window, on=on)
        self.changed()

    def use(self, session: OpenHostSession | OpenPeerSession) -> None:
        """This machine has another role in the session from now on."""
        self._session = session
        self.changed()

    def tell(self, event: Event) -> None:
        """Show what an event changes, and notify the user of a request."""
        self.changed()
        if isinstance(event, RequestChanged) and event.request.peer and event.request.state is RequestState.OPEN:
            if self._actions.notifies():
                request = event.request
                self._controls.notify(
                    self._session.runner.snapshot().session_name,
                    tr('{peer} wants to add "{song}".').format(
                        peer=request.peer, song=song_text(request.title, request.artist, request.file_name)
                    ),
                )

    def changed(self) -> None:
        """The session may have changed: show that soon."""
        if self._controls.active and self._update_due is None and not self._closed:
            self._update_due = self._loop.call_later(UPDATE_AFTER_S, self._update)

    async def aclose(self) -> None:
        """Withdraw everything from the desktop."""
        self._closed = True
        if self._update_due is not None:
            self._update_due.cancel()
        if self._reading is not None:
            self._reading.cancel()
        if self._controls.active:
            await asyncio.to_thread(self._controls.close)
            await asyncio.to_thread(_remove_covers)

    # -- showing ----------------------------------------------------------------------------------------------------

    def _update(self) -> None:
        self._update_due = None
        with contextlib.suppress(InternalError), bug_net("the media keys"):
            self._controls.show(self._now_playing())

    def _now_playing(self) -> NowPlaying:
        runner = self._session.runner
        snapshot, session_ns = runner.snapshot(), runner.session_ns()
        hosting = isinstance(self._session, OpenHostSession)
        line, item = snapshot.timeline, snapshot.now
        common = NowPlaying(
            "Stopped",
            round(self._store.settings.audible_volume, 3),
            repeat=snapshot.repeat,
            shuffle=snapshot.shuffle,
            can_control=hosting,
            can_play=hosting and bool(snapshot.queue),
            can_raise=self._actions.come_to_front is not None,
        )
        if line is None or item is None:
            return common
        if item.id != self._track:
            self._track, self._details = item.id, ("", "")
            path = runner.path(item.id)
            if path is not None and self._controls.active:
                if self._reading is not None:
                    self._reading.cancel()
                self._reading = self._loop.create_task(self._read_details(item.id, path))
        frame = line.anchor_frame if session_ns is None else line.frame_at(session_ns)
        return dataclasses.replace(
            common,
            status="Playing" if line.stop_session_ns is None else "Paused",
            track=item.id.hex,
            title=item.title or pathlib.PurePath(item.file_name).stem,
            artist=item.artist,
            album=self._details[0],
            art_url=self._details[1],
            duration_s=item.duration_secs,
            position_s=frame / line.rate_hz,
            at_s=time.monotonic(),
        )

    async def _read_details(self, track: UUID, path: pathlib.Path) -> None:
        details = "", ""
        with contextlib.suppress(InternalError), bug_net("the tags of the song"):
            details = await asyncio.to_thread(_details, track, path)
        if self._track == track:
            self._details = details
            self.changed()

    # -- acting -----------------------------------------------------------------------------------------------------

    def _post(self, action: Action, value: float) -> None:
        """On the thread of the controls."""
        with contextlib.suppress(RuntimeError):  # the loop is closed: the program ends
            self._loop.call_soon_threadsafe(self._act, action, value)

    def _act(self, action: Action, value: float) -> None:
        with contextlib.suppress(InternalError), bug_net("a media key"):
            if action is Action.RAISE:
                if self._actions.come_to_front is not None:
                    self._actions.come_to_front()
            elif action is Action.QUIT:
                self._actions.end()
            elif action is Action.VOLUME:
                self._store.update(volume=value, muted=False)
                self._session.player.set_volume(self._store.settings.audible_volume)
                self._actions.volume_changed(value)
            elif isinstance(self._session, OpenHostSession):
                command = self._command(action, value)
                if command is not None:
                    self._session.runner.command(command)
            self.changed()

    def _command(self, action: Action, value: float) -> c.HostCommand | None:
        """The host's command for an action; None if there is nothing to do, as when a playing song should play."""
        snapshot = self._session.runner.snapshot()
        line = snapshot.timeline
        playing = line is not None and line.stop_session_ns is None
        match action:
            case Action.PLAY | Action.PLAY_PAUSE if not playing:
                return c.Play()
            case Action.PAUSE | Action.PLAY_PAUSE if playing:
                return c.Pause()
            case Action.STOP if line is not None:
                return c.Stop()
            case Action.NEXT:
                return c.Next()
            case Action.PREVIOUS:
                return c.Previous()
            case Action.SEEK if line is not None:
                return c.Seek(value)
            case Action.REPEAT:
                return c.Repeat(bool(value))
            case Action.SHUFFLE if bool(value) != snapshot.shuffle:
                return c.Shuffle(random.getrandbits(64) if value else None)
        return None


def _details(track: UUID, path: pathlib.Path) -> tuple[str, str]:
    """Album of a song, and the address of a file with its cover. Blocks."""
    album, artwork, address = read_tags(path).album, read_artwork(path), ""
    _remove_covers()
    if artwork is not None:
        cover = cover_dir() / f"{track.hex}.{os.getpid()}"
        with contextlib.suppress(OSError):
            cover.parent.mkdir(parents=True, exist_ok=True)
            cover.write_bytes(artwork.data)
            address = cover.as_uri()
    return album, address


def _remove_covers() -> None:
    """Remove the covers that this process has written."""
    with contextlib.suppress(OSError):
        for cover in cover_dir().glob(f"*.{os.getpid()}"):
            cover.unlink()
