"""`phaselock demo`: run a host and some peers as real programs on the loopback, and show how well they keep time."""

from __future__ import annotations

import contextlib
import dataclasses
import importlib.resources
import math
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from typing import Any

from phaselock.console.columns import Column, table, width
from phaselock.console.events import MachineSyncMeasured, VerdictTold
from phaselock.console.output import Screen
from phaselock.errors import PhaseLockError
from phaselock.language.message import N_, Figure, Message, Words
from phaselock.python_process import python_command
from phaselock.tools.processes import (
    TIMEOUT_S,
    ProcessGroup,
    Program,
    open_process_group,
    surroundings,
)

TUNE_TITLE = "Phase"
"""The title in the tags of the tune."""
TUNE_S = 25
"""Length of the tune in seconds, rounded down."""
SETTLING_S = 3.0
"""The first seconds are not judged: the clocks are not accurate yet."""
PROMISE_US = 1000.0
"""The promise of the README: no two machines are further apart, in µs."""
SOUND_CM_PER_US = 0.0343
"""Speed of sound in air."""
BAR_COLUMNS = 30
SECONDS_A_DAY = 86_400
COLUMNS = (
    Column(""),
    Column(N_("apart now"), right=True),
    Column(N_("at most"), right=True),
    Column(N_("its clock"), leave_out=1),
)


def run(peers: int, seconds: int, skew_ppm: float, screen: Screen) -> int:
    """Play for `seconds`. Return the exit status: 0 if no two machines were PROMISE_US apart, else 1. PhaseLockError if
    a program fails."""
    screen.say(_overture(peers))
    screen.show(Message("Looking for the sound output…"))
    tune = importlib.resources.files("phaselock.data") / "tune.mp3"
    with contextlib.ExitStack() as stack:
        tune_path = str(stack.enter_context(importlib.resources.as_file(tune)))
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="phaselock-demo-"))
        stage = stack.enter_context(open_process_group(folder))
        output = "auto" if _has_output(folder) else "null"
        if output == "auto":
            screen.say(Message("You hear the host on the default output; the peers are silent."))
        else:
            screen.say(Message("There is no sound output here, so all are silent. The measurement is the same."))
        screen.show(Message("Starting the host…"))
        tunes = [tune_path] * (math.ceil(seconds / TUNE_S) + 1)
        local = ["--session", "demo", "--bind", "127.0.0.1", "--port", "0", "--clock-port", "0"]
        host = stage.start("host", "host", *tunes, *local, "--wait-peers", str(peers), "--play", "--backend", output)
        port = stage.wait_for(host, "session")["port"]
        screen.show(Message("Starting the peers…"))
        for number in range(1, peers + 1):
            name = f"peer{number}"
            skew = str(skew_ppm if number % 2 else -skew_ppm)
            cache = f"{folder}/{name}"
            stage.start(
                name, "join", f"127.0.0.1:{port}", "--backend", "null", "--cache", cache, f"--clock-skew-ppm={skew}"
            )
        for _ in range(peers):
            stage.wait_for(host, "peer_joined")
        doing = Message("Sending the tune, and comparing the clocks…")
        screen.show(doing)
        stage.wait_for(
            host, "playing", lambda waited_s: screen.show(Message("{text} {number} s", text=doing, number=waited_s))
        )
        measured = _watch(stage, seconds, screen)
        host.say("quit")
        screen.say("\n".join(_table(stage.programs, measured, screen)))
    good = measured.worst_us < PROMISE_US
    worst_us = measured.worst_us if measured.worst_us < math.inf else None
    screen.event(VerdictTold(None, good, worst_us, _verdict(measured.worst_us)))
    screen.say(Message("Now: {command}", command=_own_command() + ("" if good else " doctor")))
    return 0 if good else 1


@dataclasses.dataclass(slots=True)
class Measured:
    """How far each machine was from any of the others, in µs: now, and at most since the clocks are accurate. Infinite:
    not known."""

    now_us: list[float]
    most_us: list[float] | None = None

    @property
    def worst_us(self) -> float:
        """The largest distance between two machines; infinite: not known."""
        return max(self.most_us) if self.most_us else math.inf

    def take(self, now_us: list[float], *, judged: bool) -> None:
        """Take in new distances. They count for `most_us` if they are `judged`."""
        self.now_us = now_us
        if judged:
            self.most_us = list(map(max, now_us, self.most_us or now_us))


def _overture(peers: int) -> Message:
    return Message.plural(
        "Playing a tune with a host and {number} peer, all on this machine.",
        "Playing a tune with a host and {number} peers, all on this machine.",
        peers,
    )


def _verdict(worst_us: float) -> Message:
    """The sentence for this largest distance between two machines in µs; infinite: not known."""
    if worst_us == math.inf:
        return Message("Nobody played for long enough to tell.")
    values = {"time": _ms(worst_us), "air": max(1, round(worst_us * SOUND_CM_PER_US))}
    if worst_us < PROMISE_US:
        return Message("In phase: within {time} ms ({air} cm of air).", **values)
    return Message("NOT in phase: {time} ms apart ({air} cm of air).", **values)


def _ms(time_us: float) -> Figure:
    """A time in ms, rounded up: it is an upper limit."""
    return Figure(math.ceil(time_us / 10) / 100, ".2f")


def _own_command() -> str:
    """What the user types to start this program."""
    program = sys.argv[0]
    name = os.path.basename(program)
    found = shutil.which(name)
    if name == "__main__.py":
        return f"{shlex.quote(os.path.basename(sys.executable))} -m phaselock"
    if found and os.path.realpath(found) == os.path.realpath(program):
        return name
    return shlex.quote(program) if os.name == "posix" else program


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


def _watch(stage: ProcessGroup, seconds: int, screen: Screen) -> Measured:
    """Show a bar of time and the table for `seconds`. Return the distances, judged without the first SETTLING_S.
    PhaseLockError if a program reports an error."""
    began = time.monotonic()
    measured = Measured([math.inf] * len(stage.programs))
    while heard := stage.hear(began + seconds):
        program, event = heard
        if event["event"] == "error":
            raise PhaseLockError(Message.joined(": ", (program.name, event["message"])))
        if event["event"] != "sync":
            continue
        screen.event(_machine_sync(event, program.name))
        passed_s = time.monotonic() - began
        distances_us = _distances_us([program.sync for program in stage.programs])
        measured.take(distances_us, judged=passed_s > min(SETTLING_S, seconds / 2))
        screen.show("\n".join([_bar(passed_s, seconds, screen), *_table(stage.programs, measured, screen)]))
    return measured


def _bar(passed_s: float, seconds: int, screen: Screen) -> str:
    """The tune, and how much of the time has passed."""
    passed_s = min(passed_s, seconds)
    text = screen.words.gettext("{passed} of {seconds} s").format(passed=int(passed_s), seconds=seconds)
    room = max(0, min(BAR_COLUMNS, screen.columns - width(f"♪ {TUNE_TITLE}  {text}") - 4))
    done = round(room * passed_s / seconds)
    return f"♪ {TUNE_TITLE}  {'█' * done}{'░' * (room - done)}  {text}"


def _machine_sync(event: dict[str, Any], name: str) -> MachineSyncMeasured:
    """The event of the demo for a `sync` event that a program has printed."""
    known = {field.name: event[field.name] for field in dataclasses.fields(MachineSyncMeasured) if field.name in event}
    return MachineSyncMeasured(**{"session_ns": None, **known, "machine": name})


def _distances_us(syncs: Sequence[dict[str, Any]]) -> list[float]:
    """Upper limits of the distance of each machine from any of the others in µs, by the phase errors and uncertainties
    that they report. Infinite if one does not play or has an unknown uncertainty."""
    ranges = list(map(_range_us, syncs))
    return [
        max(max(mine[1], other[1]) - min(mine[0], other[0]) for at, other in enumerate(ranges) if at != place)
        for place, mine in enumerate(ranges)
    ]


def _range_us(sync: dict[str, Any]) -> tuple[float, float]:
    """The smallest and the largest error that the machine may have, in µs."""
    if not sync.get("playing") or sync["offset_uncertainty_us"] is None or sync["dac_uncertainty_us"] is None:
        return -math.inf, math.inf
    unsure_us = sync["offset_uncertainty_us"] + sync["dac_uncertainty_us"]
    return sync["phase_error_us"] - unsure_us, sync["phase_error_us"] + unsure_us


def _table(programs: Sequence[Program], measured: Measured, screen: Screen) -> list[str]:
    columns = [
        Column(screen.words.gettext(one.title) if one.title else "", one.right, False, one.leave_out) for one in COLUMNS
    ]
    most_us = measured.most_us or [math.inf] * len(programs)
    rows = [
        (program.name, *(_apart(us, screen.words) for us in pair), _clock(program, screen.words, hosting=not place))
        for place, (program, *pair) in enumerate(zip(programs, measured.now_us, most_us, strict=True))
    ]
    return table(columns, rows, screen.columns)


def _apart(distance_us: float, words: Words) -> str:
    if distance_us == math.inf:
        return "-"
    return words.gettext("{figure} ms").format(figure=_ms(distance_us).translated(words))


def _clock(program: Program, words: Words, *, hosting: bool) -> str:
    """How wrong the own clock of this machine is, which PhaseLock corrects."""
    if hosting:
        return words.gettext("sets the time")
    drift_ppm = program.sync.get("drift_ppm")
    if drift_ppm is None:
        return "-"
    off_s = abs(drift_ppm) * 1e-6 * SECONDS_A_DAY
    if off_s < 0.1:
        return words.gettext("right")
    form = words.gettext("{figure} s a day slow") if drift_ppm > 0 else words.gettext("{figure} s a day fast")
    return form.format(figure=Figure(off_s, ".1f").translated(words))
