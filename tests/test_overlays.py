"""Friends in different homes, whose routers open no ports, in one overlay network."""

from __future__ import annotations

import pathlib

import pytest

from tests.support.home_routers import Home, Homes, unavailable
from tests.support.machines import namespace
from tests.support.mp3 import song
from tests.support.programs import in_time

pytestmark = pytest.mark.slow

OVERLAY = "zt12345678"


@pytest.mark.skipif(bool(unavailable()), reason=unavailable())
def test_a_friend_in_the_same_overlay_network_joins_by_the_line_alone(tmp_path: pathlib.Path) -> None:
    with Homes(tmp_path, Home(("Hana",), ways=frozenset()), Home(("Ana",), ways=frozenset())) as homes:
        homes.ip("Hana", f"link add {OVERLAY} type veth peer name {OVERLAY} netns {namespace('Ana')}")
        for number, name in enumerate(("Hana", "Ana"), 1):
            homes.ip(name, f"addr add 10.147.17.{number}/24 dev {OVERLAY}")
            homes.ip(name, f"link set {OVERLAY} up")
        host = homes.start("Hana", "host", str(song(tmp_path, 20)), "--invite")
        invitation = host.wait_for("invitation", lambda event: event["state"] == "open")
        assert "192.168.1.2:17404,10.147.17.1:17404/" in invitation["text"] and not invitation["reachable"]
        friend = homes.start("Ana", "join", invitation["text"])
        friend.wait_for("file_ready")
        friend.wait_for("sync", in_time)
