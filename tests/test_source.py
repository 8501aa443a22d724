"""The linters and the rules of wording, as tests."""

from __future__ import annotations

import functools
import importlib.util
import pathlib
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping

import pytest

from tests.support import prose

ROOT = pathlib.Path(__file__).parent.parent

# Words and phrases that non-native readers stumble over, or that hide who does what: what to write instead.
BANNED: Mapping[str, str] = {
    r"whoever|whomever": "name the subject: the peer, the caller, the thread",
    r"nobody|no-one": "name the subject: no peer, no thread",
    r"somebody|anybody": "name the subject: a peer, another program, the user",
    r"whatever|whatsoever": "any, all, or the list of what is meant",
    r"whichever": "either, or the list of what is meant",
    r"whom|whence|thence|whither|thither|wherein|whereupon": "two sentences, or: to which, from where",
    r"therein|thereof|thereby|thereupon|hereby|herein": "two sentences, or: in it, of it, by it",
    r"so (?:long|much|many|often)": "the quantity: how long, for which limit",
    r"that (?:much|many)": "the quantity",
    r"anew": "again",
    r"shall": "must, or the present tense",
    r"hence": "therefore, so",
    r"lest": "so that ... not",
    r"upon": "on",
    r"aught|nought|naught": "anything, nothing, zero",
    r"for ever": "forever, without a limit",
    r"in vain": "without success",
    r"in (?:its|their) turn": "in order",
    r"by now": "the time or the event that is meant",
    r"all the same": "still, nevertheless",
    r"(?:but|save) for|for want of": "except, without",
    r"the like": "and similar, or the list",
    r"as it were|so to speak|no matter": "leave it out",
    r"(?:is|are) to be": "must be, or the active voice",
    r"has to go|have to go": "is closed, is removed",
    r"(?:will|must|has to|have to) do": "is used, is enough",
    r"had (?:it|he|they|there) \w+": "if it had ...",
    r"comes? of it|comes? to nothing": "the result, fails",
    r"nobody else's|somebody else's|one's own": "name the owner",
    r"endured?|patience|impatience|blamed?": "wait limit, timeout, cause",
    r"hungry|sated|in a hurry|stranger(?:s|'s)?": "the technical term: incomplete, complete, early, unauthenticated",
    # A document that is not in the repository.
    r"sections? [\d.]+(?: and [\d.]+)? of the specification|specification (?:section )?[\d.]+": "the rule itself",
    # A clause as the subject of a sentence. Headings and questions have one verb only.
    r"what (?:is|are|was|has|does|cannot) (?:[\w'-]+ ){1,6}(?:is|are|was|has|goes|stays|comes)": ("name the subject"),
}


def check(*command: str) -> None:
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout}"


@pytest.mark.parametrize(
    ("tool", "arguments"),
    [
        ("ruff", ["check", "."]),
        ("ruff", ["format", "--check", "."]),
        ("mypy", ["--strict", "phaselock"]),
    ],
)
def test_python(tool: str, arguments: list[str]) -> None:
    if importlib.util.find_spec(tool) is None:
        pytest.skip(f"{tool} is not installed")
    check(sys.executable, "-m", tool, *arguments)


def test_stub_of_the_extension(tmp_path: pathlib.Path) -> None:
    if importlib.util.find_spec("mypy") is None:
        pytest.skip("mypy is not installed")
    # Members that Cython adds, and constructors: Cython does not expose their signatures.
    allowed = tmp_path / "allowed"
    allowed.write_text(r"phaselock\._native\.(\w+\.__init__|__\w+__|Buffer)")
    command = [sys.executable, "-m", "mypy.stubtest", "phaselock._native", "--concise"]
    check(*command, "--ignore-disjoint-bases", "--ignore-unused-allowlist", "--allowlist", str(allowed))


@pytest.mark.parametrize("compiler", ["gcc", "clang"])
def test_c(compiler: str) -> None:
    if shutil.which(compiler) is None:
        pytest.skip(f"{compiler} is not installed")
    sources = sorted(str(path.relative_to(ROOT)) for path in ROOT.glob("ext/pl_*.c"))
    assert sources
    check(compiler, "-std=c11", "-Wall", "-Wextra", "-Werror", "-O2", "-fsyntax-only", "-Iext", *sources)


@functools.cache
def _sources() -> dict[str, list[pathlib.Path]]:
    """The files with text for people, by folder."""
    found: dict[str, list[pathlib.Path]] = {}
    for top in (".ci", ".github", "ext", "phaselock", "tests", "wheels"):
        for path in sorted((ROOT / top).rglob("*")):
            if path.is_file() and path.suffix in prose.SUFFIXES and path.name != "_native.c":  # Cython writes it
                found.setdefault(path.parent.relative_to(ROOT).as_posix(), []).append(path)
    found["."] = [ROOT / name for name in ("README.md", "pyproject.toml", "setup.py")]
    return found


@functools.cache
def _pattern(words: str) -> re.Pattern[str]:
    return re.compile(rf"\b(?:{words})\b".replace(" ", r"\s+"), re.IGNORECASE)


def _banned(passage: str) -> list[tuple[int, str]]:
    """Where banned words stand: lines after the first of the passage; word and what to write instead."""
    if not _pattern("|".join(BANNED)).search(passage):
        return []
    return sorted(
        (passage.count("\n", 0, match.start()), f"{' '.join(match[0].split())!r}: {instead}")
        for words, instead in BANNED.items()
        for match in _pattern(words).finditer(passage)
    )


@pytest.mark.parametrize("folder", _sources())
def test_words(folder: str) -> None:
    """Comments, docstrings and Markdown are worded for people who have never seen the project."""
    found = [
        f"{path.relative_to(ROOT)}:{line + more} {what}"
        for path in _sources()[folder]
        for line, text in prose.passages(path)
        for more, what in _banned(text)
    ]
    assert not found, "\n" + "\n".join(found)


@pytest.mark.parametrize(
    ("suffix", "source", "found"),
    [
        (".py", '"""Nobody."""\nx = "nobody"\n', [1]),
        (".py", "x = 1  # waits so\n# long\n", [1]),
        (".py", 'X = 1\n"""How\nmany: so many."""\n', [3]),
        (".py", "def f():\n    '''What was sent before is gone.'''\n", [2]),
        (".py", "print('shall')\nf('anew',\n  'whoever')\n", []),
        (".pyx", "cdef int f() noexcept nogil: # lest\n    return 1\n", [1]),
        (".h", 'char *c = "/* anew */"; /* One\n * shall. */\n// whoever\n', [2, 3]),
        (".md", "`shall`\n\n    shall\n\nIt\nshall.\n\n```\nshall\n```\n", [6]),
        (".sh", "[ $# = 0 ] # it shall\n", [1]),
        (".py", "# as section 12.1 of the\n# specification says\n", [1]),
        (".h", "/* See specification 13.1. */\n", [1]),
    ],
)
def test_banned_words_are_found(suffix: str, source: str, found: list[int], tmp_path: pathlib.Path) -> None:
    (tmp_path / f"a{suffix}").write_text(source)
    passages = prose.passages(tmp_path / f"a{suffix}")
    assert [line + more for line, text in passages for more, _ in _banned(text)] == found
