"""`phaselock demo`: run a host and some peers as real programs on the loopback, and show how well they keep time."""

from __future__ import annotations

import contextlib
import dataclasses
import importlib.resources
import math
import subprocess
import tempfile
import time
from typing import Any

from phaselock.console.events import MachineSyncMeasured, VerdictTold
from phaselock.console.output import Screen
from phaselock.errors import PhaseLockError
from phaselock.language.message import Message, Words
from phaselock.tools.processes import (
    TIMEOUT_S,
    ProcessGroup,
    Program,
    open_process_group,
    python_command,
    surroundings,
)

TUNE_S = 25
"""Length of the tune in seconds, rounded down."""
SETTLING_S = 3.0
"""The first seconds are not judged: the clocks are not accurate yet."""
PROMISE_US = 1000.0
"""The promise of the README: no two machines are further apart, in µs."""


def run(peers: int, seconds: int, skew_ppm: float, screen: Screen) -> int:
    """Play for `seconds`. Return the exit status: 0 if no two machines were PROMISE_US apart, else 1. PhaseLockError if
    a program fails."""
    tune = importlib.resources.files("phaselock.data") / "tune.mp3"
    with contextlib.ExitStack() as stack:
        tune_path = str(stack.enter_context(importlib.resources.as_file(tune)))
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="phaselock-demo-"))
        stage = stack.enter_context(open_process_group(folder))
        output = "auto" if _has_output(folder) else "null"
        screen.say(_overture(peers, output))
        tunes = [tune_path] * (math.ceil(seconds / TUNE_S) + 1)
        local = ["--session", "demo", "--bind", "127.0.0.1", "--port", "0", "--clock-port", "0"]
        host = stage.start("host", "host", *tunes, *local, "--wait-peers", str(peers), "--play", "--backend", output)
        port = stage.wait_for(host, "session")["port"]
        for number in range(1, peers + 1):
            name = f"peer{number}"
            skew = str(skew_ppm if number % 2 else -skew_ppm)
            cache = f"{folder}/{name}"
            stage.start(
                name, "join", f"127.0.0.1:{port}", "--backend", "null", "--cache", cache, f"--clock-skew-ppm={skew}"
            )
        stage.wait_for(host, "playing")
        worst_us = _watch(stage, seconds, screen)
        host.say("quit")
        screen.say(_table(stage.programs, screen.words))
    good = worst_us < PROMISE_US
    screen.event(VerdictTold(None, good, worst_us if worst_us < math.inf else None, _verdict(worst_us)))
    return 0 if good else 1


def _overture(peers: int, output: str) -> Message:
    if output == "auto":
        return Message.plural(
            "A host and {number} peer on this machine, the host on the default output.",
            "A host and {number} peers on this machine, the host on the default output.",
            peers,
        )
    return Message.plural(
        "A host and {number} peer on this machine, all silent: there is no sound output here.",
        "A host and {number} peers on this machine, all silent: there is no sound output here.",
        peers,
    )


def _verdict(worst_us: float) -> Message:
    """The sentence for this largest distance between two machines in µs; infinite: not known."""
    if worst_us == math.inf:
        return Message("Nobody played for long enough to tell.")
    figure = f"{worst_us:.0f}"
    if worst_us < PROMISE_US:
        return Message("The machines were in phase: at most {figure} us apart, uncertainty included.", figure=figure)
    return Message("The machines were NOT in phase: at most {figure} us apart, uncertainty included.", figure=figure)


def _has_output(folder: str) -> bool:
    """True if this machine has an audio output."""
    listed = subprocess.run(
        python_command("-P", "-m", "phaselock", "devices", "--json"),
        **surroundings(folder),
        capture_output=True,
        encoding="utf-8",
        timeout=TIMEOUT_S,
    )
    return '"event": "output"' in listed.stdout


def _watch(stage: ProcessGroup, seconds: int, screen: Screen) -> float:
    """Show the table for `seconds`. Return the largest distance between two machines in µs, without the first
    SETTLING_S; infinite if it is not known. PhaseLockError if a program reports an error."""
    began = time.monotonic()
    worst_us = -math.inf
    while heard := stage.hear(began + seconds):
        program, event = heard
        if event["event"] == "error":
            raise PhaseLockError(Message.joined(": ", (program.name, event["message"])))
        if event["event"] != "sync":
            continue
        screen.event(_machine_sync(event, program.name))
        screen.show(_table(stage.programs, screen.words))
        if time.monotonic() > began + min(SETTLING_S, seconds / 2):
            worst_us = max(worst_us, _apart_us([program.sync for program in stage.programs]))
    return worst_us if worst_us >= 0 else math.inf


def _machine_sync(event: dict[str, Any], name: str) -> MachineSyncMeasured:
    """The event of the demo for a `sync` event that a program has printed."""
    known = {field.name: event[field.name] for field in dataclasses.fields(MachineSyncMeasured) if field.name in event}
    return MachineSyncMeasured(**{"session_ns": None, **known, "machine": name})


def _apart_us(syncs: list[dict[str, Any]]) -> float:
    """Upper limit of the distance between two of these machines in µs: phase errors and uncertainties as they report
    them. Infinite if one does not play or has an unknown uncertainty."""
    low, high = math.inf, -math.inf
    for sync in syncs:
        if not sync.get("playing") or sync["offset_uncertainty_us"] is None or sync["dac_uncertainty_us"] is None:
            return math.inf
        unsure_us = sync["offset_uncertainty_us"] + sync["dac_uncertainty_us"]
        low = min(low, sync["phase_error_us"] - unsure_us)
        high = max(high, sync["phase_error_us"] + unsure_us)
    return high - low


def _table(programs: list[Program], words: Words) -> str:
    columns = (
        (words.gettext("phase error"), 14),
        (words.gettext("clock within"), 15),
        (words.gettext("drift"), 14),
        (words.gettext("correction"), 14),
    )
    widths = [max(width, len(title) + 2) for title, width in columns]
    titles = (f"{title:>{width}}" for (title, _), width in zip(columns, widths, strict=True))
    lines = [f"{'':8}{''.join(titles)}"]
    for program in programs:
        sync = program.sync
        cells = [
            (sync.get("phase_error_us") if sync.get("playing") else None, "us", "+.1f"),
            (sync.get("offset_uncertainty_us"), "us", ".1f"),
            (sync.get("drift_ppm"), "ppm", "+.2f"),
            (sync.get("correction_ppm"), "ppm", "+.2f"),
        ]
        figures = ("-" if value is None else f"{value:{form}} {unit}" for value, unit, form in cells)
        shown = (f"{figure:>{width}}" for figure, width in zip(figures, widths, strict=True))
        lines.append(f"{program.name:8}{''.join(shown)}")
    return "\n".join(lines)
