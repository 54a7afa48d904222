# SPDX-License-Identifier: MIT
"""
What the kernel can answer to a path's requests when things go wrong.

    faults.py ACCEPT-SERVER-FAULTS PATH

Every case runs connections against a server some of whose requests fail (faults.c), and checks how
many are lost, that the right counter says so, and that nothing is left over afterwards.
Exits 77 if this kernel does not have the path.
"""

import contextlib
import ctypes
import os
import resource
import signal
import socket
import subprocess
import sys
import time

from harness import (ACCEPT_PATHS, BODY, GET, GET_CLOSE, SLOWNESS, Failure, Server, answers_of, ask, check, check_idle,
                     eventually, eventually_clean, in_own_network, main, moved_crowd, only_if, read_answer,
                     read_to_end, supported, urgent_bytes)

BINARY, PATH = sys.argv[1:3]
ROW = ACCEPT_PATHS[PATH]
RING = ROW.ring
SLOTS = ROW.accepts == "SLOT"
CONNECTIONS = 60
PR_CAPBSET_DROP, CAP_IPC_LOCK = 24, 14  # linux/prctl.h, linux/capability.h


def run(faults="", options=(), connections=CONNECTIONS, keep_alive=1, **environment):
    """Connections one after the other; how many were lost, and the totals."""
    environment["ACCEPT_SERVER_FAULTS"] = faults
    lost = 0
    with Server(BINARY, "--accept", PATH, "--workers", "1", "--park-timeout", "200ms", *options,
                environment={k: v for k, v in environment.items() if v}) as s:
        for _ in range(connections):
            try:
                with s.connect() as c:
                    for i in range(keep_alive):
                        status, _, body = ask(c, GET if i < keep_alive - 1 else GET_CLOSE)
                        check((status, body) == (200, BODY), f"{status} {body!r}")
            except (ConnectionError, Failure):
                lost += 1
        eventually_clean(s, 2)
        check_idle(s, "afterwards", 0.3, share=0.5)
        totals = s.now()
    check(s.log.count("\n") <= 3, f"a flood of lines:\n{s.log}")
    return lost, totals


def test_accept_runs_out():
    """EMFILE, ENFILE, ENOBUFS, ENOMEM: waits, comes back, loses nothing; also ECONNABORTED."""
    only_if(ROW.multishot, "a path that accepts one at a time has none")
    for error in ("EMFILE", "ENFILE", "ENOBUFS", "ENOMEM", "ECONNABORTED"):
        # Of 3 arms the first fails; SINGLE makes for many arms.
        lost, totals = run(f"accept:{error}:3,accept:SINGLE:1", connections=20)
        check(lost == 0, f"{error}: {lost} lost")
        check(totals["accept_errors"] > 0, f"{error}: not counted")
        waits = totals["accept_pauses"] > 0
        check(waits == (error != "ECONNABORTED"), f"{error}: {totals['accept_pauses']} pauses")


def test_multishot_ends():
    """A completion without F_MORE: armed again, once."""
    only_if(ROW.multishot, "a path that accepts one at a time has none")
    lost, totals = run("accept:SINGLE:1")
    check(lost == 0, f"{lost} lost")
    check(totals["accept_rearms"] == CONNECTIONS + 1, f"{totals['accept_rearms']} re-arms")


def test_time_out_without_buffers():
    """A receive that has to be repeated just when its time is up ends once, and only once."""
    only_if(RING, "no io_uring")
    with Server(BINARY, "--accept", PATH, "--workers", "1", "--idle-timeout", "200ms",
                environment={"ACCEPT_SERVER_FAULTS": "recv:ENOBUFS:1"}) as s:
        clients = [s.connect() for _ in range(4)]
        eventually(lambda: s.now()["timeouts"] == 4, "no time-outs")
        for c in clients:
            c.close()
        totals = eventually_clean(s, 2)
        check(totals["stale"] == 0 and totals["closed"] == 4, f"{totals}")


def test_dup_fails():
    """Another number is tried; only a third failure in a row costs the connection."""
    only_if(ROW.dup, "no DUP")
    for error, counter in (("EBUSY", "dup_ebusy"), ("EBADF", "dup_ebadf"),
                           ("ECANCELED", "dup_ecanceled")):
        # With fewer numbers than failures: one that went away with each would soon be missed.
        lost, totals = run(f"dup:{error}:3", ("--max-conns", "8"))
        check(lost == 0, f"{error}: {lost} lost")
        check(totals[counter] >= CONNECTIONS // 3, f"{error}: {totals[counter]} counted")
        check(totals["dups"] == CONNECTIONS, f"{error}: {totals['dups']} DUPs")
    # All three tries in vain, and the fourth a tick later.
    lost, totals = run("dup:EBADF:2,dup:EBADF:3,dup:EBADF:5", connections=30)
    check(lost == 0 and totals["accept_pauses"] > 0, f"{lost} lost, {totals['accept_pauses']} pauses")
    lost, totals = run("dup:EBUSY:1", connections=20)
    check(lost == 20 and totals["dups"] == 0, f"{lost} lost although no DUP works")
    check(totals["dup_errors"] == 60, f"{totals['dup_errors']} tries")


def test_crowd_that_lasts():
    """Full, then room, and a queue that takes longer than WAS_FULL_MS (acceptor.c): one at a time until it is empty."""
    only_if(ROW.multishot, "it refuses nobody")
    # Every second accept fails and waits for 100 ms.
    with Server(BINARY, "--accept", PATH, "--workers", "1", "--max-conns", "2", "--idle-timeout", "1m",
                environment={"ACCEPT_SERVER_FAULTS": "accept:ENOMEM:2"}) as s:
        clients = [s.connect() for _ in range(4)]
        eventually(lambda: s.now()["conns_now"] == 2, "not full")
        time.sleep(0.3)
        refused = s.now()["refused"]
        clients += [s.connect() for _ in range(40)]
        for c in clients:
            c.close()
        totals = eventually_clean(s, 2, accepted=44)
        check(totals["refused"] == refused, f"{totals['refused'] - refused} were refused although there was room")
        check(totals["accept_pauses"] > 15, f"it took only {totals['accept_pauses']} pauses")


def test_close_of_slot_fails():
    """The DUP has worked, so the connection is served."""
    only_if(ROW.dup, "no DUP")
    lost, totals = run("close_slot:EBADF:2", connections=50)
    check(lost == 0 and totals["dups"] == 50, f"{lost} lost, {totals['dups']} DUPs")


def test_install_fails():
    only_if(ROW.install, "no INSTALL")
    lost, totals = run("install:EMFILE:10", connections=30)
    check(lost == 0 and totals["install_errors"] == 3, f"{lost} lost, {totals['install_errors']} failed")
    check(totals["accept_pauses"] == 3, f"{totals['accept_pauses']} pauses")
    lost, totals = run("install:EPERM:10", connections=30)
    check(lost == 3 and totals["install_errors"] == 3, f"{lost} lost, {totals['install_errors']} failed")


def test_receive_fails():
    only_if(RING, "no io_uring")
    for error in ("ENOBUFS", "EINTR", "ECANCELED", "EAGAIN"):
        lost, totals = run(f"recv:{error}:2", keep_alive=3)
        check(lost == 0, f"{error}: {lost} lost")
    check(run("recv:ENOBUFS:2")[1]["no_buffers"] > 0, "ENOBUFS is not counted")
    lost, totals = run("recv:ECONNRESET:10")
    check(lost == CONNECTIONS // 10 == totals["recv_errors"], f"ECONNRESET: {lost} lost")


def test_send_fails():
    """On most paths the close is linked behind the send: it must happen all the same."""
    only_if(RING, "no io_uring")
    for error in ("EPIPE", "ECONNRESET", "ENOMEM"):
        lost, totals = run(f"send:{error}:10")
        check(lost == CONNECTIONS // 10 == totals["send_errors"], f"{error}: {lost} lost, {totals}")
    lost, totals = run("send:ECANCELED:2", keep_alive=3)
    check(lost == 0, f"ECANCELED: {lost} lost")


def good_client(s):
    with s.connect() as c:
        ask(c)
        ask(c, GET_CLOSE)


def crowd_of_idle_ones(s):
    """Their time is over at once: receives are cancelled."""
    clients = [s.connect() for _ in range(40)]
    for c in clients:
        check(c.recv(10) == b"", "an idle connection gets bytes")
        c.close()


def bad_client(s):
    with s.connect() as c:
        ask(c, b"nonsense\r\n\r\n")


def no_client(_):
    time.sleep(0.05)


def every_errno_cases():
    """Operation, how often it fails, options, what clients do, completions that are dropped."""
    if not RING:
        return [("accept", 2, (), good_client, ""), ("recv", 2, (), good_client, ""),
                ("send", 2, (), good_client, "")]
    cases = [("recv", 2, (), good_client, ""), ("send", 2, (), good_client, ""),
             ("accept", 2, (), good_client, ""), ("tick", 2, (), good_client, ""),
             ("cancel", 2, ("--idle-timeout", "100ms"), crowd_of_idle_ones, ""),
             ("wake", 1, (), no_client, ""), ("barrier", 9, (), good_client, "recv:3")]
    if not ROW.multishot:
        cases.append(("listen", 2, (), good_client, ""))
    if not ROW.as_accepted:
        cases.append(("dup", 4, (), good_client, ""))
    if ROW.install:
        cases.append(("release", 2, (), good_client, ""))
    if ROW.dup:
        cases.append(("close_slot", 2, (), good_client, ""))
    if ROW.serves != "POOL":
        cases.append(("retire", 2, (), good_client, ""))
    if ROW.serves == "SLOT":
        cases.append(("shutdown", 2, (), bad_client, ""))
    return cases


def every_errno(operation, n, options, client, drop):
    """Until each errno that is not fatal to it has been the answer to a request of OPERATION."""
    # A multishot accept is one request for many connections: SINGLE makes for many.
    environment = {"ACCEPT_SERVER_FAULTS": f"{operation}:EVERY:{n},accept:SINGLE:1"}
    if drop:
        environment["ACCEPT_SERVER_DROP"] = drop
    with Server(BINARY, "--accept", PATH, "--workers", "1", "--park-timeout", "200ms", *options,
                environment=environment) as s:
        end = time.monotonic() + 300
        while "every errno was injected" not in s.said():
            check(time.monotonic() < end, f"{operation}: not all were injected: {s.said()}")
            check(s.process.poll() is None, f"{operation}: the server has ended: {s.said()}")
            try:
                client(s)
            except (OSError, Failure):
                pass
        for _ in range(3):
            if not drop:
                good_client(s)
        eventually_clean(s, 2)


def test_every_errno():
    """Whatever the kernel says to a request that is right in itself, the server lives, and nothing is left over."""
    for case in every_errno_cases():
        every_errno(*case)
    if RING:
        # A drain cancels the accept, until it is told that this was done.
        with Server(BINARY, "--accept", PATH, "--workers", "1",
                    environment={"ACCEPT_SERVER_FAULTS": "cancel_accept:EVERY:1"}) as s:
            good_client(s)
            s.end()
            check("every errno was injected" in s.log, f"cancel_accept: {s.log}")


def ended_by(faults):
    """Exit code and log of a server that FAULTS end, be it at once or when a client comes."""
    with subprocess.Popen([BINARY, "--accept", PATH, "--workers", "1", "--port", "0"], stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, env={**os.environ, "ACCEPT_SERVER_FAULTS": faults}) as p:
        first = p.stdout.readline().decode()
        if first:
            port = int(first.split(" listen=")[1].split()[0].rpartition(":")[2])
            with contextlib.suppress(OSError, Failure), socket.create_connection(("127.0.0.1", port), timeout=5) as c:
                ask(c, GET_CLOSE)
        try:
            return p.wait(20 * SLOWNESS), p.stderr.read().decode()
        except subprocess.TimeoutExpired:
            p.kill()
            raise Failure(f"{faults}: it does not end") from None


def test_fatal_errno():
    """An error that says that the server's own books are wrong ends it, with the request and the error in one line."""
    cases = [("recv", "EBADF", "receive: Bad file descriptor"), ("send", "EBADF", "send: Bad file descriptor")]
    if RING:
        cases += [("tick", "EINVAL", "timeout: Invalid argument")]
    cases.append(("accept", "EBADF", "accept: Bad file descriptor"))
    for operation, error, line in cases:
        code, said = ended_by(f"{operation}:{error}:1")
        check(code == 1 and f"worker 0: {line}" in said, f"{operation}: {code}: {said}")


def test_wrong_accept():
    """An accept fails as if the listener did not listen, although it does: that is said, and tried again without a spin."""
    for listener in ("reuseport", "shared"):
        with Server(BINARY, "--accept", PATH, "--workers", "1", "--listener", listener,
                    environment={"ACCEPT_SERVER_FAULTS": "accept:EINVAL:1"}) as s, s.connect():
            eventually(lambda s=s: s.now()["accept_pauses"] > 2, f"{listener}: it does not wait")
            check("accept: Invalid argument" in s.said(), f"{listener}: it does not say why: {s.said()}")
            before, began = s.now()["accept_errors"], time.monotonic()
            time.sleep(1)
            rate = (s.now()["accept_errors"] - before) / (time.monotonic() - began)
            check(rate < 20, f"{listener}: {rate:.0f} tries a second")


def test_page_is_not_there():
    """The kernel finds no memory for a page that it is to copy to, or from: the request is repeated, and nothing lost."""
    for operation in ("recv", "send"):
        lost, _ = run(f"{operation}:EFAULT:2", keep_alive=5)
        check(lost == 0, f"{operation}: {lost} lost")


def test_drain_is_told_too_early_that_nobody_waits():
    """Who has come since an accept found the queue empty is served."""
    with Server(BINARY, "--accept", PATH, "--workers", "1", "--max-conns", "4", "--idle-timeout", "1m",
                environment={"ACCEPT_SERVER_FAULTS": "accept:EAGAIN:2,accept:SINGLE:1"}) as s:
        served = [s.connect() for _ in range(4)]
        for c in served:
            check(ask(c)[0] == 200, "not served")
        eventually(lambda: s.now()["accept_pauses"], "not full")
        waiting = [s.connect() for _ in range(12)]
        for c in waiting:
            c.sendall(GET)
        s.process.send_signal(signal.SIGTERM)
        for i, c in enumerate(waiting):
            check(read_answer(c)[0] == 200, f"{i} of those who waited were served")
        s.wait()


def test_short_sends():
    """What a send leaves over is sent by another one."""
    if RING:
        lost, _ = run("send:SHORT:2", keep_alive=5)
        check(lost == 0, f"{lost} lost")


def test_stale_completions():
    """One of the connection that was there before: counted, and nothing to the one that is."""
    only_if(RING, "no io_uring")
    for operation in ("recv", "send"):
        lost, totals = run(f"{operation}:STALE:2", keep_alive=3)
        check(lost == 0, f"{operation}: {lost} lost")
        check(totals["requests"] == 3 * CONNECTIONS, f"{operation}: {totals['requests']} requests")
        # A connection is received from three times (and perhaps to its end), and sent to three times.
        check(totals["stale"] >= 3 * CONNECTIONS // 2, f"{operation}: {totals['stale']} counted")


def crowd(faults="", **environment):
    """Many connections at once, each with several requests, on a ring far too small for them."""
    environment["ACCEPT_SERVER_FAULTS"] = faults
    with Server(BINARY, "--accept", PATH, "--workers", "1",
                environment={k: v for k, v in environment.items() if v}) as s:
        clients = [s.connect() for _ in range(300)]
        for _ in range(5):
            for c in clients:
                c.sendall(GET)
            for c in clients:
                check(ask(c, b"")[0] == 200, "not served")
        for c in clients:
            c.close()
        eventually(lambda: s.now()["conns_now"] == 0, "connections are left over")
        return s.now()


def test_no_memory_for_submissions():
    """For three thousand calls on end the kernel has no memory: idle ones are ended, the server goes on."""
    only_if(RING, "no io_uring")
    with Server(BINARY, "--accept", PATH, "--workers", "1", "--park-timeout", "200ms",
                environment={"ACCEPT_SERVER_SQ": "8", "ACCEPT_SERVER_ENTER": "EAGAIN:200:3000"}) as s:
        clients = [s.connect(60) for _ in range(100)]
        lost = rounds = 0
        # how many calls a round takes is the machine's to say: a busy one has many answers go down in one
        while s.now()["memory_waits"] < 3000 and rounds < 500:
            rounds += 1
            for c in clients:
                try:
                    c.sendall(GET)
                except ConnectionError:
                    pass
            for c in clients:
                try:
                    check(ask(c, b"")[0] == 200, "not served")
                except (ConnectionError, Failure):
                    lost += 1
        for c in clients:
            c.close()
        check(s.now()["memory_waits"] >= 3000, f"{s.now()['memory_waits']} waits in {rounds} rounds")
        good_client(s)
        totals = eventually_clean(s, 2)
        check(0 < totals["shed"] <= 100, f"{totals['shed']} were ended, {lost} answers missed")


def test_no_room_to_watch():
    """fs.epoll.max_user_watches: whom there is no room for waits, and is served when there is."""
    only_if(not RING, "no epoll")
    for listener in ("reuseport", "shared"):
        # One place is the eventfd's, one the listener's.
        with Server(BINARY, "--accept", PATH, "--workers", "1", "--listener", listener,
                    environment={"ACCEPT_SERVER_WATCHES": "4"}) as s:
            served = [s.connect() for _ in range(2)]
            for c in served:
                check(ask(c)[0] == 200, "not served")
            late = [s.connect() for _ in range(4)]
            eventually(lambda: s.now()["accept_pauses"] > 0, "there was room")
            time.sleep(0.3)  # the listener's place is taken, too, if it has left it
            for c in late:
                c.sendall(GET)
            for c in late:
                check(read_answer(c)[0] == 200, "not served without being watched")
                c.close()
            for c in served:
                c.close()
            eventually_clean(s, 2 if listener == "reuseport" else 1)
            check_idle(s, "afterwards", 0.3, share=0.5)
        check(s.log.count("\n") <= 2 and "fs.epoll.max_user_watches" in s.log, f"said:\n{s.log}")


CARRY_HEADER = 8  # struct carry (conn.h), in front of the bytes


def test_no_memory_for_pipelined():
    """No memory for what stands behind a request: that one is answered, and the connection ended in order."""
    body = b"POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 1992\r\n\r\n" + b"x" * 1992
    with Server(BINARY, "--accept", PATH, "--workers", "1", "--park-timeout", "200ms",
                environment={"ACCEPT_SERVER_NO_MEMORY": str(CARRY_HEADER + 1992)}) as s:
        for request, status, close in ((GET + b"x" * 1992, b"200 OK", 1), (body, b"503 ", 1), (GET + GET_CLOSE, b"200 OK", 0)):
            for _ in range(5):
                with s.connect() as c:
                    c.sendall(request)
                    data = read_to_end(c, "no memory")
                    check(data.startswith(b"HTTP/1.1 " + status), f"{data!r}")
                    check(data.count(b"HTTP/1.1 ") == 2 - close, f"{data!r}")
                    check(b"Connection: close\r\n" in data, f"{data!r}")
        totals = eventually_clean(s, 2)
        check(totals["no_memory"] == 10, f"{totals['no_memory']} counted")


def test_small_submission_queue():
    if RING:
        totals = crowd(ACCEPT_SERVER_SQ="8")
        check(totals["sq_flushes"] > 0, "the queue was never full")


def test_small_completion_queue():
    """The kernel keeps what does not fit and drops nothing while it has memory."""
    if RING:
        totals = crowd(ACCEPT_SERVER_SQ="8", ACCEPT_SERVER_CQ="16")
        check(totals["requests"] == 1500, f"{totals['requests']} requests")
        check(totals["cq_overflows"] == 0, "completions were dropped")


def test_dropped_completions():
    """What the kernel has no memory to tell: found out, closed, and nothing is in the way afterwards."""
    only_if(RING, "no io_uring")
    operations = ["recv", "send"]
    operations += ["accept"] if ROW.multishot else ["listen"]
    operations += ["install"] * ROW.install + ["retire"] * (ROW.serves != "POOL")
    for operation in operations:
        # The answer to the last request may be out before its completion is dropped.
        lost, totals = run(ACCEPT_SERVER_DROP=f"{operation}:5", keep_alive=2)
        check(totals["recoveries"] > 0, f"{operation}: nothing was dropped")
        check(lost <= totals["cq_overflows"], f"{operation}: {lost} lost, {totals}")
        if operation in ("recv", "accept", "install"):
            check(lost > 0, f"{operation}: nothing was lost")
        check(totals["no_buffers"] == 0, f"{operation}: buffers are lost")


def test_dropped_end_of_accept():
    """The kernel ends a multishot accept whose completion does not fit: the last one may be dropped."""
    only_if(ROW.multishot, "a path that accepts one at a time has none")
    lost, totals = run("accept:SINGLE:1", ACCEPT_SERVER_DROP="accept:2", connections=20)
    check(lost == totals["recoveries"] == 10, f"{lost} lost, {totals}")


def test_dropped_while_a_thread_accepts():
    """A thread of the kernel does the accepts, and takes a moment to stop: what it has taken meanwhile is nobody's loss."""
    only_if(ROW.multishot, "a path that accepts one at a time asks for none")
    lost, totals = run("accept:ASYNC:1", ACCEPT_SERVER_DROP="recv:5", keep_alive=2)
    check(totals["recoveries"] > 0, "nothing was dropped")
    check(lost <= totals["cq_overflows"], f"{lost} lost, {totals}")


def test_dropped_in_a_crowd():
    """More receives are dropped than there are buffers, and connections than there are slots to spare."""
    if RING:
        dropped_in_a_crowd()
        dropped_in_a_crowd(ACCEPT_SERVER_OLD_BUFFERS="1")


def dropped_in_a_crowd(**environment):
    with Server(BINARY, "--accept", PATH, "--workers", "1", "--max-conns", "100", "--protocol", "echo",
                environment={"ACCEPT_SERVER_DROP": "recv:3,send:7,accept:5", **environment}) as s:
        lost = rounds = 0
        # How many it takes depends on the path: what is lost before its first receive drops none of that.
        while s.now()["cq_overflows"] <= 1200:
            check(rounds < 300, f"only {s.now()['cq_overflows']} were dropped")
            rounds += 1
            clients = [s.connect() for _ in range(50)]
            for i, c in enumerate(clients):
                data = b"%d" % i
                try:
                    c.sendall(data)
                    back = c.recv(10)
                    check(back in (data, b""), f"{back!r} came back for {data!r}")
                    lost += not back
                except ConnectionError:
                    lost += 1
                c.close()
        check(0 < lost < 49 * rounds, f"{lost} of {50 * rounds} lost")
        eventually(lambda: s.now()["conns_now"] == 0, "connections are left over")
        check(s.now()["no_buffers"] == 0, "buffers are lost")


def may_lock_no_memory():
    """In the child, before the server: even root's is counted then, and limited by RLIMIT_MEMLOCK."""
    if not os.geteuid() and ctypes.CDLL(None, use_errno=True).prctl(PR_CAPBSET_DROP, CAP_IPC_LOCK, 0, 0, 0):
        os._exit(99)


def lose_some_without_memory(server):
    """Some completions are dropped when no memory may be locked any more; how many of 40 connections were served."""
    resource.prlimit(server.pid, resource.RLIMIT_MEMLOCK, (0, 0))
    served = 0
    for _ in range(40):
        try:
            with server.connect(1.0 * SLOWNESS) as c:
                served += ask(c, GET_CLOSE)[0] == 200
        except (OSError, Failure):
            pass
    return served


def test_dropped_without_memory():
    """To go on after a loss takes no memory that is counted. Where it does, in old kernels, a drain ends all the same."""
    only_if(RING, "no io_uring")
    with Server(BINARY, "--accept", PATH, "--workers", "1", setup=may_lock_no_memory,
                environment={"ACCEPT_SERVER_DROP": "recv:5"}) as s:
        served = lose_some_without_memory(s)
        totals = s.now()
        check(served >= 30 and totals["recoveries"] > 3, f"{served} served, {totals['recoveries']} recoveries")
        check(totals["memory_waits"] == 0, f"{totals['memory_waits']} waits for memory")
    with Server(BINARY, "--accept", PATH, "--workers", "1", "--drain-timeout", "500ms", setup=may_lock_no_memory,
                environment={"ACCEPT_SERVER_DROP": "recv:1", "ACCEPT_SERVER_OLD_BUFFERS": "1"}) as s:
        resource.prlimit(s.pid, resource.RLIMIT_MEMLOCK, (0, 0))
        with s.connect() as c:
            c.sendall(GET)
            eventually(lambda: s.now()["memory_waits"] + s.now()["recoveries"] > 0, "nothing was lost")
            if s.now()["recoveries"]:
                print("this kernel does not count the memory of buffers: the second half tries nothing")
                return
            # The time for it passes although signals come.
            nag = f"import os, time\nwhile True: os.kill({s.pid}, {signal.SIGUSR1}); time.sleep(0.02)"
            with subprocess.Popen([sys.executable, "-c", nag], stderr=subprocess.DEVNULL) as other:
                try:
                    s.end(code=1)
                finally:
                    other.kill()
        check("a worker does not end" in s.log, f"said: {s.log}")


def test_dropped_tick():
    """The clock stands still only until the loss is noticed."""
    only_if(RING, "no io_uring")
    with Server(BINARY, "--accept", PATH, "--workers", "1", "--idle-timeout", "300ms",
                environment={"ACCEPT_SERVER_DROP": "tick:2"}) as s:
        for _ in range(3):
            with s.connect() as c:
                check(c.recv(10) == b"", "an idle connection gets bytes")
        totals = s.now()
        check(totals["timeouts"] == 3 and totals["recoveries"] > 0, f"{totals}")


def test_dropped_wake():
    """A drain begins although the word of it was dropped (Server ends with one), or one before it."""
    only_if(RING, "no io_uring")
    for before in (0, 3):
        with Server(BINARY, "--accept", PATH, "--workers", "2",
                    environment={"ACCEPT_SERVER_DROP": "wake:1"}) as s, s.connect() as c:
            ask(c)
            for i in range(before):
                s.process.send_signal(signal.SIGUSR2)
                eventually(lambda i=i: s.now()["recoveries"] >= 2 * (i + 1), "nothing was dropped")
            check(ask(c)[0] == 200, "not served")


def test_dropped_while_a_thread_receives():
    """A receive that a thread of the kernel is at has a buffer, which nobody else gets when the lost ones are given back."""
    only_if(RING, "no io_uring")
    turns = 36 if SLOWNESS < 4 else 12
    # Who leaves makes for a recovery.
    drop = "send:9" if ROW.serves == "POOL" else "retire:1"
    with Server(BINARY, "--accept", PATH, "--workers", "1", "--protocol", "echo", "--idle-timeout", "1m",
                environment={"ACCEPT_SERVER_DROP": drop}) as s:
        good = [s.connect() for _ in range(250)]
        for turn in range(turns):
            evil = [s.connect() for _ in range(2)]
            urgent_bytes(evil)
            with s.connect() as c:
                c.sendall(b"x")
                c.recv(1)
            time.sleep(0.0003 * (turn % 12))
            for c in evil:
                try:
                    c.send(b"E" * 50)
                except ConnectionError:
                    pass
            # All at once, so that each fills a buffer.
            s.freeze()
            for i, c in enumerate(good):
                c.sendall(b"<%d.%d>" % (turn, i) * 50)
            s.thaw()
            for i, c in enumerate(good):
                wanted, got = b"<%d.%d>" % (turn, i) * 50, b""
                while len(got) < len(wanted):
                    more = c.recv(65536)
                    if not more:
                        break
                    got += more
                check(got in (wanted, b""), f"{wanted[:9]!r} was sent, {got[:9]!r} came back")
                if not got:  # what came of it was dropped
                    good[i] = s.connect()
            for c in evil:
                c.close()
        check(s.now()["recoveries"] >= turns // 2, f"{s.now()['recoveries']} recoveries")


def test_dropped_when_no_file_may_be_opened():
    """What was lost is closed all the same."""
    only_if(RING, "no io_uring")

    def body():
        with Server(BINARY, "--accept", PATH, "--workers", "2", environment={"ACCEPT_SERVER_DROP": "recv:5"}) as s:
            crowd = [s.connect() for _ in range(40)]
            eventually(lambda: s.now()["conns_now"] == len(crowd), "not accepted")
            soft, hard = resource.prlimit(s.pid, resource.RLIMIT_NOFILE)
            resource.prlimit(s.pid, resource.RLIMIT_NOFILE, (0, hard))
            for c in crowd:
                with contextlib.suppress(ConnectionError):
                    c.sendall(GET)
                    c.recv(65536)  # the answer, or the end, but no timeout
                c.close()
            resource.prlimit(s.pid, resource.RLIMIT_NOFILE, (soft, hard))
            check(s.now()["recoveries"] > 2, f"{s.now()['recoveries']} recoveries")

    in_own_network({"ipv4/tcp_migrate_req": "0"}, body)


def test_dropped_among_many():
    """After a recovery more receives wait than are submitted at a time: all of them have their turn."""
    only_if(RING, "no io_uring")
    drop = "send:700" if ROW.serves == "POOL" else "retire:1"
    with Server(BINARY, "--accept", PATH, "--workers", "1", "--idle-timeout", "1m",
                environment={"ACCEPT_SERVER_DROP": drop}) as s:
        crowd = [s.connect() for _ in range(600)]
        for c in crowd:
            check(ask(c)[0] == 200, "not served")
        while not s.now()["recoveries"]:
            with s.connect() as c, contextlib.suppress(OSError, Failure):
                ask(c, GET_CLOSE)
        for turn in range(2):
            for c in crowd:
                c.sendall(GET)
            for i, c in enumerate(crowd):
                check(read_answer(c)[0] == 200, f"turn {turn}: {i} were served")


def test_dropped_after_sockets_have_moved():
    """With tcp_migrate_req a worker serves sockets with the tag of another one, whose recovery closes none of them."""
    only_if(RING, "no io_uring")

    def body():
        with Server(BINARY, "--accept", PATH, "--workers", "2", "--idle-timeout", "1m",
                    environment={"ACCEPT_SERVER_DROP": "recv:20"}) as s:
            s.freeze()
            crowd = [s.connect() for _ in range(40)]
            listeners = list(s.listeners())
            listeners[0].shutdown(socket.SHUT_RDWR)
            for one in listeners:
                one.close()
            s.thaw()
            eventually(lambda: s.now()["accepts"] == 40, "not accepted, and so not moved")
            for _ in range(400):
                with contextlib.suppress(OSError, Failure), s.connect(timeout=1.0) as c:
                    ask(c, GET_CLOSE)
                if s.now()["recoveries"] >= 6:  # of both workers
                    break
            check(s.now()["recoveries"] >= 6, "nothing was dropped")
            lost = 0
            for c in crowd:
                c.settimeout(1.0)
                try:
                    check(ask(c)[0] == 200, "not served")
                except (OSError, Failure):
                    lost += 1
            check(lost < 10, f"{lost} of 40 were lost")

    in_own_network({"ipv4/tcp_migrate_req": "1"}, body)


def test_dropped_while_some_wait_for_a_place():
    """A recovery leaves those alone that were accepted beyond all places."""
    only_if(ROW.multishot, "it accepts nobody for whom there is no place")

    def body():
        with moved_crowd(BINARY, PATH, {"ACCEPT_SERVER_DROP": "recv:20"}) as (crowd, s):
            counts = answers_of(crowd)
            check(s.now()["recoveries"] > 0, "nothing was dropped")
            check(counts[200] + counts[503] > 50, f"answers and errors: {dict(counts)}")

    in_own_network({"ipv4/tcp_migrate_req": "1"}, body)


def test_dropped_accepts_of_a_long_queue():
    """Descriptors that are lost are closed, also where more have been accepted than there are places."""
    only_if(ROW.multishot, "it accepts nobody for whom there is no place")

    def body():
        with moved_crowd(BINARY, PATH, {"ACCEPT_SERVER_DROP": "accept:100"}, number=1500) as (crowd, s):
            counts = answers_of(crowd)
            check(s.now()["recoveries"] > 0, "nothing was dropped")
            check(counts[200] + counts[503] > 1400, f"answers and errors: {dict(counts)}")

    in_own_network({"ipv4/tcp_migrate_req": "1"}, body)


def test_dropped_shutdown():
    only_if(ROW.serves == "SLOT", "with an fd it is a system call")
    with Server(BINARY, "--accept", PATH, "--workers", "1", "--idle-timeout", "1m",
                environment={"ACCEPT_SERVER_DROP": "shutdown:1"}) as s:
        with s.connect() as c:
            check(ask(c, b"GET / HTTP/1.1\r\n\r\n")[0] == 400, "not refused")
            eventually(lambda: s.now()["conns_now"] == 0, "the connection is left over")
        eventually(lambda: s.now()["recoveries"] == 1, "nothing was dropped")


supported(BINARY, PATH)
only = sys.argv[3:]
main([test for name, test in list(globals().items())
      if name.startswith("test_") and (not only or name in only)])
