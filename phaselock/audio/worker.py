"""A thread for calls into sound systems, which may hang."""

from __future__ import annotations

import concurrent.futures
import queue
import threading
from collections.abc import Callable
from typing import TypeVar

_Result = TypeVar("_Result")


class Worker:
    """One daemon thread for calls that may never return."""

    def __init__(self) -> None:
        self._jobs: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None

    def call(self, work: Callable[[], _Result], limit_s: float) -> _Result:
        """Run `work` and return its result or raise its exception. TimeoutError if it takes longer than `limit_s`."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="audio device", daemon=True)
            self._thread.start()
        future: concurrent.futures.Future[_Result] = concurrent.futures.Future()

        def job() -> None:
            try:
                future.set_result(work())
            except BaseException as error:
                future.set_exception(error)

        self._jobs.put(job)
        return future.result(limit_s)

    def end(self) -> None:
        """End the thread; wait for it for a short time."""
        if self._thread is not None:
            self._jobs.put(None)
            self._thread.join(0.2)
            self._thread = None

    def _run(self) -> None:
        while (job := self._jobs.get()) is not None:
            job()
