# SPDX-License-Identifier: MIT
"""
A rolling restart: a second server on the same port, the first one drained, under load.

    restart.py ACCEPT-SERVER ACCEPT-BENCH PATH RATE SECONDS [TEST]...

What waits in the backlog of the old server when its drain begins, the drain serves. But between its
last accept and the close of its listener the kernel can still give it a connection. With
net.ipv4.tcp_migrate_req=1 (Linux 5.14) that moves to the new server's listener; without, the client
sees a reset. Both are tried: with it nothing may be lost, without it the loss is printed and
bounded. The setting is that of a network of its own, which needs root.
"""

import json
import signal
import subprocess
import sys
import time

from harness import GET, SLOWNESS, Server, check, eventually, in_own_network, main, read_answer, supported

BINARY, BENCH, PATH, RATE, SECONDS = *sys.argv[1:4], int(sys.argv[4]), int(sys.argv[5])
ONLY = sys.argv[6:]


def in_network(migrate, function):
    in_own_network({"ipv4/tcp_migrate_req": migrate}, function)


def restart_under_load():
    """How many of how many connections were lost."""
    old = Server(BINARY, "--accept", PATH, "--workers", "2")
    address = f"{old.address[0]}:{old.address[1]}"
    with subprocess.Popen(
            [BENCH, "storm", "--connect", address, "--rate", str(RATE), "--connections", "0",
             "--duration", f"{SECONDS}s", "--concurrency", "4096"],
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as storm:
        time.sleep(SECONDS / 3)
        new = Server(BINARY, "--accept", PATH, "--workers", "2", "--port", str(old.address[1]))
        time.sleep(0.3)
        old.process.send_signal(signal.SIGTERM)
        old.wait()
        result = json.loads(storm.communicate(timeout=SECONDS + 60)[0])
    new.end()
    result = result.get("result", result)
    check(new.totals["accepts"] > 0 < old.totals["accepts"], "one of the two served nothing")
    print(f"  {result['started'] / SECONDS:.0f} connections/s: {old.totals['accepts']} by the old server, "
          f"{new.totals['accepts']} by the new, {result['failed']} lost {result['errors'] or ''}")
    return result["failed"], result["started"]


def test_with_migration():
    def body():
        lost, started = restart_under_load()
        check(started > RATE * SECONDS // 3, f"only {started} connections were started")
        check(lost == 0, f"{lost} of {started} lost")

    in_network("1", body)


def test_without_migration():
    def body():
        lost, started = restart_under_load()
        # On a slow machine that moment is longer.
        check(lost <= started / 1000 * SLOWNESS, f"{lost} of {started} lost: more than the moment of the close")

    in_network("0", body)


def test_full():
    """Requests that wait in the backlog of a full server: its drain serves them, not luck."""
    in_network("0", restart_when_full)


def restart_when_full():
    old = Server(BINARY, "--accept", PATH, "--workers", "1", "--max-conns", "1")
    begun = old.connect()
    begun.sendall(GET[:10])
    eventually(lambda: old.now()["conns_now"] == 1, "not accepted")
    waiting = [old.connect() for _ in range(50)]
    for client in waiting:
        client.sendall(GET)
    new = Server(BINARY, "--accept", PATH, "--workers", "1", "--port", str(old.address[1]))
    old.process.send_signal(signal.SIGTERM)
    begun.sendall(GET[10:])
    for client in (begun, *waiting):
        check(read_answer(client)[0] == 200, "one that waited in the backlog is lost")
        client.close()
    old.wait()
    new.end()
    check(old.totals["requests"] == 51, f"{old.totals['requests']} by the old server")


supported(BINARY, PATH)
main([test for test in (test_with_migration, test_without_migration, test_full)
      if not ONLY or test.__name__ in ONLY])
