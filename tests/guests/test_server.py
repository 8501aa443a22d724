"""The page's server over real sockets of this computer, with a session that only remembers."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import pathlib
from collections.abc import Callable
from uuid import UUID

import pytest

from phaselock.bench.lab.guest_client import GuestClient
from phaselock.guests import connection as connections
from phaselock.guests import limits, page_session, uploads
from phaselock.guests.http import policy
from phaselock.model.snapshot import ChatLine, VotesView
from phaselock.model.timeline import Timeline
from phaselock.model.types import Track
from phaselock.session import guest_actions as a
from phaselock.session.effects import Follow, GuestRemoved, TellGuest
from tests.support.guest_jam import EMPTY, FakeJam, OpenPage, Scene, entered, row, token_of

REQUEST = UUID(int=99)


def test_a_host_header_cannot_change_the_policy() -> None:
    assert "ws://[fe80::1]:17403;" in policy("[fe80::1]:17403")
    for bad in ("a; script-src *", "[fe80::1%25;x]", "a b", ""):
        assert policy(bad) == policy()


def test_files_have_strict_headers_and_are_fetched_once(on_page: Callable[[Scene], None]) -> None:
    async def scene(page: OpenPage) -> None:
        async with await GuestClient.open(page.port) as client:
            first = await client.request("GET", "/")
            again = await client.request("GET", "/", {"If-None-Match": first.headers["etag"]})
            head = await client.request("HEAD", "/")
            missing = await client.request("GET", "/../pyproject.toml")
        assert (first.status, first.body) == (200, b"<!doctype html>")
        rules = first.headers["content-security-policy"]
        assert "default-src 'none'" in rules
        assert "unsafe" not in rules
        assert f"connect-src 'self' ws://127.0.0.1:{page.port} http://*:17403;" in rules
        assert first.headers["x-content-type-options"] == "nosniff"
        assert first.headers["referrer-policy"] == "no-referrer"
        assert first.headers["cache-control"] == "no-cache"
        assert (again.status, again.body, head.body, missing.status) == (304, b"", b"", 404)

    on_page(scene)


@pytest.mark.parametrize(
    ("host", "origin", "status"),
    [
        ("", "", 200),
        ("kitchen.local:17403", "http://kitchen.local:17403", 200),
        ("[fe80::1]:17403", None, 200),
        ("evil.example", "http://evil.example", 403),
        ("localhost.evil.example:17403", "http://localhost.evil.example:17403", 403),
        ("192.168.1.20:17403", "http://evil.example", 403),
        ("192.168.1.20:17403", "null", 403),
    ],
)
def test_other_pages_and_other_names_are_refused(
    on_page: Callable[[Scene], None], host: str, origin: str | None, status: int
) -> None:
    async def scene(page: OpenPage) -> None:
        async with await GuestClient.open(page.port, host=host, origin=origin) as client:
            assert (await client.enter(secret=page.access.secret)).status == status

    on_page(scene)


def test_a_websocket_needs_an_origin(on_page: Callable[[Scene], None]) -> None:
    async def scene(page: OpenPage) -> None:
        async with await GuestClient.open(page.port, origin=None) as client:
            assert await client.open_live() == 403

    on_page(scene)


def test_secret_and_code(on_page: Callable[[Scene], None]) -> None:
    async def scene(page: OpenPage) -> None:
        page.jam.now = dataclasses.replace(EMPTY, code="482913")
        async with await GuestClient.open(page.port) as client:
            wrong = await client.enter(secret="x" * 22)
            nothing = await client.enter()
            guess = await client.enter(code="111111", language="de")
            right = await client.enter(code="482913")
            again = await client.enter(guest=right.json["token"])
            bad = await client.request("POST", "/api/enter", body=b"[]")
        assert [one.status for one in (wrong, nothing, guess, right, again, bad)] == [403, 403, 403, 200, 200, 400]
        assert [one.json["error"] for one in (wrong, nothing, guess)] == ["secret", "code", "code"]
        assert guess.json["message"] == "Der Code ist falsch."
        assert again.json == right.json

    on_page(scene)


def test_state_votes_and_chat(on_page: Callable[[Scene], None]) -> None:
    async def scene(page: OpenPage) -> None:
        rows = (row(1), row(2), row(3))
        lines = (ChatLine(1, "Ben", "hello", 0), ChatLine(2, "Ana", "<b>", 0))
        page.jam.now = dataclasses.replace(EMPTY, queue=rows, votes=(VotesView(rows[1].id, 2, False),), chat=lines)
        client, _, guest_id = await entered(page)
        async with client:
            state = await client.hear("state")
            assert [(one["id"], one["votes"], one["mine"], one["voted"]) for one in state["queue"]] == [
                (str(rows[0].id), 0, False, False),
                (str(rows[1].id), 2, False, False),
                (str(rows[2].id), 0, False, False),
            ]
            assert (state["me"]["name"], state["library"], state["now"]) == ("Ana", True, None)
            chat = await client.hear("chat")
            assert [(one["text"], one["mine"]) for one in chat["lines"]] == [("hello", False), ("<b>", True)]
            own = page.jam.owns[guest_id]
            page.jam.owns[guest_id] = dataclasses.replace(
                own, voted=frozenset({rows[1].id}), songs=frozenset({rows[2].id})
            )
            state = await client.hear("state")
            assert [(one["mine"], one["voted"]) for one in state["queue"]] == [
                (False, False),
                (False, True),
                (True, False),
            ]
            page.jam.now = dataclasses.replace(page.jam.now, chat=(*lines, ChatLine(3, "Ben", "new", 0)))
            chat = await client.hear("chat")
            assert [one["number"] for one in chat["lines"]] == [3]

    on_page(scene)


def test_what_a_page_may_send(on_page: Callable[[Scene], None]) -> None:
    async def scene(page: OpenPage) -> None:
        song = str(UUID(int=5))
        client, _, _ = await entered(page)
        async with client:
            await client.tell("name", name="Ana\u202e B")
            await client.tell("vote", song=song, wanted=True)
            await client.tell("skip", song=song, wanted=False)
            await client.tell("say", text="hi")
            await client.tell("here")
            await client.tell("listen", on=True, uncertainty_ms=4.5)
            await client.tell("ask", request=str(REQUEST), song=7)
            await client.tell("search", search=3, text="water")
            results = await client.hear("results")
            assert (results["search"], [one["id"] for one in results["songs"]]) == (3, [7])
            await client.tell("ping", t0=12.5)
            pong = await client.hear("pong")
            assert pong["t0"] == 12.5 and int(pong["t1_ns"]) <= int(pong["t2_ns"])
        done = page.jam.done
        assert [one.name for one in done(a.GuestHere)] == ["Ana", "Ana B", "Ana B"]
        assert done(a.GuestVotes) == [a.GuestVotes(UUID(int=5), True)]
        assert done(a.GuestWantsSkip) == [a.GuestWantsSkip(UUID(int=5), False)]
        assert done(a.GuestSays) == [a.GuestSays("hi")]
        assert done(a.GuestListens) == [a.GuestListens(True, 4_500_000)]
        assert done(a.GuestAsks)[0].song_id == 7 and done(a.GuestAsks)[0].file_name == "waterloo.mp3"

    on_page(scene)


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", '{"type":"play"}', '{"type":"vote","song":"x","wanted":true}', '{"type":"vote","song":1}']
    + ['{"type":"ping","t0":NaN}', '{"type":"listen","on":1}', '{"type":"hello"}', "[" * 3000, "x" * 5000],
)
def test_anything_else_closes_the_connection(on_page: Callable[[Scene], None], text: str) -> None:
    async def scene(page: OpenPage) -> None:
        client, _, guest_id = await entered(page)
        async with client:
            from wsproto.events import TextMessage

            await client.send(client._frames.send(TextMessage(data=text)))
            assert await client.hear_close()
        assert page.jam.done(a.GuestGone)

    on_page(scene)


def test_too_many_messages_close_the_connection(
    on_page: Callable[[Scene], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(page_session, "MESSAGES_BURST", 4.0)

    async def scene(page: OpenPage) -> None:
        client, _, _ = await entered(page)
        async with client:
            with pytest.raises(ConnectionError, match="too many messages"):
                for _ in range(5):
                    await client.tell("here")
                await client.hear()

    on_page(scene)


def test_a_removed_guest_stays_out(on_page: Callable[[Scene], None]) -> None:
    async def scene(page: OpenPage) -> None:
        client, token, guest_id = await entered(page, language="de")
        async with client:
            page.jam.now = dataclasses.replace(EMPTY, removed_guests=("Ana",))
            await client.hear("state")
            page.jam.removed.add(guest_id)
            page.server.tell(GuestRemoved(guest_id))
            refused = await client.hear("refused")
            assert (refused["error"], refused["message"]) == ("removed", "Der Host hat dich entfernt.")
        async with await GuestClient.open(page.port) as client:
            assert (await client.hello(token))["error"] == "removed"
        async with await GuestClient.open(page.port) as client:
            assert (await client.enter(secret=page.access.secret, guest=token)).json["error"] == "removed"
            page.jam.now = EMPTY  # the host's user lets it in again
            assert (await client.enter(secret=page.access.secret, guest=token)).json["token"] == token
        assert not page.jam.done(a.GuestGone)

    on_page(scene)


def test_the_address_of_a_guest_that_is_away_is_barred_too(on_page: Callable[[Scene], None]) -> None:
    async def scene(page: OpenPage) -> None:
        client, _, guest_id = await entered(page)
        client.close()
        while page.server.open_pages:
            await asyncio.sleep(0)
        page.jam.now = dataclasses.replace(EMPTY, removed_guests=("Ana",))
        page.server.tell(GuestRemoved(guest_id))
        assert [one.ips for one in page.access._removed] == [{"127.0.0.1"}]

    on_page(scene)


def test_a_new_secret_ends_all_tokens(on_page: Callable[[Scene], None]) -> None:
    async def scene(page: OpenPage) -> None:
        client, token, _ = await entered(page)
        old = page.access.secret
        async with client:
            page.server.change_secret(b"n" * 16)
            assert (await client.hear("refused"))["error"] == "token"
        async with await GuestClient.open(page.port) as client:
            assert (await client.hello(token))["error"] == "token"
        async with await GuestClient.open(page.port) as client:
            assert (await client.enter(secret=old, guest=token)).json["error"] == "secret"
            assert (await client.enter(secret=page.access.secret, guest=token)).json["token"] != token

    on_page(scene)


def test_an_upload_resumes(on_page: Callable[[Scene], None], tmp_path: pathlib.Path) -> None:
    async def scene(page: OpenPage) -> None:
        client, token, guest_id = await entered(page)
        song = bytes(range(256)) * 1000
        headers = {"Authorization": f"Bearer {token}"}
        path = f"/upload/{REQUEST}"
        async with client, await GuestClient.open(page.port) as http:
            assert (await http.request("GET", path, headers)).status == 404
            await client.tell("ask", request=str(REQUEST), file_name="a.mp3", size=len(song))
            while not page.jam.done(a.GuestAsks):
                await asyncio.sleep(0)
            first = await http.request("POST", path, {**headers, "Upload-Offset": "0"}, song[:100_000])
            wrong = await http.request("POST", path, {**headers, "Upload-Offset": "5"}, song[5:])
        async with await GuestClient.open(page.port) as http:
            state = await http.request("GET", path, headers)
            last = await http.request("POST", path, {**headers, "Upload-Offset": "100000"}, song[100_000:])
            assert (await http.request("GET", path, headers)).json == {"done": len(song)}, "the answer was lost"
        assert [(one.status, one.json) for one in (first, wrong, state, last)] == [
            (200, {"done": 100_000}),
            (409, {"done": 100_000}),
            (200, {"done": 100_000}),
            (200, {"done": len(song)}),
        ]
        assert page.jam.uploaded == [(REQUEST, song)]
        assert page.jam.progress[-1] == len(song)
        assert not list(tmp_path.glob("guest-*"))

    on_page(scene)


def test_a_lost_upload_keeps_what_has_arrived(on_page: Callable[[Scene], None], tmp_path: pathlib.Path) -> None:
    async def scene(page: OpenPage) -> None:
        client, token, _ = await entered(page)
        headers = {"Authorization": f"Bearer {token}"}
        async with client:
            await client.tell("ask", request=str(REQUEST), file_name="a.mp3", size=50_000)
            while not page.jam.done(a.GuestAsks):
                await asyncio.sleep(0)
            async with await GuestClient.open(page.port) as http:
                head = http.head("POST", f"/upload/{REQUEST}", {**headers, "Upload-Offset": "0"}, 50_000)
                await http.send(head + bytes(20_000))
                while page.server.uploads.done(REQUEST) < 20_000:
                    await asyncio.sleep(0.001)
            async with await GuestClient.open(page.port) as http:
                assert (await http.request("GET", f"/upload/{REQUEST}", headers)).json == {"done": 20_000}
            await client.tell("withdraw", request=str(REQUEST))
            while list(tmp_path.glob("guest-*")):
                await asyncio.sleep(0.001)

    on_page(scene)


def test_a_file_that_is_too_large_is_for_the_session_to_refuse(on_page: Callable[[Scene], None]) -> None:
    async def scene(page: OpenPage) -> None:
        client, _, _ = await entered(page)
        async with client:
            await client.tell("ask", request=str(REQUEST), file_name="film.mp3", size=3 << 30)
            while not page.jam.done(a.GuestAsks):
                await asyncio.sleep(0)
            # The page keeps what it could not send: without an answer it would be sent away again and again.
            assert not any(one.is_closing for one in page.server._connections.values())

    on_page(scene)


def test_more_than_was_announced_is_refused(on_page: Callable[[Scene], None]) -> None:
    async def scene(page: OpenPage) -> None:
        client, token, _ = await entered(page)
        async with client, await GuestClient.open(page.port) as http:
            await client.tell("ask", request=str(REQUEST), file_name="a.mp3", size=10)
            while not page.jam.done(a.GuestAsks):
                await asyncio.sleep(0)
            headers = {"Authorization": f"Bearer {token}", "Upload-Offset": "0"}
            answer = await http.request("POST", f"/upload/{REQUEST}", headers, bytes(11))
            assert answer.status == 409 and answer.headers["connection"] == "close"
        assert not page.jam.uploaded

    on_page(scene)


def test_a_request_needs_no_snapshot(on_page: Callable[[Scene], None], monkeypatch: pytest.MonkeyPatch) -> None:
    async def scene(page: OpenPage) -> None:
        monkeypatch.delattr(FakeJam, "snapshot")
        token = await token_of(page)
        async with await GuestClient.open(page.port) as http:
            assert (await http.request("GET", f"/art/{UUID(int=1)}?token={token}")).json == {"error": "no picture"}

    on_page(scene)


def test_songs_and_pictures_need_a_token(on_page: Callable[[Scene], None], tmp_path: pathlib.Path) -> None:
    async def scene(page: OpenPage) -> None:
        item = row(1)
        file = tmp_path / "song.mp3"
        file.write_bytes(bytes(range(256)) * 1000)
        track = Track(item.id, "1.mp3", 256_000, b"", 44100, 4_410_000)
        page.jam.files = {item.id: (track, file), UUID(int=2): (track, file)}
        page.jam.now = dataclasses.replace(EMPTY, queue=(item,))
        token = await token_of(page)
        async with await GuestClient.open(page.port) as http:
            song = await http.request("GET", f"/song/{item.id}", {"Authorization": f"Bearer {token}"})
            art = await http.request("GET", f"/art/{item.id}?token={token}")
            statuses = [
                (await http.request("GET", path)).status
                for path in (f"/song/{item.id}", f"/song/{UUID(int=2)}?token={token}", f"/song/x?token={token}")
            ]
        assert song.body == file.read_bytes() and art.body == b"PNG"
        assert statuses == [403, 404, 404]

    on_page(scene)


def test_a_listening_page_gets_the_timeline(on_page: Callable[[Scene], None], tmp_path: pathlib.Path) -> None:
    async def scene(page: OpenPage) -> None:
        items = row(1), row(2)
        page.jam.files = {one.id: (Track(one.id, one.file_name, 10, b"", 44100, 4_410_000), tmp_path) for one in items}
        line = Timeline(items[0].id, 44100, 0, 1 << 60)
        page.jam.now = dataclasses.replace(EMPTY, queue=items, now=items[0], timeline=line)
        page.jam.plays = Follow(line, None, -3.0)
        client, _, _ = await entered(page)
        async with client:
            await client.tell("listen", on=True, uncertainty_ms=None)
            told = await client.hear("timeline")
        assert told["current"]["start_session_ns"] == str(1 << 60) and told["current"]["gain_db"] == -3.0
        assert [one["id"] for one in told["songs"]] == [str(one.id) for one in items] and told["then"] is None

    on_page(scene)


def test_told_sentences_are_translated(on_page: Callable[[Scene], None]) -> None:
    async def scene(page: OpenPage) -> None:
        client, _, guest_id = await entered(page, language="de-AT")
        async with client:
            page.server.tell(TellGuest(guest_id, "The code is wrong.", REQUEST))
            told = await client.hear("told")
        assert told == {"type": "told", "message": "Der Code ist falsch.", "request": str(REQUEST)}

    on_page(scene)


def test_a_page_that_does_not_read_is_closed(on_page: Callable[[Scene], None], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "MAX_UNSENT_BYTES", 100_000)

    async def scene(page: OpenPage) -> None:
        client, _, guest_id = await entered(page)
        async with client:
            while page.server.open_pages:
                page.server.tell(TellGuest(guest_id, "x" * 50_000))
                await asyncio.sleep(0)

    on_page(scene)


@pytest.mark.parametrize(
    "data",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET http://a/ HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nHost: evil\r\n\r\n",
        b"POST /api/enter HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX: " + b"x" * 20_000,
        b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 5\r\nConnection: close\r\n\r\nabcde",
        b"GET /upload/x HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 99\r\n\r\n",
    ],
)
def test_broken_requests_are_closed(on_page: Callable[[Scene], None], data: bytes) -> None:
    async def scene(page: OpenPage) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", page.port)
        writer.write(data)
        answer = await reader.read(500)
        writer.close()
        assert answer == b"" or answer.startswith((b"HTTP/1.1 4", b"HTTP/1.1 200"))

    on_page(scene)


def test_pipelined_requests_are_answered_in_order(on_page: Callable[[Scene], None]) -> None:
    async def scene(page: OpenPage) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", page.port)
        one = b"GET /%d HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
        writer.write(b"".join(one % number for number in range(20)))
        for _ in range(20):
            assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 404")
            await reader.readexactly(len(b'{"error":"not found"}'))
        writer.close()

    on_page(scene)


def check(page: OpenPage, later_s: float) -> None:
    """Let the server look at its connections as if this time had passed."""
    now_s = asyncio.get_running_loop().time() + later_s
    for one in list(page.server._connections.values()):
        one.check(now_s)
    for live in [*page.server._live.values(), *page.server._unknown]:
        live.check(now_s)


@pytest.mark.parametrize(
    ("data", "limit_s"),
    [
        (b"", connections.HEAD_S),
        (b"GET / HT", connections.HEAD_S),
        (b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", connections.IDLE_S),
        (b"POST /api/enter HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 9\r\n\r\nabc", connections.STALL_S),
    ],
)
def test_slow_connections_are_closed(on_page: Callable[[Scene], None], data: bytes, limit_s: float) -> None:
    async def scene(page: OpenPage) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", page.port)
        writer.write(data)
        await asyncio.sleep(0.02)
        check(page, limit_s - 1)
        await asyncio.sleep(0)
        assert not any(one.is_closing for one in page.server._connections.values())
        check(page, limit_s + 1)
        with contextlib.suppress(ConnectionError):
            while await reader.read(1000):
                pass
        writer.close()
        assert not page.server._connections

    on_page(scene)


def test_a_phone_that_is_gone_is_noticed(on_page: Callable[[Scene], None]) -> None:
    async def scene(page: OpenPage) -> None:
        client, _, _ = await entered(page)
        async with client:
            check(page, connections.LIVE_PING_S + 1)
            await client.tell("ping", t0=1)
            await client.hear("pong")
            check(page, connections.LIVE_PING_S + 1)
            check(page, connections.LIVE_S + 1)
            while page.server.open_pages:
                await asyncio.sleep(0)
        assert page.jam.done(a.GuestGone)

    on_page(scene)


def test_a_websocket_without_hello_is_closed(on_page: Callable[[Scene], None]) -> None:
    async def scene(page: OpenPage) -> None:
        async with await GuestClient.open(page.port) as client:
            assert await client.open_live() == 101
            check(page, page_session.HELLO_S + 1)
            with pytest.raises(ConnectionError):
                await client.hear()

    on_page(scene)


def test_a_new_connection_takes_the_place_of_one_that_waits(
    on_page: Callable[[Scene], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "MAX_OF_ADDRESS", 3)

    async def scene(page: OpenPage) -> None:
        client, _, _ = await entered(page)
        others = [await GuestClient.open(page.port) for _ in range(6)]
        assert (await others[-1].request("GET", "/")).status == 200
        assert len(page.server._connections) == 3 and page.server.open_pages == 1
        with pytest.raises(ConnectionError):
            await others[0].request("GET", "/")
        for one in [client, *others]:
            one.close()

    on_page(scene)


def test_a_slow_upload_loses_its_place(on_page: Callable[[Scene], None], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uploads, "MAX_UPLOADS", 1)

    async def scene(page: OpenPage) -> None:
        answers, opened = [], []
        for number, late_s in ((1, 0.0), (2, 0.0), (3, uploads.SLOW_AFTER_S + 1)):
            monkeypatch.setattr(page.server.uploads, "now_s", lambda late_s=late_s: late_s)
            client, token, _ = await entered(page, f"Guest {number}")
            request = str(UUID(int=number))
            await client.tell("ask", request=request, file_name="a.mp3", size=1000)
            while len(page.jam.done(a.GuestAsks)) < number:
                await asyncio.sleep(0)
            http = await GuestClient.open(page.port)
            headers = {"Authorization": f"Bearer {token}", "Upload-Offset": "0"}
            await http.send(http.head("POST", f"/upload/{request}", headers, 1000) + bytes(10 if number == 1 else 1000))
            if number > 1:
                answers.append((await http.answer()).status)
            else:
                while not page.server.uploads.done(UUID(int=1)):
                    await asyncio.sleep(0)
            opened += [client, http]
        assert answers == [503, 200]
        for one in opened:
            one.close()

    on_page(scene)


def test_a_connection_is_not_read_before_its_turn(on_page: Callable[[Scene], None]) -> None:
    async def scene(page: OpenPage) -> None:
        client, _, _ = await entered(page)
        (connection,) = (one for one in page.server._connections.values() if not one.is_idle)
        assert connection._transport is not None
        while connection._in_line:  # the greeting has another turn, to see that nothing follows it
            await asyncio.sleep(0)
        waiting: list[Callable[[], bool]] = []
        page.server.line_up = lambda ip, work: waiting.append(work)  # type: ignore[method-assign]
        await client.tell("ping", t0=0)
        while not waiting:
            await asyncio.sleep(0)
        await client.tell("ping", t0=1)
        while connection._transport.is_reading():
            await asyncio.sleep(0)
        assert len(waiting) == 1
        while waiting[0]():
            pass
        assert connection._transport.is_reading()
        assert [(await client.hear("pong"))["t0"] for _ in range(2)] == [0, 1]
        client.close()

    on_page(scene)


def test_a_connection_whose_request_waits_for_its_turn_is_not_closed_for_another(
    on_page: Callable[[Scene], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "MAX_CONNECTIONS", 1)

    async def scene(page: OpenPage) -> None:
        async with await GuestClient.open(page.port) as first:
            waiting: list[Callable[[], bool]] = []
            page.server.line_up = lambda ip, work: waiting.append(work)  # type: ignore[method-assign]
            asking = asyncio.ensure_future(first.request("GET", "/"))
            while not waiting:
                await asyncio.sleep(0)
            async with await GuestClient.open(page.port) as second:
                with pytest.raises(ConnectionError):
                    await second.request("GET", "/")
            waiting[0]()
            assert (await asking).status == 200

    on_page(scene)


def test_a_client_that_ends_its_side_gets_its_answer(on_page: Callable[[Scene], None]) -> None:
    async def scene(page: OpenPage) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", page.port)
        writer.write(f"GET / HTTP/1.1\r\nHost: 127.0.0.1:{page.port}\r\n\r\n".encode())
        writer.write_eof()
        answer = await reader.read()
        writer.close()
        assert answer.startswith(b"HTTP/1.1 200") and answer.endswith(b"<!doctype html>")

    on_page(scene)
