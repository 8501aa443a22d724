"""Calls that may hang, with a time limit."""

from __future__ import annotations

import asyncio
import concurrent.futures
import threading
from collections.abc import Callable
from typing import Any


async def in_time(limit_s: float, work: Callable[[], Any]) -> Any:
    """Call `work` on a new daemon thread and return its result or raise its exception. TimeoutError after `limit_s`:
    then the thread goes on."""
    future: concurrent.futures.Future[Any] = concurrent.futures.Future()
    future.set_running_or_notify_cancel()  # a timeout cannot cancel it, so `set_result` does not fail later

    def run() -> None:
        try:
            future.set_result(work())
        except BaseException as error:
            future.set_exception(error)

    threading.Thread(target=run, name="check", daemon=True).start()
    async with asyncio.timeout(limit_s):
        return await asyncio.wrap_future(future)
