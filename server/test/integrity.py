# SPDX-License-Identifier: MIT
"""
Nothing is mixed up, lost or left over while descriptors are recycled as fast as they can be.

    integrity.py ACCEPT-SERVER ACCEPT-BENCH PATH CONNECTIONS

Every connection sends random bytes of its own, several times, and must get exactly those back.
ACCEPT_TEST_LONG in the environment makes it ten times as many. Exits 77 if this kernel does not have the path.
"""

import json
import os
import socket
import subprocess
import sys

from harness import Server, check, eventually, eventually_clean, main, supported

BINARY, BENCH, PATH, COUNT = *sys.argv[1:4], int(sys.argv[4])
if os.environ.get("ACCEPT_TEST_LONG"):
    COUNT *= 10


def open_sockets(address):
    """How many sockets of the kernel have the address at either end, those in TIME_WAIT aside."""
    end = f"{int.from_bytes(socket.inet_aton(address[0]), sys.byteorder):08X}:{address[1]:04X}"
    with open("/proc/net/tcp", encoding="ascii") as file:
        rows = [line.split()[1:4] for line in file]
    return sum(end in (local, remote) and state != "06" for local, remote, state in rows)


def test_integrity():
    with Server(BINARY, "--accept", PATH, "--workers", "2", "--protocol", "echo",
                "--park-timeout", "500ms") as s:
        storm = subprocess.run(
            [BENCH, "storm", "--connect", f"{s.address[0]}:{s.address[1]}", "--protocol", "echo",
             "--close", "client-fin", "--connections", str(COUNT), "--concurrency", "256",
             "--requests", "2", "--timeout", "60s"],
            stdout=subprocess.PIPE, check=False)
        check(open_sockets(s.address) > 0, f"/proc/net/tcp does not show the server at {s.address}")
        check(storm.returncode == 0, f"storm ended with {storm.returncode}: {storm.stdout[-2000:]}")
        result = json.loads(storm.stdout)
        result = result.get("result", result)
        check(result["good"] == COUNT and result["failed"] == 0,
              f"{result['good']} of {COUNT} were good: {result['errors']}")
        totals = eventually_clean(s, 3)
        check(totals["accepts"] == totals["closed"] == COUNT, f"{totals['closed']} closed")
        check(totals["bytes_in"] == totals["bytes_out"], "bytes are lost")
        check(totals["io_wq_threads"] == 0, "requests were handed to io-wq")
        check(totals["dup_errors"] == totals["stale"] == totals["cq_overflows"] == 0, f"{totals}")
        print(f"{COUNT} connections, {totals['bytes_in']} bytes there and back, 0 mixed up")
    eventually(lambda: open_sockets(s.address) == 0,
               lambda: f"{open_sockets(s.address)} sockets are left over in the kernel", 30)


supported(BINARY, PATH)
main([test_integrity])
