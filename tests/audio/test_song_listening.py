"""What a microphone hears of machines that play a song in turns, in simulated rooms."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from phaselock import _native
from phaselock.audio.song_listening import Heard, analyse
from phaselock.bench.benchmarks.check import SETTINGS, measure
from phaselock.bench.lab.rooms import room
from phaselock.bench.lab.song_rooms import LEAD_S, SongConditions, record_check
from phaselock.model.sweeps import RATE_HZ, Verdict

BEGIN_NS = round(-LEAD_S * 1e9)
HIDDEN_S = {1: 0.0031, 2: 0.04}


def listen(conditions: SongConditions, *, seed: int = 4, begin_error_ns: int = 0) -> tuple[Heard, list[float]]:
    """What is heard in a room of three machines, and the true offsets in ms."""
    random = np.random.default_rng(seed)
    paths = room(random, 3)
    recording, song = record_check(random, paths, conditions)
    begin_ns = BEGIN_NS + begin_error_ns
    heard = analyse(recording.tobytes(), RATE_HZ, begin_ns, song.tobytes(), RATE_HZ, BEGIN_NS, ("stereo",) * 3)
    arrives_s = [path.direct_s + conditions.hidden_s.get(k, 0.0) for k, path in enumerate(paths)]
    return heard, [1000 * (at_s - arrives_s[0]) for at_s in arrives_s]


@pytest.mark.slow
@pytest.mark.parametrize(
    "given",
    [
        {"snr_db": 20},
        {"snr_db": 10, "song": "speech", "clock_ppm": 100},
        {"snr_db": 10, "song": "loop", "clock_ppm": -100},
    ],
)
def test_machines_that_play_a_song_are_heard_at_their_times(given: dict[str, Any]) -> None:
    heard, truth_ms = listen(SongConditions(hidden_s=HIDDEN_S, **given), begin_error_ns=200_000_000)
    for arrival, wanted_ms in zip(heard.arrivals, truth_ms, strict=True):
        assert arrival.verdict is Verdict.HEARD and arrival.offset_ns is not None
        assert arrival.offset_ns / 1e6 == pytest.approx(wanted_ms, abs=0.15)
    assert heard.microphone_ppm == pytest.approx(given.get("clock_ppm", 0), abs=8)


@pytest.mark.slow
def test_a_silent_machine_is_not_heard() -> None:
    heard, truth_ms = listen(SongConditions(hidden_s=HIDDEN_S, silent=frozenset({1})))
    assert heard.arrivals[1].offset_ns is None
    assert heard.arrivals[2].offset_ns == pytest.approx(truth_ms[2] * 1e6, abs=150_000)


@pytest.mark.slow
def test_noise_and_silence_are_no_machines() -> None:
    for conditions in (SongConditions(silent=frozenset(range(3))), SongConditions(snr_db=-20)):
        heard, _ = listen(conditions)
        assert not any(one.verdict is Verdict.HEARD for one in heard.arrivals)
    song = bytes(8 * 20 * RATE_HZ)
    for recording in (b"", bytes(4 * RATE_HZ), np.full(RATE_HZ, np.nan, np.float32).tobytes()):
        heard = analyse(recording, RATE_HZ, 0, song, RATE_HZ, 0, ("stereo", "left", "right"))
        assert {one.verdict for one in heard.arrivals} == {Verdict.NOT_HEARD}


@pytest.mark.parametrize(
    "change",
    [
        {"rate_hz": 1000.0},
        {"song_rate_hz": 1e6},
        {"begin_s": 1e4},
        {"reach_s": 60.0},
        {"fade_s": 0.0},
        {"turns": []},
        {"turns": [("stereo", 0.0, 60.0)]},
        {"turns": [("stereo", 3.0, 2.0)]},
        {"turns": [("stereo", float("nan"), 2.0)]},
    ],
)
def test_quantities_out_of_range_are_refused(change: dict[str, Any]) -> None:
    given: dict[str, Any] = {
        "recording": bytes(4), "rate_hz": 48000.0, "begin_s": 0.0, "song": bytes(8), "song_rate_hz": 44100.0,
        "turns": [("stereo", 0.0, 3.0)], "fade_s": 0.2, "reach_s": 0.8,
    }  # fmt: skip
    given["recording"] = memoryview(given["recording"]).cast("f")
    given["song"] = memoryview(given["song"]).cast("f")
    with pytest.raises(ValueError, match="range"):
        _native.find_song(**(given | change))


@pytest.mark.slow
@pytest.mark.parametrize("setting", SETTINGS, ids=lambda setting: setting.name)
def test_no_machine_is_heard_at_a_wrong_time(setting: Any) -> None:
    results = [measure(setting, np.random.default_rng([1, number]), number) for number in range(3)]
    errors_s = [abs(error_s) for one in results for error_s in one.errors_s]
    assert errors_s and max(errors_s) < 0.001 and float(np.percentile(errors_s, 95)) < 0.0003
