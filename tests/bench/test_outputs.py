"""The prediction of an output against simulated recordings of it."""

from __future__ import annotations

import argparse
import dataclasses

import numpy as np
import pytest

from phaselock import cli
from phaselock.audio.device import ListedOutput
from phaselock.bench.analysis import delay
from phaselock.bench.benchmarks import outputs
from phaselock.bench.lab import monitor, signals
from phaselock.bench.lab.monitor import recording_from_stamps
from phaselock.bench.results import Case
from phaselock.errors import PhaseLockError
from phaselock.model.types import AudioStatus

RATE_HZ = 48000
BLOCK = 1024
OUTPUT = ListedOutput("pulseaudio", "Box", True, "exact", "wire")
STATUS = AudioStatus("Box", RATE_HZ, 0, 20_000, 20_000, "exact", True, 0, 0.0, 0, 1.0)


def stamps(blocks: int, first_ns: int, *, ppm: float = 0.0, noise_ns: float = 0.0) -> list[tuple[float, int]]:
    chance = np.random.default_rng(1)
    true_ns = [n * BLOCK * 1e9 / (RATE_HZ * (1 + ppm * 1e-6)) for n in range(blocks)]
    return [
        (float(n * BLOCK), first_ns + round(at_ns + chance.normal(0, noise_ns or 1e-9)))
        for n, at_ns in enumerate(true_ns)
    ]


def test_a_recording_lies_on_the_line_through_its_stamps() -> None:
    frames = np.zeros(500 * BLOCK, np.float32)
    found = recording_from_stamps(frames, RATE_HZ, stamps(500, 7_000_000_000, ppm=80, noise_ns=30_000))
    (one,) = found.loudspeaker.recordings
    assert abs(one.first_ns - 7_000_000_000) < 10_000
    assert one.true_rate_hz == pytest.approx(RATE_HZ * (1 + 80e-6), rel=2e-6)
    assert found.stamps_us == pytest.approx((-49, 49), abs=8)  # a standard deviation of 30 µs


def test_a_jump_of_the_stamps_begins_a_new_recording() -> None:
    frames = np.arange(200 * BLOCK, dtype=np.float32)
    before, after = stamps(100, 0), stamps(200, 42_000_000)[100:]
    first, second = recording_from_stamps(frames, RATE_HZ, before + after).loudspeaker.recordings
    assert first.first_ns == 0 and len(first.frames) == 99 * BLOCK
    assert abs(second.first_ns - after[0][1]) < 1000 and second.frames[0] == 100 * BLOCK


def test_too_few_stamps_are_refused() -> None:
    with pytest.raises(PhaseLockError, match="reports no usable times"):
        recording_from_stamps(np.zeros(BLOCK, np.float32), RATE_HZ, stamps(10, 0))
    with pytest.raises(PhaseLockError, match="reports no usable times"):
        recording_from_stamps(np.zeros(0, np.float32), RATE_HZ, [])


SIGNAL = signals.noise(9.0, RATE_HZ, seed=1, channels=1)[:, 0]


def played(late_ns: int, status: AudioStatus = STATUS) -> outputs.Played:
    """A second of silence, then the signal, `late_ns` after the prediction."""
    sound = np.concatenate([np.zeros(RATE_HZ, np.float32), SIGNAL])
    recording = delay.Recording(4_000_000_000 + late_ns, float(RATE_HZ), RATE_HZ, sound)
    return outputs.Played(
        5_000_000_000, status, monitor.MonitorRecording(delay.Loudspeaker([recording]), (-10.0, 10.0))
    )


def values(case: Case) -> dict[str, float]:
    return {figure.name: figure.values[0] for figure in case.figures}


@pytest.mark.parametrize("late_us", [0.0, -120.0, 20_800.0, 104_000.0])
def test_the_delay_after_the_prediction_is_measured(late_us: float) -> None:
    case = outputs.compare(OUTPUT, SIGNAL, played(round(late_us * 1e3)))
    found = values(case)
    assert found["late_p50_us"] == pytest.approx(late_us, abs=1)
    assert found["late_p5_us"] <= found["late_p50_us"] <= found["late_p95_us"]
    assert found["shown_us"] == 20.0
    assert case.name == "pulseaudio, Box" and case.parameters["recorded"] is True
    assert f"leaves {late_us / 1e3:+.2f} ms after the prediction" in case.notes[0]


def test_an_output_without_a_known_delay_has_no_uncertainty() -> None:
    status = dataclasses.replace(STATUS, timing="unknown", dac_uncertainty_ns=None)
    case = outputs.compare(OUTPUT, SIGNAL, played(0, status))
    assert "shown_us" not in values(case)
    assert "delay not known, no uncertainty is shown" in case.notes[0]


def test_a_recording_of_another_sound_is_refused() -> None:
    other = signals.noise(9.0, RATE_HZ, seed=2, channels=1)[:, 0]
    with pytest.raises(PhaseLockError, match="does not contain the signal"):
        outputs.compare(OUTPUT, other, played(0))


def test_outputs_that_cannot_be_recorded_are_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    listed = [ListedOutput("alsa", "Card", True, "exact", "wire"), OUTPUT]
    cases: list[Case] = []

    class Bench:
        def add(self, case: Case) -> None:
            cases.append(case)

        def progress(self, done: float, doing: str) -> None: ...

    def refuse(*_: object) -> outputs.Played:
        raise PhaseLockError("It is gone.")

    monkeypatch.setattr(outputs, "list_outputs", lambda: listed)
    monkeypatch.setattr(outputs, "monitor_of", lambda one: None if one.backend == "alsa" else object())
    monkeypatch.setattr(outputs, "play", refuse)
    outputs.run(argparse.Namespace(output_s=5), Bench())
    assert [case.notes for case in cases] == [
        ("alsa, Card: delay known; it cannot be recorded here.",),
        ("pulseaudio, Box: delay known; not measured. It is gone.",),
    ]
    assert [case.figures for case in cases] == [(), ()]
    listed.clear()
    with pytest.raises(PhaseLockError, match="No audio output detected"):
        outputs.run(argparse.Namespace(output_s=5), Bench())


def test_the_command_line_has_the_benchmark() -> None:
    options = cli.command_line().parse_args(["bench", "outputs", "--seconds", "7"])
    assert (options.benchmarks, options.output_s) == (("outputs",), 7)
