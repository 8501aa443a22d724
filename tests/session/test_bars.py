"""Who was removed stays out, and no one else does."""

from __future__ import annotations

import pytest

from phaselock.model.notices import Code
from phaselock.protocol import messages as m
from phaselock.session.commands import AllowPeer, ChangeCode, DropPeer
from phaselock.session.effects import Ended, Notify
from phaselock.session.peer.session import PeerSession
from tests.support.raw_member import RawMember
from tests.support.session_harness import SessionHarness, error
from tests.support.simulation import HOST_KEY
from tests.support.told import Over

BARRED = "The host has removed this machine from the jam."
HOME = "192.168.1.20"


def removed(ip: str = HOME, *others: tuple[str, str]) -> tuple[SessionHarness, RawMember]:
    """Eve was removed, who had joined from that address; others are in the session."""
    harness = SessionHarness()
    for name, other_ip in others:
        RawMember(harness, name, other_ip).report()
    eve = RawMember(harness, "Eve", ip)
    eve.report()
    harness.command(DropPeer("eve"))
    return harness, eve


@pytest.mark.parametrize(
    ("name", "ip", "with_token", "let_in"),
    [
        ("Eve", HOME, False, False),
        ("EVE ", HOME, False, False),
        ("Zoe", HOME, False, False),
        ("Zoe", "192.168.1.21", True, False),
        ("Zoe", "192.168.1.21", False, True),
        ("Eve", "192.168.1.21", False, True),
    ],
)
def test_a_removed_machine_is_known_by_its_token_its_name_and_its_address(
    name: str, ip: str, with_token: bool, let_in: bool
) -> None:
    harness, eve = removed()
    assert eve.accepted is not None
    again = RawMember(harness, name, ip, eve.accepted if with_token else None)
    assert (again.accepted is not None) is let_in and again.rejected == (None if let_in else BARRED)


def test_a_removed_machine_is_known_by_the_name_that_it_had_asked_for() -> None:
    """The host itself had this name, so the peer got a number."""
    harness = SessionHarness()
    RawMember(harness, "Hana", "127.0.0.1")
    (name,) = (peer.name for peer in harness.host.snapshot().peers)
    assert name == "Hana (2)"
    harness.command(DropPeer(name))
    for asked in ("Hana", "Hana (2)", "HANA"):
        assert RawMember(harness, asked, "127.0.0.1").rejected == BARRED


def test_other_machines_behind_the_same_address_stay_and_may_join() -> None:
    harness, _ = removed(HOME, ("Ana", HOME))
    assert [peer.name for peer in harness.host.snapshot().peers] == ["Ana"]
    assert RawMember(harness, "Ben", HOME).accepted is not None
    assert RawMember(harness, "Eve", HOME).rejected == BARRED


def test_a_lost_member_returns_to_the_address_of_a_removed_one() -> None:
    harness = SessionHarness()
    ana, eve = RawMember(harness, "Ana", HOME), RawMember(harness, "Eve", HOME)
    ana.report()
    assert ana.accepted is not None and eve.accepted is not None
    harness.host.connection_lost(ana.conn, "reset")
    harness.command(DropPeer("Eve"))
    assert RawMember(harness, "Ana", HOME, ana.accepted).accepted is not None


@pytest.mark.parametrize("ip", ["127.0.0.1", "127.3.2.1", "::1"])
def test_on_this_computer_only_the_name_is_kept_out(ip: str) -> None:
    harness, _ = removed(ip)
    assert RawMember(harness, "Ben", ip).accepted is not None
    assert RawMember(harness, "Eve", ip).rejected == BARRED


def test_other_machines_of_an_ipv6_network_may_join() -> None:
    harness, _ = removed("fd00::20")
    assert RawMember(harness, "Ben", "fd00::21").accepted is not None
    assert RawMember(harness, "Eve", "fd00::22").rejected == BARRED  # the same machine may have taken this address
    assert RawMember(harness, "Zoe", "fd00::20").rejected == BARRED


def test_the_user_is_told_once_and_lets_it_in_again() -> None:
    harness, _ = removed()
    for _ in range(100):
        assert RawMember(harness, "Zoe", HOME).rejected == BARRED
    (warning,) = harness.host.events("warning")
    assert warning.fields["message"] == "Zoe was not let in, because Eve was removed. To let it in: allow Eve"
    told = len(harness.host.of(Notify))
    harness.command(AllowPeer("eve"))
    assert harness.host.snapshot().removed == ()
    assert len(harness.host.of(Notify)) == told
    assert RawMember(harness, "Eve", HOME).accepted is not None
    harness.command(AllowPeer("Eve"))
    assert error(harness.host) == "No peer called Eve was removed."


def test_a_removed_machine_is_told_what_to_do() -> None:
    peer = PeerSession(display_name="Eve")
    peer.connected(HOST_KEY, now_ns=0)
    peer.received(m.SessionInfo(m.PROTOCOL_VERSION, bytes(16), "s", "h", (), 5), now_ns=1)
    ended = peer.received(m.JoinRejected(BARRED, "removed"), now_ns=2)[-1]
    assert ended == Over(f"{BARRED} Ask the host to let you in again.", failed=True)
    assert isinstance(ended, Ended) and ended.reason.code is Code.BARRED


def test_allow_names_who_was_removed() -> None:
    harness, _ = removed()
    assert harness.host.snapshot().removed == ("Eve",)
    harness.command(AllowPeer("Ana"))
    assert error(harness.host) == "No peer called Ana was removed. Removed: Eve."


def test_a_new_code_forgets_the_other_memberships_of_a_removed_machine() -> None:
    harness = SessionHarness()
    bob, eve = RawMember(harness, "Bob", "10.0.0.9"), RawMember(harness, "Eve", "10.0.0.9")
    ana = RawMember(harness, "Ana", "10.0.0.8")
    for one in (bob, ana):
        one.report()
        assert one.accepted is not None
        harness.host.connection_lost(one.conn, "reset")
    assert eve.accepted is not None and bob.accepted is not None and ana.accepted is not None
    harness.command(DropPeer("Eve"), ChangeCode("another one"))
    assert RawMember(harness, "Bob", "10.0.0.9", bob.accepted).accepted is None
    assert RawMember(harness, "Ana", "10.0.0.8", ana.accepted).accepted is not None
