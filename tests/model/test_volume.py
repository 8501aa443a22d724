from __future__ import annotations

import math

import pytest

from phaselock.model.volume import gain_of, volume_of


@pytest.mark.parametrize(("volume", "db"), [(1.0, 0.0), (0.5, -18.06), (0.1, -60.0)])
def test_the_curve_is_the_cube(volume: float, db: float) -> None:
    assert 20 * math.log10(gain_of(volume)) == pytest.approx(db, abs=0.01)


@pytest.mark.parametrize("gain", [0.0, 0.001, 0.3, 1.0])
def test_a_gain_has_a_volume(gain: float) -> None:
    assert gain_of(volume_of(gain)) == pytest.approx(gain, abs=2e-4)
