from __future__ import annotations

import pytest

from phaselock.model.invitation import Candidate, Invitation, invitation_line, parse_invitation
from phaselock.model.relay import DEFAULT_RELAY, DIRECT, OFF, node_text, parse_relay, relay_of

NODE = "1f" * 32
OWN = "https://relay.example.org:8443"


def test_an_invitation_names_the_relay_only_if_it_is_in_no_directory() -> None:
    assert node_text(NODE, DEFAULT_RELAY) == node_text(NODE, DIRECT) == NODE
    assert node_text(NODE, OWN) == f"{NODE}@relay.example.org:8443"
    assert relay_of(NODE, "") == DEFAULT_RELAY
    assert relay_of(node_text(NODE, OWN), "") == OWN
    assert relay_of(node_text(NODE, OWN), DIRECT) == DIRECT


def test_the_line_carries_the_relay() -> None:
    told = Invitation((Candidate("192.0.2.1", 17404),), "4829134471", 7, bytes(4), node_text(NODE, OWN))
    assert parse_invitation(invitation_line(told)) == told


@pytest.mark.parametrize("text", [DEFAULT_RELAY, DIRECT, OFF, OWN])
def test_these_are_relays(text: str) -> None:
    assert parse_relay(text) == text


@pytest.mark.parametrize("text", ["", "relay.example.org", "http://relay.example.org", OWN + "/path", "on"])
def test_these_are_none(text: str) -> None:
    with pytest.raises(ValueError):
        parse_relay(text)
