"""The layout rules of the C files: line length and one statement a line, without a tool, and those of clang-format."""

from __future__ import annotations

import os
import pathlib
import re
import shutil
import subprocess
import sysconfig

import pytest

ROOT = pathlib.Path(__file__).parent.parent.parent
FILES = sorted(
    path for pattern in ("ext/pl_*.[ch]", "tests/fuzz/*.[ch]", "tests/native/*.c") for path in ROOT.glob(pattern)
)
MAX_COLUMNS = 110

_LITERAL = re.compile(r'"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'')
_COMMENT = re.compile(r"/\*.*?\*/", re.DOTALL)
_FOR = re.compile(r"\bfor \((?:[^()]|\((?:[^()]|\([^()]*\))*\))*\)")
_BLOCK = re.compile(r"\b(?:if|else|for|while|do|switch)\b.*(?<!\)){.*;")
"""A control statement with its block on the same line; `){` begins a compound literal."""


def breaches(text: str) -> list[str]:
    """What is wrong with the layout of a C file, as "line: reason"."""
    columns = [len(line) for line in text.split("\n")]
    bare = _COMMENT.sub(lambda comment: "\n" * comment[0].count("\n"), _LITERAL.sub('""', text))
    code = [_FOR.sub("for ()", line) for line in bare.split("\n")]
    return [
        *(f"{n}: {size} columns" for n, size in enumerate(columns, 1) if size > MAX_COLUMNS),
        *(f"{n}: {line.count(';')} statements" for n, line in enumerate(code, 1) if line.count(";") > 1),
        *(f"{n}: a block on one line" for n, line in enumerate(code, 1) if line.count(";") < 2 and _BLOCK.search(line)),
    ]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_layout(path: pathlib.Path) -> None:
    assert not breaches(path.read_text("utf-8"))


def test_clang_format_changes_nothing() -> None:
    """The rules that need the tool: .clang-format. Versions 14 and 23 agree."""
    scripts = pathlib.Path(sysconfig.get_path("scripts"))
    tool = shutil.which("clang-format", path=f"{scripts}{os.pathsep}{os.environ.get('PATH', '')}")
    if tool is None:
        pytest.skip("clang-format is not installed")
    done = subprocess.run([tool, "--style=file", "--dry-run", "-Werror", *FILES], capture_output=True, text=True)
    assert done.returncode == 0, f"clang-format -i ext/pl_*.[ch] tests/fuzz/*.[ch] tests/native/*.c\n{done.stderr}"


@pytest.mark.parametrize(
    "text",
    [
        "    x = 1; y = 2;",
        "    if (x) { y = 1; }",
        "    while (x) { x--; }",
        "    for (int i = 0; i < 3; i++) { sum += i; }",
        "    for (int i = 0; i < 3; i++) sum += i; sum = 1;",
        "typedef struct { int a; } pair;",
        "void f(int a) { a++; g(a); }",
        "x" * 111,
        "/* " + "x" * 110 + " */",
    ],
)
def test_breaches_are_found(text: str) -> None:
    assert len(breaches(f"int before;\n{text}\nint after;\n")) == 1


@pytest.mark.parametrize(
    "text",
    [
        "    x = ';' + \";;\";   /* one; two; */",
        "    for (int i = 0; i < f((3)); i++) sum += i;",
        "    for (; k && a[k - 1] > b; k--) a[k] = a[k - 1];",
        "    if (x) return f(y);",
        "int f(int a) { return a + 1; }",
        "enum { A = 1, B = 2 };",
        "    pair p = {.a = 1, .b = 2};",
        "    return (pair){.a = 1};",
        "} pair;",
        "    } while (x);",
        "/* a; b;\n * c; d; */",
    ],
)
def test_good_layout_passes(text: str) -> None:
    assert not breaches(f"int before;\n{text}\nint after;\n")
