"""The answers to commands on standard input."""

from __future__ import annotations

import asyncio
import dataclasses
import os
import pathlib
import uuid
from types import SimpleNamespace
from typing import Any

import pytest

from phaselock.app.host_shell import HostShell
from phaselock.app.peer_shell import PeerShell
from phaselock.model.invitation import parse_invitation
from phaselock.model.notices import Code, Notice
from phaselock.model.queue import ItemStatus, QueueItem
from phaselock.model.role import Role
from phaselock.model.snapshot import LevelsView, LevelView, LoudnessView, SessionSnapshot
from phaselock.model.transitions import Transitions
from phaselock.session.commands import (
    AnswerMicrophone,
    Calibrate,
    CalibrateNext,
    EvenLevels,
    PermitMicrophone,
    ResetLevels,
    ReturnBy,
    Say,
    SetLoudness,
    SetPeerRole,
    SetTransitions,
    StopCalibration,
    UndoLevels,
)
from phaselock.session.event_json import event_object
from phaselock.session.events import (
    Event,
    Failed,
    LevelsListed,
    LoudnessSet,
    PeerJoined,
    SongLoudness,
    TransferChanged,
    TransferState,
)
from phaselock.session.sentences import event_text
from phaselock.storage.settings import Settings
from tests.support.pseudo_language import PseudoLanguage
from tests.support.shouting import Shouting


def parts(told: list[Event], **more: Any) -> Any:
    """What a shell needs, in place of its runner, its output, its settings and its terminal."""
    nothing: Any = SimpleNamespace(queue=(), requests=(), peers=(), now=None, waiting_for=None, timeline=None)
    return SimpleNamespace(
        session_ns=lambda: None,
        event=lambda event, **_: told.append(event),
        snapshot=lambda: nothing,
        command=None,
        **more,
    )


def answer(line: str) -> Event:
    """What a host's shell tells about this line, if the line is wrong."""
    told: list[Event] = []
    HostShell(*([parts(told)] * 6)).line(line)
    (event,) = told
    return event


def test_the_status_names_the_place_of_the_host_of_now() -> None:
    told: list[Any] = []
    places = ["10.0.0.1"]
    fake = parts(told, settings=Settings())
    fake.snapshot = lambda: SessionSnapshot("Kitchen", "Hana", "Ana", (), None, None, None)
    fake.status = lambda: SimpleNamespace(device_name=None)
    shell = PeerShell(*([fake] * 5), lambda: places[-1])
    shell.line("status")
    places.append("10.0.0.2:17401")
    shell.line("status")
    assert [event.address for event in told] == ["10.0.0.1", "10.0.0.2:17401"]


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ("remove", "USAGE: REMOVE NUMBER"),
        ("role centre", "USAGE: ROLE [LEFT|RIGHT|MONO|STEREO]"),
        ("role Ana centre", "USAGE: ROLE [[NAME] LEFT|RIGHT|MONO|STEREO]"),
        ("offset 3000", "USAGE: OFFSET MILLISECONDS (-2000 TO 2000), OR: OFFSET RESET, OFFSET ANYWAY, OFFSET FORGET"),
    ],
)
def test_a_usage_is_translated(line: str, text: str) -> None:
    assert event_text(answer(line), Shouting()) == text


def test_a_mistyped_peer_is_suggested() -> None:
    told: list[Event] = []
    fake = parts(told)
    fake.snapshot = lambda: SimpleNamespace(peers=[SimpleNamespace(name=name) for name in ("Tim", "Ana")])
    shell = HostShell(*([fake] * 6))
    shell.tell(PeerJoined(None, 1, "Tim", again=False))
    for name in ("timm", "X"):
        shell.tell(Failed(None, Notice(Code.NO_SUCH_PEER, peer=name)))
    assert list(map(event_text, told[1:])) == [
        "There is no peer called timm. Did you mean Tim?",
        "There is no peer called X.",
    ]


def test_people_are_told_of_a_delivery_only_if_something_was_sent() -> None:
    shown: list[tuple[str, bool]] = []
    fake = parts([])
    fake.event = lambda event, *, to_people, **_: shown.append((event.state, to_people))
    shell = HostShell(*([fake] * 6))
    song = uuid.UUID(int=1), "a.mp3", 1000
    for peer, states in (("Ana", ("started", "done")), ("Ben", ("started", "sending", "done"))):
        for state in map(TransferState, states):
            shell.tell(TransferChanged(None, *song, state, peer))
    assert shown == [
        ("started", True), ("done", False), ("started", True), ("sending", True), ("done", True),
    ]  # fmt: skip


def test_a_word_that_was_typed_stays_as_it_is() -> None:
    assert event_text(answer("status!"), Shouting()) == "UNKNOWN COMMAND: status!. DID YOU MEAN status?"
    assert event_text(answer("playing music"), Shouting()) == "UNKNOWN COMMAND: playing. DID YOU MEAN play?"
    assert event_text(answer("xyzzy"), Shouting()) == "UNKNOWN COMMAND: xyzzy. TYPE HELP FOR A LIST."


def test_a_failure_of_a_command_is_told(bugs: list[str]) -> None:
    told: list[Event] = []

    def fail(volume: float) -> None:
        raise ValueError("odd")

    settings = SimpleNamespace(volume=1.0)
    shell = HostShell(*([parts(told, set_volume=fail, settings=settings)] * 6))
    shell.line("volume 50")
    shell.line("remove")
    assert event_text(told[0]) == "Something went wrong inside PhaseLock. The log tells more: phaselock log"
    assert event_text(told[1]) == "Usage: remove NUMBER"
    assert bugs == ["a typed command failed: ValueError('odd')"]


def after_lines(folder: pathlib.Path, *lines: str) -> list[Event]:
    """What a host's shell tells about each of these lines. Its queue has one song, in this folder."""
    told: list[Event] = []
    item = QueueItem(uuid.uuid4(), "tune.mp3", 12.6, "Ana", ItemStatus.READY, "Tune", "Band")
    fake = parts(told, origin=lambda file_id: folder / "tune.mp3")
    fake.snapshot = lambda: SimpleNamespace(queue=(item,), now=None, waiting_for=None)

    async def say() -> None:
        shell = HostShell(*([fake] * 6))
        for count, line in enumerate(lines, 1):
            shell.line(line)
            while len(told) < count:
                await asyncio.sleep(0.005)

    asyncio.run(asyncio.wait_for(say(), 60))
    return told


SAVED = "#EXTM3U\n#EXTINF:13,Band - Tune\ntune.mp3\n"


def test_the_queue_is_saved_as_a_playlist(tmp_path: pathlib.Path) -> None:
    lines = [f"save {tmp_path / name}" for name in ("my list", "No. 5", "no/a.m3u8")]
    saved, number_5, failed, usage = map(event_text, after_lines(tmp_path, *lines, "save"))
    assert (tmp_path / "my list.m3u8").read_text("utf-8") == SAVED
    assert number_5 == "The queue is saved in No. 5.m3u8."
    assert saved == "The queue is saved in my list.m3u8." and usage == "Usage: save [--replace] FILE"
    assert failed.startswith("a.m3u8 cannot be saved: ")


def test_a_file_is_replaced_only_if_the_user_says_so(tmp_path: pathlib.Path) -> None:
    party, typed = tmp_path / "party.m3u8", f"{tmp_path}{os.sep}party"
    party.write_text("kept", "utf-8")
    (refused,) = map(event_text, after_lines(tmp_path, f"save {typed}"))
    assert refused == f"There is a file party.m3u8 already. To replace it: save --replace {typed}"
    assert party.read_text("utf-8") == "kept"
    replaced, usage = map(event_text, after_lines(tmp_path, f"save --replace {typed}", "save --replace"))
    assert replaced == "The queue is saved in party.m3u8." and usage == "Usage: save [--replace] FILE"
    assert party.read_text("utf-8") == SAVED


class Parts:
    """The runner, the output, the settings and the terminal of a shell; keeps what the shell does with them."""

    def __init__(self) -> None:
        self.settings = Settings()
        self.done: list[object] = []

    def session_ns(self) -> None: ...

    def snapshot(self) -> Any:
        return SimpleNamespace(peers=[SimpleNamespace(name="Big Ana"), SimpleNamespace(name="Lee")])

    def command(self, command: object) -> None:
        self.done.append(command)

    def set_role(self, role: Role) -> None:
        self.done.append(role)

    def set_trim_db(self, trim_db: float) -> None:
        self.done.append(trim_db)

    def status(self) -> Any:
        return SimpleNamespace(device_name="Card")

    def update(self, **changes: Any) -> None:
        self.settings = dataclasses.replace(self.settings, **changes)

    def event(self, event: Event, **_: object) -> None:
        self.done.append(event_text(event))


LEVELS = (LevelView("Hana", 0.0, 6.2, -6.2), LevelView("Lee", 0.0, 0.0, 0.0))


def test_the_levels_are_shown_and_evened_out() -> None:
    parts: Any = Parts()
    shell = HostShell(parts, parts, parts, parts, parts, parts)
    for line in ("levels even", "Levels UNDO", "levels reset", "levels loud"):
        shell.line(line)
    assert parts.done == [EvenLevels(), UndoLevels(), ResetLevels(), "Usage: levels [even|undo|reset]"]
    told: list[Event] = []
    parts.snapshot = lambda: SimpleNamespace(levels=LevelsView(LEVELS, can_even=True, is_limited=False, can_undo=False))
    parts.event = lambda event, **_: told.append(event)
    shell.line("levels")
    assert told == [LevelsListed(None, LEVELS, can_even=True)]
    assert [one for _, one, _ in shell.completions("levels ")] == ["even", "undo", "reset"]


def test_a_peer_forgets_its_trim() -> None:
    parts: Any = Parts()
    parts.update(trims_db={"Card": -6.2})
    shell = PeerShell(parts, parts, parts, parts, parts)
    for line in ("levels", "levels even", "levels reset"):
        shell.line(line)
    assert parts.done == ["Volume trim -6.2 dB.", "Usage: levels [reset]", 0.0, "Volume trim 0.0 dB."]
    assert parts.settings.trim_db("Card") == 0


def test_the_role_of_this_machine_and_of_a_peer() -> None:
    parts: Any = Parts()
    shell = HostShell(parts, parts, parts, parts, parts, parts)
    for line in ("role", "role Left", "role Big Ana right", "role left mono"):
        shell.line(line)
    assert parts.done == [
        "This speaker plays both channels.",
        "left",
        "This speaker plays the left channel.",
        SetPeerRole("Big Ana", "right"),
        "Big Ana plays the right channel.",
        SetPeerRole("left", "mono"),
        "left plays both channels as mono.",
    ]
    assert parts.settings.role == "left"


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ("role ", ["stereo", "left", "right", "mono", "Big Ana", "Lee"]),
        ("role le", ["left", "Lee"]),
        ("role Big", ["Big Ana"]),
        ("role big ana ", ["stereo", "left", "right", "mono"]),
        ("role Lee m", ["mono"]),
        ("role Eve m", []),
    ],
)
def test_tab_completes_names_and_roles(line: str, shown: list[str]) -> None:
    parts: Any = Parts()
    shell = HostShell(parts, parts, parts, parts, parts, parts)
    shell.tell(PeerJoined(None, 1, "Lee", False))
    assert [one for _, one, _ in shell.completions(line)] == shown


def test_a_peer_sets_only_its_own_role() -> None:
    parts: Any = Parts()
    shell = PeerShell(parts, parts, parts, parts, parts)
    for line in ("role mono", "role Hana left"):
        shell.line(line)
    assert parts.done == [
        "mono",
        "This speaker plays both channels as mono.",
        "Usage: role [left|right|mono|stereo]",
    ]


def test_a_calibration_for_the_spot_or_at_the_speakers() -> None:
    parts: Any = Parts()
    shell = HostShell(parts, parts, parts, parts, parts, parts)
    for line in (
        "calibrate",
        "calibrate Big Ana",
        "calibrate stop",
        "calibrate at Hana=0 Big Ana=3.2",
        "calibrate Big Ana at Living room = 1,5 m  Lee=3m",
        "calibrate Lee at",
        "calibrate walk",
        "calibrate Big Ana walk",
        "calibrate next",
        "calibrate at Lee=101",
        "calibrate at Lee=3 Ana",
        "calibrate at =3",
    ):
        shell.line(line)
    usage = "Usage: calibrate [NAME|stop], or: calibrate [NAME] at KITCHEN=3.2 SOFA=1.5 (metres to the microphone)"
    assert parts.done == [
        Calibrate(),
        Calibrate("Big Ana"),
        StopCalibration(),
        Calibrate(None, (("Hana", 0.0), ("Big Ana", 3.2))),
        Calibrate("Big Ana", (("Living room", 1.5), ("Lee", 3.0))),
        Calibrate("Lee at"),
        Calibrate(walk=True),
        Calibrate("Big Ana", walk=True),
        CalibrateNext(),
        usage,
        usage,
        usage,
    ]


def test_a_peer_permits_its_microphone() -> None:
    told: list[Event] = []
    fake = parts(told)
    commands: list[Any] = []
    microphone = SimpleNamespace(permitted=False, asked=False)

    def command(one: Any) -> None:
        commands.append(one)
        if isinstance(one, PermitMicrophone):
            microphone.permitted = one.permitted

    fake.command, fake.snapshot = command, lambda: SimpleNamespace(microphone=microphone)
    shell = PeerShell(fake, fake, fake, fake, fake)
    for line in ("microphone", "microphone on", "mic OFF", "microphone loud", "microphone once"):
        shell.line(line)
    microphone.asked = True
    shell.line("microphone once")
    assert commands == [PermitMicrophone(True), PermitMicrophone(False), AnswerMicrophone(True)]
    assert list(map(event_text, told)) == [
        "The host may not listen by this microphone.",
        "The host may listen by this microphone until you leave.",
        "The host may not listen by this microphone.",
        "Usage: microphone [once|on|off]",
        "The host does not ask for this microphone now.",
    ]


def test_a_peer_takes_a_newer_invitation() -> None:
    parts: Any = Parts()
    shell = PeerShell(parts, parts, parts, parts, parts)
    line = "phaselock:///45.32.1.1/4829134471/7-1f00ab42"
    for typed in (line, f"join {line}", f"join {line}/", "join", f"{line}-"):
        shell.line(typed)
    looking = [ReturnBy(parse_invitation(line)), "Looking for the host where this invitation says."]
    not_whole = "This invitation is not whole. Copy all of it."
    assert parts.done == [*(3 * looking), "Usage: join INVITATION", not_whole]


@pytest.mark.parametrize("kind", [HostShell, PeerShell])
def test_a_message_to_all_is_the_rest_of_the_line(kind: type[HostShell | PeerShell]) -> None:
    told: list[Event] = []
    fake, done = parts(told), list[object]()
    fake.command = done.append
    shell = kind(*([fake] * (6 if kind is HostShell else 5)))
    for line in ("say  Who wants  cake? ", "CHAT pause", "say", f"say {'x' * 501}", f"say {'x' * 500}"):
        shell.line(line)
    assert done == [Say("Who wants  cake?"), Say("pause"), Say("x" * 500)]
    assert list(map(event_text, told)) == ["Usage: say TEXT", "A message has at most 500 characters."]


def test_the_loudness_is_shown_and_set() -> None:
    told: list[Event] = []
    done: list[object] = []
    fake = parts(told, settings=Settings(loudness_lufs=-14.0))
    fake.snapshot().loudness_lufs = -14.0
    fake.snapshot().now_loudness = None
    fake.command = done.append
    shell = HostShell(*([fake] * 6))
    for line in ("loudness", "loudness off", "loudness on", "loudness -20", "loudness -31"):
        shell.line(line)
    assert done == [SetLoudness(None), SetLoudness(-14.0), SetLoudness(-20.0)]
    assert [event_text(one) for one in told] == ["All songs play at -14 LUFS.", "Usage: loudness off|on|-30..-8"]


@pytest.mark.parametrize(
    ("view", "sentence"),
    [
        (
            LoudnessView(True, -9.25, 0.32, 4.18, -6.8),
            "Ada – x: -9.2 LUFS, true peak 0.3 dBTP, loudness range 4.2 LU. It plays 6.8 dB quieter than it is.",
        ),
        (
            LoudnessView(True, -20.04, -9.0, None, 4.0),
            "Ada – x: -20.0 LUFS, true peak -9.0 dBTP. It plays 4.0 dB louder than it is.",
        ),
        (LoudnessView(False, -16.0, None, None, 0.0), "Ada – x: -16.0 LUFS by its tags. It plays as loud as it is."),
        (LoudnessView(False, None, None, None, 0.0), "Ada – x is not measured yet."),
        (LoudnessView(True, None, -120.0, None, 0.0), "Ada – x is silent, or too short to be measured."),
    ],
)
def test_the_loudness_of_the_song_that_plays(view: LoudnessView, sentence: str) -> None:
    told: list[Event] = []
    fake = parts(told)
    now = SimpleNamespace(id=uuid.UUID(int=1), title="Ada", artist="x", file_name="x.mp3")
    fake.snapshot = lambda: SimpleNamespace(loudness_lufs=-16.0, now=now, now_loudness=view)
    HostShell(*([fake] * 6)).line("loudness")
    assert event_text(told[1]) == sentence
    assert event_object(told[1])["range_lu"] == view.range_lu


def test_loudness_has_the_decimal_sign_of_the_language() -> None:
    words = PseudoLanguage()
    assert "-14,5" in event_text(LoudnessSet(None, -14.5), words)
    song = SongLoudness(None, uuid.UUID(int=1), "x", *dataclasses.astuple(LoudnessView(True, -9.2, 0.3, 4.1, -6.8)))
    assert all(figure in event_text(song, words) for figure in ("-9,2", "0,3", "4,1", "6,8"))


def test_the_transitions_are_shown_and_set() -> None:
    told: list[Event] = []
    done: list[object] = []
    fake = parts(told)
    fake.snapshot().transitions = Transitions(4.0)
    fake.command = done.append
    shell = HostShell(*([fake] * 6))
    lines = ("crossfade", "crossfade 6.5", "crossfade off", "silence skip", "silence play", "silence", "crossfade 13")
    for line in (*lines, "crossfade nan", "silence off"):
        shell.line(line)
    wanted = (Transitions(6.5), Transitions(), Transitions(4.0, skip_silence=True), Transitions(4.0))
    assert done == [SetTransitions(one) for one in wanted]
    shown = "Songs cross-fade for 4 s. Silence at their ends is played."
    usage = "Usage: crossfade off|0..12"
    assert [event_text(one) for one in told] == [shown, shown, usage, usage, "Usage: silence skip|play"]


def test_a_conversion_is_cancelled() -> None:
    told: list[Event] = []
    running = [True, False]
    every = parts(told, cancel_conversion=lambda: running.pop(0))
    shell = HostShell(every, every, every, every, every, every)
    shell.line("cancel")
    assert not told, "the importer tells it"
    shell.line("cancel")
    assert [event_text(event) for event in told] == ["No file is being converted."]
