from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from phaselock.language.message import Message
from phaselock.model.names import (
    FILE_BYTES,
    FILE_CHARS,
    PERSON_BYTES,
    PERSON_CHARS,
    SENTENCE_BYTES,
    SENTENCE_CHARS,
    TITLE_BYTES,
    TITLE_CHARS,
    distinct,
    file_label,
    person_name,
    sentence,
    title,
    whole_title,
)

ANYTHING = st.text(st.characters(exclude_categories=[]), max_size=400)
HOSTILE = {"Cc", "Cs", "Zl", "Zp"}
BIDI = set("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def harmless(text: str, chars: int, size: int) -> bool:
    return (
        len(text) <= chars
        and len(text.encode()) <= size
        and not any(unicodedata.category(c) in HOSTILE or c in BIDI for c in text)
        and text == text.strip()
    )


@given(ANYTHING)
def test_every_text_becomes_safe_to_show(text: str) -> None:
    assert harmless(person_name(text), PERSON_CHARS, PERSON_BYTES)
    assert harmless(sentence(text), SENTENCE_CHARS, SENTENCE_BYTES)
    assert harmless(title(text), TITLE_CHARS, TITLE_BYTES)
    label = file_label(text)
    assert harmless(label, FILE_CHARS, FILE_BYTES)
    assert label not in ("", ".", "..") and not {"/", "\\"} & set(label)


@given(ANYTHING)
def test_reducing_twice_changes_nothing(text: str) -> None:
    for reduce in (person_name, sentence, file_label, title):
        assert reduce(reduce(text)) == reduce(text)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Ana", "Ana"),
        ("  Ana \n", "Ana"),
        ("Jose\u0301", "Jos\u00e9"),
        ("\u202egpj.exe", "gpj.exe"),
        ("\x1b[31mAna\x07", "[31mAna"),
        ("a\u2028b", "ab"),
        ("\u200b\ufeff\u200d", ""),
        ("A\ue000na\U000f0000", "Ana"),
        ("👩\u200d🚀", "👩\u200d🚀"),
        ("ü" * 100, "ü" * 64),
        ("한" * 100, "한" * 42),
    ],
)
def test_names(text: str, name: str) -> None:
    assert person_name(text) == name


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("song.mp3", "song.mp3"),
        ("/etc/passwd", "passwd"),
        ("C:\\Music\\a b.mp3", "a b.mp3"),
        ("..", "unnamed"),
        ("a/..", "unnamed"),
        ("a/", "unnamed"),
        ("", "unnamed"),
        ("x" * 300 + ".mp3", "x" * 200),
    ],
)
def test_file_labels(text: str, label: str) -> None:
    assert file_label(text) == label


SYMPHONY = "Symphony No. 9 in D minor, Op. 125: "


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (SYMPHONY * 5 + "Choral", SYMPHONY * 5 + "Choral"),
        (SYMPHONY * 6, SYMPHONY * 5 + "Symphony No. 9 in…"),
        ("x" * 300, "x" * 197 + "…"),
        ("한" * 100, "한" * 65 + "…"),
        ("a" * 194 + "n\u0308o\u0331o\u0331o\u0331", "a" * 194 + "n\u0308…"),
        ("a" * 190 + "👩\u200d🚀👩\u200d🚀", "a" * 190 + "…"),
        ("a" * 190 + "👍🏽👍🏽", "a" * 190 + "…"),
        ("a" * 185 + "🇩🇪🇫🇷🇮🇹", "a" * 185 + "🇩🇪…"),
        ("👩\u200d" * 100, "👩\u200d" * 28 + "…"),
    ],
)
def test_a_long_title_is_cut_between_words_or_letters(text: str, shown: str) -> None:
    assert title(text) == shown
    assert whole_title(text) == text.strip()


@given(st.lists(st.sampled_from(["Ana", "ana", "ANA (2)", "z" * 64, "한" * 42]), max_size=12))
def test_distinct_names_stay_distinct_and_short(names: list[str]) -> None:
    taken: list[str] = []
    for name in names:
        taken.append(distinct(name, taken))
    assert len({name.casefold() for name in taken}) == len(taken)
    assert all(harmless(name, PERSON_CHARS, PERSON_BYTES) for name in taken)


@pytest.mark.parametrize(
    ("name", "twin"),
    [
        ("Olivia", "0livia"),
        ("Olivia", "O\u006civia"),
        ("Olivia", "OIivia"),
        ("Peter", "\u0420\u0435t\u0435r"),
        ("Zo\u00eb", "\u0396o\u00eb"),
        ("Ana B", "Ana  B"),
        ("Ana B", "Ana\u00a0B"),
        ("HOST", "\u041d\u041eST"),
    ],
)
def test_names_that_look_alike_are_made_distinct(name: str, twin: str) -> None:
    assert distinct(twin, [name]).endswith(" (2)") and distinct(name, [twin]).endswith(" (2)")


@pytest.mark.parametrize(("name", "other"), [("Ana", "Anna"), ("Ben", "Bea"), ("Jan", "Jane"), ("Анна", "Иван")])
def test_other_names_are_kept(name: str, other: str) -> None:
    assert distinct(name, [other]) == name


def test_distinct_counts_from_two() -> None:
    assert distinct("Ana", []) == "Ana"
    assert distinct("Ana", ["ana"]) == "Ana (2)"
    assert distinct("Ana", ["Ana", "Ana (2)"]) == "Ana (3)"


@pytest.mark.parametrize("other", ["Ada\u200d", "ADA", "Ad\ufe0fa", "\uff21da", "\u0410d\u0430", "\u0391da"])
def test_a_name_that_looks_like_another_gets_a_number(other: str) -> None:
    assert distinct(other, ["Ada"]).endswith(" (2)")


@pytest.mark.parametrize("blank", ["\u3164", "\u2800", "\u115f \u034f"])
def test_a_name_without_a_shape_is_none(blank: str) -> None:
    assert person_name(blank) == ""


def test_marks_do_not_climb_out_of_their_line() -> None:
    assert person_name("Z" + "\u0301" * 40) == unicodedata.normalize("NFC", "Z\u0301\u0301")


def test_a_text_of_ours_stays_translatable_if_it_is_safe() -> None:
    safe, unsafe = (Message("{name} has left.", name=name) for name in ("Ann", "Ann\n"))
    assert sentence(safe) is safe
    assert sentence(unsafe) == "Ann has left." and not isinstance(sentence(unsafe), Message)
