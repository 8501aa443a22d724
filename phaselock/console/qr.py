"""QR codes in a terminal."""

from __future__ import annotations

QUIET_ZONE = 2
"""Modules around the code. ISO/IEC 18004 wants four; cameras read it with two, and terminals are small."""


def qr_lines(text: str, columns: int) -> list[str]:
    """The code of a text for a terminal with `columns`; none if it does not fit, or if the output is no terminal (0).

    Light modules are drawn in the colour of the text, because most terminals have light text on a dark ground. On a
    light ground light and dark are exchanged, which most cameras read too.
    """
    if not columns:
        return []
    import segno  # late: most sessions show no code

    dark = segno.make(text, error="l", micro=False).matrix
    side = len(dark) + 2 * QUIET_ZONE
    if side > columns:
        return []
    light = [[True] * side for _ in range(side + side % 2)]
    for y, row in enumerate(dark):
        for x, module in enumerate(row):
            light[y + QUIET_ZONE][x + QUIET_ZONE] = not module
    halves = {(True, True): "█", (True, False): "▀", (False, True): "▄", (False, False): " "}
    return [
        "".join(halves[upper, lower] for upper, lower in zip(light[y], light[y + 1], strict=True))
        for y in range(0, len(light), 2)
    ]
