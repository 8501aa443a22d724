"""Guests: people with the host's page, who ask for songs without being peers."""

from __future__ import annotations

import dataclasses
from uuid import UUID

from phaselock.model.party import I_CHOOSE, PartyRules
from phaselock.model.snapshot import GuestPage, GuestView, RequestState
from phaselock.session import effects as e
from phaselock.session.commands import Accept, Add, AllowGuest, Reject, RemoveGuest, SetRules
from phaselock.session.guest_actions import (
    GuestAction,
    GuestAsks,
    GuestGone,
    GuestHere,
    GuestListens,
    GuestVotes,
    GuestWithdraws,
)
from phaselock.session.host.guests import MAX_GUESTS
from tests.support.session_harness import SessionHarness, error
from tests.support.simulation import a_track

ANA, BEN = bytes([1]) * 16, bytes([2]) * 16
ACCEPTING = dataclasses.replace(I_CHOOSE, accept=True)


def session_of_guests(rules: PartyRules = I_CHOOSE) -> SessionHarness:
    harness = SessionHarness()
    harness.command(SetRules(rules))
    act(harness, ANA, GuestHere("Ana"))
    act(harness, BEN, GuestHere("Ben"))
    return harness


def act(harness: SessionHarness, guest_id: bytes, action: GuestAction) -> None:
    harness.host.call(harness.host.core.guest, guest_id, action)


def ask(harness: SessionHarness, guest_id: bytes, number: int = 1, *, song_id: int | None = None) -> UUID:
    request_id = UUID(int=100 + number)
    act(harness, guest_id, GuestAsks(request_id, f"wish {number}.mp3", 5000, song_id=song_id))
    return request_id


def arrive(harness: SessionHarness, request_id: UUID, number: int, seconds: float = 60.0) -> None:
    """The song of an accepted request has arrived."""
    track = a_track(number, seconds, file_name=f"wish {number}.mp3")
    harness.host.tracks[track.file_id] = track
    harness.host.call(harness.host.core.uploaded, request_id, track)


def page(harness: SessionHarness, guest_id: bytes) -> GuestPage:
    found = harness.host.core.guest_page(guest_id, now_ns=harness.now_ns)
    assert found is not None
    return found


def told(harness: SessionHarness, guest_id: bytes) -> list[str]:
    return [
        effect.text
        for effect in harness.host.for_guests
        if isinstance(effect, e.TellGuest) and effect.guest_id == guest_id
    ]


def test_a_guest_is_shown_and_has_a_name_of_its_own() -> None:
    harness = session_of_guests()
    act(harness, bytes(16), GuestHere("ana"))
    act(harness, bytes([4]) * 16, GuestHere("\n"))
    act(harness, ANA, GuestListens(True, 5_000_000))
    act(harness, BEN, GuestGone())
    shown = harness.host.snapshot().guests
    assert [guest.name for guest in shown] == ["Ana", "ana (2)", "Guest", "Ben"]
    assert shown[0] == GuestView(ANA, "Ana", True, True, 5_000_000)
    assert not shown[-1].connected


def test_a_guest_that_is_not_here_can_do_nothing() -> None:
    harness = session_of_guests()
    ask(harness, bytes(16))
    assert harness.host.snapshot().requests == ()
    assert harness.host.core.guest_page(bytes(16), now_ns=harness.now_ns) is None


def test_a_request_of_a_guest_is_accepted_uploaded_and_added() -> None:
    harness = session_of_guests()
    request_id = ask(harness, ANA)
    (request,) = harness.host.snapshot().requests
    assert (request.peer_name, request.guest_id, request.state) == ("Ana", ANA, RequestState.OPEN)
    assert harness.host.core.authorise_guest_upload(ANA, request_id) is None
    harness.command(Accept(request_id))
    assert harness.host.core.authorise_guest_upload(BEN, request_id) is None
    assert harness.host.core.authorise_guest_upload(ANA, request_id) is not None
    arrive(harness, request_id, 1)
    (row,) = harness.host.snapshot().queue
    assert row.added_by == "Ana"
    assert page(harness, ANA).songs == {row.id} and page(harness, BEN).songs == set()
    assert [(one.request_id, one.state) for one in page(harness, ANA).requests] == [(request_id, RequestState.ADDED)]
    harness.run(61)
    assert page(harness, ANA).requests == ()


def test_a_song_of_the_library_needs_no_upload() -> None:
    harness = session_of_guests(ACCEPTING)
    request_id = ask(harness, ANA, song_id=7)
    assert harness.host.fetches == [e.FetchFromLibrary(request_id, 7)]
    assert harness.host.core.authorise_guest_upload(ANA, request_id) is None
    arrive(harness, request_id, 1)
    assert [row.added_by for row in harness.host.snapshot().queue] == ["Ana"]


def test_a_request_that_is_accepted_at_once_is_told_without_a_question() -> None:
    harness = session_of_guests(ACCEPTING)
    arrive(harness, ask(harness, ANA), 1)
    harness.run(2)
    arrive(harness, ask(harness, ANA, 2, song_id=7), 2)
    told = [(event.fields["number"], event.fields["state"]) for event in harness.host.events("request")]
    assert told == [(1, "accepted"), (1, "added"), (2, "added")]


def test_a_song_is_asked_for_once_by_a_person() -> None:
    harness = session_of_guests()
    for guest, number in ((ANA, 1), (ANA, 2), (BEN, 3)):
        act(harness, guest, GuestAsks(UUID(int=number), "wish.mp3", 5000))
    act(harness, ANA, GuestAsks(UUID(int=4), "wish.mp3", 5001))
    assert [one.request_id.int for one in harness.host.snapshot().requests] == [1, 3, 4]
    assert told(harness, ANA) == ["You have asked for this song already."] and told(harness, BEN) == []


def test_requests_that_wait_are_accepted_when_the_rules_say_so() -> None:
    harness = session_of_guests()
    ask(harness, ANA)
    harness.command(SetRules(ACCEPTING))
    assert [one.state for one in harness.host.snapshot().requests] == [RequestState.ACCEPTED]
    assert harness.host.snapshot().rules == ACCEPTING


def test_a_guest_hears_of_a_refusal_and_may_withdraw() -> None:
    harness = session_of_guests()
    harness.command(Reject(ask(harness, ANA)))
    assert told(harness, ANA) == ["The host has declined it."] and told(harness, BEN) == []
    second = ask(harness, ANA, 2)
    act(harness, BEN, GuestWithdraws(second))
    assert len(harness.host.snapshot().requests) == 1
    act(harness, ANA, GuestWithdraws(second))
    assert harness.host.snapshot().requests == ()


def test_a_file_of_an_impossible_size_is_refused() -> None:
    harness = session_of_guests()
    for size in (0, -1, 1 << 40):
        act(harness, ANA, GuestAsks(UUID(int=1), "a.mp3", size))
    assert told(harness, ANA) == ["This file is too large to be shared."] * 3
    assert harness.host.snapshot().requests == ()


def test_an_upload_may_sleep_for_minutes_and_not_for_ever() -> None:
    harness = session_of_guests(ACCEPTING)
    ask(harness, ANA)
    harness.run(250)
    assert len(harness.host.snapshot().requests) == 1
    harness.run(60)
    assert harness.host.snapshot().requests == () and told(harness, ANA) == ["The song was not sent."]


def test_a_removed_guest_stays_removed_and_its_songs_stay() -> None:
    harness = session_of_guests(ACCEPTING)
    arrive(harness, ask(harness, ANA, 1), 1)
    ask(harness, ANA, 2)
    harness.command(RemoveGuest(ANA))
    assert harness.host.for_guests == [e.GuestRemoved(ANA)]
    assert harness.host.snapshot().requests == () and len(harness.host.snapshot().queue) == 1
    act(harness, ANA, GuestHere("Someone else"))
    assert harness.host.for_guests == [e.GuestRemoved(ANA)] * 2
    snapshot = harness.host.snapshot()
    assert [guest.name for guest in snapshot.guests] == ["Ben"] and snapshot.removed_guests == ("Ana",)
    assert harness.host.core.is_removed_guest(ANA)
    harness.command(AllowGuest("ana"))
    act(harness, ANA, GuestHere("Ana"))
    assert [guest.name for guest in harness.host.snapshot().guests] == ["Ben", "Ana"]
    harness.command(AllowGuest("Ana"))
    assert error(harness.host) == "No guest called Ana was removed."
    harness.command(RemoveGuest(bytes(16)))
    assert error(harness.host) == "There is no such guest."


def test_a_guest_has_left_when_its_page_was_closed_for_a_minute() -> None:
    harness = session_of_guests()
    act(harness, ANA, GuestGone())
    harness.run(30)
    act(harness, ANA, GuestHere("Ana"))
    harness.run(100)
    assert harness.host.events("guest_left") == []
    act(harness, ANA, GuestGone())
    harness.run(61)
    (left,) = harness.host.events("guest_left")
    assert left.fields == {"guest_id": ANA.hex(), "name": "Ana", "removed": False}
    act(harness, ANA, GuestHere("Ana"))
    assert [one.fields["name"] for one in harness.host.events("guest_joined")] == ["Ana", "Ben", "Ana"]


def test_a_guest_that_is_forgotten_leaves_no_request_and_no_vote() -> None:
    harness = session_of_guests()
    song = a_track(1)
    harness.command(Add(song))
    ask(harness, BEN)
    act(harness, BEN, GuestVotes(song.file_id, True))
    act(harness, BEN, GuestGone())
    for number in range(MAX_GUESTS - 1):
        act(harness, (1000 + number).to_bytes(16, "big"), GuestHere(f"guest {number}"))
    harness.run(1)
    snapshot = harness.host.snapshot()
    assert BEN not in [guest.guest_id for guest in snapshot.guests]
    assert snapshot.requests == () and snapshot.votes == ()


def test_a_removed_guest_takes_no_votes_of_others_at_its_address_along() -> None:
    harness = session_of_guests()
    song = a_track(1)
    harness.command(Add(song))
    cia, dan = bytes([3]) * 16, bytes([4]) * 16
    act(harness, cia, GuestHere("Cia", "10.0.0.9"))
    act(harness, dan, GuestHere("Dan", "10.0.0.9"))
    act(harness, cia, GuestVotes(song.file_id, True))
    harness.command(RemoveGuest(dan))
    harness.run(1)
    assert [one.votes for one in harness.host.snapshot().votes] == [1]
    harness.command(RemoveGuest(cia))
    harness.run(1)
    assert harness.host.snapshot().votes == ()
