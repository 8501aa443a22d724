from __future__ import annotations

import asyncio
import datetime
import logging
import multiprocessing
import os
import pathlib
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from phaselock.storage import log as log_module
from phaselock.storage.log import TRACE, Log, append_lines, entry_line, start, tail

LIMIT_S = 30.0
LINE = re.compile(
    r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}[+-]\d\d:\d\d (ERROR|WARN |INFO |DEBUG|TRACE) phaselock\S* \d+ .*"
)
logger = logging.getLogger("phaselock.storage.test")


@pytest.fixture
def path(tmp_path: pathlib.Path) -> pathlib.Path:
    return tmp_path / "data" / "phaselock.log"


@pytest.fixture
def log(path: pathlib.Path) -> Iterator[Log]:
    log = start(path, "TRACE")
    yield log
    log.close()


def lines_of(path: pathlib.Path) -> list[str]:
    return path.read_text("utf-8").splitlines()


def record(message: str, **more: object) -> logging.LogRecord:
    return logging.makeLogRecord({"name": "phaselock.x", "levelno": logging.INFO, "msg": message, **more})


def test_fifty_entries_are_written_together(monkeypatch: pytest.MonkeyPatch, path: pathlib.Path) -> None:
    monkeypatch.setattr(log_module, "FLUSH_S", 3600.0)
    log = start(path, "TRACE")
    for number in range(49):
        logger.info("entry %d", number)
    assert log.wait_flushed(LIMIT_S)
    assert lines_of(path) == []
    logger.info("entry 49")
    assert log.wait_flushed(LIMIT_S)
    assert [line.rpartition(" ")[2] for line in lines_of(path)] == [str(number) for number in range(50)]
    logger.info("entry 50")
    assert log.wait_flushed(LIMIT_S)
    assert len(lines_of(path)) == 50
    log.close()


def test_few_entries_are_written_after_some_seconds(monkeypatch: pytest.MonkeyPatch, path: pathlib.Path) -> None:
    monkeypatch.setattr(log_module, "FLUSH_S", 0.05)
    log = start(path, "TRACE")
    assert log.wait_flushed(LIMIT_S)  # now the file exists
    for number in (1, 2):
        logger.info("entry")
        while len(lines_of(path)) < number:  # the time limit of all tests ends this
            time.sleep(0.01)
    log.close()


def test_an_error_is_written_at_once_with_the_entries_before_it(log: Log, path: pathlib.Path) -> None:
    logger.debug("before")
    logger.error("it broke")
    assert log.wait_flushed(LIMIT_S)
    assert [line.split()[1] for line in lines_of(path)] == ["DEBUG", "ERROR"]


def test_the_end_writes_the_rest_and_takes_the_handler_away(path: pathlib.Path) -> None:
    house = logging.getLogger("phaselock")
    before = (list(house.handlers), house.level, house.propagate)
    log = start(path, None)
    assert not house.propagate
    logger.warning("last words")
    log.close()
    log.close()
    logger.warning("unheard")
    assert [line.split(maxsplit=4)[4] for line in lines_of(path)] == ["last words"]
    assert (list(house.handlers), house.level, house.propagate) == before


def test_the_end_of_the_interpreter_writes_the_rest(path: pathlib.Path) -> None:
    code = (
        "import logging, pathlib, sys; from phaselock.storage.log import start\n"
        "log = start(pathlib.Path(sys.argv[1]), None); logging.getLogger('phaselock').info('bye')"
    )
    subprocess.run([sys.executable, "-c", code, str(path)], check=True, timeout=60)
    assert lines_of(path)[0].endswith(" bye")


def test_every_level_has_its_name(log: Log, path: pathlib.Path) -> None:
    for level in (TRACE, logging.DEBUG, logging.INFO, logging.WARNING, logging.ERROR, logging.CRITICAL):
        logger.log(level, "x")
    log.close()
    assert [line.split()[1] for line in lines_of(path)] == ["TRACE", "DEBUG", "INFO", "WARN", "ERROR", "ERROR"]
    assert all(LINE.fullmatch(line) for line in lines_of(path))


@pytest.mark.parametrize(
    ("argument", "environment", "expected"),
    [
        (None, None, logging.INFO),
        (None, "", logging.INFO),
        (None, "debug", logging.DEBUG),
        (None, "Trace", TRACE),
        ("warn", "debug", logging.WARNING),
        ("ERROR", None, logging.ERROR),
        (None, "loud", logging.INFO),
    ],
)
def test_the_level_comes_from_the_environment(
    path: pathlib.Path,
    monkeypatch: pytest.MonkeyPatch,
    argument: str | None,
    environment: str | None,
    expected: int,
) -> None:
    monkeypatch.delenv("PHASELOCK_LOG", raising=False)
    if environment is not None:
        monkeypatch.setenv("PHASELOCK_LOG", environment)
    log = start(path, argument)
    assert logging.getLogger("phaselock").level == expected
    log.close()
    warned = [line for line in lines_of(path) if "loud is no log level" in line]
    assert len(warned) == (environment == "loud")


def test_a_line_has_the_time_of_the_record_not_of_the_write() -> None:
    then = datetime.datetime(2024, 2, 29, 12, 34, 56, 789_000, datetime.UTC)
    line = entry_line(record("x", created=then.timestamp()))
    assert datetime.datetime.fromisoformat(line.split()[0]) == then


@pytest.mark.parametrize(
    ("evil", "shown"),
    [
        ("a\nb", r"a\nb"),
        ("a\r\x1b[2Jb", r"a\r\x1b[2Jb"),
        ("a\u202eb\u2066", r"a\u202eb\u2066"),
        ("a\u2028b\u0085", r"a\u2028b\x85"),
        ("a\ud800b", r"a\ud800b"),
        ("a\u200bb\ufeff", r"a\u200bb\ufeff"),
        ("Ænima 悪 C:\\new", "Ænima 悪 C:\\new"),
    ],
)
def test_no_name_forges_a_line(evil: str, shown: str) -> None:
    assert entry_line(record("%s", args=(evil,))).endswith(f" {shown}")
    assert "\n" not in entry_line(record("x", name=f"phaselock.{evil}"))


@given(st.text(st.characters(exclude_categories=[])))
def test_any_text_is_one_printable_line(text: str) -> None:
    line = entry_line(record("%s", args=(text,)))
    assert line.isprintable()
    assert len(line.encode()) < 20_000


def test_a_traceback_stays_in_its_line(log: Log, path: pathlib.Path) -> None:
    try:
        raise ValueError("the\nreason")
    except ValueError:
        logger.exception("it broke")
    log.close()
    (line,) = lines_of(path)
    assert r"it broke\nTraceback" in line and line.endswith(r"ValueError: the\nreason")


def test_a_long_entry_is_cut_in_the_middle() -> None:
    line = entry_line(record("head" + "\n" * 100_000 + "end"))
    assert len(line) < 4200
    assert "head" in line and line.endswith("end")


def test_a_wrong_call_costs_only_its_text(log: Log, path: pathlib.Path) -> None:
    log.handle(record("%d", args=("no number",)))
    log.close()
    assert "not to be formatted" in lines_of(path)[0]


def test_a_folder_that_cannot_be_created_is_reported_as_a_problem(tmp_path: pathlib.Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    log = start(tmp_path / "file" / "phaselock.log", None)
    assert log.wait_flushed(LIMIT_S)
    assert log.problem is not None and log.problem.startswith("The log ") and log.problem.endswith(".")
    for _ in range(200):
        logger.error("x")
    log.close()


def test_entries_are_written_when_the_disk_works_again(
    log: Log, path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_module, "MAX_WAITING_ENTRIES", 120)

    def full(path: pathlib.Path, lines: list[str]) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as broken:
        broken.setattr(log_module, "append_lines", full)
        for number in range(300):
            logger.info("entry %d", number)
        logger.error("entry 300")
        assert log.wait_flushed(LIMIT_S)
        assert log.problem is not None and "No space left" in log.problem
    logger.error("entry 301")
    assert log.wait_flushed(LIMIT_S)
    assert log.problem is None
    lines = lines_of(path)
    assert lines[0].endswith("182 older entries were lost here.")
    assert [int(line.rpartition(" ")[2]) for line in lines[1:]] == list(range(182, 302))


def test_a_hanging_disk_blocks_no_caller(log: Log, path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert log.wait_flushed(LIMIT_S)
    hanging, go_on = threading.Event(), threading.Event()
    append = log_module.append_lines

    def hang(path: pathlib.Path, lines: list[str]) -> None:
        hanging.set()
        assert go_on.wait(LIMIT_S)
        append(path, lines)

    monkeypatch.setattr(log_module, "append_lines", hang)
    logger.error("first")
    assert hanging.wait(LIMIT_S)
    for number in range(20_000):
        logger.error("entry %d", number)
    assert not log.wait_flushed(0)
    go_on.set()
    log.close()
    lines = lines_of(path)
    assert len(lines) == 1 + 1 + 10_000
    assert "10000 older entries were lost" in lines[1]


def test_entries_during_a_write_wait_for_the_next_fifty(
    log: Log, path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert log.wait_flushed(LIMIT_S)
    append = log_module.append_lines

    def interrupted(path: pathlib.Path, lines: list[str]) -> None:
        monkeypatch.setattr(log_module, "append_lines", append)
        logger.info("meanwhile")
        append(path, lines)

    monkeypatch.setattr(log_module, "append_lines", interrupted)
    logger.error("first")
    assert log.wait_flushed(LIMIT_S)
    assert len(lines_of(path)) == 1
    log.close()
    assert len(lines_of(path)) == 2


def test_a_full_file_loses_its_oldest_quarter(path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_module, "MAX_FILE_BYTES", 10_000)
    for number in range(1000):
        append_lines(path, [f"{number:099d}"])
        assert path.stat().st_size <= 10_000
        lines = lines_of(path)
        assert [int(line) for line in lines] == list(range(number - len(lines) + 1, number + 1))
        assert len(lines) >= min(number + 1, 75)
    assert sorted(os.listdir(path.parent)) == ["phaselock.log", "phaselock.log.lock"]


@pytest.mark.parametrize("old", [b"x" * 30_000, b"x" * 29_999 + b"\n", b"torn" + b"\nline" * 6000, b"\n" * 30_000])
def test_a_file_with_any_content_is_cut_at_a_line(
    path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, old: bytes
) -> None:
    monkeypatch.setattr(log_module, "MAX_FILE_BYTES", 10_000)
    path.parent.mkdir()
    path.write_bytes(old)
    append_lines(path, ["new"])
    data = path.read_bytes()
    assert data.endswith(b"new\n") and len(data) <= 10_000
    assert set(data.split(b"\n")) <= {b"line", b"", b"new"}


def test_a_torn_last_line_gets_its_end(path: pathlib.Path) -> None:
    path.parent.mkdir()
    path.write_bytes(b"torn")
    append_lines(path, [])
    append_lines(path, ["new"])
    assert path.read_bytes() == b"torn\nnew\n"


@pytest.mark.skipif(sys.platform == "win32", reason="files have no limit there")
def test_a_refused_write_leaves_no_half_line(path: pathlib.Path) -> None:
    import resource

    append_lines(path, ["old"])
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, limits[1]))
    try:
        with pytest.raises(OSError):
            append_lines(path, ["x" * 1000])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, before)
    assert path.read_bytes() == b"old\n"


def write_many(path: pathlib.Path, name: str, max_bytes: int) -> None:
    log_module.MAX_FILE_BYTES = max_bytes
    for number in range(300):
        append_lines(path, [f"{name} {number} {'-' * 50}"] * 2)


def test_programs_share_one_file(path: pathlib.Path) -> None:
    context = multiprocessing.get_context("spawn")
    writers = [context.Process(target=write_many, args=(path, name, 20_000)) for name in "ab"]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(60)
        assert writer.exitcode == 0
    lines = lines_of(path)
    assert all(re.fullmatch(r"[ab] \d+ -{50}", line) for line in lines)
    for name in "ab":
        numbers = [int(line.split()[1]) for line in lines if line[0] == name]
        assert numbers == sorted(numbers)
        if numbers:
            assert numbers[-1] == 299


def test_many_threads_lose_nothing(log: Log, path: pathlib.Path) -> None:
    def work(name: int) -> None:
        for number in range(200):
            logger.info("%d %d", name, number)

    threads = [threading.Thread(target=work, args=(name,)) for name in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    log.close()
    found = [tuple(map(int, line.split()[-2:])) for line in lines_of(path)]
    assert sorted(found) == [(name, number) for name in range(8) for number in range(200)]
    assert all([n for who, n in found if who == name] == list(range(200)) for name in range(8))


def test_a_forked_child_is_silent(log: Log, path: pathlib.Path) -> None:
    log.handle(record("x", process=os.getpid() + 1))
    log.close()
    assert lines_of(path) == []


def test_the_tail_is_read_from_the_end(path: pathlib.Path) -> None:
    append_lines(path, [f"{number} {'é' * 100}" for number in range(5000)])
    assert [line.split()[0] for line in tail(path, 3)] == ["4997", "4998", "4999"]
    assert len(tail(path, 10_000)) == 5000
    assert tail(path, 0) == []
    path.write_bytes(b"")
    assert tail(path, 3) == []
    path.write_bytes(b"one\ntw")
    assert tail(path, 3) == ["one", "tw"]
    assert tail(path, 1) == ["tw"]
    with pytest.raises(OSError):
        tail(path.parent, 1)


def test_no_failure_ends_the_writer(path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("odd")

    with monkeypatch.context() as patch:
        patch.setattr(log_module, "append_lines", fail)
        log = start(path, None)
        logger.error("one")
        assert log.wait_flushed(LIMIT_S)
        assert log.problem == f"The log {path} cannot be written: odd."
    logger.error("two")
    assert log.wait_flushed(LIMIT_S)
    log.close()
    assert [line.rpartition(" ")[2] for line in lines_of(path)] == ["one", "two"]


def test_what_ends_a_thread_or_a_callback_is_in_the_log(log: Log, path: pathlib.Path, bugs: list[str]) -> None:
    def fail() -> None:
        raise ValueError("odd")

    thread = threading.Thread(target=fail, name="one")
    thread.start()
    thread.join()
    loop = asyncio.new_event_loop()
    loop.call_soon(fail)
    loop.call_soon(loop.stop)
    loop.run_forever()
    loop.close()
    log.close()
    first, second = lines_of(path)
    assert "the thread one failed" in first and "ValueError: odd" in first
    assert "Exception in callback" in second and "ValueError: odd" in second
    assert bugs == ["the thread one failed: ValueError('odd')"]
