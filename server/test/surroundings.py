# SPDX-License-Identifier: MIT
"""
Surroundings that lack something: /proc, /dev, io_uring_enter(2).

    surroundings.py ACCEPT-SERVER ACCEPT-SERVER-FAULTS PATH

As root, for the file systems. Exits 77 if this kernel does not have the path, or to others than root.
"""

import ctypes
import os
import socket
import struct
import subprocess
import sys

from harness import (ACCEPT_PATHS, GET, GET_CLOSE, Failure, Server, ask, check, eventually, eventually_clean, main,
                     only_if, supported)

BINARY, FAULTS, PATH = sys.argv[1:4]
ROW = ACCEPT_PATHS[PATH]
RING = ROW.ring
IO_URING_ENTER = 426  # on every architecture
PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP, SECCOMP_MODE_FILTER = 38, 22, 2
TCP_NOTSENT_LOWAT = 25


def without(folder):
    """A command that runs another one where FOLDER is empty."""
    return ["unshare", "--mount", "bash", "-c", f'mount -t tmpfs none {folder} && exec "$@"', "bash"]


def test_without_proc():
    """What was lost is found by number: the ring paths accept again after dropped completions."""
    with open(FAULTS, "rb") as binary:
        if b"__asan_init" in binary.read():
            print("the leak sanitizer reads /proc itself: test_without_proc tries nothing")
            return
    drop = "accept:4,recv:5" if ROW.multishot else "listen:3,recv:5"
    with Server(FAULTS, "--accept", PATH, "--workers", "1", "--park-timeout", "200ms", before=without("/proc"),
                environment={"ACCEPT_SERVER_DROP": drop}) as s:
        served = 0
        for _ in range(60):
            try:
                with s.connect() as c:
                    served += ask(c, GET_CLOSE)[0] == 200
            except (ConnectionError, Failure):
                pass
        check(served > 20, f"{served} of 60 served")
        totals = eventually_clean(s, 2)
        check(not RING or totals["recoveries"] > 5, f"{totals['recoveries']} recoveries")


def test_without_dev():
    with Server(BINARY, "--accept", PATH, "--workers", "2", before=without("/dev")) as s:
        check(f"accept={PATH} " in s.first, s.first)
        for _ in range(10):
            with s.connect() as c:
                check(ask(c)[0] == 200, "not served")


def refuse_enter():
    """In the child, before the server: io_uring_enter() gives EPERM, as filters of containers have it."""
    load, equal, give = 0x20, 0x15, 0x06  # BPF_LD | BPF_W | BPF_ABS, BPF_JMP | BPF_JEQ | BPF_K, BPF_RET | BPF_K
    code = ((load, 0, 0, 0), (equal, 0, 1, IO_URING_ENTER), (give, 0, 0, 0x00050001), (give, 0, 0, 0x7fff0000))
    program = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *row) for row in code))
    filters = ctypes.create_string_buffer(struct.pack("HxxxxxxP", len(code), ctypes.addressof(program)))
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) or libc.prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, filters, 0, 0):
        os._exit(99)


def test_without_enter():
    """The kernel sets up a ring and refuses to use it: said before the ready line, and auto does without."""
    done = subprocess.run([BINARY, "--accept", PATH, "--port", "0"], preexec_fn=refuse_enter, capture_output=True,
                          text=True, timeout=30, check=False) if RING else None
    only_if(not done or done.returncode != 99, "this kernel has no seccomp")
    if done:
        check(done.returncode == 77 and "io_uring_enter: Operation not permitted" in done.stderr and not done.stdout,
              f"{done.returncode}: {done.stdout} {done.stderr}")
    with Server(BINARY, "--accept", "auto", "--workers", "1", setup=refuse_enter) as s:
        check("accept=epoll " in s.first, s.first)
        with s.connect() as c:
            check(ask(c)[0] == 200, "not served")


def copies(pid):
    """Copies of the TCP sockets in the server's table."""
    pidfd = os.pidfd_open(pid)
    libc = ctypes.CDLL(None, use_errno=True)
    found = []
    for name in os.listdir(f"/proc/{pid}/fd"):
        try:
            if not os.readlink(f"/proc/{pid}/fd/{name}").startswith("socket:"):
                continue
        except FileNotFoundError:
            continue
        fd = libc.syscall(438, pidfd, int(name), 0)  # pidfd_getfd, on every architecture
        if fd >= 0:
            found.append(socket.socket(fileno=fd))
    os.close(pidfd)
    return found


def test_options_of_sockets():
    """What recovery knows sockets by changes nothing: the administrator's settings hold."""
    with Server(BINARY, "--accept", PATH, "--workers", "1") as s, s.connect() as c:
        ask(c, GET)
        sockets = copies(s.pid)
        # The listener, the one that holds the port, and the connection unless it is a slot.
        eventually(lambda: len(sockets) >= (2 if ROW.serves == "SLOT" else 3), f"{len(sockets)} sockets")
        for one in sockets:
            check(one.getsockopt(socket.IPPROTO_TCP, TCP_NOTSENT_LOWAT) == 0, "TCP_NOTSENT_LOWAT is set")
            check(one.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 0, "SO_KEEPALIVE is on")
            one.close()


supported(BINARY, PATH)
if os.geteuid():
    print("an empty /proc needs root")
    sys.exit(77)
only = sys.argv[4:]
main([test for name, test in list(globals().items())
      if name.startswith("test_") and (not only or name in only)])
