# SPDX-License-Identifier: MIT
"""
Checks an example: an echo server that prints its address first. That of dup_tls is spoken to by TLS.

    check.py PROGRAM ACCEPT-BENCH [HOW]

Every connection sends random bytes of its own and must get exactly those back: under load, in more connections than the
program takes at once, from clients that leave in every way, and while its DUPs fail. Then no socket may be left over.
Exits 77 if this kernel does not have what the program needs.
"""

import json
import os
import platform
import random
import re
import resource
import select
import signal
import socket
import ssl
import struct
import subprocess
import sys
import threading
import time

PROGRAM, BENCH = sys.argv[1:3]
HOW = sys.argv[3:]
TLS = os.path.basename(PROGRAM) == "dup_tls"
TLS_CONTEXT = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
TLS_CONTEXT.check_hostname = False
TLS_CONTEXT.verify_mode = ssl.CERT_NONE  # the certificate is signed by itself, and new each time
# User-mode Linux runs nothing but this test, so there each socket of the kernel is one of ours.
ALONE = "-um" in platform.release()


class Failure(Exception):
    """What was found wrong."""


def check(condition, message):
    if not condition:
        raise Failure(message)


def eventually(condition, message, seconds=30.0):
    """Waits until condition() is true. MESSAGE is a function: it describes how things are in the end."""
    end = time.monotonic() + seconds
    while not condition():
        check(time.monotonic() < end, f"not within {seconds} s: {message()}")
        time.sleep(0.05)


def sockstat():
    """The TCP sockets of the kernel that are in use, orphaned, or have not been freed."""
    with open("/proc/net/sockstat", encoding="ascii") as file:
        line = next(line for line in file if line.startswith("TCP:"))
    words = line.split()[1:]
    return {name: int(value) for name, value in zip(words[::2], words[1::2]) if name in ("inuse", "orphan", "alloc")}


class Example:
    """The program, started, and what the kernel says about it."""

    def __init__(self):
        self.process = subprocess.Popen([PROGRAM, "0", *HOW], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        ready, _, _ = select.select([self.process.stdout], [], [], 60)
        first = self.process.stdout.readline().decode() if ready else ""
        match = re.search(r"127\.0\.0\.1:(\d+)", first)
        if not match:
            self.process.kill()
            err = self.process.communicate()[1].decode()
            if self.process.returncode == 77:
                print(err, end="")
                sys.exit(77)
            raise Failure(f"no address in its first line {first!r}: {err}")
        self.port = int(match[1])
        self.pid = self.process.pid
        self.own = self.sockets()[0]

    def connect_tcp(self):
        return socket.create_connection(("127.0.0.1", self.port), timeout=30)

    def connect(self):
        client = self.connect_tcp()
        if not TLS:
            return client
        return TLS_CONTEXT.wrap_socket(client)

    def storm(self, connections, concurrency, close, requests=3):
        """Connections that compare what comes back, byte by byte: ACCEPT-BENCH's client, or, for TLS, threads in here."""
        if TLS:
            # As many as each has its turn in well below the ten seconds that a client may be silent.
            self.storm_tls(connections // 20, min(concurrency // 10, 100), close, requests)
            return
        storm = subprocess.run(
            [BENCH, "storm", "--connect", f"127.0.0.1:{self.port}", "--protocol", "echo", "--close", close,
             "--connections", str(connections), "--concurrency", str(concurrency), "--requests", str(requests),
             "--timeout", "60s"], stdout=subprocess.PIPE, check=False)
        check(storm.returncode in (0, 1), f"storm ended with {storm.returncode}")
        result = json.loads(storm.stdout)["result"]
        check(storm.returncode == 0 and result["good"] == connections and result["failed"] == 0,
              f"{result['good']} of {connections} connections were good: {result['errors']}")

    def storm_tls(self, connections, concurrency, close, requests):
        left, wrong = iter(range(connections)), []

        def one_after_another():
            for _ in left:
                try:
                    with self.connect() as client:
                        for _ in range(requests):
                            data = random.randbytes(random.randint(1, 20000))
                            client.sendall(data)
                            back = receive(client, len(data))
                            check(len(back) == len(data), f"{len(back)} of {len(data)} bytes came back")
                            check(back == data, "not the bytes that were sent")
                        if close == "client-rst":
                            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                except (Failure, OSError) as error:
                    wrong.append(error)

        threads = [threading.Thread(target=one_after_another) for _ in range(concurrency)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        check(not wrong and next(left, None) is None, f"{len(wrong)} of {connections} failed: {wrong[:1]}")

    def sockets(self):
        """Sockets in its table of file descriptors, and in the slots of its rings."""
        folder = f"/proc/{self.pid}"
        fds, slots = 0, 0
        for name in os.listdir(f"{folder}/fd"):
            try:
                link = os.readlink(f"{folder}/fd/{name}")
                fds += link.startswith("socket:")
                if link == "anon_inode:[io_uring]":
                    with open(f"{folder}/fdinfo/{name}", encoding="ascii") as file:
                        slots += len(re.findall(r"^ *\d+: socket:", file.read(), re.MULTILINE))
            except FileNotFoundError:
                pass
        return fds, slots

    def of_port(self):
        """How many sockets of the kernel have its port at either end, those in TIME_WAIT aside."""
        with open("/proc/net/tcp", encoding="ascii") as file:
            rows = [line.split()[1:4] for line in file]
        port = f":{self.port:04X}"
        return sum((local.endswith(port) or remote.endswith(port)) and state != "06" for local, remote, state in rows)

    def check_clean(self):
        """All clients have gone: what is parked goes too, and the listener remains."""
        eventually(lambda: self.sockets() == (self.own, 0),
                   lambda: "sockets in fds and slots: {}, {}; {} are its own".format(*self.sockets(), self.own))
        eventually(lambda: self.of_port() == 1, lambda: f"{self.of_port()} sockets have its port, not 1")
        if ALONE:
            want = {"inuse": 1, "orphan": 0, "alloc": 1}
            eventually(lambda: sockstat() == want, lambda: f"sockstat: {sockstat()}, not {want}")

    def end(self):
        check(self.process.poll() is None, f"it has ended with {self.process.returncode}")
        self.process.send_signal(signal.SIGTERM)
        out, err = (text.decode() for text in self.process.communicate(timeout=30))
        eventually(lambda: self.of_port() == 0, lambda: f"{self.of_port()} sockets are left over")
        if ALONE:
            want = {"inuse": 0, "orphan": 0, "alloc": 0}
            eventually(lambda: sockstat() == want, lambda: f"sockstat: {sockstat()}, not {want}")
        return out, err


def receive(client, length):
    data = b""
    while len(data) < length:
        more = client.recv(length - len(data))
        if not more:
            break
        data += more
    return data


def test_load(example):
    example.storm(10000, 100, "client-fin")
    example.storm(5000, 100, "client-rst", requests=1)


def test_more_than_it_takes(example):
    """Those for whom there is no fd yet wait: some were accepted, some are queued, some try again to get there."""
    example.storm(6000, 2500, "client-fin")


def test_half_close(example):
    """What was sent before the end of the stream comes back, all of it."""
    for size in (0, 1, 5000, 300000):
        data = random.randbytes(size)
        with example.connect() as client:
            writer = threading.Thread(target=lambda c=client, d=data: (c.sendall(d), c.shutdown(socket.SHUT_WR)))
            writer.start()
            back = receive(client, size)
            check(back == data, f"{len(back)} of {size} bytes came back, or others")
            check(client.recv(1) == b"", "bytes that nobody sent")
            writer.join()


def test_slow_reader(example):
    """A client that does not read is waited for, not lost."""
    data = random.randbytes(4000000)
    with example.connect() as client:
        writer = threading.Thread(target=lambda: client.sendall(data))
        writer.start()
        time.sleep(1)
        check(receive(client, len(data)) == data, "not the bytes that were sent")
        writer.join()


def test_silent(example):
    """A client that says nothing is cut off, one that goes on talking is not."""
    with example.connect() as silent, example.connect() as talking:
        began = time.monotonic()
        silent.settimeout(1)
        while True:
            talking.sendall(b"x")
            check(talking.recv(1) == b"x", "a client that talks was cut off")
            try:
                check(silent.recv(1) == b"", "bytes that nobody sent")
                break
            except TimeoutError:
                check(time.monotonic() - began < 30, "a silent client is kept")
        check(time.monotonic() - began > 3, "a silent client is cut off at once")


def try_echo(example):
    """Whether the connection was served. It may be turned away; other bytes it must not get."""
    data = random.randbytes(100)
    try:
        with example.connect() as client:
            client.sendall(data)
            back = receive(client, len(data))
            check(back in (b"", data), "not the bytes that were sent")
            return back == data
    except (ConnectionError, ssl.SSLError):
        return False


def talk(client):
    client.sendall(b"a")
    check(client.recv(1) == b"a", "a connection was lost that had its fd before")


def test_failing_dup(example):
    """With a lower limit, DUP fails with EBADF for the fds beyond it. The others are used, and all of them later."""
    soft, hard = resource.prlimit(example.pid, resource.RLIMIT_NOFILE)
    with example.connect() as before:
        talk(before)
        resource.prlimit(example.pid, resource.RLIMIT_NOFILE, (64, hard))
        for _ in range(20):
            check(not try_echo(example), "served on an fd beyond the limit")
            talk(before)
        resource.prlimit(example.pid, resource.RLIMIT_NOFILE, (64 + 10, hard))
        for _ in range(500):
            if try_echo(example):
                break
            talk(before)
        else:
            raise Failure("not served, and 9 fds are good")
        resource.prlimit(example.pid, resource.RLIMIT_NOFILE, (soft, hard))
    example.storm(2000, 600, "client-fin")


def main(tests):
    example = Example()
    failed = 0
    for test in tests:
        began = time.monotonic()
        try:
            test(example)
            example.check_clean()
            verdict = "ok"
        except (Failure, OSError) as error:
            verdict = f"FAILED: {type(error).__name__}: {error}"
            failed += 1
        print(f"{test.__name__} ({time.monotonic() - began:.1f} s): {verdict}", flush=True)
    try:
        out, err = example.end()
        print(out, *sorted(set(err.splitlines()))[:5], sep="\n")
    except Failure as error:
        print(f"at the end: FAILED: {error}")
        failed += 1
    sys.exit(1 if failed else 0)


def test_no_tls(example):
    """Clients that speak something else, or leave in the midst of the handshake."""
    for data in (b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01\x02\x00\x01", b""):
        for _ in range(20):
            with example.connect_tcp() as client:
                client.sendall(data)
    with example.connect_tcp() as client:
        client.sendall(random.randbytes(1000))
        try:
            check(client.recv(1000)[:2] in (b"\x15\x03", b""), "neither an alert nor the end for what is no TLS")
        except ConnectionResetError:
            pass  # it had not read all of it when it ended
    check(try_echo(example), "others are not served any more")


if TLS:
    TESTS = [test_load, test_more_than_it_takes, test_silent, test_no_tls]
else:
    TESTS = [test_load, test_more_than_it_takes, test_half_close, test_slow_reader, test_silent]
if HOW in ([], ["dup"]):
    TESTS.append(test_failing_dup)
main(TESTS)
