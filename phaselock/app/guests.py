"""Switches the page for guests on and off while a session runs. See phaselock/guests, which is imported only then."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import gc
import logging
import os
import pathlib
import socket
import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from phaselock.errors import PhaseLockError, bug_net
from phaselock.model.address import DEFAULT_GUEST_PORT, origin
from phaselock.model.heritage import Heritage
from phaselock.network.interfaces import usable_addresses
from phaselock.network.listener import PortTaken, bind
from phaselock.session.events import Event, Failed, GuestPageSet
from phaselock.session.person_keys import GUEST_PREFIX
from phaselock.session.sentences import notice_of
from phaselock.storage.cache import FileCache
from phaselock.storage.files import replace_file

if TYPE_CHECKING:
    from phaselock.app.cover_decoder import CoverDecoder
    from phaselock.guests.jam import Songs
    from phaselock.guests.server import GuestServer
    from phaselock.network.host import HostRunner

SECRET_BYTES = 16
SECRET_AGE_S = 12 * 3600.0
"""A secret is used again by a session that begins within this time after the last one: a host that was restarted does
not lose its guests."""
PICTURE_SIZE = 240
"""Of the pictures of songs, in pixels."""

_log = logging.getLogger("phaselock.app.guests")


class GuestPage:
    """The page of one session. For the network thread."""

    def __init__(
        self,
        runner: HostRunner,
        cache: FileCache,
        secret_path: pathlib.Path,
        on_event: Callable[[Event], None],
        *,
        bind_to: str = "",
        port: int | None = None,
        heritage: Heritage | None = None,
    ) -> None:
        """`port` None: DEFAULT_GUEST_PORT; 0: any. `heritage`: of the host before this one; its page goes on here, with
        its secret, which is not kept for later sessions."""
        self._runner = runner
        self._cache = cache
        self._secret_path = secret_path
        self._on_event = on_event
        self._bind_to = bind_to
        self._port = DEFAULT_GUEST_PORT if port is None else port
        self._server: GuestServer | None = None
        self._covers: CoverDecoder | None = None
        self._switching = asyncio.Lock()
        self._inherited = heritage.settings.hosting.page_secret if heritage is not None else None
        self._removed = [one for one in heritage.guests if one.removed] if heritage is not None else []
        self.address = ""
        """As people type it, such as "http://192.168.1.20:17403"; empty: the page is off."""
        self.songs: Callable[[], Songs | None] = lambda: None
        """The host's library, if there is one at present."""

    @property
    def link(self) -> str:
        """For a camera: the address with the page's secret; empty: the page is off."""
        return f"{self.address}/#{self._server.access.secret}" if self._server is not None else ""

    async def switch_on(self) -> None:
        """Serve the page. An event tells its address. PortTaken if the port is in use, PhaseLockError for every other
        failure."""
        async with self._switching:
            if self._server is None:
                await self._start()
        self.tell()

    async def go_on(self) -> None:
        """Serve the page of the host before this one, if it had one. An event tells its address, or why not."""
        if self._inherited is None:
            return
        try:
            with bug_net("the page for guests", PhaseLockError):
                await self.switch_on()
        except PhaseLockError as error:
            _log.warning("the page for guests does not go on: %s", error)
            self._on_event(Failed(self._runner.session_ns(), notice_of(error)))

    async def switch_off(self) -> None:
        """Close all pages and stop serving. An event tells it."""
        await self.close()
        self.tell()

    async def close(self) -> None:
        """The same without the event. No effect if it is off."""
        async with self._switching:
            server, self._server = self._server, None
            if server is None:
                return
            self.address = ""
            self._runner.guest_server = None
            self._tell_heirs(page_secret=None)
            await server.close()
            gc.unfreeze()
            if self._covers is not None:
                self._covers.close()
                self._covers = None
            if self._inherited is not None:
                self._inherited = None if server.had_removed else self._inherited
            elif server.had_removed:
                await asyncio.to_thread(_forget_secret, self._secret_path)
            else:
                await asyncio.to_thread(_touch, self._secret_path)

    async def new_secret(self) -> None:
        """Give the page a new secret: those who came in by the old one must come in again. No effect if it is off."""
        async with self._switching:
            if self._server is None:
                return
            secret, self._inherited = os.urandom(SECRET_BYTES), None
            self._server.change_secret(secret)
            self._tell_heirs(page_secret=secret)
            await asyncio.to_thread(_keep_secret, self._secret_path, secret)
        self.tell()

    def tell(self) -> None:
        """Tell an event about the present state."""
        self._on_event(GuestPageSet(self._runner.session_ns(), self.address, self.link))

    async def _start(self) -> None:
        from phaselock.app.cover_decoder import CoverDecoder  # late: a session without guests does not need them
        from phaselock.guests.access import Access, Removed
        from phaselock.guests.server import GuestServer
        from phaselock.guests.static import read_page

        listener = self._listen()
        try:
            secret = self._inherited
            if secret is None:
                secret = await asyncio.to_thread(_kept_secret, self._secret_path)
            access = Access(secret)
            for one in self._removed:
                access.remove(Removed(one.guest_id, frozenset({one.key.removeprefix(GUEST_PREFIX)})))
            files = await asyncio.to_thread(read_page)
            addresses = await asyncio.to_thread(usable_addresses, self._bind_to)
            name = socket.gethostname()
            self._covers = CoverDecoder()
            server = GuestServer(
                self._runner,
                access,
                files,
                self._cache,
                names=(name, f"{name}.local"),
                read_art=_art_reader(self._covers),
                now_ns=self._runner.session_ns,
                songs=lambda: self.songs(),
            )
            await server.start(listener)
        except BaseException:
            listener.close()
            if self._covers is not None:
                self._covers.close()
                self._covers = None
            raise
        ip = self._bind_to or (addresses[0] if addresses else name)
        port = listener.getsockname()[1]
        self.address = origin(ip, port)
        self._server = self._runner.guest_server = server
        # The objects of a crowd let the garbage collector look at all objects, for tens of milliseconds of the network
        # thread. Leave out those that are there before it comes.
        gc.freeze()
        self._tell_heirs(page_secret=secret, page_port=port)
        _log.info("the guests' page is at %s", self.address)

    def _listen(self) -> socket.socket:
        """A page that goes on at another host takes any port if that of the phones is in use."""
        try:
            return bind(self._bind_to, self._port, socket.SOCK_STREAM)
        except PortTaken:
            if self._inherited is None:
                raise
            return bind(self._bind_to, 0, socket.SOCK_STREAM)

    def _tell_heirs(self, **changes: Any) -> None:
        """The next host goes on with the page if it has a secret."""
        self._runner.hosts_with(dataclasses.replace(self._runner.hosting, **changes))


def _art_reader(covers: CoverDecoder) -> Callable[[pathlib.Path], Awaitable[bytes | None]]:
    from phaselock.storage.pictures import png_of_ppm

    async def read(path: pathlib.Path) -> bytes | None:
        ppm = await covers.read(path, PICTURE_SIZE, crop=True)
        return await asyncio.to_thread(png_of_ppm, ppm) if ppm is not None else None

    return read


def _kept_secret(path: pathlib.Path) -> bytes:
    """The secret of the last session if it is recent, else a new one. Blocks."""
    with contextlib.suppress(OSError):
        secret = path.read_bytes()
        if len(secret) == SECRET_BYTES and time.time() - path.stat().st_mtime < SECRET_AGE_S:
            return secret
    secret = os.urandom(SECRET_BYTES)
    _keep_secret(path, secret)
    return secret


def _keep_secret(path: pathlib.Path, secret: bytes) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        replace_file(path, secret)
    except OSError as error:
        _log.warning("the secret of the guests' page cannot be kept in %s: %s", path, error)


def _forget_secret(path: pathlib.Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        _log.warning("the secret of the guests' page cannot be removed from %s: %s", path, error)


def _touch(path: pathlib.Path) -> None:
    with contextlib.suppress(OSError):
        os.utime(path)
