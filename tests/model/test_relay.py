from __future__ import annotations

import pathlib
import tomllib

import pytest

from phaselock.model import file_kinds
from phaselock.model.invitation import Candidate, Invitation, invitation_line, parse_invitation
from phaselock.model.relay import DEFAULT_RELAY, DIRECT, EXTRA_COMMAND, OFF, node_text, parse_relay, relay_of

NODE = "1f" * 32
OWN = "https://relay.example.org:8443"


def test_an_invitation_names_the_relay_only_if_it_is_in_no_directory() -> None:
    assert node_text(NODE, DEFAULT_RELAY) == node_text(NODE, DIRECT) == NODE
    assert node_text(NODE, OWN) == f"{NODE}@relay.example.org:8443"
    assert relay_of(NODE, "") == DEFAULT_RELAY
    assert relay_of(node_text(NODE, OWN), "") == OWN
    assert relay_of(node_text(NODE, OWN), DIRECT) == DIRECT


def test_what_users_are_told_to_install_is_what_the_extras_need() -> None:
    """And never a package with the name of PhaseLock: on PyPI, that is another project."""
    project = tomllib.loads((pathlib.Path(__file__).parents[2] / "pyproject.toml").read_text("utf-8"))["project"]
    for extra, command in (("internet", EXTRA_COMMAND), ("formats", file_kinds.COMMAND)):
        (needed,) = project["optional-dependencies"][extra]
        assert command == f"pip install '{needed.partition(';')[0]}'"


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
