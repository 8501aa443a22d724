"""The map of the packages in phaselock/README.md: its table, its picture and the check of its call paths."""

from __future__ import annotations

import ast
import pathlib
import re
from collections.abc import Iterator, Mapping, Sequence

Arrows = Mapping[str, frozenset[str]]
"""The packages that each package imports."""

# Horizontal places in the picture, in boxes. The vertical places follow from the imports.
COLUMNS = {
    "cli": 2.0,
    "cli_commands": 1.0,
    "bench": 2.0,
    "app": 1.25,
    "tools": 2.75,
    "console": 0.0,
    "ui": 1.0,
    "network": 2.0,
    "guests": 3.0,
    "internet": 4.0,
    "sync": 3.0,
    "session": 1.0,
    "audio": 2.0,
    "storage": 3.0,
    "protocol": 1.0,
    "_native": 4.0,
    "desktop": 0.0,
    "os_packages": 2.0,
    "python_process": 4.0,
    "model": 2.0,
    "language": 0.0,
}
COLUMN_PX, ROW_PX, BOX_WIDTH_PX, BOX_HEIGHT_PX, MARGIN_PX = 150, 84, 112, 36, 16


def without_shortcuts(arrows: Arrows) -> dict[str, set[str]]:
    """The arrows that no longer way implies: A to C is left out where there are A to B and B to C."""

    def below(package: str) -> set[str]:
        return {package}.union(*(below(one) for one in arrows.get(package, ())))

    return {
        package: {one for one in below_it if not any(one in below(other) for other in below_it - {one})}
        for package, below_it in arrows.items()
    }


def floors(arrows: Arrows) -> dict[str, int]:
    """The floor of each package, from 0 at the top: one below the lowest package that imports it."""
    importers: dict[str, list[str]] = {}
    for package, below in arrows.items():
        for one in below:
            importers.setdefault(one, []).append(package)

    def floor(package: str) -> int:
        return 1 + max((floor(one) for one in importers.get(package, ())), default=-1)

    return {package: floor(package) for package in {*arrows, *importers}}


def picture(arrows: Arrows) -> str:
    """An SVG of the packages, each above all that it imports. KeyError for a package that has no column."""
    floor = floors(arrows)
    places = {one: (COLUMNS[one] * COLUMN_PX, floor[one] * ROW_PX) for one in sorted(floor)}
    width = max(x for x, _ in places.values()) + BOX_WIDTH_PX + 2 * MARGIN_PX
    height = max(y for _, y in places.values()) + BOX_HEIGHT_PX + 2 * MARGIN_PX
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height}" '
        'font-family="DejaVu Sans Mono, Menlo, Consolas, monospace" font-size="14">',
        "  <title>The packages of PhaseLock and their imports</title>",
        '  <defs><marker id="head" markerWidth="9" markerHeight="8" refX="8" refY="4" orient="auto">'
        '<path d="M0 0l9 4l-9 4z" fill="#1db954"/></marker></defs>',
        f'  <rect width="{width:.0f}" height="{height}" rx="14" fill="#121212"/>',
        f'  <g transform="translate({MARGIN_PX} {MARGIN_PX})">',
        '    <g fill="none" stroke="#1db954" stroke-width="1.5" marker-end="url(#head)">',
    ]
    for upper, below in sorted(without_shortcuts(arrows).items()):
        for lower in sorted(below):
            lines.append(f'      <path d="{_path(upper, lower, floor)}"/>')
    lines += ["    </g>", '    <g fill="#2a2a2a" stroke="#535353">']
    for x, y in places.values():
        lines.append(f'      <rect x="{x:.0f}" y="{y}" width="{BOX_WIDTH_PX}" height="{BOX_HEIGHT_PX}" rx="8"/>')
    lines += ["    </g>", '    <g fill="#fff" text-anchor="middle">']
    for name, (x, y) in places.items():
        lines.append(f'      <text x="{x + BOX_WIDTH_PX / 2:.0f}" y="{y + BOX_HEIGHT_PX / 2 + 5:.0f}">{name}</text>')
    return "\n".join([*lines, "    </g>", "  </g>", "</svg>", ""])


def _path(upper: str, lower: str, floor: Mapping[str, int]) -> str:
    """A line from box to box; across several floors a curve along the side where no box is."""
    x1, y1 = COLUMNS[upper] * COLUMN_PX + BOX_WIDTH_PX / 2, floor[upper] * ROW_PX + BOX_HEIGHT_PX
    x2, y2 = COLUMNS[lower] * COLUMN_PX + BOX_WIDTH_PX / 2, floor[lower] * ROW_PX
    if floor[lower] - floor[upper] == 1 or x1 == x2:
        return f"M{x1:.0f} {y1}L{x2:.0f} {y2}"
    side = BOX_WIDTH_PX / 2 if x1 > x2 else -BOX_WIDTH_PX / 2
    between = range(floor[upper] + 1, floor[lower])
    if any(COLUMNS[one] == COLUMNS[upper] and floor[one] in between for one in floor):
        start_y = y1 - BOX_HEIGHT_PX / 2
        return f"M{x1 - side:.0f} {start_y:.0f}Q{x2:.0f} {start_y:.0f} {x2:.0f} {y2}"
    end_y = y2 + BOX_HEIGHT_PX / 2
    return f"M{x1:.0f} {y1}Q{x1:.0f} {end_y:.0f} {x2 + side:.0f} {end_y:.0f}"


def table(law: Mapping[str, Sequence[str]], purposes: Mapping[str, str]) -> str:
    """The packages, what each is for and what it may import, in Markdown."""
    rows = ["| package | purpose | may import |", "|---|---|---|"]
    for package in sorted(law):
        allowed = ", ".join("everything" if one == "*" else f"`{one}`" for one in sorted(law[package]))
        rows.append(f"| `{package}` | {purposes[package]} | {allowed or 'nothing'} |")
    return "\n".join(rows)


def put_between(document: str, text: str) -> str:
    """The document with `text` between the marks of the table. ValueError if there are none."""
    before, begin, rest = document.partition("<!-- packages -->\n")
    _, end, after = rest.partition("<!-- /packages -->")
    if not end:
        raise ValueError("the marks of the table are missing")
    return f"{before}{begin}{text}\n{end}{after}"


def call_paths(document: str) -> Iterator[tuple[str, int, list[tuple[str, str]]]]:
    """Each call path of the document: heading, the number of functions told there, and (file, function) in order.

    A path is a heading that ends in ": 12 functions", and the rows `| thread | file | functions |` below it.
    """
    for section in re.split(r"^#+ ", document, flags=re.MULTILINE):
        heading, _, body = section.partition("\n")
        if found := re.fullmatch(r"(.*): (\d+) functions", heading):
            rows = re.findall(r"^\|[^|`]*\| `([^`]+)` \| (.*) \|$", body, re.MULTILINE)
            steps = [(file, name) for file, names in rows for name in re.findall("`([^`]+)`", names)]
            yield found[1], int(found[2]), steps


def defined_in(path: pathlib.Path) -> set[str]:
    """The functions of a file, methods as Class.method."""
    source = path.read_text("utf-8")
    if path.suffix == ".py":
        names = set()
        for node in ast.parse(source).body:
            if isinstance(node, ast.ClassDef):
                names |= {f"{node.name}.{one.name}" for one in node.body if isinstance(one, _FUNCTIONS)}
            elif isinstance(node, _FUNCTIONS):
                names.add(node.name)
        return names
    if path.suffix in (".pyx", ".pxi"):
        names, owner = set(), ""
        for indent, kind, name in re.findall(r"^( *)(?:cdef )?(class|def) (\w+)", source, re.MULTILINE):
            if kind == "class":
                owner = name
            else:
                names.add(f"{owner}.{name}" if indent else name)
        return names
    return set(re.findall(r"^[a-z][\w *]*?(\w+)\([^;]*?\) \{", source, re.MULTILINE))


_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
