"""Where the sound of a track begins and ends."""

from __future__ import annotations

import numpy as np
import pytest

from phaselock._native import SoundRange


def sound_range(left: list[float], right: list[float] | None = None, block: int = 1000) -> tuple[int, int]:
    stereo = np.stack([left, right or [0.0] * len(left)], 1).astype(np.float32).ravel()
    found = SoundRange()
    for at in range(0, len(stereo), 2 * block):
        found.feed(stereo[at : at + 2 * block])
    return found.begin_frame, found.end_frame


@pytest.mark.parametrize("block", [1, 3, 7, 1000])
def test_from_the_first_to_the_last_frame_of_either_channel(block: int) -> None:
    assert sound_range([0, 0, 0.5, 0, 0, 0, 0], [0, 0, 0, 0, -0.5, 0, 0], block) == (2, 5)
    assert sound_range([0.5, 0, 0, 0, 0], None, block) == (0, 1)
    assert sound_range([0, 0, 0, 0, -0.5], None, block) == (4, 5)


def test_minus_60_db_is_the_limit() -> None:
    assert sound_range([0.00099, 0.00101, 0, 0.00101, 0.00099]) == (1, 4)
    assert sound_range([0, float("nan"), 0.5, float("nan")]) == (2, 3)


def test_nothing_of_a_silent_track_is_cut() -> None:
    assert sound_range([0, 0.0005, 0], block=2) == (0, 3)
    assert sound_range([]) == (0, 0)
