from __future__ import annotations

import itertools

import pytest

from phaselock.model import sweeps as calibration
from phaselock.model.sweeps import CLEAR_NS, GAP_NS, MAX_HIDDEN_NS, SWEEP_NS, length_ns, schedule


@pytest.mark.parametrize(("machines", "repeats", "seconds"), [(6, 3, 6.8), (6, 2, 4.6), (1, 3, 2.0), (2, 3, 3.0)])
def test_a_pass_is_short(machines: int, repeats: int, seconds: float) -> None:
    assert length_ns(schedule(machines, repeats)) <= seconds * 1e9


@pytest.mark.parametrize(("machines", "repeats"), [(1, 2), (2, 3), (6, 2), (6, 3), (64, 3)])
def test_every_machine_has_its_sounds_and_no_two_meet(machines: int, repeats: int) -> None:
    sounds = schedule(machines, repeats)
    assert sounds == schedule(machines, repeats)
    assert [len(one.starts_ns) for one in sounds] == [repeats + 1] + [repeats] * (machines - 1)
    starts_ns = sorted(start_ns for one in sounds for start_ns in one.starts_ns)
    assert starts_ns[0] == sounds[0].starts_ns[0] == 0
    assert starts_ns[-1] == sounds[0].starts_ns[-1]
    assert all(after - before >= SWEEP_NS + GAP_NS for before, after in itertools.pairwise(starts_ns))


@pytest.mark.parametrize(("machines", "repeats"), [(1, 3), (2, 3), (3, 2), (6, 3), (17, 3)])
def test_at_no_delay_two_sounds_of_another_machine_are_where_two_of_this_one_are_searched(
    machines: int, repeats: int
) -> None:
    sounds = schedule(machines, repeats)
    for mine, theirs in itertools.product(sounds, sounds):
        lags_ns = sorted(
            (there_ns - here_ns, here_ns, there_ns)
            for here_ns in mine.starts_ns
            for there_ns in theirs.starts_ns
            if abs(there_ns - here_ns) <= 2 * MAX_HIDDEN_NS and (mine is not theirs or here_ns != there_ns)
        )
        for (one_ns, *one), (other_ns, *other) in itertools.pairwise(lags_ns):
            assert other_ns - one_ns >= CLEAR_NS or one[0] == other[0] or one[1] == other[1]


@pytest.mark.parametrize(("machines", "repeats"), [(0, 3), (65, 3), (6, 1), (6, 9)])
def test_other_numbers_are_refused(machines: int, repeats: int) -> None:
    with pytest.raises(ValueError, match="machines"):
        calibration.schedule(machines, repeats)
