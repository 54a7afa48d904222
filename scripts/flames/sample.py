#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Samples an accept-server under accept-bench storm, on the kernel it runs on: here or in the guest.

For scripts/flamegraph. The paths take turns, so that what drifts drifts for both. Only the server's
threads are sampled, only while the load runs, and the connections are the server's own count of
that time. Into --out go perf's files, the kernel's symbols and sample.json.

Needs perf. The event is cpu-clock, a timer that every kernel has: what runs with interrupts off is
found where they are switched on again.
"""

import argparse
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

READY_S = 60
TOTALS_S = 20
STOP_S = 60
SKIPPED = 77


class Failure(Exception):
    """What went wrong, in a line."""


def start(command, **options):
    """A program that does not outlive this one."""
    return subprocess.Popen(["setpriv", "--pdeathsig", "KILL", "--", *command],
                            stdin=subprocess.DEVNULL, text=True, **options)


def last_line(path):
    lines = path.read_text(errors="replace").strip().splitlines()
    return lines[-1] if lines else "no message"


class Server:
    def __init__(self, options, accept, folder, *more):
        self.log = folder / "server.err"
        self.out = folder / "server.out"
        self.seen = 0
        with open(self.out, "w", encoding="utf-8") as out, open(self.log, "w", encoding="utf-8") as err:
            self.process = start(
                [options.server, "--accept", accept, "--workers", str(options.workers), "--port", "0",
                 "--fd-table", options.fd_table, *more], stdout=out, stderr=err)
        ready = self.line(READY_S, "its first line")
        match = re.search(r" listen=(\S+)", ready)
        if not match:
            raise Failure(f"the first line of {options.server} has no listen=: {ready}")
        self.address = match[1]

    def line(self, seconds, what):
        end = time.monotonic() + seconds
        while True:
            lines = self.out.read_text().split("\n")
            if len(lines) - 1 > self.seen:
                self.seen += 1
                return lines[self.seen - 1]
            if self.process.poll() is not None:
                raise Failure(f"the server ended with {self.process.returncode}: {last_line(self.log)}")
            if time.monotonic() > end:
                raise Failure(f"the server did not print {what} within {seconds} s")
            time.sleep(0.01)

    def accepts(self):
        self.process.send_signal(signal.SIGUSR1)
        totals = self.line(TOTALS_S, "its totals")
        match = re.search(r"\baccepts=(\d+)", totals)
        if not match:
            raise Failure(f"no accepts= in the server's totals: {totals}")
        return int(match[1])

    def stop(self):
        self.process.terminate()
        if self.process.wait(STOP_S):
            raise Failure(f"the server ended with {self.process.returncode}: {last_line(self.log)}")


class Perf:
    """perf record, attached to the server and switched off until told otherwise."""

    def __init__(self, options, pid, data, folder):
        self.log = folder / "perf.err"
        fifos = [folder / "control", folder / "answer"]
        for fifo in fifos:
            fifo.unlink(missing_ok=True)
            os.mkfifo(fifo)
        with open(self.log, "w", encoding="utf-8") as err:
            self.process = start(
                ["perf", "record", "-q", "-N", "-B", "-g", "-e", "cpu-clock", "-F", str(options.frequency),
                 "-D", "-1", f"--control=fifo:{fifos[0]},{fifos[1]}", "-p", str(pid), "-o", str(data)],
                stdout=err, stderr=err)
        # Opened for both directions, an end that is not there yet blocks nobody.
        self.control = os.open(fifos[0], os.O_RDWR)
        self.answer = os.open(fifos[1], os.O_RDWR | os.O_NONBLOCK)

    def tell(self, word):
        os.write(self.control, f"{word}\n".encode())
        end = time.monotonic() + READY_S
        got = b""
        while b"ack" not in got:
            if self.process.poll() is not None:
                raise Failure(f"perf ended with {self.process.returncode}: {last_line(self.log)}")
            if time.monotonic() > end:
                raise Failure(f"perf did not answer to '{word}' within {READY_S} s")
            try:
                got += os.read(self.answer, 64)
            except BlockingIOError:
                time.sleep(0.01)

    def stop(self):
        self.process.send_signal(signal.SIGINT)
        self.process.wait(STOP_S)
        os.close(self.control)
        os.close(self.answer)


def storm(options, address, connections):
    result = subprocess.run(
        [options.bench, "storm", "--connect", address, "--connections", str(connections),
         "--concurrency", str(options.concurrency)],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=False)
    if result.returncode:
        said = result.stderr.strip().splitlines()
        raise Failure(f"the load failed: {said[-1] if said else result.returncode}")
    return json.loads(result.stdout)


def sample(options, accept, turn, folder):
    """One turn of one path: {connections, rate, ...}."""
    data = folder / f"{accept}-{turn}.data"
    server = Server(options, accept, folder)
    perf = None
    try:
        storm(options, server.address, options.warm_up)
        perf = Perf(options, server.process.pid, data, folder)
        perf.tell("ping")
        before = server.accepts()
        perf.tell("enable")
        load = storm(options, server.address, options.connections)
        perf.tell("disable")
        connections = server.accepts() - before
        perf.stop()
        server.stop()
    finally:
        for process in (perf and perf.process, server.process):
            if process and process.poll() is None:
                process.kill()
                process.wait()
    shutil.move(data, options.out / data.name)
    return {"data": data.name, "connections": connections,
            "connections_per_s": load["result"]["connections_per_s"]}, load


def watch_waits(options, accept, folder):
    """One more turn, without perf: where the server waits for its file_lock. A worker that meets
    nobody waits for nobody: other threads of the server keep the table busy."""
    server = Server(options, accept, folder, "--neighbours", str(options.neighbours))
    waits = None
    out, err = folder / "waits.out", folder / "waits.err"
    try:
        storm(options, server.address, options.warm_up)
        with open(out, "w", encoding="utf-8") as to, open(err, "w", encoding="utf-8") as errors:
            waits = start([options.bench, "waits", "--pid", str(server.process.pid)], stdout=to, stderr=errors)
        end = time.monotonic() + READY_S
        while waits.poll() is None and "watching" not in err.read_text():
            if time.monotonic() > end:
                raise Failure(f"accept-bench waits did not start within {READY_S} s")
            time.sleep(0.01)
        if waits.poll() == SKIPPED:
            return {"visible": False, "reason": last_line(err).removeprefix("accept-bench waits: ")}
        before = server.accepts()
        storm(options, server.address, options.connections)
        connections = server.accepts() - before
        waits.send_signal(signal.SIGINT)
        if waits.wait(STOP_S):
            raise Failure(f"accept-bench waits ended with {waits.returncode}: {last_line(err)}")
        server.stop()
    finally:
        for process in (waits, server.process):
            if process and process.poll() is None:
                process.kill()
                process.wait()
    seen = json.loads(out.read_text())
    return {"visible": True, "connections": connections, "neighbours": options.neighbours, "blind": seen["blind"], "stacks": seen["stacks"]}


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--server", required=True)
    add("--bench", required=True)
    add("--out", required=True, type=pathlib.Path)
    add("--paths", required=True, help="two accept paths, A,B")
    add("--connections", type=int, required=True, help="a turn")
    add("--turns", type=int, required=True)
    add("--warm-up", type=int, required=True, help="connections before a turn is sampled")
    add("--workers", type=int, required=True)
    add("--concurrency", type=int, required=True)
    add("--fd-table", choices=("shared", "private"), required=True)
    add("--neighbours", type=int, required=True, help="while waits are looked for")
    add("--frequency", type=int, required=True, help="samples a second and thread")
    return parser.parse_args()


def main():
    options = parse()
    paths = options.paths.split(",")
    result = {accept: {"turns": []} for accept in paths}
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    with tempfile.TemporaryDirectory() as name:  # in the guest a tmpfs: perf's files need one
        folder = pathlib.Path(name)
        for turn in range(options.turns):
            for accept in paths:
                print(f"sample: {accept}, turn {turn + 1} of {options.turns}", file=sys.stderr)
                measured, load = sample(options, accept, turn, folder)
                result[accept]["turns"].append(measured)
                result[accept]["load"] = load["load"]
                environment = load["environment"]
        for accept in paths:
            print(f"sample: {accept}, waits", file=sys.stderr)
            result[accept]["waits"] = watch_waits(options, accept, folder)
    shutil.copyfile("/proc/kallsyms", options.out / "kallsyms")
    description = {
        "environment": environment, "workers": options.workers, "fd_table": options.fd_table,
        "frequency_hz": options.frequency, "paths": result}
    (options.out / "sample.json").write_text(json.dumps(description, indent=1) + "\n")


if __name__ == "__main__":
    try:
        main()
    except (Failure, OSError, subprocess.TimeoutExpired) as failure:
        sys.exit(f"sample: {failure}")
