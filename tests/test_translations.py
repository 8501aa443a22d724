"""Every text for users can be translated, and every language has all of them.

To write the catalogues again after a change of the texts: `python -m tests.test_translations`. New texts are then empty
in phaselock/language/<code>/LC_MESSAGES/phaselock.po; translate them there, and build again (setup.py compiles them).
"""

from __future__ import annotations

import ast
import re
import string

import pytest
from babel.messages.catalog import Message

from phaselock.language.catalogue import LANGUAGES
from tests.support import texts

TRANSLATED = [code for code in LANGUAGES if code != "en"]
PERCENT = re.compile(r"%(?:\(\w+\))?[a-z%]")
# Packages that raise errors, which are checked, but show no texts themselves; `guests` shows marked ones only.
WITHOUT_TEXTS = ("audio", "desktop", "guests", "internet", "network", "protocol", "sync")
# Texts that only look as if they were for users, by module.
NOT_FOR_USERS: dict[str, tuple[str, ...]] = {
    "phaselock/app/bridge.py": ("import main",),
    "phaselock/app/converter.py": ("import main",),
    "phaselock/app/host_key.py": ("import main",),
    "phaselock/app/cover_decoder.py": ("import main",),
    "phaselock/app/library.py": ("import main", "'music folder'"),
    "phaselock/app/media_controls.py": ("'Playing'", "'Paused'", "'Stopped'"),
    "phaselock/storage/library.py": (
        *("CREATE ", "SELECT ", "INSERT ", "DELETE ", "PRAGMA "),
        "'another version'",
    ),
    "phaselock/storage/log.py": ("is no log level", "not to be formatted", "older entries were lost"),
    "phaselock/model/relay.py": ("pip install",),
    "phaselock/model/file_kinds.py": ("pip install", "'Ogg'", "'Opus'", "'WavPack'", "'Musepack'", "'Matroska'"),
    "phaselock/ui/widgets/spectrum.py": (" coords ", "canvas moves"),
    "phaselock/os_packages.py": ("'sudo ",),
    "phaselock/tools/doctor.py": (
        "'no customtkinter'",
        "'no tk'",
        "'no screen'",
        "'no answer'",
        "import tkinter",
        "'sudo ",
    ),
    "phaselock/tools/demo.py": ("'Phase'",),
    "phaselock/tools/probe.py": ("'only measuring'",),
    "phaselock/ui/keys.py": ("'Entry'", "GetSelection %W"),
    "phaselock/ui/shortcuts.py": ("'Escape'", "'Right'", "'Left'", "'Entry'", "'Text'"),
    "phaselock/ui/theme.py": ("'Inter'", "'Noto Sans'", "'DejaVu Sans'", "'Segoe UI'"),
    "phaselock/ui/widgets/plot.py": ("'{} ms'", "'−{} min'"),
}
TK_KEYS = ("'Return'", "'Down'", "'Left'", "'Right'", "'Home'", "'End'", "'Prior'", "'Next'")


def shown_modules() -> list[str]:
    return [
        path
        for path in texts.modules()
        if path.split("/")[1] not in WITHOUT_TEXTS
        and path not in ("phaselock/tools/event_reference.py", "phaselock/tools/manual.py")
    ]


def all_ids() -> set[str | tuple[str, str]]:
    return {one.message for one in texts.marked()[0]}


def key(message: Message) -> str | tuple[str, str]:
    return message.id if isinstance(message.id, str) else (message.id[0], message.id[1])


def forms(message: Message) -> list[tuple[str, str]]:
    """Pairs of message id and translation: one, or one for each form of the plural. The first form is for one thing."""
    if isinstance(message.id, str):
        return [(message.id, str(message.string))]
    return [(message.id[bool(place)], form) for place, form in enumerate(message.string)]


def fields(text: str) -> set[str]:
    """The placeholders of a text."""
    try:
        named = {name for _, name, _, _ in string.Formatter().parse(text) if name is not None}
    except ValueError:  # braces as ordinary characters
        named = set()
    return named | set(PERCENT.findall(text))


def test_no_message_id_is_put_together_at_run_time() -> None:
    assert texts.marked()[1] == []


@pytest.mark.parametrize("path", shown_modules())
def test_every_text_for_users_is_marked(path: str) -> None:
    allowed = (*NOT_FOR_USERS.get(path, ()), *(TK_KEYS if path.startswith("phaselock/ui/") else ()))
    unmarked = texts.unmarked(path, texts.sources()[path])
    assert [one for one in unmarked if not any(text in one for text in allowed)] == []


@pytest.mark.parametrize("code", TRANSLATED)
def test_the_catalogue_has_exactly_the_texts_of_the_source(code: str) -> None:
    there = {key(message) for message in texts.read(code) if message.id}
    assert sorted(map(str, all_ids() - there)) == [], "run python -m tests.test_translations, and translate these"
    assert sorted(map(str, there - all_ids())) == [], "run python -m tests.test_translations"


@pytest.mark.parametrize("code", TRANSLATED)
def test_every_text_is_translated(code: str) -> None:
    missing = [
        message.id
        for message in texts.read(code)
        if message.id and (message.fuzzy or not all(dict(forms(message)).values()))
    ]
    assert missing == []


@pytest.mark.parametrize("code", TRANSLATED)
def test_translations_have_the_same_values_and_edges(code: str) -> None:
    wrong = []
    for message in texts.read(code):
        for english, other in forms(message) if message.id else []:
            same_end = english.endswith((".", "…", ":")) == other.endswith((".", "…", ":"))
            same_space = (english[:1].isspace(), english[-1:].isspace()) == (other[:1].isspace(), other[-1:].isspace())
            if fields(english) != fields(other) or not same_end or not same_space:
                wrong.append((english, other))
    assert wrong == []


@pytest.mark.parametrize(
    ("source", "count"),
    [
        ('x = "Nobody is here"', 1),
        ('show("Nobody is here")', 1),
        ('show(f"{n} songs")', 1),
        ('show("Undo")', 1),
        ('show(tr("Nobody is here"))', 0),
        ('raise PhaseLockError("No file {x}.", x=1)', 0),
        ('raise ValueError("Nobody is here")', 0),
        ('"""Nobody is here."""', 0),
        ('if x == "play_pause": pass', 0),
        ('log.info("Nobody is here")', 0),
    ],
)
def test_the_search_for_unmarked_texts(source: str, count: int) -> None:
    assert len(texts.unmarked("module.py", ast.parse(source))) == count


if __name__ == "__main__":
    for language in TRANSLATED:
        texts.update(language)
