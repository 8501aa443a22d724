"""`phaselock bench measure` on recordings with known distances."""

from __future__ import annotations

import argparse
import functools
import json
import os
import pathlib
import struct
import sys

import numpy as np
import pytest
from numpy.typing import NDArray

from phaselock.bench.analysis import delay
from phaselock.bench.benchmarks import measure
from phaselock.bench.lab import capture
from phaselock.bench.lab.wav import Capture, read_wav
from phaselock.bench.results import Case
from phaselock.cli import main
from phaselock.errors import PhaseLockError
from phaselock.tools.processes import open_process_group
from tests.support.bench import Collector
from tests.support.noise import Noise

RATE_HZ = 44100
SECONDS = 6.0


@functools.cache
def noise() -> Noise:
    return Noise(SECONDS, seed=5)


@functools.cache
def machine(late_us: float = 0.0, ppm: float = 0.0) -> NDArray[np.float64]:
    return noise().at(-late_us * 1e-6, (1 + ppm * 1e-6) / RATE_HZ, int(SECONDS * RATE_HZ))


def hiss(level: float, seed: int = 0) -> NDArray[np.float64]:
    return np.random.default_rng(seed).normal(0, level, int(SECONDS * RATE_HZ))


def sound(*channels: NDArray[np.float64]) -> Capture:
    return Capture(RATE_HZ, np.stack(channels, axis=1).astype(np.float32))


def figures(case: Case) -> dict[str, float]:
    return {one.name: one.values[0] for one in case.figures}


# -- both outputs on one stereo input ----------------------------------------------------------------------------------


@pytest.mark.parametrize("late_us", [43.0, -7.7, 3000.0])
def test_the_delay_of_the_right_channel_is_measured(late_us: float) -> None:
    case = measure.stereo_case(sound(machine(), 0.4 * machine(late_us) + hiss(0.002)))
    found = figures(case)
    assert found["offset_us"] == pytest.approx(late_us, abs=0.3)
    assert found["distance_p50_us"] == pytest.approx(abs(late_us), abs=0.3)
    ranked = [found[f"distance_{part}_us"] for part in ("p50", "p95", "p99", "max")]
    assert ranked == sorted(ranked)
    assert (found["clicks"], found["silences"]) == (0, 0)
    assert abs(found["drift_us_per_min"]) < 5
    assert len(case.notes) == 1


@pytest.mark.parametrize(
    ("late_us", "verdict"),
    [(43.0, "B (right) plays 43 us later than A (left)"), (-7.7, "A (left) plays 7.7 us later than B (right)")],
)
def test_the_first_note_says_which_machine_is_later(late_us: float, verdict: str) -> None:
    assert measure.stereo_case(sound(machine(), machine(late_us))).notes[0].startswith(verdict)


def test_drift_is_measured() -> None:
    case = measure.stereo_case(sound(machine(), machine(20.0, ppm=-2.0)))
    assert figures(case)["drift_us_per_min"] == pytest.approx(120.0, abs=2)
    [plot] = case.plots
    assert len(plot.series[0].x) == len(plot.series[0].y) == 12
    assert plot.series[0].y[-1] > plot.series[0].y[0] > 19


def test_a_lost_frame_clicks_and_a_pause_is_a_silence() -> None:
    clicked = np.append(np.delete(machine(), 100_000), 0.0)
    assert figures(measure.stereo_case(sound(machine(), clicked + hiss(1e-4))))["clicks"] == 1
    paused = machine().copy()
    paused[100_000:120_000] = 0
    found = figures(measure.stereo_case(sound(machine(), paused + hiss(1e-4))))
    assert (found["silences"], found["clicks"]) == (1, 0)


def test_noise_of_the_input_is_not_a_click() -> None:
    assert figures(measure.stereo_case(sound(machine(), machine(43.0) + hiss(0.01))))["clicks"] == 0


def test_clicks_need_a_high_sample_rate() -> None:
    slow = Capture(22050, sound(machine(), machine(43.0)).frames[::2])
    case = measure.stereo_case(slow)
    assert figures(case)["offset_us"] == pytest.approx(43.0, abs=1)
    assert "clicks" not in figures(case)
    assert case.notes[-1] == "Clicks cannot be detected at 22050 Hz."


def test_unclear_windows_are_left_out() -> None:
    other = Noise(SECONDS, seed=6).at(0, 1 / RATE_HZ, int(SECONDS * RATE_HZ))
    mixed = np.where(np.arange(len(other)) < 2 * RATE_HZ, other, machine(43.0))
    case = measure.stereo_case(sound(machine(), mixed))
    assert figures(case)["distance_max_us"] == pytest.approx(43.0, abs=0.5)
    assert case.notes[-1] == "4 of 12 half seconds were not clear enough, and are left out."


@pytest.mark.parametrize(
    ("right", "note"),
    [
        (0.5 * machine(), "Both channels contain the same sound"),
        (np.clip(12 * machine(43.0), -1, 1), "The recording is clipped"),
        (0.004 * machine(43.0), "The recording is very faint"),
    ],
)
def test_faults_of_a_recording_are_noted(right: NDArray[np.float64], note: str) -> None:
    left = 0.01 * machine() if note.endswith("faint") else machine()
    assert any(one.startswith(note) for one in measure.stereo_case(sound(left, right)).notes)


@pytest.mark.parametrize(
    ("left", "right", "sentence"),
    [
        (machine(), 0 * machine(), "The right channel is silent"),
        (0.002 * machine() + 0.5, machine(), "The left channel is silent"),
        (0 * machine(), 0 * machine() + 0.1, "The recording is silent"),
        (hiss(0.1, 1), hiss(0.1, 2), "The two channels have no sound in common"),
        (machine()[:RATE_HZ], machine()[:RATE_HZ], "The recording is too short"),
    ],
)
def test_useless_recordings_are_refused(left: NDArray[np.float64], right: NDArray[np.float64], sentence: str) -> None:
    with pytest.raises(PhaseLockError, match=sentence):
        measure.stereo_case(sound(left, right))


def test_one_channel_needs_the_microphone_option() -> None:
    with pytest.raises(PhaseLockError, match="add --microphone"):
        measure.stereo_case(sound(machine()))


# -- both in one microphone --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("apart_us", [400.0, 1000.0, -7123.0])
@pytest.mark.parametrize("loudness", [1.0, 0.5])
def test_a_microphone_measures_the_distance(apart_us: float, loudness: float) -> None:
    case = measure.microphone_case(sound(machine() + loudness * machine(apart_us) + hiss(0.01)))
    assert figures(case)["distance_p50_us"] == pytest.approx(abs(apart_us), abs=5)
    assert f"{abs(apart_us) / 1e3:.1f} ms apart" in case.notes[0]
    assert "34 cm" in case.notes[1]


def test_echoes_of_walls_are_not_loudspeakers() -> None:
    walls = 0.25 * machine(2300.0) + 0.2 * machine(5100.0)
    assert figures(measure.microphone_case(sound(machine() + machine(700.0) + walls)))[
        "distance_max_us"
    ] == pytest.approx(700, abs=5)
    with pytest.raises(PhaseLockError, match="No second loudspeaker is heard clearly"):
        measure.microphone_case(sound(machine() + walls))


@pytest.mark.parametrize("apart_us", [0.0, 60.0, 100.0, 105.0, 116.0, 150.0, 250.0])
def test_distances_too_small_for_a_microphone_are_refused(apart_us: float) -> None:
    with pytest.raises(PhaseLockError, match=r"less than 0\.35 ms apart"):
        measure.microphone_case(sound(machine() + machine(apart_us)))


def test_a_silent_microphone_is_refused() -> None:
    with pytest.raises(PhaseLockError, match="The recording is silent"):
        measure.microphone_case(sound(hiss(1e-6)))


# -- files -------------------------------------------------------------------------------------------------------------


def wav(raw: bytes, code: int, bits: int, channels: int = 2, rate_hz: int = RATE_HZ, size: int | None = None) -> bytes:
    block = channels * bits // 8
    form = struct.pack("<HHIIHH", code, channels, rate_hz, rate_hz * block, block, bits)
    if code == 0xFFFE:
        form += struct.pack("<HHI", 22, bits, 3) + struct.pack("<H", 1) + bytes(14)
    chunks = b"JUNK" + struct.pack("<I", 3) + b"abc\0" + b"fmt " + struct.pack("<I", len(form)) + form
    chunks += b"data" + struct.pack("<I", len(raw) if size is None else size) + raw
    return b"RIFF" + struct.pack("<I", 4 + len(chunks)) + b"WAVE" + chunks


VALUES = [0.5, -0.5, 0.25, -1.0]
I24 = b"".join(struct.pack("<i", round(one * 2**23))[:3] for one in VALUES)


@pytest.mark.parametrize(
    ("raw", "code", "bits"),
    [
        (np.array(VALUES, "<f4").tobytes(), 3, 32),
        (np.array(VALUES, "<f8").tobytes(), 3, 64),
        ((np.array(VALUES) * 2**15).astype("<i2").tobytes(), 1, 16),
        ((np.array(VALUES) * 2**15).astype("<i2").tobytes(), 0xFFFE, 16),
        (I24, 1, 24),
        ((np.array(VALUES) * 2.0**31).astype("<i4").tobytes(), 1, 32),
    ],
)
def test_wav_files_of_all_supported_kinds_are_read(tmp_path: pathlib.Path, raw: bytes, code: int, bits: int) -> None:
    path = tmp_path / "one.wav"
    for size, extra in ((None, b""), (0xFFFFFFFF, b"\1")):  # as a program writes it before it knows the length
        path.write_bytes(wav(raw + extra, code, bits, size=size))
        found = read_wav(path)
        assert found.rate_hz == RATE_HZ
        assert found.frames.tolist() == [[0.5, -0.5], [0.25, -1.0]]


PCM = bytes(400)


@pytest.mark.parametrize(
    ("file", "reason"),
    [
        (b"", "it ends too early"),
        (b"ID3" + bytes(100), "it is another kind of file"),
        (b"RIFF\0\0\0\0WAVE", "it ends too early"),
        (wav(PCM, 1, 16)[:30], "it ends too early"),
        (b"RIFF\0\0\0\0WAVEdata\0\0\0\0", "it has no format"),
        (wav(PCM, 1, 8), "neither integers"),
        (wav(PCM, 85, 16), "neither integers"),
        (wav(PCM, 1, 16, channels=0), "0 channels"),
        (wav(PCM, 1, 16, rate_hz=0), "at 0 Hz"),
        (wav(np.array([np.nan, 0], "<f4").tobytes(), 3, 32), "contains samples that are not sound"),
        (wav(np.array([1e30, 0], "<f4").tobytes(), 3, 32), "contains samples that are not sound"),
        (wav(np.array([1e300, 0], "<f8").tobytes(), 3, 64), "contains samples that are not sound"),
    ],
)
def test_other_files_are_refused(tmp_path: pathlib.Path, file: bytes, reason: str) -> None:
    path = tmp_path / "one.wav"
    path.write_bytes(file)
    with pytest.raises(PhaseLockError, match=rf"one\.wav is not a WAV file that can be measured: .*{reason}"):
        read_wav(path)


def test_only_the_channels_needed_are_kept(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("phaselock.bench.lab.wav._BLOCK_FRAMES", 7)
    path = tmp_path / "eight.wav"
    frames = np.arange(8 * 45).reshape(45, 8)
    path.write_bytes(wav(frames.astype("<i2").tobytes() + b"\1", 1, 16, channels=8, size=0xFFFFFFFF))
    for channels in (1, 2):
        assert (read_wav(path, channels).frames * 2**15).tolist() == frames[:, :channels].tolist()


def test_a_file_that_is_too_large_is_not_read(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "long.wav"
    path.write_bytes(wav(PCM, 1, 16, size=0xFFFFFFFF))
    with path.open("r+b") as file:
        file.truncate(500_000_001)
    with pytest.raises(PhaseLockError, match=r"it is larger than 500 MB\.$"):
        read_wav(path)


@pytest.mark.skipif(sys.platform == "win32", reason="it has no such files")
def test_a_pipe_is_refused(tmp_path: pathlib.Path) -> None:
    os.mkfifo(tmp_path / "one.wav")
    with pytest.raises(PhaseLockError, match=r"one\.wav cannot be read: not a plain file\.$"):
        read_wav(tmp_path / "one.wav")


def test_a_missing_file_is_an_error(tmp_path: pathlib.Path) -> None:
    with pytest.raises(PhaseLockError, match=r"cannot be read: No such file or directory\.$"):
        read_wav(tmp_path / "none.wav")


# -- the command -------------------------------------------------------------------------------------------------------


def options(**given: object) -> argparse.Namespace:
    usual = {"recording": None, "seconds": 6, "input": None, "microphone": False, "signal": None, "play": False}
    return argparse.Namespace(**(usual | given))


def test_a_recording_becomes_a_case(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "both.wav"
    path.write_bytes(wav(sound(machine(), machine(43.0)).frames.astype("<f4").tobytes(), 3, 32))
    bench = Collector()
    measure.run(options(recording=path), bench)
    [case] = bench.cases.values()
    assert (case.benchmark, case.name) == ("measure", "stereo")
    assert case.parameters["source"] == "recording"
    assert figures(case)["offset_us"] == pytest.approx(43.0, abs=0.2)


@pytest.mark.parametrize("also", [{"play": True}, {"input": "Line In"}])
def test_a_recording_excludes_play_and_input(tmp_path: pathlib.Path, also: dict[str, object]) -> None:
    with pytest.raises(PhaseLockError, match=r"leave out --play and --input\.$"):
        measure.run(options(recording=tmp_path / "both.wav", **also), Collector())


@pytest.mark.parametrize("microphone", [False, True])
def test_a_captured_input_becomes_a_case(monkeypatch: pytest.MonkeyPatch, microphone: bool) -> None:
    asked: list[object] = []

    def record(seconds: float, channels: int, name: str | None, on_progress: object) -> Capture:
        asked.extend((seconds, channels, name))
        assert callable(on_progress)
        on_progress(seconds / 2)
        both = [machine() + machine(1000.0)] if channels == 1 else [machine(), machine(1000.0)]
        return Capture(RATE_HZ, sound(*both).frames)

    monkeypatch.setattr(capture, "record", record)
    bench = Collector()
    measure.run(options(input="Line In", microphone=microphone), bench)
    assert asked == [6, 1 if microphone else 2, "Line In"]
    [case] = bench.cases.values()
    assert figures(case)["distance_p50_us"] == pytest.approx(1000.0, abs=5)


def test_the_test_signal_is_a_mono_mp3(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "signal.mp3"
    assert main(["bench", "measure", "--signal", str(path), "--seconds", "5"]) == 0
    assert path.read_bytes()[3] >> 6 == 3  # mono
    assert main(["bench", "measure", "--signal", str(path)]) == 1  # the file exists


def test_the_length_of_a_recording_is_limited(tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["bench", "measure", "--signal", str(tmp_path / "signal.mp3"), "--seconds", "601"])
    assert "'601' is not a number from 5 to 600" in capsys.readouterr().err


def test_the_command_prints_the_verdict(tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "both.wav"
    path.write_bytes(wav(sound(machine(), machine(43.0)).frames.astype("<f4").tobytes(), 3, 32))
    assert main(["bench", "measure", "--recording", str(path), "--out", str(tmp_path / "out")]) == 0
    assert "B (right) plays 43 us later than A (left)" in capsys.readouterr().out
    path.write_bytes(b"nothing")
    assert main(["bench", "measure", "--recording", str(path), "--out", str(tmp_path / "other")]) == 1
    assert "is not a WAV file that can be measured" in capsys.readouterr().err


def test_two_real_programs_on_virtual_cards(tmp_path: pathlib.Path) -> None:
    """The sound of both cards, as an input records it; the peer's clock and card have other rates."""
    song, names = tmp_path / "signal.mp3", ("host", "peer")
    song.write_bytes(measure._signal(10))
    local = ("--bind", "127.0.0.1", "--port", "0", "--clock-port", "0")
    with open_process_group(str(tmp_path)) as programs:

        def card(name: str, ppm: float) -> tuple[str, ...]:
            properties = {"ppm": ppm, "record": str(tmp_path / "recordings" / name)}
            return "--backend", "virtual", "--card", json.dumps(properties)

        host = programs.start("host", "host", str(song), *local, "--wait-peers", "1", "--play", *card("host", 0))
        address = f"127.0.0.1:{programs.wait_for(host, 'session')['port']}"
        programs.start("peer", "join", address, "--clock-skew-ppm=40", *card("peer", -60))
        playing_ns = programs.wait_for(host, "playing")["session_ns"]
        while programs.wait_for(host, "sync")["session_ns"] < playing_ns + 10_000_000_000:
            pass
        host.say("quit")
    both = [
        delay.Loudspeaker([delay.read_recording(path) for path in (tmp_path / "recordings" / name).glob("*.json")])
        for name in names
    ]
    middle_ns = delay.starts_ns(both[0])[0] + 6_000_000_000
    left, right = (one.resampled(middle_ns, 6 * RATE_HZ, RATE_HZ) for one in both)
    found = figures(measure.stereo_case(sound(left, right)))
    assert found["distance_max_us"] < 1000
    assert (found["clicks"], found["silences"]) == (0, 0)
    late = both[1].resampled(middle_ns - 5_000_000, 6 * RATE_HZ, RATE_HZ)
    microphone = figures(measure.microphone_case(sound(left + late)))
    assert microphone["distance_p50_us"] == pytest.approx(5000 + found["offset_us"], abs=20)


def test_the_input_is_checked_before_the_session_opens(monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path) -> None:
    def check(channels: int, name: str | None) -> None:
        raise PhaseLockError(f"No sound input is named {name!r}.")

    monkeypatch.setattr(measure.microphone, "check", check)
    monkeypatch.setattr(measure, "open_process_group", lambda folder: pytest.fail("a session was opened"))
    options = argparse.Namespace(recording=None, play=True, seconds=5, input="x", microphone=False, out=tmp_path)
    with pytest.raises(PhaseLockError, match="No sound input is named"):
        measure.run(options, Collector())
