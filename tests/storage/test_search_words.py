"""The words under which songs are found."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from phaselock.storage.search_words import further_words_of, words_of


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", []),
        ("Straße", ["strasse"]),
        ("STRASSE", ["strasse"]),
        ("Sigur Rós – Sæglópur", ["sigur", "ros", "saeglopur"]),
        ("Łódź ŻÓŁĆ", ["lodz", "zolc"]),
        ("Mø, Røyksopp", ["mo", "royksopp"]),
        ("Đorđe Ħal", ["dorde", "hal"]),
        ("Þeir", ["their"]),
        ("İstanbul ıslak", ["istanbul", "islak"]),
        ("Beyonce\u0301 Beyoncé", ["beyonce", "beyonce"]),
        ("Don't rock ’n’ roll", ["dont", "rock", "n", "roll"]),
        ("AC/DC - T.N.T. (live)", ["ac", "dc", "t", "n", "t", "live"]),
        ("ﬁre №5 ２", ["fire", "no5", "2"]),
        ("東京", ["東", "京"]),
        ("Кино", ["кино"]),
        ("snake_case", ["snake", "case"]),
    ],
)
def test_words(text: str, words: list[str]) -> None:
    assert words_of(text) == words


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Müller", ["mueller"]),
        ("Mu\u0308ller", ["mueller"]),
        ("Røyksopp", ["roeyksopp"]),
        ("AC/DC live", ["acdc"]),
        ("R.E.M.", ["rem"]),
        ("Help", []),
    ],
)
def test_further_words(text: str, words: list[str]) -> None:
    assert further_words_of(text) == words


@given(st.text())
def test_words_have_letters_and_digits_only(text: str) -> None:
    for word in (*words_of(text), *further_words_of(text)):
        assert word.isalnum()


@given(st.text())
def test_the_words_of_words_are_the_same(text: str) -> None:
    assert words_of(" ".join(words_of(text))) == words_of(text)
