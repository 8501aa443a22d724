"""Real windows and a headless program in one session: real files and sockets, null sound output."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import pathlib
import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from phaselock.app import guests
from phaselock.bench.lab.guest_client import GuestClient
from phaselock.model.party import SMALL_PARTY
from tests.support.machines import PREFIX, Machines, unavailable
from tests.support.mp3 import packets
from tests.support.programs import Program
from tests.support.programs import playing as sounds
from tests.support.window_driver import Remote, action, button, click, drag, forget, go, press, reads, row, until

pytestmark = [pytest.mark.gui, pytest.mark.slow]
pytest.importorskip("tkinter", reason="Python was built without tkinter")

RATE_HZ = 44100


@pytest.fixture
def stack() -> Iterator[contextlib.ExitStack]:
    with contextlib.ExitStack() as stack:
        yield stack


@pytest.fixture
def window(
    display: str,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: pathlib.Path,
    capfd: pytest.CaptureFixture[str],
    stack: contextlib.ExitStack,
) -> Iterator[Any]:
    """The real window on the loopback interface with the null output; it must end all its threads."""
    monkeypatch.setenv("PHASELOCK_SCALE", "1")
    monkeypatch.setenv("PHASELOCK_HOME", str(tmp_path / "home"))
    from phaselock.app.window import WindowProgram
    from phaselock.ui.window import Window

    program = WindowProgram("null")
    program.bind = "127.0.0.1"
    window: Any = Window(program)
    raised: list[BaseException] = []
    window.report_callback_exception = lambda _kind, value, _trace: raised.append(value)
    window.geometry("1100x720+0+0")
    window.start()
    window.update()
    window.focus_force()
    yield window
    if not window._closing:
        window.end()
    assert not [one for one in threading.enumerate() if one.name == "network"]
    stack.close()
    forget(window)
    if raised:
        raise raised[0]
    said = capfd.readouterr().err
    assert "invalid command name" not in said and "Traceback" not in said, said


@pytest.fixture
def remote(display: str, tmp_path: pathlib.Path, stack: contextlib.ExitStack) -> Callable[..., Remote]:
    """Open a window in a child process."""

    def open_remote(name: str, **more: Any) -> Remote:
        found = Remote(tmp_path / name, **more)
        stack.callback(found.kill)
        return found

    return open_remote


def songs(folder: pathlib.Path, *names: str) -> list[str]:
    """MP3 files of about a minute, each of another length."""
    folder.mkdir(exist_ok=True)
    for number, name in enumerate(names):
        (folder / f"{name}.mp3").write_bytes(b"".join(packets(RATE_HZ, 2, (50 + 7 * number + len(name)) * RATE_HZ)))
    return [str(folder / f"{name}.mp3") for name in names]


def free_ports() -> tuple[int, int]:
    """A free TCP port and a free UDP port."""
    with socket.create_server(("127.0.0.1", 0)) as tcp, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        udp.bind(("127.0.0.1", 0))
        return int(tcp.getsockname()[1]), int(udp.getsockname()[1])


def create(window: Any, ports: tuple[int, int]) -> None:
    """Create a session with the form."""
    click(button(window, "Create jam"))
    form = window.screen
    form.session_name.set("Friday")
    form.display_name.set("Ana")
    click(form.fold)
    form.port.set(str(ports[0]))
    form.clock_port.set(str(ports[1]))
    click(button(window, "Create jam"))
    until(window, lambda: screen(window) == "HostScreen")


def join(there: Remote, name: str, port: int) -> None:
    """Join a session by its address."""
    there.do("click", "Join jam")
    there.do("enter", "display_name", name)
    there.do("enter", "address", f"127.0.0.1:{port}")
    there.do("click", "Connect")
    there.wait_for("screen", "PeerScreen")


def screen(window: Any) -> str:
    return type(window.screen).__name__


def snapshot(window: Any) -> Any:
    return window.program.state().snapshot


def queued(window: Any) -> list[str]:
    return [one.title for one in window.screen.queue.rows]


def end_for_everybody(window: Any) -> Any:
    """The button, in the question that is open. As long as no peer may be the host, it is the main one."""
    return getattr(window._question, "end", window._question.act)


def test_a_session_of_two_windows_and_a_headless_peer(
    window: Any, remote: Callable[..., Remote], stack: contextlib.ExitStack, tmp_path: pathlib.Path
) -> None:
    first, second, third = songs(tmp_path / "music", "first", "second", "third")
    (wish,) = songs(tmp_path / "theirs", "wish")
    ports = free_ports()
    create(window, ports)
    assert reads(window, f"127.0.0.1:{ports[0]}") and reads(window, "Nobody here yet.")
    ben = remote("ben")
    join(ben, "Ben", ports[0])
    ben.wait_until("reads", "The host has not added any songs yet.")
    cleo = Program("join", f"127.0.0.1:{ports[0]}", "--as", "Cleo", "--backend", "null", home=tmp_path / "cleo")
    stack.callback(cleo.close)
    until(window, lambda: [one.title for one in window.screen.peers.rows] == ["Ben", "Cleo"])
    until(window, lambda: "Cleo has joined." in window.toasts.texts)  # a busy window shows events later than views

    window.ask_files = lambda: (first,)
    click(button(window, "Add songs"))
    until(window, lambda: queued(window) == ["first"])
    (tmp_path / "bad.mp3").write_bytes(b"no music" * 1000)
    window.drop([str(tmp_path / "bad.mp3")])
    until(window, lambda: "Invalid or corrupted MP3 file. bad.mp3 was not added." in window.toasts.texts)
    window.drop([second, third])
    until(window, lambda: queued(window) == ["first", "second", "third"])
    until(window, lambda: window.screen.transport.play.enabled and all(peer.ready for peer in snapshot(window).peers))
    ben.wait_for("queue", ["first", "second", "third"])

    press(window, "<Key-space>")
    until(window, lambda: reads(window.screen, "All 3 speakers within "))
    ben.wait_until("reads", "This speaker is within ")
    cleo.wait_for("sync", sounds)
    until(window, lambda: window.title() == "first · PhaseLock")
    assert ben.do("title") == "first · PhaseLock"
    until(window, lambda: window.screen.playing.seekbar._bars and window.screen.playing.spectrum.bbox("all"))

    disc = window.screen.transport.play
    click(disc)
    until(window, lambda: disc._tooltip == "Resume")
    ben.wait_for("stopped", True)
    cleo.wait_for("paused")
    press(window, "<Key-space>")
    until(window, lambda: disc._tooltip == "Pause")
    ben.wait_for("stopped", False)

    bar = window.screen.playing.seekbar
    drag(bar, (30, 15), (bar.winfo_width() // 2, 15))
    sought_s = cleo.wait_for("seeked")["position_s"]
    assert sought_s == pytest.approx(55 / 2, abs=0.5)
    ben.wait_until("position_s", true=lambda at_s: at_s >= sought_s)
    until(window, lambda: window.screen.playing.seekbar.times[0] >= "0:27")

    rows = window.screen.queue
    drag(rows, row(rows, 2), (90, 60))
    until(window, lambda: queued(window) == ["first", "third", "second"])
    ben.wait_for("queue", ["first", "third", "second"])

    ben.do("choose_song", wish)
    ben.do("click", "Request song")
    until(window, lambda: len(window.screen.requests.rows) == 1)
    assert reads(window, "asked by Ben")
    click(window.screen.requests, *action(window.screen.requests, 0, "accept"))
    until(window, lambda: queued(window) == ["first", "third", "second", "wish"])
    ben.wait_until("reads", "in the queue")

    click(button(window, "Next"))
    until(window, lambda: window.title() == "third · PhaseLock")
    ben.wait_for("title", "third · PhaseLock")
    click(rows, *action(rows, 2, "remove"))
    ben.wait_for("queue", ["first", "third", "wish"])

    click(button(window, "Details"))
    until(window, lambda: reads(window.overlay, "Cleo") and reads(window.overlay, "All 3 speakers within "))
    press(window, "<Key-Escape>")
    click(button(window.screen, "End jam"))
    assert window.program.state() is not None
    click(end_for_everybody(window))
    until(window, lambda: screen(window) == "HomeScreen")
    ben.wait_for("screen", "HomeScreen")
    ben.wait_for("toasts", ["Session ended."])
    assert cleo.wait_for("session_end") and cleo.end() == (0, "")

    create(window, ports)
    join(ben, "Ben", ports[0])
    until(window, lambda: len(window.screen.peers.rows) == 1)
    window.close()
    assert screen(window) == "HostScreen"
    end_for_everybody(window).invoke()
    assert not [one for one in threading.enumerate() if one.name == "network"]
    ben.wait_for("screen", "HomeScreen")
    ben.do("close")
    assert ben.end() == (0, "[]", "")


def headless_host(stack: contextlib.ExitStack, home: pathlib.Path, *arguments: str) -> tuple[Program, int]:
    """A host without a window, and its port."""
    ports = "--bind", "127.0.0.1", "--port", "0", "--clock-port", "0"
    names = "--session", "Friday", "--as", "Hana", "--backend", "null"
    host = Program("host", *arguments, *names, *ports, home=home)
    stack.callback(host.close)
    return host, host.wait_for("session")["port"]


def test_a_host_that_dies_and_a_peer_that_leaves(
    window: Any, stack: contextlib.ExitStack, tmp_path: pathlib.Path
) -> None:
    hana, port = headless_host(stack, tmp_path / "hana", "--no-succession")
    window.go_browse()
    window.screen.display_name.set("Ben")
    window.screen.address.set(f"127.0.0.1:{port}")
    window.screen.submit()
    until(window, lambda: screen(window) == "PeerScreen")
    click(button(window.screen, "Leave jam"))
    click(window._question.act)
    until(window, lambda: screen(window) == "HomeScreen")
    assert hana.wait_for("peer_left")["name"] == "Ben"

    window.program.join(f"127.0.0.1:{port}", "Ben")
    until(window, lambda: screen(window) == "PeerScreen")
    hana.process.kill()
    until(window, lambda: screen(window) == "HomeScreen")
    assert reads(window, "Host disconnected — session ended.")
    click(button(window, "Rejoin"))
    until(window, lambda: reads(window, "Cannot reach Friday: no jam is open there."))


def test_a_window_becomes_the_host_and_hands_over_again(
    window: Any, stack: contextlib.ExitStack, tmp_path: pathlib.Path
) -> None:
    song = tmp_path / "long.mp3"
    song.write_bytes(b"".join(packets(RATE_HZ, 2, 90 * RATE_HZ)))
    hana, port = headless_host(stack, tmp_path / "hana", str(song), "--wait-peers", "2", "--play")
    window.program.join(f"127.0.0.1:{port}", "Ben")
    until(window, lambda: screen(window) == "PeerScreen")
    place = f"127.0.0.1:{port}", "--as", "Sam", "--backend", "null"
    sam = Program("join", *place, home=tmp_path / "sam")
    stack.callback(sam.close)
    sam.wait_for("sync", sounds)
    hana.wait_until("successors", lambda event: event["names"] == ["Ben", "Sam"])
    hana.process.kill()
    until(window, lambda: screen(window) == "HostScreen")
    assert "The host is gone. You are the host now, and the music plays on." in window.toasts.texts
    sam.wait_for("host_changed", lambda event: event["name"] == "Ben")
    until(window, lambda: reads(window.screen, "Sam"))
    until(window, lambda: window.program.state().snapshot.successors == ("Sam",))
    assert window.program.state().own.playing

    click(button(window.screen, "End jam"))
    assert reads(window._question, "Sam becomes the host, and the music plays on. You keep listening.")
    click(window._question.act)
    until(window, lambda: screen(window) == "PeerScreen")
    assert sam.wait_for("host_changed")["you"] is True
    sam.wait_for("peer_joined", lambda event: event["name"] == "Ben")
    assert window._question is None and window.program.state().own.playing
    underruns = {event["underruns"] for event in sam.told if event["event"] == "sync"}
    assert underruns == {0}
    sam.say("quit")
    until(window, lambda: screen(window) == "HomeScreen")


def test_a_jam_with_a_code_is_joined_by_its_code(window: Any, remote: Callable[..., Remote]) -> None:
    port, clock_port = free_ports()
    hana = remote("hana")
    hana.do("host", "Friday", "Hana", port, clock_port, "482913")
    hana.wait_for("screen", "HostScreen")
    window.go_browse()
    window.screen.display_name.set("Ben")
    window.screen.address.set(f"127.0.0.1:{port}")
    window.screen.submit()
    until(window, lambda: window._question is not None)
    for code, words in (("482914", "The code is wrong."), ("482 913", "")):
        window._question.code.set(code)
        window._question.submit()
        until(window, lambda words=words: reads(window._question, words) if words else screen(window) == "PeerScreen")
    assert window.program.state().host_words and window._question is None
    click(button(window.screen, "Leave jam"))
    click(window._question.act)
    until(window, lambda: screen(window) == "HomeScreen")
    window.program.join(f"127.0.0.1:{port}", "Ben")  # the code is known
    until(window, lambda: screen(window) == "PeerScreen")
    hana.do("close")
    hana.do("agree")


def test_a_friend_elsewhere_joins_by_the_line_and_stays_when_it_is_withdrawn(
    window: Any, remote: Callable[..., Remote]
) -> None:
    create(window, free_ports())
    click(window.screen.share)
    click(window.overlay.tabs.buttons[2])
    click(button(window.overlay, "Invite a friend who is not here"))
    until(window, lambda: reads(window.overlay, "Copy invitation"))
    click(button(window.overlay, "Copy invitation"))
    line = window.clipboard_get()
    friend = remote("friend")
    friend.do("paste", f"Come and listen: {line}")
    friend.wait_for("screen", "PeerScreen")
    until(window, lambda: len(snapshot(window).peers) == 1)
    click(button(window.overlay, "Withdraw"))
    until(window, lambda: reads(window.overlay, "The invitation is withdrawn."))
    late = remote("late")
    late.do("paste", line)
    late.wait_until("reads", "This invitation was withdrawn. Ask the host for a new one.")
    assert len(snapshot(window).peers) == 1 and friend.do("screen") == "PeerScreen"
    friend.do("close")
    friend.do("agree")
    until(window, lambda: snapshot(window).invitation is None)
    click(button(window.overlay, "Invite a friend who is not here"))
    until(window, lambda: reads(window.overlay, "Copy invitation"))
    late.do("paste", line)  # the new invitation has another code
    late.wait_until("reads", "This invitation is wrong or no longer valid. Ask the host for a new one.")
    late.do("paste", snapshot(window).invitation.text)
    late.wait_for("screen", "PeerScreen")


def test_a_logout_of_the_host_is_a_goodbye(window: Any, remote: Callable[..., Remote]) -> None:
    port, clock_port = free_ports()
    hana = remote("hana")
    hana.do("host", "Friday", "Hana", port, clock_port)
    hana.wait_for("screen", "HostScreen")
    window.program.join(f"127.0.0.1:{port}", "Ben")
    until(window, lambda: screen(window) == "PeerScreen")
    hana.do("log_out")
    until(window, lambda: screen(window) == "HomeScreen")
    assert list(window.toasts.texts) == ["Session ended."]
    assert hana.end() == (0, "[]", "")


def test_the_form_says_why_a_session_cannot_be_opened(window: Any) -> None:
    port, clock_port = free_ports()
    with socket.create_server(("127.0.0.1", port)):
        window.go_create()
        window.screen.display_name.set("Ana")
        window.screen.port.set(str(port))
        window.screen.clock_port.set(str(clock_port))
        window.screen.submit()
        words = f"Port {port} is in use. Please close the other application or change the port."
        until(window, lambda: reads(window, words))
    click(button(window, "Create jam"))
    until(window, lambda: screen(window) == "HostScreen")
    window.program.leave()
    until(window, lambda: screen(window) == "HomeScreen")
    window.go_browse()
    window.screen.display_name.set("Ana")
    window.screen.address.set(f"127.0.0.1:{port}")
    window.screen.submit()
    until(window, lambda: reads(window, "Cannot reach 127.0.0.1"))
    assert window.screen.button.enabled


def test_a_phone_comes_in_by_the_picture_and_is_removed(
    window: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        monkeypatch.setattr(guests, "DEFAULT_GUEST_PORT", port)
        create(window, free_ports())
        go(window, "share")
        click(window.overlay.tabs.buttons[1])
        page = window.overlay.page
        click(page.switch)
        until(window, lambda: reads(window, f"Port {port} is in use."))
    click(page.switch)
    until(window, lambda: reads(window, f"http://127.0.0.1:{port}"))
    secret = window.program.state().guest_page.link.rpartition("#")[2]
    click(page.rules)
    click(window.overlay.presets.buttons[1])
    until(window, lambda: snapshot(window).rules == SMALL_PARTY)
    window.ask_folder = lambda: str(tmp_path / "calm")
    songs(tmp_path / "calm", "calm")
    window.overlay._choose_folder()
    until(window, lambda: reads(window.overlay, "calm") and queued(window) == ["calm"])
    window.close_overlay()

    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        phone = pool.submit(asyncio.run, is_removed(port, secret))
        until(window, lambda: [row.title for row in window.screen.guests.rows] == ["Mia"])
        assert not window.screen.peers.rows
        window.screen._guests.list._on_action(window.screen.guests.rows[0].key, "remove")
        window.update()
        click(button(window, "Remove"))
        until(window, phone.done)
        assert phone.result() == ("removed", "removed")
    until(window, lambda: reads(window, "Removed: Mia"))
    click(window.screen.let_in)
    until(window, lambda: not snapshot(window).removed_guests)
    window.program.show_guest_page(False)
    until(window, lambda: not window.program.state().guest_page.link)


async def is_removed(port: int, secret: str) -> tuple[str, str]:
    """A guest who stays until the host removes it, and then tries to come in again. What it is told."""
    async with await GuestClient.open(port) as phone:
        entered = await phone.enter(secret=secret)
        welcome = await phone.hello(entered.json["token"], "Mia")
        assert welcome["type"] == "welcome", welcome
        told = (await phone.hear("refused"))["error"]
    async with await GuestClient.open(port) as phone:
        again = await phone.enter(secret=secret, guest=entered.json["token"])
        return told, again.json["error"]


def test_a_jam_is_found_and_joined_with_a_click(remote: Callable[..., Remote], tmp_path: pathlib.Path) -> None:
    if reason := unavailable():
        pytest.skip(reason)
    with Machines(tmp_path, "Hana", "Ben"):
        hana, ben = (
            remote(name, prefix=("ip", "netns", "exec", f"{PREFIX}{name}"), bind="") for name in ("Hana", "Ben")
        )
        ben.do("click", "Join jam")
        ben.do("enter", "display_name", "Ben")
        hana.do("create")
        hana.do("enter", "session_name", "Kitchen")
        hana.do("enter", "display_name", "Hana")
        hana.do("submit")
        ben.wait_until("reads", "hosted by Hana — 0/5 peers")
        ben.do("click_row", 0)
        ben.wait_for("screen", "PeerScreen")
        hana.wait_until("reads", "1 peer connected")
        for there in (ben, hana):
            there.do("close")
            there.do("agree")
            assert there.end() == (0, "[]", "")
