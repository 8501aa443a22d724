"""Songs on paths of several kinds, in virtual time: the use of the path, and the clock beside them."""

from __future__ import annotations

import numpy as np
import pytest

from phaselock.bench.benchmarks import air
from phaselock.bench.lab.air import Channel, carried_mbit, sent_mbit


@pytest.mark.parametrize(("others", "least"), [(0.1, 0.75), (0.6, 0.8)])
def test_a_crowded_radio_is_used(others: float, least: float) -> None:
    channel = Channel(others)
    assert sent_mbit(channel, "1", 6) > least * carried_mbit(channel, "1", 6)


@pytest.mark.parametrize("name", sorted({*air.PATHS} - {"beside a download", "jitter of every packet"}))
def test_the_path_is_used_and_the_clock_stays_right(name: str) -> None:
    found = [air.measure(name, seed) for seed in (1, 2, 3)]
    assert np.mean([one.sent_mbit / one.carried_mbit for one in found]) > 0.8
    with_songs, quiet = (
        np.percentile(np.concatenate(errors_us), 95)
        for errors_us in ([one.errors_us for one in found], [one.quiet_errors_us for one in found])
    )
    assert with_songs < quiet + 25  # a few minutes give no exact percentile


def test_jitter_of_every_packet_is_told_from_a_queue() -> None:
    path = air.PATHS["jitter of every packet"]
    assert np.mean([sent_mbit(path, str(seed), 30) / carried_mbit(path, str(seed), 30) for seed in range(4)]) > 0.7
