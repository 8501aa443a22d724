"""Sends the files of songs to phones that play along, slowly enough for the peers and the clock."""

from __future__ import annotations

import asyncio
import functools
import pathlib
from collections.abc import Callable

from phaselock.guests.connection import Connection
from phaselock.guests.limits import FILE_BURST_BYTES, FILE_BYTES_S, Bucket
from phaselock.guests.uploads import InWorker

CHUNK_BYTES = 64 << 10
MAX_FILES, MAX_FILES_OF_ADDRESS, MAX_FILES_OF_GUEST = 24, 6, 2
"""Most songs that are sent at once, in all, to one address and to one guest."""


class SongSender:
    """For the network thread. `in_worker` calls a function in a worker thread; `time_s` is a monotonic clock."""

    def __init__(self, in_worker: InWorker, time_s: Callable[[], float]) -> None:
        self._in_worker, self._time_s = in_worker, time_s
        self._bytes = Bucket(FILE_BYTES_S, FILE_BURST_BYTES)
        self._sending: list[tuple[bytes, str]] = []
        """The guest of each song that is being sent, and its address."""

    def is_busy(self, guest_id: bytes, ip: str) -> bool:
        """No further song may be sent to this guest at this address now."""
        of_guest = sum(one == guest_id for one, _ in self._sending)
        of_address = sum(one == ip for _, one in self._sending)
        return len(self._sending) >= MAX_FILES or of_address >= MAX_FILES_OF_ADDRESS or of_guest >= MAX_FILES_OF_GUEST

    async def send(self, connection: Connection, guest_id: bytes, path: pathlib.Path, size_bytes: int) -> None:
        """Answer a request with this file."""
        place = guest_id, connection.ip
        self._sending.append(place)
        try:
            try:
                file = await self._in_worker(functools.partial(open, path, "rb", buffering=0))
            except OSError:
                connection.reply_json(404, {"error": "not found"})
                return
            try:
                fields = {"Content-Type": "application/octet-stream", "Cache-Control": "private, max-age=86400"}
                connection.begin_reply(200, {**fields, "Content-Length": str(size_bytes)})
                while size_bytes:
                    data = await self._in_worker(file.read, min(size_bytes, CHUNK_BYTES))
                    if not data:
                        connection.abort("a song has become shorter")
                        return
                    size_bytes -= len(data)
                    if not await connection.send_part(data):
                        return
                    await asyncio.sleep(self._bytes.spend(len(data), self._time_s()))
                connection.end_reply()
            finally:
                await self._in_worker(file.close)
        finally:
            self._sending.remove(place)
