from __future__ import annotations

import pathlib
import shutil
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from phaselock.desktop.bus import Bus
from tests.support.message_bus import Answer, MessageBus, serve

Serve = Callable[[str, Callable[[str, tuple[Any, ...]], Answer | None]], Bus]


@pytest.fixture
def message_bus(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[MessageBus]:
    """The session bus of this process."""
    if not sys.platform.startswith("linux") or shutil.which("dbus-daemon") is None:
        pytest.skip("dbus-daemon is not installed")
    bus = MessageBus(tmp_path)
    monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", bus.address)
    yield bus
    bus.end()


@pytest.fixture
def service(message_bus: MessageBus) -> Iterator[Serve]:
    """A function that starts a service, see `serve`, and returns its connection."""
    started: list[tuple[threading.Thread, Bus]] = []

    def start(name: str, answer: Callable[[str, tuple[Any, ...]], Answer | None]) -> Bus:
        ready, bus = threading.Event(), Bus()
        thread = threading.Thread(target=serve, args=(bus, name, answer, ready.set))
        thread.start()
        started.append((thread, bus))
        assert ready.wait(10)
        return bus

    yield start
    message_bus.end()
    for thread, bus in started:
        thread.join()
        bus.close()
