# SPDX-License-Identifier: MIT
"""
Good and hostile clients against one accept path.

    clients.py ACCEPT-SERVER PATH

Exits 77 if this kernel does not have the path.
"""

import os
import random
import resource
import signal
import socket
import subprocess
import sys
import threading
import time

from harness import (BODY, GET, GET_CLOSE, Server, ask, check, eventually, is_closed, main,
                     read_answer, reset, supported)

BINARY, PATH = sys.argv[1:3]
WORKERS = "2"
# The thread sanitizer takes the same number in two tables for the same descriptor.
ONE_TABLE = "ACCEPT_TEST_ONE_TABLE" in os.environ


def server(*options):
    return Server(BINARY, "--accept", PATH, "--workers", WORKERS, "--park-timeout", "1s", *options)


def check_clean(instance):
    """Once the clients are gone, nothing of them is left: no connection, no socket."""
    eventually(lambda: instance.now()["conns_now"] == 0, "connections are left over")
    eventually(lambda: instance.now()["parked_now"] == 0, "parked connections are left over")
    sockets = instance.sockets()
    # The listeners, and with SO_REUSEPORT the socket that holds the port.
    check(sockets <= int(WORKERS) + 1, f"{sockets} sockets are left open")
    totals = instance.now()
    check(totals["accepts"] == totals["closed"] + totals["refused"],
          f"{totals['accepts']} accepted, {totals['closed']} closed")
    check(totals["stale"] == 0 or PATH == "epoll", f"{totals['stale']} stale completions")
    check(totals["cq_overflows"] == 0, "completions were dropped")


def test_keep_alive():
    with server() as s:
        with s.connect() as c:
            for _ in range(100):
                status, headers, body = ask(c)
                check((status, body) == (200, BODY), f"{status} {body!r}")
                check("connection" not in headers, "keep-alive is announced needlessly")
        check_clean(s)


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
        if PATH in ("multishot", "install", "dup", "direct"):
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


def test_refused_requests():
    """The reason must reach a client that is still sending: no reset before it is read."""
    cases = {
        400: b"GET / HTTP/1.1\r\n\r\n",
        405: b"PUT / HTTP/1.1\r\nHost: x\r\n\r\n",
        413: b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999\r\n\r\n" + b"x" * 300000,
        414: b"GET /" + b"x" * 5000 + b" HTTP/1.1\r\n",
        431: b"GET / HTTP/1.1\r\nHost: x\r\nA: " + b"x" * 9000,
        501: b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        505: b"GET / HTTP/2.0\r\nHost: x\r\n\r\n",
    }
    with server() as s:
        for want, request in cases.items():
            with s.connect() as c:
                status, headers, _ = ask(c, request)
                check(status == want, f"{status}, not {want}")
                check(headers["connection"] == "close", f"{want} without close")
                check(is_closed(c), f"open behind {want}")
        check_clean(s)
        check(s.now()["requests_bad"] == len(cases), "not all counted")


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
        check_clean(s)


def test_never_reads():
    with server("--request-timeout", "1s") as s:
        c = s.connect()
        c.settimeout(0.2)
        try:
            while True:
                c.sendall(GET * 1000)
        except TimeoutError:
            pass
        with s.connect() as other:
            check(ask(other)[0] == 200, "others are not served")
        eventually(lambda: s.now()["timeouts"] == 1, "it is never given up", 10)
        c.close()
        check_clean(s)


def test_slow_reader():
    """Sends that find room for a part only: not a byte is lost, doubled or out of order."""
    with server("--protocol", "echo") as s:
        c = socket.socket()
        c.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 14)
        c.settimeout(10)
        c.connect(s.address)
        data = bytes(random.Random(4711).randrange(256) for _ in range(1 << 16))
        sender = threading.Thread(target=c.sendall, args=(data * 8,))
        sender.start()
        time.sleep(0.3)  # until every buffer on the way is full
        for _ in range(8):
            back = bytearray()
            while len(back) < len(data):
                more = c.recv(min(len(data) - len(back), 60000))
                check(more, "ended")
                back += more
            check(back == data, "bytes come back changed")
        sender.join()
        c.close()
        check_clean(s)


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
            check(0.9 <= took < 2.5, f"after {took:.1f} s")
        check_clean(s)


def test_idle_timeout():
    with server("--idle-timeout", "500ms") as s:
        silent, served = s.connect(), s.connect()
        ask(served)
        for c in (silent, served):
            check(c.recv(10) == b"", "an idle connection gets bytes")
        silent.close()
        served.close()
        check(s.now()["timeouts"] == 2, "not counted")
        check_clean(s)


def test_active_connection_stays():
    with server("--idle-timeout", "1s", "--request-timeout", "800ms") as s, s.connect() as c:
        for _ in range(6):
            time.sleep(0.4)
            check(ask(c)[0] == 200, "closed although it was active")


def test_max_conns():
    """Full: more wait, and are served when there is room; few are told so; CPU is not spent on it."""
    with server("--max-conns", "8", "--idle-timeout", "30s", "--workers", "1") as s:
        crowd = [s.connect() for _ in range(64)]
        time.sleep(0.5)
        totals = s.now()
        check(totals["conns_now"] <= 8 and totals["conns_peak"] <= 8, f"{totals['conns_now']} open")
        before = s.cpu_seconds()
        time.sleep(1)
        used = s.cpu_seconds() - before
        check(used < 0.3, f"{used:.2f} s of CPU in a second while full")
        # One burst of a multishot accept may overshoot, what comes later waits.
        late = [s.connect() for _ in range(8)]
        for c in late:
            c.sendall(GET)
        time.sleep(0.3)
        check(s.now()["refused"] == totals["refused"], "refused, not left to wait")
        told = 0
        for c in crowd:
            c.settimeout(0.01)
            try:
                answer = c.recv(1000)
                check(answer.startswith(b"HTTP/1.1 503 ") and is_closed(c), f"{answer!r}")
                told += 1
            except TimeoutError:
                pass
            c.close()
        check(told == totals["refused"], f"{told} were told, {totals['refused']} refused")
        for c in late:
            check(read_answer(c)[0] == 200, "one that waited is not served")
            c.close()
        eventually(lambda: s.now()["conns_now"] == 0, "connections are left over")
        check_clean(s)


def test_out_of_descriptors():
    """EMFILE (or a full slot table): no spin, no flood of lines, and back by itself."""
    # dup and direct take no new number: see test_max_conns. A multishot request keeps the limit that
    # was in force when it was armed (io_accept_prep() in io_uring/net.c): see faults.py.
    if PATH in ("dup", "dup-batch", "direct", "multishot"):
        return
    with server("--max-conns", "1000") as s:
        soft, hard = resource.prlimit(s.pid, resource.RLIMIT_NOFILE)
        resource.prlimit(s.pid, resource.RLIMIT_NOFILE, (4, hard))
        waiting = [s.connect() for _ in range(8)]
        before = s.cpu_seconds()
        time.sleep(1.5)
        used = s.cpu_seconds() - before
        totals = s.now()
        check(totals["conns_now"] == 0, f"{totals['conns_now']} accepted without a number: {totals}")
        check(totals["accept_errors"] + totals["install_errors"] > 0, "no error was seen")
        check(used < 0.3, f"{used:.2f} s of CPU in 1.5 s while out of descriptors")
        resource.prlimit(s.pid, resource.RLIMIT_NOFILE, (soft, hard))
        time.sleep(0.5)
        for c in waiting:
            c.close()
        with s.connect() as c:
            check(ask(c)[0] == 200, "no service afterwards")
        check_clean(s)
        s.end()
        check(s.log.count("\n") <= 2 * int(WORKERS) + 1, f"a flood of lines:\n{s.log}")


def refused(instance):
    try:
        instance.connect().close()
        return False
    except (ConnectionRefusedError, ConnectionResetError):
        return True


def test_drain():
    """SIGTERM: what was begun or accepted is finished, what is idle is closed, what is new refused."""
    for listener in ("reuseport", "shared"):
        drain_with(listener)


def drain_with(listener):
    with server("--listener", listener) as s:
        idle, begun, fresh = s.connect(), s.connect(), s.connect()
        ask(idle)
        begun.sendall(GET[:10])
        eventually(lambda: s.now()["conns_now"] == 3, "not accepted")
        s.process.send_signal(signal.SIGTERM)
        check(idle.recv(10) == b"", "an idle connection is kept")
        begun.sendall(GET[10:])
        status, headers, _ = read_answer(begun)
        check(status == 200 and headers["connection"] == "close", "a begun request is lost")
        check(ask(fresh)[0] == 200, "an accepted connection is lost")
        eventually(lambda: refused(s), "still listening")
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


def test_drain_timeout():
    with server("--drain-timeout", "500ms") as s:
        c = s.connect()
        c.sendall(GET[:10])
        eventually(lambda: s.now()["conns_now"] == 1, "not accepted")
        began = time.monotonic()
        s.end()
        took = time.monotonic() - began
        check(0.4 <= took < 5.0, f"ended after {took:.1f} s")


def test_second_signal():
    with server() as s:
        c = s.connect()
        c.sendall(GET[:10])
        eventually(lambda: s.now()["conns_now"] == 1, "not accepted")
        s.process.send_signal(signal.SIGTERM)
        time.sleep(0.3)
        check(s.process.poll() is None, "ended with a request begun")
        s.process.send_signal(signal.SIGTERM)
        s.wait(code=1, seconds=2)


def test_park_timeout():
    if PATH not in ("dup", "dup-batch", "dup3"):
        return
    with server("--park-timeout", "1s") as s:
        for _ in range(50):
            with s.connect() as c:
                ask(c, GET_CLOSE)
        check(s.now()["parked_now"] > 0, "nothing is parked")
        check_clean(s)
        check(s.now()["swept"] > 0, "nothing was swept")
        check(s.totals is None or s.totals["dup_errors"] == 0, "DUPs failed")


def test_park_bound():
    if PATH not in ("dup", "dup-batch", "dup3"):
        return
    with server("--park", "4", "--park-timeout", "30s") as s:
        crowd = [s.connect() for _ in range(40)]
        for c in crowd:
            c.sendall(GET_CLOSE)
        for c in crowd:
            check(read_answer(c)[0] == 200 and is_closed(c), "not served")
            c.close()
        totals = s.now()
        check(totals["parked_now"] <= 4 and totals["parked_peak"] <= 4, f"{totals['parked_now']} parked")
        check(s.sockets() <= int(WORKERS) + 1 + 4, f"{s.sockets()} sockets")


def test_park_none():
    if PATH not in ("dup", "dup-batch", "dup3"):
        return
    with server("--park", "0") as s:
        for _ in range(50):
            with s.connect() as c:
                check(ask(c, GET_CLOSE)[0] == 200, "not served")
        totals = s.now()
        check(totals["parked_now"] == 0 and totals["swept"] == 50, f"{totals['swept']} swept")
        check_clean(s)


def test_private_tables():
    if ONE_TABLE:
        return
    with server("--fd-table", "private") as s:
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


def test_metrics():
    probe = socket.socket()
    probe.bind(("127.0.0.1", 0))
    port = probe.getsockname()[1]
    probe.close()
    with server("--metrics-port", str(port)) as s:
        with s.connect() as c:
            ask(c)
        for _ in range(2):
            text = subprocess.run(["curl", "-sSf", f"http://127.0.0.1:{port}/metrics"], check=True,
                                  capture_output=True, timeout=10).stdout.decode()
            check('accept_server_requests_total{worker="1"}' in text, text)
            served = sum(int(line.split()[1]) for line in text.splitlines()
                         if line.startswith("accept_server_requests_total{"))
            check(served == 1, f"{served} requests")
            check("# TYPE accept_server_conns_now gauge" in text, "a gauge is no gauge")
        try:
            socket.create_connection(("127.0.0.2", port), timeout=5).close()
            check(False, "another address than 127.0.0.1 is served")
        except ConnectionRefusedError:
            pass


def test_curl():
    with server() as s:
        url = f"http://{s.address[0]}:{s.address[1]}"
        got = subprocess.run(["curl", "-sSf", f"{url}/a", f"{url}/b", "--data-binary", "@-"],
                             input=b"z" * 200000, check=True, capture_output=True, timeout=20)
        check(got.stdout == BODY * 2, f"{got.stdout!r}")


supported(BINARY, PATH)
only = sys.argv[3:]
main([test for name, test in list(globals().items())
      if name.startswith("test_") and (not only or name in only)])
