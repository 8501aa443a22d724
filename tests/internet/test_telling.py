"""How often the child process that talks to the router tells a change."""

from __future__ import annotations

from phaselock.internet.state import RouterState
from phaselock.internet.telling import AT_ONCE, EVERY_S, Telling

STATES = [RouterState(public=f"45.32.1.{number % 200}") for number in range(6000)]


def test_a_router_that_changes_its_mind_without_end_is_told_seldom_and_the_last_state_in_any_case() -> None:
    telling = Telling()
    told = [state for number, state in enumerate(STATES) if telling.take(state, number / 100)]
    assert told == STATES[:AT_ONCE]
    due_s = telling.next_s(STATES[-1])
    assert due_s == EVERY_S
    assert telling.take(STATES[-1], due_s) and telling.next_s(STATES[-1]) == float("inf")


def test_what_changes_now_and_then_is_told_at_once() -> None:
    telling = Telling()
    assert all(telling.take(state, number * EVERY_S / AT_ONCE) for number, state in enumerate(STATES[:100]))
    assert not telling.take(STATES[99], 1e9)
