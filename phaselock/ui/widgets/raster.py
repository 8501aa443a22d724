"""An antialiasing rasteriser: polygons to images. Tk's own canvas smooths edges on macOS only.

The coverage of a pixel is exact and computed from the edges: each piece of an edge adds its signed area to its own
pixel and to all pixels right of it, so that the running sum along a row is the coverage (signed-area accumulation, as
in font rasterisers). Coordinates are pixels of the image, y down. Polygons are clockwise on the screen; a
counterclockwise one cuts a hole.
"""

from __future__ import annotations

import itertools
import math
import struct
import tkinter as tk
import zlib
from collections.abc import Iterable, Sequence
from typing import TypeAlias

from phaselock.ui import theme

Points: TypeAlias = Sequence[tuple[float, float]]
Layer: TypeAlias = tuple[Sequence[Points], str]


def polygon(*points: tuple[float, float]) -> Points:
    """A filled polygon; `points` in either direction."""
    area = sum(ax * by - bx * ay for (ax, ay), (bx, by) in zip(points, (*points[1:], points[0]), strict=True))
    return points if area > 0 else points[::-1]


def hole(points: Points) -> Points:
    """The same outline as a hole."""
    return points[::-1]


def disc(x: float, y: float, radius: float) -> Points:
    """A filled circle."""
    return arc(x, y, radius, 0, 360)


def arc(x: float, y: float, radius: float, start: float, end: float) -> Points:
    """Points of an arc; angles in degrees, clockwise from the right."""
    count = max(8, math.ceil(abs(end - start) / 360 * (12 + 4 * radius)))
    angles = (math.radians(start + (end - start) * i / count) for i in range(count + (abs(end - start) < 360)))
    return [(x + radius * math.cos(a), y + radius * math.sin(a)) for a in angles]


def rounded(x0: float, y0: float, x1: float, y1: float, radius: float) -> Points:
    """A rectangle with round corners."""
    r = min(radius, (x1 - x0) / 2, (y1 - y0) / 2)
    if r <= 0:
        return [(x0, y0), (x1, y0), (x1, y1), (x0, y1)]
    return [
        *arc(x0 + r, y0 + r, r, 180, 270),
        *arc(x1 - r, y0 + r, r, 270, 360),
        *arc(x1 - r, y1 - r, r, 0, 90),
        *arc(x0 + r, y1 - r, r, 90, 180),
    ]


def stroke(points: Points, width: float, *, closed: bool = False) -> list[Points]:
    """A polyline with a width, round ends and round joins."""
    found: list[Points] = [disc(x, y, width / 2) for x, y in points]
    following = [*points[1:], points[0]] if closed else points[1:]
    for (ax, ay), (bx, by) in zip(points, following, strict=False):
        length = math.hypot(bx - ax, by - ay)
        if length:
            nx, ny = (by - ay) / length * width / 2, (ax - bx) / length * width / 2
            found.append(polygon((ax + nx, ay + ny), (bx + nx, by + ny), (bx - nx, by - ny), (ax - nx, ay - ny)))
    return found


def ribbon(points: Points, width: float) -> list[Points]:
    """A curve with a width and round ends, as one polygon; its radius of curvature must exceed half the width."""
    left: list[tuple[float, float]] = []
    right: list[tuple[float, float]] = []
    for (ax, ay), (x, y), (bx, by) in zip((points[0], *points), points, (*points[1:], points[-1]), strict=False):
        length = math.hypot(bx - ax, by - ay)
        nx, ny = (by - ay) / length * width / 2, (ax - bx) / length * width / 2
        left.append((x + nx, y + ny))
        right.append((x - nx, y - ny))
    ends = [disc(*points[0], width / 2), disc(*points[-1], width / 2)]
    return [polygon(*left, *reversed(right)), *ends]


def scaled(polygons: Iterable[Points], factor: float, dx: float = 0, dy: float = 0) -> list[Points]:
    """Scale, then move."""
    return [[(x * factor + dx, y * factor + dy) for x, y in points] for points in polygons]


def coverage(polygons: Iterable[Points], width: int, height: int) -> list[list[float]]:
    """The coverage of each pixel by all polygons, 0 to 1, as rows; a row without any is empty."""
    rows: list[list[float]] = [[] for _ in range(height)]
    for points in polygons:
        for (ax, ay), (bx, by) in zip(points, (*points[1:], points[0]), strict=True):
            if ay != by:
                _edge(rows, width, ax, ay, bx, by)
    for y, row in enumerate(rows):
        if row:
            rows[y] = [min(abs(total), 1.0) for total in itertools.accumulate(row)]
    return rows


def _edge(rows: list[list[float]], width: int, ax: float, ay: float, bx: float, by: float) -> None:
    sign = 1.0
    if ay > by:
        ax, ay, bx, by, sign = bx, by, ax, ay, -1.0
    slope = (bx - ax) / (by - ay)
    for y in range(max(math.floor(ay), 0), min(math.ceil(by), len(rows))):
        top, bottom = max(ay, y), min(by, y + 1)
        left, right = sorted((ax + (top - ay) * slope, ax + (bottom - ay) * slope))
        left, right = min(max(left, 0.0), width), min(max(right, 0.0), width)
        row, cover, span = rows[y], sign * (bottom - top), right - left
        if not row:
            row = rows[y] = [0.0] * (width + 2)
        x = int(left)
        while True:
            start, end = max(left, x), min(right, x + 1)
            part = cover * (end - start) / span if span > 1e-9 else cover
            inside = (start + end) / 2 - x
            row[x] += part * (1 - inside)
            row[x + 1] += part * inside
            x += 1
            if x >= right or span <= 1e-9:
                break


def _rgb(colour: str) -> tuple[int, int, int]:
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)


def paint(width: int, height: int, layers: Sequence[Layer], ground: str | None) -> list[bytearray]:
    """Rows of RGB bytes on a background colour, or of RGBA without one; later layers are above earlier ones."""
    depth = 3 if ground else 4
    start = bytes(_rgb(ground)) if ground else bytes(4)
    rows = [bytearray(start * width) for _ in range(height)]
    for polygons, colour in layers:
        r, g, b = _rgb(colour)
        solid = bytes((r, g, b, 255)[:depth])
        for row, shares in zip(rows, coverage(polygons, width, height), strict=True):
            for x, share in enumerate(shares[:width]):
                if share > 0.998:
                    row[x * depth : x * depth + depth] = solid
                elif share > 0.002:
                    at = x * depth
                    under = 1.0 if ground else row[at + 3] / 255
                    whole = share + under * (1 - share)
                    keep = under * (1 - share) / whole
                    row[at] = round(row[at] * keep + r * (1 - keep))
                    row[at + 1] = round(row[at + 1] * keep + g * (1 - keep))
                    row[at + 2] = round(row[at + 2] * keep + b * (1 - keep))
                    if not ground:
                        row[at + 3] = round(whole * 255)
    return rows


def png(rows: Sequence[bytes | bytearray], width: int) -> bytes:
    """Encode rows as a PNG file; RGBA if they have four bytes a pixel."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    kind = 6 if len(rows[0]) == 4 * width else 2
    header = struct.pack(">IIBBBBB", width, len(rows), 8, kind, 0, 0, 0)
    body = zlib.compress(b"".join(b"\0" + row for row in rows), 1)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", body) + chunk(b"IEND", b"")


def image(width: int, height: int, layers: Sequence[Layer], ground: str | None) -> tk.PhotoImage:
    """An image of the polygons; with a background colour it is opaque, which Tk draws much faster."""
    return tk.PhotoImage(master=theme.root(), data=png(paint(width, height, layers, ground), width))


def plate(
    width: int, height: int, radius: float, fill: str, ground: str, *, outline: str = "", line: int = 0, gap: int = 0
) -> tk.PhotoImage:
    """A rectangle with round corners; optionally an outline inside its edge, and a gap inside that."""
    r = min(radius, height / 2, width / 2)
    narrow = min(2 * math.ceil(r) + 2 * (line + gap) + 1, width)

    def make() -> tk.PhotoImage:
        insets = [(0, outline), (line, ground if gap else fill), (line + gap, fill)] if outline else [(0, fill)]
        layers = [([rounded(i, i, narrow - i, height - i, r - i)], colour) for i, colour in insets]
        half = narrow // 2 * 3
        rows = [
            row[:half] + row[half : half + 3] * (width - narrow + 1) + row[half + 3 :]
            for row in paint(narrow, height, layers, ground)
        ]
        return tk.PhotoImage(master=theme.root(), data=png(rows, width))

    return theme.kept(("plate", width, height, radius, fill, ground, outline, line, gap), make)


def corner_mask(size: int, radius: float, ground: str) -> tk.PhotoImage:
    """The four corners of a square that a rounded one leaves free; the rest is transparent."""
    outer = [polygon((0, 0), (size, 0), (size, size), (0, size)), hole(rounded(0, 0, size, size, radius))]
    return theme.kept(("corners", size, radius, ground), lambda: image(size, size, [(outer, ground)], None))


def dot(diameter: int, fill: str, ground: str | None) -> tk.PhotoImage:
    """An image of a disc."""
    radius = diameter / 2
    return theme.kept(
        ("dot", diameter, fill, ground),
        lambda: image(diameter, diameter, [([disc(radius, radius, radius)], fill)], ground),
    )
