"""The sources of the guests' page: what is too new for phones of 2019, what is unsafe, and what its texts lack."""

from __future__ import annotations

import json
import pathlib
import re

import pytest

from phaselock.ui import theme
from tests.support.programs import ROOT

PAGE = ROOT / "phaselock" / "guests" / "page"
SCRIPTS = sorted(PAGE.glob("*.js"))
HTML = (PAGE / "index.html").read_text("utf-8")
CSS = (PAGE / "page.css").read_text("utf-8")

# Newer than ES2018 or than the browsers of 2019, or only in secure contexts, which a home network has not.
TOO_NEW = {
    r"\?\.(?!\d)": "optional chaining",
    r"\?\?": "the nullish operator",
    r"(?:&&|\|\||\*\*)=": "an assignment that is also a logical operator or a power",
    r"[\s.{(]#[a-z_]\w*\s*[=(;.]": "a private member",
    r"\bcatch\s*\{": "catch without a variable",
    r"\b\d[\d_]*n\b|\bBigInt": "a BigInt",
    r"\d_\d": "a number with separators",
    r"^await ": "await outside of a function",
    r"\bimport\(": "an import while the page runs",
    r"\.(?:at|flat|flatMap|replaceAll|matchAll|trimStart|trimEnd|replaceChildren|toSorted|findLast)\(": "a new method",
    r"Object\.(?:fromEntries|groupBy|hasOwn)|Promise\.(?:allSettled|any)|structuredClone|globalThis": "a new function",
    r"randomUUID|serviceWorker|navigator\.(?:clipboard|wakeLock|share|mediaDevices)|AudioWorklet": "a secure context",
}
UNSAFE = r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function|srcdoc|createContextualFragment"
CSS_TOO_NEW = (
    r"aspect-ratio|\binset:|:is\(|:where\(|:has\(|\bclamp\(|\bmin\(|\bmax\(|\bdvh\b|@layer|@container|[^-]gap:"
)


def code_of(path: pathlib.Path) -> str:
    """A script without its comments and texts; lines keep their numbers."""
    text = re.sub(r'"(?:\\.|[^"\\\n])*"', '""', path.read_text("utf-8"))
    return re.sub(r"(?<!:)//[^\n]*", "", text)


def catalogue(language: str) -> dict[str, str | list[str]]:
    """The texts of texts.js in one language."""
    source = (PAGE / "texts.js").read_text("utf-8")
    match = re.search(rf"^  {language}: \{{$(.*?)^  \}},$", source, re.MULTILINE | re.DOTALL)
    assert match
    lines = re.sub(r"^ *(\w+):", r'"\1":', match[1].strip().rstrip(","), flags=re.MULTILINE)
    found: dict[str, str | list[str]] = json.loads("{" + lines + "}")
    return found


def places(text: str | list[str]) -> set[str]:
    """The names in braces of a text, or of all its forms."""
    return set(re.findall(r"\{(\w+)\}", " ".join([text] if isinstance(text, str) else text)))


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_a_browser_of_2019_runs_it(path: pathlib.Path) -> None:
    found = [
        f"{path.name}:{number}: {what}"
        for number, line in enumerate(code_of(path).splitlines(), 1)
        for pattern, what in TOO_NEW.items()
        if re.search(pattern, line)
    ]
    assert found == []
    classes = re.findall(r"^(?:export )?class \w+.*?^\}", code_of(path), re.MULTILINE | re.DOTALL)
    assert [line for one in classes for line in re.findall(r"^  (?:static )?\w+(?: = .*)?;$", one, re.MULTILINE)] == []


@pytest.mark.parametrize(
    "line",
    [
        "a?.b", "a ?? b", "a ||= b", "  #x = 1;", "} catch {", "const a = 10n;", "const a = 1_000;", "await go();",
        "a.at(-1)", "Object.fromEntries(a)", "crypto.randomUUID()",
    ],
)  # fmt: skip
def test_what_is_too_new_is_found(line: str) -> None:
    assert any(re.search(pattern, line) for pattern in TOO_NEW)


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_texts_never_become_markup(path: pathlib.Path) -> None:
    assert not re.search(UNSAFE, path.read_text("utf-8"))


def test_the_policy_needs_nothing_inline() -> None:
    assert not re.search(r"<style|\sstyle=|\son\w+=|javascript:|<script(?![^>]*\ssrc=)", HTML)
    used = re.findall(r'(?:src|href)="([^"#]+)"', HTML) + re.findall(
        r'from "([^"]+)"', "".join(path.read_text("utf-8") for path in SCRIPTS)
    )
    assert [one for one in used if not (PAGE / one.lstrip("/")).is_file() or not one.startswith("/")] == []
    assert "url(" not in CSS and "@import" not in CSS


def test_the_style_sheet_suits_browsers_of_2019() -> None:
    assert re.findall(CSS_TOO_NEW, re.sub(r"/\*.*?\*/|grid-gap", "", CSS, flags=re.DOTALL)) == []


def declared_in(rules: str) -> dict[str, str]:
    return dict(re.findall(r"^ +--([\w-]+): ([^;]+);", rules, re.MULTILINE))


def test_colours_and_sizes_are_those_of_the_window() -> None:
    usual, _, contrast = CSS.partition("@media (prefers-contrast: more)")
    declared = declared_in(usual)
    names = {name: name.replace("-", "_").upper() for name in declared}
    colours = {name: value for name, value in declared.items() if value.startswith("#")}
    assert colours == {name: getattr(theme, names[name]) for name in colours} and len(colours) > 10
    for name in ("title", "section", "body", "secondary", "caption"):
        assert float(declared[name].removesuffix("rem")) * 16 == getattr(theme, names[name])
    high = {name.replace("_", "-").lower(): value for name, value in theme._HIGH_CONTRAST.items()}
    assert declared_in(contrast) == high
    outside = re.sub(r":root \{.*?\}", "", CSS, flags=re.DOTALL)
    assert re.findall(r"#[0-9A-Fa-f]{3,8}\b(?=[;\s,)])", outside) == []


def test_the_catalogue_is_complete() -> None:
    english, german = catalogue("en"), catalogue("de")
    assert list(english) == list(german)
    for key, text in english.items():
        assert isinstance(text, list) == isinstance(german[key], list), key
        assert places(text) == places(german[key]), key
        assert all(german[key]) and all(text), key


def test_every_text_is_used_and_exists() -> None:
    known = catalogue("en").keys()
    source = "".join(path.read_text("utf-8") for path in SCRIPTS if path.name != "texts.js")
    source += (PAGE / "texts.js").read_text("utf-8").partition("export const LANGUAGE")[2]
    in_html = set(re.findall(r'data-(?:text|label|placeholder)="(\w+)"', HTML))
    in_calls = {key for call in re.findall(r"\bsay\(([^)]*)\)", source) for key in re.findall(r'"(\w+)"', call)}
    assert in_html <= known and in_calls <= known
    assert [
        key for key in known if key not in in_html and f'"{key}"' not in source and key.split("_")[0] not in BUILT
    ] == []


BUILT = {"rule", "state", "removed", "wait", "full", "elsewhere"}
"""The beginnings of keys that a script puts together."""


def test_every_text_of_the_document_is_in_the_catalogue() -> None:
    body = re.sub(r"<noscript>.*?</noscript>|<svg.*?</svg>|<title>.*?</title>|<[^>]*>", "", HTML, flags=re.DOTALL)
    assert body.split() == ["PhaseLock"]
