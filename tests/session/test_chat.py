"""Messages of people to all: told everywhere, bounded, limited, and switched off by the rules."""

from __future__ import annotations

import dataclasses
import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from phaselock.model.names import CHAT_BYTES, CHAT_CHARS
from phaselock.model.notices import Code
from phaselock.model.party import I_CHOOSE, PartyRules
from phaselock.model.snapshot import MAX_CHAT_LINES, ChatLine
from phaselock.protocol.messages import ChatHistory, ChatSaid, Message
from phaselock.session import events as e
from phaselock.session.commands import RemoveGuest, Say, SetRules
from phaselock.session.effects import Notify, Send, TellGuest
from phaselock.session.event_json import event_object
from phaselock.session.guest_actions import GuestAction, GuestHere, GuestSays
from phaselock.session.host import chat as host_chat
from phaselock.session.host.chat import ALL_LINES, OWN_LINE_EVERY_NS, OWN_LINES, HostChat
from phaselock.session.host.guests import Guest
from phaselock.session.host.members import Members
from phaselock.session.outbox import Outbox
from phaselock.session.sentences import NOTICES, event_text
from tests.support.session_harness import HarnessPeer, error, ready
from tests.support.simulation import SECOND, SimulatedNode


class Chat:
    """The chat of a host without peers, to which guests write."""

    def __init__(self) -> None:
        self.rules: PartyRules = I_CHOOSE
        self.outbox = Outbox()
        self.chat = HostChat(Members(), self.outbox, lambda: self.rules)

    def said(self, text: str, key: int = 1, now_ns: int = 0) -> str | None:
        """What the guest is told of its message; None: nothing."""
        self.chat.guest_says(Guest(key.to_bytes(16, "big"), f"guest:{key}", "Ana", "Ana", 0), text, now_ns=now_ns)
        return next((one.text for one in self.outbox.drain() if isinstance(one, TellGuest)), None)

    def texts(self) -> list[str]:
        return [line.text for line in self.chat.lines]


def told(node: SimulatedNode) -> list[tuple[object, object]]:
    """The messages that the user of this node was told."""
    return [(one.fields["name"], one.fields["text"]) for one in node.events("chat")]


def shown(node: SimulatedNode) -> list[tuple[int, str, str]]:
    return [(line.number, line.name, line.text) for line in node.snapshot().chat]


def say(peer: HarnessPeer, command: Say) -> None:
    peer.do(peer.core.command(command, now_ns=peer.now_ns))


def receive(peer: HarnessPeer, message: Message) -> None:
    peer.do(peer.core.received(message, now_ns=peer.now_ns))


def line(number: int, text: str = "x", name: str = "Zoe") -> ChatLine:
    return ChatLine(number, name, text, 5)


def test_what_the_host_and_a_peer_write_is_told_at_all_machines() -> None:
    harness, (ana, ben) = ready()
    harness.command(Say("Who wants cake?"))
    harness.run(0.1)
    say(ana, Say("I do"))
    harness.run(0.1)
    for node in (harness.host, ana, ben):
        assert shown(node) == [(1, "Hana", "Who wants cake?"), (2, "Ana", "I do")]
        assert told(node) == [("Hana", "Who wants cake?"), ("Ana", "I do")]


def test_a_new_peer_knows_what_was_written_before_and_is_not_told_again() -> None:
    harness, _ = ready()
    harness.command(Say("one"), Say("two"))
    cleo = harness.join("Cleo")
    harness.run(0.5)
    assert shown(cleo) == shown(harness.host) != []
    assert told(cleo) == []
    harness.command(Say("three"))
    harness.run(0.1)
    assert told(cleo) == [("Hana", "three")]


def test_a_peer_that_is_back_is_told_what_it_has_missed() -> None:
    harness, (ana, ben) = ready()
    harness.command(Say("before"))
    harness.run(0.1)
    ana.cut(10)
    harness.run(7)
    harness.command(Say("meanwhile"))
    say(ana, Say("into the void"))
    assert error(ana) == NOTICES[Code.NOT_CONNECTED]
    harness.run(20)
    assert ana.snapshot().connected
    assert told(ana) == told(ben) == [("Hana", "before"), ("Hana", "meanwhile")]
    assert shown(ana) == shown(ben)


def test_the_newest_lines_are_kept() -> None:
    chat = Chat()
    for number in range(MAX_CHAT_LINES + 3):
        assert chat.said(f"line {number}", now_ns=number * OWN_LINE_EVERY_NS) is None
    lines = chat.chat.lines
    assert len(lines) == MAX_CHAT_LINES
    assert [one.number for one in lines] == list(range(4, MAX_CHAT_LINES + 4))
    assert lines[-1].session_ns == (MAX_CHAT_LINES + 2) * OWN_LINE_EVERY_NS


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("  two\nlines \t here ", ["two lines here"]),
        ("\u202eevil\u202c \x1b[31mred", ["evil [31mred"]),
        ("שלום לכולם", ["שלום לכולם"]),
        ("", []),
        (" \u200b\u200d ", []),
        ("<b>&amp;{name}%s", ["<b>&amp;{name}%s"]),
    ],
)
def test_a_text_is_one_line_that_is_safe_to_show(text: str, expected: list[str]) -> None:
    chat = Chat()
    assert chat.said(text) is None
    assert chat.texts() == expected


@pytest.mark.parametrize("letter", ["x", "word ", "ö", "👍"])
def test_a_longer_text_is_cut(letter: str) -> None:
    chat = Chat()
    chat.said(letter * 100_000)
    (text,) = chat.texts()
    assert CHAT_CHARS - 10 <= len(text) <= CHAT_CHARS and len(text.encode()) <= CHAT_BYTES and text.endswith("…")
    chat.said("x" * CHAT_CHARS)
    assert chat.texts()[1] == "x" * CHAT_CHARS


def test_a_person_who_writes_too_fast_is_told_so_and_others_are_not() -> None:
    chat = Chat()
    assert [chat.said(str(number)) for number in range(OWN_LINES + 1)] == [None] * OWN_LINES + [
        NOTICES[Code.CHAT_TOO_FAST]
    ]
    assert chat.said("hello", key=2) is None
    assert chat.said("slower", now_ns=OWN_LINE_EVERY_NS) is None
    assert chat.said("again", now_ns=OWN_LINE_EVERY_NS) == NOTICES[Code.CHAT_TOO_FAST]


def test_all_together_have_a_limit_that_does_not_count_for_the_host() -> None:
    chat = Chat()
    answers = [chat.said("x", key=number) for number in range(ALL_LINES + 1)]
    assert answers == [None] * ALL_LINES + [NOTICES[Code.CHAT_BUSY]]
    chat.chat.host_says("Hana", "Slowly, please", now_ns=0)
    assert chat.texts()[-1] == "Slowly, please"
    # A message that all together had no room for does not count for its writer.
    assert [chat.said("x", key=ALL_LINES, now_ns=60 * SECOND) for _ in range(OWN_LINES)] == [None] * OWN_LINES


def test_limits_of_few_people_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host_chat, "MAX_WRITERS", 3)
    chat = Chat()
    for _ in range(OWN_LINES):
        chat.said("x", key=1000)
    for number in range(10):
        chat.said("x", key=number)
    assert len(chat.chat._own) == 3
    assert chat.said("x", key=1000) == NOTICES[Code.CHAT_TOO_FAST]


@given(st.lists(st.tuples(st.integers(1, 4), st.integers(0, 4 * SECOND)), max_size=80))
def test_each_person_keeps_the_limit_and_the_numbers_grow_by_one(writes: list[tuple[int, int]]) -> None:
    chat, now_ns = Chat(), 0
    told_at_ns: dict[int, list[int]] = {key: [] for key in range(1, 5)}
    for key, after_ns in writes:
        now_ns += after_ns
        if chat.said("x", key, now_ns) is None:
            told_at_ns[key].append(now_ns)
    count = sum(map(len, told_at_ns.values()))
    assert [one.number for one in chat.chat.lines] == list(range(1, count + 1))[-MAX_CHAT_LINES:]
    for times in told_at_ns.values():
        for first, last in itertools.combinations(range(len(times)), 2):
            assert last - first + 1 <= OWN_LINES + (times[last] - times[first]) // OWN_LINE_EVERY_NS


def test_the_rules_switch_it_off_for_all() -> None:
    chat = Chat()
    chat.said("before")
    chat.rules = dataclasses.replace(I_CHOOSE, chat=False)
    assert chat.said("now") == NOTICES[Code.CHAT_OFF]
    chat.outbox.drain()
    chat.chat.host_says("Hana", "me too", now_ns=1)
    (told,) = chat.outbox.drain()
    assert isinstance(told, Notify) and isinstance(told.event, e.Failed) and told.event.notice.code is Code.CHAT_OFF
    assert chat.texts() == ["before"]


def test_a_peer_is_told_why_its_message_is_not_told() -> None:
    harness, (ana, ben) = ready()
    for number in range(OWN_LINES + 1):
        say(ana, Say(str(number)))
    harness.run(0.1)
    assert error(ana) == NOTICES[Code.CHAT_TOO_FAST] and not ben.events("error")
    assert len(shown(ben)) == OWN_LINES
    harness.command(SetRules(PartyRules(chat=False)))
    say(ben, Say("hello?"))
    harness.run(0.1)
    assert error(ben) == NOTICES[Code.CHAT_OFF] and not ben.snapshot().rules.chat
    assert len(shown(ana)) == OWN_LINES


def test_a_peer_sends_no_message_without_a_visible_character() -> None:
    harness, (ana, _) = ready()
    sent = len(ana.of(Send))
    say(ana, Say(" \u200b "))
    assert len(ana.of(Send)) == sent and not ana.events("error")


def test_guests_write_to_all_machines_under_their_names() -> None:
    harness, (ana, _) = ready()

    def act(number: int, action: GuestAction) -> None:
        harness.host.call(harness.host.core.guest, bytes([number]) * 16, action)

    act(1, GuestSays("before I am here"))
    act(1, GuestHere("Ana"))
    act(2, GuestHere("Zoë"))
    act(1, GuestSays("more bass"))
    act(2, GuestSays("less"))
    harness.command(RemoveGuest(bytes([2]) * 16))
    act(2, GuestSays("unfair"))
    harness.run(0.1)
    assert shown(ana) == shown(harness.host) == [(1, "Ana (2)", "more bass"), (2, "Zoë", "less")]
    harness.command(SetRules(PartyRules(chat=False)))
    act(1, GuestSays("hello?"))
    assert [one.text for one in harness.host.for_guests if isinstance(one, TellGuest)] == [NOTICES[Code.CHAT_OFF]]


def test_what_a_hostile_host_sends_is_cleaned_or_ends_the_session() -> None:
    harness, (ana, ben) = ready()
    receive(ana, ChatSaid(line(7, "\x1b[2J\u202eboo", "\x07Zoe")))
    receive(ana, ChatHistory((line(6), line(7), line(9, "ok"))))
    assert shown(ana) == [(7, "Zoe", "[2Jboo"), (9, "Zoe", "ok")]
    receive(ana, ChatSaid(line(9)))
    receive(ben, ChatHistory((line(2), line(2))))
    for peer in (ana, ben):
        assert peer.events("session_end")[-1].fields["code"] == "host_broke_protocol"


def test_the_event_is_a_sentence_and_an_object() -> None:
    event = e.ChatSaid(5, 3, "Ana", "more {bass}")
    assert event_text(event) == "Ana says: more {bass}"
    expected = {"event": "chat", "session_ns": 5, "number": 3, "name": "Ana", "text": "more {bass}"}
    assert event_object(event) == expected
