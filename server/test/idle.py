# SPDX-License-Identifier: MIT
"""
Thousands of connections that send nothing, and new ones that are served all the same.

    idle.py ACCEPT-SERVER PATH CONNECTIONS [MOST-MIB]

MOST-MIB bounds the server's resident memory with all of them open. Exits 77 if this kernel does not
have the path, or this machine's limit of open files is too low.
"""

import resource
import socket
import sys

from harness import (GET, GET_CLOSE, Server, ask, check, eventually, main, supported)

IP_BIND_ADDRESS_NO_PORT = 24  # linux/in.h; the module has no name for it

BINARY, PATH, COUNT = sys.argv[1], sys.argv[2], int(sys.argv[3])
MOST_MIB = int(sys.argv[4]) if len(sys.argv) > 4 else None


def resident_mib(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("VmRSS")) / 1024


def test_idle():
    with Server(BINARY, "--accept", PATH, "--workers", "2", "--max-conns", str(COUNT * 5 // 4),
                "--idle-timeout", "10m") as s:
        crowd = []
        for i in range(COUNT):
            c = socket.socket()
            # A source address has some 14,000 ports to connect from; the port is chosen by connect, not by bind,
            # which would search all of them.
            c.setsockopt(socket.IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1)
            c.bind((f"127.0.{1 + i // 8000}.1", 0))
            c.connect(s.address)
            crowd.append(c)
        eventually(lambda: s.now()["conns_now"] == COUNT, "not all are accepted", 60)
        before = s.cpu_seconds()
        for _ in range(200):
            with s.connect() as c:
                check(ask(c, GET_CLOSE)[0] == 200, "a new one is not served")
        check(s.cpu_seconds() - before < 10, "the idle ones cost CPU")
        mib = resident_mib(s.pid)
        print(f"{COUNT} idle connections, resident memory {mib:.1f} MiB")
        check(MOST_MIB is None or mib < MOST_MIB, f"{mib:.1f} MiB of memory, more than {MOST_MIB}")
        for c in crowd[::100]:
            check(ask(c, GET)[0] == 200, "an idle one is not served when it speaks")
        for c in crowd:
            c.close()
        eventually(lambda: s.now()["conns_now"] == 0, "connections are left over", 60)


supported(BINARY, PATH)
soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
if hard < COUNT * 5 // 4 + 200:
    print(f"at most {hard} files may be open here")
    sys.exit(77)
resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
main([test_idle])
