"""Writes session/EVENTS.md, the reference of `--json`, from the event classes. Run it after each change of them:

python -m phaselock.tools.event_reference
"""

from __future__ import annotations

import ast
import dataclasses
import enum
import inspect
import pathlib
import string
import types
import typing
import uuid
from collections.abc import Iterator
from typing import Any

from phaselock.console import events as console_events
from phaselock.model import notices, snapshot
from phaselock.session import event_json, events, sentences

HEAD = """# Events of `--json`

Made by `python -m phaselock.tools.event_reference`; do not edit.

With `--json` the command line prints one JSON object a line. `event` is the name of the event. `session_ns` is the
session time in nanoseconds at which it happened or will be heard; it is absent while that is not known. Every other
field is described below. More events and fields may be added; those that are here keep their names and meanings.

The sentences in `message` and `reason` are English and may be reworded. Programs decide by `code`.
"""
JSON_TYPES = {str: "string", int: "integer", float: "number", bool: "true or false", uuid.UUID: "string, a UUID"}
GROUPS = (("Events of a session", events), ("Events of other commands", console_events))


def reference() -> str:
    """The text of the page."""
    parts = [HEAD]
    for title, module in GROUPS:
        parts.append(f"## {title}\n")
        parts += [_event(kind) for kind in _kinds(module)]
    parts.append("## Rows\n\nObjects inside of events.\n")
    parts += [_row(kind) for kind in _rows()]
    parts.append("## Codes\n")
    parts.append("| code | meaning | sentence |\n|---|---|---|")
    docs = _docs(notices.Code)
    parts += [f"| `{code.value}` | {_cell(docs[code.name])} | {_cell(_form(code))} |" for code in notices.Code]
    parts.append("\n### Values of a code\n")
    parts.append("A `warning`, `error` or `answer` has those of these that its code speaks of.\n")
    parts.append(_table(notices.Notice, skip=("code",)))
    return "\n".join(parts).rstrip() + "\n"


def path() -> pathlib.Path:
    """The path of the page."""
    return pathlib.Path(events.__file__).with_name("EVENTS.md")


def _kinds(module: types.ModuleType) -> Iterator[type[events.Event]]:
    """The event classes that a module defines, in the order of the source."""
    for kind in vars(module).values():
        if isinstance(kind, type) and kind.__module__ == module.__name__ and issubclass(kind, events.Event):
            if hasattr(kind, "event_name"):
                yield kind


def _rows() -> Iterator[type[Any]]:
    yield from (events.QueueRow, events.RequestRow, events.PeerFigures, events.PeerRow, events.PeerTransfer)
    yield from (events.ConfirmedRow, snapshot.CalibrationWait, events.HelpRow)
    yield from (notices.LeftOut, console_events.Finding)


def _event(kind: type[events.Event]) -> str:
    more = ""
    if issubclass(kind, events.NoticeEvent):
        more = "- `code`: see [Codes](#codes).\n- `message`: the sentence.\n- the values of the code.\n"
    else:
        more = _table(kind, skip=("session_ns",))
    if kind in event_json.WITH_MESSAGE:
        more += "- `message` (string): a sentence about it.\n"
    return f"### `{kind.event_name}`\n\n{inspect.getdoc(kind)}\n\n{more}"


def _row(kind: type[Any]) -> str:
    return f"### {kind.__name__}\n\n{inspect.getdoc(kind)}\n\n{_table(kind)}"


def _table(kind: type[Any], skip: tuple[str, ...] = ()) -> str:
    docs = {name: doc for one in reversed(kind.__mro__) for name, doc in _docs(one).items()}
    hints = typing.get_type_hints(kind)
    lines = []
    for field in dataclasses.fields(kind):
        hint, doc = hints[field.name], docs.get(field.name, "")
        if field.name in skip:
            continue
        if hint is notices.Notice:
            lines.append(f"- `reason` (string), `code` (string): {doc}")
        elif field.metadata.get("inline"):
            lines.append(f"- {_json_type(hint)}: {doc}")
        elif field.metadata.get("absent"):
            lines.append(f"- `{field.name}` ({_json_type(hint).removesuffix(' or null')}, may be absent): {doc}")
        else:
            lines.append(f"- `{field.name}` ({_json_type(hint)}): {doc}")
    return "\n".join(lines) + "\n" if lines else ""


def _json_type(hint: Any) -> str:
    """The JSON type that `--json` prints for a field of this type."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is typing.Literal:
        return " or ".join(f'"{value}"' for value in arguments)
    if origin is tuple:
        return f"list of {_json_type(arguments[0])}"
    if origin is types.UnionType or origin is typing.Union:
        return f"{_json_type(next(one for one in arguments if one is not types.NoneType))} or null"
    if isinstance(hint, type) and issubclass(hint, enum.Enum):
        return " or ".join(f'"{member.value}"' for member in hint)
    if isinstance(hint, type) and dataclasses.is_dataclass(hint):
        return f"[{hint.__name__}](#{hint.__name__.lower()})"
    return JSON_TYPES.get(hint, "object")


def _docs(kind: type[Any]) -> dict[str, str]:
    """The docstrings of the fields or members of a class: the string below each."""
    if kind is object or not kind.__module__.startswith("phaselock"):
        return {}
    body = ast.parse(inspect.getsource(kind)).body[0]
    assert isinstance(body, ast.ClassDef)
    found = {}
    for field, doc in zip(body.body, body.body[1:], strict=False):
        target: ast.expr | None = field.target if isinstance(field, ast.AnnAssign) else None
        if isinstance(field, ast.Assign):
            target = field.targets[0]
        if isinstance(target, ast.Name) and isinstance(doc, ast.Expr) and isinstance(doc.value, ast.Constant):
            found[target.id] = " ".join(str(doc.value.value).split())
    return found


def _form(code: notices.Code) -> str:
    form = sentences.NOTICES[code] or "{detail}"
    names = [name for _, name, _, _ in string.Formatter().parse(form) if name]
    return form.format_map({name: f"`{name}`" for name in names})


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


if __name__ == "__main__":
    path().write_text(reference(), "utf-8")
