"""What commands other than a running session tell: one class an event, as in session/events.py."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from phaselock.frozen import frozen
from phaselock.model.timing import Timing
from phaselock.session.events import INLINE, Event, SyncMeasured

# -- phaselock sessions, devices and log -------------------------------------------------------------------------------


@frozen
class SessionFound(Event):
    """`phaselock sessions`: a session on this network, as it announces itself."""

    event_name: ClassVar[str] = "found"

    session_name: str
    """Its name."""
    host_name: str
    """The display name of its host."""
    peers: int
    """How many peers are there."""
    max_peers: int
    """How many may be there."""
    addresses: tuple[str, ...]
    """IP addresses of the host, in the order to try."""
    port: int
    """TCP, 1 to 65535."""
    session_id: str
    """Hexadecimal; tells sessions of the same name apart."""
    version: int
    """Of the protocol."""
    needs_code: bool
    """A machine that joins is asked for the code that the host shows."""
    host_key: str
    """The first 16 bytes of the SHA-256 of the host's certificate, hexadecimal; empty: not announced."""
    full: bool
    """No further peer may join."""
    address: str
    """What `phaselock join` takes."""


@frozen
class OutputListed(Event):
    """`phaselock devices`: an audio output of this machine."""

    event_name: ClassVar[str] = "output"

    backend: str
    """The sound system."""
    name: str
    """What `--device` takes."""
    default: bool
    """The system's own choice."""
    timing: Timing
    """How well its delay is known: "exact", "told" or "unknown"."""
    link: str
    """How the sound leaves it: "wire", "hdmi", "bluetooth", "server" or "pipewire-jack"."""


@frozen
class PriorityTold(Event):
    """`phaselock devices`: the priority that an audio thread of this program gets."""

    event_name: ClassVar[str] = "priority"

    priority: Literal["unknown", "normal", "raised", "real-time"]
    """The priority."""
    message: str
    """A sentence about it."""
    fix: str
    """What to do about it, perhaps several lines; empty where nothing needs to be done."""


@frozen
class LogShown(Event):
    """`phaselock log`: the log file and its end."""

    event_name: ClassVar[str] = "log"

    path: str
    """The file."""
    lines: tuple[str, ...]
    """Its last lines."""


# -- phaselock doctor, demo and trace ----------------------------------------------------------------------------------


Level = Literal["ok", "hint", "problem"]


@frozen
class Finding:
    """What one check of `phaselock doctor` found."""

    id: str
    """The check; stable."""
    level: Level
    """ "problem": the exit status is 1."""
    message: str
    """A sentence about it."""
    fix: str = ""
    """What to do about it, perhaps several lines; empty where nothing needs to be done."""
    figures: Mapping[str, object] = dataclasses.field(default_factory=dict)
    """What was measured, by name with unit."""


@frozen
class FindingTold(Event):
    """`phaselock doctor`: a finding."""

    event_name: ClassVar[str] = "finding"

    finding: Finding = dataclasses.field(metadata=INLINE)
    """The finding; `--json` prints these fields in the event itself."""


@frozen
class MachineSyncMeasured(SyncMeasured):
    """`phaselock demo`: a `sync` of one of its programs."""

    event_name: ClassVar[str] = "sync"

    machine: str
    """ "host", "peer1", "peer2" and so on."""


@frozen
class VerdictTold(Event):
    """`phaselock demo`: the result."""

    event_name: ClassVar[str] = "verdict"

    good: bool
    """All programs stayed within a millisecond of each other."""
    worst_us: float | None
    """How far apart two of them were at most, uncertainty included, in microseconds; null: not long enough to tell."""
    message: str
    """A sentence about it."""


@frozen
class Recording(Event):
    """`phaselock trace`: twice a second while it records."""

    event_name: ClassVar[str] = "recording"

    seconds: float
    """Since it began."""
    exchanges: int
    """Exchanges with the host's clock so far."""


@frozen
class TraceWritten(Event):
    """`phaselock trace`: the trace is written."""

    event_name: ClassVar[str] = "trace"

    path: str
    """The file."""
    recorded: str
    """When it began: ISO 8601, UTC."""
    seconds: float
    """How long it took."""
    session: str
    """The name of the session."""
    host: str
    """The display name of its host."""
    exchanges: int
    """Exchanges with the host's clock."""
    loss: float
    """The share of pings without an answer, 0 to 1."""
    rtt_p50_us: float | None
    """Median round trip in microseconds; null without an exchange."""
    rtt_p95_us: float | None
    """95th percentile of the round trips in microseconds; null without an exchange."""
    uncertainty_us: float | None
    """At the end the host's clock is known to within this, in microseconds; null: not known."""


# -- phaselock bench ---------------------------------------------------------------------------------------------------


@frozen
class BenchProgressed(Event):
    """`phaselock bench`: once a second."""

    event_name: ClassVar[str] = "progress"

    benchmark: str
    """The benchmark that runs."""
    done: float
    """0 to 1."""
    doing: str
    """What it does now, for people."""
    elapsed_s: float
    """Seconds since it began."""
    left_s: float | None
    """Estimated seconds to its end; null: not known yet."""


@frozen
class BenchEnded(Event):
    """`phaselock bench`: the result."""

    event_name: ClassVar[str] = "bench"

    complete: bool
    """All of it was measured and written."""
    folder: str
    """Where report.html and run.json are."""
    figures: tuple[Mapping[str, Any], ...]
    """Each with `benchmark`, `case`, `name`, `unit`, `better` and `values`, as in run.json."""
    problems: tuple[str, ...]
    """What went wrong, a sentence each."""
    message: str
    """A sentence about it."""


@frozen
class TableMade(Event):
    """`phaselock bench table`: the table of a result."""

    event_name: ClassVar[str] = "table"

    markdown: str
    """The table."""


@frozen
class FigureCompared(Event):
    """`phaselock bench compare`: a figure of two results."""

    event_name: ClassVar[str] = "compared"

    comparison: Mapping[str, Any] = dataclasses.field(metadata=INLINE)
    """`benchmark`, `case`, `figure`, `unit`, the verdict and both sides; `--json` prints these in the event itself."""


@frozen
class RunsCompared(Event):
    """`phaselock bench compare`: the result."""

    event_name: ClassVar[str] = "comparison"

    counts: Mapping[str, int]
    """How many figures have each verdict."""
    tested: int
    """How many figures could be tested for better or worse."""
    likely_by_chance: float
    """How many of them chance alone makes look different."""
    worse: bool
    """At least one got worse for certain: the exit status is 1."""


@frozen
class SignalWritten(Event):
    """`phaselock bench measure --signal`: the test signal is written."""

    event_name: ClassVar[str] = "signal"

    path: str
    """The file."""
    message: str
    """What to do with it."""
