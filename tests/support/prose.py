"""The text of a source file that people read: comments, docstrings and Markdown without its code."""

from __future__ import annotations

import io
import pathlib
import re
import tokenize
from collections.abc import Iterator

PYTHON = frozenset({".py", ".pyi", ".pyx", ".pxd", ".pxi"})
C = frozenset({".c", ".h"})
HASH = frozenset({".sh", ".toml", ".yml", ""})  # `#` begins a comment; "": .ci/run
MARKDOWN = frozenset({".md"})
SUFFIXES = PYTHON | C | HASH | MARKDOWN

_C_TOKEN = re.compile(r'"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])+\'|(?P<comment>/\*.*?\*/|//[^\n]*)', re.DOTALL)
_MARKDOWN_CODE = re.compile(r"^(?: {4}|\t)[^\n]*|^```.*?^```|`[^`]*`|\]\([^)]*\)", re.DOTALL | re.MULTILINE)
_LAYOUT = frozenset({tokenize.NEWLINE, tokenize.NL, tokenize.INDENT, tokenize.DEDENT, tokenize.ENCODING})

Passage = tuple[int, str]
"""Line number of the beginning, from 1; text. Comments on successive lines are one passage."""


def passages(path: pathlib.Path) -> Iterator[Passage]:
    """The passages of a file, by its suffix. ValueError for a suffix that is not in SUFFIXES."""
    source = path.read_text("utf-8")
    if path.suffix in PYTHON:
        yield from _of_python(source)
    elif path.suffix in C:
        yield from _of_c(source)
    elif path.suffix in MARKDOWN:
        yield 1, _MARKDOWN_CODE.sub(lambda code: "\n" * code[0].count("\n"), source)
    elif path.suffix in HASH:
        yield from _joined(
            (number, match[1])
            for number, line in enumerate(source.splitlines(), 1)
            if (match := re.search(r"(?:^|\s)#(.*)", line))
        )
    else:
        raise ValueError(f"{path}: unknown suffix {path.suffix}")


def _of_python(source: str) -> Iterator[Passage]:
    """Comments, and strings that are a statement of their own: docstrings, also those of attributes."""
    comments: list[Passage] = []
    begins_statement = True
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            comments.append((token.start[0], token.string.lstrip("#")))
            continue
        if token.type == tokenize.STRING and begins_statement:
            yield token.start[0], token.string
        begins_statement = token.type in _LAYOUT and (begins_statement or token.type != tokenize.NL)
    yield from _joined(comments)


def _of_c(source: str) -> Iterator[Passage]:
    comments = (match for match in _C_TOKEN.finditer(source) if match["comment"])
    yield from _joined(
        (source.count("\n", 0, match.start()) + 1, re.sub(r"^\s*\* ?|^/[*/]|\*/$", "", match[0], flags=re.MULTILINE))
        for match in comments
    )


def _joined(lines: Iterator[Passage] | list[Passage]) -> Iterator[Passage]:
    """Passages of successive lines as one."""
    first, text = 0, ""
    for number, line in lines:
        if text and number == first + text.count("\n") + 1:
            text += "\n" + line
            continue
        if text:
            yield first, text
        first, text = number, line
    if text:
        yield first, text
