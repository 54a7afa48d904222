# SPDX-License-Identifier: MIT
"""
What the server has for measuring: --open-fds and --neighbours.

    measuring.py ACCEPT-SERVER
"""

import os
import subprocess
import sys

from harness import GET_CLOSE, Server, check, eventually, main

BINARY = sys.argv[1]


def fds(server):
    """The numbers that are open, and how many of them are ballast. No connection may be: its number would go away."""
    eventually(lambda: server.now()["conns_now"] == 0, "a connection is left over")
    folder = f"/proc/{server.pid}/fd"
    numbers = sorted(int(name) for name in os.listdir(folder))
    return numbers, sum(os.readlink(f"{folder}/{number}") == "/" for number in numbers)


def ask(server):
    with server.connect() as client:
        client.sendall(GET_CLOSE)
        check(client.recv(4096).startswith(b"HTTP/1.1 200 "), "no answer")


def test_open_fds_are_there_and_leave_gaps():
    with Server(BINARY, "--accept", "epoll", "--max-conns", "500", "--workers", "1",
                "--open-fds", "2000") as server:
        ask(server)
        numbers, ballast = fds(server)
        check(ballast == 2000, f"{ballast} are open")
        gaps = set(range(numbers[-1])) - set(numbers)
        halves = [sum(n < numbers[-1] // 2 for n in gaps), sum(n >= numbers[-1] // 2 for n in gaps)]
        check(min(halves) > 200, f"the gaps are not spread: {halves}")


def test_open_fds_and_connections_share_the_limit():
    with Server(BINARY, "--accept", "epoll", "--workers", "1", "--open-fds", "1000",
                "--max-conns", "400") as server:
        clients = [server.connect() for _ in range(400)]
        eventually(lambda: server.now()["conns_now"] == 400, "400 connections")
        for client in clients:
            client.close()
        eventually(lambda: server.now()["conns_now"] == 0, "they are gone")


def test_open_fds_too_many():
    done = subprocess.run(["sh", "-c", f"ulimit -n 1000; exec {BINARY} --port 0 --open-fds 5000"],
                          capture_output=True, text=True, timeout=20, check=False)
    check(done.returncode == 1 and "ulimit -n" in done.stderr, f"{done.returncode}: {done.stderr}")


def test_open_fds_in_no_table():
    done = subprocess.run([BINARY, "--port", "0", "--open-fds", "1", "--fd-table", "private"],
                          capture_output=True, text=True, timeout=20, check=False)
    check(done.returncode == 2 and "--fd-table private" in done.stderr, done.stderr)


def thread_names(server):
    with os.scandir(f"/proc/{server.pid}/task") as tasks:
        return [open(f"{t.path}/comm", encoding="ascii").read().strip() for t in tasks]


def test_neighbours_work_and_end():
    with Server(BINARY, "--accept", "epoll", "--workers", "1", "--neighbours", "3") as server:
        eventually(lambda: thread_names(server).count("neighbour") == 3,
                   lambda: f"threads: {thread_names(server)}")
        first = server.now()
        ask(server)
        eventually(lambda: server.now()["neighbour_opens"] > first["neighbour_opens"] + 1000,
                   "they open files")
        check(server.now()["neighbour_cpu_us"] > first["neighbour_cpu_us"], "they take no time")
        check(server.end()["neighbour_opens"] > first["neighbour_opens"], "the last totals lack them")


def test_without_neighbours_nothing_is_said():
    with Server(BINARY, "--accept", "epoll", "--workers", "1") as server:
        check("neighbour_opens" not in server.now(), "there are none")


main([test_open_fds_are_there_and_leave_gaps, test_open_fds_and_connections_share_the_limit,
      test_open_fds_too_many, test_open_fds_in_no_table, test_neighbours_work_and_end,
      test_without_neighbours_nothing_is_said])
