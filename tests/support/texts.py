"""The texts for users in the source: which are marked for translation, and which look as if they should be."""

from __future__ import annotations

import ast
import dataclasses
import functools
import io
import pathlib
import re

from babel.messages.catalog import Catalog
from babel.messages.pofile import read_po, write_po

ROOT = pathlib.Path(__file__).parents[2]
PACKAGE = ROOT / "phaselock"
ENGLISH_ONLY = ("bench", "data")
"""Packages for engineers and maintainers, which are not translated."""
MARKERS = {"gettext": 1, "tr": 1, "N_": 1, "Message": 1, "ngettext": 2, "tr_plural": 2, "plural": 2}
"""Functions whose first arguments are message ids, and how many are."""
NOT_FOR_USERS = frozenset(
    "ValueError TypeError FrozenInstanceError AssertionError RuntimeError KeyError ProtocolError Breach breach Close "
    "Thread ThreadPoolExecutor start_thread bug_net log_bug".split()
)
"""Calls whose texts only programmers and engineers read, in a log or in the details of a broken protocol."""
LOOKS_LIKE_TEXT = re.compile(
    r"[A-Za-z]{2,}[,:;.]? [A-Za-z]{2,}|^[A-Z][a-z]{2,}\b[.!?…]*$|\{\} [a-z]{2,}|[a-z]{2,} \{\}"
)


@dataclasses.dataclass(frozen=True, slots=True)
class Marked:
    """A message id, or a pair (singular, plural), and where it is."""

    message: str | tuple[str, str]
    place: str


def modules() -> list[str]:
    """The path below the root of every translated module."""
    return [
        path.relative_to(ROOT).as_posix()
        for path in sorted(PACKAGE.rglob("*.py"))
        if path.relative_to(PACKAGE).parts[0] not in ENGLISH_ONLY
    ]


@functools.cache
def sources() -> dict[str, ast.Module]:
    """The syntax tree of every translated module, by its path below the root."""
    return {path: ast.parse((ROOT / path).read_text("utf-8")) for path in modules()}


@functools.cache
def errors() -> frozenset[str]:
    """The names of PhaseLockError and its subclasses that take a message id."""
    names = {"PhaseLockError"}
    classes = [node for tree in sources().values() for node in tree.body if isinstance(node, ast.ClassDef)]
    for _ in range(3):  # deeper than any line of subclasses
        for node in classes:
            if names & {ast.unparse(base) for base in node.bases}:
                own = any(isinstance(one, ast.FunctionDef) and one.name == "__init__" for one in node.body)
                names |= set() if own else {node.name}
    return frozenset(names)


@functools.cache
def marked() -> tuple[list[Marked], list[str]]:
    """All marked texts, and the places where a message id is put together at run time."""
    found, composed, names = [], [], MARKERS | dict.fromkeys(errors(), 1)
    for path, tree in sources().items():
        for node in ast.walk(tree):
            count = names.get(_called(node), 0) if isinstance(node, ast.Call) else 0
            if not count or not isinstance(node, ast.Call) or len(node.args) < count:
                continue
            texts = [one.value for one in node.args[:count] if isinstance(one, ast.Constant)]
            if len(texts) == count and texts[0]:
                found.append(Marked(texts[0] if count == 1 else (texts[0], texts[1]), f"{path}:{node.lineno}"))
            elif any(isinstance(one, ast.JoinedStr | ast.BinOp) for one in node.args[:count]):
                composed.append(f"{path}:{node.lineno}")
    return found, composed


def unmarked(path: str, tree: ast.Module) -> list[str]:
    """Texts that look as if users read them, but are not marked: place and text."""
    found = []
    names = MARKERS | dict.fromkeys(errors(), 1)

    def visit(node: ast.AST) -> None:
        if isinstance(node, ast.Call):
            name = _called(node)
            if name in NOT_FOR_USERS or ast.unparse(node.func).split(".")[0].strip("_") == "log":
                return
            for one in node.args[names.get(name, 0) :]:
                visit(one)
            for keyword in node.keywords:
                visit(keyword.value)
            visit(node.func)
            return
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            return  # a docstring
        if isinstance(node, ast.Compare | ast.Assert) or _is_names(node):
            return
        if isinstance(node, ast.JoinedStr):
            text = "".join(str(one.value) if isinstance(one, ast.Constant) else "{}" for one in node.values)
            if LOOKS_LIKE_TEXT.search(text):
                found.append(f"{path}:{node.lineno} {text!r}")
            for one in node.values:
                if isinstance(one, ast.FormattedValue):
                    visit(one.value)
            return
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and LOOKS_LIKE_TEXT.search(node.value):
            found.append(f"{path}:{node.lineno} {node.value!r}")
        if isinstance(node, ast.AnnAssign):
            node = ast.Assign([node.target], node.value) if node.value else ast.Pass()
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            children: list[ast.AST] = [
                *node.decorator_list,
                *node.args.defaults,
                *filter(None, node.args.kw_defaults),
                *node.body,
            ]
        else:
            children = list(ast.iter_child_nodes(node))
        for child in children:
            visit(child)

    visit(tree)
    return found


def _is_names(node: ast.AST) -> bool:
    """A list of names for the program: `__all__`, or the values of a Literal."""
    if isinstance(node, ast.Assign):
        return any(isinstance(one, ast.Name) and one.id == "__all__" for one in node.targets)
    return isinstance(node, ast.Subscript) and ast.unparse(node.value) == "Literal"


def _called(node: ast.Call) -> str:
    function = node.func
    return (
        function.attr if isinstance(function, ast.Attribute) else function.id if isinstance(function, ast.Name) else ""
    )


def template() -> Catalog:
    """The catalogue of all marked texts, without translations. It has no line numbers: they would change daily."""
    catalog = Catalog(project="PhaseLock", fuzzy=False)
    for one in marked()[0]:
        catalog.add(one.message, locations=[(one.place.partition(":")[0], None)])
    return catalog


def catalogue_path(code: str) -> pathlib.Path:
    return PACKAGE / "language" / code / "LC_MESSAGES" / "phaselock.po"


def read(code: str) -> Catalog:
    """The translations of a language, as they are in the repository."""
    with open(catalogue_path(code), "rb") as file:
        return read_po(file, locale=code)


def update(code: str) -> None:
    """Write the catalogue of a language again: with all texts of the source, and the translations that it had."""
    catalog = read(code) if catalogue_path(code).exists() else Catalog(locale=code)
    catalog.update(template(), no_fuzzy_matching=True)
    write(catalog, code)


def write(catalog: Catalog, code: str) -> None:
    """Write the catalogue of a language, with only those lines in its head that gettext needs."""
    name = catalog.locale.english_name
    catalog.header_comment = f"# The texts of PhaseLock in {name}. See tests/test_translations.py."
    catalog.fuzzy = False
    file = io.BytesIO()
    write_po(file, catalog, width=110, ignore_obsolete=True, include_lineno=False)
    needed = ('"Language:', '"Plural-Forms', '"MIME-Version', '"Content-')
    head, _, body = file.getvalue().decode().partition("\n\n")
    lines = [line for line in head.splitlines() if not line.startswith('"') or line.startswith(needed)]
    catalogue_path(code).parent.mkdir(parents=True, exist_ok=True)
    catalogue_path(code).write_text("\n".join(lines) + "\n\n" + body, encoding="utf-8", newline="\n")
