"""The user's settings in a JSON file. Programs may share it: each one writes only the values that it changed."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import pathlib
import threading
from collections.abc import Callable, Mapping
from typing import Any

from phaselock.errors import InternalError, bug_net, message_of
from phaselock.frozen import frozen
from phaselock.language.message import Message
from phaselock.model.address import DEFAULT_CLOCK_PORT, DEFAULT_PORT
from phaselock.model.calibration import NOT_CALIBRATED, PLACES, Calibration, Place
from phaselock.model.code import normal_code
from phaselock.model.group import DEFAULT_PEERS, MAX_PEERS
from phaselock.model.loudness import DEFAULT_LUFS, MAX_LUFS, MIN_LUFS, LoudnessChoice
from phaselock.model.names import person_name
from phaselock.model.party import I_CHOOSE, PartyRules, rules_of
from phaselock.model.role import ROLES, Role
from phaselock.model.transitions import MAX_CROSSFADE_S, PLAIN, Transitions
from phaselock.model.volume import MAX_TRIM_DB, volume_of
from phaselock.storage.files import locked, open_regular, rename, replace_file

MAX_FILE_BYTES = 1 << 20
MAX_UI_BYTES = 8192
MAX_CORRECTION_MS = 2000.0
MAX_DEVICES = 200
"""Most output devices with a saved correction; the ones set longest ago are dropped."""
WRITE_DELAY_S = 0.5
"""Changes within this time (while a slider is dragged) are written together."""
TIMEOUT_CLOSE_S = 5.0
"""How long `close` waits for a disk that hangs."""

_MAX_DEVICE_CHARS = 500
_MAX_FOLDER_CHARS = 4096
_VOLUME_CURVE = "cubic"
"""Stored as "volume_curve". In older files, which do not have it, the volume is the gain itself."""


@frozen
class Settings:
    """All settings, checked. The mappings are never changed in place."""

    display_name: str = ""
    """Empty: not set."""
    session_name: str = ""
    device: str | None = None
    """Name of the output device; None: the default one of the system."""
    microphone: str | None = None
    """Name of the sound input; None: the default one of the system. Whether a host may use it is never stored."""
    corrections_ms: Mapping[str, float] = dataclasses.field(default_factory=dict)
    """The user's correction for each output device, by its name; positive plays earlier."""
    calibrations: Mapping[str, Calibration] = dataclasses.field(default_factory=dict)
    """What a microphone has heard of each output device, by its name. It is added to the user's correction."""
    trims_db: Mapping[str, float] = dataclasses.field(default_factory=dict)
    """How much louder than the volume says each output device plays, by its name: -MAX_TRIM_DB to 0."""
    volume: float = 1.0
    """0 to 1, see `model.volume`; kept while muted."""
    muted: bool = False
    role: Role = "stereo"
    """The channels that this machine plays."""
    even_loudness: bool = True
    """A host plays all songs at `loudness_lufs`."""
    loudness_lufs: float = DEFAULT_LUFS
    crossfade_s: float = PLAIN.crossfade_s
    """Of a host's songs; 0: none."""
    skip_silence: bool = PLAIN.skip_silence
    """A host leaves out the silence at the ends of songs."""
    rules: PartyRules = I_CHOOSE
    """By which a host takes and orders the songs that people ask for."""
    port: int = DEFAULT_PORT
    clock_port: int = DEFAULT_CLOCK_PORT
    max_peers: int = DEFAULT_PEERS
    """How many peers a host lets in."""
    music_folder: str = ""
    """A host's folder whose songs can be searched; empty: none."""
    fallback: str = ""
    """A host's folder or playlist whose songs play when nothing else waits; empty: none."""
    with_code: bool = False
    """The window's jams have a code."""
    own_code: str = ""
    """The code that the user has chosen for them, as it was typed; empty: the program makes a new one for each."""
    may_host: bool = True
    """This machine may become the host of a session that it joins."""
    ui: Mapping[str, object] = dataclasses.field(default_factory=dict)
    """The state of the window, as JSON values, at most MAX_UI_BYTES in total."""

    @property
    def audible_volume(self) -> float:
        """The volume to play at: 0 while muted."""
        return 0.0 if self.muted else self.volume

    @property
    def target_lufs(self) -> float | None:
        """How loud a host plays all songs; None: each as it is."""
        return self.loudness_lufs if self.even_loudness else None

    @property
    def transitions(self) -> Transitions:
        """How the songs of a host follow each other."""
        return Transitions(self.crossfade_s, self.skip_silence)

    def chosen_lufs(self, choice: LoudnessChoice) -> float | None:
        """The target that a user has chosen; None: off."""
        if choice == "off":
            return None
        return self.loudness_lufs if choice == "on" else choice

    def calibration(self, device: str | None) -> Calibration:
        """What a microphone has heard of an output, or NOT_CALIBRATED."""
        return self.calibrations.get(device or "", NOT_CALIBRATED)

    def trim_db(self, device: str | None) -> float:
        """How much louder than the volume says an output plays, in dB."""
        return self.trims_db.get(device or "", 0.0)

    def correction_ms(self, device: str | None) -> float:
        """The user's correction of an output; positive plays earlier."""
        return self.corrections_ms.get(device or "", 0.0)


def load(path: pathlib.Path) -> tuple[Settings, Message | None]:
    """Return the settings, and a warning (a sentence for users) if a value was not used. An invalid file is renamed to
    `<name>.broken`; an invalid value is replaced by its default. Never raises."""
    try:
        found, warning = _load(path)
    except OSError as error:
        return Settings(), Message("The settings {path} cannot be read: {reason}.", path=path, reason=message_of(error))
    return found or Settings(), warning


def save(path: pathlib.Path, settings: Settings) -> Message | None:
    """Write the file. Return None, or a sentence for users if that fails."""
    data = (json.dumps(_plain(settings) | {"volume_curve": _VOLUME_CURVE}, indent=2, allow_nan=False) + "\n").encode()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        replace_file(path, data)
    except (OSError, ValueError) as error:
        return _not_saved(path, error)
    return None


class SettingsStore:
    """The settings of a running program. Any thread may call the methods; a writer thread writes the file."""

    def __init__(self, path: pathlib.Path, on_trouble: Callable[[Message], object] = lambda problem: None) -> None:
        """Read the file. This blocks. `on_trouble` is called on the writer's thread with a sentence for users, once, if
        the file cannot be written."""
        self._path = path
        self._on_trouble = on_trouble
        self.settings, self.warning = load(path)
        # The condition guards everything below, and writing the two above; they are read without it.
        self._changed = threading.Condition()
        self._unwritten: dict[str, Any] = {}
        self._fresh = False
        self._closing = False
        self._writer: threading.Thread | None = None

    def update(self, **changes: Any) -> None:
        """Change fields by name; new corrections are added to the saved ones. Does not wait for the disk. ValueError
        for an invalid value, TypeError for an unknown field."""
        with self._changed:
            new = _changed(self.settings, changes)
            differing = _differences(self.settings, new)
            if not differing or self._closing:
                return
            self.settings = new
            self._unwritten, self._fresh = _merged(self._unwritten, differing), True
            if self._writer is None:
                self._writer = threading.Thread(target=self._write_on, name="settings writer", daemon=True)
                self._writer.start()
            self._changed.notify_all()

    def close(self) -> None:
        """Write the pending changes, within TIMEOUT_CLOSE_S. A second call has no effect."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
            writer = self._writer
        if writer:
            writer.join(TIMEOUT_CLOSE_S)

    def _write_on(self) -> None:
        ending, problem, told = False, None, False
        while not ending:
            with self._changed:
                # A failed write is repeated with the next change and at the end.
                self._changed.wait_for(lambda: self._closing or self._fresh)
                self._changed.wait_for(lambda: self._closing, WRITE_DELAY_S)
                ending, tried, base = self._closing, dict(self._unwritten), self.settings
                self._fresh = False
            if not tried:
                continue
            before, problem = problem, self._write(tried, base)
            if problem and not told:
                told = True
                with contextlib.suppress(InternalError), bug_net("telling of the settings"):
                    self._on_trouble(problem)
            with self._changed:
                if problem:
                    self.warning = problem
                    continue
                if self.warning == before:
                    self.warning = None
                for name, value in tried.items():
                    if self._unwritten[name] == value:
                        del self._unwritten[name]

    def _write(self, changes: dict[str, Any], base: Settings) -> Message | None:
        try:
            with bug_net("writing the settings", OSError, ValueError):
                self._path.parent.mkdir(parents=True, exist_ok=True)
                with locked(self._path.with_name(self._path.name + ".lock")):
                    found, warning = _load(self._path)
                    if not found and warning:
                        self.warning = warning
                    return save(self._path, _changed(found or base, changes))
        except (OSError, ValueError, InternalError) as error:
            return _not_saved(self._path, error)


def _load(path: pathlib.Path) -> tuple[Settings | None, Message | None]:
    """The settings and a warning. No settings if there is no file, or if it was invalid and is renamed now. OSError if
    it cannot be read."""
    try:
        if path.is_dir():
            raise ValueError
        with open_regular(path) as file:
            data = file.read(MAX_FILE_BYTES + 1)
        if len(data) > MAX_FILE_BYTES:
            raise ValueError
        values = json.loads(data.decode("utf-8-sig"), parse_constant=_no_number)
        if not isinstance(values, dict):
            raise ValueError
    except FileNotFoundError:
        return None, None
    except (ValueError, RecursionError):
        return None, _set_aside(path)
    sound: dict[str, Any] = {}
    wrong = []
    for name, check in _CHECKS.items():
        if name in values:
            try:
                sound[name] = check(values[name])
            except ValueError:
                wrong.append(name)
    if "volume" in sound and values.get("volume_curve") != _VOLUME_CURVE:
        sound["volume"] = volume_of(sound["volume"])
    for name, check_one in _BY_DEVICE.items():
        sound[name], all_right = _sound_devices(values.get(name, {}), check_one)
        if not all_right:
            wrong.append(name)
    if not wrong:
        return Settings(**sound), None
    warning = Message(
        "These settings in {path} make no sense and are left out: {names}.", path=path, names=", ".join(wrong)
    )
    return Settings(**sound), warning


def _set_aside(path: pathlib.Path) -> Message:
    broken, number = path.with_name(path.name + ".broken"), 1
    while os.path.lexists(broken):
        number += 1
        broken = path.with_name(f"{path.name}.broken.{number}")
    try:
        rename(path, broken)
    except OSError as error:
        reason = message_of(error)
        return Message("The settings {path} are broken and cannot be set aside: {reason}.", path=path, reason=reason)
    return Message("The settings {path} were broken; they are now in {file_name}.", path=path, file_name=broken.name)


def _plain(settings: Settings) -> dict[str, object]:
    plain = {field.name: getattr(settings, field.name) for field in dataclasses.fields(settings)}
    plain["rules"] = dataclasses.asdict(settings.rules)
    plain["calibrations"] = {name: dataclasses.asdict(one) for name, one in settings.calibrations.items()}
    return {name: dict(value) if isinstance(value, Mapping) else value for name, value in plain.items()}


def _changed(settings: Settings, changes: Mapping[str, Any]) -> Settings:
    checked: dict[str, Any] = {
        name: _CHECKS[name](value) if name in _CHECKS else value for name, value in changes.items()
    }
    for field in _BY_DEVICE.keys() & changes.keys():
        given, all_right = _sound_devices(changes[field], _BY_DEVICE[field])
        if not all_right:
            raise ValueError(field)
        before: Mapping[str, Any] = getattr(settings, field)
        new = {name: value for name, value in given.items() if before.get(name) != value}
        checked[field] = dict(list(_newer_last(before, new).items())[-MAX_DEVICES:])
    return dataclasses.replace(settings, **checked)


def _differences(old: Settings, new: Settings) -> dict[str, Any]:
    before, after = _plain(old), _plain(new)
    differing: dict[str, Any] = {name: value for name, value in after.items() if value != before[name]}
    for field in _BY_DEVICE.keys() & differing.keys():
        there, here = getattr(old, field), getattr(new, field)
        differing[field] = {name: value for name, value in here.items() if there.get(name) != value}
    return differing


def _merged(unwritten: dict[str, Any], newer: dict[str, Any]) -> dict[str, Any]:
    merged = unwritten | newer
    for field in _BY_DEVICE.keys() & merged.keys():
        merged[field] = _newer_last(unwritten.get(field, {}), newer.get(field, {}))
    return merged


def _newer_last(older: Mapping[str, Any], newer: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in older.items() if name not in newer} | dict(newer)


def _not_saved(path: pathlib.Path, error: Exception) -> Message:
    return Message("The settings {path} cannot be saved: {reason}.", path=path, reason=message_of(error))


def _no_number(text: str) -> object:
    raise ValueError(text)


def _name(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError(value)
    return person_name(value)


def _own_code(value: object) -> str:
    if not isinstance(value, str) or (value and not normal_code(value)):
        raise ValueError(value)
    return value


def _folder(value: object) -> str:
    if not isinstance(value, str) or len(value) > _MAX_FOLDER_CHARS or "\0" in value:
        raise ValueError(value)
    return value


def _device(value: object) -> str | None:
    if value is not None and not (isinstance(value, str) and 0 < len(value) <= _MAX_DEVICE_CHARS):
        raise ValueError(value)
    return value


def _number(value: object, low: float, high: float) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not low <= value <= high:
        raise ValueError(value)
    return float(value)


def _flag(value: object) -> bool:
    if not isinstance(value, bool):
        raise ValueError(value)
    return value


def _role(value: object) -> Role:
    for role in ROLES:
        if value == role:
            return role
    raise ValueError(value)


def _place(value: object) -> Place:
    for place in PLACES:
        if value == place:
            return place
    raise ValueError(value)


def _rules(value: object) -> PartyRules:
    if isinstance(value, PartyRules):
        return value
    if not isinstance(value, Mapping):
        raise ValueError(value)
    return rules_of(value)


def _port(value: object) -> int:
    return _whole(value, 1, 65535)


def _whole(value: object, low: int, high: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise ValueError(value)
    return value


def _ui(value: object) -> dict[str, object]:
    if not isinstance(value, Mapping) or not all(isinstance(key, str) for key in value):
        raise ValueError(value)
    try:
        text = json.dumps(dict(value), allow_nan=False)
    except (TypeError, RecursionError):
        raise ValueError(value) from None
    if len(text) > MAX_UI_BYTES:
        raise ValueError(value)
    copy: dict[str, object] = json.loads(text)
    return copy


_CHECKS: dict[str, Callable[[object], Any]] = {
    "display_name": _name,
    "session_name": _name,
    "device": _device,
    "microphone": _device,
    "volume": lambda value: _number(value, 0, 1),
    "muted": _flag,
    "role": _role,
    "even_loudness": _flag,
    "loudness_lufs": lambda value: _number(value, MIN_LUFS, MAX_LUFS),
    "crossfade_s": lambda value: _number(value, 0, MAX_CROSSFADE_S),
    "skip_silence": _flag,
    "rules": _rules,
    "port": _port,
    "clock_port": _port,
    "max_peers": lambda value: _whole(value, 1, MAX_PEERS),
    "music_folder": _folder,
    "fallback": _folder,
    "with_code": _flag,
    "own_code": _own_code,
    "may_host": _flag,
    "ui": _ui,
}


def _correction_ms(value: object) -> float:
    return _number(value, -MAX_CORRECTION_MS, MAX_CORRECTION_MS)


def _calibration(value: object) -> Calibration:
    if isinstance(value, Calibration):
        value = dataclasses.asdict(value)
    if not isinstance(value, Mapping):
        raise ValueError(value)
    return Calibration(
        late_ms=_correction_ms(value.get("late_ms")),
        spread_ms=_number(value.get("spread_ms"), 0, 1e6),
        heard_at=_number(value.get("heard_at"), 0, 1e12),
        latency_ms=_number(value.get("latency_ms"), 0, 1e6),
        listener=_name(value.get("listener", "")),
        place=_place(value.get("place", "spot")),
    )


def _trim_db(value: object) -> float:
    return _number(value, -MAX_TRIM_DB, 0)


_BY_DEVICE: dict[str, Callable[[object], Any]] = {
    "corrections_ms": _correction_ms,
    "calibrations": _calibration,
    "trims_db": _trim_db,
}
"""Fields with a value for each output device."""


def _sound_devices(value: object, check: Callable[[object], Any]) -> tuple[dict[str, Any], bool]:
    """The valid values by device, and whether all are valid."""
    if not isinstance(value, Mapping):
        return {}, False
    sound: dict[str, Any] = {}
    for name, of_device in value.items():
        with contextlib.suppress(ValueError):
            if isinstance(name, str) and _device(name):
                sound[name] = check(of_device)
    return dict(list(sound.items())[-MAX_DEVICES:]), len(sound) == len(value)
