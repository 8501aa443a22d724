"""What a window that is open does not load, and what it gives back."""

from __future__ import annotations

import base64
import gc
import json
import os
import pathlib
import subprocess
import sys
import threading
import uuid

import pytest

from phaselock.app import memory
from phaselock.model.queue import ItemStatus
from phaselock.session.events import QueueChanged, QueueRow

SPARE = ("PIL", "cryptography", "jeepney", "numpy", "prompt_toolkit", "segno", "spake2")
"""Modules that a session without a song does not need. Each costs megabytes."""

PIXEL = base64.b64decode("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAIAAACQd1PeAAAADElEQVR4nGP4z8AAAAMBAQDJ/pLvAAAAAElFTkSuQmCC")
"""A PNG file of one pixel."""


def loaded(code: str) -> set[str]:
    """The modules of SPARE that are loaded after this code ran in a new process."""
    code = f"import json, sys\n{code}\nprint(json.dumps([name for name in {SPARE!r} if sys.modules.get(name)]))"
    environment = {name: value for name, value in os.environ.items() if name != "DISPLAY"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return set(json.loads(done.stdout.splitlines()[-1]))


@pytest.mark.slow
def test_the_network_thread_loads_only_what_it_needs() -> None:
    assert loaded("import phaselock.app.window_backend, zeroconf.asyncio") == set()


def test_another_process_makes_the_key_of_a_host(tmp_path: pathlib.Path) -> None:
    code = f"""
import pathlib
from phaselock.app.host_key import host_identity
assert len(host_identity(pathlib.Path({os.fspath(tmp_path / "key.pem")!r})).host_key) == 32
"""
    assert loaded(code) == set()


@pytest.mark.slow
def test_the_halves_of_a_session_and_the_tables_of_encodings_are_loaded_when_they_are_needed() -> None:
    code = """
import phaselock.app.window_backend, phaselock.ui.screens.host
halves = "network.host", "network.peer", "session.host.session", "session.peer.session", "ui.screens.peer"
halves += "ui.screens.sync", "ui.screens.calibrate"
assert not [name for name in halves if f"phaselock.{name}" in sys.modules]
assert not {"csv", "encodings.cp932"} & set(sys.modules)
"""
    pytest.importorskip("_tkinter", reason="Python was built without tkinter")
    assert loaded(code) == set()


@pytest.mark.slow
def test_of_customtkinter_the_window_loads_only_what_it_uses() -> None:
    code = """
from phaselock.ui.theme import ctk
widgets = {name.rpartition(".ctk_")[2] for name in sys.modules if name.startswith("customtkinter.windows.widgets.ctk_")}
assert widgets == {"entry", "frame", "label", "progressbar", "scrollable_frame"}, widgets
assert not {"tkinter.filedialog", "tkinter.ttk"} & set(sys.modules)
assert sys.platform == "darwin" or "packaging" not in sys.modules
from tkinter import filedialog, ttk
assert callable(filedialog.askopenfilename) and issubclass(ttk.Treeview, ttk.Widget)
"""
    pytest.importorskip("_tkinter", reason="Python was built without tkinter")
    assert loaded(code) == set()


@pytest.mark.parametrize(
    "code",
    [
        "from phaselock.network.listener import Listener; Listener.open('127.0.0.1', 0).close()",
        "from phaselock.network.interfaces import usable_addresses; usable_addresses('127.0.0.1')",
        "from phaselock.sync.clock import PeerClock; PeerClock('127.0.0.1', 9, 1, bytes(16)).close()",
        "import asyncio; from phaselock.network.reach import resolve; asyncio.run(resolve([('127.0.0.1', 9)]))",
    ],
)
def test_an_address_needs_no_tables_of_the_letters_of_names(code: str) -> None:
    assert loaded(f'{code}\nassert "encodings.idna" not in sys.modules') == set()


def test_the_program_decodes_no_cover_itself(tmp_path: pathlib.Path) -> None:
    (tmp_path / "cover.png").write_bytes(PIXEL)
    code = f"""
import phaselock.app.window_backend, asyncio, pathlib
from phaselock.app import cover_decoder
from phaselock.storage.tags import Artwork
cover_decoder.read_artwork = lambda path: Artwork("image/png", path.read_bytes())
async def main():
    decoder = cover_decoder.CoverDecoder()
    assert await decoder.read(pathlib.Path({os.fspath(tmp_path / "cover.png")!r}), 1, crop=True) is not None
    decoder.close()
asyncio.run(main())
"""
    assert loaded(code) == set()


@pytest.mark.skipif(sys.platform in ("win32", "darwin"), reason="a window opens there")
def test_the_command_loads_the_window_without_pillow(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("_tkinter", reason="Python was built without tkinter")
    monkeypatch.setenv("PHASELOCK_HOME", str(tmp_path))
    code = """
from phaselock.app.window import run_window
from phaselock.errors import PhaseLockError
try:
    run_window("null", None, (), print)
except PhaseLockError:
    pass
else:
    raise AssertionError("there is no display")
"""
    assert loaded(code) == set()


def test_memory_is_given_back_once_when_a_long_queue_has_become_short(monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[int] = []
    monkeypatch.setattr(memory, "give_back", lambda: given.append(1))
    row = QueueRow(uuid.UUID(int=1), "a.mp3", "", "", 1.0, "", ItemStatus.READY)

    def told(*lengths: int) -> int:
        watch = memory.QueueMemory(lambda _, give_back: give_back())
        for revision, rows in enumerate(lengths):
            watch.tell(QueueChanged(None, revision, (row,) * rows))
        return len(given)

    collected: list[int] = []
    monkeypatch.setattr(gc, "collect", lambda: collected.append(1))
    assert told(0, 300, 0, 499, 0) == 0
    monkeypatch.setattr(gc, "isenabled", lambda: False)  # a window: objects of Tk must not be freed on another thread
    assert (told(2000, 0), collected) == (1, [])
    given.clear()
    monkeypatch.setattr(gc, "isenabled", lambda: True)
    assert (told(2000, 1500, 1499, 0, 10), collected) == (2, [1, 1])


def anonymous_kb() -> int:
    lines = pathlib.Path("/proc/self/smaps_rollup").read_text("ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("Anonymous:"))


@pytest.mark.skipif(memory._library() is None, reason="the C library cannot return memory")
def test_free_memory_below_a_block_that_is_in_use_is_given_back() -> None:
    memory.limit()
    held: list[bytearray] = []

    def work() -> None:
        free = [bytearray(50_000) for _ in range(1000)]
        held.append(bytearray(600))
        free.clear()

    before_kb = anonymous_kb()
    for _ in range(4):
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
    memory.give_back()
    assert anonymous_kb() - before_kb < 5_000
