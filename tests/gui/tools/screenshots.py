"""Save a picture of every screen: `python -m tests.gui.tools.screenshots FOLDER [WIDTHxHEIGHT] [SCALE]`.

The real program on a virtual screen: the window hosts, two peers without one join and play; then a window joins. Needs
Xvfb and ImageMagick's `import`. Nothing is heard, and nothing leaves the loopback.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import pathlib
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator

import numpy as np
import numpy.typing as npt

from phaselock.bench.lab.signals import encode, noise
from phaselock.model.party import SMALL_PARTY

ROOT = pathlib.Path(__file__).parents[3]

with socket.create_server(("127.0.0.1", 0)) as _free:
    PORT = _free.getsockname()[1]
TIMEOUT_S = 40.0


@contextlib.contextmanager
def screen(width: int, height: int) -> Iterator[None]:
    """Run an Xvfb with this size."""
    reader, writer = os.pipe()
    command = ["Xvfb", "-displayfd", str(writer), "-screen", "0", f"{width}x{height}x24", "-nolisten", "tcp"]
    server = subprocess.Popen(command, pass_fds=[writer], stderr=subprocess.DEVNULL)
    try:
        os.environ["DISPLAY"] = ":" + os.read(reader, 20).decode().strip()
        yield
    finally:
        server.terminate()
        server.wait()


def beaten(seconds: int, seed: int) -> npt.NDArray[np.float64]:
    """Noise with the dynamics of music, so that its waveform looks like that of a song."""
    sound = noise(seconds, 44100, seed)
    at_s = np.arange(len(sound)) / 44100
    parts = np.random.default_rng(seed).uniform(0.2, 1.0, seconds // 8 + 2)
    loud = np.interp(at_s / 8, np.arange(len(parts)), parts) * (0.35 + 0.65 * np.exp(-5 * (at_s * 2 % 1)))
    return sound * loud[:, None] * 2.5


def make_songs(folder: pathlib.Path) -> list[str]:
    """Some MP3 files with tags; one has a very long title."""
    names = [
        ("Night Drive", "The Phases"),
        ("Slow Tide", "Ada Wave"),
        ("A song whose title is so long that no list in the world has room for all of it at once", "Somebody"),
        ("Standing Still", ""),
        ("Two Waves", "The Phases"),
    ]
    found = []
    for number, (title, artist) in enumerate(names):
        path = folder / f"{number} {title[:40]}.mp3"
        path.write_bytes(tag(title, artist) + encode(beaten(90 + 25 * number, number), 44100))
        found.append(str(path))
    return found


def listens() -> bool:
    """Whether the host accepts connections."""
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", PORT)):
        return True
    return False


def tag(title: str, artist: str) -> bytes:
    """An ID3v2.3 tag."""
    frames = b""
    for name, text in ((b"TIT2", title), (b"TPE1", artist)):
        body = b"\x01" + text.encode("utf-16")
        frames += name + len(body).to_bytes(4, "big") + b"\0\0" + body
    size = len(frames)
    return b"ID3\x03\0\0" + bytes((size >> shift) & 0x7F for shift in (21, 14, 7, 0)) + frames


def main() -> None:
    """Take all pictures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder")
    parser.add_argument("size", nargs="?", default="1100x720")
    parser.add_argument("scale", nargs="?", default="1")
    options = parser.parse_args()
    folder, size, scale = options.folder, options.size, options.scale
    os.environ["PHASELOCK_SCALE"] = scale
    width, height = (round(int(n) * float(scale)) for n in size.split("x"))
    target = pathlib.Path(folder)
    target.mkdir(parents=True, exist_ok=True)
    with screen(width, height), tempfile.TemporaryDirectory() as home:
        os.environ["PHASELOCK_HOME"] = home
        shoot(target, pathlib.Path(home), f"{width}x{height}+0+0")


def shoot(target: pathlib.Path, home: pathlib.Path, geometry: str) -> None:
    from phaselock.app.window import WindowProgram
    from phaselock.language import catalogue
    from phaselock.session import commands as c
    from phaselock.ui.window import Window

    songs = make_songs(home)
    program = WindowProgram("null")
    program.bind = "127.0.0.1"
    catalogue.use(catalogue.chosen(os.environ))
    window = Window(program)
    window.geometry(geometry)
    window.start()
    peers: list[subprocess.Popen[str]] = []

    def wait(seconds: float) -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            window.update()
            time.sleep(0.01)

    def wait_until(true: Callable[[], bool]) -> None:
        end = time.monotonic() + TIMEOUT_S
        while not true():
            assert time.monotonic() < end
            wait(0.01)

    def take(name: str) -> None:
        wait(0.5)
        subprocess.run(["import", "-window", "root", str(target / f"{name}.png")], check=True)

    def join(name: str, *more: str) -> None:
        command = [sys.executable, "-m", "phaselock", "join", f"127.0.0.1:{PORT}", "--as", name, "--backend", "null"]
        env = {**os.environ, "PHASELOCK_HOME": str(home / name)}
        peers.append(
            subprocess.Popen(command, cwd=ROOT, env=env, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
        )

    take("home")
    window.go_create()
    window.screen.session_name.set("Friday Night Vibes")
    window.screen.display_name.set("Alex")
    take("create")
    window.screen.who.choose(1)
    take("create-code")
    window.screen.who.choose(0)
    window.screen.port.set(str(PORT))
    window.screen.clock_port.set(str(PORT + 1))
    window.screen.submit()
    wait_until(lambda: window.program.state() is not None)
    take("host-empty")
    program.add(songs)
    join("Sam")
    join("Jordan with quite a long name")
    wait_until(lambda: len(window.program.state().snapshot.peers) == 2)
    wait_until(lambda: all(peer.ready for peer in window.program.state().snapshot.peers))
    wait(3)
    program.command(c.Play())
    wait_until(lambda: window.program.state().own.playing)
    program.command(c.Seek(20))
    wait(12)
    wish = home / "NewTrack.mp3"
    wish.write_bytes(tag("New Track", "The Phases") + encode(beaten(60, len(songs)), 44100))
    peers[0].stdin.write(f"request {wish}\n")
    peers[0].stdin.flush()
    wait_until(lambda: bool(window.program.state().snapshot.requests))
    take("host-playing")
    window.open_sync()
    take("host-sync")
    window.open_sound()
    take("host-sound")
    window.open_songs()
    take("host-songs")
    program.command(c.ChangeCode("482913"))
    window.open_share()
    take("host-share")
    program.show_guest_page(True)
    wait_until(lambda: bool(window.program.state().guest_page.link))
    window.open_share(1)
    take("host-phones")
    program.command(c.SetRules(SMALL_PARTY))
    window.open_rules()
    take("host-rules")
    window.open_shortcuts()
    take("shortcuts")
    window.close_overlay()
    window.leave(window.screen.end)
    take("host-leaving")
    window._question.act.invoke()
    wait_until(lambda: window.program.state() is None)
    for peer in peers:
        peer.wait(20)
    wait(1)
    take("home-after")
    window.go_browse()
    window.screen.display_name.set("Sam")
    take("browse")
    command = [sys.executable, "-m", "phaselock", "host", *songs, "--session", "Chill Lounge", "--as", "Hana", "--play"]
    command += [
        "--bind",
        "127.0.0.1",
        "--port",
        str(PORT),
        "--clock-port",
        "0",
        "--wait-peers",
        "1",
        "--backend",
        "null",
    ]
    env = {**os.environ, "PHASELOCK_HOME": str(home / "host")}
    host = subprocess.Popen(command, cwd=ROOT, env=env, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
    wait_until(listens)
    window.screen.address.set(f"127.0.0.1:{PORT}")
    window.screen.submit()
    wait_until(lambda: window.program.state() is not None and window.program.state().own.playing)
    wait(8)
    program.request(str(wish))
    wait(2)
    take("peer-playing")
    host.kill()
    wait_until(lambda: window.program.state() is None)
    wait(1)
    take("host-lost")
    window.close()


if __name__ == "__main__":
    main()
