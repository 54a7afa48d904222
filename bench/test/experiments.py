# SPDX-License-Identifier: MIT
"""
One experiment of the harness from the command line to the records, small.

    experiments.py ACCEPT-BENCH ACCEPT-SERVER EXPERIMENT

Everything the experiment varies must be in the records and have had its effect: check_NAME() below, or for an
experiment without one check_values(). Paths this kernel
lacks are skipped; exits 77 when nothing is left.
"""

import json
import os
import re
import statistics
import subprocess
import sys
import tempfile

BENCH, SERVER, EXPERIMENT = sys.argv[1:4]

# More options for some: enough to see an effect, no more.
OPTIONS = {
    "scaling": ["--workers", "1,2"],
    "open-fds": ["--open-fds", "0,3000"],
    "neighbours": ["--neighbours", "0,2"],
    "park": ["--rate-duration", "1500ms"],
    "latency": ["--rate-duration", "500ms"],
    "overhead": ["--experiments", "paths", "--overhead"],
    "closes": ["--experiments", "one-core", "--paths", "direct,epoll", "--close", "client-rst"],
    # as precise as anything is: done after as few pairs as there may be
    "pairs": ["--paths", "direct", "--workers", "1", "--pairs", "yes", "--precision", "100", "--repetitions", "30"],
}
# An acquisition more in every hundred connections would be one too many.
NOISE = 0.01


def check(condition, message):
    if not condition:
        sys.exit(f"experiments.py: {message}")


def run(folder):
    """The records, and what was said meanwhile."""
    out = os.path.join(folder, "records")
    done = subprocess.run(
        [BENCH, "run", "--server", SERVER, "--out", out, "--preset", "smoke", "--experiments",
         EXPERIMENT if EXPERIMENT not in ("overhead", "pairs", "closes") else "paths", *OPTIONS.get(EXPERIMENT, [])],
        stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, check=False, timeout=600)
    with open(out, encoding="ascii") as file:
        records = [json.loads(line) for line in file]
    check(done.returncode == 0, f"exit code {done.returncode}: {done.stderr}")
    return records, done.stderr


def good(records):
    for record in records:
        check(record["outcome"] != "failed", f"{record['cell']['name']}: {record['reason']}")
        if record["outcome"] == "skipped":
            check(record["reason"], "skipped without a reason")
            print(f"skipped: {record['cell']['name']}: {record['reason']}")
    return [r for r in records if r["outcome"] == "ok" and r["cell"]["accept"] != "storm-alone"]


def check_limit(record):
    """Who was the limit follows from the shares, and a share is one."""
    limit, level = record["limit"], record["cell"]["level"]
    for who in ("client", "server"):
        share = limit[who + "_cpu_share"]
        check(share is None and level == "idle" or 0 < share < 1.3, f"{who}'s share: {share}")
    if level != "idle":
        full = limit["client_cpu_share"] > 0.9 or limit["late_share"] > 0.01
        server = "server" if limit["server_cpu_share"] > 0.9 else "neither"
        check(limit["by"] == ("client" if full else server), f"{limit}")


def check_common(record):
    cell = record["cell"]
    check_limit(record)
    levels = {check["level"] for check in record["environment"]["preflight"]}
    check(levels and levels <= {"fatal", "hint", "info"}, f"preflight: {levels}")
    when = [r["when"] for r in record["server"]["readings"]]
    check(when[0] == "ready" and when[1] == "before" and when[-1] == "after", f"readings: {when}")
    check(all(r["rss_kib"] > 0 for r in record["server"]["readings"]), "no memory was read")
    check(cell["name"].startswith(cell["experiment"] + ": "), cell["name"])


def values_of(record):
    """What a cell's name says behind the load: {"open-fds": "3000"}."""
    return dict(re.findall(r" ([a-z-]+)=(\d+[a-z]*)(?= |$)", record["cell"]["name"].split(" load=")[1]))


def check_values(records):
    """Of any experiment that varies an option of the server: more than one value, each handed on."""
    seen = {tuple(values_of(record).items()) for record in records}
    check(len(seen) > 1, f"what is varied? {seen}")
    for record in records:
        for name, value in values_of(record).items():  # no peer has any
            check(f" {name}={value} " in record["server"]["ready"],
                  f"{record['cell']['name']}: the server says {record['server']['ready']}")


def check_scaling(records):
    check({r["cell"]["workers"] for r in records} == {1, 2}, "not with 1 and 2 workers")
    for record in records:
        check(f"workers={record['cell']['workers']} " in record["server"]["ready"],
              "the server has other workers")


def check_one_core(records):
    for record in records:
        server, client = record["cell"]["server_cpus"], record["cell"]["client_cpus"]
        check(server and client, "they are not bound")
        check(not set(server.split(",")) & set(client.split(",")), f"{server} and {client}")
        check(record["server"]["cpu_us_per_connection"] > 0, "no CPU time")


def check_wrk(records):
    check(all(r["wrk"]["requests_per_s"] > 0 for r in records), "wrk made no requests")


def check_open_fds(records):
    figures = {}
    check_values(records)
    for record in records:
        n = record["cell"]["open_fds"]
        check(f" open-fds={n} " in record["server"]["ready"], "the server has others")
        check(record["server"]["readings"][0]["fd_table_size"] > n, "the table is too small")
        figure = record["lock"].get("other_acquisitions_per_connection")
        if figure is not None:
            figures.setdefault(record["cell"]["accept"], []).append(figure)
    for path, pair in figures.items():
        check(max(pair) - min(pair) < NOISE, f"{path}: {pair} acquisitions per connection")


def check_neighbours(records):
    check_values(records)
    for record in records:
        totals, lock = record["server"]["totals"], record["lock"]
        check(("neighbour_opens" in totals) == (record["cell"]["neighbours"] > 0), "no opens")
        if not record["cell"]["neighbours"]:
            continue
        check(totals["neighbour_opens"] > 0 < totals["neighbour_cpu_us"], "they did nothing")
        check(record["server"]["cpu_us_per_connection"] > 0, "no CPU time is left")
        if lock.get("wait_ns") is not None:
            check(lock["waiters"] in ("workers", "all"), "whose waits are they?")


def check_park(records):
    for record in records:
        level, readings = record["cell"]["level"], record["server"]["readings"]
        before, after = readings[1]["parked_now"], readings[-1]["parked_now"]
        check(before > 0, f"{level}: nothing was parked by the warm-up")
        if level == "idle":
            check(after == 0, f"{after} are parked in an idle server")
            check("storm" in record and record["storm"]["result"]["started"] == 0, "not idle")
        else:
            check(after > 0, f"{level}: nothing is parked")
            check("loaded" in [r["when"] for r in readings], "nothing was read under load")


def check_latency(records):
    peaks, n_rates = {}, 0
    for record in records:
        cell = record["cell"]
        if cell["rate_of_peak_percent"]:
            n_rates += 1
            best = max(statistics.median(rates) for rates in peaks.values())
            check(abs(cell["peak_connections_per_s"] / best - 1) < 1e-6, "another peak")
            rate = record["storm"]["load"]["rate_per_s"]
            check(abs(rate / best * 100 / cell["rate_of_peak_percent"] - 1) < 1e-6, f"{rate}")
            check(record["storm"]["load"]["load"] == "open-loop", "not an open loop")
        else:
            check(not n_rates, "a peak was measured after it was needed")
            rate = record["storm"]["result"]["connections_per_s"]
            peaks.setdefault(cell["accept"], []).append(rate)
    check(n_rates and all(len(rates) == 3 for rates in peaks.values()), "no peak")


def check_overhead(records):
    cells = {}
    for record in records:
        cells.setdefault(record["cell"]["accept"], set()).add(record["cell"]["watched"])
        if not record["cell"]["watched"]:
            check(record["lock"]["instrument"] is None, "it was watched")
    check(cells and all(seen == {True, False} for seen in cells.values()), f"{cells}")


def check_closes(records):
    """Sockets that the client resets and connects again are as many as before in the end."""
    for record in records:
        load, result = record["storm"]["load"], record["storm"]["result"]
        check(load["close"] == "client-rst" and result["started"] > load["concurrency"], "none was used again")
        check(result["good"] == result["started"] == record["server"]["totals"]["accepts"], f"{result}")
        check(record["sockets"]["back"], "sockets are left over")


def check_pairs(records):
    pairs = len(records) // 2
    check(8 <= pairs <= 20 and len(records) == 2 * pairs, f"{len(records)} runs of 8 pairs or some more")
    for a, b in zip(records[::2], records[1::2]):
        check(a["cell"]["pair"] == b["cell"]["pair"] == "paths: direct workers=1 fd-table=shared load=storm",
              f"{a['cell']['pair']} and {b['cell']['pair']}")
        check({a["cell"]["accept"], b["cell"]["accept"]} == {"epoll", "direct"}, "not a pair")
        check(a["cell"]["repetition"] == b["cell"]["repetition"], "of two repetitions")


def main():
    with tempfile.TemporaryDirectory() as folder:
        records, said = run(folder)
    cells = good(records)
    if not cells:
        print("skipped: this kernel or machine has nothing of what this experiment needs")
        return 77
    check(" left\n" in said, f"no estimate of the time left: {said}")
    for record in cells:
        if "ready" in record["server"]:  # a peer says nothing of itself
            check_common(record)
    globals().get("check_" + EXPERIMENT.replace("-", "_"), check_values)(cells)
    print(f"{EXPERIMENT}: {len(cells)} cells")
    return 0


if __name__ == "__main__":
    sys.exit(main())
