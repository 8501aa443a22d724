"""The window of another platform creates a jam, and a program of this platform joins it."""

from __future__ import annotations

import contextlib
import os
import pathlib
import socket

import pytest

from tests.support.foreign import FOREIGN, needs_foreign
from tests.support.programs import Program
from tests.support.window_driver import Remote

pytestmark = [pytest.mark.gui, needs_foreign]


def test_a_jam_is_created_in_the_window(display: str, tmp_path: pathlib.Path) -> None:
    image_grab = pytest.importorskip("PIL.ImageGrab")
    with socket.create_server(("127.0.0.1", 0)) as tcp, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        udp.bind(("127.0.0.1", 0))
        ports = {"port": tcp.getsockname()[1], "clock_port": udp.getsockname()[1]}
    with contextlib.ExitStack() as stack:
        window = Remote(tmp_path / "window", python=FOREIGN)
        stack.callback(window.kill)
        window.do("click", "Create jam")
        window.do("enter", "session_name", "Friday")
        window.do("enter", "display_name", "Ana")
        for field, number in ports.items():
            window.do("enter", field, str(number))
        window.do("submit")
        window.wait_for("screen", "HostScreen")
        peer = Program("join", f"127.0.0.1:{ports['port']}", "--as", "Ben", "--backend", "null", home=tmp_path / "peer")
        stack.callback(peer.close)
        assert peer.wait_for("joined")["name"] == "Ben"
        window.wait_until("toasts", true=lambda toasts: "Ben has joined." in toasts)

        picture = image_grab.grab(xdisplay=display).crop((1200, 0, 2310, 750))  # where `run_child` puts the window
        assert len(picture.getcolors(picture.width * picture.height)) > 50
        folder = pathlib.Path(os.environ.get("PHASELOCK_PICTURES") or tmp_path)
        folder.mkdir(parents=True, exist_ok=True)
        picture.save(folder / "foreign_window.png")

        peer.wait_until("successors", lambda event: event["names"] == ["Ben"])
        window.do("close")  # offers to hand over
        window.do("agree")
        assert peer.wait_for("host_changed")["you"] is True
        assert window.end() == (0, "[]", "")
        peer.say("quit")
        assert peer.end() == (0, "")
