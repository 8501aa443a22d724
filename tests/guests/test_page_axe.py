"""The guests' page, checked by axe-core, of which the package axe-playwright-python has a copy."""

from __future__ import annotations

import importlib.util
import json
import pathlib
from collections.abc import Iterator

import pytest

from tests.support import browser as browsers
from tests.support.browser import Browser, Page
from tests.support.page_host import PageHost, playing, request, state, waiting

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(bool(browsers.unavailable()), reason=browsers.unavailable()),
    pytest.mark.skipif(
        importlib.util.find_spec("axe_playwright_python") is None, reason="axe-playwright-python is not installed"
    ),
]


@pytest.fixture(scope="module")
def axe() -> str:
    spec = importlib.util.find_spec("axe_playwright_python")
    assert spec and spec.origin
    return pathlib.Path(spec.origin).with_name("axe.min.js").read_text("utf-8")


@pytest.fixture(scope="module")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with Browser(tmp_path_factory.mktemp("browser")) as browser:
        yield browser


def findings(page: Page, axe: str) -> list[str]:
    """What axe finds, with the elements."""
    page.run(f"{axe};null")
    found = page.run("axe.run(document).then(found => found.violations)")
    return [f"{one['impact']}: {one['help']}: {[node['html'] for node in one['nodes']]}" for one in found]


@pytest.mark.parametrize("width", [320, 800])
def test_axe_finds_nothing(width: int, chromium: Browser, axe: str) -> None:
    with PageHost() as host:
        host.state = state(
            now=playing("n", "Heroes", artist="David Bowie"),
            queue=[waiting("q", "Blue", artist="Joni"), waiting("r", "Red", voted=True, mine=True, ready=1)],
            requests=[
                request("r", "x.mp3", state="open"),
                request("s", "y.mp3", state="failed", reason="It is no music."),
                request("t", "z.mp3", state="added"),
            ],
        )
        host.lines = [
            {"number": 1, "name": "Ben", "text": "Hello", "mine": False},
            {"number": 2, "name": "Ana", "text": "Hi", "mine": True},
        ]
        page = chromium.page(host.url, width=width)
        seen = {"enter": findings(page, axe)}
        page.type("#enter-name", "Ana")
        page.tap("#enter-go")
        page.wait("document.querySelector('#now-title').textContent")
        seen["music"] = findings(page, axe)
        page.tap("#listen")
        page.tap("#listening summary")
        seen["listening"] = findings(page, axe)
        page.tap("#listen")
        page.tap("#listen")
        page.tap("#listening summary")
        seen["listen"] = findings(page, axe)
        page.tap("[data-view=ask]")
        page.type("#search-text", "love")
        song = {"id": 7, "title": "Crazy in Love", "artist": "Beyoncé", "album": "", "duration_s": 236}
        host.tell({"type": "results", "search": host.wait_for("search")["search"], "songs": [song]})
        page.wait("document.querySelector('#results button')")
        page.tap("#results button")
        host.tell({"type": "told", "message": "Three songs are enough.", "request": None})
        page.wait("document.querySelector('.toast')")
        page.wait("document.getAnimations().length === 0")
        seen["ask"] = findings(page, axe)
        page.tap("[data-view=chat]")
        page.tap("#me")
        seen["chat"] = findings(page, axe)
        host.tell({"type": "refused", "error": "removed", "message": ""})
        page.wait("document.querySelector('#closed').offsetParent")
        seen["closed"] = findings(page, axe)
        page.close()
    assert {view: found for view, found in seen.items() if found} == {}, json.dumps(seen, indent=2)
