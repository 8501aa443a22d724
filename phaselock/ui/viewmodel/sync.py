"""How accurately the machines play together: the chips, the sentence and the numbers."""

from __future__ import annotations

import dataclasses

from phaselock.model.notices import Code, Notice
from phaselock.model.snapshot import PeerView, SessionSnapshot
from phaselock.model.timing import TIMING_SENTENCES, Timing
from phaselock.session.sentences import notice_text
from phaselock.ui.backend import SessionView
from phaselock.ui.viewmodel.rows import item_of
from phaselock.ui.viewmodel.toasts import NO_OUTPUT
from phaselock.ui.viewmodel.values import Chip, Kind, SyncReadout, SyncView
from phaselock.ui.viewmodel.words import NNBSP, listed, ms_text, within_text

GOOD_NS = 1_000_000
"""The promise of PhaseLock, in ns: no two loudspeakers are further apart."""
COARSE_NS = 10_000_000
"""Uncertainties from this one on, in ns, are shown in milliseconds."""
MEASURING = "Measuring…"
NOTHING_PLAYING = notice_text(Notice(Code.NOTHING_PLAYING))


@dataclasses.dataclass(frozen=True, slots=True)
class Machine:
    """One loudspeaker of the session, as far as this machine knows."""

    key: int
    """0: this machine; else the peer's id."""
    name: str
    state: str
    """"playing", or why there is no phase error: "unknown", "untold" (it plays, but the delay of its output is not
    known), "no output", "clock", "idle" or "no file"."""
    sounds: bool
    """True if it should be heard now."""
    error_ns: int = 0
    uncertainty_ns: int = 0
    drift_ppm: float | None = 0.0
    correction_ppm: float | None = None
    underruns: int = 0

    @property
    def bound_ns(self) -> int:
        """Upper limit of its distance from the timeline."""
        return abs(self.error_ns) + self.uncertainty_ns


def sounding(snapshot: SessionSnapshot) -> bool:
    """True if a track plays or is about to start."""
    return snapshot.timeline is not None and snapshot.timeline.stop_session_ns is None


def machines(state: SessionView) -> tuple[Machine, ...]:
    """All machines of the session: this one first, then the peers in the order of joining."""
    return (own_machine(state), *(peer_machine(state.snapshot, peer) for peer in state.snapshot.peers))


def own_machine(state: SessionView) -> Machine:
    """This machine."""
    own, name, sounds = state.own, state.snapshot.display_name, sounding(state.snapshot)
    if own is None:
        return Machine(0, name, "unknown", sounds)
    clock_ns = 0 if state.hosting else own.clock_uncertainty_ns
    if own.device_name is None:
        what = "no output"
    elif clock_ns is None:
        what = "clock"
    elif not sounds or not own.playing:
        what = "idle"
    else:
        what = _heard(own.timing, own.dac_uncertainty_ns)
    uncertainty_ns = (clock_ns or 0) + (own.dac_uncertainty_ns or 0)
    figures = own.phase_error_ns, uncertainty_ns, own.drift_ppm, own.correction_ppm, own.underruns
    return Machine(0, name, what, own.playing and sounds, *figures)


def peer_machine(snapshot: SessionSnapshot, peer: PeerView) -> Machine:
    """A peer, from its newest report to the host."""
    sounds, now = sounding(snapshot), snapshot.now
    if not peer.reported:
        return Machine(peer.peer_id, peer.name, "unknown", sounds)
    uncertainty_ns = (peer.offset_uncertainty_ns or 0) + (peer.dac_uncertainty_ns or 0)
    has_it = now is None or now.id in peer.have or item_of(snapshot.queue, now.id) is None
    if peer.device_name is None:
        what = "no output"
    elif not peer.clock_usable or peer.clock_stale or peer.offset_uncertainty_ns is None:
        what = "clock"
    elif not sounds:
        what = "idle"
    elif not has_it:
        what = "no file"
    else:
        what = _heard(peer.timing, peer.dac_uncertainty_ns)
    figures = peer.phase_error_ns, uncertainty_ns, peer.drift_ppb / 1e3, None, peer.underruns
    return Machine(peer.peer_id, peer.name, what, sounds and has_it, *figures)


def _heard(timing: Timing, uncertainty_ns: int | None) -> str:
    """The state of a machine that should be heard."""
    if timing == "unknown":
        return "untold"
    return "unknown" if uncertainty_ns is None else "playing"


def chip(machine: Machine) -> Chip:
    """The chip of a machine: the limit of its phase error, or why there is none."""
    match machine.state:
        case "playing":
            return Chip(f"±{within_text(machine.bound_ns)}", "good" if machine.bound_ns < GOOD_NS else "warning")
        case "no output":
            return Chip("no output", "error")
        case "untold":
            return Chip("delay?", "warning")
        case "idle" | "no file":
            return Chip("not playing", "neutral")
        case "unknown" if not machine.sounds:
            return Chip("not playing", "neutral")
        case _:
            return Chip("clock?", "neutral")


def sync_view(state: SessionView) -> SyncView:
    """The sentence about the session and the numbers of all machines."""
    all_ = machines(state)
    sentence, kind = _together(all_) if state.hosting else _alone(all_[0])
    if not sounding(state.snapshot):
        sentence, kind = NOTHING_PLAYING, "neutral"
    return SyncView(sentence, kind, tuple(map(_readout, all_)))


def _together(all_: tuple[Machine, ...]) -> tuple[str, Kind]:
    """The host's sentence while something plays."""
    playing = [machine for machine in all_ if machine.state == "playing"]
    untold = [machine for machine in all_ if machine.state == "untold"]
    missing = [machine for machine in all_ if machine.state in ("untold", "no output", "clock", "no file")]
    silent = [_why(machine) for machine in missing]
    off = [f"{_name(machine)} is {_late(machine)}" for machine in playing if abs(machine.error_ns) >= GOOD_NS]
    if off:
        return f"{listed(off)}.", "warning"
    if len(playing) + len(silent) < len(all_):
        return MEASURING, "neutral"
    if len(all_) == 1:
        return ("This speaker plays alone.", "neutral") if playing or untold else (f"{silent[0]}.", "error")
    if len(playing) > 1:
        how_many = f"{len(playing)} of {len(all_)}" if silent else "Both" if len(all_) == 2 else f"All {len(all_)}"
        apart_ns = _apart_ns(playing)
        text = f"{how_many} speakers within {within_text(apart_ns)}"
        good = apart_ns < GOOD_NS and not silent
    elif untold:
        text, good = "How far apart they play is not known", False
    else:
        text, good = f"Only {_name(playing[0], 'this speaker')} plays" if playing else "Nobody plays", False
    more = f" and {len(silent) - 1} more" if len(silent) > 1 else ""
    return (f"{text}. {silent[0]}{more}." if silent else text), "good" if good else "warning"


def _alone(machine: Machine) -> tuple[str, Kind]:
    """A peer's sentence while something plays."""
    match machine.state:
        case "no output":
            return NO_OUTPUT, "error"
        case "idle":
            return "This speaker is not playing.", "neutral"
        case "playing" if abs(machine.error_ns) >= GOOD_NS:
            return f"This speaker is {_late(machine)}.", "warning"
        case "playing":
            good = machine.bound_ns < GOOD_NS
            text = f"This speaker is within {within_text(machine.bound_ns)} of the host."
            return text, "good" if good else "warning"
        case "untold":
            return TIMING_SENTENCES["unknown"], "warning"
        case _:
            return MEASURING, "neutral"


def _apart_ns(playing: list[Machine]) -> int:
    """Upper limit of the distance between two of these machines."""
    edges = [(m.error_ns - m.uncertainty_ns, m.error_ns + m.uncertainty_ns) for m in playing]
    return max(high - low for i, (low, _) in enumerate(edges) for j, (_, high) in enumerate(edges) if i != j)


def _name(machine: Machine, own: str = "This speaker") -> str:
    return machine.name if machine.key else own


def _late(machine: Machine) -> str:
    return f"{ms_text(abs(machine.error_ns))} {'early' if machine.error_ns > 0 else 'late'}"


def _why(machine: Machine) -> str:
    """Why a machine is silent, or why its phase error is not known."""
    if machine.state == "untold":
        return f"The output of {_name(machine, 'this machine')} does not tell its delay"
    if machine.state == "no output":
        return f"{_name(machine, 'This machine')} has no audio output"
    return f"{machine.name} " + ("has not got the song" if machine.state == "no file" else "is not in time")


def _readout(machine: Machine) -> SyncReadout:
    playing = machine.state == "playing"
    known = machine.state not in ("unknown", "clock", "no output")
    return SyncReadout(
        machine.name,
        f"{machine.error_ns / 1e3:+.0f}{NNBSP}µs" if playing else "–",
        f"±{_uncertainty(machine.uncertainty_ns)}" if playing else "–",
        _ppm(machine.drift_ppm) if known else "–",
        _ppm(machine.correction_ppm) if playing else "–",
        machine.underruns,
    )


def _uncertainty(ns: int) -> str:
    return f"{ns / 1e3:.0f}{NNBSP}µs" if ns < COARSE_NS else within_text(ns)


def _ppm(value: float | None) -> str:
    return "–" if value is None else f"{value:+.1f}{NNBSP}ppm"
