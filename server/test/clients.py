# SPDX-License-Identifier: MIT
"""
Good and hostile clients against one accept path.

    clients.py ACCEPT-SERVER PATH [TEST...]

Exits 77 if this kernel does not have the path.
"""

import contextlib
import ctypes
import fcntl
import os
import random
import re
import resource
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import termios
import time
from pathlib import Path

from harness import (ACCEPT_PATHS, BODY, GET, GET_CLOSE, SLOWNESS, Failure, Server, answers_of, ask, check, check_idle,
                     eventually, eventually_clean, in_own_network, in_user_mode_linux, is_closed, main, moved_crowd,
                     only_if, read_answer, readable, read_to_end, reset, supported, urgent_bytes)

BINARY, PATH = sys.argv[1:3]
ROW = ACCEPT_PATHS[PATH]
WORKERS = "2"
# The thread sanitizer takes the same number in two tables for the same descriptor.
ONE_TABLE = "ACCEPT_TEST_ONE_TABLE" in os.environ
SANITIZED = "ACCEPT_TEST_SANITIZED" in os.environ
F_SETPIPE_SZ = 1031  # linux/fcntl.h
PR_SET_TIMERSLACK = 29  # linux/prctl.h
RLIMIT_RTTIME = 15  # asm-generic/resource.h
# For a crowd of our own.
resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)


def server(*options, setup=None):
    return Server(BINARY, "--accept", PATH, "--workers", WORKERS, "--park-timeout", "1s", *options, setup=setup)


def check_clean(instance, accepted=None):
    """Once the clients are gone, nothing of them is left: no connection, no socket."""
    # The listeners, and with SO_REUSEPORT the socket that holds the port.
    totals = eventually_clean(instance, int(WORKERS) + 1, accepted)
    check(totals["stale"] == 0 or not ROW.ring, f"{totals['stale']} stale completions")
    check(totals["cq_overflows"] == 0, "completions were dropped")


def test_keep_alive():
    with server() as s:
        with s.connect() as c:
            for _ in range(300):  # more than a worker has receive buffers
                status, headers, body = ask(c)
                check((status, body) == (200, BODY), f"{status} {body!r}")
                check("connection" not in headers, "keep-alive is announced needlessly")
        check_clean(s)
        check(s.now()["no_buffers"] == 0, "receive buffers are lost")


def test_close():
    with server() as s:
        for _ in range(200):
            with s.connect() as c:
                status, headers, body = ask(c, GET_CLOSE)
                check((status, body) == (200, BODY), f"{status} {body!r}")
                check(headers["connection"] == "close", "close is not announced")
                check(is_closed(c), "still open")
        check_clean(s)
        totals = s.now()
        check(totals["accepts"] == 200, f"{totals['accepts']} accepted")
        if ROW.multishot:
            check(totals["accept_rearms"] == int(WORKERS), f"armed {totals['accept_rearms']} times")


def test_http10():
    with server() as s:
        with s.connect() as c:
            status, _, body = ask(c, b"GET / HTTP/1.0\r\n\r\n")
            check((status, body) == (200, BODY) and is_closed(c), "HTTP/1.0")
        with s.connect() as c:
            for _ in range(2):
                _, headers, _ = ask(c, b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
                check(headers["connection"] == "keep-alive", "keep-alive is not announced")


def test_head():
    with server() as s, s.connect() as c:
        c.sendall(GET.replace(b"GET", b"HEAD"))
        status, headers, _ = read_answer(c, head=True)
        check(status == 200 and headers["content-length"] == str(len(BODY)), "HEAD")
        check(ask(c)[2] == BODY, "the answer behind HEAD is out of step")


def test_pipelining():
    with server() as s, s.connect() as c:
        c.sendall(GET * 500)
        for i in range(500):
            status, _, body = read_answer(c)
            check((status, body) == (200, BODY), f"answer {i}: {status} {body!r}")
        c.sendall(GET * 3 + GET_CLOSE + GET)
        for _ in range(4):
            check(read_answer(c)[0] == 200, "pipelined")
        check(is_closed(c), "goes on behind Connection: close")


def test_byte_by_byte():
    with server() as s, s.connect() as c:
        for _ in range(2):
            for i in range(len(GET)):
                c.sendall(GET[i:i + 1])
            check(read_answer(c)[0] == 200, "byte by byte")


def test_body():
    with server() as s, s.connect() as c:
        head = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n"
        c.sendall(head)
        for _ in range(100):
            c.sendall(b"x" * 1000)
        check(read_answer(c)[0] == 200, "a body")
        c.sendall(head.replace(b"\r\n\r\n", b"\r\nExpect: 100-continue\r\n\r\n"))
        check(read_answer(c)[0] == 100, "no permission to send the body")
        c.sendall(b"y" * 100000)
        check(read_answer(c)[0] == 200, "a body with permission")


def test_memory_is_there():
    """
    What the kernel copies to, buffers and stacks, has its memory from the start: at the limit of a memory cgroup it can
    get none, and a request whose buffer is not there would fail with EFAULT.
    """
    only_if(not SANITIZED, "a sanitizer takes memory all the time")
    # A size that nothing else has; and see pages.c.
    stack_kib, touched_kib = 776, 32
    port = metrics_port()

    def small_stacks():
        resource.setrlimit(resource.RLIMIT_STACK, (stack_kib * 1024, resource.getrlimit(resource.RLIMIT_STACK)[1]))

    with server("--workers", "1", "--metrics-port", str(port), setup=small_stacks) as s:
        def stacks():
            return [touched for name, size, touched in s.mappings() if size == stack_kib or name == "[stack]"]

        # The one of the main thread has no name in user-mode Linux.
        check(len(stacks()) in (2, 3), f"{len(stacks())} stacks, not those of a worker, the metrics and the main thread")
        # The ready line does not wait for the thread of the metrics, which may not have run yet.
        eventually(lambda: min(stacks()) >= touched_kib, f"not {touched_kib} KiB of each stack are there")
        with s.connect() as first:
            ask(first)
            scrape(port)
            s.now()
            before = sum(touched for _, _, touched in s.mappings())
            for _ in range(300):  # more than a worker has receive buffers
                with s.connect() as c:
                    c.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 60000\r\n\r\n" + bytes(60000))
                    check(read_answer(c)[0] == 200, "not served")
            s.now()
            more = sum(touched for _, _, touched in s.mappings()) - before
            check(more <= 0, f"{more} KiB were not there")


LINGER_S = 2  # how long the server drops what comes behind a request that it refused


def refuse(instance, request, want):
    """Sends REQUEST, and more behind the answer; False if this machine took too long to tell."""
    with instance.connect() as c:
        began = time.monotonic()
        try:
            status, headers, _ = ask(c, request)
            check(status == want, f"{status}, not {want}")
            check(headers["connection"] == "close", f"{want} without close")
            for _ in range(5):  # a server that has closed answers this with a reset
                c.sendall(b"x" * 1000)
                time.sleep(0.01)
            check(c.recv(1) == b"", f"bytes behind {want}")
            return True
        except ConnectionError as error:
            check(time.monotonic() - began > LINGER_S, f"{want}: {error}: closed at once")
            return False


def test_refused_requests():
    """The reason must reach a client that is still sending: no reset before it is read."""
    cases = {
        400: b"GET / HTTP/1.1\r\n\r\n",
        405: b"PUT / HTTP/1.1\r\nHost: x\r\n\r\n",
        413: b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999\r\n\r\n" + b"x" * 300000,
        414: b"GET /" + b"x" * 9000 + b" HTTP/1.1\r\n",
        431: b"GET / HTTP/1.1\r\nHost: x\r\nA: " + b"x" * 17000,
        501: b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        505: b"GET / HTTP/2.0\r\nHost: x\r\n\r\n",
    }
    with server() as s:
        refused_ones = 0
        for want, request in cases.items():
            for _ in range(5):
                refused_ones += 1
                if refuse(s, request, want):
                    break
            else:
                check(False, f"{want}: five times in a row slower than {LINGER_S} s")
        check_clean(s)
        check(s.now()["requests_bad"] == refused_ones, "not all counted")


READ_SIZE = 4096 if ROW.ring else 16384  # what the server receives at once


def closing_post(size, behind=b""):
    """A whole request of SIZE bytes, and what comes behind it."""
    head = b"POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: %5d\r\n\r\n"
    return head % (size - len(head % 0)) + b"x" * (size - len(head % 0)) + behind


def closing_get(size, behind=b""):
    """The same without a body."""
    return GET_CLOSE[:-2] + b"A: " + b"x" * (size - len(GET_CLOSE) - 5) + b"\r\n\r\n" + behind


def test_last_answer():
    """It arrives whatever follows the request, in the same segment or in later ones, and no reset behind it."""
    cases = {
        "a POST that fills a receive": (closing_post(READ_SIZE),),
        "a line behind it": (closing_post(READ_SIZE, b"\r\n"),),
        "a line in a segment of its own": (closing_post(READ_SIZE), b"\r\n", b"\r\n"),
        "a line behind a short POST": (closing_post(200, b"\r\n"),),
        "a line behind a short POST, later": (closing_post(200), b"\r\n", b"\r\n"),
        "a GET that fills a receive, and a line": (closing_get(READ_SIZE, b"\r\n"),),
        "HTTP/1.0 and 20 KB": (b"GET / HTTP/1.0\r\n\r\n" + b"x" * 20000,),
        "HTTP/1.0 and 20 KB later": (b"GET / HTTP/1.0\r\n\r\n", b"x" * 20000, b"x"),
        "close and 20 KB": (GET_CLOSE + b"x" * 20000,),
        "close and more requests": (GET_CLOSE + GET * 10,),
        "close and more requests, the last of them later": (GET_CLOSE + GET, GET, GET),
        "close and a receive full of requests": (GET_CLOSE.ljust(READ_SIZE, b"G") + GET,),
    }
    with server() as s:
        for what, segments in cases.items():
            for pause in (0, 0, 0, 0, 0, 0.001, 0.002, 0.02):
                began = time.monotonic()
                with s.connect() as c:
                    try:
                        for segment in segments:
                            c.sendall(segment)
                            time.sleep(pause)
                    except ConnectionError:
                        # This machine may have taken longer than the server waits for more.
                        check(time.monotonic() - began > LINGER_S, f"{what}: a reset while it sends")
                        continue
                    time.sleep(pause)  # for a reset to arrive, if one is coming
                    data = read_to_end(c, what)
                    check(data.startswith(b"HTTP/1.1 200 ") and data.endswith(BODY) and data.count(b"HTTP/") == 1,
                          f"{what}: {data!r}")
        check_clean(s)


def test_last_answer_of_a_drain():
    """A drain answers what has begun, and what the client has sent behind it takes no answer away."""
    with server() as s:
        crowd = [s.connect() for _ in range(20)]
        for c in crowd:
            ask(c)
            c.sendall(GET[:10])
        time.sleep(0.3)
        s.process.send_signal(signal.SIGTERM)
        eventually(lambda: refused(s), "still listening")
        began = time.monotonic()
        for c in crowd[:10]:
            c.sendall(GET[10:] + GET * 400)
        for c in crowd[10:]:
            try:
                for segment in (GET[10:], GET, GET):
                    c.sendall(segment)
                    time.sleep(0.02)
            except ConnectionError as error:
                check(time.monotonic() - began > LINGER_S, f"drain: {error}")
        for c in crowd:
            data = read_to_end(c, "drain")
            check(data.count(b"HTTP/1.1 200 ") == 1 and data.endswith(BODY), f"{data!r}")
        s.wait()


def test_bad_requests_make_no_threads():
    """They are shut down by a system call; a slot, which has none, by the few threads that a ring may have."""
    with server() as s:
        crowd = [s.connect() for _ in range(200)]
        for c in crowd:
            c.sendall(b"nonsense\r\n\r\n")
        for c in crowd:
            check(read_to_end(c, "nonsense").startswith(b"HTTP/1.1 400 "), "not refused")
        threads = s.now()["io_wq_threads"]
        check(threads <= (2 * int(WORKERS) if ROW.serves == "SLOT" else 0), f"{threads} threads of io-wq")


def test_half_close():
    with server() as s:
        with s.connect() as c:
            c.sendall(GET)
            c.shutdown(socket.SHUT_WR)
            check(read_answer(c)[0] == 200, "no answer after a half-close")
            check(is_closed(c), "open after a half-close")
        check_clean(s)


def test_reset_in_every_state():
    with server() as s:
        for _ in range(20):
            reset(s.connect())  # perhaps still in the backlog
            for before in (b"", GET[:10], GET, GET * 50):
                c = s.connect()
                if before:
                    c.sendall(before)
                time.sleep(0.002)
                reset(c)
            c = s.connect()
            ask(c)
            reset(c)
        with s.connect() as c:
            check(ask(c)[0] == 200, "no service afterwards")
        check_clean(s, accepted=121)


def test_never_reads():
    with server("--request-timeout", "1s") as s:
        c = s.connect()
        c.settimeout(0.5)
        try:
            while True:
                c.sendall(GET * 1000)
        except (TimeoutError, ConnectionError):
            pass  # it is stuck, or was so slow to send that it has been given up already
        with s.connect() as other:
            check(ask(other)[0] == 200, "others are not served")
        eventually(lambda: s.now()["timeouts"] == 1, "it is never given up", 30)
        c.close()
        check_clean(s)


def test_stops_reading():
    """Clients whose answers had to wait, that then read a little and then nothing, are given up."""
    def body():
        with server("--request-timeout", "1s", "--idle-timeout", "1s") as s:
            clients = [s.connect() for _ in range(30)]
            for c in clients:
                c.setblocking(False)
                sent = 0
                try:
                    while True:
                        sent += c.send((GET * 4000)[sent % len(GET):])
                except BlockingIOError:
                    pass
            time.sleep(0.15)
            for _ in range(3):
                for c in clients:
                    try:
                        c.recv(3000)
                    except (BlockingIOError, ConnectionError):
                        pass
                time.sleep(0.02)
            eventually(lambda: s.now()["conns_now"] == 0, lambda: f"{s.now()['conns_now']} are never given up", 10)
            for c in clients:
                c.close()
            check_clean(s)

    # so little room that an answer here and there has to wait
    in_own_network({"ipv4/tcp_wmem": "4096 4096 8192", "ipv4/tcp_rmem": "4096 4096 8192"}, body)


def ip(*arguments):
    """Calls ip(8) for IPv6."""
    done = subprocess.run(["ip", "-6", *arguments], capture_output=True, text=True, check=False, timeout=20)
    check(done.returncode == 0, f"ip -6 {' '.join(arguments)}: {done.stderr}")


def test_blackhole_route():
    """
    An administrator bans a client with a blackhole route. When TCP gives its connection up, a receive or send of it ends
    with the error of the route, EINVAL, like that of a request that was built wrong.
    """
    only_if(shutil.which("ip"), "no ip(8)")
    banned = "fd00::2"

    def body():
        ip("address", "add", f"{banned}/128", "dev", "lo", "nodad", "noprefixroute")
        with server("--address", "::1", "--workers", "1") as s:
            receives, sends = crowd = [socket.create_connection(s.address[:2], 5, (banned, 0)) for _ in range(2)]
            for c in crowd:
                check(ask(c)[0] == 200, "not served")
            ip("route", "delete", "local", banned, "dev", "lo", "table", "local")
            ip("route", "add", "blackhole", banned)
            for c in crowd:
                c.sendall(GET)
            eventually(lambda: s.now()["requests"] == 4, "their requests are not there")
            s.freeze()
            sends.sendall(GET)
            time.sleep(6)  # both are given up; a request that is there already is received all the same
            s.thaw()
            with s.connect() as other:
                check(ask(other)[0] == 200, "others are not served")
            eventually(lambda: s.now()["conns_now"] == 0, "they are never given up")
            totals = s.now()
            check(totals["recv_errors"] == 1 and totals["send_errors"] == 1,
                  f"{totals['recv_errors']} receives and {totals['send_errors']} sends failed")
            close_all(crowd)

    in_own_network({"ipv4/tcp_retries2": "3"}, body)


def test_slow_reader():
    """Sends that find room for a part only: not a byte is lost, doubled or out of order."""
    with server("--protocol", "echo") as s:
        c = socket.socket()
        c.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 14)
        c.settimeout(1)
        c.connect(s.address)
        data = random.Random(4711).randbytes(1 << 16)
        sent = 0
        try:
            while True:  # until every buffer on the way is full, however large it is
                sent += c.send(data[sent % len(data):])
        except TimeoutError:
            pass
        check(sent > 10 * len(data), f"the server stops reading after {sent} bytes")
        c.settimeout(10)
        back = 0
        while back < sent:
            more = c.recv(min(sent - back, len(data) - back % len(data)))
            check(more, f"ended after {back} of {sent} bytes")
            at = back % len(data)
            check(more == data[at:at + len(more)], f"bytes come back changed behind {back}")
            back += len(more)
        c.close()
        check_clean(s)


def test_half_closed_who_do_not_read():
    """Those who have sent all and do not read take no time from those who do: two threads of the kernel send to both."""
    size = 30000

    def half_closed(s):
        c = socket.socket()
        c.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        c.settimeout(10 * SLOWNESS)
        c.connect(s.address)
        c.sendall(bytes(size))
        c.shutdown(socket.SHUT_WR)
        return c

    def body():
        with server("--protocol", "echo", "--workers", "1", "--request-timeout", "1m") as s:
            crowd = [half_closed(s) for _ in range(20)]
            eventually(lambda: s.now()["conns_now"] == len(crowd), "not accepted")
            check_idle(s, "nobody reads")
            with half_closed(s) as c:
                time.sleep(0.5)  # until a thread is to send to it
                check(len(read_to_end(c, "its bytes")) == size, "some are lost")
            close_all(crowd)

    in_own_network({"ipv4/tcp_wmem": "4096 4096 8192"}, body)


def test_byte_a_second():
    with server("--request-timeout", "1s") as s:
        with s.connect() as c:
            began = time.monotonic()
            answer = b""
            c.settimeout(0.3)
            for i in range(len(GET)):
                c.sendall(GET[i:i + 1])
                try:
                    answer = c.recv(100)
                    break
                except TimeoutError:
                    pass
            took = time.monotonic() - began
            check(answer.startswith(b"HTTP/1.1 408 "), f"{answer!r}")
            # Had every byte extended it, it would have been served after more than 8 s.
            check(0.9 <= took < 6, f"after {took:.1f} s")
        check_clean(s)


def test_idle_timeout():
    with server("--idle-timeout", "1s") as s:
        served = s.connect()
        ask(served)
        silent = s.connect()
        check(silent.recv(10) == b"", "an idle connection gets bytes")
        check(served.recv(10) == b"", "an idle connection gets bytes")
        began = time.monotonic()
        try:
            # What was just on its way is no reason for a reset, which would take the last answer away.
            for _ in range(3):
                served.sendall(GET)
                time.sleep(0.05)
            check(served.recv(10) == b"", "an idle connection gets bytes")
        except ConnectionError as error:
            check(time.monotonic() - began > LINGER_S, f"closed at once: {error}")
        silent.close()
        served.close()
        check(s.now()["timeouts"] == 2, "not counted")
        check_clean(s)


def test_urgent_bytes():
    """Receives that the kernel goes on with in a thread: none that fails takes its buffer away, of which there are 256."""
    with server("--workers", "1") as s, s.connect() as good:
        ask(good)
        for _ in range(9):
            crowd = [s.connect() for _ in range(30)]
            urgent_bytes(crowd)
            for c in crowd:
                reset(c)
            eventually(lambda: s.now()["conns_now"] == 1, "connections are left over")
        check(ask(good)[0] == 200, "not served")
        with s.connect() as c:
            check(ask(c)[0] == 200, "a new client is not served")
        check_idle(s, "after urgent bytes", 0.5, share=0.2)
        check(s.now()["no_buffers"] == 0, "buffers are lost")


def test_urgent_bytes_until_timeout():
    """The time limits hold for those, too."""
    with server("--workers", "1", "--idle-timeout", "1s") as s:
        crowd = [s.connect() for _ in range(4)]
        eventually(lambda: s.now()["conns_now"] == 4, "not accepted")
        end = time.monotonic() + 5 * SLOWNESS
        while s.now()["conns_now"]:
            check(time.monotonic() < end, f"{s.now()['conns_now']} of them stay")
            urgent_bytes(crowd)
        check(s.now()["timeouts"] == 4, f"{s.now()['timeouts']} time-outs")
        for c in crowd:
            c.close()

    def little_room():
        with server("--workers", "1", "--request-timeout", "1s") as s:
            crowd = []
            for _ in range(3):
                c = socket.socket()
                c.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
                c.settimeout(2)
                c.connect(s.address)
                crowd.append(c)
                c.sendall(GET * 1000)
                time.sleep(0.2)
                urgent_bytes([c], 1)
                c.settimeout(0.05)
                with contextlib.suppress(TimeoutError):
                    for _ in range(10):
                        c.recv(2000)
            eventually(lambda: s.now()["conns_now"] == 0, "who reads no more keeps its place by an urgent byte", 5)

    in_own_network({"ipv4/tcp_wmem": "4096 4096 8192"}, little_room)


def test_empty_lines():
    """They are skipped before a request (RFC 9112, 2.2), but are none: the time goes on."""
    with server("--idle-timeout", "1s") as s:
        with s.connect() as fresh, s.connect() as served:
            ask(served)
            for c in (fresh, served):
                began = time.monotonic()
                c.settimeout(0.3)
                try:
                    while time.monotonic() - began < 15:
                        c.sendall(b"\r\n")
                        try:
                            check(c.recv(10) == b"", "an empty line gets bytes")
                            break
                        except TimeoutError:
                            pass
                except ConnectionError:
                    pass
                check(time.monotonic() - began < 14, "empty lines keep a connection open")
        check_clean(s)


def test_stands_still():
    """What came while the server did not run is served, though every limit has passed meanwhile."""
    # One worker, so that more has come than it has receive buffers.
    with server("--idle-timeout", "3s", "--request-timeout", "3s", "--workers", "1") as s:
        served, began = [], time.monotonic()
        while len(served) < 300 and time.monotonic() - began < 1:  # well within the limit
            served.append(s.connect())
            ask(served[-1])
        begun, silent = [s.connect() for _ in range(50)], [s.connect() for _ in range(50)]
        head = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n"
        eventually(lambda: s.now()["accepts"] == len(served) + 100, "not accepted")
        for i, c in enumerate(begun):
            c.sendall(head if i % 2 else GET[:10])
        s.freeze()
        late = [s.connect() for _ in range(50)]
        for c in served + silent + late:
            c.sendall(GET)
        for i, c in enumerate(begun):
            c.sendall(b"x" * 100000 if i % 2 else GET[10:])
        time.sleep(4.5)
        s.thaw()
        lost = {}
        for kind, crowd in (("served", served), ("begun", begun), ("silent", silent), ("late", late)):
            for c in crowd:
                try:
                    check(read_answer(c)[0] == 200, "not served")
                except (ConnectionError, Failure):
                    lost[kind] = lost.get(kind, 0) + 1
                c.close()
        check(not lost, f"lost: {lost}")
        eventually_clean(s, 2)


def test_stands_still_before_much():
    """... nor is it too much, however large the buffer of a socket may be."""
    size = 12 << 20

    def body():
        with server("--request-timeout", "2s", "--max-body", "16M") as s, s.connect() as c:
            c.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % size)
            eventually(lambda: s.now()["bytes_in"], "not begun")
            s.freeze()
            c.sendall(bytes(size))
            eventually(lambda: fcntl.ioctl(c, termios.TIOCOUTQ, bytes(4)) == bytes(4), "the client has bytes left")
            time.sleep(3)
            s.thaw()
            check(read_answer(c)[0] == 200, "not served")

    large = f"4096 {4 * size} {4 * size}"
    in_own_network({"ipv4/tcp_rmem": large, "ipv4/tcp_wmem": large}, body)


def test_stands_still_in_a_drain():
    with server("--drain-timeout", "2s") as s:
        crowd = [s.connect() for _ in range(50)]
        for c in crowd:
            c.sendall(GET[:10])
        eventually(lambda: s.now()["conns_now"] == 50, "not accepted")
        s.process.send_signal(signal.SIGTERM)
        eventually(lambda: refused(s), "still listening")
        s.freeze()
        for c in crowd:
            c.sendall(GET[10:])
        time.sleep(2.5)
        s.thaw()
        for c in crowd:
            check(read_answer(c)[0] == 200, "a begun request is lost")
            c.close()
        s.wait()


def test_stands_still_again_and_again():
    """What a drain may take is as long for the main thread, which gives up workers that do not end, as for the workers."""
    only_if(PATH == "epoll", "the main thread is the same on all paths")
    with server("--drain-timeout", "2s", "--request-timeout", "60s") as s, s.connect() as c:
        c.sendall(GET[:10])
        eventually(lambda: s.now()["conns_now"] == 1, "not accepted")
        s.process.send_signal(signal.SIGTERM)
        eventually(lambda: refused(s), "still listening")
        for _ in range(24):
            s.process.send_signal(signal.SIGSTOP)
            time.sleep(1.15)
            s.process.send_signal(signal.SIGCONT)
            time.sleep(0.03)
        c.sendall(GET[10:])
        check(read_answer(c)[0] == 200, "a begun request is lost")
        s.wait()


def test_worker_is_held_in_a_drain():
    """A worker that could not run has its time all the same: the main thread does not give it up before."""
    with server("--workers", "1", "--drain-timeout", "1s") as s, s.connect() as c, s.connect() as silent:
        for one in (c, silent):
            one.sendall(GET[:10])
        eventually(lambda: s.now()["conns_now"] == 2, "not accepted")
        s.process.send_signal(signal.SIGTERM)
        eventually(lambda: refused(s), "still listening")
        with s.held(s.last_thread()):
            time.sleep(3.5)
        c.sendall(GET[10:])
        check(read_answer(c)[0] == 200, "a begun request is lost")
        s.wait()


def uploads_before_another(s, n):
    """N clients send much, all at once, then another one a little: how many of them are served when it has been."""
    size = 200000
    uploads = [s.connect() for _ in range(n)]
    for c in uploads:
        c.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, size)
    before = s.now()["requests"]
    with s.connect() as last:
        eventually(lambda: s.now()["conns_now"] == n + 1, "not accepted")
        s.freeze()
        for c in uploads:
            c.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % size + bytes(size))
        last.sendall(GET)
        s.thaw()
        check(read_answer(last)[0] == 200, "not served")
        served = s.now()["requests"] - before - 1
    for c in uploads:
        check(read_answer(c)[0] == 200, "an upload is lost")
        c.close()
    eventually(lambda: s.now()["conns_now"] == 0, "they are left over")
    return served


def test_many_send_at_once():
    """More connections than there are receive buffers have much to be received: each has its turn."""
    n, buffers = 400, 256
    with server("--workers", "1", "--request-timeout", "60s") as s:
        # Until the totals are there, more are served. But where the first ones have all buffers, it is never less.
        tries = [uploads_before_another(s, n)]
        while tries[-1] >= buffers and len(tries) < 10:
            tries.append(uploads_before_another(s, n))
        check(tries[-1] < buffers, f"{tries} uploads are served before one that sends little")
        # Of those that find no buffer, each is told so a few times, and not until the others have sent all.
        vain = s.now()["no_buffers"]
        check(vain < 4 * n * len(tries), f"{vain} receives found no buffer")


def test_active_connection_stays():
    """Its limits begin anew with each request: together they are far longer than either."""
    with server("--idle-timeout", "2s", "--request-timeout", "2s") as s, s.connect() as c:
        began = time.monotonic()
        while time.monotonic() - began < 4:
            time.sleep(0.3)
            check(ask(c)[0] == 200, "closed although it was active")


def test_max_conns():
    """Full: more wait, and are served when there is room; few are told so; CPU is not spent on it."""
    with server("--max-conns", "8", "--idle-timeout", "60s", "--workers", "1") as s:
        crowd = [s.connect() for _ in range(64)]
        eventually(lambda: s.now()["conns_now"] == 8, "not full")
        check_idle(s, "full")
        totals = s.now()
        check(totals["conns_now"] == totals["conns_peak"] == 8, f"{totals['conns_peak']} open")
        late = [s.connect() for _ in range(8)]
        for c in late:
            c.sendall(GET)
        # A server that was kept from running for longer than it minds its crowd still minds it.
        s.freeze()
        time.sleep(1.5)
        told = sum(was_refused(c) for c in crowd)
        for c in crowd:
            c.close()
        s.thaw()
        for c in late:
            check(read_answer(c)[0] == 200, "one that waited is not served")
            c.close()
        # Of what came before it was full, a burst of a multishot accept may overshoot.
        check(s.now()["refused"] == totals["refused"] == told,
              f"{s.now()['refused']} refused, {told} were told")
        check_clean(s, accepted=72)


def test_full_for_long():
    """Full once, and then a few places are free for as long as the others stay: they are given to who waits."""
    with server("--max-conns", "100", "--idle-timeout", "60s", "--workers", "1") as s:
        crowd = [s.connect() for _ in range(100)]
        for c in crowd:
            check(ask(c)[0] == 200, "not served")
        for c in crowd[:3]:
            c.close()
        with s.connect() as c:
            check(ask(c)[0] == 200, "not served although there are places")
    # One place is left, which is free again as soon as it was taken.
    with server("--max-conns", "8", "--idle-timeout", "60s", "--workers", "1") as s:
        idle = [s.connect() for _ in range(7)]
        for c in idle:
            check(ask(c)[0] == 200, "not served")
        began = time.monotonic()
        late = [s.connect() for _ in range(12)]
        for c in late:
            c.sendall(GET_CLOSE)
        for c in late:
            check(read_answer(c)[0] in (200, 503), "not answered")
            c.close()
        took = time.monotonic() - began
        check(took < 6 * SLOWNESS, f"{took:.1f} s for 12 clients, one after the other")


def was_refused(client):
    """Whether it has been told so, and then closed; it may still wait in the backlog."""
    client.settimeout(0)
    try:
        answer = client.recv(1000)
    except BlockingIOError:
        return False
    client.settimeout(10)
    check(answer.startswith(b"HTTP/1.1 503 ") and client.recv(1) == b"", f"{answer!r}")
    return True


def come_at_once(instance, number, data):
    """So many clients, and the DATA that each has sent, are there before the server looks."""
    instance.freeze()
    crowd = [instance.connect() for _ in range(number)]
    for c in crowd:
        c.sendall(data)
    instance.thaw()
    return crowd


def test_burst():
    """More at once than there is room for: a multishot accept takes them all, and refuses some."""
    with server("--max-conns", "8", "--idle-timeout", "60s", "--workers", "1") as s:
        crowd = come_at_once(s, 1500, GET * 10)
        multishot = ROW.multishot
        eventually(lambda: s.now()["conns_now"] == 8, "not full")
        eventually(lambda: s.now()["refused"] == (len(crowd) - 8 if multishot else 0), "refused or not")
        if multishot:
            for c in crowd[8:]:
                data = read_to_end(c, "refused")
                check(data.startswith(b"HTTP/1.1 503 ") and data.count(b"HTTP/") == 1, f"{data!r}")
        for c in crowd:
            c.close()
        check_clean(s, accepted=len(crowd))  # those that waited, too, now that there is room


def test_burst_after_burst():
    """While those that were refused still linger, what comes next waits: it has no spare place either."""
    only_if(ROW.multishot, "it refuses nobody")
    with server("--max-conns", "2", "--backlog", "16", "--workers", "1") as s:
        refused_ones = []
        for _ in range(2):
            before, crowd = s.now()["accepts"], come_at_once(s, 17, GET)
            time.sleep(0.2)
            # of 2 places and 17 to refuse from
            check(s.now()["accepts"] - before <= 19 - len(refused_ones), f"{s.now()['accepts'] - before} have been accepted")
            for c in crowd:
                status = read_answer(c)[0]
                check(status in (200, 503), f"{status}")
                if status == 200:
                    c.close()
                else:
                    refused_ones.append(c)
            time.sleep(1.3)  # longer than it minds that it was full, shorter than the refused ones linger
        for c in refused_ones:
            c.close()
        check_clean(s, accepted=34)


def test_full_echo():
    """Without a word for it: the connection ends in order."""
    with server("--max-conns", "4", "--protocol", "echo", "--workers", "1") as s:
        crowd = come_at_once(s, 12, b"hello")
        for c in crowd:
            c.shutdown(socket.SHUT_WR)
            data = read_to_end(c, "echo")
            check(data in ((b"hello", b"") if ROW.multishot else (b"hello",)), f"{data!r}")
            c.close()
        check_clean(s, accepted=12)


def test_few_slots():
    """A low limit of open files makes few slots: none is accepted that would find no slot."""
    with server("--max-conns", "50", "--workers", "1", setup=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (128, 128))) as s:
        for _ in range(2):
            crowd = come_at_once(s, 400, GET_CLOSE)
            for c in crowd:
                data = read_to_end(c, "few slots")
                check(data.startswith((b"HTTP/1.1 200 ", b"HTTP/1.1 503 ")), f"{data!r}")
                c.close()


def test_out_of_descriptors():
    """EMFILE (or a full slot table): no spin, no flood of lines, and back by itself."""
    # io_accept_prep() in io_uring/net.c; see faults.py. Who serves in slots takes no new number.
    only_if(not (ROW.multishot and ROW.as_accepted), "a multishot request keeps the limit that it was armed with")
    out_of_descriptors(4)
    if ROW.serves == "POOL":
        out_of_descriptors(40)  # enough to accept one, and below all numbers of the pool


def out_of_descriptors(limit):
    with server("--max-conns", "1000") as s:
        soft, hard = resource.prlimit(s.pid, resource.RLIMIT_NOFILE)
        resource.prlimit(s.pid, resource.RLIMIT_NOFILE, (limit, hard))
        waiting = [s.connect() for _ in range(8)]
        for c in waiting:
            c.sendall(GET_CLOSE)
        check_idle(s, "out of descriptors", 1.5, share=0.2)
        eventually(lambda: sum(s.now()[f"{what}_errors"] for what in ("accept", "install", "dup")) > 0, "no error was seen")
        totals = s.now()
        # One that was accepted into a slot, or onto another number, waits with it.
        check(totals["conns_now"] == 0 or not ROW.as_accepted, f"{totals['conns_now']} accepted without a number: {totals}")
        check(totals["requests"] == 0, f"{totals['requests']} requests served without a number")
        resource.prlimit(s.pid, resource.RLIMIT_NOFILE, (soft, hard))
        for c in waiting:
            check(read_answer(c)[0] == 200, "one that waited is not served")
            c.close()
        with s.connect() as c:
            check(ask(c)[0] == 200, "no service afterwards")
        check_clean(s, accepted=9)
        s.end()
        check(s.log.count("\n") <= 2 * int(WORKERS) + 1, f"a flood of lines:\n{s.log}")


def test_failed_start():
    """Who cannot start takes no connection: a client in the queue would be reset."""
    with socket.socket() as taken, socket.socket() as free:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
        free.close()
        connected = tries = 0
        for _ in range(10):
            p = subprocess.Popen([BINARY, "--accept", PATH, "--workers", WORKERS, "--port", str(port), "--metrics-port",
                                  str(taken.getsockname()[1])], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
            while p.poll() is None:
                tries += 1
                with socket.socket() as c:
                    connected += c.connect_ex(("127.0.0.1", port)) == 0
            err = p.communicate()[1].decode()
            check(p.returncode == 1 and "--metrics-port" in err, f"{p.returncode}: {err}")
        check(tries > 20 and not connected, f"{connected} of {tries} connected to a server that ended")


def serve_and_park(s, crowd):
    """They are served, then leave one after the other: the number of the last one is parked last."""
    for c in crowd:
        check(ask(c)[0] == 200, "not served")
    for c in crowd:
        c.close()
        time.sleep(0.005)
    eventually(lambda: s.now()["conns_now"] == 0, "connections are left over")


def test_limit_below_the_pool():
    """RLIMIT_NOFILE is below all numbers of the pool, then amid them: those below it are found at once."""
    only_if(ROW.serves == "POOL", "no pool")
    with server("--max-conns", "10", "--workers", "1") as s:
        serve_and_park(s, [s.connect() for _ in range(10)][::-1])  # the lowest number last
        pool = sorted(int(fd) for fd in os.listdir(f"/proc/{s.pid}/fd"))[-10:]
        soft, hard = resource.prlimit(s.pid, resource.RLIMIT_NOFILE)
        resource.prlimit(s.pid, resource.RLIMIT_NOFILE, (pool[0], hard))
        with s.connect() as c:
            c.sendall(GET)
            time.sleep(2)
            check(s.now()["requests"] == 10, "served without a number")
            resource.prlimit(s.pid, resource.RLIMIT_NOFILE, (pool[5], hard))
            c.settimeout(3 * SLOWNESS)
            check(read_answer(c)[0] == 200, "not served, with numbers free")
        for _ in range(10):
            with s.connect(3 * SLOWNESS) as c:
                check(ask(c)[0] == 200, "not served, with numbers free")
        resource.prlimit(s.pid, resource.RLIMIT_NOFILE, (soft, hard))


def test_limit_amid_the_pool():
    """RLIMIT_NOFILE is lowered so that some numbers of the pool are beyond it: the others do."""
    only_if(ROW.serves == "POOL", "no pool")
    with server("--max-conns", "100", "--workers", "1") as s:
        serve_and_park(s, [s.connect() for _ in range(60)])  # the highest number last
        soft, hard = resource.prlimit(s.pid, resource.RLIMIT_NOFILE)
        resource.prlimit(s.pid, resource.RLIMIT_NOFILE, (80, hard))
        for _ in range(5):
            with s.connect() as c:
                check(ask(c, GET_CLOSE)[0] == 200, "not served")
        resource.prlimit(s.pid, resource.RLIMIT_NOFILE, (soft, hard))
        check_clean(s, accepted=65)


def test_drain_out_of_descriptors():
    """Who was accepted and has no number yet is served without one."""
    only_if(not ROW.as_accepted, "what it accepted needs no further number")
    with server("--workers", "1") as s, s.connect() as begun:
        begun.sendall(GET[:10])
        eventually(lambda: s.now()["conns_now"] == 1, "not accepted")
        soft, hard = resource.prlimit(s.pid, resource.RLIMIT_NOFILE)
        resource.prlimit(s.pid, resource.RLIMIT_NOFILE, (40 if ROW.accepts == "CALL" else 4, hard))
        crowd = [s.connect() for _ in range(8)]
        for c in crowd:
            c.sendall(GET)
        time.sleep(0.3)
        check(s.now()["requests"] == 0, "served without a number")
        s.process.send_signal(signal.SIGTERM)
        for c in crowd:
            check(read_answer(c)[0] == 200 and is_closed(c), "not served")
            c.close()
        resource.prlimit(s.pid, resource.RLIMIT_NOFILE, (soft, hard))  # a sanitizer needs files at the end
        begun.sendall(GET[10:])
        check(read_answer(begun)[0] == 200, "a begun request is lost")
        s.wait()
        check(s.totals["accepts"] == s.totals["closed"] == 9, f"{s.totals['accepts']} accepted, {s.totals['closed']} closed")


def crowd_with_begun_requests(instance, n):
    """N clients, each with a request of which the last two bytes are to come."""
    crowd = [instance.connect() for _ in range(n)]
    for c in crowd:
        c.sendall(GET_CLOSE[:-2])
    return crowd


def finish(crowd):
    """They are answered and closed, whatever becomes of others."""
    for c in crowd:
        c.sendall(GET_CLOSE[-2:])
    for c in crowd:
        data = read_to_end(c, "a queued one")
        check(data.startswith(b"HTTP/1.1 200 "), f"{data!r}")
        c.close()


def test_drain_closes_all_but_one():
    """A worker that ends while another still runs has closed what it had, those on spare places, too."""
    with server("--max-conns", "2", "--drain-timeout", "1m", "--request-timeout", "1m") as s:
        first = []
        while s.now()["conns_now"] < 2:
            first += crowd_with_begun_requests(s, 1)
            time.sleep(0.05)
        time.sleep(1.2)  # until nothing is refused any more that a burst brought
        refused_before = s.now()["refused"]
        queue = crowd_with_begun_requests(s, 20)
        time.sleep(0.3)
        s.process.send_signal(signal.SIGTERM)
        eventually(lambda: refused(s), "it does not drain")
        for c in first:
            c.close()
        finish(queue[1:])
        finish(queue[:1])
        s.wait()
        check(s.totals["refused"] == refused_before, f"{s.totals['refused']} refused, {refused_before} before the drain")


def test_drain_with_few_slots():
    """More wait than there are slots: they are taken as slots become free, and none is closed for want of one."""
    def few_files():
        resource.setrlimit(resource.RLIMIT_NOFILE, (110, 110))

    with server("--workers", "1", "--drain-timeout", "1m", "--request-timeout", "1m", setup=few_files) as s:
        places = int(s.first.split(" max-conns=")[1].split()[0])
        crowd = crowd_with_begun_requests(s, places)
        eventually(lambda: s.now()["conns_now"] == places, "not full")
        time.sleep(1.2)
        queue = crowd_with_begun_requests(s, 150)
        time.sleep(0.3)
        s.process.send_signal(signal.SIGTERM)
        time.sleep(0.5)
        for c in queue:
            finish([c])
        finish(crowd)
        s.wait()


def test_drain_with_min_wait():
    """It takes one connection in a pass, and no pass waits for a batch."""
    only_if(ROW.ring, "no io_uring")
    with server("--max-conns", "2", "--workers", "1", "--min-wait", "60ms", "--drain-timeout", "4s") as s:
        crowd = crowd_with_begun_requests(s, 2)
        eventually(lambda: s.now()["conns_now"] == 2, "not full")
        time.sleep(1.2)
        queue = [s.connect() for _ in range(150)]
        for c in queue:
            c.sendall(GET_CLOSE)
        s.process.send_signal(signal.SIGTERM)
        for c in queue:
            check(read_to_end(c, "a queued one").startswith(b"HTTP/1.1 200 "), "not served")
            c.close()
        finish(crowd)
        s.wait()


# Sends on eight connections, and drops what comes back.
FLOOD = """
import socket, sys
clients = [socket.create_connection((sys.argv[1], int(sys.argv[2]))) for _ in range(8)]
data, back = bytes(1 << 20), bytearray(1 << 22)
while True:
    for c in clients:
        for do in (lambda: c.send(data, socket.MSG_DONTWAIT), lambda: c.recv_into(back, 1 << 22, socket.MSG_DONTWAIT | socket.MSG_TRUNC)):
            try:
                do()
            except BlockingIOError:
                pass
"""


def test_drain_of_busy_echoes():
    """Clients that send without end: the drain ends at its time, and others are served in it."""
    with server("--protocol", "echo", "--drain-timeout", "2s", "--workers", "1") as s:
        fresh = s.connect()
        floods = [subprocess.Popen([sys.executable, "-c", FLOOD, s.address[0], str(s.address[1])],
                                   stderr=subprocess.DEVNULL) for _ in range(2)]
        eventually(lambda: s.now()["bytes_in"] > 20 << 20, "no flood")
        s.process.send_signal(signal.SIGTERM)
        fresh.sendall(b"first")
        check(fresh.recv(10) == b"first", "not served")
        s.wait(seconds=8)
        for one in floods:
            one.kill()
            one.wait()


def refused(instance):
    try:
        instance.connect().close()
        return False
    except (ConnectionRefusedError, ConnectionResetError):
        return True


def test_drain():
    """SIGTERM: what was begun or accepted is finished, what is idle is closed, what is new refused."""
    for options in ((), ("--listener", "shared"), ("--fd-table", "private"),
                    ("--listener", "shared", "--fd-table", "private")):
        if not (ONE_TABLE and "private" in options):
            drain_with(*options)


def drain_with(*options):
    with server(*options) as s:
        idle, begun, fresh = s.connect(), s.connect(), s.connect()
        ask(idle)
        begun.sendall(GET[:10])
        eventually(lambda: s.now()["conns_now"] == 3, "not accepted")
        s.process.send_signal(signal.SIGTERM)
        check(idle.recv(10) == b"", "an idle connection is kept")
        check(ask(fresh)[0] == 200, "an accepted connection is lost")
        # It still runs, so it is the drain that has ended the listeners, in every table.
        eventually(lambda: refused(s), f"still listening: {options}")
        for _ in range(20):  # each port has its own worker
            check(refused(s), f"a worker still listens: {options}")
        check(s.process.poll() is None, "ended with a request begun")
        begun.sendall(GET[10:])
        status, headers, _ = read_answer(begun)
        check(status == 200 and headers["connection"] == "close", "a begun request is lost")
        s.wait()
        check(s.totals["requests"] == 3, f"{s.totals['requests']} requests")


def test_drain_of_a_full_server():
    """What waits in the backlog is served when there is room, not refused."""
    with server("--max-conns", WORKERS, "--listener", "shared") as s:
        open_ones = []
        while s.now()["conns_now"] < int(WORKERS):
            c = s.connect()
            c.sendall(GET[:10])
            open_ones.append(c)
            time.sleep(0.05)
        eventually(lambda: s.now()["accept_pauses"] >= int(WORKERS), "the workers do not notice that they are full")
        time.sleep(0.3)
        waiting = [s.connect() for _ in range(3)]
        for c in waiting:
            c.sendall(GET)
        refused_before = s.now()["refused"]
        s.process.send_signal(signal.SIGTERM)
        time.sleep(0.3)
        for c in open_ones:
            try:
                c.sendall(GET[10:])
            except ConnectionError:
                pass  # it came just when the server was full, and was refused
        for c in waiting:
            check(read_answer(c)[0] == 200, "one that waited in the backlog is not served")
        s.wait()
        check(s.totals["refused"] == refused_before, "the drain refuses what was queued")


def test_drain_of_a_long_queue():
    """It is taken by --accept-batch at a time: those that are served already have their turn in between."""
    with server("--workers", "1", "--accept-batch", "1") as s:
        begun = s.connect()
        begun.sendall(GET[:10])
        eventually(lambda: s.now()["conns_now"] == 1, "not accepted")
        soft, hard = resource.prlimit(s.pid, resource.RLIMIT_NOFILE)
        # A multishot request keeps the limit that was in force when it was armed, and needs no such pause.
        resource.prlimit(s.pid, resource.RLIMIT_NOFILE, (4, hard))
        queue = [s.connect() for _ in range(500)]
        for c in queue:
            c.sendall(GET)
        time.sleep(0.3)
        before = s.now()
        s.process.send_signal(signal.SIGTERM)
        time.sleep(0.3)
        resource.prlimit(s.pid, resource.RLIMIT_NOFILE, (soft, hard))
        begun.sendall(GET[10:])
        for c in [begun, *queue]:
            check(read_answer(c)[0] == 200, "not served")
        totals = s.wait()
        if not ROW.multishot:
            check(before["accepts"] == 1, f"{before['accepts']} were accepted without a number")
            passes = totals["passes"] - before["passes"]
            check(passes >= 500, f"500 connections were accepted in {passes} passes")


def test_drain_of_a_server_that_stays_full():
    """Those with a place may take the whole of --drain-timeout; the queue does not wait for them."""
    with server("--max-conns", "2", "--workers", "1", "--drain-timeout", "2s") as s:
        begun = [s.connect() for _ in range(2)]
        for c in begun:
            c.sendall(GET[:10])
        eventually(lambda: s.now()["conns_now"] == 2, "not accepted")
        time.sleep(1.2)  # until nothing is refused any more that a burst brought
        queue = [s.connect() for _ in range(5)]
        for c in queue:
            c.sendall(GET)
        s.process.send_signal(signal.SIGTERM)
        for c in queue:
            check(read_answer(c)[0] == 200 and is_closed(c), "not served")
            c.close()
        eventually(lambda: refused(s), "it still listens")
        s.wait()
        check(s.totals["refused"] == 0 and s.totals["requests"] == 5, f"{s.totals['refused']} refused")


def test_drain_timeout():
    with server("--drain-timeout", "500ms") as s:
        c = s.connect()
        c.sendall(GET[:10])
        eventually(lambda: s.now()["conns_now"] == 1, "not accepted")
        began = time.monotonic()
        s.end()
        took = time.monotonic() - began
        # The request's own limit would have ended it after 10 s.
        check(0.4 <= took < 8.0, f"ended after {took:.1f} s")


def test_timer_slack():
    """The kernel may be allowed to end each wait seconds later: a drain ends in time, and so do connections."""
    setup = lambda: ctypes.CDLL(None).prctl(PR_SET_TIMERSLACK, ctypes.c_ulong(3 * 10**9), 0, 0, 0)
    for later in (False, True):
        with server("--drain-timeout", "1s", "--request-timeout", "1m", setup=setup) as s, s.connect() as c:
            c.sendall(GET[:10])
            eventually(lambda s=s: s.now()["conns_now"] == 1, "not accepted")
            for thread in os.listdir(f"/proc/{s.pid}/task") if later else ():
                with contextlib.suppress(OSError):  # that is root's, but for the calling thread's own
                    Path(f"/proc/{thread}/timerslack_ns").write_text("3000000000", encoding="ascii")
            began = time.monotonic()
            s.end()
            took = time.monotonic() - began
            check(took < 12, f"ended after {took:.1f} s")


def test_second_signal():
    """It ends a drain at once, also where no file may be opened, or waited for, any more."""
    for lowered in (False, True):
        with server("--drain-timeout", "60s") as s:
            c = s.connect()
            c.sendall(GET[:10])
            eventually(lambda s=s: s.now()["conns_now"] == 1, "not accepted")
            s.process.send_signal(signal.SIGTERM)
            eventually(lambda s=s: refused(s), "the first has no effect")
            check(s.process.poll() is None, "ended with a request begun")
            if lowered:
                resource.prlimit(s.pid, resource.RLIMIT_NOFILE, (0, 0))
            time.sleep(1)
            s.process.send_signal(signal.SIGTERM)
            # Far less than --drain-timeout.
            s.wait(code=1, seconds=10)
            c.close()


def test_signal_of_the_group():
    """Two that come one behind the other, as timeout(1) and a terminal with it send them, are one."""
    with server() as s, s.connect() as c:
        c.sendall(GET[:10])
        eventually(lambda: s.now()["conns_now"] == 1, "not accepted")
        s.freeze()
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT):
            s.process.send_signal(number)
        s.thaw()
        eventually(lambda: refused(s), "it does not drain")
        c.sendall(GET[10:])
        check(read_answer(c)[0] == 200, "a begun request is lost")
        c.close()
        s.wait()


def test_park_timeout():
    only_if(ROW.serves == "POOL", "no pool")
    with server("--park-timeout", "1s") as s:
        for _ in range(50):
            with s.connect() as c:
                ask(c, GET_CLOSE)
        eventually(lambda: s.now()["parked_peak"] > 0, "nothing was parked")
        check_clean(s)
        check(s.now()["swept"] > 0, "nothing was swept")
        check(s.totals is None or s.totals["dup_errors"] == 0, "DUPs failed")


def test_park_bound():
    only_if(ROW.serves == "POOL", "no pool")
    with server("--park", "4", "--park-timeout", "30s") as s:
        crowd = [s.connect() for _ in range(40)]
        for c in crowd:
            c.sendall(GET_CLOSE)
        for c in crowd:
            check(read_answer(c)[0] == 200 and is_closed(c), "not served")
            c.close()
        totals = s.now()
        check(totals["parked_now"] <= 4 and totals["parked_peak"] <= 4, f"{totals['parked_now']} parked")
        eventually(lambda: s.sockets() <= int(WORKERS) + 1 + 4, lambda: f"{s.sockets()} sockets")


def test_park_below_the_limit():
    """Somebody lowers RLIMIT_NOFILE below the numbers of the pool: parked sockets stay until it is raised."""
    only_if(ROW.serves == "POOL", "no pool")
    with server() as s:
        for _ in range(20):
            with s.connect() as c:
                check(ask(c, GET_CLOSE)[0] == 200, "not served")
        soft, hard = resource.prlimit(s.pid, resource.RLIMIT_NOFILE)
        resource.prlimit(s.pid, resource.RLIMIT_NOFILE, (4, hard))
        time.sleep(2)  # longer than --park-timeout
        resource.prlimit(s.pid, resource.RLIMIT_NOFILE, (soft, hard))
        with s.connect() as c:
            check(ask(c, GET_CLOSE)[0] == 200, "not served afterwards")
        check_clean(s)


def test_park_none():
    only_if(ROW.serves == "POOL", "no pool")
    with server("--park", "0") as s:
        for _ in range(50):
            with s.connect() as c:
                check(ask(c, GET_CLOSE)[0] == 200, "not served")
        check_clean(s)
        totals = s.now()
        check(totals["swept"] == 50, f"{totals['swept']} swept")


def test_private_tables():
    only_if(not ONE_TABLE, "all threads are to have one table here")
    with server("--fd-table", "private") as s:
        for thread in s.threads():
            # Its own listener, and the eventfd it is woken by: nothing that the others had open.
            own = [file for file in s.files(thread) if file.startswith(("socket:", "anon_inode:[eventfd]"))]
            check(len(own) == 2, f"the table of a worker has {own}")
        for _ in range(100):
            with s.connect() as c:
                check(ask(c, GET_CLOSE)[0] == 200 and is_closed(c), "not served")
        eventually(lambda: s.now()["conns_now"] == 0, "connections are left over")


def test_shared_listener():
    for table in ("shared",) if ONE_TABLE else ("shared", "private"):
        with server("--listener", "shared", "--fd-table", table) as s:
            crowd = [s.connect() for _ in range(100)]
            for c in crowd:
                check(ask(c)[0] == 200, "not served")
                c.close()
            eventually(lambda: s.now()["conns_now"] == 0, "connections are left over")


def test_shared_listener_when_one_is_full():
    """A worker that has just become full passes on that somebody waits; nobody is refused while another has room."""
    for _ in range(24):  # each shows the fault now and then
        with server("--listener", "shared", "--max-conns", "14") as s:
            crowd = [s.connect() for _ in range(6)]
            time.sleep(0.02)
            last = [socket.socket() for _ in range(2)]
            for c in last:
                c.setblocking(False)
                c.connect_ex(s.address)
            for c in last:
                c.settimeout(10 * SLOWNESS)
                check(ask(c)[0] == 200, "refused although another worker has room")
            for c in crowd + last:
                c.close()


def test_queue_that_has_moved():
    """
    With tcp_migrate_req the queues of another server's listeners move to the one of this server, however long it becomes:
    who is accepted beyond all places waits, and is served then; in a drain, too.
    """
    def body():
        for drain in (False, True):
            with moved_crowd(BINARY, PATH) as (crowd, new):
                if drain:
                    new.process.send_signal(signal.SIGTERM)
                counts = answers_of(crowd)
                check(set(counts) <= {200, 503} and counts[503] <= 17, f"answers and errors: {dict(counts)}")
                if drain:
                    new.wait()
                else:
                    check_clean(new, accepted=60)

    in_own_network({"ipv4/tcp_migrate_req": "1"}, body)


def test_long_queue_that_has_moved():
    """... and who is accepted into a slot finds one."""
    only_if(ROW.multishot, "it accepts nobody for whom there is no place")

    def body():
        with moved_crowd(BINARY, PATH, number=1500) as (crowd, new):
            counts = answers_of(crowd)
            check(set(counts) <= {200, 503} and counts[503] <= 17, f"answers and errors: {dict(counts)}")
            check_clean(new, accepted=1500)

    in_own_network({"ipv4/tcp_migrate_req": "1"}, body)


def test_queue_that_has_moved_to_few_slots():
    """... and, where a low limit of open files makes few of them, no more are accepted than find one."""
    only_if(ROW.multishot, "it accepts nobody for whom there is no place")

    def body():
        with Server(BINARY, "--accept", PATH, "--workers", "1", "--max-conns", "260", "--backlog", "60", "--idle-timeout", "60s",
                    setup=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (310, 310))) as new:
            held = [new.connect() for _ in range(238)]
            for c in held:
                check(ask(c)[0] == 200, "not served")
            old = Server(BINARY, "--accept", PATH, "--workers", "4", "--port", str(new.address[1]))
            new.freeze()
            old.freeze()
            crowd = [new.connect() for _ in range(119)]
            for c in crowd:
                c.sendall(GET)
            old.process.kill()
            old.process.wait()
            time.sleep(1)  # see moved_crowd()
            new.thaw()
            counts = answers_of(crowd)
            check(set(counts) <= {200, 503}, f"answers and errors: {dict(counts)}")
            close_all(held)

    in_own_network({"ipv4/tcp_migrate_req": "1"}, body)


def test_children():
    """Children that are not its own, as a container's first process has them, are reaped."""
    into, out = os.pipe()

    def leave_a_child():
        child = os.fork()
        if not child:
            time.sleep(0.5)
            os._exit(0)
        os.write(out, b"%d" % child)

    with server(setup=leave_a_child):
        child = os.read(into, 20).decode()
        eventually(lambda: not os.path.exists(f"/proc/{child}"), "it is a zombie")
    os.close(into)
    os.close(out)


def test_high_descriptor():
    """A parent has left it one with the last number: it is one number less, but for a path with a range of its own."""
    only_if(ROW.serves != "POOL", "its range is behind all others")
    leave_it = ("bash", "-c", "ulimit -n 1024; exec 1020</dev/null; exec \"$@\"", "sh")
    with Server(BINARY, "--accept", PATH, "--workers", "2", "--max-conns", "900", before=leave_it) as s:
        check(" max-conns=900 " in s.first, s.first)


def test_ipv6():
    with server("--address", "::1") as s, s.connect() as c:
        check(ask(c)[0] == 200, "not served over IPv6")


def test_echo():
    with server("--protocol", "echo") as s:
        with s.connect() as c:
            for size in (1, 100, 5000, 200000):
                data = bytes(i * 7 % 251 for i in range(size))
                c.sendall(data)
                back = b""
                while len(back) < size:
                    more = c.recv(size - len(back))
                    check(more, "ended")
                    back += more
                check(back == data, f"{size} bytes come back changed")
        check_clean(s)


def metrics_port():
    return random.randrange(10000, 30000)  # none that the kernel hands out to others by itself


def scrape(port):
    return subprocess.run(["curl", "-sSf", f"http://127.0.0.1:{port}/metrics"], check=True,
                          capture_output=True, timeout=30).stdout.decode()


def test_metrics():
    port = metrics_port()
    with server("--metrics-port", str(port)) as s:
        with s.connect() as c:
            ask(c)
        for _ in range(2):
            text = scrape(port)
            check('accept_server_requests_total{worker="1"}' in text, text)
            served = sum(int(line.split()[1]) for line in text.splitlines()
                         if line.startswith("accept_server_requests_total{"))
            check(served == 1, f"{served} requests")
            check("# TYPE accept_server_conns_now gauge" in text, "a gauge is no gauge")
            check("\nprocess_start_time_seconds 1" in text, "not when it was started")
        try:
            socket.create_connection(("127.0.0.2", port), timeout=5).close()
            check(False, "another address than 127.0.0.1 is served")
        except ConnectionRefusedError:
            pass


def test_hostile_scrapes():
    """The parser, the limits and the careful end of a connection are those of the rest."""
    port = metrics_port()
    scrapes = {
        "nonsense": (400, [b"nonsense\r\n\r\n" + b"x" * 10000]),
        "PUT": (405, [b"PUT / HTTP/1.1\r\nHost: x\r\n\r\n" + b"x" * 100000]),
        "a long header": (431, [b"GET / HTTP/1.1\r\nHost: x\r\nA: " + b"x" * 20000]),
        "a header of 3 KB": (200, [b"GET / HTTP/1.1\r\nHost: x\r\nA: " + b"x" * 3000 + b"\r\n\r\n"]),
        "two segments": (200, [GET[:12], GET[12:]]),
        "a byte at a time": (200, [GET[i:i + 1] for i in range(len(GET))]),
        "more behind it": (200, [GET + b"x" * 20000]),
        "half a request": (408, [GET[:20]]),
        "a body with permission": (200, [b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n", b"ab"]),
    }
    with server("--metrics-port", str(port), "--request-timeout", "1s") as s:
        # Half of the places are taken by clients that say nothing.
        silent = [socket.create_connection(("127.0.0.1", port)) for _ in range(8)]
        for what, (want, segments) in scrapes.items():
            with socket.create_connection(("127.0.0.1", port), timeout=10) as c:
                for segment in segments:
                    c.sendall(segment)
                    time.sleep(0.01)
                data = read_to_end(c, what)
                check(data.startswith(b"HTTP/1.1 %d " % want), f"{what}: {data[:100]!r}")
                check(want != 200 or b"accept_server_accepts_total" in data, f"{what}: {data!r}")
        with socket.create_connection(("127.0.0.1", port), timeout=10) as c:
            c.sendall(GET.replace(b"GET", b"HEAD"))
            check(read_to_end(c, "HEAD").endswith(b"\r\n\r\n"), "HEAD is answered with a body")
        for c in silent:
            c.settimeout(10)
            check(read_to_end(c, "silent") == b"", "who says nothing gets something")
        # More than can be answered at once, all of them silent: the main thread does not mind.
        silent += [socket.create_connection(("127.0.0.1", port)) for _ in range(30)]
        began = time.monotonic()
        s.end()
        check(time.monotonic() - began < 5, "silent clients hold up the end")


def test_scrapes_while_it_stands_still():
    """What came while the server did not run is served, though its time, or that of the server's end, has passed meanwhile."""
    only_if(PATH == "epoll", "the metrics' thread is the same on all paths")
    port = metrics_port()
    with server("--metrics-port", str(port), "--request-timeout", "1s") as s:
        with socket.create_connection(("127.0.0.1", port), timeout=10) as c:
            c.sendall(GET[:10])
            time.sleep(0.3)
            s.freeze()
            c.sendall(GET[10:-2] + b"A: " + b"x" * 12000 + b"\r\n\r\n")
            time.sleep(2)
            s.thaw()
            check(read_to_end(c, "a long scrape").startswith(b"HTTP/1.1 200 "), "not served")
    with server("--metrics-port", str(port)) as s, socket.create_connection(("127.0.0.1", port), timeout=10) as c:
        c.sendall(GET[:20])
        time.sleep(0.3)
        s.process.send_signal(signal.SIGTERM)
        time.sleep(0.3)
        s.freeze()
        c.sendall(GET[20:])
        time.sleep(1.5)
        s.thaw()
        check(read_to_end(c, "a scrape at the end").startswith(b"HTTP/1.1 200 "), "not served")
        s.wait()

    def amid_an_answer():
        with server("--workers", "20", "--metrics-port", str(port), "--request-timeout", "1s") as s, socket.socket() as c:
            c.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            c.connect(("127.0.0.1", port))
            c.sendall(GET)
            time.sleep(0.3)
            s.freeze()
            c.settimeout(2)
            data = b""
            with contextlib.suppress(TimeoutError):
                while True:
                    data += c.recv(65536)
            s.thaw()
            c.settimeout(10)
            data += read_to_end(c, "the rest of an answer")
            head, _, body = data.partition(b"\r\n\r\n")
            check(f"Content-Length: {len(body)}\r\n".encode() in head, f"{len(body)} bytes, of {head}")

    in_own_network({"ipv4/tcp_wmem": "4096 4096 8192"}, amid_an_answer)


def test_queued_scrapes():
    """Those in the queue when a drain begins are answered; and one whose turn comes when no file may be opened."""
    port = metrics_port()
    with server("--metrics-port", str(port)) as s:
        with socket.create_connection(("127.0.0.1", port), timeout=10) as c:
            c.sendall(GET[:10])
            time.sleep(0.2)
            soft, hard = resource.prlimit(s.pid, resource.RLIMIT_NOFILE)
            resource.prlimit(s.pid, resource.RLIMIT_NOFILE, (1, hard))
            time.sleep(0.2)
            c.sendall(GET[10:])
            check(b"accept_server_accepts_total" in read_to_end(c, "without files"), "not answered")
            resource.prlimit(s.pid, resource.RLIMIT_NOFILE, (soft, hard))
        silent = [socket.create_connection(("127.0.0.1", port)) for _ in range(16)]  # as many as have a place
        time.sleep(0.2)
        s.freeze()
        queue = [socket.create_connection(("127.0.0.1", port), timeout=10) for _ in range(16)]
        for c in queue:
            c.sendall(GET[:10])
        s.process.send_signal(signal.SIGTERM)
        s.thaw()
        time.sleep(0.2)  # the workers have ended by then
        for c in queue:
            c.sendall(GET[10:])
        for c in queue:
            check(b"accept_server_accepts_total" in read_to_end(c, "queued"), "not answered")
            c.close()
        s.wait()
        for c in silent:
            c.close()
    with server("--metrics-port", str(port)) as s, s.connect() as begun:
        begun.sendall(GET[:10])
        eventually(lambda: s.now()["conns_now"] == 1, "not accepted")
        soft, hard = resource.prlimit(s.pid, resource.RLIMIT_NOFILE)
        resource.prlimit(s.pid, resource.RLIMIT_NOFILE, (4, hard))
        queue = [socket.create_connection(("127.0.0.1", port), timeout=10) for _ in range(5)]
        for c in queue:
            c.sendall(GET)
        s.process.send_signal(signal.SIGTERM)
        time.sleep(0.3)
        resource.prlimit(s.pid, resource.RLIMIT_NOFILE, (soft, hard))
        for c in queue:
            check(b"accept_server_accepts_total" in read_to_end(c, "queued without files"), "not answered")
            c.close()
        begun.sendall(GET[10:])
        check(read_answer(begun)[0] == 200, "not served")
        s.wait()
    for _ in range(4):  # where it is quick to end otherwise
        with server("--workers", "1", "--metrics-port", str(port)) as s:
            s.freeze()
            queue = [socket.create_connection(("127.0.0.1", port), timeout=10) for _ in range(16)]
            for c in queue:
                c.sendall(GET)
            numbers = {int(fd) for fd in os.listdir(f"/proc/{s.pid}/fd")}
            _, hard = resource.prlimit(s.pid, resource.RLIMIT_NOFILE)
            one_more = next(limit for limit in range(1, hard) if limit - 1 not in numbers)
            resource.prlimit(s.pid, resource.RLIMIT_NOFILE, (one_more, hard))
            s.process.send_signal(signal.SIGTERM)
            s.thaw()
            for c in queue:
                check(b"accept_server_accepts_total" in read_to_end(c, "queued with one file"), "not answered")
                c.close()
            s.wait()
        s.wait()


def test_scrapes_take_no_number_of_a_connection():
    """A drain that takes all scrapes, however silent, still takes who waits for a full server at its limit of files."""
    port = metrics_port()
    for _ in range(5):  # which thread comes first
        with server("--metrics-port", str(port), "--workers", "1", "--drain-timeout", "6s", "--idle-timeout", "1m",
                    setup=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (150, 150))) as s:
            places = int(re.search(r" max-conns=(\d+)", s.first)[1])
            crowd = [s.connect() for _ in range(places)]
            eventually(lambda s=s, places=places: s.now()["conns_now"] == places, "not accepted")
            scrapes = [socket.create_connection(("127.0.0.1", port)) for _ in range(16)]
            time.sleep(0.2)  # each has a place
            scrapes += [socket.create_connection(("127.0.0.1", port)) for _ in range(17)]
            waiting = [s.connect() for _ in range(10)]
            for c in waiting:
                c.sendall(GET)
            s.process.send_signal(signal.SIGTERM)
            for c in waiting:
                check(read_answer(c)[0] == 200, "not served")
            close_all(waiting + scrapes + crowd)
            s.wait()


def test_restart_with_metrics():
    """The second server starts while the first still runs, and has the port to itself once that drains."""
    def by_second():
        """Is it the second server that answers? It has accepted nothing."""
        try:
            return all(int(line.split()[1]) == 0 for line in scrape(port).splitlines()
                       if line.startswith("accept_server_accepts_total{"))
        except ConnectionError:  # it waited in the queue of the first one, which has closed that
            return False

    port = metrics_port()
    with server("--metrics-port", str(port)) as first:
        with first.connect() as c:
            ask(c)
            with server("--metrics-port", str(port)) as second:
                c.sendall(GET[:10])
                time.sleep(0.2)
                first.process.send_signal(signal.SIGTERM)
                eventually(lambda: refused(first), "it does not drain")
                eventually(by_second, "the first one is still asked")  # its own thread listens for that
                for _ in range(20):
                    check(by_second(), "the first one is asked again")
                c.sendall(GET[10:])
                check(read_answer(c)[0] == 200, "not served")
                first.wait()
                second.end()


def test_drain_without_memory():
    """All that a drain needs is there from the start: no thread can be made any more."""
    only_if(not SANITIZED, "a sanitizer needs memory for itself")
    with server() as s:
        with s.connect() as c:
            ask(c)
            _, hard = resource.prlimit(s.pid, resource.RLIMIT_AS)
            resource.prlimit(s.pid, resource.RLIMIT_AS, (4096, hard))
            c.sendall(GET[:10])
            time.sleep(0.1)
            s.process.send_signal(signal.SIGTERM)
            eventually(lambda: refused(s), "it does not drain")
            c.sendall(GET[10:])
            check(read_answer(c)[0] == 200, "a begun request is lost")
        s.wait()


def started_with(setup, command="exec \"$@\""):
    """The server as a shell script starts it that has done SETUP before."""
    return subprocess.Popen(["bash", "-c", f"{setup}; {command}", "sh", BINARY, "--port", "0", "--accept", PATH,
                             "--workers", "1"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE, preexec_fn=lambda: signal.signal(signal.SIGCHLD, signal.SIG_IGN))


def has_begun(process):
    """Whether main() has seen to the signals: what is to be ignored is so last. Those that are waited for look unblocked."""
    with open(f"/proc/{process.pid}/status", encoding="ascii") as file:
        return int(re.search(r"^SigIgn:\s+(\w+)", file.read(), re.MULTILINE)[1], 16) & 1 << (signal.SIGPIPE - 1)


def test_early_signals():
    """Those that come before the server is ready wait until it is: SIGUSR1 ends nothing, SIGTERM drains."""
    for delay in (0, 0.001, 0.002, 0.004, 0.008, 0.02):
        p = started_with(":")
        # Until the exec it is the shell, which these would end.
        eventually(lambda p=p: os.path.basename(os.readlink(f"/proc/{p.pid}/exe")).startswith("accept-server"),
                   "not executed")
        time.sleep(delay)
        if not has_begun(p):
            p.kill()
            p.communicate()
            continue
        p.send_signal(signal.SIGUSR1)
        p.send_signal(signal.SIGTERM)
        out, err = p.communicate(timeout=30)
        check(p.returncode == 0 and b"\ntotals " in out, f"{delay}: {p.returncode}: {out!r} {err!r}")


def test_inherited_signals():
    """What the parent has ignored or blocked, a log at its limit and a reader that is gone: it drains all the same."""
    for setup, command in (("trap '' TERM INT USR1", 'exec "$@"'), (":", 'exec "$@" >&-'),
                           ("exec 2>/dev/full", 'exec "$@"')):
        p = started_with(setup, command)
        if ">&-" in command:
            time.sleep(1)
        else:
            p.stdout.readline()
        p.send_signal(signal.SIGTERM)
        p.communicate(timeout=30)
        check(p.returncode == (1 if ">&-" in command else 0), f"{setup}; {command}: {p.returncode}")
    # Signals are the first thing that is seen to: so nothing that is written can end it.
    read_end, write_end = os.pipe()
    os.close(read_end)
    done = subprocess.run([BINARY, "--help"], stdout=write_end, check=False, timeout=30)
    os.close(write_end)
    check(done.returncode >= 0, f"ended by signal {-done.returncode}")


def test_small_stack():
    """RLIMIT_STACK is low: it starts and serves all the same."""
    only_if(not SANITIZED, "a sanitizer needs more")
    for kib in (32, 64, 128, 256):
        p = started_with(f"ulimit -s {kib}")
        first = p.stdout.readline()
        check(b" listen=" in first, f"{kib} KiB: {first!r} {p.poll()}")
        port = int(first.split(b" listen=")[1].split()[0].rpartition(b":")[2])
        with socket.create_connection(("127.0.0.1", port), timeout=10) as c:
            check(ask(c)[0] == 200, f"{kib} KiB: not served")
        p.send_signal(signal.SIGTERM)
        p.communicate(timeout=30)
        check(p.returncode == 0, f"{kib} KiB: {p.returncode}")


def test_closed_standard_fds():
    """No socket gets the number of standard input or stderr: what is said to a person would go to a client."""
    p = started_with(":", 'exec "$@" <&- 2>&-')
    port = int(p.stdout.readline().split(b" listen=")[1].split()[0].rpartition(b":")[2])
    for fd in (0, 2):
        check(os.readlink(f"/proc/{p.pid}/fd/{fd}") == "/", os.readlink(f"/proc/{p.pid}/fd/{fd}"))
    with socket.create_connection(("127.0.0.1", port), timeout=10) as c:
        check(ask(c)[0] == 200, "not served")
    p.send_signal(signal.SIGTERM)
    p.communicate(timeout=30)
    check(p.returncode == 0, f"{p.returncode}")


def test_flood_of_signals():
    """However often SIGUSR1 comes, SIGTERM and SIGPWR are heard."""
    for number in (signal.SIGTERM, signal.SIGPWR):
        heard_in_flood(number)


def heard_in_flood(number):
    p = started_with("exec >/dev/null")
    eventually(lambda: has_begun(p), "it does not see to its signals")
    flood = "import os\nwhile True: os.kill(%d, %d)" % (p.pid, signal.SIGUSR1)
    floods = [subprocess.Popen([sys.executable, "-c", flood], stderr=subprocess.DEVNULL) for _ in range(2)]
    time.sleep(0.5)
    p.send_signal(number)
    try:
        p.wait(20 * SLOWNESS)
    except subprocess.TimeoutExpired:
        p.kill()
        raise Failure(f"{number.name} is not heard among many SIGUSR1") from None
    finally:
        for one in floods:
            one.kill()
            one.wait()
    p.communicate()
    check(p.returncode == 0, f"{p.returncode}")


def test_other_signals():
    """Those that end a process by default drain the server, or do nothing to it."""
    for number in (signal.SIGHUP, signal.SIGQUIT, signal.SIGXCPU, signal.SIGPWR):
        with server(setup=lambda: resource.setrlimit(resource.RLIMIT_CPU, (1, 100))) as s, s.connect() as c:
            c.sendall(GET[:10])
            eventually(lambda: s.now()["conns_now"] == 1, "not accepted")
            s.process.send_signal(number)
            eventually(lambda: refused(s), f"{number.name}: it does not drain")
            # Only a SIGTERM, SIGINT or SIGQUIT behind another one ends it at once.
            ends = () if number == signal.SIGQUIT else (signal.SIGTERM,)
            time.sleep(0.6)
            for again in (signal.SIGHUP, signal.SIGXCPU, signal.SIGUSR2, *ends):
                s.process.send_signal(again)
            time.sleep(0.1)
            c.sendall(GET[10:])
            check(read_answer(c)[0] == 200, f"{number.name}: a begun request is lost")
            c.close()
            s.wait()
    with server() as s:
        for number in (signal.SIGALRM, signal.SIGVTALRM, signal.SIGPROF, signal.SIGIO, signal.SIGSTKFLT, signal.SIGUSR2,
                       signal.SIGTTOU, signal.SIGXCPU, 32, signal.SIGRTMIN, signal.SIGRTMAX):
            s.process.send_signal(number)
        time.sleep(0.1)
        with s.connect() as c:
            check(ask(c)[0] == 200, "not served")
    p = started_with("trap '' HUP INT QUIT")  # as nohup does, and a shell for what a script runs in the background
    p.stdout.readline()
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT):
        p.send_signal(number)
    time.sleep(0.3)
    check(p.poll() is None, "a signal ends it that its parent has it ignore")
    p.send_signal(signal.SIGTERM)
    p.communicate(timeout=30)
    check(p.returncode == 0, f"{p.returncode}")


def test_limit_of_cpu_time():
    """It drains at the soft one, before the hard one kills it, whatever other limits make the same signal."""
    only_if(PATH == "epoll", "the main thread is the same on all paths")

    def limits():
        resource.setrlimit(resource.RLIMIT_CPU, (1, 5))
        resource.setrlimit(RLIMIT_RTTIME, (10**6, 10**8))

    with server(setup=limits) as s:
        while s.process.poll() is None:
            with contextlib.suppress(OSError), s.connect() as c:
                c.sendall(GET)
                while c.recv(1 << 20):
                    c.sendall(GET * 100)
        s.wait()


def test_own_fifo():
    """Standard output is a FIFO that its shell has opened to read and to write, and that somebody reads later."""
    with tempfile.TemporaryDirectory() as folder:
        fifo = f"{folder}/fifo"
        os.mkfifo(fifo)
        p = started_with(":", f"exec \"$@\" 1<>{fifo}")
        eventually(lambda: os.path.basename(os.readlink(f"/proc/{p.pid}/exe")).startswith("accept-server"), "not executed")
        time.sleep(0.5)
        with open(fifo, "rb", buffering=0) as reader:
            check(readable([reader], 5), "its first line is lost")
            p.send_signal(signal.SIGTERM)
            p.communicate(timeout=30)
        check(p.returncode == 0, f"{p.returncode}: the last totals were not written")


def test_kernel_log():
    """Standard output and the log are /dev/kmsg, as where the first process has no journal."""
    only_if(in_user_mode_linux(), "this machine's log is not for tests")
    p = started_with(":", "exec \"$@\" >/dev/kmsg 2>&1")
    eventually(lambda: os.path.basename(os.readlink(f"/proc/{p.pid}/exe")).startswith("accept-server"), "not executed")
    time.sleep(0.5)
    p.send_signal(signal.SIGTERM)
    p.communicate(timeout=30)
    check(p.returncode == 0, f"{p.returncode}: the last totals were not written")


def test_nobody_reads():
    """Standard output and the log are pipes that are full: it serves and drains all the same."""
    p = started_with(":")
    port = int(p.stdout.readline().split(b" listen=")[1].split()[0].rpartition(b":")[2])
    for fd, pipe in ((1, p.stdout), (2, p.stderr)):
        fcntl.fcntl(pipe, F_SETPIPE_SZ, 4096)  # then a line fills it
        # Others may fill it between its look at the room and its write: that must not wait either.
        with open(f"/proc/{p.pid}/fdinfo/{fd}", encoding="ascii") as file:
            check(int(file.read().split("flags:")[1].split()[0], 8) & os.O_NONBLOCK, f"a write to {fd} can wait")
    for _ in range(5):
        p.send_signal(signal.SIGUSR1)
        time.sleep(0.05)
    # A worker has something to say, too.
    soft, hard = resource.prlimit(p.pid, resource.RLIMIT_NOFILE)
    resource.prlimit(p.pid, resource.RLIMIT_NOFILE, (0, hard))
    with socket.create_connection(("127.0.0.1", port), timeout=10) as c:
        time.sleep(0.3)
        resource.prlimit(p.pid, resource.RLIMIT_NOFILE, (soft, hard))
        check(ask(c)[0] == 200, "not served")
    p.send_signal(signal.SIGTERM)
    try:
        p.wait(20 * SLOWNESS)
    except subprocess.TimeoutExpired:
        p.kill()
        raise Failure("it waits for who reads what it says") from None
    out, err = p.communicate()
    check(p.returncode == 1 and out.count(b"totals ") == 1, f"{p.returncode}: {out!r}")
    check(b"the totals are lost" in err, f"{err!r}")


def test_totals_without_files():
    """RLIMIT_NOFILE is 0: nothing can be waited for, and the totals are written to a file all the same."""
    only_if(not SANITIZED, "a sanitizer needs files at the end")
    with tempfile.TemporaryDirectory() as folder:
        log = os.path.join(folder, "log")
        p = started_with(f"exec >{log}", 'exec "$@" --drain-timeout 500ms')
        eventually(lambda: os.path.exists(log) and "listen=" in open(log, encoding="ascii").read(), "no first line")
        resource.prlimit(p.pid, resource.RLIMIT_NOFILE, (0, resource.prlimit(p.pid, resource.RLIMIT_NOFILE)[1]))
        p.send_signal(signal.SIGTERM)
        err = p.communicate(timeout=30 * SLOWNESS)[1]
        said = open(log, encoding="ascii").read()
        check(p.returncode == 0 and said.count("\ntotals ") == 1, f"{p.returncode}: {said} {err!r}")


def test_log_at_its_limit():
    """SIGXFSZ: nothing more can be written, and it goes on serving."""
    with tempfile.TemporaryDirectory() as folder:
        log = os.path.join(folder, "log")
        p = started_with(f"ulimit -f 1; exec >{log} 2>&1")
        eventually(lambda: os.path.exists(log) and "listen=" in open(log, encoding="ascii").read(), "no first line")
        address = open(log, encoding="ascii").read().split("listen=")[1].split()[0].rsplit(":", 1)
        for _ in range(10):
            p.send_signal(signal.SIGUSR1)
            time.sleep(0.05)
        with socket.create_connection((address[0], int(address[1])), timeout=10) as c:
            check(ask(c)[0] == 200, "not served")
        check(os.path.getsize(log) == 1024, f"{os.path.getsize(log)} bytes of log")
        p.send_signal(signal.SIGTERM)
        p.communicate(timeout=30)
        check(p.returncode == 1, f"{p.returncode}: the last totals were not written")


def end_listeners(s, how=socket.SHUT_RDWR):
    """As ss --kill does it: they are shut down, too, or in one direction. The copies, to be closed."""
    listeners = list(s.listeners())
    check(listeners, "none listens")
    for one in listeners:
        one.shutdown(socket.SHUT_RDWR)
        with contextlib.suppress(OSError):  # it does not listen any more, and is shut down all the same
            one.shutdown(how)
    return listeners


def close_all(sockets):
    for one in sockets:
        one.close()


def stays_equal(value, seconds=0.5):
    before = value()
    time.sleep(seconds)
    return value() == before


def check_listens(s, what):
    eventually(lambda: not refused(s), f"{what}: it does not listen again")
    for _ in range(20):
        with s.connect() as c:
            check(ask(c)[0] == 200, f"{what}: not served")


def test_listener_is_ended():
    """Somebody ends the listening, as ss --kill does: it begins again, at the same port."""
    port = metrics_port()
    for listener in ("reuseport", "shared"):
        with server("--listener", listener, "--metrics-port", str(port)) as s:
            want = 1 + (int(WORKERS) if listener == "reuseport" else 1)

            def listening(s=s):
                found = list(s.listeners())
                close_all(found)
                return len(found)

            for how in (socket.SHUT_RDWR, socket.SHUT_RD, socket.SHUT_WR):
                s.freeze()
                close_all(end_listeners(s, how))
                s.thaw()
                eventually(lambda: listening() == want, lambda: f"{listener}: {listening()} of {want} listen again")
                check_listens(s, listener)
                check("process_start_time_seconds" in scrape(port), "no metrics")
            for who in (r"worker \d+", f"--metrics-port {port}"):
                check(re.search(f"{who}: somebody has ended .* begins again", s.said()), f"{listener}: {who}: {s.said()}")
            soft, hard = resource.prlimit(s.pid, resource.RLIMIT_NOFILE)
            resource.prlimit(s.pid, resource.RLIMIT_NOFILE, (0, hard))
            close_all(end_listeners(s))
            time.sleep(0.3)
            resource.prlimit(s.pid, resource.RLIMIT_NOFILE, (soft, hard))
            check_listens(s, f"{listener}: no file could be opened")


def test_listener_is_ended_and_listens():
    """... or somebody ends it and lets it listen again, so that nothing is to be seen of it when the accept has failed."""
    for listener in ("reuseport", "shared"):
        with server("--listener", listener) as s:
            copies = list(s.listeners())
            end = time.monotonic() + 2
            while time.monotonic() < end:
                for one in copies:
                    with contextlib.suppress(OSError):
                        one.shutdown(socket.SHUT_RDWR)
                    with contextlib.suppress(OSError):
                        one.listen(100)
            close_all(copies)
            check(s.process.poll() is None, f"{listener}: it has ended: {s.said()}")
            # A worker that was about to mend it ends it once more, and resets who has come meanwhile.
            eventually(lambda s=s: stays_equal(lambda: s.now()["accept_errors"]), f"{listener}: accepts fail for ever")
            check_listens(s, listener)


def test_listener_is_ended_and_keeps_its_port():
    """... though nobody had asked for that one, and somebody else lets it listen again."""
    with server("--listener", "shared") as s:
        s.freeze()
        (copy,) = s.listeners()
        with copy:
            copy.shutdown(socket.SHUT_RDWR)
            copy.listen()
            check(copy.getsockname() == s.address, f"it was {s.address}, and is {copy.getsockname()}")
        s.thaw()
        check_listens(s, "the same port")


def test_listener_is_ended_and_the_port_taken():
    """... and another program is faster to take the port: it waits, without a spin, and says why."""
    with server("--listener", "shared") as s, socket.socket() as other:
        s.freeze()
        close_all(end_listeners(s))
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        other.bind(s.address)
        other.listen()
        s.thaw()
        with s.connect():  # to the other one
            # In user-mode Linux the time of a process is a guess from the timer's ticks, which such tries follow.
            check_idle(s, "the port is taken", share=0.8 if in_user_mode_linux() else 0.3)
        check("cannot begin again: Address already in use" in s.said(), f"it does not say why: {s.said()}")
        other.close()
        check_listens(s, "the port is free again")


def test_listener_is_ended_when_full():
    for listener in ("reuseport", "shared"):
        with server("--workers", "1", "--max-conns", "1", "--listener", listener) as s:
            with s.connect() as c:
                check(ask(c)[0] == 200, "not served")
                eventually(lambda s=s: s.now()["accept_pauses"], "not full")
                close_all(end_listeners(s))
                check_idle(s, f"{listener}: full")
                with s.connect() as waiting:
                    waiting.sendall(GET)
                    c.close()
                    check(read_answer(waiting)[0] == 200, f"{listener}: who waits is not served")


def test_listener_is_ended_in_a_drain():
    """... as the drain begins, or later by a copy that outlives it: what has begun is served, without a spin."""
    for listener in ("reuseport", "shared"):
        for at_once in (True, False):
            with server("--listener", listener) as s, s.connect() as c:
                c.sendall(GET[:10])
                eventually(lambda s=s: s.now()["conns_now"] == 1, "not accepted")
                copies = []
                s.freeze()
                s.process.send_signal(signal.SIGTERM)
                if at_once:
                    close_all(end_listeners(s))
                else:
                    copies = list(s.listeners())
                s.thaw()
                time.sleep(0.3)
                for one in copies:
                    with contextlib.suppress(OSError):  # the last worker has shut down a shared one
                        one.shutdown(socket.SHUT_RDWR)
                check_idle(s, f"{listener}: a drain")
                close_all(copies)
                c.sendall(GET[10:])
                check(read_answer(c)[0] == 200, "a begun request is lost")
                s.wait()


def test_drain_of_copied_listeners():
    """Somebody has copies of the listeners, which stay open when a drain closes them: nobody is queued there in vain."""
    for listener in ("reuseport", "shared"):
        with server("--listener", listener) as s, s.connect() as c:
            c.sendall(GET[:10])
            eventually(lambda s=s: s.now()["conns_now"] == 1, "not accepted")
            copies = list(s.listeners())
            s.process.send_signal(signal.SIGTERM)
            eventually(lambda s=s: refused(s), f"{listener}: still listening")
            close_all(copies)
            c.sendall(GET[10:])
            check(read_answer(c)[0] == 200, "a begun request is lost")
            c.close()
            s.wait()


def test_curl():
    with server() as s:
        url = f"http://{s.address[0]}:{s.address[1]}"
        got = subprocess.run(["curl", "-sSf", f"{url}/a", f"{url}/b", "--data-binary", "@-"],
                             input=b"z" * 200000, check=True, capture_output=True, timeout=20)
        check(got.stdout == BODY * 2, f"{got.stdout!r}")


tests = {name: test for name, test in list(globals().items()) if name.startswith("test_")}
only = sys.argv[3:] or tests
for name in only:
    if name not in tests:
        print(f"{name}: there is no such test; it is one of {' '.join(tests)}", file=sys.stderr)
        sys.exit(2)
supported(BINARY, PATH)
main([tests[name] for name in only])
