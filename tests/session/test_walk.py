"""The differences of loudspeakers that a microphone hears from beside each of them."""

from __future__ import annotations

import math
import random

import pytest

from phaselock.model.calibration import travel_ns
from phaselock.session.host.walk import MAX_CONTRADICTION_NS, Walk

MS = 1_000_000


class Room:
    """Loudspeakers that play at different times. A machine may be carried."""

    def __init__(self, count: int, *, carried: int | None = None, seed: int = 1) -> None:
        self.random = random.Random(seed)
        self.late_ns = [self.random.randrange(200 * MS) for _ in range(count)]
        self.places = [(self.random.uniform(0, 10), self.random.uniform(0, 10)) for _ in range(count)]
        self.carried = carried

    def beside(self, place: int, *deaf: int, error_ns: int = 0) -> dict[int, int]:
        """What a microphone beside this loudspeaker hears, without the deaf ones."""
        zero_ns = self.random.randrange(10**9)
        return {
            k: zero_ns + late_ns + self.travel_ns(place, k) + self.random.randint(-error_ns, error_ns)
            for k, late_ns in enumerate(self.late_ns)
            if k not in deaf
        }

    def travel_ns(self, place: int, k: int) -> int:
        return 0 if k == self.carried else travel_ns(math.dist(self.places[place], self.places[k]))

    def expected_ns(self) -> dict[int, int]:
        return {k: one - min(self.late_ns) for k, one in enumerate(self.late_ns)}


def walked(room: Room, *deaf: int, error_ns: int = 0) -> Walk:
    walk = Walk(range(len(room.late_ns)), room.carried)
    while (place := walk.place) is not None:
        walk.take(room.beside(place, *deaf, error_ns=error_ns))
    return walk


@pytest.mark.parametrize("carried", [None, 0, 1])
@pytest.mark.parametrize("count", [2, 3, 6])
def test_no_distance_has_to_be_known(count: int, carried: int | None) -> None:
    room = Room(count, carried=carried)
    walk = walked(room)
    assert walk.late_ns() == pytest.approx(room.expected_ns(), abs=3)
    assert walk.contradiction_ns() < 3
    assert walk.steps == (count if carried is None else count - 1)


def test_errors_are_shared() -> None:
    """Each machine is heard several times: no error is larger than that of one difference."""
    for seed in range(20):
        room = Room(5, seed=seed)
        assert walked(room, error_ns=100_000).late_ns() == pytest.approx(room.expected_ns(), abs=250_000)


@pytest.mark.parametrize("carried", [None, 0])
def test_a_machine_that_is_not_heard_is_left_out(carried: int | None) -> None:
    room = Room(4, carried=carried)
    walk = walked(room, 2)
    late_ns = [one for k, one in enumerate(room.late_ns) if k != 2]
    assert walk.late_ns() == pytest.approx(
        {k: one - min(late_ns) for k, one in enumerate(room.late_ns) if k != 2}, abs=3
    )


def test_a_carried_machine_connects_rooms_that_do_not_hear_each_other() -> None:
    room = Room(4, carried=1)
    walk = Walk(range(4), 1)
    while (place := walk.place) is not None:
        walk.take(room.beside(place, *({0, 2, 3} - {place})))
    assert walk.late_ns() == pytest.approx(room.expected_ns(), abs=3)
    assert walk.heard_last().keys() == {1, 3} and walk.references() == [1, 3]


def test_rooms_that_nothing_connects_are_not_compared() -> None:
    room = Room(5)
    walk = Walk(range(5), None)
    while (place := walk.place) is not None:
        walk.take(room.beside(place, *((0, 1) if place > 1 else (2, 3, 4))))
    assert walk.late_ns().keys() == {2, 3, 4}


def test_what_was_not_heard_beside_the_loudspeakers_contradicts_itself() -> None:
    room = Room(2)
    walk = Walk(range(2), None)
    walk.take(room.beside(1))  # the wrong one
    walk.take(room.beside(0))
    assert walk.contradiction_ns() > MAX_CONTRADICTION_NS
    room = Room(3, carried=0)
    walk = Walk(range(3), 0)
    walk.take(room.beside(1))
    walk.take({k: one + 9 * MS * (k == 0) for k, one in room.beside(2).items()})
    assert walk.contradiction_ns() > MAX_CONTRADICTION_NS


def test_a_place_may_be_skipped() -> None:
    walk = Walk((0, 2, 3), 2)
    assert (walk.place, walk.step, walk.steps, walk.is_carried) == (0, 1, 2, True)
    assert walk.unheard({2: 0}) == 0 and walk.unheard({0: 0}) == 2 and walk.unheard({0: 0, 2: 0}) is None
    walk.skip()
    assert (walk.place, walk.step) == (3, 2)
    walk.take({2: 0, 3: 5})
    assert walk.place is None and walk.late_ns() == {2: 0, 3: 5}
    assert Walk((0, 1), None).unheard({0: 0}) is None


def test_nothing_is_known_without_places() -> None:
    walk = Walk((0, 1), 0)
    walk.skip()
    assert walk.late_ns() == {} and walk.heard_last() == {} and walk.references() == [] and walk.contradiction_ns() == 0
