"""Invitations: an address and a code in one text."""

from __future__ import annotations

import shlex

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from phaselock.model.address import DEFAULT_PORT
from phaselock.model.code import normal_code
from phaselock.model.invitation import (
    Candidate,
    Invitation,
    find_invitation,
    invitation_line,
    invitation_text,
    parse_invitation,
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("192.168.1.42", Invitation((Candidate("192.168.1.42", DEFAULT_PORT),))),
        (" music.local:18000 ", Invitation((Candidate("music.local", 18000),))),
        ("phaselock://192.168.1.42", Invitation((Candidate("192.168.1.42", DEFAULT_PORT),))),
        ("phaselock://192.168.1.42/", Invitation((Candidate("192.168.1.42", DEFAULT_PORT),))),
        ("phaselock://192.168.1.42:18000/482913", Invitation((Candidate("192.168.1.42", 18000),), "482913")),
        ("PhaseLock://[fe80::1]:18000/482%20913", Invitation((Candidate("fe80::1", 18000),), "482913")),
        ("phaselock://::1/Gr%C3%BCner%20Tee", Invitation((Candidate("::1", DEFAULT_PORT),), "grünertee")),
    ],
)
def test_an_invitation_or_an_address_is_read(text: str, expected: Invitation) -> None:
    assert parse_invitation(text) == expected


def test_an_invitation_for_friends_elsewhere_is_read() -> None:
    line = "phaselock:///192.168.1.42:17404,[2001:db8::1]:17401+5000,45.32.1.1/4829134471/7-1f00ab42"
    found = parse_invitation(f" {line}\n")
    assert found == Invitation(
        (
            Candidate("192.168.1.42", 17404),
            Candidate("2001:db8::1", 17401, 5000),
            Candidate("45.32.1.1", DEFAULT_PORT),
        ),
        "4829134471",
        7,
        bytes.fromhex("1f00ab42"),
    )
    assert found.place == ("192.168.1.42", 17404)
    assert found.clock_ports == {("2001:db8::1", 17401): 5000}
    assert invitation_line(found) == line
    assert parse_invitation(f"{line}/node7?utm=1").node == "node7"
    assert parse_invitation(line.replace(":///", "://")) == found


def test_an_invitation_is_found_in_a_message() -> None:
    line = "phaselock:///192.168.1.42:17404,[2001:db8::1]/4829134471/7-1f00ab42"
    assert find_invitation(f"Come to my jam:\n{line}\nBring songs.") == line
    assert find_invitation(line) == line and find_invitation("phaselock: //a") == ""


@pytest.mark.parametrize("at", range(34, 60))
@pytest.mark.parametrize("between", ["\n", "\r\n", "\n> ", " \n  "])
def test_an_invitation_that_a_mail_has_broken_is_put_together(at: int, between: str) -> None:
    line = "phaselock:///192.168.1.42:17404,[2001:db8::1]/4829134471/7-1f00ab42"
    assert find_invitation(f"> {line[:at]}{between}{line[at:]}\n> Bring songs.") == line
    assert find_invitation(f"{line[:at]}\nBring songs.") == line[:at]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("phaselock://a,b/482913", "This invitation is not whole"),
        ("phaselock://a,b/482913/7", "This invitation is not whole"),
        ("phaselock://a/482913/7-1f00ab4", "This invitation is not whole"),
        ("phaselock://a/482913/7-1f00ab42/node/more", "This invitation is not whole"),
        ("phaselock://a,a,a,a,a,a,a,a,a/482913/7-1f00ab42", "This invitation is not whole"),
        ("phaselock://a,/482913/7-1f00ab42", "Enter the address"),
        ("phaselock://a:1+0/482913/7-1f00ab42", "The port is"),
        ("phaselock://a:1+65536/482913/7-1f00ab42", "The port is"),
        ("phaselock://a//7-1f00ab42", "The code in this invitation"),
        ("", "Enter the address"),
        ("phaselock://", "Enter the address"),
        ("phaselock:///", "Enter the address"),
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


_HOSTS = st.sampled_from(["192.168.1.42", "fe80::1%eth0", "2001:db8::7", "music.local"])
_PORTS = st.integers(1, 65535)


@given(
    st.lists(st.builds(Candidate, _HOSTS, _PORTS, st.just(0) | _PORTS), min_size=1, max_size=8),
    st.integers(0, 10**10 - 1),
    st.binary(min_size=4, max_size=4),
)
def test_every_line_is_read_again(candidates: list[Candidate], number: int, session: bytes) -> None:
    invitation = Invitation(tuple(candidates), f"{number:010}", 7, session)
    line = invitation_line(invitation)
    assert parse_invitation(line) == invitation and line.isascii()


@pytest.mark.parametrize(
    "place",
    ["127.0.0.1:631", "127.1.2.3", "[::1]:631", "0.0.0.0", "[::ffff:127.0.0.1]", "localhost:631", "a.localhost."],
)
def test_a_line_leads_to_no_other_program_of_the_friend(place: str) -> None:
    found = parse_invitation(f"phaselock:///{place},45.32.1.1,{place}/4829134471/7-1f00ab42")
    assert found.places == [("45.32.1.1", 17401)]
    assert len(parse_invitation(f"phaselock:///{place}/4829134471/7-1f00ab42").places) == 1
