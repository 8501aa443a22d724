"""The page as a loudspeaker in a real browser: the switch, what it says, and its alignment by ear."""

from __future__ import annotations

import json
import pathlib
import time
from collections.abc import Iterator
from typing import Any

import pytest

import phaselock
from phaselock.audio.formats import mp3
from phaselock.guests.states import sweep_message
from phaselock.model.sweeps import schedule
from phaselock.session.effects import GuestSweep
from tests.support import browser
from tests.support.page_host import PageHost, playing, state

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(bool(browser.unavailable()), reason=browser.unavailable()),
]

TUNE = pathlib.Path(phaselock.__file__).parent / "data" / "tune.mp3"


@pytest.fixture
def host() -> Iterator[PageHost]:
    with PageHost() as host:
        host.songs["n"] = TUNE.read_bytes()
        host.state = state(now=playing("n", "Heroes"))
        yield host


@pytest.fixture
def page(tmp_path: pathlib.Path, host: PageHost) -> Iterator[browser.Page]:
    with browser.Browser(tmp_path) as chromium:
        page = chromium.page(f"{host.url}#s3cret")
        page.type("#enter-name", "Ana")
        page.tap("#enter-go")
        page.wait_text("Heroes")
        yield page


def timeline(**changes: Any) -> dict[str, Any]:
    """The tune, which began a second ago."""
    info = mp3.inspect(TUNE)
    song = {"id": "n", "url": "/song/n", "size": TUNE.stat().st_size, "skip_frames": 0}
    current = {
        "id": "n",
        "start_session_ns": str(time.monotonic_ns() - 1_000_000_000),
        "start_frame": 0,
        "stop_session_ns": None,
        "gain_db": -3.0,
    }
    song |= {"rate_hz": info.rate_hz, "frames": info.frames}
    return {"type": "timeline", "songs": [song], "current": current | changes, "then": None}


def says(text: str) -> str:
    return f"document.querySelector('#listen-state').textContent.includes({json.dumps(text)})"


def test_a_phone_plays_in_time_and_tells_how_exactly(host: PageHost, page: browser.Page) -> None:
    page.tap("#listen")
    assert host.wait_for("listen")["on"] is True
    page.wait(says("Nothing plays"))
    host.tell(timeline())
    page.wait(says("In time with the room, to about"))
    assert host.wait_for("listen")["uncertainty_ms"] in (1, 2, 3, 5, 10, 20, 50, 100, 200)
    host.drop()
    assert host.wait_for("listen")["on"] is True  # it has come back by itself
    host.tell(timeline(stop_session_ns=str(time.monotonic_ns())))
    page.wait(says("Nothing plays"))
    page.tap("#listen")
    assert host.wait_for("listen")["on"] is False
    assert page.run("document.querySelector('#listening').hidden")
    assert [error for error in page.errors() if "WebSocket" not in error and "ERR_" not in error] == []


def test_an_alignment_is_kept_for_each_output(host: PageHost, page: browser.Page) -> None:
    page.tap("#listen")
    page.tap("#listening summary")
    for _ in range(3):
        page.tap("#align-later")
    assert page.run("document.querySelector('#align-value').textContent") == "+15 ms"
    choose = "output = document.querySelector('#align-output'); output.value = {0}; {1}"
    changed = "output.dispatchEvent(new Event('change'))"
    page.run(choose.format("'wireless'", changed))
    page.tap("#align-earlier")
    assert page.run("document.querySelector('#align-value').textContent") == "−5 ms"
    page.tap("#metronome")
    assert page.run("document.querySelector('#metronome').getAttribute('aria-pressed')") == "true"
    page.run(choose.format("'own'", changed))
    assert page.run("document.querySelector('#align-value').textContent") == "+15 ms"
    page.reload()
    page.wait_text("Heroes")
    page.tap("#listen")
    assert page.run("document.querySelector('#align-value').textContent") == "+15 ms"
    assert page.errors() == []


def test_a_microphone_sets_when_a_phone_plays(host: PageHost, page: browser.Page) -> None:
    page.tap("#listen")
    page.tap("#listening summary")
    page.tap("#metronome")
    begin_ns = time.monotonic_ns() + 2_000_000_000
    host.tell(sweep_message(GuestSweep(bytes(16), begin_ns, schedule(2, 2)[1], 0)))
    page.wait(says("A microphone listens to all loudspeakers"))
    assert page.run("document.querySelector('#metronome').getAttribute('aria-pressed')") == "false"
    host.tell({"type": "calibrated", "late_ns": 120_040_000})
    host.tell({"type": "sweep_end"})
    page.wait(says("Nothing plays"))
    assert page.run("document.querySelector('#align-value').textContent") == "−120 ms"
    page.reload()
    page.wait_text("Heroes")
    page.tap("#listen")
    assert page.run("document.querySelector('#align-value').textContent") == "−120 ms"
    page.tap("#listening summary")
    page.tap("#align-later")
    assert page.run("document.querySelector('#align-value').textContent") == "−115 ms"
    while not host.wait_for("listen").get("by_ear"):
        pass
    assert page.errors() == []
