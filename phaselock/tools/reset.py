"""`phaselock reset`: removes the settings, the received songs and the log of this user.

The installer of Windows asks the same question when it is removed.
"""

from __future__ import annotations

import contextlib
import os
import pathlib
import shutil

from phaselock.console import message_box
from phaselock.console.output import Screen, has_terminal
from phaselock.errors import PhaseLockError, message_of
from phaselock.language.message import Message, Words
from phaselock.storage.inbox import Inbox
from phaselock.storage.paths import inbox_dir, own_folders


def run_reset(sure: bool, terminal: Screen) -> int:
    """Remove the folders of PhaseLock, after a question unless `sure`. Return the exit status. PhaseLockError if a
    window is open, which would write its settings again, if no question can be asked, or if a folder cannot be
    removed."""
    if _window_is_open():
        raise PhaseLockError("The window of PhaseLock is open. Close it first.")
    folders = [folder for folder in own_folders() if os.path.lexists(folder)]
    if folders and not sure and not _confirmed(folders, terminal.words):
        return 0
    for folder in folders:
        try:
            _remove(folder)
        except OSError as error:
            raise PhaseLockError(
                "{path} cannot be removed: {reason}.", path=error.filename or folder, reason=message_of(error)
            ) from None
        terminal.say(Message("Removed: {path}", path=folder))
    if not folders:
        terminal.say(Message("There are no settings, no received songs and no log."))
    return 0


def _window_is_open() -> bool:
    if not inbox_dir().is_dir():
        return False
    with contextlib.closing(Inbox(inbox_dir())) as inbox:
        try:
            return not inbox.receive()
        except OSError:  # no process can lock there, so no window is the receiver
            return False


def _confirmed(folders: list[pathlib.Path], words: Words) -> bool:
    """The user's answer, from the terminal if there is one."""
    asked = words.gettext("Remove the settings, the received songs and the log of PhaseLock?")
    question = "\n".join([asked, *map(str, folders)])
    if has_terminal():
        try:
            answer = input(f"{question}\n{words.gettext('[y/N]')} ")
        except EOFError:
            return False
        return answer.strip().casefold()[:1] in ("y", words.gettext("y"))
    answered = message_box.ask(question)
    if answered is None:
        raise PhaseLockError("There is no terminal for the question. To remove them without it: phaselock reset --yes")
    return answered


def _remove(folder: pathlib.Path) -> None:
    if folder.is_symlink():  # the user keeps this folder in another place: leave that place alone
        folder.unlink()
    else:
        shutil.rmtree(folder)
