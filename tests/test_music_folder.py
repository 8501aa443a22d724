"""The music folder, from the command line to the queue."""

from __future__ import annotations

import contextlib
import pathlib
from collections.abc import Iterator

import pytest

from tests.support.programs import Program
from tests.support.tagged import tagged_mp3

LOCAL = ("--bind", "127.0.0.1", "--port", "0", "--clock-port", "0", "--backend", "null", "--as", "Hana", "--unlisted")


@contextlib.contextmanager
def hosting(home: pathlib.Path, *arguments: str) -> Iterator[Program]:
    host = Program("host", *arguments, *LOCAL, home=home)
    try:
        yield host
        host.say("quit")
        host.wait_for("session_end")
        host.process.wait(30)  # it saves its settings
    finally:
        host.close()


@pytest.mark.slow
def test_a_song_is_found_and_played_also_the_next_time(tmp_path: pathlib.Path) -> None:
    music, home = tmp_path / "music", tmp_path / "home"
    song = tagged_mp3(music / "Grönemeyer" / "a.mp3", "Die Straße", "Herbert Grönemeyer")
    tagged_mp3(music / "b.mp3", "Yesterday", "The Beatles")
    with hosting(home, "--library", str(music)) as host:
        assert host.wait_for("library", lambda event: event["state"] == "ready")["songs"] == 2
        host.say("search gronem STRASSE")
        (found,) = host.wait_for("songs_found")["songs"]
        assert (found["number"], found["title"], found["file_name"]) == (1, "Die Straße", "a.mp3")
        host.say("add-found 1")
        (row,) = host.wait_for("queue", lambda event: bool(event["queue"]))["queue"]
        assert (row["title"], row["added_by"]) == ("Die Straße", "Hana")
        host.say('search " OR *')
        assert host.wait_for("songs_found")["songs"] == []
    song.unlink()
    with hosting(home) as host:
        assert host.wait_for("library", lambda event: event["state"] == "ready")["songs"] == 1
    with hosting(home, "--library", "off") as host:
        host.wait_for("session")
        host.say("search yesterday")
        assert host.wait_for("error")["code"] == "no_library"


@pytest.mark.slow
def test_the_fallback_plays_also_the_next_time(tmp_path: pathlib.Path) -> None:
    calm, home = tmp_path / "calm", tmp_path / "home"
    tagged_mp3(calm / "a.mp3", "Calm")
    for arguments in (("--fallback", str(calm)), ()):
        with hosting(home, *arguments) as host:
            (row,) = host.wait_for("queue", lambda event: bool(event["queue"]))["queue"]
            assert row["title"] == "Calm"
    with hosting(home, "--fallback", "off") as host:
        host.wait_for("session")
    with hosting(home) as host:
        host.wait_for("session")
        host.say("queue")
        assert host.wait_for("queue")["queue"] == []
