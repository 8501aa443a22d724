"""The typed commands about rules, votes, guests and the fallback."""

from __future__ import annotations

import dataclasses
import pathlib
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import pytest

from phaselock.app.host_shell import HostShell
from phaselock.app.peer_shell import PeerShell
from phaselock.model.party import I_CHOOSE, OPEN_HOUSE, SMALL_PARTY, Order, PartyRules, rules_of
from phaselock.model.queue import ItemStatus, QueueItem
from phaselock.model.snapshot import GuestView
from phaselock.session.commands import AllowGuest, RemoveGuest, SetRules, VoteFor, WantSkip
from phaselock.session.events import Event
from phaselock.session.sentences import event_text
from phaselock.storage.settings import Settings, load, save

SONG = QueueItem(UUID(int=1), "one.mp3", 60.0, "Ana", ItemStatus.READY)
ANA = bytes([1]) * 16


def typed(kind: type[HostShell | PeerShell], *lines: str, rules: PartyRules = I_CHOOSE) -> tuple[list[Any], list[str]]:
    """The commands and the sentences that follow these lines."""
    told: list[Event] = []
    commands: list[Any] = []
    guests = (GuestView(ANA, "Ana", True, True, 5_000_000), GuestView(bytes(16), "Ben", False, False, None))
    snapshot = SimpleNamespace(
        queue=(SONG,), now=SONG, waiting_for=None, rules=rules, guests=guests, removed_guests=("Cleo",)
    )
    fake: Any = SimpleNamespace(
        session_ns=lambda: None,
        event=lambda event, **_: told.append(event),
        snapshot=lambda: snapshot,
        command=commands.append,
    )
    shell = kind(*([fake] * (6 if kind is HostShell else 5)))
    for line in lines:
        shell.line(line)
    return commands, [event_text(event) for event in told]


@pytest.mark.parametrize("kind", [HostShell, PeerShell])
def test_all_may_vote(kind: Any) -> None:
    commands, told = typed(kind, "vote 1", "unvote 1", "skip-vote", "vote 2", "vote")
    assert commands == [VoteFor(SONG.id, True), VoteFor(SONG.id, False), WantSkip(SONG.id, True)]
    assert told == [
        "You have voted for one.mp3.",
        "You no longer vote for one.mp3.",
        "You have voted for leaving one.mp3.",
        "There is no track 2 in the queue.",
        "Usage: vote NUMBER",
    ]


def test_the_rules_are_set() -> None:
    commands, _ = typed(HostShell, "rules small", "RULES Open", "rules waiting 4 order fair repeat off skip on")
    wanted = PartyRules(order=Order.FAIR, max_waiting=4, skip_vote=True)
    assert commands == [SetRules(SMALL_PARTY), SetRules(OPEN_HOUSE), SetRules(wanted)]
    for line in (
        "rules waiting",
        "rules waiting 0",
        "rules waiting x",
        "rules order up",
        "rules accept 1",
        "rules x 1",
    ):
        commands, (sentence,) = typed(HostShell, line)
        assert commands == [] and sentence.startswith("Usage: rules [choose|small|open], or: ")


def test_a_preset_leaves_the_chat_as_it_is() -> None:
    quiet = dataclasses.replace(I_CHOOSE, chat=False)
    commands, _ = typed(HostShell, "rules small", rules=quiet)
    assert commands == [SetRules(dataclasses.replace(SMALL_PARTY, chat=False))]


def test_the_rules_are_shown_everywhere_and_set_by_the_host() -> None:
    for kind in (HostShell, PeerShell):
        assert typed(kind, "rules", rules=OPEN_HOUSE)[1] == [
            "Songs are accepted at once.\n"
            "The order is fair: each person's first song, then each person's second; votes order each round.\n"
            "At most 2 songs of a person wait.\n"
            "At most 8 songs of a person in an hour.\n"
            "No song again within 120 minutes.\n"
            "No song longer than 10 minutes.\n"
            "A song is left when more than half of the people want that."
        ]
    assert typed(PeerShell, "rules small")[0] == []


def test_guests_are_listed_removed_and_let_in_again() -> None:
    commands, told = typed(HostShell, "guests", "remove-guest ana", "remove-guest Zoe", "allow-guest Cleo")
    assert commands == [RemoveGuest(ANA), AllowGuest("Cleo")]
    assert told == [
        "Ana has the page open and plays the music.\nBen has closed the page.\nRemoved: Cleo.",
        "There is no such guest.",
        "Cleo may come in again.",
    ]


def test_the_rules_are_kept(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "settings.json"
    save(path, Settings(rules=OPEN_HOUSE))
    assert load(path) == (Settings(rules=OPEN_HOUSE), None)
    path.write_text('{"rules": {"max_waiting": 0}}')
    found, warning = load(path)
    assert found.rules == I_CHOOSE and warning is not None


@pytest.mark.parametrize(
    "values", [{"order": "up"}, {"accept": 1}, {"max_waiting": True}, {"no_repeat_min": 1441}, {"x": 1}]
)
def test_rules_that_make_no_sense(values: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        rules_of(values)
