"""Random evenings: guests ask, vote and come and go at a real host session, whose time jumps from event to event."""

from __future__ import annotations

import itertools
import random
from uuid import UUID

import pytest

from phaselock.model.party import Order, PartyRules
from phaselock.model.queue import ItemStatus
from phaselock.model.timeline import Timeline
from phaselock.session import effects as e
from phaselock.session.commands import Add, HostCommand, Move, Play, SetRules, UseFallback
from phaselock.session.guest_actions import (
    GuestAction,
    GuestAsks,
    GuestGone,
    GuestHere,
    GuestVotes,
    GuestWantsSkip,
)
from phaselock.session.host.session import HostSession
from tests.support.simulation import SECOND, a_track

SONGS = 4
"""Songs that play in a short evening. A long one, every fiftieth, is long enough for a song that starves."""
SONG_S = 200.0


class Jam:
    """A host session without peers. Songs of the library and of the fallback arrive at once."""

    def __init__(self, rules: PartyRules) -> None:
        tokens = itertools.count(1)
        self.core = HostSession(
            session_name="Party", host_name="Hana", token_factory=lambda: next(tokens).to_bytes(16, "big"),
            host_key=bytes(32), rules=rules,
        )  # fmt: skip
        self.now_ns = 1000 * SECOND
        self.fallbacks = itertools.count(5000)

    def do(self, effects: list[e.Effect]) -> None:
        for effect in effects:
            if isinstance(effect, e.FetchFromLibrary):
                track = a_track(effect.song_id, SONG_S)
                self.do(self.core.uploaded(effect.request_id, track, now_ns=self.now_ns))
            elif isinstance(effect, e.WantFallback):
                self.command(Add(a_track(next(self.fallbacks), SONG_S), fallback=True))

    def command(self, command: HostCommand) -> None:
        self.do(self.core.command(command, now_ns=self.now_ns))

    def act(self, guest: int, action: GuestAction) -> None:
        self.do(self.core.guest(bytes([guest]) * 16, action, now_ns=self.now_ns))

    def run(self, seconds: float) -> None:
        """Let time pass, from deadline to deadline."""
        end_ns = self.now_ns + round(seconds * SECOND)
        while (at_ns := self.core.next_deadline_ns()) is not None and at_ns <= end_ns:
            self.now_ns = max(self.now_ns, at_ns)
            self.do(self.core.timer(now_ns=self.now_ns))
        self.now_ns = end_ns
        self.do(self.core.timer(now_ns=end_ns))

    @property
    def order(self) -> list[int]:
        return [row.id.int for row in self.core.snapshot().queue]

    @property
    def lines(self) -> tuple[Timeline | None, Timeline | None]:
        snapshot = self.core.snapshot()
        return snapshot.timeline, snapshot.then

    @property
    def waiting(self) -> dict[int, str]:
        """The songs that wait, in their order, and who has asked for them."""
        rows = self.core.snapshot().queue
        done = (ItemStatus.PLAYED, ItemStatus.PLAYING)
        return {row.id.int: row.added_by for row in rows if row.status not in done}


def evening(seed: int) -> None:
    """An evening; every third one at two hosts, at which the votes of each moment arrive in different orders."""
    chance = random.Random(seed)
    most = chance.randrange(1, 5)
    rules = PartyRules(accept=True, order=Order.FAIR, max_waiting=most, skip_vote=chance.random() < 0.5)
    jams = [Jam(rules) for _ in range(2 if seed % 3 == 0 else 1)]
    people, numbers = chance.randrange(2, 7), itertools.count(1)
    for jam in jams:
        jam.command(UseFallback(True))
        for guest in range(1, people + 1):
            jam.act(guest, GuestHere(f"guest {guest}"))
        jam.command(Play())
        jam.run(1)
    jam = jams[0]
    begun: list[int] = []
    asked_at: dict[int, int] = {}
    # All may be ahead in each of the rounds up to its own, of which the first may be the next one. One song plays, one
    # is armed, and one is of the fallback.
    bound = people * (most + 1) + 3
    moved, is_long = False, seed % 50 == 49
    while len(begun) < (2 * bound if is_long else SONGS):
        for _ in range(chance.randrange(4)):
            guest, number = chance.randrange(1, people + 1), next(numbers)
            ask = GuestAsks(UUID(int=number), f"song {number}.mp3", 1000, song_id=number)
            for one in jams:
                one.act(guest, ask)
            asked_at[number] = len(begun)
        waiting = jam.waiting
        askers = list(waiting.values())
        assert all(askers.count(name) <= most or name == "Hana" for name in askers)
        if chance.random() < 0.1 and not is_long:
            row, to = chance.choice(jam.order), chance.randrange(len(jam.order))
            moved = True
            for one in jams:
                one.command(Move(UUID(int=row), to))
                one.run(0)
        lines = jam.lines
        votes = [
            (chance.randrange(1, people + 1), GuestVotes(UUID(int=song), chance.random() < 0.8))
            for song in chance.choices(list(waiting) or [1], k=chance.randrange(8))
        ]
        last = {(guest, vote.file_id): (guest, vote) for guest, vote in votes}
        for one in jams:
            arrival = list(last.values())
            chance.shuffle(arrival)
            for guest, vote in arrival:
                one.act(guest, vote)
            one.run(0.7)
        has_ended = lines[0] is not None and jam.lines[0] == lines[1]
        assert has_ended or jam.lines == lines, "votes moved the song that plays or the armed one"
        assert jams[-1].order == jam.order, "the order depends on the arrival"
        if chance.random() < 0.1 and rules.skip_vote and lines[0] is not None:
            for one in jams:
                for guest in range(1, people // 2 + 2):
                    one.act(guest, GuestWantsSkip(lines[0].file_id, True))
        elif chance.random() < 0.1:
            for one in jams:
                one.act(1, GuestGone())
        now = jam.core.snapshot().now
        assert now is not None, "the music has stopped"
        if not begun or begun[-1] != now.id.int:
            begun.append(now.id.int)
        pause_s = chance.choice([3, 60, 150])
        for one in jams:
            one.run(pause_s)
        for number in jam.waiting:
            assert number >= 5000 or moved or len(begun) - asked_at[number] <= bound, f"song {number} starves"
    assert jams[-1].order == jam.order and jams[-1].lines == jam.lines


@pytest.mark.parametrize("seed", range(5))
def test_a_random_evening(seed: int) -> None:
    evening(seed)


@pytest.mark.slow
def test_a_thousand_random_evenings() -> None:
    for seed in range(1000):
        try:
            evening(seed)
        except AssertionError as error:
            raise AssertionError(f"evening {seed}") from error


def test_rules_may_change_while_people_wait() -> None:
    jam = Jam(PartyRules(accept=True))
    for guest in (1, 2):
        jam.act(guest, GuestHere(f"guest {guest}"))
    for number, guest in enumerate((1, 1, 1, 2), 1):
        jam.act(guest, GuestAsks(UUID(int=number), f"song {number}.mp3", 1000, song_id=number))
    assert jam.order == [1, 2, 3, 4]
    jam.command(SetRules(PartyRules(accept=True, order=Order.FAIR)))
    assert jam.order == [1, 4, 2, 3]
