# SPDX-License-Identifier: MIT
"""
Nothing is mixed up, lost or left over while descriptors are recycled as fast as they can be.

    integrity.py ACCEPT-SERVER ACCEPT-BENCH PATH CONNECTIONS

Every connection sends random bytes of its own, several times, and must get exactly those back.
ACCEPT_TEST_LONG in the environment makes it ten times as many. Exits 77 if this kernel does not have the path.
"""

import json
import os
import subprocess
import sys

from harness import Server, check, eventually, main, supported

BINARY, BENCH, PATH, COUNT = *sys.argv[1:4], int(sys.argv[4])
if os.environ.get("ACCEPT_TEST_LONG"):
    COUNT *= 10


def open_sockets():
    with open("/proc/net/sockstat", encoding="ascii") as file:
        words = file.read().split()
    return int(words[words.index("inuse") + 1])


def test_integrity():
    before = open_sockets()
    with Server(BINARY, "--accept", PATH, "--workers", "2", "--protocol", "echo",
                "--park-timeout", "500ms") as s:
        storm = subprocess.run(
            [BENCH, "storm", "--connect", f"{s.address[0]}:{s.address[1]}", "--protocol", "echo",
             "--close", "client-fin", "--connections", str(COUNT), "--concurrency", "256",
             "--requests", "2", "--timeout", "60s"],
            stdout=subprocess.PIPE, check=False)
        check(storm.returncode == 0, f"storm ended with {storm.returncode}: {storm.stdout[-2000:]}")
        result = json.loads(storm.stdout)
        result = result.get("result", result)
        check(result["good"] == COUNT and result["failed"] == 0,
              f"{result['good']} of {COUNT} were good: {result['errors']}")
        eventually(lambda: s.now()["conns_now"] == 0, "connections are left over")
        eventually(lambda: s.now()["parked_now"] == 0, "parked connections are left over")
        check(s.sockets() <= 3, f"{s.sockets()} sockets are left over in the server")
        totals = s.now()
        check(totals["accepts"] == totals["closed"] == COUNT, f"{totals['closed']} closed")
        check(totals["bytes_in"] == totals["bytes_out"], "bytes are lost")
        check(totals["io_wq_threads"] == 0, "requests were handed to io-wq")
        check(totals["dup_errors"] == totals["stale"] == totals["cq_overflows"] == 0, f"{totals}")
        print(f"{COUNT} connections, {totals['bytes_in']} bytes there and back, 0 mixed up")
    eventually(lambda: open_sockets() <= before, "sockets are left over in the kernel", 30)


supported(BINARY, PATH)
main([test_integrity])
