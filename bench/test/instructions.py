"""What accept-bench makes of records of instructions, which are made up here; and single steps, counted for real.

    instructions.py ACCEPT-BENCH ACCEPT-SERVER
"""

import json
import os
import subprocess
import sys
import tempfile

BENCH, SERVER = sys.argv[1:3]
failures = 0


def check(good, what):
    global failures
    if not good:
        print("failed:", what)
        failures += 1


def record(path, per_connection, counted="all", in_flight=1, kernel="7.3.4-dup-fast", **more):
    return {
        "record": "instructions", "schema": 1, "time": "2026-11-27T00:00:00Z", "path": path, "in_flight": in_flight,
        "repetition": 1, "counted": counted, "connections": 100, "per_connection": per_connection,
        "passes_per_connection": 3.0, "command": [], "compiler": "12.2.0", "kernel_compiler": "gcc 12.2.0",
        "environment": {"kernel_release": kernel, "revision": "abc", "virtualisation": "none"},
        **more,
    }


def write(name, records):
    path = os.path.join(folder, name)
    with open(path, "w") as file:
        file.writelines(json.dumps(r) + "\n" for r in records)
    return path


def run(*arguments):
    return subprocess.run([BENCH, *arguments], capture_output=True, text=True)


def report(records):
    out = os.path.join(folder, "report.md")
    made = run("report", "--in", write("in.ndjson", records), "--out", out)
    return made, open(out).read() if made.returncode == 0 else ""


def dearer(before, now, *more):
    return run("dearer", "--than", write("before.ndjson", before), "--in", write("now.ndjson", now), *more)


def test_table():
    made, text = report([
        record("multishot", 20000), record("multishot", 20400), record("multishot", 30000),
        record("multishot", 5000, counted="user"),
        record("dup", 21420, note="on a rainy day"),
        record("dup", 19000, kernel="7.3.4-exchange-dup-fast"),
        record("dup", 5500, counted="user", kernel="7.3.4-exchange-dup-fast"),
    ])
    check(made.returncode == 0, f"a report of instructions alone: {made.stderr}")
    for line in (
            "| `multishot` | 20400 (20000 to 30000) | 5000 | 15400 | 1.000 | 3.00 |",
            # what executes in user mode is that of the other kernel
            "| `dup` | 21420 | 5500 | 15920 | 1.050 | 3.00 |",
            # no multishot on that kernel to compare with
            "| `dup` | 19000 | 5500 | 13500 | - | 3.00 |",
            "revision abc, 7.3.4-dup-fast, none, on a rainy day"):
        check(line in text, f"the table lacks: {line}\n{text}")


def test_line():
    """The page has those of kernels that do not check their locks."""
    cells = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "records", "um-dup.ndjson.gz")
    page, out = os.path.join(folder, "page.md"), os.path.join(folder, "all.md")
    checking = record("dup", 99999, kernel="7.3.4-dup-lockstat")
    checking["environment"]["lock_stat"] = True
    for records, line in (
            ([record("dup", 20000), record("dup", 18000, in_flight=32), record("direct", 17000, in_flight=32), checking],
             "a connection costs the server, on Linux 7.3.4-dup-fast, with 32 in flight, 18000 with `dup`, 17000 with "
             "`direct`.\n"),
            ([checking], None)):
        made = run("report", "--in", cells, "--in", write("in.ndjson", records), "--out", out, "--page", page)
        check(made.returncode == 0, f"a page: {made.stderr}")
        text = open(page).read()
        check(line in text if line else "In instructions" not in text, f"the page: {line}\n{text}")
        check("Linux 7.3.4-dup-lockstat checks its locks" in open(out).read(), "the report says what checks its locks")


def test_refused():
    for bad, why in (
            (record("dup", 100, schema=2), "with schema 2; this program reads 1"),
            (record("dup", 0), "without per_connection"),
            (record("dup", 100, counted="guess"), "counted as 'guess'"),
            (record("", 100), "without path"),
            (record("dup", 100, record="weather"), "not a record that this command reads: 'weather'")):
        made, _ = report([bad])
        check(made.returncode == 1 and why in made.stderr, f"{why}: {made.returncode} {made.stderr}")


def test_dearer():
    before = [record("dup", 20000), record("multishot", 10000)]
    for now, code, what in (
            ([record("dup", 20590), record("multishot", 9000)], 0, "less than 3 % dearer, and cheaper"),
            ([record("dup", 20610)], 1, "more than 3 % dearer"),
            ([record("dup", 20610), record("dup", 20000), record("dup", 20010)], 0, "one run of three dearer"),
            ([record("dup", 99999, counted="user")], 77, "nothing by the clock"),
            ([record("dup", 99999, in_flight=32)], 77, "another load"),
            ([record("dup", 99999, kernel="7.3.5-dup-fast")], 77, "another kernel"),
            ([record("dup", 99999, compiler="13.1.0")], 77, "another compiler of the server"),
            ([record("dup", 99999, kernel_compiler=None)], 77, "another compiler of the kernel")):
        said = dearer(before, now)
        check(said.returncode == code, f"{what}: {said.returncode}, not {code}: {said.stdout}{said.stderr}")
    check(dearer(before, [record("dup", 20610)], "--percent", "4").returncode == 0, "--percent 4")
    said = run("compare", "--a", write("a.ndjson", before), "--b", write("b.ndjson", before))
    check(said.returncode == 1 and "not a record that" in said.stderr, f"compare takes cells only: {said.stderr}")


def count_steps(path):
    out = os.path.join(folder, path + ".ndjson")
    made = run("instructions", "--server", SERVER, "--out", out, "--paths", path, "--in-flight", "1", "--connections", "0",
               "--user-connections", "5")
    if made.returncode or not os.path.exists(out):
        return made, 0
    return made, json.loads(open(out).readlines()[-1])["per_connection"]


def test_steps():
    """The answer to a request of some 60 bytes takes some thousand instructions, and epoll's loop fewer than a ring's."""
    counts = {}
    for path in ("epoll", "multishot"):
        made, counts[path] = count_steps(path)
        if made.returncode and "PTRACE_SEIZE" in made.stderr:
            print("skipped: a server cannot be traced here:", made.stderr)
            sys.exit(77)
        check(made.returncode == 0 and 500 < counts[path] < 50000, f"{path}: {counts[path]} {made.stderr}")
    check(counts["epoll"] < counts["multishot"], f"epoll executes less in user mode: {counts}")


def test_clock():
    """No real CPU takes a nanosecond for every instruction."""
    out = os.path.join(folder, "clock.ndjson")
    made = run("instructions", "--server", SERVER, "--out", out, "--paths", "epoll")
    check(made.returncode == 77 and "does not count instructions" in made.stderr and not os.path.exists(out),
          f"the clock of this machine: {made.returncode} {made.stderr}")


with tempfile.TemporaryDirectory() as folder:
    test_table()
    test_line()
    test_refused()
    test_dearer()
    test_clock()
    test_steps()
print(f"{failures} failures")
sys.exit(failures > 0)
