"""The language of this process: chosen from the environment, read from gettext's catalogues.

`<code>/LC_MESSAGES/phaselock.po` holds the translations; setup.py compiles them. One process speaks one language, as
gettext has it: the front ends call `tr` and `tr_plural`, or pass `current()` to functions that take `words`.
"""

from __future__ import annotations

import functools
import gettext
import os
import pathlib
import re
import sys
import time
from collections.abc import Mapping

from phaselock.language.message import ENGLISH, Words

DOMAIN = "phaselock"
FOLDER = pathlib.Path(__file__).parent
LANGUAGES = ("en", "de")
"""ISO 639-1 codes of the languages with texts; English needs no catalogue."""
VARIABLES = ("PHASELOCK_LANG", "LANGUAGE", "LC_ALL", "LC_MESSAGES", "LANG")
"""Environment variables that name the language: ours, then those of gettext. The first one with a value decides."""

_current: Words = ENGLISH


def chosen(environ: Mapping[str, str]) -> str:
    """The code of the language that the user wants: by the environment, else by the system; "en" if there is none."""
    named = next((environ[name] for name in VARIABLES if environ.get(name)), None) or _system_language()
    codes = (re.split(r"[_.@-]", one.strip())[0].lower() for one in named.split(":"))
    return next((code for code in codes if code in LANGUAGES), "en")


def use(code: str) -> Words:
    """Let this process speak the language with this code; argparse too, which asks gettext by itself."""
    global _current
    _current = _catalogue(code)
    os.environ["LANGUAGE"] = code
    gettext.bindtextdomain(DOMAIN, str(FOLDER))
    gettext.textdomain(DOMAIN)
    return _current


@functools.cache
def _catalogue(code: str) -> Words:
    return gettext.translation(DOMAIN, FOLDER, [code], fallback=True) if code != "en" else ENGLISH


def words_of(language: str) -> Words:
    """The language of a browser as "de" or "de-AT"; English if there are no texts in it."""
    code = language.partition("-")[0].lower()
    return _catalogue(code if code in LANGUAGES else "en")


def current() -> Words:
    """The language of this process; English before `use`."""
    return _current


def tr(message: str) -> str:
    """The text of a message id in the language of this process."""
    return _current.gettext(message)


def tr_plural(singular: str, plural: str, number: int) -> str:
    """The text for this number in the language of this process, by gettext's rules for plurals."""
    return _current.ngettext(singular, plural, number)


def moment_text(unix_s: float) -> str:
    """A moment of the last hours as "18:32", in the time zone of this machine; an earlier one with its date."""
    recent = 0 <= time.time() - unix_s < 12 * 3600
    return time.strftime("%H:%M", time.localtime(unix_s)) if recent else date_text(unix_s)


def date_text(unix_s: float) -> str:
    """A moment in the time zone of this machine, as in ISO 8601, to the minute."""
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(unix_s))


def _system_language() -> str:
    """The language of Windows as "de_DE"; empty on other systems, where the environment names it."""
    if sys.platform != "win32":
        return ""
    import ctypes
    import locale

    return locale.windows_locale.get(ctypes.windll.kernel32.GetUserDefaultUILanguage(), "")
