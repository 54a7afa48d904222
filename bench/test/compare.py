#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""accept-bench compare, on made-up pairs of runs with known answers.

    compare.py ACCEPT-BENCH
"""
import json
import os
import random
import subprocess
import sys
import tempfile

PATHS = ("accept4", "multishot", "install", "dup", "direct", "bare")
COUNTS = {"epoll": 2.0, "accept4": 2.0, "multishot": 2.0, "install": 2.0, "dup": 1.0, "direct": 0.0,
          "bare": 2.0}
failures = 0


def record(accept, workers, repetition, speed, cpu, count, kernel, pair):
    return {
        "schema": "accept-bench/1", "outcome": "ok", "reason": None,
        "environment": {"kernel_release": kernel, "virtualisation": "none", "cpus": 2, "cpu": "a CPU"},
        "run": {"seed": 1, "preset": "full", "command": ["accept-bench", "run"]},
        "cell": {"experiment": "paths", "accept": accept, "workers": workers, "fd_table": "shared",
                 "listener": "reuseport", "load": "storm", "repetition": repetition, "watched": True,
                 "server_options": "", "pair": pair},
        "server": {"cpu_us_per_connection": cpu},
        "limit": {"client_cpu_share": 0.5, "server_cpu_share": 0.97, "late_share": 0, "by": "server"},
        "lock": {"instrument": "calls", "other_acquisitions_per_connection": count},
        "storm": {"load": {"load": "closed-loop", "protocol": "http", "concurrency": 64,
                           "close": "server-fin"},
                  "result": {"connections_per_s": speed}},
    }


def run(seed, repetitions=8, level=1.0, factor=None, counts=None, kernel="9.9"):
    """A run of pairs with epoll: 5 % of noise around 20000 connections/s, times `level`, and a path's own factor."""
    rng = random.Random(seed)
    counts = {**COUNTS, **(counts or {})}
    lines = []
    for path in PATHS:
        for workers in (1, 2, 4):
            for repetition in range(1, repetitions + 1):
                for accept in ("epoll", path):
                    speed = 20000 * level * (factor or {}).get(accept, 1)
                    lines.append(json.dumps(record(
                        accept, workers, repetition, speed * rng.gauss(1, 0.05),
                        1e6 / speed * rng.gauss(1, 0.05), counts[accept] + rng.uniform(0, 0.004),
                        kernel, f"{path} {workers}")))
    return "\n".join(lines) + "\n"


def compare(bench, folder, a, b):
    names = []
    for name, text in (("a", a), ("b", b)):
        names.append(os.path.join(folder, name))
        with open(names[-1], "w", encoding="utf-8") as out:
            out.write(text)
    done = subprocess.run([bench, "compare", "--a", names[0], "--b", names[1]], text=True,
                          capture_output=True, check=False)
    return done.returncode, done.stdout + done.stderr


def expect(what, got, code, *texts):
    global failures
    missing = [text for text in texts if text not in got[1]]
    if got[0] != code or missing:
        failures += 1
        print(f"{what}: exit code {got[0]}, wanted {code}; missing: {missing}\n{got[1]}")


def main():
    bench = sys.argv[1]
    with tempfile.TemporaryDirectory() as folder:
        def pair(a, b):
            return compare(bench, folder, a, b)

        agreed = sum(pair(run(seed), run(seed + 1000))[0] == 0 for seed in range(12))
        if agreed < 11:
            print(f"of 12 pairs in which nothing differs {agreed} agree")
            globals()["failures"] += 1
        faster = {path: 1.5 for path in PATHS}
        slower = {path: 1 / 1.5 for path in PATHS}
        expect("nothing differs", pair(run(1), run(2)), 0, "21 cells in both", "21 compared, 0 apart",
               "The two runs agree")
        expect("the same difference in both", pair(run(1, factor=faster), run(2, factor=faster)), 0,
               "Claims: 36 in A, 36 in B, 0 reversed")
        expect("all slower, epoll as well", pair(run(1), run(2, level=0.6)), 0, "in B over A: median 0.")
        expect("a difference in one run", pair(run(1), run(2, factor=faster)), 1, "ratio apart",
               "do not agree")
        expect("claims reversed",
               pair(run(1, factor={"dup": 1.5}), run(2, factor={"dup": 1 / 1.5})), 1,
               "claim reversed: paths: dup, 1 workers", "6 reversed", "do not agree")
        expect("reversed for all", pair(run(1, factor=faster), run(2, factor=slower)), 1)
        expect("another count", pair(run(1), run(2, counts={"dup": 1.05})), 1, "3 apart by more than",
               "count apart: paths: dup, 2 workers: 1.0", "do not agree")
        expect("a count as good as the same", pair(run(1), run(2, counts={"dup": 1.01})), 0)
        few = run(1, repetitions=4)
        expect("too few runs", pair(few, run(2)), 0, "0 compared, 0 apart by more than their",
               "36 had fewer than 8 pairs")
        client = [run(seed, factor=factor).replace('"client_cpu_share": 0.5', '"client_cpu_share": 0.95')
                  for seed, factor in ((1, faster), (2, slower))]
        expect("rates that the client limited", pair(*client), 1, "Claims: 18 in A, 18 in B, 18 reversed",
               "18 are of rates that the server did not limit")
        blind = run(1, repetitions=4).replace("other_acquisitions", "nothing")
        expect("nothing to compare", pair(blind, blind), 1, "nothing to compare")
        expect("another machine", pair(run(1), run(2, kernel="9.10")), 1, "no machine in common")
        expect("no records", pair(run(1), ""), 1, "no records in")
        expect("foreign", pair(run(1), "hello\n"), 1, "line 1: not JSON")
        old = run(2).replace("accept-bench/1", "accept-bench/0")
        expect("another schema", pair(run(1), old), 1, "schema is 'accept-bench/0'")
    print(f"{failures} failures")
    return failures != 0


if __name__ == "__main__":
    sys.exit(main())
