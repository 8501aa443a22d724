"""The limits on guessing the code of a session."""

from __future__ import annotations

from phaselock.model.notices import Code
from phaselock.session import events as e
from phaselock.session.commands import ChangeCode
from phaselock.session.effects import Notify
from phaselock.session.host.door import FREE_GUESSES, GUESS_EVERY_NS, LATER, MAX_GUESSES, NEVER, TOLD_GUESSES, Door
from phaselock.session.outbox import Outbox
from tests.support.session_harness import SessionHarness
from tests.support.told import reason


def warnings(outbox: Outbox) -> list[Code]:
    notes = [effect.event for effect in outbox.drain() if isinstance(effect, Notify)]
    return [note.notice.code for note in notes if isinstance(note, e.Warned)]


def test_one_machine_guesses_three_times_and_then_twice_a_minute() -> None:
    door = Door("482913", Outbox())
    assert [door.begin(conn, "a", now_ns=0) for conn in range(FREE_GUESSES + 1)] == [""] * FREE_GUESSES + [LATER]
    assert door.begin(9, "b", now_ns=0) == ""
    assert door.begin(9, "a", now_ns=GUESS_EVERY_NS - 1) == LATER
    assert [door.begin(conn, "a", now_ns=GUESS_EVERY_NS) for conn in (10, 11)] == ["", LATER]


def test_who_knows_the_code_has_no_guess_less() -> None:
    door = Door("482913", Outbox())
    for conn in range(1000):
        assert door.begin(conn, "a", now_ns=0) == ""
        assert not door.is_open_for(conn)
        door.right(conn, "a")
        assert door.is_open_for(conn)


def test_after_a_hundred_wrong_codes_nobody_joins_until_the_code_is_another_one() -> None:
    outbox = Outbox()
    door = Door("482913", outbox)
    for number in range(MAX_GUESSES):
        assert door.begin(number, f"machine {number}", now_ns=0) == ""
        door.wrong(number, now_ns=0)
        expected = {TOLD_GUESSES: [Code.CODE_GUESSED], MAX_GUESSES: [Code.CODE_VOID]}.get(number + 1, [])
        assert warnings(outbox) == expected
    assert door.begin(1000, "another one", now_ns=10**18) == NEVER
    assert len(door._guesses) == MAX_GUESSES
    door.change("123456")
    assert door.begin(1000, "another one", now_ns=0) == ""


def test_guesses_at_the_same_time_count_before_they_are_wrong() -> None:
    door = Door("482913", Outbox())
    begun = [door.begin(conn, "a", now_ns=0) for conn in range(20)]
    assert begun.count("") == FREE_GUESSES


def test_who_goes_in_the_middle_or_guesses_all_at_once_is_counted_and_told() -> None:
    outbox = Outbox()
    door = Door("482913", outbox)
    for conn in range(12):
        assert door.begin(conn, f"machine {conn}", now_ns=0) == ""
    assert warnings(outbox) == []
    door.closed(3, now_ns=0)
    door.closed(99, now_ns=0)
    assert warnings(outbox) == [Code.CODE_GUESSED]
    door.closed(4, now_ns=0)
    assert warnings(outbox) == []


def test_neighbours_in_one_ipv6_network_have_guesses_of_their_own() -> None:
    door = Door("482913", Outbox())
    for conn in range(FREE_GUESSES):
        door.begin(conn, "fe80::1%lo", now_ns=0)
    assert door.begin(10, "fe80::1%lo", now_ns=0) == LATER
    assert door.begin(11, "fe80::2%lo", now_ns=0) == ""


def test_a_session_without_a_code_is_open() -> None:
    door = Door("", Outbox())
    assert door.is_open_for(1)
    door.change("482913")
    assert not door.is_open_for(1)


def test_a_new_code_is_for_those_who_have_not_joined_yet() -> None:
    door = Door("482913", Outbox())
    door.begin(1, "a", now_ns=0)
    door.right(1, "a")
    door.change("123456")
    assert not door.is_open_for(1)


# -- in a session ----------------------------------------------------------------------------------------------------


def test_only_who_knows_the_code_joins_and_a_lost_member_returns_without_it() -> None:
    harness = SessionHarness()
    harness.command(ChangeCode("482 913"))
    ana = harness.join("Ana", code="482913")
    ben, cleo = harness.join("Ben", code="482914"), harness.join("Cleo")
    harness.run(2)
    assert [peer.name for peer in harness.host.snapshot().peers] == ["Ana"]
    assert [reason(one.ended) for one in (ben, cleo)] == [
        "The code is wrong.",
        "This jam has a code. Ask the host for it.",
    ]
    harness.command(ChangeCode("another one"))
    ana.cut(8)
    harness.run(12)
    assert [event.fields["again"] for event in ana.events("joined")] == [False, True]


def test_a_code_that_is_too_short_changes_nothing() -> None:
    harness = SessionHarness()
    harness.command(ChangeCode("482913"), ChangeCode("12"))
    assert harness.host.snapshot().code == "482913"
    assert harness.host.events("error")[-1].fields["code"] == "code_unusable"
    harness.command(ChangeCode(""))
    assert harness.host.snapshot().code == ""
    assert [event.fields["code"] for event in harness.host.events("code_set")] == ["482913", ""]
