"""The words of a text as they are searched for: without case, accents, and signs within a name."""

from __future__ import annotations

import re
import unicodedata

_PLAIN = str.maketrans(
    {
        **dict.fromkeys("øǿ", "o"),
        **dict.fromkeys("łƚ", "l"),
        **dict.fromkeys("đðɖ", "d"),
        **dict.fromkeys("æǽ", "ae"),
        "œ": "oe",
        "þ": "th",
        "ħ": "h",
        "ŧ": "t",
        "ŋ": "n",
        "ı": "i",
        "ĸ": "k",
        "ƒ": "f",
    }
)
"""Letters that Unicode does not decompose. `casefold` has made "ss" of "ß"."""
_SPELLED = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue", "ø": "oe", "å": "aa"})
"""How these letters are typed where the keyboard has none of them."""
_APOSTROPHES = re.compile("['’‘ʼ`´]")
# Scripts without blanks between words: each character is a word.
_ALONE = re.compile("([\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff])")
_WORD = re.compile(r"[^\W_]+")


def words_of(text: str) -> list[str]:
    """The words in their order. Each consists of letters and digits only."""
    return _words(_folded(text.casefold()))


def further_words_of(text: str) -> list[str]:
    """Other forms of words of the text under which it may be searched: "mueller" for "Müller", "acdc" for "AC/DC"."""
    lower = unicodedata.normalize("NFC", text).casefold()
    found = []
    for part in lower.split():
        words, spelled = _words(_folded(part)), _words(_folded(part.translate(_SPELLED)))
        found += [word for word in (*spelled, "".join(words)) if word and word not in words]
    return list(dict.fromkeys(found))


def _folded(lower: str) -> str:
    """The text without accents. Marks that are vowels stay."""
    apart = unicodedata.normalize("NFKD", _APOSTROPHES.sub("", lower))
    plain = "".join(character for character in apart if not unicodedata.combining(character))
    return plain.casefold().translate(_PLAIN)


def _words(folded: str) -> list[str]:
    return _WORD.findall(_ALONE.sub(r" \1 ", folded))
