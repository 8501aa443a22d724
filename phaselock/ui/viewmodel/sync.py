"""How accurately the machines play together: the chips, the sentence and the numbers."""

from __future__ import annotations

import dataclasses

from phaselock.frozen import frozen
from phaselock.language.catalogue import current, moment_text, tr, tr_plural
from phaselock.language.message import N_, joined
from phaselock.model.calibration import Confirmation
from phaselock.model.distance import FAR_AWAY, FAR_SENTENCE, is_far
from phaselock.model.notices import Code
from phaselock.model.snapshot import PeerView, SessionSnapshot
from phaselock.model.timing import TIMING_SENTENCES, Timing
from phaselock.session.hearing_sentences import confirmed_text
from phaselock.ui.backend import SessionView
from phaselock.ui.viewmodel.rows import item_of
from phaselock.ui.viewmodel.values import Chip, Kind, SyncReadout, SyncView
from phaselock.ui.viewmodel.words import NNBSP, code_text, latency_text, ms_text, number_text, ppm_text, within_text

GOOD_NS = 1_000_000
"""The promise of PhaseLock, in ns: no two loudspeakers are further apart."""
COARSE_NS = 10_000_000
"""Uncertainties from this one on, in ns, are shown in milliseconds."""
MEASURING = N_("Measuring…")
_SILENT_HERE = {
    "untold": N_("The output of this machine does not tell its delay"),
    "no_output": N_("This machine has no audio output"),
}
_SILENT_PEER = {
    "untold": N_("The output of {name} does not tell its delay"),
    "no_output": N_("{name} has no audio output"),
    "clock": N_("{name} is not in time"),
    "no_file": N_("{name} has not got the song"),
}
"""Why a machine in this state is silent, or why its phase error is not known. The host has its clock and its files."""
MAX_READOUTS = 10
"""Most machines whose figures are shown one by one."""


@frozen
class Machine:
    """One loudspeaker of the session, as far as this machine knows."""

    key: int
    """0: this machine; else the peer's id."""
    name: str
    state: str
    """"playing", or why there is no phase error: "unknown", "untold" (it plays, but the delay of its output is not
    known), "no_output", "clock", "idle" or "no_file"."""
    sounds: bool
    """True if it should be heard now."""
    error_ns: int = 0
    uncertainty_ns: int = 0
    drift_ppm: float | None = 0.0
    correction_ppm: float | None = None
    underruns: int = 0
    confirmed: Confirmation | None = None
    away_ns: int | None = None
    """One way to the host, if the machine is far; None: it is not."""

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
    confirmed = state.snapshot.confirmed
    if own is None:
        return Machine(0, name, "unknown", sounds)
    clock_ns = 0 if state.hosting else own.clock_uncertainty_ns
    if own.device_name is None:
        what = "no_output"
    elif clock_ns is None:
        what = "clock"
    elif not sounds or not own.playing:
        what = "idle"
    else:
        what = _heard(own.timing, own.dac_uncertainty_ns)
    uncertainty_ns = (clock_ns or 0) + (own.dac_uncertainty_ns or 0)
    figures = own.phase_error_ns, uncertainty_ns, own.drift_ppm, own.correction_ppm, own.underruns
    far = not state.hosting and own.least_rtt_ns is not None and is_far(own.least_rtt_ns)
    away_ns = (own.least_rtt_ns or 0) // 2 if far else None
    return Machine(0, name, what, own.playing and sounds, *figures, confirmed, away_ns)


def peer_machine(snapshot: SessionSnapshot, peer: PeerView) -> Machine:
    """A peer, from its newest report to the host."""
    sounds, now = sounding(snapshot), snapshot.now
    if not peer.reported:
        return Machine(peer.peer_id, peer.name, "unknown", sounds)
    uncertainty_ns = (peer.offset_uncertainty_ns or 0) + (peer.dac_uncertainty_ns or 0)
    has_it = now is None or now.id in peer.have or item_of(snapshot.queue, now.id) is None
    if peer.device_name is None:
        what = "no_output"
    elif not peer.clock_usable or peer.clock_stale or peer.offset_uncertainty_ns is None:
        what = "clock"
    elif not sounds:
        what = "idle"
    elif not has_it:
        what = "no_file"
    else:
        what = _heard(peer.timing, peer.dac_uncertainty_ns)
    figures = peer.phase_error_ns, uncertainty_ns, peer.drift_ppb / 1e3, None, peer.underruns
    away_ns = peer.away_ns if peer.far else None
    return Machine(peer.peer_id, peer.name, what, sounds and has_it, *figures, peer.confirmed, away_ns)


def _heard(timing: Timing, uncertainty_ns: int | None) -> str:
    """The state of a machine that should be heard."""
    if timing == "unknown":
        return "untold"
    return "unknown" if uncertainty_ns is None else "playing"


def chip(machine: Machine) -> Chip:
    """The chip of a machine: the limit of its phase error, or why there is none."""
    match machine.state:
        case "playing":
            if machine.bound_ns < GOOD_NS and machine.away_ns is not None:
                return Chip(tr("far away ±{time}").format(time=within_text(machine.bound_ns)), "neutral")
            if machine.bound_ns < GOOD_NS:
                return Chip(tr("in phase ±{time}").format(time=within_text(machine.bound_ns)), "good")
            return Chip(tr("up to {time} off").format(time=within_text(machine.bound_ns)), "warning")
        case "no_output":
            return Chip(tr("no output"), "error")
        case "untold":
            return Chip(tr("delay not known"), "warning")
        case "idle" | "no_file":
            return Chip(tr("not playing"), "neutral")
        case "unknown" if not machine.sounds:
            return Chip(tr("not playing"), "neutral")
        case _:
            return Chip(tr("not in time yet"), "neutral")


def sync_view(state: SessionView) -> SyncView:
    """The sentence about the session and the numbers of all machines."""
    all_ = machines(state)
    readouts, far = tuple(map(_readout, _shown(all_))), _far_text(all_) if state.hosting else ""
    if state.snapshot.timeline is None:
        return SyncView(code_text(Code.NOTHING_PLAYING), "neutral", readouts, "", far)
    if not sounding(state.snapshot):
        if all_[0].state == "no_output":
            return SyncView(code_text(Code.NO_OUTPUT), "error", readouts, "", far)
        return SyncView(tr("Paused"), "neutral", readouts, "", far)
    if not state.hosting:
        return SyncView(*_alone(all_[0]), readouts, _short_alone(all_[0]), far)
    room = tuple(machine for machine in all_ if machine.away_ns is None)
    if far and len(room) == 1 and room[0].state in ("playing", "untold"):
        return SyncView(far, "neutral", readouts, tr("Far away: {number}").format(number=len(all_) - 1))
    return SyncView(*_together(room), readouts, _short_together(room), far)


def far_text(machine: Machine) -> str:
    """A sentence about a machine that is far; empty: it is not."""
    if machine.away_ns is None:
        return ""
    form = FAR_SENTENCE if machine.state == "playing" else FAR_AWAY
    distance, time = latency_text(machine.away_ns), within_text(machine.bound_ns)
    return tr(form).format(name=machine.name, distance=distance, time=time)


def _far_text(all_: tuple[Machine, ...]) -> str:
    """A sentence about all machines that are far."""
    far = [machine for machine in all_ if machine.away_ns is not None]
    playing = [machine.bound_ns for machine in far if machine.state == "playing"]
    if len(far) < 2:
        return "".join(map(far_text, far))
    names = joined([f"{one.name} ({latency_text(one.away_ns or 0)})" for one in far], current())
    if len(playing) < len(far):
        return tr("Far away: {machines}.").format(machines=names)
    form = tr("Far away: {machines}, within {time} by the clock; the asymmetry of the paths cannot be known.")
    return form.format(machines=names, time=within_text(max(playing)))


def _together(all_: tuple[Machine, ...]) -> tuple[str, Kind]:
    """The host's sentence while something plays."""
    playing = [machine for machine in all_ if machine.state == "playing"]
    untold = [machine for machine in all_ if machine.state == "untold"]
    missing = [machine for machine in all_ if machine.state in ("untold", "no_output", "clock", "no_file")]
    off = [_late_text(machine) for machine in playing if abs(machine.error_ns) >= GOOD_NS]
    if off:
        return f"{joined(off, current())}.", "warning"
    if len(playing) + len(missing) < len(all_):
        return tr(MEASURING), "neutral"
    if len(all_) == 1:
        alone = bool(playing or untold)
        return (tr("This speaker plays alone."), "neutral") if alone else (_silent_text(missing), "error")
    good = len(playing) > 1 and not missing and _apart_ns(playing) < GOOD_NS
    text = _playing_text(playing, len(all_), untold=bool(untold))
    return (f"{text}. {_silent_text(missing)}" if missing else text), "good" if good else "warning"


def _playing_text(playing: list[Machine], total: int, *, untold: bool) -> str:
    """Which machines are heard, and how far apart, without a full stop. `untold`: others play with unknown delay."""
    if len(playing) > 1:
        if len(playing) < total:
            form = tr("{number} of {total} speakers within {time}")
        else:
            form = tr("Both speakers within {time}") if total == 2 else tr("All {number} speakers within {time}")
        return form.format(number=len(playing), total=total, time=within_text(_apart_ns(playing)))
    if untold:
        return tr("How far apart they play is not known")
    if not playing:
        return tr("Nobody plays")
    form = tr("Only {name} plays") if playing[0].key else tr("Only this speaker plays")
    return form.format(name=playing[0].name)


def _short_together(all_: tuple[Machine, ...]) -> str:
    """The figure of the host's sentence, without names and reasons."""
    playing = [machine for machine in all_ if machine.state == "playing"]
    most_ns = max((abs(machine.error_ns) for machine in playing), default=0)
    if most_ns >= GOOD_NS:
        return _off_text(most_ns)
    if len(playing) < 2:
        return ""
    if len(playing) < len(all_):
        form = tr("{number} of {total} within {time}")
    else:
        form = tr("Both within {time}") if len(all_) == 2 else tr("All {number} within {time}")
    return form.format(number=len(playing), total=len(all_), time=within_text(_apart_ns(playing)))


def _short_alone(machine: Machine) -> str:
    """The figure of a peer's sentence."""
    if machine.state != "playing":
        return ""
    if abs(machine.error_ns) >= GOOD_NS:
        return _off_text(abs(machine.error_ns))
    if machine.away_ns is not None:
        return tr("Within {time} by the clock").format(time=within_text(machine.bound_ns))
    return tr("Within {time} of the host").format(time=within_text(machine.bound_ns))


def _off_text(most_ns: int) -> str:
    return tr("Up to {time} off").format(time=ms_text(most_ns))


def _silent_text(missing: list[Machine]) -> str:
    """Why the first machine is silent or why its phase error is not known, and how many others there are: sentences."""
    machine, more = missing[0], len(missing) - 1
    text = tr((_SILENT_PEER if machine.key else _SILENT_HERE)[machine.state]).format(name=machine.name)
    if not more:
        return f"{text}."
    others = tr_plural("{number} more machine has a problem.", "{number} more machines have a problem.", more)
    return f"{text}. {others.format(number=more)}"


def _late_text(machine: Machine) -> str:
    """How early or late a machine is, without a full stop."""
    if machine.error_ns > 0:
        form = tr("{name} is {time} early") if machine.key else tr("This speaker is {time} early")
    else:
        form = tr("{name} is {time} late") if machine.key else tr("This speaker is {time} late")
    return form.format(name=machine.name, time=ms_text(abs(machine.error_ns)))


def _alone(machine: Machine) -> tuple[str, Kind]:
    """A peer's sentence while something plays."""
    match machine.state:
        case "no_output":
            return code_text(Code.NO_OUTPUT), "error"
        case "idle":
            return tr("This speaker is not playing."), "neutral"
        case "playing" if abs(machine.error_ns) >= GOOD_NS:
            return f"{_late_text(machine)}.", "warning"
        case "playing" if machine.away_ns is not None:
            return far_text(dataclasses.replace(machine, name=tr("This speaker"))), "neutral"
        case "playing":
            good = machine.bound_ns < GOOD_NS
            form = tr("This speaker is within {time} of the host.")
            return form.format(time=within_text(machine.bound_ns)), "good" if good else "warning"
        case "untold":
            return tr(TIMING_SENTENCES["unknown"]), "warning"
        case _:
            return tr(MEASURING), "neutral"


def _apart_ns(playing: list[Machine]) -> int:
    """Upper limit of the distance between two of these machines."""
    lows = sorted((m.error_ns - m.uncertainty_ns, k) for k, m in enumerate(playing))[:2]
    highs = sorted((m.error_ns + m.uncertainty_ns, k) for k, m in enumerate(playing))[-2:]
    return max(high - low for low, i in lows for high, j in highs if i != j)


def _shown(all_: tuple[Machine, ...]) -> tuple[Machine, ...]:
    """This machine and, of many, those others that have trouble or are farthest off; in their order."""
    if len(all_) <= MAX_READOUTS:
        return all_
    others = sorted(all_[1:], key=lambda one: (one.state in ("playing", "idle"), -one.bound_ns))
    keys = {one.key for one in others[: MAX_READOUTS - 1]}
    return tuple(one for one in all_ if one.key in keys or one is all_[0])


def _readout(machine: Machine) -> SyncReadout:
    playing = machine.state == "playing"
    known = machine.state not in ("unknown", "clock", "no_output")
    return SyncReadout(
        machine.key,
        machine.name,
        f"{number_text(machine.error_ns / 1e3, '+.0f')}{NNBSP}µs" if playing else "–",
        f"±{_uncertainty(machine.uncertainty_ns)}" if playing else "–",
        _ppm(machine.drift_ppm) if known else "–",
        _ppm(machine.correction_ppm) if playing else "–",
        machine.underruns,
        machine.confirmed,
    )


def confirmed_cell(confirmed: Confirmation | None, session_ns: int | None, now_s: float) -> str:
    """What a microphone has heard of a machine, and when. `now_s`: Unix time now, at `session_ns`."""
    if confirmed is None or session_ns is None:
        return tr("not yet")
    when = moment_text(now_s - (session_ns - confirmed.heard_session_ns) / 1e9)
    return confirmed_text(confirmed.within_ns / 1e3, when).translated(current())


def _uncertainty(ns: int) -> str:
    return f"{number_text(ns / 1e3, '.0f')}{NNBSP}µs" if ns < COARSE_NS else within_text(ns)


def _ppm(value: float | None) -> str:
    return "–" if value is None else ppm_text(value)
