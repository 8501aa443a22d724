"""A party: a host and a peer as real programs, and two guests with real browsers."""

from __future__ import annotations

import json
import pathlib
from collections.abc import Iterator

import pytest

from phaselock.console.qr import qr_lines
from tests.support import browser as browsers
from tests.support import qr_reader
from tests.support.browser import Browser, Page
from tests.support.programs import TUNE, Event, Program
from tests.support.tagged import tagged_mp3

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(bool(browsers.unavailable()), reason=browsers.unavailable()),
]


@pytest.fixture
def chromium(tmp_path: pathlib.Path) -> Iterator[Browser]:
    with Browser(tmp_path) as browser:
        yield browser


def host_program(folder: pathlib.Path, guest_port: int) -> Program:
    local = ("--bind", "127.0.0.1", "--port", "0", "--clock-port", "0", "--backend", "null", "--as", "Robin")
    guests = ("--guests", "--guest-port", str(guest_port), "--library", str(folder / "music"))
    return Program("host", str(TUNE), *local, *guests, home=folder / "home")


def guest(chromium: Browser, link: str, name: str) -> Page:
    page = chromium.page(link)
    page.type("#enter-name", name)
    page.tap("#enter-go")
    page.wait(f"document.querySelector('#me').textContent === {json.dumps(name)}")
    return page


def shows(selector: str, text: str) -> str:
    found = f"Array.from(document.querySelectorAll({json.dumps(selector)}))"
    return f"{found}.some(one => one.offsetParent && one.textContent.includes({json.dumps(text)}))"


def is_ready(event: Event) -> bool:
    """The songs of the library can be found."""
    return event["event"] == "library" and event["state"] == "ready"


def test_a_party(tmp_path: pathlib.Path, chromium: Browser) -> None:
    tagged_mp3(tmp_path / "music" / "one.mp3", "Crazy in Love", "Beyoncé")
    own = tagged_mp3(tmp_path / "own.mp3", "Blue", "Joni")
    host = host_program(tmp_path, 0)
    peer = None
    try:
        port = host.wait_for("session")["port"]
        link = host.wait_for("guest_page")["link"]
        if not qr_reader.unavailable():
            assert qr_reader.read_terminal(qr_lines(link, 80), tmp_path) == link
        peer = Program(
            *("join", f"127.0.0.1:{port}", "--as", "Ada", "--cache", str(tmp_path / "ada"), "--backend", "null"),
            home=tmp_path / "home",
        )
        peer.wait_for("joined")
        host.say("rules small")
        ana, ben = guest(chromium, link, "Ana"), guest(chromium, link, "Ben")

        # Ana asks for a song of the library, and Ben votes for it.
        ana.tap("[data-view=ask]")
        ana.wait("document.querySelector('#search').offsetParent")
        if not any(is_ready(event) for event in host.told):
            host.wait_for("library", is_ready)
        ana.type("#search-text", "beyonce cra")
        ana.wait("document.querySelector('#results button')")
        ana.tap("#results button")
        ana.tap("[data-view=music]")
        ana.wait(shows("#queue-rows .row", "asked for by you"))
        ben.wait(shows("#queue-rows .row", "asked for by Ana"))
        ben.run(
            "Array.from(document.querySelectorAll('.row')).find(one => one.textContent.includes('Ana')).id = 'hers'"
        )
        ben.tap("#hers .vote")
        ana.wait(shows("#queue-rows .vote", "1"))

        # Ben uploads a song.
        ben.tap("[data-view=ask]")
        ben.choose_files("#upload-files", [own])
        ana.wait(shows("#queue-rows .row", "asked for by Ben"))
        ben.wait(shows("#mine-rows .row", "is in the queue"))

        # They write to all, and all read it.
        ben.tap("[data-view=chat]")
        ben.type("#say-text", "Hello from the balcony")
        ben.press("Enter")
        peer.wait_for("chat", lambda event: event["text"] == "Hello from the balcony")
        host.say("say Welcome")
        ben.wait(shows("#chat-lines .message", "Welcome"))
        ana.wait(shows("#unread", "2"))

        # More than half want another song.
        host.say("play 1")
        ana.wait(shows("#now-title", "Phase"))
        ana.wait(shows("#now-state", "Now playing"))
        ana.wait("document.querySelector('#skip').offsetParent")
        ana.tap("#skip")
        ben.tap("[data-view=music]")
        ben.wait("document.querySelector('#skip').offsetParent")
        ben.tap("#skip")
        peer.say("skip-vote")
        ana.wait(shows("#played-title", "1") + " || !(" + shows("#now-title", "Phase") + ")")

        host.say("remove-guest Ben")
        ben.wait(shows("#closed", "removed you"))
        ben.tap("#closed-retry")
        ben.wait(shows("#closed", "removed you"))
        assert ana.errors() == [] and ben.errors() == []
    finally:
        host.close()
        if peer is not None:
            peer.close()

    # The host is started again: its guests come back by themselves.
    ana.wait(shows("#connection", "No connection"))
    host = host_program(tmp_path, int(link.partition("#")[0].rpartition(":")[2].strip("/")))
    try:
        host.wait_for("guest_joined", lambda event: event["name"] == "Ana")
        ana.wait("document.querySelector('#connection').hidden")
    finally:
        host.close()
