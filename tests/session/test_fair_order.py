"""The order of the songs that wait: rounds, votes within a round, age; a function of the state alone."""

from __future__ import annotations

import itertools
import random
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from phaselock.model.party import Order
from phaselock.model.queue import QueueEntry
from phaselock.session.host.fair_order import Rounds, in_order, moved
from phaselock.session.person_keys import FALLBACK_KEY
from tests.support.simulation import a_track


def entry(number: int, asker: str) -> QueueEntry:
    return QueueEntry(a_track(number), asker, asker=asker, number=number)


def order(
    rows: list[QueueEntry],
    *,
    played: int = 0,
    fixed: set[int] = frozenset(),  # type: ignore[assignment]
    votes: dict[int, int] | None = None,
    rounds: Rounds | None = None,
    by: Order = Order.FAIR,
) -> list[int]:
    """The numbers of the songs in their order; the first `played` rows have played."""
    waiting = rows[played:]
    found = in_order(
        rows,
        by,
        played=played,
        waiting={one.track.file_id for one in waiting},
        fixed={UUID(int=number) for number in fixed},
        rounds=(rounds or Rounds()).of(waiting),
        votes={UUID(int=number): count for number, count in (votes or {}).items()},
    )
    return [file_id.int for file_id in found]


def rows_of(askers: str) -> list[QueueEntry]:
    """One song for each letter, in the order in which they were added."""
    return [entry(number, asker) for number, asker in enumerate(askers, 1)]


def test_the_first_song_of_everybody_comes_before_the_second_of_anyone() -> None:
    assert order(rows_of("aaabbc")) == [1, 4, 6, 2, 5, 3]


def test_votes_count_within_a_round_only() -> None:
    assert order(rows_of("aabc"), votes={2: 9, 4: 1}) == [4, 1, 3, 2]


def test_what_is_fixed_stays_at_its_place_behind_the_current_track() -> None:
    assert order(rows_of("aaabc"), fixed={3}, votes={5: 1}) == [5, 1, 3, 4, 2]
    assert order(rows_of("xaaab"), played=1, fixed={1, 2}, votes={5: 3}) == [1, 2, 5, 3, 4]


def test_songs_that_wait_before_the_current_track_come_behind_it() -> None:
    rows = rows_of("abc")
    found = in_order(
        rows, Order.FAIR, played=3, waiting={UUID(int=1), UUID(int=2)}, fixed={UUID(int=3)},
        rounds=Rounds().of(rows[:2]), votes={},
    )  # fmt: skip
    assert [file_id.int for file_id in found] == [3, 1, 2]


@pytest.mark.parametrize("by", list(Order))
def test_the_fallback_comes_last(by: Order) -> None:
    rows = [entry(1, "host"), entry(2, FALLBACK_KEY), entry(3, FALLBACK_KEY), entry(4, "a"), entry(5, "a")]
    assert order(rows, by=by) == [1, 4, 5, 2, 3]
    assert order(rows, by=by, fixed={2}) == [1, 2, 4, 5, 3]


def test_a_person_who_comes_late_is_not_ahead_for_hours() -> None:
    rounds = Rounds()
    played = rows_of("aaaa")
    for at, one in enumerate(played):
        rounds.began(one, played[at:])
    late = [entry(number, "b") for number in range(5, 9)]
    assert order([entry(9, "a"), *late], rounds=rounds) == [5, 6, 9, 7, 8]


def test_the_smallest_set_of_moved_rows() -> None:
    ids = [UUID(int=number) for number in range(6)]
    assert moved(ids, ids) == set()
    assert moved(ids, [ids[4], *ids[:4], ids[5]]) == {ids[4]}
    assert moved(ids, [ids[1], ids[2], ids[3], ids[4], ids[0], ids[5]]) == {ids[0]}
    assert len(moved(ids, ids[::-1])) == 5


@given(st.lists(st.sampled_from("abcd"), max_size=12), st.randoms(use_true_random=False))
def test_the_order_depends_on_the_state_and_not_on_the_present_order(askers: list[str], chance: random.Random) -> None:
    rows = rows_of("".join(askers))
    votes = {number: chance.randrange(4) for number in range(1, len(rows) + 1)}
    expected = order(rows, votes=votes)
    shuffled = rows[:]
    chance.shuffle(shuffled)
    assert order(shuffled, votes=votes) == expected
    assert order([rows[number - 1] for number in expected], votes=votes) == expected


@given(st.lists(st.sampled_from("abcd"), min_size=2, max_size=12), st.randoms(use_true_random=False))
def test_votes_never_move_what_is_fixed(askers: list[str], chance: random.Random) -> None:
    rows = rows_of("".join(askers))
    played = chance.randrange(len(rows))
    fixed = {number for number in range(1, len(rows) + 1) if chance.random() < 0.3}
    votes = {number: chance.randrange(9) for number in range(1, len(rows) + 1)}
    found = order(rows, played=played, fixed=fixed, votes=votes)
    assert sorted(found) == list(range(1, len(rows) + 1)) and found[:played] == list(range(1, played + 1))
    assert all(found[number - 1] == number for number in fixed)


def play_evening(seed: int, songs: int) -> None:
    """People ask for songs and vote as they like. Each song must play after at most one song of each person in each
    round up to its own."""
    chance, rounds, numbers = random.Random(seed), Rounds(), itertools.count(1)
    people = [f"person {number}" for number in range(chance.randrange(2, 9))]
    waiting: list[QueueEntry] = []
    votes: dict[UUID, int] = {}
    asked_at: dict[UUID, tuple[int, int]] = {}
    """How many songs had played when it was asked for, and after how many more it must play."""
    begun: list[QueueEntry] = []
    while len(begun) < songs:
        for _ in range(chance.randrange(1, 4)):
            asker = chance.choice(people) if chance.random() < 0.6 else people[0]
            if sum(one.asker == asker for one in waiting) < 6:
                new = entry(next(numbers), asker)
                waiting.append(new)
                of = rounds.of(waiting)
                present = rounds.of([entry(0, "a person who comes now")])[UUID(int=0)]
                bound = len(people) * (of[new.track.file_id] - present + 1)
                asked_at[new.track.file_id] = len(begun), bound
        for one in waiting[-3:]:  # newer songs have all the votes
            votes[one.track.file_id] = votes.get(one.track.file_id, 0) + chance.randrange(20)
        ids = in_order(
            waiting, Order.FAIR, played=0, waiting={one.track.file_id for one in waiting}, fixed=(),
            rounds=rounds.of(waiting), votes=votes,
        )  # fmt: skip
        first = next(one for one in waiting if one.track.file_id == ids[0])
        rounds.began(first, waiting)
        waiting.remove(first)
        begun.append(first)
        for one in waiting:
            at, bound = asked_at[one.track.file_id]
            assert len(begun) - at <= bound, f"song {one.number} of {one.asker} starves (seed {seed})"


@pytest.mark.parametrize("seed", range(5))
def test_each_song_plays_after_a_limited_number_of_others(seed: int) -> None:
    play_evening(seed, 60)


@pytest.mark.slow
def test_each_song_of_a_thousand_evenings_plays_after_a_limited_number_of_others() -> None:
    for seed in range(1000):
        play_evening(seed, 60)
