# SPDX-License-Identifier: MIT
"""Starts an accept-server for a test, and talks to it as clients nobody would want."""

import atexit
import collections
import contextlib
import ctypes
import errno
import fcntl
import hashlib
import os
import re
import select
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from pathlib import Path

GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
GET_CLOSE = b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
BODY = b"hello, world\n"
# linux/sched.h, linux/sockios.h, linux/if.h
CLONE_NEWNET, SIOCSIFFLAGS, IFF_UP = 0x40000000, 0x8914, 1
PIDFD_GETFD = 438  # its number is the same everywhere (asm-generic/unistd.h)
# linux/ptrace.h, linux/wait.h
PTRACE_SEIZE, PTRACE_INTERRUPT, PTRACE_DETACH, WALL = 0x4206, 0x4207, 17, 0x40000000
PATHS_H = Path(__file__).resolve().parents[1] / "accept/paths.h"


class AcceptPath:
    """A row of server/accept/paths.h, which says what the columns are."""

    def __init__(self, name, needs, accepts, serves):
        self.name, self.accepts, self.serves = name, accepts, serves
        self.ring, self.install, self.dup = (f"FEATURE_{what}" in needs for what in ("RING", "INSTALL", "DUP"))
        # Accepting is a request to the ring, made once for many connections.
        self.multishot = accepts != "CALL"
        # What was accepted is what is served: no request makes another descriptor of it.
        self.as_accepted = serves != "POOL" and (accepts == "CALL" or accepts == serves)


ACCEPT_PATHS = {row[0]: AcceptPath(*row) for row in re.findall(
    r"^\tX\((\w+), +([A-Z0-9_ |]+?), +(\w+), +(\w+),", PATHS_H.read_text(encoding="ascii"), re.MULTILINE)}


class Failure(Exception):
    """What a test found wrong."""


for _number in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT):
    # As nohup and a shell leave it for what a script runs in the background; a server would leave it so, too.
    if signal.getsignal(_number) == signal.SIG_IGN:
        signal.signal(_number, signal.SIG_DFL)


class NotRun(Exception):
    """Why a test has nothing to try here."""


def check(condition, message):
    if not condition:
        raise Failure(message)


def only_if(condition, otherwise):
    """Ends the test that calls it, as not run because of OTHERWISE, unless CONDITION."""
    if not condition:
        raise NotRun(otherwise)


# How long the work of machine_seconds() takes on a desktop PC at leisure. Limits are meant for such a one.
REFERENCE_S = 0.006
SLOWEST = 60.0


def machine_seconds():
    """A little of what the tests do, interpreting, system calls, wake-ups of another process, timed."""
    ours, theirs = socket.socketpair()
    child = os.fork()
    if child == 0:
        ours.close()
        while data := theirs.recv(64):
            theirs.sendall(data)
        os._exit(0)
    theirs.close()
    began = time.monotonic()
    for _ in range(200):
        ours.sendall(b"x" * 64)
        ours.recv(64)
        with socket.socket() as other:
            other.bind(("127.0.0.1", 0))
        hashlib.sha256(bytes(range(256)) * 16).digest()
    took = time.monotonic() - began
    ours.close()
    os.waitpid(child, 0)
    return took


def slowness():
    """How many times slower than that this machine is, emulated or busy; 1 for one that is faster."""
    return min(SLOWEST, max(1.0, machine_seconds() / REFERENCE_S))


SLOWNESS = slowness()


class Deadline:
    """
    SECONDS from now, times the slowness of this machine: measured when the test began, and again before giving up, as
    others may have come to use it since. Progress begins it anew.
    """

    def __init__(self, seconds):
        self.seconds = seconds
        self.allowed = seconds * SLOWNESS
        self.again()

    def again(self):
        self.end = time.monotonic() + self.allowed

    def over(self):
        if time.monotonic() <= self.end:
            return False
        more = self.seconds * slowness()
        if more <= self.allowed:
            return True
        self.end += more - self.allowed
        self.allowed = more
        return False


def eventually(condition, message, seconds=15.0, progress=lambda: None):
    """
    Waits until condition() is true: for what happens soon, but on a slow or busy machine not at once, see
    Deadline. While the value of progress() changes, there is hope. MESSAGE is a text, or a function that makes one, if
    it is to hold figures as they are in the end.
    """
    deadline = Deadline(seconds)
    last = progress()
    while not condition():
        now = progress()
        if now != last:
            deadline.again()
            last = now
        if deadline.over():
            raise Failure(f"not within {deadline.allowed:.0f} s: {message() if callable(message) else message}")
        time.sleep(0.02)


def readable(files, seconds):
    """Which of FILES can be read from, or have ended, after SECONDS at most; their numbers may be beyond those of select()."""
    poll = select.poll()
    by_number = {file.fileno(): file for file in files}
    for number in by_number:
        poll.register(number, select.POLLIN)
    return [by_number[number] for number, _ in poll.poll(seconds * 1000)]


class Server:
    """An accept-server on a free port. Leave the with block and it is drained and must exit 0."""

    def __init__(self, binary, *options, environment=None, before=(), setup=None):
        """BEFORE is a command that runs the server, SETUP a function that its process calls first."""
        self.process = subprocess.Popen(
            [*before, binary, "--port", "0", *options],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            env={**os.environ, **(environment or {})}, preexec_fn=setup)
        atexit.register(self.process.kill)  # if it still runs: a test that fails leaves nothing behind
        self.first = self.read_line()
        match = re.search(r"listen=\[?([^\]\s]*?)\]?:(\d+) ", self.first)
        if not match:
            self.process.kill()
            raise Failure(f"no first line: {self.first!r} {self.process.stderr.read()!r}")
        self.address = (match[1], int(match[2]))
        self.pid = self.process.pid
        self.totals = None
        self.log = None
        self.said_so_far = b""

    def read_line(self, seconds=20.0):
        ready = readable([self.process.stdout], seconds * SLOWNESS)
        return self.process.stdout.readline().decode() if ready else ""

    def said(self):
        """What it has said on stderr so far."""
        while readable([self.process.stderr], 0):
            more = os.read(self.process.stderr.fileno(), 65536)
            if not more:
                break
            self.said_so_far += more
        return self.said_so_far.decode()

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        if kind:
            self.process.kill()
            self.log = (self.said_so_far + self.process.communicate()[1]).decode()
            print(self.log, file=sys.stderr)
            return
        if self.totals is None:
            self.end()

    def end(self, code=0, seconds=20.0):
        """SIGTERM; the exit code and the totals it ends with."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.wait(code, seconds)

    def wait(self, code=0, seconds=20.0):
        try:
            out, err = self.process.communicate(timeout=seconds * SLOWNESS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            out, err = self.process.communicate()
            raise Failure(f"does not end within {seconds * SLOWNESS:.0f} s: {err.decode()}") from None
        self.log = (self.said_so_far + err).decode()
        check(self.process.returncode == code,
              f"exit code {self.process.returncode}, not {code}: {self.log}")
        lines = [line for line in out.decode().splitlines() if line.startswith("totals ")]
        check(lines, f"no totals at the end: {out!r}")
        self.totals = parse_totals(lines[-1])
        return self.totals

    def now(self):
        """The totals as of now, by SIGUSR1."""
        self.process.send_signal(signal.SIGUSR1)
        return parse_totals(self.read_line())

    def connect(self, timeout=10.0 * SLOWNESS):
        family = socket.AF_INET6 if ":" in self.address[0] else socket.AF_INET
        client = socket.socket(family)
        client.settimeout(timeout)
        client.connect(self.address)
        return client

    def states(self):
        """The state of each thread, as in proc(5)."""
        folder = f"/proc/{self.pid}/task"
        for task in os.listdir(folder):
            with open(f"{folder}/{task}/stat", encoding="ascii") as file:
                yield file.read().rpartition(")")[2].split()[0]

    @contextlib.contextmanager
    def held(self, thread):
        """Holds one of its threads, as a debugger does, while the others run on."""
        libc = ctypes.CDLL(None, use_errno=True)
        libc.ptrace.argtypes = [ctypes.c_long] * 4
        for request in (PTRACE_SEIZE, PTRACE_INTERRUPT):
            if libc.ptrace(request, thread, 0, 0) < 0:
                raise Failure(f"ptrace: {os.strerror(ctypes.get_errno())}")
        os.waitpid(thread, WALL)
        try:
            yield
        finally:
            libc.ptrace(PTRACE_DETACH, thread, 0, 0)

    def freeze(self):
        """Stops it in all its threads: a signal that has been sent is not one that has arrived."""
        self.process.send_signal(signal.SIGSTOP)
        eventually(lambda: set(self.states()) == {"T"}, lambda: f"not stopped: {list(self.states())}")

    def thaw(self):
        self.process.send_signal(signal.SIGCONT)

    def mappings(self):
        """Of each mapping: its name, its size, and how much of it has been touched and is not a file's, in KiB."""
        with open(f"/proc/{self.pid}/smaps", encoding="ascii") as file:
            for head, rest in re.findall(r"^([0-9a-f]+-[0-9a-f]+ .*)\n((?:[A-Z].*\n)+)", file.read(), re.MULTILINE):
                value = {key: int(kib) for key, kib in re.findall(r"^(\w+): +(\d+) kB$", rest, re.MULTILINE)}
                yield (head.split(maxsplit=5)[5:] or [""])[0], value["Size"], value["Anonymous"]

    def cpu_seconds(self):
        with open(f"/proc/{self.pid}/stat", encoding="ascii") as file:
            fields = file.read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def listeners(self):
        """Copies of the sockets that listen in its table, to be closed."""
        libc = ctypes.CDLL(None, use_errno=True)
        pidfd = os.pidfd_open(self.pid)
        for number in os.listdir(f"/proc/{self.pid}/fd"):
            copy = libc.syscall(PIDFD_GETFD, pidfd, int(number), 0)
            if copy < 0 and ctypes.get_errno() != errno.EBADF:
                raise Failure(f"pidfd_getfd: {os.strerror(ctypes.get_errno())}")
            if copy < 0:
                continue
            try:
                one = socket.socket(fileno=copy)
                if one.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
                    yield one
                else:
                    one.close()
            except OSError:  # no socket
                os.close(copy)
        os.close(pidfd)

    def threads(self):
        """The ids of its threads but the first."""
        return [int(task) for task in os.listdir(f"/proc/{self.pid}/task") if int(task) != self.pid]

    def last_thread(self):
        """The id of the thread that the server has made last: a worker, without --metrics-port. None of io-wq's."""
        def name(task):
            with open(f"/proc/{self.pid}/task/{task}/comm", encoding="ascii") as file:
                return file.read()
        return max(task for task in self.threads() if not name(task).startswith("iou-"))

    def files(self, thread=None):
        """What is open in the table of the process, or of that thread, as the links in /proc say."""
        folder = f"/proc/{self.pid}/task/{thread or self.pid}/fd"
        for name in os.listdir(folder):
            try:
                yield os.readlink(f"{folder}/{name}")
            except FileNotFoundError:
                pass

    def sockets(self):
        """How many sockets the process has in its table of file descriptors."""
        return sum(file.startswith("socket:") for file in self.files())

    def slots(self):
        """How many slots of its rings hold a socket: proc(5) has nothing of it, io_uring/fdinfo.c shows them."""
        folder = f"/proc/{self.pid}"
        texts = []
        for name in os.listdir(f"{folder}/fd"):
            try:
                if os.readlink(f"{folder}/fd/{name}") == "anon_inode:[io_uring]":
                    with open(f"{folder}/fdinfo/{name}", encoding="ascii") as file:
                        texts.append(file.read())
            except FileNotFoundError:
                pass
        return sum(len(re.findall(r"^ *\d+: socket:", text, re.MULTILINE)) for text in texts)


def in_user_mode_linux():
    return "User Mode Linux" in Path("/proc/cpuinfo").read_text(encoding="ascii")


def check_idle(server, what, seconds=1.0, share=0.3):
    """
    That nothing spins for so long: less than SHARE of a CPU is used, which also tells of threads that are no workers, and
    few passes are made, which a worker that spins makes even on a busy machine, where it gets little.
    """
    began, passes, cpu = time.monotonic(), server.now()["passes"], server.cpu_seconds()
    time.sleep(seconds)
    used = server.cpu_seconds() - cpu
    passes = server.now()["passes"] - passes
    took = time.monotonic() - began
    check(passes / took < 300 and used / took < share,
          f"{what}: {passes / took:.0f} passes a second, {used / took:.2f} of a CPU")


def eventually_clean(server, sockets, accepted=None):
    """
    Waits until nothing is left of clients that have gone, and gives the totals. SOCKETS is how many the server keeps,
    its listeners, none of them in a slot; ACCEPTED how many connections there were, if some of them may still wait to be accepted.
    """
    def look():
        totals, found, slots = server.now(), server.sockets(), server.slots()
        return {key: totals[key] for key in (
            "accepts", "closed", "refused", "conns_now", "parked_now")} | {"sockets": found, "slots": slots}

    def left_over(seen):
        ended = seen["closed"] + seen["refused"]
        return [message for wrong, message in (
            (accepted not in (None, seen["accepts"]), f"{seen['accepts']} of {accepted} accepted"),
            (seen["conns_now"], f"{seen['conns_now']} connections are left over"),
            (seen["parked_now"], f"{seen['parked_now']} parked connections are left over"),
            (seen["sockets"] > sockets, f"{seen['sockets']} sockets are open, {seen['sockets'] - sockets} too many"),
            (seen["slots"], f"{seen['slots']} sockets are left over in slots"),
            (seen["accepts"] != ended, f"{seen['accepts']} accepted, {ended} closed or refused"),
        ) if wrong]

    eventually(lambda: not left_over(look()), lambda: "; ".join(left_over(look())) or "clean too late", progress=look)
    return server.now()


def parse_totals(line):
    check(line.startswith("totals "), f"not a totals line: {line!r}")
    return {key: int(value) for key, value in (word.split("=") for word in line.split()[1:])}


def read_answer(client, head=False):
    """One whole answer: its status, its headers, its body."""
    data = b""
    while b"\r\n\r\n" not in data:
        more = client.recv(1)
        check(more, f"the connection ended within an answer: {data!r}")
        data += more
    lines = data.decode("latin-1").split("\r\n")
    status = int(lines[0].split()[1])
    headers = {name.lower(): value.strip()
               for name, value in (line.split(":", 1) for line in lines[1:] if line)}
    body = b""
    length = 0 if head or status == 100 else int(headers.get("content-length", "0"))
    while len(body) < length:
        more = client.recv(length - len(body))
        check(more, "the connection ended within a body")
        body += more
    return status, headers, body


def ask(client, request=GET):
    client.sendall(request)
    return read_answer(client)


def read_to_end(client, what):
    """All that comes until the server ends the connection: in order, not by a reset."""
    data = b""
    try:
        while True:
            more = client.recv(65536)
            if not more:
                return data
            data += more
    except ConnectionResetError:
        raise Failure(f"{what}: a reset behind {data[:200]!r}") from None
    except TimeoutError:
        raise Failure(f"{what}: still open behind {data[:200]!r}") from None


def is_closed(client):
    """Whether the server has ended the connection, read up to its end."""
    try:
        while client.recv(65536):
            pass
        return True
    except ConnectionResetError:
        return True
    except TimeoutError:
        return False


def reset(client):
    """Closes with a RST instead of a FIN."""
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()


def urgent_bytes(clients, n=170):
    """
    Each of CLIENTS sends N urgent bytes, one after the other, which a receive is woken for and does not get. After 127
    vain ones the kernel has a thread go on with it (APOLL_MAX_RETRY in io_uring/poll.c).
    """
    for c in clients:
        c.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    for _ in range(n):
        for c in clients:
            try:
                c.send(b"u", socket.MSG_OOB)
            except ConnectionError:
                pass
        time.sleep(0.002)


def is_supported(binary, path):
    """Whether this kernel has the accept path; if not, the reason is printed."""
    trial = subprocess.Popen([binary, "--accept", path, "--port", "0"], stdout=subprocess.PIPE,
                             stderr=subprocess.PIPE)
    line = trial.stdout.readline().decode()
    trial.terminate()
    _, err = trial.communicate()
    if trial.returncode == 77:
        print(err.decode(), end="")
        return False
    if f"accept={path} " not in line:
        sys.exit(f"the first line says {line!r}: {err.decode()}")
    return True


def supported(binary, path):
    """Exits 77 if this kernel does not have the accept path."""
    if not is_supported(binary, path):
        sys.exit(77)


def answers_of(crowd):
    """How many got which status, each being closed then, so that another one has its place."""
    counts = collections.Counter()
    crowd = set(crowd)
    while crowd:
        ready = readable(crowd, 20 * SLOWNESS)
        check(ready, f"{len(crowd)} get no answer; others: {dict(counts)}")
        for c in ready:
            try:
                counts[read_answer(c)[0]] += 1
            except (ConnectionError, Failure) as error:
                counts[str(error)] += 1
            c.close()
        crowd.difference_update(ready)
    return counts


@contextlib.contextmanager
def moved_crowd(binary, path, environment=None, number=60):
    """
    NUMBER clients that have sent a request to a server that has been killed, and a server to which they have moved: it has
    16 places, and 17 to refuse from. To be called in a network with tcp_migrate_req.
    """
    old = Server(binary, "--accept", path, "--workers", "4")
    old.freeze()
    crowd = [old.connect() for _ in range(number)]
    for c in crowd:
        c.sendall(GET)
    with Server(binary, "--accept", path, "--backlog", "16", "--workers", "1", "--max-conns", "16", "--idle-timeout", "60s",
                "--port", str(old.address[1]), environment=environment) as new:
        old.process.kill()
        old.process.wait()
        eventually(lambda: new.now()["requests"] == 16, "nobody has moved")
        time.sleep(1)  # the kernel ends the listeners of a ring some time after its process has ended
        yield crowd, new


def in_own_network(sysctls, function):
    """
    Calls FUNCTION in a thread that has a network namespace of its own, with loopback up and SYSCTLS set, file below
    /proc/sys/net by value; what it starts is in there too. Ends the test, see only_if(), where none can be made.
    """
    raised = []

    def body():
        try:
            only_if(not ctypes.CDLL(None, use_errno=True).unshare(CLONE_NEWNET), "no network namespace can be made (not root?)")
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
                up = struct.pack("16sH14x", b"lo", IFF_UP)
                fcntl.ioctl(any_socket, SIOCSIFFLAGS, up)
            for name, value in sysctls.items():
                Path("/proc/sys/net", name).write_text(value, encoding="ascii")
            function()
        except Exception as error:  # of the test that waits for this thread
            raised.append(error)

    thread = threading.Thread(target=body)
    thread.start()
    thread.join()
    if raised:
        raise raised[0]


def main(tests):
    """Runs the functions TESTS, says how each ended and how many were not run. Exits 1 if one failed, 77 if none was run."""
    failed = not_run = 0
    for test in tests:
        began = time.monotonic()
        try:
            test()
            verdict = "ok"
        except NotRun as reason:
            verdict = f"not run: {reason}"
            not_run += 1
        except Failure as failure:
            verdict = f"FAILED: {failure}"
            failed += 1
        except OSError as error:
            verdict = f"FAILED: {type(error).__name__}: {error}"
            failed += 1
        print(f"{test.__name__} ({time.monotonic() - began:.1f} s): {verdict}", flush=True)
    print(f"{len(tests) - failed - not_run} passed, {failed} failed, {not_run} not run")
    sys.exit(1 if failed else 77 if not_run == len(tests) else 0)
