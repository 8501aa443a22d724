"""Sentences about what microphones hear: calibrations, checks and levels.

As in sentences.py, all texts are message ids of gettext, in English, and every function takes the language as `words`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from phaselock.language.message import ENGLISH, N_, Figure, Message, Words, joined
from phaselock.model.calibration import PLACE_SENTENCES, OutputCalibration
from phaselock.model.microphone import FAR_OFF_PPM, MicrophoneFault
from phaselock.model.notices import Code
from phaselock.model.snapshot import CalibrationWait, LevelsView
from phaselock.model.sweeps import Verdict
from phaselock.model.turns import length_ns
from phaselock.model.volume import LEAST_DIFFERENCE_DB, MAX_TRIM_DB
from phaselock.session import events as e

CALIBRATION_ENDS = frozenset(
    {
        *(Code.CALIBRATION_STOPPED, Code.CHECK_STOPPED, Code.CHECK_DISTURBED, Code.LISTENER_SILENT),
        *map(Code, MicrophoneFault),
    }
)
"""Notices that say why a calibration has ended without a result."""


def heard_text(output: OutputCalibration, when: str) -> Message:
    """What a microphone has heard of the open output, and when; or why that is not applied. Empty if there is nothing
    to say."""
    kept = output.kept
    if output.set_aside:
        return set_aside_text(output)
    if output.elsewhere:
        form = N_("Calibrated for another output ({name}). No microphone has heard this one.")
        return Message(form, name=output.elsewhere)
    if not kept.heard_at:
        return Message("")
    heard = Message("A microphone has heard this output ({when}).", when=when)
    if kept.listener:
        heard = Message("The microphone of {name} has heard this output ({when}).", name=kept.listener, when=when)
    form = N_("It plays {number} ms earlier because of that.")
    if kept.late_ms < 0:
        form = N_("It plays {number} ms later because of that.")
    parts = (
        heard,
        Message(form, number=Figure(abs(kept.late_ms), ".1f")),
        Message(PLACE_SENTENCES[kept.place]),
        Message("The repeats differed by {number} ms.", number=Figure(kept.spread_ms, ".2f")),
    )
    return Message.joined(" ", parts)


def confirmed_text(within_us: float, when: str) -> Message:
    """What a microphone has confirmed, and when: "18:32, within 0.03 ms"."""
    return Message("{when}, within {number} ms", when=when, number=Figure(max(within_us / 1e3, 0.01), ".2f"))


def set_aside_text(output: OutputCalibration) -> Message:
    """Why the calibration of an output is not applied."""
    return Message(
        "Calibrated for another output (latency {then} ms then, {now} ms now). Calibrate again, or use it anyway.",
        then=Figure(output.kept.latency_ms, ".0f"),
        now=Figure(output.latency_ms, ".0f"),
    )


VERDICTS = {
    Verdict.NOT_HEARD: N_("{name} was not heard. Is it muted, or does it play on another output?"),
    Verdict.TOO_QUIET: N_("{name} is too quiet. Turn it up, or move the microphone closer."),
    Verdict.NOISE: N_("{name} was not measured: the room is too loud."),
    Verdict.ECHO: N_("{name} was not measured: its echoes are too strong. Move the microphone closer to it."),
    Verdict.UNSTEADY: N_("{name} was not measured: it did not play at steady times."),
}
"""Why a machine was not calibrated."""


def walk_text(listener: str, wait: CalibrationWait, words: Words = ENGLISH) -> str:
    """Where to put the microphone of this machine, and why once more."""
    parts = []
    if wait.unheard is not None and wait.verdict is not None:
        parts.append(words.gettext(VERDICTS[wait.verdict]).format(name=wait.unheard))
    form = words.gettext("Put the microphone of {listener} as close as you can to the loudspeaker of {name}.")
    parts.append(form.format(listener=listener, name=wait.beside))
    if wait.carried:
        form = words.gettext("Carry {listener} as a whole: its own loudspeaker must stay beside its microphone.")
        parts.append(form.format(listener=listener))
    return " ".join(parts)


UNDONE_MS = 0.05
"""A machine that was at least this late was corrected. If it is not any more, that was undone."""


def calibrated_text(row: e.CalibratedRow, words: Words = ENGLISH) -> str:
    """What a calibration has found about one machine: "Kitchen was 182.4 ms late; now within 0.3 ms."."""
    if row.verdict is not Verdict.HEARD or row.before_ms is None:
        form = VERDICTS.get(row.verdict, N_("{name} was not measured: no other machine was heard."))
        return words.gettext(form).format(name=row.name)
    if row.after_ms is None and row.corrected_ms:
        form = N_("{name} was {before} ms late, and is corrected. It is too far from the last place to check that.")
    elif row.after_ms is None:
        form = N_("{name} was {before} ms late. It could not be heard again, so it is left as it was.")
        if row.before_ms < 0:
            form = N_("{name} was {before} ms early. It could not be heard again, so it is left as it was.")
    elif row.corrected_ms:
        form = N_("{name} was {before} ms late; now within {after} ms.")
        if row.before_ms < 0:
            form = N_("{name} was {before} ms early; now within {after} ms.")
    elif row.before_ms <= -UNDONE_MS:
        form = N_("{name} was {before} ms early, but not the second time. It is left as it was.")
    elif row.before_ms >= UNDONE_MS:
        form = N_("{name} was {before} ms late, but not the second time. It is left as it was.")
    else:
        form = N_("{name} is right: within {after} ms.")
    after_ms = max(0.1, math.ceil(abs(row.after_ms or 0.0) * 10) / 10)
    return words.gettext(form).format(name=row.name, before=f"{abs(row.before_ms):.1f}", after=f"{after_ms:.1f}")


def louder_text(levels: Sequence[tuple[str, float | None]], words: Words = ENGLISH) -> str:
    """Which machines are heard louder than the quietest one, loudest first, from their names and levels in dB. Empty if
    none is, or if that is unknown."""
    heard = [(name, level_db) for name, level_db in levels if level_db is not None]
    louder = sorted((one for one in heard if one[1] >= LEAST_DIFFERENCE_DB), key=lambda one: -one[1])
    if not louder:
        return ""
    other, _ = min(heard, key=lambda one: one[1])
    numbers = [(name, Figure(level_db, ".1f").translated(words)) for name, level_db in louder]
    if len(louder) == 1:
        (name, number), form = numbers[0], words.gettext("{name} is heard {number} dB louder than {other}.")
        return form.format(name=name, number=number, other=other)
    item = words.gettext("{name} by {number} dB")
    items = joined([item.format(name=name, number=number) for name, number in numbers], words)
    return words.gettext("Heard louder than {other}: {list}.").format(other=other, list=items)


def level_text(levels: LevelsView, words: Words = ENGLISH) -> str:
    """The same of the present levels, and whether that is too much for a trim."""
    text = louder_text([(one.name, one.level_db) for one in levels.machines], words)
    if text and levels.is_limited:
        limit = words.gettext("At most {most} dB can be taken away.")
        text += " " + limit.format(most=Figure(MAX_TRIM_DB, "g").translated(words))
    return text


def trim_text(name: str, trim_db: float, words: Words = ENGLISH) -> str:
    """The new trim of a machine."""
    if not trim_db:
        return words.gettext("{name} plays as loud as its volume says.").format(name=name)
    form = words.gettext("{name} plays {number} dB quieter than its volume says.")
    return form.format(name=name, number=Figure(-trim_db, ".1f").translated(words))


MAX_CHECKED_MS = 1.0
"""A machine that a check finds further off should be calibrated."""


def checked_text(event: e.Checked, words: Words = ENGLISH) -> str:
    """What a check has found: a sentence for each machine, and what to do if one is off."""
    heard = [row for row in event.machines if row.offset_ms is not None]
    lines = []
    for row in event.machines:
        late_ms = row.offset_ms or 0.0
        if row.offset_ms is None:
            form = VERDICTS[row.verdict]
        elif len(heard) == 1:
            form = N_("Only {name} was heard.")
        elif row is heard[0]:
            form = N_("{name} was heard. The others are compared with it.")
        elif abs(late_ms) <= MAX_CHECKED_MS:
            form = N_("{name} is right: within {after} ms.")
        else:
            form = N_("{name} is {number} ms late.") if late_ms > 0 else N_("{name} is {number} ms early.")
        after_ms = max(0.1, math.ceil(abs(late_ms) * 10) / 10)
        lines.append(words.gettext(form).format(name=row.name, number=f"{abs(late_ms):.1f}", after=f"{after_ms:.1f}"))
    if any(abs(row.offset_ms or 0.0) > MAX_CHECKED_MS for row in heard):
        lines.append(words.gettext(N_("To correct that, calibrate the speakers.")))
    return "\n".join(lines)


def _clock_of_microphone(ppm: float | None, words: Words) -> list[str]:
    """A sentence if the microphone's clock is far off."""
    if ppm is None or abs(ppm) < FAR_OFF_PPM:
        return []
    form = N_("The clock of this microphone is off by {number} ppm. That was taken into account.")
    return [words.gettext(form).format(number=f"{abs(ppm):.0f}")]


def left_out_text(event: e.CalibrationBegan | e.CheckBegan, words: Words = ENGLISH) -> str:
    """Which phones play the music and do not take part. Empty: none."""
    form = N_("These phones are left out this time: {list}.")
    if isinstance(event, e.CheckBegan):
        form = N_("These phones are left out, and silent meanwhile: {list}.")
    elif event.walk:
        form = N_("These phones are left out of the walk: {list}.")
    return words.gettext(form).format(list=joined(event.left_out, words)) if event.left_out else ""


def hearing_text(event: e.Event, words: Words = ENGLISH) -> str:
    """The sentence of an event of a calibration, a check or a trim, for the command line. Empty for any other event."""
    match event:
        case e.CalibrationBegan(walk=True):
            return left_out_text(event, words)
        case e.CalibrationWaits(step=step, steps=steps):
            form = words.gettext("Then type: calibrate next ({step} of {steps})")
            return f"{walk_text(event.listener, event.wait, words)} {form.format(step=step, steps=steps)}"
        case e.CalibrationBegan(listener=listener):
            form = N_("The microphone of {name} listens for about 15 seconds. Please be quiet.")
            return f"{words.gettext(form).format(name=listener)}\n{left_out_text(event, words)}".rstrip()
        case e.CheckBegan(listener=listener, machines=machines):
            seconds = round(length_ns(len(machines)) / 1e9)
            form = N_("The microphone of {name} listens for {number} seconds, while the machines play in turns.")
            text = words.gettext(form).format(name=listener, number=seconds)
            return f"{text}\n{left_out_text(event, words)}".rstrip()
        case e.Checked():
            return checked_text(event, words)
        case e.OutputCalibrated(late_ns=late_ns):
            form = N_("A microphone has heard this speaker. It plays {number} ms earlier now.")
            if late_ns < 0:
                form = N_("The correction of this speaker was undone. It plays {number} ms later now.")
            return words.gettext(form).format(number=f"{abs(late_ns) / 1e6:.1f}")
        case e.Calibrated():
            lines = [calibrated_text(row, words) for row in event.machines]
            if event.place == "speakers":
                lines.append(words.gettext(PLACE_SENTENCES[event.place]))
            return "\n".join([*lines, *_clock_of_microphone(event.microphone_ppm, words)])
        case e.TrimSet(trim_db=0):
            return words.gettext("This speaker plays as loud as its volume says.")
        case e.TrimSet(trim_db=trim_db):
            form = words.gettext("This speaker plays {number} dB quieter than its volume says.")
            return form.format(number=Figure(-trim_db, ".1f").translated(words))
        case e.PeersTrimmed():
            return "\n".join(trim_text(row.name, row.trim_db, words) for row in event.peers)
        case e.MicrophoneUsed(listening=listening):
            form = N_("The host listens by this microphone.")
            return words.gettext(form if listening else N_("The host no longer listens by this microphone."))
    return ""
