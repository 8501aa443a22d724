"""The guests' page in a real browser, with a host that says what the test needs."""

from __future__ import annotations

import json
import pathlib
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.support import browser as browsers
from tests.support.browser import Browser, Page
from tests.support.page_host import PageHost, playing, request, state, waiting

pytestmark = pytest.mark.skipif(bool(browsers.unavailable()), reason=browsers.unavailable())


@pytest.fixture(scope="module")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with Browser(tmp_path_factory.mktemp("browser")) as browser:
        yield browser


@pytest.fixture
def host() -> Iterator[PageHost]:
    with PageHost() as host:
        yield host


Visit = Callable[..., Page]


@pytest.fixture
def visit(chromium: Browser, host: PageHost) -> Iterator[Visit]:
    """Open the page as a guest with this name; empty: the page asks for it."""
    pages: list[Page] = []

    def open_page(name: str = "Ana", width: int = 390, height: int = 844, language: str = "en") -> Page:
        page = chromium.page(f"{host.url}#s3cret", width=width, height=height, language=language)
        pages.append(page)
        if name:
            page.type("#enter-name", name)
            page.tap("#enter-go")
            host.wait_for("hello")
            page.wait(shows("#session-name", host.state["session_name"]))
        return page

    yield open_page
    for page in pages:
        page.close()


def shows(selector: str, text: str) -> str:
    """The condition that an element is visible and has this text in it."""
    found = f"document.querySelector({json.dumps(selector)})"
    return f"{found} && {found}.offsetParent && {found}.textContent.includes({json.dumps(text)})"


def visible(selector: str) -> str:
    return f"document.querySelector({json.dumps(selector)}).offsetParent"


def test_a_guest_enters_votes_asks_and_writes(host: PageHost, visit: Visit) -> None:
    host.state = state(now=playing("n", "Heroes", artist="David Bowie"), queue=[waiting("q", "<b>Blue</b>", votes=1)])
    page = visit(name="")
    page.type("#enter-name", "Ana")
    page.tap("#enter-go")
    assert host.wait_for("enter")["secret"] == "s3cret"
    assert host.wait_for("hello") == {"type": "hello", "token": "t1", "name": "Ana", "language": "en"}
    page.wait(shows("#now-title", "Heroes"))
    assert page.run("location.hash") == ""
    page.tap("#queue-rows .vote")
    assert host.wait_for("vote") == {"type": "vote", "song": "q", "wanted": True}
    page.wait(shows("#queue-rows .vote[aria-pressed=true]", "2"))
    page.tap("#skip")
    assert host.wait_for("skip") == {"type": "skip", "song": "n", "wanted": True}
    page.tap("[data-view=ask]")
    page.type("#search-text", "love")
    search = host.wait_for("search")
    assert search["text"] == "love"
    song = {"id": 7, "title": "Crazy in Love", "artist": "Beyoncé", "album": "", "duration_s": 236}
    host.tell({"type": "results", "search": search["search"], "songs": [song]})
    page.wait(shows("#results", "Beyoncé"))
    page.tap("#results button")
    assert host.wait_for("ask")["song"] == 7
    page.tap("[data-view=chat]")
    page.type("#say-text", "Hello")
    page.press("Enter")
    assert host.wait_for("say") == {"type": "say", "text": "Hello"}
    page.tap("[data-view=music]")
    assert "<b>Blue</b>" in page.text()
    assert page.errors() == []


@pytest.mark.slow
def test_the_code_is_asked_for_where_the_address_was_typed(host: PageHost, chromium: Browser) -> None:
    def entered(body: dict[str, str]) -> tuple[int, dict[str, str]]:
        if body.get("code") == "PLUM":
            return 200, {"token": "t2"}
        return 403, {"error": "code", "message": ""}

    host.entered = entered
    page = chromium.page(host.url)
    page.type("#enter-name", "Ana")
    page.tap("#enter-go")
    page.wait(visible("#enter-code"))
    page.type("#enter-code", "PEAR")
    page.tap("#enter-go")
    page.wait(shows("#enter-error", "wrong"))
    page.type("#enter-code", "PLUM")
    page.tap("#enter-go")
    assert host.wait_for("hello")["token"] == "t2"
    page.wait(shows("#session-name", "Kitchen"))
    page.reload()
    assert host.wait_for("hello")["name"] == "Ana"
    page.close()


@pytest.mark.slow
@pytest.mark.parametrize("wrong", ["n0t-the-secret", "%", "%E0%A4%A"])
def test_a_link_with_a_wrong_secret_sends_no_guest_away(host: PageHost, visit: Visit, wrong: str) -> None:
    host.entered = lambda body: (
        (200, {"token": "t1"}) if body.get("secret") == "s3cret" else (403, {"error": "secret", "message": ""})
    )
    page = visit()
    page.run(f"location.hash = {json.dumps(wrong)}")
    page.reload()
    while (entry := host.wait_for("enter"))["secret"] != wrong:
        pass
    entry = host.wait_for("enter")
    assert (entry["secret"], entry["guest"]) == ("s3cret", "t1")
    assert host.wait_for("hello")["token"] == "t1"
    page.wait(shows("#session-name", "Kitchen"))


@pytest.mark.slow
def test_a_guest_with_an_old_code_goes_on_without_it(host: PageHost, visit: Visit) -> None:
    page = visit()
    welcome = host.greeted
    host.greeted = lambda hello: (
        welcome(hello) if hello["token"] == "t2" else {"type": "refused", "error": "token", "message": ""}
    )
    host.entered = lambda body: (
        (403, {"error": "secret", "message": ""}) if "secret" in body else (200, {"token": "t2"})
    )
    host.stop()
    host.start()
    page.wait(shows("#enter-hint", "out of date"))
    assert not page.run(visible("#enter-code")) and not page.run(visible("#connection"))
    page.tap("#enter-go")
    while host.wait_for("hello")["token"] != "t2":
        pass
    page.wait("document.querySelector('#enter').hidden && document.querySelector('#connection').hidden")


@pytest.mark.slow
def test_a_guest_of_a_host_that_was_started_again_comes_back_as_the_same(host: PageHost, visit: Visit) -> None:
    page = visit()
    tokens = iter(["t2"])
    host.entered = lambda body: (200, {"token": next(tokens)})
    welcome = host.greeted
    host.greeted = lambda hello: (
        welcome(hello) if hello["token"] == "t2" else {"type": "refused", "error": "token", "message": ""}
    )
    host.stop()
    host.start()
    again = host.wait_for("enter")
    assert (again["secret"], again["guest"]) == ("s3cret", "t1")
    while host.wait_for("hello")["token"] != "t2":
        pass
    page.wait("document.querySelector('#connection').hidden")


@pytest.mark.slow
def test_the_messages_of_a_host_that_was_started_again_are_shown(host: PageHost, visit: Visit) -> None:
    host.lines = [{"number": number, "name": "Ana", "text": f"old {number}", "mine": False} for number in (1, 2)]
    page = visit()
    page.tap("[data-view=chat]")
    page.wait(shows("#chat-lines", "old 2"))
    host.stop()
    host.session, host.lines = "2", [{"number": 1, "name": "Ana", "text": "new", "mine": False}]
    host.start()
    page.wait(shows("#chat-lines", "new"))
    assert not page.run(shows("#chat-lines", "old"))


@pytest.mark.slow
@pytest.mark.parametrize(("error", "text"), [("removed", "removed you"), ("full", "full"), ("version", "newer")])
def test_the_page_tells_why_it_is_closed(error: str, text: str, host: PageHost, visit: Visit) -> None:
    page = visit(name="")
    host.greeted = lambda hello: {"type": "refused", "error": error, "message": ""}
    page.type("#enter-name", "Ana")
    page.tap("#enter-go")
    page.wait(shows("#closed", text))
    assert page.run("document.activeElement.id") == "closed-title"


@pytest.mark.slow
def test_nothing_is_lost_while_the_network_is_away(host: PageHost, visit: Visit) -> None:
    songs = [waiting("q", "Blue"), waiting("r", "Red")]
    host.state = state(now=playing("n", "Heroes"), queue=songs)
    page = visit()
    page.tap("[data-view=ask]")
    page.type("#search-text", "love")
    search = host.wait_for("search")
    song = {"id": 7, "title": "Crazy in Love", "artist": "", "album": "", "duration_s": 236}
    host.tell({"type": "results", "search": search["search"], "songs": [song]})
    page.wait(visible("#results button"))
    host.stop()
    page.wait(shows("#connection", "No connection"))
    page.tap("#results button")
    page.wait(shows("#mine", "sent when there is a connection"))
    page.tap("[data-view=music]")
    page.tap("#queue-rows .row:nth-child(1) .vote")
    page.tap("#queue-rows .row:nth-child(2) .vote")
    page.tap("[data-view=chat]")
    page.type("#say-text", "Are you there?")
    page.press("Enter")
    page.wait(shows("#chat-lines", "not sent yet"))
    page.type("#say-text", "half a sent")
    # Meanwhile the second song has been played.
    host.state = state(now=playing("r", "Red"), queue=[waiting("q", "Blue")])
    host.start()
    host.wait_for("hello")
    sent: list[dict[str, Any]] = []
    while not sent or sent[-1]["type"] != "say":
        sent.append(host.received.get(timeout=30))
    assert {"type": "vote", "song": "q", "wanted": True} in sent
    assert {"type": "say", "text": "Are you there?"} in sent
    assert [message["song"] for message in sent if message["type"] == "ask"] == [7]
    page.wait("document.querySelector('#connection').hidden")
    host.tell(
        {"type": "chat", "lines": [{"number": 1, "name": "Ana", "text": "Are you there?", "mine": True}], "from": 1}
    )
    page.wait("!document.querySelector('#chat-lines .unsent')")
    assert page.run("document.querySelectorAll('#chat-lines .message').length") == 1
    page.reload()
    page.tap("[data-view=chat]")
    assert page.run("document.querySelector('#say-text').value") == "half a sent"
    assert page.run("document.querySelector('#search-text').value") == "love"


@pytest.mark.slow
def test_a_phone_that_wakes_up_leaves_a_dead_connection(host: PageHost, visit: Visit) -> None:
    page = visit()
    host.fall_silent()
    page.run("document.dispatchEvent(new Event('visibilitychange'))")
    host.wait_for("hello")
    host.show(people=5)
    page.wait(shows("#people", "5"))


@pytest.mark.slow
def test_a_vote_that_came_too_late_is_told(host: PageHost, visit: Visit) -> None:
    host.state = state(queue=[waiting("q", "Blue")])
    page = visit()
    host.stop()
    page.wait(shows("#connection", "No connection"))
    page.tap("#queue-rows .vote")
    host.state = state(queue=[waiting("q", "Blue", status="played")])
    host.start()
    page.wait(shows("#told", "Blue no longer waits"))


@pytest.mark.slow
def test_a_message_that_had_arrived_is_not_sent_twice(host: PageHost, visit: Visit) -> None:
    page = visit()
    page.tap("[data-view=chat]")
    page.type("#say-text", "Hello")
    page.press("Enter")
    host.wait_for("say")
    host.lines = [{"number": 1, "name": "Ana", "text": "Hello", "mine": True}]
    host.drop()
    host.wait_for("hello")
    page.wait("!document.querySelector('#chat-lines .unsent')")
    page.type("#say-text", "Again")
    page.press("Enter")
    assert host.wait_for("say")["text"] == "Again"


@pytest.mark.slow
def test_answers_to_an_older_search_are_dropped(host: PageHost, visit: Visit) -> None:
    page = visit()
    page.tap("[data-view=ask]")
    page.type("#search-text", "lo")
    first = host.wait_for("search")
    page.type("#search-text", "ve")
    second = host.wait_for("search")
    assert second["text"] == "love"
    song = {"artist": "", "album": "", "duration_s": 236}
    host.tell({"type": "results", "search": second["search"], "songs": [{"id": 2, "title": "Love"} | song]})
    host.tell({"type": "results", "search": first["search"], "songs": [{"id": 1, "title": "Lonely"} | song]})
    host.show(people=4)
    page.wait(shows("#people", "4"))
    assert page.run("document.querySelector('#results .title').textContent") == "Love"
    assert "Lonely" not in page.text()


@pytest.mark.slow
def test_uploads_go_on_after_a_break_and_can_be_cancelled(host: PageHost, visit: Visit, tmp_path: pathlib.Path) -> None:
    files = [tmp_path / "one.mp3", tmp_path / "two.mp3", tmp_path / "three.mp3", tmp_path / "picture.png"]
    for number, file in enumerate(files):
        file.write_bytes(bytes([number]) * 300_000)
    page = visit()
    page.tap("[data-view=ask]")
    page.choose_files("#upload-files", files)
    page.wait(shows("#told", "picture.png is no music file"))
    asks = [host.wait_for("ask") for _ in range(3)]
    assert [(ask["file_name"], ask["size"]) for ask in asks] == [(file.name, 300_000) for file in files[:3]]
    host.break_upload_at = 100_000

    def rows(kind: str) -> list[dict[str, object]]:
        return [request(ask["request"], ask["file_name"], size=300_000, state=kind) for ask in asks]

    host.show(requests=rows("open"))
    page.wait(shows("#mine", "waits for the host"))
    page.tap("#mine-rows .row:nth-child(3) button")
    assert host.wait_for("withdraw")["request"] == asks[2]["request"]
    host.show(requests=rows("accepted")[:2])
    page.wait("document.querySelectorAll('#mine-rows .row').length === 2")
    deadline = time.monotonic() + 30
    while sum(map(len, host.uploads.values())) < 600_000 and time.monotonic() < deadline:
        page.run("new Promise(done => setTimeout(done, 50))")
    assert [len(host.uploads[ask["request"]]) for ask in asks[:2]] == [300_000, 300_000]
    assert [bytes(host.uploads[ask["request"]]) for ask in asks[:2]] == [file.read_bytes() for file in files[:2]]
    assert asks[2]["request"] not in host.uploads
    host.show(requests=rows("added")[:2])
    page.wait(shows("#mine", "is in the queue"))


@pytest.mark.slow
def test_a_few_files_are_taken_at_a_time(host: PageHost, visit: Visit, tmp_path: pathlib.Path) -> None:
    files = [tmp_path / f"{number}.mp3" for number in range(200)]
    for file in files:
        file.write_bytes(b"song")
    page = visit()
    page.tap("[data-view=ask]")
    page.choose_files("#upload-files", files)
    page.wait(shows("#told", "You can choose 5 songs at a time."))
    assert [host.wait_for("ask")["file_name"] for _ in range(5)] == [file.name for file in files[:5]]
    assert page.run("document.querySelectorAll('#mine-rows .row').length") == 5


@pytest.mark.slow
def test_an_upload_goes_on_after_the_page_was_loaded_again(
    host: PageHost, visit: Visit, tmp_path: pathlib.Path
) -> None:
    file = tmp_path / "one.mp3"
    file.write_bytes(bytes(range(250)) * 1000)
    host.uploads["r1"] = bytearray(file.read_bytes()[:100_000])
    host.state = state(requests=[request("r1", "one.mp3", size=250_000, done_bytes=100_000, state="accepted")])
    page = visit()
    page.tap("[data-view=ask]")
    page.wait(shows("#mine", "choose the file again"))
    page.choose_files("#upload-files", [file])
    deadline = time.monotonic() + 30
    while len(host.uploads["r1"]) < 250_000 and time.monotonic() < deadline:
        page.run("new Promise(done => setTimeout(done, 50))")
    assert bytes(host.uploads["r1"]) == file.read_bytes()


@pytest.mark.slow
def test_a_refused_request_says_why_and_can_be_asked_again(host: PageHost, visit: Visit) -> None:
    page = visit()
    page.tap("[data-view=ask]")
    page.type("#search-text", "love")
    song = {"id": 7, "title": "Crazy in Love", "artist": "", "album": "", "duration_s": 236}
    host.tell({"type": "results", "search": host.wait_for("search")["search"], "songs": [song]})
    page.wait(visible("#results button"))
    page.tap("#results button")
    ask = host.wait_for("ask")
    host.tell({"type": "told", "message": "It has played in the last hour.", "request": ask["request"]})
    page.wait(shows("#mine-rows .bad", "It has played"))
    page.tap("#results button")
    assert host.wait_for("ask")["request"] != ask["request"]


@pytest.mark.slow
def test_the_position_is_the_one_of_the_room(host: PageHost, visit: Visit) -> None:
    # The state was made a minute ago, by the host's clock.
    made_s = time.monotonic() - 60
    host.state = state(now=playing("n", "Heroes", position_s=30, at_ms=made_s * 1e3, duration_s=400))
    page = visit()
    page.wait(shows("#now-elapsed", "1:"))
    minutes, seconds = map(int, page.run("document.querySelector('#now-elapsed').textContent").split(":"))
    assert 60 * minutes + seconds == pytest.approx(30 + time.monotonic() - made_s, abs=5)
    page.wait("document.querySelector('#now-bar').getAttribute('aria-valuetext').includes('of 6:40')")
    host.show(now=playing("n", "Heroes", position_s=75.5, playing=False, duration_s=400))
    page.wait(shows("#now-state", "Paused"))
    assert page.run("document.querySelector('#now-elapsed').textContent") == "1:15"


@pytest.mark.slow
def test_rules_and_played_songs(host: PageHost, visit: Visit) -> None:
    rules = state()["rules"]
    host.state = state(
        queue=[waiting("p", "Old", status="played"), waiting("q", "Older", status="played")], rules=rules, rows=302
    )
    page = visit()
    assert page.run("document.querySelectorAll('#queue-rows .row').length") == 0
    page.tap("#played summary")
    assert page.run("document.querySelector('#played .title').textContent") == "Older"
    assert "and 300 more songs" in page.text()
    page.tap("[data-view=ask]")
    page.tap("#rules summary")
    page.wait(shows("#rules", "A song can be at most 15 minutes long."))
    assert page.run("document.querySelectorAll('#rules li').length") == 5
    host.show(rules=rules | {"accept": False, "order": "hand", "skip_vote": False, "max_waiting": None})
    page.wait(shows("#rules", "The host decides on the order, and sees your votes."))
    assert page.run("document.querySelectorAll('#rules li').length") == 4


@pytest.mark.slow
def test_german(host: PageHost, visit: Visit) -> None:
    host.state = state(queue=[waiting("q", "Blue", added_by="Robin", ready=5, speakers=6)], people=1)
    page = visit(language="de-AT")
    page.wait(shows("#queue-rows", "Wunsch von Robin"))
    assert "bereit auf 5 von 6" in page.text() and "1 Person hier" in page.text()
    assert page.run("document.documentElement.lang") == "de"


@pytest.mark.slow
def test_a_browser_that_keeps_nothing(host: PageHost, chromium: Browser) -> None:
    page = chromium.page()
    page.call(
        "Page.addScriptToEvaluateOnNewDocument",
        source="Object.defineProperty(window, 'localStorage', {get() { throw new Error('blocked'); }})",
    )
    page.go(f"{host.url}#s3cret")
    page.type("#enter-name", "Ana")
    page.tap("#enter-go")
    page.wait(shows("#session-name", "Kitchen"))
    assert page.run("location.hash") == "#s3cret"
    assert page.errors() == []
    page.close()


@pytest.mark.slow
def test_every_text_of_others_is_shown_as_it_is(host: PageHost, visit: Visit) -> None:
    bad = "<img src=x onerror=document.title='bad'>\u202e"
    host.state = state(
        session_name=bad,
        host_name=bad,
        now=playing("n", bad, artist=bad, added_by=bad),
        queue=[waiting("q", bad, artist=bad, added_by=bad)],
        requests=[request("r", bad, state="failed", reason=bad)],
    )
    host.lines = [{"number": 1, "name": bad, "text": bad, "mine": False}]
    page = visit()
    page.tap("[data-view=chat]")
    page.wait(shows("#chat-lines", bad))
    assert page.run("document.querySelectorAll('img').length") == 1
    assert page.errors() == []


@pytest.mark.slow
@pytest.mark.parametrize(("width", "height"), [(320, 640), (390, 844), (768, 1024), (1280, 800)])
def test_sizes(width: int, height: int, host: PageHost, visit: Visit) -> None:
    """Nothing is wider than the screen, and all that can be touched is at least 44 pixels wide and high."""
    word = "Donaudampfschifffahrtsgesellschaftskapitän"
    host.state = state(
        session_name=word,
        now=playing("n", word, artist=word, added_by=word),
        queue=[waiting("q", word, artist=word, added_by=word, ready=1, votes=100)],
        requests=[request("r", word, state="failed", reason=word), request("s", word, state="open")],
    )
    host.lines = [{"number": 1, "name": word, "text": word * 3, "mine": False}]
    page = visit(width=width, height=height)
    page.tap("#listen")
    page.run("document.querySelectorAll('details').forEach(one => (one.open = true))")
    page.tap("#me")
    for view in ("music", "ask", "chat"):
        page.run(f"document.querySelector('[data-view={view}]').click()")
        found = page.run(
            "Array.from(document.querySelectorAll("
            "'button, label.button, input:not(.unseen), select, summary, .row *, p'))"
            ".filter(one => one.offsetParent && !one.matches('.unseen'))"
            ".map(one => [one.outerHTML.slice(0, 120), one.getBoundingClientRect(),"
            " one.matches('button, .button, input, select, summary')])"
            ".filter(([, box, touched]) => box.left < 0 || box.right > innerWidth + 0.5"
            " || touched && (box.width < 43.9 || box.height < 43.9)).map(([html]) => html)"
        )
        assert found == [], view


@pytest.mark.slow
def test_a_screen_reader_finds_its_way(host: PageHost, visit: Visit) -> None:
    host.state = state(
        now=playing("n", "Heroes"), queue=[waiting("q", "Blue")], requests=[request("r", "x.mp3", state="open")]
    )
    page = visit(width=800)
    page.call("Accessibility.enable")
    nodes = [node for node in page.call("Accessibility.getFullAXTree")["nodes"] if not node["ignored"]]
    roles = {(node["role"]["value"], node.get("name", {}).get("value", "")) for node in nodes}
    unnamed = {"button", "textbox", "searchbox", "navigation", "progressbar", "log", "region"}
    assert not [role for role, name in roles if role in unnamed and not name]
    expected = {
        ("banner", ""), ("main", ""), ("navigation", "Views"), ("search", ""), ("heading", "Up next"),
        ("heading", "Ask for a song"), ("button", "Vote for Blue. 0 votes"), ("button", "Take x back"),
        ("searchbox", "Search the host's music"), ("progressbar", "Position in the song"),
    }  # fmt: skip
    assert expected <= roles
    host.show(now=playing("m", "Changes"))
    page.wait("document.querySelector('#announce').textContent === 'Now playing: Changes'")


@pytest.mark.slow
def test_the_keyboard_reaches_everything_and_shows_where_it_is(host: PageHost, visit: Visit) -> None:
    host.state = state(now=playing("n", "Heroes"), queue=[waiting("q", "Blue")])
    page = visit(width=800)
    page.run("document.querySelector('.to-content').focus()")
    reached = []
    for _ in range(12):
        page.press("Tab")
        style = "getComputedStyle(document.activeElement)"
        reached.append(
            page.run(f"[document.activeElement.id || document.activeElement.className, {style}.outlineStyle]")
        )
    order = [name for name, _ in reached]
    for name in ("to-chat", "me", "skip", "vote quiet", "search-text", "upload-files"):
        assert name in order
    assert order.index("me") < order.index("skip") < order.index("vote quiet") < order.index("search-text")
    assert {outline for name, outline in reached if name and name != "upload-files"} == {"solid"}


@pytest.mark.slow
def test_a_focused_row_keeps_the_focus_when_the_order_changes(host: PageHost, visit: Visit) -> None:
    songs = [waiting("q", "Blue"), waiting("r", "Red")]
    host.state = state(queue=songs)
    page = visit()
    page.run("document.querySelectorAll('.vote')[1].focus()")
    host.show(queue=songs[::-1])
    page.wait("document.querySelector('#queue-rows .title').textContent === 'Red'")
    assert page.run("document.activeElement.getAttribute('aria-label')") == "Vote for Red. 0 votes"


@pytest.mark.slow
def test_nothing_moves_for_those_who_want_it_still(host: PageHost, visit: Visit) -> None:
    songs = [waiting("q", "Blue"), waiting("r", "Red")]
    host.state = state(queue=songs)
    page = visit()
    page.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-reduced-motion", "value": "reduce"}])
    page.run("window.glided = 0; Element.prototype.animate = () => { window.glided += 1; }")
    host.show(queue=songs[::-1])
    page.wait("document.querySelector('#queue-rows .title').textContent === 'Red'")
    assert page.run("window.glided") == 0
    page.call("Emulation.setEmulatedMedia", features=[])
    host.show(queue=songs)
    page.wait("window.glided > 0")


@pytest.fixture
def next_host(host: PageHost) -> Iterator[PageHost]:
    """The host that pages of `host` find when it is gone."""
    with PageHost() as found:
        found.proof = "pr00f"
        host.ports = (found.port,)
        yield found


def tell_next(host: PageHost, found: PageHost, proof: str = "pr00f") -> None:
    host.tell({"type": "hosts", "guest": "00", "hosts": [{"at": found.url.rstrip("/"), "proof": proof}]})
    host.show(people=9)


def test_a_phone_goes_on_at_the_next_host_as_the_same_guest(host: PageHost, next_host: PageHost, visit: Visit) -> None:
    page = visit("Zoë S. Ana")
    tell_next(host, next_host)
    page.wait(shows("#people", "9"))
    next_host.state = state(session_name="Kitchen", host_name="Ana", queue=[waiting("q", "Blue", voted=True, votes=1)])
    host.stop()
    hello = next_host.wait_for("hello")
    assert (hello["token"], hello["name"]) == ("t1", "Zoë S. Ana")
    page.wait(shows("#people", "here with Ana"))
    page.wait(shows("#queue-rows .vote[aria-pressed=true]", "1"))
    assert page.run("location.href") == next_host.url


@pytest.mark.slow
def test_a_phone_gives_its_token_to_no_machine_without_the_proof(
    host: PageHost, next_host: PageHost, visit: Visit
) -> None:
    page = visit()
    tell_next(host, next_host, "another proof")
    page.wait(shows("#people", "9"))
    host.stop()
    page.wait(shows("#connection", "No connection"))
    page.run("new Promise(done => setTimeout(done, 3000))")
    host.start()
    host.wait_for("hello")
    assert page.run("location.href") == host.url
    assert next_host.received.empty()


@pytest.mark.slow
def test_a_guest_whose_old_token_the_next_host_knows_stays_that_guest(
    host: PageHost, visit: Visit, chromium: Browser
) -> None:
    page = visit()
    page.go("about:blank")
    page.go(f"{host.url}#t9.Ben")
    assert host.wait_for("hello")["token"] == "t1"
    page.wait(shows("#session-name", "Kitchen"))
    assert page.run("[location.hash, localStorage.getItem('phaselock.moved')]") == ["", None]


@pytest.mark.slow
def test_a_guest_whose_old_token_is_of_another_session_is_the_one_that_has_come(host: PageHost, visit: Visit) -> None:
    page = visit()
    welcome = host.greeted
    host.greeted = lambda hello: (
        welcome(hello) if hello["token"] == "t9" else {"type": "refused", "error": "token", "message": ""}
    )
    page.go("about:blank")
    page.go(f"{host.url}#t9.Ben")
    while (hello := host.wait_for("hello"))["token"] != "t9":
        pass
    assert hello["name"] == "Ben"
