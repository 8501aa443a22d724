"""The process that plays guests at a host's page, a crowd or phones that listen: one thread with one event loop.

It reads the page's port and secret and the kind of guests as one line of JSON from its standard input, and answers with
one line when it is ready. The line "begin" lets the guests in. "end" sends them away; then the process writes its
counts. It ends when its standard input ends.
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
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from phaselock.bench.lab.guest_client import GuestClient

ADDRESSES = [f"127.67.0.{number}" for number in range(1, 51)]
PAGES, HTTP_CLIENTS, UPLOADS = 140, 50, 10
"""200 connections."""
REQUESTS_S = 2000
"""Requests and messages that all of them together try to send in a second."""
UPLOAD_BYTES, UPLOAD_STEP_BYTES, UPLOAD_EVERY_S = 4_000_000, 512, 0.5
"""A slow upload sends this step each time."""
PHONES = 20
PHONE_PINGS_S = 6
"""As page/clock.js."""
AGAIN_S = 0.5
"""A guest whose connection is closed comes again after this time."""
LOST = (OSError, ValueError, KeyError, TimeoutError)
Counts = collections.Counter[str]
Kind = Callable[[str, int], Awaitable[None]]
"""What a guest with this address and number does."""


class _Guests:
    """All guests."""

    def __init__(self, port: int, secret: str, counts: Counts) -> None:
        self._port, self._secret, self._counts = port, secret, counts

    async def run(self) -> None:
        """Use the page until this is cancelled."""
        kinds = self._kinds()
        await asyncio.gather(*(self._again(kind, ADDRESSES[n % len(ADDRESSES)], n) for n, kind in enumerate(kinds)))

    def _kinds(self) -> Sequence[Kind]:
        """What each of the guests does."""
        raise NotImplementedError

    async def _again(self, kind: Kind, ip: str, number: int) -> None:
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


class Crowd(_Guests):
    """Guests who ask for too much."""

    EACH_S = (PAGES + HTTP_CLIENTS) / REQUESTS_S
    """Between two requests of one guest."""

    def _kinds(self) -> Sequence[Kind]:
        # The uploads first: behind the others they would begin late on a slow machine, or never.
        return [self._upload] * UPLOADS + [self._page] * PAGES + [self._fetch] * HTTP_CLIENTS

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
                await asyncio.sleep(self.EACH_S)

    async def _fetch(self, ip: str, number: int) -> None:
        """Fetch the page again and again, over one connection."""
        async with await self._client(ip) as client:
            while True:
                await client.request("GET", "/")
                self._counts["fetches"] += 1
                await asyncio.sleep(self.EACH_S)

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


class Phones(_Guests):
    """Phones that play the music."""

    def _kinds(self) -> Sequence[Kind]:
        return [self._listen] * PHONES

    async def _listen(self, ip: str, number: int) -> None:
        """Measure the host's clock, and fetch each song once."""
        token = await self._token(ip)
        async with await self._client(ip) as page, await self._client(ip) as files:
            await page.hello(token, f"Phone {number}")
            await page.tell("listen", on=True, uncertainty_ms=5)
            pings, fetched = asyncio.ensure_future(self._ping(page)), set()
            try:
                while True:
                    for song in (await page.hear("timeline"))["songs"]:
                        if song["url"] not in fetched:
                            fetched.add(song["url"])
                            answer = await files.request("GET", song["url"], {"Authorization": f"Bearer {token}"})
                            self._counts["songs"] += answer.status == 200
            finally:
                pings.cancel()

    async def _ping(self, page: GuestClient) -> None:
        while True:
            await page.tell("ping", t0=1.5)
            self._counts["pings"] += 1
            await asyncio.sleep(1 / PHONE_PINGS_S)


async def run(guests: _Guests, counts: Counts) -> None:
    """Use the page while the standard input says so; return at its end."""
    loop = asyncio.get_running_loop()
    began_s = 0.0
    coming: asyncio.Future[None] | None = None
    print(json.dumps({"ready": True}), flush=True)
    while line := (await loop.run_in_executor(None, sys.stdin.readline)).strip():
        if line == "begin":
            began_s = loop.time()
            coming = asyncio.ensure_future(guests.run())
        elif coming is not None:
            coming.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await coming
            print(json.dumps({**counts, "seconds": loop.time() - began_s}), flush=True)


def main() -> None:
    """The body of the process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent ends it
    config = json.loads(sys.stdin.readline())
    kind, counts = {"crowd": Crowd, "phones": Phones}[config["kind"]], Counts()
    asyncio.run(run(kind(config["port"], config["secret"], counts), counts))


if __name__ == "__main__":
    main()
