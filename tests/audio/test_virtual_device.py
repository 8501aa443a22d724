"""The virtual sound card, with its real thread, and its recordings."""

from __future__ import annotations

import array
import errno
import io
import json
import os
import pathlib
import sys
import threading
import time
from typing import Any

import pytest

from phaselock import _native
from phaselock.audio import virtual_device
from phaselock.audio.virtual_device import VirtualCard, VirtualOutput
from phaselock.errors import AudioDeviceError, PhaseLockError

RATE_HZ = 48000
LEVEL = 0.5
TIMEOUT_S = 60.0


def play_on(card: VirtualCard, frames: int) -> None:
    """Play a constant level on the card until it has requested this number of frames."""
    engine = _native.Engine(_native.ClockMap(identity=True))
    output = VirtualOutput(engine, card, "test card")
    engine.stream(output.rate_hz)
    engine.set_output_latency(output.output_latency_ns())
    deck = engine.free_deck()
    generation = engine.reset_deck(deck, 0)
    engine.write(deck, generation, array.array("f", [LEVEL] * 2 * 60000))
    engine.arm(deck, RATE_HZ, 0, _native.now_ns())
    output.open().start()
    until_s = time.monotonic() + TIMEOUT_S
    try:
        while engine.status().device_frames < frames:
            assert output.is_running() and time.monotonic() < until_s
            time.sleep(0.005)
    finally:
        output.close()
    assert not output.is_running()


def notes_of(folder: pathlib.Path, number: int = 0) -> tuple[dict, array.array]:
    notes = json.loads((folder / f"test_card-{number}.json").read_text())
    return notes, array.array("f", (folder / f"test_card-{number}.f32").read_bytes())


def test_the_card_records_its_frames_and_their_times(tmp_path: pathlib.Path) -> None:
    began_ns = time.perf_counter_ns()
    card = VirtualCard(ppm=50, latency_ms=300, period_frames=480, record=str(tmp_path))
    play_on(card, 24000)
    notes, samples = notes_of(tmp_path)
    assert notes["true_rate_hz"] == pytest.approx(RATE_HZ * 1.00005, rel=1e-12)
    assert (notes["rate_hz"], notes["channels"], notes["period_frames"]) == (RATE_HZ, 2, 480)
    assert notes["first_ns"] >= began_ns + 300_000_000
    assert len(samples) % (2 * 480) == 0 and len(samples) // 2 >= 24000
    assert max(samples) == pytest.approx(LEVEL, abs=0.01)


@pytest.mark.parametrize("interrupted", range(6))
def test_an_interruption_between_two_clocks_is_no_error_of_the_card(
    interrupted: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each clock reading takes 300 ns; before one of them the thread is interrupted."""
    clock_ns, read = 0, 0

    def true_ns() -> int:
        nonlocal clock_ns, read
        clock_ns += 300 + (5_000_000 if read == interrupted else 0)
        read += 1
        return clock_ns

    monkeypatch.setattr(virtual_device, "_true_ns", true_ns)
    monkeypatch.setattr(virtual_device._native, "now_ns", lambda: true_ns() + 7_000_000_000)
    local_ns, found_ns = virtual_device._clocks_ns()
    assert local_ns - found_ns == 7_000_000_000


def test_an_output_opened_again_is_another_recording(tmp_path: pathlib.Path) -> None:
    for _ in range(2):
        play_on(VirtualCard(latency_ms=200, record=str(tmp_path)), 512)
    assert notes_of(tmp_path, 0)[0]["first_ns"] < notes_of(tmp_path, 1)[0]["first_ns"]


def play_late(monkeypatch: pytest.MonkeyPatch, record: str | None) -> VirtualOutput:
    """Play on a computer with a simulated clock, on which the thread is interrupted for longer than the latency of the
    card. Return the closed output."""
    clock_ns = 0
    slept = 0

    def sleep(seconds: float) -> None:
        nonlocal clock_ns, slept
        slept += 1
        clock_ns += round(seconds * 1e9) + (100_000_000 if slept == 40 else 0)

    monkeypatch.setattr("phaselock.audio.virtual_device._true_ns", lambda: clock_ns)
    monkeypatch.setattr("phaselock.audio.virtual_device.time.sleep", sleep)
    engine = _native.Engine(_native.ClockMap(identity=True))
    engine.stream(RATE_HZ)
    output = VirtualOutput(engine, VirtualCard(latency_ms=50, period_frames=480, record=record), "test card")
    output.start()
    until_s = time.monotonic() + TIMEOUT_S
    try:
        while engine.status().device_frames < 480 * 100:
            assert output.is_running() and time.monotonic() < until_s
    finally:
        output.close()
    return output


def test_a_block_that_comes_too_late_is_silence_and_is_noted(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    play_late(monkeypatch, str(tmp_path))
    notes, samples = notes_of(tmp_path)
    late = len(notes["underruns"])
    assert late >= 5 and notes["underruns"] == [480 * block for block in range(39, 39 + late)]
    assert notes["late_wakes"][0] == [39 * 480, pytest.approx(100, abs=1)]
    assert len(samples) // 2 >= 480 * 100


def test_a_card_that_records_nothing_notes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """The notes would grow as long as it plays."""
    output = play_late(monkeypatch, None)
    assert not output._underruns and not output._late_wakes


@pytest.mark.skipif(
    sys.platform != "linux" or not pathlib.Path("/proc/self/timerslack_ns").exists(),
    reason="this system has no timer slack",
)
def test_it_wakes_as_punctually_as_an_interrupt(monkeypatch: pytest.MonkeyPatch) -> None:
    slack_ns: list[str] = []
    output = VirtualOutput(_native.Engine(_native.ClockMap(identity=True)), VirtualCard(latency_ms=100), "test card")
    real_sleep = virtual_device._sleep_until

    def sleep(true_ns: int) -> None:
        slack_ns.append(pathlib.Path(f"/proc/{threading.get_native_id()}/timerslack_ns").read_text().strip())
        real_sleep(true_ns)

    monkeypatch.setattr(virtual_device, "_sleep_until", sleep)
    output.open().start()
    until_s = time.monotonic() + TIMEOUT_S
    while not slack_ns and time.monotonic() < until_s:
        time.sleep(0.005)
    output.close()
    assert slack_ns[0] == "1"


class FullDisk(io.RawIOBase):
    """A file that accepts no more data."""

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_card_that_cannot_write_is_lost(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    engine = _native.Engine(_native.ClockMap(identity=True))
    engine.stream(RATE_HZ)
    output = VirtualOutput(engine, VirtualCard(latency_ms=50, record=str(tmp_path)), "test card")
    full = io.BufferedWriter(FullDisk())
    monkeypatch.setattr(output, "_new_record", lambda: (full, tmp_path / "notes.json"))
    output.start()  # an exception in its thread would fail the test
    assert output._thread
    output._thread.join(TIMEOUT_S)
    assert not output.is_running()
    output.close()
    assert "No space left" in caplog.text


@pytest.mark.parametrize("record", ["a\0b", "\ud800"])
def test_a_folder_that_cannot_be_is_a_sentence(record: str) -> None:
    engine = _native.Engine(_native.ClockMap(identity=True))
    # Windows has names like "\ud800", and looks for the folder.
    reason = r"\S.*" if sys.platform == "win32" else "no such folder"
    with pytest.raises(AudioDeviceError, match=rf"cannot record: {reason}\.$"):
        VirtualOutput(engine, VirtualCard(record=record), "test card").start()


def test_a_card_is_described_in_json() -> None:
    assert VirtualCard.from_json('{"ppm": -70, "latency_ms": 920.5}') == VirtualCard(ppm=-70, latency_ms=920.5)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "3",
        "nonsense",
        '{"colour": 1}',
        '{"rate_hz": 0}',
        '{"rate_hz": 44100.5}',
        '{"ppm": "x"}',
        '{"period_frames": 1.5}',
        "[" * 100_000,
    ],
    ids=lambda text: text[:24],
)
def test_nonsense_is_no_card(text: str) -> None:
    with pytest.raises(PhaseLockError, match="describes no virtual sound card"):
        VirtualCard.from_json(text)
