"""The classes that a source file tells apart by `match` or `isinstance`: for tests that no message, effect, command or
event was forgotten."""

from __future__ import annotations

import ast
import pathlib
from collections.abc import Iterable, Iterator


def handled(*paths: pathlib.Path, function: str | None = None) -> set[str]:
    """The names of these classes in the files, or only in the functions of that name. AssertionError if there is none:
    the function was renamed."""
    trees: list[ast.AST] = [ast.parse(path.read_text("utf-8")) for path in paths]
    if function is not None:
        nodes = (node for tree in trees for node in ast.walk(tree))
        trees = [node for node in nodes if isinstance(node, ast.FunctionDef) and node.name == function]
    found = {name for tree in trees for node in ast.walk(tree) for name in _classes(node)}
    assert found, f"no class is told apart in {function or paths}"
    return found


def _classes(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.MatchClass):
        yield _name(node.cls)
    elif isinstance(node, ast.Call) and _name(node.func) == "isinstance":
        yield from (_name(one) for one in ast.walk(node.args[1]))


def _name(node: ast.AST) -> str:
    """The last part of a dotted name; empty for other nodes."""
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""


def names(kinds: Iterable[type]) -> set[str]:
    """The names of classes, to compare them with `handled`."""
    return {kind.__name__ for kind in kinds}
