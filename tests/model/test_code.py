from __future__ import annotations

import pytest

from phaselock.model.code import code_from_number, normal_code, shown_code
from phaselock.model.key_words import key_words


@pytest.mark.parametrize(
    ("typed", "code"),
    [
        ("482913", "482913"),
        (" 482 913\n", "482913"),
        ("４８２９１３", "482913"),
        ("Blaue Tür", "blauetür"),
        ("BLAUE TU\u0308R", "blauetür"),
        ("abc", ""),
        (" a b c ", ""),
        ("x" * 64, "x" * 64),
        ("x" * 65, ""),
        ("", ""),
    ],
)
def test_what_is_typed_becomes_the_code(typed: str, code: str) -> None:
    assert normal_code(typed) == code


def test_a_code_of_digits_is_shown_in_two_groups() -> None:
    assert [code_from_number(number) for number in (0, 1_482_913, 2**64 - 1)] == ["000000", "482913", "551615"]
    assert shown_code("482913") == "482 913" and shown_code("blauetür") == "blauetür"


def test_the_words_are_those_of_the_proposal() -> None:
    """The examples of Wilkerson's text: IPv4 addresses."""
    assert key_words(bytes([127, 0, 0, 1, 63, 84, 220, 193])) == "lusab babad gutih tugad"
    assert key_words(bytes([140, 98, 193, 141, 64, 255, 6, 200, 9, 9])) == "mudof sakat haguz biram"
