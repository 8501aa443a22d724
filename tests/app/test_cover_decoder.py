"""Covers are decoded in another process, which a hostile picture may crash or stop."""

from __future__ import annotations

import asyncio
import io
import os
import pathlib
import socket
import struct
import sys
from collections.abc import Awaitable, Callable

import pytest
from PIL import Image

from phaselock.app import cover_decoder
from phaselock.app.cover_decoder import CoverDecoder
from phaselock.storage.covers import REPLY

ANSWER = "import sys; i, o = sys.stdin.buffer, sys.stdout.buffer; i.read(9)\n"
"""The beginning of a decoder that behaves badly."""


def song(folder: pathlib.Path, picture: bytes) -> pathlib.Path:
    frame = b"\0image/png\0\x03\0" + picture
    tag = b"APIC" + struct.pack(">IH", len(frame), 0) + frame
    size = bytes(len(tag) >> shift & 0x7F for shift in (21, 14, 7, 0))
    path = folder / "song.mp3"
    path.write_bytes(b"ID3\x03\0\0" + size + tag)
    return path


@pytest.fixture
def red(tmp_path: pathlib.Path) -> pathlib.Path:
    """A song whose cover is red."""
    file = io.BytesIO()
    Image.new("RGB", (64, 32), (255, 0, 0)).save(file, "PNG")
    return song(tmp_path, file.getvalue())


def run(use: Callable[[CoverDecoder], Awaitable[None]], idle_s: float = 60.0) -> None:
    """Use a decoder and close it. No process of it is left."""

    async def main() -> None:
        decoder = CoverDecoder(idle_s)
        try:
            await use(decoder)
        finally:
            decoder.close()
        decoder._worker.shutdown()
        assert decoder._process is None

    asyncio.run(main())


def test_one_process_decodes_the_covers(red: pathlib.Path) -> None:
    async def use(decoder: CoverDecoder) -> None:
        assert await decoder.read(red, 8, crop=False) == b"P6 8 4 255\n" + b"\xff\0\0" * 32
        first = decoder._process
        assert await decoder.read(red, 4, crop=True) == b"P6 4 4 255\n" + b"\xff\0\0" * 16
        assert first is not None and decoder._process is first

    run(use)


def test_a_song_without_a_picture_starts_no_process(tmp_path: pathlib.Path) -> None:
    async def use(decoder: CoverDecoder) -> None:
        assert await decoder.read(tmp_path / "none.mp3", 8, crop=True) is None
        assert decoder._process is None

    run(use)


def test_a_picture_that_cannot_be_shown_costs_only_itself(tmp_path: pathlib.Path, red: pathlib.Path) -> None:
    (tmp_path / "other").mkdir()
    broken = song(tmp_path / "other", b"\x89PNG\r\n\x1a\n" + bytes(100))

    async def use(decoder: CoverDecoder) -> None:
        assert await decoder.read(broken, 8, crop=True) is None
        first = decoder._process
        assert await decoder.read(red, 8, crop=True) is not None
        assert decoder._process is first

    run(use)


@pytest.mark.parametrize(
    "code",
    [
        "sys.exit(1)",
        "import os; os.kill(os.getpid(), 9)",
        "o.write(b'no')",
        f"o.write({REPLY.pack(11)!r} + b'P6 9 1 255\\n')",
        f"o.write({REPLY.pack(1 << 31)!r} + b'P6 1 1 255\\n' + bytes(1 << 24))",
        f"o.write({REPLY.pack(14)!r} + b'P6 1 2 255\\n' + bytes(3))",
        f"o.write({REPLY.pack(14)!r} + b'P5 1 1 255\\n' + bytes(3))",
        f"o.write({REPLY.pack(38)!r} + b'P6 9 1 255\\n' + bytes(27))",
    ],
)
def test_a_process_that_ends_or_lies_costs_one_picture(
    code: str, red: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def use(decoder: CoverDecoder) -> None:
        with monkeypatch.context() as patch:
            patch.setattr(cover_decoder, "_CODE", ANSWER + code)
            assert await decoder.read(red, 8, crop=True) is None
            assert decoder._process is None
        assert await decoder.read(red, 8, crop=True) is not None

    run(use)


def test_a_picture_that_takes_too_long_ends_the_process(red: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    code = """
import time
from phaselock.storage import covers
covers.TIMEOUT_S, covers.scaled = 0.2, lambda *arguments, **options: time.sleep(600)
covers.main()
"""

    async def use(decoder: CoverDecoder) -> None:
        monkeypatch.setattr(cover_decoder, "_CODE", code)
        assert await decoder.read(red, 8, crop=True) is None
        assert decoder._process is None

    run(use)


def test_closing_does_not_wait_for_a_picture(red: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def use(decoder: CoverDecoder) -> None:
        monkeypatch.setattr(cover_decoder, "_CODE", ANSWER + "import time; time.sleep(600)")
        reads = [asyncio.create_task(decoder.read(red, 8, crop=True)) for _ in range(3)]
        while decoder._process is None:
            await asyncio.sleep(0.01)
        decoder.close()
        assert await asyncio.gather(*reads) == [None] * 3
        monkeypatch.setattr(decoder, "close", lambda: None)

    run(use)


def test_an_idle_process_ends(red: pathlib.Path) -> None:
    async def use(decoder: CoverDecoder) -> None:
        await decoder.read(red, 8, crop=True)
        while decoder._process is not None:
            await asyncio.sleep(0.01)
        assert await decoder.read(red, 8, crop=True) is not None

    run(use, idle_s=0.0)


def test_the_process_ends_with_the_program(red: pathlib.Path) -> None:
    async def use(decoder: CoverDecoder) -> None:
        await decoder.read(red, 8, crop=True)
        assert decoder._process is not None and decoder._process.stdin is not None
        decoder._process.stdin.close()  # as the system does when the program has ended
        assert decoder._process.wait(60) == 0

    run(use)


def test_a_bundle_whose_starter_is_no_python_decodes_by_itself(
    red: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def use(decoder: CoverDecoder) -> None:
        monkeypatch.setattr(sys, "executable", "/Applications/PhaseLock.app/Contents/MacOS/PhaseLock")
        assert await decoder.read(red, 8, crop=True) is not None
        assert decoder._process is None

    run(use)


@pytest.mark.skipif(not hasattr(os, "getpriority"), reason="the parent sets the priority there")
def test_the_process_has_a_low_priority_and_no_sockets(red: pathlib.Path) -> None:
    async def use(decoder: CoverDecoder) -> None:
        with socket.socket() as ours:
            await decoder.read(red, 8, crop=True)
            assert decoder._process is not None
            pid = decoder._process.pid
            assert os.getpriority(os.PRIO_PROCESS, pid) > os.getpriority(os.PRIO_PROCESS, 0)
            if sys.platform == "linux":
                links = [os.readlink(entry.path) for entry in os.scandir(f"/proc/{pid}/fd")]
                assert ours.fileno() >= 0 and not any(link.startswith("socket:") for link in links)

    run(use)
