from __future__ import annotations

import pytest

from phaselock.ui.keys import letter


@pytest.mark.parametrize(
    ("keysym", "keycode", "expected"),
    [
        ("o", 32, "o"),
        ("O", 32, "o"),  # caps lock
        ("Cyrillic_shcha", 32, "o"),
        ("Cyrillic_em", 55, "v"),
        ("Ukrainian_i", 39, "s"),
        ("Greek_omega", 55, "v"),
        ("hebrew_zain", 52, "z"),
        ("Arabic_ra", 55, "v"),
        ("Thai_oang", 55, "v"),
        ("Armenian_yech", 41, "f"),
        ("U0915", 45, "k"),
        ("q", 38, "q"),  # AZERTY: at the place of A
        ("a", 24, "a"),
        ("z", 29, "z"),  # QWERTZ: at the place of Y
        ("s", 47, "s"),  # Dvorak: at the place of the semicolon
        ("comma", 58, ""),  # AZERTY: at the place of M
        ("apostrophe", 24, ""),  # Dvorak: at the place of Q
        ("eacute", 11, ""),
        ("idotless", 31, ""),
        ("U0131", 31, ""),
        ("Shift_L", 50, ""),
        ("space", 65, ""),
        ("XF86AudioPlay", 172, ""),
        ("Cyrillic_be", 59, ""),  # at the place of the comma
    ],
)
def test_the_letter_of_a_key_on_x11(keysym: str, keycode: int, expected: str) -> None:
    assert letter(keysym, keycode, "x11") == expected


@pytest.mark.parametrize(
    ("keysym", "keycode", "expected"),
    [("o", 79, "o"), ("??", 79, "o"), ("Cyrillic_em", 86, "v"), ("comma", 188, ""), ("F11", 122, "")],
)
def test_the_letter_of_a_key_on_windows(keysym: str, keycode: int, expected: str) -> None:
    assert letter(keysym, keycode, "win32") == expected


@pytest.mark.parametrize(
    ("keysym", "virtual", "expected"),
    [("o", 31, "o"), ("Cyrillic_shcha", 31, "o"), ("Cyrillic_em", 9, "v"), ("Cyrillic_ha", 33, ""), ("F11", 103, "")],
)
def test_the_letter_of_a_key_on_macos(keysym: str, virtual: int, expected: str) -> None:
    assert letter(keysym, virtual << 24 | 0x43E, "aqua") == expected
