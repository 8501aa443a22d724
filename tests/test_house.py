"""The import law: which package may import which, and which modules from outside. phaselock/README.md shows it.

To update the table and the picture there after a change of the law or of the imports: `python -m tests.test_house`.
"""

from __future__ import annotations

import ast
import functools
import graphlib
import os
import pathlib
import subprocess
import sys
from collections.abc import Iterator

import pytest

from tests.support import package_map

ROOT = pathlib.Path(__file__).parent.parent
PACKAGE = ROOT / "phaselock"
README = PACKAGE / "README.md"
PICTURE = PACKAGE / "packages.svg"

EVERYTHING = "*"

# What happened in a session, as values, as JSON and as text: for every front end.
EVENTS = ("session.event_json", "session.events", "session.sentences")

# What every package may import of `phaselock`, besides itself.
COMMON = ("errors", "frozen", "language.message", "__version__")

# What else each package may import of `phaselock`.
MAY_IMPORT: dict[str, tuple[str, ...]] = {
    "__main__": ("cli", "console.message_box"),
    "_native": (),
    "app": (
        "_native",
        "audio",
        "console",
        "desktop.appearance",
        "desktop.controls",
        "guests",
        "internet",
        "language",
        "model",
        "network",
        "os_packages",
        "protocol",
        "python_process",
        "session",
        "storage",
        "sync",
        "ui",
    ),
    "audio": (
        "_native",
        "desktop.bus",
        "model",
        "os_packages",
        "storage.chunks",
        "storage.files",
        "storage.hashing",
        "storage.id3",
        "storage.ogg",
    ),
    "bench": (EVERYTHING,),
    "cli": ("bench", "cli_commands", "console", "language", "model", "session.events", "session.sentences"),
    "cli_commands": ("app", "audio.virtual_device", "console", "model", "tools"),
    "console": ("language", "model", "session.hearing_sentences", *EVENTS),
    "data": (),
    "desktop": (),
    "errors": (),
    "frozen": (),
    "guests": ("language", "model", "protocol.messages", "session.effects", "session.guest_actions", "storage"),
    "internet": ("model.address", "model.invitation", "network.interfaces", "python_process"),
    "language": (),
    "model": (),
    "network": ("audio.interface", "model", "protocol", "session", "storage"),
    "os_packages": (),
    "protocol": ("model",),
    "python_process": (),
    "session": ("model", "protocol"),
    "storage": ("model",),
    "sync": ("_native", "model", "storage.files"),
    "tools": (
        "_native",
        "audio",
        "console",
        "internet",
        "model",
        "network",
        "os_packages",
        "protocol",
        "python_process",
        "session.invitation_sentences",
        "session.states",
        *EVENTS,
        "storage",
        "sync",
        "ui.widgets.logo",
    ),
    "ui": (
        "console.interrupts",
        "desktop.file_dialog",
        "language",
        "model",
        "session.commands",
        "session.events",
        "session.hearing_sentences",
        "session.sentences",
    ),
}

# Modules that only these packages and modules may import. `bench` may import every module of `phaselock`.
ONLY_IN: dict[str, tuple[str, ...]] = {
    "phaselock.app.headless": ("phaselock.cli_commands",),
    "phaselock.app.window": ("phaselock.cli_commands",),
    "phaselock.console": (
        "phaselock.__main__",
        "phaselock.app.headless",
        "phaselock.cli",
        "phaselock.cli_commands",
        "phaselock.tools",
        "phaselock.ui.signals",
    ),
    "phaselock.ui": (
        "phaselock.app.window",
        "phaselock.app.window_backend",
        "phaselock.app.window_guests",
        "phaselock.tools.install_desktop",
    ),
    "_miniaudio": (
        "phaselock.audio.device",
        "phaselock.audio.handles",
        "phaselock.audio.microphone",
        "phaselock.audio.formats",
        "phaselock.bench.lab.capture",
    ),
    "miniaudio": (),  # imports numpy if it is installed; only its C library _miniaudio is needed
    "cryptography": ("phaselock.network.certificate",),
    "h11": ("phaselock.guests.http", "phaselock.bench.lab.guest_client"),
    "wsproto": ("phaselock.guests.http", "phaselock.bench.lab.guest_client"),
    "phaselock.guests": ("phaselock.app.guests", "phaselock.bench"),
    "miniupnpc": ("phaselock.internet.igd",),
    "ssl": ("phaselock.network.secure",),
    "av": ("phaselock.audio.conversion", "phaselock.audio.other_tags"),
    "jeepney": ("phaselock.desktop",),
    "msgpack": ("phaselock.protocol.codec",),
    "PIL": ("phaselock.storage.covers",),
    "zeroconf": ("phaselock.network.discovery", "phaselock.network.multicast"),
    "numpy": ("phaselock.bench",),
    "scipy": ("phaselock.bench",),
    "matplotlib": ("phaselock.bench",),
    "lameenc": ("phaselock.bench",),
    "tkinter": ("phaselock.ui", "phaselock.app.window"),
    "customtkinter": ("phaselock.ui", "phaselock.app.window"),
    "iroh": ("phaselock.internet.iroh_bridge", "phaselock.internet.iroh_process"),
    "asyncio": (
        "phaselock.app",
        "phaselock.bench",
        "phaselock.guests",
        "phaselock.internet",
        "phaselock.network",
        "phaselock.tools",
    ),
}
NEVER_IN: dict[str, tuple[str, ...]] = {
    "phaselock.session.host": ("phaselock.session.peer",),
    "phaselock.session.peer": ("phaselock.session.host",),
    "phaselock.ui.viewmodel": ("tkinter", "customtkinter", "socket", "threading"),
}

# Pure packages use no clock, no random numbers, no threads and no files: all modules that they may import are listed.
PURE = ("phaselock.model", "phaselock.protocol", "phaselock.session")
PURE_MAY_IMPORT = frozenset(
    "__future__ abc bisect collections dataclasses enum functools hashlib hmac ipaddress itertools math operator "
    "re struct types typing unicodedata uuid".split()
)
IMPURE_NAMES = frozenset({"uuid.uuid1", "uuid.uuid4", "uuid.getnode"})


def within(module: str, *packages: str) -> bool:
    return any(module == package or module.startswith(package + ".") for package in packages)


def package_of(module: str) -> str:
    """The name below `phaselock`: "network" for phaselock.network.host; "" for `phaselock` itself."""
    return (module.split(".") + [""])[1]


def imports(module: str, is_package: bool, tree: ast.AST) -> Iterator[str]:
    """Every imported name in the tree, absolute and as precise as possible: package.module.name."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                here = module.split(".") if is_package else module.split(".")[:-1]
                base = ".".join(here[: len(here) - node.level + 1] + ([node.module] if node.module else []))
            yield from (f"{base}.{alias.name}" for alias in node.names)


def breaches(module: str, source: str, *, is_package: bool = False) -> list[str]:
    tree = ast.parse(source)
    found = []
    for name in imports(module, is_package, tree):
        if not is_allowed(module, name):
            found.append(f"{module} imports {name}")
    if within(module, *PURE):
        for node in ast.walk(tree):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
                if f"{node.value.id}.{node.attr}" in IMPURE_NAMES:
                    found.append(f"{module}:{node.lineno} uses random numbers")
    return found


def is_allowed(module: str, name: str) -> bool:
    """Whether `module` may import `name`."""
    package, ours = package_of(module), within(name, "phaselock")
    if any(within(module, one) and within(name, *never) for one, never in NEVER_IN.items()):
        return False
    if ours:
        may_import = MAY_IMPORT.get(package, ())
        if EVERYTHING in may_import:
            return True
        own = (package,) if package else ()
        allowed = (*may_import, *own, *COMMON)
        if not within(name, *(f"phaselock.{one}" for one in allowed)):
            return False
    for one, only_in in ONLY_IN.items():
        if within(name, one) and not within(module, one, *only_in):
            return False
    return ours or not within(module, *PURE) or is_pure(name) or name.partition(".")[0] in ONLY_IN


def is_pure(name: str) -> bool:
    return name.partition(".")[0] in PURE_MAY_IMPORT and name not in IMPURE_NAMES


def modules() -> dict[str, pathlib.Path]:
    paths = sorted(PACKAGE.rglob("*.py"))
    return {".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path for path in paths}


@functools.cache
def all_imports() -> dict[str, set[str]]:
    """What each module imports."""
    return {
        module: set(imports(module, path.name == "__init__.py", ast.parse(path.read_text("utf-8"))))
        for module, path in modules().items()
    }


def arrows() -> package_map.Arrows:
    """The packages that each package imports. Left out: modules that all may import, and the entry point."""
    found: dict[str, frozenset[str]] = {}
    for module, names in all_imports().items():
        package = package_of(module)
        own = (name for name in names if not within(name, *(f"phaselock.{one}" for one in COMMON)))
        below = {package_of(name) for name in own if within(name, "phaselock")} & MAY_IMPORT.keys()
        found[package] = found.get(package, frozenset()) | below - {package}
    return {package: below for package, below in found.items() if below and package != "__main__"}


def table() -> str:
    purposes = {}
    for package in MAY_IMPORT:
        path = next(PACKAGE.glob(f"{package}/__init__.py"), None) or next(PACKAGE.glob(f"{package}.py*"))
        purposes[package] = (ast.get_docstring(ast.parse(path.read_text("utf-8"))) or "").partition("\n\n")[0]
    return package_map.table(MAY_IMPORT, {name: " ".join(text.split()) for name, text in purposes.items()})


def test_every_import_keeps_the_law() -> None:
    found = [
        breach
        for module, path in modules().items()
        for breach in breaches(module, path.read_text("utf-8"), is_package=path.name == "__init__.py")
    ]
    assert found == []


def test_every_permission_is_used() -> None:
    used = {
        package: {name for m, names in all_imports().items() if package_of(m) == package for name in names}
        for package in MAY_IMPORT
    }
    unused = [
        (package, one)
        for package, allowed in MAY_IMPORT.items()
        for one in allowed
        if one != EVERYTHING and not any(within(name, f"phaselock.{one}") for name in used[package])
    ]
    assert unused == []


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("phaselock.model.queue", "import time"),
        ("phaselock.session.host.session", "def f():\n    import random"),
        ("phaselock.session.host.session", "import uuid\nuuid.uuid4()"),
        ("phaselock.session.host.session", "from uuid import uuid4"),
        ("phaselock.session.host.session", "from phaselock.audio.interface import Plan"),
        ("phaselock.session.host.session", "from ...network import runner"),
        ("phaselock.session.host.session", "from phaselock._native import now_ns"),
        ("phaselock.session.host.session", "from phaselock.session.peer.session import PeerSession"),
        ("phaselock.session.peer.session", "from ..host import members"),
        ("phaselock.protocol.messages", "import msgpack"),
        ("phaselock.protocol.framing", "from phaselock.session import host"),
        ("phaselock.audio.player", "from phaselock.session.effects import Send"),
        ("phaselock.audio.player", "import _miniaudio"),
        ("phaselock.audio.device", "import miniaudio"),
        ("phaselock.network.runner", "from phaselock.audio.player import Player"),
        ("phaselock.network.runner", "from phaselock._native import Engine"),
        ("phaselock.network.runner", "import phaselock._native"),
        ("phaselock.network.runner", "import numpy as np"),
        ("phaselock.network.runner", "from phaselock import app"),
        ("phaselock.app.session", "from phaselock.app.headless import run_host"),
        ("phaselock.app.session", "from phaselock.console.output import Terminal"),
        ("phaselock.app.session", "from phaselock.ui.backend import Program"),
        ("phaselock.ui.viewmodel", "import tkinter.font"),
        ("phaselock.ui.viewmodel.sync", "import threading"),
        ("phaselock.ui.screens.jam", "from phaselock.session.host.session import HostSession"),
        ("phaselock.__main__", "from phaselock.app.headless import run"),
        ("phaselock", "from phaselock.model import types"),
    ],
)
def test_a_breach_is_found(module: str, source: str) -> None:
    assert len(breaches(module, source)) == 1


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("phaselock.session.host.session", "import uuid\nfrom phaselock.protocol import messages\nuuid.UUID(int=1)"),
        ("phaselock.sync.clock", "from phaselock._native import now_ns\nfrom ..model import types"),
        ("phaselock.network.runner", "import asyncio, socket, threading\nfrom ..audio.interface import Plan"),
        ("phaselock.cli_commands", "from phaselock import app"),
        ("phaselock.protocol.codec", "import msgpack"),
        ("phaselock.audio.player", "from . import source\nimport threading\nfrom phaselock import _native"),
        ("phaselock.bench.lab.window_states", "from phaselock.app.window import WindowProgram\nimport numpy"),
    ],
)
def test_what_is_allowed_passes(module: str, source: str) -> None:
    assert breaches(module, source) == []


def test_no_import_cycles() -> None:
    known = modules()
    graph = {}
    for module, path in known.items():
        tree = ast.parse(path.read_text("utf-8"))
        at_import = ast.Module([node for node in tree.body if isinstance(node, (ast.Import, ast.ImportFrom))], [])
        names = set(imports(module, path.name == "__init__.py", at_import))
        graph[module] = {name if name in known else name.rpartition(".")[0] for name in names} & known.keys() - {module}
    tuple(graphlib.TopologicalSorter(graph).static_order())  # raises CycleError with the cycle


def test_the_map_shows_the_law_and_the_imports() -> None:
    """If it fails: `python -m tests.test_house` writes the table and the picture."""
    document = README.read_text("utf-8")
    assert package_map.put_between(document, table()) == document
    assert package_map.picture(arrows()) == PICTURE.read_text("utf-8")


@pytest.mark.parametrize("path", list(package_map.call_paths(README.read_text("utf-8"))), ids=lambda path: path[0])
def test_the_call_paths_of_the_map_exist(path: tuple[str, int, list[tuple[str, str]]]) -> None:
    """If it fails: follow the calls from function to function, and write the new path into phaselock/README.md."""
    _, count, steps = path
    missing = [(file, name) for file, name in steps if name not in package_map.defined_in(ROOT / file)]
    assert missing == []
    assert count == len(steps)


def imported_by(code: str, stdin: str = "") -> set[str]:
    """The modules that a new interpreter has loaded after it ran `code`."""
    report = "import atexit, sys; atexit.register(lambda: print('\\nLOADED', *sys.modules, file=sys.__stdout__))\n"
    done = subprocess.run(
        [sys.executable, "-c", report + code],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        input=stdin,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return set(done.stdout.rpartition("LOADED")[2].split())


def test_import_of_the_package_is_instant() -> None:
    assert imported_by("import phaselock") - imported_by("") == {"phaselock"}


def test_the_first_screen_loads_no_dialog_and_no_message_bus() -> None:
    """They would cost it 4 MB of memory."""
    pytest.importorskip("_tkinter", reason="Python was built without tkinter")
    loaded = imported_by("import phaselock.app.window, phaselock.ui.window")
    assert not loaded & {"phaselock.desktop.file_dialog", "jeepney", "secrets", "asyncio", "platformdirs"}


@pytest.mark.parametrize(
    ("arguments", "stdin"),
    [
        (["--help"], ""),
        (["--version"], ""),
        (["host", "--help"], ""),
        (["host", "--backend", "null", "--bind", "127.0.0.1", "--port", "0", "--clock-port", "0"], "quit\n"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_command_line_loads_no_window_and_no_array_library(arguments: list[str], stdin: str) -> None:
    code = f"import runpy; sys.argv = {['phaselock', *arguments]!r}; runpy.run_module('phaselock', run_name='__main__')"
    loaded = imported_by(code, stdin)
    assert "phaselock.cli" in loaded
    assert not loaded & {"tkinter", "customtkinter", "zeroconf", "numpy", "miniaudio"}
    assert not loaded & {"phaselock.guests", "h11", "wsproto"}, "the page for guests is off"
    assert not loaded & {"phaselock.internet", "miniupnpc"}, "nobody is invited"
    assert not loaded & {"phaselock.storage.library", "sqlite3"}, "there is no music folder"


if __name__ == "__main__":
    README.write_text(package_map.put_between(README.read_text("utf-8"), table()), "utf-8")
    PICTURE.write_text(package_map.picture(arrows()), "utf-8")
