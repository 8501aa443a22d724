from __future__ import annotations

import concurrent.futures
import errno
import pathlib
import socket
import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from phaselock.model.types import Track
from phaselock.network import file_connection
from phaselock.storage.cache import FileCache
from tests.support.file_transfer import DATA, HASH


class DeafSocket(socket.socket):
    """A socket of Windows: after `shutdown` the other side reads the end of the stream, but a thread that waits for
    this socket goes on waiting. Only a later read fails."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._is_shut = False

    def shutdown(self, how: int) -> None:
        self._is_shut = how == socket.SHUT_RDWR
        super().shutdown(socket.SHUT_WR if self._is_shut else how)

    def recv_into(self, *arguments: Any) -> int:
        if self._is_shut:
            raise BrokenPipeError(errno.ESHUTDOWN, "Cannot send after transport endpoint shutdown")
        return super().recv_into(*arguments)


@pytest.fixture(params=[socket.socket, DeafSocket], ids=["woken by shutdown", "deaf to shutdown"])
def sleeper(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """All sockets made from now on are of one of two kinds, and no transfer stalls before the test is given up."""
    monkeypatch.setattr(socket, "socket", request.param)
    monkeypatch.setattr(file_connection, "TIMEOUT_STALL_S", 300.0)


@pytest.fixture
def tcp_pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    """Both sockets of a loopback connection."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        one = socket.create_connection(listener.getsockname())
        two, _ = listener.accept()
    with one, two:
        yield one, two


@pytest.fixture
def song(tmp_path: pathlib.Path) -> pathlib.Path:
    path = tmp_path / "song.mp3"
    path.write_bytes(DATA)
    return path


@pytest.fixture
def track(song: pathlib.Path) -> Track:
    return Track(uuid.UUID(int=7), "song.mp3", len(DATA), HASH, 44100, 1000)


@pytest.fixture
def cache(tmp_path: pathlib.Path) -> FileCache:
    return FileCache(tmp_path / "cache")


@pytest.fixture
def worker() -> Iterator[concurrent.futures.Executor]:
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        yield pool
