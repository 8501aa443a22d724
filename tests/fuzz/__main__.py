"""Coverage-guided fuzzing of the C core by libFuzzer, with AddressSanitizer and UndefinedBehaviorSanitizer.

usage: python -m tests.fuzz [--seconds SECONDS] [--renew-seeds] [TARGET ...]

Each target (fuzz_TARGET.c) runs for SECONDS (600), two at a time. It begins with the inputs of seeds/TARGET.zip and
with those that earlier runs have kept in build/fuzz. An input that breaks a check, and a report of a sanitizer, end
the target. Then the input is build/fuzz/TARGET-crash-..., and `build/fuzz/fuzz_TARGET FILE` repeats it.

--renew-seeds writes the fewest inputs that reach all code that was reached to seeds/TARGET.zip.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import dataclasses
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile

HERE = pathlib.Path(__file__).parent
ROOT = HERE.parent.parent
SEEDS = HERE / "seeds"
KEPT = ROOT / "build" / "fuzz"
FLAGS = (
    "-std=c11",
    "-Wall",
    "-Wextra",
    "-Werror",
    "-O2",
    "-g",
    "-fno-omit-frame-pointer",
    "-fsanitize=fuzzer-no-link,address,undefined,float-cast-overflow",
    "-fno-sanitize-recover=all",
)
SLOWEST_S = 10
"""An input that takes longer is reported."""
SYSTEM = ("poll", "recvmsg", "sendmsg", "sendto", "send", "clock_gettime", "syscall")


@dataclasses.dataclass(frozen=True)
class Target:
    max_bytes: int
    """Of an input."""
    replaced: tuple[str, ...] = ()
    """Functions of the system that the target replaces."""


TARGETS = {
    "arrival": Target(500),
    "clock": Target(2000, SYSTEM),
    "engine": Target(2000),
    "mp3": Target(16_000),
    "samples": Target(4000),
}


def compiler() -> str | None:
    """A clang that has libFuzzer; None if there is none."""
    clang = shutil.which("clang")
    if sys.platform != "linux" or clang is None:
        return None
    program = "int LLVMFuzzerTestOneInput(const char *data, unsigned long size) { return !data && size; }"
    command = [clang, "-fsanitize=fuzzer,address,undefined", "-x", "c", "-", "-o", os.devnull]
    return clang if subprocess.run(command, input=program, text=True, capture_output=True).returncode == 0 else None


def build(folder: pathlib.Path, clang: str, names: list[str]) -> None:
    """Write the program fuzz_NAME of each target to the folder. CalledProcessError if one cannot be compiled."""
    sources = [*ROOT.glob("ext/pl_*.c"), *(HERE / f"fuzz_{name}.c" for name in names)]

    def compile_one(source: pathlib.Path) -> pathlib.Path:
        compiled = folder / f"{source.stem}.o"
        subprocess.run([clang, *FLAGS, f"-I{ROOT / 'ext'}", "-c", source, "-o", compiled], check=True)
        return compiled

    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        compiled = list(pool.map(compile_one, sources))
    core = [one for one in compiled if one.stem.startswith("pl_")]
    for name in names:
        replaced = [f"-Wl,--wrap={function}" for function in TARGETS[name].replaced]
        files = [*core, folder / f"fuzz_{name}.o", "-o", folder / f"fuzz_{name}"]
        subprocess.run([clang, *FLAGS, "-fsanitize=fuzzer", *replaced, *files, "-lm", "-ldl"], check=True)


def fuzz(folder: pathlib.Path, name: str, seconds: int) -> subprocess.CompletedProcess[str]:
    """Run a target of this folder. It fails if it has found something: then stderr has the report."""
    corpus = folder / name
    corpus.mkdir(exist_ok=True)
    if (SEEDS / f"{name}.zip").exists():
        zipfile.ZipFile(SEEDS / f"{name}.zip").extractall(corpus)
    return subprocess.run(
        [
            folder / f"fuzz_{name}",
            f"-max_total_time={seconds}",
            f"-max_len={TARGETS[name].max_bytes}",
            f"-timeout={SLOWEST_S}",
            f"-artifact_prefix={folder / name}-",
            "-print_final_stats=1",
            corpus,
        ],
        env={**os.environ, "UBSAN_OPTIONS": "print_stacktrace=1"},
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
    )


def renew_seeds(folder: pathlib.Path, name: str) -> None:
    """Replace the seeds of a target by a choice of what its runs have kept."""
    with tempfile.TemporaryDirectory() as chosen:
        merge = [folder / f"fuzz_{name}", "-set_cover_merge=1", chosen, folder / name]
        subprocess.run(merge, stderr=subprocess.DEVNULL, check=True)
        with zipfile.ZipFile(SEEDS / f"{name}.zip", "w", zipfile.ZIP_DEFLATED) as seeds:
            for path in sorted(pathlib.Path(chosen).iterdir()):
                seeds.writestr(zipfile.ZipInfo(path.name), path.read_bytes(), zipfile.ZIP_DEFLATED)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=int, default=600)
    parser.add_argument("--renew-seeds", action="store_true")
    parser.add_argument("targets", nargs="*", metavar="TARGET", default=list(TARGETS), help=", ".join(TARGETS))
    arguments = parser.parse_args()
    if unknown := set(arguments.targets) - set(TARGETS):
        parser.error(f"no such target: {', '.join(sorted(unknown))}")
    clang = compiler()
    if clang is None:
        sys.exit("There is no clang with libFuzzer. On Debian 12: apt-get install clang libclang-rt-14-dev")
    KEPT.mkdir(parents=True, exist_ok=True)
    build(KEPT, clang, arguments.targets)
    found = False
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        runs = {pool.submit(fuzz, KEPT, name, arguments.seconds): name for name in arguments.targets}
        for run in concurrent.futures.as_completed(runs):
            done, name = run.result(), runs[run]
            runs_made = re.findall("number_of_executed_units: *([0-9]+)", done.stderr)
            print(f"{name}: {' '.join(runs_made)} inputs, {'a finding' if done.returncode else 'nothing found'}")
            if done.returncode:
                found = True
                print(done.stderr[-8000:])
            elif arguments.renew_seeds:
                renew_seeds(KEPT, name)
    sys.exit(found)


if __name__ == "__main__":
    main()
