"""A headless Chromium for tests, driven by its DevTools protocol over a pair of pipes: no port is opened.

Every `Page` has storage of its own, like the browser of another person.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import pathlib
import select
import shutil
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

TIMEOUT_S = 30.0

_NAMES = ("chromium", "chromium-browser", "google-chrome")
_ARGUMENTS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-default-apps",
    "--disable-extensions",
    "--disable-sync",
    "--no-default-browser-check",
    "--no-first-run",
    "--password-store=basic",
    "--remote-debugging-pipe",
)


class BrowserError(Exception):
    """The browser refused a command, ended, or a script in a page raised an exception."""


def unavailable() -> str:
    """Why no browser can be started here; empty if one can."""
    if os.name != "posix":
        return "the pipes to the browser need Unix"
    return "" if _program() else "chromium is not installed"


def _program() -> str:
    return next(filter(None, map(shutil.which, _NAMES)), "")


class Browser:
    """A browser process, as a context manager.

    `folder` gets its profile and its log. `arguments` are more arguments of the command line. `environment` replaces
    the variables of this process. `prefix`: the command that starts it.
    """

    def __init__(
        self,
        folder: pathlib.Path,
        *arguments: str,
        environment: Mapping[str, str] | None = None,
        prefix: Sequence[str] = (),
    ) -> None:
        self._folder = folder
        self._prefix = prefix
        self._arguments = arguments
        self._environment = dict(os.environ if environment is None else environment) | {"HOME": os.fspath(folder)}
        self._number = 0
        self._received = bytearray()
        self._events: list[dict[str, Any]] = []
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> Browser:
        # Chromium reads commands from descriptor 3 and writes answers to descriptor 4.
        read_commands, self._commands = os.pipe()
        self._answers, write_answers = os.pipe()
        log = self._stack.enter_context((self._folder / "browser.log").open("wb"))
        redirected = f'exec "$@" 3</dev/fd/{read_commands} 4>/dev/fd/{write_answers}'
        profile = f"--user-data-dir={self._folder / 'profile'}"
        command = [*self._prefix, _program(), *_ARGUMENTS, profile, *self._arguments, "about:blank"]
        self._process = subprocess.Popen(
            ["sh", "-c", redirected, "sh", *command],
            env=self._environment,
            pass_fds=(read_commands, write_answers),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
        os.close(read_commands)
        os.close(write_answers)
        self._stack.callback(os.close, self._answers)
        self._stack.callback(os.close, self._commands)
        self._stack.callback(self._end)
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def _end(self) -> None:
        with contextlib.suppress(BrowserError, OSError):
            self.call("Browser.close")
        try:
            self._process.wait(TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def page(self, url: str = "about:blank", *, width: int = 390, height: int = 844, language: str = "en") -> Page:
        """Open a page as a phone with an empty storage. Sizes are in CSS pixels."""
        context = self.call("Target.createBrowserContext")["browserContextId"]
        target = self.call("Target.createTarget", url="about:blank", browserContextId=context)["targetId"]
        session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        page = Page(self, session, target, context)
        for domain in ("Page", "Runtime", "Network", "DOM", "Log"):
            page.call(f"{domain}.enable")
        page.resize(width, height)
        page.speak(language)
        page.go(url)
        return page

    def call(self, method: str, session: str | None = None, **parameters: Any) -> dict[str, Any]:
        """Send a command and return its result.

        Raises BrowserError if the browser refuses it, ends, or does not answer within TIMEOUT_S.
        """
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters}
        if session is not None:
            message["sessionId"] = session
        data = json.dumps(message).encode() + b"\0"
        while data:
            data = data[os.write(self._commands, data) :]
        deadline = time.monotonic() + TIMEOUT_S
        while True:
            found = self._receive(deadline - time.monotonic())
            if found is None:
                raise BrowserError(f"no answer to {method}")
            if found.get("id") != self._number:
                self._keep(found)
            elif "error" in found:
                raise BrowserError(f"{method}: {found['error']['message']}")
            else:
                result: dict[str, Any] = found["result"]
                return result

    def events(self, session: str, wait_s: float = 0.0) -> Iterator[dict[str, Any]]:
        """Take the events of a page that have arrived, and those that arrive within `wait_s`."""
        deadline = time.monotonic() + wait_s
        while True:
            for event in [event for event in self._events if event.get("sessionId") == session]:
                self._events.remove(event)
                yield event
            found = self._receive(max(deadline - time.monotonic(), 0.0))
            if found is None:
                return
            self._keep(found)

    def _keep(self, message: dict[str, Any]) -> None:
        if "method" in message:
            self._events.append(message)

    def _receive(self, wait_s: float) -> dict[str, Any] | None:
        deadline = time.monotonic() + wait_s
        while b"\0" not in self._received:
            if not select.select([self._answers], [], [], max(deadline - time.monotonic(), 0.0))[0]:
                return None
            data = os.read(self._answers, 1 << 20)
            if not data:
                log = (self._folder / "browser.log").read_text(errors="replace")
                raise BrowserError(f"the browser ended:\n{log[-2000:]}")
            self._received += data
        line, _, rest = self._received.partition(b"\0")
        self._received = bytearray(rest)
        message: dict[str, Any] = json.loads(line)
        return message


class Page:
    """One page. Selectors are CSS selectors of elements that must exist."""

    def __init__(self, browser: Browser, session: str, target: str, context: str) -> None:
        self._browser = browser
        self._session = session
        self._target = target
        self._context = context

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Send a command of the DevTools protocol to this page."""
        return self._browser.call(method, self._session, **parameters)

    def go(self, url: str) -> None:
        """Load an address and wait until its scripts have run."""
        self.call("Page.navigate", url=url)
        self.wait("document.readyState === 'complete'")

    def reload(self) -> None:
        self.run("window.beforeReload = true")
        self.call("Page.reload")
        self.wait("!window.beforeReload && document.readyState === 'complete'")

    def close(self) -> None:
        self._browser.call("Target.closeTarget", targetId=self._target)
        self._browser.call("Target.disposeBrowserContext", browserContextId=self._context)

    def resize(self, width: int, height: int, scale: float = 1.0) -> None:
        """Set the size of the screen in CSS pixels, and the number of pixels for each of them."""
        self.call(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=scale, mobile=True
        )
        self.call("Emulation.setTouchEmulationEnabled", enabled=True)

    def speak(self, language: str) -> None:
        """Set the language of the browser, for pages that are loaded from now on."""
        agent = self._browser.call("Browser.getVersion")["userAgent"]
        self.call("Emulation.setUserAgentOverride", userAgent=agent, acceptLanguage=language)

    def run(self, script: str, *, gesture: bool = False) -> Any:
        """The JSON value of a JavaScript expression; a promise is awaited. `gesture`: as if the user had touched the
        page.

        Raises BrowserError if the expression raises an exception.
        """
        answer = self.call(
            "Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True, userGesture=gesture
        )
        if "exceptionDetails" in answer:
            details = answer["exceptionDetails"]
            raise BrowserError(details.get("exception", {}).get("description", details["text"]))
        return answer["result"].get("value")

    def wait(self, condition: str, timeout_s: float = TIMEOUT_S) -> None:
        """Wait until an expression is true. Raises BrowserError after `timeout_s`."""
        deadline = time.monotonic() + timeout_s
        while True:
            try:
                # The page looks every 20 ms. A new document ends the script, and the loop starts it again.
                found = self.run(
                    "new Promise(done => { const end = performance.now() + 500; const look = () => {"
                    f" const found = !!({condition}); if (found || performance.now() > end) done(found);"
                    " else setTimeout(look, 20); }; look(); })"
                )
            except BrowserError:
                found = None
                if time.monotonic() > deadline:
                    raise
            if found:
                return
            if time.monotonic() > deadline:
                raise BrowserError(f"not true within {timeout_s} s: {condition}\n{self.text()}")

    def text(self) -> str:
        """The visible text of the page."""
        return str(self.run("document.body.innerText"))

    def wait_text(self, text: str) -> None:
        """Wait until the page shows a text."""
        self.wait(f"document.body.innerText.includes({json.dumps(text)})")

    def tap(self, selector: str) -> None:
        """Touch the middle of an element until it is clicked: a page whose content arrives just then moves its elements
        away from the touch. Raises BrowserError if another element is there."""
        quoted = json.dumps(selector)
        deadline = time.monotonic() + TIMEOUT_S
        self.run("window.clicked = false")
        while True:
            place = self.run(
                "(() => { if (window.clicked) return null;"
                f" const found = document.querySelector({quoted}); found.scrollIntoView({{block: 'center'}});"
                " const box = found.getBoundingClientRect(), x = box.x + box.width / 2, y = box.y + box.height / 2;"
                " const hit = document.elementFromPoint(x, y);"
                f" if (!found.contains(hit)) throw new Error({quoted} + ' is covered by ' + (hit && hit.outerHTML));"
                " found.addEventListener('click', () => { window.clicked = true; }, {once: true, capture: true});"
                " return [x, y]; })()"
            )
            if place is None:  # the click came late
                return
            touch = dict(zip("xy", place, strict=True))
            self.call("Input.dispatchTouchEvent", type="touchStart", touchPoints=[touch])
            self.call("Input.dispatchTouchEvent", type="touchEnd", touchPoints=[])
            # Fifty looks are a second, or longer if the page does not get the processor.
            if self.run(
                "new Promise(done => { let looks = 0; const look = () => window.clicked || ++looks > 50"
                " ? done(window.clicked) : setTimeout(look, 20); look(); })"
            ):
                return
            if time.monotonic() > deadline:
                raise BrowserError(f"no touch reached {selector}\n{self.text()}")

    def type(self, selector: str, text: str) -> None:
        """Add a text to an entry."""
        self.run(f"document.querySelector({json.dumps(selector)}).focus()")
        self.call("Input.insertText", text=text)

    def press(self, key: str, code: int = 0) -> None:
        """Press a key by its DOM name, for example Enter or Tab. `code`: its Windows code, if the page or the browser
        acts on it."""
        codes = {"Enter": 13, "Tab": 9, "Escape": 27, " ": 32}
        number = code or codes.get(key, 0)
        text = {"Enter": "\r", " ": " "}.get(key, "")
        self.call("Input.dispatchKeyEvent", type="keyDown", key=key, windowsVirtualKeyCode=number, text=text)
        self.call("Input.dispatchKeyEvent", type="keyUp", key=key, windowsVirtualKeyCode=number)

    def choose_files(self, selector: str, files: Sequence[pathlib.Path]) -> None:
        """Choose files in a file entry, as its dialog would."""
        root = self.call("DOM.getDocument")["root"]["nodeId"]
        node = self.call("DOM.querySelector", nodeId=root, selector=selector)["nodeId"]
        self.call("DOM.setFileInputFiles", nodeId=node, files=[os.fspath(file) for file in files])

    def offline(self, on: bool) -> None:
        """Cut the page off from the network, or connect it again. Sockets that are open stay open."""
        self.call("Network.emulateNetworkConditions", offline=on, latency=0, downloadThroughput=-1, uploadThroughput=-1)

    def errors(self) -> list[str]:
        """Take the errors that the browser has logged for this page: exceptions, refused content, failed requests."""
        found = []
        for event in self._browser.events(self._session):
            parameters = event["params"]
            if event["method"] == "Runtime.exceptionThrown":
                details = parameters["exceptionDetails"]
                found.append(details.get("exception", {}).get("description", details["text"]))
            elif event["method"] == "Log.entryAdded" and parameters["entry"]["level"] == "error":
                found.append(f"{parameters['entry']['text']} {parameters['entry'].get('url', '')}")
        return found

    def screenshot(self, file: pathlib.Path, *, whole: bool = False) -> None:
        """Write a PNG of the screen, or of the whole page."""
        data = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=whole)["data"]
        file.write_bytes(base64.b64decode(data))
