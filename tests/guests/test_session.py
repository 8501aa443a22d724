"""The page of a real session: switched on and off, used by guests, and its songs played."""

from __future__ import annotations

import contextlib
import os
import pathlib
import socket
import uuid
from types import SimpleNamespace
from typing import Any

import pytest

from phaselock.app.guests import SECRET_AGE_S, GuestPage
from phaselock.bench.lab.guest_client import GuestClient
from phaselock.guests.access import Access
from phaselock.model.heritage import HeirGuest, Hosting
from phaselock.model.party import SMALL_PARTY
from phaselock.network.listener import PortTaken, bind
from phaselock.session.commands import AllowGuest, ChangeCode, RemoveGuest, SetRules
from tests.support.network_session import DATA, NetworkFixture, played


async def switched_on(
    network: NetworkFixture, stack: contextlib.AsyncExitStack, port: int = 0, heritage: Any = None
) -> GuestPage:
    host, secret = network.host, network.folder / "secret"
    page = GuestPage(
        host.runner, host.runner._songs._cache, secret, host.news, bind_to="127.0.0.1", port=port, heritage=heritage
    )
    await (page.switch_on() if heritage is None else page.go_on())
    stack.push_async_callback(page.close)
    return page


async def client_of(page: GuestPage, stack: contextlib.AsyncExitStack) -> GuestClient:
    return await stack.enter_async_context(await GuestClient.open(int(page.address.rpartition(":")[2])))


async def token_of(page: GuestPage, stack: contextlib.AsyncExitStack) -> str:
    client = await client_of(page, stack)
    token: str = (await client.enter(secret=page.link.rpartition("#")[2])).json["token"]
    return token


@played
async def test_a_guest_uploads_a_song(network: NetworkFixture, stack: contextlib.AsyncExitStack) -> None:
    page = await switched_on(network, stack)
    network.host.runner.command(SetRules(SMALL_PARTY))
    token, live = await token_of(page, stack), await client_of(page, stack)
    assert (await live.hello(token, "Ana"))["name"] == "Ana"
    request = str(uuid.uuid4())
    await live.tell("ask", request=request, file_name="folder/mine.mp3", size=len(DATA))
    while not (state := await live.hear("state"))["requests"]:
        pass
    assert [(one["file_name"], one["state"]) for one in state["requests"]] == [("mine.mp3", "accepted")]
    http = await client_of(page, stack)
    headers = {"Authorization": f"Bearer {token}", "Upload-Offset": "0"}
    assert (await http.request("POST", f"/upload/{request}", headers, DATA)).json == {"done": len(DATA)}
    while not (state := await live.hear("state"))["queue"]:
        pass
    (row,) = state["queue"]
    assert (row["file_name"], row["added_by"], row["mine"]) == ("mine.mp3", "Ana", True)
    song = await http.request("GET", f"/song/{row['id']}", {"Authorization": f"Bearer {token}"})
    assert song.body == DATA
    (entry,) = network.host.runner.snapshot().queue
    path = network.host.runner.path(entry.id)
    assert path is not None and path.read_bytes() == DATA


@played
async def test_a_removed_guest(network: NetworkFixture, stack: contextlib.AsyncExitStack) -> None:
    page = await switched_on(network, stack)
    token, live = await token_of(page, stack), await client_of(page, stack)
    guest_id = bytes.fromhex((await live.hello(token, "Ana"))["you"])
    network.host.runner.command(RemoveGuest(guest_id))
    assert (await live.hear("refused"))["error"] == "removed"
    again = await client_of(page, stack)
    assert (await again.hello(token, "Ana"))["error"] == "removed"
    network.host.runner.command(AllowGuest("Ana"))
    third = await client_of(page, stack)
    assert (await third.hello(token, "Ana"))["type"] == "welcome"
    await page.close()
    assert not (network.folder / "secret").exists(), "the next session does not know who was removed"


@played
async def test_a_secret_that_cannot_be_removed(network: NetworkFixture, stack: contextlib.AsyncExitStack) -> None:
    (network.folder / "secret" / "inside").mkdir(parents=True)
    page = await switched_on(network, stack)
    token, live = await token_of(page, stack), await client_of(page, stack)
    network.host.runner.command(RemoveGuest(bytes.fromhex((await live.hello(token, "Ana"))["you"])))
    await page.switch_off()
    assert [event.name for event in network.host.news.told if event.name == "guest_page"] == ["guest_page"] * 2


@played
async def test_codes_are_guessed_seldom(network: NetworkFixture, stack: contextlib.AsyncExitStack) -> None:
    page = await switched_on(network, stack)
    network.host.runner.command(ChangeCode("482 913"))
    client = await client_of(page, stack)
    right = await client.enter(code="482913")
    guesses = [(await client.enter(code=f"11111{number}")).json["error"] for number in range(4)]
    assert right.status == 200 and guesses == ["code", "code", "code", "wait"]
    assert (await client.enter(code="482913")).json["error"] == "wait"
    assert (await client.enter(guest=right.json["token"])).status == 200
    assert (await client.enter(secret=page.link.rpartition("#")[2])).status == 200


@played
async def test_switched_off_and_on_again(network: NetworkFixture, stack: contextlib.AsyncExitStack) -> None:
    page = await switched_on(network, stack)
    link, token, live = page.link, await token_of(page, stack), await client_of(page, stack)
    await live.hello(token, "Ana")
    with pytest.raises(PortTaken):
        await switched_on(network, stack, int(page.address.rpartition(":")[2]))
    await page.switch_off()
    assert (page.address, page.link, network.host.runner.guest_server) == ("", "", None)
    assert await live.hear_close() == "the page is off"
    await page.switch_on()
    assert page.link.rpartition("#")[2] == link.rpartition("#")[2]
    await page.new_secret()
    assert page.link.rpartition("#")[2] != link.rpartition("#")[2]
    refused = await client_of(page, stack)
    assert (await refused.hello(token, "Ana"))["error"] == "token"
    told = [dict(event.fields)["link"] for event in network.host.news.told if event.name == "guest_page"]
    assert len(told) == 4 and told[1] == "" and told[3] == page.link


@played
async def test_an_old_secret_is_not_used_again(network: NetworkFixture, stack: contextlib.AsyncExitStack) -> None:
    page = await switched_on(network, stack)
    secret, old = network.folder / "secret", page.link
    await page.switch_off()
    if os.name == "posix":
        assert secret.stat().st_mode & 0o077 == 0
    past_s = secret.stat().st_mtime - SECRET_AGE_S - 1
    os.utime(secret, (past_s, past_s))
    await page.switch_on()
    assert page.link.rpartition("#")[2] != old.rpartition("#")[2]


def heritage(secret: bytes | None, *guests: HeirGuest) -> Any:
    return SimpleNamespace(settings=SimpleNamespace(hosting=Hosting(secret)), guests=guests)


@played
async def test_the_page_of_the_host_before_this_one(network: NetworkFixture, stack: contextlib.AsyncExitStack) -> None:
    """Its tokens are valid, also at another port, and its secret is not kept for later sessions."""
    before, taken = Access(b"s" * 16), bind("127.0.0.1", 0, socket.SOCK_STREAM)
    stack.callback(taken.close)
    page = await switched_on(network, stack, taken.getsockname()[1], heritage(b"s" * 16))
    assert page.link == f"{page.address}/#{before.secret}"
    live = await client_of(page, stack)
    token = before.new_token()
    assert (await live.hello(token, "Ana"))["you"] == (before.guest_id(token) or b"").hex()
    port = int(page.address.rpartition(":")[2])
    assert network.host.runner.hosting == Hosting(b"s" * 16, port)
    await page.switch_off()
    assert network.host.runner.hosting.page_secret is None
    assert not (network.folder / "secret").exists()
    await page.switch_on()
    assert page.link.endswith(before.secret)
    await page.new_secret()
    assert network.host.runner.hosting.page_secret == (network.folder / "secret").read_bytes() != b"s" * 16


@played
async def test_a_page_that_was_off_stays_off(network: NetworkFixture, stack: contextlib.AsyncExitStack) -> None:
    page = await switched_on(network, stack, heritage=heritage(None))
    assert (page.address, network.host.runner.hosting) == ("", Hosting())


def test_pictures_are_valid(tmp_path: pathlib.Path) -> None:
    from PIL import Image

    from phaselock.storage.pictures import png_of_ppm

    pixels = bytes(range(48))
    (tmp_path / "a.png").write_bytes(png_of_ppm(b"P6 4 4 255\n" + pixels))
    with Image.open(tmp_path / "a.png") as picture:
        assert picture.tobytes() == pixels and picture.size == (4, 4)
