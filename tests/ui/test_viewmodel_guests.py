"""Guests, votes and rules in the view models, without a display."""

from __future__ import annotations

import dataclasses
from typing import Any
from uuid import UUID

import pytest

from phaselock.model.calibration import Confirmation
from phaselock.model.party import I_CHOOSE, OPEN_HOUSE, PRESETS, SMALL_PARTY, Order, PartyRules
from phaselock.model.queue import ItemStatus
from phaselock.model.snapshot import GuestView, RequestState, SkipView, VotesView
from phaselock.ui.viewmodel import Limit, QueueRows, host_view, limit_text, peer_view, preset_of, stepped
from tests.support.session_views import MS, guest, host, item, more, peer, plain, playing, request

ANA = GuestView(bytes(range(16)), "Ana", True, False, None)
HEARD = Confirmation(0, 5 * MS, "spot")
FAIR = dataclasses.replace(I_CHOOSE, order=Order.FAIR)
LIMITS: tuple[Limit, ...] = ("max_waiting", "max_per_hour", "no_repeat_min", "max_length_min")

# -- guests ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "detail"),
    [
        ({}, ""),
        ({"listening": True}, "listens"),
        ({"listening": True, "uncertainty_ns": 4_600_000}, "listens, about 5 ms"),
        ({"listening": True, "uncertainty_ns": 5 * MS}, "listens, about 5 ms"),
        ({"listening": True, "uncertainty_ns": 0}, "listens, about 1 ms"),
        (
            {"listening": True, "uncertainty_ns": 5 * MS, "confirmed": HEARD},
            "listens, about 5 ms, heard by a microphone",
        ),
        ({"listening": True, "confirmed": HEARD}, "listens, heard by a microphone"),
        ({"connected": False, "listening": True, "uncertainty_ns": 5 * MS}, "page closed"),
    ],
)
def test_a_guest(changes: dict[str, Any], detail: str) -> None:
    (row,) = host_view(host(guests=(dataclasses.replace(ANA, **changes),))).guests
    assert (row.guest_id, row.name, plain(row.detail)) == (ANA.guest_id.hex(), "Ana", detail)
    assert row.connected is changes.get("connected", True)


def test_guests_are_no_peers() -> None:
    asleep = GuestView(bytes(16), "Dino", False, False, None)
    listens = dataclasses.replace(ANA, listening=True, uncertainty_ns=50 * MS)
    alone, party = playing(peer()), playing(peer(), guests=(listens, asleep))
    assert host_view(party).sync == host_view(alone).sync  # a phone is none of the loudspeakers
    assert host_view(party).peers == host_view(alone).peers
    assert host_view(party).subtitle == "1 peer connected · 1 guest"
    assert host_view(party).guests_note == "1 here"
    assert host_view(host(guests=(ANA, asleep))).subtitle == "1 guest"
    assert host_view(host(guests=(asleep,))).subtitle == "Nobody has joined yet"
    assert host_view(host()).guests_note == ""


def test_each_removed_guest_is_named_once() -> None:
    view = host_view(host(removed=("Sam",), removed_guests=("Ana", "ANA", "Dino")))
    assert view.removed == ("Sam",) and view.removed_guests == ("ANA", "Dino")


def test_a_guests_song_of_the_library_has_no_size() -> None:
    wish = request(1, RequestState.OPEN, peer_name="Ana", title="Heroes", size=0)
    (row,) = host_view(host(requests=(wish,))).requests
    assert row.title == "Heroes" and row.subtitle == "asked by Ana" and row.decidable


# -- votes -------------------------------------------------------------------------------------------------------------


def test_votes_of_the_waiting_songs() -> None:
    queue = (item(1, ItemStatus.PLAYED), item(2, ItemStatus.PLAYING), item(3), item(4, ItemStatus.TRANSFERRING))
    votes = tuple(VotesView(UUID(int=number), number, number == 3) for number in (1, 2, 3, 9))
    changes = {"queue": queue, "votes": votes}
    for view in (host_view(host(**changes)), peer_view(guest(**changes))):
        assert [(row.votes, row.voted, row.can_vote) for row in view.queue] == [(0, False, False)] * 2 + [
            (3, True, False),
            (0, False, False),
        ]
    for view in (host_view(host(rules=FAIR, **changes)), peer_view(guest(rules=FAIR, **changes))):
        assert [row.can_vote for row in view.queue] == [False, False, True, True]


def test_a_vote_makes_one_row_again() -> None:
    rows, state = QueueRows(), more(100, rules=FAIR)
    before = host_view(state, rows).queue
    voted = dataclasses.replace(state.snapshot, votes=(VotesView(UUID(int=50), 2, False),))
    after = host_view(dataclasses.replace(state, snapshot=voted), rows).queue
    assert [place for place in range(100) if after[place] is not before[place]] == [49]
    again = dataclasses.replace(voted, votes=(VotesView(UUID(int=50), 2, False),))
    assert host_view(dataclasses.replace(state, snapshot=again), rows).queue is after


@pytest.mark.parametrize(
    ("skip", "text"),
    [
        (None, ""),
        (SkipView(0, 3, False), ""),
        (SkipView(1, 3, True), "1 of 3 wants the next song"),
        (SkipView(3, 5, False), "3 of 5 want the next song"),
        (SkipView(2, 5, False, ("Ana", "Ben")), "2 of 5 want the next song: Ana, Ben"),
    ],
)
def test_votes_for_the_next_song(skip: SkipView | None, text: str) -> None:
    now = {"now": item(1), "skip": skip}
    for view in (host_view(playing(skip=skip)), peer_view(guest(**now))):
        assert view.skip.text == text and view.skip.short == text.partition(":")[0]
        assert view.skip.can_vote is (skip is not None) and view.skip.wanted is bool(skip and skip.mine)


# -- rules -------------------------------------------------------------------------------------------------------------


def test_the_preset_of_rules() -> None:
    assert [preset_of(rules) for rules in PRESETS.values()] == list(PRESETS)
    assert preset_of(dataclasses.replace(SMALL_PARTY, chat=False)) == "small"  # the chat is a switch of its own
    assert preset_of(dataclasses.replace(SMALL_PARTY, max_waiting=4)) == "own"


@pytest.mark.parametrize("limit", LIMITS)
def test_the_steps_of_a_limit_lead_from_end_to_end(limit: Limit) -> None:
    rules, seen = I_CHOOSE, [I_CHOOSE]
    for step in (-1, 1, -1) if limit != "no_repeat_min" else (1, -1, 1):
        seen = [rules]
        while (after := stepped(rules, limit, step)) != rules:  # type: ignore[arg-type]
            rules = after
            seen.append(rules)
        assert len(seen) == len(set(seen)) > 5
        assert I_CHOOSE in seen


def test_steps_from_a_value_between_them() -> None:
    rules = PartyRules(max_waiting=6, no_repeat_min=45)
    assert stepped(rules, "max_waiting", -1).max_waiting == 5
    assert stepped(rules, "max_waiting", 1).max_waiting == 7
    assert stepped(rules, "no_repeat_min", 1).no_repeat_min == 60
    assert stepped(PartyRules(max_waiting=100), "max_waiting", 1).max_waiting is None
    assert stepped(PartyRules(no_repeat_min=15), "no_repeat_min", -1).no_repeat_min is None


def test_limits_as_text() -> None:
    assert [plain(limit_text(I_CHOOSE, limit)) for limit in LIMITS] == [
        "any number",
        "any number",
        "at once",
        "any length",
    ]
    assert [plain(limit_text(OPEN_HOUSE, limit)) for limit in LIMITS] == ["2", "8", "after 2 h", "10 min"]


@pytest.mark.parametrize(
    ("rules", "note"),
    [
        (I_CHOOSE, ""),
        (dataclasses.replace(I_CHOOSE, chat=False, skip_vote=True), ""),
        (PartyRules(max_waiting=1), "1 waiting song each · the host decides"),
        (
            OPEN_HOUSE,
            "2 waiting songs each · 8 an hour · at most 10 min · not again within 2 h · in turns, by votes · "
            "added without a question",
        ),
    ],
)
def test_the_rules_at_a_peer(rules: PartyRules, note: str) -> None:
    assert plain(peer_view(guest(rules=rules)).rules_note) == note
