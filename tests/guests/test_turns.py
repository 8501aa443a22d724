"""The share of the network thread's time that guests may take, on a virtual clock."""

from __future__ import annotations

import heapq
import itertools
import types
from collections.abc import Callable, Generator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from phaselock.guests import turns
from phaselock.guests.turns import Turns


class World:
    """A network thread that does nothing but the turns. Work takes the time that it says."""

    def __init__(self) -> None:
        self.now_s = 1000.0
        self.worked_s = 0.0
        self.done: list[str] = []
        self._planned: list[tuple[float, int, Callable[[], None]]] = []
        self._numbers = itertools.count()
        self.turns = Turns(lambda: self.now_s, self._later)

    def line_up(self, ip: str, *costs_s: float) -> None:
        """A connection at this address has this many requests, each of which takes its time."""
        left = list(costs_s)

        def work() -> bool:
            self.now_s += left[0]
            self.worked_s += left.pop(0)
            self.done.append(ip)
            return bool(left)

        self.turns.line_up(ip, work)

    def run(self, until_s: float) -> None:
        while self._planned and self._planned[0][0] <= until_s:
            at_s, _, function = heapq.heappop(self._planned)
            self.now_s = max(self.now_s, at_s)
            function()
            assert len(self._planned) <= 1, "one turn is planned at a time"
        self.now_s = max(self.now_s, until_s)

    def _later(self, pause_s: float, function: Callable[[], None]) -> None:
        heapq.heappush(self._planned, (self.now_s + pause_s, next(self._numbers), function))


@given(st.lists(st.tuples(st.sampled_from("abc"), st.floats(0.0, 0.01)), max_size=60), st.floats(0.001, 5.0))
def test_guests_take_their_share_of_time_and_no_more(works: list[tuple[str, float]], span_s: float) -> None:
    world = World()
    for ip, cost_s in works:
        world.line_up(ip, cost_s)
    world.run(world.now_s + span_s)
    assert world.worked_s <= turns.SHARE * (span_s + turns.SPAN_S) + 0.01 + 1e-9  # one work may exceed what is left
    world.run(world.now_s + 1000.0)
    assert sorted(world.done) == sorted(ip for ip, _ in works)


def test_a_crowd_delays_a_guest_by_one_request_of_each_address() -> None:
    world = World()
    for ip in ("a", "b", "c"):
        for _ in range(50):
            world.line_up(ip, 0.001, 0.001)
    world.line_up("honest", 0.001)
    world.run(world.now_s + 1000.0)
    assert world.done.index("honest") == 3 and len(world.done) == 301


def test_one_connection_with_many_requests_lets_others_of_its_address_go_first() -> None:
    world, done = World(), []
    left = [1, 1, 1]
    world.turns.line_up("a", lambda: done.append("many") or bool(left and left.pop()))  # type: ignore[func-returns-value]
    world.turns.line_up("a", lambda: done.append("one") or False)  # type: ignore[func-returns-value]
    world.run(world.now_s + 1.0)
    assert done == ["many", "one", "many", "many", "many"]


def test_a_guest_who_comes_while_no_time_is_left_waits_as_well() -> None:
    world = World()
    world.line_up("a", 0.030)
    world.run(world.now_s)
    world.line_up("b", 0.001)
    world.run(world.now_s + 0.1)
    assert world.done == ["a"]
    world.run(world.now_s + 1.0)
    assert world.done == ["a", "b"]


def test_what_a_request_has_begun_takes_time_of_the_next_turns() -> None:
    world, steps = World(), []

    @types.coroutine
    def wait() -> Generator[None, None, None]:
        yield

    async def begun() -> None:
        for _ in range(2):
            world.now_s += 0.030
            try:
                await wait()
            except ZeroDivisionError:
                steps.append("failed")
            else:
                steps.append("done")

    running = world.turns.counted(begun()).__await__()
    next(running)
    world.line_up("a", 0.001)
    world.run(world.now_s + 0.1)
    assert not world.done
    assert next(running, "waits") is None
    with pytest.raises(StopIteration):
        running.throw(ZeroDivisionError())
    assert steps == ["done", "failed"]
    world.run(world.now_s + 1.0)
    assert world.done == ["a"]


def test_an_exception_does_not_stop_the_others() -> None:
    world = World()

    def fail() -> bool:
        raise ZeroDivisionError

    world.turns.line_up("a", fail)
    world.line_up("b", 0.001)
    with pytest.raises(ZeroDivisionError):
        world.run(world.now_s + 1.0)
    world.run(world.now_s + 1.0)
    assert world.done == ["b"]
