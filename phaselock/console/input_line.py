"""The line in which a user types while a session runs: editing keys, history, completion, and the status line above it.

prompt_toolkit draws it on a thread of its own, so that a terminal that hangs blocks no other thread. A second thread
passes the typed lines on.
"""

from __future__ import annotations

import queue
import re
import signal
import sys
import threading
from collections.abc import Callable, Iterable
from typing import Any

from prompt_toolkit.application import Application, in_terminal
from prompt_toolkit.buffer import Buffer
from prompt_toolkit.completion import CompleteEvent, Completer, Completion
from prompt_toolkit.document import Document
from prompt_toolkit.filters import Condition
from prompt_toolkit.history import History
from prompt_toolkit.input import create_input
from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent
from prompt_toolkit.key_binding.bindings.completion import display_completions_like_readline
from prompt_toolkit.layout import BufferControl, ConditionalContainer, FormattedTextControl, HSplit, Layout, Window
from prompt_toolkit.layout.dimension import Dimension
from prompt_toolkit.layout.processors import BeforeInput
from prompt_toolkit.output import create_output
from prompt_toolkit.output.vt100 import Vt100_Output
from prompt_toolkit.widgets import SearchToolbar

from phaselock.console.columns import fitted
from phaselock.console.input_help import KeptLines, Typing
from phaselock.errors import InternalError, bug_net

PROMPT = "> "
MAX_ROWS = 4
"""Most rows of the typed text that are visible at once."""

_CONTROLS = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f]")
"""In a pasted text they would command the terminal."""


class InputLine:
    """The line, from its creation until `close`."""

    def __init__(self, on_line: Callable[[str], None], typing: Typing) -> None:
        """`on_line` is called on another thread for each line; it may block."""
        self._typing = typing
        self._status = ""
        self._typed: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._running = threading.Event()
        self._modes = _terminal_modes()
        self._app: Application[None] = self._application()
        self._thread = threading.Thread(target=self._run, name="stdin", daemon=True)
        self._thread.start()
        threading.Thread(target=self._pass_on, args=(on_line,), name="typed lines", daemon=True).start()

    def print(self, text: str) -> None:
        """Print text above the line. Waits until it is written."""
        self._running.wait()
        written = threading.Event()

        if self._call(lambda: self._print_above(text, written.set)):
            while not written.wait(0.2) and self._thread.is_alive():
                pass
        else:
            _write(text)

    def show(self, status: str) -> None:
        """Show this text in the status line."""
        self._status = status
        self._app.invalidate()

    def close(self, timeout_s: float) -> None:
        """Remove the line and end its thread. If that takes longer than `timeout_s`, only restore the modes of the
        terminal."""
        self._running.wait(timeout_s)
        self._call(self._app.exit)
        self._thread.join(timeout_s)
        if self._thread.is_alive():
            _restore(self._modes)

    def _print_above(self, text: str, then: Callable[[], object]) -> None:
        """Print text above the line, then call `then`. For the thread of the line."""

        async def print_it() -> None:
            async with in_terminal():
                _write(text)
            then()

        self._app.create_background_task(print_it())

    def _call(self, function: Callable[[], object]) -> bool:
        """Call it on the thread of the line. False if that has ended."""
        loop = self._app.loop
        if loop is None or not self._thread.is_alive():
            return False
        try:
            loop.call_soon_threadsafe(function, context=self._app.context)
        except RuntimeError:  # it is closed already
            return False
        return True

    def _run(self) -> None:
        try:
            with bug_net("the line of input", OSError):
                self._app.run(
                    pre_run=self._running.set, set_exception_handler=False, handle_sigint=False, in_thread=False
                )
        except (InternalError, EOFError, OSError):  # OSError: the terminal is gone
            pass
        finally:
            self._running.set()

    def _pass_on(self, on_line: Callable[[str], None]) -> None:
        while True:
            line = self._typed.get()
            try:
                with bug_net("a line of input"):
                    on_line(line)
            except InternalError:
                pass

    def _application(self) -> Application[None]:
        search = SearchToolbar()
        buffer = Buffer(
            completer=_Completer(self._typing.completions),
            history=_History(self._typing.kept),
            accept_handler=self._accept,
            multiline=False,
        )
        status = FormattedTextControl(lambda: fitted(self._status, self._app.output.get_size().columns - 1))
        control = BufferControl(buffer, [BeforeInput(PROMPT)], search_buffer_control=search.control)
        rows = HSplit(
            [
                ConditionalContainer(
                    Window(status, height=1, style="bold"), filter=Condition(lambda: bool(self._status))
                ),
                Window(control, wrap_lines=True, dont_extend_height=True, height=Dimension(min=1, max=MAX_ROWS)),
                search,
            ]
        )
        output = create_output(sys.stdout)
        if isinstance(output, Vt100_Output):
            output.enable_cpr = False  # a terminal that does not answer would get a warning
        return Application(
            Layout(rows, control),
            key_bindings=self._keys(buffer),
            input=create_input(sys.stdin),
            output=output,
            erase_when_done=True,
        )

    def _keys(self, buffer: Buffer) -> KeyBindings:
        keys = KeyBindings()

        @keys.add("tab")
        def _complete(event: KeyPressEvent) -> None:
            display_completions_like_readline(event)

        @keys.add("enter", filter=Condition(lambda: self._app.layout.has_focus(buffer)))
        def _enter(event: KeyPressEvent) -> None:
            buffer.validate_and_handle()

        @keys.add("c-c")
        def _interrupt(event: KeyPressEvent) -> None:
            if buffer.text:
                buffer.reset()
            else:
                _interrupt_main_thread()

        @keys.add("c-d", filter=Condition(lambda: not buffer.text))
        def _end(event: KeyPressEvent) -> None:
            self._print_above(self._typing.end_hint() + "\n", lambda: None)

        if hasattr(signal, "SIGTSTP"):

            @keys.add("c-z")
            def _suspend(event: KeyPressEvent) -> None:
                event.app.suspend_to_background()

        return keys

    def _accept(self, buffer: Buffer) -> bool:
        """Print the typed text as it stands, then pass its lines on. A pasted text may have several."""
        text = buffer.text
        if not text.strip():
            return False

        def pass_on() -> None:
            for line in re.split(r"\r\n|\r|\n", text):
                self._typed.put(line.strip())

        self._print_above(f"{PROMPT}{_CONTROLS.sub('?', text)}\n", pass_on)
        return False


class _Completer(Completer):
    def __init__(self, completions: Callable[[str], Iterable[tuple[str, str, int]]]) -> None:
        self._completions = completions

    def get_completions(self, document: Document, complete_event: CompleteEvent) -> Iterable[Completion]:
        found: list[tuple[str, str, int]] = []
        try:
            with bug_net("a completion"):
                found = list(self._completions(document.text_before_cursor))
        except InternalError:
            pass
        for text, shown, replaced in found:
            yield Completion(text, -replaced, display=shown)


class _History(History):
    def __init__(self, kept: KeptLines) -> None:
        super().__init__()
        self._kept = kept

    def load_history_strings(self) -> Iterable[str]:
        return reversed(self._kept.load())

    def store_string(self, string: str) -> None:
        self._kept.keep(string)


def _write(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()


def _interrupt_main_thread() -> None:
    """Have the effect of Ctrl-C, which the terminal only reports as a key while the line is there."""
    if sys.platform == "win32":
        signal.raise_signal(signal.SIGINT)
    else:
        ident = threading.main_thread().ident
        assert ident is not None
        signal.pthread_kill(ident, signal.SIGINT)


def _terminal_modes() -> Any:
    if sys.platform == "win32":
        return None
    import termios

    try:
        return termios.tcgetattr(sys.stdin.fileno())
    except (OSError, termios.error):
        return None


def _restore(modes: Any) -> None:
    if sys.platform != "win32" and modes is not None:
        import termios

        termios.tcsetattr(sys.stdin.fileno(), termios.TCSANOW, modes)
