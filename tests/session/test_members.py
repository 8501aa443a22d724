"""The states of a transfer and of a member at the host."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import pytest

from phaselock.session.host.budgets import Budget
from phaselock.session.host.members import (
    NEXT_ATTENDANCE,
    NEXT_DELIVERY,
    Attendance,
    Delivery,
    Member,
    Reports,
    Transfer,
)

RUNNING, PAUSING, RECEIVED, GIVEN_UP = Delivery.RUNNING, Delivery.PAUSING, Delivery.RECEIVED, Delivery.GIVEN_UP
WAITED_FOR, CATCHING_UP = Attendance.WAITED_FOR, Attendance.CATCHING_UP
SKIPPED, SKIPPED_CATCHING_UP = Attendance.SKIPPED, Attendance.SKIPPED_CATCHING_UP

STEPS: dict[str, tuple[Callable[[Transfer], None], Delivery]] = {
    "received": (Transfer.received, RECEIVED),
    "pause": (lambda transfer: transfer.pause(5), PAUSING),
    "give up": (Transfer.give_up, GIVEN_UP),
    "try again": (Transfer.try_again, RUNNING),
}

DECISIONS: dict[str, Callable[[Member], None]] = {
    "skip": Member.skip,
    "include": Member.include,
    "leave behind": Member.leave_behind,
    "caught up": Member.caught_up,
}

# The state after each decision, in the order of DECISIONS; None for one that cannot be made in this state.
ATTENDANCES: dict[Attendance, tuple[Attendance | None, ...]] = {
    WAITED_FOR: (SKIPPED, WAITED_FOR, CATCHING_UP, None),
    CATCHING_UP: (SKIPPED_CATCHING_UP, CATCHING_UP, None, WAITED_FOR),
    SKIPPED: (SKIPPED, WAITED_FOR, None, None),
    SKIPPED_CATCHING_UP: (SKIPPED_CATCHING_UP, CATCHING_UP, None, SKIPPED),
}


def member(attendance: Attendance) -> Member:
    return Member(1, 1, "Ana", bytes(16), 0, Reports(0), "10.0.0.1", Budget(), attendance)


@pytest.mark.parametrize("name", STEPS)
@pytest.mark.parametrize("before", Delivery)
def test_every_step_in_every_state_of_a_transfer(before: Delivery, name: str) -> None:
    step, after = STEPS[name]
    transfer = Transfer(1000, before, done_bytes=400, reported_tenths=4)
    if after in NEXT_DELIVERY[before]:
        step(transfer)
        assert transfer.state is after
        assert transfer.done_bytes == {RECEIVED: 1000, RUNNING: 400}.get(after, 0)
        assert transfer.tries == (2 if after is RUNNING else 1)
    else:
        with pytest.raises(AssertionError):
            step(transfer)
        assert transfer == Transfer(1000, before, done_bytes=400, reported_tenths=4)


def test_the_steps_reach_every_transition_of_a_transfer() -> None:
    assert set().union(*NEXT_DELIVERY.values()) == {after for _, after in STEPS.values()}
    assert NEXT_DELIVERY == {
        RUNNING: {RECEIVED, PAUSING, GIVEN_UP},
        PAUSING: {RUNNING},
        RECEIVED: set(),
        GIVEN_UP: set(),
    }


@pytest.mark.parametrize(("number", "name"), list(enumerate(DECISIONS)))
@pytest.mark.parametrize("before", Attendance)
def test_every_decision_in_every_state_of_a_member(before: Attendance, number: int, name: str) -> None:
    ana, after = member(before), ATTENDANCES[before][number]
    if after is None:
        with pytest.raises(AssertionError):
            DECISIONS[name](ana)
        assert ana.attendance is before
    else:
        DECISIONS[name](ana)
        assert ana.attendance is after


def test_the_table_of_attendances_has_those_that_occur_and_no_others() -> None:
    assert NEXT_ATTENDANCE == {
        before: {after for after in row if after is not None} - {before} for before, row in ATTENDANCES.items()
    }


@pytest.mark.parametrize(("before", "after"), list(itertools.product(Attendance, Attendance)))
def test_another_change_of_attendance_is_a_bug(before: Attendance, after: Attendance) -> None:
    ana = member(before)
    if after in NEXT_ATTENDANCE[before]:
        ana.become(after)
        assert ana.attendance is after
    else:
        with pytest.raises(AssertionError):
            ana.become(after)


def test_playback_waits_for_a_member_that_is_neither_skipped_nor_catching_up() -> None:
    assert [one for one in Attendance if member(one).waited_for] == [WAITED_FOR]
