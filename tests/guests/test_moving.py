"""Pages that look for the next host: what they are told, and what a machine says that is one."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from phaselock.bench.lab.guest_client import GuestClient
from phaselock.guests.access import Access
from tests.support.guest_jam import OpenPage, Scene, entered

PLACES = (("10.0.0.2", 17403), ("fe80::2", 8000), ("fe80::3%eth0", 17403))
GUEST = bytes(range(16))


def test_a_page_is_told_the_next_hosts_and_each_change(on_page: Callable[[Scene], None]) -> None:
    async def scene(page: OpenPage) -> None:
        page.jam.next = PLACES
        client, _, guest_id = await entered(page)
        async with client:
            told = await client.hear("hosts")
            assert told["guest"] == guest_id.hex()
            assert told["hosts"] == [
                {"at": at, "proof": page.access.host_proof(guest_id, at)}
                for at in ("http://10.0.0.2:17403", "http://[fe80::2]:8000")
            ]
            page.jam.next = PLACES[:1]
            assert [one["at"] for one in (await client.hear("hosts"))["hosts"]] == ["http://10.0.0.2:17403"]

    on_page(scene)


def test_a_page_that_is_closed_is_told_the_next_hosts_first(on_page: Callable[[Scene], None]) -> None:
    async def scene(page: OpenPage) -> None:
        client, _, _ = await entered(page)
        async with client:
            page.jam.next = PLACES[:1]
            await page.server.close()
            assert [one["at"] for one in (await client.hear("hosts"))["hosts"]] == ["http://10.0.0.2:17403"]

    on_page(scene)


def test_a_page_may_ask_at_the_ports_of_the_next_hosts(on_page: Callable[[Scene], None]) -> None:
    async def scene(page: OpenPage) -> None:
        page.jam.next = PLACES
        async with await GuestClient.open(page.port) as client:
            answer = await client.request("GET", "/")
        assert " http://*:8000 http://*:17403;" in answer.headers["content-security-policy"]

    on_page(scene)


def test_a_host_proves_itself_to_the_page_of_another_one(on_page: Callable[[Scene], None]) -> None:
    async def scene(page: OpenPage) -> None:
        asker = "http://10.0.0.1:17403"
        async with await GuestClient.open(page.port) as client:
            answer = await client.request("GET", f"/api/host?guest={GUEST.hex()}", {"Origin": asker})
        assert answer.json == {"proof": page.access.host_proof(GUEST, f"http://127.0.0.1:{page.port}")}
        assert answer.headers["access-control-allow-origin"] == asker

    on_page(scene)


def test_a_question_that_was_passed_on_gets_a_proof_of_no_use(on_page: Callable[[Scene], None]) -> None:
    """A machine at the address of a successor asks the host that it is not."""

    async def scene(page: OpenPage) -> None:
        headers = {"Host": "10.0.0.2:17403", "Origin": "http://10.0.0.1:17403"}
        async with await GuestClient.open(page.port, host="10.0.0.2:17403") as client:
            answer = await client.request("GET", f"/api/host?guest={GUEST.hex()}", headers)
        assert answer.json["proof"] != page.access.host_proof(GUEST, "http://10.0.0.2:17403")

    on_page(scene)


@pytest.mark.parametrize(
    ("guest", "origin", "status"),
    [
        (GUEST.hex(), "http://kitchen.local:17403", 200),
        (GUEST.hex(), "http://kitchen", 200),
        (GUEST.hex(), "http://[fe80::1]:17403", 200),
        (GUEST.hex(), "https://10.0.0.1", 403),
        (GUEST.hex(), "http://evil.example", 403),
        (GUEST.hex(), "null", 403),
        (GUEST.hex()[2:], "http://10.0.0.1:17403", 403),
        ("zz", "http://10.0.0.1:17403", 403),
    ],
)
def test_only_a_page_of_a_home_is_answered(
    on_page: Callable[[Scene], None], guest: str, origin: str, status: int
) -> None:
    async def scene(page: OpenPage) -> None:
        async with await GuestClient.open(page.port) as client:
            answer = await client.request("GET", f"/api/host?guest={guest}", {"Origin": origin})
        assert answer.status == status
        assert ("access-control-allow-origin" in answer.headers) == (status == 200)

    on_page(scene)


def test_a_proof_is_for_one_guest_one_address_and_one_secret() -> None:
    access, page = Access(b"s" * 16), "http://10.0.0.2:17403"
    proofs = {
        access.host_proof(GUEST, page),
        access.host_proof(GUEST[::-1], page),
        access.host_proof(GUEST, "http://10.0.0.3:17403"),
        Access(b"t" * 16).host_proof(GUEST, page),
    }
    assert len(proofs) == 4
