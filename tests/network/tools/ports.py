"""How long a song takes to reach all peers on a switch, each behind a port of the same rate.

python -m tests.network.tools.ports [--mbit 20] [--megabytes 20] [--songs 3] 1 3 5

All are real programs in network namespaces whose ports tc limits. Before each number of peers, plain TCP carries the
same bytes from the host to the first peer, twice. Needs root, iproute2 and Linux.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import pathlib
import random
import subprocess
import sys
import tempfile
import wave

from tests.support.machines import Machines, unavailable
from tests.support.programs import Event, Program

TCP_PORT = 9000
SERVER = """
import socket, sys
with socket.create_server(("", int(sys.argv[1]))) as server:
    print(flush=True)
    while True:
        connection, _ = server.accept()
        connection.sendall(bytes(int(sys.argv[2])))
        connection.close()
"""
CLIENT = """
import socket, sys, time
began_s = time.monotonic()
with socket.create_connection((sys.argv[1], int(sys.argv[2]))) as connection:
    while connection.recv(1 << 20):
        pass
print(time.monotonic() - began_s)
"""


def tcp_s(machines: Machines, size_bytes: int) -> list[float]:
    """The seconds of two transfers by plain TCP."""
    python = [sys.executable, "-c"]
    command = [*machines.prefix("Host"), *python, SERVER, str(TCP_PORT), str(size_bytes)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as server:
        assert server.stdout and server.stdout.readline()
        command = [*machines.prefix("Peer1"), *python, CLIENT, machines.address("Host"), str(TCP_PORT)]
        found = [float(subprocess.run(command, check=True, capture_output=True).stdout) for _ in range(2)]
        server.kill()
    return found


def song_s(host: Program, peers: int, song: pathlib.Path) -> float:
    """The seconds from the start of the first transfer of a new song until the last peer has it."""

    def is_step(event: Event) -> bool:
        return event["state"] in ("started", "done")

    host.say(f"add {song}")
    began_ns, done_ns = host.wait_for("transfer", is_step)["session_ns"], list[int]()
    while len(done_ns) < peers:
        event = host.wait_for("transfer", is_step)
        if event["state"] == "done":
            done_ns.append(event["session_ns"])
    return float(done_ns[-1] - began_ns) / 1e9


def measure(folder: pathlib.Path, peers: int, mbit: float, size_bytes: int, songs: int) -> None:
    """Print the times for this number of peers."""
    names = [f"Peer{number}" for number in range(1, peers + 1)]
    silent = contextlib.redirect_stdout(io.StringIO())  # a program that is closed prints what it has told
    with silent, Machines(folder, "Host", *names) as machines:
        machines.slow_ports(mbit)
        plain_s = tcp_s(machines, size_bytes)
        host = machines.start("Host", "host", "--bind", machines.address("Host"), "--max-peers", str(peers))
        host.wait_for("session")
        programs = [machines.start(name, "join", machines.address("Host")) for name in names]
        for program in programs:
            for _ in range(4):  # the host knows the path after the report that follows
                program.wait_for("sync", lambda event: event["offset_uncertainty_us"] is not None)
        found_s = []
        for number in range(songs):
            song = folder / f"noise{number}.wav"
            with wave.open(str(song), "wb") as file:
                file.setparams((2, 2, 44100, 0, "NONE", ""))
                file.writeframes(random.Random(number).randbytes(size_bytes))
            found_s.append(song_s(host, peers, song))
        host.say("quit")
        for program in (host, *programs):
            program.end()
    for what, all_s in ((f"{peers:3} peers", found_s), ("  plain TCP", plain_s)):
        print(f"{what}: {', '.join(f'{one_s:.2f}' for one_s in all_s)} s", flush=True)


def main() -> None:
    """Print the times for each number of peers."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("peers", type=int, nargs="*", default=[1, 3, 5])
    parser.add_argument("--mbit", type=float, default=20.0)
    parser.add_argument("--megabytes", type=float, default=20.0)
    parser.add_argument("--songs", type=int, default=3)
    options = parser.parse_args()
    if reason := unavailable():
        sys.exit(reason)
    for peers in options.peers:
        with tempfile.TemporaryDirectory(prefix="phaselock-ports-") as folder:
            measure(pathlib.Path(folder), peers, options.mbit, round(options.megabytes * 1e6), options.songs)


if __name__ == "__main__":
    main()
