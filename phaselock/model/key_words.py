"""Shows a host's key as four short words that people can compare.

Each word stands for 16 bits: consonants and vowels in turn, by D. S. Wilkerson, "A Proposal for Proquints:
Identifiers that are Readable, Spellable, and Pronounceable", 2009. To find a key with the words of another machine, an
attacker would have to hash about 2**64 certificates.
"""

from __future__ import annotations

import functools

_CONSONANTS = "bdfghjklmnprstvz"
_VOWELS = "aiou"
_WORDS = 4


@functools.lru_cache(maxsize=256)
def key_words(host_key: bytes) -> str:
    """Four words for the first 8 bytes of a key."""
    return " ".join(_word(int.from_bytes(host_key[at : at + 2], "big")) for at in range(0, 2 * _WORDS, 2))


def _word(bits: int) -> str:
    places = (_CONSONANTS, 12, 15), (_VOWELS, 10, 3), (_CONSONANTS, 6, 15), (_VOWELS, 4, 3), (_CONSONANTS, 0, 15)
    return "".join(letters[bits >> shift & mask] for letters, shift, mask in places)
