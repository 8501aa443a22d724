"""Texts for users that are translated where they are shown.

All texts in the code are English; they are the message ids of gettext. A text that may reach a program, a log or
another machine is a `Message`: an ordinary English string that also keeps its message id and values, from which a front
end makes the text in the user's language.
"""

from __future__ import annotations

import gettext
from collections.abc import Iterable, Sequence
from typing import Protocol

MAX_JOINED = 8
"""Most parts of a list in a sentence."""


class Words(Protocol):
    """A language: the interface of gettext.NullTranslations."""

    def gettext(self, message: str, /) -> str: ...

    def ngettext(self, msgid1: str, msgid2: str, n: int, /) -> str: ...


ENGLISH: Words = gettext.NullTranslations()
"""The language of the message ids: it returns them unchanged. Programs, logs and other machines get this language."""


def N_(text: str) -> str:
    """Mark a constant as a message id. It is translated later, where it is shown."""
    return text


class Message(str):
    """An English text made of a message id and named values: `Message("No file {name}.", name="a.mp3")`.

    Without values, braces in the message id are ordinary characters. A value that is itself a Message is translated
    too. A message id with values must not be an f-string: a test finds those.
    """

    _template: str
    _plural: tuple[str, int] | None
    _values: dict[str, object]
    _between: str | None = None
    """Not None: the values are joined by it, and the template is no message id."""

    def __new__(cls, template: str, /, **values: object) -> Message:
        return cls._made(template, None, values)

    @classmethod
    def plural(cls, singular: str, plural: str, number: int, /, **values: object) -> Message:
        """A text in the singular or plural, by gettext's rules; `{number}` in it is the number."""
        return cls._made(singular, (plural, number), {"number": number, **values})

    @classmethod
    def joined(cls, between: str, parts: Iterable[str]) -> Message:
        """The parts with the text `between` in between, as str.join does it. Parts that are Messages are translated."""
        values: dict[str, object] = {f"part{number}": part for number, part in enumerate(parts)}
        message = cls._made(between.join(f"{{{name}}}" for name in values), None, values)
        message._between = between
        return message

    @classmethod
    def _made(cls, template: str, plural: tuple[str, int] | None, values: dict[str, object]) -> Message:
        chosen = template if plural is None else ENGLISH.ngettext(template, *plural)
        message = str.__new__(cls, chosen.format_map(values) if values else chosen)
        message._template, message._plural, message._values = template, plural, values
        return message

    def translated(self, words: Words) -> str:
        """The text in the language `words`."""
        values = {
            name: value.translated(words) if isinstance(value, Message) else value
            for name, value in self._values.items()
        }
        if self._between is not None:
            return self._between.join(map(str, values.values()))
        if self._plural is not None:
            form = words.ngettext(self._template, *self._plural)
        else:
            form = words.gettext(self._template) if self._template else ""
        return form.format_map(values) if values else form


A_DECIMAL = N_("1.5")
"""A number as the language writes it. The character in the middle is its decimal sign."""


class Figure(Message):
    """A number in a form of `format` (".1f", "+.0f", "g"), with the decimal sign of the language. Never "-0"."""

    def __new__(cls, value: float, form: str) -> Figure:
        figure = str.__new__(cls, format(value, form.replace(".", "z.")))
        figure._template, figure._plural, figure._values = figure, None, {}
        return figure

    def translated(self, words: Words) -> str:
        return self.replace(".", words.gettext(A_DECIMAL)[1])


def translated(text: str, words: Words) -> str:
    """A text in the language `words`: a Message, a message id, or any other text, which stays as it is."""
    if isinstance(text, Message):
        return text.translated(words)
    return words.gettext(text) if text else ""


def joined(parts: Sequence[str], words: Words = ENGLISH) -> str:
    """Join parts of a sentence: "a", "a and b", "a, b and c"; of many MAX_JOINED, and how many others there are."""
    if len(parts) < 2:
        return "".join(parts)
    if len(parts) > MAX_JOINED + 1:
        more = words.gettext("{number} more").format(number=len(parts) - MAX_JOINED)
        parts = [*parts[:MAX_JOINED], more]
    return words.gettext("{list} and {last}").format(list=", ".join(parts[:-1]), last=parts[-1])
