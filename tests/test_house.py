"""The import law: which room of the house may know which, and what it may touch of the world outside."""

from __future__ import annotations

import ast
import graphlib
import os
import pathlib
import subprocess
import sys
from collections.abc import Iterator

import pytest

ROOT = pathlib.Path(__file__).parent.parent
HOUSE = ROOT / "phaselock"

ANYONE = "*"
NATIVE = "phaselock._native"

# What both sides of a session share. Neither side knows the other.
SESSION = tuple(
    f"phaselock.session.{name}"
    for name in (
        "commands",
        "effects",
        "events",
        "outbox",
        "playback",
        "sentences",
        "states",
    )
)

# What is told to people and programs, for every front end.
TOLD = tuple(f"phaselock.session.{name}" for name in ("events", "event_json", "sentences"))

# What each room may import of the house, besides itself, `errors` and the version. The longest matching name decides.
ROOMS: dict[str, tuple[str, ...]] = {
    "phaselock": (),
    "phaselock.__main__": ("phaselock.cli",),
    "phaselock.cli": (
        "phaselock.app",
        "phaselock.audio.virtual_device",
        "phaselock.bench",
        "phaselock.console",
        "phaselock.session.commands",
        *TOLD,
        "phaselock.tools",
    ),
    "phaselock.app": (
        "phaselock.audio",
        "phaselock.console",
        "phaselock.model",
        "phaselock.network",
        "phaselock.protocol.messages",
        "phaselock.session",
        "phaselock.storage",
        "phaselock.sync",
        "phaselock.ui",
        NATIVE,
    ),
    "phaselock.app.session": (
        "phaselock.app.importer",
        "phaselock.audio",
        "phaselock.model",
        "phaselock.network",
        "phaselock.session",
        "phaselock.storage",
        "phaselock.sync",
        NATIVE,
    ),
    "phaselock.app.importer": (
        "phaselock.audio.mp3_file",
        "phaselock.model",
        "phaselock.protocol.messages",
        *TOLD,
        "phaselock.storage",
    ),
    "phaselock.app.shell": (
        "phaselock.app.importer",
        "phaselock.audio.interface",
        "phaselock.model",
        "phaselock.network",
        "phaselock.session",
        "phaselock.storage",
    ),
    "phaselock.bench": (ANYONE,),
    "phaselock.console": ("phaselock.model", *TOLD),
    "phaselock.data": (),
    "phaselock.errors": (),
    "phaselock.tools": (
        "phaselock.audio",
        "phaselock.console",
        "phaselock.data",
        "phaselock.model",
        "phaselock.network",
        "phaselock.protocol",
        "phaselock.session.states",
        *TOLD,
        "phaselock.storage",
        "phaselock.sync",
        NATIVE,
    ),
    "phaselock.model": (),
    "phaselock.protocol": ("phaselock.model",),
    "phaselock.session": ("phaselock.model", "phaselock.protocol"),
    "phaselock.session.host": ("phaselock.model", "phaselock.protocol", *SESSION),
    "phaselock.session.peer": ("phaselock.model", "phaselock.protocol", *SESSION),
    "phaselock.audio": ("phaselock.model", NATIVE),
    "phaselock.sync": ("phaselock.model", "phaselock.storage.files", NATIVE),
    "phaselock.storage": ("phaselock.model",),
    "phaselock.network": (
        "phaselock.model",
        "phaselock.protocol",
        "phaselock.session",
        "phaselock.storage",
        "phaselock.audio.interface",
        f"{NATIVE}.now_ns",
    ),
    "phaselock.ui": ("phaselock.model", "phaselock.session.commands", *TOLD),
}
ONLY_CLI_IMPORTS = ("phaselock.app.headless", "phaselock.app.window", "phaselock.tools")

# Pure rooms see no clock, no chance, no thread and no file: what they may import at all is listed.
PURE = ("phaselock.model", "phaselock.protocol", "phaselock.session")
PURE_MAY_IMPORT = frozenset(
    "__future__ abc bisect collections dataclasses enum functools hashlib hmac ipaddress itertools math operator re "
    "struct types typing unicodedata uuid".split()
)
IMPURE_NAMES = frozenset({"uuid.uuid1", "uuid.uuid4", "uuid.getnode"})

# Modules from outside that only some may touch, wherever else they would be at hand.
ONLY_IN: dict[str, tuple[str, ...]] = {
    "_miniaudio": (
        "phaselock.audio.device",
        "phaselock.audio.handles",
        "phaselock.audio.decoder",
        "phaselock.bench.lab.capture",
    ),
    "miniaudio": (),  # imports numpy where there is one; its C library _miniaudio is all that is needed
    "msgpack": ("phaselock.protocol.codec",),
    "zeroconf": ("phaselock.network.discovery",),
    "numpy": ("phaselock.bench",),
    "scipy": ("phaselock.bench",),
    "matplotlib": ("phaselock.bench",),
    "lameenc": ("phaselock.bench",),
    "tkinter": ("phaselock.ui", "phaselock.app.window"),
    "customtkinter": ("phaselock.ui", "phaselock.app.window"),
    "asyncio": ("phaselock.app", "phaselock.bench", "phaselock.network", "phaselock.tools"),
}
NEVER_IN: dict[str, tuple[str, ...]] = {"phaselock.ui.viewmodel": ("tkinter", "customtkinter", "socket", "threading")}


def within(module: str, room: str) -> bool:
    return module == room or module.startswith(room + ".")


def room_of(module: str) -> str:
    return max((room for room in ROOMS if within(module, room)), key=len)


def imports(module: str, is_package: bool, tree: ast.AST) -> Iterator[str]:
    """Every name imported anywhere in the tree, absolute, the most precise that can be told: package.module.name."""
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
    room = room_of(module)
    pure = any(within(module, one) for one in PURE)
    found = []
    for name in imports(module, is_package, tree):
        top = name.partition(".")[0]
        if top == "phaselock":
            own = () if room == "phaselock" else (room,)
            allowed = (*ROOMS[room], *own, "phaselock.errors", "phaselock.__version__")
            above = any(within(name, one) and not within(module, one) for one in ONLY_CLI_IMPORTS)
            if above and room not in ("phaselock.cli", "phaselock.bench"):
                found.append(f"{module} imports {name}: only cli may")
            elif ANYONE not in allowed and not any(within(name, one) for one in allowed):
                found.append(f"{module} imports {name}")
            continue
        if any(top in never for of, never in NEVER_IN.items() if within(module, of)):
            found.append(f"{module} imports {name}")
        elif top in ONLY_IN:
            if not any(within(module, one) for one in ONLY_IN[top]):
                found.append(f"{module} imports {name}")
        elif pure and (top not in PURE_MAY_IMPORT or name in IMPURE_NAMES):
            found.append(f"{module} imports {name}: it must stay pure")
    if pure:
        for node in ast.walk(tree):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
                if f"{node.value.id}.{node.attr}" in IMPURE_NAMES:
                    found.append(f"{module}:{node.lineno} calls on chance")
    return found


def modules() -> dict[str, pathlib.Path]:
    paths = sorted(HOUSE.rglob("*.py"))
    return {".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path for path in paths}


def test_every_import_keeps_the_law() -> None:
    found = [
        breach
        for module, path in modules().items()
        for breach in breaches(module, path.read_text("utf-8"), is_package=path.name == "__init__.py")
    ]
    assert found == []


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("phaselock.model.queue", "import time"),
        ("phaselock.session.host.session", "def f():\n    import random"),
        ("phaselock.session.host.session", "import uuid\nuuid.uuid4()"),
        ("phaselock.session.host.session", "from uuid import uuid4"),
        ("phaselock.session.host.session", "from phaselock.audio.interface import Plan"),
        ("phaselock.session.host.session", "from ..network import runner"),
        ("phaselock.session.host.session", "from phaselock._native import now_ns"),
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
        ("phaselock.network.runner", "from phaselock._native import now_ns\nfrom ..audio.interface import Plan"),
        ("phaselock.network.runner", "import asyncio, socket, threading"),
        ("phaselock.cli", "from phaselock import app"),
        ("phaselock.protocol.codec", "import msgpack"),
        ("phaselock.audio.player", "from . import source\nimport threading\nfrom phaselock import _native"),
    ],
)
def test_what_is_allowed_passes(module: str, source: str) -> None:
    assert breaches(module, source) == []


def test_no_module_needs_itself_to_be_imported() -> None:
    known = modules()
    graph = {}
    for module, path in known.items():
        tree = ast.parse(path.read_text("utf-8"))
        at_import = ast.Module([node for node in tree.body if isinstance(node, (ast.Import, ast.ImportFrom))], [])
        names = set(imports(module, path.name == "__init__.py", at_import))
        graph[module] = {name if name in known else name.rpartition(".")[0] for name in names} & known.keys() - {module}
    tuple(graphlib.TopologicalSorter(graph).static_order())  # raises CycleError with the cycle


def imported_by(code: str, stdin: str = "") -> set[str]:
    """The modules that a fresh interpreter has loaded when `code` has run to its end."""
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
