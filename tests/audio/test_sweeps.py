from __future__ import annotations

import ctypes

import numpy as np
import pytest

from phaselock.audio import sweeps
from phaselock.model.sweeps import HIGH_HZ, LEVEL, LOW_HZ, RATE_HZ, schedule


def read(source: sweeps.SweepSource, block: int) -> np.ndarray:
    """Everything up to the end, in such blocks: (frames, 2)."""
    buffer = (ctypes.c_float * (2 * block))()
    found = []
    while frames := source.read_into(ctypes.addressof(buffer), block):
        found.append(np.array(buffer[: 2 * frames], np.float32).reshape(-1, 2))
    return np.concatenate(found)


@pytest.mark.parametrize(("machine", "block"), [(0, 8192), (1, 777)])
def test_a_track_has_the_sweeps_of_its_machine(machine: int, block: int) -> None:
    sounds = schedule(3, 2)[machine]
    stereo = read(sweeps.SweepSource(sounds), block)
    wanted = np.zeros_like(stereo)
    sweep = np.array(sweeps.sweep(sounds.upward))
    for start_ns in sounds.starts_ns:
        first = start_ns * RATE_HZ // 10**9
        wanted[first : first + len(sweep)] = sweep[:, None]
    assert np.array_equal(stereo, wanted)


def test_reading_continues_after_a_seek_and_ends_at_the_end() -> None:
    source = sweeps.SweepSource(schedule(2, 2)[1])
    whole = read(source, 4096)
    for frame in (0, 16_000, len(whole) - 1):
        source.seek(frame)
        assert np.array_equal(read(source, 1000), whole[frame:])
    source.seek(len(whole) + 5)
    assert source.read_into(ctypes.addressof((ctypes.c_float * 2)()), 1) == 0
    source.close()


@pytest.mark.parametrize("upward", [True, False])
def test_a_sweep_is_in_its_band_and_has_no_click(upward: bool) -> None:
    sweep = np.array(sweeps.sweep(upward), float)
    assert 0.99 * LEVEL < np.max(np.abs(sweep)) <= np.float32(LEVEL)
    assert np.max(np.abs(sweep[[0, -1]])) < 1e-4
    power = np.abs(np.fft.rfft(sweep)) ** 2
    hz = np.fft.rfftfreq(len(sweep), 1 / RATE_HZ)
    assert np.sum(power[(hz > 0.9 * LOW_HZ) & (hz < 1.1 * HIGH_HZ)]) > 0.999 * np.sum(power)
    middle = len(sweep) // 2
    lower, higher = (sweep[:middle], sweep[middle:]) if upward else (sweep[middle:], sweep[:middle])
    crossings = [np.count_nonzero(np.diff(np.sign(half))) for half in (lower, higher)]
    assert crossings[1] > 3 * crossings[0]
