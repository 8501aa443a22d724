"""Invitations: an address and a code in one text."""

from __future__ import annotations

import shlex

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from phaselock.model.address import DEFAULT_PORT
from phaselock.model.code import normal_code
from phaselock.model.invitation import Invitation, invitation_text, parse_invitation


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("192.168.1.42", Invitation("192.168.1.42", DEFAULT_PORT)),
        (" music.local:18000 ", Invitation("music.local", 18000)),
        ("phaselock://192.168.1.42", Invitation("192.168.1.42", DEFAULT_PORT)),
        ("phaselock://192.168.1.42/", Invitation("192.168.1.42", DEFAULT_PORT)),
        ("phaselock://192.168.1.42:18000/482913", Invitation("192.168.1.42", 18000, "482913")),
        ("PhaseLock://[fe80::1]:18000/482%20913", Invitation("fe80::1", 18000, "482913")),
        ("phaselock://::1/Gr%C3%BCner%20Tee", Invitation("::1", DEFAULT_PORT, "grünertee")),
    ],
)
def test_an_invitation_or_an_address_is_read(text: str, expected: Invitation) -> None:
    assert parse_invitation(text) == expected


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "Enter the address"),
        ("phaselock://", "Enter the address"),
        ("phaselock://1 2/482913", "Enter the address"),
        ("phaselock://host:0/482913", "The port is"),
        ("phaselock://host/482", "The code in this invitation"),
    ],
)
def test_what_cannot_be_read_is_explained(text: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        parse_invitation(text)


@given(st.text(max_size=70))
@example("000 a \N{COMBINING ACUTE ACCENT}")
def test_the_normal_form_of_a_code_is_its_own(text: str) -> None:
    assert normal_code(normal_code(text)) == normal_code(text)


@given(st.sampled_from(["192.168.1.42", "[fe80::1]:18000", "music.local:1"]), st.text(max_size=70).map(normal_code))
def test_every_invitation_is_read_again(address: str, code: str) -> None:
    text = invitation_text(address, code)
    found = parse_invitation(text)
    assert found.code == code and text.startswith("phaselock://") and text.isascii()
    plain = text.replace("~", "")  # special only at the beginning of a word
    assert "[" in address or shlex.quote(plain) == plain
