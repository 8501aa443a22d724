"""Immutable values behave as frozen dataclasses with slots do."""

from __future__ import annotations

import dataclasses
import math
import pathlib
from collections.abc import Callable
from typing import Any

import pytest

from phaselock.frozen import frozen


@frozen
class Point:
    """A place."""

    x: int
    y: int = 2
    notes: list[str] = dataclasses.field(default_factory=list, repr=False, compare=False)


@frozen
class Deep(Point):
    z: float = 0.5
    found: dict[str, int] = dataclasses.field(default_factory=dict, init=False, compare=False)


@frozen
class Empty:
    pass


@frozen
class Alone:
    value: object

    def __repr__(self) -> str:
        return "alone"


@frozen
class Checked:
    value: int

    def __post_init__(self) -> None:
        if self.value < 0:
            raise ValueError(f"{self.value} is too small")


def test_values_are_given_by_place_or_by_name_or_are_those_of_the_class() -> None:
    assert (Point(1).x, Point(1).y, Point(1, 3).y, Point(y=4, x=1).y) == (1, 2, 3, 4)
    assert Point(1).notes is not Point(1).notes
    assert (Deep(1, 2, ["a"], 1.5).z, Deep(1).found, Deep(1, z=2).z) == (1.5, {}, 2)


@pytest.mark.parametrize(
    ("make", "what"),
    [
        (lambda kind: kind(), "Point needs x"),
        (lambda kind: kind(1, 2, [], 4), "Point has too many values"),
        (lambda kind: kind(1, z=2), "Point has no z"),
        (lambda kind: kind(1, x=2), "Point has too many values"),
    ],
)
def test_values_that_do_not_fit_are_refused(make: Callable[[Any], object], what: str) -> None:
    with pytest.raises(TypeError, match=what):
        make(Point)


def test_values_are_checked_by_the_class() -> None:
    with pytest.raises(ValueError, match="-1"):
        Checked(-1)
    assert Checked(1) == dataclasses.replace(Checked(2), value=1)


def test_equal_values_of_one_class_are_equal() -> None:
    assert Point(1, notes=["a"]) == Point(1) != Point(2)
    assert Point(1) != Deep(1)
    assert len({Point(1), Point(1, 2, ["a"]), Point(1, 3), Empty(), Empty(), Alone(1), Alone(1)}) == 4
    assert Alone(math.nan) != Alone(-math.nan)
    assert Alone(value := math.nan) == Alone(value)


def test_nothing_changes() -> None:
    point: Any = Point(1)
    for change in (lambda: setattr(point, "x", 2), lambda: setattr(point, "new", 2), lambda: delattr(point, "x")):
        with pytest.raises(dataclasses.FrozenInstanceError):
            change()
    assert point.x == 1
    assert not hasattr(point, "__dict__")


def test_they_are_dataclasses() -> None:
    assert dataclasses.replace(Deep(1), y=5) == Deep(1, 5)
    assert dataclasses.asdict(Point(1, notes=["a"])) == {"x": 1, "y": 2, "notes": ["a"]}
    match Point(3, 4):
        case Point(x, y):
            assert (x, y) == (3, 4)


def test_the_text_of_a_value_names_its_fields_unless_its_class_writes_another() -> None:
    assert (repr(Point(1)), repr(Alone(1))) == ("Point(x=1, y=2)", "alone")
    assert repr(Deep(1)) == "Deep(x=1, y=2, z=0.5, found={})"


def test_they_share_their_methods() -> None:
    for name in ("__init__", "__eq__", "__hash__", "__setattr__", "__delattr__"):
        assert getattr(Point, name) is getattr(Empty, name)
    assert (Point.__doc__, Empty.__doc__) == ("A place.", "Empty")


def test_the_program_makes_its_immutable_values_with_it() -> None:
    other = "@dataclasses.dataclass(frozen=True, slots=True)\n"
    paths = (pathlib.Path(__file__).parent.parent / "phaselock").rglob("*.py")
    assert [path.name for path in paths if other in path.read_text("utf-8")] == []
