"""The rules of a party: limits, fair order, votes, leaving a song by votes, the fallback; told to all peers."""

from __future__ import annotations

import dataclasses
from uuid import UUID

import pytest

from phaselock.model.party import I_CHOOSE, OPEN_HOUSE, PRESETS, SMALL_PARTY, Order, PartyRules
from phaselock.model.snapshot import SkipView, VotesView
from phaselock.model.types import Track
from phaselock.session import effects as e
from phaselock.session.commands import (
    Add,
    Arrange,
    Move,
    Pause,
    Play,
    RemoveGuest,
    Repeat,
    Request,
    Resume,
    SetRules,
    Shuffle,
    UseFallback,
    VoteFor,
    WantSkip,
)
from phaselock.session.guest_actions import (
    GuestAction,
    GuestAsks,
    GuestGone,
    GuestHere,
    GuestVotes,
    GuestWantsSkip,
)
from tests.support.session_harness import HarnessPeer, SessionHarness, error
from tests.support.simulation import a_track

FAIR = PartyRules(accept=True, order=Order.FAIR)
SKIP = dataclasses.replace(FAIR, skip_vote=True)


class PartyHarness(SessionHarness):
    """A session with guests, each with a number from 1."""

    def __init__(self, rules: PartyRules = FAIR, guests: int = 3) -> None:
        super().__init__()
        self.command(SetRules(rules))
        self.wishes = 0
        for number in range(1, guests + 1):
            self.act(number, GuestHere(f"guest {number}"))

    def act(self, guest: int, action: GuestAction) -> None:
        self.host.call(self.host.core.guest, bytes([guest]) * 16, action)

    def wish(self, guest: int, song: int, seconds: float = 200.0, **about: object) -> None:
        """The guest asks for the song of that number, which is in the library."""
        self.wishes += 1
        request_id = UUID(int=10_000 + self.wishes)
        track = a_track(song, seconds, **about)
        ask = GuestAsks(request_id, track.file_name, track.size, track.title, track.artist, seconds, song_id=song)
        fetched = len(self.host.fetches)
        self.act(guest, ask)
        if len(self.host.fetches) > fetched:
            self.arrive(request_id, track)

    def arrive(self, request_id: UUID, track: Track) -> None:
        self.host.tracks[track.file_id] = track
        self.host.call(self.host.core.uploaded, request_id, track)

    @property
    def songs(self) -> list[int]:
        """The numbers of the songs in the queue."""
        return [row.id.int for row in self.host.snapshot().queue]

    @property
    def told(self) -> list[str]:
        return [effect.text for effect in self.host.for_guests if isinstance(effect, e.TellGuest)]

    def vote(self, guest: int, song: int, wanted: bool = True) -> None:
        self.act(guest, GuestVotes(UUID(int=song), wanted))

    def skip(self, guest: int, song: int, wanted: bool = True) -> None:
        self.act(guest, GuestWantsSkip(UUID(int=song), wanted))

    def now(self) -> int:
        now = self.host.snapshot().now
        return now.id.int if now is not None else 0


def party_of_three_songs(
    rules: PartyRules = SKIP, peers: tuple[str, ...] = ()
) -> tuple[PartyHarness, list[HarnessPeer]]:
    """Song 1 plays, song 2 is armed, song 3 waits."""
    harness = PartyHarness(rules)
    members = [harness.join(name) for name in peers]
    harness.run(0.3)
    for number in (1, 2, 3):
        harness.wish(number, number)
    harness.run(1)
    harness.command(Play())
    harness.run(1)
    assert harness.now() == 1
    return harness, members


# -- limits ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rules", "song", "sentence"),
    [
        (PartyRules(accept=True, max_waiting=1), 2, "You may have one song waiting. Please wait until it has played."),
        (PartyRules(accept=True, max_per_hour=1), 2, "You may ask for one song in an hour."),
        (PartyRules(accept=True, no_repeat_min=5), 1, "This song waits in the queue already. You can vote for it."),
        (PartyRules(accept=True, max_length_min=3), 9, "The song is longer than 3 minutes."),
    ],
)
def test_the_limits(rules: PartyRules, song: int, sentence: str) -> None:
    harness = PartyHarness(rules)
    harness.wish(1, 1, 100)
    harness.wish(1, song, 200)
    assert harness.songs == [1] and harness.told == [sentence]


def test_the_limits_hold_for_each_person() -> None:
    harness = PartyHarness(OPEN_HOUSE)
    for number in range(1, 5):
        harness.wish(1, number)
    harness.wish(2, 5)
    assert harness.songs == [1, 5, 2]
    assert len(harness.told) == 2


def test_a_song_is_recognised_by_its_words_and_by_its_file() -> None:
    harness = PartyHarness(SMALL_PARTY)
    harness.wish(1, 1, title="One", artist="Band")
    harness.wish(2, 2, title="ONE", artist="band")
    request_id = UUID(int=5)
    harness.act(3, GuestAsks(request_id, "other name.mp3", 1000))
    harness.arrive(request_id, a_track(3, 100, sha256=a_track(1).sha256))
    assert harness.songs == [1] and len(harness.told) == 2
    harness.wish(2, 4, title="One", artist="Another band")
    assert harness.songs == [1, 4]


def test_two_people_ask_for_one_song_at_the_same_time() -> None:
    harness = PartyHarness(SMALL_PARTY)
    harness.act(1, GuestAsks(UUID(int=1), "one.mp3", 1000))
    harness.act(2, GuestAsks(UUID(int=2), "one.mp3", 1000))
    assert harness.told == ["Another person has asked for this song already."]


def test_a_song_that_has_played_waits_for_its_time() -> None:
    harness = PartyHarness(dataclasses.replace(FAIR, no_repeat_min=10))
    harness.wish(1, 1, 120)
    harness.run(1)
    harness.command(Play())
    harness.run(5 * 60)
    harness.wish(2, 101, file_name="song 1.mp3")
    assert harness.told == ["This song has played 5 minutes ago. Please choose another one."]
    harness.run(5 * 60)
    harness.wish(2, 101, file_name="song 1.mp3")
    assert harness.songs == [1, 101]


def test_a_song_longer_than_it_was_said_to_be_is_refused_when_it_arrives() -> None:
    harness = PartyHarness(SMALL_PARTY)
    harness.act(1, GuestAsks(UUID(int=1), "one.mp3", 1000))
    harness.arrive(UUID(int=1), a_track(1, 3600))
    assert harness.songs == [] and harness.told == ["The song is longer than 15 minutes."]


def test_an_hour_later_a_person_may_ask_again() -> None:
    harness = PartyHarness(dataclasses.replace(FAIR, max_per_hour=2))
    for number in (1, 2, 3):
        harness.wish(1, number)
    assert harness.songs == [1, 2]
    harness.host.stall(3600)
    harness.run(3601)
    harness.wish(1, 3)
    assert harness.songs == [1, 2, 3]


def test_the_limits_hold_for_peers_too() -> None:
    harness = PartyHarness(PartyRules(accept=True, max_waiting=1))
    ana = harness.join("Ana")
    harness.run(0.3)
    for number in (1, 2):
        ana.call(ana.core.command, Request(UUID(int=number), f"wish {number}.mp3", 5000, bytes([number]) * 32))
        harness.run(0.5)
    assert [row.added_by for row in harness.host.snapshot().queue] == ["Ana"]
    assert [request.reason for request in ana.snapshot().requests][1].startswith("You may have one song waiting.")


# -- order -------------------------------------------------------------------------------------------------------------


def test_the_order_is_fair_behind_what_plays_and_what_is_armed() -> None:
    harness, _ = party_of_three_songs()
    harness.wish(1, 4)
    harness.wish(1, 5)
    harness.wish(2, 6)
    assert harness.songs == [1, 2, 3, 4, 6, 5]
    harness.vote(3, 6)
    harness.vote(2, 5)
    harness.run(1)
    assert harness.songs == [1, 2, 3, 6, 4, 5]


def test_votes_never_move_the_song_that_plays_nor_the_armed_one() -> None:
    harness, _ = party_of_three_songs()
    armed = harness.host.snapshot().then
    assert armed is not None and armed.file_id.int == 2
    for guest in (1, 2, 3):
        harness.vote(guest, 3)
    harness.run(1)
    assert harness.songs == [1, 2, 3] and harness.host.snapshot().then == armed


def test_what_the_host_has_moved_stays() -> None:
    harness, _ = party_of_three_songs()
    for number in (4, 5, 6):
        harness.wish(1, number)
    harness.command(Move(UUID(int=6), 2))
    harness.vote(3, 4)
    harness.run(1)
    assert harness.songs == [1, 2, 6, 3, 4, 5]
    harness.wish(2, 7)
    assert harness.songs == [1, 2, 6, 3, 4, 7, 5]
    harness.command(Arrange(tuple(UUID(int=number) for number in (1, 2, 6, 3, 7, 4, 5))))
    harness.vote(1, 4)
    harness.run(1)
    assert harness.songs == [1, 2, 6, 3, 7, 4, 5]


def test_songs_of_the_host_are_those_of_one_person() -> None:
    harness = PartyHarness()
    harness.command(*(Add(a_track(number)) for number in (1, 2, 3)))
    harness.wish(1, 4)
    assert harness.songs == [1, 4, 2, 3]


def test_rules_that_order_the_songs_end_the_random_order() -> None:
    harness = PartyHarness(I_CHOOSE)
    harness.command(*(Add(a_track(number)) for number in range(1, 9)))
    harness.command(Shuffle(5))
    assert harness.songs != list(range(1, 9))
    harness.command(SetRules(FAIR))
    assert harness.songs == list(range(1, 9)) and not harness.host.snapshot().shuffle
    harness.command(Shuffle(5))
    assert error(harness.host) == "The rules order the songs, so they cannot be shuffled."


def test_by_hand_a_song_comes_last() -> None:
    harness = PartyHarness(PartyRules(accept=True))
    for number in (1, 2, 3):
        harness.wish(1, number)
    harness.wish(2, 4)
    harness.vote(1, 4)
    harness.run(1)
    assert harness.songs == [1, 2, 3, 4]


# -- votes -------------------------------------------------------------------------------------------------------------


def test_votes_are_told_to_all() -> None:
    harness, (ana, ben) = party_of_three_songs(peers=("Ana", "Ben"))
    harness.vote(1, 3)
    harness.command(VoteFor(UUID(int=3), True))
    ana.call(ana.core.command, VoteFor(UUID(int=3), True))
    harness.run(1)
    assert harness.host.snapshot().votes == (VotesView(UUID(int=3), 3, True, ("Hana", "Ana", "guest 1")),)
    assert ana.snapshot().votes == (VotesView(UUID(int=3), 3, True),)
    assert ben.snapshot().votes == (VotesView(UUID(int=3), 3, False),)
    assert ana.snapshot().rules == ben.snapshot().rules == SKIP
    for node in (harness.host, ana, ben):
        (row,) = node.events("votes")[-1].fields["votes"]
        assert row["votes"] == 3
        assert row["names"] == (["Hana", "Ana", "guest 1"] if node is harness.host else [])
    page = harness.host.core.guest_page(bytes([1]) * 16, now_ns=harness.now_ns)
    assert page is not None and page.voted == {UUID(int=3)}
    ana.call(ana.core.command, VoteFor(UUID(int=3), False))
    harness.command(RemoveGuest(bytes([1]) * 16))
    harness.run(1)
    assert harness.host.snapshot().votes == (VotesView(UUID(int=3), 1, True, ("Hana",)),)
    assert ana.snapshot().votes == (VotesView(UUID(int=3), 1, False),)


def test_a_vote_counts_once_and_ends_when_the_song_begins() -> None:
    harness, _ = party_of_three_songs()
    for _ in range(5):
        harness.vote(1, 3)
    harness.vote(1, 1)
    harness.command(VoteFor(UUID(int=1), True))
    assert error(harness.host) == "This song does not wait any more."
    harness.run(1)
    assert harness.host.snapshot().votes == (VotesView(UUID(int=3), 1, False, ("guest 1",)),)
    harness.run(401)
    assert harness.now() == 3 and harness.host.snapshot().votes == ()


def test_a_peer_that_returns_keeps_its_vote_and_knows_the_rules() -> None:
    harness, (ana,) = party_of_three_songs(peers=("Ana",))
    ana.call(ana.core.command, VoteFor(UUID(int=3), True))
    harness.run(1)
    ana.cut(8)
    harness.run(20)
    assert ana.snapshot().connected and ana.snapshot().rules == SKIP
    assert ana.snapshot().votes == (VotesView(UUID(int=3), 1, True),)


def test_a_peer_hears_at_once_that_a_song_does_not_wait() -> None:
    harness, (ana,) = party_of_three_songs(peers=("Ana",))
    ana.call(ana.core.command, VoteFor(UUID(int=1), True))
    assert error(ana) == "This song does not wait any more."
    harness.command(SetRules(FAIR))
    harness.run(1)
    ana.call(ana.core.command, WantSkip(UUID(int=1), True))
    assert error(ana) == "Leaving a song by votes is off."


def test_a_peer_without_its_host_cannot_vote() -> None:
    harness, (ana,) = party_of_three_songs(peers=("Ana",))
    ana.cut(30)
    harness.run(10)
    ana.call(ana.core.command, VoteFor(UUID(int=3), True))
    assert error(ana) == "There is no connection to the host just now. Please try again in a moment."


# -- leaving a song by votes -------------------------------------------------------------------------------------------


def test_a_song_is_left_when_more_than_half_want_that() -> None:
    harness, (ana,) = party_of_three_songs(peers=("Ana",))
    harness.skip(1, 1)
    harness.run(1)
    assert harness.host.snapshot().skip == SkipView(1, 2, False, ("guest 1",))
    assert ana.snapshot().skip == SkipView(1, 2, False)
    (told,) = harness.host.events("skip_votes")
    assert (told.fields["needed"], told.fields["names"]) == (2, ["guest 1"])
    ana.call(ana.core.command, WantSkip(UUID(int=1), True))
    harness.run(0.1)
    assert harness.host.snapshot().skip in (
        SkipView(1, 2, False, ("guest 1",)),
        SkipView(2, 3, False, ("Ana", "guest 1")),
    )
    harness.run(0.9)
    assert harness.now() == 1 and ana.snapshot().skip == SkipView(2, 3, True)
    harness.skip(2, 1)
    harness.run(1)
    assert harness.now() == 2 and harness.host.snapshot().skip == SkipView(0, 3, False)
    harness.run(5)
    assert harness.now() == 2


def test_people_who_are_gone_do_not_count() -> None:
    harness, _ = party_of_three_songs()
    harness.act(1, GuestGone())
    harness.act(2, GuestGone())
    harness.skip(3, 1)
    harness.run(10)
    assert harness.now() == 1
    harness.wish(1, 4, 2000)
    harness.run(400)
    assert harness.now() == 3
    harness.run(190)
    harness.skip(3, 3)
    assert harness.host.snapshot().skip == SkipView(0, 2, False)
    harness.run(11)
    harness.skip(3, harness.now())
    harness.run(20)
    assert harness.host.snapshot().skip in (SkipView(0, 1, False), None)


def test_a_song_that_begins_by_votes_counts_as_the_turn_of_its_person() -> None:
    harness = PartyHarness(SKIP)
    for guest, song in ((1, 1), (2, 2), (2, 3), (3, 4)):
        harness.wish(guest, song)
    harness.command(Play())
    harness.run(1)
    assert harness.songs == [1, 2, 4, 3]
    for guest in (1, 2):
        harness.skip(guest, 1)
    harness.run(2)
    assert harness.now() == 2 and harness.songs == [1, 2, 4, 3]


def test_without_a_next_song_the_music_stops() -> None:
    harness = PartyHarness(SKIP, guests=1)
    harness.wish(1, 1)
    harness.run(1)
    harness.command(Play())
    harness.run(1)
    harness.skip(1, 1)
    harness.run(2)
    assert harness.now() == 0 and harness.songs == [1]


def test_nothing_is_left_by_votes_while_the_rules_do_not_say_so_or_nothing_plays() -> None:
    harness, _ = party_of_three_songs(FAIR)
    for guest in (1, 2, 3):
        harness.skip(guest, 1)
    harness.run(1)
    assert harness.now() == 1 and harness.host.snapshot().skip is None
    harness.command(WantSkip(UUID(int=1), True))
    assert error(harness.host) == "Leaving a song by votes is off."
    harness.command(SetRules(SKIP), Pause())
    harness.run(1)
    for guest in (1, 2, 3):
        harness.skip(guest, 1)
    harness.command(WantSkip(UUID(int=1), True))
    assert error(harness.host) == "Nothing is playing."
    harness.command(Resume())
    harness.run(2)
    assert harness.now() == 1 and harness.host.snapshot().skip == SkipView(0, 3, False)


# -- the fallback ------------------------------------------------------------------------------------------------------


def wanted(harness: PartyHarness) -> int:
    return harness.host.for_guests.count(e.WantFallback())


@pytest.mark.parametrize("rules", [FAIR, PartyRules(accept=True)])
def test_the_fallback_plays_when_nothing_waits(rules: PartyRules) -> None:
    harness = PartyHarness(rules)
    harness.command(UseFallback(True))
    assert wanted(harness) == 1
    harness.run(5)
    assert wanted(harness) == 1
    harness.command(Add(a_track(50), fallback=True))
    harness.wish(1, 1, 20)
    assert harness.songs == [1, 50] and wanted(harness) == 1
    harness.command(Play())
    harness.run(1)
    harness.wish(2, 2, 20)
    assert harness.songs == [1, 50, 2], "the armed song stays"
    harness.command(Add(a_track(51), fallback=True))
    harness.wish(2, 3, 20)
    assert harness.songs == [1, 50, 2, 3, 51]
    harness.run(130)
    assert harness.now() == 51 and wanted(harness) == 2


def test_a_queue_that_repeats_needs_no_fallback() -> None:
    harness = PartyHarness()
    harness.wish(1, 1, 5)
    harness.command(Repeat(True), UseFallback(True), Play())
    harness.run(20)
    assert harness.now() == 1 and wanted(harness) == 0
    harness.command(Repeat(False))
    assert wanted(harness) == 1


def test_the_fallback_goes_on_behind_what_the_host_has_moved_away() -> None:
    harness = PartyHarness()
    harness.command(UseFallback(True), Add(a_track(50), fallback=True), Play())
    harness.run(1)
    harness.command(Add(a_track(51), fallback=True), Move(UUID(int=51), 0))
    assert harness.songs == [51, 50] and wanted(harness) == 3


# -- presets -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rules", PRESETS.values())
def test_rules_are_told_to_peers_that_join(rules: PartyRules) -> None:
    harness = PartyHarness(rules)
    ana = harness.join("Ana")
    harness.run(1)
    assert ana.snapshot().rules == rules == harness.host.snapshot().rules
