"""The process that plays a crowd of guests at a host's page: one thread with one event loop.

It reads the page's port and secret as one line of JSON from its standard input, and answers with one line when it is
ready. The line "begin" lets the crowd in. "end" sends it away; then the process writes its counts. It ends when its
standard input ends.
"""

from __future__ import annotations

import asyncio
import collections
import contextlib
import itertools
import json
import signal
import sys
import uuid
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from phaselock.bench.lab.guest_client import GuestClient

ADDRESSES = [f"127.67.0.{number}" for number in range(1, 51)]
PAGES, HTTP_CLIENTS, UPLOADS = 140, 50, 10
"""200 connections."""
REQUESTS_S = 2000
"""Requests and messages that all of them together try to send in a second."""
UPLOAD_BYTES, UPLOAD_STEP_BYTES, UPLOAD_EVERY_S = 4_000_000, 512, 0.5
"""A slow upload sends this step each time."""
AGAIN_S = 0.5
"""A guest whose connection is closed comes again after this time."""
LOST = (OSError, ValueError, KeyError, TimeoutError)
Counts = collections.Counter[str]


class Crowd:
    """All guests."""

    def __init__(self, port: int, secret: str, counts: Counts) -> None:
        self._port, self._secret, self._counts = port, secret, counts
        self._each_s = (PAGES + HTTP_CLIENTS) / REQUESTS_S
        """Between two requests of one guest."""

    async def run(self) -> None:
        """Use the page until this is cancelled."""
        kinds = [self._page] * PAGES + [self._fetch] * HTTP_CLIENTS + [self._upload] * UPLOADS
        guests = [self._again(kind, ADDRESSES[n % len(ADDRESSES)], n) for n, kind in enumerate(kinds)]
        await asyncio.gather(*guests)

    async def _again(self, kind: Callable[[str, int], Awaitable[None]], ip: str, number: int) -> None:
        while True:
            try:
                await kind(ip, number)
            except LOST:
                self._counts["closed"] += 1
            await asyncio.sleep(AGAIN_S)

    async def _token(self, ip: str) -> str:
        async with await self._client(ip) as client:
            token: str = (await client.enter(secret=self._secret)).json["token"]
            return token

    async def _client(self, ip: str) -> GuestClient:
        client = await GuestClient.open(self._port, from_ip=ip)
        self._counts["connections"] += 1
        return client

    async def _page(self, ip: str, number: int) -> None:
        """Keep a page open and send messages of all kinds."""
        token = await self._token(ip)
        async with await self._client(ip) as client:
            await client.hello(token, f"Guest {number}")
            kinds = itertools.cycle(("ping", "search", "here", "vote", "ping", "say"))
            while True:
                kind = next(kinds)
                song = str(uuid.UUID(int=number))
                fields: Mapping[str, Mapping[str, Any]] = {
                    "ping": {"t0": 1.5},
                    "search": {"search": 1, "text": "love"},
                    "vote": {"song": song, "wanted": True},
                    "say": {"text": "hello"},
                    "here": {},
                }
                await client.tell(kind, **fields[kind])
                self._counts["messages"] += 1
                if kind == "ping":
                    await client.hear("pong")
                await asyncio.sleep(self._each_s)

    async def _fetch(self, ip: str, number: int) -> None:
        """Fetch the page again and again, over one connection."""
        async with await self._client(ip) as client:
            while True:
                await client.request("GET", "/")
                self._counts["fetches"] += 1
                await asyncio.sleep(self._each_s)

    async def _upload(self, ip: str, number: int) -> None:
        """Ask for a song and upload it slowly."""
        token = await self._token(ip)
        async with await self._client(ip) as page, await self._client(ip) as client:
            await page.hello(token, f"Sender {number}")
            request = str(uuid.uuid4())
            await page.tell("ask", request=request, file_name=f"slow {request}.mp3", size=UPLOAD_BYTES)
            while True:
                state = await page.hear("state")
                if any(one["id"] == request and one["state"] == "accepted" for one in state["requests"]):
                    break
            headers = {"Authorization": f"Bearer {token}", "Upload-Offset": "0"}
            await client.send(client.head("POST", f"/upload/{request}", headers, UPLOAD_BYTES))
            self._counts["uploads"] += 1
            while True:
                await client.send(bytes(UPLOAD_STEP_BYTES))
                await asyncio.sleep(UPLOAD_EVERY_S)


async def run(port: int, secret: str) -> None:
    """Use the page while the standard input says so; return at its end."""
    loop = asyncio.get_running_loop()
    counts, began_s = Counts(), 0.0
    coming: asyncio.Future[None] | None = None
    print(json.dumps({"ready": True}), flush=True)
    while line := (await loop.run_in_executor(None, sys.stdin.readline)).strip():
        if line == "begin":
            began_s = loop.time()
            coming = asyncio.ensure_future(Crowd(port, secret, counts).run())
        elif coming is not None:
            coming.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await coming
            print(json.dumps({**counts, "seconds": loop.time() - began_s}), flush=True)


def main() -> None:
    """The body of the process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent ends it
    config = json.loads(sys.stdin.readline())
    asyncio.run(run(config["port"], config["secret"]))


if __name__ == "__main__":
    main()
