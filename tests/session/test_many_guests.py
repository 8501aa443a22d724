"""One phone that is many guests, and one machine that is many peers: they are one person for the rules."""

from __future__ import annotations

import dataclasses
from uuid import UUID

import pytest

from phaselock.model.party import OPEN_HOUSE, Order, PartyRules
from phaselock.model.snapshot import VotesView
from phaselock.session import effects as e
from phaselock.session.commands import Leave, Play, SetRules, VoteFor
from phaselock.session.guest_actions import (
    GuestAction,
    GuestAsks,
    GuestGone,
    GuestHere,
    GuestSays,
    GuestVotes,
    GuestWantsSkip,
)
from phaselock.session.host import guests
from tests.support.session_harness import SessionHarness
from tests.support.simulation import a_track

RULES = PartyRules(accept=True, order=Order.FAIR, skip_vote=True)
EVE, ANA, BEN = "192.168.1.66", "192.168.1.7", "192.168.1.8"


class Crowd(SessionHarness):
    """A session with guests at addresses."""

    def __init__(self, rules: PartyRules = RULES) -> None:
        super().__init__()
        self.command(SetRules(rules))
        self.wishes = 0

    def act(self, guest: int, action: GuestAction) -> None:
        self.host.call(self.host.core.guest, guest.to_bytes(16, "big"), action)

    def come(self, guest: int, address: str, name: str = "Eve") -> None:
        self.act(guest, GuestHere(name, address))

    def wish(self, guest: int, song: int) -> bool:
        """The guest asks for this song of the library. Whether it gets it."""
        self.wishes += 1
        request_id, fetched, track = UUID(int=10_000 + self.wishes), len(self.host.fetches), a_track(song, 200.0)
        self.act(guest, GuestAsks(request_id, track.file_name, track.size, song_id=song))
        if len(self.host.fetches) == fetched:
            return False
        self.host.tracks[track.file_id] = track
        self.host.call(self.host.core.uploaded, request_id, track)
        return True

    @property
    def songs(self) -> list[int]:
        return [row.id.int for row in self.host.snapshot().queue]

    def votes(self, song: int) -> int:
        found = {one.file_id.int: one.votes for one in self.host.snapshot().votes}
        return found.get(song, 0)


def party() -> Crowd:
    """Song 1 plays, song 2 is armed, 3 and 4 wait. Eve is ten guests, Ana and Ben are one each."""
    crowd = Crowd()
    for number in range(1, 11):
        crowd.come(number, EVE)
    crowd.come(21, ANA, "Ana")
    crowd.come(22, BEN, "Ben")
    for number in (1, 2, 3, 4):
        crowd.wish(21 + number % 2, number)
    crowd.run(1)
    crowd.command(Play())
    crowd.run(1)
    return crowd


def test_an_address_has_one_vote() -> None:
    crowd = party()
    for number in range(1, 11):
        crowd.act(number, GuestVotes(UUID(int=4), True))
    crowd.act(21, GuestVotes(UUID(int=3), True))
    crowd.act(22, GuestVotes(UUID(int=3), True))
    crowd.run(1)
    assert (crowd.votes(3), crowd.votes(4)) == (2, 1)


def test_guests_on_the_machine_of_the_host_have_a_vote_each() -> None:
    crowd = party()
    for number in (31, 32):
        crowd.come(number, "")
        crowd.act(number, GuestVotes(UUID(int=4), True))
    crowd.run(1)
    assert crowd.votes(4) == 2


def test_an_address_cannot_leave_a_song_alone_and_cannot_keep_it_either() -> None:
    crowd = party()
    for number in range(1, 11):
        crowd.act(number, GuestWantsSkip(UUID(int=1), True))
    crowd.run(1)
    skip = crowd.host.snapshot().skip
    assert skip is not None and (skip.votes, skip.needed) == (1, 2)
    crowd.act(21, GuestWantsSkip(UUID(int=1), True))
    crowd.run(1)
    now = crowd.host.snapshot().now
    assert now is not None and now.id.int == 2


def test_an_address_has_the_songs_and_the_rounds_of_one_person() -> None:
    crowd = Crowd(dataclasses.replace(OPEN_HOUSE, no_repeat_min=None))
    for number in range(1, 11):
        crowd.come(number, EVE)
    crowd.come(21, ANA, "Ana")
    assert [crowd.wish(number, number) for number in range(1, 11)] == [True, True] + 8 * [False]
    assert crowd.wish(21, 11)
    crowd.run(1)
    assert crowd.songs == [1, 11, 2]


def test_an_address_has_the_open_requests_of_one_person() -> None:
    crowd = Crowd(PartyRules())
    for number in range(1, 11):
        crowd.come(number, EVE)
        crowd.wish(number, number)
    crowd.run(1)
    assert len(crowd.host.snapshot().requests) == 5
    page = crowd.host.core.guest_page((9).to_bytes(16, "big"), now_ns=crowd.now_ns)
    assert page is not None and page.waiting == 5


def test_an_address_writes_as_one_person() -> None:
    crowd = party()
    for number in range(1, 11):
        for _ in range(5):
            crowd.act(number, GuestSays("buy"))
    crowd.act(21, GuestSays("hello"))
    assert [line.name for line in crowd.host.snapshot().chat].count("Ana") == 1
    assert len(crowd.host.snapshot().chat) == 6


def test_a_thousand_guests_of_one_address_push_no_one_else_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guests, "MAX_GUESTS", 20)
    crowd = party()
    crowd.act(21, GuestGone())
    for number in range(100, 1100):
        crowd.come(number, EVE)
        crowd.act(number, GuestVotes(UUID(int=4), True))
        crowd.act(number, GuestGone())
    crowd.run(1)
    names = {guest.name for guest in crowd.host.snapshot().guests}
    assert {"Ana", "Ben"} <= names and len(names) == 20
    assert crowd.votes(4) == 1 and len(crowd.host.events("guest_joined")) < 20


def test_a_guest_that_is_forgotten_has_no_vote_and_no_request(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guests, "MAX_GUESTS", 3)
    crowd = Crowd()
    crowd.come(21, ANA, "Ana")
    for number in (1, 2, 3):
        crowd.wish(21, number)
    crowd.run(1)
    crowd.come(1, EVE)
    crowd.act(1, GuestVotes(UUID(int=3), True))
    crowd.act(1, GuestAsks(UUID(int=5), "5.mp3", 5000))
    crowd.act(1, GuestGone())
    crowd.run(1)
    assert crowd.votes(3) == 1 and len(crowd.host.snapshot().requests) == 1
    for number, address in ((2, BEN), (3, "192.168.1.9"), (4, "192.168.1.10")):
        crowd.come(number, address)
    crowd.run(1)
    assert crowd.votes(3) == 0 and not crowd.host.snapshot().requests
    assert len(crowd.host.core._parts.party.people.present(now_ns=crowd.now_ns)) == 3


def test_the_people_of_a_long_night_are_not_all_remembered() -> None:
    crowd = Crowd()
    for number in range(30):
        crowd.come(number, f"192.168.1.{number}")
        crowd.run(40)
    crowd.host.core._parts.party.people.present(now_ns=crowd.now_ns)
    assert len(crowd.host.core._parts.party.people._heard_at_ns) < 20


def test_a_peer_that_has_left_has_no_vote() -> None:
    crowd = party()
    for name in ("Mallory", "Mallory 2", "Mallory 3"):
        peer = crowd.join(name)
        crowd.run(1)
        peer.call(peer.core.command, VoteFor(UUID(int=4), True))
        crowd.run(1)
        assert crowd.host.snapshot().votes == (VotesView(UUID(int=4), 1, False, (name,)),)
        peer.call(peer.core.command, Leave())
        crowd.run(1)
    assert crowd.votes(4) == 0


def test_a_guest_does_not_keep_the_name_of_a_peer_that_joins() -> None:
    crowd = Crowd()
    crowd.come(1, EVE, "Ben")
    crowd.join("Ben")
    crowd.run(1)
    assert [guest.name for guest in crowd.host.snapshot().guests] == ["Ben (2)"]
    assert not [effect for effect in crowd.host.for_guests if isinstance(effect, e.TellGuest)]


def test_a_guest_changes_its_name_a_few_times_and_not_all_the_time() -> None:
    crowd = Crowd()
    names = set()
    for number in range(100):
        crowd.come(1, EVE, f"Eve {number}")
        names |= {guest.name for guest in crowd.host.snapshot().guests}
    assert names == {f"Eve {number}" for number in range(5)}
    crowd.run(21)
    crowd.come(1, EVE, "Eve 99")
    assert [guest.name for guest in crowd.host.snapshot().guests] == ["Eve 99"]
