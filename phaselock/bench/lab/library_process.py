"""A process that searches in the index of a music folder as a host does, and measures that."""

from __future__ import annotations

import dataclasses
import json
import os
import pathlib
import random
import sys
import time

from phaselock.bench.lab.process_sample import is_measurable, sample_process
from phaselock.frozen import frozen


@frozen
class SearchResult:
    """What one process has measured."""

    searches_ms: tuple[float, ...]
    memory_mb: float | None
    """By how much its private memory has grown, with all that a search imports; None: not known here."""


def measure(folder: pathlib.Path, index: pathlib.Path, searches: int, seed: int) -> SearchResult:
    """Search for the beginnings of the titles and the artists of random songs: one to four letters, one or two
    words."""
    before_bytes = _private_bytes()
    from phaselock.storage.library import Library  # late: a host without a music folder does not import it

    source, library = random.Random(seed), Library(folder, index)
    count, took_ms = library.count(), []
    for _ in range(searches):
        song = library.song(source.randint(1, count))
        assert song is not None
        words = source.sample([*song.title.split(), *song.artist.split()], source.randint(1, 2))
        text = " ".join(word[: source.randint(1, 4)] for word in words)
        began_s = time.perf_counter()
        found = library.search(text)
        took_ms.append(1e3 * (time.perf_counter() - began_s))
        assert found
    after_bytes = _private_bytes()
    memory_mb = None if before_bytes is None or after_bytes is None else (after_bytes - before_bytes) / 1e6
    return SearchResult(tuple(took_ms), memory_mb)


def _private_bytes() -> int | None:
    return sample_process(os.getpid()).uss_bytes if is_measurable() else None


if __name__ == "__main__":
    top, file, number, chance = sys.argv[1:]
    print(json.dumps(dataclasses.asdict(measure(pathlib.Path(top), pathlib.Path(file), int(number), int(chance)))))
