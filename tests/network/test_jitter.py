from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from phaselock.network import jitter
from phaselock.network.jitter import Jitter

MS = 1_000_000


def probed(delays_ns: list[int], found: Jitter | None = None, *, doubt: bool = False) -> Jitter:
    found = found or Jitter()
    for delay_ns in delays_ns:
        found.probed(delay_ns)
    found.end_probes(doubt=doubt)
    return found


def trials(found: Jitter, rate_of: dict[bool, float], count: int) -> list[int]:
    """The waits in `count` trials, in which a longer wait (True) and a shorter one get these bytes per ns."""
    waits, received = list[int](), 0.0
    for number in range(1, count + 1):
        found.paused(int(received), number * jitter.TRIAL_NS)
        waits.append(found.wait_ns)
        received += rate_of[number % 2 == 1] * jitter.TRIAL_NS
    return waits


def test_equal_delays_are_no_jitter() -> None:
    assert probed([50 * MS] * 8).wait_ns == 0


def test_little_jitter_does_not_count() -> None:
    assert probed([MS, MS + jitter.NOISE_NS] * 4).wait_ns == 0


def test_the_jitter_of_many_probes_is_their_mean_distance_from_the_fastest() -> None:
    rng, found = random.Random(1), Jitter()
    for _ in range(200):
        probed([round((2 + rng.expovariate(1 / 8)) * MS) for _ in range(4)], found)
    assert 6 * MS < found.jitter_ns < 10 * MS


def test_a_queue_of_others_that_comes_and_goes_is_no_jitter() -> None:
    found = Jitter()
    for queue_ms in (0, 40, 3, 25):
        probed([queue_ms * MS + MS] * 4, found)
    assert found.jitter_ns == 0


def test_one_probe_says_something_only_with_the_next_one() -> None:
    found = probed([5 * MS])
    assert found.jitter_ns == 0
    assert probed([9 * MS], found).jitter_ns == 4 * MS


def test_a_doubtful_jitter_is_given_up_for_a_smaller_one() -> None:
    found = probed([MS, 9 * MS])
    assert probed([MS, 2 * MS], found, doubt=True).jitter_ns == MS
    found = probed([MS, 2 * MS])
    assert probed([MS, 9 * MS], found, doubt=True).jitter_ns == MS


def test_a_longer_wait_is_kept_where_more_arrives() -> None:
    waits = trials(probed([MS, 9 * MS] * 4), {True: 1.3, False: 1.0}, 20)
    assert waits[-2] > 1.4 * waits[0]


def test_a_longer_wait_is_given_up_where_it_is_a_queue() -> None:
    waits = trials(probed([MS, 9 * MS] * 4), {True: 1.05, False: 1.0}, 20)
    assert waits[-2] < 0.85 * waits[0]


def test_pauses_within_a_trial_do_not_end_it() -> None:
    found = probed([MS, 9 * MS] * 4)
    found.paused(0, jitter.TRIAL_NS)
    wait_ns = found.wait_ns
    found.paused(10**9, jitter.TRIAL_NS * 3 // 2)
    assert found.wait_ns == wait_ns


@given(
    st.lists(
        st.tuples(st.lists(st.integers(1, 10**11), max_size=8), st.booleans(), st.integers(0, 10**10)), max_size=60
    )
)
def test_whatever_happens_the_wait_stays_in_its_bounds(steps: list[tuple[list[int], bool, int]]) -> None:
    found, now_ns, received = Jitter(), 0, 0
    for delays_ns, doubt, later in steps:
        probed(delays_ns, found, doubt=doubt)
        now_ns, received = now_ns + later, received + later // 7
        found.paused(received, now_ns)
        assert 0 <= found.jitter_ns <= jitter.MAX_JITTER_NS
        assert 0 <= found.wait_ns <= jitter.MAX_JITTER_NS * jitter.MAX_PARTS * jitter.TRIAL
