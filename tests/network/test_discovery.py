from __future__ import annotations

import asyncio
import errno
import gc
import json
import os
import pathlib
import secrets
import selectors
import shutil
import socket
import subprocess
import sys
import time
import types
from collections.abc import Callable, Coroutine, Iterator, Sequence
from typing import Any

import pytest

from phaselock.errors import PhaseLockError
from phaselock.network import discovery as module
from phaselock.network import multicast as multicast_module
from phaselock.network.discovery import Announcer, Browser, FoundSession, find_sessions
from phaselock.network.service_record import SERVICE_TYPE, txt_record
from phaselock.network.service_table import MAX_SESSIONS
from phaselock.protocol.messages import PROTOCOL_VERSION

ROOT = pathlib.Path(__file__).parent.parent.parent
TIMEOUT_S = 60.0
LOOPBACK = ["127.0.0.1"]
Sessions = tuple[FoundSession, ...]

# The loop of Windows may end before it has released a closed socket whose last packet was just sent. `run` collects it.
if sys.platform == "win32":
    pytestmark = pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")

# -- on the loopback interface, where others may be too: each test looks for sessions of its own -----------------------


@pytest.fixture(scope="session")
def multicast() -> None:
    """Skip the test if multicast does not work on the loopback interface."""
    group, port = "224.0.0.251", 0
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.settimeout(5)
            sock.bind(("", port))
            sock.setsockopt(
                socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, socket.inet_aton(group) + socket.inet_aton("127.0.0.1")
            )
            sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton("127.0.0.1"))
            sock.sendto(b"?", (group, sock.getsockname()[1]))
            sock.recv(1)
    except OSError as error:
        pytest.skip(f"no multicast on the loopback interface: {error}")


def announcer(session_id: bytes, name: str = "Friday", **options: Any) -> Announcer:
    return Announcer(name, "Ada", session_id, 17401, ("192.0.2.7",), interfaces=LOOPBACK, **options)


class Watch:
    """A browser, and the sessions with these ids that it shows."""

    def __init__(self, *session_ids: bytes) -> None:
        self.seen: list[Sessions] = []
        self._ids = {one.hex() for one in session_ids}
        self._more = asyncio.Event()
        self._browser = Browser(LOOPBACK)

    async def __aenter__(self) -> Watch:
        await self._browser.start(self._on_change)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._browser.close()

    async def until(self, fits: Callable[[Sessions], bool]) -> Sessions:
        async with asyncio.timeout(TIMEOUT_S):
            while not (self.seen and fits(self.seen[-1])):
                self._more.clear()
                await self._more.wait()
        return self.seen[-1]

    def _on_change(self, sessions: Sessions) -> None:
        self.seen.append(tuple(one for one in sessions if one.session_id in self._ids))
        self._more.set()


def run(work: Coroutine[Any, Any, None]) -> None:
    """Run the coroutine; afterwards no task may be left."""

    async def supervised() -> None:
        await work
        assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(supervised(), debug=True)
    gc.collect()


@pytest.mark.usefixtures("multicast")
def test_a_session_is_found_changes_and_goes() -> None:
    async def work() -> None:
        mine = secrets.token_bytes(16)
        async with Watch(mine) as watch:
            host = announcer(mine)
            await host.start()
            found = await watch.until(bool)
            assert found == (FoundSession("Friday", "Ada", 0, 5, ("192.0.2.7",), 17401, mine.hex(), PROTOCOL_VERSION),)
            for peers in [*range(1, 6), 0] * 20:
                host.set_peers(peers)
            host.set_peers(3)
            await watch.until(lambda sessions: sessions[0].peers == 3)
            await host.close()
            await watch.until(lambda sessions: not sessions)

    run(work())


@pytest.mark.slow
@pytest.mark.usefixtures("multicast")
def test_a_record_that_returns_to_an_old_value_is_shown() -> None:
    """A record returns to an old value while the cache still holds the expired record with this value."""

    async def work() -> None:
        mine = secrets.token_bytes(16)
        host = announcer(mine)
        async with Watch(mine) as watch:
            await host.start()
            for peers in (0, 1, 0, 1, 0):
                host.set_peers(peers)
                await watch.until(lambda sessions, peers=peers: bool(sessions) and sessions[0].peers == peers)
            assert all(watch.seen[watch.seen.index(found) :] for found in watch.seen if found)
        await host.close()

    run(work())


@pytest.mark.usefixtures("multicast")
def test_two_sessions_of_one_name() -> None:
    async def work() -> None:
        ids = sorted(secrets.token_bytes(16) for _ in range(2))
        hosts = [announcer(one) for one in ids]
        for host in hosts:
            await host.start()
        try:
            found = await find_sessions(TIMEOUT_S, lambda all_: {i.hex() for i in ids} <= ids_of(all_), LOOPBACK)
            mine = [one.session_id for one in found if one.session_id in {i.hex() for i in ids}]
            assert mine == [one.hex() for one in ids]
        finally:
            await asyncio.gather(*(host.close() for host in hosts))

    run(work())


def ids_of(sessions: Sessions) -> set[str]:
    return {one.session_id for one in sessions}


@pytest.mark.slow
@pytest.mark.usefixtures("multicast")
def test_addresses_that_come_and_go(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "RECHECK_EVERY_S", 0.1)

    async def work() -> None:
        mine = secrets.token_bytes(16)
        now: tuple[str, ...] = ()
        host = Announcer("Friday", "Ada", mine, 1, now, interfaces=LOOPBACK, refresh=lambda: now)
        async with Watch(mine) as watch:
            await host.start()
            now = ("192.0.2.7",)
            assert (await watch.until(bool))[0].addresses == now
            now = ("192.0.2.8", "2001:db8::8")
            await watch.until(lambda sessions: bool(sessions) and set(sessions[0].addresses) == set(now))
            now = ()
            await watch.until(lambda sessions: not sessions)
            now = ("192.0.2.9",)
            await watch.until(lambda sessions: bool(sessions) and sessions[0].addresses == now)
        await host.close()

    run(work())


@pytest.mark.usefixtures("multicast")
def test_the_list_of_sessions_is_bounded() -> None:
    from zeroconf import ServiceInfo
    from zeroconf.asyncio import AsyncZeroconf

    def service(number: int, text: bytes, port: int = 17401) -> ServiceInfo:
        name = f"{mark}{number:03}.{SERVICE_TYPE}"
        return ServiceInfo(SERVICE_TYPE, name, port, properties=text, server="eve.local.", addresses=[b"\n\0\0\1"])

    mark = secrets.token_hex(8)

    async def work() -> None:
        enemy = AsyncZeroconf(interfaces=LOOPBACK)
        junk = [b"", b"\xff", b"\x05name=", txt_record("", "", 0, 0, b"", 0), b"\x04\xff\xfe=\x00"]
        services = [service(n, junk[n % len(junk)]) for n in range(20)]
        services.append(service(99, txt_record("Eve", "Eve", 0, 5, secrets.token_bytes(16), 1), port=0))
        for n in range(100, 160):
            services.append(service(n, txt_record(mark, "Eve", 0, 5, secrets.token_bytes(16), 1)))
        try:
            for one in services:
                await enemy.async_register_service(one, cooperating_responders=True)
            browser = Browser(LOOPBACK)
            full = asyncio.Event()
            most = 0

            def on_change(sessions: Sessions) -> None:
                nonlocal most
                most = max(most, len(sessions))
                assert "Eve" not in {one.session_name for one in sessions}
                if len(sessions) == MAX_SESSIONS:
                    full.set()

            await browser.start(on_change)
            async with asyncio.timeout(TIMEOUT_S):
                await full.wait()
            await asyncio.sleep(0.5)  # further events would come in this time
            await browser.close()
            assert most == MAX_SESSIONS
        finally:
            await enemy.async_close()

    asyncio.run(work())


@pytest.mark.usefixtures("multicast")
@pytest.mark.parametrize("turns", [0, 2, 13])
def test_an_end_in_the_middle_of_the_beginning(turns: int) -> None:
    async def work() -> None:
        host = announcer(secrets.token_bytes(16))
        browser = Browser(LOOPBACK)
        starting = [asyncio.create_task(host.start()), asyncio.create_task(browser.start(lambda sessions: None))]
        for _ in range(turns):
            await asyncio.sleep(0)
        for task in starting:
            task.cancel()
        await asyncio.wait(starting)
        await host.close()
        await browser.close()
        await host.close()  # a second call has no effect

    run(work())


def test_without_a_usable_address_nothing_is_started(monkeypatch: pytest.MonkeyPatch) -> None:
    async def never(speak_from: Sequence[str]) -> None:
        raise AssertionError("opened")

    async def work() -> None:
        host = Announcer("Friday", "Ada", secrets.token_bytes(16), 17401, ())
        await host.start()
        host.set_peers(1)
        await host.close()

    monkeypatch.setattr(module, "open_multicast", never)
    run(work())


@pytest.mark.slow
@pytest.mark.parametrize(
    ("error", "platform", "reason"),
    [
        (OSError(errno.EADDRINUSE, "Address already in use"), "", "another program keeps port 5353 for itself"),
        (PermissionError(errno.EPERM, "Operation not permitted"), "", "it is not permitted on this machine"),
        (PermissionError(errno.EACCES, "Permission denied"), "linux", "it is not permitted on this machine"),
        (PermissionError(errno.EACCES, "Permission denied"), "win32", "another program keeps port 5353 for itself"),
        (OSError(errno.ENODEV, "No such device"), "", "No such device"),
        (RuntimeError("No adapter found"), "", "No adapter found"),
    ],
)
def test_the_reason_for_a_failure_is_reported(
    error: Exception, platform: str, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def blocked(**_: object) -> None:
        raise error

    monkeypatch.setattr("zeroconf.asyncio.AsyncZeroconf", blocked)
    monkeypatch.setattr(multicast_module, "sys", types.SimpleNamespace(platform=platform))
    with pytest.raises(PhaseLockError) as searching:
        asyncio.run(find_sessions(1, interfaces=LOOPBACK))
    assert str(searching.value) == (
        f"Jams cannot be searched for on this network ({reason}). "
        "Joining by address still works: phaselock join ADDRESS"
    )

    async def announce() -> None:
        host = announcer(secrets.token_bytes(16))
        with pytest.raises(PhaseLockError) as announcing:
            await host.start()
        assert str(announcing.value) == f"The jam cannot be announced on this network ({reason})."
        await host.close()

    run(announce())


def test_searching_without_a_network_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("phaselock.network.discovery.adapters", lambda: ())
    with pytest.raises(PhaseLockError, match="this machine is in no network"):
        asyncio.run(find_sessions(1))


def test_zeroconf_is_loaded_only_when_it_is_needed() -> None:
    code = "import sys, phaselock.network.discovery as d; d.usable_addresses('127.0.0.1'); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert not {"zeroconf", "ifaddr"} & set(done.stdout.split())


# -- machines of their own, joined by a cable --------------------------------------------------------------------------


class Talk:
    """A process that prints one JSON value per line."""

    def __init__(self, *command: str) -> None:
        self.process = subprocess.Popen(
            command,
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            encoding="utf-8",
        )
        self.last: Any = None
        self._unread = b""

    def say(self, line: str) -> None:
        assert self.process.stdin
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def until(self, fits: Callable[[Any], bool], patience_s: float = TIMEOUT_S) -> Any:
        """Wait for the first value that satisfies the condition."""
        until_s = time.monotonic() + patience_s
        while line := self._line(until_s):
            self.last = json.loads(line)
            if fits(self.last):
                return self.last
        pytest.fail(f"the last that was told: {self.last}")

    def _line(self, until_s: float) -> bytes:
        """The next line; empty if none comes in time. It is not read by way of `stdout`: that would take further lines
        into its buffer, where no selector sees them."""
        assert self.process.stdout
        with selectors.DefaultSelector() as selector:
            selector.register(self.process.stdout, selectors.EVENT_READ)
            while b"\n" not in self._unread:
                if not selector.select(max(0.0, until_s - time.monotonic())):
                    return b""
                chunk = os.read(self.process.stdout.fileno(), 1 << 16)
                if not chunk:
                    return b""
                self._unread += chunk
        line, _, self._unread = self._unread.partition(b"\n")
        return line

    def end(self) -> None:
        """End the process normally; it must exit without an error."""
        assert self.process.communicate(timeout=TIMEOUT_S)[1] == ""
        assert self.process.returncode == 0

    def close(self) -> None:
        self.process.kill()
        self.process.communicate()


@pytest.mark.skipif(sys.platform == "win32", reason="selectors of Windows do not take pipes")
def test_values_that_are_told_at_once_are_all_read() -> None:
    talk = Talk(sys.executable, "-c", r"import os; os.write(1, b'1\n2\n3\n'); input()")
    try:
        assert [talk.until(lambda told, wanted=wanted: told == wanted) for wanted in (1, 2, 3)] == [1, 2, 3]
    finally:
        talk.close()


def ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True)


@pytest.fixture
def cable() -> Iterator[tuple[str, str]]:
    """The names of two simulated computers with a cable between them and the addresses 192.0.2.1 and .2."""
    if sys.platform != "linux" or not shutil.which("ip"):
        pytest.skip("network namespaces need Linux and iproute2")
    ends = f"pld{os.getpid()}a", f"pld{os.getpid()}b"
    made = []
    try:
        for end in ends:
            try:
                ip("netns", "add", end)
            except subprocess.CalledProcessError:
                pytest.skip("this user may not make network namespaces")
            made.append(end)
        ip(*f"link add eth0 netns {ends[0]} type veth peer name eth0 netns {ends[1]}".split())
        for number, end in enumerate(ends, 1):
            ip("-n", end, "link", "set", "lo", "up")
            ip("-n", end, "link", "set", "eth0", "up")
            ip("-n", end, "addr", "add", f"192.0.2.{number}/24", "dev", "eth0")
        yield ends
    finally:
        for end in made:
            ip("netns", "del", end)


@pytest.fixture
def talk(cable: tuple[str, str]) -> Iterator[Callable[..., Talk]]:
    """Starts processes: `talk(0, "announce", ...)` on the first computer."""
    running: list[Talk] = []

    def start(end: int, *arguments: str) -> Talk:
        program = (sys.executable, "-W", "error", "-m", "tests.support.mdns")
        running.append(Talk("ip", "netns", "exec", cable[end], *program, *arguments))
        return running[-1]

    yield start
    for one in running:
        one.close()


def names(sessions: list[dict[str, Any]]) -> list[str]:
    return [one["session_name"] for one in sessions]


FIRST, SECOND = "01" * 16, "02" * 16


@pytest.mark.slow
def test_from_one_machine_to_another(talk: Callable[..., Talk]) -> None:
    host = talk(0, "announce", "Friday", FIRST)
    host.until(lambda told: told == "up")
    browser = talk(1, "browse")
    (found,) = browser.until(bool)
    assert (found["session_name"], found["addresses"], found["port"]) == ("Friday", ["192.0.2.1"], 17401)
    host.say("2")
    assert browser.until(lambda sessions: sessions[0]["peers"] == 2)
    other = talk(0, "announce", "Friday", SECOND)
    both = browser.until(lambda sessions: len(sessions) == 2)
    assert [(one["session_name"], one["session_id"]) for one in both] == [("Friday", FIRST), ("Friday", SECOND)]
    host.end()
    browser.until(lambda sessions: [one["session_id"] for one in sessions] == [SECOND], patience_s=10)
    other.end()
    browser.until(lambda sessions: sessions == [], patience_s=10)
    browser.end()


@pytest.mark.slow
def test_another_machine_neither_hides_a_session_nor_takes_its_place(
    talk: Callable[..., Talk], cable: tuple[str, str]
) -> None:
    ip("-n", cable[0], "addr", "add", "192.0.2.66/24", "dev", "eth0")
    host = talk(0, "announce", "Friday", FIRST)
    host.until(lambda told: told == "up")
    browser = talk(1, "browse")
    browser.until(bool)
    enemy = talk(0, "disturb", "192.0.2.66", "Friday", FIRST)
    enemy.until(lambda told: told == "up")
    lists = []
    browser.until(lambda sessions: "False" in names(sessions))
    enemy.until(lambda told: told == "over")
    host.say("3")
    browser.until(lambda sessions: lists.append(sessions) or any(one["peers"] == 3 for one in sessions))
    for sessions in lists:
        (true,) = (one for one in sessions if one["session_id"] == FIRST)
        assert "192.0.2.1" in true["addresses"] and len(sessions) <= 3
    host.end()
    browser.until(lambda sessions: "Friday" not in names(sessions))
    browser.end()


@pytest.mark.slow
def test_a_host_that_crashed_is_forgotten(talk: Callable[..., Talk]) -> None:
    host = talk(0, "announce", "Friday", FIRST)
    other = talk(0, "announce", "Saturday", SECOND)
    browser = talk(1, "browse")
    browser.until(lambda sessions: names(sessions) == ["Friday", "Saturday"])
    host.close()
    browser.until(lambda sessions: names(sessions) == ["Saturday"], module.TTL_S + 30)
    # The other session stays: its host is queried before its records expire.
    with pytest.raises(pytest.fail.Exception):
        browser.until(lambda sessions: names(sessions) != ["Saturday"], module.TTL_S + 10)
    other.end()
    browser.until(lambda sessions: sessions == [])
    browser.end()


@pytest.mark.slow
def test_a_network_that_comes_later(talk: Callable[..., Talk], cable: tuple[str, str]) -> None:
    ip("-n", cable[0], "link", "set", "eth0", "down")
    ip("-n", cable[0], "addr", "flush", "dev", "eth0")
    host = talk(0, "announce", "Friday", FIRST)
    host.until(lambda told: told == "up")
    browser = talk(1, "browse")
    browser.until(lambda sessions: sessions == [])
    ip("-n", cable[0], "link", "set", "eth0", "up")
    ip("-n", cable[0], "addr", "add", "192.0.2.9/24", "dev", "eth0")
    browser.until(lambda sessions: bool(sessions) and sessions[0]["addresses"] == ["192.0.2.9"])
    ip("-n", cable[0], "addr", "add", "198.51.100.9/24", "dev", "eth0")
    ip("-n", cable[0], "addr", "del", "192.0.2.9/24", "dev", "eth0")
    ip("-n", cable[0], "addr", "add", "192.0.2.10/24", "dev", "eth0")
    browser.until(lambda sessions: sessions[0]["addresses"] == ["192.0.2.10", "198.51.100.9"])
    host.end()
    browser.until(lambda sessions: sessions == [])
    browser.end()


@pytest.mark.slow
def test_only_link_local_addresses(talk: Callable[..., Talk], cable: tuple[str, str]) -> None:
    for end in cable:
        ip("-n", end, "addr", "flush", "dev", "eth0", "scope", "global")
    deadline_s = time.monotonic() + TIMEOUT_S
    while "tentative" in "".join(shown(end) for end in cable) and time.monotonic() < deadline_s:
        time.sleep(0.1)
    if "fe80" not in shown(cable[0]):
        pytest.skip("no IPv6 here")
    host = talk(0, "announce", "Friday", FIRST)
    host.until(lambda told: told == "up")
    browser = talk(1, "browse")
    (found,) = browser.until(bool)
    (address,) = found["addresses"]
    assert address.startswith("fe80:") and "%" in address
    host.end()
    browser.end()


def shown(end: str) -> str:
    return subprocess.run(["ip", "-n", end, "addr", "show", "eth0"], capture_output=True, text=True).stdout


@pytest.mark.slow
def test_a_port_that_another_program_uses(talk: Callable[..., Talk], cable: tuple[str, str]) -> None:
    code = "import socket; s = socket.socket(type=socket.SOCK_DGRAM); s.bind(('', 5353)); print(flush=True); input()"
    keeper = subprocess.Popen(
        ["ip", "netns", "exec", cable[1], sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    try:
        assert keeper.stdout and keeper.stdout.readline()
        told = talk(1, "browse").until(bool)
        assert told["error"].startswith("Jams cannot be searched for on this network (another program keeps")
        told = talk(1, "announce", "Friday", FIRST).until(bool)
        assert told["error"].startswith("The jam cannot be announced on this network (another program keeps")
    finally:
        keeper.communicate(b"\n")


# -- failures ----------------------------------------------------------------------------------------------------------


def test_no_failure_ends_the_watch_of_the_addresses(monkeypatch: pytest.MonkeyPatch, bugs: list[str]) -> None:
    monkeypatch.setattr(module, "RECHECK_EVERY_S", 0.0)
    found: list[str] = []

    async def story() -> None:
        again = asyncio.Event()
        loop = asyncio.get_running_loop()

        def refresh() -> tuple[str, ...]:
            found.append("asked")
            if len(found) == 1:
                raise ValueError("odd")
            loop.call_soon_threadsafe(again.set)
            return ()

        one = Announcer("Friday", "Ada", bytes(16), 17401, (), refresh=refresh)
        await one.start()
        async with asyncio.timeout(TIMEOUT_S):
            await again.wait()
        await one.close()

    asyncio.run(story())
    assert bugs == ["looking at the addresses failed: ValueError('odd')"]


def test_no_failure_ends_the_search(monkeypatch: pytest.MonkeyPatch, bugs: list[str]) -> None:
    monkeypatch.setattr(module, "POLL_TABLE_S", 0.0)
    monkeypatch.setattr(module, "MIN_POLL_INTERVAL_S", 0.0)
    rounds = 0

    async def story() -> None:
        again = asyncio.Event()
        browser = Browser(LOOPBACK)

        def update(now_s: float) -> None:
            nonlocal rounds
            rounds += 1
            if rounds == 1:
                raise ValueError("odd")
            again.set()

        monkeypatch.setattr(browser, "_update_list", update)
        polling = asyncio.create_task(browser._poll_table())
        async with asyncio.timeout(TIMEOUT_S):
            await again.wait()
        polling.cancel()
        await asyncio.wait([polling])

    asyncio.run(story())
    assert bugs == ["the list of sessions failed: ValueError('odd')"]


@pytest.mark.slow
@pytest.mark.usefixtures("multicast")
def test_short_searches_one_after_the_other_all_find_the_session() -> None:
    """A host does not repeat within a second what it has told to all. An answer to this machine alone may reach another
    socket of the same port."""

    async def work() -> None:
        mine = secrets.token_bytes(16)
        host = announcer(mine)
        await host.start()
        for _ in range(4):
            found = await find_sessions(1.5, interfaces=LOOPBACK)
            assert mine.hex() in [one.session_id for one in found]
        await host.close()

    run(work())
