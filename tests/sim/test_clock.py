"""The clock of the simulations."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tests.support.virtual_clock import VirtualClock

SECOND = 10**9


@given(
    ppm=st.floats(-500, 500),
    changes=st.lists(st.tuples(st.sampled_from(["step", "stand still", "run"]), st.integers(0, 10**7)), max_size=4),
    asked_ns=st.integers(0, 30 * SECOND),
)
def test_the_true_time_of_a_local_time_is_the_first_one(
    ppm: float, changes: list[tuple[str, int]], asked_ns: int
) -> None:
    clock = VirtualClock(10**15, ppm)
    for number, (kind, amount) in enumerate(changes, 1):
        at_ns = number * 3 * SECOND + amount
        if kind == "step":
            clock.step(at_ns, amount)
        elif kind == "stand still":
            clock.stand_still(at_ns, amount)
        else:
            clock.run_at(at_ns, amount / 10**5)
    local_ns = clock.local(asked_ns)
    first_ns = clock.true(local_ns)
    assert first_ns <= asked_ns
    assert clock.local(first_ns) == local_ns
    assert first_ns == 0 or clock.local(first_ns - 1) < local_ns


def test_a_clock_runs_steps_and_stands_still() -> None:
    clock = VirtualClock(500, 100.0)
    assert clock.local(SECOND) == 500 + SECOND + 100_000
    clock.step(SECOND, 7)
    clock.stand_still(2 * SECOND, 5)
    assert clock.local(2 * SECOND) == clock.local(2 * SECOND + 5) == 500 + 2 * SECOND + 200_000 + 7
