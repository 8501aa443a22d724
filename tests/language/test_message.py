"""A Message is an English string that a front end can translate later."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable

import pytest

from phaselock.errors import PhaseLockError
from phaselock.language.message import ENGLISH, Figure, Message, translated


class Shouting:
    """A language in capital letters, except for the names of values."""

    def gettext(self, message: str, /) -> str:
        return message.upper().replace("{NAME}", "{name}").replace("{NUMBER}", "{number}").replace("{WHY}", "{why}")

    def ngettext(self, msgid1: str, msgid2: str, n: int, /) -> str:
        return self.gettext(msgid1 if n < 5 else msgid2)  # plural from five on: not as in English


SHOUTING = Shouting()


def test_it_is_the_english_text() -> None:
    message = Message("No file {name}.", name="a.mp3")
    assert message == "No file a.mp3." and f"{message}" == "No file a.mp3."
    assert json.dumps(message) == '"No file a.mp3."'


def test_values_stay_and_messages_among_them_are_translated() -> None:
    message = Message("{name} failed: {why}", name="a.mp3", why=Message("no file {name}", name="b"))
    assert message == "a.mp3 failed: no file b"
    assert message.translated(SHOUTING) == "a.mp3 FAILED: NO FILE b"


@pytest.mark.parametrize(
    ("number", "english", "shouted"), [(1, "1 song", "1 SONG"), (2, "2 songs", "2 SONG"), (5, "5 songs", "5 SONGS")]
)
def test_plurals_follow_the_rules_of_the_language(number: int, english: str, shouted: str) -> None:
    message = Message.plural("{number} song", "{number} songs", number)
    assert message == english
    assert message.translated(SHOUTING) == shouted


def test_parts_of_a_list_are_translated_if_they_are_messages() -> None:
    row = Message.joined("; ", ["a.mp3", Message("no file {name}", name="b"), "{c}"])
    assert row == "a.mp3; no file b; {c}"
    assert row.translated(SHOUTING) == "a.mp3; NO FILE b; {c}"
    assert Message.joined(" ", []).translated(SHOUTING) == ""


def test_braces_without_values_are_ordinary_characters() -> None:
    assert Message("a {b").translated(ENGLISH) == "a {b"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (Message("yes"), "YES"),
        ("a message id", "A MESSAGE ID"),
        ("", ""),
        (Message(""), ""),
    ],
)
def test_any_text_can_be_translated(text: str, expected: str) -> None:
    assert translated(text, SHOUTING) == expected


@pytest.mark.parametrize("again", [copy.copy, copy.deepcopy])
def test_a_copy_can_be_translated(again: Callable[[Message], Message]) -> None:
    assert again(Message("{name}!", name=Message("x"))).translated(SHOUTING) == "X!"


def test_an_error_is_english_for_programs_and_translated_for_people() -> None:
    error = PhaseLockError("No file {name}.", name="a.mp3")
    assert str(error) == "No file a.mp3."
    assert error.text(SHOUTING) == "NO FILE a.mp3."


class Commas:
    """A language with decimal commas."""

    def gettext(self, message: str, /) -> str:
        return "1,5" if message == "1.5" else message

    def ngettext(self, msgid1: str, msgid2: str, n: int, /) -> str:
        return msgid1


@pytest.mark.parametrize(
    ("value", "form", "english", "other"),
    [
        (4.25, ".1f", "4.2", "4,2"),
        (-0.04, "+.1f", "+0.0", "+0,0"),
        (1234.0, ".0f", "1234", "1234"),
        (2.5, "g", "2.5", "2,5"),
    ],
)
def test_a_figure_has_the_decimal_sign_of_the_language(value: float, form: str, english: str, other: str) -> None:
    message = Message("{size} MB", size=Figure(value, form))
    assert message == f"{english} MB"
    assert message.translated(Commas()) == f"{other} MB"
