"""An Xvfb display if there is no display, and windows that must end without output on standard error."""

from __future__ import annotations

import gc
import marshal
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.support.window_driver import FakeProgram, forget
from tests.support.wine import opened


@pytest.fixture(scope="session")
def display(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The display of the environment, or else an Xvfb for the duration of the tests."""
    pytest.importorskip("tkinter", reason="Python was built without tkinter")
    pytest.importorskip("_tkinter", reason="Python was built without tkinter")
    if sys.platform in ("win32", "darwin") or os.environ.get("DISPLAY"):
        yield os.environ.get("DISPLAY", "")
        return
    server = shutil.which("Xvfb")
    if server is None:
        pytest.skip("no display, and no Xvfb to make one")
    log = tmp_path_factory.mktemp("xvfb") / "log"
    read, write = os.pipe()
    with log.open("wb") as said:
        process = subprocess.Popen(
            [server, "-displayfd", str(write), "-screen", "0", "2400x1600x24", "-nolisten", "tcp"],
            pass_fds=[write],
            stdout=said,
            stderr=said,
        )
    os.close(write)
    with os.fdopen(read) as told:
        number = told.readline().strip()
    if not number:
        process.wait()
        pytest.skip(f"Xvfb does not start: {log.read_text(errors='replace')[-300:]}")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DISPLAY", f":{number}")
        try:
            yield f":{number}"
        finally:
            process.terminate()
            process.wait()


@pytest.fixture(autouse=True, scope="session")
def paint_once() -> Iterator[None]:
    """Paint each picture once for the windows of all tests. The program keeps its pictures for one window only."""
    try:
        from phaselock.ui.widgets import logo, raster
    except ImportError:  # Python was built without tkinter
        yield
        return
    paint = raster.paint
    painted: dict[bytes, list[bytearray]] = {}

    def painted_once(*picture: Any) -> list[bytearray]:
        key = marshal.dumps(picture, 2)
        if key not in painted:
            painted[key] = paint(*picture)
        return painted[key]

    with pytest.MonkeyPatch.context() as patch:
        for module in (raster, logo):
            patch.setattr(module, "paint", painted_once)
        yield


def pytest_runtest_logstart() -> None:
    """Hide the objects of earlier tests from the garbage collector: each window that closes runs it several times."""
    gc.freeze()


def pytest_runtest_logfinish() -> None:
    """Free the Tk objects of a test on this thread: a later test may collect on another thread, where Tk refuses."""
    gc.collect()
    gc.unfreeze()


@pytest.fixture
def make_window(
    display: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Iterator[Callable[..., Any]]:
    """Make a window at a scale. After the test it is destroyed; callbacks must not have failed."""
    from phaselock.ui import theme

    windows: list[Any] = []
    raised: list[BaseException] = []

    def make(scale: float = 1.0, width: int = 800, height: int = 600) -> Any:
        monkeypatch.setenv("PHASELOCK_SCALE", str(scale))
        theme.prepare()
        window = opened(lambda: theme.ctk.CTk(fg_color=theme.BACKGROUND))
        window.report_callback_exception = lambda _kind, value, _trace: raised.append(value)
        theme.setup(window)
        window.geometry(f"{theme.px(width)}x{theme.px(height)}+0+0")
        window.update()
        window.focus_force()
        window.update()
        windows.append(window)
        return window

    yield make
    for window in windows:
        if not getattr(window, "ended", False):
            window.update()
            window.destroy()
        forget(window)
    if raised:
        raise raised[0]
    said = capfd.readouterr().err
    assert "invalid command name" not in said and "Traceback" not in said, said


@pytest.fixture
def window(make_window: Callable[..., Any]) -> Any:
    """A window at scale 1."""
    return make_window()


@pytest.fixture
def make(
    display: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Iterator[Callable[..., Any]]:
    """Open a window. After the test it is closed; nothing may be left and no callback may have failed."""
    from phaselock.ui.window import Window

    monkeypatch.setenv("PHASELOCK_SCALE", "1")
    windows: list[Any] = []
    raised: list[BaseException] = []

    def open_window(program: FakeProgram | None = None, **preferences: Any) -> Any:
        program = program or FakeProgram(**preferences)
        window = opened(lambda: Window(program))
        window.report_callback_exception = lambda _kind, value, _trace: raised.append(value)
        window.raised = raised
        windows.append(window)
        window.geometry("1100x720+0+0")
        window.update()
        window.focus_force()
        window.start()
        window.update()
        return window

    yield open_window
    for window in windows:
        if not window.program.closed:
            window.program.now = None
            window.update()
            window.close()
        assert window.program.closed
        forget(window)
    if raised:
        raise raised[0]
    said = capfd.readouterr().err
    assert "invalid command name" not in said and "Traceback" not in said, said
