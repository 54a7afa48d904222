# SPDX-License-Identifier: MIT
"""
Counts how often an example takes a lock of an fd table for a connection, on a kernel with /proc/lock_stat.

    counts.py PROGRAM ACCEPT-BENCH HOW

The program says at its end what the kernel counted in all processes. ACCEPT-BENCH's client takes no such lock, as its
sockets are in slots. That of dup_tls is Python's, which does; what it takes is counted beforehand, by connections that
nobody accepts, and subtracted. Exits 77 if this kernel does not count, or has not what the program needs.
"""

import json
import os
import platform
import re
import select
import signal
import socket
import ssl
import subprocess
import sys

PROGRAM, BENCH, HOW = sys.argv[1:4]
TLS = os.path.basename(PROGRAM) == "dup_tls"
CONNECTIONS = 500 if TLS else 5000
SLACK = 0.05  # of what else the machine does meanwhile: processes that start, looks at /proc

# What a connection takes, by how it gets its fd; see the top of dup_threads.c. The series "exchange" has DUP without.
WANTED = {"dup": 0 if "-exchange-dup-" in platform.release() else 1, "accept": 2, "private": 4}[HOW]


def acquisitions():
    """Those of file_lock since boot, of all processes."""
    with open("/proc/lock_stat", encoding="ascii") as file:
        for line in file:
            name, colon, counts = line.rpartition(":")
            if colon and name.strip().endswith("->file_lock"):
                return int(counts.split()[7])
    return 0


def connect_and_close(port, context=None):
    with socket.create_connection(("127.0.0.1", port), timeout=60) as client:
        if context:
            with context.wrap_socket(client) as secure:
                secure.sendall(b"x" * 100)
                left = 100
                while left > 0:
                    data = secure.recv(left)
                    if not data:
                        sys.exit("the connection ended before all bytes were back")
                    left -= len(data)


def of_python():
    """What Python takes to make a connection and to close it."""
    connections = 200
    with socket.create_server(("127.0.0.1", 0), backlog=connections) as listener:
        before = acquisitions()
        for _ in range(connections):
            connect_and_close(listener.getsockname()[1])
        return (acquisitions() - before) / connections


def load(port):
    """CONNECTIONS connections that get back what they send."""
    if TLS:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE  # the certificate is signed by itself, and new each time
        for _ in range(CONNECTIONS):
            connect_and_close(port, context)
        return
    storm = subprocess.run([BENCH, "storm", "--connect", f"127.0.0.1:{port}", "--protocol", "echo", "--close",
                            "client-fin", "--connections", str(CONNECTIONS), "--concurrency", "64"],
                           stdout=subprocess.PIPE, check=True)
    good = json.loads(storm.stdout)["result"]["good"]
    if good != CONNECTIONS:
        sys.exit(f"{good} of {CONNECTIONS} connections were good")


def main():
    if not os.path.exists("/proc/lock_stat"):
        print("this kernel has no /proc/lock_stat: kernel/boot --flavour um-lockstat boots one that has")
        sys.exit(77)
    client = of_python() if TLS else 0
    server = subprocess.Popen([PROGRAM, "0", HOW], stdout=subprocess.PIPE)
    ready, _, _ = select.select([server.stdout], [], [], 60)
    port = re.search(r"127\.0\.0\.1:(\d+)", server.stdout.readline().decode() if ready else "")
    if not port:
        server.kill()
        sys.exit(77 if server.wait() == 77 else f"{PROGRAM} says no address")
    load(int(port[1]))
    server.send_signal(signal.SIGTERM)
    said = server.communicate(timeout=60)[0].decode()
    counted = re.search(r"(\d+) connections.* ([\d.]+) acquisitions of file_lock", said)
    if not counted or int(counted[1]) != CONNECTIONS:
        sys.exit(f"{PROGRAM} says nothing of {CONNECTIONS} connections: {said}")
    own = float(counted[2]) - client
    print(f"{os.path.basename(PROGRAM)} {HOW}: {own:.3f} acquisitions a connection ({counted[2]} counted, {client:.3f} of "
          f"them the client's), {platform.release()}")
    if not WANTED - SLACK <= own <= WANTED + SLACK:
        sys.exit(f"wanted: {WANTED}, give or take {SLACK}")


main()
