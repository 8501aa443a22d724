"""Songs on paths of several kinds, in virtual time: the use of the path, and the clock beside them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from phaselock.bench.benchmarks import air
from phaselock.bench.lab.air import DOWN, S_NS, UP, Channel, Loop, carried_mbit, medium_of, sent_mbit


@pytest.mark.parametrize(("others", "least"), [(0.1, 0.75), (0.6, 0.8)])
def test_a_crowded_radio_is_used(others: float, least: float) -> None:
    channel = Channel(others)
    assert sent_mbit(channel, "1", 6) > least * carried_mbit(channel, "1", 6)


def test_a_ping_takes_as_long_as_without_the_song_before_it() -> None:
    assert _ping_ns(song_bytes=100_000) == _ping_ns(song_bytes=0)


def _ping_ns(song_bytes: int) -> list[int]:
    """When a ping of a second after the song has begun arrives."""
    loop, arrived_ns = Loop(), list[int]()
    radio = medium_of(loop, Channel(0.6), "1")
    radio.stream(DOWN, song_bytes, lambda: None)
    loop.run(S_NS)
    radio.datagram(UP, 37, lambda: arrived_ns.append(loop.now_ns))
    loop.run(2 * S_NS)
    return arrived_ns


@pytest.mark.parametrize("name", ["calm Wi-Fi", "wired, 100 Mbit/s", "wired, 5 Mbit/s"])
def test_the_path_is_used_and_the_clock_stays_right(name: str) -> None:
    found = [air.measure(name, seed, songs=4) for seed in (1, 2, 3)]
    assert np.mean([one.sent_mbit / one.carried_mbit for one in found]) > 0.8
    with_songs, quiet = _p95_us(found)
    assert with_songs < quiet + 25  # a few minutes give no exact percentile


def test_songs_use_crowded_air_and_the_clock_stays_as_right_as_without_them() -> None:
    ratios = list[float]()
    for name in ("crowded Wi-Fi", "crowded Wi-Fi without priorities", "very crowded Wi-Fi"):
        found = [air.measure(name, seed) for seed in range(1, 5)]
        assert np.mean([one.sent_mbit / one.carried_mbit for one in found]) > 0.85
        with_songs, quiet = _p95_us(found)
        ratios.append(with_songs / quiet)
    assert np.mean(ratios) < 1.1  # each of them is uncertain by 0.1


def _p95_us(found: Sequence[air.AirResult]) -> tuple[float, float]:
    """Of the errors with songs and without."""
    with_songs, quiet = (
        np.concatenate([getattr(one, key) for one in found]) for key in ("errors_us", "quiet_errors_us")
    )
    return float(np.percentile(with_songs, 95)), float(np.percentile(quiet, 95))


def test_jitter_of_every_packet_is_told_from_a_queue() -> None:
    path = air.PATHS["jitter of every packet"]
    assert np.mean([sent_mbit(path, str(seed), 30) / carried_mbit(path, str(seed), 30) for seed in range(4)]) > 0.7
