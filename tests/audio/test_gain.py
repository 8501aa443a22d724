"""The gain of a track: exact, and without jumps."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from phaselock.audio.gain import Gain

RATE_HZ = 8000


def applied(gain: Gain, frames: int, block: int = 777) -> npt.NDArray[np.float32]:
    """The factor of each frame and channel, shape (frames, 2)."""
    sound = np.ones((frames, 2), np.float32)
    for at in range(0, frames, block):
        gain.apply(sound[at:].ctypes.data, min(block, frames - at))
    return sound


@pytest.mark.parametrize("gain_db", [-24.0, -6.0, 0.0, 3.3, 12.0])
def test_a_gain_is_exact(gain_db: float) -> None:
    assert applied(Gain(gain_db, RATE_HZ), 2000) == pytest.approx(10 ** (gain_db / 20), rel=1e-6)


def test_a_change_takes_a_second_and_never_jumps() -> None:
    gain = Gain(0.0, RATE_HZ)
    applied(gain, 100)
    gain.aim(-12.0)
    gain.aim(-12.0)
    factors = applied(gain, 2 * RATE_HZ)
    assert np.array_equal(factors[:, 0], factors[:, 1])
    assert np.abs(np.diff(factors[:, 0])).max() < 1.01 * (1 - 10 ** (-12 / 20)) / RATE_HZ
    assert factors[RATE_HZ // 2, 0] == pytest.approx((1 + 10 ** (-12 / 20)) / 2, abs=0.001)
    assert factors[RATE_HZ:] == pytest.approx(10 ** (-12 / 20), rel=1e-6)


def test_a_change_during_a_change_begins_where_that_one_is() -> None:
    gain = Gain(-24.0, RATE_HZ)
    gain.aim(12.0)
    before = applied(gain, RATE_HZ // 2)[-1, 0]
    gain.aim(-6.0)
    after = applied(gain, 2 * RATE_HZ)
    assert after[0, 0] == pytest.approx(before, abs=0.001)
    assert after[-1, 0] == pytest.approx(10 ** (-6 / 20), rel=1e-6)
